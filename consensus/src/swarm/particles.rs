//! Which distribution does a particle swarm find best for a declared objective?

use quorate_core::{Cancel, Code, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::check;
use crate::pooling::Opinions;

/// Inertia and attraction of the constriction form (Clerc and Kennedy 2002).
const INERTIA: f64 = 0.729_843_788_128_935_7;
const ATTRACTION: f64 = 1.496_179_765_664_318;

/// What the swarm minimises over distributions `q`, given opinions `p_i` with weights `w_i` that sum to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// `sum of w_i KL(p_i || q)`; the minimum is the linear pool (default).
    #[default]
    KlToPool,
    /// `sum of w_i KL(q || p_i)`; the minimum is the logarithmic pool.
    KlFromPool,
    /// `sum of w_i |p_i - q|^2`; the minimum is the linear pool.
    SquaredDistance,
    /// `sum of w_i H(p_i, q)^2` with Hellinger's distance; the minimum is the normalised square of the weighted mean
    /// of the square roots.
    Hellinger,
    /// `sum of w_i |p_i - q|_1 / 2`: total variation, a robust pool that has no closed form.
    TotalVariation,
}

/// Options of [`swarm_pool`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwarmConfig {
    /// What to minimise.
    pub objective: Objective,
    /// Number of particles. Default 40.
    pub particles: usize,
    /// Iterations at most. Default 2000.
    pub max_iter: usize,
    /// The swarm has converged when no particle is further than this from the best point in any coordinate. Default 1e-9.
    pub tol: f64,
    /// Seed of the generator.
    pub seed: u64,
}

impl Default for SwarmConfig {
    fn default() -> Self {
        SwarmConfig { objective: Objective::default(), particles: 40, max_iter: 2000, tol: 1e-9, seed: 0 }
    }
}

impl SwarmConfig {
    /// Errors: `not_finite`, `invalid_argument`; `too_large` above 10,000 particles or 1,000,000 iterations.
    pub fn validate(&self) -> Result<()> {
        check::finite(self.tol, "tol")?;
        if self.particles < 2 || self.max_iter == 0 || self.tol <= 0.0 {
            return Err(Error::invalid("particles must be at least 2, max_iter at least 1 and tol positive"));
        }
        check::at_most(self.particles, 10_000, "particles")?;
        check::at_most(self.max_iter, check::MAX_ITERATIONS, "max_iter")?;
        Ok(())
    }
}

/// The result of [`swarm_pool`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SwarmPool {
    /// The best distribution found.
    pub pooled: Vec<f64>,
    /// The objective there.
    pub value: f64,
    /// The objective that was minimised.
    pub objective: Objective,
    /// Iterations made.
    pub iterations: usize,
    /// Whether the particles came together.
    pub converged: bool,
    /// The largest distance in a coordinate of any particle from `pooled` at the end.
    pub spread: f64,
    /// The seed that was used.
    pub seed: u64,
}

/// Particle swarm optimisation (Kennedy and Eberhart 1995; constriction form of Clerc and Kennedy 2002) on the
/// probability simplex.
///
/// Particles start at random points (uniform on the simplex) and move under attraction to their own and the swarm's
/// best point; after each move they are projected onto the simplex (Duchi et al. 2008). For [`Objective::KlFromPool`]
/// outcomes that some expert calls impossible are fixed at 0. A heuristic: for objectives with a closed form prefer
/// that ([`linear_pool`](crate::pooling::linear_pool()), [`log_pool`](crate::pooling::log_pool())), by which this
/// one is tested.
///
/// ```
/// use quorate_consensus::{pooling::Opinions, swarm::{swarm_pool, SwarmConfig}};
/// let s = swarm_pool(&Opinions::from_event(&[0.9, 0.7, 0.6])?, None, &SwarmConfig::default())?;
/// assert!((s.pooled[0] - 0.733333).abs() < 1e-6);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `undefined` when the objective is infinite everywhere; `invalid_argument`, `invalid_shape`, `not_finite`; `too_large` when particles x outcomes is
/// above 2^23, and those of [`SwarmConfig::validate`].
pub fn swarm_pool(opinions: &Opinions, weights: Option<&[f64]>, config: &SwarmConfig) -> Result<SwarmPool> {
    config.validate()?;
    let weights = check::normalised_weights(weights, opinions.experts())?;
    let k = opinions.outcomes();
    // A particle has a place, a velocity and a best place.
    check::table(&[config.particles, k, 4], "particles x outcomes x 4")?;
    let cancel = Cancel::current();
    let rows: Vec<(&[f64], f64)> =
        opinions.rows().zip(weights.iter().copied()).filter(|(_, w)| *w > 0.0).collect();
    let open: Vec<usize> = (0..k)
        .filter(|&j| config.objective != Objective::KlFromPool || rows.iter().all(|(row, _)| row[j] > 0.0))
        .collect();
    if open.is_empty() {
        return Err(Error::new(
            Code::Undefined,
            "each outcome is impossible to some expert, so the objective is infinite everywhere",
        ));
    }
    let value_at =
        |q: &[f64]| -> f64 { rows.iter().map(|(row, w)| w * loss(config.objective, row, q)).sum() };

    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut particles: Vec<Particle> = (0..config.particles)
        .map(|_| {
            let mut at = vec![0.0; k];
            // Exponential variates divided by their sum are uniform on the simplex.
            open.iter().for_each(|&j| at[j] = -(1.0 - rng.random::<f64>()).ln());
            let sum: f64 = at.iter().sum();
            if sum > 0.0 {
                at.iter_mut().for_each(|x| *x /= sum);
            } else {
                at[open[0]] = 1.0;
            }
            let value = value_at(&at);
            Particle { best: at.clone(), at, velocity: vec![0.0; k], value }
        })
        .collect();
    let mut lead = leader(&particles);
    let (mut iterations, mut converged, mut spread) = (0, false, f64::INFINITY);
    while iterations < config.max_iter && !converged {
        iterations += 1;
        let best = particles[lead].best.clone();
        for p in &mut particles {
            cancel.check()?;
            for &j in &open {
                let (own, swarm): (f64, f64) = (rng.random(), rng.random());
                p.velocity[j] = INERTIA * p.velocity[j]
                    + ATTRACTION * own * (p.best[j] - p.at[j])
                    + ATTRACTION * swarm * (best[j] - p.at[j]);
                p.at[j] += p.velocity[j];
            }
            project(&mut p.at, &open);
            let value = value_at(&p.at);
            if value < p.value {
                p.value = value;
                p.best.clone_from(&p.at);
            }
        }
        lead = leader(&particles);
        let best = &particles[lead].best;
        spread = particles
            .iter()
            .flat_map(|p| p.at.iter().zip(best).map(|(a, b)| (a - b).abs()))
            .fold(0.0, f64::max);
        converged = spread <= config.tol;
    }
    let best = &particles[lead];
    if !best.value.is_finite() {
        return Err(Error::new(Code::Undefined, "no distribution with a finite objective was found"));
    }
    Ok(SwarmPool {
        pooled: best.best.clone(),
        value: best.value,
        objective: config.objective,
        iterations,
        converged,
        spread,
        seed: config.seed,
    })
}

struct Particle {
    at: Vec<f64>,
    velocity: Vec<f64>,
    best: Vec<f64>,
    value: f64,
}

fn leader(particles: &[Particle]) -> usize {
    (0..particles.len()).fold(0, |best, i| if particles[i].value < particles[best].value { i } else { best })
}

fn loss(objective: Objective, p: &[f64], q: &[f64]) -> f64 {
    match objective {
        Objective::KlToPool => divergence(p, q),
        Objective::KlFromPool => divergence(q, p),
        Objective::SquaredDistance => p.iter().zip(q).map(|(p, q)| (p - q) * (p - q)).sum(),
        Objective::Hellinger => 1.0 - p.iter().zip(q).map(|(p, q)| (p * q).sqrt()).sum::<f64>(),
        Objective::TotalVariation => p.iter().zip(q).map(|(p, q)| (p - q).abs()).sum::<f64>() / 2.0,
    }
}

/// Kullback-Leibler divergence KL(p || q) in nats; infinite where p has mass and q has none.
fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}

/// The nearest point of the simplex over the open coordinates.
fn project(x: &mut [f64], open: &[usize]) {
    let mut sorted: Vec<f64> = open.iter().map(|&j| x[j]).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (r, &v) in sorted.iter().enumerate() {
        sum += v;
        let candidate = (sum - 1.0) / (r + 1) as f64;
        if v - candidate > 0.0 {
            shift = candidate;
        }
    }
    open.iter().for_each(|&j| x[j] = (x[j] - shift).max(0.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projection_lands_on_the_simplex_and_keeps_its_points() {
        let mut x = vec![0.2, 0.3, 0.5];
        project(&mut x, &[0, 1, 2]);
        assert!(x.iter().zip([0.2, 0.3, 0.5]).all(|(a, b)| (a - b).abs() < 1e-15));
        let mut y = vec![2.0, -1.0, 0.0, 0.0];
        project(&mut y, &[0, 1, 2]);
        assert_eq!(y, [1.0, 0.0, 0.0, 0.0]);
    }
}
