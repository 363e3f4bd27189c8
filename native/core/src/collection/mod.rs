//! One collection: the pipeline, its snapshots, and the background work behind them.
//!
//! A batch goes plan -> log -> apply -> publish on the collection's one writer thread
//! ([`writer`]); reads work on the newest [`Snapshot`] and wait for nobody; the indexer thread
//! ([`indexer`]) folds what is new into the graph and hands its results to the writer.

mod apply;
mod beside;
mod checkpoint;
mod compaction;
mod config;
mod cursors;
mod ids;
mod indexer;
mod info;
mod kept;
mod mailbox;
mod queue;
mod reader;
mod recalls;
mod recent;
mod recovery;
mod scope;
mod search;
mod shared;
mod slots;
mod snapshot;
mod stages;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

pub use config::{CollectionConfig, Durability, SYNC_INTERVAL_MS, Thresholds};
pub use kept::{Claim, KeptReply};
pub use mailbox::OnCompacted;
pub use queue::{OnWritten, StageStep, Terms, WriteJob};
pub use reader::Page;
pub use search::{EF_SEARCH_DEFAULT, Found, Match};
pub use shared::Shared;
pub use snapshot::{SlotState, Snapshot, TailRow};

use crate::batch::{Effort, Gate, Include, Query, Record, SearchRequest};
use crate::codec::CollectionInfo;
use crate::embed::Lexical;
use crate::error::{Error, ErrorCode, Result};
use crate::filter::Filter;
use crate::index::Frozen;
use crate::log::Position;
use crate::pools::Pools;
use crate::record::Sequence;
use crate::storage::Storage;
use indexer::Indexer;
use search::Searcher;
use writer::Writer;

/// An open collection. It is shared by everyone who uses it; [`Collection::close`] ends it.
pub struct Collection {
    name: String,
    config: CollectionConfig,
    lexical: Option<Lexical>,
    thresholds: Thresholds,
    directory: String,
    storage: Arc<dyn Storage>,
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
    checkpointed: Sequence,
}

struct Threads {
    writer: JoinHandle<()>,
    indexer: JoinHandle<Option<Frozen>>,
}

impl Collection {
    /// Opens a collection from its directory and starts its two threads.
    ///
    /// # Errors
    /// `CORRUPTED` where its files are not what was written, `INTERNAL` where the system refuses
    /// a thread or a file.
    pub fn open(
        name: &str,
        directory: &str,
        config: CollectionConfig,
        storage: Arc<dyn Storage>,
        pools: Arc<Pools>,
        durability: Durability,
        thresholds: Thresholds,
    ) -> Result<Self> {
        let built_in = config
            .embedder
            .as_ref()
            .filter(|embedder| embedder.is_built_in());
        let lexical = built_in.map(|embedder| Lexical::open(embedder, config.dimension));
        let lexical = lexical.transpose()?;
        let recovered = recovery::open(&storage, directory, &config, &thresholds)?;
        let checkpointed = recovered.checkpointed;
        let snapshot = Arc::new(recovered.state.clone());
        let files = &snapshot.files;
        let checkpointed_bytes = files
            .bytes()
            .saturating_sub(files.bytes_after(checkpointed));
        let sequence = if checkpointed == Position::default() {
            0
        } else {
            snapshot.sequence
        };
        let shared = Arc::new(Shared::new(recovered.graph, snapshot));
        let mut writer = Writer::new(
            Arc::clone(&shared),
            recovered.state,
            recovered.log,
            recovered.allocator,
            durability,
            thresholds,
        );
        writer.publish();
        let indexer = Indexer {
            shared: Arc::clone(&shared),
            builder: recovered.builder,
            pools,
            storage: Arc::clone(&storage),
            directory: directory.to_owned(),
            thresholds,
            checkpointed_bytes,
            folded: 0,
            repairing: Vec::new(),
            buried: 0,
            writing: None,
            attempted_bytes: checkpointed_bytes,
        };
        let threads = start(name, &shared, writer, indexer)?;
        Ok(Collection {
            name: name.to_owned(),
            config,
            lexical,
            thresholds,
            directory: directory.to_owned(),
            storage,
            shared,
            threads: Mutex::new(Some(threads)),
            checkpointed: sequence,
        })
    }

    /// The collection's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was fixed when it was created.
    pub fn config(&self) -> &CollectionConfig {
        &self.config
    }

    /// The built-in embedder, where the collection uses it.
    pub fn lexical(&self) -> Option<&Lexical> {
        self.lexical.as_ref()
    }

    /// What the collection tells of itself.
    pub fn info(&self) -> CollectionInfo {
        info::of(self)
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// What writer, indexer and callers share: watermarks and counters.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Hands a checked batch to the writer, which calls the job's call-back exactly once; or gives
    /// it back with the reason, for the caller to refuse.
    pub fn submit(&self, job: WriteJob) -> Option<(WriteJob, Error)> {
        self.shared.queue.push_job(job)
    }

    /// Claims an idempotency key for one request, and tells what an earlier request with this key
    /// was answered.
    ///
    /// # Errors
    /// `IDEMPOTENCY_IN_FLIGHT` where another request has the key; `IDEMPOTENCY_MISMATCH` where it
    /// was used by a request with another fingerprint.
    pub fn claim(
        &self,
        caller: &str,
        key: &str,
        fingerprint: u128,
    ) -> Result<(Claim, Option<Arc<KeptReply>>)> {
        let claim = self
            .shared
            .keys
            .claim((caller.to_owned(), key.to_owned()))?;
        // Whoever had the key before has let it go after its commit was published.
        let snapshot = self.snapshot();
        match snapshot.replies.get(claim.key(), kept::now_ms()) {
            Some(reply) if !reply.answers(fingerprint) => {
                let message = "the idempotency key was used for another request";
                Err(Error::new(ErrorCode::IdempotencyMismatch, message)
                    .with("idempotency_key", key)
                    .with("sequence", reply.sequence))
            }
            reply => Ok((claim, reply.cloned())),
        }
    }

    /// How many operations of a stream, from its beginning, are committed; 0 for one that is not
    /// known (any more).
    pub fn stream_offset(&self, caller: &str, stream_id: &str) -> u64 {
        let key = (caller.to_owned(), stream_id.to_owned());
        let snapshot = self.snapshot();
        let found = snapshot.streams.get(&key, kept::now_ms());
        found.map_or(0, |stream| stream.offset)
    }

    /// Answers a batch of queries, whose texts are embedded, on one snapshot.
    ///
    /// Once the gate is shut the queries that were not begun are not.
    pub fn search(&self, snapshot: &Snapshot, request: &SearchRequest, gate: &Gate) -> Vec<Found> {
        let mut searcher = self.searcher(snapshot, request);
        let wants_recall = |query: &Query| matches!(query.effort, Effort::Recall(_));
        if request.queries.iter().any(wants_recall) {
            let measure = |request: &SearchRequest| {
                let (found, costs) = self.searcher(snapshot, request).run(request, gate);
                self.shared.add_searches(&costs);
                // A stopped search found too little to measure by.
                (!gate.is_shut()).then_some(found)
            };
            let (recalls, shape) = (&self.shared.recalls, self.config.shape());
            searcher.set_beams(recalls.beams(snapshot, request, &shape, measure));
        }
        let (found, costs) = searcher.run(request, gate);
        self.shared.add_searches(&costs);
        found
    }

    fn searcher<'a>(&'a self, snapshot: &'a Snapshot, request: &'a SearchRequest) -> Searcher<'a> {
        let (graph, thresholds) = (&self.shared.graph, &self.thresholds);
        Searcher::new(snapshot, graph, &self.config, thresholds, request)
    }

    /// The record of a match.
    ///
    /// # Errors
    /// `CORRUPTED` where a row is not what was written.
    pub fn record<'s>(
        &self,
        snapshot: &'s Snapshot,
        found: Match,
        include: Include,
    ) -> Result<Record<'s>> {
        reader::record(snapshot, found.slot, include)
    }

    /// The records of ids, in the order asked; `None` where there is no such record.
    ///
    /// # Errors
    /// `CORRUPTED` where a row is not what was written.
    pub fn get(&self, ids: &[String], include: Include) -> Result<Vec<Option<Record<'static>>>> {
        reader::get(&self.snapshot(), ids, include)
    }

    /// One page of the records that pass a filter; see [`Page`].
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for an unknown cursor, `CORRUPTED` for a bad row.
    pub fn list(
        &self,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
        include: Include,
    ) -> Result<Page> {
        let newest = || self.snapshot();
        reader::list(&self.shared.cursors, newest, after, limit, filter, include)
    }

    /// How many records pass a filter.
    pub fn count(&self, filter: Option<&Filter>) -> u64 {
        reader::count(&self.snapshot(), filter)
    }

    /// Calls back with `true` once a batch is in the graph as a whole, or with `false` where it
    /// will not be, because the collection closes.
    pub fn when_batch_indexed(&self, sequence: Sequence, told: Box<dyn FnOnce(bool) + Send>) {
        self.shared.when_indexed(sequence, told);
    }

    /// Calls back with the sequence that is indexed, once everything applied now is.
    pub fn when_indexed(&self, call: Box<dyn FnOnce(Result<Sequence>) + Send>) {
        let sequence = self.snapshot().sequence;
        let told = move |reached| call(if reached { Ok(sequence) } else { Err(closed()) });
        self.shared.when_indexed(sequence, Box::new(told));
    }

    /// Rewrites log files that hold mostly dead rows, and calls back with what came of it:
    /// what the storage reports where it fails, and the collection is then as before.
    pub fn compact(&self, told: OnCompacted) {
        self.shared.mailbox.ask(|wishes| wishes.compact.push(told));
    }

    /// Ends the collection: batches that are in the queue are finished, later ones refused;
    /// everything is made durable, and a checkpoint is written where something has changed.
    ///
    /// # Errors
    /// What the storage reports; acknowledged batches are safe all the same.
    pub fn close(&self) -> Result<()> {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(threads) = threads else {
            return Ok(());
        };
        // The writer may be waiting for the indexer to make room, so it is drained first, and
        // it still takes the indexer's last results before it ends.
        self.shared.queue.drain();
        self.shared.mailbox.ask(|wishes| wishes.close = true);
        let graph = threads.indexer.join().ok().flatten();
        self.shared.queue.finish();
        let _ = threads.writer.join();
        self.shared.give_up_waiting();
        let snapshot = self.snapshot();
        match graph {
            Some(graph) if self.worth_a_checkpoint(&snapshot) => {
                let source = checkpoint::Source { snapshot, graph };
                checkpoint::write(&*self.storage, &self.directory, &source)
            }
            _ => Ok(()),
        }
    }

    fn worth_a_checkpoint(&self, snapshot: &Snapshot) -> bool {
        let durable = self.shared.durable() == snapshot.sequence;
        durable && snapshot.sequence != self.checkpointed
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

/// The error of every call that comes too late.
fn closed() -> Error {
    Error::new(ErrorCode::StoreClosed, "the collection was closed")
}

/// Starts both threads. A panic in one of them is a fault of ours: it ends the thread, not the
/// process, and the collection refuses writes from then on.
fn start(name: &str, shared: &Arc<Shared>, writer: Writer, indexer: Indexer) -> Result<Threads> {
    let failed = |error: std::io::Error| Error::internal(format!("cannot start a thread: {error}"));
    let (writer_shared, indexer_shared) = (Arc::clone(shared), Arc::clone(shared));
    let writer = std::thread::Builder::new()
        .name(format!("volley-write-{name}"))
        .spawn(move || {
            let _ = catch_unwind(AssertUnwindSafe(|| writer.run()));
            writer_shared.queue.fail();
        })
        .map_err(failed)?;
    let indexer = std::thread::Builder::new()
        .name(format!("volley-fold-{name}"))
        .spawn(move || {
            let graph = catch_unwind(AssertUnwindSafe(|| indexer.run())).ok();
            indexer_shared.mailbox.end();
            if graph.is_none() {
                indexer_shared.queue.fail();
                indexer_shared.give_up_waiting();
            }
            graph
        })
        .map_err(failed)?;
    Ok(Threads { writer, indexer })
}
