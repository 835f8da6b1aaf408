//! Who wins the duels, and whose worst duel is the least bad?

use quorate_core::Result;

use super::outcome::{Outcome, Strength, VoteConfig, from_scores};
use super::profile::{PairMatrix, Profile};

/// Copeland's method (Copeland 1951; Llull 1299): one point for each rival beaten by a majority, half a point for
/// each level duel. Elects a Condorcet winner when there is one.
///
/// ```
/// use quorate_consensus::ranking::{copeland, Profile, VoteConfig};
/// let p = Profile::from_rankings(&[(["a", "b", "c"], 2.0), (["b", "c", "a"], 1.0)])?;
/// let c = copeland(&p, &VoteConfig::default())?;
/// assert_eq!(c.winner(), Some("a"));
/// assert_eq!(c.scores, [2.0, 1.0, 0.0]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum.
pub fn copeland(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    let pairs = profile.pairs()?;
    let n = pairs.len();
    let duel = |i: usize, j: usize| match pairs.margin(i, j) {
        m if m > 0.0 => 1.0,
        m if m < 0.0 => 0.0,
        _ => 0.5,
    };
    let scores = (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| duel(i, j)).sum()).collect();
    Ok(from_scores("copeland", profile.options(), scores, 1e-9, config.tie_break))
}

/// Minimax (Simpson 1969; Kramer 1977): the option whose strongest defeat is weakest.
///
/// The score is minus the strength of the strongest defeat, 0 for an undefeated option. Elects a Condorcet winner
/// when there is one; may elect a Condorcet loser.
///
/// ```
/// use quorate_consensus::ranking::{minimax, Profile, VoteConfig};
/// let p = Profile::from_rankings(&[(["a", "b", "c"], 4.0), (["b", "c", "a"], 3.0), (["c", "a", "b"], 2.0)])?;
/// let m = minimax(&p, &VoteConfig::default())?;
/// assert_eq!(m.scores, [-1.0, -3.0, -5.0]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum.
pub fn minimax(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    let pairs = profile.pairs()?;
    let n = pairs.len();
    let scores = (0..n)
        .map(|i| {
            let worst = (0..n).map(|j| victory(&pairs, config.strength, j, i)).fold(0.0, f64::max);
            if worst == 0.0 { 0.0 } else { -worst }
        })
        .collect();
    Ok(from_scores("minimax", profile.options(), scores, pairs.epsilon(), config.tie_break))
}

/// The strength of the victory of `i` over `j`; 0 when there is none.
pub(crate) fn victory(pairs: &PairMatrix, strength: Strength, i: usize, j: usize) -> f64 {
    let margin = pairs.margin(i, j);
    if margin <= 0.0 {
        return 0.0;
    }
    match strength {
        Strength::Margins => margin,
        Strength::WinningVotes => pairs.prefer(i, j),
    }
}
