//! One suite for every instruction set: the specification against plain arithmetic, and each
//! set that this processor has against the specification, bit for bit.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SCALAR: Kernels = Kernels {
    instruction_set: InstructionSet::Scalar,
};

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 1usize..=200, 4 => 1usize..=2000, 1 => Just(8192)]
}

/// Codes of every size, with the extremes often enough to meet each other.
fn code() -> impl Strategy<Value = i8> {
    prop_oneof![3 => -127i8..=127, 1 => Just(127), 1 => Just(-127), 1 => Just(0)]
}

fn codes(length: usize) -> impl Strategy<Value = Vec<i8>> {
    vec(code(), length)
}

fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        10 => -1f32..1.0,
        2 => -1e30f32..1e30,
        1 => Just(0.0),
        1 => Just(-0.0),
        1 => Just(1e-42),
    ]
}

fn bits(floats: &[f32]) -> Vec<u32> {
    floats.iter().map(|float| float.to_bits()).collect()
}

/// Rows at scattered slots, in two chunks, with a scale and a bias that follow from the slot.
fn write_rows(rows: &CodeRows, codes: &[Vec<i8>]) -> Vec<Slot> {
    let slots: Vec<Slot> = (0..codes.len())
        .map(|row| (row * 911 % 8192) as Slot)
        .collect();
    for (slot, codes) in slots.iter().zip(codes) {
        rows.write(*slot, codes, 0.01 + *slot as f32 * 1e-5, *slot as f32 * 0.3);
    }
    slots
}

fn padded(codes: &[i8], rows: &CodeRows) -> Vec<i8> {
    let mut padded = codes.to_vec();
    padded.resize(rows.row_bytes(), 0);
    padded
}

/// A query and up to 13 rows of one length.
fn query_and_rows() -> impl Strategy<Value = (Vec<i8>, Vec<Vec<i8>>)> {
    lengths().prop_flat_map(|length| (codes(length), vec(codes(length), 0..14)))
}

#[derive(Clone, Debug)]
struct Leaf {
    members: Vec<(Vec<u32>, f32)>,
    queries: Vec<(Vec<u32>, f32)>,
}

fn leaf() -> impl Strategy<Value = Leaf> {
    let words = prop_oneof![4 => 1usize..=40, 1 => 60usize..=130];
    words.prop_flat_map(|words| {
        let word = prop_oneof![4 => any::<u32>(), 1 => Just(0), 1 => Just(u32::MAX)];
        let member = (vec(word, words), 0f32..4.0);
        (vec(member.clone(), 0..=50), vec(member, 1..=4))
            .prop_map(|(members, queries)| Leaf { members, queries })
    })
}

impl Leaf {
    fn panels(&self) -> Panels {
        let words = self.queries.first().map_or(1, |(words, _)| words.len());
        let mut panels = Panels::new(words);
        for (words, norm_squared) in &self.members {
            panels.push(words, *norm_squared);
        }
        panels
    }

    fn queries(&self) -> Vec<PanelQuery<'_>> {
        self.queries
            .iter()
            .map(|(words, norm)| PanelQuery { words, norm: *norm })
            .collect()
    }
}

fn hamming(left: &[u32], right: &[u32]) -> u32 {
    left.iter()
        .zip(right)
        .map(|(left, right)| (left ^ right).count_ones())
        .sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn encoded_values_are_off_by_at_most_half_a_step(
        vector in lengths().prop_flat_map(|length| vec(number(), length)),
        padding in 0usize..70,
        misalignment in 0usize..4,
    ) {
        let vector = &vector[misalignment.min(vector.len() - 1)..];
        let mut expected = vec![99; vector.len() + padding];
        let encoded = SCALAR.encode(vector, &mut expected);
        let square_sum: i64 = expected.iter().map(|&code| i64::from(code).pow(2)).sum();
        prop_assert_eq!(i64::from(encoded.square_sum), square_sum);
        let step = f64::from(encoded.scale);
        for (place, &code) in expected.iter().enumerate() {
            let value = f64::from(vector.get(place).copied().unwrap_or(0.0));
            let tolerance = step * 0.5001 + 4e-37;
            prop_assert!((f64::from(code) * step - value).abs() <= tolerance);
        }
        for kernels in Kernels::available() {
            let mut codes = vec![99; vector.len() + padding];
            let actual = kernels.encode(vector, &mut codes);
            prop_assert_eq!(actual.scale.to_bits(), encoded.scale.to_bits());
            prop_assert_eq!(actual.square_sum, encoded.square_sum);
            prop_assert_eq!(&codes, &expected, "{}", kernels.instruction_set());
        }
    }

    #[test]
    fn dots_are_exact(
        (query, rows) in query_and_rows(),
        misalignment in 0usize..40,
    ) {
        let from = misalignment.min(query.len());
        let arena = CodeRows::new(query.len());
        let mut slots = write_rows(&arena, &rows);
        slots.push(20_000);
        let exact = |row: &Vec<i8>, from: usize| -> i32 {
            (from..query.len()).map(|k| i32::from(query[k]) * i32::from(row[k])).sum()
        };
        let mut expected: Vec<i32> = rows.iter().map(|row| exact(row, 0)).collect();
        expected.push(0);
        for kernels in Kernels::available() {
            let mut dots = vec![i32::MIN; slots.len()];
            kernels.dot_rows(&padded(&query, &arena), &arena, &slots, &mut dots);
            prop_assert_eq!(&dots, &expected, "{}", kernels.instruction_set());
            for row in &rows {
                let dot = kernels.dot_codes(&query[from..], &row[from..]);
                prop_assert_eq!(dot, exact(row, from), "{}", kernels.instruction_set());
            }
        }
    }

    #[test]
    fn distances_follow_the_formula(
        (query, rows) in query_and_rows(),
        scale in 0f32..0.1,
        bias in -9f32..9.0,
    ) {
        let arena = CodeRows::new(query.len());
        let slots = write_rows(&arena, &rows);
        let query = CodeQuery { codes: padded(&query, &arena), scale, bias };
        let expected: Vec<f32> = (0..rows.len())
            .map(|row| {
                let (row_scale, row_bias) = arena.scale_and_bias(slots[row]);
                let dot = SCALAR.dot_codes(&query.codes, &rows[row]);
                (bias + row_bias) - (dot as f32) * (scale * row_scale)
            })
            .collect();
        for kernels in Kernels::available() {
            let mut distances = vec![f32::NAN; slots.len()];
            kernels.distances(&query, &arena, &slots, &mut distances);
            prop_assert_eq!(bits(&distances), bits(&expected), "{}", kernels.instruction_set());
        }
    }

    #[test]
    fn the_first_near_row_is_found_by_the_distances_in_the_arena(
        (query, rows) in query_and_rows(),
        fewer in 0usize..4,
        stretch in 0.5f32..2.0,
        quantile in 0.0f64..1.0,
    ) {
        let arena = CodeRows::new(query.len());
        let mut slots = write_rows(&arena, &rows);
        slots.push(20_000);
        let asked = slots[0];
        let mut gathered = GatheredRows::default();
        for count in [slots.len(), slots.len() - fewer.min(rows.len()), 0] {
            let slots = &slots[..count];
            gathered.clear_for(&arena);
            slots.iter().for_each(|&slot| gathered.push(&arena, slot));
            for kernels in Kernels::available() {
                let mut distances = vec![f32::NAN; count];
                kernels.distances_from(asked, &arena, slots, &mut distances);
                let mut sorted = distances.clone();
                sorted.sort_by(f32::total_cmp);
                let middle = sorted.get((count as f64 * quantile) as usize).copied();
                let bound = stretch * middle.unwrap_or(1.0);
                let expected = distances.iter().position(|distance| stretch * distance < bound);
                let found = kernels.first_near(asked, &arena, &gathered, stretch, bound);
                prop_assert_eq!(found, expected.map(|place| place / ROWS_AT_ONCE));
            }
        }
    }

    #[test]
    fn residual_signs_compare_the_decoded_values(
        (codes, center) in lengths().prop_flat_map(|length| (codes(length), codes(length))),
        scale in 0f32..0.1,
        center_scale in prop_oneof![Just(0.0), Just(0.05), 0f32..0.1],
        missing_words in 0usize..3,
        spare_words in 0usize..3,
        misalignment in 0usize..40,
    ) {
        let codes = &codes[misalignment.min(codes.len())..];
        let center = &center[..center.len().saturating_sub(misalignment / 2)];
        let words = codes.len().div_ceil(32).saturating_sub(missing_words) + spare_words;
        for kernels in Kernels::available() {
            let mut signs = vec![u32::MAX; words];
            kernels.residual_signs(codes, scale, center, center_scale, &mut signs);
            for dimension in 0..words * 32 {
                let expected = match (codes.get(dimension), center.get(dimension)) {
                    (Some(&code), Some(&center)) => {
                        (code as f32) * scale > (center as f32) * center_scale
                    }
                    _ => false,
                };
                let sign = signs[dimension / 32] >> (dimension % 32) & 1;
                prop_assert_eq!(sign == 1, expected, "{}", kernels.instruction_set());
            }
        }
    }

    #[test]
    fn panel_scores_follow_the_formula(leaf in leaf()) {
        let panels = leaf.panels();
        let mut expected = vec![vec![7.0; 3]; 4];
        let sums = SCALAR.panel_scores(&panels, &leaf.queries(), &mut expected);
        let dimension = (panels.words_per_member() * 32) as f32;
        for (query, scores) in leaf.queries().iter().zip(&expected) {
            prop_assert_eq!(scores.len(), leaf.members.len());
            for ((words, norm_squared), score) in leaf.members.iter().zip(scores) {
                let cosine = 1.0 - hamming(words, query.words) as f32 * (2.0 / dimension);
                let factor = norm_squared.sqrt() * std::f32::consts::PI;
                let formula = (factor * query.norm) * cosine - norm_squared;
                prop_assert_eq!(score.to_bits(), formula.to_bits());
            }
        }
        for (query, sum) in sums.iter().enumerate() {
            let scores = if query < leaf.queries.len() { &expected[query][..] } else { &[] };
            let exact: f64 = scores.iter().map(|&score| f64::from(score)).sum();
            let squares: f64 = scores.iter().map(|&score| f64::from(score).powi(2)).sum();
            let tolerance = 1e-4 * (1.0 + squares);
            prop_assert!((f64::from(sum.sum) - exact).abs() <= tolerance);
            prop_assert!((f64::from(sum.square_sum) - squares).abs() <= tolerance);
        }
        for kernels in Kernels::available() {
            let mut scores = vec![vec![7.0; 3]; 4];
            let actual = kernels.panel_scores(&panels, &leaf.queries(), &mut scores);
            for (actual, expected) in actual.iter().zip(sums) {
                prop_assert_eq!(actual.sum.to_bits(), expected.sum.to_bits());
                prop_assert_eq!(actual.square_sum.to_bits(), expected.square_sum.to_bits());
            }
            for (scores, expected) in scores.iter().zip(&expected) {
                prop_assert_eq!(bits(scores), bits(expected), "{}", kernels.instruction_set());
            }
        }
    }

    #[test]
    fn bit_dots_sum_the_numbers_of_the_bits_that_are_set(
        (numbers, rows) in (1usize..20).prop_flat_map(|words| {
            (vec(0u8..16, words * 64), vec(vec(any::<i8>(), words * 8 + 16), 1..9))
        }),
    ) {
        let arena = CodeRows::new(rows[0].len());
        let slots = write_rows(&arena, &rows);
        let mut planes = vec![[0u64; BIT_PLANES]; numbers.len() / 64];
        for (bit, number) in numbers.iter().enumerate() {
            for (plane, word) in planes[bit / 64].iter_mut().enumerate() {
                *word |= u64::from(number >> plane & 1) << (bit % 64);
            }
        }
        let is_set = |row: &[i8], bit: usize| row[bit / 8].cast_unsigned() >> (bit % 8) & 1 == 1;
        let expected: Vec<BitDot> = rows
            .iter()
            .map(|row| {
                let set = (0..numbers.len()).filter(|&bit| is_set(row, bit));
                let behind: &[[i8; 8]] = row[numbers.len() / 8..].as_chunks().0;
                BitDot {
                    dot: set.map(|bit| u32::from(numbers[bit])).sum(),
                    behind: [0, 1].map(|place| u64::from_le_bytes(behind[place].map(i8::cast_unsigned))),
                }
            })
            .collect();
        for kernels in Kernels::available() {
            let mut dots = vec![BitDot::default(); slots.len()];
            kernels.bit_dots(&planes, &arena, &slots, &mut dots);
            prop_assert_eq!(&dots, &expected);
        }
    }

    #[test]
    fn at_least_marks_what_reaches_the_threshold(
        scores in vec(prop_oneof![4 => -1f32..1.0, 1 => Just(0.25)], 0..300),
        threshold in prop_oneof![Just(0.25), Just(f32::NEG_INFINITY), -1f32..1.0],
        misalignment in 0usize..8,
    ) {
        let scores = &scores[misalignment.min(scores.len())..];
        for kernels in Kernels::available() {
            let mut masks = vec![u64::MAX; 9];
            let count = kernels.at_least(scores, threshold, &mut masks);
            prop_assert_eq!(masks.len(), scores.len().div_ceil(64));
            for place in 0..masks.len() * 64 {
                let expected = scores.get(place).is_some_and(|&score| score >= threshold);
                let marked = masks[place / 64] >> (place % 64) & 1 == 1;
                prop_assert_eq!(marked, expected, "{}", kernels.instruction_set());
            }
            prop_assert_eq!(count, scores.iter().filter(|&&score| score >= threshold).count());
        }
    }
}

#[test]
fn every_panel_length_and_count_of_queries_is_the_same_on_every_set() {
    for members in 0..=50u32 {
        let member = |seed: u32| {
            let word = |k: u32| {
                (seed + 1)
                    .wrapping_mul(0x9e37_79b9)
                    .rotate_left(seed + 7 * k)
            };
            ((0..33).map(word).collect::<Vec<u32>>(), seed as f32 * 0.37)
        };
        for queries in 0..=4 {
            let leaf = Leaf {
                members: (0..members).map(member).collect(),
                queries: (100..100 + queries).map(member).collect(),
            };
            let mut panels = Panels::new(33);
            for (words, norm_squared) in &leaf.members {
                panels.push(words, *norm_squared);
            }
            let mut expected = vec![Vec::new(); 4];
            let sums = SCALAR.panel_scores(&panels, &leaf.queries(), &mut expected);
            for kernels in Kernels::available() {
                let mut scores = vec![Vec::new(); 4];
                assert_eq!(
                    kernels.panel_scores(&panels, &leaf.queries(), &mut scores),
                    sums
                );
                assert_eq!(scores, expected);
            }
        }
    }
}

#[test]
fn extreme_codes_do_not_saturate() {
    for length in [64, 384, 8192] {
        let arena = CodeRows::new(length);
        arena.write(0, &vec![127; length], 1.0, 0.0);
        arena.write(1, &vec![-127; length], 1.0, 0.0);
        let largest = 127 * 127 * length as i32;
        for kernels in Kernels::available() {
            for (code, signs) in [(127, [1, -1]), (-127, [-1, 1])] {
                let mut dots = [0; 2];
                kernels.dot_rows(&vec![code; length], &arena, &[0, 1], &mut dots);
                assert_eq!(dots, signs.map(|sign| sign * largest));
            }
        }
    }
}

#[test]
fn a_vector_without_magnitude_has_no_scale() {
    for kernels in Kernels::available() {
        for vector in [vec![0.0; 40], vec![-0.0; 3], vec![1e-40; 33], Vec::new()] {
            let mut codes = vec![1; 50];
            assert_eq!(kernels.encode(&vector, &mut codes), Encoded::default());
            assert_eq!(codes, [0; 50]);
        }
    }
}

#[test]
fn the_choice_can_only_be_lowered() {
    let set = |instruction_set| Kernels { instruction_set };
    let machine = [set(InstructionSet::Scalar), set(InstructionSet::Avx2)];
    let choice = |wanted| Kernels::choose(&machine, wanted).instruction_set();
    assert_eq!(choice(None), InstructionSet::Avx2);
    assert_eq!(choice(Some("scalar")), InstructionSet::Scalar);
    assert_eq!(choice(Some("avx2")), InstructionSet::Avx2);
    assert_eq!(choice(Some("avx512")), InstructionSet::Avx2);
    assert_eq!(choice(Some("sse9")), InstructionSet::Avx2);
}
