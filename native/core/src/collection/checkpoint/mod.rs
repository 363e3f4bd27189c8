//! The file that lets a collection open without reading its log from the start.
//!
//! It holds only what is derived: where rows stand, filters, statistics, codes, graph, and what
//! is remembered of recent batches. It is written beside the old one and takes its place by a
//! rename.
//!
//! Layout, numbers little-endian: magic, format; the sections, in the order of [`Section`]; the
//! table, with tag, offset, length and CRC-32 of each section; the table's CRC-32, magic.
//!
//! While one is written, folds go on: it is made from a snapshot and a frozen copy of the graph.

mod read;
mod write;

pub use read::{Checkpoint, read};
pub use write::{Source, write};

const FILE: &str = "checkpoint";
const FILE_NEW: &str = "checkpoint.new";
const MAGIC: &[u8; 8] = b"VLYCHECK";
const MAGIC_END: &[u8; 8] = b"VLYCHEND";
const FORMAT: u32 = 2;
/// Bytes of the format's number and the magic before it.
const HEAD_BYTES: usize = 12;
/// Bytes of a section's entry in the table: tag, offset, length, CRC-32.
const ENTRY_BYTES: usize = 1 + 8 + 8 + 4;
/// Bytes behind the table: its CRC-32 and the magic.
const END_BYTES: usize = 12;

/// What stands in a checkpoint, section by section, in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Section {
    Head = 1,
    Slots = 2,
    Ids = 3,
    Alive = 4,
    Tail = 5,
    Dead = 6,
    Filters = 7,
    Statistics = 8,
    Graph = 9,
    Replies = 10,
    Streams = 11,
}

const SECTIONS: [Section; 11] = [
    Section::Head,
    Section::Slots,
    Section::Ids,
    Section::Alive,
    Section::Tail,
    Section::Dead,
    Section::Filters,
    Section::Statistics,
    Section::Graph,
    Section::Replies,
    Section::Streams,
];
