//! Which stage follows, by the six protocols?

mod consensus;
pub(super) mod debate;
pub(super) mod delphi;
pub(super) mod sequential;
pub(super) mod socratic;

use quorate_consensus::pooling::{CookeConfig, CookeWeights, cooke_weights};
use quorate_core::{Error, Result};

use super::fact::PanelSpec;
use super::machine::{Machine, Next, order_of};
use super::options::PanelKind;
use super::prompt::{self, Statement};
use super::stage::{Ask, Given, Stage, What, Who};
use minijinja::context;

pub(super) use consensus::{objections, proposal};

/// The stage of seed questions.
pub(crate) const SEEDS: &str = "seeds";
/// The stage of blind ballots.
pub(crate) const BLIND: &str = "blind";

/// What follows the last stage.
pub(crate) fn next(machine: &Machine) -> Result<Next> {
    let Some(spec) = machine.spec() else { return Err(Error::invalid("a panel that was not opened")) };
    if machine.stages.is_empty() && !spec.seeds.is_empty() {
        return Ok(Next::Stage(seeds(machine, spec)));
    }
    if !machine.stages.iter().any(|stage| stage.name == BLIND) {
        return Ok(Next::Stage(blind(machine, spec)));
    }
    match spec.kind {
        PanelKind::Parallel => Ok(Next::Over(None)),
        PanelKind::Sequential => sequential::next(machine, spec),
        PanelKind::Consensus => consensus::next(machine, spec),
        PanelKind::Debate => debate::next(machine, spec),
        PanelKind::Socratic => socratic::next(machine, spec),
        PanelKind::Delphi => delphi::next(machine, spec),
    }
}

/// The ballots by which the panel decides: the last one of each voter, unless the protocol has a rule.
pub(crate) fn counted(machine: &Machine, given: &[Given]) -> Vec<Given> {
    let last: Vec<Given> = machine.standing(given, u32::MAX).into_iter().cloned().collect();
    match machine.spec().map(|spec| spec.kind) {
        Some(PanelKind::Sequential) => sequential::counted(given, last),
        Some(PanelKind::Socratic) => socratic::counted(given, last),
        _ => last,
    }
}

fn blind(machine: &Machine, spec: &PanelSpec) -> Stage {
    let task = prompt::write("blind", context! {});
    let asks = machine.voters().into_iter().map(|seat| machine.ballot(spec, 1, seat, &task, false));
    Stage::new(BLIND, asks.collect())
}

fn seeds(machine: &Machine, spec: &PanelSpec) -> Stage {
    let lines = spec.seeds.iter().enumerate().map(|(i, seed)| format!("{}. {}", i + 1, seed.question));
    let questions: Vec<String> = lines.collect();
    let task = prompt::write("seeds", context! { questions => questions.join("\n") });
    let ask = |seat| other(0, Who::Seat(seat), What::Seeds, task.clone());
    Stage::new(SEEDS, machine.voters().into_iter().map(ask).collect())
}

/// An ask for something that is no ballot.
pub(crate) fn other(round: u32, who: Who, what: What, task: String) -> Ask {
    Ask { round, who, what, task, options: Vec::new(), objects: false }
}

/// Weights by seed questions, by seat; whoever has not answered has none. `None` where there are no answers, or nobody's are
/// good enough to weigh by.
pub(crate) fn cooke(machine: &Machine, spec: &PanelSpec) -> Option<CookeWeights> {
    let stage = machine.stages.first().filter(|stage| stage.name == SEEDS && stage.open().is_empty())?;
    let mut seats = Vec::new();
    let mut rows: Vec<Vec<[f64; 3]>> = Vec::new();
    for (i, ask) in stage.asks.iter().enumerate() {
        let (Who::Seat(seat), Some(value)) = (ask.who, stage.value(i)) else { continue };
        let of = |one: &serde_json::Value| {
            let q = |name: &str| one[name].as_f64().filter(|x| x.is_finite());
            let quantiles = [q("q05")?, q("q50")?, q("q95")?];
            (quantiles[0] < quantiles[1] && quantiles[1] < quantiles[2]).then_some(quantiles)
        };
        let row: Option<Vec<[f64; 3]>> = value["answers"].as_array().into_iter().flatten().map(of).collect();
        if let Some(row) = row.filter(|row| row.len() == spec.seeds.len()) {
            seats.push(seat);
            rows.push(row);
        }
    }
    let answers: Vec<f64> = spec.seeds.iter().map(|seed| seed.answer).collect();
    let mut found = cooke_weights(&rows, &answers, &CookeConfig::default()).ok()?;
    let mut weights = vec![0.0; spec.seats.len()];
    for (seat, weight) in seats.into_iter().zip(&found.weights) {
        weights[seat] = *weight;
    }
    found.weights = weights;
    Some(found)
}

/// The reasons of ballots as others read them, in an order that is the reader's own and no name decides; `once`: what is said
/// twice stands once.
pub(crate) fn reasons(
    machine: &Machine,
    spec: &PanelSpec,
    ballots: &[&Given],
    reader: &str,
    round: u32,
    position: bool,
    once: bool,
) -> String {
    let mut ordered: Vec<&Given> = ballots.to_vec();
    ordered.sort_by_key(|given| order_of(spec, "statements", round, reader, given));
    let mut shown: Vec<(Option<&str>, Option<&str>, String, Vec<String>)> = Vec::new();
    for given in ordered {
        let Some((text, citations)) = given.reasons() else { continue };
        let by = (!spec.anonymous).then(|| spec.seats[given.seat].name());
        let of = position.then_some(given.holds.as_str());
        if once && shown.iter().any(|(_, other, known, _)| *other == of && *known == text) {
            continue;
        }
        shown.push((by, of, text, citations));
    }
    let all = shown.iter().map(|(by, of, text, citations)| Statement { by: *by, of: *of, text, citations });
    prompt::statements(all, machine.names())
}

/// The leading positions and the others, the heaviest first; level ones in an order that the seed draws.
pub(crate) fn positions(
    machine: &Machine,
    spec: &PanelSpec,
    ballots: &[&Given],
) -> Result<Vec<(String, f64)>> {
    let Some(score) = machine.score_of(ballots)? else { return Ok(Vec::new()) };
    let all = score.minority.leading.iter().chain(&score.minority.minorities);
    let mut all: Vec<(String, f64)> = all.map(|faction| (faction.position.clone(), faction.share)).collect();
    let draw = |position: &str| super::seat::draw(spec.seed, &["position", position]);
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(draw(&a.0).cmp(&draw(&b.0))));
    Ok(all)
}

/// Who of the voters holds a position, by the score.
pub(crate) fn holders(
    machine: &Machine,
    spec: &PanelSpec,
    ballots: &[&Given],
) -> Result<Vec<(usize, String)>> {
    let Some(score) = machine.score_of(ballots)? else { return Ok(Vec::new()) };
    let factions = score.minority.leading.iter().chain(&score.minority.minorities);
    let of = |id: &str| spec.seats.iter().position(|seat| seat.id == id);
    let each = factions.flat_map(|faction| faction.members.iter().map(move |member| (member, faction)));
    Ok(each.filter_map(|(member, faction)| Some((of(&member.voter)?, faction.position.clone()))).collect())
}

/// Whether the chair can be asked for words of its own.
pub(crate) fn speaking_chair(spec: &PanelSpec) -> Option<usize> {
    spec.chair.filter(|chair| !spec.seats[*chair].extractive())
}
