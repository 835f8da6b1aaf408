//! What do the tests of the server start?
//!
//! `host serve ...` is the server with a small knowledge base, over stdio or HTTP; `host everything PORT` offers what the
//! conformance tests of the protocol ask of a server, on the same way over HTTP; `host client URL` is quorate's client in them.

mod client;
mod everything;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use quorate::Document;
use quorate::agents::{AgentRegistry, RegistryOptions};
use quorate::core::embed::StaticModel;
use quorate::models::{Model, ModelOptions, Reply, ScriptedModel};
use quorate::rag::{KnowledgeBase, OpenOptions};
use quorate::runtime::RuntimeOptions;
use quorate::state::StateStore;
use quorate_mcp_server::{Caller, Limits, Server, Tokens};

type Failed = Box<dyn Error + Send + Sync>;

const USAGE: &str = "host serve [--kb FOLDER] [--http ADDRESS] [--tenant NAME] [--permissions A,B] [--tools A,B] [--open] \
    [--token TOKEN=TENANT]... [--slow MILLISECONDS] [--sessions N] [--idle MILLISECONDS] [--send MILLISECONDS] \
    [--receive MILLISECONDS] | host everything ADDRESS | host client URL";

fn main() -> Result<(), Failed> {
    let mut given = std::env::args().skip(1);
    match given.next().as_deref() {
        Some("serve") => serve(&given.collect::<Vec<_>>()),
        Some("everything") => everything::serve(&given.next().ok_or(USAGE)?),
        Some("client") => client::run(&given.next().ok_or(USAGE)?),
        _ => Err(USAGE.into()),
    }
}

fn serve(given: &[String]) -> Result<(), Failed> {
    let mut named: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut rest = given.iter();
    while let Some(name) = rest.next() {
        let name = name.strip_prefix("--").ok_or(USAGE)?;
        let value = if name == "open" { "" } else { rest.next().ok_or(USAGE)? };
        named.entry(name).or_default().push(value);
    }
    let first = |name: &str| named.get(name).map(|all| all[0]);
    let millis = |name: &str, otherwise: Duration| -> Result<Duration, Failed> {
        Ok(first(name).map(str::parse).transpose()?.map_or(otherwise, Duration::from_millis))
    };
    let list =
        |text: &str| text.split(',').filter(|one| !one.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let kb = match first("kb") {
        Some(folder) => KnowledgeBase::open(folder, OpenOptions::default())?,
        None => KnowledgeBase::in_memory(OpenOptions::default())?,
    };
    fill(&kb)?;
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin()?))?;
    let slow = first("slow").map(str::parse::<u64>).transpose()?;
    let store = first("kb").map(|folder| StateStore::open(format!("{folder}-runs"))).transpose()?;
    let options =
        RuntimeOptions { model: slow.map(slow_model).transpose()?, store, ..RuntimeOptions::default() };
    let usual = Limits::default();
    let limits = Limits {
        sessions: first("sessions").map(str::parse).transpose()?.unwrap_or(usual.sessions),
        session_idle: millis("idle", usual.session_idle)?,
        send: millis("send", usual.send)?,
        receive: millis("receive", usual.receive)?,
        ..usual
    };
    let mut caller = first("tenant").map_or_else(Caller::default, Caller::of);
    caller.permissions = first("permissions").map(list);
    caller.tools = first("tools").map(list);
    let mut server = Server::new(kb).registry(registry).runtime(options).limits(limits).caller(caller);
    if named.contains_key("open") {
        server = server.without_tokens();
    }
    if let Some(pairs) = named.get("token") {
        let mut tokens = Tokens::new();
        for pair in pairs {
            let (token, tenant) = pair.split_once('=').ok_or(USAGE)?;
            let caller = if tenant.is_empty() { Caller::default() } else { Caller::of(tenant) };
            tokens = tokens.token(token, caller)?;
        }
        server = server.tenants(tokens);
    }
    match first("http") {
        Some(address) => {
            let server = server.bind(address)?;
            // Who has started this process waits for the address.
            writeln!(std::io::stdout(), "{}", server.address())?;
            let stop = server.stopper();
            std::thread::spawn(move || {
                // The end of the input is the end of the server.
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                stop.stop();
            });
            Ok(server.serve()?)
        }
        None => Ok(server.serve_stdio()?),
    }
}

/// Documents of nobody in particular and of two tenants, where there are none yet.
fn fill(kb: &KnowledgeBase) -> Result<(), Failed> {
    if kb.count(None)? > 0 {
        return Ok(());
    }
    let text = "Metformin lowers blood glucose. It is contraindicated in severe renal failure. It is taken with meals.";
    kb.add(vec![
        Document::new("metformin", text).metadata_field("year", 2024),
        Document::new("aspirin", "Aspirin inhibits platelets. It may cause bleeding.")
            .metadata_field("year", 2019),
        Document::new("a/b c?ä", "A document whose id needs care in a URI."),
    ])?;
    kb.tenant("acme")?.add(vec![
        Document::new("secret", "The codename of the acme compound is BLUEBIRD. It lowers blood pressure."),
        Document::new("metformin", "Acme's own note on metformin: the dose is halved."),
    ])?;
    kb.tenant("globex")?.add(vec![Document::new("other", "Globex studies insulin pumps.")])?;
    Ok(())
}

/// A model that takes its time, as services do, and ends when it is told to.
fn slow_model(millis: u64) -> Result<Model, Failed> {
    let answer = move |_: &quorate::models::Request, cancel: &quorate::Cancel| {
        let until = std::time::Instant::now() + Duration::from_millis(millis);
        while std::time::Instant::now() < until {
            cancel.check()?;
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Reply::text_of("The sources say that metformin lowers blood glucose [1]."))
    };
    Ok(Model::new(ScriptedModel::of_function(answer), ModelOptions::default())?)
}
