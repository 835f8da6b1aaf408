//! Where does a walker spend its time that always moves on to options that win?

use quorate_core::{Code, Error, Result};

use super::choice::{StrengthConfig, Strengths, determine, report};
use super::comparisons::Comparisons;

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
/// Errors: `empty_input` without comparisons; `undefined` when `alpha` is `Some(0.0)` and some option cannot be
/// reached from another; `invalid_argument`, `not_finite` for a bad configuration.
pub fn rank_centrality(comparisons: &Comparisons, config: &StrengthConfig) -> Result<Strengths> {
    config.validate()?;
    if comparisons.is_empty() {
        return Err(Error::new(Code::EmptyInput, "nothing has been compared"));
    }
    let options = comparisons.options();
    let n = options.len();
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
        share[k] = (0..k).map(|i| share[i] * rate[i * n + k]).sum();
    }
    let theta: Vec<f64> = share.iter().map(|s: &f64| s.ln()).collect();
    Ok(report("rank_centrality", options, theta, components, alpha, config))
}
