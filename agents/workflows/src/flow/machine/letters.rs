//! What follows from a letter, and from what people decide?

use quorate_state::Letter;
use serde_json::{Value, json};

use super::{Failure, Machine, Moment};
use crate::flow::fact::{Fact, Outcome, Waiting};
use crate::flow::plan::Work;
use crate::flow::state::Phase;

/// Why a letter changes nothing: a code and a message.
type Refusal = (&'static str, String);

impl Machine {
    pub(super) fn hear(&mut self, letter: &Letter, at: &mut Moment<'_>) {
        if letter.number <= self.state.letter {
            return;
        }
        self.note(Fact::Heard { letter: letter.number }, at);
        if let Err((code, message)) = self.obey(letter, at) {
            self.note(Fact::Refused { letter: letter.number, code: code.to_owned(), message }, at);
        }
    }

    /// A letter that came when the run was over, and not yet written down as such.
    pub(super) fn too_late(&mut self, letter: &Letter, at: &mut Moment<'_>) {
        if letter.number <= self.state.letter {
            return;
        }
        self.note(Fact::Heard { letter: letter.number }, at);
        // What is only told changes nothing; who asks for something hears that it is too late.
        if !["signal", "child"].contains(&letter.kind.as_str()) {
            let (code, message) =
                ("run_conflict".to_owned(), "the run is over, and stays as it is".to_owned());
            self.note(Fact::Refused { letter: letter.number, code, message }, at);
        }
    }

    fn obey(&mut self, letter: &Letter, at: &mut Moment<'_>) -> Result<(), Refusal> {
        let text = |name: &str| letter.data.get(name).and_then(Value::as_str).map(str::to_owned);
        let needed = |name: &str| text(name).ok_or(("invalid_argument", format!("a letter lacks '{name}'")));
        // A user is the same with spaces around the name.
        let user = |name: &str| needed(name).map(|user| user.trim().to_owned());
        match letter.kind.as_str() {
            "signal" => {
                let data = letter.data.get("data").cloned().unwrap_or(Value::Null);
                let (number, name, time) = (letter.number, needed("name")?, letter.time);
                self.note(Fact::SignalCame { number, name, data, time }, at);
                for step in 0..self.state.steps.len() {
                    self.take_signal(step, at);
                }
            }
            "cancel" => {
                if self.state.cancel.is_some() || self.state.undoing.is_some() {
                    return Ok(());
                }
                let compensate = letter.data.get("compensate").and_then(Value::as_bool).unwrap_or(true);
                let reason = text("reason").unwrap_or_default();
                self.note(Fact::CancelAsked { reason, by: text("by"), compensate }, at);
            }
            "pause" if !self.state.paused => self.note(Fact::Paused { by: text("by") }, at),
            "resume" if self.state.paused => self.note(Fact::Resumed { by: text("by") }, at),
            "pause" | "resume" => {}
            "child" => {
                // One of an older release says only that something has ended; then it is looked at.
                let outcome = letter.data.get("outcome").cloned();
                let outcome = outcome.and_then(|outcome| serde_json::from_value::<Outcome>(outcome).ok());
                if let (Some(run), Some(outcome)) = (text("run"), outcome) {
                    self.child_ended(&run, outcome, at);
                }
            }
            "retry" => self.retry(text("step").as_deref(), at)?,
            "skip" => self.skip(&needed("step")?, text("by"), at)?,
            "claim" => {
                let (review, by) = (needed("review")?, user("by")?);
                let step = self.open_review(&review)?;
                self.may(step, &by)?;
                self.note(Fact::ReviewClaimed { review, by }, at);
            }
            "delegate" => {
                let (review, by, to) = (needed("review")?, text("by"), user("to")?);
                let by = by.map(|by| by.trim().to_owned());
                let step = self.open_review(&review)?;
                self.may_delegate(step, by.as_deref())?;
                self.allowed(step, &to)?;
                let by = by.unwrap_or_default();
                self.note(Fact::ReviewDelegated { review, by, to }, at);
            }
            "decide" => {
                let (review, by, option) = (needed("review")?, user("by")?, needed("option")?);
                let data = letter.data.get("data").cloned().unwrap_or(Value::Null);
                self.decide(&review, by, option, text("comment"), data, at)?;
            }
            other => return Err(("invalid_argument", format!("'{other}' is no word to a workflow"))),
        }
        Ok(())
    }

    fn open_review(&self, review: &str) -> Result<usize, Refusal> {
        self.state.reviewed(review).ok_or_else(|| {
            let message = format!(
                "the review '{review}' is not open: it was decided, its step was left, or the run is over"
            );
            ("run_conflict", message)
        })
    }

    /// Whether somebody may decide at all.
    fn allowed(&self, step: usize, by: &str) -> Result<(), Refusal> {
        let Some(Waiting::Review(asked)) = &self.state.steps[step].wait else { return Ok(()) };
        if by.trim().is_empty() {
            return Err(("invalid_argument", "who decides is not said".to_owned()));
        }
        if asked.forbid.iter().any(|forbidden| forbidden.trim() == by) {
            let message = format!(
                "'{by}' may not decide '{}': it must be somebody else than who has started the run or decided before",
                asked.title
            );
            return Err(("invalid_argument", message));
        }
        Ok(())
    }

    /// The same, now: nobody else has taken the review.
    fn may(&self, step: usize, by: &str) -> Result<(), Refusal> {
        self.allowed(step, by)?;
        match &self.state.steps[step].claimed {
            Some(other) if other.trim() != by => {
                Err(("run_conflict", format!("'{other}' has claimed the review; they may delegate it")))
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody may give a review to somebody else: who has it; while nobody has, who may take it. Where `by` is not
    /// said, whoever it is given to takes it.
    fn may_delegate(&self, step: usize, by: Option<&str>) -> Result<(), Refusal> {
        let claimed = self.state.steps[step].claimed.as_deref();
        let role = match &self.state.steps[step].wait {
            Some(Waiting::Review(asked)) => asked.role.as_str(),
            _ => "",
        };
        match (claimed, by) {
            (None, None) => Ok(()),
            (Some(_), Some(by)) if by == role => Ok(()),
            (_, Some(by)) => self.may(step, by),
            (Some(holder), None) => {
                let message =
                    format!("'{holder}' has claimed the review; only they may delegate it: say by whom");
                Err(("run_conflict", message))
            }
        }
    }

    fn decide(
        &mut self,
        review: &str,
        by: String,
        option: String,
        comment: Option<String>,
        data: Value,
        at: &mut Moment<'_>,
    ) -> Result<(), Refusal> {
        let step = self.open_review(review)?;
        self.may(step, &by)?;
        let Some(Waiting::Review(asked)) = &self.state.steps[step].wait else { return Ok(()) };
        if !asked.options.contains(&option) {
            let message = format!("'{option}' is none of {}", asked.options.join(", "));
            return Err(("invalid_argument", message));
        }
        let votes = &self.state.steps[step].votes;
        if votes.iter().any(|vote| vote.by.trim() == by) {
            return Err(("run_conflict", format!("'{by}' has decided already, and others must agree")));
        }
        let mut people: Vec<String> =
            votes.iter().filter(|vote| vote.option == option).map(|vote| vote.by.clone()).collect();
        people.push(by.clone());
        if (people.len() as u32) < asked.people {
            let review = review.to_owned();
            self.note(Fact::ReviewVoted { review, by, option, comment, data }, at);
            return Ok(());
        }
        self.decided(step, Some(option), people, comment, data, false, at);
        Ok(())
    }

    /// A review is over; its route is taken.
    #[allow(clippy::too_many_arguments)] // one fact
    pub(super) fn decided(
        &mut self,
        step: usize,
        option: Option<String>,
        people: Vec<String>,
        comment: Option<String>,
        data: Value,
        late: bool,
        at: &mut Moment<'_>,
    ) {
        let output = json!({
            "decision": option, "by": people.last(), "people": people, "comment": comment, "data": data, "late": late,
        });
        self.complete(step, output, at);
        let route = option.and_then(|option| {
            let (target, max) = *self.plan.steps[step].routes.get(&option)?;
            Some((option, target, max))
        });
        if let Some((option, target, max)) = route {
            self.go_back(step, target, &option, max, at);
        }
    }

    /// A review was not decided in time.
    pub(super) fn late(&mut self, step: usize, at: &mut Moment<'_>) {
        let Work::Review { form, due, .. } = &self.plan.steps[step].work else { return };
        let Some(Waiting::Review(asked)) = &self.state.steps[step].wait else { return };
        let (then, options) = (form.on_timeout.clone(), &form.options);
        match then.as_deref() {
            Some("escalate") => {
                let role = form.escalate_to.clone().unwrap_or_else(|| asked.role.clone());
                let due = due.map(|due| at.now + due.max(1.0));
                let review = asked.id.clone();
                self.note(Fact::ReviewEscalated { review, role, due }, at);
            }
            Some("continue") => self.decided(step, None, Vec::new(), None, Value::Null, true, at),
            Some(option) if options.iter().any(|one| one == option) => {
                let option = Some(option.to_owned());
                self.decided(step, option, Vec::new(), None, Value::Null, true, at);
            }
            _ => {
                let message = format!("'{}' was not decided in time", asked.title);
                self.fail_for_good(step, Failure::new("timeout", message), at);
            }
        }
    }

    fn retry(&mut self, step: Option<&str>, at: &mut Moment<'_>) -> Result<(), Refusal> {
        let stuck = |phase: Phase| matches!(phase, Phase::Blocked | Phase::Backoff);
        let steps: Vec<usize> = match step {
            None => (0..self.state.steps.len()).filter(|step| stuck(self.state.steps[*step].phase)).collect(),
            Some(id) => {
                let step =
                    self.plan.find(id).ok_or_else(|| ("unknown_id", format!("there is no step '{id}'")))?;
                if stuck(self.state.steps[step].phase) { vec![step] } else { Vec::new() }
            }
        };
        if steps.is_empty() {
            return Err(("run_conflict", "nothing is blocked or waits to be tried again".to_owned()));
        }
        for step in steps {
            // What is within it is done anew.
            let plan = std::sync::Arc::clone(&self.plan);
            let mut within = vec![step];
            while let Some(outer) = within.pop() {
                let visit = self.state.steps[outer].visit;
                self.note(Fact::StepRetried { step: plan.steps[outer].id.clone(), visit }, at);
                if let Work::Parallel { children, .. } = &plan.steps[outer].work {
                    let unfinished = |child: &&usize| {
                        !matches!(self.state.steps[**child].phase, Phase::Completed | Phase::Skipped)
                    };
                    within.extend(children.iter().filter(unfinished));
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, id: &str, by: Option<String>, at: &mut Moment<'_>) -> Result<(), Refusal> {
        let step = self.plan.find(id).ok_or_else(|| ("unknown_id", format!("there is no step '{id}'")))?;
        if self.state.steps[step].phase.is_settled() {
            let message = format!("step '{id}' is {} already", self.state.steps[step].phase.as_str());
            return Err(("run_conflict", message));
        }
        self.stop_within(step, at);
        let (visit, calls) = (self.state.steps[step].visit, self.is_calling(step));
        let why = by.unwrap_or_else(|| "by hand".to_owned());
        self.note(Fact::StepSkipped { step: id.to_owned(), visit, why, calls }, at);
        Ok(())
    }
}
