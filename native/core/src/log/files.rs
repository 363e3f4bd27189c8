//! The set of log files, and rows by location.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::bytes::{ALIGNMENT, size};
use super::row::{ROW_BYTES_MIN, RowHeader, RowView};
use super::{FileKind, FileLength, Location, Manifest, Position, file_path};
use crate::error::{Error, Result};
use crate::kernels;
use crate::storage::{Bytes, Storage};

/// One file of the log: active while it is being written, then sealed for good.
///
/// Readers need not know which: a row can be read from the moment it was appended, and sealing
/// takes no row away from a reader that has it.
#[derive(Debug)]
pub struct LogFile {
    number: u32,
    kind: FileKind,
    path: String,
    /// Frames of the active file by offset; emptied when it is sealed.
    blocks: RwLock<Vec<Block>>,
    sealed: OnceLock<Sealed>,
}

#[derive(Debug)]
struct Block {
    offset: usize,
    bytes: Arc<Vec<u8>>,
}

#[derive(Debug)]
struct Sealed {
    bytes: Arc<dyn Bytes>,
    /// A bit for every 32 bytes: whether the row that begins there was verified. Rows are no
    /// shorter than that, so no two of them share a bit.
    verified: Box<[AtomicU64]>,
}

/// Bytes of one unit of the bits in `Sealed::verified`.
const VERIFIED_UNIT_BYTES: usize = ROW_BYTES_MIN;

impl Sealed {
    fn new(bytes: Arc<dyn Bytes>) -> Self {
        let words = bytes.as_slice().len().div_ceil(VERIFIED_UNIT_BYTES * 64);
        Sealed {
            bytes,
            verified: std::iter::repeat_with(AtomicU64::default)
                .take(words)
                .collect(),
        }
    }

    /// The row at an offset, verified now or before.
    fn row(&self, offset: usize) -> Result<RowView<'_>, &'static str> {
        let row = RowView::decode(row_bytes(self.bytes.as_slice(), offset)?)?;
        let (word, bit) = self.mark(offset).ok_or(OUTSIDE)?;
        // Two readers may both verify a row; they come to the same result.
        if word.load(Ordering::Relaxed) & bit == 0 {
            row.verify()?;
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(row)
    }

    /// What tells whether the row at an offset was verified: a bit of a word.
    fn mark(&self, offset: usize) -> Option<(&AtomicU64, u64)> {
        let unit = offset / VERIFIED_UNIT_BYTES;
        Some((self.verified.get(unit / 64)?, 1 << (unit % 64)))
    }

    /// See [`LogFiles::prefetch`].
    fn prefetch(&self, offset: usize) {
        let row = self.bytes.as_slice().get(offset..offset + PREFETCHED_BYTES);
        kernels::prefetch(row.unwrap_or_default());
        if let Some((word, _)) = self.mark(offset) {
            kernels::prefetch(std::slice::from_ref(word));
        }
    }
}

/// Of a row, what is asked for ahead.
const PREFETCHED_BYTES: usize = 256;

const OUTSIDE: &str = "no row begins here";

fn row_bytes(bytes: &[u8], offset: usize) -> Result<&[u8], &'static str> {
    if !offset.is_multiple_of(ALIGNMENT) {
        return Err(OUTSIDE);
    }
    bytes
        .get(offset..)
        .filter(|rest| !rest.is_empty())
        .ok_or(OUTSIDE)
}

impl LogFile {
    /// A file to be written, empty so far.
    pub(super) fn active(directory: &str, number: u32, kind: FileKind) -> Self {
        LogFile {
            number,
            kind,
            path: file_path(directory, number, kind),
            blocks: RwLock::default(),
            sealed: OnceLock::new(),
        }
    }

    /// Opens a sealed file, which must have the length that it was sealed with.
    pub(super) fn open(
        storage: &dyn Storage,
        directory: &str,
        file: &FileLength,
    ) -> Result<Arc<Self>> {
        let opened = LogFile::active(directory, file.number, file.kind);
        opened.seal_mapped(storage, file.bytes)?;
        Ok(Arc::new(opened))
    }

    /// Adds a frame that was appended to the active file.
    pub(super) fn push_block(&self, offset: u32, bytes: Vec<u8>) {
        let block = Block {
            offset: size(offset),
            bytes: Arc::new(bytes),
        };
        self.blocks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(block);
    }

    /// Maps the file, which must have the length that was written. All of it must be durable.
    /// Returns what [`LogFile::seal`] does.
    pub(super) fn seal_mapped(&self, storage: &dyn Storage, length: u32) -> Result<Vec<Vec<u8>>> {
        let bytes = storage.map(&self.path)?;
        let actual = bytes.as_slice().len();
        if actual != size(length) {
            let message = format!("the file is {actual} bytes, it was sealed with {length}");
            return Err(Error::corrupted(&self.path, message)
                .with("actual", actual)
                .with("expected", length)
                .with("unit", "bytes"));
        }
        Ok(self.seal(bytes))
    }

    /// From now on rows are read from these bytes, and the copies in memory are given up: those
    /// that no reader holds are returned.
    pub(super) fn seal(&self, bytes: Arc<dyn Bytes>) -> Vec<Vec<u8>> {
        self.sealed.get_or_init(|| Sealed::new(bytes));
        // Only now: a reader that finds no block looks for the sealed bytes.
        let mut blocks = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let blocks = std::mem::take(&mut *blocks).into_iter();
        blocks
            .filter_map(|block| Arc::into_inner(block.bytes))
            .collect()
    }

    /// Its number, which no other file of the collection ever has.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What its frames are for.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Its path below the store's directory.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its length in bytes; `None` while it is being written.
    pub fn sealed_bytes(&self) -> Option<u32> {
        self.sealed
            .get()
            .and_then(|sealed| sealed.bytes.as_slice().len().try_into().ok())
    }

    /// Its length in bytes as it is now.
    pub fn length(&self) -> u32 {
        self.sealed_bytes().unwrap_or_else(|| {
            let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
            blocks
                .last()
                .map_or(0, |block| (block.offset + block.bytes.len()) as u32)
        })
    }

    /// The sealed file as bytes; `None` while it is being written.
    pub(super) fn bytes(&self) -> Option<&Arc<dyn Bytes>> {
        self.sealed.get().map(|sealed| &sealed.bytes)
    }

    fn memory(&self) -> LogMemory {
        let mut memory = LogMemory::default();
        if let Some(sealed) = self.sealed.get() {
            let length = sealed.bytes.as_slice().len();
            let part = if sealed.bytes.is_mapped() {
                &mut memory.mapped
            } else {
                &mut memory.anonymous
            };
            *part += length;
            memory.anonymous += sealed.verified.len() * size_of::<AtomicU64>();
        }
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        memory.anonymous += blocks
            .iter()
            .map(|block| block.bytes.capacity())
            .sum::<usize>();
        memory
    }

    /// The frame of the active file in which a row stands.
    fn block(&self, offset: usize) -> Option<(usize, Arc<Vec<u8>>)> {
        let blocks = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let after = blocks.partition_point(|block| block.offset <= offset);
        let block = blocks.get(after.checked_sub(1)?)?;
        Some((offset - block.offset, Arc::clone(&block.bytes)))
    }

    fn fault(&self, offset: u32, reason: &str) -> Error {
        Error::corrupted(&self.path, format_args!("offset {offset}: {reason}"))
            .with("offset", offset)
    }

    fn row(self: &Arc<Self>, offset: u32) -> Result<RowGuard, &'static str> {
        let at = size(offset);
        if self.sealed.get().is_none()
            && let Some((start, bytes)) = self.block(at)
        {
            // The bytes never left memory since they were encoded or verified by recovery.
            let header = RowView::decode(row_bytes(&bytes, start)?)?.header();
            let range = start..start + header.length;
            return Ok(RowGuard {
                header,
                range,
                owner: Owner::Block(bytes),
            });
        }
        let header = self.sealed.get().ok_or(OUTSIDE)?.row(at)?.header();
        let range = at..at + header.length;
        Ok(RowGuard {
            header,
            range,
            owner: Owner::File(Arc::clone(self)),
        })
    }
}

/// Memory that files of the log take, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMemory {
    /// Address space of mapped files; the system fills and drops its pages as it sees fit.
    pub mapped: usize,
    /// Memory of our own.
    pub anonymous: usize,
}

/// An immutable set of files; clones share it.
///
/// A snapshot that holds one can read all its rows for as long as it lives, whatever is sealed or
/// removed meanwhile.
#[derive(Clone, Debug, Default)]
pub struct LogFiles {
    files: Arc<BTreeMap<u32, Arc<LogFile>>>,
}

impl LogFiles {
    /// The row at a location, which lives as long as the guard.
    ///
    /// # Errors
    /// `CORRUPTED` with path and offset if no row begins there or if it is not what was written;
    /// its checksum is compared when it is first touched.
    pub fn row(&self, location: Location) -> Result<RowGuard> {
        let file = self.file(location)?;
        file.row(location.offset)
            .map_err(|reason| file.fault(location.offset, reason))
    }

    /// Lends the row at a location to a function: what [`LogFiles::row`] does, without a guard.
    ///
    /// # Errors
    /// As [`LogFiles::row`].
    pub fn with_row<T>(
        &self,
        location: Location,
        read: impl FnOnce(RowView<'_>) -> T,
    ) -> Result<T> {
        let file = self.file(location)?;
        match file.sealed.get() {
            Some(sealed) => sealed
                .row(size(location.offset))
                .map(read)
                .map_err(|reason| file.fault(location.offset, reason)),
            None => self.row(location).map(|guard| read(guard.view())),
        }
    }

    /// Asks the processor to bring near what tells that a row was verified, and the beginning of
    /// the row, which will soon be read; the rest follows by itself as it is read.
    pub fn prefetch(&self, location: Location) {
        let sealed = self.files.get(&location.file);
        if let Some(sealed) = sealed.and_then(|file| file.sealed.get()) {
            sealed.prefetch(size(location.offset));
        }
    }

    fn file(&self, location: Location) -> Result<&Arc<LogFile>> {
        self.files.get(&location.file).ok_or_else(|| {
            let name = format!("log file {}", location.file);
            Error::corrupted(&name, "no such file belongs to the collection")
        })
    }

    /// The file with a number.
    pub fn get(&self, number: u32) -> Option<&Arc<LogFile>> {
        self.files.get(&number)
    }

    /// All files by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<LogFile>> {
        self.files.values()
    }

    /// Bytes of all files on the disk.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|file| u64::from(file.length())).sum()
    }

    /// Bytes of log files behind a position.
    pub fn bytes_after(&self, position: Position) -> u64 {
        let replayed =
            |file: &&Arc<LogFile>| file.kind == FileKind::Log && file.number >= position.file;
        let bytes: u64 = self
            .iter()
            .filter(replayed)
            .map(|file| u64::from(file.length()))
            .sum();
        bytes.saturating_sub(position.offset.into())
    }

    /// Memory that all files take.
    pub fn memory(&self) -> LogMemory {
        self.iter()
            .map(|file| file.memory())
            .fold(LogMemory::default(), |sum, file| LogMemory {
                mapped: sum.mapped + file.mapped,
                anonymous: sum.anonymous + file.anonymous,
            })
    }

    /// What a checkpoint of the state at a position must keep of the log.
    pub fn manifest(&self, position: Position) -> Manifest {
        // Log files from the position on are found by replay, which may still add to the last.
        let kept =
            |file: &&Arc<LogFile>| file.kind == FileKind::Rows || file.number < position.file;
        let files = self
            .iter()
            .filter(kept)
            .filter_map(|file| {
                let (number, kind) = (file.number, file.kind);
                file.sealed_bytes().map(|bytes| FileLength {
                    number,
                    kind,
                    bytes,
                })
            })
            .collect();
        Manifest { position, files }
    }

    /// This set with more files.
    pub(super) fn with(&self, files: impl IntoIterator<Item = Arc<LogFile>>) -> Self {
        let mut all = (*self.files).clone();
        all.extend(files.into_iter().map(|file| (file.number, file)));
        LogFiles {
            files: Arc::new(all),
        }
    }

    /// This set without some files.
    pub(super) fn without(&self, numbers: &[u32]) -> Self {
        let mut all = (*self.files).clone();
        all.retain(|number, _| !numbers.contains(number));
        LogFiles {
            files: Arc::new(all),
        }
    }
}

/// A row that stays where it is for as long as the guard lives.
#[derive(Debug)]
pub struct RowGuard {
    header: RowHeader,
    range: Range<usize>,
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    Block(Arc<Vec<u8>>),
    File(Arc<LogFile>),
}

impl RowGuard {
    /// The row.
    pub fn view(&self) -> RowView<'_> {
        let bytes = match &self.owner {
            Owner::Block(bytes) => bytes.as_slice(),
            Owner::File(file) => file.bytes().map_or(&[][..], |bytes| bytes.as_slice()),
        };
        RowView::new(
            self.header,
            bytes.get(self.range.clone()).unwrap_or_default(),
        )
    }
}
