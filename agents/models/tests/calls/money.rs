//! Is what is paid for counted, and what is not known not said to be nothing?

use quorate_core::Code;
use quorate_models::{Event, Message, Model, ModelOptions, Price, Request, Resilience};
use serde_json::{Value, json};

use crate::server::{Answer, Server, delta, events, finish, refuse, streamed, usage, whole};
use crate::{SECOND, anthropic, ask, last, model, model_with, never, once};

#[test]
fn an_answer_without_counts_has_no_cost() {
    let server = Server::start(|_, request| {
        match request.body["stream"].as_bool() {
        Some(true) => events(&[delta(json!({"content": "a long answer"})), finish("stop")]),
        _ => refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "a long answer"}, "finish_reason": "stop"}]}).to_string()),
    }
    });
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        price: Some(Price::new(10.0, 30.0).unwrap()),
        resilience: once(),
        ..ModelOptions::default()
    };
    let model = Model::open("openai:m", options).unwrap();
    let reply = model.complete(&ask(), &never()).unwrap();
    let Event::End(streamed) = last(&model, &ask()) else { panic!() };
    assert_eq!((reply.cost, streamed.cost), (None, None), "what was used is not known");
}

#[test]
fn the_tokens_of_an_attempt_that_failed_are_counted_whole_as_streamed() {
    let server = Server::start(|n, request| {
        let reason = if n % 2 == 0 { "error" } else { "stop" };
        match request.body["stream"].as_bool() {
            Some(true) => events(&[usage(10, 5), delta(json!({"content": "x"})), finish(reason)]),
            _ => refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": reason}], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}).to_string()),
        }
    });
    let model = model(&server);
    let Event::End(streamed) = last(&model, &ask()) else { panic!() };
    let reply = model.complete(&ask(), &never()).unwrap();
    assert_eq!((reply.attempts, streamed.attempts), (2, 2));
    assert_eq!(reply.usage, streamed.usage, "two answers of 10 and 5 tokens each");
}
