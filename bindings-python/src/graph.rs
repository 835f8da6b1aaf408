//! How do functions of Python become the nodes of graphs, and how are graphs run from there?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};
use quorate::runtime::HostContext;
use quorate::workflows::graph::{
    App as Compiled, Context, Graph, Node, NodeOptions, Output, Reducer, RunOptions, State, Targets,
};
use quorate::{Cancel, Code, Error};
use quorate_bindings::Host;
use quorate_bindings::graph::{self, Begins};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::{CancelToken, Held, blocking};
use crate::errors::{OrRaise, raise};
use crate::guest::{self, Guest};
use crate::metadata;
use crate::models::{ModelFlow, failed};
use crate::runtime::{Runtime, options, raised};
use crate::scalar::scalar;
use crate::state::StateStore;

const HOST: Host = Host::Python;

/// A graph that is being put together.
#[pyclass(frozen, module = "quorate", name = "GraphBuilder")]
pub struct GraphBuilder(Mutex<Graph>);

/// A graph that runs; ``quorate.workflows.App`` is its public face.
#[pyclass(frozen, module = "quorate", name = "GraphApp")]
pub struct GraphApp {
    app: Held<Compiled>,
    durability: quorate::workflows::graph::Durability,
}

/// What a node may do beside writing; ``quorate.workflows.Context`` is its public face.
#[pyclass(frozen, module = "quorate", name = "GraphContext")]
pub struct GraphContext(Context);

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<GraphBuilder>()?;
    module.add_class::<GraphApp>()?;
    module.add_class::<GraphContext>()?;
    module.add_function(wrap_pyfunction!(check_node, module)?)?;
    module.add_function(wrap_pyfunction!(check_retry, module)?)
}

/// Refuses what is said of a node and is wrong by itself.
#[pyfunction]
fn check_node(given: &Bound<'_, PyDict>) -> PyResult<()> {
    graph::node_options(HOST, options(given, "options of a node")?).or_raise().map(drop)
}

/// Refuses how nothing can be tried again.
#[pyfunction]
fn check_retry(given: &Bound<'_, PyDict>) -> PyResult<()> {
    graph::retry(HOST, options(given, "options of a retry")?).or_raise().map(drop)
}

/// A value of a host as JSON. What is no value of JSON by itself (a dataclass, a model of pydantic) is made one by Python's half.
fn json_of(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    metadata::value(given, what, Code::InvalidArgument).or_else(|refused| {
        let plain = given.py().import("quorate._report")?.getattr("plain")?.call1((given,))?;
        match plain.is(given) {
            true => Err(refused),
            false => metadata::value(&plain, what, Code::InvalidArgument),
        }
    })
}

/// Who runs a graph, as Python knows it: what calls its nodes.
struct Caller(Py<PyAny>);

fn host(caller: Py<PyAny>) -> Option<HostContext> {
    Some(Arc::new(Caller(caller)))
}

/// Calls a function of a graph, and makes something of what it gave; `what`: how errors call it.
fn called<T>(
    what: &str,
    cancel: Option<Cancel>,
    work: impl FnOnce(Python<'_>) -> PyResult<T>,
) -> quorate::Result<T> {
    let guest = Guest { writes: None, cancel };
    guest::staying(guest::call_as(guest, |py| work(py).map_err(|raised| failed(py, raised, what))))
}

/// A node that is a function: the one with this number of whoever runs the graph.
struct HostNode {
    index: usize,
    name: String,
}

impl Node for HostNode {
    fn run(&self, state: &State, context: &Context) -> quorate::Result<Output> {
        let Some(caller) = context.host().and_then(|host| host.downcast_ref::<Caller>()) else {
            return Err(Error::new(Code::Internal, "a graph of Python is run by somebody else"));
        };
        let what = format!("the node '{}'", self.name);
        let state = state.to_value();
        called(&what, Some(context.stop().clone()), |py| {
            let state = from_json(py, &state)?;
            let context = GraphContext(context.clone());
            let given = caller.0.bind(py).call_method1(intern!(py, "node"), (self.index, state, context))?;
            if given.is_none() {
                return Ok(Output::none());
            }
            let what = "what it gave";
            if given.is_exact_instance_of::<PyDict>() {
                return json_of(&given, what).map(Output::from);
            }
            let read = py.import(intern!(py, "quorate.workflows._graph"))?;
            let read = read.getattr(intern!(py, "output_of"))?.call1((given,))?;
            graph::output(json_of(&read, what)?).or_raise()
        })
    }
}

/// What a function of this many values gives, as JSON.
fn asked(function: &Py<PyAny>, what: &str, values: &[&Value]) -> quorate::Result<Value> {
    called(what, None, |py| {
        let values = values.iter().map(|value| from_json(py, value)).collect::<PyResult<Vec<_>>>()?;
        let given = function.bind(py).call1((values,))?;
        json_of(&given, "what it gave")
    })
}

impl GraphBuilder {
    fn change(&self, with: impl FnOnce(Graph) -> Graph) {
        let mut graph = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *graph = with(std::mem::take(&mut *graph));
    }

    fn graph(&self) -> Graph {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn node_options(
    given: &Bound<'_, PyDict>,
    key: Option<Py<PyAny>>,
    on: Option<Py<PyAny>>,
) -> PyResult<NodeOptions> {
    let mut found = graph::node_options(HOST, options(given, "options of a node")?).or_raise()?;
    if let (Some(cache), Some(key)) = (&mut found.cache, key) {
        let unlike =
            |error: Error| Value::String(format!("{} {}", quorate::state::fresh_id(), error.message()));
        cache.key = Some(Arc::new(move |state: &State| {
            // What fails gives a key that nothing else has: the node works.
            asked(&key, "the key of a cache", &[&state.to_value()]).unwrap_or_else(unlike)
        }));
    }
    if let (Some(retry), Some(on)) = (&mut found.retry, on) {
        retry.on = Some(Arc::new(move |error: &Error| {
            let again = called("the function on", None, |py| {
                let raised = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<PyErr>());
                let raised = match raised {
                    Some(raised) => raised.clone_ref(py),
                    None => raise(Error::new(error.code(), error.message())),
                };
                on.bind(py).call1((raised.into_value(py),))?.is_truthy()
            });
            again.unwrap_or(false)
        }));
    }
    Ok(found)
}

impl GraphBuilder {
    /// A graph that ships.
    pub fn of(graph: Graph) -> Self {
        GraphBuilder(Mutex::new(graph))
    }
}

#[pymethods]
impl GraphBuilder {
    /// A graph without nodes, with the JSON Schema of its state.
    #[new]
    fn new(schema: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(GraphBuilder(Mutex::new(Graph::new(options(schema, "the schema of the state")?))))
    }

    /// A graph that ships.
    #[staticmethod]
    fn ready(name: &str, runtime: &Runtime) -> PyResult<Self> {
        let experts = runtime.0.clone();
        let graph = graph::ready(name, move || Ok(experts.clone())).or_raise()?;
        Ok(GraphBuilder(Mutex::new(graph)))
    }

    /// How writes to a channel are put together: by the reducer of this name, or by a function of `[old, new]`.
    fn reducer(&self, channel: String, name: Option<&str>, function: Option<Py<PyAny>>) -> PyResult<()> {
        let reducer = match (function, name) {
            (Some(function), _) => {
                let what = format!("the reducer of '{channel}'");
                Reducer::custom(move |old, new| asked(&function, &what, &[old.unwrap_or(&Value::Null), new]))
            }
            (None, name) => Reducer::named(name.unwrap_or("last")).or_raise()?,
        };
        self.change(|graph| graph.reducer(channel, reducer));
        Ok(())
    }

    /// What refuses values of a channel: a function of `[value]`.
    fn validator(&self, channel: String, function: Py<PyAny>) {
        let what = format!("the validator of '{channel}'");
        let check = move |value: &Value| {
            let said = called(&what, None, |py| {
                let given = function.bind(py).call1((vec![from_json(py, value)?],))?;
                Ok(match (given.cast::<PyBool>(), given.cast::<PyString>()) {
                    (Ok(fits), _) => Value::Bool(fits.is_true()),
                    (_, Ok(why)) => Value::String(why.to_string_lossy().into_owned()),
                    _ => Value::Null,
                })
            })?;
            graph::refused(&said)
        };
        self.change(|graph| graph.validator(channel, check));
    }

    /// A node: the function with this number of whoever runs the graph.
    fn node(
        &self,
        name: String,
        given: &Bound<'_, PyDict>,
        index: usize,
        key: Option<Py<PyAny>>,
        on: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let options = node_options(given, key, on)?;
        let node = Arc::new(HostNode { index, name: name.clone() });
        self.change(|graph| graph.node_with(name, options, node));
        Ok(())
    }

    /// A graph as a node.
    fn subgraph(&self, name: String, given: &Bound<'_, PyDict>, other: &GraphBuilder) -> PyResult<()> {
        let options = node_options(given, None, None)?;
        let inner = other.graph();
        self.change(|graph| graph.subgraph_with(name, options, inner));
        Ok(())
    }

    fn edge(&self, source: String, target: String) {
        self.change(|graph| graph.edge(source, target));
    }

    /// Where a function of `[state]` leads.
    fn edges_if(&self, source: String, route: Py<PyAny>, targets: Vec<String>) {
        let what = format!("the route after '{source}'");
        let route = move |state: &State| -> quorate::Result<Targets> {
            graph::targets(asked(&route, &what, &[&state.to_value()])?)
        };
        self.change(|graph| graph.edges_if(source, route, targets));
    }

    fn join(&self, sources: Vec<String>, target: String) {
        self.change(|graph| graph.join(sources, target));
    }

    /// Everything that is wrong with it.
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let graph = self.graph();
        from_json(py, &graph::problems(&graph))
    }

    fn compile(&self, store: &StateStore) -> PyResult<GraphApp> {
        let graph = self.graph();
        let app = graph.compile_for(&store.handle()?, store.given.tenant.as_deref()).or_raise()?;
        Ok(GraphApp { app: Held::new(app), durability: store.given.durability })
    }
}

/// Does work on this thread, which Python knows meanwhile: nodes come and go without being made known each time.
fn known<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if guest::ending() {
        return work();
    }
    let mut work = Some(work);
    let done = Python::try_attach(|py| {
        let work = work.take();
        guest::detach(py, move || work.map(|work| work()))
    });
    match (done.flatten(), work) {
        (Some(done), _) => done,
        (None, Some(work)) => work(),
        (None, None) => unreachable!("work is done where it is taken"),
    }
}

impl GraphApp {
    fn how(
        &self,
        given: &Bound<'_, PyDict>,
        caller: Py<PyAny>,
        cancel: &CancelToken,
    ) -> PyResult<RunOptions> {
        let how =
            graph::run_options(HOST, options(given, "options of a run")?, self.durability).or_raise()?;
        Ok(RunOptions { stop: cancel.0.clone(), host: host(caller), ..how })
    }

    fn run_by<'py>(
        &self,
        py: Python<'py>,
        how: RunOptions,
        run: impl FnOnce(&Compiled, &RunOptions) -> quorate::Result<quorate::workflows::graph::Outcome>
        + Send
        + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let app = self.app.clone();
        let outcome = blocking(py, move |host| {
            let _wake = host.cancel.when_raised(raised(&how.stop));
            known(|| run(&app, &how))
        })?;
        from_json(py, &graph::outcome(HOST, &outcome))
    }
}

fn answers(given: &Bound<'_, PyDict>) -> PyResult<HashMap<String, Value>> {
    let Value::Object(answers) = options(given, "answers")? else { return Ok(HashMap::new()) };
    Ok(answers.into_iter().collect())
}

#[pymethods]
impl GraphApp {
    #[getter]
    fn id(&self) -> &str {
        self.app.id()
    }

    fn json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, self.app.json())
    }

    fn mermaid(&self) -> String {
        self.app.mermaid()
    }

    /// Runs the graph; without a thread nothing is kept.
    fn run<'py>(
        &self,
        py: Python<'py>,
        input: &Bound<'py, PyDict>,
        thread: Option<String>,
        given: &Bound<'py, PyDict>,
        caller: Py<PyAny>,
        cancel: &CancelToken,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (input, how) = (json_of(input, "the input")?, self.how(given, caller, cancel)?);
        self.run_by(py, how, move |app, how| match thread {
            Some(thread) => app.run_with(input, &thread, how),
            None => app.run_once(input, how),
        })
    }

    /// Goes on with a thread.
    fn resume<'py>(
        &self,
        py: Python<'py>,
        thread: String,
        answers: &Bound<'py, PyDict>,
        given: &Bound<'py, PyDict>,
        caller: Py<PyAny>,
        cancel: &CancelToken,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (answers, how) = (self::answers(answers)?, self.how(given, caller, cancel)?);
        self.run_by(py, how, move |app, how| app.resume_with(&thread, answers, how))
    }

    /// The events of a run: of one that begins with `input`, or that goes on with `answers`.
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn flow(
        &self,
        thread: String,
        input: Option<&Bound<'_, PyDict>>,
        answers: &Bound<'_, PyDict>,
        modes: &Bound<'_, PyAny>,
        given: &Bound<'_, PyDict>,
        caller: Py<PyAny>,
        cancel: &CancelToken,
    ) -> PyResult<ModelFlow> {
        let begins = match input {
            Some(input) => Begins::Run(json_of(input, "the input")?),
            None => Begins::Resume(self::answers(answers)?),
        };
        let modes = graph::modes(&json_of(modes, "modes")?).or_raise()?;
        let (how, app) = (self.how(given, caller, cancel)?, self.app.clone());
        Ok(ModelFlow::of(graph::flow(HOST, move || Ok(app), thread, begins, modes, how)))
    }

    fn state<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] thread: String,
        #[pyo3(from_py_with = scalar)] namespace: String,
        #[pyo3(from_py_with = scalar)] at: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let app = self.app.clone();
        let found = blocking(py, move |_| {
            Ok(graph::snapshot(HOST, &app.state_within(&thread, &namespace, at.as_deref())?))
        })?;
        from_json(py, &found)
    }

    fn history<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] thread: String,
        #[pyo3(from_py_with = scalar)] namespace: String,
        #[pyo3(from_py_with = scalar)] limit: Option<usize>,
        #[pyo3(from_py_with = scalar)] before: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let app = self.app.clone();
        let found = blocking(py, move |_| {
            let found = app.history_within(&thread, &namespace, limit, before.as_deref())?;
            Ok(found.iter().map(|one| graph::snapshot(HOST, one)).collect::<Value>())
        })?;
        from_json(py, &found)
    }

    fn update(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] thread: String,
        values: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = scalar)] as_node: Option<String>,
        #[pyo3(from_py_with = scalar)] at: Option<String>,
    ) -> PyResult<String> {
        let (app, values) = (self.app.clone(), json_of(values, "the values")?);
        blocking(py, move |_| app.update_at(&thread, at.as_deref(), values, as_node.as_deref()))
    }

    fn fork(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] thread: String,
        #[pyo3(from_py_with = scalar)] namespace: String,
        #[pyo3(from_py_with = scalar)] at: Option<String>,
        #[pyo3(from_py_with = scalar)] to: String,
    ) -> PyResult<String> {
        let app = self.app.clone();
        blocking(py, move |_| app.fork_within(&thread, &namespace, at.as_deref(), &to))
    }

    fn cancel(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] thread: String) -> PyResult<bool> {
        let app = self.app.clone();
        blocking(py, move |_| app.cancel(&thread))
    }
}

#[pymethods]
impl GraphContext {
    /// What `function()` gives, the first time; what it gave, ever after.
    fn step<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] name: String,
        function: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let said: Mutex<Option<PyErr>> = Mutex::new(None);
        let context = &self.0;
        let found = guest::detach(py, || {
            context.step(&name, || {
                guest::call(|py| {
                    let given = function.bind(py).call0();
                    given.and_then(|given| json_of(&given, "what the step gave")).map_err(|raised| {
                        let error = failed(py, raised.clone_ref(py), "the step");
                        *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(raised);
                        error
                    })
                })
            })
        });
        // What the function raised stays what it is.
        if let Some(raised) = said.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(raised);
        }
        from_json(py, &found.or_raise()?)
    }

    fn ask<'py>(&self, py: Python<'py>, question: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let question = json_of(question, "the question")?;
        let context = &self.0;
        let answer = guest::detach(py, || context.ask(question)).or_raise()?;
        from_json(py, &answer)
    }

    /// `waits`: where the reader is slow. Not on the thread of a loop, on which the reader may be.
    fn emit(&self, py: Python<'_>, data: &Bound<'_, PyAny>, waits: bool) -> PyResult<()> {
        let data = json_of(data, "what is told")?;
        let context = &self.0;
        if waits {
            // The reader needs the interpreter meanwhile.
            guest::detach(py, || context.emit(data));
        } else {
            context.emit_at_once(data);
        }
        Ok(())
    }

    #[getter]
    fn cancelled(&self, py: Python<'_>) -> bool {
        let context = &self.0;
        guest::detach(py, || context.cancelled())
    }

    #[getter]
    fn run_id(&self) -> &str {
        self.0.run_id()
    }

    #[getter]
    fn thread(&self) -> &str {
        self.0.thread()
    }

    #[getter]
    fn attempt(&self) -> u32 {
        self.0.attempt()
    }

    /// What ends what waits for the host.
    #[getter]
    fn stop(&self) -> CancelToken {
        CancelToken(self.0.stop().clone())
    }
}
