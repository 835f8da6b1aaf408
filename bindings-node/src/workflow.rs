//! How do workflows run from Node?

use std::sync::{Arc, Mutex};
use std::time::Duration;

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::workflows::flow::{
    Engine as Flows, EngineOptions, Review as Asked, WorkflowRun as Run, workflow_schema,
};
use quorate::{Cancel, Result};
use quorate_bindings::graph::of_engine;
use quorate_bindings::{Host, runtime, workflow};
use serde_json::{Value, json};

use crate::agents::NativeAgentRegistry;
use crate::convert::{Out, arg, boolean, count, marked, seconds, text, texts};
use crate::door::{Held, Lane, NativeCancel, Promised, flag, promise, quick};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::graph::NativeGraphBuilder;
use crate::hands::{Hand, NativeEngineParts, NativeWorkflowTool, Parts, lock, said};
use crate::models::{NativeModelFlow, json as value};
use crate::pool::waiting;
use crate::runtime::{NativeRuntime, maybe, out};
use crate::state::NativeStateStore;
use crate::value::Given;

const HOST: Host = Host::Node;

/// Workflows that run.
#[napi(js_name = "WorkflowEngine")]
pub struct NativeWorkflowEngine {
    engine: Held<Opening<Flows>>,
    /// The functions that its tools and kinds of steps call, until it is closed.
    hands: Arc<Mutex<Vec<Arc<Hand>>>>,
}

/// A run of a workflow.
#[napi(js_name = "WorkflowRun")]
pub struct NativeWorkflowRun(Held<Run>);

/// A review that is open.
#[napi(js_name = "WorkflowReview")]
pub struct NativeReview(Held<Asked>);

/// What users and tools have written, on its way to JavaScript.
fn written(found: Value) -> Out {
    Out::Text(marked(found).to_string())
}

/// The workflows that ship, as JSON.
#[napi]
pub fn workflow_templates() -> Result<String, Thrown> {
    quick(|| Ok(workflow::shipped().to_string()))
}

/// The JSON Schema of a workflow file.
#[napi]
pub fn workflow_form() -> String {
    workflow_schema().to_string()
}

impl NativeWorkflowEngine {
    /// The engine, which may still be opening.
    pub fn opening(&self) -> Opening<Flows> {
        self.engine.clone()
    }

    /// Runs what is quick, or looks something up.
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&Flows) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let engine = self.engine.clone();
        promise(env, Lane::Slow, move || work(&engine.get()?))
    }

    /// The same of what may wait for long: it takes nobody's place meanwhile.
    fn wait(
        &self,
        env: &Env,
        work: impl FnOnce(&Flows) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let engine = self.engine.clone();
        promise(env, Lane::Ask, move || waiting(|| work(&engine.get()?)))
    }
}

fn run_of(run: Run) -> Out {
    Out::object(NativeWorkflowRun(Held::new(run)))
}

fn review_of(review: Asked) -> Out {
    Out::object(NativeReview(Held::new(review)))
}

/// A number of seconds, or none.
fn limit(env: &Env, given: &Unknown<'_>) -> Result<Option<Duration>, Thrown> {
    arg(env, given, "timeout", |given, what| match given.is_missing() {
        true => Ok(None),
        false => seconds(given, what).map(Some),
    })
}

#[napi]
impl NativeWorkflowEngine {
    /// Starts to open an engine over a store, which may be opening itself.
    #[napi(factory)]
    pub fn open(
        env: Env,
        store: &NativeStateStore,
        runtime: Option<&NativeRuntime>,
        registry: Option<&NativeAgentRegistry>,
        parts: &NativeEngineParts,
        options: Unknown<'_>,
    ) -> Result<NativeWorkflowEngine, Thrown> {
        let given = workflow::engine_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        let tenant = runtime::tenant(given.tenant.clone(), store.given.tenant.as_deref()).or_throw()?;
        let registry = registry.map(NativeAgentRegistry::handle).transpose().or_throw()?;
        let (store, experts) = (store.opening().or_throw()?, runtime.map(NativeRuntime::opening));
        let Parts { tools, hands, clock } = parts.take();
        let open = move || {
            let options = EngineOptions {
                runtime: experts.map(|experts| experts.get()).transpose()?,
                registry: registry.map(|registry| registry.get()).transpose()?,
                tools,
                clock,
                tenant,
                ..given
            };
            Flows::new(store.get()?, options)
        };
        let engine = Held::new(Opening::start(open).or_throw()?);
        Ok(NativeWorkflowEngine { engine, hands: Arc::new(Mutex::new(hands)) })
    }

    /// Resolves when it is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |_| Ok(Out::Nothing))
    }

    /// Adds the workflows of a folder, or a file.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn load(&self, env: Env, path: Unknown<'_>, overlays: Unknown<'_>) -> Result<Promised, Thrown> {
        let path = arg(&env, &path, "path", text)?;
        let overlays = arg(&env, &overlays, "overlays", texts)?;
        self.ask(&env, move |engine| engine.load(path, &overlays).map(|()| Out::Nothing))
    }

    /// Adds a workflow, and gives what lists show of it as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn add(&self, env: Env, workflow: Unknown<'_>) -> Result<Promised, Thrown> {
        // JSON is YAML.
        let form = arg(&env, &workflow, "the workflow", |given, what| match given {
            Given::Text(form) => Ok(form),
            given => Ok(value(given, what)?.to_string()),
        })?;
        self.ask(&env, move |engine| Ok(out(workflow::definition(&engine.add(&form)?))))
    }

    /// What is wrong with what was loaded, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn validate(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |engine| Ok(out(engine.validate().iter().map(workflow::problem).collect())))
    }

    /// The newest versions, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn list(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |engine| Ok(out(engine.list().iter().map(workflow::definition).collect())))
    }

    /// The versions of a workflow, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn versions(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.ask(&env, move |engine| Ok(out(json!(engine.versions(&id)))))
    }

    /// The form of a workflow, or those of all, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn rendered(&self, env: Env, id: Unknown<'_>, version: Unknown<'_>) -> Result<Promised, Thrown> {
        let (id, version) = (maybe(&env, &id, "id")?, maybe(&env, &version, "version")?);
        self.ask(&env, move |engine| {
            Ok(written(workflow::rendered(engine, id.as_deref(), version.as_deref())?))
        })
    }

    /// A diagram of a workflow.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn mermaid(&self, env: Env, id: Unknown<'_>, version: Unknown<'_>) -> Result<Promised, Thrown> {
        let (id, version) = (arg(&env, &id, "id", text)?, maybe(&env, &version, "version")?);
        self.ask(&env, move |engine| Ok(Out::Text(engine.definition(&id, version.as_deref())?.mermaid())))
    }

    /// Starts a run.
    #[napi(ts_return_type = "Promise<WorkflowRun>")]
    pub fn start(
        &self,
        env: Env,
        workflow: Unknown<'_>,
        input: Unknown<'_>,
        options: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let name = arg(&env, &workflow, "the workflow", text)?;
        let input = arg(&env, &input, "the input", said)?;
        let how = workflow::start_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.ask(&env, move |engine| engine.start(&name, input, how).map(run_of))
    }

    /// A run.
    #[napi(ts_return_type = "Promise<WorkflowRun>")]
    pub fn run(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.ask(&env, move |engine| engine.get(&id).map(run_of))
    }

    /// The runs with a status.
    #[napi(ts_return_type = "Promise<WorkflowRun[]>")]
    pub fn runs(&self, env: Env, status: Unknown<'_>) -> Result<Promised, Thrown> {
        let status = maybe(&env, &status, "status")?;
        let status = status.as_deref().map(workflow::status).transpose().or_throw()?;
        self.ask(&env, move |engine| Ok(Out::List(engine.runs(status)?.into_iter().map(run_of).collect())))
    }

    /// The reviews that are open.
    #[napi(ts_return_type = "Promise<WorkflowReview[]>")]
    pub fn reviews(&self, env: Env, role: Unknown<'_>, run: Unknown<'_>) -> Result<Promised, Thrown> {
        let (role, run) = (maybe(&env, &role, "role")?, maybe(&env, &run, "run")?);
        self.ask(&env, move |engine| {
            let found = engine.reviews(role.as_deref(), run.as_deref())?;
            Ok(Out::List(found.into_iter().map(review_of).collect()))
        })
    }

    /// A review that is open.
    #[napi(ts_return_type = "Promise<WorkflowReview>")]
    pub fn review(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.ask(&env, move |engine| engine.review(&id).map(review_of))
    }

    /// Adds a schedule; as it is then, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn schedule(
        &self,
        env: Env,
        name: Unknown<'_>,
        cron: Unknown<'_>,
        workflow: Unknown<'_>,
        input: Unknown<'_>,
        options: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (name, cron) = (arg(&env, &name, "name", text)?, arg(&env, &cron, "cron", text)?);
        let started = arg(&env, &workflow, "the workflow", text)?;
        let input = arg(&env, &input, "the input", said)?;
        let how = workflow::schedule_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.wait(&env, move |engine| {
            let made = engine.schedule(&name, &cron, &started, input, how)?;
            Ok(written(workflow::schedule(HOST, &made)))
        })
    }

    /// The schedules, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn schedules(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |engine| {
            let all = engine.schedules()?;
            Ok(written(all.iter().map(|one| workflow::schedule(HOST, one)).collect()))
        })
    }

    /// Looks at a schedule, or pauses, resumes or removes it; as it is then, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn schedule_word(&self, env: Env, name: Unknown<'_>, word: String) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "name", text)?;
        self.wait(&env, move |engine| Ok(written(workflow::schedule_word(HOST, engine, &name, &word)?)))
    }

    /// When a schedule comes due next, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn schedule_times(&self, env: Env, name: Unknown<'_>, many: Unknown<'_>) -> Result<Promised, Thrown> {
        let (name, many) = (arg(&env, &name, "name", text)?, arg(&env, &many, "count", count)?);
        self.ask(&env, move |engine| Ok(out(json!(engine.scheduled(&name)?.next_times(many)?))))
    }

    /// The run of a due time; an empty list where there is none.
    #[napi(ts_return_type = "Promise<WorkflowRun[]>")]
    pub fn schedule_run(&self, env: Env, name: Unknown<'_>, due: f64) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "name", text)?;
        self.ask(&env, move |engine| {
            let run = engine.scheduled(&name)?.run(due)?;
            Ok(Out::List(run.into_iter().map(run_of).collect()))
        })
    }

    /// The graph by which a workflow is carried out here.
    #[napi]
    pub fn graph(&self) -> NativeGraphBuilder {
        let engine = self.engine.clone();
        NativeGraphBuilder::of(of_engine(move || engine.get()))
    }

    /// Adds a kind of step.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn step_type(
        &self,
        env: Env,
        handler: &NativeWorkflowTool,
        schema: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let schema = arg(&env, &schema, "schema", |given, what| match given.is_missing() {
            true => Ok(None),
            false => value(given, what).map(Some),
        })?;
        let (tool, hand) = (Arc::clone(&handler.tool), Arc::clone(&handler.hand));
        let hands = Arc::clone(&self.hands);
        self.ask(&env, move |engine| {
            engine.step_type(tool, schema)?;
            lock(&hands).push(hand);
            Ok(Out::Nothing)
        })
    }

    /// Goes on with runs, in the background.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn work(&self, env: Env, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let (queues, concurrency) =
            workflow::work_options(HOST, arg(&env, &options, "options", said)?).or_throw()?;
        self.ask(&env, move |engine| engine.work(queues, concurrency).map(|()| Out::Nothing))
    }

    /// Drains it; whether all was done by then.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn drain(
        &self,
        env: Env,
        timeout: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (most, cancel) = (limit(&env, &timeout)?, flag(cancel));
        self.wait(&env, move |engine| Ok(Out::Bool(workflow::drain(engine, most, false, &cancel)?)))
    }

    /// Drains it and ends it; whether all was done by then.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn close(
        &self,
        env: Env,
        timeout: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (most, cancel, hands) = (limit(&env, &timeout)?, flag(cancel), Arc::clone(&self.hands));
        self.wait(&env, move |engine| {
            let drained = workflow::drain(engine, most, true, &cancel)?;
            let hands = std::mem::take(&mut *lock(&hands));
            hands.iter().for_each(|hand| hand.let_go());
            Ok(Out::Bool(drained))
        })
    }

    /// What went wrong in going on with runs, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn faults(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |engine| {
            let faults = engine.faults().into_iter();
            Ok(out(faults.map(|(run, message)| json!({"runId": run, "message": message})).collect()))
        })
    }
}

impl NativeWorkflowRun {
    fn ask(
        &self,
        env: &Env,
        work: impl FnOnce(&Run) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let run = self.0.clone();
        promise(env, Lane::Slow, move || work(&run))
    }

    /// What may take until whoever holds the run has heard it.
    fn say(
        &self,
        env: &Env,
        say: impl FnOnce(&Run) -> Result<()> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let run = self.0.clone();
        promise(env, Lane::Ask, move || waiting(|| say(&run).map(|()| Out::Nothing)))
    }
}

#[napi]
impl NativeWorkflowRun {
    /// Names it.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.0.id().to_owned()
    }

    /// How far it is.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn status(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| Ok(Out::Text(run.status()?.as_str().to_owned())))
    }

    /// Waits until it is over, or has one of these statuses.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn wait(
        &self,
        env: Env,
        timeout: Unknown<'_>,
        until: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (most, cancel) = (limit(&env, &timeout)?, flag(cancel));
        let until = arg(&env, &until, "until", texts)?;
        let until = until.iter().map(|name| workflow::status(name)).collect::<Result<Vec<_>>>().or_throw()?;
        let run = self.0.clone();
        promise(&env, Lane::Ask, move || {
            let status = waiting(|| workflow::wait(&run, most, &until, &cancel))?;
            Ok(Out::Text(status.as_str().to_owned()))
        })
    }

    /// What came of it, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn result(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| run.result().map(written))
    }

    /// How it ended, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn ending(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| Ok(written(run.ending()?.unwrap_or_default())))
    }

    /// What it began with, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn definition(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| Ok(out(workflow::definition(&run.definition()?))))
    }

    /// Nothing more begins in it.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn pause(&self, env: Env) -> Result<Promised, Thrown> {
        self.say(&env, Run::pause)
    }

    /// It goes on.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn resume(&self, env: Env) -> Result<Promised, Thrown> {
        self.say(&env, Run::resume)
    }

    /// Ends it.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn cancel(&self, env: Env, reason: Unknown<'_>, compensate: Unknown<'_>) -> Result<Promised, Thrown> {
        let reason = arg(&env, &reason, "reason", text)?;
        let compensate = arg(&env, &compensate, "compensate", boolean)?;
        self.say(&env, move |run| run.cancel(&reason, compensate))
    }

    /// Has steps tried now.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn retry(&self, env: Env, step: Unknown<'_>) -> Result<Promised, Thrown> {
        let step = maybe(&env, &step, "step")?;
        self.say(&env, move |run| run.retry(step.as_deref()))
    }

    /// Leaves a step out.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn skip(&self, env: Env, step: Unknown<'_>) -> Result<Promised, Thrown> {
        let step = arg(&env, &step, "step", text)?;
        self.say(&env, move |run| run.skip(&step))
    }

    /// Sends a signal.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn signal(
        &self,
        env: Env,
        name: Unknown<'_>,
        data: Unknown<'_>,
        id: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (name, id) = (arg(&env, &name, "name", text)?, maybe(&env, &id, "id")?);
        let data = arg(&env, &data, "data", said)?;
        self.ask(&env, move |run| run.signal(&name, data, id.as_deref()).map(|()| Out::Nothing))
    }

    /// Its steps, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn steps(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| Ok(out(run.steps()?.iter().map(|step| workflow::step(HOST, step)).collect())))
    }

    /// What happened in it, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn journal(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| Ok(out(run.journal()?.iter().map(workflow::entry).collect())))
    }

    /// Has it go on by another version of its workflow.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn migrate(&self, env: Env, version: Unknown<'_>) -> Result<Promised, Thrown> {
        let version = arg(&env, &version, "version", text)?;
        self.say(&env, move |run| run.migrate(&version))
    }

    /// A new run that begins where this one came to a step.
    #[napi(ts_return_type = "Promise<WorkflowRun>")]
    pub fn fork(&self, env: Env, step: Unknown<'_>) -> Result<Promised, Thrown> {
        let step = arg(&env, &step, "step", text)?;
        self.ask(&env, move |run| run.fork(&step).map(run_of))
    }

    /// A diagram of its steps.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn mermaid(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| run.mermaid().map(Out::Text))
    }

    /// Everything that is known of it, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn export(&self, env: Env) -> Result<Promised, Thrown> {
        self.ask(&env, |run| run.export().map(written))
    }

    /// What happens in it from an entry on.
    #[napi]
    pub fn flow(&self, env: Env, from: Unknown<'_>) -> Result<NativeModelFlow, Thrown> {
        let from = arg(&env, &from, "start", count)?;
        NativeModelFlow::of(&env, workflow::flow(&self.0, from as u64), Cancel::new())
    }
}

impl NativeReview {
    fn say(
        &self,
        env: &Env,
        say: impl FnOnce(&Asked) -> Result<()> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let review = self.0.clone();
        promise(env, Lane::Ask, move || waiting(|| say(&review).map(|()| Out::Nothing)))
    }
}

#[napi]
impl NativeReview {
    /// What there is to know of it, as JSON.
    #[napi(getter)]
    pub fn shown(&self) -> String {
        crate::models::told(workflow::review(HOST, &self.0)).to_string()
    }

    /// Takes it.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn claim(&self, env: Env, user: Unknown<'_>) -> Result<Promised, Thrown> {
        let user = arg(&env, &user, "user", text)?;
        self.say(&env, move |review| review.claim(&user))
    }

    /// Decides it.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn decide(&self, env: Env, option: Unknown<'_>, given: Unknown<'_>) -> Result<Promised, Thrown> {
        let option = arg(&env, &option, "option", text)?;
        let (by, comment, data) = workflow::decision(HOST, arg(&env, &given, "options", said)?).or_throw()?;
        self.say(&env, move |review| review.decide(&option, &by, comment.as_deref(), data))
    }

    /// Gives it to somebody else.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn delegate(&self, env: Env, user: Unknown<'_>, by: Unknown<'_>) -> Result<Promised, Thrown> {
        let (user, by) = (arg(&env, &user, "user", text)?, maybe(&env, &by, "by")?);
        self.say(&env, move |review| review.delegate(&user, by.as_deref()))
    }
}
