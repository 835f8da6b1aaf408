//! What keeps a call alive, and a service from being overrun? The one layer that retries.
//!
//! An attempt goes when the circuit breaker lets it, a place is free, and the minute's requests and tokens allow it.
//! When it fails and may succeed later, it is sent again after the wait that the service asked for, or a growing one,
//! both with jitter (Brooker 2015).

mod breaker;
mod bucket;
mod bulkhead;
mod clock;

pub use breaker::BreakerOptions;
pub use clock::{Clock, ManualClock, SystemClock};

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result};

use crate::model::Model;
use crate::provider::{AttemptLimits, Failure};
use crate::reply::Usage;
use breaker::{Breaker, Outcome};
use bucket::Bucket;
use bulkhead::{Bulkhead, Place};

/// The first pause between attempts, before jitter; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest pause that is chosen here.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The longest pause that a service can ask for; where it asks for more, the call fails at once.
const MAX_ASKED: Duration = Duration::from_secs(120);

/// The longest that one streamed attempt takes, whatever arrives.
const STREAM_LIMIT: Duration = Duration::from_secs(600);

/// How calls of one model are retried and bounded.
#[derive(Clone)]
pub struct Resilience {
    /// Most attempts of one call at this model, 1 to 10.
    pub attempts: u32,
    /// Time for one attempt that answers as a whole. A stream may take up to ten minutes.
    pub attempt_timeout: Duration,
    /// Time until the first byte of a stream.
    pub first_byte_timeout: Duration,
    /// Time from one piece of a stream to the next.
    pub stall_timeout: Duration,
    /// Time for a whole call with all its attempts and waits; `None` for no other limit than theirs.
    pub deadline: Option<Duration>,
    /// Most requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Most tokens a minute, read and written. A request reserves its worst case; what it does not use is given back.
    pub tokens_per_minute: Option<u64>,
    /// Most calls under way at once; others wait.
    pub max_concurrent: usize,
    /// When to leave a failing service alone; `None`: never.
    pub breaker: Option<BreakerOptions>,
    /// Models to ask, in this order, when this one fails for a reason that may not hold for them.
    pub fallback: Vec<Model>,
    /// Fixes the jitter; `None` differs from process to process, as jitter should.
    pub seed: Option<u64>,
}

impl Default for Resilience {
    fn default() -> Self {
        Resilience {
            attempts: 3,
            attempt_timeout: Duration::from_secs(60),
            first_byte_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(20),
            deadline: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            max_concurrent: 8,
            breaker: Some(BreakerOptions::default()),
            fallback: Vec::new(),
            seed: None,
        }
    }
}

impl Resilience {
    /// Errors: `invalid_argument`.
    pub fn validate(&self) -> Result<()> {
        if !(1..=10).contains(&self.attempts) {
            return Err(Error::invalid(format!("attempts is {}, expected 1 to 10", self.attempts)));
        }
        for (name, time) in [
            ("attempt_timeout", Some(self.attempt_timeout)),
            ("first_byte_timeout", Some(self.first_byte_timeout)),
            ("stall_timeout", Some(self.stall_timeout)),
            ("deadline", self.deadline),
        ] {
            if time.is_some_and(|time| time.is_zero() || time > Duration::from_secs(86_400)) {
                return Err(Error::invalid(format!("{name} is not between 0 and 86,400 seconds")));
            }
        }
        for (name, most) in [
            ("requests_per_minute", self.requests_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
            ("max_concurrent", Some(self.max_concurrent as u64)),
        ] {
            if most == Some(0) {
                return Err(Error::invalid(format!("{name} is 0, expected 1 or more")));
            }
        }
        self.breaker.map_or(Ok(()), |breaker| breaker.validate())
    }
}

/// The state that the calls of one model share.
pub(crate) struct Guard {
    options: Resilience,
    clock: Arc<dyn Clock>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    bulkhead: Arc<Bulkhead>,
    breaker: Option<Breaker>,
    jitter: AtomicU64,
}

impl Guard {
    pub(crate) fn new(options: Resilience, clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Guard {
            requests: options.requests_per_minute.map(|most| Bucket::new(most, now)),
            tokens: options.tokens_per_minute.map(|most| Bucket::new(most, now)),
            bulkhead: Bulkhead::new(options.max_concurrent),
            breaker: options.breaker.map(Breaker::new),
            jitter: AtomicU64::new(
                options.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish()),
            ),
            clock,
            options,
        }
    }

    pub(crate) fn options(&self) -> &Resilience {
        &self.options
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Waits until an attempt that takes at most `tokens` may go. Errors: `circuit_open`, `timeout`, `cancelled`.
    pub(crate) fn admit(self: &Arc<Self>, tokens: u64, cancel: &Cancel) -> Result<Admission, Failure> {
        let options = &self.options;
        let patience = options.attempt_timeout.saturating_mul(options.attempts);
        let place = self.bulkhead.enter(patience, cancel).map_err(Failure::lasting)?;
        if let Some(breaker) = &self.breaker {
            breaker.enter(self.clock.now()).map_err(|left| {
                let message = format!(
                    "the model failed {} times in a row and is not asked for another {:.1} s",
                    options.breaker.map_or(0, |b| b.failures),
                    left.as_secs_f64()
                );
                Failure::lasting(Error::new(Code::CircuitOpen, message))
            })?;
        }
        let mut admission = Admission {
            guard: Arc::clone(self),
            tokens: 0.0,
            outcome: Outcome::Unknown,
            used: Some(0),
            _place: place,
        };
        let now = self.clock.now();
        let mut wait = Duration::ZERO;
        if let Some(bucket) = &self.requests {
            wait = bucket.take(1, now).1;
        }
        if let Some(bucket) = &self.tokens {
            let (taken, longer) = bucket.take(tokens, now);
            admission.tokens = taken;
            wait = wait.max(longer);
        }
        if !wait.is_zero() {
            let slept = self.clock.sleep(wait, cancel);
            if slept.is_err() {
                // It was not sent, so it does not count.
                if let Some(bucket) = &self.requests {
                    bucket.give_back(1.0, self.clock.now());
                }
            }
            slept.map_err(Failure::lasting)?;
        }
        Ok(admission)
    }

    /// How long to wait before attempt number `attempt + 1`; `None` when there is none.
    pub(crate) fn pause(&self, attempt: u32, failure: &Failure, since: Duration) -> Option<Duration> {
        if !failure.passing || attempt >= self.options.attempts {
            return None;
        }
        let random = self.random();
        let wait = match failure.wait {
            Some(asked) if asked > MAX_ASKED => return None,
            // At least as long as asked, and not all callers at once.
            Some(asked) => asked + asked.mul_f64(0.1 * random) + Duration::from_millis(100).mul_f64(random),
            None => {
                let grown = FIRST_WAIT.saturating_mul(1 << (attempt - 1).min(16)).min(MAX_WAIT);
                grown.mul_f64(0.8 + 0.4 * random)
            }
        };
        let left = self.left(since);
        left.is_none_or(|left| wait < left).then_some(wait)
    }

    /// What is left of the call's time.
    pub(crate) fn left(&self, since: Duration) -> Option<Duration> {
        let deadline = self.options.deadline?;
        Some((since + deadline).saturating_sub(self.clock.now()))
    }

    /// The limits of an attempt that begins now. Errors: `timeout`.
    pub(crate) fn limits(&self, stream: bool, since: Duration) -> Result<AttemptLimits, Failure> {
        let left = self.left(since);
        if left == Some(Duration::ZERO) {
            let seconds = self.options.deadline.unwrap_or_default().as_secs_f64();
            return Err(Failure::lasting(Error::new(
                Code::Timeout,
                format!("the call took over {seconds} s"),
            )));
        }
        let own = if stream {
            STREAM_LIMIT.max(self.options.attempt_timeout)
        } else {
            self.options.attempt_timeout
        };
        Ok(AttemptLimits {
            total: Some(left.map_or(own, |left| left.min(own))),
            first_byte: Some(self.options.first_byte_timeout),
            stall: Some(self.options.stall_timeout),
        })
    }

    /// From 0 to 1 (Steele, Lea and Flood 2014).
    fn random(&self) -> f64 {
        let mut x = self.jitter.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) as f64 / u64::MAX as f64
    }
}

/// An attempt under way. Dropping it tells the breaker what came of it and gives back what was not used.
pub(crate) struct Admission {
    guard: Arc<Guard>,
    /// Tokens that were reserved.
    tokens: f64,
    outcome: Outcome,
    used: Option<u64>,
    _place: Place,
}

impl Admission {
    pub(crate) fn succeeded(&mut self, usage: &Usage) {
        self.outcome = Outcome::Good;
        let used = usage.input.saturating_add(usage.output);
        // A service that counts nothing has used an unknown number: the reservation stays.
        self.used = (used > 0).then_some(used);
    }

    pub(crate) fn failed(&mut self, failure: &Failure, usage: &Usage) {
        self.outcome = match failure.error.code() {
            Code::Cancelled | Code::RateLimited => Outcome::Unknown,
            _ if failure.unwell => Outcome::Bad,
            // The service is well enough to say no.
            _ => Outcome::Good,
        };
        self.used = Some(usage.input.saturating_add(usage.output));
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let now = self.guard.clock.now();
        if let Some(breaker) = &self.guard.breaker {
            breaker.leave(self.outcome, now);
        }
        if let (Some(bucket), Some(used)) = (&self.guard.tokens, self.used) {
            bucket.give_back(self.tokens - used as f64, now);
        }
    }
}
