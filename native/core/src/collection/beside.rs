//! Two pieces of work at the same time, for a thread that has neither a pool nor time to start one.

use crate::error::{Error, Result};
use crate::pools::JoinedPool;

/// A thread beside its owner's, from the first work on.
///
/// It stays because a thread that is started for each piece of work would first wait for its turn
/// behind those that fold.
pub struct Beside {
    name: &'static str,
    thread: Option<JoinedPool>,
}

impl Beside {
    /// Without a thread yet.
    pub fn new(name: &'static str) -> Self {
        Beside { name, thread: None }
    }

    /// Does one piece of work on the other thread and one on this; returns when both are done.
    /// Where the system refuses a thread, this one does first what is its own, then the other.
    /// A panic in either goes on here.
    ///
    /// # Errors
    /// Those of the work on the other thread.
    pub fn both<T: Send>(
        &mut self,
        there: impl FnOnce() -> Result<T> + Send,
        here: impl FnOnce(),
    ) -> Result<T> {
        if self.thread.is_none() {
            self.thread = JoinedPool::new(self.name, 1, 0).ok();
        }
        let Some(thread) = &self.thread else {
            here();
            return there();
        };
        let mut done = None;
        thread.pool().in_place_scope(|scope| {
            scope.spawn(|_| done = Some(there()));
            here();
        });
        // A scope ends when all that was spawned in it is done.
        done.unwrap_or_else(|| Err(Error::internal("a thread has left its work undone")))
    }
}
