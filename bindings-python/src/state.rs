//! How does Python keep state, and look at what is kept?

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use quorate::state::{Checkpoints, StateStore as Store};
use quorate::{Code, Error};
use quorate_bindings::Host;
use quorate_bindings::state::{self, StoreOptions};
use serde_json::Value;

use crate::convert::from_json;
use crate::door::{Held, blocking};
use crate::errors::{OrRaise, raise};
use crate::runtime::options;
use crate::scalar::scalar;

const HOST: Host = Host::Python;

/// Where runs, graphs and workflows are kept; ``quorate.StateStore`` is its public face.
#[pyclass(frozen, module = "quorate", name = "StateStore")]
pub struct StateStore {
    /// None once it is closed.
    store: Mutex<Option<Held<Store>>>,
    /// What else was said of it.
    pub given: StoreOptions,
}

/// Adds the class and the function to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<StateStore>()?;
    module.add_function(wrap_pyfunction!(open_store, module)?)
}

#[pyfunction]
fn open_store(
    py: Python<'_>,
    #[pyo3(from_py_with = scalar)] path: Option<PathBuf>,
    given: &Bound<'_, PyDict>,
) -> PyResult<StateStore> {
    let given = state::store_options(HOST, options(given, "options of a store")?).or_raise()?;
    let store = match path {
        Some(path) => {
            path.to_str().map_or(Ok(()), state::check_place).or_raise()?;
            blocking(py, move |_| Store::open(path))?
        }
        None => Store::memory(),
    };
    Ok(StateStore { store: Mutex::new(Some(Held::new(store))), given })
}

impl StateStore {
    /// The store. Code: `closed`.
    pub fn handle(&self) -> PyResult<Store> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || raise(Error::new(Code::Closed, "the store is closed; open it again"));
        store.as_ref().map(|store| (**store).clone()).ok_or_else(closed)
    }

    /// On whose behalf its calls are.
    pub fn tenant(&self) -> Option<String> {
        self.given.tenant.clone()
    }

    /// The checkpoints of its tenant. Code: `closed`.
    pub fn checkpoints(&self) -> PyResult<Checkpoints> {
        self.handle()?.checkpoints(self.given.tenant.as_deref()).or_raise()
    }
}

#[pymethods]
impl StateStore {
    /// Lets go of it. What was given the store keeps it open until it is let go of too.
    fn close(&self) {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(store);
    }

    /// Refuses what cannot be done with a store that is closed.
    fn check(&self) -> PyResult<()> {
        self.handle().map(drop)
    }

    /// Checkpoints, the newest first.
    fn list<'py>(&self, py: Python<'py>, given: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let query = state::query(HOST, options(given, "options of a list")?).or_raise()?;
        let checkpoints = self.checkpoints()?;
        let found = blocking(py, move |_| {
            let found = checkpoints.list(&query)?;
            Ok(found.iter().map(|one| state::checkpoint(one, false)).collect::<Value>())
        })?;
        from_json(py, &found)
    }

    /// A checkpoint with its values, or None.
    fn get<'py>(
        &self,
        py: Python<'py>,
        #[pyo3(from_py_with = scalar)] thread: String,
        #[pyo3(from_py_with = scalar)] namespace: String,
        #[pyo3(from_py_with = scalar)] id: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let checkpoints = self.checkpoints()?;
        let found = blocking(py, move |_| {
            let found = checkpoints.get(&thread, &namespace, id.as_deref())?;
            Ok(found.map_or(Value::Null, |found| state::checkpoint(&found, true)))
        })?;
        from_json(py, &found)
    }

    /// The threads, in the order in which they were begun.
    fn threads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let checkpoints = self.checkpoints()?;
        let found =
            blocking(py, move |_| Ok(checkpoints.threads()?.iter().map(state::thread).collect::<Value>()))?;
        from_json(py, &found)
    }

    /// Copies a thread, and gives how many checkpoints.
    fn copy(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = scalar)] thread: String,
        #[pyo3(from_py_with = scalar)] to: String,
    ) -> PyResult<usize> {
        let checkpoints = self.checkpoints()?;
        blocking(py, move |_| checkpoints.copy(&thread, &to))
    }

    /// Removes a thread, and says whether it was there.
    fn delete(&self, py: Python<'_>, #[pyo3(from_py_with = scalar)] thread: String) -> PyResult<bool> {
        let checkpoints = self.checkpoints()?;
        blocking(py, move |_| checkpoints.delete(&thread))
    }

    /// Removes older checkpoints, and says which.
    fn prune<'py>(&self, py: Python<'py>, given: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let what = state::prune(HOST, options(given, "options of a pruning")?).or_raise()?;
        let checkpoints = self.checkpoints()?;
        let found = blocking(py, move |_| Ok(state::pruned(&checkpoints.prune(&what)?)))?;
        from_json(py, &found)
    }
}
