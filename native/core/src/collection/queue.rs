//! What waits for a collection's writer: batches from callers, results from the indexer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use super::compaction::Moves;
use crate::batch::{Checked, Gate, WriteReply, WriteRequest};
use crate::error::{Error, Result};
use crate::index::Entry;
use crate::log::{LogFile, RowsWriter};
use crate::record::Slot;

/// Called exactly once with what became of a batch; the request comes back for the reply.
pub type OnWritten = Box<dyn FnOnce(WriteRequest, Result<WriteReply>) + Send>;

/// A checked batch on its way into the log.
pub struct WriteJob {
    /// The batch.
    pub request: WriteRequest,
    /// What the stateless check found out.
    pub checked: Checked,
    /// What its commit depends on and remembers.
    pub terms: Terms,
    /// Whom to tell.
    pub on_written: OnWritten,
}

/// What a commit depends on and remembers, beside the batch itself.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Who calls; empty for callers of this process.
    pub caller: String,
    /// The batch's name in progress reports.
    pub batch_id: String,
    /// Digest of the request, where it has an idempotency key.
    pub fingerprint: Option<u128>,
    /// The point of no return.
    pub gate: Arc<Gate>,
    /// What it does to an atomic stream, where it is part of one.
    pub step: Option<StageStep>,
}

/// What a job does to an atomic stream, which is named by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageStep {
    /// Its operations are a part of the stream.
    Append(u64),
    /// All parts are there: they become visible at once.
    Commit(u64),
    /// The stream is given up.
    Drop(u64),
}

impl WriteJob {
    /// Rough size, to bound what one group commit holds in memory.
    pub fn bytes(&self) -> usize {
        self.request.vectors.values.len() * 4 + self.request.operations.len() * 64
    }

    /// Tells the caller that nothing was written.
    pub fn refuse(self, error: Error) {
        (self.on_written)(self.request, Err(error));
    }
}

/// What the indexer did, for the writer to publish.
pub enum IndexUpdate {
    /// The first `count` rows of the tail are in the graph.
    Folded {
        /// Rows to take off the tail's front.
        count: usize,
        /// The new way in.
        entry: Arc<Entry>,
    },
    /// The graph no longer links to these dead slots, the oldest ones.
    Repaired {
        /// The slots, to be handed out again.
        slots: Vec<Slot>,
        /// The new way in.
        entry: Arc<Entry>,
    },
    /// Rows stand in other files now.
    Moved {
        /// Where they stand.
        moves: Moves,
        /// The files that they stand in.
        files: Vec<Arc<LogFile>>,
        /// The files that they stood in, which hold nothing that lives any more.
        emptied: Vec<u32>,
    },
    /// Compaction begins: it needs a writer of rows.
    LendRowsWriter(mpsc::Sender<RowsWriter>),
    /// The newest checkpoint needs none of the emptied files.
    RemoveEmptied,
    /// Nothing new: sync the log, whatever the durability.
    Sync,
}

/// What the writer takes from the queue in one step.
#[derive(Default)]
pub struct Work {
    /// Results of the indexer, in order, each with the call that says it is published.
    pub updates: Vec<(IndexUpdate, Box<dyn FnOnce() + Send>)>,
    /// Batches, in order of arrival.
    pub jobs: Vec<WriteJob>,
    /// Nothing is left to do, and nothing more will come.
    pub closed: bool,
}

#[derive(Default)]
struct State {
    updates: VecDeque<(IndexUpdate, Box<dyn FnOnce() + Send>)>,
    jobs: VecDeque<WriteJob>,
    /// The writer is at work on batches that it has taken.
    busy: bool,
    /// No more batches are taken in.
    draining: bool,
    /// Nothing more will come: the writer ends.
    finished: bool,
    /// The writer or the indexer has ended by a fault.
    failed: bool,
}

/// The writer's queue.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// Most bytes of batches that share one sync.
const GROUP_BYTES_MAX: usize = 16 << 20;

impl Queue {
    /// Adds a batch; gives it back where the collection takes none in any more.
    pub fn push_job(&self, job: WriteJob) -> Option<(WriteJob, Error)> {
        let mut state = self.lock();
        if state.draining || state.failed {
            let error = if state.failed {
                failed()
            } else {
                super::closed()
            };
            return Some((job, error));
        }
        state.jobs.push_back(job);
        self.changed.notify_all();
        None
    }

    /// Adds a result of the indexer; `published` is called once readers can see it, or at once
    /// where the writer is gone and they never will.
    pub fn push_update(&self, update: IndexUpdate, published: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        if state.failed || state.finished {
            drop(state);
            return published();
        }
        state.updates.push_back((update, published));
        self.changed.notify_all();
    }

    /// Count of batches that wait.
    pub fn jobs_waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    /// Refuses further batches and waits until those in the queue are written.
    pub fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        self.changed.notify_all();
        while !state.failed && (state.busy || !state.jobs.is_empty()) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the writer end once the queue is empty.
    pub fn finish(&self) {
        self.lock().finished = true;
        self.changed.notify_all();
    }

    /// Refuses everything from now on, because writer or indexer cannot go on.
    pub fn fail(&self) {
        let (updates, jobs) = {
            let mut state = self.lock();
            state.failed = true;
            state.busy = false;
            (
                std::mem::take(&mut state.updates),
                std::mem::take(&mut state.jobs),
            )
        };
        self.changed.notify_all();
        updates.into_iter().for_each(|(_, published)| published());
        jobs.into_iter().for_each(|job| job.refuse(failed()));
    }

    /// Whether no batch waits.
    pub fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Waits for work, at most for `wait` where given. With `only_updates`, batches stay where
    /// they are: this is how writers are slowed to the indexer's pace.
    pub fn take(&self, only_updates: bool, wait: Option<Duration>) -> Work {
        let mut state = self.lock();
        state.busy = false;
        self.changed.notify_all();
        loop {
            let has_jobs = !state.jobs.is_empty() && !only_updates;
            if !state.updates.is_empty() || has_jobs {
                break;
            }
            if state.failed || state.finished {
                return Work {
                    closed: true,
                    ..Work::default()
                };
            }
            state = match wait {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                    if timeout.timed_out() {
                        return Work::default();
                    }
                    state
                }
            };
        }
        let updates = state.updates.drain(..).collect();
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while !only_updates && bytes < GROUP_BYTES_MAX {
            let Some(job) = state.jobs.pop_front() else {
                break;
            };
            bytes += job.bytes();
            jobs.push(job);
        }
        state.busy = !jobs.is_empty();
        Work {
            updates,
            jobs,
            closed: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, so the state behind a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed() -> Error {
    let message = "a background thread of the collection ended by a fault; open the store again";
    Error::internal(message)
}
