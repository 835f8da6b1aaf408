//! Who stands highest on average?

use quorate_core::Result;

use super::outcome::{Outcome, VoteConfig, from_scores};
use super::profile::Profile;

/// Borda count (Borda 1781): the score of an option is the weight of voters who prefer it, summed over its rivals,
/// a level pair counting one half for each side.
///
/// ```text
/// B(i) = sum over j of  prefer(i, j) + tied(i, j) / 2
/// ```
///
/// On complete strict rankings of `m` options this is `m - 1` points for a first place down to 0 for the last. On
/// truncated ballots the options left out share the points of the places left (Unranked::Last). Borda does not
/// promise to elect a Condorcet or a majority winner. `config.strength` has no part in it.
///
/// ```
/// use quorate_consensus::ranking::{borda, Profile, VoteConfig};
/// // The capital of Tennessee: Memphis, Nashville, Chattanooga, Knoxville.
/// let p = Profile::from_rankings(&[
///     (["M", "N", "C", "K"], 42.0), (["N", "C", "K", "M"], 26.0),
///     (["C", "K", "N", "M"], 15.0), (["K", "C", "N", "M"], 17.0),
/// ])?;
/// let b = borda(&p, &VoteConfig::default())?;
/// assert_eq!(b.winner(), Some("N"));
/// assert_eq!(b.scores, [173.0, 107.0, 126.0, 194.0]); // C, K, M, N
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum.
pub fn borda(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    let pairs = profile.pairs()?;
    let n = pairs.len();
    let scores: Vec<f64> = (0..n)
        .map(|i| (0..n).filter(|&j| j != i).map(|j| pairs.prefer(i, j) + pairs.tied(i, j) / 2.0).sum())
        .collect();
    Ok(from_scores("borda", profile.options(), scores, pairs.epsilon_of(n), config.tie_break))
}
