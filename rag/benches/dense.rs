//! How long do building, searching and filtering the dense index take?
//!
//! On random clustered vectors; `benches/compare/ann.py` measures real ones beside other libraries.

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_rag::RowSet;
use quorate_rag::index::dense::{DenseIndex, FlatIndex, HnswConfig, HnswIndex};
use rand::{RngExt, SeedableRng};

const ROWS: usize = 20_000;
const DIM: usize = 384;

fn dense(c: &mut Criterion) {
    let vectors = clustered();
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let query = &vectors[..DIM];
    let built = HnswIndex::new(DIM, HnswConfig::default())
        .and_then(|mut index| index.insert(&rows, &vectors, 2).map(|()| index));
    let flat = FlatIndex::new(DIM).and_then(|mut index| index.insert(&rows, &vectors, 1).map(|()| index));
    let (Ok(built), Ok(flat)) = (built, flat) else { return };

    let mut group = c.benchmark_group("dense_20k_x_384_top10");
    group.bench_function("flat", |b| b.iter(|| flat.search(query, 10, 0, None)));
    group.bench_function("hnsw", |b| b.iter(|| built.search(query, 10, 0, None)));
    for step in [2, 10, 100, 1000] {
        let admit: RowSet = rows.iter().copied().filter(|row| row % step == 0).collect();
        group.bench_function(format!("hnsw, one in {step}"), |b| {
            b.iter(|| built.search(query, 10, 0, Some(&admit)))
        });
    }
    group.bench_function("insert one and publish", |b| {
        let mut index = built.clone();
        let mut next = ROWS as u32;
        let mut published = index.clone();
        b.iter(|| {
            if index.pending() == 1000 {
                index = built.clone();
            }
            let inserted = index.insert(&[next], query, 1);
            next += 1;
            published = index.clone();
            inserted
        });
        drop(published);
    });
    group.sample_size(10);
    group.bench_function("build, two threads", |b| {
        b.iter(|| {
            HnswIndex::new(DIM, HnswConfig::default())
                .and_then(|mut index| index.insert(&rows, &vectors, 2).map(|()| index.len()))
        })
    });
    group.finish();
}

fn clustered() -> Vec<f32> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let centres: Vec<f32> = (0..200 * DIM).map(|_| rng.random_range(-1.0..1.0)).collect();
    let mut all = Vec::with_capacity(ROWS * DIM);
    for _ in 0..ROWS {
        let c = rng.random_range(0..200);
        let vector: Vec<f32> = centres[c * DIM..(c + 1) * DIM]
            .iter()
            .map(|x| x + 1.5 * rng.random_range(-1.0f32..1.0))
            .collect();
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        all.extend(vector.iter().map(|x| x / norm));
    }
    all
}

criterion_group!(benches, dense);
criterion_main!(benches);
