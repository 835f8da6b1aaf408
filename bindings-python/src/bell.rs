//! How do many listeners of asyncio wait on one thread? Each has a number, and the bell says which of them have something
//! to hear.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::guest;
use pyo3::prelude::*;

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Bell>()
}

/// Who of many listeners has something to hear.
#[pyclass(frozen, module = "quorate", name = "Bell")]
pub struct Bell(Arc<Rung>);

#[derive(Default)]
struct Rung {
    state: Mutex<(BTreeSet<u64>, bool)>,
    more: Condvar,
}

impl Bell {
    /// What rings the number of one listener.
    pub fn ringer(&self, number: u64) -> impl Fn() + Send + Sync + use<> {
        let rung = Arc::clone(&self.0);
        move || rung.ring(number)
    }
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
        guest::detach(py, move || {
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
