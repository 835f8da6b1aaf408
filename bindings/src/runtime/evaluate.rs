//! How do hosts have agents evaluated?

use std::sync::Arc;

use quorate_core::{Error, Result};
use quorate_models::Model;
use quorate_runtime::{
    AgentComparison, AgentReport, Change, EvaluateOptions, Judge, Replayed, Scorer, Task, golden_tasks,
    load_tasks,
};
use serde_json::{Value, json};

use super::answer::answer;
use super::{budget, renamed};
use crate::{Host, Options};

/// Tasks: a list of objects, the path of a YAML file, or a list with paths among the objects.
/// Errors: those of reading tasks.
pub fn tasks(given: &Value) -> Result<Vec<Task>> {
    match given {
        Value::String(path) => load_tasks(path),
        Value::Array(items) => {
            let mut tasks = Vec::new();
            for (i, item) in items.iter().enumerate() {
                match item {
                    Value::String(path) => tasks.extend(load_tasks(path)?),
                    item => {
                        tasks.push(Task::from_json(item).map_err(|e| e.context(format_args!("tasks[{i}]")))?)
                    }
                }
            }
            Ok(tasks)
        }
        _ => Err(Error::invalid("tasks are no list of tasks and no path of a file of them")),
    }
}

/// The tasks that ship, by the id of their agent.
pub fn golden() -> Result<Value> {
    Ok(json!(golden_tasks()?))
}

/// A model that judges: `rubric`, `orders`, `samples`, `name`. Errors: `invalid_argument`.
pub fn judge(host: Host, model: Model, given: Value) -> Result<Judge> {
    let mut options = Options::new(host, "options of a judge", given)?;
    let rubric: String = options.take("rubric", "a text")?.unwrap_or_default();
    let plain = Judge::new(model, rubric);
    let whole = "a whole number from 1";
    let judge = Judge {
        orders: options.take("orders", whole)?.unwrap_or(plain.orders),
        samples: options.take("samples", whole)?.unwrap_or(plain.samples),
        name: options.take("name", "a text")?.unwrap_or_else(|| plain.name.clone()),
        ..plain
    };
    options.done()?;
    judge.validate()?;
    Ok(judge)
}

/// How tasks are asked: `repeat`, `seed`, `budget`, `scorers` (names), `threads`. Errors: `invalid_argument`.
pub fn evaluation(host: Host, given: Value, judges: Vec<Judge>) -> Result<EvaluateOptions> {
    let mut options = Options::new(host, "options of an evaluation", given)?;
    let defaults = EvaluateOptions::default();
    let names: Vec<String> = options.take("scorers", "a list of names of scorers")?.unwrap_or_default();
    let mut scorers: Vec<Scorer> = names.iter().map(|name| Scorer::named(name)).collect::<Result<_>>()?;
    scorers.extend(judges.into_iter().map(|judge| Scorer::Judge(Arc::new(judge))));
    let whole = "a whole number from 1";
    let read = EvaluateOptions {
        repeat: options.take("repeat", whole)?.unwrap_or(defaults.repeat),
        seed: options.take("seed", "a whole number from 0")?.unwrap_or(defaults.seed),
        budget: options.value("budget").map(|given| budget(host, given)).transpose()?,
        threads: options.take("threads", whole)?.unwrap_or(defaults.threads),
        scorers,
        ..defaults
    };
    options.done()?;
    read.validate()?;
    Ok(read)
}

/// A report. Errors: `internal`.
pub fn agent_report(host: Host, report: &AgentReport) -> Result<Value> {
    Ok(renamed(host, report.to_json()?))
}

/// A row for each trial and scorer.
pub fn agent_rows(host: Host, report: &AgentReport) -> Value {
    renamed(host, json!(report.rows()))
}

/// What differs between two reports.
pub fn agent_comparison(host: Host, comparison: &AgentComparison) -> Value {
    renamed(host, json!(comparison))
}

/// What is other than in a recorded run: `instructions`, `seed`, `budget`, `live`. Errors: `invalid_argument`.
pub fn change(host: Host, given: Value, model: Option<Model>) -> Result<Change> {
    let mut options = Options::new(host, "options of a replay", given)?;
    let change = Change {
        model,
        instructions: options.take("instructions", "a text")?,
        seed: options.take("seed", "a whole number from 0")?,
        budget: options.value("budget").map(|given| budget(host, given)).transpose()?,
        live: options.take("live", "true or false")?.unwrap_or(false),
        ..Change::default()
    };
    options.done()?;
    Ok(change)
}

/// A recorded run that was asked again. Errors: `internal`.
pub fn replayed(host: Host, replayed: &Replayed) -> Result<Value> {
    let mut out = renamed(
        host,
        json!({
            "original": replayed.original, "differences": replayed.differences, "same": replayed.same,
            "live": replayed.live, "difference_text": replayed.difference_text(),
        }),
    );
    out["before"] = answer(host, &replayed.before)?;
    out["answer"] = answer(host, &replayed.answer)?;
    Ok(out)
}
