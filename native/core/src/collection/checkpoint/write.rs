//! Writing a checkpoint, in pieces, from what does not change meanwhile.

use std::sync::Arc;

use super::{FILE, FILE_NEW, FORMAT, MAGIC, MAGIC_END, SECTIONS, Section};
use crate::collection::snapshot::Snapshot;
use crate::error::Result;
use crate::index::Frozen;
use crate::record::Slot;
use crate::storage::{AppendFile, Storage};

/// Bytes that are appended together.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes after which the file is synced: a few at a time, so that a sync of the log never waits
/// for hundreds of megabytes of this file.
const SYNC_BYTES: u64 = 16 << 20;

/// What a checkpoint is written from.
pub struct Source {
    /// The records.
    pub snapshot: Arc<Snapshot>,
    /// The graph as of the same moment.
    pub graph: Frozen,
}

/// Writes a checkpoint durably. The log must be synced up to the snapshot's position.
///
/// # Errors
/// What the storage reports; the old checkpoint is then still in place.
pub fn write(storage: &dyn Storage, directory: &str, source: &Source) -> Result<()> {
    let new = format!("{directory}/{FILE_NEW}");
    let mut output = Output::new(storage.create(&new)?);
    output.put(MAGIC)?;
    output.put(&FORMAT.to_le_bytes())?;
    let mut table = Vec::new();
    for section in SECTIONS {
        let offset = output.begin();
        encode(section, source, &mut output)?;
        let (length, checksum) = output.end();
        table.push(section as u8);
        table.extend_from_slice(&offset.to_le_bytes());
        table.extend_from_slice(&length.to_le_bytes());
        table.extend_from_slice(&checksum.to_le_bytes());
    }
    output.put(&table)?;
    output.put(&crc32fast::hash(&table).to_le_bytes())?;
    output.put(MAGIC_END)?;
    output.finish()?;
    storage.rename(&new, &format!("{directory}/{FILE}"))?;
    storage.sync_directory(directory)
}

/// Bytes on their way to the file.
struct Output {
    file: Box<dyn AppendFile>,
    piece: Vec<u8>,
    /// Bytes so far, with those in `piece`.
    written: u64,
    synced: u64,
    section_began: u64,
    /// Of the section, up to `hashed` in `piece`.
    checksum: crc32fast::Hasher,
    hashed: usize,
}

impl Output {
    fn new(file: Box<dyn AppendFile>) -> Self {
        Output {
            file,
            piece: Vec::with_capacity(PIECE_BYTES),
            written: 0,
            synced: 0,
            section_began: 0,
            checksum: crc32fast::Hasher::new(),
            hashed: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len() as u64;
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.hand_on()?;
        }
        Ok(())
    }

    fn hand_on(&mut self) -> Result<()> {
        self.hash();
        self.file.append(&self.piece)?;
        self.piece.clear();
        self.hashed = 0;
        if self.written - self.synced >= SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Begins a section; returns where.
    fn begin(&mut self) -> u64 {
        self.checksum.reset();
        self.hashed = self.piece.len();
        self.section_began = self.written;
        self.written
    }

    fn hash(&mut self) {
        self.checksum.update(&self.piece[self.hashed..]);
        self.hashed = self.piece.len();
    }

    /// Length and checksum of the section.
    fn end(&mut self) -> (u64, u32) {
        self.hash();
        let length = self.written - self.section_began;
        (length, self.checksum.clone().finalize())
    }

    fn finish(mut self) -> Result<()> {
        self.hand_on()?;
        self.file.sync()
    }
}

fn encode(section: Section, source: &Source, out: &mut Output) -> Result<()> {
    let Source { snapshot, graph } = source;
    match section {
        Section::Head => {
            let manifest = snapshot.files.manifest(snapshot.position);
            let json = serde_json::to_vec(&manifest).unwrap_or_default();
            out.put(&json)
        }
        Section::Slots => snapshot.slots.iter().try_for_each(|state| {
            out.put(&state.sequence.to_le_bytes())?;
            [state.row, state.metadata].iter().try_for_each(|row| {
                out.put(&row.file.to_le_bytes())?;
                out.put(&row.offset.to_le_bytes())
            })
        }),
        Section::Ids => (0..snapshot.slots.len() as Slot).try_for_each(|slot| {
            let id = snapshot.ids.id(slot).filter(|_| snapshot.is_alive(slot));
            let id = id.map_or("", |id| &**id);
            out.put(&(id.len() as u16).to_le_bytes())?;
            out.put(id.as_bytes())
        }),
        Section::Alive => {
            let mut bytes = Vec::with_capacity(snapshot.alive.serialized_size());
            // Writing to memory cannot fail.
            let _ = snapshot.alive.serialize_into(&mut bytes);
            out.put(&bytes)
        }
        Section::Tail => snapshot.tail.iter().try_for_each(|row| {
            out.put(&row.slot.to_le_bytes())?;
            out.put(&row.sequence.to_le_bytes())
        }),
        Section::Dead => {
            let mut dead = snapshot.dead.iter();
            dead.try_for_each(|slot| out.put(&slot.to_le_bytes()))
        }
        Section::Filters => {
            let mut bytes = Vec::new();
            snapshot.filters.encode(&mut bytes);
            out.put(&bytes)
        }
        Section::Statistics => match &snapshot.statistics {
            Some(statistics) => out.put(&statistics.encode()),
            None => Ok(()),
        },
        Section::Graph => graph.save(&mut |bytes| out.put(bytes)),
        Section::Replies => {
            let mut replies = snapshot.replies.iter();
            replies.try_for_each(|reply| put_entry(out, &reply.encode()))
        }
        Section::Streams => {
            let mut streams = snapshot.streams.iter();
            streams.try_for_each(|stream| put_entry(out, &stream.encode()))
        }
    }
}

fn put_entry(out: &mut Output, bytes: &[u8]) -> Result<()> {
    out.put(&(bytes.len() as u32).to_le_bytes())?;
    out.put(bytes)
}
