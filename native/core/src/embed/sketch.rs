//! Many weighted features in few dimensions: a signed count sketch.
//!
//! Charikar, Chen, Farach-Colton, "Finding frequent items in data streams" (2002), used as
//! feature hashing (Weinberger et al., 2009). The dot product of two sketches estimates the dot
//! product of the weights without bias; its error falls with the root of the dimension.

/// Places that one word takes, one in each quarter of the vector.
///
/// With one place, two words that collide pass wholly for each other; with four they nearly never
/// share more than one, so the error is spread evenly over all documents instead.
const WORD_PLACES: usize = 4;

/// A vector that is being filled.
pub(super) struct Sketch<'a> {
    values: &'a mut [f32],
}

impl<'a> Sketch<'a> {
    /// An empty sketch over a buffer, whose old values are dropped.
    pub(super) fn new(values: &'a mut [f32]) -> Self {
        values.fill(0.0);
        Sketch { values }
    }

    /// Adds a word's weight, spread over four places so that its square sum is the weight's.
    pub(super) fn add_word(&mut self, hash: u64, weight: f32) {
        let dimension = self.values.len();
        for quarter in 0..WORD_PLACES {
            let start = dimension * quarter / WORD_PLACES;
            let end = dimension * (quarter + 1) / WORD_PLACES;
            self.add(start, end, (hash >> (16 * quarter)) as u16, weight * 0.5);
        }
    }

    /// Adds an n-gram's weight at one place; a word has so many n-grams that they even out.
    pub(super) fn add_gram(&mut self, hash: u64, weight: f32) {
        self.add(0, self.values.len(), hash as u16, weight);
    }

    /// Adds at a place of `start..end` that 15 of the bits choose; the last bit is the sign.
    fn add(&mut self, start: usize, end: usize, bits: u16, weight: f32) {
        let place = start + (((bits >> 1) as usize * (end - start)) >> 15);
        if let Some(value) = self.values.get_mut(place) {
            *value += if bits & 1 == 1 { weight } else { -weight };
        }
    }

    /// Scales to unit length; false where nothing is left to scale.
    pub(super) fn normalize(&mut self) -> bool {
        let norm = self
            .values
            .iter()
            .map(|value| value * value)
            .sum::<f32>()
            .sqrt();
        let usable = norm > f32::MIN_POSITIVE && norm.is_finite();
        if usable {
            self.values.iter_mut().for_each(|value| *value /= norm);
        }
        usable
    }
}
