//! Requests that wait for their caller to embed texts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::responder::Shape;
use crate::batch::{Checked, SearchRequest, WriteRequest};
use crate::collection::Collection;
use crate::error::{Error, ErrorCode, Result};

/// Most requests that wait at the same time; a caller that never comes back must not fill the
/// memory, so beyond it the one that has waited longest is dropped.
const WAITING_MAX: usize = 256;

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
    /// Each with the shape that its reply will have.
    waiting: BTreeMap<u64, (Waiting, Shape)>,
}

/// The requests that wait, by token.
#[derive(Default)]
pub struct Unembedded {
    state: Mutex<State>,
}

impl Unembedded {
    /// Keeps a request and returns what `reply` makes of it and of the token by which it is
    /// taken back.
    pub fn keep<R>(
        &self,
        waiting: Waiting,
        shape: Shape,
        reply: impl FnOnce(&str, &Waiting) -> R,
    ) -> R {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let token = state.next;
        let reply = reply(&token.to_string(), &waiting);
        state.waiting.insert(token, (waiting, shape));
        if state.waiting.len() > WAITING_MAX {
            state.waiting.pop_first();
        }
        reply
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a token that was never given, is used up, or was dropped.
    pub fn take(&self, token: &str) -> Result<(Waiting, Shape)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = token
            .parse()
            .ok()
            .and_then(|token| state.waiting.remove(&token));
        taken.ok_or_else(|| {
            let message = format!(
                "no request waits under token {token:?}; at most {WAITING_MAX} wait at a time"
            );
            Error::new(ErrorCode::InvalidArgument, message)
                .with("field", "token")
                .with("limit", WAITING_MAX)
        })
    }
}
