//! The log is the store: what a batch wrote is written once, here, and read from here.
//!
//! A batch is a frame ([`Batch`]) of rows, each with its own checksum. Frames go to the end of the
//! active log file, which is sealed at a size and mapped; the rows of the active file stay in
//! memory, so a [`Location`] can be read from the moment its batch was appended. Everything else
//! a collection knows is derived from the rows, and is rebuilt from them by [`recover`].
//!
//! | file | what it is |
//! |---|---|
//! | `row` | one action of a batch: the record to store, its new metadata, or its deletion |
//! | `frame` | header and sections around rows |
//! | `encoder` | a batch as frames in memory |
//! | `files` | the set of log files, and rows by location |
//! | `writer` | appending, syncing, sealing |
//! | `spare_buffers` | memory of sealed frames, to be filled again |
//! | `compaction` | live rows of dying files, copied verbatim |
//! | `reader` | recovery |
//!
//! The bytes are described in `docs/log-format.md`.

mod bytes;
mod compaction;
mod encoder;
mod files;
mod frame;
mod reader;
mod row;
mod spare_buffers;
mod writer;

#[cfg(test)]
mod tests;

pub use compaction::RowsWriter;
pub use encoder::{Batch, BatchEncoder};
pub use files::{LogFile, LogFiles, LogMemory, RowGuard};
pub use reader::{CommittedBatch, Recovery, recover};
pub use row::{RowKind, RowView};
pub use writer::{LogWriter, Stage, UnwrittenBatch};

use serde::{Deserialize, Serialize};

use crate::record::Sequence;

/// Size at which a log file is sealed, in bytes; a frame is never split, so a file may be larger.
pub const LOG_FILE_BYTES: u32 = 16 * 1024 * 1024;

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Number of the file.
    pub file: u32,
    /// Byte of the file at which the row begins; a multiple of 8.
    pub offset: u32,
}

/// A place in the log up to which everything has been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Number of the log file; 0 before the first one.
    pub file: u32,
    /// Byte of the file at which replay begins.
    pub offset: u32,
    /// Sequence of the last batch that was applied; replay begins with the one after it.
    ///
    /// While a stage is open, `file` and `offset` stand at its first frame, and batches from
    /// there up to this sequence are passed over.
    pub sequence: Sequence,
}

/// What the frames of a file are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Batches in the order of their sequence; replayed.
    Log,
    /// Rows that compaction moved; never replayed.
    Rows,
}

impl FileKind {
    fn extension(self) -> &'static str {
        match self {
            FileKind::Log => "log",
            FileKind::Rows => "rows",
        }
    }
}

/// A sealed file and the length that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileLength {
    /// Number of the file.
    pub number: u32,
    /// What its frames are for.
    pub kind: FileKind,
    /// Its length in bytes.
    pub bytes: u32,
}

/// What a checkpoint must keep of the log: where replay begins and which files its locations
/// point into. The default is the manifest of a collection without a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where replay begins. It must be durable (synced) before the checkpoint is.
    pub position: Position,
    /// Sealed files that are not replayed, by number.
    pub files: Vec<FileLength>,
}

/// The path of a file of the log.
fn file_path(directory: &str, number: u32, kind: FileKind) -> String {
    format!("{directory}/{number:08}.{}", kind.extension())
}

/// Ending of a file of rows that is still being written.
const UNFINISHED_SUFFIX: &str = ".tmp";
