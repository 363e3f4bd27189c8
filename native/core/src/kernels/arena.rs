//! Rows of equal length by slot, in chunks that are allocated on first write and never move.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytemuck::Zeroable;

use super::pages::Pages;
use crate::limits::RECORDS_MAX;
use crate::record::Slot;

/// Rows of the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK_ROWS: usize = 1024;
/// Chunks up to the most records: 1024 * (2^22 - 1) rows.
const CHUNKS: usize = 22;

const _: () = assert!(FIRST_CHUNK_ROWS * ((1 << CHUNKS) - 1) > RECORDS_MAX);

/// Rows of words that have interior mutability: a reader needs no lock and no reference count to
/// hold on to a row while others are written, or while the arena grows.
///
/// Rows begin on a cache line where their length is a multiple of it. Chunks are backed by memory
/// page by page, as their rows are written.
#[derive(Debug)]
pub struct Arena<T> {
    row_len: usize,
    chunks: [OnceLock<Pages<T>>; CHUNKS],
    /// Rows behind this one were never asked for with [`Arena::row_for_writing`].
    rows_end: AtomicUsize,
}

impl<T: Zeroable> Arena<T> {
    /// An empty arena for rows of so many words.
    pub fn new(row_len: usize) -> Self {
        Arena {
            row_len,
            chunks: [const { OnceLock::new() }; CHUNKS],
            rows_end: AtomicUsize::new(0),
        }
    }

    /// Count of words of one row.
    #[inline]
    pub fn row_len(&self) -> usize {
        self.row_len
    }

    /// The row of a slot; none where its chunk has no row yet.
    #[inline]
    pub fn row(&self, slot: Slot) -> Option<&[T]> {
        let (chunk, row) = locate(slot);
        self.row_of(self.chunks.get(chunk)?.get()?, row)
    }

    /// The row of a slot behind all that were ever asked for with [`Arena::row_for_writing`]; empty
    /// for others.
    pub(super) fn row_ahead(&self, slot: Slot) -> &[T] {
        let (chunk, row) = locate(slot);
        if (slot as usize) < self.rows_end.load(Relaxed) {
            return &[];
        }
        self.pages_for_writing(chunk)
            .and_then(|pages| self.row_of(pages, row))
            .unwrap_or_default()
    }

    /// The row of a slot, zeroed where it was never written.
    ///
    /// # Panics
    /// If the slot is 2^31 or above.
    pub fn row_for_writing(&self, slot: Slot) -> &[T] {
        let (chunk, row) = locate(slot);
        let pages = self.pages_for_writing(chunk);
        match pages.and_then(|pages| self.row_of(pages, row)) {
            Some(row) => {
                // Most rows were written before: their writers need not take turns.
                if self.rows_end.load(Relaxed) <= slot as usize {
                    self.rows_end.fetch_max(slot as usize + 1, Relaxed);
                }
                row
            }
            None => panic!("slot {slot} is beyond the largest collection"),
        }
    }

    /// Bytes of all rows up to the last that was written.
    pub fn bytes(&self) -> usize {
        self.rows_end.load(Relaxed) * self.row_len * size_of::<T>()
    }

    /// The pages of a chunk, allocated where they are not yet; none beyond the last chunk.
    #[inline]
    fn pages_for_writing(&self, chunk: usize) -> Option<&Pages<T>> {
        let cell = self.chunks.get(chunk)?;
        Some(cell.get_or_init(|| Pages::zeroed((FIRST_CHUNK_ROWS << chunk) * self.row_len)))
    }

    #[inline(always)]
    fn row_of<'p>(&self, pages: &'p Pages<T>, row: usize) -> Option<&'p [T]> {
        let first = row * self.row_len;
        pages.get(first..first + self.row_len)
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
    use std::sync::atomic::AtomicU32;

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
    fn rows_come_by_the_chunk_and_keep_what_is_written() {
        let arena: Arena<AtomicU32> = Arena::new(3);
        assert!(arena.row(0).is_none());
        assert_eq!(arena.bytes(), 0);
        for slot in [0, 1023, 1024, 5000] {
            arena.row_for_writing(slot)[2].store(slot + 1, Relaxed);
        }
        for slot in [0, 1023, 1024, 5000] {
            assert_eq!(
                arena.row(slot).map(|row| row[2].load(Relaxed)),
                Some(slot + 1)
            );
        }
        assert_eq!(arena.row(1).map(|row| row[2].load(Relaxed)), Some(0));
        assert_eq!(arena.bytes(), 5001 * 12);
        for slot in [1 << 20, 1 << 30, u32::MAX] {
            assert!(arena.row(slot).is_none());
        }
    }
}
