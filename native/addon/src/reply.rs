//! The promise of one call, and what is put into it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use napi::JsDeferred;
use napi::bindgen_prelude::{Buffer, Env, Object, Result as NapiResult};
use serde_json::{Map, Value};
use volley_core::error::{Error, Result};

type Resolver = Box<dyn FnOnce(Env) -> NapiResult<Buffer> + Send>;

/// A promise that is settled exactly once, from any thread.
///
/// Dropped unsettled, it settles with `INTERNAL`: no fault of ours leaves JavaScript waiting.
/// While it is pending it keeps the event loop alive.
pub struct Reply(Option<JsDeferred<Buffer, Resolver>>);

impl Reply {
    /// A pending promise for JavaScript and the means to settle it.
    ///
    /// # Errors
    /// Where Node cannot make a promise, e.g. while the environment ends.
    pub fn new(env: &Env) -> NapiResult<(Self, Object<'_>)> {
        let (deferred, promise) = env.create_deferred()?;
        Ok((Reply(Some(deferred)), promise))
    }

    /// Settles the promise with a reply's bytes.
    pub fn send(mut self, bytes: Vec<u8>) {
        self.settle(bytes);
    }

    /// Settles the promise with `{}` or with the error.
    pub fn send_result(self, result: Result<()>) {
        self.send(match result {
            Ok(()) => b"{}".to_vec(),
            Err(error) => error_body(&error),
        });
    }

    fn settle(&mut self, bytes: Vec<u8>) {
        if let Some(deferred) = self.0.take() {
            deferred.resolve(Box::new(move |_| Ok(Buffer::from(bytes))));
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.settle(error_body(&Error::internal(
                "the call was dropped without a reply",
            )));
        }
    }
}

/// Runs one boundary's work: a panic becomes an `INTERNAL` error.
///
/// What the work leaves half done when it panics must not be used again.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panic_error(panic.as_ref())))
}

/// The reply of a refused request.
pub fn error_body(error: &Error) -> Vec<u8> {
    let mut body = Map::new();
    body.insert("error_code".to_owned(), error.code.as_str().into());
    body.insert("error_message".to_owned(), error.message.clone().into());
    body.insert("retriable".to_owned(), error.code.retriable().into());
    body.extend(error.details.clone());
    let reply: Map<String, Value> = [("error".to_owned(), Value::Object(body))]
        .into_iter()
        .collect();
    Value::Object(reply).to_string().into_bytes()
}

fn panic_error(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("unknown");
    Error::internal(format!("panic: {text}"))
}
