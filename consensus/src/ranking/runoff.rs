//! Who is left when the weakest option goes out, round after round?

use std::collections::BTreeSet;

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, TieBreak, assemble, priorities};
use super::profile::Profile;
use crate::check;

/// The most options: every count lists all that stand, two million entries in all.
const MAX_OPTIONS: usize = 2_000;

/// How many sets of standing options parallel universes may visit.
const MAX_SETS: usize = 100_000;

/// How many bytes these sets may take, each of them twice.
const MAX_BYTES: usize = 256 << 20;

/// What happens when several options are last in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastPlaceTies {
    /// All of them go out together (default). When that would leave nobody, they are joint winners.
    #[default]
    Together,
    /// One goes out, by `tie_break` (the option that the tie-break ranks lowest); the tie is reported in `broken`.
    TieBreak,
    /// Every choice is followed; winners are those of any course of eliminations (Conitzer et al. 2009). Rounds and
    /// tiers are those of eliminating together.
    ParallelUniverses,
}

/// Options of [`instant_runoff`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunoffConfig {
    /// Ties for the last place.
    pub last_place_ties: LastPlaceTies,
    /// The order used for `LastPlaceTies::TieBreak` and for ties in the outcome.
    pub tie_break: TieBreak,
}

impl RunoffConfig {
    /// Errors: `invalid_argument` when ties go by a tie-break and none is named.
    pub fn validate(&self) -> Result<()> {
        if self.last_place_ties == LastPlaceTies::TieBreak && self.tie_break == TieBreak::None {
            return Err(Error::invalid(
                "last_place_ties is TieBreak but tie_break is None; name a tie_break",
            ));
        }
        Ok(())
    }
}

/// One count of an instant runoff.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunoffRound {
    /// Standing options with their votes, most votes first, equal votes alphabetically.
    pub tallies: Vec<(String, f64)>,
    /// The weight of ballots that name no standing option any more.
    pub exhausted: f64,
    /// Who goes out after this count; empty in the last one.
    pub eliminated: Vec<String>,
    /// Whether the last place was tied.
    pub tied: bool,
}

/// The result of [`instant_runoff`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Runoff {
    /// Winners and the order of elimination, the last eliminated first. Scores are the votes of an option in the
    /// last count in which it stood.
    pub outcome: Outcome,
    /// The counts, down to a single option or a tie among all that are left.
    pub rounds: Vec<RunoffRound>,
    /// The first round (from 0) in which an option held more than half of the votes still in play.
    pub majority_round: Option<usize>,
}

/// Instant runoff (Ware 1871; also alternative vote, ranked-choice voting with one seat).
///
/// Each ballot counts for its best standing option (an equal split among options tied there); the option with the
/// fewest votes goes out, and so on. Counting goes on to the last option so that the whole order is known; the
/// winner cannot change once an option holds a majority. Elects a majority winner; is not monotonic and may pass
/// over a Condorcet winner.
///
/// ```
/// use quorate_consensus::ranking::{instant_runoff, Profile, RunoffConfig};
/// let p = Profile::from_rankings(&[
///     (["M", "N", "C", "K"], 42.0), (["N", "C", "K", "M"], 26.0),
///     (["C", "K", "N", "M"], 15.0), (["K", "C", "N", "M"], 17.0),
/// ])?;
/// let r = instant_runoff(&p, &RunoffConfig::default())?;
/// assert_eq!(r.outcome.order.unwrap(), ["K", "M", "N", "C"]);
/// assert_eq!(r.majority_round, Some(2));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum; `invalid_argument` for a bad configuration;
/// `too_large` above 2,000 options, or when parallel universes are too many (100,000 sets of standing options, or 256 MiB of them).
pub fn instant_runoff(profile: &Profile, config: &RunoffConfig) -> Result<Runoff> {
    config.validate()?;
    profile.check_not_empty()?;
    let options = profile.options();
    let n = options.len();
    check::at_most(n, MAX_OPTIONS, "options of instant_runoff")?;
    let cancel = Cancel::current();
    // Whole votes are counted exactly, votes that are split among tied options are not.
    let split = profile.ballots().any(|b| b.tiers.windows(2).any(|w| w[0] == w[1]));
    let rounding = profile.rounding();
    let epsilon = if split { rounding.of_split_sums() } else { rounding.of_sums() };
    let rank = priorities(options, config.tie_break);
    let mut standing = vec![true; n];
    let mut scores = vec![0.0; n];
    let (mut rounds, mut tiers, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    let mut majority_round = None;
    loop {
        cancel.check()?;
        let (votes, exhausted) = count(profile, &standing);
        let mut left: Vec<usize> = (0..n).filter(|&i| standing[i]).collect();
        left.sort_by(|&a, &b| votes[b].total_cmp(&votes[a]).then_with(|| options[a].cmp(&options[b])));
        for &i in &left {
            scores[i] = votes[i];
        }
        let in_play: f64 = left.iter().map(|&i| votes[i]).sum();
        if majority_round.is_none() && votes[left[0]] - in_play / 2.0 > epsilon {
            majority_round = Some(rounds.len());
        }
        let mut out = last_placed(&left, &votes, epsilon);
        let tied = out.len() > 1;
        let all_level = out.len() == left.len();
        if tied
            && config.last_place_ties == LastPlaceTies::TieBreak
            && let Some(rank) = &rank
        {
            broken.push(out.clone());
            out.sort_by_key(|&i| std::cmp::Reverse(rank[i]));
            out.truncate(1);
        }
        let over = left.len() == 1 || (all_level && out.len() == left.len());
        let mut names: Vec<String> = out.iter().map(|&i| options[i].clone()).collect();
        names.sort();
        rounds.push(RunoffRound {
            tallies: left.iter().map(|&i| (options[i].clone(), votes[i])).collect(),
            exhausted,
            eliminated: if over { Vec::new() } else { names },
            tied,
        });
        if over {
            tiers.push(left);
            break;
        }
        for &i in &out {
            standing[i] = false;
        }
        tiers.push(out);
    }
    tiers.reverse();
    let mut winners = tiers[0].clone();
    if config.last_place_ties == LastPlaceTies::ParallelUniverses {
        let all = universes(profile, epsilon, &cancel)?;
        if all != winners.iter().copied().collect::<BTreeSet<_>>() {
            // The winners of some course that were eliminated together with others join the first tier.
            winners = all.iter().copied().collect();
            for tier in &mut tiers {
                tier.retain(|i| !all.contains(i));
            }
            tiers.retain(|t| !t.is_empty());
            tiers.insert(0, winners.clone());
        }
    }
    let outcome = assemble("instant_runoff", options, scores, winners, tiers, config.tie_break, broken);
    Ok(Runoff { outcome, rounds, majority_round })
}

/// Votes per option among those standing, and the weight of exhausted ballots.
fn count(profile: &Profile, standing: &[bool]) -> (Vec<f64>, f64) {
    let mut votes = vec![0.0; standing.len()];
    let mut exhausted = 0.0;
    for b in profile.ballots() {
        let Some(first) = b.options.iter().position(|&c| standing[c as usize]) else {
            exhausted += b.weight;
            continue;
        };
        let tier = b.tiers[first];
        let level = |&x: &usize| b.tiers[x] == tier && standing[b.options[x] as usize];
        let share = (first..b.options.len()).take_while(|&x| b.tiers[x] == tier).filter(level).count();
        for x in (first..b.options.len()).take_while(|&x| b.tiers[x] == tier).filter(level) {
            votes[b.options[x] as usize] += b.weight / share as f64;
        }
    }
    (votes, exhausted)
}

/// The options with the fewest votes; `left` is sorted by votes, most first.
fn last_placed(left: &[usize], votes: &[f64], epsilon: f64) -> Vec<usize> {
    let fewest = left.last().map_or(0.0, |&i| votes[i]);
    left.iter().copied().filter(|&i| votes[i] - fewest <= epsilon).collect()
}

/// The winners over every course of eliminating one last-placed option at a time.
fn universes(profile: &Profile, epsilon: f64, cancel: &Cancel) -> Result<BTreeSet<usize>> {
    let n = profile.options().len();
    let mut winners = BTreeSet::new();
    // Sets are counted when they are found, so that those which still wait are as few.
    let mut seen = BTreeSet::from([vec![true; n]]);
    let mut stack = vec![vec![true; n]];
    while let Some(standing) = stack.pop() {
        cancel.check()?;
        let (votes, _) = count(profile, &standing);
        let left: Vec<usize> = (0..n).filter(|&i| standing[i]).collect();
        if let [one] = left[..] {
            winners.insert(one);
            continue;
        }
        let fewest = left.iter().map(|&i| votes[i]).fold(f64::INFINITY, f64::min);
        for i in left.into_iter().filter(|&i| votes[i] - fewest <= epsilon) {
            let mut next = standing.clone();
            next[i] = false;
            if !seen.insert(next.clone()) {
                continue;
            }
            if seen.len() > MAX_SETS || 2 * n * seen.len() > MAX_BYTES {
                return Err(Error::new(
                    Code::TooLarge,
                    "too many ties for the last place to follow every course; use Together or TieBreak",
                ));
            }
            stack.push(next);
        }
    }
    Ok(winners)
}
