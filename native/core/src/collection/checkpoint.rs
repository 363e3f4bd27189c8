//! The file that lets a collection open without reading its log from the start.
//!
//! It holds only what is derived: where rows stand, filters, statistics, codes, graph, and what is
//! remembered of recent batches. It is written beside the old one and takes its place by a rename; layout: `docs/log-format.md`.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ids::IdTable;
use super::kept::{self, KeptReply, Replies, StreamOffset, Streams};
use super::snapshot::{SlotState, Snapshot, TailRow};
use crate::cow::CowVec;
use crate::embed::Statistics;
use crate::error::{Error, ErrorCode, Result};
use crate::filter::FilterIndex;
use crate::index::{Builder, Graph};
use crate::log::{Location, Manifest};
use crate::record::Slot;
use crate::storage::{AppendFile, Storage};

const FILE: &str = "checkpoint";
const FILE_NEW: &str = "checkpoint.new";
const MAGIC: &[u8; 8] = b"VLYCHECK";
const FORMAT: u32 = 1;

/// What stands in a checkpoint, section by section, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Section {
    Head = 1,
    Slots = 2,
    Ids = 3,
    Alive = 4,
    Tail = 5,
    Dead = 6,
    Filters = 7,
    Statistics = 8,
    Graph = 9,
    Replies = 10,
    Streams = 11,
    End = 12,
}

/// A collection as a checkpoint describes it; its log files are opened by recovery.
pub struct Checkpoint {
    /// The log files that it needs, and where the log goes on.
    pub manifest: Manifest,
    /// State of every slot.
    pub slots: CowVec<SlotState>,
    /// From id to slot.
    pub ids: IdTable,
    /// The slots that hold a record.
    pub alive: RoaringBitmap,
    /// Rows that were not in the graph.
    pub tail: Vec<TailRow>,
    /// Dead slots that the graph may still link to.
    pub dead: Vec<Slot>,
    /// Bitmaps of metadata values.
    pub filters: FilterIndex,
    /// Word statistics, where the collection has them.
    pub statistics: Option<Statistics>,
    /// The graph's builder.
    pub builder: Builder,
    /// The replies to requests with idempotency keys.
    pub replies: Replies,
    /// How far streams have come.
    pub streams: Streams,
}

/// Writes a checkpoint durably. The log must be synced up to the snapshot's position.
///
/// # Errors
/// What the storage reports; the old checkpoint is then still in place.
pub fn write(
    storage: &dyn Storage,
    directory: &str,
    snapshot: &Snapshot,
    builder: &Builder,
) -> Result<()> {
    let new = format!("{directory}/{FILE_NEW}");
    let mut file = storage.create(&new)?;
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&FORMAT.to_le_bytes());
    file.append(&head)?;
    let mut bytes = Vec::new();
    for section in SECTIONS {
        bytes.clear();
        encode(section, snapshot, builder, &mut bytes);
        append_section(&mut *file, section, &bytes)?;
    }
    file.sync()?;
    drop(file);
    storage.rename(&new, &format!("{directory}/{FILE}"))?;
    storage.sync_directory(directory)
}

const SECTIONS: [Section; 12] = [
    Section::Head,
    Section::Slots,
    Section::Ids,
    Section::Alive,
    Section::Tail,
    Section::Dead,
    Section::Filters,
    Section::Statistics,
    Section::Graph,
    Section::Replies,
    Section::Streams,
    Section::End,
];

fn append_section(file: &mut dyn AppendFile, section: Section, bytes: &[u8]) -> Result<()> {
    let mut header = vec![section as u8];
    header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    file.append(&header)?;
    file.append(bytes)
}

fn encode(section: Section, snapshot: &Snapshot, builder: &Builder, out: &mut Vec<u8>) {
    match section {
        Section::Head => {
            let manifest = snapshot.files.manifest(snapshot.position);
            // Writing plain structures to memory cannot fail.
            let _ = serde_json::to_writer(out, &manifest);
        }
        Section::Slots => {
            for state in snapshot.slots.iter() {
                out.extend_from_slice(&state.sequence.to_le_bytes());
                for row in [state.row, state.metadata] {
                    out.extend_from_slice(&row.file.to_le_bytes());
                    out.extend_from_slice(&row.offset.to_le_bytes());
                }
            }
        }
        Section::Ids => {
            for slot in 0..snapshot.slots.len() as Slot {
                let id = snapshot.ids.id(slot).filter(|_| snapshot.is_alive(slot));
                let id = id.map_or("", |id| &**id);
                out.extend_from_slice(&(id.len() as u16).to_le_bytes());
                out.extend_from_slice(id.as_bytes());
            }
        }
        Section::Alive => {
            // Writing to memory cannot fail.
            let _ = snapshot.alive.serialize_into(out);
        }
        Section::Tail => {
            for row in snapshot.tail.iter() {
                out.extend_from_slice(&row.slot.to_le_bytes());
                out.extend_from_slice(&row.sequence.to_le_bytes());
            }
        }
        Section::Dead => {
            for slot in snapshot.dead.iter() {
                out.extend_from_slice(&slot.to_le_bytes());
            }
        }
        Section::Filters => snapshot.filters.encode(out),
        Section::Statistics => {
            if let Some(statistics) = &snapshot.statistics {
                out.extend_from_slice(&statistics.encode());
            }
        }
        Section::Graph => builder.save(out),
        Section::Replies => {
            for reply in snapshot.replies.iter() {
                append_entry(out, &reply.encode());
            }
        }
        Section::Streams => {
            for stream in snapshot.streams.iter() {
                append_entry(out, &stream.encode());
            }
        }
        Section::End => {}
    }
}

fn append_entry(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads the checkpoint of a collection; `None` where none was written yet.
///
/// # Errors
/// `CORRUPTED` where a section is not what was written, `UNSUPPORTED` for a later format.
pub fn read(
    storage: &dyn Storage,
    directory: &str,
    graph: &Arc<Graph>,
) -> Result<Option<Checkpoint>> {
    if !storage.list(directory)?.iter().any(|name| name == FILE) {
        return Ok(None);
    }
    let path = format!("{directory}/{FILE}");
    let map = storage.map(&path)?;
    let mut reader = Reader {
        path: &path,
        rest: map.as_slice(),
    };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(reader.corrupted("it does not begin as a checkpoint does"));
    }
    let format = reader.u32()?;
    if format != FORMAT {
        let message = format!("{path}: format {format}, this version reads {FORMAT}");
        return Err(Error::new(ErrorCode::Unsupported, message));
    }
    read_sections(&mut reader, graph).map(Some)
}

fn read_sections(reader: &mut Reader<'_>, graph: &Arc<Graph>) -> Result<Checkpoint> {
    let head = reader.section(Section::Head)?;
    let manifest = serde_json::from_slice(head.rest).map_err(|error| head.corrupted(error))?;
    let slots = reader.section(Section::Slots)?.slots()?;
    let mut ids_section = reader.section(Section::Ids)?;
    let alive_section = reader.section(Section::Alive)?;
    let alive = RoaringBitmap::deserialize_from(alive_section.rest)
        .map_err(|error| alive_section.corrupted(error))?;
    let ids = ids_section.ids(slots.len(), &alive)?;
    let tail = reader.section(Section::Tail)?.tail(slots.len())?;
    let dead = reader.section(Section::Dead)?.dead(slots.len())?;
    let filters = FilterIndex::decode(reader.section(Section::Filters)?.rest)?;
    let statistics = reader.section(Section::Statistics)?.rest;
    let statistics = if statistics.is_empty() {
        None
    } else {
        Some(Statistics::decode(statistics)?)
    };
    let builder = Builder::load(Arc::clone(graph), reader.section(Section::Graph)?.rest)?;
    let replies = reader.section(Section::Replies)?.replies()?;
    let streams = reader.section(Section::Streams)?.streams()?;
    reader.section(Section::End)?;
    Ok(Checkpoint {
        manifest,
        slots,
        ids,
        alive,
        tail,
        dead,
        filters,
        statistics,
        builder,
        replies,
        streams,
    })
}

/// Reads little-endian values off the front and never beyond the end.
struct Reader<'a> {
    path: &'a str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn corrupted(&self, message: impl std::fmt::Display) -> Error {
        Error::corrupted(self.path, message)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.corrupted("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn location(&mut self) -> Result<Location> {
        Ok(Location {
            file: self.u32()?,
            offset: self.u32()?,
        })
    }

    fn section(&mut self, expected: Section) -> Result<Reader<'a>> {
        let [tag] = self.array()?;
        let length = self.u64()?;
        let checksum = self.u32()?;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        if tag != expected as u8 || crc32fast::hash(bytes) != checksum {
            return Err(self.corrupted(format_args!("section {expected:?} is damaged")));
        }
        Ok(Reader {
            path: self.path,
            rest: bytes,
        })
    }

    fn slots(mut self) -> Result<CowVec<SlotState>> {
        let mut slots = CowVec::default();
        while !self.rest.is_empty() {
            let sequence = self.u64()?;
            let (row, metadata) = (self.location()?, self.location()?);
            slots.push(SlotState {
                sequence,
                row,
                metadata,
            });
        }
        Ok(slots)
    }

    fn ids(&mut self, count: usize, alive: &RoaringBitmap) -> Result<IdTable> {
        let mut ids = IdTable::default();
        for slot in 0..count as Slot {
            let length = u16::from_le_bytes(self.array()?);
            let id = std::str::from_utf8(self.take(length.into())?)
                .map_err(|error| self.corrupted(error))?;
            if alive.contains(slot) {
                ids.insert(id, slot);
            } else {
                ids.skip(slot);
            }
        }
        if alive.max().is_some_and(|slot| slot as usize >= count) {
            return Err(self.corrupted("a live slot has no state"));
        }
        Ok(ids)
    }

    fn slot(&mut self, count: usize) -> Result<Slot> {
        let slot = self.u32()?;
        if slot as usize >= count {
            return Err(self.corrupted(format_args!("slot {slot} of {count}")));
        }
        Ok(slot)
    }

    fn tail(mut self, count: usize) -> Result<Vec<TailRow>> {
        let mut tail = Vec::new();
        while !self.rest.is_empty() {
            tail.push(TailRow {
                slot: self.slot(count)?,
                sequence: self.u64()?,
            });
        }
        Ok(tail)
    }

    fn entry(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn replies(mut self) -> Result<Replies> {
        let mut replies = kept::no_replies();
        while !self.rest.is_empty() {
            replies.insert(Arc::new(KeptReply::decode(self.entry()?)?));
        }
        Ok(replies)
    }

    fn streams(mut self) -> Result<Streams> {
        let mut streams = kept::no_streams();
        while !self.rest.is_empty() {
            streams.insert(Arc::new(StreamOffset::decode(self.entry()?)?));
        }
        Ok(streams)
    }

    fn dead(mut self, count: usize) -> Result<Vec<Slot>> {
        let mut dead = Vec::new();
        while !self.rest.is_empty() {
            dead.push(self.slot(count)?);
        }
        Ok(dead)
    }
}
