//! The only door to the disk: a small trait, and the real, in-memory and failing forms of it.
//!
//! Paths are relative to the store's directory, with `/` between parts; no part comes from a
//! caller's input.

mod file;
mod mapping;
mod memory;

#[cfg(feature = "testing")]
pub mod faulty;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;

pub use file::FileStorage;
pub use memory::MemoryStorage;

use crate::error::{Error, Result};

/// A directory tree that holds files.
///
/// Every method returns `INTERNAL` with the path and the system's text where the system fails,
/// and `CORRUPTED` where a file that must be there is not. A full disk and one that may not be
/// written name themselves in the message and in the detail `cause`: `disk_full`, `read_only`.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Makes a directory and its parents; no error where it exists.
    fn create_directory(&self, path: &str) -> Result<()>;
    /// Names of the entries of a directory, sorted; empty where it does not exist.
    fn list(&self, path: &str) -> Result<Vec<String>>;
    /// Makes an empty file, or empties the one that is there, and opens it for appending.
    fn create(&self, path: &str) -> Result<Box<dyn AppendFile>>;
    /// Opens an existing file for appending at its end.
    fn open_append(&self, path: &str) -> Result<Box<dyn AppendFile>>;
    /// Reads a whole file into memory.
    fn read(&self, path: &str) -> Result<Vec<u8>>;
    /// Opens a file that nobody writes any more for reading at any place, without reading it all.
    fn map(&self, path: &str) -> Result<Arc<dyn Bytes>>;
    /// Gives a file another name, taking the place of what has that name.
    fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; no error where it does not exist.
    fn remove(&self, path: &str) -> Result<()>;
    /// Removes a directory with all that is in it; no error where it does not exist.
    fn remove_directory(&self, path: &str) -> Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_directory(&self, path: &str) -> Result<()>;
}

/// A file that only grows.
pub trait AppendFile: Send {
    /// Writes all bytes at the end.
    ///
    /// After an error any part of them may have been written, and `length` counts none of them.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Returns when everything appended so far is durable.
    fn sync(&mut self) -> Result<()>;
    /// Cuts the file to a length that it has reached, to drop a torn tail before the first append.
    fn truncate(&mut self, length: u64) -> Result<()>;
    /// Current length in bytes.
    fn length(&self) -> u64;
}

/// Immutable bytes of a sealed file.
pub trait Bytes: Send + Sync + std::fmt::Debug {
    /// All of them.
    fn as_slice(&self) -> &[u8];
    /// Whether they are file-backed pages (reported apart from anonymous memory).
    fn is_mapped(&self) -> bool;
}

/// A file's content in a plain buffer.
impl Bytes for Vec<u8> {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn is_mapped(&self) -> bool {
        false
    }
}

/// The path of the directory that holds an entry; the store's own directory is the empty path.
fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// Makes a directory and its parents, and makes all of them durable.
pub fn create_durable_directory(storage: &dyn Storage, path: &str) -> Result<()> {
    storage.create_directory(path)?;
    storage.sync_directory("")?;
    for (end, _) in path.match_indices('/') {
        storage.sync_directory(path.get(..end).unwrap_or_default())?;
    }
    Ok(())
}

/// What the system said, as an error of ours.
fn system_error(action: &str, path: &str, error: &io::Error) -> Error {
    let (cause, meaning) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ("disk_full", "the disk is full: ")
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            ("read_only", "the disk or the file may not be written: ")
        }
        _ => ("system", ""),
    };
    Error::internal(format!("cannot {action} {path:?}: {meaning}{error}"))
        .with("path", path)
        .with("cause", cause)
}

/// What the system said about a file that must exist.
fn existing_file_error(action: &str, path: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::corrupted(path, "the file is missing"),
        _ => system_error(action, path, error),
    }
}
