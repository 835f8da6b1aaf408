//! How many requests and tokens a minute are sent, when what a request takes is known only afterwards?
//!
//! A token bucket (Turner 1986) that is entered by reservation: who comes takes what it may need at once, also below
//! zero, and waits until the bucket has been refilled to zero; so callers are served in the order in which they come.
//! What was not used is given back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A bucket that holds what one minute allows.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: f64,
    level: Mutex<(f64, Duration)>,
}

impl Bucket {
    pub(super) fn new(per_minute: u64, now: Duration) -> Self {
        Bucket { per_minute: per_minute as f64, level: Mutex::new((per_minute as f64, now)) }
    }

    /// Takes `amount`, or all that the bucket can hold; returns what was taken and how long to wait before using it.
    pub(super) fn take(&self, amount: u64, now: Duration) -> (f64, Duration) {
        let amount = (amount as f64).min(self.per_minute);
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut level, now);
        level.0 -= amount;
        let wait = if level.0 < 0.0 { -level.0 * 60.0 / self.per_minute } else { 0.0 };
        (amount, Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
    }

    /// Gives back what was taken and not used; a negative amount takes what was used beyond.
    pub(super) fn give_back(&self, amount: f64, now: Duration) {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        self.refill(&mut level, now);
        level.0 = (level.0 + amount).min(self.per_minute);
    }

    fn refill(&self, level: &mut (f64, Duration), now: Duration) {
        let passed = now.saturating_sub(level.1).as_secs_f64();
        level.0 = (level.0 + passed * self.per_minute / 60.0).min(self.per_minute);
        level.1 = level.1.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_minute_allows_what_it_says() {
        let bucket = Bucket::new(60, Duration::ZERO);
        for _ in 0..60 {
            assert_eq!(bucket.take(1, Duration::ZERO).1, Duration::ZERO);
        }
        assert_eq!(bucket.take(1, Duration::ZERO).1, SECOND);
        assert_eq!(bucket.take(1, Duration::ZERO).1, 2 * SECOND);
        assert_eq!(bucket.take(1, 3 * SECOND).1, Duration::ZERO);
    }

    #[test]
    fn what_was_not_used_comes_back() {
        let bucket = Bucket::new(600, Duration::ZERO);
        let (taken, wait) = bucket.take(600, Duration::ZERO);
        assert_eq!((taken, wait), (600.0, Duration::ZERO));
        assert_eq!(bucket.take(10, Duration::ZERO).1, SECOND);
        bucket.give_back(500.0, Duration::ZERO);
        assert_eq!(bucket.take(100, Duration::ZERO).1, Duration::ZERO);
    }

    #[test]
    fn a_request_larger_than_a_minute_waits_for_a_full_bucket_and_no_longer() {
        let bucket = Bucket::new(60, Duration::ZERO);
        assert_eq!(bucket.take(1000, Duration::ZERO), (60.0, Duration::ZERO));
        assert_eq!(bucket.take(1000, Duration::ZERO).1, 60 * SECOND);
    }
}
