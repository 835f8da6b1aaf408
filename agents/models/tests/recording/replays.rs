//! Is a replay the recorded run again, whatever kept that from being plain?

use std::time::Duration;

use quorate_models::{BreakerOptions, Resilience};

use super::*;
use crate::server::{Answer, delta, events, finish, usage};

fn scripted_server() -> Server {
    Server::start(|_, request| match request.body["stream"].as_bool() {
        Some(true) => streamed("5 mg daily"),
        _ => whole("5 mg"),
    })
}

#[test]
fn a_redacted_key_does_not_show_in_the_text_of_a_result() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = scripted_server();
    let model = self::model(&server);
    let recording = record(&path, &["token"]).unwrap();
    let result = call("tool", "login", &json!({}), || Ok(json!({"token": "hunter2-hunter2"}))).unwrap();
    // What every host does with a result: it goes to the model as text.
    let asked = Message::from_json(&json!({"role": "assistant", "content": [{"type": "tool_call", "id": "c", "name": "login", "arguments": {}}]})).unwrap();
    let messages = vec![Message::user("q"), asked, Message::tool("c", result.to_string())];
    model.complete(&Request::new(messages), &never()).unwrap();
    drop(recording);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_replay_waits_for_no_limit() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = scripted_server();
    let run = |clock: Arc<ManualClock>| {
        let resilience = Resilience { requests_per_minute: Some(1), ..Resilience::default() };
        let options = ModelOptions {
            base_url: Some(server.url.clone()),
            clock: Some(clock),
            resilience,
            ..ModelOptions::default()
        };
        let model = Model::open("openai:m", options).unwrap();
        for n in 0..3 {
            model.complete(&question(&format!("limited {n}")), &never()).unwrap();
        }
    };
    let recording = record(&path, &[]).unwrap();
    run(Arc::default());
    drop(recording);
    let replaying = replay(&path).unwrap();
    let clock = Arc::new(ManualClock::default());
    run(clock.clone());
    drop(replaying);
    let slept: Duration = clock.sleeps().iter().sum();
    assert_eq!(slept, Duration::ZERO, "nothing is sent, and nobody waits");
}

#[test]
fn a_replay_finds_no_circuit_open_that_the_recorded_run_found_closed() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = Server::start(|n, _| if n < 5 { refuse(500, "{}") } else { whole("well again") });
    let run = |clock: Arc<ManualClock>, pass: bool| {
        let resilience = Resilience { attempts: 1, ..Resilience::default() };
        let options = ModelOptions {
            base_url: Some(server.url.clone()),
            clock: Some(clock.clone()),
            resilience,
            ..ModelOptions::default()
        };
        let model = Model::open("openai:m", options).unwrap();
        for n in 0..5 {
            assert!(model.complete(&question(&format!("failing {n}")), &never()).is_err());
        }
        // In the recorded run somebody waited.
        if pass {
            clock.advance(Duration::from_secs(31));
        }
        model.complete(&question("well"), &never()).map(|reply| reply.text()).map_err(|e| e.to_string())
    };
    let recording = record(&path, &[]).unwrap();
    let first = run(Arc::default(), true);
    drop(recording);
    let replaying = replay(&path).unwrap();
    let second = run(Arc::default(), false);
    drop(replaying);
    assert_eq!(first, second, "left: recorded, right: replayed");
}

#[test]
fn a_stream_that_is_left_early_is_recorded() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = scripted_server();
    let model = self::model(&server);
    let first = || match model.stream(&question("left early"), &never()).unwrap().next() {
        Some(Event::Text { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let recording = record(&path, &[]).unwrap();
    first().unwrap();
    drop(recording);
    let replaying = replay(&path).unwrap();
    let again = first();
    drop(replaying);
    assert_eq!(again, Ok(()), "the same calls, replayed");
}

#[test]
fn odd_events_are_replayed_too() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = Server::start(|_, _| {
        let mut answer = streamed("5 mg daily");
        answer.body.splice(0..0, *b"data: {odd\n\n");
        answer
    });
    let model = self::model(&server);
    let kinds = || -> Vec<&str> {
        let mut kinds: Vec<&str> =
            model.stream(&question("odd"), &never()).unwrap().map(|event| event.kind()).collect();
        kinds.dedup();
        kinds
    };
    let recording = record(&path, &[]).unwrap();
    let first = kinds();
    drop(recording);
    let replaying = replay(&path).unwrap();
    let second = kinds();
    drop(replaying);
    assert_eq!(first, second, "left: recorded, right: replayed");
}
