//! What bodies and replies may be written in.

use std::borrow::Cow;

use super::{fields, protobuf};
use crate::error::{Error, ErrorCode, Result};

/// How a request's body is written; the reply is written alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON object; a reply, too.
    #[default]
    Json,
    /// A JSON object; the reply to a search, too, but the ids, scores and vectors of the matches
    /// stand behind it as columns, see [`super::search_reply`].
    Packed,
    /// A JSON object on one line, and behind the line's end the block: float32 numbers, little
    /// endian, end to end. The reply is JSON.
    Float32,
    /// A message of the published `.proto`; a reply, too, but refusals and requests for embeddings
    /// are JSON.
    Protobuf,
}

impl Format {
    /// A format by its name.
    ///
    /// # Errors
    /// `UNSUPPORTED` for any other.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "json" => Ok(Format::Json),
            "packed" => Ok(Format::Packed),
            "float32" => Ok(Format::Float32),
            "protobuf" => Ok(Format::Protobuf),
            _ => {
                let name = fields::clip(name);
                let message = format!("format `{name}` is none of json, packed, float32, protobuf");
                Err(Error::new(ErrorCode::Unsupported, message).with("field", "format"))
            }
        }
    }

    /// The JSON of a body and the block: that of the body, else the one beside it.
    pub(super) fn read<'b>(
        self,
        verb: &str,
        body: &'b [u8],
        block: Vec<f32>,
    ) -> Result<(Cow<'b, [u8]>, Vec<f32>)> {
        let (json, own) = match self {
            Format::Json | Format::Packed => return Ok((Cow::Borrowed(body), block)),
            Format::Float32 => float32(body)?,
            Format::Protobuf => {
                let (json, numbers) = protobuf::request(verb, body)?;
                (Cow::Owned(json), numbers)
            }
        };
        if block.is_empty() {
            return Ok((json, own));
        }
        let message = "a body of this format has its own vectors, a block came beside it";
        Err(Error::invalid("block", message).with("numbers", block.len()))
    }

    /// A reply in this format from its JSON.
    ///
    /// # Errors
    /// `INTERNAL` where the reply does not fit its message.
    pub fn reply(self, verb: &str, json: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            Format::Json | Format::Packed | Format::Float32 => Ok(json),
            Format::Protobuf => protobuf::reply(verb, &json),
        }
    }
}

fn float32(body: &[u8]) -> Result<(Cow<'_, [u8]>, Vec<f32>)> {
    let Some(end) = body.iter().position(|&byte| byte == b'\n') else {
        let message = "the body has no line end behind its JSON";
        return Err(Error::invalid("body", message));
    };
    let (json, numbers) = body.split_at(end);
    let numbers = numbers.get(1..).unwrap_or_default();
    let (numbers, rest) = numbers.as_chunks::<4>();
    if !rest.is_empty() {
        let message = format!(
            "behind its JSON the body has {} bytes, no multiple of 4",
            numbers.len() * 4 + rest.len()
        );
        return Err(Error::invalid("body", message));
    }
    let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
    Ok((Cow::Borrowed(json), numbers.collect()))
}
