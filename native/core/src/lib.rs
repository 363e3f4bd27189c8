//! The engine of Volley, a batch-first vector store.
//!
//! Data goes one way: a request's bytes are decoded ([`codec`]), planned ([`batch`],
//! [`collection`]), written to the log ([`log`]), applied to the next snapshot, published, and
//! folded into the graph ([`index`]) by the indexer. The crate knows nothing of Node.
#![deny(unsafe_code)]

pub mod batch;
pub mod codec;
pub mod collection;
pub mod cow;
pub mod embed;
pub mod error;
pub mod filter;
pub mod index;
#[expect(
    unsafe_code,
    reason = "vector instructions, and the arena that they read"
)]
pub mod kernels;
pub mod limits;
pub mod log;
pub mod metadata;
pub mod pools;
pub mod record;
pub mod storage;
pub mod store;
