//! What can be asked of an engine, and who works for it?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use quorate_agents::AgentRegistry;
use quorate_core::{Code, Error, Result, forks};
use quorate_runtime::Runtime;
use quorate_state::{Enqueued, StateStore};
use serde_json::Value;

use super::breaker::Breakers;
use super::drive::{Queueing, Told, new_run, spec_of};
use super::expr::Template;
use super::fact::{Fact, Spec, Status};
use super::files::Files;
use super::form::{COMMON, KINDS};
use super::handle::WorkflowRun;
use super::library::{Definition, Known, Library, load};
use super::memo::{Count, Memo};
use super::options::{EngineOptions, StartOptions};
use super::perform::works_for;
use super::plan::{Plan, is_name};
use super::problem::Problem;
use super::review::{Review, listed};
use super::schedule::{self, Schedule, ScheduleOptions};
use super::schema;
use super::state::Names;
use super::tools::{Clock, HostTool, SystemClock};
use super::worker::dispatch;

/// What journals of workflows are called in the store.
pub(crate) const KIND: &str = "workflow";
/// Where open reviews are listed.
pub(crate) const REVIEWS: &str = "workflow.review";
/// Where definitions are kept, by hash.
const DEFINITIONS: &str = "workflow.definition";
/// Workflows and kinds of steps are added to an engine that works already: so long after it was made, what it lacks may
/// still come.
const YOUTH: Duration = Duration::from_secs(5);
/// How many definitions of runs are kept ready.
const MAX_PLANS: usize = 256;

/// Workflows that run. Cheap to clone; it can be used from many threads. It works until [`Engine::close`], or until its last
/// clone and the last handle of a run of it are gone.
///
/// ```
/// use std::time::Duration;
/// use quorate_state::StateStore;
/// use quorate_workflows::flow::{Engine, EngineOptions, FnTool, StartOptions};
/// use serde_json::json;
///
/// let build = FnTool::new("estar.build", |args, _| Ok(json!({"pages": args["pages"]})));
/// let options = EngineOptions { tools: vec![std::sync::Arc::new(build)], ..EngineOptions::default() };
/// let engine = Engine::new(StateStore::memory(), options)?;
/// engine.add("
/// apiVersion: quorate/v1
/// kind: Workflow
/// id: demo.build
/// version: 1.0.0
/// steps:
///   build: {integration: {tool: estar.build, args: {pages: '${input.pages}'}}}
/// output: {built: '${steps.build.output.pages}'}
/// ")?;
/// let run = engine.start("demo.build", json!({"pages": 3}), StartOptions::default())?;
/// assert_eq!(run.wait(Some(Duration::from_secs(30)))?.as_str(), "completed");
/// assert_eq!(run.result()?, json!({"built": 3}));
/// # engine.close()?;
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Hold>);

/// The engine as its holders have it: with the last one, the work ends.
pub(crate) struct Hold(pub(crate) Arc<Inner>);

impl Drop for Hold {
    fn drop(&mut self) {
        // In a forked child the engine is the parent's.
        if self.0.here().is_err() {
            return;
        }
        self.0.closed.store(true, Ordering::Release);
        self.0.moved();
    }
}

pub(crate) struct Inner {
    pub(crate) store: StateStore,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) registry: Option<AgentRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tenant: Option<String>,
    tools: Vec<Arc<dyn HostTool>>,
    kinds: RwLock<BTreeMap<String, (Arc<dyn HostTool>, Option<Value>)>>,
    library: RwLock<Library>,
    plans: Mutex<HashMap<String, Arc<Plan>>>,
    draining: AtomicBool,
    closed: AtomicBool,
    pub(crate) active: AtomicUsize,
    workers: AtomicUsize,
    /// Counts what has moved, for those who wait here.
    moves: Mutex<u64>,
    wakes: Condvar,
    /// What went wrong in going on with a run, the newest last.
    faults: Mutex<Vec<(String, String)>>,
    pub(crate) breakers: Breakers,
    /// The process that the engine is of, counted in forks.
    process: u64,
    made: Instant,
    /// Who goes on with which run here.
    listeners: Mutex<HashMap<String, Sender<Told>>>,
    memo: Mutex<Memo>,
    /// Entries of journals that were read.
    pub(crate) entries_read: Count,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire)
    }

    /// Errors: `unsupported` in a forked child, where nobody works, and locks may be held for ever.
    pub(crate) fn here(&self) -> Result<()> {
        if self.process == forks() {
            return Ok(());
        }
        let message =
            "the engine was made before this process was forked; make one in the child, over the same store";
        Err(Error::new(Code::Unsupported, message))
    }

    /// Errors: `closed`; those of [`Inner::here`].
    fn open(&self) -> Result<()> {
        self.here()?;
        match self.closed.load(Ordering::Acquire) {
            true => Err(Error::new(Code::Closed, "the engine is closed")),
            false => Ok(()),
        }
    }

    /// Whether what the engine lacks may still be added to it.
    pub(crate) fn is_young(&self) -> bool {
        self.made.elapsed() < YOUTH
    }

    /// The form of a definition that a run was begun with. Errors: those of the store.
    pub(crate) fn rendered(&self, hash: &str) -> Result<Option<Value>> {
        self.store.get(self.tenant.as_deref(), DEFINITIONS, hash)
    }

    /// Who is told that a letter may have come; none any more.
    pub(crate) fn listen(&self, run: &str, who: Option<Sender<Told>>) {
        match who {
            Some(who) => drop(lock(&self.listeners).insert(run.to_owned(), who)),
            None => drop(lock(&self.listeners).remove(run)),
        }
    }

    /// Tells whoever goes on with a run here that a letter has come, and everybody that there is work.
    pub(crate) fn nudge(&self, run: &str) {
        if let Some(who) = lock(&self.listeners).get(run) {
            // It may have ended just now.
            let _ = who.send(Told::Letter);
        }
        self.moved();
    }

    pub(crate) fn memo(&self) -> MutexGuard<'_, Memo> {
        lock(&self.memo)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Vec<(String, String)>> {
        lock(&self.faults)
    }

    /// Wakes those who wait for a run, or for work.
    pub(crate) fn moved(&self) {
        *lock(&self.moves) += 1;
        self.wakes.notify_all();
    }

    /// Waits until something has moved since `seen`, at most so long; what there is to see then.
    pub(crate) fn wait_moved(&self, seen: u64, most: Duration) -> u64 {
        let moves = lock(&self.moves);
        if *moves != seen {
            return *moves;
        }
        let (moves, _) = self.wakes.wait_timeout(moves, most).unwrap_or_else(PoisonError::into_inner);
        *moves
    }

    pub(crate) fn moves(&self) -> u64 {
        *lock(&self.moves)
    }

    /// Errors: `tool_unknown` with those that there are.
    pub(crate) fn tool(&self, name: &str) -> Result<Arc<dyn HostTool>> {
        let by = |name: &str| self.tools.iter().find(|tool| tool.name() == name);
        let found = by(name).or_else(|| name.split_once('.').and_then(|(first, _)| by(first)));
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.tools.iter().map(|tool| tool.name()).collect();
            Error::new(
                Code::ToolUnknown,
                format!("the engine has no tool '{name}'; it has {}", names.join(", ")),
            )
        })
    }

    pub(crate) fn kind(&self, kind: &str) -> Option<Arc<dyn HostTool>> {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(kind).map(|(handler, _)| Arc::clone(handler))
    }

    pub(crate) fn definition(&self, id: &str, version: Option<&str>) -> Result<Definition> {
        self.library.read().unwrap_or_else(PoisonError::into_inner).get(id, version)
    }

    /// The definition that a run was begun with. Errors: `corrupt`, those of the store.
    pub(crate) fn plan(&self, hash: &str) -> Result<Arc<Plan>> {
        if let Some(plan) = lock(&self.plans).get(hash) {
            return Ok(Arc::clone(plan));
        }
        let Some(kept) = self.rendered(hash)? else {
            return Err(Error::new(
                Code::Corrupt,
                format!("the definition {hash} of a run is not in the store any more"),
            ));
        };
        let definition = Definition::from_json(&kept)?;
        if definition.hash() != hash {
            return Err(Error::new(
                Code::Corrupt,
                format!("the definition {hash} of a run is not what was stored"),
            ));
        }
        self.remember(&definition);
        Ok(definition.plan)
    }

    fn remember(&self, definition: &Definition) {
        let mut plans = lock(&self.plans);
        if plans.len() >= MAX_PLANS {
            plans.clear();
        }
        plans.insert(definition.hash().to_owned(), Arc::clone(&definition.plan));
    }

    /// Puts a run into its queue; its id. Errors: those of the store; `invalid_argument` for a priority that is no number.
    pub(crate) fn enqueue(
        &self,
        definition: &Definition,
        spec: Spec,
        id: Option<&str>,
        dedup: Option<&str>,
        priority: Option<i64>,
    ) -> Result<Enqueued> {
        let tenant = self.tenant.as_deref();
        self.store_definition(definition)?;
        let queueing = self.queueing(definition, &spec, id.unwrap_or_default(), priority)?;
        let (parent, time) = (spec.parent.as_ref().map(|(run, _, _)| run.clone()), spec.time);
        let entry = Fact::Started(Box::new(spec)).entry(1, time)?;
        let new = new_run(id, definition.title(), parent.as_deref(), dedup, tenant);
        let status = definition.first_status().as_str();
        let enqueued = self.store.enqueue(&new, &[entry], status, &queueing.place(time.min(0.0)))?;
        self.moved();
        Ok(enqueued)
    }

    /// Keeps a definition, before any run of it is there. Errors: those of the store.
    pub(crate) fn store_definition(&self, definition: &Definition) -> Result<()> {
        let tenant = self.tenant.as_deref();
        if self.store.get(tenant, DEFINITIONS, definition.hash())?.is_none() {
            self.store.put(tenant, DEFINITIONS, definition.hash(), definition.rendered())?;
        }
        self.remember(definition);
        Ok(())
    }

    /// A run in its queue that has done something already; its id. Errors: those of the store.
    pub(crate) fn fork(&self, definition: &Definition, spec: Spec, facts: Vec<Fact>) -> Result<String> {
        let queueing = self.queueing(definition, &spec, "", None)?;
        let time = spec.time;
        let all = std::iter::once(Fact::Started(Box::new(spec))).chain(facts);
        let entries = all.zip(1..).map(|(fact, seq)| fact.entry(seq, time)).collect::<Result<Vec<_>>>()?;
        let new = new_run(None, definition.title(), None, None, self.tenant.as_deref());
        let place = queueing.place(time.min(0.0));
        match self.store.enqueue(&new, &entries, Status::Pending.as_str(), &place)? {
            Enqueued::New(id) => {
                self.moved();
                Ok(id)
            }
            Enqueued::Known(row) => Ok(row.id),
        }
    }

    pub(crate) fn queueing(
        &self,
        definition: &Definition,
        spec: &Spec,
        id: &str,
        given: Option<i64>,
    ) -> Result<Queueing> {
        let plan = &definition.plan;
        let mut state = super::state::State::new(plan);
        state.spec = spec.clone();
        let names = Names { plan, state: &state, run_id: id, step: None, undone: None };
        let read = |template: &Template| {
            template
                .render(&names)
                .map_err(|e| Error::invalid(format!("queue of '{}': {e}", definition.id())))
        };
        let priority = match (given, &plan.priority) {
            (Some(given), _) => given,
            (None, None) => 0,
            (None, Some(template)) => {
                let value = read(template)?;
                let number = value.as_f64().filter(|number| number.is_finite());
                number.map(|number| number as i64).ok_or_else(|| {
                    Error::invalid(format!(
                        "queue of '{}': the priority is {value}, expected a number",
                        definition.id()
                    ))
                })?
            }
        };
        let slot = match &plan.slot {
            None => None,
            Some((key, limit)) => {
                let key = read(key)?;
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                Some((format!("{}/{key}", definition.id()), *limit))
            }
        };
        let queue = plan.form.queue.as_ref().map_or("default", |queue| queue.name.as_str());
        Ok(Queueing { queue: queue.to_owned(), priority, slot })
    }

    fn known(&self) -> Known {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let agents = self.registry.as_ref().and_then(|registry| registry.list(None).ok());
        Known {
            tools: Some(self.tools.iter().map(|tool| tool.name().to_owned()).collect()),
            agents: agents.map(|agents| agents.iter().map(|agent| agent.id.clone()).collect::<BTreeSet<_>>()),
            kinds: kinds.iter().map(|(name, (_, schema))| (name.clone(), schema.clone())).collect(),
        }
    }
}

impl Engine {
    /// An engine over a store, which goes on at once with the runs of its tenant that are due.
    ///
    /// Errors: `invalid_argument` for a tool without a name, or two of one name.
    pub fn new(store: StateStore, options: EngineOptions) -> Result<Engine> {
        for (i, tool) in options.tools.iter().enumerate() {
            if !is_name(tool.name(), true) {
                let name = quorate_core::shorten(tool.name());
                return Err(Error::invalid(format!(
                    "'{name}' is no name of a tool: letters, digits, '_', '-', '.'"
                )));
            }
            if options.tools[..i].iter().any(|other| other.name() == tool.name()) {
                return Err(Error::invalid(format!("two tools have the name '{}'", tool.name())));
            }
        }
        let of_runtime = || options.runtime.as_ref().and_then(|runtime| runtime.registry().cloned());
        let registry = options.registry.clone().or_else(of_runtime);
        let clock: Arc<dyn Clock> = options.clock.unwrap_or_else(|| Arc::new(SystemClock));
        let inner = Arc::new(Inner {
            store,
            runtime: options.runtime,
            registry,
            clock: Arc::clone(&clock),
            tenant: options.tenant,
            tools: options.tools,
            kinds: RwLock::default(),
            library: RwLock::default(),
            plans: Mutex::default(),
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            workers: AtomicUsize::new(0),
            moves: Mutex::new(0),
            wakes: Condvar::new(),
            faults: Mutex::default(),
            breakers: Breakers::new(clock),
            process: forks(),
            made: Instant::now(),
            listeners: Mutex::default(),
            memo: Mutex::default(),
            entries_read: Count::default(),
        });
        let engine = Engine(Arc::new(Hold(inner)));
        let concurrency = options.concurrency.unwrap_or(8);
        if concurrency > 0 {
            engine.work(options.queues, concurrency)?;
        }
        Ok(engine)
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }

    /// Goes on, in the background, with runs of these queues (`None`: of all), so many at once. Errors: `closed`, `io`.
    pub fn work(&self, queues: Option<Vec<String>>, concurrency: usize) -> Result<()> {
        let inner = Arc::clone(self.inner());
        inner.open()?;
        inner.draining.store(false, Ordering::Release);
        inner.workers.fetch_add(1, Ordering::AcqRel);
        let worker = Arc::clone(&inner);
        let spawned = std::thread::Builder::new().name("quorate-flow".to_owned()).spawn(move || {
            dispatch(&worker, queues.as_deref(), concurrency.max(1));
            worker.workers.fetch_sub(1, Ordering::AcqRel);
            worker.moved();
        });
        if let Err(error) = spawned {
            inner.workers.fetch_sub(1, Ordering::AcqRel);
            return Err(Error::new(Code::Io, format!("no thread could be started: {error}")));
        }
        Ok(())
    }

    /// Adds the workflows of a folder, or one file, with overlays (`env/prod`). What is wrong with some of the files does not keep
    /// the others out: [`Engine::validate`] says it. Runs that go on keep the definition that they began with.
    ///
    /// Errors: `not_found`, `permission_denied`, `io`.
    pub fn load(&self, path: impl AsRef<Path>, overlays: &[String]) -> Result<()> {
        self.inner().here()?;
        let path = path.as_ref();
        let meta = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        let loaded = if meta.is_dir() {
            load(Files::Folder(path.to_owned()), None, overlays)?
        } else {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let folder =
                path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            load(Files::Folder(folder.to_owned()), Some(&name), overlays)?
        };
        self.inner().library.write().unwrap_or_else(PoisonError::into_inner).add(loaded);
        Ok(())
    }

    /// Adds one workflow, given as YAML or JSON. Errors: `invalid_document` with every problem.
    pub fn add(&self, text: &str) -> Result<Definition> {
        self.inner().here()?;
        let files = Files::Pack(BTreeMap::from([("workflow.yaml".to_owned(), text.to_owned())]));
        let loaded = load(files, Some("workflow.yaml"), &[])?;
        if !loaded.problems.is_empty() {
            let told: Vec<String> = loaded.problems.iter().map(Problem::to_string).collect();
            return Err(Error::new(Code::InvalidDocument, told.join("\n")));
        }
        let Some((definition, _)) = loaded.definitions.first().cloned() else {
            return Err(Error::new(Code::InvalidDocument, "the text has no workflow"));
        };
        self.inner().library.write().unwrap_or_else(PoisonError::into_inner).add(loaded);
        Ok(definition)
    }

    /// Adds workflows that lie in memory, by the names of their files. What is wrong with them, [`Engine::validate`] says.
    /// Errors: `not_found` for an overlay.
    pub fn load_pack(&self, files: BTreeMap<String, String>, overlays: &[String]) -> Result<()> {
        let loaded = load(Files::Pack(files), None, overlays)?;
        self.inner().library.write().unwrap_or_else(PoisonError::into_inner).add(loaded);
        Ok(())
    }

    /// Everything that is wrong with what was loaded, also by the tools, experts and kinds of steps that the engine has.
    pub fn validate(&self) -> Vec<Problem> {
        let known = self.inner().known();
        self.inner().library.read().unwrap_or_else(PoisonError::into_inner).validate(&known)
    }

    /// The newest version of each workflow, by id.
    pub fn list(&self) -> Vec<Definition> {
        self.inner().library.read().unwrap_or_else(PoisonError::into_inner).list()
    }

    /// The versions of a workflow, the newest last.
    pub fn versions(&self, id: &str) -> Vec<String> {
        self.inner().library.read().unwrap_or_else(PoisonError::into_inner).versions(id)
    }

    /// A workflow; `None`: its newest version. Errors: `unknown_id`.
    pub fn definition(&self, id: &str, version: Option<&str>) -> Result<Definition> {
        self.inner().definition(id, version)
    }

    /// Adds a kind of step: `handler` is given what stands under the kind's name, with its templates filled in.
    /// `schema`: the JSON Schema of that. Errors: `invalid_argument` for a name that is taken, or a schema that cannot be used.
    pub fn step_type(&self, handler: Arc<dyn HostTool>, schema: Option<Value>) -> Result<()> {
        let name = handler.name().to_owned();
        if !is_name(&name, false) || KINDS.contains(&name.as_str()) || COMMON.contains(&name.as_str()) {
            return Err(Error::invalid(format!(
                "'{}' cannot be a kind of step: it is a key of steps already, or no word of letters, digits, '_' and '-'",
                quorate_core::shorten(&name)
            )));
        }
        if let Some(schema) = &schema {
            drop(schema::Checker::new(schema)?);
        }
        let mut kinds = self.inner().kinds.write().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(name, (handler, schema));
        Ok(())
    }

    /// Starts a run. It is in the store when this returns, and goes on here or wherever somebody works on its queue.
    ///
    /// Errors: `unknown_id`; `invalid_document` for an input that does not fit the workflow's schema, with every place;
    /// `duplicate_id`; `run_conflict` where the word of [`StartOptions::dedup`] was used for another workflow or input; `closed`.
    pub fn start(&self, workflow: &str, input: Value, options: StartOptions) -> Result<WorkflowRun> {
        let inner = self.inner();
        inner.open()?;
        let definition = inner.definition(workflow, options.version.as_deref())?;
        let form = &definition.plan.form;
        let input = definition.given(input, options.offline);
        if let Some(schema) = &form.input {
            schema::fits(schema, &input, &format!("the input of '{workflow}'"), Code::InvalidDocument)?;
        }
        if let Some(id) = options.stand_ins.keys().find(|id| definition.plan.find(id).is_none()) {
            return Err(Error::new(
                Code::UnknownId,
                format!("stand_ins: workflow '{workflow}' has no step '{id}'"),
            ));
        }
        if !options.stand_ins.is_empty() && !options.offline {
            return Err(Error::invalid("stand_ins are for offline runs; give offline too"));
        }
        if options.deadline.is_some_and(|deadline| !deadline.is_finite()) {
            return Err(Error::new(Code::NotFinite, "the deadline is no number of seconds since 1970"));
        }
        let spec = Spec {
            workflow: definition.id().to_owned(),
            version: definition.version().to_owned(),
            hash: definition.hash().to_owned(),
            input,
            starter: options.starter,
            tenant: inner.tenant.clone(),
            offline: options.offline,
            stand_ins: options.stand_ins,
            deadline: options.deadline,
            time: inner.clock.now(),
            ..Spec::default()
        };
        let (wanted, asked) = (spec.input.clone(), spec.workflow.clone());
        match inner.enqueue(
            &definition,
            spec,
            options.id.as_deref(),
            options.dedup.as_deref(),
            options.priority,
        )? {
            Enqueued::New(id) => Ok(WorkflowRun::new(&self.0, id)),
            Enqueued::Known(row) => {
                let before = spec_of(&row.id, &inner.store.entries(inner.tenant.as_deref(), &row.id, 1)?)?;
                if before.workflow != asked || before.input != wanted {
                    return Err(Error::new(
                        Code::RunConflict,
                        format!(
                            "dedup '{}' has started run '{}' of '{}' with another input; use another word",
                            quorate_core::shorten(options.dedup.as_deref().unwrap_or_default()),
                            row.id,
                            before.workflow
                        ),
                    ));
                }
                Ok(WorkflowRun::new(&self.0, row.id))
            }
        }
    }

    /// A run. Errors: `unknown_id`, also for one that is no workflow's.
    pub fn get(&self, id: &str) -> Result<WorkflowRun> {
        let row = self.inner().store.run(self.inner().tenant.as_deref(), id)?;
        if row.kind != KIND {
            return Err(Error::new(Code::UnknownId, format!("the run '{id}' is no workflow's")));
        }
        Ok(WorkflowRun::new(&self.0, row.id))
    }

    /// The runs, the oldest first; those with a status. Errors: those of the store.
    pub fn runs(&self, status: Option<Status>) -> Result<Vec<WorkflowRun>> {
        let rows = self.inner().store.runs(self.inner().tenant.as_deref(), None)?;
        let rows = rows.into_iter().filter(|row| row.kind == KIND);
        let rows = rows.filter(|row| status.is_none_or(|status| Status::of(&row.status) == Some(status)));
        Ok(rows.map(|row| WorkflowRun::new(&self.0, row.id)).collect())
    }

    /// Has a workflow started whenever a cron pattern (minute, hour, day of month, month, day of week) comes due by the clocks of a
    /// time zone, by whoever works on the store then, each time once. The schedule of a name is the one that was given last; the same
    /// again changes nothing, so that every process may say so as it begins.
    ///
    /// Where clocks are put forward, a time that they leave out comes as soon as they show a later one; where they are put back, the
    /// first of two counts. Patterns whose minute or hour begins with `*` follow the clocks: each time that is shown, and no other.
    ///
    /// Errors: `invalid_argument`, beginning with what is wrong (`name`, `cron`, `timezone`); `unknown_id` for the workflow;
    /// `invalid_document` for an input that does not fit; `closed`.
    pub fn schedule(
        &self,
        name: &str,
        cron: &str,
        workflow: &str,
        input: Value,
        options: ScheduleOptions,
    ) -> Result<Schedule> {
        let inner = self.inner();
        inner.open()?;
        let definition = inner.definition(workflow, options.version.as_deref())?;
        if let Some(schema) = &definition.plan.form.input {
            let given = definition.given(input.clone(), options.offline);
            schema::fits(schema, &given, &format!("the input of '{workflow}'"), Code::InvalidDocument)?;
        }
        schedule::put(&self.0, name, cron, workflow, &input, options)
    }

    /// The schedules of the engine's tenant, by name. Errors: those of the store.
    pub fn schedules(&self) -> Result<Vec<Schedule>> {
        schedule::listed(&self.0)
    }

    /// A schedule, by its name. Errors: `unknown_id`; those of the store.
    pub fn scheduled(&self, name: &str) -> Result<Schedule> {
        schedule::find(&self.0, name)
    }

    /// The reviews that are open, the oldest run first; of a role, of a run. Errors: `unknown_id` for the run; those of the store.
    pub fn reviews(&self, role: Option<&str>, run: Option<&str>) -> Result<Vec<Review>> {
        listed(&self.0, role, run)
    }

    /// A review that is open, by its id. Errors: `unknown_id`.
    pub fn review(&self, id: &str) -> Result<Review> {
        let run = id.rsplitn(3, '.').nth(2).unwrap_or_default();
        let all = match listed(&self.0, None, Some(run)) {
            Err(error) if error.code() == Code::UnknownId => Vec::new(),
            other => other?,
        };
        all.into_iter().find(|review| review.id == id).ok_or_else(|| {
            Error::new(Code::UnknownId, format!("no open review has the id '{}'", quorate_core::shorten(id)))
        })
    }

    /// Begins nothing more here: what is being done is finished and written down, and the runs are left to others.
    ///
    /// Errors: `unsupported` within a step of the engine, which would wait for itself.
    pub fn drain(&self) -> Result<()> {
        while !self.drain_within(Duration::MAX)? {}
        Ok(())
    }

    /// The same, but waits at most so long; whether all is done. Nothing more begins here whatever it gives.
    /// Errors: those of [`Engine::drain`].
    pub fn drain_within(&self, most: Duration) -> Result<bool> {
        let inner = self.inner();
        if inner.here().is_err() {
            return Ok(true);
        }
        if works_for(inner) {
            let message = "a step waits here until the engine has ended all steps, and is one of them; drain or close the engine where no step is done";
            return Err(Error::new(Code::Unsupported, message));
        }
        inner.draining.store(true, Ordering::Release);
        inner.moved();
        let begun = Instant::now();
        while inner.active.load(Ordering::Acquire) > 0 || inner.workers.load(Ordering::Acquire) > 0 {
            let left = most.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            let seen = inner.moves();
            inner.wait_moved(seen, left.min(Duration::from_millis(20)));
        }
        Ok(true)
    }

    /// Ends the engine as [`Engine::close`] does, but waits at most so long for what is being done: what is not done by then is
    /// finished and written down as long as the process lives. Whether all was done. Errors: those of [`Engine::drain`].
    pub fn close_within(&self, most: Duration) -> Result<bool> {
        let drained = self.drain_within(most)?;
        self.inner().closed.store(true, Ordering::Release);
        Ok(drained)
    }

    /// Drains the engine, and ends it. What it has started goes on where others work on the store.
    /// Errors: those of [`Engine::drain`].
    pub fn close(&self) -> Result<()> {
        self.drain()?;
        self.inner().closed.store(true, Ordering::Release);
        Ok(())
    }

    /// What went wrong in going on with runs here, as id and message: a store that could not be written, a journal that cannot be
    /// read. Such a run stays as it is, and is tried again.
    pub fn faults(&self) -> Vec<(String, String)> {
        lock(&self.inner().faults).clone()
    }
}
