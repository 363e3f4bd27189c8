//! A reply that is sent exactly once, whatever happens on the way.

use crate::codec::{self, Format};
use crate::error::Error;

type Reply = Box<dyn FnOnce(Vec<u8>) + Send>;

/// How a call's reply is written: its format, and the verb that says which message it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shape {
    /// The verb of the call.
    pub verb: String,
    /// The format of its body.
    pub format: Format,
}

/// The way back to a caller. Where it is dropped unused, because a job panicked or a thread
/// ended, the caller is told `INTERNAL` instead of waiting for ever.
pub struct Responder {
    reply: Option<Reply>,
    shape: Shape,
}

impl Responder {
    /// Wraps the caller's call-back; replies are JSON until [`Responder::shape`] says otherwise.
    pub fn new(reply: Reply) -> Self {
        Responder {
            reply: Some(reply),
            shape: Shape::default(),
        }
    }

    /// How the reply is written.
    pub fn shape(&mut self) -> &mut Shape {
        &mut self.shape
    }

    /// Sends a reply that is encoded as JSON.
    pub fn send(self, json: Vec<u8>) {
        let Shape { verb, format } = &self.shape;
        match format.reply(verb, json) {
            Ok(bytes) => self.deliver(bytes),
            Err(error) => self.refuse(&error),
        }
    }

    /// Asks the caller for embeddings, in JSON whatever the reply will be.
    pub fn ask(self, json: Vec<u8>) {
        self.deliver(json);
    }

    fn deliver(mut self, bytes: Vec<u8>) {
        if let Some(reply) = self.reply.take() {
            reply(bytes);
        }
    }

    /// Sends what an encoder writes.
    pub fn reply(self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.send(encoded(encode));
    }

    /// Sends the error of a refused request, in JSON whatever the reply would have been.
    pub fn refuse(self, error: &Error) {
        self.deliver(encoded(|out| codec::error_reply(error, out)));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            let error = Error::internal("the request ended by a fault of the engine");
            reply(encoded(|out| codec::error_reply(&error, out)));
        }
    }
}

/// The bytes that an encoder writes.
pub fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}
