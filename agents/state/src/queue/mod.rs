//! How does work wait in a line that survives crashes, and who gets it?
//!
//! A [`Queue`] holds messages. Whoever takes one holds its lease until it says that the work is done
//! ([`Queue::ack`]), or not done ([`Queue::nack`]), or until the lease runs out or its process ends: then somebody else gets
//! the message. What was tried too often is put aside as [dead](Queue::dead), where people look at it. So each message is
//! worked off at least once; and a handler must stand it that it was worked off before.

#[cfg(test)]
mod cost;
mod handle;
mod memory;
mod options;
mod place;
mod rules;
mod shelf;
mod worker;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::handle::{Clock, Dead, Queue};
pub use self::options::{Key, MAX_PRIORITY, PerKey, PutOptions, QueueOptions, Rate, Retry};
pub use self::worker::{WorkOptions, Workers};

pub(crate) use self::memory::Queues;
pub(crate) use self::options::pause as check_pause;
pub(crate) use self::place::{Line, opened, parcel, said};
pub(crate) use self::rules::{Fresh, put, revive, unknown};
pub(crate) use self::shelf::{Doc, Keeper, Named, Once, Parcel, QueueRow, Row, Shelf, Slot, State};
pub(crate) use self::worker::start;

/// What came of putting a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Put {
    /// Its number in the queue, from 1; or that of the message that had the name before it.
    pub id: u64,
    /// Whether it is in the queue; false: its name kept it out.
    pub new: bool,
}

/// A message that somebody holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its number in the queue.
    pub id: u64,
    /// The payload.
    pub data: Value,
    /// What it is counted by.
    pub key: Option<Key>,
    /// Its priority.
    pub priority: i64,
    /// How often it was taken, with this time, since it was put or replayed.
    pub attempts: u32,
    /// When it was put, in seconds since 1970.
    pub put_at: f64,
    /// The lease by which it is held: what settles it.
    pub lease: String,
    /// When the lease runs out, unless it is renewed, in seconds since 1970.
    pub lease_until: f64,
}

/// A message that was tried too often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadMessage {
    /// Its number in the queue.
    pub id: u64,
    /// The payload; null where it is damaged, which `reason` says then.
    pub data: Value,
    /// What it is counted by.
    pub key: Option<Key>,
    /// Its priority.
    pub priority: i64,
    /// How often it was taken.
    pub attempts: u32,
    /// When it was put, in seconds since 1970.
    pub put_at: f64,
    /// When it was put aside, in seconds since 1970.
    pub died_at: f64,
    /// Why it was not worked off the last time.
    pub reason: String,
}

/// How many messages stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStats {
    /// Those that are due and that nobody has, also where a limit keeps them waiting.
    pub ready: u64,
    /// Those that nobody takes yet.
    pub delayed: u64,
    /// Those that somebody has.
    pub held: u64,
    /// Those that were put aside.
    pub dead: u64,
    /// Those that were worked off, ever.
    pub done: u64,
}
