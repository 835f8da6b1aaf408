//! Which tail probabilities and quantiles do the tests and intervals need?
//!
//! The gamma and error functions come from `statrs`. The beta functions and the quantiles are computed here: those of
//! `statrs` 0.19 have eight digits for many degrees of freedom, and stop short for some quantiles.

use quorate_core::{Code, Error, Result};
use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::gamma_ur;
use std::f64::consts::{PI, SQRT_2};

/// The two-sided p-value of a standard normal statistic.
pub(crate) fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() / SQRT_2)
}

/// The probability of a standard normal number below `z`.
pub(crate) fn normal_below(z: f64) -> f64 {
    0.5 * erfc(-z / SQRT_2)
}

/// The standard normal quantile of `p` in (0, 1).
pub(crate) fn normal_quantile(p: f64) -> f64 {
    let mut z = -SQRT_2 * erfc_inv(2.0 * p);
    for _ in 0..2 {
        let density = (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
        z -= (0.5 * erfc(-z / SQRT_2) - p) / density;
    }
    z
}

/// The two-sided p-value of Student's t with `df` degrees of freedom.
pub(crate) fn t_two_sided(t: f64, df: f64) -> Result<f64> {
    finite(t_tails(t, df), "Student's t")
}

/// The quantile of `p` in [0.5, 1) of Student's t with `df` degrees of freedom.
pub(crate) fn t_quantile(p: f64, df: f64) -> Result<f64> {
    let log_norm = -ln_beta(df / 2.0, 0.5) - 0.5 * df.ln();
    solve(
        |t| 0.5 * t_tails(t, df) - (1.0 - p),
        |t| -(log_norm - 0.5 * (df + 1.0) * (t * t / df).ln_1p()).exp(),
        normal_quantile(p),
        "Student's t",
    )
}

/// The upper tail of Fisher's F at `f`.
pub(crate) fn f_upper(f: f64, df1: f64, df2: f64) -> Result<f64> {
    finite(f_tail(f, df1, df2), "Fisher's F")
}

/// The quantile of `p` in (0, 1) of Fisher's F.
pub(crate) fn f_quantile(p: f64, df1: f64, df2: f64) -> Result<f64> {
    let log_norm = 0.5 * df1 * (df1 / df2).ln() - ln_beta(df1 / 2.0, df2 / 2.0);
    solve(
        |f| f_tail(f, df1, df2) - (1.0 - p),
        |f| -(log_norm + (df1 / 2.0 - 1.0) * f.ln() - 0.5 * (df1 + df2) * (df1 * f / df2).ln_1p()).exp(),
        1.0,
        "Fisher's F",
    )
}

/// The upper tail of chi-square at `x` with `df` degrees of freedom.
pub(crate) fn chi_square_upper(x: f64, df: f64) -> Result<f64> {
    if x <= 0.0 { Ok(1.0) } else { finite(gamma_ur(df / 2.0, x / 2.0), "chi-square") }
}

fn t_tails(t: f64, df: f64) -> f64 {
    let all = df + t * t;
    incomplete_beta(df / 2.0, 0.5, df / all, t * t / all)
}

fn f_tail(f: f64, df1: f64, df2: f64) -> f64 {
    let all = df2 + df1 * f;
    incomplete_beta(df2 / 2.0, df1 / 2.0, df2 / all, df1 * f / all)
}

/// From here on Stirling's series has sixteen digits.
const STIRLING: f64 = 10.0;

/// What Stirling's formula for `ln gamma(x)` leaves out (DLMF 5.11.1), for `x` of 10 or more.
fn stirling_rest(x: f64) -> f64 {
    let y = 1.0 / (x * x);
    (1.0 / 12.0
        - y * (1.0 / 360.0
            - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y * (1.0 / 1188.0 - y * 691.0 / 360_360.0)))))
        / x
}

fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < STIRLING {
        product *= x;
        x += 1.0;
    }
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + stirling_rest(x) - product.ln()
}

/// The logarithm of the beta function; for a large argument without the difference of two large logarithms.
fn ln_beta(a: f64, b: f64) -> f64 {
    let (a, b) = (a.max(b), a.min(b));
    if a < STIRLING {
        return ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    }
    ln_gamma(b) + b - b * (a + b).ln() - (a - 0.5) * (b / a).ln_1p() + stirling_rest(a) - stirling_rest(a + b)
}

/// The regularised incomplete beta function at `x`, with `y = 1 - x` given too so that no digits are lost near 1: the continued fraction 8.17.22 of
/// the Digital Library of Mathematical Functions, evaluated by the method of Lentz (1976), on the side of the mean where it converges.
fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> f64 {
    if x <= 0.0 || y <= 0.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // Decided once: rounding can put both x and y above their side of the bound.
    if x > (a + 1.0) / (a + b + 2.0) { 1.0 - lower_tail(b, a, y, x) } else { lower_tail(a, b, x, y) }
}

/// The same by the continued fraction, which converges fast up to about the mean of the distribution.
fn lower_tail(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let log = |p: f64, rest: f64| if rest < 0.5 { (-rest).ln_1p() } else { p.ln() };
    let front = (a * log(x, y) + b * log(y, x) - ln_beta(a, b)).exp() / a;
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction
}

/// The root of a function that falls on (0, infinity), by Newton steps kept inside a bracket.
fn solve(f: impl Fn(f64) -> f64, slope: impl Fn(f64) -> f64, start: f64, what: &str) -> Result<f64> {
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut x = start.max(1e-8);
    for _ in 0..200 {
        let y = f(x);
        if y == 0.0 {
            return Ok(x);
        }
        if y > 0.0 {
            low = x
        } else {
            high = x
        }
        let step = x - y / slope(x);
        let inside = step > low && step < high;
        let next = if inside {
            step
        } else if high.is_finite() {
            0.5 * (low + high)
        } else {
            2.0 * x
        };
        if (next - x).abs() <= 1e-13 * x {
            return finite(next, what);
        }
        x = next;
    }
    finite(x, what)
}

fn finite(x: f64, what: &str) -> Result<f64> {
    if x.is_finite() {
        Ok(x)
    } else {
        Err(Error::new(Code::Internal, format!("a quantile or tail of {what} is {x}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        // statrs gives the error function to eleven digits.
        assert!((a - b).abs() <= 1e-10 * b.abs(), "{a} is not {b}");
    }

    #[test]
    fn quantiles_match_scipy() {
        // scipy 1.12: stats.norm.ppf, t.ppf, f.ppf, f.sf, chi2.sf, t.sf
        close(normal_quantile(0.975), 1.959963984540054);
        close(normal_quantile(0.995), 2.5758293035489004);
        close(t_quantile(0.975, 11.0).unwrap(), 2.200985160082949);
        close(t_quantile(0.975, 39.0).unwrap(), 2.022690920036762);
        close(t_quantile(0.8, 2.0).unwrap(), 1.0606601717798223);
        close(t_quantile(0.975, 1.0).unwrap(), 12.706204736432095);
        close(t_quantile(0.95, 1e6).unwrap(), 1.64485515072204);
        close(f_quantile(0.975, 5.0, 15.0).unwrap(), 3.5764153492790607);
        close(f_quantile(0.975, 1.0, 7.0).unwrap(), 8.07266888013557);
        close(f_quantile(0.975, 3.3, 200.0).unwrap(), 3.06565664233148);
        close(f_upper(11.03, 5.0, 15.0).unwrap(), 0.00013437785204911811);
        close(chi_square_upper(30.76, 19.0).unwrap(), 0.042888230510340374);
        close(t_two_sided(5.42, 11.0).unwrap(), 0.00021017762044999626);
        close(f_quantile(0.025, 5.0, 15.0).unwrap(), 0.15557596307848715);
    }

    /// Where rounding puts both x and y beyond the bound between the two sides of the fraction.
    #[test]
    fn tails_at_the_bound_between_the_sides_end() {
        // With two degrees of freedom above: (1 + 2 f / df2)^(-df2 / 2).
        close(f_upper(0.6666666666666666, 2.0, 1.0).unwrap(), (3.0f64 / 7.0).sqrt());
        for (t, df) in [(1.6383560438182505, 17.0), (1.6690459207925605, 26.0), (1.689277519114419, 39.0)] {
            let beside = t_two_sided(t * (1.0 + 1e-12), df).unwrap();
            assert!((t_two_sided(t, df).unwrap() - beside).abs() < 1e-11);
        }
        for (f, df1, df2) in [(1.0576923076923077, 8.0, 11.0), (0.9454545454545454, 11.0, 8.0)] {
            let beside = f_upper(f * (1.0 + 1e-12), df1, df2).unwrap();
            assert!((f_upper(f, df1, df2).unwrap() - beside).abs() < 1e-11);
        }
    }
}
