//! What do several tests of graphs need?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{App, Context, END, Graph, Outcome, Output, Reducer, START, State};
use serde_json::{Value, json};

pub fn both(test: impl Fn(&StateStore)) {
    test(&StateStore::memory());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap());
}

pub fn is<T>(result: Result<T>, code: Code) -> Error {
    let error = result.err().unwrap();
    assert_eq!(error.code(), code, "{error}");
    error
}

/// A state with a list that grows, a number that grows, and one value.
pub fn schema() -> Value {
    json!({"type": "object", "properties": {
        "log": {"type": "array"}, "sum": {"type": "number"}, "last": {"type": ["string", "integer", "null"]},
        "items": {"type": "array", "items": {"type": "integer"}},
    }})
}

pub fn graph() -> Graph {
    Graph::new(schema()).reducer("log", Reducer::Append).reducer("sum", Reducer::Sum)
}

/// A node that says its name.
pub fn says(name: &'static str) -> impl Fn(&State, &Context) -> Result<Output> {
    move |_: &State, _: &Context| Ok(json!({"log": name}).into())
}

pub fn answers(pairs: &[(&str, Value)]) -> HashMap<String, Value> {
    pairs.iter().map(|(id, value)| ((*id).to_owned(), value.clone())).collect()
}

pub fn log(outcome: &Outcome) -> Vec<&str> {
    outcome.state["log"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

pub fn chain(store: &StateStore) -> App {
    graph()
        .node("a", says("a"))
        .node("b", |state: &State, _: &Context| {
            Ok(json!({"log": "b", "last": state["log"].as_array().unwrap().len()}).into())
        })
        .node("c", says("c"))
        .edge(START, "a")
        .edge("a", "b")
        .edge("b", "c")
        .edge("c", END)
        .compile(store)
        .unwrap()
}

/// Two nodes that each ask twice, with a step between.
pub fn asking(store: &StateStore, calls: &Arc<AtomicUsize>) -> App {
    let asks = |name: &'static str| {
        let calls = Arc::clone(calls);
        move |_: &State, context: &Context| {
            let first = context.ask(json!({"of": name, "n": 1}))?;
            let did = context.step("between", || {
                calls.fetch_add(1, Ordering::SeqCst);
                Ok(json!("did"))
            })?;
            let second = context.ask(json!({"of": name, "n": 2}))?;
            Ok(json!({"log": [format!("{name} {first} {did} {second}")]}).into())
        }
    };
    graph()
        .node("a", asks("a"))
        .node("b", asks("b"))
        .node("c", says("c"))
        .node("end", says("end"))
        .edge(START, "a")
        .edge(START, "b")
        .edge(START, "c")
        .join(["a", "b", "c"], "end")
        .compile(store)
        .unwrap()
}
