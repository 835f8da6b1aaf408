//! How far can a ranking be trusted?
//!
//! Confidence = P(the question is in scope) x P(this agent | in scope). The first is a logistic function of the best
//! score (Platt 1999), the second a softmax of the scores with a temperature (Guo et al. 2017).

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// The three numbers that turn scores into probabilities.
///
/// The default was fitted with all-MiniLM-L6-v2 on the validation part of CLINC150 (training utterances as examples,
/// and the out-of-scope training and validation parts); see `examples/routing_eval.rs`. Fit your own with
/// [`Calibration::fit`] when you have questions with known answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Intercept of the log-odds of being in scope.
    pub intercept: f64,
    /// Slope of these log-odds in the best score, above 0.
    pub slope: f64,
    /// Temperature of the softmax over scores, above 0.
    pub temperature: f64,
}

/// A question whose answer is known: the scores of all candidates, best first.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Scores, best first.
    pub scores: Vec<f64>,
    /// Which of them belongs to the right agent; `None` when the question is out of scope.
    pub right: Option<usize>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { intercept: -12.0, slope: 20.0, temperature: 0.04 }
    }
}

impl Calibration {
    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        if self.intercept.is_finite() && positive(self.slope) && positive(self.temperature) {
            return Ok(());
        }
        Err(Error::invalid(format!("calibration: {self:?}; expected finite numbers, the last two above 0")))
    }

    /// P(in scope) given the best score.
    pub fn in_scope(&self, best: f64) -> f64 {
        1.0 / (1.0 + (-(self.intercept + self.slope * best)).exp())
    }

    /// P(agent | in scope) of each score, which are given best first.
    pub fn shares(&self, scores: &[f64]) -> Vec<f64> {
        let Some(&best) = scores.first() else { return Vec::new() };
        let raw: Vec<f64> = scores.iter().map(|s| ((s - best) / self.temperature).exp()).collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|x| x / sum).collect()
    }

    /// Fits the three numbers by maximum likelihood: Newton steps for the logistic part, golden-section search for
    /// the temperature. Errors: `empty_input` unless there are questions in scope and out of scope.
    pub fn fit(questions: &[Labelled]) -> Result<Self> {
        let usable = |q: &&Labelled| !q.scores.is_empty();
        let inside = questions.iter().filter(usable).filter(|q| q.right.is_some()).count();
        let outside = questions.iter().filter(usable).filter(|q| q.right.is_none()).count();
        if inside == 0 || outside == 0 {
            return Err(Error::new(
                Code::EmptyInput,
                format!("calibration needs questions in scope ({inside}) and out of scope ({outside})"),
            ));
        }
        let points: Vec<(f64, f64)> = questions
            .iter()
            .filter(usable)
            .map(|q| (q.scores[0], f64::from(u8::from(q.right.is_some()))))
            .collect();
        let (intercept, slope) = logistic(&points);
        let loss = |log_t: f64| {
            let calibration = Calibration { intercept, slope, temperature: log_t.exp() };
            questions
                .iter()
                .filter_map(|q| q.right.filter(|&r| r < q.scores.len()).map(|r| (q, r)))
                .map(|(q, r)| -calibration.shares(&q.scores)[r].max(1e-12).ln())
                .sum::<f64>()
        };
        let temperature = minimum(loss, -7.0, 1.0).exp();
        let fitted = Calibration { intercept, slope, temperature };
        fitted.validate()?;
        Ok(fitted)
    }
}

/// Intercept and slope of a logistic regression with one feature, with a ridge of 1e-3 on the slope so that
/// separable data has a finite answer.
fn logistic(points: &[(f64, f64)]) -> (f64, f64) {
    const RIDGE: f64 = 1e-3;
    let (mut a, mut b) = (0.0f64, 0.0f64);
    for _ in 0..100 {
        let (mut ga, mut gb, mut aa, mut ab, mut bb) = (0.0, RIDGE * b, 1e-9, 0.0, RIDGE);
        for &(x, y) in points {
            let p = 1.0 / (1.0 + (-(a + b * x)).exp());
            let w = (p * (1.0 - p)).max(1e-9);
            ga += p - y;
            gb += (p - y) * x;
            aa += w;
            ab += w * x;
            bb += w * x * x;
        }
        let det = aa * bb - ab * ab;
        let (da, db) = ((bb * ga - ab * gb) / det, (aa * gb - ab * ga) / det);
        // Long first steps overshoot; limit them.
        let limit = (20.0 / db.abs().max(20.0)).min(1.0);
        a -= limit * da;
        b -= limit * db;
        if da.abs() + db.abs() < 1e-10 {
            break;
        }
    }
    (a, b)
}

/// The minimum of a unimodal function by golden-section search (Kiefer 1953).
fn minimum(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut x, mut y) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut fx, mut fy) = (f(x), f(y));
    for _ in 0..60 {
        if fx < fy {
            (high, y, fy) = (y, x, fx);
            x = high - RATIO * (high - low);
            fx = f(x);
        } else {
            (low, x, fx) = (x, y, fy);
            y = low + RATIO * (high - low);
            fy = f(y);
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn a_fit_recovers_the_numbers_that_made_the_data() {
        let truth = Calibration { intercept: -6.0, slope: 10.0, temperature: 0.08 };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let questions: Vec<Labelled> = (0..20_000)
            .map(|_| {
                let mut scores: Vec<f64> = (0..4).map(|_| rng.random_range(0.2..1.0)).collect();
                scores.sort_by(|a, b| b.total_cmp(a));
                let inside = rng.random::<f64>() < truth.in_scope(scores[0]);
                let mut draw = rng.random::<f64>();
                let shares = truth.shares(&scores);
                let mut right = 0;
                while right + 1 < shares.len() && draw > shares[right] {
                    draw -= shares[right];
                    right += 1;
                }
                Labelled { scores, right: inside.then_some(right) }
            })
            .collect();
        let fitted = Calibration::fit(&questions).unwrap();
        assert!((fitted.intercept - truth.intercept).abs() < 0.4, "{fitted:?}");
        assert!((fitted.slope - truth.slope).abs() < 0.5, "{fitted:?}");
        assert!((fitted.temperature / truth.temperature - 1.0).abs() < 0.05, "{fitted:?}");
    }

    #[test]
    fn separable_data_has_a_finite_fit() {
        let question = |score: f64, right| Labelled { scores: vec![score, 0.1], right };
        let fitted = Calibration::fit(&[question(0.9, Some(0)), question(0.2, None)]).unwrap();
        assert!(fitted.in_scope(0.9) > 0.9 && fitted.in_scope(0.2) < 0.1, "{fitted:?}");
        assert_eq!(Calibration::fit(&[question(0.9, Some(0))]).unwrap_err().code(), Code::EmptyInput);
    }

    #[test]
    fn shares_sum_to_one() {
        let shares = Calibration::default().shares(&[0.9, 0.7, 0.1]);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[0] > shares[1]);
        assert!(Calibration::default().shares(&[]).is_empty());
    }
}
