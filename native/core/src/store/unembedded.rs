//! Requests that wait for their caller to embed texts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::closed;
use super::dispatch::Call;
use crate::batch::{Checked, SearchRequest, WriteRequest};
use crate::collection::Collection;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::EMBEDDINGS_WAITING_MAX;

/// After how long a refused caller is told to come back, in milliseconds.
const RETRY_AFTER_MS: u64 = 1000;

/// A request that goes on once its texts are embedded.
pub enum Waiting {
    /// A write, checked.
    Write(Arc<Collection>, WriteRequest, Checked),
    /// A search, checked, and which of its queries are texts.
    Search(Arc<Collection>, SearchRequest, Vec<usize>),
}

#[derive(Default)]
struct State {
    next: u64,
    /// Nobody can come back any more.
    closed: bool,
    waiting: BTreeMap<u64, (Call, Waiting)>,
}

/// The requests that wait, by token. Callers that never come back must not fill the memory, so
/// there are at most [`EMBEDDINGS_WAITING_MAX`].
#[derive(Default)]
pub struct Unembedded {
    state: Mutex<State>,
}

impl Unembedded {
    /// The token under which the next request is kept.
    pub fn token(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        state.next
    }

    /// Keeps a call under its token. Where there is no place, one whose call was stopped makes
    /// way: nothing is lost with it.
    ///
    /// # Errors
    /// `OVERLOADED` beyond the limit, `STORE_CLOSED`; with the call, for telling it.
    pub fn keep(
        &self,
        token: u64,
        call: Call,
        waiting: Waiting,
    ) -> std::result::Result<(), (Error, Box<Call>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err((closed(), Box::new(call)));
        }
        let mut stopped = None;
        if state.waiting.len() >= EMBEDDINGS_WAITING_MAX {
            let mut kept = state.waiting.iter();
            let first = kept.find(|(_, (call, _))| call.batch().gate.is_shut());
            let Some(first) = first.map(|(token, _)| *token) else {
                return Err((overloaded(state.waiting.len()), Box::new(call)));
            };
            stopped = state.waiting.remove(&first);
        }
        state.waiting.insert(token, (call, waiting));
        // Its memory goes back to the budget, which may start others: not under this lock.
        drop(state);
        drop(stopped);
        Ok(())
    }

    /// Takes a call back.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a token that was never given or is used up.
    pub fn take(&self, token: &str) -> Result<(Call, Waiting)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = token
            .parse()
            .ok()
            .and_then(|token| state.waiting.remove(&token));
        taken.ok_or_else(|| {
            let message = format!(
                "no request waits under token {token:?}; at most {EMBEDDINGS_WAITING_MAX} wait at \
                 a time"
            );
            Error::new(ErrorCode::InvalidArgument, message)
                .with("field", "token")
                .with("limit", EMBEDDINGS_WAITING_MAX)
        })
    }

    /// Gives back what a call holds that was stopped while it waits; the call itself stays, so
    /// that its caller is told why when it comes back.
    pub fn release(&self, token: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let held = state
            .waiting
            .get_mut(&token)
            .map(|(call, _)| call.take_held());
        drop(state);
        drop(held);
    }

    /// Drops all of them, and those that come: the store closes, nobody can come back.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
    }
}

fn overloaded(used: usize) -> Error {
    let message = format!(
        "{used} requests wait for their callers to embed texts, the limit is \
         {EMBEDDINGS_WAITING_MAX}"
    );
    Error::new(ErrorCode::Overloaded, message)
        .with("budget", "embeddings")
        .with("used", used)
        .with("limit", EMBEDDINGS_WAITING_MAX)
        .with("unit", "requests")
        .with("retry_after_ms", RETRY_AFTER_MS)
}
