//! What is true, when some raters may be hostile?

use super::em::settle;
use super::{Truth, check_identity, check_iterations, check_unweighted};
use crate::Ratings;
use quorate_core::{Code, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Options of [`m_msr`].
#[derive(Clone, Debug, PartialEq)]
pub struct MsrOptions {
    /// At most so many iterations; 10,000 unless given.
    pub max_iter: usize,
    /// Stop when the completed matrix changes by less than this (Frobenius norm); 1e-10 unless given.
    pub tol: f64,
    /// The seed of the starting vectors.
    pub seed: u64,
}

impl Default for MsrOptions {
    fn default() -> Self {
        MsrOptions { max_iter: 10_000, tol: 1e-10, seed: 0 }
    }
}

/// The method compares every two raters in a table; more raters than this would need over a gigabyte.
const MAX_RATERS: usize = 10_000;

/// M-MSR, the matrix mean-subsequence-reduced algorithm (Ma and Olshevsky 2020, "Adversarial Crowdsourcing Through Robust Rank-One Matrix Completion").
///
/// In the one-coin model the corrected agreement rate of two raters is the product of their reliabilities. The method completes that matrix of rank one from the pairs who share
/// items, leaving out the largest and smallest estimates of each entry, as many as half the number of partners of the least connected rater, less one. The skill of a rater is the
/// log-odds weight `ln((k - 1) s / (1 - s))`; `probabilities` are the posterior of the one-coin model with these skills and equal classes. The
/// signs of the reliabilities are those of the leading eigenvector of the agreement matrix, the majority of raters being taken as honest.
///
/// Memory and time grow with the square of the number of raters.
///
/// Errors: `too_large` above 10,000 raters; `unsupported` for weighted or anonymous raters; `invalid_argument` for bad options.
///
/// ```
/// use quorate_consensus::{Ratings, truth::{MsrOptions, m_msr}};
/// let data = Ratings::from_matrix(&[1., 2., 2., 1., 2., 1., 2., 2., 1., 1., 1., 2., 2., 1., 2., 2., 1., 1., 2., 1.], 4, 5)?;
/// assert_eq!(m_msr(&data, &MsrOptions::default())?.labels[0], 1.into());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn m_msr(data: &Ratings, options: &MsrOptions) -> Result<Truth> {
    check_identity("m_msr", data)?;
    check_unweighted("m_msr", data)?;
    check_iterations(options.max_iter, options.tol)?;
    let (n, k) = (data.n_raters(), data.n_categories());
    if n > MAX_RATERS {
        return Err(Error::new(Code::TooLarge, format!("m_msr with {n} raters; at most {MAX_RATERS}")));
    }
    let agreement = Agreement::of(data);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut draw = || (0..n).map(|_| rng.random::<f64>().max(f64::EPSILON)).collect::<Vec<f64>>();
    let (mut u, mut v) = (draw(), draw());
    let trim = (agreement.fewest / 2).saturating_sub(1);
    let floor = 1.0 / (data.n_items() as f64).sqrt();
    let (mut iterations, mut converged) = (0, false);
    while iterations < options.max_iter && !converged {
        iterations += 1;
        let (old_u, old_v) = (u.clone(), v.clone());
        agreement.sweep(&u, &mut v, trim, floor);
        agreement.sweep(&v, &mut u, trim, floor);
        converged = change(&u, &v, &old_u, &old_v) < options.tol;
    }
    let norm = |x: &[f64]| x.iter().map(|a| a * a).sum::<f64>().sqrt();
    let scale = (norm(&u) / norm(&v)).sqrt();
    let classes = k.max(2) as f64;
    let skills: Vec<f64> = u
        .iter()
        .zip(agreement.signs())
        .map(|(x, sign)| {
            let reliability = (sign * x / scale).min(1.0 - floor).max(-1.0 / (classes - 1.0) + floor);
            let p = reliability * (classes - 1.0) / classes + 1.0 / classes;
            (p * (classes - 1.0) / (1.0 - p)).ln()
        })
        .collect();
    let mut belief = vec![0.0; data.n_items() * k];
    for (i, row) in belief.chunks_exact_mut(k).enumerate() {
        for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
            row[c as usize] += skills[r as usize];
        }
        settle(row, None);
    }
    Ok(Truth { skills, iterations, converged, ..Truth::of("m_msr", data, belief) })
}

/// The corrected agreement rates of all pairs of raters who share an item.
struct Agreement {
    n: usize,
    /// n x n; NaN where two raters share nothing, and on the diagonal.
    rate: Vec<f64>,
    /// The number of partners of the least connected rater.
    fewest: usize,
}

impl Agreement {
    fn of(data: &Ratings) -> Agreement {
        let (n, k) = (data.n_raters(), data.n_categories().max(2) as f64);
        let (mut same, mut shared) = (vec![0u32; n * n], vec![0u32; n * n]);
        for i in 0..data.n_items() {
            let (raters, codes) = (data.item_raters(i), data.item_codes(i));
            for (x, &a) in raters.iter().enumerate() {
                for (y, &b) in raters.iter().enumerate() {
                    if a != b {
                        shared[a as usize * n + b as usize] += 1;
                        same[a as usize * n + b as usize] += u32::from(codes[x] == codes[y]);
                    }
                }
            }
        }
        let rate: Vec<f64> = same
            .iter()
            .zip(&shared)
            .map(
                |(&s, &all)| {
                    if all == 0 { f64::NAN } else { (f64::from(s) / f64::from(all) * k - 1.0) / (k - 1.0) }
                },
            )
            .collect();
        let fewest = rate.chunks(n).map(|row| row.iter().filter(|c| !c.is_nan()).count()).min().unwrap_or(0);
        Agreement { n, rate, fewest }
    }

    /// Sets each entry of `to` to the trimmed mean of what the pairs of that rater and the entries of `from` say about it.
    fn sweep(&self, from: &[f64], to: &mut [f64], trim: usize, floor: f64) {
        let mut said = Vec::with_capacity(self.n);
        for (row, x) in self.rate.chunks_exact(self.n).zip(to) {
            said.clear();
            let pairs = row.iter().zip(from).filter(|(c, f)| !c.is_nan() && **f > 0.0);
            said.extend(pairs.map(|(c, f)| c.abs() / f));
            said.sort_unstable_by(f64::total_cmp);
            let own = *x;
            let below = said.partition_point(|y| *y < own);
            let kept = &said[below.min(trim)..];
            let above = kept.len() - kept.partition_point(|y| *y <= own);
            let kept = &kept[..kept.len() - above.min(trim)];
            match kept {
                [] => {}
                [only] if *only == 0.0 => *x = floor,
                _ => *x = kept.iter().sum::<f64>() / kept.len() as f64,
            }
        }
    }

    /// The signs of the leading eigenvector, by power iteration on the matrix shifted to positive eigenvalues; positive in sum.
    fn signs(&self) -> Vec<f64> {
        let size = |row: &[f64]| row.iter().filter(|c| !c.is_nan()).map(|c| c.abs()).sum::<f64>();
        let shift = self.rate.chunks(self.n).map(size).fold(0.0, f64::max);
        let mut x = vec![1.0; self.n];
        for _ in 0..EIGEN_STEPS {
            let next: Vec<f64> = self
                .rate
                .chunks(self.n)
                .zip(&x)
                .map(|(row, own)| {
                    shift * own
                        + row.iter().zip(&x).filter(|(c, _)| !c.is_nan()).map(|(c, v)| c * v).sum::<f64>()
                })
                .collect();
            let largest = next.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            if largest == 0.0 {
                break;
            }
            x = next.iter().map(|v| v / largest).collect();
        }
        let majority = if x.iter().map(|v| v.signum()).sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
        x.iter().map(|v| majority * v.signum()).collect()
    }
}

/// Power iterations for the signs, which settle long before the numbers do.
const EIGEN_STEPS: usize = 200;

/// The Frobenius norm of `u v' - old_u old_v'`, without subtracting large numbers.
fn change(u: &[f64], v: &[f64], old_u: &[f64], old_v: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let less = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x - y).collect::<Vec<f64>>();
    let (du, dv) = (less(u, old_u), less(v, old_v));
    let square =
        dot(&du, &du) * dot(v, v) + 2.0 * dot(&du, old_u) * dot(v, &dv) + dot(old_u, old_u) * dot(&dv, &dv);
    square.max(0.0).sqrt()
}
