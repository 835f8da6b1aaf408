//! What do answers in words agree on, once they are tokens or vectors?

mod clusters;
mod rover;

pub(crate) use clusters::unit_vectors;
pub use clusters::{ClusterConfig, Linkage, SemanticClusters, semantic_clusters};
pub use rover::{Rover, RoverSlot, rover};
