//! What do the facts of a panel add up to, for who asked?

use quorate_core::Result;

use super::answer::{
    Dropped, LogEntry, Minority, Objection, PanelAnswer, PanelBallot, PanelMember, PanelRound, PanelSession,
};
use super::conformity;
use super::fact::{Outcome, PanelSpec};
use super::machine::Machine;
use super::options::PanelKind;
use super::protocol::{self, debate, delphi, sequential, socratic};
use super::stage::{Given, What, Who};
use super::stance::{markers, read_reasons};
use super::tally;
use crate::answer::citations;
use crate::evidence::Citation;
use crate::fact::Status;

impl Machine {
    /// The answer as far as it has come. Errors: those of the consensus engine.
    pub(crate) fn answer(&self) -> Result<PanelAnswer> {
        let Some(spec) = self.spec() else {
            return Err(quorate_core::Error::invalid("the panel was not opened"));
        };
        let given = self.given();
        let counted = self.counted(&given);
        let standing: Vec<&Given> = counted.iter().collect();
        let counts = self.counts();
        // What too few have said decides nothing.
        let missed = self.stopped_by.as_deref() == Some("quorum_missed");
        let score = if missed { None } else { self.score_of(&standing)? };
        let blind_missed = missed && self.last_round() <= 1;
        let baseline = if blind_missed { None } else { self.score_of(&self.standing(&given, 1))? };
        let ballots = self.ballots(spec, &given, &counted, &counts);
        let (synthesis, synthesis_by) = self.synthesis.clone().unwrap_or_default();
        let kind = spec.kind;
        Ok(PanelAnswer {
            run_id: self.run_id.clone(),
            title: spec.title.clone(),
            question: spec.question.clone(),
            kind,
            ballot: spec.form,
            status: self.status(),
            stopped_by: self.stopped_by.clone().or_else(|| self.rule.map(str::to_owned)),
            minority: minority(score.as_ref(), &ballots),
            score,
            baseline,
            members: members(spec, &counts),
            weights: spec.weights,
            rounds: self.rounds(spec, &given, &counts)?,
            log: self.log(spec),
            citations: self.cited(&ballots, &synthesis),
            ballots,
            synthesis,
            synthesis_by,
            dropped: self.dropped(spec),
            conformity: conformity::measure(self, &given, &counted)?,
            order: if kind == PanelKind::Sequential { sequential::order_test(self, &given) } else { None },
            verdict: if kind == PanelKind::Debate { debate::verdict(self)? } else { None },
            claims: if kind == PanelKind::Socratic { socratic::claims(self) } else { Vec::new() },
            coverage: if kind == PanelKind::Socratic { socratic::coverage(self) } else { Vec::new() },
            objections: if kind == PanelKind::Consensus { self.open_objections(spec) } else { Vec::new() },
            alternative: tally::alternative(spec, &counts, &standing)?,
            warnings: self.warnings(spec),
            usage: self.spent.usage,
            cost: self.spent.cost.map(|_| self.costs.iter().sum()),
        })
    }

    /// The panel as lists show it; `row` is the status in the store.
    pub(crate) fn session(&self, row: &str) -> Option<PanelSession> {
        let spec = self.spec()?;
        let begun = self.stages.iter().any(|stage| stage.outcomes.iter().any(Option::is_some));
        let status = match (self.ended(), row) {
            (Some(Status::Failed), _) => "failed",
            (Some(_), _) => "completed",
            (None, "interrupted" | "waiting") => "waiting",
            (None, _) if begun => "in_progress",
            (None, _) => "created",
        };
        Some(PanelSession {
            run_id: self.run_id.clone(),
            title: spec.title.clone(),
            query: spec.question.clone(),
            kind: spec.kind,
            status: status.to_owned(),
            members: members(spec, &self.counts()),
        })
    }

    fn ballots(
        &self,
        spec: &PanelSpec,
        given: &[Given],
        counted: &[Given],
        counts: &[f64],
    ) -> Vec<PanelBallot> {
        let mut last: Vec<Option<&Given>> = vec![None; spec.seats.len()];
        let mut out = Vec::new();
        for one in given {
            let before = match spec.kind {
                PanelKind::Sequential => {
                    given.iter().find(|other| other.seat == one.seat && other.round == 1)
                }
                _ => last[one.seat],
            };
            let counts_now = |other: &Given| other.seat == one.seat && other.round == one.round;
            out.push(PanelBallot {
                round: one.round,
                member: spec.seats[one.seat].id.clone(),
                position: one.said.stance.clone(),
                holds: one.holds.clone(),
                confidence: one.said.confidence,
                reasons: one.said.reasons.clone(),
                objection: one.said.objection.clone(),
                weight: counts[one.seat],
                changed: before
                    .is_some_and(|before| before.round < one.round && !conformity::is_same(before, one)),
                counted: counted.iter().any(counts_now),
            });
            last[one.seat] = Some(one);
        }
        out.sort_by_key(|ballot| ballot.round);
        out
    }

    /// Round by round.
    pub(crate) fn rounds(
        &self,
        spec: &PanelSpec,
        given: &[Given],
        counts: &[f64],
    ) -> Result<Vec<PanelRound>> {
        (1..=self.last_round()).map(|round| self.round(spec, given, counts, round)).collect()
    }

    pub(crate) fn round(
        &self,
        spec: &PanelSpec,
        given: &[Given],
        counts: &[f64],
        round: u32,
    ) -> Result<PanelRound> {
        // Of two passes neither follows the other.
        let alone = spec.kind == PanelKind::Sequential && round > 1;
        let own: Vec<Given> = given.iter().filter(|one| !alone || one.round == round).cloned().collect();
        let standing = self.standing(&own, round);
        let stage = match (spec.kind, round) {
            (_, 1) => "blind",
            (PanelKind::Sequential, round) if round == sequential::PASSES[0] => "forward",
            (PanelKind::Sequential, _) => "reversed",
            (PanelKind::Consensus, _) => "proposal",
            (PanelKind::Debate, _) if self.asked_in(round) == 0 => "debate",
            (PanelKind::Socratic, _) if self.asked_in(round) == 0 => "question",
            (PanelKind::Delphi, _) => "rating",
            _ => "ballots",
        };
        let written = |machine: &Machine| {
            let up_to =
                machine.stages.iter().rposition(|stage| stage.asks.iter().any(|ask| ask.round == round));
            let mut then = machine.clone();
            then.stages.truncate(up_to.map_or(0, |at| at + 1));
            protocol::proposal(&then)
        };
        let proposal = (spec.kind == PanelKind::Consensus && round > 1).then(|| written(self)).flatten();
        let question = (stage == "question").then(|| {
            let kind = socratic::KINDS[(round as usize - 2) % socratic::KINDS.len()].0;
            (kind.to_owned(), socratic::question(self, round))
        });
        Ok(PanelRound {
            round,
            stage: stage.to_owned(),
            ballots: given.iter().filter(|one| one.round == round).count(),
            asked: self.asked_in(round),
            score: self.score_of(&standing)?,
            spread: tally::spread(spec, counts, &standing)?,
            delphi: match spec.kind {
                PanelKind::Delphi => delphi::judged(self, spec, given, round)?,
                _ => None,
            },
            objections: proposal.is_some().then(|| protocol::objections(self, round).len()),
            proposal,
            question,
        })
    }

    fn log(&self, spec: &PanelSpec) -> Vec<LogEntry> {
        let mut out = Vec::new();
        for (at, stage) in self.stages.iter().enumerate() {
            for (i, ask) in stage.asks.iter().enumerate() {
                let Some(value) = stage.value(i) else { continue };
                let member = match ask.who {
                    Who::Seat(seat) => spec.seats[seat].id.clone(),
                    Who::Judge => "judge".to_owned(),
                };
                let prompt = self.prompts[at][i].as_ref().map(|prompt| prompt.join("\n\n"));
                let entry =
                    |kind: &str, text: String, citations: Vec<String>, prompt: Option<String>| LogEntry {
                        round: ask.round,
                        kind: kind.to_owned(),
                        member: Some(member.clone()),
                        text,
                        citations,
                        prompt,
                    };
                if ask.what != What::Ballot {
                    let (text, cited) = words(ask.what, value, self.sources());
                    out.push(entry(ask.what.entry(ask.round), text, cited, prompt));
                    continue;
                }
                let kind = ask.what.entry(ask.round);
                let Some(said) = self.said(at, i) else {
                    out.push(entry(kind, "abstains".to_owned(), Vec::new(), prompt));
                    continue;
                };
                for reason in &said.reasons {
                    let kind = if ask.round <= 1 { "opening" } else { "response" };
                    out.push(entry(kind, reason.text.clone(), reason.citations.clone(), None));
                }
                if let Some(objection) = &said.objection {
                    out.push(entry("rebuttal", objection.clone(), Vec::new(), None));
                }
                out.push(entry(kind, said.stance.words(), Vec::new(), prompt));
            }
        }
        if let Some((text, by)) = &self.synthesis
            && by == super::synthesis::BALLOTS
        {
            out.push(LogEntry {
                round: self.last_round(),
                kind: "summary".to_owned(),
                member: None,
                text: text.clone(),
                citations: Vec::new(),
                prompt: None,
            });
        }
        out.sort_by_key(|entry| entry.round);
        out
    }

    fn dropped(&self, spec: &PanelSpec) -> Vec<Dropped> {
        let mut out = Vec::new();
        for stage in &self.stages {
            for (i, ask) in stage.asks.iter().enumerate() {
                let member = match ask.who {
                    Who::Seat(seat) => spec.seats[seat].id.clone(),
                    Who::Judge => "judge".to_owned(),
                };
                let abstains = ask.what == What::Ballot;
                let (reason, message) = match (&stage.outcomes[i], &stage.cut) {
                    (Some(Outcome::None { reason, message }), _) => (reason.clone(), message.clone()),
                    (Some(Outcome::Answer { value, .. }), _) if abstains && is_abstention(spec, value) => {
                        ("abstained".to_owned(), "neither the member nor the sources can tell".to_owned())
                    }
                    (None, Some(by)) if by == "cancelled" => {
                        ("cancelled".to_owned(), "the panel was cancelled before it had answered".to_owned())
                    }
                    (None, Some(by)) if by.starts_with("max_") => {
                        ("budget_exceeded".to_owned(), format!("the budget's limit '{by}' is reached"))
                    }
                    (None, Some(by)) => (by.clone(), "the panel ended before it had answered".to_owned()),
                    _ => continue,
                };
                out.push(Dropped { round: ask.round, member, reason, message });
            }
        }
        out.sort_by_key(|one| one.round);
        out
    }

    fn open_objections(&self, spec: &PanelSpec) -> Vec<Objection> {
        let given = self.given();
        let mut out = Vec::new();
        for one in self.standing(&given, u32::MAX) {
            if let Some(text) = &one.said.objection {
                out.push(Objection {
                    member: spec.seats[one.seat].id.clone(),
                    round: one.round,
                    text: text.clone(),
                });
            }
        }
        out
    }

    /// The sources that ballots and synthesis name, in the order of their numbers.
    fn cited(&self, ballots: &[PanelBallot], synthesis: &str) -> Vec<Citation> {
        let passages = self.passages.as_deref().unwrap_or_default();
        let mut markers: Vec<&str> = ballots
            .iter()
            .flat_map(|ballot| &ballot.reasons)
            .flat_map(|r| &r.citations)
            .map(String::as_str)
            .collect();
        markers.push(synthesis);
        let mut cited = citations(&markers.join(" "), passages);
        cited.sort_by_key(|one| one.marker.trim_matches(['[', ']']).parse::<usize>().unwrap_or(0));
        cited
    }

    fn warnings(&self, spec: &PanelSpec) -> Vec<String> {
        let mut out = spec.warnings.clone();
        out.extend(self.others.iter().map(|(id, model)| {
            format!(
                "'{id}' is answered for by another model ({model}) since the panel goes on; which members share a model, and whether \
                 the judge is of another family, was settled before"
            )
        }));
        if !spec.seeds.is_empty() && self.last_round() > 0 && protocol::cooke(self, spec).is_none() {
            out.push(
                "the seed questions could not weigh the members (no answers of the form asked for, or nobody calibrated): the \
                 declared weights were used"
                    .to_owned(),
            );
        }
        out
    }
}

fn is_abstention(spec: &PanelSpec, value: &serde_json::Value) -> bool {
    let form = super::stance::Form {
        form: spec.form,
        options: &spec.options,
        scale: spec.scale,
        sources: 0,
        objects: false,
    };
    matches!(form.read(value), Ok(None))
}

/// What was said, in words, with the sources that it names; of what is no ballot.
fn words(what: What, value: &serde_json::Value, sources: usize) -> (String, Vec<String>) {
    let text = value["text"].as_str().unwrap_or_default().to_owned();
    match what {
        What::Verdict(_) => {
            let winner = value["winner"].as_str().unwrap_or_default();
            (format!("{winner}: {}", value["reason"].as_str().unwrap_or_default()), Vec::new())
        }
        What::Seeds => (value["answers"].to_string(), Vec::new()),
        What::Answer(_) => {
            let more = read_reasons(&value["new_claims"], sources).into_iter().map(|reason| reason.text);
            let lines: Vec<String> = [text].into_iter().chain(more).collect();
            (lines.join("\n"), Vec::new())
        }
        _ => (text, markers(&value["citations"], sources)),
    }
}

fn members(spec: &PanelSpec, counts: &[f64]) -> Vec<PanelMember> {
    let one = |(i, seat): (usize, &super::seat::Seat)| PanelMember {
        id: seat.id.clone(),
        name: seat.name().to_owned(),
        role: seat.role,
        chair: spec.chair == Some(i),
        weight: seat.weight,
        counts: counts.get(i).copied().unwrap_or(0.0),
        model: seat.model.clone(),
        group: seat.group.clone(),
        why: seat.why.clone(),
    };
    spec.seats.iter().enumerate().map(one).collect()
}

fn minority(score: Option<&quorate_consensus::panel::PanelScore>, ballots: &[PanelBallot]) -> Vec<Minority> {
    let Some(score) = score else { return Vec::new() };
    let of = |voter: &str| ballots.iter().rfind(|ballot| ballot.member == voter && ballot.counted).cloned();
    let each = score.minority.minorities.iter().map(|faction| Minority {
        position: faction.position.clone(),
        share: faction.share,
        ballots: faction.members.iter().filter_map(|member| of(&member.voter)).collect(),
    });
    each.collect()
}
