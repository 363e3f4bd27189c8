//! NEON with the dot product extension (Armv8.2): one instruction multiplies sixteen codes and
//! sums four products to a lane. What multiplies no codes is that of `neon`.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::four_rows::for_each_four_rows;
use super::super::gathered::{FourFactors, GatheredRows};
use super::super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE};
use super::super::scalar;
pub(in super::super) use super::neon::{at_least, bit_dots, encode, panel_scores, residual_signs};
use super::neon::{load_codes, sum_lanes};
use crate::record::Slot;

#[target_feature(enable = "neon,dotprod")]
pub(in super::super) fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    let length = left.len().min(right.len());
    let (left, left_rest) = left[..length].as_chunks::<LINE_BYTES>();
    let (right, right_rest) = right[..length].as_chunks::<LINE_BYTES>();
    let mut sums = [vdupq_n_s32(0); 4];
    for (left, right) in left.iter().zip(right) {
        let quarters = left
            .as_chunks()
            .0
            .iter()
            .zip(right.as_chunks().0)
            .zip(&mut sums);
        for ((left, right), sum) in quarters {
            *sum = add_products(*sum, load_codes(left), load_codes(right));
        }
    }
    sum_lanes(sums).into_iter().sum::<i32>() + scalar::dot_codes(left_rest, right_rest)
}

#[target_feature(enable = "neon,dotprod")]
pub(in super::super) fn dot_rows(
    query: &[i8],
    rows: &CodeRows,
    slots: &[Slot],
    far: bool,
    out: &mut [i32],
) {
    let query = query.as_chunks::<LINE_BYTES>().0;
    for_each_four_rows(rows, slots, far, out, |rows| dot_four(query, rows));
}

/// See [`super::super::Kernels::first_near`].
#[target_feature(enable = "neon,dotprod")]
pub(in super::super) fn first_near(
    query: &[i8],
    rows: &GatheredRows,
    is_near: impl Fn(&FourFactors, [i32; ROWS_AT_ONCE]) -> bool,
) -> Option<usize> {
    let query = query.as_chunks::<LINE_BYTES>().0;
    rows.find_four(|rows| dot_four(query, rows), is_near)
}

/// The dot products of a query with four rows, at most as many lines as the query has.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn dot_four(query: &[[i8; LINE_BYTES]], rows: [&[Line]; ROWS_AT_ONCE]) -> [i32; ROWS_AT_ONCE] {
    let lines = rows
        .iter()
        .fold(query.len(), |lines, row| lines.min(row.len()));
    let mut sums = [vdupq_n_s32(0); ROWS_AT_ONCE];
    for (place, line) in query[..lines].iter().enumerate() {
        for (quarter, codes) in line.as_chunks().0.iter().enumerate() {
            let query = load_codes(codes);
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: `place` is below the row's count of lines, and a line is four quarters
                // of 16 bytes. No writer is at work on the row (the protocol of `rows`).
                let row = unsafe {
                    let line = row.as_ptr().add(place).cast::<[i8; 16]>();
                    vld1q_s8(line.add(quarter).cast())
                };
                *sum = add_products(*sum, query, row);
            }
        }
    }
    sum_lanes(sums)
}

/// Adds sixteen products of codes, four to a lane; the intrinsic for it is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn add_products(mut sum: int32x4_t, left: int8x16_t, right: int8x16_t) -> int32x4_t {
    // SAFETY: the function enables the instruction, which touches nothing but its registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {left:v}.16b, {right:v}.16b",
            sum = inout(vreg) sum,
            left = in(vreg) left,
            right = in(vreg) right,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}
