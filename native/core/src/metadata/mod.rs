//! What a record's metadata may hold, its stored form, and the merge of an update.
//!
//! Metadata is stored as compact JSON text, so its types are kept: `1` stays an integer, `1.0`
//! and `1e300` stay floats with the very same value.

mod pointer;
mod stored;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use pointer::Pointer;
pub(crate) use stored::{Key, Member, members};
pub use stored::{merged, validate};

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{INTEGER_MAGNITUDE_MAX, METADATA_BYTES_MAX, METADATA_DEPTH_MAX};

/// A record's metadata: a JSON object.
pub type Metadata = serde_json::Map<String, Value>;

/// Checks metadata against every limit and returns its compact JSON text.
///
/// Refused with `INVALID_METADATA`, where `field` is the offender's JSON pointer from the
/// operation down (`/metadata/author/name`): nesting beyond [`METADATA_DEPTH_MAX`], a key at any
/// level that begins with `$`, an integer beyond [`INTEGER_MAGNITUDE_MAX`], and a text longer
/// than [`METADATA_BYTES_MAX`]. Floats of any size are kept. An integer of more than 64 bits is
/// a float by the time that JSON has been read, and is kept as that.
pub fn check(metadata: &Metadata) -> Result<Vec<u8>> {
    let pointer = Pointer::root("metadata");
    check_object(metadata, 1, &pointer)?;
    let bytes = serde_json::to_vec(metadata).map_err(text_error)?;
    check_length(&bytes)?;
    Ok(bytes)
}

fn check_length(bytes: &[u8]) -> Result<()> {
    if bytes.len() > METADATA_BYTES_MAX {
        let pointer = Pointer::root("metadata");
        return Err(limit(&pointer, METADATA_BYTES_MAX, bytes.len(), "bytes"));
    }
    Ok(())
}

/// Changes `target` as a JSON merge patch says (RFC 7396, section 2), at every level: `null`
/// removes a key, an object is merged into the one that is there, all else takes its place.
pub fn merge(target: &mut Metadata, patch: &Metadata) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => match target.get_mut(key) {
                Some(Value::Object(target)) => merge(target, patch),
                _ => {
                    let mut fresh = Metadata::new();
                    merge(&mut fresh, patch);
                    target.insert(key.clone(), Value::Object(fresh));
                }
            },
            _ => {
                target.insert(key.clone(), value.clone());
            }
        }
    }
}

fn check_object(object: &Metadata, level: usize, pointer: &Pointer) -> Result<()> {
    check_level(level, pointer)?;
    for (key, value) in object {
        let pointer = pointer.key(key);
        if key.starts_with('$') {
            let message = format!("{pointer}: a metadata key may not begin with $");
            return Err(Error::new(ErrorCode::InvalidMetadata, message)
                .with("field", pointer.to_string())
                .with("actual", key.as_str()));
        }
        check_value(value, level, &pointer)?;
    }
    Ok(())
}

/// Checks a value that stands in an object or list of the given level.
fn check_value(value: &Value, level: usize, pointer: &Pointer) -> Result<()> {
    match value {
        Value::Object(object) => check_object(object, level + 1, pointer),
        Value::Array(list) => {
            check_level(level + 1, pointer)?;
            list.iter().enumerate().try_for_each(|(place, element)| {
                check_value(element, level + 1, &pointer.place(place))
            })
        }
        Value::Number(number) if !is_exact(number) => Err(Error::new(
            ErrorCode::InvalidMetadata,
            format!(
                "{pointer} is {number}: integers go up to {INTEGER_MAGNITUDE_MAX} either way; \
                 keep larger ones as strings"
            ),
        )
        .with("field", pointer.to_string())
        .with("limit", INTEGER_MAGNITUDE_MAX)
        .with("actual", value.clone())),
        _ => Ok(()),
    }
}

/// Whether a number is a float, or an integer that every double-based reader gets unchanged.
pub(crate) fn is_exact(number: &serde_json::Number) -> bool {
    if let Some(integer) = number.as_i64() {
        integer.unsigned_abs() <= INTEGER_MAGNITUDE_MAX
    } else {
        !number.is_u64()
    }
}

fn check_level(level: usize, pointer: &Pointer) -> Result<()> {
    if level > METADATA_DEPTH_MAX {
        return Err(limit(pointer, METADATA_DEPTH_MAX, level, "levels"));
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
fn text_error(error: serde_json::Error) -> Error {
    Error::internal(format!("metadata has no JSON text: {error}"))
}

fn corrupted(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::Corrupted, format!("stored metadata: {reason}"))
}

fn limit(pointer: &Pointer, limit: usize, actual: usize, unit: &'static str) -> Error {
    Error::limit(
        ErrorCode::InvalidMetadata,
        &pointer.to_string(),
        limit,
        actual,
        unit,
    )
}
