//! How are experts registered and found from Node?

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate::agents::{Agent, AgentRegistry, Event, EventKind, Events, Match, Panel, RegistryOptions};
use quorate::core::embed::Embed;
use quorate::rag::Filter;
use quorate::{Code, Embedder, EmbedderOptions, Error, Result};
use quorate_bindings::{Host, agents as shared};
use serde_json::{Value, json};

use crate::convert::{self, Out, arg, args, camel, list, number, report, text, texts};
use crate::door::{Lane, Later, NativeCancel, Promised, flag, later, promise};
use crate::embed::{NativeEmbedder, Opening};
use crate::errors::{OrThrow, Thrown, engine, invalid};
use crate::value::Given;

/// Agents, found by what they can do.
#[napi(js_name = "AgentRegistry")]
pub struct NativeAgentRegistry {
    /// None once it is closed.
    registry: Mutex<Option<Opening<AgentRegistry>>>,
    /// Whether a question may take longer than a few milliseconds to embed: over the network.
    slow: bool,
}

fn definition(given: Given, what: &str) -> Result<Agent> {
    Agent::from_json(&quorate_bindings::snake(object(given, what)?))
}

fn object(given: Given, what: &str) -> Result<Value> {
    match given {
        given @ Given::Object(_) => convert::json(given, what),
        other => Err(invalid(format!("{what} is {}; an object is expected", other.kind()))),
    }
}

fn filter(given: Given, what: &str) -> Result<Filter> {
    match given {
        Given::Text(text) => Filter::parse(&text),
        other => Filter::from_json(&object(other, what)?),
    }
}

/// The JSON Schema (draft 2020-12) of an agent, whose members have JavaScript's names, as JSON.
#[napi]
pub fn agent_schema() -> String {
    fn named(value: Value) -> Value {
        match value {
            Value::Object(members) => Value::Object(
                members
                    .into_iter()
                    .map(|(name, value)| match (name.as_str(), value) {
                        ("required", Value::Array(names)) => {
                            let names =
                                names.iter().filter_map(Value::as_str).map(|name| Host::Node.name(name));
                            (name, names.collect())
                        }
                        (_, value) => (Host::Node.name(&name), named(value)),
                    })
                    .collect(),
            ),
            Value::Array(items) => items.into_iter().map(named).collect(),
            other => other,
        }
    }
    named(Agent::json_schema()).to_string()
}

fn to_json(agent: &Agent) -> Result<Value> {
    serde_json::to_value(agent)
        .map(camel)
        .map_err(|e| engine(format!("an agent could not be converted: {e}")))
}

fn matched(found: &Match) -> Result<Value> {
    let explanation = found.explain();
    let value = serde_json::to_value(explanation)
        .map_err(|e| engine(format!("an explanation could not be converted: {e}")))?;
    Ok(json!({
        "agent": to_json(&found.agent)?, "score": found.score, "confidence": found.confidence,
        "explanation": camel(value), "text": explanation.to_string(),
    }))
}

fn panel(panel: &Panel) -> Result<Value> {
    let members = panel
        .members
        .iter()
        .map(|member| {
            let mut out = matched(&member.matched)?;
            out["fit"] = member.fit.into();
            out["seat"] = json!(member.seat);
            out["gain"] = member.gain.into();
            out["facets"] = json!(member.facets);
            out["capabilities"] = json!(member.capabilities);
            Ok(out)
        })
        .collect::<Result<Vec<_>>>()?;
    let coverage = serde_json::to_value(&panel.coverage)
        .map_err(|e| engine(format!("a coverage could not be converted: {e}")))?;
    Ok(
        json!({ "members": members, "coverage": camel(coverage), "smaller": panel.smaller, "text": panel.explain() }),
    )
}

/// A question, and the id of the agent that answers it.
fn answered(pair: Given, what: &str) -> Result<(String, Option<String>)> {
    let mut pair = list(pair, what)?.into_iter();
    let (Some(question), Some(id), None) = (pair.next(), pair.next(), pair.next()) else {
        let expected = "a question and the id of an agent, or null, are expected";
        return Err(invalid(format!("{what} is no pair; {expected}")));
    };
    let id = if id.is_missing() { None } else { Some(text(id, &format!("{what}[1]"))?) };
    Ok((text(question, &format!("{what}[0]"))?, id))
}

impl NativeAgentRegistry {
    /// The registry, which may still be opening. Errors: `closed`.
    pub fn handle(&self) -> Result<Opening<AgentRegistry>> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner).clone();
        registry.ok_or_else(|| Error::new(Code::Closed, "the registry has been closed"))
    }

    fn run(
        &self,
        env: &Env,
        lane: Lane,
        work: impl FnOnce(&AgentRegistry) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let registry = self.handle();
        promise(env, lane, move || work(&registry?.get()?))
    }

    /// The same, which `cancel` stops.
    fn stoppable(
        &self,
        env: &Env,
        lane: Lane,
        cancel: Option<&NativeCancel>,
        work: impl FnOnce(&AgentRegistry) -> Result<Out> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        let flag = flag(cancel);
        self.run(env, lane, move |registry| work(&registry.cancelled_by(&flag)))
    }

    fn read<T: Into<Value>>(
        &self,
        env: &Env,
        work: impl FnOnce(&AgentRegistry) -> Result<T> + Send + 'static,
    ) -> Result<Promised, Thrown> {
        self.run(env, Lane::Slow, |registry| Ok(Out::Text(work(registry)?.into().to_string())))
    }

    fn lane(&self) -> Lane {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match &*registry {
            Some(registry) if registry.is_done() && !self.slow => Lane::Quick,
            _ => Lane::Slow,
        }
    }
}

#[napi]
impl NativeAgentRegistry {
    /// Starts to open the registry in a file, or one in memory. Options: `path`, `model`, `catalog`.
    #[napi(factory)]
    pub fn open(
        env: Env,
        embedder: Option<&NativeEmbedder>,
        options: Unknown<'_>,
    ) -> Result<NativeAgentRegistry, Thrown> {
        let read = args(&env, &options, "options of an AgentRegistry").and_then(|mut args| {
            let (path, model) = (args.maybe("path", text)?, args.maybe("model", text)?);
            let catalog = match args.take("catalog") {
                Given::Undefined => Some("healthcare".to_owned()),
                Given::Null => None,
                given => Some(text(given, "catalog")?),
            };
            let (tuning, policy) = shared::learning(&mut args)?;
            args.done()?;
            Ok((path, model, catalog, tuning, policy))
        });
        let (path, model, catalog, tuning, policy) = read.or_throw()?;
        let slow = embedder.is_some_and(|embedder| embedder.slow);
        let embedder: Option<Opening<Arc<dyn Embed>>> = embedder.map(|embedder| embedder.model.clone());
        let registry = Opening::start(move || {
            let embedder: Arc<dyn Embed> = match embedder {
                Some(embedder) => embedder.get()?,
                None => {
                    let model = model.unwrap_or_else(|| "builtin".to_owned());
                    Arc::new(Embedder::open(&model, EmbedderOptions::default())?)
                }
            };
            let options = RegistryOptions { catalog, tuning, policy, ..RegistryOptions::new(embedder) };
            AgentRegistry::open(path.as_deref().map(Path::new), options)
        });
        Ok(NativeAgentRegistry { registry: Mutex::new(Some(registry.or_throw()?)), slow })
    }

    /// Resolves when the registry is open.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn ready(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |_| Ok(Out::Nothing))
    }

    /// A handle for one tenant.
    #[napi(ts_return_type = "Promise<AgentRegistry>")]
    pub fn tenant(&self, env: Env, name: Unknown<'_>) -> Result<Promised, Thrown> {
        let name = arg(&env, &name, "tenant", text)?;
        let slow = self.slow;
        self.run(&env, Lane::Slow, move |registry| {
            let registry = Opening::opened(registry.tenant(&name)?);
            Ok(Out::object(NativeAgentRegistry { registry: Mutex::new(Some(registry)), slow }))
        })
    }

    /// Adds an agent and gives it back whole, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn add(&self, env: Env, agent: Unknown<'_>) -> Result<Promised, Thrown> {
        let agent = arg(&env, &agent, "agent", definition)?;
        self.read(&env, |registry| to_json(&*registry.add(agent)?))
    }

    /// Adds many agents at once and gives them back whole, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn add_all(
        &self,
        env: Env,
        agents: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let agents = arg(&env, &agents, "agents", |given, what| match given {
            Given::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| definition(item, &format!("{what}[{i}]")))
                .collect::<Result<Vec<_>>>(),
            other => Err(invalid(format!("{what} is {}; an array is expected", other.kind()))),
        })?;
        self.stoppable(&env, Lane::Slow, cancel, |registry| {
            let added = registry.add_all(agents)?;
            let added = added.iter().map(|agent| to_json(agent)).collect::<Result<Vec<_>>>()?;
            Ok(Out::Text(Value::Array(added).to_string()))
        })
    }

    /// Replaces an agent and gives it back whole, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn update(&self, env: Env, agent: Unknown<'_>) -> Result<Promised, Thrown> {
        let agent = arg(&env, &agent, "agent", definition)?;
        self.read(&env, |registry| to_json(&*registry.update(agent)?))
    }

    /// Removes an agent.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn remove(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.run(&env, Lane::Slow, move |registry| registry.remove(&id).map(|()| Out::Nothing))
    }

    /// An agent, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn get(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.read(&env, move |registry| to_json(&*registry.get(&id)?))
    }

    /// The agents that match a filter, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn list(&self, env: Env, by: Unknown<'_>) -> Result<Promised, Thrown> {
        let by = arg(&env, &by, "where", |given, what| match given.is_missing() {
            true => Ok(None),
            false => filter(given, what).map(Some),
        })?;
        self.read(&env, move |registry| {
            registry.list(by.as_ref())?.iter().map(|agent| to_json(agent)).collect::<Result<Vec<_>>>()
        })
    }

    /// How many agents there are.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn count(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |registry| Ok(Out::count(registry.len())))
    }

    /// The best agents for a question, as JSON.
    #[napi(js_name = "match", ts_return_type = "Promise<string>")]
    pub fn match_agents(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let question = arg(&env, &question, "question", text)?;
        let read = args(&env, &options, "options of match").and_then(|mut args| {
            let filter = args.maybe("where", filter)?;
            shared::matching(args, filter)
        });
        let (options, vector) = read.or_throw()?;
        self.stoppable(&env, self.lane(), cancel, move |registry| {
            let found = match vector {
                Some(vector) => registry.match_vector(&question, &vector, &options)?,
                None => registry.match_agents(&question, &options)?,
            };
            let found = found.iter().map(matched).collect::<Result<Vec<_>>>()?;
            Ok(Out::Text(Value::Array(found).to_string()))
        })
    }

    /// Agents that complement each other on a question, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn select_panel(
        &self,
        env: Env,
        question: Unknown<'_>,
        options: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let question = arg(&env, &question, "question", text)?;
        let read = args(&env, &options, "options of selectPanel").and_then(|mut args| {
            let filter = args.maybe("where", filter)?;
            shared::panel(args, filter)
        });
        let options = read.or_throw()?;
        self.stoppable(&env, self.lane(), cancel, move |registry| {
            Ok(Out::Text(panel(&registry.select_panel(&question, &options)?)?.to_string()))
        })
    }

    /// Records how well an agent did on a question, 0 to 1.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn record_outcome(
        &self,
        env: Env,
        id: Unknown<'_>,
        question: Unknown<'_>,
        reward: Unknown<'_>,
    ) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "agentId", text)?;
        let question = arg(&env, &question, "query", text)?;
        let reward = arg(&env, &reward, "reward", number)?;
        self.run(&env, Lane::Slow, move |registry| {
            registry.record_outcome(&id, &question, reward).map(|()| Out::Nothing)
        })
    }

    /// Adds the agent of an A2A card and gives it back whole, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn import_card(&self, env: Env, card: Unknown<'_>) -> Result<Promised, Thrown> {
        let card = arg(&env, &card, "card", |given, what| match given {
            Given::Text(text) => {
                serde_json::from_str(&text).map_err(|e| invalid(format!("{what} is not JSON: {e}")))
            }
            given => object(given, what),
        })?;
        self.read(&env, move |registry| to_json(&*registry.import_card(&card)?))
    }

    /// The A2A card of an agent, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn export_card(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.read(&env, move |registry| registry.export_card(&id))
    }

    /// Adds the agents of a catalogue file; says how many there are.
    #[napi(ts_return_type = "Promise<number>")]
    pub fn load(
        &self,
        env: Env,
        path: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let path = arg(&env, &path, "path", text)?;
        self.stoppable(&env, Lane::Slow, cancel, move |registry| registry.load(&path).map(Out::count))
    }

    /// Writes the agents to a catalogue file.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn save(&self, env: Env, path: Unknown<'_>) -> Result<Promised, Thrown> {
        let path = arg(&env, &path, "path", text)?;
        self.run(&env, Lane::Slow, move |registry| registry.save(&path).map(|()| Out::Nothing))
    }

    /// The questions that are stated to be nobody's.
    #[napi(ts_return_type = "Promise<Array<string>>")]
    pub fn out_of_scope(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |registry| {
            Ok(Out::List(registry.out_of_scope().into_iter().map(Out::Text).collect()))
        })
    }

    /// States which questions are nobody's.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn set_out_of_scope(
        &self,
        env: Env,
        questions: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let questions = arg(&env, &questions, "questions", texts)?;
        self.stoppable(&env, Lane::Slow, cancel, move |registry| {
            registry.set_out_of_scope(questions).map(|()| Out::Nothing)
        })
    }

    /// The numbers that turn scores into confidence, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn calibration(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |registry| report(&registry.calibration()))
    }

    /// Fits confidence to pairs of a question and the id of the agent that answers it, or null; the numbers as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn calibrate(
        &self,
        env: Env,
        questions: Unknown<'_>,
        cancel: Option<&NativeCancel>,
    ) -> Result<Promised, Thrown> {
        let questions = arg(&env, &questions, "questions", |given, what| {
            let pairs = list(given, what)?.into_iter().enumerate();
            pairs.map(|(i, pair)| answered(pair, &format!("{what}[{i}]"))).collect::<Result<Vec<_>>>()
        })?;
        self.stoppable(&env, Lane::Slow, cancel, move |registry| {
            let questions: Vec<(&str, Option<&str>)> =
                questions.iter().map(|(question, id)| (question.as_str(), id.as_deref())).collect();
            report(&registry.calibrate(&questions)?)
        })
    }

    /// Every version of an agent, oldest first, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn versions(&self, env: Env, id: Unknown<'_>) -> Result<Promised, Thrown> {
        let id = arg(&env, &id, "id", text)?;
        self.read(&env, move |registry| {
            let one = |version: &quorate::agents::AgentVersion| {
                let agent = version.agent.as_ref().map(to_json).transpose()?;
                Ok(json!({ "revision": version.revision, "agent": agent }))
            };
            registry.versions(&id)?.iter().map(one).collect::<Result<Vec<Value>>>()
        })
    }

    /// The capabilities that agents may name, with their titles, as JSON.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn taxonomy(&self, env: Env) -> Result<Promised, Thrown> {
        self.read(&env, |registry| {
            let titles: serde_json::Map<String, Value> =
                registry.taxonomy().iter().map(|(name, title)| (name.to_owned(), title.into())).collect();
            Ok(titles)
        })
    }

    /// Changes from now on.
    #[napi(ts_return_type = "Promise<AgentEvents>")]
    pub fn subscribe(&self, env: Env) -> Result<Promised, Thrown> {
        self.run(&env, Lane::Slow, |registry| Ok(Out::object(NativeAgentEvents::of(registry.subscribe()))))
    }

    /// Lets go of the file once every tenant's handle is closed too.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn close(&self, env: Env) -> Result<Promised, Thrown> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner).take();
        promise(&env, Lane::Slow, move || {
            drop(registry.map(|registry| registry.get()));
            Ok(Out::Nothing)
        })
    }
}

/// Changes of a registry, as they happen. No thread waits for them.
#[napi(js_name = "AgentEvents")]
pub struct NativeAgentEvents(Arc<Heard>);

struct Heard {
    /// None once nobody listens any more.
    events: Mutex<Option<Events>>,
    /// Who waits for the next one.
    next: Mutex<Option<Later>>,
}

impl Heard {
    fn events(&self) -> MutexGuard<'_, Option<Events>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> MutexGuard<'_, Option<Later>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles who waits, if there is something to hear or nothing will come.
    fn deliver(&self) {
        let mut next = self.next();
        if next.is_none() {
            return;
        }
        let (event, ended) = match &*self.events() {
            Some(events) => (events.try_next(), events.is_ended()),
            None => (None, true),
        };
        let out = match event {
            Some(event) => Out::Text(event_json(&event)),
            None if ended => Out::Nothing,
            None => return,
        };
        if let Some(later) = next.take() {
            later.settle(Ok(out));
        }
    }
}

fn event_json(event: &Event) -> String {
    let kind = match event.kind {
        EventKind::Added => "added",
        EventKind::Updated => "updated",
        EventKind::Removed => "removed",
        EventKind::Outcome => "outcome",
        EventKind::Missed => "missed",
        _ => "other",
    };
    json!({ "revision": event.revision, "kind": kind, "tenant": event.tenant, "id": event.id }).to_string()
}

impl NativeAgentEvents {
    fn of(events: Events) -> Self {
        let heard = Arc::new(Heard { events: Mutex::new(Some(events)), next: Mutex::new(None) });
        // The queue holds the waker, so the waker must not hold the queue.
        let weak = Arc::downgrade(&heard);
        if let Some(events) = &*heard.events() {
            events.wake_by(move || {
                if let Some(heard) = weak.upgrade() {
                    heard.deliver();
                }
            });
        }
        NativeAgentEvents(heard)
    }
}

#[napi]
impl NativeAgentEvents {
    /// The next event as JSON; undefined when none will come any more. One call at a time waits.
    #[napi(ts_return_type = "Promise<string | undefined>")]
    pub fn next(&self, env: Env) -> Result<Promised, Thrown> {
        let (promised, later) = later(&env)?;
        // Of two that wait, the first gets undefined: dropped unsettled.
        drop(self.0.next().replace(later));
        self.0.deliver();
        Ok(promised)
    }

    /// Ends the listening: who waits gets undefined.
    #[napi]
    pub fn close(&self) {
        drop(self.0.events().take());
        self.0.deliver();
    }
}
