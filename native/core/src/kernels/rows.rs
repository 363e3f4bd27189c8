//! The arena of int8 code rows that the writer fills while searchers and the indexer read.
//!
//! Rows live in chunks that are allocated on first write and never move, so a reader needs no
//! lock and no reference count to hold on to a row. Every store and every load here is atomic;
//! the kernels read the same memory with plain vector loads, which is sound under one protocol:
//!
//! **A row is written only while no reader can reach its slot**: before the slot is published
//! (with release ordering), or after the last snapshot that saw it is gone.
//!
//! Were it broken, a kernel would see a mixture of two rows; it would still stay in bounds.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{
    AtomicPtr, AtomicU64, AtomicUsize,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use crate::record::Slot;

/// Bytes of a cache line: rows begin on one and are padded to a whole number of them.
pub(super) const LINE_BYTES: usize = 64;
pub(super) const WORDS_PER_LINE: usize = LINE_BYTES / 8;
/// Rows per chunk.
const CHUNK_ROWS: usize = 4096;
/// Chunks of an arena: 2^31 rows, the most records of a collection. Their table takes address
/// space for all of them, and memory for those in use.
const CHUNKS: usize = 1 << 19;
const _: () = assert!(CHUNKS * CHUNK_ROWS > crate::limits::RECORDS_MAX);

/// One cache line, as the words that are stored and loaded.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Line([AtomicU64; LINE_BYTES / 8]);

impl Line {
    /// The line's 64 codes.
    #[inline]
    pub(super) fn load(&self) -> [i8; LINE_BYTES] {
        let mut codes = [0; LINE_BYTES];
        for (bytes, word) in codes.chunks_exact_mut(8).zip(&self.0) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes().map(u8::cast_signed));
        }
        codes
    }

    /// The line as words; the first byte is in the lowest bits of the first.
    #[inline(always)]
    pub(super) fn words(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().map(|word| word.load(Relaxed))
    }

    fn store(&self, codes: &[i8]) {
        for (place, word) in self.0.iter().enumerate() {
            let mut bytes = [0; 8];
            for (byte, code) in bytes.iter_mut().zip(codes.iter().skip(place * 8)) {
                *byte = code.cast_unsigned();
            }
            word.store(u64::from_le_bytes(bytes), Relaxed);
        }
    }
}

/// Zeroed lines at a place in memory that never changes.
///
/// The allocator is asked for zeroed memory of small alignment and the lines start at the first
/// boundary in it: only so does the system hand out pages that stay unbacked until written.
#[derive(Debug)]
struct Lines {
    allocation: NonNull<u8>,
    first: NonNull<Line>,
    count: usize,
}

// SAFETY: the lines are owned, are freed once, and consist of atomics only.
unsafe impl Send for Lines {}
// SAFETY: as above; a shared `Lines` gives out nothing but shared atomics.
unsafe impl Sync for Lines {}

impl Lines {
    fn layout(count: usize) -> Layout {
        let bytes = count
            .checked_add(1)
            .and_then(|count| count.checked_mul(LINE_BYTES));
        match bytes.map(|bytes| Layout::from_size_align(bytes, 16)) {
            Some(Ok(layout)) => layout,
            _ => panic!("{count} lines exceed the address space"),
        }
    }

    fn zeroed(count: usize) -> Lines {
        let layout = Lines::layout(count);
        // SAFETY: the layout holds at least one line, so its size is not zero.
        let Some(allocation) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout);
        };
        let offset = allocation.align_offset(LINE_BYTES);
        // SAFETY: the allocation is one line longer than `count` lines, so it still holds them
        // all after the at most 63 bytes that are skipped for alignment.
        let first = unsafe { allocation.add(offset) }.cast();
        Lines {
            allocation,
            first,
            count,
        }
    }
}

impl std::ops::Deref for Lines {
    type Target = [Line];

    fn deref(&self) -> &[Line] {
        // SAFETY: `first` is aligned and followed by `count` lines that are initialized (zero is
        // a valid atomic) and live as long as `self`.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // SAFETY: the allocation was made with this very layout and is freed once.
        unsafe { dealloc(self.allocation.as_ptr(), Lines::layout(self.count)) }
    }
}

/// Rows of int8 codes by slot, each with a scale and a bias: written without locks, never moved.
///
/// A slot that was never written reads as a row of zeros with scale 0 and bias 0. See the module
/// for the protocol between the writer and the readers.
#[derive(Debug)]
pub struct CodeRows {
    lines_per_row: usize,
    /// Each null or the lines of a chunk, which are never replaced: the codes of its rows and
    /// behind them eight scale-and-bias words a line.
    chunks: Box<[AtomicPtr<Lines>]>,
    /// Chunks from this one on are null.
    chunks_end: AtomicUsize,
    /// What a never-written slot reads as: one row and one line of scale and bias.
    zeros: Lines,
}

impl CodeRows {
    /// An empty arena for rows of `dimension` codes.
    pub fn new(dimension: usize) -> Self {
        let lines_per_row = dimension.div_ceil(LINE_BYTES);
        CodeRows {
            lines_per_row,
            chunks: bytemuck::zeroed_slice_box(CHUNKS),
            chunks_end: AtomicUsize::new(0),
            zeros: Lines::zeroed(lines_per_row),
        }
    }

    /// Bytes of one row: the dimension rounded up to 64. The codes between are zero.
    pub fn row_bytes(&self) -> usize {
        self.lines_per_row * LINE_BYTES
    }

    /// Bytes of all chunks, allocated chunk by chunk on first write; pages of a chunk that no
    /// row has reached yet are counted although the system has not backed them.
    pub fn bytes_allocated(&self) -> usize {
        let slots = (0..self.chunks_end.load(Relaxed)).map(|chunk| (chunk * CHUNK_ROWS) as Slot);
        let chunks = slots.filter_map(|slot| self.chunk(slot));
        chunks.map(|(lines, _)| lines.len() * LINE_BYTES).sum()
    }

    /// Writes one row: its codes, zeros up to [`CodeRows::row_bytes`], its scale and its bias.
    ///
    /// # Panics
    /// If there are more codes than a row holds, or if the slot is 2^31 or above.
    pub fn write(&self, slot: Slot, codes: &[i8], scale: f32, bias: f32) {
        assert!(
            codes.len() <= self.row_bytes(),
            "{} codes in a row",
            codes.len()
        );
        let (lines, row) = match self.chunk(slot) {
            Some(chunk) => chunk,
            None => self.add_chunk(slot),
        };
        let first = row * self.lines_per_row;
        for (place, line) in lines[first..first + self.lines_per_row].iter().enumerate() {
            line.store(codes.get(place * LINE_BYTES..).unwrap_or_default());
        }
        let word = u64::from(scale.to_bits()) | u64::from(bias.to_bits()) << 32;
        self.scale_word(lines, row).store(word, Relaxed);
    }

    #[cold]
    fn add_chunk(&self, slot: Slot) -> (&Lines, usize) {
        let (chunk, row) = locate(slot);
        let Some(place) = self.chunks.get(chunk) else {
            panic!("slot {slot} is beyond the largest collection");
        };
        let added = Lines::zeroed(CHUNK_ROWS * self.lines_per_row + CHUNK_ROWS / 8);
        let added = Box::into_raw(Box::new(added));
        let lines = match place.compare_exchange(std::ptr::null_mut(), added, AcqRel, Acquire) {
            Ok(_) => added,
            Err(present) => {
                // SAFETY: another thread was first, so `added` was never shared.
                drop(unsafe { Box::from_raw(added) });
                present
            }
        };
        self.chunks_end.fetch_max(chunk + 1, Relaxed);
        // SAFETY: a chunk that is in the table stays there as long as `self`.
        (unsafe { &*lines }, row)
    }

    /// Copies the first codes of a row; what `codes` has beyond [`CodeRows::row_bytes`] is zeroed.
    pub fn read(&self, slot: Slot, codes: &mut [i8]) {
        let lines = self.row(slot);
        let (whole, rest) = codes.as_chunks_mut::<LINE_BYTES>();
        for (codes, line) in whole.iter_mut().zip(lines) {
            *codes = line.load();
        }
        let copied = whole.len().min(lines.len());
        whole[copied..].as_flattened_mut().fill(0);
        match lines.get(copied) {
            Some(line) => rest.copy_from_slice(&line.load()[..rest.len()]),
            None => rest.fill(0),
        }
    }

    /// Words of eight bytes of a row from a place on, the first byte in the lowest bits; zero
    /// behind the row's end and in a row that was never written.
    #[inline]
    pub fn words<const COUNT: usize>(&self, slot: Slot, place: usize) -> [u64; COUNT] {
        let row = self.row(slot);
        std::array::from_fn(|offset| {
            let place = place + offset;
            let line = row.get(place / WORDS_PER_LINE);
            line.map_or(0, |line| line.0[place % WORDS_PER_LINE].load(Relaxed))
        })
    }

    /// The scale and the bias that were written with the row.
    #[inline]
    pub fn scale_and_bias(&self, slot: Slot) -> (f32, f32) {
        let Some((lines, row)) = self.chunk(slot) else {
            return (0.0, 0.0);
        };
        let word = self.scale_word(lines, row).load(Relaxed);
        (
            f32::from_bits(word as u32),
            f32::from_bits((word >> 32) as u32),
        )
    }

    /// Asks the processor to bring the row, its scale and its bias near: a hint, never a fault.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        self.prefetch_codes(slot);
        if let Some((lines, row)) = self.chunk(slot) {
            prefetch_line_of(self.scale_word(lines, row));
        }
    }

    /// As [`CodeRows::prefetch`], without scale and bias.
    #[inline]
    pub fn prefetch_codes(&self, slot: Slot) {
        if let Some((lines, row)) = self.chunk(slot) {
            let first = row * self.lines_per_row;
            for line in &lines[first..first + self.lines_per_row] {
                prefetch_line_of(line);
            }
        }
    }

    /// The lines of a row: exactly `row_bytes / 64`, of zeros where the slot was never written.
    #[inline]
    pub(super) fn row(&self, slot: Slot) -> &[Line] {
        match self.chunk(slot) {
            Some((lines, row)) => {
                let first = row * self.lines_per_row;
                &lines[first..first + self.lines_per_row]
            }
            None => &self.zeros,
        }
    }

    /// The codes of a row, where they are.
    #[inline]
    pub(super) fn codes(&self, slot: Slot) -> &[i8] {
        let row = self.row(slot);
        // SAFETY: a line is 64 bytes, any of which is a valid code. No writer is at work on the
        // row (the protocol of this module).
        unsafe { std::slice::from_raw_parts(row.as_ptr().cast(), size_of_val(row)) }
    }

    /// The chunk that holds a slot and the row's place in it.
    #[inline]
    fn chunk(&self, slot: Slot) -> Option<(&Lines, usize)> {
        let (chunk, row) = locate(slot);
        let lines = self.chunks.get(chunk)?.load(Acquire);
        // SAFETY: null, or a chunk that stays in the table as long as `self`.
        Some((unsafe { lines.as_ref() }?, row))
    }

    #[inline]
    fn scale_word<'a>(&self, lines: &'a [Line], row: usize) -> &'a AtomicU64 {
        &lines[CHUNK_ROWS * self.lines_per_row + row / 8].0[row % 8]
    }
}

impl Drop for CodeRows {
    fn drop(&mut self) {
        for chunk in &mut self.chunks[..*self.chunks_end.get_mut()] {
            let lines = std::mem::replace(chunk.get_mut(), std::ptr::null_mut());
            if !lines.is_null() {
                // SAFETY: made by `add_chunk` from a box, and taken out of the table just now.
                drop(unsafe { Box::from_raw(lines) });
            }
        }
    }
}

/// The chunk of a slot and the row in it.
#[inline]
fn locate(slot: Slot) -> (usize, usize) {
    let slot = slot as usize;
    (slot / CHUNK_ROWS, slot % CHUNK_ROWS)
}

/// Asks for the cache line in which a place begins: a hint that waits for nothing.
#[inline(always)]
pub(super) fn prefetch_line_of<T>(place: &T) {
    let place = std::ptr::from_ref(place);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing; SSE belongs to every x86-64 processor.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch reads nothing; every 64-bit ARM processor has it.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{place}]",
            place = in(reg) place,
            options(readonly, nostack, preserves_flags),
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_slot_that_was_never_written_reads_as_zeros() {
        let rows = CodeRows::new(100);
        rows.write(7, &[1; 100], 2.0, 3.0);
        for slot in [0, 6, 8, 4095, 4096, u32::MAX / 2, u32::MAX] {
            let mut codes = [9; 130];
            rows.read(slot, &mut codes);
            assert_eq!(codes, [0; 130]);
            assert_eq!(rows.scale_and_bias(slot), (0.0, 0.0));
            rows.prefetch(slot);
        }
    }

    #[test]
    fn memory_is_taken_by_the_chunk() {
        let rows = CodeRows::new(65);
        assert_eq!((rows.row_bytes(), rows.bytes_allocated()), (128, 0));
        rows.write(0, &[1], 1.0, 0.0);
        rows.write(4095, &[1], 1.0, 0.0);
        let chunk = 4096 * (128 + 8);
        assert_eq!(rows.bytes_allocated(), chunk);
        rows.write(1 << 30, &[1], 1.0, 0.0);
        assert_eq!(rows.bytes_allocated(), 2 * chunk);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_row_reads_as_it_was_last_written(
            dimension in 1usize..300,
            writes in prop::collection::vec((0u32..9000, any::<i8>(), any::<f32>()), 1..40),
        ) {
            let rows = CodeRows::new(dimension);
            let mut model = HashMap::new();
            for (slot, seed, scale) in writes {
                let codes: Vec<i8> =
                    (0..dimension).map(|place| seed.wrapping_add(place as i8)).collect();
                rows.write(slot, &codes, scale, -scale);
                model.insert(slot, (codes, scale));
            }
            for (slot, (codes, scale)) in model {
                let mut read = vec![5; rows.row_bytes()];
                rows.read(slot, &mut read);
                prop_assert_eq!(&read[..dimension], &codes[..]);
                prop_assert!(read[dimension..].iter().all(|&code| code == 0));
                let (read_scale, bias) = rows.scale_and_bias(slot);
                prop_assert_eq!(read_scale.to_bits(), scale.to_bits());
                prop_assert_eq!(bias.to_bits(), (-scale).to_bits());
            }
        }
    }
}
