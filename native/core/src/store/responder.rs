//! A reply that is sent exactly once, whatever happens on the way.

use crate::codec;
use crate::error::Error;

type Reply = Box<dyn FnOnce(Vec<u8>) + Send>;

/// The way back to a caller. Where it is dropped unused, because a job panicked or a thread
/// ended, the caller is told `INTERNAL` instead of waiting for ever.
pub struct Responder(Option<Reply>);

impl Responder {
    /// Wraps the caller's call-back.
    pub fn new(reply: Reply) -> Self {
        Responder(Some(reply))
    }

    /// Sends an encoded reply.
    pub fn send(mut self, bytes: Vec<u8>) {
        if let Some(reply) = self.0.take() {
            reply(bytes);
        }
    }

    /// Sends what an encoder writes.
    pub fn reply(self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.send(encoded(encode));
    }

    /// Sends the error of a refused request.
    pub fn refuse(self, error: &Error) {
        self.reply(|out| codec::error_reply(error, out));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(reply) = self.0.take() {
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
