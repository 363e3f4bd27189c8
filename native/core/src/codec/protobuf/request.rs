//! Requests: protobuf in, the JSON body and the block of vectors out.

use std::fmt::Write as _;

use super::schema::{Field, Kind, Message, message};
use super::wire::{Reader, Value, malformed};
use crate::codec::encode::json::append;
use crate::error::{Error, Result};

/// Deepest nesting of a `Struct`, in messages; the limits of metadata and filters are far below.
const STRUCT_DEPTH_MAX: usize = 100;

/// Transcribes one request.
pub(super) fn transcribe(request: &Message, bytes: &[u8]) -> Result<(Vec<u8>, Vec<f32>)> {
    // Nearly all of a large request are the numbers of its vectors.
    let mut transcriber = Transcriber {
        block: Vec::with_capacity(bytes.len() / size_of::<f32>()),
        ..Transcriber::default()
    };
    let mut json = transcriber.object(request, bytes, 0)?;
    // Where no element has a vector, there is no block to cut.
    if transcriber.lengths.iter().any(|&length| length >= 0) {
        json.pop();
        json.extend_from_slice(if json.len() > 1 { b"," } else { b"" });
        json.extend_from_slice(b"\"lengths\":");
        append(&mut json, &transcriber.lengths);
        json.push(b'}');
    }
    Ok((json, transcriber.block))
}

/// The vectors of the elements, gathered while the rest becomes JSON.
#[derive(Default)]
struct Transcriber {
    block: Vec<f32>,
    /// Numbers of each element's vector; -1 = it has none.
    lengths: Vec<i64>,
    /// Numbers of the open element's vector so far.
    row: Option<i64>,
}

impl Transcriber {
    fn object(&mut self, message: &Message, bytes: &[u8], depth: usize) -> Result<Vec<u8>> {
        // The values of each field so far; a list's without its brackets.
        let mut values: Vec<Option<Vec<u8>>> = message.fields.iter().map(|_| None).collect();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            let place = message
                .fields
                .iter()
                .position(|field| field.number == number);
            let (Some(place), Some(field)) =
                (place, place.and_then(|place| message.fields.get(place)))
            else {
                return Err(unknown(number, message));
            };
            if field.kind == Kind::Float && field.is_repeated {
                self.floats(value)?;
                continue;
            }
            let Some(slot) = values.get_mut(place) else {
                continue;
            };
            if slot.is_some() && !field.is_repeated {
                let message = format!("field `{}` stands twice", field.name);
                return Err(Error::invalid(field.name, message));
            }
            let out = slot.get_or_insert_default();
            if !out.is_empty() {
                out.push(b',');
            }
            self.value(field, value, out, depth)?;
            if out.is_empty() {
                *slot = None;
            }
        }
        Ok(assemble(message, values))
    }

    fn value(
        &mut self,
        field: &Field,
        value: Value<'_>,
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<()> {
        match (field.kind, value) {
            (Kind::Bool, Value::Varint(value)) => append(out, value != 0),
            (Kind::Integer, Value::Varint(value)) => append(out, value.cast_signed()),
            (Kind::Double, Value::Fixed64(bits)) => number(f64::from_bits(bits), out),
            (Kind::Float, Value::Fixed32(bits)) => number(f64::from(f32::from_bits(bits)), out),
            (Kind::String, Value::Bytes(bytes)) => append(out, text(field.name, bytes)?),
            (Kind::Struct, Value::Bytes(bytes)) => structure(bytes, out, 0)?,
            (Kind::Message(name), Value::Bytes(bytes)) => {
                let Some(nested) = message(name) else {
                    return Err(malformed("names a message that is none"));
                };
                self.nested(field, nested, bytes, out, depth)?;
            }
            _ => {
                let what = format!("has `{}` with the wire type of another kind", field.name);
                return Err(malformed(&what));
            }
        }
        Ok(())
    }

    fn nested(
        &mut self,
        field: &Field,
        nested: &Message,
        bytes: &[u8],
        out: &mut Vec<u8>,
        depth: usize,
    ) -> Result<()> {
        if let Some(list) = nested.list() {
            return self.list(list, nested, bytes, out);
        }
        let is_element = depth == 0 && field.is_repeated;
        if is_element {
            self.row = None;
        }
        let json = self.object(nested, bytes, depth + 1)?;
        out.extend_from_slice(&json);
        if is_element {
            self.lengths.push(self.row.take().unwrap_or(-1));
        }
        Ok(())
    }

    /// A message that stands for a list.
    fn list(
        &mut self,
        list: &Field,
        message: &Message,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        if list.kind == Kind::Float {
            self.row.get_or_insert(0);
        }
        let mut items = Vec::new();
        let mut reader = Reader::new(bytes);
        while let Some((number, value)) = reader.next()? {
            match (list.kind, value) {
                _ if number != list.number => return Err(unknown(number, message)),
                (Kind::Float, value) => self.floats(value)?,
                (Kind::String, Value::Bytes(bytes)) => items.push(text(list.name, bytes)?),
                _ => return Err(malformed("has a list of another kind")),
            }
        }
        // Numbers travel in the block: the list itself has no place in the JSON.
        if list.kind != Kind::Float {
            append(out, items);
        }
        Ok(())
    }

    /// Numbers of the open element's vector: packed, in pieces, or one by one.
    fn floats(&mut self, value: Value<'_>) -> Result<()> {
        let before = self.block.len();
        match value {
            Value::Fixed32(bits) => self.block.push(f32::from_bits(bits)),
            Value::Bytes(bytes) => {
                let (numbers, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(malformed("has packed floats that end in the middle of one"));
                }
                self.block
                    .extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            }
            _ => return Err(malformed("has floats with the wire type of another kind")),
        }
        let added = (self.block.len() - before) as i64;
        self.row = Some(self.row.unwrap_or(0) + added);
        Ok(())
    }
}

fn assemble(message: &Message, values: Vec<Option<Vec<u8>>>) -> Vec<u8> {
    let mut json = vec![b'{'];
    for (field, value) in message.fields.iter().zip(values) {
        // A list of a batch's elements is always there: an empty batch is a batch.
        let elements = field.is_repeated && field.kind != Kind::Float;
        let value = match value {
            Some(value) => value,
            None if elements => Vec::new(),
            None => continue,
        };
        if json.len() > 1 {
            json.push(b',');
        }
        append(&mut json, field.name);
        json.push(b':');
        if field.is_repeated {
            json.push(b'[');
        }
        json.extend_from_slice(&value);
        if field.is_repeated {
            json.push(b']');
        }
    }
    json.push(b'}');
    json
}

fn unknown(number: u32, message: &Message) -> Error {
    let names: Vec<_> = message.fields.iter().map(|field| field.name).collect();
    let list = names.join(", ");
    let message = format!("unknown field number {number}, expected one of those of {list}");
    Error::invalid("body", message).with("actual", number)
}

fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str> {
    std::str::from_utf8(bytes)
        .map_err(|_| Error::invalid(name, format!("`{name}` is not UTF-8")).with("field", name))
}

/// A number as JavaScript writes it: an integer without a point, so that it stays an integer.
/// What JSON cannot say is written beyond its range, so that the one field fails that has it.
fn number(value: f64, out: &mut Vec<u8>) {
    let mut text = String::new();
    let written = if !value.is_finite() {
        text.push_str(if value < 0.0 { "-1e999" } else { "1e999" });
        Ok(())
    } else if value.fract() == 0.0 && value.abs() < 1e21 {
        write!(text, "{value:.0}")
    } else {
        write!(text, "{value:e}")
    };
    debug_assert!(written.is_ok());
    out.extend_from_slice(text.as_bytes());
}

/// `google.protobuf.Struct`: `fields` = 1, entries of `key` = 1 and `value` = 2.
fn structure(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth == STRUCT_DEPTH_MAX {
        return Err(malformed("has a Struct that is nested too deep"));
    }
    out.push(b'{');
    let mut is_first = true;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        let (1, Value::Bytes(entry)) = (number, value) else {
            return Err(malformed("has a Struct with an unknown field"));
        };
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        let (mut key, mut value) = (&b""[..], &b""[..]);
        let mut entry = Reader::new(entry);
        while let Some(part) = entry.next()? {
            match part {
                (1, Value::Bytes(bytes)) => key = bytes,
                (2, Value::Bytes(bytes)) => value = bytes,
                _ => return Err(malformed("has a Struct with an unknown field")),
            }
        }
        append(out, text("metadata", key)?);
        out.push(b':');
        dynamic(value, out, depth + 1)?;
    }
    out.push(b'}');
    Ok(())
}

/// `google.protobuf.Value`; one that says nothing is `null`.
fn dynamic(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let mut last = None;
    let mut reader = Reader::new(bytes);
    while let Some(part) = reader.next()? {
        last = Some(part);
    }
    match last {
        None | Some((1, Value::Varint(0))) => out.extend_from_slice(b"null"),
        Some((2, Value::Fixed64(bits))) => number(f64::from_bits(bits), out),
        Some((3, Value::Bytes(bytes))) => append(out, text("metadata", bytes)?),
        Some((4, Value::Varint(value))) => append(out, value != 0),
        Some((5, Value::Bytes(bytes))) => structure(bytes, out, depth)?,
        Some((6, Value::Bytes(bytes))) => list_value(bytes, out, depth)?,
        Some(_) => return Err(malformed("has a Value of an unknown kind")),
    }
    Ok(())
}

/// `google.protobuf.ListValue`: `values` = 1.
fn list_value(bytes: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth == STRUCT_DEPTH_MAX {
        return Err(malformed("has a Struct that is nested too deep"));
    }
    out.push(b'[');
    let mut is_first = true;
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next()? {
        let (1, Value::Bytes(value)) = (number, value) else {
            return Err(malformed("has a ListValue with an unknown field"));
        };
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        dynamic(value, out, depth + 1)?;
    }
    out.push(b']');
    Ok(())
}
