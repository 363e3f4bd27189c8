//! A leaf: the rows near one leader as 1-bit codes, scanned by each row that joins.

use super::candidate;
use super::codes;
use super::graph::Graph;
use super::leaders::LeaderNumber;
use super::survivors::Threshold;
use crate::kernels::{CodeQuery, PanelQuery, Panels};
use crate::record::Slot;

/// Members above which a leaf is split.
const MEMBERS_MAX: usize = 2048;
/// Below this dimension signs tell too little; leaves are then scanned by int8 codes.
const SIGNS_DIMENSION_MIN: usize = 32;
/// From this dimension on half of the signs tell as much as all, at half the memory and time.
const HALF_SIGNS_DIMENSION_MIN: usize = 768;

/// Words of a member's 1-bit code for rows of some dimension; 0 where int8 codes are used.
pub(super) fn words_per_member(code_dimension: usize) -> usize {
    match code_dimension {
        ..SIGNS_DIMENSION_MIN => 0,
        HALF_SIGNS_DIMENSION_MIN.. => (code_dimension / 2).div_ceil(32),
        _ => code_dimension.div_ceil(32),
    }
}

/// The members of one leader.
#[derive(Debug)]
pub(super) struct Leaf {
    slots: Vec<Slot>,
    /// The signs of member minus leader, by the members' places in `slots`.
    panels: Panels,
    threshold: Threshold,
    split_above: usize,
}

/// One change of a leaf's members.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The row joins; its distance to the leader.
    Join(f32),
    Leave,
}

/// The slots that some rows found in one leaf, in the order in which the rows were given.
#[derive(Debug, Default)]
pub(super) struct Found {
    ends: Vec<u32>,
    slots: Vec<Slot>,
    /// Pairs of row and member that were scored.
    pub pairs: usize,
}

/// What scanning a leaf needs beside it; kept by a thread for its next leaf.
#[derive(Debug, Default)]
pub(super) struct LeafBuffers {
    words: Vec<u32>,
    norms: Vec<f32>,
    scores: [Vec<f32>; 4],
    masks: Vec<u64>,
    places: Vec<u32>,
}

impl Found {
    /// What the row of this place found.
    pub fn of(&self, place: usize) -> &[Slot] {
        let end = |place: usize| self.ends.get(place).map_or(0, |&end| end as usize);
        let start = if place == 0 { 0 } else { end(place - 1) };
        self.slots.get(start..end(place)).unwrap_or_default()
    }
}

impl Leaf {
    pub fn new(words_per_member: usize) -> Self {
        Leaf {
            slots: Vec::new(),
            panels: Panels::new(words_per_member),
            threshold: Threshold::default(),
            split_above: MEMBERS_MAX,
        }
    }

    /// The members' slots; the order is part of the leaf's state.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    pub fn split_above(&self) -> usize {
        self.split_above
    }

    /// Bytes that the members take.
    pub fn bytes(&self) -> usize {
        self.panels.bytes() + self.slots.capacity() * size_of::<Slot>()
    }

    /// Whether the leaf has outgrown its bound.
    pub fn wants_split(&self) -> bool {
        self.slots.len() > self.split_above
    }

    /// Lets the leaf grow to twice its present size before it asks for a split again: a leaf of
    /// equal rows cannot be split at all.
    pub fn put_off_split(&mut self) {
        self.split_above = self.split_above.max(2 * self.slots.len());
    }

    /// Makes room for so many more members and for no others.
    pub fn reserve(&mut self, count: usize) {
        self.slots.reserve_exact(count);
        self.panels.reserve(count);
    }

    /// Takes over what was saved beside the members.
    pub fn restore(&mut self, threshold: Threshold, split_above: usize) {
        (self.threshold, self.split_above) = (threshold, split_above);
    }

    /// Applies changes in order. A row that leaves is a member; one that joins is not.
    pub fn apply(
        &mut self,
        graph: &Graph,
        leader: &CodeQuery,
        changes: impl Iterator<Item = (Slot, Change)>,
        buffers: &mut LeafBuffers,
    ) {
        for (slot, change) in changes {
            match change {
                Change::Join(distance) => {
                    buffers.words.resize(self.panels.words_per_member(), 0);
                    row_signs(graph, slot, leader, &mut buffers.words);
                    self.slots.push(slot);
                    self.panels.push(&buffers.words, 2.0 * distance.max(0.0));
                }
                Change::Leave => self.remove(slot),
            }
        }
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(place) = place_of(&self.slots, slot) {
            self.slots.swap_remove(place);
            self.panels.swap_remove(place);
        }
    }

    /// Adds rows, if they are to `join`, and lets each find about `target` near members; rows
    /// are given as slot and distance to the leader.
    pub fn scan(
        &mut self,
        graph: &Graph,
        leader: &CodeQuery,
        rows: &[(Slot, f32)],
        join: bool,
        target: usize,
        buffers: &mut LeafBuffers,
    ) -> Found {
        let mut found = Found::default();
        let words = self.panels.words_per_member();
        let first = self.slots.len();
        buffers.words.resize(rows.len() * words, 0);
        buffers.norms.clear();
        for (place, &(slot, distance)) in rows.iter().enumerate() {
            if let Some(&(next, _)) = rows.get(place + 4) {
                graph.codes().prefetch(next);
            }
            let code = &mut buffers.words[place * words..(place + 1) * words];
            if words > 0 {
                row_signs(graph, slot, leader, code);
            }
            let square_norm = 2.0 * distance.max(0.0);
            buffers.norms.push(square_norm.sqrt());
            if join {
                self.slots.push(slot);
                self.panels.push(code, square_norm);
            }
        }
        for group in (0..rows.len()).step_by(4) {
            let group = group..rows.len().min(group + 4);
            let start = if join {
                first + group.start
            } else {
                group.start
            };
            if words > 0 {
                self.scan_signs(graph, group, target, start, buffers, &mut found);
            } else {
                self.scan_codes(graph, &rows[group], target, buffers, &mut found);
            }
        }
        found
    }

    /// Adds about `target` members near a row to `slots`; all of them where signs are not used.
    pub fn near(
        &self,
        graph: &Graph,
        leader: &CodeQuery,
        row: &CodeQuery,
        target: usize,
        buffers: &mut LeafBuffers,
        slots: &mut Vec<Slot>,
    ) {
        let count = self.panels.words_per_member();
        if count == 0 || self.slots.len() <= 2 * target {
            slots.extend(&self.slots);
            return;
        }
        let LeafBuffers {
            words,
            scores,
            masks,
            places,
            ..
        } = buffers;
        words.resize(count, 0);
        signs(graph, row, leader, words);
        let norm = (2.0 * codes::distance(graph.kernels(), row, leader).max(0.0)).sqrt();
        let query = PanelQuery { words, norm };
        let [sum, ..] = graph.kernels().panel_scores(&self.panels, &[query], scores);
        let mut threshold = Threshold::new(1.0);
        threshold.select(graph.kernels(), &scores[0], sum, target, 0, masks, places);
        slots.extend(
            places
                .iter()
                .filter_map(|&place| self.slots.get(place as usize)),
        );
    }

    /// Scores up to four rows with all members by their signs.
    fn scan_signs(
        &mut self,
        graph: &Graph,
        rows: std::ops::Range<usize>,
        target: usize,
        start: usize,
        buffers: &mut LeafBuffers,
        found: &mut Found,
    ) {
        let LeafBuffers {
            words,
            norms,
            scores,
            masks,
            places,
            ..
        } = buffers;
        let count = self.panels.words_per_member();
        let query = |row: usize| match norms.get(row) {
            Some(&norm) => PanelQuery {
                words: &words[row * count..(row + 1) * count],
                norm,
            },
            None => PanelQuery {
                words: &[],
                norm: 0.0,
            },
        };
        let queries: [_; 4] = std::array::from_fn(|offset| query(rows.start + offset));
        let queries = &queries[..rows.len()];
        let sums = graph.kernels().panel_scores(&self.panels, queries, scores);
        for (offset, (scores, sum)) in scores.iter().zip(sums).take(rows.len()).enumerate() {
            let kernels = graph.kernels();
            self.threshold
                .select(kernels, scores, sum, target, start + offset, masks, places);
            found.slots.extend(
                places
                    .iter()
                    .filter_map(|&place| self.slots.get(place as usize)),
            );
            found.ends.push(found.slots.len() as u32);
            found.pairs += scores.len();
        }
    }

    /// Compares rows with all members by their int8 codes and takes the nearest.
    fn scan_codes(
        &mut self,
        graph: &Graph,
        rows: &[(Slot, f32)],
        target: usize,
        buffers: &mut LeafBuffers,
        found: &mut Found,
    ) {
        let distances = &mut buffers.scores[0];
        for &(slot, _) in rows {
            graph.distances_from(slot, &self.slots, distances);
            let pairs = self.slots.iter().zip(&*distances);
            let others = pairs.filter(|&(&member, _)| member != slot);
            // Among equal members every row takes others: those that follow its own slot.
            let mut keys: Vec<u64> = others
                .map(|(&member, &distance)| candidate::key(distance, member.wrapping_sub(slot)))
                .collect();
            let target = 2 * target;
            if keys.len() > target {
                keys.select_nth_unstable(target);
                keys.truncate(target);
            }
            keys.sort_unstable();
            let members = keys.into_iter().map(|key| candidate::candidate(key).slot);
            found
                .slots
                .extend(members.map(|turned| turned.wrapping_add(slot)));
            found.ends.push(found.slots.len() as u32);
            found.pairs += self.slots.len();
        }
    }
}

/// Where a slot stands in a list; whole pieces are compared at once.
fn place_of(slots: &[Slot], slot: Slot) -> Option<usize> {
    const PIECE: usize = 64;
    let mut pieces = slots.chunks(PIECE);
    let piece = pieces.position(|piece| {
        piece
            .iter()
            .fold(false, |found, &other| found | (other == slot))
    })?;
    let first = piece * PIECE;
    let place = slots[first..].iter().position(|&other| other == slot)?;
    Some(first + place)
}

/// The signs of a row of the graph minus a leader.
fn row_signs(graph: &Graph, row: Slot, leader: &CodeQuery, words: &mut [u32]) {
    graph.kernels().row_signs(row, graph.codes(), leader, words);
}

/// The signs of a row minus a leader.
fn signs(graph: &Graph, row: &CodeQuery, leader: &CodeQuery, words: &mut [u32]) {
    graph
        .kernels()
        .residual_signs(&row.codes, row.scale, &leader.codes, leader.scale, words);
}

/// Exclusive references to some leaves, by ascending and distinct numbers.
pub(super) fn some_leaves(
    mut leaves: &mut [Leaf],
    numbers: impl Iterator<Item = LeaderNumber>,
) -> Vec<&mut Leaf> {
    let mut chosen = Vec::new();
    let mut passed = 0;
    for number in numbers {
        let rest = std::mem::take(&mut leaves);
        let (_, from_here) = rest.split_at_mut(number as usize - passed);
        let Some((leaf, after)) = from_here.split_first_mut() else {
            break;
        };
        chosen.push(leaf);
        leaves = after;
        passed = number as usize + 1;
    }
    chosen
}
