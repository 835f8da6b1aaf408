//! Do runs answer, stop, wait and go on as they should?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error};
use quorate_models::{Model, ModelOptions, Price, Reply, Request, ScriptedModel};
use quorate_runtime::{
    Budget, Decision, Effect, Event, FunctionTool, Question, Resume, Runtime, RuntimeOptions, Status, Tool,
    ToolCard, Unpriced,
};
use serde_json::{Map, Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
}

/// Says these one after the other.
fn script(replies: Vec<Value>) -> Model {
    let replies: Vec<Reply> =
        replies.iter().map(|reply| ScriptedModel::reply_from_json(reply).unwrap()).collect();
    Model::new(
        ScriptedModel::new(replies),
        ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() },
    )
    .unwrap()
}

fn calls(calls: &[(&str, &str, Value)]) -> Value {
    let calls: Vec<Value> = calls
        .iter()
        .map(|(id, name, arguments)| json!({"id": id, "name": name, "arguments": arguments}))
        .collect();
    json!({"text": "", "tool_calls": calls})
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"x": {"type": "integer"}}})
}

fn tool(
    name: &str,
    effect: Effect,
    run: impl Fn(&Map<String, Value>) -> quorate_core::Result<Value> + Send + Sync + 'static,
) -> Arc<dyn Tool> {
    let card = ToolCard { effect, timeout: 0.2, ..ToolCard::new(name, "", schema()) };
    Arc::new(FunctionTool::new(card, move |arguments, _| run(&arguments)).unwrap())
}

fn runtime(model: Model, tools: Vec<Arc<dyn Tool>>) -> Runtime {
    Runtime::new(RuntimeOptions { model: Some(model), tools, ..RuntimeOptions::default() }).unwrap()
}

fn code(result: quorate_core::Result<quorate_runtime::Answer>) -> Code {
    result.unwrap_err().code()
}

#[test]
fn parallel_calls_run_in_parallel_and_a_hung_one_is_not_waited_for() {
    let slow = |name: &str, wait: u64| {
        tool(name, Effect::Read, move |arguments| {
            std::thread::sleep(Duration::from_millis(wait));
            Ok(json!({"x": arguments["x"]}))
        })
    };
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let model = model(move |request| {
        if request.messages.len() < 3 {
            return calls(&[
                ("a", "one", json!({"x": 1})),
                ("b", "two", json!({"x": 2})),
                ("c", "hung", json!({"x": 3})),
            ]);
        }
        *keep.lock().unwrap() = request.messages.last().unwrap().to_json().to_string();
        json!("done")
    });
    let runtime = runtime(model, vec![slow("one", 100), slow("two", 100), slow("hung", 60_000)]);
    let begun = Instant::now();
    let answer = runtime.ask(Question::new("go")).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!((answer.text.as_str(), answer.status), ("done", Status::Done));
    let seen = seen.lock().unwrap();
    assert!(seen.contains("tool_timeout") && seen.find("\\\"x\\\":1") < seen.find("\\\"x\\\":2"), "{seen}");
}

#[test]
fn a_result_that_came_in_time_counts_however_late_it_is_looked_at() {
    let after = |name: &str, wait: u64| {
        tool(name, Effect::Read, move |_| {
            std::thread::sleep(Duration::from_millis(wait));
            Ok(json!("in time"))
        })
    };
    let model = model(|request| match request.messages.len() {
        0..3 => calls(&[("a", "first", json!({})), ("b", "second", json!({}))]),
        _ => json!("done"),
    });
    let runtime = runtime(model, vec![after("first", 0), after("second", 60)]);
    let codes: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keep = Arc::clone(&codes);
    // Whoever is shown the first result takes longer than the second call may.
    let shown = move |event: Event| {
        let event = serde_json::to_value(&event).unwrap();
        if event["type"] == "tool_result" {
            keep.lock().unwrap().push(event["error"].clone());
            std::thread::sleep(Duration::from_millis(400));
        }
    };
    runtime.ask_shown(Question::new("go"), shown).unwrap();
    assert_eq!(*codes.lock().unwrap(), [Value::Null, Value::Null]);
}

#[test]
fn a_tool_that_writes_waits_and_then_runs_once() {
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let send = tool("send", Effect::Write, move |arguments| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(json!({"sent": arguments["x"]}))
    });
    let runtime = runtime(script(vec![calls(&[("a", "send", json!({"x": 1}))]), json!("sent")]), vec![send]);
    let waiting = runtime.ask(Question::new("go")).unwrap();
    assert_eq!((waiting.status, waiting.pending.len(), ran.load(Ordering::Relaxed)), (Status::Waiting, 1, 0));
    assert_eq!(runtime.runs(Some("waiting")).unwrap().len(), 1);
    let id = waiting.run_id.as_str();
    let decide = |call: &str, decision: Decision| runtime.resume(id, Resume::with(call, decision));
    assert_eq!(code(decide("other", Decision::Approve)), Code::UnknownId);
    let edited = |value: Value| Decision::Arguments(Map::from_iter([("x".to_owned(), value)]));
    assert_eq!(code(decide("a", edited(json!("no number")))), Code::ToolArguments);
    assert_eq!(runtime.run(id).unwrap().answer().unwrap().status, Status::Waiting);
    let answer = decide("a", edited(json!(2))).unwrap();
    assert_eq!((answer.status, answer.text.as_str(), ran.load(Ordering::Relaxed)), (Status::Done, "sent", 1));
    // Over is over.
    let again = runtime.resume(id, Resume::default()).unwrap();
    assert_eq!((again, ran.load(Ordering::Relaxed)), (answer, 1));
    let events: Vec<String> =
        runtime.run(id).unwrap().events().unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(events.iter().filter(|kind| *kind == "waiting").count(), 1);
    assert!(events.contains(&"approval".to_owned()) && events.last().unwrap() == "end", "{events:?}");
}

#[test]
fn who_is_there_to_approve_is_asked() {
    let send = || tool("send", Effect::Write, |_| Ok(json!("sent")));
    let ask = |decision: Option<Decision>, autonomous: bool| {
        let replies = match autonomous {
            false => vec![calls(&[("a", "send", json!({}))]), json!("end")],
            true => vec![
                json!("{\"steps\": [\"send\"]}"),
                calls(&[("a", "send", json!({}))]),
                json!("found"),
                json!("end"),
            ],
        };
        let runtime = runtime(script(replies), vec![send()]);
        let decision = decision.clone();
        let approve = move |_: &quorate_runtime::Pending| Ok(decision.clone());
        runtime.ask(Question { approve: Some(Arc::new(approve)), autonomous, ..Question::new("go") }).unwrap()
    };
    assert!(
        ask(Some(Decision::Approve), false)
            .steps
            .iter()
            .any(|step| step.kind == "tool" && step.error.is_none())
    );
    assert_eq!(ask(Some(Decision::Deny), false).status, Status::Done);
    assert_eq!(ask(None, false).status, Status::Waiting);
    assert_eq!(ask(Some(Decision::Approve), true).status, Status::Done);
    assert_eq!(ask(Some(Decision::Deny), true).stopped_by.as_deref(), Some("plan_denied"));
}

#[test]
fn each_limit_of_a_budget_ends_with_a_partial_answer() {
    let lookup = || tool("lookup", Effect::Read, |_| Ok(json!("x")));
    let number = AtomicU32::new(0);
    let endless = model(move |request| {
        if request.tool_choice == quorate_models::ToolChoice::None {
            return json!("as far as I know");
        }
        let n = number.fetch_add(1, Ordering::Relaxed);
        let mut reply = calls(&[(&format!("c{n}"), "lookup", json!({"x": n}))]);
        reply["usage"] = json!({"input": 1000, "output": 1000});
        reply
    });
    let runtime = runtime(endless, vec![lookup()]);
    for (budget, by) in [
        (Budget { max_steps: Some(4), ..Budget::default() }, "max_steps"),
        (Budget { max_tool_calls: Some(2), ..Budget::default() }, "max_tool_calls"),
        (Budget { max_tokens: Some(20_000), max_steps: None, ..Budget::default() }, "max_tokens"),
        (Budget { max_cost: Some(0.02), max_steps: None, ..Budget::default() }, "max_cost"),
        (Budget { max_seconds: Some(3.0), max_steps: None, ..Budget::default() }, "max_seconds"),
    ] {
        let answer = runtime.ask(Question { budget: Some(budget.clone()), ..Question::new("go") }).unwrap();
        assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Partial, Some(by)));
        assert_eq!(answer.text, "as far as I know", "{by}");
        if let Some(most) = budget.max_cost {
            assert!(answer.cost.unwrap() <= most);
        }
        if let Some(most) = budget.max_tokens {
            assert!(answer.usage.input + answer.usage.output <= most);
        }
    }
}

#[test]
fn a_model_that_hangs_is_ended_by_the_budget_and_by_cancel() {
    let hangs = || {
        let script = ScriptedModel::of_function(|request, cancel| {
            if request.messages.last().unwrap().text().contains("no time") {
                return Ok(Reply::text_of("short"));
            }
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(60) {
                cancel.check()?;
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(Reply::text_of("late"))
        });
        runtime(Model::new(script, ModelOptions::default()).unwrap(), vec![])
    };
    let begun = Instant::now();
    let budget = Some(Budget { max_seconds: Some(0.3), ..Budget::default() });
    let answer = hangs().ask(Question { budget, ..Question::new("go") }).unwrap();
    assert_eq!((answer.text.as_str(), answer.stopped_by.as_deref()), ("short", Some("max_seconds")));
    let runtime = hangs();
    let other = runtime.clone();
    let canceller = std::thread::spawn(move || {
        let until = Instant::now() + Duration::from_secs(10);
        let run = loop {
            if let Some(run) = other.runs(Some("running")).unwrap().pop() {
                break run;
            }
            assert!(Instant::now() < until);
        };
        let asked = Instant::now();
        other.cancel(&run.id).unwrap();
        (asked, run.id)
    });
    let answer = runtime.ask(Question::new("go")).unwrap();
    let ended = Instant::now();
    let (asked, id) = canceller.join().unwrap();
    assert_eq!((answer.status, answer.run_id), (Status::Cancelled, id.clone()));
    assert!(ended - asked < Duration::from_millis(500), "{:?}", ended - asked);
    assert!(begun.elapsed() < Duration::from_secs(20));
    // Once more says nothing, and changes nothing.
    runtime.cancel(&id).unwrap();
    assert_eq!(runtime.runs(Some("cancelled")).unwrap().len(), 1);
}

#[test]
fn a_run_that_waits_can_be_cancelled() {
    let send = tool("send", Effect::Write, |_| Ok(json!("sent")));
    let runtime = runtime(script(vec![calls(&[("a", "send", json!({}))])]), vec![send]);
    let waiting = runtime.ask(Question::new("go")).unwrap();
    runtime.cancel(&waiting.run_id).unwrap();
    assert_eq!(runtime.run(&waiting.run_id).unwrap().answer().unwrap().status, Status::Cancelled);
    let late = runtime.resume(&waiting.run_id, Resume::default()).unwrap();
    assert_eq!(late.status, Status::Cancelled);
}

#[test]
fn money_without_a_price_is_refused_or_allowed() {
    let unpriced = || Model::new(ScriptedModel::of_texts(["x"]), ModelOptions::default()).unwrap();
    let ask = |unpriced_is: Unpriced| {
        let budget = Budget { max_cost: Some(1.0), unpriced: unpriced_is, ..Budget::default() };
        runtime(unpriced(), vec![]).ask(Question { budget: Some(budget), ..Question::new("go") })
    };
    assert_eq!(code(ask(Unpriced::Refuse)), Code::BudgetUnpriced);
    assert_eq!(ask(Unpriced::Allow).unwrap().cost, None);
}

#[test]
fn errors_of_tools_go_back_named_and_those_of_models_come_out() {
    let fails = tool("fails", Effect::Read, |_| Err(Error::invalid("the code is too old")));
    // A panic that is written down with its trace takes longer than the tools of these tests have.
    let panics: Arc<dyn Tool> = Arc::new(
        FunctionTool::new(ToolCard::new("panics", "", schema()), |_: Map<String, Value>, _: &_| panic!("oh"))
            .unwrap(),
    );
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let model = model(move |request| {
        if request.messages.len() < 3 {
            return calls(&[("a", "fails", json!({})), ("b", "panics", json!({}))]);
        }
        *keep.lock().unwrap() = request.messages.last().unwrap().to_json().to_string();
        json!("mended")
    });
    let answer = runtime(model, vec![fails, panics]).ask(Question::new("go")).unwrap();
    assert_eq!(answer.text, "mended");
    let seen = seen.lock().unwrap().clone();
    assert!(seen.contains("tool_failed: the code is too old") && seen.contains("panicked"), "{seen}");
    let offline = ScriptedModel::of_results([Err((Code::ModelNotFound, "gone".to_owned()))]);
    let runtime = runtime(Model::new(offline, ModelOptions::default()).unwrap(), vec![]);
    assert_eq!(code(runtime.ask(Question::new("go"))), Code::ModelNotFound);
    let failed = runtime.runs(Some("failed")).unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(code(runtime.run(&failed[0].id).unwrap().answer()), Code::ModelNotFound);
}

#[test]
fn a_key_is_asked_once() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let runtime =
        runtime(model(move |_| json!(format!("answer {}", count.fetch_add(1, Ordering::Relaxed)))), vec![]);
    let question = || Question { idempotency_key: Some("k".into()), ..Question::new("go") };
    let first = runtime.ask(question()).unwrap();
    assert_eq!(runtime.ask(question()).unwrap(), first);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(runtime.runs(None).unwrap().len(), 1);
    // What has no part in the answer may differ.
    let again = Question { budget: Some(Budget { max_steps: Some(3), ..Budget::default() }), ..question() };
    assert_eq!(runtime.ask(again).unwrap(), first);
    let form = Some(json!({"type": "object"}));
    for (other, named) in [
        (Question { text: "stop".into(), ..question() }, "question"),
        (Question { autonomous: true, ..question() }, "autonomous"),
        (Question { output: form, ..question() }, "output"),
        (Question { seed: 7, ..question() }, "seed"),
        (
            Question { conversation: vec![quorate_models::Message::user("before")], ..question() },
            "conversation",
        ),
    ] {
        let error = runtime.ask(other).unwrap_err();
        assert_eq!(error.code(), Code::RunConflict);
        assert!(error.message().contains(named) && error.message().contains("'go'"), "{error}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn an_answer_that_says_nothing_is_asked_for_again_once() {
    for (replies, text, status, by) in [
        (vec![json!(""), json!("5 mg")], "5 mg", Status::Done, None),
        (vec![json!("  \n"), json!("")], "", Status::Partial, Some("empty_answer")),
        (vec![calls(&[("a", "look", json!({}))]), json!(""), json!("5 mg")], "5 mg", Status::Done, None),
    ] {
        let look = tool("look", Effect::Read, |_| Ok(json!("found")));
        let runtime = runtime(script(replies), vec![look]);
        let answer = runtime.ask(Question::new("Which dose?")).unwrap();
        assert_eq!((answer.text.trim(), answer.status, answer.stopped_by.as_deref()), (text, status, by));
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&said);
    let model = model(move |request| {
        keep.lock().unwrap().push(request.messages.last().unwrap().text());
        json!("")
    });
    runtime(model, vec![]).ask(Question::new("Which dose?")).unwrap();
    let said = said.lock().unwrap();
    assert_eq!((said.len(), said[1].contains("empty")), (2, true), "{said:?}");
}

#[test]
fn answers_have_a_form() {
    let form = json!({"type": "object", "properties": {"mg": {"type": "integer"}}, "required": ["mg"], "additionalProperties": false});
    let ask = |model: Model, tools: Vec<Arc<dyn Tool>>| {
        runtime(model, tools).ask(Question { output: Some(form.clone()), ..Question::new("go") })
    };
    let plain = ask(script(vec![json!("{\"mg\": 5}")]), vec![]).unwrap();
    assert_eq!(plain.output, Some(json!({"mg": 5})));
    let lookup = tool("lookup", Effect::Read, |_| Ok(json!("5")));
    let replies = vec![calls(&[("a", "lookup", json!({}))]), json!("It is 5 mg."), json!("{\"mg\": 5}")];
    let after = ask(script(replies), vec![lookup]).unwrap();
    assert_eq!((after.output, after.status), (Some(json!({"mg": 5})), Status::Done));
    assert_eq!(code(ask(script(vec![json!("no"), json!("no"), json!("no")]), vec![])), Code::OutputInvalid);
}

#[test]
fn a_stream_ends_with_the_answer_and_dropping_it_cancels() {
    let runtime = runtime(script(vec![json!("one two"), json!("x")]), vec![]);
    let mut stream = runtime.stream(Question::new("go")).unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next_event() {
        events.push(event);
    }
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["run_start", "step_start", "text", "text", "usage", "step_end", "end"]);
    assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == seq));
    assert_eq!(events.last().unwrap().data["result"]["text"], "one two");
    let again = runtime.stream_resumed(&events[0].run_id, Resume::default()).unwrap().next_event().unwrap();
    assert_eq!((again.kind.as_str(), &again.data["result"]["text"]), ("end", &json!("one two")));
    let bad = runtime.stream(Question::new(" ")).unwrap().next_event().unwrap();
    assert_eq!((bad.kind.as_str(), bad.data["code"].as_str()), ("error", Some("empty_input")));
}

#[test]
fn bad_input_is_refused_with_its_code() {
    let runtime = runtime(script(vec![json!("x")]), vec![]);
    assert_eq!(code(runtime.ask(Question::new(" \n"))), Code::EmptyInput);
    assert_eq!(code(runtime.ask(Question::new("x".repeat((1 << 20) + 1)))), Code::TooLarge);
    assert_eq!(code(runtime.ask(Question::to("x", "nobody"))), Code::InvalidArgument);
    let check: quorate_runtime::CheckOutput = Arc::new(|_: &Value| Ok(()));
    let formless = Question { check_output: Some(check), ..Question::new("x") };
    assert_eq!(code(runtime.ask(formless)), Code::InvalidArgument);
    assert_eq!(
        code(runtime.ask(Question { filter: Some(json!("a = 1")), ..Question::new("x") })),
        Code::InvalidArgument
    );
    assert_eq!(code(runtime.resume("no-such-run", Resume::default())), Code::UnknownId);
    assert_eq!(runtime.run("no-such-run").err().unwrap().code(), Code::UnknownId);
    assert_eq!(Runtime::new(RuntimeOptions::default()).err().unwrap().code(), Code::InvalidArgument);
    let twice = vec![tool("a", Effect::Read, |_| Ok(json!(1))), tool("a", Effect::Read, |_| Ok(json!(1)))];
    let options = RuntimeOptions { model: Some(script(vec![])), tools: twice, ..RuntimeOptions::default() };
    assert_eq!(Runtime::new(options).err().unwrap().code(), Code::InvalidArgument);
}

#[test]
fn the_prompt_is_shown_and_nothing_is_asked() {
    let runtime = runtime(script(vec![]), vec![]);
    let messages = runtime.prompt(Question::new("Which dose?")).unwrap();
    assert_eq!(messages.last().unwrap().text(), "Which dose?");
    assert!(runtime.runs(None).unwrap().is_empty());
}

#[test]
fn cancelled_before_it_begins() {
    let runtime = runtime(script(vec![json!("x")]), vec![]);
    let cancel = Cancel::new();
    cancel.cancel();
    let answer = runtime.ask(Question { cancel, ..Question::new("go") }).unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (Status::Cancelled, ""));
}

#[test]
fn runs_of_others_in_the_same_store_are_nobodys() {
    let store = quorate_state::StateStore::memory();
    let foreign = quorate_state::NewRun { id: Some("order-1"), kind: "workflow", ..Default::default() };
    drop(store.begin(&foreign, &[]).unwrap());
    let options = RuntimeOptions {
        model: Some(script(vec![json!("5 mg daily.")])),
        store: Some(store.clone()),
        ..Default::default()
    };
    let rt = Runtime::new(options).unwrap();
    let own = rt.ask(Question::new("Which dose?")).unwrap();
    let listed: Vec<String> = rt.runs(None).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(listed, [own.run_id]);
    let unknown =
        |outcome: Result<(), quorate_core::Error>| assert_eq!(outcome.unwrap_err().code(), Code::UnknownId);
    unknown(rt.run("order-1").map(drop));
    unknown(rt.resume("order-1", Resume::default()).map(drop));
    unknown(rt.cancel("order-1"));
    unknown(rt.delete("order-1"));
    assert_eq!(store.runs(None, None).unwrap().len(), 2);
}
