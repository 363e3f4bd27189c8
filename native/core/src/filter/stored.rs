//! The index in a checkpoint. Integers are little-endian.
//!
//! ```text
//! index    version u8 = 1, count of blocks u32, blocks
//! block    number u16, count of paths u32 (not 0), paths
//! path     length u16, UTF-8, posting (present), posting (listed), count of values u32, values
//! value    bytes shared with the key before u8, length of the rest u8, rest, posting
//! posting  count u16 (0 to 256), low bits of slots u16 each; or 65535, length u32, Roaring
//! ```
//!
//! Bitmaps have the portable Roaring format, and full slots. Blocks, paths, keys of values and slots ascend. Equal indexes have equal bytes.

use roaring::RoaringBitmap;

use super::index::{Block, FilterIndex, PathIndex};
use super::ordered_map::Entry;
use super::posting::{self, BLOCK, Content, LIST, Posting};
use super::scalar::is_key;
use crate::error::{Error, Result};
use crate::limits::{FILTER_PATH_BYTES_MAX, RECORDS_MAX};
use crate::record::Slot;

const VERSION: u8 = 1;
/// In place of a posting's count.
const BITMAP: u16 = u16::MAX;

impl FilterIndex {
    /// Appends the index, as [`FilterIndex::decode`] reads it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        let count = reserve_count(out);
        let mut blocks = 0;
        for (number, block) in self.blocks.iter().enumerate() {
            if !block.is_empty() {
                blocks += 1;
                out.extend_from_slice(&(number as u16).to_le_bytes());
                encode_block(block, out);
            }
        }
        set_count(out, count, blocks);
    }

    /// Reads what [`FilterIndex::encode`] wrote. Anything else, be it longer, shorter, out of
    /// order or without sense, is `CORRUPTED`.
    pub fn decode(bytes: &[u8]) -> Result<FilterIndex> {
        let mut reader = Reader {
            rest: bytes,
            base: 0,
        };
        let version = reader.u8()?;
        if version != VERSION {
            return Err(corrupted(format_args!("version {version} is not known")));
        }
        let mut index = FilterIndex::default();
        for _ in 0..reader.u32()? {
            reader.base = Slot::from(reader.u16()?) * BLOCK;
            if reader.base as usize >= RECORDS_MAX || reader.base < index.end() {
                return Err(corrupted("blocks do not ascend, or are out of range"));
            }
            *index.block_mut(reader.base) = decode_block(&mut reader)?;
        }
        if !reader.rest.is_empty() {
            return Err(corrupted(format_args!(
                "{} bytes too many",
                reader.rest.len()
            )));
        }
        Ok(index)
    }

    /// The slot after the last block.
    fn end(&self) -> Slot {
        self.blocks.len() as Slot * BLOCK
    }
}

fn encode_block(block: &Block, out: &mut Vec<u8>) {
    let count = reserve_count(out);
    let mut paths = 0;
    block.for_each(&mut |path, index| {
        paths += 1;
        out.extend_from_slice(&(path.len() as u16).to_le_bytes());
        out.extend_from_slice(path);
        index.encode(out);
    });
    set_count(out, count, paths);
}

fn decode_block(reader: &mut Reader) -> Result<Block> {
    let mut block = Block::default();
    let mut last: Option<&[u8]> = None;
    for _ in 0..reader.u32()? {
        let length = usize::from(reader.u16()?);
        let path = reader.take(length)?;
        if length > FILTER_PATH_BYTES_MAX || std::str::from_utf8(path).is_err() {
            return Err(corrupted("a path is too long or not UTF-8"));
        }
        if last.replace(path).is_some_and(|last| last >= path) {
            return Err(corrupted("paths do not ascend"));
        }
        let decoded = PathIndex::decode(reader)?;
        block.update(path, |path| *path = decoded);
    }
    if block.is_empty() {
        return Err(corrupted("a block is empty"));
    }
    Ok(block)
}

impl PathIndex {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_posting(&self.present, out);
        encode_posting(&self.listed, out);
        let count = reserve_count(out);
        let mut values = 0;
        let mut last = Vec::new();
        self.values.for_each(&mut |key, posting| {
            values += 1;
            let shared = key
                .iter()
                .zip(&last)
                .take_while(|(one, other)| one == other)
                .count();
            let rest = &key[shared..];
            // A key has at most 1 + 128 + 1 + 16 bytes.
            out.extend_from_slice(&[shared as u8, rest.len() as u8]);
            out.extend_from_slice(rest);
            encode_posting(posting, out);
            last.clear();
            last.extend_from_slice(key);
        });
        set_count(out, count, values);
    }

    fn decode(reader: &mut Reader) -> Result<PathIndex> {
        let present = reader.posting()?;
        let listed = reader.posting()?;
        if present.is_empty() || !listed.is_subset(reader.base, &present) {
            return Err(corrupted("a path has no slot, or lists where it is not"));
        }
        let mut index = PathIndex {
            present,
            listed,
            ..PathIndex::default()
        };
        let mut key = Vec::new();
        for _ in 0..reader.u32()? {
            let shared = usize::from(reader.u8()?);
            let length = usize::from(reader.u8()?);
            let rest = reader.take(length)?;
            let after = key
                .get(shared..)
                .ok_or_else(|| corrupted("a key shares too much"))?;
            // What is shared is all that is shared, so the rests decide the order.
            if rest <= after
                || after
                    .first()
                    .is_some_and(|first| Some(first) == rest.first())
            {
                return Err(corrupted("keys do not ascend"));
            }
            key.truncate(shared);
            key.extend_from_slice(rest);
            let posting = reader.posting()?;
            if !is_key(&key)
                || posting.is_empty()
                || !posting.is_subset(reader.base, &index.present)
            {
                return Err(corrupted(
                    "a value is malformed, or has slots outside of its path",
                ));
            }
            index.values.update(&key, |value| *value = posting);
        }
        Ok(index)
    }
}

/// Leaves room for a count that is not known yet, and says where.
fn reserve_count(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

fn set_count(out: &mut [u8], place: usize, count: u32) {
    out[place..place + 4].copy_from_slice(&count.to_le_bytes());
}

fn encode_posting(posting: &Posting, out: &mut Vec<u8>) {
    match posting.content() {
        Content::Lows(lows) => {
            out.extend_from_slice(&(lows.len() as u16).to_le_bytes());
            out.extend(lows.iter().flat_map(|low| low.to_le_bytes()));
        }
        Content::Bitmap(bitmap) => {
            out.extend_from_slice(&BITMAP.to_le_bytes());
            let length = reserve_count(out);
            // Writing to a vector cannot fail.
            let _ = bitmap.serialize_into(&mut *out);
            let written = out.len() - length - 4;
            set_count(out, length, written as u32);
        }
    }
}

/// Bytes still to be read.
struct Reader<'a> {
    rest: &'a [u8],
    /// First slot of the block that is being read.
    base: Slot,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| corrupted("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| corrupted("it ends too early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn posting(&mut self) -> Result<Posting> {
        let count = self.u16()?;
        if count == BITMAP {
            let length = self.u32()? as usize;
            return bitmap(self.take(length)?, self.base).map(Posting::from_bitmap);
        }
        if usize::from(count) > LIST {
            return Err(corrupted(format_args!(
                "a posting of {count} slots is not a bitmap"
            )));
        }
        let (pairs, _) = self.take(usize::from(count) * 2)?.as_chunks();
        let lows: Vec<u16> = pairs.iter().copied().map(u16::from_le_bytes).collect();
        if !lows.is_sorted_by(|one, next| one < next) {
            return Err(corrupted("slots do not ascend"));
        }
        Ok(Posting::from_lows(lows))
    }
}

fn bitmap(bytes: &[u8], base: Slot) -> Result<RoaringBitmap> {
    let bitmap = RoaringBitmap::deserialize_from(bytes).map_err(corrupted)?;
    let inside = |slot: Option<Slot>| slot.is_some_and(|slot| posting::base(slot) == base);
    if bitmap.len() <= LIST as u64 || !inside(bitmap.min()) || !inside(bitmap.max()) {
        return Err(corrupted("a bitmap is too small or not of its block"));
    }
    // The format has fields that its reader skips, and several forms of one set.
    let mut again = Vec::with_capacity(bytes.len());
    if bitmap.serialize_into(&mut again).is_err() || again != bytes {
        return Err(corrupted("a bitmap contradicts itself"));
    }
    Ok(bitmap)
}

fn corrupted(message: impl std::fmt::Display) -> Error {
    Error::corrupted("filter index", message)
}
