//! The slots of one value in one block.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ordered_map::{Entry, with_spare};
use crate::record::Slot;

/// Slots in a block; the slots of a block differ only in their low 16 bits. It is the span of one
/// container of a Roaring bitmap.
pub(super) const BLOCK: Slot = 1 << 16;

/// Slots that a posting holds in place.
const FEW: usize = 7;
/// Slots up to which a posting is a list: it is copied whole to be written to, and that is one
/// short copy.
pub(super) const LIST: usize = 256;
/// Slots for which a copied list has room.
const SPARE: usize = 4;

/// A set of slots of one block in 16 bytes, so that a value of one or a few records costs no
/// allocation, and one of some hundreds no bitmap.
///
/// `Few` exactly where there are at most [`FEW`], `List` where there are at most [`LIST`]. Both
/// keep low bits, which ascend; the unused ones of `Few` are 0.
#[derive(Clone, Debug)]
pub(super) enum Posting {
    Few { count: u8, lows: [u16; FEW] },
    List(Arc<Vec<u16>>),
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
    /// The posting of ascending low bits, at most [`LIST`].
    pub(super) fn from_lows(list: Vec<u16>) -> Posting {
        let mut lows = [0; FEW];
        match lows.get_mut(..list.len()) {
            Some(used) => {
                used.copy_from_slice(&list);
                Posting::Few {
                    count: list.len() as u8,
                    lows,
                }
            }
            None => Posting::List(Arc::new(list)),
        }
    }

    /// The posting of a bitmap of more than [`LIST`] slots of one block.
    pub(super) fn from_bitmap(bitmap: RoaringBitmap) -> Posting {
        Posting::Many(Arc::new(bitmap))
    }

    pub(super) fn insert(&mut self, slot: Slot) {
        match self {
            Posting::Few { count, lows } => {
                let (used, free) = lows.split_at_mut(usize::from(*count));
                let Err(place) = used.binary_search(&low(slot)) else {
                    return;
                };
                if free.is_empty() {
                    let mut list = with_spare(used, SPARE);
                    list.insert(place, low(slot));
                    *self = Posting::List(Arc::new(list));
                } else {
                    lows[place..=usize::from(*count)].rotate_right(1);
                    lows[place] = low(slot);
                    *count += 1;
                }
            }
            Posting::List(list) => {
                let Err(place) = list.binary_search(&low(slot)) else {
                    return;
                };
                if list.len() < LIST {
                    writable(list).insert(place, low(slot));
                } else {
                    let bitmap = slots(base(slot), list).chain([slot]).collect();
                    *self = Posting::from_bitmap(bitmap);
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
            Posting::List(list) => {
                let Ok(place) = list.binary_search(&low(slot)) else {
                    return;
                };
                let list = writable(list);
                list.remove(place);
                if list.len() <= FEW {
                    *self = Posting::from_lows(std::mem::take(list));
                }
            }
            Posting::Many(bitmap) => {
                let bitmap = Arc::make_mut(bitmap);
                bitmap.remove(slot);
                if bitmap.len() <= LIST as u64 {
                    *self = Posting::from_lows(bitmap.iter().map(low).collect());
                }
            }
        }
    }

    /// The slots that are also within a set, for the block that begins at `base`.
    pub(super) fn within(&self, base: Slot, set: &RoaringBitmap) -> RoaringBitmap {
        match self.content() {
            Content::Lows(lows) => slots(base, lows)
                .filter(|&slot| set.contains(slot))
                .collect(),
            Content::Bitmap(bitmap) => bitmap & set,
        }
    }

    /// Whether every slot is also in another posting of the block that begins at `base`.
    pub(super) fn is_subset(&self, base: Slot, other: &Posting) -> bool {
        match (self.content(), other.content()) {
            (Content::Bitmap(bitmap), Content::Bitmap(other)) => bitmap.is_subset(other),
            (Content::Bitmap(_), Content::Lows(_)) => false,
            (Content::Lows(lows), Content::Bitmap(other)) => {
                slots(base, lows).all(|slot| other.contains(slot))
            }
            (Content::Lows(lows), Content::Lows(other)) => {
                lows.iter().all(|low| other.binary_search(low).is_ok())
            }
        }
    }

    pub(super) fn content(&self) -> Content<'_> {
        match self {
            Posting::Few { count, lows } => Content::Lows(&lows[..usize::from(*count)]),
            Posting::List(list) => Content::Lows(list),
            Posting::Many(bitmap) => Content::Bitmap(bitmap),
        }
    }

    /// Heap bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        // Two counters stand before what is shared; a container's data is stored as in memory.
        const COUNTERS: usize = 16;
        const CONTAINER: usize = 32;
        match self {
            Posting::Few { .. } => 0,
            Posting::List(list) => COUNTERS + size_of::<Vec<u16>>() + list.capacity() * 2,
            Posting::Many(bitmap) => {
                let frame = COUNTERS + size_of::<RoaringBitmap>() + CONTAINER;
                frame + bitmap.serialized_size()
            }
        }
    }
}

/// The two forms in which a posting can be read.
pub(super) enum Content<'a> {
    /// Low bits, ascending; at most [`LIST`].
    Lows(&'a [u16]),
    /// More than that, as slots.
    Bitmap(&'a RoaringBitmap),
}

/// The list for writing, with room for more where it had to be copied.
fn writable(list: &mut Arc<Vec<u16>>) -> &mut Vec<u16> {
    if Arc::get_mut(list).is_none() {
        *list = Arc::new(with_spare(list, SPARE));
    }
    Arc::make_mut(list)
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
        match posting.content() {
            Content::Lows(lows) => lows.iter().for_each(|&low| self.set(low)),
            Content::Bitmap(bitmap) => bitmap.iter().for_each(|slot| self.set(low(slot))),
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
