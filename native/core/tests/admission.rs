//! Admission by bytes, through the engine's door.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use support::{call, code, create, memory, named, rows, send};
use volley_core::store::{CallContext, Store, StoreOptions};

/// The budget is the whole process's, so the tests of it take turns, in a process of their own.
static TURN: Mutex<()> = Mutex::new(());

/// A store that has the budget to itself.
struct Alone {
    store: Store,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for Alone {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// A store whose budget is one MiB, of which 983,040 bytes are not kept for deletes.
fn small() -> Alone {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let options = StoreOptions::parse(br#"{"batch_operations": {"max_memory_usage_mb": 1}}"#);
    let store = Store::over(memory(), options.unwrap(), support::SMALL).unwrap();
    create(&store, "cosine");
    Alone { store, _turn: turn }
}

fn reserve(store: &Store, bytes: usize) -> Value {
    call(store, "memory.reserve", json!({"bytes": bytes}), &[])["reservation"].clone()
}

#[test]
fn who_can_wait_is_admitted_when_memory_comes_back() {
    let store = small();
    let reservation = reserve(&store, 480_000);
    let header = json!({"collection": "records", "vectors": rows(0, 100)});
    let waiting = send(&store, "insert", &header, named("waiting"));
    let stopped = send(&store, "insert", &header, named("stopped"));
    let told = call(&store, "batches.get", json!({"batch_id": "waiting"}), &[]);
    assert_eq!(
        (&told["status"], &told["received"]),
        (&json!("running"), &json!(0))
    );
    call(
        &store,
        "batches.cancel",
        json!({"batch_id": "stopped"}),
        &[],
    );
    assert_eq!(code(&stopped.recv().unwrap()), "CANCELLED");
    // A delete does not wait: it has a slice of its own.
    let delete = json!({"collection": "records", "vector_ids": ["x"], "missing": "ignore"});
    assert_eq!(call(&store, "delete", delete, &[])["skipped_count"], 1);
    call(
        &store,
        "memory.release",
        json!({"reservation": reservation}),
        &[],
    );
    assert_eq!(waiting.recv().unwrap()["inserted_count"], 100);
    let limits = call(&store, "limits", json!({}), &[]);
    assert_eq!(limits["memory_used_bytes"]["value"], 0);
    assert_eq!(limits["memory_free_bytes"]["value"], 1 << 20);
}

#[test]
fn who_cannot_wait_is_told_when_to_come_back() {
    let store = small();
    let header = json!({"collection": "records", "vectors": rows(0, 100)});
    let impatient = CallContext {
        refuse_overload: true,
        ..CallContext::default()
    };
    let reservation = reserve(&store, 480_000);
    let refused = send(&store, "insert", &header, impatient.clone())
        .recv()
        .unwrap();
    let error = &refused["error"];
    assert_eq!(
        (code(&refused), &error["budget"]),
        ("OVERLOADED", &json!("memory"))
    );
    assert_eq!(
        (&error["used"], &error["limit"]),
        (&json!(960_000), &json!(983_040))
    );
    assert!(error["retry_after_ms"].as_u64() >= Some(1));
    call(
        &store,
        "memory.release",
        json!({"reservation": reservation}),
        &[],
    );
    let reply = send(&store, "insert", &header, impatient).recv().unwrap();
    assert_eq!(reply["inserted_count"], 100);
}

#[test]
fn a_call_uses_the_memory_that_was_reserved_for_it() {
    let store = small();
    let reservation = reserve(&store, 480_000);
    let header = json!({"collection": "records", "vectors": rows(0, 10)});
    let context = || CallContext {
        reservation: reservation.as_u64(),
        ..CallContext::default()
    };
    let reply = send(&store, "insert", &header, context()).recv().unwrap();
    assert_eq!(reply["inserted_count"], 10);
    assert_eq!(
        call(&store, "limits", json!({}), &[])["memory_used_bytes"]["value"],
        0
    );
    let again = send(&store, "insert", &header, context()).recv().unwrap();
    assert_eq!(code(&again), "INVALID_ARGUMENT");
}

#[test]
fn a_reservation_is_used_up_by_a_call_whatever_its_verb() {
    let store = small();
    let reservation = reserve(&store, 480_000);
    let context = CallContext {
        reservation: reservation.as_u64(),
        ..CallContext::default()
    };
    let header = json!({"collection": "records"});
    let reply = send(&store, "count", &header, context).recv().unwrap();
    assert_eq!(reply["count"], 0);
    let limits = call(&store, "limits", json!({}), &[]);
    assert_eq!(limits["memory_used_bytes"]["value"], 0);
}

#[test]
fn a_request_beyond_the_whole_budget_is_refused_at_once() {
    let store = small();
    let header = json!({"collection": "records", "vectors": rows(0, 10_000)});
    let reply = call(&store, "insert", header, &[]);
    assert_eq!(
        (code(&reply), &reply["error"]["limit"]),
        ("MEMORY_LIMIT_EXCEEDED", &json!(983_040))
    );
}

#[test]
fn a_store_closes_while_calls_wait_for_their_callers() {
    let store = small();
    reserve(&store, 480_000);
    let header = json!({"collection": "records", "vectors": rows(0, 100)});
    let waiting = send(&store, "insert", &header, CallContext::default());
    store.close().unwrap();
    let reply = waiting.recv().unwrap();
    assert_eq!(reply["inserted_count"], 100, "{reply}");
}

#[test]
fn an_atomic_stream_that_outgrows_the_budget_is_refused_and_not_left_waiting() {
    let store = small();
    let stage = call(&store, "stage.begin", json!({"collection": "records"}), &[])["stage"].clone();
    let part = |number: usize| {
        let header = json!({
            "collection": "records", "vectors": rows(number * 500, 500), "stage": stage,
        });
        call(&store, "insert", header, &[])
    };
    // Half of a MiB has room for 5,461 operations of 96 bytes.
    for number in 0..10 {
        assert_eq!(part(number)["inserted_count"], 500);
    }
    let refused = part(10);
    assert_eq!(code(&refused), "MEMORY_LIMIT_EXCEEDED");
    let error = &refused["error"];
    assert_eq!(
        [&error["limit"], &error["actual"], &error["unit"]],
        [&json!(5461), &json!(5500), &json!("operations")]
    );
    // There is room for all else, and for the stream's end.
    let other = json!({"collection": "records", "vectors": rows(90_000, 100)});
    assert_eq!(call(&store, "insert", other, &[])["inserted_count"], 100);
    let second =
        call(&store, "stage.begin", json!({"collection": "records"}), &[])["stage"].clone();
    let header = json!({"collection": "records", "vectors": rows(0, 500), "stage": second});
    assert_eq!(code(&call(&store, "insert", header, &[])), "OVERLOADED");
    for stage in [stage, second] {
        let end = json!({"collection": "records", "stage": stage});
        assert!(call(&store, "stage.drop", end, &[]).get("error").is_none());
    }
    let limits = call(&store, "limits", json!({}), &[]);
    assert_eq!(limits["memory_used_bytes"]["value"], 0);
}
