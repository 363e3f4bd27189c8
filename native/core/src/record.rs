//! The small types that every module shares.

/// The internal row number of a record: its place in the code rows and in the graph.
///
/// A slot belongs to one version of one record; when that version is replaced or deleted, the
/// slot is reused only after the last snapshot that could see it is gone.
pub type Slot = u32;

/// The number of a committed batch, counted per collection from 1; 0 is the empty collection.
///
/// It is a record's version (the batch that last wrote it) and stays below 2^53, so that it
/// survives every JSON reader.
pub type Sequence = u64;
