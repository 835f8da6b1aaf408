//! Which of two positions has the better arguments, whoever holds it and whichever comes first?
//!
//! The two heaviest positions of the blind round are argued, in an order that the seed draws; where all agree, one side speaks
//! against what they agree on. Each side has one speaker a turn with the same room. A judge reads it twice, once with each side
//! first: models lean to what stands first (Zheng et al. 2023), and a verdict that turns with the order is a tie.

use minijinja::context;
use quorate_core::Result;

use super::super::answer::DebateVerdict;
use super::super::fact::PanelSpec;
use super::super::machine::{Machine, Next};
use super::super::prompt::{self, Statement};
use super::super::seat::draw;
use super::super::stage::{Ask, Given, SPEECH_WORDS, Stage, What, Who};
use super::super::stance::markers;
use super::{holders, other, positions};

/// The stage of a turn.
pub(crate) const TURN: &str = "turn";
/// The stage of the verdict and the ballots after it.
pub(crate) const AFTER: &str = "after";

/// What is argued, and who speaks for it.
struct Sides {
    names: [String; 2],
    speakers: [Vec<usize>; 2],
}

pub(super) fn next(machine: &Machine, spec: &PanelSpec) -> Result<Next> {
    if machine.stages.iter().any(|stage| stage.name == AFTER) {
        return Ok(Next::Over(None));
    }
    let Some(sides) = sides(machine, spec)? else { return Ok(Next::Over(None)) };
    let turn = machine.stages.iter().filter(|stage| stage.name == TURN).count();
    let round = turn as u32 + 2;
    if round < spec.rounds {
        let asks = (0..2).filter_map(|side| speech(machine, spec, &sides, side, turn, round)).collect();
        return Ok(Next::Stage(Stage::new(TURN, asks)));
    }
    let mut asks: Vec<Ask> = Vec::new();
    if spec.judge.is_some() {
        asks.extend((0..2).map(|first| judge(machine, &sides, first, round)));
    }
    for seat in machine.voters() {
        // For one half the first side stands first, for the other half the second.
        let first = (draw(spec.seed, &["reads", &spec.seats[seat].key]) % 2) as usize;
        let statements = transcript(machine, &sides, first, None);
        let task = prompt::write("after_debate", context! { statements => statements });
        asks.push(machine.ballot(spec, round, seat, &task, false));
    }
    Ok(Next::Stage(Stage::new(AFTER, asks)))
}

/// The sides; `None` where nobody has said anything.
fn sides(machine: &Machine, spec: &PanelSpec) -> Result<Option<Sides>> {
    let given = machine.given();
    let blind = machine.standing(&given, 1);
    let all = positions(machine, spec, &blind)?;
    let Some((first, _)) = all.first().cloned() else { return Ok(None) };
    let held = holders(machine, spec, &blind)?;
    let of = |name: &str| -> Vec<usize> {
        let mut seats: Vec<usize> =
            held.iter().filter(|(_, position)| position == name).map(|(seat, _)| *seat).collect();
        let key = |seat: &usize| {
            let said = blind.iter().find(|one| one.seat == *seat);
            said.map(|said| super::order_of(spec, "speaker", 1, "", said))
        };
        seats.sort_by_key(key);
        seats
    };
    // Where all agree: of two options the other one.
    let other = match (&spec.options[..], all.get(1)) {
        (_, Some((second, _))) => second.clone(),
        ([a, b], None) if *a == first => b.clone(),
        ([a, b], None) if *b == first => a.clone(),
        _ => format!("the opposite of: {first}"),
    };
    let mut names = [first, other];
    let mut speakers = [of(&names[0]), all.get(1).map(|one| of(&one.0)).unwrap_or_default()];
    if speakers[1].is_empty() {
        // Half of those who agree speak against it; of one alone, that one.
        let half = (speakers[0].len() / 2).max(usize::from(speakers[0].len() == 1));
        let against = speakers[0][..half].to_vec();
        if speakers[0].len() > 1 {
            speakers[0].drain(..half);
        }
        speakers[1] = against;
    }
    if draw(spec.seed, &["side", &names[0]]) > draw(spec.seed, &["side", &names[1]]) {
        names.swap(0, 1);
        speakers.swap(0, 1);
    }
    Ok(Some(Sides { names, speakers }))
}

fn speech(
    machine: &Machine,
    spec: &PanelSpec,
    sides: &Sides,
    side: usize,
    turn: usize,
    round: u32,
) -> Option<Ask> {
    let speakers = &sides.speakers[side];
    let seat = *speakers.get(turn % speakers.len().max(1))?;
    let names = machine.names();
    let statements = if turn == 0 {
        let given = machine.given();
        let own: Vec<&Given> =
            machine.standing(&given, 1).into_iter().filter(|one| one.holds == sides.names[side]).collect();
        super::reasons(machine, spec, &own, &spec.seats[seat].key, round, false, true)
    } else {
        transcript(machine, sides, side, None)
    };
    let values = context! {
        turn => turn + 1,
        side => prompt::fenced(&sides.names[side], names),
        other => prompt::fenced(&sides.names[1 - side], names),
        statements => statements,
        words => SPEECH_WORDS,
    };
    Some(other(round, Who::Seat(seat), What::Speech(side), prompt::write("argue", values)))
}

fn judge(machine: &Machine, sides: &Sides, first: usize, round: u32) -> Ask {
    let names = machine.names();
    let values = context! {
        first => prompt::fenced(&sides.names[first], names),
        second => prompt::fenced(&sides.names[1 - first], names),
        statements => transcript(machine, sides, first, Some(["first", "second"])),
    };
    other(round, Who::Judge, What::Verdict(first), prompt::write("judge", values))
}

/// What was said, turn by turn, with this side first; the sides as their positions, or as they are called.
fn transcript(machine: &Machine, sides: &Sides, first: usize, called: Option<[&str; 2]>) -> String {
    let mut said: Vec<(String, String, Vec<String>)> = Vec::new();
    for stage in machine.stages.iter().filter(|stage| stage.name == TURN) {
        for (place, side) in [first, 1 - first].into_iter().enumerate() {
            let at = stage.asks.iter().position(|ask| ask.what == What::Speech(side));
            let Some(value) = at.and_then(|at| stage.value(at)) else { continue };
            let of = called.map_or_else(|| sides.names[side].clone(), |called| called[place].to_owned());
            let text = value["text"].as_str().unwrap_or_default().to_owned();
            said.push((of, text, markers(&value["citations"], machine.sources())));
        }
    }
    let all = said.iter().map(|(of, text, citations)| Statement { by: None, of: Some(of), text, citations });
    prompt::statements(all, machine.names())
}

/// What the judge has said; `None` where there is none, or it was not asked.
pub(crate) fn verdict(machine: &Machine) -> Result<Option<DebateVerdict>> {
    let Some(spec) = machine.spec() else { return Ok(None) };
    let Some((model, independent)) = spec.judge.clone() else { return Ok(None) };
    let Some(stage) = machine.stages.iter().find(|stage| stage.name == AFTER) else { return Ok(None) };
    let Some(sides) = sides(machine, spec)? else { return Ok(None) };
    let mut orders = Vec::new();
    let mut reasons = Vec::new();
    let mut came = 0;
    for first in 0..2 {
        let at = stage.asks.iter().position(|ask| ask.what == What::Verdict(first));
        let value = at.and_then(|at| stage.value(at));
        came += usize::from(value.is_some());
        let winner = match value.and_then(|value| value["winner"].as_str()) {
            Some("first") => Some(sides.names[first].clone()),
            Some("second") => Some(sides.names[1 - first].clone()),
            _ => None,
        };
        orders.push(winner);
        reasons.push(value.and_then(|value| value["reason"].as_str()).unwrap_or_default().to_owned());
    }
    let both = came == 2;
    let winner = orders[0].clone().filter(|winner| both && orders[1].as_ref() == Some(winner));
    let flipped = both && orders[0] != orders[1];
    Ok(Some(DebateVerdict { sides: sides.names, winner, orders, flipped, reasons, model, independent }))
}
