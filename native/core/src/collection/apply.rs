//! Actions become the next snapshot. Nothing here decides anything, and nothing here can fail for
//! a reason that the caller could have given: plan has seen every record that is touched.

use std::sync::Arc;

use super::slots::SlotAllocator;
use super::snapshot::{SlotState, Snapshot, TailRow};
use crate::batch::Row;
use crate::filter::FilterChanges;
use crate::index::Graph;
use crate::log::Location;
use crate::record::{Sequence, Slot};

/// Applies the actions of batches, live or from the log. The last call is [`Applier::finish`].
pub struct Applier<'a> {
    /// The snapshot in the making.
    pub state: &'a mut Snapshot,
    /// Where new slots come from.
    pub allocator: &'a mut SlotAllocator,
    /// Where codes are written to.
    pub graph: &'a Graph,
    /// The batch whose actions come next.
    pub sequence: Sequence,
    /// What the actions so far change in the filter index, which costs least by the batch.
    pub filters: FilterChanges,
}

impl Applier<'_> {
    /// Applies one planned action, whose row stands at a location of the log. `old_text` is the
    /// text of the version that it ends.
    pub fn row(&mut self, row: &Row<'_>, old_text: Option<&str>, location: Location) {
        match row {
            Row::Store {
                id,
                vector,
                text,
                metadata,
                previous,
            } => {
                if let Some(previous) = previous {
                    self.retire(previous.slot, &previous.metadata, old_text);
                }
                self.store(id, vector, *text, metadata, location);
            }
            Row::Attributes {
                metadata, previous, ..
            } => {
                self.attributes(previous.slot, &previous.metadata, metadata, location);
            }
            Row::Delete { id, previous } => {
                self.retire(previous.slot, &previous.metadata, old_text);
                self.state.ids.remove(id);
            }
        }
    }

    /// Gives a record a slot of its own.
    pub fn store(
        &mut self,
        id: &str,
        vector: &[f32],
        text: Option<&str>,
        metadata: &[u8],
        location: Location,
    ) {
        let slot = self.allocator.allocate();
        self.graph.encode(slot, vector);
        let state = &mut *self.state;
        let entry = SlotState {
            sequence: self.sequence,
            row: location,
            metadata: location,
        };
        while state.slots.len() <= slot as usize {
            state.slots.push(entry);
        }
        if let Some(place) = state.slots.get_mut(slot as usize) {
            *place = entry;
        }
        state.ids.insert(id, slot);
        Arc::make_mut(&mut state.alive).insert(slot);
        self.filters.insert(slot, metadata);
        if let (Some(statistics), Some(text)) = (&mut state.statistics, text) {
            statistics.add(text);
        }
        Arc::make_mut(&mut state.tail).push(TailRow {
            slot,
            sequence: self.sequence,
        });
    }

    /// Gives a record other metadata; vector, text and slot stay.
    pub fn attributes(&mut self, slot: Slot, old: &[u8], new: &[u8], location: Location) {
        self.filters.replace(slot, old, new);
        if let Some(entry) = self.state.slots.get_mut(slot as usize) {
            entry.sequence = self.sequence;
            entry.metadata = location;
        }
    }

    /// Ends the life of a slot's record; the indexer will take the slot out of the graph.
    pub fn retire(&mut self, slot: Slot, metadata: &[u8], text: Option<&str>) {
        if let (Some(statistics), Some(text)) = (&mut self.state.statistics, text) {
            statistics.remove(text);
        }
        self.filters.remove(slot, metadata);
        Arc::make_mut(&mut self.state.alive).remove(slot);
        Arc::make_mut(&mut self.state.dead).push(slot);
    }

    /// Makes the gathered changes; until then filters find the records as they were.
    pub fn finish(&mut self) {
        self.state.filters.apply(std::mem::take(&mut self.filters));
    }
}
