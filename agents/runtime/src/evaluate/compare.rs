//! Do agents answer better than before, or were they just luckier?

use quorate_core::{Code, Error, Result};
use serde::Serialize;

use super::report::AgentReport;
use super::statistics::randomisation;

/// Two evaluations of the same tasks, compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgentComparison {
    /// For `all` and each scorer that both have.
    pub scorers: Vec<ScorerComparison>,
    /// Tasks whose share of passing trials is another, by scorer and task.
    pub changed: Vec<ChangedTask>,
    /// Tasks that only the first has trials of.
    pub only_a: Vec<String>,
    /// Tasks that only the second has trials of.
    pub only_b: Vec<String>,
}

/// What one scorer says about both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScorerComparison {
    /// The scorer's name, or `all`.
    pub scorer: String,
    /// Tasks that it has decided about in both.
    pub tasks: usize,
    /// The share of trials that pass in the first, averaged over these tasks.
    pub a: f64,
    /// The same in the second.
    pub b: f64,
    /// `a - b`.
    pub difference: f64,
    /// Two-sided probability of a difference at least as large if it did not matter which evaluation a task's answers come
    /// from.
    pub p_value: f64,
    /// Tasks on which the first is better.
    pub wins: usize,
    /// Tasks on which both are equal.
    pub ties: usize,
    /// Tasks on which the first is worse.
    pub losses: usize,
    /// Whether every assignment of signs was looked at (few tasks) rather than sampled.
    pub exact: bool,
}

/// A task with another share of passing trials.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedTask {
    /// The scorer's name, or `all`.
    pub scorer: String,
    /// The id of the task.
    pub task: String,
    /// The share of its trials that pass in the first.
    pub a: f64,
    /// The same in the second.
    pub b: f64,
}

impl AgentReport {
    /// Compares this evaluation (`a`) with another (`b`) on the tasks that both have, paired by their ids: Fisher's paired
    /// randomisation test on the tasks' shares of passing trials (Fisher 1935; Smucker, Allan and Carterette 2007), exact
    /// for up to 16 tasks that differ, else with 100,000 draws from `seed`.
    ///
    /// Errors: `empty_input` where they share no task; `cancelled` (by [`Cancel::current`](quorate_core::Cancel::current)).
    pub fn compare(&self, other: &AgentReport, seed: u64) -> Result<AgentComparison> {
        let mut scorers = Vec::new();
        let mut changed = Vec::new();
        for metric in &self.metrics {
            let (left, right) = (self.by_task(&metric.scorer), other.by_task(&metric.scorer));
            let share = |&(passed, trials): &(usize, usize)| passed as f64 / trials as f64;
            let mut pairs = Vec::new();
            for (task, counts) in &left {
                let Some(others) = right.get(task) else { continue };
                let (a, b) = (share(counts), share(others));
                pairs.push((a, b));
                if a != b {
                    let (scorer, task) = (metric.scorer.clone(), (*task).to_owned());
                    changed.push(ChangedTask { scorer, task, a, b });
                }
            }
            if pairs.is_empty() {
                continue;
            }
            let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
            let (p_value, exact) = randomisation(&differences, seed)?;
            let tasks = pairs.len() as f64;
            let a = pairs.iter().map(|(a, _)| a).sum::<f64>() / tasks;
            let b = pairs.iter().map(|(_, b)| b).sum::<f64>() / tasks;
            scorers.push(ScorerComparison {
                scorer: metric.scorer.clone(),
                tasks: pairs.len(),
                a,
                b,
                difference: a - b,
                p_value,
                wins: differences.iter().filter(|&&d| d > 0.0).count(),
                ties: differences.iter().filter(|&&d| d == 0.0).count(),
                losses: differences.iter().filter(|&&d| d < 0.0).count(),
                exact,
            });
        }
        if scorers.is_empty() {
            let message = "the two evaluations share no task that a scorer of both has decided about";
            return Err(Error::new(Code::EmptyInput, message));
        }
        let only = |one: &AgentReport, two: &AgentReport| -> Vec<String> {
            let has = |report: &AgentReport, id: &String| {
                report.trials.iter().any(|trial| trial.task == *id && !trial.cut_off)
            };
            one.tasks.iter().filter(|id| has(one, id) && !has(two, id)).cloned().collect()
        };
        Ok(AgentComparison { scorers, changed, only_a: only(self, other), only_b: only(other, self) })
    }
}
