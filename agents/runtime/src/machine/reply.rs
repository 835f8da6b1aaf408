//! What does an answer of the model do to a run?

use quorate_core::Result;
use quorate_models::{Finish, Message, ToolCall};

use super::due::NOT_IN_SOURCES;
use super::{Machine, Stage, line};
use crate::extractive::NOT_IN_SOURCES as MISSING;
use crate::fact::Answered;
use crate::prompt;

/// Why a run ends whose model has twice given an answer that says nothing.
const EMPTY: &str = "empty_answer";

impl Machine {
    /// A model has answered.
    pub(super) fn replied(&mut self, call: u32, reply: &Answered) -> Result<()> {
        self.asked = self.asked.max(call);
        self.unrun.clear();
        self.spent.steps += 1;
        self.spent.usage += reply.usage;
        self.spent.cost = self.spent.cost.zip(reply.cost).map(|(before, more)| before + more);
        self.spent.counted += reply.cost.or(reply.counted).unwrap_or(0.0);
        self.spent.unknown = self.spent.unknown.saturating_add(reply.unknown.unwrap_or(0));
        self.finish = reply.finish;
        let said = reply.message.text();
        let calls: Vec<&ToolCall> = reply.message.calls().collect();
        let detail = match calls.as_slice() {
            [] => line(&said),
            calls => {
                let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
                format!("calls {}", names.join(", "))
            }
        };
        let kind = if self.stage == Stage::Plan { "plan" } else { "model" };
        self.step(kind, &reply.model, detail, reply.seconds, None);
        if let Some(confidence) = reply.confidence {
            // Of several questions the answer to one may do.
            self.confidence = Some(self.confidence.map_or(confidence, |before| before.max(confidence)));
        }
        self.cited.extend(reply.citations.iter().cloned());
        let tools = matches!(self.stage, Stage::Act(_) | Stage::Answer);
        if reply.finish == Some(Finish::ToolCalls) && !calls.is_empty() && tools {
            calls.iter().for_each(|call| self.know_call(&call.id));
            self.thread.push(reply.message.clone());
            self.open_round(&calls);
            return Ok(());
        }
        if matches!(reply.finish, Some(Finish::Refusal | Finish::Filtered)) {
            self.text = said;
            self.stopped_by = Some("model_refused".to_owned());
            self.denied = true;
            return Ok(());
        }
        if self.says_nothing(reply, &said) {
            if !self.emptied {
                self.emptied = true;
                self.thread.push(Message::user(prompt::EMPTY));
                return Ok(());
            }
            self.stopped_by.get_or_insert_with(|| EMPTY.to_owned());
        }
        let answers = !matches!(self.stage, Stage::Plan | Stage::Act(_));
        if reply.finish == Some(Finish::Length) && answers && self.stopped_by.is_none() {
            // The budget has made it so short, or the model's own limit.
            self.stopped_by = Some(reply.capped.clone().unwrap_or_else(|| "length".to_owned()));
        }
        let missing = self.spec.extractive && said == MISSING;
        match self.stage {
            Stage::Plan => self.planned(reply),
            Stage::Act(at) => self.found(at, if missing { "" } else { &said }),
            Stage::Answer | Stage::Last if missing => self.not_in_sources(),
            Stage::Answer if self.needs_form() => {
                self.thread.push(Message::assistant(said));
                self.stage = Stage::Finish;
            }
            Stage::Answer | Stage::Finish | Stage::Revise | Stage::Last => {
                // A revision that says nothing leaves what there was.
                if !said.trim().is_empty() || self.text.is_empty() {
                    self.text = said;
                }
                if reply.output.is_some() {
                    self.output.clone_from(&reply.output);
                }
                self.stage = Stage::Check;
                self.checks = None;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether this is to be the answer, and is none.
    fn says_nothing(&self, reply: &Answered, said: &str) -> bool {
        let answers = match self.stage {
            // The form is asked for next, in which the answer is given.
            Stage::Answer => !self.needs_form(),
            Stage::Finish | Stage::Last => true,
            _ => false,
        };
        answers && said.trim().is_empty() && reply.output.is_none()
    }

    /// The sources do not say it.
    pub(super) fn not_in_sources(&mut self) {
        self.text = MISSING.to_owned();
        self.stopped_by.get_or_insert_with(|| NOT_IN_SOURCES.to_owned());
        self.stage = Stage::Over;
    }
}
