//! A batch of queries over one snapshot.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::config::{CollectionConfig, Thresholds};
use super::recalls::Beams;
use super::scope::Scope;
use super::snapshot::Snapshot;
use crate::batch::{Effort, Gate, Query, QueryInput, SearchRequest, check_vector};
use crate::error::{Error, ErrorCode, Result};
use crate::filter::Filter;
use crate::index::{
    self, Candidate, ExactQuery, Graph, Scratch, Search, SearchCounters, Selection, TailPanels,
};
use crate::kernels::CodeQuery;
use crate::limits::EF_SEARCH_MAX;
use crate::log::Location;
use crate::record::Slot;

/// Beam width where a query names none.
pub const EF_SEARCH_DEFAULT: usize = 64;
/// The same where the built-in embedder made the vectors: they are spread far more evenly than a
/// model's, and the graph tells them apart less well.
pub const EF_SEARCH_LEXICAL_DEFAULT: usize = 128;
/// Queries whose ways through the graph go on together.
const TOGETHER_MAX: usize = 4;
/// Where all are compared, so many times the matches asked for are scored exactly.
const ALL_FACTOR: usize = 4;
/// A beam that found too little is widened by this factor.
const EF_GROWTH: usize = 4;

thread_local! {
    /// What a thread searches in; it grows with the largest collection and is used again.
    static SCRATCHES: RefCell<[Scratch; TOGETHER_MAX]> = RefCell::default();
}

/// One match before its record is read: the slot and the exact score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Where the record is.
    pub slot: Slot,
    /// Exact score; larger is nearer.
    pub score: f32,
}

/// What one query found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The matches, best first, ties by id; or why there are none.
    pub matches: Result<Vec<Match>>,
    /// Time spent on this query; queries that were answered together have equal shares.
    pub elapsed: Duration,
}

/// Everything that the queries of one batch share.
pub struct Searcher<'a> {
    snapshot: &'a Snapshot,
    graph: &'a Graph,
    config: &'a CollectionConfig,
    thresholds: &'a Thresholds,
    beams: Beams,
    everything: Scope,
    filtered: HashMap<&'a Filter, Scope>,
}

/// A query that can be answered.
struct Asked<'a> {
    query: &'a Query,
    vector: &'a [f32],
    codes: CodeQuery,
    scope: &'a Scope,
    /// Candidates that are scored exactly, at most.
    wanted: usize,
    /// Width of the beam, at first; `None` = comparison with each record.
    ef: Option<usize>,
}

/// A query and the rows that are scored exactly for it.
struct Chosen<'a> {
    asked: Asked<'a>,
    rows: Vec<(Slot, Location)>,
}

impl<'a> Searcher<'a> {
    /// Evaluates each distinct filter of the batch once.
    pub fn new(
        snapshot: &'a Snapshot,
        graph: &'a Graph,
        config: &'a CollectionConfig,
        thresholds: &'a Thresholds,
        request: &'a SearchRequest,
    ) -> Self {
        let mut asking = HashMap::new();
        let mut all = 0;
        for query in &request.queries {
            match query.filter.as_deref() {
                Some(filter) => *asking.entry(filter).or_insert(0) += 1,
                None => all += 1,
            }
        }
        let with_panels = |mut scope: Scope, queries| {
            if scope.count > thresholds.scan_rows_max {
                scope.panels = TailPanels::new(graph, &snapshot.entry, &scope.tail, queries);
            }
            scope
        };
        let filtered = asking
            .into_iter()
            .map(|(filter, queries)| {
                let scope = Scope::filtered(snapshot, filter);
                (filter, with_panels(scope, queries))
            })
            .collect();
        let everything = with_panels(Scope::everything(snapshot), all);
        Searcher {
            snapshot,
            graph,
            config,
            thresholds,
            beams: Beams::default(),
            everything,
            filtered,
        }
    }

    /// Takes the beams for queries that ask for a recall; without them, they compare with each
    /// record.
    pub fn set_beams(&mut self, beams: Beams) {
        self.beams = beams;
    }

    /// Answers all queries, in request order, on the current pool's threads; and tells what that
    /// cost.
    pub fn run(&self, request: &SearchRequest, gate: &Gate) -> (Vec<Found>, SearchCounters) {
        let each = request.queries.len().div_ceil(rayon::current_num_threads());
        let answer = |queries: &[Query]| {
            let answer = |scratches: &RefCell<[Scratch; TOGETHER_MAX]>| {
                self.answer_some(queries, request, gate, &mut *scratches.borrow_mut())
            };
            SCRATCHES.with(answer)
        };
        let pieces = request.queries.par_chunks(each.clamp(1, TOGETHER_MAX));
        let found: Vec<(Vec<Found>, SearchCounters)> = pieces.map(answer).collect();
        let mut costs = SearchCounters::default();
        found.iter().for_each(|piece| costs += piece.1);
        let found = found.into_iter().flat_map(|piece| piece.0);
        (found.collect(), costs)
    }

    /// Answers some queries, whose ways through the graph go on together.
    fn answer_some(
        &self,
        queries: &[Query],
        request: &SearchRequest,
        gate: &Gate,
        scratches: &mut [Scratch],
    ) -> (Vec<Found>, SearchCounters) {
        let began = Instant::now();
        let mut costs = SearchCounters::default();
        let asked: Vec<Result<Asked<'_>>> = queries
            .iter()
            .map(|query| self.ask(query, request, gate))
            .collect();
        let mut walked = self.walk(&asked, scratches, &mut costs).into_iter();
        let Some(scratch) = scratches.first_mut() else {
            return Default::default();
        };
        let found: Vec<Result<(Asked<'_>, Vec<Candidate>)>> = asked
            .into_iter()
            .map(|asked| {
                let asked = asked?;
                let (found, tail) = match asked.ef {
                    Some(_) => walked.next().unwrap_or_default(),
                    None => Default::default(),
                };
                let mut found = self.completed(&asked, found, &tail, scratch, &mut costs);
                found.truncate(self.uncertain_count(&asked, &found));
                Ok((asked, found))
            })
            .collect();
        let matches = self.score(found, &mut costs);
        costs.queries = queries.len();
        let elapsed = began.elapsed() / queries.len().max(1) as u32;
        let found = matches.into_iter();
        let found = found.map(|matches| Found { matches, elapsed }).collect();
        (found, costs)
    }

    /// How many of the nearest by codes may be among the nearest by exact score.
    fn uncertain_count(&self, asked: &Asked<'_>, found: &[Candidate]) -> usize {
        let wanted = found.len().min(asked.wanted);
        let limit = wanted.min(asked.query.limit);
        let (Some(last), Some(_)) = (found[..limit].last(), asked.ef) else {
            return wanted;
        };
        let off = |found: &Candidate| self.graph.uncertainty(&asked.codes, found);
        let farthest = last.distance + off(last);
        let others = found[limit..wanted].iter();
        limit
            + others
                .take_while(|found| found.distance - off(found) <= farthest)
                .count()
    }

    /// What the graph and the tail hold for those queries that have a beam, in their order.
    fn walk(
        &self,
        asked: &[Result<Asked<'_>>],
        scratches: &mut [Scratch],
        costs: &mut SearchCounters,
    ) -> Vec<(Vec<Candidate>, Vec<Candidate>)> {
        let began = Instant::now();
        let visible = self.visible();
        let asked = asked.iter().flatten();
        let (walking, searches): (Vec<&Asked<'_>>, Vec<Search<'_>>) = asked
            .filter_map(|asked| Some((asked, self.search(asked, asked.ef?, &visible))))
            .unzip();
        index::search_together(self.graph, &self.snapshot.entry, &searches, scratches);
        costs.leaders += self.snapshot.entry.len() * searches.len();
        let scratch = scratches.iter().take(searches.len());
        let walked: Vec<Vec<Candidate>> = scratch
            .map(|scratch| {
                costs.looks += scratch.looks;
                costs.evaluations += scratch.evaluations;
                scratch.results().to_vec()
            })
            .collect();
        costs.graph_ms += milliseconds(began);
        let began = Instant::now();
        let tails = self.scan_tails(&walking, scratches, costs);
        costs.scan_ms += milliseconds(began);
        walked.into_iter().zip(tails).collect()
    }

    /// Makes a query ready, or tells why it has no answer.
    fn ask<'q>(
        &'q self,
        query: &'q Query,
        request: &'q SearchRequest,
        gate: &Gate,
    ) -> Result<Asked<'q>> {
        if gate.is_shut() {
            return Err(Error::new(ErrorCode::Cancelled, "the search was stopped"));
        }
        if let Some(error) = &query.refused {
            return Err(Error::clone(error));
        }
        let Some(QueryInput::Vector(range)) = query.input else {
            return Err(Error::internal("a query's text was not embedded"));
        };
        let vector = request.vectors.get(range);
        check_vector(vector, &self.config.shape())?;
        let scope = match &query.filter {
            Some(filter) => self.filtered.get(&**filter).unwrap_or(&self.everything),
            None => &self.everything,
        };
        let width = match query.effort {
            Effort::Usual => Some(self.default_ef()),
            Effort::Beam(width) => Some(width),
            Effort::Recall(recall) => self.beams.width(recall, query.limit),
            Effort::All => None,
        };
        // Comparison with all stands for the truth, so codes may swap farther neighbors, too.
        let wanted = match width {
            Some(_) => exact_count(query.limit),
            None => ALL_FACTOR * query.limit,
        };
        let width = width.filter(|_| scope.count > self.thresholds.scan_rows_max);
        Ok(Asked {
            query,
            vector,
            codes: self.graph.query(vector),
            scope,
            wanted,
            ef: width.map(|width| width.max(wanted)),
        })
    }

    /// The nearest rows of each query's tail.
    fn scan_tails(
        &self,
        asked: &[&Asked<'_>],
        scratches: &mut [Scratch],
        costs: &mut SearchCounters,
    ) -> Vec<Vec<Candidate>> {
        let is_of_one = asked
            .windows(2)
            .all(|two| std::ptr::eq(two[0].scope, two[1].scope));
        let together = if is_of_one { asked.len().max(1) } else { 1 };
        let mut tails = Vec::with_capacity(asked.len());
        for asked in asked.chunks(together) {
            let Some((first, _)) = asked.split_first() else {
                continue;
            };
            if let Some(panels) = &first.scope.panels {
                let queries: Vec<&CodeQuery> = asked.iter().map(|asked| &asked.codes).collect();
                let wanted = asked.iter().map(|asked| asked.wanted).max().unwrap_or(0);
                panels.scan(self.graph, &queries, wanted, scratches);
                let found = scratches.iter().take(asked.len());
                tails.extend(found.map(|scratch| {
                    costs.evaluations += scratch.evaluations;
                    scratch.results().to_vec()
                }));
            } else if let Some(scratch) = scratches.first_mut() {
                tails.extend(asked.iter().map(|asked| {
                    let tail = &asked.scope.tail;
                    costs.evaluations += tail.len();
                    index::scan(self.graph, &asked.codes, tail, asked.wanted, scratch).to_vec()
                }));
            }
        }
        tails
    }

    /// What the graph and the tail hold, from what a walk has found: at least as many as asked for
    /// where so many exist. A beam that found too little is widened; without one all are compared.
    fn completed(
        &self,
        asked: &Asked<'_>,
        mut found: Vec<Candidate>,
        tail: &[Candidate],
        scratch: &mut Scratch,
        costs: &mut SearchCounters,
    ) -> Vec<Candidate> {
        let enough = asked.query.limit.min(asked.scope.count);
        let mut ef = asked.ef.unwrap_or(EF_SEARCH_MAX);
        loop {
            merge(&mut found, tail);
            if asked.ef.is_some() && found.len() >= enough {
                return found;
            }
            let began = Instant::now();
            if ef >= EF_SEARCH_MAX {
                let slots = asked.scope.slots(self.snapshot);
                costs.evaluations += slots.len();
                let found = index::scan(self.graph, &asked.codes, slots, asked.wanted, scratch);
                costs.scan_ms += milliseconds(began);
                return found.to_vec();
            }
            ef = (ef * EF_GROWTH).min(EF_SEARCH_MAX);
            let visible = self.visible();
            let search = self.search(asked, ef, &visible);
            found = index::search(self.graph, &self.snapshot.entry, &search, scratch).to_vec();
            costs.graph_ms += milliseconds(began);
            costs.looks += scratch.looks;
            costs.evaluations += scratch.evaluations;
        }
    }

    fn default_ef(&self) -> usize {
        let embedder = self.config.embedder.as_ref();
        match embedder {
            Some(embedder) if embedder.is_built_in() => EF_SEARCH_LEXICAL_DEFAULT,
            _ => EF_SEARCH_DEFAULT,
        }
    }

    fn visible(&self) -> impl Fn(Slot) -> bool + '_ {
        |slot| self.snapshot.is_alive(slot)
    }

    fn search<'s>(
        &self,
        asked: &'s Asked<'_>,
        ef: usize,
        visible: &'s dyn Fn(Slot) -> bool,
    ) -> Search<'s> {
        let selection = match &asked.scope.allowed {
            None => Selection::Visible(visible),
            Some(allowed) => Selection::Allowed {
                bitset: &allowed.bitset,
                count: asked.scope.count,
                total: self.everything.count,
            },
        };
        Search {
            query: &asked.codes,
            ef,
            wanted: asked.wanted,
            selection,
        }
    }

    /// Scores what was found exactly. What one step needs of all queries is asked for in the
    /// step before: where the rows are, and the rows.
    fn score(
        &self,
        found: Vec<Result<(Asked<'_>, Vec<Candidate>)>>,
        costs: &mut SearchCounters,
    ) -> Vec<Result<Vec<Match>>> {
        let began = Instant::now();
        let candidates = found.iter().flatten().flat_map(|(_, found)| found);
        candidates.for_each(|found| self.snapshot.slots.prefetch(found.slot as usize));
        let chosen = found.into_iter().map(|found| self.locate(found?));
        let chosen: Vec<Result<Chosen<'_>>> = chosen.collect();
        costs.exact += chosen
            .iter()
            .flatten()
            .map(|it| it.rows.len())
            .sum::<usize>();
        let matches = chosen.into_iter().map(|chosen| self.exact(&chosen?));
        let matches = matches.collect();
        costs.exact_ms += milliseconds(began);
        matches
    }

    /// Where the rows of candidates are.
    fn locate<'q>(&self, (asked, found): (Asked<'q>, Vec<Candidate>)) -> Result<Chosen<'q>> {
        let rows = found.iter().map(|found| {
            let row = self.snapshot.slot(found.slot)?.row;
            self.snapshot.files.prefetch(row);
            Ok((found.slot, row))
        });
        let rows = rows.collect::<Result<_>>()?;
        Ok(Chosen { asked, rows })
    }

    /// Scores rows from the vectors as they were given.
    fn exact(&self, chosen: &Chosen<'_>) -> Result<Vec<Match>> {
        let Chosen { asked, rows } = chosen;
        let query = asked.query;
        let exact = ExactQuery::new(self.config.metric, asked.vector);
        let mut matches = Vec::with_capacity(rows.len());
        for &(slot, location) in rows {
            let score = self.snapshot.files.with_row(location, |row| {
                let stored = row.vector();
                (stored.len() == asked.vector.len()).then(|| exact.score(&stored))
            })?;
            let Some(score) = score else {
                let message = format!("slot {slot} holds no vector of its kind");
                return Err(Error::new(ErrorCode::Corrupted, message));
            };
            if query.threshold.is_none_or(|threshold| score >= threshold) {
                matches.push(Match { slot, score });
            }
        }
        matches.sort_by(|a, b| {
            b.score.total_cmp(&a.score).then_with(|| {
                self.snapshot
                    .ids
                    .id(a.slot)
                    .cmp(&self.snapshot.ids.id(b.slot))
            })
        });
        matches.truncate(query.limit);
        Ok(matches)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// How many candidates are scored exactly at most: codes may swap neighbors that are nearly
/// equal, so a few more than asked for (measured: 14 for 10 keeps what 40 keep).
fn exact_count(limit: usize) -> usize {
    limit + (limit * 2 / 5).max(4)
}

/// Merges two lists, each nearest first.
fn merge(found: &mut Vec<Candidate>, others: &[Candidate]) {
    if others.is_empty() {
        return;
    }
    found.extend_from_slice(others);
    found.sort_unstable_by(|a, b| {
        a.distance
            .total_cmp(&b.distance)
            .then_with(|| a.slot.cmp(&b.slot))
    });
    found.dedup_by_key(|candidate| candidate.slot);
}
