//! What a batch may say, what it does and what became of it: pure, no storage, no threads of
//! its own.
//!
//! [`check()`] judges a request by itself, [`plan()`] against the records that exist; both are the
//! same code for a preview and for the real run.

mod check;
mod draft;
mod fingerprint;
mod gate;
mod outcome;
mod plan;
mod reply;
mod request;
mod shape;

pub use check::{
    Checked, CheckedOperation, abort_search, check, check_batch_size, check_search, check_vector,
};
pub use fingerprint::fingerprint;
pub use gate::Gate;
pub use outcome::{BatchStatus, Counts, Outcome, Status, WriteReply};
pub use plan::{Action, Existing, NewMetadata, Plan, Previous, Row, State, plan};
pub use reply::{Match, QueryResult, Record};
pub use request::{
    Duplicates, Effort, Include, Level, MetadataMode, Missing, OnConflict, Operation,
    OperationKind, OutcomeDetail, Query, QueryInput, SearchRequest, StreamPart, VectorRange,
    Vectors, WriteOptions, WriteRequest, WriteVerb,
};
pub use shape::CollectionShape;
