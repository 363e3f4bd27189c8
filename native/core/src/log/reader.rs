//! Recovery: replaying the batches after a checkpoint, and finding the end of the log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::bytes::{ALIGNMENT, size};
use super::files::{LogFile, LogFiles};
use super::frame::{Frame, FrameFault, FrameHeader, FrameKind, Rows, Sections};
use super::row::RowView;
use super::writer::ActiveFile;
use super::{FileKind, FileLength, Location, Manifest, Position, UNFINISHED_SUFFIX, file_path};
use crate::error::{Error, Result};
use crate::record::Sequence;
use crate::storage::{Bytes, Storage};

/// What recovery found, for [`super::LogWriter::new`].
pub struct Recovery {
    /// The files that the collection consists of.
    pub files: LogFiles,
    /// The position after the last batch.
    pub position: Position,
    /// Paths of files that no checkpoint names and that are not replayed: what a crash left of a
    /// compaction or of a removal. They may be removed.
    pub leftovers: Vec<String>,
    /// Bytes of a torn tail that were cut off; 0 after a clean end.
    pub torn_bytes: usize,
    pub(super) next_file: u32,
    pub(super) active: Option<ActiveFile>,
}

/// A batch as the log has it.
#[derive(Debug)]
pub struct CommittedBatch<'a> {
    /// Its sequence.
    pub sequence: Sequence,
    /// What the idempotency window is to remember of it.
    pub idempotency: Option<&'a [u8]>,
    /// How far streams have come with it.
    pub stream_offsets: Option<&'a [u8]>,
    actions: Vec<Rows<'a>>,
}

impl<'a> CommittedBatch<'a> {
    /// Its rows with their locations, in order.
    pub fn rows(&self) -> impl Iterator<Item = (Location, RowView<'a>)> {
        // Every row was decoded before the batch was handed out.
        self.actions.iter().cloned().flatten().flatten()
    }
}

/// Reads the log of a collection from a checkpoint on, and hands out every batch that was
/// committed after it, in order.
///
/// Only the last file may end in the middle of a frame: that is a torn tail, which is cut off. If
/// a frame behind the bad bytes was written when those were durable already, they are no tail but
/// damage. Sealed files were durable as a whole before the next one began. Whatever is handed out
/// is durable when this returns.
///
/// # Errors
/// `CORRUPTED` with path and offset for damage, for a sequence that does not follow the one
/// before, and for a file that is missing or has another length than the manifest says;
/// `UNSUPPORTED` for frames of a later version; what the disk or the visitor said.
pub fn recover(
    storage: &dyn Storage,
    directory: &str,
    manifest: &Manifest,
    visit: impl FnMut(&CommittedBatch<'_>) -> Result<()>,
) -> Result<Recovery> {
    let listing = Listing::read(storage, directory, manifest)?;
    let mut files = Vec::new();
    for file in &manifest.files {
        files.push(LogFile::open(storage, directory, file)?);
    }
    let mut replay = Replay::new(manifest.position, visit);
    let Some((last, sealed)) = listing.replayed.split_last() else {
        return Ok(Recovery {
            files: LogFiles::default().with(files),
            position: manifest.position,
            leftovers: listing.leftovers,
            torn_bytes: 0,
            next_file: listing.next_file,
            active: None,
        });
    };
    for number in sealed {
        files.push(replay.sealed_file(storage, directory, *number)?);
    }
    let (active, torn_bytes) = replay.last_file(storage, directory, *last)?;
    files.push(Arc::clone(&active.file));
    let position = Position {
        file: *last,
        offset: active.length,
        sequence: replay.sequence,
    };
    Ok(Recovery {
        files: LogFiles::default().with(files),
        position,
        leftovers: listing.leftovers,
        torn_bytes,
        next_file: listing.next_file,
        active: Some(active),
    })
}

/// The entries of the directory, sorted by what becomes of them.
struct Listing {
    /// Numbers of the log files to be replayed, ascending.
    replayed: Vec<u32>,
    leftovers: Vec<String>,
    next_file: u32,
}

impl Listing {
    fn read(storage: &dyn Storage, directory: &str, manifest: &Manifest) -> Result<Self> {
        let from = manifest.position.file;
        let mut listing = Listing {
            replayed: Vec::new(),
            leftovers: Vec::new(),
            next_file: 0,
        };
        let named = manifest
            .files
            .iter()
            .map(|file| file.number)
            .max()
            .unwrap_or(0);
        let mut largest = named.max(from);
        for name in storage.list(directory)? {
            let Some((number, kind)) = parse_name(&name) else {
                continue;
            };
            largest = largest.max(number);
            let is_kept = |file: &FileLength| Some(file.kind) == kind && file.number == number;
            if kind == Some(FileKind::Log) && number >= from {
                listing.replayed.push(number);
            } else if !manifest.files.iter().any(is_kept) {
                listing.leftovers.push(format!("{directory}/{name}"));
            }
        }
        listing.replayed.sort_unstable();
        listing.next_file = largest.saturating_add(1);
        if from != 0 && listing.replayed.first() != Some(&from) {
            let path = file_path(directory, from, FileKind::Log);
            return Err(Error::corrupted(
                &path,
                "the file is missing, a checkpoint stands in it",
            ));
        }
        Ok(listing)
    }
}

/// Number and kind of a file by its name; no kind for one that was not finished.
fn parse_name(name: &str) -> Option<(u32, Option<FileKind>)> {
    let (number, extension) = name.split_once('.')?;
    let number = number.parse().ok().filter(|_| number.len() >= 8)?;
    let unfinished = extension.strip_suffix(UNFINISHED_SUFFIX) == Some("rows");
    let kind = [FileKind::Log, FileKind::Rows]
        .into_iter()
        .find(|kind| kind.extension() == extension);
    (unfinished || kind.is_some()).then_some((number, kind))
}

/// Rows of a stage that was not committed yet.
#[derive(Default)]
struct StageRows {
    part_count: u32,
    parts: Vec<(u32, Range<usize>)>,
}

/// A file that is being or was replayed; staged rows are read from it once they are committed.
struct Source {
    number: u32,
    path: String,
    bytes: Arc<dyn Bytes>,
}

struct Replay<V> {
    from: Position,
    /// Sequence of the last batch that was seen or is known from the checkpoint.
    sequence: Sequence,
    /// Whether a batch was seen; the first one may be older than the checkpoint.
    started: bool,
    stages: BTreeMap<u64, StageRows>,
    sources: BTreeMap<u32, Source>,
    visit: V,
}

impl<V: FnMut(&CommittedBatch<'_>) -> Result<()>> Replay<V> {
    fn new(from: Position, visit: V) -> Self {
        let (stages, sources) = (BTreeMap::new(), BTreeMap::new());
        Replay {
            from,
            sequence: from.sequence,
            started: false,
            stages,
            sources,
            visit,
        }
    }

    /// Replays a file that is not the last one: all of it must be whole.
    fn sealed_file(
        &mut self,
        storage: &dyn Storage,
        directory: &str,
        number: u32,
    ) -> Result<Arc<LogFile>> {
        let path = file_path(directory, number, FileKind::Log);
        let bytes = storage.map(&path)?;
        check_length(&path, bytes.as_slice())?;
        let source = Arc::clone(&bytes);
        let (end, fault) = self.walk(Source {
            number,
            path: path.clone(),
            bytes: source,
        })?;
        if let Some(fault) = fault {
            return Err(fault.at(&path, end));
        }
        let file = LogFile::active(directory, number, FileKind::Log);
        file.seal(bytes);
        Ok(Arc::new(file))
    }

    /// Replays the last file, cuts a torn tail off, and leaves the file ready for appending.
    fn last_file(
        &mut self,
        storage: &dyn Storage,
        directory: &str,
        number: u32,
    ) -> Result<(ActiveFile, usize)> {
        let file = LogFile::active(directory, number, FileKind::Log);
        let path = file.path().to_owned();
        let bytes = Arc::new(storage.read(&path)?);
        check_length(&path, &bytes)?;
        let source = Arc::clone(&bytes);
        let (end, fault) = self.walk(Source {
            number,
            path: path.clone(),
            bytes: source,
        })?;
        self.sources.clear();
        let torn = matches!(fault, Some(FrameFault::Damaged(_))) && !was_durable(&bytes, end);
        if let Some(fault) = fault.filter(|_| !torn) {
            return Err(fault.at(&path, end));
        }
        let mut bytes = Arc::unwrap_or_clone(bytes);
        let torn_bytes = bytes.len() - end;
        bytes.truncate(end);
        let mut append = storage.open_append(&path)?;
        if torn_bytes > 0 {
            append.truncate(end as u64)?;
        }
        // A crash of the process leaves frames that only the system's memory has.
        append.sync()?;
        if !bytes.is_empty() {
            file.push_block(0, bytes);
        }
        let length = end as u32;
        Ok((
            ActiveFile {
                file: Arc::new(file),
                append,
                length,
                durable: length,
            },
            torn_bytes,
        ))
    }

    /// Takes in the frames of a file; returns where it ended, and why if that is not the end.
    fn walk(&mut self, source: Source) -> Result<(usize, Option<FrameFault>)> {
        let bytes = Arc::clone(&source.bytes);
        let bytes = bytes.as_slice();
        let (number, path) = (source.number, source.path.clone());
        self.sources.insert(number, source);
        let mut offset = if number == self.from.file {
            size(self.from.offset)
        } else {
            0
        };
        if offset > bytes.len() {
            let length = bytes.len();
            let message = format!("the file is {length} bytes, a checkpoint stands at {offset}");
            return Err(Error::corrupted(&path, message).with("offset", offset));
        }
        while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
            let frame = match Frame::decode(rest) {
                Ok(frame) => frame,
                Err(fault) => return Ok((offset, Some(fault))),
            };
            let taken = self.take(number, offset, &frame);
            taken.map_err(|stop| stop.at(&path, offset))?;
            offset += frame.length();
        }
        Ok((offset, None))
    }

    /// Takes in one whole frame.
    fn take(&mut self, file: u32, offset: usize, frame: &Frame<'_>) -> Result<(), Stop> {
        let header = &frame.header;
        if size(header.durable_length) > offset {
            return Err(malformed("the frame was written for a later place"));
        }
        let sections = Sections::decode(frame.payload)?;
        let start = offset + super::frame::FRAME_HEADER_BYTES + sections.actions_start;
        let rows = Rows {
            location: location(file, start),
            bytes: sections.actions,
        };
        if let Some((place, reason)) = rows.clone().find_map(Result::err) {
            return Err(Stop::Row(place.offset, reason));
        }
        let range = start..start + sections.actions.len();
        match header.kind {
            FrameKind::Commit => self.commit(header, &sections, Vec::new(), rows),
            FrameKind::Stage => self.stage(header, file, offset, range),
            FrameKind::StageCommit => {
                let stage = self.stages.remove(&header.stage).unwrap_or_default();
                if stage.part_count != header.part && header.sequence > self.from.sequence {
                    return Err(malformed("parts of the staged batch are missing"));
                }
                self.commit(header, &sections, stage.parts, rows)
            }
            FrameKind::StageDrop => {
                self.stages.remove(&header.stage);
                Ok(())
            }
            FrameKind::Rows => Err(malformed("moved rows stand in a log file")),
        }
    }

    fn stage(
        &mut self,
        header: &FrameHeader,
        file: u32,
        offset: usize,
        range: Range<usize>,
    ) -> Result<(), Stop> {
        if header.part == 0 {
            if header.stage != u64::from(file) << 32 | offset as u64 {
                return Err(malformed("the stage began at another place"));
            }
            self.stages.insert(header.stage, StageRows::default());
        }
        // A stage that began before the position was ended before the checkpoint, too.
        if let Some(stage) = self.stages.get_mut(&header.stage) {
            if stage.part_count != header.part {
                return Err(malformed(
                    "a part of the staged batch is missing or stands twice",
                ));
            }
            stage.part_count += 1;
            stage.parts.push((file, range));
        }
        Ok(())
    }

    fn commit(
        &mut self,
        header: &FrameHeader,
        sections: &Sections<'_>,
        parts: Vec<(u32, Range<usize>)>,
        rows: Rows<'_>,
    ) -> Result<(), Stop> {
        let sequence = header.sequence;
        let follows = if self.started {
            sequence == self.sequence.saturating_add(1)
        } else {
            (1..=self.sequence.saturating_add(1)).contains(&sequence)
        };
        if !follows {
            return Err(Stop::Sequence {
                expected: self.sequence.saturating_add(1),
                actual: sequence,
            });
        }
        self.started = true;
        self.sequence = sequence;
        if sequence <= self.from.sequence {
            return Ok(());
        }
        let mut actions = Vec::with_capacity(parts.len() + 1);
        for (file, range) in parts {
            let source = self
                .sources
                .get(&file)
                .map(|source| source.bytes.as_slice());
            let bytes = source
                .and_then(|bytes| bytes.get(range.clone()))
                .unwrap_or_default();
            actions.push(Rows {
                location: location(file, range.start),
                bytes,
            });
        }
        actions.push(rows);
        let batch = CommittedBatch {
            sequence,
            idempotency: sections.idempotency,
            stream_offsets: sections.stream_offsets,
            actions,
        };
        (self.visit)(&batch).map_err(Stop::Visitor)
    }
}

/// Why replay cannot go on behind a frame that is whole.
enum Stop {
    Frame(FrameFault),
    Row(u32, &'static str),
    Sequence {
        expected: Sequence,
        actual: Sequence,
    },
    Visitor(Error),
}

impl From<FrameFault> for Stop {
    fn from(fault: FrameFault) -> Self {
        Stop::Frame(fault)
    }
}

fn malformed(reason: &'static str) -> Stop {
    Stop::Frame(FrameFault::Malformed(reason))
}

impl Stop {
    fn at(self, path: &str, offset: usize) -> Error {
        match self {
            Stop::Frame(fault) => fault.at(path, offset),
            Stop::Row(place, reason) => FrameFault::Malformed(reason).at(path, size(place)),
            Stop::Sequence { expected, actual } => Error::corrupted(
                path,
                format_args!("offset {offset}: batch {actual} stands where {expected} belongs"),
            )
            .with("offset", offset)
            .with("expected", expected)
            .with("actual", actual),
            Stop::Visitor(error) => error,
        }
    }
}

/// Locations are 32 bits: `check_length` has refused files that pass them.
fn location(file: u32, offset: usize) -> Location {
    Location {
        file,
        offset: offset as u32,
    }
}

/// Refuses a file with bytes that no location can name.
fn check_length(path: &str, bytes: &[u8]) -> Result<()> {
    if u32::try_from(bytes.len()).is_ok() {
        return Ok(());
    }
    Err(Error::corrupted(
        path,
        "the file is longer than any log file",
    ))
}

/// Whether the byte at which reading failed was durable once: a frame behind it says so.
fn was_durable(bytes: &[u8], offset: usize) -> bool {
    let first = offset.next_multiple_of(ALIGNMENT);
    (first..bytes.len()).step_by(ALIGNMENT).any(|at| {
        let header = bytes.get(at..).map(FrameHeader::decode);
        let durable = header
            .and_then(Result::ok)
            .map_or(0, |header| size(header.durable_length));
        (offset + 1..=at).contains(&durable)
    })
}
