//! A row's own neighbors, chosen among what it found in its leaves.

use rayon::prelude::*;

use super::builder::Builder;
use super::candidate::{self, Candidate, candidate};
use super::fold::{ROWS_PER_PIECE, Visits};
use super::leaf::Found;
use super::prune;
use super::reverse::Edge;
use super::workspace::Workspace;
use crate::kernels;
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

/// What a row may link to.
struct Candidates<'c, Near> {
    /// What it found in each of its leaves; the same row may be in more than one.
    near: Near,
    /// Rows that are candidates although nearer ones were found.
    distant: &'c [Slot],
}

impl Builder {
    /// Writes the links of rows, given where each found what, and what else it may link to,
    /// however far that is; the pieces come in a fixed order.
    pub(super) fn choose_neighbors(
        &self,
        slots: &[Slot],
        visits: &Visits,
        found: &[Found],
        distant: &[Vec<Slot>],
    ) -> Vec<Forward> {
        let rows = visits.rows_by_leaf();
        let candidates = |row: u32| Candidates {
            near: visits.found_by(row, found),
            distant: distant.get(row as usize).map_or(&[][..], Vec::as_slice),
        };
        rows.par_chunks(ROWS_PER_PIECE)
            .map(|rows| {
                self.workspaces
                    .with(|workspace| self.choose_for_piece(rows, slots, candidates, workspace))
            })
            .collect()
    }

    /// Gathers the candidates of each row one row ahead, so that they are on their way from
    /// memory while the row before is finished; what a row found is asked for two rows ahead.
    fn choose_for_piece<'c, Near: Iterator<Item = &'c [Slot]>>(
        &self,
        rows: &[u32],
        slots: &[Slot],
        candidates: impl Fn(u32) -> Candidates<'c, Near>,
        workspace: &mut Workspace,
    ) -> Forward {
        let mut forward = Forward::default();
        let mut ahead: Vec<Slot> = Vec::new();
        let mut previous: Option<(Slot, usize)> = None;
        for place in 0..=rows.len() {
            std::mem::swap(&mut workspace.slots, &mut ahead);
            ahead.clear();
            if let Some(&later) = rows.get(place + 1) {
                candidates(later).near.for_each(kernels::prefetch);
            }
            let next = rows.get(place).map(|&row| {
                let slot = slots[row as usize];
                let Candidates { near, distant } = candidates(row);
                let visited = &mut workspace.visited;
                visited.insert(slot);
                near.for_each(|found| visited.extend(found.iter().copied()));
                visited.extend(self.graph.links().list(slot));
                let near_count = visited.len() - 1;
                visited.extend(distant.iter().copied());
                ahead.extend_from_slice(visited.since(1));
                visited.clear();
                ahead
                    .iter()
                    .for_each(|&other| self.graph.codes().prefetch(other));
                (slot, near_count)
            });
            if let Some((slot, near_count)) = previous {
                self.finish_row(slot, near_count, workspace, &mut forward);
            }
            previous = next;
        }
        forward
    }

    /// Chooses a row's neighbors among the candidates in `workspace.slots`: the nearest of the
    /// first `near_count`, and all others.
    fn finish_row(
        &self,
        slot: Slot,
        near_count: usize,
        workspace: &mut Workspace,
        forward: &mut Forward,
    ) {
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
        let mut pairs = slots.iter().zip(&*distances);
        let key = |(&other, &distance): (&Slot, &f32)| candidate::key(distance, other);
        keys.extend(pairs.by_ref().take(near_count).map(key));
        candidate::keep_nearest(keys, parameters.candidates_kept());
        if near_count < slots.len() {
            keys.extend(pairs.map(key));
            keys.sort_unstable();
        }
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
