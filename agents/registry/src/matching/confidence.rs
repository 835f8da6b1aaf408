//! How far can a ranking be trusted?
//!
//! Confidence = P(the question is in scope) x P(this agent | in scope). The first is a logistic function of the
//! evidence for the best agent (Platt 1999), the second a softmax of the scores with a temperature (Guo et al. 2017).

use quorate_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// What is known of a question's best agent, from which the probability of being in scope is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its dense score, a mean of cosines: [`Explanation::dense`](crate::Explanation). Topics take no part: a word of
    /// everyday life is near to one of thousands.
    pub dense: f64,
    /// The share of the question's BM25 weight that its words cover.
    pub lexical: f64,
    /// Mean dense score of the ten best agents: a question of the field is near to many, one that only shares a word
    /// with an agent is near to that one.
    pub company: f64,
    /// How few examples the best agent has: 1 for none, 1/2 for five, near 0 for many. Few examples are nearer to no question.
    pub few: f64,
    /// The weight of the description in the best agent's score: half or more where examples are few and the
    /// description is full. Then the scores of agents lie closer to each other.
    pub description: f64,
    /// Cosine of the question with the most similar of those that are stated to be out of scope; none where none is
    /// stated.
    pub outside: Option<f64>,
}

/// The numbers that turn scores into probabilities. They belong to the embedder whose cosines they were fitted on.
///
/// [`BUILTIN`](Calibration::BUILTIN) and [`MINILM`](Calibration::MINILM) were fitted by `examples/routing_eval.rs`
/// (mode `fit`) on two kinds of data. CLINC150: all training utterances as examples, then ten sets of 8 to 60 intents
/// with five examples each; questions of the validation part, and its out-of-scope training and validation parts. The
/// healthcare catalogue: each example question left out of its agent in turn; CLINC150's validation questions are out
/// of its scope. No test part took part. For another embedder, or when you have questions with known answers, let
/// [`AgentRegistry::calibrate`](crate::AgentRegistry::calibrate) fit yours.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Intercept of the log-odds of being in scope.
    pub intercept: f64,
    /// Slope of these log-odds in [`Evidence::dense`].
    pub dense: f64,
    /// Slope in [`Evidence::lexical`].
    pub lexical: f64,
    /// Slope in [`Evidence::few`].
    pub few: f64,
    /// Slope in the product of [`Evidence::few`] and [`Evidence::dense`].
    pub few_dense: f64,
    /// Slope in the product of [`Evidence::few`] and [`Evidence::company`].
    pub few_company: f64,
    /// Added where questions out of scope are stated.
    pub stated: f64,
    /// Slope in [`Evidence::outside`], usually below 0.
    pub outside: f64,
    /// Temperature of the softmax over scores where the description has no weight, above 0.
    pub temperature: f64,
    /// How much the temperature grows with [`Evidence::description`], as a multiple, 0 or more.
    pub widening: f64,
}

/// A question whose answer is known: the scores of the candidates, best first.
#[derive(Clone, Debug)]
pub struct Labelled {
    /// Scores, best first.
    pub scores: Vec<f64>,
    /// The evidence for the best of them.
    pub evidence: Evidence,
    /// Which of the scores belongs to the right agent; `None` when the question is out of scope. A number that no
    /// score has stands for an agent that is not among the candidates.
    pub right: Option<usize>,
}

/// Terms of the log-odds: those of [`Calibration`] up to `outside`.
const TERMS: usize = 8;

/// Spread of each term's prior in [`Calibration::fit`], around the calibration that it starts from.
const SPREAD: [f64; TERMS] = [3.0, 8.0, 4.0, 4.0, 8.0, 8.0, 3.0, 6.0];

/// Spread of the prior of the temperature's logarithm, and of that of 1 + widening.
const TEMPERATURE_SPREAD: f64 = 1.0;

/// Largest widening that a fit ends with.
const MAX_WIDENING: f64 = 10.0;

impl Calibration {
    /// For the built-in model.
    pub const BUILTIN: Calibration = Calibration {
        intercept: -13.48,
        dense: 23.42,
        lexical: 4.53,
        few: 16.95,
        few_dense: -36.50,
        few_company: 28.02,
        stated: 3.12,
        outside: -9.34,
        temperature: 0.0434,
        widening: 0.483,
    };

    /// For all-MiniLM-L6-v2 in f32 with its own settings.
    pub const MINILM: Calibration = Calibration {
        intercept: -13.78,
        dense: 24.82,
        lexical: 4.60,
        few: 16.46,
        few_dense: -34.11,
        few_company: 23.57,
        stated: 3.36,
        outside: -10.49,
        temperature: 0.0426,
        widening: 0.601,
    };

    /// The calibration that ships for the embedder with this id; none for an embedder that is not known.
    pub fn of(embedder: &str) -> Option<Self> {
        KNOWN.iter().find(|(id, _)| *id == embedder).map(|(_, calibration)| *calibration)
    }

    /// Checks the values. Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        let terms = self.terms();
        let good = terms.iter().all(|x| x.is_finite())
            && self.temperature.is_finite()
            && self.temperature > 0.0
            && self.widening.is_finite()
            && self.widening >= 0.0;
        if good {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "calibration: {self:?}; expected finite numbers, temperature above 0, widening 0 or more"
        )))
    }

    /// P(in scope) given the evidence for the best agent.
    pub fn in_scope(&self, evidence: &Evidence) -> f64 {
        let odds: f64 = self.terms().iter().zip(features(evidence)).map(|(c, x)| c * x).sum();
        1.0 / (1.0 + (-odds).exp())
    }

    /// P(agent | in scope) of each score, which are given best first.
    pub fn shares(&self, scores: &[f64], description: f64) -> Vec<f64> {
        let Some(&best) = scores.first() else { return Vec::new() };
        let temperature = self.temperature_at(description);
        let raw: Vec<f64> = scores.iter().map(|s| ((s - best) / temperature).exp()).collect();
        let sum: f64 = raw.iter().sum();
        raw.into_iter().map(|x| x / sum).collect()
    }

    /// The temperature of the softmax where the best agent's description has this weight.
    pub(crate) fn temperature_at(&self, description: f64) -> f64 {
        self.temperature * (1.0 + self.widening * description)
    }

    /// Fits the numbers to questions, starting from `prior`: the most probable values when each has a normal prior
    /// around that calibration's. A few dozen questions move it a little, thousands decide alone. Newton steps for
    /// the logistic part, golden-section search for the temperatures.
    ///
    /// Errors: `empty_input` unless there are questions in scope and out of scope.
    pub fn fit(questions: &[Labelled], prior: &Calibration) -> Result<Self> {
        prior.validate()?;
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
        let points: Vec<([f64; TERMS], f64)> =
            usable.iter().map(|q| (features(&q.evidence), f64::from(u8::from(q.right.is_some())))).collect();
        let [intercept, dense, lexical, few, few_dense, few_company, stated, outside] =
            logistic(&points, &prior.terms());
        let fitted =
            Calibration { intercept, dense, lexical, few, few_dense, few_company, stated, outside, ..*prior };
        let with = |log: f64, widening: f64| Calibration { temperature: log.exp(), widening, ..fitted };
        let loss = |log: f64, widening: f64| {
            let calibration = with(log, widening);
            let surprise: f64 = usable
                .iter()
                .filter_map(|q| q.right.filter(|&r| r < q.scores.len()).map(|r| (q, r)))
                .map(|(q, r)| -calibration.shares(&q.scores, q.evidence.description)[r].max(1e-12).ln())
                .sum();
            let moved =
                (log - prior.temperature.ln()).powi(2) + (widening.ln_1p() - prior.widening.ln_1p()).powi(2);
            surprise + moved / (2.0 * TEMPERATURE_SPREAD * TEMPERATURE_SPREAD)
        };
        // For each widening the best temperature: the two lean on each other too much to be sought in turn.
        let coldest = |widening: f64| minimum(|log| loss(log, widening), -7.0, 1.0);
        let widening = minimum(|w| loss(coldest(w), w), 0.0, MAX_WIDENING);
        let fitted = with(coldest(widening), widening).rounded();
        fitted.validate()?;
        Ok(fitted)
    }

    /// The same to six decimals, which survive being written and read.
    fn rounded(self) -> Self {
        let round = |x: f64| (x * 1e6).round() / 1e6;
        Calibration {
            intercept: round(self.intercept),
            dense: round(self.dense),
            lexical: round(self.lexical),
            few: round(self.few),
            few_dense: round(self.few_dense),
            few_company: round(self.few_company),
            stated: round(self.stated),
            outside: round(self.outside),
            temperature: round(self.temperature).max(1e-6),
            widening: round(self.widening),
        }
    }

    fn terms(&self) -> [f64; TERMS] {
        [
            self.intercept,
            self.dense,
            self.lexical,
            self.few,
            self.few_dense,
            self.few_company,
            self.stated,
            self.outside,
        ]
    }
}

/// The embedders whose calibration ships, by id: the built-in model and all-MiniLM-L6-v2.
const KNOWN: &[(&str, Calibration)] = &[
    ("builtin:f710f989ccb6684a7af6c60cde76cdf9", Calibration::BUILTIN),
    ("bert-384-f32-83d68e91ad546ade60935a3ceecb3e9f", Calibration::MINILM),
];

fn features(evidence: &Evidence) -> [f64; TERMS] {
    let stated = f64::from(u8::from(evidence.outside.is_some()));
    let Evidence { dense, lexical, company, few, outside, .. } = *evidence;
    [1.0, dense, lexical, few, few * dense, few * company, stated, outside.unwrap_or(0.0)]
}

/// The most probable coefficients of a logistic regression with normal priors around `start`.
fn logistic(points: &[([f64; TERMS], f64)], start: &[f64; TERMS]) -> [f64; TERMS] {
    let mut c = *start;
    for _ in 0..100 {
        let mut gradient = [0.0; TERMS];
        let mut hessian = [[0.0; TERMS]; TERMS];
        for i in 0..TERMS {
            let precision = SPREAD[i].powi(-2);
            gradient[i] = precision * (c[i] - start[i]);
            hessian[i][i] = precision;
        }
        for (x, y) in points {
            let odds: f64 = c.iter().zip(x).map(|(c, x)| c * x).sum();
            let p = 1.0 / (1.0 + (-odds).exp());
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

/// Solves a system with a symmetric, positive definite matrix by Gaussian elimination, which needs no pivots then.
fn solve(mut a: [[f64; TERMS]; TERMS], mut b: [f64; TERMS]) -> [f64; TERMS] {
    for i in 0..TERMS {
        for below in i + 1..TERMS {
            let factor = a[below][i] / a[i][i];
            let (above, rest) = a.split_at_mut(below);
            for (x, y) in rest[0].iter_mut().zip(&above[i]) {
                *x -= factor * y;
            }
            b[below] -= factor * b[i];
        }
    }
    for i in (0..TERMS).rev() {
        let known: f64 = (i + 1..TERMS).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
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

    /// Questions drawn from a calibration.
    fn drawn(truth: &Calibration, count: usize, seed: u64) -> Vec<Labelled> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let mut scores: Vec<f64> = (0..4).map(|_| rng.random_range(0.2..1.0)).collect();
                scores.sort_by(|a, b| b.total_cmp(a));
                let evidence = Evidence {
                    dense: scores[0] - rng.random_range(0.0..0.2),
                    lexical: rng.random_range(0.0..1.0),
                    company: rng.random_range(0.0..0.6),
                    few: rng.random_range(0.0..1.0),
                    description: rng.random_range(0.0..1.0),
                    outside: rng.random::<bool>().then(|| rng.random_range(0.0..0.8)),
                };
                let inside = rng.random::<f64>() < truth.in_scope(&evidence);
                let mut draw = rng.random::<f64>();
                let shares = truth.shares(&scores, evidence.description);
                let mut right = 0;
                while right + 1 < shares.len() && draw > shares[right] {
                    draw -= shares[right];
                    right += 1;
                }
                Labelled { scores, evidence, right: inside.then_some(right) }
            })
            .collect()
    }

    const TRUTH: Calibration = Calibration {
        intercept: -6.0,
        dense: 10.0,
        lexical: 2.0,
        few: 1.0,
        few_dense: -3.0,
        few_company: 6.0,
        stated: 1.5,
        outside: -5.0,
        temperature: 0.08,
        widening: 3.0,
    };

    #[test]
    fn a_fit_recovers_the_numbers_that_made_the_data() {
        let fitted = Calibration::fit(&drawn(&TRUTH, 40_000, 1), &Calibration::MINILM).unwrap();
        // The terms are correlated, so what counts is the probabilities that they give together.
        for question in drawn(&TRUTH, 500, 3) {
            let [got, want] = [&fitted, &TRUTH].map(|c| c.in_scope(&question.evidence));
            assert!((got - want).abs() < 0.05, "{fitted:?}");
        }
        assert!((fitted.temperature / TRUTH.temperature - 1.0).abs() < 0.1, "{fitted:?}");
        assert!((fitted.widening / TRUTH.widening - 1.0).abs() < 0.2, "{fitted:?}");
    }

    #[test]
    fn few_questions_move_a_calibration_only_a_little() {
        let prior = Calibration::MINILM;
        let distance = |count| {
            let fitted = Calibration::fit(&drawn(&TRUTH, count, 2), &prior).unwrap();
            fitted.terms().iter().zip(prior.terms()).map(|(a, b)| (a - b).abs()).sum::<f64>()
        };
        assert!(distance(12) < distance(120) && distance(120) < distance(12_000));
    }

    #[test]
    fn separable_data_has_a_finite_fit() {
        let question = |dense: f64, right| Labelled {
            scores: vec![dense, 0.1],
            evidence: Evidence { dense, ..Evidence::default() },
            right,
        };
        let many: Vec<Labelled> =
            (0..50).flat_map(|_| [question(0.9, Some(0)), question(0.2, None)]).collect();
        let fitted = Calibration::fit(&many, &Calibration::MINILM).unwrap();
        let at = |dense| fitted.in_scope(&Evidence { dense, ..Evidence::default() });
        assert!(at(0.9) > 0.9 && at(0.2) < 0.1, "{fitted:?}");
        let code = |questions: &[Labelled]| Calibration::fit(questions, &fitted).unwrap_err().code();
        assert_eq!(code(&[question(0.9, Some(0))]), Code::EmptyInput);
        assert_eq!(code(&[question(0.9, None)]), Code::EmptyInput);
        let bad = Calibration { temperature: 0.0, ..fitted };
        assert_eq!(Calibration::fit(&many, &bad).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn shares_sum_to_one() {
        let shares = Calibration::MINILM.shares(&[0.9, 0.7, 0.1], 0.5);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[0] > shares[1]);
        assert!(Calibration::MINILM.shares(&[], 0.0).is_empty());
    }

    #[test]
    fn systems_are_solved() {
        let mut a = [[0.0; TERMS]; TERMS];
        let want: [f64; TERMS] = std::array::from_fn(|i| i as f64 - 2.5);
        for (i, row) in a.iter_mut().enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x = 1.0 / (1.0 + (i + j) as f64) + if i == j { 1.0 } else { 0.0 };
            }
        }
        let b = a.map(|row| row.iter().zip(want).map(|(x, y)| x * y).sum());
        for (x, y) in solve(a, b).iter().zip(want) {
            assert!((x - y).abs() < 1e-9);
        }
    }

    #[test]
    fn the_shipped_calibrations_know_their_models() {
        let builtin = quorate_core::embed::StaticModel::builtin().unwrap();
        let id = quorate_core::embed::Embed::id(&*builtin).to_owned();
        assert_eq!(Calibration::of(&id), Some(Calibration::BUILTIN), "the model {id} needs a new fit");
        assert_eq!(Calibration::of("another"), None);
        assert!(Calibration::BUILTIN.validate().is_ok() && Calibration::MINILM.validate().is_ok());
    }
}
