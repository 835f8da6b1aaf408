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
    used: Mutex<usize>,
    free: Condvar,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Bulkhead>);

impl Bulkhead {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Bulkhead { most, used: Mutex::new(0), free: Condvar::new() })
    }

    /// Waits for a place. Errors: `cancelled`, `timeout`.
    pub(super) fn enter(self: &Arc<Self>, most: Duration, cancel: &Cancel) -> Result<Place> {
        let start = Instant::now();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while *used >= self.most {
            cancel.check()?;
            if start.elapsed() >= most {
                let message = format!(
                    "{} calls of this model are under way, and none has ended in {} s; end streams that are not read, or raise max_concurrent",
                    self.most,
                    most.as_secs_f64()
                );
                return Err(Error::new(Code::Timeout, message));
            }
            used = self.free.wait_timeout(used, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        *used += 1;
        Ok(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
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
}
