//! Atomic streams: batches that arrive in parts, lie unseen in the log, and commit as a whole.
//!
//! A part is planned against the records as the collection and the parts before it leave them, and
//! its rows are written as stage frames. What the plan has read is remembered by version; the
//! commit holds only if none of it was written by another batch meanwhile, so that the stream is
//! as if it had run in one moment. Of each id only a digest is kept in memory.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::snapshot::Snapshot;
use crate::batch::{Action, Checked, Existing, Plan, State, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::log::{self, Location, LogFiles};
use crate::record::Slot;

/// Set in the slots of records that so far only the stage has; a collection's own never have it.
const STAGED: Slot = 1 << 31;

/// What the stage knows of one id.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The collection's record as the plan has read it; version 0 = there was none.
    base: Existing,
    /// The stage has written the id.
    written: bool,
    /// The record exists, as the stage leaves it.
    exists: bool,
    /// The row with the newest metadata, where `written` and `exists`.
    metadata: Location,
}

/// One batch in parts.
#[derive(Default)]
pub struct StagedBatch {
    /// The frames in the log.
    pub frames: log::Stage,
    /// Its rows, in order.
    pub rows: Vec<Location>,
    /// Some operation has failed: it cannot commit.
    pub failed: bool,
    entries: Vec<Entry>,
    places: HashMap<u128, u32>,
    /// Ids that were looked for, were not there, and are in no row.
    missed: Vec<Box<str>>,
}

/// The collection as the parts so far leave it.
pub struct Overlay<'a> {
    /// The collection.
    pub snapshot: &'a Snapshot,
    /// The parts so far.
    pub staged: &'a StagedBatch,
    /// Where the stage's rows are read from.
    pub files: &'a LogFiles,
}

impl State for Overlay<'_> {
    fn find(&self, id: &str) -> Option<Existing> {
        match self.staged.entry(id) {
            Some((place, entry)) if entry.written => entry.exists.then_some(Existing {
                slot: STAGED | place,
                version: entry.base.version,
            }),
            _ => self.snapshot.find(id),
        }
    }

    fn metadata(&self, slot: Slot) -> Result<Vec<u8>> {
        if slot & STAGED == 0 {
            return self.snapshot.metadata(slot);
        }
        let entry = self.staged.entries.get((slot & !STAGED) as usize);
        let entry = entry.ok_or_else(|| Error::internal("the stage does not know the record"))?;
        Ok(self.files.row(entry.metadata)?.view().metadata().to_vec())
    }
}

impl StagedBatch {
    /// Refuses operations that an earlier part of the stream decides: the same id again in a
    /// plain stream, and conditions on what the stream itself has written.
    pub fn refuse_repeated(&self, request: &WriteRequest, checked: &mut Checked) {
        for (operation, checked) in request.operations.iter().zip(&mut checked.operations) {
            let written = self
                .entry(&operation.id)
                .is_some_and(|(_, entry)| entry.written);
            if !written || checked.error.is_some() {
                continue;
            }
            let error = if request.is_plain() {
                let message = "the id stands twice in the stream";
                Error::new(ErrorCode::DuplicateId, message)
            } else if operation.if_version.is_some() {
                let message = "an earlier operation of this stream wrote the id already";
                Error::invalid("if_version", message)
            } else {
                continue;
            };
            checked.error = Some(Box::new(error));
        }
    }

    /// Takes in a part that was planned on an [`Overlay`] of this stage, and whose rows stand at
    /// these locations.
    pub fn add(
        &mut self,
        request: &WriteRequest,
        plan: &Plan,
        locations: Vec<Location>,
        snapshot: &Snapshot,
    ) {
        for (operation, outcome) in request.operations.iter().zip(&plan.outcomes) {
            if outcome.error.is_some() {
                self.failed = true;
            } else {
                self.note_read(&operation.id, snapshot);
            }
        }
        for (action, location) in plan.actions.iter().zip(&locations) {
            let (Action::Store { id_of, .. }
            | Action::Attributes { id_of, .. }
            | Action::Delete { id_of, .. }) = action;
            let place = self.note_read(&request.operations[*id_of].id, snapshot);
            if let Some(entry) = self.entries.get_mut(place as usize) {
                entry.written = true;
                entry.exists = !matches!(action, Action::Delete { .. });
                entry.metadata = *location;
            }
        }
        self.rows.extend(locations);
        for operation in &request.operations {
            let missed = self
                .entry(&operation.id)
                .is_some_and(|(_, entry)| !entry.written && entry.base.version == 0);
            if missed {
                self.missed.push(operation.id.as_str().into());
            }
        }
    }

    /// Whether the collection is still as the parts have found it.
    ///
    /// # Errors
    /// `CONDITION_FAILED` with `vector_id` where another batch wrote one of its ids meanwhile;
    /// `CORRUPTED` where a staged row is not what was written.
    pub fn check(&self, snapshot: &Snapshot, files: &LogFiles) -> Result<()> {
        for entry in self.entries.iter().filter(|entry| entry.base.version > 0) {
            let slot = snapshot.slot(entry.base.slot)?;
            let same = snapshot.is_alive(entry.base.slot) && slot.sequence == entry.base.version;
            if !same {
                return Err(changed(None));
            }
        }
        for location in &self.rows {
            let row = files.row(*location)?;
            let id = row.view().id().to_owned();
            let created = self
                .entry(&id)
                .is_some_and(|(_, entry)| entry.base.version == 0);
            if created && snapshot.find(&id).is_some() {
                return Err(changed(Some(&id)));
            }
        }
        let appeared = self.missed.iter().find(|id| {
            let untouched = self.entry(id).is_some_and(|(_, entry)| !entry.written);
            untouched && snapshot.find(id).is_some()
        });
        appeared.map_or(Ok(()), |id| Err(changed(Some(id))))
    }

    /// Notes the record that the plan has found under an id, the first time.
    fn note_read(&mut self, id: &str, snapshot: &Snapshot) -> u32 {
        let next = self.entries.len() as u32;
        let place = *self.places.entry(digest(id)).or_insert(next);
        if place == next {
            let missing = Existing {
                slot: 0,
                version: 0,
            };
            self.entries.push(Entry {
                base: snapshot.find(id).unwrap_or(missing),
                written: false,
                exists: false,
                metadata: Location { file: 0, offset: 0 },
            });
        }
        place
    }

    fn entry(&self, id: &str) -> Option<(u32, &Entry)> {
        let place = *self.places.get(&digest(id))?;
        Some((place, self.entries.get(place as usize)?))
    }
}

/// Two ids with the same digest of 128 bits are not to be expected in any stream.
fn digest(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

fn changed(id: Option<&str>) -> Error {
    let message = "another batch wrote a record of the stream before its commit";
    let error = Error::new(ErrorCode::ConditionFailed, message);
    match id {
        Some(id) => error.with("vector_id", id),
        None => error,
    }
}
