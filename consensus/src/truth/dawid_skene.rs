//! What is true, when each rater confuses the categories in a way of their own?

use super::em::{EmOptions, PARALLEL, add_rows, blocks, climb, prior_term, settle};
use super::{Truth, check_votes, gold_codes, vote_shares};
use crate::Ratings;
use quorate_core::{Cancel, Result, parallel};

/// The model of Dawid and Skene (1979): item `i` has class `t` with probability `p_t`; rater `r` then says `c` with probability
/// `pi_r(t, c)`, independently of the other raters. Fitted by EM from the vote shares; with priors, by MAP-EM.
///
/// `log_likelihood` is `sum_i ln sum_t p_t prod pi_r(t, c)` after each M-step (the class prior enters once per item), plus the log-prior
/// if there is one; it never falls. The skill of a rater is the probability of a right answer, `sum_t p_t pi_r(t, t)`. `probabilities`, `confusion`
/// and `class_prior` belong together: the first follows from the others by Bayes' rule. Raters of weight `w` count as `w` raters who
/// say the same. Time per iteration: votes x classes; memory: items x classes + raters x classes^2.
///
/// Errors: `unsupported` for counts without raters; `unknown_id` for a gold item without ratings; `invalid_argument` and `not_finite` for
/// bad options; `duplicate_entry` for contradicting gold labels; `too_large` when items x categories or raters x categories^2 is above 2^25.
///
/// ```
/// use quorate_consensus::{Ratings, truth::{EmOptions, dawid_skene}};
/// let data = Ratings::from_matrix(&[
///     1., 1., 2., 2., 1., 2., // two who agree
///     1., 1., 2., 2., 1., 2.,
///     2., 2., 1., 1., 2., 1., // and one who always says the opposite
/// ], 3, 6)?;
/// let truth = dawid_skene(&data, &EmOptions::default())?;
/// assert_eq!(truth.labels[0], 1.into());
/// assert!(truth.skills[0] > 0.99 && truth.skills[2] < 0.01);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn dawid_skene(data: &Ratings, options: &EmOptions) -> Result<Truth> {
    options.validate()?;
    check_votes("dawid_skene", data, true)?;
    let cancel = Cancel::current();
    let gold = gold_codes(data, &options.gold)?;
    let k = data.n_categories();
    let mut belief = vote_shares(data, data.weights(), &cancel)?;
    for (row, g) in belief.chunks_exact_mut(k).zip(&gold) {
        if g.is_some() {
            settle(row, *g);
        }
    }
    let mut model = Model::new(data.n_raters(), k);
    let record = climb(options.max_iter, options.tol, || {
        model.maximise(data, &belief, options, &cancel)?;
        Ok(model.expect(data, &gold, &mut belief, &cancel)? + model.log_prior(options))
    })?;
    let (class_prior, confusion) = (model.class_prior(), model.confusion());
    let skills = confusion
        .chunks_exact(k * k)
        .map(|matrix| (0..k).map(|t| class_prior[t] * matrix[t * k + t]).sum())
        .collect();
    let truth = Truth::of("dawid_skene", data, belief);
    Ok(Truth { skills, confusion: Some(confusion), class_prior: Some(class_prior), ..truth }.climbed(record))
}

/// The parameters as logarithms.
pub(super) struct Model {
    k: usize,
    /// Per class.
    log_class: Vec<f64>,
    /// Raters x given x true: the votes of one rater for one label lie together for all true classes.
    log_confusion: Vec<f64>,
}

impl Model {
    pub(super) fn new(n_raters: usize, k: usize) -> Model {
        Model { k, log_class: vec![0.0; k], log_confusion: vec![0.0; n_raters * k * k] }
    }

    /// M-step: the shares that `belief` (items x classes) implies.
    fn maximise(
        &mut self,
        data: &Ratings,
        belief: &[f64],
        options: &EmOptions,
        cancel: &Cancel,
    ) -> Result<()> {
        let k = self.k;
        let mut total = vec![0.0; k];
        for row in belief.chunks_exact(k) {
            total.iter_mut().zip(row).for_each(|(t, v)| *t += v);
        }
        let all = data.n_items() as f64 + k as f64 * options.prior_class;
        self.log_class = total.iter().map(|t| ((t + options.prior_class) / all).ln()).collect();

        let rater = |r: usize, cells: &mut [f64]| {
            cancel.check()?;
            cells.fill(0.0);
            count_votes(cells, k, belief, data.rater_items(r), data.rater_codes(r));
            normalise(cells, k, data.weights()[r], options);
            Ok(())
        };
        if data.len() >= PARALLEL {
            parallel::try_for_each_chunk_mut(&mut self.log_confusion, k * k, 1, rater)
        } else {
            let mut raters = self.log_confusion.chunks_mut(k * k).enumerate();
            raters.try_for_each(|(r, cells)| rater(r, cells))
        }
    }

    /// E-step: the belief about each item; the log-likelihood.
    fn expect(
        &self,
        data: &Ratings,
        gold: &[Option<u32>],
        belief: &mut [f64],
        cancel: &Cancel,
    ) -> Result<f64> {
        let k = self.k;
        let weighted = data.is_weighted();
        blocks(belief, k, data.len() >= PARALLEL, cancel, |first, block| {
            let mut sum = 0.0;
            for (j, row) in block.chunks_exact_mut(k).enumerate() {
                let i = first + j;
                row.copy_from_slice(&self.log_class);
                let votes = data.item_raters(i).iter().zip(data.item_codes(i));
                if weighted {
                    for (&r, &c) in votes {
                        let logs = &self.log_confusion[(r as usize * k + c as usize) * k..][..k];
                        let w = data.weights()[r as usize];
                        row.iter_mut().zip(logs).for_each(|(v, l)| *v += w * l);
                    }
                } else {
                    add_rows(row, &self.log_confusion, votes.map(|(&r, &c)| r as usize * k + c as usize));
                }
                sum += settle(row, gold[i]);
            }
            sum
        })
    }

    fn log_prior(&self, options: &EmOptions) -> f64 {
        let mut sum: f64 = self.log_class.iter().map(|&l| prior_term(options.prior_class, l)).sum();
        if options.prior_correct > 0.0 || options.prior_wrong > 0.0 {
            for (cell, &log) in self.log_confusion.iter().enumerate() {
                let (given, truth) = (cell / self.k % self.k, cell % self.k);
                let count = if given == truth { options.prior_correct } else { options.prior_wrong };
                sum += prior_term(count, log);
            }
        }
        sum
    }

    fn class_prior(&self) -> Vec<f64> {
        self.log_class.iter().map(|l| l.exp()).collect()
    }

    /// Raters x true x given.
    fn confusion(&self) -> Vec<f64> {
        let k = self.k;
        let mut out = Vec::with_capacity(self.log_confusion.len());
        for cells in self.log_confusion.chunks_exact(k * k) {
            for t in 0..k {
                out.extend((0..k).map(|c| cells[c * k + t].exp()));
            }
        }
        out
    }
}

/// Adds the belief about each item to the cells (given x true) of the label that it got.
fn count_votes(cells: &mut [f64], k: usize, belief: &[f64], items: &[u32], codes: &[u32]) {
    match k {
        2 => count_fixed::<2>(cells, belief, items, codes),
        3 => count_fixed::<3>(cells, belief, items, codes),
        4 => count_fixed::<4>(cells, belief, items, codes),
        5 => count_fixed::<5>(cells, belief, items, codes),
        6 => count_fixed::<6>(cells, belief, items, codes),
        7 => count_fixed::<7>(cells, belief, items, codes),
        8 => count_fixed::<8>(cells, belief, items, codes),
        _ => {
            for (&i, &c) in items.iter().zip(codes) {
                let row = &belief[i as usize * k..][..k];
                cells[c as usize * k..][..k].iter_mut().zip(row).for_each(|(cell, v)| *cell += v);
            }
        }
    }
}

fn count_fixed<const K: usize>(cells: &mut [f64], belief: &[f64], items: &[u32], codes: &[u32]) {
    for (&i, &c) in items.iter().zip(codes) {
        let row = belief[i as usize * K..].first_chunk::<K>();
        let cell = cells[c as usize * K..].first_chunk_mut::<K>();
        if let (Some(row), Some(cell)) = (row, cell) {
            cell.iter_mut().zip(row).for_each(|(t, v)| *t += v);
        }
    }
}

/// From expected counts (given x true) to the logarithms of the shares of each true class. A class that the rater never met says nothing:
/// all labels are equally likely. Counts are added up by size, so that the order of the labels, which is that of their names, does not matter.
pub(super) fn normalise(cells: &mut [f64], k: usize, weight: f64, options: &EmOptions) {
    let mut counts = Vec::with_capacity(k);
    for t in 0..k {
        counts.clear();
        for c in 0..k {
            let prior = if c == t { options.prior_correct } else { options.prior_wrong };
            let cell = &mut cells[c * k + t];
            *cell = weight * *cell + prior;
            counts.push(*cell);
        }
        if k > 2 {
            counts.sort_unstable_by(f64::total_cmp);
        }
        let total: f64 = counts.iter().sum();
        for c in 0..k {
            let cell = &mut cells[c * k + t];
            *cell = if total > 0.0 { (*cell / total).ln() } else { -(k as f64).ln() };
        }
    }
}
