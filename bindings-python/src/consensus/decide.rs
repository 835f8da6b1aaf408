//! How do panels, Delphi rounds, swarms and clusters answer Python?

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use quorate::consensus::delphi::{self, DelphiConfig};
use quorate::consensus::panel::{self, Ballot, PanelConfig, Position};
use quorate::consensus::swarm::{self, HoneybeeConfig, Objective, SwarmConfig};
use quorate::consensus::text::{self, ClusterConfig, Linkage};

use super::pooling::{opinions, weights_of};
use super::{compute, ends};
use crate::choose;
use crate::convert::{floats, is_flat, report, rows, score, text, texts, type_name};
use crate::errors::invalid;
use crate::scalar::scalar;

/// Adds the functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(delphi_round, module)?)?;
    module.add_function(wrap_pyfunction!(honeybee, module)?)?;
    module.add_function(wrap_pyfunction!(swarm_pool, module)?)?;
    module.add_function(wrap_pyfunction!(semantic_clusters, module)?)?;
    module.add_function(wrap_pyfunction!(score_panel, module)?)
}

/// Ratings experts x items; one dimension is one item.
fn ratings(value: &Bound<'_, PyAny>, what: &str) -> PyResult<(Vec<Vec<f64>>, bool)> {
    if is_flat(value)? {
        return Ok((floats(value, what, true)?.into_iter().map(|x| vec![x]).collect(), true));
    }
    Ok((rows(value, what, true)?, false))
}

/// The report, and whether there is one item only because the ratings had one dimension.
#[pyfunction]
fn delphi_round<'py>(
    py: Python<'py>,
    ratings: &Bound<'py, PyAny>,
    previous: Option<&Bound<'py, PyAny>>,
    scale: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] iqr_limit: f64,
    #[pyo3(from_py_with = scalar)] stability_limit: f64,
) -> PyResult<(Bound<'py, PyAny>, bool)> {
    let (now, flat) = self::ratings(ratings, "ratings")?;
    let before = previous.map(|p| self::ratings(p, "previous")).transpose()?.map(|(p, _)| p);
    let config = DelphiConfig { scale: ends(scale, "scale")?, iqr_limit, stability_limit };
    let round = compute(py, move || delphi::delphi_round(&now, before.as_deref(), &config))?;
    Ok((report(py, &round)?, flat))
}

#[pyfunction]
fn honeybee<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] sigma: f64,
    #[pyo3(from_py_with = scalar)] quorum: f64,
    #[pyo3(from_py_with = scalar)] seed: u64,
    #[pyo3(from_py_with = scalar)] noise: f64,
    #[pyo3(from_py_with = scalar)] max_time: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let values = floats(values, "values", false)?;
    let config = HoneybeeConfig { sigma, quorum, noise, max_time, seed };
    report(py, &compute(py, move || swarm::honeybee(&values, &config))?)
}

#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn swarm_pool<'py>(
    py: Python<'py>,
    p: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] objective: String,
    #[pyo3(from_py_with = scalar)] seed: u64,
    #[pyo3(from_py_with = scalar)] particles: usize,
    #[pyo3(from_py_with = scalar)] max_iter: usize,
    #[pyo3(from_py_with = scalar)] tol: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let (opinions, _) = opinions(p, "p")?;
    let weights = weights_of(weights)?;
    let objectives = [
        ("kl_to_pool", Objective::KlToPool),
        ("kl_from_pool", Objective::KlFromPool),
        ("squared_distance", Objective::SquaredDistance),
        ("hellinger", Objective::Hellinger),
        ("total_variation", Objective::TotalVariation),
    ];
    let objective = choose("objective", &objective, &objectives)?;
    let config = SwarmConfig { objective, particles, max_iter, tol, seed };
    report(py, &compute(py, move || swarm::swarm_pool(&opinions, weights.as_deref(), &config))?)
}

#[pyfunction]
fn semantic_clusters<'py>(
    py: Python<'py>,
    vectors: &Bound<'py, PyAny>,
    #[pyo3(from_py_with = scalar)] threshold: f64,
    weights: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] linkage: String,
) -> PyResult<Bound<'py, PyAny>> {
    let vectors = rows(vectors, "vectors", false)?;
    let weights = weights_of(weights)?;
    let linkage =
        choose("linkage", &linkage, &[("complete", Linkage::Complete), ("single", Linkage::Single)])?;
    let config = ClusterConfig { threshold, linkage };
    report(py, &compute(py, move || text::semantic_clusters(&vectors, weights.as_deref(), &config))?)
}

fn position(kind: &str, value: &Bound<'_, PyAny>, what: &str) -> PyResult<Position> {
    Ok(match kind {
        "choice" => Position::Choice(text(value, what)?),
        "ranking" => Position::Ranking(texts(value, what)?),
        "number" => Position::Number(score(value, what)?),
        "vector" => Position::Vector(floats(value, what, false)?),
        "probability" => {
            let Ok(shares) = value.cast::<PyDict>() else {
                let found = type_name(value);
                return Err(invalid(format!(
                    "{what} is of type {found}; a dict of probabilities is expected"
                )));
            };
            let shares = shares.iter().map(|(option, p)| {
                let option = text(&option, &format!("an option of {what}"))?;
                let p = score(&p, &format!("{what}['{option}']"))?;
                Ok((option, p))
            });
            Position::Probability(shares.collect::<PyResult<_>>()?)
        }
        other => return Err(invalid(format!("{what}: '{other}' is no kind of ballot"))),
    })
}

/// Ballots are tuples (voter, kind, position, confidence, weight, rationale); the result is the report and its arithmetic.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // they are keyword arguments of the package
fn score_panel<'py>(
    py: Python<'py>,
    ballots: &Bound<'py, PyList>,
    options: Option<&Bound<'py, PyAny>>,
    scale: Option<&Bound<'py, PyAny>>,
    #[pyo3(from_py_with = scalar)] tolerance: Option<f64>,
    #[pyo3(from_py_with = scalar)] similarity: f64,
    #[pyo3(from_py_with = scalar)] minority_threshold: f64,
) -> PyResult<(Bound<'py, PyAny>, Vec<String>)> {
    let mut read = Vec::with_capacity(ballots.len());
    for (i, ballot) in ballots.iter().enumerate() {
        let part = |n: usize| ballot.get_item(n);
        let what = format!("ballots[{i}]");
        let rationale = part(5)?;
        read.push(Ballot {
            voter: text(&part(0)?, &format!("the voter of {what}"))?,
            position: position(&text(&part(1)?, &what)?, &part(2)?, &what)?,
            confidence: score(&part(3)?, &format!("the confidence of {what}"))?,
            weight: score(&part(4)?, &format!("the weight of {what}"))?,
            rationale: if rationale.is_none() { None } else { Some(text(&rationale, &what)?) },
        });
    }
    let config = PanelConfig {
        options: options.map_or_else(|| Ok(Vec::new()), |o| texts(o, "options"))?,
        scale: scale.map(|s| ends(s, "scale")).transpose()?,
        tolerance,
        similarity,
        minority_threshold,
    };
    let score = compute(py, move || panel::score_panel_with(&read, &config))?;
    Ok((report(py, &score)?, score.explain()))
}
