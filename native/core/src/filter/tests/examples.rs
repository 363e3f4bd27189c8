use serde_json::{Value, json};

use super::super::Filter;
use crate::metadata::Metadata;

fn object(value: &Value) -> Metadata {
    value.as_object().cloned().unwrap()
}

#[track_caller]
fn check(filter: &Value, holds: &[Value], fails: &[Value]) {
    let parsed = Filter::parse(filter).unwrap();
    let negated = Filter::parse(&json!({ "$not": filter })).unwrap();
    for (list, expected) in [(holds, true), (fails, false)] {
        for metadata in list {
            let metadata = object(metadata);
            assert_eq!(
                parsed.matches(&metadata),
                expected,
                "{filter} for {metadata:?}"
            );
            assert_eq!(
                negated.matches(&metadata),
                !expected,
                "not {filter} for {metadata:?}"
            );
        }
    }
}

#[test]
fn nothing_asked_is_always_met() {
    check(&json!({}), &[json!({}), json!({"a": 1})], &[]);
    check(
        &json!({"$and": [{}, {"a": 1}]}),
        &[json!({"a": 1})],
        &[json!({})],
    );
}

#[test]
fn equality_keeps_types_apart() {
    let one = [
        json!({"a": 1}),
        json!({"a": 1.0}),
        json!({"a": [0, 1]}),
        json!({"a": [[1]]}),
    ];
    let other = [
        json!({}),
        json!({"a": "1"}),
        json!({"a": true}),
        json!({"a": {"b": 1}}),
    ];
    check(&json!({"a": 1}), &one, &other);
    check(&json!({"a": {"$eq": 1.0}}), &one, &other);
    check(&json!({"a": {"$ne": 1}}), &other, &one);
    check(
        &json!({"a": -0.0}),
        &[json!({"a": 0})],
        &[json!({"a": null})],
    );
    check(
        &json!({"a": "é"}),
        &[json!({"a": "é"})],
        &[json!({"a": "e\u{301}"})],
    );
}

#[test]
fn null_is_a_value_and_exists_is_presence() {
    let null = [json!({"a": null}), json!({"a": [1, null]})];
    check(
        &json!({"a": null}),
        &null,
        &[json!({}), json!({"a": 0}), json!({"a": []})],
    );
    let there = [
        json!({"a": null}),
        json!({"a": []}),
        json!({"a": {}}),
        json!({"a": false}),
    ];
    check(
        &json!({"a": {"$exists": true}}),
        &there,
        &[json!({}), json!({"b": 1})],
    );
    check(
        &json!({"a": {"$exists": false}}),
        &[json!({"b": {"a": 1}})],
        &there,
    );
    check(
        &json!({"a.b": {"$exists": true}}),
        &[json!({"a": [{}, {"b": []}]})],
        &there,
    );
}

#[test]
fn order_is_within_a_type() {
    let strings = [
        json!({"a": "b"}),
        json!({"a": ["", "ab"]}),
        json!({"a": "é"}),
    ];
    check(
        &json!({"a": {"$gt": "a"}}),
        &strings,
        &[
            json!({"a": "a"}),
            json!({"a": "A"}),
            json!({"a": 5}),
            json!({"a": null}),
            json!({}),
        ],
    );
    check(
        &json!({"a": {"$gte": "b"}}),
        &[json!({"a": "b"})],
        &[json!({"a": "az"})],
    );
    check(
        &json!({"a": {"$lt": 1}}),
        &[json!({"a": 0.5}), json!({"a": -1e300})],
        &strings,
    );
    check(
        &json!({"a": {"$lte": 0}}),
        &[json!({"a": -0.0})],
        &[json!({"a": 5e-324})],
    );
    check(
        &json!({"a": {"$gte": 0}}),
        &[json!({"a": -0.0})],
        &[json!({"a": -5e-324})],
    );
}

#[test]
fn two_elements_may_meet_two_operators() {
    let window = json!({"a": {"$gt": 1, "$lt": 5}});
    check(
        &window,
        &[json!({"a": 3}), json!({"a": [0, 9]})],
        &[json!({"a": 5}), json!({"a": [0]})],
    );
}

#[test]
fn lists_of_values() {
    let filter = json!({"a": {"$in": [1, "x", null, true]}});
    let holds = [
        json!({"a": null}),
        json!({"a": true}),
        json!({"a": ["y", "x"]}),
    ];
    check(
        &filter,
        &holds,
        &[json!({}), json!({"a": false}), json!({"a": 2})],
    );
    check(
        &json!({"a": {"$nin": [1]}}),
        &[json!({}), json!({"a": [2]})],
        &[json!({"a": [2, 1]})],
    );
    check(
        &json!({"a": {"$in": []}}),
        &[],
        &[json!({}), json!({"a": 1})],
    );
    check(
        &json!({"a": {"$nin": []}}),
        &[json!({}), json!({"a": 1})],
        &[],
    );
}

#[test]
fn dots_step_into_objects_and_lists_of_them() {
    let holds = [
        json!({"a": {"b": 1}}),
        json!({"a": [{"b": 0}, {"b": [1]}]}),
        json!({"a": [[{"b": 1}], 7]}),
    ];
    check(
        &json!({"a.b": 1}),
        &holds,
        &[json!({"a.b": 1}), json!({"a": 1}), json!({"b": 1})],
    );
    check(
        &json!({".": 1}),
        &[json!({"": {"": 1}})],
        &[json!({".": 1}), json!({"": 1})],
    );
}

#[test]
fn combinators() {
    let both = json!({"a": 1, "b": 2});
    check(
        &both,
        std::slice::from_ref(&both),
        &[json!({"a": 1}), json!({"b": 2})],
    );
    let either = json!({"$or": [{"a": 1}, {"b": 2}]});
    check(
        &either,
        &[both.clone(), json!({"a": 1})],
        &[json!({"a": 2, "b": 1})],
    );
    let neither = json!({"$not": {"$or": [{"a": 1}, {"b": 2}]}, "c": 3});
    check(
        &neither,
        &[json!({"c": 3})],
        &[json!({"c": 3, "a": 1}), json!({})],
    );
}

#[test]
fn filters_that_say_the_same_are_equal() {
    for (one, other) in [
        (json!({"a": 1}), json!({"a": {"$eq": 1.0}})),
        (
            json!({"a": {"$in": [2, 1, 2]}}),
            json!({"a": {"$in": [1, 2]}}),
        ),
        (
            json!({"a": 1, "b": 2}),
            json!({"$and": [{"b": 2}, {"$and": [{"a": 1}]}, {"b": 2}]}),
        ),
        (
            json!({"$or": [{"a": 1}, {"b": 2}]}),
            json!({"$or": [{"b": 2}, {"a": 1}]}),
        ),
        (json!({"a": {"$ne": 1}}), json!({"$not": {"a": 1}})),
    ] {
        assert_eq!(Filter::parse(&one).unwrap(), Filter::parse(&other).unwrap());
    }
    assert_ne!(
        Filter::parse(&json!({"a": 1})).unwrap(),
        Filter::parse(&json!({})).unwrap()
    );
}
