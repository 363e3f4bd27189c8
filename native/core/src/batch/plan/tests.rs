//! Plans against a model that runs operations one by one on a map, with whole copies of it as
//! savepoints, and examples of what folds to what.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::batch::{
    CollectionShape, Counts, Duplicates, MetadataMode, Missing, OnConflict, Operation,
    OperationKind, Status, VectorRange, WriteVerb, check,
};
use crate::index::Metric;
use crate::metadata;

const SHAPE: CollectionShape = CollectionShape {
    dimension: 2,
    metric: Metric::Cosine,
    has_embedder: true,
};
const SEQUENCE: Sequence = 9;

#[derive(Clone, Debug, PartialEq)]
struct ModelRecord {
    slot: Slot,
    version: Sequence,
    vector: Vec<f32>,
    text: Option<String>,
    metadata: Metadata,
    is_unreadable: bool,
}

/// The records of a collection, and the ids that the batch wrote, in the order of first writes.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    records: BTreeMap<String, ModelRecord>,
    written: Vec<String>,
}

impl State for World {
    fn find(&self, id: &str) -> Option<Existing> {
        self.records.get(id).map(|r| Existing {
            slot: r.slot,
            version: r.version,
        })
    }

    fn metadata(&self, slot: Slot) -> Result<Metadata> {
        let record = self
            .records
            .values()
            .find(|record| record.slot == slot)
            .unwrap();
        if record.is_unreadable {
            return Err(Error::corrupted(
                "log/1",
                "row 1 does not match its checksum",
            ));
        }
        Ok(record.metadata.clone())
    }
}

#[allow(clippy::needless_pass_by_value)]
fn object(value: serde_json::Value) -> Metadata {
    value.as_object().unwrap().clone()
}

fn world() -> World {
    let record = |slot: Slot, text: Option<&str>, metadata| ModelRecord {
        slot,
        version: u64::from(slot) + 1,
        vector: vec![slot as f32, 1.0],
        text: text.map(str::to_owned),
        metadata: object(metadata),
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

// The model.

type Verdict = Result<Status, ErrorCode>;

fn model_check(request: &WriteRequest, index: usize) -> Result<(), ErrorCode> {
    let operation = &request.operations[index];
    if let Some(error) = &operation.refused {
        return Err(error.code);
    }
    if operation.id.is_empty() {
        return Err(ErrorCode::InvalidId);
    }
    let (is_insert, data, text, metadata) = match &operation.kind {
        OperationKind::Insert {
            data,
            text,
            metadata,
            ..
        } => (true, data, text, metadata),
        OperationKind::Update {
            data,
            text,
            metadata,
            ..
        } => (false, data, text, metadata),
        OperationKind::Delete { .. } => return Ok(()),
    };
    match (data.map(|range| range.len), text) {
        (Some(0), _) => return Err(ErrorCode::InvalidVector),
        (Some(1 | 3..), _) => return Err(ErrorCode::DimensionMismatch),
        (None, None) if is_insert => return Err(ErrorCode::InvalidVector),
        (None, None) if metadata.is_none() => return Err(ErrorCode::InvalidArgument),
        _ => {}
    }
    match metadata {
        Some(metadata) if metadata.contains_key("$bad") => Err(ErrorCode::InvalidMetadata),
        _ => Ok(()),
    }
}

/// What is known of every operation before any runs: `Err`, or whether it is superseded.
fn model_checks(request: &WriteRequest) -> Vec<Result<bool, ErrorCode>> {
    let operations = &request.operations;
    let mut checks: Vec<_> = (0..operations.len())
        .map(|index| model_check(request, index).map(|()| false))
        .collect();
    for (index, operation) in operations.iter().enumerate() {
        if request.verb == WriteVerb::Mixed || operation.id.is_empty() {
            continue;
        }
        let same = |other: &Operation| other.id == operation.id;
        let stood_before = operations[..index].iter().any(same);
        let comes_again = operations[index + 1..].iter().any(same);
        match (&checks[index], request.options.duplicates) {
            (Ok(_), Duplicates::Reject) if stood_before => {
                checks[index] = Err(ErrorCode::DuplicateId);
            }
            (Ok(_), Duplicates::LastWins) => checks[index] = Ok(comes_again),
            _ => {}
        }
    }
    for (index, operation) in operations.iter().enumerate() {
        let Some(group) = &operation.group else {
            continue;
        };
        let is_group = |place: usize| operations[place].group.as_ref() == Some(group);
        let places: Vec<usize> = (0..operations.len())
            .filter(|place| is_group(*place))
            .collect();
        let gap = places.windows(2).position(|pair| pair[1] != pair[0] + 1);
        let (Some(gap), Ok(_)) = (gap, &checks[index]) else {
            continue;
        };
        let is_later = index > places[gap];
        let code = if is_later {
            ErrorCode::InvalidArgument
        } else {
            ErrorCode::BatchAborted
        };
        checks[index] = Err(code);
    }
    checks
}

fn model_run(world: &mut World, request: &WriteRequest, index: usize) -> Verdict {
    let operation = &request.operations[index];
    let id = &operation.id;
    let is_written = world.written.contains(id);
    if let Some(expected) = operation.if_version {
        if is_written {
            return Err(ErrorCode::InvalidArgument);
        }
        if world.records.get(id).map_or(0, |record| record.version) != expected {
            return Err(ErrorCode::ConditionFailed);
        }
    }
    let old = world.records.get(id).cloned();
    let is_unreadable = old.as_ref().is_some_and(|record| record.is_unreadable);
    let vector_or_embedding = |data: &Option<VectorRange>| match data {
        Some(range) => request.vectors.get(*range).to_vec(),
        None => embedding(index),
    };
    let (status, new) = match (&operation.kind, old) {
        (
            OperationKind::Insert {
                on_conflict: OnConflict::Error,
                ..
            },
            Some(_),
        ) => {
            return Err(ErrorCode::AlreadyExists);
        }
        (
            OperationKind::Insert {
                on_conflict: OnConflict::Skip,
                ..
            },
            Some(_),
        ) => {
            return Ok(Status::Skipped);
        }
        (
            OperationKind::Insert {
                data,
                text,
                metadata,
                ..
            },
            old,
        ) => {
            let status = if old.is_some() {
                Status::Replaced
            } else {
                Status::Created
            };
            let new = ModelRecord {
                slot: 0,
                version: SEQUENCE,
                vector: vector_or_embedding(data),
                text: text.clone(),
                metadata: metadata.clone().unwrap_or_default(),
                is_unreadable: false,
            };
            (status, Some(new))
        }
        (OperationKind::Update { .. }, None) => return Err(ErrorCode::NotFound),
        (
            OperationKind::Delete {
                missing: Missing::Error,
            },
            None,
        ) => {
            return Err(ErrorCode::NotFound);
        }
        (
            OperationKind::Delete {
                missing: Missing::Ignore,
            },
            None,
        ) => return Ok(Status::Skipped),
        (OperationKind::Delete { .. }, Some(_)) => (Status::Deleted, None),
        (
            OperationKind::Update {
                data,
                text,
                metadata,
                metadata_mode,
            },
            Some(mut record),
        ) => {
            let before = record.clone();
            if data.is_some() || text.is_some() {
                record.vector = vector_or_embedding(data);
                record.text = text.clone();
            }
            match (metadata, metadata_mode) {
                (Some(given), MetadataMode::Merge) => metadata::merge(&mut record.metadata, given),
                (Some(given), MetadataMode::Replace) => record.metadata = given.clone(),
                (None, _) => {}
            }
            if is_unreadable {
                return Err(ErrorCode::Corrupted);
            }
            if data.is_none() && text.is_none() && record == before {
                return Ok(Status::Unchanged);
            }
            record.version = SEQUENCE;
            (Status::Updated, Some(record))
        }
    };
    if is_unreadable {
        return Err(ErrorCode::Corrupted);
    }
    match new {
        Some(record) => world.records.insert(id.clone(), record),
        None => world.records.remove(id),
    };
    if !is_written {
        world.written.push(id.clone());
    }
    Ok(status)
}

fn model_plan(world: &mut World, request: &WriteRequest) -> Vec<Verdict> {
    let checks = model_checks(request);
    let mut verdicts: Vec<Verdict> = Vec::new();
    while verdicts.len() < request.operations.len() {
        let start = verdicts.len();
        let savepoint = world.clone();
        let group = &request.operations[start].group;
        loop {
            let index = verdicts.len();
            verdicts.push(match checks[index] {
                Err(code) => Err(code),
                Ok(true) => Ok(Status::Skipped),
                Ok(false) => model_run(world, request, index),
            });
            let Some(next) = request.operations.get(verdicts.len()) else {
                break;
            };
            let goes_on = request.options.atomic || (group.is_some() && next.group == *group);
            if !goes_on {
                break;
            }
        }
        if verdicts[start..].iter().any(Result::is_err) {
            *world = savepoint;
            for verdict in &mut verdicts[start..] {
                if verdict.is_ok() {
                    *verdict = Err(ErrorCode::BatchAborted);
                }
            }
        }
    }
    verdicts
}

// Carrying out a plan on the model's records.

fn embedding(index: usize) -> Vec<f32> {
    vec![100.0 + index as f32, 1.0]
}

fn apply(world: &World, plan: &Plan, request: &WriteRequest, checked: &Checked) -> World {
    let mut after = world.clone();
    for action in &plan.actions {
        let row = action.row(request, checked).unwrap();
        let (Row::Store { id, .. } | Row::Attributes { id, .. } | Row::Delete { id, .. }) = row;
        let base = world.records.get(id);
        let previous = match row {
            Row::Store { previous, .. } => previous,
            Row::Attributes { previous, .. } | Row::Delete { previous, .. } => Some(previous),
        };
        let expected = base.map(|base| (base.slot, &base.metadata));
        assert_eq!(
            previous.map(|p| (p.slot, &p.metadata)),
            expected,
            "previous of {id}"
        );
        after.written.push(id.to_owned());
        match row {
            Row::Store {
                vector,
                text,
                metadata,
                ..
            } => {
                let record = ModelRecord {
                    slot: 0,
                    version: SEQUENCE,
                    vector: vector.to_vec(),
                    text: text.map(str::to_owned),
                    metadata: both_forms(metadata),
                    is_unreadable: false,
                };
                after.records.insert(id.to_owned(), record);
            }
            Row::Attributes { metadata, .. } => {
                let record = after.records.get_mut(id).unwrap();
                record.version = SEQUENCE;
                record.metadata = both_forms(metadata);
            }
            Row::Delete { .. } => {
                after.records.remove(id);
            }
        }
    }
    after
}

fn both_forms(metadata: MetadataRef<'_>) -> Metadata {
    let map = metadata.map.cloned().unwrap_or_default();
    assert_eq!(metadata.bytes, serde_json::to_vec(&map).unwrap());
    map
}

// Requests.

fn any_metadata() -> impl Strategy<Value = Option<Metadata>> {
    let some = prop_oneof![
        Just(json!({})),
        Just(json!({"k": 1})),
        Just(json!({"k": null})),
        Just(json!({"k": {"x": 1}})),
        Just(json!({"k": {"x": null, "y": 2.5}})),
        Just(json!({"l": [1, "two"]})),
        Just(json!({"$bad": 1})),
    ];
    proptest::option::weighted(0.6, some.prop_map(object))
}

/// Numbers of a vector, mostly two.
fn any_data() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![3 => Just(None), 9 => Just(Some(2)), 1 => Just(Some(0)), 1 => Just(Some(3))]
}

fn any_kind(verb: WriteVerb) -> BoxedStrategy<(OperationKind, Option<usize>)> {
    let text = || proptest::option::weighted(0.3, "[xy]".prop_map(String::from));
    let conflict = prop_oneof![
        Just(OnConflict::Error),
        Just(OnConflict::Replace),
        Just(OnConflict::Skip)
    ];
    let insert = (any_data(), text(), any_metadata(), conflict)
        .prop_map(|(len, text, metadata, on_conflict)| {
            (
                OperationKind::Insert {
                    data: None,
                    text,
                    metadata,
                    on_conflict,
                },
                len,
            )
        })
        .boxed();
    let mode = prop_oneof![Just(MetadataMode::Merge), Just(MetadataMode::Replace)];
    let data = prop_oneof![2 => Just(None), 1 => any_data()];
    let update = (data, text(), any_metadata(), mode)
        .prop_map(|(len, text, metadata, metadata_mode)| {
            (
                OperationKind::Update {
                    data: None,
                    text,
                    metadata,
                    metadata_mode,
                },
                len,
            )
        })
        .boxed();
    let delete = prop_oneof![Just(Missing::Error), Just(Missing::Ignore)]
        .prop_map(|missing| (OperationKind::Delete { missing }, None))
        .boxed();
    match verb {
        WriteVerb::Insert => insert,
        WriteVerb::Update => update,
        WriteVerb::Delete => delete,
        WriteVerb::Mixed => prop_oneof![insert, update, delete].boxed(),
    }
}

fn any_operation(
    verb: WriteVerb,
    atomic: bool,
) -> impl Strategy<Value = (Operation, Option<usize>)> {
    let ids = ["a", "b", "c", "new", "newer", "unreadable", ""];
    let id = proptest::sample::select(ids.to_vec());
    let condition = match verb {
        WriteVerb::Mixed => proptest::option::weighted(0.2, 0..4u64).boxed(),
        _ => Just(None).boxed(),
    };
    let group = match atomic {
        true => Just(None).boxed(),
        false => proptest::option::weighted(0.6, "[gh]".prop_map(String::from)).boxed(),
    };
    (
        id,
        any_kind(verb),
        condition,
        group,
        proptest::bool::weighted(0.03),
    )
        .prop_map(|(id, (kind, len), if_version, group, is_refused)| {
            let refused =
                is_refused.then(|| Box::new(Error::new(ErrorCode::InvalidMetadata, "refused")));
            (
                Operation {
                    id: id.to_owned(),
                    kind,
                    group,
                    if_version,
                    refused,
                },
                len,
            )
        })
}

prop_compose! {
    fn any_request()(
        verb in prop_oneof![
            1 => Just(WriteVerb::Insert),
            1 => Just(WriteVerb::Update),
            1 => Just(WriteVerb::Delete),
            4 => Just(WriteVerb::Mixed),
        ],
        atomic in any::<bool>(),
        last_wins in any::<bool>(),
    )(
        parts in vec(any_operation(verb, atomic), 0..8),
        verb in Just(verb),
        atomic in Just(atomic),
        last_wins in Just(last_wins),
    ) -> WriteRequest {
        let mut request = WriteRequest { verb, ..WriteRequest::default() };
        request.options.atomic = atomic;
        if last_wins {
            request.options.duplicates = Duplicates::LastWins;
        }
        for (operation, len) in parts {
            push(&mut request, operation, len);
        }
        request
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

fn embed(request: &mut WriteRequest, checked: &mut Checked) {
    let rows: Vec<f32> = checked
        .to_embed
        .iter()
        .flat_map(|index| embedding(*index))
        .collect();
    checked.embed(&mut request.vectors, &rows, &SHAPE).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_does_what_the_operations_do_one_by_one(request in any_request()) {
        let mut request = request;
        let before = world();
        let mut checked = check(&request, &SHAPE).unwrap();
        let preview = plan(&request, &checked, &before);
        embed(&mut request, &mut checked);
        let plan = plan(&request, &checked, &before);
        prop_assert_eq!(&preview, &plan);

        let mut expected = before.clone();
        let verdicts = model_plan(&mut expected, &request);
        let outcomes: Vec<Verdict> = plan.outcomes.iter().map(verdict).collect();
        prop_assert_eq!(outcomes, verdicts);
        prop_assert_eq!(Counts::of(&plan.outcomes).total(), request.operations.len());

        let mut after = apply(&before, &plan, &request, &checked);
        // A record that the batch made and removed again leaves no action.
        let known = |id: &String| {
            before.records.contains_key(id) || expected.records.contains_key(id)
        };
        expected.written.retain(|id| known(id));
        for world in [&mut after, &mut expected] {
            world.records.values_mut().for_each(|record| record.slot = 0);
        }
        prop_assert_eq!(after, expected);
    }
}

fn verdict(outcome: &Outcome) -> Verdict {
    match (&outcome.error, outcome.status) {
        (Some(error), Status::Failed) => Err(error.code),
        (None, status) if status != Status::Failed => Ok(status),
        _ => panic!("an error exactly where it failed: {outcome:?}"),
    }
}

// Examples.

fn mixed(atomic: bool, operations: Vec<Operation>) -> (WriteRequest, Plan) {
    let mut request = WriteRequest {
        verb: WriteVerb::Mixed,
        ..WriteRequest::default()
    };
    request.options.atomic = atomic;
    for operation in operations {
        let len = matches!(operation.kind, OperationKind::Insert { .. }).then_some(2);
        push(&mut request, operation, len);
    }
    let checked = check(&request, &SHAPE).unwrap();
    let plan = plan(&request, &checked, &world());
    (request, plan)
}

fn operation(id: &str, kind: OperationKind) -> Operation {
    Operation {
        id: id.to_owned(),
        kind,
        group: None,
        if_version: None,
        refused: None,
    }
}

fn insert(id: &str) -> Operation {
    let (data, text, metadata) = (None, None, None);
    let on_conflict = OnConflict::Error;
    operation(
        id,
        OperationKind::Insert {
            data,
            text,
            metadata,
            on_conflict,
        },
    )
}

fn update(id: &str, metadata: serde_json::Value) -> Operation {
    let (data, text, metadata) = (None, None, Some(object(metadata)));
    let metadata_mode = MetadataMode::Merge;
    operation(
        id,
        OperationKind::Update {
            data,
            text,
            metadata,
            metadata_mode,
        },
    )
}

fn delete(id: &str) -> Operation {
    operation(
        id,
        OperationKind::Delete {
            missing: Missing::Error,
        },
    )
}

fn statuses(plan: &Plan) -> Vec<Verdict> {
    plan.outcomes.iter().map(verdict).collect()
}

#[test]
fn a_record_made_and_removed_leaves_nothing_to_commit() {
    let (_, plan) = mixed(
        true,
        vec![insert("new"), update("new", json!({"k": 1})), delete("new")],
    );
    assert_eq!(
        statuses(&plan),
        [
            Ok(Status::Created),
            Ok(Status::Updated),
            Ok(Status::Deleted)
        ]
    );
    assert!(!plan.commits());
}

#[test]
fn an_insert_and_its_update_fold_to_one_store() {
    let (_, plan) = mixed(true, vec![insert("new"), update("new", json!({"k": 1}))]);
    let [
        Action::Store {
            id_of: 0,
            vector_of: 0,
            text_of: None,
            metadata,
            previous: None,
        },
    ] = &plan.actions[..]
    else {
        panic!("{plan:?}");
    };
    let NewMetadata::Made(made) = metadata else {
        panic!("{metadata:?}")
    };
    assert_eq!(made.bytes, br#"{"k":1}"#);
}

#[test]
fn a_delete_and_an_insert_fold_to_a_store_that_knows_what_was_there() {
    let (_, plan) = mixed(true, vec![delete("b"), insert("b")]);
    assert_eq!(statuses(&plan), [Ok(Status::Deleted), Ok(Status::Created)]);
    let [
        Action::Store {
            vector_of: 1,
            previous: Some(previous),
            ..
        },
    ] = &plan.actions[..]
    else {
        panic!("{plan:?}");
    };
    assert_eq!(
        (previous.slot, &previous.metadata),
        (1, &object(json!({"k": 1})))
    );
}

#[test]
fn actions_stand_in_the_order_of_first_writes() {
    let operations = vec![
        insert("a"),
        insert("new"),
        delete("a"),
        update("b", json!({"k": 2})),
    ];
    let (request, plan) = mixed(false, operations);
    let id_of = |action: &Action| match action {
        Action::Store { id_of, .. }
        | Action::Attributes { id_of, .. }
        | Action::Delete { id_of, .. } => request.operations[*id_of].id.clone(),
    };
    assert_eq!(
        plan.actions.iter().map(id_of).collect::<Vec<_>>(),
        ["new", "a", "b"]
    );
}

#[test]
fn an_aborted_operation_says_which_one_failed() {
    let (_, plan) = mixed(true, vec![insert("new"), insert("a"), delete("newer")]);
    let codes: Vec<_> = plan
        .outcomes
        .iter()
        .map(|outcome| verdict(outcome).err())
        .collect();
    let expected = [
        ErrorCode::BatchAborted,
        ErrorCode::AlreadyExists,
        ErrorCode::NotFound,
    ];
    assert_eq!(codes, expected.map(Some));
    assert_eq!(
        plan.outcomes[0].error.as_ref().unwrap().details["cause_index"],
        1
    );
    assert_eq!(plan.actions, []);
}

#[test]
fn a_failed_group_takes_nothing_else_with_it() {
    let in_group = |mut operation: Operation| {
        operation.group = Some("g".to_owned());
        operation
    };
    let operations = vec![
        update("b", json!({"k": 2})),
        in_group(update("b", json!({"k": 3}))),
        in_group(delete("missing")),
        update("b", json!({"l": 4})),
    ];
    let (_, plan) = mixed(false, operations);
    assert_eq!(
        statuses(&plan),
        [
            Ok(Status::Updated),
            Err(ErrorCode::BatchAborted),
            Err(ErrorCode::NotFound),
            Ok(Status::Updated)
        ]
    );
    let [
        Action::Attributes {
            metadata: NewMetadata::Made(made),
            ..
        },
    ] = &plan.actions[..]
    else {
        panic!("{plan:?}");
    };
    assert_eq!(made.map, object(json!({"k": 2, "l": 4})));
}

#[test]
fn conditions_name_the_expected_and_the_actual_version() {
    let conditional = |version, mut operation: Operation| {
        operation.if_version = Some(version);
        operation
    };
    let operations = vec![
        conditional(2, update("b", json!({"k": 2}))),
        conditional(9, delete("b")),
        conditional(7, delete("c")),
        conditional(0, insert("new")),
        conditional(0, insert("a")),
        conditional(5, insert("newer")),
    ];
    let (_, plan) = mixed(false, operations);
    let unmet = Err(ErrorCode::ConditionFailed);
    assert_eq!(
        statuses(&plan),
        [
            Ok(Status::Updated),
            Err(ErrorCode::InvalidArgument),
            unmet,
            Ok(Status::Created),
            unmet,
            unmet
        ]
    );
    let details = &plan.outcomes[2].error.as_ref().unwrap().details;
    assert_eq!(
        (&details["expected"], &details["actual"]),
        (&json!(7), &json!(3))
    );
    assert_eq!(
        plan.outcomes[5].error.as_ref().unwrap().details["actual"],
        0
    );
}

#[test]
fn metadata_that_grows_beyond_the_limit_by_merging_is_refused() {
    let half = "x".repeat(40_000);
    let operations = vec![
        update("a", json!({"k": half})),
        update("a", json!({"l": half})),
        delete("b"),
    ];
    let (_, plan) = mixed(false, operations);
    assert_eq!(
        statuses(&plan),
        [
            Ok(Status::Updated),
            Err(ErrorCode::InvalidMetadata),
            Ok(Status::Deleted)
        ]
    );
}

#[test]
fn a_row_without_its_embedding_is_our_own_fault() {
    let mut request = WriteRequest::default();
    let (data, text, metadata) = (None, Some("text".to_owned()), None);
    let on_conflict = OnConflict::Error;
    let kind = OperationKind::Insert {
        data,
        text,
        metadata,
        on_conflict,
    };
    push(&mut request, operation("new", kind), None);
    let checked = check(&request, &SHAPE).unwrap();
    let plan = plan(&request, &checked, &world());
    let error = plan.actions[0].row(&request, &checked).unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
}
