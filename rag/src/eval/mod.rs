//! How good is a ranking?
//!
//! Measures follow trec_eval (NIST): documents are ordered by score as a 32-bit float, ties by document id in
//! descending order; a grade of 1 or more is relevant; a query without relevant documents scores 0. Unlike plain
//! trec_eval, and like its `-c`, a judged query that the run lacks counts as 0, so that silence earns nothing.

mod beir;
mod metrics;
mod significance;
mod trec;

pub use beir::{BeirDataset, BeirDocument, load_beir};
pub use metrics::Metric;
pub use significance::{Comparison, compare};
pub use trec::{MAX_RUN_BYTES, read_trec_qrels, read_trec_run, write_trec_run};

use std::collections::BTreeMap;

use quorate_core::{Cancel, Code, Error, Result};
use serde::Serialize;

/// Scores by query and document.
pub type Run = BTreeMap<String, BTreeMap<String, f64>>;

/// Relevance grades by query and document; 0 is judged and not relevant, below 0 is unjudged.
pub type Qrels = BTreeMap<String, BTreeMap<String, i64>>;

/// Means over the judged queries, and the values of each query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Metric name to mean, in the order asked for.
    pub means: Vec<(String, f64)>,
    /// Query to values, in the same order.
    pub per_query: BTreeMap<String, Vec<f64>>,
    /// Judged queries that the run lacks; each counts as 0.
    pub missing: Vec<String>,
}

impl Evaluation {
    /// The mean of a metric.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        self.means.iter().find(|(name, _)| name == metric).map(|&(_, value)| value)
    }
}

/// Scores `run` against `qrels`. Queries of the run that are not judged are ignored.
/// Errors: `invalid_argument` (a metric), `empty_input` (no judged query), `not_finite` (a score).
///
/// ```
/// use quorate_rag::eval::{evaluate, Qrels, Run};
/// let run: Run = [("q".into(), [("a".into(), 2.0), ("b".into(), 1.0)].into())].into();
/// let qrels: Qrels = [("q".into(), [("b".into(), 1)].into())].into();
/// let report = evaluate(&run, &qrels, &["mrr@10", "p@5"]).unwrap();
/// assert_eq!(report.mean("mrr@10"), Some(0.5));
/// assert_eq!(report.mean("p@5"), Some(0.2));
/// ```
pub fn evaluate(run: &Run, qrels: &Qrels, metrics: &[&str]) -> Result<Evaluation> {
    let parsed = metrics.iter().map(|name| name.parse()).collect::<Result<Vec<Metric>>>()?;
    if qrels.is_empty() {
        return Err(Error::new(Code::EmptyInput, "qrels hold no query"));
    }
    let mut per_query = BTreeMap::new();
    let mut missing = Vec::new();
    let nothing = BTreeMap::new();
    let cancel = Cancel::current();
    for (query, grades) in qrels {
        cancel.check()?;
        let scores = run.get(query).unwrap_or(&nothing);
        if !run.contains_key(query) {
            missing.push(query.clone());
        }
        if let Some((doc, score)) = scores.iter().find(|(_, score)| score.is_nan()) {
            return Err(Error::new(
                Code::NotFinite,
                format!("run: query '{query}', document '{doc}': {score}"),
            ));
        }
        let judged = metrics::Judged::new(scores, grades);
        per_query.insert(query.clone(), parsed.iter().map(|metric| metric.value(&judged)).collect());
    }
    let mean = |i: usize| per_query.values().map(|v: &Vec<f64>| v[i]).sum::<f64>() / per_query.len() as f64;
    let means = metrics.iter().enumerate().map(|(i, name)| ((*name).to_owned(), mean(i))).collect();
    Ok(Evaluation { means, per_query, missing })
}
