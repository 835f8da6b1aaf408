//! Do runs that start one another wait, go on, spend and end together?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embedder, EmbedderOptions};
use quorate_core::{Code, Error};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Answer, Budget, Decision, Effect, FunctionTool, Pending, Question, Resume, Runtime, RuntimeOptions,
    Status, Tool, ToolCard, agent_tool,
};
use quorate_state::{Begun, Entry, NewRun, RunRow, StateStore};
use serde_json::{Map, Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
}

fn registry() -> AgentRegistry {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
    registry.add(Agent::new("chief", "Chief", "Runs the house.")).unwrap();
    registry.add(Agent::new("boss", "Boss", "Leads the ward.")).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    let reader = Agent { tools: vec!["read".into()], ..Agent::new("reader", "Reader", "Reads the charts.") };
    registry.add(reader).unwrap();
    registry
}

fn call(id: &str, name: &str, arguments: Value) -> Value {
    json!({"id": id, "name": name, "arguments": arguments})
}

fn results(request: &Request) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    parts.filter(|part| part.to_json()["type"] == "tool_result").count()
}

fn is(request: &Request, name: &str) -> bool {
    request.messages[0].text().contains(&format!("You are {name}."))
}

fn has(request: &Request, tool: &str) -> bool {
    request.tools.iter().any(|one| one.name == tool)
}

/// Chief asks boss, boss asks helper, helper reads and then sends.
fn says(request: &Request) -> Value {
    let question = |text: &str| json!({"question": text});
    match (is(request, "Chief"), is(request, "Boss"), results(request)) {
        (true, _, 0) => json!({"tool_calls": [call("c", "ask_boss", question("How many?"))]}),
        (_, true, 0) => json!({"tool_calls": [call("c", "ask_helper", question("How many beds?"))]}),
        (false, false, 0) => json!({"tool_calls": [call("r", "read", json!({"x": 1}))]}),
        (false, false, 1) => json!({"tool_calls": [call("c", "send", json!({"x": 2}))]}),
        (false, false, _) => json!("seven"),
        _ => json!("done"),
    }
}

type Log = Arc<Mutex<Vec<String>>>;

fn tool(name: &str, effect: Effect, log: &Log) -> Arc<dyn Tool> {
    let (log, known) = (Arc::clone(log), name.to_owned());
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    let card = ToolCard { effect, idempotent: Some(true), ..ToolCard::new(name, "", schema) };
    let run = move |arguments: Map<String, Value>, _: &_| {
        log.lock().unwrap().push(format!("{known} {}", arguments["x"]));
        Ok(json!(arguments["x"]))
    };
    Arc::new(FunctionTool::new(card, run).unwrap())
}

struct House {
    runtime: Runtime,
    log: Log,
    asked: Arc<AtomicU32>,
    tools: Vec<Arc<dyn Tool>>,
}

impl House {
    fn of(store: &StateStore, says: impl Fn(&Request) -> Value + Send + Sync + 'static) -> House {
        let (log, asked) = (Log::default(), Arc::<AtomicU32>::default());
        let count = Arc::clone(&asked);
        let says = model(move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            says(request)
        });
        let own = vec![tool("read", Effect::Read, &log), tool("send", Effect::Write, &log)];
        let options = RuntimeOptions {
            registry: Some(registry()),
            model: Some(says),
            tools: own.clone(),
            store: Some(store.clone()),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(options).unwrap();
        let mut tools = own;
        tools.extend(["boss", "helper", "reader"].map(|id| agent_tool(&runtime, id).unwrap()));
        House { runtime, log, asked, tools }
    }

    fn question(&self, agent: &str) -> Question {
        Question { tools: Some(self.tools.clone()), ..Question::to("How many?", agent) }
    }

    fn decide(&self, run_id: &str, decisions: &[(&str, Decision)]) -> Result<Answer, Error> {
        let decisions = decisions.iter().map(|(id, decision)| ((*id).to_owned(), decision.clone())).collect();
        self.runtime
            .resume(run_id, Resume { decisions, tools: Some(self.tools.clone()), ..Resume::default() })
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

fn rows(store: &StateStore) -> Vec<RunRow> {
    store.runs(None, None).unwrap()
}

fn statuses(store: &StateStore) -> Vec<String> {
    rows(store).into_iter().map(|row| row.status).collect()
}

#[test]
fn what_a_started_run_needs_approval_for_waits_in_the_run_that_asked() {
    for (agent, id, deep) in [("boss", "c/c", 2), ("chief", "c/c/c", 3)] {
        let store = StateStore::memory();
        let house = House::of(&store, says);
        let waiting = house.runtime.ask(house.question(agent)).unwrap();
        assert_eq!((waiting.status, waiting.pending.len()), (Status::Waiting, 1));
        let one = &waiting.pending[0];
        assert_eq!((one.id.as_str(), one.name.as_str(), one.effect.as_str()), (id, "send", "write"));
        assert_eq!((one.agent.as_deref(), &one.arguments["x"]), (Some("helper"), &json!(2)));
        let inner = rows(&store).pop().unwrap();
        assert_eq!(one.run_id.as_deref(), Some(inner.id.as_str()));
        assert_eq!(statuses(&store), vec!["waiting"; deep]);
        let requests = house.asked.load(Ordering::SeqCst);
        // Bad decisions change nothing.
        let unknown = house.decide(&waiting.run_id, &[("c", Decision::Approve)]).unwrap_err();
        assert_eq!(unknown.code(), Code::UnknownId);
        let edited = |x: Value| Decision::Arguments(Map::from_iter([("x".to_owned(), x)]));
        let refused = house.decide(&waiting.run_id, &[(id, edited(json!("two")))]).unwrap_err();
        assert_eq!(
            (refused.code(), statuses(&store)),
            (Code::ToolArguments, vec!["waiting".to_owned(); deep])
        );
        let answer = house.decide(&waiting.run_id, &[(id, edited(json!(3)))]).unwrap();
        assert_eq!((answer.status, answer.text.as_str()), (Status::Done, "done"));
        assert_eq!(house.log(), ["read 1", "send 3"]);
        assert_eq!(statuses(&store), vec!["done"; deep]);
        // No finished request was made again, and each was counted once.
        assert_eq!(house.asked.load(Ordering::SeqCst), requests + deep as u32);
        let at_once = House::of(&StateStore::memory(), says);
        let approve = |_: &Pending| -> Result<Option<Decision>, Error> { Ok(Some(Decision::Approve)) };
        let question = Question { approve: Some(Arc::new(approve)), ..at_once.question(agent) };
        let whole = at_once.runtime.ask(question).unwrap();
        assert_eq!(answer.usage, whole.usage);
        assert!((answer.cost.unwrap() - whole.cost.unwrap()).abs() < 1e-12);
    }
}

#[test]
fn what_was_spent_before_it_waits_is_counted_while_it_waits() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let inner = house.runtime.run(&rows(&store)[1].id).unwrap().answer().unwrap();
    assert!(inner.usage.input > 0 && waiting.usage.input > inner.usage.input);
}

#[test]
fn a_started_run_that_is_denied_tells_its_model() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let answer = house.decide(&waiting.run_id, &[("c/c", Decision::Deny)]).unwrap();
    assert_eq!((answer.status, house.log()), (Status::Done, vec!["read 1".to_owned()]));
}

#[test]
fn of_two_started_runs_each_goes_on_when_it_is_decided() {
    let both = |request: &Request| match (is(request, "Boss"), results(request)) {
        (true, 0) => json!({"tool_calls": [
            call("p", "ask_helper", json!({"question": "beds?"})), call("q", "ask_helper", json!({"question": "chairs?"})),
            call("s", "read", json!({"x": 9}))]}),
        (false, 0) => {
            json!({"tool_calls": [call("w", "send", json!({"x": if request.messages.last().unwrap().text().contains("beds") { 1 } else { 2 }}))]})
        }
        _ => json!("done"),
    };
    let store = StateStore::memory();
    let house = House::of(&store, both);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let ids = |answer: &Answer| answer.pending.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&waiting), house.log()),
        (vec!["p/w".to_owned(), "q/w".to_owned()], vec!["read 9".to_owned()])
    );
    let still = house.decide(&waiting.run_id, &[("q/w", Decision::Approve)]).unwrap();
    assert_eq!((still.status, ids(&still)), (Status::Waiting, vec!["p/w".to_owned()]));
    assert_eq!(house.log(), ["read 9", "send 2"]);
    let answer = house.decide(&waiting.run_id, &[("p/w", Decision::Approve)]).unwrap();
    assert_eq!((answer.status, house.log().len()), (Status::Done, 3));
}

#[test]
fn who_decides_in_the_started_run_itself_is_heard() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let inner = waiting.pending[0].run_id.clone().unwrap();
    assert_eq!(house.decide(&inner, &[("c", Decision::Approve)]).unwrap().text, "seven");
    let answer = house.decide(&waiting.run_id, &[]).unwrap();
    assert_eq!((answer.status, house.log()), (Status::Done, vec!["read 1".to_owned(), "send 2".to_owned()]));
}

#[test]
fn who_is_there_to_approve_later_is_asked_about_the_started_run() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let seen: Log = Log::default();
    let keep = Arc::clone(&seen);
    let approve = move |one: &Pending| -> Result<Option<Decision>, Error> {
        keep.lock().unwrap().push(one.name.clone());
        Ok(Some(Decision::Approve))
    };
    let going_on =
        Resume { tools: Some(house.tools.clone()), approve: Some(Arc::new(approve)), ..Resume::default() };
    let answer = house.runtime.resume(&waiting.run_id, going_on).unwrap();
    assert_eq!((answer.status, seen.lock().unwrap().clone()), (Status::Done, vec!["send".to_owned()]));
    // Who says nothing is asked once, and not by each of the runs.
    let seen: Log = Log::default();
    let keep = Arc::clone(&seen);
    let silent = move |one: &Pending| -> Result<Option<Decision>, Error> {
        keep.lock().unwrap().push(one.id.clone());
        Ok(None)
    };
    let question = Question { approve: Some(Arc::new(silent)), ..house.question("boss") };
    assert_eq!(house.runtime.ask(question).unwrap().status, Status::Waiting);
    assert_eq!(seen.lock().unwrap().clone(), ["c"]);
}

#[test]
fn nobody_is_asked_below_an_autonomous_run_without_somebody_to_ask() {
    let plans = |request: &Request| match request.messages.last().unwrap().text() {
        said if said.contains("Make a plan first") => json!("{\"steps\": [\"ask\"]}"),
        _ => says(request),
    };
    let store = StateStore::memory();
    let house = House::of(&store, plans);
    let answer = house.runtime.ask(Question { autonomous: true, ..house.question("boss") }).unwrap();
    assert_eq!((answer.status, house.log()), (Status::Done, vec!["read 1".to_owned()]));
    assert_eq!(statuses(&store), ["done", "done"]);
}

/// A store in which runs are as their journals were when their process was killed.
fn killed(runs: &[(&RunRow, &[Entry], Option<&str>)]) -> StateStore {
    let store = StateStore::memory();
    for (row, entries, status) in runs {
        let new = NewRun {
            id: Some(&row.id),
            kind: &row.kind,
            title: &row.title,
            parent: row.parent.as_deref(),
            key: row.key.as_deref(),
            ..NewRun::default()
        };
        let Begun::New(held) = store.begin(&new, entries).unwrap() else { panic!() };
        held.append(&[], *status).unwrap();
    }
    store
}

#[test]
fn killed_anywhere_while_it_waits_for_a_started_run_it_ends_alike() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("boss")).unwrap();
    let whole = house.decide(&waiting.run_id, &[("c/c", Decision::Approve)]).unwrap();
    let family = rows(&store);
    let (outer, inner) = (&family[0], &family[1]);
    let journal = |row: &RunRow| store.entries(None, &row.id, 1).unwrap();
    let (above, below) = (journal(outer), journal(inner));
    let at = |entries: &[Entry], kind: &str| entries.iter().position(|entry| entry.kind == kind).unwrap() + 1;
    let status = |entries: &[Entry]| match entries.last().unwrap().kind.as_str() {
        "waiting" => Some("waiting"),
        "ended" => Some("done"),
        _ => None,
    };
    let (asks, waits) = (at(&above, "asks"), at(&below, "waiting"));
    let mut seen = 0;
    for n in at(&above, "running")..=above.len() {
        for m in 1..=below.len() {
            // What the outer run knows has happened in the inner one, and not the other way round.
            let known = if n < asks {
                m <= waits
            } else if n < above.len() - 2 {
                m >= waits
            } else {
                m == below.len()
            };
            if !known || (m > waits && above[..n].iter().all(|entry| entry.kind != "decided")) {
                continue;
            }
            let (above, below) = (&above[..n], &below[..m]);
            let store = killed(&[(outer, above, status(above)), (inner, below, status(below))]);
            let house = House::of(&store, says);
            let mut answer = house.decide(&outer.id, &[]).unwrap();
            if answer.status == Status::Waiting {
                assert_eq!(answer.pending[0].id, "c/c", "{n} {m}");
                answer = house.decide(&outer.id, &[("c/c", Decision::Approve)]).unwrap();
            }
            assert_eq!((answer.status, answer.text.as_str()), (Status::Done, "done"), "{n} {m}");
            assert_eq!(answer.usage, whole.usage, "{n} {m}");
            let ran = |name: &str| {
                below.iter().filter(|entry| entry.kind == "returned").any(|entry| entry.data["id"] == name)
            };
            // What has returned does not run again, and all else does once.
            let expected: Vec<&str> = [("r", "read 1"), ("c", "send 2")]
                .iter()
                .filter(|(id, _)| !ran(id))
                .map(|(_, line)| *line)
                .collect();
            assert_eq!(house.log(), expected, "{n} {m}");
            assert_eq!(statuses(&store), ["done", "done"], "{n} {m}");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn a_started_run_may_use_what_the_run_may_use_that_asks_and_its_definition_names() {
    let seen: Log = Log::default();
    let keep = Arc::clone(&seen);
    let looks = move |request: &Request| {
        let helps = is(request, "Helper") || is(request, "Reader");
        if helps {
            let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
            keep.lock().unwrap().push(names.join(" "));
            return json!("seven");
        }
        let asks = if has(request, "ask_reader") { "ask_reader" } else { "ask_helper" };
        match results(request) {
            0 => json!({"tool_calls": [call("c", asks, json!({"question": "beds?"}))]}),
            _ => json!("done"),
        }
    };
    let store = StateStore::memory();
    let house = House::of(&store, looks);
    let only = |names: &[&str]| {
        let tools = house.tools.iter().filter(|tool| names.contains(&tool.card().name.as_str()));
        let question = Question { tools: Some(tools.cloned().collect()), ..house.question("boss") };
        assert_eq!(house.runtime.ask(question).unwrap().text, "done");
        seen.lock().unwrap().pop().unwrap()
    };
    assert_eq!(only(&["read", "ask_helper"]), "read ask_helper");
    assert_eq!(only(&["ask_helper"]), "ask_helper");
    assert_eq!(only(&["read", "send", "ask_reader"]), "read");
    assert_eq!(only(&["send", "ask_reader"]), "");
    // Of the same runtime with other tools, too.
    let tools = house.tools.iter().filter(|tool| ["send", "ask_helper"].contains(&tool.card().name.as_str()));
    let other = house.runtime.with(tools.cloned().collect(), None).unwrap();
    assert_eq!(other.ask(Question::to("How many?", "boss")).unwrap().text, "done");
    assert_eq!(seen.lock().unwrap().pop().unwrap(), "send ask_helper");
}

#[test]
fn a_run_is_deleted_with_those_that_it_has_started() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("chief")).unwrap();
    let other = house.runtime.ask(house.question("boss")).unwrap();
    assert_eq!(rows(&store).len(), 5);
    // While somebody goes on with it nothing of it is deleted.
    let held = store.take(None, &waiting.run_id).unwrap();
    assert_eq!(house.runtime.delete(&waiting.run_id).unwrap_err().code(), Code::RunConflict);
    assert_eq!(rows(&store).len(), 5);
    drop(held);
    house.runtime.delete(&waiting.run_id).unwrap();
    let left: Vec<String> = rows(&store).into_iter().map(|row| row.id).collect();
    assert_eq!((left.len(), left.contains(&other.run_id)), (2, true));
    assert_eq!(house.runtime.delete(&waiting.run_id).unwrap_err().code(), Code::UnknownId);
}

#[test]
fn a_run_that_waits_is_cancelled_with_those_that_it_has_started() {
    let store = StateStore::memory();
    let house = House::of(&store, says);
    let waiting = house.runtime.ask(house.question("chief")).unwrap();
    house.runtime.cancel(&waiting.run_id).unwrap();
    assert_eq!(statuses(&store), vec!["cancelled"; 3]);
}

#[test]
fn a_started_run_that_goes_on_by_itself_has_what_all_have_left() {
    let endless = |request: &Request| {
        if request.tool_choice == quorate_models::ToolChoice::None {
            return json!("as far as it goes");
        }
        match (is(request, "Boss"), results(request)) {
            (true, 0) => json!({"tool_calls": [call("c", "ask_helper", json!({"question": "beds?"}))]}),
            (true, _) => json!("done"),
            (false, 0) => json!({"tool_calls": [call("c", "send", json!({"x": 2}))]}),
            (false, n) => json!({"tool_calls": [call("r", "read", json!({"x": n}))]}),
        }
    };
    let store = StateStore::memory();
    let house = House::of(&store, endless);
    let budget = Some(Budget { max_steps: Some(6), ..Budget::default() });
    let waiting = house.runtime.ask(Question { budget, ..house.question("boss") }).unwrap();
    let inner = waiting.pending[0].run_id.clone().unwrap();
    let before = house.asked.load(Ordering::SeqCst);
    let alone = house.decide(&inner, &[("c", Decision::Approve)]).unwrap();
    assert_eq!(alone.stopped_by.as_deref(), Some("max_steps"));
    // Of six requests two were made, and one is held back for the answer of the run that has asked.
    assert_eq!((before, house.asked.load(Ordering::SeqCst)), (2, 5));
    let answer = house.decide(&waiting.run_id, &[]).unwrap();
    assert_eq!(answer.text, "as far as it goes");
    assert_eq!(house.asked.load(Ordering::SeqCst), 6);
}
