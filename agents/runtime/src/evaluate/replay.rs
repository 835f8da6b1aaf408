//! What would have come of a run with another model, or other instructions?
//!
//! The question is asked again. Who answers, what was found and what tools gave is taken from the journal of the recorded
//! run, so that only the change makes a difference.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_agents::Agent;
use quorate_core::embed::Embed;
use quorate_core::{Cancel, Code, Error, Result, shorten};
use quorate_models::Model;
use quorate_state::{Begun, NewRun};
use serde::Serialize;
use serde_json::{Map, Value};

use super::difference::{Difference, canonical_object, differences, happenings};
use crate::answer::Answer;
use crate::approve::Approve;
use crate::budget::{Budget, Ledger, Spent};
use crate::driver::{Drive, priced};
use crate::evidence::{Passage, Retrieve, Wanted};
use crate::extractive;
use crate::fact::{Decision, Fact, Spec, Status};
use crate::machine::{Machine, PLAN_ID, Pending};
use crate::names::title;
use crate::prompt;
use crate::runtime::{HostContext, KIND, Runtime, RuntimeOptions};
use crate::tool::{InUse, Tool, ToolCard, ToolContext};

/// Recorded calls that an error shows.
const MOST_SHOWN: usize = 5;

/// What is other than in the recorded run.
#[derive(Clone, Default)]
pub struct Change {
    /// Who answers; `None`: the runtime's model.
    pub model: Option<Model>,
    /// The instructions of the expert that answers, in the place of its own.
    pub instructions: Option<String>,
    /// The seed; `None`: the recorded one.
    pub seed: Option<u64>,
    /// What the new run may spend; `None`: as the recorded one.
    pub budget: Option<Budget>,
    /// Whether what is not in the journal is looked up and called now, by the runtime's knowledge base and tools. Calls
    /// that need approval then need it.
    pub live: bool,
    /// The host's span that the new run's spans belong to, as a W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// What tools that are called now are told of who asks, by the host and for it.
    pub host: Option<HostContext>,
    /// Ends the run.
    pub cancel: Cancel,
}

/// A recorded run that was asked again.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// The recorded run.
    pub original: String,
    /// Its answer, as far as it had come.
    pub before: Answer,
    /// The new answer, of a run of its own.
    pub answer: Answer,
    /// Where the two runs part, step by step.
    pub differences: Vec<Difference>,
    /// Steps that are the same in both.
    pub same: usize,
    /// Searches and calls that were not in the journal and were made now.
    pub live: Vec<String>,
}

impl Replayed {
    /// The differences as text: `-` what happened before, `+` what happens now.
    pub fn difference_text(&self) -> String {
        self.differences.iter().map(Difference::to_string).collect()
    }
}

impl Runtime {
    /// Asks the question of a recorded run again with something changed, and says what comes of it. The recorded run stays
    /// as it is; the new one is kept beside it.
    ///
    /// What was found for a question, and what a tool gave for the same arguments, is taken from the journal, the last
    /// result again where a call is made more often. So are decisions; a plan that nobody has decided about is approved.
    ///
    /// Errors: `unknown_id`; `replay_mismatch` for a search or a call that is not in the journal, with the difference, unless
    /// `live` allows it; `invalid_argument` for instructions where no expert answers; `unsupported` for a form of the answer
    /// without a model; those of [`Runtime::ask`].
    ///
    /// ```
    /// use quorate_models::{Model, ScriptedModel};
    /// use quorate_runtime::{Change, Question, Runtime, RuntimeOptions};
    /// let says = |text: &str| Model::new(ScriptedModel::of_texts([text]), Default::default());
    /// let runtime = Runtime::new(RuntimeOptions { model: Some(says("5 mg")?), ..RuntimeOptions::default() })?;
    /// let answer = runtime.ask(Question::new("Which dose?"))?;
    /// let change = Change { model: Some(says("10 mg")?), ..Change::default() };
    /// let replayed = runtime.replay(&answer.run_id, change)?;
    /// assert_eq!((replayed.before.text.as_str(), replayed.answer.text.as_str()), ("5 mg", "10 mg"));
    /// assert_eq!(replayed.differences.len(), 1);
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn replay(&self, run_id: &str, change: Change) -> Result<Replayed> {
        let mut facts = Vec::new();
        let mut machine = Machine::new(run_id);
        for entry in self.run(run_id)?.entries()? {
            let fact = Fact::of(&entry)?;
            machine.apply(&fact, entry.time)?;
            facts.push(fact);
        }
        let Some(Fact::Started(spec)) = facts.first() else {
            let message = format!("run '{run_id}' ended before its question was written down");
            return Err(Error::new(Code::UnknownId, message));
        };
        let model = change.model.clone().or_else(|| self.0.model.clone());
        let model = model.filter(|model| model.id() != extractive::EXTRACTIVE);
        let mut recorded = (**spec).clone();
        if !recorded.extractive {
            recorded.extract = Some(self.0.extract.clone());
        }
        let (spec, matched) = changed(recorded, &facts, &change, model.is_some())?;
        let tape = Arc::new(Tape::of(self, run_id, &facts, &change));
        let tools: Vec<Arc<dyn Tool>> = spec.tools.iter().map(|card| tape.tool(card)).collect();
        let ledger = Ledger::new(spec.budget.clone(), Spent::default());
        priced(model.as_ref(), &ledger)?;
        // Nobody is matched anew, and a runtime without a model needs sources.
        let sources: Arc<dyn Retrieve> = Arc::clone(&tape) as _;
        let other = Runtime::new(RuntimeOptions {
            sources: Some(sources),
            model,
            store: Some(self.store().clone()),
            tenant: self.0.tenant.clone(),
            ..RuntimeOptions::default()
        })?;
        let title = title(&spec.question);
        let tenant = self.0.tenant.as_deref();
        let new = NewRun { id: None, kind: KIND, tenant, title, parent: None, key: None };
        let Begun::New(run) = self.store().begin(&new, &[])? else {
            return Err(Error::new(Code::Internal, "a run without a key was known before"));
        };
        let approve: Arc<dyn Approve> = Arc::clone(&tape) as _;
        let mut drive = Drive::new(
            Arc::clone(&other.0),
            Machine::new(run.id()),
            run,
            0,
            InUse { tools, news: Vec::new(), said: Vec::new() },
            Some(approve),
            ledger,
            change.cancel.clone(),
            None,
        );
        drive.trace_parent.clone_from(&change.trace_parent);
        drive.host.clone_from(&change.host);
        drive.note(Fact::Started(Box::new(spec)))?;
        if let Some(matched) = matched {
            drive.note(matched)?;
        }
        let outcome = drive.go();
        if let Some(mismatch) = lock(&tape.mismatch).take() {
            return Err(Error::new(Code::ReplayMismatch, mismatch));
        }
        outcome?;
        if let (Some((code, message)), Status::Failed) = (&drive.machine.failure, drive.machine.status()) {
            let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
            return Err(Error::new(known.unwrap_or(Code::Internal), message.clone()));
        }
        let answer = drive.machine.answer();
        drop(drive);
        let entries = self.run(&answer.run_id)?.entries()?;
        let after: Vec<Fact> = entries.iter().map(Fact::of).collect::<Result<_>>()?;
        let (differences, same) = differences(&happenings(&facts), &happenings(&after));
        let live = std::mem::take(&mut *lock(&tape.lived));
        let before = machine.answer();
        Ok(Replayed { original: run_id.to_owned(), before, answer, differences, same, live })
    }
}

/// What the new run goes by, and who answers.
fn changed(mut spec: Spec, facts: &[Fact], change: &Change, model: bool) -> Result<(Spec, Option<Fact>)> {
    spec.extractive = !model;
    spec.extract = spec.extract.filter(|_| spec.extractive);
    if spec.extractive && spec.output.is_some() {
        let message =
            "sentences of the sources have no form; the run asked for one, and needs a language model";
        return Err(Error::new(Code::Unsupported, message));
    }
    spec.seed = change.seed.unwrap_or(spec.seed);
    if let Some(budget) = &change.budget {
        budget.validate()?;
        spec.budget = budget.clone();
    }
    // It has no parent: its budget is its own.
    (spec.parent, spec.depth) = (None, 0);
    let mut matched = facts.iter().find(|fact| matches!(fact, Fact::Matched { .. })).cloned();
    spec.matching = matched.is_some();
    let answering = match &mut matched {
        Some(Fact::Matched { agent: Some(agent), .. }) => Some(agent),
        _ => None,
    };
    if let Some(instructions) = &change.instructions {
        let same = |own: &Agent, other: &Agent| own.id == other.id;
        let put = |agent: &mut Agent| -> Result<()> {
            agent.instructions = Some(instructions.clone());
            prompt::instructions(agent).map(drop)
        };
        match (answering, &mut spec.agent) {
            (None, None) => {
                return Err(Error::invalid("no expert answered that run, so nobody has instructions"));
            }
            (None, Some(named)) => put(named)?,
            (Some(agent), named) => {
                put(agent)?;
                if let Some(named) = named.as_mut().filter(|named| same(named, agent)) {
                    put(named)?;
                }
            }
        }
    }
    Ok((spec, matched))
}

/// What the journal of a run says that came from outside.
struct Tape {
    run_id: String,
    /// What a call gave, by tool and arguments.
    results: Mutex<HashMap<String, VecDeque<Gave>>>,
    /// The calls of each tool, with their arguments, in order.
    calls: HashMap<String, Vec<String>>,
    decisions: HashMap<String, Decision>,
    /// Calls that the recorded run asked for.
    asked: HashSet<String>,
    passages: HashMap<String, Vec<Passage>>,
    live_tools: HashMap<String, Arc<dyn Tool>>,
    live_sources: Option<Arc<dyn Retrieve>>,
    live_approve: Option<Arc<dyn Approve>>,
    embedder: Option<Arc<dyn Embed>>,
    live: bool,
    lived: Mutex<Vec<String>>,
    /// What the new run asked for and is not recorded.
    mismatch: Mutex<Option<String>>,
    runtime: Runtime,
}

/// A recorded result: what the model read, and the code where it was an error.
#[derive(Clone)]
struct Gave(String, Option<String>);

impl Tape {
    fn of(runtime: &Runtime, run_id: &str, facts: &[Fact], change: &Change) -> Self {
        let inner = &runtime.0;
        let mut tape = Tape {
            run_id: run_id.to_owned(),
            results: Mutex::default(),
            calls: HashMap::new(),
            decisions: HashMap::new(),
            asked: HashSet::new(),
            passages: HashMap::new(),
            live_tools: HashMap::new(),
            live_sources: inner.sources.clone().filter(|_| change.live),
            live_approve: inner.approve.clone().filter(|_| change.live),
            embedder: inner.sources.as_ref().and_then(|sources| sources.embedder()),
            live: change.live,
            lived: Mutex::default(),
            mismatch: Mutex::default(),
            runtime: runtime.clone(),
        };
        if change.live {
            let named = |tool: &Arc<dyn Tool>| (tool.card().name.clone(), Arc::clone(tool));
            tape.live_tools = inner.tools.iter().map(named).collect();
        }
        let mut results: HashMap<String, VecDeque<Gave>> = HashMap::new();
        let mut open: HashMap<&str, (&str, Map<String, Value>)> = HashMap::new();
        for fact in facts {
            match fact {
                Fact::Retrieved { question, passages } => {
                    tape.passages.entry(question.clone()).or_default().extend(passages.iter().cloned());
                }
                Fact::Replied { reply, .. } => {
                    for call in reply.message.calls() {
                        tape.asked.insert(key(&call.name, &call.arguments));
                        open.insert(&call.id, (&call.name, call.arguments.clone()));
                    }
                }
                Fact::Decided { id, decision } => {
                    let Some((name, arguments)) = open.get_mut(id.as_str()) else {
                        tape.decisions.insert(id.clone(), decision.clone());
                        continue;
                    };
                    tape.decisions.insert(key(name, arguments), decision.clone());
                    if let Decision::Arguments(edited) = decision {
                        arguments.clone_from(edited);
                    }
                }
                Fact::Returned { id, content, error, .. } => {
                    let Some((name, arguments)) = open.get(id.as_str()) else { continue };
                    let gave = Gave(content.clone(), error.clone());
                    results.entry(key(name, arguments)).or_default().push_back(gave);
                    tape.calls.entry((*name).to_owned()).or_default().push(canonical_object(arguments));
                }
                _ => {}
            }
        }
        tape.results = Mutex::new(results);
        tape
    }

    fn tool(self: &Arc<Self>, card: &ToolCard) -> Arc<dyn Tool> {
        Arc::new(Recorded { card: card.clone(), tape: Arc::clone(self) })
    }

    /// The next recorded result of a call, the last one again.
    fn next(&self, key: &str) -> Option<Gave> {
        let mut results = lock(&self.results);
        let queue = results.get_mut(key)?;
        if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }
    }

    /// The new run asks for what is not recorded.
    fn part(&self, message: String) -> Error {
        lock(&self.mismatch).get_or_insert_with(|| message.clone());
        Error::new(Code::ReplayMismatch, message)
    }
}

/// What names a call.
fn key(name: &str, arguments: &Map<String, Value>) -> String {
    format!("{name} {}", canonical_object(arguments))
}

/// A tool that gives what it gave before.
struct Recorded {
    card: ToolCard,
    tape: Arc<Tape>,
}

impl Tool for Recorded {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        let name = &self.card.name;
        match self.tape.next(&key(name, &arguments)) {
            Some(Gave(content, None)) => return Ok(Value::String(content)),
            Some(Gave(content, Some(code))) => {
                let said = content.strip_prefix(&format!("{code}: ")).unwrap_or(&content).to_owned();
                let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
                return Err(Error::new(known.unwrap_or(Code::ToolFailed), said));
            }
            None => {}
        }
        if let Some(tool) = self.tape.live_tools.get(name) {
            lock(&self.tape.lived).push(format!("{name}({})", canonical_object(&arguments)));
            return tool.run(arguments, context);
        }
        let recorded = self.tape.calls.get(name).map(Vec::as_slice).unwrap_or_default();
        let recorded: Vec<&str> = recorded.iter().take(MOST_SHOWN).map(String::as_str).collect();
        let recorded = if recorded.is_empty() { "none".to_owned() } else { recorded.join("; ") };
        // The run ends here: nothing that the model could say next would tell anything.
        let inner = &self.tape.runtime.0;
        inner.store.cancel(inner.tenant.as_deref(), &context.run_id)?;
        Err(self.tape.part(format!(
            "the model calls '{name}' with {}, which is not in the journal of run '{}'; its calls of '{name}' there: \
             {recorded}; set live to have it made now",
            canonical_object(&arguments),
            self.tape.run_id
        )))
    }
}

impl Retrieve for Tape {
    fn passages(&self, question: &str, wanted: &Wanted, cancel: &Cancel) -> Result<Vec<Passage>> {
        if let Some(passages) = self.passages.get(question) {
            return Ok(passages.clone());
        }
        if let Some(sources) = &self.live_sources {
            lock(&self.lived).push(format!("search: {question}"));
            return sources.passages(question, wanted, cancel);
        }
        let mut recorded: Vec<String> =
            self.passages.keys().map(|known| format!("'{}'", shorten(known))).collect();
        recorded.sort();
        recorded.truncate(MOST_SHOWN);
        Err(self.part(format!(
            "passages are looked for by '{}', which is not in the journal of run '{}'; there: {}; set live to have it \
             looked up now",
            shorten(question),
            self.run_id,
            recorded.join("; ")
        )))
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        self.embedder.clone()
    }
}

impl Approve for Tape {
    fn decide(&self, pending: &Pending, cancel: &Cancel) -> Result<Option<Decision>> {
        let plan = pending.id == PLAN_ID;
        let key = if plan { pending.id.clone() } else { key(&pending.name, &pending.arguments) };
        if let Some(decision) = self.decisions.get(&key) {
            return Ok(Some(decision.clone()));
        }
        if plan {
            return Ok(Some(Decision::Approve));
        }
        if self.live {
            return self.live_approve.as_ref().map_or(Ok(None), |approve| approve.decide(pending, cancel));
        }
        // What waits in the recorded run waits here; what is not in it parts the two runs when it is made.
        Ok(if self.asked.contains(&key) { None } else { Some(Decision::Approve) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
