//! Every limit of the product, each one named constant with its unit.
//!
//! The manual's table, `limits()` and every error that a limit causes are made from these.

/// Longest id, in bytes of UTF-8.
pub const ID_BYTES_MAX: usize = 512;
/// Longest idempotency key, in bytes of UTF-8.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Idempotency keys that a collection remembers at least, while they are young enough.
pub const IDEMPOTENCY_KEYS_KEPT: usize = 10_000;
/// Age at which an idempotency key is forgotten, in milliseconds (24 hours).
pub const IDEMPOTENCY_AGE_MS_MAX: usize = 24 * 3600 * 1000;
/// Bytes of replies beyond which a collection forgets the oldest idempotency keys.
pub const IDEMPOTENCY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest name of a stream or a batch, in bytes of UTF-8.
pub const STREAM_ID_BYTES_MAX: usize = 255;
/// Streams whose offset a collection remembers at least, while they are young enough.
pub const STREAMS_KEPT: usize = 1000;
/// Age at which a stream's offset is forgotten, in milliseconds (7 days).
pub const STREAM_AGE_MS_MAX: usize = 7 * 24 * 3600 * 1000;
/// Atomic streams of one store that are open at the same time.
pub const STAGES_MAX: usize = 64;
/// Batches that have ended and whose progress can still be asked for.
pub const BATCHES_KEPT: usize = 1000;
/// Requests of one store that wait for their caller to embed texts.
pub const EMBEDDINGS_WAITING_MAX: usize = 256;
/// Longest name or version of an embedder, in bytes of UTF-8.
pub const EMBEDDER_NAME_BYTES_MAX: usize = 128;
/// Largest metadata object, in bytes of its compact JSON text.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;
/// Deepest nesting of metadata, in levels; the object itself is level 1.
pub const METADATA_DEPTH_MAX: usize = 16;
/// Largest integer magnitude in metadata and filters (2^53): beyond it doubles skip integers.
pub const INTEGER_MAGNITUDE_MAX: u64 = 1 << 53;
/// Longest text of a record or of a query, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Fewest dimensions of a collection.
pub const DIMENSION_MIN: usize = 1;
/// Most dimensions of a collection.
pub const DIMENSION_MAX: usize = 8192;
/// Fewest links of a graph's node in an upper layer.
pub const HNSW_M_MIN: usize = 4;
/// Most links of a graph's node in an upper layer.
pub const HNSW_M_MAX: usize = 64;
/// Narrowest beam while a graph is built.
pub const EF_CONSTRUCTION_MIN: usize = 16;
/// Widest beam while a graph is built.
pub const EF_CONSTRUCTION_MAX: usize = 1000;
/// Most matches that one query may ask for.
pub const SEARCH_LIMIT_MAX: usize = 1000;
/// Matches returned where a query names no limit.
pub const SEARCH_LIMIT_DEFAULT: usize = 10;
/// Widest search beam.
pub const EF_SEARCH_MAX: usize = 4096;
/// Longest collection name, in characters.
pub const COLLECTION_NAME_CHARACTERS_MAX: usize = 128;
/// Most records in one page of a list.
pub const LIST_LIMIT_MAX: usize = 10_000;
/// Records in one page of a list where the request names no limit.
pub const LIST_LIMIT_DEFAULT: usize = 1000;
/// Lists of one collection that may be in progress at the same time.
pub const LISTS_OPEN_MAX: usize = 64;
/// Deepest nesting of a filter, in levels of `$and`, `$or` and `$not`.
pub const FILTER_DEPTH_MAX: usize = 16;
/// Most conditions in one filter.
pub const FILTER_CONDITIONS_MAX: usize = 1024;
/// Most values in one `$in` or `$nin` list.
pub const FILTER_VALUES_MAX: usize = 10_000;
/// Longest dotted path of a filter, in bytes of UTF-8.
pub const FILTER_PATH_BYTES_MAX: usize = 512;
/// Longest string that `$gt`, `$gte`, `$lt` and `$lte` compare with, in bytes of UTF-8.
pub const FILTER_RANGE_BYTES_MAX: usize = 128;
/// Payload size above which a batch is written as several staged frames, in bytes.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most records that one collection holds: slots are 32 bits, the top bit is kept free.
pub const RECORDS_MAX: usize = (1 << 31) - 1;
