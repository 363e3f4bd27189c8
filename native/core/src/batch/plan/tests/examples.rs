//! What folds to what.

use serde_json::json;

use super::*;
use crate::batch::{MetadataMode, Missing, OnConflict, WriteVerb, check};

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

fn update(id: &str, metadata: &serde_json::Value) -> Operation {
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
        vec![
            insert("new"),
            update("new", &json!({"k": 1})),
            delete("new"),
        ],
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
    let (_, plan) = mixed(true, vec![insert("new"), update("new", &json!({"k": 1}))]);
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
    assert_eq!(made, br#"{"k":1}"#);
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
        (previous.slot, &previous.metadata[..]),
        (1, &br#"{"k":1}"#[..])
    );
}

#[test]
fn actions_stand_in_the_order_of_first_writes() {
    let operations = vec![
        insert("a"),
        insert("new"),
        delete("a"),
        update("b", &json!({"k": 2})),
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
        update("b", &json!({"k": 2})),
        in_group(update("b", &json!({"k": 3}))),
        in_group(delete("missing")),
        update("b", &json!({"l": 4})),
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
    assert_eq!(made, br#"{"k":2,"l":4}"#);
}

#[test]
fn conditions_name_the_expected_and_the_actual_version() {
    let conditional = |version, mut operation: Operation| {
        operation.if_version = Some(version);
        operation
    };
    let operations = vec![
        conditional(2, update("b", &json!({"k": 2}))),
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
        update("a", &json!({"k": half})),
        update("a", &json!({"l": half})),
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
