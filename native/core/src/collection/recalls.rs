//! How wide a beam must be for a recall, measured by a collection on itself.
//!
//! Some queries are answered twice: by comparison with every record, and by beams of growing
//! width. The queries are those that asked for a recall, or, until enough have, records of the
//! collection, which their neighbors find a little more easily.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::search::{Found, Match};
use super::snapshot::Snapshot;
use crate::batch::{
    CollectionShape, Effort, Include, Query, QueryInput, SearchRequest, VectorRange, Vectors,
    check_vector,
};
use crate::codec::MeasuredRecall;
use crate::error::Result;
use crate::limits::EF_SEARCH_MAX;

/// Queries of one measurement.
const QUERIES: usize = 128;
/// Asked queries that take the place of records.
const ASKED_MIN: usize = 64;
/// Queries that are remembered of one batch.
const ASKED_OF_BATCH: usize = 8;
/// Counts of matches for which recall is measured; a search for fewer goes by the next.
const LIMITS: [usize; 3] = [10, 100, 1000];
/// Widths of beams that are tried, as far as they are no narrower than the matches asked for.
const WIDTHS: [usize; 15] = [
    10,
    16,
    24,
    32,
    48,
    64,
    96,
    128,
    192,
    256,
    384,
    512,
    1024,
    2048,
    EF_SEARCH_MAX,
];
/// A recall from which on wider beams are not tried.
const ENOUGH: f32 = 0.9995;

/// What was measured, and on what the next measurement will be made.
#[derive(Debug, Default)]
pub struct Recalls {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By count of matches.
    measured: BTreeMap<usize, Arc<Measured>>,
    /// The latest vectors that came with the wish for a recall.
    asked: VecDeque<Vec<f32>>,
}

/// The recall of beams, narrowest first.
#[derive(Debug)]
struct Measured {
    /// Records of the collection then.
    count: u64,
    by_asked: bool,
    points: Vec<(usize, f32)>,
}

/// The beams for the queries of one batch.
#[derive(Debug, Default)]
pub struct Beams(BTreeMap<usize, Arc<Measured>>);

impl Beams {
    /// The width that was measured to find this share of the nearest; `None` where none did.
    pub fn width(&self, recall: f32, limit: usize) -> Option<usize> {
        let points = &self.0.get(&measured_limit(limit))?.points;
        let point = points.iter().find(|point| point.1 >= recall)?;
        Some(point.0)
    }
}

impl Recalls {
    /// The beams that a request needs. What was not measured yet, or on a collection of less than
    /// half or more than twice as many records, is measured now; `search` answers requests, or
    /// gives `None` where it was stopped, and then nothing is measured.
    pub fn beams(
        &self,
        snapshot: &Snapshot,
        request: &SearchRequest,
        shape: &CollectionShape,
        search: impl Fn(&SearchRequest) -> Option<Vec<Found>>,
    ) -> Beams {
        let wanting = |query: &&Query| matches!(query.effort, Effort::Recall(_));
        let wanting = || request.queries.iter().filter(wanting);
        let vectors = wanting().filter_map(|query| match query.input {
            Some(QueryInput::Vector(range)) => Some(request.vectors.get(range)),
            _ => None,
        });
        // A query that is refused would measure nothing.
        self.remember(vectors.filter(|vector| check_vector(vector, shape).is_ok()));
        let limits: BTreeSet<usize> = wanting().map(|query| measured_limit(query.limit)).collect();
        let measured = limits
            .into_iter()
            .filter_map(|limit| Some((limit, self.measure(snapshot, limit, &search)?)));
        Beams(measured.collect())
    }

    /// All that was measured.
    pub fn measured(&self) -> Vec<MeasuredRecall> {
        let state = self.lock();
        let points = state.measured.iter().flat_map(|(&limit, measured)| {
            let points = measured.points.iter();
            points.map(move |&(ef_search, recall)| MeasuredRecall {
                limit,
                ef_search,
                recall,
            })
        });
        points.collect()
    }

    fn remember<'v>(&self, vectors: impl Iterator<Item = &'v [f32]>) {
        let mut state = self.lock();
        for vector in vectors.take(ASKED_OF_BATCH) {
            state.asked.push_back(vector.to_vec());
        }
        let surplus = state.asked.len().saturating_sub(QUERIES);
        state.asked.drain(..surplus);
    }

    /// Two callers may measure at the same time; a lock would hold up the pool's other work.
    fn measure(
        &self,
        snapshot: &Snapshot,
        limit: usize,
        search: impl Fn(&SearchRequest) -> Option<Vec<Found>>,
    ) -> Option<Arc<Measured>> {
        let count = snapshot.count();
        let (known, asked) = {
            let state = self.lock();
            let known = state.measured.get(&limit).cloned();
            let enough = state.asked.len() >= ASKED_MIN;
            let asked = enough.then(|| Vec::from(state.asked.clone()));
            (known, asked)
        };
        if let Some(known) = known
            && known.by_asked == asked.is_some()
            && (count / 2..=count.saturating_mul(2)).contains(&known.count)
        {
            return Some(known);
        }
        let by_asked = asked.is_some();
        let vectors = asked.unwrap_or_else(|| some_records(snapshot).unwrap_or_default());
        let points = points(vectors, limit, !by_asked, search)?;
        let measured = Arc::new(Measured {
            count,
            by_asked,
            points,
        });
        let state = &mut self.lock().measured;
        state.insert(limit, Arc::clone(&measured));
        Some(measured)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, so the state behind a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn measured_limit(limit: usize) -> usize {
    let mut limits = LIMITS.into_iter();
    limits.find(|&measured| limit <= measured).unwrap_or(limit)
}

/// Vectors of records from all over the collection.
fn some_records(snapshot: &Snapshot) -> Result<Vec<Vec<f32>>> {
    let step = (snapshot.count() as usize).div_ceil(QUERIES).max(1);
    let vector = |slot| {
        let mut vector = Vec::new();
        snapshot.row(slot)?.view().vector_into(&mut vector);
        Ok(vector)
    };
    snapshot.alive.iter().step_by(step).map(vector).collect()
}

/// The recall of each width, the narrowest first and each at least that of the one before. A
/// query that is a record itself finds that one more, which does not count.
fn points(
    vectors: Vec<Vec<f32>>,
    limit: usize,
    are_records: bool,
    search: impl Fn(&SearchRequest) -> Option<Vec<Found>>,
) -> Option<Vec<(usize, f32)>> {
    let own = usize::from(are_records);
    let asked = limit + own;
    let mut request = request(vectors, asked);
    let nearest = search(&request)?;
    // Equal scores are equally right, whoever has them.
    let bounds: Vec<Option<f32>> = nearest.iter().map(|found| least(found, asked)).collect();
    let mut points: Vec<(usize, f32)> = Vec::new();
    for width in WIDTHS.into_iter().filter(|&width| width >= limit) {
        for query in &mut request.queries {
            query.effort = Effort::Beam(width);
        }
        let (mut hits, mut all) = (0, 0);
        for ((found, exact), bound) in search(&request)?.iter().zip(&nearest).zip(&bounds) {
            let Some(bound) = *bound else { continue };
            let reached = |found: &Found| {
                let matches = found.matches.as_deref().unwrap_or_default();
                let reached = matches.iter().filter(|found| found.score >= bound);
                reached.count().min(asked).saturating_sub(own)
            };
            hits += reached(found);
            all += reached(exact);
        }
        let before = points.last().map_or(0.0, |point| point.1);
        let recall = if all == 0 {
            1.0
        } else {
            hits as f32 / all as f32
        };
        points.push((width, recall.max(before)));
        if recall >= ENOUGH {
            break;
        }
    }
    Some(points)
}

/// The score of the last of so many matches.
fn least(found: &Found, limit: usize) -> Option<f32> {
    let matches: &[Match] = found.matches.as_deref().unwrap_or_default();
    let last = matches.get(limit - 1).or(matches.last())?;
    Some(last.score)
}

fn request(vectors: Vec<Vec<f32>>, limit: usize) -> SearchRequest {
    let mut all = Vectors::default();
    let query = |vector: Vec<f32>| {
        let start = all.values.len();
        all.values.extend_from_slice(&vector);
        Query {
            query_id: String::new(),
            input: Some(QueryInput::Vector(VectorRange {
                start,
                len: vector.len(),
            })),
            limit,
            threshold: None,
            filter: None,
            include: Include::default(),
            effort: Effort::All,
            refused: None,
        }
    };
    let queries = vectors.into_iter().map(query).collect();
    SearchRequest {
        queries,
        vectors: all,
        atomic: false,
        batch_size_limit: None,
    }
}
