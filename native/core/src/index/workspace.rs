//! Memory that a thread works in, kept from one piece of work to the next.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::candidate::Candidate;
use super::leaders::ScanBuffers;
use super::leaf::LeafBuffers;
use super::prune::PruneBuffers;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// How long a thread of the indexer works before it lets others run.
const TURN: Duration = Duration::from_micros(500);

/// A set of slots that is cheap to clear, and knows in what order they came.
#[derive(Debug, Default)]
pub(super) struct Visited {
    bits: Vec<u64>,
    /// The slots of the set, the first `count` of them; there is always room for one more.
    slots: Vec<Slot>,
    count: usize,
}

impl Visited {
    /// Adds a slot; true if it was not in the set.
    #[inline]
    pub fn insert(&mut self, slot: Slot) -> bool {
        let before = self.count;
        self.extend(std::iter::once(slot));
        self.count > before
    }

    /// Adds some slots.
    ///
    /// Whether a slot is new cannot be predicted, so there is no branch on it: each is written,
    /// and the place for the next moves on only behind a new one.
    #[inline]
    pub fn extend(&mut self, added: impl ExactSizeIterator<Item = Slot>) {
        let Visited { bits, slots, count } = self;
        if slots.len() <= *count + added.len() {
            grow(slots, *count + added.len());
        }
        let room = &mut slots[*count..];
        let mut new = 0;
        for slot in added {
            let word = slot as usize / 64;
            if word >= bits.len() {
                grow(bits, word);
            }
            let bit = 1 << (slot % 64);
            room[new] = slot;
            new += usize::from(bits[word] & bit == 0);
            bits[word] |= bit;
        }
        *count += new;
    }

    /// Count of slots in the set.
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// The slots that came when there were already so many, in order.
    #[inline]
    pub fn since(&self, count: usize) -> &[Slot] {
        self.slots[..self.count].get(count..).unwrap_or_default()
    }

    /// Empties the set in time proportional to what is in it.
    pub fn clear(&mut self) {
        for &slot in &self.slots[..self.count] {
            self.bits[slot as usize / 64] = 0;
        }
        self.count = 0;
    }
}

/// Makes a list long enough for a place.
#[cold]
fn grow<T: Clone + Default>(list: &mut Vec<T>, place: usize) {
    list.resize(place + 1 + place / 2, T::default());
}

/// What one thread of the indexer works in.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub queries: Vec<CodeQuery>,
    pub scan: ScanBuffers,
    pub leaf: LeafBuffers,
    pub prune: PruneBuffers,
    pub visited: Visited,
    pub slots: Vec<Slot>,
    pub distances: Vec<f32>,
    pub keys: Vec<u64>,
    pub kept: Vec<Candidate>,
}

/// The workspaces of all threads; what is in one never shows in a result.
#[derive(Debug, Default)]
pub(super) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// Runs a piece of work in a workspace of its own.
    pub fn with<R>(&self, work: impl FnOnce(&mut Workspace) -> R) -> R {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = idle.unwrap_or_default();
        let result = work(&mut workspace);
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(workspace);
        let_others_run();
        result
    }
}

/// Lets threads run that wait for this processor, if it was long since.
///
/// A lower priority alone does not do that: a system may let whoever runs go on until the next
/// tick of its clock, which is up to 4 ms, and a search takes a twentieth of that.
fn let_others_run() {
    thread_local! {
        static LAST: Cell<Instant> = Cell::new(Instant::now());
    }
    LAST.with(|last| {
        if last.get().elapsed() >= TURN {
            std::thread::yield_now();
            last.set(Instant::now());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_new_once_until_the_set_is_cleared() {
        let mut visited = Visited::default();
        for _ in 0..2 {
            for slot in [0, 63, 64, 10_000, 2_000_000] {
                assert!(visited.insert(slot));
                assert!(!visited.insert(slot));
            }
            visited.extend([7, 64, 3_000_000, 7].into_iter());
            assert_eq!(visited.since(1), [63, 64, 10_000, 2_000_000, 7, 3_000_000]);
            visited.clear();
            assert_eq!((visited.len(), visited.since(0)), (0, &[][..]));
        }
    }
}
