//! Which slots are free, and from when on.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::snapshot::Snapshot;
use crate::record::Slot;

/// Hands out slots: a freed one once no reader can see it any more, else a new one.
///
/// A slot is freed after the indexer has taken it out of the graph. Snapshots that were
/// published before that moment may still show the slot's last record, so the slot waits until
/// all of them are gone.
#[derive(Debug, Default)]
pub struct SlotAllocator {
    next: Slot,
    free: VecDeque<(Slot, u64)>,
    published: VecDeque<(u64, Weak<Snapshot>)>,
    epoch: u64,
}

impl SlotAllocator {
    /// An allocator after recovery, when no reader exists yet.
    pub fn new(next: Slot, free: impl IntoIterator<Item = Slot>) -> Self {
        let free = free.into_iter().map(|slot| (slot, 0)).collect();
        SlotAllocator {
            next,
            free,
            published: VecDeque::new(),
            epoch: 0,
        }
    }

    /// A slot that no reader can see.
    pub fn allocate(&mut self) -> Slot {
        let oldest = self.published.front().map_or(u64::MAX, |(epoch, _)| *epoch);
        match self.free.front() {
            Some((slot, freed)) if *freed < oldest => {
                let slot = *slot;
                self.free.pop_front();
                slot
            }
            _ => {
                self.next += 1;
                self.next - 1
            }
        }
    }

    /// Gives slots back; the snapshots published so far may still show them.
    pub fn free(&mut self, slots: impl IntoIterator<Item = Slot>) {
        let epoch = self.epoch;
        self.free
            .extend(slots.into_iter().map(|slot| (slot, epoch)));
    }

    /// Notes a snapshot that readers can get from now on.
    pub fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        self.epoch += 1;
        self.published
            .push_back((self.epoch, Arc::downgrade(snapshot)));
        while self
            .published
            .front()
            .is_some_and(|(_, weak)| weak.strong_count() == 0)
        {
            self.published.pop_front();
        }
    }
}
