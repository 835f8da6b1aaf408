//! What is true, when each rater is right with one probability, whatever the class?

use super::em::{EmOptions, PARALLEL, blocks, climb, prior_term, settle};
use super::{Truth, check_votes, gold_codes, vote_shares};
use crate::Ratings;
use quorate_core::{Cancel, Result};

/// The one-coin model (Zhang, Chen, Zhou and Jordan 2016, "Spectral Methods Meet EM"): rater `r` gives the true label with probability `s_r` and each of the
/// `k - 1` others with probability `(1 - s_r) / (k - 1)`. Fitted by EM from the vote shares, with the class shares estimated too.
///
/// It needs far fewer votes per rater than [`dawid_skene`](super::dawid_skene). The skill of a rater is `s_r`; `log_likelihood` never falls. Of the
/// priors, `prior_correct` and `prior_wrong` are imagined right and wrong votes by each rater.
///
/// Errors: as [`dawid_skene`](super::dawid_skene).
///
/// ```
/// use quorate_consensus::{Ratings, truth::{EmOptions, one_coin}};
/// let data = Ratings::from_matrix(&[1., 2., 3., 1., 1., 2., 3., 1., 1., 2., 3., 2.], 3, 4)?;
/// let truth = one_coin(&data, &EmOptions { prior_correct: 1.0, prior_wrong: 1.0, ..EmOptions::default() })?;
/// assert_eq!(truth.labels[3], 1.into());
/// assert!(truth.skills[0] > truth.skills[2]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn one_coin(data: &Ratings, options: &EmOptions) -> Result<Truth> {
    options.validate()?;
    check_votes("one_coin", data, true)?;
    let cancel = Cancel::current();
    let gold = gold_codes(data, &options.gold)?;
    let k = data.n_categories();
    let wrong_labels = (k as f64 - 1.0).max(1.0);
    let mut belief = vote_shares(data, data.weights(), &cancel)?;
    for (row, g) in belief.chunks_exact_mut(k).zip(&gold) {
        if g.is_some() {
            settle(row, *g);
        }
    }
    // How often each rater is right, and how often wrong: near certainty `1 - skill` has no digits left.
    let (mut skills, mut misses) = (vec![0.0; data.n_raters()], vec![0.0; data.n_raters()]);
    let mut class_prior = vec![0.0; k];
    let record = climb(options.max_iter, options.tol, || {
        // M-step.
        class_prior.fill(options.prior_class);
        for row in belief.chunks_exact(k) {
            class_prior.iter_mut().zip(row).for_each(|(t, v)| *t += v);
        }
        let all = data.n_items() as f64 + k as f64 * options.prior_class;
        class_prior.iter_mut().for_each(|p| *p /= all);
        for (r, (skill, miss)) in skills.iter_mut().zip(&mut misses).enumerate() {
            let (items, codes) = (data.rater_items(r), data.rater_codes(r));
            let right: f64 =
                items.iter().zip(codes).map(|(&i, &c)| belief[i as usize * k + c as usize]).sum();
            let (right, votes) = (data.weights()[r] * right, data.weights()[r] * codes.len() as f64);
            let all = votes + options.prior_correct + options.prior_wrong;
            *skill = ((right + options.prior_correct) / all).min(1.0);
            *miss = ((votes - right).max(0.0) + options.prior_wrong) / all;
        }
        // E-step. A vote multiplies its own class by s and every other by (1 - s) / (k - 1).
        let log_class: Vec<f64> = class_prior.iter().map(|p| p.ln()).collect();
        let logs: Vec<(f64, f64)> = skills
            .iter()
            .zip(&misses)
            .zip(data.weights())
            .map(|((s, m), w)| (w * s.ln(), w * (m / wrong_labels).ln()))
            .collect();
        let likelihood = blocks(&mut belief, k, data.len() >= PARALLEL, &cancel, |first, block| {
            let mut sum = 0.0;
            for (j, row) in block.chunks_exact_mut(k).enumerate() {
                row.copy_from_slice(&log_class);
                for (&r, &c) in data.item_raters(first + j).iter().zip(data.item_codes(first + j)) {
                    let (right, wrong) = logs[r as usize];
                    row.iter_mut()
                        .enumerate()
                        .for_each(|(t, v)| *v += if t == c as usize { right } else { wrong });
                }
                sum += settle(row, gold[first + j]);
            }
            sum
        })?;
        let prior: f64 = log_class.iter().map(|&l| prior_term(options.prior_class, l)).sum::<f64>()
            + skills
                .iter()
                .zip(&misses)
                .map(|(s, m)| {
                    prior_term(options.prior_correct, s.ln()) + prior_term(options.prior_wrong, m.ln())
                })
                .sum::<f64>();
        Ok(likelihood + prior)
    })?;
    let confusion = skills
        .iter()
        .zip(&misses)
        .flat_map(|(s, m)| {
            (0..k * k).map(move |cell| if cell / k == cell % k { *s } else { m / wrong_labels })
        })
        .collect();
    let truth = Truth::of("one_coin", data, belief);
    Ok(Truth { skills, confusion: Some(confusion), class_prior: Some(class_prior), ..truth }.climbed(record))
}
