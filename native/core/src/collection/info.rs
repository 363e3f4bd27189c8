//! What a collection tells of itself.

use super::Collection;
use crate::codec::CollectionInfo;
use crate::kernels::Kernels;

/// Everything that `info` reports, from one snapshot.
pub fn of(collection: &Collection) -> CollectionInfo {
    let (config, shared) = (collection.config(), collection.shared());
    let waiting = shared.queue.jobs_waiting() as u64;
    let snapshot = collection.snapshot();
    let (folds, repairs, searches) = shared.costs();
    CollectionInfo {
        name: collection.name().to_owned(),
        dimension: config.dimension,
        metric: config.metric,
        embedder: config.embedder.clone(),
        hnsw: config.hnsw,
        count: snapshot.count(),
        sequence: snapshot.sequence,
        received: snapshot.sequence + waiting,
        durable: shared.durable().min(snapshot.sequence),
        indexed: snapshot.indexed(),
        tail_count: snapshot.tail.len(),
        dead_count: snapshot.dead.len(),
        log_files: snapshot.files.iter().count(),
        log_bytes: snapshot.files.bytes(),
        mapped_bytes: snapshot.files.memory().mapped,
        graph_bytes: shared.graph.bytes(),
        instruction_set: Kernels::detect().instruction_set().to_string(),
        folds,
        repairs,
        searches,
        recalls: shared.recalls.measured(),
    }
}
