//! Admission by bytes, through the engine's door.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use support::{call, code, create, memory, named, rows, send};
use volley_core::codec::HELD_BYTES;
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
    of_mib(1)
}

fn of_mib(count: usize) -> Alone {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let options = json!({"batch_operations": {"max_memory_usage_mb": count}}).to_string();
    let options = StoreOptions::parse(options.as_bytes()).unwrap();
    let store = Store::over(memory(), options, support::SMALL).unwrap();
    create(&store, "cosine");
    Alone { store, _turn: turn }
}

/// The lists that batches are written as.
const LISTS: [(&str, &str); 6] = [
    ("insert", "vectors"),
    ("insert", "ids"),
    ("update", "updates"),
    ("delete", "vector_ids"),
    ("write", "operations"),
    ("search", "queries"),
];

/// A body whose elements are of one byte, and are all wrong.
fn tiny(list: &str, count: usize) -> Value {
    json!({"collection": "records", "atomic": false, list: vec![0; count]})
}

fn used(store: &Store) -> usize {
    let limits = call(store, "limits", json!({}), &[]);
    limits["memory_used_bytes"]["value"].as_u64().unwrap() as usize
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

#[test]
fn what_elements_take_decoded_is_reserved_before_they_are() {
    const COUNT: usize = 2_000_000;
    let store = of_mib(64);
    for (verb, list) in LISTS {
        let body = tiny(list, COUNT);
        let bytes = body.to_string().len();
        let reply = call(&store, verb, body, &[]);
        assert_eq!(code(&reply), "MEMORY_LIMIT_EXCEEDED", "{verb} {list}");
        let actual = bytes * 2 + COUNT * HELD_BYTES;
        assert_eq!(reply["error"]["actual"], actual, "{verb} {list}");
        assert_eq!(used(&store), 0);
        // Where there is room, each is judged by itself.
        let few = call(&store, verb, tiny(list, 300), &[]);
        assert_eq!(few["errors"].as_array().unwrap().len(), 300, "{few}");
        assert_eq!(used(&store), 0);
    }
}

#[test]
fn elements_that_find_no_room_are_refused_where_the_caller_cannot_wait() {
    let store = small();
    let reservation = reserve(&store, 400_000);
    let body = tiny("vectors", 1000);
    let impatient = CallContext {
        refuse_overload: true,
        ..CallContext::default()
    };
    let refused = send(&store, "insert", &body, impatient).recv().unwrap();
    assert_eq!(code(&refused), "OVERLOADED", "{refused}");
    let error = &refused["error"];
    assert_eq!(error["actual"], 1000 * HELD_BYTES);
    assert!(error["used"].as_u64() > Some(800_000), "{error}");
    // Who waited for memory once goes on.
    let reply = call(&store, "insert", body, &[]);
    assert_eq!(reply["failed_count"], 1000, "{reply}");
    assert_eq!(used(&store), 800_000);
    call(
        &store,
        "memory.release",
        json!({"reservation": reservation}),
        &[],
    );
}

#[test]
fn a_batch_that_is_too_large_is_refused_whatever_its_elements_are() {
    let store = small();
    let served = |name: &str| CallContext {
        max_batch_size: Some(3),
        ..named(name)
    };
    for (verb, list) in LISTS {
        let mut body = tiny(list, 4);
        // What would be found wrong as soon as somebody looked.
        body["lengths"] = json!([1]);
        let name = format!("{verb} {list}");
        let reply = send(&store, verb, &body, served(&name)).recv().unwrap();
        let told = |reply: &Value, limit: &str| {
            let error = &reply["error"];
            assert_eq!(code(reply), "BATCH_TOO_LARGE", "{name}");
            assert_eq!(error["field"], limit);
            assert_eq!(
                [&error["limit"], &error["actual"], &error["unit"]],
                [&json!(3), &json!(4), &json!("operations")]
            );
        };
        told(&reply, "max_batch_size");
        let progress = call(&store, "batches.get", json!({"batch_id": name}), &[]);
        assert_eq!(
            [&progress["received"], &progress["status"]],
            [&json!(4), &json!("failed")]
        );
        body["batch_size_limit"] = json!(3);
        told(&call(&store, verb, body, &[]), "batch_size_limit");
    }
    assert_eq!(used(&store), 0);
}

#[test]
fn embeddings_are_made_where_there_is_memory_for_them() {
    let store = small();
    let header = json!({"name": "texts", "dimension": 2048, "embedder": "lexical"});
    let reply = call(&store, "collections.create", header, &[]);
    assert_eq!(reply.get("error"), None, "{reply}");
    let rows = |count: usize| -> Value {
        let row = |n: usize| json!({"id": n.to_string(), "text": format!("word {n}")});
        (0..count).map(row).collect()
    };
    let queries = |count: usize| json!(vec![json!({"query_text": "word"}); count]);
    let insert = |count| json!({"collection": "texts", "vectors": rows(count)});
    let search = |count| json!({"collection": "texts", "queries": queries(count)});
    assert_eq!(call(&store, "insert", insert(5), &[])["inserted_count"], 5);
    let found = call(&store, "search", search(5), &[]);
    assert_eq!(found["successful_queries"], 5, "{found}");
    for (verb, body) in [("insert", insert(100)), ("search", search(100))] {
        let reply = call(&store, verb, body, &[]);
        assert_eq!(code(&reply), "MEMORY_LIMIT_EXCEEDED", "{reply}");
        // Each text's vector is made, and copied to its batch.
        let actual = reply["error"]["actual"].as_u64().unwrap();
        assert!(actual > 100 * 2048 * 4 * 2, "{reply}");
    }
    assert_eq!(used(&store), 0);
}
