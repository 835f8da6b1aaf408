//! How long do vector kernels and exact scans take?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use quorate_core::vector::{
    BinaryMatrix, HalfMatrix, Int8Matrix, Matrix, dot, dot_i8, hamming, nearest, squared_l2,
};
use rand::{RngExt, SeedableRng};

const ROWS: usize = 100_000;
const DIM: usize = 384;

fn kernels(c: &mut Criterion) {
    let (a, b) = (random(1, 1), random(1, 2));
    let codes: Vec<i8> = (0..DIM).map(|i| (i * 37 % 255) as i8).collect();
    let words: Vec<u64> = (0..DIM as u64 / 64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let mut group = c.benchmark_group("kernel_384");
    group.bench_function("dot", |x| x.iter(|| dot(a.row(0), b.row(0))));
    group.bench_function("squared_l2", |x| x.iter(|| squared_l2(a.row(0), b.row(0))));
    group.bench_function("dot_i8", |x| x.iter(|| dot_i8(&codes, &codes)));
    group.bench_function("hamming", |x| x.iter(|| hamming(&words, &words)));
    group.finish();
}

fn scans(c: &mut Criterion) {
    let rows = random(ROWS, 1);
    let query = random(1, 2);
    let mut int8 = Int8Matrix::new(DIM);
    let mut f16 = HalfMatrix::<half::f16>::new(DIM);
    let mut bits = BinaryMatrix::new(DIM);
    for row in rows.iter() {
        let pushed = int8.push(row).and(f16.push(row)).and(bits.push(row));
        assert!(pushed.is_ok());
    }
    let mut group = c.benchmark_group("scan_100k_x_384_top10");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(20);
    group.bench_function("f32", |x| x.iter(|| nearest(&rows, query.row(0), 10, None)));
    group.bench_function("f16", |x| x.iter(|| nearest(&f16, query.row(0), 10, None)));
    group.bench_function("int8", |x| x.iter(|| nearest(&int8, query.row(0), 10, None)));
    group.bench_function("bits", |x| x.iter(|| nearest(&bits, query.row(0), 10, None)));
    group.finish();
}

fn random(rows: usize, seed: u64) -> Matrix {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut m = Matrix::zeros(rows, DIM);
    m.as_mut_slice().iter_mut().for_each(|x| *x = rng.random_range(-0.1..0.1));
    m
}

criterion_group!(benches, kernels, scans);
criterion_main!(benches);
