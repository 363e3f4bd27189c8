//! The values that conditions compare, and the bytes that they are indexed under.

use std::cmp::Ordering;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use crate::limits::FILTER_RANGE_BYTES_MAX;

/// A JSON value that is neither object nor list; ordered by type, then by value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Scalar {
    Null,
    Boolean(bool),
    Number(Number),
    String(Box<str>),
}

/// A finite double in an integer whose order is the double's; `-0.0` is `0.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number(u64);

const SIGN: u64 = 1 << 63;

impl Number {
    pub(super) fn new(value: f64) -> Number {
        // Adding zero makes -0.0 positive and changes nothing else.
        let bits = (value + 0.0).to_bits();
        Number(if bits & SIGN == 0 { bits | SIGN } else { !bits })
    }

    fn to_f64(self) -> f64 {
        f64::from_bits(if self.0 & SIGN == 0 {
            !self.0
        } else {
            self.0 & !SIGN
        })
    }
}

impl From<&serde_json::Number> for Number {
    fn from(number: &serde_json::Number) -> Number {
        // Every number of this JSON library has a double, and never one that is not finite.
        Number::new(number.as_f64().unwrap_or_default())
    }
}

impl Scalar {
    /// The value, or `None` for objects and lists.
    pub(super) fn of(value: &Value) -> Option<Scalar> {
        match value {
            Value::Null => Some(Scalar::Null),
            Value::Bool(value) => Some(Scalar::Boolean(*value)),
            Value::Number(number) => Some(Scalar::Number(number.into())),
            Value::String(value) => Some(Scalar::String(value.as_str().into())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// How a JSON value compares with this one, or `None` where their types differ.
    pub(super) fn compare(&self, value: &Value) -> Option<Ordering> {
        match (value, self) {
            (Value::Null, Scalar::Null) => Some(Ordering::Equal),
            (Value::Bool(value), Scalar::Boolean(operand)) => Some(value.cmp(operand)),
            (Value::Number(value), Scalar::Number(operand)) => {
                Some(Number::from(value).cmp(operand))
            }
            (Value::String(value), Scalar::String(operand)) => Some(value.as_str().cmp(operand)),
            _ => None,
        }
    }

    /// Replaces `key` by the bytes that this value is indexed under.
    pub(super) fn write_key(&self, key: &mut Vec<u8>) {
        key.clear();
        match self {
            Scalar::Null => append_null(key),
            Scalar::Boolean(value) => append_boolean(*value, key),
            Scalar::Number(number) => append_number(*number, key),
            Scalar::String(value) => append_string(value, key),
        }
    }
}

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
/// First byte of the keys of numbers; one more is the end of them.
pub(super) const NUMBER: u8 = 3;
/// First byte of the keys of strings; one more is the end of them.
pub(super) const STRING: u8 = 4;
const CUT: u8 = 0xFF;
const HASH_BYTES: usize = 16;

/// Appends the bytes that `null` is indexed under.
///
/// A key is a type byte and then, for numbers, 8 bytes and, for strings, their UTF-8, so that
/// keys of one type are in the order of the values.
pub(super) fn append_null(key: &mut Vec<u8>) {
    key.push(NULL);
}

/// Appends the bytes that a boolean is indexed under.
pub(super) fn append_boolean(value: bool, key: &mut Vec<u8>) {
    key.push(if value { TRUE } else { FALSE });
}

/// Appends the bytes that a number is indexed under.
pub(super) fn append_number(number: Number, key: &mut Vec<u8>) {
    key.push(NUMBER);
    key.extend_from_slice(&number.0.to_be_bytes());
}

/// Appends the bytes that a string is indexed under.
///
/// One of more than [`FILTER_RANGE_BYTES_MAX`] bytes is indexed by that many of its first bytes,
/// the byte 0xFF (which is in no UTF-8) and a hash of 128 bits: texts that happen to be kept in
/// metadata do not fill the memory. It is found by equality through the hash, and has the right
/// order to every operand, because no operand of an order is longer than what is kept of it.
pub(super) fn append_string(value: &str, key: &mut Vec<u8>) {
    key.push(STRING);
    match value.as_bytes().split_at_checked(FILTER_RANGE_BYTES_MAX) {
        Some((start, rest)) if !rest.is_empty() => {
            key.extend_from_slice(start);
            key.push(CUT);
            key.extend_from_slice(&xxh3_128(value.as_bytes()).to_be_bytes());
        }
        _ => key.extend_from_slice(value.as_bytes()),
    }
}

/// Whether bytes are a key that some value has.
pub(super) fn is_key(key: &[u8]) -> bool {
    match key {
        [NULL | FALSE | TRUE] => true,
        [NUMBER, bytes @ ..] => <[u8; 8]>::try_from(bytes).is_ok_and(|bytes| {
            let number = Number(u64::from_be_bytes(bytes));
            number.to_f64().is_finite() && Number::new(number.to_f64()) == number
        }),
        [STRING, bytes @ ..] if bytes.len() <= FILTER_RANGE_BYTES_MAX => {
            std::str::from_utf8(bytes).is_ok()
        }
        [STRING, bytes @ ..] => {
            bytes.len() == FILTER_RANGE_BYTES_MAX + 1 + HASH_BYTES
                && bytes[FILTER_RANGE_BYTES_MAX] == CUT
        }
        _ => false,
    }
}
