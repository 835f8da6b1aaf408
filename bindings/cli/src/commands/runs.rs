//! What have experts, panels and workflows done?

use quorate::runtime::{Decision, PanelResume, Resume};
use quorate::state::{RunRow, StateStore};
use quorate::{Error, Sources};
use quorate_bindings::Host;
use quorate_bindings::runtime::{answer_of, row};
use serde_json::{Value, json};

use super::events::{Show, follow};
use super::{ask, panel, workflows};
use crate::args::{Answering, Runs, RunsAction};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{exit, text};

/// What journals of workflows are called in the store.
const WORKFLOW: &str = "workflow";
/// What journals of panels are called in the store.
const PANEL: &str = "panel";

pub(crate) fn run(given: Runs, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let store = place.kept_runs()?;
    let tenant = place.tenant.as_deref();
    match given.action {
        RunsAction::List { status, kind } => {
            let mut rows = store.runs(tenant, status.as_deref())?;
            rows.retain(|row| kind.as_ref().is_none_or(|kind| *kind == row.kind));
            list(&rows, console)?;
        }
        RunsAction::Show { run, journal } => {
            let found = store.run(tenant, &run)?;
            match journal {
                true => entries(&store, place, &run, console)?,
                false => return show(&store, &found, place, console),
            }
        }
        RunsAction::Cancel { run } => return cancel(&store, &run, place, console),
        RunsAction::Resume { run, approve, deny, answering } => {
            let found = store.run(tenant, &run)?;
            drop(store);
            return resume(&found, &approve, &deny, &answering, place, console);
        }
        RunsAction::Delete { run } => {
            store.delete(tenant, &run)?;
            match console.is_json() {
                true => console.document(&json!({"deleted": run}))?,
                false => console.say(&format!("Deleted {}.", text::line(&run)))?,
            }
        }
    }
    Ok(exit::DONE)
}

fn list(rows: &[RunRow], console: &mut Console) -> Result<(), Failure> {
    if console.is_json() {
        let rows: Value = rows.iter().map(|one| row(Host::Python, one)).collect();
        return console.document(&rows);
    }
    if rows.is_empty() {
        console.note("no runs");
        return Ok(());
    }
    let mut table = Table::new(["RUN", "KIND", "STATUS", "UPDATED", "TITLE"]);
    for row in rows {
        table.row([
            row.id.clone(),
            row.kind.clone(),
            row.status.clone(),
            when(row.updated),
            row.title.clone(),
        ]);
    }
    console.table(&table)
}

/// A time for people.
pub(super) fn when(seconds: f64) -> String {
    chrono::DateTime::from_timestamp(seconds as i64, 0)
        .map_or_else(|| "-".to_owned(), |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string())
}

fn entries(store: &StateStore, place: &Place, run: &str, console: &mut Console) -> Result<(), Failure> {
    for entry in store.entries(place.tenant.as_deref(), run, 1)? {
        if console.is_json() {
            let line = json!({"seq": entry.seq, "time": entry.time, "type": entry.kind, "data": entry.data});
            console.json_line(&line)?;
        } else {
            let data = text::line(&entry.data.to_string());
            console.say_cut(&format!(
                "{:>4}  {}  {}  {data}",
                entry.seq,
                when(entry.time),
                text::line(&entry.kind)
            ))?;
        }
    }
    Ok(())
}

fn show(store: &StateStore, found: &RunRow, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    if found.kind == WORKFLOW {
        return workflows::show_run(store, &found.id, place, console);
    }
    if found.kind != PANEL && found.kind != "ask" {
        // Runs of kinds that have no answer of their own tell of themselves.
        match console.is_json() {
            true => console.document(&row(Host::Python, found))?,
            false => list(std::slice::from_ref(found), console)?,
        }
        return Ok(exit::DONE);
    }
    let runtime = bare(store, place)?;
    let answer = answer_of(Host::Python, &runtime, &found.id)?;
    match found.kind == PANEL {
        true => panel::tell(console, &answer, Show::Nothing)?,
        false => ask::tell(console, &answer, None, Show::Nothing)?,
    };
    // To look at a run that failed is no failure.
    Ok(exit::DONE)
}

/// A runtime that reads and ends runs, and asks nobody.
fn bare(store: &StateStore, place: &Place) -> Result<quorate::runtime::Runtime, Error> {
    let kb = quorate::rag::KnowledgeBase::in_memory(place.options(None))?;
    quorate::runtime::Runtime::new(quorate::runtime::RuntimeOptions {
        sources: Some(Sources::of(kb)),
        store: Some(store.clone()),
        tenant: place.tenant.clone(),
        ..Default::default()
    })
}

fn cancel(store: &StateStore, run: &str, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let found = store.run(place.tenant.as_deref(), run)?;
    match found.kind == WORKFLOW {
        true => workflows::cancel_run(store, run, place)?,
        false => bare(store, place)?.cancel(run)?,
    }
    let status = store.run(place.tenant.as_deref(), run)?.status;
    match console.is_json() {
        true => console.document(&json!({"run_id": run, "status": status}))?,
        false => console.say(&format!("{} was asked to stop; it is {status}.", text::line(run)))?,
    }
    Ok(exit::DONE)
}

fn resume(
    found: &RunRow,
    approve: &[String],
    deny: &[String],
    answering: &Answering,
    place: &Place,
    console: &mut Console,
) -> Result<u8, Failure> {
    if found.kind == WORKFLOW {
        let message = format!("run '{}' is a workflow's; use `quorate workflows resume`", found.id);
        return Err(Error::invalid(message).into());
    }
    let approved = approve.iter().map(|id| (id, "approve"));
    let denied = deny.iter().map(|id| (id, "deny"));
    let decide = |(id, word): (&String, &str)| Ok((id.clone(), Decision::from_json(&json!(word))?));
    let decisions = approved.chain(denied).map(decide).collect::<quorate::Result<Vec<_>>>()?;
    let kb = place.read(console)?;
    let registry = place.agents()?;
    let runtime = place.runtime(console, &kb, answering, Some(registry))?;
    if found.kind == PANEL {
        if let Some((id, _)) = decisions.first() {
            let message =
                format!("run '{}' is a panel: '{}' does not wait", found.id, quorate::core::shorten(id));
            return Err(Error::invalid(message).into());
        }
        let going_on = PanelResume { cancel: console.cancel(), ..PanelResume::default() };
        let stream = runtime.stream_panel_resumed(&found.id, going_on)?;
        let outcome = follow(console, &runtime, stream, Show::Nothing)?;
        return panel::tell(console, &outcome.answer, Show::Nothing);
    }
    let going_on = Resume { decisions, cancel: console.cancel(), ..Resume::default() };
    let show = Show::of(console, false);
    let outcome = follow(console, &runtime, runtime.stream_resumed(&found.id, going_on)?, show)?;
    ask::tell(console, &outcome.answer, Some(&outcome.shown), show)
}
