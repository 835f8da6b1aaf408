//! What does the journal of a run tell?

use quorate_core::{Code, Error, Result};
use quorate_state::RunRow;

use crate::answer::Answer;
use crate::driver::{Listener, made, now};
use crate::event::{Event, events_of};
use crate::fact::{Fact, Status};
use crate::machine::Machine;
use crate::runtime::Runtime;

/// A run, as its journal tells it.
pub struct RunView {
    runtime: Runtime,
    row: RunRow,
}

impl RunView {
    pub(crate) fn new(runtime: Runtime, row: RunRow) -> Self {
        RunView { runtime, row }
    }

    /// What the store knows of it.
    pub fn row(&self) -> &RunRow {
        &self.row
    }

    /// What it showed, without the pieces of texts. Errors: those of the store.
    pub fn events(&self) -> Result<Vec<Event>> {
        let mut machine = Machine::new(&self.row.id);
        let mut events = Vec::new();
        for entry in self.entries()? {
            let fact = Fact::of(&entry)?;
            machine.apply(&fact, entry.time)?;
            for sketch in events_of(&fact, &machine) {
                events.push(made(sketch.kind, sketch.data, events.len() as u64 + 1, entry.time, &machine));
            }
        }
        Ok(events)
    }

    /// Its answer, as far as there is one. Errors: the one by which the run failed; those of the store.
    pub fn answer(&self) -> Result<Answer> {
        finished(&replayed(&self.row.id, &self.entries()?)?)
    }

    /// Its journal. Errors: those of the store.
    pub fn entries(&self) -> Result<Vec<quorate_state::Entry>> {
        let inner = &self.runtime.0;
        inner.store.entries(inner.tenant.as_deref(), &self.row.id, 1)
    }
}

/// Shows how a run has ended, or that it waits, to who asks for one that does not go on.
pub(crate) fn tell_end(machine: &Machine, status: Status, listener: Option<&Listener>) {
    let Some(listener) = listener else { return };
    let fact = if status == Status::Waiting { Fact::Waiting } else { Fact::Ended { status } };
    for sketch in events_of(&fact, machine) {
        listener(made(sketch.kind, sketch.data, 1, now(), machine));
    }
}

/// What the entries of a journal add up to.
pub(crate) fn replayed(run_id: &str, entries: &[quorate_state::Entry]) -> Result<Machine> {
    let mut machine = Machine::new(run_id);
    for entry in entries {
        machine.apply(&Fact::of(entry)?, entry.time)?;
    }
    Ok(machine)
}

/// The answer, or the error by which the run failed.
pub(crate) fn finished(machine: &Machine) -> Result<Answer> {
    match (&machine.failure, machine.status()) {
        (Some((code, message)), Status::Failed) => {
            let known = Code::ALL.iter().find(|known| known.as_str() == code).copied();
            Err(Error::new(known.unwrap_or(Code::Internal), message.clone()))
        }
        _ => Ok(machine.answer()),
    }
}
