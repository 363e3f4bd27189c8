//! Which leaves a row is in.

use super::leaders::LeaderNumber;

/// Leaves that a row is in: those of its nearest leaders.
pub(super) const FAN_OUT: usize = 6;

/// One leaf of a row, with the distance to its leader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Assignment {
    pub leaf: LeaderNumber,
    pub distance: f32,
}

/// The leaves of one row, nearest leader first; none for a slot that is not in the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Assignments([Assignment; FAN_OUT]);

const NONE: Assignment = Assignment {
    leaf: LeaderNumber::MAX,
    distance: f32::INFINITY,
};

/// What became of a leaf that was offered to a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Offer {
    Refused,
    Added,
    /// Added in place of this leaf.
    Replaced(LeaderNumber),
}

impl Default for Assignments {
    fn default() -> Self {
        Assignments([NONE; FAN_OUT])
    }
}

impl Assignments {
    /// The leaves in use, nearest first.
    pub fn iter(&self) -> impl Iterator<Item = Assignment> + '_ {
        self.0
            .iter()
            .copied()
            .take_while(|assignment| assignment.leaf != NONE.leaf)
    }

    /// Whether the slot is in no leaf, that is not in the graph.
    pub fn is_empty(&self) -> bool {
        self.0[0].leaf == NONE.leaf
    }

    /// The nearest leaf.
    pub fn nearest(&self) -> LeaderNumber {
        self.0[0].leaf
    }

    /// Whether a leader at this distance would be among the row's leaves.
    pub fn would_take(&self, distance: f32) -> bool {
        let farthest = self.0[FAN_OUT - 1];
        farthest.leaf == NONE.leaf || distance < farthest.distance
    }

    /// Offers one more leaf. Where distances are equal, the leaf that was there first stays.
    pub fn offer(&mut self, leaf: LeaderNumber, distance: f32) -> Offer {
        if !self.would_take(distance) {
            return Offer::Refused;
        }
        let replaced = self.0[FAN_OUT - 1].leaf;
        self.0[FAN_OUT - 1] = Assignment { leaf, distance };
        let mut place = FAN_OUT - 1;
        while place > 0 {
            let before = self.0[place - 1];
            if before.leaf != NONE.leaf && before.distance <= distance {
                break;
            }
            self.0.swap(place - 1, place);
            place -= 1;
        }
        if replaced == NONE.leaf {
            Offer::Added
        } else {
            Offer::Replaced(replaced)
        }
    }

    /// Follows a leaf to its new number.
    pub fn renumber(&mut self, from: LeaderNumber, to: LeaderNumber) {
        for assignment in self
            .0
            .iter_mut()
            .filter(|assignment| assignment.leaf == from)
        {
            assignment.leaf = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_nearest_offers_are_kept_and_the_first_of_equals(
            distances in prop::collection::vec(0u8..20, 0..40),
        ) {
            let mut assignments = Assignments::default();
            let mut model: Vec<(u8, u32)> = Vec::new();
            for (leaf, &distance) in (0..).zip(&distances) {
                let offer = assignments.offer(leaf, f32::from(distance));
                model.push((distance, leaf));
                model.sort_unstable();
                let expected = match model.get(FAN_OUT).copied() {
                    None => Offer::Added,
                    Some((_, out)) if out == leaf => Offer::Refused,
                    Some((_, out)) => Offer::Replaced(out),
                };
                model.truncate(FAN_OUT);
                prop_assert_eq!(offer, expected);
            }
            let kept: Vec<u32> = assignments.iter().map(|assignment| assignment.leaf).collect();
            let expected: Vec<u32> = model.iter().map(|&(_, leaf)| leaf).collect();
            prop_assert_eq!(kept, expected);
            prop_assert_eq!(assignments.is_empty(), distances.is_empty());
        }
    }
}
