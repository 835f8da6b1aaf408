//! How is truth inferred from Python?

use std::sync::Arc;

use numpy::PyArrayMethods;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::consensus::Label;
use quorate::consensus::truth::{
    self, EmOptions, GladOptions, KosOptions, MaceMethod, MaceOptions, MsrOptions, Truth,
    ZeroBasedSkillOptions,
};

use super::compute;
use super::ratings::{Ratings, pairs};
use crate::choose;
use crate::convert::{array1, array2, floats, from_labels, label};
use crate::errors::invalid;
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(majority_vote, module)?)?;
    module.add_function(wrap_pyfunction!(wawa, module)?)?;
    module.add_function(wrap_pyfunction!(dawid_skene, module)?)?;
    module.add_function(wrap_pyfunction!(glad, module)?)?;
    module.add_function(wrap_pyfunction!(mace, module)?)?;
    module.add_function(wrap_pyfunction!(kos, module)?)?;
    module.add_function(wrap_pyfunction!(m_msr, module)?)?;
    module.add_function(wrap_pyfunction!(zero_based_skill, module)?)
}

fn infer<'py>(
    py: Python<'py>,
    data: &Ratings,
    method: impl FnOnce(&quorate::consensus::Ratings) -> quorate::Result<Truth> + Send + 'static,
) -> PyResult<Bound<'py, PyDict>> {
    let data = Arc::clone(&data.0);
    let truth = compute(py, move || method(&data))?;
    let (n, k, r) = (truth.items.len(), truth.classes.len(), truth.raters.len());
    let out = PyDict::new(py);
    out.set_item("method", truth.method)?;
    out.set_item("items", from_labels(py, &truth.items)?)?;
    out.set_item("item_labels", from_labels(py, &truth.labels)?)?;
    out.set_item("classes", from_labels(py, &truth.classes)?)?;
    out.set_item("probability_array", array2(py, truth.probabilities, n, k)?)?;
    out.set_item("raters", from_labels(py, &truth.raters)?)?;
    out.set_item("rater_skills", truth.skills)?;
    let confusion = truth.confusion.map(|c| array1(py, c)?.reshape([r, k, k])).transpose()?;
    out.set_item("confusion_array", confusion)?;
    out.set_item("class_shares", truth.class_prior)?;
    out.set_item("item_difficulty", truth.difficulty)?;
    out.set_item("log_likelihood", truth.log_likelihood)?;
    out.set_item("iterations", truth.iterations)?;
    out.set_item("converged", truth.converged)?;
    out.set_item("ties", from_labels(py, &truth.ties)?)?;
    Ok(out)
}

fn gold(given: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(Label, Label)>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    pairs(given, "gold", |value, what| {
        label(value, what)?.ok_or_else(|| invalid(format!("{what} is missing")))
    })
}

#[pyfunction]
fn majority_vote<'py>(py: Python<'py>, data: &Ratings) -> PyResult<Bound<'py, PyDict>> {
    infer(py, data, truth::majority_vote)
}

#[pyfunction]
fn wawa<'py>(py: Python<'py>, data: &Ratings) -> PyResult<Bound<'py, PyDict>> {
    infer(py, data, truth::wawa)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn dawid_skene<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] one_coin: bool,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] prior_class: f64,
    #[pyo3(from_py_with = scalar)] prior_correct: f64,
    #[pyo3(from_py_with = scalar)] prior_wrong: f64,
    gold: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let options =
        EmOptions { max_iter, tol, prior_class, prior_correct, prior_wrong, gold: self::gold(gold)? };
    infer(py, data, move |data| {
        if one_coin { truth::one_coin(data, &options) } else { truth::dawid_skene(data, &options) }
    })
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn glad<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] ability_mean: f64,
    #[pyo3(from_py_with = scalar)] easiness_mean: f64,
    class_prior: Option<&Bound<'py, PyAny>>,
    gold: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let class_prior = class_prior.map(|p| floats(p, "class_prior", false)).transpose()?;
    let options =
        GladOptions { max_iter, tol, ability_mean, easiness_mean, class_prior, gold: self::gold(gold)? };
    infer(py, data, move |data| truth::glad(data, &options))
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn mace<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] restarts: usize,
    #[pyo3(from_py_with = scalar)] seed: u64,
    #[pyo3(from_py_with = scalar)] method: String,
    gold: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let methods = [("variational", MaceMethod::Variational), ("em", MaceMethod::Em)];
    let options = MaceOptions {
        max_iter,
        tol,
        restarts,
        seed,
        method: choose("method", &method, &methods)?,
        gold: self::gold(gold)?,
        ..MaceOptions::default()
    };
    infer(py, data, move |data| truth::mace(data, &options))
}

#[pyfunction]
fn kos<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let options = KosOptions { max_iter, tol, seed };
    infer(py, data, move |data| truth::kos(data, &options))
}

#[pyfunction]
fn m_msr<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let options = MsrOptions { max_iter, tol, seed };
    infer(py, data, move |data| truth::m_msr(data, &options))
}

#[pyfunction]
fn zero_based_skill<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] learning_rate: f64,
    #[pyo3(from_py_with = scalar)] reduce_every: usize,
    #[pyo3(from_py_with = scalar)] reduce_by: f64,
) -> PyResult<Bound<'py, PyDict>> {
    let options = ZeroBasedSkillOptions { max_iter, learning_rate, reduce_every, reduce_by };
    infer(py, data, move |data| truth::zero_based_skill(data, &options))
}
