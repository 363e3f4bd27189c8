//! Files in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AppendFile, Bytes, Storage, existing_file_error, parent, system_error};
use crate::error::{Error, Result};

/// Files in memory, for `:memory:` stores and tests; clones share one tree.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    tree: Arc<Mutex<Tree>>,
}

#[derive(Debug, Default)]
struct Tree {
    directories: BTreeSet<String>,
    files: BTreeMap<String, Arc<Content>>,
}

/// Appends copy the bytes only while somebody reads an earlier state of them.
#[derive(Debug, Default)]
struct Content(Mutex<Arc<Vec<u8>>>);

impl Content {
    fn bytes(&self) -> MutexGuard<'_, Arc<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStorage {
    /// An empty tree.
    pub fn new() -> Self {
        MemoryStorage::default()
    }

    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, action: &str, path: &str) -> Result<Arc<Content>> {
        let content = self.tree().files.get(path).cloned();
        content.ok_or_else(|| existing_file_error(action, path, &not_found()))
    }
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Tree {
    fn require_parent(&self, action: &str, path: &str) -> Result<()> {
        match parent(path) {
            "" => Ok(()),
            parent if self.directories.contains(parent) => Ok(()),
            _ => Err(system_error(action, path, &not_found())),
        }
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl Storage for MemoryStorage {
    fn create_directory(&self, path: &str) -> Result<()> {
        let mut tree = self.tree();
        let mut directory = path;
        while !directory.is_empty() {
            tree.directories.insert(directory.to_owned());
            directory = parent(directory);
        }
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        let tree = self.tree();
        let entries = tree.directories.iter().chain(tree.files.keys());
        let mut names: Vec<String> = entries
            .filter(|entry| parent(entry) == path)
            .filter_map(|entry| entry.rsplit('/').next().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        let mut tree = self.tree();
        tree.require_parent("create", path)?;
        let content = Arc::clone(tree.files.entry(path.to_owned()).or_default());
        *content.bytes() = Arc::default();
        Ok(Box::new(MemoryAppendFile {
            content,
            path: path.to_owned(),
        }))
    }

    fn open_append(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        let content = self.content("open", path)?;
        Ok(Box::new(MemoryAppendFile {
            content,
            path: path.to_owned(),
        }))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        Ok(self.content("read", path)?.bytes().to_vec())
    }

    fn map(&self, path: &str) -> Result<Arc<dyn Bytes>> {
        let bytes = Arc::clone(&*self.content("map", path)?.bytes());
        Ok(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut tree = self.tree();
        tree.require_parent("rename", to)?;
        let content = tree
            .files
            .remove(from)
            .ok_or_else(|| existing_file_error("rename", from, &not_found()))?;
        tree.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.tree().files.remove(path);
        Ok(())
    }

    fn remove_directory(&self, path: &str) -> Result<()> {
        let mut tree = self.tree();
        tree.files.retain(|file, _| !is_below(file, path));
        tree.directories
            .retain(|directory| directory != path && !is_below(directory, path));
        Ok(())
    }

    fn sync_directory(&self, path: &str) -> Result<()> {
        if path.is_empty() || self.tree().directories.contains(path) {
            return Ok(());
        }
        Err(system_error("sync the directory", path, &not_found()))
    }
}

struct MemoryAppendFile {
    content: Arc<Content>,
    path: String,
}

impl AppendFile for MemoryAppendFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        Arc::make_mut(&mut *self.content.bytes()).extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Result<()> {
        let mut bytes = self.content.bytes();
        match usize::try_from(length) {
            Ok(length) if length <= bytes.len() => Arc::make_mut(&mut *bytes).truncate(length),
            _ => {
                return Err(Error::internal(format!(
                    "{:?} would grow by being cut",
                    self.path
                )));
            }
        }
        Ok(())
    }

    fn length(&self) -> u64 {
        self.content.bytes().len() as u64
    }
}
