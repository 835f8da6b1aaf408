//! How does a panel begin, go on and end?

use std::sync::Arc;

use quorate_core::filter::Filter;
use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::Model;
use quorate_state::{Begun, Entry, NewRun, RunRow};
use serde_json::Value;

use super::answer::{PanelAnswer, PanelSession};
use super::driver::{Drive, Models};
use super::fact::{PanelFact, PanelSpec};
use super::machine::Machine;
use super::options::{PanelOptions, Weighting};
use super::seat::somebody_counts;
use super::table::Table;
use crate::budget::{Budget, Ledger, Spent};
use crate::driver::{Listener, now, priced};
use crate::fact::Status;
use crate::names::{fresh_id, title};
use crate::runtime::{MAX_QUESTION_BYTES, Runtime};

/// What journals of panels are called in the store.
pub(crate) const KIND: &str = "panel";

/// How a panel goes on.
#[derive(Clone, Default)]
pub struct PanelResume {
    /// Who answers for members that have models of their own, by their ids. A model that the runtime has too is found by its
    /// name.
    pub models: Vec<(String, Model)>,
    /// The judge of a debate, where it is not the runtime's model.
    pub judge: Option<Model>,
    /// The host's span that the panel's spans belong to, as a W3C `traceparent`. It is in no journal.
    pub trace_parent: Option<String>,
    /// Ends the panel.
    pub cancel: Cancel,
}

impl Runtime {
    /// Asks a panel, and waits until it is over.
    ///
    /// A blind first round is always held. Members that have no model of their own are answered for by the runtime's; without
    /// one, sentences of the sources answer. Failed, refused and late ballots are counted in `dropped`.
    ///
    /// Errors: those of [`PanelOptions::validate`]; `empty_input`, `too_large`; `unknown_id` for a member that does not exist;
    /// `not_found` where no expert fits; `budget_unpriced`; `run_conflict` for a key whose panel goes on elsewhere; those of the
    /// search and the store. A missed quorum and a limit of the budget are no errors: the answer says so.
    ///
    /// ```
    /// use quorate_models::{Model, ScriptedModel};
    /// use quorate_runtime::{Member, PanelOptions, Runtime, RuntimeOptions};
    /// let says = |word: &'static str| {
    ///     let text = format!(r#"{{"choice": "{word}", "confidence": 0.9, "reasons": [{{"text": "It is {word}."}}]}}"#);
    ///     Model::new(ScriptedModel::of_function(move |_, _| Ok(quorate_models::Reply::text_of(text.clone()))), Default::default())
    /// };
    /// let runtime = Runtime::new(RuntimeOptions { model: Some(says("yes")?), ..RuntimeOptions::default() })?;
    /// let members = vec![Member::with("ann", says("yes")?), Member::with("bob", says("yes")?), Member::with("eve", says("no")?)];
    /// let options = vec!["yes".to_owned(), "no".to_owned()];
    /// let panel = runtime.panel("Is it?", PanelOptions { members: Some(members), options, ..PanelOptions::default() })?;
    /// assert_eq!(panel.score.unwrap().decision.option(), Some("yes"));
    /// assert_eq!(panel.minority[0].ballots[0].reasons[0].text, "It is no.");
    /// # Ok::<(), quorate_core::Error>(())
    /// ```
    pub fn panel(&self, question: impl Into<String>, options: PanelOptions) -> Result<PanelAnswer> {
        self.panel_with(&question.into(), options, None)
    }

    /// The same, where `listener` is shown what happens, on the thread that asks.
    pub fn panel_shown(
        &self,
        question: impl Into<String>,
        options: PanelOptions,
        listener: impl Fn(crate::Event) + Send + Sync + 'static,
    ) -> Result<PanelAnswer> {
        self.panel_with(&question.into(), options, Some(Arc::new(listener)))
    }

    /// Goes on with a panel whose process has ended: no ballot that was given is asked for again.
    ///
    /// Errors: `unknown_id`; `invalid_argument` where a model is missing, or the run is no panel; `run_conflict` while another
    /// goes on with it; those of [`Runtime::panel`].
    pub fn resume_panel(&self, run_id: &str, going_on: PanelResume) -> Result<PanelAnswer> {
        self.panel_on(run_id, going_on, None)
    }

    /// The same, where `listener` is shown what happens from there.
    pub fn resume_panel_shown(
        &self,
        run_id: &str,
        going_on: PanelResume,
        listener: impl Fn(crate::Event) + Send + Sync + 'static,
    ) -> Result<PanelAnswer> {
        self.panel_on(run_id, going_on, Some(Arc::new(listener)))
    }

    /// The panels of this tenant, the newest last. Errors: those of the store.
    pub fn panels(&self) -> Result<Vec<PanelSession>> {
        let inner = &self.0;
        let rows = inner.store.runs(inner.tenant.as_deref(), None)?;
        let mut out = Vec::new();
        for row in rows.into_iter().filter(|row| row.kind == KIND) {
            let entries = inner.store.entries(inner.tenant.as_deref(), &row.id, 1)?;
            out.extend(replayed(&row.id, &entries)?.session(&row.status));
        }
        Ok(out)
    }

    pub(crate) fn panel_with(
        &self,
        question: &str,
        options: PanelOptions,
        listener: Option<Listener>,
    ) -> Result<PanelAnswer> {
        options.validate()?;
        let (spec, models) = self.panel_spec(question, &options)?;
        let ledger = Ledger::new(spec.budget.clone(), Spent::default());
        self.all_priced(&models, &ledger)?;
        let (opened, time) = (PanelFact::Opened(Box::new(spec)), now());
        let id = fresh_id();
        let shown = options.title.as_deref().unwrap_or(question);
        let new = NewRun {
            id: Some(&id),
            kind: KIND,
            tenant: self.0.tenant.as_deref(),
            title: title(shown),
            parent: None,
            key: options.idempotency_key.as_deref(),
        };
        let run = match self.0.store.begin(&new, &[opened.entry(1, time)?])? {
            Begun::New(run) => run,
            Begun::Known(row) => return self.panel_known(&row, options, listener),
        };
        let machine = Machine::new(run.id());
        let inner = Arc::clone(&self.0);
        let mut drive = Drive::new(inner, machine, run, 1, models, ledger, options.cancel, listener);
        drive.take_in(&opened, time)?;
        self.drive_panel(drive, options.trace_parent.as_deref())
    }

    /// The panel that a key has begun before.
    fn panel_known(
        &self,
        row: &RunRow,
        options: PanelOptions,
        listener: Option<Listener>,
    ) -> Result<PanelAnswer> {
        let members = options.members.into_iter().flatten().chain(options.chair);
        let going_on = PanelResume {
            models: members.filter_map(|member| Some((member.id, member.model?))).collect(),
            judge: options.judge,
            trace_parent: options.trace_parent,
            cancel: options.cancel,
        };
        self.panel_on(&row.id, going_on, listener)
    }

    pub(crate) fn panel_on(
        &self,
        run_id: &str,
        going_on: PanelResume,
        listener: Option<Listener>,
    ) -> Result<PanelAnswer> {
        let inner = &self.0;
        let row = inner.store.run(inner.tenant.as_deref(), run_id)?;
        if row.kind != KIND {
            let message =
                format!("run '{}' is no panel; go on with it by resume", quorate_core::shorten(run_id));
            return Err(Error::invalid(message));
        }
        let stands = |machine: &Machine, entries: &[Entry]| {
            if let (Some(listener), Some(last)) = (&listener, events(run_id, entries)?.pop()) {
                listener(crate::Event { seq: 1, ..last });
            }
            finished(machine)
        };
        if quorate_state::FINAL.contains(&row.status.as_str()) {
            let entries = inner.store.entries(inner.tenant.as_deref(), run_id, 1)?;
            return stands(&replayed(run_id, &entries)?, &entries);
        }
        let run = inner.store.take(inner.tenant.as_deref(), run_id)?;
        let entries = run.entries()?;
        let machine = replayed(run_id, &entries)?;
        if machine.ended().is_some() {
            // It has ended meanwhile; whoever is shown how may take it at once.
            drop(run);
            return stands(&machine, &entries);
        }
        let Some(spec) = machine.spec().cloned() else {
            let message = format!("panel '{run_id}' ended before its question was written down; ask again");
            return Err(Error::new(Code::UnknownId, message));
        };
        // What is only to be ended needs nothing.
        let ends = going_on.cancel.is_cancelled();
        let models = if ends { Models::default() } else { self.models_of(&spec, &going_on)? };
        let others = models.others(&spec);
        let ledger = Ledger::new(spec.budget.clone(), machine.spent.clone());
        if !ends {
            self.all_priced(&models, &ledger)?;
        }
        let seq = entries.last().map_or(0, |entry| entry.seq);
        let mut drive =
            Drive::new(Arc::clone(inner), machine, run, seq, models, ledger, going_on.cancel, listener);
        drive.note(PanelFact::Resumed { others })?;
        self.drive_panel(drive, going_on.trace_parent.as_deref())
    }

    /// Ends a panel that nobody goes on with.
    pub(crate) fn end_panel(&self, run_id: &str) -> Result<()> {
        let cancel = Cancel::new();
        cancel.cancel();
        self.panel_on(run_id, PanelResume { cancel, ..PanelResume::default() }, None).map(drop)
    }

    fn drive_panel(&self, mut drive: Drive, trace_parent: Option<&str>) -> Result<PanelAnswer> {
        let id = drive.machine.run_id.clone();
        if let Some(mut live) = self.0.live.take() {
            live.insert(id.clone(), drive.cancel.clone());
        }
        let span = span(&drive.machine, trace_parent);
        let outcome = span.in_scope(|| drive.go());
        span.record("quorate.run.status", drive.machine.status().as_str());
        if let Some(by) = &drive.machine.stopped_by {
            span.record("quorate.run.stopped_by", by.as_str());
        }
        span.record("gen_ai.usage.input_tokens", drive.machine.spent.usage.input);
        span.record("gen_ai.usage.output_tokens", drive.machine.spent.usage.output);
        if let Some(mut live) = self.0.live.take() {
            live.remove(&id);
        }
        outcome?;
        finished(&drive.machine)
    }

    fn all_priced(&self, models: &Models, ledger: &Ledger) -> Result<()> {
        models.seats.iter().flatten().chain(&models.judge).try_for_each(|model| priced(Some(model), ledger))
    }

    /// Who answers when a panel goes on. Errors: `invalid_argument` where somebody is missing.
    fn models_of(&self, spec: &PanelSpec, going_on: &PanelResume) -> Result<Models> {
        let inner = &self.0;
        if spec.retrieval && inner.sources.is_none() {
            return Err(Error::invalid(
                "the panel was begun by a runtime with a knowledge base, and this one has none; go on with it by one that has",
            ));
        }
        let lacking = |who: &str, model: &str| {
            Error::invalid(format!(
                "the panel needs the model '{model}' of {who}; give it to go on with the panel"
            ))
        };
        let runtimes = inner.model.as_ref();
        let mut seats = Vec::new();
        for seat in &spec.seats {
            if seat.extractive() {
                seats.push(None);
                continue;
            }
            let given = going_on.models.iter().find(|(id, _)| *id == seat.id).map(|(_, model)| model);
            let found = match given {
                Some(model) => Some(model),
                None if seat.own => runtimes.filter(|model| model.id() == seat.model),
                None => runtimes,
            };
            let found = found.ok_or_else(|| lacking(&format!("member '{}'", seat.id), &seat.model))?;
            seats.push(Some(found.clone()));
        }
        let judge = match &spec.judge {
            None => None,
            Some((model, _)) => {
                let found = going_on.judge.as_ref();
                let own = |found: &&Model| !spec.own_judge || found.id() == model;
                let found = found.or_else(|| runtimes.filter(own));
                Some(found.cloned().ok_or_else(|| lacking("the judge", model))?)
            }
        };
        Ok(Models { seats, judge })
    }

    fn panel_spec(&self, question: &str, options: &PanelOptions) -> Result<(PanelSpec, Models)> {
        if question.trim().is_empty() {
            return Err(Error::new(Code::EmptyInput, "the question is empty"));
        }
        if question.len() > MAX_QUESTION_BYTES {
            let message =
                format!("the question has {} bytes, {MAX_QUESTION_BYTES} are possible", question.len());
            return Err(Error::new(Code::TooLarge, message));
        }
        match &options.filter {
            None => {}
            Some(_) if self.0.sources.is_none() => {
                return Err(Error::invalid("a filter (where) needs a knowledge base"));
            }
            Some(Value::String(text)) => drop(Filter::parse(text)?),
            Some(value) => drop(Filter::from_json(value)?),
        }
        let form = options.form()?;
        let mut warnings = Vec::new();
        let mut table = Table::default();
        match &options.members {
            Some(members) => {
                for member in members {
                    table.push(self, member, format!("named as {}", member.role.as_str()))?;
                }
            }
            None => self.find_members(question, options, &mut table)?,
        }
        let chair = self.find_chair(options, &mut table)?;
        if options.weights == Weighting::Calibrated {
            self.calibrate(question, options, &mut table)?;
        }
        table.group();
        let judge = self.find_judge(options, &table, &mut warnings);
        let models = Models { seats: table.models, judge: judge.clone().map(|(model, _)| model) };
        let asked = table.seats.len() as u64 + u64::from(judge.is_some());
        let mut budget = options.budget.clone().unwrap_or_else(|| self.0.budget.clone());
        budget.validate()?;
        if budget.max_steps == Budget::default().max_steps {
            // What nobody has set is a run's; each member may take as many.
            budget.max_steps = budget.max_steps.map(|steps| steps.saturating_mul(asked.max(1)));
        }
        let counts = super::seat::counts(&table.seats, options.weights, None, None);
        somebody_counts(&counts)?;
        let (_, _, rounds) = options.kind.rounds();
        let spec = PanelSpec {
            question: question.to_owned(),
            title: title(options.title.as_deref().unwrap_or(question)).to_owned(),
            kind: options.kind,
            seats: table.seats,
            chair,
            rounds: options.rounds.unwrap_or(rounds),
            options: options.options.clone(),
            scale: options.scale_of(form),
            form,
            quorum: options.quorum,
            anonymous: options.anonymous.unwrap_or(true),
            own_judge: options.judge.is_some(),
            judge: judge.map(|(model, independent)| (model.id().to_owned(), independent)),
            weights: options.weights,
            aggregate: options.aggregate,
            seeds: options.seeds.clone(),
            truth: options.truth.clone(),
            rho: options.rho,
            minority_threshold: options.minority_threshold,
            similarity: options.similarity,
            member_seconds: options.member_seconds,
            retrieval: self.0.sources.is_some(),
            filter: options.filter.clone(),
            budget,
            seed: options.seed,
            warnings,
        };
        Ok((spec, models))
    }
}

/// What a subscriber of `tracing` sees of a panel; nothing of what was said.
fn span(machine: &Machine, trace_parent: Option<&str>) -> tracing::Span {
    tracing::info_span!(
        target: "quorate",
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.usage.input_tokens = tracing::field::Empty,
        gen_ai.usage.output_tokens = tracing::field::Empty,
        quorate.run.id = machine.run_id.as_str(),
        quorate.panel.type = machine.spec().map_or("", |spec| spec.kind.as_str()),
        quorate.run.status = tracing::field::Empty,
        quorate.run.stopped_by = tracing::field::Empty,
        traceparent = trace_parent,
    )
}

/// What the entries of a journal add up to.
pub(crate) fn replayed(run_id: &str, entries: &[Entry]) -> Result<Machine> {
    let mut machine = Machine::new(run_id);
    for entry in entries {
        machine.apply(&PanelFact::of(entry)?, entry.time)?;
    }
    Ok(machine)
}

/// The events of a journal.
pub(crate) fn events(run_id: &str, entries: &[Entry]) -> Result<Vec<crate::Event>> {
    let mut machine = Machine::new(run_id);
    let mut events = super::event::Events::default();
    for entry in entries {
        let fact = PanelFact::of(entry)?;
        machine.apply(&fact, entry.time)?;
        events.follow(&fact, &machine, entry.time)?;
    }
    Ok(events.take())
}

/// The answer, or the error by which the panel failed.
pub(crate) fn finished(machine: &Machine) -> Result<PanelAnswer> {
    match (&machine.failure, machine.status()) {
        (Some((code, message)), Status::Failed) => {
            let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
            Err(Error::new(known.unwrap_or(Code::Internal), message.clone()))
        }
        _ => machine.answer(),
    }
}
