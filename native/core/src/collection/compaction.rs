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
/// Records that tell how large the others are.
const RECORDS_SAMPLED: u64 = 256;

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

/// Whether the log is mostly dead, as far as some of the records tell: reading a few of them is
/// cheap where reading all is not.
///
/// # Errors
/// `CORRUPTED` where a live row is not what was written.
pub fn is_mostly_dead(snapshot: &Snapshot) -> Result<bool> {
    let count = snapshot.count();
    let step = count.div_ceil(RECORDS_SAMPLED).max(1);
    let mut sampled = BTreeMap::new();
    let mut sampled_count = 0;
    for slot in snapshot.alive.iter().step_by(step as usize) {
        add_record(&mut sampled, snapshot, slot)?;
        sampled_count += 1;
    }
    let live = sampled.values().sum::<u64>() * count / sampled_count.max(1);
    let all: u64 = settled_files(snapshot).map(|file| file.1).sum();
    Ok(live * LIVE_SHARE <= all)
}

/// The sealed files of which at most half is live.
///
/// # Errors
/// `CORRUPTED` where a live row is not what was written.
pub fn dying_files(snapshot: &Snapshot) -> Result<BTreeSet<u32>> {
    let mut live = BTreeMap::new();
    for slot in snapshot.alive.iter() {
        add_record(&mut live, snapshot, slot)?;
    }
    let live_in = |number| live.get(&number).copied().unwrap_or(0);
    let is_dying = |(number, bytes): &(u32, u64)| live_in(*number) * LIVE_SHARE <= *bytes;
    let dying = settled_files(snapshot).filter(is_dying);
    Ok(dying.map(|(number, _)| number).collect())
}

/// Numbers and bytes of the sealed files before the snapshot's position. Those from there on are
/// replayed, and the rows of open stages stand there.
fn settled_files(snapshot: &Snapshot) -> impl Iterator<Item = (u32, u64)> {
    let is_settled = |file: &&Arc<LogFile>| {
        file.kind() == FileKind::Rows || file.number() < snapshot.position.file
    };
    let files = snapshot.files.iter().filter(is_settled);
    files.filter_map(|file| Some((file.number(), file.sealed_bytes()?.into())))
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

/// Adds the bytes of a record's rows to those of their files.
fn add_record(live: &mut BTreeMap<u32, u64>, snapshot: &Snapshot, slot: Slot) -> Result<()> {
    let state = snapshot.slot(slot)?;
    add(live, snapshot, state.row)?;
    if state.metadata != state.row {
        add(live, snapshot, state.metadata)?;
    }
    Ok(())
}

fn add(live: &mut BTreeMap<u32, u64>, snapshot: &Snapshot, row: Location) -> Result<()> {
    let bytes = snapshot.files.with_row(row, |row| row.encoded_bytes())?;
    *live.entry(row.file).or_default() += bytes as u64;
    Ok(())
}
