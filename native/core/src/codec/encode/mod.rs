//! Replies to JSON, each appended to a buffer.

pub(super) mod json;
mod limits;
mod packed;
mod read;
mod small;
mod write;

use std::time::Duration;

use crate::error::Error;

use json::Object;

pub use limits::limits_reply;
pub use read::{SearchPiece, get_reply, list_reply, search_reply};
pub use small::{
    collection_reply, collections_reply, compact_reply, config_reply, count_reply, drop_reply,
    embed_reply, error_reply, indexed_reply, offset_reply, progress_reply, reservation_reply,
    stage_ended_reply, stage_reply,
};
pub use write::write_reply;

/// Names that stand beside an error's details: no detail may take them.
const ERROR_NAMES: [&str; 8] = [
    "error_code",
    "error_message",
    "retriable",
    "operation_id",
    "vector_id",
    "index",
    "id",
    "status",
];

/// Writes an error's code, message and details as fields of an object that is begun.
fn error_fields(object: &mut Object<'_>, error: &Error) {
    object
        .field("error_code", error.code)
        .field("error_message", &error.message)
        .field("retriable", error.code.retriable())
        .map(&error.details, &ERROR_NAMES);
}

/// Milliseconds with three decimals.
fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
