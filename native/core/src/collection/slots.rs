//! Which slots are free, and from when on.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::snapshot::Snapshot;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::RECORDS_MAX;
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

    /// The first slot that was never handed out.
    pub fn next(&self) -> Slot {
        self.next
    }

    /// Whether so many slots can be handed out.
    ///
    /// # Errors
    /// `BATCH_TOO_LARGE` beyond [`RECORDS_MAX`], with those counted whose records readers still
    /// see or the graph still has.
    pub fn check_room(&self, count: usize) -> Result<()> {
        let oldest = self.oldest();
        let free = self.free.partition_point(|(_, freed)| *freed < oldest);
        let actual = self.next as usize + count.saturating_sub(free);
        if actual <= RECORDS_MAX {
            return Ok(());
        }
        let (code, field) = (ErrorCode::BatchTooLarge, "the collection");
        Err(Error::limit(code, field, RECORDS_MAX, actual, "records"))
    }

    /// The first publication that a reader may still hold.
    fn oldest(&self) -> u64 {
        self.published.front().map_or(u64::MAX, |(epoch, _)| *epoch)
    }

    /// A slot that no reader can see.
    pub fn allocate(&mut self) -> Slot {
        let oldest = self.oldest();
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_collection_has_no_more_slots_than_its_limit() {
        let allocator = SlotAllocator::new(RECORDS_MAX as Slot - 2, [7]);
        allocator.check_room(3).unwrap();
        let error = allocator.check_room(4).unwrap_err();
        assert_eq!(error.code, ErrorCode::BatchTooLarge);
        assert_eq!(
            (&error.details["limit"], &error.details["actual"]),
            (&RECORDS_MAX.into(), &(RECORDS_MAX + 1).into())
        );
    }
}
