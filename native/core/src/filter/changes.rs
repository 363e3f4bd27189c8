//! The changes of one batch to the index, gathered first and then made value by value.
//!
//! Rows come one by one, but the index is by value: row by row, every write would go all over it.
//! Gathered and sorted, the rows of a batch touch each path and each value once.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::index::{Block, FilterIndex, PathIndex};
use super::posting::{self, Posting};
use super::scalar::{self, Number};
use crate::limits::FILTER_PATH_BYTES_MAX;
use crate::metadata::{self, Key, Member};
use crate::record::Slot;

/// What [`FilterIndex::apply`] is to do; later changes of a slot override earlier ones.
#[derive(Debug, Default)]
pub struct FilterChanges {
    paths: Vec<PathChanges>,
    /// Where in `paths` each path stands.
    places: HashMap<Arc<str>, usize>,
    /// Where the next path probably stands.
    expected: usize,
    /// Where the walk over a row's metadata is.
    path: String,
}

/// The changes at one path.
#[derive(Debug)]
struct PathChanges {
    path: Arc<str>,
    /// The rows that have the path.
    present: Vec<Change>,
    /// Of these, the ones that may have several values.
    listed: Vec<Change>,
    values: Vec<ValueChange>,
    /// The keys of the values, end to end.
    keys: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Edit {
    Insert,
    Remove,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    slot: Slot,
    edit: Edit,
}

/// Bytes of a key's prefix.
const PREFIX_BYTES: usize = 16;

#[derive(Clone, Copy, Debug)]
struct ValueChange {
    /// The key's first bytes as a number of the same order: most comparisons end here.
    prefix: u128,
    /// Where in `keys` the key stands.
    start: usize,
    length: usize,
    change: Change,
}

impl FilterChanges {
    /// Adds a record's metadata, as it is stored; the slot has none before.
    pub fn insert(&mut self, slot: Slot, metadata: &[u8]) {
        let edit = Edit::Insert;
        self.walk(metadata, None, Change { slot, edit });
    }

    /// Takes back exactly what `insert` did with the same slot and metadata.
    pub fn remove(&mut self, slot: Slot, metadata: &[u8]) {
        let edit = Edit::Remove;
        self.walk(metadata, None, Change { slot, edit });
    }

    /// Puts one metadata in another's place; fields that both have alike cost next to nothing.
    pub fn replace(&mut self, slot: Slot, old: &[u8], new: &[u8]) {
        let (old, new) = (members_of(old), members_of(new));
        let mut rest = &new[..];
        for (key, value) in &old {
            let before = rest.partition_point(|(other, _)| other < key);
            let (added, same_or_above) = rest.split_at(before);
            self.members(
                added,
                Change {
                    slot,
                    edit: Edit::Insert,
                },
            );
            rest = same_or_above;
            match rest.split_first() {
                Some(((other, new), after)) if other == key => {
                    rest = after;
                    if value != new {
                        self.member(
                            key,
                            value,
                            Change {
                                slot,
                                edit: Edit::Remove,
                            },
                        );
                        self.member(
                            key,
                            new,
                            Change {
                                slot,
                                edit: Edit::Insert,
                            },
                        );
                    }
                }
                _ => self.member(
                    key,
                    value,
                    Change {
                        slot,
                        edit: Edit::Remove,
                    },
                ),
            }
        }
        self.members(
            rest,
            Change {
                slot,
                edit: Edit::Insert,
            },
        );
    }

    fn members(&mut self, members: &[Member<'_>], change: Change) {
        for (key, value) in members {
            self.member(key, value, change);
        }
    }

    /// Notes a member of the record's metadata with all that it leads to.
    fn member(&mut self, key: &str, value: &str, change: Change) {
        if let Some(path) = self.enter(key, false, change) {
            self.walk(value.as_bytes(), Some(path), change);
            self.leave(key);
        }
    }

    /// Notes what a JSON value at a path leads to; without a path, it is the record's metadata.
    fn walk(&mut self, json: &[u8], path: Option<usize>, change: Change) {
        let walk = Walk {
            changes: self,
            path,
            is_listed: false,
            change,
        };
        // Metadata is JSON: it was checked on its way into the log, and again when it was read.
        let _ = walk.deserialize(&mut serde_json::Deserializer::from_slice(json));
    }

    /// Steps into a member of the object at the current path, and notes that the record has it;
    /// `None` where no filter can name the path, because of a dot in the key or of its length:
    /// it is left out with all below it.
    fn enter(&mut self, key: &str, is_listed: bool, change: Change) -> Option<usize> {
        if key.contains('.') || self.path.len() + key.len() > FILTER_PATH_BYTES_MAX {
            return None;
        }
        self.path.push_str(key);
        let place = self.place();
        self.path.push('.');
        let path = &mut self.paths[place];
        path.present.push(change);
        if is_listed {
            path.listed.push(change);
        }
        Some(place)
    }

    fn leave(&mut self, key: &str) {
        self.path.truncate(self.path.len() - key.len() - 1);
    }

    /// Where the changes at the current path stand. Records tend to have the same fields in the
    /// same order, so the path that came next the last time comes first.
    fn place(&mut self) -> usize {
        let is_here = |path: &PathChanges| *path.path == *self.path;
        let expected = if self.expected < self.paths.len() {
            self.expected
        } else {
            0
        };
        let place = if self.paths.get(expected).is_some_and(is_here) {
            expected
        } else if let Some(&place) = self.places.get(self.path.as_str()) {
            place
        } else {
            let path: Arc<str> = self.path.as_str().into();
            self.places.insert(Arc::clone(&path), self.paths.len());
            self.paths.push(PathChanges::at(path));
            self.paths.len() - 1
        };
        self.expected = place + 1;
        place
    }
}

/// The members of metadata that is known to be JSON.
fn members_of(metadata: &[u8]) -> Vec<Member<'_>> {
    metadata::members(metadata).unwrap_or_default()
}

/// Walks over a JSON value as it is parsed, and notes paths and values on the way.
struct Walk<'c> {
    changes: &'c mut FilterChanges,
    /// The path that the value stands at.
    path: Option<usize>,
    /// The value was reached through a list.
    is_listed: bool,
    change: Change,
}

impl Walk<'_> {
    /// Notes a value under the key that is appended.
    fn value(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        if let Some(path) = self.path {
            self.changes.paths[path].value(append, self.change);
        }
    }

    fn number(&mut self, value: f64) {
        self.value(|key| scalar::append_number(Number::new(value), key));
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.value(scalar::append_null);
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.value(|key| scalar::append_boolean(value, key));
        Ok(())
    }

    fn visit_i64<E>(mut self, value: i64) -> Result<(), E> {
        self.number(value as f64);
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.number(value as f64);
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_str<E>(mut self, value: &str) -> Result<(), E> {
        self.value(|key| scalar::append_string(value, key));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let (Some(path), false) = (self.path, self.is_listed) {
            self.changes.paths[path].listed.push(self.change);
        }
        loop {
            let element = Walk {
                changes: self.changes,
                path: self.path,
                is_listed: true,
                change: self.change,
            };
            if list.next_element_seed(element)?.is_none() {
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = object.next_key()? {
            let Some(path) = self.changes.enter(&key, self.is_listed, self.change) else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            object.next_value_seed(Walk {
                changes: self.changes,
                path: Some(path),
                is_listed: self.is_listed,
                change: self.change,
            })?;
            self.changes.leave(&key);
        }
        Ok(())
    }
}

impl PathChanges {
    fn at(path: Arc<str>) -> Self {
        PathChanges {
            path,
            present: Vec::new(),
            listed: Vec::new(),
            values: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Notes a value under the key that is appended.
    fn value(&mut self, append: impl FnOnce(&mut Vec<u8>), change: Change) {
        let start = self.keys.len();
        append(&mut self.keys);
        let key = &self.keys[start..];
        let mut prefix = [0; PREFIX_BYTES];
        let count = key.len().min(prefix.len());
        prefix[..count].copy_from_slice(&key[..count]);
        self.values.push(ValueChange {
            prefix: u128::from_be_bytes(prefix),
            start,
            length: key.len(),
            change,
        });
    }

    /// Compares keys; those that fit their prefix are equal where prefix and length are.
    fn compare(&self, one: &ValueChange, other: &ValueChange) -> Ordering {
        one.prefix.cmp(&other.prefix).then_with(|| {
            if one.length.max(other.length) <= PREFIX_BYTES {
                one.length.cmp(&other.length)
            } else {
                self.key(one).cmp(self.key(other))
            }
        })
    }

    fn key(&self, value: &ValueChange) -> &[u8] {
        &self.keys[value.start..value.start + value.length]
    }

    /// Brings the changes into the order of blocks, keys and slots; those of one key and slot
    /// stay in the order in which they came.
    fn sort(&mut self) {
        let by_slot = |change: &Change| change.slot;
        self.present.sort_by_key(by_slot);
        self.listed.sort_by_key(by_slot);
        let mut values = std::mem::take(&mut self.values);
        values.sort_by(|one, other| {
            posting::base(one.change.slot)
                .cmp(&posting::base(other.change.slot))
                .then_with(|| self.compare(one, other))
                .then(one.change.slot.cmp(&other.change.slot))
        });
        self.values = values;
    }

    fn apply(&mut self, index: &mut FilterIndex) {
        self.sort();
        let (mut listed, mut values) = (&self.listed[..], &self.values[..]);
        for present in self.present.chunk_by(same_block) {
            let listed = split_block(&mut listed, &present[0], |change| change);
            let values = split_block(&mut values, &present[0], |value| &value.change);
            let block: &mut Block = index.block_mut(present[0].slot);
            block.update(self.path.as_bytes(), |index: &mut PathIndex| {
                index.present.change(present);
                index.listed.change(listed);
                for same_key in values.chunk_by(|one, next| self.compare(one, next).is_eq()) {
                    index.values.update(self.key(&same_key[0]), |posting| {
                        posting.change(same_key.iter().map(|value| &value.change));
                    });
                }
            });
        }
    }
}

impl FilterIndex {
    /// Makes all changes of a batch.
    pub fn apply(&mut self, changes: FilterChanges) {
        for mut path in changes.paths {
            path.apply(self);
        }
    }
}

impl Posting {
    fn change<'a>(&mut self, changes: impl IntoIterator<Item = &'a Change>) {
        for change in changes {
            match change.edit {
                Edit::Insert => self.insert(change.slot),
                Edit::Remove => self.remove(change.slot),
            }
        }
    }
}

fn same_block(one: &Change, other: &Change) -> bool {
    posting::base(one.slot) == posting::base(other.slot)
}

/// Takes what is of one block from the front of a sorted list.
fn split_block<'a, T>(
    list: &mut &'a [T],
    block: &Change,
    change: impl Fn(&T) -> &Change,
) -> &'a [T] {
    let count = list.partition_point(|one| same_block(change(one), block));
    let (front, rest) = list.split_at(count);
    *list = rest;
    front
}
