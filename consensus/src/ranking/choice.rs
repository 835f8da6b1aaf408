//! Which strengths make a set of observed choices most likely?
//!
//! Bradley-Terry and Plackett-Luce are one model: from a set of options, option `i` is chosen with probability
//! `exp(t_i) / sum of exp(t_j) over the set` (Luce 1959). This file fits it; the two methods say what the sets are.

use quorate_core::{Cancel, Code, Error, Result};
use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, TieBreak, from_scores};
use crate::check::{self, short};

/// The penalty used when none is given and the data alone do not determine the strengths.
pub const DEFAULT_ALPHA: f64 = 0.01;

/// Options of the strength models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrengthConfig {
    /// Weight of the ridge penalty `alpha * sum of t_i^2`, a normal prior of variance `1 / (2 alpha)`. (For rank
    /// centrality: the pseudo-count added to every ordered pair.) `None` (default): no penalty when the comparisons
    /// determine the strengths, [`DEFAULT_ALPHA`] when they do not. `Some(0.0)`: never, and an error then.
    pub alpha: Option<f64>,
    /// Newton steps at most. Default 100.
    pub max_iter: usize,
    /// The fit has converged when no strength moves by more than this. Default 1e-9.
    pub tol: f64,
    /// What to do with ties in the order.
    pub tie_break: TieBreak,
}

impl Default for StrengthConfig {
    fn default() -> Self {
        StrengthConfig { alpha: None, max_iter: 100, tol: 1e-9, tie_break: TieBreak::None }
    }
}

impl StrengthConfig {
    /// Errors: `not_finite`, `invalid_argument` for a penalty outside [0, 1e12] or a tolerance that is not positive, `too_large` above 1,000,000 steps.
    pub fn validate(&self) -> Result<()> {
        check::within(self.alpha.unwrap_or(0.0), 0.0, 1e12, "alpha")?;
        check::finite(self.tol, "tol")?;
        if self.tol <= 0.0 || self.max_iter == 0 {
            return Err(Error::invalid("tol must be positive and max_iter at least 1"));
        }
        check::at_most(self.max_iter, check::MAX_ITERATIONS, "max_iter")?;
        Ok(())
    }
}

/// Fitted strengths of options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strengths {
    /// Winners and order; the scores are the log-strengths. Strengths within 1e-6 of one another are tied.
    pub outcome: Outcome,
    /// Natural logarithm of each strength, in the order of the options, with mean zero.
    pub log_strengths: Vec<f64>,
    /// Strengths divided by their sum: the chance of each option to be chosen from all.
    pub shares: Vec<f64>,
    /// Log-likelihood of the data (without the penalty), natural logarithm. `None` for rank centrality.
    pub log_likelihood: Option<f64>,
    /// Newton steps made; 0 for rank centrality, which is solved directly.
    pub iterations: usize,
    /// Whether the last step was below `tol`.
    pub converged: bool,
    /// The penalty that was in force.
    pub alpha: f64,
    /// Groups of options within which everyone can be reached by a chain of wins, best connected order not implied.
    /// One group: the strengths are determined by the data. Several: only through the penalty.
    pub components: Vec<Vec<String>>,
}

/// Observed choices: from each set, the first member was chosen.
pub(crate) struct Choices {
    members: Vec<u32>,
    offsets: Vec<usize>,
    weights: Vec<f64>,
}

impl Choices {
    pub(crate) fn new() -> Self {
        Choices { members: Vec::new(), offsets: vec![0], weights: Vec::new() }
    }

    /// `set[0]` was chosen from `set`, `weight` times.
    pub(crate) fn push(&mut self, set: impl IntoIterator<Item = u32>, weight: f64) {
        self.members.extend(set);
        self.offsets.push(self.members.len());
        self.weights.push(weight);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The number of members of all sets.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    fn iter(&self) -> impl Iterator<Item = (&[u32], f64)> {
        self.weights
            .iter()
            .enumerate()
            .map(|(e, &w)| (&self.members[self.offsets[e]..self.offsets[e + 1]], w))
    }
}

/// The penalty to use and the groups of options, from who was preferred to whom.
///
/// Errors: `undefined` when a penalty of zero was asked for and the strengths are not determined.
pub(crate) fn determine(
    options: &[String],
    wins: impl Iterator<Item = (usize, usize)>,
    alpha: Option<f64>,
) -> Result<(f64, Vec<Vec<String>>)> {
    let groups = strong_components(options.len(), wins);
    let named: Vec<Vec<String>> =
        groups.iter().map(|g| g.iter().map(|&i| options[i].clone()).collect()).collect();
    match alpha {
        Some(a) if a > 0.0 => Ok((a, named)),
        _ if groups.len() == 1 => Ok((0.0, named)),
        None => Ok((DEFAULT_ALPHA, named)),
        Some(_) => Err(Error::new(
            Code::Undefined,
            format!(
                "without a penalty the strengths are not determined: the options fall into {} groups, and no chain of \
                 wins leads from the group of '{}' to that of '{}' and back; set alpha above 0 or leave it open",
                groups.len(),
                first_of(&named[0]),
                first_of(&named[1])
            ),
        )),
    }
}

/// The name of a group: its first option.
fn first_of(group: &[String]) -> String {
    group.first().map_or_else(String::new, short)
}

/// Fits the model by Newton's method with conjugate gradients (Nocedal and Wright 2006, algorithm 7.1). The
/// objective is convex, so the optimum is the one that MM (Hunter 2004) and I-LSR (Maystre and Grossglauser 2015)
/// approach.
pub(crate) fn fit(
    method: &'static str,
    options: &[String],
    choices: &mut Choices,
    components: Vec<Vec<String>>,
    alpha: f64,
    config: &StrengthConfig,
) -> Result<Strengths> {
    let (n, cancel) = (options.len(), Cancel::current());
    // Weights and penalty are divided by the largest weight: that changes no strength, and neither large nor small weights lose digits.
    let unit = choices.weights.iter().copied().fold(0.0, f64::max);
    choices.weights.iter_mut().for_each(|w| *w /= unit);
    let (given, alpha) = (alpha, alpha / unit);
    let choices = &*choices;
    let mut theta = vec![0.0; n];
    let mut state = Local::at(&theta, choices, alpha);
    let (mut iterations, mut converged) = (0, false);
    while iterations < config.max_iter && !converged {
        iterations += 1;
        let step = state.newton_step(choices, alpha, &cancel)?;
        let slope: f64 = step.iter().zip(&state.gradient).map(|(s, g)| s * g).sum();
        let largest = step.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let mut length = 1.0;
        for _ in 0..60 {
            cancel.check()?;
            let candidate: Vec<f64> = theta.iter().zip(&step).map(|(t, s)| t + length * s).collect();
            let next = Local::at(&candidate, choices, alpha);
            // The last term keeps rounding of the objective from rejecting the final steps.
            if next.objective <= state.objective + 1e-4 * length * slope + 1e-13 * state.objective.abs() {
                (theta, state) = (candidate, next);
                break;
            }
            length /= 2.0;
        }
        converged = largest <= config.tol;
    }
    let log_likelihood = -(state.objective - alpha * theta.iter().map(|t| t * t).sum::<f64>()) * unit;
    Ok(report(method, options, theta, components, given, config).with_fit(
        Some(log_likelihood),
        iterations,
        converged,
    ))
}

/// Names, centres and orders raw log-strengths.
pub(crate) fn report(
    method: &'static str,
    options: &[String],
    mut theta: Vec<f64>,
    components: Vec<Vec<String>>,
    alpha: f64,
    config: &StrengthConfig,
) -> Strengths {
    let mean = theta.iter().sum::<f64>() / theta.len() as f64;
    theta.iter_mut().for_each(|t| *t -= mean);
    let top = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = theta.iter().map(|t| (t - top).exp()).collect();
    let sum: f64 = weights.iter().sum();
    Strengths {
        outcome: from_scores(method, options, theta.clone(), 1e-6, config.tie_break),
        shares: weights.iter().map(|w| w / sum).collect(),
        log_strengths: theta,
        log_likelihood: None,
        iterations: 0,
        converged: true,
        alpha,
        components,
    }
}

impl Strengths {
    fn with_fit(mut self, log_likelihood: Option<f64>, iterations: usize, converged: bool) -> Self {
        (self.log_likelihood, self.iterations, self.converged) = (log_likelihood, iterations, converged);
        self
    }
}

/// Objective, gradient and choice probabilities at one point.
struct Local {
    objective: f64,
    gradient: Vec<f64>,
    /// For each member of each set, the probability that it is chosen.
    p: Vec<f64>,
}

impl Local {
    fn at(theta: &[f64], choices: &Choices, alpha: f64) -> Self {
        let mut objective = alpha * theta.iter().map(|t| t * t).sum::<f64>();
        let mut gradient: Vec<f64> = theta.iter().map(|t| 2.0 * alpha * t).collect();
        let mut p = Vec::with_capacity(choices.members.len());
        for (set, w) in choices.iter() {
            let top = set.iter().map(|&i| theta[i as usize]).fold(f64::NEG_INFINITY, f64::max);
            let start = p.len();
            p.extend(set.iter().map(|&i| (theta[i as usize] - top).exp()));
            let sum: f64 = p[start..].iter().sum();
            objective += w * (sum.ln() + top - theta[set[0] as usize]);
            for (x, &i) in p[start..].iter_mut().zip(set) {
                *x /= sum;
                gradient[i as usize] += w * *x;
            }
            gradient[set[0] as usize] -= w;
        }
        Local { objective, gradient, p }
    }

    /// Solves Hessian * step = -gradient by conjugate gradients with a diagonal preconditioner. Error: `cancelled`.
    fn newton_step(&self, choices: &Choices, alpha: f64, cancel: &Cancel) -> Result<Vec<f64>> {
        let n = self.gradient.len();
        let mut diagonal = vec![2.0 * alpha; n];
        let mut at = 0;
        for (set, w) in choices.iter() {
            for &i in set {
                diagonal[i as usize] += w * self.p[at] * (1.0 - self.p[at]);
                at += 1;
            }
        }
        diagonal.iter_mut().for_each(|d| *d = d.max(1e-300));
        let mut step = vec![0.0; n];
        let mut residual: Vec<f64> = self.gradient.iter().map(|g| -g).collect();
        // Without a penalty a common shift of all strengths changes nothing; directions are kept free of it.
        let precondition = |residual: &[f64]| -> Vec<f64> {
            let mut z: Vec<f64> = residual.iter().zip(&diagonal).map(|(r, d)| r / d).collect();
            if alpha == 0.0 {
                let mean = z.iter().sum::<f64>() / n as f64;
                z.iter_mut().for_each(|z| *z -= mean);
            }
            z
        };
        let mut direction = precondition(&residual);
        let mut rz: f64 = residual.iter().zip(&direction).map(|(r, z)| r * z).sum();
        let target = 1e-16 * rz;
        for _ in 0..10 * n + 20 {
            cancel.check()?;
            if rz <= target || rz <= 0.0 {
                break;
            }
            let image = self.hessian_times(&direction, choices, alpha);
            let curvature: f64 = image.iter().zip(&direction).map(|(h, d)| h * d).sum();
            if curvature <= 0.0 {
                break;
            }
            let length = rz / curvature;
            for i in 0..n {
                step[i] += length * direction[i];
                residual[i] -= length * image[i];
            }
            let preconditioned = precondition(&residual);
            let next: f64 = residual.iter().zip(&preconditioned).map(|(r, z)| r * z).sum();
            for (d, z) in direction.iter_mut().zip(&preconditioned) {
                *d = z + next / rz * *d;
            }
            rz = next;
        }
        Ok(step)
    }

    fn hessian_times(&self, v: &[f64], choices: &Choices, alpha: f64) -> Vec<f64> {
        let mut out: Vec<f64> = v.iter().map(|x| 2.0 * alpha * x).collect();
        let mut at = 0;
        for (set, w) in choices.iter() {
            let p = &self.p[at..at + set.len()];
            at += set.len();
            let mean: f64 = p.iter().zip(set).map(|(p, &i)| p * v[i as usize]).sum();
            for (p, &i) in p.iter().zip(set) {
                out[i as usize] += w * p * (v[i as usize] - mean);
            }
        }
        out
    }
}

/// Strongly connected components (Kosaraju), each sorted, in order of their first member.
fn strong_components(n: usize, arcs: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let (mut forward, mut backward) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    for (i, j) in arcs {
        forward[i].push(j);
        backward[j].push(i);
    }
    let mut seen = vec![false; n];
    let mut finished = Vec::with_capacity(n);
    for start in 0..n {
        if seen[start] {
            continue;
        }
        seen[start] = true;
        let mut stack = vec![(start, 0)];
        while let Some((i, at)) = stack.pop() {
            if let Some(&j) = forward[i].get(at) {
                stack.push((i, at + 1));
                if !seen[j] {
                    seen[j] = true;
                    stack.push((j, 0));
                }
            } else {
                finished.push(i);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for &start in finished.iter().rev() {
        if !seen[start] {
            continue;
        }
        seen[start] = false;
        let mut group = vec![start];
        let mut next = 0;
        while next < group.len() {
            for &j in &backward[group[next]] {
                if seen[j] {
                    seen[j] = false;
                    group.push(j);
                }
            }
            next += 1;
        }
        group.sort_unstable();
        groups.push(group);
    }
    groups.sort();
    groups
}
