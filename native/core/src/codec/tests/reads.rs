use std::sync::Arc;

use serde_json::{Value, json};

use super::{code_and_field, decode, decode_json, search};
use crate::batch::{Effort, Include, Query, QueryInput};
use crate::codec::Request;
use crate::error::ErrorCode;

#[test]
fn queries_take_what_they_leave_out_from_the_request() {
    let body = json!({
        "queries": [
            { "query_vector": [1, 2] },
            { "query_text": "t", "query_id": "mine", "limit": 3, "threshold": -0.5,
              "include": ["data"], "ef_search": 4096, "filters": {"k": 2} },
        ],
        "limit": 20, "threshold": 0.25, "include": [], "ef_search": 50, "filters": {"k": 1},
    });
    let request = search(&body, vec![]).unwrap();
    let [inherits, own] = &request.queries[..] else {
        panic!()
    };
    assert_eq!(inherits.query_id, "query_1");
    assert_eq!(
        (inherits.limit, inherits.threshold, inherits.effort),
        (20, Some(0.25), Effort::Beam(50))
    );
    assert_eq!(
        inherits.include,
        Include {
            metadata: false,
            text: false,
            data: false
        }
    );
    let Some(QueryInput::Vector(range)) = inherits.input else {
        panic!()
    };
    assert_eq!(request.vectors.get(range), [1.0, 2.0]);
    assert_eq!(own.query_id, "mine");
    assert_eq!(
        (own.limit, own.threshold, own.effort),
        (3, Some(-0.5), Effort::Beam(4096))
    );
    assert_eq!(
        own.include,
        Include {
            metadata: false,
            text: false,
            data: true
        }
    );
    assert_eq!(own.input, Some(QueryInput::Text("t".to_owned())));
    assert!(own.filter.is_some());
}

#[test]
fn searches_have_their_defaults() {
    let request = search(&json!({ "queries": [{ "query_text": "t" }] }), vec![]).unwrap();
    let query = &request.queries[0];
    assert_eq!(
        (query.limit, query.threshold, query.effort),
        (10, None, Effort::Usual)
    );
    assert_eq!(query.include, Include::default());
    assert!(query.filter.is_none());
    assert!(!request.atomic);
    assert_eq!(request.batch_size_limit, None);
}

#[test]
fn a_query_says_how_much_to_find_in_one_way_and_overrides_the_other() {
    let text = |options: Value| {
        let mut query = json!({ "query_text": "t" });
        query
            .as_object_mut()
            .unwrap()
            .extend(options.as_object().unwrap().clone());
        query
    };
    let own = [
        json!({}),
        json!({ "recall": 0.5 }),
        json!({ "recall": 1 }),
        json!({ "ef_search": 7 }),
    ];
    let queries: Vec<_> = own.into_iter().map(text).collect();
    let efforts = |body: Value| -> Vec<Effort> {
        search(&body, vec![])
            .unwrap()
            .queries
            .iter()
            .map(|query| query.effort)
            .collect()
    };
    let expected = [Effort::Recall(0.5), Effort::All, Effort::Beam(7)];
    let body = json!({ "queries": queries, "recall": 0.9 });
    assert_eq!(efforts(body)[0], Effort::Recall(0.9));
    let body = json!({ "queries": queries, "ef_search": 9 });
    let found = efforts(body);
    assert_eq!(found[0], Effort::Beam(9));
    assert_eq!(found[1..], expected);
    let body = json!({ "queries": queries, "ef_search": 9, "recall": 0.9 });
    assert_eq!(
        search(&body, vec![]).unwrap_err().code,
        ErrorCode::InvalidQuery
    );
}

#[test]
fn queries_share_the_requests_filter() {
    let query = json!({ "query_text": "t" });
    let body = json!({ "queries": [query, query], "filters": {"k": 1} });
    let request = search(&body, vec![]).unwrap();
    let filters: Vec<_> = request
        .queries
        .iter()
        .map(|q| q.filter.as_ref().unwrap())
        .collect();
    assert!(Arc::ptr_eq(filters[0], filters[1]));
}

#[test]
fn query_vectors_may_stand_in_the_block() {
    let body = json!({ "queries": [{}, { "limit": 1 }] });
    let request = search(&body, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
    let rows: Vec<&[f32]> = request
        .queries
        .iter()
        .map(|query| match query.input {
            Some(QueryInput::Vector(range)) => request.vectors.get(range),
            _ => panic!("{query:?}"),
        })
        .collect();
    assert_eq!(rows, [[1.0, 2.0], [3.0, 4.0]]);
}

fn refused(query: &Query) -> (ErrorCode, &str) {
    code_and_field(query.refused.as_ref().expect("refused"))
}

/// Code, field, query.
const BAD_QUERIES: &str = r#"
INVALID_QUERY query_vector {}
INVALID_QUERY query_vector {"query_vector": [1], "query_text": "t"}
INVALID_VECTOR query_vector {"query_vector": "x"}
INVALID_VECTOR query_vector {"query_vector": [true]}
INVALID_ARGUMENT query_text {"query_text": 1}
INVALID_QUERY limit {"query_text": "t", "limit": 0}
INVALID_QUERY limit {"query_text": "t", "limit": 1001}
INVALID_ARGUMENT limit {"query_text": "t", "limit": "10"}
INVALID_QUERY ef_search {"query_text": "t", "ef_search": 4097}
INVALID_QUERY recall {"query_text": "t", "recall": 1.01}
INVALID_QUERY recall {"query_text": "t", "recall": -0.5}
INVALID_QUERY recall {"query_text": "t", "recall": 0.9, "ef_search": 64}
INVALID_ARGUMENT recall {"query_text": "t", "recall": "0.9"}
INVALID_QUERY threshold {"query_text": "t", "threshold": 1e39}
INVALID_QUERY threshold {"query_text": "t", "threshold": -1e999}
INVALID_ARGUMENT threshold {"query_text": "t", "threshold": "0"}
INVALID_ARGUMENT include {"query_text": "t", "include": ["vector"]}
INVALID_ARGUMENT include {"query_text": "t", "include": "data"}
INVALID_ARGUMENT query_id {"query_text": "t", "query_id": 1}
INVALID_ARGUMENT top_k {"query_text": "t", "top_k": 1}
INVALID_FILTER /filters {"query_text": "t", "filters": 1}
INVALID_FILTER /filters/k/$near {"query_text": "t", "filters": {"k": {"$near": 1}}}
"#;

#[test]
fn a_bad_query_fails_alone() {
    for line in BAD_QUERIES.trim().lines() {
        let parts: Vec<&str> = line.splitn(3, ' ').collect();
        let good = r#"{"query_text": "good"}"#;
        let text = format!(
            r#"{{"collection": "c", "queries": [{good}, {}, {good}]}}"#,
            parts[2]
        );
        let request = decode("search", "json", text.as_bytes(), vec![]).unwrap();
        let Request::Search { request, .. } = request else {
            panic!()
        };
        let (code, field) = refused(&request.queries[1]);
        assert_eq!([code.as_str(), field], parts[..2], "{line}");
        assert_eq!(request.queries[1].query_id, "query_2");
        assert!(request.queries[0].refused.is_none() && request.queries[2].refused.is_none());
    }
}

#[test]
fn a_query_text_has_a_limit() {
    let long = json!({ "query_text": "x".repeat(1024 * 1024 + 1) });
    let request = search(&json!({ "queries": [long] }), vec![]).unwrap();
    let expected = (ErrorCode::InvalidQuery, "query_text");
    assert_eq!(refused(&request.queries[0]), expected);
}

#[test]
fn a_limit_that_is_passed_is_named() {
    let body = json!({ "queries": [{ "query_text": "t", "limit": 1001 }] });
    let request = search(&body, vec![]).unwrap();
    let error = request.queries[0].refused.as_ref().unwrap();
    assert_eq!(
        ["limit", "actual", "unit"].map(|name| &error.details[name]),
        [&json!(1000), &json!(1001), &json!("matches")]
    );
}

#[test]
fn a_bad_default_refuses_the_search() {
    let cases = [
        ("limit", json!(0), ErrorCode::InvalidQuery),
        ("threshold", json!(-1e300), ErrorCode::InvalidQuery),
        ("queries", json!({}), ErrorCode::InvalidArgument),
        ("atomic", json!("no"), ErrorCode::InvalidArgument),
        ("query", json!({}), ErrorCode::InvalidArgument),
    ];
    for (field, value, code) in cases {
        let mut body = json!({ "queries": [] });
        body[field] = value;
        assert_eq!(
            code_and_field(&search(&body, vec![]).unwrap_err()),
            (code, field)
        );
    }
    let error = search(&json!({ "queries": [], "filters": [] }), vec![]).unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidFilter);
    let error = search(&json!({}), vec![]).unwrap_err();
    assert_eq!(
        code_and_field(&error),
        (ErrorCode::InvalidArgument, "queries")
    );
}

#[test]
fn an_integer_in_a_filter_that_would_lose_digits_is_refused() {
    let read = |verb: &str, number: &str| {
        let filters = format!(r#"{{"k": {{"$in": [1, {number}]}}}}"#);
        let text = format!(r#"{{"collection": "c", "queries": [], "filters": {filters}}}"#);
        let text = match verb {
            "search" => text,
            _ => text.replace(r#""queries": [], "#, ""),
        };
        decode(verb, "json", text.as_bytes(), vec![])
    };
    for verb in ["search", "list", "count"] {
        for wide in ["18446744073709551616", "-9223372036854775809"] {
            let error = read(verb, wide).unwrap_err();
            let expected = (ErrorCode::InvalidFilter, "filters");
            assert_eq!(code_and_field(&error), expected, "{verb} {wide}");
            assert_eq!(error.details["actual"], wide);
        }
        assert!(read(verb, "18446744073709551616.0").is_ok(), "{verb}");
        assert!(read(verb, "9007199254740992").is_ok(), "{verb}");
    }
}

#[test]
fn get_list_and_count() {
    let body = json!({ "collection": "c", "vector_ids": ["b", "a"], "include": ["text"] });
    let Request::Get {
        collection,
        ids,
        include,
    } = decode_json("get", &body).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (collection.as_str(), ids),
        ("c", vec!["b".to_owned(), "a".to_owned()])
    );
    assert_eq!(
        include,
        Include {
            metadata: false,
            text: true,
            data: false
        }
    );

    let body = json!({ "collection": "c", "limit": 2, "after": "cursor", "filters": {"k": 1} });
    let Request::List { request, .. } = decode_json("list", &body).unwrap() else {
        panic!()
    };
    assert_eq!(
        (request.limit, request.after.as_deref()),
        (2, Some("cursor"))
    );
    assert!(request.filter.is_some());
    let body = json!({ "collection": "c" });
    let Request::List { request, .. } = decode_json("list", &body).unwrap() else {
        panic!()
    };
    assert_eq!(
        (request.limit, request.after, request.include),
        (1000, None, Include::default())
    );

    let Request::Count { filter, .. } = decode_json("count", &body).unwrap() else {
        panic!()
    };
    assert!(filter.is_none());
}

#[test]
fn bad_reads_are_refused() {
    let cases = [
        (
            "get",
            json!({ "collection": "c" }),
            ErrorCode::InvalidArgument,
            "vector_ids",
        ),
        (
            "get",
            json!({ "collection": "c", "vector_ids": [1] }),
            ErrorCode::InvalidId,
            "vector_ids",
        ),
        (
            "get",
            json!({ "vector_ids": [] }),
            ErrorCode::InvalidArgument,
            "collection",
        ),
        (
            "list",
            json!({ "collection": "c", "limit": 10001 }),
            ErrorCode::InvalidArgument,
            "limit",
        ),
        (
            "list",
            json!({ "collection": "c", "after": 1 }),
            ErrorCode::InvalidArgument,
            "after",
        ),
        (
            "count",
            json!({ "collection": "c", "limit": 1 }),
            ErrorCode::InvalidArgument,
            "limit",
        ),
        (
            "indexed",
            json!({ "collection": 1 }),
            ErrorCode::InvalidArgument,
            "collection",
        ),
        (
            "limits",
            json!({ "collection": "c" }),
            ErrorCode::InvalidArgument,
            "collection",
        ),
        ("compactify", json!({}), ErrorCode::InvalidArgument, "verb"),
    ];
    for (verb, body, code, field) in cases {
        let error = decode_json(verb, &body).unwrap_err();
        assert_eq!(code_and_field(&error), (code, field), "{verb} {body}");
    }
}

#[test]
fn resume_takes_a_block_or_a_reason() {
    let resume = |body: Value, block| decode("resume", "json", body.to_string().as_bytes(), block);
    let given = resume(json!({ "collection": "c", "token": "7" }), vec![1.0, 2.0]).unwrap();
    let Request::Resume(given) = given else {
        panic!()
    };
    assert_eq!(
        (given.token.as_str(), given.failed, given.vectors),
        ("7", None, vec![1.0, 2.0])
    );
    let failed = resume(json!({ "token": "7", "failed": "why" }), vec![]).unwrap();
    let Request::Resume(failed) = failed else {
        panic!()
    };
    assert_eq!(
        (failed.failed.as_deref(), failed.vectors.len()),
        (Some("why"), 0)
    );
    for body in [
        json!({ "token": "7", "failed": "why" }),
        json!({}),
        json!({ "token": 7 }),
    ] {
        assert_eq!(
            resume(body, vec![1.0]).unwrap_err().code,
            ErrorCode::InvalidArgument
        );
    }
}
