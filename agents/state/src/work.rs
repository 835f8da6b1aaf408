//! How does a run wait for a time or a word, and who goes on with it?
//!
//! A run that was [enqueued](crate::StateStore::enqueue) is work: whoever has hands for it [claims](crate::StateStore::claim)
//! it when it is due. Anybody may [post](crate::StateStore::post) a letter to it, which makes it due; its holder reads the
//! letters and writes what came of them in the same transaction ([`Run::advance`](crate::Run::advance)), so that each letter
//! counts once. A holder that has not read the newest letter writes nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Entry, NewRun, RunRow};

/// How a run stands in the queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work<'a> {
    /// The queue that it stands in.
    pub queue: &'a str,
    /// Of those that are due, the higher goes first; of equals, the older.
    pub priority: i64,
    /// Those with the same key share so many slots: at no time more of them are held.
    pub slot: Option<(&'a str, u32)>,
    /// From when on it is due, in seconds since 1970.
    pub at: f64,
}

/// What came of enqueueing a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Enqueued {
    /// It is in the queue, under this id.
    New(String),
    /// The key was used before, by this run.
    Known(RunRow),
}

/// What came of posting a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It has this number in the run.
    New(u64),
    /// One with the same name was posted before.
    Known,
    /// The run has ended.
    Ended,
}

/// A word to a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Its number in the run: from 1, without gaps.
    pub number: u64,
    /// When it was posted, in seconds since 1970.
    pub time: f64,
    /// What kind of word it is.
    pub kind: String,
    /// What it says.
    pub data: Value,
}

/// When somebody has to look at a run again.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Wake {
    /// As it was.
    #[default]
    Keep,
    /// From this time on, in seconds since 1970.
    At(f64),
    /// When a letter comes.
    Never,
}

/// That an entry of a run can be looked up by a name, or cannot any more.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// What is listed.
    pub space: &'a str,
    /// What it is looked up by.
    pub label: &'a str,
    /// The entry.
    pub seq: u64,
    /// Whether it is listed from now on.
    pub listed: bool,
}

/// One step of a run: all of it or nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Advance<'a> {
    /// What has happened.
    pub entries: &'a [Entry],
    /// The status from now on.
    pub status: Option<&'a str>,
    /// When somebody has to look again.
    pub wake: Wake,
    /// The number of the newest letter that was read. Where there is a later one, nothing is written.
    pub read: u64,
    /// What is listed, and what is not any more.
    pub listings: &'a [Listing<'a>],
    /// Runs that begin with it, each in its queue.
    pub starts: &'a [Start<'a>],
    /// Words to other runs of the tenant.
    pub posts: &'a [Post<'a>],
}

/// A run that begins with a step of another one, and only where that step is written. Its tenant is that of the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start<'a> {
    /// What it is begun with.
    pub new: NewRun<'a>,
    /// Its first entries, from number 1 on.
    pub entries: &'a [Entry],
    /// Its status.
    pub status: &'a str,
    /// How it stands in the queue.
    pub work: Work<'a>,
    /// The run that it is counted under, while that is there, and how many are at most: of one more nothing is written, and the
    /// error is `step_limit`.
    pub within: Option<(&'a str, u32)>,
}

/// A word that is posted with a step of another run. Where the run that it is for is not there, has ended or gets no letters,
/// nothing comes of it.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// The run that it is for.
    pub run: &'a str,
    /// What kind of word it is.
    pub kind: &'a str,
    /// What it says.
    pub data: &'a Value,
    /// Of letters to one run with the same name, the first counts.
    pub name: Option<&'a str>,
}

/// An entry that is listed, with the run that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The id of the run.
    pub run_id: String,
    /// The entry.
    pub entry: Entry,
}
