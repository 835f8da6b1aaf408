//! How are language models asked from Python?

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString};
use quorate::models::{MESSAGE_SCHEMA, Model, Recording as Session, Request, ScriptedModel};
use quorate::runtime::Retrieve;
use quorate::{Cancel, Code, Error, Sources};
use quorate_bindings::models;
use quorate_bindings::{Flow, Host};
use serde_json::Value;

use crate::bell::Bell;
use crate::convert::{from_json, sequence, text, texts, type_name};
use crate::door::{CancelToken, Held, await_here, blocking, quick};
use crate::errors::{OrRaise, invalid, known, raise};
use crate::guest;
use crate::kb::KnowledgeBase;
use crate::metadata::{dict, object, wrong};
use crate::scalar::scalar;

const HOST: Host = Host::Python;

/// What makes a text or a dict of a scripted reply.
static SCRIPTED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A language model; ``quorate.Model`` is its public face.
#[pyclass(frozen, module = "quorate", name = "LanguageModel")]
pub struct LanguageModel {
    model: Model,
    /// Where the extractive one finds its sentences.
    sources: Option<Arc<dyn Retrieve>>,
}

impl LanguageModel {
    fn of(model: Model) -> Self {
        LanguageModel { model, sources: None }
    }

    /// The model.
    pub fn model(&self) -> Model {
        self.model.clone()
    }

    /// Where the extractive one finds its sentences.
    pub fn sources(&self) -> Option<Arc<dyn Retrieve>> {
        self.sources.clone()
    }
}

/// The events of one answer; ``quorate.ModelStream`` is its public face.
#[pyclass(frozen, module = "quorate", name = "ModelFlow")]
pub struct ModelFlow(Held<Arc<Flow>>);

/// A recording or a replay that is under way; ``quorate.Recording`` is its public face.
#[pyclass(frozen, module = "quorate", name = "Session")]
pub struct NativeSession(Mutex<Option<Session>>);

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LanguageModel>()?;
    module.add_class::<ModelFlow>()?;
    module.add_class::<NativeSession>()?;
    module.add_function(wrap_pyfunction!(open_model, module)?)?;
    module.add_function(wrap_pyfunction!(extractive_model, module)?)?;
    module.add_function(wrap_pyfunction!(scripted_model, module)?)?;
    module.add_function(wrap_pyfunction!(check_resilience, module)?)?;
    module.add_function(wrap_pyfunction!(message_schema, module)?)?;
    module.add_function(wrap_pyfunction!(error, module)?)?;
    module.add_function(wrap_pyfunction!(record, module)?)?;
    module.add_function(wrap_pyfunction!(replay, module)?)
}

/// Options as JSON.
fn options(given: &Bound<'_, PyDict>, what: &str) -> PyResult<Value> {
    object(given, what, Code::InvalidArgument).map(Value::Object)
}

fn fallbacks(given: &Bound<'_, PyAny>) -> PyResult<Vec<Model>> {
    let model = |(i, item): (usize, PyResult<Bound<'_, PyAny>>)| {
        let item = item?;
        match item.cast::<LanguageModel>() {
            Ok(model) => Ok(model.get().model()),
            Err(_) => {
                Err(invalid(format!("fallback[{i}] is of type {}; a Model is expected", type_name(&item))))
            }
        }
    };
    sequence(given, "fallback")?.enumerate().map(model).collect()
}

#[pyfunction]
fn open_model(
    py: Python<'_>,
    name: &Bound<'_, PyAny>,
    given: &Bound<'_, PyDict>,
    fallback: &Bound<'_, PyAny>,
) -> PyResult<LanguageModel> {
    let (name, given) = (text(name, "the model")?, options(given, "a model's options")?);
    let fallback = fallbacks(fallback)?;
    // A local one is read and packed, which takes a while.
    blocking(py, move |_| models::open(HOST, &name, given, fallback)).map(LanguageModel::of)
}

/// The model whose answers are sentences of a knowledge base.
#[pyfunction]
fn extractive_model(
    kb: &KnowledgeBase,
    given: &Bound<'_, PyDict>,
    fallback: &Bound<'_, PyAny>,
) -> PyResult<LanguageModel> {
    let sources = Sources::of(kb.handle());
    let given = options(given, "a model's options")?;
    let model = models::extractive(HOST, Arc::clone(&sources), given, fallbacks(fallback)?).or_raise()?;
    Ok(LanguageModel { model, sources: Some(sources) })
}

/// A model of tests. `replies`: what it says in order, or a function of the request.
#[pyfunction]
fn scripted_model(
    replies: &Bound<'_, PyAny>,
    id: &Bound<'_, PyAny>,
    given: &Bound<'_, PyDict>,
    fallback: &Bound<'_, PyAny>,
) -> PyResult<LanguageModel> {
    let given = options(given, "a model's options")?;
    let script = if replies.is_callable() {
        let function = replies.clone().unbind();
        ScriptedModel::of_function(move |request, cancel| answer(&function, request, cancel))
    } else {
        let reply = |(i, item): (usize, PyResult<Bound<'_, PyAny>>)| said(&item?, &format!("replies[{i}]"));
        let replies = sequence(replies, "replies")?.enumerate().map(reply).collect::<PyResult<_>>()?;
        models::scripted_list(replies).or_raise()?
    };
    let script = if id.is_none() { script } else { script.named(text(id, "id")?) };
    models::provided(HOST, script, given, fallbacks(fallback)?).or_raise().map(LanguageModel::of)
}

/// A scripted reply as JSON.
fn said(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Value> {
    if let Some(fields) = dict(given)? {
        return options(&fields, what);
    }
    if !given.is_instance_of::<PyString>() {
        return Err(wrong(Code::InvalidArgument, what, given, "a string, a dict or an error is expected"));
    }
    text(given, what).map(Value::String)
}

/// What `function` answers to a request; it is told what cancels the call.
fn answer(
    function: &Py<PyAny>,
    request: &Request,
    cancel: &Cancel,
) -> quorate::Result<quorate::models::Reply> {
    cancel.check()?;
    let answered = guest::call(|py| {
        let call = || {
            let told = (from_json(py, &request.to_json())?, CancelToken(cancel.clone()));
            let given = function.bind(py).call1(told)?;
            let plain = SCRIPTED.import(py, "quorate._models", "_scripted")?.call1((given,))?;
            said(&plain, "what the model's function gave")
        };
        call().map_err(|raised| failed(py, raised, "the model's function"))
    });
    models::scripted_reply(&guest::staying(answered)?)
}

/// A request. `check`: what refuses outputs that fit the schema, as an exception with code `output_invalid`.
fn request(given: &Bound<'_, PyDict>, check: Option<Py<PyAny>>) -> PyResult<Request> {
    let mut request = models::request(HOST, options(given, "the request")?).or_raise()?;
    if let Some(check) = check {
        request.output = request.output.map(|output| {
            output.checked_by(move |value| {
                guest::call(|py| {
                    let call = || guest::apart(py, (&check, from_json(py, value)?)).map(drop);
                    call().map_err(|raised| failed(py, raised, "the model's function"))
                })
            })
        });
    }
    Ok(request)
}

/// The error of a function of the host: the code of quorate's own exceptions, or `callback`.
pub fn failed(py: Python<'_>, raised: PyErr, what: &str) -> Error {
    if let Some(error) = known(py, &raised) {
        return match raised.cause(py) {
            Some(cause) => Error::with_source(error.code(), error.message(), cause),
            None => error,
        };
    }
    // Ctrl-C and the like stay what they are.
    if !raised.is_instance_of::<PyException>(py) {
        return Error::with_source(Code::Callback, "interrupted", raised);
    }
    let said: String = raised.value(py).to_string().chars().take(300).collect();
    let name = raised.get_type(py).name().map_or_else(|_| "exception".to_owned(), |n| n.to_string());
    Error::with_source(Code::Callback, format!("{what} raised {name}: {said}"), raised)
}

#[pyfunction]
fn check_resilience(given: &Bound<'_, PyDict>) -> PyResult<()> {
    let given = options(given, "a resilience's options")?;
    models::resilience_of(HOST, given, Vec::new()).or_raise().map(|_| ())
}

/// The JSON Schema of a message, as text.
#[pyfunction]
fn message_schema() -> &'static str {
    MESSAGE_SCHEMA
}

/// The exception for a code.
#[pyfunction]
fn error<'py>(py: Python<'py>, code: &str, message: String) -> Bound<'py, PyAny> {
    let code = Code::ALL.iter().find(|known| known.as_str() == code).copied().unwrap_or(Code::Internal);
    raise(Error::new(code, message)).into_value(py).into_bound(py).into_any()
}

#[pymethods]
impl LanguageModel {
    #[pyo3(signature = (request, check=None))]
    fn complete<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyDict>,
        check: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = self::request(request, check)?;
        let model = self.model();
        let reply = blocking(py, move |host| Ok(models::reply(&model.complete(&request, &host.cancel)?)))?;
        from_json(py, &reply)
    }

    #[pyo3(signature = (request, check=None))]
    fn stream(&self, request: &Bound<'_, PyDict>, check: Option<Py<PyAny>>) -> PyResult<ModelFlow> {
        let request = self::request(request, check)?;
        let flow = models::stream(HOST, &self.model, &request).or_raise()?;
        Ok(ModelFlow::of(flow))
    }

    fn count_tokens<'py>(
        &self,
        py: Python<'py>,
        request: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = self::request(request, None)?;
        let model = self.model();
        let count = blocking(py, move |_| model.count_tokens(&request))?;
        from_json(py, &models::count(count))
    }

    #[getter]
    fn id(&self) -> &str {
        self.model.id()
    }

    #[getter]
    fn price<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(py, &models::price(HOST, &self.model))
    }
}

impl ModelFlow {
    /// A flow as Python reads it.
    pub fn of(flow: Flow) -> Self {
        ModelFlow(Held::new(Arc::new(flow)))
    }
}

fn events<'py>(py: Python<'py>, events: Vec<Value>) -> PyResult<Bound<'py, PyList>> {
    let events = events.iter().map(|event| from_json(py, event)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, events)
}

#[pymethods]
impl ModelFlow {
    /// The events that have come, at least one; an empty list after the last.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let flow = Arc::clone(&self.0);
        let found = await_here(py, || flow.cancel(), |limit| flow.wait(limit))?;
        events(py, found)
    }

    /// The events that have come; an empty list after the last, and None when there are none now.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let found = guest::detach(py, || self.0.take()).or_raise()?;
        found.map(|found| events(py, found)).transpose()
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn close(&self, py: Python<'_>) {
        guest::detach(py, || self.0.close());
    }

    /// Has the bell ring this number whenever there may be something to take, now too.
    fn _ring(&self, py: Python<'_>, bell: &Bell, number: u64) {
        let ring = bell.ringer(number);
        guest::detach(py, || self.0.wake_by(ring));
    }
}

#[pyfunction]
fn record(
    py: Python<'_>,
    #[pyo3(from_py_with = scalar)] path: PathBuf,
    redact: &Bound<'_, PyAny>,
) -> PyResult<NativeSession> {
    let keys = texts(redact, "redact")?;
    let session = quick(py, || {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        quorate::models::record(path, &keys)
    })?;
    Ok(NativeSession(Mutex::new(Some(session))))
}

#[pyfunction]
fn replay(py: Python<'_>, #[pyo3(from_py_with = scalar)] path: PathBuf) -> PyResult<NativeSession> {
    let session = blocking(py, move |_| quorate::models::replay(path))?;
    Ok(NativeSession(Mutex::new(Some(session))))
}

#[pymethods]
impl NativeSession {
    fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
