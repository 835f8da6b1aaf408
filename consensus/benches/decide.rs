//! How long do rankings, pools and panels take?

#![allow(clippy::expect_used, missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quorate_consensus::density::density_pool;
use quorate_consensus::panel::{Ballot, score_panel};
use quorate_consensus::pooling::Opinions;
use quorate_consensus::ranking::*;
use quorate_consensus::text::{ClusterConfig, semantic_clusters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random_profile(options: u32, ballots: usize) -> Profile {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut profile = Profile::new((0..options).map(|i| format!("o{i}"))).expect("options");
    for _ in 0..ballots {
        let mut r: Vec<u32> = (0..options).collect();
        for i in (1..r.len()).rev() {
            r.swap(i, rng.random_range(0..=i));
        }
        profile.add_codes(&r, 1.0).expect("ballot");
    }
    profile
}

fn decide(c: &mut Criterion) {
    let twelve = random_profile(12, 21);
    c.bench_function("kemeny, exact, 12 options", |b| b.iter(|| kemeny(&twelve, &KemenyConfig::default())));
    let forty = random_profile(40, 21);
    c.bench_function("kemeny, local search, 40 options", |b| {
        b.iter(|| kemeny(&forty, &KemenyConfig::default()))
    });
    let hundred = random_profile(100, 1000);
    let config = VoteConfig::default();
    c.bench_function("pairwise, 100 options x 1000 ballots", |b| b.iter(|| hundred.pairwise()));
    c.bench_function("schulze, 100 options x 1000 ballots", |b| b.iter(|| schulze(&hundred, &config)));
    c.bench_function("ranked pairs, 40 options x 21 ballots", |b| {
        b.iter(|| ranked_pairs(&forty, &VoteConfig { tie_break: TieBreak::Lexicographic, ..config }))
    });
    c.bench_function("instant runoff, 100 options x 1000 ballots", |b| {
        b.iter(|| instant_runoff(&hundred, &RunoffConfig::default()))
    });
    c.bench_function("plackett-luce, 40 options x 21 ballots", |b| {
        b.iter(|| plackett_luce(&forty, Unranked::Silent, &StrengthConfig::default()))
    });
    let ballots: Vec<Ballot> = (0..7)
        .map(|i| Ballot::choice(format!("expert {i}"), if i % 3 == 0 { "no" } else { "yes" }).confidence(0.8))
        .collect();
    c.bench_function("score_panel, 7 experts", |b| b.iter(|| score_panel(&ballots)));
    c.bench_function("score_panel and explain, 7 experts", |b| {
        b.iter(|| score_panel(&ballots).map(|s| s.explain()))
    });
    let rows: Vec<Vec<f64>> =
        (0..50).map(|i| (0..10).map(|k| if i % 10 == k { 0.55 } else { 0.05 }).collect()).collect();
    let opinions = Opinions::from_rows(&rows).expect("opinions");
    c.bench_function("density pool, 50 experts x 10 outcomes", |b| b.iter(|| density_pool(&opinions, None)));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let vectors: Vec<Vec<f64>> =
        (0..500).map(|_| (0..64).map(|_| rng.random::<f64>() - 0.5).collect()).collect();
    c.bench_function("semantic clusters, 500 x 64", |b| {
        b.iter_batched(
            || vectors.clone(),
            |v| semantic_clusters(&v, None, &ClusterConfig::default()),
            BatchSize::LargeInput,
        )
    });
}

criterion_group!(benches, decide);
criterion_main!(benches);
