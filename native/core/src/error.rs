//! The closed list of codes and the one error type that crosses the engine's door.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident => $name:literal, $retriable:literal;)*) => {
        /// Machine-readable cause of a failure; the same strings on every surface.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as it stands on the wire, e.g. `INVALID_VECTOR`.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorCode::$variant => $name,)* }
            }

            /// The code of a word; `None` for what is no code.
            pub fn parse(word: &str) -> Option<ErrorCode> {
                ErrorCode::ALL.iter().copied().find(|code| code.as_str() == word)
            }

            /// Whether the same request may succeed later without being changed.
            pub fn retriable(self) -> bool {
                match self { $(ErrorCode::$variant => $retriable,)* }
            }
        }
    };
}

error_codes! {
    /// An id is missing, empty, too long or not a string.
    InvalidId => "INVALID_ID", false;
    /// A vector is empty, has a number that is not finite, or is zero where the metric forbids it.
    InvalidVector => "INVALID_VECTOR", false;
    /// A vector's length is not the collection's dimension.
    DimensionMismatch => "DIMENSION_MISMATCH", false;
    /// Metadata is no object, too large, too deep, or has a key or number that is refused.
    InvalidMetadata => "INVALID_METADATA", false;
    /// A query has neither or both of vector and text, or a value out of range.
    InvalidQuery => "INVALID_QUERY", false;
    /// A filter is malformed.
    InvalidFilter => "INVALID_FILTER", false;
    /// A request, option or field is unknown, malformed or contradicts another.
    InvalidArgument => "INVALID_ARGUMENT", false;
    /// An insert met an id that exists.
    AlreadyExists => "ALREADY_EXISTS", false;
    /// An update, delete or get met an id that does not exist.
    NotFound => "NOT_FOUND", false;
    /// The id stands twice in one plain batch.
    DuplicateId => "DUPLICATE_ID", false;
    /// `if_version` did not hold.
    ConditionFailed => "CONDITION_FAILED", false;
    /// The operation is valid, but its atomic batch or group failed.
    BatchAborted => "BATCH_ABORTED", false;
    /// The idempotency key was used for another request.
    IdempotencyMismatch => "IDEMPOTENCY_MISMATCH", false;
    /// The request with this idempotency key is still running.
    IdempotencyInFlight => "IDEMPOTENCY_IN_FLIGHT", true;
    /// No collection has this name.
    CollectionNotFound => "COLLECTION_NOT_FOUND", false;
    /// A collection with this name exists.
    CollectionExists => "COLLECTION_EXISTS", false;
    /// The batch has more operations or bytes than allowed.
    BatchTooLarge => "BATCH_TOO_LARGE", false;
    /// One request needs more memory than the whole budget.
    MemoryLimitExceeded => "MEMORY_LIMIT_EXCEEDED", false;
    /// The budget is used up for now.
    Overloaded => "OVERLOADED", true;
    /// The embedder failed.
    EmbeddingFailed => "EMBEDDING_FAILED", true;
    /// The caller cancelled before the commit.
    Cancelled => "CANCELLED", true;
    /// The deadline passed before the commit.
    DeadlineExceeded => "DEADLINE_EXCEEDED", true;
    /// No valid key was given.
    Unauthenticated => "UNAUTHENTICATED", false;
    /// The key does not allow this.
    PermissionDenied => "PERMISSION_DENIED", false;
    /// Another process has the store open.
    StoreLocked => "STORE_LOCKED", true;
    /// A log write failed earlier; writes are refused until the store is opened again.
    StorePoisoned => "STORE_POISONED", false;
    /// The store or collection was closed.
    StoreClosed => "STORE_CLOSED", false;
    /// A file does not hold what was written to it.
    Corrupted => "CORRUPTED", false;
    /// Valid, but not offered here.
    Unsupported => "UNSUPPORTED", false;
    /// A fault of Volley's own.
    Internal => "INTERNAL", false;
}

impl Serialize for ErrorCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A failure with its code, a sentence for people, and the values that the sentence names.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What programs branch on.
    pub code: ErrorCode,
    /// What people read; never parsed.
    pub message: String,
    /// The values that the message names: `field`, `limit`, `actual`, `unit` and the like.
    pub details: Map<String, Value>,
}

/// Result with the engine's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Error {
            code,
            message: message.into(),
            details: Map::new(),
        }
    }

    /// Adds one value that the message names.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// A value beyond a limit: the message and the details name field, limit, actual and unit.
    pub fn limit(
        code: ErrorCode,
        field: &str,
        limit: usize,
        actual: usize,
        unit: &'static str,
    ) -> Self {
        Error::new(
            code,
            format!("{field} is {actual} {unit}, the limit is {limit} {unit}"),
        )
        .with("field", field)
        .with("limit", limit)
        .with("actual", actual)
        .with("unit", unit)
    }

    /// A malformed request, option or field.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Error::new(ErrorCode::InvalidArgument, message).with("field", field)
    }

    /// A fault of our own; the message says which invariant did not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorCode::Internal, message)
    }

    /// A file that does not hold what was written to it.
    pub fn corrupted(path: &str, message: impl fmt::Display) -> Self {
        Error::new(ErrorCode::Corrupted, format!("{path}: {message}")).with("path", path)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_wire_form() {
        let mut names: Vec<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), 30);
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 30);
    }

    #[test]
    fn a_limit_error_names_field_limit_actual_and_unit() {
        let error = Error::limit(ErrorCode::InvalidId, "id", 512, 600, "bytes");
        assert_eq!(error.message, "id is 600 bytes, the limit is 512 bytes");
        assert_eq!(error.details["limit"], 512);
    }
}
