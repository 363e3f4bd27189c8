//! The replies that hold no records.

use serde::Serialize;
use serde_json::json;

use super::error_fields;
use super::json::{Object, append};
use crate::batch::WriteReply;
use crate::codec::{BatchProgress, CollectionInfo, CompactReport};
use crate::error::Error;
use crate::record::Sequence;

/// `{"error": {...}}`: the reply to a refused request.
pub fn error_reply(error: &Error, out: &mut Vec<u8>) {
    let mut reply = Object::begin(out);
    let mut object = Object::begin(reply.name("error"));
    error_fields(&mut object, error);
    object.end();
    reply.end();
}

/// What `collections.create` and `collections.info` reply.
pub fn collection_reply(info: &CollectionInfo, out: &mut Vec<u8>) {
    append(out, info);
}

/// `{"collections": [...]}`
pub fn collections_reply(infos: &[CollectionInfo], out: &mut Vec<u8>) {
    append(out, json!({ "collections": infos }));
}

/// `{}`
pub fn drop_reply(out: &mut Vec<u8>) {
    Object::begin(out).end();
}

/// `{"count": n}`
pub fn count_reply(count: u64, out: &mut Vec<u8>) {
    append(out, json!({ "count": count }));
}

/// `{"indexed": sequence}`
pub fn indexed_reply(indexed: Sequence, out: &mut Vec<u8>) {
    append(out, json!({ "indexed": indexed }));
}

/// Files and bytes before and after.
pub fn compact_reply(report: &CompactReport, out: &mut Vec<u8>) {
    append(out, report);
}

/// `{"embed": {"token", "texts"}}`: the request waits for the texts' vectors.
pub fn embed_reply(token: &str, texts: &[&str], out: &mut Vec<u8>) {
    append(out, json!({ "embed": { "token": token, "texts": texts } }));
}

/// How batches are treated, key by key.
pub fn config_reply(settings: impl Serialize, out: &mut Vec<u8>) {
    append(out, settings);
}

/// What `batches.get` and `batches.cancel` reply.
pub fn progress_reply(progress: &BatchProgress, out: &mut Vec<u8>) {
    append(out, progress);
}

/// `{"offset": n}`
pub fn offset_reply(offset: u64, out: &mut Vec<u8>) {
    append(out, json!({ "offset": offset }));
}

/// `{"reservation": n}`
pub fn reservation_reply(reservation: u64, out: &mut Vec<u8>) {
    append(out, json!({ "reservation": reservation }));
}

/// `{"stage": n}`
pub fn stage_reply(stage: u64, out: &mut Vec<u8>) {
    append(out, json!({ "stage": stage }));
}

/// What `stage.commit` and `stage.drop` reply.
pub fn stage_ended_reply(reply: &WriteReply, out: &mut Vec<u8>) {
    append(
        out,
        json!({
            "sequence": reply.sequence,
            "reached": reply.reached.as_str(),
            "batch_id": reply.batch_id,
        }),
    );
}
