//! How many calls are at work, and how does one end before it is done?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate::{Cancel, Code, Error, Result};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::limits::Limits;
use crate::stop::Stop;

/// The calls of all clients, which work on threads that may wait.
pub(crate) struct Work {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    going_on: Arc<AtomicUsize>,
    stop: Stop,
}

/// Counts while it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn of(count: &'a AtomicUsize) -> (Self, usize) {
        let before = count.fetch_add(1, Ordering::AcqRel);
        (Counted(count), before)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Raises a flag when nobody waits for what looks at it any more.
struct Abandoned(Cancel);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Work {
    pub(crate) fn new(limits: &Limits, stop: Stop) -> Self {
        Work {
            places: Arc::new(Semaphore::new(limits.calls)),
            waiting: AtomicUsize::new(0),
            most_waiting: limits.waiting_calls,
            going_on: Arc::default(),
            stop,
        }
    }

    /// How many calls wait or are at work.
    pub(crate) fn going_on(&self) -> usize {
        self.going_on.load(Ordering::Acquire)
    }

    /// Does a call on a thread that may wait. It ends when `ct` is raised, when nobody waits for it any more, and when the
    /// server stops. Errors: `rate_limited`, `cancelled`, and those of the call.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        ct: &CancellationToken,
        call: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _going_on = Counted::of(&self.going_on);
        let cancelled = || Error::new(Code::Cancelled, "the call was cancelled");
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let (_waits, before) = Counted::of(&self.waiting);
                if before >= self.most_waiting {
                    let message = format!("{before} calls wait already; try again later");
                    return Err(Error::new(Code::RateLimited, message));
                }
                let place = Arc::clone(&self.places).acquire_owned();
                let place = tokio::select! {
                    place = place => place,
                    () = ct.cancelled() => return Err(cancelled()),
                };
                place.map_err(|_| cancelled())?
            }
        };
        let cancel = self.stop.work().child();
        let abandoned = Abandoned(cancel.clone());
        let working = tokio::task::spawn_blocking(move || {
            let _place = place;
            cancel.check()?;
            cancel.cover(|| call(&cancel))
        });
        let done = tokio::select! {
            done = working => done,
            () = ct.cancelled() => return Err(cancelled()),
        };
        drop(abandoned);
        let defect =
            || Error::new(Code::Internal, "a defect of quorate, please report it: a call has panicked");
        done.map_err(|_| defect())?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }

    /// A call that works until it is told to end.
    fn endless(cancel: &Cancel) -> Result<()> {
        loop {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn calls_wait_in_a_bounded_queue_and_end_when_told() {
        runtime().block_on(async {
            let limits = Limits { calls: 1, waiting_calls: 1, ..Limits::default() };
            let work = Arc::new(Work::new(&limits, Stop::default()));
            let (first, second) = (CancellationToken::new(), CancellationToken::new());
            let start = |ct: CancellationToken| {
                let work = Arc::clone(&work);
                tokio::spawn(async move { work.run(&ct, endless).await })
            };
            let one = start(first.clone());
            while work.places.available_permits() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let two = start(second.clone());
            while work.waiting.load(Ordering::Acquire) < 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let third = work.run(&CancellationToken::new(), |_| Ok(())).await;
            assert_eq!(third.unwrap_err().code(), Code::RateLimited);
            second.cancel();
            assert_eq!(two.await.unwrap().unwrap_err().code(), Code::Cancelled);
            first.cancel();
            assert_eq!(one.await.unwrap().unwrap_err().code(), Code::Cancelled);
            // The place is free again once the work has seen it.
            work.run(&CancellationToken::new(), |_| Ok(())).await.unwrap();
            assert_eq!(work.going_on(), 0);
        });
    }

    #[test]
    fn a_panic_is_an_error_and_an_abandoned_call_ends() {
        runtime().block_on(async {
            let work = Work::new(&Limits { calls: 1, ..Limits::default() }, Stop::default());
            let ct = CancellationToken::new();
            let panicked = work.run(&ct, |_| -> Result<()> { std::panic::panic_any("no") }).await;
            assert_eq!(panicked.unwrap_err().code(), Code::Internal);
            let late = tokio::time::timeout(Duration::from_millis(50), work.run(&ct, endless)).await;
            assert!(late.is_err());
            work.run(&ct, |_| Ok(())).await.unwrap();
        });
    }
}
