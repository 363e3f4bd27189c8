use super::*;
use crate::batch::{Effort, Include, MetadataMode, Missing, OnConflict, WriteVerb};

fn shape(metric: Metric) -> CollectionShape {
    CollectionShape {
        dimension: 3,
        metric,
        has_embedder: false,
    }
}

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Euclidean, Metric::DotProduct];
const GOOD: &[f32] = &[1.0; 3];

fn operation(id: &str, kind: OperationKind) -> Operation {
    Operation {
        id: id.to_owned(),
        kind,
        group: None,
        if_version: None,
        refused: None,
    }
}

/// A best-effort batch of inserts with these vectors.
fn inserts(vectors: &[&[f32]]) -> WriteRequest {
    let mut request = WriteRequest::default();
    request.options.atomic = false;
    for (index, values) in vectors.iter().enumerate() {
        let data = Some(VectorRange {
            start: request.vectors.values.len(),
            len: values.len(),
        });
        request.vectors.values.extend_from_slice(values);
        let (text, metadata, on_conflict) = (None, None, OnConflict::Error);
        let kind = OperationKind::Insert {
            data,
            text,
            metadata,
            on_conflict,
        };
        request
            .operations
            .push(operation(&format!("id {index}"), kind));
    }
    request
}

fn codes(checked: &Checked) -> Vec<Option<ErrorCode>> {
    checked
        .operations
        .iter()
        .map(|one| one.error.as_ref().map(|error| error.code))
        .collect()
}

fn check_one(values: &[f32], metric: Metric) -> Option<Error> {
    let checked = check(&inserts(&[values]), &shape(metric)).unwrap();
    checked.operations[0].error.as_deref().cloned()
}

#[test]
fn a_vector_has_the_collections_dimension() {
    let error = check_one(&[], Metric::Cosine).unwrap();
    let expected = (ErrorCode::InvalidVector, "Vector data cannot be empty");
    assert_eq!((error.code, error.message.as_str()), expected);
    let error = check_one(&[1.0, 2.0], Metric::Cosine).unwrap();
    assert_eq!(error.code, ErrorCode::DimensionMismatch);
    assert_eq!(
        (&error.details["expected"], &error.details["actual"]),
        (&3.into(), &2.into())
    );
    assert_eq!(check_one(&[1.0, -0.0, 2.0], Metric::Cosine), None);
}

#[test]
fn the_first_number_that_is_not_finite_is_named() {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for (value, name) in values.into_iter().zip(["NaN", "inf", "-inf"]) {
        for metric in METRICS {
            let error = check_one(&[f32::MAX, value, f32::NAN], metric).unwrap();
            assert_eq!(error.code, ErrorCode::InvalidVector);
            assert_eq!(error.details["position"], 1);
            assert_eq!(error.details["value"], name);
        }
    }
}

#[test]
fn a_bad_number_is_found_wherever_it_stands() {
    let shape = CollectionShape {
        dimension: 100,
        metric: Metric::Euclidean,
        has_embedder: false,
    };
    for position in 0..100 {
        let mut values = vec![1.0; 100];
        values[position] = f32::NAN;
        assert_eq!(
            check_vector(&values, &shape).unwrap_err().details["position"],
            position
        );
    }
}

#[test]
fn only_the_cosine_needs_a_direction() {
    for values in [[0.0, -0.0, 0.0], [1e-30, 1e-30, 0.0]] {
        let error = check_one(&values, Metric::Cosine).unwrap();
        assert_eq!(error.code, ErrorCode::InvalidVector);
        assert_eq!(check_one(&values, Metric::Euclidean), None);
        assert_eq!(check_one(&values, Metric::DotProduct), None);
    }
}

#[test]
fn a_vector_whose_square_overflows_has_no_score_under_any_metric() {
    for metric in METRICS {
        let error = check_one(&[1e30, 1.0, 1.0], metric).unwrap();
        assert_eq!(error.code, ErrorCode::InvalidVector);
        assert!(!error.details.contains_key("position"));
    }
}

#[test]
fn an_id_has_1_to_512_bytes() {
    let mut request = inserts(&[GOOD; 3]);
    request.operations[0].id.clear();
    request.operations[1].id = "ü".repeat(256);
    request.operations[2].id = "ü".repeat(257);
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    let invalid = Some(ErrorCode::InvalidId);
    assert_eq!(codes(&checked), [invalid, None, invalid]);
    assert_eq!(
        checked.operations[2].error.as_ref().unwrap().details["actual"],
        514
    );
}

#[test]
fn an_atomic_batch_has_no_groups() {
    let mut request = inserts(&[GOOD; 2]);
    request.operations[1].group = Some("g".to_owned());
    assert!(check(&request, &shape(Metric::Cosine)).is_ok());
    request.options.atomic = true;
    let error = check(&request, &shape(Metric::Cosine)).unwrap_err();
    assert_eq!(
        (error.code, &error.details["index"]),
        (ErrorCode::InvalidArgument, &1.into())
    );
}

#[test]
fn a_torn_group_lands_nowhere() {
    let mut request = inserts(&[GOOD; 5]);
    for (operation, group) in request.operations.iter_mut().zip(["g", "g", "h", "g", "h"]) {
        operation.group = Some(group.to_owned());
    }
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    let (aborted, torn) = (
        Some(ErrorCode::BatchAborted),
        Some(ErrorCode::InvalidArgument),
    );
    assert_eq!(codes(&checked), [aborted, aborted, aborted, torn, torn]);
}

#[test]
fn duplicates_are_judged_by_id_whatever_else_is_wrong() {
    let mut request = inserts(&[&[], &[1.0; 3], &[1.0; 3], &[]]);
    request
        .operations
        .iter_mut()
        .for_each(|operation| operation.id = "same".to_owned());
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    let (bad, twice) = (Some(ErrorCode::InvalidVector), Some(ErrorCode::DuplicateId));
    assert_eq!(codes(&checked), [bad, twice, twice, bad]);

    request.options.duplicates = Duplicates::LastWins;
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    assert_eq!(codes(&checked), [bad, None, None, bad]);
    let superseded: Vec<bool> = checked
        .operations
        .iter()
        .map(|one| one.superseded)
        .collect();
    assert_eq!(superseded, [true, true, true, false]);

    request.verb = WriteVerb::Mixed;
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    assert!(checked.operations.iter().all(|one| !one.superseded));
}

fn texts(texts: &[Option<&str>]) -> WriteRequest {
    let mut request = inserts(&vec![&[][..]; texts.len()]);
    for (operation, given) in request.operations.iter_mut().zip(texts) {
        let OperationKind::Insert { data, text, .. } = &mut operation.kind else {
            continue;
        };
        *data = None;
        *text = given.map(str::to_owned);
    }
    request
}

#[test]
fn a_text_stands_in_for_a_vector_only_where_something_embeds_it() {
    let request = texts(&[Some("one"), None, Some("two")]);
    let without = check(&request, &shape(Metric::Cosine)).unwrap();
    assert_eq!(codes(&without), [Some(ErrorCode::InvalidVector); 3]);
    assert_eq!(without.to_embed, [] as [usize; 0]);
    let with = CollectionShape {
        has_embedder: true,
        ..shape(Metric::Cosine)
    };
    let checked = check(&request, &with).unwrap();
    assert_eq!(
        codes(&checked),
        [None, Some(ErrorCode::InvalidVector), None]
    );
    assert_eq!(checked.to_embed, [0, 2]);
}

#[test]
fn embeddings_become_the_vectors_of_their_operations() {
    let mut request = texts(&[Some("one"), None, Some("two")]);
    let shape = CollectionShape {
        has_embedder: true,
        ..shape(Metric::Cosine)
    };
    let mut checked = check(&request, &shape).unwrap();
    let error = checked
        .clone()
        .embed(&mut request.vectors, &[1.0; 5], &shape)
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::EmbeddingFailed);

    let rows = [1.0, 2.0, 3.0, 0.0, 0.0, 0.0];
    checked.embed(&mut request.vectors, &rows, &shape).unwrap();
    let range = checked.operations[0].vector.unwrap();
    assert_eq!(request.vectors.get(range), [1.0, 2.0, 3.0]);
    assert_eq!(codes(&checked)[2], Some(ErrorCode::InvalidVector));
    assert_eq!(checked.to_embed, [] as [usize; 0]);
}

#[test]
fn a_failed_embedding_fails_the_operations_that_needed_it() {
    let mut request = texts(&[Some("one"), Some("two")]);
    request.operations[1].refused = Some(Box::new(Error::invalid("x", "refused")));
    let shape = CollectionShape {
        has_embedder: true,
        ..shape(Metric::Cosine)
    };
    let mut checked = check(&request, &shape).unwrap();
    checked.fail_embedding(&Error::new(ErrorCode::EmbeddingFailed, "out of order"));
    let expected = [ErrorCode::EmbeddingFailed, ErrorCode::InvalidArgument];
    assert_eq!(codes(&checked), expected.map(Some));
}

#[test]
fn texts_and_metadata_have_limits() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let checked = check(&texts(&[Some(&long)]), &shape(Metric::Cosine)).unwrap();
    assert_eq!(
        checked.operations[0].error.as_ref().unwrap().details["limit"],
        TEXT_BYTES_MAX
    );

    let mut request = inserts(&[GOOD; 2]);
    for (operation, key) in request.operations.iter_mut().zip(["key", "$key"]) {
        let OperationKind::Insert { metadata, .. } = &mut operation.kind else {
            continue;
        };
        *metadata = Some(Metadata::from_iter([(key.to_owned(), 1.into())]));
    }
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    assert_eq!(codes(&checked), [None, Some(ErrorCode::InvalidMetadata)]);
    assert_eq!(
        checked.operations[0].metadata.as_deref(),
        Some(&br#"{"key":1}"#[..])
    );
}

#[test]
fn an_update_names_something_to_change() {
    let (data, text, metadata, metadata_mode) = (None, None, None, MetadataMode::Merge);
    let kind = OperationKind::Update {
        data,
        text,
        metadata,
        metadata_mode,
    };
    let request = WriteRequest {
        verb: WriteVerb::Mixed,
        operations: vec![
            operation("id", kind),
            operation(
                "id",
                OperationKind::Delete {
                    missing: Missing::Error,
                },
            ),
        ],
        ..WriteRequest::default()
    };
    let checked = check(&request, &shape(Metric::Cosine)).unwrap();
    assert_eq!(codes(&checked), [Some(ErrorCode::InvalidArgument), None]);
}

#[test]
fn a_big_batch_is_judged_like_a_small_one() {
    let good = [1.0; 3];
    let vectors: Vec<&[f32]> = (0..1000)
        .map(|index| if index % 7 == 0 { &[][..] } else { &good[..] })
        .collect();
    let checked = check(&inserts(&vectors), &shape(Metric::Cosine)).unwrap();
    let expected: Vec<_> = (0..1000)
        .map(|index| (index % 7 == 0).then_some(ErrorCode::InvalidVector))
        .collect();
    assert_eq!(codes(&checked), expected);
}

fn search(inputs: Vec<QueryInput>) -> SearchRequest {
    let query = |(index, input)| Query {
        query_id: format!("query_{index}"),
        input: Some(input),
        limit: 10,
        threshold: None,
        filter: None,
        include: Include::default(),
        effort: Effort::Usual,
        refused: None,
    };
    SearchRequest {
        queries: inputs.into_iter().enumerate().map(query).collect(),
        vectors: Vectors {
            values: vec![1.0, 2.0, 3.0, 4.0],
        },
        ..SearchRequest::default()
    }
}

#[test]
fn a_bad_query_fails_alone_unless_the_search_is_atomic() {
    let vector = |len| QueryInput::Vector(VectorRange { start: 0, len });
    let mut request = search(vec![
        vector(3),
        QueryInput::Text("text".to_owned()),
        vector(4),
    ]);
    let refused = |request: &SearchRequest| -> Vec<_> {
        request
            .queries
            .iter()
            .map(|q| q.refused.as_ref().map(|error| error.code))
            .collect()
    };
    let shape = shape(Metric::Cosine);
    let embedded = CollectionShape {
        has_embedder: true,
        ..shape
    };
    let mut with = request.clone();
    assert_eq!(check_search(&mut with, &embedded), [1]);
    assert_eq!(
        refused(&with),
        [None, None, Some(ErrorCode::DimensionMismatch)]
    );

    assert_eq!(check_search(&mut request.clone(), &shape), [] as [usize; 0]);
    request.atomic = true;
    assert_eq!(check_search(&mut request, &shape), [] as [usize; 0]);
    let expected = [
        ErrorCode::BatchAborted,
        ErrorCode::InvalidQuery,
        ErrorCode::DimensionMismatch,
    ];
    assert_eq!(refused(&request), expected.map(Some));
}
