//! What is an engine made of, and how is a run started?

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_agents::AgentRegistry;
use quorate_runtime::Runtime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tools::{Clock, HostTool};

/// What an engine is made of.
#[derive(Clone, Default)]
pub struct EngineOptions {
    /// The experts that answer; `None`: only tools, people and signals.
    pub runtime: Option<Runtime>,
    /// Where experts are looked for by what a step requires; `None`: where the runtime's are.
    pub registry: Option<AgentRegistry>,
    /// What steps may have done.
    pub tools: Vec<Arc<dyn HostTool>>,
    /// What time it is; `None`: the computer's clock.
    pub clock: Option<Arc<dyn Clock>>,
    /// On whose behalf: runs of other tenants do not exist for it.
    pub tenant: Option<String>,
    /// How many runs go on here at once; 0: none, and somebody else works on them. Default 8.
    pub concurrency: Option<usize>,
    /// The queues whose runs go on here; `None`: all.
    pub queues: Option<Vec<String>>,
}

/// How a run is started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartOptions {
    /// Its id; `None`: one is made.
    pub id: Option<String>,
    /// The version of the workflow; `None`: the newest.
    pub version: Option<String>,
    /// Higher goes first; `None`: as the workflow says, and else 0.
    pub priority: Option<i64>,
    /// Of those who start a run with the same word, one does; the others are given that run.
    pub dedup: Option<String>,
    /// When it has to be over, in seconds since 1970.
    pub deadline: Option<f64>,
    /// Who starts it. Where nobody is named, a review that forbids whoever has started the run forbids nobody.
    pub starter: Option<String>,
    /// Whether stand-ins take the place of the world: stated answers, the extractive model, scripted reviews.
    pub offline: bool,
    /// Of an offline run: what stands in in the place of what the workflow states, by step; of a list, the first time the first, and so on.
    pub stand_ins: BTreeMap<String, Value>,
}
