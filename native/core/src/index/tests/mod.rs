//! The graph as a whole, through its public door, and its invariants.

mod determinism;
mod recall;
mod repair;
mod save;

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::record::Slot;

/// A well mixed function of a number (splitmix64).
pub(super) fn hash(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

fn uniform(seed: u64) -> f32 {
    (hash(seed) >> 40) as f32 / (1u64 << 24) as f32 - 0.5
}

/// Numbers that are about normally distributed.
pub(super) fn normal(seed: u64) -> f32 {
    (0..6)
        .map(|draw| uniform(seed.wrapping_mul(6) + draw))
        .sum::<f32>()
        * 1.414
}

/// A vector near one of 50 cluster centers; the seed decides which.
pub(super) fn clustered(seed: u64, dimension: usize) -> Vec<f32> {
    let cluster = hash(seed) % 50;
    let number = |place: u64| {
        normal(hash(cluster << 20 | place)) + 0.7 * normal(hash(seed << 20 | place | 1 << 62))
    };
    (0..dimension as u64).map(number).collect()
}

/// A graph over vectors that are folded in blocks of given sizes, the last one repeated.
pub(super) struct Built {
    pub graph: Arc<Graph>,
    pub builder: Builder,
    pub vectors: Vec<Vec<f32>>,
}

pub(super) fn build(metric: Metric, vectors: Vec<Vec<f32>>, blocks: &[usize]) -> Built {
    let parameters = IndexParameters::new(vectors[0].len(), metric);
    let graph = Arc::new(Graph::new(parameters));
    let mut built = Built {
        builder: Builder::new(Arc::clone(&graph)),
        graph,
        vectors,
    };
    let mut blocks = blocks.iter().copied();
    let (mut first, mut block) = (0, 1);
    while first < built.vectors.len() {
        block = blocks.next().unwrap_or(block);
        let end = built.vectors.len().min(first + block);
        built.fold(first..end);
        first = end;
    }
    built
}

impl Built {
    pub fn fold(&mut self, places: std::ops::Range<usize>) -> FoldCounters {
        let of_block = self.vectors[places.clone()].iter().map(Vec::as_slice);
        self.graph.bound_length(&mut of_block.clone());
        let rows: Vec<(Slot, u64)> = places
            .map(|place| (place as Slot, hash(place as u64)))
            .collect();
        for (&(slot, _), vector) in rows.iter().zip(of_block) {
            self.graph.encode(slot, vector);
        }
        self.builder.fold(&rows)
    }

    pub fn search(&self, query: &[f32], ef: usize, selection: &Selection<'_>) -> Vec<Slot> {
        let mut scratch = Scratch::default();
        let query = self.graph.query(query);
        let entry = self.builder.entry();
        let asked = Search {
            query: &query,
            ef,
            wanted: ef,
            selection: *selection,
        };
        let found = search(&self.graph, &entry, &asked, &mut scratch);
        assert!(found.is_sorted_by(|left, right| {
            candidate::key(left.distance, left.slot) < candidate::key(right.distance, right.slot)
        }));
        found.iter().map(|found| found.slot).collect()
    }

    /// The share of the exact 10 best allowed rows that are among the best found.
    pub fn recall(
        &self,
        metric: Metric,
        queries: &[Vec<f32>],
        ef: usize,
        selection: &Selection<'_>,
    ) -> f64 {
        let (mut hits, mut all) = (0, 0);
        for query in queries {
            let asked = ExactQuery::new(metric, query);
            let by_score = |slots: &mut dyn Iterator<Item = Slot>, count: usize| {
                let score_of = |slot: Slot| asked.score(&self.vectors[slot as usize]);
                let mut scored: Vec<(f32, Slot)> =
                    slots.map(|slot| (score_of(slot), slot)).collect();
                scored.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
                scored.truncate(count);
                scored
                    .into_iter()
                    .map(|(_, slot)| slot)
                    .collect::<Vec<Slot>>()
            };
            let slots = 0..self.vectors.len() as Slot;
            let live = slots.filter(|&slot| self.builder.contains(slot));
            let exact = by_score(&mut live.filter(|&slot| selection.admits(slot)), 10);
            let found = self.search(query, ef, selection);
            let found = by_score(&mut found.into_iter().take(14), 10);
            hits += found.iter().filter(|slot| exact.contains(slot)).count();
            all += exact.len();
        }
        hits as f64 / all as f64
    }
}

/// Panics where the graph breaks what it promises: links lead to other rows of the graph, once
/// each; every row is led to; the counts are those of the links; leaves hold exactly the rows
/// that are assigned to them; ways in lead to rows of the graph.
pub(super) fn check(builder: &Builder) {
    let links = builder.graph().links();
    let slots = || 0..builder.assignments.len() as Slot;
    let live: HashSet<Slot> = slots().filter(|&slot| builder.contains(slot)).collect();
    assert_eq!(live.len(), builder.len());
    let mut in_degrees = vec![0; builder.assignments.len()];
    for slot in slots() {
        let list: Vec<Slot> = links.list(slot).collect();
        assert!(
            live.contains(&slot) || list.is_empty(),
            "links of the dead row {slot}"
        );
        assert!(!list.contains(&slot), "row {slot} links to itself");
        assert_eq!(
            list.iter().collect::<HashSet<_>>().len(),
            list.len(),
            "row {slot} twice"
        );
        for link in list {
            assert!(
                live.contains(&link),
                "row {slot} links to the dead row {link}"
            );
            in_degrees[link as usize] += 1;
        }
    }
    for slot in slots() {
        let in_degree = builder.in_degree(slot);
        assert_eq!(
            in_degree, in_degrees[slot as usize],
            "count of links to {slot}"
        );
        assert!(
            in_degree > 0 || live.len() < 2 || !live.contains(&slot),
            "no link to {slot}"
        );
    }
    let mut visits: HashSet<(u32, Slot)> = HashSet::new();
    for (number, leaf) in (0..).zip(&builder.leaves) {
        visits.extend(leaf.slots().iter().map(|&slot| (number, slot)));
    }
    let assigned: HashSet<(u32, Slot)> = slots()
        .flat_map(|slot| {
            builder.assignments[slot as usize]
                .iter()
                .map(move |own| (own.leaf, slot))
        })
        .collect();
    assert_eq!(visits, assigned);
    assert_eq!(builder.leaders.len(), builder.leaves.len());
    assert!(
        builder
            .leaders
            .slots()
            .iter()
            .all(|slot| live.contains(slot))
    );
    assert_eq!(builder.entry().len(), builder.leaders.len());
}
