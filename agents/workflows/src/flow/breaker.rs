//! Is something that keeps failing left alone for a while?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_core::{Cancel, Result};
use quorate_models::{BreakerOptions, CallGuard, CallOptions};

use super::tools::Clock;

/// Breakers by name, for the tools of one engine, by its clock.
pub(crate) struct Breakers {
    time: Arc<Time>,
    guards: Mutex<HashMap<String, Arc<CallGuard>>>,
}

impl Breakers {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Breakers { time: Arc::new(Time { clock, last: Mutex::default() }), guards: Mutex::default() }
    }

    /// Makes a call unless the breaker is open. Errors: `circuit_open`, `cancelled`; those of the call.
    pub(crate) fn call<T>(&self, name: &str, cancel: &Cancel, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let admitted = self.guard(name)?.admit(cancel)?;
        let made = call();
        admitted.ended(&made);
        made
    }

    fn guard(&self, name: &str) -> Result<Arc<CallGuard>> {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = guards.get(name) {
            return Ok(Arc::clone(known));
        }
        let options = CallOptions { breaker: Some(BreakerOptions::default()), bulkhead: None };
        let guard = Arc::new(CallGuard::timed(name, options, Arc::<Time>::clone(&self.time))?);
        guards.insert(name.to_owned(), Arc::clone(&guard));
        Ok(guard)
    }
}

/// An engine's clock as breakers see it: it never goes back.
struct Time {
    clock: Arc<dyn Clock>,
    last: Mutex<Duration>,
}

impl quorate_models::Clock for Time {
    fn now(&self) -> Duration {
        // The clock may be a function of the host, which is not called under a lock.
        let now = Duration::try_from_secs_f64(self.clock.now()).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(*last);
        *last
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        quorate_models::SystemClock::default().sleep(time, cancel)
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::{Code, Error};

    use super::super::tools::ManualClock;
    use super::*;

    #[test]
    fn a_breaker_opens_looks_and_closes_by_the_clock_of_the_engine() {
        let clock = Arc::new(ManualClock::new(1_000.0));
        let breakers = Breakers::new(Arc::<ManualClock>::clone(&clock));
        let cancel = Cancel::new();
        let call = |name: &str, how: &dyn Fn() -> Result<()>| {
            breakers.call(name, &cancel, how).err().map(|error| error.code())
        };
        let down = || {
            // Open from when it is known, however long the call took.
            clock.advance(100.0);
            Err(Error::new(Code::RemoteFailed, "down"))
        };
        let never = || -> Result<()> { panic!("it is left alone") };
        for _ in 0..BreakerOptions::default().failures {
            assert_eq!(call("a", &down), Some(Code::RemoteFailed));
        }
        clock.advance(29.0);
        assert_eq!(call("a", &never), Some(Code::CircuitOpen));
        assert_eq!(call("b", &|| Ok(())), None, "another one");
        clock.advance(1.0);
        assert_eq!(call("a", &down), Some(Code::RemoteFailed), "one looks");
        clock.advance(29.0);
        assert_eq!(call("a", &never), Some(Code::CircuitOpen));
        clock.advance(-500.0);
        assert_eq!(call("a", &never), Some(Code::CircuitOpen), "a clock that was put back");
        clock.advance(501.0);
        assert_eq!(call("a", &|| Ok(())), None);
        assert_eq!(call("a", &|| Ok(())), None);
    }
}
