//! What a batch may say and what became of it: pure data, no storage, no threads.

mod outcome;
mod request;

pub use outcome::{Outcome, Status, WriteReply};
pub use request::{
    Duplicates, Include, Level, Metadata, MetadataMode, Missing, OnConflict, Operation,
    OperationKind, OutcomeDetail, Query, QueryInput, SearchRequest, VectorRange, Vectors,
    WriteOptions, WriteRequest,
};
