//! A saved graph comes back as it was, or not at all.

use super::*;
use crate::error::ErrorCode;
use proptest::prelude::*;

fn built(metric: Metric) -> Built {
    let vectors = (0..900).map(|seed| clustered(seed, 40)).collect();
    let mut built = build(metric, vectors, &[400]);
    built
        .builder
        .repair(&(0..900).filter(|slot| slot % 4 == 1).collect::<Vec<_>>());
    built
}

fn saved(builder: &Builder) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut write = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    builder.freeze().save(&mut write).expect("memory takes all");
    bytes
}

fn load(metric: Metric, bytes: &[u8]) -> crate::error::Result<Builder> {
    Builder::load(
        Arc::new(Graph::new(IndexParameters::new(40, metric))),
        bytes,
    )
}

#[test]
fn a_saved_graph_comes_back_and_grows_on_alike() {
    for metric in [Metric::Cosine, Metric::Euclidean, Metric::DotProduct] {
        let mut original = built(metric);
        let loaded = load(metric, &saved(&original.builder)).expect("what was saved");
        check(&loaded);
        assert_eq!(loaded.digest(), original.builder.digest());
        let graph = Arc::clone(loaded.graph());
        let mut copy = Built {
            graph,
            builder: loaded,
            vectors: original.vectors.clone(),
        };
        let query = clustered(1 << 33, 40);
        let found = copy.search(&query, 50, &Selection::All);
        assert_eq!(found, original.search(&query, 50, &Selection::All));
        copy.fold(0..900);
        original.fold(0..900);
        check(&copy.builder);
        assert_eq!(copy.builder.digest(), original.builder.digest());
    }
}

#[test]
fn what_is_frozen_stays_as_it_was_while_folds_go_on() {
    let mut built = built(Metric::Cosine);
    let before = saved(&built.builder);
    let frozen = built.builder.freeze();
    built.fold(0..900);
    let mut pieces = 0;
    let mut bytes = Vec::new();
    let mut write = |piece: &[u8]| {
        pieces += 1;
        bytes.extend_from_slice(piece);
        Ok(())
    };
    frozen.save(&mut write).expect("memory takes all");
    assert_eq!(bytes, before);
    assert!(pieces > 1);
    assert_ne!(saved(&built.builder), before);
}

#[test]
fn dead_rows_that_wait_for_a_repair_are_saved_with_their_links() {
    let mut original = built(Metric::Cosine);
    let dead: Vec<u32> = (0..900).filter(|slot| slot % 4 == 2).collect();
    original.builder.bury(&dead);
    let bytes = saved(&original.builder);
    let mut loaded = load(Metric::Cosine, &bytes).expect("what was saved");
    assert_eq!(saved(&loaded), bytes);
    for builder in [&mut loaded, &mut original.builder] {
        builder.begin_repair();
        assert!(
            builder
                .continue_repair(usize::MAX)
                .is_some_and(|counters| counters.removed == dead.len())
        );
        check(builder);
    }
    assert_eq!(loaded.digest(), original.builder.digest());
}

#[test]
fn an_empty_graph_can_be_saved() {
    let graph = Arc::new(Graph::new(IndexParameters::new(40, Metric::Cosine)));
    let bytes = saved(&Builder::new(graph));
    assert!(
        load(Metric::Cosine, &bytes)
            .expect("what was saved")
            .is_empty()
    );
}

#[test]
fn another_collections_graph_is_refused() {
    let bytes = saved(&built(Metric::Cosine).builder);
    let error = load(Metric::Euclidean, &bytes).expect_err("another metric");
    assert_eq!(error.code, ErrorCode::Corrupted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_is_noticed_with_and_without_a_checksum_that_fits(
        place in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<bool>(),
        resealed in any::<bool>(),
    ) {
        static SAVED: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let saved = SAVED.get_or_init(|| {
            let mut built = built(Metric::Cosine);
            built.builder.bury(&[2, 3, 500]);
            saved(&built.builder)
        });
        let mut bytes = saved.clone();
        let place = place.index(bytes.len());
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] ^= flip;
        }
        if resealed && bytes.len() >= 8 {
            bytes.truncate(bytes.len() - 8);
            let checksum = xxhash_rust::xxh3::xxh3_64(&bytes);
            bytes.extend(checksum.to_le_bytes());
        }
        match load(Metric::Cosine, &bytes) {
            Err(error) => prop_assert_eq!(error.code, ErrorCode::Corrupted),
            // Only what no structure depends on, codes and distances, may differ unnoticed.
            Ok(mut loaded) => {
                prop_assert!(resealed && !cut);
                loaded.repair(&[]);
                check(&loaded);
            }
        }
    }
}
