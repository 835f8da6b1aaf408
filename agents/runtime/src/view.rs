//! What does the journal of a run tell?

use quorate_core::{Code, Error, Result};
use quorate_state::RunRow;

use crate::answer::Answer;
use crate::driver::{Listener, made};
use crate::event::{Event, events_of};
use crate::fact::{Fact, Status};
use crate::family::Nested;
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

    /// What it showed, without what was about requests under way (`step_start`, `text`, `reasoning`, `tool_input`, `retry`).
    /// Errors: those of the store.
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

/// What the entries of a journal add up to.
pub(crate) fn replayed(run_id: &str, entries: &[quorate_state::Entry]) -> Result<Machine> {
    let mut machine = Machine::new(run_id);
    for entry in entries {
        machine.apply(&Fact::of(entry)?, entry.time)?;
    }
    Ok(machine)
}

/// More events than a request that was under way at the end of a process can have shown, which no journal counts.
const UNCOUNTED: u64 = 1 << 20;

/// A number that no event of the run was shown with beyond: those that follow are counted from there.
pub(crate) fn seen(run_id: &str, entries: &[quorate_state::Entry]) -> Result<u64> {
    let mut machine = Machine::new(run_id);
    let mut number = 0;
    let mut left_off = false;
    for entry in entries {
        let fact = Fact::of(entry)?;
        machine.apply(&fact, entry.time)?;
        number += events_of(&fact, &machine).len() as u64;
        match fact {
            Fact::Waiting { shown } | Fact::Ended { shown, .. } => {
                number = number.max(shown.unwrap_or(0));
                left_off = true;
            }
            _ => left_off = false,
        }
    }
    Ok(if left_off { number } else { number + UNCOUNTED })
}

/// How a run stands that does not go on now, which is shown to who listens, and counted by the run that has started it.
pub(crate) fn stands(
    run_id: &str,
    entries: &[quorate_state::Entry],
    listener: Option<&Listener>,
    nested: Option<&Nested>,
) -> Result<Answer> {
    let machine = replayed(run_id, entries)?;
    if let (Some(listener), Some(last)) = (listener, entries.last()) {
        let sketches = events_of(&Fact::of(last)?, &machine);
        let before = seen(run_id, entries)?.saturating_sub(sketches.len() as u64);
        for (sketch, seq) in sketches.into_iter().zip(before + 1..) {
            listener(made(sketch.kind, sketch.data, seq, last.time, &machine));
        }
    }
    if let Some(nested) = nested {
        nested.count(&machine.spent);
        nested.tell(&machine.spent);
    }
    finished(&machine)
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
