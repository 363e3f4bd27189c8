//! Snapshots that lists in progress hold between two pages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::limits::LISTS_OPEN_MAX;
use crate::record::Slot;

#[derive(Default)]
struct State {
    next: u64,
    /// Least recently used first.
    held: VecDeque<(u64, Arc<Snapshot>)>,
}

/// The snapshots held, by number: at most [`LISTS_OPEN_MAX`], beyond which the list that was not
/// used for longest ends. A cursor on the wire is `<number>-<slot>`.
#[derive(Default)]
pub struct Cursors {
    state: Mutex<State>,
}

impl Cursors {
    /// Holds a snapshot for a list that begins.
    pub fn open(&self, snapshot: Arc<Snapshot>) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next += 1;
        let number = state.next;
        state.held.push_back((number, snapshot));
        if state.held.len() > LISTS_OPEN_MAX {
            state.held.pop_front();
        }
        number
    }

    /// The snapshot of a cursor, its number, and the slot where its page begins.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a cursor that is malformed, or whose list has ended.
    pub fn resume(&self, cursor: &str) -> Result<(Arc<Snapshot>, u64, Slot)> {
        let parsed = cursor
            .split_once('-')
            .and_then(|(number, slot)| Some((number.parse().ok()?, slot.parse().ok()?)));
        let Some((number, slot)) = parsed else {
            return Err(Error::invalid(
                "after",
                format!("{cursor:?} is not a cursor of a list"),
            ));
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let place = state.held.iter().position(|(held, _)| *held == number);
        let Some(entry) = place.and_then(|place| state.held.remove(place)) else {
            let newer = state.next.saturating_sub(number);
            let message = format!(
                "the list of cursor {cursor:?} has ended, or one of the {newer} lists that began \
                 since has taken its place, as {LISTS_OPEN_MAX} are kept; begin again"
            );
            return Err(Error::invalid("after", message)
                .with("limit", LISTS_OPEN_MAX)
                .with("actual", newer)
                .with("unit", "lists"));
        };
        let snapshot = Arc::clone(&entry.1);
        state.held.push_back(entry);
        Ok((snapshot, number, slot))
    }

    /// Lets go of a snapshot whose list has come to its end.
    pub fn close(&self, number: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.held.retain(|(held, _)| *held != number);
    }
}

/// A cursor as it stands on the wire.
pub fn cursor(number: u64, slot: Slot) -> String {
    format!("{number}-{slot}")
}
