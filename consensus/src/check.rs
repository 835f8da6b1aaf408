//! Is a number, a weight or a distribution usable, and if not, what does the caller hear?

use quorate_core::{Code, Error, Result};

/// How far from one a sum of probabilities may lie. Wide enough for vectors that went through `f32`.
pub(crate) const SUM_TOLERANCE: f64 = 1e-6;

/// `x`, or `not_finite` naming it.
pub(crate) fn finite(x: f64, what: impl std::fmt::Display) -> Result<f64> {
    if x.is_finite() {
        Ok(x)
    } else {
        Err(Error::new(Code::NotFinite, format!("{what} is {x}; a finite number is needed")))
    }
}

/// `x` when it lies in the closed interval, or `invalid_argument`.
pub(crate) fn within(x: f64, low: f64, high: f64, what: impl std::fmt::Display) -> Result<f64> {
    finite(x, &what)?;
    if (low..=high).contains(&x) {
        Ok(x)
    } else {
        Err(Error::invalid(format!("{what} is {x}; it must lie between {low} and {high}")))
    }
}

/// A weight: finite and not negative.
pub(crate) fn weight(w: f64, what: impl std::fmt::Display) -> Result<f64> {
    finite(w, &what)?;
    if w < 0.0 { Err(Error::invalid(format!("{what} is {w}; a weight must not be negative"))) } else { Ok(w) }
}

/// Weights divided by their sum; equal ones when none are given.
pub(crate) fn normalised_weights(weights: Option<&[f64]>, n: usize) -> Result<Vec<f64>> {
    let Some(ws) = weights else {
        return Ok(vec![1.0 / n as f64; n]);
    };
    same_length(ws.len(), n, "weights", "opinions")?;
    for (i, &w) in ws.iter().enumerate() {
        weight(w, format_args!("weight {i}"))?;
    }
    let sum: f64 = ws.iter().sum();
    if sum <= 0.0 {
        return Err(Error::invalid("all weights are zero; at least one must be positive"));
    }
    finite(sum, "the sum of the weights")?;
    Ok(ws.iter().map(|w| w / sum).collect())
}

/// `invalid_shape` unless `got == want`.
pub(crate) fn same_length(got: usize, want: usize, what: &str, of: &str) -> Result<()> {
    if got == want {
        Ok(())
    } else {
        Err(Error::new(
            Code::InvalidShape,
            format!("{got} {what} were given for {want} {of}; the numbers must be equal"),
        ))
    }
}

/// Checks a distribution and returns its sum, which is within [`SUM_TOLERANCE`] of one.
pub(crate) fn distribution(p: &[f64], what: impl std::fmt::Display) -> Result<f64> {
    if p.is_empty() {
        return Err(Error::new(Code::EmptyInput, format!("{what} has no outcomes")));
    }
    for (k, &x) in p.iter().enumerate() {
        finite(x, format_args!("{what}, probability {k}"))?;
        if x < 0.0 {
            return Err(Error::invalid(format!("{what}, probability {k} is {x}; it must not be negative")));
        }
    }
    let sum: f64 = p.iter().sum();
    if (sum - 1.0).abs() > SUM_TOLERANCE {
        return Err(Error::invalid(format!("{what}: the probabilities sum to {sum}; they must sum to 1")));
    }
    Ok(sum)
}

/// `empty_input` when `n` is zero.
pub(crate) fn not_empty(n: usize, what: &str) -> Result<()> {
    if n == 0 { Err(Error::new(Code::EmptyInput, format!("no {what} were given"))) } else { Ok(()) }
}
