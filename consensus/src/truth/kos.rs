//! Which of two labels is true, judging raters by messages passed between items and raters?

use super::components::{Component, components};
use super::{Truth, check_iterations, check_unweighted, check_votes};
use crate::Ratings;
use crate::math::normal_quantile;
use quorate_core::{Cancel, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

/// Options of [`kos`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KosOptions {
    /// At most so many iterations; 100 unless given.
    pub max_iter: usize,
    /// Stop when no message, the largest being 1, changes by more than this; 1e-6 unless given.
    pub tol: f64,
    /// The seed of the first messages.
    pub seed: u64,
}

impl Default for KosOptions {
    fn default() -> Self {
        KosOptions { max_iter: 100, tol: 1e-6, seed: 0 }
    }
}

/// The message-passing algorithm of Karger, Oh and Shah (2014, "Budget-Optimal Task Allocation for Reliable Crowdsourcing Systems") for two categories.
///
/// First messages are drawn from N(1, 1). An item tells each of its raters what the others say; a rater tells each item how well the answers to the other items
/// fit. Messages are scaled to a largest size of 1 after each iteration, which changes no sign and cannot overflow; at the end, one sign is chosen so that raters are better than chance on the whole. The sum of the messages decides an
/// item; `probabilities` are the shares of the message weight for each label, not calibrated probabilities. The skill of a rater is the mean
/// support for the answers given, scaled so that the largest size is 1. With an assignment that is not random, or few items a rater, the
/// theory gives no warrant.
///
/// Raters and items that nothing connects with the others are judged alone: what others do elsewhere says nothing about them. Where no rater of
/// a connected part shares an item with somebody who has another item, no message goes round, and the votes decide: such raters have skill 0.
///
/// Errors: `invalid_argument` unless there are two categories; `unsupported` for weighted or anonymous raters; `too_large` above 1,000,000 iterations.
///
/// ```
/// use quorate_consensus::{Ratings, truth::{KosOptions, kos}};
/// let data = Ratings::from_matrix(&[1., 2., 2., 1., 1., 2., 2., 1., 2., 1., 1., 2.], 3, 4)?;
/// let truth = kos(&data, &KosOptions::default())?;
/// assert_eq!(truth.labels, vec![1.into(), 2.into(), 2.into(), 1.into()]);
/// assert!(truth.skills[2] < 0.0);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn kos(data: &Ratings, options: &KosOptions) -> Result<Truth> {
    check_votes("kos", data, false)?;
    check_unweighted("kos", data)?;
    check_iterations(options.max_iter, options.tol)?;
    if data.n_categories() != 2 {
        return Err(Error::invalid(format!("kos is for two categories, not {}", data.n_categories())));
    }
    let cancel = Cancel::current();
    let mut found = Found {
        shares: vec![0.5; 2 * data.n_items()],
        skills: vec![0.0; data.n_raters()],
        iterations: 0,
        converged: true,
    };
    // The messages of all raters, one a vote, in the order of the items.
    let mut messages = (vec![0.0; data.len()], vec![0.0; data.len()]);
    for part in components(data) {
        pass(data, &part, options, &mut messages, &mut found, &cancel)?;
    }
    let Found { shares, skills, iterations, converged } = found;
    Ok(Truth { skills, iterations, converged, ..Truth::of("kos", data, shares) })
}

/// What the parts add up to.
struct Found {
    /// Items x 2.
    shares: Vec<f64>,
    skills: Vec<f64>,
    iterations: usize,
    converged: bool,
}

/// A vote for the first category is +1.
fn sign(code: u32) -> f64 {
    if code == 0 { 1.0 } else { -1.0 }
}

/// Passes messages within one connected part, from the same start as if it were all there is.
fn pass(
    data: &Ratings,
    part: &Component,
    options: &KosOptions,
    (from_rater, from_item): &mut (Vec<f64>, Vec<f64>),
    found: &mut Found,
    cancel: &Cancel,
) -> Result<()> {
    let starts = data.item_starts();
    let votes = |i: u32| {
        let i = i as usize;
        (starts[i]..starts[i + 1], data.item_raters(i), data.item_codes(i))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    for &i in &part.items {
        for message in &mut from_rater[votes(i).0] {
            let p = (rng.random::<f64>() + f64::EPSILON).min(1.0 - f64::EPSILON);
            *message = 1.0 + normal_quantile(p);
        }
    }
    let support = &mut found.skills;
    let (mut iterations, mut converged) = (0, false);
    while iterations < options.max_iter && !converged {
        cancel.check()?;
        iterations += 1;
        part.raters.iter().for_each(|&r| support[r as usize] = 0.0);
        for &i in &part.items {
            let (at, raters, codes) = votes(i);
            let said = &from_rater[at.clone()];
            let sum: f64 = codes.iter().zip(said).map(|(&c, m)| sign(c) * m).sum();
            for ((to, m), (&r, &c)) in from_item[at].iter_mut().zip(said).zip(raters.iter().zip(codes)) {
                *to = sum - sign(c) * m;
                support[r as usize] += sign(c) * *to;
            }
        }
        let mut largest = 0.0f64;
        for &i in &part.items {
            let (at, raters, codes) = votes(i);
            for (m, (&r, &c)) in from_item[at].iter_mut().zip(raters.iter().zip(codes)) {
                *m = support[r as usize] - sign(c) * *m;
                largest = largest.max(m.abs());
            }
        }
        // Sums of messages that cancel out leave rounding errors, which must not be scaled up to messages.
        let scale = if largest > 1e-12 { 1.0 / largest } else { 0.0 };
        converged = true;
        for &i in &part.items {
            for (new, old) in from_item[votes(i).0].iter().zip(&mut from_rater[votes(i).0]) {
                let message = if scale > 0.0 { new * scale } else { 1.0 };
                converged &= scale == 0.0 || (message - *old).abs() <= options.tol;
                *old = message;
            }
        }
        if scale == 0.0 {
            // Nobody shares an item with anybody who has another one: the messages die out, and the votes decide alone.
            part.raters.iter().for_each(|&r| support[r as usize] = 0.0);
        }
    }
    // The messages are determined up to one sign; the start means raters to be better than chance on the whole.
    let whole: f64 = part.raters.iter().map(|&r| support[r as usize]).sum();
    let turn = if whole < 0.0 { -1.0 } else { 1.0 };
    for &i in &part.items {
        let (at, _, codes) = votes(i);
        let signed = codes.iter().zip(&from_rater[at]).map(|(&c, m)| turn * sign(c) * m);
        let (first, all) = signed.fold((0.0, 0.0), |(f, a), m| (f + m.max(0.0), a + m.abs()));
        if all > 0.0 {
            let row = &mut found.shares[2 * i as usize..][..2];
            (row[0], row[1]) = (first / all, 1.0 - first / all);
        }
    }
    let mut largest = 0.0f64;
    for &r in &part.raters {
        support[r as usize] *= turn / data.rater_codes(r as usize).len() as f64;
        largest = largest.max(support[r as usize].abs());
    }
    if largest > 0.0 {
        part.raters.iter().for_each(|&r| support[r as usize] /= largest);
    }
    found.iterations = found.iterations.max(iterations);
    found.converged &= converged;
    Ok(())
}
