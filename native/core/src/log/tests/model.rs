//! Random batches, crashes and restarts against a plain list.

use proptest::prelude::*;

use super::*;
use crate::storage::faulty::FaultyStorage;

fn row() -> impl Strategy<Value = Row> {
    let id = "[a-zé]{1,20}";
    let metadata = proptest::collection::vec(any::<u8>(), 0..60);
    let vector = proptest::collection::vec(-1e30_f32..1e30, 1..40);
    let text = proptest::option::of(".{0,30}");
    prop_oneof![
        3 => (id, vector, metadata.clone(), text)
            .prop_map(|(id, vector, metadata, text)| Row::Store { id, vector, metadata, text }),
        1 => (id, metadata).prop_map(|(id, metadata)| Row::Attributes { id, metadata }),
        1 => id.prop_map(|id| Row::Delete { id }),
    ]
}

fn written() -> impl Strategy<Value = Written> {
    let section = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50));
    (
        proptest::collection::vec(row(), 0..12),
        section(),
        section(),
    )
        .prop_map(|(rows, idempotency, stream_offsets)| Written {
            rows,
            idempotency,
            stream_offsets,
        })
}

#[derive(Clone, Debug)]
enum Step {
    Append(Written, usize),
    Sync,
    StagePart(Vec<Row>),
    StageCommit(Written),
    StageDrop,
    Checkpoint,
    Restart,
    Crash(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (written(), 1_usize..3000).prop_map(|(batch, bytes)| Step::Append(batch, bytes)),
        3 => Just(Step::Sync),
        2 => proptest::collection::vec(row(), 1..5).prop_map(Step::StagePart),
        1 => written().prop_map(Step::StageCommit),
        1 => Just(Step::StageDrop),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
        1 => any::<u64>().prop_map(Step::Crash),
    ]
}

/// The log beside the list of batches that it should hold.
struct Model {
    storage: FaultyStorage,
    writer: LogWriter,
    file_bytes: u32,
    batches: Vec<Written>,
    synced: usize,
    stage: Option<(Stage, Vec<Row>)>,
    manifest: Manifest,
}

impl Model {
    fn new(file_bytes: u32) -> Self {
        let storage = FaultyStorage::in_memory();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let writer = open_new(&shared, file_bytes);
        let (batches, manifest) = (Vec::new(), Manifest::default());
        Model {
            storage,
            writer,
            file_bytes,
            batches,
            synced: 0,
            stage: None,
            manifest,
        }
    }

    fn step(&mut self, step: Step) {
        let next = self.batches.len() as u64 + 1;
        match step {
            Step::Append(batch, payload_bytes) => {
                let locations = self
                    .writer
                    .append(next, batch.encode(payload_bytes))
                    .unwrap();
                for (row, location) in batch.rows.iter().zip(locations) {
                    assert_eq!(
                        &self.writer.files().with_row(location, seen_row).unwrap(),
                        row
                    );
                }
                self.batches.push(batch);
            }
            Step::Sync => {
                self.writer.sync().unwrap();
                self.synced = self.batches.len();
            }
            Step::StagePart(rows) => {
                let (stage, staged) = self.stage.get_or_insert_default();
                let part = batch_of(rows.clone()).encode(200);
                self.writer.append_stage(stage, part).unwrap();
                staged.extend(rows);
            }
            Step::StageCommit(mut batch) => {
                let (stage, mut rows) = self.stage.take().unwrap_or_default();
                self.writer
                    .commit_stage(stage, next, batch.encode(300))
                    .unwrap();
                rows.append(&mut batch.rows);
                batch.rows = rows;
                self.batches.push(batch);
            }
            Step::StageDrop => {
                if let Some((stage, _)) = self.stage.take() {
                    self.writer.drop_stage(stage).unwrap();
                }
            }
            Step::Checkpoint => {
                self.step(Step::Sync);
                self.manifest = self.writer.files().manifest(self.writer.position());
            }
            Step::Restart => self.reopen(self.batches.len()),
            Step::Crash(seed) => self.crash(seed),
        }
    }

    /// Goes on from what a crash left, in a storage that again can crash.
    fn crash(&mut self, seed: u64) {
        let image = self.storage.crash_image(seed);
        let fresh = FaultyStorage::in_memory();
        fresh.create_directory(DIRECTORY).unwrap();
        for name in image.list(DIRECTORY).unwrap() {
            let path = format!("{DIRECTORY}/{name}");
            let mut file = fresh.create(&path).unwrap();
            file.append(&image.read(&path).unwrap()).unwrap();
            file.sync().unwrap();
        }
        for directory in ["", "collections", "collections/c", DIRECTORY] {
            fresh.sync_directory(directory).unwrap();
        }
        self.storage = fresh;
        self.reopen(self.synced);
    }

    fn reopen(&mut self, promised: usize) {
        let storage: &Arc<dyn Storage> = &(Arc::new(self.storage.clone()) as _);
        let all = open(storage, &Manifest::default(), self.file_bytes).unwrap();
        let count = all.batches.len();
        assert!((promised..=self.batches.len()).contains(&count));
        self.batches.truncate(count);
        assert!((1..).zip(self.batches.iter().cloned()).eq(all.batches));
        drop(all.writer);
        let rest = open(storage, &self.manifest, self.file_bytes).unwrap();
        let seen = self.manifest.position.sequence as usize;
        let expected = self.batches.iter().skip(seen).cloned();
        assert!((seen as u64 + 1..).zip(expected).eq(rest.batches));
        self.writer = rest.writer;
        self.stage = None;
        self.synced = count;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_the_model_holds(
        steps in proptest::collection::vec(step(), 1..40),
        file_bytes in 200_u32..6000,
    ) {
        let mut model = Model::new(file_bytes);
        for step in steps {
            model.step(step);
        }
        model.step(Step::Restart);
    }

    #[test]
    fn hostile_bytes_are_refused_without_a_panic(
        batches in proptest::collection::vec(written(), 1..5),
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        cut in any::<usize>(),
    ) {
        let storage = in_memory();
        let mut writer = open_new(&storage, LOG_FILE_BYTES);
        for (sequence, batch) in (1..).zip(&batches) {
            writer.append(sequence, batch.encode(600)).unwrap();
        }
        let mut bytes = storage.read(&first_file()).unwrap();
        bytes.truncate(bytes.len() - cut % 40);
        for (place, byte) in changes {
            let place = place % bytes.len();
            bytes[place] = byte;
        }
        // Nothing was synced, so whatever is left is a prefix.
        match recovered(&with_file(&*storage, &first_file(), &bytes)) {
            Ok(seen) => prop_assert!(batches.starts_with(&seen)),
            Err(error) => prop_assert!(
                matches!(error.code, ErrorCode::Corrupted | ErrorCode::Unsupported)
            ),
        }
    }

    #[test]
    fn any_location_in_any_bytes_is_read_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        kind in 0_u8..5,
        offset in 0_u32..60,
    ) {
        let mut bytes = bytes;
        let start = offset as usize * 8;
        // Without these the fixed part hardly ever passes for one.
        let rest = bytes.len().saturating_sub(start) as u32 / 8 * 8;
        if let Some(row) = bytes.get_mut(start..start + 24) {
            row[4..8].copy_from_slice(&rest.to_le_bytes());
            row[8..24].fill(0);
            row[8] = kind;
            row[10] = 1;
            row[20] = u8::from(kind == 1);
        }
        let storage = in_memory();
        storage.create_directory(DIRECTORY).unwrap();
        let path = format!("{DIRECTORY}/00000001.rows");
        storage.create(&path).unwrap().append(&bytes).unwrap();
        let file = FileLength { number: 1, kind: FileKind::Rows, bytes: bytes.len() as u32 };
        let manifest = Manifest { position: Position::default(), files: vec![file] };
        let files = open(&storage, &manifest, 100).unwrap().writer.files().clone();
        if let Ok(guard) = files.row(Location { file: 1, offset: offset * 8 }) {
            prop_assert!(guard.view().encoded_bytes() <= bytes.len());
        }
    }
}
