//! How is a registry used from Python?

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::agents::{AgentRegistry as Registry, RegistryOptions};
use quorate::{Code, Error};
use quorate_bindings::{Args, Host, agents as shared};

use super::agent::{Agent, agent as definition_of, definition};
use super::events::Events;
use super::matching::{Match, Panel};
use crate::convert::{describe, record, report, sequence, text, texts};
use crate::door::{blocking, quick};
use crate::errors::{OrRaise, invalid};
use crate::guest;
use crate::metadata::filter;
use crate::scalar::scalar;

/// Agents, found by what they can do; ``quorate.AgentRegistry`` is its public face.
#[pyclass(frozen, module = "quorate", name = "AgentRegistry")]
pub struct AgentRegistry {
    /// None once it is closed. The handles of all tenants share it.
    open: Arc<RwLock<Option<Registry>>>,
    tenant: Option<String>,
    /// Whether embedding a question goes over the network.
    slow: bool,
}

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AgentRegistry>()?;
    module.add_function(wrap_pyfunction!(open_registry, module)?)
}

#[pyfunction]
fn open_registry(
    py: Python<'_>,
    #[pyo3(from_py_with = scalar)] path: Option<PathBuf>,
    embedder: &Bound<'_, PyAny>,
    catalog: Option<&Bound<'_, PyAny>>,
    given: &Bound<'_, PyDict>,
) -> PyResult<AgentRegistry> {
    let (embedder, slow) = crate::embed::embedder(py, embedder)?;
    let catalog = catalog.map(|given| crate::embed::place(given, "catalog")).transpose()?;
    let mut args = keywords(given, "the options of a registry")?;
    let (tuning, policy) = shared::learning(&mut args).or_raise()?;
    let options = RegistryOptions { catalog, tuning, policy, ..RegistryOptions::new(embedder) };
    let registry = blocking(py, move |host| {
        Registry::open(path.as_deref(), RegistryOptions { cancel: host.cancel.clone(), ..options })
    })?;
    Ok(AgentRegistry { open: Arc::new(RwLock::new(Some(registry))), tenant: None, slow })
}

/// The keywords of a call.
fn keywords(given: &Bound<'_, PyDict>, what: &'static str) -> PyResult<Args> {
    Args::new(Host::Python, what, crate::given::read(given, what)?).or_raise()
}

impl AgentRegistry {
    /// The registry as the tenant of this handle sees it.
    /// The registry, as its tenant sees it. Errors: `closed`.
    pub fn handle(&self) -> quorate::Result<Registry> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let Some(registry) = &*open else {
            return Err(Error::new(Code::Closed, "the registry has been closed"));
        };
        match &self.tenant {
            Some(tenant) => registry.tenant(tenant),
            None => Ok(registry.clone()),
        }
    }

    /// Runs what may write or embed.
    fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Registry) -> quorate::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let registry = self.handle().or_raise()?;
        blocking(py, move |host| work(&registry.cancelled_by(&host.cancel)))
    }

    /// Runs what only reads and embeds one question.
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Registry) -> quorate::Result<T> + Send + 'static,
    ) -> PyResult<T> {
        if self.slow {
            return self.run(py, work);
        }
        let registry = self.handle().or_raise()?;
        quick(py, || work(&registry))
    }
}

/// A question, and the id of the agent that answers it.
fn answered(pair: &Bound<'_, PyAny>, what: &str) -> PyResult<(String, Option<String>)> {
    let Ok((question, id)) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>() else {
        let expected = "a pair of a question and the id of an agent, or None, is expected";
        return Err(invalid(format!("{what} is {}; {expected}", describe(pair))));
    };
    let id = if id.is_none() { None } else { Some(text(&id, &format!("the id of {what}"))?) };
    Ok((text(&question, &format!("the question of {what}"))?, id))
}

#[pymethods]
impl AgentRegistry {
    fn add(&self, py: Python<'_>, agent: &Bound<'_, PyAny>) -> PyResult<Agent> {
        let agent = definition_of(agent)?;
        self.run(py, move |registry| registry.add(agent)).map(Agent)
    }

    fn add_all(&self, py: Python<'_>, agents: &Bound<'_, PyAny>) -> PyResult<Vec<Agent>> {
        let agents =
            sequence(agents, "agents")?.map(|given| definition_of(&given?)).collect::<PyResult<Vec<_>>>()?;
        let added = self.run(py, move |registry| registry.add_all(agents))?;
        Ok(added.into_iter().map(Agent).collect())
    }

    fn update(&self, py: Python<'_>, agent: &Bound<'_, PyAny>) -> PyResult<Agent> {
        let agent = definition_of(agent)?;
        self.run(py, move |registry| registry.update(agent)).map(Agent)
    }

    fn remove(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = text(id, "id")?;
        self.run(py, move |registry| registry.remove(&id))
    }

    fn get(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Agent> {
        let (registry, id) = (self.handle().or_raise()?, text(id, "id")?);
        quick(py, || registry.get(&id)).map(Agent)
    }

    fn list(&self, py: Python<'_>, r#where: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Agent>> {
        let (registry, filter) = (self.handle().or_raise()?, filter(r#where)?);
        let agents = quick(py, || registry.list(filter.as_ref()))?;
        Ok(agents.into_iter().map(Agent).collect())
    }

    #[pyo3(name = "match")]
    fn match_agents(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Vec<Match>> {
        let (query, args) = (text(query, "query")?, keywords(given, "the options of match")?);
        let (options, vector) = shared::matching(args, filter(r#where)?).or_raise()?;
        let found = match vector {
            Some(vector) => quick(py, || self.handle()?.match_vector(&query, &vector, &options))?,
            None => self.ask(py, move |registry| registry.match_agents(&query, &options))?,
        };
        Ok(found.into_iter().map(Match).collect())
    }

    fn select_panel(
        &self,
        py: Python<'_>,
        question: &Bound<'_, PyAny>,
        r#where: Option<&Bound<'_, PyAny>>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Panel> {
        let (question, args) = (text(question, "question")?, keywords(given, "the options of select_panel")?);
        let options = shared::panel(args, filter(r#where)?).or_raise()?;
        self.ask(py, move |registry| registry.select_panel(&question, &options)).map(Panel)
    }

    fn record_outcome(
        &self,
        py: Python<'_>,
        id: &Bound<'_, PyAny>,
        question: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] reward: f64,
    ) -> PyResult<()> {
        let (id, question) = (text(id, "agent_id")?, text(question, "query")?);
        self.run(py, move |registry| registry.record_outcome(&id, &question, reward))
    }

    fn import_card(&self, py: Python<'_>, card: &Bound<'_, PyAny>) -> PyResult<Agent> {
        let card = definition(card, "card")?;
        self.run(py, move |registry| registry.import_card(&card)).map(Agent)
    }

    fn export_card<'py>(&self, py: Python<'py>, id: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let id = text(id, "id")?;
        let card = self.run(py, move |registry| registry.export_card(&id))?;
        report(py, &card)
    }

    fn load(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] path: PathBuf) -> PyResult<usize> {
        self.run(py, move |registry| registry.load(path))
    }

    fn save(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] path: PathBuf) -> PyResult<()> {
        self.run(py, move |registry| registry.save(path))
    }

    fn versions(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Vec<(u64, Option<Agent>)>> {
        let id = text(id, "id")?;
        let versions = self.run(py, move |registry| registry.versions(&id))?;
        Ok(versions.into_iter().map(|v| (v.revision, v.agent.map(|a| Agent(Arc::new(a))))).collect())
    }

    fn subscribe(&self, py: Python<'_>) -> PyResult<Events> {
        let registry = self.handle().or_raise()?;
        // A thread that writes tells the listeners: never wait for it with the interpreter's lock.
        Ok(Events(Arc::new(guest::detach(py, || registry.subscribe()))))
    }

    fn taxonomy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let taxonomy = self.handle().or_raise()?.taxonomy();
        let out = PyDict::new(py);
        for (name, title) in taxonomy.iter() {
            out.set_item(name, title)?;
        }
        Ok(out)
    }

    fn out_of_scope(&self) -> PyResult<Vec<String>> {
        Ok(self.handle().or_raise()?.out_of_scope())
    }

    fn set_out_of_scope(&self, py: Python<'_>, questions: &Bound<'_, PyAny>) -> PyResult<()> {
        let questions = texts(questions, "questions")?;
        self.run(py, move |registry| registry.set_out_of_scope(questions))
    }

    fn calibration<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        record(py, &self.handle().or_raise()?.calibration())
    }

    /// `questions`: pairs of a question and the id of the agent that answers it, or None.
    fn calibrate<'py>(&self, py: Python<'py>, questions: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let questions = sequence(questions, "questions")?
            .enumerate()
            .map(|(i, pair)| answered(&pair?, &format!("questions[{i}]")))
            .collect::<PyResult<Vec<_>>>()?;
        let fitted = self.run(py, move |registry| {
            let questions: Vec<(&str, Option<&str>)> =
                questions.iter().map(|(question, id)| (question.as_str(), id.as_deref())).collect();
            registry.calibrate(&questions)
        })?;
        record(py, &fitted)
    }

    fn tenant(&self, name: &Bound<'_, PyAny>) -> PyResult<AgentRegistry> {
        let name = text(name, "tenant")?;
        self.handle().or_raise()?.tenant(&name).or_raise()?;
        Ok(AgentRegistry { open: Arc::clone(&self.open), tenant: Some(name), slow: self.slow })
    }

    #[getter]
    fn tenant_name(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    #[getter]
    fn revision(&self) -> PyResult<u64> {
        Ok(self.handle().or_raise()?.revision())
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.handle().or_raise()?.len())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let open = Arc::clone(&self.open);
        blocking(py, move |_| {
            // Dropped here: the file is synchronised and let go.
            drop(open.write().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        })
    }
}
