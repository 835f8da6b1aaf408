//! How fast and how exact is the dense index on given vectors? Prints one JSON object a line.
//!
//! `ann_bench ROWS.f32 QUERIES.f32 DIM TRUTH.u32 [hnsw|hnsw-f32|hnsw_rs] M EF_CONSTRUCTION THREADS EF...`: raw
//! little-endian files, row after row; the truth holds for each query the ten nearest rows of all, then the ten
//! nearest of every 2nd, 10th, 100th and 1000th row (those whose number is a multiple).

#![allow(clippy::print_stdout)]

use std::time::Instant;

use quorate_core::{Error, Result};
use quorate_rag::RowSet;
use quorate_rag::index::dense::{DenseIndex, HnswConfig, HnswIndex, Precision};

const K: usize = 10;
const STEPS: [u32; 5] = [1, 2, 10, 100, 1000];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, queries, dim, truth, kind, m, ef_construction, threads, widths @ ..] = &args[..] else {
        return Err(Error::invalid(
            "ROWS.f32 QUERIES.f32 DIM TRUTH.u32 KIND M EF_CONSTRUCTION THREADS EF...",
        ));
    };
    let number = |text: &String| text.parse::<usize>().map_err(|e| Error::invalid(format!("{text}: {e}")));
    let (dim, m, ef_construction, threads) =
        (number(dim)?, number(m)?, number(ef_construction)?, number(threads)?);
    let (vectors, queries) = (floats(rows)?, floats(queries)?);
    let truth: Vec<u32> = words(truth)?.into_iter().map(u32::from_le_bytes).collect();
    let n = (vectors.len() / dim) as u32;
    let rows: Vec<u32> = (0..n).collect();

    let precision = if kind == "hnsw-f32" { Precision::F32 } else { Precision::Int8 };
    let config = HnswConfig { m, ef_construction, precision, ..HnswConfig::default() };
    let start = Instant::now();
    let index: Box<dyn DenseIndex> = if kind == "hnsw_rs" {
        other(dim, config, &rows, &vectors, threads)?
    } else {
        let mut index = HnswIndex::new(dim, config)?;
        index.insert(&rows, &vectors, threads)?;
        let memory = index.memory();
        println!(
            "{{\"rows\": {n}, \"m\": {m}, \"ef_construction\": {ef_construction}, \"threads\": {threads}, \
             \"build_s\": {:.3}, \"codes\": {}, \"graph\": {}, \"connected\": {}}}",
            start.elapsed().as_secs_f64(),
            memory.codes,
            memory.graph,
            index.is_connected()
        );
        Box::new(index)
    };
    if kind == "hnsw_rs" {
        println!("{{\"rows\": {n}, \"build_s\": {:.3}}}", start.elapsed().as_secs_f64());
    }

    let count = queries.len() / dim;
    for (filter, step) in STEPS.into_iter().enumerate() {
        let admit: RowSet = rows.iter().copied().filter(|row| row % step == 0).collect();
        let admit = (step > 1).then_some(&admit);
        for ef in widths {
            let ef = number(ef)?;
            let (mut hits, mut micros) = (0, Vec::new());
            for round in 0..2 {
                for (i, query) in queries.chunks_exact(dim).enumerate() {
                    let start = Instant::now();
                    let got = index.search(query, K, ef, admit)?;
                    let took = start.elapsed().as_secs_f64() * 1e6;
                    if round == 0 {
                        let want = &truth[(filter * count + i) * K..][..K];
                        hits += got.iter().filter(|g| want.contains(&g.row)).count();
                    } else {
                        micros.push(took);
                    }
                }
            }
            let mean = micros.iter().sum::<f64>() / micros.len() as f64;
            micros.sort_by(f64::total_cmp);
            println!(
                "{{\"one_in\": {step}, \"ef\": {ef}, \"recall\": {:.4}, \"per_s\": {:.0}, \"p50_us\": {:.1}, \"p99_us\": {:.1}}}",
                hits as f64 / (count * K) as f64,
                1e6 / mean,
                micros[micros.len() / 2],
                micros[micros.len() * 99 / 100]
            );
        }
    }
    if kind == "hnsw" {
        churn(dim, &vectors, &queries)?;
    }
    Ok(())
}

/// One insertion and publication at a time, as a writer does them, and a snapshot there and back.
fn churn(dim: usize, vectors: &[f32], queries: &[f32]) -> Result<()> {
    let n = vectors.len() / dim;
    let mut index = HnswIndex::new(dim, HnswConfig::default())?;
    index.insert(&(0..n as u32).collect::<Vec<_>>(), vectors, 2)?;
    let mut micros = Vec::new();
    let mut published = index.clone();
    for (i, query) in queries.chunks_exact(dim).take(1000).enumerate() {
        let start = Instant::now();
        index.insert(&[(n + i) as u32], query, 1)?;
        published = index.clone();
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    micros.sort_by(f64::total_cmp);
    let path = std::env::temp_dir().join(format!("ann_bench.{}", std::process::id()));
    let start = Instant::now();
    published.save(&path, 1)?;
    let saved = start.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    let (loaded, _) = HnswIndex::load(&path)?;
    let opened = start.elapsed().as_secs_f64() * 1e3;
    std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
    let start = Instant::now();
    let mut linked = loaded.clone();
    linked.link(1)?;
    println!(
        "{{\"insert_publish_p50_us\": {:.1}, \"insert_publish_max_us\": {:.1}, \"save_ms\": {saved:.0}, \
         \"load_ms\": {opened:.0}, \"link_1000_ms\": {:.0}}}",
        micros[micros.len() / 2],
        micros[micros.len() - 1],
        start.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}

#[cfg(feature = "hnsw-rs")]
fn other(
    dim: usize,
    config: HnswConfig,
    rows: &[u32],
    vectors: &[f32],
    threads: usize,
) -> Result<Box<dyn DenseIndex>> {
    let mut index = quorate_rag::index::dense::HnswRsIndex::new(dim, config)?;
    index.insert(rows, vectors, threads)?;
    Ok(Box::new(index))
}

#[cfg(not(feature = "hnsw-rs"))]
fn other(_: usize, _: HnswConfig, _: &[u32], _: &[f32], _: usize) -> Result<Box<dyn DenseIndex>> {
    Err(Error::new(quorate_core::Code::Unsupported, "built without the feature hnsw-rs"))
}

fn floats(path: &str) -> Result<Vec<f32>> {
    Ok(words(path)?.into_iter().map(f32::from_le_bytes).collect())
}

fn words(path: &str) -> Result<Vec<[u8; 4]>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    Ok(bytes.as_chunks::<4>().0.to_vec())
}
