//! How many calls are under way at once?

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error, Result};

/// How often a caller that waits looks whether it is cancelled.
const TICK: Duration = Duration::from_millis(20);

/// A number of places, each held by one call.
#[derive(Debug)]
pub(super) struct Bulkhead {
    most: usize,
    /// So many may wait for a place.
    queue: usize,
    /// What is held and how many wait.
    used: Mutex<(usize, usize)>,
    free: Condvar,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Bulkhead>);

impl Bulkhead {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Bulkhead::with_queue(most, usize::MAX)
    }

    /// The same, at which no more than `queue` calls wait.
    pub(super) fn with_queue(most: usize, queue: usize) -> Arc<Self> {
        Arc::new(Bulkhead { most, queue, used: Mutex::new((0, 0)), free: Condvar::new() })
    }

    /// Waits for a place. Errors: `cancelled`, `timeout`; `rate_limited` where enough wait already.
    pub(super) fn enter(self: &Arc<Self>, most: Duration, cancel: &Cancel) -> Result<Place> {
        let start = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.0 >= self.most && used.1 >= self.queue {
            let message = format!(
                "{} calls are under way and {} wait for a place, which is as many as may",
                self.most, self.queue
            );
            return Err(Error::new(Code::RateLimited, message));
        }
        used.1 += 1;
        let waited = loop {
            if used.0 < self.most {
                break Ok(());
            }
            if let Err(cancelled) = cancel.check() {
                break Err(cancelled);
            }
            if start.elapsed() >= most {
                let message = format!(
                    "{} calls of this model are under way, and none has ended in {} s; end streams that are not read, or raise max_concurrent",
                    self.most,
                    most.as_secs_f64()
                );
                break Err(Error::new(Code::Timeout, message));
            }
            used = self.free.wait_timeout(used, TICK).unwrap_or_else(PoisonError::into_inner).0;
        };
        used.1 -= 1;
        waited?;
        used.0 += 1;
        Ok(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_its_places() {
        let bulkhead = Bulkhead::new(2);
        let wait = Duration::from_millis(50);
        let (a, _b) =
            (bulkhead.enter(wait, &Cancel::new()).unwrap(), bulkhead.enter(wait, &Cancel::new()).unwrap());
        assert_eq!(bulkhead.enter(wait, &Cancel::new()).unwrap_err().code(), Code::Timeout);
        drop(a);
        assert!(bulkhead.enter(wait, &Cancel::new()).is_ok());
        let cancel = Cancel::new();
        let _c = bulkhead.enter(wait, &cancel).unwrap();
        cancel.cancel();
        assert_eq!(bulkhead.enter(Duration::from_secs(60), &cancel).unwrap_err().code(), Code::Cancelled);
    }

    #[test]
    fn no_more_wait_than_may() {
        let bulkhead = Bulkhead::with_queue(1, 1);
        let held = bulkhead.enter(Duration::ZERO, &Cancel::new()).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| bulkhead.enter(Duration::from_secs(30), &Cancel::new()).is_ok());
            while bulkhead.used.lock().unwrap().1 == 0 {
                std::thread::yield_now();
            }
            let refused = bulkhead.enter(Duration::from_secs(30), &Cancel::new()).unwrap_err();
            assert_eq!(refused.code(), Code::RateLimited);
            drop(held);
            assert!(waits.join().unwrap());
        });
        assert_eq!(*bulkhead.used.lock().unwrap(), (0, 0));
        let none = Bulkhead::with_queue(1, 0);
        let _held = none.enter(Duration::ZERO, &Cancel::new()).unwrap();
        assert_eq!(none.enter(Duration::ZERO, &Cancel::new()).unwrap_err().code(), Code::RateLimited);
    }
}
