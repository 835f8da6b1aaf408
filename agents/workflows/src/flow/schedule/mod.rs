//! How are workflows started at set times, each time once, whoever works on the store?
//!
//! A schedule is a run of its own kind in the store, whose entries are all that it is, one after the other. Whoever works holds it
//! while it is due: the runs that it starts begin in the transaction in which it says so, and nobody who has lost it writes.

mod handle;
mod tend;
mod times;

use quorate_core::{Code, Error, Result};
use quorate_state::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use handle::Schedule;
pub(crate) use handle::{find, listed, put};
pub(crate) use tend::{Look, tend};

/// What schedules are called in the store.
pub(crate) const KIND: &str = "workflow.schedule";
/// Where they are listed by name, and where what their runs are started with is kept.
pub(crate) const SPACE: &str = "workflow.schedule";
pub(crate) const INPUTS: &str = "workflow.schedule.input";

/// What becomes of times at which nobody worked, or that came while everybody was busy for over a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing is started for them.
    Skip,
    /// One run is started for all of them.
    #[default]
    Once,
    /// A run is started for each of the newest 1,000.
    All,
}

impl Missed {
    /// Every choice.
    pub const ALL: [Missed; 3] = [Missed::Skip, Missed::Once, Missed::All];

    /// The name in Python, Node and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Missed::Skip => "skip",
            Missed::Once => "once",
            Missed::All => "all",
        }
    }

    /// Errors: `invalid_argument`.
    pub fn of(name: &str) -> Result<Missed> {
        Missed::ALL.into_iter().find(|missed| missed.as_str() == name).ok_or_else(|| {
            Error::invalid(format!(
                "missed: '{}' is none of 'skip', 'once', 'all'",
                quorate_core::shorten(name)
            ))
        })
    }
}

/// How a schedule starts its runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleOptions {
    /// By whose clocks, by its name in the IANA database. Default `UTC`.
    pub timezone: String,
    /// What becomes of times that were missed. Default: one run for all of them.
    pub missed: Missed,
    /// The version of the workflow; `None`: the newest that whoever starts the run has.
    pub version: Option<String>,
    /// Higher goes first; `None`: as the workflow says, and else 0.
    pub priority: Option<i64>,
    /// On whose behalf runs are started; `None`: `schedule:` and the name.
    pub starter: Option<String>,
    /// Whether stand-ins take the place of the world.
    pub offline: bool,
}

impl Default for ScheduleOptions {
    fn default() -> Self {
        ScheduleOptions {
            timezone: "UTC".to_owned(),
            missed: Missed::Once,
            version: None,
            priority: None,
            starter: None,
            offline: false,
        }
    }
}

/// What is to be started when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) workflow: String,
    /// The hash of the input, which is kept beside.
    pub(crate) input: String,
    pub(crate) options: ScheduleOptions,
}

impl Plan {
    /// Errors: `invalid_argument`.
    pub(crate) fn times(&self) -> Result<times::Times> {
        times::Times::of(&self.cron, &self.options.timezone)
    }

    /// The key of its input.
    pub(crate) fn input_key(&self) -> String {
        format!("{}/{}", self.name, self.input)
    }
}

/// All that a schedule is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) plan: Plan,
    pub(crate) paused: bool,
    /// When it comes due next; none while it is paused, and after its last time.
    pub(crate) next: Option<f64>,
    /// The last due time for which a run was started.
    pub(crate) last: Option<f64>,
    /// How many runs it has started.
    pub(crate) started: u64,
    /// Due times from the first to the last of which some were left out, by its choice or because they were too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) left_out: Option<(f64, f64)>,
    /// Why the last due time came to nothing, as code and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<(String, String)>,
    /// The number of the newest letter that was heard.
    pub(crate) letter: u64,
    /// When this was written, by the engine's clock.
    pub(crate) at: f64,
}

impl Kept {
    fn entry(&self, seq: u64, kind: &str) -> Result<Entry> {
        let data = serde_json::to_value(self)
            .map_err(|e| Error::new(Code::Internal, format!("a schedule cannot be written: {e}")))?;
        Ok(Entry { seq, time: self.at, kind: kind.to_owned(), data })
    }

    fn of(entry: &Entry) -> Result<Kept> {
        Kept::of_value(entry.data.clone())
            .map_err(|e| Error::new(Code::Corrupt, format!("entry {} is none of a schedule: {e}", entry.seq)))
    }

    fn of_value(data: Value) -> serde_json::Result<Kept> {
        serde_json::from_value(data)
    }
}

/// The run that a schedule is.
pub(crate) fn id_of(name: &str) -> String {
    format!("schedule.{name}")
}

/// By what a run of it is known: of one due time there is one.
pub(crate) fn key_of(name: &str, due: f64) -> String {
    format!("schedule/{name}/{due:.0}")
}
