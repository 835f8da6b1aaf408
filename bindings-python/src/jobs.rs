//! How does Python say what somebody tries to get done?

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::Result;
use quorate::workflows::jobs::{JobStory, Stories};
use quorate_bindings::{Host, jobs};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::{Held, blocking, quick};
use crate::errors::OrRaise;
use crate::runtime::options;
use crate::scalar::scalar;
use crate::state::StateStore;
use crate::workflow::WorkflowEngine;

const HOST: Host = Host::Python;

/// The stories of a store; ``quorate.workflows.Stories`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeStories")]
pub struct NativeStories(Held<Stories>);

/// Adds the class and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeStories>()?;
    module.add_function(wrap_pyfunction!(open_stories, module)?)?;
    module.add_function(wrap_pyfunction!(check_story, module)?)?;
    module.add_function(wrap_pyfunction!(parse_story, module)?)?;
    module.add_function(wrap_pyfunction!(generate, module)?)
}

/// The stories of a store's tenant.
#[pyfunction]
fn open_stories(store: &StateStore) -> PyResult<NativeStories> {
    Ok(NativeStories(Held::new(Stories::new(store.handle()?, store.tenant().as_deref()))))
}

/// All members of a story, checked.
#[pyfunction]
fn check_story<'py>(py: Python<'py>, given: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
    let given = options(given, "the members of a story")?;
    let found = quick(py, || Ok(jobs::shown(HOST, &jobs::story(HOST, given)?)))?;
    from_json(py, &found)
}

/// The members of the story that a sentence tells.
#[pyfunction]
fn parse_story<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] text: String,
) -> PyResult<Bound<'py, PyAny>> {
    let found = quick(py, || Ok(jobs::shown(HOST, &JobStory::parse(&text)?)))?;
    from_json(py, &found)
}

/// The draft of a workflow for a story.
#[pyfunction]
fn generate<'py>(
    py: Python<'py>,
    engine: &WorkflowEngine,
    story: &Bound<'py, PyDict>,
    #[pyo3(from_py_with = scalar)] kind: Option<String>,
    customization: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let story = jobs::story(HOST, options(story, "the members of a story")?).or_raise()?;
    let customization = options(customization, "the customization")?["value"].take();
    let engine = engine.handle();
    let found = blocking(py, move |_| {
        let draft = jobs::generate(&engine, &story, kind.as_deref(), &customization)?;
        Ok(jobs::draft(HOST, &draft))
    })?;
    from_json(py, &found)
}

impl NativeStories {
    fn tell<'py>(
        &self,
        py: Python<'py>,
        tell: impl FnOnce(&Stories) -> Result<Value> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stories = self.0.clone();
        let found = blocking(py, move |_| tell(&stories))?;
        from_json(py, &found)
    }
}

#[pymethods]
impl NativeStories {
    fn add<'py>(&self, py: Python<'py>, given: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let story = jobs::story(HOST, options(given, "the members of a story")?).or_raise()?;
        self.tell(py, move |stories| Ok(jobs::kept(HOST, &stories.add(&story)?)))
    }

    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] id: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, move |stories| Ok(jobs::kept(HOST, &stories.get(&id)?)))
    }

    fn list<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] status: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let status = status.as_deref().map(jobs::status).transpose().or_raise()?;
        self.tell(py, move |stories| {
            Ok(stories.list(status)?.iter().map(|one| jobs::kept(HOST, one)).collect())
        })
    }

    fn outcome<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] id: String,
        #[pyo3(from_py_with = scalar)] metric: String,
        #[pyo3(from_py_with = scalar)] value: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, move |stories| Ok(jobs::kept(HOST, &stories.outcome(&id, &metric, value)?)))
    }

    fn abandon<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] id: String,
        #[pyo3(from_py_with = scalar)] abandoned: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, move |stories| Ok(jobs::kept(HOST, &stories.abandon(&id, abandoned)?)))
    }

    fn remove(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] id: String) -> PyResult<()> {
        let stories = self.0.clone();
        blocking(py, move |_| stories.remove(&id))
    }
}
