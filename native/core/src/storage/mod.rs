//! The only door to the disk: a small trait, and the real, in-memory and failing forms of it.
//!
//! Paths are relative to the store's directory, with `/` between parts; no part comes from a
//! caller's input.

mod file;
mod memory;

#[cfg(feature = "testing")]
pub mod faulty;

use std::sync::Arc;

pub use file::FileStorage;
pub use memory::MemoryStorage;

use crate::error::Result;

/// A directory tree that holds files.
///
/// Every method returns `INTERNAL` with the path and the system's text where the system fails,
/// and `CORRUPTED` where a file that must be there is not.
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
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Returns when everything appended so far is durable.
    fn sync(&mut self) -> Result<()>;
    /// Cuts the file to a length, to drop a torn tail before the first append.
    fn truncate(&mut self, length: u64) -> Result<()>;
    /// Current length in bytes.
    fn length(&self) -> u64;
}

/// Immutable bytes of a sealed file.
pub trait Bytes: Send + Sync {
    /// All of them.
    fn as_slice(&self) -> &[u8];
    /// Whether they are file-backed pages (reported apart from anonymous memory).
    fn is_mapped(&self) -> bool;
}
