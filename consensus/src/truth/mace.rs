//! What is true, when some raters answer without looking?

use super::em::{PARALLEL, blocks, climb, settle};
use super::{Truth, check_amount, check_iterations, check_votes, gold_codes};
use crate::{Label, Ratings, check};
use quorate_core::{Cancel, Error, Result, parallel};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use statrs::function::gamma::{digamma, ln_gamma};

/// How [`mace`] estimates its parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaceMethod {
    /// Variational Bayes with a Beta prior of knowing and a Dirichlet prior of guessing.
    #[default]
    Variational,
    /// EM with a little smoothing.
    Em,
}

/// Options of [`mace`]; the defaults are those of the authors' program.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaceOptions {
    /// At most so many iterations a start, 50.
    pub max_iter: usize,
    /// Stop a start when an iteration raises the objective by less than this, 1e-5.
    pub tol: f64,
    /// The number of random starts, 10; the best is kept.
    pub restarts: usize,
    /// The seed of the starts.
    pub seed: u64,
    /// Starting weights are drawn from [1, 2 + noise) and normalised; 0.5.
    pub noise: f64,
    /// How the parameters are estimated; variational.
    pub method: MaceMethod,
    /// Prior count of guessed answers of each rater (variational), 0.5.
    pub prior_guess: f64,
    /// Prior count of known answers of each rater (variational), 0.5.
    pub prior_know: f64,
    /// Prior count of each label among the guesses of each rater (variational), 10.
    pub prior_strategy: f64,
    /// What EM adds to each count; `None`: 0.01 / number of categories.
    pub smoothing: Option<f64>,
    /// Items whose true label is known, with that label.
    pub gold: Vec<(Label, Label)>,
}

impl Default for MaceOptions {
    fn default() -> Self {
        MaceOptions {
            max_iter: 50,
            tol: 1e-5,
            restarts: 10,
            seed: 0,
            noise: 0.5,
            method: MaceMethod::Variational,
            prior_guess: 0.5,
            prior_know: 0.5,
            prior_strategy: 10.0,
            smoothing: None,
            gold: Vec::new(),
        }
    }
}

/// The most random starts.
const MAX_RESTARTS: usize = 10_000;

impl MaceOptions {
    /// Checks iterations, starts (at most 10,000: `too_large`) and priors (codes `invalid_argument`, `not_finite`).
    pub fn validate(&self) -> Result<()> {
        check_iterations(self.max_iter, self.tol)?;
        if self.restarts == 0 {
            return Err(Error::invalid("restarts is 0; at least one start is needed"));
        }
        check::at_most(self.restarts, MAX_RESTARTS, "restarts")?;
        check_amount("noise", self.noise)?;
        let smoothing = self.smoothing.unwrap_or(1.0);
        for (name, value) in [
            ("prior_guess", self.prior_guess),
            ("prior_know", self.prior_know),
            ("prior_strategy", self.prior_strategy),
            ("smoothing", smoothing),
        ] {
            check_amount(name, value)?;
            if value == 0.0 {
                return Err(Error::invalid(format!("{name} is 0; it must be above 0")));
            }
        }
        Ok(())
    }
}

/// MACE, multi-annotator competence estimation (Hovy, Berg-Kirkpatrick, Vaswani and Hovy 2013).
///
/// The true label of each item is any category with equal probability. For each answer, rater `r` knows and gives the true label with probability
/// `1 - g_r`, or guesses from a distribution of their own. `log_likelihood` holds what the best start maximised: the evidence lower bound
/// (variational), or the log-likelihood plus the log of the smoothing prior (EM); it never falls.
///
/// The skill of a rater is the estimated probability of knowing (variational: its posterior mean).
///
/// Memory: items x classes for each thread that climbs, and raters x classes^2.
///
/// Errors: `unsupported` for counts without raters; `unknown_id` for a gold item without ratings; `too_large` when items x categories or raters x
/// categories^2 is above 2^25; those of [`MaceOptions::validate`].
///
/// ```
/// use quorate_consensus::{Ratings, truth::{MaceOptions, mace}};
/// let data = Ratings::from_matrix(&[
///     1., 2., 2., 1., 2., 1.,
///     1., 2., 2., 1., 2., 1.,
///     1., 1., 1., 1., 1., 1., // always the same answer
/// ], 3, 6)?;
/// let truth = mace(&data, &MaceOptions::default())?;
/// assert_eq!(truth.labels[1], 2.into());
/// assert!(truth.skills[0] > truth.skills[2]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn mace(data: &Ratings, options: &MaceOptions) -> Result<Truth> {
    options.validate()?;
    check_votes("mace", data, true)?;
    let cancel = Cancel::current();
    let gold = gold_codes(data, &options.gold)?;
    let k = data.n_categories();
    let drawn = order_of_appearance(data);
    let climb_from = |start: usize| -> Result<Start> {
        let mut model = Model::start(data, options, start, &drawn);
        let mut belief = vec![0.0; data.n_items() * k];
        model.expect(data, &gold, &mut belief, &cancel)?;
        let record = climb(options.max_iter, options.tol, || {
            let prior = model.maximise(data, &belief, options, &cancel)?;
            Ok(model.expect(data, &gold, &mut belief, &cancel)? + prior)
        })?;
        let height = record.0.last().copied().unwrap_or(f64::NEG_INFINITY);
        Ok(Start { height, model, record })
    };
    // As many starts at a time as keep the threads busy, so that memory does not grow with their number; of equals the first is kept.
    let (at_once, mut best) = (2 * parallel::threads(), None::<Start>);
    for first in (0..options.restarts).step_by(at_once) {
        let starts = at_once.min(options.restarts - first);
        for found in parallel::try_map_range(starts, |n| climb_from(first + n))? {
            if best.as_ref().is_none_or(|b| found.height > b.height) {
                best = Some(found);
            }
        }
    }
    let Some(Start { model, record, .. }) = best else {
        return Err(Error::invalid("restarts is 0; at least one start is needed"));
    };
    let mut belief = vec![0.0; data.n_items() * k];
    model.expect(data, &gold, &mut belief, &cancel)?;
    let confusion = model.confusion();
    let truth = Truth::of("mace", data, belief);
    Ok(Truth { skills: model.know, confusion: Some(confusion), ..truth }.climbed(record))
}

/// Where one random start has led.
struct Start {
    height: f64,
    model: Model,
    record: (Vec<f64>, bool),
}

/// The categories in the order in which the votes name them. Random numbers are drawn in this order, so that other names of the same
/// categories change nothing. Categories that nobody gave are left out.
fn order_of_appearance(data: &Ratings) -> Vec<usize> {
    let mut seen = vec![false; data.n_categories()];
    (0..data.n_items())
        .flat_map(|i| data.item_codes(i))
        .map(|&c| c as usize)
        .filter(|&c| !std::mem::replace(&mut seen[c], true))
        .collect()
}

/// The parameters, in the form that the E-step reads.
struct Model {
    k: usize,
    /// The mean probability of knowing, per rater.
    know: Vec<f64>,
    /// The mean shares of the labels among guesses: raters x labels.
    strategy: Vec<f64>,
    /// What a vote says: raters x labels.
    votes: Vec<Vote>,
}

#[derive(Clone, Copy, Default)]
struct Vote {
    /// The logarithm of the probability that the label is a guess.
    log_guess: f64,
    /// How many times more the vote says for its own class than for the others.
    gain: f64,
    /// The probability that the rater knew, if the vote is right.
    knew: f64,
}

/// The logarithm of the largest product of gains that is formed without logarithms; the largest `f64` has 709.
const LOG_LIMIT: f64 = 600.0;

impl Vote {
    /// From the probability of guessing this label and that of knowing. A guess below the smallest number counts as that: it is not impossible.
    fn new(guess: f64, know: f64) -> Vote {
        let guess = guess.max(f64::MIN_POSITIVE);
        Vote { log_guess: guess.ln(), gain: 1.0 + know / guess, knew: know / (guess + know) }
    }
}

impl Model {
    fn start(data: &Ratings, options: &MaceOptions, start: usize, drawn: &[usize]) -> Model {
        let k = data.n_categories();
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(start as u64);
        let mut model = Model { k, know: Vec::new(), strategy: Vec::new(), votes: Vec::new() };
        for _ in 0..data.n_raters() {
            let mut draw = || 1.0 + (1.0 + options.noise) * rng.random::<f64>();
            let (guess, know) = (draw(), draw());
            // A category that nobody gave starts at the mean.
            let mut weights = vec![1.5 + 0.5 * options.noise; k];
            drawn.iter().for_each(|&c| weights[c] = draw());
            let (both, all) = (guess + know, weights.iter().sum::<f64>());
            model.know.push(know / both);
            model.strategy.extend(weights.iter().map(|w| w / all));
            model.votes.extend(weights.iter().map(|w| Vote::new(guess / both * w / all, know / both)));
        }
        model
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
        let log_class = -(k as f64).ln();
        let largest = self.votes.iter().fold(1.0f64, |m, v| m.max(v.gain));
        // So many votes can be multiplied without overflow; beyond, logarithms are added.
        let safe = if data.is_weighted() { 0 } else { (LOG_LIMIT / largest.ln().max(1e-3)) as usize };
        blocks(belief, k, data.len() >= PARALLEL, cancel, |first, block| {
            let mut sum = 0.0;
            for (j, row) in block.chunks_exact_mut(k).enumerate() {
                let i = first + j;
                let votes = data.item_raters(i).iter().zip(data.item_codes(i));
                let mut common = log_class;
                if votes.len() <= safe && gold[i].is_none() {
                    row.fill(1.0);
                    for (&r, &c) in votes {
                        let vote = &self.votes[r as usize * k + c as usize];
                        common += vote.log_guess;
                        row[c as usize] *= vote.gain;
                    }
                    let all: f64 = row.iter().sum();
                    row.iter_mut().for_each(|v| *v /= all);
                    sum += common + all.ln();
                } else {
                    row.fill(0.0);
                    for (&r, &c) in votes {
                        let vote = &self.votes[r as usize * k + c as usize];
                        let w = data.weights()[r as usize];
                        common += w * vote.log_guess;
                        row[c as usize] += w * vote.gain.ln();
                    }
                    sum += common + settle(row, gold[i]);
                }
            }
            sum
        })
    }

    /// M-step; what the priors add to the objective. Error: `cancelled`.
    fn maximise(
        &mut self,
        data: &Ratings,
        belief: &[f64],
        options: &MaceOptions,
        cancel: &Cancel,
    ) -> Result<f64> {
        let k = self.k;
        let smoothing = options.smoothing.unwrap_or(0.01 / k as f64);
        let mut objective = match options.method {
            MaceMethod::Variational => -prior_constant(options, k) * data.n_raters() as f64,
            MaceMethod::Em => 0.0,
        };
        let mut counts = vec![0.0; k];
        for r in 0..data.n_raters() {
            cancel.check()?;
            counts.fill(0.0);
            let votes = &mut self.votes[r * k..][..k];
            let mut knew = 0.0;
            for (&i, &c) in data.rater_items(r).iter().zip(data.rater_codes(r)) {
                let share = belief[i as usize * k + c as usize] * votes[c as usize].knew;
                knew += share;
                counts[c as usize] += 1.0 - share;
            }
            let w = data.weights()[r];
            counts.iter_mut().for_each(|c| *c *= w);
            let (guessed, knew) = (counts.iter().sum::<f64>(), w * knew);
            let strategy = &mut self.strategy[r * k..][..k];
            match options.method {
                MaceMethod::Variational => {
                    let (a, b) = (options.prior_guess + guessed, options.prior_know + knew);
                    let coin = Dirichlet::new(a + b);
                    let (guess, know) =
                        (coin.weight(a, options.prior_guess), coin.weight(b, options.prior_know));
                    self.know[r] = b / (a + b);
                    let all = guessed + k as f64 * options.prior_strategy;
                    let die = Dirichlet::new(all);
                    let mut divergence = coin.log_gamma + die.log_gamma + guess.divergence + know.divergence;
                    for ((vote, share), c) in votes.iter_mut().zip(strategy).zip(&counts) {
                        let label = die.weight(c + options.prior_strategy, options.prior_strategy);
                        divergence += label.divergence;
                        *share = (c + options.prior_strategy) / all;
                        *vote = Vote::new(guess.value * label.value, know.value);
                    }
                    objective -= divergence;
                }
                MaceMethod::Em => {
                    let both = guessed + knew + 2.0 * smoothing;
                    let (guess, know) = ((guessed + smoothing) / both, (knew + smoothing) / both);
                    self.know[r] = know;
                    objective += smoothing * (guess.ln() + know.ln());
                    let all = guessed + k as f64 * smoothing;
                    for ((vote, share), &c) in votes.iter_mut().zip(strategy).zip(&counts) {
                        *share = (c + smoothing) / all;
                        objective += smoothing * share.ln();
                        *vote = Vote::new(guess * *share, know);
                    }
                }
            }
        }
        Ok(objective)
    }

    /// Raters x true x given, from the means.
    fn confusion(&self) -> Vec<f64> {
        let k = self.k;
        let mut out = Vec::with_capacity(self.know.len() * k * k);
        for (know, strategy) in self.know.iter().zip(self.strategy.chunks_exact(k)) {
            for t in 0..k {
                out.extend((0..k).map(|c| (1.0 - know) * strategy[c] + if c == t { *know } else { 0.0 }));
            }
        }
        out
    }
}

/// A Dirichlet distribution by the sum of its parameters.
struct Dirichlet {
    log_gamma: f64,
    digamma: f64,
}

/// One component of a Dirichlet distribution.
struct Component {
    /// `exp(E[ln p])`.
    value: f64,
    /// Its part in the Kullback-Leibler divergence to the prior, up to the prior's constant.
    divergence: f64,
}

impl Dirichlet {
    fn new(sum: f64) -> Dirichlet {
        Dirichlet { log_gamma: ln_gamma(sum), digamma: digamma(sum) }
    }

    /// The component with parameter `a`, whose prior has parameter `b`.
    fn weight(&self, a: f64, b: f64) -> Component {
        let log = digamma(a) - self.digamma;
        Component { value: log.exp(), divergence: (a - b) * log - ln_gamma(a) }
    }
}

/// The constants of the priors in the divergence of one rater.
fn prior_constant(options: &MaceOptions, k: usize) -> f64 {
    let (a, b, c) = (options.prior_guess, options.prior_know, options.prior_strategy);
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b) + k as f64 * ln_gamma(c) - ln_gamma(k as f64 * c)
}
