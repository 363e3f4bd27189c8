//! Which candidates become neighbors.

use super::candidate::Candidate;
use super::graph::Graph;
use crate::kernels::{GatheredRows, ROWS_AT_ONCE};

/// A candidate is dropped where a kept neighbor is nearer to it than the row itself by this
/// factor: longer edges in new directions are worth more than further ones in the same.
/// Source: S. J. Subramanya et al., DiskANN, NeurIPS 2019, section 2.3 (RobustPrune).
const ALPHA: f32 = 1.075;
/// Distances up to this share of the row's own scale are rounding: such rows are equals. Equals
/// are never chosen. They lead nowhere that the row does not lead to itself, and rows that
/// choose each other would satisfy the rule that a link leads to every row while no way leads to
/// them from outside. What links equals is the adoption of orphans alone, a tree.
const ROUNDING: f32 = 4e-6;

/// What the choice needs beside the graph; kept by a thread for its next row.
#[derive(Debug, Default)]
pub(super) struct PruneBuffers {
    /// The rows of the kept neighbors, with which all others are compared.
    rows: GatheredRows,
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
/// The candidates are sorted and distinct and the row is not among them.
pub(super) fn select_neighbors(
    graph: &Graph,
    row_bias: f32,
    candidates: impl Iterator<Item = Candidate>,
    limit: usize,
    kept: &mut Vec<Candidate>,
    buffers: &mut PruneBuffers,
) -> usize {
    let PruneBuffers { rows, dropped } = buffers;
    let (codes, kernels) = (graph.codes(), graph.kernels());
    let mut evaluations = 0;
    kept.clear();
    dropped.clear();
    rows.clear_for(codes);
    for candidate in candidates {
        if kept.len() == limit || !is_distinct(row_bias, candidate.distance) {
            dropped.push(candidate);
            continue;
        }
        let Candidate { slot, distance } = candidate;
        match kernels.first_near(slot, codes, rows, ALPHA, distance) {
            Some(four) => {
                evaluations += kept.len().min(ROWS_AT_ONCE * (four + 1));
                dropped.push(candidate);
            }
            None => {
                evaluations += kept.len();
                rows.push(codes, slot);
                kept.push(candidate);
            }
        }
    }
    evaluations
}
