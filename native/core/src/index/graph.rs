//! What searches and the indexer share: the code rows and the links of layer 0.

use super::candidate::Candidate;
use super::codes::CodeSpace;
use super::links::LinkRows;
use super::metric::Metric;
use crate::kernels::{CodeQuery, CodeRows, Kernels};
use crate::record::Slot;

/// Fewest and most links per row (`m`) that are taken as given.
const M_RANGE: std::ops::RangeInclusive<usize> = 2..=128;

/// Bytes of codes that are made ready ahead, at most.
const PREPARED_BYTES_MAX: usize = 4 << 20;

/// What a graph is made with; fixed for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexParameters {
    /// Numbers of one vector.
    pub dimension: usize,
    /// How likeness is measured.
    pub metric: Metric,
    /// Half of the links that a row keeps, as in HNSW; 16 by default, used within 2 to 128.
    pub m: usize,
    /// Candidates that a new row's links are chosen from, roughly; 100 by default.
    pub ef_construction: usize,
}

impl IndexParameters {
    /// The usual parameters: `m` 16 and `ef_construction` 100.
    pub fn new(dimension: usize, metric: Metric) -> Self {
        IndexParameters {
            dimension,
            metric,
            m: 16,
            ef_construction: 100,
        }
    }

    fn m(&self) -> usize {
        self.m.clamp(*M_RANGE.start(), *M_RANGE.end())
    }

    /// Links that the choice of neighbors leaves a row.
    pub(super) fn links_kept(&self) -> usize {
        2 * self.m()
    }

    /// Links that a row holds before its neighbors are chosen anew.
    pub(super) fn links_capacity(&self) -> usize {
        3 * self.m() - 1
    }

    /// Candidates by int8 distance from which a row's neighbors are chosen.
    pub(super) fn candidates_kept(&self) -> usize {
        3 * self.m()
    }

    /// Candidates by 1-bit codes that a row takes from each of its leaves.
    pub(super) fn candidates_per_leaf(&self) -> usize {
        (self.ef_construction / 8).clamp(4, 128)
    }
}

/// The part of the index that all threads use at once: codes and links by slot, without locks.
///
/// A slot's codes are written once ([`Graph::encode`]) before anyone can meet the slot; its
/// links are written by the one [`super::Builder`]. Searches read both at any time.
#[derive(Debug)]
pub struct Graph {
    parameters: IndexParameters,
    kernels: Kernels,
    space: CodeSpace,
    codes: CodeRows,
    links: LinkRows,
}

impl Graph {
    /// An empty graph.
    pub fn new(parameters: IndexParameters) -> Graph {
        Graph::with_kernels(parameters, Kernels::detect())
    }

    /// An empty graph that uses given kernels; all kernels build the same graph.
    pub fn with_kernels(parameters: IndexParameters, kernels: Kernels) -> Graph {
        let space = CodeSpace::new(parameters.metric, parameters.dimension, kernels);
        let codes = CodeRows::new(space.code_dimension());
        let links = LinkRows::new(parameters.links_capacity());
        Graph {
            parameters,
            kernels,
            space,
            codes,
            links,
        }
    }

    /// What the graph was made with.
    pub fn parameters(&self) -> &IndexParameters {
        &self.parameters
    }

    /// Dot product only, and only before the first row: bounds the rows' lengths by twice the
    /// longest of some vectors, best all of the first batch. Without this call the first encoded
    /// row decides. Longer rows that come later count as if they had the bound's length, which
    /// costs recall among them; exact scores are not affected.
    pub fn bound_length(&self, vectors: &mut dyn Iterator<Item = &[f32]>) {
        self.space.bound_length(vectors);
    }

    /// Writes the codes of a slot. One thread calls this, and only while no snapshot, link or
    /// leaf names the slot.
    pub fn encode(&self, slot: Slot, vector: &[f32]) {
        let mut codes = vec![0; self.codes.row_bytes()];
        let coded = self.space.encode_row(vector, &mut codes);
        self.codes.write(slot, &codes, coded.scale, coded.bias);
    }

    /// Has the system back the codes of some slots that were never encoded with memory, which
    /// [`Graph::encode`] then need not wait for. Called by the thread that encodes.
    pub fn prepare(&self, first: Slot, count: usize) {
        let count = count.min(PREPARED_BYTES_MAX / self.codes.row_bytes());
        (first..)
            .take(count)
            .for_each(|slot| self.codes.prepare(slot));
    }

    /// The codes of a query.
    pub fn query(&self, vector: &[f32]) -> CodeQuery {
        self.space.encode_query(vector, self.codes.row_bytes())
    }

    /// How much nearer or farther than its codes say a row may be: four standard deviations of
    /// what rounding both vectors to codes adds to half their squared distance. Without bound for
    /// dot products, whose codes shorten rows that are longer than their limit.
    pub fn uncertainty(&self, query: &CodeQuery, found: &Candidate) -> f32 {
        if self.parameters.metric == Metric::DotProduct {
            return f32::INFINITY;
        }
        let scale = self.codes.scale_and_bias(found.slot).0;
        // A number is off by up to half its scale either way, and only what is off along the line
        // between the two vectors counts.
        let variance = (query.scale * query.scale + scale * scale) / 12.0;
        4.0 * (2.0 * found.distance.max(0.0) * variance).sqrt()
    }

    /// Bytes of codes and links up to the last row that was written.
    pub fn bytes(&self) -> usize {
        self.codes.bytes() + self.links.bytes()
    }

    pub(super) fn kernels(&self) -> Kernels {
        self.kernels
    }

    pub(super) fn space(&self) -> &CodeSpace {
        &self.space
    }

    pub(super) fn codes(&self) -> &CodeRows {
        &self.codes
    }

    pub(super) fn links(&self) -> &LinkRows {
        &self.links
    }

    /// A query for [`Graph::row_query`] to fill.
    pub(super) fn empty_query(&self) -> CodeQuery {
        CodeQuery {
            codes: vec![0; self.codes.row_bytes()],
            scale: 0.0,
            bias: 0.0,
        }
    }

    /// Makes a row the query.
    pub(super) fn row_query(&self, slot: Slot, query: &mut CodeQuery) {
        self.codes.read(slot, &mut query.codes);
        (query.scale, query.bias) = self.codes.scale_and_bias(slot);
    }

    /// The bias of a row: half the square of its length.
    #[inline]
    pub(super) fn bias(&self, slot: Slot) -> f32 {
        self.codes.scale_and_bias(slot).1
    }

    /// The distances from one row to others, in their order.
    #[inline]
    pub(super) fn distances_from(&self, slot: Slot, slots: &[Slot], out: &mut Vec<f32>) {
        out.resize(slots.len(), 0.0);
        self.kernels.distances_from(slot, &self.codes, slots, out);
    }

    /// As [`Graph::distances_from`], to rows that were read just before.
    #[inline]
    pub(super) fn distances_among(&self, slot: Slot, slots: &[Slot], out: &mut Vec<f32>) {
        out.resize(slots.len(), 0.0);
        self.kernels.distances_among(slot, &self.codes, slots, out);
    }

    /// As [`Graph::distances`], to rows whose codes were asked for before.
    #[inline]
    pub(super) fn distances_asked(&self, query: &CodeQuery, slots: &[Slot], out: &mut Vec<f32>) {
        out.resize(slots.len(), 0.0);
        self.kernels.distances_asked(query, &self.codes, slots, out);
    }

    /// The distances from a query to some rows, in their order.
    #[inline]
    pub(super) fn distances(&self, query: &CodeQuery, slots: &[Slot], out: &mut Vec<f32>) {
        out.resize(slots.len(), 0.0);
        self.kernels.distances(query, &self.codes, slots, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::clustered;
    use super::*;

    const DIMENSION: usize = 96;
    const ROWS: u32 = 200;

    /// Rows of several lengths.
    fn vector(seed: u32) -> Vec<f32> {
        let length = (1 + seed % 8) as f32;
        let direction = clustered(seed.into(), DIMENSION).into_iter();
        direction.map(|number| length * number).collect()
    }

    fn half_squared_distance(metric: Metric, left: &[f32], right: &[f32]) -> f64 {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let (l, r, both) = (dot(left, left), dot(right, right), dot(left, right));
        match metric {
            Metric::Cosine => 1.0 - both / (l * r).sqrt(),
            _ => (l + r) / 2.0 - both,
        }
    }

    #[test]
    fn codes_are_off_by_less_than_the_uncertainty_and_not_by_far_less() {
        for metric in [Metric::Cosine, Metric::Euclidean] {
            let graph = Graph::new(IndexParameters::new(DIMENSION, metric));
            let asked = vector(ROWS);
            let query = graph.query(&asked);
            let slots: Vec<Slot> = (0..ROWS).collect();
            slots
                .iter()
                .for_each(|&slot| graph.encode(slot, &vector(slot)));
            let mut distances = Vec::new();
            graph.distances(&query, &slots, &mut distances);
            let mut largest = 0.0f64;
            for (&slot, &distance) in slots.iter().zip(&distances) {
                let true_distance = half_squared_distance(metric, &asked, &vector(slot));
                let off = (f64::from(distance) - true_distance).abs();
                let uncertainty = graph.uncertainty(&query, &Candidate { distance, slot });
                largest = largest.max(off / f64::from(uncertainty));
            }
            assert!((0.4..1.0).contains(&largest), "{metric:?}: {largest}");
        }
    }

    #[test]
    fn dot_products_are_never_certain() {
        let graph = Graph::new(IndexParameters::new(DIMENSION, Metric::DotProduct));
        graph.encode(0, &vector(0));
        let found = Candidate {
            distance: 0.5,
            slot: 0,
        };
        let uncertainty = graph.uncertainty(&graph.query(&vector(1)), &found);
        assert!(uncertainty.is_infinite());
    }
}
