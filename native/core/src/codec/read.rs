//! Reads without a vector, and the answer to a request for embeddings.

use super::block::Block;
use super::fields::{Fields, missing};
use super::request::{ListRequest, Request, Resume};
use super::search::{filter, include};
use super::value;
use super::write::name;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX, STREAM_ID_BYTES_MAX};

pub(super) fn get(fields: &mut Fields<'_>) -> Result<Request> {
    let collection = fields.collection()?;
    let raws = fields
        .list("vector_ids")?
        .ok_or_else(|| missing("vector_ids"))?;
    let ids = raws
        .elements()
        .enumerate()
        .map(|(index, raw)| {
            value::string("vector_ids", raw, ErrorCode::InvalidId)
                .map_err(|error| error.with("index", index))
        })
        .collect::<Result<_>>()?;
    let include = include(fields)?.unwrap_or_default();
    Ok(Request::Get {
        collection,
        ids,
        include,
    })
}

pub(super) fn list(fields: &mut Fields<'_>) -> Result<Request> {
    let collection = fields.collection()?;
    let limits = 1..=LIST_LIMIT_MAX;
    let limit = fields.integer_in("limit", limits, "records", ErrorCode::InvalidArgument)?;
    let limit = limit.unwrap_or(LIST_LIMIT_DEFAULT);
    let after = fields.string("after", ErrorCode::InvalidArgument)?;
    let (filter, include) = (filter(fields)?, include(fields)?.unwrap_or_default());
    Ok(Request::List {
        collection,
        request: ListRequest {
            limit,
            after,
            filter,
            include,
        },
    })
}

pub(super) fn count(fields: &mut Fields<'_>) -> Result<Request> {
    Ok(Request::Count {
        collection: fields.collection()?,
        filter: filter(fields)?,
    })
}

pub(super) fn resume(fields: &mut Fields<'_>, block: &mut Block) -> Result<Request> {
    // The token names the collection already; bodies of every verb may carry the name.
    fields.string("collection", ErrorCode::InvalidArgument)?;
    let token = fields
        .string("token", ErrorCode::InvalidArgument)?
        .ok_or_else(|| missing("token"))?;
    let failed = fields.string("failed", ErrorCode::InvalidArgument)?;
    let vectors = block.take_whole();
    if failed.is_some() && !vectors.is_empty() {
        let message = "`failed` and a block exclude each other";
        return Err(Error::invalid("failed", message).with("numbers", vectors.len()));
    }
    Ok(Request::Resume(Resume {
        token,
        failed,
        attempts: fields.integer("attempts")?,
        vectors,
    }))
}

pub(super) fn batch_id(fields: &mut Fields<'_>) -> Result<String> {
    fields
        .string("batch_id", ErrorCode::InvalidArgument)?
        .ok_or_else(|| missing("batch_id"))
}

pub(super) fn stream_offset(fields: &mut Fields<'_>) -> Result<Request> {
    Ok(Request::StreamOffset {
        collection: fields.collection()?,
        stream_id: name(fields, "stream_id", STREAM_ID_BYTES_MAX)?
            .ok_or_else(|| missing("stream_id"))?,
    })
}

pub(super) fn reserve(fields: &mut Fields<'_>) -> Result<Request> {
    let bytes = fields.integer("bytes")?.ok_or_else(|| missing("bytes"))?;
    Ok(Request::ReserveMemory {
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
        deletes: fields.boolean("deletes")?.unwrap_or_default(),
    })
}

pub(super) fn release(fields: &mut Fields<'_>) -> Result<Request> {
    let reservation = fields.integer("reservation")?;
    Ok(Request::ReleaseMemory {
        reservation: reservation.ok_or_else(|| missing("reservation"))?,
    })
}

pub(super) fn cancel_reason(fields: &mut Fields<'_>) -> Result<ErrorCode> {
    let reasons = [
        ("cancelled", ErrorCode::Cancelled),
        ("deadline", ErrorCode::DeadlineExceeded),
    ];
    Ok(fields
        .word("reason", &reasons)?
        .unwrap_or(ErrorCode::Cancelled))
}

pub(super) fn end_stage(fields: &mut Fields<'_>, commit: bool) -> Result<Request> {
    Ok(Request::EndStage {
        collection: fields.collection()?,
        stage: fields.integer("stage")?.ok_or_else(|| missing("stage"))?,
        commit,
    })
}
