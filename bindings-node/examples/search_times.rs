//! How long does a search by vector take without Node? Prints microseconds for each search; `benches/compare/node` subtracts them.
//!
//! `search_times FOLDER VECTORS.f32 DIM K ROUNDS`: the vectors one after the other, `ROUNDS` times.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use quorate::rag::{KnowledgeBase, OpenOptions, SearchOptions};
use quorate::{Error, Result};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, vectors, dim, k, rounds] = &args[..] else {
        return Err(Error::invalid("search_times FOLDER VECTORS.f32 DIM K ROUNDS"));
    };
    let number = |text: &String| text.parse::<usize>().map_err(|e| Error::invalid(format!("{text}: {e}")));
    let (dim, k, rounds) = (number(dim)?, number(k)?, number(rounds)?);
    let bytes = std::fs::read(vectors).map_err(|e| Error::io(vectors, e))?;
    let numbers: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let kb = KnowledgeBase::open(folder, OpenOptions { read_only: true, ..OpenOptions::default() })?;
    let options = SearchOptions { k, ..SearchOptions::default() };
    for round in 0..=rounds {
        let start = Instant::now();
        let mut found = 0;
        for vector in numbers.chunks_exact(dim) {
            found += kb.search_vector(vector, &options)?.len();
        }
        // The first round warms up.
        if round > 0 {
            let searches = (numbers.len() / dim).max(1);
            println!("{:.3} {}", start.elapsed().as_secs_f64() * 1e6 / searches as f64, found / searches);
        }
    }
    Ok(())
}
