//! Which experts should answer a question?

#![warn(missing_docs)]

mod agent;
mod card;
mod catalog;
mod taxonomy;

pub use agent::{
    Agent, Boundary, Capability, Latency, Level, MAX_ID_BYTES, MAX_WEIGHT, ModelTier, Port, SCHEMA_VERSION,
    Skill, Status, Visibility,
};
pub use catalog::{Catalog, Problem};
pub use taxonomy::Taxonomy;
