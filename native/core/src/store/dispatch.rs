//! One request's way through the engine: admit, decode, do, encode.

mod writing;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batches::Entry;
use super::budget::{Class, Reservation};
use super::context::CallContext;
use super::order::Ticket;
use super::responder::{Responder, Shape};
use super::running::Guard;
use super::unembedded::Waiting;
use super::{Inner, embedding, memory, reads};
use crate::batch::{self, Checked, SearchRequest, WriteRequest};
use crate::codec::{self, Counted, Format, Request, Resume};
use crate::collection::{Claim, Collection, KeptReply, StageStep};
use crate::error::{Error, Result};
use crate::record::Sequence;

/// A request as it comes through the door.
pub struct Incoming {
    /// What is asked for; see [`codec::verb`].
    pub line: String,
    /// How the body is written.
    pub format: String,
    /// The body.
    pub body: Vec<u8>,
    /// The vectors beside it.
    pub block: Vec<f32>,
    /// What the door says of the call.
    pub context: CallContext,
}

/// One request on its way.
pub struct Call {
    inner: Arc<Inner>,
    batch: Entry,
    context: CallContext,
    /// How its reply is written.
    shape: Shape,
    /// Set for verbs that may write.
    ticket: Option<Ticket>,
    /// Its part of the memory budget.
    reservations: Vec<Reservation>,
    /// The idempotency key that the request holds, and its fingerprint.
    claim: Option<(Claim, u128)>,
    _running: Guard,
}

/// How a request goes on.
enum Next {
    /// It is answered: the reply, and how many of its queries failed.
    Reply(Vec<u8>, usize),
    /// Its collection's writer takes it.
    Write(Arc<Collection>, WriteRequest, Checked),
    /// It was done before: the reply is given again.
    Replay(Arc<Collection>, WriteRequest, Arc<KeptReply>),
    /// Its caller must embed texts first.
    Embed(Waiting),
    /// Another request goes on with what this one brings.
    Resume(Box<Call>, Waiting, Resume),
    /// An atomic stream ends.
    EndStage(Arc<Collection>, StageStep),
    /// It waits for memory that a later call will use.
    Reserve(usize, Class),
    /// The reply comes from elsewhere.
    Later,
}

/// Takes a request over from the caller's thread.
pub fn call(inner: &Arc<Inner>, incoming: Incoming, mut responder: Responder) {
    let shape = Shape {
        verb: codec::verb(&incoming.line).to_owned(),
        format: Format::parse(&incoming.format).unwrap_or_default(),
    };
    *responder.shape() = shape.clone();
    let bytes = incoming.body.len() + incoming.block.len() * size_of::<f32>();
    let context = incoming.context.clone();
    let name = context.batch_id.clone();
    let entered = inner
        .batches
        .begin(&shape.verb, &context.caller, name, bytes);
    let batch = match entered {
        Ok(batch) => batch,
        Err(error) => return responder.refuse(&error),
    };
    // A batch that has just begun cannot have been stopped.
    if let Err((error, responder)) = batch.attach(responder) {
        return responder.refuse(&error);
    }
    let call = Call {
        inner: Arc::clone(inner),
        batch,
        context,
        shape,
        ticket: None,
        reservations: Vec::new(),
        claim: None,
        _running: inner.running.begin(),
    };
    if let Some(after) = call.context.deadline
        && let Err(error) = inner.deadlines.add(&call.batch, after)
    {
        return call.refuse(&error);
    }
    memory::admit(call, incoming, bytes);
}

impl Call {
    /// The budget, the stores and all else that requests share.
    pub fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// What the door said of the call.
    pub fn context(&self) -> &CallContext {
        &self.context
    }

    /// Its place among the batches.
    pub fn batch(&self) -> &Entry {
        &self.batch
    }

    /// Sends the admitted request to the engine's threads. Its place in the order of writes is
    /// the one of its admission.
    pub fn start(mut self, incoming: Incoming, reservation: Option<Reservation>) {
        self.reservations.extend(reservation);
        let writes = [
            "insert",
            "update",
            "delete",
            "write",
            "resume",
            "stage.commit",
            "stage.drop",
        ];
        if writes.contains(&codec::verb(&incoming.line)) {
            self.ticket = Some(self.inner.order.ticket());
        }
        let inner = Arc::clone(&self.inner);
        let pool = match codec::verb(&incoming.line) {
            "batches.get" | "batches.cancel" | "memory.reserve" | "memory.release" => {
                inner.pools.control()
            }
            _ => inner.pools.foreground(),
        };
        pool.spawn(move || {
            // A panic unwinds through the call, whose drop answers the caller and returns the
            // ticket; nothing else is held here.
            let _ = catch_unwind(AssertUnwindSafe(move || {
                if self.batch.gate.is_shut() {
                    return;
                }
                let shared = Arc::clone(&self.inner);
                let decoded = codec::decode(
                    &incoming.line,
                    &incoming.format,
                    &incoming.body,
                    incoming.block,
                    &shared.write_defaults,
                    &mut |batch| self.admit(batch),
                );
                let next = decoded.and_then(|request| self.answer(request));
                self.go_on(next);
            }));
        });
    }

    /// Judges a batch by its size, and reserves what its elements will take.
    fn admit(&mut self, batch: &Counted<'_>) -> Result<()> {
        let count = batch.elements;
        self.batch.received(batch.collection, count);
        batch::check_batch_size("max_batch_size", self.context.max_batch_size, count)?;
        batch::check_batch_size("batch_size_limit", batch.batch_size_limit, count)?;
        self.grow(count.saturating_mul(codec::HELD_BYTES))
    }

    /// Reserves what the call takes beyond the bytes that came.
    fn grow(&mut self, bytes: usize) -> Result<()> {
        match self.reservations.first_mut() {
            Some(reservation) => reservation.grow(bytes, self.context.refuse_overload),
            None => Ok(()),
        }
    }

    fn go_on(mut self, next: Result<Next>) {
        match next {
            Ok(Next::Reply(bytes, failed)) => {
                self.reply(bytes, failed);
            }
            Ok(Next::Write(collection, request, checked)) => {
                self.submit(&collection, request, checked);
            }
            Ok(Next::Replay(collection, request, kept)) => {
                self.return_ticket();
                self.written(&collection, request, Ok(kept.reply()));
            }
            Ok(Next::Embed(waiting)) => self.ask(waiting),
            Ok(Next::Resume(mut waiting_call, waiting, resume)) => {
                waiting_call.ticket = self.ticket.take();
                waiting_call.reservations.append(&mut self.reservations);
                let next = match self.batch.take_responder() {
                    Some(mut responder) => {
                        *responder.shape() = waiting_call.shape.clone();
                        match waiting_call.batch.attach(responder) {
                            Ok(()) => waiting_call.resume(waiting, &resume),
                            Err((error, responder)) => return responder.refuse(&error),
                        }
                    }
                    None => return,
                };
                waiting_call.go_on(next);
            }
            Ok(Next::EndStage(collection, step)) => self.end_stage(&collection, step),
            Ok(Next::Reserve(bytes, class)) => memory::reserve(self, bytes, class),
            Ok(Next::Later) => {}
            Err(error) => self.refuse(&error),
        }
    }

    /// What the call keeps from others: its memory and its idempotency key.
    pub fn take_held(&mut self) -> (Vec<Reservation>, Option<(Claim, u128)>) {
        (std::mem::take(&mut self.reservations), self.claim.take())
    }

    /// Ends the call with a reply; returns whether there was still somebody to tell.
    pub fn reply(mut self, bytes: Vec<u8>, failed: usize) -> bool {
        self.reservations.clear();
        let responder = self.batch.end(failed, None, None);
        let told = responder.is_some();
        if let Some(responder) = responder {
            responder.send(bytes);
        }
        told
    }

    /// Ends the call with an error.
    pub fn refuse(mut self, error: &Error) {
        self.reservations.clear();
        self.claim = None;
        if let Some(responder) = self.batch.end(0, None, Some(error)) {
            responder.refuse(error);
        }
    }

    fn answer(&mut self, request: Request) -> Result<Next> {
        let inner = Arc::clone(&self.inner);
        match request {
            Request::Write {
                collection,
                request,
            } => self.write(&inner.collection(&collection)?, request),
            Request::Search {
                collection,
                request,
            } => self.search(&inner.collection(&collection)?, request),
            Request::Resume(resume) => {
                let (call, waiting) = inner.unembedded.take(&resume.token)?;
                Ok(Next::Resume(Box::new(call), waiting, resume))
            }
            Request::Indexed { collection } => {
                self.indexed(&*inner.collection(&collection)?);
                Ok(Next::Later)
            }
            Request::Compact { collection } => {
                self.compact(&*inner.collection(&collection)?);
                Ok(Next::Later)
            }
            Request::EndStage {
                collection,
                stage,
                commit,
            } => {
                let collection = inner.collection(&collection)?;
                inner
                    .stages
                    .end(stage, collection.name(), &self.context.caller)?;
                let step = if commit {
                    StageStep::Commit
                } else {
                    StageStep::Drop
                };
                Ok(Next::EndStage(collection, step(stage)))
            }
            Request::ReserveMemory { bytes, deletes } => {
                let class = if deletes { Class::Delete } else { Class::Other };
                Ok(Next::Reserve(bytes, class))
            }
            request => {
                reads::answer(&inner, &self.context, request).map(|bytes| Next::Reply(bytes, 0))
            }
        }
    }

    fn search(&mut self, collection: &Arc<Collection>, mut request: SearchRequest) -> Result<Next> {
        let to_embed = batch::check_search(&mut request, &collection.config().shape());
        if !to_embed.is_empty() {
            self.grow(embedding::bytes(collection, to_embed.len()))?;
            let snapshot = collection.snapshot();
            if !embedding::queries(&snapshot, collection, &mut request, &to_embed)? {
                let waiting = Waiting::Search(Arc::clone(collection), request, to_embed);
                return Ok(Next::Embed(waiting));
            }
        }
        Ok(self.run_search(collection, &request))
    }

    fn run_search(&self, collection: &Arc<Collection>, request: &SearchRequest) -> Next {
        let snapshot = collection.snapshot();
        let (batch, format) = (&self.batch, self.shape.format);
        let (bytes, failed) = reads::search(collection, &snapshot, request, batch, format);
        Next::Reply(bytes, failed)
    }

    /// Asks the caller for embeddings; the call waits, and its place in the order goes to others.
    fn ask(mut self, waiting: Waiting) {
        self.return_ticket();
        let inner = Arc::clone(&self.inner);
        let token = inner.unembedded.token();
        let question = embedding::ask(token, &waiting);
        let batch = Arc::clone(&self.batch);
        if let Err((error, call)) = inner.unembedded.keep(token, self, waiting) {
            return call.refuse(&error);
        }
        let Some(responder) = batch.take_responder() else {
            // It was stopped just now, and nobody learns the token.
            drop(inner.unembedded.take(&token.to_string()));
            return;
        };
        batch.when_stopped_waiting(Box::new(move || inner.unembedded.release(token)));
        responder.ask(question);
    }

    fn resume(&mut self, waiting: Waiting, resume: &Resume) -> Result<Next> {
        match waiting {
            Waiting::Write(collection, mut request, mut checked) => {
                match &resume.failed {
                    Some(reason) => {
                        checked.fail_embedding(&embedding::failed(reason, resume.attempts));
                    }
                    None => {
                        let shape = collection.config().shape();
                        checked.embed(&mut request.vectors, &resume.vectors, &shape)?;
                    }
                }
                Ok(Next::Write(collection, request, checked))
            }
            Waiting::Search(collection, mut request, to_embed) => {
                embedding::resume_queries(&collection, &mut request, &to_embed, resume)?;
                Ok(self.run_search(&collection, &request))
            }
        }
    }

    fn compact(&mut self, collection: &Collection) {
        let Some(responder) = self.batch.take_responder() else {
            return;
        };
        collection.compact(Box::new(move |report| match report {
            Ok(report) => responder.reply(|out| codec::compact_reply(&report, out)),
            Err(error) => responder.refuse(&error),
        }));
    }

    fn indexed(&mut self, collection: &Collection) {
        let Some(responder) = self.batch.take_responder() else {
            return;
        };
        let told = move |reached: Result<Sequence>| match reached {
            Ok(sequence) => responder.reply(|out| codec::indexed_reply(sequence, out)),
            Err(error) => responder.refuse(&error),
        };
        collection.when_indexed(Box::new(told));
    }

    fn return_ticket(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.order.submit(ticket, None);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.return_ticket();
    }
}
