//! Is something that keeps failing left alone for a while?

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use quorate_core::{Code, Error, Kind, Result};

/// So many failures in a row open a breaker.
const FAILURES: u32 = 5;
/// So long it stays open, in seconds; then one call is let through to see.
const RESET: f64 = 30.0;

/// Breakers by name, for the tools of one engine.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Clone, Copy, Default)]
struct Breaker {
    failures: u32,
    open_until: f64,
}

impl Breakers {
    /// Makes a call unless the breaker is open. Errors: `circuit_open`; those of the call.
    pub(crate) fn call<T>(
        &self,
        name: &str,
        clock: &dyn Fn() -> f64,
        call: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        {
            let now = clock();
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let breaker = all.entry(name.to_owned()).or_default();
            if breaker.failures >= FAILURES {
                if now < breaker.open_until {
                    let message = format!(
                        "'{name}' has failed {FAILURES} times in a row, and is left alone for {RESET} seconds"
                    );
                    return Err(Error::new(Code::CircuitOpen, message));
                }
                // One call looks; the others wait for what it finds.
                breaker.open_until = now + RESET;
            }
        }
        let made = call();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = all.entry(name.to_owned()).or_default();
        match &made {
            // What is refused for what it was given says nothing about the other side.
            Err(error) if error.kind() == Kind::Unavailable => {
                breaker.failures = breaker.failures.saturating_add(1);
                // Since it is known, however long the call took.
                breaker.open_until = clock() + RESET;
            }
            // Nor does what was ended before it had come to anything.
            Err(error) if matches!(error.code(), Code::Cancelled | Code::StaleWrite) => {}
            _ => *breaker = Breaker::default(),
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breaker_opens_looks_and_closes() {
        let breakers = Breakers::default();
        let down = || Err::<(), _>(Error::new(Code::RemoteFailed, "down"));
        let code = |result: Result<()>| result.err().map(|error| error.code());
        for _ in 0..FAILURES {
            assert_eq!(code(breakers.call("a", &|| 0.0, down)), Some(Code::RemoteFailed));
        }
        let never = || -> Result<()> { panic!("it is left alone") };
        assert_eq!(code(breakers.call("a", &|| 29.0, never)), Some(Code::CircuitOpen));
        assert_eq!(code(breakers.call("b", &|| 29.0, || Ok(()))), None, "another one");
        assert_eq!(code(breakers.call("a", &|| 30.0, down)), Some(Code::RemoteFailed), "one looks");
        assert_eq!(code(breakers.call("a", &|| 31.0, never)), Some(Code::CircuitOpen));
        assert_eq!(code(breakers.call("a", &|| 60.0, || Ok(()))), None);
        assert_eq!(code(breakers.call("a", &|| 61.0, || Ok(()))), None);
    }

    #[test]
    fn a_breaker_stays_open_from_when_the_last_call_has_failed() {
        let (breakers, clock) = (Breakers::default(), std::cell::Cell::new(0.0));
        let now = || clock.get();
        for _ in 0..FAILURES {
            let slow = || {
                clock.set(clock.get() + 100.0);
                Err::<(), _>(Error::new(Code::RemoteFailed, "down"))
            };
            assert!(breakers.call("a", &now, slow).is_err());
        }
        let never = || -> Result<()> { panic!("it is left alone") };
        assert_eq!(breakers.call("a", &now, never).err().map(|error| error.code()), Some(Code::CircuitOpen));
        clock.set(clock.get() + RESET);
        assert!(breakers.call("a", &now, || Ok(())).is_ok());
    }
}
