//! A row's own neighbors, chosen among what it found in its leaves.

use rayon::prelude::*;

use super::builder::Builder;
use super::candidate::{self, Candidate, candidate};
use super::fold::{ROWS_PER_PIECE, Visits};
use super::leaf::Found;
use super::prune;
use super::reverse::Edge;
use super::workspace::Workspace;
use crate::record::Slot;

/// What became of some rows.
#[derive(Debug, Default)]
pub(super) struct Forward {
    /// The edges that go back.
    pub edges: Vec<Edge>,
    /// Rows that lost a link to them.
    pub dropped: Vec<Slot>,
    /// Rows that have equals: a link that leads to one may come from where no other way leads.
    pub equal: Vec<Slot>,
    pub evaluations: usize,
}

impl Builder {
    /// Writes the links of rows, given where each found what; the pieces come in a fixed order.
    pub(super) fn choose_neighbors(
        &self,
        slots: &[Slot],
        visits: &Visits,
        found: &[Found],
    ) -> Vec<Forward> {
        let rows = visits.rows_by_leaf();
        rows.par_chunks(ROWS_PER_PIECE)
            .map(|rows| {
                self.workspaces
                    .with(|workspace| self.choose_for_piece(rows, slots, visits, found, workspace))
            })
            .collect()
    }

    /// Gathers the candidates of each row one row ahead, so that they are on their way from
    /// memory while the row before is finished.
    fn choose_for_piece(
        &self,
        rows: &[u32],
        slots: &[Slot],
        visits: &Visits,
        found: &[Found],
        workspace: &mut Workspace,
    ) -> Forward {
        let mut forward = Forward::default();
        let mut ahead: Vec<Slot> = Vec::new();
        let mut previous: Option<Slot> = None;
        for row in rows.iter().copied().map(Some).chain([None]) {
            let slot = row.map(|row| slots[row as usize]);
            std::mem::swap(&mut workspace.slots, &mut ahead);
            ahead.clear();
            if let (Some(row), Some(slot)) = (row, slot) {
                let visited = &mut workspace.visited;
                visited.insert(slot);
                let old = self.graph.links().list(slot);
                let all = visits.found_by(row, found).chain(old);
                ahead.extend(all.filter(|&other| visited.insert(other)));
                visited.clear();
                ahead
                    .iter()
                    .for_each(|&other| self.graph.codes().prefetch(other));
            }
            if let Some(previous) = previous {
                self.finish_row(previous, workspace, &mut forward);
            }
            previous = slot;
        }
        forward
    }

    /// Chooses a row's neighbors among the candidates in `workspace.slots`.
    fn finish_row(&self, slot: Slot, workspace: &mut Workspace, forward: &mut Forward) {
        let Workspace {
            prune,
            slots,
            distances,
            keys,
            kept,
            ..
        } = workspace;
        let (graph, parameters) = (&self.graph, self.graph.parameters());
        let bias = graph.bias(slot);
        graph.distances_among(slot, slots, distances);
        keys.clear();
        let pairs = slots.iter().zip(&*distances);
        keys.extend(pairs.map(|(&other, &distance)| candidate::key(distance, other)));
        candidate::keep_nearest(keys, parameters.candidates_kept());
        let candidates = keys.iter().map(|&key| candidate(key));
        let limit = parameters.links_kept();
        forward.evaluations +=
            slots.len() + prune::select_neighbors(graph, bias, candidates, limit, kept, prune);

        let equal = |other: &Candidate| !prune::is_distinct(bias, other.distance);
        let has_equals = prune.dropped.iter().any(equal);
        forward.equal.extend(has_equals.then_some(slot));
        forward.dropped.extend(graph.links().list(slot));
        self.count_dropped(graph.links().list(slot));
        slots.clear();
        slots.extend(kept.iter().map(|neighbor| neighbor.slot));
        graph.links().write(slot, slots);
        self.count_added(slots.iter().copied());
        forward.edges.extend(kept.iter().map(|neighbor| Edge {
            leaf: self.assignments[neighbor.slot as usize].nearest(),
            target: neighbor.slot,
            source: candidate::key(neighbor.distance, slot),
        }));
    }
}
