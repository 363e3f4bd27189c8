//! Replies that hold records.

use std::time::Duration;

use super::json::{Object, append, append_list};
use super::packed::Columns;
use super::{error_fields, milliseconds};
use crate::batch::{BatchStatus, Match, QueryResult, Record};
use crate::codec::Format;
use crate::error::Error;

/// The results of some queries that follow each other in a batch, as the reply tells them:
/// pieces are written side by side and joined.
#[derive(Debug, Default)]
pub struct SearchPiece {
    queries: usize,
    failed: usize,
    /// Entries of `batch_results`, with commas between.
    results: Vec<u8>,
    /// Entries of `errors`, with commas between.
    errors: Vec<u8>,
    /// What stands behind the JSON of a packed reply.
    columns: Option<Columns>,
}

impl SearchPiece {
    /// A piece of a reply in this format, or of one that is made of JSON.
    pub fn new(format: Format) -> Self {
        SearchPiece {
            columns: (format == Format::Packed).then(Columns::default),
            ..SearchPiece::default()
        }
    }

    /// Adds the result of the next query, which has this place in the batch.
    pub fn push(&mut self, index: usize, query_id: &str, result: &QueryResult<'_>) {
        separate(&mut self.results);
        query_entry(query_id, result, self.columns.as_mut(), &mut self.results);
        self.queries += 1;
        if let Err(error) = &result.matches {
            separate(&mut self.errors);
            error_entry(index, query_id, error, &mut self.errors);
            self.failed += 1;
        }
    }

    /// How many of the queries failed.
    pub fn failed(&self) -> usize {
        self.failed
    }
}

/// The reply to a batch of queries: the results of all of them, in request order. Pieces of a
/// packed reply have their columns behind the JSON and a zero byte, which no JSON has.
pub fn search_reply(pieces: &[SearchPiece], processing_time: Duration, out: &mut Vec<u8>) {
    let queries = pieces.iter().map(|piece| piece.queries).sum::<usize>();
    let failed = pieces.iter().map(SearchPiece::failed).sum::<usize>();
    out.reserve(pieces.iter().map(|piece| piece.results.len() + 1).sum());
    let mut object = Object::begin(out);
    join(object.name("batch_results"), pieces, |piece| &piece.results);
    object
        .field("total_queries", queries)
        .field("successful_queries", queries - failed)
        .field("failed_queries", failed);
    join(object.name("errors"), pieces, |piece| &piece.errors);
    object
        .field("processing_time_ms", milliseconds(processing_time))
        .field("status", BatchStatus::of(queries, failed).as_str());
    object.end();
    let columns: Vec<&Columns> = pieces.iter().filter_map(|it| it.columns.as_ref()).collect();
    if !columns.is_empty() {
        out.push(0);
        Columns::append_joined(&columns, out);
    }
}

/// Joins the entries of all pieces to one list.
fn join(out: &mut Vec<u8>, pieces: &[SearchPiece], entries: impl Fn(&SearchPiece) -> &[u8]) {
    let written = pieces
        .iter()
        .map(entries)
        .filter(|entries| !entries.is_empty());
    append_list(out, written, Vec::extend_from_slice);
}

fn separate(entries: &mut Vec<u8>) {
    if !entries.is_empty() {
        entries.push(b',');
    }
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

fn query_entry(
    query_id: &str,
    result: &QueryResult<'_>,
    columns: Option<&mut Columns>,
    out: &mut Vec<u8>,
) {
    let mut object = Object::begin(out);
    object.field("query_id", query_id);
    let matches = result.matches.as_deref().unwrap_or_default();
    match columns {
        Some(columns) => packed_matches(matches, columns, &mut object),
        None => {
            let entry = |out: &mut _, found: &Match<'_>| {
                record_entry(&found.record, Some(found.score), out);
            };
            append_list(object.name("results"), matches, entry);
        }
    }
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

/// Writes matches to columns, and to the object what has none: `results` is how many there are,
/// or a list of their texts and metadata. `data_length` counts the numbers of each vector.
fn packed_matches(matches: &[Match<'_>], columns: &mut Columns, object: &mut Object<'_>) {
    matches.iter().for_each(|found| columns.push(found));
    let records = || matches.iter().map(|found| &found.record);
    if records().any(|record| record.text.is_some() || record.metadata.is_some()) {
        append_list(object.name("results"), records(), |out, record| {
            let mut object = Object::begin(out);
            described(record, &mut object);
            object.end();
        });
    } else {
        object.field("results", matches.len());
    }
    if let Some(data) = records().find_map(|record| record.data.as_ref()) {
        object.field("data_length", data.len());
    }
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
    described(record, &mut object);
    object.end();
}

fn described(record: &Record<'_>, object: &mut Object<'_>) {
    if let Some(text) = &record.text {
        object.field("text", &**text);
    }
    if let Some(metadata) = &record.metadata {
        object.raw("metadata", metadata);
    }
}
