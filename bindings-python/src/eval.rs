//! How are rankings judged from Python?

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::rag::eval::{Qrels, Run};

use crate::convert::{from_json, grade, nested, report, score, texts};
use crate::door::blocking;
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(compare, module)?)?;
    module.add_function(wrap_pyfunction!(load_beir, module)?)?;
    module.add_function(wrap_pyfunction!(read_trec_run, module)?)?;
    module.add_function(wrap_pyfunction!(write_trec_run, module)?)
}

fn run_of(value: &Bound<'_, PyAny>, what: &str) -> PyResult<Run> {
    nested(value, what, score)
}

fn qrels_of(value: &Bound<'_, PyAny>) -> PyResult<Qrels> {
    nested(value, "qrels", grade)
}

#[pyfunction]
fn evaluate<'py>(
    py: Python<'py>,
    run: &Bound<'py, PyAny>,
    qrels: &Bound<'py, PyAny>,
    metrics: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] per_query: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let (run, qrels, metrics) = (run_of(run, "run")?, qrels_of(qrels)?, texts(metrics, "metrics")?);
    let names = metrics.clone();
    let evaluation = blocking(py, move |host| {
        let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
        host.cancel.cover(|| quorate::evaluate(&run, &qrels, &metrics))
    })?;
    let out = PyDict::new(py);
    if per_query {
        for (query, values) in &evaluation.per_query {
            let row = PyDict::new(py);
            for (name, value) in names.iter().zip(values) {
                row.set_item(name, value)?;
            }
            out.set_item(query, row)?;
        }
    } else {
        for (name, value) in &evaluation.means {
            out.set_item(name, value)?;
        }
    }
    Ok(out)
}

#[pyfunction]
fn compare<'py>(
    py: Python<'py>,
    run_a: &Bound<'py, PyAny>,
    run_b: &Bound<'py, PyAny>,
    qrels: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] metric: String,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let (a, b, qrels) = (run_of(run_a, "run_a")?, run_of(run_b, "run_b")?, qrels_of(qrels)?);
    let comparison =
        blocking(py, move |host| host.cancel.cover(|| quorate::compare(&a, &b, &qrels, &metric, seed)))?;
    report(py, &comparison)
}

#[pyfunction]
fn load_beir<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] folder: PathBuf,
    #[pyo3(from_py_with = scalar)] split: String,
) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let dataset = blocking(py, move |host| host.cancel.cover(|| quorate::load_beir(folder, &split)))?;
    let corpus = PyList::empty(py);
    for document in &dataset.corpus {
        let row = PyDict::new(py);
        row.set_item("id", &document.id)?;
        row.set_item("title", &document.title)?;
        row.set_item("text", &document.text)?;
        let metadata = PyDict::new(py);
        for (key, value) in &document.metadata {
            metadata.set_item(key, from_json(py, value)?)?;
        }
        row.set_item("metadata", metadata)?;
        corpus.append(row)?;
    }
    let queries = PyDict::new(py);
    for (id, text) in &dataset.queries {
        queries.set_item(id, text)?;
    }
    Ok((corpus, queries, from_nested(py, &dataset.qrels)?))
}

#[pyfunction]
fn read_trec_run(
    py: Python<'_>,
    #[pyo3(from_py_with = scalar)] path: PathBuf,
) -> PyResult<Bound<'_, PyDict>> {
    let run = blocking(py, move |host| host.cancel.cover(|| quorate::read_trec_run(path)))?;
    from_nested(py, &run)
}

#[pyfunction]
fn write_trec_run(
    py: Python<'_>,
    run: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = scalar)] path: PathBuf,
) -> PyResult<()> {
    let run = run_of(run, "run")?;
    blocking(py, move |host| host.cancel.cover(|| quorate::write_trec_run(&run, path)))
}

fn from_nested<'py, T: Copy + IntoPyObject<'py>>(
    py: Python<'py>,
    value: &std::collections::BTreeMap<String, std::collections::BTreeMap<String, T>>,
) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    for (query, documents) in value {
        let row = PyDict::new(py);
        for (document, &number) in documents {
            row.set_item(document, number)?;
        }
        out.set_item(query, row)?;
    }
    Ok(out)
}
