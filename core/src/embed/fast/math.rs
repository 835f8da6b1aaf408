//! How are exp, erf and the activations computed on whole vectors?

use super::lanes::Lanes;

/// Coefficients of `exp(r) = 1 + r + r^2 * (E[0] + E[1] r + ...)` for |r| <= ln 2 / 2: Cephes `expf` (Moshier, 1989).
const EXP: [f32; 6] = [0.5, 1.666_666_5e-1, 4.166_579_6e-2, 8.333_452e-3, 1.398_199_9e-3, 1.987_569_1e-4];

/// Numerator and denominator in `t = x^2` of `erf(x) = x * P(t) / Q(t)` for |x| <= 3.92, fitted to the least
/// relative error (1.9e-8 before rounding) by iteratively weighted least squares (Lawson, 1961).
const ERF_P: [f32; 6] = [
    std::f32::consts::FRAC_2_SQRT_PI,
    0.190_400_67,
    0.052_747_906,
    0.003_765_353_7,
    0.000_284_874_46,
    2.050_102e-6,
];
const ERF_Q: [f32; 6] = [1.0, 0.502_070_96, 0.114_106_67, 0.014_968_692, 0.001_162_467_3, 3.809_143_5e-5];
/// Beyond this, erf is 1 in f32.
const ERF_LIMIT: f32 = 3.92;

/// `c[0] + c[1] x + ...`
#[inline(always)]
unsafe fn polynomial<L: Lanes, const N: usize>(x: L::V, c: [f32; N]) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe {
        let mut y = L::splat(c[N - 1]);
        for &c in c.iter().rev().skip(1) {
            y = L::fma(y, x, L::splat(c));
        }
        y
    }
}

/// `e^x`, to 2 units in the last place where the result is a normal number; below -87 it is about 1e-38.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe {
        // The constant stands first, so that NaN stays.
        let x = L::min(L::splat(88.0), L::max(L::splat(-87.0), x));
        let n = L::round(L::mul(x, L::splat(std::f32::consts::LOG2_E)));
        // ln 2 in two parts (Cody and Waite, 1980): the first has few bits, so that its product with n is exact.
        let r = L::fma(n, L::splat(-0.693_359_4), x);
        let r = L::fma(n, L::splat(2.121_944_4e-4), r);
        let p = polynomial::<L, 6>(r, EXP);
        let p = L::add(L::fma(L::mul(r, r), p, r), L::splat(1.0));
        L::scale2(p, n)
    }
}

/// The error function, to 5e-7.
#[inline(always)]
pub(super) unsafe fn erf<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe {
        let x = L::min(L::splat(ERF_LIMIT), L::max(L::splat(-ERF_LIMIT), x));
        let t = L::mul(x, x);
        L::div(L::mul(x, polynomial::<L, 6>(t, ERF_P)), polynomial::<L, 6>(t, ERF_Q))
    }
}

/// `x * Phi(x)`, Phi the normal distribution function: the GELU of Hendrycks and Gimpel (2016).
#[inline(always)]
pub(super) unsafe fn gelu<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe {
        let e = erf::<L>(L::mul(x, L::splat(std::f32::consts::FRAC_1_SQRT_2)));
        let half = L::mul(x, L::splat(0.5));
        L::fma(half, e, half)
    }
}

/// Hendrycks and Gimpel's approximation of GELU, `x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`.
#[inline(always)]
pub(super) unsafe fn gelu_tanh<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe {
        // (1 + tanh u) / 2 = 1 / (1 + exp(-2u))
        let cubic = L::fma(L::mul(x, x), L::splat(0.044_715), L::splat(1.0));
        let u = L::mul(L::mul(x, cubic), L::splat(-1.595_769));
        L::div(x, L::add(L::splat(1.0), exp::<L>(u)))
    }
}

/// `max(x, 0)`; NaN stays.
#[inline(always)]
pub(super) unsafe fn relu<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller runs on a processor with the unit.
    unsafe { L::max(L::splat(0.0), x) }
}
