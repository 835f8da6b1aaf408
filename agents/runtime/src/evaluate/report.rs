//! What came of an evaluation?

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::{Code, Error, Result};
use quorate_models::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::score::Score;
use super::statistics::{effective, pass_at, pass_hat, quantile, wilson};
use super::task::Task;
use crate::fact::Status;

/// The name of the metric for which a trial passes when every scorer that applies lets it pass.
pub(super) const ALL: &str = "all";

/// Up to so many trials of a task pass^k and pass@k are given.
const MOST_K: usize = 100;

/// How well agents have answered tasks, how surely, and at what price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentReport {
    /// Of this evaluation alone: the parents of its runs begin with it.
    pub id: String,
    /// From which the seeds of the trials follow.
    pub seed: u64,
    /// Trials of each task that were to be made.
    pub repeat: usize,
    /// The ids of the tasks, in their order.
    pub tasks: Vec<String>,
    /// For `all` and each scorer that has looked at anything.
    pub metrics: Vec<Metric>,
    /// Costs, times and how the runs ended.
    pub totals: Totals,
    /// The trials, by task and number.
    pub trials: Vec<Trial>,
    /// Tasks that give no scorer anything to look for.
    pub unscored: Vec<String>,
    /// Why not every trial was made: `cancelled`, or the limit of the budget that was reached.
    pub stopped_by: Option<String>,
}

/// One answer to one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The id of the task.
    pub task: String,
    /// The number, from 0.
    pub trial: usize,
    /// The seed of the run.
    pub seed: u64,
    /// The run, where one began.
    pub run_id: Option<String>,
    /// The agent that answered.
    pub agent: Option<String>,
    /// How the run ended.
    pub status: Status,
    /// Why it ended before it was done.
    pub stopped_by: Option<String>,
    /// The answer.
    pub text: String,
    /// What each scorer says that applies.
    pub scores: Vec<Score>,
    /// Whether all of them let it pass; `None` where one could not say and none says no, or none applies.
    pub passed: Option<bool>,
    /// US dollars, without judges; `None` where a price is unknown.
    pub cost: Option<f64>,
    /// Tokens, without judges.
    pub usage: Usage,
    /// US dollars of the judges; `None` where a price is unknown.
    pub judge_cost: Option<f64>,
    /// Tokens of the judges.
    pub judge_usage: Usage,
    /// Seconds until the answer was there.
    pub seconds: f64,
    /// The code of the error that came in the place of an answer.
    pub error: Option<String>,
    /// What the error says.
    pub message: Option<String>,
    /// Whether the end of the evaluation has cut it off: what it has spent counts, how it answered does not.
    pub cut_off: bool,
}

/// What one scorer, or all together (`all`), have found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The scorer's name, or `all`.
    pub scorer: String,
    /// Tasks with a trial that it has decided about.
    pub tasks: usize,
    /// Trials that it has decided about.
    pub trials: usize,
    /// Those that pass.
    pub passed: usize,
    /// The share of trials that pass; `None` where there are none.
    pub pass_rate: Option<f64>,
    /// Wilson's (1927) 95% interval of that share, as if all trials were independent.
    pub interval: (f64, f64),
    /// Trials of one task are like one another: the same at Kish's (1965) effective number of trials, by which the share on
    /// other tasks of this kind is estimated.
    pub interval_by_task: (f64, f64),
    /// pass^k (Yao et al. 2024) for k = 1, 2, ...: the probability that `k` trials of a task all pass, averaged over the tasks
    /// that have `k` trials; `None` where none has.
    pub pass_hat_k: Vec<Option<f64>>,
    /// pass@k (Chen et al. 2021): the same for one or more of `k`.
    pub pass_at_k: Vec<Option<f64>>,
    /// Trials about which it could not decide.
    pub undecided: usize,
    /// Of a judge asked in both orders: the probability that verdicts of two orders are the same, averaged over trials.
    pub agreement: Option<f64>,
}

/// Costs, times and how runs ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Trials that were to be made.
    pub planned: usize,
    /// Trials that count.
    pub trials: usize,
    /// Trials that the end of the evaluation has cut off.
    pub cut_off: usize,
    /// US dollars of all runs, those cut off too; `None` where a price is unknown.
    pub cost: Option<f64>,
    /// US dollars of a trial that counts, on average; `None` where a price is unknown or there is none.
    pub mean_cost: Option<f64>,
    /// US dollars of a task, on average: of all its trials that count together.
    #[serde(default)]
    pub cost_per_task: Option<f64>,
    /// US dollars of all trials that count for each one that passes, so that those that do not are paid for too; `None` where a
    /// price is unknown or none passes.
    #[serde(default)]
    pub cost_per_pass: Option<f64>,
    /// Of the costs of all trials that count, US dollars of those that do not pass.
    #[serde(default)]
    pub failed_cost: Option<f64>,
    /// US dollars of all judges; `None` where a price is unknown.
    pub judge_cost: Option<f64>,
    /// Tokens of all runs.
    pub usage: Usage,
    /// Tokens of all judges.
    pub judge_usage: Usage,
    /// Median seconds of a trial.
    pub p50_seconds: Option<f64>,
    /// Seconds within which 95% of the trials have answered.
    pub p95_seconds: Option<f64>,
    /// How often runs ended how.
    pub statuses: BTreeMap<String, usize>,
    /// How often which error came in the place of an answer, by code.
    pub errors: BTreeMap<String, usize>,
}

/// One line of a table: what one scorer says about one trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The id of the task.
    pub task: String,
    /// The number of the trial, from 0.
    pub trial: usize,
    /// The scorer; `None` where none applies or the trial was cut off.
    pub scorer: Option<String>,
    /// Whether it lets the answer pass.
    pub passed: Option<bool>,
    /// What is missing or wrong.
    pub detail: String,
    /// The agent that answered.
    pub agent: Option<String>,
    /// How the run ended.
    pub status: &'static str,
    /// Why it ended before it was done.
    pub stopped_by: Option<String>,
    /// The code of the error that came in the place of an answer.
    pub error: Option<String>,
    /// US dollars of the run, without judges.
    pub cost: Option<f64>,
    /// Tokens that the run read.
    pub input_tokens: u64,
    /// Tokens that it wrote.
    pub output_tokens: u64,
    /// Seconds until the answer was there.
    pub seconds: f64,
    /// Whether the end of the evaluation has cut it off.
    pub cut_off: bool,
    /// The seed of the run.
    pub seed: u64,
    /// The run.
    pub run_id: Option<String>,
}

impl Trial {
    /// Sets `passed` by the scores.
    pub(super) fn settle(&mut self) {
        let said = || self.scores.iter().map(|score| score.passed);
        self.passed = if self.scores.is_empty() || self.cut_off {
            None
        } else if said().any(|passed| passed == Some(false)) {
            Some(false)
        } else {
            said().all(|passed| passed == Some(true)).then_some(true)
        };
    }

    /// What a scorer, or all together, say; `None` where the scorer does not apply.
    fn verdict(&self, scorer: &str) -> Option<Option<bool>> {
        if self.cut_off {
            return None;
        }
        if scorer == ALL {
            return (!self.scores.is_empty()).then_some(self.passed);
        }
        self.scores.iter().find(|score| score.scorer == scorer).map(|score| score.passed)
    }
}

impl AgentReport {
    #[expect(clippy::too_many_arguments, reason = "each is a part of the report; there is one caller")]
    pub(super) fn of(
        id: String,
        seed: u64,
        repeat: usize,
        scorers: Vec<String>,
        tasks: &[Task],
        trials: Vec<Trial>,
        unscored: Vec<String>,
        stopped_by: Option<String>,
    ) -> Self {
        let mut report = AgentReport {
            id,
            seed,
            repeat,
            tasks: tasks.iter().map(|task| task.id.clone()).collect(),
            metrics: Vec::new(),
            totals: totals(tasks.len().saturating_mul(repeat), &trials),
            trials,
            unscored,
            stopped_by,
        };
        let names = std::iter::once(ALL).chain(scorers.iter().map(String::as_str));
        report.metrics = names.map(|name| report.measure(name)).collect();
        report.metrics.retain(|metric| metric.scorer == ALL || metric.trials + metric.undecided > 0);
        report
    }

    /// The metric of a scorer, or of all together (`all`).
    pub fn metric(&self, scorer: &str) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.scorer == scorer)
    }

    /// Passed and decided trials of each task that a scorer has decided about.
    pub(super) fn by_task(&self, scorer: &str) -> BTreeMap<&str, (usize, usize)> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for trial in &self.trials {
            if let Some(Some(passed)) = trial.verdict(scorer) {
                let count = counts.entry(&trial.task).or_default();
                *count = (count.0 + usize::from(passed), count.1 + 1);
            }
        }
        counts
    }

    fn measure(&self, scorer: &str) -> Metric {
        let counts: Vec<(usize, usize)> = self.by_task(scorer).into_values().collect();
        let passed: usize = counts.iter().map(|(passed, _)| passed).sum();
        let trials: usize = counts.iter().map(|(_, trials)| trials).sum();
        let rate = (trials > 0).then(|| passed as f64 / trials as f64);
        let over = |estimate: fn(usize, usize, usize) -> Option<f64>, k: usize| {
            mean(counts.iter().filter_map(|&(passed, trials)| estimate(passed, trials, k)))
        };
        let most = self.repeat.min(MOST_K);
        let effective = effective(&counts);
        let judged = self.trials.iter().filter(|trial| !trial.cut_off).flat_map(|trial| &trial.scores);
        let judged = judged.filter(|score| score.scorer == scorer).filter_map(|score| score.judged.as_ref());
        Metric {
            scorer: scorer.to_owned(),
            tasks: counts.len(),
            trials,
            passed,
            pass_rate: rate,
            interval: wilson(passed as f64, trials as f64),
            interval_by_task: wilson(rate.unwrap_or(0.0) * effective, effective),
            pass_hat_k: (1..=most).map(|k| over(pass_hat, k)).collect(),
            pass_at_k: (1..=most).map(|k| over(pass_at, k)).collect(),
            undecided: self.trials.iter().filter(|trial| trial.verdict(scorer) == Some(None)).count(),
            agreement: mean(judged.filter_map(|judged| judged.agreement)),
        }
    }

    /// One line for each trial and scorer, for data frames.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for trial in &self.trials {
            let row = |score: Option<&Score>| Row {
                task: trial.task.clone(),
                trial: trial.trial,
                scorer: score.map(|score| score.scorer.clone()),
                passed: score.and_then(|score| score.passed),
                detail: score.map(|score| score.detail.clone()).unwrap_or_default(),
                agent: trial.agent.clone(),
                status: trial.status.as_str(),
                stopped_by: trial.stopped_by.clone(),
                error: trial.error.clone(),
                cost: trial.cost,
                input_tokens: trial.usage.input,
                output_tokens: trial.usage.output,
                seconds: trial.seconds,
                cut_off: trial.cut_off,
                seed: trial.seed,
                run_id: trial.run_id.clone(),
            };
            match trial.scores.as_slice() {
                [] => rows.push(row(None)),
                scores => rows.extend(scores.iter().map(|score| row(Some(score)))),
            }
        }
        rows
    }

    /// The report as JSON, which [`AgentReport::from_json`] reads. Errors: `internal`.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self)
            .map_err(|e| Error::new(Code::Internal, format!("a report cannot be written: {e}")))
    }

    /// A report that was kept, to compare with. Errors: `invalid_argument`.
    pub fn from_json(value: &Value) -> Result<Self> {
        let mut report =
            AgentReport::deserialize(value).map_err(|e| Error::invalid(format!("this is no report: {e}")))?;
        // An earlier version has not said this of its trials.
        let known = totals(report.totals.planned, &report.trials);
        let kept = &mut report.totals;
        kept.cost_per_task = kept.cost_per_task.or(known.cost_per_task);
        kept.cost_per_pass = kept.cost_per_pass.or(known.cost_per_pass);
        kept.failed_cost = kept.failed_cost.or(known.failed_cost);
        Ok(report)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// The sum; `None` where one is not known.
fn sum(mut costs: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    costs.try_fold(0.0, |sum, cost| cost.map(|cost| sum + cost))
}

fn totals(planned: usize, trials: &[Trial]) -> Totals {
    let count = || trials.iter().filter(|trial| !trial.cut_off);
    let mut seconds: Vec<f64> = count().map(|trial| trial.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let counted = seconds.len();
    let of_counted = sum(count().map(|trial| trial.cost));
    let per = |number: usize| of_counted.filter(|_| number > 0).map(|cost| cost / number as f64);
    let tasks: BTreeSet<&str> = count().map(|trial| trial.task.as_str()).collect();
    let failed = count().filter(|trial| trial.passed == Some(false));
    let mut totals = Totals {
        planned,
        trials: counted,
        cut_off: trials.len() - counted,
        cost: sum(trials.iter().map(|trial| trial.cost)),
        mean_cost: per(counted),
        cost_per_task: per(tasks.len()),
        cost_per_pass: per(count().filter(|trial| trial.passed == Some(true)).count()),
        failed_cost: sum(failed.map(|trial| trial.cost)),
        judge_cost: sum(trials.iter().map(|trial| trial.judge_cost)),
        p50_seconds: quantile(&seconds, 0.5),
        p95_seconds: quantile(&seconds, 0.95),
        ..Totals::default()
    };
    for trial in trials {
        totals.usage += trial.usage;
        totals.judge_usage += trial.judge_usage;
    }
    for trial in count() {
        *totals.statuses.entry(trial.status.as_str().to_owned()).or_default() += 1;
        if let Some(code) = &trial.error {
            *totals.errors.entry(code.clone()).or_default() += 1;
        }
    }
    totals
}
