use serde_json::{Value, json};

use super::{code_and_field, decode_json};
use crate::codec::{CreateCollection, Embedder, Hnsw, Request};
use crate::error::{ErrorCode, Result};
use crate::index::Metric;

fn create(body: &Value) -> Result<CreateCollection> {
    match decode_json("collections.create", body)? {
        Request::CreateCollection(create) => Ok(create),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_collection_has_defaults() {
    let expected = CreateCollection {
        name: "a".to_owned(),
        dimension: Some(3),
        metric: Metric::Cosine,
        embedder: None,
        hnsw: Hnsw {
            m: 16,
            ef_construction: 100,
        },
    };
    assert_eq!(
        create(&json!({ "name": "a", "dimension": 3 })).unwrap(),
        expected
    );
}

#[test]
fn a_collection_says_all_of_itself() {
    let body = json!({
        "name": "Books.2-x_",
        "dimension": 8192,
        "metric": "dot_product",
        "embedder": { "name": "model", "version": "1", "dimension": 8192 },
        "hnsw": { "m": 64, "ef_construction": 1000 },
    });
    let expected = CreateCollection {
        name: "Books.2-x_".to_owned(),
        dimension: Some(8192),
        metric: Metric::DotProduct,
        embedder: Some(Embedder::External {
            name: "model".to_owned(),
            version: "1".to_owned(),
        }),
        hnsw: Hnsw {
            m: 64,
            ef_construction: 1000,
        },
    };
    assert_eq!(create(&body).unwrap(), expected);
}

#[test]
fn the_dimension_may_come_from_the_embedder() {
    let embedder = json!({ "name": "model", "version": "1", "dimension": 5 });
    let created = create(&json!({ "name": "a", "embedder": embedder })).unwrap();
    assert_eq!(created.dimension, Some(5));
    let error = create(&json!({ "name": "a", "embedder": embedder, "dimension": 6 })).unwrap_err();
    assert_eq!(
        code_and_field(&error),
        (ErrorCode::InvalidArgument, "dimension")
    );
    let embedder = json!({ "name": "model", "version": "1" });
    let created = create(&json!({ "name": "a", "embedder": embedder, "dimension": 6 })).unwrap();
    assert_eq!(created.dimension, Some(6));
    let created = create(&json!({ "name": "a", "embedder": "lexical" })).unwrap();
    assert_eq!(
        (created.dimension, created.embedder),
        (None, Some(Embedder::Lexical))
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let cases = [
        ("name", json!("")),
        ("name", json!(".hidden")),
        ("name", json!("a/b")),
        ("name", json!("ä")),
        ("name", json!("a\n")),
        ("name", json!("a".repeat(129))),
        ("name", json!(null)),
        ("dimension", json!(0)),
        ("dimension", json!(8193)),
        ("dimension", json!("3")),
        ("dimension", json!(null)),
        ("metric", json!("Cosine")),
        ("metric", json!("l2")),
        ("embedder", json!("model")),
        ("version", json!(null)),
    ];
    for (field, value) in cases {
        let mut body = json!({ "name": "a", "dimension": 3 });
        match field {
            "version" => body["embedder"] = json!({ "name": "model" }),
            _ => body[field] = value,
        }
        let error = create(&body).unwrap_err();
        assert_eq!(
            code_and_field(&error),
            (ErrorCode::InvalidArgument, field),
            "{body}"
        );
    }
    assert!(create(&json!({ "name": "a".repeat(128), "dimension": 1 })).is_ok());
}

#[test]
fn graph_parameters_have_limits() {
    for (field, value) in [
        ("m", 3),
        ("m", 65),
        ("ef_construction", 15),
        ("ef_construction", 1001),
    ] {
        let body = json!({ "name": "a", "dimension": 3, "hnsw": { field: value } });
        let error = create(&body).unwrap_err();
        assert_eq!(code_and_field(&error), (ErrorCode::InvalidArgument, field));
        assert_eq!(error.details["actual"], value);
    }
    let body = json!({ "name": "a", "dimension": 3, "hnsw": { "ef": 1 } });
    assert_eq!(
        code_and_field(&create(&body).unwrap_err()),
        (ErrorCode::InvalidArgument, "ef")
    );
}
