//! Replies to writes.

use std::time::Duration;

use super::json::{Object, append_list};
use super::{error_fields, milliseconds};
use crate::batch::{Counts, Outcome, OutcomeDetail, WriteReply, WriteRequest, WriteVerb};
use crate::error::Error;

/// The reply to a write batch: the counts that its verb has, every failure, and the outcomes
/// where they were asked for.
pub fn write_reply(
    request: &WriteRequest,
    reply: &WriteReply,
    processing_time: Duration,
    out: &mut Vec<u8>,
) {
    let counts = Counts::of(&reply.outcomes);
    let mut object = Object::begin(out);
    let has = |verb| request.verb == verb || request.verb == WriteVerb::Mixed;
    if has(WriteVerb::Insert) {
        object.field("inserted_count", counts.inserted);
    }
    if has(WriteVerb::Update) {
        object.field("updated_count", counts.updated);
    }
    if has(WriteVerb::Delete) {
        object.field("deleted_count", counts.deleted);
    }
    object
        .field("failed_count", counts.failed)
        .field("skipped_count", counts.skipped)
        .field("unchanged_count", counts.unchanged);
    append_list(
        object.name("errors"),
        failures(request, reply),
        |out, (index, id, error)| {
            error_entry(index, id, error, out);
        },
    );
    if request.options.outcomes == OutcomeDetail::All {
        let entries = request.operations.iter().zip(&reply.outcomes).enumerate();
        append_list(
            object.name("outcomes"),
            entries,
            |out, (index, (operation, outcome))| {
                outcome_entry(index, &operation.id, outcome, out);
            },
        );
    }
    object
        .field("sequence", reply.sequence)
        .field("reached", reply.reached.as_str())
        .field("replayed", reply.replayed)
        .field("batch_id", &reply.batch_id)
        .field("processing_time_ms", milliseconds(processing_time))
        .field("status", counts.status().as_str());
    object.end();
}

fn failures<'a>(
    request: &'a WriteRequest,
    reply: &'a WriteReply,
) -> impl Iterator<Item = (usize, &'a str, &'a Error)> {
    let entries = request.operations.iter().zip(&reply.outcomes).enumerate();
    entries.filter_map(|(index, (operation, outcome))| {
        Some((index, operation.id.as_str(), outcome.error.as_deref()?))
    })
}

/// An operation without an id is called by its place, counted from 1.
fn error_entry(index: usize, id: &str, error: &Error, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    if id.is_empty() {
        object.field("operation_id", format_args!("operation_{}", index + 1));
    } else {
        object.field("operation_id", id);
    }
    error_fields(
        object
            .field("vector_id", id_or_null(id))
            .field("index", index),
        error,
    );
    object.end();
}

fn outcome_entry(index: usize, id: &str, outcome: &Outcome, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object
        .field("index", index)
        .field("id", id_or_null(id))
        .field("status", outcome.status.as_str());
    if let Some(error) = &outcome.error {
        error_fields(&mut object, error);
    }
    object.end();
}

fn id_or_null(id: &str) -> Option<&str> {
    (!id.is_empty()).then_some(id)
}
