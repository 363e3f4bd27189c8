//! The links of layer 0, read by searches while the indexer rewrites them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::kernels;
use crate::limits::RECORDS_MAX;
use crate::record::Slot;

/// Rows of the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK_ROWS: usize = 1024;
/// Chunks up to the most records: 1024 * (2^22 - 1) rows.
const CHUNKS: usize = 22;
/// Words of a cache line: rows begin on one where their stride allows it.
const LINE_WORDS: usize = 16;

const _: () = assert!(FIRST_CHUNK_ROWS * ((1 << CHUNKS) - 1) > RECORDS_MAX);

/// Lists of neighbors by slot, of bounded length, without locks.
///
/// A row is a count and that many slots. One indexer writes; any number of searches read at
/// the same time. Every word is atomic and no list is ever moved, so a search that meets a list
/// half rewritten reads slots of the old and of the new list: all of them have codes, and what
/// the search may not see it drops.
#[derive(Debug)]
pub(super) struct LinkRows {
    capacity: usize,
    chunks: [OnceLock<Chunk>; CHUNKS],
}

/// Words of whole rows; the first row begins after `skipped` words, on a cache line.
#[derive(Debug)]
struct Chunk {
    words: Box<[AtomicU32]>,
    skipped: usize,
}

impl Chunk {
    fn zeroed(words: usize) -> Chunk {
        let words = bytemuck::zeroed_slice_box::<AtomicU32>(words + LINE_WORDS);
        let skipped = words
            .as_ptr()
            .align_offset(LINE_WORDS * size_of::<AtomicU32>());
        Chunk {
            skipped: skipped.min(LINE_WORDS),
            words,
        }
    }
}

impl LinkRows {
    /// Lists of at most `capacity` slots.
    pub fn new(capacity: usize) -> Self {
        LinkRows {
            capacity,
            chunks: [const { OnceLock::new() }; CHUNKS],
        }
    }

    /// Most slots of one list.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The list of a slot, empty where none was written.
    pub fn list(&self, slot: Slot) -> impl Iterator<Item = Slot> + '_ {
        self.row(slot).iter().map(|word| word.load(Relaxed))
    }

    /// Count of links of a slot.
    pub fn count(&self, slot: Slot) -> usize {
        self.row(slot).len()
    }

    /// The links as they are stored; what a search reads.
    #[inline]
    pub fn row(&self, slot: Slot) -> &[AtomicU32] {
        let (chunk, row) = locate(slot);
        let stored = self.chunks.get(chunk).and_then(OnceLock::get);
        let Some((count, links)) = stored.and_then(|chunk| self.words(chunk, row).split_first())
        else {
            return &[];
        };
        let count = count.load(Relaxed) as usize;
        links.get(..count).unwrap_or(links)
    }

    /// Asks for a list that will soon be read, whatever its length: to read the length would be
    /// to wait for it.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        let (chunk, row) = locate(slot);
        if let Some(chunk) = self.chunks.get(chunk).and_then(OnceLock::get) {
            kernels::prefetch(self.words(chunk, row));
        }
    }

    /// Replaces a list; links beyond the capacity are dropped.
    pub fn write(&self, slot: Slot, list: &[Slot]) {
        let (chunk, row) = locate(slot);
        let Some(cell) = self.chunks.get(chunk) else {
            return;
        };
        let rows = FIRST_CHUNK_ROWS << chunk;
        let chunk = cell.get_or_init(|| Chunk::zeroed(rows * self.stride()));
        let Some((count, links)) = self.words(chunk, row).split_first() else {
            return;
        };
        for (word, &link) in links.iter().zip(list) {
            word.store(link, Relaxed);
        }
        count.store(list.len().min(self.capacity) as u32, Relaxed);
    }

    /// Adds links behind the others, as many as there is room for.
    pub fn append(&self, slot: Slot, added: impl Iterator<Item = Slot>) {
        let list: Vec<Slot> = self.list(slot).chain(added).take(self.capacity).collect();
        self.write(slot, &list);
    }

    /// Bytes of the chunks so far, backed by memory only as far as rows were written.
    pub fn bytes_allocated(&self) -> usize {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        chunks.map(|chunk| size_of_val(&*chunk.words)).sum()
    }

    fn stride(&self) -> usize {
        self.capacity + 1
    }

    #[inline]
    fn words<'a>(&self, chunk: &'a Chunk, row: usize) -> &'a [AtomicU32] {
        let first = chunk.skipped + row * self.stride();
        chunk
            .words
            .get(first..first + self.stride())
            .unwrap_or_default()
    }
}

/// The chunk of a slot and the row in it.
#[inline]
fn locate(slot: Slot) -> (usize, usize) {
    let place = slot as usize + FIRST_CHUNK_ROWS;
    let chunk = (place / FIRST_CHUNK_ROWS).ilog2() as usize;
    (chunk, place - (FIRST_CHUNK_ROWS << chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut last = (0, usize::MAX);
        for slot in 0..20_000 {
            let (chunk, row) = locate(slot);
            assert!(row < FIRST_CHUNK_ROWS << chunk);
            let follows = (chunk, row) == (last.0, last.1.wrapping_add(1));
            assert!(follows || (chunk, row) == (last.0 + 1, 0), "slot {slot}");
            last = (chunk, row);
        }
        assert!(locate(RECORDS_MAX as u32).0 < CHUNKS);
    }

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
        assert!(links.bytes_allocated() > 0);
    }
}
