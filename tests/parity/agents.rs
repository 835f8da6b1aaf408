//! How do agent registries answer the fixture?

use std::sync::Arc;

use quorate::agents::{Agent, AgentRegistry, MatchOptions, PanelOptions, RegistryOptions};
use quorate::rag::Filter;
use quorate::{Embed, Embedder, EmbedderOptions, Result};
use serde_json::{Value, json};

use crate::args::Args;
use crate::knowledge::plain;
use crate::{Done, Handle};

/// Calls of the package itself; none for a name that is not here.
pub fn top(call: &str, args: &Args<'_>) -> Option<Result<Done>> {
    (call == "AgentRegistry").then(|| {
        let embedder: Arc<dyn Embed> = Arc::new(Embedder::open("builtin", EmbedderOptions::default())?);
        let options = RegistryOptions { catalog: args.maybe("catalog"), ..RegistryOptions::new(embedder) };
        Ok(Done::made(Handle::Registry(AgentRegistry::open(None, options)?)))
    })
}

/// Calls of a registry.
pub fn on_registry(registry: &AgentRegistry, call: &str, args: &Args<'_>) -> Result<Done> {
    let answer = match call {
        "add" => plain(&*registry.add(Agent::from_json(args.raw("agent"))?)?),
        "remove" => {
            registry.remove(&args.get::<String>("id"))?;
            Value::Null
        }
        "get" => plain(&*registry.get(&args.get::<String>("id"))?),
        "list" => registry.list(filter(args)?.as_ref())?.iter().map(|agent| plain(&**agent)).collect(),
        "match" => {
            let options = constraints(args)?;
            let found = registry.match_agents(&args.get::<String>("query"), &options)?;
            let one = |m: &quorate::agents::Match| {
                json!({
                    "id": m.agent.id, "score": m.score, "confidence": m.confidence, "explain": plain(m.explain()),
                })
            };
            found.iter().map(one).collect()
        }
        "select_panel" => {
            let defaults = PanelOptions::default();
            let options = PanelOptions {
                size: args.or("size", defaults.size),
                min_fit: args.or("min_fit", defaults.min_fit),
                diversity: args.or("diversity", defaults.diversity),
                constraints: constraints(args)?,
                ..defaults
            };
            let panel = registry.select_panel(&args.get::<String>("question"), &options)?;
            let one = |m: &quorate::agents::Member| {
                json!({
                    "id": m.matched.agent.id, "score": m.matched.score, "confidence": m.matched.confidence,
                    "gain": m.gain, "facets": m.facets, "capabilities": m.capabilities,
                })
            };
            let members: Vec<Value> = panel.members.iter().map(one).collect();
            json!({"members": members, "coverage": plain(&panel.coverage)})
        }
        "record_outcome" => {
            let (id, query): (String, String) = (args.get("agent_id"), args.get("query"));
            registry.record_outcome(&id, &query, args.get("reward"))?;
            Value::Null
        }
        "export_card" => registry.export_card(&args.get::<String>("id"))?,
        other => panic!("a registry has no {other}"),
    };
    Ok(Done::answer(answer))
}

fn filter(args: &Args<'_>) -> Result<Option<Filter>> {
    match args.raw("where") {
        Value::Null => Ok(None),
        Value::String(text) => Filter::parse(text).map(Some),
        value => Filter::from_json(value).map(Some),
    }
}

fn constraints(args: &Args<'_>) -> Result<MatchOptions> {
    let defaults = MatchOptions::default();
    Ok(MatchOptions {
        k: args.or("k", defaults.k),
        filter: filter(args)?,
        require: args.or("require", Vec::new()),
        max_cost: args.maybe("max_cost"),
        tenant: args.maybe("tenant"),
        abstain: args.or("abstain", false),
        ..defaults
    })
}
