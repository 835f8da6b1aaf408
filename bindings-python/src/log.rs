//! How does what quorate says about its work reach Python's `logging`?
//!
//! A call hands over, when it is done and on the thread that made it, what was said meanwhile: no lock of quorate is held
//! then, and handlers see the caller's context. What threads of quorate's own say is handed over by a thread that lives for
//! a moment.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use quorate::core::{events, forks, spans};
use quorate_bindings::{Host, telemetry};

use crate::convert::from_json;

/// How long what was said outside of calls waits for a call to hand it over.
const PAUSE: Duration = Duration::from_millis(100);

/// For how many pauses calls that are under way are left to hand it over themselves.
const PATIENCE: usize = 50;

/// Calls that are under way.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// A call that is under way, for as long as this lives; it hands over when it is done.
pub struct Under(());

impl Under {
    /// A call begins.
    pub fn way() -> Self {
        CALLS.fetch_add(1, Ordering::AcqRel);
        Under(())
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whether the interpreter is about to end: nothing is handed over any more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// 1 and the count of forks of the process whose thread is about to hand over; 0 when there is none.
static COURIER: AtomicU64 = AtomicU64::new(0);

/// Collects events from now on, unless the process has a subscriber of tracing already.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    events::collect(send_later);
    module.add_function(wrap_pyfunction!(listen_to_spans, module)?)?;
    module.add_function(wrap_pyfunction!(take_spans, module)?)?;
    module.add_function(wrap_pyfunction!(span_metrics, module)?)?;
    module.add_function(wrap_pyfunction!(deliver_last, module)?)
}

/// Hands over what was said. What a handler raises is the call's exception.
pub fn deliver(py: Python<'_>) -> PyResult<()> {
    if spans::waiting() {
        py.import("quorate.telemetry")?.call_method0("_deliver")?;
    }
    if !events::waiting() {
        return Ok(());
    }
    let give = py.import("quorate._log")?.getattr("deliver")?;
    for event in events::take() {
        let text = event.to_string();
        give.call1((event.level.as_str(), event.target, text, event.message, event.fields))?;
    }
    Ok(())
}

/// The span of the host in which this thread asks, as a W3C `traceparent`: its spans belong to that, whoever hands them over.
pub fn trace_parent(py: Python<'_>) -> Option<String> {
    if !spans::listens() {
        return None;
    }
    let found = py.import("quorate.telemetry").and_then(|module| module.call_method0("_trace_parent"));
    found.and_then(|found| found.extract()).unwrap_or_default()
}

/// What has happened to spans since the last call, oldest first, as [`telemetry::told`] tells it.
#[pyfunction]
fn take_spans<'py>(py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    telemetry::taken(Host::Python).iter().map(|told| from_json(py, told)).collect()
}

/// Which version of the conventions names spans and metrics, and the metrics.
#[pyfunction]
fn span_metrics(py: Python<'_>) -> PyResult<(&'static str, Bound<'_, PyAny>)> {
    Ok((telemetry::SCHEMA_URL, from_json(py, &telemetry::instruments())?))
}

/// Notes spans from now on, or not any more.
#[pyfunction]
fn listen_to_spans(on: bool) {
    telemetry::listen(on);
}

/// Hands over what was said, for the last time: the interpreter ends.
#[pyfunction]
fn deliver_last(py: Python<'_>) -> PyResult<()> {
    ENDING.store(true, Ordering::Release);
    deliver(py)
}

fn send_later() {
    let me = forks() + 1;
    // A courier of the parent does not exist in a child of a fork.
    if ENDING.load(Ordering::Acquire) || COURIER.swap(me, Ordering::AcqRel) == me {
        return;
    }
    let courier = thread::Builder::new().name("quorate-log".to_owned()).spawn(|| {
        for _ in 0..PATIENCE {
            thread::sleep(PAUSE);
            // Of more spans than wait at most some would be lost in a call that takes long.
            let idle = CALLS.load(Ordering::Acquire) == 0 || !(events::waiting() || spans::waiting());
            if idle || spans::many() {
                break;
            }
        }
        COURIER.store(0, Ordering::Release);
        if !ENDING.load(Ordering::Acquire)
            && let Some(Err(raised)) = Python::try_attach(deliver)
        {
            Python::try_attach(|py| raised.write_unraisable(py, None));
        }
    });
    if courier.is_err() {
        // The next call hands over.
        COURIER.store(0, Ordering::Release);
    }
}
