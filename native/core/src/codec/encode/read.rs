//! Replies that hold records.

use std::time::Duration;

use super::json::{Object, append, append_list};
use super::{error_fields, milliseconds};
use crate::batch::{BatchStatus, Match, QueryResult, Record, SearchRequest};
use crate::error::Error;

/// The reply to a batch of queries: one result for each, in request order.
pub fn search_reply(
    request: &SearchRequest,
    results: &[QueryResult<'_>],
    processing_time: Duration,
    out: &mut Vec<u8>,
) {
    let entries = || {
        request
            .queries
            .iter()
            .map(|query| query.query_id.as_str())
            .zip(results)
    };
    let failed = results
        .iter()
        .filter(|result| result.matches.is_err())
        .count();
    let mut object = Object::begin(out);
    append_list(
        object.name("batch_results"),
        entries(),
        |out, (query_id, result)| {
            query_entry(query_id, result, out);
        },
    );
    object
        .field("total_queries", results.len())
        .field("successful_queries", results.len() - failed)
        .field("failed_queries", failed);
    let failures = entries()
        .enumerate()
        .filter_map(|(index, (query_id, result))| {
            Some((index, query_id, result.matches.as_ref().err()?))
        });
    append_list(
        object.name("errors"),
        failures,
        |out, (index, query_id, error)| {
            error_entry(index, query_id, error, out);
        },
    );
    object
        .field("processing_time_ms", milliseconds(processing_time))
        .field("status", BatchStatus::of(results.len(), failed).as_str());
    object.end();
}

/// `{"vectors": [record or null]}`, in request order.
pub fn get_reply(records: &[Option<Record<'_>>], out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    append_list(
        object.name("vectors"),
        records,
        |out, record| match record {
            Some(record) => record_entry(record, None, out),
            None => out.extend_from_slice(b"null"),
        },
    );
    object.end();
}

/// `{"vectors": [record], "next": cursor or null}`
pub fn list_reply(records: &[Record<'_>], next: Option<&str>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    append_list(object.name("vectors"), records, |out, record| {
        record_entry(record, None, out);
    });
    object.field("next", next);
    object.end();
}

fn query_entry(query_id: &str, result: &QueryResult<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.field("query_id", query_id);
    let matches = result.matches.as_deref().unwrap_or_default();
    append_list(
        object.name("results"),
        matches,
        |out, Match { record, score }| {
            record_entry(record, Some(*score), out);
        },
    );
    object
        .field("query_time_ms", milliseconds(result.time))
        .field(
            "status",
            if result.matches.is_ok() {
                "success"
            } else {
                "failed"
            },
        );
    if let Err(error) = &result.matches {
        let mut nested = Object::begin(object.name("error"));
        error_fields(&mut nested, error);
        nested.end();
    }
    object.end();
}

fn error_entry(index: usize, query_id: &str, error: &Error, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object
        .field("operation_id", query_id)
        .field("vector_id", ())
        .field("index", index);
    error_fields(&mut object, error);
    object.end();
}

fn record_entry(record: &Record<'_>, score: Option<f32>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.field("id", &*record.id);
    if let Some(score) = score {
        object.field("score", score);
    }
    if let Some(version) = record.version {
        object.field("version", version);
    }
    if let Some(data) = &record.data {
        append_list(object.name("data"), data.iter(), |out, number| {
            append(out, number);
        });
    }
    if let Some(text) = &record.text {
        object.field("text", &**text);
    }
    if let Some(metadata) = &record.metadata {
        object.raw("metadata", metadata);
    }
    object.end();
}
