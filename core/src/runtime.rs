//! How does the synchronous API run asynchronous work (store, HTTP), also after a fork?
//!
//! One private tokio runtime serves the whole process. It is started by the first call, never at import. A forked
//! child has none of the parent's threads, so the child's first call starts a runtime of its own.

#[cfg(unix)]
mod still;

#[cfg(unix)]
pub use still::{Occupation, still_at_forks};

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::fork::PerProcess;
use crate::{Code, Error, Result};

/// Threads that drive asynchronous work.
const WORKERS: usize = 2;

/// Waits for `future`. A panic inside it becomes an error with code `internal`.
pub fn block_on<T: Send>(future: impl Future<Output = Result<T>> + Send) -> Result<T> {
    let runtime = runtime()?;
    let run = || {
        let _context = runtime.enter();
        drive(future)
    };
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|s| (*s).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::new(Code::Internal, format!("asynchronous work stopped: {said}")))
    })
}

/// Polls `future` on this thread. tokio's own way to wait would have it sleep in a queue that a forked child inherits.
fn drive<T>(future: impl Future<Output = T>) -> T {
    struct Caller {
        thread: Thread,
        called: AtomicBool,
    }
    impl Wake for Caller {
        fn wake(self: Arc<Self>) {
            self.called.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }
    let mut future = pin!(future);
    let caller = Arc::new(Caller { thread: thread::current(), called: AtomicBool::new(false) });
    let waker = Waker::from(caller.clone());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        // What is polled may itself wait here, and take the thread's one token.
        while !caller.called.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: PerProcess<Runtime> = PerProcess::new();
    RUNTIME.get(|| {
        // Threads that wait for files: no more than read faster together.
        let blocking = thread::available_parallelism().map_or(1, std::num::NonZero::get).clamp(4, 16);
        let built = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(blocking)
            .thread_name("quorate-async")
            // They come as needed; those that are idle longer are given back.
            .thread_keep_alive(Duration::from_secs(1))
            .enable_all()
            .build();
        let runtime = built.map_err(|e| {
            Error::with_source(Code::Io, format!("the threads for asynchronous work cannot start: {e}"), e)
        })?;
        #[cfg(unix)]
        {
            let handle = runtime.handle().clone();
            still_at_forks(WORKERS, move |work| drop(handle.spawn(async move { work() })));
            let handle = runtime.handle().clone();
            still_at_forks(blocking, move |work| drop(handle.spawn_blocking(work)));
        }
        Ok(runtime)
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
        // Also inside itself, and where a wait within a wait takes the word that the outer one waits for.
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let told = block_on(async {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                sender.send(3)
            });
            let slept = block_on(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(4)
            })?;
            Ok(slept + receiver.await.unwrap())
        });
        assert_eq!(told.unwrap(), 7);
        let caught = block_on::<()>(async { panic!("boom") });
        assert_eq!(caught.unwrap_err().code(), Code::Internal);
    }
}
