//! The elements of a batch, in pieces that several threads decode at the same time.

use rayon::prelude::*;

use super::block::{Block, Numbers};
use super::fields::Fields;
use super::raw::Raw;
use crate::batch::VectorRange;

/// Elements that are decoded one after another.
pub(super) const PIECE: usize = 128;

/// Where an element's decoder reads fields, and where it puts numbers.
#[derive(Default)]
pub(super) struct Desk<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) numbers: Numbers,
}

/// Decodes each element by its index. `vector` says where the result keeps the place of its
/// vector, which is known only when all pieces are there.
pub(super) fn decode<'a, T: Send>(
    raws: &[Raw<'a>],
    block: &mut Block,
    element: impl Fn(usize, Raw<'a>, &mut Desk<'a>) -> T + Sync,
    vector: impl Fn(&mut T) -> Option<&mut VectorRange>,
) -> Vec<T> {
    let decode_piece = |(piece, raws): (usize, &[Raw<'a>])| {
        let mut desk = Desk {
            numbers: block.numbers(),
            ..Desk::default()
        };
        let elements: Vec<T> = raws
            .iter()
            .zip(piece * PIECE..)
            .map(|(raw, index)| element(index, *raw, &mut desk))
            .collect();
        (elements, desk.numbers)
    };
    let pieces: Vec<_> = raws
        .par_chunks(PIECE)
        .enumerate()
        .map(decode_piece)
        .collect();
    block.reserve(pieces.iter().map(|(_, numbers)| numbers.len()).sum());
    let mut decoded = Vec::with_capacity(raws.len());
    for (mut elements, numbers) in pieces {
        block.add(&numbers, elements.iter_mut().filter_map(&vector));
        decoded.append(&mut elements);
    }
    decoded
}
