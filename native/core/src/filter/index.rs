//! The bitmaps behind filters, kept as records come and go.

use std::ops::Bound;

use roaring::RoaringBitmap;
use serde_json::Value;

use super::condition::{Comparison, Condition, Filter};
use super::ordered_map::{Entry, OrderedMap};
use super::posting::{Posting, Union};
use super::scalar::{self, Scalar};
use crate::batch::Metadata;
use crate::limits::FILTER_PATH_BYTES_MAX;
use crate::record::Slot;

/// For every path and value of metadata, the slots that have it.
///
/// A clone costs one pointer and is an immutable view from then on; the first write after it to a
/// part copies that part: nodes of at most 64 values, and the bitmaps that are written to, each
/// once however many rows are written before the next clone. A value that no record has any more
/// is removed at once, and its memory goes with the last view that shows it.
#[derive(Clone, Debug, Default)]
pub struct FilterIndex {
    pub(super) paths: OrderedMap<PathIndex>,
}

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
    /// Adds a record's metadata; the slot has none before.
    pub fn insert(&mut self, slot: Slot, metadata: &Metadata) {
        self.change(slot, metadata, None, Posting::insert);
    }

    /// Takes back exactly what `insert` did with the same slot and metadata.
    pub fn remove(&mut self, slot: Slot, metadata: &Metadata) {
        self.change(slot, metadata, None, Posting::remove);
    }

    /// Puts one metadata in another's place; fields that both have alike cost nothing.
    pub fn replace(&mut self, slot: Slot, old: &Metadata, new: &Metadata) {
        self.change(slot, old, Some(new), Posting::remove);
        self.change(slot, new, Some(old), Posting::insert);
    }

    /// The slots among `alive` whose metadata the filter holds for: exactly those for which
    /// [`Filter::matches`] is true.
    pub fn evaluate(&self, filter: &Filter, alive: &RoaringBitmap) -> RoaringBitmap {
        self.holds(&filter.root, alive)
    }

    /// Heap bytes, about; the walk over all distinct values takes some milliseconds a million.
    pub fn memory_bytes(&self) -> usize {
        self.paths.memory_bytes(&|path| {
            path.present.memory_bytes()
                + path.listed.memory_bytes()
                + path.values.memory_bytes(&Posting::memory_bytes)
        })
    }

    /// Inserts or removes a slot everywhere that metadata leads to, but not in fields that
    /// `except` has alike.
    fn change(
        &mut self,
        slot: Slot,
        metadata: &Metadata,
        except: Option<&Metadata>,
        edit: fn(&mut Posting, Slot),
    ) {
        let walk = &mut Walk {
            index: self,
            slot,
            edit,
            path: String::new(),
            key: Vec::new(),
        };
        for (key, value) in metadata {
            if except.is_none_or(|except| except.get(key) != Some(value)) {
                walk.member(key, value, false);
            }
        }
    }
}

/// One walk over the metadata of one slot.
struct Walk<'a> {
    index: &'a mut FilterIndex,
    slot: Slot,
    edit: fn(&mut Posting, Slot),
    /// Where the walk is.
    path: String,
    key: Vec<u8>,
}

impl Walk<'_> {
    /// Visits a member of the object at the current path. Paths that no filter can name, because
    /// of a dot in a key or of their length, are left out with all below them.
    fn member(&mut self, key: &str, value: &Value, listed: bool) {
        if key.contains('.') || self.path.len() + key.len() > FILTER_PATH_BYTES_MAX {
            return;
        }
        let length = self.path.len();
        self.path.push_str(key);
        let listed = listed || value.is_array();
        let Walk {
            index,
            slot,
            edit,
            path,
            key,
        } = self;
        index.paths.update(path.as_bytes(), |path| {
            edit(&mut path.present, *slot);
            if listed {
                edit(&mut path.listed, *slot);
            }
            path.change(value, key, &mut |posting| edit(posting, *slot));
        });
        self.path.push('.');
        self.objects(value, listed);
        self.path.truncate(length);
    }

    /// Visits the objects that a value is or lists.
    fn objects(&mut self, value: &Value, listed: bool) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    self.member(key, value, listed);
                }
            }
            Value::Array(list) => {
                for element in list {
                    self.objects(element, listed);
                }
            }
            _ => {}
        }
    }
}

impl PathIndex {
    fn change(&mut self, value: &Value, key: &mut Vec<u8>, edit: &mut impl FnMut(&mut Posting)) {
        if let Value::Array(list) = value {
            for element in list {
                self.change(element, key, edit);
            }
        } else if scalar::write_value_key(value, key) {
            self.values.update(key, edit);
        }
    }
}

impl FilterIndex {
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
            Condition::Exists { path } => self
                .path(path)
                .map_or_else(RoaringBitmap::new, |path| path.present.within(within)),
            Condition::In { path, values } => self.one_of(path, values, within),
            Condition::Compare {
                path,
                comparison,
                operand,
            } => {
                let range = KeyRange::of(*comparison, operand);
                self.path(path)
                    .map_or_else(RoaringBitmap::new, |path| path.range(&range, within))
            }
        }
    }

    fn path(&self, path: &str) -> Option<&PathIndex> {
        self.paths.get(path.as_bytes())
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
            return first.within(within);
        };
        let mut union = Union::new(within);
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
        let mut slots = path.range(&inside, within);
        let listed = path.listed.within(within);
        if !listed.is_empty() {
            slots |= path.range(below, &path.range(above, &listed));
        }
        slots
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

impl PathIndex {
    /// The slots within a set that have some value in a range.
    fn range(&self, range: &KeyRange, within: &RoaringBitmap) -> RoaringBitmap {
        let mut union = Union::new(within);
        let (lower, upper) = (range.lower.as_ref(), range.upper.as_ref());
        let (lower, upper) = (lower.map(Vec::as_slice), upper.map(Vec::as_slice));
        self.values
            .for_each_in(lower, upper, &mut |_, posting| union.add(posting));
        union.finish()
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
