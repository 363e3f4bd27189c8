//! AVX2: 256 bits, without VNNI and without a vector popcount.
//!
//! int8 products: `maddubs` multiplies unsigned by signed bytes, so the query's sign moves to
//! the row: q * r = |q| * (r with the sign of q). Codes are within -127..=127, so a pair of
//! products is at most 2 * 127 * 127 = 32258 and never saturates its 16 bits.
//!
//! Differing bits: a byte shuffle looks up both nibbles; counts stay in bytes for up to 31 words
//! (31 * 8 = 248) and are widened once. Source: W. Mula, N. Kurz, D. Lemire, Faster population
//! counts using AVX2 instructions, The Computer Journal 61(1), 2018. The members' nibbles are
//! taken apart once for all queries, the queries' once for all members.

use std::arch::x86_64::*;

use super::super::four_rows::for_each_four_rows;
use super::super::gathered::{FourFactors, GatheredRows};
use super::super::panels::{PANEL_MEMBERS, PanelLine, Panels};
use super::super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE};
use super::super::scalar::{self, CODE_MAX};
use super::super::{BIT_PLANES, BitDot, Encoded, PanelQuery, ScoreSum};
use crate::record::Slot;

/// Words whose bit counts fit a byte.
const WORDS_PER_BYTE_COUNT: usize = 31;

#[target_feature(enable = "avx2")]
pub(in super::super) fn encode(vector: &[f32], codes: &mut [i8]) -> Encoded {
    let (blocks, rest) = vector.as_chunks::<32>();
    let mut tail = [0.0; 32];
    tail[..rest.len()].copy_from_slice(rest);
    let magnitude = largest_magnitude(blocks, &tail);
    let Some(factor) = scalar::code_factor(magnitude) else {
        codes.fill(0);
        return Encoded::default();
    };
    let factor = _mm256_set1_ps(factor);
    let mut squares = _mm256_setzero_si256();
    let (vector_codes, padding) = codes.split_at_mut(vector.len());
    let (code_blocks, code_rest) = vector_codes.as_chunks_mut::<32>();
    for (block, codes) in blocks.iter().zip(code_blocks) {
        encode_block(block, factor, codes, &mut squares);
    }
    let mut tail_codes = [0; 32];
    encode_block(&tail, factor, &mut tail_codes, &mut squares);
    code_rest.copy_from_slice(&tail_codes[..code_rest.len()]);
    padding.fill(0);
    let square_sum = sum_lanes([squares; ROWS_AT_ONCE])[0];
    Encoded {
        scale: magnitude / CODE_MAX,
        square_sum,
    }
}

#[target_feature(enable = "avx2")]
fn largest_magnitude(blocks: &[[f32; 32]], tail: &[f32; 32]) -> f32 {
    let sign = _mm256_set1_ps(-0.0);
    let mut largest = _mm256_setzero_ps();
    for block in blocks.iter().chain([tail]) {
        for eight in block.as_chunks::<8>().0 {
            let magnitude = _mm256_andnot_ps(sign, load_floats(eight));
            largest = _mm256_max_ps(magnitude, largest);
        }
    }
    let lanes = store_floats(largest);
    lanes
        .into_iter()
        .fold(0.0, |max, lane| if lane > max { lane } else { max })
}

/// Encodes 32 numbers and adds the squares of their codes to eight lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn encode_block(block: &[f32; 32], factor: __m256, codes: &mut [i8; 32], squares: &mut __m256i) {
    let eight = |place: usize| -> __m256i {
        let floats = load_floats(&block.as_chunks::<8>().0[place]);
        _mm256_cvtps_epi32(_mm256_mul_ps(floats, factor))
    };
    let low = _mm256_packs_epi32(eight(0), eight(1));
    let high = _mm256_packs_epi32(eight(2), eight(3));
    *squares = _mm256_add_epi32(*squares, _mm256_madd_epi16(low, low));
    *squares = _mm256_add_epi32(*squares, _mm256_madd_epi16(high, high));
    // Packing works within 128-bit halves; the permutation brings the eight quarters in order.
    let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    let packed = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    // SAFETY: `codes` is 32 bytes long and the store has no alignment.
    unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), packed) }
}

#[target_feature(enable = "avx2")]
pub(in super::super) fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    let length = left.len().min(right.len());
    let (left, left_rest) = left[..length].as_chunks::<32>();
    let (right, right_rest) = right[..length].as_chunks::<32>();
    let mut sums = [_mm256_setzero_si256(); ROWS_AT_ONCE];
    for (block, (left, right)) in left.iter().zip(right).enumerate() {
        let left = load_codes(left);
        let products = multiply(_mm256_abs_epi8(left), left, load_codes(right));
        let sum = &mut sums[block % ROWS_AT_ONCE];
        *sum = _mm256_add_epi32(*sum, products);
    }
    sum_lanes(sums).into_iter().sum::<i32>() + scalar::dot_codes(left_rest, right_rest)
}

#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
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
#[target_feature(enable = "avx2")]
fn dot_four(query: &[[i8; LINE_BYTES]], rows: [&[Line]; ROWS_AT_ONCE]) -> [i32; ROWS_AT_ONCE] {
    let lines = rows
        .iter()
        .fold(query.len(), |lines, row| lines.min(row.len()));
    let mut sums = [_mm256_setzero_si256(); ROWS_AT_ONCE];
    for (place, line) in query[..lines].iter().enumerate() {
        for (half, codes) in line.as_chunks::<32>().0.iter().enumerate() {
            let query = load_codes(codes);
            let magnitude = _mm256_abs_epi8(query);
            for (sum, row) in sums.iter_mut().zip(rows) {
                // SAFETY: `place` is below the row's count of lines, and a line is two halves of
                // 32 bytes. No writer is at work on the row (the protocol of `rows`).
                let row = unsafe {
                    let line = row.as_ptr().add(place).cast::<__m256i>();
                    _mm256_load_si256(line.add(half))
                };
                *sum = _mm256_add_epi32(*sum, multiply(magnitude, query, row));
            }
        }
    }
    sum_lanes(sums)
}

/// 32 products of codes, four summed to a lane; `magnitude` is |left|.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply(magnitude: __m256i, left: __m256i, right: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(right, left));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

/// The sum of the eight lanes of each vector.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_lanes(sums: [__m256i; ROWS_AT_ONCE]) -> [i32; ROWS_AT_ONCE] {
    let [a, b, c, d] = sums;
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_extracti128_si256::<1>(pairs);
    let total = _mm_add_epi32(_mm256_castsi256_si128(pairs), high);
    let mut lanes = [0; ROWS_AT_ONCE];
    // SAFETY: `lanes` is 16 bytes long and the store has no alignment.
    unsafe { _mm_storeu_si128(lanes.as_mut_ptr().cast(), total) }
    lanes
}

/// Each 64 bits of a vector stand for one plane: counts stay in bytes while they fit.
#[target_feature(enable = "avx2")]
pub(in super::super) fn bit_dots(
    planes: &[[u64; BIT_PLANES]],
    rows: &CodeRows,
    slots: &[Slot],
    out: &mut [BitDot],
) {
    let weights = _mm256_setr_epi64x(0, 1, 2, 3);
    for (out, &slot) in out.iter_mut().zip(slots) {
        let mut sums = _mm256_setzero_si256();
        let words = rows.codes(slot).as_chunks::<8>().0;
        let blocks = words.chunks(WORDS_PER_BYTE_COUNT);
        for (words, planes) in blocks.zip(planes.chunks(WORDS_PER_BYTE_COUNT)) {
            let mut counts = _mm256_setzero_si256();
            for (word, planes) in words.iter().zip(planes) {
                let word = _mm256_set1_epi64x(bytemuck::cast(*word));
                counts = _mm256_add_epi8(counts, count_common(word, planes));
            }
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
        }
        let sums = _mm256_sllv_epi64(sums, weights);
        let pairs = _mm_add_epi64(
            _mm256_castsi256_si128(sums),
            _mm256_extracti128_si256::<1>(sums),
        );
        let sum = _mm_add_epi64(pairs, _mm_unpackhi_epi64(pairs, pairs));
        let behind = words.get(planes.len()..).unwrap_or_default();
        *out = BitDot {
            dot: _mm_cvtsi128_si32(sum).cast_unsigned(),
            behind: std::array::from_fn(|place| {
                behind.get(place).map_or(0, |&word| bytemuck::cast(word))
            }),
        };
    }
}

/// How many bits of each byte are set in both.
#[inline]
#[target_feature(enable = "avx2")]
fn count_common(word: __m256i, planes: &[u64; BIT_PLANES]) -> __m256i {
    let nibble = _mm256_set1_epi8(0x0f);
    // SAFETY: the planes are 32 bytes long and the load has no alignment.
    let planes = unsafe { _mm256_loadu_si256(planes.as_ptr().cast()) };
    let common = _mm256_and_si256(word, planes);
    let low = _mm256_and_si256(common, nibble);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(common), nibble);
    let bits = nibble_bits();
    _mm256_add_epi8(
        _mm256_shuffle_epi8(bits, low),
        _mm256_shuffle_epi8(bits, high),
    )
}

/// The bits that are set in each number of four bits, in order, for a byte shuffle.
#[inline]
#[target_feature(enable = "avx2")]
fn nibble_bits() -> __m256i {
    _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    ))
}

#[target_feature(enable = "avx2")]
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
    let (scales, center_scales) = (_mm256_set1_ps(scale), _mm256_set1_ps(center_scale));
    for ((word, codes), center) in full.iter_mut().zip(codes).zip(center) {
        *word = 0;
        let eights = codes
            .as_chunks::<8>()
            .0
            .iter()
            .zip(center.as_chunks::<8>().0);
        for (place, (codes, center)) in eights.enumerate() {
            let value = _mm256_mul_ps(widen(codes), scales);
            let center = _mm256_mul_ps(widen(center), center_scales);
            let above = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(value, center));
            *word |= above.cast_unsigned() << (8 * place);
        }
    }
    scalar::residual_signs(codes_rest, scale, center_rest, center_scale, rest);
}

/// Eight codes as floats.
#[inline]
#[target_feature(enable = "avx2")]
fn widen(codes: &[i8; 8]) -> __m256 {
    // SAFETY: `codes` is 8 bytes long and the load has no alignment.
    let codes = unsafe { _mm_loadl_epi64(codes.as_ptr().cast()) };
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes))
}

#[target_feature(enable = "avx2")]
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

#[target_feature(enable = "avx2")]
fn score_panels<const QUERIES: usize>(
    panels: &Panels,
    queries: [PanelQuery<'_>; QUERIES],
    scores: &mut [Vec<f32>],
) -> [ScoreSum; QUERIES] {
    let one = _mm256_set1_ps(1.0);
    let step = _mm256_set1_ps(scalar::hamming_step(panels.words_per_member()));
    let nibbles = query_nibbles(panels.words_per_member(), &queries);
    let mut sums = [[_mm256_setzero_ps(); 2]; QUERIES];
    let mut square_sums = [[_mm256_setzero_ps(); 2]; QUERIES];
    for (panel, (words, factors, norms)) in panels.panels().enumerate() {
        for half in 0..2 {
            let first = panel * PANEL_MEMBERS + half * 8;
            let counts = hamming_distances(words, half, &nibbles);
            let factor = load_half_floats(factors, half);
            let norm = load_half_floats(norms, half);
            let member = member_lanes(panels.len().saturating_sub(first));
            for (index, query) in queries.iter().enumerate() {
                let taken = _mm256_mul_ps(_mm256_cvtepi32_ps(counts[index]), step);
                let factor = _mm256_mul_ps(factor, _mm256_set1_ps(query.norm));
                let score = _mm256_mul_ps(factor, _mm256_sub_ps(one, taken));
                let score = _mm256_sub_ps(score, norm);
                scores[index][first..first + 8].copy_from_slice(&store_floats(score));
                let score = _mm256_and_ps(score, member);
                let square = _mm256_mul_ps(score, score);
                sums[index][half] = _mm256_add_ps(sums[index][half], score);
                square_sums[index][half] = _mm256_add_ps(square_sums[index][half], square);
            }
        }
    }
    std::array::from_fn(|index| ScoreSum {
        sum: tree_sum(sums[index]),
        square_sum: tree_sum(square_sums[index]),
    })
}

/// One word of a query in eight lanes: the lower nibbles of its bytes, and the upper ones.
type Nibbles = [__m256i; 2];

/// The words of all queries, taken apart.
#[target_feature(enable = "avx2")]
fn query_nibbles<const QUERIES: usize>(
    words: usize,
    queries: &[PanelQuery<'_>; QUERIES],
) -> Vec<[Nibbles; QUERIES]> {
    let nibble = _mm256_set1_epi8(0x0f);
    let of = |word: u32| {
        let lanes = _mm256_set1_epi32(word.cast_signed());
        [
            _mm256_and_si256(lanes, nibble),
            _mm256_and_si256(_mm256_srli_epi16::<4>(lanes), nibble),
        ]
    };
    (0..words)
        .map(|place| std::array::from_fn(|query| of(queries[query].words[place])))
        .collect()
}

/// Differing signs of eight members of a panel from each query.
#[inline]
#[target_feature(enable = "avx2")]
fn hamming_distances<const QUERIES: usize>(
    lines: &[PanelLine],
    half: usize,
    queries: &[[Nibbles; QUERIES]],
) -> [__m256i; QUERIES] {
    let nibble = _mm256_set1_epi8(0x0f);
    let bits = nibble_bits();
    let mut counts = [_mm256_setzero_si256(); QUERIES];
    let blocks = lines
        .chunks(WORDS_PER_BYTE_COUNT)
        .zip(queries.chunks(WORDS_PER_BYTE_COUNT));
    for (lines, queries) in blocks {
        let mut bytes = [_mm256_setzero_si256(); QUERIES];
        for (line, queries) in lines.iter().zip(queries) {
            let members = load_half(line, half);
            let low = _mm256_and_si256(members, nibble);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(members), nibble);
            for (bytes, query) in bytes.iter_mut().zip(queries) {
                let low = _mm256_shuffle_epi8(bits, _mm256_xor_si256(low, query[0]));
                let high = _mm256_shuffle_epi8(bits, _mm256_xor_si256(high, query[1]));
                *bytes = _mm256_add_epi8(*bytes, _mm256_add_epi8(low, high));
            }
        }
        for (count, bytes) in counts.iter_mut().zip(bytes) {
            let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
            let lanes = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            *count = _mm256_add_epi32(*count, lanes);
        }
    }
    counts
}

/// All bits set in the lanes of the first `members` members, none in the others.
#[inline]
#[target_feature(enable = "avx2")]
fn member_lanes(members: usize) -> __m256 {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_castsi256_ps(_mm256_cmpgt_epi32(
        _mm256_set1_epi32(members.min(8) as i32),
        lanes,
    ))
}

#[target_feature(enable = "avx2")]
pub(in super::super) fn at_least(scores: &[f32], threshold: f32, masks: &mut [u64]) -> usize {
    let (blocks, rest) = scores.as_chunks::<64>();
    let (full, tail) = masks.split_at_mut(blocks.len());
    let thresholds = _mm256_set1_ps(threshold);
    let mut count = 0;
    for (mask, block) in full.iter_mut().zip(blocks) {
        *mask = 0;
        for (place, eight) in block.as_chunks::<8>().0.iter().enumerate() {
            let reached = _mm256_cmp_ps::<_CMP_GE_OQ>(load_floats(eight), thresholds);
            *mask |= u64::from(_mm256_movemask_ps(reached).cast_unsigned()) << (8 * place);
        }
        count += mask.count_ones() as usize;
    }
    count + scalar::at_least(rest, threshold, tail)
}

/// The fixed tree over sixteen lanes.
#[target_feature(enable = "avx2")]
fn tree_sum(halves: [__m256; 2]) -> f32 {
    let mut lanes = [0.0; 16];
    lanes[..8].copy_from_slice(&store_floats(halves[0]));
    lanes[8..].copy_from_slice(&store_floats(halves[1]));
    scalar::tree_sum(lanes)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_codes(codes: &[i8; 32]) -> __m256i {
    // SAFETY: `codes` is 32 bytes long and the load has no alignment.
    unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(line: &PanelLine, half: usize) -> __m256i {
    let half = &line.0.as_chunks::<8>().0[half];
    // SAFETY: `half` is 32 bytes long and the load has no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half_floats(line: &PanelLine, half: usize) -> __m256 {
    _mm256_castsi256_ps(load_half(line, half))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_floats(floats: &[f32; 8]) -> __m256 {
    // SAFETY: `floats` is 32 bytes long and the load has no alignment.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_floats(lanes: __m256) -> [f32; 8] {
    let mut floats = [0.0; 8];
    // SAFETY: `floats` is 32 bytes long and the store has no alignment.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), lanes) }
    floats
}
