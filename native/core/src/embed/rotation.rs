//! A fixed rotation, after which every feature is spread over all numbers of a vector.
//!
//! A sketch of a few words is zero almost everywhere, and a sign or a rounded number of it says
//! little. Rotated, the vector has the same dot products, and 1-bit and int8 codes of it keep
//! most of them. Random signs and a Walsh-Hadamard transform take the place of a random matrix
//! (Ailon, Chazelle, "The fast Johnson-Lindenstrauss transform", 2009).

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Transforms in turn of the vector's beginning and end, which overlap in dimensions that are no
/// power of two: the third one reaches what the first and second could not mix.
const ROUNDS: u64 = 3;
const SIGN_SEED: u64 = 3;
/// Signs that one hash gives.
const SIGNS: usize = 64;

/// Rotates in place; lengths and dot products stay as they are, but for rounding.
pub(super) fn rotate(values: &mut [f32]) {
    let Some(power) = values.len().checked_ilog2() else {
        return;
    };
    let block = 1 << power;
    let scale = 1.0 / (block as f32).sqrt();
    for round in 0..ROUNDS {
        let start = if round % 2 == 0 {
            0
        } else {
            values.len() - block
        };
        let values = &mut values[start..start + block];
        flip_signs(values, round);
        transform(values);
        values.iter_mut().for_each(|value| *value *= scale);
    }
}

fn flip_signs(values: &mut [f32], round: u64) {
    for (chunk, values) in (0u64..).zip(values.chunks_mut(SIGNS)) {
        let mut signs = xxh3_64_with_seed(&(round << 32 | chunk).to_le_bytes(), SIGN_SEED);
        for value in values {
            *value = if signs & 1 == 1 { -*value } else { *value };
            signs >>= 1;
        }
    }
}

/// The Walsh-Hadamard transform of a power of two of numbers, in place and not scaled.
fn transform(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(dimension: usize, place: usize) -> Vec<f32> {
        let mut values = vec![0.0; dimension];
        values[place] = 1.0;
        rotate(&mut values);
        values
    }

    #[test]
    fn axes_stay_at_right_angles_and_of_unit_length() {
        for dimension in [1, 64, 65, 96, 127, 768] {
            let axes: Vec<Vec<f32>> = (0..dimension).map(|place| unit(dimension, place)).collect();
            for (place, axis) in axes.iter().enumerate() {
                for (other, beside) in axes.iter().enumerate().skip(place) {
                    let dot: f32 = axis.iter().zip(beside).map(|(a, b)| a * b).sum();
                    let expected = if place == other { 1.0 } else { 0.0 };
                    assert!(
                        (dot - expected).abs() < 1e-4,
                        "{dimension}: {place}, {other}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_number_is_spread_over_all() {
        for dimension in [64, 96, 384, 768, 1024, 1536] {
            for place in [0, dimension / 2, dimension - 1] {
                let values = unit(dimension, place);
                let largest = values
                    .iter()
                    .fold(0.0f32, |largest, value| largest.max(value.abs()));
                assert!(largest < 0.5, "{dimension}: {place} leaves {largest}");
                let used = values.iter().filter(|value| **value != 0.0).count();
                assert!(
                    used > dimension * 7 / 10,
                    "{dimension}: {place} reaches {used}"
                );
            }
        }
    }
}
