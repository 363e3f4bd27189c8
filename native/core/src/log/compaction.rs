//! Live rows of files that are mostly dead, copied verbatim into files of their own.
//!
//! This is no event of the log: the frames are never replayed, and the files mean something only
//! once a checkpoint names them.

use std::sync::Arc;

use super::bytes::size;
use super::encoder::FrameBuffer;
use super::files::{LogFile, LogFiles};
use super::frame::{FrameHeader, FrameKind};
use super::writer::FileNumbers;
use super::{FileKind, FileLength, Location, UNFINISHED_SUFFIX, file_path};
use crate::error::Result;
use crate::storage::{AppendFile, Storage};

/// Payload at which a frame of moved rows is written, in bytes.
const ROWS_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Copies rows into new files of rows.
///
/// A file has a temporary name until it is whole and durable, so that a file of rows that exists
/// can be trusted; what a crash or a dropped writer leaves is a leftover of the next recovery.
pub struct RowsWriter {
    storage: Arc<dyn Storage>,
    directory: String,
    source: LogFiles,
    numbers: FileNumbers,
    file_bytes_max: u32,
    current: Option<RowsFile>,
    finished: Vec<Arc<LogFile>>,
}

struct RowsFile {
    number: u32,
    append: Box<dyn AppendFile>,
    /// Bytes appended.
    length: usize,
    /// The frame to be appended next.
    frame: FrameBuffer,
}

impl RowsFile {
    fn write_frame(&mut self) -> Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let frame = std::mem::replace(&mut self.frame, FrameBuffer::new(0)).finish(&[]);
        let bytes = frame.with_header(FrameHeader {
            kind: FrameKind::Rows,
            sequence: 0,
            stage: 0,
            part: 0,
            payload_length: 0,
            durable_length: 0,
            payload_checksum: 0,
        });
        self.append.append(&bytes)?;
        self.length += bytes.len();
        Ok(())
    }
}

impl RowsWriter {
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        directory: &str,
        source: LogFiles,
        numbers: FileNumbers,
        file_bytes_max: u32,
    ) -> Self {
        let directory = directory.to_owned();
        let (current, finished) = (None, Vec::new());
        RowsWriter {
            storage,
            directory,
            source,
            numbers,
            file_bytes_max,
            current,
            finished,
        }
    }

    /// Copies the row at a location, and returns the location that it will have.
    ///
    /// # Errors
    /// `CORRUPTED` where the row is damaged, so that damage is never copied; what the disk said.
    /// After an error of the disk the writer is of no further use; the log itself is not touched.
    pub fn push(&mut self, location: Location) -> Result<Location> {
        let guard = self.source.row(location)?;
        let row = guard.view().encoded();
        if self.current.as_ref().is_some_and(|file| {
            file.length + file.frame.frame_length_with(row.len()) > size(self.file_bytes_max)
        }) {
            self.finish_file()?;
        }
        let file = match self.current.take() {
            Some(file) => file,
            None => self.create_file()?,
        };
        let file = self.current.insert(file);
        let full = file.frame.payload_length_with(row.len()) > ROWS_PAYLOAD_BYTES;
        if full {
            file.write_frame()?;
        }
        let start = file.length as u32;
        let offset = start + file.frame.push_encoded(row);
        Ok(Location {
            file: file.number,
            offset,
        })
    }

    /// Makes all files durable and returns them, for [`super::LogWriter::adopt`].
    ///
    /// # Errors
    /// What the disk said.
    pub fn finish(mut self) -> Result<Vec<Arc<LogFile>>> {
        self.finish_file()?;
        self.storage.sync_directory(&self.directory)?;
        Ok(self.finished)
    }

    fn create_file(&self) -> Result<RowsFile> {
        let number = self.numbers.next()?;
        let append = self.storage.create(&self.unfinished_path(number))?;
        Ok(RowsFile {
            number,
            append,
            length: 0,
            frame: FrameBuffer::new(0),
        })
    }

    fn unfinished_path(&self, number: u32) -> String {
        file_path(&self.directory, number, FileKind::Rows) + UNFINISHED_SUFFIX
    }

    fn finish_file(&mut self) -> Result<()> {
        let Some(mut file) = self.current.take() else {
            return Ok(());
        };
        file.write_frame()?;
        file.append.sync()?;
        let RowsFile {
            number,
            length,
            append,
            ..
        } = file;
        drop(append);
        let path = file_path(&self.directory, number, FileKind::Rows);
        self.storage.rename(&self.unfinished_path(number), &path)?;
        let sealed = FileLength {
            number,
            kind: FileKind::Rows,
            bytes: length as u32,
        };
        self.finished
            .push(LogFile::open(&*self.storage, &self.directory, &sealed)?);
        Ok(())
    }
}
