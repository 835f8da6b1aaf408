//! Which tools come with the runtime?

mod agent;
mod sources;

pub use agent::agent_tool;
pub use sources::sources_tool;
