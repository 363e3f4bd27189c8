//! Rows copied from the arena to stand together: what is compared many times over is looked up and
//! brought near once.

use super::rows::{CodeRows, LINE_BYTES, Line, Rows};
use crate::record::Slot;

/// Copies of some rows of an arena, by their place in the list that they were gathered by.
#[derive(Debug, Default)]
pub struct GatheredRows {
    /// Of the rows one after another; more than there are rows, where there were more before.
    lines: Vec<Line>,
    lines_per_row: usize,
    scales: Vec<(f32, f32)>,
}

impl GatheredRows {
    /// Takes the rows of some slots in place of those from before.
    pub fn gather(&mut self, rows: &CodeRows, slots: &[Slot]) {
        self.lines_per_row = rows.row_bytes() / LINE_BYTES;
        let lines = slots.len() * self.lines_per_row;
        if self.lines.len() < lines {
            self.lines.resize_with(lines, Line::default);
        }
        self.scales.clear();
        self.scales
            .extend(slots.iter().map(|&slot| rows.scale_and_bias(slot)));
        let copies = self.lines.chunks_exact_mut(self.lines_per_row.max(1));
        for (copy, &slot) in copies.zip(slots) {
            let row = rows.row(slot);
            assert_eq!(copy.len(), row.len(), "lines of a row");
            // SAFETY: both are as many whole lines, and the copy is borrowed by nobody else. No
            // writer is at work on the row (the protocol of `rows`).
            unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), copy.as_mut_ptr(), row.len()) }
        }
    }
}

impl Rows for GatheredRows {
    #[inline]
    fn row_bytes(&self) -> usize {
        self.lines_per_row * LINE_BYTES
    }

    #[inline]
    fn row(&self, number: u32) -> &[Line] {
        let start = number as usize * self.lines_per_row;
        &self.lines[start..start + self.lines_per_row]
    }

    #[inline]
    fn scale_and_bias(&self, number: u32) -> (f32, f32) {
        self.scales[number as usize]
    }

    #[inline]
    fn prefetch(&self, _number: u32) {}
}
