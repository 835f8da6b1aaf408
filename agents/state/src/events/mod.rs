//! Who hears that something has happened, and how is nothing missed?
//!
//! [`Events::publish`] writes an event into the store, and in the same transaction puts it before every group that is
//! subscribed to it. The members of a group share its events: each goes to one of them, which holds its lease until it is
//! acknowledged. So each group gets each event at least once, and those with the same key one after the other in the order
//! of their numbers.

mod handle;
mod pattern;
mod rules;

use quorate_core::{Error, Result, shorten};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::queue::{QueueOptions, Rate, Retry};
use crate::span;

pub use self::handle::{Events, Subscription};
pub(crate) use self::rules::{Hall, Recorded, Subscribed, begin};

/// An event, as whoever is subscribed to it gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number among the events of the tenant, from 1.
    pub seq: u64,
    /// What has happened: words with dots between them.
    pub subject: String,
    /// What it happened to: events with the same key stay in their order.
    pub key: Option<String>,
    /// What is to be known of it.
    pub data: Value,
    /// When it was published, in seconds since 1970.
    pub time: f64,
    /// How often the group was given it, with this time.
    pub attempts: u32,
    /// The lease by which it is held.
    pub lease: String,
    /// When the lease runs out, unless it is renewed, in seconds since 1970.
    pub lease_until: f64,
}

/// An event that a group was given too often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadEvent {
    /// Its number among the events of the tenant.
    pub seq: u64,
    /// What has happened; empty where the event is damaged, which `reason` says then.
    pub subject: String,
    /// What it happened to.
    pub key: Option<String>,
    /// What is to be known of it.
    pub data: Value,
    /// When it was published, in seconds since 1970.
    pub time: f64,
    /// How often the group was given it.
    pub attempts: u32,
    /// When it was put aside, in seconds since 1970.
    pub died_at: f64,
    /// Why it was not acknowledged the last time.
    pub reason: String,
}

/// From which event on a new group hears. As JSON: `"last"`, `"first"`, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Start", into = "Start")]
pub enum StartFrom {
    /// From the next one that is published.
    #[default]
    Last,
    /// From the first that is kept.
    First,
    /// From the one with this number, or the first that is kept after it.
    Sequence(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Start {
    Word(String),
    Number(u64),
}

impl TryFrom<Start> for StartFrom {
    type Error = Error;

    fn try_from(start: Start) -> Result<StartFrom> {
        match start {
            Start::Number(seq) => Ok(StartFrom::Sequence(seq)),
            Start::Word(word) if word == "last" => Ok(StartFrom::Last),
            Start::Word(word) if word == "first" => Ok(StartFrom::First),
            Start::Word(word) => Err(Error::invalid(format!(
                "a group hears from '{}'; give last, first, or the number of an event",
                shorten(&word).escape_debug()
            ))),
        }
    }
}

impl std::convert::From<StartFrom> for Start {
    fn from(from: StartFrom) -> Start {
        match from {
            StartFrom::Last => Start::Word("last".to_owned()),
            StartFrom::First => Start::Word("first".to_owned()),
            StartFrom::Sequence(seq) => Start::Number(seq),
        }
    }
}

/// How a group is subscribed. What is said of the group's limits is kept with it: the last to subscribe with options says
/// what holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubscribeOptions {
    /// The group: its members share the events of one pattern.
    pub group: String,
    /// From which event on the group hears; of a group that is there already, nothing.
    pub from: StartFrom,
    /// The most events that the group works at at once; none: any number.
    pub concurrency: Option<u32>,
    /// The most events that the group gets in any stretch of time.
    pub rate: Option<Rate>,
    /// How long whoever took an event holds it without a sign, in seconds.
    #[serde(with = "span::required")]
    pub lease: f64,
    /// What becomes of an event that was not acknowledged.
    pub retry: Retry,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        let QueueOptions { lease, retry, .. } = QueueOptions::default();
        SubscribeOptions {
            group: "default".to_owned(),
            from: StartFrom::Last,
            concurrency: None,
            rate: None,
            lease,
            retry,
        }
    }
}

impl SubscribeOptions {
    fn queue(&self) -> QueueOptions {
        QueueOptions {
            concurrency: self.concurrency,
            rate: self.rate,
            lease: self.lease,
            retry: self.retry,
            ordered: true,
            ..QueueOptions::default()
        }
    }
}

/// Which events may be forgotten: those that are older than a time and not among the newest so many. Where one of the two is
/// not given, the other alone says. What a group has still before it stays in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PruneEvents {
    /// Older than so many seconds.
    #[serde(with = "span::optional")]
    pub older_than: Option<f64>,
    /// Not among the newest so many.
    pub keep: Option<u64>,
}
