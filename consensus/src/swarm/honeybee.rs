//! Which option does a swarm settle on when recruiters stop one another?

use quorate_core::{Cancel, Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::check;

/// Qualities from 10^-6 to 10^6: beyond, a share of the swarm that is uncommitted in balance is below what a number holds beside 1.
const VALUES: (f64, f64) = (1e-6, 1e6);

/// The most options, steps, and options x steps: some seconds.
const MAX_OPTIONS: usize = 1_000_000;
const MAX_STEPS: usize = 1_000_000;
const MAX_WORK: usize = 2_000_000_000;

/// The error of a step, in shares of the swarm.
const TOLERANCE: f64 = 1e-9;

/// Options of [`honeybee`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HoneybeeConfig {
    /// Strength of cross-inhibition (the "stop signal"), from 0 to 10^12. Default 4.
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
        check::within(self.sigma, 0.0, 1e12, "sigma")?;
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
/// of quality `values[i]`, from 10^-6 to 10^6. Two equal options of quality `v` stay in deadlock while
/// `sigma < 4 v^3 / (v^2 - 1)^2` and break symmetry above it. Integrated from small seeded commitments until at rest, by the linearly implicit method of
/// order two with error control of Shampine and Reichelt (1997, "The MATLAB ODE Suite", `ode23s`), whose steps follow what happens and not the fastest rate:
/// time does not grow with the values or `sigma`. Its linear systems are diagonal but for one direction, so that a step is linear in the options.
/// After a million steps, or 2 * 10^9 steps x options, it stops where it is (`steady` is false then).
///
/// ```
/// use quorate_consensus::swarm::{honeybee, HoneybeeConfig};
/// let h = honeybee(&[5.0, 4.5], &HoneybeeConfig { sigma: 2.0, ..Default::default() })?;
/// assert_eq!(h.decision, Some(0));
/// assert!((h.shares[0] - 0.8795).abs() < 1e-4);
/// # Ok::<(), quorate_core::Error>(())
/// ```
///
/// Errors: `empty_input` without options; `not_finite`; `invalid_argument` for a value outside its range or a bad configuration; `too_large` above 1,000,000
/// options.
pub fn honeybee(values: &[f64], config: &HoneybeeConfig) -> Result<Honeybee> {
    config.validate()?;
    check::not_empty(values.len(), "options")?;
    check::at_most(values.len(), MAX_OPTIONS, "options")?;
    for (i, &v) in values.iter().enumerate() {
        check::within(v, VALUES.0, VALUES.1, format_args!("value {i}"))?;
    }
    let n = values.len();
    let cancel = Cancel::current();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    let x: Vec<f64> = (0..n).map(|_| config.noise * rng.random::<f64>() / n as f64).collect();
    let mut swarm = Swarm::new(values, config.sigma, x);
    let (mut time, mut steady, mut steps) = (0.0, false, 0usize);
    let (mut decision, mut decided_at) = (None, None);
    if let Some(i) = swarm.first_at(config.quorum) {
        (decision, decided_at) = (Some(i), Some(0.0));
    }
    let mut step = 0.01 / swarm.fastest();
    loop {
        steady = steady || swarm.at_rest();
        if steady || time >= config.max_time || steps >= MAX_STEPS || steps.saturating_mul(n) > MAX_WORK {
            break;
        }
        cancel.check()?;
        steps += 1;
        let length = step.min(config.max_time - time);
        let error = swarm.try_step(length);
        // A step of order two: its error grows with the third power of the length.
        let change = if error > 0.0 { 0.8 * (TOLERANCE / error).cbrt() } else { 5.0 };
        step = length * change.clamp(0.2, 5.0);
        if error > TOLERANCE {
            if time + step == time {
                break;
            }
            continue;
        }
        if decision.is_none()
            && let Some((i, part)) = swarm.crossing(config.quorum, length)
        {
            (decision, decided_at) = (Some(i), Some(time + part * length));
        }
        swarm.accept();
        time += length;
    }
    let x = swarm.x;
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

/// The state of the equation, and a step that is not yet accepted.
struct Swarm<'a> {
    values: &'a [f64],
    sigma: f64,
    x: Vec<f64>,
    /// The rates of change at `x`.
    rate: Vec<f64>,
    next: Vec<f64>,
    next_rate: Vec<f64>,
    k1: Vec<f64>,
    k2: Vec<f64>,
    work: Vec<f64>,
}

/// The coefficients of ode23s.
const D: f64 = 0.292_893_218_813_452_5; // 1 / (2 + sqrt 2)
const E32: f64 = 7.414_213_562_373_095; // 6 + sqrt 2

impl<'a> Swarm<'a> {
    fn new(values: &'a [f64], sigma: f64, x: Vec<f64>) -> Self {
        let n = x.len();
        let empty = || vec![0.0; n];
        let mut swarm = Swarm {
            values,
            sigma,
            rate: empty(),
            next: empty(),
            next_rate: empty(),
            k1: empty(),
            k2: empty(),
            work: empty(),
            x,
        };
        rates(values, sigma, &swarm.x, &mut swarm.rate);
        swarm
    }

    /// No rate of the system exceeds this.
    fn fastest(&self) -> f64 {
        self.values.iter().map(|v| 2.0 * v + 1.0 / v).sum::<f64>() + self.sigma
    }

    /// Whether nothing changes any more: rates are within 1e-11, or within what rounding of the shares makes of them.
    fn at_rest(&self) -> bool {
        let committed: f64 = self.x.iter().sum();
        self.rate.iter().zip(&self.x).zip(self.values).all(|((d, x), v)| {
            let gross = v * (1.0 + x) + x / v + self.sigma * x * committed;
            d.abs() <= 1e-11 + 4.0 * f64::EPSILON * gross
        })
    }

    /// Which option has the quorum now.
    fn first_at(&self, quorum: f64) -> Option<usize> {
        (0..self.x.len()).find(|&i| self.x[i] >= quorum)
    }

    /// Solves `(1 - h d J) out = right` in place, where the Jacobian `J` at `x` is a diagonal plus a column `c` times a row of ones (Sherman and Morrison 1950).
    fn solve(&self, h: f64, right: &mut [f64]) {
        let committed: f64 = self.x.iter().sum();
        let (u, g) = (1.0 - committed, h * D);
        let parts = |i: usize| {
            let (x, v) = (self.x[i], self.values[i]);
            let column = -v * (1.0 + x) - self.sigma * x;
            // The diagonal of J less the column's entry.
            let diagonal = v * u - 1.0 / v - self.sigma * (committed - x) + self.sigma * x;
            (1.0 - g * diagonal, g * column)
        };
        let (mut top, mut bottom) = (0.0, 1.0);
        for (i, r) in right.iter().enumerate() {
            let (diagonal, column) = parts(i);
            top += r / diagonal;
            bottom -= column / diagonal;
        }
        let along = top / bottom;
        for (i, r) in right.iter_mut().enumerate() {
            let (diagonal, column) = parts(i);
            *r = (*r + column * along) / diagonal;
        }
    }

    /// Tries a step of length `h`; the estimate of its error.
    fn try_step(&mut self, h: f64) -> f64 {
        let n = self.x.len();
        // k1 = W^-1 f(x), with W = 1 - h d J. The equation does not contain the time.
        let mut k1 = std::mem::take(&mut self.k1);
        k1.copy_from_slice(&self.rate);
        self.solve(h, &mut k1);
        // k2 = W^-1 (f(x + h k1 / 2) - k1) + k1
        let mut k2 = std::mem::take(&mut self.k2);
        let shift = |next: &mut [f64], x: &[f64], k: &[f64], h: f64| {
            next.iter_mut().zip(x).zip(k).for_each(|((next, x), k)| *next = x + h * k);
        };
        shift(&mut self.next, &self.x, &k1, 0.5 * h);
        rates(self.values, self.sigma, &self.next, &mut self.work);
        k2.iter_mut().zip(&self.work).zip(&k1).for_each(|((to, f), k)| *to = f - k);
        self.solve(h, &mut k2);
        k2.iter_mut().zip(&k1).for_each(|(b, a)| *b += a);
        shift(&mut self.next, &self.x, &k2, h);
        // k3 = W^-1 (f(next) - e32 (k2 - f(x + h k1 / 2)) - 2 (k1 - f(x)))
        rates(self.values, self.sigma, &self.next, &mut self.next_rate);
        let mut k3 = std::mem::take(&mut self.work);
        for i in 0..n {
            k3[i] = self.next_rate[i] - E32 * (k2[i] - k3[i]) - 2.0 * (k1[i] - self.rate[i]);
        }
        self.solve(h, &mut k3);
        let error = (0..n).map(|i| (h / 6.0 * (k1[i] - 2.0 * k2[i] + k3[i])).abs()).fold(0.0, f64::max);
        (self.k1, self.k2, self.work) = (k1, k2, k3);
        // A step so long that it leaves the shares is no step.
        if self.next.iter().all(|x| (-1e-6..=1.0 + 1e-6).contains(x)) { error } else { f64::INFINITY }
    }

    /// The option that reaches the quorum first within the tried step of length `h`, and at which part of it, by the cubic through both ends.
    fn crossing(&self, quorum: f64, h: f64) -> Option<(usize, f64)> {
        let first = |i: usize| {
            let at = |t: f64| {
                let (a, b) = (self.x[i], self.next[i]);
                let (da, db) = (h * self.rate[i], h * self.next_rate[i]);
                let s = 1.0 - t;
                a * s * s * (1.0 + 2.0 * t) + b * t * t * (3.0 - 2.0 * t) + da * t * s * s - db * t * t * s
            };
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..52 {
                let middle = 0.5 * (low + high);
                if at(middle) >= quorum { high = middle } else { low = middle }
            }
            high
        };
        (0..self.x.len())
            .filter(|&i| self.next[i] >= quorum)
            .map(|i| (i, first(i)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    fn accept(&mut self) {
        std::mem::swap(&mut self.x, &mut self.next);
        std::mem::swap(&mut self.rate, &mut self.next_rate);
    }
}

/// The right side of the equation.
fn rates(values: &[f64], sigma: f64, x: &[f64], out: &mut [f64]) {
    let committed: f64 = x.iter().sum();
    let u = 1.0 - committed;
    for ((d, &xi), &v) in out.iter_mut().zip(x).zip(values) {
        *d = v * u - xi / v + v * xi * u - sigma * xi * (committed - xi);
    }
}
