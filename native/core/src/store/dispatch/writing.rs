//! A write's way: check, embed, hand to the writer, answer at the level that is waited for.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Call, Next};
use crate::batch::{self, Checked, Counts, Level, WriteOptions, WriteReply, WriteRequest};
use crate::codec;
use crate::collection::{Collection, StageStep, Terms, WriteJob};
use crate::error::{Error, Result};
use crate::store::embedding;
use crate::store::unembedded::Waiting;

impl Call {
    pub(super) fn write(
        &mut self,
        collection: &Arc<Collection>,
        mut request: WriteRequest,
    ) -> Result<Next> {
        if let Some(stage) = request.options.stage {
            let (name, caller) = (collection.name(), &self.context.caller);
            let budget = &self.inner.budget;
            self.inner
                .stages
                .check(stage, name, caller, &request, budget)?;
            // Each operation is judged by itself, so that all failures are told; one is enough
            // for the whole stream not to commit.
            request.options.atomic = false;
        }
        if let Some(key) = &request.options.idempotency_key {
            let fingerprint = batch::fingerprint(&request);
            let (claim, kept) = collection.claim(&self.context.caller, key, fingerprint)?;
            self.claim = Some((claim, fingerprint));
            if let Some(kept) = kept {
                return Ok(Next::Replay(Arc::clone(collection), request, kept));
            }
        }
        let shape = collection.config().shape();
        let mut checked = batch::check(&request, &shape)?;
        if !checked.to_embed.is_empty() {
            self.grow(embedding::bytes(collection, checked.to_embed.len()))?;
            match embedding::documents(collection, &request, &checked) {
                Some(rows) => checked.embed(&mut request.vectors, &rows?, &shape)?,
                // A preview costs nobody anything: it is planned as if the texts were embedded.
                None if request.options.validate_only => {}
                None => {
                    let waiting = Waiting::Write(Arc::clone(collection), request, checked);
                    return Ok(Next::Embed(waiting));
                }
            }
        }
        Ok(Next::Write(Arc::clone(collection), request, checked))
    }

    /// Hands a checked batch to its collection's writer, in the order of the calls.
    pub(super) fn submit(
        mut self,
        collection: &Arc<Collection>,
        request: WriteRequest,
        checked: Checked,
    ) {
        let Some(ticket) = self.ticket.take() else {
            return self.refuse(&Error::internal(
                "a write has no place in the order of writes",
            ));
        };
        let inner = Arc::clone(&self.inner);
        let terms = Terms {
            caller: self.context.caller.clone(),
            batch_id: self.batch.batch_id.clone(),
            fingerprint: self.claim.as_ref().map(|(_, fingerprint)| *fingerprint),
            gate: Arc::clone(&self.batch.gate),
            step: request.options.stage.map(StageStep::Append),
        };
        let written_to = Arc::clone(collection);
        let on_written = move |request: WriteRequest, reply: Result<WriteReply>| {
            self.written(&written_to, request, reply);
        };
        let job = WriteJob {
            request,
            checked,
            terms,
            on_written: Box::new(on_written),
        };
        inner
            .order
            .submit(ticket, Some((Arc::clone(collection), job)));
    }

    /// Hands the end of an atomic stream to the writer, behind the stream's parts.
    pub(super) fn end_stage(mut self, collection: &Arc<Collection>, step: StageStep) {
        let Some(ticket) = self.ticket.take() else {
            return self.refuse(&Error::internal(
                "a write has no place in the order of writes",
            ));
        };
        let inner = Arc::clone(&self.inner);
        let terms = Terms {
            batch_id: self.batch.batch_id.clone(),
            gate: Arc::clone(&self.batch.gate),
            step: Some(step),
            ..Terms::default()
        };
        let on_written = move |_, reply: Result<WriteReply>| match reply {
            Ok(reply) => {
                let mut bytes = Vec::new();
                codec::stage_ended_reply(&reply, &mut bytes);
                self.reply(bytes, 0);
            }
            Err(error) => self.refuse(&error),
        };
        let job = WriteJob {
            request: WriteRequest::default(),
            checked: Checked::default(),
            terms,
            on_written: Box::new(on_written),
        };
        inner
            .order
            .submit(ticket, Some((Arc::clone(collection), job)));
    }

    /// Answers a write, at once or when its level is reached.
    pub(super) fn written(
        mut self,
        collection: &Arc<Collection>,
        request: WriteRequest,
        reply: Result<WriteReply>,
    ) {
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return self.refuse(&error),
        };
        let must_wait = must_wait(&request, &reply);
        // A replay, or a batch that met everything as asked, has committed nothing itself. What it
        // waits for stands all the same, so from here on it cannot be stopped any more either.
        if must_wait && !self.batch.gate.pass() {
            return;
        }
        self.reservations.clear();
        if let Some(stage) = request.options.stage {
            self.inner.stages.grow(stage, request.operations.len());
        }
        if !must_wait {
            return self.finish_write(request, &reply);
        }
        let (sequence, batch) = (reply.sequence, Arc::clone(&self.batch));
        let unanswered = Arc::new(Mutex::new(Some((self, request, reply))));
        let answer = move |reached: bool| {
            let taken = unanswered
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            let Some((call, request, mut reply)) = taken else {
                return;
            };
            if reached {
                reply.reached = Level::Indexed;
            }
            call.finish_write(request, &reply);
        };
        let answer_now = answer.clone();
        collection.when_batch_indexed(sequence, Box::new(answer));
        // The batch is committed: if it is stopped now, it tells how far it has come.
        batch.when_hurried(Box::new(move || answer_now(false)));
    }

    fn finish_write(mut self, mut request: WriteRequest, reply: &WriteReply) {
        // The key is free before the caller knows, who may use it again at once.
        self.claim = None;
        let failed = Counts::of(&reply.outcomes).failed;
        let WriteOptions {
            validate_only,
            stage,
            ..
        } = request.options;
        let is_seen = failed < reply.outcomes.len() && !validate_only && stage.is_none();
        let committed = is_seen.then_some(reply.sequence);
        let elapsed = self.batch.began.elapsed();
        let block = std::mem::take(&mut request.vectors.values);
        self.inner.spare_blocks.give(block);
        if let Some(responder) = self.batch.end(failed, committed, None) {
            responder.reply(|out| codec::write_reply(&request, reply, elapsed, out));
        }
    }
}

/// Whether the caller waits for the graph, and the batch is not in it yet.
fn must_wait(request: &WriteRequest, reply: &WriteReply) -> bool {
    request.options.wait_for == Level::Indexed
        && (Level::Applied..Level::Indexed).contains(&reply.reached)
        && !request.options.validate_only
        && reply.outcomes.iter().any(|outcome| outcome.error.is_none())
}
