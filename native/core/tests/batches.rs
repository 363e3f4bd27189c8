//! What a batch promises beyond its operations: idempotency, streams that go on after a crash,
//! cancellation and deadlines, through the engine's door.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use support::{call, code, contents, create, info, memory, named, open, rows, send};
use volley_core::storage::faulty::Fault;
use volley_core::store::{CallContext, Store, StoreOptions};

fn insert(store: &Store, body: Value) -> Value {
    let mut header = json!({"collection": "records"});
    header
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    call(store, "insert", header, &[])
}

#[test]
fn a_key_makes_a_retry_harmless() {
    let store = open(memory());
    create(&store, "cosine");
    let body = json!({"vectors": rows(0, 3), "idempotency_key": "k", "outcomes": "all"});
    let first = insert(&store, body.clone());
    assert_eq!(
        (&first["replayed"], &first["inserted_count"]),
        (&json!(false), &json!(3))
    );
    let mut again = insert(&store, body);
    assert_eq!(again["replayed"], true);
    for field in ["replayed", "processing_time_ms"] {
        again[field] = first[field].clone();
    }
    assert_eq!(again, first);
    let other = insert(
        &store,
        json!({"vectors": rows(0, 2), "idempotency_key": "k"}),
    );
    assert_eq!(code(&other), "IDEMPOTENCY_MISMATCH");
    let info = info(&store);
    assert_eq!((&info["sequence"], &info["count"]), (&json!(1), &json!(3)));
}

#[test]
fn only_a_commit_uses_a_key_up() {
    let store = open(memory());
    create(&store, "cosine");
    let bad = json!({"vectors": [{"id": "a", "data": [1]}], "idempotency_key": "k"});
    assert_eq!(insert(&store, bad)["status"], "failed");
    let preview = json!({"vectors": rows(0, 1), "idempotency_key": "k", "validate_only": true});
    assert_eq!(insert(&store, preview)["status"], "success");
    let good = json!({"vectors": rows(0, 1), "idempotency_key": "k"});
    assert_eq!(insert(&store, good)["replayed"], false);
}

#[test]
fn a_partial_batch_is_replayed_with_its_errors() {
    let store = open(memory());
    create(&store, "cosine");
    let mut vectors = rows(0, 4);
    vectors[1]["data"] = json!([1.0]);
    vectors[3]["id"] = json!("record-0");
    let body = json!({
        "vectors": vectors, "idempotency_key": "k", "atomic": false, "outcomes": "all",
    });
    let first = insert(&store, body.clone());
    assert_eq!(first["failed_count"], 2);
    let again = insert(&store, body);
    assert_eq!(
        (&again["errors"], &again["outcomes"]),
        (&first["errors"], &first["outcomes"])
    );
    assert_eq!(again["replayed"], true);
}

#[test]
fn keys_are_each_callers_own() {
    let store = open(memory());
    create(&store, "cosine");
    let with = |caller: &str, vectors: Value| {
        let header = json!({
            "collection": "records", "vectors": vectors, "idempotency_key": "k",
        });
        let context = CallContext {
            caller: caller.to_owned(),
            ..CallContext::default()
        };
        send(&store, "insert", &header, context).recv().unwrap()
    };
    assert_eq!(with("ann", rows(0, 1))["replayed"], false);
    assert_eq!(with("bob", rows(1, 1))["replayed"], false);
    assert_eq!(with("ann", rows(0, 1))["replayed"], true);
}

#[test]
fn keys_survive_a_crash_a_checkpoint_and_the_end_of_their_log_file() {
    let storage = memory();
    let body = json!({"vectors": rows(0, 2), "idempotency_key": "k"});
    {
        let store = open(storage.clone());
        create(&store, "cosine");
        insert(&store, body.clone());
        let image = Arc::new(storage.crash_image(3));
        let crashed = open(image);
        assert_eq!(insert(&crashed, body.clone())["replayed"], true);
        store.close().unwrap();
    }
    // The close has written a checkpoint, so nothing is replayed from the log any more.
    for _ in 0..2 {
        let store = open(storage.clone());
        assert_eq!(insert(&store, body.clone())["replayed"], true);
        for n in 0..40 {
            let vectors = json!({"vectors": rows(10, 30), "on_conflict": "replace"});
            assert_eq!(insert(&store, vectors)["inserted_count"], 30, "{n}");
        }
        call(&store, "compact", json!({"collection": "records"}), &[]);
        store.close().unwrap();
    }
}

#[test]
fn a_key_whose_request_runs_is_in_flight() {
    let store = open(memory());
    external(&store);
    let body = json!({
        "collection": "records", "vectors": [{"id": "a", "text": "t"}], "idempotency_key": "k",
    });
    let question = call(&store, "insert", body.clone(), &[]);
    let again = call(&store, "insert", body.clone(), &[]);
    assert_eq!(
        (code(&again), &again["error"]["retriable"]),
        ("IDEMPOTENCY_IN_FLIGHT", &json!(true))
    );
    let token = json!({"token": question["embed"]["token"]});
    assert_eq!(call(&store, "resume", token, &[1.0; 24])["replayed"], false);
    // The replay embeds nothing.
    assert_eq!(call(&store, "insert", body, &[])["replayed"], true);
}

#[test]
fn one_more_request_than_may_wait_for_embeddings_is_refused_and_no_other_is_lost() {
    const WAITING_MAX: usize = 256;
    let store = open(memory());
    external(&store);
    let ask = |number: usize| {
        let vectors = json!([{"id": number.to_string(), "text": "t"}]);
        let header = json!({"collection": "records", "vectors": vectors});
        let reply = send(&store, "insert", &header, named(&number.to_string()));
        reply.recv().unwrap()
    };
    let questions: Vec<Value> = (0..WAITING_MAX).map(ask).collect();
    let refused = ask(WAITING_MAX);
    let error = &refused["error"];
    assert_eq!(
        [&error["error_code"], &error["retriable"], &error["budget"]],
        [&json!("OVERLOADED"), &json!(true), &json!("embeddings")]
    );
    assert_eq!(
        (&error["limit"], &error["used"]),
        (&json!(WAITING_MAX), &json!(WAITING_MAX))
    );
    assert!(error["retry_after_ms"].as_u64() >= Some(1));
    let resume = |question: &Value| {
        let token = json!({"token": question["embed"]["token"]});
        call(&store, "resume", token, &[1.0; 24])
    };
    assert_eq!(resume(&questions[0])["inserted_count"], 1);
    let next = ask(WAITING_MAX + 1);
    assert_eq!(resume(&next)["inserted_count"], 1);
    // One that was stopped makes way.
    assert!(ask(WAITING_MAX + 2)["embed"].is_object());
    call(&store, "batches.cancel", json!({"batch_id": "7"}), &[]);
    assert!(ask(WAITING_MAX + 3)["embed"].is_object());
    for question in questions
        .iter()
        .skip(1)
        .filter(|&other| *other != questions[7])
    {
        assert_eq!(resume(question)["inserted_count"], 1);
    }
}

#[test]
fn a_reply_says_no_more_than_has_happened() {
    let store = open(memory());
    create(&store, "cosine");
    let reached = |body: Value| insert(&store, body)["reached"].clone();
    let bad = json!([{"id": "a", "data": [1]}]);
    assert_eq!(reached(json!({"vectors": bad})), "received");
    let alone = json!({"vectors": bad, "atomic": false});
    assert_eq!(reached(alone), "received");
    let preview = json!({"vectors": rows(0, 1), "validate_only": true});
    assert_eq!(reached(preview), "received");
    assert_eq!(reached(json!({"vectors": rows(0, 1)})), "applied");
    // The record that is skipped is there.
    let skipped = json!({"vectors": rows(0, 1), "on_conflict": "skip"});
    assert_eq!(reached(skipped), "applied");
}

fn external(store: &Store) {
    let header = json!({
        "name": "records", "dimension": 24, "embedder": {"name": "outside", "version": "1"},
    });
    assert_eq!(
        call(store, "collections.create", header, &[]).get("error"),
        None
    );
}

#[test]
fn a_stream_goes_on_where_it_was_durable() {
    let storage = memory();
    let store = open(storage.clone());
    create(&store, "cosine");
    let chunk = |store: &Store, from: usize, count: usize| {
        let body = json!({
            "vectors": rows(from, count), "stream_id": "s", "offset": from, "atomic": false,
            "on_conflict": "skip",
        });
        insert(store, body)
    };
    let offset = |store: &Store| {
        let header = json!({"collection": "records", "stream_id": "s"});
        call(store, "stream.offset", header, &[])["offset"].clone()
    };
    assert_eq!(offset(&store), 0);
    assert_eq!(chunk(&store, 0, 3)["status"], "success");
    assert_eq!(chunk(&store, 3, 2)["status"], "success");
    let gap = chunk(&store, 6, 1);
    assert_eq!(
        (code(&gap), &gap["error"]["expected"]),
        ("CONDITION_FAILED", &json!(5))
    );
    assert_eq!(code(&chunk(&store, 3, 2)), "CONDITION_FAILED");
    let crashed = open(Arc::new(storage.crash_image(1)));
    assert_eq!(offset(&crashed), 5);
    assert_eq!(chunk(&crashed, 5, 1)["status"], "success");
    // A chunk that changes nothing moves the offset as well.
    let nothing =
        json!({"vectors": rows(0, 2), "stream_id": "s", "offset": 6, "on_conflict": "skip"});
    assert_eq!(insert(&crashed, nothing)["skipped_count"], 2);
    assert_eq!(offset(&crashed), 8);
    crashed.close().unwrap();
}

#[test]
fn a_batch_that_was_cancelled_in_time_leaves_nothing() {
    let store = open(memory());
    external(&store);
    let header = json!({"collection": "records", "vectors": [{"id": "a", "text": "t"}]});
    let question = send(&store, "insert", &header, named("mine"))
        .recv()
        .unwrap();
    let told = call(&store, "batches.get", json!({"batch_id": "mine"}), &[]);
    assert_eq!(
        (&told["status"], &told["received"]),
        (&json!("running"), &json!(1))
    );
    let cancelled = call(&store, "batches.cancel", json!({"batch_id": "mine"}), &[]);
    assert_eq!(
        (&cancelled["status"], &cancelled["applied"]),
        (&json!("cancelled"), &json!(0))
    );
    let token = json!({"token": question["embed"]["token"]});
    assert_eq!(
        code(&call(&store, "resume", token, &[1.0; 24])),
        "CANCELLED"
    );
    assert!(contents(&store).is_empty());
    let told = call(&store, "batches.get", json!({"batch_id": "mine"}), &[]);
    assert_eq!(told["error_code"], "CANCELLED");
    assert_eq!(
        code(&call(
            &store,
            "batches.get",
            json!({"batch_id": "other"}),
            &[]
        )),
        "NOT_FOUND"
    );
}

#[test]
fn a_batch_that_was_refused_at_once_is_told_of() {
    let store = open(memory());
    create(&store, "cosine");
    let refused = [
        ("gone", json!({"collection": "gone", "vectors": rows(0, 1)})),
        ("field", json!({"collection": "records", "vektors": []})),
        (
            "large",
            json!({"collection": "records", "vectors": rows(0, 3), "batch_size_limit": 2}),
        ),
    ];
    for (name, header) in refused {
        let reply = send(&store, "insert", &header, named(name)).recv().unwrap();
        let told = call(&store, "batches.get", json!({"batch_id": name}), &[]);
        assert_eq!(told["status"], "failed", "{told}");
        assert_eq!(told["error_code"], reply["error"]["error_code"], "{told}");
        assert_eq!(told["error_message"], reply["error"]["error_message"]);
        assert_eq!(told["applied"], 0);
    }
    // Calls that are no batches leave no trace.
    let read = send(&store, "limits", &json!({}), named("read"));
    assert!(read.recv().unwrap().get("error").is_none());
    let told = call(&store, "batches.get", json!({"batch_id": "read"}), &[]);
    assert_eq!(code(&told), "NOT_FOUND");
}

#[test]
fn a_name_is_free_once_its_batch_is_answered() {
    let store = open(memory());
    create(&store, "cosine");
    let header = json!({"collection": "records", "vectors": rows(0, 1), "on_conflict": "replace"});
    for round in 0..500 {
        let reply = send(&store, "insert", &header, named("again"));
        let reply = reply.recv().unwrap();
        assert_eq!(reply["status"], "success", "round {round}: {reply}");
    }
}

#[test]
fn a_preview_is_told_of_as_applied_to_nothing() {
    let store = open(memory());
    create(&store, "cosine");
    let header = json!({"collection": "records", "vectors": rows(0, 2), "validate_only": true});
    let reply = send(&store, "insert", &header, named("preview"));
    assert_eq!(reply.recv().unwrap()["inserted_count"], 2);
    let told = call(&store, "batches.get", json!({"batch_id": "preview"}), &[]);
    assert_eq!(
        [&told["received"], &told["applied"], &told["durable"]],
        [&json!(2), &json!(0), &json!(0)]
    );
    assert_eq!(
        (&told["status"], &told["sequence"]),
        (&json!("success"), &Value::Null)
    );
}

#[test]
fn a_batch_is_cancelled_although_it_keeps_every_thread_busy() {
    let options = StoreOptions {
        threads: Some(1),
        ..StoreOptions::default()
    };
    let store = Store::over(memory(), options, support::SMALL).unwrap();
    create(&store, "cosine");
    insert(&store, json!({"vectors": rows(0, 2000)}));
    let query = json!({"query_vector": vec![1.0; 24], "filters": {"absent": {"$ne": 1}}});
    let header = json!({"collection": "records", "queries": vec![query; 5000], "ef_search": 4096});
    let search = send(&store, "search", &header, named("long"));
    let reply = call(&store, "batches.cancel", json!({"batch_id": "long"}), &[]);
    assert_eq!(reply["status"], "cancelled", "{reply}");
    assert_eq!(code(&search.recv().unwrap()), "CANCELLED");
}

#[test]
fn a_batch_that_has_committed_cannot_be_cancelled() {
    let store = open(memory());
    create(&store, "cosine");
    let header = json!({"collection": "records", "vectors": rows(0, 2)});
    let reply = send(&store, "insert", &header, named("mine"))
        .recv()
        .unwrap();
    assert_eq!(reply["batch_id"], "mine");
    let told = call(&store, "batches.cancel", json!({"batch_id": "mine"}), &[]);
    assert_eq!(
        (&told["status"], &told["applied"]),
        (&json!("success"), &json!(2))
    );
    assert_eq!(contents(&store).len(), 2);
}

#[test]
fn a_deadline_that_passes_before_the_commit_ends_the_batch() {
    let store = open(memory());
    external(&store);
    let header = json!({"collection": "records", "vectors": [{"id": "a", "text": "t"}]});
    let context = CallContext {
        deadline: Some(Duration::from_millis(1)),
        ..named("late")
    };
    let first = send(&store, "insert", &header, context).recv().unwrap();
    // It may be too late for the question already; for the answer it is.
    if let Some(token) = first["embed"]["token"].as_str() {
        let ended = || {
            let told = call(&store, "batches.get", json!({"batch_id": "late"}), &[]);
            told["status"] != "running"
        };
        while !ended() {
            std::thread::yield_now();
        }
        let reply = call(&store, "resume", json!({"token": token}), &[1.0; 24]);
        assert_eq!(code(&reply), "DEADLINE_EXCEEDED");
    } else {
        assert_eq!(code(&first), "DEADLINE_EXCEEDED");
    }
    assert!(contents(&store).is_empty());
}

#[test]
fn the_doors_limit_binds_and_the_stores_default_counts() {
    let options = StoreOptions::parse(br#"{"batch_operations": {"atomic_by_default": false}}"#);
    let store = Store::over(memory(), options.unwrap(), support::SMALL).unwrap();
    create(&store, "cosine");
    let context = CallContext {
        max_batch_size: Some(2),
        ..CallContext::default()
    };
    let header = json!({"collection": "records", "vectors": rows(0, 3)});
    let reply = send(&store, "insert", &header, context).recv().unwrap();
    assert_eq!(
        (code(&reply), &reply["error"]["limit"]),
        ("BATCH_TOO_LARGE", &json!(2))
    );
    let mut vectors = rows(0, 2);
    vectors[1]["data"] = json!([1.0]);
    assert_eq!(
        insert(&store, json!({"vectors": vectors}))["status"],
        "partial"
    );
}

#[test]
fn a_fault_at_every_call_leaves_a_keyed_batch_whole_or_absent() {
    fail_at_every_call(10);
}

/// Large ones are synced while they are applied.
#[test]
fn a_fault_at_every_call_leaves_a_large_keyed_batch_whole_or_absent() {
    fail_at_every_call(150);
}

fn fail_at_every_call(size: usize) {
    let scenario = |store: &Store| {
        let mut acknowledged = 0;
        for n in 0..6 {
            let key = format!("key-{n}");
            let body = json!({
                "vectors": rows(n * size, size), "idempotency_key": key, "stream_id": "s",
                "offset": n * size,
            });
            if insert(store, body).get("error").is_some() {
                break;
            }
            acknowledged = n + 1;
        }
        acknowledged
    };
    let calls = {
        let storage = memory();
        let store = open(storage.clone());
        create(&store, "cosine");
        scenario(&store);
        store.close().unwrap();
        storage.calls()
    };
    for number in 1..=calls {
        let storage = memory();
        storage.fail_call(number, Fault::Error);
        let Ok(store) = Store::over(storage.clone(), StoreOptions::default(), support::SMALL)
        else {
            continue;
        };
        let header = json!({"name": "records", "dimension": 24});
        call(&store, "collections.create", header, &[]);
        let acknowledged = scenario(&store);
        let _ = store.close();
        storage.heal();
        let store = open(storage);
        let found = call(
            &store,
            "stream.offset",
            json!({"collection": "records", "stream_id": "s"}),
            &[],
        );
        let Some(offset) = found["offset"].as_u64() else {
            assert_eq!(acknowledged, 0, "at call {number}: {found}");
            continue;
        };
        assert!(offset as usize >= acknowledged * size, "at call {number}");
        assert_eq!(contents(&store).len(), offset as usize, "at call {number}");
        // Every batch is done again: those that are there are replayed, the others done.
        for n in 0..6usize {
            let body = json!({
                "vectors": rows(n * size, size), "idempotency_key": format!("key-{n}"),
                "stream_id": "s", "offset": n * size,
            });
            let reply = insert(&store, body);
            let known = n * size < offset as usize;
            assert_eq!(
                reply["replayed"], known,
                "at call {number}, batch {n}: {reply}"
            );
        }
        assert_eq!(contents(&store).len(), 6 * size, "at call {number}");
    }
}
