//! How are rankings judged from Node?

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::rag::eval::{Qrels, Run};
use quorate::{Code, Error, Result};
use serde_json::{Map, Value, json};

use crate::convert::{Out, arg, boolean, marked, nested, number, report, text, texts, whole};
use crate::door::{Lane, NativeCancel, Promised, flag, promise};
use crate::errors::Thrown;
use crate::value::Given;

fn run(given: Given, what: &str) -> Result<Run> {
    nested(given, what, number)
}

fn qrels(given: Given, what: &str) -> Result<Qrels> {
    nested(given, what, grade)
}

/// A grade: a whole number.
fn grade(given: Given, what: &str) -> Result<i64> {
    let x = number(given, what)?;
    match x.fract() == 0.0 && x.abs() < 9e15 {
        true => Ok(x as i64),
        false => Err(Error::invalid(format!("{what} is {x}; a whole number is expected"))),
    }
}

fn row(names: impl IntoIterator<Item = (String, f64)>) -> Value {
    Value::Object(names.into_iter().map(|(name, value)| (name, value.into())).collect::<Map<_, _>>())
}

/// `[metric, mean]` pairs, or with `per_query` `[query, {metric: value}]` pairs, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn evaluate(
    env: Env,
    run: Unknown<'_>,
    qrels: Unknown<'_>,
    metrics: Unknown<'_>,
    per_query: Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let run = arg(&env, &run, "run", self::run)?;
    let qrels = arg(&env, &qrels, "qrels", self::qrels)?;
    let metrics = arg(&env, &metrics, "metrics", texts)?;
    let per_query = arg(&env, &per_query, "perQuery", boolean)?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || {
        let names: Vec<&str> = metrics.iter().map(String::as_str).collect();
        let found = flag.cover(|| quorate::evaluate(&run, &qrels, &names))?;
        let pairs: Vec<Value> = match per_query {
            true => found
                .per_query
                .iter()
                .map(|(query, values)| {
                    json!([query, row(metrics.iter().cloned().zip(values.iter().copied()))])
                })
                .collect(),
            false => found.means.iter().map(|(name, value)| json!([name, value])).collect(),
        };
        Ok(Out::Text(Value::Array(pairs).to_string()))
    })
}

/// Fisher's paired randomisation test, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn compare(
    env: Env,
    run_a: Unknown<'_>,
    run_b: Unknown<'_>,
    qrels: Unknown<'_>,
    metric: Unknown<'_>,
    seed: Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let (a, b) = (arg(&env, &run_a, "runA", run)?, arg(&env, &run_b, "runB", run)?);
    let qrels = arg(&env, &qrels, "qrels", self::qrels)?;
    let metric = arg(&env, &metric, "metric", text)?;
    let seed = arg(&env, &seed, "seed", whole)?;
    let flag = flag(cancel);
    let work = move || quorate::compare(&a, &b, &qrels, &metric, seed);
    promise(&env, Lane::Slow, move || report(&flag.cover(work)?))
}

/// A folder in the format of BEIR, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn load_beir(
    env: Env,
    folder: Unknown<'_>,
    split: Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let folder = arg(&env, &folder, "folder", text)?;
    let split = arg(&env, &split, "split", text)?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || {
        let dataset = flag.cover(|| quorate::load_beir(folder, &split))?;
        let corpus: Vec<Value> = dataset
            .corpus
            .iter()
            .map(|d| {
                let metadata = marked(Value::Object(d.metadata.clone()));
                json!({ "id": d.id, "title": d.title, "text": d.text, "metadata": metadata })
            })
            .collect();
        let out = json!({ "corpus": corpus, "queries": dataset.queries, "qrels": dataset.qrels });
        Ok(Out::Text(out.to_string()))
    })
}

/// A run in TREC's six columns, as JSON.
#[napi(ts_return_type = "Promise<string>")]
pub fn read_trec_run(env: Env, path: Unknown<'_>, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
    let path = arg(&env, &path, "path", text)?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || {
        let run = flag.cover(|| quorate::read_trec_run(path))?;
        serde_json::to_string(&run)
            .map(Out::Text)
            .map_err(|e| Error::new(Code::Internal, format!("a run could not be converted: {e}")))
    })
}

/// Writes a run in TREC's six columns.
#[napi(ts_return_type = "Promise<void>")]
pub fn write_trec_run(env: Env, run: Unknown<'_>, path: Unknown<'_>) -> Result<Promised, Thrown> {
    let run = arg(&env, &run, "run", self::run)?;
    let path = arg(&env, &path, "path", text)?;
    promise(&env, Lane::Slow, move || quorate::write_trec_run(&run, path).map(|()| Out::Nothing))
}
