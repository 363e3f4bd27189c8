//! Random batches against a plain map and exact search, with folds, repairs, checkpoints,
//! compactions and reopenings in between.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{Model, Random, apply, call, colour, contents, create, judge, open, operation};
use volley_core::storage::MemoryStorage;
use volley_core::store::Store;

struct Run {
    random: Random,
    storage: Arc<MemoryStorage>,
    store: Store,
    model: Model,
    metric: &'static str,
    found: usize,
    wanted: usize,
}

impl Run {
    fn new(seed: u64, metric: &'static str) -> Self {
        let storage = Arc::new(MemoryStorage::default());
        let store = open(storage.clone());
        create(&store, metric);
        let random = Random(seed);
        Run {
            random,
            storage,
            store,
            model: Model::new(),
            metric,
            found: 0,
            wanted: 0,
        }
    }

    fn write(&mut self) {
        let count = 1 + self
            .random
            .below(if self.random.clone().one_in(4) { 60 } else { 6 });
        let operations: Vec<Value> = (0..count)
            .map(|_| operation(&mut self.random, 400))
            .collect();
        let atomic = self.random.one_in(2);
        let header = json!({
            "collection": "records", "operations": operations, "atomic": atomic, "outcomes": "all",
        });
        let preview = self.preview(&header);
        let reply = call(&self.store, "write", header, &[]);
        if let Some(preview) = preview {
            assert_eq!(preview["outcomes"], reply["outcomes"]);
            assert_eq!(preview["status"], reply["status"]);
        }
        let mut changed = self.model.clone();
        let expected: Vec<_> = operations
            .iter()
            .map(|operation| apply(&mut changed, operation))
            .collect();
        let aborted = atomic && expected.iter().any(Result::is_err);
        let outcomes = reply["outcomes"]
            .as_array()
            .unwrap_or_else(|| panic!("{reply}"));
        assert_eq!(outcomes.len(), operations.len());
        for (outcome, expected) in outcomes.iter().zip(&expected) {
            match expected {
                Err(code) => assert_eq!(outcome["error_code"], *code),
                Ok(_) if aborted => assert_eq!(outcome["error_code"], "BATCH_ABORTED"),
                Ok(status) => assert_eq!(outcome["status"], *status, "{outcome}"),
            }
        }
        if !aborted {
            self.model = changed;
        }
    }

    /// Now and then, what the batch would do: the same, and nothing is changed by the asking.
    fn preview(&mut self, header: &Value) -> Option<Value> {
        if !self.random.one_in(5) {
            return None;
        }
        let mut header = header.clone();
        header["validate_only"] = json!(true);
        Some(call(&self.store, "write", header, &[]))
    }

    fn search(&mut self) {
        let query = self.random.vector();
        let limit = 1 + self.random.below(12) as usize;
        let colour = colour(&mut self.random);
        let filtered = self.random.one_in(2);
        let mut header = json!({
            "collection": "records", "queries": [{"query_vector": query}], "limit": limit,
            "ef_search": 200,
        });
        let mut allowed = self.model.clone();
        if filtered {
            header["filters"] = json!({"colour": colour});
            allowed.retain(|_, record| record.metadata["colour"] == colour);
        }
        let reply = call(&self.store, "search", header, &[]);
        let result = &reply["batch_results"][0];
        let near = judge(result, &allowed, self.metric, &query, limit);
        let near = near.unwrap_or_else(|fault| panic!("{fault}: {reply}"));
        self.found += near;
        self.wanted += allowed.len().min(limit);
    }

    fn reopen(&mut self) {
        self.store.close().unwrap();
        self.store = open(self.storage.clone());
    }

    fn compact(&mut self) {
        let reply = call(
            &self.store,
            "compact",
            json!({"collection": "records"}),
            &[],
        );
        assert!(reply.get("error").is_none(), "{reply}");
        assert!(
            reply["bytes_after"].as_u64() <= reply["bytes_before"].as_u64(),
            "{reply}"
        );
    }

    fn check_contents(&self) {
        assert_eq!(contents(&self.store), self.model);
        let count = call(&self.store, "count", json!({"collection": "records"}), &[]);
        assert_eq!(count["count"], self.model.len());
    }
}

/// Recall depends on where folds end, which is a matter of timing here, so it has a margin.
fn run(seed: u64, metric: &'static str, least_recall: f64) {
    let steps = 1500;
    let mut run = Run::new(seed, metric);
    for _ in 0..steps {
        match run.random.below(200) {
            0 => run.reopen(),
            1 | 2 => run.compact(),
            3..8 => run.check_contents(),
            8 => {
                let reply = call(&run.store, "indexed", json!({"collection": "records"}), &[]);
                assert!(reply["indexed"].is_u64(), "{reply}");
            }
            9..60 => run.search(),
            _ => run.write(),
        }
    }
    run.check_contents();
    run.reopen();
    run.check_contents();
    let recall = run.found as f64 / run.wanted as f64;
    assert!(
        recall >= least_recall,
        "recall {recall} over {} matches",
        run.wanted
    );
}

#[test]
fn cosine_behaves_like_a_map_with_exact_search() {
    run(1, "cosine", 0.97);
}

#[test]
fn euclidean_behaves_like_a_map_with_exact_search() {
    run(2, "euclidean", 0.97);
}

#[test]
fn dot_product_behaves_like_a_map_with_exact_search() {
    run(3, "dot_product", 0.9);
}
