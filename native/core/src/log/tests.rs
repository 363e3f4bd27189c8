//! The log through its public door.

mod damage;
mod faults;
mod format;
mod model;
mod staging;
mod writing;

use std::sync::Arc;

use super::*;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::{MemoryStorage, Storage};

const DIRECTORY: &str = "collections/c/log";

/// A row as a test wants to write it.
#[derive(Clone, Debug, PartialEq)]
enum Row {
    Store {
        id: String,
        vector: Vec<f32>,
        metadata: Vec<u8>,
        text: Option<String>,
    },
    Attributes {
        id: String,
        metadata: Vec<u8>,
    },
    Delete {
        id: String,
    },
}

/// A batch as a test wants to write it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Written {
    rows: Vec<Row>,
    idempotency: Option<Vec<u8>>,
    stream_offsets: Option<Vec<u8>>,
}

impl LogWriter {
    /// Appends a batch that has no stage.
    fn append(&mut self, sequence: Sequence, batch: Batch) -> Result<Vec<Location>> {
        self.commit_stage(Stage::default(), sequence, batch)
    }
}

fn store(id: &str, dimension: usize) -> Row {
    let vector = (0..dimension).map(|place| place as f32 - 0.5).collect();
    let metadata = br#"{"a":1}"#.to_vec();
    Row::Store {
        id: id.to_owned(),
        vector,
        metadata,
        text: Some(format!("text of {id}")),
    }
}

fn batch_of(rows: impl IntoIterator<Item = Row>) -> Written {
    Written {
        rows: rows.into_iter().collect(),
        ..Written::default()
    }
}

/// A batch of each kind of row, told apart by a number.
fn small_batch(number: usize) -> Written {
    let mut batch = batch_of([
        store(&format!("s{number}"), 3 + number % 4),
        Row::Attributes {
            id: format!("a{number}"),
            metadata: b"{}".to_vec(),
        },
        Row::Delete {
            id: format!("d{number}"),
        },
    ]);
    batch.idempotency = number
        .is_multiple_of(2)
        .then(|| vec![number as u8; number % 11]);
    batch
}

impl Written {
    fn encode(&self, payload_bytes_max: usize) -> Batch {
        self.encode_with(BatchEncoder::new().with_payload_bytes_max(payload_bytes_max))
    }

    fn encode_with(&self, mut encoder: BatchEncoder) -> Batch {
        for row in &self.rows {
            match row {
                Row::Store {
                    id,
                    vector,
                    metadata,
                    text,
                } => encoder.store(id, vector, metadata, text.as_deref()),
                Row::Attributes { id, metadata } => encoder.attributes(id, metadata),
                Row::Delete { id } => encoder.delete(id),
            }
            .unwrap();
        }
        if let Some(bytes) = &self.idempotency {
            encoder.idempotency(bytes.clone());
        }
        if let Some(bytes) = &self.stream_offsets {
            encoder.stream_offsets(bytes.clone());
        }
        encoder.finish().unwrap()
    }
}

fn seen_row(row: RowView<'_>) -> Row {
    row.verify().unwrap();
    let id = row.id().to_owned();
    match row.kind() {
        RowKind::Store => Row::Store {
            id,
            vector: row.vector().into_owned(),
            metadata: row.metadata().to_vec(),
            text: row.text().map(str::to_owned),
        },
        RowKind::Attributes => Row::Attributes {
            id,
            metadata: row.metadata().to_vec(),
        },
        RowKind::Delete => Row::Delete { id },
    }
}

/// A log that was recovered, and what recovery handed out.
struct Opened {
    writer: LogWriter,
    batches: Vec<(Sequence, Written)>,
    locations: Vec<Location>,
    leftovers: Vec<String>,
    torn_bytes: usize,
}

fn open(storage: &Arc<dyn Storage>, manifest: &Manifest, file_bytes: u32) -> Result<Opened> {
    let (mut batches, mut locations) = (Vec::new(), Vec::new());
    let recovery = recover(&**storage, DIRECTORY, manifest, |batch| {
        locations.extend(batch.rows().map(|(location, _)| location));
        let written = Written {
            rows: batch.rows().map(|(_, row)| seen_row(row)).collect(),
            idempotency: batch.idempotency.map(<[u8]>::to_vec),
            stream_offsets: batch.stream_offsets.map(<[u8]>::to_vec),
        };
        batches.push((batch.sequence, written));
        Ok(())
    })?;
    let leftovers = recovery.leftovers.clone();
    let torn_bytes = recovery.torn_bytes;
    let writer = LogWriter::new(Arc::clone(storage), DIRECTORY, recovery, file_bytes);
    Ok(Opened {
        writer,
        batches,
        locations,
        leftovers,
        torn_bytes,
    })
}

fn open_new(storage: &Arc<dyn Storage>, file_bytes: u32) -> LogWriter {
    open(storage, &Manifest::default(), file_bytes)
        .unwrap()
        .writer
}

fn in_memory() -> Arc<dyn Storage> {
    Arc::new(MemoryStorage::new())
}

/// The batches that recovery hands out, their sequences checked to run from 1.
fn recovered(storage: &Arc<dyn Storage>) -> Result<Vec<Written>> {
    let opened = open(storage, &Manifest::default(), LOG_FILE_BYTES)?;
    let (sequences, batches): (Vec<_>, Vec<_>) = opened.batches.into_iter().unzip();
    assert!(sequences.into_iter().eq(1..=batches.len() as u64));
    Ok(batches)
}

/// The same files, one of them with other bytes.
fn with_file(storage: &dyn Storage, path: &str, bytes: &[u8]) -> Arc<dyn Storage> {
    let copy = MemoryStorage::new();
    copy.create_directory(DIRECTORY).unwrap();
    for name in storage.list(DIRECTORY).unwrap() {
        let other = format!("{DIRECTORY}/{name}");
        copy.create(&other)
            .unwrap()
            .append(&storage.read(&other).unwrap())
            .unwrap();
    }
    copy.create(path).unwrap().append(bytes).unwrap();
    Arc::new(copy)
}

/// Path of the first log file.
fn first_file() -> String {
    format!("{DIRECTORY}/00000001.log")
}
