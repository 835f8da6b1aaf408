//! Does a run stop when it is told to, wherever it is, and does it always say how it ended?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Code};
use quorate_models::{Model, ModelOptions, Reply, Request, ScriptedModel};
use quorate_runtime::{
    Decision, Effect, FunctionTool, Passage, Pending, Question, Resume, Retrieve, Runtime, RuntimeOptions,
    Status, Tool, ToolCard, Wanted,
};
use quorate_state::StateStore;
use serde_json::{Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions::default()).unwrap()
}

fn call(id: &str, name: &str, arguments: Value) -> Value {
    json!({"tool_calls": [{"id": id, "name": name, "arguments": arguments}]})
}

fn once(name: &'static str) -> Model {
    model(move |request| if request.messages.len() > 2 { json!("end") } else { call("a", name, json!({})) })
}

fn waits(cancel: &Cancel) -> quorate_core::Result<()> {
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn slow() -> Arc<dyn Tool> {
    let card = ToolCard::new("slow", "", json!({"type": "object"}));
    Arc::new(FunctionTool::new(card, |_, context| waits(&context.cancel).map(|()| json!(1))).unwrap())
}

struct Sources<F>(F);

impl<F: Fn(&Cancel) -> quorate_core::Result<Vec<Passage>> + Send + Sync> Retrieve for Sources<F> {
    fn passages(&self, _: &str, _: &Wanted, cancel: &Cancel) -> quorate_core::Result<Vec<Passage>> {
        (self.0)(cancel)
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

fn runtime(options: RuntimeOptions) -> Runtime {
    Runtime::new(options).unwrap()
}

/// The one run that goes on in the store.
fn running(runtime: &Runtime) -> String {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(run) = runtime.runs(Some("running")).unwrap().pop() {
            return run.id;
        }
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Asks, and cancels from another handle of the same store, as another process does.
fn cancelled_elsewhere(options: impl Fn() -> RuntimeOptions) {
    let store = StateStore::memory();
    let of = || runtime(RuntimeOptions { store: Some(store.clone()), ..options() });
    let (one, other) = (of(), of());
    let canceller = std::thread::spawn(move || {
        let id = running(&other);
        std::thread::sleep(Duration::from_millis(100));
        other.cancel(&id).unwrap();
        Instant::now()
    });
    let answer = one.ask(Question::new("go")).unwrap();
    let ended = Instant::now();
    let asked = canceller.join().unwrap();
    assert_eq!(answer.status, Status::Cancelled);
    assert!(ended - asked < Duration::from_millis(300), "{:?}", ended - asked);
}

#[test]
fn a_run_is_cancelled_elsewhere_while_a_tool_runs() {
    cancelled_elsewhere(|| RuntimeOptions {
        model: Some(once("slow")),
        tools: vec![slow()],
        ..RuntimeOptions::default()
    });
}

#[test]
fn a_run_is_cancelled_elsewhere_while_the_model_is_asked() {
    cancelled_elsewhere(|| {
        let script = ScriptedModel::of_function(|_, cancel| waits(cancel).map(|()| Reply::text_of("late")));
        let model = Model::new(script, ModelOptions::default()).unwrap();
        RuntimeOptions { model: Some(model), ..RuntimeOptions::default() }
    });
}

#[test]
fn a_run_is_cancelled_elsewhere_while_sources_are_looked_up() {
    cancelled_elsewhere(|| RuntimeOptions {
        model: Some(model(|_| json!("end"))),
        sources: Some(Arc::new(Sources(|cancel: &Cancel| waits(cancel).map(|()| Vec::new())))),
        ..RuntimeOptions::default()
    });
}

#[test]
fn a_search_that_was_cancelled_is_a_cancelled_run() {
    let cancel = Cancel::new();
    let raise = cancel.clone();
    let sources = Sources(move |cancel: &Cancel| {
        raise.cancel();
        cancel.check()?;
        // The flag may be one of the run's own, which follows.
        waits(cancel).map(|()| Vec::new())
    });
    let runtime = runtime(RuntimeOptions {
        model: Some(model(|_| json!("end"))),
        sources: Some(Arc::new(sources)),
        ..RuntimeOptions::default()
    });
    let answer = runtime.ask(Question { cancel, ..Question::new("go") }).unwrap();
    assert_eq!(answer.status, Status::Cancelled);
    let events = runtime.run(&answer.run_id).unwrap().events().unwrap();
    assert_eq!(events.last().unwrap().kind, "cancelled");
}

#[test]
fn who_approves_may_cancel() {
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let ran = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ran);
    let send = FunctionTool::new(card, move |_, _| {
        seen.store(true, Ordering::Relaxed);
        Ok(json!(1))
    });
    let runtime = runtime(RuntimeOptions {
        model: Some(once("send")),
        tools: vec![Arc::new(send.unwrap())],
        ..RuntimeOptions::default()
    });
    let cancel = Cancel::new();
    let raise = cancel.clone();
    let approve = move |_: &Pending| {
        raise.cancel();
        Ok(Some(Decision::Approve))
    };
    let answer =
        runtime.ask(Question { cancel, approve: Some(Arc::new(approve)), ..Question::new("go") }).unwrap();
    assert_eq!((answer.status, ran.load(Ordering::Relaxed)), (Status::Cancelled, false));
}

#[test]
fn cancelling_one_run_leaves_the_flag_of_its_caller_alone() {
    let script = ScriptedModel::of_function(|_, cancel| waits(cancel).map(|()| Reply::text_of("late")));
    let model = Model::new(script, ModelOptions::default()).unwrap();
    let runtime = runtime(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() });
    // One flag for a group of questions.
    let group = Cancel::new();
    let (other, flag) = (runtime.clone(), group.clone());
    let one =
        std::thread::spawn(move || other.ask(Question { cancel: flag, ..Question::new("go") }).unwrap());
    let id = running(&runtime);
    runtime.cancel(&id).unwrap();
    assert_eq!(one.join().unwrap().status, Status::Cancelled);
    assert!(!group.is_cancelled());
    // The group still ends its runs.
    let (other, flag) = (runtime.clone(), group.clone());
    let one =
        std::thread::spawn(move || other.ask(Question { cancel: flag, ..Question::new("go") }).unwrap());
    running(&runtime);
    let raised = Instant::now();
    group.cancel();
    assert_eq!(one.join().unwrap().status, Status::Cancelled);
    assert!(raised.elapsed() < Duration::from_millis(200), "{:?}", raised.elapsed());
}

/// Whatever of the host's panics, the run ends with an error, and is not left behind.
fn panics(options: RuntimeOptions, question: Question, shown: bool) {
    let runtime = runtime(options);
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match shown {
        false => runtime.ask(question),
        true => {
            runtime.ask_shown(question, |event| assert!(event.kind != "run_start", "the listener breaks"))
        }
    }));
    let error = asked.expect("no panic reaches the caller").unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    let runs = runtime.runs(None).unwrap();
    assert_eq!(runs.iter().map(|run| run.status.as_str()).collect::<Vec<_>>(), ["failed"]);
}

#[test]
fn a_panic_of_the_host_s_code_ends_the_run() {
    let plain = || RuntimeOptions { model: Some(model(|_| json!("end"))), ..RuntimeOptions::default() };
    let says = model(|_| panic!("the model breaks"));
    panics(RuntimeOptions { model: Some(says), ..plain() }, Question::new("go"), false);
    let sources = Arc::new(Sources(|_: &Cancel| panic!("the search breaks")));
    panics(RuntimeOptions { sources: Some(sources), ..plain() }, Question::new("go"), false);
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send: Arc<dyn Tool> = Arc::new(FunctionTool::new(card, |_, _| Ok(json!(1))).unwrap());
    let approve = |_: &Pending| -> quorate_core::Result<Option<Decision>> { panic!("who approves breaks") };
    let options = RuntimeOptions { model: Some(once("send")), tools: vec![send], ..plain() };
    panics(options, Question { approve: Some(Arc::new(approve)), ..Question::new("go") }, false);
    panics(plain(), Question::new("go"), true);
}

#[test]
fn a_stream_of_a_run_that_there_is_ends_too() {
    let runtime =
        runtime(RuntimeOptions { model: Some(model(|_| json!("end"))), ..RuntimeOptions::default() });
    let question = || Question { idempotency_key: Some("k".into()), ..Question::new("go") };
    let answer = runtime.ask(question()).unwrap();
    let last = |mut stream: quorate_runtime::RunStream| {
        let mut events = Vec::new();
        while let Some(event) = stream.next_event() {
            events.push(event);
        }
        assert!(events.windows(2).all(|two| two[0].seq + 1 == two[1].seq), "{events:?}");
        assert_eq!(events.iter().filter(|event| event.is_last()).count(), 1, "{events:?}");
        events.pop().unwrap()
    };
    let again = last(runtime.stream(question()).unwrap());
    assert_eq!((again.kind.as_str(), &again.data["result"]["text"]), ("end", &json!("end")));
    let again = last(runtime.stream_resumed(&answer.run_id, Resume::default()).unwrap());
    assert_eq!((again.kind.as_str(), &again.data["result"]["text"]), ("end", &json!("end")));
    let bad = last(runtime.stream(Question::new(" ")).unwrap());
    assert_eq!(bad.kind, "error");
}

#[test]
fn a_stream_of_a_run_that_waits_says_so() {
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send: Arc<dyn Tool> = Arc::new(FunctionTool::new(card, |_, _| Ok(json!(1))).unwrap());
    let runtime =
        runtime(RuntimeOptions { model: Some(once("send")), tools: vec![send], ..RuntimeOptions::default() });
    let question = || Question { idempotency_key: Some("k".into()), ..Question::new("go") };
    assert_eq!(runtime.ask(question()).unwrap().status, Status::Waiting);
    let mut stream = runtime.stream(question()).unwrap();
    let event = stream.next_event().expect("an event");
    assert_eq!((event.kind.as_str(), &event.data["pending"][0]["id"]), ("waiting", &json!("a")));
    assert!(stream.next_event().is_none());
}

#[test]
fn a_runtime_that_lacks_what_a_run_needs_does_not_end_it() {
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send: Arc<dyn Tool> = Arc::new(FunctionTool::new(card, |_, _| Ok(json!(1))).unwrap());
    let store = StateStore::memory();
    let sources = || -> Option<Arc<dyn Retrieve>> { Some(Arc::new(Sources(|_: &Cancel| Ok(Vec::new())))) };
    let whole = runtime(RuntimeOptions {
        model: Some(once("send")),
        tools: vec![send],
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    });
    let waiting = whole.ask(Question::new("go")).unwrap();
    let lacks =
        runtime(RuntimeOptions { sources: sources(), store: Some(store), ..RuntimeOptions::default() });
    let refused = lacks.resume(&waiting.run_id, Resume::with("a", Decision::Approve));
    assert_eq!(refused.map(|_| ()).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(whole.run(&waiting.run_id).unwrap().answer().unwrap().status, Status::Waiting);
    assert_eq!(whole.resume(&waiting.run_id, Resume::with("a", Decision::Approve)).unwrap().text, "end");
}

#[test]
fn results_that_came_are_kept_although_others_are_under_way() {
    let store = StateStore::memory();
    let known = Arc::new(Mutex::new(None));
    let (reads, keeps) = (store.clone(), Arc::clone(&known));
    let card = |name: &str| ToolCard::new(name, "", json!({"type": "object"}));
    let fast = FunctionTool::new(card("fast"), |_, _| Ok(json!("quick"))).unwrap();
    let slow = FunctionTool::new(card("slow"), move |_, context| {
        std::thread::sleep(Duration::from_millis(300));
        // What a process that takes the run now, after a kill, would find.
        let kinds: Vec<String> =
            reads.entries(None, &context.run_id, 1)?.into_iter().map(|entry| entry.kind).collect();
        *keeps.lock().unwrap() = Some(kinds);
        Ok(json!("slow"))
    })
    .unwrap();
    let says = model(|request| match request.messages.len() {
        2 => {
            json!({"tool_calls": [{"id": "a", "name": "fast", "arguments": {}}, {"id": "b", "name": "slow", "arguments": {}}]})
        }
        _ => json!("end"),
    });
    let runtime = runtime(RuntimeOptions {
        model: Some(says),
        tools: vec![Arc::new(fast), Arc::new(slow)],
        store: Some(store),
        ..RuntimeOptions::default()
    });
    assert_eq!(runtime.ask(Question::new("go")).unwrap().text, "end");
    let kinds = known.lock().unwrap().clone().unwrap();
    assert!(kinds.contains(&"returned".to_owned()), "{kinds:?}");
}

#[test]
fn a_run_has_its_question_from_its_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let (reads, seen) = (store.clone(), Arc::new(Mutex::new(0)));
    let keeps = Arc::clone(&seen);
    // A process that is killed between two transactions must not leave a run without a question.
    let sources = Sources(move |_: &Cancel| {
        *keeps.lock().unwrap() = reads.commits();
        Ok(Vec::new())
    });
    let runtime = runtime(RuntimeOptions {
        model: Some(model(|_| json!("end"))),
        sources: Some(Arc::new(sources)),
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    });
    let before = store.commits();
    let answer = runtime.ask(Question::new("go")).unwrap();
    assert_eq!(answer.text, "end");
    assert_eq!(store.entries(None, &answer.run_id, 1).unwrap()[0].kind, "started");
    assert_eq!(*seen.lock().unwrap() - before, 1);
}
