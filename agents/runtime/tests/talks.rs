//! Do conversations and facts stay with whom they belong to, and within their window?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::{Arc, Mutex};

use quorate_core::Code;
use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{ConversationOptions, Keep, Question, Runtime, RuntimeOptions};
use quorate_state::StateStore;

fn runtime(store: &StateStore, tenant: &str, seen: &Arc<Mutex<String>>) -> Runtime {
    let keep = Arc::clone(seen);
    let script = ScriptedModel::of_function(move |request, _| {
        *keep.lock().unwrap() = request.to_json().to_string();
        Ok(quorate_models::Reply::text_of("noted"))
    });
    Runtime::new(RuntimeOptions {
        model: Some(Model::new(script, ModelOptions::default()).unwrap()),
        store: Some(store.clone()),
        tenant: Some(tenant.into()),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

#[test]
fn a_conversation_of_another_tenant_is_refused() {
    let (store, seen) = (StateStore::memory(), Arc::default());
    let (a, b) = (runtime(&store, "a", &seen), runtime(&store, "b", &seen));
    let talk = a.conversation(Some("t"), ConversationOptions::default()).unwrap();
    a.ask(Question { talk: Some(talk.clone()), ..Question::new("My secret is blue.") }).unwrap();
    let crossed = b.ask(Question { talk: Some(talk.clone()), ..Question::new("What is it?") });
    assert!(!seen.lock().unwrap().contains("What is it?"), "{}", seen.lock().unwrap());
    assert_eq!(crossed.map(|_| ()).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(talk.turns().unwrap().len(), 1);
    assert!(b.prompt(Question { talk: Some(talk), ..Question::new("What is it?") }).is_err());
}

#[test]
fn facts_about_the_user_are_within_the_window_too() {
    for keep in [Keep::Window, Keep::Summary, Keep::Recall] {
        let (store, seen) = (StateStore::memory(), Arc::default());
        let runtime = runtime(&store, "a", &seen);
        runtime.memory().remember("ann", &format!("metformin {}", "x ".repeat(30_000)), None).unwrap();
        runtime.memory().remember("ann", "takes metformin", None).unwrap();
        let options = ConversationOptions { user: Some("ann".into()), max_tokens: 400, keep };
        let talk = runtime.conversation(None, options).unwrap();
        runtime.ask(Question { talk: Some(talk), ..Question::new("Which dose of metformin?") }).unwrap();
        let sent = seen.lock().unwrap().clone();
        assert!(sent.len() < 4 * 400 + 1000, "{keep:?}: {}", sent.len());
        assert!(sent.contains("takes metformin"), "{keep:?}: {sent}");
    }
}
