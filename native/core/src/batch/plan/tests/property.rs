//! Plans of any request against the model.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::model::{ModelRecord, SEQUENCE, World, embedding, run_batch};
use super::*;
use crate::batch::{Counts, Duplicates, MetadataMode, Missing, OnConflict, WriteVerb, check};

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
        let expected = base.map(|base| (base.slot, base.metadata.clone()));
        assert_eq!(
            previous.map(|p| (p.slot, parsed(&p.metadata))),
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
                    metadata: parsed(metadata),
                    is_unreadable: false,
                };
                after.records.insert(id.to_owned(), record);
            }
            Row::Attributes { metadata, .. } => {
                let record = after.records.get_mut(id).unwrap();
                record.version = SEQUENCE;
                record.metadata = parsed(metadata);
            }
            Row::Delete { .. } => {
                after.records.remove(id);
            }
        }
    }
    after
}

fn parsed(metadata: &[u8]) -> Metadata {
    let map = serde_json::from_slice(metadata).unwrap();
    assert_eq!(metadata, serde_json::to_vec(&map).unwrap());
    map
}

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
    proptest::option::weighted(0.6, some.prop_map(|value| object(&value)))
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
        let verdicts = run_batch(&mut expected, &request);
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
