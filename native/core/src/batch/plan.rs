//! What a batch does to the records: pure, so that a preview and the real run cannot differ.
//!
//! Operations run in list order on an overlay of the collection ([`Draft`]): each sees what the
//! ones before it left, and every id folds to at most one action. A *unit* stands or falls as a
//! whole: the batch where it is atomic, else a group, else one operation. A failed unit is undone
//! on the overlay; nothing else has seen it.

use super::draft::Draft;
use super::{Checked, Outcome, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::record::{Sequence, Slot};

/// The records that a batch is planned against.
pub trait State {
    /// The live record with this id.
    fn find(&self, id: &str) -> Option<Existing>;

    /// The metadata of a live record, as it is stored.
    ///
    /// # Errors
    /// `CORRUPTED` where it cannot be read; the operation that needs it fails with that.
    fn metadata(&self, slot: Slot) -> Result<Vec<u8>>;
}

/// Where a live record stands, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its row.
    pub slot: Slot,
    /// The batch that last wrote it.
    pub version: Sequence,
}

/// What a batch does, decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// One per operation, in request order.
    pub outcomes: Vec<Outcome>,
    /// At most one per id, in the order in which the ids were first written; empty = no commit.
    pub actions: Vec<Action>,
}

impl Plan {
    /// Whether there is anything to commit.
    pub fn commits(&self) -> bool {
        !self.actions.is_empty()
    }
}

/// What becomes of one record; it points into the request instead of copying from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The record has a new vector, and all else with it.
    Store {
        /// Index of the operation that names the id.
        id_of: usize,
        /// Index of the operation whose vector it is: the given one or its text's embedding.
        vector_of: usize,
        /// Index of the operation whose text it is; `None` = the record has no text.
        text_of: Option<usize>,
        /// The record's whole metadata.
        metadata: NewMetadata,
        /// The version that it takes the place of.
        previous: Option<Previous>,
    },
    /// Only the metadata is new; vector, text and slot stay.
    Attributes {
        /// Index of the operation that names the id.
        id_of: usize,
        /// The record's whole metadata.
        metadata: NewMetadata,
        /// The version as it was.
        previous: Previous,
    },
    /// The record is no more.
    Delete {
        /// Index of the operation that names the id.
        id_of: usize,
        /// The version that was the last one.
        previous: Previous,
    },
}

/// A record's metadata after the batch.
#[derive(Clone, Debug, PartialEq)]
pub enum NewMetadata {
    /// As this operation gives it, whole; `{}` where it gives none.
    Given(usize),
    /// Merged from what was there and what the batch gives, or kept: compact JSON.
    Made(Vec<u8>),
}

/// The version of a record from before the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous {
    /// Its row.
    pub slot: Slot,
    /// Its metadata as it is stored, by which indexes of attributes forget it.
    pub metadata: Vec<u8>,
}

/// One action with everything that it points to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row<'a> {
    /// See [`Action::Store`].
    Store {
        /// The record's id.
        id: &'a str,
        /// Its numbers, as they were given or embedded.
        vector: &'a [f32],
        /// Its text.
        text: Option<&'a str>,
        /// Its whole metadata as compact JSON, e.g. `{}`.
        metadata: &'a [u8],
        /// The version that it takes the place of.
        previous: Option<&'a Previous>,
    },
    /// See [`Action::Attributes`].
    Attributes {
        /// The record's id.
        id: &'a str,
        /// Its whole metadata as compact JSON, e.g. `{}`.
        metadata: &'a [u8],
        /// The version as it was.
        previous: &'a Previous,
    },
    /// See [`Action::Delete`].
    Delete {
        /// The record's id.
        id: &'a str,
        /// The version that was the last one.
        previous: &'a Previous,
    },
}

/// Decides what a checked batch does to the records of `state`.
///
/// It reads each record at most once and writes nothing. An operation that needs an embedding
/// which is not there yet is planned all the same: its `Store` then has no [`Row`].
pub fn plan(request: &WriteRequest, checked: &Checked, state: &impl State) -> Plan {
    let mut draft = Draft::new(request, checked, state);
    if request.options.atomic {
        draft.run(0..request.operations.len());
    } else {
        let mut start = 0;
        let stand_together = |left: &super::Operation, right: &super::Operation| {
            left.group.is_some() && left.group == right.group
        };
        for unit in request.operations.chunk_by(stand_together) {
            draft.run(start..start + unit.len());
            start += unit.len();
        }
    }
    draft.finish()
}

/// The error of a valid operation whose batch or group failed.
pub(super) fn aborted(group: Option<&str>, cause_index: usize) -> Error {
    let whole = if group.is_some() {
        "group"
    } else {
        "atomic batch"
    };
    let message = format!("not applied: operation {cause_index} of the same {whole} failed");
    let error = Error::new(ErrorCode::BatchAborted, message).with("cause_index", cause_index);
    match group {
        Some(group) => error.with("group", group),
        None => error,
    }
}

impl Row<'_> {
    /// The numbers that a `Store` writes.
    pub fn vector(&self) -> Option<&[f32]> {
        match self {
            Row::Store { vector, .. } => Some(vector),
            _ => None,
        }
    }
}

impl Action {
    /// The action with everything that it points to in the request that it was planned from.
    ///
    /// # Errors
    /// `INTERNAL` where the vector is still to be embedded.
    pub fn row<'a>(&'a self, request: &'a WriteRequest, checked: &'a Checked) -> Result<Row<'a>> {
        Ok(match self {
            Action::Store {
                id_of,
                vector_of,
                text_of,
                metadata,
                previous,
            } => Row::Store {
                id: &request.operations[*id_of].id,
                vector: vector_at(*vector_of, request, checked)?,
                text: text_of.and_then(|index| request.operations[index].text()),
                metadata: metadata.resolve(checked),
                previous: previous.as_ref(),
            },
            Action::Attributes {
                id_of,
                metadata,
                previous,
            } => Row::Attributes {
                id: &request.operations[*id_of].id,
                metadata: metadata.resolve(checked),
                previous,
            },
            Action::Delete { id_of, previous } => Row::Delete {
                id: &request.operations[*id_of].id,
                previous,
            },
        })
    }
}

impl NewMetadata {
    /// The metadata as compact JSON.
    pub fn resolve<'a>(&'a self, checked: &'a Checked) -> &'a [u8] {
        match self {
            NewMetadata::Given(index) => checked.operations[*index]
                .metadata
                .as_deref()
                .unwrap_or(EMPTY),
            NewMetadata::Made(bytes) => bytes,
        }
    }
}

/// The metadata of a record to which nobody gave any.
pub(super) const EMPTY: &[u8] = b"{}";

fn vector_at<'a>(
    index: usize,
    request: &'a WriteRequest,
    checked: &'a Checked,
) -> Result<&'a [f32]> {
    match checked.operations[index].vector {
        Some(range) => Ok(request.vectors.get(range)),
        None => Err(Error::internal(format!(
            "operation {index} has no vector yet"
        ))),
    }
}

#[cfg(test)]
mod tests;
