//! Which order keeps the strongest victories and drops those that would close a circle?

use std::collections::{BTreeSet, HashSet};

use quorate_core::{Code, Error, Result};

use super::condorcet::victory;
use super::outcome::{Outcome, TieBreak, VoteConfig, from_relation, priorities};
use super::profile::Profile;

/// How many partial lockings may be explored before ties are declared too many to enumerate.
const MAX_STATES: usize = 20_000;

/// Ranked pairs (Tideman 1987).
///
/// Victories are taken from the strongest to the weakest, and each is locked unless it would close a circle with
/// those locked before. Winners are the options that nothing is locked above.
///
/// Victories of equal strength: with `TieBreak::None` every order of taking them is followed ("parallel universes");
/// winners are those of any universe, and one option is above another when it is so in all. Only victories that lie
/// on a circle of equally strong ones can differ, so the enumeration is rarely needed; it stops with `too_large`
/// beyond 20,000 states. With another tie-break equally strong victories are taken in the order of their winner,
/// then their loser, in the tie-break's order of options (Zavist and Tideman 1989), and the options concerned are
/// listed in [`Outcome::broken`]. Scores count the options below. Elects a Condorcet winner and is monotonic.
///
/// ```
/// use quorate_consensus::ranking::{ranked_pairs, Profile, VoteConfig};
/// let p = Profile::from_rankings(&[(["a", "b", "c"], 4.0), (["b", "c", "a"], 3.0), (["c", "a", "b"], 2.0)])?;
/// // b > c (5), a > b (3) are locked; c > a (1) would close the circle.
/// assert_eq!(ranked_pairs(&p, &VoteConfig::default())?.order.unwrap(), ["a", "b", "c"]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `too_large` when ties cannot be enumerated.
pub fn ranked_pairs(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    profile.check_not_empty()?;
    let pairs = profile.pairwise();
    let n = pairs.len();
    let mut victories: Vec<(f64, usize, usize)> = (0..n * n)
        .map(|x| (victory(&pairs, config.strength, x / n, x % n), x / n, x % n))
        .filter(|v| v.0 > 0.0)
        .collect();
    victories.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut groups: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut last = f64::INFINITY;
    for (strength, i, j) in victories {
        match groups.last_mut() {
            Some(group) if last - strength <= pairs.epsilon() => group.push((i, j)),
            _ => groups.push(vec![(i, j)]),
        }
        last = strength;
    }
    let rank = priorities(profile.options(), config.tie_break);
    let mut search =
        Search { groups, rank, seen: HashSet::new(), finals: BTreeSet::new(), broken: Vec::new() };
    search.lock(0, Relation::empty(n))?;

    // One option is above another when it is so in every universe.
    let mut above = vec![true; n * n];
    let mut winners = BTreeSet::new();
    for relation in &search.finals {
        for i in 0..n {
            for j in 0..n {
                above[i * n + j] &= relation.has(i, j);
            }
        }
        winners.extend((0..n).filter(|&j| (0..n).all(|i| !relation.has(i, j))));
    }
    let broken = if config.tie_break == TieBreak::None { Vec::new() } else { search.broken };
    Ok(from_relation(
        "ranked_pairs",
        profile.options(),
        &above,
        winners.into_iter().collect(),
        config.tie_break,
        broken,
    ))
}

/// A transitively closed relation as rows of bits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Relation {
    words: usize,
    bits: Vec<u64>,
}

impl Relation {
    fn empty(n: usize) -> Self {
        let words = n.div_ceil(64);
        Relation { words, bits: vec![0; n * words] }
    }

    fn has(&self, i: usize, j: usize) -> bool {
        self.bits[i * self.words + j / 64] >> (j % 64) & 1 == 1
    }

    /// Adds `i -> j` and everything that follows from it.
    fn add(&mut self, i: usize, j: usize) {
        if self.has(i, j) {
            return;
        }
        let w = self.words;
        let mut below = self.bits[j * w..(j + 1) * w].to_vec();
        below[j / 64] |= 1 << (j % 64);
        for k in 0..self.bits.len() / w {
            if k == i || self.has(k, i) {
                for (a, b) in self.bits[k * w..(k + 1) * w].iter_mut().zip(&below) {
                    *a |= b;
                }
            }
        }
    }
}

struct Search {
    groups: Vec<Vec<(usize, usize)>>,
    rank: Option<Vec<usize>>,
    seen: HashSet<(usize, Relation)>,
    finals: BTreeSet<Relation>,
    broken: Vec<Vec<usize>>,
}

impl Search {
    /// Locks the groups from number `g` on, branching where equally strong victories contradict one another.
    fn lock(&mut self, mut g: usize, mut locked: Relation) -> Result<()> {
        loop {
            let Some(group) = self.groups.get(g) else {
                self.finals.insert(locked);
                return Ok(());
            };
            let mut open: Vec<(usize, usize)> =
                group.iter().copied().filter(|&(i, j)| !locked.has(j, i) && !locked.has(i, j)).collect();
            let mut all = locked.clone();
            for &(i, j) in &open {
                all.add(i, j);
            }
            // A victory on no circle of the union is locked in every order.
            open.retain(|&(i, j)| {
                let on_circle = all.has(j, i);
                if !on_circle {
                    locked.add(i, j);
                }
                on_circle
            });
            open.retain(|&(i, j)| !locked.has(j, i) && !locked.has(i, j));
            if open.is_empty() {
                g += 1;
                continue;
            }
            if let Some(rank) = &self.rank {
                let mut options: Vec<usize> = open.iter().flat_map(|&(i, j)| [i, j]).collect();
                options.sort_unstable();
                options.dedup();
                self.broken.push(options);
                open.sort_by_key(|&(i, j)| (rank[i], rank[j]));
                for (i, j) in open {
                    if !locked.has(j, i) {
                        locked.add(i, j);
                    }
                }
                g += 1;
                continue;
            }
            if self.seen.len() >= MAX_STATES {
                return Err(Error::new(
                    Code::TooLarge,
                    "too many equally strong victories to follow every order; choose a tie_break",
                ));
            }
            if !self.seen.insert((g, locked.clone())) {
                return Ok(());
            }
            for (i, j) in open {
                let mut next = locked.clone();
                next.add(i, j);
                self.lock(g, next)?;
            }
            return Ok(());
        }
    }
}
