//! How good is retrieval, and how good are the experts?

use std::collections::BTreeMap;
use std::path::Path;

use quorate::rag::eval::{Qrels, Run, evaluate};
use quorate::rag::{GroupBy, SearchOptions};
use quorate::runtime::{EvaluateOptions, evaluate_agents, load_tasks};
use quorate::{Code, Error, Result};
use quorate_bindings::Host;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{filter, mode, panel};
use crate::args::{Eval, Of};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{exit, input, model, text};

/// The measures that nobody has named.
const METRICS: [&str; 4] = ["ndcg@10", "recall@10", "mrr@10", "p@5"];
/// The deepest cutoff of those, which a search must reach.
const DEPTH: usize = 100;

pub(crate) fn run(given: Eval, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let of = match given.of {
        Some(of) => of,
        None => match given.file.extension().and_then(|ending| ending.to_str()) {
            Some("yaml" | "yml") => Of::Agents,
            Some("jsonl" | "ndjson" | "json") => Of::Retrieval,
            _ => {
                return Err(Failure::usage(
                    "the name of the file does not say what it holds; say --of retrieval or --of agents",
                ));
            }
        },
    };
    match of {
        Of::Retrieval => retrieval(given, place, console).map(|()| exit::DONE),
        Of::Agents => agents(given, place, console),
    }
}

/// A line of a file of questions.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    id: Option<String>,
    #[serde(alias = "query", alias = "text")]
    question: String,
    relevant: Relevant,
}

/// The documents that are relevant.
#[derive(Deserialize)]
#[serde(untagged)]
enum Relevant {
    One(String),
    Many(Vec<String>),
    Graded(BTreeMap<String, i64>),
}

impl Relevant {
    fn grades(self) -> BTreeMap<String, i64> {
        match self {
            Relevant::One(id) => [(id, 1)].into(),
            Relevant::Many(ids) => ids.into_iter().map(|id| (id, 1)).collect(),
            Relevant::Graded(grades) => grades,
        }
    }
}

/// Questions by id, and what is relevant. Errors: `load_failed` with the line, `duplicate_id`, `empty_input`.
fn questions(path: &Path) -> Result<(Vec<(String, String)>, Qrels)> {
    let text = input::file(path)?;
    let failed = |at: String, what: &dyn std::fmt::Display| {
        Error::new(Code::LoadFailed, format!("{}{at}: {what}", path.display()))
    };
    let mut all: Vec<Asked> = Vec::new();
    if text.trim_start().starts_with('[') {
        all = serde_json::from_str(&text).map_err(|e| failed(format!(":{}", e.line()), &e))?;
    } else {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            all.push(serde_json::from_str(line).map_err(|e| failed(format!(":{number}"), &e))?);
        }
    }
    let mut asked = Vec::with_capacity(all.len());
    let mut qrels = Qrels::new();
    for (number, one) in (1..).zip(all) {
        let id = one.id.unwrap_or_else(|| number.to_string());
        if one.question.trim().is_empty() {
            return Err(failed(format!(": question '{}'", quorate::core::shorten(&id)), &"it has no words"));
        }
        if qrels.insert(id.clone(), one.relevant.grades()).is_some() {
            let message =
                format!("{}: question '{}' is there twice", path.display(), quorate::core::shorten(&id));
            return Err(Error::new(Code::DuplicateId, message));
        }
        asked.push((id, one.question));
    }
    match asked.is_empty() {
        true => Err(Error::new(Code::EmptyInput, format!("{}: there are no questions", path.display()))),
        false => Ok((asked, qrels)),
    }
}

fn retrieval(given: Eval, place: &Place, console: &mut Console) -> Result<(), Failure> {
    let (asked, qrels) = questions(&given.file)?;
    let metrics: Vec<&str> = match given.metric.is_empty() {
        true => METRICS.to_vec(),
        false => given.metric.iter().map(String::as_str).collect(),
    };
    // A measure that there is not is said before anything is searched.
    evaluate(&Run::new(), &qrels, &metrics)?;
    let cutoff = |name: &&str| name.split_once('@').and_then(|(_, k)| k.parse::<usize>().ok());
    let k = metrics.iter().filter_map(cutoff).max().unwrap_or(DEPTH).clamp(DEPTH, SearchOptions::MAX_K);
    let options = SearchOptions {
        k,
        mode: mode(given.mode),
        filter: filter(given.filter.as_deref())?,
        group_by: Some(GroupBy::Doc),
        cancel: console.cancel(),
        ..SearchOptions::default()
    };
    let kb = place.read(console)?;
    let bar = console.progress("searching");
    let told = bar.told();
    let mut run = Run::new();
    let mut unknown: Vec<String> = Vec::new();
    for (done, (id, question)) in asked.iter().enumerate() {
        if let Some(told) = &told {
            told(done, asked.len());
        }
        let hits = kb.search(question, &options)?;
        let scores = hits.iter().map(|hit| (hit.doc_id().to_owned(), f64::from(hit.score())));
        run.insert(id.clone(), scores.collect());
    }
    drop(bar);
    for id in qrels.values().flat_map(BTreeMap::keys) {
        if !unknown.contains(id) && kb.get(id).is_err() {
            unknown.push(id.clone());
        }
    }
    if let Some(first) = unknown.first() {
        let shown = quorate::core::shorten(first);
        console.warn(
            Code::UnknownId.as_str(),
            &format!("{} of the relevant documents are not there, the first is '{shown}'", unknown.len()),
        );
    }
    let report = evaluate(&run, &qrels, &metrics)?;
    if console.is_json() {
        let mut out = serde_json::Map::new();
        let metrics: serde_json::Map<String, Value> =
            report.means.iter().map(|(name, mean)| (name.clone(), json!(mean))).collect();
        out.insert("metrics".to_owned(), metrics.into());
        out.insert("questions".to_owned(), json!(asked.len()));
        if given.per_query {
            let names: Vec<&String> = report.means.iter().map(|(name, _)| name).collect();
            let values = |values: &Vec<f64>| -> Value {
                names.iter().zip(values).map(|(name, value)| ((*name).clone(), json!(value))).collect()
            };
            let all = report.per_query.iter().map(|(id, all)| (id.clone(), values(all)));
            out.insert("per_query".to_owned(), Value::Object(all.collect()));
        }
        return console.document(&out);
    }
    let mut table = Table::new(["MEASURE", "MEAN"]).right([1]);
    for (name, mean) in &report.means {
        table.row([name.clone(), format!("{mean:.4}")]);
    }
    console.table(&table)?;
    if given.per_query {
        for (id, values) in &report.per_query {
            let values: Vec<String> = report
                .means
                .iter()
                .zip(values)
                .map(|((name, _), value)| format!("{name} {value:.3}"))
                .collect();
            console.say_cut(&format!("{}: {}", text::line(id), values.join(", ")))?;
        }
    }
    console.note(&super::count(asked.len(), "question"));
    Ok(())
}

fn agents(given: Eval, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let tasks = load_tasks(&given.file)?;
    if let Some(path) = &given.html {
        panel::check_file(path)?;
    }
    let kb = place.read(console)?;
    let registry = place.agents()?;
    let runtime = place.runtime(console, &kb, &given.answering, Some(registry))?;
    let bar = console.progress("asking");
    let options = EvaluateOptions {
        repeat: given.repeat,
        seed: given.seed,
        budget: model::budget(&given.answering)?,
        cancel: console.cancel(),
        progress: bar.told(),
        ..EvaluateOptions::default()
    };
    let report = evaluate_agents(&runtime, &tasks, &options)?;
    drop(bar);
    if let Some(path) = &given.html {
        panel::write(path, &report.report_html())?;
    }
    let code = match report.stopped_by.as_deref() {
        None => exit::DONE,
        Some("cancelled") => exit::CANCELLED,
        Some(_) => exit::REFUSED,
    };
    if console.is_json() {
        console.document(&quorate_bindings::runtime::agent_report(Host::Python, &report)?)?;
        return Ok(code);
    }
    let mut table = Table::new(["SCORER", "PASSED", "TRIALS", "RATE", "95 % INTERVAL"]).right([1, 2, 3, 4]);
    for metric in &report.metrics {
        let rate = metric.pass_rate.map_or_else(|| "-".to_owned(), |rate| format!("{:.0} %", 100.0 * rate));
        let (low, high) = metric.interval;
        let interval = format!("{:.0}..{:.0} %", 100.0 * low, 100.0 * high);
        table.row([
            metric.scorer.clone(),
            metric.passed.to_string(),
            metric.trials.to_string(),
            rate,
            interval,
        ]);
    }
    match table.is_empty() {
        true => console.note("no scorer had anything to look for"),
        false => console.table(&table)?,
    }
    for trial in report.trials.iter().filter(|trial| trial.error.is_some()) {
        let (code, message) = (trial.error.as_deref().unwrap_or_default(), trial.message.as_deref());
        let message = text::line(message.unwrap_or_default());
        console.say_cut(&format!("{}: {message} [{code}]", text::line(&trial.task)))?;
    }
    Ok(code)
}
