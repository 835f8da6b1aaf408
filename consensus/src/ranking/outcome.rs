//! What did an election yield, and which ties did it leave or break?

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// What to do with ties. Whatever is done is reported in [`Outcome::broken`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// Leave ties as they are (default).
    #[default]
    None,
    /// The alphabetically first option goes first.
    Lexicographic,
    /// A permutation of the options drawn with this seed decides.
    Random {
        /// Seed of the ChaCha generator.
        seed: u64,
    },
}

/// The result of a voting method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The name of the method.
    pub method: &'static str,
    /// The options, in the order of the profile.
    pub options: Vec<String>,
    /// One number per option, in the same order; what it means is said by the method.
    pub scores: Vec<f64>,
    /// Every option that the method lets win; more than one is a tie.
    pub winners: Vec<String>,
    /// The collective weak order, best first. Options in one tier are tied or not comparable; within a tier they
    /// stand in alphabetical order.
    pub tiers: Vec<Vec<String>>,
    /// The total order, present when nothing was tied or a tie-break was asked for.
    pub order: Option<Vec<String>>,
    /// The tie-break that was in force.
    pub tie_break: TieBreak,
    /// The groups of options whose ties the tie-break decided; empty when it had nothing to do.
    pub broken: Vec<Vec<String>>,
}

impl Outcome {
    /// The single winner: the only one, or the one that the tie-break chose. `None` is an unbroken tie.
    pub fn winner(&self) -> Option<&str> {
        match (&self.order, self.winners.as_slice()) {
            (Some(order), _) => order.first().map(String::as_str),
            (None, [one]) => Some(one),
            _ => None,
        }
    }
}

/// Options common to the Condorcet methods and Borda.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VoteConfig {
    /// How the strength of a pairwise victory is measured. Without truncation and ties both give the same result.
    pub strength: Strength,
    /// What to do with ties.
    pub tie_break: TieBreak,
}

/// The strength of a victory of `i` over `j`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Votes for `i` over `j` less votes for `j` over `i` (default).
    #[default]
    Margins,
    /// Votes for `i` over `j`.
    WinningVotes,
}

/// The rank of each option under a tie-break: alphabetical, or a seeded permutation of the alphabetical order.
pub(crate) fn priorities(options: &[String], tie_break: TieBreak) -> Option<Vec<usize>> {
    let mut sorted: Vec<usize> = (0..options.len()).collect();
    sorted.sort_by(|&a, &b| options[a].cmp(&options[b]));
    match tie_break {
        TieBreak::None => return None,
        TieBreak::Lexicographic => {}
        TieBreak::Random { seed } => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            for i in (1..sorted.len()).rev() {
                sorted.swap(i, rng.random_range(0..=i));
            }
        }
    }
    let mut rank = vec![0; options.len()];
    for (r, i) in sorted.into_iter().enumerate() {
        rank[i] = r;
    }
    Some(rank)
}

/// Outcome of a scoring method: a higher score is better, scores within `epsilon` of the next are tied.
pub(crate) fn from_scores(
    method: &'static str,
    options: &[String],
    scores: Vec<f64>,
    epsilon: f64,
    tie_break: TieBreak,
) -> Outcome {
    let mut by_score: Vec<usize> = (0..scores.len()).collect();
    by_score.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut tiers: Vec<Vec<usize>> = Vec::new();
    let mut last = f64::INFINITY;
    for i in by_score {
        match tiers.last_mut() {
            Some(tier) if last - scores[i] <= epsilon => tier.push(i),
            _ => tiers.push(vec![i]),
        }
        last = scores[i];
    }
    let winners = tiers.first().cloned().unwrap_or_default();
    assemble(method, options, scores, winners, tiers, tie_break, Vec::new())
}

/// Outcome of a method that yields a strict partial order: `above[i * n + j]` says that `i` is above `j`.
///
/// Tiers are the connected components of "neither is above the other"; between two such components all pairs are
/// ordered one way, so the components form a line.
pub(crate) fn from_relation(
    method: &'static str,
    options: &[String],
    above: &[bool],
    winners: Vec<usize>,
    tie_break: TieBreak,
    broken: Vec<Vec<usize>>,
) -> Outcome {
    let n = options.len();
    let beats = |i: usize| (0..n).filter(|&j| above[i * n + j]).count();
    let scores: Vec<f64> = (0..n).map(|i| beats(i) as f64).collect();
    let mut component = vec![usize::MAX; n];
    let mut tiers: Vec<Vec<usize>> = Vec::new();
    for start in 0..n {
        if component[start] != usize::MAX {
            continue;
        }
        let mut members = vec![start];
        component[start] = tiers.len();
        let mut next = 0;
        while next < members.len() {
            let i = members[next];
            next += 1;
            for j in 0..n {
                if component[j] == usize::MAX && !above[i * n + j] && !above[j * n + i] {
                    component[j] = tiers.len();
                    members.push(j);
                }
            }
        }
        tiers.push(members);
    }
    // Members of a higher component beat everything in a lower one, so the best score orders components.
    let best = |tier: &[usize]| tier.iter().map(|&i| beats(i)).max();
    tiers.sort_by_key(|tier| std::cmp::Reverse(best(tier)));
    assemble(method, options, scores, winners, tiers, tie_break, broken)
}

/// Puts names to codes and applies the tie-break within tiers. `broken` holds ties decided inside the method.
pub(crate) fn assemble(
    method: &'static str,
    options: &[String],
    scores: Vec<f64>,
    winners: Vec<usize>,
    mut tiers: Vec<Vec<usize>>,
    tie_break: TieBreak,
    broken: Vec<Vec<usize>>,
) -> Outcome {
    let names = |codes: &[usize]| {
        let mut names: Vec<String> = codes.iter().map(|&i| options[i].clone()).collect();
        names.sort();
        names
    };
    let mut broken: Vec<Vec<String>> = broken.iter().map(|g| names(g)).collect();
    let named_tiers: Vec<Vec<String>> = tiers.iter().map(|t| names(t)).collect();
    let order = match priorities(options, tie_break) {
        Some(rank) => {
            for tier in &mut tiers {
                // Winners stay ahead of options that merely share their tier.
                tier.sort_by_key(|i| (!winners.contains(i), rank[*i]));
                if tier.len() > 1 {
                    broken.push(names(tier));
                }
            }
            Some(tiers.concat())
        }
        None => tiers.iter().all(|t| t.len() == 1).then(|| tiers.concat()),
    };
    broken.sort();
    broken.dedup();
    Outcome {
        method,
        options: options.to_vec(),
        scores,
        winners: names(&winners),
        tiers: named_tiers,
        order: order.map(|o| o.into_iter().map(|i| options[i].clone()).collect()),
        tie_break,
        broken,
    }
}
