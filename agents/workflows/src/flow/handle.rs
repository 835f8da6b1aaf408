//! What can be asked of a run, and said to it?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::{Entry, Posted, Run, RunRow, Wake};
use serde::Serialize;
use serde_json::{Value, json};

use super::drive::{commit, step, time_of};
use super::engine::{Hold, Inner};
use super::fact::{Fact, Outcome, Spec, Status, Waiting};
use super::form::OnError;
use super::library::Definition;
use super::machine::{Event, Machine};
use super::state::Phase;

/// How long a word to a run may take to be heard by whoever holds it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often other processes are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A run of a workflow.
#[derive(Clone)]
pub struct WorkflowRun {
    pub(super) inner: Arc<Inner>,
    /// The engine works as long as somebody has a run of it.
    hold: Arc<Hold>,
    id: String,
}

impl std::fmt::Debug for WorkflowRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WorkflowRun").field(&self.id).finish()
    }
}

/// A step of a run, as far as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepView {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What people read.
    pub title: String,
    /// The parallel step that it is within.
    pub within: Option<String>,
    /// `pending`, `running`, `retrying`, `waiting`, `completed`, `skipped`, `failed`, `cancelled` or `blocked`.
    pub status: String,
    /// How often it was come to, from 1.
    pub visit: u32,
    /// Attempts of this visit that have begun.
    pub attempts: u32,
    /// What came of it; null before, and where it was skipped.
    pub output: Value,
    /// The signal that has ended its wait.
    pub signal: Option<String>,
    /// The code of its last failure, or why it is blocked.
    pub code: Option<String>,
    /// What was said then.
    pub message: Option<String>,
    /// What it waits for: `review`, `signal`, `time`, `run`.
    pub waits_for: Option<String>,
    /// When it began, in seconds since 1970.
    pub began: Option<f64>,
    /// When it ended.
    pub ended: Option<f64>,
}

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalEntry {
    /// Its number in the run, from 1.
    pub seq: u64,
    /// When, in seconds since 1970.
    pub time: f64,
    /// What kind of thing: `started`, `step_started`, `step_completed`, `went_back`, `ended` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened.
    pub data: Value,
}

impl From<Entry> for JournalEntry {
    fn from(entry: Entry) -> Self {
        JournalEntry { seq: entry.seq, time: entry.time, kind: entry.kind, data: entry.data }
    }
}

impl WorkflowRun {
    pub(crate) fn new(hold: &Arc<Hold>, id: String) -> WorkflowRun {
        WorkflowRun { inner: Arc::clone(&hold.0), hold: Arc::clone(hold), id }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn tenant(&self) -> Option<&str> {
        self.inner.tenant.as_deref()
    }

    fn row(&self) -> Result<RunRow> {
        self.inner.here()?;
        self.inner.store.run(self.tenant(), &self.id)
    }

    fn entries(&self, from: u64) -> Result<Vec<Entry>> {
        self.inner.here()?;
        self.inner.store.entries(self.tenant(), &self.id, from)
    }

    pub(crate) fn machine(&self) -> Result<Arc<Machine>> {
        self.inner.here()?;
        self.inner.machine(&self.id)
    }

    /// How far it is. Errors: `unknown_id` once it was deleted; those of the store.
    pub fn status(&self) -> Result<Status> {
        let row = self.row()?;
        Status::of(&row.status).ok_or_else(|| {
            Error::new(Code::Corrupt, format!("the run '{}' has the status '{}'", self.id, row.status))
        })
    }

    /// Waits until it is over, at most so long (`None`: as long as it takes); its status then. A run that waits for somebody,
    /// or is blocked, is not over.
    ///
    /// Errors: those of [`WorkflowRun::status`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Status> {
        self.wait_for(timeout, Status::is_final)
    }

    /// The same, until it has such a status.
    pub fn wait_for(&self, timeout: Option<Duration>, is: impl Fn(Status) -> bool) -> Result<Status> {
        self.inner.here()?;
        let begun = Instant::now();
        loop {
            let seen = self.inner.moves();
            let status = self.status()?;
            let left = timeout.map(|timeout| timeout.saturating_sub(begun.elapsed()));
            if is(status) || left.is_some_and(|left| left.is_zero()) {
                return Ok(status);
            }
            self.inner.wait_moved(seen, left.map_or(LOOK, |left| left.min(LOOK)));
        }
    }

    /// What came of it, once it is completed.
    ///
    /// Errors: `not_found` while it goes on; `cancelled`; of a run that failed the code of its failure where it is one of
    /// quorate's, and else `tool_failed`, with the run's own code in the message.
    pub fn result(&self) -> Result<Value> {
        match self.outcome()? {
            None => {
                let status = self.status()?.as_str();
                Err(Error::new(
                    Code::NotFound,
                    format!("the run '{}' is {status}, and has no result yet", self.id),
                ))
            }
            Some(Outcome::Completed { output }) => Ok(output),
            Some(Outcome::Cancelled { reason }) => {
                Err(Error::new(Code::Cancelled, format!("the run '{}' was cancelled: {reason}", self.id)))
            }
            Some(Outcome::Failed { code, message, step, .. }) => {
                let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
                let at = step.map(|step| format!(" in step '{step}'")).unwrap_or_default();
                Err(Error::new(
                    known.unwrap_or(Code::ToolFailed),
                    format!("the run '{}' failed{at} with '{code}': {message}", self.id),
                ))
            }
        }
    }

    /// How it ended, as JSON: `status` with `output`, `reason`, or `code`, `message`, `step` and `cause`; none while it goes on.
    /// Errors: those of the store.
    pub fn ending(&self) -> Result<Option<Value>> {
        Ok(self.outcome()?.map(|outcome| serde_json::to_value(outcome).unwrap_or_default()))
    }

    fn outcome(&self) -> Result<Option<Outcome>> {
        let row = self.row()?;
        if !quorate_state::FINAL.contains(&row.status.as_str()) {
            return Ok(None);
        }
        match self.entries(row.entries)?.last().map(Fact::of).transpose()? {
            Some(Fact::Ended(outcome)) => Ok(Some(outcome)),
            // A word that came too late stands behind the end.
            _ => Ok(self.machine()?.state.ended.clone()),
        }
    }

    /// The definition that it goes on by, whatever has become of the file: the one that it began with, or that it was
    /// [migrated](WorkflowRun::migrate) to. Errors: `corrupt`, those of the store.
    pub fn definition(&self) -> Result<Definition> {
        let plan = Arc::clone(&self.machine()?.plan);
        let rendered = self.inner.rendered(&plan.hash)?;
        Ok(Definition { rendered: Arc::new(rendered.unwrap_or_default()), plan })
    }

    /// Posts a word to whoever holds the run, and waits until it was heard; where nobody does, it is heard here.
    pub(crate) fn say(&self, kind: &str, data: &Value) -> Result<()> {
        let before = self.row()?.entries;
        let mut data = data.clone();
        if let Value::Object(fields) = &mut data {
            fields.insert("at".to_owned(), json!(self.inner.clock.now()));
        }
        let number = match self.inner.store.post(self.tenant(), &self.id, kind, &data, None)? {
            Posted::New(number) => number,
            Posted::Known => return Ok(()),
            Posted::Ended => {
                let message =
                    format!("the run '{}' is over ({}), and stays as it is", self.id, self.row()?.status);
                return Err(Error::new(Code::RunConflict, message));
            }
        };
        self.inner.nudge(&self.id);
        self.heard(number, before + 1)
    }

    /// Waits until letter `number` was heard. Errors: what it was refused with.
    fn heard(&self, number: u64, mut from: u64) -> Result<()> {
        let begun = Instant::now();
        let mut heard = false;
        loop {
            let seen = self.inner.moves();
            for entry in self.entries(from)? {
                from = entry.seq + 1;
                match Fact::of(&entry)? {
                    Fact::Heard { letter } if letter >= number => heard = true,
                    Fact::Refused { letter, code, message } if letter == number => {
                        let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
                        return Err(Error::new(known.unwrap_or(Code::RunConflict), message));
                    }
                    _ => {}
                }
            }
            if heard {
                return Ok(());
            }
            let row = self.row()?;
            if quorate_state::FINAL.contains(&row.status.as_str()) {
                if row.entries >= from {
                    continue;
                }
                let message = format!("the run '{}' is over ({}), and stays as it is", self.id, row.status);
                return Err(Error::new(Code::RunConflict, message));
            }
            match self.inner.store.take(self.tenant(), &self.id) {
                Ok(run) => self.hear(&run)?,
                Err(error) if error.code() == Code::RunConflict => {
                    if begun.elapsed() > PATIENCE {
                        let message = format!(
                            "whoever holds the run '{}' has not heard in {PATIENCE:?}; it will",
                            self.id
                        );
                        return Err(Error::new(Code::Timeout, message));
                    }
                    self.inner.wait_moved(seen, Duration::from_millis(2));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Hears what was posted, and begins nothing: whoever works on the queue does.
    fn hear(&self, run: &Run) -> Result<()> {
        let mut machine = self.inner.own_machine(&self.id)?;
        loop {
            let mut last = 0.0_f64;
            for letter in run.letters(machine.state.letter)? {
                last = last.max(time_of(&letter));
                step(&self.inner, &mut machine, Event::Letter(&letter), last, false);
            }
            // It stays due, for whoever goes on with it.
            if commit(&self.inner, run, &mut machine, Wake::At(0.0))? {
                self.inner.keep(machine);
                return Ok(());
            }
        }
    }

    /// Sends a signal. One that comes before anything waits for it is kept, and each is taken once; of those with one `id`, the
    /// first counts. It is kept for good when this returns. Errors: `run_conflict` once the run is over; those of the store.
    pub fn signal(&self, name: &str, data: Value, id: Option<&str>) -> Result<()> {
        self.inner.here()?;
        let letter = json!({"name": name, "data": data, "at": self.inner.clock.now()});
        let named = id.map(|id| format!("signal/{id}"));
        match self.inner.store.post(self.tenant(), &self.id, "signal", &letter, named.as_deref())? {
            Posted::New(_) | Posted::Known => {
                self.inner.nudge(&self.id);
                Ok(())
            }
            Posted::Ended => {
                let message = format!("the run '{}' is over, and takes no signals", self.id);
                Err(Error::new(Code::RunConflict, message))
            }
        }
    }

    /// Nothing more begins in it until it is resumed, once this has returned; what is being done is finished.
    /// Errors: `run_conflict` once it is over; those of the store.
    pub fn pause(&self) -> Result<()> {
        self.say("pause", &json!({}))
    }

    /// It goes on. Errors: those of [`WorkflowRun::pause`].
    pub fn resume(&self) -> Result<()> {
        self.say("resume", &json!({}))
    }

    /// Ends it: when this has returned, no step begins any more; what was done is undone where `compensate` says so and the
    /// workflow how. Errors: `run_conflict` once it is over; those of the store.
    pub fn cancel(&self, reason: &str, compensate: bool) -> Result<()> {
        self.say("cancel", &json!({"reason": reason, "compensate": compensate}))
    }

    /// Has a step that is blocked, or waits to be tried again, tried now; `None`: all of them.
    /// Errors: `run_conflict` where there is none, or the run is over; `unknown_id`.
    pub fn retry(&self, step: Option<&str>) -> Result<()> {
        self.say("retry", &json!({"step": step}))
    }

    /// Leaves a step out; those that need it see null. Errors: `run_conflict` for one that is over already; `unknown_id`.
    pub fn skip(&self, step: &str) -> Result<()> {
        self.say("skip", &json!({"step": step}))
    }

    /// Its steps, in the order of their ids; those within others too. Errors: those of the store.
    pub fn steps(&self) -> Result<Vec<StepView>> {
        let machine = self.machine()?;
        let views = machine.plan.steps.iter().zip(&machine.state.steps).map(|(planned, state)| {
            let (code, message) = state.error.clone().unzip();
            StepView {
                id: planned.id.clone(),
                kind: planned.kind().to_owned(),
                title: planned.title.clone(),
                within: planned.parent.map(|parent| machine.plan.steps[parent].id.clone()),
                status: state.phase.as_str().to_owned(),
                visit: state.visit,
                attempts: state.attempt,
                output: state.output.clone(),
                signal: state.signal.clone(),
                code,
                message,
                waits_for: state.wait.as_ref().and_then(|wait| match wait {
                    Waiting::Review(_) => Some("review".to_owned()),
                    Waiting::Signal { .. } => Some("signal".to_owned()),
                    Waiting::Time { .. } => Some("time".to_owned()),
                    Waiting::Run { .. } => Some("run".to_owned()),
                    Waiting::Children {} => None,
                }),
                began: state.began,
                ended: state.ended,
            }
        });
        Ok(views.collect())
    }

    /// Everything that happened in it. Errors: those of the store.
    pub fn journal(&self) -> Result<Vec<JournalEntry>> {
        Ok(self.entries(1)?.into_iter().map(JournalEntry::from).collect())
    }

    /// What happens in it from entry number `from` on, as it happens, until it is over.
    pub fn stream(&self, from: u64) -> WorkflowStream {
        WorkflowStream { run: self.clone(), next: from.max(1), ready: Vec::new().into_iter(), over: false }
    }

    /// A new run that begins where this one came to a step: what was done before is taken over, that step and all after it are
    /// done anew, by the definition of this run. Errors: `unknown_id` for the step; those of the store.
    pub fn fork(&self, step: &str) -> Result<WorkflowRun> {
        let machine = self.machine()?;
        let plan = &machine.plan;
        let Some(start) = plan.find(step) else {
            return Err(Error::new(Code::UnknownId, format!("there is no step '{step}'")));
        };
        let mut anew: Vec<usize> = plan.steps[start].after.iter().copied().chain([start]).collect();
        // Steps around it are done anew too, and what is after them; what had ended within them stands.
        let mut around = plan.steps[start].parent;
        while let Some(outer) = around {
            anew.extend(plan.steps[outer].after.iter().copied().chain([outer]));
            around = plan.steps[outer].parent;
        }
        let mut facts = Vec::new();
        for (i, state) in machine.state.steps.iter().enumerate().filter(|(i, _)| !anew.contains(i)) {
            let within = plan.steps[start].after.contains(&plan.steps[i].parent.unwrap_or(usize::MAX));
            let (id, visit) = (plan.steps[i].id.clone(), 1);
            match state.phase {
                Phase::Completed if !within => facts.push(Fact::StepCompleted {
                    step: id,
                    visit,
                    output: state.output.clone(),
                    signal: state.signal.clone(),
                    taken: None,
                    copied: true,
                    deciders: state.deciders.clone(),
                }),
                // The run went on without it, and what it has done is not done again.
                Phase::Failed if plan.steps[i].on_error == OnError::Continue => {
                    let (code, message) = state.error.clone().unwrap_or_default();
                    let (attempt, retry_at, calls) = (state.attempt, None, false);
                    facts.push(Fact::StepFailed { step: id, visit, attempt, code, message, retry_at, calls });
                }
                Phase::Skipped => {
                    let why = "fork".to_owned();
                    facts.push(Fact::StepSkipped { step: id, visit, why, calls: false });
                }
                _ => {}
            }
        }
        let now = self.inner.clock.now();
        let spec = Spec {
            time: now,
            parent: None,
            root: None,
            depth: 0,
            forked_from: Some((self.id.clone(), step.to_owned())),
            ..machine.state.spec.clone()
        };
        let rendered = self.inner.rendered(&plan.hash)?;
        let definition =
            Definition { rendered: Arc::new(rendered.unwrap_or_default()), plan: Arc::clone(plan) };
        let id = self.inner.fork(&definition, spec, facts)?;
        Ok(WorkflowRun::new(&self.hold, id))
    }

    /// A diagram of its steps with how far each is, in the language of mermaid.js. Errors: those of the store.
    pub fn mermaid(&self) -> Result<String> {
        let machine = self.machine()?;
        Ok(super::mermaid::diagram(&machine.plan, |step| match machine.state.steps[step].phase {
            Phase::Completed => Some("completed"),
            Phase::Failed | Phase::Blocked => Some("failed"),
            Phase::Running | Phase::Backoff => Some("running"),
            Phase::Waiting => Some("waiting"),
            _ => None,
        }))
    }

    /// Everything that is known of it, as JSON: what it was started with, its definition, those that it went by before, by their
    /// hashes, its journal. Errors: those of the store.
    pub fn export(&self) -> Result<Value> {
        let row = self.row()?;
        let definition = self.definition()?;
        let journal = self.journal()?;
        let mut before = serde_json::Map::new();
        for entry in journal.iter().filter(|entry| entry.kind == "migrated") {
            let hash = entry.data["from"].as_str().unwrap_or_default();
            before.insert(hash.to_owned(), self.inner.rendered(hash)?.unwrap_or_default());
        }
        let mut all = json!({
            "run": row, "workflow": definition.id(), "version": definition.version(), "hash": definition.hash(),
            "definition": *definition.rendered, "journal": journal,
        });
        if !before.is_empty() {
            all["definitions_before"] = Value::Object(before);
        }
        Ok(all)
    }
}

/// What happens in a run, as it happens.
pub struct WorkflowStream {
    run: WorkflowRun,
    next: u64,
    ready: std::vec::IntoIter<Entry>,
    over: bool,
}

impl WorkflowStream {
    /// What has come, waiting at most so long for the first: empty where nothing came by then, `None` after the end.
    /// Errors: those of the store, after which nothing comes.
    pub fn wait(&mut self, most: Duration) -> Result<Option<Vec<JournalEntry>>> {
        let begun = Instant::now();
        loop {
            let seen = self.run.inner.moves();
            if self.ready.as_slice().is_empty() && !self.over {
                self.look().inspect_err(|_| self.over = true)?;
            }
            let ready: Vec<JournalEntry> = self.ready.by_ref().map(JournalEntry::from).collect();
            if let Some(last) = ready.last() {
                self.next = last.seq + 1;
                return Ok(Some(ready));
            }
            let left = most.saturating_sub(begun.elapsed());
            if self.over || left.is_zero() {
                return Ok((!self.over).then(Vec::new));
            }
            self.run.inner.wait_moved(seen, left.min(LOOK));
        }
    }

    /// Reads what there is.
    fn look(&mut self) -> Result<()> {
        let row = self.run.row()?;
        let entries = self.run.entries(self.next)?;
        // Entries were read after the status: those of the end are among them.
        self.over = quorate_state::FINAL.contains(&row.status.as_str());
        self.ready = entries.into_iter();
        Ok(())
    }
}

impl Iterator for WorkflowStream {
    type Item = Result<JournalEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.ready.next() {
                self.next = entry.seq + 1;
                return Some(Ok(entry.into()));
            }
            if self.over {
                return None;
            }
            let seen = self.run.inner.moves();
            if let Err(error) = self.look() {
                self.over = true;
                return Some(Err(error));
            }
            if self.ready.as_slice().is_empty() && !self.over {
                self.run.inner.wait_moved(seen, LOOK);
            }
        }
    }
}
