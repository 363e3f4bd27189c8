//! Exact scores over float32 vectors, for the last few candidates of a search.
//!
//! The loops are plain Rust that the compiler turns into vector instructions, once for each
//! instruction set. 32 lanes are summed in one fixed order without fused operations, so a score
//! is the same number on every processor. SimSIMD has the same functions and is the reference of
//! the tests and of the benchmark: its last bits depend on the processor, and with AVX2 it takes
//! about twice the time, because each addition to its one vector of sums waits for the last.

#[cfg(target_arch = "x86_64")]
use super::InstructionSet;
use super::{Kernels, scalar};

/// Independent sums: enough to hide the latency of an addition in registers of 256 bits.
const LANES: usize = 32;

/// The dot product; of the shorter length, if they differ.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let [dot] = sums(Kernels::detect(), left, right, product);
    dot
}

/// The dot product of two vectors and that of the right one with itself, to the bit as [`dot`]
/// gives them, while the right one is read once; of the shorter length, if they differ.
pub fn dot_and_square(left: &[f32], right: &[f32]) -> [f32; 2] {
    sums(Kernels::detect(), left, right, product_and_square)
}

/// The squared euclidean distance; of the shorter length, if they differ.
pub fn squared_euclidean(left: &[f32], right: &[f32]) -> f32 {
    let [square] = sums(Kernels::detect(), left, right, squared_difference);
    square
}

/// The euclidean length.
pub fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

#[inline(always)]
fn product(left: f32, right: f32) -> [f32; 1] {
    [left * right]
}

#[inline(always)]
fn product_and_square(left: f32, right: f32) -> [f32; 2] {
    [left * right, right * right]
}

#[inline(always)]
fn squared_difference(left: f32, right: f32) -> [f32; 1] {
    [(left - right) * (left - right)]
}

/// The sums of some terms over all pairs, compiled for the instruction set of `kernels`.
fn sums<const TERMS: usize>(
    kernels: Kernels,
    left: &[f32],
    right: &[f32],
    terms: impl Fn(f32, f32) -> [f32; TERMS],
) -> [f32; TERMS] {
    match kernels.instruction_set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Kernels` of these sets are made only where the processor has AVX2.
        InstructionSet::Avx2 | InstructionSet::Avx512 => unsafe { sums_avx2(left, right, terms) },
        // NEON is part of every build for 64-bit ARM, so the plain loop is compiled for it.
        _ => sums_in_lanes(left, right, terms),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sums_avx2<const TERMS: usize>(
    left: &[f32],
    right: &[f32],
    terms: impl Fn(f32, f32) -> [f32; TERMS],
) -> [f32; TERMS] {
    sums_in_lanes(left, right, terms)
}

/// Lane `i` sums the terms at `i`, `i + 32`, `i + 64`, ...; then the fixed tree.
#[inline(always)]
fn sums_in_lanes<const TERMS: usize>(
    left: &[f32],
    right: &[f32],
    terms: impl Fn(f32, f32) -> [f32; TERMS],
) -> [f32; TERMS] {
    let length = left.len().min(right.len());
    let (left, left_rest) = left[..length].as_chunks::<LANES>();
    let (right, right_rest) = right[..length].as_chunks::<LANES>();
    let mut sums = [[0.0; LANES]; TERMS];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            let terms = terms(left[lane], right[lane]);
            for (sums, term) in sums.iter_mut().zip(terms) {
                sums[lane] += term;
            }
        }
    }
    for (lane, (&left, &right)) in left_rest.iter().zip(right_rest).enumerate() {
        for (sums, term) in sums.iter_mut().zip(terms(left, right)) {
            sums[lane] += term;
        }
    }
    sums.map(|lanes| {
        scalar::tree_sum(std::array::from_fn(|lane| {
            lanes[lane] + lanes[lane + LANES / 2]
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use simsimd::SpatialSimilarity;

    fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        prop_oneof![9 => 0usize..=2000, 1 => Just(8192)].prop_flat_map(|length| {
            let vector = || prop::collection::vec(-1f32..1.0, length);
            (vector(), vector())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn scores_agree_with_the_reference_and_between_instruction_sets(
            (left, right) in pair(),
            misalignment in 0usize..8,
        ) {
            let from = misalignment.min(left.len());
            let (left, right) = (&left[from..], &right[from..]);
            let tolerance = 1e-6 * (1.0 + left.len() as f64);
            let reference = f32::dot(left, right).unwrap_or(0.0);
            prop_assert!((f64::from(dot(left, right)) - reference).abs() <= tolerance);
            let reference = f32::l2sq(left, right).unwrap_or(0.0);
            let squared = f64::from(squared_euclidean(left, right));
            prop_assert!((squared - reference).abs() <= tolerance);
            prop_assert_eq!(norm(left).to_bits(), dot(left, left).sqrt().to_bits());
            let both = [dot(left, right), dot(right, right)];
            prop_assert_eq!(dot_and_square(left, right).map(f32::to_bits), both.map(f32::to_bits));
            for kernels in Kernels::available() {
                let actual = sums(kernels, left, right, product_and_square);
                let expected = sums_in_lanes(left, right, product_and_square);
                prop_assert_eq!(actual.map(f32::to_bits), expected.map(f32::to_bits));
                let actual = sums(kernels, left, right, squared_difference);
                let expected = sums_in_lanes(left, right, squared_difference);
                prop_assert_eq!(actual.map(f32::to_bits), expected.map(f32::to_bits));
            }
        }
    }
}
