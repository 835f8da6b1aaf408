//! Does nothing run that nobody has decided, is nothing lost of what was spent, and does nothing come back that was forgotten?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embedder, EmbedderOptions};
use quorate_core::{Cancel, Code, Error};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Answer, Budget, Conversation, ConversationOptions, Decision, Effect, FunctionTool, Keep, Question,
    Resume, Runtime, RuntimeOptions, Status, Tool, ToolCard, agent_tool,
};
use quorate_state::StateStore;
use serde_json::{Map, Value, json};

type Says = dyn Fn(&Request, &Cancel) -> quorate_core::Result<Value> + Send + Sync;

fn model(answer: Arc<Says>) -> Model {
    let script = ScriptedModel::of_function(move |request, cancel| {
        ScriptedModel::reply_from_json(&answer(request, cancel)?)
    });
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
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

type Log = Arc<Mutex<Vec<String>>>;

struct House {
    runtime: Runtime,
    tools: Vec<Arc<dyn Tool>>,
    log: Log,
}

impl House {
    /// Boss asks helper, who may read and send.
    fn of(
        store: &StateStore,
        answer: impl Fn(&Request, &Cancel) -> quorate_core::Result<Value> + Send + Sync + 'static,
    ) -> House {
        let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
        let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
        registry.add(Agent::new("boss", "Boss", "Leads the ward.")).unwrap();
        registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
        let log = Log::default();
        let tool = |name: &'static str, effect: Effect| -> Arc<dyn Tool> {
            let log = Arc::clone(&log);
            let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
            let card = ToolCard { effect, ..ToolCard::new(name, "", schema) };
            let run = move |arguments: Map<String, Value>, _: &_| {
                log.lock().unwrap().push(format!("{name} {}", arguments["x"]));
                Ok(json!("done"))
            };
            Arc::new(FunctionTool::new(card, run).unwrap())
        };
        let mut tools = vec![tool("read", Effect::Read), tool("send", Effect::Write)];
        let runtime = Runtime::new(RuntimeOptions {
            registry: Some(registry),
            model: Some(model(Arc::new(answer))),
            tools: tools.clone(),
            store: Some(store.clone()),
            ..RuntimeOptions::default()
        })
        .unwrap();
        tools.push(agent_tool(&runtime, "helper").unwrap());
        House { runtime, tools, log }
    }

    fn question(&self) -> Question {
        Question { tools: Some(self.tools.clone()), ..Question::to("How many?", "boss") }
    }

    fn decide(&self, run_id: &str, decisions: &[(&str, Decision)]) -> Result<Answer, Error> {
        let decisions = decisions.iter().map(|(id, decision)| ((*id).to_owned(), decision.clone())).collect();
        let going_on = Resume { decisions, tools: Some(self.tools.clone()), ..Resume::default() };
        self.runtime.resume(run_id, going_on)
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

#[test]
fn a_call_cannot_take_the_name_of_what_waits_in_a_started_run() {
    let store = StateStore::memory();
    let house = House::of(&store, |request, _| {
        Ok(match (is(request, "Boss"), results(request)) {
            (true, 0) => json!({"tool_calls": [
                call("c", "ask_helper", json!({"question": "beds?"})), call("c/c", "send", json!({"x": 1}))]}),
            (false, 0) => json!({"tool_calls": [call("c", "send", json!({"x": 666}))]}),
            _ => json!("done"),
        })
    });
    let waiting = house.runtime.ask(house.question()).unwrap();
    let seen = waiting.pending[0].clone();
    assert_eq!((seen.name.as_str(), &seen.arguments["x"]), ("send", &json!(1)));
    let decided = [(seen.id.as_str(), Decision::Approve)];
    let below = house.decide(&waiting.run_id, &decided).unwrap();
    assert_eq!((below.status, &below.pending[0].arguments["x"]), (Status::Waiting, &json!(666)));
    // Whoever did not hear of it says the same once more: it was about another call.
    let again = house.decide(&waiting.run_id, &decided);
    assert_eq!(house.log(), ["send 1"]);
    assert_eq!(again.unwrap_err().code(), Code::UnknownId);
}

#[test]
fn a_decision_that_a_run_never_waited_for_is_unknown_once_it_has_ended_too() {
    let store = StateStore::memory();
    let house = House::of(&store, |request, _| {
        Ok(match results(request) {
            0 => json!({"tool_calls": [call("s", "send", json!({"x": 1}))]}),
            _ => json!("done"),
        })
    });
    let waiting = house.runtime.ask(house.question()).unwrap();
    assert_eq!(house.decide(&waiting.run_id, &[("s", Decision::Deny)]).unwrap().status, Status::Done);
    let code = |id: &str, decision: Decision| {
        house.decide(&waiting.run_id, &[(id, decision)]).map(|_| ()).unwrap_err().code()
    };
    assert_eq!(code("nobody", Decision::Approve), Code::UnknownId);
    // What was denied is not approved by saying so later.
    assert_eq!(code("s", Decision::Approve), Code::UnknownId);
    // The same once more changes nothing.
    assert_eq!(house.decide(&waiting.run_id, &[("s", Decision::Deny)]).unwrap().text, "done");
    assert!(house.log().is_empty());
}

#[test]
fn what_a_started_run_had_spent_counts_when_the_run_is_cancelled() {
    let store = StateStore::memory();
    let hangs = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&hangs);
    let house = House::of(&store, move |request, cancel| {
        Ok(match (is(request, "Boss"), results(request)) {
            (true, 0) => json!({"tool_calls": [call("c", "ask_helper", json!({"question": "beds?"}))]}),
            (false, 0) => json!({"tool_calls": [call("r", "read", json!({"x": 1}))]}),
            (false, _) => {
                flag.store(true, Ordering::SeqCst);
                while !cancel.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                cancel.check()?;
                json!("never")
            }
            _ => json!("done"),
        })
    });
    let cancel = Cancel::new();
    let raise = cancel.clone();
    std::thread::spawn(move || {
        while !hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        raise.cancel();
    });
    let answer = house.runtime.ask(Question { cancel, ..house.question() }).unwrap();
    assert_eq!(answer.status, Status::Cancelled);
    let rows = store.runs(None, None).unwrap();
    let begun = Instant::now();
    let inner = loop {
        let inner = house.runtime.run(&rows[1].id).unwrap().answer().unwrap();
        if inner.status == Status::Cancelled {
            break inner;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    };
    let own = answer.steps.iter().filter(|step| step.kind == "model").count();
    assert_eq!(own, 1);
    // One request of its own, one of helper's that was answered, one that was not.
    assert_eq!((answer.usage.output > inner.usage.output, answer.cost), (true, None), "{answer:?}");
    assert!(answer.usage.input > inner.usage.input + 50, "{:?} with {:?}", answer.usage, inner.usage);
}

#[test]
fn what_a_started_run_had_spent_counts_when_it_is_not_waited_for() {
    let says = |request: &Request, _: &Cancel| {
        Ok(match (is(request, "Boss"), results(request)) {
            (true, 0) => json!({"tool_calls": [call("c", "ask_helper", json!({"question": "beds?"}))]}),
            (false, 0) => json!({"tool_calls": [call("r", "read", json!({"x": 1}))]}),
            (false, _) => {
                // It does not look at the flag.
                std::thread::sleep(Duration::from_secs(2));
                json!("never")
            }
            _ => json!("done"),
        })
    };
    let budget = Some(Budget { max_seconds: Some(0.8), ..Budget::default() });
    let house = House::of(&StateStore::memory(), says);
    let answer = house.runtime.ask(Question { budget, ..house.question() }).unwrap();
    assert_eq!(answer.text, "done");
    // Each request reads more than a hundred tokens: two of boss's, and helper's first.
    let own = answer.steps.iter().filter(|step| step.kind == "model").count();
    let entries = house.runtime.run(&answer.run_id).unwrap().entries().unwrap();
    let replied = entries.iter().filter(|entry| entry.kind == "replied");
    let read: u64 = replied.map(|entry| entry.data["reply"]["usage"]["input"].as_u64().unwrap()).sum();
    assert_eq!(own, 2);
    assert!(answer.usage.input > read + 100, "{:?}, of that {read}", answer.usage);
}

fn talk(runtime: &Runtime, keep: Keep) -> Conversation {
    let options = ConversationOptions { max_tokens: 200, keep, ..ConversationOptions::default() };
    runtime.conversation(Some("t"), options).unwrap()
}

fn texts(talk: &Conversation) -> Vec<String> {
    talk.messages().unwrap().iter().map(|message| message.text()).collect()
}

#[test]
fn a_question_that_was_forgotten_while_it_waited_leaves_no_turn() {
    for by_id in [true, false] {
        let store = StateStore::memory();
        let house = House::of(&store, |request, _| {
            Ok(match results(request) {
                0 => json!({"tool_calls": [call("s", "send", json!({"x": 1}))]}),
                _ => json!("done"),
            })
        });
        let talk = talk(&house.runtime, Keep::Window);
        let question = Question { talk: Some(talk.clone()), ..house.question() };
        let waiting = house.runtime.ask(question).unwrap();
        let ids = [waiting.run_id.clone()];
        talk.forget(by_id.then_some(ids.as_slice())).unwrap();
        let answer = house.decide(&waiting.run_id, &[("s", Decision::Approve)]).unwrap();
        assert_eq!(answer.text, "done");
        assert!(texts(&talk).is_empty(), "by id: {by_id}: {:?}", texts(&talk));
        // And nothing of it stays behind.
        let left = ["conversation:t", "forgotten:t"].map(|space| store.list(None, space).unwrap().len());
        assert_eq!(left, [0, 0], "by id: {by_id}");
    }
}

const LONG: &str = "with all that belongs to it ";

#[test]
fn what_is_forgotten_while_it_is_summed_up_does_not_come_back() {
    let store = StateStore::memory();
    let forgets: Arc<Mutex<Option<Conversation>>> = Arc::default();
    let now = Arc::clone(&forgets);
    let house = House::of(&store, move |request, _| {
        let said = request.messages.last().unwrap().text();
        if said.starts_with("Sum up") {
            if let Some(talk) = now.lock().unwrap().take() {
                talk.forget(None).unwrap();
            }
            return Ok(json!(format!(
                "of note: {}",
                if said.contains("secret") { "the secret" } else { "" }
            )));
        }
        Ok(json!(format!("It is noted, {}", LONG.repeat(20))))
    });
    let talk = talk(&house.runtime, Keep::Summary);
    let ask = |text: &str| {
        house.runtime.ask(Question { talk: Some(talk.clone()), ..Question::to(text, "boss") }).unwrap()
    };
    ask("my secret is blue");
    ask("and this");
    *forgets.lock().unwrap() = Some(talk.clone());
    ask("and then");
    assert!(forgets.lock().unwrap().is_none());
    let kept = store.list(None, "conversation:t").unwrap();
    assert!(!json!(kept).to_string().contains("secret"), "{kept:?}");
}

#[test]
fn a_summary_that_could_not_be_made_is_made_later() {
    let store = StateStore::memory();
    let fails = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&fails);
    let seen: Log = Log::default();
    let keep = Arc::clone(&seen);
    let house = House::of(&store, move |request, _| {
        let said = request.messages.last().unwrap().text();
        if said.starts_with("Sum up") {
            if flag.load(Ordering::SeqCst) {
                return Err(Error::new(Code::RateLimited, "later"));
            }
            keep.lock().unwrap().push(said);
            return Ok(json!("all of it"));
        }
        let allergy = if said == "number 0" { "Allergic to penicillin." } else { "" };
        Ok(json!(format!("It is noted. {allergy} {}", LONG.repeat(20))))
    });
    let talk = talk(&house.runtime, Keep::Summary);
    let ask = |text: &str| {
        house.runtime.ask(Question { talk: Some(talk.clone()), ..Question::to(text, "boss") }).unwrap()
    };
    for n in 0..4 {
        ask(&format!("number {n}"));
    }
    fails.store(false, Ordering::SeqCst);
    ask("number 4");
    let seen = seen.lock().unwrap().join("\n");
    assert!(seen.contains("number 0") && seen.contains("penicillin"), "{seen}");
}

#[test]
fn a_key_that_is_asked_again_costs_nothing() {
    let store = StateStore::memory();
    let summed: Log = Log::default();
    let count = Arc::clone(&summed);
    let house = House::of(&store, move |request, _| {
        let said = request.messages.last().unwrap().text();
        if said.starts_with("Sum up") {
            count.lock().unwrap().push(said);
            return Ok(json!("a summary"));
        }
        Ok(json!(format!("It is noted, {}", LONG.repeat(20))))
    });
    let talk = talk(&house.runtime, Keep::Summary);
    let ask = |key: &str| {
        let (talk, idempotency_key) = (Some(talk.clone()), Some(key.to_owned()));
        house.runtime.ask(Question { talk, idempotency_key, ..Question::to("Which dose?", "boss") }).unwrap()
    };
    let first = ask("k");
    ask("l");
    ask("m");
    let so_many = summed.lock().unwrap().len();
    assert_eq!(ask("k").text, first.text);
    assert_eq!(summed.lock().unwrap().len(), so_many);
}

#[test]
fn a_call_that_cannot_be_made_says_why_by_its_code() {
    let house = House::of(&StateStore::memory(), |request, _| {
        Ok(match results(request) {
            0 => {
                json!({"tool_calls": [call("a", "nothing", json!({})), call("b", "read", json!({"x": "one"}))]})
            }
            _ => json!("done"),
        })
    });
    let answer = house.runtime.ask(house.question()).unwrap();
    let errors: Vec<&str> = answer.steps.iter().filter_map(|step| step.error.as_deref()).collect();
    assert_eq!(errors, ["tool_unknown", "tool_arguments"]);
}
