//! What became of each operation.

use super::Level;
use crate::error::Error;
use crate::record::Sequence;

/// The closed list of results of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Status {
    /// The status as it stands on the wire, e.g. `created`.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Replaced => "replaced",
            Status::Updated => "updated",
            Status::Deleted => "deleted",
            Status::Unchanged => "unchanged",
            Status::Skipped => "skipped",
            Status::Failed => "failed",
        }
    }

    /// The status of a word; what is no status counts as failed.
    pub fn parse(word: &str) -> Self {
        let all = [
            Status::Created,
            Status::Replaced,
            Status::Updated,
            Status::Deleted,
            Status::Unchanged,
            Status::Skipped,
        ];
        let found = all.into_iter().find(|status| status.as_str() == word);
        found.unwrap_or(Status::Failed)
    }
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
        Outcome {
            status,
            error: None,
        }
    }

    /// A failed outcome.
    pub fn failed(error: Error) -> Self {
        Outcome {
            status: Status::Failed,
            error: Some(Box::new(error)),
        }
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
    /// The name under which the batch's progress is found.
    pub batch_id: String,
}

/// The result of a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    /// Nothing failed.
    Success,
    /// Some operations or queries failed, some did not.
    Partial,
    /// Everything failed.
    Failed,
}

impl BatchStatus {
    /// The status of a batch of `total` operations or queries of which `failed` failed.
    pub fn of(total: usize, failed: usize) -> Self {
        match failed {
            0 => BatchStatus::Success,
            _ if failed < total => BatchStatus::Partial,
            _ => BatchStatus::Failed,
        }
    }

    /// The status as it stands on the wire, e.g. `partial`.
    pub fn as_str(self) -> &'static str {
        match self {
            BatchStatus::Success => "success",
            BatchStatus::Partial => "partial",
            BatchStatus::Failed => "failed",
        }
    }
}

/// How many operations of a batch ended in which way; the counts sum to the operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Created and replaced.
    pub inserted: usize,
    /// Updated.
    pub updated: usize,
    /// Deleted.
    pub deleted: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Unchanged.
    pub unchanged: usize,
}

impl Counts {
    /// Counts a batch's outcomes.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut counts = Counts::default();
        for outcome in outcomes {
            let count = match outcome.status {
                Status::Created | Status::Replaced => &mut counts.inserted,
                Status::Updated => &mut counts.updated,
                Status::Deleted => &mut counts.deleted,
                Status::Failed => &mut counts.failed,
                Status::Skipped => &mut counts.skipped,
                Status::Unchanged => &mut counts.unchanged,
            };
            *count += 1;
        }
        counts
    }

    /// All operations.
    pub fn total(&self) -> usize {
        self.inserted + self.updated + self.deleted + self.failed + self.skipped + self.unchanged
    }

    /// What the counts say of the whole batch.
    pub fn status(&self) -> BatchStatus {
        BatchStatus::of(self.total(), self.failed)
    }
}
