//! May a thread of quorate's own still call a function of the host?
//!
//! A thread that is in the middle of Python code when the interpreter ends is ended with it, and takes the process along.
//! So before the end no function is called any more, and those that are being called are waited for, for a while.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use quorate::{Code, Error, Result};

/// How long the end of the interpreter waits for functions that are being called.
const PATIENCE: Duration = Duration::from_secs(5);

static CALLS: AtomicUsize = AtomicUsize::new(0);
static ENDING: AtomicBool = AtomicBool::new(false);

/// Has the interpreter say that it ends.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(end_calls, module)?,))?;
    // A forked child has none of the threads that were counted.
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let options = pyo3::types::PyDict::new(py);
        options.set_item("after_in_child", wrap_pyfunction!(begin_calls, module)?)?;
        os.call_method("register_at_fork", (), Some(&options))?;
    }
    Ok(())
}

/// Runs `work` with the interpreter's lock. Errors: those of `work`, `callback` when the interpreter is about to end.
pub fn call<T>(work: impl FnOnce(Python<'_>) -> Result<T>) -> Result<T> {
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            CALLS.fetch_sub(1, Ordering::AcqRel);
        }
    }
    CALLS.fetch_add(1, Ordering::AcqRel);
    let _counted = Counted;
    let found = if ENDING.load(Ordering::Acquire) { None } else { Python::try_attach(work) };
    found.unwrap_or_else(|| Err(Error::new(Code::Callback, "the interpreter has ended")))
}

#[pyfunction]
fn end_calls(py: Python<'_>) {
    ENDING.store(true, Ordering::Release);
    py.detach(|| {
        let until = Instant::now() + PATIENCE;
        while CALLS.load(Ordering::Acquire) > 0 && Instant::now() < until {
            sleep(Duration::from_millis(2));
        }
    });
}

#[pyfunction]
fn begin_calls() {
    CALLS.store(0, Ordering::Release);
}
