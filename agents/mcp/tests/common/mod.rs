//! How do the tests start the scripted servers and have their tools called?

#![allow(dead_code)] // each file of tests uses a part

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_mcp::{McpOptions, McpTools};
use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{Event, Question, Runtime, RuntimeOptions, Tool};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the log of a server.
pub struct Log(TempDir);

impl Log {
    pub fn new() -> Self {
        Log(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// What happened, of one kind.
    pub fn entries(&self, event: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        entries.filter(|entry| entry["event"] == event).collect()
    }

    /// Waits until something has happened.
    pub fn wait(&self, event: &str) -> Vec<Value> {
        wait(event, || Some(self.entries(event)).filter(|found| !found.is_empty()))
    }
}

/// Waits for what `look` gives.
pub fn wait<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what} has not happened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn script(name: &str) -> String {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name);
    place.to_str().unwrap().to_owned()
}

/// The scripted server on standard input and output.
pub fn stdio(mode: &str, log: &Log) -> McpOptions {
    let parts = ["python3".to_owned(), script("stdio.py"), mode.to_owned()];
    McpOptions::command(parts.into_iter().chain([log.path().to_str().unwrap().to_owned()]))
}

/// The scripted server of streamable HTTP; it ends with this.
pub struct Http {
    child: Child,
    pub port: u16,
}

impl Http {
    pub fn start(mode: &str, log: &Log, port: u16) -> Self {
        let mut command = Command::new("python3");
        command.args([script("streamable.py"), mode.to_owned()]).arg(log.path()).arg(port.to_string());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Http { child, port: line.trim().parse().unwrap() }
    }

    pub fn options(&self) -> McpOptions {
        McpOptions::url(format!("http://127.0.0.1:{}/mcp", self.port))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a run of one call of a tool has shown.
pub struct Called {
    pub content: String,
    pub error: Option<String>,
    pub events: Vec<Event>,
}

impl Called {
    /// The sentences of warnings.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.events.iter().filter(|event| event.kind == "warning");
        warnings.map(|event| event.data["message"].as_str().unwrap().to_owned()).collect()
    }

    pub fn code(&self) -> &str {
        self.error.as_deref().unwrap_or("none")
    }
}

/// A runtime whose model calls what the question says: `name {"arguments": ...}`, one call after the other.
pub fn runtime(tools: Vec<Arc<dyn Tool>>) -> Runtime {
    let script = ScriptedModel::of_function(|request, _| {
        let asked = request
            .messages
            .iter()
            .find(|message| message.role == quorate_models::Role::User)
            .unwrap()
            .text();
        let calls: Vec<&str> = asked.lines().filter(|line| line.starts_with("call ")).collect();
        let done = request
            .messages
            .iter()
            .flat_map(|message| &message.content)
            .filter(|part| part.to_json()["type"] == "tool_result")
            .count();
        let reply = match calls.get(done) {
            Some(call) => {
                let (name, arguments) = call["call ".len()..].split_once(' ').unwrap();
                let arguments: Value = serde_json::from_str(arguments).unwrap();
                json!({"tool_calls": [{"id": format!("c{done}"), "name": name, "arguments": arguments}]})
            }
            None => json!("end"),
        };
        ScriptedModel::reply_from_json(&reply)
    });
    let model = Model::new(script, ModelOptions::default()).unwrap();
    let approve: Arc<dyn quorate_runtime::Approve> = Arc::new(Yes);
    let options =
        RuntimeOptions { model: Some(model), tools, approve: Some(approve), ..RuntimeOptions::default() };
    Runtime::new(options).unwrap()
}

struct Yes;

impl quorate_runtime::Approve for Yes {
    fn decide(
        &self,
        _: &quorate_runtime::Pending,
        _: &quorate_core::Cancel,
    ) -> quorate_core::Result<Option<quorate_runtime::Decision>> {
        Ok(Some(quorate_runtime::Decision::Approve))
    }
}

/// A question by which the tools are called one after the other.
pub fn question(calls: &[(&str, Value)]) -> Question {
    let lines: Vec<String> =
        calls.iter().map(|(name, arguments)| format!("call {name} {arguments}")).collect();
    Question::new(lines.join("\n"))
}

/// Has tools called one after the other, and gives what came of each.
pub fn calls(runtime: &Runtime, calls: &[(&str, Value)]) -> Vec<Called> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let shown = Arc::clone(&seen);
    runtime.ask_shown(question(calls), move |event| shown.lock().unwrap().push(event)).unwrap();
    let events = seen.lock().unwrap().clone();
    let called = |id: &Value| {
        let result = events.iter().find(|event| event.kind == "tool_result" && event.data["id"] == *id);
        let of = |name: &str| result.and_then(|result| result.data[name].as_str()).map(str::to_owned);
        Called { content: of("content").unwrap_or_default(), error: of("error"), events: events.clone() }
    };
    let asked: Vec<&Event> = events.iter().filter(|event| event.kind == "tool_call").collect();
    assert_eq!(asked.len(), calls.len(), "{events:#?}");
    asked.iter().map(|event| called(&event.data["id"])).collect()
}

/// Has one tool called.
pub fn call(tools: &McpTools, name: &str, arguments: Value) -> Called {
    calls(&runtime(vec![tools.set()]), &[(name, arguments)]).remove(0)
}

/// Whether a process is there and runs.
pub fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until a process is gone.
pub fn gone(pid: u64) {
    wait("the end of a process", || (!runs(pid)).then_some(()));
}
