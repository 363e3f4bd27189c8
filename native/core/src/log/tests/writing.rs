//! Appending, reading by location, sealing, checkpoints and compaction.

use super::*;

fn assert_rows(files: &LogFiles, batch: &Written, locations: &[Location]) {
    assert_eq!(batch.rows.len(), locations.len());
    for (row, location) in batch.rows.iter().zip(locations) {
        assert_eq!(&seen_row(files.row(*location).unwrap().view()), row);
        assert_eq!(&files.with_row(*location, seen_row).unwrap(), row);
    }
}

#[test]
fn rows_are_read_by_location_before_and_after_their_file_is_sealed() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 1024);
    let batches: Vec<_> = (0..40).map(small_batch).collect();
    let mut locations = Vec::new();
    let mut snapshots = Vec::new();
    for (sequence, batch) in (1..).zip(&batches) {
        locations.push(writer.append(sequence, batch.encode(8192)).unwrap());
        snapshots.push(writer.files().clone());
        assert_rows(writer.files(), batch, &locations[sequence as usize - 1]);
    }
    assert!(writer.files().iter().count() > 5);
    let sealed = writer
        .files()
        .iter()
        .filter(|file| file.sealed_bytes().is_some())
        .count();
    assert_eq!(sealed, writer.files().iter().count() - 1);
    for (place, batch) in batches.iter().enumerate() {
        assert_rows(writer.files(), batch, &locations[place]);
        assert_rows(&snapshots[place], batch, &locations[place]);
    }
    let opened = open(&storage, &Manifest::default(), 1024).unwrap();
    assert_eq!(opened.locations, locations.concat());
    assert_eq!((opened.torn_bytes, opened.leftovers.len()), (0, 0));
    assert!((1..).zip(batches.iter().cloned()).eq(opened.batches));
    for (place, batch) in batches.iter().enumerate() {
        assert_rows(opened.writer.files(), batch, &locations[place]);
    }
}

#[test]
fn a_buffer_that_is_filled_again_changes_no_row_of_any_reader() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 2000);
    let batches: Vec<_> = (100..160)
        .map(|number| batch_of([store(&format!("s{number}"), 60)]))
        .collect();
    let (mut locations, mut held) = (Vec::new(), Vec::new());
    for (sequence, batch) in (1..).zip(&batches) {
        let encoder = writer.encoder(300);
        let locations_of = writer.append(sequence, batch.encode_with(encoder)).unwrap();
        // Some readers keep a row of the active file beyond its sealing.
        if sequence % 3 == 0 {
            held.push((batch, writer.files().row(locations_of[0]).unwrap()));
        }
        locations.push(locations_of);
    }
    assert!(writer.files().iter().count() > 5);
    for (batch, guard) in held {
        assert_eq!(seen_row(guard.view()), batch.rows[0]);
    }
    for (batch, locations) in batches.iter().zip(&locations) {
        assert_rows(writer.files(), batch, locations);
    }
    let opened = open(&storage, &Manifest::default(), 2000).unwrap();
    assert!((1..).zip(batches.iter().cloned()).eq(opened.batches));
}

#[test]
fn readers_on_other_threads_see_every_row_while_files_are_sealed() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 600);
    let published = std::sync::Mutex::new((Vec::<Vec<Location>>::new(), LogFiles::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let (locations, files) = published.lock().unwrap().clone();
                    for (place, locations) in locations.iter().enumerate() {
                        assert_rows(&files, &small_batch(place), locations);
                    }
                    if locations.len() == 100 {
                        break;
                    }
                }
            });
        }
        for place in 0..100 {
            let batch = small_batch(place).encode(8192);
            let locations = writer.append(place as u64 + 1, batch).unwrap();
            let mut published = published.lock().unwrap();
            published.0.push(locations);
            published.1 = writer.files().clone();
        }
    });
}

#[test]
fn vectors_are_aligned_and_come_back_to_the_bit() {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    let vector = [1.5, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX, 0.1];
    let mut encoder = BatchEncoder::with_capacity(1000);
    for id in ["a", "bc", "def", "ghij", "klmno"] {
        encoder.store(id, &vector, b"{}", None).unwrap();
    }
    let locations = writer.append(1, encoder.finish().unwrap()).unwrap();
    let mut buffer = vec![7.0; 3];
    for location in locations {
        let guard = writer.files().row(location).unwrap();
        let row = guard.view();
        row.vector_into(&mut buffer);
        assert_eq!(
            (row.dimension(), row.text(), row.kind()),
            (5, None, RowKind::Store)
        );
        for seen in [&buffer[..], &row.vector()] {
            assert!(
                seen.iter()
                    .map(|x| x.to_bits())
                    .eq(vector.iter().map(|x| x.to_bits()))
            );
        }
        assert!(matches!(row.vector(), std::borrow::Cow::Borrowed(_)));
    }
}

#[test]
fn a_location_where_no_row_begins_is_corrupted() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 300);
    let first = writer.append(1, small_batch(1).encode(8192)).unwrap()[0];
    writer.append(2, small_batch(2).encode(8192)).unwrap();
    let last = writer.append(3, small_batch(3).encode(8192)).unwrap()[0];
    assert!(
        writer
            .files()
            .get(first.file)
            .unwrap()
            .sealed_bytes()
            .is_some()
    );
    assert!(
        writer
            .files()
            .get(last.file)
            .unwrap()
            .sealed_bytes()
            .is_none()
    );
    for location in [first, last] {
        for offset in [
            0,
            4,
            8,
            location.offset + 1,
            location.offset + 8,
            5000,
            u32::MAX - 7,
        ] {
            let wrong = Location { offset, ..location };
            let error = writer.files().row(wrong).unwrap_err();
            assert_eq!(error.code, ErrorCode::Corrupted, "{wrong:?}");
            assert_eq!(error.details["offset"], offset);
            writer.files().with_row(wrong, |_| ()).unwrap_err();
        }
    }
    let nowhere = Location {
        file: 99,
        offset: 56,
    };
    assert_eq!(
        writer.files().row(nowhere).unwrap_err().code,
        ErrorCode::Corrupted
    );
}

#[test]
fn sequences_must_be_consecutive_and_a_wrong_one_leaves_no_trace() {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    assert_eq!(
        writer
            .append(2, small_batch(1).encode(99))
            .unwrap_err()
            .code,
        ErrorCode::Internal
    );
    assert!(storage.list(DIRECTORY).unwrap().is_empty());
    writer.append(1, small_batch(1).encode(8192)).unwrap();
    writer.append(1, small_batch(1).encode(8192)).unwrap_err();
    assert_eq!(writer.sequence(), 1);
    assert_eq!(recovered(&storage).unwrap(), [small_batch(1)]);
}

#[test]
fn what_no_row_can_say_is_refused_and_leaves_the_batch_as_it_was() {
    let mut encoder = BatchEncoder::new();
    encoder.delete("x").unwrap();
    let refused = [
        (encoder.delete(""), ErrorCode::InvalidId),
        (
            encoder.attributes(&"i".repeat(513), b"{}"),
            ErrorCode::InvalidId,
        ),
        (encoder.store("x", &[], b"{}", None), ErrorCode::Internal),
        (
            encoder.attributes("x", &vec![b' '; 8 << 20]),
            ErrorCode::BatchTooLarge,
        ),
    ];
    for (result, code) in refused {
        assert_eq!(result.unwrap_err().code, code);
    }
    let storage = in_memory();
    open_new(&storage, LOG_FILE_BYTES)
        .append(1, encoder.finish().unwrap())
        .unwrap();
    assert_eq!(
        recovered(&storage).unwrap(),
        [batch_of([Row::Delete { id: "x".to_owned() }])]
    );

    let mut encoder = BatchEncoder::new();
    encoder.idempotency(vec![0; 8 << 20]);
    assert_eq!(encoder.finish().unwrap_err().code, ErrorCode::BatchTooLarge);
}

#[test]
fn replay_begins_after_the_checkpoint() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 700);
    for sequence in 1..=10 {
        writer
            .append(sequence, small_batch(sequence as usize).encode(8192))
            .unwrap();
        writer.sync().unwrap();
        let manifest = writer.files().manifest(writer.position());
        let opened = open(&storage, &manifest, 700).unwrap();
        assert!(opened.batches.is_empty());
        assert_eq!(opened.writer.position(), writer.position());
        assert_eq!(
            opened.writer.files().iter().count(),
            writer.files().iter().count()
        );
    }
    let manifest = writer.files().manifest(writer.position());
    for sequence in 11..=20 {
        writer
            .append(sequence, small_batch(sequence as usize).encode(8192))
            .unwrap();
    }
    let mut opened = open(&storage, &manifest, 700).unwrap();
    let expected = (11..=20).map(|sequence| (sequence, small_batch(sequence as usize)));
    assert!(expected.eq(opened.batches));
    opened
        .writer
        .append(21, small_batch(21).encode(8192))
        .unwrap();
    assert_eq!(open(&storage, &manifest, 700).unwrap().batches.len(), 11);
}

#[test]
fn a_manifest_does_not_fix_the_length_of_a_file_that_replay_may_add_to() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 600);
    writer.append(1, small_batch(1).encode(8192)).unwrap();
    let position = writer.position();
    let many = batch_of([store("large", 200)]);
    writer.append(2, many.encode(8192)).unwrap();
    let manifest = writer.files().manifest(position);
    // A crash between sealing the first file and the first frame of the second.
    storage
        .remove(&format!("{DIRECTORY}/00000002.log"))
        .unwrap();
    for sequence in 2..=3 {
        let mut opened = open(&storage, &manifest, 600).unwrap();
        assert_eq!(opened.batches.len() as u64, sequence - 2);
        opened
            .writer
            .append(sequence, small_batch(1).encode(8192))
            .unwrap();
        assert_eq!(opened.writer.position().file, 1);
    }
}

#[test]
fn a_file_that_the_manifest_names_must_be_there_at_its_length() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 300);
    for sequence in 1..=4 {
        writer
            .append(sequence, small_batch(1).encode(8192))
            .unwrap();
    }
    let manifest = writer.files().manifest(writer.position());
    assert_eq!(manifest.files.len(), 3);
    let bytes = storage.read(&first_file()).unwrap();
    for length in [0, 1, bytes.len() - 1] {
        let short = with_file(&*storage, &first_file(), &bytes[..length]);
        let error = open(&short, &manifest, 300).err().unwrap();
        assert_eq!(
            (error.code, &error.details["actual"]),
            (ErrorCode::Corrupted, &length.into())
        );
    }
    let last = format!("{DIRECTORY}/00000004.log");
    let short = with_file(&*storage, &last, &[]);
    let error = open(&short, &manifest, 300).err().unwrap();
    assert_eq!(
        (error.code, &error.details["path"]),
        (ErrorCode::Corrupted, &last.clone().into())
    );
    for gone in [first_file(), last] {
        let bytes = storage.read(&gone).unwrap();
        storage.remove(&gone).unwrap();
        let error = open(&storage, &manifest, 300).err().unwrap();
        assert_eq!(
            (error.code, &error.details["path"]),
            (ErrorCode::Corrupted, &gone.clone().into())
        );
        storage.create(&gone).unwrap().append(&bytes).unwrap();
    }
    open(&storage, &manifest, 300).unwrap();
}

#[test]
fn compaction_moves_live_rows_verbatim_and_removes_their_old_files() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 600);
    let mut rows = Vec::new();
    for sequence in 1..=12 {
        let batch = small_batch(sequence as usize);
        let locations = writer.append(sequence, batch.encode(8192)).unwrap();
        rows.extend(batch.rows.into_iter().zip(locations));
    }
    let snapshot = writer.files().clone();
    let active = writer.position().file;
    let old: Vec<u32> = snapshot
        .iter()
        .map(|file| file.number())
        .filter(|n| *n < active)
        .collect();
    let (dying, live): (Vec<_>, Vec<_>) = rows
        .iter()
        .cloned()
        .partition(|(_, location)| old.contains(&location.file));

    let mut mover = writer.rows_writer();
    let moved: Vec<(Row, Location)> = dying
        .iter()
        .step_by(2)
        .map(|(row, location)| (row.clone(), mover.push(*location).unwrap()))
        .collect();
    writer.append(13, small_batch(13).encode(8192)).unwrap();
    let files = mover.finish().unwrap();
    assert!(files.len() > 1 && files.iter().all(|file| file.kind() == FileKind::Rows));
    writer.adopt(files);
    writer.sync().unwrap();
    let mut kept = writer.files().manifest(writer.position());
    kept.files.retain(|file| !old.contains(&file.number));
    writer.retire(&old).unwrap();
    writer.remove_retired().unwrap();
    assert_eq!(
        writer.retire(&[writer.position().file]).unwrap_err().code,
        ErrorCode::Internal
    );

    let opened = open(&storage, &kept, 600).unwrap();
    assert!(opened.leftovers.is_empty() && opened.batches.is_empty());
    for (row, location) in moved.iter().chain(&live) {
        assert_eq!(
            &seen_row(opened.writer.files().row(*location).unwrap().view()),
            row
        );
        assert_eq!(
            &seen_row(writer.files().row(*location).unwrap().view()),
            row
        );
    }
    for (row, location) in &dying {
        assert!(writer.files().row(*location).is_err());
        assert_eq!(&seen_row(snapshot.row(*location).unwrap().view()), row);
    }
}

#[test]
fn what_no_checkpoint_names_is_left_over_and_its_number_is_not_used_again() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 300);
    let location = writer.append(1, small_batch(1).encode(8192)).unwrap()[0];
    let mut finished = writer.rows_writer();
    finished.push(location).unwrap();
    finished.finish().unwrap();
    let mut dropped = writer.rows_writer();
    dropped.push(location).unwrap();
    drop(dropped);
    let opened = open(&storage, &Manifest::default(), 300).unwrap();
    assert_eq!(
        opened.leftovers,
        [
            format!("{DIRECTORY}/00000002.rows"),
            format!("{DIRECTORY}/00000003.rows.tmp")
        ]
    );
    let mut writer = opened.writer;
    writer.append(2, small_batch(2).encode(8192)).unwrap();
    let location = writer.append(3, small_batch(3).encode(8192)).unwrap()[0];
    assert!(location.file > 3);
}

#[test]
fn memory_of_sealed_and_active_files_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(crate::storage::FileStorage::new(
        directory.path().join("store"),
    ));
    let mut writer = open_new(&storage, 4096);
    for sequence in 1..=50 {
        writer
            .append(sequence, batch_of([store("x", 100)]).encode(8192))
            .unwrap();
    }
    let memory = writer.files().memory();
    let sealed: u32 = writer
        .files()
        .iter()
        .filter_map(|file| file.sealed_bytes())
        .sum();
    assert_eq!(memory.mapped, sealed as usize);
    assert!(memory.anonymous < 4096 + 50 * 8);
    assert_eq!(recovered(&storage).unwrap().len(), 50);
}
