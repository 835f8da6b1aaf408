//! How is a queue set up, and what may be said of a message?

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use quorate_core::{Code, Error, Result, shorten};
use serde::{Deserialize, Serialize};

use crate::{check, span};

/// The highest and lowest priority.
pub const MAX_PRIORITY: i64 = 1_000_000_000;
/// The most parts of a key.
const MAX_PARTS: usize = 8;
/// The longest time that options speak of, in seconds: ten years.
const MAX_SPAN: f64 = 10.0 * 366.0 * 86_400.0;

/// What holds for a queue, whoever uses it. It is kept with the queue: where two processes give different options, the last
/// to open the queue with options says what holds, for all of them and at once.
///
/// Durations are seconds; read from JSON, also texts like `"30s"`, `"5m"` or `"PT1H"`.
///
/// ```
/// use quorate_state::QueueOptions;
/// let options: QueueOptions = serde_json::from_str(
///     r#"{"concurrency": 4, "per_key": {"tenant": 1}, "rate": "100/m", "aging": "1m"}"#,
/// ).unwrap();
/// assert_eq!((options.concurrency, options.aging, options.lease), (Some(4), Some(60.0), 30.0));
/// assert!(serde_json::from_str::<QueueOptions>(r#"{"concurency": 4}"#).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueOptions {
    /// The most messages that are held at once; none: any number.
    pub concurrency: Option<u32>,
    /// The most messages with one key that are held at once.
    pub per_key: PerKey,
    /// The most messages that are taken in any stretch of time.
    pub rate: Option<Rate>,
    /// Waiting so many seconds counts as much as one step of priority, so that nothing waits for ever; none: a message of
    /// a higher priority always goes first.
    #[serde(with = "span::optional")]
    pub aging: Option<f64>,
    /// How long whoever took a message holds it without a sign, in seconds.
    #[serde(with = "span::required")]
    pub lease: f64,
    /// What becomes of a message that was not worked off.
    pub retry: Retry,
    /// How long the name that a message was put with keeps others with the same name out, in seconds; as long as the
    /// message is there in any case.
    #[serde(with = "span::required")]
    pub dedup_for: f64,
    /// Whether the messages of one key go one after the other in the order in which they were put: one that waits to be
    /// tried again holds up those behind it. Priorities and ages say nothing then.
    pub ordered: bool,
}

impl Default for QueueOptions {
    fn default() -> Self {
        QueueOptions {
            concurrency: None,
            per_key: PerKey::None,
            rate: None,
            aging: None,
            lease: 30.0,
            retry: Retry::default(),
            dedup_for: 86_400.0,
            ordered: false,
        }
    }
}

/// How many messages with the same key are held at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerKey {
    /// Any number.
    #[default]
    None,
    /// So many of each key, and of each part of a key that has several.
    All(u32),
    /// So many of each value of the named part. A key that is one text is a value of every part.
    Parts(BTreeMap<String, u32>),
}

/// So many in any stretch of so many seconds. As a text: `"100/m"`, `"5/s"`, `"1000/h"`, `"20/10s"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    /// How many.
    pub most: u32,
    /// The length of the stretch, in seconds.
    pub per: f64,
}

impl FromStr for Rate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Rate> {
        let wrong = || {
            Error::invalid(format!(
                "'{}' is no rate; give a number and a time, like 100/m, 5/s or 20/10s",
                shorten(text).escape_debug()
            ))
        };
        let (most, per) = text.trim().split_once('/').ok_or_else(wrong)?;
        let per = per.trim();
        let most = most.trim().parse().map_err(|_| wrong())?;
        let per = if per.starts_with(|c: char| c.is_ascii_alphabetic()) && !per.starts_with('P') {
            span::seconds(&format!("1{per}"))
        } else {
            span::seconds(per)
        };
        let rate = Rate { most, per: per.map_err(|_| wrong())? };
        rate.validate()?;
        Ok(rate)
    }
}

impl Rate {
    fn validate(self) -> Result<()> {
        if self.most == 0 || self.most > 1_000_000 || !self.per.is_finite() || self.per <= 0.0 {
            return Err(Error::invalid("a rate is 1 to 1,000,000 messages in a time of more than 0 seconds"));
        }
        long("the time of a rate", self.per)
    }
}

impl TryFrom<String> for Rate {
    type Error = Error;

    fn try_from(text: String) -> Result<Rate> {
        text.parse()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.most, self.per)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

/// How often a message is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How often a message is taken before it is put aside as dead. A worker that crashed has taken it too.
    pub max_attempts: u32,
    /// The pause after the first failure, in seconds.
    #[serde(with = "span::required")]
    pub first: f64,
    /// What each further pause is longer by.
    pub factor: f64,
    /// The longest pause, in seconds.
    #[serde(with = "span::required")]
    pub longest: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { max_attempts: 5, first: 1.0, factor: 2.0, longest: 3_600.0 }
    }
}

impl Retry {
    /// Errors: `invalid_argument`, `not_finite`.
    pub(crate) fn validate(&self) -> Result<()> {
        let Retry { max_attempts, first, factor, longest } = *self;
        long("the first pause", first)?;
        long("the longest pause", longest)?;
        if max_attempts == 0 || !factor.is_finite() || factor < 1.0 {
            return Err(Error::invalid("a retry needs 1 attempt or more, and a factor of 1 or more"));
        }
        Ok(())
    }

    /// The pause after so many attempts, in seconds.
    pub fn pause(&self, attempts: u32) -> f64 {
        let power = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        if self.first <= 0.0 {
            return 0.0; // nothing times infinity is no number
        }
        // Infinity is more than the longest.
        (self.first * self.factor.powi(power)).min(self.longest)
    }
}

fn long(what: &str, seconds: f64) -> Result<()> {
    if !seconds.is_finite() {
        return Err(Error::new(Code::NotFinite, format!("{what} is {seconds}; give seconds")));
    }
    if !(0.0..=MAX_SPAN).contains(&seconds) {
        return Err(Error::invalid(format!("{what} is {seconds} s; give 0 s to ten years")));
    }
    Ok(())
}

impl QueueOptions {
    /// Errors: `invalid_argument`, `not_finite`, `too_large`.
    pub fn validate(&self) -> Result<()> {
        if self.concurrency == Some(0) {
            return Err(Error::invalid(
                "a concurrency of 0 takes nothing; give 1 or more, or none for no limit",
            ));
        }
        match &self.per_key {
            PerKey::None => {}
            PerKey::All(limit) if *limit > 0 => {}
            PerKey::Parts(parts) if parts.values().all(|limit| *limit > 0) => {
                if parts.len() > MAX_PARTS {
                    return Err(Error::invalid(format!("per_key names over {MAX_PARTS} parts of keys")));
                }
                parts.keys().try_for_each(|part| check::name("the part of a key", part))?;
            }
            PerKey::All(_) | PerKey::Parts(_) => {
                return Err(Error::invalid("a limit of 0 for each key takes nothing; give 1 or more"));
            }
        }
        if let Some(rate) = self.rate {
            rate.validate()?;
        }
        if let Some(aging) = self.aging {
            long("aging", aging)?;
            if aging <= 0.0 {
                return Err(Error::invalid("aging is 0 s; give more, or none"));
            }
        }
        long("the lease", self.lease)?;
        if self.lease < 0.01 {
            return Err(Error::invalid("a lease is shorter than 10 ms; give more"));
        }
        long("dedup_for", self.dedup_for)?;
        self.retry.validate()
    }
}

/// What a message is counted by, for limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// One text.
    Text(String),
    /// Several texts, each with the name of its part.
    Parts(BTreeMap<String, String>),
}

impl From<&str> for Key {
    fn from(key: &str) -> Key {
        Key::Text(key.to_owned())
    }
}

/// How a message is put.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PutOptions {
    /// The higher goes first; of equals, the one that was put first.
    pub priority: i64,
    /// How long nobody takes it, in seconds.
    #[serde(with = "span::optional")]
    pub delay: Option<f64>,
    /// Of messages with the same name, the first counts; see [`QueueOptions::dedup_for`].
    pub dedup: Option<String>,
    /// What it is counted by. Where none is given and the payload is an object, the fields that [`PerKey::Parts`] names.
    pub key: Option<Key>,
}

impl PutOptions {
    /// Errors: `invalid_argument`, `not_finite`, `too_large`.
    pub fn validate(&self) -> Result<()> {
        if !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&self.priority) {
            return Err(Error::invalid(format!(
                "the priority {} is outside of -{MAX_PRIORITY} to {MAX_PRIORITY}",
                self.priority
            )));
        }
        self.delay.map_or(Ok(()), |delay| long("the delay", delay))?;
        self.dedup.as_deref().map_or(Ok(()), |dedup| check::name("the name that keeps others out", dedup))?;
        match &self.key {
            None => Ok(()),
            Some(Key::Text(key)) => check::name("the key", key),
            Some(Key::Parts(parts)) => {
                if parts.is_empty() || parts.len() > MAX_PARTS {
                    return Err(Error::invalid(format!("a key has 1 to {MAX_PARTS} parts")));
                }
                parts.iter().try_for_each(|(part, value)| {
                    check::name("the part of a key", part)?;
                    check::name("the key", value)
                })
            }
        }
    }
}

/// Errors: those of a pause that somebody chose.
pub(crate) fn pause(given: Option<f64>) -> Result<()> {
    given.map_or(Ok(()), |given| long("the delay", given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_written() {
        for (text, most, per) in
            [("100/m", 100, 60.0), ("5/s", 5, 1.0), ("20/10s", 20, 10.0), ("7 / PT1H", 7, 3600.0)]
        {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.most, rate.per), (most, per), "{text}");
            assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
        }
        for text in ["", "100", "/m", "0/m", "-1/s", "5/", "5/0s", "1.5/s", "5/x", "5/m/m", "nan/s"] {
            assert_eq!(text.parse::<Rate>().unwrap_err().code(), Code::InvalidArgument, "{text}");
        }
    }

    #[test]
    fn options_survive_json_and_what_is_wrong_is_refused() {
        let given = serde_json::json!({
            "concurrency": 2, "per_key": {"tenant": 1}, "rate": "10/s", "aging": "1m", "lease": 5,
            "retry": {"max_attempts": 3, "first": "250ms"}, "dedup_for": "1h", "ordered": true
        });
        let options: QueueOptions = serde_json::from_value(given).unwrap();
        options.validate().unwrap();
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<QueueOptions>(&text).unwrap(), options);
        assert_eq!(options.retry.first, 0.25);
        let one: QueueOptions = serde_json::from_str(r#"{"per_key": 3, "aging": null}"#).unwrap();
        assert_eq!((one.per_key, one.aging), (PerKey::All(3), None));
        for bad in [
            r#"{"concurrency": 0}"#,
            r#"{"per_key": 0}"#,
            r#"{"per_key": {"": 1}}"#,
            r#"{"aging": 0}"#,
            r#"{"lease": 0}"#,
            r#"{"retry": {"max_attempts": 0}}"#,
            r#"{"retry": {"factor": 0.5}}"#,
        ] {
            let options: QueueOptions = serde_json::from_str(bad).unwrap();
            assert_eq!(options.validate().unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
        for unread in [
            r#"{"rate": 5}"#,
            r#"{"lease": "1x"}"#,
            r#"{"lease": -1}"#,
            r#"{"retry": {"most": 1}}"#,
            r#"{"per_key": "x"}"#,
        ] {
            assert!(serde_json::from_str::<QueueOptions>(unread).is_err(), "{unread}");
        }
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let retry = Retry { first: 1.0, factor: 2.0, longest: 5.0, max_attempts: 9 };
        assert_eq!([1, 2, 3, 4, 5000].map(|attempts| retry.pause(attempts)), [1.0, 2.0, 4.0, 5.0, 5.0]);
    }
}
