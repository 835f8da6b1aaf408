//! Is there a position that everybody can live with?
//!
//! Each round after the blind one has a proposal, which answers the objections to the one before, and ballots with objections. It
//! ends when nobody objects, when no position has moved in two rounds, or with the last round.

use minijinja::context;
use quorate_core::Result;

use super::super::fact::PanelSpec;
use super::super::machine::{Machine, Next, order_of};
use super::super::prompt;
use super::super::stage::{Given, Stage, What, Who};
use super::{other, positions, reasons, speaking_chair};

/// The stage in which the chair proposes.
pub(crate) const PROPOSAL: &str = "proposal";
/// The stage in which members object and vote.
pub(crate) const BALLOTS: &str = "ballots";

pub(super) fn next(machine: &Machine, spec: &PanelSpec) -> Result<Next> {
    let given = machine.given();
    let round = machine.last_round();
    let last = machine.stages.last().map(|stage| stage.name).unwrap_or_default();
    let round = if last == PROPOSAL {
        round
    } else {
        if last == BALLOTS {
            if objections(machine, round).is_empty() {
                return Ok(Next::Over(Some("objections_met")));
            }
            if round >= 3 && (round - 1..=round).all(|round| is_still(machine, &given, round)) {
                return Ok(Next::Over(Some("stable")));
            }
            if round >= spec.rounds {
                return Ok(Next::Over(Some("max_rounds")));
            }
        }
        if let Some(chair) = speaking_chair(spec) {
            return Ok(Next::Stage(proposing(machine, spec, &given, round + 1, chair)));
        }
        round + 1
    };
    let proposal = proposal_of(machine, spec, &given, round)?;
    let names = machine.names();
    let against = objections(machine, round - 1);
    let ask = |seat: usize| {
        let key = spec.seats[seat].key.as_str();
        let standing: Vec<&Given> =
            machine.standing(&given, round - 1).into_iter().filter(|one| one.seat != seat).collect();
        let task = prompt::write(
            "consensus",
            context! {
                proposal => prompt::fenced(&proposal, names),
                objections => listed(machine, spec, &against, key, round),
                statements => reasons(machine, spec, &standing, key, round, true, false),
            },
        );
        machine.ballot(spec, round, seat, &task, true)
    };
    Ok(Next::Stage(Stage::new(BALLOTS, machine.voters().into_iter().map(ask).collect())))
}

fn proposing(machine: &Machine, spec: &PanelSpec, given: &[Given], round: u32, chair: usize) -> Stage {
    let standing = machine.standing(given, round - 1);
    let before = (round > 2).then(|| proposal_of(machine, spec, given, round - 1).ok()).flatten();
    let key = spec.seats[chair].key.as_str();
    let task = prompt::write(
        "propose",
        context! {
            before => before.map(|before| prompt::fenced(&before, machine.names())),
            objections => listed(machine, spec, &objections(machine, round - 1), key, round),
            statements => reasons(machine, spec, &standing, key, round, true, false),
        },
    );
    Stage::new(PROPOSAL, vec![other(round, Who::Seat(chair), What::Proposal, task)])
}

/// What is proposed in a round: what the chair has written; without it the leading position with its strongest reason.
fn proposal_of(machine: &Machine, spec: &PanelSpec, given: &[Given], round: u32) -> Result<String> {
    let written = machine
        .stages
        .iter()
        .rfind(|stage| stage.name == PROPOSAL && stage.asks.first().is_some_and(|ask| ask.round == round));
    if let Some(text) = written.and_then(|stage| stage.value(0)).and_then(|value| value["text"].as_str()) {
        return Ok(text.to_owned());
    }
    let standing = machine.standing(given, round - 1);
    let leading = positions(machine, spec, &standing)?.into_iter().next().map(|(position, _)| position);
    let Some(leading) = leading else { return Ok("There is no answer yet.".to_owned()) };
    if spec.form == super::super::options::BallotForm::Text {
        return Ok(leading);
    }
    let mut behind: Vec<&&Given> = standing.iter().filter(|one| one.holds == leading).collect();
    behind.sort_by(|a, b| {
        let draw = |one: &Given| order_of(spec, "proposal", round, "", one);
        b.said.confidence.total_cmp(&a.said.confidence).then(draw(a).cmp(&draw(b)))
    });
    let reason = behind.iter().find_map(|one| one.reasons());
    Ok(match reason {
        Some((text, citations)) => {
            format!("{leading}, because: {text} {}", citations.concat()).trim().to_owned()
        }
        None => leading,
    })
}

/// What the last round proposes.
pub(crate) fn proposal(machine: &Machine) -> Option<String> {
    let spec = machine.spec()?;
    let round = machine.last_round();
    // The ballots of the round are not grouped yet: those before it decide what it proposes.
    let given: Vec<Given> = machine.given().into_iter().filter(|one| one.round < round).collect();
    (round >= 2).then(|| proposal_of(machine, spec, &given, round).ok()).flatten()
}

/// The objections that stand after a round, with their members: who is late or fails has not withdrawn its own.
pub(crate) fn objections(machine: &Machine, round: u32) -> Vec<Given> {
    let given = machine.given();
    let standing = machine.standing(&given, round).into_iter();
    standing.filter(|one| one.said.objection.is_some()).cloned().collect()
}

/// Objections as others read them.
fn listed(machine: &Machine, spec: &PanelSpec, all: &[Given], reader: &str, round: u32) -> String {
    let mut all: Vec<&Given> = all.iter().collect();
    all.sort_by_key(|given| order_of(spec, "objections", round, reader, given));
    let statements = all.iter().map(|given| prompt::Statement {
        by: (!spec.anonymous).then(|| spec.seats[given.seat].name()),
        of: None,
        text: given.said.objection.as_deref().unwrap_or_default(),
        citations: &[],
    });
    prompt::statements(statements, machine.names())
}

/// Whether no voter has gone over to another position in a round.
fn is_still(machine: &Machine, given: &[Given], round: u32) -> bool {
    let before = machine.standing(given, round - 1);
    let held = |one: &Given| before.iter().find(|other| other.seat == one.seat).map(|other| &other.holds);
    machine.standing(given, round).into_iter().all(|one| held(one) == Some(&one.holds))
}
