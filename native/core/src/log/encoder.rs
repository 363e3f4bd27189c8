//! A batch as frames in memory, ready to be appended.

use super::bytes::{ALIGNMENT, pad, padded};
use super::frame::{FRAME_HEADER_BYTES, FrameHeader, SECTION_HEADER_BYTES, SectionTag};
use super::row::{RowKind, RowParts};
use crate::error::{Error, ErrorCode, Result};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;

/// A frame that lacks only its header.
#[derive(Debug)]
pub(super) struct EncodedFrame {
    bytes: Vec<u8>,
    /// Where each row begins, in bytes from the start of the frame.
    pub row_offsets: Vec<u32>,
    payload_checksum: u32,
}

impl EncodedFrame {
    /// A frame without payload.
    pub(super) fn empty() -> Self {
        FrameBuffer::new(0).finish(&[])
    }

    /// Length of the whole frame, in bytes.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The frame's bytes under a header whose length and checksum of the payload are filled in.
    pub(super) fn with_header(mut self, mut header: FrameHeader) -> Vec<u8> {
        header.payload_length = (self.bytes.len() - FRAME_HEADER_BYTES) as u32;
        header.payload_checksum = self.payload_checksum;
        if let Some(place) = self.bytes.first_chunk_mut() {
            *place = header.encode();
        }
        self.bytes
    }
}

/// A frame that is being filled: room for the header, then rows, then other sections.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    bytes: Vec<u8>,
    row_offsets: Vec<u32>,
    /// Checksum of the rows, taken while they are in the processor's cache.
    rows_checksum: crc32fast::Hasher,
}

/// Where the first row of a frame stands.
pub(super) const ROWS_START: usize = FRAME_HEADER_BYTES + SECTION_HEADER_BYTES;

impl FrameBuffer {
    pub(super) fn new(capacity: usize) -> Self {
        FrameBuffer::in_buffer(Vec::with_capacity(ROWS_START + capacity))
    }

    fn in_buffer(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.resize(ROWS_START, 0);
        FrameBuffer {
            bytes,
            row_offsets: Vec::new(),
            rows_checksum: crc32fast::Hasher::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row_offsets.is_empty()
    }

    /// Length of the payload so far, in bytes.
    pub(super) fn payload_length(&self) -> usize {
        if self.is_empty() {
            0
        } else {
            self.bytes.len() - FRAME_HEADER_BYTES
        }
    }

    /// Length that the payload would have with a row of so many bytes more.
    pub(super) fn payload_length_with(&self, row_length: usize) -> usize {
        self.bytes.len() - FRAME_HEADER_BYTES + row_length
    }

    /// Length that the whole frame would have with a row of so many bytes more.
    pub(super) fn frame_length_with(&self, row_length: usize) -> usize {
        self.bytes.len() + row_length
    }

    fn push_parts(&mut self, parts: &RowParts<'_>) -> Result<()> {
        let start = self.bytes.len();
        parts.encode(&mut self.bytes)?;
        self.note_row(start);
        Ok(())
    }

    /// Adds a row as it stands in another file; returns its offset in the frame.
    pub(super) fn push_encoded(&mut self, row: &[u8]) -> u32 {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(row);
        self.note_row(start);
        start as u32
    }

    fn note_row(&mut self, start: usize) {
        self.rows_checksum
            .update(self.bytes.get(start..).unwrap_or_default());
        self.row_offsets.push(start as u32);
    }

    /// Adds the sections after the rows.
    pub(super) fn finish(mut self, sections: &[(SectionTag, &[u8])]) -> EncodedFrame {
        let mut checksum = crc32fast::Hasher::new();
        if self.is_empty() {
            self.bytes.truncate(FRAME_HEADER_BYTES);
        } else {
            let header = section_header(SectionTag::Actions, self.bytes.len() - ROWS_START);
            if let Some(place) = self.bytes.get_mut(FRAME_HEADER_BYTES..ROWS_START) {
                place.copy_from_slice(&header);
            }
            checksum.update(&header);
            checksum.combine(&self.rows_checksum);
        }
        let start = self.bytes.len();
        for (tag, content) in sections {
            self.bytes
                .extend_from_slice(&section_header(*tag, content.len()));
            self.bytes.extend_from_slice(content);
            pad(&mut self.bytes);
        }
        checksum.update(self.bytes.get(start..).unwrap_or_default());
        // The active file keeps these bytes: a buffer that grew by doubling gives the rest back.
        if self.bytes.capacity() > self.bytes.len() + self.bytes.len() / 8 {
            self.bytes.shrink_to_fit();
        }
        EncodedFrame {
            bytes: self.bytes,
            row_offsets: self.row_offsets,
            payload_checksum: checksum.finalize(),
        }
    }
}

fn section_header(tag: SectionTag, length: usize) -> [u8; SECTION_HEADER_BYTES] {
    let mut header = [0; SECTION_HEADER_BYTES];
    header[0] = tag as u8;
    header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
    header
}

/// A batch ready for [`super::LogWriter::begin`].
#[derive(Debug)]
pub struct Batch {
    /// Frames to be staged first, if the batch is too large for one.
    pub(super) stages: Vec<EncodedFrame>,
    /// The frame that commits: with the last rows if they fit, and the other sections.
    pub(super) last: EncodedFrame,
    pub(super) has_sections: bool,
}

impl Batch {
    /// Count of rows.
    pub fn row_count(&self) -> usize {
        self.stages
            .iter()
            .chain([&self.last])
            .map(|frame| frame.row_offsets.len())
            .sum()
    }

    /// Length of all frames, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        self.stages
            .iter()
            .chain([&self.last])
            .map(EncodedFrame::length)
            .sum()
    }
}

/// Takes the rows of a batch one by one and copies each of them once.
///
/// A batch whose payload passes the limit of a frame is split by itself.
#[derive(Debug)]
pub struct BatchEncoder {
    stages: Vec<EncodedFrame>,
    current: FrameBuffer,
    idempotency: Option<Vec<u8>>,
    stream_offsets: Option<Vec<u8>>,
    payload_bytes_max: usize,
}

impl Default for BatchEncoder {
    fn default() -> Self {
        BatchEncoder::new()
    }
}

impl BatchEncoder {
    /// An empty batch.
    pub fn new() -> Self {
        BatchEncoder::with_capacity(0)
    }

    /// An empty batch with room for rows of so many bytes, so that the buffer need not grow.
    pub fn with_capacity(bytes: usize) -> Self {
        BatchEncoder::in_buffer(Vec::with_capacity(BatchEncoder::buffer_bytes(bytes)))
    }

    /// Bytes of the buffer that holds rows of so many bytes, or as many as a frame takes.
    pub(super) fn buffer_bytes(rows_bytes: usize) -> usize {
        ROWS_START + rows_bytes.min(FRAME_PAYLOAD_BYTES_MAX)
    }

    /// An empty batch that begins in a buffer; what is in it is overwritten.
    pub(super) fn in_buffer(buffer: Vec<u8>) -> Self {
        BatchEncoder {
            stages: Vec::new(),
            current: FrameBuffer::in_buffer(buffer),
            idempotency: None,
            stream_offsets: None,
            payload_bytes_max: FRAME_PAYLOAD_BYTES_MAX,
        }
    }

    /// Splits at so many bytes of payload instead of [`FRAME_PAYLOAD_BYTES_MAX`], which stays the
    /// limit; a single row that is larger has a frame of its own.
    #[must_use]
    pub fn with_payload_bytes_max(mut self, bytes: usize) -> Self {
        self.payload_bytes_max = bytes.min(FRAME_PAYLOAD_BYTES_MAX);
        self
    }

    /// Creates or replaces a record: its vector, its metadata as JSON, its text.
    ///
    /// # Errors
    /// As all three row methods: `INVALID_ID` for an id of 0 or more than 512 bytes,
    /// `BATCH_TOO_LARGE` for a row that no frame can hold, `INTERNAL` for an empty vector. The
    /// batch is then as it was before.
    pub fn store(
        &mut self,
        id: &str,
        vector: &[f32],
        metadata: &[u8],
        text: Option<&str>,
    ) -> Result<()> {
        self.push(&RowParts {
            kind: RowKind::Store,
            id,
            vector,
            metadata,
            text,
        })
    }

    /// Replaces a record's metadata and leaves its vector and text where they are.
    pub fn attributes(&mut self, id: &str, metadata: &[u8]) -> Result<()> {
        self.push(&RowParts {
            kind: RowKind::Attributes,
            id,
            vector: &[],
            metadata,
            text: None,
        })
    }

    /// Removes a record.
    pub fn delete(&mut self, id: &str) -> Result<()> {
        self.push(&RowParts {
            kind: RowKind::Delete,
            id,
            vector: &[],
            metadata: &[],
            text: None,
        })
    }

    /// Sets what the idempotency window is to remember of this batch; opaque here.
    pub fn idempotency(&mut self, bytes: Vec<u8>) {
        self.idempotency = Some(bytes);
    }

    /// Sets how far streams have come with this batch; opaque here.
    pub fn stream_offsets(&mut self, bytes: Vec<u8>) {
        self.stream_offsets = Some(bytes);
    }

    fn push(&mut self, parts: &RowParts<'_>) -> Result<()> {
        let length = self.current.payload_length_with(parts.encoded_length());
        if length > self.payload_bytes_max && !self.current.is_empty() {
            self.stage_current(self.payload_bytes_max);
        }
        self.current.push_parts(parts)
    }

    fn stage_current(&mut self, capacity: usize) {
        let full = std::mem::replace(&mut self.current, FrameBuffer::new(capacity));
        self.stages.push(full.finish(&[]));
    }

    /// The batch, ready to be appended.
    ///
    /// # Errors
    /// `BATCH_TOO_LARGE` if the sections other than the rows pass the limit of a frame.
    pub fn finish(mut self) -> Result<Batch> {
        let (idempotency, stream_offsets) = (self.idempotency.take(), self.stream_offsets.take());
        let sections: Vec<(SectionTag, &[u8])> = [
            (SectionTag::Idempotency, idempotency.as_deref()),
            (SectionTag::StreamOffsets, stream_offsets.as_deref()),
        ]
        .into_iter()
        .filter_map(|(tag, content)| content.map(|content| (tag, content)))
        .collect();
        let length: usize = sections
            .iter()
            .map(|(_, content)| SECTION_HEADER_BYTES + padded(content.len()))
            .sum();
        if length > FRAME_PAYLOAD_BYTES_MAX - ALIGNMENT {
            return Err(Error::limit(
                ErrorCode::BatchTooLarge,
                "the reply kept for the idempotency key",
                FRAME_PAYLOAD_BYTES_MAX,
                length,
                "bytes",
            ));
        }
        if !self.current.is_empty()
            && self.current.payload_length() + length > self.payload_bytes_max
            && length > 0
        {
            self.stage_current(0);
        }
        let last = self.current.finish(&sections);
        Ok(Batch {
            stages: self.stages,
            last,
            has_sections: !sections.is_empty(),
        })
    }
}
