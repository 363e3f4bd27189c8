//! The members of one leaf as 1-bit codes, sixteen to a panel, laid out for the scan.
//!
//! A panel of members with `n` code words each is `n + 2` lines of sixteen lanes, lane = member:
//! line `k < n` has every member's word `k`, line `n` has `u`, line `n + 1` has `w`. One vector
//! operation so works on sixteen (or eight) members and nothing is ever summed across lanes.
//!
//! The codes are the signs of the residual x - c of a member x to the leaf's center c. For two
//! random directions the share of differing signs is their angle over pi, and near a right angle
//! the cosine is pi/2 - angle; hence `2 <x - c, q - c>` is estimated as
//! `u * |q - c| * (1 - 2 h / D)` with `u = pi |x - c|`, and with `w = |x - c|^2` the score
//! `u * |q - c| * (1 - 2 h / D) - w` falls as the distance |x - q|^2 grows (the missing
//! |q - c|^2 is the same for all members).
//! Source: M. Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002.

use std::f32::consts::PI;

/// Members of one panel.
pub(super) const PANEL_MEMBERS: usize = 16;
/// The `w` of a lane without member: its score can reach no threshold.
const EMPTY_NORM_SQUARED: f32 = 1e30;

/// Sixteen lanes of 32 bits.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug)]
pub(super) struct PanelLine(pub(super) [u32; PANEL_MEMBERS]);

/// The 1-bit codes of a leaf's members, each at a place counted from 0.
#[derive(Clone, Debug)]
pub struct Panels {
    words_per_member: usize,
    len: usize,
    lines: Vec<PanelLine>,
}

/// A row that is compared with all members: its residual to the same center.
#[derive(Clone, Copy, Debug)]
pub struct PanelQuery<'a> {
    /// The signs of the residual, as many words as a member has.
    pub words: &'a [u32],
    /// The length |q - c| of the residual.
    pub norm: f32,
}

/// What a threshold is made from: the sum and the sum of squares of one query's scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScoreSum {
    /// Sum over all members.
    pub sum: f32,
    /// Sum of the squares over all members.
    pub square_sum: f32,
}

impl Panels {
    /// No members yet; each will have `words_per_member` words, that is 32 dimensions a word.
    pub fn new(words_per_member: usize) -> Self {
        Panels {
            words_per_member,
            len: 0,
            lines: Vec::new(),
        }
    }

    /// Count of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Words of one member's code.
    pub fn words_per_member(&self) -> usize {
        self.words_per_member
    }

    /// Memory that the members take, in bytes, with what is reserved for the next ones.
    pub fn bytes(&self) -> usize {
        self.lines.capacity() * size_of::<PanelLine>()
    }

    /// Makes room for so many more members and for no others.
    pub fn reserve(&mut self, count: usize) {
        let panels = (self.len + count).div_ceil(PANEL_MEMBERS);
        let needed = panels * self.panel_lines();
        self.lines.reserve_exact(needed - self.lines.len());
    }

    /// Adds a member at the end: the signs and the squared length of its residual.
    ///
    /// # Panics
    /// If the count of words is not [`Panels::words_per_member`].
    pub fn push(&mut self, words: &[u32], norm_squared: f32) {
        assert_eq!(words.len(), self.words_per_member, "words of a member");
        if self.len.is_multiple_of(PANEL_MEMBERS) {
            self.add_panel();
        }
        self.len += 1;
        let norm_squared = norm_squared.max(0.0);
        let factor = norm_squared.sqrt() * PI;
        self.set(self.len - 1, words, factor, norm_squared);
    }

    /// Removes a member; the last member moves to its place.
    ///
    /// # Panics
    /// If there is no such place.
    pub fn swap_remove(&mut self, place: usize) {
        assert!(place < self.len, "place {place} of {} members", self.len);
        let last = self.len - 1;
        for line in 0..self.panel_lines() {
            let moved = self.lines[self.line_of(last) + line].0[last % PANEL_MEMBERS];
            let target = self.line_of(place) + line;
            self.lines[target].0[place % PANEL_MEMBERS] = moved;
        }
        self.set(last, &[], 0.0, EMPTY_NORM_SQUARED);
        self.len = last;
        if last.is_multiple_of(PANEL_MEMBERS) {
            self.lines.truncate(self.line_of(last));
        }
    }

    /// Removes all members and gives the memory back.
    pub fn clear(&mut self) {
        self.len = 0;
        self.lines = Vec::new();
    }

    /// Copies a member's words to the front of `out` and returns its squared length.
    ///
    /// # Panics
    /// If there is no such place or `out` is shorter than a member's code.
    pub fn words_of(&self, place: usize, out: &mut [u32]) -> f32 {
        assert!(place < self.len, "place {place} of {} members", self.len);
        let (words, _, norm_squared) = self.panel(place / PANEL_MEMBERS);
        for (out, line) in out[..self.words_per_member].iter_mut().zip(words) {
            *out = line.0[place % PANEL_MEMBERS];
        }
        f32::from_bits(norm_squared.0[place % PANEL_MEMBERS])
    }

    /// The panels in order; the last may have empty lanes.
    pub(super) fn panels(&self) -> impl Iterator<Item = (&[PanelLine], &PanelLine, &PanelLine)> {
        (0..self.len.div_ceil(PANEL_MEMBERS)).map(|panel| self.panel(panel))
    }

    /// One panel: its code lines, then the lines `u` and `w`.
    #[inline]
    pub(super) fn panel(&self, panel: usize) -> (&[PanelLine], &PanelLine, &PanelLine) {
        let lines = &self.lines[panel * self.panel_lines()..][..self.panel_lines()];
        let (words, norms) = lines.split_at(self.words_per_member);
        (words, &norms[0], &norms[1])
    }

    fn panel_lines(&self) -> usize {
        self.words_per_member + 2
    }

    fn line_of(&self, place: usize) -> usize {
        place / PANEL_MEMBERS * self.panel_lines()
    }

    /// Grows by about a quarter where `Vec` would double: leaves are many and seldom full.
    fn add_panel(&mut self) {
        let needed = self.panel_lines();
        if self.lines.capacity() - self.lines.len() < needed {
            self.lines.reserve_exact((self.lines.len() / 4).max(needed));
        }
        self.lines
            .resize(self.lines.len() + needed - 1, PanelLine([0; PANEL_MEMBERS]));
        self.lines
            .push(PanelLine([EMPTY_NORM_SQUARED.to_bits(); PANEL_MEMBERS]));
    }

    /// Writes a lane; words that are not given become zero.
    fn set(&mut self, place: usize, words: &[u32], factor: f32, norm_squared: f32) {
        let (first, lane) = (self.line_of(place), place % PANEL_MEMBERS);
        let words_per_member = self.words_per_member;
        let lines = &mut self.lines[first..first + words_per_member + 2];
        for (index, line) in lines[..words_per_member].iter_mut().enumerate() {
            line.0[lane] = words.get(index).copied().unwrap_or(0);
        }
        lines[words_per_member].0[lane] = factor.to_bits();
        lines[words_per_member + 1].0[lane] = norm_squared.to_bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push(u32, f32),
        SwapRemove(usize),
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            60 => (any::<u32>(), 0f32..9.0).prop_map(|(word, norm)| Step::Push(word, norm)),
            40 => any::<usize>().prop_map(Step::SwapRemove),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        #[test]
        fn members_are_kept_like_in_a_vector(
            words in 1usize..6,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut panels = Panels::new(words);
            let mut model: Vec<(Vec<u32>, f32)> = Vec::new();
            for step in steps {
                match step {
                    Step::Push(word, norm_squared) => {
                        let code: Vec<u32> =
                            (0..words).map(|k| word.rotate_left(k as u32)).collect();
                        panels.push(&code, norm_squared);
                        model.push((code, norm_squared));
                    }
                    Step::SwapRemove(place) if !model.is_empty() => {
                        panels.swap_remove(place % model.len());
                        model.swap_remove(place % model.len());
                    }
                    Step::SwapRemove(_) => {}
                    Step::Clear => {
                        panels.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(panels.len(), model.len());
            }
            let mut code = vec![0; words];
            for (place, (expected, norm_squared)) in model.iter().enumerate() {
                prop_assert_eq!(panels.words_of(place, &mut code), *norm_squared);
                prop_assert_eq!(&code, expected);
            }
            for lane in model.len()..model.len().next_multiple_of(PANEL_MEMBERS) {
                let (_, factor, norm_squared) = panels.panel(lane / PANEL_MEMBERS);
                prop_assert_eq!(f32::from_bits(factor.0[lane % PANEL_MEMBERS]), 0.0);
                let norm_squared = f32::from_bits(norm_squared.0[lane % PANEL_MEMBERS]);
                prop_assert_eq!(norm_squared, EMPTY_NORM_SQUARED);
            }
        }
    }

    #[test]
    fn memory_grows_by_about_a_quarter() {
        let mut panels = Panels::new(12);
        for _ in 0..4000 {
            panels.push(&[0; 12], 1.0);
            let used = panels.len().div_ceil(16) * 14 * 64;
            assert!(panels.bytes() <= used + used / 4 + 14 * 64);
        }
    }
}
