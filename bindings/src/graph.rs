//! How do hosts give nodes to graphs, and how do they see what came of a run?

use std::time::Duration;

use quorate_core::{Cancel, Code, Error, Result, shorten};
use quorate_runtime::Runtime;
use quorate_workflows::flow::Engine;
use quorate_workflows::graph::{
    App, Cache, Durability, Event, Failure, Goto, Graph, Mode, NodeOptions, Outcome, Output, Retry,
    RunOptions, Send as Task, Snapshot, Stream, Target, Targets, expert_consultation_by,
    panel_deliberation_by, workflow_execution_by,
};
use serde_json::{Map, Value, json};

use crate::state::durability_in;
use crate::{Feed, Flow, Host, Options};

/// What is said of a node: `writes`, `goto`, `retry`, `timeout` (seconds), `cache` (`ttl`, seconds), `defer`. Functions among them (the key of
/// a cache, what is worth another try) are the host's to add. Errors: `invalid_argument`.
pub fn node_options(host: Host, given: Value) -> Result<NodeOptions> {
    let mut options = Options::new(host, "options of a node", given)?;
    let names = "a list of names";
    let timeout = options.seconds("timeout")?;
    if timeout.is_some_and(|limit| limit.is_zero()) {
        return Err(Error::invalid("timeout is 0; give a number of seconds over 0, or nothing"));
    }
    let found = NodeOptions {
        writes: options.take("writes", names)?,
        goto: options.take("goto", names)?.unwrap_or_default(),
        retry: options.value("retry").map(|given| retry(host, given)).transpose()?,
        timeout,
        cache: options.value("cache").map(|given| cache(host, given)).transpose()?.flatten(),
        defer: options.take("defer", "true or false")?.unwrap_or(false),
    };
    options.done()?;
    Ok(found)
}

/// How a node is tried again: `max_attempts`, `initial`, `factor`, `longest` (seconds). Errors: `invalid_argument`.
///
/// ```
/// use quorate_bindings::{Host, graph};
/// let retry = graph::retry(Host::Node, serde_json::json!({"maxAttempts": 2}))?;
/// assert_eq!((retry.max_attempts, retry.factor), (2, 2.0));
/// assert!(graph::retry(Host::Python, serde_json::json!({"max_attempts": 0})).is_err());
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn retry(host: Host, given: Value) -> Result<Retry> {
    let plain = Retry::default();
    let mut options = Options::new(host, "options of a retry", given)?;
    let attempts = "a whole number from 1";
    let max_attempts = match options.value("max_attempts") {
        None => plain.max_attempts,
        Some(given) => match given.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0) {
            Some(attempts) => attempts,
            None => return Err(options.refuse("max_attempts", &given, attempts)),
        },
    };
    let factor = match options.value("factor") {
        None => plain.factor,
        Some(given) => match given.as_f64().filter(|factor| *factor >= 1.0) {
            Some(factor) => factor,
            None => return Err(options.refuse("factor", &given, "a number from 1")),
        },
    };
    let found = Retry {
        max_attempts,
        initial: options.seconds("initial")?.unwrap_or(plain.initial),
        factor,
        longest: options.seconds("longest")?.unwrap_or(plain.longest),
        on: None,
    };
    options.done()?;
    Ok(found)
}

/// How long what a node gave is kept: true, a number of seconds, or an object with `ttl`; nothing for false.
fn cache(host: Host, given: Value) -> Result<Option<Cache>> {
    let ttl = |given: &Value| {
        given.as_f64().filter(|ttl| *ttl > 0.0).and_then(|ttl| Duration::try_from_secs_f64(ttl).ok())
    };
    let expected = "true, a number of seconds over 0, or an object with ttl,";
    match given {
        Value::Bool(false) => Ok(None),
        Value::Bool(true) => Ok(Some(Cache::default())),
        Value::Object(_) => {
            let mut options = Options::new(host, "options of a cache", given)?;
            let found = match options.value("ttl") {
                None => None,
                Some(given) => match ttl(&given) {
                    Some(ttl) => Some(ttl),
                    None => return Err(options.refuse("ttl", &given, "a number of seconds over 0")),
                },
            };
            options.done()?;
            Ok(Some(Cache { ttl: found, key: None }))
        }
        other => match ttl(&other) {
            Some(ttl) => Ok(Some(Cache { ttl: Some(ttl), key: None })),
            None => Err(Error::invalid(format!(
                "cache is {}; {expected} is expected",
                shorten(&other.to_string())
            ))),
        },
    }
}

fn from_one(options: &mut Options, name: &str) -> Result<Option<usize>> {
    let Some(given) = options.value(name) else { return Ok(None) };
    let number = given.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
    number.map(Some).ok_or_else(|| options.refuse(name, &given, "a whole number from 1"))
}

/// How a run goes: `step_limit`, `parallel`, `durability`, `keep`. Errors: `invalid_argument`.
pub fn run_options(host: Host, given: Value, durability: Durability) -> Result<RunOptions> {
    let mut options = Options::new(host, "options of a run", given)?;
    let plain = RunOptions::default();
    let found = RunOptions {
        step_limit: from_one(&mut options, "step_limit")?.unwrap_or(plain.step_limit),
        parallel: from_one(&mut options, "parallel")?.unwrap_or(plain.parallel),
        durability: durability_in(&mut options)?.unwrap_or(durability),
        keep: from_one(&mut options, "keep")?,
        ..plain
    };
    options.done()?;
    Ok(found)
}

/// Which events are told: a list of words, or one. Errors: `invalid_argument`.
pub fn modes(given: &Value) -> Result<Vec<Mode>> {
    let one = |given: &Value| {
        serde_json::from_value::<Mode>(given.clone()).map_err(|_| {
            let given = shorten(&given.to_string()).escape_debug().to_string();
            Error::invalid(format!("{given} is no mode; give some of updates, values, custom, tasks"))
        })
    };
    match given {
        Value::Array(all) => all.iter().map(one).collect(),
        word => one(word).map(|mode| vec![mode]),
    }
}

fn target(given: Value) -> Result<Target> {
    match given {
        Value::String(name) => Ok(Target::Node(name)),
        Value::Object(mut members) if members.len() == 2 => {
            match (members.remove("node"), members.remove("state")) {
                (Some(Value::String(node)), Some(state)) => Ok(Task::new(node, state).into()),
                _ => Err(Error::invalid("a Send has the name of a node and a state")),
            }
        }
        other => Err(Error::invalid(format!(
            "{} is no place to go to; give the name of a node, or a Send",
            shorten(&other.to_string()).escape_debug()
        ))),
    }
}

/// What a node gave: `update` (an object, or null) and `goto`, a list of names and of tasks `{node, state}`. Errors: `invalid_argument`.
pub fn output(mut given: Value) -> Result<Output> {
    let update = given.get_mut("update").map(Value::take).unwrap_or_default();
    let goto = given.get_mut("goto").map(Value::take).unwrap_or_default();
    let mut output = Output::from(update);
    if let Value::Array(targets) = goto {
        for one in targets {
            output = output.and_goto(target(one)?);
        }
    }
    Ok(output)
}

/// What a route said: a list of names and of tasks. Errors: `invalid_argument`.
pub fn targets(given: Value) -> Result<Targets> {
    match given {
        Value::Array(all) => all.into_iter().map(target).collect::<Result<Vec<_>>>().map(Targets),
        one => Ok(Targets(vec![target(one)?])),
    }
}

/// Going to these after writing `update`, as a node's output.
pub fn going(targets: Vec<Target>, update: Value) -> Output {
    let mut all = targets.into_iter();
    match all.next() {
        None => update.into(),
        Some(first) => all.fold(Goto::new(first).update(update), Goto::and).into(),
    }
}

/// What a reducer, a validator or another function of the host said about a value: an error that keeps what is known.
pub fn refused(said: &Value) -> Result<()> {
    match said {
        Value::Bool(false) => Err(Error::invalid("its validator refuses the value")),
        Value::String(why) => {
            Err(Error::invalid(format!("its validator refuses the value: {}", shorten(why).escape_debug())))
        }
        _ => Ok(()),
    }
}

/// A graph that ships, by its name, with the runtime that `open` gives when it is first needed. Errors: `unknown_id`.
pub fn ready(name: &str, open: impl Fn() -> Result<Runtime> + Send + Sync + 'static) -> Result<Graph> {
    match name {
        "expert_consultation" => Ok(expert_consultation_by(open)),
        "panel_deliberation" => Ok(panel_deliberation_by(open)),
        other => {
            Err(Error::new(Code::UnknownId, format!("no graph that ships is called '{}'", shorten(other))))
        }
    }
}

/// The graph that ships by which a workflow is carried out, with the engine that `open` gives when it is first needed.
pub fn of_engine(open: impl Fn() -> Result<Engine> + Send + Sync + 'static) -> Graph {
    workflow_execution_by(open)
}

/// Every problem of a graph: `at`, `code`, `message`.
pub fn problems(graph: &Graph) -> Value {
    json!(graph.problems())
}

fn failure(failure: Option<&Failure>) -> Value {
    failure.map_or(Value::Null, |failure| json!(failure))
}

/// What came of a run.
pub fn outcome(host: Host, found: &Outcome) -> Value {
    let mut all = Map::new();
    all.insert("thread".into(), found.thread.as_str().into());
    all.insert(host.name("run_id"), found.run_id.as_str().into());
    all.insert("status".into(), found.status.as_str().into());
    all.insert("state".into(), found.state.clone());
    all.insert("reviews".into(), json!(found.reviews));
    all.insert("error".into(), failure(found.error.as_ref()));
    all.insert("checkpoint".into(), found.checkpoint.as_str().into());
    all.insert("steps".into(), found.steps.into());
    Value::Object(all)
}

/// How a thread stands.
pub fn snapshot(host: Host, found: &Snapshot) -> Value {
    let mut all = json!(found);
    if let Value::Object(all) = &mut all
        && let Some(run_id) = all.remove("run_id")
    {
        all.insert(host.name("run_id"), run_id);
    }
    all
}

/// Something that happens in a run.
pub fn event(found: &Event) -> Value {
    let mut all = json!(found);
    all["type"] = all["mode"].clone();
    all
}

/// The last event of a stream whose run has an error.
fn failed(error: &Error) -> Value {
    json!({"type": "error", "code": error.code().as_str(), "message": error.message()})
}

/// What a stream begins with: the thread's input, or answers to its reviews.
pub enum Begins {
    /// A new input.
    Run(Value),
    /// Going on, with answers by the ids of reviews.
    Resume(std::collections::HashMap<String, Value>),
}

/// The events of a run, and then one of type `end` whose `result` is what came of it. `cancel` stops it; it is the options' `stop`.
pub fn flow(
    host: Host,
    app: impl FnOnce() -> Result<App> + Send + 'static,
    thread: String,
    begins: Begins,
    modes: Vec<Mode>,
    options: RunOptions,
) -> Flow {
    let cancel: Cancel = options.stop.clone();
    let start = move || match begins {
        Begins::Run(input) => app()?.stream(input, &thread, &modes, &options),
        Begins::Resume(answers) => app()?.stream_resume(&thread, answers, &modes, &options),
    };
    Flow::new(Box::new(Told { host, start: Some(Box::new(start)), stream: None }), cancel, failed)
}

type Start = Box<dyn FnOnce() -> Result<Stream> + Send>;

struct Told {
    host: Host,
    start: Option<Start>,
    stream: Option<Stream>,
}

impl Feed for Told {
    fn next(&mut self) -> (Vec<Value>, bool) {
        if let Some(start) = self.start.take() {
            match start() {
                Ok(stream) => self.stream = Some(stream),
                Err(error) => return (vec![failed(&error)], true),
            }
        }
        match self.stream.as_mut().and_then(Iterator::next) {
            Some(Ok(found)) => (vec![event(&found)], false),
            Some(Err(error)) => (vec![failed(&error)], true),
            None => {
                let Some(stream) = self.stream.take() else { return (Vec::new(), true) };
                let last = match stream.outcome() {
                    Ok(found) => json!({"type": "end", "result": outcome(self.host, &found)}),
                    Err(error) => failed(&error),
                };
                (vec![last], true)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_nodes_are_read_and_bad_ones_refused() {
        let given = json!({"writes": ["a"], "retry": {"maxAttempts": 5, "initial": 0.1}, "timeout": 2, "cache": 60, "defer": true});
        let found = node_options(Host::Node, given).unwrap();
        assert_eq!(found.writes, Some(vec!["a".to_owned()]));
        assert_eq!(found.retry.unwrap().max_attempts, 5);
        assert_eq!(found.timeout, Some(Duration::from_secs(2)));
        assert_eq!(found.cache.unwrap().ttl, Some(Duration::from_secs(60)));
        assert!(node_options(Host::Node, json!({"cache": false})).unwrap().cache.is_none());
        for (given, says) in [
            (json!({"writes": "a"}), "writes"),
            (json!({"timeout": 0}), "timeout"),
            (json!({"timeout": -1}), "timeout"),
            (json!({"retry": {"max_attempts": 0}}), "max_attempts"),
            (json!({"retry": {"factor": 0.5}}), "factor"),
            (json!({"cache": "long"}), "cache"),
            (json!({"cache": {"ttl": 0}}), "ttl"),
            (json!({"deferred": true}), "deferred"),
        ] {
            let error = node_options(Host::Python, given).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn places_to_go_are_names_and_tasks() {
        let given = json!({"update": {"x": 1}, "goto": ["a", {"node": "b", "state": {"y": 2}}]});
        let expected = going(vec!["a".into(), Task::new("b", json!({"y": 2})).into()], json!({"x": 1}));
        assert_eq!(output(given).unwrap(), expected);
        assert_eq!(output(json!({"update": null, "goto": []})).unwrap(), Output::none());
        for bad in [json!(3), json!({"node": "b"}), json!({"node": 1, "state": 2}), json!([["a"]])] {
            assert_eq!(targets(bad).unwrap_err().code(), Code::InvalidArgument);
        }
        assert_eq!(modes(&json!("values")).unwrap(), [Mode::Values]);
        assert!(modes(&json!(["value"])).is_err());
    }

    #[test]
    fn a_validator_refuses_by_false_or_by_a_reason() {
        assert!(refused(&json!(true)).is_ok() && refused(&Value::Null).is_ok());
        assert!(refused(&json!(false)).is_err());
        assert!(refused(&json!("too high")).unwrap_err().message().contains("too high"));
    }
}
