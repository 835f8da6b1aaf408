//! Where does a walker spend its time that always moves on to options that win?

use quorate_core::{Cancel, Result};

use super::choice::{StrengthConfig, Strengths, determine, report};
use super::comparisons::Comparisons;
use super::profile::MAX_OPTIONS;
use crate::check;

/// Shares are divided by the largest when one is above this, so that none overflows.
const LARGE: f64 = 1e100;

/// Rank centrality (Negahban, Oh and Shah 2012): the stationary distribution of a walk that goes from `i` to `j` at
/// the rate at which `j` wins their duels.
///
/// ```text
/// rate(i -> j) = (wins(j, i) + a) / (wins(i, j) + wins(j, i) + 2a)
/// ```
///
/// with `a` = [`StrengthConfig::alpha`] on every pair (0 when the data determine the result, and then only on pairs
/// that were compared). Solved directly and without subtractions by state reduction (Grassmann, Taksar and Heyman
/// 1985), `O(n^3)`. `shares` is the stationary distribution; log-strengths are its logarithms with mean zero.
///
/// ```
/// use quorate_consensus::ranking::{rank_centrality, Comparisons, StrengthConfig};
/// let mut c = Comparisons::new(["x", "y"])?;
/// c.add("x", "y", 3.0)?;
/// c.add("y", "x", 1.0)?;
/// let r = rank_centrality(&c, &StrengthConfig::default())?;
/// assert!((r.shares[0] - 0.75).abs() < 1e-12);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without comparisons; `not_finite` when the weights have no finite sum; `too_large` above 5,000 options; `undefined` when `alpha` is `Some(0.0)` and some option cannot be
/// reached from another; `invalid_argument`, `not_finite` for a bad configuration.
pub fn rank_centrality(comparisons: &Comparisons, config: &StrengthConfig) -> Result<Strengths> {
    config.validate()?;
    comparisons.check_not_empty()?;
    let options = comparisons.options();
    let n = options.len();
    check::at_most(n, MAX_OPTIONS, "options of rank_centrality")?;
    let cancel = Cancel::current();
    let (alpha, components) = determine(options, comparisons.pairs().map(|(i, j, _)| (i, j)), config.alpha)?;
    let mut wins = vec![0.0; n * n];
    for (i, j, w) in comparisons.pairs() {
        wins[i * n + j] = w;
    }
    let mut rate = vec![0.0; n * n];
    for i in 0..n {
        for j in (0..n).filter(|&j| j != i) {
            let duels = wins[i * n + j] + wins[j * n + i] + 2.0 * alpha;
            if duels > 0.0 {
                rate[i * n + j] = (wins[j * n + i] + alpha) / duels;
            }
        }
    }
    for k in (1..n).rev() {
        cancel.check()?;
        let out: f64 = rate[k * n..k * n + k].iter().sum();
        for i in 0..k {
            rate[i * n + k] /= out;
            let into_k = rate[i * n + k];
            for j in (0..k).filter(|&j| j != i) {
                rate[i * n + j] += into_k * rate[k * n + j];
            }
        }
    }
    let mut share = vec![1.0; n];
    for k in 1..n {
        share[k] = (0..k).map(|i| share[i] * rate[i * n + k]).sum::<f64>();
        if share[k] > LARGE {
            let largest = share[k];
            share[..=k].iter_mut().for_each(|s| *s /= largest);
        }
    }
    // Strengths below the smallest number are not told apart.
    let theta: Vec<f64> = share.iter().map(|s: &f64| s.max(f64::MIN_POSITIVE).ln()).collect();
    Ok(report("rank_centrality", options, theta, components, alpha, config))
}
