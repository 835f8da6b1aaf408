//! What happens to the rows between two products: activation, residual, layer normalisation, softmax?

use super::isa::for_each_isa;
use super::lanes::Lanes;
use super::math::{exp, gelu, gelu_tanh, relu};
use crate::embed::architecture::Activation;

for_each_isa! {
    /// The activation function on `n` floats at `x`. # Safety: they must be there.
    fn activate_row(activation: Activation, x: *mut f32, n: usize) = activate_of;
}

for_each_isa! {
    /// `x = norm(x + y) * gain + shift`, where norm subtracts the mean and divides by the standard deviation (Ba,
    /// Kiros and Hinton, 2016). # Safety: all four hold `n` floats.
    fn add_norm_row(x: *mut f32, y: *const f32, gain: *const f32, shift: *const f32, n: usize, eps: f32) = add_norm_of;
}

#[inline(always)]
unsafe fn activate_of<L: Lanes>(activation: Activation, x: *mut f32, n: usize) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let whole = n - n % L::LANES;
        for i in (0..whole).step_by(L::LANES) {
            L::store(x.add(i), apply::<L>(activation, L::load(x.add(i))));
        }
        if whole < n {
            let v = L::load_first(x.add(whole), n - whole, 0.0);
            L::store_first(x.add(whole), n - whole, apply::<L>(activation, v));
        }
    }
}

#[inline(always)]
unsafe fn apply<L: Lanes>(activation: Activation, v: L::V) -> L::V {
    // SAFETY: as the caller vouches.
    unsafe {
        match activation {
            Activation::Gelu => gelu::<L>(v),
            Activation::GeluTanh => gelu_tanh::<L>(v),
            Activation::Relu => relu::<L>(v),
        }
    }
}

#[inline(always)]
unsafe fn add_norm_of<L: Lanes>(
    x: *mut f32,
    y: *const f32,
    gain: *const f32,
    shift: *const f32,
    n: usize,
    eps: f32,
) {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let whole = n - n % L::LANES;
        let rest = n - whole;
        let mut sum = L::splat(0.0);
        for i in (0..whole).step_by(L::LANES) {
            let v = L::add(L::load(x.add(i)), L::load(y.add(i)));
            L::store(x.add(i), v);
            sum = L::add(sum, v);
        }
        if rest > 0 {
            let v = L::add(L::load_first(x.add(whole), rest, 0.0), L::load_first(y.add(whole), rest, 0.0));
            L::store_first(x.add(whole), rest, v);
            sum = L::add(sum, v);
        }
        let mean_of_row = L::sum(sum) / n as f32;
        let mean = L::splat(mean_of_row);
        let mut squares = L::splat(0.0);
        for i in (0..whole).step_by(L::LANES) {
            let d = L::sub(L::load(x.add(i)), mean);
            squares = L::fma(d, d, squares);
        }
        if rest > 0 {
            let d = L::sub(L::load_first(x.add(whole), rest, mean_of_row), mean);
            squares = L::fma(d, d, squares);
        }
        let factor = L::splat(1.0 / (L::sum(squares) / n as f32 + eps).sqrt());
        for i in (0..whole).step_by(L::LANES) {
            let d = L::mul(L::sub(L::load(x.add(i)), mean), factor);
            L::store(x.add(i), L::fma(d, L::load(gain.add(i)), L::load(shift.add(i))));
        }
        if rest > 0 {
            let d = L::mul(L::sub(L::load_first(x.add(whole), rest, 0.0), mean), factor);
            let g = L::load_first(gain.add(whole), rest, 0.0);
            let s = L::load_first(shift.add(whole), rest, 0.0);
            L::store_first(x.add(whole), rest, L::fma(d, g, s));
        }
    }
}

/// Replaces the `n` scores at `x` by `exp(score - largest)` and gives one over their sum. With `bias`, `n` floats,
/// it is added to the scores first.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(x: *mut f32, bias: *const f32, n: usize) -> f32 {
    // SAFETY: as the caller vouches; `i` stays below `n`.
    unsafe {
        let whole = n - n % L::LANES;
        let rest = n - whole;
        if !bias.is_null() {
            for i in (0..whole).step_by(L::LANES) {
                L::store(x.add(i), L::add(L::load(x.add(i)), L::load(bias.add(i))));
            }
            for i in whole..n {
                *x.add(i) += *bias.add(i);
            }
        }
        let mut largest = L::splat(f32::NEG_INFINITY);
        for i in (0..whole).step_by(L::LANES) {
            largest = L::max(largest, L::load(x.add(i)));
        }
        if rest > 0 {
            largest = L::max(largest, L::load_first(x.add(whole), rest, f32::NEG_INFINITY));
        }
        let largest = L::splat(L::max_lane(largest));
        let mut sum = L::splat(0.0);
        for i in (0..whole).step_by(L::LANES) {
            let e = exp::<L>(L::sub(L::load(x.add(i)), largest));
            L::store(x.add(i), e);
            sum = L::add(sum, e);
        }
        let mut total = L::sum(sum);
        if rest > 0 {
            let e = exp::<L>(L::sub(L::load_first(x.add(whole), rest, 0.0), largest));
            L::store_first(x.add(whole), rest, e);
            for i in whole..n {
                total += *x.add(i);
            }
        }
        1.0 / total
    }
}
