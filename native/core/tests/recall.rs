//! The option `recall`, through the engine's door, against exact search.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod support;

use serde_json::{Value, json};
use support::{DIMENSION, Random, call, create, info, memory, open};
use volley_core::store::Store;

const RECORDS: usize = 6000;
const QUERIES: usize = 80;
const LIMIT: usize = 10;

fn filled(random: &mut Random, metric: &str) -> (Store, Vec<Vec<f32>>) {
    let store = open(memory());
    create(&store, metric);
    let vectors = fill(&store, random);
    (store, vectors)
}

fn fill(store: &Store, random: &mut Random) -> Vec<Vec<f32>> {
    let vectors: Vec<Vec<f32>> = (0..RECORDS).map(|_| random.vector()).collect();
    for (batch, vectors) in (0..).zip(vectors.chunks(1000)) {
        let ids: Vec<String> = (0..vectors.len())
            .map(|n| format!("{}", batch * 1000 + n))
            .collect();
        let header = json!({"collection": "records", "ids": ids});
        call(store, "insert", header, &vectors.concat());
    }
    call(store, "indexed", json!({"collection": "records"}), &[]);
    vectors
}

/// The ids that each query finds, with options.
fn search(store: &Store, queries: &[Vec<f32>], options: Value) -> Vec<Vec<usize>> {
    let mut header = json!({
        "collection": "records", "limit": LIMIT, "include": [],
        "queries": vec![json!({}); queries.len()],
    });
    header
        .as_object_mut()
        .unwrap()
        .extend(options.as_object().unwrap().clone());
    let reply = call(store, "search", header, &queries.concat());
    assert_eq!(reply["successful_queries"], queries.len(), "{reply}");
    let ids = |result: &Value| -> Vec<usize> {
        let matches = result["results"].as_array().unwrap().iter();
        matches
            .map(|found| found["id"].as_str().unwrap().parse().unwrap())
            .collect()
    };
    reply["batch_results"]
        .as_array()
        .unwrap()
        .iter()
        .map(ids)
        .collect()
}

fn exact(vectors: &[Vec<f32>], query: &[f32]) -> Vec<usize> {
    let distance = |vector: &[f32]| -> f32 {
        vector
            .iter()
            .zip(query)
            .map(|(a, b)| (a - b) * (a - b))
            .sum()
    };
    let mut all: Vec<(f32, usize)> = vectors
        .iter()
        .map(|vector| distance(vector))
        .zip(0..)
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.truncate(LIMIT);
    all.into_iter().map(|(_, id)| id).collect()
}

#[test]
fn a_wish_for_a_recall_is_met_by_a_beam_that_the_collection_measured() {
    let mut random = Random(11);
    let (store, vectors) = filled(&mut random, "euclidean");
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| random.vector()).collect();
    let nearest: Vec<Vec<usize>> = queries.iter().map(|query| exact(&vectors, query)).collect();
    let recall = |found: &[Vec<usize>]| {
        let pairs = found.iter().zip(&nearest);
        let hits: usize = pairs
            .map(|(found, nearest)| found.iter().filter(|id| nearest.contains(id)).count())
            .sum();
        hits as f64 / (QUERIES * LIMIT) as f64
    };
    assert_eq!(info(&store)["recalls"], json!([]));
    let mut distances = Vec::new();
    for wish in [0.0, 0.9, 0.99] {
        let before = info(&store);
        // The first search measures on records, the next ones on what was asked.
        for _ in 0..10 {
            search(&store, &queries, json!({"recall": wish}));
        }
        let between = info(&store);
        let found = recall(&search(&store, &queries, json!({"recall": wish})));
        assert!(found >= wish - 0.02, "{found} of {wish}");
        let after = info(&store);
        let of = |info: &Value| info["searches"]["evaluations"].as_u64().unwrap();
        assert!(of(&between) > of(&before));
        distances.push(of(&after) - of(&between));
    }
    assert!(
        distances.is_sorted() && distances[0] < distances[2],
        "{distances:?}"
    );
    assert!(distances[2] < (RECORDS * QUERIES) as u64 / 2);

    let measured = info(&store)["recalls"].as_array().unwrap().clone();
    assert!(measured.iter().all(|point| point["limit"] == 10));
    let recalls: Vec<f64> = measured
        .iter()
        .map(|point| point["recall"].as_f64().unwrap())
        .collect();
    assert!(recalls.is_sorted() && recalls[0] > 0.0 && recalls[recalls.len() - 1] <= 1.0);
    store.close().unwrap();
}

#[test]
fn a_recall_of_one_compares_with_every_record() {
    let mut random = Random(12);
    let (store, vectors) = filled(&mut random, "euclidean");
    let queries: Vec<Vec<f32>> = (0..QUERIES).map(|_| random.vector()).collect();
    let nearest: Vec<Vec<usize>> = queries.iter().map(|query| exact(&vectors, query)).collect();
    assert_eq!(search(&store, &queries, json!({"recall": 1})), nearest);
    let evaluations = info(&store)["searches"]["evaluations"].as_u64().unwrap();
    assert_eq!(evaluations, (RECORDS * QUERIES) as u64);
    assert_eq!(info(&store)["recalls"], json!([]));
    store.close().unwrap();
}

#[test]
fn queries_that_are_refused_measure_nothing() {
    let mut random = Random(14);
    let store = open(memory());
    // So few links that the narrowest beam does not find all of a record's neighbors.
    let sparse = json!({
        "name": "records", "dimension": DIMENSION, "metric": "euclidean",
        "hnsw": {"m": 4, "ef_construction": 16},
    });
    call(&store, "collections.create", sparse, &[]);
    let vectors = fill(&store, &mut random);
    let bad = json!({
        "collection": "records", "recall": 0.9,
        "queries": vec![json!({"query_vector": [1.0]}); QUERIES],
    });
    for _ in 0..10 {
        assert_eq!(
            call(&store, "search", bad.clone(), &[])["failed_queries"],
            QUERIES
        );
    }
    let measured = info(&store)["recalls"].as_array().unwrap().clone();
    assert!(measured.len() > 1, "on records instead: {measured:?}");
    assert!(
        measured[0]["recall"].as_f64().unwrap() < 1.0,
        "{measured:?}"
    );
    let query = random.vector();
    let found = search(
        &store,
        std::slice::from_ref(&query),
        json!({"recall": 0.99}),
    );
    let nearest = exact(&vectors, &query);
    let hits = found[0].iter().filter(|id| nearest.contains(id)).count();
    assert!(hits >= 9, "{hits} of {LIMIT}");
    store.close().unwrap();
}

#[test]
fn what_searches_cost_is_counted() {
    // Ten matches, and four more: all of them where codes never tell for certain.
    for (metric, exact) in [
        ("dot_product", 3 * 14..=3 * 14),
        ("euclidean", 3 * 10..=3 * 13),
    ] {
        let mut random = Random(13);
        let (store, _) = filled(&mut random, metric);
        let queries = [random.vector(), random.vector(), vec![1.0; DIMENSION]];
        search(&store, &queries, json!({"ef_search": 64}));
        let searches = &info(&store)["searches"];
        assert_eq!(searches["queries"], 3);
        let scored = searches["exact"].as_u64().unwrap();
        assert!(exact.contains(&scored), "{metric}: {scored}");
        for counter in ["leaders", "evaluations"] {
            let count = searches[counter].as_u64().unwrap();
            assert!(
                (3..(3 * RECORDS) as u64).contains(&count),
                "{counter}: {count}"
            );
        }
        store.close().unwrap();
    }
}
