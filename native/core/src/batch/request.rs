//! Requests as the decoders leave them: every field present, nothing checked against a collection.

use std::sync::Arc;

use crate::error::Error;
use crate::filter::Filter;
use crate::metadata::Metadata;
use crate::record::Sequence;

/// The numbers of all vectors of one request, end to end; operations point into it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    /// The numbers, as they came.
    pub values: Vec<f32>,
}

impl Vectors {
    /// The numbers of one vector.
    ///
    /// # Panics
    /// Where the range is not of this block: ranges are made by the decoder that fills `values`.
    pub fn get(&self, range: VectorRange) -> &[f32] {
        &self.values[range.start..range.start + range.len]
    }
}

/// Where in [`Vectors`] one vector stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VectorRange {
    /// Place of the first number.
    pub start: usize,
    /// Count of numbers; it need not be the collection's dimension yet.
    pub len: usize,
}

/// What an insert does with an id that exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The operation fails with `ALREADY_EXISTS`.
    #[default]
    Error,
    /// The whole record is replaced (upsert).
    Replace,
    /// The record stays as it is; the outcome is `skipped`.
    Skip,
}

/// How an update treats the metadata that a record has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetadataMode {
    /// RFC 7396 merge patch: `null` removes a key.
    #[default]
    Merge,
    /// The given object takes the old one's place.
    Replace,
}

/// What a delete does with an id that does not exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// The operation fails with `NOT_FOUND`.
    #[default]
    Error,
    /// The outcome is `skipped`.
    Ignore,
}

/// What becomes of an id that stands twice in one plain batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// The later operation fails with `DUPLICATE_ID`.
    #[default]
    Reject,
    /// The last operation counts, the earlier ones are `skipped`.
    LastWins,
}

/// Which kinds of operations a write batch holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteVerb {
    /// Only inserts; an id stands once.
    #[default]
    Insert,
    /// Only updates; an id stands once.
    Update,
    /// Only deletes; an id stands once.
    Delete,
    /// All kinds, run as if in list order, where a later operation sees an earlier one.
    Mixed,
}

/// How far a write has come; each level includes the ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Taken in, and lost with a crash: the part of a stream that has not committed.
    Received,
    /// In the log, as the store's durability promises.
    Durable,
    /// Visible to every read that starts now.
    #[default]
    Applied,
    /// In the graph.
    Indexed,
}

impl Level {
    /// The level as it stands on the wire, e.g. `applied`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Received => "received",
            Level::Durable => "durable",
            Level::Applied => "applied",
            Level::Indexed => "indexed",
        }
    }
}

/// Which outcomes a reply lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutcomeDetail {
    /// Only the failures, as `errors`.
    #[default]
    Failures,
    /// One outcome per operation as well, in request order.
    All,
}

/// The options that every write takes.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteOptions {
    /// All or nothing; otherwise each operation (or group) stands alone.
    pub atomic: bool,
    /// The caller's own cap on operations.
    pub batch_size_limit: Option<usize>,
    /// Rule for ids that stand twice; judged in plain batches only.
    pub duplicates: Duplicates,
    /// Plan and reply, but write nothing.
    pub validate_only: bool,
    /// When to reply.
    pub wait_for: Level,
    /// Which outcomes to list.
    pub outcomes: OutcomeDetail,
    /// Makes a retry of this very request harmless.
    pub idempotency_key: Option<String>,
    /// Set where the batch is a chunk of a stream that can be resumed.
    pub stream: Option<StreamPart>,
    /// Set where the batch is a part of an atomic stream: the stage's number.
    pub stage: Option<u64>,
}

/// Which part of a stream a batch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPart {
    /// The caller's name for the stream.
    pub stream_id: String,
    /// Place of the batch's first operation in the stream, from 0.
    pub offset: u64,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions {
            atomic: true,
            batch_size_limit: None,
            duplicates: Duplicates::default(),
            validate_only: false,
            wait_for: Level::default(),
            outcomes: OutcomeDetail::default(),
            idempotency_key: None,
            stream: None,
            stage: None,
        }
    }
}

/// One write batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteRequest {
    /// Which kinds of operations may stand here, and which counts the reply has.
    pub verb: WriteVerb,
    /// The operations, in request order.
    pub operations: Vec<Operation>,
    /// The numbers that the operations point into.
    pub vectors: Vectors,
    /// The batch's options.
    pub options: WriteOptions,
}

impl WriteRequest {
    /// Whether an id may stand once only.
    pub fn is_plain(&self) -> bool {
        self.verb != WriteVerb::Mixed
    }
}

/// One element of a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The record's id; empty where the request's was no string.
    pub id: String,
    /// What to do with the record.
    pub kind: OperationKind,
    /// Operations of one group land together or not at all.
    pub group: Option<String>,
    /// The version that the record must have; 0 = there must be no record.
    pub if_version: Option<Sequence>,
    /// Why the decoder refused this operation: it fails with this error, the others go on.
    pub refused: Option<Box<Error>>,
}

impl Operation {
    /// The text that the operation gives.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            OperationKind::Insert { text, .. } | OperationKind::Update { text, .. } => {
                text.as_deref()
            }
            OperationKind::Delete { .. } => None,
        }
    }

    /// The metadata that the operation gives, as it gives it.
    pub fn metadata(&self) -> Option<&Metadata> {
        match &self.kind {
            OperationKind::Insert { metadata, .. } | OperationKind::Update { metadata, .. } => {
                metadata.as_ref()
            }
            OperationKind::Delete { .. } => None,
        }
    }
}

/// What one operation does.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationKind {
    /// Adds a record.
    Insert {
        /// The vector; where absent, `text` is embedded.
        data: Option<VectorRange>,
        /// The text, kept with the record.
        text: Option<String>,
        /// The metadata; absent = empty.
        metadata: Option<Metadata>,
        /// Rule for an id that exists.
        on_conflict: OnConflict,
    },
    /// Changes parts of a record.
    Update {
        /// New vector; given without `text`, it clears the text.
        data: Option<VectorRange>,
        /// New text; embedded again where `data` is absent.
        text: Option<String>,
        /// Patch or new metadata, as `metadata_mode` says; absent = keep.
        metadata: Option<Metadata>,
        /// How `metadata` is meant.
        metadata_mode: MetadataMode,
    },
    /// Removes a record.
    Delete {
        /// Rule for an id that does not exist.
        missing: Missing,
    },
}

/// Which parts of a record come with a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    /// The metadata (default).
    pub metadata: bool,
    /// The text (default).
    pub text: bool,
    /// The vector, as it was given.
    pub data: bool,
}

impl Default for Include {
    fn default() -> Self {
        Include {
            metadata: true,
            text: true,
            data: false,
        }
    }
}

/// One batch of queries.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// The queries, in request order, with the request's defaults filled in.
    pub queries: Vec<Query>,
    /// The numbers that the queries point into.
    pub vectors: Vectors,
    /// One bad query fails all; otherwise it fails alone.
    pub atomic: bool,
    /// The caller's own cap on queries.
    pub batch_size_limit: Option<usize>,
}

/// What a query looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryInput {
    /// The nearest to a vector.
    Vector(VectorRange),
    /// The nearest to a text's embedding.
    Text(String),
}

/// How much a search does to find the nearest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Effort {
    /// What the engine holds for right.
    #[default]
    Usual,
    /// A beam of this width (`ef_search`).
    Beam(usize),
    /// The narrowest beam that was measured to find this share of the nearest, from 0 on and
    /// below 1.
    Recall(f32),
    /// Comparison with every record.
    All,
}

/// One element of a search.
#[derive(Clone, Debug)]
pub struct Query {
    /// The caller's name for it, or `query_1`, `query_2`, ...
    pub query_id: String,
    /// Vector or text; `None` only where `refused` is set.
    pub input: Option<QueryInput>,
    /// Most matches to return.
    pub limit: usize,
    /// Least score of a match.
    pub threshold: Option<f32>,
    /// Condition on metadata; shared between queries that inherit the request's.
    pub filter: Option<Arc<Filter>>,
    /// Parts of the record to return.
    pub include: Include,
    /// How much is done to find the nearest.
    pub effort: Effort,
    /// Why the decoder refused this query.
    pub refused: Option<Box<Error>>,
}
