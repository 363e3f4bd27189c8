//! Rates of folding and searching, with recall beside them.
//!
//! `VOLLEY_DATA` names a folder with `passages.f16.npy`, `queries.f16.npy` (rows of float16) and
//! `neighbors.i32.npy` (exact neighbors of each query, nearest first); without it clustered rows
//! of `VOLLEY_DIMENSION` (384) are generated, `VOLLEY_ROWS` (50000) of them, and `VOLLEY_QUERIES` (500). `VOLLEY_THREADS` (2) build, one searches, `VOLLEY_TOGETHER` (4) queries at a time. `VOLLEY_BLOCKS` (`1000,8192`) are
//! the rows of one fold. `VOLLEY_ORDER=given` folds the rows as they stand, `shuffled` (default)
//! in a fixed random order. `VOLLEY_TURNOVERS` (0): how often all rows are then taken out and
//! folded again, in the order in which they stand in the file, `VOLLEY_TURNED` (5000) at a time.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use volley_core::index::{
    Builder, Candidate, ExactQuery, FoldCounters, Graph, IndexParameters, Metric, RepairCounters,
    Scratch, Search, Selection, search_together,
};
use volley_core::kernels::CodeQuery;

const LIMIT: usize = 10;
const RESCORED: usize = 14;
/// Rows after which the time so far is printed.
const STAGE_ROWS: usize = 100_000;

/// Rows of one length, the queries, and the rows' places that answer each query.
struct Data {
    dimension: usize,
    rows: Vec<f32>,
    queries: Vec<f32>,
    answers: Vec<Vec<u32>>,
    /// The rows' places in the order of the file.
    given: Vec<u32>,
}

fn main() {
    let data = match std::env::var("VOLLEY_DATA") {
        Ok(folder) => read(Path::new(&folder)),
        Err(_) => generate(
            number("VOLLEY_ROWS", 50_000),
            number("VOLLEY_QUERIES", 500),
            number("VOLLEY_DIMENSION", 384),
        ),
    };
    let threads = number("VOLLEY_THREADS", 2);
    let blocks = std::env::var("VOLLEY_BLOCKS").unwrap_or("1000,8192".to_owned());
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    println!(
        "{} rows of {} dimensions",
        data.rows.len() / data.dimension,
        data.dimension
    );
    for block in blocks.split(',').filter_map(|block| block.parse().ok()) {
        let parameters = IndexParameters::new(data.dimension, Metric::Cosine);
        let graph = Arc::new(Graph::new(parameters));
        let mut builder = pool.install(|| build(&data, &graph, block, threads));
        println!("  digest {:016x}", builder.digest());
        for ef in [16, 24, 32, 48, 64, 96, 128, 192, 256] {
            measure(&data, &graph, &builder, ef);
        }
        for turnover in 0..number("VOLLEY_TURNOVERS", 0) {
            pool.install(|| turn_over(&data, &graph, &mut builder, turnover));
            for ef in [32, 64, 128] {
                measure(&data, &graph, &builder, ef);
            }
        }
    }
}

/// Takes all rows out and folds them again, some at a time, rows of one place in the file
/// together: a slot comes back as itself, so the answers stay.
fn turn_over(data: &Data, graph: &Graph, builder: &mut Builder, turnover: usize) {
    let computed_before = computed();
    let mut repairs = RepairCounters::default();
    let turned = number("VOLLEY_TURNED", 5000);
    for slots in data.given.chunks(turned) {
        repairs += builder.repair(slots);
        let rows: Vec<(u32, u64)> = slots
            .iter()
            .map(|&slot| (slot, hash(u64::from(slot) + ((turnover as u64 + 1) << 32))))
            .collect();
        for &(slot, _) in &rows {
            graph.encode(slot, row(&data.rows, data.dimension, slot));
        }
        builder.fold(&rows);
    }
    let count = data.given.len() as f64;
    println!(
        "  turned over in {:.1} us of one core a row, {:.1} us a row of wall time in repairs: {repairs:?}",
        (computed() - computed_before) * 1e6 / count,
        repairs.ms * 1e3 / count,
    );
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn build(data: &Data, graph: &Arc<Graph>, block: usize, threads: usize) -> Builder {
    let mut builder = Builder::new(Arc::clone(graph));
    let mut total = FoldCounters::default();
    let (mut encoding, mut longest) = (0.0, 0f64);
    let count = data.rows.len() / data.dimension;
    let computed_before = computed();
    let start = Instant::now();
    for first in (0..count).step_by(block) {
        let rows: Vec<(u32, u64)> = (first..count.min(first + block))
            .map(|row| (row as u32, hash(row as u64)))
            .collect();
        let encode = Instant::now();
        for &(slot, _) in &rows {
            graph.encode(slot, row(&data.rows, data.dimension, slot));
        }
        encoding += encode.elapsed().as_secs_f64();
        let fold = Instant::now();
        total += builder.fold(&rows);
        if first / STAGE_ROWS != (first + block) / STAGE_ROWS {
            print!(
                "  {} rows, {:.1} s;",
                first + rows.len(),
                start.elapsed().as_secs_f64()
            );
            report_phases(&total);
        }
        longest = longest.max(fold.elapsed().as_secs_f64() / rows.len() as f64);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "blocks of {block}, {threads} threads: {:.0} rows/s folded, {:.0} with encoding \
         ({encoding:.3} s, one thread); slowest block {:.0} rows/s",
        count as f64 / (seconds - encoding),
        count as f64 / seconds,
        1.0 / longest,
    );
    let microseconds = (computed() - computed_before) * 1e6 / count as f64;
    println!("  {microseconds:.1} us of one core a row, with encoding");
    report(&total, count, graph.bytes() + builder.bytes());
    builder
}

fn report_phases(total: &FoldCounters) {
    println!(
        "  ms: leaders {:.0} route {:.0} leaf {:.0} forward {:.0} reverse {:.0} orphans {:.0}",
        total.leaders_ms,
        total.route_ms,
        total.leaf_ms,
        total.forward_ms,
        total.reverse_ms,
        total.orphan_ms,
    );
}

fn report(total: &FoldCounters, count: usize, bytes: usize) {
    report_phases(total);
    let per_row = |counted: usize| counted as f64 / count as f64;
    println!(
        "  a row: routing {:.0}, leaf pairs {:.0}, forward {:.0}, reverse {:.0} in {:.2} prunes, \
         moved {:.1}; {} leaders, {} orphans; {:.0} bytes a row beside the vectors",
        per_row(total.routing_evaluations),
        per_row(total.leaf_pairs),
        per_row(total.forward_evaluations),
        per_row(total.reverse_evaluations),
        per_row(total.reverse_prunes),
        per_row(total.moved),
        total.leaders,
        total.orphans,
        per_row(bytes),
    );
}

/// Answers all queries as the product does: the graph, then exact scores of the best few.
fn measure(data: &Data, graph: &Graph, builder: &Builder, ef: usize) {
    let entry = builder.entry();
    let together = number("VOLLEY_TOGETHER", 4);
    let mut scratches: Vec<Scratch> = (0..together).map(|_| Scratch::default()).collect();
    let queries: Vec<&[f32]> = data.queries.chunks_exact(data.dimension).collect();
    let (mut best, mut least, mut hits, mut evaluations, mut looks) = (0f64, f64::MAX, 0, 0, 0);
    for _ in 0..3 {
        (hits, evaluations, looks) = (0, 0, 0);
        let computed_before = computed();
        let start = Instant::now();
        for (queries, answers) in queries.chunks(together).zip(data.answers.chunks(together)) {
            let codes: Vec<CodeQuery> = queries.iter().map(|query| graph.query(query)).collect();
            let searches: Vec<Search<'_>> = codes
                .iter()
                .map(|query| Search {
                    query,
                    ef,
                    wanted: RESCORED,
                    selection: Selection::All,
                })
                .collect();
            search_together(graph, &entry, &searches, &mut scratches);
            for ((query, answers), scratch) in queries.iter().zip(answers).zip(&scratches) {
                hits += best_of(data, query, scratch.results())
                    .filter(|slot| answers.contains(slot))
                    .count();
                evaluations += scratch.evaluations;
                looks += scratch.looks;
            }
        }
        best = best.max(data.answers.len() as f64 / start.elapsed().as_secs_f64());
        least = least.min((computed() - computed_before) * 1e6 / data.answers.len() as f64);
    }
    println!(
        "  ef {ef:3}: recall@{LIMIT} {:.4}, {best:.0} queries/s on one thread, {least:.0} us of \
         a core, {} looks, {} distances",
        hits as f64 / (LIMIT * data.answers.len()) as f64,
        looks / data.answers.len(),
        evaluations / data.answers.len(),
    );
}

/// The best of what a search found, by exact score.
fn best_of(data: &Data, query: &[f32], found: &[Candidate]) -> impl Iterator<Item = u32> + use<> {
    let asked = ExactQuery::new(Metric::Cosine, query);
    let exact = |found: &Candidate| {
        let vector = row(&data.rows, data.dimension, found.slot);
        (asked.score(vector), found.slot)
    };
    let mut scored: Vec<(f32, u32)> = found.iter().take(RESCORED).map(exact).collect();
    scored.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
    scored.into_iter().take(LIMIT).map(|(_, slot)| slot)
}

/// Seconds that all threads of this process have computed, where the system tells: on a machine
/// that others use too, more to the point than the time that passed.
fn computed() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let times = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e9
}

fn row(rows: &[f32], dimension: usize, slot: u32) -> &[f32] {
    &rows[slot as usize * dimension..(slot as usize + 1) * dimension]
}

/// A well mixed function of a number (splitmix64).
fn hash(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Rows around cluster centers, with exact answers.
fn generate(count: usize, queries: usize, dimension: usize) -> Data {
    let uniform = |seed: u64| (hash(seed) >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
    let clusters = 200;
    let vector = |seed: u64| -> Vec<f32> {
        let cluster = hash(seed) % clusters;
        let own = |place: u64| uniform(seed << 20 ^ place << 1 ^ 1 << 60);
        (0..dimension as u64)
            .map(|place| uniform(cluster << 32 | place) + 0.8 * own(place))
            .collect()
    };
    let rows: Vec<f32> = (0..count as u64).flat_map(vector).collect();
    let queries = (0..queries as u64).map(|query| query + (1 << 30));
    let queries: Vec<f32> = queries.flat_map(vector).collect();
    let answers = queries
        .chunks_exact(dimension)
        .map(|query| {
            let asked = ExactQuery::new(Metric::Cosine, query);
            let scores = rows.chunks_exact(dimension).map(|row| asked.score(row));
            let mut scored: Vec<(f32, u32)> = scores.zip(0..).collect();
            scored.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
            scored.iter().take(LIMIT).map(|&(_, slot)| slot).collect()
        })
        .collect();
    Data {
        dimension,
        rows,
        queries,
        answers,
        given: (0..count as u32).collect(),
    }
}

fn read(folder: &Path) -> Data {
    let (rows, dimension) = read_floats(&folder.join("passages.f16.npy"));
    let (queries, _) = read_floats(&folder.join("queries.f16.npy"));
    let (bytes, width) = read_array(&folder.join("neighbors.i32.npy"));
    let count = rows.len() / dimension;
    let mut order: Vec<u32> = (0..count as u32).collect();
    if std::env::var("VOLLEY_ORDER").as_deref() != Ok("given") {
        order.sort_unstable_by_key(|&place| hash(u64::from(place)));
    }
    let mut place_of = vec![0; count];
    for (place, &original) in (0..).zip(&order) {
        place_of[original as usize] = place;
    }
    let ids: Vec<u32> = bytes
        .chunks_exact(4)
        .map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let answers = ids
        .chunks_exact(width)
        .map(|ids| {
            ids.iter()
                .take(LIMIT)
                .map(|&id| place_of[id as usize])
                .collect()
        })
        .collect();
    let rows = order
        .iter()
        .flat_map(|&original| row(&rows, dimension, original))
        .copied()
        .collect();
    Data {
        dimension,
        rows,
        queries,
        answers,
        given: place_of,
    }
}

/// The bytes of a two-dimensional NumPy array and the length of its rows.
fn read_array(path: &Path) -> (Vec<u8>, usize) {
    let mut bytes = std::fs::read(path).unwrap();
    let header_bytes = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let body = bytes.split_off(10 + header_bytes);
    let header = String::from_utf8_lossy(&bytes[10..]).into_owned();
    let shape = header
        .split("'shape': (")
        .nth(1)
        .and_then(|rest| rest.split(')').next())
        .unwrap();
    (
        body,
        shape.split(',').nth(1).unwrap().trim().parse().unwrap(),
    )
}

fn read_floats(path: &Path) -> (Vec<f32>, usize) {
    let (bytes, width) = read_array(path);
    let halves = bytes
        .chunks_exact(2)
        .map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    (halves.map(half_to_float).collect(), width)
}

/// IEEE float16 bits to the number that they stand for.
fn half_to_float(half: u16) -> f32 {
    let sign = if half >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(half >> 10 & 31);
    let fraction = f32::from(half & 1023) / 1024.0;
    match exponent {
        0 => sign * fraction * 2f32.powi(-14),
        _ => sign * (1.0 + fraction) * 2f32.powi(exponent - 15),
    }
}
