use serde_json::{Value, json};

use super::{code_and_field, decode, refusal, write};
use crate::batch::{
    Duplicates, Level, MetadataMode, Missing, OnConflict, OperationKind, OutcomeDetail, StreamPart,
    WriteOptions, WriteRequest, WriteVerb,
};
use crate::codec::Request;
use crate::error::{Error, ErrorCode};

/// The vector, text and metadata that an operation gives.
type Parts<'a> = (Option<&'a [f32]>, Option<&'a str>, Option<Value>);

fn parts(request: &WriteRequest, index: usize) -> Parts<'_> {
    let operation = &request.operations[index];
    let data = match &operation.kind {
        OperationKind::Insert { data, .. } | OperationKind::Update { data, .. } => *data,
        OperationKind::Delete { .. } => None,
    };
    let metadata = operation
        .metadata()
        .map(|metadata| Value::Object(metadata.clone()));
    (
        data.map(|range| request.vectors.get(range)),
        operation.text(),
        metadata,
    )
}

fn write_error(verb: &str, body: &Value, block: Vec<f32>) -> Error {
    write(verb, body, block).unwrap_err()
}

#[test]
fn an_insert_of_rows() {
    let body = json!({ "vectors": [
        { "id": "a", "data": [1, -2.5e0, 1e39], "metadata": {"k": [1.0, 1]} },
        { "id": "b", "text": "t", "group": "g" },
        { "id": "c", "data": [], "text": null, "metadata": null },
    ], "atomic": false });
    let request = write("insert", &body, vec![]).unwrap();
    assert_eq!(request.verb, WriteVerb::Insert);
    assert!(
        request
            .operations
            .iter()
            .all(|operation| operation.refused.is_none())
    );
    let data: &[f32] = &[1.0, -2.5, f32::INFINITY];
    assert_eq!(
        parts(&request, 0),
        (Some(data), None, Some(json!({"k": [1.0, 1]})))
    );
    assert_eq!(parts(&request, 1), (None, Some("t"), None));
    assert_eq!(parts(&request, 2), (Some(&[][..]), None, None));
    assert_eq!(request.operations[1].group.as_deref(), Some("g"));
}

#[test]
fn columns_beside_a_block() {
    let body = json!({
        "ids": ["a", "b"],
        "texts": [null, "t"],
        "metadata": [{"k": 1}, null],
        "on_conflict": "replace",
    });
    let request = write("insert", &body, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(
        parts(&request, 0),
        (Some(&[1.0, 2.0][..]), None, Some(json!({"k": 1})))
    );
    assert_eq!(parts(&request, 1), (Some(&[3.0, 4.0][..]), Some("t"), None));
    let kind = &request.operations[1].kind;
    assert!(matches!(
        kind,
        OperationKind::Insert {
            on_conflict: OnConflict::Replace,
            ..
        }
    ));

    let body = json!({ "ids": ["a"], "metadata": [{}], "metadata_mode": "replace" });
    let request = write("update", &body, vec![]).unwrap();
    let kind = &request.operations[0].kind;
    assert!(matches!(
        kind,
        OperationKind::Update {
            metadata_mode: MetadataMode::Replace,
            ..
        }
    ));
    assert_eq!(parts(&request, 0), (None, None, Some(json!({}))));
}

#[test]
fn columns_agree_in_length() {
    for column in ["texts", "metadata"] {
        let error = write_error(
            "insert",
            &json!({ "ids": ["a", "b"], column: [null] }),
            vec![],
        );
        assert_eq!(code_and_field(&error), (ErrorCode::InvalidArgument, column));
        assert_eq!(
            (&error.details["actual"], &error.details["expected"]),
            (&json!(1), &json!(2))
        );
    }
}

#[test]
fn rows_and_columns_exclude_each_other() {
    let both = write_error("insert", &json!({ "vectors": [], "ids": [] }), vec![]);
    assert_eq!(code_and_field(&both), (ErrorCode::InvalidArgument, "ids"));
    let neither = write_error("update", &json!({}), vec![]);
    assert_eq!(
        code_and_field(&neither),
        (ErrorCode::InvalidArgument, "updates")
    );
    let columns_of_rows = write_error("insert", &json!({ "vectors": [], "texts": [] }), vec![]);
    assert_eq!(
        code_and_field(&columns_of_rows),
        (ErrorCode::InvalidArgument, "texts")
    );
}

#[test]
fn a_block_is_cut_by_lengths() {
    let body = json!({ "updates": [{ "id": "a" }, { "id": "b" }, { "id": "c" }],
                       "lengths": [2, -1, 0] });
    let request = write("update", &body, vec![1.0, 2.0]).unwrap();
    assert_eq!(parts(&request, 0).0, Some(&[1.0, 2.0][..]));
    assert_eq!(parts(&request, 1).0, None);
    assert_eq!(parts(&request, 2).0, Some(&[][..]));
}

#[test]
fn a_block_that_does_not_fit_is_refused_with_the_numbers() {
    let rows = json!([{ "id": "a" }, { "id": "b" }]);
    let cases = [
        (json!({ "vectors": rows }), 3, "block"),
        (json!({ "vectors": [] }), 1, "block"),
        (json!({ "vectors": rows, "lengths": [1] }), 1, "lengths"),
        (json!({ "vectors": rows, "lengths": [1, 1] }), 3, "lengths"),
        (json!({ "vectors": rows, "lengths": [2, 2] }), 3, "lengths"),
        (json!({ "vectors": rows, "lengths": [1, -2] }), 1, "lengths"),
        (
            json!({ "vectors": rows, "lengths": [9007199254740992u64, 9007199254740992u64] }),
            1,
            "lengths",
        ),
        (
            json!({ "vectors": rows, "lengths": ["1", 2] }),
            3,
            "lengths",
        ),
    ];
    for (body, numbers, field) in cases {
        let error = write_error("insert", &body, vec![0.0; numbers]);
        assert_eq!(
            code_and_field(&error),
            (ErrorCode::InvalidArgument, field),
            "{body}"
        );
    }
    let error = write_error("delete", &json!({ "vector_ids": ["a"] }), vec![0.0]);
    assert_eq!(
        code_and_field(&error),
        (ErrorCode::InvalidArgument, "block")
    );
}

/// Code, field (`-` for none), element of an insert.
const BAD_ELEMENTS: &str = r#"
INVALID_ID id {"id": 5, "data": [1]}
INVALID_ID id {"data": [1]}
INVALID_ID id {"id": null, "data": [1]}
INVALID_VECTOR data {"id": "a", "data": "x"}
INVALID_VECTOR data {"id": "a", "data": [1, "x"]}
INVALID_VECTOR data {"id": "a", "data": [1, null]}
INVALID_VECTOR data {"id": "a", "data": [1, "2,3"]}
INVALID_VECTOR data {"id": "a", "data": [[1], 2]}
INVALID_VECTOR data {"id": "a", "data": {"0": 1}}
INVALID_METADATA metadata {"id": "a", "metadata": [1]}
INVALID_METADATA metadata {"id": "a", "metadata": "{}"}
INVALID_ARGUMENT text {"id": "a", "text": 1}
INVALID_ARGUMENT group {"id": "a", "group": 1}
INVALID_ARGUMENT payload {"id": "a", "payload": {}}
INVALID_ARGUMENT op {"id": "a", "op": "insert"}
INVALID_ARGUMENT if_version {"id": "a", "if_version": 1}
INVALID_ARGUMENT id {"id": "a", "id": "b"}
INVALID_ARGUMENT - []
INVALID_ARGUMENT - "a"
"#;

#[test]
fn a_malformed_element_fails_alone_with_its_own_code() {
    for line in BAD_ELEMENTS.trim().lines() {
        let parts: Vec<&str> = line.splitn(3, ' ').collect();
        let good = r#"{"id": "good", "data": [7]}"#;
        let text = format!(
            r#"{{"collection": "c", "vectors": [{good}, {}, {good}]}}"#,
            parts[2]
        );
        let request = decode("insert", "json", text.as_bytes(), vec![]).unwrap();
        let Request::Write { request, .. } = request else {
            panic!()
        };
        let (code, field) = refusal(&request.operations[1]);
        assert_eq!(code.as_str(), parts[0], "{line}");
        assert_eq!(field, parts[1].trim_matches('-'), "{line}");
        for index in [0, 2] {
            assert_eq!(request.operations[index].refused, None);
            assert_eq!(self::parts(&request, index).0, Some(&[7.0][..]));
        }
    }
}

#[test]
fn a_malformed_column_entry_fails_alone() {
    let body = json!({
        "ids": ["a", 1, "c", "d"],
        "texts": [null, null, {}, null],
        "metadata": [null, null, null, 4],
    });
    let request = write("insert", &body, vec![0.0; 4]).unwrap();
    assert_eq!(request.operations[0].refused, None);
    assert_eq!(
        refusal(&request.operations[1]),
        (ErrorCode::InvalidId, "id")
    );
    assert_eq!(
        refusal(&request.operations[2]),
        (ErrorCode::InvalidArgument, "text")
    );
    assert_eq!(
        refusal(&request.operations[3]),
        (ErrorCode::InvalidMetadata, "metadata")
    );
    assert_eq!(request.operations[3].id, "d");
}

#[test]
fn an_operation_that_is_refused_keeps_its_id_and_group() {
    let body = json!({ "vectors": [
        { "id": "a", "group": "g", "data": [null] },
        { "id": 7, "group": "g" },
    ], "atomic": false });
    let request = write("insert", &body, vec![]).unwrap();
    assert_eq!(request.operations[0].id, "a");
    for operation in &request.operations {
        assert!(operation.refused.is_some());
        assert_eq!(operation.group.as_deref(), Some("g"));
    }
}

#[test]
fn a_vector_stands_in_one_place() {
    let body = json!({ "vectors": [{ "id": "a", "data": [1] }, { "id": "b" }] });
    let request = write("insert", &body, vec![8.0, 9.0]).unwrap();
    assert_eq!(
        refusal(&request.operations[0]),
        (ErrorCode::InvalidArgument, "data")
    );
    assert_eq!(parts(&request, 1).0, Some(&[9.0][..]));

    let body = json!({ "vectors": [{ "id": "a", "data": [1] }, { "id": "b" }],
                       "lengths": [-1, 2] });
    let request = write("insert", &body, vec![8.0, 9.0]).unwrap();
    assert_eq!(parts(&request, 0).0, Some(&[1.0][..]));
    assert_eq!(parts(&request, 1).0, Some(&[8.0, 9.0][..]));

    let body = json!({ "operations": [{ "op": "delete", "id": "a" }] });
    let request = write("write", &body, vec![8.0]).unwrap();
    assert_eq!(
        refusal(&request.operations[0]),
        (ErrorCode::InvalidArgument, "data")
    );
}

#[test]
fn a_mixed_batch_has_rules_per_operation() {
    let body = json!({ "operations": [
        { "op": "insert", "id": "a", "data": [1], "on_conflict": "skip", "if_version": 0 },
        { "op": "update", "id": "b", "metadata": {}, "metadata_mode": "replace" },
        { "op": "delete", "id": "c", "missing": "ignore", "if_version": 3.0 },
        { "op": "upsert", "id": "d" },
        { "id": "e" },
        { "op": "delete", "id": "f", "on_conflict": "skip" },
        { "op": "insert", "id": "g", "if_version": -1 },
    ]});
    let request = write("write", &body, vec![]).unwrap();
    assert_eq!(request.verb, WriteVerb::Mixed);
    let [insert, update, delete, rest @ ..] = &request.operations[..] else {
        panic!()
    };
    assert!(matches!(
        insert.kind,
        OperationKind::Insert {
            on_conflict: OnConflict::Skip,
            ..
        }
    ));
    assert!(matches!(
        update.kind,
        OperationKind::Update {
            metadata_mode: MetadataMode::Replace,
            ..
        }
    ));
    assert_eq!(
        delete.kind,
        OperationKind::Delete {
            missing: Missing::Ignore
        }
    );
    assert_eq!(
        [insert.if_version, update.if_version, delete.if_version],
        [Some(0), None, Some(3)]
    );
    let refusals: Vec<_> = rest.iter().map(|operation| refusal(operation).1).collect();
    assert_eq!(refusals, ["op", "op", "on_conflict", "if_version"]);
}

#[test]
fn deletes_keep_ids_to_the_byte() {
    let ids = json!(["a", "\u{0}\n\"\\\u{7f}", "ü", "😀", ""]);
    let body = json!({ "vector_ids": ids, "missing": "ignore" });
    let request = write("delete", &body, vec![]).unwrap();
    let read: Vec<_> = request
        .operations
        .iter()
        .map(|operation| operation.id.clone())
        .collect();
    assert_eq!(json!(read), ids);
}

#[test]
fn options_have_their_defaults() {
    let request = write("delete", &json!({ "vector_ids": [] }), vec![]).unwrap();
    assert_eq!(request.options, WriteOptions::default());
    assert!(request.options.atomic);

    let body = json!({
        "vector_ids": [],
        "atomic": false,
        "batch_size_limit": 7,
        "duplicates": "last_wins",
        "validate_only": true,
        "wait_for": "indexed",
        "outcomes": "all",
        "idempotency_key": "key",
        "stream_id": "stream",
        "offset": 9,
        "stage": 4,
    });
    let expected = WriteOptions {
        atomic: false,
        batch_size_limit: Some(7),
        duplicates: Duplicates::LastWins,
        validate_only: true,
        wait_for: Level::Indexed,
        outcomes: OutcomeDetail::All,
        idempotency_key: Some("key".to_owned()),
        stream: Some(StreamPart {
            stream_id: "stream".to_owned(),
            offset: 9,
        }),
        stage: Some(4),
    };
    assert_eq!(write("delete", &body, vec![]).unwrap().options, expected);
}

#[test]
fn wrong_options_refuse_the_request() {
    let cases = [
        ("atomic", json!("true")),
        ("atomic", json!(1)),
        ("batch_size_limit", json!(0)),
        ("batch_size_limit", json!(-1)),
        ("batch_size_limit", json!(1.5)),
        ("duplicates", json!("first_wins")),
        ("validate_only", json!([])),
        ("wait_for", json!("received")),
        ("outcomes", json!({ "all": true })),
        ("idempotency_key", json!("")),
        ("idempotency_key", json!("x".repeat(256))),
        ("idempotency_key", json!(5)),
        ("missing", json!("Ignore")),
        ("on_conflict", json!("replace")),
        ("collection_name", json!("c")),
    ];
    for (field, value) in cases {
        let error = write_error("delete", &json!({ "vector_ids": [], field: value }), vec![]);
        assert_eq!(code_and_field(&error), (ErrorCode::InvalidArgument, field));
    }
}

#[test]
fn a_mixed_batch_has_no_rule_for_duplicates() {
    let body = json!({ "operations": [], "duplicates": "last_wins" });
    let error = write_error("write", &body, vec![]);
    assert_eq!(
        code_and_field(&error),
        (ErrorCode::InvalidArgument, "duplicates")
    );
    assert!(!error.message.contains("duplicates,"), "{}", error.message);
}

#[test]
fn an_integer_that_would_lose_digits_is_refused() {
    let wide = "123456789012345678901234567890";
    let operation = |metadata: &str| {
        let text = format!(r#"{{"collection": "c", "ids": ["a"], "metadata": [{metadata}]}}"#);
        match decode("insert", "json", text.as_bytes(), vec![]).unwrap() {
            Request::Write { mut request, .. } => request.operations.remove(0),
            other => panic!("{other:?}"),
        }
    };
    for metadata in [
        format!(r#"{{"k": {wide}}}"#),
        format!(r#"{{"k\"": "\\", "l": [1, {{"m": -{wide} }}]}}"#),
        r#"{"k":18446744073709551616}"#.to_owned(),
    ] {
        let expected = (ErrorCode::InvalidMetadata, "metadata");
        assert_eq!(refusal(&operation(&metadata)), expected, "{metadata}");
    }
    for metadata in [
        format!(r#"{{"{wide}": "{wide}", "k": "\"{wide}", "l": "\\"}}"#),
        format!(r#"{{"k": {wide}.0, "l": {wide}e0, "m": -0}}"#),
        r#"{"k":18446744073709551615,"l":-9223372036854775808,"m":[]}"#.to_owned(),
    ] {
        assert_eq!(operation(&metadata).refused, None, "{metadata}");
    }
}
