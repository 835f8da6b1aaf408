//! How well do agents answer, how surely, and at what price?
//!
//! [`Task`]s say what is asked and what a right answer must be like; [`evaluate_agents`] asks each several times within
//! one budget, has [`Scorer`]s look at the answers, and gives an [`AgentReport`] with intervals; two reports are
//! compared by [`AgentReport::compare`]. A recorded run is asked again with something changed by [`Runtime::replay`].
//!
//! [`Runtime::replay`]: crate::Runtime::replay

mod compare;
mod difference;
pub(crate) mod html;
mod judge;
mod path;
mod read;
mod replay;
mod report;
mod run;
mod score;
pub(crate) mod statistics;
mod summary;
mod task;

pub use compare::{AgentComparison, ChangedTask, ScorerComparison};
pub use difference::{Difference, Happened};
pub use judge::{Judge, Judged, Vote};
pub use replay::{Change, Replayed};
pub use report::{AgentReport, Metric, Row, Totals, Trial};
pub use run::{EvaluateOptions, evaluate_agents};
pub use score::{CustomScorer, Score, Scorer};
pub use task::{AtPath, Expect, Task, golden_tasks, load_tasks, parse_tasks, task_problems};

/// The seed of one part of something that has a seed: the same for the same names, and unlike that of every other. It has
/// 31 bits, which every service takes.
pub(crate) fn seed_of(seed: u64, name: &str, number: u64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&number.to_le_bytes()).update(name.as_bytes());
    let mut bytes = [0; 4];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from(u32::from_le_bytes(bytes) >> 1)
}
