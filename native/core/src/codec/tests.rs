//! The codec through its door: bodies in, requests or errors out.

mod collections;
mod hostile;
mod reads;
mod replies;
mod writes;

use serde_json::Value;

use super::Request;
use crate::batch::{Operation, SearchRequest, WriteOptions, WriteRequest};
use crate::error::{Error, ErrorCode, Result};

/// Decodes where the store has no defaults of its own.
pub(super) fn decode(verb: &str, format: &str, header: &[u8], block: Vec<f32>) -> Result<Request> {
    super::decode(
        verb,
        format,
        header,
        block,
        &WriteOptions::default(),
        &mut |_| Ok(()),
    )
}

fn decode_json(verb: &str, body: &Value) -> Result<Request> {
    decode(verb, "json", body.to_string().as_bytes(), Vec::new())
}

/// A write to the collection `c`.
fn write(verb: &str, body: &Value, block: Vec<f32>) -> Result<WriteRequest> {
    let body = with_collection(body);
    match decode(verb, "json", body.to_string().as_bytes(), block)? {
        Request::Write {
            collection,
            request,
        } if collection == "c" => Ok(request),
        other => panic!("{other:?}"),
    }
}

/// A search in the collection `c`.
fn search(body: &Value, block: Vec<f32>) -> Result<SearchRequest> {
    let body = with_collection(body);
    match decode("search", "json", body.to_string().as_bytes(), block)? {
        Request::Search {
            collection,
            request,
        } if collection == "c" => Ok(request),
        other => panic!("{other:?}"),
    }
}

fn with_collection(body: &Value) -> Value {
    let mut body = body.clone();
    body["collection"] = "c".into();
    body
}

fn code_and_field(error: &Error) -> (ErrorCode, &str) {
    (
        error.code,
        error
            .details
            .get("field")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    )
}

fn refusal(operation: &Operation) -> (ErrorCode, &str) {
    code_and_field(operation.refused.as_ref().expect("refused"))
}
