//! The one writer of a collection: plan, log, apply, publish.

mod staging;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::apply::Applier;
use super::beside::Beside;
use super::config::{Durability, SYNC_INTERVAL_MS, Thresholds};
use super::kept::{self, Kept};
use super::queue::{IndexUpdate, OnWritten, StageStep, Terms, Work, WriteJob};
use super::shared::Shared;
use super::slots::SlotAllocator;
use super::snapshot::Snapshot;
use super::stages::StagedBatch;
use crate::batch::{
    BatchStatus, Checked, Counts, Level, Plan, Row, WriteReply, WriteRequest, plan,
};
use crate::error::{Error, ErrorCode, Result};
use crate::filter::FilterChanges;
use crate::log::{Batch, LogWriter, Stage};
use crate::record::Sequence;

/// Rows of a batch from which on applying them takes as long as it takes to wake a thread.
const WRITE_BESIDE_ROWS_MIN: usize = 128;

type Published = Box<dyn FnOnce() + Send>;

/// The state that only the writer's thread touches.
pub struct Writer {
    shared: Arc<Shared>,
    /// The next snapshot, in the making.
    state: Snapshot,
    log: LogWriter,
    allocator: SlotAllocator,
    durability: Durability,
    thresholds: Thresholds,
    /// Where large batches are written to the log while they are applied.
    beside: Beside,
    synced: Instant,
    unsynced: bool,
    /// Records that the last batch has stored.
    stored_last: usize,
    /// An append has failed since the last publication.
    lost: bool,
    /// Atomic streams whose parts are coming.
    stages: BTreeMap<u64, StagedBatch>,
}

/// A batch that is in the log and applied, but not yet published and acknowledged.
struct Pending {
    request: WriteRequest,
    reply: Result<WriteReply>,
    on_written: OnWritten,
    /// Whether it has written anything that a failure takes back.
    committed: bool,
}

impl Writer {
    /// A writer that goes on from what recovery found.
    pub fn new(
        shared: Arc<Shared>,
        state: Snapshot,
        log: LogWriter,
        allocator: SlotAllocator,
        durability: Durability,
        thresholds: Thresholds,
    ) -> Self {
        Writer {
            shared,
            state,
            log,
            allocator,
            durability,
            thresholds,
            beside: Beside::new("volley-log"),
            synced: Instant::now(),
            unsynced: false,
            stored_last: 0,
            lost: false,
            stages: BTreeMap::new(),
        }
    }

    /// Works until the queue is finished; then makes everything durable.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let full = self.state.tail.len() >= self.thresholds.tail_rows_max;
            let work = shared.queue.take(full, self.time_to_sync());
            if work.closed {
                break;
            }
            self.step(work);
            if shared.queue.is_empty() {
                self.prepare();
            }
        }
        // A failure is seen by the closing thread: the durable watermark stays behind.
        let _ = self.sync();
    }

    /// Gets memory for a batch like the last one while nobody waits for it.
    fn prepare(&mut self) {
        // Whoever was told just now may have been woken on this processor: they go first.
        std::thread::yield_now();
        self.log.prepare();
        let next = self.allocator.next();
        self.shared.graph.prepare(next, self.stored_last);
    }

    /// One group: every batch is planned, logged and applied in turn, all share one sync and
    /// become visible by one publication, and only then is anyone told.
    fn step(&mut self, work: Work) {
        self.publish_updates(work.updates);
        let mut pending = Vec::with_capacity(work.jobs.len());
        let last = work.jobs.len().saturating_sub(1);
        for (place, mut job) in work.jobs.into_iter().enumerate() {
            let before = self.state.sequence;
            let reply = self.run_job(&mut job, place == last);
            let committed = self.state.sequence > before;
            pending.push(Pending {
                request: job.request,
                reply,
                on_written: job.on_written,
                committed,
            });
        }
        if let Err(error) = self.sync_if_due() {
            fail_all(&mut pending, &error);
            self.forget_unpublished();
        }
        if !pending.is_empty() {
            self.publish();
        }
        for batch in pending {
            (batch.on_written)(batch.request, batch.reply);
        }
    }

    /// The indexer's results are published on their own: should the log fail in this group, they
    /// must not be taken back with its batches.
    fn publish_updates(&mut self, updates: Vec<(IndexUpdate, Published)>) {
        if updates.is_empty() {
            return;
        }
        let mut published = Vec::with_capacity(updates.len());
        for (update, done) in updates {
            self.apply_update(update);
            published.push(done);
        }
        self.publish();
        published.into_iter().for_each(|done| done());
    }

    /// `is_last` of its group: no batch comes between it and the group's sync.
    fn run_job(&mut self, job: &mut WriteJob, is_last: bool) -> Result<WriteReply> {
        let WriteJob {
            request,
            checked,
            terms,
            ..
        } = job;
        match terms.step {
            None => self.commit(request, checked, terms, is_last),
            Some(StageStep::Append(number)) => self.append_part(number, request, checked, terms),
            Some(StageStep::Commit(number)) => self.commit_stage(number, terms),
            Some(StageStep::Drop(number)) => self.drop_stage(number, terms),
        }
    }

    /// The way of every write: plan, log, apply. Readers see nothing of it yet.
    fn commit(
        &mut self,
        request: &WriteRequest,
        checked: &Checked,
        terms: &Terms,
        is_last: bool,
    ) -> Result<WriteReply> {
        self.check_stream_offset(request, terms)?;
        let plan = plan(request, checked, &self.state);
        // A chunk of a stream commits its offset also where it changes nothing.
        let commits = plan.commits() || request.options.stream.is_some();
        if request.options.validate_only || !commits {
            let mut reply = reply(plan, self.state.sequence, terms);
            // Readers see what was skipped or unchanged, but nothing of a preview or a failure.
            let failed = Counts::of(&reply.outcomes).status() == BatchStatus::Failed;
            if request.options.validate_only || failed {
                reply.reached = Level::Received;
            }
            return Ok(reply);
        }
        let sequence = self.state.sequence + 1;
        let rows: Vec<Row<'_>> = plan
            .actions
            .iter()
            .map(|action| action.row(request, checked))
            .collect::<Result<_>>()?;
        let stores = rows.iter().filter(|row| matches!(row, Row::Store { .. }));
        let stores = stores.count();
        self.allocator.check_room(stores)?;
        self.stored_last = stores;
        let old_texts = self.old_texts(&rows)?;
        let kept = Kept::of(request, terms, &plan.outcomes, sequence);
        let batch = encode(&mut self.log, &rows, &kept)?;
        if !terms.gate.pass() {
            return Err(stopped());
        }
        self.unsynced = true;
        let syncs = is_last && self.durability == Durability::Always;
        let logged = self.log_and_apply(sequence, batch, &rows, &old_texts, syncs);
        if logged.is_err() {
            self.lost = true;
            self.take_back();
        }
        let synced = logged?;
        kept.remember(&mut self.state);
        self.state.sequence = sequence;
        self.state.position = self.log.position();
        if synced {
            self.note_synced();
        }
        Ok(reply(plan, sequence, terms))
    }

    /// Writes a batch to the log and applies its rows: both at the same time where they are many,
    /// since nobody sees either before both are done. Where the log `syncs` at once, returns whether
    /// it did; a sync that failed has poisoned the log, which shows at the next.
    fn log_and_apply(
        &mut self,
        sequence: Sequence,
        batch: Batch,
        rows: &[Row<'_>],
        old_texts: &[Option<String>],
        syncs: bool,
    ) -> Result<bool> {
        let (locations, unwritten) = self.log.begin(Stage::default(), sequence, batch)?;
        self.state.files = self.log.files().clone();
        if self.state.slots.is_empty() {
            let mut vectors = rows.iter().filter_map(Row::vector);
            self.shared.graph.bound_length(&mut vectors);
        }
        let log = &mut self.log;
        let write = || {
            log.finish(unwritten)?;
            Ok(syncs && log.sync().is_ok())
        };
        let mut applier = Applier {
            state: &mut self.state,
            allocator: &mut self.allocator,
            graph: &self.shared.graph,
            sequence,
            filters: FilterChanges::default(),
        };
        let apply = || {
            for ((row, old_text), location) in rows.iter().zip(old_texts).zip(locations) {
                applier.row(row, old_text.as_deref(), location);
            }
            applier.finish();
        };
        if rows.len() >= WRITE_BESIDE_ROWS_MIN {
            return self.beside.both(write, apply);
        }
        apply();
        write()
    }

    /// A chunk must begin where the stream's committed part ends: a gap would lose operations, an
    /// overlap would run some twice.
    fn check_stream_offset(&self, request: &WriteRequest, terms: &Terms) -> Result<()> {
        let Some(part) = &request.options.stream else {
            return Ok(());
        };
        let key = (terms.caller.clone(), part.stream_id.clone());
        let known = self.state.streams.get(&key, kept::now_ms());
        let expected = known.map_or(0, |stream| stream.offset);
        if part.offset == expected {
            return Ok(());
        }
        let message = format!(
            "offset is {}, the stream goes on at offset {expected}",
            part.offset
        );
        Err(Error::new(ErrorCode::ConditionFailed, message)
            .with("field", "offset")
            .with("expected", expected)
            .with("actual", part.offset))
    }

    /// The texts that the batch ends, read before anything is written: apply must not fail.
    fn old_texts(&self, rows: &[Row<'_>]) -> Result<Vec<Option<String>>> {
        let old_text = |row: &Row<'_>| match row {
            Row::Store {
                previous: Some(previous),
                ..
            }
            | Row::Delete { previous, .. }
                if self.state.statistics.is_some() =>
            {
                self.state.read_text(previous.slot)
            }
            _ => Ok(None),
        };
        rows.iter().map(old_text).collect()
    }

    fn apply_update(&mut self, update: IndexUpdate) {
        match update {
            IndexUpdate::Folded { count, entry } => {
                Arc::make_mut(&mut self.state.tail).drain(..count);
                self.state.taken += count as u64;
                self.state.entry = entry;
            }
            IndexUpdate::Repaired { slots, entry } => {
                Arc::make_mut(&mut self.state.dead).drain(..slots.len());
                let freed: roaring::RoaringBitmap = slots.iter().copied().collect();
                // A row that died before its fold is still in the tail; its slot may get a new
                // owner from now on, so the stale entry has to go.
                Arc::make_mut(&mut self.state.tail).retain(|row| !freed.contains(row.slot));
                self.allocator.free(slots);
                self.state.entry = entry;
            }
            IndexUpdate::LendRowsWriter(lend) => {
                // Where the receiver is gone, nobody wants to compact any more.
                let _ = lend.send(self.log.rows_writer());
            }
            IndexUpdate::Moved {
                moves,
                files,
                emptied,
            } => {
                self.log.adopt(files);
                // Refused for the active file only, which is never rewritten.
                let _ = self.log.retire(&emptied);
                self.state.files = self.log.files().clone();
                moves.apply(&mut self.state);
            }
            IndexUpdate::RemoveEmptied => {
                // What cannot be removed now is removed when the collection is opened next.
                let _ = self.log.remove_retired();
            }
            IndexUpdate::Sync => {
                let _ = self.sync();
            }
        }
    }

    /// Lets readers see the state as it is.
    pub fn publish(&mut self) {
        let snapshot = Arc::new(self.state.clone());
        self.allocator.publish(&snapshot);
        self.shared.publish(snapshot);
    }

    /// After a failed append or sync nobody knows what the disk holds: the log refuses further
    /// writes, and what was applied in this group is taken back before anyone has seen it.
    fn forget_unpublished(&mut self) {
        self.take_back();
        self.lost = false;
    }

    fn take_back(&mut self) {
        self.state = Snapshot::clone(&self.shared.snapshot());
    }

    fn time_to_sync(&self) -> Option<Duration> {
        let interval = Duration::from_millis(SYNC_INTERVAL_MS);
        (self.durability == Durability::Interval && self.unsynced)
            .then(|| interval.saturating_sub(self.synced.elapsed()))
    }

    fn sync_if_due(&mut self) -> Result<()> {
        let due = self.lost
            || match self.durability {
                Durability::Always => true,
                Durability::Interval => {
                    self.synced.elapsed().as_millis() >= SYNC_INTERVAL_MS.into()
                }
                Durability::Never => false,
            };
        if due { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> Result<()> {
        if self.unsynced {
            self.log.sync()?;
            self.note_synced();
        }
        Ok(())
    }

    /// All that is applied is durable now.
    fn note_synced(&mut self) {
        self.unsynced = false;
        self.synced = Instant::now();
        self.shared.set_durable(self.state.sequence);
    }
}

fn encode(log: &mut LogWriter, rows: &[Row<'_>], kept: &Kept) -> Result<Batch> {
    let mut encoder = log.encoder(rows.iter().map(encoded_bytes).sum());
    kept.encode(&mut encoder);
    for row in rows {
        match row {
            Row::Store {
                id,
                vector,
                text,
                metadata,
                ..
            } => {
                encoder.store(id, vector, metadata, *text)?;
            }
            Row::Attributes { id, metadata, .. } => encoder.attributes(id, metadata)?,
            Row::Delete { id, .. } => encoder.delete(id)?,
        }
    }
    encoder.finish()
}

/// What a row takes in the log at most, and little more than it does.
fn encoded_bytes(row: &Row<'_>) -> usize {
    const HEADER: usize = 32;
    match row {
        Row::Store {
            id,
            vector,
            text,
            metadata,
            ..
        } => {
            let text = text.map_or(0, str::len);
            HEADER + id.len() + vector.len() * 4 + metadata.len() + text
        }
        Row::Attributes { id, metadata, .. } => HEADER + id.len() + metadata.len(),
        Row::Delete { id, .. } => HEADER + id.len(),
    }
}

/// The error of a batch whose gate was shut; its caller has been told why already.
fn stopped() -> Error {
    Error::new(
        ErrorCode::Cancelled,
        "the batch was stopped before its commit",
    )
}

fn reply(plan: Plan, sequence: Sequence, terms: &Terms) -> WriteReply {
    WriteReply {
        outcomes: plan.outcomes,
        sequence,
        reached: Level::Applied,
        replayed: false,
        batch_id: terms.batch_id.clone(),
    }
}

fn fail_all(pending: &mut [Pending], error: &Error) {
    for batch in pending.iter_mut().filter(|batch| batch.committed) {
        batch.reply = Err(error.clone());
    }
}
