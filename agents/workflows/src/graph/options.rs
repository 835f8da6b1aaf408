//! How is a node tried again, limited, cached, and how does a run go?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result};
use quorate_runtime::HostContext;
use serde_json::Value;

use super::State;

/// How often and when a node that has failed is tried again.
#[derive(Clone)]
pub struct Retry {
    /// How often it is tried in all.
    pub max_attempts: u32,
    /// How long it waits before the second time.
    pub initial: Duration,
    /// By what each wait is longer than the one before.
    pub factor: f64,
    /// The longest wait.
    pub longest: Duration,
    /// Which errors are worth another try; none: all but those that would come again.
    pub on: Option<Arc<dyn Fn(&Error) -> bool + Send + Sync>>,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry").field("max_attempts", &self.max_attempts).finish_non_exhaustive()
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            max_attempts: 3,
            initial: Duration::from_millis(500),
            factor: 2.0,
            longest: Duration::from_secs(60),
            on: None,
        }
    }
}

impl Retry {
    /// So many tries.
    pub fn attempts(max_attempts: u32) -> Retry {
        Retry { max_attempts, ..Retry::default() }
    }

    pub(crate) fn worth(&self, error: &Error) -> bool {
        match &self.on {
            Some(on) => on(error),
            None => !matches!(error.code(), Code::InvalidArgument | Code::Unsupported | Code::StepLimit),
        }
    }

    /// The wait after the `attempt`th try.
    pub(crate) fn wait(&self, attempt: u32) -> Duration {
        let power = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.max(0.0).powi(power);
        Duration::try_from_secs_f64(seconds).map_or(self.longest, |wait| wait.min(self.longest))
    }
}

/// What a node gave is kept in this process, and given again for the same state; not what it gave after it has asked somebody.
#[derive(Clone, Default)]
pub struct Cache {
    /// How long it is kept; none: as long as the graph.
    pub ttl: Option<Duration>,
    /// What of the state it depends on; none: all of it.
    pub key: Option<Arc<dyn Fn(&State) -> Value + Send + Sync>>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// What is said of a node.
#[derive(Clone, Debug, Default)]
pub struct NodeOptions {
    /// The channels that it writes. Where it is given, other writes fail, and conflicts are found before anything runs.
    pub writes: Option<Vec<String>>,
    /// Where it may go beside its edges; what is reached in no other way must be named here.
    pub goto: Vec<String>,
    /// How it is tried again; none: not at all.
    pub retry: Option<Retry>,
    /// How long one try may take. What is still going on after that is told by [`Context::cancelled`](super::Context), and
    /// counts no more.
    pub timeout: Option<Duration>,
    /// Whether what it gave is given again.
    pub cache: Option<Cache>,
    /// Whether it waits until nothing else is due.
    pub defer: bool,
}

/// When a step is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Before the next one begins.
    #[default]
    Sync,
    /// Soon: a killed process loses nothing, a power cut may lose the last steps.
    Async,
    /// At the end: when the run ends, waits, fails or is stopped. A killed process begins it again.
    Exit,
}

/// How a run goes.
#[derive(Clone)]
pub struct RunOptions {
    /// After so many steps the run stops with the status `step_limit`; it can be resumed. Steps of graphs within the graph
    /// count; one in which nothing but such graphs goes on does not.
    pub step_limit: usize,
    /// At most so many nodes work at the same time, those of graphs within the graph among them.
    pub parallel: usize,
    /// When a step is on the disk.
    pub durability: Durability,
    /// Only the newest so many checkpoints of the thread are kept, and of each graph within the graph; none: all. (Up to
    /// twice as many while it runs.)
    pub keep: Option<usize>,
    /// Stops the run when it is raised, with the error `cancelled`; it can be resumed.
    pub stop: Cancel,
    /// What nodes are given by [`Context::host`](super::Context::host): who asks, as the host of the library knows it.
    pub host: Option<HostContext>,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("step_limit", &self.step_limit)
            .field("parallel", &self.parallel)
            .field("durability", &self.durability)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions {
            step_limit: 100,
            parallel: 64,
            durability: Durability::Sync,
            keep: None,
            stop: Cancel::new(),
            host: None,
        }
    }
}

impl RunOptions {
    /// Errors: `invalid_argument`.
    pub(crate) fn validate(&self) -> Result<()> {
        for (what, given) in [("step_limit", self.step_limit), ("parallel", self.parallel)] {
            if given == 0 {
                return Err(Error::invalid(format!("{what} is 0; give 1 or more")));
            }
        }
        if self.keep == Some(0) {
            return Err(Error::invalid("keep is 0; give 1 or more"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest() {
        let retry = Retry { longest: Duration::from_secs(3), ..Retry::default() };
        let waits: Vec<f64> = (1..=5).map(|attempt| retry.wait(attempt).as_secs_f64()).collect();
        assert_eq!(waits, [0.5, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(Retry { factor: f64::NAN, ..retry.clone() }.wait(2), Duration::ZERO);
        assert_eq!(retry.wait(u32::MAX), Duration::from_secs(3));
    }
}
