//! What the tests of the whole engine share: a seeded random source, calls through the door, and
//! a plain map as the model of a collection.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::needless_pass_by_value
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Map, Value, json};
use volley_core::collection::Thresholds;
use volley_core::storage::Storage;
use volley_core::storage::faulty::FaultyStorage;
use volley_core::store::{CallContext, Store, StoreOptions};

/// Sizes so small that every path is taken within a few hundred operations.
pub const SMALL: Thresholds = Thresholds {
    log_file_bytes: 32 * 1024,
    spare_bytes_max: 32 * 1024,
    tail_rows_max: 96,
    fold_rows_min: 24,
    fold_rows_max: 64,
    fold_wait_ms: 5,
    repair_rows_min: 20,
    repair_share: 50,
    checkpoint_bytes: 96 * 1024,
    scan_rows_max: 40,
};

pub const DIMENSION: usize = 24;

/// SplitMix64 (Steele et al. 2014): one number is the whole state, so a seed reproduces a run.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    /// Clustered vectors: a centre chosen by the low bits and some noise around it.
    pub fn vector(&mut self) -> Vec<f32> {
        let mut centre = Random(self.below(12) + 1);
        (0..DIMENSION)
            .map(|_| centre.unit() + 0.6 * self.unit())
            .collect()
    }

    fn unit(&mut self) -> f32 {
        (self.below(2001) as f32 - 1000.0) / 1000.0
    }
}

pub fn open(storage: Arc<dyn Storage>) -> Store {
    Store::over(storage, StoreOptions::default(), SMALL).unwrap()
}

pub fn call(store: &Store, verb: &str, header: Value, block: &[f32]) -> Value {
    let reply = store.call_and_wait(
        verb,
        header.to_string().into_bytes(),
        block.to_vec(),
        CallContext::default(),
    );
    serde_json::from_slice(&reply).unwrap()
}

/// Storage that is lost with the test.
pub fn memory() -> Arc<FaultyStorage> {
    Arc::new(FaultyStorage::in_memory())
}

/// Rows to insert, with ids that count up.
pub fn rows(from: usize, count: usize) -> Value {
    let row =
        |n: usize| json!({"id": format!("record-{n}"), "data": vec![n as f32 + 1.0; DIMENSION]});
    (from..from + count).map(row).collect()
}

/// Sends a call and does not wait.
pub fn send(store: &Store, verb: &str, header: &Value, context: CallContext) -> Receiver<Value> {
    let (sender, reply) = channel();
    let header = header.to_string().into_bytes();
    let told = move |bytes: Vec<u8>| {
        let _ = sender.send(serde_json::from_slice(&bytes).unwrap());
    };
    store.call(verb, "json", header, Vec::new(), context, Box::new(told));
    reply
}

/// The context of a call whose batch has this name.
pub fn named(batch_id: &str) -> CallContext {
    CallContext {
        batch_id: Some(batch_id.to_owned()),
        ..CallContext::default()
    }
}

/// The code of a reply that is an error.
pub fn code(reply: &Value) -> &str {
    reply["error"]["error_code"].as_str().unwrap_or("none")
}

pub fn create(store: &Store, metric: &str) {
    let header = json!({"name": "records", "dimension": DIMENSION, "metric": metric});
    let reply = call(store, "collections.create", header, &[]);
    assert_eq!(reply.get("error"), None, "{reply}");
}

/// What the collection says of itself.
pub fn info(store: &Store) -> Value {
    let header = json!({"collection": "records"});
    call(store, "collections.info", header, &[])
}

/// A record as the model keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub data: Vec<f32>,
    pub text: Option<String>,
    pub metadata: Map<String, Value>,
}

pub type Model = BTreeMap<String, Record>;

/// One operation, in wire form, and its effect on the model where it stands alone.
pub fn operation(random: &mut Random, ids: u64) -> Value {
    let id = format!("record-{}", random.below(ids));
    let on_conflict = ["error", "replace", "skip"][random.below(3) as usize];
    let missing = ["error", "ignore"][random.below(2) as usize];
    match random.below(10) {
        0..4 => json!({
            "op": "insert", "id": id, "data": random.vector(), "text": text(random),
            "metadata": metadata(random),
            "on_conflict": on_conflict,
        }),
        4..6 => json!({"op": "update", "id": id, "metadata": metadata(random)}),
        6 => json!({"op": "update", "id": id, "data": random.vector()}),
        7 => json!({
            "op": "update", "id": id, "metadata": metadata(random), "metadata_mode": "replace",
        }),
        _ => json!({"op": "delete", "id": id, "missing": missing}),
    }
}

fn text(random: &mut Random) -> Value {
    if random.one_in(3) {
        Value::Null
    } else {
        json!(format!("text {}", random.below(1000)))
    }
}

/// One of three colours, as every record has.
pub fn colour(random: &mut Random) -> &'static str {
    ["red", "green", "blue"][random.below(3) as usize]
}

pub fn metadata(random: &mut Random) -> Value {
    let mut object = Map::new();
    object.insert("colour".into(), json!(colour(random)));
    if random.one_in(2) {
        object.insert("size".into(), json!(random.below(20)));
    }
    if random.one_in(3) {
        object.insert("tags".into(), json!([random.below(4), "a"]));
    }
    if random.one_in(4) {
        object.insert("nested".into(), json!({"deep": random.below(3)}));
    }
    Value::Object(object)
}

/// Applies one operation to the model; `Err` is the code it must fail with.
pub fn apply(model: &mut Model, operation: &Value) -> Result<&'static str, &'static str> {
    let id = operation["id"].as_str().unwrap().to_owned();
    match operation["op"].as_str().unwrap() {
        "insert" => {
            let exists = model.contains_key(&id);
            match operation["on_conflict"].as_str().unwrap() {
                "error" if exists => return Err("ALREADY_EXISTS"),
                "skip" if exists => return Ok("skipped"),
                _ => {}
            }
            let record = Record {
                data: numbers(&operation["data"]),
                text: operation["text"].as_str().map(str::to_owned),
                metadata: operation["metadata"].as_object().unwrap().clone(),
            };
            model.insert(id, record);
            Ok(if exists { "replaced" } else { "created" })
        }
        "update" => {
            let record = model.get_mut(&id).ok_or("NOT_FOUND")?;
            let before = record.clone();
            if let Some(data) = operation.get("data") {
                record.data = numbers(data);
                record.text = None;
            }
            if let Some(metadata) = operation.get("metadata").and_then(Value::as_object) {
                if operation["metadata_mode"] == "replace" {
                    record.metadata = metadata.clone();
                } else {
                    merge(&mut record.metadata, metadata);
                }
            }
            let same = *record == before && operation.get("data").is_none();
            Ok(if same { "unchanged" } else { "updated" })
        }
        _ => match (model.remove(&id), operation["missing"].as_str().unwrap()) {
            (Some(_), _) => Ok("deleted"),
            (None, "ignore") => Ok("skipped"),
            (None, _) => Err("NOT_FOUND"),
        },
    }
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let entry = target.entry(key.clone()).or_insert_with(|| json!({}));
                if !entry.is_object() {
                    *entry = json!({});
                }
                merge(entry.as_object_mut().unwrap(), patch);
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}

pub fn numbers(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap() as f32)
        .collect()
}

/// Everything that the collection holds, through the list verb.
pub fn contents(store: &Store) -> Model {
    let mut model = Model::new();
    let mut after = Value::Null;
    loop {
        let mut header = json!({
            "collection": "records", "limit": 37, "include": ["metadata", "text", "data"],
        });
        if !after.is_null() {
            header["after"] = after;
        }
        let page = call(store, "list", header, &[]);
        for record in page["vectors"]
            .as_array()
            .unwrap_or_else(|| panic!("{page}"))
        {
            let parts = Record {
                data: numbers(&record["data"]),
                text: record["text"].as_str().map(str::to_owned),
                metadata: record["metadata"].as_object().unwrap().clone(),
            };
            let id = record["id"].as_str().unwrap().to_owned();
            assert_eq!(model.insert(id, parts), None, "a record is listed twice");
        }
        after = page["next"].clone();
        if after.is_null() {
            return model;
        }
    }
}

/// Holds one query's result against the records that it may find: as many as there are, each of
/// them, with its true score, best first. Returns how many are among the nearest, or a fault.
pub fn judge(
    result: &Value,
    allowed: &Model,
    metric: &str,
    query: &[f32],
    limit: usize,
) -> Result<usize, String> {
    let matches = result["results"].as_array().ok_or("no results")?;
    let exact = exact_search(allowed, metric, query, limit);
    if matches.len() != exact.len() {
        return Err(format!("{} matches, not {}", matches.len(), exact.len()));
    }
    let (mut last, mut found) = (f64::INFINITY, 0);
    for one in matches {
        let id = one["id"].as_str().ok_or("no id")?;
        let record = allowed.get(id).ok_or(format!("{id} may not be found"))?;
        let told = one["score"].as_f64().ok_or("no score")?;
        let truth = score(metric, query, &record.data);
        let is_true = (told - truth).abs() < 1e-4 * truth.abs().max(1.0);
        if !is_true {
            return Err(format!("{id} has the score {truth}, not {told}"));
        }
        let is_in_order = told <= last;
        if !is_in_order {
            return Err(format!("{id} comes behind a worse match"));
        }
        last = told;
        let is_near = |(other, score): &(String, f64)| other == id || (score - truth).abs() < 1e-9;
        found += usize::from(exact.iter().any(is_near));
    }
    Ok(found)
}

/// The ids of the nearest records, by comparing with all of them.
pub fn exact_search(
    model: &Model,
    metric: &str,
    query: &[f32],
    limit: usize,
) -> Vec<(String, f64)> {
    let mut scored: Vec<(String, f64)> = model
        .iter()
        .map(|(id, record)| (id.clone(), score(metric, query, &record.data)))
        .collect();
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scored.truncate(limit);
    scored
}

pub fn score(metric: &str, query: &[f32], data: &[f32]) -> f64 {
    let pairs = || {
        query
            .iter()
            .zip(data)
            .map(|(a, b)| (f64::from(*a), f64::from(*b)))
    };
    let dot: f64 = pairs().map(|(a, b)| a * b).sum();
    match metric {
        "dot_product" => dot,
        "euclidean" => 1.0 / (1.0 + pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()),
        _ => {
            let norm = |numbers: &[f32]| -> f64 {
                numbers
                    .iter()
                    .map(|number| f64::from(*number).powi(2))
                    .sum::<f64>()
                    .sqrt()
            };
            dot / (norm(query) * norm(data))
        }
    }
}
