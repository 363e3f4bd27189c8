use std::borrow::Cow;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::write;
use crate::batch::{Level, Match, Outcome, QueryResult, Record, Status, WriteReply, WriteRequest};
use crate::codec::{
    CollectionInfo, CompactReport, Hnsw, MeasuredRecall, SearchPiece, collection_reply,
    collections_reply, compact_reply, count_reply, drop_reply, embed_reply, error_reply, get_reply,
    indexed_reply, list_reply, search_reply, write_reply,
};
use crate::embed::EmbedderDescription;
use crate::error::{Error, ErrorCode};
use crate::index::{FoldCounters, Metric, RepairCounters, SearchCounters};

const TIME: Duration = Duration::from_micros(1500);

fn json_of(append: impl FnOnce(&mut Vec<u8>)) -> Value {
    let mut out = Vec::new();
    append(&mut out);
    serde_json::from_slice(&out).unwrap()
}

fn reply_to(request: &WriteRequest, outcomes: Vec<Outcome>) -> Value {
    let batch_id = "batch".to_owned();
    let reply = WriteReply {
        outcomes,
        sequence: 7,
        reached: Level::Applied,
        replayed: false,
        batch_id,
    };
    json_of(|out| write_reply(request, &reply, TIME, out))
}

#[test]
fn a_write_reply_has_the_counts_of_its_verb() {
    let outcomes = || vec![Outcome::of(Status::Created), Outcome::of(Status::Skipped)];
    let rows = json!([{ "id": "a" }, { "id": "b" }]);
    let verbs = [
        ("insert", json!({ "vectors": rows }), vec!["inserted_count"]),
        ("update", json!({ "updates": rows }), vec!["updated_count"]),
        (
            "delete",
            json!({ "vector_ids": ["a", "b"] }),
            vec!["deleted_count"],
        ),
        (
            "write",
            json!({ "operations": rows }),
            vec!["inserted_count", "updated_count", "deleted_count"],
        ),
    ];
    for (verb, body, counts) in verbs {
        let request = write(verb, &body, vec![]).unwrap();
        let mut reply = reply_to(&request, outcomes());
        let reply = reply.as_object_mut().unwrap();
        for count in counts {
            let expected = i32::from(count == "inserted_count");
            assert_eq!(reply.remove(count).unwrap(), expected);
        }
        let rest = json!({
            "failed_count": 0, "skipped_count": 1, "unchanged_count": 0, "errors": [],
            "sequence": 7, "reached": "applied", "replayed": false, "batch_id": "batch",
            "processing_time_ms": 1.5, "status": "success",
        });
        assert_eq!(Value::Object(reply.clone()), rest);
    }
}

#[test]
fn failures_are_listed_with_the_values_that_they_name() {
    let body = json!({ "vectors": [{ "id": "a\u{1}" }, { "id": 5 }, { "id": "c" }],
                       "outcomes": "all" });
    let request = write("insert", &body, vec![]).unwrap();
    let outcomes = vec![
        Outcome::failed(Error::limit(
            ErrorCode::InvalidMetadata,
            "metadata",
            10,
            11,
            "bytes",
        )),
        Outcome::failed(Error::new(ErrorCode::Overloaded, "busy").with("status", "hidden")),
        Outcome::of(Status::Replaced),
    ];
    let reply = reply_to(&request, outcomes);
    let first = json!({
        "operation_id": "a\u{1}", "vector_id": "a\u{1}", "index": 0,
        "error_code": "INVALID_METADATA", "retriable": false,
        "error_message": "metadata is 11 bytes, the limit is 10 bytes",
        "field": "metadata", "limit": 10, "actual": 11, "unit": "bytes",
    });
    let second = json!({
        "operation_id": "operation_2", "vector_id": null, "index": 1,
        "error_code": "OVERLOADED", "error_message": "busy", "retriable": true,
    });
    assert_eq!(reply["errors"], json!([first, second]));
    assert_eq!(reply["status"], "partial");
    assert_eq!(reply["outcomes"][0]["limit"], 10);
    let second = json!({
        "index": 1, "id": null, "status": "failed",
        "error_code": "OVERLOADED", "error_message": "busy", "retriable": true,
    });
    assert_eq!(reply["outcomes"][1], second);
    assert_eq!(
        reply["outcomes"][2],
        json!({ "index": 2, "id": "c", "status": "replaced" })
    );
}

proptest! {
    #[test]
    fn counts_equal_the_lists(statuses in proptest::collection::vec(0..7usize, 0..20)) {
        let all = [
            Status::Created, Status::Replaced, Status::Updated, Status::Deleted,
            Status::Unchanged, Status::Skipped, Status::Failed,
        ];
        let operations: Vec<Value> = (0..statuses.len())
            .map(|index| json!({ "op": "delete", "id": index.to_string() }))
            .collect();
        let body = json!({ "operations": operations, "outcomes": "all" });
        let request = write("write", &body, vec![]).unwrap();
        let outcome = |status: &usize| match all[*status] {
            Status::Failed => Outcome::failed(Error::internal("x")),
            status => Outcome::of(status),
        };
        let reply = reply_to(&request, statuses.iter().map(outcome).collect());
        let listed = |names: &[&str]| {
            let outcomes = reply["outcomes"].as_array().unwrap();
            outcomes.iter().filter(|o| names.contains(&o["status"].as_str().unwrap())).count()
        };
        prop_assert_eq!(&reply["inserted_count"], listed(&["created", "replaced"]));
        prop_assert_eq!(&reply["updated_count"], listed(&["updated"]));
        prop_assert_eq!(&reply["deleted_count"], listed(&["deleted"]));
        prop_assert_eq!(&reply["unchanged_count"], listed(&["unchanged"]));
        prop_assert_eq!(&reply["skipped_count"], listed(&["skipped"]));
        prop_assert_eq!(&reply["failed_count"], listed(&["failed"]));
        prop_assert_eq!(reply["errors"].as_array().unwrap().len(), listed(&["failed"]));
        let failed = listed(&["failed"]);
        let status = match (failed, statuses.len() - failed) {
            (0, _) => "success",
            (_, 0) => "failed",
            _ => "partial",
        };
        prop_assert_eq!(&reply["status"], status);
    }

    #[test]
    fn records_come_back_as_they_were(
        id in any::<String>(),
        text in proptest::option::of(any::<String>()),
        data in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO, 0..8),
        score in proptest::num::f32::NORMAL,
    ) {
        let metadata = json!({ &id: [1, 1.0, null] }).to_string();
        let record = Record {
            id: Cow::Borrowed(&id),
            version: None,
            data: Some(Cow::Borrowed(&data)),
            text: text.as_deref().map(Cow::Borrowed),
            metadata: Some(Cow::Borrowed(metadata.as_bytes())),
        };
        let matches = vec![Match { record, score }];
        let result = QueryResult { matches: Ok(matches), time: TIME };
        let reply = found_by(&[("q", result)]);
        let found = &reply["batch_results"][0]["results"][0];
        prop_assert_eq!(&found["id"], &id);
        prop_assert_eq!(found.get("text").and_then(Value::as_str), text.as_deref());
        prop_assert_eq!(found["metadata"].to_string(), metadata);
        let number = |value: &Value| value.to_string().parse::<f32>().unwrap();
        prop_assert_eq!(number(&found["score"]), score);
        let numbers: Vec<f32> = found["data"].as_array().unwrap().iter().map(number).collect();
        prop_assert_eq!(numbers, data);
    }
}

/// The reply to queries, whose first result and whose others were written apart.
fn found_by(results: &[(&str, QueryResult<'_>)]) -> Value {
    let mut pieces = [SearchPiece::default(), SearchPiece::default()];
    for (index, (query_id, result)) in results.iter().enumerate() {
        pieces[index.min(1)].push(index, query_id, result);
    }
    json_of(|out| search_reply(&pieces, TIME, out))
}

fn record(id: &str) -> Record<'_> {
    Record {
        id: Cow::Borrowed(id),
        version: None,
        data: None,
        text: None,
        metadata: None,
    }
}

#[test]
fn a_search_reply_has_one_result_for_each_query() {
    let error = Error::new(ErrorCode::InvalidQuery, "bad").with("field", "limit");
    let found = QueryResult {
        matches: Ok(vec![Match {
            record: record("a"),
            score: 0.1,
        }]),
        time: TIME,
    };
    let failed = QueryResult {
        matches: Err(error),
        time: Duration::ZERO,
    };
    let results = [
        ("query_1", found.clone()),
        ("q", failed),
        ("query_3", found),
    ];
    let reply = found_by(&results);
    let error = json!({ "error_code": "INVALID_QUERY", "error_message": "bad", "retriable": false,
                        "field": "limit" });
    let mut listed = error.clone();
    listed["operation_id"] = "q".into();
    listed["vector_id"] = Value::Null;
    listed["index"] = 1.into();
    let expected = json!({
        "batch_results": [
            { "query_id": "query_1", "results": [{ "id": "a", "score": 0.1 }],
              "query_time_ms": 1.5, "status": "success" },
            { "query_id": "q", "results": [], "query_time_ms": 0.0, "status": "failed",
              "error": error },
            { "query_id": "query_3", "results": [{ "id": "a", "score": 0.1 }],
              "query_time_ms": 1.5, "status": "success" },
        ],
        "total_queries": 3, "successful_queries": 2, "failed_queries": 1, "errors": [listed],
        "processing_time_ms": 1.5, "status": "partial",
    });
    assert_eq!(reply, expected);
}

#[test]
fn records_have_the_parts_that_were_asked_for() {
    let whole = Record {
        id: "a".into(),
        version: Some(4),
        data: Some(vec![0.1, 2.0].into()),
        text: Some("t".into()),
        metadata: Some(b"{\"k\":1}".into()),
    };
    let expected =
        json!({ "id": "a", "version": 4, "data": [0.1, 2.0], "text": "t", "metadata": {"k": 1} });
    let got = json_of(|out| get_reply(&[Some(whole.clone()), None, Some(record("b"))], out));
    assert_eq!(got, json!({ "vectors": [expected, null, { "id": "b" }] }));
    let page = json_of(|out| list_reply(&[whole], Some("cursor"), out));
    assert_eq!(page, json!({ "vectors": [expected], "next": "cursor" }));
    let last = json_of(|out| list_reply(&[], None, out));
    assert_eq!(last, json!({ "vectors": [], "next": null }));
}

#[test]
fn small_replies() {
    let info = CollectionInfo {
        name: "c".to_owned(),
        dimension: 3,
        metric: Metric::Cosine,
        embedder: Some(EmbedderDescription {
            name: "model".to_owned(),
            version: "1".to_owned(),
        }),
        hnsw: Hnsw::default(),
        count: 2,
        sequence: 5,
        received: 6,
        durable: 5,
        indexed: 4,
        tail_count: 1,
        dead_count: 0,
        log_files: 2,
        log_bytes: 900,
        mapped_bytes: 300,
        graph_bytes: 4096,
        instruction_set: "scalar".to_owned(),
        folds: FoldCounters {
            rows: 7,
            ..FoldCounters::default()
        },
        repairs: RepairCounters {
            repaired: 3,
            ..RepairCounters::default()
        },
        searches: SearchCounters {
            looks: 9,
            ..SearchCounters::default()
        },
        recalls: vec![MeasuredRecall {
            limit: 10,
            ef_search: 64,
            recall: 0.5,
        }],
    };
    let folds = json!({
        "blocks": 0, "rows": 7, "leaders": 0, "moved": 0, "routing_evaluations": 0,
        "leaf_pairs": 0, "forward_evaluations": 0, "reverse_evaluations": 0, "reverse_prunes": 0,
        "orphans": 0, "leaders_ms": 0.0, "route_ms": 0.0, "leaf_ms": 0.0, "forward_ms": 0.0,
        "reverse_ms": 0.0, "orphan_ms": 0.0,
    });
    let repairs = json!({
        "repairs": 0, "removed": 0, "repaired": 3, "linked_again": 0,
        "orphans": 0, "evaluations": 0, "ms": 0.0,
    });
    let searches = json!({
        "queries": 0, "leaders": 0, "looks": 9, "evaluations": 0, "exact": 0,
        "graph_ms": 0.0, "scan_ms": 0.0, "exact_ms": 0.0,
    });
    let expected = json!({
        "name": "c", "dimension": 3, "metric": "cosine",
        "embedder": { "name": "model", "version": "1" },
        "hnsw": { "m": 16, "ef_construction": 100 },
        "count": 2, "sequence": 5, "received": 6, "durable": 5, "indexed": 4,
        "tail_count": 1, "dead_count": 0, "log_files": 2, "log_bytes": 900,
        "mapped_bytes": 300, "graph_bytes": 4096, "instruction_set": "scalar",
        "folds": folds, "repairs": repairs,
        "searches": searches, "recalls": [{ "limit": 10, "ef_search": 64, "recall": 0.5 }],
    });
    assert_eq!(json_of(|out| collection_reply(&info, out)), expected);
    let infos = [info];
    let listed = json_of(|out| collections_reply(&infos, out));
    assert_eq!(listed, json!({ "collections": [expected] }));
    assert_eq!(json_of(drop_reply), json!({}));
    assert_eq!(json_of(|out| count_reply(3, out)), json!({ "count": 3 }));
    assert_eq!(
        json_of(|out| indexed_reply(3, out)),
        json!({ "indexed": 3 })
    );
    let report = CompactReport {
        files_before: 4,
        files_after: 3,
        bytes_before: 2,
        bytes_after: 1,
    };
    let expected =
        json!({ "files_before": 4, "files_after": 3, "bytes_before": 2, "bytes_after": 1 });
    assert_eq!(json_of(|out| compact_reply(&report, out)), expected);
    let asked = json_of(|out| embed_reply("9", &["a", "\"b"], out));
    assert_eq!(
        asked,
        json!({ "embed": { "token": "9", "texts": ["a", "\"b"] } })
    );
    let error = Error::new(ErrorCode::StoreLocked, "locked").with("path", "p");
    let expected = json!({ "error": { "error_code": "STORE_LOCKED", "error_message": "locked",
                                      "retriable": true, "path": "p" } });
    assert_eq!(json_of(|out| error_reply(&error, out)), expected);
}
