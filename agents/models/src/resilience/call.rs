//! How is a call of anything else kept from overrunning what it calls, by the same breaker and places that models have?

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Kind, Result};

use super::breaker::{Breaker, BreakerOptions, Outcome, Period};
use super::bulkhead::{Bulkhead, Place};
use super::clock::{Clock, SystemClock};

/// How many calls are under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkheadOptions {
    /// Calls at once.
    pub most: usize,
    /// Calls that wait for a place; of further ones each is refused with `rate_limited`.
    pub queue: usize,
}

/// What bounds calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// When what keeps failing is left alone; `None`: never.
    pub breaker: Option<BreakerOptions>,
    /// How many calls are under way at once; `None`: any number.
    pub bulkhead: Option<BulkheadOptions>,
}

impl CallOptions {
    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.bulkhead.is_some_and(|bulkhead| bulkhead.most == 0) {
            return Err(Error::invalid("a bulkhead needs a place for 1 call or more"));
        }
        self.breaker.map_or(Ok(()), |breaker| breaker.validate())
    }
}

/// What the calls of one thing share.
///
/// ```
/// use quorate_core::Cancel;
/// use quorate_models::{BulkheadOptions, CallGuard, CallOptions};
/// let bulkhead = Some(BulkheadOptions { most: 1, queue: 0 });
/// let guard = CallGuard::new("openfda", CallOptions { bulkhead, ..CallOptions::default() })?;
/// let call = guard.admit(&Cancel::new())?;
/// assert_eq!(guard.admit(&Cancel::new()).unwrap_err().code().as_str(), "rate_limited");
/// call.ended(&Ok(()));
/// assert!(guard.admit(&Cancel::new()).is_ok());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub struct CallGuard {
    name: String,
    failures: u32,
    breaker: Option<Arc<Breaker>>,
    bulkhead: Option<Arc<Bulkhead>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for CallGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CallGuard").field(&self.name).finish()
    }
}

/// A call under way. Dropped, it has ended, and nothing is known of how.
pub struct AdmittedCall {
    breaker: Option<(Arc<Breaker>, Period)>,
    clock: Arc<dyn Clock>,
    outcome: Outcome,
    _place: Option<Place>,
}

impl std::fmt::Debug for AdmittedCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedCall").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

impl CallGuard {
    /// `name`: what errors call it. Errors: `invalid_argument`.
    pub fn new(name: impl Into<String>, options: CallOptions) -> Result<CallGuard> {
        CallGuard::timed(name, options, Arc::new(SystemClock::default()))
    }

    /// The same with another clock.
    pub fn timed(name: impl Into<String>, options: CallOptions, clock: Arc<dyn Clock>) -> Result<CallGuard> {
        options.validate()?;
        Ok(CallGuard {
            name: name.into(),
            failures: options.breaker.map_or(0, |breaker| breaker.failures),
            breaker: options.breaker.map(|breaker| Arc::new(Breaker::new(breaker))),
            bulkhead: options.bulkhead.map(|bulkhead| Bulkhead::with_queue(bulkhead.most, bulkhead.queue)),
            clock,
        })
    }

    /// Waits until a call may be made. Errors: `circuit_open`, `rate_limited`, `cancelled`.
    pub fn admit(&self, cancel: &Cancel) -> Result<AdmittedCall> {
        // Nobody waits for a circuit that is open.
        if let Some(left) = self.breaker.as_ref().and_then(|breaker| breaker.open(self.clock.now())) {
            return Err(self.left_alone(left));
        }
        let place = match &self.bulkhead {
            Some(bulkhead) => Some(bulkhead.enter(Duration::MAX, cancel)?),
            None => None,
        };
        cancel.check()?;
        let breaker = match &self.breaker {
            None => None,
            Some(breaker) => {
                let entered = breaker.enter(self.clock.now());
                Some((Arc::clone(breaker), entered.map_err(|left| self.left_alone(left))?))
            }
        };
        let clock = Arc::clone(&self.clock);
        Ok(AdmittedCall { breaker, clock, outcome: Outcome::Unknown, _place: place })
    }

    fn left_alone(&self, left: Duration) -> Error {
        let message = format!(
            "'{}' has failed {} times in a row, and is left alone for another {:.1} s",
            self.name,
            self.failures,
            left.as_secs_f64()
        );
        Error::new(Code::CircuitOpen, message)
    }
}

impl AdmittedCall {
    /// It has ended so.
    pub fn ended<T>(mut self, how: &Result<T>) {
        self.came_to(how);
    }

    /// What is known of it so far: the place is held on, until the call itself has ended.
    pub fn came_to<T>(&mut self, how: &Result<T>) {
        self.outcome = match how {
            Ok(_) => Outcome::Good,
            Err(error) => match error.code() {
                Code::Cancelled | Code::RateLimited | Code::StaleWrite => Outcome::Unknown,
                _ if error.kind() == Kind::Unavailable => Outcome::Bad,
                // What is refused for what it was given says that somebody is there.
                _ => Outcome::Good,
            },
        };
        if let Some((breaker, period)) = self.breaker.take() {
            breaker.leave(period, self.outcome, self.clock.now());
        }
    }
}

impl Drop for AdmittedCall {
    fn drop(&mut self) {
        if let Some((breaker, period)) = self.breaker.take() {
            breaker.leave(period, self.outcome, self.clock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ManualClock;
    use super::*;

    #[test]
    fn what_keeps_failing_is_left_alone_and_looked_after() {
        let clock = Arc::new(ManualClock::default());
        let breaker = BreakerOptions { failures: 2, open_for: Duration::from_secs(30), probes: 1 };
        let options = CallOptions { breaker: Some(breaker), bulkhead: None };
        let guard = CallGuard::timed("openfda", options, Arc::<ManualClock>::clone(&clock)).unwrap();
        let cancel = Cancel::new();
        let end = |how: Result<()>| guard.admit(&cancel).unwrap().ended(&how);
        let failed = |code| Err(Error::new(code, "down"));
        end(failed(Code::ToolFailed));
        // What says nothing, and what says that somebody is there.
        end(failed(Code::Cancelled));
        end(failed(Code::ToolArguments));
        end(failed(Code::ToolFailed));
        end(failed(Code::ToolTimeout));
        let refused = guard.admit(&cancel).unwrap_err();
        assert_eq!(refused.code(), Code::CircuitOpen);
        assert!(refused.message().contains("'openfda' has failed 2 times"));
        clock.advance(Duration::from_secs(30));
        let probe = guard.admit(&cancel).unwrap();
        assert_eq!(guard.admit(&cancel).unwrap_err().code(), Code::CircuitOpen);
        probe.ended(&Ok(()));
        end(Ok(()));
    }

    #[test]
    fn options_that_let_nothing_through_are_refused() {
        let bulkhead = Some(BulkheadOptions { most: 0, queue: 1 });
        assert!(CallGuard::new("x", CallOptions { bulkhead, ..CallOptions::default() }).is_err());
        let breaker = Some(BreakerOptions { failures: 0, ..BreakerOptions::default() });
        assert!(CallGuard::new("x", CallOptions { breaker, ..CallOptions::default() }).is_err());
    }
}
