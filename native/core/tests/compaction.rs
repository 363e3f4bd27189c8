//! The space of dead rows comes back by itself, through the engine's door.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::sync::Arc;

use serde_json::json;
use support::{call, contents, create, info, memory, open, rows};
use volley_core::store::Store;

fn log_bytes(store: &Store) -> u64 {
    call(store, "indexed", json!({"collection": "records"}), &[]);
    info(store)["log_bytes"].as_u64().unwrap()
}

/// Writes the same records until the log has become shorter so many times.
fn replace_until_shorter(store: &Store, times: usize) {
    let (mut before, mut seen, mut most) = (0, 0, 0);
    for round in 0..20_000 {
        let header = json!({
            "collection": "records", "vectors": rows(0, 50), "on_conflict": "replace",
        });
        assert_eq!(call(store, "insert", header, &[])["inserted_count"], 50);
        let bytes = log_bytes(store);
        seen += usize::from(bytes < before);
        (before, most) = (bytes, most.max(bytes));
        if seen == times {
            return;
        }
        assert!(
            most < 100 * support::SMALL.checkpoint_bytes,
            "round {round}"
        );
    }
    panic!("the log became shorter {seen} times, {most} bytes at most");
}

#[test]
fn a_log_that_is_mostly_dead_is_rewritten_without_being_asked() {
    let storage = memory();
    let store = open(storage.clone());
    create(&store, "cosine");
    replace_until_shorter(&store, 3);
    let written = contents(&store);
    assert_eq!(written.len(), 50);
    assert_eq!(contents(&open(Arc::new(storage.crash_image(1)))), written);
    store.close().unwrap();
    assert_eq!(contents(&open(storage)), written);
}

#[test]
fn a_store_that_crashes_behind_a_compaction_opens() {
    for crash in 0..20 {
        let storage = memory();
        let store = open(storage.clone());
        create(&store, "cosine");
        for _ in 0..12 {
            let header = json!({
                "collection": "records", "vectors": rows(0, 50), "on_conflict": "replace",
            });
            call(&store, "insert", header, &[]);
        }
        let report = call(&store, "compact", json!({"collection": "records"}), &[]);
        assert!(report["bytes_after"].as_u64() < report["bytes_before"].as_u64());
        let image = Arc::new(storage.crash_image(crash));
        assert_eq!(contents(&open(image)).len(), 50, "crash {crash}");
        store.close().unwrap();
    }
}

#[test]
fn what_a_dropped_stage_took_comes_back_with_later_batches() {
    let store = open(memory());
    create(&store, "cosine");
    let stage = call(&store, "stage.begin", json!({"collection": "records"}), &[])["stage"].clone();
    for part in 0..100 {
        let header = json!({
            "collection": "records", "vectors": rows(1000 + part * 50, 50), "stage": stage,
        });
        assert_eq!(call(&store, "insert", header, &[])["inserted_count"], 50);
    }
    // Its files show with the next commit, and cannot go while it is open.
    let other = json!({"collection": "records", "vectors": rows(0, 50)});
    call(&store, "insert", other, &[]);
    let staged = log_bytes(&store);
    assert!(staged > 5000 * 4 * support::DIMENSION as u64, "{staged}");
    let end = json!({"collection": "records", "stage": stage});
    assert!(call(&store, "stage.drop", end, &[]).get("error").is_none());
    let came_back = (0..20).any(|_| {
        replace_until_shorter(&store, 1);
        log_bytes(&store) < staged / 2
    });
    assert!(came_back, "{} of {staged} bytes", log_bytes(&store));
    assert_eq!(contents(&store).len(), 50);
    store.close().unwrap();
}
