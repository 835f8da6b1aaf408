//! Kernels against their f64 definitions on every vector unit, and whole encoders against the reference.

use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::FastEncoder;
use super::attention::{self, Head, attend};
use super::gemm::Linear;
use super::int8::{Bytes, LinearInt8};
use super::isa::{Isa, for_each_isa};
use super::lanes::Lanes;
use super::math;
use super::rows::{activate_row, add_norm_row};
use crate::Code;
use crate::embed::architecture::{Activation, EncoderConfig};
use crate::embed::encoder::{Encoder, Sequence, encode_map};
use crate::embed::json::JsonFile;
use crate::embed::options::Precision;
use crate::embed::reference::CandleEncoder;
use crate::embed::weights::Weights;
use crate::parallel::Workers;

const SIZES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (2, 3, 7),
    (5, 4, 8),
    (12, 31, 16),
    (13, 384, 33),
    (25, 37, 100),
    (7, 385, 31),
    (11, 64, 32),
    (30, 6, 48),
];

fn noise(seed: u64, n: usize, size: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-size..size)).collect()
}

/// `bias + a * weight` and the sum of the terms' sizes, in f64.
fn product(a: &[f32], w: &[f32], bias: &[f32]) -> Vec<(f64, f64)> {
    let k = a.len();
    let one = |(row, &b): (&[f32], &f32)| {
        let terms = row.iter().zip(a).map(|(&w, &a)| f64::from(w) * f64::from(a));
        terms.fold((f64::from(b), f64::from(b).abs()), |(s, t), x| (s + x, t + x.abs()))
    };
    w.chunks_exact(k).zip(bias).map(one).collect()
}

#[test]
fn f32_products_are_right_on_every_unit() {
    for isa in Isa::available() {
        for (m, k, n) in SIZES {
            for size in [1.0, 1e-30, 1e15] {
                let (a, w, bias) = (noise(1, m * (k + 3), size), noise(2, n * k, size), noise(3, n, size));
                let mut c = vec![7.0; m * (n + 2)];
                Linear::pack(isa, &w, &bias, k, n).apply(&a, k + 3, m, &mut c, n + 2);
                for (r, row) in c.chunks_exact(n + 2).enumerate() {
                    let expected = product(&a[r * (k + 3)..][..k], &w, &bias);
                    for (x, (y, total)) in row.iter().zip(expected) {
                        let error = (f64::from(*x) - y).abs();
                        assert!(error <= total * 1e-6, "{isa:?} {m}x{k}x{n}: {x} for {y}");
                    }
                    assert_eq!(&row[n..], [7.0, 7.0], "{isa:?} wrote past the row");
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_product_does_not_depend_on_its_neighbours() {
    let (k, n, m) = (37, 50, 29);
    let (mut a, w, bias) = (noise(1, m * k, 1.0), noise(2, n * k, 1.0), noise(3, n, 1.0));
    a[5 * k + 3] = f32::NAN;
    a[6 * k] = f32::INFINITY;
    for isa in Isa::available() {
        let (real, bytes) = (Linear::pack(isa, &w, &bias, k, n), LinearInt8::pack(isa, &w, &bias, k, n));
        let mut all = [vec![0.0; m * n], vec![0.0; m * n]];
        real.apply(&a, k, m, &mut all[0], n);
        bytes.apply(&a, k, m, &mut all[1], n, &mut Bytes::new());
        for r in 0..m {
            let mut one = [vec![0.0; n], vec![0.0; n]];
            real.apply(&a[r * k..], k, 1, &mut one[0], n);
            bytes.apply(&a[r * k..], k, 1, &mut one[1], n, &mut Bytes::new());
            for (all, one) in all.iter().zip(&one) {
                let bits = |x: &[f32]| x.iter().map(|x| x.to_bits() & 0x7fff_ffff).collect::<Vec<_>>();
                assert_eq!(bits(&all[r * n..][..n]), bits(one), "{isa:?} row {r}");
                assert_eq!(one.iter().any(|x| !x.is_finite()), r == 5 || r == 6, "{isa:?} row {r}");
                assert!(r != 5 || one.iter().all(|x| x.is_nan()), "{isa:?}: NaN was lost");
            }
        }
    }
}

#[test]
fn a_weight_that_is_not_finite_shows_in_its_output() {
    let (k, n, m) = (37, 50, 3);
    let (a, bias) = (noise(1, m * k, 1.0), noise(3, n, 1.0));
    for (isa, bad) in Isa::available().into_iter().flat_map(|isa| [(isa, f32::NAN), (isa, f32::INFINITY)]) {
        let mut w = noise(2, n * k, 1.0);
        w[9 * k + 4] = bad;
        let mut c = [vec![0.0; m * n], vec![0.0; m * n]];
        Linear::pack(isa, &w, &bias, k, n).apply(&a, k, m, &mut c[0], n);
        LinearInt8::pack(isa, &w, &bias, k, n).apply(&a, k, m, &mut c[1], n, &mut Bytes::new());
        for (i, x) in c.iter().flatten().enumerate() {
            assert_eq!(!x.is_finite(), i % (m * n) % n == 9, "{isa:?} {bad}: {x} at {i}");
        }
    }
}

#[test]
fn int8_products_stay_within_their_rounding_on_every_unit() {
    for isa in Isa::available() {
        for (m, k, n) in SIZES {
            for (size, shift) in [(1.0, 0.0), (1e-20, 0.0), (1e10, 0.0), (0.0, 5.0), (0.1, 3.0)] {
                let mut a: Vec<f32> = noise(1, m * k, f32::max(size, 1e-30));
                a.iter_mut().for_each(|x| *x = if size == 0.0 { shift } else { *x + shift });
                let (w, bias) = (noise(2, n * k, 1.0), noise(3, n, 1.0));
                let mut c = vec![0.0; m * n];
                LinearInt8::pack(isa, &w, &bias, k, n).apply(&a, k, m, &mut c, n, &mut Bytes::new());
                for (r, row) in c.chunks_exact(n).enumerate() {
                    let a = &a[r * k..][..k];
                    let range = a.iter().fold((f32::MAX, f32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
                    let half_a = f64::from(range.1 - range.0) / 255.0 / 2.0;
                    for (o, (&x, (y, total))) in row.iter().zip(product(a, &w, &bias)).enumerate() {
                        let w = &w[o * k..][..k];
                        let half_w = f64::from(w.iter().fold(0f32, |m, x| m.max(x.abs()))) / 127.0 / 2.0;
                        let allowed: f64 = a
                            .iter()
                            .zip(w)
                            .map(|(&a, &w)| {
                                f64::from(w.abs()) * half_a + (f64::from(a.abs()) + half_a) * half_w
                            })
                            .sum();
                        let error = (f64::from(x) - y).abs();
                        assert!(error <= allowed + total * 1e-5, "{isa:?} {m}x{k}x{n}: {x} for {y}");
                    }
                }
            }
        }
    }
}

#[test]
fn int8_products_are_equal_on_all_units_up_to_the_last_rounding() {
    // Extreme bytes in long rows: an instruction that saturates would show.
    let (m, k, n) = (3, 1536, 40);
    let a: Vec<f32> = (0..m * k).map(|i| if i % 7 == 0 { -1.0 } else { 1.0 }).collect();
    let w: Vec<f32> = (0..n * k).map(|i| if i / k % 2 == 0 { 1.0 } else { -1.0 + (i % 2) as f32 }).collect();
    let run = |isa| {
        let mut c = vec![0.0; m * n];
        LinearInt8::pack(isa, &w, &vec![0.5; n], k, n).apply(&a, k, m, &mut c, n, &mut Bytes::new());
        c
    };
    let twin = run(Isa::Scalar);
    for isa in Isa::available() {
        for (x, y) in run(isa).iter().zip(&twin) {
            assert!((x - y).abs() <= 1e-3, "{isa:?}: {x} for {y}");
        }
    }
    for (r, row) in twin.chunks_exact(n).enumerate() {
        for (x, (y, _)) in row.iter().zip(product(&a[r * k..][..k], &w, &vec![0.5; n])) {
            assert!((f64::from(*x) - y).abs() < 0.01, "{x} for {y}");
        }
    }
}

for_each_isa! {
    /// `e^x` of `n` floats.
    fn exp_all(x: *mut f32, n: usize) = exp_of;
}

for_each_isa! {
    /// `erf x` of `n` floats.
    fn erf_all(x: *mut f32, n: usize) = erf_of;
}

#[inline(always)]
unsafe fn exp_of<L: Lanes>(x: *mut f32, n: usize) {
    unsafe {
        for i in (0..n).step_by(L::LANES) {
            let count = L::LANES.min(n - i);
            let v = if count < L::LANES { L::load_first(x.add(i), count, 0.0) } else { L::load(x.add(i)) };
            L::store_first(x.add(i), count, math::exp::<L>(v));
        }
    }
}

#[inline(always)]
unsafe fn erf_of<L: Lanes>(x: *mut f32, n: usize) {
    unsafe {
        for i in (0..n).step_by(L::LANES) {
            let count = L::LANES.min(n - i);
            let v = if count < L::LANES { L::load_first(x.add(i), count, 0.0) } else { L::load(x.add(i)) };
            L::store_first(x.add(i), count, math::erf::<L>(v));
        }
    }
}

/// Maclaurin series; good to 1e-9 for |x| <= 4, beyond which erf is 1 to 2e-8.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..120 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// Name, kernel, definition, the largest argument, and the error allowed beside a relative one of 3e-7.
type Case<'a> = (&'a str, &'a dyn Fn(Isa, &mut [f32]), &'a dyn Fn(f64) -> f64, f64, f64);

#[test]
fn functions_match_their_definitions_on_every_unit() {
    let normal = |x: f64| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()));
    let tanh =
        |x: f64| x * 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh());
    let activate = |activation| {
        move |isa, x: &mut [f32]| unsafe { activate_row(isa, activation, x.as_mut_ptr(), x.len()) }
    };
    let exp = |isa, x: &mut [f32]| unsafe { exp_all(isa, x.as_mut_ptr(), x.len()) };
    let series = |isa, x: &mut [f32]| unsafe { erf_all(isa, x.as_mut_ptr(), x.len()) };
    let cases: [Case; 5] = [
        ("exp", &exp, &|x| x.exp(), 87.0, 0.0),
        ("erf", &series, &erf, 6.0, 5e-7),
        ("gelu", &activate(Activation::Gelu), &normal, 12.0, 1e-6),
        ("gelu_tanh", &activate(Activation::GeluTanh), &tanh, 12.0, 1e-6),
        ("relu", &activate(Activation::Relu), &|x| x.max(0.0), 1e30, 0.0),
    ];
    for isa in Isa::available() {
        for (name, kernel, definition, limit, absolute) in &cases {
            let x: Vec<f32> = (0..20_011).map(|i| ((f64::from(i) / 10_005.0 - 1.0) * limit) as f32).collect();
            let mut y = x.clone();
            kernel(isa, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let expected = definition(f64::from(x));
                let error = (f64::from(y) - expected).abs();
                assert!(
                    error <= absolute + 3e-7 * expected.abs(),
                    "{isa:?} {name}({x}) = {y}, not {expected}"
                );
            }
            let mut odd = [f32::NAN, 1.0, 0.0];
            kernel(isa, &mut odd);
            assert!(odd[0].is_nan() && odd[1..].iter().all(|x| x.is_finite()), "{isa:?} {name}: {odd:?}");
        }
    }
}

#[test]
fn layer_normalisation_matches_its_definition_on_every_unit() {
    for isa in Isa::available() {
        for n in [1, 2, 5, 16, 17, 31, 384, 770] {
            for (size, shift) in [(1.0, 0.0), (1e-3, 10.0), (1e12, 0.0)] {
                let x: Vec<f32> = noise(1, n, size).iter().map(|x| x + shift).collect();
                let (y, gain, shift) = (noise(2, n, size), noise(3, n, 1.0), noise(4, n, 1.0));
                let mut out = x.clone();
                let eps = 1e-5f32;
                unsafe {
                    add_norm_row(isa, out.as_mut_ptr(), y.as_ptr(), gain.as_ptr(), shift.as_ptr(), n, eps)
                };
                let sums: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(x + y)).collect();
                let mean = sums.iter().sum::<f64>() / n as f64;
                let variance = sums.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / n as f64;
                for i in 0..n {
                    let z = (sums[i] - mean) / (variance + f64::from(eps)).sqrt();
                    let expected = z * f64::from(gain[i]) + f64::from(shift[i]);
                    // The mean is rounded to f32: that error counts in units of the deviation.
                    let slack = 1e-5 + 4e-7 * mean.abs() / (variance + f64::from(eps)).sqrt();
                    assert!(
                        (f64::from(out[i]) - expected).abs() < slack,
                        "{isa:?} {n}: {} for {expected}",
                        out[i]
                    );
                }
            }
        }
        let mut row = [1.0, f32::NAN, 2.0];
        let ones = [1.0; 3];
        unsafe { add_norm_row(isa, row.as_mut_ptr(), ones.as_ptr(), ones.as_ptr(), ones.as_ptr(), 3, 1e-5) };
        assert!(row.iter().all(|x| x.is_nan()), "{isa:?}: NaN was lost");
    }
}

#[test]
fn attention_matches_its_definition_on_every_unit() {
    for isa in Isa::available() {
        for (n, d, size) in
            [(1, 32, 1.0), (2, 5, 1.0), (13, 12, 3.0), (33, 64, 1.0), (100, 33, 9.0), (512, 32, 1.0)]
        {
            for biased in [false, true] {
                let stride = 3 * d + 1;
                let qkv = noise(n as u64, n * stride, size);
                let bias = noise(9, 2 * n - 1, 2.0);
                let mut out = vec![7.0; n * (d + 1)];
                let mut scratch = vec![0.0; attention::scratch_len(isa, n, d)];
                let head = Head {
                    query: qkv.as_ptr(),
                    key: qkv[d..].as_ptr(),
                    value: qkv[2 * d..].as_ptr(),
                    stride,
                    out: out.as_mut_ptr(),
                    out_stride: d + 1,
                    tokens: n,
                    dim: d,
                    bias: if biased { bias[n - 1..].as_ptr() } else { std::ptr::null() },
                    scratch: scratch.as_mut_ptr(),
                };
                unsafe { attend(isa, head) };
                let at = |t: usize, part: usize, i: usize| f64::from(qkv[t * stride + part * d + i]);
                for q in 0..n {
                    let bias = |k: usize| if biased { f64::from(bias[n - 1 + k - q]) } else { 0.0 };
                    let scores: Vec<f64> = (0..n)
                        .map(|k| (0..d).map(|i| at(q, 0, i) * at(k, 1, i)).sum::<f64>() + bias(k))
                        .collect();
                    let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                    let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    for i in 0..d {
                        let expected = (0..n).map(|k| weights[k] * at(k, 2, i)).sum::<f64>() / total;
                        let got = f64::from(out[q * (d + 1) + i]);
                        let slack = 1e-5 * f64::from(size).powi(3) + 1e-6;
                        assert!((got - expected).abs() < slack, "{isa:?} {n}x{d}: {got} for {expected}");
                    }
                    assert_eq!(out[q * (d + 1) + d], 7.0, "{isa:?} wrote past the row");
                }
            }
        }
    }
}

/// A tiny random model of `fixtures/models`.
fn fixture(name: &str) -> (EncoderConfig, Weights) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
    let config = EncoderConfig::from_json(&JsonFile::require(&folder.join("config.json")).unwrap()).unwrap();
    (config, Weights::open(&folder).unwrap())
}

/// Sequences of 1 to 38 tokens, in two segments.
fn sequences(count: u32, vocab: u32) -> Vec<Sequence> {
    let one = |i: u32| {
        let length = 1 + i * 11 % 38;
        Sequence {
            ids: (0..length).map(|j| (i * 7 + j * 3 + 2) % vocab).collect(),
            segments: (0..length).map(|j| u32::from(j > length / 2)).collect(),
        }
    };
    (0..count).map(one).collect()
}

fn encode(encoder: &dyn Encoder, batch: &[Sequence]) -> Vec<Vec<f32>> {
    encode_map(encoder, batch, <[f32]>::to_vec).unwrap()
}

#[test]
fn every_family_equals_the_reference_on_every_unit() {
    for name in
        ["bert-mean", "bert-cls-dense", "distilbert-max", "xlm-roberta-plain", "roberta-last", "mpnet-f16"]
    {
        let (config, weights) = fixture(name);
        let batch = sequences(12, config.vocab_size as u32);
        let wanted = encode(&CandleEncoder::load(&config, &weights).unwrap(), &batch);
        for isa in Isa::available() {
            let f32 = FastEncoder::load_for(&config, &weights, Precision::F32, isa).unwrap();
            let int8 = FastEncoder::load_for(&config, &weights, Precision::Int8, isa).unwrap();
            for (encoder, slack) in [(f32, 2e-5), (int8, 0.15)] {
                for (i, (found, wanted)) in encode(&encoder, &batch).iter().zip(&wanted).enumerate() {
                    assert_eq!(found.len(), wanted.len());
                    let worst = found.iter().zip(wanted).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
                    assert!(worst < slack, "{isa:?} {name} sequence {i}: off by {worst}");
                }
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_in_every_batch_order_and_thread_count() {
    let (config, weights) = fixture("bert-mean");
    let batch = sequences(40, config.vocab_size as u32);
    let backward: Vec<Sequence> = batch.iter().rev().cloned().collect();
    for isa in Isa::available() {
        for precision in [Precision::F32, Precision::Int8] {
            let encoder = FastEncoder::load_for(&config, &weights, precision, isa).unwrap();
            let alone: Vec<Vec<f32>> =
                batch.iter().map(|s| encode(&encoder, std::slice::from_ref(s)).remove(0)).collect();
            for threads in [1, 3] {
                let workers = Workers::new(Some(threads));
                let (together, mut reversed) =
                    workers.run(|| (encode(&encoder, &batch), encode(&encoder, &backward))).unwrap();
                reversed.reverse();
                assert!(alone == together && alone == reversed, "{isa:?} {precision:?} {threads} threads");
            }
        }
    }
}

#[test]
fn unfit_sequences_are_refused_and_named() {
    let (config, weights) = fixture("bert-mean");
    let encoder = FastEncoder::load(&config, &weights, Precision::F32).unwrap();
    let sequence =
        |ids: &[u32], segments: &[u32]| Sequence { ids: ids.to_vec(), segments: segments.to_vec() };
    for (bad, code, said) in [
        (sequence(&[1; 41], &[0; 41]), Code::TooLarge, "41 tokens"),
        (sequence(&[110], &[0]), Code::ModelInvalid, "token id 110"),
        (sequence(&[1], &[2]), Code::ModelInvalid, "segment 2"),
        (sequence(&[1], &[0, 0]), Code::InvalidShape, "2 segments"),
    ] {
        let error = encoder.encode(&[bad], &|_, _| {}).unwrap_err();
        assert!(error.code() == code && error.message().contains(said), "{error}");
    }
    assert!(encode(&encoder, &[]).is_empty());
    let found = encode(&encoder, &[sequence(&[], &[]), sequence(&[1], &[0])]);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [0, 16]);
}
