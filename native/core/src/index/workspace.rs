//! Memory that a thread works in, kept from one piece of work to the next.

use std::sync::{Mutex, PoisonError};

use super::candidate::Candidate;
use super::leaders::ScanBuffers;
use super::leaf::LeafBuffers;
use super::prune::PruneBuffers;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// A set of slots that is cheap to clear.
#[derive(Debug, Default)]
pub(super) struct Visited {
    bits: Vec<u64>,
    /// Places of the words that are not zero, the first `touched_count` of them. There is room
    /// for one more than there are words: whether a word was zero cannot be predicted, so its
    /// place is written in any case, and stays only where the count moves on.
    touched: Vec<u32>,
    touched_count: usize,
}

impl Visited {
    /// Adds a slot; true if it was not in the set.
    #[inline]
    pub fn insert(&mut self, slot: Slot) -> bool {
        let place = slot as usize / 64;
        if place >= self.bits.len() {
            self.grow(place);
        }
        let next = self.touched.get_mut(self.touched_count);
        let (Some(word), Some(next)) = (self.bits.get_mut(place), next) else {
            return false;
        };
        *next = place as u32;
        self.touched_count += usize::from(*word == 0);
        let bit = 1 << (slot % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    #[cold]
    fn grow(&mut self, place: usize) {
        self.bits.resize(place + 1 + place / 2, 0);
        self.touched.resize(self.bits.len() + 1, 0);
    }

    /// Empties the set in time proportional to what is in it.
    pub fn clear(&mut self) {
        for &place in self.touched.iter().take(self.touched_count) {
            if let Some(word) = self.bits.get_mut(place as usize) {
                *word = 0;
            }
        }
        self.touched_count = 0;
    }
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
        result
    }
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
            visited.clear();
        }
    }
}
