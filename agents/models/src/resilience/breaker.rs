//! When is a service that keeps failing left alone, and how is it tried again?
//!
//! A circuit breaker (Nygard 2007): closed until `failures` attempts in a row have failed; then open, and every attempt
//! is refused, for `open_for`; then half open, and `probes` attempts go through. When one of them fails it is open
//! again, when one succeeds it is closed. Attempts that were cancelled say nothing, nor do those that began in an earlier
//! state: what they tell is old.

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
        if self.open_for > Duration::from_secs(86_400) {
            return Err(Error::invalid("a breaker stays open for over 86,400 seconds"));
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Breaker {
    options: BreakerOptions,
    /// The state, and how often it has changed.
    state: Mutex<(State, u64)>,
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

/// The state in which an attempt began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Period(u64);

impl Breaker {
    pub(super) fn new(options: BreakerOptions) -> Self {
        Breaker { options, state: Mutex::new((State::Closed { failures: 0 }, 0)) }
    }

    /// How long the circuit stays open; `None` when it is not.
    pub(super) fn open(&self, now: Duration) -> Option<Duration> {
        match self.state.lock().unwrap_or_else(PoisonError::into_inner).0 {
            State::Open { until } if now < until => Some(until - now),
            _ => None,
        }
    }

    /// Whether an attempt may go; if not, how long the circuit stays open.
    pub(super) fn enter(&self, now: Duration) -> Result<Period, Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0 {
            State::Closed { .. } => {}
            State::Open { until } if now < until => return Err(until - now),
            State::Open { .. } => *state = (State::HalfOpen { probing: 1 }, state.1 + 1),
            State::HalfOpen { probing } if probing < self.options.probes => {
                state.0 = State::HalfOpen { probing: probing + 1 };
            }
            State::HalfOpen { .. } => return Err(Duration::ZERO),
        }
        Ok(Period(state.1))
    }

    pub(super) fn leave(&self, period: Period, outcome: Outcome, now: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if period.0 != state.1 {
            return;
        }
        let open = State::Open { until: now.saturating_add(self.options.open_for) };
        *state = match (state.0, outcome) {
            (State::Closed { .. }, Outcome::Good) => (State::Closed { failures: 0 }, state.1),
            (State::Closed { failures }, Outcome::Bad) if failures + 1 < self.options.failures => {
                (State::Closed { failures: failures + 1 }, state.1)
            }
            (State::Closed { .. } | State::HalfOpen { .. }, Outcome::Bad) => (open, state.1 + 1),
            (State::HalfOpen { .. }, Outcome::Good) => (State::Closed { failures: 0 }, state.1 + 1),
            (State::HalfOpen { probing }, Outcome::Unknown) => {
                (State::HalfOpen { probing: probing.saturating_sub(1) }, state.1)
            }
            (State::Closed { .. }, Outcome::Unknown) | (State::Open { .. }, _) => return,
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
            let period = breaker.enter(Duration::ZERO).unwrap();
            breaker.leave(period, Outcome::Bad, Duration::ZERO);
        }
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_and_lets_probes_through() {
        let breaker = opened(2);
        assert_eq!(breaker.open(4 * SECOND), Some(6 * SECOND));
        assert_eq!(breaker.enter(4 * SECOND).unwrap_err(), 6 * SECOND);
        let probe = breaker.enter(10 * SECOND).unwrap();
        assert!(breaker.enter(10 * SECOND).is_ok());
        assert_eq!(breaker.enter(10 * SECOND).unwrap_err(), Duration::ZERO);
        breaker.leave(probe, Outcome::Good, 11 * SECOND);
        assert!(breaker.enter(11 * SECOND).is_ok());
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_cancelled_one_says_nothing() {
        let breaker = opened(1);
        let probe = breaker.enter(10 * SECOND).unwrap();
        breaker.leave(probe, Outcome::Unknown, 10 * SECOND);
        let probe = breaker.enter(10 * SECOND).unwrap();
        breaker.leave(probe, Outcome::Bad, 12 * SECOND);
        assert_eq!(breaker.enter(13 * SECOND).unwrap_err(), 9 * SECOND);
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let breaker = Breaker::new(BreakerOptions { failures: 2, ..BreakerOptions::default() });
        let period = breaker.enter(Duration::ZERO).unwrap();
        for _ in 0..10 {
            breaker.leave(period, Outcome::Bad, Duration::ZERO);
            breaker.leave(period, Outcome::Good, Duration::ZERO);
        }
        for _ in 0..10 {
            breaker.leave(period, Outcome::Unknown, Duration::ZERO);
        }
        assert!(breaker.enter(Duration::ZERO).is_ok());
    }

    #[test]
    fn attempts_of_an_earlier_state_say_nothing() {
        let breaker = Breaker::new(BreakerOptions { failures: 1, open_for: 10 * SECOND, probes: 1 });
        let (old, other) = (breaker.enter(Duration::ZERO).unwrap(), breaker.enter(Duration::ZERO).unwrap());
        breaker.leave(old, Outcome::Bad, Duration::ZERO);
        let probe = breaker.enter(10 * SECOND).unwrap();
        for outcome in [Outcome::Unknown, Outcome::Bad, Outcome::Good] {
            breaker.leave(other, outcome, 10 * SECOND);
            assert_eq!(breaker.enter(10 * SECOND).unwrap_err(), Duration::ZERO, "{outcome:?}");
        }
        breaker.leave(probe, Outcome::Good, 11 * SECOND);
        // Closed again, and still old.
        breaker.leave(other, Outcome::Bad, 11 * SECOND);
        assert!(breaker.enter(11 * SECOND).is_ok());
    }
}
