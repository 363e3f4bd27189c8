//! From a metric to int8 codes, such that for every metric a smaller distance is nearer.
//!
//! With `bias = |x|^2 / 2` the kernels' `bias + bias - dot` is half the squared euclidean
//! distance of two coded rows. Under all three metrics the graph is built on that one distance;
//! they differ in what is coded:
//!
//! - **euclidean**: the vector as it is; zero vectors are rows like any other;
//! - **cosine**: the vector scaled to length 1, so the distance is `1 - cosine`;
//! - **dot product**: the vector `x / M`, completed to length 1 by added coordinates, where `M`
//!   bounds the lengths; a query is scaled to length 1 and gets zeros there. The distance is then
//!   `1 - (x . q) / (M |q|)`. Source: Y. Bachrach et al., Speeding up the Xbox recommender system
//!   using a euclidean transformation for inner-product spaces, RecSys 2014.
//!
//! Scaling to length 1 happens on the codes: `scale = 1 / sqrt(sum of squared codes)`. A coded
//! row so has distance 0 to itself, whatever was lost by rounding.

use std::sync::OnceLock;

use super::metric::Metric;
use crate::kernels::{CodeQuery, Kernels};

/// Coordinates that share the length which a dot-product row lacks. A single one would be the
/// largest by far, and the int8 step, which follows the largest, would blur all others.
const ADDED_COORDINATES: usize = 64;

/// Turns vectors of one collection into codes.
#[derive(Debug)]
pub(super) struct CodeSpace {
    metric: Metric,
    dimension: usize,
    kernels: Kernels,
    /// Dot product: the length `M` that becomes 1, a power of two; set once.
    length_bound: OnceLock<f32>,
}

/// Scale and bias of one coded row, see [`crate::kernels::CodeRows::write`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Coded {
    pub scale: f32,
    pub bias: f32,
}

impl CodeSpace {
    pub fn new(metric: Metric, dimension: usize, kernels: Kernels) -> Self {
        CodeSpace {
            metric,
            dimension,
            kernels,
            length_bound: OnceLock::new(),
        }
    }

    /// Count of codes of one row, before any padding.
    pub fn code_dimension(&self) -> usize {
        match self.metric {
            Metric::DotProduct => self.dimension + ADDED_COORDINATES,
            Metric::Cosine | Metric::Euclidean => self.dimension,
        }
    }

    /// Dot product: fixes `M` as the power of two above twice the longest of some lengths. The
    /// first call decides; rows longer than `M` are later shortened to it in their codes.
    pub fn bound_length(&self, vectors: &mut dyn Iterator<Item = &[f32]>) {
        if self.metric == Metric::DotProduct && self.length_bound.get().is_none() {
            let longest = vectors.map(length).fold(0.0, f64::max);
            self.length_bound
                .get_or_init(|| power_of_two_above(2.0 * longest));
        }
    }

    /// The bound `M`, where it is decided.
    pub fn length_bound(&self) -> Option<f32> {
        self.length_bound.get().copied()
    }

    /// Takes over the bound of a saved graph; false where another one is decided already.
    pub fn restore_length_bound(&self, bound: f32) -> bool {
        *self.length_bound.get_or_init(|| bound) == bound
    }

    /// Codes a row; `codes` is a padded row.
    pub fn encode_row(&self, vector: &[f32], codes: &mut [i8]) -> Coded {
        let vector = &vector[..vector.len().min(self.dimension)];
        match self.metric {
            Metric::Cosine => self.encode_unit(vector, codes),
            Metric::Euclidean => {
                let encoded = self.kernels.encode(vector, codes);
                let square_norm = encoded.scale * encoded.scale * encoded.square_sum as f32;
                Coded {
                    scale: encoded.scale,
                    bias: 0.5 * square_norm,
                }
            }
            Metric::DotProduct => {
                self.bound_length(&mut std::iter::once(vector));
                self.encode_unit(&self.completed(vector), codes)
            }
        }
    }

    /// Codes a query.
    pub fn encode_query(&self, vector: &[f32], padded: usize) -> CodeQuery {
        let mut codes = vec![0; padded];
        let vector = &vector[..vector.len().min(self.dimension)];
        let coded = match self.metric {
            Metric::DotProduct => self.encode_unit(vector, &mut codes),
            Metric::Cosine | Metric::Euclidean => self.encode_row(vector, &mut codes),
        };
        CodeQuery {
            codes,
            scale: coded.scale,
            bias: coded.bias,
        }
    }

    fn encode_unit(&self, vector: &[f32], codes: &mut [i8]) -> Coded {
        let encoded = self.kernels.encode(vector, codes);
        let scale = match encoded.square_sum {
            0 => 0.0,
            square_sum => 1.0 / (square_sum as f32).sqrt(),
        };
        Coded { scale, bias: 0.5 }
    }

    /// `x / M` and the coordinates that complete it to length 1.
    fn completed(&self, vector: &[f32]) -> Vec<f32> {
        let bound = f64::from(self.length_bound.get().copied().unwrap_or(1.0));
        let length = length(vector);
        let factor = 1.0 / length.max(bound);
        let missing = (1.0 - (length * factor).powi(2)).max(0.0);
        let added = (missing / ADDED_COORDINATES as f64).sqrt() as f32;
        let scaled = vector
            .iter()
            .map(|&number| (f64::from(number) * factor) as f32);
        scaled
            .chain(std::iter::repeat_n(added, ADDED_COORDINATES))
            .collect()
    }
}

/// The euclidean length, summed in order: the same bits on every machine.
fn length(vector: &[f32]) -> f64 {
    vector
        .iter()
        .map(|&number| f64::from(number) * f64::from(number))
        .sum::<f64>()
        .sqrt()
}

/// The least power of two that is not below a length, within what float32 can divide by.
fn power_of_two_above(length: f64) -> f32 {
    length.clamp(1e-30, 1e30).log2().ceil().exp2() as f32
}

/// The distance of two coded vectors, as [`Kernels::distances`] computes it.
pub(super) fn distance(kernels: Kernels, left: &CodeQuery, right: &CodeQuery) -> f32 {
    let dot = kernels.dot_codes(&left.codes, &right.codes);
    (left.bias + right.bias) - dot as f32 * (left.scale * right.scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(metric: Metric, dimension: usize) -> CodeSpace {
        CodeSpace::new(metric, dimension, Kernels::detect())
    }

    fn coded_row(space: &CodeSpace, vector: &[f32]) -> CodeQuery {
        let mut codes = vec![0; space.code_dimension().next_multiple_of(64)];
        let coded = space.encode_row(vector, &mut codes);
        CodeQuery {
            codes,
            scale: coded.scale,
            bias: coded.bias,
        }
    }

    fn distance_of(space: &CodeSpace, query: &[f32], row: &[f32]) -> f32 {
        let row = coded_row(space, row);
        let query = space.encode_query(query, row.codes.len());
        distance(Kernels::detect(), &query, &row)
    }

    #[test]
    fn cosine_is_one_minus_the_cosine_whatever_the_lengths() {
        let space = space(Metric::Cosine, 3);
        let distance = distance_of(&space, &[30.0, 40.0, 0.0], &[0.004, 0.003, 0.0]);
        assert!((distance - 0.04).abs() < 0.005, "{distance}");
        assert!(distance_of(&space, &[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).abs() < 1e-6);
    }

    #[test]
    fn euclidean_is_half_the_squared_distance_and_takes_zero_vectors() {
        let space = space(Metric::Euclidean, 2);
        let distance = distance_of(&space, &[3.0, 4.0], &[0.0, 8.0]);
        assert!((distance - 12.5).abs() < 0.2, "{distance}");
        assert!((distance_of(&space, &[0.0, 0.0], &[3.0, 4.0]) - 12.5).abs() < 0.1);
        assert_eq!(distance_of(&space, &[0.0, 0.0], &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn dot_product_falls_with_the_product_and_ignores_the_length_of_the_query() {
        let space = space(Metric::DotProduct, 2);
        space.bound_length(&mut [&[3.0f32, 4.0][..]].into_iter());
        assert_eq!(space.length_bound(), Some(16.0));
        for factor in [0.01, 1.0, 500.0] {
            let query = [0.6 * factor, 0.8 * factor];
            let distance = distance_of(&space, &query, &[3.0, 4.0]);
            assert!((distance - (1.0 - 5.0 / 16.0)).abs() < 0.01, "{distance}");
        }
        assert!((distance_of(&space, &[1.0, 0.0], &[0.0, 0.0]) - 1.0).abs() < 1e-6);
        assert!(distance_of(&space, &[1.0, 0.0], &[99.0, 0.0]).abs() < 0.02);
    }

    #[test]
    fn every_row_is_at_no_distance_to_itself() {
        for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
            let space = space(metric, 3);
            for vector in [[1.0, -2.0, 0.5], [1e-3, 1e-3, 0.0], [0.0, 7.0, 7.0]] {
                let row = coded_row(&space, &vector);
                let own = distance(Kernels::detect(), &row, &row);
                assert!(own.abs() <= 1e-6 * row.bias, "{metric:?} {own}");
            }
        }
    }
}
