use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::super::{Filter, FilterChanges, FilterIndex};
use crate::error::ErrorCode;
use crate::limits::{FILTER_PATH_BYTES_MAX, FILTER_RANGE_BYTES_MAX};
use crate::metadata::Metadata;
use crate::record::Slot;

/// Strings around the length from which the index keeps only their beginning.
fn long(length: usize, end: &str) -> String {
    "é".repeat(FILTER_RANGE_BYTES_MAX)
        .chars()
        .take(length / 2)
        .chain(end.chars())
        .collect()
}

/// Strings that an order accepts as operand.
fn short_strings() -> Vec<String> {
    let max = FILTER_RANGE_BYTES_MAX;
    let short = ["", "a", "ab", "b", "\0", "é"].map(str::to_owned);
    let cut = [
        long(max - 2, ""),
        long(max - 2, "a"),
        long(max - 2, "ab"),
        long(max, ""),
    ];
    short.into_iter().chain(cut).collect()
}

fn scalar() -> impl Strategy<Value = Value> {
    let max = FILTER_RANGE_BYTES_MAX;
    let strings = [
        long(max, "a"),
        long(max, "b"),
        long(max - 2, "abc"),
        long(4 * max, ""),
    ];
    prop_oneof![
        range_operand(),
        select(vec![json!(null), json!(true), json!(false)]),
        select(strings.map(Value::from).to_vec()),
    ]
}

fn range_operand() -> impl Strategy<Value = Value> {
    prop_oneof![
        select(vec![
            json!(0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(1.5),
            json!(-1),
            json!(2)
        ]),
        select(vec![
            json!(1e300),
            json!(-1e300),
            json!(5e-324),
            json!(-7),
            json!(3)
        ]),
        select(short_strings()).prop_map(Value::from),
    ]
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let key = select(vec!["a", "a", "b", "b", "c", "", "a.b"]);
    let nested = key.clone();
    let value = scalar().prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(nested.clone(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    prop::collection::btree_map(key, value, 0..5).prop_map(|map| {
        map.into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    })
}

fn filter() -> impl Strategy<Value = Value> {
    let paths = [
        "a", "a", "a", "b", "b", "c", "", "a.b", "a.a", "b.a.b", "a.", "other",
    ];
    let operators = prop_oneof![
        scalar().prop_map(|operand| json!({ "$eq": operand })),
        scalar().prop_map(|operand| json!({ "$ne": operand })),
        prop::collection::vec(scalar(), 0..4).prop_map(|list| json!({ "$in": list })),
        prop::collection::vec(scalar(), 0..4).prop_map(|list| json!({ "$nin": list })),
        any::<bool>().prop_map(|there| json!({ "$exists": there })),
        prop::collection::btree_map(
            select(vec!["$gt", "$gte", "$lt", "$lte"]),
            range_operand(),
            1..4
        )
        .prop_map(|map| json!(map)),
        scalar(),
    ];
    let leaf = prop::collection::btree_map(select(paths.to_vec()), operators, 0..3)
        .prop_map(|map| json!(map));
    leaf.prop_recursive(3, 8, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            list.clone().prop_map(|list| json!({ "$and": list })),
            list.prop_map(|list| json!({ "$or": list })),
            inner.prop_map(|filter| json!({ "$not": filter })),
        ]
    })
}

#[derive(Clone, Debug)]
enum Step {
    Put(Slot, Metadata),
    Remove(Slot),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || (0u32..24).prop_map(|slot| slot * 5_461);
    prop_oneof![
        12 => (slot(), metadata()).prop_map(|(slot, metadata)| Step::Put(slot, metadata)),
        4 => slot().prop_map(Step::Remove),
        2 => Just(Step::Snapshot),
    ]
}

type Model = BTreeMap<Slot, Metadata>;

/// Metadata as it is stored.
fn stored(metadata: &Metadata) -> Vec<u8> {
    serde_json::to_vec(metadata).unwrap()
}

fn insert(index: &mut FilterIndex, slot: Slot, metadata: &Metadata) {
    change(index, |changes| changes.insert(slot, &stored(metadata)));
}

fn remove(index: &mut FilterIndex, slot: Slot, metadata: &Metadata) {
    change(index, |changes| changes.remove(slot, &stored(metadata)));
}

/// Makes one batch of changes.
fn change(index: &mut FilterIndex, gather: impl FnOnce(&mut FilterChanges)) {
    let mut changes = FilterChanges::default();
    gather(&mut changes);
    index.apply(changes);
}

fn fresh(model: &Model) -> FilterIndex {
    let mut index = FilterIndex::default();
    change(&mut index, |changes| {
        model
            .iter()
            .for_each(|(slot, metadata)| changes.insert(*slot, &stored(metadata)));
    });
    index
}

fn encoded(index: &FilterIndex) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.encode(&mut bytes);
    bytes
}

/// Runs the steps; returns what the index was, and should have been, at every snapshot.
fn run(steps: Vec<Step>) -> Vec<(FilterIndex, Model)> {
    let (mut index, mut model) = (FilterIndex::default(), Model::new());
    let mut changes = FilterChanges::default();
    let mut snapshots = Vec::new();
    for step in steps.into_iter().chain([Step::Snapshot]) {
        match step {
            Step::Put(slot, metadata) => {
                match model.get(&slot) {
                    Some(old) => changes.replace(slot, &stored(old), &stored(&metadata)),
                    None => changes.insert(slot, &stored(&metadata)),
                }
                model.insert(slot, metadata);
            }
            Step::Remove(slot) => {
                if let Some(old) = model.remove(&slot) {
                    changes.remove(slot, &stored(&old));
                }
            }
            Step::Snapshot => {
                index.apply(std::mem::take(&mut changes));
                snapshots.push((index.clone(), model.clone()));
            }
        }
    }
    snapshots
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_answers_as_the_definition_says(
        steps in prop::collection::vec(step(), 0..80),
        filters in prop::collection::vec(filter(), 1..12),
        hidden in prop::collection::btree_set((0u32..24).prop_map(|slot| slot * 5_461), 0..6),
    ) {
        for (index, model) in run(steps) {
            let all: RoaringBitmap = model.keys().copied().collect();
            let some: RoaringBitmap = all.iter().filter(|slot| !hidden.contains(slot)).collect();
            let decoded = FilterIndex::decode(&encoded(&index)).unwrap();
            for filter in &filters {
                let parsed = Filter::parse(filter).unwrap();
                let matches = |slot: &Slot| parsed.matches(&model[slot]);
                let expected: RoaringBitmap = all.iter().filter(matches).collect();
                prop_assert_eq!(&index.evaluate(&parsed, &all), &expected, "{}", filter);
                prop_assert_eq!(&decoded.evaluate(&parsed, &all), &expected, "{}", filter);
                prop_assert_eq!(index.evaluate(&parsed, &some), expected & &some, "{}", filter);
            }
        }
    }

    #[test]
    fn the_history_leaves_no_trace(steps in prop::collection::vec(step(), 0..80)) {
        for (index, model) in run(steps) {
            let bytes = encoded(&index);
            prop_assert_eq!(&bytes, &encoded(&fresh(&model)));
            prop_assert_eq!(&bytes, &encoded(&FilterIndex::decode(&bytes).unwrap()));
        }
    }

    #[test]
    fn bytes_that_were_changed_are_corrupted_or_another_index(
        steps in prop::collection::vec(step(), 1..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for (index, _) in run(steps) {
            let mut bytes = encoded(&index);
            let shorter = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(FilterIndex::decode(shorter).unwrap_err().code, ErrorCode::Corrupted);
            let longer = [&bytes[..], &[0]].concat();
            prop_assert_eq!(FilterIndex::decode(&longer).unwrap_err().code, ErrorCode::Corrupted);
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            match FilterIndex::decode(&bytes) {
                Ok(other) => prop_assert_eq!(encoded(&other), bytes),
                Err(error) => prop_assert_eq!(error.code, ErrorCode::Corrupted),
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_corrupted(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        if let Err(error) = FilterIndex::decode(&bytes) {
            prop_assert_eq!(error.code, ErrorCode::Corrupted);
        }
    }
}

/// Many values and slots: nodes split and empty, bitmaps grow and shrink, ranges are dense.
#[test]
fn many_values_come_and_go() {
    let unique = |slot: u32| slot.wrapping_mul(2_654_435_761) >> 12;
    let metadata = |slot: Slot| -> Metadata {
        let id = unique(slot);
        let (tag, odd) = (slot % 7, slot % 2 == 1);
        let value = json!({"id": format!("record-{id:08}"), "n": id, "tag": tag, "odd": odd});
        value.as_object().cloned().unwrap()
    };
    let mut model: Model = (0..20_000).map(|slot| (slot, metadata(slot))).collect();
    let mut index = fresh(&model);
    let before = (index.clone(), model.clone());
    for slot in (0..20_000).filter(|slot| slot % 5 != 0) {
        remove(&mut index, slot, &model.remove(&slot).unwrap());
    }
    let middle = (index.clone(), model.clone());
    for slot in 20_000..24_000 {
        insert(&mut index, slot, &metadata(slot));
        model.insert(slot, metadata(slot));
    }
    for (index, model) in [before, middle, (index, model)] {
        let all: RoaringBitmap = model.keys().copied().collect();
        for filter in [
            json!({"n": {"$gte": 300_000, "$lt": 310_000}}),
            json!({"n": {"$lt": 900_000}, "tag": {"$ne": 3}}),
            json!({"id": {"$gt": "record-00500000"}, "odd": true}),
            json!({"id": {"$in": ["record-00000000", format!("record-{:08}", unique(5)), 1]}}),
            json!({"$or": [{"tag": 1}, {"tag": {"$gt": 5}}]}),
        ] {
            let filter = Filter::parse(&filter).unwrap();
            let matches = |slot: &Slot| filter.matches(&model[slot]);
            let expected: RoaringBitmap = all.iter().filter(matches).collect();
            assert!(!expected.is_empty());
            assert_eq!(index.evaluate(&filter, &all), expected);
        }
        let decoded = FilterIndex::decode(&encoded(&index)).unwrap();
        assert_eq!(encoded(&decoded), encoded(&fresh(&model)));
    }
}

#[test]
fn memory_goes_back_with_the_records() {
    let metadata = |slot: Slot| Metadata::from_iter([(format!("k{}", slot % 9), json!(slot))]);
    let mut index = FilterIndex::default();
    assert_eq!(index.memory_bytes(), 0);
    (0..5000).for_each(|slot| insert(&mut index, slot, &metadata(slot)));
    assert!(index.memory_bytes() > 5000 * 16);
    (0..5000).for_each(|slot| remove(&mut index, slot, &metadata(slot)));
    assert!(index.memory_bytes() < 100);
}

/// A long key above many short ones would otherwise be repeated in the path of each of them.
#[test]
fn paths_that_no_filter_can_name_are_left_out() {
    let mut inner = Metadata::new();
    (0..1000).for_each(|key| drop(inner.insert(format!("{key}"), json!(key))));
    let deep = "k".repeat(FILTER_PATH_BYTES_MAX - 2);
    let metadata = Metadata::from_iter([(deep.clone(), Value::Object(inner))]);
    let mut index = FilterIndex::default();
    insert(&mut index, 0, &metadata);
    let alive = RoaringBitmap::from_iter([0]);
    for (field, found) in [(format!("{deep}.7"), 1), (deep, 1)] {
        let filter = Filter::parse(&json!({ field: {"$exists": true} })).unwrap();
        assert_eq!(index.evaluate(&filter, &alive).len(), found);
    }
    assert!(index.memory_bytes() < 50 * FILTER_PATH_BYTES_MAX);
    remove(&mut index, 0, &metadata);
    assert!(index.memory_bytes() < 100);
}

/// A posting is kept in place, as a list, or as a bitmap, and becomes each of them again.
#[test]
fn a_value_of_any_count_of_slots_is_found_and_forgotten() {
    let metadata = Metadata::from_iter([("a".to_owned(), json!(1))]);
    let filter = Filter::parse(&json!({"a": 1})).unwrap();
    let mut slots: Vec<Slot> = (0..600).map(|place| place * 37 % 601 + 65_000).collect();
    let mut index = FilterIndex::default();
    let mut alive = RoaringBitmap::new();
    let mut history = Vec::new();
    for slot in slots.drain(..) {
        insert(&mut index, slot, &metadata);
        alive.insert(slot);
        history.push((index.clone(), alive.clone()));
    }
    let all = alive.clone();
    for slot in all.iter().step_by(2).chain(all.iter().skip(1).step_by(2)) {
        remove(&mut index, slot, &metadata);
        alive.remove(slot);
        history.push((index.clone(), alive.clone()));
    }
    for (index, expected) in history {
        assert_eq!(index.evaluate(&filter, &all), expected);
        let decoded = FilterIndex::decode(&encoded(&index)).unwrap();
        assert_eq!(decoded.evaluate(&filter, &all), expected);
    }
}
