//! How are experts asked from Python?

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::runtime::{
    AgentReport, Approve, Change, Conversation as Talk, Decision, EvaluateOptions, Question, Resume,
    Runtime as Experts, RuntimeOptions, Scorer, Tool, agent_tool, evaluate_agents, load_tasks as load,
    sources_tool,
};
use quorate::{Cancel, Code, Sources};
use quorate_bindings::Host;
use quorate_bindings::runtime::{self, Run};
use serde_json::{Value, json};

use crate::agents::AgentRegistry;
use crate::convert::{from_json, sequence, text, texts, type_name};
use crate::door::{CancelToken, Held, blocking, quick};
use crate::errors::{OrRaise, invalid};
use crate::functions::{HostApprove, HostScorer, HostTool, checked, host};
use crate::kb::{KnowledgeBase, telling};
use crate::log::trace_parent;
use crate::metadata::object;
use crate::models::{LanguageModel, ModelFlow};
use crate::scalar::scalar;
use crate::state::StateStore;

const HOST: Host = Host::Python;

/// Something that a model may have done; ``quorate.Tool`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeTool")]
pub struct NativeTool(pub Arc<dyn Tool>);

/// Experts that answer; ``quorate.Runtime`` is its public face.
#[pyclass(frozen, module = "quorate", name = "Runtime")]
pub struct Runtime(pub Held<Experts>);

/// What was said before; ``quorate.Conversation`` is its public face.
#[pyclass(frozen, module = "quorate", name = "Conversation")]
pub struct Conversation(Held<Talk>);

/// What an evaluation found; ``quorate.AgentReport`` is its public face.
#[pyclass(frozen, module = "quorate", name = "Evaluation")]
pub struct Evaluation(AgentReport);

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeTool>()?;
    module.add_class::<Runtime>()?;
    module.add_class::<Conversation>()?;
    module.add_class::<Evaluation>()?;
    module.add_function(wrap_pyfunction!(golden_tasks, module)?)?;
    module.add_function(wrap_pyfunction!(load_tasks, module)?)?;
    module.add_function(wrap_pyfunction!(check_judge, module)?)?;
    module.add_function(wrap_pyfunction!(evaluation_of, module)?)?;
    module.add_function(wrap_pyfunction!(open_runtime, module)?)?;
    module.add_function(wrap_pyfunction!(check_budget, module)?)?;
    module.add_function(wrap_pyfunction!(function_tool, module)?)?;
    module.add_function(wrap_pyfunction!(expert_tool, module)?)?;
    module.add_function(wrap_pyfunction!(search_tool, module)?)
}

/// Options as JSON.
pub fn options(given: &Bound<'_, PyDict>, what: &str) -> PyResult<Value> {
    object(given, what, Code::InvalidArgument).map(Value::Object)
}

#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what a runtime is made of; Python's half calls it once")]
fn open_runtime(
    registry: Option<&AgentRegistry>,
    kb: Option<&KnowledgeBase>,
    model: Option<&LanguageModel>,
    store: Option<&StateStore>,
    #[pyo3(from_py_with = scalar)] tenant: Option<String>,
    budget: &Bound<'_, PyDict>,
    tools: &Bound<'_, PyAny>,
    approve: Option<Py<PyAny>>,
) -> PyResult<Runtime> {
    let own = model.and_then(LanguageModel::sources);
    let tenant = tenant.or_else(|| store.and_then(StateStore::tenant));
    let options = RuntimeOptions {
        registry: registry.map(|registry| registry.handle().or_raise()).transpose()?,
        sources: kb.map(|kb| Sources::of(kb.handle())).or(own),
        model: model.map(LanguageModel::model),
        store: store.map(StateStore::handle).transpose()?,
        tenant,
        budget: runtime::budget(HOST, options(budget, "a budget's options")?).or_raise()?,
        tools: tools_of(tools)?,
        approve: approve.map(|approve| Arc::new(HostApprove(approve)) as Arc<dyn Approve>),
        ..RuntimeOptions::default()
    };
    Ok(Runtime(Held::new(Experts::new(options).or_raise()?)))
}

#[pyfunction]
fn check_budget(given: &Bound<'_, PyDict>) -> PyResult<()> {
    runtime::budget(HOST, options(given, "a budget's options")?).or_raise().map(|_| ())
}

/// A tool that is a function of Python: `function(arguments, context, cancel, asked)` gives `{"result": ...}`.
#[pyfunction]
fn function_tool(card: &Bound<'_, PyDict>, function: Bound<'_, PyAny>) -> PyResult<NativeTool> {
    let card = runtime::card(HOST, options(card, "a tool's options")?).or_raise()?;
    Ok(NativeTool(Arc::new(HostTool::new(card, function))))
}

/// A tool that asks the expert with this id.
#[pyfunction]
fn expert_tool(runtime: &Runtime, id: &Bound<'_, PyAny>) -> PyResult<NativeTool> {
    agent_tool(&runtime.0, &text(id, "the agent's id")?).or_raise().map(NativeTool)
}

/// A tool that searches a knowledge base.
#[pyfunction]
fn search_tool(kb: &KnowledgeBase) -> PyResult<NativeTool> {
    sources_tool(Sources::of(kb.handle())).or_raise().map(NativeTool)
}

#[pymethods]
impl NativeTool {
    /// The same tool with another function.
    fn bound(&self, function: Bound<'_, PyAny>) -> NativeTool {
        NativeTool(Arc::new(HostTool::new(self.0.card().clone(), function)))
    }

    /// What is known of it.
    #[getter]
    fn card<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &json!(self.0.card()))
    }
}

/// What the host adds to a question. `who`: who asks, as Python knows it.
#[expect(clippy::too_many_arguments, reason = "each is a part of the question; there are three callers")]
fn asked(
    question: String,
    given: &Bound<'_, PyDict>,
    tools: &Bound<'_, PyAny>,
    approve: Option<Py<PyAny>>,
    talk: Option<&Conversation>,
    cancel: &Cancel,
    check: Option<Py<PyAny>>,
    who: Option<Py<PyAny>>,
) -> PyResult<Question> {
    let mut question =
        runtime::question(HOST, question, options(given, "a question's options")?).or_raise()?;
    question.talk = talk.map(|talk| (*talk.0).clone());
    question.cancel = cancel.clone();
    question.trace_parent = trace_parent(given.py());
    question.check_output = check.map(checked);
    question.tools = Some(tools_of(tools)?);
    question.host = host(who);
    question.approve = approve.map(|approve| Arc::new(HostApprove(approve)) as Arc<dyn Approve>);
    Ok(question)
}

/// What raises the flag of a run.
pub fn raised(run: &Cancel) -> impl Fn() + Send + Sync + 'static {
    let run = run.clone();
    move || run.cancel()
}

fn tools_of(given: &Bound<'_, PyAny>) -> PyResult<Vec<Arc<dyn Tool>>> {
    let tool = |(i, item): (usize, PyResult<Bound<'_, PyAny>>)| {
        let item = item?;
        match item.cast::<NativeTool>() {
            Ok(tool) => Ok(Arc::clone(&tool.get().0)),
            Err(_) => Err(invalid(format!("tools[{i}] is of type {}; a tool is expected", type_name(&item)))),
        }
    };
    sequence(given, "tools")?.enumerate().map(tool).collect()
}

/// The events of a run, or its last one alone.
pub fn flow(whole: bool, experts: &Experts, run: Run) -> ModelFlow {
    ModelFlow::of(if whole { runtime::whole(HOST, experts, run) } else { runtime::flow(HOST, experts, run) })
}

fn decided(given: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Decision)>> {
    runtime::decisions(&options(given, "decisions")?).or_raise()
}

#[pymethods]
impl Runtime {
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn ask<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] question: String,
        given: &Bound<'py, PyDict>,
        tools: &Bound<'py, PyAny>,
        approve: Option<Py<PyAny>>,
        talk: Option<&Conversation>,
        cancel: &CancelToken,
        check: Option<Py<PyAny>>,
        who: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let question = asked(question, given, tools, approve, talk, &cancel.0, check, who)?;
        let experts = self.0.clone();
        let answer = blocking(py, move |host| {
            let _wake = host.cancel.when_raised(raised(&question.cancel));
            runtime::answer(HOST, &experts.ask(question)?)
        })?;
        from_json(py, &answer)
    }

    /// The events of a question; the last alone with `whole`.
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn flow(
        &self,
        #[pyo3(from_py_with = scalar)] question: String,
        given: &Bound<'_, PyDict>,
        tools: &Bound<'_, PyAny>,
        approve: Option<Py<PyAny>>,
        talk: Option<&Conversation>,
        cancel: &CancelToken,
        check: Option<Py<PyAny>>,
        who: Option<Py<PyAny>>,
        whole: bool,
    ) -> PyResult<ModelFlow> {
        let question = asked(question, given, tools, approve, talk, &cancel.0, check, who)?;
        Ok(flow(whole, &self.0, Run::Ask(Box::new(question))))
    }

    /// The events of a run that goes on.
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn resume_flow(
        &self,
        #[pyo3(from_py_with = scalar)] run_id: String,
        decisions: &Bound<'_, PyDict>,
        tools: &Bound<'_, PyAny>,
        approve: Option<Py<PyAny>>,
        cancel: &CancelToken,
        check: Option<Py<PyAny>>,
        who: Option<Py<PyAny>>,
        whole: bool,
    ) -> PyResult<ModelFlow> {
        let approve = approve.map(|approve| Arc::new(HostApprove(approve)) as Arc<dyn Approve>);
        let going_on = Resume {
            decisions: decided(decisions)?,
            tools: Some(tools_of(tools)?),
            approve,
            check_output: check.map(checked),
            trace_parent: trace_parent(decisions.py()),
            host: host(who),
            cancel: cancel.0.clone(),
        };
        Ok(flow(whole, &self.0, Run::Resume(run_id, Box::new(going_on))))
    }

    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn resume<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] run_id: String,
        decisions: &Bound<'py, PyDict>,
        tools: &Bound<'py, PyAny>,
        approve: Option<Py<PyAny>>,
        cancel: &CancelToken,
        check: Option<Py<PyAny>>,
        who: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let approve = approve.map(|approve| Arc::new(HostApprove(approve)) as Arc<dyn Approve>);
        let (decisions, tools) = (decided(decisions)?, Some(tools_of(tools)?));
        let (experts, cancel, check_output) = (self.0.clone(), cancel.0.clone(), check.map(checked));
        let (trace_parent, host_context) = (trace_parent(py), host(who));
        let answer = blocking(py, move |host| {
            let _wake = host.cancel.when_raised(raised(&cancel));
            let host = host_context;
            let going_on = Resume { decisions, tools, approve, check_output, trace_parent, host, cancel };
            runtime::resumed(HOST, &experts, &run_id, going_on)
        })?;
        from_json(py, &answer)
    }

    fn runs<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] status: Option<String>,
    ) -> PyResult<Bound<'py, PyList>> {
        let experts = self.0.clone();
        let rows = blocking(py, move |_| experts.runs(status.as_deref()))?;
        let rows =
            rows.iter().map(|row| from_json(py, &runtime::row(HOST, row))).collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, rows)
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] run_id: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (experts, run_id) = (self.0.clone(), run_id);
        let row = quick(py, || Ok(runtime::row(HOST, experts.run(&run_id)?.row())))?;
        from_json(py, &row)
    }

    fn events<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] run_id: String,
    ) -> PyResult<Bound<'py, PyList>> {
        let (experts, run_id) = (self.0.clone(), run_id);
        let events = blocking(py, move |_| experts.run(&run_id)?.events())?;
        let events = events.iter().map(|one| from_json(py, &runtime::event(HOST, one)));
        PyList::new(py, events.collect::<PyResult<Vec<_>>>()?)
    }

    fn answer<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] run_id: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (experts, run_id) = (self.0.clone(), run_id);
        let answer = blocking(py, move |_| runtime::answer_of(HOST, &experts, &run_id))?;
        from_json(py, &answer)
    }

    fn cancel(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] run_id: String) -> PyResult<()> {
        let (experts, run_id) = (self.0.clone(), run_id);
        blocking(py, move |_| experts.cancel(&run_id))
    }

    /// Asks tasks several times. `judges`: pairs of a model and its options. `scorers`: pairs of a name and a function
    /// `function(answer, task, cancel)`, which gives `{"verdict": ...}`.
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn evaluate(
        &self,
        py: Python<'_>,
        tasks: &Bound<'_, PyDict>,
        given: &Bound<'_, PyDict>,
        judges: Vec<(PyRef<'_, LanguageModel>, Bound<'_, PyDict>)>,
        scorers: Vec<(String, Py<PyAny>)>,
        tools: &Bound<'_, PyAny>,
        approve: Option<Py<PyAny>>,
        progress: Option<Py<PyAny>>,
        cancel: &CancelToken,
        who: Option<Py<PyAny>>,
    ) -> PyResult<Evaluation> {
        let tasks = options(tasks, "the tasks")?;
        let judge = |(model, given): (PyRef<'_, LanguageModel>, Bound<'_, PyDict>)| {
            runtime::judge(HOST, model.model(), options(&given, "a judge's options")?).or_raise()
        };
        let judges = judges.into_iter().map(judge).collect::<PyResult<Vec<_>>>()?;
        let mut how =
            runtime::evaluation(HOST, options(given, "an evaluation's options")?, judges).or_raise()?;
        let own = |(name, function)| Scorer::Custom(Arc::new(HostScorer { name, function }));
        how.scorers.extend(scorers.into_iter().map(own));
        how.validate().or_raise()?;
        let (experts, cancel) = (self.with(tools, approve)?, cancel.0.clone());
        let how = EvaluateOptions { trace_parent: trace_parent(py), host: host(who), ..how };
        let report = blocking(py, move |host| {
            let tasks = runtime::tasks(HOST, &tasks["tasks"])?;
            let progress = progress.map(|function| telling(host, function));
            let _wake = host.cancel.when_raised(raised(&cancel));
            let how = EvaluateOptions { cancel, progress, ..how };
            evaluate_agents(&experts, &tasks, &how)
        })?;
        Ok(Evaluation(report))
    }

    /// Asks a recorded run again.
    #[expect(clippy::too_many_arguments, reason = "Python's half calls it once")]
    fn replay<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] run_id: String,
        given: &Bound<'py, PyDict>,
        model: Option<&LanguageModel>,
        tools: &Bound<'py, PyAny>,
        approve: Option<Py<PyAny>>,
        who: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let change = options(given, "a replay's options")?;
        let change = runtime::change(HOST, change, model.map(LanguageModel::model)).or_raise()?;
        let (experts, run_id) = (self.with(tools, approve)?, run_id);
        let change = Change { trace_parent: trace_parent(py), host: host(who), ..change };
        let found = blocking(py, move |host| {
            let change = Change { cancel: host.cancel.clone(), ..change };
            runtime::replayed(HOST, &experts.replay(&run_id, change)?)
        })?;
        from_json(py, &found)
    }

    fn delete(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] run_id: String) -> PyResult<()> {
        let (experts, run_id) = (self.0.clone(), run_id);
        blocking(py, move |_| experts.delete(&run_id))
    }

    fn conversation(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] id: Option<String>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<Conversation> {
        let options =
            runtime::conversation_options(HOST, options(given, "a conversation's options")?).or_raise()?;
        let experts = self.0.clone();
        let talk = blocking(py, move |_| experts.conversation(id.as_deref(), options))?;
        Ok(Conversation(Held::new(talk)))
    }

    fn remember<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] user: String,
        #[pyo3(from_py_with = scalar)] text: String,
        #[pyo3(from_py_with = scalar)] source: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let experts = self.0.clone();
        let fact = blocking(py, move |_| experts.memory().remember(&user, &text, source.as_deref()))?;
        from_json(py, &json!(fact))
    }

    /// The facts that a question is about; all without one.
    fn recall<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] user: String,
        #[pyo3(from_py_with = scalar)] question: Option<String>,
        #[pyo3(from_py_with = scalar)] k: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let experts = self.0.clone();
        let found = blocking(py, move |host| {
            host.cancel.cover(|| match question {
                Some(question) => experts.memory().recall(&user, &question, k),
                None => experts.memory().facts(&user),
            })
        })?;
        from_json(py, &runtime::facts(&found))
    }

    fn forget(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] user: String,
        #[pyo3(from_py_with = scalar)] id: Option<String>,
    ) -> PyResult<usize> {
        let experts = self.0.clone();
        blocking(py, move |_| experts.memory().forget(&user, id.as_deref()))
    }

    fn prompt<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] question: String,
        given: &Bound<'py, PyDict>,
        tools: &Bound<'py, PyAny>,
        talk: Option<&Conversation>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let question = asked(question, given, tools, None, talk, &Cancel::new(), None, None)?;
        let experts = self.0.clone();
        let messages =
            blocking(py, move |host| experts.prompt(Question { cancel: host.cancel.clone(), ..question }))?;
        from_json(py, &runtime::messages(&messages))
    }
}

#[pymethods]
impl Conversation {
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    fn turns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let talk = (*self.0).clone();
        let turns = blocking(py, move |_| Ok(runtime::turns(HOST, &talk.turns()?)))?;
        from_json(py, &turns)
    }

    fn add(&self, py: Python<'_>, messages: &Bound<'_, PyDict>) -> PyResult<()> {
        let given = options(messages, "messages")?;
        let messages = runtime::said(&given["messages"]).or_raise()?;
        let talk = (*self.0).clone();
        blocking(py, move |_| talk.add(messages))
    }

    fn forget(&self, py: Python<'_>, which: Option<Bound<'_, PyAny>>) -> PyResult<usize> {
        let which = which.map(|which| texts(&which, "where")).transpose()?;
        let talk = (*self.0).clone();
        blocking(py, move |_| talk.forget(which.as_deref()))
    }
}

impl Runtime {
    /// The same with these tools, and with who decides.
    fn with(&self, tools: &Bound<'_, PyAny>, approve: Option<Py<PyAny>>) -> PyResult<Experts> {
        let approve = approve.map(|approve| Arc::new(HostApprove(approve)) as Arc<dyn Approve>);
        self.0.with(tools_of(tools)?, approve).or_raise()
    }
}

/// The tasks that ship, by the id of their agent.
#[pyfunction]
fn golden_tasks(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    from_json(py, &runtime::golden(HOST).or_raise()?)
}

/// The tasks of a file.
#[pyfunction]
fn load_tasks<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] path: PathBuf,
) -> PyResult<Bound<'py, PyAny>> {
    let tasks = blocking(py, move |_| load(path))?;
    from_json(py, &tasks.iter().map(|task| runtime::task(HOST, task)).collect::<Value>())
}

#[pyfunction]
fn check_judge(model: &LanguageModel, given: &Bound<'_, PyDict>) -> PyResult<()> {
    runtime::judge(HOST, model.model(), options(given, "a judge's options")?).or_raise().map(|_| ())
}

/// A report that was written as JSON.
#[pyfunction]
fn evaluation_of(given: &Bound<'_, PyDict>) -> PyResult<Evaluation> {
    AgentReport::from_json(&options(given, "a report")?).or_raise().map(Evaluation)
}

#[pymethods]
impl Evaluation {
    fn found<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &runtime::agent_report(HOST, &self.0).or_raise()?)
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &runtime::agent_rows(HOST, &self.0))
    }

    fn html(&self) -> String {
        self.0.report_html()
    }

    fn summary(&self) -> String {
        self.0.summary()
    }

    fn compare<'py>(
        &self,
        py: Python<'py>,
        other: &Evaluation,
        #[pyo3(from_py_with = scalar)] seed: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = quick(py, || self.0.compare(&other.0, seed))?;
        from_json(py, &runtime::agent_comparison(HOST, &found))
    }
}
