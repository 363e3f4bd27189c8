//! Storage that fails on purpose, and that can tell what a crash would have left.
//!
//! Every call of the [`Storage`] and [`AppendFile`] traits that reaches the disk has a number,
//! from 1. A test runs once to learn how many there are and then once for each of them, with a
//! fault planted there. `AppendFile::length` and reads from a map are no calls.

mod image;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AppendFile, Bytes, MemoryStorage, Storage, system_error};
use crate::error::{Error, Result};
use image::{FileKey, Shadow};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done and the system reports an input/output error.
    Error,
    /// An append writes only so many bytes before it fails; other calls do nothing.
    ShortAppend(usize),
    /// The call takes effect and is reported as failed all the same; a sync takes none.
    LostReply,
    /// Nothing is done: the disk is full.
    DiskFull,
    /// Nothing is done: the disk is read-only.
    ReadOnly,
}

/// Passes calls on to another storage, except for those that it was told to fail.
///
/// Clones share the counter, the planted faults and the crash image.
#[derive(Clone, Debug)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    once: Option<(u64, Fault)>,
    from: Option<(u64, Fault)>,
    shadow: Shadow,
}

impl FaultyStorage {
    /// Wraps a storage that is empty: the crash image knows only what goes through here.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        FaultyStorage {
            inner,
            state: Arc::default(),
        }
    }

    /// Wraps a new [`MemoryStorage`].
    pub fn in_memory() -> Self {
        FaultyStorage::new(Arc::new(MemoryStorage::new()))
    }

    /// Count of calls so far, failed ones among them.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Fails the call with this number, and only that one.
    pub fn fail_call(&self, number: u64, fault: Fault) {
        self.state().once = Some((number, fault));
    }

    /// Fails every call from this number on.
    pub fn fail_from(&self, number: u64, fault: Fault) {
        self.state().from = Some((number, fault));
    }

    /// Forgets the planted faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.once = None;
        state.from = None;
    }

    /// What the disk would hold if the machine stopped now.
    ///
    /// All that was synced is there. Bytes appended since are there in full, in part (cut, filled
    /// up with zeros, or with some sectors missing) or not at all, file by file; creations,
    /// renames and removals whose directory was not synced may be missing. The seed decides.
    pub fn crash_image(&self, seed: u64) -> MemoryStorage {
        self.state().shadow.image(seed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says how it shall fail.
    fn count(&self) -> Option<Fault> {
        let mut state = self.state();
        state.calls += 1;
        let number = state.calls;
        let once = state.once.filter(|(call, _)| *call == number);
        once.or(state.from.filter(|(call, _)| *call <= number))
            .map(|(_, fault)| fault)
    }

    /// Counts a call, does it unless it shall fail, and loses its reply where told so.
    fn call<T>(&self, path: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let fault = self.count();
        if matches!(fault, None | Some(Fault::LostReply)) {
            let done = work()?;
            if fault.is_none() {
                return Ok(done);
            }
        }
        Err(planted(fault.unwrap_or(Fault::Error), path))
    }

    fn opened(&self, inner: Box<dyn AppendFile>, path: &str) -> Result<Box<dyn AppendFile>> {
        let key = self.state().shadow.key(path);
        let key = key.ok_or_else(|| {
            Error::internal(format!("{path:?} was not written through this storage"))
        })?;
        Ok(Box::new(FaultyAppendFile {
            inner,
            storage: self.clone(),
            key,
            path: path.to_owned(),
        }))
    }
}

/// The error that the system would give.
fn planted(fault: Fault, path: &str) -> Error {
    let kind = match fault {
        Fault::DiskFull => std::io::ErrorKind::StorageFull,
        Fault::ReadOnly => std::io::ErrorKind::ReadOnlyFilesystem,
        Fault::Error | Fault::ShortAppend(_) | Fault::LostReply => std::io::ErrorKind::Other,
    };
    system_error("use (planted fault)", path, &kind.into())
}

impl Storage for FaultyStorage {
    fn create_directory(&self, path: &str) -> Result<()> {
        self.call(path, || {
            self.inner.create_directory(path)?;
            self.state().shadow.create_directory(path);
            Ok(())
        })
    }

    fn list(&self, path: &str) -> Result<Vec<String>> {
        self.call(path, || self.inner.list(path))
    }

    fn create(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        self.call(path, || {
            let file = self.inner.create(path)?;
            self.state().shadow.create(path);
            self.opened(file, path)
        })
    }

    fn open_append(&self, path: &str) -> Result<Box<dyn AppendFile>> {
        self.call(path, || self.opened(self.inner.open_append(path)?, path))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        self.call(path, || self.inner.read(path))
    }

    fn map(&self, path: &str) -> Result<Arc<dyn Bytes>> {
        self.call(path, || self.inner.map(path))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.call(from, || {
            self.inner.rename(from, to)?;
            self.state().shadow.rename(from, to);
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.call(path, || {
            self.inner.remove(path)?;
            self.state().shadow.remove(path);
            Ok(())
        })
    }

    fn remove_directory(&self, path: &str) -> Result<()> {
        self.call(path, || {
            self.inner.remove_directory(path)?;
            self.state().shadow.remove_directory(path);
            Ok(())
        })
    }

    fn sync_directory(&self, path: &str) -> Result<()> {
        match self.count() {
            None => {
                self.inner.sync_directory(path)?;
                self.state().shadow.sync_directory(path);
                Ok(())
            }
            Some(fault) => Err(planted(fault, path)),
        }
    }
}

struct FaultyAppendFile {
    inner: Box<dyn AppendFile>,
    storage: FaultyStorage,
    key: FileKey,
    path: String,
}

impl AppendFile for FaultyAppendFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let fault = self.storage.count();
        let written = match fault {
            None | Some(Fault::LostReply) => bytes,
            Some(Fault::ShortAppend(length)) => bytes.get(..length).unwrap_or(bytes),
            Some(_) => &[],
        };
        self.inner.append(written)?;
        self.storage.state().shadow.append(self.key, written);
        fault.map_or(Ok(()), |fault| Err(planted(fault, &self.path)))
    }

    fn sync(&mut self) -> Result<()> {
        match self.storage.count() {
            None => {
                self.inner.sync()?;
                self.storage.state().shadow.sync(self.key);
                Ok(())
            }
            Some(fault) => Err(planted(fault, &self.path)),
        }
    }

    fn truncate(&mut self, length: u64) -> Result<()> {
        let FaultyAppendFile {
            inner,
            storage,
            key,
            path,
        } = self;
        storage.call(path, || {
            inner.truncate(length)?;
            storage.state().shadow.truncate(*key, length);
            Ok(())
        })
    }

    fn length(&self) -> u64 {
        self.inner.length()
    }
}
