//! In which order do the voters, taken together, put the options?
//!
//! Voting methods read a [`Profile`] of ranked ballots and yield an [`Outcome`] in which ties are declared; strength
//! models read [`Comparisons`] (or a profile) and yield [`Strengths`].

mod bradley_terry;
mod choice;
mod comparisons;
mod condorcet;
mod kemeny;
mod outcome;
mod plackett_luce;
mod positional;
mod profile;
mod rank_centrality;
mod ranked_pairs;
mod runoff;
mod schulze;

pub use bradley_terry::bradley_terry;
pub use choice::{DEFAULT_ALPHA, StrengthConfig, Strengths};
pub use comparisons::Comparisons;
pub use condorcet::{copeland, minimax};
pub use kemeny::{Kemeny, KemenyConfig, kemeny};
pub use outcome::{Outcome, Strength, TieBreak, VoteConfig};
pub use plackett_luce::plackett_luce;
pub use positional::borda;
pub use profile::{Ballot, PairMatrix, Profile, Unranked};
pub use rank_centrality::rank_centrality;
pub use ranked_pairs::ranked_pairs;
pub use runoff::{LastPlaceTies, Runoff, RunoffConfig, RunoffRound, instant_runoff};
pub use schulze::schulze;
