//! How many requests are on the engine's threads, and the wait until there are none.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The count of running requests.
#[derive(Default)]
pub struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One running request; it ends when this is dropped.
pub struct Guard(Arc<Running>);

impl Running {
    /// Counts a request that begins.
    pub fn begin(self: &Arc<Self>) -> Guard {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Guard(Arc::clone(self))
    }

    /// Returns once no request runs.
    pub fn wait_for_none(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 {
            count = self
                .ended
                .wait(count)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_all();
    }
}
