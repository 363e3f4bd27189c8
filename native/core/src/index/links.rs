//! The links of layer 0, read by searches while the indexer rewrites them.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::kernels::{self, Arena};
use crate::record::Slot;

/// Lists of neighbors by slot, of bounded length, without locks.
///
/// A row is a count and that many slots. One indexer writes; any number of searches read at
/// the same time. Every word is atomic and no list is ever moved, so a search that meets a list
/// half rewritten reads slots of the old and of the new list: all of them have codes, and what
/// the search may not see it drops.
#[derive(Debug)]
pub(super) struct LinkRows(Arena<AtomicU32>);

impl LinkRows {
    /// Lists of at most `capacity` slots.
    pub fn new(capacity: usize) -> Self {
        LinkRows(Arena::new(capacity + 1))
    }

    /// Most slots of one list.
    pub fn capacity(&self) -> usize {
        self.0.row_len() - 1
    }

    /// The list of a slot, empty where none was written.
    #[inline]
    pub fn list(&self, slot: Slot) -> impl ExactSizeIterator<Item = Slot> + '_ {
        self.row(slot).iter().map(|word| word.load(Relaxed))
    }

    /// Count of links of a slot.
    pub fn count(&self, slot: Slot) -> usize {
        self.row(slot).len()
    }

    #[inline]
    fn row(&self, slot: Slot) -> &[AtomicU32] {
        let Some((count, links)) = self.0.row(slot).and_then(<[_]>::split_first) else {
            return &[];
        };
        let count = count.load(Relaxed) as usize;
        links.get(..count).unwrap_or(links)
    }

    /// Makes the list of a slot that never had one empty, as it is. A page that is read before it
    /// is written comes from the system twice: this writes first.
    pub fn begin(&self, slot: Slot) {
        self.write(slot, &[]);
    }

    /// Asks for a list that will soon be read, whatever its length: to read the length would be
    /// to wait for it.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        kernels::prefetch(self.0.row(slot).unwrap_or_default());
    }

    /// Replaces a list; links beyond the capacity are dropped.
    pub fn write(&self, slot: Slot, list: &[Slot]) {
        let Some((count, links)) = self.0.row_for_writing(slot).split_first() else {
            return;
        };
        for (word, &link) in links.iter().zip(list) {
            word.store(link, Relaxed);
        }
        count.store(list.len().min(links.len()) as u32, Relaxed);
    }

    /// Adds links behind the others, as many as there is room for.
    pub fn append(&self, slot: Slot, added: impl Iterator<Item = Slot>) {
        let list: Vec<Slot> = self.list(slot).chain(added).take(self.capacity()).collect();
        self.write(slot, &list);
    }

    /// Bytes of all lists up to the last that was written.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_written_and_slots_without_a_list_are_empty() {
        let links = LinkRows::new(5);
        for slot in [0, 1023, 1024, 5000] {
            links.write(slot, &[slot, 7, 8]);
            links.append(slot, [9, 10, 11].into_iter());
        }
        for slot in [0, 1023, 1024, 5000] {
            assert_eq!(links.list(slot).collect::<Vec<_>>(), [slot, 7, 8, 9, 10]);
        }
        links.write(1023, &[]);
        for slot in [1, 1023, 4999, 1 << 30, u32::MAX] {
            assert_eq!(links.count(slot), 0);
        }
        assert_eq!(links.bytes(), 5001 * 6 * 4);
    }
}
