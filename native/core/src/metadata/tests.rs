use proptest::prelude::*;
use serde_json::{Value, json};

use super::Metadata;
use super::{check, members, merge, merged, validate};
use crate::error::ErrorCode;
use crate::limits::{INTEGER_MAGNITUDE_MAX, METADATA_BYTES_MAX, METADATA_DEPTH_MAX};

fn object(value: Value) -> Metadata {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// Objects (`true`) or lists (`false`) in each other, `levels` deep, as the value of `key`.
fn nested(key: &str, levels: usize, objects: bool) -> Metadata {
    let mut value = json!(1);
    for _ in 1..levels {
        value = if objects {
            json!({ "a": value })
        } else {
            json!([value])
        };
    }
    Metadata::from_iter([(key.to_owned(), value)])
}

#[track_caller]
fn refused(metadata: Value, field: &str) -> crate::error::Error {
    let error = check(&object(metadata)).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidMetadata);
    assert_eq!(error.details["field"], field, "{error}");
    assert!(error.message.contains(field), "{error}");
    error
}

#[test]
fn valid_metadata_becomes_its_compact_text() {
    let text = r#"{"":[],"a":{"b":[1,1.0,-0.0,1e+300,null,true,"é\u0000"]},"c.d/~":{}}"#;
    assert_eq!(
        check(&object(serde_json::from_str(text).unwrap())).unwrap(),
        text.as_bytes()
    );
    assert_eq!(check(&Metadata::new()).unwrap(), b"{}");
}

#[test]
fn nesting_is_limited_for_objects_and_lists() {
    for objects in [true, false] {
        assert!(check(&nested("a", METADATA_DEPTH_MAX, objects)).is_ok());
        let error = check(&nested("a", METADATA_DEPTH_MAX + 1, objects)).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidMetadata);
        assert_eq!(error.details["limit"], METADATA_DEPTH_MAX);
        assert_eq!(error.details["actual"], METADATA_DEPTH_MAX + 1);
        let step = if objects { "/a" } else { "/0" };
        let field = format!("/metadata/a{}", step.repeat(METADATA_DEPTH_MAX - 1));
        assert_eq!(error.details["field"], field);
    }
}

#[test]
fn keys_that_begin_with_a_dollar_are_refused_at_every_level() {
    refused(json!({"$a": 1}), "/metadata/$a");
    refused(json!({"a": [{"b": 1}, {"$": 1}]}), "/metadata/a/1/$");
    refused(json!({"a/b": {"~": {"$gt": 1}}}), "/metadata/a~1b/~0/$gt");
    assert!(check(&object(json!({"a$": "$b"}))).is_ok());
}

#[test]
fn integers_beyond_the_exact_range_are_refused_and_floats_are_not() {
    let largest = INTEGER_MAGNITUDE_MAX;
    let smallest = -(INTEGER_MAGNITUDE_MAX as i64);
    assert!(check(&object(json!({"a": largest, "b": [smallest]}))).is_ok());
    let error = refused(json!({"a": [0, largest + 1]}), "/metadata/a/1");
    assert_eq!(error.details["limit"], largest);
    assert_eq!(error.details["actual"], largest + 1);
    refused(json!({"a": smallest - 1}), "/metadata/a");
    refused(json!({"a": u64::MAX}), "/metadata/a");
    assert!(check(&object(json!({"a": 1e300, "b": -9007199254740994.0}))).is_ok());
}

#[test]
fn the_text_is_limited_in_bytes() {
    let shell = r#"{"a":""}"#.len();
    let fill = |length: usize| object(json!({"a": "x".repeat(length - shell)}));
    assert_eq!(
        check(&fill(METADATA_BYTES_MAX)).unwrap().len(),
        METADATA_BYTES_MAX
    );
    let error = check(&fill(METADATA_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.details["field"], "/metadata");
    assert_eq!(error.details["unit"], "bytes");
    assert_eq!(error.details["actual"], METADATA_BYTES_MAX + 1);
}

#[test]
fn what_a_merge_makes_is_limited_in_bytes() {
    let shell = r#"{"a":"","b":""}"#.len();
    let fill = |length: usize| "x".repeat(length / 2);
    let stored = check(&object(json!({"a": fill(METADATA_BYTES_MAX)}))).unwrap();
    let fits = object(json!({"b": fill(METADATA_BYTES_MAX - 2 * shell)}));
    let bytes = merged(&stored, &fits).unwrap().unwrap();
    assert!(bytes.len() <= METADATA_BYTES_MAX && bytes.len() > METADATA_BYTES_MAX - shell);
    let error = merged(&stored, &object(json!({"b": fill(METADATA_BYTES_MAX)}))).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidMetadata);
    assert_eq!(error.details["limit"], METADATA_BYTES_MAX);
    assert_eq!(error.details["unit"], "bytes");
}

#[test]
fn stored_bytes_that_are_no_object_are_corrupted() {
    for bytes in [&b""[..], b"[]", b"{", b"{}{}", b"null", b"\xff"] {
        assert_eq!(validate(bytes).unwrap_err().code, ErrorCode::Corrupted);
        assert_eq!(members(bytes).unwrap_err().code, ErrorCode::Corrupted);
        let patched = merged(bytes, &Metadata::new());
        assert_eq!(patched.unwrap_err().code, ErrorCode::Corrupted);
    }
}

/// The examples of RFC 7396, appendix A, whose target and patch are objects.
#[test]
fn merge_follows_the_examples_of_its_rfc() {
    for (target, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (
            json!({"a": "b"}),
            json!({"b": "c"}),
            json!({"a": "b", "b": "c"}),
        ),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (
            json!({"a": "b", "b": "c"}),
            json!({"a": null}),
            json!({"b": "c"}),
        ),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": "d", "c": null}}),
            json!({"a": {"b": "d"}}),
        ),
        (
            json!({"a": [{"b": "c"}]}),
            json!({"a": [1]}),
            json!({"a": [1]}),
        ),
        (
            json!({"e": null}),
            json!({"a": 1}),
            json!({"e": null, "a": 1}),
        ),
        (
            json!({"a": "foo"}),
            json!({"a": {"b": {"c": null}}}),
            json!({"a": {"b": {}}}),
        ),
        (
            json!({}),
            json!({"a": {"bb": {"ccc": null}}}),
            json!({"a": {"bb": {}}}),
        ),
        (
            json!({"a": 1}),
            json!({"b": [null]}),
            json!({"a": 1, "b": [null]}),
        ),
    ] {
        let mut merged = object(target.clone());
        merge(&mut merged, &object(patch.clone()));
        assert_eq!(
            Value::Object(merged),
            result,
            "{target} patched with {patch}"
        );
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    // Keys whose order and escapes differ between what they are and how they are written.
    prop::collection::btree_map("[a-c\"\\\\é\n]{0,2}", any_value(), 0..4)
        .prop_map(|map| map.into_iter().collect())
}

/// RFC 7396, section 2, in the words of its pseudocode.
fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut target = if target.is_object() {
        object(target)
    } else {
        Metadata::new()
    };
    for (name, value) in patch {
        let before = target.remove(name);
        if !value.is_null() {
            target.insert(
                name.clone(),
                merge_patch(before.unwrap_or(Value::Null), value),
            );
        }
    }
    Value::Object(target)
}

proptest! {
    #[test]
    fn what_is_stored_is_what_came(metadata in any_metadata()) {
        let bytes = check(&metadata).unwrap();
        prop_assert!(validate(&bytes).is_ok());
        let read: Metadata = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&read, &metadata);
        prop_assert_eq!(check(&read).unwrap(), &bytes[..]);
        let read: Metadata = members(&bytes)
            .unwrap()
            .into_iter()
            .map(|(key, value)| (key.into_owned(), serde_json::from_str(value).unwrap()))
            .collect();
        prop_assert_eq!(read, metadata);
    }

    #[test]
    fn merging_into_what_is_stored_is_merging(target in any_metadata(), patch in any_metadata()) {
        let stored = check(&target).unwrap();
        let mut expected = target;
        merge(&mut expected, &patch);
        let expected = check(&expected).unwrap();
        let bytes = merged(&stored, &patch).unwrap();
        prop_assert_eq!(bytes, (expected != stored).then_some(expected));
    }

    #[test]
    fn merge_equals_the_pseudocode_of_its_rfc(target in any_metadata(), patch in any_metadata()) {
        let mut merged = target.clone();
        merge(&mut merged, &patch);
        let expected = merge_patch(Value::Object(target), &Value::Object(patch));
        prop_assert_eq!(Value::Object(merged), expected);
    }
}
