//! Do models answer through what the bindings share as they do by themselves?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_bindings::{Flow, Host, models};
use quorate_core::{Cancel, Result};
use quorate_models::{Model, Request};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(20);

fn scripted(replies: Value) -> Model {
    let replies = models::scripted_list(replies.as_array().unwrap().clone()).unwrap();
    models::provided(Host::Python, replies, Value::Null, Vec::new()).unwrap()
}

fn asked(question: &str) -> Request {
    models::request(Host::Python, json!({"messages": question})).unwrap()
}

fn all(flow: &Flow) -> Vec<Value> {
    let mut found = Vec::new();
    loop {
        match flow.wait(LONG).unwrap() {
            Some(events) if events.is_empty() => return found,
            Some(events) => found.extend(events),
            None => panic!("nothing came"),
        }
    }
}

fn refused<T>(outcome: Result<T>) -> (String, String) {
    let error = outcome.err().expect("it must be refused");
    (error.code().as_str().to_owned(), error.message().to_owned())
}

#[test]
fn options_are_named_as_the_host_names_them() {
    let given = json!({"messages": "q", "maxTokens": 5, "stop": "end", "toolChoice": "f", "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]});
    let request = models::request(Host::Node, given.clone()).unwrap();
    assert_eq!((request.max_tokens, request.stop.as_slice()), (Some(5), ["end".to_owned()].as_slice()));
    assert_eq!(request.tools[0].name, "f");
    let (code, message) = refused(models::request(Host::Python, given));
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("invalid_argument", "options of a request have no 'maxTokens'")
    );
    let price = json!({"input": 1, "output": 2, "cacheWritten1h": 3});
    let replies = models::scripted_list(vec![json!("x")]).unwrap();
    let model = models::provided(Host::Node, replies, json!({"price": price}), Vec::new()).unwrap();
    assert_eq!(
        models::price(Host::Node, &model),
        json!({"input": 1.0, "output": 2.0, "cacheWritten1h": 3.0})
    );
}

#[test]
fn what_is_wrong_is_named() {
    for (given, said) in [
        (json!({"messages": 5}), "messages are a number"),
        (json!({"messages": "q", "max_tokens": "x"}), "max_tokens is \"x\"; a whole number from 1"),
        (json!({"messages": "q", "temperature": [1]}), "temperature is a list; a number"),
        (json!({"messages": "q", "tools": {}}), "tools is an object; a list of tools"),
        (json!({"messages": "q", "tools": [{"schema": {}}]}), "tools[0] is no tool: missing field `name`"),
        (json!({"messages": "q", "stop": 3}), "stop is 3; a text"),
        (json!({"messages": "q", "output": "x"}), "the form of an output is a text"),
    ] {
        let (code, message) = refused(models::request(Host::Python, given));
        assert_eq!(code, "invalid_argument");
        assert!(message.starts_with(said), "{message}");
    }
    for (given, said) in [
        (json!({"attempts": 0}), "attempts is 0"),
        (json!({"attempts": -1}), "attempts is -1; a whole number from 1"),
        (json!({"breaker": [5]}), "breaker is a list; a pair"),
        (json!({"stall_timeout": -1.0}), "stall_timeout is -1.0; a number of seconds"),
        (json!({"retries": 3}), "options of a resilience have no 'retries'"),
    ] {
        let (_, message) = refused(models::resilience_of(Host::Python, given, Vec::new()));
        assert!(message.starts_with(said), "{message}");
    }
    assert!(
        models::resilience_of(Host::Python, json!({"breaker": null}), Vec::new()).unwrap().breaker.is_none()
    );
    assert!(models::resilience_of(Host::Python, json!({}), Vec::new()).unwrap().breaker.is_some());
}

#[test]
fn a_key_is_in_no_error() {
    let options = json!({"api_key": ["sk-very-secret-1"], "base_url": "http://127.0.0.1:9"});
    let (_, message) = refused(models::open(Host::Python, "openai:m", options, Vec::new()));
    assert_eq!(message, "api_key is no string");
}

#[test]
fn a_stream_comes_in_few_pieces_and_ends_once() {
    let text = "word ".repeat(500);
    let model = scripted(json!([text]));
    let flow = models::stream(Host::Python, &model, &asked("q")).unwrap();
    let events = all(&flow);
    let told: String =
        events.iter().filter(|e| e["type"] == "text").map(|e| e["delta"].as_str().unwrap()).collect();
    assert_eq!(told, text);
    assert_eq!(events.last().unwrap()["type"], "end");
    assert_eq!(events.last().unwrap()["result"]["text"], text);
    assert_eq!(events.iter().filter(|e| e.get("result").is_some()).count(), 1);
    assert_eq!(flow.wait(LONG).unwrap(), Some(Vec::new()));
}

#[test]
fn what_holds_is_counted_in_the_units_of_the_host() {
    let mut lengths = Vec::new();
    for host in [Host::Python, Host::Node] {
        let mut said = String::new();
        let text = quorate_models::Event::Text { delta: "\u{e9}\u{1f642}xyz".into() };
        models::event(&text, host, &mut said);
        let error = quorate_core::Error::invalid("x");
        let retry = quorate_models::Event::Retry { attempt: 2, error, wait: 0.0, keep: 6 };
        lengths.push(models::event(&retry, host, &mut said)["keep"].clone());
        assert_eq!(said, "\u{e9}\u{1f642}");
    }
    assert_eq!(lengths, [2, 3]);
}

#[test]
fn a_cancelled_stream_says_so_and_a_closed_one_nothing() {
    let model = scripted(json!(["a b c", "a b c"]));
    let cancelled = models::stream(Host::Python, &model, &asked("q")).unwrap();
    cancelled.cancel();
    let events = all(&cancelled);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["type"], "cancelled");
    let closed = models::stream(Host::Python, &model, &asked("q")).unwrap();
    closed.close();
    assert_eq!(closed.wait(LONG).unwrap(), Some(Vec::new()));
}

#[test]
fn a_listener_is_told_when_to_look() {
    let model = scripted(json!(["a b c"]));
    let flow = models::stream(Host::Python, &model, &asked("q")).unwrap();
    let rung = Arc::new(AtomicUsize::new(0));
    let bell = Arc::clone(&rung);
    flow.wake_by(move || {
        bell.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(rung.load(Ordering::SeqCst), 1);
    assert_eq!(all(&flow).last().unwrap()["type"], "end");
    while rung.load(Ordering::SeqCst) < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn a_script_has_errors_too() {
    let model = scripted(json!([{"error": {"code": "rate_limited", "message": "slowly"}}, {"text": "5 mg"}]));
    let error = model.complete(&asked("q"), &Cancel::new()).unwrap_err();
    assert_eq!((error.code().as_str(), error.message()), ("rate_limited", "slowly"));
    let reply = model.complete(&asked("q"), &Cancel::new()).unwrap();
    assert_eq!(models::reply(&reply)["text"], "5 mg");
    assert_eq!(models::reply(&reply)["cost"], Value::Null);
    let (_, message) = refused(models::scripted_list(vec![json!({"error": {"code": "nonsense"}})]));
    assert_eq!(message, "replies[0]: 'nonsense' is no code of an error");
}

#[test]
fn a_slow_host_gets_everything() {
    let text = "w ".repeat(20_000);
    let model = scripted(json!([text]));
    let flow = models::stream(Host::Node, &model, &asked("q")).unwrap();
    // The reader fills its queue and waits.
    while flow.wait(LONG).unwrap().is_none() {}
    std::thread::sleep(Duration::from_millis(50));
    let events = all(&flow);
    assert_eq!(events.last().unwrap()["result"]["text"], text);
}
