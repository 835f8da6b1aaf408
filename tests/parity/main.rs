//! Do the operations of the shared fixture still give its answers? README.md beside this file describes both.
//!
//! `QUORATE_PARITY=write cargo test --release --test parity` writes the answers anew.

mod agents;
mod args;
mod consensus;
mod examples;
mod knowledge;
mod models;
mod panels;
mod runs;
#[path = "../../examples/topics/all.rs"]
mod topics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate::agents::AgentRegistry;
use quorate::models::Model;
use quorate::rag::KnowledgeBase;
use quorate::{Embed, Result};
use serde_json::{Value, json};

use args::Args;

/// What operations can keep under a name.
enum Handle {
    Knowledge(KnowledgeBase),
    Embedder(Arc<dyn Embed>),
    Registry(AgentRegistry),
    Model(Model),
}

/// The outcome of an operation: an answer, and what it made.
struct Done {
    answer: Value,
    made: Option<Handle>,
}

impl Done {
    fn answer(answer: impl Into<Value>) -> Self {
        Done { answer: answer.into(), made: None }
    }

    fn made(handle: Handle) -> Self {
        Done { answer: Value::Null, made: Some(handle) }
    }
}

/// A folder for the knowledge bases of one run.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(operations: &[Value], folder: &Path) -> BTreeMap<String, Value> {
    let mut handles: BTreeMap<String, Handle> = BTreeMap::new();
    let mut answers = BTreeMap::new();
    for operation in operations {
        let name = operation["name"].as_str().expect("a name");
        let on = operation["on"].as_str().expect("an object");
        let call = operation["call"].as_str().expect("a call");
        let args = Args::new(name, &operation["args"]);
        let outcome: Result<Done> = match (on, handles.get(on)) {
            ("quorate", _) => knowledge::top(call, &args, folder)
                .or_else(|| agents::top(call, &args))
                .or_else(|| models::top(call, &args))
                .or_else(|| runs::top(call, &args))
                .or_else(|| panels::top(call, &args))
                .unwrap_or_else(|| panic!("{name}: quorate has no {call}")),
            ("consensus", _) => consensus::call(call, &args),
            (_, Some(Handle::Knowledge(kb))) => knowledge::on_kb(kb, call, &args),
            (_, Some(Handle::Embedder(embedder))) => knowledge::on_embedder(embedder.as_ref(), call, &args),
            (_, Some(Handle::Registry(registry))) => agents::on_registry(registry, call, &args),
            (_, Some(Handle::Model(model))) => models::on_model(model, call, &args),
            (_, None) => panic!("{name}: nothing is kept as '{on}'"),
        };
        let answer = match outcome {
            Ok(done) => {
                args.all_used();
                if let Some(handle) = done.made
                    && let Some(keep) = operation["keep"].as_str()
                {
                    handles.insert(keep.to_owned(), handle);
                }
                done.answer
            }
            Err(error) => json!({"error": error.code().as_str()}),
        };
        assert!(answers.insert(name.to_owned(), answer).is_none(), "two operations are called '{name}'");
    }
    answers
}

/// Where two answers differ: numbers by more than one millionth of their size (of 1, for small ones), all else at all.
fn difference(expected: &Value, found: &Value, path: &str) -> Option<String> {
    let differ = || Some(format!("{path}: {found} in place of {expected}"));
    match (expected, found) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64()?, b.as_f64()?);
            if (a - b).abs() <= 1e-6 * a.abs().max(1.0) { None } else { differ() }
        }
        (Value::Array(a), Value::Array(b)) => match a.len() == b.len() {
            true => (0..)
                .zip(a.iter().zip(b))
                .find_map(|(i, (a, b)): (usize, _)| difference(a, b, &format!("{path}[{i}]"))),
            false => differ(),
        },
        (Value::Object(a), Value::Object(b)) => match a.keys().eq(b.keys()) {
            true => a.iter().find_map(|(name, a)| difference(a, &b[name], &format!("{path}.{name}"))),
            false => differ(),
        },
        (a, b) if a == b => None,
        _ => differ(),
    }
}

/// Held by who asks models: a recording, which one of the examples makes, is of all that a process asks.
fn alone() -> MutexGuard<'static, ()> {
    static MODELS: Mutex<()> = Mutex::new(());
    MODELS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn operations_give_their_answers() {
    let _alone = alone();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(here.join(name)).expect(name);
        serde_json::from_str(&text).expect(name)
    };
    let operations = read("operations.json");
    assert_eq!(operations["format"], 1);
    let folder = Folder(std::env::temp_dir().join(format!("quorate-parity-{}", std::process::id())));
    let found = run(operations["operations"].as_array().expect("operations"), &folder.0);
    let file = here.join("answers.json");
    if std::env::var_os("QUORATE_PARITY").is_some_and(|v| v == "write") {
        let text = serde_json::to_string_pretty(&json!({"format": 1, "answers": found})).expect("JSON");
        std::fs::write(file, text + "\n").expect("answers.json");
        return;
    }
    let answers = read("answers.json");
    assert_eq!(answers["format"], 1);
    let expected = answers["answers"].as_object().expect("answers");
    assert!(
        expected.keys().eq(found.keys()),
        "operations and answers have other names; write the answers anew"
    );
    let wrong: Vec<String> =
        found.iter().filter_map(|(name, answer)| difference(&expected[name], answer, name)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
