//! The slots of one value.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ordered_map::Entry;
use crate::limits::RECORDS_MAX;
use crate::record::Slot;

/// Slots that a posting holds in place.
pub(super) const FEW: usize = 3;

/// A set of slots in 16 bytes, so that a value of one or a few records costs no bitmap.
///
/// `Few` exactly where there are at most [`FEW`]; its slots ascend, unused ones are 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Posting {
    Few { count: u8, slots: [Slot; FEW] },
    Many(Arc<RoaringBitmap>),
}

impl Default for Posting {
    fn default() -> Self {
        Posting::Few {
            count: 0,
            slots: [0; FEW],
        }
    }
}

impl Entry for Posting {
    fn is_empty(&self) -> bool {
        matches!(self, Posting::Few { count: 0, .. })
    }
}

impl Posting {
    /// The posting of ascending slots, at most [`FEW`].
    pub(super) fn few(few: &[Slot]) -> Posting {
        let mut slots = [0; FEW];
        slots[..few.len()].copy_from_slice(few);
        Posting::Few {
            count: few.len() as u8,
            slots,
        }
    }

    /// The posting of a bitmap.
    pub(super) fn from_bitmap(bitmap: RoaringBitmap) -> Posting {
        if bitmap.len() > FEW as u64 {
            Posting::Many(Arc::new(bitmap))
        } else {
            Posting::few(&bitmap.iter().collect::<Vec<Slot>>())
        }
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        match self {
            Posting::Few { count, slots } => {
                let (used, free) = slots.split_at_mut(usize::from(*count));
                let Err(place) = used.binary_search(&slot) else {
                    return;
                };
                if free.is_empty() {
                    let bitmap = used.iter().copied().chain([slot]).collect();
                    *self = Posting::Many(Arc::new(bitmap));
                } else {
                    slots[place..].rotate_right(1);
                    slots[place] = slot;
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
            Posting::Few { count, slots } => {
                let used = &mut slots[..usize::from(*count)];
                let Ok(place) = used.binary_search(&slot) else {
                    return;
                };
                used[place..].rotate_left(1);
                *count -= 1;
                slots[usize::from(*count)] = 0;
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

    /// The slots that are also within a set.
    pub(super) fn within(&self, set: &RoaringBitmap) -> RoaringBitmap {
        match self {
            Posting::Few { .. } => self
                .few_slots()
                .iter()
                .filter(|&&s| set.contains(s))
                .collect(),
            Posting::Many(bitmap) => &**bitmap & set,
        }
    }

    /// Whether every slot is also in the other posting.
    pub(super) fn is_subset(&self, other: &Posting) -> bool {
        match (self, other) {
            (Posting::Many(one), Posting::Many(other)) => one.is_subset(other),
            (Posting::Many(_), Posting::Few { .. }) => false,
            _ => self.few_slots().iter().all(|&slot| other.contains(slot)),
        }
    }

    fn contains(&self, slot: Slot) -> bool {
        match self {
            Posting::Few { .. } => self.few_slots().contains(&slot),
            Posting::Many(bitmap) => bitmap.contains(slot),
        }
    }

    /// The slots of a `Few`; none of a `Many`.
    pub(super) fn few_slots(&self) -> &[Slot] {
        match self {
            Posting::Few { count, slots } => &slots[..usize::from(*count)],
            Posting::Many(_) => &[],
        }
    }

    /// Heap bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Posting::Few { .. } => 0,
            Posting::Many(bitmap) => {
                // The stored form is that of memory, but for the frame of each container.
                let containers = bitmap.statistics().n_containers as usize;
                bitmap.serialized_size() + containers * 32 + size_of::<RoaringBitmap>() + 32
            }
        }
    }
}

/// The union of many postings, within a set.
pub(super) struct Union<'a> {
    within: &'a RoaringBitmap,
    /// Slots of small postings, in any order.
    slots: Vec<Slot>,
    /// Union of the large ones.
    bitmap: RoaringBitmap,
}

/// Below this many slots a posting is added slot by slot.
const SMALL: u64 = 256;

impl<'a> Union<'a> {
    pub(super) fn new(within: &'a RoaringBitmap) -> Self {
        Union {
            within,
            slots: Vec::new(),
            bitmap: RoaringBitmap::new(),
        }
    }

    pub(super) fn add(&mut self, posting: &Posting) {
        match posting {
            Posting::Few { .. } => self.slots.extend_from_slice(posting.few_slots()),
            Posting::Many(bitmap) if bitmap.len() <= SMALL => self.slots.extend(bitmap.iter()),
            Posting::Many(bitmap) => self.bitmap |= &**bitmap,
        }
    }

    pub(super) fn finish(self) -> RoaringBitmap {
        let Some(last) = self.within.max() else {
            return RoaringBitmap::new();
        };
        let bytes = last as usize / 8 + 1;
        // Setting bits beats sorting once there is about one slot in every few bytes.
        let dense = self.slots.len() > bytes / 16 && (last as usize) < RECORDS_MAX;
        let mut union = if dense {
            let mut bits = vec![0u8; bytes];
            for slot in self.slots {
                if let Some(byte) = bits.get_mut(slot as usize / 8) {
                    *byte |= 1 << (slot % 8);
                }
            }
            RoaringBitmap::from_lsb0_bytes(0, &bits)
        } else {
            let mut slots = self.slots;
            slots.sort_unstable();
            slots.into_iter().collect()
        };
        union |= self.bitmap;
        union &= self.within;
        union
    }
}
