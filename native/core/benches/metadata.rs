//! What a batch of 1,000 metadata-only updates costs before and after the log: merging a patch
//! into what is stored, and changing the filter index, among 100,000 records.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::json;
use volley_core::filter::{FilterChanges, FilterIndex};
use volley_core::metadata;
use volley_core::metadata::Metadata;
use volley_core::record::Slot;

const RECORDS: Slot = 100_000;
const BATCH: Slot = 1000;

/// Stored metadata of a usual size: eight fields, some 250 bytes.
fn stored(row: Slot, revision: u32) -> Vec<u8> {
    let language = ["en", "de", "fr", "pt"][row as usize % 4];
    let value = json!({
        "title": format!("Document number {row}, with a title of usual length for its kind"),
        "section": format!("section-{}", row % 40),
        "language": language,
        "year": 1990 + row % 35,
        "score": f64::from(row % 1000) / 1000.0,
        "tags": [format!("tag-{}", row % 7), format!("tag-{}", row % 11), "all"],
        "checked": row.is_multiple_of(2),
        "revision": revision,
    });
    value.to_string().into_bytes()
}

/// The rows of one batch, all over the collection.
fn rows() -> impl Iterator<Item = Slot> {
    (0..BATCH).map(|place| place * 97 % RECORDS)
}

fn merge(criterion: &mut Criterion) {
    let patch = Metadata::from_iter([("revision".to_owned(), json!(7))]);
    let old: Vec<Vec<u8>> = rows().map(|row| stored(row, 0)).collect();
    criterion.bench_function("merge a field into 1,000 records' metadata", |bencher| {
        bencher.iter(|| {
            for metadata in &old {
                black_box(metadata::merged(metadata, &patch).ok());
            }
        });
    });
}

fn index(criterion: &mut Criterion) {
    let mut index = FilterIndex::default();
    let mut changes = FilterChanges::default();
    (0..RECORDS).for_each(|row| changes.insert(row, &stored(row, 0)));
    index.apply(changes);
    let pairs: Vec<(Slot, Vec<u8>, Vec<u8>)> = rows()
        .map(|row| (row, stored(row, 0), stored(row, 7)))
        .collect();
    let mut measure = |name: &str, gather: &dyn Fn(&mut FilterChanges)| {
        criterion.bench_function(name, |bencher| {
            // A snapshot holds the index, as it does when a batch comes.
            let copy = || index.clone();
            let change = |mut index: FilterIndex| {
                let mut changes = FilterChanges::default();
                gather(&mut changes);
                index.apply(changes);
                index
            };
            bencher.iter_batched(copy, change, BatchSize::SmallInput);
        });
    };
    measure("index a changed field of 1,000 records", &|changes| {
        for (row, old, new) in &pairs {
            changes.replace(*row, old, new);
        }
    });
    measure("index 1,000 new records", &|changes| {
        for (row, old, _) in &pairs {
            changes.insert(RECORDS + row, old);
        }
    });
    measure("forget 1,000 records", &|changes| {
        for (row, old, _) in &pairs {
            changes.remove(*row, old);
        }
    });
}

criterion_group!(benches, merge, index);
criterion_main!(benches);
