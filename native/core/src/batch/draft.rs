//! The overlay on which a plan's operations run, with undo for units that fail.

use std::collections::HashMap;
use std::ops::Range;

use super::plan::{Action, EMPTY, Existing, NewMetadata, Plan, Previous, State, aborted};
use super::{Checked, MetadataMode, Missing, OnConflict, Operation, OperationKind};
use super::{Outcome, Status, WriteRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::metadata;
use crate::metadata::Metadata;

/// A plan in the making.
pub(super) struct Draft<'a, S> {
    request: &'a WriteRequest,
    checked: &'a Checked,
    state: &'a S,
    outcomes: Vec<Outcome>,
    records: Vec<DraftRecord>,
    /// Mixed batches only: where in `records` each id stands.
    places: HashMap<&'a str, usize>,
    undo: Vec<(usize, Option<Write>)>,
}

/// One record as the operations so far leave it.
struct DraftRecord {
    /// Index of the first operation that names the id.
    id_of: usize,
    /// The live record in the collection.
    base: Option<Existing>,
    /// The live record's metadata as it is stored; read before the record is written.
    base_metadata: Option<Vec<u8>>,
    /// What the batch has written; `None` = the record is as in the collection.
    write: Option<Write>,
}

#[derive(Clone)]
struct Write {
    /// Index of the operation that first wrote the record.
    first: usize,
    change: Change,
}

/// What a record is after the batch's writes so far.
#[derive(Clone)]
enum Change {
    Store {
        vector_of: usize,
        text_of: Option<usize>,
        metadata: NewMetadata,
    },
    Attributes {
        metadata: NewMetadata,
    },
    Delete,
}

/// The parts of an update.
struct Update<'a> {
    gives_vector: bool,
    gives_text: bool,
    metadata: Option<&'a Metadata>,
    mode: MetadataMode,
}

impl DraftRecord {
    fn exists(&self) -> bool {
        match &self.write {
            Some(write) => !matches!(write.change, Change::Delete),
            None => self.base.is_some(),
        }
    }

    fn into_action(self) -> Option<(usize, Action)> {
        let id_of = self.id_of;
        let metadata = self.base_metadata.unwrap_or_default();
        let previous = self.base.map(|base| Previous {
            slot: base.slot,
            metadata,
        });
        let write = self.write?;
        let action = match (write.change, previous) {
            (
                Change::Store {
                    vector_of,
                    text_of,
                    metadata,
                },
                previous,
            ) => Action::Store {
                id_of,
                vector_of,
                text_of,
                metadata,
                previous,
            },
            (Change::Attributes { metadata }, Some(previous)) => Action::Attributes {
                id_of,
                metadata,
                previous,
            },
            (Change::Delete, Some(previous)) => Action::Delete { id_of, previous },
            // Created and deleted in one batch: the collection never had it.
            (Change::Delete | Change::Attributes { .. }, None) => return None,
        };
        Some((write.first, action))
    }
}

impl<'a, S: State> Draft<'a, S> {
    pub(super) fn new(request: &'a WriteRequest, checked: &'a Checked, state: &'a S) -> Self {
        let count = request.operations.len();
        Draft {
            request,
            checked,
            state,
            outcomes: Vec::with_capacity(count),
            records: Vec::with_capacity(count),
            places: HashMap::new(),
            undo: Vec::new(),
        }
    }

    /// Runs the next operations as one unit: all of them stand, or none does.
    pub(super) fn run(&mut self, unit: Range<usize>) {
        let (start, mut cause) = (unit.start, None);
        for index in unit {
            let outcome = self.run_operation(index).unwrap_or_else(Outcome::failed);
            if outcome.status == Status::Failed && cause.is_none() {
                cause = Some(index);
            }
            self.outcomes.push(outcome);
        }
        match cause {
            Some(cause) => self.abort(start, cause),
            None => self.undo.clear(),
        }
    }

    pub(super) fn finish(self) -> Plan {
        let mut actions: Vec<(usize, Action)> = self
            .records
            .into_iter()
            .filter_map(DraftRecord::into_action)
            .collect();
        // Operations write one record each, so no two actions have the same first operation.
        actions.sort_unstable_by_key(|(first, _)| *first);
        let actions = actions.into_iter().map(|(_, action)| action).collect();
        Plan {
            outcomes: self.outcomes,
            actions,
        }
    }

    fn abort(&mut self, start: usize, cause: usize) {
        for (place, write) in self.undo.drain(..).rev() {
            self.records[place].write = write;
        }
        let group = self.request.operations[cause].group.as_deref();
        for outcome in &mut self.outcomes[start..] {
            if outcome.status != Status::Failed {
                *outcome = Outcome::failed(aborted(group, cause));
            }
        }
    }

    fn run_operation(&mut self, index: usize) -> Result<Outcome> {
        let request = self.request;
        let (operation, checked) = (&request.operations[index], &self.checked.operations[index]);
        if let Some(error) = &checked.error {
            return Err((**error).clone());
        }
        if checked.superseded {
            return Ok(Outcome::of(Status::Skipped));
        }
        let place = self.place(index, operation);
        self.check_condition(place, operation)?;
        let status = match &operation.kind {
            OperationKind::Insert {
                text, on_conflict, ..
            } => self.insert(place, index, text.is_some(), *on_conflict)?,
            OperationKind::Update {
                data,
                text,
                metadata,
                metadata_mode,
            } => {
                let update = Update {
                    gives_vector: data.is_some() || text.is_some(),
                    gives_text: text.is_some(),
                    metadata: metadata.as_ref(),
                    mode: *metadata_mode,
                };
                self.update(place, index, &update)?
            }
            OperationKind::Delete { missing } => self.delete(place, index, *missing)?,
        };
        Ok(Outcome::of(status))
    }

    /// Where the operation's record stands. In a plain batch an id that is not refused stands
    /// once, so there every operation has a record of its own.
    fn place(&mut self, index: usize, operation: &'a Operation) -> usize {
        let next = self.records.len();
        if !self.request.is_plain() {
            let place = *self.places.entry(&operation.id).or_insert(next);
            if place < next {
                return place;
            }
        }
        self.records.push(DraftRecord {
            id_of: index,
            base: self.state.find(&operation.id),
            base_metadata: None,
            write: None,
        });
        next
    }

    /// A condition speaks of the collection as the batch found it: of an id that the batch has
    /// written itself there is nothing that the caller could have read.
    fn check_condition(&self, place: usize, operation: &Operation) -> Result<()> {
        let Some(expected) = operation.if_version else {
            return Ok(());
        };
        let record = &self.records[place];
        if let Some(write) = &record.write {
            let message = format!(
                "operation {} of this batch wrote the id already",
                write.first
            );
            return Err(Error::invalid("if_version", message).with("first_index", write.first));
        }
        let actual = record.base.map_or(0, |base| base.version);
        if actual == expected {
            return Ok(());
        }
        let message = match (actual, expected) {
            (0, _) => format!("no record has this id, expected version {expected}"),
            (_, 0) => format!("the record has version {actual}, expected that there is none"),
            _ => format!("the record has version {actual}, expected version {expected}"),
        };
        Err(Error::new(ErrorCode::ConditionFailed, message)
            .with("expected", expected)
            .with("actual", actual))
    }

    fn insert(
        &mut self,
        place: usize,
        index: usize,
        gives_text: bool,
        on_conflict: OnConflict,
    ) -> Result<Status> {
        let exists = self.records[place].exists();
        match (exists, on_conflict) {
            (true, OnConflict::Error) => {
                let message = "a record with this id exists; on_conflict: replace or skip allow it";
                return Err(Error::new(ErrorCode::AlreadyExists, message));
            }
            (true, OnConflict::Skip) => return Ok(Status::Skipped),
            _ => {}
        }
        let text_of = gives_text.then_some(index);
        let metadata = NewMetadata::Given(index);
        self.write(
            place,
            index,
            Change::Store {
                vector_of: index,
                text_of,
                metadata,
            },
        )?;
        Ok(if exists {
            Status::Replaced
        } else {
            Status::Created
        })
    }

    fn update(&mut self, place: usize, index: usize, update: &Update<'_>) -> Result<Status> {
        if !self.records[place].exists() {
            return Err(not_found());
        }
        self.read_base_metadata(place)?;
        let metadata = self.updated_metadata(place, index, update)?;
        let change = if update.gives_vector {
            let text_of = update.gives_text.then_some(index);
            let metadata = match metadata {
                Some(metadata) => metadata,
                None => self.kept_metadata(place),
            };
            Change::Store {
                vector_of: index,
                text_of,
                metadata,
            }
        } else {
            let Some(metadata) = metadata else {
                return Ok(Status::Unchanged);
            };
            match self.records[place]
                .write
                .as_ref()
                .map(|write| &write.change)
            {
                Some(Change::Store {
                    vector_of, text_of, ..
                }) => Change::Store {
                    vector_of: *vector_of,
                    text_of: *text_of,
                    metadata,
                },
                _ => Change::Attributes { metadata },
            }
        };
        self.write(place, index, change)?;
        Ok(Status::Updated)
    }

    fn delete(&mut self, place: usize, index: usize, missing: Missing) -> Result<Status> {
        match (self.records[place].exists(), missing) {
            (false, Missing::Error) => Err(not_found()),
            (false, Missing::Ignore) => Ok(Status::Skipped),
            (true, _) => {
                self.write(place, index, Change::Delete)?;
                Ok(Status::Deleted)
            }
        }
    }

    fn write(&mut self, place: usize, index: usize, change: Change) -> Result<()> {
        self.read_base_metadata(place)?;
        let write = &mut self.records[place].write;
        let first = write.as_ref().map_or(index, |write| write.first);
        self.undo
            .push((place, write.replace(Write { first, change })));
        Ok(())
    }

    fn read_base_metadata(&mut self, place: usize) -> Result<()> {
        let record = &mut self.records[place];
        if let (Some(base), None) = (record.base, &record.base_metadata) {
            record.base_metadata = Some(self.state.metadata(base.slot)?);
        }
        Ok(())
    }

    /// The record's metadata as the operations so far leave it; empty where nobody gave any.
    fn current_metadata(&self, place: usize) -> &[u8] {
        let record = &self.records[place];
        match record.write.as_ref().map(|write| &write.change) {
            Some(Change::Store { metadata, .. } | Change::Attributes { metadata }) => {
                metadata.resolve(self.checked)
            }
            Some(Change::Delete) => EMPTY,
            None => record.base_metadata.as_deref().unwrap_or(EMPTY),
        }
    }

    /// The metadata that an update leads to; `None` where it gives none or changes nothing.
    fn updated_metadata(
        &self,
        place: usize,
        index: usize,
        update: &Update<'_>,
    ) -> Result<Option<NewMetadata>> {
        let Some(patch) = update.metadata else {
            return Ok(None);
        };
        let current = self.current_metadata(place);
        match update.mode {
            MetadataMode::Replace => {
                let given = NewMetadata::Given(index);
                Ok((given.resolve(self.checked) != current).then_some(given))
            }
            MetadataMode::Merge => Ok(metadata::merged(current, patch)?.map(NewMetadata::Made)),
        }
    }

    /// The metadata of a record that gets a new vector and keeps the rest.
    fn kept_metadata(&self, place: usize) -> NewMetadata {
        let record = &self.records[place];
        match record.write.as_ref().map(|write| &write.change) {
            Some(Change::Store { metadata, .. } | Change::Attributes { metadata }) => {
                metadata.clone()
            }
            _ => NewMetadata::Made(self.current_metadata(place).to_vec()),
        }
    }
}

fn not_found() -> Error {
    Error::new(ErrorCode::NotFound, "no record has this id")
}
