//! Takes back the space of dead rows: the live rows of files that hold mostly dead ones are
//! copied together, verbatim. Nothing is logged: what a record is does not change, only where
//! it stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::codec::CompactReport;
use crate::error::Result;
use crate::log::{FileKind, Location, LogFile, RowsWriter};
use crate::record::Slot;

/// A sealed file is rewritten when at most one in this many of its bytes is live.
const LIVE_SHARE: u64 = 2;

/// Rows that stand in other files now.
#[derive(Debug)]
pub struct Moves {
    /// Old location to new one.
    rows: HashMap<Location, Location>,
    /// The slots that had a row in a rewritten file.
    slots: Vec<Slot>,
}

impl Moves {
    /// Points the slots to the copies. A slot that was written to since the copy was made keeps
    /// its newer rows: only locations that were copied are replaced.
    pub fn apply(self, state: &mut Snapshot) {
        for slot in self.slots {
            let Some(entry) = state.slots.get_mut(slot as usize) else {
                continue;
            };
            if let Some(row) = self.rows.get(&entry.row) {
                entry.row = *row;
            }
            if let Some(row) = self.rows.get(&entry.metadata) {
                entry.metadata = *row;
            }
        }
    }
}

/// The sealed files of which at most half is live. Those from the snapshot's position on are not
/// asked: they are replayed, and the rows of open stages stand there.
///
/// # Errors
/// `CORRUPTED` where a live row is not what was written.
pub fn dying_files(snapshot: &Snapshot) -> Result<BTreeSet<u32>> {
    let live = live_bytes(snapshot)?;
    let is_dying = |file: &&Arc<LogFile>| {
        if file.kind() == FileKind::Log && file.number() >= snapshot.position.file {
            return false;
        }
        let live = live.get(&file.number()).copied().unwrap_or(0);
        file.sealed_bytes()
            .is_some_and(|bytes| live * LIVE_SHARE <= u64::from(bytes))
    };
    Ok(snapshot
        .files
        .iter()
        .filter(is_dying)
        .map(|file| file.number())
        .collect())
}

/// Copies the live rows of some files into new ones.
///
/// # Errors
/// What the storage reports, or `CORRUPTED`; the old files are untouched.
pub fn copy_rows(
    snapshot: &Snapshot,
    files: &BTreeSet<u32>,
    mut writer: RowsWriter,
) -> Result<(Moves, Vec<Arc<LogFile>>)> {
    let mut moves = Moves {
        rows: HashMap::new(),
        slots: Vec::new(),
    };
    for slot in snapshot.alive.iter() {
        let state = snapshot.slot(slot)?;
        let rows = [state.row, state.metadata];
        if !rows.iter().any(|row| files.contains(&row.file)) {
            continue;
        }
        moves.slots.push(slot);
        for row in rows {
            if files.contains(&row.file) && !moves.rows.contains_key(&row) {
                moves.rows.insert(row, writer.push(row)?);
            }
        }
    }
    Ok((moves, writer.finish()?))
}

/// What a compaction came to, from the snapshots before and after it.
pub fn report(before: &Snapshot, after: &Snapshot) -> CompactReport {
    CompactReport {
        files_before: before.files.iter().count() as u64,
        files_after: after.files.iter().count() as u64,
        bytes_before: before.files.bytes(),
        bytes_after: after.files.bytes(),
    }
}

fn live_bytes(snapshot: &Snapshot) -> Result<BTreeMap<u32, u64>> {
    let mut live = BTreeMap::new();
    for slot in snapshot.alive.iter() {
        let state = snapshot.slot(slot)?;
        add(&mut live, snapshot, state.row)?;
        if state.metadata != state.row {
            add(&mut live, snapshot, state.metadata)?;
        }
    }
    Ok(live)
}

fn add(live: &mut BTreeMap<u32, u64>, snapshot: &Snapshot, row: Location) -> Result<()> {
    let bytes = snapshot.files.with_row(row, |row| row.encoded_bytes())?;
    *live.entry(row.file).or_default() += bytes as u64;
    Ok(())
}
