//! A fault at every call to the storage, and a crash after it.

use super::*;
use crate::storage::faulty::{Fault, FaultyStorage};

const FILE_BYTES: u32 = 1200;
const PAYLOAD_BYTES: usize = 500;

/// What a run wanted to write, and how much of it was promised.
#[derive(Default)]
struct Run {
    attempted: usize,
    acknowledged: usize,
    error: Option<Error>,
}

fn batch(number: usize) -> Written {
    if number % 4 == 3 {
        batch_of((0..8).map(|row| store(&format!("{number}-{row}"), 12)))
    } else {
        small_batch(number)
    }
}

/// Appends batches, small ones and staged ones, over several files; syncs after every second one.
fn run(storage: &Arc<dyn Storage>) -> Run {
    let mut run = Run::default();
    run.error = steps(storage, &mut run).err();
    run
}

fn steps(storage: &Arc<dyn Storage>, run: &mut Run) -> Result<()> {
    let mut writer = open(storage, &Manifest::default(), FILE_BYTES)?.writer;
    for sequence in 1..=10 {
        run.attempted = sequence;
        let encoded = batch(sequence).encode(PAYLOAD_BYTES);
        let result = writer.append(sequence as u64, encoded).and_then(|_| {
            if sequence % 2 == 0 {
                writer.sync()
            } else {
                Ok(())
            }
        });
        if let Err(error) = result {
            assert_poisoned(&mut writer, sequence);
            return Err(error);
        }
        if sequence % 2 == 0 {
            run.acknowledged = sequence;
        }
    }
    Ok(())
}

fn assert_poisoned(writer: &mut LogWriter, sequence: usize) {
    let mut stage = Stage::default();
    let again = batch(sequence).encode(PAYLOAD_BYTES);
    let next = batch(sequence).encode(PAYLOAD_BYTES);
    let errors = [
        writer.append(sequence as u64, again).unwrap_err(),
        writer.append(sequence as u64 + 1, next).unwrap_err(),
        writer
            .append_stage(&mut stage, batch(1).encode(99))
            .unwrap_err(),
        writer.sync().unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code, ErrorCode::StorePoisoned);
        assert!(error.message.contains("open the store again"), "{error}");
    }
    // What was written can still be read.
    assert!(writer.files().iter().all(|file| file.number() > 0));
}

/// What was promised is there, the rest is whole or absent, and the log goes on from there.
fn assert_kept(storage: &Arc<dyn Storage>, run: &Run) {
    let mut opened = open(storage, &Manifest::default(), FILE_BYTES).unwrap();
    let count = opened.batches.len();
    assert!(
        (run.acknowledged..=run.attempted).contains(&count),
        "{count} batches"
    );
    let expected = |count| (1..=count).map(|number| (number as u64, batch(number)));
    assert!(expected(count).eq(opened.batches));
    let next = batch(count + 1).encode(PAYLOAD_BYTES);
    opened.writer.append(count as u64 + 1, next).unwrap();
    opened.writer.sync().unwrap();
    let again = open(storage, &Manifest::default(), FILE_BYTES).unwrap();
    assert_eq!(again.torn_bytes, 0);
    assert!(expected(count + 1).eq(again.batches));
}

fn calls_of_a_good_run() -> u64 {
    let storage = FaultyStorage::in_memory();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let good = run(&shared);
    assert_eq!(
        (good.attempted, good.acknowledged, good.error),
        (10, 10, None)
    );
    assert!(shared.list(DIRECTORY).unwrap().len() > 3);
    storage.calls() - 1
}

#[test]
fn a_fault_at_any_call_loses_nothing_promised_and_halves_nothing() {
    let calls = calls_of_a_good_run();
    assert!(calls > 30);
    let faults = [
        Fault::Error,
        Fault::ShortAppend(1),
        Fault::ShortAppend(200),
        Fault::LostReply,
        Fault::DiskFull,
    ];
    for fault in faults {
        for call in 1..=calls {
            for lasting in [false, true] {
                let storage = FaultyStorage::in_memory();
                let shared: Arc<dyn Storage> = Arc::new(storage.clone());
                if lasting {
                    storage.fail_from(call, fault);
                } else {
                    storage.fail_call(call, fault);
                }
                let run = run(&shared);
                let error = run.error.as_ref().expect("every call matters");
                assert_eq!(error.code, ErrorCode::Internal, "{error}");
                let is_full = error.details["cause"] == "disk_full";
                assert_eq!(is_full, fault == Fault::DiskFull);
                for seed in 0..6 {
                    let image: Arc<dyn Storage> = Arc::new(storage.crash_image(seed));
                    assert_kept(&image, &run);
                }
                storage.heal();
                assert_kept(&shared, &run);
            }
        }
    }
}

#[test]
fn a_fault_at_any_call_of_recovery_changes_nothing() {
    let storage = FaultyStorage::in_memory();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    storage.fail_from(calls_of_a_good_run() - 2, Fault::ShortAppend(100));
    let run = run(&shared);
    assert!(run.error.is_some());
    for call in 1.. {
        storage.heal();
        storage.fail_call(storage.calls() + call, Fault::Error);
        let opened = open(&shared, &Manifest::default(), FILE_BYTES);
        for seed in 0..6 {
            let image: Arc<dyn Storage> = Arc::new(storage.crash_image(seed));
            assert_kept(&image, &run);
        }
        match opened {
            Err(error) => assert_eq!(error.code, ErrorCode::Internal),
            Ok(opened) => {
                assert!(call > 4 && opened.batches.len() >= run.acknowledged);
                break;
            }
        }
    }
}

#[test]
fn a_fault_at_any_call_of_a_compaction_leaves_the_log_as_it_is() {
    for call in 1.. {
        let storage = FaultyStorage::in_memory();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        run(&shared);
        let opened = open(&shared, &Manifest::default(), FILE_BYTES).unwrap();
        let mut writer = opened.writer;
        storage.fail_call(storage.calls() + call, Fault::ShortAppend(50));
        let mut mover = writer.rows_writer();
        let moved: Result<Vec<Location>> = opened
            .locations
            .iter()
            .map(|location| mover.push(*location))
            .collect();
        let moved = moved.and_then(|locations| mover.finish().map(|files| (locations, files)));
        let Ok((locations, files)) = moved else {
            writer.append(11, batch(11).encode(PAYLOAD_BYTES)).unwrap();
            writer.sync().unwrap();
            let again = open(&shared, &Manifest::default(), FILE_BYTES).unwrap();
            assert_eq!(again.batches.len(), 11);
            continue;
        };
        assert!(call > 10);
        writer.adopt(files);
        // What a finished compaction returned survives a crash.
        let manifest = writer.files().manifest(writer.position());
        for seed in 0..20 {
            let image: Arc<dyn Storage> = Arc::new(storage.crash_image(seed));
            let crashed = open(&image, &manifest, FILE_BYTES).unwrap();
            for (old, new) in opened.locations.iter().zip(&locations) {
                let moved = crashed.writer.files().with_row(*new, seen_row).unwrap();
                assert_eq!(moved, writer.files().with_row(*old, seen_row).unwrap());
            }
        }
        break;
    }
}
