//! Header and sections around the rows of a batch. A frame stands alone: nothing but its own
//! bytes is needed to read it.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | `V`, `L`, 0x80 + format version, 0xFF |
//! | 4 | 1 | kind |
//! | 5 | 3 | zero |
//! | 8 | 8 | sequence of the batch (commit, stage commit), else 0 |
//! | 16 | 8 | stage (stage, stage commit, stage drop), else 0 |
//! | 24 | 4 | place in the stage from 0 (stage); count of its parts (stage commit); else 0 |
//! | 28 | 4 | length of the payload; a multiple of 8 |
//! | 32 | 4 | bytes of this file that were durable when the frame was written |
//! | 36 | 4 | CRC-32 of the payload |
//! | 40 | 4 | zero |
//! | 44 | 4 | CRC-32 of the 44 bytes before |
//!
//! The first four bytes, read as a float32, are no number, and 0xFF never stands in UTF-8: since
//! frames and vectors are aligned and vectors are finite, nothing that a caller stores in a vector,
//! id, metadata or text can look like the beginning of a frame.
//!
//! The payload is sections: tag (1 byte), zeros (3), length (4), the section's bytes, and zeros up
//! to a multiple of 8.

use super::Location;
use super::bytes::{is_zero, padded, size, u32_at, u64_at};
use super::row::RowView;
use crate::error::{Error, ErrorCode};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::record::Sequence;

/// Version of the format that is written, and the only one that is read.
const FORMAT_VERSION: u8 = 1;
const VERSION_MARK: u8 = 0x80;

/// Length of a frame's header, in bytes.
pub(super) const FRAME_HEADER_BYTES: usize = 48;
/// Length of a section's tag and length, in bytes.
pub(super) const SECTION_HEADER_BYTES: usize = 8;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A whole batch.
    Commit = 1,
    /// Rows of a batch that is not committed yet.
    Stage = 2,
    /// The end of a staged batch: now all of it is committed.
    StageCommit = 3,
    /// The end of a staged batch that shall not be committed.
    StageDrop = 4,
    /// Rows that compaction moved.
    Rows = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        use FrameKind::{Commit, Rows, Stage, StageCommit, StageDrop};
        [Commit, Stage, StageCommit, StageDrop, Rows]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionTag {
    /// Rows, one after another.
    Actions = 1,
    /// The batch's idempotency key, fingerprint and reply.
    Idempotency = 2,
    /// How far streams have come.
    StreamOffsets = 3,
}

/// Why bytes are no frame that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrameFault {
    /// They are not what was written: torn by a crash, or damaged later.
    Damaged(&'static str),
    /// They are whole, but of a later version of the format.
    Unknown(String),
    /// They are whole, but say what no version writes.
    Malformed(&'static str),
}

impl FrameFault {
    /// The fault as the error of the file in which it was found.
    pub(super) fn at(self, path: &str, offset: usize) -> Error {
        let error = match self {
            FrameFault::Damaged(reason) | FrameFault::Malformed(reason) => {
                Error::corrupted(path, format_args!("offset {offset}: {reason}"))
            }
            FrameFault::Unknown(what) => Error::new(
                ErrorCode::Unsupported,
                format!("{path}: offset {offset}: {what}; a newer version of Volley wrote it"),
            )
            .with("path", path),
        };
        error.with("offset", offset)
    }
}

/// The fixed part of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub kind: FrameKind,
    pub sequence: Sequence,
    pub stage: u64,
    pub part: u32,
    pub payload_length: u32,
    pub durable_length: u32,
    pub payload_checksum: u32,
}

impl FrameHeader {
    pub(super) fn encode(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&[b'V', b'L', VERSION_MARK | FORMAT_VERSION, 0xFF]);
        bytes[4] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stage.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.part.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.payload_length.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.durable_length.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..44]);
        bytes[44..48].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads the header at the start of bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FrameFault> {
        let Some(bytes) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Err(FrameFault::Damaged("the frame is cut short"));
        };
        match bytes[..4] {
            [b'V', b'L', version, 0xFF] if version & VERSION_MARK != 0 => {
                let version = version & !VERSION_MARK;
                if version != FORMAT_VERSION {
                    return Err(FrameFault::Unknown(format!("format version {version}")));
                }
            }
            _ => return Err(FrameFault::Damaged("no frame begins here")),
        }
        let word = |at| u32_at(bytes, at).unwrap_or_default();
        let long = |at| u64_at(bytes, at).unwrap_or_default();
        if word(44) != crc32fast::hash(&bytes[..44]) {
            return Err(FrameFault::Damaged(
                "the frame's header does not match its checksum",
            ));
        }
        let header = FrameHeader {
            kind: FrameKind::from_byte(bytes[4])
                .ok_or_else(|| FrameFault::Unknown(format!("frame kind {}", bytes[4])))?,
            sequence: long(8),
            stage: long(16),
            part: word(24),
            payload_length: word(28),
            durable_length: word(32),
            payload_checksum: word(36),
        };
        if !is_zero(&bytes[5..8]) || !is_zero(&bytes[40..44]) {
            return Err(FrameFault::Malformed(
                "reserved bytes of the frame's header are not zero",
            ));
        }
        let length = size(header.payload_length);
        if length > FRAME_PAYLOAD_BYTES_MAX || padded(length) != length {
            return Err(FrameFault::Malformed("the frame's length is out of range"));
        }
        Ok(header)
    }
}

/// A frame in the bytes of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub header: FrameHeader,
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads the frame at the start of bytes and checks both checksums.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, FrameFault> {
        let header = FrameHeader::decode(bytes)?;
        let end = FRAME_HEADER_BYTES + size(header.payload_length);
        let payload = bytes
            .get(FRAME_HEADER_BYTES..end)
            .ok_or(FrameFault::Damaged("the frame's payload is cut short"))?;
        if crc32fast::hash(payload) != header.payload_checksum {
            return Err(FrameFault::Damaged(
                "the frame's payload does not match its checksum",
            ));
        }
        Ok(Frame { header, payload })
    }

    /// Length of the whole frame, in bytes.
    pub(super) fn length(&self) -> usize {
        FRAME_HEADER_BYTES + self.payload.len()
    }
}

/// The sections of a payload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sections<'a> {
    /// Rows, one after another.
    pub actions: &'a [u8],
    /// Where the rows begin in the payload.
    pub actions_start: usize,
    pub idempotency: Option<&'a [u8]>,
    pub stream_offsets: Option<&'a [u8]>,
}

impl<'a> Sections<'a> {
    /// Takes a payload apart.
    pub(super) fn decode(payload: &'a [u8]) -> Result<Self, FrameFault> {
        let mut sections = Sections::default();
        let mut seen = 0_u8;
        let mut at = 0;
        while at < payload.len() {
            let header = payload.get(at..at + SECTION_HEADER_BYTES);
            let [tag, 0, 0, 0, length @ ..] = header.unwrap_or_default() else {
                return Err(FrameFault::Malformed(
                    "a section's header is cut short or not zero",
                ));
            };
            let length = u32_at(length, 0).map_or(usize::MAX, size);
            let start = at + SECTION_HEADER_BYTES;
            let rest = payload.get(start..).unwrap_or_default();
            let (Some(content), Some(padding)) = (
                rest.get(..length),
                rest.get(length..)
                    .and_then(|_| rest.get(length..padded(length))),
            ) else {
                return Err(FrameFault::Malformed("a section is longer than its frame"));
            };
            if !is_zero(padding) {
                return Err(FrameFault::Malformed("a section's padding is not zero"));
            }
            let place = match tag {
                1 => {
                    sections.actions_start = start;
                    &mut sections.actions
                }
                2 => sections.idempotency.insert(content),
                3 => sections.stream_offsets.insert(content),
                _ => return Err(FrameFault::Unknown(format!("section tag {tag}"))),
            };
            *place = content;
            if seen & (1 << tag) != 0 {
                return Err(FrameFault::Malformed("a section stands twice in its frame"));
            }
            seen |= 1 << tag;
            at = start + padded(length);
        }
        Ok(sections)
    }
}

/// The rows of an actions section, with their locations.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    /// Location of the first row of `bytes`.
    pub location: Location,
    pub bytes: &'a [u8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<(Location, RowView<'a>), (Location, &'static str)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let location = self.location;
        let row = match RowView::decode(self.bytes) {
            Ok(row) => row,
            Err(reason) => {
                self.bytes = &[];
                return Some(Err((location, reason)));
            }
        };
        let length = row.encoded_bytes();
        self.bytes = self.bytes.get(length..).unwrap_or_default();
        self.location.offset = location.offset.saturating_add(length as u32);
        Some(Ok((location, row)))
    }
}
