//! How does work run without the interpreter's lock, stop at Ctrl-C, and never unwind into Python?
//!
//! Three ways through: [`quick`] for what takes a few milliseconds, [`blocking`] for what may take long, and
//! [`Cancel::run`](CancelToken) for a thread that serves asyncio, where `blocking` works on that very thread and its
//! cancellation is the token's.

use std::any::Any;
use std::cell::RefCell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use quorate::core::{spans, spare};
use quorate::{Cancel, Code, Error, Result};

use crate::bell::Bell;
use crate::errors::{OrRaise, raise};
use crate::guest;
use crate::log::{Under, deliver};

/// How often a waiting call asks the interpreter whether a signal has come.
const POLL: Duration = Duration::from_millis(50);

/// How long work may take to notice that it is cancelled. Pure computation that never looks is then left to end by itself.
const PATIENCE: Duration = Duration::from_millis(100);

thread_local! {
    /// The cancellation of this thread's calls, where the thread serves asyncio.
    static SERVING: RefCell<Option<Cancel>> = const { RefCell::new(None) };
}

/// The way back from work to the thread that asked for it: cancellation, and calls of Python functions.
#[derive(Clone)]
pub struct Host {
    /// Raised when nobody wants the result any more.
    pub cancel: Cancel,
    /// What a Python function raised. It is the call's exception then.
    raised: Arc<Mutex<Option<PyErr>>>,
    /// Where the caller waits for errands; none when the work runs on the caller's own thread.
    desk: Option<SyncSender<Message>>,
}

/// Something to do on the calling thread, with the interpreter's lock.
type Errand = Box<dyn FnOnce(Python<'_>) + Send>;

enum Message {
    Errand(Errand),
    Done,
}

/// Cancels the calls that run under it.
#[pyclass(frozen, module = "quorate", name = "Cancel")]
pub struct CancelToken(pub Cancel);

/// Has a bell ring when a token is cancelled, until this is forgotten.
#[pyclass(frozen, module = "quorate", name = "Told")]
pub struct Told {
    #[expect(dead_code, reason = "its drop is what it does")]
    wake: quorate::core::Wake,
}

/// Adds the class to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CancelToken>()?;
    module.add_class::<Told>()
}

/// Runs `work`, which takes a few milliseconds at most, on this thread without the interpreter's lock.
pub fn quick<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let _under = Under::way();
    let outcome = guest::detach(py, || contain(work));
    deliver(py)?;
    outcome.or_raise()
}

/// Runs `work` on a thread of its own, while this one waits without the interpreter's lock and looks for Ctrl-C.
///
/// A signal whose handler raises (Ctrl-C does) cancels the work; its exception is then the call's. So is that of a Python
/// function which the work calls through its [`Host`].
pub fn blocking<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&Host) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let _under = Under::way();
    if let Some(cancel) = SERVING.with_borrow(Clone::clone) {
        let host = Host { cancel, raised: Arc::default(), desk: None };
        let outcome = guest::detach(py, || contain(|| work(&host)));
        deliver(py)?;
        return host.take_raised().map_or_else(|| outcome.or_raise(), Err);
    }
    let outcome = guest::detach(py, || wait(work));
    deliver(py)?;
    outcome
}

/// Waits on this thread, without the interpreter's lock, until `look` gives something; a look takes at most as long as it
/// is told. `give_up` is called when a signal's handler raises, whose exception is then the call's, or the thread's work is
/// cancelled.
pub fn await_here<T: Send>(
    py: Python<'_>,
    give_up: impl Fn(),
    look: impl Fn(Duration) -> Result<Option<T>> + Sync,
) -> PyResult<T> {
    let _under = Under::way();
    let serving = SERVING.with_borrow(Clone::clone);
    loop {
        let found = guest::detach(py, || contain(|| look(POLL)));
        deliver(py)?;
        if let Some(found) = found.or_raise()? {
            return Ok(found);
        }
        let cancelled = serving.as_ref().map_or(Ok(()), |cancel| cancel.check().or_raise());
        if let Err(raised) = cancelled.and_then(|()| py.check_signals()) {
            give_up();
            return Err(raised);
        }
    }
}

/// What may take long to be let go of, because it stores or closes something then: it is dropped without the
/// interpreter's lock, whoever holds the last reference and wherever it goes.
pub struct Held<T: Send>(Option<T>);

impl<T: Send> Held<T> {
    /// Keeps `value`.
    pub fn new(value: T) -> Self {
        Held(Some(value))
    }
}

impl<T: Send> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("it is taken out by drop alone"),
        }
    }
}

impl<T: Send> Drop for Held<T> {
    fn drop(&mut self) {
        let mut value = self.0.take();
        let outside = Python::try_attach(|py| {
            let value = &mut value;
            // A defect must not unwind into the interpreter, which is letting go of an object.
            guest::detach(py, || {
                contain(|| {
                    drop(value.take());
                    Ok(())
                })
            })
        });
        if outside.is_none() {
            // There is no interpreter any more.
            drop(value);
        }
    }
}

/// What a function of the host gave; a coroutine's result is awaited in a loop of its own.
pub fn awaited(given: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let py = given.py();
    match py.import("inspect")?.call_method1("iscoroutine", (&given,))?.is_truthy()? {
        true => py.import("asyncio")?.call_method1("run", (given,)),
        false => Ok(given),
    }
}

/// Lets other Python threads have the lock, and looks for Ctrl-C: for loops over what Python gives.
pub fn breathe(py: Python<'_>) -> PyResult<()> {
    guest::detach(py, || {});
    py.check_signals()
}

fn wait<T: Send + 'static>(work: impl FnOnce(&Host) -> Result<T> + Send + 'static) -> PyResult<T> {
    let (desk, errands) = sync_channel(1);
    let host = Host { cancel: Cancel::new(), raised: Arc::default(), desk: Some(desk.clone()) };
    let outcome = Arc::new(Mutex::new(None));
    let (theirs, place) = (host.clone(), Arc::clone(&outcome));
    let work = spans::carried(move || contain(|| work(&theirs)));
    spare::run(move || {
        let result = work();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        // Nobody waits any more for work that was given up.
        let _ = desk.send(Message::Done);
    })
    .or_raise()?;
    let cancel = host.cancel.clone();
    let raised = Arc::clone(&host.raised);
    // The worker's are the only senders now: if it ends without a word, the line is dead.
    drop(host);
    let mut signal: Option<(PyErr, Instant)> = None;
    loop {
        match spare::recv(&errands, POLL) {
            Ok(Message::Done) => break,
            Ok(Message::Errand(errand)) => {
                // Dropped where the interpreter is about to end.
                let _ = guest::call(|py| {
                    errand(py);
                    Ok(())
                });
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        match signal {
            Some((raised, since)) if since.elapsed() > PATIENCE => return Err(raised),
            Some(_) => {}
            None if guest::stays() => {}
            None => {
                if let Some(Err(raised)) = Python::try_attach(|py| py.check_signals()) {
                    cancel.cancel();
                    signal = Some((raised, Instant::now()));
                }
            }
        }
    }
    if let Some((raised, _)) = signal {
        return Err(raised);
    }
    if let Some(raised) = raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(raised);
    }
    match outcome.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(outcome) => outcome.or_raise(),
        None => Err(raise(Error::new(Code::Internal, "a worker thread ended without a result"))),
    }
}

impl Host {
    /// Calls into Python on the thread that waits for the work. An exception becomes the call's: the work is cancelled,
    /// and gets an error with code `callback`.
    pub fn call<T: Send + 'static>(
        &self,
        errand: impl FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
    ) -> Result<T> {
        self.cancel.check()?;
        let outcome = match &self.desk {
            None => guest::call(|py| Ok(errand(py))).ok(),
            Some(desk) => {
                let (reply, answer) = sync_channel(1);
                let errand: Errand = Box::new(move |py| {
                    let _ = reply.send(errand(py));
                });
                // Fails when the caller has given up, and then the errand is dropped.
                let _ = desk.send(Message::Errand(errand));
                answer.recv().ok()
            }
        };
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(raised)) => {
                *self.raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(raised);
                self.cancel.cancel();
                Err(Error::new(Code::Callback, "a function given by the host raised an exception"))
            }
            None => {
                self.cancel.cancel();
                Err(Error::new(Code::Cancelled, "nobody waits for the work any more"))
            }
        }
    }

    /// Calls into Python as [`Host::call`] does, also when the work is cancelled, and leaves to the caller what an exception means: for what
    /// is to be undone whoever still waits.
    pub fn lend<T: Send + 'static>(
        &self,
        errand: impl FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
    ) -> Result<PyResult<T>> {
        let outcome = match &self.desk {
            None => guest::call(|py| Ok(errand(py))),
            Some(desk) => {
                let (reply, answer) = sync_channel(1);
                let errand: Errand = Box::new(move |py| {
                    let _ = reply.send(errand(py));
                });
                let _ = desk.send(Message::Errand(errand));
                answer.recv().map_err(|_| Error::new(Code::Cancelled, "nobody waits for the work any more"))
            }
        };
        guest::staying(outcome)
    }

    fn take_raised(&self) -> Option<PyErr> {
        self.raised.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[pymethods]
impl CancelToken {
    #[new]
    fn new() -> Self {
        CancelToken(Cancel::new())
    }

    /// Stops what runs under the token, as soon as it looks.
    fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether it has been cancelled.
    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Has the bell ring this number when the token is cancelled, at once where it is, as long as the result is kept.
    fn _ring(&self, bell: &Bell, number: u64) -> Told {
        let ring = bell.ringer(number);
        Told { wake: self.0.when_raised(ring) }
    }

    /// Calls ``function``; what it calls of quorate works on this thread and stops when the token is cancelled.
    #[pyo3(signature = (function, /, *args, **kwargs))]
    fn run<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        /// Puts back what was there, also when the function raises.
        struct Restore(Option<Cancel>);
        impl Drop for Restore {
            fn drop(&mut self) {
                SERVING.set(self.0.take());
            }
        }
        self.0.check().or_raise()?;
        let _restore = Restore(SERVING.replace(Some(self.0.clone())));
        function.call(args, kwargs)
    }
}

/// Turns an unwinding defect into an error with code `internal`.
fn contain<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(defect(&*cause)))
}

fn defect(cause: &(dyn Any + Send)) -> Error {
    let text = cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    Error::new(Code::Internal, format!("a defect of quorate, please report it: {text}"))
}
