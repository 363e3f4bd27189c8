//! The graph: an index in memory that is built by the batch.
//!
//! Slots go in, links and near slots come out; of ids, files and snapshots it knows nothing.
//! [`Graph`] is what all threads share, codes and links by slot; [`Builder`] is the indexer's
//! own state and the only one to change links; [`search`] and [`scan`] read.
//!
//! In the words of HNSW: layer 0 is the linked graph with up to `2 m` links a row, layer 1 are
//! the leaders, one row in about 60, and it is scanned, not walked.

mod assignments;
mod builder;
mod candidate;
mod codes;
mod entry;
mod first_look;
mod fold;
mod forward;
mod graph;
mod leaders;
mod leaf;
mod links;
mod load;
mod metric;
mod orphans;
mod prune;
mod repair;
mod reverse;
mod route;
mod save;
mod scan;
mod search;
mod survivors;
mod tail;
mod takeover;
mod workspace;

pub use builder::Builder;
pub use candidate::Candidate;
pub use entry::Entry;
pub use fold::{BLOCK_ROWS_MAX, FoldCounters};
pub use graph::{Graph, IndexParameters};
pub use metric::{ExactQuery, Metric};
pub use repair::RepairCounters;
pub use save::Frozen;
pub use scan::scan;
pub use search::{Scratch, Search, SearchCounters, Selection, search, search_together};
pub use tail::TailPanels;

#[cfg(test)]
mod tests;
