//! What a crash would leave: the state of the disk as far as the caller was promised it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{MemoryStorage, Storage, parent};

/// A file by identity, whatever its name is.
pub(super) type FileKey = usize;

/// Smallest unit that a disk writes whole, in bytes.
const SECTOR_BYTES: usize = 512;

/// The names and contents that are durable, and what was done since.
#[derive(Debug, Default)]
pub(super) struct Shadow {
    durable: Names,
    live: Names,
    /// Changes of names whose directory was not synced, in order.
    pending: Vec<NameChange>,
    files: Vec<Content>,
}

#[derive(Clone, Debug, Default)]
struct Names {
    directories: BTreeSet<String>,
    files: BTreeMap<String, FileKey>,
}

#[derive(Clone, Debug)]
enum NameChange {
    CreateDirectory(String),
    Create(String, FileKey),
    Rename(String, String),
    Remove(String),
    RemoveDirectory(String),
}

impl NameChange {
    /// The directory whose sync makes the change durable.
    fn directory(&self) -> &str {
        match self {
            NameChange::CreateDirectory(path)
            | NameChange::Create(path, _)
            | NameChange::Rename(_, path)
            | NameChange::Remove(path)
            | NameChange::RemoveDirectory(path) => parent(path),
        }
    }
}

impl Names {
    /// Does what the change says as far as what it stands on is there: directories are to be made
    /// durable from the root down.
    fn apply(&mut self, change: &NameChange) {
        let above = change.directory();
        if !above.is_empty() && !self.directories.contains(above) {
            return;
        }
        match change {
            NameChange::CreateDirectory(path) => {
                self.directories.insert(path.clone());
            }
            NameChange::Create(path, key) => {
                self.files.insert(path.clone(), *key);
            }
            NameChange::Rename(from, to) => {
                if let Some(key) = self.files.remove(from) {
                    self.files.insert(to.clone(), key);
                }
            }
            NameChange::Remove(path) => {
                self.files.remove(path);
            }
            NameChange::RemoveDirectory(path) => {
                let below = format!("{path}/");
                self.files.retain(|file, _| !file.starts_with(&below));
                self.directories
                    .retain(|name| name != path && !name.starts_with(&below));
            }
        }
    }
}

/// A file's bytes: those that were synced, and the changes since.
#[derive(Debug, Default)]
struct Content {
    synced: Vec<u8>,
    changes: Vec<ContentChange>,
}

#[derive(Debug)]
enum ContentChange {
    Append(Vec<u8>),
    Truncate(usize),
}

impl Content {
    /// The bytes after the first so many changes.
    fn after(&self, changes: usize) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in self.changes.iter().take(changes) {
            match change {
                ContentChange::Append(appended) => bytes.extend_from_slice(appended),
                ContentChange::Truncate(length) => bytes.truncate(*length),
            }
        }
        bytes
    }

    /// What a crash leaves of the file.
    fn crashed(&self, random: &mut Random) -> Vec<u8> {
        let only_grew = self
            .changes
            .iter()
            .all(|change| matches!(change, ContentChange::Append(_)));
        let kept = if only_grew {
            self.changes.len()
        } else {
            random.up_to(self.changes.len())
        };
        let mut bytes = self.after(kept);
        let safe = self.synced.len().min(bytes.len());
        let cut = safe + random.up_to(bytes.len() - safe);
        match random.up_to(4) {
            0 => bytes.truncate(if only_grew { safe } else { bytes.len() }),
            1 => {}
            2 => bytes.truncate(cut),
            3 => zero(&mut bytes, cut, usize::MAX),
            _ => lose_sectors(&mut bytes, safe, random),
        }
        bytes
    }
}

fn zero(bytes: &mut [u8], from: usize, to: usize) {
    let to = to.min(bytes.len());
    if let Some(lost) = bytes.get_mut(from..to) {
        lost.fill(0);
    }
}

/// Later sectors of a file may reach the disk before earlier ones.
fn lose_sectors(bytes: &mut [u8], from: usize, random: &mut Random) {
    for sector in from / SECTOR_BYTES..bytes.len().div_ceil(SECTOR_BYTES) {
        if random.up_to(2) == 0 {
            zero(
                bytes,
                from.max(sector * SECTOR_BYTES),
                (sector + 1) * SECTOR_BYTES,
            );
        }
    }
}

impl Shadow {
    /// The file that has this name now.
    pub(super) fn key(&self, path: &str) -> Option<FileKey> {
        self.live.files.get(path).copied()
    }

    fn note(&mut self, change: NameChange) {
        self.live.apply(&change);
        self.pending.push(change);
    }

    pub(super) fn create_directory(&mut self, path: &str) {
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let directory = path.get(..end).unwrap_or(path);
            if !directory.is_empty() && !self.live.directories.contains(directory) {
                self.note(NameChange::CreateDirectory(directory.to_owned()));
            }
        }
    }

    pub(super) fn create(&mut self, path: &str) {
        match self.key(path) {
            Some(key) => self.truncate(key, 0),
            None => {
                self.files.push(Content::default());
                self.note(NameChange::Create(path.to_owned(), self.files.len() - 1));
            }
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.note(NameChange::Rename(from.to_owned(), to.to_owned()));
    }

    pub(super) fn remove(&mut self, path: &str) {
        self.note(NameChange::Remove(path.to_owned()));
    }

    pub(super) fn remove_directory(&mut self, path: &str) {
        self.note(NameChange::RemoveDirectory(path.to_owned()));
    }

    pub(super) fn sync_directory(&mut self, path: &str) {
        let (synced, pending): (Vec<_>, Vec<_>) = self
            .pending
            .drain(..)
            .partition(|change| change.directory() == path);
        self.pending = pending;
        synced.iter().for_each(|change| self.durable.apply(change));
    }

    pub(super) fn append(&mut self, key: FileKey, bytes: &[u8]) {
        if let Some(content) = self.files.get_mut(key) {
            content.changes.push(ContentChange::Append(bytes.to_vec()));
        }
    }

    pub(super) fn truncate(&mut self, key: FileKey, length: u64) {
        if let Some(content) = self.files.get_mut(key) {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            content.changes.push(ContentChange::Truncate(length));
        }
    }

    pub(super) fn sync(&mut self, key: FileKey) {
        if let Some(content) = self.files.get_mut(key) {
            content.synced = content.after(content.changes.len());
            content.changes.clear();
        }
    }

    /// What the disk would hold after a crash.
    pub(super) fn image(&self, seed: u64) -> MemoryStorage {
        let mut random = Random(seed);
        let mut names = self.durable.clone();
        let change_odds = random.up_to(2);
        for change in &self.pending {
            if random.up_to(2) < change_odds {
                names.apply(change);
            }
        }
        let image = MemoryStorage::new();
        for directory in &names.directories {
            image.create_directory(directory).ok();
        }
        for (path, key) in &names.files {
            let bytes = self
                .files
                .get(*key)
                .map(|content| content.crashed(&mut random));
            if let (Ok(mut file), Some(bytes)) = (image.create(path), bytes) {
                file.append(&bytes).ok();
            }
        }
        image
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): a seed is enough to see the same crash again.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to the limit, both included.
    fn up_to(&mut self, limit: usize) -> usize {
        let count = limit as u64 + 1;
        usize::try_from(self.next() % count).unwrap_or(0)
    }
}
