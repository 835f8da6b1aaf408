//! Is what is paid for counted, and what is not known not said to be nothing?

use std::sync::Arc;

use quorate_core::Code;
use quorate_models::{
    Clock, Event, ManualClock, Model, ModelOptions, Output, Price, Reply, Request, Resilience, ScriptedModel,
};
use serde_json::json;

use crate::server::{Answer, Server, delta, events, finish, refuse, streamed, usage, whole};
use crate::{anthropic, ask, last, model, never, once, unsendable};

#[test]
fn an_answer_without_counts_has_no_cost() {
    let server = Server::start(|_, request| {
        match request.body["stream"].as_bool() {
        Some(true) => events(&[delta(json!({"content": "a long answer"})), finish("stop")]),
        _ => refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "a long answer"}, "finish_reason": "stop"}]}).to_string()),
    }
    });
    let model = priced(&server, once());
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

/// A model whose tokens have a price.
fn priced(server: &Server, resilience: Resilience) -> Model {
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        price: Some(Price::new(10.0, 30.0).unwrap()),
        resilience,
        clock: Some(Arc::new(ManualClock::default())),
        ..ModelOptions::default()
    };
    Model::open("openai:m", options).unwrap()
}

#[test]
fn a_call_has_a_cost_when_all_that_it_used_is_known() {
    let two = || Resilience { attempts: 2, ..once() };
    let cost = |first: Answer| {
        let server = Server::start(move |n, _| if n == 0 { first.clone() } else { streamed("5 mg daily") });
        let Event::End(reply) = last(&priced(&server, two()), &ask()) else { panic!("no answer") };
        assert_eq!((reply.attempts, reply.usage.output >= 5), (2, true));
        reply.cost.map(|cost| (cost * 1e6).round())
    };
    let one = 10.0 * 10.0 + 5.0 * 30.0;
    // A refusal costs nothing.
    assert_eq!(cost(refuse(503, "{}")), Some(one));
    // What was written before the break is not known.
    assert_eq!(cost(Answer { cut: Some(300), ..streamed("Take five milligrams once a day.") }), None);
    // Here the service had counted.
    let counted = [usage(10, 5), delta(json!({"content": "5"})), finish("error")];
    assert_eq!(cost(events(&counted)), Some(2.0 * one));
    // An error in the place of an answer is a refusal.
    let error = json!({"error": {"message": "overloaded", "code": 503}});
    assert_eq!(cost(events(std::slice::from_ref(&error))), Some(one));
    assert_eq!(cost(events(&[delta(json!({"content": "5"})), error])), None);
    // What is free costs nothing, however much it was.
    let server = Server::start(|_, _| events(&[delta(json!({"content": "x"})), finish("stop")]));
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        price: Some(Price::new(0.0, 0.0).unwrap()),
        ..ModelOptions::default()
    };
    let Event::End(reply) = last(&Model::open("openai:m", options).unwrap(), &ask()) else { panic!() };
    assert_eq!(reply.cost, Some(0.0));
}

#[test]
fn a_request_that_was_never_sent_is_no_attempt() {
    let server = Server::start(|_, _| whole(""));
    let Event::Error { error, partial } = last(&anthropic(&server, once()), &unsendable()) else { panic!() };
    assert_eq!((error.code(), partial.attempts, partial.cost), (Code::InvalidArgument, 0, Some(0.0)));
    assert_eq!(server.count(), 0);
}

#[test]
fn a_price_in_disorder_opens_no_model() {
    let server = Server::start(|_, _| whole(""));
    let steps = quorate_models::Rate::Steps(vec![(200_000, 5.0), (0, 2.0)]);
    let price = Some(Price { input: steps, ..Price::new(1.0, 1.0).unwrap() });
    let options = ModelOptions { base_url: Some(server.url.clone()), price, ..ModelOptions::default() };
    assert_eq!(Model::open("openai:m", options).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn no_more_requests_are_sent_than_are_paid_for() {
    let lost = || Err((Code::StreamIncomplete, "broke off".to_owned()));
    let busy = || Err((Code::RateLimited, "busy".to_owned()));
    let said = |text: &str| Ok(Reply::text_of(text));
    let ask = |results: Vec<Result<Reply, (Code, String)>>, most: u32, form: bool| {
        let other = Model::new(ScriptedModel::of_texts(["other"]), ModelOptions::default()).unwrap();
        let resilience =
            Resilience { attempts: 3, breaker: None, fallback: vec![other], ..Resilience::default() };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let options = ModelOptions { resilience, clock: Some(clock), ..ModelOptions::default() };
        let model = Model::new(ScriptedModel::of_results(results), options).unwrap();
        let output = form.then(|| Output::new(serde_json::json!({"type": "integer"})).unwrap());
        let request = Request { most_billed: Some(most), output, ..ask() };
        let streamed = || {
            let mut last = None;
            for event in model.stream(&request, &never()).unwrap() {
                last = match event {
                    Event::End(reply) => Some(Ok(*reply)),
                    Event::Error { error, partial } => Some(Err(Box::new((error, *partial)))),
                    _ => last,
                };
            }
            last.unwrap()
        };
        if form { model.complete_or_used(&request, &never()) } else { streamed() }
    };
    for most in 1..=3 {
        let failed = ask(vec![lost(), lost(), lost(), said("late")], most, false).unwrap_err();
        assert_eq!((failed.0.code(), failed.1.attempts), (Code::StreamIncomplete, most));
        assert_eq!(failed.1.unknown, most);
    }
    // What was refused costs nothing, and another model may be asked.
    let reply = ask(vec![busy()], 1, false).unwrap();
    assert_eq!((reply.text().as_str(), reply.attempts, reply.unknown), ("other", 2, 0));
    // Repairs count.
    let failed = ask(vec![said("five"), said("no"), said("5")], 2, true).unwrap_err();
    assert_eq!((failed.0.code(), failed.1.attempts), (Code::OutputInvalid, 2));
    let reply = ask(vec![said("five"), said("no"), said("5")], 3, true).unwrap();
    assert_eq!((reply.output, reply.attempts), (Some(serde_json::json!(5)), 3));
}
