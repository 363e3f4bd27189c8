//! The matches of a search as columns, which a caller in this process reads many times faster
//! than JSON.

use super::json::append;
use crate::batch::Match;

/// Ids, scores and vectors of matches, in the matches' order.
///
/// A score is written as the float64 that its JSON stands for: both forms of a reply tell the
/// same number.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// Float64 each.
    scores: Vec<u8>,
    /// The numbers of all vectors, float32 each.
    numbers: Vec<u8>,
    /// Lengths of the ids in UTF-16 units, as JavaScript counts; two bytes each.
    lengths: Vec<u8>,
    /// All ids end to end.
    ids: Vec<u8>,
    text: Vec<u8>,
}

impl Columns {
    /// Adds a match.
    pub fn push(&mut self, Match { record, score }: &Match<'_>) {
        self.text.clear();
        append(&mut self.text, score);
        let told = fast_float2::parse(&self.text).unwrap_or(f64::from(*score));
        self.scores.extend(told.to_le_bytes());
        let numbers = record.data.iter().flat_map(|data| data.iter());
        let bytes = numbers.flat_map(|number| number.to_le_bytes());
        self.numbers.extend(bytes);
        let length = record.id.encode_utf16().count() as u16;
        self.lengths.extend(length.to_le_bytes());
        self.ids.extend_from_slice(record.id.as_bytes());
    }

    /// Writes some columns as one: how many matches and how many numbers there are (four bytes
    /// each), then the scores, the numbers, the lengths and the ids; all little endian.
    pub fn append_joined(columns: &[&Columns], out: &mut Vec<u8>) {
        let parts: [fn(&Columns) -> &[u8]; 4] = [
            |columns| &columns.scores,
            |columns| &columns.numbers,
            |columns| &columns.lengths,
            |columns| &columns.ids,
        ];
        let [scores, numbers, ..] = parts.map(|part| {
            let bytes = columns.iter().map(|columns| part(columns).len());
            bytes.sum::<usize>()
        });
        for count in [scores / size_of::<f64>(), numbers / size_of::<f32>()] {
            out.extend((count as u32).to_le_bytes());
        }
        for part in parts {
            columns
                .iter()
                .for_each(|columns| out.extend_from_slice(part(columns)));
        }
    }
}
