//! Best-first search through the links.

use serde::Serialize;

use super::candidate::{Beam, Candidate};
use super::entry::Entry;
use super::first_look::{FirstLook, LookQuery};
use super::graph::Graph;
use super::leaders::ScanBuffers;
use super::metric::Metric;
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
    pub(super) scan: ScanBuffers,
    visited: Visited,
    beam: Beam,
    asked: LookQuery,
    /// How many rows were met before those that are looked at next.
    met: usize,
    /// Rows whose distances come next.
    near: Vec<Slot>,
    pub(super) slots: Vec<Slot>,
    pub(super) distances: Vec<f32>,
    pub(super) keys: Vec<u64>,
    pub(super) results: Vec<Candidate>,
    /// Distances computed by the last search or scan.
    pub evaluations: usize,
    /// Rows at which the last search had a first look.
    pub looks: usize,
}

impl Scratch {
    /// What the last search or scan found, nearest first.
    pub fn results(&self) -> &[Candidate] {
        &self.results
    }
}

/// What searches have cost; times are sums over threads, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SearchCounters {
    /// Queries that were answered.
    pub queries: usize,
    /// Leaders, the upper layer, compared by 1-bit codes.
    pub leaders: usize,
    /// Rows of the graph compared by 1-bit codes.
    pub looks: usize,
    /// Int8 distances computed.
    pub evaluations: usize,
    /// Vectors scored exactly.
    pub exact: usize,
    /// On the way through the graph.
    pub graph_ms: f64,
    /// Comparing with rows that are not in the graph, or with all of few.
    pub scan_ms: f64,
    /// Reading and scoring vectors.
    pub exact_ms: f64,
}

impl std::ops::AddAssign for SearchCounters {
    fn add_assign(&mut self, other: Self) {
        self.queries += other.queries;
        self.leaders += other.leaders;
        self.looks += other.looks;
        self.evaluations += other.evaluations;
        self.exact += other.exact;
        self.graph_ms += other.graph_ms;
        self.scan_ms += other.scan_ms;
        self.exact_ms += other.exact_ms;
    }
}

/// What one query asks of the graph.
#[derive(Clone, Copy)]
pub struct Search<'a> {
    /// The query.
    pub query: &'a CodeQuery,
    /// How many rows to find.
    pub ef: usize,
    /// How many of them matter: the way does not lead on to rows much farther than those.
    pub wanted: usize,
    /// Which rows may be found.
    pub selection: Selection<'a>,
}

impl Search<'_> {
    /// The filter, where so few rows pass it that the others are stepped over.
    fn two_hops(&self) -> Option<&[u64]> {
        match self.selection {
            Selection::Allowed { bitset, .. } if self.selection.share() < TWO_HOP_SHARE_MAX => {
                Some(bitset)
            }
            _ => None,
        }
    }

    /// The beam is `ef` wide; under a filter that most rows pass, wider by their share.
    fn width(&self) -> usize {
        if self.two_hops().is_some() {
            return self.ef;
        }
        let widened = (self.ef as f32 / self.selection.share()) as usize;
        self.ef.max(widened.min(BEAM_WIDTH_MAX))
    }
}

/// Finds up to `ef` rows near a query among those that the selection admits, nearest first.
///
/// Fewer rows than were asked for mean that too many near ones were not admitted: a wider `ef`
/// finds more, and [`super::scan`] of the admitted rows finds all.
pub fn search<'a>(
    graph: &Graph,
    entry: &Entry,
    search: &Search<'_>,
    scratch: &'a mut Scratch,
) -> &'a [Candidate] {
    search_together(
        graph,
        entry,
        std::slice::from_ref(search),
        std::slice::from_mut(scratch),
    );
    &scratch.results
}

/// As [`search`], for some queries at once: while what one of them needs is on its way from
/// memory, the others are at work. Each has a scratch of its own, where its results are, see
/// [`Scratch::results`].
pub fn search_together(
    graph: &Graph,
    entry: &Entry,
    searches: &[Search<'_>],
    scratches: &mut [Scratch],
) {
    let first_look = entry.first_look();
    for (searches, scratches) in searches.chunks(4).zip(scratches.chunks_mut(4)) {
        begin(graph, entry, searches, scratches);
    }
    let mut walking = true;
    while walking {
        walking = false;
        for (search, scratch) in searches.iter().zip(&mut *scratches) {
            walking |= step(graph, first_look, search, scratch);
        }
        for (_, scratch) in searches.iter().zip(&mut *scratches) {
            look(graph, first_look, scratch);
        }
    }
    for (search, scratch) in searches.iter().zip(scratches) {
        let Scratch {
            visited,
            beam,
            results,
            ..
        } = scratch;
        visited.clear();
        results.clear();
        let admitted = beam
            .candidates()
            .filter(|found| search.selection.admits(found.slot));
        results.extend(admitted.take(search.ef));
    }
}

/// Finds the ways in of up to four searches and offers them to their beams.
fn begin(graph: &Graph, entry: &Entry, searches: &[Search<'_>], scratches: &mut [Scratch]) {
    let Some((first, _)) = scratches.split_first_mut() else {
        return;
    };
    let mut scan = std::mem::take(&mut first.scan);
    let queries: Vec<&CodeQuery> = searches.iter().map(|search| search.query).collect();
    let near = |place: usize, slots: &mut dyn Iterator<Item = Slot>| {
        let scratch: &mut Scratch = &mut scratches[place];
        let Scratch { visited, near, .. } = scratch;
        near.clear();
        visited.clear();
        near.extend(slots.filter(|&slot| visited.insert(slot)));
    };
    entry.near(graph.kernels(), &queries, WAYS_IN, &mut scan, near);
    for (search, scratch) in searches.iter().zip(&mut *scratches) {
        let width = search.width();
        let wanted = search.wanted * width / search.ef.max(1);
        // Scores of dot products are all nearly alike, so their distances tell no end.
        if wanted < width && graph.parameters().metric != Metric::DotProduct {
            scratch.beam.reset_for(width, wanted);
        } else {
            scratch.beam.reset(width);
        }
        (scratch.evaluations, scratch.looks) = (0, 0);
        scratch
            .near
            .iter()
            .for_each(|&slot| graph.codes().prefetch(slot));
        if let Some(first_look) = entry.first_look() {
            first_look.ask(search.query, &mut scratch.asked);
        }
        offer(graph, search.query, scratch);
    }
    if let Some(first) = scratches.first_mut() {
        first.scan = scan;
    }
}

/// Follows the links of the nearest row that was not followed yet; false where there is none.
///
/// It runs one step late on purpose: while the signs of this row's neighbors are on their way
/// from memory, the distances of the neighbors before them are computed, whose codes were asked
/// for then.
#[inline]
fn step(
    graph: &Graph,
    first_look: Option<&FirstLook>,
    search: &Search<'_>,
    scratch: &mut Scratch,
) -> bool {
    let Scratch { visited, met, .. } = scratch;
    *met = visited.len();
    if let Some(slot) = scratch.beam.follow() {
        match search.two_hops() {
            Some(allowed) => meet_at_two_hops(graph, slot, allowed, visited),
            None => visited.extend(graph.links().list(slot)),
        }
    } else if scratch.near.is_empty() {
        return false;
    }
    if let Some(first_look) = first_look {
        let slots = visited.since(*met).iter();
        slots.for_each(|&slot| first_look.prefetch(slot));
    }
    offer(graph, search.query, scratch);
    if let Some(next) = scratch.beam.peek() {
        graph.links().prefetch(next);
    }
    true
}

/// Adds those of the rows met last that may be near enough for the beam to `scratch.near`, and
/// asks for their codes.
#[inline]
fn look(graph: &Graph, first_look: Option<&FirstLook>, scratch: &mut Scratch) {
    let Scratch {
        beam,
        asked,
        visited,
        met,
        near,
        looks,
        ..
    } = scratch;
    let slots = visited.since(*met);
    match (first_look, beam.bound()) {
        (Some(first_look), Some(bound)) => {
            first_look.select(asked, bound, slots, near);
            *looks += slots.len();
        }
        _ => near.extend_from_slice(slots),
    }
    near.iter().for_each(|&slot| graph.codes().prefetch(slot));
}

/// Computes the distances of `scratch.near`, whose codes were asked for, and offers them to the
/// beam.
#[inline]
fn offer(graph: &Graph, query: &CodeQuery, scratch: &mut Scratch) {
    let Scratch {
        beam,
        near,
        distances,
        evaluations,
        ..
    } = scratch;
    graph.distances_asked(query, near, distances);
    *evaluations += near.len();
    for (&slot, &distance) in near.iter().zip(&*distances) {
        beam.offer(distance, slot);
    }
    near.clear();
}

/// Meets the allowed rows at one link's distance, and through rows that are not allowed at two,
/// until there are as many as a row has links.
/// Source: L. Patel et al., ACORN, SIGMOD 2024 (the variant without a denser graph).
fn meet_at_two_hops(graph: &Graph, slot: Slot, allowed: &[u64], visited: &mut Visited) {
    let enough = visited.len() + graph.parameters().links_kept();
    let meet = |link: Slot, visited: &mut Visited| {
        let is_allowed = contains(allowed, link);
        if is_allowed {
            visited.insert(link);
        }
        is_allowed
    };
    for link in graph.links().list(slot) {
        meet(link, visited);
    }
    for link in graph.links().list(slot) {
        if visited.len() >= enough {
            break;
        }
        if !contains(allowed, link) {
            for second in graph.links().list(link) {
                meet(second, visited);
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
