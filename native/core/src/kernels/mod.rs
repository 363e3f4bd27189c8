//! Vector kernels: int8 dots, 1-bit scans and exact float scores; the only unsafe code of the
//! engine.
//!
//! A [`Kernels`] is made only after the processor was asked what it can do, so to hold one is
//! the proof that calling is sound; every call dispatches once, to a whole loop. All instruction
//! sets give the same bits (`scalar` is the specification): integer dots, and floats in one fixed
//! order. The graph's bytes depend on this.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod arena;
pub mod float;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod four_rows;
mod gathered;
mod pages;
mod panels;
mod rows;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
use std::fmt;
use std::sync::OnceLock;

pub use arena::Arena;
pub use gathered::GatheredRows;
pub use panels::{PanelQuery, Panels, ScoreSum};
pub use rows::{CodeRows, ROWS_AT_ONCE};

use crate::record::Slot;
use gathered::FourFactors;

/// The environment variable that lowers the choice of [`Kernels::detect`].
const INSTRUCTION_SET_VARIABLE: &str = "VOLLEY_INSTRUCTION_SET";

/// A family of instructions, for each kind of processor from the least to the most capable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstructionSet {
    /// Portable Rust.
    Scalar,
    /// x86-64 with AVX2 and POPCNT: 256 bits.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, VNNI and VPOPCNTDQ: 512 bits.
    Avx512,
    /// 64-bit ARM with NEON: 128 bits.
    Neon,
    /// 64-bit ARM with NEON and the dot product extension: 128 bits.
    NeonDotprod,
}

impl InstructionSet {
    /// Every instruction set, the least capable first.
    const ALL: [InstructionSet; 5] = [
        InstructionSet::Scalar,
        InstructionSet::Avx2,
        InstructionSet::Avx512,
        InstructionSet::Neon,
        InstructionSet::NeonDotprod,
    ];

    fn as_str(self) -> &'static str {
        match self {
            InstructionSet::Scalar => "scalar",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
            InstructionSet::Neon => "neon",
            InstructionSet::NeonDotprod => "neon_dotprod",
        }
    }

    /// Whether this processor (and this build) can run it.
    fn is_available(self) -> bool {
        match self {
            InstructionSet::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => {
                is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("popcnt")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            #[cfg(target_arch = "aarch64")]
            InstructionSet::Neon => is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "aarch64")]
            InstructionSet::NeonDotprod => {
                is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod")
            }
            // The instruction sets of other kinds of processors.
            _ => false,
        }
    }
}

impl fmt::Display for InstructionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The kernels of one instruction set that this processor has.
#[derive(Clone, Copy, Debug)]
pub struct Kernels {
    instruction_set: InstructionSet,
}

/// Asks the processor to bring a list near: a hint that waits for nothing.
#[inline]
pub fn prefetch<T>(list: &[T]) {
    let per_line = (rows::LINE_BYTES / size_of::<T>().max(1)).max(1);
    list.iter()
        .step_by(per_line)
        .for_each(rows::prefetch_line_of);
}

/// Calls the function of this name in the module of the instruction set.
macro_rules! dispatch {
    ($kernels:ident, $function:ident($($argument:expr),*)) => {
        match $kernels.instruction_set {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a `Kernels` with AVX2 is made only where the processor has AVX2.
            InstructionSet::Avx2 => unsafe { x86_64::avx2::$function($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above, for AVX-512 with all of the extensions that its functions enable.
            InstructionSet::Avx512 => unsafe { x86_64::avx512::$function($($argument),*) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: a `Kernels` with NEON is made only where the processor has NEON.
            InstructionSet::Neon => unsafe { aarch64::neon::$function($($argument),*) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above, for NEON with the dot product extension.
            InstructionSet::NeonDotprod => unsafe {
                aarch64::dotprod::$function($($argument),*)
            },
            _ => scalar::$function($($argument),*),
        }
    };
}

/// What [`Kernels::encode`] returns beside the codes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Encoded {
    /// Value of one code step: `value` is about `code * scale`.
    pub scale: f32,
    /// Sum of the squares of the codes.
    pub square_sum: i32,
}

/// What [`Kernels::bit_dots`] tells of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitDot {
    /// The sum of the query's numbers over the bits that are set.
    pub dot: u32,
    /// The two words of eight bytes behind those bits, the first byte of each in its lowest
    /// bits; zero behind the row's end.
    pub behind: [u64; 2],
}

/// Bits of each number of a query for [`Kernels::bit_dots`].
pub const BIT_PLANES: usize = 4;

/// A query for [`Kernels::distances`].
#[derive(Clone, Debug, PartialEq)]
pub struct CodeQuery {
    /// The query's codes, zeros up to [`CodeRows::row_bytes`].
    pub codes: Vec<i8>,
    /// Value of one code step, times what the metric asks for.
    pub scale: f32,
    /// What the metric adds for the query.
    pub bias: f32,
}

impl Kernels {
    /// The best kernels that this processor can run, chosen at the first call.
    ///
    /// The environment variable `VOLLEY_INSTRUCTION_SET` (`scalar`, `avx2`, `avx512`, `neon` or
    /// `neon_dotprod`) lowers the choice; a set that the processor lacks, or another value,
    /// changes nothing.
    pub fn detect() -> Kernels {
        static DETECTED: OnceLock<Kernels> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let wanted = std::env::var(INSTRUCTION_SET_VARIABLE).ok();
            Kernels::choose(&Kernels::available(), wanted.as_deref())
        })
    }

    /// The kernels of every instruction set that this processor can run, scalar first.
    pub fn available() -> Vec<Kernels> {
        let sets = InstructionSet::ALL
            .into_iter()
            .filter(|set| set.is_available());
        sets.map(|instruction_set| Kernels { instruction_set })
            .collect()
    }

    fn choose(available: &[Kernels], wanted: Option<&str>) -> Kernels {
        let named = available
            .iter()
            .find(|kernels| Some(kernels.instruction_set.as_str()) == wanted);
        let chosen = named.or(available.last()).copied();
        chosen.unwrap_or(Kernels {
            instruction_set: InstructionSet::Scalar,
        })
    }

    /// The instruction set that these kernels use.
    pub fn instruction_set(self) -> InstructionSet {
        self.instruction_set
    }

    /// Turns a vector into symmetric int8 codes: `scale = max|x| / 127` and
    /// `code = round_ties_even(x * (127 / max|x|))`, within -127..=127.
    ///
    /// The vector's numbers are finite; a zero vector (or one with no number above 4e-37) has
    /// scale 0 and zero codes. Codes behind the vector's length are zeroed.
    ///
    /// # Panics
    /// If there are fewer codes than numbers.
    pub fn encode(self, vector: &[f32], codes: &mut [i8]) -> Encoded {
        assert!(
            codes.len() >= vector.len(),
            "{} codes for {}",
            codes.len(),
            vector.len()
        );
        dispatch!(self, encode(vector, codes))
    }

    /// The dot product of two rows of codes in -127..=127; of the shorter length, if they differ.
    pub fn dot_codes(self, left: &[i8], right: &[i8]) -> i32 {
        dispatch!(self, dot_codes(left, right))
    }

    /// `out[i]` = dot product of `query` and the row of `slots[i]`.
    ///
    /// The query's codes are within -127..=127 and padded with zeros to [`CodeRows::row_bytes`].
    ///
    /// # Panics
    /// If the query is not as long as a row, or `out` not as long as `slots`.
    pub fn dot_rows(self, query: &[i8], rows: &CodeRows, slots: &[Slot], out: &mut [i32]) {
        self.dots(query, rows, slots, true, out);
    }

    /// As [`Kernels::dot_rows`]; rows that are `far` are asked for ahead, which costs a little
    /// where they are not.
    fn dots(self, query: &[i8], rows: &CodeRows, slots: &[Slot], far: bool, out: &mut [i32]) {
        assert_eq!(query.len(), rows.row_bytes(), "codes of the query");
        assert_eq!(out.len(), slots.len(), "dots for the slots");
        dispatch!(self, dot_rows(query, rows, slots, far, out));
    }

    /// `out[i]` = distance of the query to the row of `slots[i]`, with `dot` their dot product:
    /// `(query.bias + row.bias) - dot * (query.scale * row.scale)`, in this order of operations.
    ///
    /// # Panics
    /// As [`Kernels::dot_rows`].
    #[inline]
    pub fn distances(self, query: &CodeQuery, rows: &CodeRows, slots: &[Slot], out: &mut [f32]) {
        let scale_and_bias = (query.scale, query.bias);
        self.distances_of(&query.codes, scale_and_bias, rows, slots, true, out);
    }

    /// As [`Kernels::distances`], to rows that were asked for before with [`CodeRows::prefetch`].
    ///
    /// # Panics
    /// As [`Kernels::dot_rows`].
    #[inline]
    pub fn distances_asked(
        self,
        query: &CodeQuery,
        rows: &CodeRows,
        slots: &[Slot],
        out: &mut [f32],
    ) {
        let scale_and_bias = (query.scale, query.bias);
        self.distances_of(&query.codes, scale_and_bias, rows, slots, false, out);
    }

    /// As [`Kernels::distances`], from a row of the arena, whose codes are read where they are.
    ///
    /// # Panics
    /// If `out` is not as long as `slots`.
    #[inline]
    pub fn distances_from(self, slot: Slot, rows: &CodeRows, slots: &[Slot], out: &mut [f32]) {
        let scale_and_bias = rows.scale_and_bias(slot);
        self.distances_of(rows.codes(slot), scale_and_bias, rows, slots, true, out);
    }

    /// As [`Kernels::distances_from`], to rows that were read just before.
    ///
    /// # Panics
    /// If `out` is not as long as `slots`.
    #[inline]
    pub fn distances_among(self, slot: Slot, rows: &CodeRows, slots: &[Slot], out: &mut [f32]) {
        let scale_and_bias = rows.scale_and_bias(slot);
        self.distances_of(rows.codes(slot), scale_and_bias, rows, slots, false, out);
    }

    /// Looks for gathered rows that are near a row of the arena, as distance, times `stretch`, goes
    /// below `bound`; returns the place of the four rows one of which is, the first such.
    #[inline]
    pub fn first_near(
        self,
        slot: Slot,
        rows: &CodeRows,
        gathered: &GatheredRows,
        stretch: f32,
        bound: f32,
    ) -> Option<usize> {
        let (scale, bias) = rows.scale_and_bias(slot);
        let is_near = |factors: &FourFactors, dots: [i32; ROWS_AT_ONCE]| {
            let near: [bool; ROWS_AT_ONCE] = std::array::from_fn(|place| {
                let product = dots[place] as f32 * (scale * factors.scales[place]);
                stretch * ((bias + factors.biases[place]) - product) < bound
            });
            near[0] | near[1] | near[2] | near[3]
        };
        let codes = rows.codes(slot);
        dispatch!(self, first_near(codes, gathered, is_near))
    }

    fn distances_of(
        self,
        codes: &[i8],
        (scale, bias): (f32, f32),
        rows: &CodeRows,
        slots: &[Slot],
        far: bool,
        out: &mut [f32],
    ) {
        // The dots pass through `out` itself, so that a list of any length is one loop.
        // SAFETY: i32 and f32 have the same size and alignment, and any bits are valid for both.
        let dots =
            unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<i32>(), out.len()) };
        self.dots(codes, rows, slots, far, dots);
        for (out, &slot) in out.iter_mut().zip(slots) {
            let dot = out.to_bits().cast_signed();
            let (row_scale, row_bias) = rows.scale_and_bias(slot);
            *out = (bias + row_bias) - dot as f32 * (scale * row_scale);
        }
    }

    /// The signs of row minus center, both decoded: bit `i` of word `w` is
    /// `codes[k] * scale > center[k] * center_scale` for `k = 32 w + i`.
    ///
    /// Fewer words take fewer dimensions; bits beyond the shorter of the two rows are zero.
    pub fn residual_signs(
        self,
        codes: &[i8],
        scale: f32,
        center: &[i8],
        center_scale: f32,
        words: &mut [u32],
    ) {
        dispatch!(
            self,
            residual_signs(codes, scale, center, center_scale, words)
        );
    }

    /// As [`Kernels::residual_signs`], for a row of the arena minus a center.
    pub fn row_signs(self, slot: Slot, rows: &CodeRows, center: &CodeQuery, words: &mut [u32]) {
        let (scale, _) = rows.scale_and_bias(slot);
        self.residual_signs(rows.codes(slot), scale, &center.codes, center.scale, words);
    }

    /// `out[i]` = the sum of a query's numbers, each of [`BIT_PLANES`] bits, over the bits that
    /// are set in the row of `slots[i]`, and what stands behind those bits.
    ///
    /// Bit `b` of the number for bit `k` of a row is bit `k % 64` of `planes[k / 64][b]`; bit `k`
    /// of a row is bit `k % 8` of its byte `k / 8`.
    ///
    /// # Panics
    /// If `out` is not as long as `slots`.
    pub fn bit_dots(
        self,
        planes: &[[u64; BIT_PLANES]],
        rows: &CodeRows,
        slots: &[Slot],
        out: &mut [BitDot],
    ) {
        assert_eq!(out.len(), slots.len(), "dots for the slots");
        dispatch!(self, bit_dots(planes, rows, slots, out));
    }

    /// Estimates how near every member is to each of one to four queries: a larger score is
    /// nearer; see the module `panels` for the estimate.
    ///
    /// `scores[i]` becomes the scores of `queries[i]`, one per member in order of place; the
    /// `i`-th sum is over the same scores.
    ///
    /// # Panics
    /// If there are more than four queries, fewer score vectors than queries, or a query whose
    /// words are not as many as a member's.
    pub fn panel_scores(
        self,
        panels: &Panels,
        queries: &[PanelQuery<'_>],
        scores: &mut [Vec<f32>],
    ) -> [ScoreSum; 4] {
        assert!(
            queries.len() <= 4 && queries.len() <= scores.len(),
            "{} queries",
            queries.len()
        );
        let padded = panels.len().next_multiple_of(panels::PANEL_MEMBERS);
        for (query, scores) in queries.iter().zip(scores.iter_mut()) {
            assert_eq!(
                query.words.len(),
                panels.words_per_member(),
                "words of a query"
            );
            scores.resize(padded, 0.0);
        }
        let scores = &mut scores[..queries.len()];
        let sums = dispatch!(self, panel_scores(panels, queries, scores));
        for scores in scores {
            scores.truncate(panels.len());
        }
        sums
    }

    /// Marks the scores that reach the threshold, and counts them.
    ///
    /// Bit `b` of `masks[w]` stands for `scores[64 w + b]`; `masks` is resized to what is needed.
    pub fn at_least(self, scores: &[f32], threshold: f32, masks: &mut Vec<u64>) -> usize {
        masks.clear();
        masks.resize(scores.len().div_ceil(64), 0);
        dispatch!(self, at_least(scores, threshold, masks))
    }
}
