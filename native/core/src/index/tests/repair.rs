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
    assert!(after >= before - 0.01, "{before} before, {after} after");
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
    /// One row in so many dies.
    Bury(u64),
    /// Begins a repair of what has died so far, ending the one before.
    BeginRepair,
    /// Goes on with the repair, so many slots far.
    ContinueRepair(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fold = prop_oneof![Just(1), 2usize..40, 2usize..40, 100usize..400].prop_map(Step::Fold);
    let slots = prop_oneof![1usize..200, Just(usize::MAX)];
    let step = prop_oneof![
        3 => fold,
        3 => (1u64..9).prop_map(Step::Bury),
        2 => Just(Step::BeginRepair),
        3 => slots.prop_map(Step::ContinueRepair),
    ];
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_sequence_of_folds_deaths_and_repairs_keeps_the_graph_whole(
        steps in steps(),
        distinct in prop_oneof![Just(1u64), Just(5), Just(100_000)],
    ) {
        let parameters = IndexParameters::new(32, Metric::Euclidean);
        let graph = Arc::new(Graph::new(parameters));
        let mut builder = Builder::new(Arc::clone(&graph));
        let (mut free, mut buried, mut dying) = (Vec::new(), Vec::new(), Vec::new());
        let (mut next, mut seed): (Slot, u64) = (0, 0);
        for step in steps.into_iter().chain([Step::BeginRepair, Step::ContinueRepair(usize::MAX)]) {
            match step {
                Step::Fold(count) => {
                    let mut rows = Vec::new();
                    for _ in 0..count {
                        let slot = free.pop().unwrap_or(next);
                        next = next.max(slot + 1);
                        seed += 1;
                        graph.encode(slot, &clustered(hash(seed) % distinct, 32));
                        rows.push((slot, hash(seed)));
                    }
                    prop_assert_eq!(builder.fold(&rows).rows, count);
                }
                Step::Bury(share) => {
                    let live = (0..next).filter(|&slot| builder.contains(slot));
                    let dead: Vec<Slot> = live
                        .filter(|&slot| hash(u64::from(slot) ^ seed).is_multiple_of(share))
                        .collect();
                    builder.bury(&dead);
                    buried.extend(dead);
                }
                Step::BeginRepair => {
                    builder.begin_repair();
                    free.append(&mut dying);
                    dying.append(&mut buried);
                }
                Step::ContinueRepair(slots) => {
                    if let Some(counters) = builder.continue_repair(slots) {
                        prop_assert_eq!(counters.removed, dying.len());
                        free.append(&mut dying);
                    }
                }
            }
            if buried.is_empty() && dying.is_empty() && !builder.is_repairing() {
                check(&builder);
            }
        }
        check(&builder);
    }
}
