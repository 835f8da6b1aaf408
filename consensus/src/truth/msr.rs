//! What is true, when some raters may be hostile?

use super::components::{Component, components};
use super::em::settle;
use super::{TURN, Truth, check_iterations, check_unweighted, check_votes};
use crate::{Ratings, check};
use quorate_core::{Cancel, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// Options of [`m_msr`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

/// The method compares every two raters who are connected in tables of 16 bytes a pair, 1 GiB in all.
const MAX_RATERS: usize = 8_192;

/// M-MSR, the matrix mean-subsequence-reduced algorithm (Ma and Olshevsky 2020, "Adversarial Crowdsourcing Through Robust Rank-One Matrix Completion").
///
/// In the one-coin model the corrected agreement rate of two raters is the product of their reliabilities. The method completes that matrix of rank one from the pairs who share
/// items, leaving out the largest and smallest estimates of each entry, as many as half the number of partners of the least connected rater, less one. The skill of a rater is the
/// log-odds weight `ln((k - 1) s / (1 - s))`; `probabilities` are the posterior of the one-coin model with these skills and equal classes. The
/// signs of the reliabilities are those of the leading eigenvector of the agreement matrix, the majority of raters being taken as honest.
///
/// Raters whom no chain of shared items connects say nothing about one another: each connected part is judged alone, and has the skills that it
/// would have without the others. Where the parts of a connected group only meet across (two raters, say), the pairs determine the products of
/// their reliabilities and no more; both sides are then taken to be equally reliable. A rater who shares no item with anybody gets
/// a small positive skill, so that the vote decides; so do all of a connected part in which every two agree just as by chance.
///
/// Memory and time grow with the square of the number of connected raters.
///
/// Errors: `too_large` above 8,192 connected raters, 1,000,000 iterations, or 2^25 items x categories; `unsupported` for weighted or anonymous raters;
/// `invalid_argument` for bad options.
///
/// ```
/// use quorate_consensus::{Ratings, truth::{MsrOptions, m_msr}};
/// let data = Ratings::from_matrix(&[1., 2., 2., 1., 2., 1., 2., 2., 1., 1., 1., 2., 2., 1., 2., 2., 1., 1., 2., 1.], 4, 5)?;
/// assert_eq!(m_msr(&data, &MsrOptions::default())?.labels[0], 1.into());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn m_msr(data: &Ratings, options: &MsrOptions) -> Result<Truth> {
    check_votes("m_msr", data, false)?;
    check_unweighted("m_msr", data)?;
    check_iterations(options.max_iter, options.tol)?;
    let cancel = Cancel::current();
    let k = data.n_categories();
    let parts = components(data);
    let largest = parts.iter().map(|p| p.raters.len()).max().unwrap_or(0);
    check::at_most(largest, MAX_RATERS, "m_msr, connected raters")?;
    let mut skills = vec![0.0; data.n_raters()];
    // The place of each rater within the part.
    let mut place = vec![0u32; data.n_raters()];
    let (mut iterations, mut converged) = (0, true);
    for part in &parts {
        for (at, &r) in part.raters.iter().enumerate() {
            place[r as usize] = at as u32;
        }
        let found = complete(data, part, &place, options, &cancel)?;
        for (&r, skill) in part.raters.iter().zip(found.skills) {
            skills[r as usize] = skill;
        }
        iterations = iterations.max(found.iterations);
        converged &= found.converged;
    }
    let mut belief = vec![0.0; data.n_items() * k];
    for (i, row) in belief.chunks_exact_mut(k).enumerate() {
        if i % TURN == 0 {
            cancel.check()?;
        }
        for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
            row[c as usize] += skills[r as usize];
        }
        settle(row, None);
    }
    Ok(Truth { skills, iterations, converged, ..Truth::of("m_msr", data, belief) })
}

/// What is found for one connected part.
struct Found {
    skills: Vec<f64>,
    iterations: usize,
    converged: bool,
}

/// Completes the matrix of one part, from the same start as if it were all there is.
fn complete(
    data: &Ratings,
    part: &Component,
    place: &[u32],
    options: &MsrOptions,
    cancel: &Cancel,
) -> Result<Found> {
    let n = part.raters.len();
    // One item tells no more than two do: a unanimous vote must not be worth nothing.
    let floor = 1.0 / (part.items.len().max(2) as f64).sqrt();
    let classes = data.n_categories().max(2) as f64;
    let skill = |reliability: f64| {
        let reliability = reliability.min(1.0 - floor).max(-1.0 / (classes - 1.0) + floor);
        let p = reliability * (classes - 1.0) / classes + 1.0 / classes;
        (p * (classes - 1.0) / (1.0 - p)).ln()
    };
    if n == 1 {
        return Ok(Found { skills: vec![skill(floor)], iterations: 0, converged: true });
    }
    let agreement = Agreement::of(data, part, place, cancel)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut draw = || (0..n).map(|_| rng.random::<f64>().max(f64::EPSILON)).collect::<Vec<f64>>();
    let (mut u, mut v) = (draw(), draw());
    let trim = (agreement.fewest / 2).saturating_sub(1);
    let (mut iterations, mut converged) = (0, false);
    while iterations < options.max_iter && !converged {
        iterations += 1;
        let (old_u, old_v) = (u.clone(), v.clone());
        agreement.sweep(&u, &mut v, trim, floor, cancel)?;
        agreement.sweep(&v, &mut u, trim, floor, cancel)?;
        converged = change(&u, &v, &old_u, &old_v) < options.tol;
    }
    agreement.balance(&mut u, &v, floor);
    let skills = u.iter().zip(agreement.signs(cancel)?).map(|(x, sign)| skill(sign * x)).collect();
    Ok(Found { skills, iterations, converged })
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
    fn of(data: &Ratings, part: &Component, place: &[u32], cancel: &Cancel) -> Result<Agreement> {
        let (n, k) = (part.raters.len(), data.n_categories().max(2) as f64);
        let (mut same, mut shared) = (vec![0u32; n * n], vec![0u32; n * n]);
        for &i in &part.items {
            let (raters, codes) = (data.item_raters(i as usize), data.item_codes(i as usize));
            for (x, &a) in raters.iter().enumerate() {
                cancel.check()?;
                let row = place[a as usize] as usize * n;
                for (y, &b) in raters.iter().enumerate() {
                    if a != b {
                        let at = row + place[b as usize] as usize;
                        shared[at] += 1;
                        same[at] += u32::from(codes[x] == codes[y]);
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
        Ok(Agreement { n, rate, fewest })
    }

    /// Sets each entry of `to` to the trimmed mean of what the pairs of that rater and the entries of `from` say about it.
    fn sweep(&self, from: &[f64], to: &mut [f64], trim: usize, floor: f64, cancel: &Cancel) -> Result<()> {
        let mut said = Vec::with_capacity(self.n);
        for (row, x) in self.rate.chunks_exact(self.n).zip(to) {
            cancel.check()?;
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
        Ok(())
    }

    /// Brings `u` to the size of the reliabilities: the pairs determine `u v'`, not the sizes of the two. Where every two raters agree as by chance
    /// the pairs say nothing, and all get `floor`.
    fn balance(&self, u: &mut [f64], v: &[f64], floor: f64) {
        let rms = |x: &[f64], on: &dyn Fn(usize) -> bool| {
            let on: Vec<f64> = (0..x.len()).filter(|&r| on(r)).map(|r| x[r]).collect();
            (on.iter().map(|a| a * a).sum::<f64>() / on.len() as f64).sqrt()
        };
        let usable = |x: f64| x > 0.0 && x.is_finite();
        let Some(side) = self.sides() else {
            let scale = (rms(u, &|_| true) / rms(v, &|_| true)).sqrt();
            if usable(scale) {
                u.iter_mut().for_each(|x| *x /= scale)
            } else {
                u.fill(floor)
            }
            return;
        };
        // Pairs lie between the sides only. The first side is multiplied by `a`, the second by `b`; the products fix `a b`, and equal
        // reliability of the sides fixes the rest.
        let (first, second) = (rms(u, &|r| !side[r]), rms(u, &|r| side[r]));
        let product = rms(v, &|r| side[r]) / second;
        let a = (product * second / first).sqrt();
        if !usable(a) {
            u.fill(floor);
            return;
        }
        let b = product / a;
        u.iter_mut().zip(&side).for_each(|(x, &s)| *x *= if s { b } else { a });
    }

    /// The side of each rater, where all pairs lie between two sides.
    fn sides(&self) -> Option<Vec<bool>> {
        let mut side: Vec<Option<bool>> = vec![None; self.n];
        side[0] = Some(false);
        let mut next = vec![0];
        while let Some(r) = next.pop() {
            let own = side[r].unwrap_or(false);
            for (other, rate) in self.rate[r * self.n..][..self.n].iter().enumerate() {
                if rate.is_nan() {
                    continue;
                }
                match side[other] {
                    None => {
                        side[other] = Some(!own);
                        next.push(other);
                    }
                    Some(s) if s == own => return None,
                    Some(_) => {}
                }
            }
        }
        Some(side.into_iter().map(|s| s.unwrap_or(false)).collect())
    }

    /// The signs of the leading eigenvector, by power iteration on the matrix shifted to positive eigenvalues; positive in sum.
    fn signs(&self, cancel: &Cancel) -> Result<Vec<f64>> {
        let size = |row: &[f64]| row.iter().filter(|c| !c.is_nan()).map(|c| c.abs()).sum::<f64>();
        let shift = self.rate.chunks(self.n).map(size).fold(0.0, f64::max);
        let mut x = vec![1.0; self.n];
        for _ in 0..EIGEN_STEPS {
            cancel.check()?;
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
        Ok(x.iter().map(|v| majority * v.signum()).collect())
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
