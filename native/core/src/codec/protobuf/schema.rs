//! The messages of the published `.proto`, read from its text.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The published file. What is no message (syntax, import, service) is left to other readers.
const PROTO: &str = include_str!("../../../../../proto/volley.proto");

static MESSAGES: LazyLock<HashMap<&'static str, Message>> = LazyLock::new(|| parse(PROTO));

/// A field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// `int32` and `int64`: the same varint on the wire.
    Integer,
    Double,
    Float,
    String,
    /// `google.protobuf.Struct`: a JSON object.
    Struct,
    Message(&'static str),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) is_repeated: bool,
}

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
}

impl Message {
    /// The one field of a message that stands for a list, so that an empty list is not an absent
    /// one: in JSON it is the list itself.
    pub(super) fn list(&self) -> Option<&Field> {
        match self.fields.as_slice() {
            [field] if field.is_repeated && field.name == "values" => Some(field),
            _ => None,
        }
    }
}

/// A message by its name.
pub(super) fn message(name: &str) -> Option<&'static Message> {
    MESSAGES.get(name)
}

/// Messages are not nested and have neither maps nor alternatives: each field is one line.
fn parse(proto: &'static str) -> HashMap<&'static str, Message> {
    let mut messages = HashMap::new();
    let mut open: Option<(&'static str, Message)> = None;
    for line in proto.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("message ") {
            let name = name.trim_end_matches(['{', '}', ' ']);
            open = Some((name, Message::default()));
        } else if let Some((_, message)) = &mut open {
            message.fields.extend(field(line));
        }
        if line.ends_with('}') {
            messages.extend(open.take());
        }
    }
    messages
}

/// `[optional|repeated] type name = number;`
fn field(line: &'static str) -> Option<Field> {
    let mut words = line.strip_suffix(';')?.split_ascii_whitespace();
    let mut first = words.next()?;
    let is_repeated = first == "repeated";
    if is_repeated || first == "optional" {
        first = words.next()?;
    }
    let kind = match first {
        "bool" => Kind::Bool,
        "int32" | "int64" => Kind::Integer,
        "double" => Kind::Double,
        "float" => Kind::Float,
        "string" => Kind::String,
        "google.protobuf.Struct" => Kind::Struct,
        name => Kind::Message(name),
    };
    let name = words.next()?;
    let number = words.nth(1)?.parse().ok()?;
    Some(Field {
        name,
        number,
        kind,
        is_repeated,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_line_of_a_message_is_a_field_and_every_type_is_known() {
        let body = PROTO.split_once("\nmessage ").unwrap().1;
        let lines = body
            .lines()
            .map(str::trim)
            .filter(|line| line.ends_with(';'));
        let fields = MESSAGES.values().flat_map(|message| &message.fields);
        assert_eq!(lines.count(), fields.clone().count());
        for field in fields {
            if let Kind::Message(name) = field.kind {
                assert!(message(name).is_some(), "{name}");
            }
        }
        assert_eq!(MESSAGES.len(), PROTO.matches("\nmessage ").count());
    }

    #[test]
    fn numbers_are_unique_within_a_message() {
        for message in MESSAGES.values() {
            let mut numbers: Vec<_> = message.fields.iter().map(|field| field.number).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), message.fields.len());
        }
    }
}
