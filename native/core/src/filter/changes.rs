//! The changes of one batch to the index, gathered first and then made value by value.
//!
//! Rows come one by one, but the index is by value: row by row, every write would go all over it.
//! Gathered and sorted, the rows of a batch touch each path and each value once.

use std::collections::HashMap;

use serde_json::Value;

use super::index::{Block, FilterIndex, PathIndex};
use super::posting::{self, Posting};
use super::scalar;
use crate::batch::Metadata;
use crate::limits::FILTER_PATH_BYTES_MAX;
use crate::record::Slot;

/// What [`FilterIndex::apply`] is to do; later changes of a slot override earlier ones.
#[derive(Debug, Default)]
pub struct FilterChanges {
    paths: HashMap<Box<str>, PathChanges>,
    /// Where the walk over a row's metadata is.
    path: String,
}

/// The changes at one path.
#[derive(Debug, Default)]
struct PathChanges {
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

#[derive(Clone, Copy, Debug)]
struct ValueChange {
    /// The key's first bytes as a number of the same order: most comparisons end here.
    prefix: u64,
    /// Where in `keys` the key stands.
    start: usize,
    length: usize,
    change: Change,
}

impl FilterChanges {
    /// Adds a record's metadata; the slot has none before.
    pub fn insert(&mut self, slot: Slot, metadata: &Metadata) {
        self.record(slot, metadata, None, Edit::Insert);
    }

    /// Takes back exactly what `insert` did with the same slot and metadata.
    pub fn remove(&mut self, slot: Slot, metadata: &Metadata) {
        self.record(slot, metadata, None, Edit::Remove);
    }

    /// Puts one metadata in another's place; fields that both have alike cost nothing.
    pub fn replace(&mut self, slot: Slot, old: &Metadata, new: &Metadata) {
        self.record(slot, old, Some(new), Edit::Remove);
        self.record(slot, new, Some(old), Edit::Insert);
    }

    /// Takes a slot in or out everywhere that metadata leads to, but not in fields that `except`
    /// has alike.
    fn record(&mut self, slot: Slot, metadata: &Metadata, except: Option<&Metadata>, edit: Edit) {
        for (key, value) in metadata {
            if except.is_none_or(|except| except.get(key) != Some(value)) {
                self.member(key, value, false, Change { slot, edit });
            }
        }
    }

    /// Visits a member of the object at the current path. Paths that no filter can name, because
    /// of a dot in a key or of their length, are left out with all below them.
    fn member(&mut self, key: &str, value: &Value, listed: bool, change: Change) {
        if key.contains('.') || self.path.len() + key.len() > FILTER_PATH_BYTES_MAX {
            return;
        }
        let length = self.path.len();
        self.path.push_str(key);
        if !self.paths.contains_key(self.path.as_str()) {
            self.paths
                .insert(self.path.as_str().into(), PathChanges::default());
        }
        let listed = listed || value.is_array();
        if let Some(path) = self.paths.get_mut(self.path.as_str()) {
            path.present.push(change);
            if listed {
                path.listed.push(change);
            }
            path.value(value, change);
        }
        self.path.push('.');
        self.objects(value, listed, change);
        self.path.truncate(length);
    }

    /// Visits the objects that a value is or lists.
    fn objects(&mut self, value: &Value, listed: bool, change: Change) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    self.member(key, value, listed, change);
                }
            }
            Value::Array(list) => {
                for element in list {
                    self.objects(element, listed, change);
                }
            }
            _ => {}
        }
    }
}

impl PathChanges {
    /// Notes a value, or the values that it lists.
    fn value(&mut self, value: &Value, change: Change) {
        if let Value::Array(list) = value {
            for element in list {
                self.value(element, change);
            }
            return;
        }
        let start = self.keys.len();
        if scalar::append_key(value, &mut self.keys) {
            let key = &self.keys[start..];
            let mut prefix = [0; 8];
            let count = key.len().min(prefix.len());
            prefix[..count].copy_from_slice(&key[..count]);
            let prefix = u64::from_be_bytes(prefix);
            self.values.push(ValueChange {
                prefix,
                start,
                length: key.len(),
                change,
            });
        }
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
                .then(one.prefix.cmp(&other.prefix))
                .then_with(|| self.key(one).cmp(self.key(other)))
                .then(one.change.slot.cmp(&other.change.slot))
        });
        self.values = values;
    }

    fn apply(&mut self, path: &[u8], index: &mut FilterIndex) {
        self.sort();
        let (mut listed, mut values) = (&self.listed[..], &self.values[..]);
        for present in self.present.chunk_by(same_block) {
            let listed = split_block(&mut listed, &present[0], |change| change);
            let values = split_block(&mut values, &present[0], |value| &value.change);
            let block: &mut Block = index.block_mut(present[0].slot);
            block.update(path, |index: &mut PathIndex| {
                index.present.change(present);
                index.listed.change(listed);
                for same_key in values.chunk_by(|one, next| self.key(one) == self.key(next)) {
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
        for (path, mut changes) in changes.paths {
            changes.apply(path.as_bytes(), self);
        }
    }

    /// A batch of one [`FilterChanges::insert`].
    pub fn insert(&mut self, slot: Slot, metadata: &Metadata) {
        let mut changes = FilterChanges::default();
        changes.insert(slot, metadata);
        self.apply(changes);
    }

    /// A batch of one [`FilterChanges::remove`].
    pub fn remove(&mut self, slot: Slot, metadata: &Metadata) {
        let mut changes = FilterChanges::default();
        changes.remove(slot, metadata);
        self.apply(changes);
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
