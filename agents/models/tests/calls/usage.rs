//! Is what a service counts taken as it is meant?

use quorate_models::Event;
use serde_json::json;

use crate::events::{anthropic, delta, events, finish, last, lines, once, sse};
use crate::server::{Server, refuse};
use crate::{ask, model, model_with, never};

#[test]
fn an_empty_count_does_not_erase_the_one_before() {
    let full = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}});
    let mut kept = Vec::new();
    for late in [
        json!({}),
        json!({"prompt_tokens": null, "completion_tokens": null}),
        json!({"completion_tokens": 6}),
    ] {
        let (full, after) = (full.clone(), json!({"choices": [], "usage": late}));
        let server = Server::start(move |_, _| {
            events(&[delta(json!({"content": "x"})), finish("stop"), full.clone(), after.clone()])
        });
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        kept.push((reply.usage.input, reply.usage.cached));
    }
    assert_eq!(kept, [(10, 4); 3], "input and cached tokens after {{}}, nulls, and the output alone");
}

#[test]
fn counts_that_are_texts_count() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": "10", "completion_tokens": "5"}}).to_string())
    });
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!((reply.usage.input, reply.usage.output), (10, 5));
}

#[test]
fn reasoning_is_part_of_the_output_also_without_a_total() {
    let server = Server::start(|_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 100}}}).to_string())
    });
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!(reply.usage.output, 150, "{:?}", reply.usage);
}

#[test]
fn no_count_is_too_large_to_be_added() {
    let huge = json!(u64::MAX);
    let server = Server::start(move |_, _| {
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": huge, "completion_tokens": huge, "total_tokens": huge, "completion_tokens_details": {"reasoning_tokens": huge}}}).to_string())
    });
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!((reply.usage.input, reply.usage.output), (u64::MAX, u64::MAX));
    let counts = json!({"input_tokens": u64::MAX, "output_tokens": "7", "cache_read_input_tokens": u64::MAX});
    let body = lines(&[
        json!({"type": "message_start", "message": {"model": "m", "usage": counts}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 3, "cache_read_input_tokens": 4}}),
        json!({"type": "message_stop"}),
    ]);
    let server = Server::start(move |_, _| sse(body.clone()));
    let Event::End(reply) = last(&anthropic(&server)) else { panic!() };
    assert_eq!((reply.usage.input, reply.usage.output, reply.usage.cached), (7, 7, 4));
}
