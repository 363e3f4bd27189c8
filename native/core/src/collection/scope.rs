//! Which records of a snapshot a query may return.

use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::snapshot::Snapshot;
use crate::filter::Filter;
use crate::index::TailPanels;
use crate::record::Slot;

/// The records that a query may return.
pub(super) struct Scope {
    pub count: usize,
    /// `None` = every live record.
    pub allowed: Option<Allowed>,
    /// Those in the tail: the graph does not lead to them.
    pub tail: Vec<Slot>,
    /// The tail as signs, where so many queries ask that those pay.
    pub panels: Option<TailPanels>,
    /// All of them, made where they are few or the graph found too little.
    slots: OnceLock<Vec<Slot>>,
}

pub(super) struct Allowed {
    bitmap: RoaringBitmap,
    pub bitset: Vec<u64>,
}

impl Scope {
    /// Every live record.
    pub fn everything(snapshot: &Snapshot) -> Self {
        let tail = snapshot.tail.iter().map(|row| row.slot);
        Scope {
            count: snapshot.count() as usize,
            allowed: None,
            tail: tail.filter(|slot| snapshot.is_alive(*slot)).collect(),
            panels: None,
            slots: OnceLock::new(),
        }
    }

    /// Those that pass a filter.
    pub fn filtered(snapshot: &Snapshot, filter: &Filter) -> Self {
        let bitmap = snapshot.filters.evaluate(filter, &snapshot.alive);
        let mut bitset = vec![0u64; snapshot.slots.len().div_ceil(64)];
        for slot in &bitmap {
            bitset[slot as usize / 64] |= 1 << (slot % 64);
        }
        let tail = snapshot.tail.iter().map(|row| row.slot);
        Scope {
            count: bitmap.len() as usize,
            tail: tail.filter(|slot| bitmap.contains(*slot)).collect(),
            panels: None,
            allowed: Some(Allowed { bitmap, bitset }),
            slots: OnceLock::new(),
        }
    }

    /// Its records, all of them.
    pub fn slots(&self, snapshot: &Snapshot) -> &[Slot] {
        self.slots.get_or_init(|| match &self.allowed {
            Some(allowed) => allowed.bitmap.iter().collect(),
            None => snapshot.alive.iter().collect(),
        })
    }
}
