//! The bytes, as `docs/log-format.md` has them.

use super::*;

fn hex(bytes: &[u8]) -> String {
    let words = bytes
        .chunks(8)
        .map(|word| word.iter().map(|b| format!("{b:02x}")).collect());
    words.collect::<Vec<String>>().join("\n")
}

#[test]
fn a_small_commit_has_these_bytes() {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    let mut encoder = BatchEncoder::new();
    encoder
        .store("a", &[1.0, -2.0], br#"{"k":1}"#, Some("hi"))
        .unwrap();
    encoder.attributes("b", b"{}").unwrap();
    encoder.delete("c").unwrap();
    encoder.idempotency(b"key".to_vec());
    let locations = writer.append(1, encoder.finish().unwrap()).unwrap();
    let expected = include_str!("golden.txt");
    let expected: Vec<&str> = expected.lines().map(|line| line[..16].trim()).collect();
    assert_eq!(
        hex(&storage.read(&first_file()).unwrap()),
        expected.join("\n")
    );
    assert_eq!(
        locations.iter().map(|row| row.offset).collect::<Vec<_>>(),
        [56, 104, 136]
    );
}

#[test]
fn the_document_shows_the_same_bytes() {
    let document = include_str!("../../../../../docs/log-format.md");
    assert!(document.contains(include_str!("golden.txt")));
}

#[test]
fn bytes_of_the_first_version_are_still_read() {
    let golden: Vec<u8> = include_str!("golden.txt")
        .lines()
        .flat_map(|line| {
            (0..8).map(|at| u8::from_str_radix(&line[at * 2..at * 2 + 2], 16).unwrap())
        })
        .collect();
    let empty = in_memory();
    empty.create_directory(DIRECTORY).unwrap();
    let storage = with_file(&*empty, &first_file(), &golden);
    let expected = Written {
        rows: vec![
            Row::Store {
                id: "a".to_owned(),
                vector: vec![1.0, -2.0],
                metadata: br#"{"k":1}"#.to_vec(),
                text: Some("hi".to_owned()),
            },
            Row::Attributes {
                id: "b".to_owned(),
                metadata: b"{}".to_vec(),
            },
            Row::Delete { id: "c".to_owned() },
        ],
        idempotency: Some(b"key".to_vec()),
        stream_offsets: None,
    };
    assert_eq!(recovered(&storage).unwrap(), [expected]);
}

/// The first file with a change in its first frame, whose checksums are made right again.
fn forged(change: impl Fn(&mut Vec<u8>)) -> Error {
    let storage = in_memory();
    let mut writer = open_new(&storage, LOG_FILE_BYTES);
    writer.append(1, small_batch(2).encode(8192)).unwrap();
    let mut bytes = storage.read(&first_file()).unwrap();
    change(&mut bytes);
    let payload = crc32fast::hash(&bytes[48..]);
    bytes[36..40].copy_from_slice(&payload.to_le_bytes());
    let header = crc32fast::hash(&bytes[..44]);
    bytes[44..48].copy_from_slice(&header.to_le_bytes());
    recovered(&with_file(&*storage, &first_file(), &bytes)).unwrap_err()
}

#[test]
fn what_a_later_version_wrote_is_unsupported() {
    let later: [fn(&mut Vec<u8>); 3] = [
        |bytes| bytes[2] = 0x82,
        |bytes| bytes[4] = 6,
        |bytes| bytes[48] = 9,
    ];
    for change in later {
        let error = forged(change);
        assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
        assert_eq!(error.details["path"], first_file());
        assert_eq!(error.details["offset"], 0);
    }
}

#[test]
fn whole_frames_that_contradict_the_format_are_corrupted_and_never_cut() {
    type Change = fn(&mut Vec<u8>);
    let wrong: [(&str, Change); 14] = [
        ("reserved bytes", |bytes| bytes[5] = 1),
        ("reserved bytes", |bytes| bytes[40] = 1),
        ("length", |bytes| bytes[28] += 1),
        ("length", |bytes| bytes[31] = 0x7f),
        ("later place", |bytes| bytes[32] = 8),
        ("moved rows", |bytes| bytes[4] = 5),
        ("parts", |bytes| (bytes[4], bytes[24]) = (3, 2)),
        ("another place", |bytes| (bytes[4], bytes[16]) = (2, 8)),
        ("stands where", |bytes| bytes[8] = 2),
        ("stands where", |bytes| bytes[8] = 0),
        ("section's header", |bytes| bytes[49] = 1),
        ("longer than its frame", |bytes| bytes[55] = 0xff),
        ("lengths do not add up", |bytes| bytes[56 + 4] += 8),
        ("kind is unknown", |bytes| bytes[56 + 8] = 4),
    ];
    for (reason, change) in wrong {
        let error = forged(change);
        assert_eq!(error.code, ErrorCode::Corrupted, "{error}");
        assert!(error.message.contains(reason), "{error}");
    }
}
