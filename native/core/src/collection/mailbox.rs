//! What others ask of the indexer, and its sleep until then.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::codec::CompactReport;
use crate::error::Result;

/// Told what a compaction came to; dropped where the indexer is gone.
pub type OnCompacted = Box<dyn FnOnce(Result<CompactReport>) + Send>;

/// What the indexer finds when it wakes.
#[derive(Default)]
pub struct Wishes {
    /// A new snapshot is there.
    pub look: bool,
    /// Somebody waits for the tail to be folded.
    pub hurry: bool,
    /// Compact the log, and tell these what came of it.
    pub compact: Vec<OnCompacted>,
    /// Finish and end.
    pub close: bool,
}

impl Wishes {
    fn any(&self) -> bool {
        self.look || self.hurry || self.close || !self.compact.is_empty()
    }
}

#[derive(Default)]
struct State {
    wishes: Wishes,
    ended: bool,
}

/// The indexer's mailbox: wishes of the same kind become one.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Mailbox {
    /// Adds to the wishes.
    pub fn ask(&self, add: impl FnOnce(&mut Wishes)) {
        let mut state = self.lock();
        add(&mut state.wishes);
        if state.ended {
            // Dropping a call-back tells its owner that no answer will come.
            state.wishes = Wishes::default();
        }
        self.changed.notify_one();
    }

    /// The indexer is gone: from now on wishes are dropped.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.wishes = Wishes::default();
    }

    /// Takes all wishes, after at most `wait` where given.
    pub fn take(&self, wait: Option<Duration>) -> Wishes {
        let mut state = self.lock();
        while !state.wishes.any() {
            state = match wait {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        return Wishes::default();
                    }
                    state
                }
            };
        }
        std::mem::take(&mut state.wishes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, so the state behind a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
