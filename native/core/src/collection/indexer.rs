//! The background half of a collection: folds the tail into the graph, repairs the graph around
//! dead records, writes checkpoints and compacts the log, one thing at a time.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::config::Thresholds;
use super::ids::id_hash;
use super::mailbox::Wishes;
use super::queue::IndexUpdate;
use super::shared::Shared;
use super::snapshot::Snapshot;
use super::{checkpoint, compaction};
use crate::codec::CompactReport;
use crate::error::{Error, Result};
use crate::index::{Builder, Frozen};
use crate::pools::Pools;
use crate::record::Slot;
use crate::storage::Storage;

/// Slots that a repair goes over before the next fold may take its turn.
const REPAIR_SLOTS: usize = 4096;
/// Where rows die so fast that behind a repair one for this many of the live ones waits for the
/// next, folds wait for the repair instead.
const REPAIR_URGENT_SHARE: usize = 2;

/// Checkpoints of large collections are this many times rarer at most.
const CHECKPOINT_GROWTH_MAX: u64 = 4;
/// After a checkpoint that could not be written, the log grows by this share of what makes the
/// first one due before the next is tried.
const CHECKPOINT_RETRY_SHARE: u64 = 8;

/// The state that only the indexer's thread touches.
pub struct Indexer {
    /// What it shares with callers and the writer.
    pub shared: Arc<Shared>,
    /// The graph's builder.
    pub builder: Builder,
    /// Where folds run.
    pub pools: Arc<Pools>,
    /// The store's files.
    pub storage: Arc<dyn Storage>,
    /// The collection's directory.
    pub directory: String,
    /// When to do what.
    pub thresholds: Thresholds,
    /// Bytes of the log at the newest checkpoint.
    pub checkpointed_bytes: u64,
    /// Count of tail rows folded so far; what [`Snapshot::taken`] will come to.
    pub folded: u64,
    /// The dead rows that a repair under way takes out of the graph: the oldest of the snapshot's.
    pub repairing: Vec<Slot>,
    /// How many of the snapshot's dead rows the builder knows of: the oldest.
    pub buried: usize,
    /// The checkpoint that is being written beside the folds. Until it is done no repair begins:
    /// it would free slots, whose codes the checkpoint still reads.
    pub writing: Option<Writing>,
    /// Bytes of the log when the last checkpoint was begun: after one that could not be written,
    /// the next waits for more.
    pub attempted_bytes: u64,
}

/// A checkpoint under way.
pub struct Writing {
    thread: JoinHandle<Result<()>>,
    log_bytes: u64,
}

impl Indexer {
    /// Works until it is told to close, and leaves the graph as it is then.
    pub fn run(mut self) -> Frozen {
        let mut waiting_since: Option<Instant> = None;
        let mut hurry = false;
        loop {
            let wishes = self
                .shared
                .mailbox
                .take(self.patience(waiting_since, hurry));
            if wishes.close {
                self.refuse(wishes);
                self.finish_checkpoint();
                // That dead rows are out of the graph shows at the next opening.
                self.bury(&self.shared.snapshot());
                let builder = &mut self.builder;
                return self.pools.indexer().install(|| {
                    builder.begin_repair();
                    builder.continue_repair(usize::MAX);
                    builder.freeze()
                });
            }
            hurry |= wishes.hurry;
            let snapshot = self.shared.snapshot();
            let since = *waiting_since.get_or_insert_with(Instant::now);
            let unfolded = self.unfolded(&snapshot);
            let enough = unfolded >= self.thresholds.fold_rows_min;
            let waited = since.elapsed() >= self.fold_wait();
            if unfolded == 0 {
                (waiting_since, hurry) = (None, false);
            } else if enough || waited || hurry {
                self.fold(&snapshot);
                waiting_since = None;
            }
            drop(snapshot);
            self.repair_if_due();
            self.checkpoint_if_due();
            for told in wishes.compact {
                told(self.compact());
            }
        }
    }

    /// How long to sleep: for ever without a tail, not at all where there is more to do.
    fn patience(&self, waiting_since: Option<Instant>, hurry: bool) -> Option<Duration> {
        let tail = self.unfolded(&self.shared.snapshot());
        match waiting_since {
            _ if self.builder.is_repairing() => Some(Duration::ZERO),
            _ if tail == 0 => None,
            _ if hurry || tail >= self.thresholds.fold_rows_min => Some(Duration::ZERO),
            None => Some(self.fold_wait()),
            Some(since) => Some(self.fold_wait().saturating_sub(since.elapsed())),
        }
    }

    fn fold_wait(&self) -> Duration {
        Duration::from_millis(self.thresholds.fold_wait_ms)
    }

    fn refuse(&self, wishes: Wishes) {
        for told in wishes.compact {
            told(Err(super::closed()));
        }
    }

    /// How many rows of a snapshot's tail are not folded yet. The first ones may be: their fold
    /// is on its way through the writer, and the next fold does not wait for that.
    fn unfolded(&self, snapshot: &Snapshot) -> usize {
        snapshot.tail.len() - self.on_their_way(snapshot)
    }

    fn on_their_way(&self, snapshot: &Snapshot) -> usize {
        usize::try_from(self.folded - snapshot.taken).unwrap_or(usize::MAX)
    }

    /// Tells the builder which rows have died.
    fn bury(&mut self, snapshot: &Snapshot) {
        let (builder, dead) = (&mut self.builder, &snapshot.dead[self.buried..]);
        self.pools.indexer().install(|| builder.bury(dead));
        self.buried = snapshot.dead.len();
    }

    /// Folds the oldest rows of the tail.
    fn fold(&mut self, snapshot: &Snapshot) {
        self.bury(snapshot);
        let begin = self.on_their_way(snapshot);
        let count = self.unfolded(snapshot).min(self.thresholds.fold_rows_max);
        let rows: Vec<(Slot, u64)> = snapshot.tail[begin..begin + count]
            .iter()
            .filter(|row| snapshot.is_alive(row.slot))
            .filter_map(|row| Some((row.slot, id_hash(snapshot.ids.id(row.slot)?))))
            .collect();
        let builder = &mut self.builder;
        let counters = self.pools.indexer().install(|| builder.fold(&rows));
        self.shared.add_fold(&counters);
        self.folded += count as u64;
        let entry = self.builder.entry();
        let update = IndexUpdate::Folded { count, entry };
        self.shared.queue.push_update(update, Box::new(|| {}));
    }

    /// Takes dead slots out of the graph once they are many, some rows at a time, so that folds
    /// do not wait for it.
    fn repair_if_due(&mut self) {
        let snapshot = self.shared.snapshot();
        if self.writing.is_some() {
            return;
        }
        if self.builder.is_repairing() {
            let next = snapshot.dead.len() - self.repairing.len();
            let is_urgent = next > snapshot.count() as usize / REPAIR_URGENT_SHARE;
            drop(snapshot);
            self.continue_repair(if is_urgent { usize::MAX } else { REPAIR_SLOTS });
            return;
        }
        let share = snapshot.count() as usize / self.thresholds.repair_share;
        if snapshot.dead.len() < self.thresholds.repair_rows_min.max(share) {
            return;
        }
        self.begin_repair(&snapshot);
    }

    fn begin_repair(&mut self, snapshot: &Snapshot) {
        self.bury(snapshot);
        self.repairing = snapshot.dead.to_vec();
        let builder = &mut self.builder;
        self.pools.indexer().install(|| builder.begin_repair());
        // Searches should not begin at dead rows while their lists are emptied.
        let entry = self.builder.entry();
        self.publish(IndexUpdate::Folded { count: 0, entry });
    }

    fn continue_repair(&mut self, slots: usize) {
        let builder = &mut self.builder;
        let repaired = self
            .pools
            .indexer()
            .install(|| builder.continue_repair(slots));
        if let Some(counters) = repaired {
            self.shared.add_repair(&counters);
            let slots = std::mem::take(&mut self.repairing);
            self.buried -= slots.len();
            let entry = self.builder.entry();
            self.publish(IndexUpdate::Repaired { slots, entry });
        }
    }

    fn checkpoint_if_due(&mut self) {
        if self
            .writing
            .as_ref()
            .is_some_and(|writing| writing.thread.is_finished())
        {
            self.finish_checkpoint();
        }
        if self.writing.is_some() || self.builder.is_repairing() {
            return;
        }
        let snapshot = self.shared.snapshot();
        // Not the bytes that an opening would replay: as long as a stage is open, those grow
        // whatever is checkpointed.
        let bytes = snapshot.files.bytes();
        let grown_by = |from: u64| bytes.saturating_sub(from);
        // A checkpoint writes the whole collection again, so it is rarer the larger that is; what
        // is not covered by one makes the next opening longer.
        let least = self.thresholds.checkpoint_bytes;
        let enough = self
            .checkpointed_bytes
            .clamp(least, least * CHECKPOINT_GROWTH_MAX);
        if grown_by(self.checkpointed_bytes) < enough
            || grown_by(self.attempted_bytes) < least / CHECKPOINT_RETRY_SHARE
        {
            return;
        }
        self.attempted_bytes = bytes;
        // What cannot be written costs space, or time at the next opening, not data.
        let is_mostly_dead = matches!(compaction::is_mostly_dead(&snapshot), Ok(true));
        if !(is_mostly_dead && matches!(self.rewrite_dying(&snapshot), Ok(true))) {
            drop(snapshot);
            self.begin_checkpoint();
        }
    }

    /// Writes a checkpoint of now beside the folds.
    fn begin_checkpoint(&mut self) {
        let Ok(source) = self.freeze() else { return };
        let log_bytes = source.snapshot.files.bytes();
        let (storage, directory) = (Arc::clone(&self.storage), self.directory.clone());
        let shared = Arc::clone(&self.shared);
        let write = move || {
            let written = checkpoint::write(&*storage, &directory, &source);
            drop(source);
            shared.mailbox.ask(|wishes| wishes.look = true);
            written
        };
        let thread = std::thread::Builder::new().name("volley-checkpoint".to_owned());
        let thread = thread.spawn(write).ok();
        self.writing = thread.map(|thread| Writing { thread, log_bytes });
    }

    /// Waits for the checkpoint that is being written, if any.
    fn finish_checkpoint(&mut self) {
        if let Some(Writing { thread, log_bytes }) = self.writing.take()
            && matches!(thread.join(), Ok(Ok(())))
        {
            self.checkpointed_bytes = log_bytes;
        }
    }

    fn checkpoint(&mut self) -> Result<()> {
        self.finish_checkpoint();
        self.continue_repair(usize::MAX);
        let source = self.freeze()?;
        checkpoint::write(&*self.storage, &self.directory, &source)?;
        self.checkpointed_bytes = source.snapshot.files.bytes();
        self.attempted_bytes = self.checkpointed_bytes;
        Ok(())
    }

    /// The collection as it is now, for a checkpoint.
    fn freeze(&mut self) -> Result<checkpoint::Source> {
        // What a checkpoint stands on must not be lost in a crash that the checkpoint survives;
        // and behind this the snapshot knows of every fold.
        self.publish(IndexUpdate::Sync);
        let snapshot = self.shared.snapshot();
        if self.shared.durable() < snapshot.sequence {
            return Err(Error::internal("the log could not be synced"));
        }
        let builder = &self.builder;
        let graph = self.pools.indexer().install(|| builder.freeze());
        Ok(checkpoint::Source { snapshot, graph })
    }

    fn compact(&mut self) -> Result<CompactReport> {
        self.finish_checkpoint();
        let before = self.shared.snapshot();
        self.rewrite_dying(&before)?;
        Ok(compaction::report(&before, &self.shared.snapshot()))
    }

    /// Copies the live rows of files with many dead rows together, makes a checkpoint that
    /// knows the new places, and only then removes the old files. Returns whether there were any.
    fn rewrite_dying(&mut self, snapshot: &Snapshot) -> Result<bool> {
        let dying = compaction::dying_files(snapshot)?;
        if dying.is_empty() {
            return Ok(false);
        }
        let (sender, lent) = mpsc::channel();
        self.publish(IndexUpdate::LendRowsWriter(sender));
        let writer = lent.recv().map_err(|_| super::closed())?;
        let (moves, files) = compaction::copy_rows(snapshot, &dying, writer)?;
        let emptied = dying.into_iter().collect();
        self.publish(IndexUpdate::Moved {
            moves,
            files,
            emptied,
        });
        self.checkpoint()?;
        self.publish(IndexUpdate::RemoveEmptied);
        Ok(true)
    }

    /// Hands a result to the writer and waits until readers see it.
    fn publish(&self, update: IndexUpdate) {
        let (sender, published) = mpsc::channel();
        let done = move || {
            let _ = sender.send(());
        };
        self.shared.queue.push_update(update, Box::new(done));
        let _ = published.recv();
    }
}
