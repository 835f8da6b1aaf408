//! May a thread of quorate's own still call a function of the host?
//!
//! A thread that is in the middle of Python code when the interpreter ends is ended with it, and takes the process along.
//! So before the end no function is called any more; those that are being called are waited for, for a while, and then
//! interrupted.

use std::ffi::c_long;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::{ffi, types::PyDict};
use quorate::{Code, Error, Result};

/// How long the end of the interpreter waits for functions that are being called, before it interrupts them and after.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(1)];

#[derive(Default)]
struct Guests {
    /// The threads in which functions are being called, one by one.
    threads: Vec<c_long>,
    ending: bool,
}

/// Locked only by who holds the interpreter's lock and does not let go of it meanwhile, as who forks does: no child
/// inherits it locked.
static GUESTS: Mutex<Guests> = Mutex::new(Guests { threads: Vec::new(), ending: false });

/// Has the interpreter say that it ends.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(end_calls, module)?,))?;
    // A forked child has none of the threads that were counted.
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let options = PyDict::new(py);
        options.set_item("after_in_child", wrap_pyfunction!(begin_calls, module)?)?;
        os.call_method("register_at_fork", (), Some(&options))?;
    }
    Ok(())
}

/// Runs `work` with the interpreter's lock. Errors: those of `work`, `callback` when the interpreter is about to end.
pub fn call<T>(work: impl FnOnce(Python<'_>) -> Result<T>) -> Result<T> {
    struct Counted(c_long);
    impl Drop for Counted {
        fn drop(&mut self) {
            let mut guests = guests();
            if let Some(at) = guests.threads.iter().rposition(|thread| *thread == self.0) {
                guests.threads.swap_remove(at);
            }
        }
    }
    let ended = || Error::new(Code::Callback, "the interpreter has ended");
    let guarded = |py: Python<'_>| {
        let thread = py.import("_thread").and_then(|module| module.call_method0("get_ident")?.extract());
        let thread = thread.map_err(|_| ended())?;
        {
            let mut guests = guests();
            if guests.ending {
                return Err(ended());
            }
            guests.threads.push(thread);
        }
        let _counted = Counted(thread);
        work(py)
    };
    Python::try_attach(guarded).unwrap_or_else(|| Err(ended()))
}

fn guests() -> MutexGuard<'static, Guests> {
    GUESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[pyfunction]
fn end_calls(py: Python<'_>) {
    guests().ending = true;
    for (round, patience) in PATIENCE.into_iter().enumerate() {
        let until = Instant::now() + patience;
        while !guests().threads.is_empty() && Instant::now() < until {
            py.detach(|| sleep(Duration::from_millis(2)));
        }
        if round == 0 {
            for thread in &guests().threads {
                let exit = py.get_type::<PySystemExit>();
                // SAFETY: the interpreter's lock is held, and `exit` is a class of exceptions; a thread that has ended is
                // not found.
                unsafe { ffi::PyThreadState_SetAsyncExc(*thread, exit.as_ptr()) };
            }
        }
    }
}

#[pyfunction]
fn begin_calls() {
    guests().threads.clear();
}
