//! Rows leave, slots come back, and the graph stays whole.

use super::*;
use proptest::prelude::*;

#[test]
fn after_turning_over_all_rows_the_nearest_are_still_found() {
    let vectors: Vec<Vec<f32>> = (0..3000).map(|seed| clustered(seed, 64)).collect();
    let queries: Vec<Vec<f32>> = (0..60)
        .map(|seed| clustered(seed + (1 << 30), 64))
        .collect();
    let mut built = build(Metric::Cosine, vectors, &[1000]);
    let before = built.recall(Metric::Cosine, &queries, 64, &Selection::All);
    for turn in 1..=3u64 {
        for part in 0..6 {
            let places = part * 500..(part + 1) * 500;
            let dead: Vec<Slot> = places.clone().map(|place| place as Slot).collect();
            let counters = built.builder.repair(&dead);
            assert_eq!(counters.removed, 500);
            check(&built.builder);
            for place in places.clone() {
                built.vectors[place] = clustered(place as u64 + turn * 1_000_000, 64);
            }
            built.fold(places);
            check(&built.builder);
        }
    }
    let after = built.recall(Metric::Cosine, &queries, 64, &Selection::All);
    assert!(after >= before - 0.02, "{before} before, {after} after");
}

#[test]
fn what_is_left_of_a_mass_deletion_is_found() {
    let vectors: Vec<Vec<f32>> = (0..3000).map(|seed| clustered(seed, 64)).collect();
    let queries: Vec<Vec<f32>> = (0..60)
        .map(|seed| clustered(seed + (1 << 30), 64))
        .collect();
    let mut built = build(Metric::Cosine, vectors, &[1000]);
    let dead: Vec<Slot> = (0..3000)
        .filter(|&slot| !hash(u64::from(slot)).is_multiple_of(20))
        .collect();
    built.builder.repair(&dead);
    check(&built.builder);
    let recall = built.recall(Metric::Cosine, &queries, 64, &Selection::All);
    assert!(recall >= 0.95, "{recall}");
    let rest: Vec<Slot> = (0..3000).collect();
    built.builder.repair(&rest);
    check(&built.builder);
    assert!(built.builder.is_empty());
}

#[test]
fn slots_that_are_not_there_or_come_twice_are_passed_over() {
    let vectors: Vec<Vec<f32>> = (0..40).map(|seed| clustered(seed, 64)).collect();
    let mut built = build(Metric::Cosine, vectors, &[40]);
    let digest = built.builder.digest();
    assert_eq!(built.builder.fold(&[(3, 0), (3, 0)]).rows, 0);
    assert_eq!(built.builder.repair(&[40, 1_000_000]).removed, 0);
    assert_eq!(built.builder.digest(), digest);
    assert_eq!(built.builder.repair(&[3, 3]).removed, 1);
    assert_eq!(built.builder.fold(&[(3, 0), (3, 0)]).rows, 1);
    check(&built.builder);
}

#[test]
fn folds_between_the_parts_of_a_repair_link_to_no_dead_row() {
    let vectors: Vec<Vec<f32>> = (0..3000).map(|seed| clustered(seed, 64)).collect();
    let mut built = build(Metric::Cosine, vectors, &[1000]);
    let dead: Vec<Slot> = (0..3000).filter(|slot| slot % 3 == 0).collect();
    built.builder.bury(&dead);
    built.builder.begin_repair();
    let mut finished = None;
    for part in 0..4 {
        assert!(built.builder.is_repairing() && finished.is_none());
        let first = built.vectors.len();
        let added = (0..200).map(|row| clustered(5_000 + part * 200 + row, 64));
        built.vectors.extend(added);
        built.fold(first..first + 200);
        finished = built.builder.continue_repair(900);
    }
    assert_eq!(finished.map(|counters| counters.removed), Some(1000));
    assert!(!built.builder.is_repairing());
    assert_eq!(built.builder.len(), 2800);
    check(&built.builder);
}

#[derive(Clone, Debug)]
enum Step {
    Fold(usize),
    Repair(u64),
    /// Begins a repair, folds this many rows, and then ends the repair.
    FoldInRepair(u64, usize),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sequence_of_folds_and_repairs_keeps_the_graph_whole(
        steps in prop::collection::vec(
            prop_oneof![
                3 => prop_oneof![Just(1), Just(10), 100usize..400].prop_map(Step::Fold),
                2 => (2u64..9).prop_map(Step::Repair),
                1 => (2u64..9, 1usize..200).prop_map(|(share, count)| Step::FoldInRepair(share, count)),
            ],
            1..14,
        ),
        distinct in prop_oneof![Just(5u64), Just(100_000)],
    ) {
        let parameters = IndexParameters::new(32, Metric::Euclidean);
        let graph = Arc::new(Graph::new(parameters));
        let mut builder = Builder::new(Arc::clone(&graph));
        let mut free: Vec<Slot> = Vec::new();
        let (mut next, mut seed) = (0, 0);
        for step in steps {
            let (share, count) = match step {
                Step::Fold(count) => (None, count),
                Step::Repair(share) => (Some(share), 0),
                Step::FoldInRepair(share, count) => (Some(share), count),
            };
            let is_chosen = |slot: Slot, share| hash(u64::from(slot) ^ seed).is_multiple_of(share);
            let all = (0..next).filter(|&slot| builder.contains(slot));
            let dead: Vec<Slot> =
                all.filter(|&slot| share.is_some_and(|share| is_chosen(slot, share))).collect();
            if share.is_some() {
                builder.bury(&dead);
                builder.begin_repair();
                builder.continue_repair(next as usize / 2);
            }
            let mut rows = Vec::new();
            for _ in 0..count {
                let slot = free.pop().unwrap_or(next);
                next = next.max(slot + 1);
                seed += 1;
                graph.encode(slot, &clustered(hash(seed) % distinct, 32));
                rows.push((slot, hash(seed)));
            }
            prop_assert_eq!(builder.fold(&rows).rows, count);
            if builder.is_repairing() {
                let repaired = builder.continue_repair(usize::MAX);
                prop_assert_eq!(repaired.map(|counters| counters.removed), Some(dead.len()));
            }
            free.extend(dead);
            check(&builder);
        }
    }
}
