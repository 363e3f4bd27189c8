//! The bitmaps behind filters, kept as records come and go.

use std::ops::Bound;

use roaring::RoaringBitmap;

use super::condition::{Comparison, Condition, Filter};
use super::ordered_map::{Entry, OrderedMap};
use super::posting::{BLOCK, Posting, Union};
use super::scalar::{self, Scalar};
use crate::record::Slot;

/// For every path and value of metadata, the slots that have it.
///
/// It is changed by [`FilterIndex::apply`]. A clone costs one pointer for each [`BLOCK`] of slots and is an immutable view from then on.
/// The first write after it to a part copies that part: nodes of at most 32 values, and the
/// bitmaps that are written to, each once however many rows are written before the next clone.
/// Blocks know nothing of each other, so that a commit of new records copies no more in a large
/// collection than in a small one. A value that no record has any more is removed at once, and
/// its memory goes with the last view that shows it.
#[derive(Clone, Debug, Default)]
pub struct FilterIndex {
    pub(super) blocks: Vec<Block>,
}

/// The index of the metadata of [`BLOCK`] slots that follow each other: their paths.
pub(super) type Block = OrderedMap<PathIndex>;

/// What is known of one path.
#[derive(Clone, Debug, Default)]
pub(super) struct PathIndex {
    /// Slots where the path is there.
    pub(super) present: Posting,
    /// Of these, the ones that reach a value through a list, so that they may have several.
    pub(super) listed: Posting,
    /// Slots by key of value.
    pub(super) values: OrderedMap<Posting>,
}

impl Entry for PathIndex {
    fn is_empty(&self) -> bool {
        self.present.is_empty()
    }
}

impl FilterIndex {
    /// The slots among `alive` whose metadata the filter holds for: exactly those for which
    /// [`Filter::matches`] is true.
    pub fn evaluate(&self, filter: &Filter, alive: &RoaringBitmap) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        let Some(last) = alive.max() else {
            return found;
        };
        let empty = Block::default();
        for number in 0..=last / BLOCK {
            let base = number * BLOCK;
            let mut within = RoaringBitmap::new();
            within.insert_range(base..=base | (BLOCK - 1));
            within &= alive;
            if !within.is_empty() {
                // A block without metadata is there for conditions that hold where a field is not.
                let block = self.blocks.get(number as usize).unwrap_or(&empty);
                found |= Search { block, base }.holds(&filter.root, &within);
            }
        }
        found
    }

    /// Heap bytes, about. It walks over all distinct values: some milliseconds for a million.
    pub fn memory_bytes(&self) -> usize {
        let of_path = |path: &PathIndex| {
            path.present.memory_bytes()
                + path.listed.memory_bytes()
                + path.values.memory_bytes(&Posting::memory_bytes)
        };
        let blocks: usize = self
            .blocks
            .iter()
            .map(|block| block.memory_bytes(&of_path))
            .sum();
        blocks + self.blocks.capacity() * size_of::<Block>()
    }

    /// The block of a slot, made where there is none.
    pub(super) fn block_mut(&mut self, slot: Slot) -> &mut Block {
        let number = (slot / BLOCK) as usize;
        if self.blocks.len() <= number {
            self.blocks.resize_with(number + 1, Block::default);
        }
        &mut self.blocks[number]
    }
}

/// The evaluation of a filter in one block.
struct Search<'a> {
    block: &'a Block,
    /// First slot of the block.
    base: Slot,
}

impl Search<'_> {
    /// The slots within a set that a condition holds for.
    fn holds(&self, condition: &Condition, within: &RoaringBitmap) -> RoaringBitmap {
        match condition {
            Condition::All(conditions) => self.all(conditions, within),
            Condition::Any(conditions) => {
                let mut any = RoaringBitmap::new();
                for inner in conditions {
                    any |= self.holds(inner, within);
                }
                any
            }
            Condition::Not(inner) => within - self.holds(inner, within),
            Condition::Exists { path } => self.path(path).map_or_else(RoaringBitmap::new, |path| {
                path.present.within(self.base, within)
            }),
            Condition::In { path, values } => self.one_of(path, values, within),
            Condition::Compare {
                path,
                comparison,
                operand,
            } => {
                let range = KeyRange::of(*comparison, operand);
                self.path(path)
                    .map_or_else(RoaringBitmap::new, |path| self.range(path, &range, within))
            }
        }
    }

    fn path(&self, path: &str) -> Option<&PathIndex> {
        self.block.get(path.as_bytes())
    }

    fn one_of(&self, path: &str, values: &[Scalar], within: &RoaringBitmap) -> RoaringBitmap {
        let Some(path) = self.path(path) else {
            return RoaringBitmap::new();
        };
        let mut key = Vec::new();
        let mut postings = values.iter().filter_map(|value| {
            value.write_key(&mut key);
            path.values.get(&key)
        });
        let Some(first) = postings.next() else {
            return RoaringBitmap::new();
        };
        let Some(second) = postings.next() else {
            return first.within(self.base, within);
        };
        let mut union = Union::new(self.base, within);
        union.add(first);
        union.add(second);
        postings.for_each(|posting| union.add(posting));
        union.finish()
    }

    /// Each condition looks only at what the ones before it left.
    fn all(&self, conditions: &[Condition], within: &RoaringBitmap) -> RoaringBitmap {
        let mut left: Option<RoaringBitmap> = None;
        let mut rest = conditions;
        while let Some((condition, after)) = rest.split_first() {
            rest = after;
            let within = left.as_ref().unwrap_or(within);
            if within.is_empty() {
                break;
            }
            let window = rest.first().and_then(|next| Window::of(condition, next));
            left = Some(match window {
                Some(window) => {
                    rest = &rest[1..];
                    self.window(&window, within)
                }
                None => self.holds(condition, within),
            });
        }
        left.unwrap_or_else(|| within.clone())
    }

    /// The slots within a set that have a value above the window's lower bound, and one below its
    /// upper bound. For a record with one value that is a value inside, so that a narrow window
    /// costs no more than what is in it; only lists need a look at both sides.
    fn window(&self, window: &Window, within: &RoaringBitmap) -> RoaringBitmap {
        let Some(path) = self.path(window.path) else {
            return RoaringBitmap::new();
        };
        let Window { above, below, .. } = window;
        let inside = KeyRange {
            lower: above.lower.clone(),
            upper: below.upper.clone(),
        };
        let mut slots = self.range(path, &inside, within);
        let listed = path.listed.within(self.base, within);
        if !listed.is_empty() {
            slots |= self.range(path, below, &self.range(path, above, &listed));
        }
        slots
    }

    /// The slots within a set that have some value in a range.
    fn range(&self, path: &PathIndex, range: &KeyRange, within: &RoaringBitmap) -> RoaringBitmap {
        let mut union = Union::new(self.base, within);
        let lower = range.lower.as_ref().map(Vec::as_slice);
        let upper = range.upper.as_ref().map(Vec::as_slice);
        path.values
            .for_each_in(lower, upper, &mut |_, posting| union.add(posting));
        union.finish()
    }
}

/// Two comparisons that close a range of one path and type from both sides.
struct Window<'a> {
    path: &'a str,
    above: KeyRange,
    below: KeyRange,
}

impl Window<'_> {
    /// The window of two conditions that follow each other in canonical order, if they are one.
    fn of<'a>(first: &'a Condition, second: &Condition) -> Option<Window<'a>> {
        let Condition::Compare {
            path,
            comparison: above,
            operand: least,
        } = first
        else {
            return None;
        };
        let Condition::Compare {
            path: other,
            comparison: below,
            operand: most,
        } = second
        else {
            return None;
        };
        let same_type = std::mem::discriminant(least) == std::mem::discriminant(most);
        let closed = above.is_above() && !below.is_above();
        (path == other && same_type && closed).then(|| Window {
            path,
            above: KeyRange::of(*above, least),
            below: KeyRange::of(*below, most),
        })
    }
}

/// A stretch of keys of one type.
struct KeyRange {
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
}

impl KeyRange {
    fn of(comparison: Comparison, operand: &Scalar) -> KeyRange {
        let mut key = Vec::new();
        operand.write_key(&mut key);
        let first = key.first().copied().unwrap_or(scalar::NUMBER);
        let (start, end) = (
            Bound::Included(vec![first]),
            Bound::Excluded(vec![first + 1]),
        );
        match comparison {
            Comparison::Greater => KeyRange {
                lower: Bound::Excluded(key),
                upper: end,
            },
            Comparison::GreaterOrEqual => KeyRange {
                lower: Bound::Included(key),
                upper: end,
            },
            Comparison::Less => KeyRange {
                lower: start,
                upper: Bound::Excluded(key),
            },
            Comparison::LessOrEqual => KeyRange {
                lower: start,
                upper: Bound::Included(key),
            },
        }
    }
}
