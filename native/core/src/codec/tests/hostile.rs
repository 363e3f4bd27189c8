//! Bytes that nobody means: no panic, no success by accident.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::decode;
use crate::codec::Request;
use crate::error::ErrorCode;

const VERBS: [&str; 25] = [
    "stage.begin",
    "stage.commit",
    "stage.drop",
    "config",
    "batches.get",
    "batches.cancel",
    "stream.offset",
    "memory.reserve",
    "memory.release",
    "collections.create",
    "collections.list",
    "collections.info",
    "collections.drop",
    "insert",
    "update",
    "delete",
    "write",
    "search",
    "get",
    "list",
    "count",
    "indexed",
    "compact",
    "resume",
    "limits",
];

/// A valid body of each verb, with every field that it may have.
fn full_body(verb: &str) -> Value {
    let options = json!({
        "collection": "c", "atomic": false, "batch_size_limit": 9,
        "validate_only": false, "wait_for": "durable", "outcomes": "all", "idempotency_key": "k",
        "stream_id": "s", "offset": 0, "stage": 1,
    });
    let with_options = |fields: Value| {
        let mut body = options.clone();
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    let row = json!({ "id": "ü\u{1}", "data": [1, -2.5, 3e2], "text": "t", "metadata": {"k": [{}]},
                      "group": "g" });
    match verb {
        "collections.create" => json!({
            "name": "c", "dimension": 3, "metric": "cosine", "hnsw": {"m": 8, "ef_construction": 50},
            "embedder": {"name": "model", "version": "1", "dimension": 3},
        }),
        "collections.list" | "limits" | "config" => json!({}),
        "batches.get" => json!({ "batch_id": "b" }),
        "batches.cancel" => json!({ "batch_id": "b", "reason": "deadline" }),
        "stream.offset" => json!({ "collection": "c", "stream_id": "s" }),
        "stage.commit" | "stage.drop" => json!({ "collection": "c", "stage": 1 }),
        "memory.reserve" => json!({ "bytes": 7, "deletes": true }),
        "memory.release" => json!({ "reservation": 1 }),
        "insert" => with_options(json!({
            "vectors": [row], "on_conflict": "skip", "duplicates": "reject",
        })),
        "update" => with_options(json!({
            "updates": [row], "metadata_mode": "replace", "duplicates": "reject",
        })),
        "delete" => with_options(json!({
            "vector_ids": ["a"], "missing": "ignore", "duplicates": "reject",
        })),
        "write" => with_options(json!({ "operations": [
            {"op": "insert", "id": "a", "data": [1], "on_conflict": "skip", "if_version": 0},
        ]})),
        "search" => json!({
            "collection": "c", "limit": 3, "threshold": 0.5, "include": ["data"], "recall": 0.9,
            "filters": {"k": 1}, "atomic": true, "batch_size_limit": 3,
            "queries": [{"query_vector": [1], "query_id": "q", "limit": 1, "threshold": 1,
                         "include": [], "ef_search": 1, "filters": {"k": 2}}],
        }),
        "get" => json!({ "collection": "c", "vector_ids": ["a"], "include": ["text"] }),
        "list" => json!({ "collection": "c", "limit": 3, "after": "x", "include": ["text"],
                          "filters": {"k": 1} }),
        "count" => json!({ "collection": "c", "filters": {"k": 1} }),
        "resume" => json!({ "collection": "c", "token": "t", "failed": "why", "attempts": 3 }),
        _ => json!({ "collection": "c" }),
    }
}

/// Whether nothing in a request is refused.
fn is_whole(request: &Request) -> bool {
    match request {
        Request::Write { request, .. } => request
            .operations
            .iter()
            .all(|operation| operation.refused.is_none()),
        Request::Search { request, .. } => {
            request.queries.iter().all(|query| query.refused.is_none())
        }
        _ => true,
    }
}

fn decode_text(verb: &str, text: &str) -> Result<Request, ErrorCode> {
    decode(verb, "json", text.as_bytes(), Vec::new()).map_err(|error| error.code)
}

#[test]
fn every_full_body_is_taken_with_any_white_space() {
    for verb in VERBS {
        let body = full_body(verb);
        for text in [body.to_string(), format!("\n\t {body:#}\r\n ")] {
            assert!(
                is_whole(&decode_text(verb, &text).unwrap()),
                "{verb} {text}"
            );
        }
    }
}

#[test]
fn every_prefix_is_refused_with_line_and_column() {
    for verb in VERBS {
        let body = format!("{:#}", full_body(verb));
        for end in 0..body.len() {
            let prefix = &body.as_bytes()[..end];
            let error = decode(verb, "json", prefix, Vec::new()).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            let is_text = std::str::from_utf8(prefix).is_ok();
            assert_eq!(error.details.contains_key("line"), is_text, "{verb} {end}");
            assert_eq!(error.details.contains_key("column"), is_text);
        }
    }
}

/// Every place inside of a value where another value could stand.
fn places(value: &Value, pointer: String, out: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                places(value, format!("{pointer}/{name}"), out);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, format!("{pointer}/{index}"), out);
            }
        }
        _ => {}
    }
    out.push(pointer);
}

#[test]
fn every_value_of_a_wrong_type_is_refused() {
    let values = [
        json!(true),
        json!(-7.5),
        json!("?"),
        json!([[]]),
        json!({"?": {}}),
    ];
    for verb in VERBS {
        let body = full_body(verb);
        let mut all = Vec::new();
        places(&body, String::new(), &mut all);
        for pointer in &all {
            for value in &values {
                let mut changed = body.clone();
                let place = changed.pointer_mut(pointer).unwrap();
                if is_free(pointer) || is_of_one_kind(place, value) {
                    continue;
                }
                *place = value.clone();
                let whole =
                    decode_text(verb, &changed.to_string()).is_ok_and(|request| is_whole(&request));
                assert!(!whole, "{verb} took {changed} at {pointer}");
            }
        }
    }
}

/// Metadata and filters take values of every type.
fn is_free(pointer: &str) -> bool {
    pointer.contains("/metadata/") || pointer.contains("/filters/")
}

fn is_of_one_kind(left: &Value, right: &Value) -> bool {
    std::mem::discriminant(left) == std::mem::discriminant(right)
}

#[test]
fn unknown_and_repeated_fields_are_refused_at_every_level() {
    for verb in VERBS {
        let body = full_body(verb);
        let mut all = Vec::new();
        places(&body, String::new(), &mut all);
        for pointer in all.iter().filter(|pointer| !is_free(pointer)) {
            if pointer.ends_with("/metadata") || pointer.ends_with("/filters") {
                continue;
            }
            let mut changed = body.clone();
            let Some(object) = changed.pointer_mut(pointer).unwrap().as_object_mut() else {
                continue;
            };
            object.insert("unknown".to_owned(), Value::Null);
            let text = changed.to_string();
            let whole = |text: &str| decode_text(verb, text).is_ok_and(|r| is_whole(&r));
            assert!(!whole(&text), "{text}");
            let object = changed.pointer(pointer).unwrap().as_object().unwrap();
            for name in object.keys().filter(|name| *name != "unknown") {
                let repeated = text.replace("\"unknown\":null", &format!("\"{name}\":null"));
                assert!(!whole(&repeated), "{repeated}");
            }
        }
    }
}

#[test]
fn names_may_be_written_with_escapes() {
    let request = decode_text("count", r#"{"\u0063ollection": "c"}"#).unwrap();
    assert!(matches!(request, Request::Count { collection, .. } if collection == "c"));
}

#[test]
fn half_of_a_surrogate_pair_fails_where_it_stands() {
    let taken = [
        (r#"{"id": "\ud800", "data": [1]}"#, ErrorCode::InvalidId),
        (
            r#"{"id": "a", "data": [1], "text": "\udc00x"}"#,
            ErrorCode::InvalidArgument,
        ),
        (
            r#"{"id": "a", "data": [1], "metadata": {"k": "\ud800"}}"#,
            ErrorCode::InvalidMetadata,
        ),
        (
            r#"{"id": "a", "data": [1], "metadata": {"\ud800": 1}}"#,
            ErrorCode::InvalidMetadata,
        ),
        (r#"{"id": "a", "\ud800": 1}"#, ErrorCode::InvalidArgument),
    ];
    for (element, code) in taken {
        let good = r#"{"id": "good", "data": [1]}"#;
        let text = format!(r#"{{"collection": "c", "vectors": [{element}, {good}]}}"#);
        let Request::Write { request, .. } = decode_text("insert", &text).unwrap() else {
            panic!()
        };
        assert_eq!(
            request.operations[0].refused.as_ref().unwrap().code,
            code,
            "{element}"
        );
        assert_eq!(request.operations[1].refused, None);
    }
    let refused = decode_text("count", r#"{"collection": "\ud800"}"#);
    assert_eq!(refused.unwrap_err(), ErrorCode::InvalidArgument);
}

#[test]
fn nesting_however_deep_is_an_error_of_its_element() {
    for depth in [200, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for field in ["data", "metadata", "text", "id", "unknown"] {
            let text =
                format!(r#"{{"collection": "c", "vectors": [{{"id": "a", "{field}": {deep}}}]}}"#);
            let Request::Write { request, .. } = decode_text("insert", &text).unwrap() else {
                panic!()
            };
            assert!(request.operations[0].refused.is_some());
        }
        let metadata = format!(r#"{{"k": {deep}}}"#);
        let text = format!(r#"{{"collection": "c", "ids": ["a"], "metadata": [{metadata}]}}"#);
        let Request::Write { request, .. } = decode_text("insert", &text).unwrap() else {
            panic!()
        };
        let refused = request.operations[0].refused.as_ref().unwrap();
        assert_eq!(refused.code, ErrorCode::InvalidMetadata);
    }
}

#[test]
fn a_message_repeats_little_of_what_came() {
    let long = "ü".repeat(100_000);
    for body in [
        json!({ &long: 1 }),
        json!({ "collection": "c", "vectors": [], "wait_for": &long }),
        json!({ "collection": "c", "vectors": [], "atomic": &long }),
        json!({ "collection": { &long: 1 } }),
    ] {
        let error = decode("insert", "json", body.to_string().as_bytes(), vec![]).unwrap_err();
        let details = serde_json::to_string(&error.details).unwrap();
        assert!(
            error.message.len() + details.len() < 1000,
            "{}",
            error.message.len()
        );
    }
    assert!(
        decode(&long, "json", b"{}", vec![])
            .unwrap_err()
            .message
            .len()
            < 200
    );
    assert_eq!(
        decode("list", &long, b"{}", vec![]).unwrap_err().code,
        ErrorCode::Unsupported
    );
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(
        verb in proptest::sample::select(&VERBS[..]),
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        block in proptest::collection::vec(any::<f32>(), 0..4),
    ) {
        let _ = decode(verb, "json", &bytes, block);
    }

    #[test]
    fn a_body_with_changed_bytes_does_not_panic(
        verb in proptest::sample::select(&VERBS[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        pretty in any::<bool>(),
    ) {
        let body = full_body(verb);
        let mut bytes =
            if pretty { format!("{body:#}") } else { body.to_string() }.into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = decode(verb, "json", &bytes, Vec::new());
    }

    #[test]
    fn numbers_are_rounded_once(bits in any::<u32>(), wide in any::<f64>()) {
        let narrow = f32::from_bits(bits);
        prop_assume!(narrow.is_finite() && wide.is_finite());
        let text = format!(
            r#"{{"collection":"c","vectors":[{{"id":"a","data":[{narrow:?} , {wide:?}]}}]}}"#
        );
        let Ok(Request::Write { request, .. }) = decode_text("insert", &text) else {
            return Err(TestCaseError::fail(text));
        };
        let expected = [narrow, format!("{wide:?}").parse().unwrap()];
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        prop_assert_eq!(bits(&request.vectors.values), bits(&expected));
    }
}
