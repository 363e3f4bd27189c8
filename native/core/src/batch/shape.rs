//! What a batch needs to know of its collection before it reads any record.

use crate::index::Metric;

/// What every vector and text of a collection must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionShape {
    /// Numbers per vector, 1 to 8,192.
    pub dimension: usize,
    /// Whether a vector's length matters.
    pub metric: Metric,
    /// Whether a text may stand in place of a vector.
    pub has_embedder: bool,
}
