//! Metadata as it is stored, compact JSON with ascending keys: read and merged member by member,
//! so that what an update does not name is copied and never parsed.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::Metadata;
use super::{check_length, corrupted, merge, text_error};
use crate::error::Result;

/// A member of a stored object: its key, and its value as JSON.
pub(crate) type Member<'a> = (Cow<'a, str>, &'a str);

/// A key; owned only where it is written with escapes.
#[derive(Deserialize)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// Checks that bytes are a JSON object.
///
/// # Errors
/// `CORRUPTED` where they are not.
pub fn validate(bytes: &[u8]) -> Result<()> {
    match bytes.first() {
        Some(b'{') => serde_json::from_slice::<IgnoredAny>(bytes)
            .map(|_| ())
            .map_err(corrupted),
        _ => Err(corrupted("not an object")),
    }
}

/// The members of a stored object, keys ascending.
///
/// # Errors
/// `CORRUPTED` where the bytes are not a JSON object.
pub(crate) fn members(bytes: &[u8]) -> Result<Vec<Member<'_>>> {
    let text = std::str::from_utf8(bytes).map_err(corrupted)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members).map_err(corrupted)?;
    deserializer.end().map_err(corrupted)?;
    Ok(members)
}

/// Stored metadata changed as a JSON merge patch says (see [`super::merge`]); `None` where that
/// changes nothing.
///
/// # Errors
/// `INVALID_METADATA` where the result is too long; `CORRUPTED` where the stored bytes are not a
/// JSON object.
pub fn merged(stored: &[u8], patch: &Metadata) -> Result<Option<Vec<u8>>> {
    let mut object = ObjectWriter::with_capacity(stored.len() + SPARE_BYTES);
    let mut patch = patch.iter().peekable();
    for (key, value) in members(stored)? {
        while let Some((new, value)) = patch.next_if(|(new, _)| ***new < *key) {
            object.patched(new, None, value)?;
        }
        match patch.next_if(|(new, _)| ***new == *key) {
            Some((_, patch)) => object.patched(&key, Some(value), patch)?,
            None => object.raw(&key, value)?,
        }
    }
    for (new, value) in patch {
        object.patched(new, None, value)?;
    }
    let bytes = object.finish();
    if bytes == stored {
        return Ok(None);
    }
    // The depth needs no look: it is that of the patch or of what was stored, and both were
    // checked.
    check_length(&bytes)?;
    Ok(Some(bytes))
}

/// Room for what a patch usually adds.
const SPARE_BYTES: usize = 32;

/// Writes a compact JSON object.
struct ObjectWriter(Vec<u8>);

impl ObjectWriter {
    fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        ObjectWriter(out)
    }

    /// A member as a patch leaves it.
    fn patched(&mut self, key: &str, stored: Option<&str>, patch: &Value) -> Result<()> {
        match patch {
            Value::Null => Ok(()),
            Value::Object(patch) => {
                let stored: Option<Metadata> =
                    stored.and_then(|value| serde_json::from_str(value).ok());
                let mut value = stored.unwrap_or_default();
                merge(&mut value, patch);
                self.key(key)?;
                serde_json::to_writer(&mut self.0, &value).map_err(text_error)
            }
            value => {
                self.key(key)?;
                serde_json::to_writer(&mut self.0, value).map_err(text_error)
            }
        }
    }

    /// A member whose value is JSON already.
    fn raw(&mut self, key: &str, value: &str) -> Result<()> {
        self.key(key)?;
        self.0.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn key(&mut self, key: &str) -> Result<()> {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        serde_json::to_writer(&mut self.0, key).map_err(text_error)?;
        self.0.push(b':');
        Ok(())
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// Collects the members of an object.
struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<Member<'a>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        const USUAL: usize = 8;
        let mut members = Vec::with_capacity(USUAL);
        while let Some((Key(key), value)) = map.next_entry::<_, &RawValue>()? {
            members.push((key, value.get()));
        }
        Ok(members)
    }
}
