//! What is true, when items differ in difficulty and raters in ability?

use super::em::{PARALLEL, blocks_with, climb, settle};
use super::{Truth, check_iterations, check_votes, gold_codes};
use crate::{Label, Ratings, check};
use quorate_core::{Cancel, Code, Error, Result, parallel};
use serde::Deserialize;

/// Options of [`glad`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GladOptions {
    /// At most so many EM iterations; 100 unless given.
    pub max_iter: usize,
    /// Stop when an iteration raises the log-posterior by less than this; 1e-5 unless given.
    pub tol: f64,
    /// The mean of the normal prior of abilities (standard deviation 1), from -100 to 100; 1 unless given.
    pub ability_mean: f64,
    /// The mean of the normal prior of `beta`, the logarithm of easiness (standard deviation 1), from -100 to 100; 1 unless given.
    pub easiness_mean: f64,
    /// The share of each category, in their order; `None`: all the same.
    pub class_prior: Option<Vec<f64>>,
    /// Items whose true label is known, with that label.
    pub gold: Vec<(Label, Label)>,
}

impl Default for GladOptions {
    fn default() -> Self {
        GladOptions {
            max_iter: 100,
            tol: 1e-5,
            ability_mean: 1.0,
            easiness_mean: 1.0,
            class_prior: None,
            gold: Vec::new(),
        }
    }
}

/// The largest size of a prior mean: `exp` of twice as much is still a number.
const MOST_MEAN: f64 = 100.0;

impl GladOptions {
    /// Checks the options against the number of categories (codes `invalid_argument`, `invalid_shape`, `not_finite`; `too_large` above 1,000,000 iterations).
    pub fn validate(&self, n_categories: usize) -> Result<()> {
        check_iterations(self.max_iter, self.tol)?;
        for (name, x) in [("ability_mean", self.ability_mean), ("easiness_mean", self.easiness_mean)] {
            check::within(x, -MOST_MEAN, MOST_MEAN, name)?;
        }
        if let Some(p) = &self.class_prior {
            if p.len() != n_categories {
                return Err(Error::new(
                    Code::InvalidShape,
                    format!("class_prior has {} shares for {n_categories} categories", p.len()),
                ));
            }
            if p.iter().any(|v| v.is_nan() || *v <= 0.0) || (p.iter().sum::<f64>() - 1.0).abs() > 1e-9 {
                return Err(Error::invalid("class_prior must hold positive shares that sum to 1"));
            }
        }
        Ok(())
    }
}

/// GLAD, the generative model of labels, abilities and difficulties (Whitehill, Ruvolo, Wu, Bergsma and Movellan 2009), for any
/// number of categories.
///
/// Rater `r` labels item `i` rightly with probability `1 / (1 + exp(-a_r exp(b_i)))`, and otherwise picks one of the wrong labels evenly.
/// Abilities `a` and log-easiness `b` have normal priors of variance 1. Fitted by EM; the M-step maximises the quadratic bound of
/// Jaakkola and Jordan (2000) first in `b`, then in `a`, so that the log-posterior in `log_likelihood` never falls and no step size is needed.
///
/// The skill of a rater is `a`: 0 is guessing, negative is hostile. `difficulty` of an item is `exp(-b)`.
///
/// Errors: `unsupported` for counts without raters; `unknown_id` for a gold item without ratings; `too_large` when items x categories is above 2^25; those of
/// [`GladOptions::validate`].
///
/// ```
/// use quorate_consensus::{Ratings, truth::{GladOptions, glad}};
/// let data = Ratings::from_matrix(&[1., 2., 2., 1., 1., 2., 2., 1., 1., 2., 1., 2.], 3, 4)?;
/// let truth = glad(&data, &GladOptions::default())?;
/// assert_eq!(truth.labels, vec![1.into(), 2.into(), 2.into(), 1.into()]);
/// assert!(truth.skills[0] > truth.skills[2]);
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn glad(data: &Ratings, options: &GladOptions) -> Result<Truth> {
    let k = data.n_categories();
    options.validate(k)?;
    check_votes("glad", data, false)?;
    let cancel = Cancel::current();
    let gold = gold_codes(data, &options.gold)?;
    let mut model = Model::new(data, options);
    let mut belief = vec![0.0; data.n_items() * k];
    model.expect(data, &gold, &mut belief, &cancel)?;
    let record = climb(options.max_iter, options.tol, || {
        model.maximise(data, &belief, options, &cancel)?;
        Ok(model.expect(data, &gold, &mut belief, &cancel)? + model.log_prior(options))
    })?;
    let difficulty = model.ease.iter().map(|e| (-e.beta).exp()).collect();
    let truth = Truth::of("glad", data, belief);
    Ok(Truth { skills: model.ability, difficulty: Some(difficulty), ..truth }.climbed(record))
}

struct Model {
    ability: Vec<f64>,
    ease: Vec<Ease>,
    log_class: Vec<f64>,
    /// The logarithm of the number of wrong labels.
    log_wrong: f64,
}

/// The log-easiness of an item, and what the last E-step says about it: the bound is `slope e^b - curve e^(2b)`.
#[derive(Clone, Copy)]
struct Ease {
    beta: f64,
    slope: f64,
    curve: f64,
}

/// Raters in a block of the M-step.
const RATERS: usize = 64;

/// What summing a few terms may err by, as a share of their sizes.
const ROUNDING: f64 = 16.0 * f64::EPSILON;

/// Newton steps for one item; the bound changes with the next iteration anyway.
const NEWTON: usize = 4;

impl Model {
    fn new(data: &Ratings, options: &GladOptions) -> Model {
        let k = data.n_categories();
        let uniform = || vec![1.0 / k as f64; k];
        Model {
            ability: vec![1.0; data.n_raters()],
            ease: vec![Ease { beta: 1.0, slope: 0.0, curve: 0.0 }; data.n_items()],
            log_class: options.class_prior.clone().unwrap_or_else(uniform).iter().map(|p| p.ln()).collect(),
            log_wrong: ((k as f64 - 1.0).max(1.0)).ln(),
        }
    }

    /// E-step: the belief about each item and, from it, the bound on its easiness; the log-likelihood.
    fn expect(
        &mut self,
        data: &Ratings,
        gold: &[Option<u32>],
        belief: &mut [f64],
        cancel: &Cancel,
    ) -> Result<f64> {
        let k = self.log_class.len();
        let (ability, log_class, log_wrong) = (&self.ability, &self.log_class, self.log_wrong);
        blocks_with(belief, k, &mut self.ease, data.len() >= PARALLEL, cancel, |first, block, ease| {
            let mut sum = 0.0;
            for (j, (row, ease)) in block.chunks_exact_mut(k).zip(ease).enumerate() {
                let i = first + j;
                row.copy_from_slice(log_class);
                let easiness = ease.beta.exp();
                (ease.slope, ease.curve) = (0.0, 0.0);
                let mut common = 0.0;
                for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
                    let (w, a) = (data.weights()[r as usize], ability[r as usize]);
                    let x = a * easiness;
                    let e = (-x.abs()).exp();
                    // ln(1 - sigma) for every class, and x more for the class voted for.
                    common -= w * (x.max(0.0) + e.ln_1p() + log_wrong);
                    row[c as usize] += w * (x + log_wrong);
                    ease.curve += w * curvature(x, e) * a * a;
                }
                sum += common + settle(row, gold[i]);
                for (&r, &c) in data.item_raters(i).iter().zip(data.item_codes(i)) {
                    ease.slope += data.weights()[r as usize] * (row[c as usize] - 0.5) * ability[r as usize];
                }
            }
            sum
        })
    }

    /// M-step: first the items, then the raters.
    fn maximise(
        &mut self,
        data: &Ratings,
        belief: &[f64],
        options: &GladOptions,
        cancel: &Cancel,
    ) -> Result<()> {
        let k = self.log_class.len();
        for e in &mut self.ease {
            e.climb(options.easiness_mean);
        }
        let easiness: Vec<f64> = self.ease.iter().map(|e| e.beta.exp()).collect();
        let rater = |r: usize, a: &mut f64| {
            let w = data.weights()[r];
            let (mut slope, mut curve) = (0.0, 0.0);
            for (&i, &c) in data.rater_items(r).iter().zip(data.rater_codes(r)) {
                let e = easiness[i as usize];
                slope += (belief[i as usize * k + c as usize] - 0.5) * e;
                let x = *a * e;
                curve += curvature(x, (-x.abs()).exp()) * e * e;
            }
            *a = (w * slope + options.ability_mean) / (2.0 * w * curve + 1.0);
        };
        let block = |b: usize, block: &mut [f64]| {
            cancel.check()?;
            block.iter_mut().enumerate().for_each(|(n, a)| rater(b * RATERS + n, a));
            Ok(())
        };
        if data.len() >= PARALLEL {
            parallel::try_for_each_chunk_mut(&mut self.ability, RATERS, 1, block)
        } else {
            self.ability.chunks_mut(RATERS).enumerate().try_for_each(|(b, chunk)| block(b, chunk))
        }
    }

    fn log_prior(&self, options: &GladOptions) -> f64 {
        let half = |x: f64, mean: f64| -0.5 * (x - mean).powi(2);
        self.ability.iter().map(|&a| half(a, options.ability_mean)).sum::<f64>()
            + self.ease.iter().map(|e| half(e.beta, options.easiness_mean)).sum::<f64>()
    }
}

impl Ease {
    /// Raises `slope e^b - curve e^(2b) - (b - mean)^2 / 2` from the present `b`.
    fn climb(&mut self, mean: f64) {
        // The height, and how far rounding may move it: near the maximum a step changes less than that, and whether it
        // is taken must not hang on the order in which the votes were summed.
        let value = |b: f64| {
            let terms = [self.slope * b.exp(), -self.curve * (2.0 * b).exp(), -0.5 * (b - mean).powi(2)];
            let height: f64 = terms.iter().sum();
            (height, ROUNDING * terms.iter().map(|term| term.abs()).sum::<f64>())
        };
        let mut b = self.beta;
        let (mut height, mut slack) = value(b);
        for _ in 0..NEWTON {
            let (e, e2) = (b.exp(), (2.0 * b).exp());
            let gradient = self.slope * e - 2.0 * self.curve * e2 - (b - mean);
            let bend = -(self.slope * e - 4.0 * self.curve * e2 - 1.0);
            let mut step = gradient / bend.max(1.0);
            let mut next = value(b + step);
            while next.0 < height - slack && step.abs() > 1e-14 {
                step *= 0.5;
                next = value(b + step);
            }
            if next.0 < height - slack {
                break;
            }
            b += step;
            (height, slack) = next;
        }
        self.beta = b;
    }
}

/// `tanh(x / 2) / (4 x)`, given `e = exp(-|x|)`: the curvature of the bound on the logarithm of the logistic function that touches it at `x`.
fn curvature(x: f64, e: f64) -> f64 {
    if x.abs() < 1e-4 {
        // The series, whose next term is below 1e-18.
        return 0.125 - x * x / 96.0;
    }
    (1.0 - e) / ((1.0 + e) * 4.0 * x.abs())
}
