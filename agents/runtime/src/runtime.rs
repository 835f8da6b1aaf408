//! What can be asked of a runtime?

use std::collections::HashMap;
use std::sync::Arc;

use quorate_agents::{Agent, AgentRegistry};
use quorate_core::embed::Embed;
use quorate_core::{Cancel, Code, Error, Hold, Result};
use quorate_models::{Message, Model, Output};
use quorate_state::{Begun, NewRun, RunRow, StateStore};
use serde_json::Value;

use crate::answer::Answer;
use crate::approve::Approve;
use crate::budget::{Budget, Ledger, Spent};
use crate::conversation::{Conversation, ConversationOptions};
use crate::driven::Asked;
use crate::driver::watch::Watch;
use crate::driver::{Drive, Listener, now, priced};
use crate::event::Event;
use crate::evidence::Retrieve;
use crate::extractive::{self, ExtractOptions};
use crate::fact::{Fact, Spec};
use crate::family::Nested;
use crate::machine::{Action, Machine};
use crate::names::{fresh_id, title};
use crate::prompt;
pub use crate::question::{CheckOutput, HostContext, Question, Resume};
use crate::question::{same_question, was_decided};
use crate::tool::{InUse, Tool, check_tools};
use crate::view::{RunView, STATUSES, is_own, no_panel, replayed, seen, stands};

/// What journals of asked experts are called in the store.
pub(crate) const KIND: &str = "ask";

/// How deep runs may start one another.
pub(crate) const MOST_DEPTH: u32 = 5;

/// Longest question, in bytes.
pub const MAX_QUESTION_BYTES: usize = 1 << 20;

/// What a runtime is made of.
#[derive(Clone, Default)]
pub struct RuntimeOptions {
    /// The experts; `None`: questions are answered by nobody in particular.
    pub registry: Option<AgentRegistry>,
    /// Where sources are found, as the tenant sees them.
    pub sources: Option<Arc<dyn Retrieve>>,
    /// The language model; `None`: sentences of the sources answer.
    pub model: Option<Model>,
    /// How those are chosen, and [how sure](ExtractOptions::min_confidence) they must be; `None`: as the extractive model has it.
    pub extract: Option<ExtractOptions>,
    /// What the model may have done.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Where journals are kept; `None`: in memory, the newest 1,000.
    pub store: Option<StateStore>,
    /// On whose behalf: runs of other tenants do not exist for it.
    pub tenant: Option<String>,
    /// What each run may spend.
    pub budget: Budget,
    /// Who decides about calls that need approval; `None`: runs wait, and autonomous ones are denied them.
    pub approve: Option<Arc<dyn Approve>>,
}

/// Experts that answer. Cheap to clone; it can be used from many threads.
///
/// ```
/// use quorate_models::{Model, ScriptedModel};
/// use quorate_runtime::{Question, Runtime, RuntimeOptions};
/// let model = Model::new(ScriptedModel::of_texts(["5 mg."]), Default::default())?;
/// let runtime = Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() })?;
/// let answer = runtime.ask(Question::new("Which dose?"))?;
/// assert_eq!((answer.text.as_str(), answer.status.as_str()), ("5 mg.", "done"));
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Runtime(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) registry: Option<AgentRegistry>,
    pub(crate) sources: Option<Arc<dyn Retrieve>>,
    /// `None` where sentences of the sources answer.
    pub(crate) model: Option<Model>,
    pub(crate) extract: ExtractOptions,
    pub(crate) tools: Vec<Arc<dyn Tool>>,
    pub(crate) store: StateStore,
    pub(crate) tenant: Option<String>,
    pub(crate) budget: Budget,
    pub(crate) approve: Option<Arc<dyn Approve>>,
    /// The runs that go on in this process.
    pub(crate) live: Arc<Hold<HashMap<String, Cancel>>>,
    /// What the answers of runs that wait will have to fit.
    pub(crate) checks: Arc<Hold<HashMap<String, CheckOutput>>>,
    pub(crate) watch: Watch,
}

impl Inner {
    /// Whether the other is this one, or the same with other tools.
    pub(crate) fn is_same(&self, other: &Inner) -> bool {
        Arc::ptr_eq(&self.live, &other.live)
    }
}

impl Runtime {
    /// Errors: `invalid_argument` where nothing could answer, two tools have one name, or an option is outside its domain.
    pub fn new(options: RuntimeOptions) -> Result<Self> {
        options.budget.validate()?;
        check_tools(&InUse::of(&options.tools).tools)?;
        let extractive = options.model.as_ref().is_none_or(|model| model.id() == extractive::EXTRACTIVE);
        if extractive && options.sources.is_none() {
            let message = "a runtime needs a model, or a knowledge base whose sentences answer";
            return Err(Error::invalid(message));
        }
        let extract = extractive::options_of(options.model.as_ref(), options.extract)?;
        let registry = match (&options.registry, &options.tenant) {
            (Some(registry), Some(tenant)) => Some(registry.tenant(tenant)?),
            (registry, _) => registry.clone(),
        };
        Ok(Runtime(Arc::new(Inner {
            registry,
            sources: options.sources,
            model: options.model.filter(|_| !extractive),
            extract,
            tools: options.tools,
            store: options.store.unwrap_or_else(StateStore::memory),
            tenant: options.tenant,
            budget: options.budget,
            approve: options.approve,
            live: Arc::default(),
            checks: Arc::default(),
            watch: Watch::default(),
        })))
    }

    /// The same runtime with other tools, and with somebody else who decides. Errors: `invalid_argument`.
    pub fn with(&self, tools: Vec<Arc<dyn Tool>>, approve: Option<Arc<dyn Approve>>) -> Result<Self> {
        check_tools(&InUse::of(&tools).tools)?;
        let inner = &self.0;
        Ok(Runtime(Arc::new(Inner {
            registry: inner.registry.clone(),
            sources: inner.sources.clone(),
            model: inner.model.clone(),
            extract: inner.extract.clone(),
            tools,
            store: inner.store.clone(),
            tenant: inner.tenant.clone(),
            budget: inner.budget.clone(),
            approve,
            live: Arc::clone(&inner.live),
            checks: Arc::clone(&inner.checks),
            watch: Watch::default(),
        })))
    }

    /// Asks an expert, and waits until the run is over or waits for somebody.
    ///
    /// Errors: `empty_input`, `too_large`, `invalid_argument`; `unknown_id` for an expert that does not exist;
    /// `budget_unpriced`; `run_conflict` for a key whose run goes on elsewhere, or was asked something else; those of the model, the search and the store.
    /// A limit of the budget is no error: the answer says by what it was stopped.
    pub fn ask(&self, question: Question) -> Result<Answer> {
        self.ask_with(question, None, None)
    }

    /// The same, where `listener` is shown what happens, on the thread that asks.
    pub fn ask_shown(
        &self,
        question: Question,
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Answer> {
        self.ask_with(question, Some(Arc::new(listener)), None)
    }

    pub(crate) fn ask_with(
        &self,
        question: Question,
        listener: Option<Listener>,
        nested: Option<Nested>,
    ) -> Result<Answer> {
        match self.begin(question, listener, nested)? {
            Asked::Begun(drive, nested, talk) => {
                self.drive(drive, nested.map(|nested| *nested), talk.as_ref())
            }
            Asked::Known(answer) => Ok(*answer),
        }
    }

    /// Begins a run. Apart from its drive, during which a thread waits, so that its stack stays small.
    #[inline(never)]
    fn begin(&self, question: Question, listener: Option<Listener>, nested: Option<Nested>) -> Result<Asked> {
        let in_use = self.in_use(question.tools.as_deref());
        let approve = question.approve.clone().or_else(|| self.0.approve.clone());
        let mut spec = self.spec(&question, &in_use.tools, approve.is_some(), nested.as_ref())?;
        let ledger = match &nested {
            Some(nested) => nested.ledger.clone(),
            None => Ledger::new(spec.budget.clone(), Spent::default()),
        };
        priced(self.0.model.as_ref(), &ledger)?;
        if let (Some(_), Some(key)) = (&question.talk, &question.idempotency_key)
            && let Some(row) = self.0.store.keyed(self.0.tenant.as_deref(), KIND, key)?
        {
            // To find out what would be taken along may cost something.
            return self.known(&row, question, &spec, listener, nested).map(Asked::known);
        }
        if let Some(talk) = &question.talk {
            let taken =
                talk.take(&question.text, Some(&ledger), question.trace_parent.as_deref(), &question.cancel)?;
            spec.conversation.splice(0..0, taken.messages);
            spec.spent = taken.spent;
        }
        let (started, time) = (Fact::Started(Box::new(spec)), now());
        let id = fresh_id();
        let new = NewRun {
            id: Some(&id),
            kind: KIND,
            tenant: self.0.tenant.as_deref(),
            title: title(&question.text),
            parent: nested.as_ref().map(|nested| nested.parent.as_str()),
            key: question.idempotency_key.as_deref(),
        };
        // With its question: a run without one could not go on, nor be asked for again by its key.
        let run = match self.0.store.begin(&new, &[started.entry(1, time)?])? {
            Begun::New(run) => run,
            Begun::Known(row) => {
                let Fact::Started(spec) = &started else {
                    return Err(Error::new(Code::Internal, "a run begins with its question"));
                };
                return self.known(&row, question, spec, listener, nested).map(Asked::known);
            }
        };
        if let Some(talk) = &question.talk {
            talk.expect(&id)?;
        }
        let mut drive = Box::new(Drive::new(
            Arc::clone(&self.0),
            Machine::new(run.id()),
            run,
            1,
            in_use,
            approve,
            ledger,
            question.cancel.clone(),
            listener,
        ));
        drive.check_output = question.check_output;
        (drive.trace_parent, drive.host) = (question.trace_parent, question.host);
        drive.take_in(&started, time)?;
        // The machine has it.
        drop(started);
        Ok(Asked::Begun(drive, nested.map(Box::new), question.talk))
    }

    /// The run that a key has begun before.
    fn known(
        &self,
        row: &RunRow,
        question: Question,
        spec: &Spec,
        listener: Option<Listener>,
        nested: Option<Nested>,
    ) -> Result<Answer> {
        let entries = self.0.store.entries(self.0.tenant.as_deref(), &row.id, 1)?;
        if let (Some(key), None, Some(first)) = (&question.idempotency_key, &nested, entries.first())
            && let Fact::Started(before) = Fact::of(first)?
        {
            same_question(key, &before, spec)?;
        }
        let decisions = match &nested {
            Some(nested) => {
                // What it was told before a crash it knows.
                let pending = replayed(&row.id, &entries)?.pending();
                let mut decisions = nested.again.begun.decisions.clone();
                decisions.retain(|(id, _)| pending.iter().any(|one| one.id == *id));
                decisions
            }
            None => Vec::new(),
        };
        // Who may approve by now is asked by the run that waits.
        let asks = nested.is_some() && (question.approve.is_some() || self.0.approve.is_some());
        let goes_on = match row.status.as_str() {
            "running" | "interrupted" => true,
            "waiting" => asks || !decisions.is_empty(),
            _ => false,
        };
        if !goes_on {
            self.keep_turn(&replayed(&row.id, &entries)?)?;
            return stands(&row.id, &entries, listener.as_ref(), nested.as_ref());
        }
        let going_on = Resume {
            decisions,
            tools: question.tools,
            approve: question.approve,
            check_output: question.check_output,
            trace_parent: question.trace_parent,
            host: question.host,
            cancel: question.cancel,
        };
        self.go_on(&row.id, going_on, listener, nested)
    }

    /// Goes on with a run that waits, with decisions about some of what it waits for, or whose process has ended.
    ///
    /// Errors: `unknown_id` for a run, or a decision about something that does not wait; `tool_arguments` for edited
    /// arguments that do not fit; `run_conflict` while another goes on with it; those of [`Runtime::ask`].
    pub fn resume(&self, run_id: &str, going_on: Resume) -> Result<Answer> {
        self.go_on(run_id, going_on, None, None)
    }

    /// The same, where `listener` is shown what happens, on the thread that goes on.
    pub fn resume_shown(
        &self,
        run_id: &str,
        going_on: Resume,
        listener: impl Fn(Event) + Send + Sync + 'static,
    ) -> Result<Answer> {
        self.go_on(run_id, going_on, Some(Arc::new(listener)), None)
    }

    pub(crate) fn go_on(
        &self,
        run_id: &str,
        going_on: Resume,
        listener: Option<Listener>,
        nested: Option<Nested>,
    ) -> Result<Answer> {
        let decisions = &going_on.decisions;
        self.own_row(run_id)?;
        let run = self.0.store.take(self.0.tenant.as_deref(), run_id)?;
        let entries = run.entries()?;
        no_panel(run_id, &entries)?;
        let machine = replayed(run_id, &entries)?;
        if machine.ended().is_some() {
            was_decided(run_id, decisions, &entries)?;
            self.keep_turn(&machine)?;
            // Whoever is shown how it ended may take it at once.
            drop(run);
            return stands(run_id, &entries, listener.as_ref(), nested.as_ref());
        }
        if !machine.is_started() {
            let message = format!("run '{run_id}' ended before its question was written down; ask again");
            return Err(Error::new(Code::UnknownId, message));
        }
        let pending = machine.pending();
        if let Some((id, _)) = decisions.iter().find(|(id, _)| pending.iter().all(|one| one.id != *id)) {
            let ids: Vec<&str> = pending.iter().map(|one| one.id.as_str()).collect();
            let message =
                format!("run '{run_id}': '{id}' does not wait for a decision; waiting: [{}]", ids.join(", "));
            return Err(Error::new(Code::UnknownId, message));
        }
        // What is only to be ended needs nothing.
        let ends = going_on.cancel.is_cancelled();
        if !ends {
            self.suits(&machine.spec)?;
        }
        let ledger = match &nested {
            Some(nested) => {
                // What it spent before is not in the journal of the run that has started it.
                nested.count(&machine.spent);
                nested.ledger.clone()
            }
            None => self.rest_of(&machine)?,
        };
        if !ends {
            priced(self.0.model.as_ref(), &ledger)?;
        }
        let in_use = self.in_use(going_on.tools.as_deref());
        let approve = going_on.approve.or_else(|| self.0.approve.clone());
        let seq = entries.last().map_or(0, |entry| entry.seq);
        let mut drive = Box::new(Drive::new(
            Arc::clone(&self.0),
            machine,
            run,
            seq,
            in_use,
            approve,
            ledger,
            going_on.cancel,
            listener,
        ));
        (drive.trace_parent, drive.host) = (going_on.trace_parent, going_on.host);
        for (id, decision) in decisions {
            drive.validate(id, decision)?;
        }
        if drive.listens() {
            drive.shown = seen(run_id, &entries)?;
        }
        let spec = drive.machine.spec.clone();
        let talk = self.talk_of(&spec)?;
        if let Some(talk) = &talk {
            talk.expect(run_id)?;
        }
        drive.check_output = going_on.check_output.or_else(|| self.forget_check(run_id));
        drive.note(Fact::Resumed)?;
        for (id, decision) in decisions {
            drive.note(Fact::Decided { id: id.clone(), decision: decision.clone() })?;
        }
        if spec.checked && drive.check_output.is_none() && !ends {
            let message = "the answer's data is held against its schema alone: what else it was to fit is not here any more";
            drive.note(Fact::Warned { code: None, message: message.to_owned() })?;
        }
        self.drive(drive, nested, talk.as_ref())
    }

    /// The conversation that a run belongs to.
    fn talk_of(&self, spec: &Spec) -> Result<Option<Conversation>> {
        let open = |id: &String| self.conversation(Some(id), ConversationOptions::default());
        spec.talk.as_ref().map(open).transpose()
    }

    /// Writes the turn of a run that has ended into its conversation, where its process could not.
    fn keep_turn(&self, machine: &Machine) -> Result<()> {
        if !machine.status().is_final() {
            return Ok(());
        }
        match self.talk_of(&machine.spec)? {
            Some(talk) => talk.keep(&machine.spec.question, &machine.answer()),
            None => Ok(()),
        }
    }

    /// What the answer of a run has to fit that has waited.
    pub(crate) fn forget_check(&self, run_id: &str) -> Option<CheckOutput> {
        self.0.checks.take()?.remove(run_id)
    }

    /// Whether this runtime has what a run was begun with. Errors: `invalid_argument`; the run stays as it is.
    fn suits(&self, spec: &Spec) -> Result<()> {
        let lacks = [
            ("model", !spec.extractive && self.0.model.is_none()),
            ("knowledge base", spec.retrieval && self.0.sources.is_none()),
            ("registry", spec.matching && self.0.registry.is_none()),
        ];
        match lacks.iter().find(|(_, lacks)| *lacks) {
            Some((what, _)) => Err(Error::invalid(format!(
                "the run was begun by a runtime with a {what}, and this one has none; go on with it by one that has"
            ))),
            None => Ok(()),
        }
    }

    fn spec(
        &self,
        question: &Question,
        tools: &[Arc<dyn Tool>],
        approver: bool,
        nested: Option<&Nested>,
    ) -> Result<Spec> {
        if question.text.trim().is_empty() {
            return Err(Error::new(Code::EmptyInput, "the question is empty"));
        }
        if question.text.len() > MAX_QUESTION_BYTES {
            let message =
                format!("the question has {} bytes, {MAX_QUESTION_BYTES} are possible", question.text.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        let budget = match nested {
            Some(nested) => nested.ledger.budget().clone(),
            None => question.budget.clone().unwrap_or_else(|| self.0.budget.clone()),
        };
        budget.validate()?;
        check_tools(tools)?;
        let extractive = self.0.model.is_none();
        if let Some(schema) = &question.output {
            Output::new(schema.clone())?;
            if extractive {
                let message = "sentences of the sources have no form; an output needs a language model";
                return Err(Error::new(Code::Unsupported, message));
            }
        } else if question.check_output.is_some() {
            return Err(Error::invalid("what checks the output needs its form: give output, a JSON Schema"));
        }
        match &question.filter {
            None => {}
            Some(_) if self.0.sources.is_none() => {
                return Err(Error::invalid("a filter (where) needs a knowledge base"));
            }
            Some(Value::String(text)) => drop(quorate_core::filter::Filter::parse(text)?),
            Some(value) => drop(quorate_core::filter::Filter::from_json(value)?),
        }
        if question.talk.as_ref().is_some_and(|talk| talk.tenant() != self.0.tenant.as_deref()) {
            return Err(Error::invalid("the conversation belongs to another tenant"));
        }
        let agent = question.agent.as_deref().map(|id| self.agent(id)).transpose()?;
        Ok(Spec {
            question: question.text.clone(),
            agent: agent.map(Box::new),
            autonomous: question.autonomous,
            matching: self.0.registry.as_ref().is_some_and(|registry| !registry.is_empty()),
            retrieval: self.0.sources.is_some(),
            extractive,
            extract: self.0.extract.noted(extractive),
            approver,
            unattended: nested.is_some_and(|nested| nested.again.unattended),
            conversation: question.conversation.clone(),
            output: question.output.clone(),
            checked: question.output.is_some() && question.check_output.is_some(),
            tools: tools.iter().map(|tool| tool.card().clone()).collect(),
            budget,
            seed: question.seed,
            talk: question.talk.as_ref().map(|talk| talk.id().to_owned()),
            spent: Spent::default(),
            filter: question.filter.clone(),
            parent: nested.map(|nested| nested.parent.clone()),
            depth: nested.map_or(0, |nested| nested.depth),
        })
    }

    fn in_use(&self, given: Option<&[Arc<dyn Tool>]>) -> InUse {
        InUse::now(given.unwrap_or(&self.0.tools))
    }

    fn agent(&self, id: &str) -> Result<Agent> {
        let Some(registry) = &self.0.registry else {
            return Err(Error::invalid(format!("agent '{id}' is named, but the runtime has no registry")));
        };
        let agent = registry.get(id)?;
        prompt::instructions(&agent)?;
        Ok((*agent).clone())
    }

    /// The messages that the first request to the model would have. Nothing is sent, and nothing is kept.
    /// Errors: those of [`Runtime::ask`] before anything is asked.
    pub fn prompt(&self, question: Question) -> Result<Vec<Message>> {
        let in_use = self.in_use(question.tools.as_deref());
        let approver = question.approve.is_some() || self.0.approve.is_some();
        let mut spec = self.spec(&question, &in_use.tools, approver, None)?;
        if let Some(talk) = &question.talk {
            spec.conversation.splice(0..0, talk.take(&question.text, None, None, &question.cancel)?.messages);
        }
        let store = StateStore::memory();
        let new = NewRun { id: None, kind: KIND, tenant: None, title: "", parent: None, key: None };
        let Begun::New(run) = store.begin(&new, &[])? else {
            return Err(Error::new(Code::Internal, "a new store knows a run"));
        };
        let ledger = Ledger::new(spec.budget.clone(), Spent::default());
        let mut drive = Drive::new(
            Arc::clone(&self.0),
            Machine::new(run.id()),
            run,
            0,
            in_use,
            None,
            ledger,
            question.cancel,
            None,
        );
        drive.note(Fact::Started(Box::new(spec)))?;
        drive.prepare()?;
        Ok(match drive.machine.due().into_iter().next() {
            Some(Action::Ask { request, .. }) => request.messages,
            _ => drive.machine.messages(),
        })
    }

    /// The runs of this tenant, the newest last; those with `status` (`running`, `waiting`, `interrupted`, `done`, `partial`,
    /// `cancelled`, `refused`, `abstained`, `failed`). Errors: `invalid_argument`, those of the store.
    pub fn runs(&self, status: Option<&str>) -> Result<Vec<RunRow>> {
        if let Some(status) = status.filter(|status| !STATUSES.contains(status)) {
            return Err(Error::invalid(format!(
                "status is '{}'; it is one of {}",
                quorate_core::shorten(status),
                STATUSES.join(", ")
            )));
        }
        let mut rows = self.0.store.runs(self.0.tenant.as_deref(), status)?;
        rows.retain(is_own);
        Ok(rows)
    }

    /// A run. Errors: `unknown_id`.
    pub fn run(&self, run_id: &str) -> Result<RunView> {
        let row = self.own_row(run_id)?;
        Ok(RunView::new(self.clone(), row))
    }

    /// What compares texts by meaning at little cost, where there is something.
    pub(crate) fn embedder(&self) -> Option<Arc<dyn Embed>> {
        self.0.sources.as_ref().and_then(|sources| sources.embedder())
    }

    /// The tools that each question may use.
    pub fn tools(&self) -> &[Arc<dyn Tool>] {
        &self.0.tools
    }

    /// Where its experts are found, as its tenant sees them.
    pub fn registry(&self) -> Option<&AgentRegistry> {
        self.0.registry.as_ref()
    }

    /// Where the journals are kept.
    pub fn store(&self) -> &StateStore {
        &self.0.store
    }
}
