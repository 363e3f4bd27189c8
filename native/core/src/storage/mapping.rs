//! Read-only maps of sealed files: the only unsafe call of the storage layer.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

use super::Bytes;

/// A sealed file as memory that the system fills from the disk.
#[derive(Debug)]
pub(super) struct Mapping(Mmap);

impl Mapping {
    /// Maps a whole file; an empty file is an empty map.
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes must not change, nor the file shrink, while the map lives. Only sealed
        // files are mapped: nothing in this process writes or cuts them again (they are at most
        // unlinked, which keeps the pages), and the store's lock keeps other processes of Volley
        // out of the directory. The map takes the length that the file has now, and its users
        // check what they were promised against that length before they read.
        unsafe { Mmap::map(file) }.map(Mapping)
    }
}

impl Bytes for Mapping {
    fn as_slice(&self) -> &[u8] {
        &self.0
    }

    fn is_mapped(&self) -> bool {
        true
    }
}
