//! Rows copied from the arena to stand together: what is compared many times over is looked up and
//! brought near once.

use super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE};
use crate::record::Slot;

/// Copies of some rows of an arena, in the order in which they came.
#[derive(Debug, Default)]
pub struct GatheredRows {
    /// Of the rows one after another, always of four; more of them than there are rows, where there
    /// were more before.
    lines: Vec<Line>,
    lines_per_row: usize,
    count: usize,
    /// Of four rows at a time.
    factors: Vec<FourFactors>,
}

/// What makes distances of the dot products of four rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct FourFactors {
    pub scales: [f32; ROWS_AT_ONCE],
    pub biases: [f32; ROWS_AT_ONCE],
}

impl FourFactors {
    /// Those of rows that are missing, at no distance from any other.
    const MISSING: FourFactors = FourFactors {
        scales: [0.0; ROWS_AT_ONCE],
        biases: [f32::INFINITY; ROWS_AT_ONCE],
    };
}

impl GatheredRows {
    /// Forgets all rows; those of this arena follow.
    pub fn clear_for(&mut self, rows: &CodeRows) {
        self.lines_per_row = rows.row_bytes() / LINE_BYTES;
        self.count = 0;
        self.factors.clear();
    }

    /// Copies a row of the arena.
    ///
    /// # Panics
    /// If its length is not that of the rows of the arena that was named last.
    pub fn push(&mut self, rows: &CodeRows, slot: Slot) {
        let place = self.count % ROWS_AT_ONCE;
        if place == 0 {
            self.factors.push(FourFactors::MISSING);
            let lines = self.factors.len() * ROWS_AT_ONCE * self.lines_per_row;
            if self.lines.len() < lines {
                self.lines.resize_with(lines, Line::default);
            }
        }
        let start = self.count * self.lines_per_row;
        let copy = &mut self.lines[start..start + self.lines_per_row];
        let row = rows.row(slot);
        assert_eq!(copy.len(), row.len(), "lines of a row");
        // SAFETY: both are as many whole lines, and the copy is borrowed by nobody else. No
        // writer is at work on the row (the protocol of `rows`).
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), copy.as_mut_ptr(), row.len()) }
        if let Some(factors) = self.factors.last_mut() {
            (factors.scales[place], factors.biases[place]) = rows.scale_and_bias(slot);
        }
        self.count += 1;
    }

    /// Takes the rows four at a time through `dot_four`, until `is_near` holds for their factors and
    /// dot products; returns the place of those four among all. Rows that are missing in the last
    /// four are any.
    #[inline(always)]
    pub(super) fn find_four(
        &self,
        dot_four: impl Fn([&[Line]; ROWS_AT_ONCE]) -> [i32; ROWS_AT_ONCE],
        is_near: impl Fn(&FourFactors, [i32; ROWS_AT_ONCE]) -> bool,
    ) -> Option<usize> {
        let count = self.lines_per_row;
        let fours = self.lines.chunks_exact((ROWS_AT_ONCE * count).max(1));
        self.factors.iter().zip(fours).position(|(factors, lines)| {
            let (first, last) = lines.split_at(2 * count);
            let ((a, b), (c, d)) = (first.split_at(count), last.split_at(count));
            is_near(factors, dot_four([a, b, c, d]))
        })
    }
}
