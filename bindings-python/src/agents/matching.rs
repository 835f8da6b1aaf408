//! What does Python see of a match and of a panel?

use std::sync::Arc;

use pyo3::prelude::*;
use quorate::Error;
use quorate::agents::{Match as Found, Member as Chosen};
use serde_json::{Value, json};

use super::agent::{Agent, definition, json_text};
use super::html;
use crate::convert::{explanation, record, report};
use crate::errors::raise;

/// An agent that fits a question.
#[pyclass(frozen, module = "quorate", name = "Match")]
pub struct Match(pub Found);

/// A member of a panel.
#[pyclass(frozen, module = "quorate", name = "PanelMember")]
pub struct PanelMember(Chosen);

/// Agents that complement each other, in the order in which they were chosen.
#[pyclass(frozen, module = "quorate", name = "Panel")]
pub struct Panel(pub quorate::agents::Panel);

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Match>()?;
    module.add_class::<PanelMember>()?;
    module.add_class::<Panel>()
}

/// What a method of a class says of a result in JSON: the three classes have it alike.
fn restored<T: serde::de::DeserializeOwned>(given: &Bound<'_, PyAny>, what: &str) -> PyResult<T> {
    serde_json::from_value(definition(given, what)?)
        .map_err(|e| raise(Error::invalid(format!("{what}: not what its to_dict gives: {e}"))))
}

/// How a result is pickled and copied: its class and its dict.
type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyAny>,));

fn reduced<'py>(of: &Bound<'py, PyAny>, value: &impl serde::Serialize) -> PyResult<Reduced<'py>> {
    Ok((of.get_type().getattr("_restore")?, (report(of.py(), value)?,)))
}

fn explain_match<'py>(py: Python<'py>, found: &Found) -> PyResult<Bound<'py, PyAny>> {
    explanation(py, found.explain(), found.explain().to_string())
}

#[pymethods]
impl Match {
    /// The agent.
    #[getter]
    fn agent(&self) -> Agent {
        Agent(Arc::clone(&self.0.agent))
    }

    /// The id of the agent.
    #[getter]
    fn id(&self) -> &str {
        &self.0.agent.id
    }

    /// What the ranking goes by; comparable within one answer.
    #[getter]
    fn score(&self) -> f64 {
        self.0.score
    }

    /// Probability, 0 to 1, that this agent is the right one.
    #[getter]
    fn confidence(&self) -> f64 {
        self.0.confidence
    }

    /// Where the score and the confidence come from. A dict whose members are attributes too; ``str()`` of it is the
    /// arithmetic for people.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        explain_match(py, &self.0)
    }

    /// All that is known of it, as dicts, lists and scalars: the definition, the numbers, where they come from.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0)
    }

    /// The same as JSON text.
    #[pyo3(signature = (*, indent=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        indent: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        json_text(py, &self.0, indent)
    }

    #[staticmethod]
    fn _restore(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        restored(given, "match").map(Match)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any(), &slf.get().0)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Match>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __repr__(&self) -> String {
        format!("Match({:.4}, '{}', confidence={:.3})", self.0.score, self.0.agent.id, self.0.confidence)
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        html(slf.as_any(), "match")
    }
}

#[pymethods]
impl PanelMember {
    /// The agent.
    #[getter]
    fn agent(&self) -> Agent {
        Agent(Arc::clone(&self.0.matched.agent))
    }

    /// The id of the agent.
    #[getter]
    fn id(&self) -> &str {
        &self.0.matched.agent.id
    }

    /// How well the agent alone fits the question.
    #[getter]
    fn score(&self) -> f64 {
        self.0.matched.score
    }

    /// Probability, 0 to 1, that this agent alone is the right one.
    #[getter]
    fn confidence(&self) -> f64 {
        self.0.matched.confidence
    }

    /// How well the agent fits together with those that it is consulted with, 0 to 1: 1 for the best match.
    #[getter]
    fn fit(&self) -> f64 {
        self.0.fit
    }

    /// Why it sits there: ``by`` (``"match"``, ``"works_with"``, ``"refer_to"``), ``agent`` (an id, or None), ``why``.
    #[getter]
    fn seat<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        record(py, &self.0.seat)
    }

    /// What the member added to the value of the panel.
    #[getter]
    fn gain(&self) -> f64 {
        self.0.gain
    }

    /// The parts of the question that this member covers best, with its fit to each.
    #[getter]
    fn facets(&self) -> Vec<(String, f64)> {
        self.0.facets.clone()
    }

    /// Capabilities that no earlier member had.
    #[getter]
    fn capabilities(&self) -> Vec<String> {
        self.0.capabilities.clone()
    }

    /// Where the member's score comes from, as for a match.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        explain_match(py, &self.0.matched)
    }

    /// All that is known of it, as dicts, lists and scalars: the definition, the numbers, where they come from.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0)
    }

    /// The same as JSON text.
    #[pyo3(signature = (*, indent=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        indent: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        json_text(py, &self.0, indent)
    }

    #[staticmethod]
    fn _restore(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        restored(given, "panel member").map(PanelMember)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any(), &slf.get().0)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<PanelMember>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __repr__(&self) -> String {
        format!("PanelMember('{}', gain={:.4}, score={:.4})", self.id(), self.0.gain, self.score())
    }
}

#[pymethods]
impl Panel {
    /// The members, in the order in which they were chosen.
    #[getter]
    fn members(&self) -> Vec<PanelMember> {
        self.0.members.iter().cloned().map(PanelMember).collect()
    }

    /// What the members cover together: ``facets``, ``capabilities``, ``diversity``, ``relevance``, ``thrift`` and
    /// ``value``, each 0 to 1; ``float()`` of it is the value.
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("quorate._record")?.getattr("coverage")?.call1((report(py, &self.0.coverage)?,))
    }

    /// Why there are fewer members than were asked for, in words; None where there are as many.
    #[getter]
    fn smaller(&self) -> Option<&str> {
        self.0.smaller.as_deref()
    }

    /// Why these members: what each added. A dict whose members are attributes too; ``str()`` of it is for people.
    fn explain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let members: Vec<Value> = self
            .0
            .members
            .iter()
            .map(|m| {
                json!({
                    "id": m.matched.agent.id, "gain": m.gain, "score": m.matched.score,
                    "facets": m.facets, "capabilities": m.capabilities, "fit": m.fit, "seat": m.seat,
                })
            })
            .collect();
        explanation(
            py,
            &json!({"coverage": self.0.coverage, "members": members, "smaller": self.0.smaller}),
            self.0.explain(),
        )
    }

    /// All that is known of it, as dicts, lists and scalars: the definition, the numbers, where they come from.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0)
    }

    /// The same as JSON text.
    #[pyo3(signature = (*, indent=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        indent: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        json_text(py, &self.0, indent)
    }

    #[staticmethod]
    fn _restore(given: &Bound<'_, PyAny>) -> PyResult<Self> {
        restored(given, "panel").map(Panel)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        reduced(slf.as_any(), &slf.get().0)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Panel>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __len__(&self) -> usize {
        self.0.members.len()
    }

    fn __repr__(&self) -> String {
        let ids: Vec<&str> = self.0.members.iter().map(|m| m.matched.agent.id.as_str()).collect();
        format!("Panel({ids:?}, coverage={:.3})", self.0.coverage.value)
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        html(slf.as_any(), "panel")
    }
}
