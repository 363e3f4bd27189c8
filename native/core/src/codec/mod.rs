//! Requests from JSON or protobuf, replies to the same.
//!
//! Decoding is strict: an unknown field, an unknown word and a value of the wrong kind are
//! refused, and a field that is `null` is a field that is not there. What is wrong with one
//! operation or query is that element's own error (`refused`); only what is wrong with the
//! request as a whole refuses it. No bytes make it panic, and its work grows with their count.

mod admission;
mod block;
mod collections;
mod elements;
mod encode;
mod fields;
mod format;
mod protobuf;
mod raw;
mod read;
mod request;
mod search;
mod value;
mod write;

pub use admission::{Admit, Counted, HELD_BYTES};
pub use encode::{
    SearchPiece, collection_reply, collections_reply, compact_reply, config_reply, count_reply,
    drop_reply, embed_reply, error_reply, get_reply, indexed_reply, limits_reply, list_reply,
    offset_reply, progress_reply, reservation_reply, search_reply, stage_ended_reply, stage_reply,
    write_reply,
};
pub use format::Format;
pub use request::{
    BatchProgress, CollectionInfo, CompactReport, CreateCollection, Embedder, Hnsw, ListRequest,
    MeasuredRecall, Request, Resume,
};

use crate::batch::{WriteOptions, WriteVerb};
use crate::error::{Error, Result};

use block::Block;
use fields::Fields;

/// The verb of a request line.
///
/// A line is a verb, and behind a space, where there are any, the fields that came beside the body
/// (the collection in a path, the idempotency key in a header) as a JSON object.
pub fn verb(line: &str) -> &str {
    split(line).0
}

fn split(line: &str) -> (&str, Option<&str>) {
    match line.split_once(' ') {
        Some((verb, beside)) => (verb, Some(beside)),
        None => (line, None),
    }
}

/// Reads one request: its line (see [`verb`]), its body in a [`Format`], the vectors that came
/// beside it, and `defaults`: what a write that does not say gets. A field may stand in the line
/// or in the body, not in both. `admit` judges a batch by its size before its elements are read.
///
/// # Errors
/// `UNSUPPORTED` for an unknown format; `INVALID_ARGUMENT` for an unknown verb or field, for text
/// that is no JSON (with line and column), and for a block that does not fit; further
/// `INVALID_FILTER`, `INVALID_QUERY` and `INVALID_ID` where these are the request's own; and what
/// `admit` refuses with.
pub fn decode(
    line: &str,
    format: &str,
    body: &[u8],
    block: Vec<f32>,
    defaults: &WriteOptions,
    admit: Admit<'_>,
) -> Result<Request> {
    let (verb, beside) = split(line);
    let (body, block) = Format::parse(format)?.read(verb, body, block)?;
    let text = utf8(&body)?;
    let mut fields = Fields::of_body(text)?;
    if let Some(beside) = beside {
        fields.add(beside)?;
    }
    let mut block = Block::new(block);
    let request = decode_verb(verb, &mut fields, &mut block, defaults, admit)?;
    fields.finish()?;
    block.finish(verb)?;
    Ok(request)
}

fn utf8(body: &[u8]) -> Result<&str> {
    std::str::from_utf8(body).map_err(|error| {
        let place = error.valid_up_to();
        let message = format!("the body is not UTF-8 from byte {place} on");
        Error::invalid("body", message).with("position", place)
    })
}

fn decode_verb<'a>(
    verb: &str,
    fields: &mut Fields<'a>,
    block: &mut Block,
    defaults: &WriteOptions,
    admit: Admit<'_>,
) -> Result<Request> {
    match verb {
        "collections.create" => collections::create(fields),
        "collections.list" => Ok(Request::ListCollections),
        "collections.info" => Ok(Request::Info {
            collection: fields.collection()?,
        }),
        "collections.drop" => Ok(Request::Drop {
            collection: fields.collection()?,
        }),
        "insert" => write::decode(WriteVerb::Insert, fields, block, defaults, admit),
        "update" => write::decode(WriteVerb::Update, fields, block, defaults, admit),
        "delete" => write::decode(WriteVerb::Delete, fields, block, defaults, admit),
        "write" => write::decode(WriteVerb::Mixed, fields, block, defaults, admit),
        "search" => search::decode(fields, block, admit),
        "get" => read::get(fields),
        "list" => read::list(fields),
        "count" => read::count(fields),
        "indexed" => Ok(Request::Indexed {
            collection: fields.collection()?,
        }),
        "compact" => Ok(Request::Compact {
            collection: fields.collection()?,
        }),
        "resume" => read::resume(fields, block),
        "limits" => Ok(Request::Limits),
        "config" => Ok(Request::Config),
        "batches.get" => Ok(Request::BatchProgress {
            batch_id: read::batch_id(fields)?,
        }),
        "batches.cancel" => Ok(Request::CancelBatch {
            batch_id: read::batch_id(fields)?,
            code: read::cancel_reason(fields)?,
        }),
        "stream.offset" => read::stream_offset(fields),
        "stage.begin" => Ok(Request::BeginStage {
            collection: fields.collection()?,
        }),
        "stage.commit" => read::end_stage(fields, true),
        "stage.drop" => read::end_stage(fields, false),
        "memory.reserve" => read::reserve(fields),
        "memory.release" => read::release(fields),
        _ => {
            let message = format!("unknown verb `{}`", fields::clip(verb));
            Err(Error::invalid("verb", message))
        }
    }
}

#[cfg(test)]
mod tests;
