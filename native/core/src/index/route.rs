//! Routing: which leaders are nearest to a row.

use super::candidate;
use super::graph::Graph;
use super::leaders::Leaders;
use super::survivors::Threshold;
use super::workspace::Workspace;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// Leaders whose int8 distance is computed, of all that the 1-bit scan saw.
const SHORTLIST: usize = 32;

/// Calls `each` for every row, by its place in `rows`, with the keys (distance and leader) of
/// its `wanted` nearest leaders, nearest first. Returns how many distances were computed.
pub(super) fn nearest_leaders(
    graph: &Graph,
    leaders: &Leaders,
    rows: &[Slot],
    wanted: usize,
    workspace: &mut Workspace,
    mut each: impl FnMut(usize, &[u64]),
) -> usize {
    let Workspace {
        queries,
        scan,
        distances,
        keys,
        ..
    } = workspace;
    let kernels = graph.kernels();
    let mut threshold = Threshold::default();
    let mut evaluations = 0;
    queries.resize_with(4, || graph.empty_query());
    for (group, slots) in rows.chunks(4).enumerate() {
        for (&slot, query) in slots.iter().zip(&mut *queries) {
            graph.row_query(slot, query);
        }
        let asked: Vec<&CodeQuery> = queries.iter().take(slots.len()).collect();
        let panel = leaders.panel();
        panel.shortlist(
            kernels,
            &asked,
            SHORTLIST,
            &mut threshold,
            scan,
            |place, near| {
                distances.resize(near.len(), 0.0);
                kernels.distances(asked[place], leaders.codes(), near, distances);
                evaluations += near.len();
                keys.clear();
                keys.extend(
                    near.iter()
                        .zip(&*distances)
                        .map(|(&leader, &distance)| candidate::key(distance, leader)),
                );
                candidate::keep_nearest(keys, wanted);
                each(group * 4 + place, keys);
            },
        );
    }
    evaluations
}
