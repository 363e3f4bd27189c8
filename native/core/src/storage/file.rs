//! Real files.
/// Files below one directory.
#[derive(Debug)]
pub struct FileStorage;
