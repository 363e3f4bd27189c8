use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::{Entry, OrderedMap};

impl Entry for u32 {
    fn is_empty(&self) -> bool {
        *self == 0
    }
}

type Model = BTreeMap<Vec<u8>, u32>;

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, u32),
    /// A run of ascending or descending keys with a common beginning.
    Run {
        start: u16,
        count: u16,
        descending: bool,
        value: u32,
    },
    Snapshot,
}

/// Keys that are dense, that share long beginnings, and that are long.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<u16>().prop_map(|number| number.to_be_bytes().to_vec()),
        (0usize..300, any::<u8>())
            .prop_map(|(length, last)| [vec![7; length], vec![last]].concat()),
        (0usize..3000, any::<u8>()).prop_map(|(length, first)| vec![first; length]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let run = (0..2000u16, 0..400u16, any::<bool>(), 0..3u32);
    prop_oneof![
        10 => (key(), 0..3u32).prop_map(|(key, value)| Step::Set(key, value)),
        10 => run.prop_map(|(start, count, descending, value)| {
            Step::Run { start, count, descending, value }
        }),
        1 => Just(Step::Snapshot),
    ]
}

fn set(map: &mut OrderedMap<u32>, model: &mut Model, key: Vec<u8>, value: u32) {
    map.update(&key, |entry| *entry = value);
    match value {
        0 => model.remove(&key),
        _ => model.insert(key, value),
    };
}

fn range(map: &OrderedMap<u32>, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Vec<(Vec<u8>, u32)> {
    let mut list = Vec::new();
    map.for_each_in(lower, upper, &mut |key, value| {
        list.push((key.to_vec(), *value));
    });
    list
}

proptest! {
    #[test]
    fn it_is_a_map_and_its_clones_keep_what_they_saw(
        steps in prop::collection::vec(step(), 0..60),
        probes in prop::collection::vec((key(), key()), 1..8),
    ) {
        let (mut map, mut model) = (OrderedMap::default(), Model::new());
        let mut snapshots = Vec::new();
        for step in steps.into_iter().chain([Step::Snapshot]) {
            match step {
                Step::Set(key, value) => set(&mut map, &mut model, key, value),
                Step::Run { start, count, descending, value } => {
                    for place in 0..count {
                        let number = if descending { start + count - place } else { start + place };
                        let key = format!("run {number:05}").into_bytes();
                        set(&mut map, &mut model, key, value);
                    }
                }
                Step::Snapshot => snapshots.push((map.clone(), model.clone())),
            }
        }
        for (map, model) in snapshots {
            let mut all = Vec::new();
            map.for_each(&mut |key, value| all.push((key.to_vec(), *value)));
            prop_assert!(all.iter().map(|(key, value)| (key, value)).eq(model.iter()));
            for (one, other) in &probes {
                prop_assert_eq!(map.get(one), model.get(one));
                let (low, high) = if one <= other { (one, other) } else { (other, one) };
                for (lower, upper) in [
                    (Bound::Included(low), Bound::Included(high)),
                    (Bound::Included(low), Bound::Unbounded),
                    (Bound::Unbounded, Bound::Excluded(high)),
                    (Bound::Excluded(low), Bound::Unbounded),
                ] {
                    let expected: Vec<_> = model
                        .range::<Vec<u8>, _>((lower, upper))
                        .map(|(key, value)| (key.clone(), *value))
                        .collect();
                    let slices = (lower.map(Vec::as_slice), upper.map(Vec::as_slice));
                    prop_assert_eq!(range(&map, slices.0, slices.1), expected);
                }
                if low < high {
                    let (lower, upper) = (Bound::Included(&high[..]), Bound::Included(&low[..]));
                    prop_assert!(range(&map, lower, upper).is_empty());
                }
            }
        }
    }
}
