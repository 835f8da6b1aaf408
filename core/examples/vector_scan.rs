//! How long does an exact scan take? Times scans of vectors in a file on one thread and prints JSON.
//!
//! `vector_scan ROWS.f32 QUERIES.f32 DIM SECONDS`: raw little-endian f32 files, row after row.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use quorate_core::vector::{
    BinaryMatrix, HalfMatrix, Int8Matrix, Matrix, Scan, Scored, instruction_set, nearest, nearest_batch,
    nearest_rescored,
};
use quorate_core::{Error, Result};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().ok_or_else(|| Error::invalid("ROWS.f32 QUERIES.f32 DIM SECONDS"));
    let (rows, queries) = (next()?, next()?);
    let number = |text: String| text.parse::<f64>().map_err(|e| Error::invalid(format!("{text}: {e}")));
    let (dim, seconds) = (number(next()?)? as usize, number(next()?)?);
    let (rows, queries) = (read(&rows, dim)?, read(&queries, dim)?);
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .map_err(|e| Error::invalid(format!("one thread: {e}")))?;

    let mut int8 = Int8Matrix::new(dim);
    let mut f16 = HalfMatrix::<half::f16>::new(dim);
    let mut bits = BinaryMatrix::new(dim);
    for row in rows.iter() {
        int8.push(row)?;
        f16.push(row)?;
        bits.push(row)?;
    }
    println!("{{\"instruction_set\": \"{}\",", instruction_set());
    println!(" \"f32_top10_ms\": {:.4},", time(&rows, &queries, seconds)?);
    println!(" \"f16_top10_ms\": {:.4},", time(&f16, &queries, seconds)?);
    println!(" \"int8_top10_ms\": {:.4},", time(&int8, &queries, seconds)?);
    println!(" \"bits_top10_ms\": {:.4},", time(&bits, &queries, seconds)?);
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed().as_secs_f64() < seconds {
        nearest_rescored(&int8, &rows, queries.row(done % queries.rows()), 10, 4, None)?;
        done += 1;
    }
    println!(" \"int8_rescored_top10_ms\": {:.4},", start.elapsed().as_secs_f64() * 1e3 / done as f64);
    let batch = Matrix::new(queries.as_slice()[..64 * dim].to_vec(), 64, dim)?;
    let start = Instant::now();
    let mut done = 0;
    let mut best: Vec<Vec<Scored>> = Vec::new();
    while start.elapsed().as_secs_f64() < seconds {
        best = one.install(|| nearest_batch(&rows, &batch, 10, None))?;
        done += 64;
    }
    println!(" \"f32_batch64_ms_per_query\": {:.4},", start.elapsed().as_secs_f64() * 1e3 / done as f64);
    println!(" \"first\": {:?}}}", best[0].iter().map(|s| s.index).collect::<Vec<_>>());
    Ok(())
}

/// Milliseconds for one query, the mean of as many as fit in `seconds`.
fn time(rows: &impl Scan, queries: &Matrix, seconds: f64) -> Result<f64> {
    nearest(rows, queries.row(0), 10, None)?;
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed().as_secs_f64() < seconds {
        nearest(rows, queries.row(done % queries.rows()), 10, None)?;
        done += 1;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3 / done as f64)
}

fn read(path: &str, dim: usize) -> Result<Matrix> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let (whole, _) = bytes.as_chunks::<4>();
    let mut matrix = Matrix::zeros(whole.len() / dim, dim);
    for (to, from) in matrix.as_mut_slice().iter_mut().zip(whole) {
        *to = f32::from_le_bytes(*from);
    }
    Ok(matrix)
}
