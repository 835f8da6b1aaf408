//! How do functions of Python serve workflows: as tools, as kinds of steps, as clocks?

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyException, PyTimeoutError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::models::CallGuard;
use quorate::workflows::flow::{Clock, HostTool, ManualClock as Manual, StepContext, ToolOptions};
use quorate::{Code, Error};
use quorate_bindings::Host;
use quorate_bindings::workflow::{self, HostTime};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::CancelToken;
use crate::errors::{OrRaise, invalid, known};
use crate::guest;
use crate::runtime::options;
use crate::scalar::scalar;

const HOST: Host = Host::Python;

/// How long the end of the interpreter waits for a call that must not be repeated, where the tool says nothing.
const PATIENCE: f64 = 30.0;

/// Something that a workflow may have done; ``quorate.workflows.Tool`` is its public face.
#[pyclass(frozen, module = "quorate", name = "WorkflowTool")]
pub struct WorkflowTool {
    /// As engines call it.
    pub tool: Arc<dyn HostTool>,
    /// Its function.
    pub hand: Arc<Hand>,
}

/// What the calls of a tool share, in however many engines: its breaker, its places, and how long it lasts.
#[pyclass(frozen, module = "quorate", name = "ToolGuard")]
pub struct ToolGuard {
    guard: Arc<CallGuard>,
    options: ToolOptions,
}

/// A clock that stands still until it is moved: for tests, and to see what a workflow does in a hundred days.
#[pyclass(frozen, module = "quorate", name = "ManualClock")]
pub struct ManualClock(Manual);

/// Adds the classes and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<WorkflowTool>()?;
    module.add_class::<ToolGuard>()?;
    module.add_class::<ManualClock>()?;
    module.add_function(wrap_pyfunction!(workflow_tool, module)?)
}

/// A function of Python that steps call: `function(arguments, context, cancel)` gives `{"result": ...}`.
pub struct Hand {
    function: Mutex<Option<Py<PyAny>>>,
}

/// A tool that is a function.
struct HandTool {
    name: String,
    hand: Arc<Hand>,
    idempotent: bool,
    /// For how long the end of the interpreter waits for a call that must not be repeated.
    patience: f64,
    /// Whether it was made when the interpreter was about to end already.
    late: bool,
}

impl Hand {
    /// One that calls a function.
    pub fn new(function: Py<PyAny>) -> Self {
        Hand { function: Mutex::new(Some(function)) }
    }

    /// The function, until it is let go of.
    pub fn function(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let function = self.function.lock().unwrap_or_else(PoisonError::into_inner);
        function.as_ref().map(|function| function.clone_ref(py))
    }

    fn is_let_go(&self) -> bool {
        self.function.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Lets go of the function: calls that come now find the engine closed.
    pub fn let_go(&self) {
        let function = self.function.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(function);
    }
}

/// What a run is told where nothing is known to have failed.
fn left(why: &str) -> Error {
    Error::new(Code::StaleWrite, why)
}

impl HostTool for HandTool {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, args: &Value, context: &StepContext) -> quorate::Result<Value> {
        let until = || Instant::now() + Duration::from_secs_f64(self.patience);
        let writes = (!self.idempotent).then(|| (context.name.clone(), until()));
        let about = guest::Guest { writes, cancel: Some(context.cancel.clone()) };
        let ran = guest::call_as(about, |py| {
            let Some(function) = self.hand.function(py) else { return Err(left("the engine is closed")) };
            let call = || {
                let told = from_json(py, &workflow::context(HOST, context))?;
                let cancel = CancelToken(context.cancel.clone());
                let given = function.bind(py).call1((from_json(py, args)?, told, cancel))?;
                let given = given.cast::<PyDict>().map_err(|_| invalid("a tool's result is no dict"))?;
                options(given, "a tool's result")
            };
            let mut given = call().map_err(|raised| failed(py, &raised, &context.name))?;
            Ok(given["result"].take())
        });
        match ran {
            // What the end of the interpreter has cut short has not failed.
            Err(_) if guest::ending() && !self.late => {
                Err(left("the interpreter has ended in the midst of the call"))
            }
            // Nor has what the end of the engine has cut short, with the loop that its coroutines run on.
            Err(_) if self.hand.is_let_go() => Err(left("the engine was closed in the midst of the call")),
            ran => ran,
        }
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}

/// What a function has failed with.
fn failed(py: Python<'_>, raised: &PyErr, name: &str) -> Error {
    if let Some(error) = known(py, raised) {
        return match error.code() {
            // That of something else: the run itself is as it was.
            Code::StaleWrite => Error::new(Code::ToolFailed, error.message()),
            _ => error,
        };
    }
    let code = match raised.is_instance_of::<PyTimeoutError>(py) {
        true => Code::ToolTimeout,
        false => Code::ToolFailed,
    };
    let kind = raised.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
    let said: String = raised.value(py).to_string().chars().take(300).collect();
    let how = if raised.is_instance_of::<PyException>(py) { "raised" } else { "was ended by" };
    Error::new(code, format!("'{name}' {how} {kind}: {said}"))
}

/// A clock that is a function of Python.
struct HostClock {
    hand: Arc<Hand>,
    time: HostTime,
}

impl Clock for HostClock {
    fn now(&self) -> f64 {
        let told = guest::call(|py| {
            let Some(function) = self.hand.function(py) else { return Err(left("the engine is closed")) };
            told(py, &function).map_err(|raised| failed(py, &raised, "clock"))
        });
        match told {
            // Nobody is asked any more; it has not failed.
            Err(_) if guest::ending() => self.time.last(),
            told => self.time.now(told),
        }
    }
}

fn told(py: Python<'_>, function: &Py<PyAny>) -> PyResult<f64> {
    guest::apart(py, (function,))?.extract()
}

#[pymethods]
impl ToolGuard {
    #[new]
    fn new(#[pyo3(from_py_with = scalar)] name: String, given: &Bound<'_, PyDict>) -> PyResult<Self> {
        let (options, calls) =
            workflow::tool_options(HOST, options(given, "options of a tool")?).or_raise()?;
        Ok(ToolGuard { guard: Arc::new(CallGuard::new(name, calls).or_raise()?), options })
    }
}

/// A tool that is a function: `function(arguments, context, cancel)` gives `{"result": ...}`.
#[pyfunction]
fn workflow_tool(
    #[pyo3(from_py_with = scalar)] name: String,
    function: Py<PyAny>,
    #[pyo3(from_py_with = scalar)] idempotent: bool,
    guard: &ToolGuard,
) -> PyResult<WorkflowTool> {
    let hand = Arc::new(Hand::new(function));
    let patience = guard.options.timeout.unwrap_or(PATIENCE);
    let tool = HandTool { name, hand: Arc::clone(&hand), idempotent, patience, late: guest::ending() };
    let tool = workflow::resilient(Arc::new(tool), &guard.options, &guard.guard).or_raise()?;
    Ok(WorkflowTool { tool, hand })
}

#[pymethods]
impl ManualClock {
    #[new]
    #[pyo3(signature = (now=0.0))]
    fn new(#[pyo3(from_py_with = scalar)] now: f64) -> PyResult<Self> {
        HostTime::new(now).or_raise()?;
        Ok(ManualClock(Manual::new(now)))
    }

    /// Seconds since 1970.
    fn now(&self) -> f64 {
        self.0.now()
    }

    /// Moves it on by so many seconds.
    fn advance(&self, #[pyo3(from_py_with = scalar)] seconds: f64) -> PyResult<()> {
        if !seconds.is_finite() {
            return Err(invalid(format!("seconds is {seconds}; a finite number is expected")));
        }
        self.0.advance(seconds);
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("ManualClock({:?})", self.0.now())
    }
}

/// A clock of the host: a [`ManualClock`], or a function that gives seconds since 1970, which is kept among `hands`.
pub fn clock_of(clock: Bound<'_, PyAny>, hands: &mut Vec<Arc<Hand>>) -> PyResult<Arc<dyn Clock>> {
    if let Ok(manual) = clock.cast::<ManualClock>() {
        return Ok(Arc::new(manual.get().0.clone()));
    }
    let first = told(clock.py(), &clock.clone().unbind())?;
    let time = HostTime::new(first).or_raise()?;
    let hand = Arc::new(Hand::new(clock.unbind()));
    hands.push(Arc::clone(&hand));
    Ok(Arc::new(HostClock { hand, time }))
}
