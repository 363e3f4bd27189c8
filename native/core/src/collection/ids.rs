//! From id to slot: a hash table whose clones are immutable views.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::cow::CowVec;
use crate::record::Slot;

const EMPTY: Slot = Slot::MAX;
const REMOVED: Slot = Slot::MAX - 1;
const CELLS_MIN: usize = 256;

/// The hash of an id: the same on every machine, for ever (it decides who leads a partition).
pub fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Upper half of the hash. Its low bits say where the search for the id begins, the others
    /// tell most cells of other ids apart without reading their id.
    tag: u32,
    slot: Slot,
}

/// Open addressing with linear probing over copy-on-write cells, and the id of every slot.
#[derive(Clone, Debug, Default)]
pub struct IdTable {
    cells: CowVec<Cell>,
    ids: CowVec<Arc<str>>,
    /// Cells that are not `EMPTY`: live ones and removed ones.
    used: usize,
}

impl IdTable {
    /// The slot of an id.
    pub fn find(&self, id: &str) -> Option<Slot> {
        let place = self.probe(tag(id), id).ok()?;
        self.cells.get(place).map(|cell| cell.slot)
    }

    /// The id that was last given to a slot.
    pub fn id(&self, slot: Slot) -> Option<&Arc<str>> {
        self.ids.get(slot as usize)
    }

    /// Asks for the place of a slot's id, which will soon be read.
    pub fn prefetch(&self, slot: Slot) {
        self.ids.prefetch(slot as usize);
    }

    /// Lets an id lead to a slot, which may be the next new one or one that was used before.
    pub fn insert(&mut self, id: &str, slot: Slot) {
        if (self.used + 1) * 10 > self.cells.len() * 7 {
            self.grow();
        }
        let tag = tag(id);
        let cell = Cell { tag, slot };
        let place = match self.probe(tag, id) {
            Ok(place) => place,
            Err(place) => {
                self.used += 1;
                place
            }
        };
        if let Some(entry) = self.cells.get_mut(place) {
            *entry = cell;
        }
        self.skip(slot);
        if let Some(entry) = self.ids.get_mut(slot as usize) {
            *entry = id.into();
        }
    }

    /// Makes sure that a slot has a place, if only without an id.
    pub fn skip(&mut self, slot: Slot) {
        while self.ids.len() <= slot as usize {
            self.ids.push("".into());
        }
    }

    /// Forgets an id; its slot keeps the name until it is given another.
    pub fn remove(&mut self, id: &str) {
        if let Ok(place) = self.probe(tag(id), id)
            && let Some(cell) = self.cells.get_mut(place)
        {
            cell.slot = REMOVED;
        }
    }

    /// The place of the id's cell, or the empty cell where the search for it ended.
    fn probe(&self, tag: u32, id: &str) -> Result<usize, usize> {
        let mask = self.cells.len().wrapping_sub(1);
        let mut place = tag as usize & mask;
        while let Some(cell) = self.cells.get(place) {
            if cell.slot == EMPTY {
                break;
            }
            let same = cell.tag == tag && cell.slot != REMOVED;
            if same && self.id(cell.slot).is_some_and(|other| &**other == id) {
                return Ok(place);
            }
            place = (place + 1) & mask;
        }
        Err(place)
    }

    /// Rebuilds the cells at twice the live count or more; removed cells go.
    fn grow(&mut self) {
        let live: Vec<Cell> = self
            .cells
            .iter()
            .filter(|cell| cell.slot < REMOVED)
            .copied()
            .collect();
        let count = ((live.len() + 1) * 2).next_power_of_two().max(CELLS_MIN);
        let mut cells = vec![
            Cell {
                tag: 0,
                slot: EMPTY
            };
            count
        ];
        for cell in &live {
            let mut place = cell.tag as usize & (count - 1);
            while cells[place].slot != EMPTY {
                place = (place + 1) & (count - 1);
            }
            cells[place] = *cell;
        }
        self.used = live.len();
        self.cells = cells.into_iter().collect();
    }
}

fn tag(id: &str) -> u32 {
    (id_hash(id) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_map_and_clones_do_not_change(
            steps in prop::collection::vec((0u16..600, any::<bool>()), 1..3000)
        ) {
            let (mut table, mut model) = (IdTable::default(), HashMap::new());
            let mut next = 0;
            let mut earlier = None;
            for (step, (key, insert)) in steps.iter().enumerate() {
                let id = format!("id-{key}");
                if *insert {
                    table.insert(&id, next);
                    model.insert(id, next);
                    next += 1;
                } else {
                    table.remove(&id);
                    model.remove(&id);
                }
                if step == steps.len() / 2 {
                    earlier = Some((table.clone(), model.clone()));
                }
            }
            for (table, model) in earlier.into_iter().chain([(table, model)]) {
                for key in 0..600 {
                    let id = format!("id-{key}");
                    prop_assert_eq!(table.find(&id), model.get(&id).copied());
                }
            }
        }
    }
}
