//! How many tokens a second does the built-in model embed, and how long does it take to load?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::Cancel;
use quorate_core::embed::{Embed, StaticModel};
use std::hint::black_box;

fn bench(c: &mut Criterion) {
    let texts: Vec<String> =
        serde_json::from_str(include_str!("../tests/fixtures/builtin.json")).unwrap_or_default();
    // English sentences of the fixture, as long as an abstract and as short as a query.
    let sentences: Vec<&str> =
        texts.iter().map(String::as_str).filter(|t| t.is_ascii() && (20..200).contains(&t.len())).collect();
    let abstracts: Vec<String> = (0..256)
        .map(|i| (0..16).map(|j| sentences[(i * 5 + j) % sentences.len()]).collect::<Vec<_>>().join(" "))
        .collect();
    let Ok(model) = StaticModel::builtin() else { return };

    let mut group = c.benchmark_group("builtin");
    for (name, batch) in
        [("queries", sentences.clone()), ("abstracts", abstracts.iter().map(String::as_str).collect())]
    {
        let tokens: usize = batch.iter().map(|t| model.token_ids(t).len()).sum();
        group.throughput(Throughput::Elements(tokens as u64));
        group.bench_with_input(BenchmarkId::new("embed", name), &batch, |b, batch| {
            b.iter(|| model.embed(black_box(batch), &Cancel::new()));
        });
        group.bench_with_input(BenchmarkId::new("token_ids", name), &batch, |b, batch| {
            b.iter(|| batch.iter().map(|t| model.token_ids(black_box(t)).len()).sum::<usize>());
        });
    }
    group.finish();
    let asset = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/builtin.bin");
    c.bench_function("builtin/load", |b| b.iter(|| StaticModel::open(black_box(asset))));
}

criterion_group!(benches, bench);
criterion_main!(benches);
