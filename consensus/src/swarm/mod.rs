//! How do swarms decide, and what do their rules find for a panel?

mod honeybee;
mod particles;

pub use honeybee::{Honeybee, HoneybeeConfig, honeybee};
pub use particles::{Objective, SwarmConfig, SwarmPool, swarm_pool};
