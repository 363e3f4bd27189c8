//! Reads by id and in order, each on one snapshot.

use std::borrow::Cow;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::cursors::{Cursors, cursor};
use super::snapshot::Snapshot;
use crate::batch::{Include, Record};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::record::Slot;

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// The records, in the order of their slots.
    pub records: Vec<Record<'static>>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// Reads the asked parts of a live record, and nothing of its version.
///
/// # Errors
/// `CORRUPTED` where a row is not what was written.
pub fn record(snapshot: &Snapshot, slot: Slot, include: Include) -> Result<Record<'_>> {
    let id = snapshot.ids.id(slot);
    let id = id.ok_or_else(|| Error::internal(format!("slot {slot} has no id")))?;
    let mut record = Record {
        id: Cow::Borrowed(id),
        version: None,
        data: None,
        text: None,
        metadata: None,
    };
    if include.metadata {
        record.metadata = Some(
            snapshot
                .metadata_row(slot)?
                .view()
                .metadata()
                .to_vec()
                .into(),
        );
    }
    if include.text || include.data {
        let row = snapshot.row(slot)?;
        let view = row.view();
        if include.text {
            record.text = view.text().map(|text| text.to_owned().into());
        }
        if include.data {
            let mut data = Vec::new();
            view.vector_into(&mut data);
            record.data = Some(data.into());
        }
    }
    Ok(record)
}

/// As [`record`], for those who keep it and tell its version.
fn owned_record(snapshot: &Snapshot, slot: Slot, include: Include) -> Result<Record<'static>> {
    let mut record = record(snapshot, slot, include)?.into_owned();
    record.version = Some(snapshot.slot(slot)?.sequence);
    Ok(record)
}

/// The records of ids, in the order asked; `None` where there is no such record.
///
/// # Errors
/// `CORRUPTED` where a row is not what was written.
pub fn get(
    snapshot: &Snapshot,
    ids: &[String],
    include: Include,
) -> Result<Vec<Option<Record<'static>>>> {
    ids.iter()
        .map(|id| {
            snapshot
                .ids
                .find(id)
                .map(|slot| owned_record(snapshot, slot, include))
                .transpose()
        })
        .collect()
}

/// How many records pass a filter.
pub fn count(snapshot: &Snapshot, filter: Option<&Filter>) -> u64 {
    filter.map_or(snapshot.count(), |filter| passing(snapshot, filter).len())
}

/// One page of the records that pass a filter. The first page opens a cursor on the newest
/// snapshot; all later pages show that same one, whatever is written meanwhile.
///
/// # Errors
/// `INVALID_ARGUMENT` for a cursor that is unknown, `CORRUPTED` for a bad row.
pub fn list(
    cursors: &Cursors,
    newest: impl FnOnce() -> Arc<Snapshot>,
    after: Option<&str>,
    limit: usize,
    filter: Option<&Filter>,
    include: Include,
) -> Result<Page> {
    let (snapshot, number, from) = match after {
        Some(after) => {
            let (snapshot, number, slot) = cursors.resume(after)?;
            (snapshot, Some(number), slot)
        }
        None => (newest(), None, 0),
    };
    let slots: Vec<Slot> = match filter {
        None => snapshot.alive.range(from..).take(limit + 1).collect(),
        Some(filter) => passing(&snapshot, filter)
            .range(from..)
            .take(limit + 1)
            .collect(),
    };
    let page = &slots[..slots.len().min(limit)];
    let records: Result<Vec<Record<'static>>> = page
        .iter()
        .map(|slot| owned_record(&snapshot, *slot, include))
        .collect();
    let next = slots.get(limit).map(|slot| {
        let number = number.unwrap_or_else(|| cursors.open(Arc::clone(&snapshot)));
        cursor(number, *slot)
    });
    if let (None, Some(number)) = (&next, number) {
        cursors.close(number);
    }
    Ok(Page {
        records: records?,
        next,
    })
}

fn passing(snapshot: &Snapshot, filter: &Filter) -> RoaringBitmap {
    snapshot.filters.evaluate(filter, &snapshot.alive)
}
