//! How does Python put work and events into line, and have it worked off?

use std::sync::Arc;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::state::Events;
use quorate::{Cancel, Code, Error, Result};
use quorate_bindings::Host;
use quorate_bindings::queue::{self, Crew, Line};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::{CancelToken, Held, blocking};
use crate::errors::{OrRaise, known};
use crate::guest;
use crate::hands::Hand;
use crate::runtime::options;
use crate::scalar::scalar;
use crate::state::StateStore;

const HOST: Host = Host::Python;

/// What messages or events are taken from; ``quorate.workflows.Queue`` and ``Subscription`` are its public faces.
#[pyclass(frozen, module = "quorate", name = "NativeLine")]
pub struct NativeLine(Held<Line>);

/// The events of a store; ``quorate.workflows.Events`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeEvents")]
pub struct NativeEvents(Held<Events>);

/// Threads that work something off; ``quorate.workflows.Workers`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeWorkers")]
pub struct NativeWorkers {
    crew: Held<Arc<Crew>>,
    /// The function that they call, until they have ended.
    hand: Arc<Hand>,
}

/// Adds the classes and the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeLine>()?;
    module.add_class::<NativeEvents>()?;
    module.add_class::<NativeWorkers>()?;
    module.add_function(wrap_pyfunction!(open_queue, module)?)?;
    module.add_function(wrap_pyfunction!(queue_names, module)?)?;
    module.add_function(wrap_pyfunction!(open_events, module)?)
}

/// A queue of a store's tenant.
#[pyfunction]
fn open_queue(
    py: Python<'_>,
    store: &StateStore,
    #[pyo3(from_py_with = scalar)] name: String,
    given: &Bound<'_, PyDict>,
) -> PyResult<NativeLine> {
    let how = queue::queue_options(HOST, options(given, "options of a queue")?).or_raise()?;
    let (tenant, store) = (store.tenant(), store.handle()?);
    let line = blocking(py, move |_| queue::open(&store, tenant.as_deref(), &name, how.as_ref()))?;
    Ok(NativeLine(Held::new(line)))
}

/// The names of the queues of a store's tenant.
#[pyfunction]
fn queue_names(py: Python<'_>, store: &StateStore) -> PyResult<Vec<String>> {
    let (tenant, store) = (store.tenant(), store.handle()?);
    blocking(py, move |_| store.queues(tenant.as_deref()))
}

/// The events of a store's tenant.
#[pyfunction]
fn open_events(store: &StateStore) -> PyResult<NativeEvents> {
    let events = store.handle()?.events(store.tenant().as_deref()).or_raise()?;
    Ok(NativeEvents(Held::new(events)))
}

fn value_of(given: &Bound<'_, PyDict>, what: &str) -> PyResult<Value> {
    Ok(options(given, what)?["value"].take())
}

impl NativeLine {
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&Line) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let line = self.0.clone();
        blocking(py, move |_| ask(&line))
    }

    fn tell<'py>(
        &self,
        py: Python<'py>,
        tell: impl FnOnce(&Line) -> Result<Value> + Send + 'static,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = self.ask(py, tell)?;
        from_json(py, &found)
    }
}

#[pymethods]
impl NativeLine {
    fn options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |line| line.options(HOST))
    }

    fn put<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyDict>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let data = value_of(data, "the payload")?;
        let how = queue::put_options(HOST, options(given, "options of a message")?).or_raise()?;
        self.tell(py, move |line| line.put(&data, &how))
    }

    fn take<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] most: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, move |line| line.take(HOST, most))
    }

    fn ack(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] lease: String) -> PyResult<()> {
        self.ask(py, move |line| line.ack(lease))
    }

    fn nack(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] lease: String,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<bool> {
        let given = options(given, "options of what is given back")?;
        self.ask(py, move |line| line.nack(HOST, lease, given))
    }

    fn reject(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] lease: String,
        #[pyo3(from_py_with = scalar)] reason: String,
    ) -> PyResult<()> {
        self.ask(py, move |line| line.reject(lease, &reason))
    }

    fn renew(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] lease: String) -> PyResult<f64> {
        self.ask(py, move |line| line.renew(lease))
    }

    fn dead<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, |line| line.dead(HOST))
    }

    fn replay(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<usize> {
        let ids = queue::ids(&value_of(given, "ids")?).or_raise()?;
        self.ask(py, move |line| line.replay(&ids))
    }

    fn discard(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<usize> {
        let ids = queue::ids(&value_of(given, "ids")?).or_raise()?;
        self.ask(py, move |line| line.discard(&ids))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.tell(py, Line::stats)
    }

    fn delete(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, Line::delete)
    }

    /// Works it off: `function(message, cancel)`.
    fn work(
        &self,
        py: Python<'_>,
        function: Py<PyAny>,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<NativeWorkers> {
        let how = queue::work_options(HOST, options(given, "options of work")?).or_raise()?;
        let hand = Arc::new(Hand::new(function));
        let (theirs, late) = (Arc::clone(&hand), guest::ending());
        let handler = move |one: Value, cancel: &Cancel| handled(&theirs, &one, cancel, late);
        let crew = self.ask(py, move |line| line.work(HOST, handler, &how))?;
        Ok(NativeWorkers { crew: Held::new(Arc::new(crew)), hand })
    }
}

/// Has a message or an event worked off.
fn handled(hand: &Hand, one: &Value, cancel: &Cancel, late: bool) -> Result<()> {
    let about = guest::Guest { writes: None, cancel: Some(cancel.clone()) };
    let ran = guest::call_as(about, |py| {
        let Some(function) = hand.function(py) else {
            return Err(Error::new(Code::Closed, "the workers have ended"));
        };
        let call = || function.bind(py).call1((from_json(py, one)?, CancelToken(cancel.clone()))).map(drop);
        call().map_err(|raised| failed(py, &raised, "the handler"))
    });
    match ran {
        // What the end of the interpreter has cut short has not failed: somebody else gets it as soon as this process is gone.
        Err(error) if guest::ending() && !late => {
            guest::stay();
            Err(error)
        }
        ran => ran,
    }
}

/// What a function of the host has failed with, which is the error's source.
pub fn failed(py: Python<'_>, raised: &PyErr, what: &str) -> Error {
    let (code, message) = match known(py, raised) {
        Some(error) => (error.code(), error.message().to_owned()),
        None => {
            let kind =
                raised.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
            let text = raised.value(py).str().map(|text| text.to_string_lossy().into_owned());
            let said: String = text.unwrap_or_default().chars().take(300).collect();
            let how = if raised.is_instance_of::<PyException>(py) { "raised" } else { "was ended by" };
            (Code::Callback, format!("{what} {how} {kind}: {said}"))
        }
    };
    Error::with_source(code, message, raised.clone_ref(py))
}

#[pymethods]
impl NativeWorkers {
    /// Has them end; whether all is settled.
    fn end(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] stop: bool,
        #[pyo3(from_py_with = scalar)] timeout: Option<f64>,
    ) -> PyResult<bool> {
        let crew = Arc::clone(&self.crew);
        let done = blocking(py, move |host| crew.end(stop, timeout, &host.cancel))?;
        if done {
            self.hand.let_go();
        }
        Ok(done)
    }

    /// Has them take nothing more, and waits for nothing: at the end of the interpreter, and of a store.
    fn leave(&self, py: Python<'_>) -> bool {
        let done = guest::detach(py, || self.crew.leave());
        if done {
            self.hand.let_go();
        }
        done
    }

    /// Waits until they have ended; whether they have.
    fn wait(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] timeout: Option<f64>) -> PyResult<bool> {
        let crew = Arc::clone(&self.crew);
        blocking(py, move |host| crew.wait(timeout, &host.cancel))
    }

    /// How many messages are being worked at.
    fn working(&self, py: Python<'_>) -> usize {
        guest::detach(py, || self.crew.working())
    }

    /// What went wrong last with the store: its code and message.
    fn error(&self, py: Python<'_>) -> Option<(&'static str, String)> {
        guest::detach(py, || self.crew.error())
    }
}

impl NativeEvents {
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&Events) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let events = self.0.clone();
        blocking(py, move |_| ask(&events))
    }
}

#[pymethods]
impl NativeEvents {
    fn publish(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] subject: String,
        data: &Bound<'_, PyDict>,
        #[pyo3(from_py_with = scalar)] key: Option<String>,
    ) -> PyResult<u64> {
        let data = value_of(data, "the data")?;
        self.ask(py, move |events| events.publish(&subject, &data, key.as_deref()))
    }

    fn subscribe(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] pattern: String,
        given: &Bound<'_, PyDict>,
    ) -> PyResult<NativeLine> {
        let how = queue::subscribe_options(HOST, options(given, "options of a subscription")?).or_raise()?;
        let line = self.ask(py, move |events| events.subscribe(&pattern, &how).map(Line::Events))?;
        Ok(NativeLine(Held::new(line)))
    }

    fn subscriptions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.ask(py, queue::subscriptions)?;
        from_json(py, &found)
    }

    fn replay(
        &self,
        py: Python<'_>,
        since: &Bound<'_, PyDict>,
        #[pyo3(from_py_with = scalar)] time: bool,
        #[pyo3(from_py_with = scalar)] group: Option<String>,
    ) -> PyResult<usize> {
        let since = value_of(since, "since")?;
        self.ask(py, move |events| queue::replay(events, HOST, &since, time, group.as_deref()))
    }

    fn prune(&self, py: Python<'_>, given: &Bound<'_, PyDict>) -> PyResult<usize> {
        let what = queue::forget_options(HOST, options(given, "options of a pruning")?).or_raise()?;
        self.ask(py, move |events| events.prune(&what))
    }

    fn last(&self, py: Python<'_>) -> PyResult<u64> {
        self.ask(py, Events::last)
    }
}
