//! A fault at every storage call of batches, checkpoints and compactions: what was acknowledged
//! is there after reopening, whole; what was not is absent or whole, never half.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Model, Random, apply, call, contents, create, open, operation};
use volley_core::error::Result;
use volley_core::storage::Storage;
use volley_core::storage::faulty::{Fault, FaultyStorage};
use volley_core::store::Store;

/// What a run of batches did: the model after each acknowledged one, and the batch that got no
/// answer, if any.
struct History {
    acknowledged: Model,
    unanswered: Option<Model>,
}

/// Operations of a group that stands together.
const GROUP: usize = 5;

/// Operations of a batch that is applied while the log is written.
const MANY: u64 = 200;

/// How a batch is sent, and what of it must hold together.
#[derive(Clone, Copy)]
enum Mode {
    BestEffort,
    Atomic,
    Grouped,
}

impl Mode {
    fn of_step(step: u64) -> Self {
        [Mode::BestEffort, Mode::Atomic, Mode::Grouped][step as usize % 3]
    }

    fn header(self, mut operations: Vec<Value>) -> Value {
        if matches!(self, Mode::Grouped) {
            for (index, operation) in operations.iter_mut().enumerate() {
                operation["group"] = json!(format!("group {}", index / GROUP));
            }
        }
        let atomic = matches!(self, Mode::Atomic);
        json!({"collection": "records", "operations": operations, "atomic": atomic})
    }

    /// What the operations make of the model, and how many of them fail.
    fn apply(self, model: &Model, operations: &[Value]) -> (Model, usize) {
        let together = match self {
            Mode::BestEffort => 1,
            Mode::Atomic => operations.len(),
            Mode::Grouped => GROUP,
        };
        let (mut result, mut failed) = (model.clone(), 0);
        for part in operations.chunks(together) {
            let mut changed = result.clone();
            if part.iter().all(|one| apply(&mut changed, one).is_ok()) {
                result = changed;
            } else {
                failed += part.len();
            }
        }
        (result, failed)
    }
}

/// Batches of each kind with a compaction in between, until the first call that fails.
fn scenario(store: &Store, seed: u64) -> History {
    let mut random = Random(seed);
    let mut history = History {
        acknowledged: Model::new(),
        unanswered: None,
    };
    for step in 0..12 {
        if step == 6 || step == 10 {
            // A compaction may fail; that must change nothing.
            call(store, "compact", json!({"collection": "records"}), &[]);
        }
        let mode = Mode::of_step(step);
        let count = match step % 4 {
            3 => MANY,
            _ => 1 + random.below(40),
        };
        let operations: Vec<Value> = (0..count)
            .map(|_| operation(&mut random, 60))
            // An atomic batch of many operations would hardly ever commit if some may fail.
            .filter(|one| {
                let mut changed = history.acknowledged.clone();
                !matches!(mode, Mode::Atomic) || step == 4 || apply(&mut changed, one).is_ok()
            })
            .collect();
        let (changed, failed) = mode.apply(&history.acknowledged, &operations);
        let reply = call(store, "write", mode.header(operations), &[]);
        if reply.get("error").is_some() {
            history.unanswered = Some(changed);
            return history;
        }
        assert_eq!(reply["failed_count"], failed, "{reply}");
        history.acknowledged = changed;
    }
    history
}

/// Opens what is left and compares; the collection is missing only if its creation failed.
fn check(storage: Arc<dyn Storage>, history: &History, what: &str) {
    let store = open(storage);
    let listed = call(&store, "collections.list", json!({}), &[]);
    assert!(listed.get("error").is_none(), "{what}: {listed}");
    if listed["collections"].as_array().is_some_and(Vec::is_empty) {
        assert!(
            history.acknowledged.is_empty(),
            "{what}: the collection is gone"
        );
        return;
    }
    let found = contents(&store);
    let whole = Some(&found) == history.unanswered.as_ref();
    assert!(
        found == history.acknowledged || whole,
        "{what}: {} records",
        found.len()
    );
    let reply = call(
        &store,
        "insert",
        json!({
            "collection": "records", "vectors": [{"id": "after", "data": vec![1.0; support::DIMENSION]}],
        }),
        &[],
    );
    assert_eq!(reply["inserted_count"], 1, "{what}: {reply}");
}

fn begin(storage: &Arc<FaultyStorage>) -> Result<Store> {
    let store = Store::over(storage.clone(), Default::default(), support::SMALL)?;
    call(
        &store,
        "collections.create",
        json!({
            "name": "records", "dimension": support::DIMENSION,
        }),
        &[],
    );
    Ok(store)
}

/// How many storage calls the whole scenario makes, with the last checkpoint.
fn calls_in_all(seed: u64) -> u64 {
    let storage = Arc::new(FaultyStorage::in_memory());
    let store = begin(&storage).unwrap();
    scenario(&store, seed);
    store.close().unwrap();
    storage.calls()
}

fn fail_once_at(number: u64, fault: Fault, seed: u64) {
    let what = format!("{fault:?} at call {number}");
    let storage = Arc::new(FaultyStorage::in_memory());
    storage.fail_call(number, fault);
    let empty = History {
        acknowledged: Model::new(),
        unanswered: None,
    };
    let history = match begin(&storage) {
        Ok(store) => {
            let history = scenario(&store, seed);
            let _ = store.close();
            history
        }
        Err(_) => empty,
    };
    storage.heal();
    check(storage, &history, &what);
}

#[test]
fn a_fault_at_every_call_loses_nothing() {
    let calls = calls_in_all(11);
    assert!(calls > 40, "{calls} calls");
    for number in 1..=calls {
        fail_once_at(number, Fault::Error, 11);
    }
}

#[test]
fn a_torn_append_at_every_call_loses_nothing() {
    for number in 1..=calls_in_all(12) {
        fail_once_at(number, Fault::ShortAppend(number as usize * 37 % 900), 12);
    }
}

#[test]
fn a_lost_reply_at_every_call_loses_nothing() {
    for number in 1..=calls_in_all(13) {
        fail_once_at(number, Fault::LostReply, 13);
    }
}

#[test]
fn a_crash_after_every_batch_loses_nothing_acknowledged() {
    for seed in 0..24 {
        let storage = Arc::new(FaultyStorage::in_memory());
        let store = open(storage.clone());
        create(&store, "cosine");
        let calls = storage.calls();
        storage.fail_from(calls + 1 + seed * 5, Fault::Error);
        let history = scenario(&store, 21);
        let image = storage.crash_image(seed);
        check(
            Arc::new(image),
            &history,
            &format!("crash with seed {seed}"),
        );
        storage.heal();
    }
}

#[test]
fn a_poisoned_store_refuses_writes_and_still_reads() {
    let storage = Arc::new(FaultyStorage::in_memory());
    let store = open(storage.clone());
    create(&store, "cosine");
    let insert = |id: &str, count: u64| {
        let row =
            |place| json!({"id": format!("{id}{place}"), "data": vec![1.0; support::DIMENSION]});
        let vectors: Vec<Value> = (0..count).map(row).collect();
        call(
            &store,
            "insert",
            json!({"collection": "records", "vectors": vectors}),
            &[],
        )
    };
    assert_eq!(insert("a", 1)["inserted_count"], 1);
    storage.fail_from(storage.calls() + 1, Fault::DiskFull);
    let refused = insert("b", MANY);
    assert_eq!(refused["error"]["cause"], "disk_full", "{refused}");
    storage.heal();
    assert_eq!(insert("c", 1)["error"]["error_code"], "STORE_POISONED");
    let there: Vec<String> = contents(&store).into_keys().collect();
    assert_eq!(there, ["a0"]);
}
