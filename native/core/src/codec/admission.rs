//! Batches are judged by their size before their elements are decoded.
//!
//! An element of two bytes takes hundreds of them decoded, so the bytes of a body alone do not
//! bound what reading it costs.

use super::raw::Raw;
use crate::batch::{CheckedOperation, Operation, Outcome, Query};
use crate::error::Result;

/// A batch whose elements are counted, and not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    /// The collection's name.
    pub collection: &'a str,
    /// Operations or queries.
    pub elements: usize,
    /// The caller's own cap on them.
    pub batch_size_limit: Option<usize>,
}

/// Says whether a batch may be decoded.
pub type Admit<'a> = &'a mut dyn FnMut(&Counted<'_>) -> Result<()>;

/// What one element takes while its batch runs, in bytes, beside those that it came in: its place
/// in the body, what it is decoded to, what the checks say of it, and its outcome.
pub const HELD_BYTES: usize = size_of::<Raw<'static>>()
    + larger(size_of::<Operation>(), size_of::<Query>())
    + size_of::<CheckedOperation>()
    + size_of::<Outcome>();

const fn larger(left: usize, right: usize) -> usize {
    if left > right { left } else { right }
}

/// The elements of a batch's list, once they are counted and admitted.
pub(super) fn elements<'a>(
    list: Raw<'a>,
    collection: &str,
    batch_size_limit: Option<usize>,
    admit: Admit<'_>,
) -> Result<Vec<Raw<'a>>> {
    let elements = list.elements().count();
    admit(&Counted {
        collection,
        elements,
        batch_size_limit,
    })?;
    let mut raws = Vec::with_capacity(elements);
    raws.extend(list.elements());
    Ok(raws)
}
