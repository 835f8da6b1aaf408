//! When is a service that keeps failing left alone, and how is it tried again?
//!
//! A circuit breaker (Nygard 2007): closed until `failures` attempts in a row have failed; then open, and every attempt
//! is refused, for `open_for`; then half open, and `probes` attempts go through. When one of them fails it is open
//! again, when one succeeds it is closed. Attempts that were cancelled say nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quorate_core::{Error, Result};

/// When a service is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// How long it stays open.
    pub open_for: Duration,
    /// Attempts that go through at once when it is half open.
    pub probes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        BreakerOptions { failures: 5, open_for: Duration::from_secs(30), probes: 1 }
    }
}

impl BreakerOptions {
    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if self.failures == 0 || self.probes == 0 {
            return Err(Error::invalid("a breaker needs 1 failure and 1 probe or more"));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Breaker {
    options: BreakerOptions,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Duration },
    HalfOpen { probing: u32 },
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    Bad,
    /// Cancelled, or refused for a reason that tells nothing of the service's state.
    Unknown,
}

impl Breaker {
    pub(super) fn new(options: BreakerOptions) -> Self {
        Breaker { options, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether an attempt may go; if not, how long the circuit stays open.
    pub(super) fn enter(&self, now: Duration) -> Result<(), Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            State::Closed { .. } => Ok(()),
            State::Open { until } if now < until => Err(until - now),
            State::Open { .. } => {
                *state = State::HalfOpen { probing: 1 };
                Ok(())
            }
            State::HalfOpen { probing } if probing < self.options.probes => {
                *state = State::HalfOpen { probing: probing + 1 };
                Ok(())
            }
            State::HalfOpen { .. } => Err(Duration::ZERO),
        }
    }

    pub(super) fn leave(&self, outcome: Outcome, now: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match (*state, outcome) {
            (State::Closed { .. }, Outcome::Good) => State::Closed { failures: 0 },
            (State::Closed { failures }, Outcome::Bad) if failures + 1 < self.options.failures => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. } | State::HalfOpen { .. }, Outcome::Bad) => {
                State::Open { until: now + self.options.open_for }
            }
            (State::HalfOpen { .. }, Outcome::Good) => State::Closed { failures: 0 },
            (State::HalfOpen { probing }, Outcome::Unknown) => {
                State::HalfOpen { probing: probing.saturating_sub(1) }
            }
            // An attempt that began before the circuit opened.
            (state, _) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened(probes: u32) -> Breaker {
        let breaker = Breaker::new(BreakerOptions { failures: 3, open_for: 10 * SECOND, probes });
        for _ in 0..3 {
            assert!(breaker.enter(Duration::ZERO).is_ok());
            breaker.leave(Outcome::Bad, Duration::ZERO);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_lets_probes_through() {
        let breaker = opened(2);
        assert_eq!(breaker.enter(4 * SECOND), Err(6 * SECOND));
        assert!(breaker.enter(10 * SECOND).is_ok());
        assert!(breaker.enter(10 * SECOND).is_ok());
        assert_eq!(breaker.enter(10 * SECOND), Err(Duration::ZERO));
        breaker.leave(Outcome::Good, 11 * SECOND);
        assert!(breaker.enter(11 * SECOND).is_ok());
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_cancelled_one_says_nothing() {
        let breaker = opened(1);
        assert!(breaker.enter(10 * SECOND).is_ok());
        breaker.leave(Outcome::Unknown, 10 * SECOND);
        assert!(breaker.enter(10 * SECOND).is_ok());
        breaker.leave(Outcome::Bad, 12 * SECOND);
        assert_eq!(breaker.enter(13 * SECOND), Err(9 * SECOND));
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let breaker = Breaker::new(BreakerOptions { failures: 2, ..BreakerOptions::default() });
        for _ in 0..10 {
            breaker.leave(Outcome::Bad, Duration::ZERO);
            breaker.leave(Outcome::Good, Duration::ZERO);
        }
        for _ in 0..10 {
            breaker.leave(Outcome::Unknown, Duration::ZERO);
        }
        assert!(breaker.enter(Duration::ZERO).is_ok());
    }
}
