//! How does the synchronous API run asynchronous work (store, HTTP), also after a fork?
//!
//! One private tokio runtime serves the whole process. It is started by the first call, never at import. A forked
//! child has none of the parent's threads, so the child's first call starts a runtime of its own.

#[cfg(unix)]
mod sleepers;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::fork::PerProcess;
use crate::{Code, Error, Result};

/// Waits for `future`. A panic inside it becomes an error with code `internal`.
pub fn block_on<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let runtime = runtime()?;
    let run = || {
        std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))).unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(Error::new(Code::Internal, format!("asynchronous work stopped: {said}")))
        })
    };
    if Handle::try_current().is_err() {
        return run();
    }
    // A thread that drives another tokio runtime may not block on ours.
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(result) => result,
        Err(_) => Err(Error::new(Code::Internal, "the thread for asynchronous work stopped")),
    })
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: PerProcess<Runtime> = PerProcess::new();
    RUNTIME.get(|| {
        #[cfg(unix)]
        sleepers::make_room();
        let built = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("quorate-async")
            // Threads for blocking work come as needed; those that wait longer for some are given back.
            .thread_keep_alive(Duration::from_secs(1))
            .enable_all()
            .build();
        built.map_err(|e| {
            Error::with_source(Code::Io, format!("the threads for asynchronous work cannot start: {e}"), e)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_inside_another_runtime_and_catches_panics() {
        let outer = Builder::new_current_thread().build().unwrap();
        let inner = outer.block_on(async { block_on(async { Ok(7) }) });
        assert_eq!(inner.unwrap(), 7);
        let caught = block_on::<()>(async { panic!("boom") });
        assert_eq!(caught.unwrap_err().code(), Code::Internal);
    }
}
