//! How are panels asked from Python?

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::models::Model;
use quorate::runtime::{PanelOptions, PanelResume};
use quorate_bindings::Host;
use quorate_bindings::runtime::{self, PanelModels, Run};

use crate::convert::from_json;
use crate::door::{CancelToken, blocking};
use crate::errors::OrRaise;
use crate::log::trace_parent;
use crate::models::{LanguageModel, ModelFlow};
use crate::runtime::{Runtime, flow, options, raised};
use crate::scalar::scalar;

const HOST: Host = Host::Python;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(ask_panel, module)?)?;
    module.add_function(wrap_pyfunction!(panel_flow, module)?)?;
    module.add_function(wrap_pyfunction!(resume_panel, module)?)?;
    module.add_function(wrap_pyfunction!(resume_panel_flow, module)?)?;
    module.add_function(wrap_pyfunction!(panel_sessions, module)?)?;
    module.add_function(wrap_pyfunction!(panel_page, module)?)?;
    module.add_function(wrap_pyfunction!(panel_rows, module)?)?;
    module.add_function(wrap_pyfunction!(check_member, module)?)
}

/// The models of members by their places, of the judge and of the chair.
type Models<'py> = (
    Vec<(usize, PyRef<'py, LanguageModel>)>,
    Option<PyRef<'py, LanguageModel>>,
    Option<PyRef<'py, LanguageModel>>,
);

/// The models of members by their ids, and of the judge.
type Given<'py> = (Vec<(String, PyRef<'py, LanguageModel>)>, Option<PyRef<'py, LanguageModel>>);

fn model(given: Option<PyRef<'_, LanguageModel>>) -> Option<Model> {
    given.map(|model| model.model())
}

fn asked(given: &Bound<'_, PyDict>, models: Models<'_>, cancel: &CancelToken) -> PyResult<PanelOptions> {
    let (members, judge, chair) = models;
    let models = PanelModels {
        members: members.into_iter().map(|(at, model)| (at, model.model())).collect(),
        judge: model(judge),
        chair: model(chair),
    };
    let asked = runtime::panel_options(HOST, options(given, "a panel's options")?, models).or_raise()?;
    Ok(PanelOptions { trace_parent: trace_parent(given.py()), cancel: cancel.0.clone(), ..asked })
}

fn going_on(py: Python<'_>, models: Given<'_>, cancel: &CancelToken) -> PanelResume {
    let (members, judge) = models;
    let models = members.into_iter().map(|(id, model)| (id, model.model())).collect();
    PanelResume { models, judge: model(judge), trace_parent: trace_parent(py), cancel: cancel.0.clone() }
}

#[pyfunction]
fn ask_panel<'py>(
    py: Python<'py>,
    experts: &Runtime,
    #[pyo3(from_py_with = scalar)] question: String,
    given: &Bound<'py, PyDict>,
    models: Models<'py>,
    cancel: &CancelToken,
) -> PyResult<Bound<'py, PyAny>> {
    let asked = asked(given, models, cancel)?;
    let experts = experts.0.clone();
    let found = blocking(py, move |host| {
        let _wake = host.cancel.when_raised(raised(&asked.cancel));
        runtime::panel(HOST, &experts.panel(question, asked)?)
    })?;
    from_json(py, &found)
}

/// The events of a panel; the last alone with `whole`.
#[pyfunction]
fn panel_flow(
    experts: &Runtime,
    #[pyo3(from_py_with = scalar)] question: String,
    given: &Bound<'_, PyDict>,
    models: Models<'_>,
    cancel: &CancelToken,
    whole: bool,
) -> PyResult<ModelFlow> {
    let asked = asked(given, models, cancel)?;
    Ok(flow(whole, &experts.0, Run::Panel(question, Box::new(asked))))
}

#[pyfunction]
fn resume_panel<'py>(
    py: Python<'py>,
    experts: &Runtime,
    #[pyo3(from_py_with = scalar)] run_id: String,
    models: Given<'py>,
    cancel: &CancelToken,
) -> PyResult<Bound<'py, PyAny>> {
    let given = going_on(py, models, cancel);
    let experts = experts.0.clone();
    let found = blocking(py, move |host| {
        let _wake = host.cancel.when_raised(raised(&given.cancel));
        runtime::panel(HOST, &experts.resume_panel(&run_id, given)?)
    })?;
    from_json(py, &found)
}

/// The events of a panel that goes on; the last alone with `whole`.
#[pyfunction]
fn resume_panel_flow(
    py: Python<'_>,
    experts: &Runtime,
    #[pyo3(from_py_with = scalar)] run_id: String,
    models: Given<'_>,
    cancel: &CancelToken,
    whole: bool,
) -> ModelFlow {
    let given = going_on(py, models, cancel);
    flow(whole, &experts.0, Run::ResumePanel(run_id, Box::new(given)))
}

/// The panels of the runtime's tenant, as lists show them.
#[pyfunction]
fn panel_sessions<'py>(py: Python<'py>, experts: &Runtime) -> PyResult<Bound<'py, PyList>> {
    let experts = experts.0.clone();
    let found = blocking(py, move |_| experts.panels())?;
    let found = found.iter().map(|one| from_json(py, &runtime::session(HOST, one)));
    PyList::new(py, found.collect::<PyResult<Vec<_>>>()?)
}

/// The page of a panel's answer; `part`: for a page of another's.
#[pyfunction]
fn panel_page(py: Python<'_>, answer: &Bound<'_, PyDict>, part: bool) -> PyResult<String> {
    let given = options(answer, "a panel's answer")?;
    blocking(py, move |_| runtime::page(HOST, given, part))
}

/// A row for each ballot of a panel's answer and each missing one.
#[pyfunction]
fn panel_rows<'py>(py: Python<'py>, answer: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let given = options(answer, "a panel's answer")?;
    let rows = blocking(py, move |_| runtime::rows(HOST, given))?;
    from_json(py, &rows)
}

/// Refuses what a member cannot be.
#[pyfunction]
fn check_member(given: &Bound<'_, PyDict>) -> PyResult<()> {
    runtime::check_member(HOST, &options(given, "a member's options")?).or_raise()
}
