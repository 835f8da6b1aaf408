//! How does a graph go from step to step?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, atomic::Ordering};

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::{ChannelValue, Checkpoint, Extension, Guard, NewCheckpoint};
use serde_json::Value;

use super::batch;
use super::context::{Memo, Spot, lock};
use super::control::{Control, Meta, Shown, Task};
use super::options::Durability;
use super::outcome::{Event, Failure, Mode, Review, Status};
use super::plan::{Aim, Body, Plan};
use super::reducer::Reducer;
use super::run::Run;
use super::state::{State, Values};
use super::task::{Done, Shared};

/// What came of a graph's steps.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) values: Arc<Values>,
    pub(crate) reviews: Vec<Review>,
    pub(crate) error: Option<Failure>,
    pub(crate) checkpoint: String,
    pub(crate) steps: usize,
}

/// A graph, or one within another, at one checkpoint.
#[derive(Debug)]
pub(crate) struct Level {
    pub(crate) run: Arc<Run>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) namespace: Arc<str>,
    pub(crate) values: Arc<Values>,
    /// The version of each channel that has one.
    versions: Vec<Option<Arc<str>>>,
    /// How many elements it has of an array.
    lengths: Vec<Option<usize>>,
    /// Which channels have changed since they were stored.
    changed: Vec<bool>,
    pub(crate) control: Control,
    /// The checkpoint, and the newest that is stored.
    checkpoint: Arc<str>,
    stored: Option<Arc<str>>,
    source: &'static str,
    /// What tasks have done beside the checkpoint before.
    memos: HashMap<String, Memo>,
    fresh: bool,
    steps: usize,
}

impl Level {
    /// A graph at nothing.
    fn new(run: &Arc<Run>, plan: &Arc<Plan>, namespace: &str) -> Level {
        let count = plan.channels.0.len();
        let values = plan.channels.initial();
        Level {
            run: Arc::clone(run),
            plan: Arc::clone(plan),
            namespace: namespace.into(),
            changed: values.iter().map(Option::is_some).collect(),
            values: Arc::new(values),
            versions: vec![None; count],
            lengths: vec![None; count],
            control: Control::new(plan),
            checkpoint: "".into(),
            stored: None,
            source: "input",
            memos: HashMap::new(),
            fresh: true,
            steps: 0,
        }
    }

    /// A graph at a checkpoint.
    pub(crate) fn at(run: &Arc<Run>, plan: &Arc<Plan>, checkpoint: &Checkpoint) -> Result<Level> {
        let mut level = Level::new(run, plan, &checkpoint.namespace);
        level.control = Control::from_json(plan, &checkpoint.thread, &checkpoint.data)?;
        let values = Arc::make_mut(&mut level.values);
        for (channel, value) in &checkpoint.values {
            if let Some(at) = plan.channels.find(channel) {
                values[at] = Some(Arc::clone(value));
                level.lengths[at] = value.as_array().map(Vec::len);
                level.changed[at] = false;
            }
        }
        for (channel, version) in &checkpoint.versions {
            if let Some(at) = plan.channels.find(channel) {
                level.versions[at] = Some(Arc::clone(version));
            }
        }
        for write in &checkpoint.writes {
            level.memos.entry(write.task.clone()).or_default().add(write);
        }
        level.checkpoint = checkpoint.id.as_str().into();
        level.stored = Some(Arc::clone(&level.checkpoint));
        level.fresh = false;
        Ok(level)
    }

    /// The same, before anything of the thread is stored.
    pub(crate) fn unstored(mut self) -> Level {
        self.stored = None;
        self.changed = self.values.iter().map(Option::is_some).collect();
        self
    }

    /// A graph at the newest checkpoint of its namespace; none where there is none.
    pub(crate) fn load(run: &Arc<Run>, plan: &Arc<Plan>, namespace: &str) -> Result<Option<Level>> {
        let found = run.checkpoints.get(&run.thread, namespace, None)?;
        found.map(|found| Level::at(run, plan, &found)).transpose()
    }

    /// A graph that begins within another.
    pub(crate) fn within(run: &Arc<Run>, plan: &Arc<Plan>, namespace: &str, outer: &State) -> Result<Level> {
        let mut level = Level::new(run, plan, namespace);
        let values = Arc::make_mut(&mut level.values);
        for (at, channel) in plan.channels.0.iter().enumerate() {
            if let Some(value) = outer.get(&channel.name) {
                let checked = channel.check(value);
                checked.map_err(|error| {
                    error.context(format!("the channel '{}' of the inner graph", channel.name))
                })?;
                values[at] = Some(Arc::new(value.clone()));
                level.changed[at] = true;
            }
        }
        level.start()?;
        level.save(Guard::Fence(run.fence()), false)?;
        Ok(level)
    }

    /// A graph that begins with an input, after the newest checkpoint of the thread, where there is one.
    pub(crate) fn begin(
        run: &Arc<Run>,
        plan: &Arc<Plan>,
        head: Option<&Checkpoint>,
        input: Value,
    ) -> Result<Level> {
        let mut level = match head {
            None => Level::new(run, plan, ""),
            Some(head) => {
                // A checkpoint of somebody else is nothing to begin with.
                Control::from_json(plan, &head.thread, &head.data)?;
                let mut level = Level::at(
                    run,
                    plan,
                    &Checkpoint { data: Control::new(plan).to_json(plan), ..head.clone() },
                )?;
                level.control.step = head.data["step"].as_u64().map_or(0, |step| step + 1);
                level
            }
        };
        level.memos.clear();
        level.fresh = true;
        level.source = "input";
        let writes = level.writes(input)?;
        super::task::caught(|| {
            level.write([(super::node::START, writes)])?;
            level.start()
        })?;
        let known = head.map(|head| head.id.as_str());
        level.save(Guard::Head(known), true)?;
        Ok(level)
    }

    /// Writes by channel out of an object. Errors: `invalid_argument`.
    pub(crate) fn writes(&self, given: Value) -> Result<Vec<(usize, Value)>> {
        let given = match given {
            Value::Object(given) => given,
            Value::Null => serde_json::Map::new(),
            other => {
                let other = shorten(&other.to_string()).escape_debug().to_string();
                return Err(Error::invalid(format!(
                    "a graph takes an object of what is written to its state, and not {other}"
                )));
            }
        };
        let channels = &self.plan.channels;
        let find = |name: &str| {
            channels.find(name).ok_or_else(|| {
                let there: Vec<&str> = channels.0.iter().map(|channel| &*channel.name).collect();
                let (name, there) = (shorten(name).escape_debug().to_string(), there.join(", "));
                Error::invalid(format!("the state has no '{name}'; its schema has {there}"))
            })
        };
        given.into_iter().map(|(name, value)| Ok((find(&name)?, value))).collect()
    }

    fn start(&mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let state = State::shared(&plan.channels, &self.values);
        let aims = plan.route(&plan.start, super::node::START, &state)?;
        self.control.follow(&plan, [(None, &plan.start, aims)]);
        Ok(())
    }

    /// Applies what nodes have written in one step, in this order. Errors: `invalid_argument` when it does not fit the
    /// schema, or two of them have written what takes one write; those of reducers. Nothing is applied then.
    pub(crate) fn write<'a>(
        &mut self,
        all: impl IntoIterator<Item = (&'a str, Vec<(usize, Value)>)>,
    ) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        // By channel: what it will hold, and who wrote it.
        let mut fresh: Vec<Option<(Arc<Value>, &str)>> = vec![None; self.values.len()];
        for (writer, writes) in all {
            for (at, value) in writes {
                let channel = &plan.channels.0[at];
                let said = |error: Error| {
                    error.context(format!("the channel '{}', written by '{writer}'", channel.name))
                };
                let there = match fresh[at].take() {
                    Some((_, other)) if matches!(channel.reducer, Reducer::Last) => {
                        return Err(said(Error::invalid(format!(
                            "'{other}' wrote it in the same step; give it a reducer, or put the nodes in a row"
                        ))));
                    }
                    Some((value, _)) => Some(value),
                    None => self.values[at].clone(),
                };
                let value = channel.reducer.reduce(there, value, writer, &channel.writers).map_err(said)?;
                fresh[at] = Some((Arc::new(value), writer));
            }
        }
        for (at, (value, writer)) in
            fresh.iter().enumerate().filter_map(|(at, one)| Some((at, one.as_ref()?)))
        {
            let channel = &plan.channels.0[at];
            channel.check(value).map_err(|error| {
                error.context(format!("the channel '{}', written by '{writer}'", channel.name))
            })?;
        }
        let values = Arc::make_mut(&mut self.values);
        for (at, one) in fresh.into_iter().enumerate() {
            if let Some((value, _)) = one {
                values[at] = Some(value);
                self.changed[at] = true;
            }
        }
        Ok(())
    }

    /// Makes a checkpoint of what is there, and stores it, except where it is kept until the end.
    fn save(&mut self, guard: Guard<'_>, claim: bool) -> Result<()> {
        self.memos.clear();
        self.fresh = true;
        if !self.run.keeps {
            return Ok(());
        }
        self.checkpoint = self.run.names.next().into();
        let at_exit = self.run.options.durability == Durability::Exit;
        if at_exit && !claim {
            return Ok(());
        }
        self.store(guard, claim, !at_exit && self.run.durable())
    }

    fn store(&mut self, guard: Guard<'_>, claim: bool, durable: bool) -> Result<()> {
        let (mut values, mut extends) = (Vec::new(), Vec::new());
        for (at, channel) in self.plan.channels.0.iter().enumerate() {
            if std::mem::take(&mut self.changed[at]) {
                let value = self.values[at].clone();
                let length = value.as_deref().and_then(Value::as_array).map(Vec::len);
                let before = self.versions[at].replace(Arc::clone(&self.checkpoint));
                let known = std::mem::replace(&mut self.lengths[at], length);
                if let (true, Some(base), Some(known), Some(now)) =
                    (channel.reducer.extends(), before, known, length)
                    && known <= now
                {
                    extends.push(Extension { channel: Arc::clone(&channel.name), base, length: known });
                }
                let (channel, version) = (Arc::clone(&channel.name), Arc::clone(&self.checkpoint));
                values.push(ChannelValue { channel, version, value });
            }
        }
        let versions = self.plan.channels.0.iter().zip(&self.versions);
        let versions =
            versions.filter_map(|(channel, version)| Some((Arc::clone(&channel.name), version.clone()?)));
        let parent = self.stored.take();
        let new = NewCheckpoint {
            thread: &self.run.thread,
            namespace: &self.namespace,
            id: Some(&self.checkpoint),
            parent: parent.as_deref(),
            data: Arc::new(Shown { plan: Arc::clone(&self.plan), control: self.control.clone() }),
            metadata: Arc::new(Meta {
                source: self.source,
                step: self.control.step,
                run: Arc::clone(&self.run.id),
                plan: Arc::clone(&self.plan),
            }),
            versions: versions.collect(),
            values,
            extends,
            guard,
            claim,
            durable,
        };
        let written = self.run.heard(self.run.checkpoints.put(&new))?;
        if claim {
            self.run.fence.store(written.fence, Ordering::Release);
        }
        self.stored = Some(Arc::clone(&self.checkpoint));
        Ok(())
    }

    /// Stores what was kept until the end.
    fn flush(&mut self) -> Result<()> {
        if !self.run.keeps || self.stored.as_deref() == Some(&*self.checkpoint) {
            return Ok(());
        }
        self.store(Guard::Fence(self.run.fence()), false, true)
    }

    /// Stores a checkpoint that does not come of a step.
    pub(crate) fn store_as(&mut self, source: &'static str, guard: Guard<'_>) -> Result<String> {
        self.source = source;
        self.checkpoint = self.run.names.next().into();
        self.store(guard, true, true)?;
        Ok(self.checkpoint.to_string())
    }

    /// Goes on until nothing is due, or it cannot go on.
    pub(crate) fn go(mut self) -> Result<Ended> {
        self.control.check_known(&self.run.thread)?;
        self.tell_values();
        loop {
            if self.control.next.is_empty() {
                let status = self.control.status();
                if self.namespace.is_empty() {
                    self.flush()?;
                }
                return Ok(self.ended(status, Vec::new(), None));
            }
            if let Err(error) = self.run.check() {
                self.flush_after(&error)?;
                return Err(error);
            }
            let shared = self.shared();
            let mut done = self.known(&shared)?;
            // What a graph within it does are steps of its own.
            let begins = |(task, done): (&Task, &Option<Done>)| {
                done.is_none() && matches!(self.plan.nodes[task.node].body, Body::Node(_))
            };
            if shared.tasks.iter().zip(&done).any(begins) && !self.run.may_step() {
                self.flush()?;
                return Ok(self.ended(Status::StepLimit, Vec::new(), None));
            }
            batch::perform(&shared, &mut done);
            let done: Vec<Done> = done
                .into_iter()
                .map(|done| done.unwrap_or_else(|| Done::Over(Error::new(Code::Internal, "a task was lost"))))
                .collect();
            if let Some(ended) = self.advance(shared, done)? {
                return Ok(ended);
            }
        }
    }

    fn flush_after(&mut self, error: &Error) -> Result<()> {
        if error.code() == Code::Cancelled { self.flush() } else { Ok(()) }
    }

    fn shared(&mut self) -> Arc<Shared> {
        let tasks = self.control.next.clone();
        let memos = tasks
            .iter()
            .map(|task| Arc::new(Mutex::new(self.memos.remove(&*task.key).unwrap_or_default())))
            .collect();
        Arc::new(Shared {
            run: Arc::clone(&self.run),
            plan: Arc::clone(&self.plan),
            namespace: Arc::clone(&self.namespace),
            checkpoint: Arc::clone(&self.checkpoint),
            step: self.control.step + 1,
            values: Arc::clone(&self.values),
            tasks,
            memos,
            fresh: self.fresh,
        })
    }

    /// What is known of the tasks before anything is done: those that have ended, and those that wait for an answer that is
    /// not here. Answers that are here are stored.
    fn known(&self, shared: &Shared) -> Result<Vec<Option<Done>>> {
        if self.fresh {
            return Ok(shared.tasks.iter().map(|_| None).collect());
        }
        let mut known = Vec::with_capacity(shared.tasks.len());
        for (at, memo) in shared.memos.iter().enumerate() {
            let (mut memo, spot) = (lock(memo), shared.spot(at));
            if let Some(result) = memo.result.clone() {
                known.push(Some(shared.known(&result)?));
                continue;
            }
            let (again, answered) = (memo.begin_again(), memo.answer(&spot, &self.run.answers));
            if answered && self.namespace.is_empty() {
                // Whoever answers the same meanwhile is told before it takes the thread.
                memo.save_claiming(&self.run, &spot)?;
            } else if again || answered {
                memo.save(&self.run, &spot)?;
            }
            let open = memo.open(&spot);
            known.push((!open.is_empty() && !answered).then_some(Done::Waits(open)));
        }
        Ok(known)
    }

    /// Takes in what came of a step: where all of its tasks have ended, the next one is due; else this is the end for now.
    fn advance(&mut self, shared: Arc<Shared>, done: Vec<Done>) -> Result<Option<Ended>> {
        let complete = done.iter().all(|done| matches!(done, Done::Ended(..)));
        if !complete {
            return self.pause(&shared, done).map(Some);
        }
        let plan = Arc::clone(&self.plan);
        let mut followed = Vec::with_capacity(done.len());
        let mut written = Vec::with_capacity(done.len());
        for (task, done) in shared.tasks.iter().zip(done) {
            let Done::Ended(writes, aims) = done else { continue };
            let step = &plan.nodes[task.node];
            followed.push((Some(task.node), &step.edges, aims));
            written.push((&*step.name, writes));
        }
        let updates = self.updates(&shared, &written);
        if let Err(error) = super::task::caught(|| self.write(written)) {
            let failure = Failure::of(None, &error, 1);
            self.take_back(&shared, &failure)?;
            return Ok(Some(self.ended(Status::Failed, Vec::new(), Some(failure))));
        }
        for update in updates {
            self.run.tell(Mode::Updates, || update);
        }
        self.control.follow(&plan, followed);
        self.control.step += 1;
        self.steps += 1;
        self.source = "loop";
        drop(shared);
        self.save(Guard::Fence(self.run.fence()), false)?;
        self.tell_values();
        if let Some(keep) = self.run.options.keep
            && self.run.keeps
            && self.steps.is_multiple_of(keep)
        {
            self.run.checkpoints.trim(&self.run.thread, keep)?;
        }
        Ok(None)
    }

    /// Keeps what tasks of a step have done that goes on later.
    fn pause(&mut self, shared: &Shared, done: Vec<Done>) -> Result<Ended> {
        let over = done.iter().find_map(|done| match done {
            Done::Over(error) => Some(Error::new(error.code(), error.message())),
            _ => None,
        });
        if let Some(error) = &over
            && error.code() != Code::Cancelled
        {
            return Err(Error::new(error.code(), error.message()));
        }
        self.flush()?;
        if self.run.keeps {
            for (at, done) in done.iter().enumerate() {
                shared.keep(at, done)?;
            }
        }
        if let Some(error) = over {
            return Err(error);
        }
        let mut reviews = Vec::new();
        let (mut failure, mut limit) = (None, false);
        for done in done {
            match done {
                Done::Waits(more) => reviews.extend(more),
                Done::Failed(one) => failure = failure.or(Some(one)),
                Done::Limit => limit = true,
                Done::Ended(..) | Done::Over(_) => {}
            }
        }
        let status = match (&failure, limit) {
            (Some(_), _) => Status::Failed,
            (None, true) => Status::StepLimit,
            (None, false) => Status::Waiting,
        };
        Ok(self.ended(status, reviews, failure))
    }

    /// What the tasks of a step have written does not fit together: they are done again when the thread is resumed, except for
    /// their steps.
    fn take_back(&mut self, shared: &Shared, failure: &Failure) -> Result<()> {
        self.flush()?;
        if !self.run.keeps {
            return Ok(());
        }
        for (at, memo) in shared.memos.iter().enumerate() {
            let mut memo = lock(memo);
            memo.take_back(failure);
            memo.save(&self.run, &shared.spot(at))?;
        }
        Ok(())
    }

    fn ended(&self, status: Status, reviews: Vec<Review>, error: Option<Failure>) -> Ended {
        Ended {
            status,
            values: Arc::clone(&self.values),
            reviews,
            error,
            checkpoint: self.checkpoint.to_string(),
            steps: self.steps,
        }
    }

    fn tell_values(&self) {
        self.run.tell(Mode::Values, || Event {
            mode: Mode::Values,
            namespace: self.namespace.to_string(),
            step: self.control.step,
            node: None,
            task: None,
            data: self.plan.channels.object(&self.values),
        });
    }

    /// What is told of each task's writes; nothing where nobody listens.
    fn updates(&self, shared: &Shared, written: &[(&str, Vec<(usize, Value)>)]) -> Vec<Event> {
        if !self.run.listens(Mode::Updates) {
            return Vec::new();
        }
        let name = |at: usize| self.plan.channels.0[at].name.to_string();
        let each = shared.tasks.iter().zip(written).map(|(task, (node, writes))| Event {
            mode: Mode::Updates,
            namespace: self.namespace.to_string(),
            step: shared.step,
            node: Some((*node).to_owned()),
            task: Some(task.key.to_string()),
            data: Value::Object(writes.iter().map(|(at, value)| (name(*at), value.clone())).collect()),
        });
        each.collect()
    }

    /// Takes in those results of the next step's tasks that are stored, as far as they write to what the graph has: what is
    /// written after that is written by somebody else.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        let strange = self.control.strange.next.clone();
        let mut written = Vec::new();
        {
            let known = self.control.next.iter().map(|task| (&*plan.nodes[task.node].name, &task.key));
            for (node, key) in known.chain(strange.iter().map(|(node, key)| (&**node, key))) {
                let result = self.memos.get(&**key).and_then(|memo| memo.result.as_ref());
                let Some(writes) = result.and_then(|result| result["writes"].as_object()) else { continue };
                let here =
                    |(name, value): (&String, &Value)| Some((plan.channels.find(name)?, value.clone()));
                written.push((node, writes.iter().filter_map(here).collect()));
            }
        }
        self.write(written)
    }

    /// Sets what follows a node that has written something from outside.
    pub(crate) fn follow_as(&mut self, node: &str) -> Result<()> {
        let plan = Arc::clone(&self.plan);
        self.control.step += 1;
        self.control.cancelled = false;
        if node == super::node::END {
            self.control.clear();
            return Ok(());
        }
        let (at, edges) = plan.edges_of(node)?;
        let state = State::shared(&plan.channels, &self.values);
        let aims: Vec<Aim> = plan.route(edges, node, &state)?;
        self.control.follow(&plan, [(at, edges, aims)]);
        Ok(())
    }

    /// How the tasks of the next step stand; those of nodes that the graph does not have have no number.
    pub(crate) fn tasks(&mut self) -> Vec<(Spot, Option<usize>, Memo)> {
        let shared = self.shared();
        let each = shared.memos.iter().enumerate();
        let mut tasks: Vec<_> = each
            .map(|(at, memo)| (shared.spot(at), Some(shared.tasks[at].node), lock(memo).clone()))
            .collect();
        for (node, key) in &self.control.strange.next {
            let spot = Spot {
                namespace: Arc::clone(&self.namespace),
                checkpoint: Arc::clone(&self.checkpoint),
                task: Arc::clone(key),
                node: Arc::clone(node),
                step: shared.step,
            };
            tasks.push((spot, None, self.memos.remove(&**key).unwrap_or_default()));
        }
        tasks
    }
}
