//! Which claims hold when they are questioned?
//!
//! The reasons of the blind round are claims. Each round asks a question of one of the six kinds of Paul and Elder (2006); each
//! answer says which claims are supported, with a source, which are conceded and which are open. It ends when all kinds were
//! asked and the last question brought no new claim. A change of position without a cited reason does not count.

use minijinja::context;
use quorate_core::Result;

use super::super::answer::{Claim, Coverage};
use super::super::fact::PanelSpec;
use super::super::machine::{Machine, Next, order_of};
use super::super::prompt::{self, Statement};
use super::super::stage::{Given, Stage, What, Who};
use super::super::stance::{Reason, markers, read_reasons};
use super::{other, speaking_chair};

/// The stage in which the chair asks.
const QUESTION: &str = "question";
/// The stage in which members answer.
const ANSWERS: &str = "answers";
/// The stage of the ballots after the questions.
const AFTER: &str = "after";
/// Most claims.
const MAX_CLAIMS: usize = 30;

/// The kinds of question: name, what they are about, and the question that is asked where nobody asks a better one.
pub(crate) const KINDS: [(&str, &str, &str); 6] = [
    (
        "clarification",
        "what exactly is meant, and what would be an example",
        "What exactly does each of these claims mean, for which cases, and what would be an example?",
    ),
    (
        "assumptions",
        "what is taken for granted, and whether it may be",
        "What do these claims take for granted, and what if it were not so?",
    ),
    (
        "evidence",
        "how it is known, from which source, and what would refute it",
        "Which source says each of these claims, how good is it, and what would refute the claim?",
    ),
    (
        "viewpoints",
        "how somebody with another interest or training would see it",
        "How would somebody who disagrees see these claims, and what is the strongest case for that?",
    ),
    (
        "implications",
        "what follows if it is true, and for whom it goes wrong if it is not",
        "What follows if these claims are true, and whom does it harm if they are not?",
    ),
    (
        "the_question",
        "whether this is the question to ask, and what it leaves out",
        "Is this the right question to ask, and which other question would have to be settled first?",
    ),
];

pub(super) fn next(machine: &Machine, spec: &PanelSpec) -> Result<Next> {
    let last = machine.stages.last().map(|stage| stage.name).unwrap_or_default();
    if last == AFTER {
        let all = asked(machine) >= KINDS.len() && new_claims(machine) == 0;
        return Ok(Next::Over(Some(if all { "kinds_covered" } else { "max_rounds" })));
    }
    let done = asked(machine);
    let round = done as u32 + 2;
    let names = machine.names();
    if last == QUESTION {
        return Ok(Next::Stage(answers(machine, round)));
    }
    let covered = done >= KINDS.len() && new_claims(machine) == 0;
    let shown = shown(machine, names);
    if covered || round >= spec.rounds {
        let task = prompt::write("after_questions", context! { claims => shown });
        let asks = machine.voters().into_iter().map(|seat| machine.ballot(spec, round, seat, &task, false));
        return Ok(Next::Stage(Stage::new(AFTER, asks.collect())));
    }
    match speaking_chair(spec) {
        Some(chair) => {
            let (kind, about, _) = KINDS[done % KINDS.len()];
            let task = prompt::write("ask", context! { claims => shown, kind => kind, about => about });
            let what = What::Question(done % KINDS.len());
            Ok(Next::Stage(Stage::new(QUESTION, vec![other(round, Who::Seat(chair), what, task)])))
        }
        None => Ok(Next::Stage(answers(machine, round))),
    }
}

fn answers(machine: &Machine, round: u32) -> Stage {
    let kind = (round as usize - 2) % KINDS.len();
    let names = machine.names();
    let question = question(machine, round);
    let values = context! {
        claims => shown(machine, names),
        kind => KINDS[kind].0,
        question => prompt::fenced(&question, names),
    };
    let task = prompt::write("answer", values);
    let ask = |seat| other(round, Who::Seat(seat), What::Answer(kind), task.clone());
    Stage::new(ANSWERS, machine.voters().into_iter().map(ask).collect())
}

/// The question of a round: the chair's, or the one that its kind has.
pub(crate) fn question(machine: &Machine, round: u32) -> String {
    let of =
        |stage: &&Stage| stage.name == QUESTION && stage.asks.first().is_some_and(|ask| ask.round == round);
    let written = machine.stages.iter().rfind(of).and_then(|stage| stage.value(0));
    let own = KINDS[(round as usize).saturating_sub(2) % KINDS.len()].2;
    written.and_then(|value| value["text"].as_str()).unwrap_or(own).to_owned()
}

/// How many questions were answered.
fn asked(machine: &Machine) -> usize {
    machine.stages.iter().filter(|stage| stage.name == ANSWERS).count()
}

/// How many claims the last question has brought.
fn new_claims(machine: &Machine) -> usize {
    let round = asked(machine) as u32 + 1;
    claims(machine).iter().filter(|claim| claim.round == round && round > 1).count()
}

/// Every claim, with what became of it.
pub(crate) fn claims(machine: &Machine) -> Vec<Claim> {
    let Some(spec) = machine.spec() else { return Vec::new() };
    let mut out: Vec<Claim> = Vec::new();
    let mut authors: Vec<Vec<usize>> = Vec::new();
    let mut add = |out: &mut Vec<Claim>, seat: usize, round: u32, reason: &Reason| {
        if let Some(at) = out.iter().position(|claim| claim.text.trim() == reason.text.trim()) {
            authors[at].push(seat);
            let more = reason.citations.iter().filter(|marker| !out[at].citations.contains(marker)).cloned();
            let more: Vec<String> = more.collect();
            out[at].citations.extend(more);
        } else if out.len() < MAX_CLAIMS {
            authors.push(vec![seat]);
            out.push(Claim {
                number: out.len() + 1,
                text: reason.text.clone(),
                member: spec.seats[seat].id.clone(),
                round,
                status: String::new(),
                citations: reason.citations.clone(),
            });
        }
    };
    let given = machine.given();
    let mut blind: Vec<&Given> = given.iter().filter(|one| one.round == 1).collect();
    blind.sort_by_key(|one| order_of(spec, "claims", 1, "", one));
    for one in blind {
        one.said.reasons.iter().for_each(|reason| add(&mut out, one.seat, 1, reason));
    }
    // Who says what of which claim: seat, claim, status, sources.
    let mut marks: Vec<(usize, usize, String, Vec<String>)> = Vec::new();
    for stage in machine.stages.iter().filter(|stage| stage.name == ANSWERS && stage.open().is_empty()) {
        let mut said: Vec<(u64, usize, u32, &serde_json::Value)> = Vec::new();
        for (i, ask) in stage.asks.iter().enumerate() {
            let (Who::Seat(seat), Some(value)) = (ask.who, stage.value(i)) else { continue };
            let key =
                super::super::seat::draw(spec.seed, &["answers", &value.to_string(), &spec.seats[seat].key]);
            said.push((key, seat, ask.round, value));
        }
        said.sort_by_key(|one| one.0);
        for (_, seat, round, value) in said {
            for mark in value["claims"].as_array().into_iter().flatten() {
                let number = mark["claim"].as_u64().unwrap_or(0) as usize;
                let status = mark["status"].as_str().unwrap_or_default().to_owned();
                if (1..=out.len()).contains(&number) {
                    marks.push((seat, number, status, markers(&mark["citations"], machine.sources())));
                }
            }
            for reason in read_reasons(&value["new_claims"], machine.sources()) {
                add(&mut out, seat, round, &reason);
            }
        }
    }
    for (at, claim) in out.iter_mut().enumerate() {
        let mut last: std::collections::BTreeMap<usize, (&str, &[String])> =
            std::collections::BTreeMap::new();
        for (seat, number, status, citations) in &marks {
            if *number == claim.number {
                last.insert(*seat, (status, citations));
            }
        }
        for (status, citations) in last.values() {
            if *status == "supported" {
                let more: Vec<String> =
                    citations.iter().filter(|marker| !claim.citations.contains(marker)).cloned().collect();
                claim.citations.extend(more);
            }
        }
        claim.citations.sort();
        let supports =
            last.values().filter(|(status, cited)| *status == "supported" && !cited.is_empty()).count();
        let concedes = last.values().filter(|(status, _)| *status == "conceded").count();
        let own = |seat: &usize| last.get(seat).is_some_and(|(status, _)| *status == "conceded");
        let by_authors = authors[at].iter().all(own);
        claim.status = if by_authors || concedes > supports.max(usize::from(!claim.citations.is_empty())) {
            "conceded"
        } else if !claim.citations.is_empty() {
            "supported"
        } else {
            "open"
        }
        .to_owned();
    }
    out
}

/// The claims as members read them.
fn shown(machine: &Machine, names: Option<&prompt::Names>) -> String {
    let all = claims(machine);
    let lines = all.iter().map(|claim| {
        let one = Statement { by: None, of: None, text: &claim.text, citations: &claim.citations };
        format!("{}. ({}) {}", claim.number, claim.status, prompt::statements([one].into_iter(), names))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Which kinds were asked, and answered by how many.
pub(crate) fn coverage(machine: &Machine) -> Vec<Coverage> {
    let of = |(kind, (name, _, _)): (usize, &(&str, &str, &str))| {
        let stages = machine.stages.iter().filter(|stage| {
            stage.name == ANSWERS && stage.asks.first().is_some_and(|ask| ask.what == What::Answer(kind))
        });
        let (mut asked, mut answered) = (0, 0);
        for stage in stages {
            asked += 1;
            answered += (0..stage.asks.len()).filter(|i| stage.value(*i).is_some()).count();
        }
        Coverage { kind: (*name).to_owned(), asked, answered }
    };
    KINDS.iter().enumerate().map(of).collect()
}

/// The last ballot where it says the same as the blind one, or names a source; else the blind one.
pub(super) fn counted(given: &[Given], last: Vec<Given>) -> Vec<Given> {
    let one = |last: Given| {
        let blind = given.iter().find(|one| one.seat == last.seat && one.round == 1);
        match blind {
            Some(blind) if blind.holds != last.holds && !last.is_cited() => blind.clone(),
            _ => last,
        }
    };
    last.into_iter().map(one).collect()
}
