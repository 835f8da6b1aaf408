//! How are the methods of consensus called from a host? By name, with named arguments.
//!
//! A method stands here once, for every host: its name, how its arguments are read, and what its result is made of.

mod agreement;
mod decide;
mod pooling;
mod ranking;
mod ratings;
mod truth;

use quorate_consensus::{agreement as agree, pooling as pool, ranking as rank, truth as infer};
use quorate_core::{Code, Error, Result};

use crate::{Answer, Args, Given, Host};

pub use ratings::{doubt, make};
pub use truth::Online;

/// A method: named arguments in, result out.
type Method = fn(Args) -> Result<Answer>;

/// Every method, by Rust's name.
const METHODS: [(&str, Method); 47] = [
    ("krippendorff_alpha", agreement::krippendorff_alpha),
    ("cohen_kappa", agreement::cohen_kappa),
    ("fleiss_kappa", |args| agreement::coefficient(args, agree::fleiss_kappa)),
    ("scott_pi", |args| agreement::coefficient(args, agree::scott_pi)),
    ("conger_kappa", |args| agreement::coefficient(args, agree::conger_kappa)),
    ("light_kappa", |args| agreement::coefficient(args, agree::light_kappa)),
    ("brennan_prediger", |args| agreement::coefficient(args, agree::brennan_prediger)),
    ("gwet_ac", |args| agreement::coefficient(args, agree::gwet_ac)),
    ("percent_agreement", |args| agreement::coefficient(args, agree::percent_agreement)),
    ("kendall_w", agreement::kendall_w),
    ("icc", agreement::icc),
    ("majority_vote", |args| truth::plain(args, infer::majority_vote)),
    ("wawa", |args| truth::plain(args, infer::wawa)),
    ("dawid_skene", |args| truth::em(args, infer::dawid_skene)),
    ("one_coin", |args| truth::em(args, infer::one_coin)),
    ("glad", truth::glad),
    ("mace", truth::mace),
    ("kos", |args| truth::with(args, infer::kos)),
    ("m_msr", |args| truth::with(args, infer::m_msr)),
    ("zero_based_skill", |args| truth::with(args, infer::zero_based_skill)),
    ("linear_pool", |args| pooling::pool(args, |p, weights, _| pool::linear_pool(p, weights))),
    ("log_pool", |args| pooling::pool(args, |p, weights, _| pool::log_pool(p, weights))),
    ("extremized_pool", |args| pooling::pool(args, pool::extremized_pool)),
    ("density_pool", pooling::density_pool),
    ("cooke_weights", pooling::cooke_weights),
    ("brier_score", pooling::brier_score),
    ("log_score", pooling::log_score),
    ("condorcet_jury", pooling::condorcet_jury),
    ("order_effect", pooling::order_effect),
    ("surprisingly_popular", pooling::surprisingly_popular),
    ("bayesian_truth_serum", pooling::bayesian_truth_serum),
    ("borda", |args| ranking::vote(args, rank::borda)),
    ("copeland", |args| ranking::vote(args, rank::copeland)),
    ("schulze", |args| ranking::vote(args, rank::schulze)),
    ("ranked_pairs", |args| ranking::vote(args, rank::ranked_pairs)),
    ("minimax", |args| ranking::vote(args, rank::minimax)),
    ("kemeny", ranking::kemeny),
    ("instant_runoff", ranking::instant_runoff),
    ("plackett_luce", ranking::plackett_luce),
    ("bradley_terry", |args| ranking::paired(args, rank::bradley_terry)),
    ("rank_centrality", |args| ranking::paired(args, rank::rank_centrality)),
    ("delphi_round", decide::delphi_round),
    ("honeybee", decide::honeybee),
    ("swarm_pool", decide::swarm_pool),
    ("semantic_clusters", decide::semantic_clusters),
    ("rover", decide::rover),
    ("score_panel", decide::score_panel),
];

/// Methods that take well under a millisecond, so that a host may run them at once.
const QUICK: [&str; 11] = [
    "linear_pool",
    "log_pool",
    "extremized_pool",
    "cooke_weights",
    "brier_score",
    "log_score",
    "condorcet_jury",
    "order_effect",
    "surprisingly_popular",
    "bayesian_truth_serum",
    "delphi_round",
];

/// Whether a method takes well under a millisecond, so that a host may run it at once.
pub fn is_quick(host: Host, name: &str) -> bool {
    QUICK.iter().any(|quick| host.is_name(quick, name))
}

/// The names of all methods.
pub fn names() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(name, _)| *name)
}

/// Runs a method, which stops when the current [`Cancel`](quorate_core::Cancel) says so.
///
/// Errors: those of the method; `invalid_argument` for arguments that it does not have or that are of another kind; `internal` for a
/// name that no method has.
///
/// ```
/// use quorate_bindings::{Answer, Given, Host, consensus};
/// let p = Given::F64(vec![0.9, 0.7, 0.5]);
/// let pooled = consensus::call(Host::Python, "linear_pool", Given::Object(vec![("p".into(), p)]))?;
/// assert_eq!(pooled, Answer::from(0.7));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn call(host: Host, name: &str, given: Given) -> Result<Answer> {
    match METHODS.iter().find(|(known, _)| host.is_name(known, name)) {
        Some((_, method)) => method(Args::new(host, "the options", given)?),
        None => Err(Error::new(Code::Internal, format!("consensus has no method '{name}'"))),
    }
}
