//! How does work run without the interpreter's lock, stop at Ctrl-C, and never unwind into Python?

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use quorate::{Cancel, Code, Error, Result};

use crate::errors::{OrRaise, raise};

/// How often a waiting call asks the interpreter whether a signal has come.
const POLL: Duration = Duration::from_millis(50);

/// How long work may take to notice that it is cancelled. Pure computation that never looks is then left to end by itself.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs `work`, which takes a few milliseconds at most, on this thread without the interpreter's lock.
pub fn quick<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| contain(work)).or_raise()
}

/// Runs `work` on a thread of its own, while this one waits without the interpreter's lock and looks for Ctrl-C.
///
/// A signal whose handler raises (Ctrl-C does) cancels the work; its exception is then the call's.
pub fn blocking<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    py.detach(|| {
        let cancel = Cancel::new();
        let (sender, receiver) = sync_channel(1);
        let flag = cancel.clone();
        thread::Builder::new()
            .name("quorate".to_owned())
            .spawn(move || {
                // Nobody waits any more for work that was given up.
                let _ = sender.send(contain(|| work(&flag)));
            })
            .map_err(|e| {
                raise(Error::with_source(Code::Io, format!("no thread could be started: {e}"), e))
            })?;
        let mut signal: Option<(PyErr, Instant)> = None;
        loop {
            match receiver.recv_timeout(POLL) {
                Ok(outcome) => return signal.map_or_else(|| outcome.or_raise(), |(raised, _)| Err(raised)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(raise(Error::new(Code::Internal, "a worker thread ended without a result")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            match signal {
                Some((raised, since)) if since.elapsed() > PATIENCE => return Err(raised),
                Some(_) => {}
                None => {
                    if let Some(Err(raised)) = Python::try_attach(|py| py.check_signals()) {
                        cancel.cancel();
                        signal = Some((raised, Instant::now()));
                    }
                }
            }
        }
    })
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
