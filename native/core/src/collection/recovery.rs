//! Opening a collection: its checkpoint, and the log after it through the same apply as ever.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::apply::Applier;
use super::checkpoint::{self, Checkpoint};
use super::config::{CollectionConfig, Thresholds};
use super::ids::IdTable;
use super::kept::{self, KeptReply, StreamOffset};
use super::slots::SlotAllocator;
use super::snapshot::Snapshot;
use crate::cow::CowVec;
use crate::embed::{EmbedderDescription, Statistics};
use crate::error::{Error, Result};
use crate::filter::{FilterChanges, FilterIndex};
use crate::index::{Builder, Graph, Metric};
use crate::log::{
    self, CommittedBatch, Location, LogFiles, LogWriter, Manifest, Position, RowGuard, RowKind,
    RowView,
};
use crate::metadata;
use crate::record::{Sequence, Slot};
use crate::storage::Storage;

/// Rows whose changes to the filter index are made together.
pub const REPLAYED_ROWS: usize = 8192;

/// A collection as it was when it was last open.
pub struct Recovered {
    /// The records.
    pub state: Snapshot,
    /// Which slots are free.
    pub allocator: SlotAllocator,
    /// The graph.
    pub graph: Arc<Graph>,
    /// The graph's builder.
    pub builder: Builder,
    /// The log, ready to go on.
    pub log: LogWriter,
    /// Up to where the checkpoint covers the log.
    pub checkpointed: Position,
}

/// Opens what a directory holds of a collection; an empty directory is an empty collection.
///
/// # Errors
/// `CORRUPTED` where checkpoint or log are not what was written.
pub fn open(
    storage: &Arc<dyn Storage>,
    directory: &str,
    config: &CollectionConfig,
    thresholds: &Thresholds,
) -> Result<Recovered> {
    let graph = Arc::new(Graph::new(config.index_parameters()));
    let mut checkpoint = match checkpoint::read(&**storage, directory, &graph)? {
        Some(checkpoint) => checkpoint,
        None => empty(&graph, config),
    };
    let log_directory = format!("{directory}/log");
    storage.create_directory(&log_directory)?;
    storage.sync_directory(directory)?;
    // Old versions are read while batches are applied, from files that replay may reach only
    // later, so the rows are noted first and applied when all files are open.
    let mut rows: Vec<(Sequence, Location)> = Vec::new();
    let manifest = checkpoint.manifest.clone();
    let recovery = log::recover(&**storage, &log_directory, &manifest, |batch| {
        rows.extend(batch.rows().map(|(location, _)| (batch.sequence, location)));
        remember(&mut checkpoint, batch)
    })?;
    for leftover in &recovery.leftovers {
        storage.remove(leftover)?;
    }
    let checkpointed = checkpoint.manifest.position;
    let (position, files) = (recovery.position, recovery.files.clone());
    let (mut state, mut allocator, builder) = begin(checkpoint, files);
    encode_tail(&state, &graph)?;
    let mut applier = Applier {
        state: &mut state,
        allocator: &mut allocator,
        graph: &graph,
        sequence: 0,
        filters: FilterChanges::default(),
    };
    if applier.state.slots.is_empty() && config.metric == Metric::DotProduct {
        let sequence = rows.first().map(|(sequence, _)| *sequence);
        let first = rows.iter().take_while(|row| Some(row.0) == sequence);
        let first: Vec<Location> = first.map(|row| row.1).collect();
        bound_length(applier.state, &graph, &first)?;
    }
    for rows in rows.chunks(REPLAYED_ROWS) {
        for (sequence, location) in rows {
            applier.sequence = *sequence;
            replay(&mut applier, *location)?;
        }
        applier.finish();
    }
    state.sequence = position.sequence;
    state.position = position;
    let file_bytes = thresholds.log_file_bytes;
    let log = LogWriter::new(Arc::clone(storage), &log_directory, recovery, file_bytes)
        .with_spare_bytes_max(thresholds.spare_bytes_max);
    Ok(Recovered {
        state,
        allocator,
        graph,
        builder,
        log,
        checkpointed,
    })
}

/// What a batch says beside its rows.
fn remember(checkpoint: &mut Checkpoint, batch: &CommittedBatch<'_>) -> Result<()> {
    if let Some(bytes) = batch.idempotency {
        let reply = KeptReply::decode(bytes)?;
        checkpoint.replies.insert(Arc::new(reply));
    }
    if let Some(bytes) = batch.stream_offsets {
        let offset = StreamOffset::decode(bytes)?;
        checkpoint.streams.insert(Arc::new(offset));
    }
    Ok(())
}

fn empty(graph: &Arc<Graph>, config: &CollectionConfig) -> Checkpoint {
    let lexical = config
        .embedder
        .as_ref()
        .is_some_and(EmbedderDescription::is_built_in);
    Checkpoint {
        manifest: Manifest::default(),
        slots: CowVec::default(),
        ids: IdTable::default(),
        alive: RoaringBitmap::new(),
        tail: Vec::new(),
        dead: Vec::new(),
        filters: FilterIndex::default(),
        statistics: lexical.then(Statistics::default),
        builder: Builder::new(Arc::clone(graph)),
        replies: kept::no_replies(),
        streams: kept::no_streams(),
    }
}

fn begin(checkpoint: Checkpoint, files: LogFiles) -> (Snapshot, SlotAllocator, Builder) {
    let dead: RoaringBitmap = checkpoint.dead.iter().copied().collect();
    let end = checkpoint.slots.len() as Slot;
    let free = (0..end).filter(|slot| !checkpoint.alive.contains(*slot) && !dead.contains(*slot));
    let allocator = SlotAllocator::new(end, free);
    let state = Snapshot {
        sequence: checkpoint.manifest.position.sequence,
        position: checkpoint.manifest.position,
        slots: checkpoint.slots,
        ids: checkpoint.ids,
        alive: Arc::new(checkpoint.alive),
        filters: checkpoint.filters,
        statistics: checkpoint.statistics,
        tail: Arc::new(checkpoint.tail),
        taken: 0,
        dead: Arc::new(checkpoint.dead),
        entry: checkpoint.builder.entry(),
        files,
        replies: checkpoint.replies,
        streams: checkpoint.streams,
    };
    (state, allocator, checkpoint.builder)
}

/// The first batch decides the scale of dot products, now as when it was written.
///
/// # Errors
/// `CORRUPTED` where a row is not what was written.
pub fn bound_length(state: &Snapshot, graph: &Graph, batch: &[Location]) -> Result<()> {
    let guards: Vec<RowGuard> = batch
        .iter()
        .map(|location| state.files.row(*location))
        .collect::<Result<_>>()?;
    let vectors: Vec<_> = guards.iter().map(|guard| guard.view().vector()).collect();
    graph.bound_length(&mut vectors.iter().map(|vector| &**vector));
    Ok(())
}

/// A checkpoint holds the codes of rows in the graph; those of the tail are made again.
fn encode_tail(state: &Snapshot, graph: &Graph) -> Result<()> {
    for row in state.tail.iter().filter(|row| state.is_alive(row.slot)) {
        graph.encode(row.slot, &state.row(row.slot)?.view().vector());
    }
    Ok(())
}

/// One row of a committed batch. It is a resolved action, so nothing is decided again.
///
/// # Errors
/// `CORRUPTED` where the row is not what was written, or changes a record that is not there.
pub fn replay(applier: &mut Applier<'_>, location: Location) -> Result<()> {
    let guard = applier.state.files.row(location)?;
    let row = guard.view();
    let id = row.id();
    let old = match applier.state.ids.find(id) {
        Some(slot) => Some((slot, applier.state.read_metadata(slot)?)),
        None => None,
    };
    match (row.kind(), old) {
        (RowKind::Store, old) => {
            if let Some((slot, metadata)) = old {
                let text = applier.state.read_text(slot)?;
                applier.retire(slot, &metadata, text.as_deref());
            }
            store(applier, &row, location)?;
        }
        (RowKind::Attributes, Some((slot, old))) => {
            metadata::validate(row.metadata())?;
            applier.attributes(slot, &old, row.metadata(), location);
        }
        (RowKind::Delete, Some((slot, old))) => {
            let text = applier.state.read_text(slot)?;
            applier.retire(slot, &old, text.as_deref());
            applier.state.ids.remove(id);
        }
        (_, None) => {
            let message = format!(
                "batch {} changes a record that is not there",
                applier.sequence
            );
            return Err(Error::corrupted("log", message));
        }
    }
    Ok(())
}

fn store(applier: &mut Applier<'_>, row: &RowView<'_>, location: Location) -> Result<()> {
    metadata::validate(row.metadata())?;
    applier.store(
        row.id(),
        &row.vector(),
        row.text(),
        row.metadata(),
        location,
    );
    Ok(())
}
