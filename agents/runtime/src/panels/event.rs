//! What does a panel show while it goes on, and afterwards?
//!
//! Events follow from the facts by one function, so that those of a journal are those that were shown live.

use quorate_core::Result;
use serde_json::{Map, Value, json};

use super::fact::{Outcome, PanelFact};
use super::machine::Machine;
use super::stage::{What, Who};
use crate::event::Event;
use crate::fact::Status;

/// Follows a panel fact by fact.
#[derive(Default)]
pub(crate) struct Events {
    seq: u64,
    /// The rounds that have been shown to begin, and to end.
    begun: u32,
    ended: u32,
    events: Vec<Event>,
}

impl Events {
    /// For a panel that has come so far already.
    pub(crate) fn after(machine: &Machine) -> Self {
        let begun = machine.last_round();
        let over = machine.is_over();
        Events {
            begun,
            ended: if over { begun } else { begun.saturating_sub(machine.rounds_at_once()) },
            ..Events::default()
        }
    }

    /// The events that have come up.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What a fact shows; `after` is the panel once it has happened. Errors: those of the consensus engine.
    pub(crate) fn follow(&mut self, fact: &PanelFact, after: &Machine, time: f64) -> Result<()> {
        let push = |this: &mut Self, kind: &str, agent: Option<String>, round: Option<u32>, data: Value| {
            this.seq += 1;
            let data = match data {
                Value::Object(data) => data,
                _ => Map::new(),
            };
            let (run_id, kind) = (after.run_id.clone(), kind.to_owned());
            this.events.push(Event { kind, run_id, seq: this.seq, time, agent, round, data });
        };
        let Some(spec) = after.spec() else { return Ok(()) };
        match fact {
            PanelFact::Opened(_) | PanelFact::Resumed { .. } => {
                let session = after.session("running");
                let members = session.map(|session| session.members);
                let resumed = matches!(fact, PanelFact::Resumed { .. });
                let data = json!({"mode": "panel", "panel": spec.kind, "question": spec.question, "members": members, "resumed": resumed});
                push(self, "run_start", None, None, data);
            }
            PanelFact::Retrieved { passages } => {
                let data = json!({"question": spec.question, "sources": passages.len()});
                push(self, "context", None, None, data);
            }
            PanelFact::Said { at, said, spent, seconds, .. } => {
                let Some(ask) = after.ask(*at) else { return Ok(()) };
                let agent = match ask.who {
                    Who::Seat(seat) => spec.seats[seat].id.clone(),
                    Who::Judge => "judge".to_owned(),
                };
                let round = Some(ask.round).filter(|round| *round > 0);
                match said {
                    Outcome::None { reason, message } => {
                        push(
                            self,
                            "warning",
                            Some(agent.clone()),
                            round,
                            json!({"code": reason, "message": message}),
                        );
                    }
                    Outcome::Answer { value, .. } => match (ask.what, after.read(*at, value)) {
                        (What::Ballot, Ok(Some(ballot))) => {
                            let data = json!({
                                "position": ballot.stance.plain(), "holds": ballot.stance.holds(), "confidence": ballot.confidence,
                                "reasons": ballot.reasons, "objection": ballot.objection,
                            });
                            push(self, "ballot", Some(agent.clone()), round, data);
                        }
                        (What::Ballot, _) => {
                            let message = "neither the member nor the sources can tell";
                            let data = json!({"code": "abstained", "message": message});
                            push(self, "warning", Some(agent.clone()), round, data);
                        }
                        (what, _) => {
                            let data = json!({"kind": what.entry(ask.round), "text": value["text"].as_str(), "said": value});
                            push(self, "step_end", Some(agent.clone()), round, data);
                        }
                    },
                }
                let data = json!({"usage": spent.usage, "cost": spent.cost, "seconds": seconds});
                push(self, "usage", Some(agent), round, data);
            }
            PanelFact::Refused { by } => {
                let message = format!("the budget's limit '{by}' is reached");
                push(
                    self,
                    "warning",
                    None,
                    None,
                    json!({"code": "budget_exceeded", "limit": by, "message": message}),
                );
            }
            PanelFact::Grouped { .. }
            | PanelFact::Failed { .. }
            | PanelFact::Cancelled
            | PanelFact::Ended { .. } => {}
        }
        let last = after.last_round();
        let done = if after.is_over() { last } else { last.saturating_sub(after.rounds_at_once()) };
        loop {
            if self.ended < self.begun.min(done) {
                self.ended += 1;
                let of = after.round(spec, &after.given(), &after.counts(), self.ended)?;
                push(self, "round_end", None, Some(self.ended), json!({"result": of}));
            } else if self.begun < last {
                self.begun += 1;
                push(self, "round_start", None, Some(self.begun), json!({}));
            } else {
                break;
            }
        }
        if let PanelFact::Ended { status } = fact {
            let result = json!(after.answer()?);
            match status {
                Status::Cancelled => push(self, "cancelled", None, None, json!({"partial": result})),
                Status::Failed => {
                    let (code, message) = after.failure.clone().unwrap_or_default();
                    let data = json!({"code": code, "message": message, "partial": result});
                    push(self, "error", None, None, data);
                }
                _ => push(self, "end", None, None, json!({"result": result})),
            }
        }
        Ok(())
    }
}

impl Machine {
    /// How many rounds go on side by side: of a sequential panel both passes do.
    pub(super) fn rounds_at_once(&self) -> u32 {
        let Some(last) = self.stages.last() else { return 1 };
        let rounds = last.asks.iter().map(|ask| ask.round);
        rounds.clone().max().zip(rounds.min()).map_or(1, |(most, least)| most - least + 1)
    }
}
