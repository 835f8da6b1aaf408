//! How are the methods of consensus called from Python? By name; results are dicts, to which the package gives classes.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate_bindings::consensus as shared;
use quorate_bindings::{Given, Host};

use crate::answer;
use crate::convert::{from_labels, text};
use crate::door::{blocking, quick};
use crate::errors::OrRaise;
use crate::given;

/// Who rated what how.
#[pyclass(frozen, module = "quorate.consensus", name = "Ratings")]
pub struct Ratings(pub Arc<quorate::consensus::Ratings>);

/// Dawid and Skene's model, kept up to date vote by vote.
#[pyclass(frozen, module = "quorate.consensus", name = "Online")]
pub struct Online(Arc<shared::Online>);

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Ratings>()?;
    module.add_class::<Online>()?;
    module.add_function(wrap_pyfunction!(ratings, module)?)?;
    module.add_function(wrap_pyfunction!(ratings_doubt, module)?)?;
    module.add_function(wrap_pyfunction!(consensus, module)?)
}

/// The arguments of a call, by their names.
fn arguments(given: &Bound<'_, PyDict>) -> PyResult<Given> {
    let argument = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name = text(&name, "the name of an argument")?;
        let value = given::read(&value, &name)?;
        Ok((name, value))
    };
    given.iter().map(argument).collect::<PyResult<_>>().map(Given::Object)
}

/// Runs a method of this name. It stops at Ctrl-C, and when the asyncio task that waits for it is cancelled.
#[pyfunction]
fn consensus<'py>(
    py: Python<'py>,
    name: &Bound<'py, PyAny>,
    given: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let (name, given) = (text(name, "name")?, arguments(given)?);
    let found = match shared::is_quick(Host::Python, &name) {
        true => quick(py, || shared::call(Host::Python, &name, given))?,
        false => blocking(py, move |host| host.cancel.cover(|| shared::call(Host::Python, &name, given)))?,
    };
    answer::write(py, found)
}

/// Ratings from any of the forms that are taken.
#[pyfunction]
fn ratings(py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<Ratings> {
    let given = arguments(given)?;
    quick(py, || shared::make(Host::Python, given)).map(Ratings)
}

/// What to tell the user of a table whose form was not given, where it may be the other way round.
#[pyfunction]
fn ratings_doubt(rows: usize, columns: usize) -> Option<String> {
    quorate::consensus::TableForm::doubt(rows, columns)
}

#[pymethods]
impl Ratings {
    /// The ids of the items, in order of first appearance.
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.items())
    }

    /// The ids of the raters, in order of first appearance.
    #[getter]
    fn raters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.raters())
    }

    /// The values, sorted, or in the order of the domain.
    #[getter]
    fn categories<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        from_labels(py, self.0.categories())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __repr__(&self) -> String {
        format!(
            "Ratings({} ratings of {} items by {} raters in {} categories)",
            self.0.len(),
            self.0.n_items(),
            self.0.n_raters(),
            self.0.n_categories()
        )
    }
}

#[pymethods]
impl Online {
    #[new]
    fn new(given: &Bound<'_, PyDict>) -> PyResult<Self> {
        shared::Online::new(Host::Python, arguments(given)?).map(|model| Online(Arc::new(model))).or_raise()
    }

    fn add(
        &self,
        item: &Bound<'_, PyAny>,
        rater: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (item, rater) = (given::read(item, "item")?, given::read(rater, "rater")?);
        self.0.add(item, rater, given::read(value, "value")?).or_raise()
    }

    fn probabilities<'py>(&self, py: Python<'py>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        answer::write(py, self.0.probabilities(given::read(item, "item")?).or_raise()?)
    }

    fn confusion<'py>(&self, py: Python<'py>, rater: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        answer::write(py, self.0.confusion(given::read(rater, "rater")?).or_raise()?)
    }

    fn refit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let model = Arc::clone(&self.0);
        let found = blocking(py, move |host| host.cancel.cover(|| model.refit()))?;
        answer::write(py, found)
    }

    fn __len__(&self) -> usize {
        self.0.votes()
    }
}
