//! Each kernel on each instruction set that this processor has, at 384 and 768 dimensions.
//!
//! Throughput is counted in pairs (rows, members, vectors), so that its inverse is the cost of
//! one. Every answer is compared with the scalar one before it is measured.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    Bencher, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use simsimd::SpatialSimilarity;
use volley_core::kernels::{
    BIT_PLANES, BitDot, CodeQuery, CodeRows, GatheredRows, Kernels, PanelQuery, Panels, float,
};

const DIMENSIONS: [usize; 2] = [384, 768];
/// Rows that stay in a cache, as the candidates of one insertion do.
const ROWS: usize = 64;
/// Rows far beyond every cache, as the steps of a search find them.
const FAR_ROWS: usize = 200_000;
const MEMBERS: usize = 1024;
const QUERIES: usize = 4;

/// A cheap seeded sequence of numbers in -1..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    }

    fn vector(&mut self, dimension: usize) -> Vec<f32> {
        (0..dimension).map(|_| self.next()).collect()
    }

    fn words(&mut self, count: usize) -> Vec<u32> {
        (0..count)
            .map(|_| self.next().to_bits().wrapping_mul(0x9e37_79b9))
            .collect()
    }
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn scalar() -> Kernels {
    Kernels::available()[0]
}

fn measure(
    group: &mut Group<'_>,
    kernels: Kernels,
    dimension: usize,
    body: impl FnMut(&mut Bencher<'_, WallTime>),
) {
    group.bench_function(
        BenchmarkId::new(kernels.instruction_set().to_string(), dimension),
        body,
    );
}

fn filled_rows(numbers: &mut Numbers, dimension: usize, count: usize) -> CodeRows {
    let rows = CodeRows::new(dimension);
    let mut codes = vec![0; rows.row_bytes()];
    for slot in 0..count {
        let encoded = Kernels::detect().encode(&numbers.vector(dimension), &mut codes);
        rows.write(slot as u32, &codes, encoded.scale, 1.0);
    }
    rows
}

fn code_query(numbers: &mut Numbers, dimension: usize, rows: &CodeRows) -> CodeQuery {
    let mut codes = vec![0; rows.row_bytes()];
    let encoded = scalar().encode(&numbers.vector(dimension), &mut codes);
    CodeQuery {
        codes,
        scale: encoded.scale,
        bias: 1.0,
    }
}

fn two_rows(seed: u64, dimension: usize) -> [Vec<i8>; 2] {
    let rows = filled_rows(&mut Numbers(seed), dimension, 2);
    [0, 1].map(|slot| {
        let mut codes = vec![0; dimension];
        rows.read(slot, &mut codes);
        codes
    })
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for dimension in DIMENSIONS {
        let vector = Numbers(1).vector(dimension);
        let mut expected = vec![0; dimension];
        scalar().encode(&vector, &mut expected);
        for kernels in Kernels::available() {
            let mut codes = vec![0; dimension];
            kernels.encode(&vector, &mut codes);
            assert_eq!(codes, expected);
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| kernels.encode(black_box(&vector), &mut codes));
            });
        }
    }
}

fn dot_codes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dot_codes");
    for dimension in DIMENSIONS {
        let [left, right] = &two_rows(2, dimension);
        for kernels in Kernels::available() {
            assert_eq!(
                kernels.dot_codes(left, right),
                scalar().dot_codes(left, right)
            );
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| kernels.dot_codes(black_box(left), black_box(right)));
            });
        }
    }
}

fn dot_rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dot_rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    for dimension in DIMENSIONS {
        let mut numbers = Numbers(3);
        let rows = filled_rows(&mut numbers, dimension, ROWS);
        let query = code_query(&mut numbers, dimension, &rows).codes;
        let slots: Vec<u32> = (0..ROWS as u32).rev().collect();
        let mut expected = vec![0; ROWS];
        scalar().dot_rows(&query, &rows, &slots, &mut expected);
        for kernels in Kernels::available() {
            let mut dots = vec![0; ROWS];
            kernels.dot_rows(&query, &rows, &slots, &mut dots);
            assert_eq!(dots, expected);
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| kernels.dot_rows(&query, &rows, black_box(&slots), &mut dots));
            });
        }
    }
}

/// Lists of 32 rows scattered over an arena that no cache holds: what a search step costs.
fn distances_from_memory(criterion: &mut Criterion) {
    const LIST: usize = 32;
    let mut group = criterion.benchmark_group("distances_from_memory");
    group.throughput(Throughput::Elements(LIST as u64));
    for dimension in DIMENSIONS {
        let mut numbers = Numbers(4);
        let rows = filled_rows(&mut numbers, dimension, FAR_ROWS);
        let query = code_query(&mut numbers, dimension, &rows);
        let slots: Vec<u32> = (0..FAR_ROWS as u64)
            .map(|place| (place * 7_919_777 % FAR_ROWS as u64) as u32)
            .collect();
        for kernels in Kernels::available() {
            let mut lists = slots.chunks_exact(LIST).cycle();
            let mut distances = vec![0.0; LIST];
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| {
                    let list = lists.next().unwrap_or_default();
                    kernels.distances(black_box(&query), &rows, list, &mut distances);
                });
            });
        }
    }
}

/// The choice of a row's neighbors: each of 24 rows of a large arena against 16 that were chosen
/// before, where those stand in the arena and gathered from it.
fn first_near(criterion: &mut Criterion) {
    const CHOSEN: usize = 16;
    const OTHERS: usize = 24;
    let mut group = criterion.benchmark_group("first_near");
    group.throughput(Throughput::Elements((CHOSEN * OTHERS) as u64));
    for dimension in DIMENSIONS {
        let rows = filled_rows(&mut Numbers(4), dimension, FAR_ROWS);
        let slots: Vec<u32> = (0..CHOSEN + OTHERS)
            .map(|place| (place * 7_919_777 % FAR_ROWS) as u32)
            .collect();
        let (chosen, others) = slots.split_at(CHOSEN);
        let mut gathered = GatheredRows::default();
        for kernels in Kernels::available() {
            measure(&mut group, kernels, dimension, |bencher| {
                let mut distances = vec![0.0; CHOSEN];
                bencher.iter(|| {
                    for &slot in others {
                        kernels.distances_among(black_box(slot), &rows, chosen, &mut distances);
                        assert!(!distances.iter().any(|&distance| distance < f32::MIN));
                    }
                });
            });
            let id = format!("{}, gathered", kernels.instruction_set());
            group.bench_function(BenchmarkId::new(id, dimension), |bencher| {
                bencher.iter(|| {
                    gathered.clear_for(&rows);
                    let chosen = black_box(chosen).iter();
                    chosen.for_each(|&slot| gathered.push(&rows, slot));
                    for &slot in others {
                        let near = kernels.first_near(slot, &rows, &gathered, 1.0, f32::MIN);
                        assert_eq!(black_box(near), None);
                    }
                });
            });
        }
    }
}

/// The first look of a search: signs of rows against numbers of four bits.
fn bit_dots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bit_dots");
    group.throughput(Throughput::Elements(ROWS as u64));
    for dimension in DIMENSIONS {
        let mut numbers = Numbers(9);
        let rows = filled_rows(&mut numbers, dimension / 8, ROWS);
        let slots: Vec<u32> = (0..ROWS as u32).collect();
        let planes: Vec<[u64; BIT_PLANES]> = (0..dimension / 64)
            .map(|_| std::array::from_fn(|_| u64::from(numbers.words(1)[0]) * 0x1_0000_0001))
            .collect();
        let mut expected = vec![BitDot::default(); ROWS];
        scalar().bit_dots(&planes, &rows, &slots, &mut expected);
        for kernels in Kernels::available() {
            let mut dots = vec![BitDot::default(); ROWS];
            kernels.bit_dots(&planes, &rows, &slots, &mut dots);
            assert_eq!(dots, expected);
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| kernels.bit_dots(black_box(&planes), &rows, &slots, &mut dots));
            });
        }
    }
}

fn residual_signs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("residual_signs");
    for dimension in DIMENSIONS {
        let [codes, center] = &two_rows(5, dimension);
        let mut expected = vec![0; dimension / 32];
        scalar().residual_signs(codes, 0.01, center, 0.011, &mut expected);
        for kernels in Kernels::available() {
            let mut words = vec![0; dimension / 32];
            kernels.residual_signs(codes, 0.01, center, 0.011, &mut words);
            assert_eq!(words, expected);
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| {
                    kernels.residual_signs(black_box(codes), 0.01, center, 0.011, &mut words);
                });
            });
        }
    }
}

fn panel_scores(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("panel_scores");
    group.throughput(Throughput::Elements((MEMBERS * QUERIES) as u64));
    for dimension in DIMENSIONS {
        let mut numbers = Numbers(6);
        let words = dimension / 32;
        let mut panels = Panels::new(words);
        for _ in 0..MEMBERS {
            panels.push(&numbers.words(words), 1.0);
        }
        let codes: Vec<Vec<u32>> = (0..QUERIES).map(|_| numbers.words(words)).collect();
        let queries: Vec<PanelQuery<'_>> = codes
            .iter()
            .map(|words| PanelQuery { words, norm: 1.0 })
            .collect();
        let mut expected = vec![Vec::new(); QUERIES];
        scalar().panel_scores(&panels, &queries, &mut expected);
        for kernels in Kernels::available() {
            let mut scores = vec![Vec::new(); QUERIES];
            kernels.panel_scores(&panels, &queries, &mut scores);
            assert_eq!(scores, expected);
            measure(&mut group, kernels, dimension, |bencher| {
                bencher.iter(|| kernels.panel_scores(&panels, black_box(&queries), &mut scores));
            });
        }
    }
}

fn at_least(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("at_least");
    group.throughput(Throughput::Elements(MEMBERS as u64));
    let scores = Numbers(7).vector(MEMBERS);
    for kernels in Kernels::available() {
        let mut masks = Vec::new();
        let count = kernels.at_least(&scores, 0.9, &mut masks);
        assert_eq!(count, scores.iter().filter(|&&score| score >= 0.9).count());
        measure(&mut group, kernels, MEMBERS, |bencher| {
            bencher.iter(|| kernels.at_least(black_box(&scores), 0.9, &mut masks));
        });
    }
}

/// The exact scores, beside SimSIMD's.
fn exact(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exact");
    for dimension in DIMENSIONS {
        let mut numbers = Numbers(8);
        let (left, right) = (&numbers.vector(dimension), &numbers.vector(dimension));
        let reference = f32::dot(left, right).unwrap_or(f64::NAN);
        assert!((f64::from(float::dot(left, right)) - reference).abs() < 1e-2);
        let reference = f32::l2sq(left, right).unwrap_or(f64::NAN);
        assert!((f64::from(float::squared_euclidean(left, right)) - reference).abs() < 1e-2);
        group.bench_function(BenchmarkId::new("dot", dimension), |bencher| {
            bencher.iter(|| float::dot(black_box(left), black_box(right)));
        });
        group.bench_function(BenchmarkId::new("dot by simsimd", dimension), |bencher| {
            bencher.iter(|| f32::dot(black_box(left), black_box(right)));
        });
        group.bench_function(
            BenchmarkId::new("squared_euclidean", dimension),
            |bencher| {
                bencher.iter(|| float::squared_euclidean(black_box(left), black_box(right)));
            },
        );
        group.bench_function(
            BenchmarkId::new("squared_euclidean by simsimd", dimension),
            |bencher| {
                bencher.iter(|| f32::l2sq(black_box(left), black_box(right)));
            },
        );
    }
}

criterion_group!(
    kernels,
    encode,
    dot_codes,
    dot_rows,
    distances_from_memory,
    first_near,
    bit_dots,
    residual_signs,
    panel_scores,
    at_least,
    exact
);
criterion_main!(kernels);
