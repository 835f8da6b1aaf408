//! Is a replay the recorded run again, whatever kept that from being plain?

use std::time::Duration;

use quorate_models::{BreakerOptions, Price, Resilience};

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

/// What a run gives, recorded and replayed, on clocks of its own.
fn twice<T>(server: &Server, resilience: &Resilience, run: impl Fn(&Model, &ManualClock) -> T) -> (T, T) {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let once = || {
        let clock = Arc::new(ManualClock::default());
        let options = ModelOptions {
            base_url: Some(server.url.clone()),
            clock: Some(clock.clone()),
            price: Some(Price::new(10.0, 30.0).unwrap()),
            resilience: resilience.clone(),
            ..ModelOptions::default()
        };
        run(&Model::open("openai:m", options).unwrap(), &clock)
    };
    let recording = record(&path, &[]).unwrap();
    let first = once();
    drop(recording);
    let count = server.count();
    let replaying = replay(&path).unwrap();
    let second = once();
    drop(replaying);
    assert_eq!(server.count(), count, "a replay asks nobody");
    (first, second)
}

fn said(outcome: quorate_core::Result<quorate_models::Reply>) -> String {
    match outcome {
        Ok(reply) => format!("{} {:?} {:?}", reply.text(), reply.usage, reply.cost),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_kept_a_request_from_being_sent_is_replayed() {
    // An open circuit.
    let server = Server::start(|n, _| if n < 2 { refuse(500, "{}") } else { whole("well again") });
    let breaker = Some(BreakerOptions { failures: 2, ..BreakerOptions::default() });
    let resilience = Resilience { attempts: 1, breaker, ..Resilience::default() };
    let (first, second) = twice(&server, &resilience, |model, clock| {
        let mut all: Vec<String> =
            (0..4).map(|_| said(model.complete(&question("circuit"), &never()))).collect();
        clock.advance(Duration::from_secs(31));
        all.push(said(model.complete(&question("circuit"), &never())));
        all
    });
    assert_eq!(first, second, "left: recorded, right: replayed");
    assert!(first[2].contains("in a row") && first[4].contains("well again"), "{first:?}");
    // A deadline: in the recorded run the second attempt had no time left.
    let server = Server::start(|_, _| refuse(503, "{}"));
    let resilience =
        Resilience { attempts: 3, deadline: Some(Duration::from_secs(1)), seed: Some(3), ..resilience };
    let (first, second) = twice(&server, &Resilience { breaker: None, ..resilience }, |model, _| {
        let whole = said(model.complete(&question("deadline"), &never()));
        let Some(Event::Error { error, partial }) =
            model.stream(&question("deadline"), &never()).unwrap().last()
        else {
            panic!("no error")
        };
        (whole, error.to_string(), partial.attempts)
    });
    assert_eq!(first, second, "left: recorded, right: replayed");
    assert_eq!(first.2, 2);
}

#[test]
fn what_was_cancelled_is_replayed_as_cancelled() {
    let server = Server::start(|_, request| match request.body["stream"].as_bool() {
        Some(true) => {
            let mut answer = streamed("5 mg daily and no more than that");
            answer.body.truncate(300);
            Answer { hang: Duration::from_secs(5), ..answer }
        }
        _ => Answer { wait: Duration::from_secs(5), ..whole("late") },
    });
    let (first, second) = twice(&server, &Resilience::default(), |model, _| {
        let cancel = Cancel::new();
        let mut stream = model.stream(&question("cancelled"), &cancel).unwrap();
        let mut kinds = vec![stream.next_event().unwrap().kind()];
        cancel.cancel();
        kinds.extend(stream.map(|event| event.kind()));
        kinds.dedup();
        let cancel = Cancel::new();
        let raised = cancel.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            raised.cancel();
        });
        (kinds, said(model.complete(&question("cancelled whole"), &cancel)))
    });
    assert_eq!(first, second, "left: recorded, right: replayed");
    assert_eq!(first.0, ["text", "cancelled"]);
}

#[test]
fn all_that_a_stream_gave_before_it_was_left_is_replayed() {
    let server = Server::start(|_, _| {
        let call = |id: &str, written: &str| {
            delta(
                json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": "f", "arguments": written}}]}),
            )
        };
        events(&[
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"content": "I look."})),
            call("c", "{\"token\":"),
            call("", "\"t0k3n\"}"),
            finish("tool_calls"),
            usage(10, 5),
        ])
    });
    for most in 1..4 {
        let (first, second) = twice(&server, &Resilience::default(), |model, _| {
            let stream = model.stream(&question("left"), &never()).unwrap();
            let (mut said, mut written) = (String::new(), String::new());
            for event in stream.take(most) {
                match event {
                    Event::Text { delta } | Event::Reasoning { delta } => said.push_str(&delta),
                    Event::ToolInput { name, delta, .. } => written.push_str(&format!("{name}{delta}")),
                    other => panic!("{other:?}"),
                }
            }
            (said, written.replace('f', ""))
        });
        assert_eq!(first, second, "after {most} events; left: recorded, right: replayed");
    }
}

#[test]
fn what_failed_attempts_used_is_replayed() {
    let server = Server::start(|n, request| {
        match (n % 2, request.body["stream"].as_bool()) {
        (0, Some(true)) => events(&[delta(json!({"content": "5"})), usage(10, 5), finish("error")]),
        (_, Some(true)) => streamed("5 mg"),
        (0, _) => refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "error"}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}).to_string()),
        _ => whole("5 mg"),
    }
    });
    let (first, second) = twice(&server, &Resilience::default(), |model, _| {
        let whole = model.complete(&question("used"), &never()).unwrap();
        let Some(Event::End(streamed)) = model.stream(&question("used"), &never()).unwrap().last() else {
            panic!("no end")
        };
        (whole, *streamed)
    });
    assert_eq!(first, second, "left: recorded, right: replayed");
    assert_eq!((first.0.usage.input, first.1.usage.input), (20, 20));
}

#[test]
fn of_two_that_begin_at_once_one_records_and_its_file_is_whole() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = scripted_server();
    let model = self::model(&server);
    for _ in 0..50 {
        let begun: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let recording = record(&path, &[]).ok()?;
                        model.complete(&question("at once"), &never()).unwrap();
                        Some(recording)
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(begun.len(), 1);
        drop(begun);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"quorate\"") && text.contains("at once"), "{text}");
    }
}

#[test]
fn a_redacted_key_does_not_show_in_what_broke_off() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let server = Server::start(|_, _| {
        let call = json!({"index": 0, "id": "c", "function": {"name": "f", "arguments": "{\"token\": \"hunter2-hun"}});
        events(&[delta(json!({"tool_calls": [call]})), finish("length"), usage(10, 5)])
    });
    let model = self::model(&server);
    let recording = record(&path, &["token"]).unwrap();
    model.stream(&question("broken"), &never()).unwrap().for_each(drop);
    // And one that is left.
    model.stream(&question("left"), &never()).unwrap().next();
    drop(recording);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2") && text.contains("left"), "{text}");
}

#[test]
fn a_redacted_key_does_not_show_in_the_pieces_of_a_text_that_was_left() {
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case.jsonl");
    let pieces = ["{\"tok", "en\": \"", "hunter2", "\", \"a\": 1, ", "\"b\": 2"];
    let server = Server::start(move |_, request| {
        let thinks = request.body["messages"][0]["content"] == "thinks";
        let field = if thinks { "reasoning_content" } else { "content" };
        let mut all: Vec<_> = pieces.iter().map(|piece| delta(json!({field: piece}))).collect();
        all.extend([finish("stop"), usage(10, 5)]);
        events(&all)
    });
    let model = self::model(&server);
    let given = |about: &str| -> String {
        let events = model.stream(&question(about), &never()).unwrap().take(4);
        let said = |event| match event {
            Event::Text { delta } | Event::Reasoning { delta } => delta,
            other => panic!("{other:?}"),
        };
        events.map(said).collect()
    };
    let recording = record(&path, &["token"]).unwrap();
    assert!(given("says").contains("hunter2") && given("thinks").contains("hunter2"));
    drop(recording);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter2") && text.contains("[redacted]"), "{text}");
}
