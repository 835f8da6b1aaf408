//! Does a local model keep the promises of every model: limits, stops, seeds, cancellation, counts, forms, errors?

use serde_json::json;

use super::tests::{fixture, tiny};
use super::*;
use crate::message::Message;
use crate::reply::Finish;
use crate::{Event, Model, ModelOptions};

const NONE: AttemptLimits = AttemptLimits { total: None, first_byte: None, stall: None };

fn asking(text: &str, most: u32) -> Request {
    Request { max_tokens: Some(most), ..Request::new(vec![Message::user(text)]) }
}

fn answer(model: &LocalModel, request: &Request) -> Reply {
    model.complete(request, NONE, &Cancel::new()).unwrap()
}

#[test]
fn a_stop_that_spans_tokens_ends_the_answer_before_it() {
    let model = tiny("qwen3", 1);
    let request = asking("Which dose?", 24);
    let whole = answer(&model, &request);
    assert_eq!((whole.finish, whole.usage.output), (Some(Finish::Length), 24));
    let text = whole.text();
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    for from in 3..letters.len() - 6 {
        let stop = &text[letters[from].0..letters[from + 6].0];
        let reply = answer(&model, &Request { stop: vec![stop.to_owned()], ..request.clone() });
        assert_eq!(reply.text(), text[..text.find(stop).unwrap()]);
        assert_eq!(reply.finish, Some(Finish::Stop));
    }
}

#[test]
fn the_same_seed_says_the_same_and_another_another() {
    let model = tiny("llama", 2);
    let request = |seed| Request { temperature: Some(1.0), seed: Some(seed), ..asking("Which dose?", 30) };
    assert_eq!(answer(&model, &request(1)).text(), answer(&model, &request(1)).text());
    assert_ne!(answer(&model, &request(1)).text(), answer(&model, &request(2)).text());
    let plain = Request { temperature: Some(1.0), ..asking("Which dose?", 30) };
    assert_eq!(answer(&model, &plain).text(), answer(&model, &request(0)).text());
}

#[test]
fn what_was_read_before_is_not_read_again_and_changes_nothing() {
    let (model, fresh) = (tiny("qwen2", 1), tiny("qwen2", 1));
    let first = answer(&model, &asking("The dose of the drug", 12));
    assert_eq!(first.usage.cached, 0);
    let mut request = asking("The dose of the drug", 12);
    request.messages.push(first.message.clone());
    request.messages.push(Message::user("Why?"));
    let (again, anew) = (answer(&model, &request), answer(&fresh, &request));
    assert!(again.usage.cached > first.usage.input / 2 && again.usage.cached < again.usage.input);
    assert_eq!((again.text(), anew.usage.cached), (anew.text(), 0));
}

#[test]
fn streamed_equals_unstreamed_and_tokens_are_counted_exactly() {
    let local = tiny("phi3", 2);
    let model = Model::new(local, ModelOptions::default()).unwrap();
    let request = asking("A naïve 😀 question: 510(k)?", 40);
    let whole = model.complete(&request, &Cancel::new()).unwrap();
    let count = model.count_tokens(&request).unwrap();
    assert_eq!((count.tokens, count.exact), (whole.usage.input, true));
    let mut text = String::new();
    let mut ends = 0;
    for event in model.stream(&request, &Cancel::new()).unwrap() {
        match event {
            Event::Text { delta } => text.push_str(&delta),
            Event::End(reply) => {
                ends += 1;
                assert_eq!((reply.text(), reply.finish), (whole.text(), whole.finish));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((text, ends), (whole.text(), 1));
}

#[test]
fn a_cancelled_answer_ends_between_tokens_and_keeps_what_came() {
    let model = Model::new(tiny("llama", 1), ModelOptions::default()).unwrap();
    let cancel = Cancel::new();
    let mut stream = model.stream(&asking("Which dose?", 60), &cancel).unwrap();
    let mut text = String::new();
    while text.len() < 5 {
        match stream.next_event() {
            Some(Event::Text { delta }) => text.push_str(&delta),
            other => panic!("{other:?}"),
        }
    }
    cancel.cancel();
    let Some(Event::Cancelled { partial }) = stream.next_event() else { panic!("not cancelled") };
    assert!(partial.text().starts_with(&text) && partial.usage.output < 60);
    assert!(stream.next_event().is_none());
    let cancelled = model.complete(&asking("Which dose?", 60), &cancel);
    assert_eq!(cancelled.unwrap_err().code(), Code::Cancelled);
    // What the cancelled answer has read does not mislead the next.
    let request = asking("Which dose?", 60);
    let next = model.complete(&request, &Cancel::new()).unwrap();
    assert_eq!(next.text(), answer(&tiny("llama", 1), &request).text());
}

#[test]
fn messages_that_leave_no_room_are_an_overflow_and_answers_end_at_the_edge() {
    let options = LocalOptions { threads: Some(1), context: Some(40) };
    let model = LocalModel::open(fixture("tiny-qwen3"), options).unwrap();
    let failed = model.complete(&asking(&"dose ".repeat(20), 5), NONE, &Cancel::new()).unwrap_err();
    assert_eq!((failed.error.code(), failed.elsewhere), (Code::ContextOverflow, true));
    let reply = answer(&model, &asking("a", 1000));
    assert_eq!((reply.finish, reply.usage.input + reply.usage.output), (Some(Finish::Length), 40));
    for context in [0, 1, 129] {
        let options = LocalOptions { threads: Some(1), context: Some(context) };
        assert!(LocalModel::open(fixture("tiny-qwen3"), options).is_err());
    }
}

#[test]
fn attempts_that_take_too_long_fail_and_are_not_tried_again() {
    let limits = AttemptLimits { total: Some(std::time::Duration::ZERO), ..NONE };
    let failed = tiny("qwen3", 1).complete(&asking("a", 5), limits, &Cancel::new()).unwrap_err();
    assert_eq!((failed.error.code(), failed.passing, failed.elsewhere), (Code::Timeout, false, true));
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let model = tiny("qwen3", 1);
    let code = |request: &Request| model.complete(request, NONE, &Cancel::new()).unwrap_err().error.code();
    let mut odd = asking("a", 5);
    odd.extra.insert("min_p".into(), json!(0.1));
    assert_eq!(code(&odd), Code::InvalidArgument);
    let mut tools = asking("a", 5);
    tools.tools.push(serde_json::from_value(json!({"name": "dose"})).unwrap());
    assert_eq!(code(&tools), Code::Unsupported);
    let image = json!([{"role": "user", "content": [{"type": "image", "url": "data:image/png;base64,"}]}]);
    assert_eq!(code(&Request::new(Message::list_from_json(&image).unwrap())), Code::Unsupported);
    for threads in [0, 513] {
        assert!(
            LocalModel::open(fixture("tiny-qwen3"), LocalOptions { threads: Some(threads), context: None })
                .is_err()
        );
    }
}

#[test]
fn models_are_opened_by_name_and_cost_nothing() {
    let path = fixture("tiny-qwen3");
    let options = ModelOptions { threads: Some(1), ..Default::default() };
    let model = Model::open(&format!("local:{}", path.display()), options).unwrap();
    assert_eq!(model.id(), "local:tiny-qwen3");
    let reply = model.complete(&asking("a", 3), &Cancel::new()).unwrap();
    assert_eq!((reply.cost, reply.model.as_str()), (Some(0.0), "local:tiny-qwen3"));
    assert_eq!(
        Model::open("local:/no/such/model", Default::default()).unwrap_err().code(),
        Code::ModelNotFound
    );
}

#[cfg(feature = "constrained")]
#[test]
fn answers_of_a_given_form_fit_it_whatever_the_model_would_say() {
    let model = Model::new(tiny("llama", 1), ModelOptions::default()).unwrap();
    let form = json!({
        "type": "object",
        "properties": {"verdict": {"enum": ["yes", "no"]}, "votes": {"type": "integer", "minimum": 0, "maximum": 9},
            "why": {"type": "string", "maxLength": 8}},
        "required": ["verdict", "votes", "why"],
        "additionalProperties": false,
    });
    let output = crate::Output::new(form).unwrap().repairs(0).unwrap();
    for seed in 0..20 {
        let request = Request {
            output: Some(output.clone()),
            temperature: Some(1.5),
            seed: Some(seed),
            ..asking("Is it safe?", 90)
        };
        let reply = model.complete(&request, &Cancel::new()).unwrap();
        let found = reply.output.unwrap();
        assert!(found["verdict"] == "yes" || found["verdict"] == "no", "{found}");
        assert_eq!((reply.attempts, reply.finish), (1, Some(Finish::Stop)));
    }
}

#[cfg(feature = "constrained")]
#[test]
fn forms_that_cannot_be_met_are_told_in_a_line() {
    let model = tiny("llama", 1);
    let of = |property: serde_json::Value| json!({"type": "object", "properties": {"x": property}, "required": ["x"], "additionalProperties": false});
    for schema in [
        of(json!({"enum": []})),
        of(json!({"not": {}})),
        of(json!({"type": "integer", "minimum": 5, "maximum": 1})),
        of(json!({"type": "string", "pattern": "^a$^b$"})),
        of(json!({"type": "array", "items": {"type": "integer"}, "minItems": 100_000})),
        json!({"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}, "required": ["n"], "additionalProperties": false}}}),
    ] {
        let output = crate::Output::new(schema.clone()).unwrap().repairs(0).unwrap();
        let request = Request { output: Some(output), ..asking("x", 20) };
        if let Err(failed) = model.complete(&request, NONE, &Cancel::new()) {
            assert_eq!(failed.error.code(), Code::Unsupported, "{schema}: {}", failed.error);
            assert!(failed.error.message().len() < 400, "{}", failed.error);
            assert!(!failed.error.message().contains('\n'));
        }
    }
}

#[test]
fn a_long_prompt_is_read_no_longer_than_an_attempt_may_take() {
    let model = super::tests::smollm2();
    let request = asking(&"The dose is five mg a day. ".repeat(900), 5);
    for limits in [
        AttemptLimits { total: Some(std::time::Duration::from_millis(100)), ..NONE },
        AttemptLimits { first_byte: Some(std::time::Duration::from_millis(100)), ..NONE },
    ] {
        let failed = model.complete(&request, limits, &Cancel::new()).unwrap_err();
        assert_eq!((failed.error.code(), failed.elsewhere), (Code::Timeout, true));
        // What was read until then is a part of the prompt, and is not lost.
        let kept = model.0.kept.lock().unwrap().take().unwrap();
        assert!(kept.tokens.len() < 3_000, "{} tokens were read", kept.tokens.len());
        *model.0.kept.lock().unwrap() = Some(kept);
    }
}
