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
#[derive(Clone, Debug, PartialEq)]
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::embed::text::word_hash;
    use crate::error::ErrorCode;

    const TEXTS: [&str; 5] = [
        "a red fox",
        "the red red barn",
        "fox-hunting",
        "",
        "Übung macht den Meister",
    ];

    fn statistics_of(texts: &[&str]) -> Statistics {
        let mut statistics = Statistics::new();
        texts.iter().for_each(|text| statistics.add(text));
        statistics
    }

    #[test]
    fn a_word_counts_once_in_each_document() {
        let statistics = statistics_of(&TEXTS);
        let count = |word| statistics.documents_with(word_hash(word));
        assert_eq!(statistics.documents(), 5);
        assert_eq!(
            (count("red"), count("fox"), count("ubung"), count("blue")),
            (2, 2, 1, 0)
        );
    }

    #[test]
    fn a_clone_keeps_what_it_saw() {
        let mut statistics = statistics_of(&TEXTS);
        let before = statistics.clone();
        statistics.add("red");
        assert_eq!(before, statistics_of(&TEXTS));
        assert_eq!(statistics.documents_with(word_hash("red")), 3);
    }

    #[test]
    fn any_changed_or_missing_byte_is_found() {
        let statistics = statistics_of(&TEXTS);
        let bytes = statistics.encode();
        assert_eq!(Statistics::decode(&bytes).unwrap(), statistics);
        for place in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[place] ^= 1 << (place % 8);
            assert_eq!(
                Statistics::decode(&wrong).unwrap_err().code,
                ErrorCode::Corrupted
            );
        }
        for length in 0..bytes.len() {
            let error = Statistics::decode(&bytes[..length]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Corrupted);
        }
    }

    #[test]
    fn well_sealed_nonsense_is_refused() {
        let mut good = statistics_of(&["fox"]).encode();
        good.truncate(good.len() - CHECKSUM_BYTES);
        let entry = HEADER_BYTES..HEADER_BYTES + CHUNK_BYTES;
        let seal = |mut bytes: Vec<u8>| {
            bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
            Statistics::decode(&bytes)
        };
        assert!(seal(good.clone()).is_ok());
        let mut other_format = good.clone();
        other_format[0] = FORMAT + 1;
        let mut beyond = good.clone();
        beyond[entry.start..entry.start + 2].copy_from_slice(&(CHUNKS as u16).to_le_bytes());
        let mut twice = good[..entry.end].to_vec();
        twice.extend_from_slice(&good[entry]);
        twice[HEADER_BYTES - 2..HEADER_BYTES].copy_from_slice(&2u16.to_le_bytes());
        for bytes in [other_format, beyond, twice, Vec::new()] {
            assert_eq!(seal(bytes).unwrap_err().code, ErrorCode::Corrupted);
        }
    }

    proptest! {
        #[test]
        fn counts_are_never_too_small_and_removal_undoes(
            kept in prop::collection::vec("[a-f]{1,2}( [a-f]{1,2}){0,8}", 0..40),
            passing in prop::collection::vec("\\PC{0,40}", 0..20),
        ) {
            let mut statistics = Statistics::new();
            kept.iter().for_each(|text| statistics.add(text));
            let before = statistics.clone();
            passing.iter().for_each(|text| statistics.add(text));
            passing.iter().rev().for_each(|text| statistics.remove(text));
            prop_assert_eq!(&statistics, &before);

            let mut counts: HashMap<u64, u32> = HashMap::new();
            for text in &kept {
                for hash in Words::read(text).distinct() {
                    *counts.entry(hash).or_default() += 1;
                }
            }
            prop_assert_eq!(statistics.documents(), kept.len() as u64);
            for (hash, count) in counts {
                prop_assert!(statistics.documents_with(hash) >= count);
            }
        }
    }
}
