//! A batch as its definition reads: operations one by one on a map, with whole copies of it as
//! savepoints.

use std::collections::BTreeMap;

use super::Verdict;
use crate::batch::{
    Duplicates, Existing, MetadataMode, Missing, OnConflict, Operation, OperationKind, State,
    Status, WriteRequest, WriteVerb,
};
use crate::error::{Error, ErrorCode, Result};
use crate::metadata;
use crate::metadata::Metadata;
use crate::record::{Sequence, Slot};

/// The batch's number.
pub(super) const SEQUENCE: Sequence = 9;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ModelRecord {
    pub(super) slot: Slot,
    pub(super) version: Sequence,
    pub(super) vector: Vec<f32>,
    pub(super) text: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) is_unreadable: bool,
}

/// The records of a collection, and the ids that the batch wrote, in the order of first writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    pub(super) records: BTreeMap<String, ModelRecord>,
    pub(super) written: Vec<String>,
}

impl State for World {
    fn find(&self, id: &str) -> Option<Existing> {
        self.records.get(id).map(|r| Existing {
            slot: r.slot,
            version: r.version,
        })
    }

    fn metadata(&self, slot: Slot) -> Result<Vec<u8>> {
        let record = self
            .records
            .values()
            .find(|record| record.slot == slot)
            .unwrap();
        if record.is_unreadable {
            return Err(Error::corrupted(
                "log/1",
                "row 1 does not match its checksum",
            ));
        }
        metadata::check(&record.metadata)
    }
}

/// What the embedder makes of an operation's text.
pub(super) fn embedding(index: usize) -> Vec<f32> {
    vec![100.0 + index as f32, 1.0]
}

fn check_alone(request: &WriteRequest, index: usize) -> Result<(), ErrorCode> {
    let operation = &request.operations[index];
    if let Some(error) = &operation.refused {
        return Err(error.code);
    }
    if operation.id.is_empty() {
        return Err(ErrorCode::InvalidId);
    }
    let (is_insert, data, text, metadata) = match &operation.kind {
        OperationKind::Insert {
            data,
            text,
            metadata,
            ..
        } => (true, data, text, metadata),
        OperationKind::Update {
            data,
            text,
            metadata,
            ..
        } => (false, data, text, metadata),
        OperationKind::Delete { .. } => return Ok(()),
    };
    match (data.map(|range| range.len), text) {
        (Some(0), _) => return Err(ErrorCode::InvalidVector),
        (Some(1 | 3..), _) => return Err(ErrorCode::DimensionMismatch),
        (None, None) if is_insert => return Err(ErrorCode::InvalidVector),
        (None, None) if metadata.is_none() => return Err(ErrorCode::InvalidArgument),
        _ => {}
    }
    match metadata {
        Some(metadata) if metadata.contains_key("$bad") => Err(ErrorCode::InvalidMetadata),
        _ => Ok(()),
    }
}

/// What is known of every operation before any runs: `Err`, or whether it is superseded.
fn checks(request: &WriteRequest) -> Vec<Result<bool, ErrorCode>> {
    let operations = &request.operations;
    let mut checks: Vec<_> = (0..operations.len())
        .map(|index| check_alone(request, index).map(|()| false))
        .collect();
    for (index, operation) in operations.iter().enumerate() {
        if request.verb == WriteVerb::Mixed || operation.id.is_empty() {
            continue;
        }
        let same = |other: &Operation| other.id == operation.id;
        let stood_before = operations[..index].iter().any(same);
        let comes_again = operations[index + 1..].iter().any(same);
        match (&checks[index], request.options.duplicates) {
            (Ok(_), Duplicates::Reject) if stood_before => {
                checks[index] = Err(ErrorCode::DuplicateId);
            }
            (Ok(_), Duplicates::LastWins) => checks[index] = Ok(comes_again),
            _ => {}
        }
    }
    for (index, operation) in operations.iter().enumerate() {
        let Some(group) = &operation.group else {
            continue;
        };
        let is_group = |place: usize| operations[place].group.as_ref() == Some(group);
        let places: Vec<usize> = (0..operations.len())
            .filter(|place| is_group(*place))
            .collect();
        let gap = places.windows(2).position(|pair| pair[1] != pair[0] + 1);
        let (Some(gap), Ok(_)) = (gap, &checks[index]) else {
            continue;
        };
        let is_later = index > places[gap];
        let code = if is_later {
            ErrorCode::InvalidArgument
        } else {
            ErrorCode::BatchAborted
        };
        checks[index] = Err(code);
    }
    checks
}

fn check_condition(world: &World, operation: &Operation) -> Result<(), ErrorCode> {
    let Some(expected) = operation.if_version else {
        return Ok(());
    };
    let record = world.records.get(&operation.id);
    if world.written.contains(&operation.id) {
        Err(ErrorCode::InvalidArgument)
    } else if record.map_or(0, |record| record.version) != expected {
        Err(ErrorCode::ConditionFailed)
    } else {
        Ok(())
    }
}

fn run(world: &mut World, request: &WriteRequest, index: usize) -> Verdict {
    let operation = &request.operations[index];
    check_condition(world, operation)?;
    let old = world.records.get(&operation.id).cloned();
    let is_unreadable = old.as_ref().is_some_and(|record| record.is_unreadable);
    let (status, new) = match &operation.kind {
        OperationKind::Insert { on_conflict, .. } => insert(request, index, old, *on_conflict)?,
        OperationKind::Update { .. } => {
            update(request, index, old.as_ref().ok_or(ErrorCode::NotFound)?)
        }
        OperationKind::Delete { missing } => match (old, missing) {
            (None, Missing::Error) => return Err(ErrorCode::NotFound),
            (None, Missing::Ignore) => (Status::Skipped, None),
            (Some(_), _) => (Status::Deleted, None),
        },
    };
    match status {
        Status::Skipped => return Ok(status),
        _ if is_unreadable => return Err(ErrorCode::Corrupted),
        Status::Unchanged => return Ok(status),
        _ => {}
    }
    match new {
        Some(record) => world.records.insert(operation.id.clone(), record),
        None => world.records.remove(&operation.id),
    };
    if !world.written.contains(&operation.id) {
        world.written.push(operation.id.clone());
    }
    Ok(status)
}

fn insert(
    request: &WriteRequest,
    index: usize,
    old: Option<ModelRecord>,
    on_conflict: OnConflict,
) -> Result<(Status, Option<ModelRecord>), ErrorCode> {
    let status = match (old, on_conflict) {
        (Some(_), OnConflict::Error) => return Err(ErrorCode::AlreadyExists),
        (Some(_), OnConflict::Skip) => return Ok((Status::Skipped, None)),
        (Some(_), OnConflict::Replace) => Status::Replaced,
        (None, _) => Status::Created,
    };
    let operation = &request.operations[index];
    let new = ModelRecord {
        slot: 0,
        version: SEQUENCE,
        vector: vector(request, index).unwrap(),
        text: operation.text().map(str::to_owned),
        metadata: operation.metadata().cloned().unwrap_or_default(),
        is_unreadable: false,
    };
    Ok((status, Some(new)))
}

fn update(
    request: &WriteRequest,
    index: usize,
    old: &ModelRecord,
) -> (Status, Option<ModelRecord>) {
    let operation = &request.operations[index];
    let OperationKind::Update { metadata_mode, .. } = &operation.kind else {
        panic!()
    };
    let mut new = old.clone();
    let vector = vector(request, index);
    let gives_vector = vector.is_some();
    if let Some(vector) = vector {
        new.vector = vector;
        new.text = operation.text().map(str::to_owned);
    }
    match (operation.metadata(), metadata_mode) {
        (Some(given), MetadataMode::Merge) => metadata::merge(&mut new.metadata, given),
        (Some(given), MetadataMode::Replace) => new.metadata = given.clone(),
        (None, _) => {}
    }
    if !gives_vector && new == *old {
        return (Status::Unchanged, None);
    }
    new.version = SEQUENCE;
    (Status::Updated, Some(new))
}

/// The vector that an operation gives, or the embedding of its text.
fn vector(request: &WriteRequest, index: usize) -> Option<Vec<f32>> {
    let operation = &request.operations[index];
    match &operation.kind {
        OperationKind::Insert {
            data: Some(range), ..
        }
        | OperationKind::Update {
            data: Some(range), ..
        } => Some(request.vectors.get(*range).to_vec()),
        _ => operation.text().map(|_| embedding(index)),
    }
}

/// Runs a batch, and says what became of each operation.
pub(super) fn run_batch(world: &mut World, request: &WriteRequest) -> Vec<Verdict> {
    let checks = checks(request);
    let mut verdicts: Vec<Verdict> = Vec::new();
    while verdicts.len() < request.operations.len() {
        let start = verdicts.len();
        let savepoint = world.clone();
        let group = &request.operations[start].group;
        loop {
            let index = verdicts.len();
            verdicts.push(match checks[index] {
                Err(code) => Err(code),
                Ok(true) => Ok(Status::Skipped),
                Ok(false) => run(world, request, index),
            });
            let Some(next) = request.operations.get(verdicts.len()) else {
                break;
            };
            let goes_on = request.options.atomic || (group.is_some() && next.group == *group);
            if !goes_on {
                break;
            }
        }
        if verdicts[start..].iter().any(Result::is_err) {
            *world = savepoint;
            for verdict in &mut verdicts[start..] {
                if verdict.is_ok() {
                    *verdict = Err(ErrorCode::BatchAborted);
                }
            }
        }
    }
    verdicts
}
