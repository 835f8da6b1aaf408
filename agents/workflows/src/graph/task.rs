//! How is one task done?

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result, shorten, spare};
use serde_json::{Map, Value, json};

use super::context::{Context, Memo, Spot, lock};
use super::control::Task;
use super::level::{Ended, Level};
use super::node::{END, Node, Output};
use super::outcome::{Event, Failure, Mode, Review, Status};
use super::plan::{Aim, Body, Plan};
use super::reducer::Reducer;
use super::run::{Cached, Run};
use super::state::{State, Values};

/// How long a wait for another try goes without a look at whether the run is to stop.
const NAP: Duration = Duration::from_millis(10);

/// What came of a task.
#[derive(Debug)]
pub(crate) enum Done {
    /// It has ended: what it wrote, and where it leads.
    Ended(Vec<(usize, Value)>, Vec<Aim>),
    /// It waits for answers.
    Waits(Vec<Review>),
    Failed(Failure),
    /// A graph within it has gone as many steps as it may.
    Limit,
    /// The run is over: it was stopped, or its thread is somebody else's.
    Over(Error),
}

/// What the tasks of one step share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) run: Arc<Run>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) namespace: Arc<str>,
    pub(crate) checkpoint: Arc<str>,
    pub(crate) step: u64,
    pub(crate) values: Arc<Values>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) memos: Vec<Arc<Mutex<Memo>>>,
    /// Whether nothing of this step was ever begun.
    pub(crate) fresh: bool,
}

impl Shared {
    pub(crate) fn spot(&self, at: usize) -> Spot {
        let task = &self.tasks[at];
        Spot {
            namespace: Arc::clone(&self.namespace),
            checkpoint: Arc::clone(&self.checkpoint),
            task: Arc::clone(&task.key),
            node: Arc::clone(&self.plan.nodes[task.node].name),
            step: self.step,
        }
    }

    fn state(&self, at: usize) -> State {
        match &self.tasks[at].state {
            Some(state) => State::own(Arc::clone(state)),
            None => State::shared(&self.plan.channels, &self.values),
        }
    }

    fn tell(&self, at: usize, what: &str) {
        self.run.tell(Mode::Tasks, || {
            let spot = self.spot(at);
            Event {
                mode: Mode::Tasks,
                namespace: spot.namespace.to_string(),
                step: spot.step,
                node: Some(spot.node.to_string()),
                task: Some(spot.task.to_string()),
                data: json!({"event": what}),
            }
        });
    }

    /// Does a task. Whatever panics in it (a route, the key of a cache), it has a result.
    pub(crate) fn work(&self, at: usize) -> Done {
        caught(|| Ok(self.do_task(at))).unwrap_or_else(|error| self.failed(at, &error, 1))
    }

    fn do_task(&self, at: usize) -> Done {
        if let Err(error) = self.run.check() {
            return Done::Over(error);
        }
        self.tell(at, "start");
        let node = self.tasks[at].node;
        let done = match &self.plan.nodes[node].body {
            Body::Node(body) => self.try_node(at, body),
            Body::Graph(inner) => self.inner(at, inner),
        };
        self.tell(
            at,
            match &done {
                Done::Ended(..) => "end",
                Done::Waits(_) => "wait",
                _ => "fail",
            },
        );
        done
    }

    fn try_node(&self, at: usize, body: &Arc<dyn Node>) -> Done {
        let (node, state) = (self.tasks[at].node, self.state(at));
        let step = &self.plan.nodes[node];
        let key = Cached::key(&self.plan, node, &state);
        let cache = step.options.cache.as_ref();
        if let Some(output) = key.and_then(|key| self.run.cached.get(&key, cache.and_then(|cache| cache.ttl)))
        {
            return self.ended(at, output).unwrap_or_else(|error| self.failed(at, &error, 1));
        }
        let spot = self.spot(at);
        for attempt in 1.. {
            let (result, waits) = self.attempt(at, &spot, body, &state, attempt);
            if waits {
                return match self.waits(at, &spot) {
                    Ok(reviews) => Done::Waits(reviews),
                    Err(error) => Done::Over(error),
                };
            }
            let error = match result.and_then(|output| {
                let done = self.ended(at, output.clone())?;
                // What a person said is said of this task alone.
                if let Some(key) = key.filter(|_| !lock(&self.memos[at]).has_asked()) {
                    self.run.cached.put(key, &output);
                }
                Ok(done)
            }) {
                Ok(done) => return done,
                Err(error) => error,
            };
            // What the store or the caller says is not the node's fault.
            if let Err(over) = self.run.check() {
                return Done::Over(over);
            }
            let retry = step.options.retry.as_ref();
            let again = retry.filter(|retry| attempt < retry.max_attempts && retry.worth(&error));
            let Some(retry) = again else { return self.failed(at, &error, attempt) };
            if let Err(over) = self.pause(retry.wait(attempt)) {
                return Done::Over(over);
            }
        }
        self.failed(at, &Error::new(Code::Internal, "tried for ever"), u32::MAX)
    }

    fn failed(&self, at: usize, error: &Error, attempts: u32) -> Done {
        Done::Failed(Failure::of(Some(&self.plan.nodes[self.tasks[at].node].name), error, attempts))
    }

    fn pause(&self, wait: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.run.check()?;
            let Some(left) = wait.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) else {
                return Ok(());
            };
            if self.run.is_lost() {
                continue;
            }
            std::thread::sleep(left.min(NAP));
        }
    }

    /// One try; and whether it waits for an answer.
    fn attempt(
        &self,
        at: usize,
        spot: &Spot,
        body: &Arc<dyn Node>,
        state: &State,
        attempt: u32,
    ) -> (Result<Output>, bool) {
        let limit = self.plan.nodes[self.tasks[at].node].options.timeout;
        let stop = match limit {
            Some(_) => self.run.options.stop.child(),
            None => self.run.options.stop.clone(),
        };
        let context = Context::new(&self.run, spot, &self.memos[at], attempt, stop.clone());
        let working = self.run.work();
        let result = match limit {
            None => guarded(body, state, &context),
            Some(limit) => limited(body, state, &context, limit),
        };
        drop(working);
        // A thread of its own that the node has left behind does nothing more.
        context.0.close();
        if limit.is_some() {
            stop.cancel();
        }
        let waits = context.0.waits.load(Ordering::Acquire);
        (result, waits)
    }

    /// Stores the questions of a task, and gives them.
    fn waits(&self, at: usize, spot: &Spot) -> Result<Vec<Review>> {
        let mut memo = lock(&self.memos[at]);
        if !self.run.lazy() {
            memo.save(&self.run, spot)?;
        }
        Ok(memo.open(spot))
    }

    /// What a node gave, with its names found. Errors: `invalid_argument`; those of routes.
    fn ended(&self, at: usize, output: Output) -> Result<Done> {
        let step = &self.plan.nodes[self.tasks[at].node];
        let name = &step.name;
        if let Some(bad) = output.bad {
            let bad = shorten(&bad.to_string()).escape_debug().to_string();
            return Err(Error::invalid(format!("a node gives an object of what it writes, and not {bad}")));
        }
        let mut writes = Vec::with_capacity(output.writes.len());
        for (channel, value) in output.writes {
            writes.push((self.channel(&channel, step.options.writes.as_deref())?, value));
        }
        let channels = &self.plan.channels.0;
        for (channel, value) in &writes {
            let channel = &channels[*channel];
            if matches!(channel.reducer, Reducer::Last) {
                let checked = channel.check(value);
                checked.map_err(|error| error.context(format!("the channel '{}'", channel.name)))?;
            }
        }
        let mut aims = Vec::new();
        for target in output.goto {
            aims.push(self.plan.aim(target)?);
        }
        if !step.edges.branches.is_empty() {
            let mut left = (*self.values).clone();
            for (channel, value) in &writes {
                let there = &channels[*channel];
                let value =
                    there.reducer.reduce(left[*channel].take(), value.clone(), name, &there.writers)?;
                left[*channel] = Some(Arc::new(value));
            }
            let state = State::shared(&self.plan.channels, &Arc::new(left));
            aims.extend(self.plan.route(&step.edges, name, &state)?);
        }
        Ok(Done::Ended(writes, aims))
    }

    fn channel(&self, name: &str, allowed: Option<&[String]>) -> Result<usize> {
        let given = || shorten(name).escape_debug().to_string();
        if allowed.is_some_and(|allowed| !allowed.iter().any(|other| other == name)) {
            return Err(Error::invalid(format!(
                "it wrote '{}', and does not say that it writes it",
                given()
            )));
        }
        self.plan.channels.find(name).ok_or_else(|| {
            let there: Vec<&str> = self.plan.channels.0.iter().map(|channel| &*channel.name).collect();
            let (given, there) = (given(), there.join(", "));
            Error::invalid(format!("the state has no '{given}'; its schema has {there}"))
        })
    }

    /// Goes on with a graph within the graph.
    fn inner(&self, at: usize, inner: &Arc<Plan>) -> Done {
        let spot = self.spot(at);
        let outer = self.state(at);
        let go = || -> Result<Ended> {
            let namespace = quorate_state::nested(&spot.namespace, &spot.checkpoint, &spot.task);
            let known = if self.fresh { None } else { Level::load(&self.run, inner, &namespace)? };
            let level = match known {
                Some(level) => {
                    level.control.check_known(&self.run.thread)?;
                    level
                }
                None => Level::within(&self.run, inner, &namespace, &outer)?,
            };
            level.go()
        };
        match go() {
            Err(error) => match self.run.check() {
                Err(over) => Done::Over(over),
                Ok(()) if error.code() == Code::StaleWrite => Done::Over(error),
                Ok(()) => self.failed(at, &error, 1),
            },
            Ok(ended) => match ended.status {
                Status::Waiting => Done::Waits(ended.reviews),
                Status::StepLimit => Done::Limit,
                Status::Failed => match ended.error {
                    Some(failure) => Done::Failed(failure),
                    None => self.failed(at, &Error::new(Code::Internal, "it failed without saying why"), 1),
                },
                _ => {
                    let output = brought(&self.plan, inner, &outer, &ended.values);
                    self.ended(at, output).unwrap_or_else(|error| self.failed(at, &error, 1))
                }
            },
        }
    }

    /// What a task that has ended is stored as.
    pub(crate) fn result(&self, writes: &[(usize, Value)], aims: &[Aim]) -> Value {
        let writes: Map<String, Value> = writes
            .iter()
            .map(|(channel, value)| (self.plan.channels.0[*channel].name.to_string(), value.clone()))
            .collect();
        let name = |node: usize| &*self.plan.nodes[node].name;
        let aim = |aim: &Aim| match aim {
            Aim::Node(node) => json!([name(*node)]),
            Aim::Send(node, state) => json!([name(*node), **state]),
            Aim::End => json!([END]),
        };
        json!({"writes": writes, "aims": aims.iter().map(aim).collect::<Vec<_>>()})
    }

    /// What a stored result says. Errors: `invalid_argument` when it names what the graph does not have any more.
    pub(crate) fn known(&self, result: &Value) -> Result<Done> {
        let mut writes = Vec::new();
        for (channel, value) in result["writes"].as_object().into_iter().flatten() {
            writes.push((self.channel(channel, None)?, value.clone()));
        }
        let mut aims = Vec::new();
        for aim in result["aims"].as_array().into_iter().flatten() {
            let node = aim[0].as_str().unwrap_or_default();
            aims.push(match aim.get(1) {
                Some(state) => self.plan.aim(super::node::Send::new(node, state.clone()).into())?,
                None => self.plan.aim(node.into())?,
            });
        }
        Ok(Done::Ended(writes, aims))
    }

    /// Stores that a task has ended, so that it is not done again.
    pub(crate) fn keep(&self, at: usize, done: &Done) -> Result<()> {
        let spot = self.spot(at);
        let mut memo = lock(&self.memos[at]);
        match done {
            Done::Ended(writes, aims) => {
                if memo.result.is_none() {
                    memo.end(self.result(writes, aims));
                }
            }
            Done::Failed(failure) => memo.fail(failure),
            Done::Waits(_) | Done::Limit | Done::Over(_) => {}
        }
        memo.save(&self.run, &spot)
    }
}

/// Runs a node; a panic is an error.
fn guarded(body: &Arc<dyn Node>, state: &State, context: &Context) -> Result<Output> {
    caught(|| body.run(state, context))
}

/// Calls what a host has given; a panic is an error.
pub(crate) fn caught<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(Error::new(Code::Callback, format!("a function of the graph panicked: {}", shorten(&said))))
    })
}

/// The same on a thread of its own, for a limited time.
fn limited(body: &Arc<dyn Node>, state: &State, context: &Context, limit: Duration) -> Result<Output> {
    let (sender, receiver) = channel();
    let (body, state, inside) = (Arc::clone(body), state.clone(), context.clone());
    spare::run(move || {
        // Nobody waits for what comes too late.
        let _ = sender.send(guarded(&body, &state, &inside));
    })?;
    match receiver.recv_timeout(limit) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => {
            Err(Error::new(Code::Internal, "a node ended without a result"))
        }
        Err(RecvTimeoutError::Timeout) => {
            let seconds = limit.as_secs_f64();
            Err(Error::new(Code::Timeout, format!("it took longer than the {seconds} seconds that it has")))
        }
    }
}

/// What a graph within the graph has written to the channels that both have.
fn brought(outer: &Plan, inner: &Plan, before: &State, after: &Arc<Values>) -> Output {
    let after = State::shared(&inner.channels, after);
    let mut writes = Map::new();
    for channel in &outer.channels.0 {
        let name = &*channel.name;
        if inner.channels.find(name).is_none() {
            continue;
        }
        let (was, is) = (before.get(name), after.get(name));
        let Some(is) = is.filter(|is| was != Some(*is)) else { continue };
        let write = match (&channel.reducer, was, is) {
            (Reducer::Append, Some(Value::Array(was)), Value::Array(is)) if is.starts_with(was) => {
                Value::from(is[was.len()..].to_vec())
            }
            (Reducer::Sum, Some(Value::Number(was)), Value::Number(is)) => {
                match (was.as_i64(), is.as_i64()) {
                    (Some(was), Some(is)) if is.checked_sub(was).is_some() => Value::from(is - was),
                    _ => json!(is.as_f64().unwrap_or_default() - was.as_f64().unwrap_or_default()),
                }
            }
            // What others write to fields that this one has left alone stays.
            (Reducer::Merge, Some(Value::Object(was)), Value::Object(is)) => {
                let fresh = is.iter().filter(|(name, value)| was.get(*name) != Some(*value));
                Value::Object(fresh.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            _ => is.clone(),
        };
        writes.insert(name.to_owned(), write);
    }
    Output { writes, ..Output::default() }
}
