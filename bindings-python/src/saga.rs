//! How are sagas carried through whose steps are functions of Python?

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::{Code, Error, Result};
use quorate_bindings::saga::{SagaHand, give_up, given};
use quorate_bindings::{Host, queue};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::{CancelToken, Held, Host as Desk, blocking};
use crate::errors::{OrRaise, invalid, raise};
use crate::queue::failed;
use crate::runtime::options;
use crate::scalar::scalar;
use crate::state::StateStore;

const HOST: Host = Host::Python;

/// Steps that are all done, or all undone; ``quorate.workflows.Saga`` is its public face.
#[pyclass(frozen, module = "quorate", name = "NativeSaga")]
pub struct NativeSaga {
    hand: Held<Arc<SagaHand>>,
    /// Who waits for the call that is under way, on whose thread functions are called.
    desk: Arc<Mutex<Option<Desk>>>,
}

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeSaga>()?;
    module.add_function(wrap_pyfunction!(open_saga, module)?)
}

/// Begins a saga of a store's tenant, or goes on with it.
#[pyfunction]
fn open_saga(
    py: Python<'_>,
    store: &StateStore,
    #[pyo3(from_py_with = scalar)] name: String,
    given: &Bound<'_, PyDict>,
) -> PyResult<NativeSaga> {
    let how = queue::saga_options(HOST, options(given, "options of a saga")?).or_raise()?;
    let (tenant, store) = (store.tenant(), store.handle()?);
    let hand = blocking(py, move |_| SagaHand::open(store, tenant, &name, how))?;
    Ok(NativeSaga { hand: Held::new(Arc::new(hand)), desk: Arc::default() })
}

/// Calls a function on the thread of whoever waits; its exception is the source of the error.
fn ask<T: Send + 'static>(
    desk: &Mutex<Option<Desk>>,
    what: String,
    call: impl FnOnce(Python<'_>, CancelToken) -> PyResult<T> + Send + 'static,
) -> Result<T> {
    let host = desk.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(host) = host else {
        return Err(Error::new(Code::Cancelled, "nobody waits for the saga any more"));
    };
    let cancel = CancelToken(host.cancel.clone());
    let called = host.lend(move |py| {
        let made = call(py, cancel);
        Ok(made.map_err(|raised| failed(py, &raised, &what)))
    })?;
    // Only the conversion of the call itself fails so.
    called.unwrap_or_else(|raised| {
        Err(Error::with_source(Code::Callback, "a function could not be called", raised))
    })
}

/// What is raised for an error: what a step itself has raised, as it was.
fn as_raised(error: Error) -> PyErr {
    let raised = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<PyErr>());
    match raised {
        Some(raised) => Python::attach(|py| raised.clone_ref(py)),
        None => raise(error),
    }
}

impl NativeSaga {
    /// Does something with it while this thread waits and calls functions.
    fn on<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&SagaHand, Desk, Arc<Mutex<Option<Desk>>>) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let (hand, desk) = (Arc::clone(&self.hand), Arc::clone(&self.desk));
        let made = blocking(py, move |host| Ok(work(&hand, host.clone(), desk)))?;
        made.map_err(as_raised)
    }
}

/// Says who waits, as long as this is kept.
struct Seated(Arc<Mutex<Option<Desk>>>);

impl Seated {
    fn new(desk: Arc<Mutex<Option<Desk>>>, host: Desk) -> Self {
        *desk.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
        Seated(desk)
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[pymethods]
impl NativeSaga {
    /// Does a step: `function(cancel)` gives `{"result": ...}`, `undo(value)` undoes it.
    fn step<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] name: String,
        function: Py<PyAny>,
        undo: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let done = self.on(py, move |hand, host, desk| {
            hand.on(move |saga| {
                let seated = Seated::new(Arc::clone(&desk), host);
                let (own, theirs) = (Arc::clone(&desk), Arc::clone(&desk));
                let what = format!("the step '{}'", quorate::core::shorten(&name));
                let (undoing, undo) = (format!("undoing of {what}"), Arc::new(undo));
                let call = move || {
                    ask(&own, what, move |py, cancel| {
                        let found = function.bind(py).call1((cancel,))?;
                        let found =
                            found.cast::<PyDict>().map_err(|_| invalid("a step's result is no dict"))?;
                        options(found, "a step's result")
                    })
                };
                let back = move |value: Option<&Value>| {
                    let (undo, value) = (Arc::clone(&undo), given(value));
                    ask(&theirs, undoing.clone(), move |py, _| {
                        undo.bind(py).call1((from_json(py, &value)?,)).map(drop)
                    })
                };
                let done = saga.step(&name, || call().map(|mut found| found["result"].take()), back);
                drop(seated);
                done
            })
        })?;
        from_json(py, &done)
    }

    /// Says that all steps are done.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.on(py, |hand, host, desk| {
            hand.on(move |saga| {
                let _seated = Seated::new(desk, host);
                saga.finish()
            })
        })
    }

    /// Undoes everything, where that is not done yet.
    fn fail(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] code: String,
        #[pyo3(from_py_with = scalar)] message: String,
    ) -> PyResult<()> {
        let code = Code::ALL.iter().find(|known| known.as_str() == code).copied().unwrap_or(Code::Callback);
        self.on(py, move |hand, host, desk| {
            hand.on(move |saga| {
                let _seated = Seated::new(desk, host);
                give_up(saga, &Error::new(code, message))
            })
        })
    }

    /// How far it is.
    fn status(&self, py: Python<'_>) -> PyResult<String> {
        let hand = Arc::clone(&self.hand);
        blocking(py, move |_| hand.status())
    }

    /// Lets go of it as it is.
    fn close(&self, py: Python<'_>) {
        crate::guest::detach(py, || self.hand.close());
    }
}
