//! What a store can be told when it is opened.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::settings::BatchOperations;
use crate::collection::Durability;
use crate::error::{Error, Result};

/// Most threads per pool.
const THREADS_MAX: usize = 256;

/// What a store can be told when it is opened; all fields may be absent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreOptions {
    /// When an acknowledged batch is safe: `always` (default), `interval` or `never`.
    pub durability: Durability,
    /// Threads per pool, 1 to 256; by default as many as the process may use processors.
    pub threads: Option<usize>,
    /// How batches are treated.
    #[serde(deserialize_with = "batch_operations")]
    pub batch_operations: BatchOperations,
}

fn batch_operations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BatchOperations, D::Error> {
    let given = Map::deserialize(deserializer)?;
    BatchOperations::parse(&given).map_err(serde::de::Error::custom)
}

impl StoreOptions {
    /// Parses and checks options; no bytes at all are the defaults.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for unknown options and values out of range.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(StoreOptions::default());
        }
        let malformed = |error| Error::invalid("options", format!("options: {error}"));
        let given: Value = serde_json::from_slice(bytes).map_err(malformed)?;
        if let Some(durability) = given.get("durability")
            && Durability::deserialize(durability).is_err()
        {
            let message = format!("durability is {durability}, expected always, interval or never");
            return Err(Error::invalid("durability", message));
        }
        if let Some(Value::Object(keys)) = given.get("batch_operations") {
            BatchOperations::parse(keys)?;
        }
        let options = StoreOptions::deserialize(given).map_err(malformed)?;
        match options.threads {
            Some(threads) if !(1..=THREADS_MAX).contains(&threads) => {
                let message = format!("threads is {threads}, allowed are 1 to {THREADS_MAX}");
                Err(Error::invalid("threads", message)
                    .with("limit", THREADS_MAX)
                    .with("actual", threads))
            }
            _ => Ok(options),
        }
    }

    /// Threads per pool.
    pub fn thread_count(&self) -> usize {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        self.threads.unwrap_or(available)
    }
}
