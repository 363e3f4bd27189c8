//! The float32 block beside a header, cut into rows.

use super::fields::Fields;
use super::raw::Raw;
use super::value;
use crate::batch::{VectorRange, Vectors};
use crate::error::{Error, Result};

/// The numbers of a request's vectors, those of the block first.
pub(super) struct Block {
    vectors: Vectors,
    block_len: usize,
    is_cut: bool,
}

/// Which row of the block each element has.
pub(super) enum Rows {
    /// No element has one.
    None,
    /// Each element has a row of this many numbers.
    Even(usize),
    /// Each element has its own range or nothing.
    Ranges(Vec<Option<VectorRange>>),
}

impl Rows {
    /// The row of one element.
    pub(super) fn get(&self, index: usize) -> Option<VectorRange> {
        match self {
            Rows::None => None,
            Rows::Even(len) => Some(VectorRange {
                start: index * len,
                len: *len,
            }),
            Rows::Ranges(ranges) => ranges.get(index).copied().flatten(),
        }
    }
}

impl Block {
    pub(super) fn new(values: Vec<f32>) -> Self {
        Block {
            block_len: values.len(),
            vectors: Vectors { values },
            is_cut: false,
        }
    }

    /// Cuts the block for `count` elements, as the header's `lengths` say or else evenly.
    pub(super) fn cut(&mut self, fields: &mut Fields<'_>, count: usize) -> Result<Rows> {
        self.is_cut = true;
        if let Some(lengths) = fields.list("lengths")? {
            return self.cut_by(lengths, count).map(Rows::Ranges);
        }
        if self.block_len == 0 {
            return Ok(Rows::None);
        }
        if count == 0 || !self.block_len.is_multiple_of(count) {
            let message = format!(
                "the block's {} numbers do not divide evenly over {count} elements",
                self.block_len
            );
            return Err(Error::invalid("block", message)
                .with("numbers", self.block_len)
                .with("elements", count));
        }
        Ok(Rows::Even(self.block_len / count))
    }

    fn cut_by(&self, lengths: Raw<'_>, count: usize) -> Result<Vec<Option<VectorRange>>> {
        let actual = lengths.elements().count();
        if actual != count {
            let message = format!("`lengths` has {actual} entries for {count} elements");
            return Err(Error::invalid("lengths", message)
                .with("actual", actual)
                .with("expected", count));
        }
        let mut start = 0;
        let mut ranges = Vec::with_capacity(count);
        for raw in lengths.elements() {
            if raw.get() == "-1" {
                ranges.push(None);
                continue;
            }
            let len = value::integer("lengths", raw)? as usize;
            // Each length is at most 2^53: the sum stays far from overflow while it is bounded.
            if len > self.block_len - start {
                return Err(self.wrong_sum("more than"));
            }
            ranges.push(Some(VectorRange { start, len }));
            start += len;
        }
        if start < self.block_len {
            return Err(self.wrong_sum(&format!("{start}, less than")));
        }
        Ok(ranges)
    }

    fn wrong_sum(&self, sum: &str) -> Error {
        let message = format!(
            "`lengths` sum to {sum} the block's {} numbers",
            self.block_len
        );
        Error::invalid("lengths", message).with("numbers", self.block_len)
    }

    /// Takes the numbers of further elements.
    pub(super) fn numbers(&self) -> Numbers {
        Numbers {
            values: Vec::new(),
            first: self.block_len,
        }
    }

    /// Makes room for so many numbers of elements.
    pub(super) fn reserve(&mut self, numbers: usize) {
        self.vectors.values.reserve_exact(numbers);
    }

    /// Adds the numbers of some elements, whose vectors stand behind all others from now on.
    pub(super) fn add<'r>(
        &mut self,
        numbers: &Numbers,
        vectors: impl Iterator<Item = &'r mut VectorRange>,
    ) {
        let others = self.vectors.values.len() - self.block_len;
        for range in vectors.filter(|range| range.start >= self.block_len) {
            range.start += others;
        }
        self.vectors.values.extend_from_slice(&numbers.values);
    }

    /// All numbers, once every element has its vector.
    pub(super) fn take(&mut self) -> Vectors {
        std::mem::take(&mut self.vectors)
    }

    /// The whole block, where its rows are not this request's to cut.
    pub(super) fn take_whole(&mut self) -> Vec<f32> {
        self.is_cut = true;
        self.take().values
    }

    /// Refuses a block that the request had no place for.
    pub(super) fn finish(&self, verb: &str) -> Result<()> {
        if self.block_len > 0 && !self.is_cut {
            let message = format!("{verb} takes no block, {} numbers came", self.block_len);
            return Err(Error::invalid("block", message).with("numbers", self.block_len));
        }
        Ok(())
    }
}

/// The vectors that stand in elements; their places are counted from the block's end.
#[derive(Default)]
pub(super) struct Numbers {
    values: Vec<f32>,
    first: usize,
}

impl Numbers {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// One element's vector: its row of the block, or the list that stands in the element; not
    /// both.
    pub(super) fn vector(
        &mut self,
        name: &'static str,
        inline: Option<Raw<'_>>,
        row: Option<VectorRange>,
    ) -> Result<Option<VectorRange>> {
        let Some(raw) = inline else { return Ok(row) };
        if row.is_some() {
            let message = format!("`{name}` is given both in the element and in the block");
            return Err(Error::invalid(name, message));
        }
        let start = self.first + self.values.len();
        let len = value::numbers(name, raw, &mut self.values)?;
        Ok(Some(VectorRange { start, len }))
    }
}
