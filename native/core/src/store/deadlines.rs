//! The one thread that stops batches whose time is up; it is started by the first deadline.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::batches::Batch;
use crate::error::{Error, ErrorCode, Result};

/// Fewest entries that are worth a sweep.
const SWEEP_MIN: usize = 1024;

#[derive(Default)]
struct State {
    due: BTreeMap<(Instant, u64), Weak<Batch>>,
    next: u64,
    /// Count of entries at which those of batches that are gone are swept out.
    sweep_at: usize,
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Deadlines of running batches.
#[derive(Default)]
pub struct Deadlines {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Deadlines {
    /// Stops a batch when its time is up.
    ///
    /// # Errors
    /// `INTERNAL` where the system refuses a thread.
    pub fn add(&self, batch: &Arc<Batch>, after: Duration) -> Result<()> {
        self.start()?;
        let mut state = self.shared.lock();
        state.next += 1;
        // What lies beyond the clock's end never comes.
        let Some(at) = batch.began.checked_add(after) else {
            return Ok(());
        };
        let key = (at, state.next);
        state.due.insert(key, Arc::downgrade(batch));
        if state.due.len() >= state.sweep_at {
            state.due.retain(|_, batch| batch.strong_count() > 0);
            state.sweep_at = SWEEP_MIN.max(state.due.len() * 2);
        }
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Ends the thread.
    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // The last handle of a store may be dropped by a reply that this thread gives.
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }

    fn start(&self) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let builder = std::thread::Builder::new().name("volley-deadlines".to_owned());
            let spawned = builder.spawn(move || shared.run());
            let failed = |error| Error::internal(format!("cannot start a thread: {error}"));
            *thread = Some(spawned.map_err(failed)?);
        }
        Ok(())
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            let next = state.due.first_key_value().map(|((at, _), _)| *at);
            state = match next {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) if at > now => {
                    let waited = self.changed.wait_timeout(state, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                Some(_) => {
                    let due = state.due.pop_first();
                    drop(state);
                    if let Some(batch) = due.and_then(|(_, batch)| batch.upgrade()) {
                        batch.stop(ErrorCode::DeadlineExceeded);
                    }
                    self.lock()
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, so the state behind a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.close();
    }
}
