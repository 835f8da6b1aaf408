//! Does a run that goes on from any entry of its journal do and say what it would have?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::{Arc, Mutex};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use quorate_core::{Cancel, Code};
use quorate_models::{Message, Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    Answer, Budget, ConversationOptions, Decision, Effect, Event, FunctionTool, Keep, Passage, Pending,
    Question, Resume, Retrieve, Runtime, RuntimeOptions, Status, Tool, ToolCard, Wanted,
};
use quorate_state::{Begun, NewRun, StateStore};
use serde_json::{Map, Value, json};

type Asked = Arc<Mutex<Vec<Value>>>;

/// A model that remembers what it was asked, and answers by that alone.
fn model(asked: &Asked, answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let asked = Arc::clone(asked);
    let script = ScriptedModel::of_function(move |request, _| {
        asked.lock().unwrap().push(request.to_json());
        let said = answer(request);
        match said.get("fails").and_then(Value::as_str) {
            Some("context_overflow") => Err(quorate_core::Error::new(Code::ContextOverflow, "too long")),
            Some(_) => Err(quorate_core::Error::new(Code::ModelNotFound, "gone")),
            None => ScriptedModel::reply_from_json(&said),
        }
    });
    Model::new(script, ModelOptions { price: Price::new(1.0, 3.0).ok(), ..ModelOptions::default() }).unwrap()
}

struct Sources;

impl Retrieve for Sources {
    fn passages(&self, question: &str, _: &Wanted, _: &Cancel) -> quorate_core::Result<Vec<Passage>> {
        let text = "The usual starting dose of metformin is 500 mg twice daily. Store it in a dry place.";
        let of = |id: &str, score: f32| Passage {
            doc_id: format!("{id} {}", question.len()),
            title: "Label".into(),
            text: text.into(),
            end: text.len(),
            score,
            ..Passage::default()
        };
        Ok(vec![of("a", 0.1), of("b", 1.0 / 3.0)])
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

fn tools() -> Vec<Arc<dyn Tool>> {
    let schema = || json!({"type": "object", "properties": {"x": {}}});
    let tool = |name: &str, effect: Effect| -> Arc<dyn Tool> {
        let card = ToolCard { effect, ..ToolCard::new(name, "", schema()) };
        let run = move |arguments: Map<String, Value>, _: &_| match arguments.get("x") {
            Some(Value::String(fails)) if fails == "fails" => {
                Err(quorate_core::Error::invalid("no such code"))
            }
            other => Ok(json!({"gave": other, "third": 1.0 / 3.0})),
        };
        Arc::new(FunctionTool::new(card, run).unwrap())
    };
    vec![tool("read", Effect::Read), tool("write", Effect::Write)]
}

fn says(request: &Request, words: &str) -> bool {
    request.messages.iter().any(|message| message.text().contains(words))
}

fn plans(request: &Request) -> bool {
    says(request, "Make a plan first")
}

fn results(request: &Request) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    parts.filter(|part| part.to_json()["type"] == "tool_result").count()
}

fn calls(calls: &[(&str, &str, Value)]) -> Value {
    let calls: Vec<Value> = calls
        .iter()
        .map(|(id, name, arguments)| json!({"id": id, "name": name, "arguments": arguments}))
        .collect();
    json!({"text": "I look it up.", "tool_calls": calls})
}

/// One kind of run.
#[derive(Clone)]
struct Kind {
    name: &'static str,
    sources: bool,
    extractive: bool,
    registry: bool,
    question: fn() -> Question,
    says: fn(&Request) -> Value,
}

fn kinds() -> Vec<Kind> {
    let plain = Kind {
        name: "plain",
        sources: false,
        extractive: false,
        registry: false,
        question: || Question::new("Which dose?"),
        says: |_| json!("5 mg"),
    };
    vec![
        plain.clone(),
        Kind {
            name: "sources",
            sources: true,
            says: |_| json!("It is 500 mg twice daily [1]. It is 900 mg [2]."),
            ..plain.clone()
        },
        Kind {
            name: "extractive",
            sources: true,
            extractive: true,
            question: || Question::new("What is the starting dose of metformin?"),
            ..plain.clone()
        },
        Kind {
            name: "extractive autonomous",
            sources: true,
            extractive: true,
            question: || Question {
                autonomous: true,
                ..Question::new("What is the starting dose of metformin? Where is it stored?")
            },
            ..plain.clone()
        },
        Kind {
            name: "tools",
            says: |request| match results(request) {
                0 => calls(&[
                    ("a", "read", json!({"x": 1})),
                    ("b", "write", json!({"x": 2})),
                    ("c", "read", json!({"x": "fails"})),
                    ("d", "none", json!({})),
                ]),
                4 => calls(&[("a", "write", json!({"x": 3.25}))]),
                _ => json!("done"),
            },
            ..plain.clone()
        },
        Kind {
            name: "repeats",
            says: |request| match request.tool_choice == quorate_models::ToolChoice::None {
                true => json!("as far as it goes"),
                false => calls(&[("a", "read", json!({"x": 1}))]),
            },
            ..plain.clone()
        },
        Kind {
            name: "budget",
            question: || Question {
                budget: Some(Budget { max_steps: Some(3), max_tool_calls: Some(3), ..Budget::default() }),
                ..Question::new("go")
            },
            says: |request| match request.tool_choice == quorate_models::ToolChoice::None {
                true => json!("as far as it goes"),
                false => {
                    let n = results(request);
                    calls(&[("a", "read", json!({"x": n})), ("b", "read", json!({"x": n + 100}))])
                }
            },
            ..plain.clone()
        },
        Kind {
            name: "autonomous",
            sources: true,
            question: || Question { autonomous: true, ..Question::new("Which dose?") },
            says: |request| {
                let said = request.messages.last().unwrap().text();
                if plans(request) {
                    return json!("{\"steps\": [\"look\", \"say\"]}");
                }
                if said.contains("Step 1") {
                    return calls(&[("a", "read", json!({"x": 1})), ("b", "write", json!({}))]);
                }
                if said.contains("Step 2") {
                    return json!("found two");
                }
                if said.contains("do not say this") || said.contains("Write the answer again") {
                    return json!("It is 500 mg twice daily [1].");
                }
                if said.contains("Now answer") {
                    return json!("It is 900 mg [1].");
                }
                json!("found one")
            },
            ..plain.clone()
        },
        Kind {
            name: "form after tools",
            question: || Question {
                output: Some(
                    json!({"type": "object", "properties": {"mg": {"type": "number"}}, "required": ["mg"], "additionalProperties": false}),
                ),
                ..Question::new("Which dose?")
            },
            says: |request| {
                if says(request, "Now answer") {
                    return json!("{\"mg\": 0.1}");
                }
                if results(request) == 0 { calls(&[("a", "read", json!({}))]) } else { json!("a tenth") }
            },
            ..plain.clone()
        },
        Kind {
            name: "too long",
            sources: true,
            says: |request| match request.messages.last().unwrap().text().matches("<source").count() {
                1 => json!("It is 500 mg [1]."),
                _ => json!({"fails": "context_overflow"}),
            },
            ..plain.clone()
        },
        Kind { name: "fails", says: |_| json!({"fails": "model_not_found"}), ..plain.clone() },
        Kind {
            name: "refuses",
            says: |_| json!({"refusal": "I must not.", "content": null}),
            ..plain.clone()
        },
        Kind { name: "cut", says: |_| json!({"text": "five m", "finish": "length"}), ..plain.clone() },
        Kind { name: "empty", says: |_| json!(""), ..plain.clone() },
        Kind {
            name: "nobody",
            registry: true,
            question: || Question::new("Who won the football world cup in 1998?"),
            ..plain.clone()
        },
        Kind {
            name: "manual",
            registry: true,
            question: || Question::to("How many beds?", "helper"),
            ..plain.clone()
        },
        Kind {
            name: "said before",
            question: || Question {
                conversation: vec![Message::user("Hello"), Message::assistant("Hi")],
                ..Question::new("Which dose?")
            },
            ..plain
        },
    ]
}

fn runtime(kind: &Kind, asked: &Asked, store: StateStore, registry: &AgentRegistry) -> Runtime {
    Runtime::new(RuntimeOptions {
        model: (!kind.extractive).then(|| model(asked, kind.says)),
        sources: kind.sources.then(|| -> Arc<dyn Retrieve> { Arc::new(Sources) }),
        registry: kind.registry.then(|| registry.clone()),
        tools: if kind.extractive { Vec::new() } else { tools() },
        store: Some(store),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

/// Goes on until it is over; each call that waits is approved, with other arguments where it is the first.
fn finish(
    runtime: &Runtime,
    mut answer: Result<Answer, quorate_core::Error>,
) -> Result<Answer, quorate_core::Error> {
    for _ in 0..10 {
        match &answer {
            Ok(waiting) if waiting.status == Status::Waiting => {
                let decisions = waiting.pending.iter().map(|one: &Pending| {
                    let decision = match one.arguments.get("x") == Some(&json!(2)) {
                        true => Decision::Arguments(Map::from_iter([("x".to_owned(), json!(7))])),
                        false => Decision::Approve,
                    };
                    (one.id.clone(), decision)
                });
                let decisions = decisions.collect();
                answer = runtime.resume(&waiting.run_id, Resume { decisions, ..Resume::default() });
            }
            _ => return answer,
        }
    }
    answer
}

/// What of an answer has to be the same: all but the times, the id, and which of several calls at once has ended first.
fn same(answer: &Result<Answer, quorate_core::Error>) -> Value {
    match answer {
        Err(error) => json!({"error": error.code().as_str(), "message": error.message()}),
        Ok(answer) => {
            let mut value = answer.to_json().unwrap();
            let object = value.as_object_mut().unwrap();
            object.remove("run_id");
            for step in object["steps"].as_array_mut().unwrap() {
                step.as_object_mut().unwrap().remove("seconds");
            }
            let steps = object["steps"].as_array_mut().unwrap();
            steps.sort_by_key(|step| step.to_string());
            value
        }
    }
}

#[test]
fn from_each_entry_of_its_journal_a_run_ends_alike() {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    registry.add(Agent::new("pumps", "Pumps", "Knows infusion pumps and their classes.")).unwrap();
    for kind in kinds() {
        let name = kind.name;
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path()).unwrap();
        let asked = Asked::default();
        let first = runtime(&kind, &asked, store.clone(), &registry);
        let whole = finish(&first, first.ask((kind.question)()));
        let requests = asked.lock().unwrap().clone();
        let run = store.runs(None, None).unwrap().pop().unwrap();
        // What is read from the disk is what was said.
        let read = first.run(&run.id).unwrap().answer();
        assert_eq!(same(&read), same(&whole), "{name}");
        if let (Ok(read), Ok(whole)) = (&read, &whole) {
            assert_eq!(read, whole, "{name}");
        }
        let entries = store.entries(None, &run.id, 1).unwrap();
        assert!(entries.len() >= 3, "{name}");
        for n in 1..=entries.len() {
            let folder = tempfile::tempdir().unwrap();
            let copy = StateStore::open(folder.path()).unwrap();
            let new = NewRun { id: Some("copy"), kind: "ask", title: "", ..NewRun::default() };
            let Begun::New(held) = copy.begin(&new, &entries[..n]).unwrap() else { panic!() };
            drop(held);
            let asked = Asked::default();
            let second = runtime(&kind, &asked, copy, &registry);
            let under_way = ["running", "returned"].contains(&entries[n - 1].kind.as_str());
            let ended = finish(&second, second.resume("copy", Resume::default()));
            if under_way && name == "tools" {
                // Nobody knows how a call that writes has ended.
                assert_eq!(ended.unwrap().status, Status::Done, "{name} {n}");
                continue;
            }
            assert_eq!(same(&ended), same(&whole), "{name}, from entry {n} ({})", entries[n - 1].kind);
            let again = asked.lock().unwrap().clone();
            assert_eq!(again[..], requests[requests.len() - again.len()..], "{name} {n}");
        }
    }
}

#[test]
fn the_events_of_a_journal_are_those_that_were_shown() {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    let registry = AgentRegistry::open(None, RegistryOptions::new(embedder)).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    registry.add(Agent::new("pumps", "Pumps", "Knows infusion pumps and their classes.")).unwrap();
    for kind in kinds() {
        let runtime = runtime(&kind, &Asked::default(), StateStore::memory(), &registry);
        let shown: Arc<Mutex<Vec<Event>>> = Arc::default();
        let keep = Arc::clone(&shown);
        let _ = runtime.ask_shown((kind.question)(), move |event| keep.lock().unwrap().push(event));
        let shown = shown.lock().unwrap().clone();
        assert!(shown.iter().zip(1..).all(|(event, seq)| event.seq == seq), "{}", kind.name);
        assert_eq!(shown.iter().filter(|event| event.is_last()).count(), 1, "{}", kind.name);
        assert!(shown.last().unwrap().is_last());
        let live = ["step_start", "text", "reasoning", "tool_input", "retry"];
        let of = |events: &[Event]| -> Vec<(String, Value)> {
            let lasting = events.iter().filter(|event| !live.contains(&event.kind.as_str()));
            lasting.map(|event| (event.kind.clone(), json!(event.data))).collect()
        };
        let run = runtime.runs(None).unwrap().pop().unwrap();
        let kept = runtime.run(&run.id).unwrap().events().unwrap();
        assert!(kept.iter().zip(1..).all(|(event, seq)| event.seq == seq), "{}", kind.name);
        assert_eq!(of(&kept), of(&shown), "{}", kind.name);
    }
}

#[test]
fn what_cannot_be_read_again_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Asked::default();
    let says = model(&asked, |request| match results(request) {
        0 => calls(&[("a", "write", json!({"x": 1}))]),
        _ => json!("end"),
    });
    let options = RuntimeOptions {
        model: Some(says),
        tools: tools(),
        store: Some(StateStore::open(folder.path()).unwrap()),
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(options).unwrap();
    let waiting = runtime.ask(Question::new("go")).unwrap();
    let deep = (0..300).fold(json!(1), |inner, _| json!([inner]));
    let decision = Decision::Arguments(Map::from_iter([("x".to_owned(), deep)]));
    let refused = runtime.resume(&waiting.run_id, Resume::with("a", decision));
    assert!(refused.is_err());
    assert_eq!(runtime.run(&waiting.run_id).unwrap().answer().unwrap().status, Status::Waiting);
    assert_eq!(runtime.resume(&waiting.run_id, Resume::with("a", Decision::Approve)).unwrap().text, "end");
}

#[test]
fn a_score_that_is_no_number_can_be_read_again() {
    struct Odd;
    impl Retrieve for Odd {
        fn passages(&self, _: &str, _: &Wanted, _: &Cancel) -> quorate_core::Result<Vec<Passage>> {
            Ok(vec![Passage { text: "Words.".into(), score: f32::NAN, ..Passage::default() }])
        }

        fn embedder(&self) -> Option<Arc<dyn Embed>> {
            None
        }
    }
    let says = model(&Asked::default(), |_| json!("end"));
    let options =
        RuntimeOptions { model: Some(says), sources: Some(Arc::new(Odd)), ..RuntimeOptions::default() };
    let runtime = Runtime::new(options).unwrap();
    let answer = runtime.ask(Question::new("go")).unwrap();
    assert_eq!(runtime.run(&answer.run_id).unwrap().answer().unwrap(), answer);
}

#[test]
fn what_is_shown_of_a_prompt_is_what_is_sent() {
    for (autonomous, keep) in [(false, Keep::Window), (true, Keep::Window), (false, Keep::Recall)] {
        let asked = Asked::default();
        let says = model(&asked, |request| match plans(request) {
            true => json!("{\"steps\": [\"one\"]}"),
            false => json!("5 mg of metformin"),
        });
        let runtime =
            Runtime::new(RuntimeOptions { model: Some(says), ..RuntimeOptions::default() }).unwrap();
        let options =
            ConversationOptions { keep, user: Some("ann".into()), ..ConversationOptions::default() };
        let talk = runtime.conversation(None, options).unwrap();
        runtime.memory().remember("ann", "takes metformin", None).unwrap();
        runtime.ask(Question { talk: Some(talk.clone()), ..Question::new("Which dose?") }).unwrap();
        let question =
            || Question { talk: Some(talk.clone()), autonomous, ..Question::new("And of metformin?") };
        asked.lock().unwrap().clear();
        let shown = runtime.prompt(question()).unwrap();
        assert!(asked.lock().unwrap().is_empty());
        runtime.ask(question()).unwrap();
        let sent = asked.lock().unwrap()[0]["messages"].clone();
        // A service that knows no forms is told of them in the system message.
        let (shown, sent) = (json!(shown), sent.as_array().cloned().unwrap());
        let from = usize::from(autonomous);
        assert_eq!(shown.as_array().unwrap()[from..], sent[from..], "autonomous: {autonomous}, {keep:?}");
    }
}
