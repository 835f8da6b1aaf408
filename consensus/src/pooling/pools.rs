//! Which one distribution speaks for several experts?

use quorate_core::{Code, Error, Result};

use super::opinions::Opinions;
use crate::check;

/// Extremising exponent used when none is chosen (about what Baron et al. 2014 found for groups of forecasters).
pub const DEFAULT_EXTREMIZING: f64 = 2.5;

/// Linear opinion pool (Stone 1961): `q(k) = sum of w_i p_i(k)`.
///
/// `weights` are not negative and are divided by their sum; `None` means equal. The pool is the distribution that
/// minimises `sum of w_i KL(p_i || q)`. It keeps marginals but is not externally Bayesian, and it cannot tell "all
/// unsure" from "split": see [`density_pool`](crate::density::density_pool()).
///
/// ```
/// use quorate_consensus::pooling::{linear_pool, Opinions};
/// let q = linear_pool(&Opinions::from_event(&[0.9, 0.7, 0.6])?, None)?;
/// assert!((q[0] - 0.733333).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `invalid_shape`, `not_finite`, `invalid_argument` for bad weights.
pub fn linear_pool(opinions: &Opinions, weights: Option<&[f64]>) -> Result<Vec<f64>> {
    let weights = check::normalised_weights(weights, opinions.experts())?;
    let mut pooled = vec![0.0; opinions.outcomes()];
    for (row, w) in opinions.rows().zip(&weights) {
        for (q, p) in pooled.iter_mut().zip(row) {
            *q += w * p;
        }
    }
    Ok(pooled)
}

/// Logarithmic opinion pool (Genest and Zidek 1986): `q(k)` proportional to the product of `p_i(k)^w_i`.
///
/// Externally Bayesian; the distribution that minimises `sum of w_i KL(q || p_i)`. An outcome that any expert with
/// positive weight calls impossible is impossible in the pool (a veto). Weights as for [`linear_pool`].
///
/// ```
/// use quorate_consensus::pooling::{log_pool, Opinions};
/// let q = log_pool(&Opinions::from_event(&[0.9, 0.7, 0.6])?, None)?;
/// assert!((q[0] - 0.759510).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `undefined` when every outcome is vetoed; those of [`linear_pool`].
pub fn log_pool(opinions: &Opinions, weights: Option<&[f64]>) -> Result<Vec<f64>> {
    geometric(opinions, weights, 1.0)
}

/// Extremised pool: the weighted mean of log-odds, multiplied by `a` (Satopaa et al. 2014; Baron et al. 2014).
///
/// For two outcomes `logit q = a * sum of w_i logit p_i`; for more, `q(k)` is proportional to the product of
/// `p_i(k)^(a w_i)`, which is the same thing there. `a = 1` is [`log_pool`]; above 1 it corrects for experts who
/// each hold only a part of the evidence. [`DEFAULT_EXTREMIZING`] is 2.5.
///
/// ```
/// use quorate_consensus::pooling::{extremized_pool, Opinions, DEFAULT_EXTREMIZING};
/// let q = extremized_pool(&Opinions::from_event(&[0.9, 0.7, 0.6])?, None, DEFAULT_EXTREMIZING)?;
/// assert!((q[0] - 0.946596).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `invalid_argument` when `a` is not positive; those of [`log_pool`].
pub fn extremized_pool(opinions: &Opinions, weights: Option<&[f64]>, a: f64) -> Result<Vec<f64>> {
    check::finite(a, "a")?;
    if a <= 0.0 {
        return Err(Error::invalid(format!("a is {a}; it must be positive")));
    }
    geometric(opinions, weights, a)
}

fn geometric(opinions: &Opinions, weights: Option<&[f64]>, power: f64) -> Result<Vec<f64>> {
    let weights = check::normalised_weights(weights, opinions.experts())?;
    let mut pooled = vec![0.0; opinions.outcomes()];
    for (row, &w) in opinions.rows().zip(&weights).filter(|(_, w)| **w > 0.0) {
        for (q, p) in pooled.iter_mut().zip(row) {
            *q += w * p.ln();
        }
    }
    let top = pooled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return Err(Error::new(
            Code::Undefined,
            "each outcome is impossible to some expert, so the logarithmic pool has no mass left; use linear_pool or \
             keep probabilities above zero",
        ));
    }
    // The power comes last: of differences that are 0 for the leading outcomes and negative for all others, so that it makes no NaN however large or
    // small it is.
    let share = |q: f64| match q - top {
        0.0 => 1.0,
        below => (power * below).exp(),
    };
    pooled.iter_mut().for_each(|q| *q = if *q == f64::NEG_INFINITY { 0.0 } else { share(*q) });
    let sum: f64 = pooled.iter().sum();
    pooled.iter_mut().for_each(|q| *q /= sum);
    Ok(pooled)
}
