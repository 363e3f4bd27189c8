//! The atomic streams that are open: whose they are, and the memory that they take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::{Budget, Reservation};
use crate::batch::{Duplicates, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::STAGES_MAX;

/// What the writer keeps in memory of one staged operation, about: digest, place, version, row.
const OPERATION_BYTES: usize = 96;
/// Open stages may keep at most one part in so many of the budget: they give it back only when
/// they end, and to come to their end they need the rest.
const BUDGET_SHARE: usize = 2;

struct Open {
    collection: String,
    caller: String,
    operations: usize,
    reservation: Reservation,
}

#[derive(Default)]
struct State {
    next: u64,
    open: HashMap<u64, Open>,
}

/// The atomic streams that are open, by number.
#[derive(Default)]
pub struct Stages {
    state: Mutex<State>,
}

impl Stages {
    /// Opens a stage.
    ///
    /// # Errors
    /// `OVERLOADED` beyond [`STAGES_MAX`].
    pub fn begin(&self, collection: &str, caller: &str, budget: &Arc<Budget>) -> Result<u64> {
        // Made before the lock is taken: a reservation has a lock of its own.
        let reservation = budget.force(0);
        let mut state = self.lock();
        if state.open.len() >= STAGES_MAX {
            let message = format!("{STAGES_MAX} atomic streams are open, no more can be");
            let error = Error::new(ErrorCode::Overloaded, message)
                .with("budget", "stages")
                .with("used", state.open.len())
                .with("limit", STAGES_MAX)
                .with("retry_after_ms", 1000);
            drop(state);
            return Err(error);
        }
        state.next += 1;
        let number = state.next;
        let open = Open {
            collection: collection.to_owned(),
            caller: caller.to_owned(),
            operations: 0,
            reservation,
        };
        state.open.insert(number, open);
        Ok(number)
    }

    /// Whether a batch may be a part of a stage.
    ///
    /// # Errors
    /// `NOT_FOUND` where the caller has no such stage in the collection; `INVALID_ARGUMENT` and
    /// `UNSUPPORTED` for options that a part cannot have; `MEMORY_LIMIT_EXCEEDED` where the part
    /// would make its stage too large for the budget, `OVERLOADED` where it does so together with
    /// other stages.
    pub fn check(
        &self,
        number: u64,
        collection: &str,
        caller: &str,
        request: &WriteRequest,
        budget: &Budget,
    ) -> Result<()> {
        {
            let state = self.lock();
            if !state.is(number, collection, caller) {
                return Err(not_found(number));
            }
            state.check_room(number, request.operations.len(), budget.usage().limit)?;
        }
        let options = &request.options;
        let refused = [
            ("validate_only", options.validate_only),
            ("idempotency_key", options.idempotency_key.is_some()),
            ("stream_id", options.stream.is_some()),
        ];
        if let Some((field, _)) = refused.iter().find(|(_, given)| *given) {
            let message = format!("a part of an atomic stream takes no `{field}`");
            return Err(Error::invalid(field, message));
        }
        if options.duplicates == Duplicates::LastWins {
            let message = "in an atomic stream an id stands once: `duplicates` can only be reject";
            return Err(Error::new(ErrorCode::Unsupported, message).with("field", "duplicates"));
        }
        let mut operations = request.operations.iter();
        match operations.position(|operation| operation.group.is_some()) {
            Some(index) => {
                let message = format!("operation {index} has a group, the stream is one already");
                Err(Error::invalid("group", message).with("index", index))
            }
            None => Ok(()),
        }
    }

    /// Counts the memory of a part.
    pub fn grow(&self, number: u64, operations: usize) {
        let mut state = self.lock();
        if let Some(open) = state.open.get_mut(&number) {
            open.operations += operations;
            open.reservation.resize(open.operations * OPERATION_BYTES);
        }
    }

    /// Ends a stage.
    ///
    /// # Errors
    /// `NOT_FOUND` where the caller has no such stage in the collection.
    pub fn end(&self, number: u64, collection: &str, caller: &str) -> Result<()> {
        let ended = {
            let mut state = self.lock();
            if !state.is(number, collection, caller) {
                return Err(not_found(number));
            }
            state.open.remove(&number)
        };
        drop(ended);
        Ok(())
    }

    /// Ends all of them: the store closes.
    pub fn close(&self) {
        let ended = std::mem::take(&mut self.lock().open);
        drop(ended);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so the state behind a poisoned lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a stage may grow by so many operations.
    fn check_room(&self, number: u64, operations: usize, budget_bytes: usize) -> Result<()> {
        let operations_max = budget_bytes / BUDGET_SHARE / OPERATION_BYTES;
        let own = operations + self.open.get(&number).map_or(0, |open| open.operations);
        if own > operations_max {
            let (code, field) = (ErrorCode::MemoryLimitExceeded, "atomic stream");
            let error = Error::limit(code, field, operations_max, own, "operations");
            return Err(error.with("budget_bytes", budget_bytes));
        }
        let all = operations
            + self
                .open
                .values()
                .map(|open| open.operations)
                .sum::<usize>();
        if all > operations_max {
            let message = format!(
                "open atomic streams hold {all} operations, {operations_max} are the limit"
            );
            return Err(Error::new(ErrorCode::Overloaded, message)
                .with("budget", "stages")
                .with("used", all - operations)
                .with("limit", operations_max)
                .with("retry_after_ms", 1000));
        }
        Ok(())
    }

    fn is(&self, number: u64, collection: &str, caller: &str) -> bool {
        let open = self.open.get(&number);
        open.is_some_and(|open| open.collection == collection && open.caller == caller)
    }
}

fn not_found(number: u64) -> Error {
    let message = format!("no atomic stream {number} is open in this collection");
    Error::new(ErrorCode::NotFound, message).with("stage", number)
}
