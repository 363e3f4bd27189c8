//! The fields of one JSON object, taken by name: what is left over at the end is refused.
//!
//! One reader serves bodies and elements alike. Values stay raw text until they are taken, so
//! that a bad one is reported by its field's name, and a bad element fails alone.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::raw::Raw;
use super::value;
use crate::error::{Error, ErrorCode, Result};

/// Characters of a caller's text that an error message repeats.
const CLIP_CHARACTERS: usize = 64;

/// The fields of an object that were not taken yet.
#[derive(Default)]
pub(super) struct Fields<'a> {
    /// A name is owned only where it is written with escapes.
    entries: Vec<(Cow<'a, str>, Raw<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The fields of a request's body.
    pub(super) fn of_body(text: &'a str) -> Result<Self> {
        let body = Raw::scan(text).map_err(|error| not_json(&error))?;
        let mut fields = Fields::default();
        fields.read("the body", body)?;
        Ok(fields)
    }

    /// Adds the fields that came beside the body.
    pub(super) fn add(&mut self, text: &'a str) -> Result<()> {
        let beside = Raw::scan(text)
            .map_err(|error| Error::invalid("verb", format!("the line's fields: {error}")))?;
        self.extend("the line's fields", beside)
    }

    /// The fields that were not taken.
    pub(super) fn rest(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.entries.iter().map(|(name, raw)| (&**name, *raw))
    }

    /// Forgets the object read before and reads the next; `what` names it in errors.
    pub(super) fn read(&mut self, what: &str, raw: Raw<'a>) -> Result<()> {
        self.known.clear();
        self.entries.clear();
        self.extend(what, raw)
    }

    fn extend(&mut self, what: &str, raw: Raw<'a>) -> Result<()> {
        if !raw.get().starts_with('{') {
            let message = format!("{what} must be an object, not {}", value::kind(raw));
            return Err(Error::new(ErrorCode::InvalidArgument, message));
        }
        for (name, value) in raw.entries() {
            let name = read_name(name).map_err(|error| {
                // The syntax was checked before; a name may still be half of a surrogate pair.
                Error::new(
                    ErrorCode::InvalidArgument,
                    format!("{what} has an unreadable name: {error}"),
                )
            })?;
            self.entries.push((name, value));
        }
        Ok(())
    }

    /// Takes a field's raw value; `None` where it is absent or `null`.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Raw<'a>> {
        self.known.push(name);
        let place = self.entries.iter().position(|(entry, _)| entry == name)?;
        let (_, raw) = self.entries.remove(place);
        (raw.get() != "null").then_some(raw)
    }

    /// Takes a string; a malformed one is an error with this code.
    pub(super) fn string(&mut self, name: &'static str, code: ErrorCode) -> Result<Option<String>> {
        self.take(name)
            .map(|raw| value::string(name, raw, code))
            .transpose()
    }

    /// Takes `true` or `false`.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>> {
        self.take(name)
            .map(|raw| value::boolean(name, raw))
            .transpose()
    }

    /// Takes an integer that is not negative.
    pub(super) fn integer(&mut self, name: &'static str) -> Result<Option<u64>> {
        self.take(name)
            .map(|raw| value::integer(name, raw))
            .transpose()
    }

    /// Takes an integer within limits; one outside of them is an error with this code.
    pub(super) fn integer_in(
        &mut self,
        name: &'static str,
        limits: RangeInclusive<usize>,
        unit: &'static str,
        code: ErrorCode,
    ) -> Result<Option<usize>> {
        let Some(actual) = self.integer(name)? else {
            return Ok(None);
        };
        match usize::try_from(actual) {
            Ok(value) if limits.contains(&value) => Ok(Some(value)),
            _ => {
                let (minimum, limit) = limits.into_inner();
                let message = format!("`{name}` is {actual}, expected {minimum} to {limit} {unit}");
                Err(Error::new(code, message)
                    .with("field", name)
                    .with("minimum", minimum)
                    .with("limit", limit)
                    .with("actual", actual)
                    .with("unit", unit))
            }
        }
    }

    /// Takes a list, whose elements nobody has looked at yet.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Option<Raw<'a>>> {
        self.take(name)
            .map(|raw| value::list(name, raw))
            .transpose()
    }

    /// Takes one of a closed list of words.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>> {
        self.take(name)
            .map(|raw| value::word(name, raw, words))
            .transpose()
    }

    /// Takes the collection's name.
    pub(super) fn collection(&mut self) -> Result<String> {
        self.string("collection", ErrorCode::InvalidArgument)?
            .ok_or_else(|| missing("collection"))
    }

    /// Refuses what was not taken.
    pub(super) fn finish(&mut self) -> Result<()> {
        let Some((name, _)) = self.entries.first() else {
            return Ok(());
        };
        let name = clip(name);
        let message = if self.known.contains(&name.as_str()) {
            format!("field `{name}` stands twice")
        } else {
            format!(
                "unknown field `{name}`, expected one of {}",
                self.known.join(", ")
            )
        };
        Err(Error::invalid(&name, message))
    }
}

/// The error of a field that must be there.
pub(super) fn missing(name: &str) -> Error {
    Error::invalid(name, format!("`{name}` is missing"))
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::invalid("body", format!("the body is not JSON: {error}"))
        .with("line", error.line())
        .with("column", error.column())
}

/// The start of a caller's text, short enough for a message.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(CLIP_CHARACTERS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn read_name(raw: Raw<'_>) -> serde_json::Result<Cow<'_, str>> {
    match raw.get().get(1..raw.get().len().saturating_sub(1)) {
        Some(name) if !name.contains('\\') => Ok(Cow::Borrowed(name)),
        _ => serde_json::from_str(raw.get()).map(Cow::Owned),
    }
}
