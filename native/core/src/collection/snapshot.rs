//! An immutable view of a collection: what every read works on.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::ids::IdTable;
use super::kept::{Replies, Streams};
use crate::batch::{Existing, State};
use crate::cow::CowVec;
use crate::embed::Statistics;
use crate::error::{Error, Result};
use crate::filter::FilterIndex;
use crate::index::Entry;
use crate::log::{Location, LogFiles, Position, RowGuard, RowView};
use crate::metadata;
use crate::record::{Sequence, Slot};

/// What a slot holds; a dead slot's locations mean nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlotState {
    /// The batch that last wrote the record: its version.
    pub sequence: Sequence,
    /// The row with vector and text.
    pub row: Location,
    /// The row with the newest metadata: the same one, or that of a metadata-only update.
    pub metadata: Location,
}

/// A record that is searchable but not in the graph yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailRow {
    /// The record's slot.
    pub slot: Slot,
    /// The batch that brought it.
    pub sequence: Sequence,
}

/// A collection as it was after one batch. Clones share everything that did not change.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last batch that is in it.
    pub sequence: Sequence,
    /// Where the log goes on after that batch.
    pub position: Position,
    /// State of every slot ever used.
    pub slots: CowVec<SlotState>,
    /// From id to slot and back.
    pub ids: IdTable,
    /// The slots that hold a record.
    pub alive: Arc<RoaringBitmap>,
    /// Bitmaps of metadata values.
    pub filters: FilterIndex,
    /// Word statistics of the texts, where the built-in embedder is used.
    pub statistics: Option<Statistics>,
    /// The records that are not in the graph yet, oldest first; some may be dead by now.
    pub tail: Arc<Vec<TailRow>>,
    /// Count of rows that were ever taken off the tail's front, because they are in the graph.
    pub taken: u64,
    /// Dead slots that the graph may still link to, oldest first.
    pub dead: Arc<Vec<Slot>>,
    /// The way into the graph.
    pub entry: Arc<Entry>,
    /// Where rows are read from.
    pub files: LogFiles,
    /// The replies to requests with idempotency keys.
    pub replies: Replies,
    /// How far streams have come.
    pub streams: Streams,
}

impl Snapshot {
    /// Whether a slot holds a record.
    pub fn is_alive(&self, slot: Slot) -> bool {
        self.alive.contains(slot)
    }

    /// Count of records.
    pub fn count(&self) -> u64 {
        self.alive.len()
    }

    /// The last batch whose records are all in the graph.
    pub fn indexed(&self) -> Sequence {
        self.tail
            .first()
            .map_or(self.sequence, |row| row.sequence - 1)
    }

    /// The state of a live record's slot.
    ///
    /// # Errors
    /// `INTERNAL` for a slot that was never used.
    pub fn slot(&self, slot: Slot) -> Result<&SlotState> {
        self.slots
            .get(slot as usize)
            .ok_or_else(|| Error::internal(format!("slot {slot} was never used")))
    }

    /// The row with a record's vector and text.
    ///
    /// # Errors
    /// `CORRUPTED` where the row is not what was written.
    pub fn row(&self, slot: Slot) -> Result<RowGuard> {
        self.files.row(self.slot(slot)?.row)
    }

    /// The row with a record's newest metadata.
    ///
    /// # Errors
    /// `CORRUPTED` where the row is not what was written.
    pub fn metadata_row(&self, slot: Slot) -> Result<RowGuard> {
        self.files.row(self.slot(slot)?.metadata)
    }

    /// A record's text.
    ///
    /// # Errors
    /// `CORRUPTED` where the row is not what was written.
    pub fn read_text(&self, slot: Slot) -> Result<Option<String>> {
        Ok(self.row(slot)?.view().text().map(str::to_owned))
    }

    /// A record's metadata, as it is stored.
    ///
    /// # Errors
    /// `CORRUPTED` where the row is not what was written.
    pub fn read_metadata(&self, slot: Slot) -> Result<Vec<u8>> {
        let read = |row: RowView<'_>| row.metadata().to_vec();
        let metadata = self.files.with_row(self.slot(slot)?.metadata, read)?;
        metadata::validate(&metadata)?;
        Ok(metadata)
    }
}

impl State for Snapshot {
    fn find(&self, id: &str) -> Option<Existing> {
        let slot = self.ids.find(id)?;
        let version = self.slots.get(slot as usize)?.sequence;
        Some(Existing { slot, version })
    }

    fn metadata(&self, slot: Slot) -> Result<Vec<u8>> {
        self.read_metadata(slot)
    }
}
