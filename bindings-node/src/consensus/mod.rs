//! How are the methods of consensus called from Node? By name, with named arguments; results are JSON.

mod agreement;
mod decide;
mod pooling;
mod ranking;
mod ratings;
mod truth;

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::Result;
use quorate::consensus::{TableForm, agreement as agree, pooling as pool, ranking as rank, truth as infer};

use crate::convert::{Args, Out};
use crate::door::{Lane, NativeCancel, Promised, flag, promise, quick};
use crate::errors::{OrThrow, Thrown, engine};

/// A method: named arguments in, report out.
type Method = fn(Args) -> Result<Out>;

fn method(name: &str) -> Result<Method> {
    Ok(match name {
        "krippendorffAlpha" => agreement::krippendorff_alpha,
        "cohenKappa" => agreement::cohen_kappa,
        "cohenKappaOf" => |args| agreement::coefficient(args, agree::cohen_kappa_of),
        "fleissKappa" => |args| agreement::coefficient(args, agree::fleiss_kappa),
        "scottPi" => |args| agreement::coefficient(args, agree::scott_pi),
        "congerKappa" => |args| agreement::coefficient(args, agree::conger_kappa),
        "lightKappa" => |args| agreement::coefficient(args, agree::light_kappa),
        "brennanPrediger" => |args| agreement::coefficient(args, agree::brennan_prediger),
        "gwetAc" => |args| agreement::coefficient(args, agree::gwet_ac),
        "percentAgreement" => |args| agreement::coefficient(args, agree::percent_agreement),
        "kendallW" => agreement::kendall_w,
        "icc" => agreement::icc,
        "majorityVote" => |args| truth::plain(args, infer::majority_vote),
        "wawa" => |args| truth::plain(args, infer::wawa),
        "dawidSkene" => |args| truth::em(args, infer::dawid_skene),
        "oneCoin" => |args| truth::em(args, infer::one_coin),
        "glad" => truth::glad,
        "mace" => truth::mace,
        "kos" => truth::kos,
        "mMsr" => truth::m_msr,
        "zeroBasedSkill" => truth::zero_based_skill,
        "linearPool" => |args| pooling::pool(args, |p, weights, _| pool::linear_pool(p, weights)),
        "logPool" => |args| pooling::pool(args, |p, weights, _| pool::log_pool(p, weights)),
        "extremizedPool" => |args| pooling::pool(args, pool::extremized_pool),
        "densityPool" => pooling::density_pool,
        "cookeWeights" => pooling::cooke_weights,
        "brierScore" => pooling::brier_score,
        "logScore" => pooling::log_score,
        "orderEffect" => pooling::order_effect,
        "surprisinglyPopular" => pooling::surprisingly_popular,
        "bayesianTruthSerum" => pooling::bayesian_truth_serum,
        "borda" => |args| ranking::vote(args, rank::borda),
        "copeland" => |args| ranking::vote(args, rank::copeland),
        "schulze" => |args| ranking::vote(args, rank::schulze),
        "rankedPairs" => |args| ranking::vote(args, rank::ranked_pairs),
        "minimax" => |args| ranking::vote(args, rank::minimax),
        "kemeny" => ranking::kemeny,
        "instantRunoff" => ranking::instant_runoff,
        "plackettLuce" => ranking::plackett_luce,
        "bradleyTerry" => |args| ranking::paired(args, rank::bradley_terry),
        "rankCentrality" => |args| ranking::paired(args, rank::rank_centrality),
        "delphiRound" => decide::delphi_round,
        "honeybee" => decide::honeybee,
        "swarmPool" => decide::swarm_pool,
        "semanticClusters" => decide::semantic_clusters,
        "scorePanel" => decide::score_panel,
        other => return Err(engine(format!("consensus has no method '{other}'"))),
    })
}

/// Runs a method on another thread, where it may take minutes; `cancel` stops it.
#[napi(ts_return_type = "Promise<unknown>")]
pub fn consensus(
    env: Env,
    name: String,
    arguments: Unknown<'_>,
    cancel: Option<&NativeCancel>,
) -> Result<Promised, Thrown> {
    let method = method(&name).or_throw()?;
    let args = Args::read(&env, &arguments, "the call").or_throw()?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || flag.cover(|| method(args)))
}

/// What to tell the user of a table of ratings whose form was not given, where it may be the other way round.
#[napi]
pub fn ratings_doubt(rows: u32, columns: u32) -> Option<String> {
    TableForm::doubt(rows as usize, columns as usize)
}

/// Runs a method that takes well under a millisecond, at once.
#[napi(ts_return_type = "unknown")]
pub fn consensus_now(env: Env, name: String, arguments: Unknown<'_>) -> Result<Now, Thrown> {
    let method = method(&name).or_throw()?;
    let args = Args::read(&env, &arguments, "the call").or_throw()?;
    quick(|| method(args)).map(Now)
}

/// A result that is handed over at once.
pub struct Now(Out);

impl napi::bindgen_prelude::TypeName for Now {
    fn type_name() -> &'static str {
        "unknown"
    }

    fn value_type() -> napi::ValueType {
        napi::ValueType::Unknown
    }
}

impl napi::bindgen_prelude::ToNapiValue for Now {
    unsafe fn to_napi_value(env: napi::sys::napi_env, now: Self) -> napi::Result<napi::sys::napi_value> {
        now.0.give(env)
    }
}
