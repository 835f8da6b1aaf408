//! How does work go from node to node, each step of it kept, so that no finished step runs again?
//!
//! A [`Graph`] has a state of named channels, and nodes that read it and write to it. It goes in steps: all nodes that are
//! due work at the same time on the state as the step found it; then what they have written is applied, in the order of their
//! names, and their edges say what is due next. After each step the thread has a checkpoint.
//!
//! A node may ask somebody ([`Context::ask`]): the run ends with the status `waiting`, costs nothing while it waits, and
//! goes on with [`App::resume`]. What a node does once, whatever happens, it does in a [`Context::step`].
//!
//! Who writes to a thread has claimed it by running, resuming, updating or cancelling it; whoever had it before gets
//! `stale_write` and writes no more.

mod app;
mod batch;
mod builder;
mod check;
mod compile;
mod context;
mod control;
mod draw;
mod level;
mod node;
mod options;
mod outcome;
mod plan;
mod problem;
mod ready;
mod ready_flow;
mod reducer;
mod run;
mod state;
mod stream;
mod task;

pub use app::App;
pub use builder::Graph;
pub use context::Context;
pub use node::{END, Goto, Node, Output, START, Send, Target, Targets};
pub use options::{Cache, Durability, NodeOptions, Retry, RunOptions};
pub use outcome::{Event, Failure, Mode, Outcome, Review, Snapshot, Status, TaskState};
pub use problem::Problem;
pub use ready::{expert_consultation, expert_consultation_by, panel_deliberation, panel_deliberation_by};
pub use ready_flow::{workflow_execution, workflow_execution_by};
pub use reducer::Reducer;
pub use state::State;
pub use stream::Stream;
