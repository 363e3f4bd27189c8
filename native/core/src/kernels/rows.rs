//! The arena of int8 code rows that the writer fills while searchers and the indexer read.
//!
//! Every store and every load here is atomic; the kernels read the same memory with plain vector
//! loads, which is sound under one protocol:
//!
//! **A row is written only while no reader can reach its slot**: before the slot is published
//! (with release ordering), or after the last snapshot that saw it is gone.
//!
//! Were it broken, a kernel would see a mixture of two rows; it would still stay in bounds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytemuck::Zeroable;

use super::arena::Arena;
use crate::record::Slot;

/// Bytes of a cache line: rows begin on one and are padded to a whole number of them.
pub(super) const LINE_BYTES: usize = 64;
pub(super) const WORDS_PER_LINE: usize = LINE_BYTES / 8;
/// Rows that are scored together: their sums fill the registers, and a query's line is loaded
/// once for all of them.
pub const ROWS_AT_ONCE: usize = 4;
/// Lines of the smallest page of memory.
const PAGE_LINES: usize = 4096 / LINE_BYTES;

/// One cache line, as the words that are stored and loaded.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Line([AtomicU64; LINE_BYTES / 8]);

// SAFETY: zeroed words are atomics of value 0.
unsafe impl Zeroable for Line {}

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

/// The codes of a row's lines, where they are.
#[inline]
pub(super) fn codes_of(row: &[Line]) -> &[i8] {
    // SAFETY: a line is 64 bytes, any of which is a valid code. No writer is at work on the row
    // (the protocol of this module).
    unsafe { std::slice::from_raw_parts(row.as_ptr().cast(), size_of_val(row)) }
}

/// Rows of int8 codes by slot, each with a scale and a bias: written without locks, never moved.
///
/// A slot that was never written reads as a row of zeros with scale 0 and bias 0. See the module
/// for the protocol between the writer and the readers.
#[derive(Debug)]
pub struct CodeRows {
    lines: Arena<Line>,
    /// Of each row its scale and, above it, its bias.
    scales: Arena<AtomicU64>,
    /// What a slot that was never written reads as.
    zeros: Box<[Line]>,
}

impl CodeRows {
    /// An empty arena for rows of `dimension` codes.
    pub fn new(dimension: usize) -> Self {
        let lines_per_row = dimension.div_ceil(LINE_BYTES);
        CodeRows {
            lines: Arena::new(lines_per_row),
            scales: Arena::new(1),
            zeros: (0..lines_per_row).map(|_| Line::default()).collect(),
        }
    }

    /// Bytes of one row: the dimension rounded up to 64. The codes between are zero.
    pub fn row_bytes(&self) -> usize {
        self.lines.row_len() * LINE_BYTES
    }

    /// Bytes of all rows up to the last that was written.
    pub fn bytes(&self) -> usize {
        self.lines.bytes() + self.scales.bytes()
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
        let lines = self.lines.row_for_writing(slot);
        for (place, line) in lines.iter().enumerate() {
            line.store(codes.get(place * LINE_BYTES..).unwrap_or_default());
        }
        let word = u64::from(scale.to_bits()) | u64::from(bias.to_bits()) << 32;
        self.scales.row_for_writing(slot)[0].store(word, Relaxed);
    }

    /// Has the system back a row that will be written for the first time with memory.
    pub fn prepare(&self, slot: Slot) {
        let row = self.lines.row_ahead(slot);
        let pages = row.iter().step_by(PAGE_LINES);
        pages.for_each(|line| line.0[0].store(0, Relaxed));
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
    pub(super) fn words<const COUNT: usize>(&self, slot: Slot, place: usize) -> [u64; COUNT] {
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
        let Some(word) = self.scale_word(slot) else {
            return (0.0, 0.0);
        };
        let word = word.load(Relaxed);
        (
            f32::from_bits(word as u32),
            f32::from_bits((word >> 32) as u32),
        )
    }

    /// Asks the processor to bring the row, its scale and its bias near: a hint, never a fault.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        self.prefetch_codes(slot);
        if let Some(word) = self.scale_word(slot) {
            prefetch_line_of(word);
        }
    }

    /// As [`CodeRows::prefetch`], without scale and bias.
    #[inline]
    pub fn prefetch_codes(&self, slot: Slot) {
        for line in self.lines.row(slot).unwrap_or_default() {
            prefetch_line_of(line);
        }
    }

    /// The lines of a row: exactly `row_bytes / 64`, of zeros where the slot was never written.
    #[inline]
    pub(super) fn row(&self, slot: Slot) -> &[Line] {
        self.lines.row(slot).unwrap_or(&self.zeros)
    }

    /// The codes of a row, where they are.
    #[inline]
    pub(super) fn codes(&self, slot: Slot) -> &[i8] {
        codes_of(self.row(slot))
    }

    #[inline]
    fn scale_word(&self, slot: Slot) -> Option<&AtomicU64> {
        self.scales.row(slot)?.first()
    }
}

/// Asks for the cache line in which a place begins: a hint that waits for nothing.
///
/// It asks for the second level of the cache: what is asked for ahead of several steps is more
/// than the first level holds beside what is in use (measured: a fifth more searches a second).
#[inline(always)]
pub(super) fn prefetch_line_of<T>(place: &T) {
    let place = std::ptr::from_ref(place);
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing; SSE belongs to every x86-64 processor.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(place.cast()) }
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
    fn rows_that_were_made_ready_are_neither_counted_nor_changed() {
        let rows = CodeRows::new(5000);
        rows.write(3, &[1; 5000], 1.0, 0.0);
        for slot in [0, 3, 4, 5000, u32::MAX] {
            rows.prepare(slot);
        }
        assert_eq!(rows.bytes(), 4 * (5056 + 8));
        let mut codes = [0; 5000];
        rows.read(3, &mut codes);
        assert_eq!(codes, [1; 5000]);
        rows.read(4, &mut codes);
        assert_eq!(codes, [0; 5000]);
    }

    #[test]
    fn memory_is_counted_to_the_last_row() {
        let rows = CodeRows::new(65);
        assert_eq!((rows.row_bytes(), rows.bytes()), (128, 0));
        rows.write(4095, &[1], 1.0, 0.0);
        rows.write(0, &[1], 1.0, 0.0);
        assert_eq!(rows.bytes(), 4096 * (128 + 8));
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
