//! Values cut out of JSON text that is known to be valid.
//!
//! serde_json scans a body once, as a whole, and refuses what is no JSON. Whoever takes the body
//! apart afterwards need not judge it again, and so passes over most of its bytes in blocks.

use serde_json::value::RawValue;

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// One value's text, without white space around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The value that a text is, with or without white space around it.
    ///
    /// # Errors
    /// Where the text is no JSON, with the line and the column.
    pub(super) fn scan(text: &'a str) -> serde_json::Result<Self> {
        let raw: &RawValue = serde_json::from_str(text)?;
        Ok(Raw(raw.get()))
    }

    /// The text.
    pub(super) fn get(self) -> &'a str {
        self.0
    }

    /// The elements of a list.
    pub(super) fn elements(self) -> impl Iterator<Item = Raw<'a>> {
        self.parts()
    }

    /// The names, still as JSON strings, and the values of an object.
    pub(super) fn entries(self) -> impl Iterator<Item = (Raw<'a>, Raw<'a>)> {
        let mut parts = self.parts();
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    fn parts(self) -> Parts<'a> {
        let inside = self.0.len().saturating_sub(1);
        Parts {
            rest: self.0.get(1..inside).unwrap_or_default(),
        }
    }
}

/// What stands between the brackets of a list or an object.
struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let rest = self.rest.trim_start_matches(is_between);
        let (value, rest) = rest.split_at_checked(value_len(rest.as_bytes()))?;
        self.rest = rest;
        (!value.is_empty()).then_some(Raw(value))
    }
}

/// Whether a character separates values, or a name from its value.
fn is_between(character: char) -> bool {
    matches!(character, ',' | ':' | ' ' | '\n' | '\r' | '\t')
}

/// The bytes of the value that a text begins with.
fn value_len(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => string_end(text, 0),
        Some(b'[' | b'{') => nested_len(text),
        _ => {
            let end = text.iter().position(|&byte| is_between(byte.into()));
            end.unwrap_or(text.len())
        }
    }
}

/// The bytes of a list or an object.
fn nested_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut place = 0;
    while let Some(rest) = text.get(place..) {
        place += plain_len(rest);
        match text.get(place) {
            Some(b'"') => {
                place = string_end(text, place);
                continue;
            }
            Some(b'[' | b'{') => depth += 1,
            Some(_) => depth = depth.saturating_sub(1),
            None => break,
        }
        place += 1;
        if depth == 0 {
            return place;
        }
    }
    text.len()
}

/// How many bytes come before the next quote or bracket.
fn plain_len(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK>();
    // Without a way out of the middle, a block is compared with vector instructions.
    let is_plain = |block: &&[u8; BLOCK]| block.iter().fold(0, |any, &byte| any | mark(byte)) == 0;
    let passed = blocks.iter().take_while(is_plain).count() * BLOCK;
    let rest = text.get(passed..).unwrap_or_default();
    passed
        + rest
            .iter()
            .position(|&byte| mark(byte) != 0)
            .unwrap_or(rest.len())
}

/// 1 for a quote or a bracket, else 0: numbers, where a choice of characters would be a jump.
fn mark(byte: u8) -> u8 {
    // Square brackets differ from curly ones in this bit alone.
    let curly = byte | 0x20;
    u8::from(byte == b'"') | u8::from(curly == b'{') | u8::from(curly == b'}')
}

/// The place behind the closing quote of the string that begins at a place.
pub(super) fn string_end(text: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while let Some(byte) = text.get(place) {
        match byte {
            b'"' => return place + 1,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            "[\\[\\]{}\",: \\\\aü\n]{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map("[\\]}\"\\\\,:a]{0,40}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The value put together again from its parts.
    fn reassembled(raw: Raw<'_>) -> Value {
        let text = raw.get();
        if text.starts_with('[') {
            return raw.elements().map(reassembled).collect();
        }
        if text.starts_with('{') {
            let entries = raw.entries().map(|(name, value)| {
                let name: String = serde_json::from_str(name.get()).unwrap();
                (name, reassembled(value))
            });
            return Value::Object(entries.collect());
        }
        serde_json::from_str(text).unwrap()
    }

    proptest! {
        #[test]
        fn the_parts_of_a_value_are_the_value(value in any_json(), is_pretty in any::<bool>()) {
            let text = if is_pretty { format!("\n {value:#}\t") } else { value.to_string() };
            prop_assert_eq!(reassembled(Raw::scan(&text).unwrap()), value);
        }

        #[test]
        fn text_that_is_not_valid_is_cut_somewhere(text in "[\\[\\]{}\",: \\\\1aü]{0,100}") {
            let pieces = Raw(&text).elements().count() + Raw(&text).entries().count();
            prop_assert!(pieces <= 2 * text.len());
        }
    }
}
