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
use super::{budget, named, renamed};
use crate::{Given, Host, Options, typed};

/// Tasks: a list of objects, the path of a YAML file, or a list with paths among the objects. The members of an object may have
/// the names of files too, which are the same for every host. Errors: those of reading tasks.
pub fn tasks(host: Host, given: &Value) -> Result<Vec<Task>> {
    match given {
        Value::String(path) => load_tasks(path),
        Value::Array(items) => {
            let mut tasks = Vec::new();
            for (i, item) in items.iter().enumerate() {
                match item {
                    Value::String(path) => tasks.extend(load_tasks(path)?),
                    item => {
                        tasks.push(task_of(host, item).map_err(|e| e.context(format_args!("tasks[{i}]")))?)
                    }
                }
            }
            Ok(tasks)
        }
        _ => Err(Error::invalid("tasks are no list of tasks and no path of a file of them")),
    }
}

/// Members of what a task expects whose names have more than one word.
const EXPECTED: [&str; 2] = ["json_path", "not_contains"];

fn task_of(host: Host, given: &Value) -> Result<Task> {
    let mut given = given.clone();
    for name in EXPECTED {
        rename(&mut given, &host.name(name), name);
    }
    Task::from_json(&given)
        .map_err(|error| named(host, error, &EXPECTED.map(|name| format!("expect.{name}"))))
}

/// A task.
pub fn task(host: Host, task: &Task) -> Value {
    let mut out = json!(task);
    for name in EXPECTED {
        rename(&mut out, name, &host.name(name));
    }
    out
}

/// Gives a member of what a task expects another name, unless there is one of that name too.
fn rename(task: &mut Value, from: &str, to: &str) {
    let Some(expect) = task.get_mut("expect").and_then(Value::as_object_mut) else { return };
    if from != to
        && !expect.contains_key(to)
        && let Some(value) = expect.remove(from)
    {
        expect.insert(to.to_owned(), value);
    }
}

/// The tasks that ship, by the id of their agent.
pub fn golden(host: Host) -> Result<Value> {
    let all = |tasks: &Vec<Task>| tasks.iter().map(|one| task(host, one)).collect::<Value>();
    Ok(Value::Object(golden_tasks()?.iter().map(|(agent, tasks)| (agent.clone(), all(tasks))).collect()))
}

/// What a function of the host said about an answer: `true`, `false`, nothing where it cannot say, or `{passed, detail}`.
/// Errors: `invalid_argument`.
pub fn verdict(host: Host, given: Value) -> Result<(Option<bool>, String)> {
    match given {
        Value::Null => Ok((None, String::new())),
        Value::Bool(passed) => Ok((Some(passed), String::new())),
        Value::Object(_) => {
            let mut options = Options::new(host, "members of a verdict", given)?;
            let passed = options.take("passed", "true, false or null")?;
            let detail: Option<String> = options.take("detail", "a text")?;
            options.done()?;
            Ok((passed, detail.unwrap_or_default()))
        }
        other => Err(Error::invalid(format!(
            "what a scorer gave is {}; true, false, null or {{passed, detail}} is expected",
            quorate_core::shorten(&other.to_string())
        ))),
    }
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

/// How tasks are asked: `repeat`, `seed`, `budget`, `scorers` (names), `threads`, `scorer_seconds`, `trace_parent`. Errors: `invalid_argument`.
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
        scorer_seconds: options.take("scorer_seconds", "seconds")?.unwrap_or(defaults.scorer_seconds),
        trace_parent: options.take("trace_parent", "a W3C traceparent")?,
        scorers,
        ..defaults
    };
    options.done()?;
    read.validate()?;
    Ok(read)
}

/// Members of the totals that are named by how runs ended.
const COUNTED: [&str; 2] = ["statuses", "errors"];

/// A report. Errors: `internal`.
pub fn agent_report(host: Host, report: &AgentReport) -> Result<Value> {
    let mut found = report.to_json()?;
    let counts = COUNTED.map(|name| found["totals"][name].take());
    found = renamed(host, found);
    for (name, count) in COUNTED.into_iter().zip(counts) {
        found["totals"][name] = count;
    }
    Ok(found)
}

/// A report that was kept. Errors: `invalid_argument`.
pub fn agent_report_of(host: Host, given: Given) -> Result<AgentReport> {
    typed::read(host, given, "the report")
}

/// A row for each trial and scorer.
pub fn agent_rows(host: Host, report: &AgentReport) -> Value {
    renamed(host, json!(report.rows()))
}

/// What differs between two reports.
pub fn agent_comparison(host: Host, comparison: &AgentComparison) -> Value {
    renamed(host, json!(comparison))
}

/// What is other than in a recorded run: `instructions`, `seed`, `budget`, `live`, `trace_parent`. Errors: `invalid_argument`.
pub fn change(host: Host, given: Value, model: Option<Model>) -> Result<Change> {
    let mut options = Options::new(host, "options of a replay", given)?;
    let change = Change {
        model,
        instructions: options.take("instructions", "a text")?,
        seed: options.take("seed", "a whole number from 0")?,
        budget: options.value("budget").map(|given| budget(host, given)).transpose()?,
        live: options.take("live", "true or false")?.unwrap_or(false),
        trace_parent: options.take("trace_parent", "a W3C traceparent")?,
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
