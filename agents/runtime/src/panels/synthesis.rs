//! What does the panel say in the end, so that nobody who differs is left out?
//!
//! The chair writes it from the positions, each of which has a mark. A text that leaves out a mark, or that cites nothing where
//! there is something to cite, is asked for once more, and then written from the ballots. The score stands before.

use std::fmt::Write;

use minijinja::context;
use quorate_core::Result;

use super::fact::PanelSpec;
use super::machine::{Machine, Next, order_of};
use super::member::Role;
use super::prompt::{self, Statement};
use super::protocol::{other, speaking_chair};
use super::stage::{Given, Stage, What, Who};
use super::tally;
use crate::answer::citations;

/// The stage in which observers remark.
const REMARKS: &str = "remarks";
/// The stage in which the chair writes.
const SYNTHESIS: &str = "synthesis";
/// How often it may.
const ATTEMPTS: usize = 2;
/// Who has written a synthesis that is made of the ballots.
pub(crate) const BALLOTS: &str = "ballots";

/// A position with its mark.
struct Held {
    mark: String,
    position: String,
    share: f64,
    leads: bool,
    ballots: Vec<Given>,
}

/// What follows the protocol.
pub(super) fn next(machine: &Machine) -> Result<Next> {
    let Some(spec) = machine.spec() else { return Ok(Next::Over(None)) };
    let ended = machine.is_cancelled() || machine.failure.is_some() || machine.given().is_empty();
    let missed = machine.stopped_by.as_deref() == Some("quorum_missed");
    if ended || missed {
        return Ok(Next::Over(None));
    }
    let round = machine.last_round();
    let observers: Vec<usize> =
        (0..spec.seats.len()).filter(|i| spec.seats[*i].role == Role::Observer).collect();
    let remarked = machine.stages.iter().any(|stage| stage.name == REMARKS);
    if !observers.is_empty() && !remarked && machine.stopped_by.is_none() {
        let ask = |seat: usize| {
            let given = machine.given();
            let standing = machine.standing(&given, u32::MAX);
            let key = spec.seats[seat].key.as_str();
            let statements = super::protocol::reasons(machine, spec, &standing, key, round, true, true);
            let task = prompt::write("remark", context! { statements => statements });
            other(round, Who::Seat(seat), What::Remark, task)
        };
        return Ok(Next::Stage(Stage::new(REMARKS, observers.into_iter().map(ask).collect())));
    }
    let Some(chair) = speaking_chair(spec) else { return Ok(Next::Over(None)) };
    let attempts: Vec<&Stage> = machine.stages.iter().filter(|stage| stage.name == SYNTHESIS).collect();
    let missing = match attempts.last() {
        None => None,
        Some(last) if last.cut.is_some() || last.value(0).is_none() => return Ok(Next::Over(None)),
        Some(last) => match fault(machine, spec, &text_of(last))? {
            None => return Ok(Next::Over(None)),
            Some(_) if attempts.len() >= ATTEMPTS => return Ok(Next::Over(None)),
            fault => fault,
        },
    };
    let held = held(machine, spec)?;
    let marks: Vec<String> = named(&held, spec).iter().map(|one| one.mark.clone()).collect();
    let counted = machine.counted(&machine.given());
    let score = machine.score_of(&counted.iter().collect::<Vec<_>>())?;
    let values = context! {
        positions => written(machine, spec, &held, &spec.seats[chair].key, round),
        decision => score.as_ref().and_then(tally::decided).map(|decision| prompt::fenced(&decision, machine.names())),
        remarks => remarks(machine),
        missing => missing,
        marks => marks.join(", "),
        sources => machine.sources() > 0,
    };
    let ask = other(round, Who::Seat(chair), What::Synthesis, prompt::write("synthesis", values));
    Ok(Next::Stage(Stage::new(SYNTHESIS, vec![ask])))
}

/// The synthesis, and who wrote it.
pub(super) fn settled(machine: &Machine) -> Result<(String, String)> {
    let Some(spec) = machine.spec() else { return Ok(Default::default()) };
    if let Some((_, message)) = &machine.failure {
        return Ok((format!("The panel has failed: {message}"), BALLOTS.to_owned()));
    }
    let last = machine.stages.iter().rfind(|stage| stage.name == SYNTHESIS && stage.value(0).is_some());
    if let (Some(last), Some(chair)) = (last, spec.chair) {
        let text = text_of(last);
        if fault(machine, spec, &text)?.is_none() {
            return Ok((spelt_out(&text, &held(machine, spec)?), spec.seats[chair].id.clone()));
        }
    }
    Ok((of_ballots(machine, spec)?, BALLOTS.to_owned()))
}

fn text_of(stage: &Stage) -> String {
    stage.value(0).and_then(|value| value["text"].as_str()).unwrap_or_default().to_owned()
}

/// Why a synthesis cannot stand.
fn fault(machine: &Machine, spec: &PanelSpec, text: &str) -> Result<Option<String>> {
    let held = held(machine, spec)?;
    let missing: Vec<&str> = named(&held, spec)
        .iter()
        .filter(|one| !text.contains(&one.mark))
        .map(|one| one.mark.as_str())
        .collect();
    if !missing.is_empty() {
        return Ok(Some(format!("it leaves out the position {}", missing.join(" and the position "))));
    }
    let citable = held.iter().flat_map(|one| &one.ballots).any(Given::is_cited);
    let passages = machine.passages.as_deref().unwrap_or_default();
    if citable && citations(text, passages).is_empty() {
        return Ok(Some("it names no source".to_owned()));
    }
    Ok(None)
}

/// The positions that a synthesis must name: what leads, and each minority of at least the threshold.
fn named<'a>(held: &'a [Held], spec: &PanelSpec) -> Vec<&'a Held> {
    held.iter().filter(|one| one.leads || one.share >= spec.minority_threshold - 1e-12).collect()
}

/// The positions that are held in the end, the leading ones first.
fn held(machine: &Machine, spec: &PanelSpec) -> Result<Vec<Held>> {
    let counted = machine.counted(&machine.given());
    let Some(score) = machine.score_of(&counted.iter().collect::<Vec<_>>())? else { return Ok(Vec::new()) };
    let leading = score.minority.leading.iter().map(|faction| (faction, true));
    let all = leading.chain(score.minority.minorities.iter().map(|faction| (faction, false)));
    let of = |(i, (faction, leads)): (usize, (&quorate_consensus::minority::Faction, bool))| {
        let ballot = |id: &str| counted.iter().find(|one| spec.seats[one.seat].id == id).cloned();
        Held {
            mark: format!("[P{}]", i + 1),
            position: faction.position.clone(),
            share: faction.share,
            leads,
            ballots: faction.members.iter().filter_map(|member| ballot(&member.voter)).collect(),
        }
    };
    Ok(all.enumerate().map(of).collect())
}

/// The positions with their marks and reasons, as the chair reads them: without names.
fn written(machine: &Machine, spec: &PanelSpec, held: &[Held], reader: &str, round: u32) -> String {
    let mut out = String::new();
    let names = machine.names();
    for one in held {
        let _ = writeln!(out, "{} {}", one.mark, prompt::fenced(&one.position, names));
        let mut ballots: Vec<&Given> = one.ballots.iter().collect();
        ballots.sort_by_key(|given| order_of(spec, "synthesis", round, reader, given));
        let reasons: Vec<(String, Vec<String>)> =
            ballots.iter().filter_map(|given| given.reasons()).collect();
        let statements =
            reasons.iter().map(|(text, citations)| Statement { by: None, of: None, text, citations });
        let _ = writeln!(out, "{}", prompt::statements(statements, names));
    }
    out
}

fn remarks(machine: &Machine) -> String {
    let Some(stage) = machine.stages.iter().find(|stage| stage.name == REMARKS) else { return String::new() };
    let texts: Vec<&str> = (0..stage.asks.len())
        .filter_map(|i| stage.value(i))
        .filter_map(|value| value["text"].as_str())
        .collect();
    let statements = texts.iter().map(|text| Statement { by: None, of: None, text, citations: &[] });
    prompt::statements(statements, machine.names())
}

/// The text with the positions in the place of their marks. What stands in a position is a member's own: a mark in it is left as
/// it is.
fn spelt_out(text: &str, held: &[Held]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match held.iter().find(|one| rest.starts_with(&one.mark)) {
            Some(one) => {
                let _ = write!(out, "\"{}\"", one.position);
                rest = &rest[one.mark.len()..];
            }
            None => {
                out.push('[');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A synthesis that is made of the ballots.
fn of_ballots(machine: &Machine, spec: &PanelSpec) -> Result<String> {
    let counted = machine.counted(&machine.given());
    let score = machine.score_of(&counted.iter().collect::<Vec<_>>())?;
    let Some(score) = score.filter(|_| machine.stopped_by.as_deref() != Some("quorum_missed")) else {
        return Ok(format!(
            "The panel has not decided: {} of {} members gave a ballot.",
            counted.len(),
            machine.voters().len()
        ));
    };
    let mut out = match tally::decided(&score) {
        Some(decision) => format!(
            "The panel decides: {decision}. {} of {} ballots hold the leading position ({:.0} % of the weight, {}).",
            score.minority.leading.iter().map(|faction| faction.members.len()).sum::<usize>(),
            score.voters,
            100.0 * score.support,
            score.level.as_str().replace('_', " "),
        ),
        None => "The panel is level and decides for nothing.".to_owned(),
    };
    for one in held(machine, spec)? {
        let who = if one.leads { "For" } else { "Against that," };
        let _ = write!(out, "\n\n{who} \"{}\" ({:.0} % of the weight):", one.position, 100.0 * one.share);
        for given in &one.ballots {
            match given.reasons() {
                Some((text, citations)) => {
                    let _ = write!(out, " {}", format!("{text} {}", citations.concat()).trim_end());
                }
                None => out.push_str(" no reason was given."),
            }
        }
    }
    Ok(out)
}
