//! How do workflows run from Python?

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::runtime::Runtime as Experts;
use quorate::workflows::flow::{
    Engine as Flows, EngineOptions, Review as Asked, WorkflowRun as Run, workflow_schema,
};
use quorate_bindings::graph::of_engine;
use quorate_bindings::{Host, runtime, workflow};
use serde_json::{Value, json};

use crate::agents::AgentRegistry;
use crate::convert::{from_json, texts};
use crate::door::{Held, blocking, quick};
use crate::errors::{OrRaise, invalid};
use crate::graph::GraphBuilder;
use crate::guest;
use crate::hands::{Hand, WorkflowTool, clock_of};
use crate::models::ModelFlow;
use crate::runtime::{Runtime, options};
use crate::scalar::scalar;
use crate::state::StateStore;

const HOST: Host = Host::Python;

/// Workflows that run; ``quorate.workflows.Engine`` is its public face.
#[pyclass(frozen, module = "quorate", name = "WorkflowEngine")]
pub struct WorkflowEngine {
    engine: Held<Flows>,
    /// The functions that its tools and kinds of steps call, until it is closed.
    hands: Mutex<Vec<Arc<Hand>>>,
}

/// A run of a workflow; ``quorate.workflows.WorkflowRun`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeWorkflowRun")]
pub struct NativeWorkflowRun(Held<Run>);

/// A review that is open; ``quorate.workflows.Review`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeReview")]
pub struct NativeReview(Held<Asked>);

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<WorkflowEngine>()?;
    module.add_class::<NativeWorkflowRun>()?;
    module.add_class::<NativeReview>()?;
    module.add_function(wrap_pyfunction!(open_engine, module)?)?;
    module.add_function(wrap_pyfunction!(workflow_templates, module)?)?;
    module.add_function(wrap_pyfunction!(workflow_form, module)?)
}

/// The workflows that ship.
#[pyfunction]
fn workflow_templates(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let found = quick(py, || Ok(workflow::shipped()))?;
    from_json(py, &found)
}

/// The JSON Schema of a workflow file.
#[pyfunction]
fn workflow_form(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    from_json(py, &workflow_schema())
}

/// An engine over a store. `clock`: a [`ManualClock`], or a function that gives seconds since 1970.
#[pyfunction]
fn open_engine(
    py: Python<'_>,
    store: &StateStore,
    runtime: Option<&Runtime>,
    registry: Option<&AgentRegistry>,
    tools: Vec<PyRef<'_, WorkflowTool>>,
    clock: Option<Bound<'_, PyAny>>,
    given: &Bound<'_, PyDict>,
) -> PyResult<WorkflowEngine> {
    let given = workflow::engine_options(HOST, options(given, "options of an engine")?).or_raise()?;
    let tenant = runtime::tenant(given.tenant.clone(), store.tenant().as_deref()).or_raise()?;
    let mut hands: Vec<Arc<Hand>> = tools.iter().map(|tool| Arc::clone(&tool.hand)).collect();
    let clock = clock.map(|clock| clock_of(clock, &mut hands)).transpose()?;
    let options = EngineOptions {
        runtime: runtime.map(|runtime| Experts::clone(&runtime.0)),
        registry: registry.map(|registry| registry.handle().or_raise()).transpose()?,
        tools: tools.iter().map(|tool| Arc::clone(&tool.tool)).collect(),
        clock,
        tenant,
        ..given
    };
    let store = store.handle()?;
    let engine = blocking(py, move |_| Flows::new(store, options))?;
    Ok(WorkflowEngine { engine: Held::new(engine), hands: Mutex::new(hands) })
}

fn seconds(given: Option<f64>, what: &str) -> PyResult<Option<Duration>> {
    let refuse = |given: f64| invalid(format!("{what} is {given}; a number of seconds from 0 is expected"));
    given.map(|given| Duration::try_from_secs_f64(given).map_err(|_| refuse(given))).transpose()
}

fn json_of(given: &Bound<'_, PyDict>, what: &str) -> PyResult<Value> {
    Ok(options(given, what)?["value"].take())
}

fn run_of(run: Run) -> NativeWorkflowRun {
    NativeWorkflowRun(Held::new(run))
}

fn review_of(review: Asked) -> NativeReview {
    NativeReview(Held::new(review))
}

impl WorkflowEngine {
    /// The engine itself.
    pub fn handle(&self) -> Flows {
        self.engine.clone()
    }
}

#[pymethods]
impl WorkflowEngine {
    fn load(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] path: PathBuf,
        overlays: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (engine, overlays) = (self.engine.clone(), texts(overlays, "overlays")?);
        blocking(py, move |_| engine.load(path, &overlays))
    }

    /// Adds one workflow, and gives what lists show of it.
    fn add<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] text: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let engine = self.engine.clone();
        let found = blocking(py, move |_| Ok(workflow::definition(&engine.add(&text)?)))?;
        from_json(py, &found)
    }

    fn validate<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let engine = self.engine.clone();
        let found =
            blocking(py, move |_| Ok(engine.validate().iter().map(workflow::problem).collect::<Value>()))?;
        from_json(py, &found)
    }

    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = quick(py, || Ok(self.engine.list().iter().map(workflow::definition).collect::<Value>()))?;
        from_json(py, &found)
    }

    fn versions(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] id: String) -> PyResult<Vec<String>> {
        quick(py, || Ok(self.engine.versions(&id)))
    }

    fn rendered<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] id: Option<String>,
        #[pyo3(from_py_with = scalar)] version: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = quick(py, || workflow::rendered(&self.engine, id.as_deref(), version.as_deref()))?;
        from_json(py, &found)
    }

    fn diagram(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] id: String,
        #[pyo3(from_py_with = scalar)] version: Option<String>,
    ) -> PyResult<String> {
        quick(py, || Ok(self.engine.definition(&id, version.as_deref())?.mermaid()))
    }

    fn start(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] workflow_id: String,
        input: &Bound<'_, PyDict>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<NativeWorkflowRun> {
        let input = json_of(input, "the input")?;
        let how = workflow::start_options(HOST, options(given, "options of a run")?).or_raise()?;
        let engine = self.engine.clone();
        blocking(py, move |_| engine.start(&workflow_id, input, how)).map(run_of)
    }

    fn get(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] id: String) -> PyResult<NativeWorkflowRun> {
        let engine = self.engine.clone();
        blocking(py, move |_| engine.get(&id)).map(run_of)
    }

    fn runs(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] status: Option<String>,
    ) -> PyResult<Vec<NativeWorkflowRun>> {
        let status = status.as_deref().map(workflow::status).transpose().or_raise()?;
        let engine = self.engine.clone();
        let runs = blocking(py, move |_| engine.runs(status))?;
        Ok(runs.into_iter().map(run_of).collect())
    }

    fn reviews(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] role: Option<String>,
        #[pyo3(from_py_with = scalar)] run: Option<String>,
    ) -> PyResult<Vec<NativeReview>> {
        let engine = self.engine.clone();
        let found = blocking(py, move |_| engine.reviews(role.as_deref(), run.as_deref()))?;
        Ok(found.into_iter().map(review_of).collect())
    }

    fn review(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] id: String) -> PyResult<NativeReview> {
        let engine = self.engine.clone();
        blocking(py, move |_| engine.review(&id)).map(review_of)
    }

    /// Adds a schedule; as it is then.
    fn schedule<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] name: String,
        #[pyo3(from_py_with = scalar)] cron: String,
        #[pyo3(from_py_with = scalar)] workflow_id: String,
        input: &Bound<'_, PyDict>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let input = json_of(input, "the input")?;
        let how = workflow::schedule_options(HOST, options(given, "options of a schedule")?).or_raise()?;
        let engine = self.engine.clone();
        let found = blocking(py, move |_| {
            Ok(workflow::schedule(HOST, &engine.schedule(&name, &cron, &workflow_id, input, how)?))
        })?;
        from_json(py, &found)
    }

    fn schedules<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let engine = self.engine.clone();
        let found = blocking(py, move |_| {
            Ok(engine.schedules()?.iter().map(|one| workflow::schedule(HOST, one)).collect())
        })?;
        from_json(py, &found)
    }

    /// Looks at a schedule, or pauses, resumes or removes it.
    fn schedule_word<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] name: String,
        #[pyo3(from_py_with = scalar)] word: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let engine = self.engine.clone();
        let found = blocking(py, move |_| workflow::schedule_word(HOST, &engine, &name, &word))?;
        from_json(py, &found)
    }

    fn schedule_times(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] name: String,
        #[pyo3(from_py_with = scalar)] count: usize,
    ) -> PyResult<Vec<f64>> {
        let engine = self.engine.clone();
        blocking(py, move |_| engine.scheduled(&name)?.next_times(count))
    }

    fn schedule_run(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] name: String,
        #[pyo3(from_py_with = scalar)] due: f64,
    ) -> PyResult<Option<NativeWorkflowRun>> {
        let engine = self.engine.clone();
        Ok(blocking(py, move |_| engine.scheduled(&name)?.run(due))?.map(run_of))
    }

    /// The graph by which a workflow is carried out here.
    fn graph(&self) -> GraphBuilder {
        let engine = self.engine.clone();
        GraphBuilder::of(of_engine(move || Ok(engine.clone())))
    }

    fn step_type(
        &self,
        py: Python<'_>,
        handler: &WorkflowTool,
        schema: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let schema = schema.map(|schema| options(schema, "schema")).transpose()?;
        quick(py, || self.engine.step_type(Arc::clone(&handler.tool), schema))?;
        self.hands.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&handler.hand));
        Ok(())
    }

    fn work(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<()> {
        let (queues, concurrency) =
            workflow::work_options(HOST, options(given, "options of work")?).or_raise()?;
        quick(py, || self.engine.work(queues, concurrency))
    }

    /// Drains it; whether all was done by then.
    fn drain(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] timeout: Option<f64>) -> PyResult<bool> {
        let (engine, most) = (self.engine.clone(), seconds(timeout, "timeout")?);
        blocking(py, move |host| workflow::drain(&engine, most, false, &host.cancel))
    }

    /// Drains it and ends it; whether all was done by then.
    fn close(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] timeout: Option<f64>) -> PyResult<bool> {
        let (engine, most) = (self.engine.clone(), seconds(timeout, "timeout")?);
        let drained = blocking(py, move |host| workflow::drain(&engine, most, true, &host.cancel))?;
        let hands = std::mem::take(&mut *self.hands.lock().unwrap_or_else(PoisonError::into_inner));
        hands.iter().for_each(|hand| hand.let_go());
        Ok(drained)
    }

    /// Begins nothing more, and waits for nothing but a moment: at the end of the interpreter.
    fn stop(&self, py: Python<'_>, seconds: f64) {
        guest::detach(py, || {
            self.engine
                .drain_within(Duration::try_from_secs_f64(seconds).unwrap_or_default())
                .unwrap_or(false)
        });
    }

    fn faults<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let faults = quick(py, || Ok(self.engine.faults()))?;
        let told = faults.into_iter().map(|(run, message)| json!({"run_id": run, "message": message}));
        from_json(py, &told.collect())
    }
}

impl NativeWorkflowRun {
    /// What is said to the run, and may take until it was heard.
    fn say(
        &self,
        py: Python<'_>,
        say: impl FnOnce(&Run) -> quorate::Result<()> + Send + 'static,
    ) -> PyResult<()> {
        let run = self.0.clone();
        blocking(py, move |_| say(&run))
    }

    fn tell<'py>(
        &self,
        py: Python<'py>,
        tell: impl FnOnce(&Run) -> quorate::Result<Value> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let run = self.0.clone();
        let found = blocking(py, move |_| tell(&run))?;
        from_json(py, &found)
    }
}

#[pymethods]
impl NativeWorkflowRun {
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    fn status(&self, py: Python<'_>) -> PyResult<&'static str> {
        let run = self.0.clone();
        blocking(py, move |_| run.status()).map(|status| status.as_str())
    }

    fn wait(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] timeout: Option<f64>,
        until: Vec<String>,
    ) -> PyResult<&'static str> {
        let most = seconds(timeout, "timeout")?;
        let until = until.iter().map(|name| workflow::status(name)).collect::<quorate::Result<Vec<_>>>();
        let (run, until) = (self.0.clone(), until.or_raise()?);
        let status = blocking(py, move |host| workflow::wait(&run, most, &until, &host.cancel))?;
        Ok(status.as_str())
    }

    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, Run::result)
    }

    fn ending<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |run| Ok(run.ending()?.unwrap_or_default()))
    }

    fn definition<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |run| Ok(workflow::definition(&run.definition()?)))
    }

    fn pause(&self, py: Python<'_>) -> PyResult<()> {
        self.say(py, Run::pause)
    }

    fn resume(&self, py: Python<'_>) -> PyResult<()> {
        self.say(py, Run::resume)
    }

    fn cancel(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] reason: String,
        #[pyo3(from_py_with = scalar)] compensate: bool,
    ) -> PyResult<()> {
        self.say(py, move |run| run.cancel(&reason, compensate))
    }

    fn retry(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] step: Option<String>) -> PyResult<()> {
        self.say(py, move |run| run.retry(step.as_deref()))
    }

    fn skip(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] step: String) -> PyResult<()> {
        self.say(py, move |run| run.skip(&step))
    }

    fn signal(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] name: String,
        data: &Bound<'_, PyDict>,
        #[pyo3(from_py_with = scalar)] id: Option<String>,
    ) -> PyResult<()> {
        let data = json_of(data, "the signal's data")?;
        self.say(py, move |run| run.signal(&name, data, id.as_deref()))
    }

    fn steps<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |run| Ok(run.steps()?.iter().map(|step| workflow::step(HOST, step)).collect()))
    }

    fn journal<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |run| Ok(run.journal()?.iter().map(workflow::entry).collect()))
    }

    fn migrate(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] version: String) -> PyResult<()> {
        self.say(py, move |run| run.migrate(&version))
    }

    fn fork(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] step: String,
    ) -> PyResult<NativeWorkflowRun> {
        let run = self.0.clone();
        blocking(py, move |_| run.fork(&step)).map(run_of)
    }

    fn mermaid(&self, py: Python<'_>) -> PyResult<String> {
        let run = self.0.clone();
        blocking(py, move |_| run.mermaid())
    }

    fn export<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, Run::export)
    }

    /// What happens in it from an entry on.
    fn flow(&self, start: u64) -> ModelFlow {
        ModelFlow::of(workflow::flow(&self.0, start))
    }
}

#[pymethods]
impl NativeReview {
    /// What there is to know of it.
    #[getter]
    fn shown<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &workflow::review(HOST, &self.0))
    }

    fn claim(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] user: String) -> PyResult<()> {
        let review = self.0.clone();
        blocking(py, move |_| review.claim(&user))
    }

    fn decide(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] option: String,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let given = options(given, "options of a decision")?;
        let (by, comment, data) = workflow::decision(HOST, given).or_raise()?;
        let review = self.0.clone();
        blocking(py, move |_| review.decide(&option, &by, comment.as_deref(), data))
    }

    fn delegate(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] to: String,
        #[pyo3(from_py_with = scalar)] by: Option<String>,
    ) -> PyResult<()> {
        let review = self.0.clone();
        blocking(py, move |_| review.delegate(&to, by.as_deref()))
    }
}
