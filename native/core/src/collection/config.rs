//! What is fixed when a collection is created, and how a store treats its collections.

use serde::{Deserialize, Serialize};

use crate::batch::CollectionShape;
use crate::codec::{CreateCollection, Embedder, Hnsw};
use crate::embed::{self, EmbedderDescription, Lexical};
use crate::error::{Error, Result};
use crate::index::{IndexParameters, Metric};
use crate::log::LOG_FILE_BYTES;

/// What is fixed when a collection is created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionConfig {
    /// Numbers per vector, 1 to 8,192.
    pub dimension: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// Who turns this collection's texts into vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedder: Option<EmbedderDescription>,
    /// Shape of the graph (Malkov and Yashunin 2018, section 4).
    pub hnsw: Hnsw,
}

impl CollectionConfig {
    /// The settings that a request to create a collection asks for.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` where neither the request nor the embedder gives a dimension.
    pub fn of(create: &CreateCollection) -> Result<Self> {
        let embedder = create.embedder.as_ref().map(|embedder| match embedder {
            Embedder::Lexical => EmbedderDescription::built_in(),
            Embedder::External { name, version } => EmbedderDescription {
                name: name.clone(),
                version: version.clone(),
            },
        });
        let built_in = embedder
            .as_ref()
            .is_some_and(EmbedderDescription::is_built_in);
        let default = built_in.then_some(embed::DIMENSION_DEFAULT);
        let dimension = create.dimension.or(default);
        let dimension =
            dimension.ok_or_else(|| Error::invalid("dimension", "dimension is missing"))?;
        if built_in {
            Lexical::new(dimension)?;
        }
        Ok(CollectionConfig {
            dimension,
            metric: create.metric,
            embedder,
            hnsw: create.hnsw,
        })
    }

    /// What its vectors and texts must fit.
    pub fn shape(&self) -> CollectionShape {
        CollectionShape {
            dimension: self.dimension,
            metric: self.metric,
            has_embedder: self.embedder.is_some(),
        }
    }

    /// The graph's parameters.
    pub fn index_parameters(&self) -> IndexParameters {
        IndexParameters {
            dimension: self.dimension,
            metric: self.metric,
            m: self.hnsw.m,
            ef_construction: self.hnsw.ef_construction,
        }
    }
}

/// When an acknowledged batch is safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Acknowledged = synced to the disk. Concurrent batches share a sync.
    #[default]
    Always,
    /// Synced at least every [`SYNC_INTERVAL_MS`]; a crash of the machine (not of the process)
    /// may lose what came after the last sync.
    Interval,
    /// Synced only when a log file is sealed or the store closes.
    Never,
}

/// Longest time between two syncs under [`Durability::Interval`], in milliseconds.
pub const SYNC_INTERVAL_MS: u64 = 100;

/// Sizes at which a collection's background work begins; tests make them small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Size at which a log file is sealed, in bytes.
    pub log_file_bytes: u32,
    /// Most bytes of log buffers that are kept for reuse.
    pub spare_bytes_max: usize,
    /// Rows in the tail above which writers wait for the indexer.
    pub tail_rows_max: usize,
    /// Rows that the indexer waits for before it folds, unless they have waited long enough.
    pub fold_rows_min: usize,
    /// Most rows of one fold.
    pub fold_rows_max: usize,
    /// Longest time that a row waits for company in the tail, in milliseconds.
    pub fold_wait_ms: u64,
    /// Dead rows in the graph that start a repair: at least this many, and at least one in
    /// `repair_share` of the live rows.
    pub repair_rows_min: usize,
    /// See `repair_rows_min`.
    pub repair_share: usize,
    /// Log bytes after which the next checkpoint is written, and a log that is mostly dead is
    /// compacted; up to four times as many once the log is that long.
    pub checkpoint_bytes: u64,
    /// Up to this many live records (or filter matches) are compared one by one.
    pub scan_rows_max: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            log_file_bytes: LOG_FILE_BYTES,
            spare_bytes_max: LOG_FILE_BYTES as usize,
            tail_rows_max: 8192,
            fold_rows_min: 1000,
            fold_rows_max: 8192,
            fold_wait_ms: 20,
            repair_rows_min: 2000,
            repair_share: 16,
            checkpoint_bytes: 512 << 20,
            scan_rows_max: 2048,
        }
    }
}
