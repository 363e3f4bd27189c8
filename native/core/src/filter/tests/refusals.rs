use serde_json::{Value, json};

use super::super::Filter;
use crate::error::{Error, ErrorCode};
use crate::limits::{
    FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX, FILTER_PATH_BYTES_MAX, FILTER_RANGE_BYTES_MAX,
    FILTER_VALUES_MAX, INTEGER_MAGNITUDE_MAX,
};

#[track_caller]
fn refused(filter: &Value, field: &str) -> Error {
    let error = Filter::parse(filter).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidFilter);
    assert_eq!(error.details["field"], field, "{error}");
    assert!(error.message.contains(field), "{error}");
    error
}

#[test]
fn what_is_not_in_the_notation_is_refused_with_its_place_and_what_was_expected() {
    for (filter, field, expected, actual) in [
        (json!(null), "/filters", "filter object", "null"),
        (json!([{"a": 1}]), "/filters", "filter object", "a list"),
        (
            json!({"$nor": []}),
            "/filters/$nor",
            "$and, $or or $not",
            "$nor",
        ),
        (json!({"$gt": 1}), "/filters/$gt", "a field", "$gt"),
        (
            json!({"a.$gt": 1}),
            "/filters/a.$gt",
            "begins with $",
            "a.$gt",
        ),
        (
            json!({"$and": []}),
            "/filters/$and",
            "at least one filter",
            "an empty list",
        ),
        (
            json!({"$or": {"a": 1}}),
            "/filters/$or",
            "a list of",
            "an object",
        ),
        (
            json!({"$or": [{}, 1]}),
            "/filters/$or/1",
            "filter object",
            "a number",
        ),
        (
            json!({"$not": [{"a": 1}]}),
            "/filters/$not",
            "filter object",
            "a list",
        ),
        (
            json!({"a": {}}),
            "/filters/a",
            "at least one operator",
            "an empty object",
        ),
        (json!({"a": [1, 2]}), "/filters/a", "$in", "a list"),
        (json!({"a": {"b": 1}}), "/filters/a/b", "\"a.b\"", "b"),
        (
            json!({"a": {"$like": "x"}}),
            "/filters/a/$like",
            "$exists",
            "$like",
        ),
        (
            json!({"a": {"$not": {"$gt": 1}}}),
            "/filters/a/$not",
            "around the field",
            "$not",
        ),
        (
            json!({"a": {"$eq": {}}}),
            "/filters/a/$eq",
            "string, number",
            "an empty object",
        ),
        (
            json!({"a": {"$ne": [1]}}),
            "/filters/a/$ne",
            "string, number",
            "a list",
        ),
        (
            json!({"a": {"$gt": null}}),
            "/filters/a/$gt",
            "number or string",
            "null",
        ),
        (
            json!({"a": {"$lte": true}}),
            "/filters/a/$lte",
            "number or string",
            "a boolean",
        ),
        (
            json!({"a": {"$lt": {"b": 1}}}),
            "/filters/a/$lt",
            "number or string",
            "an object",
        ),
        (
            json!({"a": {"$in": 1}}),
            "/filters/a/$in",
            "a list",
            "a number",
        ),
        (
            json!({"a": {"$nin": [1, []]}}),
            "/filters/a/$nin/1",
            "string, number",
            "an empty list",
        ),
        (
            json!({"a": {"$exists": 1}}),
            "/filters/a/$exists",
            "true or false",
            "a number",
        ),
        (
            json!({"x/y": {"$or": 1}, "z": 1}),
            "/filters/x~1y/$or",
            "around the field",
            "$or",
        ),
    ] {
        let error = refused(&filter, field);
        assert!(
            error.details["expected"]
                .as_str()
                .unwrap()
                .contains(expected),
            "{error}"
        );
        assert_eq!(error.details["actual"], actual, "{error}");
    }
}

#[track_caller]
fn beyond(filter: &Value, field: &str, limit: usize, unit: &str) {
    let error = refused(filter, field);
    assert_eq!(error.details["limit"], limit);
    assert_eq!(error.details["actual"], limit + 1);
    assert_eq!(error.details["unit"], unit);
}

#[test]
fn limits_hold_to_the_last_one() {
    let nested = |levels| (0..levels).fold(json!({"a": 1}), |inner, _| json!({ "$not": inner }));
    assert!(Filter::parse(&nested(FILTER_DEPTH_MAX)).is_ok());
    let field = format!("/filters{}", "/$not".repeat(FILTER_DEPTH_MAX + 1));
    beyond(
        &nested(FILTER_DEPTH_MAX + 1),
        &field,
        FILTER_DEPTH_MAX,
        "levels",
    );

    let conditions = |count| json!({"$or": vec![json!({"a": 1}); count - 1], "b": {"$lt": 1}});
    assert!(Filter::parse(&conditions(FILTER_CONDITIONS_MAX)).is_ok());
    let field = "/filters/b/$lt";
    beyond(
        &conditions(FILTER_CONDITIONS_MAX + 1),
        field,
        FILTER_CONDITIONS_MAX,
        "conditions",
    );

    let values = |count| json!({"a": {"$in": vec![1; count]}});
    assert!(Filter::parse(&values(FILTER_VALUES_MAX)).is_ok());
    beyond(
        &values(FILTER_VALUES_MAX + 1),
        "/filters/a/$in",
        FILTER_VALUES_MAX,
        "values",
    );

    let path = |length| json!({ "p".repeat(length): 1 });
    assert!(Filter::parse(&path(FILTER_PATH_BYTES_MAX)).is_ok());
    let field = format!("/filters/{}", "p".repeat(FILTER_PATH_BYTES_MAX + 1));
    beyond(
        &path(FILTER_PATH_BYTES_MAX + 1),
        &field,
        FILTER_PATH_BYTES_MAX,
        "bytes",
    );

    let range = |length| json!({"a": {"$gt": "s".repeat(length)}});
    assert!(Filter::parse(&range(FILTER_RANGE_BYTES_MAX)).is_ok());
    let field = "/filters/a/$gt";
    beyond(
        &range(FILTER_RANGE_BYTES_MAX + 1),
        field,
        FILTER_RANGE_BYTES_MAX,
        "bytes",
    );
    assert!(Filter::parse(&json!({"a": "s".repeat(70_000)})).is_ok());
}

#[test]
fn integers_beyond_the_exact_range_are_refused() {
    let large = INTEGER_MAGNITUDE_MAX + 1;
    assert!(Filter::parse(&json!({"a": INTEGER_MAGNITUDE_MAX, "b": 1e300})).is_ok());
    for (filter, field) in [
        (json!({ "a": large }), "/filters/a"),
        (json!({"a": {"$gt": -(large as i64)}}), "/filters/a/$gt"),
        (json!({"a": {"$in": [1, large]}}), "/filters/a/$in/1"),
    ] {
        assert_eq!(
            refused(&filter, field).details["limit"],
            INTEGER_MAGNITUDE_MAX
        );
    }
}
