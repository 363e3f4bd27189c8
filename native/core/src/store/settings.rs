//! How a store treats batches: the keys of the configuration's `batch_operations`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// How a store treats batches. Each key can be set on its own, above one of three presets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchOperations {
    /// Most operations (or queries) of one call on served doors, 1 to 1,000,000.
    pub max_batch_size: usize,
    /// The memory that requests in flight and staged may take, in MiB, 1 to 1,048,576.
    pub max_memory_usage_mb: usize,
    /// Chunks of one stream that are in work at the same time, 1 to 256.
    pub parallel_workers: usize,
    /// Operations of a stream's first chunk, 1 to 100,000; further ones grow to ten times as many.
    pub chunk_size: usize,
    /// Whether a write that does not say is all or nothing.
    pub atomic_by_default: bool,
    /// Whether progress is reported and kept of batches that have ended.
    pub progress_reporting: bool,
    /// How often a failed embedding is tried again, 0 to 100.
    pub error_retry_attempts: usize,
    /// The pause before the first of these, in milliseconds, 0 to 60,000; it doubles each time.
    pub error_retry_delay_ms: usize,
}

impl Default for BatchOperations {
    fn default() -> Self {
        BatchOperations {
            max_batch_size: 1000,
            max_memory_usage_mb: 512,
            parallel_workers: 4,
            chunk_size: 100,
            atomic_by_default: true,
            progress_reporting: true,
            error_retry_attempts: 3,
            error_retry_delay_ms: 100,
        }
    }
}

/// Name, least and most of every key that is a number.
const RANGES: [(&str, usize, usize); 6] = [
    ("max_batch_size", 1, 1_000_000),
    ("max_memory_usage_mb", 1, 1 << 20),
    ("parallel_workers", 1, 256),
    ("chunk_size", 1, 100_000),
    ("error_retry_attempts", 0, 100),
    ("error_retry_delay_ms", 0, 60_000),
];

const FLAGS: [&str; 2] = ["atomic_by_default", "progress_reporting"];

impl BatchOperations {
    /// Many large batches on a machine of its own.
    pub fn high_performance() -> Self {
        BatchOperations {
            max_batch_size: 10_000,
            max_memory_usage_mb: 2048,
            parallel_workers: 16,
            chunk_size: 1000,
            atomic_by_default: false,
            ..BatchOperations::default()
        }
    }

    /// Little memory.
    pub fn memory_conscious() -> Self {
        BatchOperations {
            max_memory_usage_mb: 256,
            parallel_workers: 2,
            progress_reporting: false,
            ..BatchOperations::default()
        }
    }

    /// Small numbers, so that limits are met early.
    pub fn development() -> Self {
        BatchOperations {
            max_batch_size: 100,
            max_memory_usage_mb: 128,
            parallel_workers: 1,
            chunk_size: 10,
            ..BatchOperations::default()
        }
    }

    /// Reads `{preset?, key: value, ...}`; what is absent or `null` is the preset's.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown key, a value of the wrong kind or out of range.
    pub fn parse(given: &Map<String, Value>) -> Result<Self> {
        let base = preset(given.get("preset"))?;
        let Ok(Value::Object(mut keys)) = serde_json::to_value(&base) else {
            return Err(Error::internal("the settings cannot be encoded"));
        };
        for (key, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            if key != "preset" {
                check(key, value)?;
                keys.insert(key.clone(), value.clone());
            }
        }
        serde_json::from_value(Value::Object(keys))
            .map_err(|error| Error::invalid("batch_operations", error.to_string()))
    }

    /// The memory that requests may take, in bytes.
    pub fn budget_bytes(&self) -> usize {
        self.max_memory_usage_mb << 20
    }
}

fn preset(name: Option<&Value>) -> Result<BatchOperations> {
    match name {
        None | Some(Value::Null) => Ok(BatchOperations::default()),
        Some(Value::String(name)) if name == "high-performance" => {
            Ok(BatchOperations::high_performance())
        }
        Some(Value::String(name)) if name == "memory-conscious" => {
            Ok(BatchOperations::memory_conscious())
        }
        Some(Value::String(name)) if name == "development" => Ok(BatchOperations::development()),
        Some(other) => {
            let message = format!(
                "`preset` is {other}, expected high-performance, memory-conscious or development"
            );
            Err(Error::invalid("batch_operations.preset", message))
        }
    }
}

fn check(key: &str, value: &Value) -> Result<()> {
    let field = format!("batch_operations.{key}");
    if FLAGS.contains(&key) {
        return match value {
            Value::Bool(_) => Ok(()),
            _ => Err(Error::invalid(
                &field,
                format!("`{key}` is {value}, expected true or false"),
            )),
        };
    }
    let Some((_, least, most)) = RANGES.iter().find(|(name, _, _)| *name == key) else {
        let known: Vec<_> = RANGES
            .iter()
            .map(|(name, _, _)| *name)
            .chain(FLAGS)
            .collect();
        let message = format!(
            "unknown key `{key}`, expected one of preset, {}",
            known.join(", ")
        );
        return Err(Error::invalid(&field, message));
    };
    match value.as_u64() {
        Some(number) if (*least as u64..=*most as u64).contains(&number) => Ok(()),
        _ => {
            let message = format!("`{key}` is {value}, expected an integer from {least} to {most}");
            Err(Error::invalid(&field, message)
                .with("minimum", *least)
                .with("limit", *most)
                .with("actual", value.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<BatchOperations> {
        BatchOperations::parse(value.as_object().unwrap())
    }

    #[test]
    fn keys_stand_above_a_preset() {
        assert_eq!(parse(&json!({})).unwrap(), BatchOperations::default());
        let parsed =
            parse(&json!({"preset": "development", "chunk_size": 7, "max_batch_size": null}));
        let expected = BatchOperations {
            chunk_size: 7,
            ..BatchOperations::development()
        };
        assert_eq!(parsed.unwrap(), expected);
        let high = parse(&json!({"preset": "high-performance"})).unwrap();
        assert_eq!(
            (high.budget_bytes(), high.atomic_by_default),
            (2 << 30, false)
        );
        let low = parse(&json!({"preset": "memory-conscious"})).unwrap();
        assert_eq!(
            (low.max_memory_usage_mb, low.progress_reporting),
            (256, false)
        );
    }

    #[test]
    fn bad_keys_and_values_are_named() {
        for (value, field) in [
            (json!({"chunk_size": 0}), "chunk_size"),
            (json!({"chunk_size": "10"}), "chunk_size"),
            (json!({"chunk_size": 1.5}), "chunk_size"),
            (json!({"parallel_workers": 257}), "parallel_workers"),
            (json!({"atomic_by_default": 1}), "atomic_by_default"),
            (json!({"chunks": 1}), "chunks"),
            (json!({"preset": "fast"}), "preset"),
        ] {
            let error = parse(&value).unwrap_err();
            assert_eq!(error.details["field"], format!("batch_operations.{field}"));
        }
    }
}
