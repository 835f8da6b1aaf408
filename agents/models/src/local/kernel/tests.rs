//! Do all units give the products that plain arithmetic gives, whatever rows stand beside?

use candle_core::quantized::k_quants::*;

use super::super::matrix::{Matrix, Rows};
use super::super::tensor::{Blocks, Format, Tensor};
use super::*;

const OUTPUTS: usize = 37;
const INPUTS: usize = 512;
const ROWS: usize = 15;

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// All products of a matrix on a unit, `rows` at once.
fn products(isa: Isa, tensor: &Tensor<'_>, xs: &[f32], rows: usize) -> Vec<f32> {
    let matrix = Matrix::pack(isa, tensor).unwrap();
    let (wide, blocks) = (matrix.panels() * WIDTH, tensor.columns / BLOCK);
    let mut out = vec![0f32; xs.len() / tensor.columns * wide];
    for (xs, out) in xs.chunks(rows * tensor.columns).zip(out.chunks_mut(rows * wide)) {
        let rows = xs.len() / tensor.columns;
        let mut codes = vec![[0u8; 64]; rows * blocks];
        let mut step = vec![0f32; rows * blocks];
        let mut sums = vec![[0i32; 2]; rows * blocks];
        // SAFETY: the lists hold a block of codes for each 32 numbers, and `out` all products of the rows.
        unsafe {
            float::encode(
                isa,
                xs.as_ptr(),
                xs.len(),
                isa.splits(),
                codes.as_mut_ptr(),
                step.as_mut_ptr(),
                sums.as_mut_ptr(),
            );
            let rows = Rows {
                rows,
                floats: xs.as_ptr(),
                codes: codes.as_ptr(),
                step: step.as_ptr(),
                sums: sums.as_ptr(),
            };
            for panel in 0..matrix.panels() {
                matrix.product(panel, rows, out.as_mut_ptr().add(panel * WIDTH), wide);
            }
        }
    }
    out.chunks(wide).flat_map(|row| row[..OUTPUTS].to_vec()).collect()
}

/// `close`: how far a product may be off, in parts of the sum of its terms.
fn check(tensor: &Tensor<'_>, what: &str, close: f64) {
    let xs = numbers(ROWS * INPUTS, 7);
    let weights = tensor.floats();
    for isa in Isa::available() {
        let got = products(isa, tensor, &xs, ROWS);
        for (r, x) in xs.chunks(INPUTS).enumerate() {
            for (o, w) in weights.chunks(INPUTS).enumerate() {
                let terms = || x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let (want, size) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
                let off = (f64::from(got[r * OUTPUTS + o]) - want).abs();
                assert!(
                    off <= close * size,
                    "{what} on {isa:?}, row {r}, output {o}: off by {off} of {size}"
                );
            }
        }
        // A row's result does not depend on the rows beside it.
        for rows in [1, 2, 3, 7] {
            assert_eq!(got, products(isa, tensor, &xs, rows), "{what} on {isa:?}, {rows} rows at once");
        }
    }
}

fn check_blocks<B: GgmlType + Clone>(blocks: Blocks) {
    let xs = numbers(OUTPUTS * INPUTS, 3);
    let mut packed = vec![B::zeros(); xs.len() / B::BLCK_SIZE];
    B::from_float(&xs, &mut packed);
    // SAFETY: the blocks are plain values without padding.
    let bytes = unsafe { std::slice::from_raw_parts(packed.as_ptr().cast::<u8>(), size_of_val(&packed[..])) };
    // Scales that the file has in 8 bits and fewer, times a common one, are rounded to 16.
    let close = if B::BLCK_SIZE == 32 { 5e-5 } else { 3e-4 };
    check(
        &Tensor::new(Format::Blocks(blocks), OUTPUTS, INPUTS, bytes).unwrap(),
        &format!("{blocks:?}"),
        close,
    );
}

#[test]
fn quantised_products_are_those_of_plain_arithmetic() {
    check_blocks::<BlockQ4_0>(Blocks::Q4_0);
    check_blocks::<BlockQ4_1>(Blocks::Q4_1);
    check_blocks::<BlockQ5_0>(Blocks::Q5_0);
    check_blocks::<BlockQ5_1>(Blocks::Q5_1);
    check_blocks::<BlockQ8_0>(Blocks::Q8_0);
    check_blocks::<BlockQ2K>(Blocks::Q2_K);
    check_blocks::<BlockQ3K>(Blocks::Q3_K);
    check_blocks::<BlockQ4K>(Blocks::Q4_K);
    check_blocks::<BlockQ5K>(Blocks::Q5_K);
    check_blocks::<BlockQ6K>(Blocks::Q6_K);
}

#[test]
fn floating_products_are_those_of_plain_arithmetic() {
    let xs = numbers(OUTPUTS * INPUTS, 3);
    let bytes: Vec<u8> = xs.iter().flat_map(|x| x.to_le_bytes()).collect();
    check(&Tensor::new(Format::F32, OUTPUTS, INPUTS, &bytes).unwrap(), "F32", 1e-5);
    let bytes: Vec<u8> = xs.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
    check(&Tensor::new(Format::F16, OUTPUTS, INPUTS, &bytes).unwrap(), "F16", 1e-5);
    let bytes: Vec<u8> = xs.iter().flat_map(|x| half::bf16::from_f32(*x).to_le_bytes()).collect();
    check(&Tensor::new(Format::Bf16, OUTPUTS, INPUTS, &bytes).unwrap(), "BF16", 1e-5);
}

#[test]
fn rows_of_weights_come_out_as_they_went_in() {
    let xs = numbers(OUTPUTS * INPUTS, 3);
    let mut packed = vec![BlockQ6K::zeros(); xs.len() / 256];
    BlockQ6K::from_float(&xs, &mut packed);
    // SAFETY: the blocks are plain values without padding.
    let bytes = unsafe { std::slice::from_raw_parts(packed.as_ptr().cast::<u8>(), size_of_val(&packed[..])) };
    let tensor = Tensor::new(Format::Blocks(Blocks::Q6_K), OUTPUTS, INPUTS, bytes).unwrap();
    let matrix = Matrix::pack(Isa::detect(), &tensor).unwrap();
    let want = tensor.floats();
    let mut got = vec![0f32; INPUTS];
    for (o, want) in want.chunks(INPUTS).enumerate() {
        matrix.row(o, &mut got);
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 1e-3 * want.abs().max(1e-3));
        }
    }
}

#[test]
fn norms_gates_and_softmax_are_those_of_plain_arithmetic() {
    for isa in Isa::available() {
        for n in [1, 15, 16, 33, 200] {
            let (x, y) = (numbers(n, 1), numbers(n, 2));
            let x: Vec<f32> = x.iter().map(|x| x * 20.0).collect();
            let mut out = vec![0f32; n];
            let close = |got: &[f32], want: &dyn Fn(usize) -> f64| {
                for (i, got) in got.iter().enumerate() {
                    let (got, want) = (f64::from(*got), want(i));
                    assert!(
                        (got - want).abs() <= 3e-6 * want.abs().max(1e-3),
                        "{isa:?} {n}: {got} is not {want}"
                    );
                }
            };
            // SAFETY: all lists hold `n` numbers.
            unsafe {
                float::rms_norm(isa, x.as_ptr(), y.as_ptr(), out.as_mut_ptr(), n, 1e-5);
                let squares: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
                let factor = 1.0 / (squares / n as f64 + 1e-5).sqrt();
                close(&out, &|i| f64::from(x[i]) * factor * f64::from(y[i]));
                float::gated(isa, x.as_ptr(), y.as_ptr(), out.as_mut_ptr(), n, false);
                close(&out, &|i| f64::from(x[i]) / (1.0 + (-f64::from(x[i])).exp()) * f64::from(y[i]));
                float::gated(isa, x.as_ptr(), y.as_ptr(), out.as_mut_ptr(), n, true);
                close(&out, &|i| {
                    let x = f64::from(x[i]);
                    let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
                    x * (1.0 + u.tanh()) / 2.0 * f64::from(y[i])
                });
                out.copy_from_slice(&x);
                let over = float::softmax(isa, out.as_mut_ptr(), n, 0.5);
                let most = x.iter().fold(f32::MIN, |a, b| a.max(*b));
                let weight = |x: f32| (f64::from(x - most) * 0.5).exp();
                let all: f64 = x.iter().map(|x| weight(*x)).sum();
                for out in &mut out {
                    *out *= over;
                }
                close(&out, &|i| weight(x[i]) / all);
            }
        }
    }
}

#[test]
fn numbers_that_are_not_finite_show_in_the_result() {
    let xs = numbers(OUTPUTS * INPUTS, 3);
    let mut packed = vec![BlockQ4_1::zeros(); xs.len() / 32];
    BlockQ4_1::from_float(&xs, &mut packed);
    // SAFETY: the blocks are plain values without padding.
    let bytes = unsafe { std::slice::from_raw_parts(packed.as_ptr().cast::<u8>(), size_of_val(&packed[..])) };
    let tensor = Tensor::new(Format::Blocks(Blocks::Q4_1), OUTPUTS, INPUTS, bytes).unwrap();
    for isa in Isa::available() {
        for odd in [f32::NAN, f32::INFINITY] {
            let mut xs = numbers(INPUTS, 7);
            xs[100] = odd;
            assert!(products(isa, &tensor, &xs, 1).iter().all(|x| !x.is_finite()), "{isa:?} {odd}");
        }
    }
}
