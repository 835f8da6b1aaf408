//! What does Python see of an agent?

use std::sync::Arc;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use quorate::{Code, Error};
use serde_json::{Value, json};

use super::html;
use crate::convert::{record, report};
use crate::errors::{OrRaise, raise};
use crate::metadata::{dict, object, wrong};

/// The fields of an agent, in the order of the definition.
const FIELDS: [&str; 27] = [
    "id",
    "name",
    "summary",
    "instructions",
    "domain",
    "capabilities",
    "skills",
    "topics",
    "boundaries",
    "works_with",
    "tools",
    "languages",
    "inputs",
    "outputs",
    "model_tier",
    "cost_per_call",
    "latency",
    "tenant",
    "visibility",
    "permissions",
    "tags",
    "version",
    "status",
    "available",
    "weight",
    "url",
    "card",
];

/// An expert that can be asked. It does not change; give the registry a new definition instead.
#[pyclass(frozen, module = "quorate", name = "Agent")]
pub struct Agent(pub Arc<quorate::agents::Agent>);

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Agent>()?;
    module.add_function(wrap_pyfunction!(agent_schema, module)?)
}

/// The JSON Schema (draft 2020-12) of an agent.
#[pyfunction]
fn agent_schema(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    report(py, &quorate::agents::Agent::json_schema())
}

/// A definition: an `Agent`, or a mapping with its fields.
pub fn agent(given: &Bound<'_, PyAny>) -> PyResult<quorate::agents::Agent> {
    if let Ok(agent) = given.cast::<Agent>() {
        return Ok((*agent.get().0).clone());
    }
    quorate::agents::Agent::from_json(&definition(given, "agent")?).or_raise()
}

/// A result as JSON text, as `json.dumps` writes it.
pub fn json_text<'py>(
    py: Python<'py>,
    value: &impl serde::Serialize,
    indent: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = PyDict::new(py);
    options.set_item("ensure_ascii", false)?;
    options.set_item("allow_nan", false)?;
    options.set_item("indent", indent)?;
    py.import("json")?.getattr("dumps")?.call((report(py, value)?,), Some(&options))
}

pub fn definition(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    match dict(given)? {
        Some(fields) => Ok(Value::Object(object(&fields, what, Code::InvalidArgument)?)),
        None => Err(wrong(Code::InvalidArgument, what, given, "a dict is expected")),
    }
}

#[pymethods]
impl Agent {
    #[new]
    #[pyo3(signature = (**fields))]
    fn new(fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let fields = fields
            .map_or_else(|| Ok(serde_json::Map::new()), |f| object(f, "agent", Code::InvalidArgument))?;
        let agent = quorate::agents::Agent::from_json(&Value::Object(fields)).or_raise()?;
        Ok(Agent(Arc::new(agent)))
    }

    /// Unique within its tenant.
    #[getter]
    fn id(&self) -> &str {
        &self.0.id
    }

    /// The name that people read.
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }

    /// What the agent does.
    #[getter]
    fn summary(&self) -> &str {
        &self.0.summary
    }

    /// How the agent answers, as a template (minijinja) over its other fields; None without any.
    #[getter]
    fn instructions(&self) -> Option<&str> {
        self.0.instructions.as_deref()
    }

    /// The field of work as a path, such as ``regulatory/us/devices``.
    #[getter]
    fn domain(&self) -> &str {
        &self.0.domain
    }

    /// What the agent is able to do: ``name``, ``level``, ``evidence`` each.
    #[getter]
    fn capabilities<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let full = self
            .0
            .capabilities
            .iter()
            .map(|c| json!({"name": c.name, "level": c.level, "evidence": c.evidence}));
        record(py, &full.collect::<Vec<_>>())
    }

    /// What the agent can be asked: ``id``, ``name``, ``description``, ``examples``, ``tags`` each.
    #[getter]
    fn skills<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let full = self.0.skills.iter().map(|s| {
            json!({"id": s.id, "name": s.name, "description": s.description, "examples": s.examples, "tags": s.tags})
        });
        record(py, &full.collect::<Vec<_>>())
    }

    /// What the agent is asked about.
    #[getter]
    fn topics(&self) -> Vec<String> {
        self.0.topics.clone()
    }

    /// Who is consulted together with the agent: ``agent``, ``why`` each.
    #[getter]
    fn works_with<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        record(py, &self.0.works_with)
    }

    /// What the agent does not answer, and who does: ``topic``, ``refer_to`` each.
    #[getter]
    fn boundaries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let full = self.0.boundaries.iter().map(|b| json!({"topic": b.topic, "refer_to": b.refer_to}));
        record(py, &full.collect::<Vec<_>>())
    }

    /// Names of the tools that the agent uses.
    #[getter]
    fn tools(&self) -> Vec<String> {
        self.0.tools.clone()
    }

    /// Languages that the agent answers in.
    #[getter]
    fn languages(&self) -> Vec<String> {
        self.0.languages.clone()
    }

    /// What the agent needs to be given: ``name``, ``media_type`` each.
    #[getter]
    fn inputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        record(py, &self.0.inputs)
    }

    /// What the agent hands back: ``name``, ``media_type`` each.
    #[getter]
    fn outputs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        record(py, &self.0.outputs)
    }

    /// ``small``, ``medium`` or ``large``.
    #[getter]
    fn model_tier<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0.model_tier)
    }

    /// Expected cost of one call, in US dollars.
    #[getter]
    fn cost_per_call(&self) -> f64 {
        self.0.cost_per_call
    }

    /// ``interactive``, ``standard`` or ``batch``.
    #[getter]
    fn latency<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0.latency)
    }

    /// The tenant that owns the agent; None when it is shared by all.
    #[getter]
    fn tenant(&self) -> Option<&str> {
        self.0.tenant.as_deref()
    }

    /// Who can see an agent that a tenant owns: ``private`` or ``public``.
    #[getter]
    fn visibility<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0.visibility)
    }

    /// Permissions that a caller needs to use the agent.
    #[getter]
    fn permissions(&self) -> Vec<String> {
        self.0.permissions.clone()
    }

    /// Free words for filtering.
    #[getter]
    fn tags(&self) -> Vec<String> {
        self.0.tags.clone()
    }

    /// The version of this definition.
    #[getter]
    fn version(&self) -> &str {
        &self.0.version
    }

    /// ``draft``, ``active`` or ``deprecated``.
    #[getter]
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &self.0.status)
    }

    /// Whether the agent can be called at present.
    #[getter]
    fn available(&self) -> bool {
        self.0.available
    }

    /// Preference among equals, 0 to 10, usually 1.
    #[getter]
    fn weight(&self) -> f64 {
        self.0.weight
    }

    /// Where the agent is reached, when it runs elsewhere.
    #[getter]
    fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// The A2A card that the agent was imported from, as JSON text; None for an agent that was not.
    #[getter]
    fn card(&self) -> Option<&str> {
        self.0.card.as_deref()
    }

    /// The definition as a dict that :meth:`AgentRegistry.add` takes; what is empty is left out.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        report(py, &*self.0)
    }

    /// The same as JSON text.
    #[pyo3(signature = (*, indent=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        indent: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        json_text(py, &*self.0, indent)
    }

    /// The same agent with other values for some fields.
    #[pyo3(signature = (**changes))]
    fn replace(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Agent> {
        let mut fields = match serde_json::to_value(&*self.0) {
            Ok(Value::Object(fields)) => fields,
            _ => return Err(raise(Error::new(Code::Internal, "an agent could not be written as JSON"))),
        };
        if let Some(changes) = changes {
            fields.extend(object(changes, "changes", Code::InvalidArgument)?);
        }
        let agent = quorate::agents::Agent::from_json(&Value::Object(fields)).or_raise()?;
        Ok(Agent(Arc::new(agent)))
    }

    /// Whether it has the capability or one below it: ``regulatory.fda`` is met by ``regulatory.fda.510k``.
    fn has_capability(&self, required: &str) -> bool {
        self.0.has_capability(required)
    }

    /// The names of the fields, so that ``dict(agent)`` has them all.
    fn keys(&self) -> [&'static str; FIELDS.len()] {
        FIELDS
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match FIELDS.iter().find(|field| *name == **field) {
            Some(_) => slf.getattr(name),
            None => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Agent>().is_ok_and(|other| other.get().0 == self.0)
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.0.id, &self.0.tenant, &self.0.version).hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyAny>,))> {
        let py = slf.py();
        let restore = py.import("quorate._agents")?.getattr("_restore")?;
        Ok((restore, (slf.get().to_dict(py)?,)))
    }

    fn __repr__(&self) -> String {
        format!("Agent(id='{}', name={:?}, domain='{}')", self.0.id, self.0.name, self.0.domain)
    }

    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        html(slf.as_any(), "agent")
    }
}
