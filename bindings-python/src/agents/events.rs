//! How does Python hear of changes?

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use quorate::agents::{Event, EventKind};
use serde_json::json;

use crate::convert::record;
use crate::door::blocking;
use crate::errors::invalid;
use crate::scalar::scalar;

/// How long a listener waits before it looks for cancellation.
const LISTEN: Duration = Duration::from_millis(50);

/// Changes of a registry, as they happen.
#[pyclass(frozen, module = "quorate", name = "Events")]
pub struct Events(pub Arc<Mutex<Receiver<Event>>>);

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Events>()
}

impl Events {
    /// The next event; none at the end of the time, or when the registry is gone (then the flag is set).
    fn wait<'py>(
        &self,
        py: Python<'py>,
        limit: Option<Duration>,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, bool)> {
        let receiver = Arc::clone(&self.0);
        let found = blocking(py, move |host| {
            let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                host.cancel.check()?;
                let left =
                    deadline.map_or(LISTEN, |d| d.saturating_duration_since(Instant::now()).min(LISTEN));
                match receiver.recv_timeout(left) {
                    Ok(event) => return Ok((Some(event), false)),
                    Err(RecvTimeoutError::Disconnected) => return Ok((None, true)),
                    Err(RecvTimeoutError::Timeout) => {
                        if deadline.is_some_and(|d| Instant::now() >= d) {
                            return Ok((None, false));
                        }
                    }
                }
            }
        })?;
        let (event, gone) = found;
        let Some(event) = event else { return Ok((None, gone)) };
        let kind = match event.kind {
            EventKind::Added => "added",
            EventKind::Updated => "updated",
            EventKind::Removed => "removed",
            EventKind::Outcome => "outcome",
            _ => "other",
        };
        let value = json!({"revision": event.revision, "kind": kind, "tenant": event.tenant, "id": event.id});
        Ok((Some(record(py, &value)?), gone))
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
        Ok(self.wait(py, limit)?.0)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.wait(py, None)?.0.ok_or_else(|| PyStopIteration::new_err(()))
    }
}
