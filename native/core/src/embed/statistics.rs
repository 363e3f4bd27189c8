//! How many live documents contain each word, in fixed memory.

use std::sync::Arc;

use super::text::Words;
use crate::error::{Error, Result};

/// Counters in one row: a word's place in a row is 16 bits of its hash.
const ROW_COUNTERS: usize = 1 << 16;
/// Rows; a word's count is the least of its counters, one in each row.
const ROWS: usize = 2;
/// Counters that are copied together when a clone still holds them.
const CHUNK_COUNTERS: usize = 256;
const CHUNKS: usize = ROWS * ROW_COUNTERS / CHUNK_COUNTERS;
const CHUNK_BYTES: usize = 2 + CHUNK_COUNTERS * 4;
const HEADER_BYTES: usize = 1 + 8 + 2;
const CHECKSUM_BYTES: usize = 4;
const FORMAT: u8 = 1;

type Chunk = [u32; CHUNK_COUNTERS];

/// Document frequencies of hashed words, to weigh the words of a query.
///
/// A count-min sketch (Cormode, Muthukrishnan, 2005) of 2 x 65,536 counters: at most 512 KiB,
/// less while few words were seen. A count is never too small, and too large only where a word
/// shares both its counters with others. Clones share their chunks and never change.
#[derive(Clone, Debug)]
pub struct Statistics {
    documents: u64,
    chunks: Vec<Arc<Chunk>>,
}

impl Default for Statistics {
    fn default() -> Self {
        Statistics {
            documents: 0,
            chunks: std::iter::repeat_n(Arc::new([0; CHUNK_COUNTERS]), CHUNKS).collect(),
        }
    }
}

impl PartialEq for Statistics {
    fn eq(&self, other: &Self) -> bool {
        self.documents == other.documents && self.chunks == other.chunks
    }
}

impl Statistics {
    /// Statistics of no document.
    pub fn new() -> Self {
        Statistics::default()
    }

    /// Count of the documents that were added and not removed.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Counts a document's words, each once.
    pub fn add(&mut self, text: &str) {
        self.documents = self.documents.saturating_add(1);
        self.change(text, |counter| counter.saturating_add(1));
    }

    /// Takes a document out again; its text must be the one that was added.
    pub fn remove(&mut self, text: &str) {
        self.documents = self.documents.saturating_sub(1);
        self.change(text, |counter| counter.saturating_sub(1));
    }

    fn change(&mut self, text: &str, change: impl Fn(u32) -> u32) {
        for hash in Words::read(text).distinct() {
            for row in 0..ROWS {
                let (chunk, place) = Self::place(row, hash);
                if let Some(chunk) = self.chunks.get_mut(chunk) {
                    let chunk = Arc::make_mut(chunk);
                    chunk[place] = change(chunk[place]);
                }
            }
        }
    }

    /// How many documents contain a word, at most.
    pub(super) fn documents_with(&self, hash: u64) -> u32 {
        let counter = |row| {
            let (chunk, place) = Self::place(row, hash);
            self.chunks.get(chunk).map_or(0, |chunk| chunk[place])
        };
        (0..ROWS).map(counter).min().unwrap_or(0)
    }

    /// Where a row keeps a word: the chunk, and the counter in it, below `CHUNK_COUNTERS`.
    fn place(row: usize, hash: u64) -> (usize, usize) {
        let counter = row * ROW_COUNTERS + usize::from((hash >> (16 * row)) as u16);
        (counter / CHUNK_COUNTERS, counter % CHUNK_COUNTERS)
    }

    /// The bytes that a checkpoint keeps; chunks without a count are left out.
    ///
    /// Layout, little-endian: format `u8`, documents `u64`, chunks `u16`, for each chunk its
    /// place `u16` (rising) and 256 counters `u32`; the CRC-32 of all that as `u32`.
    pub fn encode(&self) -> Vec<u8> {
        let used = || {
            let places = self.chunks.iter().enumerate();
            places.filter(|(_, chunk)| chunk.iter().any(|counter| *counter > 0))
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + used().count() * CHUNK_BYTES);
        bytes.push(FORMAT);
        bytes.extend(self.documents.to_le_bytes());
        bytes.extend((used().count() as u16).to_le_bytes());
        for (place, chunk) in used() {
            bytes.extend((place as u16).to_le_bytes());
            bytes.extend(chunk.iter().flat_map(|counter| counter.to_le_bytes()));
        }
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    /// The statistics that [`Statistics::encode`] wrote.
    ///
    /// # Errors
    /// `CORRUPTED` for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::decode_checked(bytes).ok_or_else(|| {
            Error::corrupted("statistics", "the bytes are not encoded statistics")
                .with("actual", bytes.len())
        })
    }

    fn decode_checked(bytes: &[u8]) -> Option<Self> {
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (format, body) = body.split_first()?;
        let (documents, body) = body.split_first_chunk()?;
        let (count, body) = body.split_first_chunk()?;
        let count = usize::from(u16::from_le_bytes(*count));
        if *format != FORMAT || body.len() != count * CHUNK_BYTES {
            return None;
        }
        let mut statistics = Statistics::new();
        statistics.documents = u64::from_le_bytes(*documents);
        let mut next = 0;
        for entry in body.chunks_exact(CHUNK_BYTES) {
            let (place, counters) = entry.split_first_chunk()?;
            let place = usize::from(u16::from_le_bytes(*place));
            if place < next {
                return None;
            }
            let mut chunk: Chunk = [0; CHUNK_COUNTERS];
            for (counter, bytes) in chunk.iter_mut().zip(counters.chunks_exact(4)) {
                *counter = u32::from_le_bytes(bytes.try_into().ok()?);
            }
            *statistics.chunks.get_mut(place)? = Arc::new(chunk);
            next = place + 1;
        }
        Some(statistics)
    }
}
