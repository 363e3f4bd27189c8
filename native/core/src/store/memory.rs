//! How requests come to their share of the memory budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::{Class, Reservation};
use super::dispatch::{Call, Incoming};
use crate::codec;
use crate::error::{Error, Result};

/// A request stands in memory about twice: as it came, and as it goes to the log.
const COPIES: usize = 2;

/// Reservations that were made ahead of their calls.
#[derive(Default)]
pub struct Reservations {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Nobody can come back any more.
    closed: bool,
    kept: HashMap<u64, Reservation>,
}

impl Reservations {
    fn keep(&self, reservation: Reservation) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        if state.closed {
            // Giving it back may start others: not under this lock.
            drop(state);
            drop(reservation);
        } else {
            state.kept.insert(number, reservation);
        }
        number
    }

    /// Takes a reservation, to use it or to give it back.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where there is none of this number.
    pub fn take(&self, number: u64) -> Result<Reservation> {
        let taken = self.lock().kept.remove(&number);
        taken.ok_or_else(|| {
            let message = format!("there is no reservation {number}");
            Error::invalid("reservation", message).with("actual", number)
        })
    }

    /// Gives everything back, and what comes: the store closes, nobody can come back.
    pub fn close(&self) {
        let kept = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.kept)
        };
        drop(kept);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so the state behind a poisoned lock is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which verbs' bytes are counted, and as what.
fn class(verb: &str) -> Option<Class> {
    match verb {
        "insert" | "update" | "write" | "search" | "get" => Some(Class::Other),
        "delete" => Some(Class::Delete),
        _ => None,
    }
}

/// Starts a request once there is memory for it, or refuses it.
pub fn admit(call: Call, incoming: Incoming, bytes: usize) {
    let needed = bytes * COPIES;
    let (budget, context) = (Arc::clone(&call.inner().budget), call.context().clone());
    let verb = codec::verb(&incoming.line);
    if verb == "resume" {
        // It belongs to a request that was admitted before.
        let reservation = budget.force(needed);
        return call.start(incoming, Some(reservation));
    }
    // Before the verb's class: whatever a caller has reserved for its call is used up by it.
    if let Some(number) = context.reservation {
        return match call.inner().reservations.take(number) {
            Ok(mut reservation) => {
                reservation.resize(needed);
                call.start(incoming, Some(reservation));
            }
            Err(error) => call.refuse(&error),
        };
    }
    let Some(class) = class(verb) else {
        return call.start(incoming, None);
    };
    if context.refuse_overload {
        return match budget.try_reserve(needed, class) {
            Ok(reservation) => call.start(incoming, Some(reservation)),
            Err(error) => call.refuse(&error),
        };
    }
    if let Err(error) = budget.check(needed, class) {
        return call.refuse(&error);
    }
    let batch = Arc::clone(call.batch());
    let admitted = move |reservation| call.start(incoming, Some(reservation));
    if let Some(number) = budget.reserve(needed, class, Box::new(admitted)) {
        batch.when_stopped_waiting(Box::new(move || budget.withdraw(number)));
    }
}

/// Reserves memory for a later call, and answers with the reservation's number.
pub fn reserve(call: Call, bytes: usize, class: Class) {
    let inner = Arc::clone(call.inner());
    let budget = Arc::clone(&inner.budget);
    let needed = bytes.saturating_mul(COPIES);
    if call.context().refuse_overload {
        return match budget.try_reserve(needed, class) {
            Ok(reservation) => keep(call, reservation),
            Err(error) => call.refuse(&error),
        };
    }
    if let Err(error) = budget.check(needed, class) {
        return call.refuse(&error);
    }
    let batch = Arc::clone(call.batch());
    let admitted = move |reservation| {
        inner.pools.control().spawn(move || keep(call, reservation));
    };
    if let Some(number) = budget.reserve(needed, class, Box::new(admitted)) {
        batch.when_stopped_waiting(Box::new(move || budget.withdraw(number)));
    }
}

fn keep(call: Call, reservation: Reservation) {
    if call.batch().gate.is_shut() {
        return;
    }
    let number = call.inner().reservations.keep(reservation);
    let mut bytes = Vec::new();
    codec::reservation_reply(number, &mut bytes);
    let inner = Arc::clone(call.inner());
    if !call.reply(bytes, 0) {
        // It was stopped just now, and nobody learns the number.
        let _ = inner.reservations.take(number);
    }
}
