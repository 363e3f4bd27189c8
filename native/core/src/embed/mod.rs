//! The built-in embedder: text to vector by its words alone, without a model.
//!
//! A document's vector is a pure function of its text. Each word gets a weight that needs no
//! collection (how often and how early it stands, how common it is in technical English anywhere)
//! and four signed places that its hash chooses; its trigrams of letters share a smaller
//! weight, so that misspelt, inflected and compounded words meet. The statistics of a collection
//! weigh the words of queries only, so vectors made at any time stay comparable.
//!
//! The same text gives the same bytes on every machine: seeded hashes, sums in one order, and no
//! function of the platform's mathematics library.

mod prior;
mod sketch;
mod statistics;
mod stem;
mod text;

#[cfg(test)]
mod tests;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::limits::DIMENSION_MAX;

use self::sketch::Sketch;
pub use self::statistics::Statistics;
use self::text::{Kind, Word, Words, word_hash};

/// The embedder's name where a collection names its embedder.
pub const NAME: &str = "lexical";
/// Version of the mapping from text to vector; another version's vectors are not comparable.
pub const VERSION: u32 = 1;
/// Dimension where a collection names none.
pub const DIMENSION_DEFAULT: usize = 768;
/// Fewest dimensions: below, words drown in each other's noise.
pub const DIMENSION_MIN: usize = 64;

/// How fast repeats of a word stop adding to its weight; BM25's k1.
const SATURATION: f32 = 1.2;
/// Words after which a word of a document has lost 3/8 of its weight, and words after which it
/// loses no more.
const POSITION_HALVING: f32 = 40.0 / 0.6;
const POSITION_LAST: usize = 120;
/// Weight of all n-grams of a word together, by the word's.
const GRAMS_WEIGHT: f32 = 0.8;
/// What is left of a word's weight if it has one or two letters.
const SHORT_WEIGHT: f32 = 0.6;
/// The number of documents that the built-in word frequencies count for beside the collection's.
const PRIOR_DOCUMENTS: f64 = 64.0;

/// Which embedder made a collection's vectors; kept with the collection and checked at opening.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedderDescription {
    /// Name of the embedder; the built-in one is [`NAME`].
    pub name: String,
    /// Version of its mapping from text to vector.
    pub version: String,
}

impl EmbedderDescription {
    /// The built-in embedder of this build.
    pub fn built_in() -> Self {
        EmbedderDescription {
            name: NAME.to_owned(),
            version: VERSION.to_string(),
        }
    }

    /// Whether texts are embedded here and not by the caller.
    pub fn is_built_in(&self) -> bool {
        self.name == NAME
    }
}

/// The built-in embedder at one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lexical {
    dimension: usize,
}

impl Lexical {
    /// The embedder for vectors of a dimension of [`DIMENSION_MIN`] to [`DIMENSION_MAX`].
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for any other dimension.
    pub fn new(dimension: usize) -> Result<Self> {
        let code = ErrorCode::InvalidArgument;
        if dimension > DIMENSION_MAX {
            return Err(Error::limit(
                code,
                "dimension",
                DIMENSION_MAX,
                dimension,
                "numbers",
            ));
        }
        if dimension < DIMENSION_MIN {
            let message = format!(
                "dimension is {dimension} numbers, embedder {NAME:?} needs at least {DIMENSION_MIN}"
            );
            return Err(Error::invalid("dimension", message)
                .with("limit", DIMENSION_MIN)
                .with("actual", dimension)
                .with("unit", "numbers"));
        }
        Ok(Lexical { dimension })
    }

    /// The embedder that made a collection's vectors.
    ///
    /// # Errors
    /// `UNSUPPORTED` where the description is of another embedder or of another version;
    /// `INVALID_ARGUMENT` for its dimension as in [`Lexical::new`].
    pub fn open(description: &EmbedderDescription, dimension: usize) -> Result<Self> {
        if *description != EmbedderDescription::built_in() {
            let message = format!(
                "embedder {:?} version {} is not built in, {NAME:?} version {VERSION} is",
                description.name, description.version
            );
            return Err(Error::new(ErrorCode::Unsupported, message)
                .with("field", "embedder")
                .with("expected", VERSION)
                .with("actual", description.version.as_str()));
        }
        Lexical::new(dimension)
    }

    /// Numbers in each vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The unit vector of a document, into a buffer of `dimension` numbers.
    ///
    /// All texts without a visible character share one vector.
    ///
    /// # Errors
    /// `INTERNAL` where the buffer has another length.
    pub fn document(&self, text: &str, out: &mut [f32]) -> Result<()> {
        self.embed(text, out, |words, group| {
            let word = group.first()?;
            let count = group.iter().map(occurrence_in_document).sum::<f32>();
            let saturated = count * (SATURATION + 1.0) / (count + SATURATION);
            Some(saturated * word_weight(words, word))
        })
    }

    /// The unit vectors of documents, end to end in a buffer of `dimension` numbers each, on the
    /// threads of the caller's pool.
    ///
    /// # Errors
    /// `INTERNAL` where the buffer has another length.
    pub fn documents(&self, texts: &[&str], out: &mut [f32]) -> Result<()> {
        check_length(texts.len().saturating_mul(self.dimension), out.len())?;
        let rows = out.par_chunks_exact_mut(self.dimension);
        texts
            .par_iter()
            .zip(rows)
            .try_for_each(|(text, row)| self.document(text, row))
    }

    /// The unit vector of a query, into a buffer of `dimension` numbers: its words are weighed by
    /// how few of the collection's documents have them.
    ///
    /// # Errors
    /// `INTERNAL` where the buffer has another length.
    pub fn query(&self, text: &str, statistics: &Statistics, out: &mut [f32]) -> Result<()> {
        self.embed(text, out, |_, group| {
            let word = group.first()?;
            let count = group.iter().map(|word| occurrence(word.kind)).sum::<f32>();
            Some(count.min(2.0).sqrt() * inverse_frequency(word.hash, statistics))
        })
    }

    /// Sketches each distinct word of a text with the weight that its occurrences get.
    fn embed(
        &self,
        text: &str,
        out: &mut [f32],
        weigh: impl Fn(&Words, &[Word]) -> Option<f32>,
    ) -> Result<()> {
        check_length(self.dimension, out.len())?;
        let mut words = Words::read(text);
        // A stable sort: the occurrences of one word keep their order, and so do their sums.
        words.list.sort_by_key(|word| word.hash);
        let mut sketch = Sketch::new(out);
        let mut grams = Vec::new();
        for group in words.list.chunk_by(|left, right| left.hash == right.hash) {
            let (Some(word), Some(weight)) = (group.first(), weigh(&words, group)) else {
                continue;
            };
            sketch.add_word(word.hash, weight);
            words.grams(word, &mut grams);
            let gram_weight = GRAMS_WEIGHT * weight / (grams.len() as f32).sqrt();
            for gram in &grams {
                sketch.add_gram(*gram, gram_weight);
            }
        }
        if !sketch.normalize() {
            let mut sketch = Sketch::new(out);
            sketch.add_word(word_hash(""), 1.0);
            sketch.normalize();
        }
        Ok(())
    }
}

fn check_length(expected: usize, actual: usize) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::internal(format!(
        "a buffer of {actual} numbers for vectors of {expected}"
    )))
}

/// What one occurrence adds to a word's count.
fn occurrence(kind: Kind) -> f32 {
    match kind {
        Kind::Part | Kind::Pair => 1.0,
        Kind::Whole => 0.5,
        Kind::Character => 0.25,
    }
}

/// The same in a document, where the beginning tells more of what it is about.
fn occurrence_in_document(word: &Word) -> f32 {
    let position = word.position.min(POSITION_LAST) as f32;
    occurrence(word.kind) / (1.0 + position / POSITION_HALVING)
}

/// The weight of a word in any document: 0.2 for "the" to 1 for a word that is in no list.
fn word_weight(words: &Words, word: &Word) -> f32 {
    let rarity = prior::rarity(word.hash).min(8) as f32;
    let is_short = matches!(word.kind, Kind::Part | Kind::Whole)
        && words.letters(word).chars().nth(2).is_none();
    (0.04 + 0.12 * rarity) * if is_short { SHORT_WEIGHT } else { 1.0 }
}

/// BM25's inverse document frequency, in bits, as if [`PRIOR_DOCUMENTS`] documents in which words
/// are as frequent as in technical English anywhere stood beside the collection's.
fn inverse_frequency(hash: u64, statistics: &Statistics) -> f32 {
    let documents = statistics.documents() as f64 + PRIOR_DOCUMENTS;
    let share = 1.0 / f64::from(1u32 << prior::rarity(hash));
    let with = f64::from(statistics.documents_with(hash)) + PRIOR_DOCUMENTS * share;
    let without = (documents - with).max(0.0);
    log2(1.0 + (without + 0.5) / (with + 0.5)) as f32
}

/// Binary logarithm of a finite number of at least 1, to six digits, the same on every machine.
fn log2(number: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = number.to_bits();
    let exponent = (bits >> 52) as f64 - 1023.0;
    let mantissa = f64::from_bits(bits & MANTISSA | 1.0f64.to_bits());
    // ln(m) = 2 artanh((m - 1) / (m + 1)) as its series; the argument is at most 1/3.
    let argument = (mantissa - 1.0) / (mantissa + 1.0);
    let square = argument * argument;
    let series = [
        1.0 / 13.0,
        1.0 / 11.0,
        1.0 / 9.0,
        1.0 / 7.0,
        1.0 / 5.0,
        1.0 / 3.0,
        1.0,
    ];
    let sum = series.iter().fold(0.0, |sum, term| sum * square + term);
    exponent + 2.0 * argument * sum * std::f64::consts::LOG2_E
}
