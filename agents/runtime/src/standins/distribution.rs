//! Which probabilities and quantiles do the formulas need?

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2};

use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::ln_gamma;

/// Halvings of an interval until it has no more digits.
const HALVINGS: usize = 80;

/// The probability of a standard normal number above `z`.
pub(super) fn normal_above(z: f64) -> f64 {
    0.5 * erfc(z / SQRT_2)
}

/// The standard normal quantile of `p` in (0, 1), mended by two steps of Newton's.
pub(super) fn normal_quantile(p: f64) -> f64 {
    let mut z = -SQRT_2 * erfc_inv(2.0 * p);
    for _ in 0..2 {
        let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        if density > 0.0 {
            z -= (normal_above(-z) - p) / density;
        }
    }
    z
}

/// The quantile of `p` in [0.5, 1) of Student's t (1908) with a whole number of degrees of freedom, by the finite sums of
/// Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
pub(super) fn t_quantile(p: f64, df: usize) -> f64 {
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if 0.5 + 0.5 * t_within(middle, df) < p { low = middle } else { high = middle }
    }
    low.tan() * (df as f64).sqrt()
}

/// The probability that |t| is below `tan(theta) * sqrt(df)`.
fn t_within(theta: f64, df: usize) -> f64 {
    let (sin, cos) = theta.sin_cos();
    let odd = df % 2 == 1;
    let (mut term, mut sum) = if odd { (cos, 0.0) } else { (1.0, 1.0) };
    let mut at = if odd { 1 } else { 2 };
    while at < df {
        if odd {
            sum += term;
            term *= cos * cos * (at + 1) as f64 / (at + 2) as f64;
        } else {
            term *= cos * cos * (at - 1) as f64 / at as f64;
            sum += term;
        }
        at += 2;
        if term < 1e-18 {
            break;
        }
    }
    if odd { 2.0 / PI * (theta + sin * sum) } else { sin * sum }
}

/// The probability of more than `k` events where `mean` (above 0) are expected (Poisson 1837).
pub(super) fn poisson_above(k: u64, mean: f64) -> f64 {
    // The smaller side is summed.
    let term = |i: u64| (i as f64 * mean.ln() - mean - ln_gamma(i as f64 + 1.0)).exp();
    if (k as f64) < mean {
        let (mut last, mut sum) = (term(k), 0.0);
        for i in (0..=k).rev() {
            sum += last;
            last *= i as f64 / mean;
            if last < sum * 1e-18 {
                break;
            }
        }
        return (1.0 - sum).max(0.0);
    }
    let (mut last, mut sum) = (term(k + 1), 0.0);
    let mut i = k + 1;
    while last > sum * 1e-18 {
        sum += last;
        i += 1;
        last *= mean / i as f64;
    }
    sum
}

/// The probability of at most `k` events in `n` trials that each have one with probability `p` in (0, 1).
pub(super) fn binomial_up_to(k: u64, n: u64, p: f64) -> f64 {
    if k >= n {
        return 1.0;
    }
    // The logarithm of each term by that before it: those of factorials of many trials have no digits left to subtract.
    let (mut log, mut sum) = (n as f64 * (-p).ln_1p(), 0.0);
    for i in 0..=k {
        sum += log.exp();
        log += ((n - i) as f64 / (i + 1) as f64).ln() + p.ln() - (-p).ln_1p();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64, within: f64) {
        assert!((a - b).abs() <= within, "{a} is not {b}");
    }

    #[test]
    fn quantiles_are_those_of_printed_tables() {
        near(normal_quantile(0.975), 1.959_963_985, 1e-9);
        near(normal_quantile(0.9), 1.281_551_566, 1e-9);
        near(normal_above(1.959_963_985), 0.025, 1e-10);
        // Student's t, two-sided 95% and one-sided 95%.
        for (p, df, t) in [
            (0.975, 1, 12.706_205),
            (0.975, 2, 4.302_653),
            (0.975, 5, 2.570_582),
            (0.975, 10, 2.228_139),
            (0.975, 30, 2.042_272),
            (0.95, 3, 2.353_363),
            (0.95, 4, 2.131_847),
            (0.975, 100_000, 1.959_988),
        ] {
            near(t_quantile(p, df), t, 1e-6);
        }
    }

    #[test]
    fn tails_are_those_of_small_sums() {
        near(poisson_above(0, 1.0), 1.0 - (-1.0_f64).exp(), 1e-12);
        near(poisson_above(2, 2.0), 1.0 - 5.0 * (-2.0_f64).exp(), 1e-12);
        near(poisson_above(1000, 1000.0), 0.4916, 1e-3);
        near(binomial_up_to(1, 3, 0.5), 0.5, 1e-12);
        near(binomial_up_to(0, 59, 0.05), 0.95_f64.powi(59), 1e-12);
        assert_eq!(binomial_up_to(3, 3, 0.5), 1.0);
        // Of a trillion trials it is that of Poisson: 6.333 exp(-2) for at most 3 where 2 are expected.
        near(
            binomial_up_to(3, 1_000_000_000_000, 2e-12),
            (1.0 + 2.0 + 2.0 + 8.0 / 6.0) * (-2.0_f64).exp(),
            1e-9,
        );
    }
}
