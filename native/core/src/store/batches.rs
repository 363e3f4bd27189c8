//! The batches that run and that ran lately: how far they are, and how they are stopped.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::responder::Responder;
use crate::batch::Gate;
use crate::error::{Error, ErrorCode, Result};
use crate::limits::{BATCHES_KEPT, STREAM_ID_BYTES_MAX};
use crate::record::Sequence;

type Hook = Box<dyn FnOnce() + Send>;

/// The verbs whose calls are batches: how one ended is kept, also where it was refused at once.
const BATCH_VERBS: [&str; 5] = ["insert", "update", "delete", "write", "search"];

/// One call on its way, or what became of it.
pub struct Batch {
    /// Its name.
    pub batch_id: String,
    /// Whose it is; empty for callers of this process.
    pub caller: String,
    /// What was asked for.
    pub verb: String,
    /// Bytes of header and block.
    pub bytes: usize,
    /// The point of no return.
    pub gate: Arc<Gate>,
    /// When it came.
    pub began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    collection: Option<String>,
    /// Operations or queries, once they are decoded.
    received: Option<usize>,
    responder: Option<Responder>,
    /// Takes it out of the line of those who wait for memory.
    withdraw: Option<Hook>,
    /// Answers a committed batch that waits for the graph.
    answer_now: Option<Hook>,
    /// Its time is up, or it was cancelled, after its commit.
    hurried: bool,
    ended: Option<Ended>,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Operations or queries that failed; nothing of a refused one.
    pub failed: usize,
    /// Its number, where it committed.
    pub sequence: Option<Sequence>,
    /// Why it was refused or stopped.
    pub error: Option<Error>,
    /// How long it took.
    pub elapsed: Duration,
}

/// A batch as it is told: the contract's one shape of progress, and its end.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The collection, once it is known.
    pub collection: Option<String>,
    /// Operations received; nothing before they are decoded.
    pub received: Option<usize>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
}

impl Batch {
    /// Notes what was decoded.
    pub fn received(&self, collection: &str, count: usize) {
        let mut state = self.lock();
        state.collection = Some(collection.to_owned());
        state.received = Some(count);
    }

    /// Lets a later call answer this batch: its first answer asked for embeddings.
    ///
    /// # Errors
    /// Why the batch was stopped meanwhile, with the responder for telling it.
    pub fn attach(&self, responder: Responder) -> std::result::Result<(), (Error, Responder)> {
        let mut state = self.lock();
        match &state.ended {
            Some(ended) => Err((ended.error.clone().unwrap_or_else(stopped), responder)),
            None => {
                state.responder = Some(responder);
                Ok(())
            }
        }
    }

    /// The way back to the caller, for an answer that does not end the batch.
    pub fn take_responder(&self) -> Option<Responder> {
        self.lock().responder.take()
    }

    /// Ends the batch and returns the way back to the caller; `None` where it was stopped before
    /// and the caller knows.
    pub fn end(
        &self,
        failed: usize,
        sequence: Option<Sequence>,
        error: Option<&Error>,
    ) -> Option<Responder> {
        if !self.gate.pass() {
            return None;
        }
        let mut state = self.lock();
        state.answer_now = None;
        state.withdraw = None;
        state.ended.get_or_insert_with(|| Ended {
            failed,
            sequence,
            error: error.cloned(),
            elapsed: self.began.elapsed(),
        });
        state.responder.take()
    }

    /// Sets how the batch leaves the line of those who wait for memory.
    pub fn when_stopped_waiting(&self, withdraw: Hook) {
        let mut state = self.lock();
        if state.ended.is_some() {
            drop(state);
            return withdraw();
        }
        state.withdraw = Some(withdraw);
    }

    /// Sets how a committed batch is answered before it is indexed, if it comes to that.
    pub fn when_hurried(&self, answer_now: Hook) {
        let mut state = self.lock();
        if state.hurried {
            drop(state);
            return answer_now();
        }
        state.answer_now = Some(answer_now);
    }

    /// Stops the batch: before its commit it is answered with this error, after it with its true
    /// result. Returns whether it was stopped.
    pub fn stop(&self, code: ErrorCode) -> bool {
        if !self.gate.shut() {
            // Called without the lock: answering ends the batch, which takes it.
            let answer_now = {
                let mut state = self.lock();
                state.hurried = true;
                state.answer_now.take()
            };
            if let Some(answer_now) = answer_now {
                answer_now();
            }
            return false;
        }
        let error = match code {
            ErrorCode::DeadlineExceeded => deadline_exceeded(self.began.elapsed()),
            _ => stopped(),
        };
        let (responder, withdraw) = {
            let mut state = self.lock();
            if state.ended.is_some() {
                return true;
            }
            state.ended = Some(Ended {
                failed: 0,
                sequence: None,
                error: Some(error.clone()),
                elapsed: self.began.elapsed(),
            });
            (state.responder.take(), state.withdraw.take())
        };
        if let Some(withdraw) = withdraw {
            withdraw();
        }
        if let Some(responder) = responder {
            responder.refuse(&error);
        }
        true
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let state = self.lock();
        Progress {
            collection: state.collection.clone(),
            received: state.received,
            ended: state.ended.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopped() -> Error {
    Error::new(
        ErrorCode::Cancelled,
        "the call was cancelled before its commit",
    )
}

fn deadline_exceeded(elapsed: Duration) -> Error {
    let elapsed_ms = elapsed.as_millis() as u64;
    let message = format!("the deadline passed after {elapsed_ms} ms, before the commit");
    Error::new(ErrorCode::DeadlineExceeded, message).with("elapsed_ms", elapsed_ms)
}

#[derive(Default)]
struct Table {
    running: HashMap<(String, String), Arc<Batch>>,
    recent: HashMap<(String, String), Arc<Batch>>,
    order: VecDeque<(String, String)>,
}

/// All batches of a store by caller and name; those that ended are kept up to a count.
pub struct Batches {
    table: Mutex<Table>,
    prefix: u64,
    next: AtomicU64,
    kept: usize,
}

/// A batch in the table of those that run; dropped, it is one that ran.
pub struct Entry {
    table: Arc<Batches>,
    batch: Arc<Batch>,
}

impl Batches {
    /// An empty table; without `reporting` it forgets what has ended.
    pub fn new(reporting: bool) -> Self {
        Batches {
            table: Mutex::default(),
            // Names must differ from those of another run: a client may ask late.
            prefix: RandomState::new().build_hasher().finish(),
            next: AtomicU64::new(1),
            kept: if reporting { BATCHES_KEPT } else { 0 },
        }
    }

    /// Enters a call.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a name that is empty, too long, or that of a batch that runs.
    pub fn begin(
        self: &Arc<Self>,
        verb: &str,
        caller: &str,
        name: Option<String>,
        bytes: usize,
    ) -> Result<Entry> {
        let made = || {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            format!("{:016x}-{number}", self.prefix)
        };
        let batch_id = name.unwrap_or_else(made);
        if batch_id.is_empty() || batch_id.len() > STREAM_ID_BYTES_MAX {
            return Err(Error::limit(
                ErrorCode::InvalidArgument,
                "batch_id",
                STREAM_ID_BYTES_MAX,
                batch_id.len(),
                "bytes",
            ));
        }
        let key = (caller.to_owned(), batch_id.clone());
        let batch = Arc::new(Batch {
            batch_id,
            caller: caller.to_owned(),
            verb: verb.to_owned(),
            bytes,
            gate: Arc::default(),
            began: Instant::now(),
            state: Mutex::default(),
        });
        let mut table = self.lock();
        if table.running.contains_key(&key) {
            let message = "a batch with this batch_id is running";
            return Err(Error::invalid("batch_id", message));
        }
        table.running.insert(key, Arc::clone(&batch));
        Ok(Entry {
            table: Arc::clone(self),
            batch,
        })
    }

    /// A batch that runs or ran lately.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn get(&self, caller: &str, batch_id: &str) -> Result<Arc<Batch>> {
        let key = (caller.to_owned(), batch_id.to_owned());
        let table = self.lock();
        let found = table.running.get(&key).or_else(|| table.recent.get(&key));
        found.cloned().ok_or_else(|| {
            let message = format!(
                "no batch {batch_id:?} runs, nor is it among the last {}",
                self.kept
            );
            Error::new(ErrorCode::NotFound, message).with("batch_id", batch_id)
        })
    }

    fn leave(&self, batch: &Arc<Batch>) {
        let key = (batch.caller.clone(), batch.batch_id.clone());
        let mut table = self.lock();
        // It may have left before, and its name be another's by now.
        let runs = |running: &Arc<Batch>| Arc::ptr_eq(running, batch);
        if !table.running.get(&key).is_some_and(runs) {
            return;
        }
        table.running.remove(&key);
        if self.kept == 0 || !BATCH_VERBS.contains(&batch.verb.as_str()) {
            return;
        }
        if table
            .recent
            .insert(key.clone(), Arc::clone(batch))
            .is_none()
        {
            table.order.push_back(key);
        }
        while table.order.len() > self.kept {
            let oldest = table.order.pop_front();
            oldest.and_then(|key| table.recent.remove(&key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds this lock, so the table behind a poisoned one is whole.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Does what [`Batch::end`] does, and takes the batch from those that run: its name is free
    /// before the caller knows, who may use it again at once.
    pub fn end(
        &self,
        failed: usize,
        sequence: Option<Sequence>,
        error: Option<&Error>,
    ) -> Option<Responder> {
        let responder = self.batch.end(failed, sequence, error);
        self.table.leave(&self.batch);
        responder
    }
}

impl std::ops::Deref for Entry {
    type Target = Arc<Batch>;

    fn deref(&self) -> &Arc<Batch> {
        &self.batch
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // A batch that is dropped without an end was lost by a fault; the responder that it may
        // still have says so.
        let fault = Error::internal("the batch ended by a fault of the engine");
        drop(self.end(0, None, Some(&fault)));
    }
}
