//! Which order keeps the strongest victories and drops those that would close a circle?

use std::collections::{BTreeSet, HashSet};

use quorate_core::{Cancel, Code, Error, Result};

use super::condorcet::victory;
use super::outcome::{Outcome, TieBreak, VoteConfig, from_relation, priorities};
use super::profile::Profile;

/// How many partial lockings may be explored before ties are declared too many to enumerate.
const MAX_STATES: usize = 20_000;

/// How many bytes the lockings may take that are held at one time.
const MAX_BYTES: usize = 256 << 20;

/// How many words of bits may be looked at in following ties: some seconds.
const MAX_WORK: usize = 300_000_000;

/// Ranked pairs (Tideman 1987).
///
/// Victories are taken from the strongest to the weakest, and each is locked unless it would close a circle with
/// those locked before. Winners are the options that nothing is locked above.
///
/// Victories of equal strength: with `TieBreak::None` every order of taking them is followed ("parallel universes");
/// winners are those of any universe, and one option is above another when it is so in all. Only victories that lie
/// on a circle of equally strong ones can differ, so the enumeration is rarely needed; it stops with `too_large`
/// beyond 20,000 states, 256 MiB or a few seconds of it. With another tie-break equally strong victories are taken in the order of their winner,
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
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum; `too_large` when ties cannot be enumerated.
pub fn ranked_pairs(profile: &Profile, config: &VoteConfig) -> Result<Outcome> {
    let pairs = profile.pairs()?;
    let n = pairs.len();
    let mut victories: Vec<(f64, usize, usize)> = (0..n * n)
        .map(|x| (victory(&pairs, config.strength, x / n, x % n), x / n, x % n))
        .filter(|v| v.0 > 0.0)
        .collect();
    victories.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let epsilon = pairs.epsilon();
    let mut groups: Vec<Vec<(u32, u32)>> = Vec::new();
    let mut last = f64::INFINITY;
    for (strength, i, j) in victories {
        match groups.last_mut() {
            Some(group) if last - strength <= epsilon => group.push((i as u32, j as u32)),
            _ => groups.push(vec![(i as u32, j as u32)]),
        }
        last = strength;
    }
    let rank = priorities(profile.options(), config.tie_break);
    let mut search = Search {
        groups,
        rank,
        seen: HashSet::new(),
        finals: BTreeSet::new(),
        broken: Vec::new(),
        work: 0,
        cancel: Cancel::current(),
    };
    search.run(Relation::empty(n))?;

    // One option is above another when it is so in every universe.
    let mut above = vec![true; n * n];
    let mut winners = BTreeSet::new();
    for relation in &search.finals {
        search.cancel.check()?;
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

    /// Adds `i -> j` and everything that follows from it; the number of words that were looked at.
    fn add(&mut self, i: usize, j: usize) -> usize {
        if self.has(i, j) {
            return 1;
        }
        let w = self.words;
        let mut below = self.bits[j * w..(j + 1) * w].to_vec();
        below[j / 64] |= 1 << (j % 64);
        let rows = self.bits.len() / w;
        let mut work = rows;
        for k in 0..rows {
            if k == i || self.has(k, i) {
                work += w;
                for (a, b) in self.bits[k * w..(k + 1) * w].iter_mut().zip(&below) {
                    *a |= b;
                }
            }
        }
        work
    }

    fn bytes(&self) -> usize {
        8 * self.bits.len()
    }
}

struct Search {
    groups: Vec<Vec<(u32, u32)>>,
    rank: Option<Vec<usize>>,
    seen: HashSet<(usize, Relation)>,
    finals: BTreeSet<Relation>,
    broken: Vec<Vec<usize>>,
    work: usize,
    cancel: Cancel,
}

/// A partial locking whose next victory is one of several equally strong ones that contradict one another.
struct Branch {
    group: usize,
    locked: Relation,
    open: Vec<(u32, u32)>,
    /// How many of the open ones have been followed.
    followed: usize,
}

impl Branch {
    fn bytes(&self) -> usize {
        self.locked.bytes() + 8 * self.open.len()
    }
}

impl Search {
    /// Locks all groups, following every order where equally strong victories contradict one another: depth first, with the branches that
    /// are under way in a list of their own and not on the thread's stack.
    fn run(&mut self, empty: Relation) -> Result<()> {
        let mut branches: Vec<Branch> = Vec::new();
        let mut bytes = 0;
        let mut next = Some((0, empty));
        loop {
            if let Some((group, locked)) = next.take()
                && let Some(branch) = self.lock(group, locked)?
            {
                let state = (branch.group, branch.locked.clone());
                let held = branch.bytes() + state.1.bytes();
                if self.seen.insert(state) {
                    bytes += held;
                    if self.seen.len() > MAX_STATES || bytes > MAX_BYTES {
                        return Err(too_many());
                    }
                    branches.push(branch);
                }
            }
            let Some(branch) = branches.last_mut() else {
                return Ok(());
            };
            match branch.open.get(branch.followed) {
                Some(&(i, j)) => {
                    branch.followed += 1;
                    let mut locked = branch.locked.clone();
                    self.work += locked.add(i as usize, j as usize) + locked.bits.len();
                    next = Some((branch.group, locked));
                }
                None => {
                    bytes -= branch.bytes();
                    branches.pop();
                }
            }
        }
    }

    /// Locks the groups from number `g` on; stops at the first one with open contradictions. None when all are locked.
    fn lock(&mut self, mut g: usize, mut locked: Relation) -> Result<Option<Branch>> {
        loop {
            self.cancel.check()?;
            if self.work > MAX_WORK {
                return Err(too_many());
            }
            let Some(group) = self.groups.get(g) else {
                if !self.finals.contains(&locked) {
                    if (self.finals.len() + 1) * locked.bytes() > MAX_BYTES {
                        return Err(too_many());
                    }
                    self.finals.insert(locked);
                }
                return Ok(None);
            };
            let free = |locked: &Relation, &(i, j): &(u32, u32)| {
                !locked.has(j as usize, i as usize) && !locked.has(i as usize, j as usize)
            };
            let mut open: Vec<(u32, u32)> = group.iter().copied().filter(|v| free(&locked, v)).collect();
            let mut all = locked.clone();
            self.work += group.len() + locked.bits.len();
            for &(i, j) in &open {
                self.work += all.add(i as usize, j as usize);
            }
            // A victory on no circle of the union is locked in every order.
            open.retain(|&(i, j)| {
                let on_circle = all.has(j as usize, i as usize);
                if !on_circle {
                    self.work += locked.add(i as usize, j as usize);
                }
                on_circle
            });
            open.retain(|v| free(&locked, v));
            if open.is_empty() {
                g += 1;
                continue;
            }
            let Some(rank) = &self.rank else {
                return Ok(Some(Branch { group: g, locked, open, followed: 0 }));
            };
            let mut options: Vec<usize> = open.iter().flat_map(|&(i, j)| [i as usize, j as usize]).collect();
            options.sort_unstable();
            options.dedup();
            self.broken.push(options);
            open.sort_by_key(|&(i, j)| (rank[i as usize], rank[j as usize]));
            for (i, j) in open {
                if !locked.has(j as usize, i as usize) {
                    locked.add(i as usize, j as usize);
                }
            }
            g += 1;
        }
    }
}

fn too_many() -> Error {
    Error::new(Code::TooLarge, "too many equally strong victories to follow every order; choose a tie_break")
}
