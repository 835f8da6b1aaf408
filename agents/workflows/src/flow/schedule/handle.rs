//! What can be asked of a schedule, and said to it?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::{Enqueued, NewRun, Posted, Work};
use serde::Serialize;
use serde_json::{Value, json};

use super::{INPUTS, KIND, Kept, Missed, Plan, SPACE, ScheduleOptions, id_of, key_of, tend};
use crate::flow::engine::{Hold, Inner, KIND as WORKFLOW};
use crate::flow::handle::WorkflowRun;
use crate::flow::plan::{canonical, is_name};

/// How long a word to a schedule may take to be heard by whoever holds it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many of the next times are told at most.
const MOST_TIMES: usize = 10_000;

/// A workflow that is started at set times, as it was when it was looked at.
#[derive(Clone, Serialize)]
pub struct Schedule {
    /// Its name, of which there is one.
    pub name: String,
    /// When: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// By whose clocks.
    pub timezone: String,
    /// What is started.
    pub workflow: String,
    /// With what.
    pub input: Value,
    /// What becomes of times that were missed.
    pub missed: Missed,
    /// The version of the workflow; none: the newest.
    pub version: Option<String>,
    /// Whether nothing is started until it is resumed.
    pub paused: bool,
    /// When it comes due next, in seconds since 1970.
    pub next: Option<f64>,
    /// The last due time for which a run was started.
    pub last: Option<f64>,
    /// How many runs it has started.
    pub started: u64,
    /// The first and the last of the due times among which some were left out when that happened last: they were missed.
    pub left_out: Option<(f64, f64)>,
    /// Why the last due time came to nothing, as code and message.
    pub error: Option<(String, String)>,
    #[serde(skip)]
    plan: Plan,
    #[serde(skip)]
    inner: Arc<Inner>,
    #[serde(skip)]
    hold: Arc<Hold>,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("name", &self.name).field("cron", &self.cron).finish_non_exhaustive()
    }
}

impl Schedule {
    fn of(hold: &Arc<Hold>, kept: Kept) -> Result<Schedule> {
        let inner = Arc::clone(&hold.0);
        let input = inner.store.get(inner.tenant.as_deref(), INPUTS, &kept.plan.input_key())?;
        let Kept { plan, paused, next, last, started, left_out, error, .. } = kept;
        Ok(Schedule {
            name: plan.name.clone(),
            cron: plan.cron.clone(),
            timezone: plan.options.timezone.clone(),
            workflow: plan.workflow.clone(),
            input: input.unwrap_or_default(),
            missed: plan.options.missed,
            version: plan.options.version.clone(),
            paused,
            next,
            last,
            started,
            left_out,
            error,
            plan,
            inner,
            hold: Arc::clone(hold),
        })
    }

    /// As it is now. Errors: `unknown_id` once it was removed; those of the store.
    pub fn look(&self) -> Result<Schedule> {
        find(&self.hold, &self.name)
    }

    /// The next times at which it comes due, at most so many, in seconds since 1970, also while it is paused.
    /// Errors: `invalid_argument` for more than 10,000.
    pub fn next_times(&self, count: usize) -> Result<Vec<f64>> {
        if count > MOST_TIMES {
            return Err(Error::invalid(format!("{count} times are more than {MOST_TIMES}; ask for fewer")));
        }
        let times = self.plan.times()?;
        let mut found = Vec::new();
        let mut time = self.inner.clock.now();
        while found.len() < count {
            // After the last time nothing comes.
            let Ok(next) = times.after(time) else { break };
            found.push(next);
            time = next;
        }
        Ok(found)
    }

    /// The run that was started for a due time; none where none was, or where it was deleted. Errors: those of the store.
    pub fn run(&self, due: f64) -> Result<Option<WorkflowRun>> {
        self.inner.here()?;
        let row = self.inner.store.keyed(self.inner.tenant.as_deref(), WORKFLOW, &key_of(&self.name, due))?;
        Ok(row.map(|row| WorkflowRun::new(&self.hold, row.id)))
    }

    /// Starts nothing until it is resumed; times that come meanwhile are not missed. Errors: `unknown_id` once it was removed.
    pub fn pause(&self) -> Result<Schedule> {
        self.say("pause", json!({}))?;
        self.look()
    }

    /// It goes on with the next time that comes. Errors: those of [`Schedule::pause`].
    pub fn resume(&self) -> Result<Schedule> {
        self.say("resume", json!({}))?;
        self.look()
    }

    /// Ends it. Runs that it has started go on. Errors: those of [`Schedule::pause`].
    pub fn remove(&self) -> Result<()> {
        match self.say("remove", json!({})) {
            Err(error) if error.code() == Code::RunConflict => {}
            other => other?,
        }
        clear(&self.inner, &self.name)
    }

    fn say(&self, kind: &str, data: Value) -> Result<()> {
        say(&self.inner, &self.name, kind, data)
    }
}

/// Takes away what a schedule that has ended was. Errors: those of the store; `run_conflict` while somebody looks at it.
fn clear(inner: &Inner, name: &str) -> Result<()> {
    let tenant = inner.tenant.as_deref();
    let begun = Instant::now();
    loop {
        match inner.store.delete(tenant, &id_of(name)) {
            Err(error) if error.code() == Code::RunConflict && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) if error.code() != Code::UnknownId => return Err(error),
            _ => break,
        }
    }
    let of = format!("{name}/");
    for (key, _) in inner.store.list(tenant, INPUTS)? {
        if key.starts_with(&of) {
            inner.store.remove(tenant, INPUTS, &key)?;
        }
    }
    Ok(())
}

/// Posts a word to a schedule, and waits until it was heard; where nobody holds it, it is heard here.
fn say(inner: &Inner, name: &str, kind: &str, mut data: Value) -> Result<()> {
    inner.here()?;
    let (tenant, id) = (inner.tenant.as_deref(), id_of(name));
    if let Value::Object(fields) = &mut data {
        fields.insert("at".to_owned(), json!(inner.clock.now()));
    }
    let gone = || Error::new(Code::UnknownId, format!("there is no schedule '{}'", shorten(name)));
    let number = match inner.store.post(tenant, &id, kind, &data, None) {
        Ok(Posted::New(number)) => number,
        Ok(Posted::Known) => return Ok(()),
        Ok(Posted::Ended) => return Err(gone()),
        Err(error) if error.code() == Code::UnknownId => return Err(gone()),
        Err(error) => return Err(error),
    };
    inner.moved();
    let begun = Instant::now();
    loop {
        let row =
            inner.store.run(tenant, &id).map_err(|e| if e.code() == Code::UnknownId { gone() } else { e })?;
        let last = inner.store.entries(tenant, &id, row.entries)?;
        if let Some(last) = last.last()
            && Kept::of(last)?.letter >= number
        {
            return Ok(());
        }
        if quorate_state::FINAL.contains(&row.status.as_str()) {
            return Err(gone());
        }
        match inner.store.take(tenant, &id) {
            Ok(run) => tend(inner, &run)?,
            Err(error) if error.code() == Code::RunConflict && begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

/// The schedules, by name. Errors: those of the store.
pub(crate) fn listed(hold: &Arc<Hold>) -> Result<Vec<Schedule>> {
    hold.0.here()?;
    let mut found = Vec::new();
    for one in hold.0.store.listed(hold.0.tenant.as_deref(), SPACE, None, None)? {
        found.push(Schedule::of(hold, Kept::of(&one.entry)?)?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A schedule. Errors: `unknown_id`; those of the store.
pub(crate) fn find(hold: &Arc<Hold>, name: &str) -> Result<Schedule> {
    hold.0.here()?;
    let gone = || Error::new(Code::UnknownId, format!("there is no schedule '{}'", shorten(name)));
    if !is_name(name, true) {
        return Err(gone());
    }
    let one =
        hold.0.store.listed(hold.0.tenant.as_deref(), SPACE, Some(name), None)?.pop().ok_or_else(gone)?;
    Schedule::of(hold, Kept::of(&one.entry)?)
}

/// Adds a schedule, or has the one of this name be like this. `input` fits the workflow. Errors: `invalid_argument`; those of the store.
pub(crate) fn put(
    hold: &Arc<Hold>,
    name: &str,
    cron: &str,
    workflow: &str,
    input: &Value,
    options: ScheduleOptions,
) -> Result<Schedule> {
    let inner = &hold.0;
    let tenant = inner.tenant.as_deref();
    if !is_name(name, true) {
        return Err(Error::invalid(format!(
            "name: '{}' is no name of letters, digits, '_', '-' and dots",
            shorten(name)
        )));
    }
    let hash = blake3::hash(canonical(input).as_bytes()).to_hex().to_string();
    let plan = Plan {
        name: name.to_owned(),
        cron: cron.to_owned(),
        workflow: workflow.to_owned(),
        input: hash,
        options,
    };
    let now = inner.clock.now();
    let next = plan.times()?.after(now)?;
    inner.store.put(tenant, INPUTS, &plan.input_key(), input)?;
    let kept = Kept {
        plan: plan.clone(),
        paused: false,
        next: Some(next),
        last: None,
        started: 0,
        left_out: None,
        error: None,
        letter: 0,
        at: now,
    };
    let id = id_of(name);
    let new = NewRun { id: Some(&id), kind: KIND, tenant, title: name, ..NewRun::default() };
    let work = Work { queue: "schedule", at: now.min(0.0), ..Work::default() };
    loop {
        match inner.store.enqueue(&new, &[kept.entry(1, "scheduled")?], "waiting", &work) {
            // It is listed from its first look on.
            Ok(Enqueued::New(_) | Enqueued::Known(_)) => say(inner, name, "list", json!({}))?,
            Err(error) if error.code() == Code::DuplicateId => {
                let row = inner.store.run(tenant, &id)?;
                if row.kind != KIND {
                    return Err(error);
                }
                if quorate_state::FINAL.contains(&row.status.as_str()) {
                    // Whoever removed it was ended before it was gone.
                    clear(inner, name)?;
                    inner.store.put(tenant, INPUTS, &plan.input_key(), input)?;
                    continue;
                }
                let last = inner.store.entries(tenant, &id, row.entries)?;
                let same = last.last().map(Kept::of).transpose()?.is_some_and(|kept| kept.plan == plan);
                let (kind, data) =
                    if same { ("list", json!({})) } else { ("replace", json!({"plan": plan})) };
                say(inner, name, kind, data)?;
            }
            Err(error) => return Err(error),
        }
        return find(hold, name);
    }
}
