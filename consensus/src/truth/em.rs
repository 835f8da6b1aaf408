//! What do the EM algorithms share: options, blocks of items, and the climb?

use super::{Truth, check_amount, check_iterations};
use crate::Label;
use quorate_core::{Cancel, Result, parallel};
use serde::Deserialize;

/// Options of [`dawid_skene`](super::dawid_skene) and [`one_coin`](super::one_coin).
///
/// The priors are counts of imagined votes or items (a Dirichlet parameter minus one); with all at 0, the default, the estimate is that of
/// maximum likelihood.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmOptions {
    /// At most so many iterations; 100 unless given.
    pub max_iter: usize,
    /// Stop when an iteration raises the log-likelihood (with priors, the log-posterior) by less than this; 1e-5 unless given.
    pub tol: f64,
    /// Imagined items of each class.
    pub prior_class: f64,
    /// Imagined right votes by each rater, on each class.
    pub prior_correct: f64,
    /// Imagined wrong votes by each rater, on each class and for each wrong label.
    pub prior_wrong: f64,
    /// Items whose true label is known, with that label.
    pub gold: Vec<(Label, Label)>,
}

impl Default for EmOptions {
    fn default() -> Self {
        EmOptions {
            max_iter: 100,
            tol: 1e-5,
            prior_class: 0.0,
            prior_correct: 0.0,
            prior_wrong: 0.0,
            gold: Vec::new(),
        }
    }
}

impl EmOptions {
    /// Checks iterations (at most 1,000,000: `too_large`), tolerance and priors (codes `invalid_argument`, `not_finite`).
    pub fn validate(&self) -> Result<()> {
        check_iterations(self.max_iter, self.tol)?;
        check_amount("prior_class", self.prior_class)?;
        check_amount("prior_correct", self.prior_correct)?;
        check_amount("prior_wrong", self.prior_wrong)
    }
}

/// Rows in a block. Sums are taken block by block, so this fixes the rounding of every result.
const BLOCK: usize = 1024;

/// Below this many votes threads cost more than they bring.
pub(super) const PARALLEL: usize = 1 << 14;

/// Runs `work(first row, rows)` on each block of rows of `width` numbers; the sum of what it returns, added in the order of the blocks.
pub(super) fn blocks(
    rows: &mut [f64],
    width: usize,
    parallel: bool,
    cancel: &Cancel,
    work: impl Fn(usize, &mut [f64]) -> f64 + Sync,
) -> Result<f64> {
    let mut nothing = vec![(); rows.len() / width];
    blocks_with(rows, width, &mut nothing, parallel, cancel, |first, block, _| work(first, block))
}

/// The same with one more thing to change per row. Error: `cancelled`.
pub(super) fn blocks_with<T: Send>(
    rows: &mut [f64],
    width: usize,
    more: &mut [T],
    parallel: bool,
    cancel: &Cancel,
    work: impl Fn(usize, &mut [f64], &mut [T]) -> f64 + Sync,
) -> Result<f64> {
    let size = BLOCK * width;
    // Once nobody wants the sum any more, blocks are passed over.
    let one = |b: usize, block: &mut [f64], more: &mut [T]| {
        if cancel.is_cancelled() { 0.0 } else { work(b * BLOCK, block, more) }
    };
    let sum = if parallel {
        parallel::map_chunks_mut2((rows, size), (more, BLOCK), one).into_iter().sum()
    } else {
        let pairs = rows.chunks_mut(size).zip(more.chunks_mut(BLOCK)).enumerate();
        pairs.map(|(b, (block, more))| one(b, block, more)).sum()
    };
    cancel.check()?;
    Ok(sum)
}

/// Turns log weights into probabilities; the logarithm of their sum. For a known class it is the weight of that class.
pub(super) fn settle(row: &mut [f64], gold: Option<u32>) -> f64 {
    if let Some(c) = gold {
        let log = row[c as usize];
        row.fill(0.0);
        row[c as usize] = 1.0;
        return log;
    }
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|v| *v = (*v - top).exp());
    let sum = total(row);
    let scale = 1.0 / sum;
    row.iter_mut().for_each(|v| *v *= scale);
    top + sum.ln()
}

/// The sum of numbers from 0 to 1 of which one is 1. It is taken in whole units of 2^-60 and so without rounding: the order of the classes is that of their
/// names, and where classes are level the next iterations make a difference between them of any rounding error.
fn total(row: &[f64]) -> f64 {
    const UNIT: f64 = (1u64 << 60) as f64;
    if let [a, b] = row {
        return a + b;
    }
    row.iter().map(|v| i128::from((v * UNIT) as i64)).sum::<i128>() as f64 / UNIT
}

/// Adds rows of `k` numbers of `table` to `sum`; `at` gives the number of each row. The small numbers of classes have loops of fixed length.
pub(super) fn add_rows(sum: &mut [f64], table: &[f64], at: impl Iterator<Item = usize>) {
    match sum.len() {
        2 => add_fixed::<2>(sum, table, at),
        3 => add_fixed::<3>(sum, table, at),
        4 => add_fixed::<4>(sum, table, at),
        5 => add_fixed::<5>(sum, table, at),
        6 => add_fixed::<6>(sum, table, at),
        7 => add_fixed::<7>(sum, table, at),
        8 => add_fixed::<8>(sum, table, at),
        k => at.for_each(|n| sum.iter_mut().zip(&table[n * k..][..k]).for_each(|(s, v)| *s += v)),
    }
}

fn add_fixed<const K: usize>(sum: &mut [f64], table: &[f64], at: impl Iterator<Item = usize>) {
    let Some(out) = sum.first_chunk_mut::<K>() else { return };
    let mut total = *out;
    for n in at {
        if let Some(row) = table[n * K..].first_chunk::<K>() {
            total.iter_mut().zip(row).for_each(|(t, v)| *t += v);
        }
    }
    *out = total;
}

/// `0 log 0 = 0`: what a prior of no votes adds.
pub(super) fn prior_term(count: f64, log: f64) -> f64 {
    if count == 0.0 { 0.0 } else { count * log }
}

/// The climb of an EM algorithm: repeats `step`, which returns what is maximised, until it rises by less than `tol`. Errors: those of `step`.
pub(super) fn climb(
    max_iter: usize,
    tol: f64,
    mut step: impl FnMut() -> Result<f64>,
) -> Result<(Vec<f64>, bool)> {
    let mut trace = Vec::new();
    for _ in 0..max_iter {
        let value = step()?;
        let gain = trace.last().map_or(f64::INFINITY, |last| value - last);
        trace.push(value);
        if gain < tol {
            return Ok((trace, true));
        }
    }
    Ok((trace, false))
}

impl Truth {
    /// The same with the record of a climb.
    pub(super) fn climbed(self, (log_likelihood, converged): (Vec<f64>, bool)) -> Truth {
        Truth { iterations: log_likelihood.len(), log_likelihood, converged, ..self }
    }
}
