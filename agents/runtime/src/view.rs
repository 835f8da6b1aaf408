//! What does the journal of a run tell?

use quorate_core::{Code, Error, Result};
use quorate_state::RunRow;

use crate::answer::Answer;
use crate::driver::{Listener, made};
use crate::event::{Event, events_of};
use crate::fact::{Fact, Status};
use crate::family::Nested;
use crate::machine::Machine;
use crate::panels::{self, PanelAnswer, PanelSession};
use crate::runtime::{KIND, Runtime};

/// How a run may be listed.
pub(crate) const STATUSES: [&str; 10] = [
    "running",
    "waiting",
    "interrupted",
    "done",
    "partial",
    "cancelled",
    "refused",
    "abstained",
    "no_consensus",
    "failed",
];

/// Whether a run is a question or a panel.
pub(crate) fn is_own(row: &RunRow) -> bool {
    row.kind == KIND || row.kind == panels::KIND
}

impl Runtime {
    /// The row of a question or a panel: a run of a workflow, in the same store, is nobody's here. Errors: `unknown_id`.
    pub(crate) fn own_row(&self, run_id: &str) -> Result<RunRow> {
        let row = self.0.store.run(self.0.tenant.as_deref(), run_id)?;
        if is_own(&row) {
            return Ok(row);
        }
        let shown = quorate_core::shorten(run_id);
        Err(Error::new(
            Code::UnknownId,
            format!("no question and no panel has the id '{}'", shown.escape_debug()),
        ))
    }
}

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

    /// Whether it is a panel, which [`RunView::panel`] tells of.
    pub fn is_panel(&self) -> bool {
        self.row.kind == panels::KIND
    }

    /// What it showed, without what was about requests under way (`step_start`, `text`, `reasoning`, `tool_input`, `retry`).
    /// Errors: those of the store.
    pub fn events(&self) -> Result<Vec<Event>> {
        if self.row.kind == panels::KIND {
            return panels::events(&self.row.id, &self.entries()?);
        }
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

    /// Its answer, as far as there is one. Errors: the one by which the run failed; `invalid_argument` for a panel; those of the
    /// store.
    pub fn answer(&self) -> Result<Answer> {
        let entries = self.entries()?;
        no_panel(&self.row.id, &entries)?;
        finished(&replayed(&self.row.id, &entries)?)
    }

    /// What a panel came to, as far as it has come. Errors: the one by which it failed; `invalid_argument` for a run that is no
    /// panel; those of the store.
    pub fn panel(&self) -> Result<PanelAnswer> {
        panels::finished(&self.machine()?)
    }

    /// A panel as lists show it. Errors: `invalid_argument` for a run that is no panel; those of the store.
    pub fn session(&self) -> Result<PanelSession> {
        let session = self.machine()?.session(&self.row.status);
        session.ok_or_else(|| Error::new(Code::UnknownId, "the panel ended before it was opened"))
    }

    fn machine(&self) -> Result<panels::Machine> {
        if self.row.kind != panels::KIND {
            let message = format!("run '{}' is no panel", quorate_core::shorten(&self.row.id));
            return Err(Error::invalid(message));
        }
        panels::replayed(&self.row.id, &self.entries()?)
    }

    /// Its journal. Errors: those of the store.
    pub fn entries(&self) -> Result<Vec<quorate_state::Entry>> {
        let inner = &self.runtime.0;
        inner.store.entries(inner.tenant.as_deref(), &self.row.id, 1)
    }
}

/// Errors: `invalid_argument` for the journal of a panel.
pub(crate) fn no_panel(run_id: &str, entries: &[quorate_state::Entry]) -> Result<()> {
    match entries.first() {
        Some(first) if first.kind.starts_with("panel_") => Err(Error::invalid(format!(
            "run '{run_id}' is a panel; read it by panel(), go on with it by resume_panel"
        ))),
        _ => Ok(()),
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
