//! May a host say no to an answer's data, and do its functions that fail or hang end only what they must?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error};
use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{
    Answer, Approve, Budget, CheckOutput, Decision, Effect, Event, FunctionTool, Pending, Question, Resume,
    Runtime, RuntimeOptions, Status, Tool, ToolCard,
};
use quorate_state::StateStore;
use serde_json::{Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions::default()).unwrap()
}

fn tool(name: &str, effect: Effect, ran: &Arc<AtomicU32>) -> Arc<dyn Tool> {
    let ran = Arc::clone(ran);
    let card = ToolCard {
        effect,
        ..ToolCard::new(name, "", json!({"type": "object", "properties": {"x": {"type": "integer"}}}))
    };
    let run = move |_, _: &_| {
        ran.fetch_add(1, Ordering::SeqCst);
        Ok(json!("sent"))
    };
    Arc::new(FunctionTool::new(card, run).unwrap())
}

fn runtime(model: Model, tools: Vec<Arc<dyn Tool>>) -> Runtime {
    Runtime::new(RuntimeOptions { model: Some(model), tools, ..RuntimeOptions::default() }).unwrap()
}

fn calls(calls: &[(&str, &str)]) -> Value {
    let call = |(id, name): &(&str, &str)| json!({"id": id, "name": name, "arguments": {"x": 1}});
    json!({"tool_calls": calls.iter().map(call).collect::<Vec<_>>()})
}

fn results(request: &Request) -> usize {
    let parts = request.messages.iter().flat_map(|message| &message.content);
    parts.filter(|part| part.to_json()["type"] == "tool_result").count()
}

fn form() -> Option<Value> {
    Some(
        json!({"type": "object", "properties": {"mg": {"type": "integer"}}, "required": ["mg"], "additionalProperties": false}),
    )
}

/// Only even doses.
fn even() -> CheckOutput {
    Arc::new(|value: &Value| match value["mg"].as_i64() {
        Some(mg) if mg % 2 == 0 => Ok(()),
        other => Err(format!("{other:?} mg is odd")),
    })
}

fn said(request: &Request) -> String {
    request.messages.last().map(|message| message.text()).unwrap_or_default()
}

/// Asks, also as a stream, and gives what came of it.
fn both(runtime: impl Fn() -> Runtime, question: impl Fn() -> Question) -> [Result<Answer, Error>; 2] {
    let other = runtime();
    let mut stream = other.stream(question()).unwrap();
    while stream.next_event().is_some() {}
    let run = other.runs(None).unwrap().pop().unwrap();
    [runtime().ask(question()), other.run(&run.id).unwrap().answer()]
}

#[test]
fn what_the_host_refuses_the_model_may_mend() {
    let with_tools = [false, true];
    for tools in with_tools {
        let made = || {
            let says = model(move |request| match (tools, results(request), said(request)) {
                (true, 0, _) => calls(&[("a", "read")]),
                (true, _, said) if !said.contains("Now answer") && !said.contains("cannot be used") => {
                    json!("five")
                }
                (_, _, said) if said.contains("Some(5) mg is odd") => json!("{\"mg\": 6}"),
                _ => json!("{\"mg\": 5}"),
            });
            let read = tool("read", Effect::Read, &Arc::default());
            runtime(says, if tools { vec![read] } else { vec![] })
        };
        let question =
            || Question { output: form(), check_output: Some(even()), ..Question::new("Which dose?") };
        for answer in both(made, question) {
            let answer = answer.unwrap();
            assert_eq!(
                (answer.status, answer.output),
                (Status::Done, Some(json!({"mg": 6}))),
                "tools: {tools}"
            );
        }
    }
}

#[test]
fn what_is_refused_to_the_end_says_why() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let made = move || {
        let count = Arc::clone(&count);
        runtime(
            model(move |_| json!(format!("{{\"mg\": {}}}", 2 * count.fetch_add(1, Ordering::SeqCst) + 1))),
            vec![],
        )
    };
    let question = || Question { output: form(), check_output: Some(even()), ..Question::new("Which dose?") };
    for failed in both(made, question) {
        let error = failed.unwrap_err();
        assert_eq!(error.code(), Code::OutputInvalid);
        assert!(error.message().contains("mg is odd"), "{error}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

#[test]
fn a_plan_is_not_what_the_host_checks() {
    let says = model(|request| match said(request).contains("Make a plan first") {
        true => json!("{\"steps\": [\"look\"]}"),
        false => json!("{\"mg\": 4}"),
    });
    let answer = runtime(says, vec![])
        .ask(Question { autonomous: true, output: form(), check_output: Some(even()), ..Question::new("go") })
        .unwrap();
    assert_eq!(
        (answer.output, answer.plan.unwrap().steps[0].task.as_str()),
        (Some(json!({"mg": 4})), "look")
    );
}

#[test]
fn a_run_that_waited_is_checked_as_was_asked_for() {
    let says = || {
        model(|request| match (results(request), said(request).contains("odd")) {
            (0, _) => calls(&[("a", "send")]),
            (_, true) => json!("{\"mg\": 6}"),
            (_, false) => json!("{\"mg\": 5}"),
        })
    };
    let store = StateStore::memory();
    let of = || {
        let tools = vec![tool("send", Effect::Write, &Arc::default())];
        let (model, store) = (Some(says()), Some(store.clone()));
        Runtime::new(RuntimeOptions { model, tools, store, ..RuntimeOptions::default() }).unwrap()
    };
    let question = || Question { output: form(), check_output: Some(even()), ..Question::new("Which dose?") };
    let decide = || Resume::with("a", Decision::Approve);
    let here = of();
    let waiting = here.ask(question()).unwrap();
    assert_eq!(here.resume(&waiting.run_id, decide()).unwrap().output, Some(json!({"mg": 6})));
    // Another process has to be given it again, or says that it has not.
    let (waiting, other) = (here.ask(question()).unwrap(), of());
    let checked = other.resume(&waiting.run_id, Resume { check_output: Some(even()), ..decide() }).unwrap();
    assert_eq!(checked.output, Some(json!({"mg": 6})));
    let (waiting, other) = (here.ask(question()).unwrap(), of());
    assert_eq!(other.resume(&waiting.run_id, decide()).unwrap().output, Some(json!({"mg": 5})));
    let events = other.run(&waiting.run_id).unwrap().events().unwrap();
    assert!(
        events.iter().any(|event| event.kind == "warning"
            && event.data["message"].as_str().unwrap().contains("schema alone"))
    );
}

#[test]
fn a_check_that_hangs_does_not_hold_the_run() {
    let hangs: CheckOutput = Arc::new(|_: &Value| {
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    let ask = |budget: Budget, cancel: Cancel| {
        let question = Question {
            output: form(),
            check_output: Some(Arc::clone(&hangs)),
            budget: Some(budget),
            cancel,
            ..Question::new("go")
        };
        runtime(model(|_| json!("{\"mg\": 5}")), vec![]).ask(question).unwrap()
    };
    let begun = Instant::now();
    let short = Budget { max_seconds: Some(0.5), ..Budget::default() };
    let answer = ask(short, Cancel::new());
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Partial, Some("max_seconds")));
    let cancel = Cancel::new();
    let raise = cancel.clone();
    let raises = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        raise.cancel();
    });
    assert_eq!(ask(Budget::default(), cancel).status, Status::Cancelled);
    raises.join().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

type Decided = quorate_core::Result<Option<Decision>>;

#[test]
fn an_error_of_who_approves_leaves_that_call_undecided() {
    let ran = Arc::new(AtomicU32::new(0));
    let says = || {
        model(|request| match results(request) {
            0 => calls(&[("a", "send"), ("b", "send"), ("c", "read")]),
            _ => json!("end"),
        })
    };
    let bad: [fn(&Pending) -> Decided; 2] = [
        |one| {
            if one.id == "a" {
                Err(Error::invalid("the desk is closed"))
            } else {
                Ok(Some(Decision::Approve))
            }
        },
        // Arguments that do not fit are no decision either.
        |one| {
            let x = if one.id == "a" { json!("the desk is closed") } else { json!(2) };
            Ok(Some(Decision::Arguments(serde_json::Map::from_iter([("x".to_owned(), x)]))))
        },
    ];
    for approve in bad {
        ran.store(0, Ordering::SeqCst);
        let tools = vec![tool("send", Effect::Write, &ran), tool("read", Effect::Read, &ran)];
        let runtime = runtime(says(), tools);
        let shown: Arc<Mutex<Vec<Event>>> = Arc::default();
        let keep = Arc::clone(&shown);
        let question = Question { approve: Some(Arc::new(approve)), ..Question::new("go") };
        let waiting = runtime.ask_shown(question, move |event| keep.lock().unwrap().push(event)).unwrap();
        let pending: Vec<&str> = waiting.pending.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((waiting.status, pending, ran.load(Ordering::SeqCst)), (Status::Waiting, vec!["a"], 0));
        let shown = shown.lock().unwrap();
        let warning = shown.iter().find(|event| event.kind == "warning").expect("a warning");
        let message = warning.data["message"].as_str().unwrap();
        assert!(message.contains("'a'") && message.contains("approve"), "{message}");
        assert_eq!(shown.last().unwrap().kind, "waiting");
        let answer = runtime.resume(&waiting.run_id, Resume::with("a", Decision::Approve)).unwrap();
        assert_eq!((answer.text.as_str(), ran.load(Ordering::SeqCst)), ("end", 3));
    }
}

#[test]
fn an_error_about_a_plan_leaves_the_plan_undecided() {
    let says = model(|request| match said(request).contains("Make a plan first") {
        true => json!("{\"steps\": [\"look\"]}"),
        false => json!("found"),
    });
    let approve = |_: &Pending| -> Decided { Err(Error::invalid("the desk is closed")) };
    let runtime = runtime(says, vec![]);
    let question = Question { autonomous: true, approve: Some(Arc::new(approve)), ..Question::new("go") };
    let waiting = runtime.ask(question).unwrap();
    assert_eq!((waiting.status, waiting.pending[0].id.as_str()), (Status::Waiting, "plan"));
    let answer = runtime.resume(&waiting.run_id, Resume::with("plan", Decision::Approve)).unwrap();
    assert_eq!((answer.status, answer.text.as_str()), (Status::Done, "found"));
}

#[test]
fn who_hangs_while_approving_does_not_hold_the_run() {
    for (plan, ends) in [(false, true), (true, true), (false, false), (true, false)] {
        let ran = Arc::new(AtomicU32::new(0));
        let says = model(move |request| match said(request) {
            said if said.contains("Make a plan first") => json!("{\"steps\": [\"look\"]}"),
            said if said.contains("no time") => json!("as far as it goes"),
            _ => calls(&[("a", "send"), ("b", "send")]),
        });
        let approve = |_: &Pending| -> Decided {
            std::thread::sleep(Duration::from_secs(60));
            Ok(Some(Decision::Approve))
        };
        let runtime = runtime(says, vec![tool("send", Effect::Write, &ran)]);
        let (cancel, raise) = (Cancel::new(), Cancel::new());
        let (flag, wait) = (cancel.clone(), raise.clone());
        let raises = std::thread::spawn(move || {
            while !wait.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(50));
            flag.cancel();
            Instant::now()
        });
        if !ends {
            raise.cancel();
        }
        let begun = Instant::now();
        let max_seconds = ends.then_some(2.0);
        let answer = runtime
            .ask(Question {
                autonomous: plan,
                approve: Some(Arc::new(approve)),
                budget: Some(Budget { max_seconds, ..Budget::default() }),
                cancel,
                ..Question::new("go")
            })
            .unwrap();
        let took = begun.elapsed();
        raise.cancel();
        raises.join().unwrap();
        let (status, by, text) = match ends {
            true => (Status::Partial, "max_seconds", "as far as it goes"),
            false => (Status::Cancelled, "cancelled", ""),
        };
        assert_eq!(
            (answer.status, answer.stopped_by.as_deref(), answer.text.as_str()),
            (status, Some(by), text)
        );
        assert!(took < Duration::from_secs(10) && ran.load(Ordering::SeqCst) == 0, "{took:?}");
    }
}

/// Decides when it is told that nobody waits any more.
struct Patient(Arc<AtomicU32>);

impl Approve for Patient {
    fn decide(&self, _: &Pending, cancel: &Cancel) -> Decided {
        let begun = Instant::now();
        while !cancel.is_cancelled() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Some(Decision::Approve))
    }
}

#[test]
fn who_is_not_waited_for_any_more_is_told() {
    let (ran, told) = (Arc::<AtomicU32>::default(), Arc::<AtomicU32>::default());
    let says = model(|request| match said(request).contains("no time") {
        true => json!("as far as it goes"),
        false => calls(&[("a", "send")]),
    });
    let runtime = runtime(says, vec![tool("send", Effect::Write, &ran)]);
    let budget = Some(Budget { max_seconds: Some(0.4), ..Budget::default() });
    let approve: Option<Arc<dyn Approve>> = Some(Arc::new(Patient(Arc::clone(&told))));
    let answer = runtime.ask(Question { approve, budget, ..Question::new("go") }).unwrap();
    assert_eq!(answer.stopped_by.as_deref(), Some("max_seconds"));
    let until = Instant::now() + Duration::from_secs(20);
    while told.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
    // What it has decided then is too late.
    assert_eq!(ran.load(Ordering::SeqCst), 0);
}
