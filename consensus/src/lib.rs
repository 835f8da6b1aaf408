//! How well do raters agree, and what is true?
//!
//! Every method is a pure function of its arguments. Whatever may take long looks at the [`Cancel`](quorate_core::Cancel) that covers the call, at least every few
//! milliseconds, and then returns an error with code `cancelled`:
//!
//! ```
//! use quorate_consensus::{Ratings, truth::majority_vote};
//! let data = Ratings::new(&[1, 1], &["ann", "bob"], &["yes", "yes"])?;
//! let cancel = quorate_core::Cancel::new();
//! cancel.cancel(); // by another thread, usually
//! assert_eq!(cancel.cover(|| majority_vote(&data)).unwrap_err().code().as_str(), "cancelled");
//! # Ok::<(), quorate_core::Error>(())
//! ```
//!
//! What takes memory or time beyond the size of its input has a limit, named in its docs, above which it is refused with code `too_large`.
#![warn(missing_docs)]

pub mod agreement;
mod check;
pub mod data;
pub mod delphi;
pub mod density;
mod math;
pub mod minority;
pub mod panel;
pub mod pooling;
pub mod ranking;
pub mod swarm;
pub mod text;
pub mod truth;

pub use agreement::{
    brennan_prediger, cohen_kappa, conger_kappa, fleiss_kappa, gwet_ac, icc, kendall_w, krippendorff_alpha,
    light_kappa, percent_agreement, scott_pi,
};
pub use data::{Column, Duplicates, Label, Ratings, RatingsOptions, TableForm};
pub use delphi::delphi_round;
pub use density::{density_pool, order_effect};
pub use minority::{bayesian_truth_serum, surprisingly_popular};
pub use panel::score_panel;
pub use pooling::{brier_score, cooke_weights, extremized_pool, linear_pool, log_pool, log_score};
pub use ranking::{
    borda, bradley_terry, copeland, instant_runoff, kemeny, minimax, plackett_luce, rank_centrality,
    ranked_pairs, schulze,
};
pub use swarm::{honeybee, swarm_pool};
pub use text::semantic_clusters;
pub use truth::{dawid_skene, glad, kos, m_msr, mace, majority_vote, one_coin, wawa, zero_based_skill};
