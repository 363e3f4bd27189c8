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
    sum(Kernels::detect(), left, right, product)
}

/// The squared euclidean distance; of the shorter length, if they differ.
pub fn squared_euclidean(left: &[f32], right: &[f32]) -> f32 {
    sum(Kernels::detect(), left, right, squared_difference)
}

/// The euclidean length.
pub fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

#[inline(always)]
fn product(left: f32, right: f32) -> f32 {
    left * right
}

#[inline(always)]
fn squared_difference(left: f32, right: f32) -> f32 {
    (left - right) * (left - right)
}

/// The sum of `term` over all pairs, compiled for the instruction set of `kernels`.
fn sum(kernels: Kernels, left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    match kernels.instruction_set() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `Kernels` of these sets are made only where the processor has AVX2.
        InstructionSet::Avx2 | InstructionSet::Avx512 => unsafe { sum_avx2(left, right, term) },
        // NEON is part of every build for 64-bit ARM, so the plain loop is compiled for it.
        _ => sum_in_lanes(left, right, term),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_avx2(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    sum_in_lanes(left, right, term)
}

/// Lane `i` sums the terms at `i`, `i + 32`, `i + 64`, ...; then the fixed tree.
#[inline(always)]
fn sum_in_lanes(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let length = left.len().min(right.len());
    let (left, left_rest) = left[..length].as_chunks::<LANES>();
    let (right, right_rest) = right[..length].as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            lanes[lane] += term(left[lane], right[lane]);
        }
    }
    for ((lane, &left), &right) in lanes.iter_mut().zip(left_rest).zip(right_rest) {
        *lane += term(left, right);
    }
    scalar::tree_sum(std::array::from_fn(|lane| {
        lanes[lane] + lanes[lane + LANES / 2]
    }))
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
            for kernels in Kernels::available() {
                let actual = sum(kernels, left, right, product);
                let expected = sum_in_lanes(left, right, product);
                prop_assert_eq!(actual.to_bits(), expected.to_bits());
                let actual = sum(kernels, left, right, squared_difference);
                let expected = sum_in_lanes(left, right, squared_difference);
                prop_assert_eq!(actual.to_bits(), expected.to_bits());
            }
        }
    }
}
