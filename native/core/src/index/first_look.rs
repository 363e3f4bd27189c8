//! The first look of a search at a row: an estimate of its distance from one bit a dimension.
//!
//! A row's int8 codes are several cache lines, and most rows that a search meets are too far to
//! matter. The signs of `row - center` are a line or two, and tell most of those apart.
//! Source: J. Gao, C. Long, RaBitQ, SIGMOD 2024, section 3 (the estimator, and queries of four
//! bits a number); the codes are used as they are, without its random rotation.
//!
//! With `o = row - center`, `x` its signs and `q = query - center`:
//! `o . q` is about `(o . o) / (o . x) * (x . q)`.

use rayon::prelude::*;

use super::codes;
use super::graph::Graph;
use crate::kernels::{BIT_PLANES, BitDot, CodeQuery, CodeRows, Kernels};
use crate::record::Slot;

/// Rows whose codes are fewer bytes than this are read as fast as their signs.
const CODE_BYTES_MIN: usize = 192;
/// Largest number of a query.
const NUMBER_MAX: f32 = ((1 << BIT_PLANES) - 1) as f32;
/// A float32 from here on, up to twice as much, is a whole number.
const WHOLE_NUMBERS: f32 = (1 << 23) as f32;
/// Rows of one piece of work.
const PIECE_ROWS: usize = 1024;
/// The signs that a byte stands for, its lowest bit first: 1 where it is set, else -1.
const SIGNS: [[i8; 8]; 256] = {
    let mut signs = [[-1; 8]; 256];
    let mut place = 0;
    while place < 256 * 8 {
        if (place / 8) >> (place % 8) & 1 == 1 {
            signs[place / 8][place % 8] = 1;
        }
        place += 1;
    }
    signs
};

/// The signs of all rows of a graph around one center. A row stands here before any link leads
/// to it.
#[derive(Debug)]
pub(super) struct FirstLook {
    kernels: Kernels,
    center: CodeQuery,
    dimension: usize,
    /// Words of signs; behind them in each row half of `o . o`, the factor of `x . q`, and how
    /// many signs are set, as float32.
    words: usize,
    rows: CodeRows,
}

/// A query as [`FirstLook::select`] needs it.
#[derive(Debug, Default)]
pub(super) struct LookQuery {
    planes: Vec<[u64; BIT_PLANES]>,
    /// The number `v` of a dimension stands for `least + v * step`.
    least: f32,
    step: f32,
    sum: f32,
    half_norm: f32,
    values: Vec<f32>,
    numbers: Vec<u8>,
    dots: Vec<BitDot>,
}

impl FirstLook {
    /// Whether a first look pays for rows of so many bytes.
    pub fn pays(row_bytes: usize) -> bool {
        row_bytes >= CODE_BYTES_MIN
    }

    pub fn new(kernels: Kernels, dimension: usize, center: CodeQuery) -> Self {
        let words = dimension.div_ceil(64);
        let factors = 3 * size_of::<f32>();
        FirstLook {
            kernels,
            center,
            dimension,
            words,
            rows: CodeRows::new(words * 8 + factors),
        }
    }

    pub fn center(&self) -> &CodeQuery {
        &self.center
    }

    /// Bytes that the rows take.
    pub fn bytes(&self) -> usize {
        self.rows.bytes()
    }

    /// Writes the signs of rows whose codes are written.
    pub fn write(&self, graph: &Graph, slots: &[Slot]) {
        slots.par_chunks(PIECE_ROWS).for_each(|slots| {
            let mut row = graph.empty_query();
            let (mut words, mut signs) = (vec![0u32; 2 * self.words], Vec::new());
            let mut bytes = Vec::new();
            for &slot in slots {
                graph.row_query(slot, &mut row);
                self.encode(&row, &mut words, &mut signs, &mut bytes);
                self.rows.write(slot, &bytes, 0.0, 0.0);
            }
        });
    }

    fn encode(&self, row: &CodeQuery, words: &mut [u32], signs: &mut Vec<i8>, out: &mut Vec<i8>) {
        let (kernels, center) = (self.kernels, &self.center);
        kernels.residual_signs(&row.codes, row.scale, &center.codes, center.scale, words);
        signs.clear();
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        bytes.for_each(|byte| signs.extend_from_slice(&SIGNS[usize::from(byte)]));
        signs.truncate(row.codes.len());
        let along = kernels.dot_codes(&row.codes, signs) as f32 * row.scale
            - kernels.dot_codes(&center.codes, signs) as f32 * center.scale;
        let half_norm = codes::distance(kernels, row, center).max(0.0);
        let factor = if along > 0.0 {
            2.0 * half_norm / along
        } else {
            0.0
        };
        let set: u32 = words.iter().map(|word| word.count_ones()).sum();
        let factors = [half_norm, factor, set as f32];
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        let bytes = bytes.chain(factors.iter().flat_map(|factor| factor.to_le_bytes()));
        out.clear();
        out.extend(bytes.map(u8::cast_signed));
    }

    /// Makes a query ready.
    pub fn ask(&self, query: &CodeQuery, asked: &mut LookQuery) {
        let center = &self.center;
        let codes = query.codes.iter().zip(&center.codes).take(self.dimension);
        let values = &mut asked.values;
        values.clear();
        values.extend(codes.map(|(&code, &center_code)| {
            f32::from(code) * query.scale - f32::from(center_code) * center.scale
        }));
        let (least, most) = range(values);
        let step = (most - least) / NUMBER_MAX;
        let per_step = if step > 0.0 { 1.0 / step } else { 0.0 };
        let numbers = &mut asked.numbers;
        numbers.clear();
        // Beside so large a number only whole numbers have bits, and those are the lowest.
        let rounded = values
            .iter()
            .map(|value| (value - least) * per_step + WHOLE_NUMBERS);
        numbers.extend(rounded.map(|number| number.to_bits() as u8));
        let sum: u32 = numbers.iter().map(|&number| u32::from(number)).sum();
        numbers.resize(self.words * 64, 0);
        asked.planes.clear();
        asked
            .planes
            .extend(numbers.as_chunks().0.iter().map(planes_of));
        (asked.least, asked.step) = (least, step);
        asked.sum = least * values.len() as f32 + step * sum as f32;
        asked.half_norm = codes::distance(self.kernels, query, center).max(0.0);
    }

    /// Asks for a row's signs ahead.
    #[inline]
    pub fn prefetch(&self, slot: Slot) {
        self.rows.prefetch_codes(slot);
    }

    /// Writes the slots whose estimated distance is below a bound to `near`.
    #[inline]
    pub fn select(&self, query: &mut LookQuery, bound: f32, slots: &[Slot], near: &mut Vec<Slot>) {
        query.dots.resize(slots.len(), BitDot::default());
        self.kernels
            .bit_dots(&query.planes, &self.rows, slots, &mut query.dots);
        near.resize(slots.len(), 0);
        let mut count = 0;
        for (&slot, found) in slots.iter().zip(&query.dots) {
            if let Some(place) = near.get_mut(count) {
                *place = slot;
            }
            count += usize::from(query.estimate(found) < bound);
        }
        near.truncate(count);
    }
}

impl LookQuery {
    /// The distance of a row.
    #[inline]
    fn estimate(&self, row: &BitDot) -> f32 {
        let [first, second] = row.behind;
        let (half_norm, factor) = (
            f32::from_bits(first as u32),
            f32::from_bits((first >> 32) as u32),
        );
        let set = f32::from_bits(second as u32);
        let of_set = self.least * set + self.step * row.dot as f32;
        (self.half_norm + half_norm) - factor * (2.0 * of_set - self.sum)
    }
}

/// The least and the greatest number, found in lanes that become vector instructions.
fn range(values: &[f32]) -> (f32, f32) {
    const LANES: usize = 16;
    let (mut least, mut most) = ([f32::MAX; LANES], [f32::MIN; LANES]);
    for values in values.chunks(LANES) {
        for ((least, most), &value) in least.iter_mut().zip(&mut most).zip(values) {
            *least = if value < *least { value } else { *least };
            *most = if value > *most { value } else { *most };
        }
    }
    (
        least.into_iter().fold(f32::MAX, f32::min),
        most.into_iter().fold(f32::MIN, f32::max),
    )
}

/// The bits of 64 numbers, plane by plane: eight at a time, where a product moves the lowest bits
/// of eight bytes into one.
fn planes_of(numbers: &[u8; 64]) -> [u64; BIT_PLANES] {
    const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut planes = [0; BIT_PLANES];
    for (place, eight) in numbers.as_chunks().0.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        for (bit, plane) in planes.iter_mut().enumerate() {
            let lowest = (eight >> bit) & LOWEST_BITS;
            *plane |= (lowest.wrapping_mul(GATHER) >> 56) << (8 * place);
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::super::tests::clustered;
    use super::super::{IndexParameters, Metric};
    use super::*;

    /// Rows and their graph; the center is the first row's, scaled down.
    fn graph(metric: Metric, dimension: usize) -> Graph {
        let graph = Graph::new(IndexParameters::new(dimension, metric));
        graph.bound_length(&mut [&[8.0][..]].into_iter());
        for slot in 0..400 {
            graph.encode(slot, &clustered(u64::from(slot), dimension));
        }
        graph
    }

    #[test]
    fn planes_hold_the_bits_of_the_numbers() {
        let numbers: [u8; 64] = std::array::from_fn(|place| (place * 7 % 16) as u8);
        let planes = planes_of(&numbers);
        for (place, &number) in numbers.iter().enumerate() {
            let bits = (0..)
                .zip(planes)
                .map(|(bit, plane)| (plane >> place & 1) << bit);
            assert_eq!(bits.sum::<u64>(), u64::from(number), "{place}");
        }
    }

    #[test]
    fn estimates_tell_near_rows_from_far_ones() {
        for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
            for dimension in [200, 384, 777] {
                let graph = graph(metric, dimension);
                let center = graph.query(&vec![0.01; dimension]);
                let space = graph.space().code_dimension();
                let first_look = FirstLook::new(graph.kernels(), space, center);
                let slots: Vec<Slot> = (0..400).collect();
                first_look.write(&graph, &slots);
                let query = graph.query(&clustered(1_000_003, dimension));
                let mut asked = LookQuery::default();
                first_look.ask(&query, &mut asked);
                let mut exact = Vec::new();
                graph.distances(&query, &slots, &mut exact);
                let mut sorted = exact.clone();
                sorted.sort_by(f32::total_cmp);
                // The query's own cluster is near, all others are about as far as each other.
                let (near, far) = (sorted[3], sorted[60]);
                let bound = 0.5 * (near + far);
                let mut found = Vec::new();
                first_look.select(&mut asked, bound, &slots, &mut found);
                let missed = slots
                    .iter()
                    .filter(|&&slot| exact[slot as usize] <= near && !found.contains(&slot));
                let wrong = found.iter().filter(|&&slot| exact[slot as usize] >= far);
                let (missed, wrong) = (missed.count(), wrong.count());
                assert!(
                    missed <= 2 && wrong <= 20,
                    "{metric:?} {dimension}: {missed} {wrong}"
                );
            }
        }
    }

    #[test]
    fn a_row_at_the_center_and_an_even_query_have_estimates() {
        let graph = Graph::new(IndexParameters::new(256, Metric::Euclidean));
        graph.encode(0, &[1.0; 256]);
        graph.encode(1, &[3.0; 256]);
        let center = graph.query(&[1.0; 256]);
        let first_look = FirstLook::new(graph.kernels(), 256, center);
        first_look.write(&graph, &[0, 1]);
        let mut asked = LookQuery::default();
        let mut found = Vec::new();
        for (value, nearest) in [(1.0, 0), (3.0, 1)] {
            first_look.ask(&graph.query(&[value; 256]), &mut asked);
            first_look.select(&mut asked, 1.0, &[0, 1], &mut found);
            assert_eq!(found, [nearest]);
        }
    }
}
