//! Protobuf, transcribed to and from the JSON that the codec reads and writes.
//!
//! The messages are read from the published `.proto`, so that it cannot drift from what is done,
//! and every rule about fields stands once, with the JSON. Numbers of vectors do not become text
//! on their way in: they go into the block. Refusals and requests for embeddings stay JSON, which
//! no message of ours can be mistaken for: `{` is the tag of a group.

mod reply;
mod request;
mod schema;
mod wire;

#[cfg(test)]
mod tests;

use crate::error::{Error, ErrorCode, Result};

/// The verbs that are offered, with the messages of their requests and replies.
const CALLS: [(&str, &str, &str); 12] = [
    (
        "insert",
        "BatchInsertVectorsRequest",
        "BatchInsertVectorsResponse",
    ),
    (
        "update",
        "BatchUpdateVectorsRequest",
        "BatchUpdateVectorsResponse",
    ),
    (
        "delete",
        "BatchDeleteVectorsRequest",
        "BatchDeleteVectorsResponse",
    ),
    (
        "search",
        "BatchSearchVectorsRequest",
        "BatchSearchVectorsResponse",
    ),
    (
        "write",
        "BatchWriteVectorsRequest",
        "BatchWriteVectorsResponse",
    ),
    ("get", "GetVectorsRequest", "GetVectorsResponse"),
    ("list", "ListVectorsRequest", "ListVectorsResponse"),
    ("count", "CountVectorsRequest", "CountVectorsResponse"),
    (
        "collections.create",
        "CreateCollectionRequest",
        "CollectionInfo",
    ),
    (
        "collections.list",
        "ListCollectionsRequest",
        "ListCollectionsResponse",
    ),
    ("collections.info", "GetCollectionRequest", "CollectionInfo"),
    (
        "collections.drop",
        "DropCollectionRequest",
        "DropCollectionResponse",
    ),
];

/// The JSON body and the block of a request.
///
/// # Errors
/// `UNSUPPORTED` for a verb that is not offered; `INVALID_ARGUMENT` for bytes that are no message
/// and for unknown fields.
pub(super) fn request(verb: &str, bytes: &[u8]) -> Result<(Vec<u8>, Vec<f32>)> {
    let call = CALLS.iter().find(|(name, _, _)| *name == verb);
    let Some(message) = call.and_then(|(_, request, _)| schema::message(request)) else {
        let message = format!("{verb} is not offered as protobuf");
        return Err(Error::new(ErrorCode::Unsupported, message).with("field", "format"));
    };
    request::transcribe(message, bytes)
}

/// The message of a verb's reply from its JSON.
///
/// # Errors
/// `INTERNAL` where the reply has what its message has no place for.
pub(super) fn reply(verb: &str, json: &[u8]) -> Result<Vec<u8>> {
    let call = CALLS.iter().find(|(name, _, _)| *name == verb);
    let Some(message) = call.and_then(|(_, _, reply)| schema::message(reply)) else {
        return Err(Error::internal(format!("{verb} has no protobuf reply")));
    };
    reply::transcribe(message, json)
}
