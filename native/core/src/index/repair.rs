//! Repair: how dead rows get out of the graph.
//!
//! One pass over all lists finds every row that links to a dead one, exactly. Each gets the
//! nearest of what its dead neighbors led to instead, so paths through them stay.
//! Sources: FreshDiskANN (arXiv 2105.09613), section 4.2; for the few nearest instead of all,
//! IP-DiskANN (arXiv 2502.13826).

use rayon::prelude::*;

use super::assignments::Assignments;
use super::builder::Builder;
use super::candidate::{self, candidate};
use super::fold::FoldCounters;
use super::leaders::LeaderNumber;
use super::leaf::Change;
use super::reverse::Reverse;
use super::workspace::Workspace;
use crate::record::Slot;

/// Rows that take a dead neighbor's place, per dead neighbor.
const HEIRS: usize = 3;
/// Rows of one piece of the pass over all lists.
const SCANNED_ROWS: usize = 4096;
/// Affected rows of one piece of work.
const REPAIRED_ROWS: usize = 32;
/// A row that is left with fewer links than this share of the usual is linked like a new one.
const WEAK_DIVISOR: usize = 4;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RepairCounters {
    /// Rows taken out of the graph.
    pub removed: usize,
    /// Rows that had links to them.
    pub repaired: usize,
    /// Rows that lost most of their links and were linked like new ones.
    pub linked_again: usize,
    /// Leaders that went because their leaves are empty.
    pub leaders_removed: usize,
    /// Rows that no link led to any more, and got one.
    pub orphans: usize,
    /// Int8 distances computed.
    pub evaluations: usize,
    /// Wall time, in milliseconds.
    pub milliseconds: f64,
}

impl Builder {
    /// Takes rows out of the graph. Afterwards no list, leaf or leader names them, and their
    /// slots may be folded again as other rows, once no snapshot shows the old ones. Slots that
    /// are not in the graph are passed over.
    pub fn repair(&mut self, dead: &[Slot]) -> RepairCounters {
        let start = std::time::Instant::now();
        let mut counters = RepairCounters::default();
        let mut dead: Vec<Slot> = dead
            .iter()
            .copied()
            .filter(|&slot| self.contains(slot))
            .collect();
        dead.sort_unstable();
        dead.dedup();
        if dead.is_empty() {
            return counters;
        }
        counters.removed = dead.len();
        self.live -= dead.len();
        let mut unsure = Vec::new();
        let mut touched = self.bequeath(&dead, &mut unsure, &mut counters);
        touched.extend(self.clear(&dead));
        counters.leaders_removed = self.replace_leaders();
        self.renew_entry();

        let usual = self.graph.parameters().links_kept() / WEAK_DIVISOR;
        let enough = usual.min(self.live.saturating_sub(1));
        let weak = |slot: &Slot| self.contains(*slot) && self.graph.links().count(*slot) < enough;
        let mut weak: Vec<Slot> = touched.iter().copied().filter(weak).collect();
        weak.sort_unstable();
        weak.dedup();
        if !weak.is_empty() {
            let mut linked = FoldCounters::default();
            self.link(&weak, false, &mut linked);
            counters.linked_again = weak.len();
            counters.orphans += linked.orphans;
            counters.evaluations += linked.forward_evaluations + linked.reverse_evaluations;
        }
        counters.orphans += self.adopt_orphans(touched, unsure);
        counters.milliseconds = start.elapsed().as_secs_f64() * 1e3;
        counters
    }

    /// Gives the rows that link to dead ones other links; returns them and the rows that lost a
    /// link to them.
    fn bequeath(
        &self,
        dead: &[Slot],
        unsure: &mut Vec<Slot>,
        counters: &mut RepairCounters,
    ) -> Vec<Slot> {
        let mut bits = vec![0u64; self.assignments.len().div_ceil(64)];
        for &slot in dead {
            bits[slot as usize / 64] |= 1 << (slot % 64);
        }
        let is_dead = |slot: Slot| bits[slot as usize / 64] >> (slot % 64) & 1 == 1;
        let links = self.graph.links();
        let mut touched: Vec<Slot> = dead.iter().flat_map(|&slot| links.list(slot)).collect();
        self.count_dropped(touched.iter().copied());

        let slots: Vec<Slot> = (0..self.assignments.len() as Slot).collect();
        let affected: Vec<Slot> = slots
            .par_chunks(SCANNED_ROWS)
            .flat_map_iter(|slots| {
                let live = slots.iter().copied().filter(|&slot| !is_dead(slot));
                live.filter(|&slot| links.list(slot).any(is_dead))
            })
            .collect();
        counters.repaired = affected.len();
        let pieces: Vec<Reverse> = affected
            .par_chunks(REPAIRED_ROWS)
            .map(|slots| {
                self.workspaces.with(|workspace| {
                    let mut changes = Reverse::default();
                    for &slot in slots {
                        self.repair_row(slot, &is_dead, workspace, &mut changes);
                    }
                    changes
                })
            })
            .collect();
        for piece in pieces {
            self.count_added(piece.added.into_iter());
            self.count_dropped(piece.dropped.iter().copied());
            counters.evaluations += piece.evaluations;
            touched.extend(piece.dropped);
            unsure.extend(piece.parted);
        }
        touched.extend(affected);
        touched
    }

    /// Replaces a row's links to dead rows by links to what those led to.
    fn repair_row(
        &self,
        slot: Slot,
        is_dead: &(impl Fn(Slot) -> bool + Sync),
        workspace: &mut Workspace,
        changes: &mut Reverse,
    ) {
        let (graph, links) = (&self.graph, self.graph.links());
        let Workspace {
            queries,
            visited,
            slots,
            distances,
            keys,
            ..
        } = workspace;
        queries.resize_with(4, || graph.empty_query());
        let query = &mut queries[0];
        graph.row_query(slot, query);
        let (gone, kept): (Vec<Slot>, Vec<Slot>) =
            links.list(slot).partition(|&link| is_dead(link));
        visited.insert(slot);
        kept.iter().for_each(|&link| {
            visited.insert(link);
        });
        let mut heirs = Vec::with_capacity(gone.len() * HEIRS);
        for &gone in &gone {
            slots.clear();
            slots.extend(links.list(gone).filter(|&heir| !is_dead(heir)));
            graph.distances(query, slots, distances);
            changes.evaluations += slots.len();
            keys.clear();
            let pairs = slots.iter().zip(&*distances);
            keys.extend(pairs.map(|(&heir, &distance)| candidate::key(distance, heir)));
            keys.retain(|&key| candidate(key).slot != slot);
            candidate::keep_nearest(keys, HEIRS);
            heirs.extend(
                keys.iter()
                    .copied()
                    .filter(|&key| visited.insert(candidate(key).slot)),
            );
        }
        visited.clear();
        changes.dropped.extend(gone);
        if kept.len() + heirs.len() <= graph.parameters().links_kept() {
            let added = heirs.into_iter().map(|key| candidate(key).slot);
            changes.added.extend(added.clone());
            let list: Vec<Slot> = kept.into_iter().chain(added).collect();
            links.write(slot, &list);
        } else {
            (workspace.slots, workspace.keys) = (kept, heirs);
            self.choose_again(slot, workspace, changes);
        }
    }

    /// Empties the lists of dead rows and takes the rows out of their leaves; returns what they
    /// linked to.
    fn clear(&mut self, dead: &[Slot]) -> Vec<Slot> {
        let mut touched = Vec::new();
        let mut changes = Vec::new();
        for &slot in dead {
            touched.extend(self.graph.links().list(slot));
            self.graph.links().write(slot, &[]);
            let assignments = std::mem::take(&mut self.assignments[slot as usize]);
            changes.extend(
                assignments
                    .iter()
                    .map(|own| (own.leaf, slot, Change::Leave)),
            );
        }
        self.change_leaves(changes);
        touched
    }

    /// Gives each leader whose row is gone the nearest member's row as the way in, and removes
    /// the leaders of empty leaves; returns how many.
    fn replace_leaders(&mut self) -> usize {
        let mut removed = 0;
        for leader in (0..self.leaders.len() as LeaderNumber).rev() {
            let members = self.leaves[leader as usize].slots();
            if members.is_empty() {
                self.remove_leader(leader);
                removed += 1;
            } else if !self.contains(self.leaders.slots()[leader as usize]) {
                let mut distances = Vec::new();
                self.graph
                    .distances(&self.leaders.code(leader), members, &mut distances);
                let keys = members.iter().zip(&distances);
                let keys = keys.map(|(&slot, &distance)| candidate::key(distance, slot));
                if let Some(nearest) = keys.min() {
                    self.leaders.set_slot(leader, candidate(nearest).slot);
                }
            }
        }
        removed
    }

    fn remove_leader(&mut self, leader: LeaderNumber) {
        let last = self.leaders.len() as LeaderNumber - 1;
        self.leaders.swap_remove(leader);
        self.leaves.swap_remove(leader as usize);
        if leader < last {
            for &member in self.leaves[leader as usize].slots() {
                let assignments: &mut Assignments = &mut self.assignments[member as usize];
                assignments.renumber(last, leader);
            }
        }
    }
}
