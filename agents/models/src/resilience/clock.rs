//! Whose time is it? The machine's, or a test's that passes when it is told to.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Result};

/// How often a sleeper looks whether it is cancelled.
const TICK: Duration = Duration::from_millis(20);

/// Time, as retries, limits and breakers see it.
pub trait Clock: Send + Sync {
    /// Time since some moment, never backwards.
    fn now(&self) -> Duration;

    /// Waits. Errors: `cancelled`.
    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()>;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        let start = Instant::now();
        loop {
            cancel.check()?;
            // A wait beyond the end of the clock has no end that could be named.
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}

/// A clock that stands still but for sleepers: sleeping takes no time and moves it on. For tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<(Duration, Vec<Duration>)>,
}

impl ManualClock {
    /// Moves the clock on.
    pub fn advance(&self, time: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = now.0.saturating_add(time);
    }

    /// The waits so far.
    pub fn sleeps(&self) -> Vec<Duration> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn sleep(&self, time: Duration, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = now.0.saturating_add(time);
        now.1.push(time);
        Ok(())
    }
}
