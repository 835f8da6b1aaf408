//! How are workflows seen, checked, started and decided?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::state::StateStore;
use quorate::workflows::flow::{Engine, EngineOptions, StartOptions, Status, WorkflowRun};
use quorate::{Code, Error, Result};
use quorate_bindings::Host;
use quorate_bindings::workflow::{definition, entry, problem, review, step};
use serde_json::{Value, json};

use super::runs::when;
use crate::args::{Answering, Going, Workflows, WorkflowsAction};
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::table::Table;
use crate::{exit, input, text};

/// How often who waits for a run looks.
const LOOK: Duration = Duration::from_millis(50);
/// After so long without anything that happens, a run that waits for somebody is left to them.
const STILL: Duration = Duration::from_millis(300);
/// The same for one that waits for a time or for another run.
const STILLER: Duration = Duration::from_secs(2);
/// What is done when the command ends may take so long.
const DRAIN: Duration = Duration::from_secs(30);

pub(crate) fn run(given: Workflows, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let load = &given.load;
    match given.action {
        WorkflowsAction::List => list(&idle(StateStore::memory(), load, place)?, console)?,
        WorkflowsAction::Show { id, mermaid } => {
            show(&idle(StateStore::memory(), load, place)?, &id, mermaid, console)?;
        }
        WorkflowsAction::Validate { paths } => return validate(&paths, place, console),
        WorkflowsAction::Start { id, input, offline, run, version, dedup, by, going } => {
            let input = match &input {
                Some(given) => input::json(console, "--input", given)?,
                None => Value::Null,
            };
            let options =
                StartOptions { id: run, version, dedup, starter: by, offline, ..StartOptions::default() };
            let engine = working(load, &going, place, console)?;
            let run = engine.start(&id, input, options)?;
            return go_on(&engine, &run, &going, console);
        }
        WorkflowsAction::Status { run, mermaid } => {
            let engine = idle(place.kept_runs()?, load, place)?;
            let run = engine.get(&run)?;
            if mermaid {
                let drawn = run.mermaid()?;
                match console.is_json() {
                    true => console.document(&json!({"mermaid": drawn}))?,
                    false => console.say(&text::lines(&drawn))?,
                }
            } else {
                tell(&engine, &run, console)?;
            }
        }
        WorkflowsAction::Reviews { role, run } => {
            let engine = idle(place.kept_runs()?, load, place)?;
            reviews(&engine, role.as_deref(), run.as_deref(), console)?;
        }
        WorkflowsAction::Decide { review, option, by, comment, data, going } => {
            let data =
                data.map(|given| input::json(console, "--data", &given)).transpose()?.unwrap_or_default();
            let engine = working(load, &going, place, console)?;
            let found = engine.review(&review)?;
            found.decide(&option, &by, comment.as_deref(), data)?;
            let run = engine.get(&found.run_id)?;
            return go_on(&engine, &run, &going, console);
        }
        WorkflowsAction::Signal { run, name, data, id, going } => {
            let data =
                data.map(|given| input::json(console, "--data", &given)).transpose()?.unwrap_or_default();
            return tell_run(load, &run, &going, place, console, |run| {
                run.signal(&name, data, id.as_deref())
            });
        }
        WorkflowsAction::Pause { run } => {
            let engine = idle(place.kept_runs()?, load, place)?;
            let run = engine.get(&run)?;
            run.pause()?;
            tell(&engine, &run, console)?;
        }
        WorkflowsAction::Resume { run, going } => {
            return tell_run(load, &run, &going, place, console, |run| match run.status()? {
                Status::Paused => run.resume(),
                _ => Ok(()),
            });
        }
        WorkflowsAction::Retry { run, step, going } => {
            return tell_run(load, &run, &going, place, console, |run| run.retry(step.as_deref()));
        }
        WorkflowsAction::Skip { run, step, going } => {
            return tell_run(load, &run, &going, place, console, |run| run.skip(&step));
        }
        WorkflowsAction::Cancel { run, reason, compensate, going } => {
            let outcome =
                tell_run(load, &run, &going, place, console, |run| run.cancel(&reason, compensate))?;
            // To end is what it was asked to do.
            return Ok(if outcome == exit::FAILED { exit::DONE } else { outcome });
        }
        WorkflowsAction::Work { concurrency, queue, until_idle, answering } => {
            return work(load, concurrency, queue, until_idle, &answering, place, console);
        }
    }
    Ok(exit::DONE)
}

/// An engine that goes on with nothing.
fn idle(store: StateStore, load: &[PathBuf], place: &Place) -> Result<Engine> {
    let options =
        EngineOptions { tenant: place.tenant.clone(), concurrency: Some(0), ..EngineOptions::default() };
    let engine = Engine::new(store, options)?;
    loaded(&engine, load)?;
    Ok(engine)
}

/// Errors: `invalid_document` with everything that is wrong with the files.
fn loaded(engine: &Engine, load: &[PathBuf]) -> Result<()> {
    for path in load {
        engine.load(path, &[])?;
    }
    let problems = if load.is_empty() { Vec::new() } else { engine.validate() };
    match problems.is_empty() {
        true => Ok(()),
        false => {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(Error::new(Code::InvalidDocument, told.join("\n")))
        }
    }
}

/// An engine with experts, that goes on with runs unless they are left to others.
fn working(load: &[PathBuf], going: &Going, place: &Place, console: &mut Console) -> Result<Engine, Failure> {
    let concurrency = if going.detach { 0 } else { 8 };
    engine(load, concurrency, None, &going.answering, place, console)
}

fn engine(
    load: &[PathBuf],
    concurrency: usize,
    queues: Option<Vec<String>>,
    answering: &Answering,
    place: &Place,
    console: &mut Console,
) -> Result<Engine, Failure> {
    if let Some(folder) = place.folder() {
        quorate::core::files::make_folder(folder, true)?;
    }
    let kb = place.read_or_empty(console)?;
    let runtime = place.runtime(console, &kb, answering, Some(place.agents()?))?;
    let store = runtime.store().clone();
    let options = EngineOptions {
        tenant: place.tenant.clone(),
        concurrency: Some(0),
        runtime: Some(runtime),
        ..EngineOptions::default()
    };
    let engine = Engine::new(store, options)?;
    // Nothing goes on before all that it may need is there.
    loaded(&engine, load)?;
    if concurrency > 0 {
        engine.work(queues, concurrency)?;
    }
    Ok(engine)
}

fn list(engine: &Engine, console: &mut Console) -> Result<(), Failure> {
    let all = engine.list();
    if console.is_json() {
        let all: Value = all.iter().map(definition).collect();
        return console.document(&all);
    }
    let mut table = Table::new(["ID", "VERSION", "DOMAIN", "TITLE"]);
    for one in &all {
        let domain = one.domain().unwrap_or_default().to_owned();
        table.row([one.id().to_owned(), one.version().to_owned(), domain, one.title().to_owned()]);
    }
    console.table(&table)
}

fn show(engine: &Engine, id: &str, mermaid: bool, console: &mut Console) -> Result<(), Failure> {
    let found = engine.definition(id, None)?;
    match (mermaid, console.is_json()) {
        (true, true) => console.document(&json!({"mermaid": found.mermaid()})),
        (true, false) => console.say(&text::lines(&found.mermaid())),
        (false, true) => console.document(found.rendered()),
        (false, false) => {
            let whole = serde_json::to_string_pretty(found.rendered())
                .map_err(|e| Error::new(Code::Internal, format!("a workflow is no JSON: {e}")))?;
            console.say(&text::json(whole))
        }
    }
}

fn validate(paths: &[PathBuf], place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let options =
        EngineOptions { registry: Some(place.agents()?), concurrency: Some(0), ..EngineOptions::default() };
    let engine = Engine::new(StateStore::memory(), options)?;
    for path in paths {
        engine.load(path, &[])?;
    }
    let problems = engine.validate();
    let code = if problems.is_empty() { exit::DONE } else { exit::INVALID };
    if console.is_json() {
        let told: Value = problems.iter().map(problem).collect();
        console.document(&json!({"ok": problems.is_empty(), "problems": told}))?;
        return Ok(code);
    }
    for one in &problems {
        let line = text::line(&one.to_string());
        console.say(&line)?;
    }
    match problems.len() {
        0 => console.say("No problems.")?,
        number => console.note(&super::count(number, "problem")),
    }
    Ok(code)
}

fn reviews(
    engine: &Engine,
    role: Option<&str>,
    run: Option<&str>,
    console: &mut Console,
) -> Result<(), Failure> {
    let all = engine.reviews(role, run)?;
    if console.is_json() {
        let all: Value = all.iter().map(|one| review(Host::Python, one)).collect();
        return console.document(&all);
    }
    if all.is_empty() {
        console.note("no reviews wait");
        return Ok(());
    }
    let mut table = Table::new(["REVIEW", "ROLE", "OPTIONS", "DUE", "TITLE"]);
    for one in &all {
        let due = one.due.map(when).unwrap_or_default();
        table.row([one.id.clone(), one.role.clone(), one.options.join(" "), due, one.title.clone()]);
    }
    console.table(&table)
}

/// Says something to a run, and goes on with it.
fn tell_run(
    load: &[PathBuf],
    run: &str,
    going: &Going,
    place: &Place,
    console: &mut Console,
    say: impl FnOnce(&WorkflowRun) -> Result<()>,
) -> Result<u8, Failure> {
    // Who asks for a run that there is not makes no place for it.
    place.kept_runs()?.run(place.tenant.as_deref(), run)?;
    let engine = working(load, going, place, console)?;
    let run = engine.get(run)?;
    say(&run)?;
    go_on(&engine, &run, going, console)
}

/// Goes on with a run until it is over or waits for somebody, and tells what came of it.
fn go_on(engine: &Engine, run: &WorkflowRun, going: &Going, console: &mut Console) -> Result<u8, Failure> {
    let mut stream = run.stream(1);
    let mut still = Instant::now();
    let cancel = console.cancel();
    loop {
        if going.detach {
            break;
        }
        if cancel.is_cancelled() {
            engine.close_within(DRAIN)?;
            let id = run.id();
            let message = format!("interrupted; go on by `quorate workflows resume {id}`");
            return Err(Error::new(Code::Cancelled, message).into());
        }
        match stream.wait(LOOK)? {
            None => break,
            Some(entries) if entries.is_empty() => {
                let status = run.status()?;
                let patience = match status {
                    Status::Waiting => {
                        let somebody = |step: &quorate::workflows::flow::StepView| {
                            matches!(step.waits_for.as_deref(), Some("review" | "signal"))
                        };
                        if run.steps()?.iter().any(somebody) { STILL } else { STILLER }
                    }
                    Status::Paused | Status::Blocked => STILL,
                    _ => continue,
                };
                if still.elapsed() >= patience {
                    break;
                }
            }
            Some(entries) => {
                still = Instant::now();
                for one in &entries {
                    if going.stream {
                        console.json_line(&entry(one))?;
                    } else if let Some(step) = one.data["step"].as_str() {
                        let kind = one.kind.trim_start_matches("step_").replace('_', " ");
                        console.note(&format!("{}: {kind}", text::line(step)));
                    }
                }
            }
        }
    }
    engine.close_within(DRAIN)?;
    let status = match going.stream {
        true => run.status()?,
        false => tell(engine, run, console)?,
    };
    Ok(match status {
        Status::Failed | Status::Blocked | Status::Cancelled if !going.detach => exit::FAILED,
        _ => exit::DONE,
    })
}

/// How far a run is, and what it waits for.
fn tell(engine: &Engine, run: &WorkflowRun, console: &mut Console) -> Result<Status, Failure> {
    let status = run.status()?;
    let steps = run.steps()?;
    let reviews = engine.reviews(None, Some(run.id()))?;
    let ending = run.ending()?;
    if console.is_json() {
        let found = run.definition()?;
        let result = ending.as_ref().map(|ending| ending["output"].clone()).unwrap_or_default();
        console.document(&json!({
            "run_id": run.id(), "workflow": found.id(), "version": found.version(), "status": status.as_str(),
            "steps": steps.iter().map(|one| step(Host::Python, one)).collect::<Value>(),
            "reviews": reviews.iter().map(|one| review(Host::Python, one)).collect::<Value>(),
            "ending": ending, "result": result,
        }))?;
        return Ok(status);
    }
    let mut table = Table::new(["STEP", "KIND", "STATUS", "ATTEMPTS", "SAYS"]).right([3]);
    for one in &steps {
        let says = match (&one.waits_for, &one.message, &one.code) {
            (Some(waits), ..) if one.status == "waiting" => format!("waits for {waits}"),
            (_, Some(message), _) => message.clone(),
            (_, None, Some(code)) => code.clone(),
            _ => String::new(),
        };
        table.row([one.id.clone(), one.kind.clone(), one.status.clone(), one.attempts.to_string(), says]);
    }
    console.table(&table)?;
    for one in &reviews {
        let options = text::line(&one.options.join("|"));
        console.say(&format!(
            "\nDecide: quorate workflows decide {} {options} --by USER    ({})",
            text::line(&one.id),
            text::line(&one.title)
        ))?;
    }
    if let Some(ending) = &ending {
        let whole = serde_json::to_string_pretty(ending).unwrap_or_default();
        console.say(&format!("\n{}", text::json(whole)))?;
    }
    console.note(&format!("run {} is {}", text::line(run.id()), status.as_str()));
    Ok(status)
}

/// Tells of a run that is kept.
pub(super) fn show_run(
    store: &StateStore,
    run: &str,
    place: &Place,
    console: &mut Console,
) -> Result<u8, Failure> {
    let engine = idle(store.clone(), &[], place)?;
    let run = engine.get(run)?;
    tell(&engine, &run, console)?;
    Ok(exit::DONE)
}

/// Ends a run, by an engine that does nothing else.
pub(super) fn cancel_run(store: &StateStore, run: &str, place: &Place) -> Result<()> {
    let engine = idle(store.clone(), &[], place)?;
    engine.get(run)?.cancel("cancelled on the command line", false)?;
    engine.close_within(DRAIN)?;
    Ok(())
}

/// Goes on with everything that is due.
fn work(
    load: &[PathBuf],
    concurrency: usize,
    queue: Vec<String>,
    until_idle: bool,
    answering: &Answering,
    place: &Place,
    console: &mut Console,
) -> Result<u8, Failure> {
    if concurrency == 0 {
        return Err(Error::invalid("--concurrency is 0; a whole number from 1 is expected").into());
    }
    let queues = (!queue.is_empty()).then_some(queue);
    let engine = engine(load, concurrency, queues, answering, place, console)?;
    let engine = Arc::new(engine);
    if !until_idle {
        console.note("working; end it with Ctrl-C");
    }
    let cancel = console.cancel();
    let mut faults = 0;
    let mut still = Instant::now();
    while !cancel.is_cancelled() {
        std::thread::sleep(LOOK);
        let all = engine.faults();
        for (id, message) in all.iter().skip(faults) {
            console.warn("run", &format!("{id}: {message}"));
        }
        faults = all.len();
        let goes_on = |run: &WorkflowRun| {
            run.status().is_ok_and(|status| {
                matches!(status, Status::Pending | Status::Queued | Status::Running | Status::Compensating)
            })
        };
        if engine.runs(None)?.iter().any(goes_on) {
            still = Instant::now();
        }
        if until_idle && still.elapsed() >= STILL {
            break;
        }
    }
    let drained = engine.close_within(DRAIN)?;
    if !drained {
        console.warn("timeout", "some steps were not finished; they are done again by the next worker");
    }
    // For a worker an interruption is how it ends.
    Ok(exit::DONE)
}
