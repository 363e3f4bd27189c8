//! Best-first search through the links.

use std::sync::atomic::Ordering::Relaxed;

use super::candidate::{Beam, Candidate};
use super::entry::Entry;
use super::graph::Graph;
use super::leaders::ScanBuffers;
use super::workspace::Visited;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// Leaders at which a search begins.
const WAYS_IN: usize = 12;
/// Share of allowed rows below which a search steps over the others, two links at a time.
const TWO_HOP_SHARE_MAX: f32 = 0.4;
/// Widest beam that a filter may cause.
const BEAM_WIDTH_MAX: usize = 16_384;

/// Which rows a search may return. It walks through all others as well.
#[derive(Clone, Copy)]
pub enum Selection<'a> {
    /// Every row of the graph.
    All,
    /// Rows that a snapshot shows; nearly all, so they are asked for only at the end.
    Visible(&'a dyn Fn(Slot) -> bool),
    /// The rows of a filter that are visible.
    Allowed {
        /// Bit `slot % 64` of word `slot / 64`; slots behind the end are not allowed.
        bitset: &'a [u64],
        /// Count of set bits.
        count: usize,
        /// Count of all visible rows.
        total: usize,
    },
}

impl Selection<'_> {
    /// Whether a row may be returned.
    #[inline]
    pub fn admits(&self, slot: Slot) -> bool {
        match self {
            Selection::All => true,
            Selection::Visible(visible) => visible(slot),
            Selection::Allowed { bitset, .. } => contains(bitset, slot),
        }
    }

    /// The share of rows that may be returned, where it is known and matters.
    fn share(&self) -> f32 {
        match *self {
            Selection::Allowed { count, total, .. } if count < total => {
                (count.max(1) as f32) / total as f32
            }
            _ => 1.0,
        }
    }
}

/// What a search works in; kept by a thread for its next search.
#[derive(Debug, Default)]
pub struct Scratch {
    scan: ScanBuffers,
    visited: Visited,
    beam: Beam,
    pub(super) slots: Vec<Slot>,
    pub(super) distances: Vec<f32>,
    pub(super) keys: Vec<u64>,
    pub(super) results: Vec<Candidate>,
    /// Distances computed by the last search or scan.
    pub evaluations: usize,
}

/// Finds up to `ef` rows near a query among those that the selection admits, nearest first.
///
/// The beam is `ef` wide; under a filter that most rows pass, wider by their share. Fewer rows
/// than were asked for mean that too many near ones were not admitted: a wider `ef` finds more,
/// and [`super::scan`] of the admitted rows finds all.
pub fn search<'a>(
    graph: &Graph,
    entry: &Entry,
    query: &CodeQuery,
    ef: usize,
    selection: &Selection<'_>,
    scratch: &'a mut Scratch,
) -> &'a [Candidate] {
    let share = selection.share();
    let two_hops = match selection {
        Selection::Allowed { bitset, .. } if share < TWO_HOP_SHARE_MAX => Some(*bitset),
        _ => None,
    };
    let widened = (ef as f32 / share) as usize;
    let width = if two_hops.is_some() {
        ef
    } else {
        ef.max(widened.min(BEAM_WIDTH_MAX))
    };
    begin(graph, entry, query, width, scratch);
    while let Some(slot) = scratch.beam.follow() {
        match two_hops {
            Some(allowed) => gather_two_hops(graph, slot, allowed, scratch),
            None => gather(graph, slot, scratch),
        }
        scratch
            .slots
            .iter()
            .for_each(|&slot| graph.codes().prefetch(slot));
        if let Some(next) = scratch.beam.peek() {
            graph.links().touch(next);
        }
        offer(graph, query, scratch);
    }
    scratch.visited.clear();
    scratch.results.clear();
    let admitted = scratch
        .beam
        .candidates()
        .filter(|found| selection.admits(found.slot));
    scratch.results.extend(admitted.take(ef));
    &scratch.results
}

fn begin(graph: &Graph, entry: &Entry, query: &CodeQuery, width: usize, scratch: &mut Scratch) {
    let Scratch {
        scan,
        visited,
        beam,
        slots,
        ..
    } = scratch;
    beam.reset(width);
    entry.near(graph.kernels(), query, WAYS_IN, scan, slots);
    slots.retain(|&slot| visited.insert(slot));
    scratch.evaluations = 0;
    offer(graph, query, scratch);
}

/// Computes the distances of `scratch.slots` and offers them to the beam.
#[inline]
fn offer(graph: &Graph, query: &CodeQuery, scratch: &mut Scratch) {
    graph.distances(query, &scratch.slots, &mut scratch.distances);
    scratch.evaluations += scratch.slots.len();
    for (&slot, &distance) in scratch.slots.iter().zip(&scratch.distances) {
        scratch.beam.offer(distance, slot);
    }
}

/// The neighbors of a row that were not met before.
///
/// Whether a neighbor is new cannot be predicted, so there is no branch on it: each is written,
/// and the place for the next moves on only behind a new one.
#[inline]
fn gather(graph: &Graph, slot: Slot, scratch: &mut Scratch) {
    let Scratch { visited, slots, .. } = scratch;
    let row = graph.links().row(slot);
    slots.resize(row.len(), 0);
    let mut new = 0;
    for word in row {
        let link = word.load(Relaxed);
        if let Some(place) = slots.get_mut(new) {
            *place = link;
        }
        new += usize::from(visited.insert(link));
    }
    slots.truncate(new);
}

/// The allowed rows at one link's distance, and through rows that are not allowed at two, until
/// there are as many as a row has links.
/// Source: L. Patel et al., ACORN, SIGMOD 2024 (the variant without a denser graph).
fn gather_two_hops(graph: &Graph, slot: Slot, allowed: &[u64], scratch: &mut Scratch) {
    let Scratch { visited, slots, .. } = scratch;
    slots.clear();
    let enough = graph.parameters().links_kept();
    let mut meet = |link: Slot, slots: &mut Vec<Slot>| {
        let is_allowed = contains(allowed, link);
        if is_allowed && visited.insert(link) {
            slots.push(link);
        }
        is_allowed
    };
    for link in graph.links().list(slot) {
        meet(link, slots);
    }
    for link in graph.links().list(slot) {
        if slots.len() >= enough {
            break;
        }
        if !contains(allowed, link) {
            for second in graph.links().list(link) {
                meet(second, slots);
            }
        }
    }
}

#[inline]
fn contains(bitset: &[u64], slot: Slot) -> bool {
    bitset
        .get(slot as usize / 64)
        .is_some_and(|word| word >> (slot % 64) & 1 == 1)
}
