//! Volley's door to Node.js: bytes in, bytes out.
//!
//! JavaScript hands over a verb, a JSON header and a block of numbers, and gets a promise of
//! bytes. A refusal is a reply like any other, so the promises never reject. The engine's own
//! threads do the work and settle the promise; nothing here waits on JavaScript's thread but the
//! end of an environment, which closes the stores that it opened.
#![deny(unsafe_code)]

mod context;
mod environment;
mod native_store;
mod opened;
mod reply;

use napi_derive::napi;

pub use native_store::NativeStore;

/// The version of the engine.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}
