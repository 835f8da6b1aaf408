//! How do functions of JavaScript become the nodes of graphs, and how are graphs run from there?

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::runtime::HostContext;
use quorate::state::StateStore as Store;
use quorate::workflows::graph::{
    App as Compiled, Context, Durability, Graph, Node, NodeOptions, Outcome, Output, Reducer, RunOptions,
    State,
};
use quorate::{Cancel, Code, Error, Result};
use quorate_bindings::Host;
use quorate_bindings::graph::{self, Begins};
use serde_json::{Value, json};

use crate::convert::{Out, arg, count, marked, text, texts};
use crate::door::{Callback, Held, Lane, Listener, NativeCancel, Promised, flag, promise, quick};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::models::{NativeModelFlow, json as value};
use crate::pool::waiting;
use crate::runtime::{NativeRuntime, answered, maybe};
use crate::state::NativeStateStore;

const HOST: Host = Host::Node;

/// A graph that is being put together.
#[napi(js_name = "GraphBuilder")]
pub struct NativeGraphBuilder(Mutex<Graph>);

/// A graph that runs.
#[napi(js_name = "GraphApp")]
pub struct NativeGraphApp {
    app: Held<Opening<Compiled>>,
    /// The same without threads, of which what does not change is known at once.
    shape: Compiled,
    durability: Durability,
}

/// What a node may do beside writing.
#[napi(js_name = "GraphContext")]
pub struct NativeGraphContext(Context);

/// What users have written, as JSON.
fn told(found: Value) -> String {
    marked(found).to_string()
}

fn out(found: Value) -> Out {
    Out::Text(told(found))
}

/// Who runs a graph: what calls its nodes.
struct Caller {
    call: Callback,
    stop: Listener,
    calls: AtomicU64,
}

/// A node that is a function: the one with this number of whoever runs the graph.
struct HostNode {
    index: usize,
    name: String,
}

impl Node for HostNode {
    fn run(&self, state: &State, context: &Context) -> Result<Output> {
        let Some(caller) = context.host().and_then(|host| host.downcast_ref::<Caller>()) else {
            return Err(Error::new(Code::Internal, "a graph of Node is run by somebody else"));
        };
        let number = caller.calls.fetch_add(1, Ordering::Relaxed) as f64;
        let given = vec![
            Out::Number(number),
            Out::count(self.index),
            out(state.to_value()),
            Out::object(NativeGraphContext(context.clone())),
        ];
        let given = caller.call.call(given, context.stop()).inspect_err(|_| {
            caller.stop.tell(move || vec![vec![Out::Number(number)]]);
        })?;
        graph::output(answered(given, &format!("what the node '{}' gave", self.name))?)
    }
}

/// What a function `function(reply, arguments)`, with the arguments as JSON, has answered.
fn asked(function: &Callback, what: &str, values: Value) -> Result<Value> {
    answered(function.call(vec![out(values)], &Cancel::current())?, what)
}

impl NativeGraphBuilder {
    fn change(&self, with: impl FnOnce(Graph) -> Graph) {
        let mut graph = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *graph = with(std::mem::take(&mut *graph));
    }

    fn graph(&self) -> Graph {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn node_options(env: &Env, given: &Unknown<'_>) -> Result<NodeOptions, Thrown> {
    arg(env, given, "options", |given, what| graph::node_options(HOST, value(given, what)?))
}

/// Refuses what is said of a node and is wrong by itself.
#[napi]
pub fn check_node(env: Env, options: Unknown<'_>) -> Result<(), Thrown> {
    node_options(&env, &options).map(drop)
}

impl NativeGraphBuilder {
    /// A graph that ships.
    pub fn of(graph: Graph) -> Self {
        NativeGraphBuilder(Mutex::new(graph))
    }
}

#[napi]
impl NativeGraphBuilder {
    /// A graph without nodes, with the JSON Schema of its state.
    #[napi(constructor)]
    pub fn new(env: Env, schema: Unknown<'_>) -> Result<Self, Thrown> {
        let schema = arg(&env, &schema, "state", value)?;
        Ok(NativeGraphBuilder(Mutex::new(Graph::new(schema))))
    }

    /// A graph that ships.
    #[napi(factory)]
    pub fn ready(name: String, runtime: &NativeRuntime) -> Result<NativeGraphBuilder, Thrown> {
        let experts = runtime.opening();
        let graph = graph::ready(&name, move || experts.get()).or_throw()?;
        Ok(NativeGraphBuilder(Mutex::new(graph)))
    }

    /// How writes to a channel are put together: by the reducer of this name, or by a function of `[old, new]`.
    #[napi]
    pub fn reducer(
        &self,
        env: Env,
        channel: String,
        name: Option<String>,
        host: Option<Unknown<'_>>,
    ) -> Result<(), Thrown> {
        let reducer = match (host, name) {
            (Some(host), _) => {
                let function = Callback::new(&env, &host)?;
                let what = format!("what the reducer of '{channel}' gave");
                Reducer::custom(move |old, new| asked(&function, &what, json!([old, new])))
            }
            (None, name) => Reducer::named(name.as_deref().unwrap_or("last")).or_throw()?,
        };
        self.change(|graph| graph.reducer(channel, reducer));
        Ok(())
    }

    /// What refuses values of a channel: a function of `[value]`.
    #[napi]
    pub fn validator(&self, env: Env, channel: String, host: Unknown<'_>) -> Result<(), Thrown> {
        let function = Callback::new(&env, &host)?;
        let what = format!("what the validator of '{channel}' gave");
        let check = move |value: &Value| graph::refused(&asked(&function, &what, json!([value]))?);
        self.change(|graph| graph.validator(channel, check));
        Ok(())
    }

    /// A node: the function with this number of whoever runs the graph. `key`: what of `[state]` a cache depends on; `on`: whether
    /// `[{code, message}]` is worth another try.
    #[napi]
    pub fn node(
        &self,
        env: Env,
        name: String,
        options: Unknown<'_>,
        index: u32,
        key: Option<Unknown<'_>>,
        on: Option<Unknown<'_>>,
    ) -> Result<(), Thrown> {
        let mut given = node_options(&env, &options)?;
        if let (Some(cache), Some(key)) = (&mut given.cache, key) {
            let key = Callback::new(&env, &key)?;
            let unlike =
                |error: Error| Value::String(format!("{} {}", quorate::state::fresh_id(), error.message()));
            cache.key = Some(Arc::new(move |state: &State| {
                // What fails gives a key that nothing else has: the node works.
                asked(&key, "the key of a cache", json!([state.to_value()])).unwrap_or_else(unlike)
            }));
        }
        if let (Some(retry), Some(on)) = (&mut given.retry, on) {
            let on = Callback::new(&env, &on)?;
            retry.on = Some(Arc::new(move |error: &Error| {
                let error = json!([{"code": error.code().as_str(), "message": error.message()}]);
                asked(&on, "what 'on' gave", error).is_ok_and(|again| again == Value::Bool(true))
            }));
        }
        let node = Arc::new(HostNode { index: index as usize, name: name.clone() });
        self.change(|graph| graph.node_with(name, given, node));
        Ok(())
    }

    /// A graph as a node.
    #[napi]
    pub fn subgraph(
        &self,
        env: Env,
        name: String,
        options: Unknown<'_>,
        other: &NativeGraphBuilder,
    ) -> Result<(), Thrown> {
        let (options, inner) = (node_options(&env, &options)?, other.graph());
        self.change(|graph| graph.subgraph_with(name, options, inner));
        Ok(())
    }

    /// After one comes the other.
    #[napi]
    pub fn edge(&self, source: String, target: String) {
        self.change(|graph| graph.edge(source, target));
    }

    /// Where a function of `[state]` leads.
    #[napi]
    pub fn edges_if(
        &self,
        env: Env,
        source: String,
        route: Unknown<'_>,
        targets: Unknown<'_>,
    ) -> Result<(), Thrown> {
        let route = Callback::new(&env, &route)?;
        let targets = arg(&env, &targets, "targets", texts)?;
        let what = format!("what the route after '{source}' gave");
        let route = move |state: &State| graph::targets(asked(&route, &what, json!([state.to_value()]))?);
        self.change(|graph| graph.edges_if(source, route, targets));
        Ok(())
    }

    /// One comes when all of the others have ended.
    #[napi]
    pub fn join(&self, env: Env, sources: Unknown<'_>, target: String) -> Result<(), Thrown> {
        let sources = arg(&env, &sources, "sources", texts)?;
        self.change(|graph| graph.join(sources, target));
        Ok(())
    }

    /// Everything that is wrong with it, as JSON.
    #[napi]
    pub fn problems(&self) -> String {
        graph::problems(&self.graph()).to_string()
    }

    /// The graph as something that runs.
    #[napi]
    pub fn compile(&self, store: &NativeStateStore) -> Result<NativeGraphApp, Thrown> {
        let graph = self.graph();
        let shape = quick(|| graph.compile(&Store::memory()))?;
        let (store, given) = (store.opening().or_throw()?, store.given.clone());
        let (tenant, opened) = (given.tenant, store.is_done());
        let open = move || graph.compile_for(&store.get()?, tenant.as_deref());
        let app = match opened {
            true => match open() {
                Ok(app) => Opening::opened(app),
                // What has to be opened first fails later, always.
                Err(error) => Opening::start(move || Err(error)).or_throw()?,
            },
            false => Opening::start(open).or_throw()?,
        };
        Ok(NativeGraphApp { app: Held::new(app), shape, durability: given.durability })
    }
}

fn answers(env: &Env, given: &Unknown<'_>) -> Result<HashMap<String, Value>, Thrown> {
    let given = arg(env, given, "answers", value)?;
    match given {
        Value::Null => Ok(HashMap::new()),
        Value::Object(answers) => Ok(answers.into_iter().collect()),
        _ => Err(Error::invalid("answers are no object; give one by the ids of reviews")).or_throw(),
    }
}

impl NativeGraphApp {
    fn how(
        &self,
        env: &Env,
        options: &Unknown<'_>,
        call: &Unknown<'_>,
        stop: &Unknown<'_>,
        cancel: Cancel,
    ) -> Result<RunOptions, Thrown> {
        let given = arg(env, options, "options", value)?;
        let caller = Caller {
            call: Callback::new(env, call)?,
            stop: Listener::new(env, stop)?,
            calls: AtomicU64::new(0),
        };
        let how = graph::run_options(HOST, given, self.durability).or_throw()?;
        Ok(RunOptions { stop: cancel, host: Some(Arc::new(caller) as HostContext), ..how })
    }

    fn runs(
        &self,
        env: &Env,
        work: impl FnOnce(&Compiled) -> Result<Outcome> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let app = (*self.app).clone();
        promise(env, Lane::Ask, move || waiting(|| Ok(out(graph::outcome(HOST, &work(&app.get()?)?)))))
    }

    fn looks(
        &self,
        env: &Env,
        work: impl FnOnce(&Compiled) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let app = (*self.app).clone();
        promise(env, Lane::Slow, move || work(&app.get()?))
    }
}

#[napi]
impl NativeGraphApp {
    /// The hash of the plan.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.shape.id().to_owned()
    }

    /// The plan, as JSON.
    #[napi]
    pub fn json(&self) -> String {
        told(self.shape.json().clone())
    }

    /// The plan in Mermaid's language.
    #[napi]
    pub fn mermaid(&self) -> String {
        self.shape.mermaid()
    }

    /// Runs the graph; without a thread nothing is kept. `call(reply, number, index, state, context)` calls a node and answers with
    /// `{result: {update, goto}}` or `{error}`; `stop(number)` says that nobody waits for that call any more. The outcome is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    #[allow(clippy::too_many_arguments)] // TypeScript's half calls it once
    pub fn run(
        &self,
        env: Env,
        input: Unknown<'_>,
        thread: Unknown<'_>,
        options: Unknown<'_>,
        call: Unknown<'_>,
        stop: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (input, thread) = (arg(&env, &input, "input", value)?, maybe(&env, &thread, "thread")?);
        let how = self.how(&env, &options, &call, &stop, flag(cancel))?;
        self.runs(&env, move |app| match thread {
            Some(thread) => app.run_with(input, &thread, &how),
            None => app.run_once(input, &how),
        })
    }

    /// Goes on with a thread. The outcome is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    #[allow(clippy::too_many_arguments)] // as above
    pub fn resume(
        &self,
        env: Env,
        thread: Unknown<'_>,
        answers: Unknown<'_>,
        options: Unknown<'_>,
        call: Unknown<'_>,
        stop: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (thread, answers) = (arg(&env, &thread, "thread", text)?, self::answers(&env, &answers)?);
        let how = self.how(&env, &options, &call, &stop, flag(cancel))?;
        self.runs(&env, move |app| app.resume_with(&thread, answers, &how))
    }

    /// The events of a run: of one that begins with `input`, or without it of one that goes on with `answers`.
    #[napi]
    #[allow(clippy::too_many_arguments)] // as above
    pub fn flow(
        &self,
        env: Env,
        thread: Unknown<'_>,
        input: Option<Unknown<'_>>,
        answers: Unknown<'_>,
        modes: Unknown<'_>,
        options: Unknown<'_>,
        call: Unknown<'_>,
        stop: Unknown<'_>,
    ) -> Result<NativeModelFlow, Thrown> {
        let thread = arg(&env, &thread, "thread", text)?;
        let begins = match input {
            Some(input) => Begins::Run(arg(&env, &input, "input", value)?),
            None => Begins::Resume(self::answers(&env, &answers)?),
        };
        let modes = graph::modes(&arg(&env, &modes, "modes", value)?).or_throw()?;
        let how = self.how(&env, &options, &call, &stop, Cancel::new())?;
        let app = (*self.app).clone();
        let flow = graph::flow(HOST, move || app.get(), thread, begins, modes, how);
        NativeModelFlow::of(&env, flow, Cancel::new())
    }

    /// How a thread stands, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn state(
        &self,
        env: Env,
        thread: Unknown<'_>,
        namespace: Unknown<'_>,
        at: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (thread, at) = (arg(&env, &thread, "thread", text)?, maybe(&env, &at, "at")?);
        let namespace = maybe(&env, &namespace, "namespace")?.unwrap_or_default();
        self.looks(&env, move |app| {
            Ok(out(graph::snapshot(HOST, &app.state_within(&thread, &namespace, at.as_deref())?)))
        })
    }

    /// How a thread stood, the newest first, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn history(
        &self,
        env: Env,
        thread: Unknown<'_>,
        namespace: Unknown<'_>,
        limit: Option<Unknown<'_>>,
        before: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (thread, before) = (arg(&env, &thread, "thread", text)?, maybe(&env, &before, "before")?);
        let namespace = maybe(&env, &namespace, "namespace")?.unwrap_or_default();
        let limit = limit.map(|limit| arg(&env, &limit, "limit", count)).transpose()?;
        self.looks(&env, move |app| {
            let found = app.history_within(&thread, &namespace, limit, before.as_deref())?;
            Ok(out(found.iter().map(|one| graph::snapshot(HOST, one)).collect()))
        })
    }

    /// Writes to the state of a thread as if a node had, and gives the new checkpoint.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn update(
        &self,
        env: Env,
        thread: Unknown<'_>,
        values: Unknown<'_>,
        as_node: Unknown<'_>,
        at: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (thread, values) = (arg(&env, &thread, "thread", text)?, arg(&env, &values, "values", value)?);
        let (as_node, at) = (maybe(&env, &as_node, "asNode")?, maybe(&env, &at, "at")?);
        self.looks(&env, move |app| {
            waiting(|| app.update_at(&thread, at.as_deref(), values, as_node.as_deref()).map(Out::Text))
        })
    }

    /// Makes a checkpoint the beginning of a thread, and gives the new checkpoint.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn fork(
        &self,
        env: Env,
        source: Unknown<'_>,
        namespace: Unknown<'_>,
        at: Unknown<'_>,
        thread: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (source, thread) = (arg(&env, &source, "source", text)?, arg(&env, &thread, "thread", text)?);
        let namespace = maybe(&env, &namespace, "namespace")?.unwrap_or_default();
        let at = maybe(&env, &at, "at")?;
        self.looks(&env, move |app| {
            app.fork_within(&source, &namespace, at.as_deref(), &thread).map(Out::Text)
        })
    }

    /// Ends a thread, and says whether something was due.
    #[napi(ts_return_type = "Promise<boolean>")]
    pub fn cancel(&self, env: Env, thread: Unknown<'_>) -> Result<Promised, Thrown> {
        let thread = arg(&env, &thread, "thread", text)?;
        self.looks(&env, move |app| app.cancel(&thread).map(Out::Bool))
    }
}

#[napi]
impl NativeGraphContext {
    /// What `host(reply)` answers with, `{result}` or `{error}`, the first time; what it answered, ever after. As JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn step(&self, env: Env, name: Unknown<'_>, host: Unknown<'_>) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "the name of a step", text)?;
        let (function, context) = (Callback::new(&env, &host)?, self.0.clone());
        promise(&env, Lane::Ask, move || {
            waiting(|| {
                let work = || answered(function.call(Vec::new(), context.stop())?, "what the step gave");
                context.step(&name, work).map(out)
            })
        })
    }

    /// The answer to a question, as JSON.
    #[napi]
    pub fn ask(&self, env: Env, question: Unknown<'_>) -> Result<String, Thrown> {
        let question = arg(&env, &question, "the question", value)?;
        quick(|| self.0.ask(question).map(told))
    }

    /// Tells something.
    #[napi]
    pub fn emit(&self, env: Env, data: Unknown<'_>) -> Result<(), Thrown> {
        let data = arg(&env, &data, "what is told", value)?;
        quick(|| {
            // Nodes are on the thread of whoever reads: waiting for it here would last for ever.
            self.0.emit_at_once(data);
            Ok(())
        })
    }

    /// Whether nobody waits any more.
    #[napi(getter)]
    pub fn cancelled(&self) -> bool {
        self.0.cancelled()
    }

    /// The run.
    #[napi(getter)]
    pub fn run_id(&self) -> String {
        self.0.run_id().to_owned()
    }

    /// The thread; empty where there is none.
    #[napi(getter)]
    pub fn thread(&self) -> String {
        self.0.thread().to_owned()
    }

    /// The number of this try, from 1.
    #[napi(getter)]
    pub fn attempt(&self) -> u32 {
        self.0.attempt()
    }
}
