//! Exact scores over float32 vectors, for the last few candidates of a search.

use simsimd::SpatialSimilarity;

/// The dot product; of the shorter length, if they differ.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let length = left.len().min(right.len());
    f32::dot(&left[..length], &right[..length]).unwrap_or(0.0) as f32
}

/// The squared euclidean distance; of the shorter length, if they differ.
pub fn squared_euclidean(left: &[f32], right: &[f32]) -> f32 {
    let length = left.len().min(right.len());
    f32::l2sq(&left[..length], &right[..length]).unwrap_or(0.0) as f32
}

/// The euclidean length.
pub fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}
