//! Which experts should answer a question?

#![warn(missing_docs)]

mod agent;
mod card;
mod catalog;
mod matching;
mod panel;
mod registry;
mod taxonomy;

pub use agent::{
    Agent, Boundary, Capability, Latency, Level, MAX_ID_BYTES, MAX_WEIGHT, ModelTier, Port, SCHEMA_VERSION,
    Skill, Status, Visibility,
};
pub use card::EXTENSION_URI;
pub use catalog::{Catalog, Problem};
pub use matching::{
    Calibration, DEFAULT_MIN_CONFIDENCE, Evidence, Explanation, Labelled, LinearBandit, MAX_MATCHES, Match,
    MatchOptions, Part, Policy, Tuning,
};
pub use panel::{Coverage, MAX_PANEL, Member, Panel, PanelOptions};
pub use registry::{AgentRegistry, AgentVersion, Event, EventKind, RegistryOptions};
pub use taxonomy::Taxonomy;
