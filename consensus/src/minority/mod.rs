//! What do those hold who are not with the majority, and may they know better?

mod factions;
mod surprise;

pub(crate) use factions::report;
pub use factions::{Faction, Member, MinorityReport, Vote, minority_report};
pub use surprise::{SurprisinglyPopular, TruthSerum, bayesian_truth_serum, surprisingly_popular};
