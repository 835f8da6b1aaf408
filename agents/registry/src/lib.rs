//! Which experts should answer a question?

#![warn(missing_docs)]

mod agent;
mod card;
mod catalog;
mod check;
mod consulted;
mod cover;
mod files;
mod language;
mod matching;
mod objective;
mod panel;
mod registry;
mod subjects;
mod taxonomies;
mod taxonomy;
mod text;
#[doc(hidden)]
pub mod yaml;

pub use agent::{
    Agent, Boundary, Capability, Latency, Level, MAX_AGENT_BYTES, MAX_CARD_BYTES, MAX_ID_BYTES, MAX_PARTNERS,
    MAX_TENANT_BYTES, MAX_TOPIC_BYTES, MAX_TOPICS, MAX_WEIGHT, MAX_WHY_BYTES, ModelTier, Partner, Port,
    SCHEMA_VERSION, Skill, Status, Visibility,
};
pub use card::EXTENSION_URI;
pub use catalog::{Catalog, Problem, TenantCatalog};
pub use consulted::{Seat, SeatBy};
pub use matching::{
    Calibration, DEFAULT_MIN_CONFIDENCE, Evidence, Explanation, Labelled, LinearBandit, MAX_MATCHES, Match,
    MatchOptions, Part, Policy, Tuning,
};
pub use panel::{Coverage, MAX_PANEL, Member, Panel, PanelOptions};
pub use registry::{
    AgentRegistry, AgentVersion, DEFAULT_EXPLORATION, Event, EventKind, Events, RegistryOptions,
};
pub use taxonomy::Taxonomy;
