//! How strong is each option, judged by whole rankings?

use quorate_core::{Cancel, Code, Error, Result};

use super::choice::{Choices, StrengthConfig, Strengths, determine, fit};
use super::profile::{Profile, Unranked};
use crate::check;

/// The most members of all choice sets: 256 MiB, and twice as much for their probabilities.
const MAX_MEMBERS: usize = 1 << 26;

/// Plackett-Luce strengths (Luce 1959; Plackett 1975): a ranking is a series of choices, each from the options not
/// yet placed, with probability proportional to strength.
///
/// `unranked` says what a ballot's missing options mean for this model, whatever the profile says:
/// [`Unranked::Silent`] leaves them out of the choice sets (rankings of subsets, as in the literature),
/// [`Unranked::Last`] keeps them in every set (ballots truncated after the top). Options tied on a ballot are each
/// chosen from the set that holds the tie and all below it (Breslow 1974). Uniqueness and penalty as for
/// [`bradley_terry`](super::bradley_terry()).
///
/// ```
/// use quorate_consensus::ranking::{plackett_luce, Profile, StrengthConfig, Unranked};
/// let mut p = Profile::new(["0", "1", "2", "3"])?;
/// for r in [&[0, 1, 2][..], &[3, 2, 0], &[1, 3]] {
///     p.add_codes(r, 1.0)?;
/// }
/// let fit = plackett_luce(&p, Unranked::Silent, &StrengthConfig::default())?;
/// assert!((fit.log_strengths[1] - 0.695068).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// A ballot of `m` options makes `m - 1` choice sets, of `m` members and less (with [`Unranked::Last`], of up to as many as there are options).
///
/// Errors: `empty_input` when no ballot compares anything; `not_finite` when the weights have no finite sum; `too_large` when the choice sets have more than
/// 2^26 members in all; `undefined` when `alpha` is `Some(0.0)` and the data do
/// not determine the strengths; `invalid_argument`, `not_finite` for a bad configuration.
pub fn plackett_luce(profile: &Profile, unranked: Unranked, config: &StrengthConfig) -> Result<Strengths> {
    config.validate()?;
    profile.check_not_empty()?;
    let (n, cancel) = (profile.options().len(), Cancel::current());
    let mut choices = Choices::new();
    let mut wins = vec![false; n * n];
    let mut named = vec![false; n];
    for b in profile.ballots() {
        cancel.check()?;
        b.options.iter().for_each(|&i| named[i as usize] = true);
        let missing: Vec<u32> = match unranked {
            Unranked::Last => (0..n as u32).filter(|&i| !named[i as usize]).collect(),
            Unranked::Silent => Vec::new(),
        };
        b.options.iter().for_each(|&i| named[i as usize] = false);
        let mut tier_start = 0;
        for (x, &chosen) in b.options.iter().enumerate() {
            if b.tiers[x] != b.tiers[tier_start] {
                tier_start = x;
            }
            // A lowest tier says nothing about the order within it.
            if missing.is_empty() && b.tiers.last() == Some(&b.tiers[x]) {
                break;
            }
            let rest = b.options[tier_start..].iter().chain(&missing).copied().filter(|&i| i != chosen);
            for loser in rest.clone() {
                wins[chosen as usize * n + loser as usize] = true;
            }
            choices.push(std::iter::once(chosen).chain(rest), b.weight);
            check::at_most(choices.len(), MAX_MEMBERS, "members of all sets that were chosen from")?;
        }
    }
    if choices.is_empty() {
        return Err(Error::new(
            Code::EmptyInput,
            "no ballot orders two options, so there is nothing to estimate from",
        ));
    }
    let arcs = (0..n * n).filter(|&x| wins[x]).map(|x| (x / n, x % n));
    let (alpha, components) = determine(profile.options(), arcs, config.alpha)?;
    fit("plackett_luce", profile.options(), &mut choices, components, alpha, config)
}
