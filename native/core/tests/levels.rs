//! How far a write has come when its caller is answered. The one test of it reads the budget,
//! which is the whole process's, so it has a process of its own.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::sync::mpsc::{Sender, channel};

use serde_json::{Value, json};
use support::{call, create, memory, named, open, rows, send};
use volley_core::store::{CallContext, Store};

/// Keeps the indexer from its work until the sender is dropped: it is the indexer's own thread
/// that answers who compacts.
fn hold_indexer(store: &Store) -> Sender<()> {
    let (release, released) = channel::<()>();
    let (hold, held) = channel();
    let told = move |_| {
        let _ = hold.send(());
        let _ = released.recv();
    };
    let header = json!({"collection": "records"}).to_string().into_bytes();
    let context = CallContext::default();
    store.call(
        "compact",
        "json",
        header,
        Vec::new(),
        context,
        Box::new(told),
    );
    held.recv().unwrap();
    release
}

/// Sends an insert that waits for the graph, and lets its time be up once it does nothing else:
/// its operations are counted, and its memory is given back.
fn out_of_time(store: &Store, name: &str, body: &Value) -> Value {
    let reply = send(store, "insert", body, named(name));
    let waits = || {
        let told = call(store, "batches.get", json!({"batch_id": name}), &[]);
        let limits = call(store, "limits", json!({}), &[]);
        told["received"] == 2 && limits["memory_used_bytes"]["value"] == 0
    };
    while !waits() {
        std::thread::yield_now();
    }
    let stop = json!({"batch_id": name, "reason": "deadline"});
    call(store, "batches.cancel", stop, &[]);
    reply.recv().unwrap()
}

/// The reply tells this in the field, and that what it waited for was not reached.
fn assert_applied(reply: &Value, field: &str, value: Value) {
    let told = [&reply[field], &reply["reached"]];
    assert_eq!(told, [&value, &json!("applied")], "{reply}");
}

#[test]
fn a_wait_that_runs_out_of_time_is_answered_with_the_level_reached() {
    let store = open(memory());
    create(&store, "cosine");
    let release = hold_indexer(&store);
    let keyed = json!({
        "collection": "records", "vectors": rows(0, 2), "wait_for": "indexed",
        "idempotency_key": "k",
    });
    let first = out_of_time(&store, "first", &keyed);
    assert_applied(&first, "inserted_count", json!(2));
    let replay = out_of_time(&store, "replay", &keyed);
    assert_applied(&replay, "replayed", json!(true));
    let same = json!({
        "collection": "records", "vectors": rows(0, 2), "wait_for": "indexed",
        "on_conflict": "skip",
    });
    let skipped = out_of_time(&store, "skipped", &same);
    assert_applied(&skipped, "skipped_count", json!(2));
    drop(release);
    assert_eq!(call(&store, "insert", keyed, &[])["reached"], "indexed");
}
