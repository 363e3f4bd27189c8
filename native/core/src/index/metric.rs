//! What "near" means in a collection, and the score that callers see.

use serde::{Deserialize, Serialize};

use crate::kernels::float;

/// How the likeness of two vectors is measured; chosen with the collection, never changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle, -1 to 1. A zero vector has no angle and is refused at the door.
    #[default]
    Cosine,
    /// The euclidean distance, scored as `1 / (1 + distance)`, above 0 to 1.
    Euclidean,
    /// The dot product, unbounded.
    DotProduct,
}

/// A query that scores vectors exactly.
#[derive(Clone, Copy, Debug)]
pub struct ExactQuery<'q> {
    metric: Metric,
    vector: &'q [f32],
    /// Length of the query, where the metric asks for it.
    norm: f32,
}

impl<'q> ExactQuery<'q> {
    /// A query of the collection's dimension.
    pub fn new(metric: Metric, vector: &'q [f32]) -> Self {
        let norm = match metric {
            Metric::Cosine => float::norm(vector),
            Metric::Euclidean | Metric::DotProduct => 1.0,
        };
        ExactQuery {
            metric,
            vector,
            norm,
        }
    }

    /// The exact score of a vector of the same dimension, from the float32 originals; larger is
    /// nearer. A cosine with a zero vector is 0.
    pub fn score(&self, vector: &[f32]) -> f32 {
        match self.metric {
            Metric::Cosine => {
                let [dot, square] = float::dot_and_square(self.vector, vector);
                let norms = self.norm * square.sqrt();
                if norms > 0.0 { dot / norms } else { 0.0 }
            }
            Metric::Euclidean => 1.0 / (1.0 + float::squared_euclidean(self.vector, vector).sqrt()),
            Metric::DotProduct => float::dot(self.vector, vector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(metric: Metric, query: &[f32], vector: &[f32]) -> f32 {
        ExactQuery::new(metric, query).score(vector)
    }

    #[test]
    fn scores_grow_with_nearness() {
        let (query, near, far) = ([1.0, 2.0, 2.0], [1.0, 2.0, 1.5], [-4.0, 0.0, 1.0]);
        for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
            assert!(
                score(metric, &query, &near) > score(metric, &query, &far),
                "{metric:?}"
            );
        }
    }

    #[test]
    fn scores_follow_their_formulas() {
        let (left, right) = ([3.0, 4.0], [4.0, 3.0]);
        assert!((score(Metric::Cosine, &left, &right) - 0.96).abs() < 1e-6);
        assert!((score(Metric::DotProduct, &left, &right) - 24.0).abs() < 1e-5);
        let euclidean = score(Metric::Euclidean, &left, &right);
        assert!((euclidean - 1.0 / (1.0 + 2f32.sqrt())).abs() < 1e-6);
        assert_eq!(score(Metric::Euclidean, &left, &left), 1.0);
        assert_eq!(score(Metric::Cosine, &left, &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn names_are_in_snake_case() {
        let names: Vec<String> = [Metric::Cosine, Metric::Euclidean, Metric::DotProduct]
            .iter()
            .filter_map(|metric| serde_json::to_string(metric).ok())
            .collect();
        assert_eq!(names, ["\"cosine\"", "\"euclidean\"", "\"dot_product\""]);
    }
}
