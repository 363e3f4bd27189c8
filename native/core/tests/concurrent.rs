//! Searches while batches insert, replace and delete, and while blocks are folded and repaired:
//! each call sees the collection as it was between two batches, and finds what is near there.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use support::{Model, Random, apply, call, colour, create, info, judge, memory, open, operation};
use volley_core::store::Store;

const BATCHES: usize = 120;
const LIMIT: usize = 10;

/// The collection after every batch that was sent, and how many of these were acknowledged.
struct History {
    models: Mutex<Vec<Arc<Model>>>,
    acknowledged: AtomicUsize,
    ended: AtomicBool,
}

impl History {
    fn new() -> Self {
        History {
            models: Mutex::new(vec![Arc::default()]),
            acknowledged: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
        }
    }

    fn write(&self, store: &Store, seed: u64) {
        let _ends = Ends(&self.ended);
        let mut random = Random(seed);
        let mut model = Model::new();
        for batch in 1..=BATCHES {
            let operations: Vec<Value> = (0..20 + random.below(200))
                .map(|_| operation(&mut random, 600))
                .filter(|operation| apply(&mut model, operation).is_ok())
                .collect();
            self.models.lock().unwrap().push(Arc::new(model.clone()));
            let header = json!({"collection": "records", "operations": operations, "atomic": true});
            let reply = call(store, "write", header, &[]);
            assert_eq!(reply["failed_count"], 0, "{reply}");
            self.acknowledged.store(batch, Ordering::SeqCst);
        }
    }

    /// Searches until the last batch, and once behind it; returns how many of the matches are
    /// among the nearest.
    fn search(&self, store: &Store, metric: &str, seed: u64) -> (usize, usize) {
        let mut random = Random(seed);
        let (mut found, mut wanted) = (0, 0);
        loop {
            let is_last = self.ended.load(Ordering::SeqCst);
            let queries: Vec<Query> = (0..4).map(|_| Query::any(&mut random)).collect();
            let first = self.acknowledged.load(Ordering::SeqCst);
            let wire: Vec<Value> = queries.iter().map(Query::wire).collect();
            let header = json!({"collection": "records", "queries": wire, "ef_search": 200});
            let reply = call(store, "search", header, &[]);
            let seen = self.models.lock().unwrap()[first..].to_vec();
            let judged: Vec<_> = seen
                .iter()
                .map(|model| judge_all(&reply, model, metric, &queries))
                .collect();
            let fits = judged.iter().find_map(|judged| judged.as_ref().ok());
            let (near, count) = fits.unwrap_or_else(|| panic!("{first}: {judged:?}: {reply}"));
            found += near;
            wanted += count;
            if is_last {
                return (found, wanted);
            }
        }
    }
}

/// Tells the searchers that no batch will come, also where the writer fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Query {
    vector: Vec<f32>,
    colour: Option<&'static str>,
}

impl Query {
    fn any(random: &mut Random) -> Self {
        Query {
            vector: random.vector(),
            colour: random.one_in(2).then(|| colour(random)),
        }
    }

    fn wire(&self) -> Value {
        let mut wire = json!({"query_vector": self.vector, "limit": LIMIT});
        if let Some(colour) = self.colour {
            wire["filters"] = json!({"colour": colour});
        }
        wire
    }

    fn allowed(&self, model: &Model) -> Model {
        let passes = |colour: &Value| self.colour.is_none_or(|wanted| colour == wanted);
        let records = model.iter();
        records
            .filter(|(_, record)| passes(&record.metadata["colour"]))
            .map(|(id, record)| (id.clone(), record.clone()))
            .collect()
    }
}

/// How many matches are among the nearest and how many there should be, if all the queries of a
/// call have seen this one state of the collection.
fn judge_all(
    reply: &Value,
    model: &Model,
    metric: &str,
    queries: &[Query],
) -> Result<(usize, usize), String> {
    let (mut found, mut wanted) = (0, 0);
    for (place, query) in queries.iter().enumerate() {
        let allowed = query.allowed(model);
        let result = &reply["batch_results"][place];
        found += judge(result, &allowed, metric, &query.vector, LIMIT)?;
        wanted += allowed.len().min(LIMIT);
    }
    Ok((found, wanted))
}

fn run(metric: &str, least_recall: f64) {
    let store = open(memory());
    create(&store, metric);
    let history = History::new();
    let (found, wanted) = std::thread::scope(|scope| {
        let searchers = [1, 2].map(|seed| {
            let (store, history) = (&store, &history);
            scope.spawn(move || history.search(store, metric, seed))
        });
        history.write(&store, 7);
        let ended = searchers.map(|searcher| searcher.join().unwrap());
        (ended[0].0 + ended[1].0, ended[0].1 + ended[1].1)
    });
    call(&store, "indexed", json!({"collection": "records"}), &[]);
    let info = info(&store);
    let count = |part: &str, counter: &str| info[part][counter].as_u64().unwrap();
    assert!(count("folds", "blocks") > 10, "{info}");
    assert!(count("repairs", "repairs") > 10, "{info}");
    let recall = found as f64 / wanted as f64;
    assert!(recall >= least_recall, "{recall} over {wanted} matches");
}

#[test]
fn searches_see_whole_batches_by_cosine() {
    run("cosine", 0.97);
}

#[test]
fn searches_see_whole_batches_by_euclidean_distance() {
    run("euclidean", 0.97);
}

#[test]
fn searches_see_whole_batches_by_dot_product() {
    run("dot_product", 0.9);
}
