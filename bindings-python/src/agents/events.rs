//! How does Python hear of changes?
//!
//! A thread that iterates waits in Rust; listeners of asyncio wait for the [`Bell`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use quorate::agents::{Event, EventKind, Events as Heard};
use serde_json::json;

use crate::bell::Bell;
use crate::convert::record;
use crate::door::blocking;
use crate::errors::invalid;
use crate::guest;
use crate::scalar::scalar;

/// How long a listener waits before it looks for cancellation.
const LISTEN: Duration = Duration::from_millis(50);

/// Changes of a registry, as they happen.
#[pyclass(frozen, module = "quorate", name = "Events")]
pub struct Events(pub Arc<Heard>);

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Events>()
}

fn to_record(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    let kind = match event.kind {
        EventKind::Added => "added",
        EventKind::Updated => "updated",
        EventKind::Removed => "removed",
        EventKind::Outcome => "outcome",
        EventKind::Missed => "missed",
        _ => "other",
    };
    let value = json!({"revision": event.revision, "kind": kind, "tenant": event.tenant, "id": event.id});
    record(py, &value)
}

impl Events {
    /// The next event; none at the end of the time, or when the registry is gone.
    fn wait<'py>(&self, py: Python<'py>, limit: Option<Duration>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let events = Arc::clone(&self.0);
        let found = blocking(py, move |host| {
            let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
            loop {
                host.cancel.check()?;
                let left =
                    deadline.map_or(LISTEN, |d| d.saturating_duration_since(Instant::now()).min(LISTEN));
                let event = events.wait(left);
                let over = deadline.is_some_and(|d| Instant::now() >= d);
                if event.is_some() || over || events.is_ended() {
                    return Ok(event);
                }
            }
        })?;
        found.map(|event| to_record(py, event)).transpose()
    }
}

#[pymethods]
impl Events {
    /// The next event (``revision``, ``kind``, ``tenant``, ``id``), or None when there is none within ``timeout`` seconds.
    #[pyo3(signature = (timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] timeout: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let limit = match timeout.map(Duration::try_from_secs_f64).transpose() {
            Ok(limit) => limit,
            Err(_) => {
                return Err(invalid(format!(
                    "timeout is {timeout:?}; a number of seconds from 0 is expected"
                )));
            }
        };
        self.wait(py, limit)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.wait(py, None)?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    /// The next event, if there is one now.
    fn _take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0.try_next().map(|event| to_record(py, event)).transpose()
    }

    /// Whether none will come any more.
    #[getter]
    fn _ended(&self) -> bool {
        self.0.is_ended()
    }

    /// Has the bell ring this listener's number whenever there may be something to hear, now too.
    fn _ring(&self, py: Python<'_>, bell: &Bell, number: u64) {
        let (events, ring) = (Arc::clone(&self.0), bell.ringer(number));
        // The lock of the listeners may be held by a thread that writes: never wait for it with the interpreter's.
        guest::detach(py, || events.wake_by(ring));
    }
}
