//! Is each turn written into its conversation once, whenever its process ended?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::{Arc, Mutex};

use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{
    Conversation, ConversationOptions, Decision, Effect, FunctionTool, Keep, Question, Resume, Runtime,
    RuntimeOptions, ToolCard,
};
use quorate_state::{Begun, NewRun, StateStore};
use serde_json::{Value, json};

fn runtime(store: &StateStore, answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Runtime {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send = FunctionTool::new(card, |_, _| Ok(json!("sent"))).unwrap();
    Runtime::new(RuntimeOptions {
        model: Some(Model::new(script, ModelOptions::default()).unwrap()),
        tools: vec![Arc::new(send)],
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

fn talk(runtime: &Runtime) -> Conversation {
    runtime.conversation(Some("t"), ConversationOptions::default()).unwrap()
}

fn ask(runtime: &Runtime, text: &str, key: Option<&str>) -> quorate_runtime::Answer {
    let (talk, idempotency_key) = (Some(talk(runtime)), key.map(str::to_owned));
    runtime.ask(Question { talk, idempotency_key, ..Question::new(text) }).unwrap()
}

fn texts(talk: &Conversation) -> Vec<String> {
    talk.messages().unwrap().iter().map(|message| message.text()).collect()
}

const SPACE: &str = "conversation:t";

#[test]
fn wherever_its_process_was_killed_a_turn_is_written_once() {
    let store = StateStore::memory();
    let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let (reads, keeps) = (store.clone(), Arc::clone(&seen));
    let first = runtime(&store, move |_| {
        *keeps.lock().unwrap() = reads.list(None, SPACE).unwrap();
        json!("5 mg")
    });
    let answer = ask(&first, "Which dose?", Some("k"));
    let entries = store.entries(None, &answer.run_id, 1).unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds, ["started", "replied", "ended"]);
    // What was there of the conversation before the answer.
    let places = seen.lock().unwrap().clone();
    assert_eq!(places.len(), 1, "its place is taken before the answer is there");
    let said = ["Which dose?", "5 mg"];
    for n in 1..=entries.len() {
        let copy = || {
            let copy = StateStore::memory();
            let new = NewRun { id: Some(&answer.run_id), kind: "ask", key: Some("k"), ..NewRun::default() };
            let Begun::New(held) = copy.begin(&new, &entries[..n]).unwrap() else { panic!() };
            if n == entries.len() {
                held.append(&[], Some("done")).unwrap();
            }
            for (key, value) in &places {
                copy.put(None, SPACE, key, value).unwrap();
            }
            copy
        };
        let says = |_: &Request| json!("5 mg");
        // Whoever opens the conversation finds the turn where its answer is known.
        let (one, answered) = (runtime(&copy(), says), n > 1);
        assert_eq!(texts(&talk(&one)), if answered { said.to_vec() } else { vec![] }, "opened, {n}");
        // Whoever asks in it takes it along.
        let sent: Arc<Mutex<String>> = Arc::default();
        let keep = Arc::clone(&sent);
        let asking = copy();
        let one = runtime(&asking, move |request| {
            *keep.lock().unwrap() = request.to_json().to_string();
            json!("twice")
        });
        ask(&one, "How often?", None);
        assert_eq!(sent.lock().unwrap().contains("5 mg"), answered, "asked, {n}");
        // Whoever goes on with the run, by its id or its key, before or after.
        for by_key in [false, true] {
            for opened in [false, true] {
                let one = runtime(&copy(), says);
                if opened {
                    let _ = talk(&one).turns().unwrap();
                }
                for _ in 0..2 {
                    match by_key {
                        true => drop(ask(&one, "Which dose?", Some("k"))),
                        false => drop(one.resume(&answer.run_id, Resume::default()).unwrap()),
                    }
                    assert_eq!(texts(&talk(&one)), said, "{n}, by key: {by_key}, opened: {opened}");
                }
                // What was forgotten does not come back.
                assert_eq!(talk(&one).forget(None).unwrap(), 1);
                one.resume(&answer.run_id, Resume::default()).unwrap();
                drop(ask(&one, "Which dose?", Some("k")));
                assert!(texts(&talk(&one)).is_empty(), "{n}");
            }
        }
    }
}

#[test]
fn a_run_that_was_deleted_or_says_nothing_leaves_no_turn() {
    let store = StateStore::memory();
    let fails = runtime(&store, |request| match request.messages.last().unwrap().text().as_str() {
        "refuse" => json!({"refusal": "I must not.", "content": null}),
        _ => json!({"tool_calls": [{"id": "a", "name": "send", "arguments": {}}]}),
    });
    ask(&fails, "refuse", None);
    let waiting = ask(&fails, "wait", None);
    assert!(texts(&talk(&fails)).is_empty());
    assert_eq!(store.list(None, SPACE).unwrap().len(), 1);
    fails.delete(&waiting.run_id).unwrap();
    assert!(texts(&talk(&fails)).is_empty());
    assert!(store.list(None, SPACE).unwrap().is_empty());
    // One that waits can be forgotten before it has answered.
    let waiting = ask(&fails, "wait", None);
    talk(&fails).forget(Some(std::slice::from_ref(&waiting.run_id))).unwrap();
    assert!(store.list(None, SPACE).unwrap().is_empty());
}

#[test]
fn a_question_that_is_answered_late_is_summed_up_too() {
    let seen: Arc<Mutex<String>> = Arc::default();
    let keep = Arc::clone(&seen);
    let store = StateStore::memory();
    let says = runtime(&store, move |request| {
        let said = request.messages.last().unwrap().text();
        if said.starts_with("Sum up") {
            *keep.lock().unwrap() = said;
            return json!("a summary");
        }
        let sent = request.messages.iter().any(|message| message.role == quorate_models::Role::Tool);
        let last = request.messages.iter().rev().find(|message| message.role == quorate_models::Role::User);
        match last.unwrap().text().contains("late") && !sent {
            true => json!({"tool_calls": [{"id": "a", "name": "send", "arguments": {}}]}),
            false => json!(format!("It is noted, {}", "with all that belongs to it ".repeat(20))),
        }
    });
    let options =
        ConversationOptions { max_tokens: 200, keep: Keep::Summary, ..ConversationOptions::default() };
    let talk = says.conversation(Some("t"), options).unwrap();
    let ask = |text: &str| says.ask(Question { talk: Some(talk.clone()), ..Question::new(text) }).unwrap();
    let late = ask("the late one");
    for n in 0..3 {
        ask(&format!("number {n}"));
    }
    assert!(seen.lock().unwrap().contains("number 0") && !seen.lock().unwrap().contains("the late one"));
    says.resume(&late.run_id, Resume::with("a", Decision::Approve)).unwrap();
    ask("and now");
    assert!(seen.lock().unwrap().contains("the late one"), "{}", seen.lock().unwrap());
}
