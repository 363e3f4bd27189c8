//! The one class that JavaScript sees.

use std::sync::Arc;
use std::thread;

use napi::bindgen_prelude::{Either, Env, Float32ArraySlice, Object, Result, Uint8ArraySlice};
use napi_derive::napi;
use volley_core::error;

use crate::context::CallContext;
use crate::environment;
use crate::opened::Opened;
use crate::reply::{Reply, error_body, guarded};

/// One opening of a store: bytes in, bytes out.
///
/// Each method returns a promise of a JSON reply; a refusal is `{"error": {...}}`.
#[napi]
pub struct NativeStore {
    path: String,
    options: Vec<u8>,
    opened: Arc<Opened>,
}

#[napi]
impl NativeStore {
    /// Notes what is to be opened: a directory or `:memory:`, and options as JSON.
    #[napi(constructor, catch_unwind)]
    pub fn new(path: String, options: Uint8ArraySlice) -> Self {
        NativeStore {
            path,
            options: options.to_vec(),
            opened: Arc::new(Opened::new()),
        }
    }

    /// Opens the files, on a thread of its own. Called once, before anything else.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn open<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (reply, promise) = Reply::new(env)?;
        if let Err(error) = self.opened.claim() {
            reply.send_result(Err(error));
            return Ok(promise);
        }
        environment::register(env, Arc::clone(&self.opened))?;
        let (opened, path, options) = (
            Arc::clone(&self.opened),
            self.path.clone(),
            self.options.clone(),
        );
        spawn("volley-open", reply, move || opened.open(&path, &options));
        Ok(promise)
    }

    /// Hands over one request. Body, block and context are copied before it returns; a body may
    /// come in the pieces in which it arrived.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn call<'env>(
        &self,
        env: &'env Env,
        line: String,
        format: String,
        body: Either<Uint8ArraySlice, Vec<Uint8ArraySlice>>,
        block: Option<Float32ArraySlice>,
        context: Option<CallContext>,
    ) -> Result<Object<'env>> {
        let (reply, promise) = Reply::new(env)?;
        let store = match self.opened.store() {
            Ok(store) => store,
            Err(error) => {
                reply.send(error_body(&error));
                return Ok(promise);
            }
        };
        let body = match body {
            Either::A(whole) => whole.to_vec(),
            Either::B(pieces) => whole(&pieces),
        };
        let mut numbers = Vec::new();
        if let Some(block) = block {
            numbers = store.empty_block(block.len());
            numbers.extend_from_slice(&block);
        }
        let context = context.unwrap_or_default().into_engine();
        let handed_over = guarded(move || {
            store.call(
                &line,
                &format,
                body,
                numbers,
                context,
                Box::new(move |bytes| reply.send(bytes)),
            );
            Ok(())
        });
        // Where the engine panicked, dropping its callback has answered with `INTERNAL`.
        drop(handed_over);
        Ok(promise)
    }

    /// Finishes what is running and closes the files, on a thread of its own.
    #[napi(catch_unwind, ts_return_type = "Promise<Uint8Array>")]
    pub fn close<'env>(&self, env: &'env Env) -> Result<Object<'env>> {
        let (reply, promise) = Reply::new(env)?;
        let opened = Arc::clone(&self.opened);
        spawn("volley-close", reply, move || opened.close());
        Ok(promise)
    }
}

fn whole(pieces: &[Uint8ArraySlice<'_>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        body.extend_from_slice(piece);
    }
    body
}

fn spawn(name: &str, reply: Reply, work: impl FnOnce() -> error::Result<()> + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned());
    // Where no thread can be had, dropping the reply answers with `INTERNAL`.
    let _ = thread.spawn(move || reply.send_result(guarded(work)));
}
