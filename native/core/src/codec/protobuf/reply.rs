//! Replies: JSON in, protobuf out.

use serde_json::Value;

use super::schema::{Field, Kind, Message, message};
use super::wire::{put_bytes, put_double, put_float, put_integer, put_varint};
use crate::codec::fields::Fields;
use crate::codec::raw::Raw;
use crate::codec::value;
use crate::error::{Error, ErrorCode, Result};

/// The field that takes in what its message has no field for.
const DETAILS: &str = "details";

/// Transcribes one reply.
pub(super) fn transcribe(reply: &Message, json: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(json).map_err(|error| broken(&error))?;
    let raw = Raw::scan(text).map_err(|error| broken(&error))?;
    let mut out = Vec::with_capacity(json.len());
    object(reply, raw, &mut out)?;
    Ok(out)
}

fn broken(what: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("a reply does not fit its message: {what}"))
}

fn object(message: &Message, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mut fields = Fields::default();
    fields.read("a reply", raw)?;
    for field in &message.fields {
        if field.name == DETAILS {
            continue;
        }
        let Some(raw) = fields.take(field.name) else {
            continue;
        };
        match (field.is_repeated, field.kind) {
            (false, _) => single(field, raw, out)?,
            (true, Kind::Float) => floats(field.number, raw, out)?,
            (true, _) => {
                for raw in value::list(field.name, raw)?.elements() {
                    single(field, raw, out)?;
                }
            }
        }
    }
    let details = message.fields.iter().find(|field| field.name == DETAILS);
    let rest: Vec<_> = fields.rest().collect();
    match details {
        Some(field) if !rest.is_empty() => put_bytes(field.number, &structure(&rest)?, out),
        None if !rest.is_empty() => return Err(broken(&format!("no place for {}", rest[0].0))),
        _ => {}
    }
    Ok(())
}

fn single(field: &Field, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<()> {
    let name = field.name;
    match field.kind {
        Kind::Bool => put_integer(field.number, u64::from(value::boolean(name, raw)?), out),
        Kind::Integer => put_integer(field.number, value::integer(name, raw)?, out),
        Kind::Double => {
            let number = value::number(name, raw, ErrorCode::Internal)?;
            put_double(field.number, number, out);
        }
        Kind::Float => {
            let number = raw.get().parse().map_err(|error| broken(&error))?;
            put_float(field.number, number, out);
        }
        Kind::String => {
            let text = value::string(name, raw, ErrorCode::Internal)?;
            put_bytes(field.number, text.as_bytes(), out);
        }
        Kind::Struct => {
            let mut fields = Fields::default();
            fields.read(name, raw)?;
            let entries: Vec<_> = fields.rest().collect();
            put_bytes(field.number, &structure(&entries)?, out);
        }
        Kind::Message(name) => {
            let nested = message(name).ok_or_else(|| broken(&name))?;
            let mut bytes = Vec::new();
            // Among elements `null` is a record that is not there: an empty message.
            if raw.get() != "null" {
                object(nested, raw, &mut bytes)?;
            }
            put_bytes(field.number, &bytes, out);
        }
    }
    Ok(())
}

fn floats(number: u32, raw: Raw<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mut numbers = Vec::new();
    value::numbers("data", raw, &mut numbers)?;
    put_varint(u64::from(number) << 3 | 2, out);
    put_varint(numbers.len() as u64 * 4, out);
    out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    Ok(())
}

/// The body of a `google.protobuf.Struct`.
fn structure(entries: &[(&str, Raw<'_>)]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (name, raw) in entries {
        let parsed: Value = serde_json::from_str(raw.get()).map_err(|error| broken(&error))?;
        entry(name, &parsed, &mut out);
    }
    Ok(out)
}

fn entry(name: &str, value: &Value, out: &mut Vec<u8>) {
    let mut entry = Vec::new();
    put_bytes(1, name.as_bytes(), &mut entry);
    let mut bytes = Vec::new();
    dynamic(value, &mut bytes);
    put_bytes(2, &bytes, &mut entry);
    put_bytes(1, &entry, out);
}

/// The body of a `google.protobuf.Value`.
fn dynamic(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => put_integer(1, 0, out),
        Value::Number(number) => put_double(2, number.as_f64().unwrap_or_default(), out),
        Value::String(text) => put_bytes(3, text.as_bytes(), out),
        Value::Bool(value) => put_integer(4, u64::from(*value), out),
        Value::Object(fields) => {
            let mut bytes = Vec::new();
            for (name, value) in fields {
                entry(name, value, &mut bytes);
            }
            put_bytes(5, &bytes, out);
        }
        Value::Array(values) => {
            let mut list = Vec::new();
            for value in values {
                let mut bytes = Vec::new();
                dynamic(value, &mut bytes);
                put_bytes(1, &bytes, &mut list);
            }
            put_bytes(6, &list, out);
        }
    }
}
