//! What is to be done next in a run, by all that has happened in it?
//!
//! [`Machine::apply`] takes one fact after another, [`Machine::due`] says what is to be done now. It does no input or
//! output, reads no clock and draws no randomness: the same facts lead to the same actions and the same answer, in
//! whatever process and language.

mod due;
mod plan;
mod reply;
mod request;
mod round;

use std::collections::{BTreeMap, HashMap, HashSet};

use quorate_agents::Agent;
use quorate_core::Result;
use quorate_models::{Finish, Message, Request, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::budget::Spent;
use crate::evidence::{Citation, Passage};
use crate::extractive::{Check, Verdict};
use crate::fact::{Candidate, Decision, Fact, Handover, Spec, Status};
pub(crate) use plan::PLAN_ID;
pub use plan::{Plan, PlanStep};
pub(crate) use request::ANSWER_TOKENS;
pub use round::Pending;
use round::Round;
pub(crate) use round::{Begun, Unrun, within};

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Find who fits the question.
    Match,
    /// Find passages for a question.
    Retrieve {
        /// The question.
        question: String,
    },
    /// Ask the model.
    Ask {
        /// The number of the request, from 1.
        call: u32,
        /// The request.
        request: Box<Request>,
        /// Whether it may use what the budget holds back.
        last: bool,
    },
    /// Answer by sentences of the passages.
    Extract {
        /// The number of the request.
        call: u32,
        /// The question.
        question: String,
    },
    /// Run a tool.
    Run {
        /// The call, with the arguments that were approved.
        call: ToolCall,
    },
    /// Ask for decisions about these.
    Decide {
        /// The calls, or the plan.
        pending: Vec<Pending>,
    },
    /// Look each statement of the answer up.
    Check,
    /// The run is over.
    End {
        /// How.
        status: Status,
    },
}

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Who answers, and from what.
    Prepare,
    /// What to do.
    Plan,
    /// A step of the plan.
    Act(usize),
    /// The answer, with tools.
    Answer,
    /// The answer in its form, or from what the steps found; without tools.
    Finish,
    /// Statements that the sources do not bear out are mended.
    Revise,
    /// The answer from what there is, since the run was stopped.
    Last,
    /// The statements are looked up.
    Check,
    /// All is done.
    Over,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `match`, `context`, `plan`, `model`, `tool` or `check`.
    pub kind: String,
    /// The model, or the tool; the agent of a match.
    pub name: String,
    /// What was done, in a line.
    pub detail: String,
    /// Seconds that it took; 0 where that was not measured.
    pub seconds: f64,
    /// The code of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The state of a run: what its facts add up to.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) run_id: String,
    pub(crate) spec: Spec,
    started: bool,
    stage: Stage,
    pub(crate) agent: Option<Agent>,
    pub(crate) candidates: Option<Vec<Candidate>>,
    nobody: bool,
    pub(crate) handed: Option<Handover>,
    pub(crate) passages: Vec<Passage>,
    /// The sentences that the extractive expert has given; its markers count them.
    pub(crate) cited: Vec<Citation>,
    looked_up: HashSet<String>,
    /// What was said after the question.
    thread: Vec<Message>,
    /// The names of all calls that were asked for, and the largest number behind those that differ by it.
    call_ids: HashSet<String>,
    call_numbers: HashMap<String, u32>,
    round: Option<Round>,
    /// Calls of the last answer that cannot run.
    pub(crate) unrun: Vec<Unrun>,
    /// How often each call was made.
    calls: BTreeMap<String, u32>,
    pub(crate) plan: Option<Plan>,
    plan_decided: bool,
    /// Requests to models that were answered or failed.
    asked: u32,
    /// How much was taken out of prompts that were too long: 0, 1 or 2.
    trimmed: u32,
    /// Whether the model has given an answer that says nothing, and was asked again.
    emptied: bool,
    pub(crate) spent: Spent,
    /// Of that, what runs have spent that this one has started.
    pub(crate) spent_below: Spent,
    text: String,
    pub(crate) output: Option<Value>,
    confidence: Option<f64>,
    finish: Option<Finish>,
    checks: Option<Vec<Check>>,
    revised: bool,
    pub(crate) stopped_by: Option<String>,
    pub(crate) failure: Option<(String, String)>,
    cancelled: bool,
    denied: bool,
    waiting: bool,
    ended: Option<Status>,
    pub(crate) steps: Vec<Step>,
    /// Time of the last entry, and seconds that the run took so far, without those in which it waited for somebody.
    last_time: Option<f64>,
    seconds: f64,
}

impl Machine {
    pub(crate) fn new(run_id: impl Into<String>) -> Self {
        Machine {
            run_id: run_id.into(),
            spec: Spec::default(),
            started: false,
            stage: Stage::Prepare,
            agent: None,
            candidates: None,
            nobody: false,
            handed: None,
            passages: Vec::new(),
            cited: Vec::new(),
            looked_up: HashSet::new(),
            thread: Vec::new(),
            call_ids: HashSet::new(),
            call_numbers: HashMap::new(),
            round: None,
            unrun: Vec::new(),
            calls: BTreeMap::new(),
            plan: None,
            plan_decided: false,
            asked: 0,
            trimmed: 0,
            emptied: false,
            spent: Spent::default(),
            spent_below: Spent::default(),
            text: String::new(),
            output: None,
            confidence: None,
            finish: None,
            checks: None,
            revised: false,
            stopped_by: None,
            failure: None,
            cancelled: false,
            denied: false,
            waiting: false,
            ended: None,
            steps: Vec::new(),
            last_time: None,
            seconds: 0.0,
        }
    }

    /// Takes a fact that happened at `time`, in seconds. Errors: `corrupt` for one that cannot follow those before it.
    pub(crate) fn apply(&mut self, fact: &Fact, time: f64) -> Result<()> {
        // Time before the run goes on, and in which somebody was asked to decide, is not the run's.
        let others =
            matches!(fact, Fact::Resumed | Fact::Decided { .. } | Fact::Warned { .. } | Fact::Waiting { .. });
        if let (Some(before), false) = (self.last_time, others || self.waiting) {
            self.seconds += (time - before).max(0.0);
        }
        self.last_time = Some(time);
        if !matches!(fact, Fact::Decided { .. } | Fact::Warned { .. }) {
            self.waiting = false;
        }
        match fact {
            Fact::Started(spec) => {
                self.spec = (**spec).clone();
                spec.conversation.iter().flat_map(Message::calls).for_each(|call| self.know_call(&call.id));
                self.agent = spec.agent.as_deref().cloned();
                self.spent = spec.spent.clone();
                self.started = true;
            }
            Fact::Resumed => self.resumed(),
            Fact::Matched { candidates, nobody, agent, handed } => {
                self.matched(candidates, *nobody, agent.as_deref(), handed.as_ref())
            }
            Fact::Retrieved { question, passages } => self.retrieved(question, passages),
            Fact::Replied { call, reply } => self.replied(*call, reply)?,
            Fact::Failed { call, code, message, spent } => {
                if let Some(spent) = spent {
                    self.spent.add(spent);
                }
                self.failed(*call, code, message);
            }
            Fact::Refused { id, by } => self.refused(id.as_deref(), by),
            Fact::Running { ids } => {
                if let Some(round) = &mut self.round {
                    round.running(ids);
                }
            }
            Fact::Returned { id, content, error, seconds, spent } => {
                if let Some(spent) = spent {
                    self.spent.add(spent);
                    self.spent_below.add(spent);
                }
                self.spent.tool_calls += 1;
                self.returned(id, content, error.as_deref(), *seconds);
            }
            Fact::Asks { id, pending, spent, .. } => {
                if let Some(spent) = spent {
                    self.spent.add(spent);
                    self.spent_below.add(spent);
                }
                if let Some(round) = &mut self.round {
                    round.asks(id, pending, spent.as_ref());
                }
            }
            Fact::Used { spent, below } => {
                self.spent.add(spent);
                if *below {
                    self.spent_below.add(spent);
                }
            }
            Fact::Warned { .. } => {}
            Fact::Decided { id, decision } => self.decided(id, decision),
            Fact::Waiting { .. } => self.waiting = true,
            Fact::Checked { checks } => self.checked(checks),
            Fact::Noticed { .. } => {}
            Fact::Cancelled => {
                self.cancelled = true;
                self.stopped_by = Some("cancelled".to_owned());
            }
            Fact::Ended { status, .. } => self.ended = Some(*status),
        }
        self.advance();
        Ok(())
    }

    fn resumed(&mut self) {
        if let Some(round) = &mut self.round {
            let tools = &self.spec.tools;
            round.resumed(|name| tools.iter().find(|card| card.name == name));
        }
    }

    fn matched(
        &mut self,
        candidates: &[Candidate],
        nobody: bool,
        agent: Option<&Agent>,
        handed: Option<&Handover>,
    ) {
        self.candidates = Some(candidates.to_vec());
        self.nobody = nobody;
        if let Some(agent) = agent {
            self.agent = Some(agent.clone());
        }
        self.handed = handed.cloned();
        let name = self.agent.as_ref().map(|agent| agent.id.clone()).unwrap_or_default();
        let detail = match handed {
            Some(handed) => format!("handed over by {}: {}", handed.from, handed.topic),
            None if nobody => "nobody fits".to_owned(),
            None => format!("{} experts fit", candidates.len()),
        };
        self.step("match", &name, detail, 0.0, None);
    }

    fn retrieved(&mut self, question: &str, passages: &[Passage]) {
        self.looked_up.insert(question.to_owned());
        self.passages.extend(passages.iter().cloned());
        self.step("context", "", format!("{} passages: {}", passages.len(), line(question)), 0.0, None);
    }

    fn failed(&mut self, call: u32, code: &str, message: &str) {
        self.asked = self.asked.max(call);
        self.step("model", "", line(message), 0.0, Some(code));
        if code == "context_overflow" && self.trimmed < request::MOST_TRIMMED {
            self.trimmed += 1;
            return;
        }
        if code == "output_invalid" && self.stage == Stage::Plan {
            // Who cannot write a plan in its form can answer.
            self.plan = Some(Plan::of_questions(&self.spec.question));
            return;
        }
        self.failure = Some((code.to_owned(), message.to_owned()));
        self.stopped_by = Some(code.to_owned());
        self.stage = Stage::Over;
    }

    fn refused(&mut self, id: Option<&str>, by: &str) {
        if let (Some(id), Some(round)) = (id, &mut self.round) {
            let what = if round.runs(id) { "not waited for" } else { "not run" };
            round.close(
                id,
                &format!("{what}: the budget's limit '{by}' is reached"),
                Some("budget_exceeded"),
            );
        }
        let first = self.stopped_by.is_none();
        if first {
            self.stopped_by = Some(by.to_owned());
        }
        if id.is_none() {
            // What was held back is not enough either.
            self.stage = if self.stage == Stage::Last { Stage::Over } else { Stage::Last };
        }
    }

    fn checked(&mut self, checks: &[Check]) {
        let bad = |check: &&Check| matches!(check.verdict, Verdict::Unsupported | Verdict::Contradicted);
        let wrong = checks.iter().filter(bad).count();
        self.step(
            "check",
            "",
            format!("{wrong} of {} statements are not in the sources", checks.len()),
            0.0,
            None,
        );
        self.checks = Some(checks.to_vec());
        let revise =
            self.spec.autonomous && !self.spec.extractive && self.stopped_by.is_none() && !self.revised;
        self.stage = if revise && wrong > 0 {
            self.revised = true;
            Stage::Revise
        } else {
            Stage::Over
        };
    }

    fn decided(&mut self, id: &str, decision: &Decision) {
        if id == PLAN_ID {
            self.plan_decided = true;
            match decision {
                Decision::Approve => {}
                Decision::Deny => {
                    self.denied = true;
                    self.stopped_by = Some("plan_denied".to_owned());
                }
                Decision::Arguments(arguments) => {
                    if let Some(steps) = arguments.get("steps") {
                        self.plan = Some(Plan::of(steps));
                    }
                }
            }
            return;
        }
        if let Some(round) = &mut self.round {
            round.decide(id, decision);
        }
    }

    /// Closes a round whose calls all have results, and enters the next stage where one is over.
    fn advance(&mut self) {
        if self.round.as_ref().is_some_and(Round::is_closed)
            && let Some(round) = self.round.take()
        {
            self.thread.push(round.message(&self.spec.tools));
            if self.stopped_by.is_some() && self.stage != Stage::Last {
                self.stage = Stage::Last;
            }
        }
        if self.stage == Stage::Prepare && self.is_prepared() {
            self.stage = if self.spec.autonomous { Stage::Plan } else { Stage::Answer };
            if self.spec.autonomous && self.spec.extractive {
                self.plan = Some(Plan::of_questions(&self.spec.question));
            }
        }
        if self.stage == Stage::Plan && self.plan.is_some() && self.is_plan_settled() {
            self.begin_step(0);
        }
    }

    fn is_prepared(&self) -> bool {
        self.started
            && (!self.spec.matching || self.candidates.is_some())
            && (!self.spec.retrieval || self.nobody || !self.looked_up.is_empty())
    }

    /// Whether a form was asked for that the answer does not have yet.
    fn needs_form(&self) -> bool {
        self.spec.output.is_some() && self.output.is_none() && !self.spec.tools.is_empty()
    }

    fn step(&mut self, kind: &str, name: &str, detail: String, seconds: f64, error: Option<&str>) {
        let error = error.map(str::to_owned);
        self.steps.push(Step { kind: kind.into(), name: name.into(), detail, seconds, error });
    }

    /// Seconds that the run took so far, without those in which it waited for somebody.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    pub(crate) fn ended(&self) -> Option<Status> {
        self.ended
    }

    /// How it stands.
    pub(crate) fn status(&self) -> Status {
        match self.ended {
            Some(status) => status,
            None if self.waiting => Status::Waiting,
            None => Status::Running,
        }
    }

    /// What the answer says, as far as there is one.
    pub(crate) fn body(&self) -> String {
        if self.text.is_empty() {
            // What the steps have found is better than nothing.
            return self.plan.as_ref().map(Plan::findings).unwrap_or_default();
        }
        self.text.clone()
    }

    pub(crate) fn checks(&self) -> &[Check] {
        self.checks.as_deref().unwrap_or_default()
    }

    pub(crate) fn confidence(&self) -> Option<f64> {
        if self.spec.extractive && self.confidence.is_some() {
            return self.confidence;
        }
        self.best().map(|best| best.confidence).or(self.confidence)
    }

    /// The match of the agent that answers.
    pub(crate) fn best(&self) -> Option<&Candidate> {
        let agent = self.agent.as_ref()?;
        self.candidates.as_ref()?.iter().find(|candidate| candidate.id == agent.id)
    }

    /// Calls, or the plan, that wait for a decision.
    pub(crate) fn pending(&self) -> Vec<Pending> {
        self.due()
            .into_iter()
            .find_map(|action| match action {
                Action::Decide { pending } => Some(pending),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The mode's name.
    pub(crate) fn mode(&self) -> &'static str {
        match (self.spec.autonomous, self.spec.agent.is_some()) {
            (false, true) => "manual",
            (false, false) => "automatic",
            (true, true) => "autonomous_manual",
            (true, false) => "autonomous_automatic",
        }
    }

    /// Whether the form of the next answer is the one that the caller asked for.
    pub(crate) fn asks_for_form(&self) -> bool {
        self.spec.output.is_some() && self.stage != Stage::Plan
    }

    /// The messages that the next request would have.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.prompt()
    }

    /// What a stream shows of the sources.
    pub(crate) fn sources(&self) -> Value {
        json!(self.passages.iter().enumerate().map(|(i, passage)| {
            json!({"marker": format!("[{}]", i + 1), "doc_id": passage.doc_id, "chunk_id": passage.chunk_id,
                   "title": passage.title})
        }).collect::<Vec<_>>())
    }
}

/// The first line of a text, shortened.
fn line(text: &str) -> String {
    quorate_core::shorten(text.trim().lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
