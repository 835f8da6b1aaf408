//! Is one ranking better than another, or just luckier?

use quorate_core::{Cancel, Code, Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Qrels, Run, evaluate};

/// Rounds of the Monte Carlo test.
const ROUNDS: u64 = 100_000;

/// Two runs on the same queries, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Mean of the first run.
    pub a: f64,
    /// Mean of the second run.
    pub b: f64,
    /// `a - b`.
    pub difference: f64,
    /// Two-sided probability of a difference at least as large if the labels of the runs meant nothing.
    pub p_value: f64,
    /// Queries where the first run is better, equal, worse.
    pub wins: usize,
    /// Queries where both are equal.
    pub ties: usize,
    /// Queries where the first run is worse.
    pub losses: usize,
    /// Whether every assignment of signs was enumerated (few queries) rather than sampled.
    pub exact: bool,
}

/// Fisher's paired randomisation test on the per-query values (Smucker, Allan and Carterette 2007): the sign of each
/// query's difference is flipped at random. All flips are enumerated for up to 16 queries that differ, otherwise
/// 100,000 are drawn from `seed` and the p-value is (hits + 1) / (rounds + 1).
/// Errors: as [`evaluate`], `cancelled` (by [`Cancel::current`]).
pub fn compare(a: &Run, b: &Run, qrels: &Qrels, metric: &str, seed: u64) -> Result<Comparison> {
    let left = evaluate(a, qrels, &[metric])?;
    let right = evaluate(b, qrels, &[metric])?;
    let differences: Vec<f64> =
        left.per_query.values().zip(right.per_query.values()).map(|(x, y)| x[0] - y[0]).collect();
    let (Some(&(_, a)), Some(&(_, b))) = (left.means.first(), right.means.first()) else {
        return Err(Error::new(Code::Internal, "evaluate gave no mean"));
    };
    let (p_value, exact) = p_value(&differences, seed)?;
    Ok(Comparison {
        a,
        b,
        difference: a - b,
        p_value,
        wins: differences.iter().filter(|&&d| d > 0.0).count(),
        ties: differences.iter().filter(|&&d| d == 0.0).count(),
        losses: differences.iter().filter(|&&d| d < 0.0).count(),
        exact,
    })
}

fn p_value(differences: &[f64], seed: u64) -> Result<(f64, bool)> {
    let moved: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    let observed = moved.iter().sum::<f64>().abs();
    // Sums in another order differ in the last bits; those are ties.
    let bound = observed - 1e-12 * (1.0 + observed);
    let extreme = |signs: &dyn Fn(usize) -> bool| {
        let sum: f64 = moved.iter().enumerate().map(|(i, d)| if signs(i) { *d } else { -d }).sum();
        sum.abs() >= bound
    };
    if moved.len() <= 16 {
        let all = 1_u64 << moved.len();
        let hits = (0..all).filter(|bits| extreme(&|i| bits >> i & 1 == 1)).count();
        return Ok((hits as f64 / all as f64, true));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut words = vec![0_u64; moved.len().div_ceil(64)];
    let cancel = Cancel::current();
    let mut hits = 0_u64;
    for round in 0..ROUNDS {
        if round % 64 == 0 {
            cancel.check()?;
        }
        words.iter_mut().for_each(|word| *word = random.next_u64());
        hits += u64::from(extreme(&|i| words[i / 64] >> (i % 64) & 1 == 1));
    }
    Ok(((hits as f64 + 1.0) / (ROUNDS as f64 + 1.0), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_values_by_hand() {
        // Two differences of one sign: 2 of the 4 sign patterns reach the sum.
        assert_eq!(p_value(&[1.0, 1.0, 0.0], 0).unwrap(), (0.5, true));
        // No difference at all: every pattern is as extreme.
        assert_eq!(p_value(&[0.0, 0.0], 0).unwrap(), (1.0, true));
        assert_eq!(p_value(&[1.0; 10], 0).unwrap(), (2.0 / 1024.0, true));
    }

    #[test]
    fn sampling_agrees_with_the_normal_approximation() {
        // 400 differences of +-1 with 220 up: z = 2, two-sided p about .05 with the lattice's correction.
        let differences: Vec<f64> = (0..400).map(|i| if i < 220 { 1.0 } else { -1.0 }).collect();
        let (p, exact) = p_value(&differences, 7).unwrap();
        assert!(!exact);
        assert!((p - 0.0512).abs() < 0.004, "{p}");
        assert_eq!(p_value(&differences, 7).unwrap(), (p, false));
        let cancel = Cancel::new();
        cancel.cancel();
        let stopped = cancel.cover(|| p_value(&differences, 7));
        assert_eq!(stopped.unwrap_err().code(), Code::Cancelled);
    }
}
