//! Which order of the options contradicts the voters least?

use quorate_core::{Cancel, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, TieBreak, from_relation};
use super::profile::{PairMatrix, Profile};
use crate::check;

/// The most options that all listed orders name together, each a text of its own: some 250 MB.
const MAX_LISTED: usize = 1 << 22;

/// Options of [`kemeny`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KemenyConfig {
    /// The largest majority component solved exactly (at most 20; time and memory grow as `2^n`). Default 16.
    pub exact_options: usize,
    /// How many optimal orders are listed at most, up to 10,000, and no more than together name 4 million options. Default 64.
    pub max_orders: usize,
    /// How many perturbed restarts the local search makes on a larger component, up to 100,000. Default 32.
    pub restarts: usize,
    /// Seed of the local search.
    pub seed: u64,
    /// What to do with ties.
    pub tie_break: TieBreak,
}

impl Default for KemenyConfig {
    fn default() -> Self {
        KemenyConfig { exact_options: 16, max_orders: 64, restarts: 32, seed: 0, tie_break: TieBreak::None }
    }
}

impl KemenyConfig {
    /// Errors: `invalid_argument` when a limit is outside its range, `too_large` for more orders or restarts than are possible.
    pub fn validate(&self) -> Result<()> {
        if self.exact_options > 20 {
            return Err(Error::invalid(format!(
                "exact_options is {}; it must be at most 20",
                self.exact_options
            )));
        }
        if self.max_orders == 0 {
            return Err(Error::invalid("max_orders is 0; it must be at least 1"));
        }
        check::at_most(self.max_orders, 10_000, "max_orders")?;
        check::at_most(self.restarts, 100_000, "restarts")?;
        Ok(())
    }
}

/// The result of [`kemeny`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kemeny {
    /// Winners and collective order. With several optimal orders, options that these do not all put in the same
    /// order share a tier. Scores count the options that are below in all of them.
    pub outcome: Outcome,
    /// The orders found optimal (or, when not `exact`, the best one found), alphabetically sorted.
    pub orders: Vec<Vec<String>>,
    /// Whether `orders` holds every optimal order.
    pub orders_complete: bool,
    /// Weight of pairwise preferences that an order respects, summed over pairs: the Kemeny score.
    pub agreement: f64,
    /// Weight of pairwise preferences that it contradicts: the weighted Kendall distance to the ballots.
    pub distance: f64,
    /// No order contradicts less than this. Equal to `distance` when `exact`.
    pub lower_bound: f64,
    /// Whether the order is proven optimal.
    pub exact: bool,
}

/// Kemeny's method (Kemeny 1959; Young and Levenglick 1978): the order with the least weighted Kendall distance to
/// the ballots, the maximum-likelihood order when each pairwise judgement is right with one same chance above 1/2.
///
/// Options are first split into the strongly connected components of "not beaten by": every optimal order puts such
/// components in the order of majority (extended Condorcet criterion, Truchon 1998). A component of up to
/// `exact_options` options is solved exactly by dynamic programming over its subsets (Held and Karp 1962;
/// Betzler et al. 2009), with all optimal orders accounted for. A larger component goes to a seeded local search by
/// insertion moves, and `lower_bound` = sum of the smaller side of each pair plus, for arc-disjoint majority
/// triangles, the least margin of each (Conitzer, Davenport and Kalagnanam 2006) says how far from optimal it can
/// be.
///
/// Orders are compared exactly where the weights are whole (or multiples of one power of two): one ballot more among hundreds of millions decides.
/// Other weights have rounding errors, and orders that differ by no more than those are level.
///
/// ```
/// use quorate_consensus::ranking::{kemeny, KemenyConfig, Profile};
/// let p = Profile::from_rankings(&[
///     (["M", "N", "C", "K"], 42.0), (["N", "C", "K", "M"], 26.0),
///     (["C", "K", "N", "M"], 15.0), (["K", "C", "N", "M"], 17.0),
/// ])?;
/// let k = kemeny(&p, &KemenyConfig::default())?;
/// assert_eq!(k.orders, [["N", "C", "K", "M"]]);
/// assert_eq!((k.agreement, k.exact), (393.0, true));
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` when no ballot ranks anything; `not_finite` when the weights have no finite sum; those of [`KemenyConfig::validate`].
pub fn kemeny(profile: &Profile, config: &KemenyConfig) -> Result<Kemeny> {
    config.validate()?;
    let pairs = profile.pairs()?;
    let (n, cancel) = (pairs.len(), Cancel::current());
    let most = config.max_orders.min((MAX_LISTED / n).max(1));
    let mut above = vec![false; n * n];
    let mut winners = Vec::new();
    let (mut orders, mut orders_complete) = (vec![Vec::<usize>::new()], true);
    let (mut exact, mut slack) = (true, 0.0);
    let components = components(&pairs);
    for (c, members) in components.iter().enumerate() {
        let solved = if members.len() <= config.exact_options {
            solve_exactly(&pairs, members, most, &cancel)?
        } else {
            search_locally(&pairs, members, config, &cancel)?
        };
        exact &= solved.exact;
        slack += solved.slack;
        if c == 0 {
            winners.clone_from(&solved.winners);
        }
        for (x, &i) in members.iter().enumerate() {
            for (y, &j) in members.iter().enumerate() {
                above[i * n + j] = solved.above[x * members.len() + y];
            }
            for &j in components[c + 1..].iter().flatten() {
                above[i * n + j] = true;
            }
        }
        orders_complete &= solved.complete && orders.len() * solved.orders.len() <= most;
        cancel.check()?;
        if let [only] = &solved.orders[..] {
            orders.iter_mut().for_each(|order| order.extend_from_slice(only));
            continue;
        }
        let mut longer = Vec::new();
        for head in &orders {
            for tail in &solved.orders {
                if longer.len() < most {
                    longer.push([head.as_slice(), tail].concat());
                }
            }
        }
        orders = longer;
    }
    let (mut agreement, mut distance) = (0.0, 0.0);
    if let Some(order) = orders.first() {
        for (x, &i) in order.iter().enumerate() {
            for &j in &order[x + 1..] {
                agreement += pairs.prefer(i, j);
                distance += pairs.prefer(j, i);
            }
        }
    }
    let mut named: Vec<Vec<String>> =
        orders.iter().map(|o| o.iter().map(|&i| profile.options()[i].clone()).collect()).collect();
    named.sort();
    Ok(Kemeny {
        outcome: from_relation("kemeny", profile.options(), &above, winners, config.tie_break, Vec::new()),
        orders: named,
        orders_complete: orders_complete && exact,
        agreement,
        distance,
        lower_bound: if exact { distance } else { distance - slack },
        exact,
    })
}

/// The solution of one component, in positions of its member list except where noted.
struct Solved {
    above: Vec<bool>,
    /// Option codes.
    winners: Vec<usize>,
    /// Option codes.
    orders: Vec<Vec<usize>>,
    complete: bool,
    exact: bool,
    /// Distance found less the lower bound.
    slack: f64,
}

/// Strongly connected components of "i is not beaten by j", from the top down, members ascending.
fn components(pairs: &PairMatrix) -> Vec<Vec<usize>> {
    let n = pairs.len();
    // Components end where every option above beats every one below. Those above then have more duels won than lost (net) than any below,
    // so that each component is a stretch of the options in that order; `crossing` counts the victories from those before the cut to the rest.
    let beats = |i: usize, j: usize| pairs.margin(i, j) > 0.0;
    let net = |i: usize| (0..n).map(|j| i64::from(beats(i, j)) - i64::from(beats(j, i))).sum::<i64>();
    let nets: Vec<i64> = (0..n).map(net).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(nets[i]), i));
    let (mut parts, mut start, mut crossing) = (Vec::new(), 0, 0usize);
    for (at, &i) in order.iter().enumerate() {
        crossing -= order[..at].iter().filter(|&&above| beats(above, i)).count();
        crossing += order[at + 1..].iter().filter(|&&below| beats(i, below)).count();
        if crossing == (at + 1) * (n - at - 1) {
            let mut members = order[start..=at].to_vec();
            members.sort_unstable();
            parts.push(members);
            start = at + 1;
        }
    }
    parts
}

/// Dynamic programming over subsets: `best[S]` is the least distance of an order of `S`.
fn solve_exactly(
    pairs: &PairMatrix,
    members: &[usize],
    max_orders: usize,
    cancel: &Cancel,
) -> Result<Solved> {
    let m = members.len();
    if m == 1 {
        return Ok(Solved {
            above: vec![false],
            winners: members.to_vec(),
            orders: vec![members.to_vec()],
            complete: true,
            exact: true,
            slack: 0.0,
        });
    }
    let against: Vec<f64> =
        (0..m * m).map(|x| pairs.prefer(members[x / m], members[x % m])).map(|w| w.max(0.0)).collect();
    let full = (1usize << m) - 1;
    // `cost(i, S)`: what it costs to put i above all of S. Sums over the low and the high half of the set are looked
    // up, so that a sum takes two loads instead of m.
    let (low, high) = (m / 2, m - m / 2);
    let half_sums = |from: usize, len: usize| -> Vec<f64> {
        let mut sums = vec![0.0; m << len];
        for i in 0..m {
            let row = &mut sums[i << len..(i + 1) << len];
            for s in 1..1usize << len {
                let j = s.trailing_zeros() as usize;
                row[s] = row[s & (s - 1)] + if from + j == i { 0.0 } else { against[(from + j) * m + i] };
            }
        }
        sums
    };
    let (low_sums, high_sums) = (half_sums(0, low), half_sums(low, high));
    let low_mask = (1usize << low) - 1;
    let cost =
        |i: usize, s: usize| low_sums[(i << low) + (s & low_mask)] + high_sums[(i << high) + (s >> low)];
    let mut best = vec![f64::INFINITY; full + 1];
    best[0] = 0.0;
    for s in 1..=full {
        if s % 4096 == 0 {
            cancel.check()?;
        }
        let mut rest = s;
        let mut least = f64::INFINITY;
        while rest != 0 {
            let i = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            least = least.min(best[s & !(1 << i)] + cost(i, s));
        }
        best[s] = least;
    }
    // Walk back through every optimal choice.
    let epsilon = pairs.epsilon_of(m * m);
    let optimal =
        |s: usize, i: usize| s >> i & 1 == 1 && best[s & !(1 << i)] + cost(i, s) - best[s] <= epsilon;
    let mut reachable = vec![false; full + 1];
    reachable[full] = true;
    let mut can_be_above = vec![false; m * m];
    for s in (1..=full).rev().filter(|&s| s != 0) {
        if !reachable[s] {
            continue;
        }
        if s % 4096 == 0 {
            cancel.check()?;
        }
        for i in (0..m).filter(|&i| optimal(s, i)) {
            let below = s & !(1 << i);
            reachable[below] = true;
            for j in (0..m).filter(|&j| below >> j & 1 == 1) {
                can_be_above[i * m + j] = true;
            }
        }
    }
    let above = (0..m * m).map(|x| can_be_above[x] && !can_be_above[x % m * m + x / m]).collect();
    let winners = (0..m).filter(|&i| optimal(full, i)).map(|i| members[i]).collect();
    let mut orders: Vec<Vec<usize>> = Vec::new();
    let mut complete = true;
    let mut stack = vec![(full, Vec::new())];
    while let Some((s, head)) = stack.pop() {
        if s == 0 {
            if orders.len() == max_orders {
                complete = false;
                break;
            }
            orders.push(head.iter().map(|&i: &usize| members[i]).collect());
            continue;
        }
        for i in (0..m).filter(|&i| optimal(s, i)) {
            let mut longer = head.clone();
            longer.push(i);
            stack.push((s & !(1 << i), longer));
        }
    }
    Ok(Solved { above, winners, orders, complete, exact: true, slack: 0.0 })
}

/// Insertion-move descent from the Borda order and from seeded perturbations of the best order so far.
fn search_locally(
    pairs: &PairMatrix,
    members: &[usize],
    config: &KemenyConfig,
    cancel: &Cancel,
) -> Result<Solved> {
    let m = members.len();
    let margin: Vec<f64> = (0..m * m).map(|x| pairs.margin(members[x / m], members[x % m])).collect();
    // A gain is a sum of up to m margins, rounded at up to m times their size: below that, two moves that undo each other could both seem gains.
    let epsilon = if pairs.epsilon_of(m) == 0.0 { 0.0 } else { pairs.epsilon_of(m * m) };
    let borda: Vec<f64> = (0..m).map(|i| margin[i * m..(i + 1) * m].iter().sum()).collect();
    let mut order: Vec<usize> = (0..m).collect();
    order.sort_by(|&a, &b| borda[b].total_cmp(&borda[a]).then(members[a].cmp(&members[b])));
    let mut value = descend(&mut order, &margin, epsilon, cancel)?;
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    for _ in 0..config.restarts {
        let mut candidate = order.clone();
        for _ in 0..(m / 4).max(2) {
            let moved = candidate.remove(rng.random_range(0..m));
            candidate.insert(rng.random_range(0..m), moved);
        }
        let found = descend(&mut candidate, &margin, epsilon, cancel)?;
        if found < value - epsilon {
            (order, value) = (candidate, found);
        }
    }
    // `value` is the sum of margins contradicted, i.e. distance less the sum of the smaller sides, which is at
    // least the sum over arc-disjoint majority triangles of their least margin.
    let mut free = margin.clone();
    let mut triangles = 0.0;
    for i in 0..m {
        for j in i + 1..m {
            cancel.check()?;
            for k in i + 1..m {
                let arcs = [i * m + j, j * m + k, k * m + i];
                let least = arcs.iter().map(|&a| free[a]).fold(f64::INFINITY, f64::min);
                if k != j && least > epsilon {
                    triangles += least;
                    for a in arcs {
                        free[a] -= least;
                    }
                }
            }
        }
    }
    let mut above = vec![false; m * m];
    for (x, &i) in order.iter().enumerate() {
        for &j in &order[x + 1..] {
            above[i * m + j] = true;
        }
    }
    let slack = (value - triangles).max(0.0);
    let order: Vec<usize> = order.into_iter().map(|i| members[i]).collect();
    Ok(Solved {
        above,
        winners: order.first().copied().into_iter().collect(),
        orders: vec![order],
        complete: false,
        exact: slack <= pairs.epsilon_of(m * m),
        slack,
    })
}

/// Moves single options to their best place until none can be bettered; returns the sum of contradicted margins. Error: `cancelled`.
fn descend(order: &mut Vec<usize>, margin: &[f64], epsilon: f64, cancel: &Cancel) -> Result<f64> {
    let m = order.len();
    loop {
        let mut improved = false;
        for from in 0..m {
            cancel.check()?;
            let i = order[from];
            let (mut gain, mut best, mut to) = (0.0, epsilon, from);
            // Upwards past order[x]: pairs (order[x] above i) turn into (i above order[x]).
            for x in (0..from).rev() {
                gain += margin[i * m + order[x]];
                if gain > best {
                    (best, to) = (gain, x);
                }
            }
            gain = 0.0;
            for (x, &other) in order.iter().enumerate().skip(from + 1) {
                gain += margin[other * m + i];
                if gain > best {
                    (best, to) = (gain, x);
                }
            }
            if to != from {
                let moved = order.remove(from);
                order.insert(to, moved);
                improved = true;
            }
        }
        if !improved {
            break;
        }
    }
    let mut contradicted = 0.0;
    for (x, &i) in order.iter().enumerate() {
        for &j in &order[x + 1..] {
            contradicted += margin[j * m + i].max(0.0);
        }
    }
    Ok(contradicted)
}
