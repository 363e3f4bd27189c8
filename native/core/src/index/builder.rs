//! The indexer's own state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use xxhash_rust::xxh3::Xxh3;

use super::assignments::Assignments;
use super::entry::Entry;
use super::first_look::FirstLook;
use super::graph::Graph;
use super::leaders::Leaders;
use super::leaf::{self, Leaf};
use super::repair::Repair;
use super::workspace::Workspaces;
use crate::kernels::CodeQuery;
use crate::record::Slot;

/// Leaders whose mean is a fair one for the first look.
const LOOK_LEADERS_MIN: usize = 32;
/// Growth of the leaders' count after which the first look is made anew.
const LOOK_GROWTH: usize = 8;

/// Builds and repairs one graph.
///
/// One thread owns it; inside, work is spread over rayon's current pool, in pieces of at most
/// about 2 ms. What it builds depends on the sequence of folds and repairs alone, not on the
/// number of threads or the instruction set.
#[derive(Debug)]
pub struct Builder {
    pub(super) graph: Arc<Graph>,
    pub(super) leaders: Leaders,
    /// By leader number.
    pub(super) leaves: Vec<Leaf>,
    /// By slot; a row is in the graph while it is in any leaf.
    pub(super) assignments: Vec<Assignments>,
    /// Links to each slot.
    pub(super) in_degrees: Vec<AtomicU32>,
    /// Count of rows in the graph.
    pub(super) live: usize,
    pub(super) first_look: Option<Arc<FirstLook>>,
    /// Count of leaders when the center of the first look was chosen.
    pub(super) looked_from: usize,
    pub(super) entry: Arc<Entry>,
    pub(super) workspaces: Workspaces,
    /// Rows that are out of their leaves, and wait for the next repair.
    pub(super) buried: Vec<Slot>,
    /// The repair that is under way.
    pub(super) repair: Option<Repair>,
}

impl Builder {
    /// The builder of an empty graph.
    pub fn new(graph: Arc<Graph>) -> Self {
        let leaders = Leaders::new(graph.kernels(), graph.space().code_dimension());
        Builder {
            entry: Arc::new(Entry::new(&leaders, None)),
            first_look: None,
            looked_from: 0,
            leaders,
            leaves: Vec::new(),
            assignments: Vec::new(),
            in_degrees: Vec::new(),
            live: 0,
            workspaces: Workspaces::default(),
            buried: Vec::new(),
            repair: None,
            graph,
        }
    }

    /// The graph that is built.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// The way in for searches as of the last fold or repair.
    pub fn entry(&self) -> Arc<Entry> {
        Arc::clone(&self.entry)
    }

    /// Count of rows in the graph.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether no row is in the graph.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Whether a row is in the graph: folded, and not repaired away since.
    pub fn contains(&self, slot: Slot) -> bool {
        self.assignments
            .get(slot as usize)
            .is_some_and(|assignments| !assignments.is_empty())
    }

    /// A number that two builders share if and (but for chance) only if their graphs, links and
    /// partitions, are the same.
    pub fn digest(&self) -> u64 {
        let mut digest = Xxh3::new();
        for (slot, assignments) in (0..).zip(&self.assignments) {
            if assignments.is_empty() {
                continue;
            }
            for assignment in assignments.iter() {
                digest.update(&assignment.leaf.to_le_bytes());
                digest.update(&assignment.distance.to_bits().to_le_bytes());
            }
            for link in self.graph.links().list(slot).chain([slot]) {
                digest.update(&link.to_le_bytes());
            }
        }
        for (slot, leaf) in self.leaders.slots().iter().zip(&self.leaves) {
            digest.update(&slot.to_le_bytes());
            for member in leaf.slots() {
                digest.update(&member.to_le_bytes());
            }
        }
        digest.digest()
    }

    /// Bytes that the builder holds beside the graph.
    pub fn bytes(&self) -> usize {
        let leaves: usize = self.leaves.iter().map(Leaf::bytes).sum();
        let rows = self.assignments.capacity() * size_of::<Assignments>()
            + self.in_degrees.capacity() * size_of::<AtomicU32>();
        let first_look = self.first_look.as_ref();
        let signs = first_look.map_or(0, |first_look| first_look.bytes());
        leaves + rows + signs + self.leaders.codes().bytes()
    }

    /// Makes room for a slot in what is kept by slot.
    pub(super) fn make_room(&mut self, slot: Slot) {
        let needed = slot as usize + 1;
        if self.assignments.len() < needed {
            self.assignments.resize(needed, Assignments::default());
            self.in_degrees.resize_with(needed, || AtomicU32::new(0));
        }
    }

    /// A new leaf without members.
    pub(super) fn empty_leaf(&self) -> Leaf {
        Leaf::new(leaf::words_per_member(self.graph.space().code_dimension()))
    }

    /// Links to a slot.
    pub(super) fn in_degree(&self, slot: Slot) -> u32 {
        self.in_degrees
            .get(slot as usize)
            .map_or(0, |count| count.load(Relaxed))
    }

    /// Counts links that were added.
    pub(super) fn count_added(&self, targets: impl Iterator<Item = Slot>) {
        for target in targets {
            if let Some(count) = self.in_degrees.get(target as usize) {
                count.fetch_add(1, Relaxed);
            }
        }
    }

    /// Counts links that were dropped.
    pub(super) fn count_dropped(&self, targets: impl Iterator<Item = Slot>) {
        for target in targets {
            if let Some(count) = self.in_degrees.get(target as usize) {
                count.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Lets searches see the signs of rows, which no link leads to yet.
    ///
    /// The signs are those around the leaders' center, a fair sample's mean. It drifts, so once
    /// the leaders are many times as many all signs are made anew around the mean of then, in a
    /// table of their own: searches that began before keep theirs.
    pub(super) fn show(&mut self, slots: &[Slot]) {
        let leaders = self.leaders.len();
        let is_due = leaders >= LOOK_LEADERS_MIN.max(LOOK_GROWTH * self.looked_from);
        if is_due && FirstLook::pays(self.graph.codes().row_bytes()) {
            let (center, _) = self.leaders.center();
            self.make_first_look(center.clone(), leaders);
        } else if let Some(first_look) = &self.first_look {
            first_look.write(&self.graph, slots);
        }
    }

    /// Makes the signs of all rows around a center.
    pub(super) fn make_first_look(&mut self, center: CodeQuery, leaders: usize) {
        let dimension = self.graph.space().code_dimension();
        let first_look = FirstLook::new(self.graph.kernels(), dimension, center);
        let all: Vec<Slot> = (0..self.assignments.len() as Slot).collect();
        first_look.write(&self.graph, &all);
        (self.first_look, self.looked_from) = (Some(Arc::new(first_look)), leaders);
    }

    /// Makes the leaders of now the way in for searches.
    pub(super) fn renew_entry(&mut self) {
        self.entry = Arc::new(Entry::new(&self.leaders, self.first_look.clone()));
    }
}
