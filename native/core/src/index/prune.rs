//! Which candidates become neighbors.

use super::candidate::Candidate;
use super::graph::Graph;
use crate::kernels::GatheredRows;
use crate::record::Slot;

/// A candidate is dropped where a kept neighbor is nearer to it than the row itself by this
/// factor: longer edges in new directions are worth more than further ones in the same.
/// Source: S. J. Subramanya et al., DiskANN, NeurIPS 2019, section 2.3 (RobustPrune).
const ALPHA: f32 = 1.1;
/// Distances up to this share of the row's own scale are rounding: such rows are equals. Equals
/// are never chosen. They lead nowhere that the row does not lead to itself, and rows that
/// choose each other would satisfy the rule that a link leads to every row while no way leads to
/// them from outside. What links equals is the adoption of orphans alone, a tree.
const ROUNDING: f32 = 4e-6;

/// What the choice needs beside the graph; kept by a thread for its next row.
#[derive(Debug, Default)]
pub(super) struct PruneBuffers {
    open: Vec<Candidate>,
    /// The rows of all candidates, which are compared several times over.
    rows: GatheredRows,
    slots: Vec<Slot>,
    /// Where the rows of the open candidates stand among those.
    places: Vec<u32>,
    distances: Vec<f32>,
    /// Candidates that were not kept, in no particular order.
    pub dropped: Vec<Candidate>,
}

/// Whether a row at this distance is no equal of a row with this bias.
pub(super) fn is_distinct(row_bias: f32, distance: f32) -> bool {
    distance > (ROUNDING * row_bias).max(f32::MIN_POSITIVE)
}

/// Writes to `kept` at most `limit` of the candidates, nearest first, by the rule of [`ALPHA`];
/// returns how many distances were computed.
///
/// The candidates are sorted and distinct and the row is not among them. Each kept neighbor is
/// compared with all candidates that are still open in one go: the same comparisons as trying
/// candidate by candidate, in fewer and longer runs.
pub(super) fn select_neighbors(
    graph: &Graph,
    row_bias: f32,
    candidates: impl Iterator<Item = Candidate>,
    limit: usize,
    kept: &mut Vec<Candidate>,
    buffers: &mut PruneBuffers,
) -> usize {
    let PruneBuffers {
        open,
        rows,
        slots,
        places,
        distances,
        dropped,
    } = buffers;
    let mut evaluations = 0;
    kept.clear();
    dropped.clear();
    open.clear();
    for candidate in candidates {
        let list = if is_distinct(row_bias, candidate.distance) {
            &mut *open
        } else {
            &mut *dropped
        };
        list.push(candidate);
    }
    slots.clear();
    slots.extend(open.iter().map(|candidate| candidate.slot));
    rows.gather(graph.codes(), slots);
    places.clear();
    places.extend(0..slots.len() as u32);
    while let Some(&nearest) = open.first() {
        if kept.len() == limit {
            break;
        }
        kept.push(nearest);
        let rest = &places[1..];
        distances.resize(rest.len(), 0.0);
        let kernels = graph.kernels();
        kernels.distances_gathered(places[0], rows, rest, distances);
        evaluations += rest.len();
        // What stays open moves up, in order, over the kept one and over what is hidden. Which it
        // is cannot be predicted, so there is no branch on it: a candidate is written to both.
        let (mut left, mut hidden) = (0, dropped.len());
        dropped.resize(hidden + rest.len(), nearest);
        for (place, between) in (1..).zip(&*distances) {
            let candidate = open[place];
            let is_hidden = ALPHA * between < candidate.distance;
            dropped[hidden] = candidate;
            hidden += usize::from(is_hidden);
            (open[left], places[left]) = (candidate, places[place]);
            left += usize::from(!is_hidden);
        }
        dropped.truncate(hidden);
        open.truncate(left);
        places.truncate(left);
    }
    dropped.append(open);
    evaluations
}
