//! How does an expert answer, and what did it do?
//!
//! A run is a journal of facts. `machine` decides what is due by the facts alone; `driver` does it. [`Runtime`] is
//! what callers hold.

#![warn(missing_docs)]

mod answer;
mod approve;
mod budget;
mod conversation;
mod driven;
mod driver;
mod evaluate;
mod event;
mod evidence;
mod extractive;
mod fact;
mod family;
mod fence;
mod machine;
mod memory;
mod names;
mod panels;
mod prompt;
mod question;
mod recall;
mod runtime;
mod standins;
mod stream;
mod tool;
mod tools;
mod view;

pub use answer::Answer;
pub use approve::Approve;
pub use budget::{Budget, HELD_BACK, Spent, Unpriced};
pub use conversation::{Conversation, ConversationOptions, Keep, Turn};
pub use evaluate::{
    AgentComparison, AgentReport, AtPath, Change, ChangedTask, CustomScorer, Difference, EvaluateOptions,
    Expect, Happened, Judge, Judged, Metric, Replayed, Row, Score, Scorer, ScorerComparison, Task, Totals,
    Trial, Vote, evaluate_agents, golden_tasks, load_tasks, parse_tasks, task_problems,
};
pub use event::Event;
pub use evidence::{Before, Citation, Passage, Retrieve, Wanted};
pub use extractive::{
    AnswerCalibration, Check, Chosen, EXTRACTIVE, Evidence, ExtractOptions, Extracted, ExtractiveModel,
    NOT_IN_SOURCES, Sentence, SentenceKind, Signals, Verdict, check, extract, grounded, sentences,
};
pub use fact::{Candidate, Decision, Handover, Status};
#[doc(hidden)]
pub use fence::tool_result as fenced_result;
pub use machine::{Pending, Plan, PlanStep, Step};
pub use memory::{Fact, Memory};
pub use panels::{
    Aggregate, Alternative, BallotForm, Claim, Conformity, Coverage, DebateVerdict, Dropped, LogEntry,
    MAX_MEMBERS, MAX_OPTIONS, Member, Minority, Objection, OrderTest, PanelAnswer, PanelBallot, PanelKind,
    PanelMember, PanelOptions, PanelResume, PanelRound, PanelRow, PanelSession, Rate, Reason, Role,
    SeedQuestion, Spread, Stance, Weighting, panel_page, panel_part, panel_rows,
};
pub use question::{CheckOutput, HostContext, Question, Resume};
pub use runtime::{MAX_QUESTION_BYTES, Runtime, RuntimeOptions};
pub use standins::{offline_tool_names, offline_tools};
pub use stream::RunStream;
pub use tool::{Effect, FunctionTool, Tool, ToolCard, ToolContext, ToolNews};
pub use tools::{agent_tool, sources_tool};
pub use view::RunView;
