//! AVX-512 with VNNI and VPOPCNTDQ: 512 bits, masks for every tail.
//!
//! int8 products: `dpbusd` multiplies unsigned by signed bytes and sums four to a lane. The row
//! is made unsigned by adding 128 (one exclusive or), and 128 times the sum of the query is
//! taken off at the start.

use std::arch::x86_64::*;

use super::super::four_rows::for_each_four_rows;
use super::super::gathered::{FourFactors, GatheredRows};
use super::super::panels::{PANEL_MEMBERS, PanelLine, Panels};
use super::super::rows::{CodeRows, LINE_BYTES, Line, ROWS_AT_ONCE, WORDS_PER_LINE};
use super::super::scalar::{self, CODE_MAX};
use super::super::{BIT_PLANES, BitDot, Encoded, PanelQuery, ScoreSum};
use crate::record::Slot;

/// Pairs of words in a line.
const PAIRS_PER_LINE: usize = WORDS_PER_LINE / 2;
/// Adds 128 to a byte when it is exclusively or-ed.
const TO_UNSIGNED: i8 = i8::MIN;

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(in super::super) fn encode(vector: &[f32], codes: &mut [i8]) -> Encoded {
    let mut largest = _mm512_setzero_ps();
    for floats in vector.chunks(16) {
        largest = _mm512_max_ps(_mm512_abs_ps(load_floats(floats)), largest);
    }
    let magnitude = _mm512_reduce_max_ps(largest);
    let Some(factor) = scalar::code_factor(magnitude) else {
        codes.fill(0);
        return Encoded::default();
    };
    let factor = _mm512_set1_ps(factor);
    let mut squares = _mm512_setzero_si512();
    let (vector_codes, padding) = codes.split_at_mut(vector.len());
    for (floats, codes) in vector.chunks(16).zip(vector_codes.chunks_mut(16)) {
        let rounded = _mm512_cvtps_epi32(_mm512_mul_ps(load_floats(floats), factor));
        squares = _mm512_add_epi32(squares, _mm512_mullo_epi32(rounded, rounded));
        let mask = first_lanes(codes.len()) as u16;
        // SAFETY: the mask lets no byte behind `codes` be written.
        unsafe {
            let packed = _mm512_cvtsepi32_epi8(rounded);
            _mm_mask_storeu_epi8(codes.as_mut_ptr(), mask, packed);
        }
    }
    padding.fill(0);
    Encoded {
        scale: magnitude / CODE_MAX,
        square_sum: _mm512_reduce_add_epi32(squares),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(in super::super) fn dot_codes(left: &[i8], right: &[i8]) -> i32 {
    let length = left.len().min(right.len());
    let to_unsigned = _mm512_set1_epi8(TO_UNSIGNED);
    let mut sum = _mm512_setzero_si512();
    let mut excess = _mm512_setzero_si512();
    for (left, right) in left[..length].chunks(64).zip(right[..length].chunks(64)) {
        let (left, right) = (load_codes(left), load_codes(right));
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(right, to_unsigned), left);
        excess = _mm512_dpbusd_epi32(excess, to_unsigned, left);
    }
    _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, excess))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(in super::super) fn dot_rows(
    query: &[i8],
    rows: &CodeRows,
    slots: &[Slot],
    far: bool,
    out: &mut [i32],
) {
    let query = query.as_chunks::<LINE_BYTES>().0;
    let start = start_of(query);
    for_each_four_rows(rows, slots, far, out, |rows| dot_four(query, start, rows));
}

/// See [`super::super::Kernels::first_near`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(in super::super) fn first_near(
    query: &[i8],
    rows: &GatheredRows,
    is_near: impl Fn(&FourFactors, [i32; ROWS_AT_ONCE]) -> bool,
) -> Option<usize> {
    let query = query.as_chunks::<LINE_BYTES>().0;
    let start = start_of(query);
    rows.find_four(|rows| dot_four(query, start, rows), is_near)
}

/// What takes off the excess of a query's dot products where their sums begin with it: 128 times
/// the sum of the query's codes, negative, spread over the lanes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn start_of(query: &[[i8; LINE_BYTES]]) -> __m512i {
    let to_unsigned = _mm512_set1_epi8(TO_UNSIGNED);
    let mut excess = _mm512_setzero_si512();
    for codes in query {
        excess = _mm512_dpbusd_epi32(excess, to_unsigned, load_codes(codes));
    }
    _mm512_sub_epi32(_mm512_setzero_si512(), excess)
}

/// The dot products of a query with four rows, at most as many lines as the query has; `start` is
/// [`start_of`] the query.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_four(
    query: &[[i8; LINE_BYTES]],
    start: __m512i,
    rows: [&[Line]; ROWS_AT_ONCE],
) -> [i32; ROWS_AT_ONCE] {
    let lines = rows
        .iter()
        .fold(query.len(), |lines, row| lines.min(row.len()));
    let to_unsigned = _mm512_set1_epi8(TO_UNSIGNED);
    let mut sums = [start; ROWS_AT_ONCE];
    for (place, codes) in query[..lines].iter().enumerate() {
        let query = load_codes(codes);
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: `place` is below the row's count of lines, and a line is 64 aligned bytes.
            // No writer is at work on the row (the protocol of `rows`).
            let row = unsafe { _mm512_load_si512(row.as_ptr().add(place).cast()) };
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(row, to_unsigned), query);
        }
    }
    let mut dots = [0; ROWS_AT_ONCE];
    // SAFETY: `dots` is 16 bytes long and the store has no alignment.
    unsafe { _mm_storeu_si128(dots.as_mut_ptr().cast(), sum_lanes(sums)) }
    dots
}

/// The sums of the lanes of four vectors, added to each other crosswise: a third of the
/// instructions that four sums take.
#[inline]
#[target_feature(enable = "avx512f")]
fn sum_lanes([a, b, c, d]: [__m512i; ROWS_AT_ONCE]) -> __m128i {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    // Each quarter holds a part of all four sums.
    let quarters = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let upper = _mm512_extracti64x4_epi64::<1>(quarters);
    let halves = _mm256_add_epi32(_mm512_castsi512_si256(quarters), upper);
    let upper = _mm256_extracti128_si256::<1>(halves);
    _mm_add_epi32(_mm256_castsi256_si128(halves), upper)
}

/// Each 64 bits of a vector stand for one plane, of two words at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
pub(in super::super) fn bit_dots(
    planes: &[[u64; BIT_PLANES]],
    rows: &CodeRows,
    slots: &[Slot],
    out: &mut [BitDot],
) {
    let weights = _mm512_setr_epi64(0, 1, 2, 3, 0, 1, 2, 3);
    let first_two = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    let two = _mm512_set1_epi64(2);
    let (pairs, last) = planes.as_chunks::<2>();
    for (out, &slot) in out.iter_mut().zip(slots) {
        let codes = rows.codes(slot);
        let (lines, words) = (codes.as_chunks::<LINE_BYTES>().0, codes.as_chunks::<8>().0);
        let mut sums = _mm512_setzero_si512();
        for (line, pairs) in lines.iter().zip(pairs.chunks(PAIRS_PER_LINE)) {
            let line = load_codes(line);
            let mut places = first_two;
            for planes in pairs {
                let words = _mm512_permutexvar_epi64(places, line);
                sums = _mm512_add_epi64(sums, count_common(words, planes.as_flattened()));
                places = _mm512_add_epi64(places, two);
            }
        }
        if let ([planes], Some(&word)) = (last, words.get(2 * pairs.len())) {
            let word = _mm512_set1_epi64(bytemuck::cast(word));
            sums = _mm512_add_epi64(sums, count_common(word, planes));
        }
        let behind = words.get(planes.len()..).unwrap_or_default();
        *out = BitDot {
            dot: _mm512_reduce_add_epi64(_mm512_sllv_epi64(sums, weights)) as u32,
            behind: std::array::from_fn(|place| {
                behind.get(place).map_or(0, |&word| bytemuck::cast(word))
            }),
        };
    }
}

/// How many bits of each word are set in both.
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn count_common(words: __m512i, planes: &[u64]) -> __m512i {
    // SAFETY: the mask lets no word behind `planes` be read.
    let planes = unsafe {
        _mm512_maskz_loadu_epi64(first_lanes(planes.len()) as u8, planes.as_ptr().cast())
    };
    _mm512_popcnt_epi64(_mm512_and_si512(words, planes))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(in super::super) fn residual_signs(
    codes: &[i8],
    scale: f32,
    center: &[i8],
    center_scale: f32,
    words: &mut [u32],
) {
    let length = codes.len().min(center.len()).min(words.len() * 32);
    let (scales, center_scales) = (_mm512_set1_ps(scale), _mm512_set1_ps(center_scale));
    let above = |codes: &[i8], center: &[i8]| -> u32 {
        let value = _mm512_mul_ps(widen(codes), scales);
        let center = _mm512_mul_ps(widen(center), center_scales);
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, center).into()
    };
    let (codes, last_codes) = codes[..length].as_chunks::<16>();
    let (center, last_center) = center[..length].as_chunks::<16>();
    words.fill(0);
    for (place, (codes, center)) in codes.iter().zip(center).enumerate() {
        words[place / 2] |= above(codes, center) << (place % 2 * 16);
    }
    if !last_codes.is_empty() {
        words[codes.len() / 2] |= above(last_codes, last_center) << (codes.len() % 2 * 16);
    }
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
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

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn score_panels<const QUERIES: usize>(
    panels: &Panels,
    queries: [PanelQuery<'_>; QUERIES],
    scores: &mut [Vec<f32>],
) -> [ScoreSum; QUERIES] {
    let one = _mm512_set1_ps(1.0);
    let step = _mm512_set1_ps(scalar::hamming_step(panels.words_per_member()));
    let mut sums = [_mm512_setzero_ps(); QUERIES];
    let mut square_sums = [_mm512_setzero_ps(); QUERIES];
    for (panel, (lines, factors, norms)) in panels.panels().enumerate() {
        let first = panel * PANEL_MEMBERS;
        let members = first_lanes(panels.len() - first) as u16;
        let counts = hamming_distances(lines, &queries);
        let factor = _mm512_castsi512_ps(load_line(factors));
        let norm = _mm512_castsi512_ps(load_line(norms));
        for (index, query) in queries.iter().enumerate() {
            let taken = _mm512_mul_ps(_mm512_cvtepi32_ps(counts[index]), step);
            let factor = _mm512_mul_ps(factor, _mm512_set1_ps(query.norm));
            let score = _mm512_mul_ps(factor, _mm512_sub_ps(one, taken));
            let score = _mm512_sub_ps(score, norm);
            scores[index][first..first + PANEL_MEMBERS].copy_from_slice(&store_floats(score));
            let score = _mm512_maskz_mov_ps(members, score);
            sums[index] = _mm512_add_ps(sums[index], score);
            let square = _mm512_mul_ps(score, score);
            square_sums[index] = _mm512_add_ps(square_sums[index], square);
        }
    }
    std::array::from_fn(|index| ScoreSum {
        sum: scalar::tree_sum(store_floats(sums[index])),
        square_sum: scalar::tree_sum(store_floats(square_sums[index])),
    })
}

/// Differing signs of the sixteen members of a panel from each query.
#[inline]
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn hamming_distances<const QUERIES: usize>(
    lines: &[PanelLine],
    queries: &[PanelQuery<'_>; QUERIES],
) -> [__m512i; QUERIES] {
    let mut words: [&[u32]; QUERIES] = [&[]; QUERIES];
    for (words, query) in words.iter_mut().zip(queries) {
        *words = &query.words[..lines.len()];
    }
    let mut counts = [_mm512_setzero_si512(); QUERIES];
    for (place, line) in lines.iter().enumerate() {
        let members = load_line(line);
        for (count, words) in counts.iter_mut().zip(words) {
            let word = _mm512_set1_epi32(words[place].cast_signed());
            let differing = _mm512_xor_si512(members, word);
            *count = _mm512_add_epi32(*count, _mm512_popcnt_epi32(differing));
        }
    }
    counts
}

#[target_feature(enable = "avx512f,avx512bw")]
pub(in super::super) fn at_least(scores: &[f32], threshold: f32, masks: &mut [u64]) -> usize {
    let thresholds = _mm512_set1_ps(threshold);
    let mut count = 0;
    for (mask, scores) in masks.iter_mut().zip(scores.chunks(64)) {
        *mask = 0;
        let (whole, rest) = scores.as_chunks::<16>();
        for (place, scores) in whole.iter().enumerate() {
            let reached = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(load_floats(scores), thresholds);
            *mask |= u64::from(reached) << (16 * place);
        }
        if !rest.is_empty() {
            let lanes = first_lanes(rest.len()) as u16;
            let scores = load_floats(rest);
            let reached = _mm512_mask_cmp_ps_mask::<_CMP_GE_OQ>(lanes, scores, thresholds);
            *mask |= u64::from(reached) << (16 * whole.len());
        }
        count += mask.count_ones() as usize;
    }
    count
}

/// A mask of the first `count` lanes, of all where there are no more than that.
#[inline]
fn first_lanes(count: usize) -> u64 {
    1u64.checked_shl(count as u32)
        .map_or(u64::MAX, |bit| bit - 1)
}

/// Up to 64 codes; lanes behind them are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load_codes(codes: &[i8]) -> __m512i {
    // SAFETY: the mask lets no byte behind `codes` be read.
    unsafe { _mm512_maskz_loadu_epi8(first_lanes(codes.len()), codes.as_ptr()) }
}

/// Up to sixteen codes as floats; lanes behind them are zero.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen(codes: &[i8]) -> __m512 {
    // SAFETY: the mask lets no byte behind `codes` be read.
    let codes = unsafe { _mm_maskz_loadu_epi8(first_lanes(codes.len()) as u16, codes.as_ptr()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes))
}

/// Up to sixteen floats; lanes behind them are zero.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_floats(floats: &[f32]) -> __m512 {
    // SAFETY: the mask lets no float behind `floats` be read.
    unsafe { _mm512_maskz_loadu_ps(first_lanes(floats.len()) as u16, floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_line(line: &PanelLine) -> __m512i {
    // SAFETY: a panel line is 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(line.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_floats(lanes: __m512) -> [f32; 16] {
    let mut floats = [0.0; 16];
    // SAFETY: `floats` is 64 bytes long and the store has no alignment.
    unsafe { _mm512_storeu_ps(floats.as_mut_ptr(), lanes) }
    floats
}
