//! Does no finished step run again, wherever the process was killed?
//!
//! A child process asks an expert that has tools run, waits for approval of some and asks another expert; it is killed after
//! each entry of its journal in turn, and another child goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests

use std::fs::{OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embedder, EmbedderOptions};
use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{
    Decision, Effect, FunctionTool, Question, Resume, Runtime, RuntimeOptions, Status, Tool, ToolCard,
    agent_tool,
};
use quorate_state::StateStore;
use serde_json::{Value, json};

/// Ends this process as a kill does, after so many lines of the log of what took effect.
fn kill_after(lines: u64) {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    if SEEN.fetch_add(1, Ordering::SeqCst) + 1 == lines {
        // SAFETY: raises a signal against this process alone.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    }
}

/// The plan of all models: two reads, a write, another expert that reads and writes, the answer.
fn say(request: &Request) -> Value {
    let system = request.messages[0].text();
    let results = request.messages.iter().flat_map(|message| &message.content);
    let done = results.filter(|part| part.to_json()["type"] == "tool_result").count();
    let call =
        |id: &str, name: &str, arguments: Value| json!({"id": id, "name": name, "arguments": arguments});
    if system.contains("Helper") {
        return match done {
            0 => json!({"tool_calls": [call("h", "read", json!({"n": 7}))]}),
            1 => json!({"tool_calls": [call("i", "write", json!({"n": 8}))]}),
            _ => json!("seven"),
        };
    }
    match done {
        0 => json!({"tool_calls": [call("a", "read", json!({"n": 1})), call("b", "read", json!({"n": 2}))]}),
        2 => json!({"tool_calls": [call("c", "write", json!({"n": 3}))]}),
        3 => json!({"tool_calls": [call("d", "ask_helper", json!({"question": "How many?"}))]}),
        _ => json!("all done"),
    }
}

fn runtime(folder: &Path, kill: u64) -> Runtime {
    let log = folder.join("log");
    let tool = move |name: &str, effect: Effect| -> Arc<dyn Tool> {
        let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
        let (log, known) = (log.clone(), name.to_owned());
        let card = ToolCard { effect, idempotent: Some(true), ..ToolCard::new(name, "", schema) };
        Arc::new(
            FunctionTool::new(card, move |arguments, context| {
                let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
                // In one write, since another call writes at the same time.
                let line = format!("{known} {} {}\n", arguments["n"], context.idempotency_key);
                file.write_all(line.as_bytes()).unwrap();
                kill_after(kill);
                Ok(json!(arguments["n"]))
            })
            .unwrap(),
        )
    };
    let registry = AgentRegistry::open(
        None,
        RegistryOptions::new(Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap())),
    )
    .unwrap();
    registry.add(Agent::new("boss", "Boss", "Leads the ward.")).unwrap();
    registry.add(Agent::new("helper", "Helper", "Counts the beds.")).unwrap();
    let script = ScriptedModel::of_function(move |request, _| {
        kill_after(kill);
        ScriptedModel::reply_from_json(&say(request))
    });
    let options = RuntimeOptions {
        registry: Some(registry),
        model: Some(Model::new(script, ModelOptions::default()).unwrap()),
        tools: vec![tool("read", Effect::Read), tool("write", Effect::Write)],
        store: Some(StateStore::open(folder.join("store")).unwrap()),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

/// Asks, or goes on with what there is, until it is over; prints the answer.
fn child(folder: &Path, kill: u64) {
    let runtime = runtime(folder, kill);
    let mut tools = vec![agent_tool(&runtime, "helper").unwrap()];
    tools.extend(runtime_tools(&runtime));
    let question = || Question {
        tools: Some(tools.clone()),
        idempotency_key: Some("the one".into()),
        ..Question::to("How many beds?", "boss")
    };
    let mut answer = runtime.ask(question()).unwrap();
    while answer.status == Status::Waiting {
        kill_after(kill);
        let decisions = answer.pending.iter().map(|one| (one.id.clone(), Decision::Approve)).collect();
        let going_on = Resume { decisions, tools: Some(tools.clone()), ..Resume::default() };
        answer = runtime.resume(&answer.run_id, going_on).unwrap();
    }
    println!("ANSWER {} {}", answer.status.as_str(), answer.text);
}

fn runtime_tools(runtime: &Runtime) -> Vec<Arc<dyn Tool>> {
    runtime.tools().to_vec()
}

fn run(folder: &Path, kill: u64) -> Option<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_of_the_kills", "--nocapture", "--ignored"])
        .env("QUORATE_KILLS", folder)
        .env("QUORATE_KILLS_AT", kill.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer =
        said.lines().find_map(|line| line.split_once("ANSWER ")).map(|(_, answer)| answer.to_owned());
    assert!(
        answer.is_some() || !output.status.success(),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    answer
}

#[test]
#[ignore = "it is the child process of the test below"]
fn child_of_the_kills() {
    let folder = PathBuf::from(std::env::var("QUORATE_KILLS").unwrap());
    child(&folder, std::env::var("QUORATE_KILLS_AT").unwrap().parse().unwrap());
}

#[test]
fn wherever_it_is_killed_it_ends_as_if_it_had_not_been() {
    let mut killed = 0;
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), at);
        if first.is_none() {
            killed += 1;
            // And killed once more in the middle of going on.
            run(folder.path(), 2);
        }
        let answer = first.or_else(|| run(folder.path(), 0));
        assert_eq!(answer.as_deref(), Some("done all done"), "killed at {at}");
        let log = read_to_string(folder.path().join("log")).unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        // What was under way when the process was killed may have run again, with the same key; nothing else.
        let all = lines.len();
        lines.dedup();
        assert!(all - lines.len() <= 4, "killed at {at}: {log}");
        assert_eq!(lines.len(), 5, "killed at {at}: {log}");
        let store = StateStore::open(folder.path().join("store")).unwrap();
        let runs = store.runs(None, None).unwrap();
        assert_eq!(
            (runs.len(), runs.iter().all(|run| run.status == "done")),
            (2, true),
            "killed at {at}: {runs:?}"
        );
        if killed < at {
            break;
        }
    }
    assert!(killed >= 8, "{killed}");
}

#[test]
fn of_two_that_go_on_with_a_run_one_does() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), 3), None);
    let runtime = runtime(folder.path(), 0);
    let interrupted = runtime.runs(Some("interrupted")).unwrap();
    let id = interrupted.iter().find(|run| run.parent.is_none()).unwrap().id.clone();
    let mut tools = vec![agent_tool(&runtime, "helper").unwrap()];
    tools.extend(runtime_tools(&runtime));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let ask = || runtime.resume(&id, Resume { tools: Some(tools.clone()), ..Resume::default() });
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let waiting = outcomes
        .iter()
        .filter(|outcome| outcome.as_ref().is_ok_and(|answer| answer.status == Status::Waiting));
    let conflicts =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(|error| error.code().as_str());
    let conflicts: Vec<&str> = conflicts.collect();
    assert!(waiting.count() >= 1 && conflicts.iter().all(|code| *code == "run_conflict"), "{conflicts:?}");
}
