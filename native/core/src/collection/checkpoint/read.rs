//! Reading a checkpoint; what is not as it was written is refused.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::{
    END_BYTES, ENTRY_BYTES, FILE, FORMAT, HEAD_BYTES, MAGIC, MAGIC_END, SECTIONS, Section,
};
use crate::collection::ids::IdTable;
use crate::collection::kept::{self, KeptReply, Replies, StreamOffset, Streams};
use crate::collection::snapshot::{SlotState, TailRow};
use crate::cow::CowVec;
use crate::embed::Statistics;
use crate::error::{Error, ErrorCode, Result};
use crate::filter::FilterIndex;
use crate::index::{Builder, Graph};
use crate::log::{Location, Manifest};
use crate::record::Slot;
use crate::storage::Storage;

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
    let mut table = Table::read(&path, map.as_slice())?;
    read_sections(&mut table, graph).map(Some)
}

/// Where the sections of a checkpoint stand.
struct Table<'a> {
    path: &'a str,
    file: &'a [u8],
    entries: Reader<'a>,
}

impl<'a> Table<'a> {
    fn read(path: &'a str, file: &'a [u8]) -> Result<Self> {
        let of = |rest| Reader { path, rest };
        let mut head = of(file);
        if head.take(MAGIC.len())? != MAGIC {
            return Err(head.corrupted("it does not begin as a checkpoint does"));
        }
        let format = head.u32()?;
        if format != FORMAT {
            let message = format!("{path}: format {format}, this version reads {FORMAT}");
            return Err(Error::new(ErrorCode::Unsupported, message));
        }
        let table_bytes = SECTIONS.len() * ENTRY_BYTES;
        let sections = head.rest.len().checked_sub(table_bytes + END_BYTES);
        let end = sections.ok_or_else(|| head.corrupted("it ends too early"))?;
        head.take(end)?;
        let entries = head.take(table_bytes)?;
        let checksum = head.u32()?;
        if crc32fast::hash(entries) != checksum || head.rest != MAGIC_END {
            return Err(head.corrupted("its table is damaged"));
        }
        Ok(Table {
            path,
            file: file.get(..HEAD_BYTES + end).unwrap_or_default(),
            entries: of(entries),
        })
    }

    /// The next section, which must be this one.
    fn section(&mut self, expected: Section) -> Result<Reader<'a>> {
        let [tag] = self.entries.array()?;
        let (offset, length) = (self.entries.u64()?, self.entries.u64()?);
        let checksum = self.entries.u32()?;
        let range = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok())
            .and_then(|(offset, length)| self.file.get(offset..offset.checked_add(length)?));
        match range {
            Some(rest) if tag == expected as u8 && crc32fast::hash(rest) == checksum => {
                let path = self.path;
                Ok(Reader { path, rest })
            }
            _ => {
                let message = format_args!("section {expected:?} is damaged");
                Err(self.entries.corrupted(message))
            }
        }
    }
}

fn read_sections(table: &mut Table<'_>, graph: &Arc<Graph>) -> Result<Checkpoint> {
    let head = table.section(Section::Head)?;
    let manifest = serde_json::from_slice(head.rest).map_err(|error| head.corrupted(error))?;
    let slots = table.section(Section::Slots)?.slots()?;
    let mut ids_section = table.section(Section::Ids)?;
    let alive_section = table.section(Section::Alive)?;
    let alive = RoaringBitmap::deserialize_from(alive_section.rest)
        .map_err(|error| alive_section.corrupted(error))?;
    let ids = ids_section.ids(slots.len(), &alive)?;
    let tail = table.section(Section::Tail)?.tail(slots.len())?;
    let dead = table.section(Section::Dead)?.dead(slots.len())?;
    let filters = FilterIndex::decode(table.section(Section::Filters)?.rest)?;
    let statistics = table.section(Section::Statistics)?.rest;
    let statistics = if statistics.is_empty() {
        None
    } else {
        Some(Statistics::decode(statistics)?)
    };
    let builder = Builder::load(Arc::clone(graph), table.section(Section::Graph)?.rest)?;
    let replies = table.section(Section::Replies)?.replies()?;
    let streams = table.section(Section::Streams)?.streams()?;
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
