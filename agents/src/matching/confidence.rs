//! How far can a ranking be trusted?
//!
//! Confidence = P(the question is in scope) x P(this agent | in scope). The first is a logistic function of the best
//! score (Platt 1999), the second a softmax of the scores with a temperature (Guo et al. 2017).

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// The numbers that turn scores into probabilities.
///
/// Scores of agents with few examples are lower and less sharp than those of agents with many, so both parts look at
/// the weight that the description has in the best agent's score (1/2 or more for few examples, near 0 for many).
///
/// The default was fitted with all-MiniLM-L6-v2 by `examples/routing_eval.rs`: on CLINC150 (training utterances as
/// examples; validation part; out-of-scope training and validation parts), and on the healthcare catalogue with each
/// question left out of its agent in turn, where CLINC150's validation questions are out of scope. Fit your own with
/// [`Calibration::fit`] when you have questions with known answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Intercept of the log-odds of being in scope.
    pub intercept: f64,
    /// Slope of these log-odds in the best score, above 0.
    pub slope: f64,
    /// Slope of these log-odds in the description's weight.
    pub description: f64,
    /// Temperature of the softmax over scores where the description has no weight, above 0.
    pub temperature: f64,
    /// How much the temperature grows with the description's weight, as a multiple, 0 or more.
    pub widening: f64,
}

/// A question whose answer is known: the scores of all candidates, best first.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Scores, best first.
    pub scores: Vec<f64>,
    /// The weight of the description in the best agent's score: [`Explanation::description`](crate::Explanation).
    pub description: f64,
    /// Which of the scores belongs to the right agent; `None` when the question is out of scope.
    pub right: Option<usize>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration {
            intercept: -8.44,
            slope: 19.39,
            description: 4.96,
            temperature: 0.0405,
            widening: 0.159,
        }
    }
}

impl Calibration {
    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let good = self.intercept.is_finite()
            && self.description.is_finite()
            && self.widening.is_finite()
            && self.widening >= 0.0
            && positive(self.slope)
            && positive(self.temperature);
        if good {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "calibration: {self:?}; expected finite numbers, slope and temperature above 0, widening 0 or more"
        )))
    }

    /// P(in scope) given the best score and the description's weight in it.
    pub fn in_scope(&self, best: f64, description: f64) -> f64 {
        1.0 / (1.0 + (-(self.intercept + self.slope * best + self.description * description)).exp())
    }

    /// P(agent | in scope) of each score, which are given best first.
    pub fn shares(&self, scores: &[f64], description: f64) -> Vec<f64> {
        let Some(&best) = scores.first() else { return Vec::new() };
        let temperature = self.temperature * (1.0 + self.widening * description);
        let raw: Vec<f64> = scores.iter().map(|s| ((s - best) / temperature).exp()).collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|x| x / sum).collect()
    }

    /// Fits the numbers by maximum likelihood: Newton steps for the logistic part, golden-section search for the
    /// temperatures. Errors: `empty_input` unless there are questions in scope and out of scope.
    pub fn fit(questions: &[Labelled]) -> Result<Self> {
        let usable: Vec<&Labelled> = questions.iter().filter(|q| !q.scores.is_empty()).collect();
        let inside = usable.iter().filter(|q| q.right.is_some()).count();
        if inside == 0 || inside == usable.len() {
            return Err(Error::new(
                Code::EmptyInput,
                format!(
                    "calibration needs questions in scope ({inside}) and out of scope ({})",
                    usable.len() - inside
                ),
            ));
        }
        let points: Vec<([f64; 3], f64)> = usable
            .iter()
            .map(|q| ([1.0, q.scores[0], q.description], f64::from(u8::from(q.right.is_some()))))
            .collect();
        let [intercept, slope, description] = logistic(&points);
        let mut fitted = Calibration { intercept, slope, description, temperature: 0.05, widening: 0.0 };
        let loss = |calibration: Calibration| {
            usable
                .iter()
                .filter_map(|q| q.right.filter(|&r| r < q.scores.len()).map(|r| (q, r)))
                .map(|(q, r)| -calibration.shares(&q.scores, q.description)[r].max(1e-12).ln())
                .sum::<f64>()
        };
        // In turn the temperatures where the description has no weight and where it has half of it.
        let (mut none, mut half) = (0.05f64.ln(), 0.05f64.ln());
        let with = |none: f64, half: f64| Calibration {
            temperature: none.exp(),
            widening: (2.0 * ((half - none).exp() - 1.0)).max(0.0),
            ..fitted
        };
        for _ in 0..12 {
            none = minimum(|x| loss(with(x, half)), -7.0, 1.0);
            half = minimum(|x| loss(with(none, x)), -7.0, 1.0);
        }
        fitted = with(none, half);
        fitted.validate()?;
        Ok(fitted)
    }
}

/// Coefficients of a logistic regression, with a ridge of 1e-3 on all but the first so that separable data has a
/// finite answer.
fn logistic(points: &[([f64; 3], f64)]) -> [f64; 3] {
    const RIDGE: f64 = 1e-3;
    let mut c = [0.0f64; 3];
    for _ in 0..100 {
        let mut gradient = [0.0, RIDGE * c[1], RIDGE * c[2]];
        let mut hessian = [[1e-9, 0.0, 0.0], [0.0, RIDGE, 0.0], [0.0, 0.0, RIDGE]];
        for (x, y) in points {
            let p = 1.0 / (1.0 + (-(c[0] * x[0] + c[1] * x[1] + c[2] * x[2])).exp());
            let w = (p * (1.0 - p)).max(1e-9);
            for (i, a) in x.iter().enumerate() {
                gradient[i] += (p - y) * a;
                for (j, b) in x.iter().enumerate() {
                    hessian[i][j] += w * a * b;
                }
            }
        }
        let step = solve(hessian, gradient);
        // Long first steps overshoot; limit them.
        let longest = step.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let limit = (10.0 / longest).min(1.0);
        for (c, s) in c.iter_mut().zip(step) {
            *c -= limit * s;
        }
        if longest < 1e-10 {
            break;
        }
    }
    c
}

/// Solves a system of three equations by Cramer's rule.
fn solve(a: [[f64; 3]; 3], b: [f64; 3]) -> [f64; 3] {
    let det = |m: [[f64; 3]; 3]| {
        let minor = |i: usize, j: usize| m[1][i] * m[2][j] - m[1][j] * m[2][i];
        m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1)
    };
    let whole = det(a);
    [0, 1, 2].map(|column| {
        let mut m = a;
        for (row, value) in m.iter_mut().zip(b) {
            row[column] = value;
        }
        det(m) / whole
    })
}

/// The minimum of a unimodal function by golden-section search (Kiefer 1953).
fn minimum(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut x, mut y) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut fx, mut fy) = (f(x), f(y));
    for _ in 0..30 {
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
        let truth =
            Calibration { intercept: -6.0, slope: 10.0, description: 2.0, temperature: 0.08, widening: 3.0 };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let questions: Vec<Labelled> = (0..20_000)
            .map(|_| {
                let mut scores: Vec<f64> = (0..4).map(|_| rng.random_range(0.2..1.0)).collect();
                scores.sort_by(|a, b| b.total_cmp(a));
                let description = rng.random_range(0.0..1.0);
                let inside = rng.random::<f64>() < truth.in_scope(scores[0], description);
                let mut draw = rng.random::<f64>();
                let shares = truth.shares(&scores, description);
                let mut right = 0;
                while right + 1 < shares.len() && draw > shares[right] {
                    draw -= shares[right];
                    right += 1;
                }
                Labelled { scores, description, right: inside.then_some(right) }
            })
            .collect();
        let fitted = Calibration::fit(&questions).unwrap();
        assert!((fitted.intercept - truth.intercept).abs() < 0.4, "{fitted:?}");
        assert!((fitted.slope - truth.slope).abs() < 0.5, "{fitted:?}");
        assert!((fitted.description - truth.description).abs() < 0.3, "{fitted:?}");
        assert!((fitted.temperature / truth.temperature - 1.0).abs() < 0.1, "{fitted:?}");
        assert!((fitted.widening / truth.widening - 1.0).abs() < 0.2, "{fitted:?}");
    }

    #[test]
    fn separable_data_has_a_finite_fit() {
        let question = |score: f64, right| Labelled { scores: vec![score, 0.1], description: 0.0, right };
        let fitted = Calibration::fit(&[question(0.9, Some(0)), question(0.2, None)]).unwrap();
        assert!(fitted.in_scope(0.9, 0.0) > 0.9 && fitted.in_scope(0.2, 0.0) < 0.1, "{fitted:?}");
        assert_eq!(Calibration::fit(&[question(0.9, Some(0))]).unwrap_err().code(), Code::EmptyInput);
        assert_eq!(Calibration::fit(&[question(0.9, None)]).unwrap_err().code(), Code::EmptyInput);
    }

    #[test]
    fn shares_sum_to_one() {
        let shares = Calibration::default().shares(&[0.9, 0.7, 0.1], 0.5);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[0] > shares[1]);
        assert!(Calibration::default().shares(&[], 0.0).is_empty());
    }
}
