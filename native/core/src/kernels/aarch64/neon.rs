//! NEON: 128 bits, on every 64-bit ARM processor.
//!
//! int8 products: one instruction multiplies eight codes into 16 bits, the next adds the products
//! of eight more. Codes are within -127..=127, so both are at most 2 * 127 * 127 = 32258 and fit.
//!
//! Differing bits are counted by the byte, stay in bytes for up to 31 words (31 * 8 = 248) and
//! are widened once.

use std::arch::aarch64::*;

use super::super::four_rows::for_each_four_rows;
use super::super::gathered::{FourFactors, GatheredRows};
use super::super::panels::{PANEL_MEMBERS, PanelLine, Panels};
use super::super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE};
use super::super::scalar::{self, CODE_MAX};
use super::super::{BIT_PLANES, BitDot, Encoded, PanelQuery, ScoreSum};
use crate::record::Slot;

/// Words whose bit counts fit a byte.
const WORDS_PER_BYTE_COUNT: usize = 31;

/// Sixteen floats, four to a register.
type Floats = [float32x4_t; 4];
/// Sixteen lanes of 32 bits, four to a register.
type Lanes = [uint32x4_t; 4];

#[target_feature(enable = "neon")]
pub(in super::super) fn encode(vector: &[f32], codes: &mut [i8]) -> Encoded {
    let (blocks, rest) = vector.as_chunks::<16>();
    let mut tail = [0.0; 16];
    tail[..rest.len()].copy_from_slice(rest);
    let mut largest = vdupq_n_f32(0.0);
    for block in blocks.iter().chain([&tail]) {
        for floats in load_floats(block) {
            largest = vmaxq_f32(largest, vabsq_f32(floats));
        }
    }
    let magnitude = vmaxvq_f32(largest);
    let Some(factor) = scalar::code_factor(magnitude) else {
        codes.fill(0);
        return Encoded::default();
    };
    let mut squares = vdupq_n_s32(0);
    let (vector_codes, padding) = codes.split_at_mut(vector.len());
    let (code_blocks, code_rest) = vector_codes.as_chunks_mut::<16>();
    for (block, codes) in blocks.iter().zip(code_blocks) {
        encode_block(block, factor, codes, &mut squares);
    }
    let mut tail_codes = [0; 16];
    encode_block(&tail, factor, &mut tail_codes, &mut squares);
    code_rest.copy_from_slice(&tail_codes[..code_rest.len()]);
    padding.fill(0);
    Encoded {
        scale: magnitude / CODE_MAX,
        square_sum: vaddvq_s32(squares),
    }
}

/// Encodes sixteen numbers and adds the squares of their codes to four lanes.
#[inline]
#[target_feature(enable = "neon")]
fn encode_block(block: &[f32; 16], factor: f32, codes: &mut [i8; 16], squares: &mut int32x4_t) {
    let factor = vdupq_n_f32(factor);
    let rounded = load_floats(block).map(|floats| vcvtnq_s32_f32(vmulq_f32(floats, factor)));
    for codes in rounded {
        *squares = vmlaq_s32(*squares, codes, codes);
    }
    let low = vcombine_s16(vqmovn_s32(rounded[0]), vqmovn_s32(rounded[1]));
    let high = vcombine_s16(vqmovn_s32(rounded[2]), vqmovn_s32(rounded[3]));
    let packed = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
    // SAFETY: `codes` is 16 bytes long and the store has no alignment.
    unsafe { vst1q_s8(codes.as_mut_ptr(), packed) }
}

#[target_feature(enable = "neon")]
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

#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
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

/// Adds sixteen products of codes, four to a lane.
#[inline]
#[target_feature(enable = "neon")]
fn add_products(sum: int32x4_t, left: int8x16_t, right: int8x16_t) -> int32x4_t {
    let pairs = vmull_s8(vget_low_s8(left), vget_low_s8(right));
    vpadalq_s16(sum, vmlal_high_s8(pairs, left, right))
}

/// The sum of the four lanes of each register.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn sum_lanes(sums: [int32x4_t; 4]) -> [i32; 4] {
    let [a, b, c, d] = sums;
    let total = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
    let mut lanes = [0; 4];
    // SAFETY: `lanes` is 16 bytes long and the store has no alignment.
    unsafe { vst1q_s32(lanes.as_mut_ptr(), total) }
    lanes
}

#[target_feature(enable = "neon")]
pub(in super::super) fn bit_dots(
    planes: &[[u64; BIT_PLANES]],
    rows: &CodeRows,
    slots: &[Slot],
    out: &mut [BitDot],
) {
    scalar::bit_dots(planes, rows, slots, out);
}

#[target_feature(enable = "neon")]
pub(in super::super) fn residual_signs(
    codes: &[i8],
    scale: f32,
    center: &[i8],
    center_scale: f32,
    words: &mut [u32],
) {
    let length = codes.len().min(center.len()).min(words.len() * 32);
    let (codes, codes_rest) = codes[..length].as_chunks::<32>();
    let (center, center_rest) = center[..length].as_chunks::<32>();
    let (full, rest) = words.split_at_mut(codes.len());
    for ((word, codes), center) in full.iter_mut().zip(codes).zip(center) {
        *word = 0;
        let halves = codes.as_chunks().0.iter().zip(center.as_chunks().0);
        for (place, (codes, center)) in halves.enumerate() {
            let values = decode(codes, scale);
            let centers = decode(center, center_scale);
            let above = std::array::from_fn(|four| vcgtq_f32(values[four], centers[four]));
            *word |= u32::from(marks(above)) << (16 * place);
        }
    }
    scalar::residual_signs(codes_rest, scale, center_rest, center_scale, rest);
}

/// The values that sixteen codes stand for.
#[inline]
#[target_feature(enable = "neon")]
fn decode(codes: &[i8; 16], scale: f32) -> Floats {
    let codes = load_codes(codes);
    let (low, high) = (vmovl_s8(vget_low_s8(codes)), vmovl_high_s8(codes));
    let wide = [
        vmovl_s16(vget_low_s16(low)),
        vmovl_high_s16(low),
        vmovl_s16(vget_low_s16(high)),
        vmovl_high_s16(high),
    ];
    wide.map(|codes| vmulq_f32(vcvtq_f32_s32(codes), vdupq_n_f32(scale)))
}

/// One bit of each of sixteen lanes that have all bits set or none, the first lane lowest.
#[inline]
#[target_feature(enable = "neon")]
fn marks(lanes: Lanes) -> u16 {
    const BIT_OF_LANE: u64 = 0x8040_2010_0804_0201;
    let low = vcombine_u16(vmovn_u32(lanes[0]), vmovn_u32(lanes[1]));
    let high = vcombine_u16(vmovn_u32(lanes[2]), vmovn_u32(lanes[3]));
    let bits = vcreate_u8(BIT_OF_LANE);
    let low = vaddv_u8(vand_u8(vmovn_u16(low), bits));
    let high = vaddv_u8(vand_u8(vmovn_u16(high), bits));
    u16::from_le_bytes([low, high])
}

#[target_feature(enable = "neon")]
pub(in super::super) fn panel_scores(
    panels: &Panels,
    queries: &[PanelQuery<'_>],
    scores: &mut [Vec<f32>],
) -> [ScoreSum; 4] {
    let mut sums = [ScoreSum::default(); 4];
    match *queries {
        [a] => sums[..1].copy_from_slice(&score_panels(panels, [a], scores)),
        [a, b] => sums[..2].copy_from_slice(&score_panels(panels, [a, b], scores)),
        [a, b, c] => sums[..3].copy_from_slice(&score_panels(panels, [a, b, c], scores)),
        [a, b, c, d] => sums = score_panels(panels, [a, b, c, d], scores),
        _ => {}
    }
    sums
}

#[target_feature(enable = "neon")]
fn score_panels<const QUERIES: usize>(
    panels: &Panels,
    queries: [PanelQuery<'_>; QUERIES],
    scores: &mut [Vec<f32>],
) -> [ScoreSum; QUERIES] {
    let one = vdupq_n_f32(1.0);
    let step = vdupq_n_f32(scalar::hamming_step(panels.words_per_member()));
    let mut sums = [[vdupq_n_f32(0.0); 4]; QUERIES];
    let mut square_sums = [[vdupq_n_f32(0.0); 4]; QUERIES];
    for (panel, (words, factors, norms)) in panels.panels().enumerate() {
        let first = panel * PANEL_MEMBERS;
        let members = member_lanes(panels.len() - first);
        let counts = hamming_distances(words, &queries);
        let factors = load_line(factors).map(|lanes| vreinterpretq_f32_u32(lanes));
        let norms = load_line(norms).map(|lanes| vreinterpretq_f32_u32(lanes));
        for (index, query) in queries.iter().enumerate() {
            for four in 0..4 {
                let taken = vmulq_f32(vcvtq_f32_u32(counts[index][four]), step);
                let factor = vmulq_f32(factors[four], vdupq_n_f32(query.norm));
                let score = vmulq_f32(factor, vsubq_f32(one, taken));
                let score = vsubq_f32(score, norms[four]);
                scores[index][first + 4 * four..][..4].copy_from_slice(&store_floats(score));
                let score = vandq_u32(vreinterpretq_u32_f32(score), members[four]);
                let score = vreinterpretq_f32_u32(score);
                let square = vmulq_f32(score, score);
                sums[index][four] = vaddq_f32(sums[index][four], score);
                square_sums[index][four] = vaddq_f32(square_sums[index][four], square);
            }
        }
    }
    std::array::from_fn(|index| ScoreSum {
        sum: tree_sum(sums[index]),
        square_sum: tree_sum(square_sums[index]),
    })
}

/// Differing signs of the sixteen members of a panel from each query.
#[inline]
#[target_feature(enable = "neon")]
fn hamming_distances<const QUERIES: usize>(
    lines: &[PanelLine],
    queries: &[PanelQuery<'_>; QUERIES],
) -> [Lanes; QUERIES] {
    let words = queries.map(|query| &query.words[..lines.len()]);
    let mut counts = [[vdupq_n_u32(0); 4]; QUERIES];
    for (block, block_lines) in lines.chunks(WORDS_PER_BYTE_COUNT).enumerate() {
        let mut bytes = [[vdupq_n_u8(0); 4]; QUERIES];
        for (place, line) in (block * WORDS_PER_BYTE_COUNT..).zip(block_lines) {
            let members = load_line(line);
            for (bytes, words) in bytes.iter_mut().zip(words) {
                let word = vdupq_n_u32(words[place]);
                for (bytes, &members) in bytes.iter_mut().zip(&members) {
                    let differing = vreinterpretq_u8_u32(veorq_u32(members, word));
                    *bytes = vaddq_u8(*bytes, vcntq_u8(differing));
                }
            }
        }
        let pairs = counts
            .as_flattened_mut()
            .iter_mut()
            .zip(bytes.as_flattened());
        for (count, &bytes) in pairs {
            *count = vpadalq_u16(*count, vpaddlq_u8(bytes));
        }
    }
    counts
}

/// All bits set in the lanes of the first `members` members, none in the others.
#[inline]
#[target_feature(enable = "neon")]
fn member_lanes(members: usize) -> Lanes {
    let members = vdupq_n_u32(members.min(PANEL_MEMBERS) as u32);
    let places = PanelLine(std::array::from_fn(|place| place as u32));
    load_line(&places).map(|places| vcltq_u32(places, members))
}

#[target_feature(enable = "neon")]
pub(in super::super) fn at_least(scores: &[f32], threshold: f32, masks: &mut [u64]) -> usize {
    let (blocks, rest) = scores.as_chunks::<64>();
    let (full, tail) = masks.split_at_mut(blocks.len());
    let threshold_lanes = vdupq_n_f32(threshold);
    let mut count = 0;
    for (mask, block) in full.iter_mut().zip(blocks) {
        *mask = 0;
        for (place, sixteen) in block.as_chunks().0.iter().enumerate() {
            let reached = load_floats(sixteen).map(|scores| vcgeq_f32(scores, threshold_lanes));
            *mask |= u64::from(marks(reached)) << (16 * place);
        }
        count += mask.count_ones() as usize;
    }
    count + scalar::at_least(rest, threshold, tail)
}

/// The fixed tree over sixteen lanes.
#[target_feature(enable = "neon")]
fn tree_sum(fours: Floats) -> f32 {
    let mut lanes = [0.0; 16];
    for (lanes, four) in lanes.as_chunks_mut().0.iter_mut().zip(fours) {
        *lanes = store_floats(four);
    }
    scalar::tree_sum(lanes)
}

#[inline]
#[target_feature(enable = "neon")]
pub(super) fn load_codes(codes: &[i8; 16]) -> int8x16_t {
    // SAFETY: `codes` is 16 bytes long and the load has no alignment.
    unsafe { vld1q_s8(codes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load_floats(floats: &[f32; 16]) -> Floats {
    std::array::from_fn(|four| {
        let four: &[f32; 4] = &floats.as_chunks().0[four];
        // SAFETY: `four` is 16 bytes long and the load has no alignment.
        unsafe { vld1q_f32(four.as_ptr()) }
    })
}

#[inline]
#[target_feature(enable = "neon")]
fn load_line(line: &PanelLine) -> Lanes {
    std::array::from_fn(|four| {
        let four: &[u32; 4] = &line.0.as_chunks().0[four];
        // SAFETY: `four` is 16 bytes long and the load has no alignment.
        unsafe { vld1q_u32(four.as_ptr()) }
    })
}

#[inline]
#[target_feature(enable = "neon")]
fn store_floats(lanes: float32x4_t) -> [f32; 4] {
    let mut floats = [0.0; 4];
    // SAFETY: `floats` is 16 bytes long and the store has no alignment.
    unsafe { vst1q_f32(floats.as_mut_ptr(), lanes) }
    floats
}
