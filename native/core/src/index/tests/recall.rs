//! What searches find.

use super::*;

fn rows(count: u64, dimension: usize) -> Vec<Vec<f32>> {
    (0..count).map(|seed| clustered(seed, dimension)).collect()
}

fn queries(count: u64, dimension: usize) -> Vec<Vec<f32>> {
    (0..count)
        .map(|seed| clustered(seed + (1 << 30), dimension))
        .collect()
}

#[test]
fn the_nearest_are_found_under_every_metric() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let built = build(metric, rows(5000, 64), &[1000]);
        check(&built.builder);
        let recall = built.recall(metric, &queries(100, 64), 64, &Selection::All);
        assert!(recall >= 0.95, "{metric:?} {recall}");
    }
}

#[test]
fn the_nearest_are_found_whatever_the_size_of_the_folds() {
    let mut blocks = vec![1, 1, 10, 1, 10];
    blocks.extend([1000, 1, 1, 10, 1].repeat(3));
    blocks.extend([1; 500]);
    blocks.extend([10; 150]);
    let built = build(Metric::Cosine, rows(5000, 64), &blocks);
    check(&built.builder);
    let recall = built.recall(Metric::Cosine, &queries(100, 64), 64, &Selection::All);
    assert!(recall >= 0.95, "{recall}");
}

#[test]
fn the_nearest_are_found_in_very_few_dimensions() {
    for dimension in [1, 2, 3, 8, 33] {
        let built = build(Metric::Euclidean, rows(3000, dimension), &[1000]);
        check(&built.builder);
        let queries = queries(50, dimension);
        // In few dimensions many rows share one int8 code: rank by it, not by exact score.
        let mut scratch = Scratch::default();
        let slots: Vec<Slot> = (0..3000).collect();
        let (mut hits, mut all) = (0, 0);
        for query in &queries {
            let codes = built.graph.query(query);
            let exact = scan(&built.graph, &codes, &slots, 10, &mut scratch).to_vec();
            let entry = built.builder.entry();
            let asked = Search {
                query: &codes,
                ef: 64,
                wanted: 64,
                selection: Selection::All,
            };
            let found = search(&built.graph, &entry, &asked, &mut scratch);
            let bound = exact.last().map_or(0.0, |last| last.distance);
            hits += found
                .iter()
                .take(10)
                .filter(|found| found.distance <= bound)
                .count();
            all += exact.len();
        }
        assert!(
            f64::from(hits as u32) / all as f64 >= 0.95,
            "{dimension}: {hits} of {all}"
        );
    }
}

#[test]
fn a_search_that_ends_by_distance_finds_as_much_and_goes_less_far() {
    let built = build(Metric::Cosine, rows(6000, 64), &[1000]);
    let entry = built.builder.entry();
    let slots: Vec<Slot> = (0..6000).collect();
    let mut scratch = Scratch::default();
    let (mut hits, mut evaluations) = ([0; 2], [0; 2]);
    for query in queries(100, 64) {
        let codes = built.graph.query(&query);
        let exact = scan(&built.graph, &codes, &slots, 10, &mut scratch).to_vec();
        for (way, wanted) in [256, 14].into_iter().enumerate() {
            let asked = Search {
                query: &codes,
                ef: 256,
                wanted,
                selection: Selection::All,
            };
            let found = search(&built.graph, &entry, &asked, &mut scratch);
            hits[way] += found.iter().filter(|found| exact.contains(found)).count();
            evaluations[way] += scratch.evaluations;
        }
    }
    assert!(hits[0] > 950 && hits[1] + 20 >= hits[0], "{hits:?}");
    assert!(evaluations[1] * 10 < evaluations[0] * 9, "{evaluations:?}");
}

#[test]
fn dot_products_of_rows_of_spread_lengths_are_found() {
    let spread = |seed: u64, vector: Vec<f32>| -> Vec<f32> {
        let length = (0.8 * normal(seed ^ 77)).exp();
        vector.into_iter().map(|number| number * length).collect()
    };
    let vectors = (0..)
        .zip(rows(5000, 64))
        .map(|(seed, vector)| spread(seed, vector))
        .collect();
    let built = build(Metric::DotProduct, vectors, &[1000]);
    check(&built.builder);
    let recall = built.recall(Metric::DotProduct, &queries(100, 64), 128, &Selection::All);
    assert!(recall >= 0.9, "{recall}");
}

#[test]
fn equal_rows_are_all_found_and_do_not_hide_others() {
    for dimension in [16, 64] {
        let mut vectors = rows(2000, dimension);
        let equal = clustered(99_999, dimension);
        vectors.extend(std::iter::repeat_n(equal.clone(), 1000));
        vectors.sort_by_key(|vector| hash(vector[0].to_bits().into()) % 7);
        let built = build(Metric::Cosine, vectors, &[500, 1, 300, 10, 1000]);
        check(&built.builder);
        let found = built.search(&equal, 1000, &Selection::All);
        let hits = found
            .iter()
            .filter(|&&slot| built.vectors[slot as usize] == equal)
            .count();
        assert!(hits >= 990, "{hits} of 1000");
        let queries = queries(50, dimension);
        let recall = built.recall(Metric::Cosine, &queries, 64, &Selection::All);
        assert!(recall >= 0.9, "{recall}");
    }
}

#[test]
fn a_leaf_that_cannot_be_split_is_left_to_grow() {
    let mut vectors = rows(1500, 16);
    vectors.extend(std::iter::repeat_n(clustered(99_999, 16), 2500));
    vectors.sort_by_key(|vector| hash(vector[0].to_bits().into()) % 7);
    let built = build(Metric::Cosine, vectors, &[500]);
    check(&built.builder);
    let bound = built.builder.empty_leaf().split_above();
    let leaves = built.builder.leaves.iter();
    let grown: Vec<_> = leaves.filter(|leaf| leaf.slots().len() > bound).collect();
    assert!(!grown.is_empty());
    assert!(grown.iter().all(|leaf| leaf.split_above() > bound));
    let recall = built.recall(Metric::Cosine, &queries(50, 16), 64, &Selection::All);
    assert!(recall >= 0.9, "{recall}");
}

#[test]
fn a_graph_of_nothing_but_zero_vectors_is_whole() {
    for metric in [Metric::Euclidean, Metric::DotProduct] {
        let built = build(metric, vec![vec![0.0; 40]; 700], &[1, 1, 100, 7]);
        check(&built.builder);
        assert!(built.search(&[0.0; 40], 700, &Selection::All).len() >= 690);
    }
}

#[test]
fn a_selection_decides_what_is_returned() {
    let built = build(Metric::Cosine, rows(4000, 64), &[1000]);
    let queries = queries(50, 64);
    let visible = |slot: Slot| slot % 10 != 3;
    let recall = built.recall(Metric::Cosine, &queries, 64, &Selection::Visible(&visible));
    assert!(recall >= 0.95, "visible {recall}");
    for (every, least) in [(2, 0.93), (4, 0.9), (20, 0.85)] {
        let mut bitset = vec![0u64; 4000 / 64 + 1];
        let allowed = (0..4000).filter(|&slot| hash(slot ^ 1 << 40).is_multiple_of(every));
        allowed.for_each(|slot| bitset[slot as usize / 64] |= 1 << (slot % 64));
        let count = bitset.iter().map(|word| word.count_ones() as usize).sum();
        let selection = Selection::Allowed {
            bitset: &bitset,
            count,
            total: 4000,
        };
        let recall = built.recall(Metric::Cosine, &queries, 64, &selection);
        assert!(recall >= least, "one in {every}: {recall}");
        let found = built.search(&queries[0], 64, &selection);
        assert!(
            found
                .iter()
                .all(|&slot| hash(u64::from(slot) ^ 1 << 40).is_multiple_of(every))
        );
    }
}

#[test]
fn a_selection_far_from_the_query_is_searched_as_well() {
    let cluster = |seed: u64| hash(seed) % 50;
    let built = build(Metric::Cosine, rows(4000, 64), &[1000]);
    let seeds = (1 << 30..).filter(|&seed| cluster(seed) >= 4).take(50);
    let queries: Vec<Vec<f32>> = seeds.map(|seed| clustered(seed, 64)).collect();
    let mut bitset = vec![0u64; 4000 / 64 + 1];
    let far = (0..4000).filter(|&seed| cluster(seed) < 4);
    far.for_each(|slot| bitset[slot as usize / 64] |= 1 << (slot % 64));
    let selection = Selection::Allowed {
        bitset: &bitset,
        count: bitset.iter().map(|word| word.count_ones() as usize).sum(),
        total: 4000,
    };
    let recall = built.recall(Metric::Cosine, &queries, 64, &selection);
    assert!(recall >= 0.9, "{recall}");
}

#[test]
fn an_empty_graph_and_a_single_row_answer() {
    let mut built = build(Metric::Cosine, vec![vec![1.0, 2.0]], &[1]);
    assert_eq!(built.search(&[1.0, 0.0], 10, &Selection::All), [0]);
    check(&built.builder);
    built.builder.repair(&[0]);
    assert!(built.search(&[1.0, 0.0], 10, &Selection::All).is_empty());
    check(&built.builder);
    built.fold(0..1);
    assert_eq!(built.search(&[1.0, 0.0], 10, &Selection::All), [0]);
}

#[test]
fn a_scan_is_exact() {
    let built = build(Metric::Euclidean, rows(2000, 20), &[1000]);
    let mut scratch = Scratch::default();
    let query = built.graph.query(&clustered(5_000_000, 20));
    let slots: Vec<Slot> = (0..2000).filter(|slot| slot % 3 == 0).collect();
    for keep in [0, 1, 10, 600, 5000] {
        let found = scan(&built.graph, &query, &slots, keep, &mut scratch).to_vec();
        let all = scan(&built.graph, &query, &slots, slots.len(), &mut scratch);
        assert_eq!(found, all[..keep.min(slots.len())]);
    }
}
