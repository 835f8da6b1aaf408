//! Which option does a swarm settle on when recruiters stop one another?

use quorate_core::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::check;

/// Options of [`honeybee`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HoneybeeConfig {
    /// Strength of cross-inhibition (the "stop signal"), not negative. Default 4.
    pub sigma: f64,
    /// Share of the swarm that decides, in (0, 1]. Default 0.5.
    pub quorum: f64,
    /// Size of the random initial commitments, which break symmetry. Default 1e-3.
    pub noise: f64,
    /// Integration stops at this time (in units of the model) when nothing is steady before; near the point where a
    /// deadlock breaks rest is approached slowly. Default 10,000.
    pub max_time: f64,
    /// Seed of the initial commitments.
    pub seed: u64,
}

impl Default for HoneybeeConfig {
    fn default() -> Self {
        HoneybeeConfig { sigma: 4.0, quorum: 0.5, noise: 1e-3, max_time: 10_000.0, seed: 0 }
    }
}

impl HoneybeeConfig {
    /// Errors: `not_finite`, `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        check::weight(self.sigma, "sigma")?;
        check::within(self.quorum, 0.0, 1.0, "quorum")?;
        check::within(self.noise, 0.0, 0.1, "noise")?;
        check::finite(self.max_time, "max_time")?;
        if self.quorum == 0.0 || self.max_time <= 0.0 {
            return Err(Error::invalid("quorum and max_time must be positive"));
        }
        Ok(())
    }
}

/// The result of [`honeybee`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Honeybee {
    /// The option that first reached the quorum; `None` when none did.
    pub decision: Option<usize>,
    /// When it did, in the time of the model.
    pub decided_at: Option<f64>,
    /// The share of the swarm committed to each option at the end.
    pub shares: Vec<f64>,
    /// The uncommitted share at the end.
    pub uncommitted: f64,
    /// The time reached.
    pub time: f64,
    /// Whether the swarm had come to rest.
    pub steady: bool,
    /// Whether it rests without a quorum.
    pub deadlock: bool,
}

/// Best-of-n decision of a honeybee swarm (Seeley et al. 2012; Pais et al. 2013), as a differential equation.
///
/// ```text
/// dx_i/dt = v_i u - x_i / v_i + v_i x_i u - sigma x_i * (sum over j != i of x_j),    u = 1 - sum of x
/// ```
///
/// discovery, abandonment, recruitment and cross-inhibition; `x_i` is the share of the swarm committed to option `i`
/// of quality `values[i] > 0`. Two equal options of quality `v` stay in deadlock while
/// `sigma < 4 v^3 / (v^2 - 1)^2` and break symmetry above it. Integrated by the classical Runge-Kutta method of order
/// four with a step that suits the fastest rate, from small seeded commitments, until at rest.
///
/// ```
/// use quorate_consensus::swarm::{honeybee, HoneybeeConfig};
/// let h = honeybee(&[5.0, 4.5], &HoneybeeConfig { sigma: 2.0, ..Default::default() })?;
/// assert_eq!(h.decision, Some(0));
/// assert!((h.shares[0] - 0.8795).abs() < 1e-4);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without options; `not_finite`; `invalid_argument` for a value that is not positive or a bad
/// configuration.
pub fn honeybee(values: &[f64], config: &HoneybeeConfig) -> Result<Honeybee> {
    config.validate()?;
    check::not_empty(values.len(), "options")?;
    for (i, &v) in values.iter().enumerate() {
        check::finite(v, format_args!("value {i}"))?;
        if v <= 0.0 {
            return Err(Error::invalid(format!("value {i} is {v}; it must be positive")));
        }
    }
    let n = values.len();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let mut x: Vec<f64> = (0..n).map(|_| config.noise * rng.random::<f64>() / n as f64).collect();
    // No rate of the system exceeds this, so the step is well inside the method's region of stability.
    let fastest: f64 = values.iter().map(|v| 2.0 * v + 1.0 / v).sum::<f64>() + config.sigma;
    let step = 0.2 / fastest;
    let slope = |x: &[f64], out: &mut [f64]| {
        let committed: f64 = x.iter().sum();
        let u = 1.0 - committed;
        for ((d, &xi), &v) in out.iter_mut().zip(x).zip(values) {
            *d = v * u - xi / v + v * xi * u - config.sigma * xi * (committed - xi);
        }
    };
    let (mut k1, mut k2, mut k3, mut k4, mut y) =
        (vec![0.0; n], vec![0.0; n], vec![0.0; n], vec![0.0; n], x.clone());
    let (mut time, mut steady) = (0.0, false);
    let (mut decision, mut decided_at) = (None, None);
    loop {
        if decision.is_none() {
            let best = (0..n).max_by(|&a, &b| x[a].total_cmp(&x[b]).then(b.cmp(&a)));
            decision = best.filter(|&i| x[i] >= config.quorum);
            decided_at = decision.map(|_| time);
        }
        slope(&x, &mut k1);
        steady = steady || k1.iter().all(|d| d.abs() <= 1e-11);
        if steady || time >= config.max_time {
            break;
        }
        let shift = |y: &mut Vec<f64>, k: &[f64], h: f64| {
            for ((y, x), k) in y.iter_mut().zip(&x).zip(k) {
                *y = x + h * k;
            }
        };
        shift(&mut y, &k1, step / 2.0);
        slope(&y, &mut k2);
        shift(&mut y, &k2, step / 2.0);
        slope(&y, &mut k3);
        shift(&mut y, &k3, step);
        slope(&y, &mut k4);
        for i in 0..n {
            x[i] += step / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i]);
        }
        time += step;
    }
    Ok(Honeybee {
        decision,
        decided_at,
        uncommitted: 1.0 - x.iter().sum::<f64>(),
        shares: x,
        time,
        steady,
        deadlock: steady && decision.is_none(),
    })
}
