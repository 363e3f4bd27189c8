//! Repair: how dead rows get out of the graph.
//!
//! First the dead rows leave their leaves, so no new link can lead to them. Once they are many, a pass over all
//! lists, some rows at a time and with folds in between, finds every row that links to a dead
//! one, exactly; each gets near rows that its dead neighbors led to instead, so paths through
//! them stay. Last the dead rows' own lists go.
//! Sources: FreshDiskANN (arXiv 2105.09613), section 4.2; for the few nearest instead of all,
//! IP-DiskANN (arXiv 2502.13826).

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::assignments::Assignments;
use super::builder::Builder;
use super::candidate::{self, candidate};
use super::fold::FoldCounters;
use super::leaders::LeaderNumber;
use super::leaf::Change;
use super::prune;
use super::workspace::Workspace;
use crate::record::Slot;

/// Rows that a dead neighbor led to and that may take its place.
const HEIRS: usize = 3;
/// Rows of one piece of work: most are only looked at.
const PIECE_ROWS: usize = 256;
/// A row that is left with fewer links than this share of the usual is linked like a new one.
const WEAK_DIVISOR: usize = 4;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RepairCounters {
    /// Repairs that were finished.
    pub repairs: usize,
    /// Rows taken out of the graph.
    pub removed: usize,
    /// Rows that had links to them.
    pub repaired: usize,
    /// Rows that lost most of their links and were linked like new ones.
    pub linked_again: usize,
    /// Rows that no link led to any more, and got one.
    pub orphans: usize,
    /// Int8 distances computed.
    pub evaluations: usize,
    /// Wall time, in milliseconds.
    pub ms: f64,
}

impl std::ops::AddAssign for RepairCounters {
    fn add_assign(&mut self, other: Self) {
        self.repairs += other.repairs;
        self.removed += other.removed;
        self.repaired += other.repaired;
        self.linked_again += other.linked_again;
        self.orphans += other.orphans;
        self.evaluations += other.evaluations;
        self.ms += other.ms;
    }
}

/// A repair that is under way.
#[derive(Debug)]
pub(super) struct Repair {
    /// Sorted.
    dead: Vec<Slot>,
    /// The same as bits by slot.
    bits: Vec<u64>,
    /// Slots below this one link to no dead row any more.
    next: Slot,
    counters: RepairCounters,
}

impl Repair {
    fn is_dead(&self, slot: Slot) -> bool {
        let word = self.bits.get(slot as usize / 64);
        word.is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }
}

/// What became of some rows.
#[derive(Debug, Default)]
struct Repaired {
    rows: usize,
    added: Vec<Slot>,
    dropped: Vec<Slot>,
    weak: Vec<Slot>,
    evaluations: usize,
}

impl Builder {
    /// Takes rows out of the graph in one go: [`Builder::bury`] and a whole repair.
    pub fn repair(&mut self, dead: &[Slot]) -> RepairCounters {
        self.bury(dead);
        self.begin_repair();
        self.continue_repair(usize::MAX).unwrap_or_default()
    }

    /// Notes that rows are dead: they leave their leaves and are no leaders any more, so no new
    /// row meets them, and a record that comes again with the same vector finds no equal.
    /// Searches still pass through them until they are repaired away. Slots that are not in the
    /// graph are passed over.
    pub fn bury(&mut self, dead: &[Slot]) {
        let mut dead: Vec<Slot> = dead
            .iter()
            .copied()
            .filter(|&slot| self.contains(slot))
            .collect();
        if dead.is_empty() {
            return;
        }
        dead.sort_unstable();
        dead.dedup();
        self.live -= dead.len();
        self.leave_leaves(&dead);
        self.replace_leaders();
        self.renew_entry();
        self.buried.extend(dead);
    }

    /// Begins to take all buried rows out of the graph. When [`Builder::continue_repair`] has come
    /// to the end, no list names them, and their slots may be folded again as other rows, once no
    /// snapshot shows the old ones.
    ///
    /// A repair that is under way is finished first.
    pub fn begin_repair(&mut self) {
        self.continue_repair(usize::MAX);
        let mut dead = std::mem::take(&mut self.buried);
        dead.sort_unstable();
        let mut bits = vec![0u64; self.assignments.len().div_ceil(64)];
        for &slot in &dead {
            bits[slot as usize / 64] |= 1 << (slot % 64);
        }
        let counters = RepairCounters {
            repairs: 1,
            removed: dead.len(),
            ..RepairCounters::default()
        };
        self.repair = Some(Repair {
            dead,
            bits,
            next: 0,
            counters,
        });
    }

    /// Whether any list may still name a row that is out of the graph.
    pub(super) fn has_dead_links(&self) -> bool {
        !self.buried.is_empty() || self.repair.is_some()
    }

    /// Whether a repair is under way.
    pub fn is_repairing(&self) -> bool {
        self.repair.is_some()
    }

    /// Goes on with the repair that was begun, over the lists of as many slots; tells what it did
    /// all in all once it is finished, `None` while it is not or where there is none.
    pub fn continue_repair(&mut self, rows: usize) -> Option<RepairCounters> {
        let mut repair = self.repair.take()?;
        let start = Instant::now();
        // Rows that came after the beginning have no way to a dead row.
        let end = (repair.bits.len() * 64).min(self.assignments.len()) as Slot;
        let first = repair.next.min(end);
        repair.next = first + (rows.min((end - first) as usize) as Slot);
        if !repair.dead.is_empty() {
            self.repair_rows(first..repair.next, &mut repair);
        }
        let finished = repair.next == end;
        if finished && !repair.dead.is_empty() {
            repair.counters.orphans += self.forget(&repair.dead);
        }
        repair.counters.ms += start.elapsed().as_secs_f64() * 1e3;
        if finished {
            return Some(repair.counters);
        }
        self.repair = Some(repair);
        None
    }

    /// Gives the rows of some slots that link to dead ones other links.
    fn repair_rows(&mut self, slots: std::ops::Range<Slot>, repair: &mut Repair) {
        let slots: Vec<Slot> = slots.collect();
        let pieces: Vec<Repaired> = slots
            .par_chunks(PIECE_ROWS)
            .map(|slots| {
                self.workspaces
                    .with(|workspace| self.repair_piece(slots, repair, workspace))
            })
            .collect();
        let mut weak = Vec::new();
        let counters = &mut repair.counters;
        for piece in pieces {
            self.count_added(piece.added.into_iter());
            self.count_dropped(piece.dropped.into_iter());
            counters.repaired += piece.rows;
            counters.evaluations += piece.evaluations;
            weak.extend(piece.weak);
        }
        if !weak.is_empty() {
            let mut linked = FoldCounters::default();
            self.link(&weak, &[], false, &mut linked);
            counters.linked_again += weak.len();
            counters.orphans += linked.orphans;
            counters.evaluations += linked.forward_evaluations + linked.reverse_evaluations;
        }
    }

    fn repair_piece(&self, slots: &[Slot], repair: &Repair, workspace: &mut Workspace) -> Repaired {
        let links = self.graph.links();
        let enough = self.graph.parameters().links_kept() / WEAK_DIVISOR;
        let enough = enough.min(self.live.saturating_sub(1));
        let mut repaired = Repaired::default();
        for &slot in slots {
            let affected = links.list(slot).any(|link| repair.is_dead(link));
            if !affected || !self.contains(slot) {
                continue;
            }
            repaired.rows += 1;
            self.repair_row(slot, repair, workspace, &mut repaired);
            if links.count(slot) < enough {
                repaired.weak.push(slot);
            }
        }
        repaired
    }

    /// Replaces a row's links to dead rows by links to the nearest that those led to, as far as
    /// there is room. None of them is dropped for its direction: measured over whole turnovers
    /// that rule costs half of the repair and gains nothing.
    fn repair_row(
        &self,
        slot: Slot,
        repair: &Repair,
        workspace: &mut Workspace,
        repaired: &mut Repaired,
    ) {
        let (graph, links) = (&self.graph, self.graph.links());
        let Workspace {
            visited,
            slots,
            distances,
            keys,
            ..
        } = workspace;
        let bias = graph.bias(slot);
        let (gone, mut kept): (Vec<Slot>, Vec<Slot>) =
            links.list(slot).partition(|&link| repair.is_dead(link));
        visited.insert(slot);
        kept.iter().for_each(|&link| {
            visited.insert(link);
        });
        let mut heirs: Vec<u64> = Vec::with_capacity(gone.len() * HEIRS);
        for &gone in &gone {
            slots.clear();
            let live = links.list(gone).filter(|&heir| self.contains(heir));
            slots.extend(live.filter(|&heir| visited.insert(heir)));
            graph.distances_from(slot, slots, distances);
            repaired.evaluations += slots.len();
            keys.clear();
            let pairs = slots.iter().zip(&*distances);
            keys.extend(pairs.map(|(&heir, &distance)| candidate::key(distance, heir)));
            candidate::keep_nearest(keys, HEIRS);
            heirs.append(keys);
        }
        visited.clear();
        heirs.sort_unstable();
        let room = graph.parameters().links_kept().saturating_sub(kept.len());
        let distinct = heirs
            .into_iter()
            .map(candidate)
            .filter(|heir| prune::is_distinct(bias, heir.distance));
        for heir in distinct.take(room) {
            kept.push(heir.slot);
            repaired.added.push(heir.slot);
        }
        repaired.dropped.extend(gone);
        links.write(slot, &kept);
    }

    /// Takes dead rows out of their leaves.
    fn leave_leaves(&mut self, dead: &[Slot]) {
        let mut changes = Vec::new();
        for &slot in dead {
            let assignments = std::mem::take(&mut self.assignments[slot as usize]);
            changes.extend(
                assignments
                    .iter()
                    .map(|own| (own.leaf, slot, Change::Leave)),
            );
        }
        self.change_leaves(changes);
    }

    /// Empties the lists of dead rows and links what only they led to from elsewhere; returns how
    /// many rows that were.
    fn forget(&mut self, dead: &[Slot]) -> usize {
        let links = self.graph.links();
        let mut touched: Vec<Slot> = Vec::new();
        for &slot in dead {
            touched.extend(links.list(slot));
            links.write(slot, &[]);
        }
        self.count_dropped(touched.iter().copied());
        self.adopt_orphans(touched, Vec::new())
    }

    /// Gives each leader whose row is gone the nearest member's row as the way in, and removes
    /// the leaders of empty leaves.
    fn replace_leaders(&mut self) {
        for leader in (0..self.leaders.len() as LeaderNumber).rev() {
            let members = self.leaves[leader as usize].slots();
            if members.is_empty() {
                self.remove_leader(leader);
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
