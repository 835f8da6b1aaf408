//! What does an evaluation say in a few lines?

use std::collections::BTreeMap;
use std::fmt::Write;

use super::html::{money, price};
use super::report::AgentReport;

impl AgentReport {
    /// The report in some lines: how many trials pass by each scorer with Wilson's interval, what they cost, those that do not pass
    /// too, how long they took, and how runs ended.
    ///
    /// ```
    /// # use quorate_models::{Model, ScriptedModel};
    /// # use quorate_runtime::{EvaluateOptions, Expect, Runtime, RuntimeOptions, Task, evaluate_agents};
    /// # let model = Model::new(ScriptedModel::of_texts(["5 mg", "10 mg"]), Default::default())?;
    /// # let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
    /// # let expect = Expect { exact: vec!["5 mg".into()], ..Expect::default() };
    /// # let tasks = [Task { expect, ..Task::new("dose", "Which dose?") }];
    /// let report = evaluate_agents(&runtime, &tasks, &EvaluateOptions { repeat: 2, ..EvaluateOptions::default() })?;
    /// let summary = report.summary();
    /// assert!(summary.starts_with("1 task, 2 of 2 trials\nall: 1 of 2 pass, 0.500 [0.095, 0.905]\n"), "{summary}");
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn summary(&self) -> String {
        let (totals, mut out) = (&self.totals, String::new());
        let tasks = if self.tasks.len() == 1 { "task" } else { "tasks" };
        let _ = writeln!(out, "{} {tasks}, {} of {} trials", self.tasks.len(), totals.trials, totals.planned);
        for metric in &self.metrics {
            let rate = metric.pass_rate.map_or("undefined".to_owned(), |rate| format!("{rate:.3}"));
            let (low, high) = metric.interval;
            let undecided = match metric.undecided {
                0 => String::new(),
                some => format!(", {some} undecided"),
            };
            let _ = writeln!(
                out,
                "{}: {} of {} pass, {rate} [{low:.3}, {high:.3}]{undecided}",
                metric.scorer, metric.passed, metric.trials
            );
        }
        let _ = writeln!(
            out,
            "cost: {}; {} a trial, {} a task, {} for each trial that passes; trials that do not pass {}; judges {}",
            money(totals.cost),
            price(totals.mean_cost, totals),
            price(totals.cost_per_task, totals),
            price(totals.cost_per_pass, totals),
            money(totals.failed_cost),
            money(totals.judge_cost)
        );
        let _ = writeln!(out, "tokens: {} read, {} written", totals.usage.input, totals.usage.output);
        if let (Some(median), Some(most)) = (totals.p50_seconds, totals.p95_seconds) {
            let _ = writeln!(out, "seconds: median {median:.2}, 95% within {most:.2}");
        }
        let _ = write!(out, "runs: {}", counted(&totals.statuses));
        if !totals.errors.is_empty() {
            let _ = write!(out, "; errors: {}", counted(&totals.errors));
        }
        if totals.cut_off > 0 {
            let _ = write!(out, "; {} cut off", totals.cut_off);
        }
        if let Some(by) = &self.stopped_by {
            let _ = write!(out, "\nstopped by {by}");
        }
        if !self.unscored.is_empty() {
            let _ = write!(out, "\nnothing to look for: {}", self.unscored.join(", "));
        }
        out
    }
}

fn counted(counts: &BTreeMap<String, usize>) -> String {
    match counts.is_empty() {
        true => "none".to_owned(),
        false => counts.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", "),
    }
}
