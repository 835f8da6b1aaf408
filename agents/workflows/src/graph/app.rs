//! How are the threads of a graph run, read and changed?

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result, shorten};
use quorate_state::{Checkpoint, CheckpointQuery, Checkpoints, Guard};
use serde_json::Value;

use super::control::Control;
use super::draw;
use super::level::{Ended, Level};
use super::node::{END, START};
use super::options::RunOptions;
use super::outcome::{Mode, Outcome, Review, Snapshot, Status, TaskState};
use super::plan::{Body, Plan};
use super::run::{Cached, Names, Run, Sink};
use super::stream::Stream;

/// A graph that runs. Clones are the same one. Its threads lie in a store; several processes may run them.
#[derive(Clone)]
pub struct App {
    plan: Arc<Plan>,
    checkpoints: Checkpoints,
    names: Arc<Names>,
    cached: Arc<Cached>,
    /// The run id of runs without a thread.
    nobody: Arc<str>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("id", &self.plan.id).finish_non_exhaustive()
    }
}

/// How often an update or a cancellation begins again when somebody else was quicker.
const ATTEMPTS: usize = 1_000;
/// How long a run that has lost its thread waits to see whether it was cancelled.
const MOMENT: Duration = Duration::from_millis(250);

impl App {
    pub(crate) fn new(plan: Arc<Plan>, checkpoints: Checkpoints) -> App {
        App { plan, checkpoints, names: Arc::new(Names::new()), cached: Arc::default(), nobody: "".into() }
    }

    /// The hash of the plan: the same for the same nodes, edges, reducers and schema.
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// The plan as data.
    pub fn json(&self) -> &Value {
        &self.plan.json
    }

    /// The plan as a flowchart in Mermaid's language.
    pub fn mermaid(&self) -> String {
        draw::mermaid(&self.plan)
    }

    /// The checkpoints of the graph's threads, to list, copy, prune and delete them.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Runs the graph from its start, with `input` written to the state of the thread, until nothing is due. Whoever was
    /// running the thread has lost it.
    ///
    /// Errors: `invalid_argument` when the input does not fit; `stale_write` when somebody else has claimed or changed the
    /// thread meanwhile; `cancelled` when it was stopped; those of the store. A node that fails is no error of this call: it
    /// is the status `failed`.
    pub fn run(&self, input: Value, thread: &str) -> Result<Outcome> {
        self.run_with(input, thread, &RunOptions::default())
    }

    /// The same with options.
    pub fn run_with(&self, input: Value, thread: &str, options: &RunOptions) -> Result<Outcome> {
        self.run_told(input, thread, options, None)
    }

    pub(crate) fn run_told(
        &self,
        input: Value,
        thread: &str,
        options: &RunOptions,
        sink: Option<Sink>,
    ) -> Result<Outcome> {
        options.validate()?;
        if thread.is_empty() {
            return Err(Error::invalid(
                "the name of the thread is empty; give one, or run the graph without a thread",
            ));
        }
        let head = self.checkpoints.get(thread, "", None)?;
        let run = self.claim(thread, self.names.next().into(), options, HashMap::new(), sink);
        let level = Level::begin(&run, &self.plan, head.as_ref(), input)?;
        self.finish(&run, level.go())
    }

    /// Runs the graph without a thread: nothing of it is kept, and where it fails or reaches its limit it cannot be resumed. A
    /// node that asks fails. For work that is over in a moment.
    ///
    /// Errors: those of [`App::run`], except those of the store.
    pub fn run_once(&self, input: Value, options: &RunOptions) -> Result<Outcome> {
        options.validate()?;
        let run = self.claim("", Arc::clone(&self.nobody), options, HashMap::new(), None);
        let level = Level::begin(&run, &self.plan, None, input)?;
        self.finish(&run, level.go())
    }

    /// Goes on with a thread where it was left: after it was stopped or killed, had failed or reached its limit of steps,
    /// or with answers to its reviews by their ids. What has ended is not done again. A thread at which nothing is due stays
    /// as it is.
    ///
    /// Errors: `unknown_id` when there is no such thread, or no review of it waits for such an answer; `stale_write` when
    /// somebody has gone on with the thread since this call looked at it; `invalid_argument` when a node that is due is not in
    /// this graph; those of [`App::run`].
    pub fn resume(&self, thread: &str, answers: HashMap<String, Value>) -> Result<Outcome> {
        self.resume_with(thread, answers, &RunOptions::default())
    }

    /// The same with options.
    pub fn resume_with(
        &self,
        thread: &str,
        answers: HashMap<String, Value>,
        options: &RunOptions,
    ) -> Result<Outcome> {
        self.resume_told(thread, answers, options, None)
    }

    pub(crate) fn resume_told(
        &self,
        thread: &str,
        answers: HashMap<String, Value>,
        options: &RunOptions,
        sink: Option<Sink>,
    ) -> Result<Outcome> {
        options.validate()?;
        let known = self.checkpoints.fence(thread)?;
        let head = self.head(thread)?;
        let snapshot = self.snapshot(&head)?;
        check_answers(thread, &snapshot, &answers)?;
        if snapshot.next.is_empty() {
            return Ok(outcome(snapshot));
        }
        Control::from_json(&self.plan, thread, &head.data)?.check_known(thread)?;
        let run = self.claim(thread, snapshot.run_id.into(), options, answers, sink);
        // Where somebody has gone on meanwhile, answers are those to another state; without any it goes on from there.
        let guard = if run.answers.is_empty() { Guard::None } else { Guard::Same(Some(&head.id), known) };
        let fence = self.checkpoints.claim(thread, guard)?;
        run.fence.store(fence, Ordering::Release);
        // Now nobody else writes any more. What was asked may have been answered since.
        let head = self.head(thread)?;
        let snapshot = self.snapshot(&head)?;
        check_answers(thread, &snapshot, &run.answers)?;
        if snapshot.next.is_empty() {
            return Ok(outcome(snapshot));
        }
        let level = Level::at(&run, &self.plan, &head)?;
        self.finish(&run, level.go())
    }

    /// Runs the graph on a thread of its own, and tells what happens.
    ///
    /// Dropping the stream stops the run; it can be resumed. Errors of the run come as the last item.
    pub fn stream(&self, input: Value, thread: &str, modes: &[Mode], options: &RunOptions) -> Result<Stream> {
        let (app, thread, inside) = (self.clone(), thread.to_owned(), options.clone());
        Stream::start(modes, options, move |stop, sink| {
            app.run_told(input, &thread, &RunOptions { stop, ..inside }, Some(sink))
        })
    }

    /// Goes on with a thread, and tells what happens.
    pub fn stream_resume(
        &self,
        thread: &str,
        answers: HashMap<String, Value>,
        modes: &[Mode],
        options: &RunOptions,
    ) -> Result<Stream> {
        let (app, thread, inside) = (self.clone(), thread.to_owned(), options.clone());
        Stream::start(modes, options, move |stop, sink| {
            app.resume_told(&thread, answers, &RunOptions { stop, ..inside }, Some(sink))
        })
    }

    /// How a thread stands; with `at`, how it stood at that checkpoint. Errors: `unknown_id`; `corrupt`, `io`.
    pub fn state(&self, thread: &str, at: Option<&str>) -> Result<Snapshot> {
        self.state_within(thread, "", at)
    }

    /// The same, of a namespace: [`TaskState::namespace`] names those of graphs within the graph.
    pub fn state_within(&self, thread: &str, namespace: &str, at: Option<&str>) -> Result<Snapshot> {
        let found = self.checkpoints.get(thread, namespace, at)?;
        let found = found.ok_or_else(|| match at {
            Some(at) => unknown_checkpoint(thread, at),
            None => unknown(thread),
        })?;
        self.snapshot(&found)
    }

    /// The checkpoints of a thread, newest first, at most `limit`, before the one with the id `before`.
    /// Errors: those of [`App::state`].
    pub fn history(&self, thread: &str, limit: Option<usize>, before: Option<&str>) -> Result<Vec<Snapshot>> {
        self.history_within(thread, "", limit, before)
    }

    /// The same, of a namespace.
    pub fn history_within(
        &self,
        thread: &str,
        namespace: &str,
        limit: Option<usize>,
        before: Option<&str>,
    ) -> Result<Vec<Snapshot>> {
        let query = CheckpointQuery {
            namespace: Some(namespace.to_owned()),
            limit,
            before: before.map(str::to_owned),
            ..CheckpointQuery::thread(thread)
        };
        self.checkpoints.list(&query)?.iter().map(|found| self.snapshot(found)).collect()
    }

    /// Writes to the state of a thread as if a node had (or [`START`], or [`END`], after which nothing is due), and sets what
    /// follows it. Without a node it is the one of the last step, where there was one. What tasks of the next step have
    /// written until then is written first. Whoever was running the thread has lost it. What is due at nodes that the graph
    /// does not have any more is due no more. Reducers, validators and routes are called twice. Gives the new checkpoint.
    ///
    /// Errors: `invalid_argument` when the values do not fit, or it is not clear as which node; `unknown_id`; `stale_write`
    /// when somebody else was quicker; those of the store.
    pub fn update(&self, thread: &str, values: Value, as_node: Option<&str>) -> Result<String> {
        self.update_at(thread, None, values, as_node)
    }

    /// The same after an older checkpoint, which the thread then goes on from.
    pub fn update_at(
        &self,
        thread: &str,
        at: Option<&str>,
        values: Value,
        as_node: Option<&str>,
    ) -> Result<String> {
        let read = || {
            let found = self.checkpoints.get(thread, "", at)?;
            match (at, found) {
                (Some(at), None) => Err(unknown_checkpoint(thread, at)),
                (_, found) => Ok(found),
            }
        };
        let before = read()?;
        // What does not fit is refused before anybody loses the thread.
        let mut level = self.updated(thread, before.as_ref(), at.is_none(), values.clone(), as_node)?;
        if before.is_none() {
            return level.store_as("update", Guard::Head(None));
        }
        // Whoever is running the thread writes no more; what its tasks have written by now is written first.
        let fence = self.checkpoints.claim(thread, Guard::None)?;
        let mut level = self.updated(thread, read()?.as_ref(), at.is_none(), values, as_node)?;
        level.store_as("update", Guard::Fence(fence))
    }

    /// A thread at a checkpoint (none: at nothing), with what is written to it as if a node had; `settle`: after what the tasks
    /// of its next step have written.
    fn updated(
        &self,
        thread: &str,
        found: Option<&Checkpoint>,
        settle: bool,
        values: Value,
        as_node: Option<&str>,
    ) -> Result<Level> {
        let run_id = found.and_then(|found| found.metadata["run_id"].as_str().map(Into::into));
        let id = run_id.unwrap_or_else(|| self.names.next().into());
        let run = self.claim(thread, id, &RunOptions::default(), HashMap::new(), None);
        let mut level = match found {
            Some(found) => Level::at(&run, &self.plan, found)?,
            None => {
                let empty = Checkpoint {
                    thread: thread.to_owned(),
                    namespace: String::new(),
                    id: String::new(),
                    parent: None,
                    time: 0.0,
                    data: Control::new(&self.plan).to_json(&self.plan),
                    metadata: Value::Null,
                    versions: Vec::new(),
                    values: Vec::new(),
                    writes: Vec::new(),
                };
                Level::at(&run, &self.plan, &empty)?.unstored()
            }
        };
        let node = match as_node {
            Some(END) => END.to_owned(),
            Some(node) => {
                self.plan.edges_of(node)?;
                node.to_owned()
            }
            None => match level.control.by[..] {
                _ if level.control.strange.led => {
                    return Err(Error::invalid(
                        "the node that has written last is not in this graph; give as_node",
                    ));
                }
                [] => START.to_owned(),
                [one] => self.plan.nodes[one].name.to_string(),
                _ => {
                    return Err(Error::invalid(
                        "several nodes have written last, so that it is not clear which one this is; give as_node",
                    ));
                }
            },
        };
        let writes = level.writes(values)?;
        super::task::caught(|| {
            if settle {
                level.settle()?;
            }
            level.write([(node.as_str(), writes)])?;
            level.follow_as(&node)
        })?;
        Ok(level)
    }

    /// Makes a checkpoint (none: the newest) the beginning of another thread, or the newest one of its own again. After the
    /// newest one, what tasks have done since is not done again, also in graphs within the graph; after an older one it is:
    /// its nodes work and ask anew. Gives the new checkpoint.
    ///
    /// Errors: `unknown_id`; `duplicate_id` when `to` is another thread that is there; those of the store.
    pub fn fork(&self, thread: &str, at: Option<&str>, to: &str) -> Result<String> {
        self.fork_within(thread, "", at, to)
    }

    /// The same at a checkpoint of a graph within the graph: the task that it belongs to goes on from there.
    pub fn fork_within(&self, thread: &str, namespace: &str, at: Option<&str>, to: &str) -> Result<String> {
        let id = match at {
            Some(at) => at.to_owned(),
            None => self.checkpoints.get(thread, namespace, None)?.ok_or_else(|| unknown(thread))?.id,
        };
        Ok(self.checkpoints.fork(thread, namespace, &id, to)?.id)
    }

    /// Ends a thread: when this returns, nothing is due any more, and whoever is running it stores nothing of it. Says
    /// whether something was due. Errors: `unknown_id`; those of the store.
    pub fn cancel(&self, thread: &str) -> Result<bool> {
        for _ in 0..ATTEMPTS {
            let head = self.head(thread)?;
            if !is_due(&head) {
                return Ok(false);
            }
            let run_id = head.metadata["run_id"].as_str().unwrap_or_default().into();
            let run = self.claim(thread, run_id, &RunOptions::default(), HashMap::new(), None);
            // Whoever runs the thread writes no more, so that the head stays what it is.
            let fence = self.checkpoints.claim(thread, Guard::None)?;
            let head = self.head(thread)?;
            if !is_due(&head) {
                return Ok(false);
            }
            let mut level = Level::at(&run, &self.plan, &head)?;
            level.control.cancelled = true;
            level.control.clear();
            match level.store_as("cancel", Guard::Fence(fence)) {
                Ok(_) => return Ok(true),
                Err(error) if error.code() == Code::StaleWrite => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(Code::StaleWrite, "others write to the thread again and again; try once more"))
    }

    fn claim(
        &self,
        thread: &str,
        id: Arc<str>,
        options: &RunOptions,
        answers: HashMap<String, Value>,
        sink: Option<Sink>,
    ) -> Arc<Run> {
        let (names, cached) = (&self.names, &self.cached);
        Arc::new(Run::new(&self.checkpoints, &self.plan, thread, id, options, names, cached, answers, sink))
    }

    fn head(&self, thread: &str) -> Result<Checkpoint> {
        self.checkpoints.get(thread, "", None)?.ok_or_else(|| unknown(thread))
    }

    /// What came of a run; one that has lost its thread to a cancellation was cancelled.
    fn finish(&self, run: &Run, ended: Result<Ended>) -> Result<Outcome> {
        if let (Some(keep), true, Ok(_)) = (run.options.keep, run.keeps, &ended) {
            // The run has come to its end: what cannot be removed now is removed by the next one.
            let _ = self.checkpoints.trim(&run.thread, keep);
        }
        match ended {
            Ok(ended) => Ok(Outcome {
                thread: run.thread.clone(),
                run_id: run.id.to_string(),
                status: ended.status,
                state: self.plan.channels.object(&ended.values),
                reviews: ended.reviews,
                error: ended.error,
                checkpoint: ended.checkpoint,
                steps: ended.steps,
            }),
            Err(error) if error.code() == Code::StaleWrite => match self.cancelled(run)? {
                Some(head) => Ok(outcome(self.snapshot(&head)?)),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The checkpoint of the cancellation that has taken a run's thread. Whoever cancels claims the thread first, and writes a
    /// moment later.
    fn cancelled(&self, run: &Run) -> Result<Option<Checkpoint>> {
        let begun = Instant::now();
        loop {
            let head = self.checkpoints.get(&run.thread, "", None)?;
            let Some(head) = head.filter(|head| head.metadata["run_id"] == *run.id) else { return Ok(None) };
            if head.data["status"] == Status::Cancelled.as_str() {
                return Ok(Some(head));
            }
            if !is_due(&head) || begun.elapsed() > MOMENT {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn snapshot(&self, found: &Checkpoint) -> Result<Snapshot> {
        let plan = self.plan_of(&found.namespace).unwrap_or_else(|| Arc::clone(&self.plan));
        let run = self.claim(&found.thread, "".into(), &RunOptions::default(), HashMap::new(), None);
        let mut level = Level::at(&run, &plan, found)?;
        let mut tasks = Vec::new();
        let mut reviews: Vec<Review> = Vec::new();
        for (spot, node, memo) in level.tasks() {
            let ended = memo.result.is_some();
            let mut task = TaskState {
                task: spot.task.to_string(),
                node: spot.node.to_string(),
                ended,
                error: None,
                reviews: memo.open(&spot),
                namespace: None,
            };
            if !ended {
                task.error =
                    memo.error.as_ref().and_then(|error| serde_json::from_value((**error).clone()).ok());
                if node.is_some_and(|node| matches!(plan.nodes[node].body, Body::Graph(_))) {
                    let namespace = quorate_state::nested(&found.namespace, &found.id, &spot.task);
                    if let Some(inner) = self.checkpoints.get(&found.thread, &namespace, None)? {
                        task.reviews.extend(self.snapshot(&inner)?.reviews);
                        task.namespace = Some(namespace);
                    }
                }
                reviews.extend(task.reviews.iter().cloned());
            }
            tasks.push(task);
        }
        let status = match level.control.status() {
            Status::Running if tasks.iter().any(|task| task.error.is_some()) => Status::Failed,
            Status::Running if !reviews.is_empty() => Status::Waiting,
            status => status,
        };
        Ok(Snapshot {
            thread: found.thread.clone(),
            namespace: found.namespace.clone(),
            checkpoint: found.id.clone(),
            parent: found.parent.clone(),
            state: plan.channels.object(&level.values),
            status,
            next: tasks.iter().map(|task| task.node.clone()).collect(),
            tasks,
            reviews,
            step: level.control.step,
            source: found.metadata["source"].as_str().unwrap_or_default().to_owned(),
            run_id: found.metadata["run_id"].as_str().unwrap_or_default().to_owned(),
            time: found.time,
        })
    }

    /// The plan of a namespace: that of the tasks on the way to it.
    fn plan_of(&self, namespace: &str) -> Option<Arc<Plan>> {
        let mut plan = Arc::clone(&self.plan);
        for part in namespace.split_terminator('>') {
            let (_, task) = part.split_once('/')?;
            let node = task.split_once('#').map_or(task, |(node, _)| node);
            let inner = match &plan.nodes[plan.find(node)?].body {
                Body::Graph(inner) => Arc::clone(inner),
                Body::Node(_) => return None,
            };
            plan = inner;
        }
        Some(plan)
    }
}

/// Errors: `unknown_id` when one of the answers is not to a review that waits.
fn check_answers(thread: &str, snapshot: &Snapshot, answers: &HashMap<String, Value>) -> Result<()> {
    let open: HashSet<&str> = snapshot.reviews.iter().map(|review| review.id.as_str()).collect();
    match answers.keys().find(|id| !open.contains(id.as_str())) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            Code::UnknownId,
            format!(
                "no review '{}' of the thread '{}' waits for an answer",
                shorten(other).escape_debug(),
                shorten(thread).escape_debug()
            ),
        )),
    }
}

fn is_due(head: &Checkpoint) -> bool {
    head.data["next"].as_array().is_some_and(|next| !next.is_empty())
}

fn outcome(snapshot: Snapshot) -> Outcome {
    Outcome {
        thread: snapshot.thread,
        run_id: snapshot.run_id,
        status: snapshot.status,
        state: snapshot.state,
        error: snapshot.tasks.into_iter().find_map(|task| task.error),
        reviews: snapshot.reviews,
        checkpoint: snapshot.checkpoint,
        steps: 0,
    }
}

fn unknown(thread: &str) -> Error {
    let thread = shorten(thread).escape_debug().to_string();
    Error::new(Code::UnknownId, format!("no thread is called '{thread}'; run the graph with that name first"))
}

fn unknown_checkpoint(thread: &str, id: &str) -> Error {
    let (thread, id) = (shorten(thread).escape_debug().to_string(), shorten(id).escape_debug().to_string());
    Error::new(Code::UnknownId, format!("the thread '{thread}' has no checkpoint '{id}'"))
}
