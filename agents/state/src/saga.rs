//! How are several steps done, or all of them undone?
//!
//! A saga (Garcia-Molina and Salem 1987) is a run whose steps are journalled, each with what it gave. Where one fails, those
//! before it are undone in reverse order. After a crash the program opens the saga again and calls its steps again: those
//! that have ended give what they gave, and do not run.

use std::fmt;
use std::time::Duration;

use quorate_core::{Code, Error, Result, shorten};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Begun, Entry, NewRun, RUNNING, Retry, Run, StateStore, check};

/// The kind of the runs of sagas.
pub const SAGA: &str = "saga";

/// The status of a saga whose steps could not be undone. Whoever opens it again tries again.
pub const COMPENSATION_FAILED: &str = "compensation_failed";

/// What becomes of a saga whose program ended in the middle, when it is opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recover {
    /// What was done is undone. Of a step that had begun and not ended nobody knows whether it took effect: it is undone too.
    #[default]
    Undo,
    /// It goes on where it was. A step that had begun and not ended runs again.
    Forward,
}

/// How a saga is carried through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SagaOptions {
    /// What becomes of it after a crash.
    pub recover: Recover,
    /// How often each undoing is tried, and with which pauses.
    pub undo: Retry,
}

impl Default for SagaOptions {
    fn default() -> Self {
        let undo = Retry { max_attempts: 3, first: 0.1, factor: 2.0, longest: 5.0 };
        SagaOptions { recover: Recover::Undo, undo }
    }
}

/// What undoes a step, given what the step gave; none where nobody knows whether it ended.
type Undo<'a> = Box<dyn Fn(Option<&Value>) -> Result<()> + 'a>;

/// Steps that are all done, or all undone.
///
/// ```
/// use quorate_core::Error;
/// use quorate_state::{SagaOptions, StateStore};
/// use serde_json::json;
/// # fn main() -> quorate_core::Result<()> {
/// let store = StateStore::memory();
/// let stock = std::cell::Cell::new(3);
/// let mut order = store.saga(None, "order-7", &SagaOptions::default())?;
/// order.step(
///     "reserve",
///     || {
///         stock.set(stock.get() - 1);
///         Ok(json!({"left": stock.get()}))
///     },
///     |_| {
///         stock.set(stock.get() + 1);
///         Ok(())
///     },
/// )?;
/// let failed = order.step("pay", || Err(Error::invalid("the card is not valid")), |_| Ok(()));
/// assert_eq!(failed.unwrap_err().message(), "the card is not valid");
/// assert_eq!((stock.get(), order.status()), (3, "failed"));
/// # Ok(()) }
/// ```
pub struct Saga<'a> {
    name: String,
    run: Option<Run>,
    options: SagaOptions,
    /// The steps of the journal, in the order in which they began.
    steps: Vec<Step<'a>>,
    status: String,
    /// Why everything is undone.
    cause: Option<(Code, String)>,
    /// Whether it stood in the journal that something is to be undone.
    undoing: bool,
    /// The number of the last entry.
    last: u64,
}

struct Step<'a> {
    name: String,
    is: Is,
    /// What it gave, where it ended.
    value: Option<Value>,
    undo: Option<Undo<'a>>,
    /// Whether the program has come to it, since the saga was opened.
    called: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    Begun,
    Ended,
    /// It failed, and left nothing to undo.
    Failed,
    Undone,
}

impl fmt::Debug for Saga<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saga").field("name", &self.name).field("status", &self.status).finish_non_exhaustive()
    }
}

impl StateStore {
    /// Begins a saga of a tenant, or goes on with the one that has this name. Its run has the kind [`SAGA`].
    ///
    /// Errors: `run_conflict` while somebody else has it; `invalid_argument`, `not_finite`, `too_large`; `corrupt`, `locked`, `io`,
    /// `disk_full`.
    pub fn saga<'a>(&self, tenant: Option<&str>, name: &str, options: &SagaOptions) -> Result<Saga<'a>> {
        check::name("the name of a saga", name)?;
        options.undo.validate()?;
        let id = format!("saga:{name}");
        let new = NewRun { id: Some(&id), kind: SAGA, tenant, title: name, ..NewRun::default() };
        let begun = self.begin(&new, &[]);
        let run = match begun {
            Ok(Begun::New(run)) => run,
            Ok(Begun::Known(row)) => self.take(tenant, &row.id)?,
            Err(error) if error.code() == Code::DuplicateId => self.take(tenant, &id)?,
            Err(error) => return Err(error),
        };
        let row = self.run(tenant, &id)?;
        let mut saga = Saga {
            name: name.to_owned(),
            run: Some(run),
            options: options.clone(),
            steps: Vec::new(),
            status: row.status,
            cause: None,
            undoing: false,
            last: 0,
        };
        saga.recover()?;
        Ok(saga)
    }
}

impl<'a> Saga<'a> {
    /// Reads the journal.
    fn recover(&mut self) -> Result<()> {
        let Some(run) = &self.run else { return Ok(()) };
        for entry in run.entries()? {
            self.last = entry.seq;
            let text = |field: &str| entry.data[field].as_str().unwrap_or_default().to_owned();
            let name = text("step");
            match entry.kind.as_str() {
                "begun" => match self.steps.iter_mut().find(|step| step.name == name) {
                    Some(step) => step.is = Is::Begun,
                    None => self.steps.push(Step::new(name)),
                },
                "undoing" => {
                    self.cause = Some(cause(&entry));
                    self.undoing = true;
                }
                kind => {
                    if kind == "failed" {
                        self.cause = Some(cause(&entry));
                    }
                    if let Some(step) = self.steps.iter_mut().find(|step| step.name == name) {
                        match kind {
                            "ended" => (step.is, step.value) = (Is::Ended, Some(entry.data["value"].clone())),
                            "failed" => step.is = Is::Failed,
                            "undone" => step.is = Is::Undone,
                            _ => {}
                        }
                    }
                }
            }
        }
        let open = !check::is_final(&self.status);
        if open && self.cause.is_none() && self.options.recover == Recover::Undo && !self.steps.is_empty() {
            self.cause = Some((
                Code::Cancelled,
                format!("the program of the saga '{}' ended in the middle of it", shorten(&self.name)),
            ));
        }
        Ok(())
    }

    /// `running`; `done`; `failed`: all of it is undone; `compensation_failed`: it could not be.
    pub fn status(&self) -> &str {
        if self.status == crate::INTERRUPTED { RUNNING } else { &self.status }
    }

    /// Does a step, unless the journal has it: then this gives what the step gave. `undo` undoes it, given what it gave; it
    /// must stand it that there is nothing to undo, or that it was undone already.
    ///
    /// Where `f` fails, all steps before it are undone in reverse order, each tried as often as the options say, and the
    /// error is that of `f`. Where one cannot be undone, the status is `compensation_failed`, those before it are not undone,
    /// and the error says both.
    ///
    /// Errors: those of `f`; `invalid_argument` for a name that was there, or when the saga has ended; `stale_write` when
    /// somebody else has taken the saga; those of [`Run::append`].
    pub fn step(
        &mut self,
        name: &str,
        f: impl FnOnce() -> Result<Value>,
        undo: impl Fn(Option<&Value>) -> Result<()> + 'a,
    ) -> Result<Value> {
        check::name("the name of a step", name)?;
        let known = self.steps.iter().position(|step| step.name == name);
        if let Some(at) = known {
            let step = &mut self.steps[at];
            if step.called {
                return Err(Error::invalid(format!("the step '{}' is there twice", shorten(name))));
            }
            step.called = true;
            step.undo = Some(Box::new(undo));
            if let Some(value) = &step.value {
                return Ok(value.clone());
            }
            if self.cause.is_some() {
                return Err(self.unwind());
            }
        } else {
            if self.cause.is_some() {
                return Err(self.unwind());
            }
            if check::is_final(&self.status) {
                return Err(Error::invalid(format!(
                    "the saga '{}' has ended, and the step '{}' is no part of it; give the saga another name",
                    shorten(&self.name),
                    shorten(name)
                )));
            }
            self.steps.push(Step { undo: Some(Box::new(undo)), called: true, ..Step::new(name.to_owned()) });
        }
        self.append("begun", json!({"step": name}), None)?;
        match f() {
            Ok(value) => {
                self.append("ended", json!({"step": name, "value": value}), None)?;
                self.mark(name, Is::Ended, Some(value.clone()));
                Ok(value)
            }
            Err(error) => {
                let (code, message) = (error.code(), error.message().to_owned());
                let data = json!({"step": name, "code": code.as_str(), "message": message});
                self.append("failed", data, None)?;
                self.mark(name, Is::Failed, None);
                self.cause = Some((code, message));
                let undone = self.unwind();
                // The error of the step itself, with what caused it.
                Err(if self.status == COMPENSATION_FAILED { undone } else { error })
            }
        }
    }

    /// Says that all steps are done. Errors: why everything was undone, where it is to be; those of [`Run::append`].
    pub fn finish(&mut self) -> Result<()> {
        if self.cause.is_some() {
            return Err(self.unwind());
        }
        if !check::is_final(&self.status) {
            self.append("finished", Value::Null, Some("done"))?;
        }
        self.run = None;
        Ok(())
    }

    /// Undoes everything for a reason of the caller's. Errors, always: the reason; or, with the reason in its message, why
    /// it could not be undone.
    pub fn fail(&mut self, reason: &Error) -> Error {
        if self.cause.is_none() {
            if check::is_final(&self.status) {
                return Error::invalid(format!("the saga '{}' has ended", shorten(&self.name)));
            }
            self.cause = Some((reason.code(), reason.message().to_owned()));
        }
        self.unwind()
    }

    fn mark(&mut self, name: &str, is: Is, value: Option<Value>) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == name) {
            (step.is, step.value) = (is, value);
        }
    }

    fn append(&mut self, kind: &str, data: Value, status: Option<&str>) -> Result<()> {
        let Some(run) = &self.run else {
            return Err(Error::invalid(format!("the saga '{}' has ended", shorten(&self.name))));
        };
        run.append(&[Entry::new(self.last + 1, kind, data)], status)?;
        self.last += 1;
        if let Some(status) = status {
            status.clone_into(&mut self.status);
        }
        Ok(())
    }

    /// Undoes what is not undone; the error that comes of the saga.
    fn unwind(&mut self) -> Error {
        let (code, message) = self.cause.clone().unwrap_or((Code::Internal, String::new()));
        if self.status == "failed" {
            return Error::new(code, message);
        }
        match self.compensate(code, &message) {
            Ok(None) => Error::new(code, message),
            Ok(Some((step, why))) => Error::new(
                Code::CompensationFailed,
                format!(
                    "{}: {message}; and the step '{}' could not be undone: {why}; open the saga again when it can be",
                    code.as_str(),
                    shorten(&step)
                ),
            ),
            Err(error) => error,
        }
    }

    /// The step that could not be undone, and why. Errors: those of [`Run::append`].
    fn compensate(&mut self, code: Code, message: &str) -> Result<Option<(String, String)>> {
        if !self.undoing {
            self.append("undoing", json!({"code": code.as_str(), "message": message}), Some(RUNNING))?;
            self.undoing = true;
        }
        for at in (0..self.steps.len()).rev() {
            let step = &self.steps[at];
            let value = match step.is {
                Is::Ended => step.value.as_ref(),
                Is::Begun => None,
                Is::Failed | Is::Undone => continue,
            };
            let name = step.name.clone();
            let undone = match &step.undo {
                Some(undo) => self.persist(|| undo(value)),
                None => {
                    Err("the program did not come to the step, and nobody knows how to undo it".to_owned())
                }
            };
            match undone {
                Ok(()) => {
                    self.append("undone", json!({"step": name}), None)?;
                    self.steps[at].is = Is::Undone;
                }
                Err(why) => {
                    self.append("undo_failed", json!({"step": name, "why": why}), Some(COMPENSATION_FAILED))?;
                    return Ok(Some((name, why)));
                }
            }
        }
        self.append("undone_all", Value::Null, Some("failed"))?;
        Ok(None)
    }

    /// Tries as often as the options say.
    fn persist(&self, undo: impl Fn() -> Result<()>) -> Result<(), String> {
        let retry = self.options.undo;
        let mut attempts = 1;
        loop {
            match undo() {
                Ok(()) => return Ok(()),
                Err(error) if attempts >= retry.max_attempts => {
                    return Err(format!("{}: {}", error.code().as_str(), error.message()));
                }
                Err(_) => {
                    let pause = Duration::try_from_secs_f64(retry.pause(attempts)).unwrap_or_default();
                    std::thread::sleep(pause);
                    attempts += 1;
                }
            }
        }
    }
}

/// The error that an entry says.
fn cause(entry: &Entry) -> (Code, String) {
    let text = |field: &str| entry.data[field].as_str().unwrap_or_default();
    let code = Code::ALL.iter().find(|known| known.as_str() == text("code")).copied();
    (code.unwrap_or(Code::Internal), text("message").to_owned())
}

impl Step<'_> {
    fn new(name: String) -> Self {
        Step { name, is: Is::Begun, value: None, undo: None, called: false }
    }
}
