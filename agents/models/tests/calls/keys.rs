//! Does a key show, or an address go astray?

use quorate_models::{Model, ModelOptions};
use serde_json::json;

use crate::events::{delta, events, finish, last, once, usage};
use crate::server::{Server, refuse, whole};
use crate::{KEY, ask, model_with, never};

#[test]
fn a_key_shows_in_no_warning() {
    let server = Server::start(|_, _| events(&[delta(json!({"content": "x"})), finish(KEY), usage(1, 1)]));
    let shown: String = model_with(&server, once(), None)
        .stream(&ask(), &never())
        .unwrap()
        .map(|event| format!("{event:?}\n"))
        .collect();
    assert!(!shown.contains(KEY), "{shown}");
}

#[test]
fn a_key_in_the_address_does_not_show() {
    let base = "http://me:sk-secret-in-url@127.0.0.1:9/v1?api-key=sk-secret-in-query";
    let options = ModelOptions { base_url: Some(base.into()), ..ModelOptions::default() };
    let debug = format!("{options:?}");
    let odd =
        ModelOptions { base_url: Some("ftp://me:sk-secret-in-url@x".into()), ..ModelOptions::default() };
    let error = Model::open("openai:m", odd).unwrap_err().to_string();
    assert!(!debug.contains("sk-secret") && !error.contains("sk-secret"), "{debug}\n{error}");
}

#[test]
fn the_query_of_an_address_stays_behind_the_path() {
    let server = Server::start(|_, _| whole("x"));
    let options = ModelOptions {
        base_url: Some(format!("{}?api-version=1", server.url)),
        resilience: once(),
        ..ModelOptions::default()
    };
    Model::open("openai:m", options).unwrap().complete(&ask(), &never()).unwrap();
    assert_eq!(server.asked(0).path, "/v1/chat/completions?api-version=1");
}

#[test]
fn a_key_shows_in_no_part_of_an_answer_that_is_not_its_text() {
    let model_name = json!({"model": KEY, "choices": [{"index": 0, "delta": {"content": "x"}}]});
    let long = format!("{}{KEY}", "x".repeat(50));
    let streamed = events(&[model_name, finish(&long), usage(1, 1)]);
    let server = Server::start(move |_, request| {
        match request.body["stream"].as_bool() {
        Some(true) => streamed.clone(),
        _ => refuse(200, &json!({"model": KEY, "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": KEY}]}).to_string()),
    }
    });
    let model = model_with(&server, once(), None);
    let reply = model.complete(&ask(), &never()).unwrap();
    let event = last(&model);
    let shown = format!("{reply:?}{event:?}");
    assert!(!shown.contains(&KEY[..8]), "{shown}");
}

#[test]
fn an_address_shows_nothing_secret_where_its_messages_come_from() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x", "reasoning_content": "hm"}, "finish_reason": "stop"}]}).to_string())
    });
    let base = server
        .url
        .replace("http://", "http://me:sk-secret-in-url@")
        .replace("/v1", "?key=sk-secret-in-query");
    let options = ModelOptions { base_url: Some(base), resilience: once(), ..ModelOptions::default() };
    let reply = Model::open("openai:m", options).unwrap().complete(&ask(), &never()).unwrap();
    assert_eq!(server.asked(0).path, "/chat/completions?key=sk-secret-in-query");
    assert!(!format!("{reply:?}").contains("sk-secret"), "{reply:?}");
}

#[test]
fn the_version_in_an_address_may_stand_before_a_query() {
    for base in ["", "/v1", "/v1/", "/v1?version=1"] {
        let server = Server::start(|_, _| whole(""));
        let options = ModelOptions {
            base_url: Some(server.url.replace("/v1", base)),
            resilience: once(),
            ..ModelOptions::default()
        };
        let _ = Model::open("anthropic:m", options).unwrap().complete(&ask(), &never());
        let query = base.find('?').map_or("", |at| &base[at..]);
        assert_eq!(server.asked(0).path, format!("/v1/messages{query}"), "{base}");
    }
}
