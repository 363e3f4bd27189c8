//! Folding: how rows get into the graph, a block at a time.
//!
//! The method is partition insertion. A block's rows are routed to the leaves of their nearest
//! leaders; in each leaf they are compared with all members by 1-bit codes; the few dozen
//! survivors of a row are compared by int8 codes and its neighbors chosen among them; edges that
//! were chosen go back the other way, one update per row that they touch. There is no search
//! per row, and the more rows come together, the more of them share what is in the caches.
//! Sources: PiPNN (arXiv 2602.21247) for overlapping partitions compared all with all; DiskANN
//! and ParlayANN (PPoPP 2024) for edges that go back grouped by their target.

use std::collections::HashSet;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::assignments::{Assignments, FAN_OUT};
use super::builder::Builder;
use super::candidate;
use super::leaders::LeaderNumber;
use super::leaf::{self, Found};
use super::route;
use super::takeover::ROWS_PER_LEADER;
use crate::record::Slot;

/// Rows that are folded at once; more are folded one block after the other.
pub const BLOCK_ROWS_MAX: usize = 8192;
/// Rows of one piece of work: routing, and choosing neighbors.
const ROUTED_ROWS: usize = 48;
const LINKED_ROWS: usize = 16;
/// Leaders beyond its own leaves that a row which comes in the place of another may link to.
///
/// The rows of a growing graph keep long links from the time when there were few rows. Whoever
/// replaces them finds near rows only, and links of one length lead a search in circles: without
/// distant leaders, recall at a beam of 64 falls by a point and a half in eight turnovers; with
/// them, by half a point in ten.
const DISTANT: usize = 13;
/// Of the leaders beyond a row's own, one in so many is a distant one, from the nearest on.
const DISTANT_STEP: usize = 2;

/// What a fold did, and how long each phase took, in milliseconds of wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct FoldCounters {
    /// Blocks of rows that were folded.
    pub blocks: usize,
    /// Rows that are in the graph now and were not before.
    pub rows: usize,
    /// Rows that became leaders, by their hash or by the split of a leaf.
    pub leaders: usize,
    /// Members that moved to the leaf of a new leader.
    pub moved: usize,
    /// Int8 distances to and for leaders.
    pub routing_evaluations: usize,
    /// Pairs of row and member compared by 1-bit codes.
    pub leaf_pairs: usize,
    /// Int8 distances for the choice of the rows' own neighbors.
    pub forward_evaluations: usize,
    /// Int8 distances for the choice among neighbors of rows that got edges back.
    pub reverse_evaluations: usize,
    /// Rows that got edges back and had no room for them.
    pub reverse_prunes: usize,
    /// Rows that no link led to, and got one.
    pub orphans: usize,
    /// Arrival of leaders and splits of leaves.
    pub leaders_ms: f64,
    /// Routing.
    pub route_ms: f64,
    /// Comparison in the leaves.
    pub leaf_ms: f64,
    /// Choice of neighbors.
    pub forward_ms: f64,
    /// Edges back.
    pub reverse_ms: f64,
    /// Rows without a link to them.
    pub orphan_ms: f64,
}

impl std::ops::AddAssign for FoldCounters {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.rows += other.rows;
        self.leaders += other.leaders;
        self.moved += other.moved;
        self.routing_evaluations += other.routing_evaluations;
        self.leaf_pairs += other.leaf_pairs;
        self.forward_evaluations += other.forward_evaluations;
        self.reverse_evaluations += other.reverse_evaluations;
        self.reverse_prunes += other.reverse_prunes;
        self.orphans += other.orphans;
        self.leaders_ms += other.leaders_ms;
        self.route_ms += other.route_ms;
        self.leaf_ms += other.leaf_ms;
        self.forward_ms += other.forward_ms;
        self.reverse_ms += other.reverse_ms;
        self.orphan_ms += other.orphan_ms;
    }
}

/// Adds the time since the last lap to a counter.
struct Clock(Instant);

impl Clock {
    fn lap(&mut self, milliseconds: &mut f64) {
        let now = Instant::now();
        *milliseconds += (now - self.0).as_secs_f64() * 1e3;
        self.0 = now;
    }
}

/// The rows of a block by the leaves that they visit.
pub(super) struct Visits {
    /// `leaf << 32 | row * FAN_OUT + rank`, sorted: row is its place in the block, rank counts
    /// its leaves from the nearest.
    keys: Vec<u64>,
    /// For `row * FAN_OUT + rank`: the visited leaf's place among the visited, the row's in it.
    places: Vec<(u32, u32)>,
}

/// What routing found out of a row.
#[derive(Clone, Default)]
struct Routed {
    assignments: Assignments,
    distant: Vec<Slot>,
}

impl Builder {
    /// Puts rows into the graph, given as slot and hash of the record's id, and leaves the graph
    /// complete: every row is linked, both ways. Any number of rows, in blocks of
    /// [`BLOCK_ROWS_MAX`]. Rows that are in the graph already are passed over; all others were
    /// encoded before, see [`super::Graph::encode`].
    pub fn fold(&mut self, rows: &[(Slot, u64)]) -> FoldCounters {
        let mut counters = FoldCounters::default();
        for block in rows.chunks(BLOCK_ROWS_MAX) {
            self.fold_block(block, &mut counters);
        }
        counters
    }

    fn fold_block(&mut self, rows: &[(Slot, u64)], counters: &mut FoldCounters) {
        let mut clock = Clock(Instant::now());
        let known = self.assignments.len();
        let rows = self.admit(rows);
        let Some(&(first, _)) = rows.first() else {
            return;
        };
        let mut leaders: Vec<Slot> = Vec::new();
        leaders.extend((self.leaders.len() == 0).then_some(first));
        for &(slot, hash) in &rows {
            if hash % ROWS_PER_LEADER == 0 && leaders.first() != Some(&slot) {
                leaders.push(slot);
            }
        }
        self.welcome(&leaders, counters);
        clock.lap(&mut counters.leaders_ms);

        let slots: Vec<Slot> = rows.iter().map(|&(slot, _)| slot).collect();
        self.show(&slots);
        let distant = self.route(&slots, known, counters);
        clock.lap(&mut counters.route_ms);

        self.link(&slots, &distant, true, counters);
        clock = Clock(Instant::now());
        self.split_leaves(&slots, counters);
        if counters.leaders > 0 {
            self.renew_entry();
        }
        clock.lap(&mut counters.leaders_ms);
        counters.blocks += 1;
        counters.rows += rows.len();
    }

    /// Links rows that have their leaves with their neighbors, both ways; each may have distant
    /// leaders beside what it finds in its leaves. New rows `join` their leaves, others are
    /// members already.
    pub(super) fn link(
        &mut self,
        slots: &[Slot],
        distant: &[Vec<Slot>],
        join: bool,
        counters: &mut FoldCounters,
    ) {
        let mut clock = Clock(Instant::now());
        let visits = self.visits(slots);
        let found = self.scan_leaves(slots, &visits, join, counters);
        clock.lap(&mut counters.leaf_ms);

        let forward = self.choose_neighbors(slots, &visits, &found, distant);
        let mut edges = Vec::new();
        let mut touched = slots.to_vec();
        let mut unsure = Vec::new();
        for chunk in forward {
            counters.forward_evaluations += chunk.evaluations;
            edges.extend(chunk.edges);
            touched.extend(chunk.dropped);
            unsure.extend(chunk.equal);
        }
        clock.lap(&mut counters.forward_ms);

        let reverse = self.link_back(edges);
        counters.reverse_evaluations += reverse.evaluations;
        counters.reverse_prunes += reverse.prunes;
        touched.extend(reverse.dropped);
        unsure.extend(reverse.parted);
        clock.lap(&mut counters.reverse_ms);

        counters.orphans += self.adopt_orphans(touched, unsure);
        clock.lap(&mut counters.orphan_ms);
    }

    /// The rows that are not in the graph yet, each once, with room made for them.
    fn admit(&mut self, rows: &[(Slot, u64)]) -> Vec<(Slot, u64)> {
        if let Some(last) = rows.iter().map(|&(slot, _)| slot).max() {
            self.make_room(last);
        }
        let new = rows
            .iter()
            .filter(|&&(slot, _)| !self.contains(slot))
            .copied();
        self.workspaces.with(|workspace| {
            let new = new
                .filter(|&(slot, _)| workspace.visited.insert(slot))
                .collect();
            workspace.visited.clear();
            new
        })
    }

    fn welcome(&mut self, leaders: &[Slot], counters: &mut FoldCounters) {
        if leaders.is_empty() {
            return;
        }
        let arrival = self.add_leaders(leaders);
        counters.leaders += leaders.len();
        counters.moved += arrival.moved;
        counters.routing_evaluations += arrival.evaluations;
    }

    /// Assigns new rows to the leaves of their nearest leaders; returns the distant leaders of
    /// those whose slots were `known`.
    fn route(
        &mut self,
        slots: &[Slot],
        known: usize,
        counters: &mut FoldCounters,
    ) -> Vec<Vec<Slot>> {
        let (graph, leaders) = (&self.graph, &self.leaders);
        let routed: Vec<(Vec<Routed>, usize)> = slots
            .par_chunks(ROUTED_ROWS)
            .map(|slots| {
                let replaces = |slot: &Slot| (*slot as usize) < known;
                let new = slots.iter().filter(|slot| !replaces(slot));
                new.for_each(|&slot| graph.links().begin(slot));
                self.workspaces.with(|workspace| {
                    let mut routed = vec![Routed::default(); slots.len()];
                    let far = DISTANT * DISTANT_STEP;
                    let wanted = FAN_OUT + if slots.iter().any(replaces) { far } else { 0 };
                    let each = |place: usize, keys: &[u64]| {
                        let (near, far) = keys.split_at(FAN_OUT.min(keys.len()));
                        let routed = &mut routed[place];
                        for &key in near {
                            let leader = candidate::candidate(key);
                            routed.assignments.offer(leader.slot, leader.distance);
                        }
                        if replaces(&slots[place]) {
                            let far = far.iter().step_by(DISTANT_STEP);
                            let leader = |key: &u64| candidate::candidate(*key).slot as usize;
                            let rows = far.map(|key| leaders.slots()[leader(key)]);
                            routed.distant.extend(rows);
                        }
                    };
                    let evaluations =
                        route::nearest_leaders(graph, leaders, slots, wanted, workspace, each);
                    (routed, evaluations)
                })
            })
            .collect();
        let mut distant = Vec::with_capacity(slots.len());
        for (slots, (routed, evaluations)) in slots.chunks(ROUTED_ROWS).zip(routed) {
            counters.routing_evaluations += evaluations;
            for (&slot, routed) in slots.iter().zip(routed) {
                self.assignments[slot as usize] = routed.assignments;
                distant.push(routed.distant);
            }
        }
        self.live += slots.len();
        distant
    }

    fn visits(&self, slots: &[Slot]) -> Visits {
        let mut keys = Vec::with_capacity(slots.len() * FAN_OUT);
        for (row, &slot) in slots.iter().enumerate() {
            let leaves = self.assignments[slot as usize].iter().enumerate();
            keys.extend(leaves.map(|(rank, assignment)| {
                (u64::from(assignment.leaf) << 32) | (row * FAN_OUT + rank) as u64
            }));
        }
        keys.par_sort_unstable();
        let mut places = vec![(u32::MAX, 0); slots.len() * FAN_OUT];
        for (job, visit) in keys.chunk_by(same_leaf).enumerate() {
            for (place, &key) in visit.iter().enumerate() {
                places[key as u32 as usize] = (job as u32, place as u32);
            }
        }
        Visits { keys, places }
    }

    /// Lets the rows find near members in each leaf that they visit.
    fn scan_leaves(
        &mut self,
        slots: &[Slot],
        visits: &Visits,
        join: bool,
        counters: &mut FoldCounters,
    ) -> Vec<Found> {
        let groups: Vec<&[u64]> = visits.keys.chunk_by(same_leaf).collect();
        let leaves = leaf::some_leaves(&mut self.leaves, groups.iter().map(|keys| leaf_of(keys)));
        let (graph, leaders, assignments) = (&self.graph, &self.leaders, &self.assignments);
        let target = graph.parameters().candidates_per_leaf();
        let workspaces = &self.workspaces;
        let found: Vec<Found> = leaves
            .into_par_iter()
            .zip(&groups)
            .map(|(leaf, keys)| {
                let number = leaf_of(keys);
                let rows: Vec<(Slot, f32)> = keys
                    .iter()
                    .map(|&key| {
                        let (row, rank) = Visits::row_and_rank(key);
                        let slot = slots[row];
                        let own = assignments[slot as usize].iter().nth(rank);
                        (slot, own.map_or(0.0, |assignment| assignment.distance))
                    })
                    .collect();
                let leader = leaders.code(number);
                workspaces.with(|workspace| {
                    leaf.scan(graph, &leader, &rows, join, target, &mut workspace.leaf)
                })
            })
            .collect();
        counters.leaf_pairs += found.iter().map(|found| found.pairs).sum::<usize>();
        found
    }

    /// Promotes a member of each visited leaf that has outgrown its bound.
    fn split_leaves(&mut self, slots: &[Slot], counters: &mut FoldCounters) {
        let mut large: Vec<LeaderNumber> = slots
            .iter()
            .flat_map(|&slot| self.assignments[slot as usize].iter())
            .map(|assignment| assignment.leaf)
            .filter(|&number| self.leaves[number as usize].wants_split())
            .collect();
        large.sort_unstable();
        large.dedup();
        if large.is_empty() {
            return;
        }
        let mut taken: HashSet<Slot> = self.leaders.slots().iter().copied().collect();
        let mut promoted: Vec<Slot> = Vec::new();
        for &number in &large {
            let members = self.leaves[number as usize].slots().iter().copied();
            let others = members.filter(|slot| !taken.contains(slot));
            let chosen = others.min_by_key(|&slot| (scattered(slot), slot));
            taken.extend(chosen);
            promoted.extend(chosen);
        }
        self.welcome(&promoted, counters);
        for number in large {
            self.leaves[number as usize].put_off_split();
        }
    }
}

impl Visits {
    fn row_and_rank(key: u64) -> (usize, usize) {
        let place = key as u32 as usize;
        (place / FAN_OUT, place % FAN_OUT)
    }

    /// The rows' places in the block, in the order of their nearest leaf: rows that are near
    /// each other share candidates, which are then still in the cache.
    pub fn rows_by_leaf(&self) -> Vec<u32> {
        let nearest = self.keys.iter().map(|&key| Visits::row_and_rank(key));
        nearest
            .filter(|&(_, rank)| rank == 0)
            .map(|(row, _)| row as u32)
            .collect()
    }

    /// What a row found in each of its leaves; the same slot may be in more than one.
    pub fn found_by<'a>(
        &'a self,
        row: u32,
        found: &'a [Found],
    ) -> impl Iterator<Item = &'a [Slot]> {
        let places = &self.places[row as usize * FAN_OUT..(row as usize + 1) * FAN_OUT];
        places.iter().map(|&(job, place)| {
            found
                .get(job as usize)
                .map_or(&[][..], |found| found.of(place as usize))
        })
    }
}

pub(super) const ROWS_PER_PIECE: usize = LINKED_ROWS;

fn same_leaf(left: &u64, right: &u64) -> bool {
    left >> 32 == right >> 32
}

fn leaf_of(keys: &[u64]) -> LeaderNumber {
    keys.first()
        .map_or(LeaderNumber::MAX, |key| (key >> 32) as LeaderNumber)
}

/// A slot's bits mixed, so that a minimum is a fair draw.
fn scattered(slot: Slot) -> u32 {
    (slot ^ (slot >> 16))
        .wrapping_mul(0x9E37_79B1)
        .rotate_left(13)
        .wrapping_mul(0x85EB_CA6B)
}
