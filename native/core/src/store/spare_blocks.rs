//! Blocks of vectors that were written, to be filled again by later calls: they cost the caller's
//! thread none of the page faults that fresh memory does.

use std::sync::{Mutex, PoisonError};

/// Numbers from which on a block's memory comes fresh from the system.
const BLOCK_NUMBERS_MIN: usize = 32 << 10;
/// Numbers of all blocks that are kept, at most.
const NUMBERS_MAX: usize = 4 << 20;

/// The blocks that nobody uses now.
#[derive(Debug, Default)]
pub struct SpareBlocks(Mutex<Vec<Vec<f32>>>);

impl SpareBlocks {
    /// An empty block with room for so many numbers, and at most twice as many where it is large.
    pub fn take(&self, numbers: usize) -> Vec<f32> {
        let fits = |block: &Vec<f32>| (numbers..=2 * numbers).contains(&block.capacity());
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match blocks.iter().position(fits) {
            Some(place) => blocks.swap_remove(place),
            None => {
                drop(blocks);
                Vec::with_capacity(numbers)
            }
        }
    }

    /// Keeps a block for others, where it is worth it and there is room.
    pub fn give(&self, mut block: Vec<f32>) {
        if block.capacity() < BLOCK_NUMBERS_MIN {
            return;
        }
        block.clear();
        let mut blocks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: usize = blocks.iter().map(Vec::capacity).sum();
        if kept + block.capacity() <= NUMBERS_MAX {
            blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(capacities: &[usize]) -> SpareBlocks {
        let blocks = SpareBlocks::default();
        for &numbers in capacities {
            blocks.give(vec![1.0; numbers]);
        }
        blocks
    }

    #[test]
    fn a_block_comes_back_empty_once_and_only_where_it_fits() {
        let blocks = given(&[100_000]);
        assert!(blocks.take(100_001).capacity() > 100_000);
        assert!(blocks.take(40_000).capacity() < 80_001);
        let taken = blocks.take(60_000);
        assert_eq!((taken.len(), taken.capacity()), (0, 100_000));
        assert_eq!(blocks.take(60_000).capacity(), 60_000);
    }

    #[test]
    fn what_is_kept_never_passes_the_limit_and_small_blocks_are_not_kept() {
        let half = NUMBERS_MAX / 2;
        let blocks = given(&[BLOCK_NUMBERS_MIN - 1, half, half, BLOCK_NUMBERS_MIN]);
        let kept = |blocks: &SpareBlocks| -> Vec<usize> {
            let blocks = blocks.0.lock().unwrap();
            blocks.iter().map(Vec::capacity).collect()
        };
        assert_eq!(kept(&blocks), [half, half]);
    }
}
