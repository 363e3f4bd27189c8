//! One opening of a store, from the first call to the last.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use volley_core::error::{Error, ErrorCode, Result};
use volley_core::store::Store;

use crate::reply::guarded;

/// A store that JavaScript has opened, is opening, or has closed.
pub struct Opened {
    state: Mutex<State>,
    /// Signalled when the state becomes `Closed`.
    closed: Condvar,
}

enum State {
    New,
    Opening,
    Open(Store),
    Closing,
    Closed,
}

impl Opened {
    /// Nothing is opened yet.
    pub fn new() -> Self {
        Opened {
            state: Mutex::new(State::New),
            closed: Condvar::new(),
        }
    }

    /// Claims the opening; the caller must call [`Opened::open`] next.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` the second time, `STORE_CLOSED` after a close.
    pub fn claim(&self) -> Result<()> {
        let mut state = self.lock();
        match *state {
            State::New => {
                *state = State::Opening;
                Ok(())
            }
            State::Closing | State::Closed => Err(store_closed()),
            State::Opening | State::Open(_) => Err(Error::new(
                ErrorCode::InvalidArgument,
                "the store is open already",
            )),
        }
    }

    /// Opens the files; blocks.
    ///
    /// # Errors
    /// Those of [`Store::open`]; `STORE_CLOSED` where it was closed meanwhile.
    pub fn open(&self, path: &str, options: &[u8]) -> Result<()> {
        let result = guarded(|| Store::open(path, options));
        let mut state = self.lock();
        let abandoned = !matches!(*state, State::Opening);
        match result {
            Ok(store) if abandoned => {
                drop(state);
                guarded(|| store.close())?;
                Err(store_closed())
            }
            Ok(store) => {
                *state = State::Open(store);
                Ok(())
            }
            Err(error) => {
                *state = State::Closed;
                Err(error)
            }
        }
    }

    /// The store, to call it.
    ///
    /// # Errors
    /// `STORE_CLOSED` before it is open and after it was closed.
    pub fn store(&self) -> Result<Store> {
        match &*self.lock() {
            State::Open(store) => Ok(store.clone()),
            _ => Err(store_closed()),
        }
    }

    /// Closes the files; blocks until that is done, whoever began it.
    ///
    /// # Errors
    /// Those of [`Store::close`], for the one who began it.
    pub fn close(&self) -> Result<()> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Closing) {
            State::Open(store) => {
                drop(state);
                let result = guarded(|| store.close());
                *self.lock() = State::Closed;
                self.closed.notify_all();
                result
            }
            State::Closing => {
                while matches!(*state, State::Closing) {
                    state = self
                        .closed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Ok(())
            }
            // Whoever is opening it closes it when done; nobody waits for that.
            State::New | State::Opening | State::Closed => {
                *state = State::Closed;
                Ok(())
            }
        }
    }

    /// Whether it was closed, or failed to open.
    pub fn is_closed(&self) -> bool {
        matches!(*self.lock(), State::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of state is one assignment, so a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn store_closed() -> Error {
    Error::new(ErrorCode::StoreClosed, "the store is not open")
}
