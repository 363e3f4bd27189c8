//! The specification: what every instruction set computes, bit for bit.
//!
//! Integers are exact in any order. Floats are multiplied, added and subtracted in the order
//! written here, never fused, and sums run over sixteen lanes that [`tree_sum`] joins.

use super::gathered::{FourFactors, GatheredRows};
use super::panels::{PANEL_MEMBERS, Panels};
use super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE, WORDS_PER_LINE};
use super::{BIT_PLANES, BitDot, Encoded, PanelQuery, ScoreSum};
use crate::record::Slot;

/// The largest magnitude of a code.
pub(super) const CODE_MAX: f32 = 127.0;

/// The factor from values to codes, or `None` where all codes are zero: for a zero vector, and
/// for one so small (below 4e-37) that the factor is no finite number.
pub(super) fn code_factor(magnitude: f32) -> Option<f32> {
    let factor = CODE_MAX / magnitude;
    (magnitude > 0.0 && factor.is_finite()).then_some(factor)
}

pub(super) fn encode(vector: &[f32], codes: &mut [i8]) -> Encoded {
    let magnitude = vector.iter().fold(
        0.0,
        |max, value| if value.abs() > max { value.abs() } else { max },
    );
    let Some(factor) = code_factor(magnitude) else {
        codes.fill(0);
        return Encoded::default();
    };
    let mut square_sum = 0;
    for (code, value) in codes.iter_mut().zip(vector) {
        *code = (value * factor).round_ties_even() as i8;
        square_sum += i32::from(*code) * i32::from(*code);
    }
    codes[vector.len()..].fill(0);
    Encoded {
        scale: magnitude / CODE_MAX,
        square_sum,
    }
}

#[inline]
pub(super) fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    left.iter()
        .zip(right)
        .map(|(&left, &right)| i32::from(left) * i32::from(right))
        .sum()
}

pub(super) fn dot_rows(query: &[i8], rows: &CodeRows, slots: &[Slot], _far: bool, out: &mut [i32]) {
    for (out, &slot) in out.iter_mut().zip(slots) {
        *out = dot_lines(query, rows.row(slot));
    }
}

/// See [`super::Kernels::first_near`].
pub(super) fn first_near(
    query: &[i8],
    rows: &GatheredRows,
    is_near: impl Fn(&FourFactors, [i32; ROWS_AT_ONCE]) -> bool,
) -> Option<usize> {
    rows.find_four(|rows| rows.map(|row| dot_lines(query, row)), is_near)
}

fn dot_lines(query: &[i8], row: &[Line]) -> i32 {
    let lines = query.chunks(LINE_BYTES).zip(row);
    lines
        .map(|(query, line)| dot_codes(query, &line.load()))
        .sum()
}

/// See [`super::Kernels::bit_dots`]. Inlined into each instruction set, whose way to count bits it
/// then uses.
#[inline(always)]
pub(super) fn bit_dots(
    planes: &[[u64; BIT_PLANES]],
    rows: &CodeRows,
    slots: &[Slot],
    out: &mut [BitDot],
) {
    for (out, &slot) in out.iter_mut().zip(slots) {
        let mut counts = [0; BIT_PLANES];
        for (line, planes) in rows.row(slot).iter().zip(planes.chunks(WORDS_PER_LINE)) {
            for (word, planes) in line.words().zip(planes) {
                for (count, plane) in counts.iter_mut().zip(planes) {
                    *count += (word & plane).count_ones();
                }
            }
        }
        *out = BitDot {
            dot: (0..).zip(counts).map(|(plane, count)| count << plane).sum(),
            behind: rows.words(slot, planes.len()),
        };
    }
}

pub(super) fn residual_signs(
    codes: &[i8],
    scale: f32,
    center: &[i8],
    center_scale: f32,
    words: &mut [u32],
) {
    words.fill(0);
    for (word, (codes, center)) in words
        .iter_mut()
        .zip(codes.chunks(32).zip(center.chunks(32)))
    {
        for (bit, (&code, &center)) in codes.iter().zip(center).enumerate() {
            let above = f32::from(code) * scale > f32::from(center) * center_scale;
            *word |= u32::from(above) << bit;
        }
    }
}

/// The scores vectors are padded to whole panels.
pub(super) fn panel_scores(
    panels: &Panels,
    queries: &[PanelQuery<'_>],
    scores: &mut [Vec<f32>],
) -> [ScoreSum; 4] {
    let mut sums = [ScoreSum::default(); 4];
    for ((sum, query), scores) in sums.iter_mut().zip(queries).zip(scores) {
        *sum = query_scores(panels, query, scores);
    }
    sums
}

/// The scores of one query, and their sums; empty lanes count as 0.
fn query_scores(panels: &Panels, query: &PanelQuery<'_>, scores: &mut [f32]) -> ScoreSum {
    let step = hamming_step(panels.words_per_member());
    let mut sums = [0.0; PANEL_MEMBERS];
    let mut square_sums = [0.0; PANEL_MEMBERS];
    for (panel, (lines, factors, norms)) in panels.panels().enumerate() {
        let first = panel * PANEL_MEMBERS;
        let mut counts = [0; PANEL_MEMBERS];
        for (line, word) in lines.iter().zip(query.words) {
            for (count, member) in counts.iter_mut().zip(line.0) {
                *count += (member ^ word).count_ones();
            }
        }
        for lane in 0..PANEL_MEMBERS {
            let factor = f32::from_bits(factors.0[lane]) * query.norm;
            let cosine = 1.0 - counts[lane] as f32 * step;
            let score = factor * cosine - f32::from_bits(norms.0[lane]);
            scores[first + lane] = score;
            let counted = if first + lane < panels.len() {
                score
            } else {
                0.0
            };
            sums[lane] += counted;
            square_sums[lane] += counted * counted;
        }
    }
    ScoreSum {
        sum: tree_sum(sums),
        square_sum: tree_sum(square_sums),
    }
}

/// What one differing sign takes from the estimated cosine: 2 over the number of dimensions.
pub(super) fn hamming_step(words_per_member: usize) -> f32 {
    2.0 / (words_per_member * 32) as f32
}

/// The sum of sixteen lanes: each half onto the other, four times.
pub(super) fn tree_sum(mut lanes: [f32; 16]) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
    }
    lanes[0]
}

pub(super) fn at_least(scores: &[f32], threshold: f32, masks: &mut [u64]) -> usize {
    let mut count = 0;
    for (mask, scores) in masks.iter_mut().zip(scores.chunks(64)) {
        *mask = 0;
        for (bit, &score) in scores.iter().enumerate() {
            *mask |= u64::from(score >= threshold) << bit;
        }
        count += mask.count_ones() as usize;
    }
    count
}
