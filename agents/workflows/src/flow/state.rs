//! What do the facts of a run add up to?

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::expr::Scope;
use super::fact::{CallEnd, Fact, Outcome, Spec, Waiting};
use super::plan::{Plan, Work};

/// How far a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Pending,
    Running,
    /// It has failed, and is tried again.
    Backoff,
    Waiting,
    Completed,
    Skipped,
    Failed,
    Cancelled,
    Blocked,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Pending => "pending",
            Phase::Running => "running",
            Phase::Backoff => "retrying",
            Phase::Waiting => "waiting",
            Phase::Completed => "completed",
            Phase::Skipped => "skipped",
            Phase::Failed => "failed",
            Phase::Cancelled => "cancelled",
            Phase::Blocked => "blocked",
        }
    }

    /// Whether something may still come of it.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Phase::Running | Phase::Backoff | Phase::Waiting | Phase::Blocked)
    }

    pub(crate) fn is_settled(self) -> bool {
        matches!(self, Phase::Completed | Phase::Skipped | Phase::Failed | Phase::Cancelled)
    }
}

/// A step as far as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepState {
    pub(crate) phase: Phase,
    /// How often it was come to, from 1.
    pub(crate) visit: u32,
    /// Attempts of this visit that have begun.
    pub(crate) attempt: u32,
    /// Of them, those before somebody had it tried again.
    pub(crate) before: u32,
    /// How often somebody had to take this attempt over.
    pub(crate) crashes: u32,
    pub(crate) output: Value,
    /// What the visit before came to.
    pub(crate) last: Value,
    pub(crate) signal: Option<String>,
    pub(crate) error: Option<(String, String)>,
    pub(crate) args: Value,
    pub(crate) key: String,
    /// Whether the call of this attempt must not be repeated unasked.
    pub(crate) once: bool,
    pub(crate) until: Option<f64>,
    pub(crate) retry_at: Option<f64>,
    pub(crate) wait: Option<Waiting>,
    /// Whether the run that it waits for has begun.
    pub(crate) begun: bool,
    /// The number of the entry in which the wait began.
    pub(crate) asked_in: u64,
    pub(crate) claimed: Option<String>,
    pub(crate) escalated: u32,
    pub(crate) votes: Vec<Vote>,
    /// Who has decided, in any visit.
    pub(crate) deciders: Vec<String>,
    pub(crate) began: Option<f64>,
    pub(crate) ended: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Vote {
    pub(crate) by: String,
    pub(crate) option: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// A call, or a run, that may still be under way although its step does not wait for it any more.
#[derive(Clone, Debug)]
pub(crate) struct Loose {
    pub(crate) step: usize,
    pub(crate) visit: u32,
    pub(crate) attempt: u32,
    /// How long its end is waited for.
    pub(crate) until: f64,
    pub(crate) run: Option<String>,
}

/// A step that can be undone.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) step: usize,
    pub(crate) visit: u32,
    pub(crate) output: Value,
    pub(crate) phase: Phase,
    pub(crate) attempt: u32,
    pub(crate) args: Value,
    pub(crate) key: String,
    pub(crate) until: f64,
    pub(crate) retry_at: f64,
    pub(crate) error: Option<(String, String)>,
    /// Whether the call that undoes it must not be repeated unasked.
    pub(crate) once: bool,
    /// How often somebody had to take this attempt over.
    pub(crate) crashes: u32,
    /// Whether its step did not wait for it any more when it was done.
    pub(crate) loose: bool,
    /// Why it is not known whether it was done at all.
    pub(crate) unknown: Option<String>,
}

impl Done {
    fn new(step: usize, visit: u32, output: Value) -> Done {
        Done {
            step,
            visit,
            output,
            phase: Phase::Pending,
            attempt: 0,
            args: Value::Null,
            key: String::new(),
            until: 0.0,
            retry_at: 0.0,
            error: None,
            once: false,
            crashes: 0,
            loose: false,
            unknown: None,
        }
    }
}

/// A run as far as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) spec: Spec,
    pub(crate) steps: Vec<StepState>,
    /// The newest letter that was read.
    pub(crate) letter: u64,
    pub(crate) signals: Vec<Signal>,
    pub(crate) paused: bool,
    /// Since when.
    pub(crate) paused_at: f64,
    /// Why, and whether what was done is undone.
    pub(crate) cancel: Option<(String, bool)>,
    pub(crate) done: Vec<Done>,
    pub(crate) loose: Vec<Loose>,
    /// Whether anything ever was.
    pub(crate) any_loose: bool,
    /// From which of what was done on everything is undone, or could not be.
    pub(crate) undone: usize,
    /// Why what was done is undone.
    pub(crate) undoing: Option<Outcome>,
    pub(crate) ended: Option<Outcome>,
    /// How often each step has led back, by its route.
    pub(crate) counts: HashMap<(usize, String), u32>,
    pub(crate) any_began: bool,
    /// Reviews that are open: the entry in which they were opened, the step, the role.
    pub(crate) open: BTreeMap<u64, (usize, String)>,
}

impl State {
    pub(crate) fn new(plan: &Plan) -> State {
        let steps = plan.steps.iter().map(|_| StepState { visit: 1, ..StepState::default() }).collect();
        State { steps, ..State::default() }
    }

    /// Open reviews as they are listed.
    pub(crate) fn listed(&self) -> BTreeMap<u64, String> {
        self.open.iter().map(|(seq, (_, role))| (*seq, role.clone())).collect()
    }

    /// What waits for a span of time has waited for nothing of a pause; a moment that is stated as such stays.
    fn go_on(&mut self, plan: &Plan, pause: f64) {
        for (planned, state) in plan.steps.iter().zip(&mut self.steps) {
            let stated = matches!(planned.work, Work::Wait { until: Some(_), .. });
            if state.phase != Phase::Waiting || stated {
                continue;
            }
            let until = match &mut state.wait {
                Some(Waiting::Time { until }) => Some(until),
                Some(Waiting::Signal { until, .. } | Waiting::Run { until, .. }) => until.as_mut(),
                Some(Waiting::Review(asked)) => asked.due.as_mut(),
                Some(Waiting::Children {}) | None => None,
            };
            if let Some(until) = until {
                *until += pause.max(0.0);
            }
        }
    }

    /// Takes in what happened, as entry number `seq`.
    pub(crate) fn apply(&mut self, plan: &Plan, fact: &Fact, time: f64, seq: u64) {
        if let Some(step) = step_of(fact).and_then(|step| plan.find(step)) {
            self.apply_to(plan, step, fact, time, seq);
            if self.steps[step].phase != Phase::Waiting {
                self.open.retain(|_, (of, _)| *of != step);
            }
            return;
        }
        match fact {
            Fact::Started(spec) => self.spec = (**spec).clone(),
            Fact::Heard { letter } => self.letter = *letter,
            Fact::SignalCame { number, name, data, .. } => {
                self.signals.push(Signal { number: *number, name: name.clone(), data: data.clone() });
            }
            Fact::Paused { .. } => (self.paused, self.paused_at) = (true, time),
            Fact::Resumed { .. } => {
                self.paused = false;
                self.go_on(plan, time - self.paused_at);
            }
            // Whoever reads it has the other plan.
            Fact::Migrated { .. } => {}
            Fact::CancelAsked { reason, compensate, .. } => self.cancel = Some((reason.clone(), *compensate)),
            Fact::Compensating { why } => {
                self.undoing = Some(why.clone());
                self.undone = self.done.len();
            }
            Fact::Ended(outcome) => self.ended = Some(outcome.clone()),
            Fact::WentBack { from, route, count, steps, .. } => {
                if let Some(from) = plan.find(from) {
                    self.counts.insert((from, route.clone()), *count);
                }
                for step in steps.iter().filter_map(|step| plan.find(step)) {
                    self.open.retain(|_, (of, _)| *of != step);
                    let old = &mut self.steps[step];
                    let last = if old.phase == Phase::Completed {
                        std::mem::take(&mut old.output)
                    } else {
                        std::mem::take(&mut old.last)
                    };
                    // What was not come to keeps its number.
                    let come_to = old.phase != Phase::Pending || old.began.is_some();
                    let visit = old.visit + u32::from(come_to);
                    let deciders = std::mem::take(&mut old.deciders);
                    *old = StepState { visit, last, deciders, ..StepState::default() };
                }
            }
            Fact::ReviewClaimed { review, by } | Fact::ReviewDelegated { review, to: by, .. } => {
                if let Some(step) = self.reviewed(review) {
                    self.steps[step].claimed = Some(by.clone());
                }
            }
            Fact::ReviewVoted { review, by, option, .. } => {
                if let Some(step) = self.reviewed(review) {
                    let state = &mut self.steps[step];
                    state.votes.push(Vote { by: by.clone(), option: option.clone() });
                    // Others have it now.
                    state.claimed = None;
                }
            }
            Fact::ReviewEscalated { review, role, due } => {
                if let Some(step) = self.reviewed(review) {
                    let state = &mut self.steps[step];
                    state.escalated += 1;
                    state.claimed = None;
                    if let Some(Waiting::Review(asked)) = &mut state.wait {
                        asked.role.clone_from(role);
                        asked.due = *due;
                    }
                    let open = self.open.values_mut().find(|(of, _)| *of == step);
                    if let Some((_, under)) = open {
                        under.clone_from(role);
                    }
                }
            }
            Fact::UndoStarted { index, attempt, args, key, until, once, .. } => {
                if let Some(done) = self.done.get_mut(*index) {
                    done.phase = Phase::Running;
                    done.attempt = *attempt;
                    done.args = args.clone();
                    done.key.clone_from(key);
                    done.until = *until;
                    done.once = *once;
                    done.crashes = 0;
                }
            }
            Fact::UndoResumed { index, until } => {
                if let Some(done) = self.done.get_mut(*index) {
                    done.until = *until;
                    done.crashes += 1;
                }
            }
            Fact::Undone { index, .. } => {
                if let Some(done) = self.done.get_mut(*index) {
                    done.phase = Phase::Completed;
                    self.undone = *index;
                }
            }
            Fact::UndoFailed { index, code, message, retry_at, .. } => {
                if let Some(done) = self.done.get_mut(*index) {
                    done.phase = if retry_at.is_some() { Phase::Backoff } else { Phase::Failed };
                    done.retry_at = retry_at.unwrap_or_default();
                    done.error = Some((code.clone(), message.clone()));
                    if retry_at.is_none() {
                        self.undone = *index;
                    }
                }
            }
            _ => {}
        }
    }

    fn apply_to(&mut self, plan: &Plan, step: usize, fact: &Fact, time: f64, seq: u64) {
        let state = &mut self.steps[step];
        match fact {
            Fact::StepStarted { attempt, args, key, until, once, .. } => {
                state.phase = Phase::Running;
                state.attempt = *attempt;
                state.args = args.clone();
                state.key.clone_from(key);
                state.until = *until;
                state.once = *once;
                state.crashes = 0;
                state.retry_at = None;
                state.began = state.began.or(Some(time));
                self.any_began = true;
            }
            Fact::StepResumed { until, .. } => {
                state.until = *until;
                state.crashes += 1;
            }
            Fact::StepWaits { wait, .. } => {
                state.phase = Phase::Waiting;
                state.wait = Some(wait.clone());
                state.asked_in = seq;
                if let Waiting::Run { .. } = wait {
                    state.attempt += 1;
                    state.begun = false;
                }
                if let Waiting::Review(asked) = wait {
                    // Nobody has it yet, also where it was asked before and is asked again.
                    (state.claimed, state.escalated) = (None, 0);
                    state.votes.clear();
                    self.open.insert(seq, (step, asked.role.clone()));
                }
                state.began = state.began.or(Some(time));
                self.any_began = true;
            }
            Fact::ChildStarted { .. } => state.begun = true,
            Fact::CallEnded { visit, attempt, end, .. } => {
                self.loose.retain(|one| (one.step, one.visit, one.attempt) != (step, *visit, *attempt));
                self.call_ended(plan, step, *visit, end);
                // It is undone before all else, since nothing is while something is under way.
                self.undone = self.done.len();
            }
            Fact::StepCompleted { output, signal, taken, copied, visit, deciders, .. } => {
                state.deciders.extend(deciders.iter().cloned());
                if matches!(plan.steps[step].work, Work::Review { .. })
                    && deciders.is_empty()
                    && let Some(by) = output.get("people").and_then(Value::as_array)
                {
                    let by = by.iter().filter_map(|by| by.as_str().map(str::to_owned));
                    state.deciders.extend(by);
                }
                state.phase = Phase::Completed;
                state.output = output.clone();
                state.signal.clone_from(signal);
                state.wait = None;
                state.error = None;
                state.began = state.began.or(Some(time));
                state.ended = Some(time);
                if let Some(taken) = taken {
                    // Nobody else takes it, and nobody reads it again.
                    self.signals.retain(|signal| signal.number != *taken);
                }
                // What other attempts of it may have done, this one has.
                self.loose.retain(|one| (one.step, one.visit) != (step, *visit));
                if self.any_loose {
                    self.done.retain(|done| !done.loose || (done.step, done.visit) != (step, *visit));
                }
                if plan.steps[step].undo.is_some() && !copied {
                    self.done.push(Done::new(step, *visit, output.clone()));
                }
                self.any_began = true;
            }
            Fact::StepFailed { code, message, retry_at, calls, .. } => {
                // It has had its time; so long again it may take to end.
                self.loosen(plan, step, *calls, time + plan.steps[step].timeout, time);
                let state = &mut self.steps[step];
                state.began = state.began.or(Some(time));
                state.error = Some((code.clone(), message.clone()));
                state.phase = if retry_at.is_some() { Phase::Backoff } else { Phase::Failed };
                state.retry_at = *retry_at;
                state.wait = None;
                state.ended = if retry_at.is_some() { None } else { Some(time) };
                self.any_began = true;
            }
            Fact::StepSkipped { calls, .. } => {
                self.loosen(plan, step, *calls, time, time);
                let state = &mut self.steps[step];
                state.phase = Phase::Skipped;
                state.wait = None;
                state.ended = Some(time);
            }
            Fact::StepCancelled { calls, .. } => {
                self.loosen(plan, step, *calls, time, time);
                let state = &mut self.steps[step];
                state.phase = Phase::Cancelled;
                state.wait = None;
                state.ended = Some(time);
            }
            Fact::StepBlocked { code, why, calls, .. } => {
                self.loosen(plan, step, *calls, time + plan.steps[step].timeout, time);
                let state = &mut self.steps[step];
                state.began = state.began.or(Some(time));
                state.phase = Phase::Blocked;
                state.error = Some((code.clone(), why.clone()));
                state.wait = None;
            }
            Fact::StepRetried { .. } => {
                state.phase = Phase::Pending;
                state.before = state.attempt;
                state.retry_at = None;
            }
            _ => {}
        }
    }

    /// Keeps what a step leaves behind that may still be under way.
    fn loosen(&mut self, plan: &Plan, step: usize, calls: bool, until: f64, time: f64) {
        let state = &self.steps[step];
        let run = match &state.wait {
            Some(Waiting::Run { run, .. }) if calls => Some(run.clone()),
            _ => None,
        };
        if calls {
            let until = match (&run, state.until) {
                (Some(_), _) => time + plan.steps[step].timeout,
                (None, Some(own)) => until.max(own),
                (None, None) => until,
            };
            self.any_loose = true;
            self.loose.push(Loose { step, visit: state.visit, attempt: state.attempt, until, run });
        }
    }

    /// Notes what can be undone of what a call did that nobody waited for.
    fn call_ended(&mut self, plan: &Plan, step: usize, visit: u32, end: &CallEnd) {
        let sub = matches!(plan.steps[step].work, Work::Sub { .. });
        self.any_loose = true;
        let known = self.done.iter().position(|done| (done.step, done.visit) == (step, visit));
        match end {
            CallEnd::Failed { .. } => {}
            CallEnd::Made { output } => {
                if plan.steps[step].undo.is_none() {
                    return;
                }
                let made = Done { loose: true, ..Done::new(step, visit, output.clone()) };
                match known {
                    Some(at) if self.done[at].unknown.is_some() => self.done[at] = made,
                    Some(_) => {}
                    None => self.done.push(made),
                }
            }
            CallEnd::Unknown { why } => {
                if known.is_none() && (plan.steps[step].undo.is_some() || sub) {
                    let unknown = Some(why.clone());
                    self.done.push(Done { loose: true, unknown, ..Done::new(step, visit, Value::Null) });
                }
            }
        }
    }

    /// The step whose review this is, while it is open.
    pub(crate) fn reviewed(&self, review: &str) -> Option<usize> {
        self.steps.iter().position(|state| {
            state.phase == Phase::Waiting
                && matches!(&state.wait, Some(Waiting::Review(asked)) if asked.id == review)
        })
    }
}

fn step_of(fact: &Fact) -> Option<&str> {
    match fact {
        Fact::StepStarted { step, .. }
        | Fact::StepResumed { step, .. }
        | Fact::StepWaits { step, .. }
        | Fact::StepCompleted { step, .. }
        | Fact::StepFailed { step, .. }
        | Fact::StepSkipped { step, .. }
        | Fact::StepCancelled { step, .. }
        | Fact::StepBlocked { step, .. }
        | Fact::CallEnded { step, .. }
        | Fact::ChildStarted { step, .. }
        | Fact::StepRetried { step, .. } => Some(step),
        _ => None,
    }
}

/// What names stand for in an expression of a run.
pub(crate) struct Names<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) state: &'a State,
    pub(crate) run_id: &'a str,
    pub(crate) step: Option<usize>,
    /// Of a step that is undone: its visit, and what it had come to.
    pub(crate) undone: Option<(u32, &'a Value)>,
}

impl Scope for Names<'_> {
    fn value(&self, name: &str, source: &str) -> Option<Value> {
        let spec = &self.state.spec;
        Some(match name {
            "input" => spec.input.clone(),
            "tenant" => spec.tenant.as_deref().unwrap_or("default").into(),
            "run" => json!({
                "id": self.run_id, "workflow": spec.workflow, "version": spec.version, "starter": spec.starter,
                "started": spec.time, "offline": spec.offline,
            }),
            "step" => {
                let i = self.step?;
                let state = &self.state.steps[i];
                let (visit, output) = self.undone.unwrap_or((state.visit, &state.output));
                json!({"id": self.plan.steps[i].id, "visit": visit, "attempt": state.attempt, "output": output})
            }
            "steps" => {
                let mut all = Map::new();
                for (i, state) in self.state.steps.iter().enumerate() {
                    let id = &self.plan.steps[i].id;
                    // What an expression does not name it does not read, unless it goes through all of them.
                    if names_each(source) && !source.contains(id.as_str()) {
                        continue;
                    }
                    let error =
                        state.error.as_ref().map(|(code, message)| json!({"code": code, "message": message}));
                    let view = json!({
                        "output": state.output, "last": state.last, "status": state.phase.as_str(), "signal": state.signal,
                        "visit": state.visit, "attempt": state.attempt, "error": error, "by": state.deciders.last(),
                    });
                    all.insert(id.clone(), view);
                }
                Value::Object(all)
            }
            _ => return None,
        })
    }
}

/// Whether every `steps` in an expression is followed by a name, which is that of no macro or function.
fn names_each(source: &str) -> bool {
    source.match_indices("steps").all(|(at, word)| {
        let Some(rest) = source[at + word.len()..].strip_prefix('.') else { return false };
        let name = rest.trim_start_matches(|c: char| c == '_' || c.is_ascii_alphanumeric());
        name.len() < rest.len() && !name.trim_start().starts_with('(')
    })
}
