//! JSON text written straight into a buffer.

use serde::Serialize;
use serde_json::{Map, Value};

/// An object in the making; [`Object::end`] closes it.
///
/// Names are the codec's own and need no escapes; two fields of one name are the caller's fault.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    separator: u8,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        Object {
            out,
            separator: b'{',
        }
    }

    /// Writes a field's name; the value must follow.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.push(self.separator);
        self.separator = b',';
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a field.
    pub(super) fn field(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        append(self.name(name), value);
        self
    }

    /// Writes a field whose value is JSON text already.
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) -> &mut Self {
        self.name(name).extend_from_slice(json);
        self
    }

    /// Writes the fields of a map that are not among `taken`.
    pub(super) fn map(&mut self, map: &Map<String, Value>, taken: &[&str]) -> &mut Self {
        for (name, value) in map
            .iter()
            .filter(|(name, _)| !taken.contains(&name.as_str()))
        {
            self.field(name, value);
        }
        self
    }

    pub(super) fn end(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

/// Appends one value.
pub(in crate::codec) fn append(out: &mut Vec<u8>, value: impl Serialize) {
    // Neither does a vector refuse bytes, nor has any value here a key that is no string.
    let written = serde_json::to_writer(out, &value);
    debug_assert!(written.is_ok());
}

/// Appends a list.
pub(super) fn append_list<T>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = T>,
    mut append_entry: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append_entry(out, entry);
    }
    out.push(b']');
}
