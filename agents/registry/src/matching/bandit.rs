//! What do past outcomes say about an agent for a question like this one?
//!
//! Two contextual bandits with linear rewards share their statistics: LinUCB (Li, Chu, Langford & Schapire 2010) and
//! linear Thompson sampling (Agrawal & Goyal 2013). Each arm is a ridge regression of reward on context.

use std::collections::BTreeMap;

use quorate_core::{Code, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How expectations are made from what is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Policy {
    /// Expected reward plus `alpha` standard deviations: optimism where little is known. 0 is plain ridge regression.
    LinUcb {
        /// Width of the confidence bound, 0 or more.
        alpha: f64,
    },
    /// The reward under coefficients drawn from their posterior, spread by `alpha`.
    Thompson {
        /// Spread of the draw, 0 or more.
        alpha: f64,
        /// The same seed, data and context give the same draw.
        seed: u64,
    },
}

/// A contextual bandit over named arms.
///
/// An arm without outcomes has A = lambda I, so its expected reward is 0 and its LinUCB bound is
/// `alpha * |x| / sqrt(lambda)`. MABWiser 2.7.4 starts such an arm with `A_inv = lambda I` instead of `I / lambda`
/// (`_RidgeRegression.init`), and so gives cold arms bounds that are too wide by a factor lambda; warm arms agree.
///
/// ```
/// use quorate_agents::{LinearBandit, Policy};
/// let mut bandit = LinearBandit::new(2, 1.0).unwrap();
/// bandit.update("a", &[1.0, 0.0], 1.0).unwrap();
/// let e = bandit.expectation("a", &[1.0, 0.0], Policy::LinUcb { alpha: 0.0 }).unwrap();
/// assert!((e - 0.5).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct LinearBandit {
    dim: usize,
    lambda: f64,
    arms: BTreeMap<String, Arm>,
}

impl LinearBandit {
    /// A bandit for contexts of `dim` components with ridge penalty `lambda` above 0.
    /// Errors: `invalid_argument`.
    pub fn new(dim: usize, lambda: f64) -> Result<Self> {
        if dim == 0 || !(lambda.is_finite() && lambda > 0.0) {
            return Err(Error::invalid(format!("bandit: dim {dim} and lambda {lambda} must be above 0")));
        }
        Ok(LinearBandit { dim, lambda, arms: BTreeMap::new() })
    }

    /// Learns that `arm` earned `reward` in `context`. Errors: `invalid_shape`, `not_finite`.
    pub fn update(&mut self, arm: &str, context: &[f64], reward: f64) -> Result<()> {
        self.check(context)?;
        if !reward.is_finite() {
            return Err(Error::new(Code::NotFinite, format!("bandit: the reward is {reward}")));
        }
        let arm = match self.arms.get_mut(arm) {
            Some(arm) => arm,
            None => self.arms.entry(arm.to_owned()).or_insert_with(|| Arm::new(self.dim, self.lambda)),
        };
        arm.update(context, reward);
        Ok(())
    }

    /// The reward to expect of `arm` in `context` under a policy. Errors: `invalid_shape`, `not_finite`.
    pub fn expectation(&self, arm: &str, context: &[f64], policy: Policy) -> Result<f64> {
        self.check(context)?;
        let cold;
        let known = match self.arms.get(arm) {
            Some(known) => known,
            None => {
                cold = Arm::new(self.dim, self.lambda);
                &cold
            }
        };
        Ok(known.expectation(context, policy, arm))
    }

    /// The number of outcomes of an arm.
    pub fn outcomes(&self, arm: &str) -> u64 {
        self.arms.get(arm).map_or(0, |a| a.outcomes)
    }

    fn check(&self, context: &[f64]) -> Result<()> {
        if context.len() != self.dim {
            return Err(Error::new(
                Code::InvalidShape,
                format!("bandit: the context has {} components, expected {}", context.len(), self.dim),
            ));
        }
        if context.iter().any(|x| !x.is_finite()) {
            return Err(Error::new(Code::NotFinite, "bandit: the context is not finite"));
        }
        Ok(())
    }
}

/// What is known of one arm: the inverse of A = lambda I + sum x x', and b = sum r x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Arm {
    pub(crate) outcomes: u64,
    inverse: Vec<f64>,
    moment: Vec<f64>,
}

impl Arm {
    pub(crate) fn new(dim: usize, lambda: f64) -> Self {
        let mut inverse = vec![0.0; dim * dim];
        for i in 0..dim {
            inverse[i * dim + i] = 1.0 / lambda;
        }
        Arm { outcomes: 0, inverse, moment: vec![0.0; dim] }
    }

    pub(crate) fn dim(&self) -> usize {
        self.moment.len()
    }

    /// Rank-one update of the inverse by Sherman & Morrison (1950).
    pub(crate) fn update(&mut self, x: &[f64], reward: f64) {
        let dim = x.len();
        let ax = self.apply(x);
        let scale = 1.0 / (1.0 + inner(x, &ax));
        for i in 0..dim {
            for j in 0..dim {
                self.inverse[i * dim + j] -= scale * ax[i] * ax[j];
            }
            self.moment[i] += reward * x[i];
        }
        self.outcomes += 1;
    }

    pub(crate) fn expectation(&self, x: &[f64], policy: Policy, name: &str) -> f64 {
        let ax = self.apply(x);
        // x' A^-1 b, the ridge estimate: A^-1 is symmetric.
        let mean = inner(&ax, &self.moment);
        match policy {
            Policy::LinUcb { alpha } => mean + alpha * inner(x, &ax).max(0.0).sqrt(),
            // x' beta is normal with variance alpha^2 x' A^-1 x, so one draw of it replaces a draw of beta.
            Policy::Thompson { alpha, seed } => {
                let mut rng = self.generator(x, seed, name);
                mean + alpha * inner(x, &ax).max(0.0).sqrt() * normal(&mut rng)
            }
        }
    }

    /// Outcomes (u64), then the moment and the inverse as f64, all little-endian: exact, unlike decimal numbers.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.moment.iter().chain(&self.inverse).flat_map(|x| x.to_le_bytes());
        self.outcomes.to_le_bytes().into_iter().chain(numbers).collect()
    }

    /// What [`to_bytes`](Arm::to_bytes) wrote; none for anything else.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, tail) = bytes.as_chunks::<8>();
        let (first, numbers) = words.split_first()?;
        let dim = (0..=numbers.len()).find(|d| d * (d + 1) >= numbers.len())?;
        if !tail.is_empty() || dim == 0 || dim * (dim + 1) != numbers.len() {
            return None;
        }
        let mut moment: Vec<f64> = numbers.iter().map(|b| f64::from_le_bytes(*b)).collect();
        let inverse = moment.split_off(dim);
        Some(Arm { outcomes: u64::from_le_bytes(*first), inverse, moment })
    }

    fn apply(&self, x: &[f64]) -> Vec<f64> {
        self.inverse.chunks_exact(x.len()).map(|row| inner(row, x)).collect()
    }

    /// A stream that depends on the seed, the arm, how much it has learnt, and the context.
    fn generator(&self, x: &[f64], seed: u64, name: &str) -> ChaCha8Rng {
        let mut state = seed ^ self.outcomes.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for bits in name.bytes().map(u64::from).chain(x.iter().map(|v| v.to_bits())) {
            state = (state ^ bits).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        ChaCha8Rng::seed_from_u64(state)
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A standard normal number by Box & Muller (1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// A short context for a query vector: a constant, then a random projection (Achlioptas 2003) that keeps lengths and
/// angles roughly. The same `dim` always gives the same projection.
pub(crate) struct Projection {
    signs: Vec<f32>,
    width: usize,
    dim: usize,
}

/// The stream of the projection's signs. Changing it makes stored outcomes meaningless.
const PROJECTION_SEED: u64 = 0x5175_6f72_6174_6531;

impl Projection {
    /// From vectors of `width` components to contexts of `dim`, the constant included.
    pub(crate) fn new(width: usize, dim: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(PROJECTION_SEED);
        let scale = 1.0 / ((dim.max(2) - 1) as f32).sqrt();
        let count = width * dim.saturating_sub(1);
        let signs = (0..count).map(|_| if rng.random::<bool>() { scale } else { -scale }).collect();
        Projection { signs, width, dim }
    }

    pub(crate) fn context(&self, vector: &[f32]) -> Vec<f64> {
        let mut out = vec![0.0; self.dim.saturating_sub(1)];
        quorate_core::vector::dot_rows(&vector[..self.width], &self.signs, &mut out);
        std::iter::once(1.0).chain(out.into_iter().map(f64::from)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Fixture {
        lambda: f64,
        alpha: f64,
        contexts: Vec<Vec<f64>>,
        decisions: Vec<String>,
        rewards: Vec<f64>,
        queries: Vec<Vec<f64>>,
        linucb: Vec<BTreeMap<String, f64>>,
        ridge: Vec<BTreeMap<String, f64>>,
        thompson_mean: Vec<BTreeMap<String, f64>>,
        thompson_deviation: Vec<BTreeMap<String, f64>>,
    }

    fn trained() -> (Fixture, LinearBandit) {
        let fixture: Fixture =
            serde_json::from_str(include_str!("../../tests/fixtures/mabwiser.json")).unwrap();
        let mut bandit = LinearBandit::new(fixture.contexts[0].len(), fixture.lambda).unwrap();
        for ((arm, x), r) in fixture.decisions.iter().zip(&fixture.contexts).zip(&fixture.rewards) {
            bandit.update(arm, x, *r).unwrap();
        }
        (fixture, bandit)
    }

    #[test]
    fn linucb_equals_mabwiser_on_warm_arms() {
        let (fixture, bandit) = trained();
        let mut compared = 0;
        for (i, x) in fixture.queries.iter().enumerate() {
            for (alpha, want) in [(fixture.alpha, &fixture.linucb[i]), (0.0, &fixture.ridge[i])] {
                for (arm, want) in want {
                    let got = bandit.expectation(arm, x, Policy::LinUcb { alpha }).unwrap();
                    if bandit.outcomes(arm) > 0 {
                        assert!((got - want).abs() < 1e-9, "{arm}: {got}, MABWiser {want}");
                        compared += 1;
                    } else if alpha > 0.0 {
                        let length = inner(x, x).sqrt();
                        assert!((got - alpha * length / fixture.lambda.sqrt()).abs() < 1e-12);
                        // The defect: lambda where 1 / lambda belongs.
                        assert!((want - alpha * length * fixture.lambda.sqrt()).abs() < 1e-9);
                    }
                }
            }
        }
        assert!(compared >= 40);
    }

    #[test]
    fn thompson_draws_from_mabwisers_posterior() {
        let (fixture, bandit) = trained();
        for (i, x) in fixture.queries.iter().enumerate() {
            for (arm, &mean) in fixture.thompson_mean[i].iter().filter(|(arm, _)| bandit.outcomes(arm) > 0) {
                let deviation = fixture.thompson_deviation[i][arm];
                let draws: Vec<f64> = (0..4000)
                    .map(|seed| {
                        let policy = Policy::Thompson { alpha: fixture.alpha, seed };
                        bandit.expectation(arm, x, policy).unwrap()
                    })
                    .collect();
                let n = draws.len() as f64;
                let got = draws.iter().sum::<f64>() / n;
                let spread = (draws.iter().map(|d| (d - got).powi(2)).sum::<f64>() / n).sqrt();
                // Five standard errors.
                assert!((got - mean).abs() < 5.0 * deviation / n.sqrt(), "{arm}: {got} for {mean}");
                assert!(
                    (spread / deviation - 1.0).abs() < 5.0 / (2.0 * n).sqrt(),
                    "{spread} for {deviation}"
                );
            }
        }
    }

    #[test]
    fn draws_are_seeded() {
        let (fixture, bandit) = trained();
        let draw = |seed| {
            let policy = Policy::Thompson { alpha: 1.0, seed };
            bandit.expectation("a", &fixture.queries[0], policy).unwrap()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn arms_survive_bytes_exactly() {
        let mut arm = Arm::new(3, 0.7);
        arm.update(&[0.1, -0.2, 0.3], 0.9);
        let bytes = arm.to_bytes();
        assert_eq!(Arm::from_bytes(&bytes), Some(arm));
        assert_eq!(Arm::from_bytes(&bytes[..bytes.len() - 8]), None);
        assert_eq!(Arm::from_bytes(&bytes[..9]), None);
        assert_eq!(Arm::from_bytes(&[]), None);
    }

    #[test]
    fn bad_input() {
        assert_eq!(LinearBandit::new(0, 1.0).unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(LinearBandit::new(2, 0.0).unwrap_err().code(), Code::InvalidArgument);
        let mut bandit = LinearBandit::new(2, 1.0).unwrap();
        assert_eq!(bandit.update("a", &[1.0], 1.0).unwrap_err().code(), Code::InvalidShape);
        assert_eq!(bandit.update("a", &[1.0, f64::NAN], 1.0).unwrap_err().code(), Code::NotFinite);
        assert_eq!(bandit.update("a", &[1.0, 0.0], f64::NAN).unwrap_err().code(), Code::NotFinite);
    }

    #[test]
    fn projections_keep_angles_roughly() {
        let projection = Projection::new(384, 33);
        let vector = |k: usize| -> Vec<f32> {
            let raw: Vec<f32> = (0..384).map(|i| ((i * k) as f32 * 0.7).sin()).collect();
            let norm = quorate_core::vector::dot(&raw, &raw).sqrt();
            raw.iter().map(|x| x / norm).collect()
        };
        let (a, b) = (projection.context(&vector(3)), projection.context(&vector(11)));
        assert_eq!((a.len(), a[0]), (33, 1.0));
        assert!((inner(&a[1..], &a[1..]) - 1.0).abs() < 0.5);
        assert!(inner(&a[1..], &b[1..]).abs() < 0.5);
    }
}
