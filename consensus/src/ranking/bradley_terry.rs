//! How strong is each option, judged by its duels?

use quorate_core::Result;

use super::choice::{Choices, StrengthConfig, Strengths, determine, fit};
use super::comparisons::Comparisons;

/// Bradley-Terry strengths (Zermelo 1929; Bradley and Terry 1952): `P(i beats j) = s_i / (s_i + s_j)`.
///
/// Maximum likelihood, or maximum a posteriori with a ridge penalty on the log-strengths. The likelihood has a
/// unique maximum just when a chain of wins leads from every option to every other (Ford 1957); otherwise see
/// [`StrengthConfig::alpha`]. A tie counts as half a win for each.
///
/// ```
/// use quorate_consensus::ranking::{bradley_terry, Comparisons, StrengthConfig};
/// let mut c = Comparisons::new(["0", "1", "2"])?;
/// for (w, l) in [("0", "1"), ("0", "1"), ("1", "2"), ("2", "0")] {
///     c.add(w, l, 1.0)?;
/// }
/// let fit = bradley_terry(&c, &StrengthConfig::default())?;
/// assert!((fit.log_strengths[0] - 0.419617624).abs() < 1e-9);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without comparisons; `not_finite` when the weights have no finite sum; `undefined` when `alpha` is `Some(0.0)` and the data do not determine
/// the strengths; `invalid_argument`, `not_finite` for a bad configuration.
pub fn bradley_terry(comparisons: &Comparisons, config: &StrengthConfig) -> Result<Strengths> {
    config.validate()?;
    comparisons.check_not_empty()?;
    let (alpha, components) =
        determine(comparisons.options(), comparisons.pairs().map(|(i, j, _)| (i, j)), config.alpha)?;
    let mut choices = Choices::new();
    for (i, j, w) in comparisons.pairs() {
        choices.push([i as u32, j as u32], w);
    }
    fit("bradley_terry", comparisons.options(), &mut choices, components, alpha, config)
}
