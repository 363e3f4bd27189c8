//! One request's way through the engine: decode, do, encode.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::order::Ticket;
use super::responder::{Responder, Shape};
use super::running::Guard;
use super::unembedded::Waiting;
use super::{Inner, embedding, reads};
use crate::batch::{self, Checked, SearchRequest, WriteReply, WriteRequest};
use crate::codec::{self, Format, Request, Resume};
use crate::collection::{Collection, WriteJob};
use crate::error::{Error, ErrorCode, Result};

/// One request on its way.
pub struct Call {
    inner: Arc<Inner>,
    responder: Option<Responder>,
    /// Set for verbs that may write.
    ticket: Option<Ticket>,
    began: Instant,
    _running: Guard,
}

/// Takes a request over from the caller's thread.
pub fn call(
    inner: &Arc<Inner>,
    line: &str,
    format: &str,
    body: Vec<u8>,
    block: Vec<f32>,
    mut responder: Responder,
) {
    let verb = codec::verb(line);
    let writes = matches!(verb, "insert" | "update" | "delete" | "write" | "resume");
    *responder.shape() = Shape {
        verb: verb.to_owned(),
        format: Format::parse(format).unwrap_or_default(),
    };
    let mut call = Call {
        inner: Arc::clone(inner),
        responder: Some(responder),
        ticket: writes.then(|| inner.order.ticket()),
        began: Instant::now(),
        _running: inner.running.begin(),
    };
    let (line, format) = (line.to_owned(), format.to_owned());
    inner.pools.foreground().spawn(move || {
        // A panic unwinds through the call, whose drop answers the caller and returns the
        // ticket; nothing else is held here.
        let _ = catch_unwind(AssertUnwindSafe(move || {
            let result =
                codec::decode(&line, &format, &body, block).and_then(|request| call.run(request));
            call.finish(result);
        }));
    });
}

impl Call {
    /// Does a request; `None` = the reply comes later, from the writer.
    fn run(&mut self, request: Request) -> Result<Option<Vec<u8>>> {
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
            Request::Resume(resume) => self.resume(&resume),
            Request::Indexed { collection } => {
                self.indexed(&*inner.collection(&collection)?);
                Ok(None)
            }
            Request::Compact { collection } => {
                self.compact(&*inner.collection(&collection)?);
                Ok(None)
            }
            request => reads::answer(&inner, request).map(Some),
        }
    }

    fn finish(&mut self, result: Result<Option<Vec<u8>>>) {
        let reply = match result {
            Ok(None) => return,
            reply => reply,
        };
        let Some(responder) = self.responder.take() else {
            return;
        };
        match reply {
            Ok(bytes) => responder.send(bytes.unwrap_or_default()),
            Err(error) => responder.refuse(&error),
        }
    }

    fn write(
        &mut self,
        collection: &Arc<Collection>,
        mut request: WriteRequest,
    ) -> Result<Option<Vec<u8>>> {
        if request.options.idempotency_key.is_some() {
            let message = "idempotency_key is not offered yet";
            return Err(
                Error::new(ErrorCode::Unsupported, message).with("field", "idempotency_key")
            );
        }
        let shape = collection.config().shape();
        let mut checked = batch::check(&request, &shape)?;
        if !checked.to_embed.is_empty() {
            let Some(rows) = embedding::documents(collection, &request, &checked) else {
                let waiting = Waiting::Write(Arc::clone(collection), request, checked);
                self.ask(waiting);
                return Ok(None);
            };
            checked.embed(&mut request.vectors, &rows?, &shape)?;
        }
        self.submit(collection, request, checked);
        Ok(None)
    }

    /// Hands a checked batch to its collection's writer, in the order of the calls.
    fn submit(&mut self, collection: &Arc<Collection>, request: WriteRequest, checked: Checked) {
        let (responder, began) = (self.responder.take(), self.began);
        let on_written = move |request: WriteRequest, reply: Result<WriteReply>| {
            let Some(responder) = responder else { return };
            match reply {
                Ok(reply) => {
                    responder
                        .reply(|out| codec::write_reply(&request, &reply, began.elapsed(), out));
                }
                Err(error) => responder.refuse(&error),
            }
        };
        let job = WriteJob {
            request,
            checked,
            on_written: Box::new(on_written),
        };
        if let Some(ticket) = self.ticket.take() {
            self.inner
                .order
                .submit(ticket, Some((Arc::clone(collection), job)));
        }
    }

    fn search(
        &mut self,
        collection: &Arc<Collection>,
        mut request: SearchRequest,
    ) -> Result<Option<Vec<u8>>> {
        let to_embed = batch::check_search(&mut request, &collection.config().shape())?;
        let snapshot = collection.snapshot();
        if !to_embed.is_empty()
            && !embedding::queries(&snapshot, collection, &mut request, &to_embed)?
        {
            let waiting = Waiting::Search(Arc::clone(collection), request, to_embed);
            self.ask(waiting);
            return Ok(None);
        }
        reads::search(collection, &snapshot, &request, self.began).map(Some)
    }

    /// Asks the caller for the embeddings that a request waits for.
    fn ask(&mut self, waiting: Waiting) {
        let Some(mut responder) = self.responder.take() else {
            return;
        };
        let shape = responder.shape().clone();
        let ask = self.inner.unembedded.keep(waiting, shape, embedding::ask);
        responder.ask(ask);
    }

    fn resume(&mut self, resume: &Resume) -> Result<Option<Vec<u8>>> {
        let (waiting, shape) = self.inner.unembedded.take(&resume.token)?;
        if let Some(responder) = &mut self.responder {
            *responder.shape() = shape;
        }
        match waiting {
            Waiting::Write(collection, mut request, mut checked) => {
                match &resume.failed {
                    Some(reason) => checked.fail_embedding(&embedding::failed(reason)),
                    None => {
                        let shape = collection.config().shape();
                        checked.embed(&mut request.vectors, &resume.vectors, &shape)?;
                    }
                }
                self.submit(&collection, request, checked);
                Ok(None)
            }
            Waiting::Search(collection, mut request, to_embed) => {
                embedding::resume_queries(&collection, &mut request, &to_embed, resume)?;
                reads::search(&collection, &collection.snapshot(), &request, self.began).map(Some)
            }
        }
    }

    fn compact(&mut self, collection: &Collection) {
        let Some(responder) = self.responder.take() else {
            return;
        };
        collection.compact(Box::new(move |report| match report {
            Ok(report) => responder.reply(|out| codec::compact_reply(&report, out)),
            Err(error) => responder.refuse(&error),
        }));
    }

    fn indexed(&mut self, collection: &Collection) {
        let Some(responder) = self.responder.take() else {
            return;
        };
        collection.when_indexed(Box::new(move |reached| match reached {
            Ok(sequence) => responder.reply(|out| codec::indexed_reply(sequence, out)),
            Err(error) => responder.refuse(&error),
        }));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.inner.order.submit(ticket, None);
        }
    }
}
