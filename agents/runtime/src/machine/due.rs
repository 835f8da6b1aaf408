//! Which action follows?

use quorate_models::Finish;

use super::{Action, Machine, PLAN_ID, Pending, Stage};
use crate::evidence::Passage;
use crate::fact::Status;

impl Machine {
    /// What is to be done now. All of it may be done at once; nothing of it twice.
    pub(crate) fn due(&self) -> Vec<Action> {
        if !self.is_started() || self.ended.is_some() {
            return Vec::new();
        }
        if self.cancelled || self.denied || self.failure.is_some() || self.stage == Stage::Over {
            return vec![Action::End { status: self.outcome() }];
        }
        if self.spec.matching && self.candidates.is_none() {
            return vec![Action::Match];
        }
        if self.nobody {
            return vec![Action::End { status: Status::Abstained }];
        }
        if let Some(question) = self.unknown_question() {
            return vec![Action::Retrieve { question }];
        }
        if let Some(round) = &self.round {
            let waiting = round.waiting(&self.spec.tools);
            if !waiting.is_empty() {
                return vec![Action::Decide { pending: waiting }];
            }
            let ready = round.ready();
            let pending = round.asked_below();
            if ready.is_empty() && !pending.is_empty() {
                return vec![Action::Decide { pending }];
            }
            return ready.into_iter().map(|call| Action::Run { call }).collect();
        }
        match self.stage {
            Stage::Plan if self.plan.is_some() => vec![Action::Decide { pending: self.pending_plan() }],
            Stage::Check if self.is_checked() => vec![Action::Check],
            Stage::Check => vec![Action::End { status: self.outcome() }],
            _ => vec![self.ask()],
        }
    }

    fn ask(&self) -> Action {
        let call = self.asked + 1;
        if self.spec.extractive {
            let question = match self.stage {
                Stage::Act(at) => self.task(at).to_owned(),
                _ => self.spec.question.clone(),
            };
            return Action::Extract { call, question };
        }
        Action::Ask { call, request: Box::new(self.request()), last: self.stage == Stage::Last }
    }

    /// The question that passages are looked for next.
    fn unknown_question(&self) -> Option<String> {
        if !self.spec.retrieval {
            return None;
        }
        let question = match self.stage {
            Stage::Prepare => self.spec.question.as_str(),
            Stage::Act(at) => self.task(at),
            _ => return None,
        };
        (!self.looked_up.contains(question)).then(|| question.to_owned())
    }

    fn pending_plan(&self) -> Vec<Pending> {
        let arguments = self.plan.as_ref().map(super::Plan::arguments).unwrap_or_default();
        vec![Pending {
            id: PLAN_ID.to_owned(),
            name: PLAN_ID.to_owned(),
            arguments,
            effect: "read".to_owned(),
            run_id: None,
            agent: None,
        }]
    }

    /// Whether there is a text whose statements can be looked up, and that was not done. What sentences of the sources say
    /// is in the sources.
    fn is_checked(&self) -> bool {
        self.checks.is_none() && !self.text.trim().is_empty() && !self.passages.is_empty()
    }

    fn outcome(&self) -> Status {
        if self.cancelled {
            return Status::Cancelled;
        }
        if self.failure.is_some() {
            return Status::Failed;
        }
        if self.denied || matches!(self.finish, Some(Finish::Refusal | Finish::Filtered)) {
            return Status::Refused;
        }
        if self.stopped_by.as_deref() == Some(NOT_IN_SOURCES) {
            return Status::Abstained;
        }
        if self.stopped_by.is_some() { Status::Partial } else { Status::Done }
    }

    /// The passages of the prompt, fewer where it was too long.
    pub(super) fn shown(&self) -> &[Passage] {
        let most = self.passages.len() >> self.trimmed;
        &self.passages[..most]
    }
}

/// Why a run of the extractive expert ends without an answer.
pub(crate) const NOT_IN_SOURCES: &str = "not_in_sources";
