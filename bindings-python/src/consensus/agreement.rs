//! How is agreement computed from Python?

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;
use quorate::consensus::agreement::{self, AlphaOptions, IccForm, KappaOptions, Level, Resample, Weights};

use super::ratings::{Cells, Ratings};
use super::{compute, ends};
use crate::choose;
use crate::convert::{report, rows, text};
use crate::errors::OrRaise;
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(krippendorff_alpha, module)?)?;
    module.add_function(wrap_pyfunction!(cohen_kappa, module)?)?;
    module.add_function(wrap_pyfunction!(coefficient, module)?)?;
    module.add_function(wrap_pyfunction!(kendall_w, module)?)?;
    module.add_function(wrap_pyfunction!(icc, module)?)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn krippendorff_alpha<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] level: String,
    #[pyo3(from_py_with = scalar)] bootstrap: usize,
    #[pyo3(from_py_with = scalar)] seed: u64,
    #[pyo3(from_py_with = scalar)] resample: String,
    #[pyo3(from_py_with = scalar)] confidence: f64,
    #[pyo3(from_py_with = scalar)] circumference: Option<f64>,
    poles: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let poles = poles.map(|p| ends(p, "poles")).transpose()?;
    let options = AlphaOptions {
        level: choose(
            "level",
            &level,
            &[
                ("nominal", Level::Nominal),
                ("ordinal", Level::Ordinal),
                ("interval", Level::Interval),
                ("ratio", Level::Ratio),
                ("circular", Level::Circular { circumference }),
                ("bipolar", Level::Bipolar { poles }),
            ],
        )?,
        bootstrap,
        resample: choose("resample", &resample, &[("items", Resample::Items), ("pairs", Resample::Pairs)])?,
        seed,
        confidence,
    };
    let data = Arc::clone(&data.0);
    let alpha = compute(py, move || agreement::krippendorff_alpha(&data, &options))?;
    let out = report(py, &alpha)?;
    out.set_item("level", level)?;
    Ok(out)
}

fn kappa_options(weights: Option<&Bound<'_, PyAny>>, confidence: f64) -> PyResult<KappaOptions> {
    let weights = match weights {
        None => Weights::Identity,
        Some(name) if name.is_instance_of::<PyString>() => choose(
            "weights",
            &text(name, "weights")?,
            &[
                ("identity", Weights::Identity),
                ("linear", Weights::Linear),
                ("quadratic", Weights::Quadratic),
                ("ordinal", Weights::Ordinal),
                ("radical", Weights::Radical),
                ("ratio", Weights::Ratio),
                ("circular", Weights::Circular),
                ("bipolar", Weights::Bipolar),
            ],
        )?,
        Some(table) => Weights::Custom(rows(table, "weights", false)?),
    };
    Ok(KappaOptions { weights, confidence })
}

#[pyfunction]
fn cohen_kappa<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] confidence: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let options = kappa_options(weights, confidence)?;
    let (a, b) = (Cells::read(a, "a")?, Cells::read(b, "b")?);
    let value = compute(py, move || agreement::cohen_kappa(a.column(), b.column(), &options))?;
    report(py, &value)
}

type Method = fn(&quorate::consensus::Ratings, &KappaOptions) -> quorate::Result<agreement::Coefficient>;

#[pyfunction]
fn coefficient<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] method: String,
    data: &Ratings,
    weights: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] confidence: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let method: Method = choose(
        "method",
        &method,
        &[
            ("cohen_kappa", agreement::cohen_kappa_of as Method),
            ("fleiss_kappa", agreement::fleiss_kappa),
            ("scott_pi", agreement::scott_pi),
            ("conger_kappa", agreement::conger_kappa),
            ("light_kappa", agreement::light_kappa),
            ("brennan_prediger", agreement::brennan_prediger),
            ("gwet_ac", agreement::gwet_ac),
            ("percent_agreement", agreement::percent_agreement),
        ],
    )?;
    let options = kappa_options(weights, confidence)?;
    let data = Arc::clone(&data.0);
    let value = compute(py, move || method(&data, &options))?;
    report(py, &value)
}

#[pyfunction]
fn kendall_w<'py>(py: Python<'py>, data: &Ratings) -> PyResult<Bound<'py, PyAny>> {
    let data = Arc::clone(&data.0);
    report(py, &compute(py, move || agreement::kendall_w(&data))?)
}

#[pyfunction]
fn icc<'py>(
    py: Python<'py>,
    data: &Ratings,
    #[pyo3(from_py_with = scalar)] form: String,
    #[pyo3(from_py_with = scalar)] confidence: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let form: IccForm = form.parse().or_raise()?;
    let data = Arc::clone(&data.0);
    report(py, &compute(py, move || agreement::icc(&data, form, confidence))?)
}
