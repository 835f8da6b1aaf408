//! What does the formalism of quantum states, simulated classically, say about a set of judgements?

mod eigen;
mod order;
mod pool;

pub use order::{OrderEffect, order_effect};
pub use pool::{DensityFaction, DensityPool, density_pool};
