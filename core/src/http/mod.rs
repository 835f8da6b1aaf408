//! How are HTTP requests sent, bounded and cancelled, with answers read whole or as they arrive?
//!
//! [`Client`] sends one request and gives its answer piece by piece; it tries nothing again. [`SseParser`] makes
//! server-sent events of the pieces. The rest serves remote embeddings and the model hub.

mod address;
mod client;
#[cfg(feature = "hub")]
pub(crate) mod hub;
mod secret;
#[cfg(feature = "embed")]
mod service;
mod sse;

pub use address::Address;
pub use client::{Answer, Client, Limits, Request};
pub use secret::Secret;
#[cfg(feature = "embed")]
pub(crate) use service::Http;
pub use sse::{SseEvent, SseParser};

use std::time::{Duration, SystemTime};

/// How often a cancelled request is noticed.
const CANCEL_TICK: Duration = Duration::from_millis(20);

/// How long a server asks to wait: `Retry-After` as seconds (some services send fractions) or as an HTTP date (RFC 9110, 10.2.3).
/// What no clock can count is the longest time there is.
pub fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<f64>() {
        return of_seconds(seconds);
    }
    let when = httpdate::parse_http_date(value.trim()).ok()?;
    Some(when.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The same for `retry-after-ms`, which some services send beside it.
pub fn retry_after_ms(value: &str) -> Option<Duration> {
    of_seconds(value.trim().parse::<f64>().ok()? / 1000.0)
}

fn of_seconds(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_as_seconds_and_as_date() {
        assert_eq!(retry_after("3"), Some(Duration::from_secs(3)));
        assert_eq!(retry_after(" 0.5"), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("nan"), None);
        for endless in ["inf", "1e20", "100000000000000000000", "1e999"] {
            assert_eq!(retry_after(endless), Some(Duration::MAX), "{endless}");
        }
        assert_eq!(retry_after_ms("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(retry_after_ms("1e30"), Some(Duration::MAX));
        assert_eq!(retry_after_ms("-1"), None);
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(30));
        assert!(retry_after(&soon).unwrap() > Duration::from_secs(25));
        assert_eq!(retry_after("soon"), None);
    }
}
