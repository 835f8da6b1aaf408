//! How does the synchronous API run asynchronous work (store, HTTP), also after a fork?
//!
//! One private tokio runtime serves the whole process. It is started by the first call, never at import. A forked
//! child has none of the parent's threads, so the child's first call starts a runtime of its own.

#[cfg(unix)]
mod sleepers;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{Code, Error, Result};

static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(std::ptr::null_mut());
static FORKS: AtomicU64 = AtomicU64::new(0);

/// How many forks lie between the process that loaded the library and this one.
pub fn forks() -> u64 {
    register_fork_handler();
    FORKS.load(Ordering::Acquire)
}

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
    register_fork_handler();
    let current = RUNTIME.load(Ordering::Acquire);
    if !current.is_null() {
        // SAFETY: a pointer in RUNTIME comes from Box::into_raw below and is never freed.
        return Ok(unsafe { &*current });
    }
    #[cfg(unix)]
    sleepers::make_room();
    let fresh = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("quorate-async")
        .enable_all()
        .build()
        .map_err(|e| {
            Error::with_source(Code::Io, format!("the threads for asynchronous work cannot start: {e}"), e)
        })?;
    let fresh = Box::into_raw(Box::new(fresh));
    match RUNTIME.compare_exchange(std::ptr::null_mut(), fresh, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: as above; the pointer was just made and is now owned by RUNTIME.
        Ok(_) => Ok(unsafe { &*fresh }),
        Err(winner) => {
            // SAFETY: `fresh` was not published, so this is its only owner.
            drop(unsafe { Box::from_raw(fresh) });
            // SAFETY: as above.
            Ok(unsafe { &*winner })
        }
    }
}

#[cfg(unix)]
fn register_fork_handler() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    extern "C" fn in_child() {
        // The parent's runtime is leaked: its threads do not exist here.
        RUNTIME.store(std::ptr::null_mut(), Ordering::Release);
        FORKS.fetch_add(1, Ordering::AcqRel);
    }
    // SAFETY: the handler only stores to atomics, which is allowed between fork and exec.
    ONCE.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(in_child));
    });
}

#[cfg(not(unix))]
fn register_fork_handler() {}

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
