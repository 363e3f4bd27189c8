//! Edges that go back: a row's neighbors learn of the row.

use rayon::prelude::*;

use super::builder::Builder;
use super::candidate::{self, Candidate, candidate};
use super::leaders::LeaderNumber;
use super::prune;
use super::workspace::Workspace;
use crate::record::Slot;

/// Most edges that a row takes back from one block, nearest first.
const EDGES_BACK_MAX: usize = 16;
/// A target's links are asked for when so many edges are to come before its own.
const EDGES_AHEAD: usize = 8;
/// Edges of one piece of work, about.
const PIECE_EDGES: usize = 512;

/// An edge from a new row to the target, to be linked from the target too. Ordered such that
/// the edges of one target stand together, and near ones of targets in the same leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    /// The target's nearest leaf.
    pub leaf: LeaderNumber,
    pub target: Slot,
    /// Key of distance and source.
    pub source: u64,
}

/// What became of some edges.
#[derive(Debug, Default)]
pub(super) struct Reverse {
    pub added: Vec<Slot>,
    pub dropped: Vec<Slot>,
    /// Rows that lost the link from an equal one, which may have been the only way to them.
    pub parted: Vec<Slot>,
    pub evaluations: usize,
    pub prunes: usize,
}

impl Builder {
    /// Links the targets of edges to their sources: one update per target.
    pub(super) fn link_back(&self, mut edges: Vec<Edge>) -> Reverse {
        edges.par_sort_unstable();
        let pieces: Vec<Reverse> = pieces(&edges)
            .par_iter()
            .map(|edges| {
                self.workspaces.with(|workspace| {
                    let mut reverse = Reverse::default();
                    let mut begun = 0;
                    for group in edges.chunk_by(|left, right| left.target == right.target) {
                        begun += group.len();
                        if let Some(later) = edges.get(begun + EDGES_AHEAD) {
                            self.graph.links().prefetch(later.target);
                        }
                        self.update_target(group, workspace, &mut reverse);
                    }
                    reverse
                })
            })
            .collect();
        // Counted only now: while lists change, the counts of before the block are read.
        pieces.par_iter().for_each(|piece| {
            self.count_added(piece.added.iter().copied());
        });
        pieces.par_iter().for_each(|piece| {
            self.count_dropped(piece.dropped.iter().copied());
        });
        let mut all = Reverse::default();
        for piece in pieces {
            all.dropped.extend(piece.dropped);
            all.parted.extend(piece.parted);
            all.evaluations += piece.evaluations;
            all.prunes += piece.prunes;
        }
        all
    }

    /// Links one target to the sources of its edges.
    fn update_target(&self, edges: &[Edge], workspace: &mut Workspace, reverse: &mut Reverse) {
        let Some(&Edge { target, .. }) = edges.first() else {
            return;
        };
        let links = self.graph.links();
        let Workspace { slots, keys, .. } = workspace;
        slots.clear();
        slots.extend(links.list(target));
        keys.clear();
        let new = edges.iter().map(|edge| edge.source);
        let unlinked = new.filter(|&source| !slots.contains(&candidate(source).slot));
        keys.extend(unlinked.take(EDGES_BACK_MAX));
        if keys.is_empty() {
            return;
        }
        let sources = keys.iter().map(|&source| candidate(source).slot);
        if slots.len() + keys.len() <= links.capacity() {
            reverse.added.extend(sources.clone());
            slots.extend(sources);
            links.write(target, slots);
        } else {
            reverse.prunes += 1;
            self.choose_again(target, workspace, reverse);
        }
    }

    /// Chooses among the links of a row (in `workspace.slots`) and new candidates (in
    /// `workspace.keys`), for which there is no room.
    ///
    /// A link to an equal row and one that is the only one to its target stay, as long as a part of the room beyond
    /// the chosen neighbors lasts.
    pub(super) fn choose_again(
        &self,
        target: Slot,
        workspace: &mut Workspace,
        reverse: &mut Reverse,
    ) {
        let Workspace {
            prune,
            slots,
            distances,
            keys,
            kept,
            ..
        } = workspace;
        let graph = &self.graph;
        if self.has_dead_links() {
            reverse
                .dropped
                .extend(slots.iter().filter(|&&slot| !self.contains(slot)));
            slots.retain(|&slot| self.contains(slot));
        }
        let bias = graph.bias(target);
        graph.distances_from(target, slots, distances);
        reverse.evaluations += slots.len();
        let old = slots.iter().zip(&*distances);
        keys.extend(old.map(|(&slot, &distance)| candidate::key(distance, slot)));
        keys.sort_unstable();
        let candidates = keys.iter().map(|&key| candidate(key));
        let limit = graph.parameters().links_kept();
        reverse.evaluations += prune::select_neighbors(graph, bias, candidates, limit, kept, prune);

        let is_old = |other: &Candidate| slots.contains(&other.slot);
        let is_equal = |distance: f32| !prune::is_distinct(bias, distance);
        let only = prune.dropped.iter().filter(|other| is_old(other));
        let mut only: Vec<u64> = only
            .filter(|other| is_equal(other.distance) || self.in_degree(other.slot) == 1)
            .map(|other| candidate::key(other.distance, other.slot))
            .collect();
        let room = (graph.links().capacity() - limit) / 2;
        candidate::keep_nearest(&mut only, room + limit - kept.len());
        kept.extend(only.into_iter().map(candidate));

        let is_kept = |slot: Slot| kept.iter().any(|neighbor| neighbor.slot == slot);
        for (&slot, &distance) in slots.iter().zip(&*distances) {
            if !is_kept(slot) {
                reverse.dropped.push(slot);
                reverse.parted.extend(is_equal(distance).then_some(slot));
            }
        }
        let new = kept.iter().filter(|neighbor| !is_old(neighbor));
        reverse.added.extend(new.map(|neighbor| neighbor.slot));
        slots.clear();
        slots.extend(kept.iter().map(|neighbor| neighbor.slot));
        graph.links().write(target, slots);
    }
}

/// Cuts sorted edges into pieces of fixed size that never part the edges of one target.
fn pieces(mut edges: &[Edge]) -> Vec<&[Edge]> {
    let mut pieces = Vec::with_capacity(edges.len() / PIECE_EDGES + 1);
    while let Some(last) = edges.get(PIECE_EDGES.min(edges.len()).wrapping_sub(1)) {
        let end =
            edges.partition_point(|edge| (edge.leaf, edge.target) <= (last.leaf, last.target));
        let (piece, rest) = edges.split_at(end);
        pieces.push(piece);
        edges = rest;
    }
    pieces
}
