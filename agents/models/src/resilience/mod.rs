//! What keeps a call alive, and a service from being overrun? The one layer that retries.
//!
//! An attempt goes when the minute's requests and tokens allow it, a place is free, and the circuit breaker lets it.
//! When it fails and may succeed later, it is sent again after the wait that the service asked for, or a growing one,
//! both with jitter (Brooker 2015). No wait is longer than what is left of the call's time.

mod breaker;
mod bulkhead;
mod call;
mod clock;
mod deadline;
mod minute;

pub use breaker::BreakerOptions;
pub use call::{AdmittedCall, BulkheadOptions, CallGuard, CallOptions};
pub use clock::{Clock, ManualClock, SystemClock};
pub(crate) use deadline::CallTime;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result};

use crate::model::Model;
use crate::provider::{AttemptLimits, Failure, Used};
use crate::record;
use crate::reply::Usage;
use breaker::{Breaker, Outcome, Period};
use bulkhead::{Bulkhead, Place};
use minute::{Minute, Ticket};

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
    /// Time for a whole call with all its attempts, waits, repairs and fallbacks; `None` for no other limit than theirs.
    pub deadline: Option<Duration>,
    /// Most requests in any minute; others wait.
    pub requests_per_minute: Option<u64>,
    /// Most tokens in any minute, read and written. A request reserves its worst case; what it does not use is given back,
    /// where the service tells what was used.
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
    minute: Option<Minute>,
    bulkhead: Arc<Bulkhead>,
    breaker: Option<Breaker>,
    jitter: AtomicU64,
}

impl Guard {
    pub(crate) fn new(options: Resilience, clock: Arc<dyn Clock>) -> Self {
        Guard {
            minute: Minute::new(options.requests_per_minute, options.tokens_per_minute),
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
    pub(crate) fn admit(
        self: &Arc<Self>,
        tokens: u64,
        time: &CallTime,
        cancel: &Cancel,
    ) -> Result<Admission, Failure> {
        let mut admission = Admission {
            guard: Arc::clone(self),
            ticket: None,
            period: None,
            _place: None,
            outcome: Outcome::Unknown,
            sent: false,
            used: None,
        };
        if record::replaying() {
            // Nothing is sent, so nobody waits, and what is well or not is not known.
            return Ok(admission);
        }
        // Nobody waits for a circuit that is open.
        if let Some(left) = self.breaker.as_ref().and_then(|breaker| breaker.open(self.clock.now())) {
            return Err(self.left_alone(left));
        }
        if let Some(minute) = &self.minute {
            let (ticket, mut wait) = minute.take(tokens, self.clock.now());
            let ticket = admission.ticket.insert(ticket);
            loop {
                // The place comes after the wait, so that others have it meanwhile.
                self.wait_for_minute(wait, time, cancel)?;
                admission._place = Some(self.place(time, cancel)?);
                wait = minute.start(ticket, self.clock.now());
                if wait.is_zero() {
                    break;
                }
                admission._place = None;
            }
        } else {
            admission._place = Some(self.place(time, cancel)?);
        }
        cancel.check().map_err(Failure::unsent)?;
        if let Some(breaker) = &self.breaker {
            let entered = breaker.enter(self.clock.now());
            admission.period = Some(entered.map_err(|left| self.left_alone(left))?);
        }
        Ok(admission)
    }

    fn left_alone(&self, left: Duration) -> Failure {
        let message = format!(
            "the model failed {} times in a row and is not asked for another {:.1} s",
            self.options.breaker.map_or(0, |breaker| breaker.failures),
            left.as_secs_f64()
        );
        Failure::unsent(Error::new(Code::CircuitOpen, message))
    }

    fn wait_for_minute(&self, wait: Duration, time: &CallTime, cancel: &Cancel) -> Result<(), Failure> {
        if wait.is_zero() {
            return Ok(());
        }
        if let Some(left) = time.left(self).filter(|left| wait >= *left) {
            let message = format!(
                "the requests or tokens of a minute are used up for another {:.1} s, and the call has {:.1} s left",
                wait.as_secs_f64(),
                left.as_secs_f64()
            );
            return Err(Failure::unsent(Error::new(Code::Timeout, message)));
        }
        self.clock.sleep(wait, cancel).map_err(Failure::unsent)
    }

    fn place(&self, time: &CallTime, cancel: &Cancel) -> Result<Place, Failure> {
        let patience = self.options.attempt_timeout.saturating_mul(self.options.attempts);
        let left = time.left(self).unwrap_or(patience);
        self.bulkhead.enter(patience.min(left), cancel).map_err(Failure::unsent)
    }

    /// How long to wait before attempt number `attempt + 1`; `None` when there is none.
    pub(crate) fn pause(&self, attempt: u32, failure: &Failure) -> Option<Duration> {
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
        Some(wait)
    }

    /// The limits of an attempt that begins now. Errors: `timeout`.
    pub(crate) fn limits(&self, stream: bool, time: &CallTime) -> Result<AttemptLimits, Failure> {
        let left = time.left(self).filter(|_| !record::replaying());
        if left == Some(Duration::ZERO) {
            return Err(Failure::unsent(Error::new(Code::Timeout, "the call's time is over")));
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
    /// What was reserved.
    ticket: Option<Ticket>,
    period: Option<Period>,
    _place: Option<Place>,
    outcome: Outcome,
    sent: bool,
    /// Tokens that were used; `None`: as many as were reserved, or more.
    used: Option<u64>,
}

impl Admission {
    /// The request goes now: from here on it counts, whatever comes of it.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    pub(crate) fn succeeded(&mut self, usage: &Usage) {
        self.outcome = Outcome::Good;
        let used = usage.total();
        // A service that counts nothing has used an unknown number: the reservation stays.
        self.used = (used > 0).then_some(used);
    }

    /// `begun`: some of the answer had come, so that what was counted is not all that was used.
    pub(crate) fn failed(&mut self, failure: &Failure, begun: bool) {
        self.outcome = match failure.error.code() {
            Code::Cancelled | Code::RateLimited => Outcome::Unknown,
            _ if failure.unwell => Outcome::Bad,
            Code::Timeout => Outcome::Unknown,
            // It tells nothing of the service.
            _ if failure.used == Used::Unsent => Outcome::Unknown,
            // The service is well enough to say no.
            _ => Outcome::Good,
        };
        self.sent = failure.used != Used::Unsent;
        self.used = match failure.used {
            Used::Unsent | Used::Nothing => Some(0),
            Used::Counted(usage) if begun => {
                Some(usage.total().max(self.ticket.as_ref().map_or(0, Ticket::tokens)))
            }
            Used::Counted(usage) => Some(usage.total()),
            Used::Unknown => None,
        };
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let now = self.guard.clock.now();
        if let (Some(breaker), Some(period)) = (&self.guard.breaker, self.period) {
            breaker.leave(period, self.outcome, now);
        }
        if let (Some(minute), Some(ticket)) = (&self.guard.minute, &self.ticket) {
            match self.used {
                _ if !self.sent => minute.cancel(ticket),
                Some(used) => minute.settle(ticket, used, now),
                None => {}
            }
        }
    }
}
