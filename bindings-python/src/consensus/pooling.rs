//! How are probability judgements pooled and scored from Python?

use pyo3::prelude::*;
use quorate::consensus::pooling::{self, Background, CookeConfig, Opinions};
use quorate::consensus::{density, minority};

use super::compute;
use crate::choose;
use crate::convert::{array1, booleans, floats, indices, is_flat, report, rows, sequence};
use crate::door::quick;
use crate::errors::{OrRaise, shape};
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(pool, module)?)?;
    module.add_function(wrap_pyfunction!(density_pool, module)?)?;
    module.add_function(wrap_pyfunction!(cooke_weights, module)?)?;
    module.add_function(wrap_pyfunction!(brier_score, module)?)?;
    module.add_function(wrap_pyfunction!(log_score, module)?)?;
    module.add_function(wrap_pyfunction!(order_effect, module)?)?;
    module.add_function(wrap_pyfunction!(surprisingly_popular, module)?)?;
    module.add_function(wrap_pyfunction!(bayesian_truth_serum, module)?)
}

/// Opinions, and whether they are probabilities of one event.
pub fn opinions(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(Opinions, bool)> {
    if is_flat(value)? {
        Ok((Opinions::from_event(&floats(value, what, false)?).or_raise()?, true))
    } else {
        Ok((Opinions::from_rows(&rows(value, what, false)?).or_raise()?, false))
    }
}

/// Weights, if given.
pub fn weights_of(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<f64>>> {
    value.map(|w| floats(w, "weights", false)).transpose()
}

/// The probability of the event, or an array over the outcomes.
#[pyfunction]
fn pool<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] method: String,
    p: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] a: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (opinions, event) = opinions(p, "p")?;
    let weights = weights_of(weights)?;
    let method = choose("method", &method, &[("linear", 0u8), ("log", 1), ("extremized", 2)])?;
    let pooled = quick(py, || match method {
        0 => pooling::linear_pool(&opinions, weights.as_deref()),
        1 => pooling::log_pool(&opinions, weights.as_deref()),
        _ => pooling::extremized_pool(&opinions, weights.as_deref(), a),
    })?;
    match pooled.first() {
        Some(first) if event => Ok(first.into_pyobject(py)?.into_any()),
        _ => Ok(array1(py, pooled)?.into_any()),
    }
}

#[pyfunction]
fn density_pool<'py>(
    py: Python<'py>,
    p: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (opinions, _) = opinions(p, "p")?;
    let weights = weights_of(weights)?;
    let pooled = compute(py, move || density::density_pool(&opinions, weights.as_deref()))?;
    report(py, &pooled)
}

#[pyfunction]
fn cooke_weights<'py>(
    py: Python<'py>,
    seeds: &Bound<'py, PyAny>,
    answers: &Bound<'py, PyAny>,
    probabilities: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] cutoff: f64,
    #[pyo3(from_py_with = scalar)] overshoot: f64,
    #[pyo3(from_py_with = scalar)] background: String,
) -> PyResult<Bound<'py, PyAny>> {
    let seeds = sequence(seeds, "seeds")?
        .enumerate()
        .map(|(i, expert)| rows(&expert?, &format!("seeds[{i}]"), false))
        .collect::<PyResult<Vec<_>>>()?;
    let answers = floats(answers, "answers", false)?;
    let defaults = CookeConfig::default();
    let config = CookeConfig {
        probabilities: probabilities
            .map_or_else(|| Ok(defaults.probabilities), |p| floats(p, "probabilities", false))?,
        cutoff,
        overshoot,
        background: choose(
            "background",
            &background,
            &[("uniform", Background::Uniform), ("log_uniform", Background::LogUniform)],
        )?,
    };
    report(py, &quick(py, || pooling::cooke_weights(&seeds, &answers, &config))?)
}

#[pyfunction]
fn brier_score(py: Python<'_>, p: &Bound<'_, PyAny>, outcomes: &Bound<'_, PyAny>) -> PyResult<f64> {
    if is_flat(p)? {
        let (p, outcomes) = (floats(p, "p", false)?, booleans(outcomes, "outcomes")?);
        return quick(py, || pooling::brier_score(&p, &outcomes));
    }
    let ((p, _), outcomes) = (opinions(p, "p")?, indices(outcomes, "outcomes")?);
    quick(py, || pooling::brier_score_multi(&p, &outcomes))
}

#[pyfunction]
fn log_score(
    py: Python<'_>,
    p: &Bound<'_, PyAny>,
    outcomes: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = scalar)] clip: f64,
) -> PyResult<f64> {
    if is_flat(p)? {
        let (p, outcomes) = (floats(p, "p", false)?, booleans(outcomes, "outcomes")?);
        return quick(py, || pooling::log_score(&p, &outcomes, clip));
    }
    let ((p, _), outcomes) = (opinions(p, "p")?, indices(outcomes, "outcomes")?);
    quick(py, || pooling::log_score_multi(&p, &outcomes, clip))
}

#[pyfunction]
fn order_effect<'py>(
    py: Python<'py>,
    ab: &Bound<'py, PyAny>,
    ba: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let four = |value: &Bound<'py, PyAny>, what: &str| -> PyResult<[f64; 4]> {
        floats(value, what, false)?
            .try_into()
            .map_err(|v: Vec<f64>| shape(format!("{what} has {} numbers; four are expected", v.len())))
    };
    let (ab, ba) = (four(ab, "ab")?, four(ba, "ba")?);
    report(py, &quick(py, || density::order_effect(ab, ba))?)
}

#[pyfunction]
fn surprisingly_popular<'py>(
    py: Python<'py>,
    votes: &Bound<'py, PyAny>,
    predictions: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let votes = indices(votes, "votes")?;
    let predictions = Opinions::from_rows(&rows(predictions, "predictions", false)?).or_raise()?;
    let weights = weights_of(weights)?;
    report(py, &quick(py, || minority::surprisingly_popular(&votes, &predictions, weights.as_deref()))?)
}

#[pyfunction]
fn bayesian_truth_serum<'py>(
    py: Python<'py>,
    votes: &Bound<'py, PyAny>,
    predictions: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] alpha: f64,
    #[pyo3(from_py_with = scalar)] clip: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let votes = indices(votes, "votes")?;
    let predictions = Opinions::from_rows(&rows(predictions, "predictions", false)?).or_raise()?;
    report(py, &quick(py, || minority::bayesian_truth_serum(&votes, &predictions, alpha, clip))?)
}
