//! What a batch needs to know of its collection before it reads any record.

/// How two vectors are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Score: the cosine of the angle; a zero vector has none and is refused.
    #[default]
    Cosine,
    /// Score: 1 / (1 + Euclidean distance).
    Euclidean,
    /// Score: the dot product.
    DotProduct,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 3] = [Metric::Cosine, Metric::Euclidean, Metric::DotProduct];

    /// The metric as it stands on the wire, e.g. `dot_product`.
    pub fn as_str(self) -> &'static str {
        match self {
            Metric::Cosine => "cosine",
            Metric::Euclidean => "euclidean",
            Metric::DotProduct => "dot_product",
        }
    }
}

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
