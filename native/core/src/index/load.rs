//! A saved graph read back, and refused where it is not what was written; layout: [`super::save`].

use std::sync::Arc;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::assignments::{Assignments, FAN_OUT, Offer};
use super::builder::Builder;
use super::graph::Graph;
use super::leaders::{LeaderNumber, Leaders};
use super::leaf::Change;
use super::save::{MAGIC, parameters_of};
use super::survivors::Threshold;
use crate::error::{Error, ErrorCode, Result};
use crate::kernels::CodeQuery;
use crate::limits::RECORDS_MAX;
use crate::record::Slot;

const CHECKSUM_BYTES: usize = 8;

impl Builder {
    /// Makes the builder that was saved, and fills a new graph that has its parameters.
    ///
    /// Fails with `CORRUPTED` where the bytes are not what [`super::Frozen::save`] wrote for such a
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
                self.buried.push(slot);
            }
        }
        self.live = head.rows - self.buried.len();
        Ok(())
    }

    fn load_leaders(&mut self, reader: &mut Reader<'_>, head: Head) -> Result<()> {
        let mut leaders = Vec::new();
        let mut members = Vec::new();
        for _ in 0..head.leaders {
            let slot = reader.number()?;
            let code = reader.code(&self.graph)?;
            let threshold = Threshold::from_bits(reader.number()?);
            let split_above = reader.number()? as usize;
            let slots = reader.list()?;
            if !are_distinct(slots.clone()) {
                return Err(corrupted("the members of a leaf"));
            }
            if !self.contains(slot) {
                return Err(corrupted("a leader"));
            }
            leaders.push((slot, code));
            members.push(slots);
            let mut leaf = self.empty_leaf();
            leaf.restore(
                threshold.ok_or_else(|| corrupted("a threshold"))?,
                split_above,
            );
            self.leaves.push(leaf);
        }
        let graph = &self.graph;
        let (kernels, dimension) = (graph.kernels(), graph.space().code_dimension());
        let restored = Leaders::restore(kernels, dimension, leaders, head.center, head.centered_at);
        let (workspaces, leaders) = (&self.workspaces, &restored);
        let assignments = &self.assignments;
        self.leaves
            .par_iter_mut()
            .zip(&members)
            .enumerate()
            .for_each(|(number, (leaf, slots))| {
                let number = number as LeaderNumber;
                let leader = leaders.code(number);
                leaf.reserve(slots.len());
                workspaces.with(|workspace| {
                    let joining = joining(assignments, number, slots);
                    leaf.apply(graph, &leader, joining, &mut workspace.leaf);
                });
            });
        self.leaders = restored;
        // Only rows that have a leaf among their own have joined it.
        let listed: usize = members.iter().map(Vec::len).sum();
        let joined: usize = self.leaves.iter().map(|leaf| leaf.slots().len()).sum();
        let visits: usize = self.assignments.iter().map(|own| own.iter().count()).sum();
        if joined != listed || visits != listed {
            return Err(corrupted("the members of the leaves"));
        }
        Ok(())
    }

    /// Checks that links lead to other rows, once each, and counts them.
    fn check_links(&self) -> Result<()> {
        let links = self.graph.links();
        let is_row = |slot| self.contains(slot) || self.buried.binary_search(&slot).is_ok();
        for slot in (0..self.assignments.len() as Slot).filter(|&slot| is_row(slot)) {
            let list: Vec<Slot> = links.list(slot).collect();
            self.count_added(list.iter().copied());
            let sound = list.iter().all(|&link| link != slot && is_row(link));
            if !sound || !are_distinct(list) {
                return Err(corrupted("the links of a row"));
            }
        }
        Ok(())
    }
}

fn are_distinct(mut slots: Vec<Slot>) -> bool {
    let count = slots.len();
    slots.sort_unstable();
    slots.dedup();
    slots.len() == count
}

/// The rows of some that have a leaf among their own, as members that join it.
fn joining(
    assignments: &[Assignments],
    leaf: LeaderNumber,
    slots: &[Slot],
) -> impl Iterator<Item = (Slot, Change)> {
    slots.iter().filter_map(move |&slot| {
        let mut own = assignments.get(slot as usize)?.iter();
        let assignment = own.find(|assignment| assignment.leaf == leaf)?;
        Some((slot, Change::Join(assignment.distance)))
    })
}

fn corrupted(what: &str) -> Error {
    Error::new(
        ErrorCode::Corrupted,
        format!("the saved graph is damaged: {what} does not fit"),
    )
    .with("section", "graph")
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
        if slots > RECORDS_MAX || rows > slots || rows == 0 && leaders > 0 {
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
