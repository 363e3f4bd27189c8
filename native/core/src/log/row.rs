//! One action of a batch, as it stands in a file: the record to store, its new metadata, or its
//! deletion. Each row has its own length and checksum, so that it can be read by location alone.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | CRC-32 of everything after this field, padding too |
//! | 4 | 4 | length of the row, padding too; a multiple of 8 |
//! | 8 | 1 | kind |
//! | 9 | 1 | flags: 1 = has a text |
//! | 10 | 2 | length of the id |
//! | 12 | 4 | length of the metadata |
//! | 16 | 4 | length of the text |
//! | 20 | 4 | dimension |
//! | 24 | 4 x dimension | vector, float32 |
//! | | | id, metadata, text, zeros up to a multiple of 8 |

use std::borrow::Cow;

use super::bytes::{is_zero, pad, padded, size, u16_at, u32_at};
use crate::error::{Error, ErrorCode, Result};
use crate::limits;

/// Length of the fixed part, in bytes.
pub(super) const ROW_HEADER_BYTES: usize = 24;
/// Shortest row: the fixed part and an id of one byte, padded.
pub(super) const ROW_BYTES_MIN: usize = 32;

const FLAG_TEXT: u8 = 1;

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Creates or replaces the record, all of it.
    Store = 1,
    /// Replaces the record's metadata; vector and text stay where they are.
    Attributes = 2,
    /// Removes the record.
    Delete = 3,
}

impl RowKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [RowKind::Store, RowKind::Attributes, RowKind::Delete]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The parts of a row to be written, borrowed from wherever they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowParts<'a> {
    pub kind: RowKind,
    pub id: &'a str,
    pub vector: &'a [f32],
    pub metadata: &'a [u8],
    pub text: Option<&'a str>,
}

impl RowParts<'_> {
    /// Length of the row once it is encoded, in bytes.
    pub(super) fn encoded_length(&self) -> usize {
        let text = self.text.map_or(0, str::len);
        padded(
            ROW_HEADER_BYTES
                + size_of_val(self.vector)
                + self.id.len()
                + self.metadata.len()
                + text,
        )
    }

    /// Adds the row to bytes whose length is a multiple of 8.
    ///
    /// # Errors
    /// `INVALID_ID` where the id is empty or too long, `INTERNAL` where a stored vector is empty
    /// and `BATCH_TOO_LARGE` where the row would not fit a frame. Planning refuses all of them
    /// much earlier.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) -> Result<()> {
        let length = self.encoded_length();
        let limit = limits::FRAME_PAYLOAD_BYTES_MAX - ROW_BYTES_MIN;
        if length > limit {
            return Err(Error::limit(
                ErrorCode::BatchTooLarge,
                "record",
                limit,
                length,
                "bytes",
            ));
        }
        if self.id.is_empty() || self.id.len() > limits::ID_BYTES_MAX {
            let actual = self.id.len();
            return Err(Error::limit(
                ErrorCode::InvalidId,
                "id",
                limits::ID_BYTES_MAX,
                actual,
                "bytes",
            ));
        }
        if self.vector.is_empty() == (self.kind == RowKind::Store) {
            return Err(Error::internal(
                "a vector is stored by store rows, and by them alone",
            ));
        }
        let start = bytes.len();
        bytes.reserve(length);
        bytes.extend_from_slice(&self.header(length));
        extend_vector(bytes, self.vector);
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.extend_from_slice(self.metadata);
        bytes.extend_from_slice(self.text.unwrap_or_default().as_bytes());
        pad(bytes);
        if let Some((checksum, rest)) = bytes
            .get_mut(start..)
            .and_then(|row| row.split_at_mut_checked(4))
        {
            checksum.copy_from_slice(&crc32fast::hash(rest).to_le_bytes());
        }
        Ok(())
    }

    /// The fixed part without its checksum; `encode` has checked that every length fits.
    fn header(&self, length: usize) -> [u8; ROW_HEADER_BYTES] {
        let mut header = [0; ROW_HEADER_BYTES];
        let flags = if self.text.is_some() { FLAG_TEXT } else { 0 };
        let text = self.text.map_or(0, str::len);
        header[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        header[8] = self.kind as u8;
        header[9] = flags;
        header[10..12].copy_from_slice(&(self.id.len() as u16).to_le_bytes());
        header[12..16].copy_from_slice(&(self.metadata.len() as u32).to_le_bytes());
        header[16..20].copy_from_slice(&(text as u32).to_le_bytes());
        header[20..24].copy_from_slice(&(self.vector.len() as u32).to_le_bytes());
        header
    }
}

/// Adds numbers as little-endian float32: one copy where memory has that form already.
fn extend_vector(bytes: &mut Vec<u8>, vector: &[f32]) {
    if cfg!(target_endian = "little") {
        bytes.extend_from_slice(bytemuck::cast_slice(vector));
    } else {
        bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
    }
}

/// Kind and lengths of a row, which are proven to fit its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowHeader {
    kind: RowKind,
    has_text: bool,
    id_length: usize,
    metadata_length: usize,
    text_length: usize,
    dimension: usize,
    /// Length of the whole row, padding too.
    pub(super) length: usize,
}

impl RowHeader {
    /// Reads the fixed part and checks it against itself and the bytes that are there.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "the row is cut short";
        let kind = *bytes.get(8).ok_or(SHORT)?;
        let flags = *bytes.get(9).ok_or(SHORT)?;
        let header = RowHeader {
            kind: RowKind::from_byte(kind).ok_or("the row's kind is unknown")?,
            has_text: flags & FLAG_TEXT != 0,
            id_length: usize::from(u16_at(bytes, 10).ok_or(SHORT)?),
            metadata_length: size(u32_at(bytes, 12).ok_or(SHORT)?),
            text_length: size(u32_at(bytes, 16).ok_or(SHORT)?),
            dimension: size(u32_at(bytes, 20).ok_or(SHORT)?),
            length: size(u32_at(bytes, 4).ok_or(SHORT)?),
        };
        let sum = header
            .dimension
            .checked_mul(size_of::<f32>())
            .and_then(|sum| sum.checked_add(ROW_HEADER_BYTES + header.id_length))
            .and_then(|sum| sum.checked_add(header.metadata_length))
            .and_then(|sum| sum.checked_add(header.text_length))
            .and_then(|sum| sum.checked_next_multiple_of(super::bytes::ALIGNMENT));
        if sum != Some(header.length) {
            return Err("the row's lengths do not add up");
        }
        if bytes.len() < header.length {
            return Err(SHORT);
        }
        let is_store = header.kind == RowKind::Store;
        let only_id = header.metadata_length == 0;
        if flags & !FLAG_TEXT != 0
            || header.id_length == 0
            || is_store == (header.dimension == 0)
            || (header.has_text && !is_store)
            || (!header.has_text && header.text_length != 0)
            || (header.kind == RowKind::Delete && !only_id)
        {
            return Err("the row contradicts its kind");
        }
        Ok(header)
    }
}

/// A row in the bytes of a file.
///
/// The rows that [`super::LogFiles`] and recovery hand out have been verified.
#[derive(Clone, Copy, Debug)]
pub struct RowView<'a> {
    header: RowHeader,
    bytes: &'a [u8],
}

impl<'a> RowView<'a> {
    /// The row at the start of bytes that may go on behind it.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, &'static str> {
        Ok(RowView::new(RowHeader::decode(bytes)?, bytes))
    }

    /// The row whose header was read from the start of the same bytes.
    pub(super) fn new(header: RowHeader, bytes: &'a [u8]) -> Self {
        RowView {
            header,
            bytes: bytes.get(..header.length).unwrap_or_default(),
        }
    }

    pub(super) fn header(&self) -> RowHeader {
        self.header
    }

    /// The row as it stands in the file.
    pub(super) fn encoded(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the row is what was written: its checksum, its padding, and UTF-8 where it must be.
    pub fn verify(&self) -> Result<(), &'static str> {
        let checksum = u32_at(self.bytes, 0);
        if checksum != self.bytes.get(4..).map(crc32fast::hash) {
            return Err("the row's checksum does not match");
        }
        let end = self.text_start() + self.header.text_length;
        let utf8 = [self.id_bytes(), self.text_bytes()];
        if !utf8
            .into_iter()
            .all(|bytes| std::str::from_utf8(bytes).is_ok())
        {
            return Err("the row's id or text is not UTF-8");
        }
        if !self.bytes.get(end..).is_some_and(is_zero) {
            return Err("the row's padding is not zero");
        }
        Ok(())
    }

    /// What the row does.
    pub fn kind(&self) -> RowKind {
        self.header.kind
    }

    /// Length of the row in its file, in bytes.
    pub fn encoded_bytes(&self) -> usize {
        self.header.length
    }

    /// The record's id.
    pub fn id(&self) -> &'a str {
        std::str::from_utf8(self.id_bytes()).unwrap_or_default()
    }

    /// The record's metadata as JSON, as it was given to the encoder; empty for a deletion.
    pub fn metadata(&self) -> &'a [u8] {
        self.part(self.metadata_start(), self.header.metadata_length)
    }

    /// The record's text; `None` where it has none.
    pub fn text(&self) -> Option<&'a str> {
        let text = std::str::from_utf8(self.text_bytes()).unwrap_or_default();
        self.header.has_text.then_some(text)
    }

    /// Count of numbers of the vector; 0 where the row stores none.
    pub fn dimension(&self) -> usize {
        self.header.dimension
    }

    /// The vector: borrowed where memory has the form and alignment of the file, else copied.
    pub fn vector(&self) -> Cow<'a, [f32]> {
        let bytes = self.vector_bytes();
        if cfg!(target_endian = "little")
            && let Ok(vector) = bytemuck::try_cast_slice(bytes)
        {
            return Cow::Borrowed(vector);
        }
        let mut vector = Vec::new();
        self.vector_into(&mut vector);
        Cow::Owned(vector)
    }

    /// Replaces the content of a buffer by the vector.
    pub fn vector_into(&self, vector: &mut Vec<f32>) {
        let (numbers, _) = self.vector_bytes().as_chunks();
        vector.clear();
        vector.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
    }

    fn vector_bytes(&self) -> &'a [u8] {
        self.part(ROW_HEADER_BYTES, self.header.dimension * size_of::<f32>())
    }

    fn id_bytes(&self) -> &'a [u8] {
        self.part(self.id_start(), self.header.id_length)
    }

    fn text_bytes(&self) -> &'a [u8] {
        self.part(self.text_start(), self.header.text_length)
    }

    fn id_start(&self) -> usize {
        ROW_HEADER_BYTES + self.header.dimension * size_of::<f32>()
    }

    fn metadata_start(&self) -> usize {
        self.id_start() + self.header.id_length
    }

    fn text_start(&self) -> usize {
        self.metadata_start() + self.header.metadata_length
    }

    /// Part of a row whose lengths `RowHeader::decode` has proven to fit.
    fn part(&self, start: usize, length: usize) -> &'a [u8] {
        self.bytes.get(start..start + length).unwrap_or_default()
    }
}
