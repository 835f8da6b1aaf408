//! Which label wins when the skills of raters are learnt step by step from the weighted majority?

use super::wawa::skilled_shares;
use super::{Truth, accuracy, check_iterations, check_votes, vote_shares};
use crate::Ratings;
use quorate_core::{Cancel, Error, Result};
use serde::Deserialize;

/// Options of [`zero_based_skill`]; the defaults are those of crowd-kit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZeroBasedSkillOptions {
    /// The number of iterations, 100.
    pub max_iter: usize,
    /// The first learning rate, 1.
    pub learning_rate: f64,
    /// After so many iterations the rate is reduced, 20.
    pub reduce_every: usize,
    /// What the rate is multiplied by then, 0.5.
    pub reduce_by: f64,
}

impl Default for ZeroBasedSkillOptions {
    fn default() -> Self {
        ZeroBasedSkillOptions { max_iter: 100, learning_rate: 1.0, reduce_every: 20, reduce_by: 0.5 }
    }
}

impl ZeroBasedSkillOptions {
    /// Checks that rates lie in (0, 1] and counts are positive (code `invalid_argument`), and that there are at most 1,000,000 iterations (`too_large`).
    pub fn validate(&self) -> Result<()> {
        let rate = |x: f64| x > 0.0 && x <= 1.0;
        check_iterations(self.max_iter, 0.0)?;
        if self.reduce_every == 0 {
            return Err(Error::invalid("reduce_every must be 1 or more"));
        }
        if !rate(self.learning_rate) || !rate(self.reduce_by) {
            return Err(Error::invalid(format!(
                "learning_rate is {} and reduce_by is {}; both must lie in (0, 1]",
                self.learning_rate, self.reduce_by
            )));
        }
        Ok(())
    }
}

/// Skill of a rater who answers at random, a little raised so that nobody starts without a vote.
const START_ABOVE_CHANCE: f64 = 1e-5;

/// Zero-based skill (Ustalov, Pavlichenko and Tseitlin 2024, "Learning from Crowds with Crowd-Kit"): all raters start at chance; each iteration
/// moves their skills towards their agreement with the majority vote weighted by the skills.
///
/// `converged` says that the last iteration moved no skill by more than 1e-5.
///
/// Errors: as [`majority_vote`](super::majority_vote); those of [`ZeroBasedSkillOptions::validate`].
///
/// ```
/// use quorate_consensus::{Ratings, truth::{ZeroBasedSkillOptions, zero_based_skill}};
/// let data = Ratings::new(&[1, 1, 1, 2, 2, 2], &["a", "b", "c", "a", "b", "c"], &["x", "x", "y", "x", "x", "y"])?;
/// let truth = zero_based_skill(&data, &ZeroBasedSkillOptions::default())?;
/// assert!(truth.skills[0] > 0.99 && truth.skills[2] < 0.01);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn zero_based_skill(data: &Ratings, options: &ZeroBasedSkillOptions) -> Result<Truth> {
    options.validate()?;
    check_votes("zero_based_skill", data, false)?;
    let cancel = Cancel::current();
    let plain = vote_shares(data, data.weights(), &cancel)?;
    let mut skills = vec![1.0 / data.n_categories() as f64 + START_ABOVE_CHANCE; data.n_raters()];
    let mut rate = options.learning_rate;
    let mut moved: f64 = 0.0;
    for iteration in 1..=options.max_iter {
        if iteration % options.reduce_every == 0 {
            rate *= options.reduce_by;
        }
        let agreement = accuracy(data, &skilled_shares(data, &skills, &plain, &cancel)?, &cancel)?;
        moved = 0.0;
        for (skill, target) in skills.iter_mut().zip(agreement) {
            let step = rate * (target - *skill);
            *skill += step;
            moved = moved.max(step.abs());
        }
    }
    let shares = skilled_shares(data, &skills, &plain, &cancel)?;
    Ok(Truth {
        skills,
        iterations: options.max_iter,
        converged: moved <= START_ABOVE_CHANCE,
        ..Truth::of("zero_based_skill", data, shares)
    })
}
