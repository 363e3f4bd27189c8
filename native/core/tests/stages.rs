//! Atomic streams through the engine's door: unseen until their one commit, gone without it.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{
    Model, Random, apply, call, code, contents, create, info, memory, open, operation, rows,
};
use volley_core::storage::faulty::Fault;
use volley_core::store::{Store, StoreOptions};

fn begin(store: &Store) -> u64 {
    let reply = call(store, "stage.begin", json!({"collection": "records"}), &[]);
    reply["stage"].as_u64().unwrap_or(0)
}

fn end(store: &Store, verb: &str, stage: u64) -> Value {
    call(
        store,
        verb,
        json!({"collection": "records", "stage": stage}),
        &[],
    )
}

fn insert(store: &Store, stage: u64, vectors: Value) -> Value {
    let header = json!({"collection": "records", "vectors": vectors, "stage": stage});
    call(store, "insert", header, &[])
}

#[test]
fn parts_are_unseen_until_they_commit() {
    let storage = memory();
    let store = open(storage.clone());
    create(&store, "cosine");
    let stage = begin(&store);
    for part in 0..5 {
        let reply = insert(&store, stage, rows(part * 50, 50));
        assert_eq!(
            (&reply["inserted_count"], &reply["reached"]),
            (&json!(50), &json!("received"))
        );
        assert!(contents(&store).is_empty());
    }
    let other = json!({"collection": "records", "vectors": rows(1000, 3)});
    assert_eq!(call(&store, "insert", other, &[])["sequence"], 1);
    assert_eq!(contents(&store).len(), 3);
    assert_eq!(end(&store, "stage.commit", stage)["sequence"], 2);
    assert_eq!(contents(&store).len(), 253);
    assert_eq!(code(&end(&store, "stage.commit", stage)), "NOT_FOUND");
    let reopened = open(Arc::new(storage.crash_image(5)));
    assert_eq!(contents(&reopened), contents(&store));
    store.close().unwrap();
    assert_eq!(contents(&open(storage)).len(), 253);
}

#[test]
fn a_stream_without_its_commit_leaves_nothing_and_its_space_comes_back() {
    for crash in [false, true] {
        let storage = memory();
        let store = open(storage.clone());
        create(&store, "cosine");
        let stage = begin(&store);
        for part in 0..40 {
            insert(&store, stage, rows(part * 50, 50));
        }
        // The next batch stands behind the staged rows in the log.
        let other = json!({"collection": "records", "vectors": rows(5000, 3)});
        call(&store, "insert", other, &[]);
        let store = if crash {
            open(Arc::new(storage.crash_image(2)))
        } else {
            end(&store, "stage.drop", stage);
            store
        };
        assert_eq!(contents(&store).len(), 3);
        for _ in 0..2 {
            let more = json!({
                "collection": "records", "vectors": rows(6000, 100), "on_conflict": "replace",
            });
            call(&store, "insert", more, &[]);
            call(&store, "compact", json!({"collection": "records"}), &[]);
        }
        let info = info(&store);
        assert!(
            info["log_bytes"].as_u64() < Some(100_000),
            "crash {crash}: {info}"
        );
        assert_eq!(contents(&store).len(), 103);
        store.close().unwrap();
    }
}

#[test]
fn compaction_leaves_the_rows_of_open_stages_alone() {
    let storage = memory();
    let store = open(storage.clone());
    create(&store, "cosine");
    let stage = begin(&store);
    for part in 0..40 {
        insert(&store, stage, rows(part * 50, 50));
        if part % 10 == 5 {
            let other = json!({
                "collection": "records", "vectors": rows(5000, 50), "on_conflict": "replace",
            });
            call(&store, "insert", other, &[]);
            call(&store, "compact", json!({"collection": "records"}), &[]);
        }
    }
    assert!(end(&store, "stage.commit", stage)["sequence"].is_u64());
    assert_eq!(contents(&store).len(), 2050);
    store.close().unwrap();
    assert_eq!(contents(&open(storage)).len(), 2050);
}

#[test]
fn one_failure_anywhere_fails_the_stream_and_all_are_told() {
    let store = open(memory());
    create(&store, "cosine");
    let stage = begin(&store);
    insert(&store, stage, rows(0, 10));
    let again = insert(&store, stage, rows(9, 2));
    assert_eq!(again["failed_count"], 1);
    assert_eq!(again["errors"][0]["error_code"], "DUPLICATE_ID");
    assert_eq!(insert(&store, stage, rows(20, 2))["failed_count"], 0);
    assert_eq!(code(&end(&store, "stage.commit", stage)), "BATCH_ABORTED");
    assert!(contents(&store).is_empty());
}

#[test]
fn a_write_from_outside_meets_the_commit() {
    let store = open(memory());
    create(&store, "cosine");
    let write = |operations: Value| {
        let header = json!({"collection": "records", "operations": operations});
        call(&store, "write", header, &[])["sequence"]
            .as_u64()
            .unwrap()
    };
    let data = vec![1.0; 24];
    write(json!([{"op": "insert", "id": "a", "data": data}]));
    let staged = |operation: Value| {
        let stage = begin(&store);
        let header = json!({"collection": "records", "operations": [operation], "stage": stage});
        assert_eq!(call(&store, "write", header, &[])["failed_count"], 0);
        stage
    };
    let stages = [
        staged(json!({"op": "update", "id": "a", "metadata": {"x": 1}})),
        staged(json!({"op": "insert", "id": "b", "data": data})),
        staged(json!({"op": "delete", "id": "c", "missing": "ignore"})),
        staged(json!({"op": "insert", "id": "a", "data": data, "on_conflict": "skip"})),
    ];
    write(json!([
        {"op": "delete", "id": "a"}, {"op": "insert", "id": "a", "data": data},
        {"op": "insert", "id": "b", "data": data}, {"op": "insert", "id": "c", "data": data},
    ]));
    for (index, stage) in stages.into_iter().enumerate() {
        let reply = end(&store, "stage.commit", stage);
        assert_eq!(code(&reply), "CONDITION_FAILED", "stage {index}");
    }
    let stage = staged(json!({"op": "update", "id": "a", "metadata": {"x": 2}}));
    write(json!([{"op": "insert", "id": "d", "data": data}]));
    assert!(end(&store, "stage.commit", stage)["sequence"].is_u64());
    assert_eq!(contents(&store)["a"].metadata["x"], 2);
}

#[test]
fn options_that_a_part_cannot_have_are_refused() {
    let store = open(memory());
    create(&store, "cosine");
    let stage = begin(&store);
    for (option, value, expected) in [
        ("validate_only", json!(true), "INVALID_ARGUMENT"),
        ("idempotency_key", json!("k"), "INVALID_ARGUMENT"),
        ("duplicates", json!("last_wins"), "UNSUPPORTED"),
        ("stage", json!(99), "NOT_FOUND"),
    ] {
        let mut header = json!({"collection": "records", "vectors": rows(0, 1), "stage": stage});
        header[option] = value;
        assert_eq!(
            code(&call(&store, "insert", header, &[])),
            expected,
            "{option}"
        );
    }
    let grouped = json!([{"id": "a", "data": vec![1.0; 24], "group": "g"}]);
    assert_eq!(code(&insert(&store, stage, grouped)), "INVALID_ARGUMENT");
    end(&store, "stage.drop", stage);
}

/// A stream in parts does what one batch of the same operations does.
#[test]
fn a_stream_in_parts_equals_one_batch() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let store = open(memory());
        create(&store, "cosine");
        let mut model = Model::new();
        for _ in 0..40 {
            let one = operation(&mut random, 30);
            let header = json!({"collection": "records", "operations": [one], "atomic": false});
            call(&store, "write", header, &[]);
            let _ = apply(&mut model, &one);
        }
        let stage = begin(&store);
        let mut staged = model.clone();
        let mut failed = 0;
        for _ in 0..6 {
            let operations: Vec<Value> = (0..1 + random.below(12))
                .map(|_| operation(&mut random, 30))
                .filter(|one| seed % 2 == 0 || apply(&mut staged.clone(), one).is_ok())
                .collect();
            let expected: Vec<_> = operations
                .iter()
                .map(|one| apply(&mut staged, one))
                .collect();
            let header = json!({
                "collection": "records", "operations": operations, "stage": stage,
                "outcomes": "all",
            });
            let reply = call(&store, "write", header, &[]);
            for (index, expected) in expected.iter().enumerate() {
                let outcome = &reply["outcomes"][index];
                match expected {
                    Ok(status) => assert_eq!(outcome["status"], *status, "seed {seed}: {outcome}"),
                    Err(code) => assert_eq!(outcome["error_code"], *code, "seed {seed}: {outcome}"),
                }
                failed += usize::from(expected.is_err());
            }
        }
        let reply = end(&store, "stage.commit", stage);
        if failed == 0 {
            assert!(reply["sequence"].is_u64(), "seed {seed}: {reply}");
            assert_eq!(contents(&store), staged, "seed {seed}");
        } else {
            assert_eq!(code(&reply), "BATCH_ABORTED", "seed {seed}");
            assert_eq!(contents(&store), model, "seed {seed}");
        }
    }
}

#[test]
fn a_fault_at_every_call_leaves_all_of_the_stream_or_nothing() {
    let scenario = |store: &Store| {
        let stage = begin(store);
        for part in 0..12 {
            insert(store, stage, rows(part * 40, 40));
            if part == 6 {
                let other = json!({"collection": "records", "vectors": rows(9000, 5)});
                call(store, "insert", other, &[]);
            }
        }
        end(store, "stage.commit", stage)["sequence"].is_u64()
    };
    let faults: [fn(u64) -> Fault; 3] = [
        |_| Fault::Error,
        |number| Fault::ShortAppend(number as usize * 37 % 900),
        |_| Fault::LostReply,
    ];
    let calls = {
        let storage = memory();
        let store = open(storage.clone());
        create(&store, "cosine");
        assert!(scenario(&store));
        store.close().unwrap();
        storage.calls()
    };
    for fault in faults {
        for number in 1..=calls {
            let storage = memory();
            storage.fail_call(number, fault(number));
            let Ok(store) = Store::over(storage.clone(), StoreOptions::default(), support::SMALL)
            else {
                continue;
            };
            let header = json!({"name": "records", "dimension": 24});
            call(&store, "collections.create", header, &[]);
            let committed = scenario(&store);
            let _ = store.close();
            storage.heal();
            let store = open(storage);
            if call(&store, "collections.list", json!({}), &[])["collections"] == json!([]) {
                assert!(!committed, "call {number}");
                continue;
            }
            let count = contents(&store)
                .keys()
                .filter(|id| !id.starts_with("record-900"))
                .count();
            assert!(
                count == 480 || (count == 0 && !committed),
                "call {number}: {count}"
            );
        }
    }
}
