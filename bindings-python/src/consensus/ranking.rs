//! How are rankings aggregated from Python?

use pyo3::prelude::*;
use quorate::consensus::ranking::{
    self, Comparisons, KemenyConfig, LastPlaceTies, Outcome, Profile, RunoffConfig, Strength, StrengthConfig,
    TieBreak, Unranked, VoteConfig,
};

use super::compute;
use crate::choose;
use crate::convert::report;
use crate::errors::OrRaise;
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(vote, module)?)?;
    module.add_function(wrap_pyfunction!(kemeny, module)?)?;
    module.add_function(wrap_pyfunction!(instant_runoff, module)?)?;
    module.add_function(wrap_pyfunction!(plackett_luce, module)?)?;
    module.add_function(wrap_pyfunction!(paired, module)?)
}

/// Rankings as tiers of option names with a weight each, and all options in their order.
type Rankings = (Vec<String>, Vec<Vec<Vec<String>>>, Vec<f64>);

fn profile((options, rankings, weights): Rankings, unranked: &str) -> PyResult<Profile> {
    let unranked = unranked_of(unranked)?;
    let mut profile = Profile::new(options).or_raise()?.with_unranked(unranked);
    for (i, (ranking, weight)) in rankings.iter().zip(weights).enumerate() {
        profile
            .add_tiers(ranking, weight)
            .map_err(|e| e.context(format_args!("rankings[{i}]")))
            .or_raise()?;
    }
    Ok(profile)
}

fn unranked_of(name: &str) -> PyResult<Unranked> {
    choose("unranked", name, &[("last", Unranked::Last), ("silent", Unranked::Silent)])
}

fn tie_break_of(name: Option<&str>, seed: u64) -> PyResult<TieBreak> {
    match name {
        None => Ok(TieBreak::None),
        Some(name) => choose(
            "tie_break",
            name,
            &[("lexicographic", TieBreak::Lexicographic), ("random", TieBreak::Random { seed })],
        ),
    }
}

type Method = fn(&Profile, &VoteConfig) -> quorate::Result<Outcome>;

#[pyfunction]
fn vote<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] method: String,
    rankings: Rankings,
    #[pyo3(from_py_with = scalar)] unranked: String,
    #[pyo3(from_py_with = scalar)] strength: String,
    #[pyo3(from_py_with = scalar)] tie_break: Option<String>,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let method: Method = choose(
        "method",
        &method,
        &[
            ("borda", ranking::borda as Method),
            ("copeland", ranking::copeland),
            ("schulze", ranking::schulze),
            ("ranked_pairs", ranking::ranked_pairs),
            ("minimax", ranking::minimax),
        ],
    )?;
    let config = VoteConfig {
        strength: choose(
            "strength",
            &strength,
            &[("margins", Strength::Margins), ("winning_votes", Strength::WinningVotes)],
        )?,
        tie_break: tie_break_of(tie_break.as_deref(), seed)?,
    };
    let profile = profile(rankings, &unranked)?;
    report(py, &compute(py, move || method(&profile, &config))?)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn kemeny<'py>(
    py: Python<'py>,
    rankings: Rankings,
    #[pyo3(from_py_with = scalar)] unranked: String,
    #[pyo3(from_py_with = scalar)] exact_options: Option<usize>,
    #[pyo3(from_py_with = scalar)] max_orders: Option<usize>,
    #[pyo3(from_py_with = scalar)] restarts: Option<usize>,
    #[pyo3(from_py_with = scalar)] tie_break: Option<String>,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let defaults = KemenyConfig::default();
    let config = KemenyConfig {
        exact_options: exact_options.unwrap_or(defaults.exact_options),
        max_orders: max_orders.unwrap_or(defaults.max_orders),
        restarts: restarts.unwrap_or(defaults.restarts),
        seed,
        tie_break: tie_break_of(tie_break.as_deref(), seed)?,
    };
    let profile = profile(rankings, &unranked)?;
    report(py, &compute(py, move || ranking::kemeny(&profile, &config))?)
}

#[pyfunction]
fn instant_runoff<'py>(
    py: Python<'py>,
    rankings: Rankings,
    #[pyo3(from_py_with = scalar)] unranked: String,
    #[pyo3(from_py_with = scalar)] last_place_ties: String,
    #[pyo3(from_py_with = scalar)] tie_break: Option<String>,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let config = RunoffConfig {
        last_place_ties: choose(
            "last_place_ties",
            &last_place_ties,
            &[
                ("together", LastPlaceTies::Together),
                ("tie_break", LastPlaceTies::TieBreak),
                ("parallel_universes", LastPlaceTies::ParallelUniverses),
            ],
        )?,
        tie_break: tie_break_of(tie_break.as_deref(), seed)?,
    };
    let profile = profile(rankings, &unranked)?;
    report(py, &compute(py, move || ranking::instant_runoff(&profile, &config))?)
}

fn strengths(
    alpha: Option<f64>,
    max_iter: usize,
    tol: f64,
    tie_break: Option<&str>,
    seed: u64,
) -> PyResult<StrengthConfig> {
    Ok(StrengthConfig { alpha, max_iter, tol, tie_break: tie_break_of(tie_break, seed)? })
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn plackett_luce<'py>(
    py: Python<'py>,
    rankings: Rankings,
    #[pyo3(from_py_with = scalar)] unranked: String,
    #[pyo3(from_py_with = scalar)] alpha: Option<f64>,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] tie_break: Option<String>,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let config = strengths(alpha, max_iter, tol, tie_break.as_deref(), seed)?;
    let silence = unranked_of(&unranked)?;
    let profile = profile(rankings, &unranked)?;
    report(py, &compute(py, move || ranking::plackett_luce(&profile, silence, &config))?)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn paired<'py>(
    py: Python<'py>,
    #[pyo3(from_py_with = scalar)] method: String,
    options: Vec<String>,
    wins: Vec<(String, String, f64)>,
    ties: Vec<(String, String, f64)>,
    #[pyo3(from_py_with = scalar)] alpha: Option<f64>,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
    #[pyo3(from_py_with = scalar)] tie_break: Option<String>,
    #[pyo3(from_py_with = scalar)] seed: u64,
) -> PyResult<Bound<'py, PyAny>> {
    let config = strengths(alpha, max_iter, tol, tie_break.as_deref(), seed)?;
    let centrality = choose("method", &method, &[("bradley_terry", false), ("rank_centrality", true)])?;
    let mut comparisons = Comparisons::new(options).or_raise()?;
    for (winner, loser, weight) in &wins {
        comparisons.add(winner, loser, *weight).or_raise()?;
    }
    for (a, b, weight) in &ties {
        comparisons.add_tie(a, b, *weight).or_raise()?;
    }
    let fit = compute(py, move || {
        if centrality {
            ranking::rank_centrality(&comparisons, &config)
        } else {
            ranking::bradley_terry(&comparisons, &config)
        }
    })?;
    report(py, &fit)
}
