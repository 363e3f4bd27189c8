//! Writes reach their collections in the order in which they were called, although they are
//! decoded and checked side by side.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::collection::{Collection, WriteJob};

/// A place in the order of calls.
#[derive(Debug)]
pub struct Ticket(u64);

/// A batch that is ready, and where it goes.
pub type Ready = (Arc<Collection>, WriteJob);

#[derive(Default)]
struct State {
    given: u64,
    next: u64,
    ready: BTreeMap<u64, Option<Ready>>,
}

/// Gives out tickets and submits batches in ticket order.
#[derive(Default)]
pub struct Order {
    state: Mutex<State>,
}

impl Order {
    /// The next place. Every ticket must come back by [`Order::submit`], with a batch or without.
    pub fn ticket(&self) -> Ticket {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.given += 1;
        Ticket(state.given - 1)
    }

    /// Submits a batch once all tickets before its own have come back; `None` = there is none.
    #[expect(clippy::needless_pass_by_value, reason = "a ticket is used up")]
    pub fn submit(&self, ticket: Ticket, ready: Option<Ready>) {
        let mut refused = Vec::new();
        {
            // Submitting under the lock is what keeps the order; it only pushes to a queue. To
            // refuse a batch is to call its caller, who may take any lock: that comes after.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ready.insert(ticket.0, ready);
            loop {
                let next = state.next;
                let Some(ready) = state.ready.remove(&next) else {
                    break;
                };
                state.next += 1;
                if let Some((collection, job)) = ready {
                    refused.extend(collection.submit(job));
                }
            }
        }
        for (job, error) in refused {
            job.refuse(error);
        }
    }
}
