//! How do workflows look to hosts, and what do hosts say to them?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Error, Result};
use quorate_models::{BreakerOptions, BulkheadOptions, CallGuard, CallOptions};
use quorate_workflows::flow::{
    Definition, Engine, EngineOptions, HostTool, JournalEntry, Missed, Problem, ResilientTool, Retry, Review,
    Schedule, ScheduleOptions, StartOptions, Status, StepContext, StepView, Template, ToolOptions,
    WorkflowRun, WorkflowStream, templates,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runtime::{failed, renamed};
use crate::{Feed, Flow, Host, Options, snake};

/// How often who waits looks whether anybody still wants to know.
const LOOK: Duration = Duration::from_millis(50);

/// What an engine is told: `tenant`, `queues`, `concurrency`. Store, experts, tools and clock are the host's.
/// Errors: `invalid_argument`.
pub fn engine_options(host: Host, given: Value) -> Result<EngineOptions> {
    let mut options = Options::new(host, "options of an engine", given)?;
    let made = EngineOptions {
        tenant: options.take("tenant", "a text")?,
        queues: options.take("queues", "a list of names of queues")?,
        concurrency: options.take("concurrency", "a whole number from 0")?,
        ..EngineOptions::default()
    };
    options.done()?;
    Ok(made)
}

/// How a run is started: the members of [`StartOptions`]. Errors: `invalid_argument`.
pub fn start_options(host: Host, given: Value) -> Result<StartOptions> {
    let mut options = Options::new(host, "options of a run", given)?;
    let stand_ins: Option<BTreeMap<String, Value>> =
        options.take("stand_ins", "an object from ids of steps to what stands in")?;
    let made = StartOptions {
        id: options.take("id", "a text")?,
        version: options.take("version", "a text")?,
        priority: options.take("priority", "a whole number")?,
        dedup: options.take("dedup", "a text")?,
        deadline: options.take("deadline", "a number of seconds since 1970")?,
        starter: options.take("starter", "a text")?,
        offline: options.take("offline", "true or false")?.unwrap_or(false),
        stand_ins: stand_ins.unwrap_or_default(),
    };
    options.done()?;
    Ok(made)
}

/// How a schedule starts its runs: the members of [`ScheduleOptions`]. Errors: `invalid_argument`.
pub fn schedule_options(host: Host, given: Value) -> Result<ScheduleOptions> {
    let mut options = Options::new(host, "options of a schedule", given)?;
    let plain = ScheduleOptions::default();
    let missed: Option<String> = options.take("missed", "'skip', 'once' or 'all'")?;
    let made = ScheduleOptions {
        timezone: options.take("timezone", "the name of a time zone")?.unwrap_or(plain.timezone),
        missed: missed.as_deref().map(Missed::of).transpose()?.unwrap_or(plain.missed),
        version: options.take("version", "a text")?,
        priority: options.take("priority", "a whole number")?,
        starter: options.take("starter", "a text")?,
        offline: options.take("offline", "true or false")?.unwrap_or(false),
    };
    options.done()?;
    Ok(made)
}

/// A schedule, with what its runs are started with as it was given.
pub fn schedule(host: Host, schedule: &Schedule) -> Value {
    let mut told = json!(schedule);
    let error = schedule.error.as_ref().map(|(code, message)| json!({"code": code, "message": message}));
    let mut input = Value::Null;
    if let Some(members) = told.as_object_mut() {
        input = members.remove("input").unwrap_or_default();
        members.insert("error".to_owned(), json!(error));
    }
    let mut told = renamed(host, told);
    told["input"] = input;
    told
}

/// Says something to a schedule; as it is then, null once it was removed. Errors: `invalid_argument`, those of the schedule.
pub fn schedule_word(host: Host, engine: &Engine, name: &str, word: &str) -> Result<Value> {
    let found = engine.scheduled(name)?;
    Ok(match word {
        "pause" => schedule(host, &found.pause()?),
        "resume" => schedule(host, &found.resume()?),
        "remove" => {
            found.remove()?;
            Value::Null
        }
        _ => schedule(host, &found),
    })
}

/// How a tool lasts through a bad time of what it calls: `retry` (`max_attempts`, or as in a workflow), `timeout` in seconds,
/// `breaker` (`failures`, `reset`, `probes`), `bulkhead` (`concurrency`, `queue`). Errors: `invalid_argument`.
pub fn tool_options(host: Host, given: Value) -> Result<(ToolOptions, CallOptions)> {
    let mut options = Options::new(host, "options of a tool", given)?;
    let retry = match options.value("retry") {
        None => None,
        Some(Value::Number(attempts)) => Some(retry_of(json!({"max_attempts": attempts}))?),
        Some(given @ Value::Object(_)) => {
            Some(retry_of(if host == Host::Node { snake(given) } else { given })?)
        }
        Some(other) => return Err(options.refuse("retry", &other, "a number of attempts, or an object")),
    };
    let made = ToolOptions { retry, timeout: options.take("timeout", "a number of seconds")? };
    let breaker = match options.value("breaker") {
        None => None,
        Some(given) => {
            let mut breaker = Options::new(host, "options of a breaker", given)?;
            let plain = BreakerOptions::default();
            let read = BreakerOptions {
                failures: breaker.take("failures", "a whole number from 1")?.unwrap_or(plain.failures),
                open_for: breaker.seconds("reset")?.unwrap_or(plain.open_for),
                probes: breaker.take("probes", "a whole number from 1")?.unwrap_or(plain.probes),
            };
            breaker.done()?;
            Some(read)
        }
    };
    let bulkhead = match options.value("bulkhead") {
        None => None,
        Some(given) => {
            let mut bulkhead = Options::new(host, "options of a bulkhead", given)?;
            let read = BulkheadOptions {
                most: bulkhead.take("concurrency", "a whole number from 1")?.unwrap_or(8),
                queue: bulkhead.take("queue", "a whole number from 0")?.unwrap_or(16),
            };
            bulkhead.done()?;
            Some(read)
        }
    };
    options.done()?;
    made.validate()?;
    let calls = CallOptions { breaker, bulkhead };
    calls.validate()?;
    Ok((made, calls))
}

fn retry_of(given: Value) -> Result<Retry> {
    Retry::deserialize(given).map_err(|e| Error::invalid(format!("retry: {e}")))
}

/// A tool that lasts so; several with one guard share its breaker and its places.
/// Errors: those of [`ToolOptions::validate`].
pub fn resilient(
    tool: Arc<dyn HostTool>,
    options: &ToolOptions,
    guard: &Arc<CallGuard>,
) -> Result<Arc<dyn HostTool>> {
    Ok(Arc::new(ResilientTool::new(tool, options.clone(), Arc::clone(guard))?))
}

/// The queues that are worked on and how many runs at once. Errors: `invalid_argument`.
pub fn work_options(host: Host, given: Value) -> Result<(Option<Vec<String>>, usize)> {
    let mut options = Options::new(host, "options of work", given)?;
    let queues = options.take("queues", "a list of names of queues")?;
    let concurrency: Option<usize> = options.take("concurrency", "a whole number from 1")?;
    options.done()?;
    match concurrency.unwrap_or(8) {
        0 => Err(Error::invalid("concurrency is 0; a whole number from 1 is expected")),
        concurrency => Ok((queues, concurrency)),
    }
}

/// A status by its name. Errors: `invalid_argument`.
pub fn status(name: &str) -> Result<Status> {
    Status::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = Status::ALL.into_iter().map(Status::as_str).collect();
        let given = quorate_core::shorten(name);
        Error::invalid(format!("'{given}' is no status of a run; there are {}", names.join(", ")))
    })
}

/// What lists show of a definition.
pub fn definition(definition: &Definition) -> Value {
    json!({
        "id": definition.id(), "version": definition.version(), "title": definition.title(),
        "domain": definition.domain(), "hash": definition.hash(),
    })
}

/// The form of one definition with everything in it that it refers to; without an id, those of all newest versions by id.
/// Errors: `unknown_id`.
pub fn rendered(engine: &Engine, id: Option<&str>, version: Option<&str>) -> Result<Value> {
    match id {
        Some(id) => Ok(engine.definition(id, version)?.rendered().clone()),
        None => {
            let all = engine.list().into_iter();
            Ok(Value::Object(all.map(|one| (one.id().to_owned(), one.rendered().clone())).collect()))
        }
    }
}

/// A workflow that ships.
pub fn template(template: &Template) -> Value {
    json!({
        "id": template.id, "title": template.title, "description": template.description,
        "domain": template.domain, "yaml": template.yaml, "version": template.definition.version(),
        "mermaid": template.definition.mermaid(),
    })
}

/// Those that ship.
pub fn shipped() -> Value {
    templates().iter().map(template).collect()
}

/// What is wrong with a file, and where.
pub fn problem(problem: &Problem) -> Value {
    json!(problem)
}

/// A review that is open. What it shows is as the workflow gave it.
pub fn review(host: Host, review: &Review) -> Value {
    let mut told = json!(review);
    let votes = review.votes.iter().map(|(by, option)| json!({"by": by, "option": option})).collect();
    if let Some(members) = told.as_object_mut() {
        members.insert("votes".to_owned(), Value::Array(votes));
    }
    renamed(host, told)
}

/// A step of a run, as far as it is.
pub fn step(host: Host, step: &StepView) -> Value {
    renamed(host, json!(step))
}

/// One thing that happened. Its data are the same in every language.
pub fn entry(entry: &JournalEntry) -> Value {
    json!(entry)
}

/// What a function of the host is told about a call.
pub fn context(host: Host, context: &StepContext) -> Value {
    let told = json!({
        "run_id": context.run_id, "step": context.step, "visit": context.visit, "attempt": context.attempt,
        "name": context.name, "idempotency_key": context.idempotency_key, "tenant": context.tenant,
    });
    renamed(host, told)
}

/// Waits until a run has one of these statuses, or is over; at most so long, and as long as `cancel` is not raised. Its status then.
/// Errors: `cancelled`, those of the run.
pub fn wait(
    run: &WorkflowRun,
    timeout: Option<Duration>,
    until: &[Status],
    cancel: &Cancel,
) -> Result<Status> {
    let begun = Instant::now();
    let is = |status: Status| status.is_final() || until.contains(&status);
    loop {
        cancel.check()?;
        let left = timeout.map_or(LOOK, |timeout| timeout.saturating_sub(begun.elapsed()));
        let status = run.wait_for(Some(left.min(LOOK)), is)?;
        if is(status) || left.is_zero() {
            return Ok(status);
        }
    }
}

/// Drains an engine, or closes it, as long as `cancel` is not raised and at most so long. Whether all was done.
/// Errors: `cancelled`.
pub fn drain(engine: &Engine, most: Option<Duration>, close: bool, cancel: &Cancel) -> Result<bool> {
    let begun = Instant::now();
    loop {
        let left = most.map_or(LOOK, |most| most.saturating_sub(begun.elapsed()));
        let drained = engine.drain_within(left.min(LOOK))?;
        if drained || left.is_zero() {
            if close {
                engine.close_within(Duration::ZERO)?;
            }
            return Ok(drained);
        }
        cancel.check()?;
    }
}

/// What happens in a run from entry number `from` on, as it happens, until it is over.
pub fn flow(run: &WorkflowRun, from: u64) -> Flow {
    flow_when(
        {
            let run = run.clone();
            move || Ok(run)
        },
        from,
    )
}

/// The same of a run that `open` gives then, which may wait.
pub fn flow_when(open: impl FnOnce() -> Result<WorkflowRun> + Send + 'static, from: u64) -> Flow {
    let cancel = Cancel::new();
    let feed = Entries { open: Some((Box::new(open), from)), stream: None, cancel: cancel.clone() };
    Flow::new(Box::new(feed), cancel, failed)
}

/// What gives a run, on the thread that reads the stream.
type Open = Box<dyn FnOnce() -> Result<WorkflowRun> + Send>;

struct Entries {
    open: Option<(Open, u64)>,
    stream: Option<WorkflowStream>,
    cancel: Cancel,
}

impl Entries {
    fn more(&mut self) -> Result<Option<Vec<JournalEntry>>> {
        if let Some((open, from)) = self.open.take() {
            self.stream = Some(open()?.stream(from));
        }
        let Some(stream) = &mut self.stream else { return Ok(None) };
        loop {
            match stream.wait(LOOK)? {
                Some(none) if none.is_empty() && self.cancel.is_cancelled() => return Ok(None),
                Some(none) if none.is_empty() => {}
                found => return Ok(found),
            }
        }
    }
}

impl Feed for Entries {
    fn next(&mut self) -> (Vec<Value>, bool) {
        match self.more() {
            Ok(Some(entries)) => {
                // Nothing comes behind the end but words that were too late.
                let last = entries.iter().any(|entry| entry.kind == "ended");
                (entries.iter().map(entry).collect(), last)
            }
            Ok(None) => (Vec::new(), true),
            Err(error) => (vec![failed(&error)], true),
        }
    }
}

/// A clock of the host: the last time that its function has told stands where it tells none.
#[derive(Debug)]
pub struct HostTime {
    last: AtomicU64,
    well: AtomicBool,
}

impl HostTime {
    /// A clock whose function has told this first. Errors: `not_finite`.
    pub fn new(first: f64) -> Result<HostTime> {
        if !first.is_finite() {
            let message = format!("the clock tells {first}; a number of seconds since 1970 is expected");
            return Err(Error::new(quorate_core::Code::NotFinite, message));
        }
        Ok(HostTime { last: AtomicU64::new(first.to_bits()), well: AtomicBool::new(true) })
    }

    /// What was told last.
    pub fn last(&self) -> f64 {
        f64::from_bits(self.last.load(Ordering::Acquire))
    }

    /// What time it is, where the function has told this.
    pub fn now(&self, told: Result<f64>) -> f64 {
        match told {
            Ok(now) if now.is_finite() => {
                self.last.store(now.to_bits(), Ordering::Release);
                self.well.store(true, Ordering::Release);
            }
            told => {
                if self.well.swap(false, Ordering::AcqRel) {
                    let said = told.map_or_else(|error| error.to_string(), |now| now.to_string());
                    tracing::warn!(target: "quorate.workflows", said = %said, "the engine's clock tells no time; the last one stands");
                }
            }
        }
        self.last()
    }
}

/// What a review is decided with. Errors: `invalid_argument`.
pub fn decision(host: Host, given: Value) -> Result<(String, Option<String>, Value)> {
    let mut options = Options::new(host, "options of a decision", given)?;
    let by: Option<String> = options.take("by", "a text")?;
    let comment = options.take("comment", "a text")?;
    let data = options.value("data").unwrap_or_default();
    options.done()?;
    match by {
        Some(by) => Ok((by, comment, data)),
        None => Err(Error::invalid("a decision has no 'by': say who decides")),
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::Code;

    use super::*;

    #[test]
    fn each_wrong_option_is_named() {
        for (given, name) in [
            (json!({"id": 3}), "id"),
            (json!({"priority": "high"}), "priority"),
            (json!({"deadline": "soon"}), "deadline"),
            (json!({"offline": 1}), "offline"),
            (json!({"standIns": []}), "standIns"),
            (json!({"stand_ins": {}}), "stand_ins"),
            (json!({"priorty": 1}), "priorty"),
        ] {
            let error = start_options(Host::Node, given).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains(name), "{}", error.message());
        }
        assert!(engine_options(Host::Python, json!({"concurrency": -1})).is_err());
        assert!(engine_options(Host::Python, json!({"queues": "regulatory"})).is_err());
        assert!(work_options(Host::Python, json!({"concurrency": 0})).is_err());
        assert_eq!(decision(Host::Node, json!({})).unwrap_err().code(), Code::InvalidArgument);
        for (given, name) in [
            (json!({"retry": "often"}), "retry"),
            (json!({"retry": {"maxAttempts": 0}}), "max_attempts"),
            (json!({"retry": {"tries": 3}}), "tries"),
            (json!({"timeout": -1}), "timeout"),
            (json!({"breaker": {"failures": 0}}), "failure"),
            (json!({"breaker": {"reset": "x"}}), "reset"),
            (json!({"bulkhead": {"concurrency": 0}}), "bulkhead"),
            (json!({"bulkhead": 3}), "bulkhead"),
            (json!({"bulkead": {}}), "bulkead"),
        ] {
            let error = tool_options(Host::Node, given).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains(name), "{}", error.message());
        }
        let (options, calls) =
            tool_options(Host::Node, json!({"retry": {"maxAttempts": 4, "retryOn": ["any"]}, "breaker": {}}))
                .unwrap();
        assert_eq!(
            options.retry.map(|retry| (retry.max_attempts, retry.retry_on)),
            Some((4, vec!["any".to_owned()]))
        );
        assert_eq!(calls.breaker, Some(BreakerOptions::default()));
        assert!(status("done").unwrap_err().message().contains("completed"));
    }

    #[test]
    fn a_clock_that_fails_stands_still() {
        let time = HostTime::new(5.0).unwrap();
        assert_eq!(time.now(Ok(7.0)), 7.0);
        assert_eq!(time.now(Ok(f64::NAN)), 7.0);
        assert_eq!(time.now(Err(Error::invalid("it raised"))), 7.0);
        assert_eq!(time.now(Ok(8.0)), 8.0);
        assert!(HostTime::new(f64::INFINITY).is_err());
    }
}
