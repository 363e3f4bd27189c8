//! Single JSON values, with errors that name the field and what stood there instead.

use serde_json::Value;

use super::fields::clip;
use super::raw::{Raw, string_end};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::INTEGER_MAGNITUDE_MAX;
use crate::metadata::Metadata;

/// What kind of value it is, for messages.
pub(super) fn kind(raw: Raw<'_>) -> &'static str {
    kind_of(raw.get().as_bytes())
}

fn kind_of(text: &[u8]) -> &'static str {
    match text.first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// A value of the wrong kind.
fn wrong(name: &str, raw: Raw<'_>, expected: &str, code: ErrorCode) -> Error {
    Error::new(
        code,
        format!("`{name}` must be {expected}, not {}", kind(raw)),
    )
    .with("field", name)
}

pub(super) fn string(name: &str, raw: Raw<'_>, code: ErrorCode) -> Result<String> {
    if !raw.get().starts_with('"') {
        return Err(wrong(name, raw, "a string", code));
    }
    serde_json::from_str(raw.get()).map_err(|_| {
        Error::new(
            code,
            format!("`{name}` has an escape that is half of a surrogate pair"),
        )
        .with("field", name)
    })
}

pub(super) fn boolean(name: &str, raw: Raw<'_>) -> Result<bool> {
    match raw.get() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(wrong(
            name,
            raw,
            "true or false",
            ErrorCode::InvalidArgument,
        )),
    }
}

/// An integer from 0 to 2^53; `10.0` and `1e1` are the same number as `10`.
pub(super) fn integer(name: &str, raw: Raw<'_>) -> Result<u64> {
    let number = number(name, raw, ErrorCode::InvalidArgument)?;
    if number.fract() != 0.0 || !(0.0..=INTEGER_MAGNITUDE_MAX as f64).contains(&number) {
        let message =
            format!("`{name}` is {number}, expected an integer from 0 to {INTEGER_MAGNITUDE_MAX}");
        return Err(Error::invalid(name, message));
    }
    Ok(number as u64)
}

/// A number; one beyond double precision is infinite.
pub(super) fn number(name: &str, raw: Raw<'_>, code: ErrorCode) -> Result<f64> {
    if !is_number(raw.get()) {
        return Err(wrong(name, raw, "a number", code));
    }
    raw.get()
        .parse()
        .map_err(|_| wrong(name, raw, "a number", code))
}

pub(super) fn list<'a>(name: &str, raw: Raw<'a>) -> Result<Raw<'a>> {
    if !raw.get().starts_with('[') {
        return Err(wrong(name, raw, "a list", ErrorCode::InvalidArgument));
    }
    Ok(raw)
}

/// One of a closed list of words.
pub(super) fn word<T: Copy>(name: &str, raw: Raw<'_>, words: &[(&'static str, T)]) -> Result<T> {
    let given = string(name, raw, ErrorCode::InvalidArgument)?;
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let expected: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let (given, expected) = (clip(&given), expected.join(", "));
            let message = format!("`{name}` is `{given}`, expected one of {expected}");
            Err(Error::invalid(name, message).with("actual", given))
        }
    }
}

pub(super) fn metadata(raw: Raw<'_>) -> Result<Metadata> {
    if !raw.get().starts_with('{') {
        return Err(wrong(
            "metadata",
            raw,
            "an object",
            ErrorCode::InvalidMetadata,
        ));
    }
    refuse_wide_integers("metadata", raw, ErrorCode::InvalidMetadata)?;
    serde_json::from_str(raw.get()).map_err(|error| {
        Error::new(
            ErrorCode::InvalidMetadata,
            format!("`metadata` is unreadable: {error}"),
        )
        .with("field", "metadata")
    })
}

/// Refuses an integer anywhere in a value that 64 bits do not hold.
pub(super) fn refuse_wide_integers(name: &str, raw: Raw<'_>, code: ErrorCode) -> Result<()> {
    let Some(integer) = wide_integer(raw.get()) else {
        return Ok(());
    };
    let integer = clip(integer);
    let message = format!(
        "`{name}` has {integer}: integers go up to {INTEGER_MAGNITUDE_MAX} either way; keep larger \
         ones as strings"
    );
    Err(Error::new(code, message)
        .with("field", name)
        .with("limit", INTEGER_MAGNITUDE_MAX)
        .with("actual", integer))
}

/// The first integer that 64 bits do not hold: once parsed it would be a float, and nobody could
/// tell any more that digits were lost.
fn wide_integer(json: &str) -> Option<&str> {
    /// Every integer of fewer characters fits.
    const WIDE: usize = 19;
    let bytes = json.as_bytes();
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'"' => place = string_end(bytes, place),
            b'-' | b'0'..=b'9' => {
                let rest = &bytes[place..];
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                let token = &json[place..place + length];
                if length >= WIDE && is_wide(token) {
                    return Some(token);
                }
                place += length;
            }
            _ => place += 1,
        }
    }
    None
}

fn is_wide(number: &str) -> bool {
    let is_integer = !number.contains(['.', 'e', 'E']);
    is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

/// Any value; nesting beyond 127 levels is refused.
pub(super) fn any(name: &str, raw: Raw<'_>, code: ErrorCode) -> Result<Value> {
    serde_json::from_str(raw.get()).map_err(|error| {
        Error::new(code, format!("`{name}` is unreadable: {error}")).with("field", name)
    })
}

/// Appends a list's numbers as single precision, each rounded once; one beyond it is infinite.
///
/// Nothing is appended where an element is no number.
pub(super) fn numbers(name: &str, raw: Raw<'_>, out: &mut Vec<f32>) -> Result<usize> {
    let Some(mut rest) = raw.get().as_bytes().strip_prefix(b"[") else {
        let code = ErrorCode::InvalidVector;
        return Err(wrong(name, raw, "a list of numbers", code));
    };
    let start = out.len();
    loop {
        rest = rest.trim_ascii_start();
        // The parser alone would take `inf` as well.
        let number = match rest.first() {
            Some(b'-' | b'0'..=b'9') => fast_float2::parse_partial(rest).ok(),
            Some(b']') | None => return Ok(out.len() - start),
            Some(_) => None,
        };
        let Some((number, length)) = number else {
            let position = out.len() - start;
            out.truncate(start);
            let message = format!(
                "`{name}[{position}]` must be a number, not {}",
                kind_of(rest)
            );
            return Err(Error::new(ErrorCode::InvalidVector, message)
                .with("field", name)
                .with("position", position));
        };
        out.push(number);
        rest = rest.get(length..).unwrap_or_default().trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
}

/// Whether the text of a JSON value is a number's; `parse` alone would take `inf` as well.
fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}
