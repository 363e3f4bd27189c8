//! Real files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::mapping::Mapping;
use super::{AppendFile, Bytes, Storage, existing_file_error, system_error};
use crate::error::{Error, Result};

/// Files below one directory.
#[derive(Clone, Debug)]
pub struct FileStorage {
    root: PathBuf,
}

impl FileStorage {
    /// Storage below a directory, which is made by the first `create_directory`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        FileStorage { root: root.into() }
    }

    fn full(&self, path: &str) -> PathBuf {
        let mut full = self.root.clone();
        full.extend(path.split('/').filter(|part| !part.is_empty()));
        full
    }
}

impl Storage for FileStorage {
    fn create_directory(&self, path: &str) -> Result<()> {
        fs::create_dir_all(self.full(path))
            .map_err(|error| system_error("create the directory", path, &error))
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let failed = |error: io::Error| system_error("list", path, &error);
        let entries = match fs::read_dir(self.full(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        // A name that is not UTF-8 is none of ours.
        let mut names: Vec<String> = entries
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect::<io::Result<_>>()
            .map_err(failed)?;
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        // Truncating and appending do not combine in one open; the file is cut once it is open.
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.full(path))
            .and_then(|file| file.set_len(0).map(|()| file))
            .map(|file| -> Box<dyn AppendFile> {
                Box::new(RealAppendFile {
                    file,
                    path: path.to_owned(),
                    length: 0,
                })
            })
            .map_err(|error| system_error("create", path, &error))
    }

    fn open_append(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        OpenOptions::new()
            .append(true)
            .open(self.full(path))
            .and_then(|file| file.metadata().map(|metadata| (file, metadata.len())))
            .map(|(file, length)| -> Box<dyn AppendFile> {
                Box::new(RealAppendFile {
                    file,
                    path: path.to_owned(),
                    length,
                })
            })
            .map_err(|error| existing_file_error("open", path, &error))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        fs::read(self.full(path)).map_err(|error| existing_file_error("read", path, &error))
    }

    fn map(&self, path: &str) -> Result<Arc<dyn Bytes>> {
        File::open(self.full(path))
            .and_then(|file| Mapping::new(&file))
            .map(|mapping| -> Arc<dyn Bytes> { Arc::new(mapping) })
            .map_err(|error| existing_file_error("map", path, &error))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.full(from), self.full(to))
            .map_err(|error| existing_file_error("rename", from, &error))
    }

    fn remove(&self, path: &str) -> Result<()> {
        ignore_missing(fs::remove_file(self.full(path)))
            .map_err(|error| system_error("remove", path, &error))
    }

    fn remove_directory(&self, path: &str) -> Result<()> {
        ignore_missing(fs::remove_dir_all(self.full(path)))
            .map_err(|error| system_error("remove the directory", path, &error))
    }

    fn sync_directory(&self, path: &str) -> Result<()> {
        sync_directory(&self.full(path))
            .map_err(|error| system_error("sync the directory", path, &error))
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(unix)]
fn sync_directory(path: &std::path::Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Windows offers no sync of a directory; NTFS journals its entries by itself.
#[cfg(not(unix))]
fn sync_directory(_: &std::path::Path) -> io::Result<()> {
    Ok(())
}

struct RealAppendFile {
    file: File,
    path: String,
    length: u64,
}

impl AppendFile for RealAppendFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| system_error("append to", &self.path, &error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        // The length is part of what is synced: without it the data could not be read back.
        self.file
            .sync_data()
            .map_err(|error| system_error("sync", &self.path, &error))
    }

    fn truncate(&mut self, length: u64) -> Result<()> {
        if length > self.length {
            return Err(Error::internal(format!(
                "{:?} would grow by being cut",
                self.path
            )));
        }
        self.file
            .set_len(length)
            .map_err(|error| system_error("cut", &self.path, &error))?;
        self.length = length;
        Ok(())
    }

    fn length(&self) -> u64 {
        self.length
    }
}
