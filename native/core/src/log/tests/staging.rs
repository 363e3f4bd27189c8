//! Batches in several frames.

use super::*;

fn large_batch(number: usize) -> Written {
    let rows = (0..30).map(|place| store(&format!("{number}-{place}"), 20));
    Written {
        rows: rows.collect(),
        idempotency: Some(vec![number as u8; 300]),
        stream_offsets: Some(vec![1, 2, 3]),
    }
}

#[test]
fn a_batch_of_any_size_is_one_commit() {
    for payload_bytes in [1, 200, 500, 1000, 3000, 1 << 20] {
        for file_bytes in [100, 1000, 5000, 1 << 20] {
            let storage = in_memory();
            let mut writer = open_new(&storage, file_bytes);
            let batches: Vec<_> = (0..6)
                .map(|n| {
                    if n % 2 == 0 {
                        large_batch(n)
                    } else {
                        small_batch(n)
                    }
                })
                .collect();
            let mut locations = Vec::new();
            for (sequence, batch) in (1..).zip(&batches) {
                let encoded = batch.encode(payload_bytes);
                assert_eq!(encoded.row_count(), batch.rows.len());
                locations.extend(writer.append(sequence, encoded).unwrap());
            }
            let opened = open(&storage, &Manifest::default(), file_bytes).unwrap();
            assert!((1..).zip(batches).eq(opened.batches));
            assert_eq!(opened.locations, locations);
            assert_eq!(opened.writer.position(), writer.position());
        }
    }
}

#[test]
fn a_split_batch_is_seen_only_with_its_end() {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    writer.append(1, small_batch(1).encode(8192)).unwrap();
    writer.append(2, large_batch(2).encode(500)).unwrap();
    let bytes = storage.read(&first_file()).unwrap();
    for length in 0..bytes.len() {
        let cut = with_file(&*storage, &first_file(), &bytes[..length]);
        let seen = recovered(&cut).unwrap();
        assert!(seen.len() <= 1 && (length < 1000 || seen == [small_batch(1)]));
    }
    assert_eq!(
        recovered(&storage).unwrap(),
        [small_batch(1), large_batch(2)]
    );
}

#[test]
fn stages_interleave_with_batches_and_with_each_other() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 700);
    let parts: Vec<Vec<Written>> = (0..3)
        .map(|stage| {
            (0..4)
                .map(|part| batch_of([store(&format!("{stage}/{part}"), 9)]))
                .collect()
        })
        .collect();
    let mut stages = [Stage::default(), Stage::default(), Stage::default()];
    let mut sequence = 0;
    for part in 0..3 {
        for (stage, parts) in stages.iter_mut().zip(&parts) {
            writer
                .append_stage(stage, parts[part].encode(8192))
                .unwrap();
        }
        sequence += 1;
        writer
            .append(sequence, small_batch(part).encode(8192))
            .unwrap();
    }
    assert_eq!(
        recovered(&storage).unwrap().len(),
        3,
        "an open stage is not seen"
    );
    let [kept, dropped, open_to_the_end] = stages;
    writer.drop_stage(dropped).unwrap();
    let mut end = parts[0][3].clone();
    end.idempotency = Some(b"once".to_vec());
    writer.commit_stage(kept, 4, end.encode(8192)).unwrap();
    writer.append(5, small_batch(5).encode(8192)).unwrap();

    let whole = Written {
        rows: parts[0].iter().flat_map(|part| part.rows.clone()).collect(),
        idempotency: end.idempotency,
        stream_offsets: None,
    };
    let expected = [
        small_batch(0),
        small_batch(1),
        small_batch(2),
        whole,
        small_batch(5),
    ];
    assert_eq!(recovered(&storage).unwrap(), expected);
    let _ = open_to_the_end;
}

#[test]
fn a_checkpoint_keeps_open_stages() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 700);
    let mut early = Stage::default();
    writer
        .append_stage(&mut early, batch_of([store("early", 9)]).encode(8192))
        .unwrap();
    let mut stage = Stage::default();
    writer
        .append_stage(&mut stage, batch_of([store("one", 9)]).encode(8192))
        .unwrap();
    writer
        .append_stage(&mut early, batch_of([store("late", 9)]).encode(8192))
        .unwrap();
    writer.append(1, small_batch(1).encode(8192)).unwrap();
    writer
        .commit_stage(early, 2, small_batch(2).encode(8192))
        .unwrap();
    writer.append(3, small_batch(3).encode(8192)).unwrap();
    let manifest = writer.files().manifest(writer.position());
    assert_eq!((manifest.position.file, manifest.position.sequence), (1, 3));
    assert!(open(&storage, &manifest, 700).unwrap().batches.is_empty());

    writer
        .commit_stage(stage, 4, batch_of([store("two", 9)]).encode(8192))
        .unwrap();
    assert_eq!(writer.position().sequence, 4);
    assert!(writer.position().file > 1);
    let opened = open(&storage, &manifest, 700).unwrap();
    assert_eq!(
        opened.batches,
        [(4, batch_of([store("one", 9), store("two", 9)]))]
    );
}

#[test]
fn a_stage_has_no_sections_before_its_end() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 700);
    let mut stage = Stage::default();
    let error = writer
        .append_stage(&mut stage, small_batch(2).encode(8192))
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    writer.drop_stage(stage).unwrap();
    writer.append(1, small_batch(2).encode(8192)).unwrap();
    assert_eq!(recovered(&storage).unwrap(), [small_batch(2)]);
}
