//! May a thread still enter Python, now that the interpreter is about to end?
//!
//! A thread that runs Python code, or comes back to it, when the interpreter ends is unwound from outside, which no Rust
//! frame lets pass: the process would abort. So before the end no function of the host is called any more; those that are
//! being called are told to stop, waited for, for a moment, and then interrupted; and a thread that comes back from quorate
//! stays where it is. Functions that write are not interrupted: they are waited for as long as they may take, or until Ctrl-C,
//! and whoever has to be left is named on stderr.

use std::cell::Cell;
use std::ffi::c_long;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId, sleep};
use std::time::{Duration, Instant};

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{ffi, types::PyDict};
use quorate::core::spare;
use quorate::{Cancel, Code, Error, Result};

/// How long the end of the interpreter waits for functions that are being called, before it interrupts them and after.
const PATIENCE: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(150)];

/// After what time it says for whom that write it waits.
const SILENCE: Duration = Duration::from_millis(500);

/// What is known of a function of the host that is being called.
#[derive(Clone, Default)]
pub struct Guest {
    /// What it is called, and until when it is waited for, where it writes.
    pub writes: Option<(String, Instant)>,
    /// What tells it to stop.
    pub cancel: Option<Cancel>,
}

/// The threads in which functions are being called, one by one.
type Guests = Vec<(c_long, Guest)>;

/// Nothing ends; who calls no function of the host stays outside; everybody does.
const RUNNING: u8 = 0;
const ENDING: u8 = 1;
const ENDED: u8 = 2;

/// Whether Python has said that it is about to end, while threads still come back.
static ENDS: AtomicBool = AtomicBool::new(false);
static PHASE: AtomicU8 = AtomicU8::new(RUNNING);
/// The thread that ends the interpreter, and goes on.
static LAST: OnceLock<ThreadId> = OnceLock::new();
/// What copies a thread's context.
static COPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
/// Threads that have looked, and are about to take the interpreter's lock.
static COMING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many functions of the host this thread is calling, one within another.
    static CALLING: Cell<usize> = const { Cell::new(0) };
    /// Python's number of this thread, once it was asked for.
    static IDENT: Cell<Option<c_long>> = const { Cell::new(None) };
}

/// Locked only by who holds the interpreter's lock and does not let go of it meanwhile, as who forks does: no child
/// inherits it locked.
static GUESTS: Mutex<Guests> = Mutex::new(Vec::new());

/// Has the interpreter say that it ends.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_function(wrap_pyfunction!(begin_end, module)?)?;
    module.add_function(wrap_pyfunction!(ending, module)?)?;
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
    call_as(Guest::default(), work)
}

/// The same for a function of which more is known.
pub fn call_as<T>(guest: Guest, work: impl FnOnce(Python<'_>) -> Result<T>) -> Result<T> {
    let ended = || Error::new(Code::Callback, "the interpreter has ended");
    let coming = Coming::new();
    if PHASE.load(Ordering::SeqCst) != RUNNING {
        return Err(ended());
    }
    // SAFETY: it may be asked on any thread while the interpreter runs, which waits for who is coming.
    let unknown = unsafe { ffi::PyGILState_GetThisThreadState() }.is_null();
    let guarded = |py: Python<'_>| {
        drop(coming);
        if unknown {
            keep(py);
        }
        let thread = ident(py).map_err(|_| ended())?;
        // Who ends the interpreter holds its lock as it says so.
        if PHASE.load(Ordering::Acquire) != RUNNING {
            return Err(ended());
        }
        let _counted = Counted::new(thread, guest);
        work(py)
    };
    Python::try_attach(guarded).unwrap_or_else(|| Err(ended()))
}

/// Runs `work`, in which much of Python runs, on a thread that has the interpreter's lock: its end waits for it as for functions
/// of the host.
pub fn within<T>(py: Python<'_>, work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let _counted = Counted::new(ident(py)?, Guest::default());
    work()
}

/// Calls a function (the first of `call`) with the rest in a copy of this thread's context: threads serve many, and a context
/// variable that it sets is not there in the next call, which may be for somebody else.
pub fn apart<'py>(py: Python<'py>, call: impl PyCallArgs<'py>) -> PyResult<Bound<'py, PyAny>> {
    COPY.import(py, "contextvars", "copy_context")?.call0()?.call_method1("run", call)
}

/// Python's number of this thread.
fn ident(py: Python<'_>) -> PyResult<c_long> {
    if let Some(known) = IDENT.get() {
        return Ok(known);
    }
    let found = py.import("_thread")?.call_method0("get_ident")?.extract()?;
    IDENT.set(Some(found));
    Ok(found)
}

/// Has Python remember this thread, of which it has just learnt, from one call to the next, where it is one that works for
/// many: to make and let go of what Python keeps of a thread costs as much as a short call.
fn keep(_: Python<'_>) {
    // SAFETY: the interpreter's lock is held.
    let again = || unsafe { ffi::PyGILState_Ensure() };
    if spare::at_end(forget) {
        again();
    }
}

/// Has Python forget this thread, which ends.
fn forget() {
    let coming = Coming::new();
    if PHASE.load(Ordering::SeqCst) != RUNNING {
        return;
    }
    // SAFETY: the interpreter runs, and its end waits for who is coming. The thread is remembered by the count that `keep` has
    // left, which is given back once; as the last one is, Python lets go of its lock.
    unsafe {
        let attached = ffi::PyGILState_Ensure();
        drop(coming);
        if PHASE.load(Ordering::Acquire) == RUNNING {
            ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_LOCKED);
        }
        ffi::PyGILState_Release(attached);
    }
}

/// A thread in which a function is being called. The interpreter's lock is held when it is made and dropped.
struct Counted(c_long);

impl Counted {
    fn new(thread: c_long, guest: Guest) -> Self {
        guests().push((thread, guest));
        CALLING.set(CALLING.get() + 1);
        Counted(thread)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        CALLING.set(CALLING.get() - 1);
        let mut guests = guests();
        if let Some(at) = guests.iter().rposition(|(thread, _)| *thread == self.0) {
            guests.swap_remove(at);
        }
    }
}

/// Counts a thread as coming. Who ends the interpreter first says so, and then waits for those that come; they are counted
/// first, and then look.
struct Coming;

impl Coming {
    fn new() -> Self {
        COMING.fetch_add(1, Ordering::SeqCst);
        Coming
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        COMING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` without the interpreter's lock. A thread that would come back while the interpreter ends never does.
pub fn detach<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let (found, _coming) = py.detach(|| {
        let found = work();
        let coming = Coming::new();
        if stays() {
            drop(coming);
            loop {
                thread::park();
            }
        }
        (found, coming)
    });
    found
}

/// Whether the interpreter is about to end.
#[pyfunction]
pub fn ending() -> bool {
    ENDS.load(Ordering::Acquire) || PHASE.load(Ordering::Acquire) != RUNNING
}

/// Keeps this thread, which works for a run, where it is until the process is gone: what the end of the interpreter has cut
/// short has not failed, and the run goes on elsewhere. Who asks within the end itself waits for a moment only.
pub fn stay() {
    let begun = Instant::now();
    let phase = || PHASE.load(Ordering::Acquire);
    while phase() == ENDING || (phase() == RUNNING && begun.elapsed() < Duration::from_secs(3)) {
        sleep(Duration::from_millis(5));
    }
    sleep(Duration::from_secs(2));
}

/// The same, where `work` has failed since no function of the host is called any more.
pub fn staying<T>(work: Result<T>) -> Result<T> {
    if work.is_err() && PHASE.load(Ordering::Acquire) != RUNNING {
        stay();
    }
    work
}

/// Whether this thread must not come back to Python any more.
pub fn stays() -> bool {
    let outside = match PHASE.load(Ordering::SeqCst) {
        RUNNING => false,
        ENDING => CALLING.get() == 0,
        _ => true,
    };
    outside && LAST.get() != Some(&thread::current().id())
}

fn guests() -> MutexGuard<'static, Guests> {
    GUESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that the interpreter is about to end: what is cancelled from now on has not failed.
#[pyfunction]
fn begin_end() {
    ENDS.store(true, Ordering::Release);
}

#[pyfunction]
fn end_calls(py: Python<'_>) {
    let _ = LAST.set(thread::current().id());
    PHASE.store(ENDING, Ordering::SeqCst);
    let begun = Instant::now();
    while COMING.load(Ordering::SeqCst) > 0 && begun.elapsed() < Duration::from_secs(1) {
        // Those that had looked before are back in a moment.
        py.detach(|| sleep(Duration::from_millis(1)));
    }
    let reads = || guests().iter().filter(|(_, guest)| guest.writes.is_none()).cloned().collect::<Guests>();
    for cancel in reads().into_iter().filter_map(|(_, guest)| guest.cancel) {
        py.detach(|| cancel.cancel());
    }
    for (round, patience) in PATIENCE.into_iter().enumerate() {
        let until = Instant::now() + patience;
        while !reads().is_empty() && Instant::now() < until {
            py.detach(|| sleep(Duration::from_millis(2)));
        }
        if round == 0 {
            interrupt(py, reads());
        }
    }
    end_writes(py);
    PHASE.store(ENDED, Ordering::Release);
}

/// Waits for functions that write, and says for whom, and whom it leaves.
fn end_writes(py: Python<'_>) {
    let names = |late: bool| {
        let now = Instant::now();
        let writes = guests().iter().filter_map(|(_, guest)| guest.writes.clone()).collect::<Vec<_>>();
        let some = writes.into_iter().filter(|(_, until)| (*until <= now) == late);
        some.map(|(name, _)| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    };
    let (begun, mut said) = (Instant::now(), false);
    let mut left = String::new();
    while !names(false).is_empty() {
        if !said && begun.elapsed() > SILENCE {
            said = true;
            let waits =
                format!("quorate: the end waits for {}, which writes; Ctrl-C leaves it", names(false));
            tell(py, &waits);
        }
        py.detach(|| sleep(Duration::from_millis(5)));
        if py.check_signals().is_err() {
            left = names(false);
            break;
        }
    }
    let late = names(true);
    let left: Vec<String> = [left, late].into_iter().filter(|names| !names.is_empty()).collect();
    if !left.is_empty() {
        // They must not be at it when the interpreter is gone.
        interrupt(py, guests().clone());
        py.detach(|| sleep(PATIENCE[1]));
        let cut = "was left while it ran; nobody knows whether it took effect";
        tell(py, &format!("quorate: {}, which writes, {cut}", left.join(", ")));
    }
}

/// Has `SystemExit` raised in threads, as soon as they run code of Python.
fn interrupt(py: Python<'_>, guests: Guests) {
    for (thread, _) in guests {
        let exit = py.get_type::<PySystemExit>();
        // SAFETY: the interpreter's lock is held, and `exit` is a class of exceptions; a thread that has ended is not found.
        unsafe { ffi::PyThreadState_SetAsyncExc(thread, exit.as_ptr()) };
    }
}

/// Says something on stderr, where there is one.
fn tell(py: Python<'_>, line: &str) {
    let said = py.import("sys").and_then(|sys| {
        let stderr = sys.getattr("stderr")?;
        stderr.call_method1("write", (format!("{line}\n"),))?;
        stderr.call_method0("flush")
    });
    // Nobody reads it.
    drop(said);
}

#[pyfunction]
fn begin_calls() {
    guests().clear();
    COMING.store(0, Ordering::SeqCst);
}
