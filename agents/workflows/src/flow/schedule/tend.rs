//! What does a schedule do when it is due, or was told something?

use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::{Advance, Entry, Letter, Listing, Run, Start, Wake};
use serde_json::{Value, json};

use super::{INPUTS, KIND, Kept, Missed, Plan, SPACE, key_of};
use crate::flow::drive::{Queueing, new_run, time_of};
use crate::flow::engine::Inner;
use crate::flow::fact::{Fact, Spec};
use crate::flow::library::Definition;
use crate::flow::schema;

/// A due time that is looked at so many seconds after it was not missed.
const GRACE: f64 = 60.0;
/// How many due times that were missed are made up for.
const MOST: usize = 1_000;
/// How many runs begin in one transaction.
const AT_ONCE: usize = 100;
/// How long a schedule waits for an engine that knows its workflow, in seconds.
const REST: f64 = 5.0;
/// A clock that goes back further than this, in seconds, has due times reckoned anew.
const BACK: f64 = 3_600.0;
/// How often schedules are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// When somebody who works looks for schedules again.
pub(crate) struct Look {
    next: Instant,
    clock: Option<f64>,
}

impl Look {
    pub(crate) fn new() -> Look {
        Look { next: Instant::now(), clock: None }
    }

    /// Starts what is due by schedules, where it is time to look. Errors: those of the store, with the id of what they are about.
    pub(crate) fn look(&mut self, inner: &Inner) -> std::result::Result<(), (String, Error)> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next = Instant::now() + LOOK;
        let now = inner.clock.now();
        let none = |error| (String::new(), error);
        // The first time, the clock may have been put back while nobody worked.
        if self.clock.is_none_or(|before| before - now > BACK) {
            put_back(inner, now).map_err(none)?;
        }
        self.clock = Some(now);
        let due = inner.store.claim(inner.tenant.as_deref(), KIND, None, now, 16).map_err(none)?;
        for run in due {
            let id = run.id().to_owned();
            if let Err(error) = tend(inner, &run) {
                // It is left alone for a while.
                let wake = Wake::At(inner.clock.now() + REST);
                let _ = run.advance(&Advance { wake, read: u64::MAX, ..Advance::default() });
                return Err((id, error));
            }
        }
        Ok(())
    }
}

/// Tells schedules that have been looked at in what is the future now. Errors: those of the store.
fn put_back(inner: &Inner, now: f64) -> Result<()> {
    for one in inner.store.listed(inner.tenant.as_deref(), SPACE, None, None)? {
        if Kept::of(&one.entry)?.at - now > BACK {
            let data = json!({"at": now});
            match inner.store.post(inner.tenant.as_deref(), &one.run_id, "clock", &data, None) {
                Err(error) if error.code() != Code::UnknownId => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// What becomes of a schedule.
struct Turn {
    kind: &'static str,
    wake: Wake,
    status: &'static str,
    due: Vec<f64>,
}

/// Hears what a schedule was told, and starts what is due. Errors: those of the store, `corrupt`.
pub(crate) fn tend(inner: &Inner, run: &Run) -> Result<()> {
    let tenant = inner.tenant.as_deref();
    loop {
        let row = inner.store.run(tenant, run.id())?;
        let entries = inner.store.entries(tenant, run.id(), row.entries)?;
        let Some(last) = entries.last() else {
            return Err(Error::new(Code::Corrupt, format!("the schedule '{}' has no entry", run.id())));
        };
        if quorate_state::FINAL.contains(&row.status.as_str()) {
            return Ok(());
        }
        let before = Kept::of(last)?;
        let mut kept = before.clone();
        let mut removed = false;
        for letter in run.letters(kept.letter)? {
            kept.letter = letter.number;
            removed |= hear(&mut kept, &letter, inner.clock.now())?;
        }
        let turn = match removed {
            true => Turn { kind: "removed", wake: Wake::Never, status: "cancelled", due: Vec::new() },
            false => turn(inner, &mut kept)?,
        };
        let more = turn.due.len() == AT_ONCE;
        if write(inner, run, (last, &before), kept, turn)? {
            inner.moved();
            if !more {
                return Ok(());
            }
        }
    }
}

/// Takes in a letter; whether the schedule is over by it.
fn hear(kept: &mut Kept, letter: &Letter, now: f64) -> Result<bool> {
    let at = time_of(letter);
    match letter.kind.as_str() {
        "pause" => (kept.paused, kept.next) = (true, None),
        "resume" if kept.paused => {
            kept.paused = false;
            kept.next = kept.plan.times()?.after(at.max(now)).ok();
        }
        "replace" => {
            let plan: Plan = serde_json::from_value(letter.data["plan"].clone())
                .map_err(|e| Error::new(Code::Corrupt, format!("a letter to a schedule: {e}")))?;
            let same = plan.cron == kept.plan.cron && plan.options.timezone == kept.plan.options.timezone;
            if !same && !kept.paused {
                kept.next = plan.times()?.after(at).ok();
            }
            (kept.plan, kept.error) = (plan, None);
        }
        // Due times that come again are known by their runs.
        "clock" if kept.at - now > BACK && !kept.paused => {
            kept.next = kept.plan.times()?.after(now).ok();
        }
        "remove" => return Ok(true),
        _ => {}
    }
    Ok(false)
}

/// What is due, and when somebody has to look again.
fn turn(inner: &Inner, kept: &mut Kept) -> Result<Turn> {
    let now = inner.clock.now();
    let nothing = |kind, wake| Turn { kind, wake, status: "waiting", due: Vec::new() };
    let status = if kept.paused { "paused" } else { "waiting" };
    let Some(next) = kept.next.filter(|_| !kept.paused) else {
        return Ok(Turn { status, ..nothing("told", Wake::Never) });
    };
    if next > now {
        return Ok(nothing("told", Wake::At(next)));
    }
    let times = kept.plan.times()?;
    let most = match kept.plan.options.missed {
        Missed::All => MOST,
        Missed::Once | Missed::Skip => 1,
    };
    let (mut due, mut more) = times.newest(next, now, most)?;
    if kept.plan.options.missed == Missed::Skip {
        let there = due.len();
        due.retain(|due| now - due < GRACE);
        more |= due.len() < there;
    }
    if more {
        let until = due.first().copied().unwrap_or(now);
        kept.left_out = Some((next, until));
    }
    if due.len() > AT_ONCE {
        due.truncate(AT_ONCE);
        kept.next = due.last().and_then(|last| times.after(*last).ok());
    } else {
        kept.next = times.after(now).ok();
    }
    let wake = kept.next.map_or(Wake::Never, Wake::At);
    Ok(Turn { due, ..nothing("came_due", wake) })
}

/// A run that is to begin.
struct Begins {
    definition: Definition,
    key: String,
    first: [Entry; 1],
    queueing: Queueing,
    time: f64,
}

/// Errors: `unknown_id` for the workflow, `invalid_document` for an input that does not fit it, `invalid_argument`; those of the store.
fn begins(inner: &Inner, kept: &Kept, due: f64) -> Result<Begins> {
    let plan = &kept.plan;
    let definition = inner.definition(&plan.workflow, plan.options.version.as_deref())?;
    let input = inner.store.get(inner.tenant.as_deref(), INPUTS, &plan.input_key())?.unwrap_or(Value::Null);
    let input = definition.given(input, plan.options.offline);
    if let Some(wanted) = &definition.plan.form.input {
        let what = format!("the input of '{}'", plan.workflow);
        schema::fits(wanted, &input, &what, Code::InvalidDocument)?;
    }
    let time = inner.clock.now();
    let spec = Spec {
        workflow: definition.id().to_owned(),
        version: definition.version().to_owned(),
        hash: definition.hash().to_owned(),
        input,
        starter: Some(plan.options.starter.clone().unwrap_or_else(|| format!("schedule:{}", plan.name))),
        tenant: inner.tenant.clone(),
        offline: plan.options.offline,
        time,
        ..Spec::default()
    };
    inner.store_definition(&definition)?;
    let queueing = inner.queueing(&definition, &spec, "", plan.options.priority)?;
    let first = [Fact::Started(Box::new(spec)).entry(1, time)?];
    Ok(Begins { definition, key: key_of(&plan.name, due), first, queueing, time })
}

/// Writes what became of a schedule, with the runs that begin; false where a letter came that is heard first.
fn write(
    inner: &Inner,
    run: &Run,
    (last, before): (&Entry, &Kept),
    mut kept: Kept,
    mut turn: Turn,
) -> Result<bool> {
    let mut all = Vec::new();
    for due in &turn.due {
        // A clock that was put back has it come due again.
        if inner
            .store
            .keyed(inner.tenant.as_deref(), crate::flow::engine::KIND, &key_of(&kept.plan.name, *due))?
            .is_some()
        {
            kept.last = Some(*due);
            continue;
        }
        match begins(inner, &kept, *due) {
            Ok(begins) => {
                (kept.last, kept.error) = (Some(*due), None);
                kept.started += 1;
                all.push(begins);
            }
            Err(error) if error.code() == Code::UnknownId => {
                // Another engine may have it: what is due stays so.
                let rest = if inner.is_young() { 0.0 } else { REST };
                turn.wake = Wake::At(inner.clock.now() + rest);
                kept = Kept { letter: kept.letter, ..before.clone() };
                kept.next = Some(before.next.unwrap_or(*due));
                kept.error = Some(("workflow_unknown".to_owned(), error.message().to_owned()));
                turn.kind = "failed";
                all.clear();
                break;
            }
            Err(error)
                if [Code::InvalidDocument, Code::InvalidArgument, Code::TooLarge].contains(&error.code()) =>
            {
                kept.error = Some((error.code().as_str().to_owned(), error.message().to_owned()));
                turn.kind = "failed";
            }
            Err(error) => return Err(error),
        }
    }
    kept.at = before.at;
    let changed = kept != *before || last.seq == 1;
    kept.at = inner.clock.now();
    let entry = kept.entry(last.seq + 1, turn.kind)?;
    let starts: Vec<Start<'_>> = all
        .iter()
        .map(|one: &Begins| Start {
            new: new_run(
                None,
                one.definition.title(),
                Some(run.id()),
                Some(&one.key),
                inner.tenant.as_deref(),
            ),
            entries: &one.first,
            status: one.definition.first_status().as_str(),
            work: one.queueing.place(one.time.min(0.0)),
            within: None,
        })
        .collect();
    let label = &kept.plan.name;
    let listings = [
        Listing { space: SPACE, label, seq: last.seq, listed: false },
        Listing { space: SPACE, label, seq: entry.seq, listed: true },
    ];
    run.advance(&Advance {
        entries: if changed { std::slice::from_ref(&entry) } else { &[] },
        status: Some(turn.status),
        wake: turn.wake,
        read: kept.letter,
        listings: if changed { &listings } else { &[] },
        starts: &starts,
        posts: &[],
    })
}
