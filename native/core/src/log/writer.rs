//! Appending batches to the active log file, and sealing it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::bytes::size;
use super::encoder::{Batch, BatchEncoder, EncodedFrame};
use super::files::{LogFile, LogFiles};
use super::frame::{FrameHeader, FrameKind};
use super::reader::Recovery;
use super::spare_buffers::SpareBuffers;
use super::{FileKind, Location, Position, RowsWriter};
use crate::error::{Error, ErrorCode, Result};
use crate::record::Sequence;
use crate::storage::{AppendFile, Storage, create_durable_directory};

/// The numbers of files, which only grow; shared with the writers of rows.
#[derive(Clone, Debug)]
pub(super) struct FileNumbers(Arc<AtomicU32>);

impl FileNumbers {
    pub(super) fn starting_at(next: u32) -> Self {
        FileNumbers(Arc::new(AtomicU32::new(next)))
    }

    pub(super) fn next(&self) -> Result<u32> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                next.checked_add(1)
            })
            .map_err(|_| Error::internal("the numbers of log files are used up"))
    }
}

/// The file that frames are appended to.
pub(super) struct ActiveFile {
    pub file: Arc<LogFile>,
    pub append: Box<dyn AppendFile>,
    /// Bytes appended.
    pub length: u32,
    /// Bytes known to be durable.
    pub durable: u32,
}

/// A batch that is written in parts and committed or dropped as a whole.
///
/// Dropping the value does nothing: a stage that never ends is dropped by the next recovery, and
/// until then replay begins at its first frame.
#[derive(Debug, Default)]
#[must_use = "a stage is committed or dropped through the writer"]
pub struct Stage {
    /// File and offset of its first frame, which makes it unlike every other one.
    id: Option<u64>,
    part_count: u32,
}

/// A batch whose rows have their places and whose last frame is to be written; dropping it leaves
/// the log as if the batch had failed.
#[derive(Debug)]
#[must_use = "a batch that is not finished is not in the log"]
pub struct UnwrittenBatch {
    sequence: Sequence,
    stage: Stage,
    last: EncodedFrame,
}

/// Appends batches to the log of one collection.
///
/// A failed append or sync poisons the writer: every later call is `STORE_POISONED`, and the store
/// must be opened again. After a failed append part of a frame may stand in the file, and what came
/// behind it would be lost; after a failed sync nothing is known of any byte since the last good
/// one (the system may have dropped them and report the next sync as good), so neither going on nor
/// trying again could keep a promise. Recovery decides what is there by reading it.
pub struct LogWriter {
    storage: Arc<dyn Storage>,
    directory: String,
    file_bytes_max: u32,
    numbers: FileNumbers,
    files: LogFiles,
    /// Files that left the set and stand on the disk for the newest checkpoint.
    retired: Vec<Arc<LogFile>>,
    active: Option<ActiveFile>,
    /// Where the next frame goes, if it fits there.
    end: Position,
    open_stages: BTreeSet<u64>,
    spare_buffers: SpareBuffers,
    /// What the first failure said.
    poisoned: Option<String>,
}

impl LogWriter {
    /// Continues where recovery ended. Files are sealed once they would pass `file_bytes_max`
    /// (usually [`super::LOG_FILE_BYTES`]).
    pub fn new(
        storage: Arc<dyn Storage>,
        directory: &str,
        recovery: Recovery,
        file_bytes_max: u32,
    ) -> Self {
        LogWriter {
            storage,
            directory: directory.to_owned(),
            file_bytes_max: file_bytes_max.min(u32::MAX / 2),
            numbers: FileNumbers::starting_at(recovery.next_file),
            files: recovery.files,
            retired: Vec::new(),
            active: recovery.active,
            end: recovery.position,
            open_stages: BTreeSet::new(),
            spare_buffers: SpareBuffers::new(size(file_bytes_max)),
            poisoned: None,
        }
    }

    /// Keeps at most so many bytes of buffers for reuse; usually all of a file's.
    pub fn with_spare_bytes_max(mut self, bytes: usize) -> Self {
        self.spare_buffers = SpareBuffers::new(bytes);
        self
    }

    /// An encoder with room for rows of so many bytes.
    pub fn encoder(&mut self, rows_bytes: usize) -> BatchEncoder {
        let bytes = BatchEncoder::buffer_bytes(rows_bytes);
        BatchEncoder::in_buffer(self.spare_buffers.take(bytes))
    }

    /// Does for the next batch what can be done while there is none.
    pub fn prepare(&mut self) {
        self.spare_buffers.prepare();
    }

    /// Appends rows that [`LogWriter::commit_stage`] will make part of one batch. A new stage is
    /// `Stage::default()`.
    ///
    /// # Errors
    /// As [`LogWriter::begin`]; `INTERNAL` if the batch has sections other than rows.
    pub fn append_stage(&mut self, stage: &mut Stage, batch: Batch) -> Result<Vec<Location>> {
        if batch.has_sections {
            return Err(Error::internal(
                "only the end of a stage has sections other than rows",
            ));
        }
        self.guarded(|writer| {
            let mut locations = Vec::with_capacity(batch.row_count());
            for frame in batch.stages.into_iter().chain([batch.last]) {
                writer.write_part(stage, frame, &mut locations)?;
            }
            Ok(locations)
        })
    }

    /// Appends the last rows of a staged batch and commits all of it; returns the locations of
    /// these last rows.
    ///
    /// # Errors
    /// As [`LogWriter::begin`].
    pub fn commit_stage(
        &mut self,
        stage: Stage,
        sequence: Sequence,
        batch: Batch,
    ) -> Result<Vec<Location>> {
        let (locations, unwritten) = self.begin(stage, sequence, batch)?;
        self.finish(unwritten)?;
        Ok(locations)
    }

    /// Gives the rows of a batch their places, returned in order, and writes all frames but the one
    /// that commits it and its stage: that is for [`LogWriter::finish`], which is the next call.
    /// Then the rows can be read from [`LogWriter::files`], and after a [`LogWriter::sync`] they are
    /// durable.
    ///
    /// # Errors
    /// What the disk said, and from then on `STORE_POISONED`. `INTERNAL`, without a trace on the
    /// disk, if the sequence is not the one after the last.
    pub fn begin(
        &mut self,
        mut stage: Stage,
        sequence: Sequence,
        batch: Batch,
    ) -> Result<(Vec<Location>, UnwrittenBatch)> {
        self.refuse_if_poisoned()?;
        let expected = self.end.sequence.saturating_add(1);
        if sequence != expected {
            return Err(Error::internal(format!(
                "the next batch has sequence {expected}, not {sequence}"
            )));
        }
        self.guarded(|writer| {
            let mut locations = Vec::with_capacity(batch.row_count());
            for frame in batch.stages {
                writer.write_part(&mut stage, frame, &mut locations)?;
            }
            writer.locate(&batch.last, &mut locations)?;
            let unwritten = UnwrittenBatch {
                sequence,
                stage,
                last: batch.last,
            };
            Ok((locations, unwritten))
        })
    }

    /// Writes the frame that commits a batch, in the place that [`LogWriter::begin`] gave it.
    ///
    /// # Errors
    /// As [`LogWriter::begin`].
    pub fn finish(&mut self, batch: UnwrittenBatch) -> Result<()> {
        let UnwrittenBatch {
            sequence,
            stage,
            last,
        } = batch;
        self.guarded(|writer| {
            let kind = if stage.id.is_some() {
                FrameKind::StageCommit
            } else {
                FrameKind::Commit
            };
            writer.write(kind, sequence, &stage, last)?;
            writer.close_stage(&stage);
            writer.end.sequence = sequence;
            Ok(())
        })
    }

    /// Gives a stage up: its rows are never seen.
    ///
    /// # Errors
    /// As [`LogWriter::begin`].
    #[expect(clippy::needless_pass_by_value, reason = "a stage ends here")]
    pub fn drop_stage(&mut self, stage: Stage) -> Result<()> {
        if stage.id.is_none() {
            return Ok(());
        }
        self.guarded(|writer| {
            let nothing = EncodedFrame::empty();
            writer.write(FrameKind::StageDrop, 0, &stage, nothing)?;
            writer.close_stage(&stage);
            Ok(())
        })
    }

    /// Returns when all that was appended is durable.
    ///
    /// # Errors
    /// As [`LogWriter::begin`].
    pub fn sync(&mut self) -> Result<()> {
        self.guarded(|writer| writer.active.as_mut().map_or(Ok(()), sync_active))
    }

    /// The position after the last batch: what a checkpoint of the state after it must name.
    pub fn position(&self) -> Position {
        let Some(first) = self.open_stages.first() else {
            return self.end;
        };
        Position {
            file: (first >> 32) as u32,
            offset: *first as u32,
            sequence: self.end.sequence,
        }
    }

    /// Sequence of the last batch.
    pub fn sequence(&self) -> Sequence {
        self.end.sequence
    }

    /// The files as they are now; every location that was returned so far can be read from them.
    pub fn files(&self) -> &LogFiles {
        &self.files
    }

    /// A writer of rows that compaction moves, which may run beside this one.
    pub fn rows_writer(&self) -> RowsWriter {
        RowsWriter::new(
            Arc::clone(&self.storage),
            &self.directory,
            self.files.clone(),
            self.numbers.clone(),
            self.file_bytes_max,
        )
    }

    /// Takes finished files of moved rows into the set.
    pub fn adopt(&mut self, files: Vec<Arc<LogFile>>) {
        self.files = self.files.with(files);
    }

    /// Takes files out of the set, so that no later checkpoint names them; they stay on the disk
    /// for the one before, until [`LogWriter::remove_retired`]. Snapshots that still hold them can
    /// read them on.
    ///
    /// # Errors
    /// `INTERNAL`, with nothing changed, for the active file.
    pub fn retire(&mut self, numbers: &[u32]) -> Result<()> {
        let active = self.active.as_ref().map(|active| active.file.number());
        if active.is_some_and(|active| numbers.contains(&active)) {
            return Err(Error::internal("the active log file cannot be removed"));
        }
        let retired = numbers.iter().filter_map(|number| self.files.get(*number));
        self.retired.extend(retired.cloned());
        self.files = self.files.without(numbers);
        Ok(())
    }

    /// Removes the retired files from the disk.
    ///
    /// A checkpoint that needs none of them must be durable first: neither in its manifest, nor at
    /// or after its position. A file that could not be removed is a leftover of the next recovery.
    ///
    /// # Errors
    /// What the disk said; the writer is not poisoned by it.
    pub fn remove_retired(&mut self) -> Result<()> {
        for file in std::mem::take(&mut self.retired) {
            self.storage.remove(file.path())?;
        }
        self.storage.sync_directory(&self.directory)
    }

    fn refuse_if_poisoned(&self) -> Result<()> {
        let Some(cause) = &self.poisoned else {
            return Ok(());
        };
        let message =
            format!("an earlier write to the log failed ({cause}); open the store again to write");
        Err(Error::new(ErrorCode::StorePoisoned, message).with("path", self.directory.as_str()))
    }

    /// Does what touches the log, unless an earlier failure forbids it.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.refuse_if_poisoned()?;
        let result = work(self);
        if let Err(error) = &result {
            self.poisoned = Some(error.message.clone());
        }
        result
    }

    /// Appends a part of a stage; its first part gives the stage its name.
    fn write_part(
        &mut self,
        stage: &mut Stage,
        frame: EncodedFrame,
        locations: &mut Vec<Location>,
    ) -> Result<()> {
        if stage.id.is_none() {
            let (number, offset) = self.place(frame.length())?;
            let id = u64::from(number) << 32 | u64::from(offset);
            stage.id = Some(id);
            self.open_stages.insert(id);
        }
        self.locate(&frame, locations)?;
        self.write(FrameKind::Stage, 0, stage, frame)?;
        stage.part_count += 1;
        Ok(())
    }

    fn close_stage(&mut self, stage: &Stage) {
        if let Some(id) = stage.id {
            self.open_stages.remove(&id);
        }
    }

    /// Adds where the rows of the next frame will stand.
    fn locate(&mut self, next: &EncodedFrame, locations: &mut Vec<Location>) -> Result<()> {
        let (file, offset) = self.place(next.length())?;
        locations.extend(next.row_offsets.iter().map(|row| Location {
            file,
            offset: offset + row,
        }));
        Ok(())
    }

    /// Appends one frame by one call to the storage.
    fn write(
        &mut self,
        kind: FrameKind,
        sequence: Sequence,
        stage: &Stage,
        frame: EncodedFrame,
    ) -> Result<()> {
        let (file, offset) = self.place(frame.length())?;
        let active = self.active_file()?;
        let bytes = frame.with_header(FrameHeader {
            kind,
            sequence,
            stage: stage.id.unwrap_or(0),
            part: if kind == FrameKind::StageDrop {
                0
            } else {
                stage.part_count
            },
            durable_length: active.durable,
            payload_length: 0,
            payload_checksum: 0,
        });
        active.append.append(&bytes)?;
        // A frame is at most 8 MiB and begins below 2 GiB.
        active.length += bytes.len() as u32;
        let end = active.length;
        active.file.push_block(offset, bytes);
        self.end = Position {
            file,
            offset: end,
            sequence: self.end.sequence,
        };
        Ok(())
    }

    fn active_file(&mut self) -> Result<&mut ActiveFile> {
        self.active
            .as_mut()
            .ok_or_else(|| Error::internal("there is no active log file"))
    }

    /// Makes room for a frame, in a new file where the active one is full; returns where it goes.
    fn place(&mut self, length: usize) -> Result<(u32, u32)> {
        let fits = self.active.as_ref().is_some_and(|active| {
            active.length == 0 || size(active.length) + length <= size(self.file_bytes_max)
        });
        if !fits {
            self.seal_active()?;
            self.create_active()?;
        }
        let active = self.active_file()?;
        Ok((active.file.number(), active.length))
    }

    /// Syncs and maps the active file. A sealed file is durable whatever the store's durability
    /// is: recovery relies on it.
    fn seal_active(&mut self) -> Result<()> {
        let Some(mut active) = self.active.take() else {
            return Ok(());
        };
        sync_active(&mut active)?;
        let buffers = active.file.seal_mapped(&*self.storage, active.length)?;
        self.spare_buffers.keep(buffers);
        Ok(())
    }

    /// Makes the next file. Its name is durable before anything is appended to it.
    fn create_active(&mut self) -> Result<()> {
        if self.files.iter().next().is_none() {
            create_durable_directory(&*self.storage, &self.directory)?;
        }
        let number = self.numbers.next()?;
        let file = Arc::new(LogFile::active(&self.directory, number, FileKind::Log));
        let append = self.storage.create(file.path())?;
        self.storage.sync_directory(&self.directory)?;
        self.files = self.files.with([Arc::clone(&file)]);
        self.active = Some(ActiveFile {
            file,
            append,
            length: 0,
            durable: 0,
        });
        Ok(())
    }
}

fn sync_active(active: &mut ActiveFile) -> Result<()> {
    if active.durable < active.length {
        active.append.sync()?;
        active.durable = active.length;
    }
    Ok(())
}
