//! How does Python hear of changes?
//!
//! A thread that iterates waits in Rust. Listeners of asyncio are many and wait on one thread together: each has a
//! number, and [`Bell`] says which of them have something to hear.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use quorate::agents::{Event, EventKind, Events as Heard};
use serde_json::json;

use crate::convert::record;
use crate::door::blocking;
use crate::errors::invalid;
use crate::scalar::scalar;

/// How long a listener waits before it looks for cancellation.
const LISTEN: Duration = Duration::from_millis(50);

/// Changes of a registry, as they happen.
#[pyclass(frozen, module = "quorate", name = "Events")]
pub struct Events(pub Arc<Heard>);

/// Adds the classes to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Events>()?;
    module.add_class::<Bell>()
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
        let (events, rung) = (Arc::clone(&self.0), Arc::clone(&bell.0));
        // The lock of the listeners may be held by a thread that writes: never wait for it with the interpreter's.
        py.detach(|| events.wake_by(move || rung.ring(number)));
    }
}

/// Who of many listeners has something to hear.
#[pyclass(frozen, module = "quorate", name = "Bell")]
pub struct Bell(Arc<Rung>);

#[derive(Default)]
struct Rung {
    state: Mutex<(BTreeSet<u64>, bool)>,
    more: Condvar,
}

impl Rung {
    fn ring(&self, number: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0.insert(number);
        self.more.notify_one();
    }
}

#[pymethods]
impl Bell {
    #[new]
    fn new() -> Self {
        Bell(Arc::default())
    }

    /// The numbers that were rung since the last call, once there are any; None when the bell is closed.
    fn wait(&self, py: Python<'_>) -> Option<Vec<u64>> {
        let rung = Arc::clone(&self.0);
        py.detach(move || {
            let mut state = rung.state.lock().unwrap_or_else(PoisonError::into_inner);
            while state.0.is_empty() && !state.1 {
                state = rung.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.1 { None } else { Some(std::mem::take(&mut state.0).into_iter().collect()) }
        })
    }

    /// Ends the waiting for good.
    fn close(&self) {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.0.more.notify_all();
    }
}
