//! How many requests and tokens a minute are sent, when what a request takes is known only afterwards?
//!
//! Whatever minute one looks at, no more is sent within it than allowed: what was sent is remembered for a minute, and
//! who comes when that is used up waits until enough of it is a minute old. (A bucket that is full at first and refilled
//! all the while, as in Turner 1986, lets through twice as much in its first minute.) Who comes takes what it may need
//! at once, also of minutes to come; so callers are served in the order in which they come. What was not used is given
//! back.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// What one minute allows, and what was sent in the last one.
#[derive(Debug)]
pub(super) struct Minute {
    requests: u64,
    tokens: u64,
    sent: Mutex<Sent>,
}

/// By time, and by number among those of the same time.
#[derive(Debug, Default)]
struct Sent {
    all: BTreeMap<(Duration, u64), Sum>,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    requests: u64,
    tokens: u64,
}

/// What one request has taken.
#[derive(Debug)]
pub(super) struct Ticket {
    place: (Duration, u64),
    tokens: u64,
}

impl Ticket {
    /// The tokens that were taken.
    pub(super) fn tokens(&self) -> u64 {
        self.tokens
    }
}

impl Minute {
    /// `None` is no limit. Nothing at all when there is none.
    pub(super) fn new(requests: Option<u64>, tokens: Option<u64>) -> Option<Self> {
        requests.or(tokens)?;
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        Some(Minute { requests: most(requests), tokens: most(tokens), sent: Mutex::default() })
    }

    /// Takes one request and `tokens`, or all that a minute allows; returns how long to wait before using them.
    pub(super) fn take(&self, tokens: u64, now: Duration) -> (Ticket, Duration) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.forget(now);
        let tokens = tokens.min(self.tokens);
        // Behind all that came before.
        let first = sent.all.last_key_value().map_or(now, |((at, _), _)| now.max(*at));
        let at = self.fits(&sent, tokens, first);
        let place = sent.put(at, Sum { requests: 1, tokens });
        (Ticket { place, tokens }, at.saturating_sub(now))
    }

    /// Counts from `now` on what was taken, since it is sent only now; returns how long to wait when its moment has not
    /// come, or others have taken the minute meanwhile.
    pub(super) fn start(&self, ticket: &mut Ticket, now: Duration) -> Duration {
        if now < ticket.place.0 {
            return ticket.place.0 - now;
        }
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.all.remove(&ticket.place);
        sent.forget(now);
        let at = self.fits(&sent, ticket.tokens, now);
        ticket.place = sent.put(at, Sum { requests: 1, tokens: ticket.tokens });
        at - now
    }

    /// Gives back all: the request was not sent.
    pub(super) fn cancel(&self, ticket: &Ticket) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).all.remove(&ticket.place);
    }

    /// The request has used `used` tokens: gives back the rest, or takes what was used beyond.
    pub(super) fn settle(&self, ticket: &Ticket, used: u64, now: Duration) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if used > ticket.tokens {
            // A service may say any number; what is more than a minute's cannot be made up for.
            let beyond = (used - ticket.tokens).min(self.tokens);
            sent.put(now, Sum { requests: 0, tokens: beyond });
        } else if let Some(taken) = sent.all.get_mut(&ticket.place) {
            taken.tokens = used;
        }
    }

    /// The first moment from `first` on at which a request with `tokens` fits behind what is sent until `first`.
    fn fits(&self, sent: &Sent, tokens: u64, first: Duration) -> Duration {
        let until = || sent.all.range(..=(first, u64::MAX));
        let mut held = until().fold(Sum::default(), |sum, (_, more)| sum.and(*more));
        let mut at = first;
        for ((when, _), old) in until() {
            if held.requests < self.requests && held.tokens <= self.tokens - tokens {
                break;
            }
            held.requests = held.requests.saturating_sub(old.requests);
            held.tokens = held.tokens.saturating_sub(old.tokens);
            at = at.max(when.saturating_add(MINUTE));
        }
        at
    }
}

impl Sent {
    fn put(&mut self, at: Duration, sum: Sum) -> (Duration, u64) {
        let place = (at, self.next);
        self.next += 1;
        self.all.insert(place, sum);
        place
    }

    /// Forgets what is a minute old.
    fn forget(&mut self, now: Duration) {
        while let Some(first) = self.all.first_entry()
            && first.key().0.saturating_add(MINUTE) <= now
        {
            first.remove();
        }
    }
}

impl Sum {
    fn and(self, other: Sum) -> Sum {
        Sum {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn minute(requests: Option<u64>, tokens: Option<u64>) -> Minute {
        Minute::new(requests, tokens).unwrap()
    }

    #[test]
    fn a_minute_allows_what_it_says() {
        let minute = minute(Some(60), None);
        for n in 0..60 {
            assert_eq!(minute.take(1, n * SECOND / 2).1, Duration::ZERO);
        }
        // The first two go after a minute, then one each half second.
        assert_eq!(minute.take(1, 30 * SECOND).1, 30 * SECOND);
        assert_eq!(minute.take(1, 30 * SECOND).1, 30 * SECOND + SECOND / 2);
        assert_eq!(minute.take(1, 61 * SECOND).1, Duration::ZERO);
    }

    #[test]
    fn what_was_not_used_comes_back() {
        let minute = minute(None, Some(600));
        let (all, wait) = minute.take(600, Duration::ZERO);
        assert_eq!(wait, Duration::ZERO);
        let (later, wait) = minute.take(10, SECOND);
        assert_eq!(wait, 59 * SECOND);
        minute.cancel(&later);
        minute.settle(&all, 100, 2 * SECOND);
        assert_eq!(minute.take(500, 2 * SECOND).1, Duration::ZERO);
        assert_eq!(minute.take(1, 2 * SECOND).1, 58 * SECOND);
    }

    #[test]
    fn a_request_larger_than_a_minute_waits_for_an_empty_one_and_no_longer() {
        let minute = minute(None, Some(60));
        assert_eq!(minute.take(1000, Duration::ZERO).1, Duration::ZERO);
        assert_eq!(minute.take(u64::MAX, Duration::ZERO).1, 60 * SECOND);
        // An absurd count takes no more than a minute either.
        let (ticket, _) = minute.take(1, 200 * SECOND);
        minute.settle(&ticket, u64::MAX, 200 * SECOND);
        assert_eq!(minute.take(1, 200 * SECOND).1, 60 * SECOND);
    }

    #[test]
    fn what_is_sent_late_counts_from_then_on() {
        let minute = minute(Some(2), None);
        let mut tickets = [minute.take(1, Duration::ZERO).0, minute.take(1, Duration::ZERO).0];
        for ticket in &mut tickets {
            assert_eq!(minute.start(ticket, 50 * SECOND), Duration::ZERO);
        }
        assert_eq!(minute.take(1, 60 * SECOND).1, 50 * SECOND);
        // Who took an earlier place than holds any more waits again.
        let (mut third, wait) = minute.take(1, 115 * SECOND);
        assert_eq!(wait, Duration::ZERO);
        let (mut fourth, _) = minute.take(1, 115 * SECOND);
        assert!(minute.start(&mut third, 120 * SECOND).is_zero());
        assert!(!minute.start(&mut fourth, 120 * SECOND).is_zero());
    }

    #[test]
    fn what_is_sent_at_its_time_minds_what_was_sent_late() {
        let minute = minute(Some(1), None);
        let mut tickets: Vec<Ticket> = (0..3).map(|_| minute.take(1, Duration::ZERO).0).collect();
        assert!(minute.start(&mut tickets[0], Duration::ZERO).is_zero());
        assert!(minute.start(&mut tickets[1], 100 * SECOND).is_zero());
        assert_eq!(minute.start(&mut tickets[2], 120 * SECOND), 40 * SECOND);
    }

    proptest! {
        /// Whatever is taken, used and started late: no minute has more requests than allowed, nor more tokens than were
        /// reserved.
        #[test]
        fn no_minute_has_more(
            most in 1u64..6,
            tokens in 1u64..50,
            calls in proptest::collection::vec((0u64..40, 0u64..60, 0u64..20, 0u64..60), 1..40),
        ) {
            let minute = minute(Some(most), Some(tokens));
            let mut now = Duration::ZERO;
            let mut sent: Vec<(Duration, u64)> = Vec::new();
            for (passed, asked, late, used) in calls {
                now += Duration::from_secs(passed);
                let (mut ticket, wait) = minute.take(asked, now);
                now += wait + Duration::from_secs(late);
                loop {
                    let wait = minute.start(&mut ticket, now);
                    if wait.is_zero() {
                        break;
                    }
                    now += wait;
                }
                sent.push((now, used.min(asked).min(tokens)));
                minute.settle(&ticket, used, now);
            }
            for (start, _) in &sent {
                let within = || sent.iter().filter(|(at, _)| at >= start && *at < *start + MINUTE);
                prop_assert!(within().count() as u64 <= most);
                prop_assert!(within().map(|(_, used)| used).sum::<u64>() <= tokens);
            }
        }
    }
}
