//! Admission by bytes: one budget for all that is in flight or staged, reserved before parsing.
//!
//! Callers who can wait are admitted in order as memory comes back; others are told `OVERLOADED`.
//! A slice that only deletes may use keeps the way out of a full store open. Once somebody had to
//! wait or was refused, the budget counts as overloaded until a quarter of it is free again, so
//! that refusals do not flicker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorCode, Result};

/// The budget where nobody sets one, in bytes.
pub const BUDGET_BYTES_DEFAULT: usize = 512 << 20;
/// One part in so many is kept for deletes.
const DELETES_SHARE: usize = 16;
/// Shortest and longest time after which a refused caller is told to come back.
const RETRY_AFTER_MS: (u64, u64) = (10, 10_000);

/// The budget of this process, shared by its stores.
static PROCESS: Mutex<Option<Arc<Budget>>> = Mutex::new(None);

/// Which part of the budget a request may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A delete: all of it, before everybody else who waits.
    Delete,
    /// Anything else: all but the slice for deletes.
    Other,
}

/// Called with the reservation of a request that was admitted, under the budget's lock: it must
/// only hand the request over to another thread.
pub type OnAdmitted = Box<dyn FnOnce(Reservation) + Send>;

struct Waiter {
    number: u64,
    bytes: usize,
    admitted: OnAdmitted,
}

#[derive(Default)]
struct State {
    /// What each open store allows; the least counts.
    limits: BTreeMap<u64, usize>,
    next: u64,
    used: usize,
    deletes_used: usize,
    deletes: VecDeque<Waiter>,
    others: VecDeque<Waiter>,
    overloaded: bool,
    /// Moving mean of how long reservations are held, in milliseconds.
    held_ms: u64,
}

/// How much memory requests may take, and who waits for it.
#[derive(Default)]
pub struct Budget {
    state: Mutex<State>,
}

/// A part of the budget; dropped, it is given back and others are admitted.
pub struct Reservation {
    budget: Arc<Budget>,
    class: Class,
    bytes: usize,
    began: Instant,
}

/// The budget in numbers, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// All of it.
    pub limit: usize,
    /// What is reserved.
    pub used: usize,
}

impl Usage {
    /// What is free.
    pub fn free(&self) -> usize {
        self.limit.saturating_sub(self.used)
    }
}

impl State {
    fn limit(&self) -> usize {
        let least = self.limits.values().min();
        least.copied().unwrap_or(BUDGET_BYTES_DEFAULT)
    }

    fn limit_of(&self, class: Class) -> usize {
        let limit = self.limit();
        match class {
            Class::Delete => limit,
            Class::Other => limit - limit / DELETES_SHARE,
        }
    }

    fn has_room(&self, class: Class, bytes: usize) -> bool {
        let slice = self.limit() / DELETES_SHARE;
        let in_slice = class == Class::Delete && self.deletes_used + bytes <= slice;
        in_slice || self.used + bytes <= self.limit_of(class)
    }

    fn add(&mut self, class: Class, bytes: usize) {
        self.used += bytes;
        if class == Class::Delete {
            self.deletes_used += bytes;
        }
    }

    fn waiting(&mut self, class: Class) -> &mut VecDeque<Waiter> {
        match class {
            Class::Delete => &mut self.deletes,
            Class::Other => &mut self.others,
        }
    }

    fn is_overloaded_for(&mut self, class: Class, bytes: usize) -> bool {
        if self.used <= self.limit() / 4 * 3 {
            self.overloaded = false;
        }
        let kept_away = class == Class::Other && self.overloaded;
        kept_away || !self.waiting(class).is_empty() || !self.has_room(class, bytes)
    }
}

impl Budget {
    /// The budget of this process.
    pub fn of_process() -> Arc<Self> {
        let mut process = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(process.get_or_insert_default())
    }

    /// Lets a store that is opened have its say; `None` = it has none.
    pub fn open(&self, limit: Option<usize>) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        if let Some(limit) = limit {
            state.limits.insert(number, limit);
        }
        number
    }

    /// A store is closed: its limit no longer counts.
    pub fn close(self: &Arc<Self>, number: u64) {
        let mut state = self.lock();
        state.limits.remove(&number);
        self.admit(&mut state);
    }

    /// How much there is, and how much of it is in use.
    pub fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            limit: state.limit(),
            used: state.used,
        }
    }

    /// Whether so much can ever be reserved.
    ///
    /// # Errors
    /// `MEMORY_LIMIT_EXCEEDED`.
    pub fn check(&self, bytes: usize, class: Class) -> Result<()> {
        refuse_impossible(&self.lock(), class, bytes)
    }

    /// Reserves, now or once there is room; a number = it waits, and may be withdrawn by it.
    pub fn reserve(
        self: &Arc<Self>,
        bytes: usize,
        class: Class,
        admitted: OnAdmitted,
    ) -> Option<u64> {
        let mut state = self.lock();
        if state.waiting(class).is_empty() && state.has_room(class, bytes) {
            state.add(class, bytes);
            admitted(self.reservation(class, bytes));
            return None;
        }
        state.overloaded = true;
        state.next += 1;
        let number = state.next;
        state.waiting(class).push_back(Waiter {
            number,
            bytes,
            admitted,
        });
        Some(number)
    }

    /// Reserves now or not at all.
    ///
    /// # Errors
    /// `OVERLOADED` with `budget`, `used`, `limit` and `retry_after_ms`; as [`Budget::check`].
    pub fn try_reserve(self: &Arc<Self>, bytes: usize, class: Class) -> Result<Reservation> {
        let mut state = self.lock();
        refuse_impossible(&state, class, bytes)?;
        if state.is_overloaded_for(class, bytes) {
            state.overloaded = true;
            return Err(overloaded(&state, class, bytes));
        }
        state.add(class, bytes);
        Ok(self.reservation(class, bytes))
    }

    /// Reserves whether there is room or not: for requests that were admitted and go on.
    pub fn force(self: &Arc<Self>, bytes: usize) -> Reservation {
        self.lock().add(Class::Other, bytes);
        self.reservation(Class::Other, bytes)
    }

    /// Takes a request that waits out of the line.
    pub fn withdraw(self: &Arc<Self>, number: u64) {
        let mut state = self.lock();
        for class in [Class::Delete, Class::Other] {
            let waiting = state.waiting(class);
            if let Some(place) = waiting.iter().position(|waiter| waiter.number == number) {
                let withdrawn = waiting.remove(place);
                self.admit(&mut state);
                drop(state);
                // What it holds is dropped without the lock.
                drop(withdrawn);
                return;
            }
        }
    }

    fn reservation(self: &Arc<Self>, class: Class, bytes: usize) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            class,
            bytes,
            began: Instant::now(),
        }
    }

    fn admit(self: &Arc<Self>, state: &mut State) {
        for class in [Class::Delete, Class::Other] {
            while let Some(first) = state.waiting(class).front() {
                let bytes = first.bytes;
                // Where nothing is in use, the limit has shrunk below what waits: let it pass.
                if !state.has_room(class, bytes) && state.used > 0 {
                    break;
                }
                let Some(waiter) = state.waiting(class).pop_front() else {
                    break;
                };
                state.add(class, bytes);
                (waiter.admitted)(self.reservation(class, bytes));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, so the state behind a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Makes it larger for what a request that was admitted turns out to need. With
    /// `refuse_overload` only where there is room; who can wait goes on, and those behind wait
    /// longer: if it waited here, with memory of its own, others might wait for it for ever.
    ///
    /// # Errors
    /// `MEMORY_LIMIT_EXCEEDED` where all of it could never be reserved, else `OVERLOADED`.
    pub fn grow(&mut self, bytes: usize, refuse_overload: bool) -> Result<()> {
        let mut state = self.budget.lock();
        refuse_impossible(&state, self.class, self.bytes.saturating_add(bytes))?;
        if refuse_overload && !state.has_room(self.class, bytes) {
            state.overloaded = true;
            return Err(overloaded(&state, self.class, bytes));
        }
        state.add(self.class, bytes);
        self.bytes += bytes;
        Ok(())
    }

    /// Makes it smaller or larger, whether there is room or not.
    pub fn resize(&mut self, bytes: usize) {
        let mut state = self.budget.lock();
        state.used = state.used - self.bytes + bytes;
        if self.class == Class::Delete {
            state.deletes_used = state.deletes_used - self.bytes + bytes;
        }
        self.bytes = bytes;
        let budget = Arc::clone(&self.budget);
        budget.admit(&mut state);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.used -= self.bytes;
        if self.class == Class::Delete {
            state.deletes_used -= self.bytes;
        }
        let held_ms = self.began.elapsed().as_millis() as u64;
        state.held_ms = (state.held_ms * 7 + held_ms) / 8;
        self.budget.admit(&mut state);
    }
}

fn refuse_impossible(state: &State, class: Class, bytes: usize) -> Result<()> {
    let limit = state.limit_of(class);
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::limit(
        ErrorCode::MemoryLimitExceeded,
        "the memory that the request needs",
        limit,
        bytes,
        "bytes",
    ))
}

fn overloaded(state: &State, class: Class, bytes: usize) -> Error {
    let (used, limit) = (state.used, state.limit_of(class));
    let (least, most) = RETRY_AFTER_MS;
    let retry_after = Duration::from_millis(state.held_ms.clamp(least, most)).as_millis() as u64;
    let message = format!(
        "{used} of {limit} bytes of the memory budget are in use, {bytes} more are needed; come \
         back in {retry_after} ms"
    );
    Error::new(ErrorCode::Overloaded, message)
        .with("budget", "memory")
        .with("used", used)
        .with("limit", limit)
        .with("actual", bytes)
        .with("unit", "bytes")
        .with("retry_after_ms", retry_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limit: usize) -> Arc<Budget> {
        let budget = Arc::new(Budget::default());
        budget.open(Some(limit));
        budget
    }

    type Admitted = Arc<Mutex<Vec<(u32, Reservation)>>>;

    fn wait(budget: &Arc<Budget>, bytes: usize, name: u32, admitted: &Admitted) -> Option<u64> {
        let admitted = Arc::clone(admitted);
        let note = move |reservation| admitted.lock().unwrap().push((name, reservation));
        budget.reserve(bytes, Class::Other, Box::new(note))
    }

    fn names(admitted: &Admitted) -> Vec<u32> {
        let admitted = admitted.lock().unwrap();
        admitted.iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn those_who_wait_are_admitted_in_order() {
        let budget = budget(1600);
        let first = budget.try_reserve(1000, Class::Other).unwrap();
        let admitted = Admitted::default();
        assert!(wait(&budget, 900, 1, &admitted).is_some());
        assert!(
            wait(&budget, 10, 2, &admitted).is_some(),
            "it must not overtake"
        );
        let third = wait(&budget, 800, 3, &admitted).unwrap();
        assert_eq!(names(&admitted), [0u32; 0]);
        budget.withdraw(third);
        drop(first);
        assert_eq!(names(&admitted), [1, 2]);
        assert_eq!(budget.usage().used, 910);
        let kept = std::mem::take(&mut *admitted.lock().unwrap());
        drop(kept);
        assert_eq!(
            budget.usage(),
            Usage {
                limit: 1600,
                used: 0
            }
        );
    }

    #[test]
    fn deletes_have_a_slice_of_their_own() {
        let budget = budget(1600);
        let _all = budget.try_reserve(1500, Class::Other).unwrap();
        assert!(budget.try_reserve(1, Class::Other).is_err());
        let one = budget.try_reserve(100, Class::Delete).unwrap();
        assert!(budget.try_reserve(1, Class::Delete).is_err());
        drop(one);
        assert!(budget.try_reserve(60, Class::Delete).is_ok());
    }

    #[test]
    fn an_overloaded_budget_stays_closed_until_a_quarter_is_free() {
        let budget = budget(1600);
        let mut first = budget.try_reserve(1500, Class::Other).unwrap();
        let error = budget.try_reserve(10, Class::Other).err().unwrap();
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(
            (&error.details["used"], &error.details["limit"]),
            (&1500.into(), &1500.into())
        );
        assert!(error.details["retry_after_ms"].as_u64() >= Some(10));
        first.resize(1300);
        assert!(budget.try_reserve(10, Class::Other).is_err());
        first.resize(1200);
        assert!(budget.try_reserve(10, Class::Other).is_ok());
    }

    #[test]
    fn what_never_fits_is_refused_and_the_least_limit_counts() {
        let budget = budget(1600);
        let error = budget.try_reserve(1501, Class::Other).err().unwrap();
        assert_eq!(error.code, ErrorCode::MemoryLimitExceeded);
        assert_eq!(error.details["limit"], 1500);
        let other = budget.open(Some(160));
        assert_eq!(budget.usage().limit, 160);
        let admitted = Admitted::default();
        let _first = budget.try_reserve(150, Class::Other).unwrap();
        wait(&budget, 140, 1, &admitted).unwrap();
        budget.close(other);
        assert_eq!(names(&admitted), [1]);
    }
}
