//! Does a run that another one starts stay within what that one may do?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::Cancel;
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Decision, Effect, FunctionTool, Passage, Pending, Question, Resume, Retrieve, Runtime, RuntimeOptions,
    Tool, ToolCard, Wanted, agent_tool,
};
use quorate_state::{Begun, NewRun, StateStore};
use serde_json::{Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
}

fn registry() -> Option<AgentRegistry> {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
    registry.add(Agent::new("boss", "Boss", "Leads the ward.")).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    Some(registry)
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"tool_calls": [{"id": "c", "name": name, "arguments": arguments}]})
}

/// The boss asks the helper, which calls `send` where there is such a tool.
fn says(request: &Request) -> Value {
    let asked = request.messages.iter().any(|message| message.role == quorate_models::Role::Tool);
    match (request.messages[0].text().contains("Helper"), asked) {
        (false, false) => call("ask_helper", json!({"question": "How many beds?"})),
        (true, false) if request.tools.iter().any(|tool| tool.name == "send") => call("send", json!({})),
        (true, _) => json!("seven"),
        (false, true) => json!("done"),
    }
}

#[test]
fn who_approves_for_a_question_approves_for_what_it_starts() {
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send = FunctionTool::new(card, move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(json!("sent"))
    });
    let send: Arc<dyn Tool> = Arc::new(send.unwrap());
    let anything = |_: &Pending| -> quorate_core::Result<Option<Decision>> { Ok(Some(Decision::Approve)) };
    let options = RuntimeOptions {
        registry: registry(),
        model: Some(model(says)),
        tools: vec![Arc::clone(&send)],
        approve: Some(Arc::new(anything)),
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(options).unwrap();
    let nothing = |_: &Pending| -> quorate_core::Result<Option<Decision>> { Ok(Some(Decision::Deny)) };
    let question = Question {
        tools: Some(vec![agent_tool(&runtime, "helper").unwrap(), send]),
        approve: Some(Arc::new(nothing)),
        ..Question::to("How many?", "boss")
    };
    assert_eq!(runtime.ask(question).unwrap().text, "done");
    assert_eq!(sent.load(Ordering::Relaxed), 0);
}

#[test]
fn tools_of_another_runtime_are_told_of_who_asks_too() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let send = FunctionTool::new(ToolCard::new("send", "", json!({"type": "object"})), move |_, context| {
        let who = context.host.as_ref().and_then(|host| host.downcast_ref::<&str>().copied());
        told.lock().unwrap().push(who);
        Ok(json!("sent"))
    });
    let other = RuntimeOptions {
        registry: registry(),
        model: Some(model(says)),
        tools: vec![Arc::new(send.unwrap())],
        ..RuntimeOptions::default()
    };
    let other = Runtime::new(other).unwrap();
    let options = RuntimeOptions {
        registry: registry(),
        model: Some(model(says)),
        tools: vec![agent_tool(&other, "helper").unwrap()],
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(options).unwrap();
    for host in [Some("ann"), None] {
        let host = host.map(|who| Arc::new(who) as quorate_runtime::HostContext);
        let question = Question { host, ..Question::to("How many?", "boss") };
        assert_eq!(runtime.ask(question).unwrap().text, "done");
    }
    assert_eq!(*seen.lock().unwrap(), [Some("ann"), None]);
}

#[test]
fn the_filter_of_a_question_holds_for_what_it_starts() {
    struct Sources(Arc<Mutex<Vec<bool>>>);
    impl Retrieve for Sources {
        fn passages(&self, _: &str, wanted: &Wanted, _: &Cancel) -> quorate_core::Result<Vec<Passage>> {
            self.0.lock().unwrap().push(wanted.filter.is_some());
            Ok(Vec::new())
        }

        fn embedder(&self) -> Option<Arc<dyn Embed>> {
            None
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let options = RuntimeOptions {
        registry: registry(),
        model: Some(model(says)),
        sources: Some(Arc::new(Sources(Arc::clone(&seen)))),
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(options).unwrap();
    let question = Question {
        tools: Some(vec![agent_tool(&runtime, "helper").unwrap()]),
        filter: Some(json!("patient = 7")),
        ..Question::to("How many?", "boss")
    };
    assert_eq!(runtime.ask(question).unwrap().text, "done");
    assert_eq!(*seen.lock().unwrap(), [true, true]);
}

#[test]
fn what_a_started_run_spent_counts_after_a_kill_too() {
    let of = |store: &StateStore| {
        let options = RuntimeOptions {
            registry: registry(),
            model: Some(model(says)),
            store: Some(store.clone()),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(options).unwrap();
        let tools = vec![agent_tool(&runtime, "helper").unwrap()];
        (runtime, tools)
    };
    let store = StateStore::memory();
    let (runtime, tools) = of(&store);
    let whole = runtime.ask(Question { tools: Some(tools), ..Question::to("How many?", "boss") }).unwrap();
    let child = store.runs(None, None).unwrap().into_iter().find(|run| run.parent.is_some()).unwrap();
    let parent = store.entries(None, &whole.run_id, 1).unwrap();
    let entries = store.entries(None, &child.id, 1).unwrap();
    let running = parent.iter().position(|entry| entry.kind == "running").unwrap();
    // The process was killed when the other run had begun, had been answered, or had ended.
    for left in [1, entries.len() - 1, entries.len()] {
        let copy = StateStore::memory();
        let new = NewRun { id: Some(&whole.run_id), kind: "ask", title: "", ..NewRun::default() };
        let Begun::New(held) = copy.begin(&new, &parent[..=running]).unwrap() else { panic!() };
        drop(held);
        let new = NewRun { id: Some(&child.id), key: child.key.as_deref(), ..new };
        let Begun::New(held) = copy.begin(&new, &entries[..left]).unwrap() else { panic!() };
        if left == entries.len() {
            held.append(&[], Some("done")).unwrap();
        }
        drop(held);
        let (runtime, tools) = of(&copy);
        let again =
            runtime.resume(&whole.run_id, Resume { tools: Some(tools), ..Resume::default() }).unwrap();
        assert_eq!(
            (again.text.as_str(), again.usage, again.cost),
            ("done", whole.usage, whole.cost),
            "{left}"
        );
    }
}
