//! How does a workflow run, from a file to its end?
//!
//! Files become a [`Definition`] (`source`, `schema`, `plan`), of which every problem is told with its place. An [`Engine`] starts
//! runs of it. A run is a journal of facts (`fact`) and its state is what they add up to (`state`); `machine` decides what is due
//! by them alone, and `drive` does it.

mod breaker;
mod case;
mod drive;
mod duration;
mod engine;
mod expr;
mod fact;
mod files;
mod form;
mod handle;
mod library;
mod machine;
mod memo;
mod mermaid;
mod migrate;
mod options;
mod perform;
mod plan;
mod problem;
mod resilient;
mod review;
mod schedule;
mod schema;
mod source;
mod state;
mod templates;
mod tools;
mod types;
mod worker;

pub use duration::Span;
pub use engine::Engine;
pub use fact::Status;
pub use form::*;
pub use handle::{JournalEntry, StepView, WorkflowRun, WorkflowStream};
pub use library::Definition;
pub use options::{EngineOptions, StartOptions};
pub use problem::Problem;
pub use resilient::{ResilientTool, ToolOptions};
pub use review::Review;
pub use schedule::{Missed, Schedule, ScheduleOptions};
pub use schema::workflow_schema;
pub use templates::{Template, templates};
pub use tools::{Clock, FnTool, HostTool, ManualClock, StepContext, SystemClock};
