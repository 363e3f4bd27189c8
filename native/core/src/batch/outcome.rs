//! What became of each operation.

use serde::Serialize;

use super::Level;
use crate::error::Error;
use crate::record::Sequence;

/// The closed list of results of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The record is new.
    Created,
    /// An insert took the place of an existing record.
    Replaced,
    /// The record was changed.
    Updated,
    /// The record was removed.
    Deleted,
    /// The record already was as asked.
    Unchanged,
    /// The operation's own rule said to do nothing.
    Skipped,
    /// See the error.
    Failed,
}

/// The result of one operation; its index is its place in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What happened.
    pub status: Status,
    /// Set exactly where `status` is `Failed`.
    pub error: Option<Box<Error>>,
}

impl Outcome {
    /// An outcome without an error.
    pub fn of(status: Status) -> Self {
        Outcome { status, error: None }
    }

    /// A failed outcome.
    pub fn failed(error: Error) -> Self {
        Outcome { status: Status::Failed, error: Some(Box::new(error)) }
    }
}

/// The result of a write batch, before it is encoded for a surface.
#[derive(Clone, Debug)]
pub struct WriteReply {
    /// One per operation, in request order.
    pub outcomes: Vec<Outcome>,
    /// The commit's number; where nothing was committed, the collection's current one.
    pub sequence: Sequence,
    /// How far the batch had come when the reply was made.
    pub reached: Level,
    /// The reply of an earlier request with the same idempotency key.
    pub replayed: bool,
}
