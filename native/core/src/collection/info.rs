//! What a collection tells of itself.

use super::Collection;
use crate::codec::{CollectionInfo, EmbedderIdentity, Hnsw};

/// Everything that `info` reports, from one snapshot.
pub fn of(collection: &Collection) -> CollectionInfo {
    let (config, snapshot) = (collection.config(), collection.snapshot());
    CollectionInfo {
        name: collection.name().to_owned(),
        dimension: config.dimension,
        metric: config.metric,
        embedder: config.embedder.as_ref().map(|embedder| EmbedderIdentity {
            name: embedder.name.clone(),
            version: embedder.version.clone(),
        }),
        hnsw: Hnsw {
            m: config.hnsw.m,
            ef_construction: config.hnsw.ef_construction,
        },
        count: snapshot.count(),
        sequence: snapshot.sequence,
        indexed: snapshot.indexed(),
    }
}
