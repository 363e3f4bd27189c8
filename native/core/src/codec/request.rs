//! What the door may be asked for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::{Include, SearchRequest, WriteRequest};
use crate::embed::EmbedderDescription;
use crate::error::ErrorCode;
use crate::filter::Filter;
use crate::index::{FoldCounters, Metric, RepairCounters, SearchCounters};
use crate::record::Sequence;

/// One decoded request.
#[derive(Clone, Debug)]
pub enum Request {
    /// Make a collection.
    CreateCollection(CreateCollection),
    /// Describe every collection.
    ListCollections,
    /// Describe one collection.
    Info {
        /// Its name.
        collection: String,
    },
    /// Remove a collection with all that is in it.
    Drop {
        /// Its name.
        collection: String,
    },
    /// Run a write batch.
    Write {
        /// The collection's name.
        collection: String,
        /// The batch.
        request: WriteRequest,
    },
    /// Run a batch of queries.
    Search {
        /// The collection's name.
        collection: String,
        /// The batch.
        request: SearchRequest,
    },
    /// Read records by id.
    Get {
        /// The collection's name.
        collection: String,
        /// The ids, in request order; any string, also one that no record can have.
        ids: Vec<String>,
        /// Parts of the record to return.
        include: Include,
    },
    /// Read records page by page.
    List {
        /// The collection's name.
        collection: String,
        /// Which page, of what.
        request: ListRequest,
    },
    /// Count records.
    Count {
        /// The collection's name.
        collection: String,
        /// Which records; absent = all.
        filter: Option<Arc<Filter>>,
    },
    /// Wait until all that is applied now is in the graph.
    Indexed {
        /// The collection's name.
        collection: String,
    },
    /// Rewrite the log files that are mostly dead.
    Compact {
        /// The collection's name.
        collection: String,
    },
    /// Go on with a request that waits for embeddings.
    Resume(Resume),
    /// Tell every limit.
    Limits,
    /// Tell how batches are treated.
    Config,
    /// Tell how far a batch is.
    BatchProgress {
        /// Its name.
        batch_id: String,
    },
    /// Stop a batch before its commit.
    CancelBatch {
        /// Its name.
        batch_id: String,
        /// What its caller is told: `CANCELLED` or `DEADLINE_EXCEEDED`.
        code: ErrorCode,
    },
    /// Tell how far a stream has come.
    StreamOffset {
        /// The collection's name.
        collection: String,
        /// The stream's name.
        stream_id: String,
    },
    /// Begin an atomic stream.
    BeginStage {
        /// The collection's name.
        collection: String,
    },
    /// End an atomic stream.
    EndStage {
        /// The collection's name.
        collection: String,
        /// The stage's number.
        stage: u64,
        /// Whether it becomes visible; else it is given up.
        commit: bool,
    },
    /// Reserve memory for a later call.
    ReserveMemory {
        /// How much, as that call's header and block will count.
        bytes: usize,
        /// Whether that call is a delete.
        deletes: bool,
    },
    /// Give reserved memory back.
    ReleaseMemory {
        /// Names the reservation.
        reservation: u64,
    },
}

/// How far a batch is.
#[derive(Clone, Debug, Serialize)]
pub struct BatchProgress {
    /// Its name.
    pub batch_id: String,
    /// The verb that began it.
    pub verb: String,
    /// The collection, once it is known.
    pub collection: Option<String>,
    /// `running`, `success`, `partial`, `failed` or `cancelled`.
    pub status: &'static str,
    /// Operations in all, once they are decoded.
    pub total: Option<usize>,
    /// Operations decoded.
    pub received: usize,
    /// Operations in the log, as the store's durability promises.
    pub durable: usize,
    /// Operations that every read sees.
    pub applied: usize,
    /// Operations that are in the graph.
    pub indexed: usize,
    /// Operations that failed.
    pub failed: usize,
    /// Bytes that came.
    pub bytes: usize,
    /// Operations per second so far.
    pub rate_per_s: f64,
    /// Bytes of the memory budget in use by all calls.
    pub memory_bytes: usize,
    /// The batch's number, where it has committed.
    pub sequence: Option<Sequence>,
    /// Why it was refused or stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Milliseconds since it came, or that it took.
    pub processing_time_ms: f64,
}

/// A collection to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateCollection {
    /// Checked against `[A-Za-z0-9][A-Za-z0-9_.-]{0,127}`.
    pub name: String,
    /// Numbers per vector, 1 to 8,192; `None` only where the built-in embedder decides it.
    pub dimension: Option<usize>,
    /// How vectors are compared.
    pub metric: Metric,
    /// What turns texts into vectors; absent = nothing does.
    pub embedder: Option<Embedder>,
    /// Shape of the graph.
    pub hnsw: Hnsw,
}

/// What turns a collection's texts into vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Embedder {
    /// The built-in one.
    Lexical,
    /// One of the caller's, who is asked for every embedding.
    External {
        /// Its name, 1 to 128 bytes.
        name: String,
        /// Its version, 1 to 128 bytes: vectors of different versions are not comparable.
        version: String,
    },
}

/// The graph's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hnsw {
    /// Links per node above layer 0, where there are twice as many; 4 to 64.
    pub m: usize,
    /// Width of the beam while building; 16 to 1,000.
    pub ef_construction: usize,
}

impl Default for Hnsw {
    fn default() -> Self {
        Hnsw {
            m: 16,
            ef_construction: 100,
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Most records in the page, 1 to 10,000.
    pub limit: usize,
    /// The `next` of the page before.
    pub after: Option<String>,
    /// Which records; absent = all.
    pub filter: Option<Arc<Filter>>,
    /// Parts of the record to return.
    pub include: Include,
}

/// The answer to a request for embeddings.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// Names the request that waits.
    pub token: String,
    /// Why there are no embeddings.
    pub failed: Option<String>,
    /// How often the embedder was asked.
    pub attempts: Option<u64>,
    /// The embeddings end to end, in the order of the texts.
    pub vectors: Vec<f32>,
}

/// What a collection tells of itself.
#[derive(Clone, Debug, Serialize)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// Numbers per vector.
    pub dimension: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// What turns texts into vectors.
    pub embedder: Option<EmbedderDescription>,
    /// Shape of the graph.
    pub hnsw: Hnsw,
    /// Live records.
    pub count: u64,
    /// The last batch that readers see: the *applied* watermark.
    pub sequence: Sequence,
    /// The number that the last batch received so far will have, if all that wait commit.
    pub received: Sequence,
    /// The last batch that is synced to the disk.
    pub durable: Sequence,
    /// The last batch that is in the graph as a whole.
    pub indexed: Sequence,
    /// Records that are not in the graph yet; searches compare them one by one.
    pub tail_count: usize,
    /// Slots of dead records that the graph may still link to.
    pub dead_count: usize,
    /// Files of the log.
    pub log_files: usize,
    /// Their bytes on the disk.
    pub log_bytes: u64,
    /// Of these, bytes mapped read-only; the system drops such pages as it needs room.
    pub mapped_bytes: usize,
    /// Bytes of memory taken by codes and links.
    pub graph_bytes: usize,
    /// Instructions that distances are computed with: `scalar`, `avx2`, `avx512`, `neon` or
    /// `neon_dotprod`.
    pub instruction_set: String,
    /// What folding rows into the graph has cost since the collection was opened.
    pub folds: FoldCounters,
    /// What taking dead rows out of the graph has cost since then.
    pub repairs: RepairCounters,
    /// What searches have cost since then.
    pub searches: SearchCounters,
    /// What the option `recall` goes by: empty until it is used.
    pub recalls: Vec<MeasuredRecall>,
}

/// What a collection measured of its own searches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct MeasuredRecall {
    /// Matches asked for.
    pub limit: usize,
    /// Width of the beam.
    pub ef_search: usize,
    /// Share of the nearest that was found.
    pub recall: f32,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// Log files before.
    pub files_before: u64,
    /// Log files after.
    pub files_after: u64,
    /// Bytes of log files before.
    pub bytes_before: u64,
    /// Bytes of log files after.
    pub bytes_after: u64,
}
