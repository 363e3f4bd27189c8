use super::*;
use crate::error::ErrorCode;

fn storages() -> (tempfile::TempDir, Vec<Arc<dyn Storage>>) {
    let directory = tempfile::tempdir().unwrap();
    let storages: Vec<Arc<dyn Storage>> = vec![
        Arc::new(FileStorage::new(directory.path().join("store"))),
        Arc::new(MemoryStorage::new()),
        #[cfg(feature = "testing")]
        Arc::new(faulty::FaultyStorage::in_memory()),
    ];
    for storage in &storages {
        storage.create_directory("").unwrap();
    }
    (directory, storages)
}

fn write(storage: &dyn Storage, path: &str, bytes: &[u8]) {
    let mut file = storage.create(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
}

#[test]
fn files_grow_are_cut_and_grow_again() {
    let (_directory, storages) = storages();
    for storage in storages {
        storage.create_directory("a/b").unwrap();
        write(&*storage, "a/b/file", b"0123456789");
        let mut file = storage.open_append("a/b/file").unwrap();
        assert_eq!(file.length(), 10);
        file.truncate(4).unwrap();
        file.append(b"xy").unwrap();
        assert_eq!(file.length(), 6);
        assert_eq!(storage.read("a/b/file").unwrap(), b"0123xy");
        assert_eq!(file.truncate(7).unwrap_err().code, ErrorCode::Internal);
        drop(storage.create("a/b/file").unwrap());
        assert!(storage.read("a/b/file").unwrap().is_empty());
    }
}

#[test]
fn names_are_listed_changed_and_removed() {
    let (_directory, storages) = storages();
    for storage in storages {
        assert!(storage.list("nowhere").unwrap().is_empty());
        storage.create_directory("a/b").unwrap();
        storage.create_directory("a/b").unwrap();
        write(&*storage, "a/two", b"2");
        write(&*storage, "a/one", b"1");
        assert_eq!(storage.list("a").unwrap(), ["b", "one", "two"]);
        assert_eq!(storage.list("").unwrap(), ["a"]);
        storage.rename("a/one", "a/two").unwrap();
        storage.sync_directory("a").unwrap();
        assert_eq!(storage.read("a/two").unwrap(), b"1");
        storage.remove("a/two").unwrap();
        storage.remove("a/two").unwrap();
        assert_eq!(storage.list("a").unwrap(), ["b"]);
        storage.remove_directory("a").unwrap();
        storage.remove_directory("a").unwrap();
        assert!(storage.list("").unwrap().is_empty());
    }
}

#[test]
fn a_map_holds_the_file_even_when_it_is_removed() {
    let (_directory, storages) = storages();
    for storage in storages {
        write(&*storage, "empty", b"");
        write(&*storage, "full", &[7; 5000]);
        assert!(storage.map("empty").unwrap().as_slice().is_empty());
        let map = storage.map("full").unwrap();
        storage.remove("full").unwrap();
        assert_eq!(map.as_slice(), [7; 5000]);
    }
}

#[test]
fn what_must_exist_and_does_not_is_corrupted() {
    let (_directory, storages) = storages();
    for storage in storages {
        let errors = [
            storage.read("gone").unwrap_err(),
            storage.map("gone").err().unwrap(),
            storage.open_append("gone").err().unwrap(),
            storage.rename("gone", "there").unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.code, ErrorCode::Corrupted, "{error}");
            assert_eq!(error.details["path"], "gone");
        }
        let error = storage.create("nowhere/file").err().unwrap();
        assert_eq!(
            (error.code, &error.details["cause"]),
            (ErrorCode::Internal, &"system".into())
        );
    }
}

#[test]
fn a_full_and_a_read_only_disk_name_themselves() {
    let full = system_error("append to", "x", &io::ErrorKind::StorageFull.into());
    assert_eq!(
        (full.code, &full.details["cause"]),
        (ErrorCode::Internal, &"disk_full".into())
    );
    assert!(full.message.contains("disk is full"), "{full}");
    let denied = system_error("append to", "x", &io::ErrorKind::PermissionDenied.into());
    assert_eq!(denied.details["cause"], "read_only");
}

#[cfg(feature = "testing")]
mod faults {
    use std::collections::BTreeSet;

    use super::super::faulty::{Fault, FaultyStorage};
    use super::*;

    #[test]
    fn only_the_planted_call_fails() {
        let storage = FaultyStorage::in_memory();
        let mut file = storage.create("file").unwrap();
        storage.fail_call(storage.calls() + 1, Fault::ShortAppend(2));
        file.append(b"abcd").unwrap_err();
        file.append(b"ef").unwrap();
        assert_eq!(storage.read("file").unwrap(), b"abef");
        storage.fail_from(storage.calls() + 1, Fault::DiskFull);
        assert_eq!(
            file.append(b"gh").unwrap_err().details["cause"],
            "disk_full"
        );
        assert_eq!(file.sync().unwrap_err().details["cause"], "disk_full");
        storage.fail_call(storage.calls() + 1, Fault::LostReply);
        storage.remove("file").unwrap_err();
        storage.heal();
        assert!(storage.list("").unwrap().is_empty());
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
        let storage = FaultyStorage::in_memory();
        storage.create_directory("d").unwrap();
        storage.sync_directory("").unwrap();
        let mut file = storage.create("d/file").unwrap();
        storage.sync_directory("d").unwrap();
        file.append(&[1; 700]).unwrap();
        file.sync().unwrap();
        file.append(&[2; 2000]).unwrap();
        let mut lengths = BTreeSet::new();
        let mut lost_sectors = false;
        for seed in 0..200 {
            let bytes = storage.crash_image(seed).read("d/file").unwrap();
            assert_eq!(bytes[..700], [1; 700]);
            assert!(bytes[700..].iter().all(|byte| [0, 2].contains(byte)));
            lost_sectors |= bytes[700..].windows(2).any(|pair| pair == [0, 2]);
            lengths.insert(bytes.len());
            let again = storage.crash_image(seed).read("d/file").unwrap();
            assert_eq!(bytes, again, "the seed alone decides");
        }
        assert!(lengths.contains(&700) && lengths.contains(&2700) && lengths.len() > 10);
        assert!(lost_sectors);
    }

    #[test]
    fn a_crash_may_undo_names_until_their_directory_is_synced() {
        let storage = FaultyStorage::in_memory();
        write(&storage, "old", b"1");
        write(&storage, "kept", b"2");
        storage.sync_directory("").unwrap();
        storage.rename("old", "new").unwrap();
        storage.remove("kept").unwrap();
        let seen: BTreeSet<_> = (0..100)
            .map(|seed| storage.crash_image(seed).list("").unwrap())
            .collect();
        let all = [
            vec!["kept", "new"],
            vec!["kept", "old"],
            vec!["new"],
            vec!["old"],
        ];
        assert!(seen.iter().eq(all.iter()), "{seen:?}");
        storage.sync_directory("").unwrap();
        for seed in 0..100 {
            assert_eq!(storage.crash_image(seed).list("").unwrap(), ["new"]);
        }
    }
}
