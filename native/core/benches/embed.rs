//! Retrieval and speed of the built-in embedder over a folder of real texts.
//!
//! `VOLLEY_DATA` names the folder: `passages.jsonl` with `{text, metadata: {package}}` and
//! `queries.jsonl` with `{text, package}`, one object a line. `VOLLEY_QUERIES` may name another
//! file of queries. Without the folder there is nothing to measure, and the bench says so.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::Instant;

use rayon::prelude::*;
use serde_json::Value;
use simsimd::SpatialSimilarity;
use volley_core::embed::{Lexical, Statistics};

const DIMENSIONS: [usize; 6] = [256, 384, 512, 768, 1024, 1536];
const LIMIT: usize = 10;

type Failure = Box<dyn std::error::Error>;

/// Texts, and the package that each one describes.
struct Texts {
    texts: Vec<String>,
    packages: Vec<String>,
}

fn main() -> Result<(), Failure> {
    let Some(folder) = std::env::var_os("VOLLEY_DATA") else {
        println!("set VOLLEY_DATA to a folder with passages.jsonl and queries.jsonl");
        return Ok(());
    };
    let folder = Path::new(&folder);
    let passages = read(&folder.join("passages.jsonl"))?;
    let queries = match std::env::var_os("VOLLEY_QUERIES") {
        Some(path) => read(Path::new(&path))?,
        None => read(&folder.join("queries.jsonl"))?,
    };
    let started = Instant::now();
    let mut statistics = Statistics::new();
    passages.texts.iter().for_each(|text| statistics.add(text));
    let rate = passages.texts.len() as f64 / started.elapsed().as_secs_f64();
    println!(
        "statistics: {rate:.0} documents/s, {} bytes",
        statistics.encode().len()
    );
    for dimension in DIMENSIONS {
        measure(dimension, &passages, &queries, &statistics)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Texts, Failure> {
    let mut texts = Texts {
        texts: Vec::new(),
        packages: Vec::new(),
    };
    for line in std::fs::read_to_string(path)?.lines() {
        let object: Value = serde_json::from_str(line)?;
        let package = &object["package"];
        let package = if package.is_null() {
            &object["metadata"]["package"]
        } else {
            package
        };
        texts
            .texts
            .push(object["text"].as_str().unwrap_or_default().to_owned());
        texts
            .packages
            .push(package.as_str().unwrap_or_default().to_owned());
    }
    Ok(texts)
}

fn measure(
    dimension: usize,
    passages: &Texts,
    queries: &Texts,
    statistics: &Statistics,
) -> Result<(), Failure> {
    let lexical = Lexical::new(dimension)?;
    let mut rows = vec![0.0; passages.texts.len() * dimension];
    let started = Instant::now();
    for (text, row) in passages.texts.iter().zip(rows.chunks_exact_mut(dimension)) {
        lexical.document(text, row)?;
    }
    let rate = passages.texts.len() as f64 / started.elapsed().as_secs_f64();
    let ranks: Vec<Option<usize>> = (queries.texts.par_iter().zip(&queries.packages))
        .map(|(text, package)| {
            let mut query = vec![0.0; dimension];
            lexical.query(text, statistics, &mut query).ok()?;
            let nearest = nearest(&query, &rows);
            nearest
                .iter()
                .position(|place| passages.packages[*place] == *package)
        })
        .collect();
    let count = queries.texts.len() as f64;
    let hits = ranks.iter().flatten().count() as f64 / count;
    let reciprocal = ranks
        .iter()
        .flatten()
        .map(|rank| 1.0 / (rank + 1) as f64)
        .sum::<f64>()
        / count;
    println!(
        "dimension {dimension}: hit@{LIMIT} {hits:.3}, mean reciprocal rank {reciprocal:.3}, \
         {rate:.0} documents/s on one thread"
    );
    Ok(())
}

/// The first passages by cosine, exact.
fn nearest(query: &[f32], rows: &[f32]) -> Vec<usize> {
    let score = |row| f32::dot(query, row).unwrap_or(f64::MIN);
    let mut scores: Vec<(f64, usize)> =
        rows.chunks_exact(query.len()).map(score).zip(0..).collect();
    let order = |left: &(f64, usize), right: &(f64, usize)| {
        right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
    };
    scores.select_nth_unstable_by(LIMIT, order);
    scores.truncate(LIMIT);
    scores.sort_unstable_by(order);
    scores.into_iter().map(|(_, place)| place).collect()
}
