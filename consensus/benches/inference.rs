//! How fast are the data, alpha and truth inference? Run with `cargo bench -p quorate-consensus --bench inference`.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use quorate_consensus::Ratings;
use quorate_consensus::agreement::{AlphaOptions, KappaOptions, Resample, gwet_ac, krippendorff_alpha};
use quorate_consensus::truth::{EmOptions, GladOptions, MaceOptions, dawid_skene, glad, mace, majority_vote};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;

/// Three arrays: `votes` labels an item, 70% of them right.
fn labels(items: i64, raters: i64, classes: i64, votes: i64) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (mut item, mut rater, mut label) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..items {
        let first = rng.random_range(0..raters);
        for v in 0..votes {
            item.push(i);
            rater.push((first + v * (raters / votes)) % raters);
            label.push(if rng.random::<f64>() < 0.7 { i % classes } else { rng.random_range(0..classes) });
        }
    }
    (item, rater, label)
}

fn inference(c: &mut Criterion) {
    let mut group = c.benchmark_group("consensus");
    group.sample_size(10);
    let (i, r, l) = labels(100_000, 2_000, 5, 10);
    group.bench_function("data, 1,000,000 labels", |b| b.iter(|| Ratings::new(black_box(&i), &r, &l)));
    if let Ok(data) = Ratings::new(&i, &r, &l) {
        let options = EmOptions { max_iter: 20, tol: 0.0, ..EmOptions::default() };
        group.bench_function("Dawid-Skene, 1,000,000 labels, 20 iterations", |b| {
            b.iter(|| dawid_skene(black_box(&data), &options))
        });
        group.bench_function("majority, 1,000,000 labels", |b| b.iter(|| majority_vote(black_box(&data))));
    }
    let (i, r, l) = labels(5_000, 100, 5, 5);
    if let Ok(data) = Ratings::new(&i, &r, &l) {
        group.bench_function("GLAD, 25,000 labels", |b| {
            b.iter(|| glad(black_box(&data), &GladOptions::default()))
        });
        group.bench_function("MACE, 25,000 labels", |b| {
            b.iter(|| mace(black_box(&data), &MaceOptions::default()))
        });
    }
    let (i, r, l) = labels(20_000, 200, 5, 10);
    if let Ok(data) = Ratings::new(&i, &r, &l) {
        group.bench_function("alpha, 200,000 labels", |b| {
            b.iter(|| krippendorff_alpha(black_box(&data), &AlphaOptions::default()))
        });
        let options = AlphaOptions { bootstrap: 1_000, ..AlphaOptions::default() };
        group.bench_function("alpha, 1,000 rounds of pairs", |b| {
            b.iter(|| krippendorff_alpha(black_box(&data), &options))
        });
        let options = AlphaOptions { resample: Resample::Items, ..options };
        group.bench_function("alpha, 1,000 rounds of items", |b| {
            b.iter(|| krippendorff_alpha(black_box(&data), &options))
        });
        group.bench_function("Gwet AC1, 200,000 labels", |b| {
            b.iter(|| gwet_ac(black_box(&data), &KappaOptions::default()))
        });
    }
    group.finish();
}

criterion_group!(benches, inference);
criterion_main!(benches);
