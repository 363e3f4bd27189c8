//! Torn tails, doubled tails and damage.

use super::*;

/// A log of batches that were synced one by one, and where each frame ends in the one file.
fn synced_log(count: usize) -> (Arc<dyn Storage>, Vec<u8>, Vec<usize>) {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    let mut ends = Vec::new();
    for sequence in 1..=count {
        writer
            .append(sequence as u64, small_batch(sequence).encode(8192))
            .unwrap();
        writer.sync().unwrap();
        ends.push(writer.position().offset as usize);
    }
    let bytes = storage.read(&first_file()).unwrap();
    (storage, bytes, ends)
}

fn expected(count: usize) -> Vec<Written> {
    (1..=count).map(small_batch).collect()
}

/// Opens a log with these bytes, twice, and appends to it: the tail must be gone for good.
fn assert_recovers(storage: &dyn Storage, bytes: &[u8], count: usize, torn_bytes: usize) {
    let storage = with_file(storage, &first_file(), bytes);
    let mut opened = open(&storage, &Manifest::default(), LOG_FILE_BYTES).unwrap();
    assert_eq!(opened.torn_bytes, torn_bytes);
    assert_eq!(opened.batches.len(), count);
    let next = count + 1;
    opened
        .writer
        .append(next as u64, small_batch(next).encode(8192))
        .unwrap();
    assert_eq!(recovered(&storage).unwrap(), expected(next));
}

fn assert_corrupted(storage: &dyn Storage, bytes: &[u8], offset: usize) {
    let damaged = with_file(storage, &first_file(), bytes);
    let error = recovered(&damaged).unwrap_err();
    assert_eq!(error.code, ErrorCode::Corrupted, "{error}");
    assert_eq!(error.details["path"], first_file());
    assert_eq!(error.details["offset"], offset, "{error}");
    assert_eq!(
        damaged.read(&first_file()).unwrap(),
        bytes,
        "damage is never cut off"
    );
}

#[test]
fn a_tail_cut_at_any_byte_is_cut_off() {
    let (storage, bytes, ends) = synced_log(3);
    for length in ends[1]..ends[2] {
        assert_recovers(&*storage, &bytes[..length], 2, length - ends[1]);
    }
    assert_recovers(&*storage, &bytes, 3, 0);
    assert_recovers(&*storage, &[], 0, 0);
}

#[test]
fn a_tail_filled_up_with_zeros_at_any_byte_is_cut_off() {
    let (storage, bytes, ends) = synced_log(3);
    for length in ends[1]..=ends[2] {
        let mut zeroed = bytes.clone();
        zeroed[length..].fill(0);
        let torn = zeroed != bytes;
        zeroed.resize(bytes.len() + 4096, 0);
        let (count, end) = if torn { (2, ends[1]) } else { (3, ends[2]) };
        assert_recovers(&*storage, &zeroed, count, zeroed.len() - end);
    }
}

#[test]
fn garbage_after_the_last_frame_is_cut_off() {
    let (storage, bytes, _) = synced_log(3);
    let first_frame = bytes[..100].to_vec();
    let pieces: [&[u8]; 6] = [
        &[0xff],
        &[0; 7],
        b"VL",
        &bytes[3..90],
        &first_frame,
        &[b'V', b'L', 0x81, 0xff, 1, 0, 0],
    ];
    for garbage in pieces {
        let tail = [&bytes[..], garbage].concat();
        assert_recovers(&*storage, &tail, 3, garbage.len());
    }
}

#[test]
fn a_bit_flipped_in_the_last_frame_is_taken_for_a_torn_tail() {
    let (storage, bytes, ends) = synced_log(2);
    for at in (ends[0]..ends[1]).filter(|at| at - ends[0] != 2) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_recovers(&*storage, &flipped, 1, ends[1] - ends[0]);
    }
}

#[test]
fn a_bit_flipped_before_frames_that_saw_it_durable_is_corrupted() {
    let (storage, bytes, ends) = synced_log(4);
    let frame = |at: usize| {
        if at < ends[0] {
            0
        } else {
            ends[ends.partition_point(|end| *end <= at) - 1]
        }
    };
    for at in (0..ends[2]).filter(|at| at - frame(*at) != 2) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert_corrupted(&*storage, &flipped, frame(at));
    }
}

#[test]
fn a_version_byte_that_was_flipped_is_refused() {
    let (storage, mut bytes, ends) = synced_log(2);
    bytes[ends[0] + 2] ^= 4;
    let error = recovered(&with_file(&*storage, &first_file(), &bytes)).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
}

#[test]
fn a_frame_that_stands_twice_is_corrupted() {
    let (storage, bytes, ends) = synced_log(3);
    let doubled = [&bytes[..], &bytes[ends[1]..]].concat();
    assert_corrupted(&*storage, &doubled, ends[2]);
    let missing = [&bytes[..ends[0]], &bytes[ends[1]..]].concat();
    assert_corrupted(&*storage, &missing, ends[0]);
}

#[test]
fn batches_that_shared_a_sync_may_be_torn_out_of_order() {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    let mut ends = vec![0];
    for sequence in 1..=3 {
        writer
            .append(sequence, small_batch(sequence as usize).encode(8192))
            .unwrap();
        ends.push(writer.position().offset as usize);
        if sequence == 1 {
            writer.sync().unwrap();
        }
    }
    // No sync came after batches 2 and 3, so the disk may have written 3 before 2.
    let mut bytes = storage.read(&first_file()).unwrap();
    bytes[ends[1] + 8..ends[2]].fill(0);
    assert_recovers(&*storage, &bytes, 1, bytes.len() - ends[1]);
    // Batch 1 was synced before batch 2 was written.
    bytes[8] ^= 1;
    assert_corrupted(&*storage, &bytes, 0);
}

#[test]
fn damage_in_a_sealed_file_is_corrupted_wherever_it_is() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 300);
    for sequence in 1..=3 {
        writer
            .append(sequence, small_batch(1).encode(8192))
            .unwrap();
    }
    let bytes = storage.read(&first_file()).unwrap();
    for length in 1..bytes.len() {
        assert_corrupted(&*storage, &bytes[..length], 0);
    }
    assert_corrupted(&*storage, &[&bytes[..], &[0; 8]].concat(), bytes.len());
    let error = recovered(&with_file(&*storage, &first_file(), &[])).unwrap_err();
    assert_eq!(error.details["expected"], 1);
    storage.remove(&first_file()).unwrap();
    assert_eq!(recovered(&storage).unwrap_err().details["actual"], 2);
}

#[test]
fn a_damaged_row_of_a_sealed_file_is_found_when_it_is_touched() {
    let storage = in_memory();
    let mut writer = open_new(&storage, 300);
    let locations = writer.append(1, small_batch(1).encode(8192)).unwrap();
    writer.append(2, small_batch(2).encode(8192)).unwrap();
    let manifest = writer.files().manifest(writer.position());
    let bytes = storage.read(&first_file()).unwrap();
    let start = locations[0].offset as usize;
    for at in start..locations[1].offset as usize {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let damaged = with_file(&*storage, &first_file(), &flipped);
        let opened = open(&damaged, &manifest, 300).unwrap();
        let error = opened.writer.files().row(locations[0]).unwrap_err();
        assert_eq!(error.code, ErrorCode::Corrupted);
        assert_eq!(error.details["path"], first_file());
        assert_eq!(error.details["offset"], start);
        opened
            .writer
            .files()
            .with_row(locations[0], |_| ())
            .unwrap_err();
        assert!(opened.writer.files().row(locations[1]).is_ok());
        opened.writer.rows_writer().push(locations[0]).unwrap_err();
    }
}
