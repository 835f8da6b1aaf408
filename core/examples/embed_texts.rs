//! How fast does a model embed the texts of a file, and with how much memory?
//!
//! `embed_texts MODEL TEXTS [precision=f32] [threads=N] [batch_size=32] [rounds=1] [queries] [out=FILE]`
//!
//! TEXTS holds one JSON string per line. Prints one JSON object: texts, tokens (special tokens included, after
//! truncation), the seconds of each round, and resident memory in MB before the first text and at its peak.
//! `out` gets the vectors as little-endian f32. `benches/compare/embed.py` runs it beside its peers.

#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Instant;

use quorate_core::Cancel;
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(texts)) = (arguments.next(), arguments.next()) else {
        panic!(
            "usage: embed_texts MODEL TEXTS [precision=f32] [threads=N] [batch_size=32] [rounds=1] [queries] [out=FILE]"
        );
    };
    let (mut options, mut rounds, mut queries, mut out) = (EmbedderOptions::default(), 1, false, None);
    for argument in arguments {
        match argument.split_once('=').unwrap_or((&argument, "")) {
            ("precision", value) => options.precision = value.parse().unwrap(),
            ("threads", value) => options.threads = Some(value.parse().unwrap()),
            ("batch_size", value) => options.batch_size = value.parse().unwrap(),
            ("rounds", value) => rounds = value.parse().unwrap(),
            ("queries", _) => queries = true,
            ("out", value) => out = Some(value.to_string()),
            _ => panic!("unknown argument '{argument}'"),
        }
    }
    let lines = std::fs::read_to_string(texts).unwrap();
    let texts: Vec<String> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();

    let start = Instant::now();
    let embedder = Embedder::open(&model, options).unwrap();
    let load = start.elapsed().as_secs_f64();
    let before = memory("VmRSS");
    let mut seconds = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        let vectors = match queries {
            true => embedder.embed_queries(&texts, &Cancel::new()).unwrap(),
            false => embedder.embed(&texts, &Cancel::new()).unwrap(),
        };
        seconds.push(start.elapsed().as_secs_f64());
        if let Some(file) = &out {
            let bytes: Vec<u8> = vectors.as_slice().iter().flat_map(|x| x.to_le_bytes()).collect();
            std::fs::write(file, bytes).unwrap();
        }
    }
    let peak = memory("VmHWM");
    let tokens = texts.iter().map(|text| embedder.tokenize(text).unwrap().len() + embedder.special_tokens());
    let tokens: usize = tokens.map(|count| count.min(embedder.max_tokens())).sum();
    println!(
        "{}",
        serde_json::json!({
            "id": embedder.id(), "texts": texts.len(), "tokens": tokens, "load_seconds": load, "seconds": seconds,
            "memory_before_mb": before, "memory_peak_mb": peak,
        })
    );
}

/// A line of `/proc/self/status` in MB; 0 where there is no such file.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
