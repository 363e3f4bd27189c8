//! The slots of one value in one block.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ordered_map::Entry;
use crate::record::Slot;

/// Slots in a block; the slots of a block differ only in their low 16 bits. It is the span of one
/// container of a Roaring bitmap.
pub(super) const BLOCK: Slot = 1 << 16;

/// Slots that a posting holds in place.
pub(super) const FEW: usize = 7;

/// A set of slots of one block in 16 bytes, so that a value of one or a few records costs no
/// bitmap.
///
/// `Few` exactly where there are at most [`FEW`]; it keeps their low bits, which ascend, and
/// unused ones are 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Posting {
    Few { count: u8, lows: [u16; FEW] },
    Many(Arc<RoaringBitmap>),
}

const _: () = assert!(size_of::<Posting>() == 16);

impl Default for Posting {
    fn default() -> Self {
        Posting::Few {
            count: 0,
            lows: [0; FEW],
        }
    }
}

impl Entry for Posting {
    fn is_empty(&self) -> bool {
        matches!(self, Posting::Few { count: 0, .. })
    }
}

impl Posting {
    /// The posting of ascending low bits, at most [`FEW`].
    pub(super) fn few(few: &[u16]) -> Posting {
        let mut lows = [0; FEW];
        lows[..few.len()].copy_from_slice(few);
        Posting::Few {
            count: few.len() as u8,
            lows,
        }
    }

    /// The posting of a bitmap of one block.
    pub(super) fn from_bitmap(bitmap: RoaringBitmap) -> Posting {
        if bitmap.len() > FEW as u64 {
            Posting::Many(Arc::new(bitmap))
        } else {
            Posting::few(&bitmap.iter().map(low).collect::<Vec<u16>>())
        }
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        match self {
            Posting::Few { count, lows } => {
                let (used, free) = lows.split_at_mut(usize::from(*count));
                let Err(place) = used.binary_search(&low(slot)) else {
                    return;
                };
                if free.is_empty() {
                    let bitmap = slots(base(slot), used).chain([slot]).collect();
                    *self = Posting::Many(Arc::new(bitmap));
                } else {
                    lows[place..=usize::from(*count)].rotate_right(1);
                    lows[place] = low(slot);
                    *count += 1;
                }
            }
            Posting::Many(bitmap) => {
                Arc::make_mut(bitmap).insert(slot);
            }
        }
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        match self {
            Posting::Few { count, lows } => {
                let used = &mut lows[..usize::from(*count)];
                let Ok(place) = used.binary_search(&low(slot)) else {
                    return;
                };
                used[place..].rotate_left(1);
                *count -= 1;
                lows[usize::from(*count)] = 0;
            }
            Posting::Many(bitmap) => {
                let bitmap = Arc::make_mut(bitmap);
                bitmap.remove(slot);
                if bitmap.len() <= FEW as u64 {
                    *self = Posting::from_bitmap(std::mem::take(bitmap));
                }
            }
        }
    }

    /// The slots that are also within a set, for the block that begins at `base`.
    pub(super) fn within(&self, base: Slot, set: &RoaringBitmap) -> RoaringBitmap {
        match self {
            Posting::Few { .. } => slots(base, self.lows())
                .filter(|&slot| set.contains(slot))
                .collect(),
            Posting::Many(bitmap) => &**bitmap & set,
        }
    }

    /// Whether every slot is also in another posting of the block that begins at `base`.
    pub(super) fn is_subset(&self, base: Slot, other: &Posting) -> bool {
        match (self, other) {
            (Posting::Many(bitmap), Posting::Many(other)) => bitmap.is_subset(other),
            (Posting::Many(_), Posting::Few { .. }) => false,
            (Posting::Few { .. }, Posting::Many(other)) => {
                slots(base, self.lows()).all(|slot| other.contains(slot))
            }
            _ => self.lows().iter().all(|low| other.lows().contains(low)),
        }
    }

    /// The low bits of a `Few`; none of a `Many`.
    pub(super) fn lows(&self) -> &[u16] {
        match self {
            Posting::Few { count, lows } => &lows[..usize::from(*count)],
            Posting::Many(_) => &[],
        }
    }

    /// Heap bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        // The counters, the bitmap and its one container stand before the container's data, which
        // is stored as it is in memory.
        const FRAME: usize = 16 + size_of::<RoaringBitmap>() + 32;
        match self {
            Posting::Few { .. } => 0,
            Posting::Many(bitmap) => FRAME + bitmap.serialized_size(),
        }
    }
}

/// The union of many postings of one block, within a set.
pub(super) struct Union<'a> {
    base: Slot,
    within: &'a RoaringBitmap,
    /// One bit for each slot of the block.
    bits: Vec<u8>,
}

impl<'a> Union<'a> {
    /// An empty union for the block that begins at `base`.
    pub(super) fn new(base: Slot, within: &'a RoaringBitmap) -> Self {
        Union {
            base,
            within,
            bits: vec![0; BLOCK as usize / 8],
        }
    }

    pub(super) fn add(&mut self, posting: &Posting) {
        match posting {
            Posting::Few { .. } => posting.lows().iter().for_each(|&low| self.set(low)),
            Posting::Many(bitmap) => bitmap.iter().for_each(|slot| self.set(low(slot))),
        }
    }

    pub(super) fn finish(self) -> RoaringBitmap {
        RoaringBitmap::from_lsb0_bytes(self.base, &self.bits) & self.within
    }

    fn set(&mut self, low: u16) {
        self.bits[usize::from(low) / 8] |= 1 << (low % 8);
    }
}

/// The first slot of a slot's block.
pub(super) fn base(slot: Slot) -> Slot {
    slot & !(BLOCK - 1)
}

fn low(slot: Slot) -> u16 {
    (slot & (BLOCK - 1)) as u16
}

fn slots(base: Slot, lows: &[u16]) -> impl Iterator<Item = Slot> {
    lows.iter().map(move |&low| base | Slot::from(low))
}
