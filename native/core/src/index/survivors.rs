//! Choosing about a given count of the best scores without sorting anything.

use crate::kernels::{Kernels, ScoreSum};

/// A threshold in deviations above the mean, remembered from one selection to the next.
///
/// Scores of one leaf are distributed alike for all its rows, so what selected the right count
/// for one row nearly does for the next, and one pass over the scores is enough. Who keeps a
/// threshold must use it in a fixed order, for the selection depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Threshold(f32);

/// Most passes over the scores.
const PASSES: usize = 12;
/// Passes after which the right threshold, once known from both sides, is halved in on: where
/// scores fall off otherwise than expected, guesses close in from one side only.
const GUESSES: usize = 4;
/// Near two deviations the share of scores above `z` falls about as `exp(-1.9 z)`.
const TAIL_SLOPE: f32 = 1.9;
/// No threshold is outside of this, whatever the scores are.
const RANGE: std::ops::RangeInclusive<f32> = -4.0..=8.0;
/// The step where only one side of the right threshold is known.
const STEP: f32 = 0.3;

impl Default for Threshold {
    fn default() -> Self {
        Threshold(2.0)
    }
}

impl Threshold {
    /// A threshold at some deviations above the mean, to begin with.
    pub fn new(deviations: f32) -> Self {
        Threshold(deviations)
    }

    /// The threshold as bits, to be saved.
    pub fn to_bits(self) -> u32 {
        self.0.to_bits()
    }

    /// A saved threshold, or `None` where the bits are none.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let threshold = f32::from_bits(bits);
        RANGE.contains(&threshold).then_some(Threshold(threshold))
    }

    /// Writes the places of about `target` best scores to `places`, at most twice as many; all
    /// places where there are few.
    ///
    /// Where more reach the threshold, as among equal rows, those near `start` are taken, so
    /// that equal rows choose different ones and not all the same.
    #[expect(
        clippy::too_many_arguments,
        reason = "two of them are buffers that are used again"
    )]
    pub fn select(
        &mut self,
        kernels: Kernels,
        scores: &[f32],
        sum: ScoreSum,
        target: usize,
        start: usize,
        masks: &mut Vec<u64>,
        places: &mut Vec<u32>,
    ) {
        places.clear();
        let count = scores.len();
        if count <= target + target / 2 {
            places.extend(0..count as u32);
            return;
        }
        let mean = sum.sum / count as f32;
        let variance = sum.square_sum / count as f32 - mean * mean;
        let deviation = variance.max(1e-12).sqrt();
        let found = self.adjust(target, |z| {
            kernels.at_least(scores, mean + z * deviation, masks)
        });
        if found == 0 {
            let first = start.min(count - 1);
            places.extend(
                (first..count)
                    .chain(0..first)
                    .take(target)
                    .map(|place| place as u32),
            );
            return;
        }
        let first = (start / 64).min(masks.len() - 1);
        let (before, after) = masks.split_at(first);
        let turned = (first..).zip(after).chain((0..).zip(before));
        places.extend(
            turned
                .flat_map(|(word, &mask)| set_bits(word, mask))
                .take(2 * target),
        );
    }

    /// Moves the threshold until about `target` scores reach it; returns how many do.
    fn adjust(&mut self, target: usize, mut count_at: impl FnMut(f32) -> usize) -> usize {
        let (mut low, mut high) = (f32::MIN, f32::MAX);
        let mut pass = 1;
        loop {
            let found = count_at(self.0);
            let too_many = found > target + target / 3;
            if pass == PASSES || !too_many && found >= target - target / 4 {
                return found;
            }
            if too_many {
                low = self.0;
            } else {
                high = self.0;
            }
            let guess = self.0 + ((found as f32 + 0.5) / target as f32).ln() / TAIL_SLOPE;
            let next = match (low > f32::MIN, high < f32::MAX) {
                (true, true) if pass >= GUESSES => 0.5 * (low + high),
                _ if guess > low && guess < high => guess,
                (true, true) => 0.5 * (low + high),
                (true, false) => low + STEP,
                _ => high - STEP,
            };
            self.0 = next.clamp(*RANGE.start(), *RANGE.end());
            pass += 1;
        }
    }
}

/// The places of the bits that are set in one mask word.
fn set_bits(word: usize, mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(word as u32 * 64 + bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn select(threshold: &mut Threshold, scores: &[f32], target: usize, start: usize) -> Vec<u32> {
        let sum = ScoreSum {
            sum: scores.iter().sum(),
            square_sum: scores.iter().map(|score| score * score).sum(),
        };
        let mut places = Vec::new();
        let kernels = Kernels::detect();
        threshold.select(
            kernels,
            scores,
            sum,
            target,
            start,
            &mut Vec::new(),
            &mut places,
        );
        places
    }

    proptest! {
        #[test]
        fn the_best_of_distinct_scores_are_selected(
            scores in prop::collection::hash_set(-2_000i32..2_000, 20..800),
            target in 8usize..40,
        ) {
            let scores: Vec<f32> = scores.into_iter().map(|score| score as f32).collect();
            let mut threshold = Threshold::default();
            let places = select(&mut threshold, &scores, target, 0);
            prop_assert!(places.len() <= 2 * target);
            prop_assert!(places.len() >= scores.len().min(target / 2));
            if places.len() < 2 * target {
                let score = |place: u32| scores[place as usize];
                let least = places.iter().map(|&place| score(place)).fold(f32::MAX, f32::min);
                let better = scores.iter().filter(|&&score| score >= least).count();
                prop_assert_eq!(better, places.len());
            }
            prop_assert_eq!(Threshold::from_bits(threshold.to_bits()), Some(threshold));
        }
    }

    #[test]
    fn equal_scores_are_taken_from_the_start_that_is_asked_for() {
        let scores = vec![-3.0; 1000];
        let places = select(&mut Threshold::default(), &scores, 12, 500);
        assert!((12..=24).contains(&places.len()));
        assert!(
            places.iter().all(|place| (448..540).contains(place)),
            "{places:?}"
        );
    }

    #[test]
    fn scores_that_are_no_numbers_select_something_and_end() {
        let places = select(&mut Threshold::default(), &[f32::NAN; 300], 12, 299);
        assert_eq!(places.len(), 12);
    }
}
