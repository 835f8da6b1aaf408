//! What can people be asked, and how do they answer?

use std::sync::Arc;

use quorate_core::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::engine::{Hold, REVIEWS};
use super::fact::{Fact, Waiting};
use super::handle::WorkflowRun;
use super::state::Phase;

/// A review that is open.
#[derive(Clone, Serialize)]
pub struct Review {
    /// Its id.
    pub id: String,
    /// The run that waits for it.
    pub run_id: String,
    /// The step.
    pub step: String,
    /// Who decides; after an escalation, another role.
    pub role: String,
    /// What people read.
    pub title: String,
    /// What can be decided.
    pub options: Vec<String>,
    /// What there is to see.
    pub data: Value,
    /// When it is to be decided, in seconds since 1970.
    pub due: Option<f64>,
    /// When it was opened.
    pub opened: f64,
    /// Who has claimed it.
    pub claimed_by: Option<String>,
    /// How often it was escalated.
    pub escalated: u32,
    /// How many different people must choose the same.
    pub people: u32,
    /// Who has chosen what so far, where that is more than one.
    pub votes: Vec<(String, String)>,
    /// Users who may not decide.
    pub forbid: Vec<String>,
    #[serde(skip)]
    run: WorkflowRun,
}

impl std::fmt::Debug for Review {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Review").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

pub(crate) fn listed(hold: &Arc<Hold>, role: Option<&str>, run: Option<&str>) -> Result<Vec<Review>> {
    let inner = &hold.0;
    let found = inner.store.listed(inner.tenant.as_deref(), REVIEWS, role, run)?;
    let mut reviews = Vec::with_capacity(found.len());
    for one in found {
        let Fact::StepWaits { step, wait: Waiting::Review(asked), .. } = Fact::of(&one.entry)? else {
            continue;
        };
        let run = WorkflowRun::new(hold, one.run_id.clone());
        // Claims, votes and escalations stand in later entries.
        let machine = run.machine()?;
        let Some(i) = machine.plan.find(&step) else { continue };
        let state = &machine.state.steps[i];
        let Some(Waiting::Review(now)) = &state.wait else { continue };
        if state.phase != Phase::Waiting || now.id != asked.id {
            continue;
        }
        reviews.push(Review {
            id: now.id.clone(),
            run_id: one.run_id,
            step,
            role: now.role.clone(),
            title: now.title.clone(),
            options: now.options.clone(),
            data: now.data.clone(),
            due: now.due,
            opened: now.opened,
            claimed_by: state.claimed.clone(),
            escalated: state.escalated,
            people: now.people,
            votes: state.votes.iter().map(|vote| (vote.by.clone(), vote.option.clone())).collect(),
            forbid: now.forbid.clone(),
            run,
        });
    }
    Ok(reviews)
}

impl Review {
    /// Takes the review, so that nobody else decides it. Errors: `run_conflict` where somebody else has, or it is decided;
    /// `invalid_argument` for who may not decide.
    pub fn claim(&self, user: &str) -> Result<()> {
        self.run.say("claim", &json!({"review": self.id, "by": user}))
    }

    /// Decides it. Errors: those of [`Review::claim`]; `invalid_argument` for an option that there is not.
    pub fn decide(&self, option: &str, by: &str, comment: Option<&str>, data: Value) -> Result<()> {
        let word = json!({"review": self.id, "option": option, "by": by, "comment": comment, "data": data});
        self.run.say("decide", &word)
    }

    /// Gives it to somebody else. Errors: `invalid_argument` for who may not decide; `run_conflict` once it is decided.
    pub fn delegate(&self, to: &str, by: Option<&str>) -> Result<()> {
        self.run.say("delegate", &json!({"review": self.id, "to": to, "by": by}))
    }
}
