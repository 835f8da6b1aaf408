//! What is one thing that happened in a run?

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number in the run: from 1, without gaps.
    pub seq: u64,
    /// When it happened, in seconds since 1970 (UTC).
    pub time: f64,
    /// What kind of thing happened; the runtime chooses the words.
    pub kind: String,
    /// What happened.
    pub data: Value,
}

impl Entry {
    /// An entry that happens now.
    pub fn new(seq: u64, kind: impl Into<String>, data: impl Into<Value>) -> Entry {
        Entry { seq, time: now(), kind: kind.into(), data: data.into() }
    }
}

/// Seconds since 1970 (UTC).
pub(crate) fn now() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
