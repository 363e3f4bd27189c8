//! What callers, the writer and the indexer of one collection share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::cursors::Cursors;
use super::kept::KeysInFlight;
use super::mailbox::Mailbox;
use super::queue::Queue;
use super::recalls::Recalls;
use super::snapshot::Snapshot;
use crate::index::{FoldCounters, Graph, RepairCounters, SearchCounters};
use crate::record::Sequence;

/// Told whether the sequence is indexed, or that it will not be any more.
type OnIndexed = Box<dyn FnOnce(bool) + Send>;

/// What callers, the writer and the indexer of one collection share.
pub struct Shared {
    /// The graph: codes and links.
    pub graph: Arc<Graph>,
    /// Batches and index results on their way to the writer.
    pub queue: Queue,
    /// Wishes on their way to the indexer.
    pub mailbox: Mailbox,
    /// Snapshots that lists in progress hold.
    pub cursors: Cursors,
    /// Idempotency keys of running requests.
    pub keys: Arc<KeysInFlight>,
    /// How wide beams must be, as measured.
    pub recalls: Recalls,
    published: ArcSwap<Snapshot>,
    durable: AtomicU64,
    waiting: Mutex<Vec<(Sequence, OnIndexed)>>,
    costs: Mutex<(FoldCounters, RepairCounters, SearchCounters)>,
}

impl Shared {
    /// Begins with what recovery found; all of that is durable.
    pub fn new(graph: Arc<Graph>, snapshot: Arc<Snapshot>) -> Self {
        Shared {
            graph,
            queue: Queue::default(),
            mailbox: Mailbox::default(),
            cursors: Cursors::default(),
            keys: Arc::default(),
            recalls: Recalls::default(),
            durable: AtomicU64::new(snapshot.sequence),
            published: ArcSwap::new(snapshot),
            waiting: Mutex::default(),
            costs: Mutex::default(),
        }
    }

    /// The newest snapshot. It takes no lock and never waits.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.load_full()
    }

    /// Makes a snapshot the newest one.
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let indexed = snapshot.indexed();
        self.published.store(snapshot);
        self.tell_waiting(|sequence| (sequence <= indexed).then_some(true));
        self.mailbox.ask(|wishes| wishes.look = true);
    }

    /// Calls back once all records up to a sequence are in the graph, with `true`; or with
    /// `false` when the collection closes before that.
    pub fn when_indexed(&self, sequence: Sequence, call: OnIndexed) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((sequence, call));
        // The sequence may have been reached between the caller's look and the push.
        let indexed = self.snapshot().indexed();
        self.tell_waiting(|sequence| (sequence <= indexed).then_some(true));
        self.mailbox.ask(|wishes| wishes.hurry = true);
    }

    /// Tells everybody who still waits that the wait is over.
    pub fn give_up_waiting(&self) {
        self.tell_waiting(|_| Some(false));
    }

    fn tell_waiting(&self, answer: impl Fn(Sequence) -> Option<bool>) {
        let mut told = Vec::new();
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let mut place = 0;
            while place < waiting.len() {
                match answer(waiting[place].0) {
                    Some(reached) => told.push((waiting.swap_remove(place).1, reached)),
                    None => place += 1,
                }
            }
        }
        told.into_iter().for_each(|(call, reached)| call(reached));
    }

    /// The last batch that a crash cannot undo.
    pub fn durable(&self) -> Sequence {
        self.durable.load(Ordering::Acquire)
    }

    /// Notes that batches up to this one are synced.
    pub fn set_durable(&self, sequence: Sequence) {
        self.durable.store(sequence, Ordering::Release);
    }

    /// What all folds, repairs and searches since the collection was opened have cost.
    pub fn costs(&self) -> (FoldCounters, RepairCounters, SearchCounters) {
        *self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the cost of a fold.
    pub fn add_fold(&self, counters: &FoldCounters) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        costs.0 += *counters;
    }

    /// Adds the cost of some searches.
    pub fn add_searches(&self, counters: &SearchCounters) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        costs.2 += *counters;
    }

    /// Adds the cost of a repair.
    pub fn add_repair(&self, counters: &RepairCounters) {
        let mut costs = self.costs.lock().unwrap_or_else(PoisonError::into_inner);
        costs.1 += *counters;
    }
}
