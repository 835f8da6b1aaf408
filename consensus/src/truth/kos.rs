//! Which of two labels is true, judging raters by messages passed between items and raters?

use super::{Truth, check_identity, check_iterations, check_unweighted};
use crate::Ratings;
use crate::math::normal_quantile;
use quorate_core::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Options of [`kos`].
#[derive(Clone, Debug, PartialEq)]
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
/// fit. Messages are scaled to a largest size of 1 after each iteration, which changes no sign and cannot overflow; at the end, one sign for all is chosen so that raters are better than chance on the whole. The sum of the messages decides an
/// item; `probabilities` are the shares of the message weight for each label, not calibrated probabilities. The skill of a rater is the mean
/// support for the answers given, scaled so that the largest size is 1. With an assignment that is not random, or few items a rater, the
/// theory gives no warrant.
///
/// Errors: `invalid_argument` unless there are two categories; `unsupported` for weighted or anonymous raters.
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
    check_identity("kos", data)?;
    check_unweighted("kos", data)?;
    check_iterations(options.max_iter, options.tol)?;
    if data.n_categories() != 2 {
        return Err(Error::invalid(format!("kos is for two categories, not {}", data.n_categories())));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    // One message per vote, in the order of the items; a vote for the first category is +1.
    let sign = |code: u32| if code == 0 { 1.0 } else { -1.0 };
    let mut from_rater: Vec<f64> = (0..data.len())
        .map(|_| 1.0 + normal_quantile((rng.random::<f64>() + f64::EPSILON).min(1.0 - f64::EPSILON)))
        .collect();
    let mut from_item = vec![0.0; data.len()];
    let mut support = vec![0.0; data.n_raters()];
    let (mut iterations, mut converged) = (0, false);
    while iterations < options.max_iter && !converged {
        iterations += 1;
        support.fill(0.0);
        for (i, at) in data.item_starts().windows(2).enumerate() {
            let (raters, codes) = (data.item_raters(i), data.item_codes(i));
            let messages = &from_rater[at[0]..at[1]];
            let sum: f64 = codes.iter().zip(messages).map(|(&c, m)| sign(c) * m).sum();
            for (n, (&r, &c)) in raters.iter().zip(codes).enumerate() {
                let message = sum - sign(c) * messages[n];
                from_item[at[0] + n] = message;
                support[r as usize] += sign(c) * message;
            }
        }
        let old = from_rater.clone();
        for (i, at) in data.item_starts().windows(2).enumerate() {
            for (n, (&r, &c)) in data.item_raters(i).iter().zip(data.item_codes(i)).enumerate() {
                from_rater[at[0] + n] = support[r as usize] - sign(c) * from_item[at[0] + n];
            }
        }
        let largest = from_rater.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        if largest == 0.0 {
            // Nobody shares an item with anybody who has another one: the messages die out, and the votes decide alone.
            from_rater.fill(1.0);
            converged = true;
        } else {
            from_rater.iter_mut().for_each(|v| *v /= largest);
            converged = from_rater.iter().zip(&old).all(|(a, b)| (a - b).abs() <= options.tol);
        }
    }
    // The messages are determined up to one sign for all; the start means raters to be better than chance on the whole.
    if support.iter().sum::<f64>() < 0.0 {
        from_rater.iter_mut().chain(&mut support).for_each(|v| *v = -*v);
    }
    let mut shares = vec![0.5; 2 * data.n_items()];
    for (i, at) in data.item_starts().windows(2).enumerate() {
        let signed = data.item_codes(i).iter().zip(&from_rater[at[0]..at[1]]).map(|(&c, m)| sign(c) * m);
        let (first, all) = signed.fold((0.0, 0.0), |(f, a), m| (f + m.max(0.0), a + m.abs()));
        if all > 0.0 {
            (shares[2 * i], shares[2 * i + 1]) = (first / all, 1.0 - first / all);
        }
    }
    let mut skills: Vec<f64> =
        support.iter().enumerate().map(|(r, s)| s / data.rater_codes(r).len() as f64).collect();
    let largest = skills.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if largest > 0.0 {
        skills.iter_mut().for_each(|v| *v /= largest);
    }
    Ok(Truth { skills, iterations, converged, ..Truth::of("kos", data, shares) })
}
