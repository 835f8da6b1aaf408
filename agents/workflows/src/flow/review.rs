//! What can people be asked, and how do they answer?

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::{Code, Result};
use quorate_state::{Entry, Listed};
use serde::Serialize;
use serde_json::{Value, json};

use super::engine::{Hold, REVIEWS};
use super::fact::{Fact, Waiting};
use super::handle::WorkflowRun;

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
    /// Since when its run is paused.
    #[serde(skip)]
    paused: Option<f64>,
    /// The entry in which it was opened, and the visit of its step.
    #[serde(skip)]
    opened_in: u64,
    #[serde(skip)]
    visit: u32,
    /// Who has claimed it by this handle.
    #[serde(skip)]
    holder: Arc<Mutex<Option<String>>>,
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
    let mut found = found.into_iter().peekable();
    while let Some(first) = found.next() {
        let (run_id, from) = (first.run_id.clone(), first.entry.seq);
        let mut open: Vec<Review> = asked(hold, first).into_iter().collect();
        while let Some(next) = found.next_if(|next| next.run_id == run_id) {
            open.extend(asked(hold, next));
        }
        // Claims, votes and escalations stand in later entries; what was before they do not change.
        let later = match inner.store.entries(inner.tenant.as_deref(), &run_id, from + 1) {
            Ok(later) => later,
            Err(error) if error.code() == Code::UnknownId => continue,
            Err(error) => return Err(error),
        };
        inner.entries_read.fetch_add(later.len() as u64, Ordering::Relaxed);
        for entry in &later {
            if CHANGES.contains(&entry.kind.as_str()) {
                let fact = Fact::of(entry)?;
                open.retain_mut(|review| review.take(&fact, entry));
            }
        }
        reviews.append(&mut open);
    }
    Ok(reviews)
}

/// Facts by which a review changes, or is over.
const CHANGES: [&str; 12] = [
    "paused",
    "resumed",
    "review_claimed",
    "review_delegated",
    "review_voted",
    "review_escalated",
    "step_completed",
    "step_failed",
    "step_skipped",
    "step_cancelled",
    "step_blocked",
    "went_back",
];

/// A review as it was opened.
fn asked(hold: &Arc<Hold>, one: Listed) -> Option<Review> {
    let seq = one.entry.seq;
    let Ok(Fact::StepWaits { step, visit, wait: Waiting::Review(asked) }) = Fact::of(&one.entry) else {
        return None;
    };
    let asked = *asked;
    Some(Review {
        id: asked.id,
        run: WorkflowRun::new(hold, one.run_id.clone()),
        run_id: one.run_id,
        step,
        role: asked.role,
        title: asked.title,
        options: asked.options,
        data: asked.data,
        due: asked.due,
        opened: asked.opened,
        claimed_by: None,
        escalated: 0,
        people: asked.people,
        votes: Vec::new(),
        forbid: asked.forbid,
        opened_in: seq,
        visit,
        paused: None,
        holder: Arc::default(),
    })
}

impl Review {
    /// Takes in what happened later; whether it is still open.
    fn take(&mut self, fact: &Fact, entry: &Entry) -> bool {
        if entry.seq <= self.opened_in {
            return true;
        }
        match fact {
            Fact::Paused { .. } => self.paused = Some(entry.time),
            Fact::Resumed { .. } => {
                // A pause is no part of the time that people have.
                let pause = self.paused.take().map_or(0.0, |paused| entry.time - paused);
                self.due = self.due.map(|due| due + pause.max(0.0));
            }
            Fact::ReviewClaimed { review, by } | Fact::ReviewDelegated { review, to: by, .. }
                if *review == self.id =>
            {
                self.claimed_by = Some(by.clone());
            }
            Fact::ReviewVoted { review, by, option, .. } if *review == self.id => {
                self.votes.push((by.clone(), option.clone()));
                self.claimed_by = None;
            }
            Fact::ReviewEscalated { review, role, due } if *review == self.id => {
                self.escalated += 1;
                self.claimed_by = None;
                self.role.clone_from(role);
                self.due = *due;
            }
            Fact::StepCompleted { step, visit, .. }
            | Fact::StepFailed { step, visit, .. }
            | Fact::StepSkipped { step, visit, .. }
            | Fact::StepCancelled { step, visit, .. }
            | Fact::StepBlocked { step, visit, .. } => {
                return *step != self.step || *visit != self.visit;
            }
            Fact::WentBack { steps, .. } => return !steps.contains(&self.step),
            _ => {}
        }
        true
    }

    /// Takes the review, so that nobody else decides it. Errors: `run_conflict` where somebody else has, or it is decided;
    /// `invalid_argument` for who may not decide.
    pub fn claim(&self, user: &str) -> Result<()> {
        self.run.say("claim", &json!({"review": self.id, "by": user}))?;
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(user.to_owned());
        Ok(())
    }

    /// Decides it. Errors: those of [`Review::claim`]; `invalid_argument` for an option that there is not.
    pub fn decide(&self, option: &str, by: &str, comment: Option<&str>, data: Value) -> Result<()> {
        let word = json!({"review": self.id, "option": option, "by": by, "comment": comment, "data": data});
        self.run.say("decide", &word)
    }

    /// Gives it to somebody else. Once somebody has claimed it only they may, or who is named by its role; before, whoever may
    /// decide it. Without `by`: whoever has claimed it by this handle, and where nobody has, it is claimed for `to`.
    ///
    /// Errors: `invalid_argument` for who may not decide; `run_conflict` where somebody else has it, and once it is decided.
    pub fn delegate(&self, to: &str, by: Option<&str>) -> Result<()> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let by = by.map(str::to_owned).or_else(|| holder.clone());
        self.run.say("delegate", &json!({"review": self.id, "to": to, "by": by}))?;
        *holder = None;
        Ok(())
    }
}
