//! How sure are shares that were observed on few trials, and is one system better than another or just luckier?

use quorate_core::{Cancel, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rounds of the Monte Carlo test.
const ROUNDS: u64 = 100_000;

/// Differing tasks up to which every assignment of signs is looked at.
const EXACT: usize = 16;

/// Wilson's 95% interval of the share that `passed` of `trials` trials, not necessarily whole; (0, 1) where there were none.
pub(crate) fn wilson(passed: f64, trials: f64) -> (f64, f64) {
    if trials <= 0.0 {
        return (0.0, 1.0);
    }
    quorate_consensus::pooling::wilson((passed / trials).clamp(0.0, 1.0), trials)
}

/// To how many independent trials those of `tasks` (passed, trials) amount, since trials of one task are like one
/// another: Kish's (1965) effective number by the intraclass correlation of a one-way analysis of variance (Fisher
/// 1925), which is taken as 0 where it is negative, and as 1 where nothing differs and it has no value.
pub(super) fn effective(tasks: &[(usize, usize)]) -> f64 {
    let groups: Vec<(f64, f64)> =
        tasks.iter().filter(|(_, n)| *n > 0).map(|&(passed, n)| (passed as f64, n as f64)).collect();
    let trials: f64 = groups.iter().map(|(_, n)| n).sum();
    let count = groups.len() as f64;
    if count < 2.0 || trials <= count {
        return trials;
    }
    let mean = groups.iter().map(|(passed, _)| passed).sum::<f64>() / trials;
    let between =
        groups.iter().map(|(passed, n)| n * (passed / n - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let within = groups.iter().map(|(passed, n)| passed * (1.0 - passed / n)).sum::<f64>() / (trials - count);
    let squares: f64 = groups.iter().map(|(_, n)| n * n).sum();
    let size = (trials - squares / trials) / (count - 1.0);
    let spread = between + (size - 1.0) * within;
    let alike = if spread > 0.0 { ((between - within) / spread).clamp(0.0, 1.0) } else { 1.0 };
    trials / (1.0 + (squares / trials - 1.0) * alike)
}

/// The share of choices of `k` of `trials` trials in which all are among the `passed` ones: C(c, k) / C(n, k), which
/// estimates without bias the probability that `k` trials all pass (Yao et al. 2024, tau-bench). `None` where `k` is 0 or
/// there are fewer trials.
pub(super) fn pass_hat(passed: usize, trials: usize, k: usize) -> Option<f64> {
    if k == 0 || k > trials || passed > trials {
        return None;
    }
    if passed < k {
        return Some(0.0);
    }
    Some((0..k).map(|i| (passed - i) as f64 / (trials - i) as f64).product())
}

/// The unbiased estimate of the probability that one of `k` trials passes: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021).
/// `None` as of [`pass_hat`].
pub(super) fn pass_at(passed: usize, trials: usize, k: usize) -> Option<f64> {
    pass_hat(trials.checked_sub(passed)?, trials, k).map(|none| 1.0 - none)
}

/// The quantile of `sorted` by linear interpolation (Hyndman and Fan 1996, type 7); `None` of nothing.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let (low, high) = (sorted.get(below)?, sorted.get((below + 1).min(last))?);
    Some(low + (high - low) * (at - below as f64))
}

/// Fisher's paired randomisation test (Fisher 1935; Smucker, Allan and Carterette 2007): the sign of each difference is
/// flipped at random. Gives the two-sided probability of a sum at least as large, and whether all flips were looked at
/// (up to 16 differences that are not 0) or 100,000 drawn from `seed`, where it is (hits + 1) / (rounds + 1).
/// Errors: `cancelled` (by [`Cancel::current`]).
pub(super) fn randomisation(differences: &[f64], seed: u64) -> Result<(f64, bool)> {
    let moved: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    let observed = moved.iter().sum::<f64>().abs();
    // Sums in another order differ in the last bits; those are ties.
    let bound = observed - 1e-12 * (1.0 + observed);
    let extreme = |plus: &dyn Fn(usize) -> bool| {
        let sum: f64 = moved.iter().enumerate().map(|(i, d)| if plus(i) { *d } else { -d }).sum();
        sum.abs() >= bound
    };
    if moved.len() <= EXACT {
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

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 5e-5, "{a} is not {b}");
    }

    #[test]
    fn wilson_is_as_published() {
        // Newcombe (1998), table I, method 3 (score, without continuity correction).
        for (passed, trials, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let (a, b) = wilson(passed, trials);
            near(a, low);
            near(b, high);
        }
        assert_eq!(wilson(0.0, 0.0), (0.0, 1.0));
        assert_eq!(wilson(5.0, 5.0).1, 1.0);
    }

    #[test]
    fn wilson_is_that_of_calibration_tables() {
        let outcomes: Vec<bool> = (0..37).map(|i| i % 3 == 0).collect();
        let table = quorate_consensus::pooling::calibration_table(&[0.5; 37], &outcomes, 1).unwrap();
        let (low, high) = table.bins[0].interval.unwrap();
        let (a, b) = wilson(13.0, 37.0);
        assert!((a - low).abs() < 1e-12 && (b - high).abs() < 1e-12);
    }

    #[test]
    fn pass_hat_and_pass_at_by_hand() {
        // 3 of 5 passed: C(3,2)/C(5,2) = 3/10, C(3,3)/C(5,3) = 1/10; 1 - C(2,2)/C(5,2) = 9/10.
        let hat = |k| pass_hat(3, 5, k);
        near(hat(1).unwrap(), 0.6);
        near(hat(2).unwrap(), 0.3);
        near(hat(3).unwrap(), 0.1);
        assert_eq!((hat(4), hat(6), hat(0)), (Some(0.0), None, None));
        near(pass_at(3, 5, 2).unwrap(), 0.9);
        near(pass_at(3, 5, 3).unwrap(), 1.0);
        assert_eq!((pass_at(0, 5, 5), pass_at(5, 5, 1)), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn trials_of_one_task_count_for_less_the_more_they_are_alike() {
        // All trials of a task alike: as many trials as tasks.
        near(effective(&[(5, 5), (0, 5), (5, 5), (0, 5)]), 4.0);
        near(effective(&[(5, 5), (5, 5)]), 2.0);
        // No more alike than trials of different tasks.
        near(effective(&[(2, 4), (2, 4), (2, 4)]), 12.0);
        near(effective(&[(3, 5)]), 5.0);
        near(effective(&[(1, 1), (0, 1)]), 2.0);
        let some = effective(&[(4, 5), (1, 5), (5, 5), (2, 5)]);
        assert!(some > 4.0 && some < 20.0, "{some}");
    }

    #[test]
    fn quantiles_lie_between() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sorted, 0.5), Some(2.5));
        near(quantile(&sorted, 0.95).unwrap(), 3.85);
        assert_eq!(
            (quantile(&sorted, 1.0), quantile(&[7.0], 0.95), quantile(&[], 0.5)),
            (Some(4.0), Some(7.0), None)
        );
    }

    #[test]
    fn randomisation_by_hand() {
        assert_eq!(randomisation(&[1.0, 1.0, 0.0], 0).unwrap(), (0.5, true));
        assert_eq!(randomisation(&[], 0).unwrap(), (1.0, true));
        assert_eq!(randomisation(&[1.0; 10], 0).unwrap(), (2.0 / 1024.0, true));
        let differences: Vec<f64> = (0..400).map(|i| if i < 220 { 1.0 } else { -1.0 }).collect();
        let (p, exact) = randomisation(&differences, 7).unwrap();
        assert!(!exact && (p - 0.0512).abs() < 0.004, "{p}");
        assert_eq!(randomisation(&differences, 7).unwrap().0, p);
        let cancel = Cancel::new();
        cancel.cancel();
        assert!(cancel.cover(|| randomisation(&differences, 7)).is_err());
    }
}
