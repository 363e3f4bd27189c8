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
//! Panels, first looks and in-degrees are made anew from these. Only rows of the graph are saved: codes of
//! slots that were encoded but not folded are the caller's to encode again.

use std::sync::Arc;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::assignments::{FAN_OUT, Offer};
use super::builder::Builder;
use super::graph::Graph;
use super::leaders::{LeaderNumber, Leaders};
use super::leaf::Change;
use super::metric::Metric;
use super::survivors::Threshold;
use crate::error::{Error, ErrorCode, Result};
use crate::kernels::CodeQuery;
use crate::limits::RECORDS_MAX;
use crate::record::Slot;

const MAGIC: &[u8; 8] = b"VLYGRAF2";
const CHECKSUM_BYTES: usize = 8;

impl Builder {
    /// Appends the whole graph to `out`: links, partitions and the codes of all rows in it.
    pub fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.save_head(out);
        let mut row = self.graph.empty_query();
        for slot in (0..self.assignments.len() as Slot).filter(|&slot| self.contains(slot)) {
            self.graph.row_query(slot, &mut row);
            put(out, slot);
            put_code(out, &row);
            let links: Vec<Slot> = self.graph.links().list(slot).collect();
            put_list(out, &links);
            let assignments = self.assignments[slot as usize];
            put(out, assignments.iter().count() as u32);
            for assignment in assignments.iter() {
                put(out, assignment.leaf);
                put(out, assignment.distance.to_bits());
            }
        }
        for (number, leaf) in (0..).zip(&self.leaves) {
            put(out, self.leaders.slots()[number as usize]);
            put_code(out, &self.leaders.code(number));
            put(out, leaf.threshold().to_bits());
            put(out, u32::try_from(leaf.split_above()).unwrap_or(u32::MAX));
            put_list(out, leaf.slots());
        }
        let checksum = xxh3_64(&out[start..]);
        out.extend(checksum.to_le_bytes());
    }

    fn save_head(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        parameters_of(&self.graph)
            .iter()
            .for_each(|&parameter| put(out, parameter));
        put(
            out,
            self.graph.space().length_bound().unwrap_or(0.0).to_bits(),
        );
        put(out, self.assignments.len() as u32);
        put(out, self.live as u32);
        put(out, self.leaders.len() as u32);
        let (center, centered_at) = self.leaders.center();
        put(out, centered_at as u32);
        put(out, self.looked_from as u32);
        put_code(out, center);
        if let Some(first_look) = &self.first_look {
            put_code(out, first_look.center());
        }
    }

    /// Makes the builder that was saved, and fills a new graph that has its parameters.
    ///
    /// Fails with `CORRUPTED` where the bytes are not what [`Builder::save`] wrote for such a
    /// graph; the given graph is then of no further use.
    pub fn load(graph: Arc<Graph>, bytes: &[u8]) -> Result<Builder> {
        let end = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .ok_or_else(|| corrupted("its end"))?;
        let (body, checksum) = bytes.split_at(end);
        if xxh3_64(body).to_le_bytes() != checksum {
            return Err(corrupted("its checksum"));
        }
        let mut reader = Reader { bytes: body };
        let head = Head::read(&mut reader, &graph)?;
        let look = head.look.clone();
        let mut builder = Builder::new(graph);
        builder.load_rows(&mut reader, &head)?;
        builder.load_leaders(&mut reader, head)?;
        if let Some((looked_from, center)) = look {
            builder.make_first_look(center, looked_from);
        }
        if !reader.bytes.is_empty() {
            return Err(corrupted("its length"));
        }
        builder.check_links()?;
        builder.renew_entry();
        Ok(builder)
    }

    fn load_rows(&mut self, reader: &mut Reader<'_>, head: &Head) -> Result<()> {
        let mut least = 0;
        for _ in 0..head.rows {
            let slot = reader.number()?;
            if slot < least || slot as usize >= head.slots {
                return Err(corrupted("a slot"));
            }
            least = slot + 1;
            self.make_room(slot);
            let row = reader.code(&self.graph)?;
            self.graph
                .codes()
                .write(slot, &row.codes, row.scale, row.bias);
            let links = reader.list()?;
            if links.len() > self.graph.links().capacity() {
                return Err(corrupted("the count of links"));
            }
            self.graph.links().write(slot, &links);
            for _ in 0..reader.number()?.min(FAN_OUT as u32 + 1) {
                let (leaf, distance) = (reader.number()?, f32::from_bits(reader.number()?));
                let own = &mut self.assignments[slot as usize];
                let twice = own.iter().any(|assignment| assignment.leaf == leaf);
                if twice
                    || leaf as usize >= head.leaders
                    || own.offer(leaf, distance) != Offer::Added
                {
                    return Err(corrupted("the leaves of a row"));
                }
            }
            if !self.contains(slot) {
                return Err(corrupted("a row without leaves"));
            }
        }
        self.live = head.rows;
        Ok(())
    }

    fn load_leaders(&mut self, reader: &mut Reader<'_>, head: Head) -> Result<()> {
        let mut leaders = Vec::new();
        let mut members = Vec::new();
        for leader in 0..head.leaders as LeaderNumber {
            let slot = reader.number()?;
            let code = reader.code(&self.graph)?;
            let threshold = Threshold::from_bits(reader.number()?);
            let split_above = reader.number()? as usize;
            let joining = self.joining(leader, &reader.list()?)?;
            if !self.contains(slot) {
                return Err(corrupted("a leader"));
            }
            leaders.push((slot, code));
            members.push(joining);
            let mut leaf = self.empty_leaf();
            leaf.restore(
                threshold.ok_or_else(|| corrupted("a threshold"))?,
                split_above,
            );
            self.leaves.push(leaf);
        }
        let visits: usize = self.assignments.iter().map(|own| own.iter().count()).sum();
        if visits != members.iter().map(Vec::len).sum::<usize>() {
            return Err(corrupted("the members of the leaves"));
        }
        let graph = &self.graph;
        let (kernels, dimension) = (graph.kernels(), graph.space().code_dimension());
        let restored = Leaders::restore(kernels, dimension, leaders, head.center, head.centered_at);
        let (workspaces, leaders) = (&self.workspaces, &restored);
        self.leaves
            .par_iter_mut()
            .zip(&members)
            .enumerate()
            .for_each(|(number, (leaf, joining))| {
                let leader = leaders.code(number as LeaderNumber);
                workspaces.with(|workspace| {
                    leaf.apply(graph, &leader, joining.iter().copied(), &mut workspace.leaf);
                });
            });
        self.leaders = restored;
        Ok(())
    }

    /// The members of a leaf as rows that join it; each must have the leaf among its own.
    fn joining(&self, leader: LeaderNumber, slots: &[Slot]) -> Result<Vec<(Slot, Change)>> {
        let member = |&slot: &Slot| {
            let mut own = self.assignments.get(slot as usize)?.iter();
            let assignment = own.find(|assignment| assignment.leaf == leader)?;
            Some((slot, Change::Join(assignment.distance)))
        };
        let joining: Option<Vec<_>> = slots.iter().map(member).collect();
        let mut sorted = slots.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let distinct = sorted.len() == slots.len();
        joining
            .filter(|_| distinct)
            .ok_or_else(|| corrupted("the members of a leaf"))
    }

    /// Checks that links lead to other rows, once each, and counts them.
    fn check_links(&self) -> Result<()> {
        let links = self.graph.links();
        for slot in (0..self.assignments.len() as Slot).filter(|&slot| self.contains(slot)) {
            let mut list: Vec<Slot> = links.list(slot).collect();
            self.count_added(list.iter().copied());
            let count = list.len();
            list.sort_unstable();
            list.dedup();
            let sound = list.iter().all(|&link| link != slot && self.contains(link));
            if !sound || list.len() != count {
                return Err(corrupted("the links of a row"));
            }
        }
        Ok(())
    }
}

/// The parameters that a saved graph must share with the one that it is loaded into.
fn parameters_of(graph: &Graph) -> [u32; 4] {
    let parameters = graph.parameters();
    let metric = match parameters.metric {
        Metric::Cosine => 0,
        Metric::Euclidean => 1,
        Metric::DotProduct => 2,
    };
    let (m, ef_construction) = (parameters.m as u32, parameters.ef_construction as u32);
    [parameters.dimension as u32, metric, m, ef_construction]
}

fn corrupted(what: &str) -> Error {
    Error::new(
        ErrorCode::Corrupted,
        format!("the saved graph is damaged: {what} does not fit"),
    )
    .with("section", "graph")
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

/// The head section, as far as it is not fixed by the graph.
struct Head {
    slots: usize,
    rows: usize,
    leaders: usize,
    centered_at: usize,
    center: CodeQuery,
    /// Of the first look, where there is one: the count of leaders at its making, and its center.
    look: Option<(usize, CodeQuery)>,
}

impl Head {
    fn read(reader: &mut Reader<'_>, graph: &Graph) -> Result<Head> {
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(corrupted("its first bytes"));
        }
        for parameter in parameters_of(graph) {
            if reader.number()? != parameter {
                return Err(corrupted("a parameter of the collection"));
            }
        }
        let bound = f32::from_bits(reader.number()?);
        if bound != 0.0 && !(bound > 0.0 && graph.space().restore_length_bound(bound)) {
            return Err(corrupted("the bound of lengths"));
        }
        let (slots, rows) = (reader.number()? as usize, reader.number()? as usize);
        let (leaders, centered_at) = (reader.number()? as usize, reader.number()? as usize);
        let looked_from = reader.number()? as usize;
        let center = reader.code(graph)?;
        let look = match looked_from {
            0 => None,
            _ => Some((looked_from, reader.code(graph)?)),
        };
        if slots > RECORDS_MAX || rows > slots || (rows == 0) != (leaders == 0) {
            return Err(corrupted("the count of rows"));
        }
        Ok(Head {
            slots,
            rows,
            leaders,
            centered_at,
            center,
            look,
        })
    }
}

/// What is left of the bytes.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or_else(|| corrupted("its length"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        let bytes = self
            .take(4)?
            .try_into()
            .map_err(|_| corrupted("its length"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn list(&mut self) -> Result<Vec<Slot>> {
        let count = self.number()? as usize;
        let bytes = self.take(count.saturating_mul(4))?;
        let (numbers, _) = bytes.as_chunks();
        Ok(numbers
            .iter()
            .map(|&bytes| u32::from_le_bytes(bytes))
            .collect())
    }

    fn code(&mut self, graph: &Graph) -> Result<CodeQuery> {
        let (scale, bias) = (
            f32::from_bits(self.number()?),
            f32::from_bits(self.number()?),
        );
        let codes = self.take(graph.codes().row_bytes())?;
        let codes = codes.iter().map(|code| code.cast_signed()).collect();
        Ok(CodeQuery { codes, scale, bias })
    }
}
