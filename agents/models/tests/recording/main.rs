//! Does a recording give back what was answered, and say what differs?

mod replays;
#[allow(dead_code)]
#[path = "../calls/server.rs"]
mod server;

use std::sync::{Arc, Mutex};

use quorate_core::{Cancel, Code};
use quorate_models::{
    Event, ManualClock, Message, Model, ModelOptions, Request, Secret, call, record, replay,
};
use serde_json::json;

use server::{Server, refuse, streamed, whole};

/// There is one recording at a time in a process.
static ONE: Mutex<()> = Mutex::new(());

const KEY: &str = "sk-never-to-be-seen-42";

fn model(server: &Server) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        api_key: Some(Secret::new(KEY.into())),
        clock: Some(Arc::new(ManualClock::default())),
        ..ModelOptions::default()
    };
    Model::open("openai:m", options).unwrap()
}

fn never() -> Cancel {
    Cancel::new()
}

fn question(text: &str) -> Request {
    Request::new(vec![Message::user(text)])
}

#[test]
fn what_was_recorded_is_given_again_without_the_service() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let answer = |n: usize, request: &server::Asked| match (n, request.body["stream"].as_bool()) {
        (0, _) => refuse(503, "{}"),
        (_, Some(true)) => streamed("5 mg daily"),
        _ => whole("5 mg"),
    };
    let server = Server::start(answer);
    let model = self::model(&server);
    let tool = || {
        call("tool", "lookup", &json!({"code": "K1", "password": "p"}), || {
            Ok(json!({"means": "x", "token": "t"}))
        })
    };
    let run = || {
        let whole = model.complete(&question("recorded whole"), &never()).unwrap();
        let Some(Event::End(streamed)) = model.stream(&question("recorded stream"), &never()).unwrap().last()
        else {
            panic!("no end")
        };
        (whole, *streamed, tool().unwrap()["means"].clone())
    };
    let recording = record(&path, &["Token", "password"]).unwrap();
    assert_eq!(record(&path, &[]).unwrap_err().code(), Code::DuplicateId);
    let first = run();
    drop(recording);
    let mine = |text: &str| -> Vec<String> {
        let kept = text
            .lines()
            .filter(|line| line.contains("recorded") || line.contains("lookup") || line.contains("quorate"));
        kept.map(str::to_owned).collect()
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(KEY) && !text.contains("\"t\"") && !text.contains("\"p\""), "{text}");
    assert_eq!(mine(&text).len(), 5, "{text}");
    assert_eq!(server.count(), 3);

    let replaying = replay(&path).unwrap();
    assert_eq!(run(), first);
    assert_eq!(server.count(), 3, "a replay asks nobody");
    let error = model.complete(&question("another question"), &never()).unwrap_err();
    assert_eq!(error.code(), Code::ReplayMismatch);
    drop(replaying);

    // A difference has its place.
    let replaying = replay(&path).unwrap();
    let error = model.complete(&question("recorded wholly"), &never()).unwrap_err();
    assert!(
        error.message().contains("/messages/0/content") && error.message().contains("recorded whole"),
        "{error}"
    );
    drop(replaying);

    // Recording the same again gives the same file.
    let again = Server::start(answer);
    let model = self::model(&again);
    let second = folder.path().join("again.jsonl");
    let recording = record(&second, &["Token", "password"]).unwrap();
    model.complete(&question("recorded whole"), &never()).unwrap();
    model.stream(&question("recorded stream"), &never()).unwrap().for_each(drop);
    tool().unwrap();
    drop(recording);
    assert_eq!(mine(&std::fs::read_to_string(&second).unwrap()), mine(&text));
}

#[test]
fn files_that_are_no_recordings() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    assert_eq!(replay(&path).unwrap_err().code(), Code::NotFound);
    for (text, code) in [
        ("", Code::Corrupt),
        ("{}\n", Code::Corrupt),
        ("{\"quorate\": \"recording\", \"version\": 9}\n", Code::FormatVersion),
        ("{\"quorate\": \"recording\", \"version\": 1}\nnot JSON\n", Code::Corrupt),
        ("{\"quorate\": \"recording\", \"version\": 1}\n{\"kind\": \"model\"}\n", Code::Corrupt),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(replay(&path).unwrap_err().code(), code, "{text}");
    }
    for bytes in [&b"\xff\n"[..], b"{\"quorate\": \"recording\", \"version\": 1}\n\xff\n"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(replay(&path).unwrap_err().code(), Code::Corrupt);
    }
    // It never ends.
    #[cfg(unix)]
    assert_eq!(replay("/dev/zero").unwrap_err().code(), Code::Unsupported);
}

#[test]
fn a_recording_of_deep_arguments_can_be_read() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(123), "]".repeat(123));
    let server = Server::start(move |_, _| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": deep}});
        refuse(200, &json!({"choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}).to_string())
    });
    let recording = record(&path, &[]).unwrap();
    self::model(&server).complete(&question("deep"), &never()).unwrap();
    drop(recording);
    let replaying = replay(&path);
    assert!(replaying.is_ok(), "{replaying:?}");
}
