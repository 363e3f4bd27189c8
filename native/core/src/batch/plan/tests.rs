//! What a plan does, by a model and by examples.

mod examples;
mod model;
mod property;

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::batch::{CollectionShape, Operation, OperationKind, Status, VectorRange};
use crate::index::Metric;
use crate::metadata::Metadata;
use model::{ModelRecord, World};

const SHAPE: CollectionShape = CollectionShape {
    dimension: 2,
    metric: Metric::Cosine,
    has_embedder: true,
};

/// What became of one operation.
type Verdict = Result<Status, ErrorCode>;

fn verdict(outcome: &Outcome) -> Verdict {
    match (&outcome.error, outcome.status) {
        (Some(error), Status::Failed) => Err(error.code),
        (None, status) if status != Status::Failed => Ok(status),
        _ => panic!("an error exactly where it failed: {outcome:?}"),
    }
}

fn object(value: &serde_json::Value) -> Metadata {
    value.as_object().unwrap().clone()
}

fn world() -> World {
    let record = |slot: Slot, text: Option<&str>, metadata| ModelRecord {
        slot,
        version: u64::from(slot) + 1,
        vector: vec![slot as f32, 1.0],
        text: text.map(str::to_owned),
        metadata: object(&metadata),
        is_unreadable: slot == 3,
    };
    let records = BTreeMap::from([
        ("a".to_owned(), record(0, None, json!({}))),
        ("b".to_owned(), record(1, Some("old"), json!({"k": 1}))),
        (
            "c".to_owned(),
            record(2, None, json!({"k": {"x": 1}, "l": [null]})),
        ),
        ("unreadable".to_owned(), record(3, None, json!({}))),
    ]);
    World {
        records,
        written: Vec::new(),
    }
}

/// Adds an operation with a vector of so many numbers, different from all others.
fn push(request: &mut WriteRequest, mut operation: Operation, len: Option<usize>) {
    if let (Some(len), OperationKind::Insert { data, .. } | OperationKind::Update { data, .. }) =
        (len, &mut operation.kind)
    {
        let start = request.vectors.values.len();
        *data = Some(VectorRange { start, len });
        request
            .vectors
            .values
            .resize(start + len, 1.0 + request.operations.len() as f32);
    }
    request.operations.push(operation);
}
