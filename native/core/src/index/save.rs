//! A graph as bytes, for checkpoints.
//!
//! All numbers are little-endian. The sections, in order:
//!
//! | section | content |
//! |---|---|
//! | head | magic, dimension, metric, m, ef_construction, length bound (0: none), slots, rows, leaders, leaders at the last centering, leaders at the making of the first look (0: none) |
//! | center | scale, bias, codes |
//! | center of the first look, if any | scale, bias, codes |
//! | rows, by slot | slot, scale, bias, codes; count of links, links; count of leaves, (leaf, distance) each |
//! | leaders, by number | slot, scale, bias, codes; threshold, split bound, count of members, members |
//! | end | XXH3-64 of all before it |
//!
//! A row without leaves is dead: others still link to it. Panels, first looks and in-degrees are
//! made anew from these. Only rows of the graph are saved: codes of slots that were encoded but
//! not folded are the caller's to encode again.

use std::sync::Arc;

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::assignments::Assignments;
use super::builder::Builder;
use super::graph::Graph;
use super::leaders::LeaderNumber;
use super::metric::Metric;
use super::survivors::Threshold;
use crate::error::Result;
use crate::kernels::CodeQuery;
use crate::record::Slot;

pub(super) const MAGIC: &[u8; 8] = b"VLYGRAF3";
/// Bytes that are handed on together.
const PIECE_BYTES: usize = 1 << 20;
/// Rows whose links are copied together.
const PIECE_ROWS: usize = 4096;

/// A graph as it was at one moment; written while folds go on.
///
/// What a fold may change is copied, about a quarter of a kilobyte a row. Codes are not: a fold
/// writes those of new rows only, so no slot may be given to another row while this is in use.
pub struct Frozen {
    graph: Arc<Graph>,
    /// Count and links of each slot, `capacity + 1` numbers.
    links: Vec<Slot>,
    assignments: Vec<Assignments>,
    /// Bits of the dead rows that others link to.
    dead: Vec<u64>,
    rows: usize,
    leaders: Vec<FrozenLeader>,
    center: CodeQuery,
    centered_at: usize,
    first_look: Option<CodeQuery>,
    looked_from: usize,
}

struct FrozenLeader {
    slot: Slot,
    code: CodeQuery,
    threshold: Threshold,
    split_above: usize,
    members: Vec<Slot>,
}

impl Builder {
    /// The graph as it is now, in time proportional to its rows.
    ///
    /// # Panics
    /// While a repair is under way, whose lists are neither those before nor those after it.
    pub fn freeze(&self) -> Frozen {
        assert!(!self.is_repairing(), "a graph is frozen between repairs");
        let slots = self.assignments.len();
        let mut dead = vec![0; slots.div_ceil(64)];
        for &slot in &self.buried {
            dead[slot as usize / 64] |= 1 << (slot % 64);
        }
        let stride = self.graph.links().capacity() + 1;
        let mut links = vec![0; slots * stride];
        let pieces = links.par_chunks_mut(PIECE_ROWS * stride).enumerate();
        pieces.for_each(|(piece, rows)| {
            for (slot, row) in (piece * PIECE_ROWS..).zip(rows.chunks_exact_mut(stride)) {
                let mut count = 0;
                for (place, link) in row[1..]
                    .iter_mut()
                    .zip(self.graph.links().list(slot as Slot))
                {
                    *place = link;
                    count += 1;
                }
                row[0] = count;
            }
        });
        let leader = |(number, leaf): (usize, &super::leaf::Leaf)| FrozenLeader {
            slot: self.leaders.slots()[number],
            code: self.leaders.code(number as LeaderNumber),
            threshold: leaf.threshold(),
            split_above: leaf.split_above(),
            members: leaf.slots().to_vec(),
        };
        let (center, centered_at) = self.leaders.center();
        let first_look = self.first_look.as_ref();
        Frozen {
            links,
            assignments: self.assignments.clone(),
            dead,
            rows: self.live + self.buried.len(),
            leaders: self.leaves.iter().enumerate().map(leader).collect(),
            center: center.clone(),
            centered_at,
            first_look: first_look.map(|first_look| first_look.center().clone()),
            looked_from: self.looked_from,
            graph: Arc::clone(&self.graph),
        }
    }
}

impl Frozen {
    /// Writes the whole graph, links, partitions and the codes of all rows in it, in pieces of
    /// about a mebibyte.
    ///
    /// # Errors
    /// The first that `write` reports; nothing is written after it.
    pub fn save(&self, write: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut digest = Xxh3::new();
        let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        let mut hand_on = |piece: &mut Vec<u8>, bytes_min: usize| {
            if piece.len() < bytes_min {
                return Ok(());
            }
            digest.update(piece);
            write(piece)?;
            piece.clear();
            Ok(())
        };
        self.save_head(&mut piece);
        let mut code = self.graph.empty_query();
        for slot in 0..self.assignments.len() as Slot {
            if self.is_row(slot) {
                self.save_row(slot, &mut code, &mut piece);
                hand_on(&mut piece, PIECE_BYTES)?;
            }
        }
        for leader in &self.leaders {
            put(&mut piece, leader.slot);
            put_code(&mut piece, &leader.code);
            put(&mut piece, leader.threshold.to_bits());
            let split_above = u32::try_from(leader.split_above).unwrap_or(u32::MAX);
            put(&mut piece, split_above);
            put_list(&mut piece, &leader.members);
            hand_on(&mut piece, PIECE_BYTES)?;
        }
        hand_on(&mut piece, 1)?;
        write(&digest.digest().to_le_bytes())
    }

    fn is_row(&self, slot: Slot) -> bool {
        let (word, bit) = (slot as usize / 64, slot % 64);
        !self.assignments[slot as usize].is_empty() || self.dead[word] >> bit & 1 == 1
    }

    fn save_row(&self, slot: Slot, code: &mut CodeQuery, out: &mut Vec<u8>) {
        self.graph.row_query(slot, code);
        put(out, slot);
        put_code(out, code);
        let stride = self.graph.links().capacity() + 1;
        let row = &self.links[slot as usize * stride..][..stride];
        put_list(out, &row[1..=row[0] as usize]);
        let assignments = self.assignments[slot as usize];
        put(out, assignments.iter().count() as u32);
        for assignment in assignments.iter() {
            put(out, assignment.leaf);
            put(out, assignment.distance.to_bits());
        }
    }

    fn save_head(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        parameters_of(&self.graph)
            .iter()
            .for_each(|&parameter| put(out, parameter));
        let bound = self.graph.space().length_bound().unwrap_or(0.0);
        put(out, bound.to_bits());
        put(out, self.assignments.len() as u32);
        put(out, self.rows as u32);
        put(out, self.leaders.len() as u32);
        put(out, self.centered_at as u32);
        put(out, self.looked_from as u32);
        put_code(out, &self.center);
        if let Some(center) = &self.first_look {
            put_code(out, center);
        }
    }
}

/// The parameters that a saved graph must share with the one that it is loaded into.
pub(super) fn parameters_of(graph: &Graph) -> [u32; 4] {
    let parameters = graph.parameters();
    let metric = match parameters.metric {
        Metric::Cosine => 0,
        Metric::Euclidean => 1,
        Metric::DotProduct => 2,
    };
    let (m, ef_construction) = (parameters.m as u32, parameters.ef_construction as u32);
    [parameters.dimension as u32, metric, m, ef_construction]
}

fn put(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_le_bytes());
}

fn put_list(out: &mut Vec<u8>, slots: &[Slot]) {
    put(out, slots.len() as u32);
    slots.iter().for_each(|&slot| put(out, slot));
}

fn put_code(out: &mut Vec<u8>, code: &CodeQuery) {
    put(out, code.scale.to_bits());
    put(out, code.bias.to_bits());
    out.extend(code.codes.iter().map(|code| code.cast_unsigned()));
}
