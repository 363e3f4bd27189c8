//! Comparison with given rows one by one, without the graph.

use super::candidate::{self, Candidate};
use super::graph::Graph;
use super::search::Scratch;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// Rows per step; what is kept is cut back after each.
const STEP: usize = 512;

/// The `keep` nearest of some distinct rows by int8 distance, nearest first: for rows that are
/// not in the graph yet, for small collections and for filters that few rows pass.
pub fn scan<'a>(
    graph: &Graph,
    query: &CodeQuery,
    slots: &[Slot],
    keep: usize,
    scratch: &'a mut Scratch,
) -> &'a [Candidate] {
    let Scratch {
        distances,
        keys,
        results,
        evaluations,
        ..
    } = scratch;
    keys.clear();
    results.clear();
    *evaluations = slots.len();
    if keep == 0 {
        return results;
    }
    let mut bound = u64::MAX;
    for slots in slots.chunks(STEP) {
        graph.distances(query, slots, distances);
        let step = slots.iter().zip(&*distances);
        let step = step.map(|(&slot, &distance)| candidate::key(distance, slot));
        keys.extend(step.filter(|&key| key < bound));
        if keys.len() >= 2 * keep {
            bound = *keys.select_nth_unstable(keep - 1).1;
            keys.truncate(keep);
        }
    }
    candidate::keep_nearest(keys, keep);
    results.extend(keys.iter().map(|&key| candidate::candidate(key)));
    results
}
