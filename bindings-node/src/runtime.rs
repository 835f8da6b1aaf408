//! How are experts asked from Node?

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::runtime::{
    Approve, Conversation as Talk, Decision, HostContext, Pending, Question, Resume, Runtime as Experts,
    RuntimeOptions, Tool, ToolCard, ToolContext, agent_tool, sources_tool,
};
use quorate::{Cancel, Result, Sources};
use quorate_bindings::runtime::{self, Run};
use quorate_bindings::{Flow, Host, models, telemetry};
use serde_json::{Map, Value, json};

use crate::agents::NativeAgentRegistry;
use crate::asker::{asker, number_of};
use crate::convert::{Out, arg, count, marked, text};
use crate::door::{Callback, Held, Lane, Listener, NativeCancel, Promised, flag, promise};
use crate::embed::Opening;
use crate::errors::{OrThrow, Thrown};
use crate::kb::NativeKnowledgeBase;
use crate::models::{NativeLanguageModel, NativeModelFlow, json as value, told};
use crate::pool::waiting;
use crate::state::NativeStateStore;
use crate::value::Given;

const HOST: Host = Host::Node;

/// Something that a model may have done.
#[napi(js_name = "NativeTool")]
pub struct NativeTool(pub(crate) Arc<dyn Tool>);

/// What a host adds to a question: tools, who approves, a conversation.
#[napi(js_name = "Helpers")]
#[derive(Default)]
pub struct NativeHelpers(Mutex<Helpers>);

#[derive(Clone, Default)]
struct Helpers {
    tools: Option<Vec<Arc<dyn Tool>>>,
    approve: Option<Arc<Callback>>,
    talk: Option<Talk>,
    /// The host's span that a run which goes on belongs to.
    trace_parent: Option<String>,
    asker: Option<HostContext>,
}

/// Experts that answer.
#[napi(js_name = "Runtime")]
pub struct NativeRuntime(Held<Opening<Experts>>);

/// What was said before.
#[napi(js_name = "Conversation")]
pub struct NativeConversation(Held<Talk>);

/// A text, or none.
pub fn maybe(env: &Env, given: &Unknown<'_>, what: &str) -> Result<Option<String>, Thrown> {
    arg(env, given, what, |given, what| match given.is_missing() {
        true => Ok(None),
        false => text(given, what).map(Some),
    })
}

/// A report on its way to JavaScript.
pub fn out(found: Value) -> Out {
    Out::Text(told(found).to_string())
}

/// A tool that is a function of JavaScript: `call(reply, number, arguments, context)` with both as JSON answers with `{result}` or
/// `{error}`; `stop(number)` says that nobody waits for that call any more.
#[napi]
pub fn function_tool(
    env: Env,
    card: Unknown<'_>,
    call: Unknown<'_>,
    stop: Unknown<'_>,
) -> Result<NativeTool, Thrown> {
    let card = runtime::card(HOST, arg(&env, &card, "options", value)?).or_throw()?;
    let (call, stop) = (Callback::new(&env, &call)?, Listener::new(&env, &stop)?);
    Ok(NativeTool(Arc::new(HostTool { card, call, stop, calls: AtomicU64::new(0) })))
}

/// A tool that asks the expert with this id.
#[napi(ts_return_type = "Promise<NativeTool>")]
pub fn expert_tool(env: Env, runtime: &NativeRuntime, id: Unknown<'_>) -> Result<Promised, Thrown> {
    let id = arg(&env, &id, "id", text)?;
    runtime.run(&env, Lane::Slow, move |experts| Ok(Out::object(NativeTool(agent_tool(experts, &id)?))))
}

/// A tool that searches a knowledge base.
#[napi]
pub fn search_tool(kb: &NativeKnowledgeBase) -> Result<NativeTool, Thrown> {
    sources_tool(Sources::of(kb.handle())).or_throw().map(NativeTool)
}

#[napi]
impl NativeTool {
    /// The same with other functions, as `function_tool` takes them.
    #[napi]
    pub fn bound(&self, env: Env, call: Unknown<'_>, stop: Unknown<'_>) -> Result<NativeTool, Thrown> {
        let (call, stop) = (Callback::new(&env, &call)?, Listener::new(&env, &stop)?);
        let card = self.0.card().clone();
        Ok(NativeTool(Arc::new(HostTool { card, call, stop, calls: AtomicU64::new(0) })))
    }

    /// What is known of it, as JSON.
    #[napi(getter)]
    pub fn card(&self) -> String {
        let card = self.0.card();
        told(json!({
            "name": card.name, "description": card.description, "schema": card.schema, "effect": card.effect,
            "approval": card.approval, "timeout": card.timeout, "idempotent": card.idempotent,
            "maxResultTokens": card.max_result_tokens,
        }))
        .to_string()
    }
}

/// What a function of JavaScript has answered: `{result}`, or `{error: {code, message}}`. Errors: the one that it says.
pub fn answered(given: Given, what: &str) -> Result<Value> {
    let mut given = value(given, what)?;
    match given.get("error") {
        Some(_) => models::scripted_reply(&given).map(|_| Value::Null),
        None => Ok(given.get_mut("result").map(Value::take).unwrap_or_default()),
    }
}

struct HostTool {
    card: ToolCard,
    call: Callback,
    stop: Listener,
    calls: AtomicU64,
}

impl Tool for HostTool {
    fn card(&self) -> &ToolCard {
        &self.card
    }

    fn run(&self, arguments: Map<String, Value>, context: &ToolContext) -> Result<Value> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) as f64;
        let about = json!({
            "runId": context.run_id, "callId": context.call_id, "idempotencyKey": context.idempotency_key,
            "tenant": context.tenant, "span": telemetry::inner(), "asker": number_of(context),
        });
        let arguments = marked(Value::Object(arguments)).to_string();
        let given = vec![Out::Number(number), Out::Text(arguments), Out::Text(about.to_string())];
        let given = self.call.call(given, &context.cancel).inspect_err(|_| {
            self.stop.tell(move || vec![vec![Out::Number(number)]]);
        })?;
        answered(given, "what the tool gave")
    }
}

/// Who approves, in JavaScript: `function(reply, pending)` with what waits as JSON answers with `{result}` or `{error}`.
struct HostApprove {
    function: Arc<Callback>,
    /// Whether a Promise waits for the run.
    promised: bool,
}

impl Approve for HostApprove {
    fn decide(&self, pending: &Pending, cancel: &Cancel) -> Result<Option<Decision>> {
        let given = vec![out(runtime::pending(HOST, pending))];
        let given = match self.promised {
            true => self.function.call_idle(given, cancel)?,
            false => self.function.call(given, cancel)?,
        };
        runtime::decision(&answered(given, "what approve gave")?)
    }
}

impl Helpers {
    fn approve(&self, promised: bool) -> Option<Arc<dyn Approve>> {
        let function = self.approve.clone()?;
        Some(Arc::new(HostApprove { function, promised }))
    }
}

impl NativeHelpers {
    fn lock(&self) -> MutexGuard<'_, Helpers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn question(
        &self,
        env: &Env,
        question: &Unknown<'_>,
        options: &Unknown<'_>,
        promised: bool,
    ) -> Result<Question, Thrown> {
        let question = arg(env, question, "the question", text)?;
        let given = arg(env, options, "options", value)?;
        let helpers = self.lock().clone();
        let approve = helpers.approve(promised);
        let question = runtime::question(HOST, question, given).or_throw()?;
        Ok(Question { tools: helpers.tools, approve, talk: helpers.talk, host: helpers.asker, ..question })
    }

    fn resume(&self, env: &Env, decisions: &Unknown<'_>, promised: bool) -> Result<Resume, Thrown> {
        let decisions = arg(env, decisions, "decisions", value)?;
        let decisions = runtime::decisions(&decisions).or_throw()?;
        let helpers = self.lock().clone();
        let approve = helpers.approve(promised);
        let (trace_parent, host) = (helpers.trace_parent, helpers.asker);
        Ok(Resume { decisions, tools: helpers.tools, approve, trace_parent, host, ..Resume::default() })
    }
}

#[napi]
impl NativeHelpers {
    /// None; the runtime's are used.
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// No tools but those that are added from now on.
    #[napi]
    pub fn own_tools(&self) {
        self.lock().tools = Some(Vec::new());
    }

    /// One tool more.
    #[napi]
    pub fn add(&self, tool: &NativeTool) {
        self.lock().tools.get_or_insert_default().push(Arc::clone(&tool.0));
    }

    /// Who decides about calls that wait.
    #[napi]
    pub fn approved_by(&self, env: Env, decide: Unknown<'_>) -> Result<(), Thrown> {
        self.lock().approve = Some(Arc::new(Callback::new(&env, &decide)?));
        Ok(())
    }

    /// By which number tools are told who asks.
    #[napi]
    pub fn asked_by(&self, number: u32) {
        self.lock().asker = Some(asker(number));
    }

    /// The host's span that the run belongs to which goes on, as a W3C traceparent.
    #[napi]
    pub fn traced(&self, env: Env, parent: Unknown<'_>) -> Result<(), Thrown> {
        self.lock().trace_parent = Some(arg(&env, &parent, "traceParent", text)?);
        Ok(())
    }

    /// The conversation that the question belongs to.
    #[napi]
    pub fn within(&self, conversation: &NativeConversation) {
        self.lock().talk = Some((*conversation.0).clone());
    }
}

impl NativeRuntime {
    /// The experts, which may still be opening.
    pub fn handle(&self) -> Opening<Experts> {
        self.0.clone()
    }

    /// Runs what looks something up, or is quick.
    pub fn run(
        &self,
        env: &Env,
        lane: Lane,
        work: impl FnOnce(&Experts) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let experts = self.0.clone();
        promise(env, lane, move || work(&experts.get()?))
    }

    /// Runs what may wait for functions of the host, on whichever thread they are called: it takes nobody's place meanwhile.
    pub fn asking(
        &self,
        env: &Env,
        work: impl FnOnce(&Experts) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        self.run(env, Lane::Ask, move |experts| waiting(|| work(experts)))
    }

    /// The events of a run.
    pub fn events(&self, env: &Env, run: Run) -> Result<NativeModelFlow, Thrown> {
        let experts = self.0.clone();
        let flow: Flow = runtime::flow_when(HOST, move || experts.get(), run);
        NativeModelFlow::of(env, flow, Cancel::new())
    }
}

#[napi]
impl NativeRuntime {
    /// Starts to open a runtime; one without a registry, a store and a tenant of documents is open at once.
    #[napi(factory)]
    #[allow(clippy::too_many_arguments)] // one of them is what napi-rs gives
    pub fn open(
        env: Env,
        registry: Option<&NativeAgentRegistry>,
        kb: Option<&NativeKnowledgeBase>,
        model: Option<&NativeLanguageModel>,
        store: Option<&NativeStateStore>,
        helpers: &NativeHelpers,
        tenant: Unknown<'_>,
        budget: Unknown<'_>,
    ) -> Result<NativeRuntime, Thrown> {
        let tenant = maybe(&env, &tenant, "tenant")?;
        let budget = runtime::budget(HOST, arg(&env, &budget, "budget", value)?).or_throw()?;
        let tenant =
            runtime::tenant(tenant, store.and_then(|store| store.given.tenant.as_deref())).or_throw()?;
        let registry = registry.map(NativeAgentRegistry::handle).transpose().or_throw()?;
        let store = store.map(NativeStateStore::opening).transpose().or_throw()?;
        let kb = kb.map(NativeKnowledgeBase::handle);
        let (own, model) = (model.and_then(|model| model.sources()), model.map(|model| model.model()));
        let helpers = helpers.lock().clone();
        // What may take a while is opened on another thread, always, so that it fails in one place.
        let quick = registry.is_none() && store.is_none() && (kb.is_none() || tenant.is_none());
        let open = move || {
            let kb = match (kb, &tenant) {
                (Some(kb), Some(tenant)) => Some(kb.tenant(tenant)?),
                (kb, _) => kb,
            };
            Experts::new(RuntimeOptions {
                registry: registry.map(|registry| registry.get()).transpose()?,
                sources: kb.map(|kb| Sources::of(kb) as _).or(own),
                model,
                approve: helpers.approve(false),
                tools: helpers.tools.unwrap_or_default(),
                store: store.map(|store| store.get()).transpose()?,
                tenant,
                budget,
                ..RuntimeOptions::default()
            })
        };
        let experts = match quick {
            true => Opening::opened(open().or_throw()?),
            false => Opening::start(open).or_throw()?,
        };
        Ok(NativeRuntime(Held::new(experts)))
    }

    /// Resolves when it is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |_| Ok(Out::Nothing))
    }

    /// An answer, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn ask(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        helpers: &NativeHelpers,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let question = helpers.question(&env, &question, &options, true)?;
        let question = Question { cancel: flag(cancel), ..question };
        self.asking(&env, move |experts| Ok(out(runtime::answer(HOST, &experts.ask(question)?)?)))
    }

    /// Goes on with a run. The answer is JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn resume(
        &self,
        env: Env,
        run_id: Unknown<'_>,
        decisions: Unknown<'_>,
        helpers: &NativeHelpers,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        let going_on = Resume { cancel: flag(cancel), ..helpers.resume(&env, &decisions, true)? };
        self.asking(&env, move |experts| Ok(out(runtime::resumed(HOST, experts, &run_id, going_on)?)))
    }

    /// The events of a question.
    #[napi]
    pub fn flow(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        helpers: &NativeHelpers,
    ) -> Result<NativeModelFlow, Thrown> {
        let question = helpers.question(&env, &question, &options, false)?;
        self.events(&env, Run::Ask(Box::new(question)))
    }

    /// The events of a run that goes on.
    #[napi]
    pub fn resume_flow(
        &self,
        env: Env,
        run_id: Unknown<'_>,
        decisions: Unknown<'_>,
        helpers: &NativeHelpers,
    ) -> Result<NativeModelFlow, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        let going_on = helpers.resume(&env, &decisions, false)?;
        self.events(&env, Run::Resume(run_id, Box::new(going_on)))
    }

    /// The runs with a status, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn runs(&self, env: Env, status: Unknown<'_>) -> Result<Promised, Thrown> {
        let status = maybe(&env, &status, "status")?;
        self.run(&env, Lane::Slow, move |experts| {
            let rows = experts.runs(status.as_deref())?;
            Ok(out(rows.iter().map(|row| runtime::row(HOST, row)).collect()))
        })
    }

    /// What lists show of a run, as JSON.
    #[napi(js_name = "run", ts_return_type = "Promise<string>")]
    pub fn look(&self, env: Env, run_id: Unknown<'_>) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        self.run(&env, Lane::Slow, move |experts| Ok(out(runtime::row(HOST, experts.run(&run_id)?.row()))))
    }

    /// What a run has shown, as JSON.
    #[napi(js_name = "events", ts_return_type = "Promise<string>")]
    pub fn shown(&self, env: Env, run_id: Unknown<'_>) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        self.run(&env, Lane::Slow, move |experts| {
            let events = experts.run(&run_id)?.events()?;
            Ok(out(events.iter().map(|one| runtime::event(HOST, one)).collect()))
        })
    }

    /// The answer of a run, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn answer(&self, env: Env, run_id: Unknown<'_>) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        self.run(&env, Lane::Slow, move |experts| Ok(out(runtime::answer_of(HOST, experts, &run_id)?)))
    }

    /// Ends a run.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn cancel(&self, env: Env, run_id: Unknown<'_>) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        self.run(&env, Lane::Slow, move |experts| experts.cancel(&run_id).map(|()| Out::Nothing))
    }

    /// Forgets a run that is over.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn delete(&self, env: Env, run_id: Unknown<'_>) -> Result<Promised, Thrown> {
        let run_id = arg(&env, &run_id, "runId", text)?;
        self.run(&env, Lane::Slow, move |experts| experts.delete(&run_id).map(|()| Out::Nothing))
    }

    /// The messages of the first request, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn prompt(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        helpers: &NativeHelpers,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let question = helpers.question(&env, &question, &options, true)?;
        let question = Question { cancel: flag(cancel), ..question };
        self.run(&env, Lane::Slow, move |experts| Ok(out(runtime::messages(&experts.prompt(question)?))))
    }

    /// Opens a conversation, or begins one.
    #[napi(ts_return_type = "Promise<Conversation>")]
    pub fn conversation(&self, env: Env, id: Unknown<'_>, options: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = maybe(&env, &id, "id")?;
        let options =
            runtime::conversation_options(HOST, arg(&env, &options, "options", value)?).or_throw()?;
        self.run(&env, Lane::Slow, move |experts| {
            let talk = experts.conversation(id.as_deref(), options)?;
            Ok(Out::object(NativeConversation(Held::new(talk))))
        })
    }

    /// Keeps a fact about a user, and gives it as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn remember(
        &self,
        env: Env,
        user: Unknown<'_>,
        fact: Unknown<'_>,
        source: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let (user, fact) = (arg(&env, &user, "user", text)?, arg(&env, &fact, "fact", text)?);
        let source = maybe(&env, &source, "source")?;
        self.run(&env, Lane::Slow, move |experts| {
            Ok(out(json!(experts.memory().remember(&user, &fact, source.as_deref())?)))
        })
    }

    /// The facts about a user that a question is about, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn recall(
        &self,
        env: Env,
        user: Unknown<'_>,
        question: Unknown<'_>,
        k: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let (user, question) = (arg(&env, &user, "user", text)?, arg(&env, &question, "query", text)?);
        let (k, cancel) = (arg(&env, &k, "k", count)?, flag(cancel));
        self.run(&env, Lane::Slow, move |experts| {
            let found = cancel.cover(|| experts.memory().recall(&user, &question, k))?;
            Ok(out(runtime::facts(&found)))
        })
    }

    /// All facts about a user, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn facts(&self, env: Env, user: Unknown<'_>) -> Result<Promised, Thrown> {
        let user = arg(&env, &user, "user", text)?;
        self.run(&env, Lane::Slow, move |experts| Ok(out(runtime::facts(&experts.memory().facts(&user)?))))
    }

    /// Forgets a fact about a user, or all, and says how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn forget(&self, env: Env, user: Unknown<'_>, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let (user, id) = (arg(&env, &user, "user", text)?, maybe(&env, &id, "id")?);
        self.run(&env, Lane::Slow, move |experts| {
            experts.memory().forget(&user, id.as_deref()).map(Out::count)
        })
    }
}

impl NativeConversation {
    fn run(
        &self,
        env: &Env,
        work: impl FnOnce(&Talk) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let talk = (*self.0).clone();
        promise(env, Lane::Slow, move || work(&talk))
    }
}

#[napi]
impl NativeConversation {
    /// Names it.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.0.id().to_owned()
    }

    /// How it is kept, as JSON.
    #[napi(getter)]
    pub fn options(&self) -> String {
        let options = self.0.options();
        json!({"user": options.user, "maxTokens": options.max_tokens, "keep": options.keep}).to_string()
    }

    /// Its turns, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn turns(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, |talk| Ok(out(runtime::turns(HOST, &talk.turns()?))))
    }

    /// Adds what was said elsewhere.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn add(&self, env: Env, messages: Unknown<'_>) -> Result<Promised, Thrown> {
        let messages = runtime::said(&arg(&env, &messages, "messages", value)?).or_throw()?;
        self.run(&env, move |talk| talk.add(messages).map(|()| Out::Nothing))
    }

    /// Forgets turns, or all, and says how many.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn forget(&self, env: Env, which: Unknown<'_>) -> Result<Promised, Thrown> {
        let which = runtime::forgotten(&arg(&env, &which, "which", value)?).or_throw()?;
        self.run(&env, move |talk| talk.forget(which.as_deref()).map(Out::count))
    }
}
