//! Are the limits of a minute kept, whatever services and callers do?

use std::sync::Arc;
use std::time::Duration;

use quorate_core::{Cancel, Code};
use quorate_models::{Clock, Event, ManualClock, Request, Resilience};
use serde_json::json;

use crate::server::{Answer, Asked, Server, hangs, refuse, streamed, whole};
use crate::{SECOND, anthropic, ask, last, model_with, never, once, unsendable};

#[test]
fn no_more_requests_a_minute_than_allowed() {
    let server = Server::start(|_, _| whole("x"));
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { requests_per_minute: Some(20), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    let mut sent = Vec::new();
    while clock.now() < 60 * SECOND {
        model.complete(&ask(), &never()).unwrap();
        sent.push(clock.now());
    }
    let within = sent.iter().filter(|at| **at < 60 * SECOND).count();
    assert!(within <= 20, "20 requests a minute, and {within} went within the first");
}

#[test]
fn calls_that_wait_for_the_minute_do_not_time_out_those_behind_them() {
    let server = Server::start(|_, _| whole("x"));
    let resilience =
        Resilience { requests_per_minute: Some(1), max_concurrent: 1, attempt_timeout: SECOND / 2, ..once() };
    let model = model_with(&server, resilience, None);
    model.complete(&ask(), &never()).unwrap();
    let cancel = Cancel::new();
    let waits = |wait: Duration| {
        let (model, cancel) = (model.clone(), cancel.clone());
        std::thread::spawn(move || {
            std::thread::sleep(wait);
            model.complete(&ask(), &cancel).map(|reply| reply.text()).map_err(|e| e.to_string())
        })
    };
    let (first, second) = (waits(Duration::ZERO), waits(SECOND / 10));
    std::thread::sleep(2 * SECOND);
    cancel.cancel();
    let (first, second) = (first.join().unwrap().unwrap_err(), second.join().unwrap().unwrap_err());
    assert!(first.contains("cancelled") && second.contains("cancelled"), "{first}\n{second}");
}

#[test]
fn an_absurd_count_of_tokens_does_not_stop_the_model_for_ever() {
    let answer = |n: usize, _: &Asked| {
        let tokens = if n == 0 { json!(1e30) } else { json!(10) };
        refuse(200, &json!({"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": tokens, "completion_tokens": 1}}).to_string())
    };
    let server = Server::start(answer);
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { tokens_per_minute: Some(100_000), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    model.complete(&ask(), &never()).unwrap();
    model.complete(&ask(), &never()).unwrap();
    let longest = clock.sleeps().into_iter().max().unwrap_or_default();
    // And with the machine's clock.
    let server = Server::start(answer);
    let resilience = Resilience { tokens_per_minute: Some(50), ..once() };
    let model = model_with(&server, resilience, None);
    model.complete(&ask(), &never()).unwrap();
    let cancel = Cancel::new();
    let raised = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(SECOND);
        raised.cancel();
    });
    let second = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.complete(&ask(), &cancel)));
    let panicked = second.is_err();
    assert!(longest <= 120 * SECOND && !panicked, "the next call waits {longest:?}; panicked: {panicked}");
}

#[test]
fn an_attempt_that_was_answered_in_part_keeps_its_reservation() {
    let text = "word ".repeat(2_000);
    let cut = streamed(&text).body.len() - 300;
    let server = Server::start(move |_, _| Answer { cut: Some(cut), ..streamed(&"word ".repeat(2_000)) });
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { tokens_per_minute: Some(2_000), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    for _ in 0..10 {
        assert_eq!(last(&model, &ask()).kind(), "error");
    }
    // 20,000 tokens were written by the service, its usage would have come last.
    assert!(!clock.sleeps().is_empty(), "2,000 tokens a minute, 20,000 were streamed, and nobody waited");
}

#[test]
fn the_reservation_covers_what_the_wire_asks_for() {
    let server = Server::start(|_, _| whole(""));
    let model = anthropic(&server, once());
    let _ = model.complete(&ask(), &never());
    let asked = server.asked(0).body["max_tokens"].as_u64().unwrap();
    let reserved = model.worst_tokens(&ask());
    assert!(reserved >= asked, "the wire allows {asked} tokens of answer, {reserved} are reserved for all");
}

#[test]
fn an_attempt_whose_end_is_not_known_keeps_its_reservation() {
    let slow =
        Resilience { tokens_per_minute: Some(2_000), attempt_timeout: Duration::from_millis(200), ..once() };
    // Left, cancelled, and timed out.
    for way in 0..3 {
        let server = Server::start(move |n, request| match (n, request.body["stream"] == true) {
            (0, true) => hangs(),
            (0, false) => Answer { wait: 2 * SECOND, ..whole("late") },
            _ => whole("x"),
        });
        let clock = Arc::new(ManualClock::default());
        let model = model_with(&server, slow.clone(), Some(clock.clone()));
        let cancel = Cancel::new();
        if way == 2 {
            assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::Timeout);
        } else {
            let mut stream = model.stream(&ask(), &cancel).unwrap();
            assert!(matches!(stream.next_event(), Some(Event::Text { .. })));
            if way == 1 {
                cancel.cancel();
                assert!(matches!(stream.last(), Some(Event::Cancelled { .. })));
            }
        }
        model.complete(&ask(), &never()).unwrap();
        assert_eq!(clock.sleeps(), [60 * SECOND], "way {way}");
    }
}

#[test]
fn what_was_refused_or_never_sent_takes_no_tokens() {
    let server = Server::start(|n, _| if n < 3 { refuse(503, "{}") } else { whole("x") });
    let clock = Arc::new(ManualClock::default());
    let model =
        model_with(&server, Resilience { tokens_per_minute: Some(2_000), ..once() }, Some(clock.clone()));
    for _ in 0..3 {
        assert!(model.complete(&ask(), &never()).is_err());
    }
    model.complete(&ask(), &never()).unwrap();
    assert_eq!(clock.sleeps(), []);
    // Nor is it a request. With the machine's clock a second one would be too late.
    let server = Server::start(|_, _| refuse(500, "{}"));
    let deadline = Some(10 * SECOND);
    let model = anthropic(&server, Resilience { requests_per_minute: Some(1), deadline, ..once() });
    for _ in 0..2 {
        assert_eq!(model.complete(&unsendable(), &never()).unwrap_err().code(), Code::InvalidArgument);
    }
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::RemoteFailed);
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::Timeout);
    assert_eq!(server.count(), 1);
}

#[test]
fn the_callers_own_fields_are_reserved_for() {
    let server = Server::start(|_, _| whole(""));
    let model = model_with(&server, once(), None);
    let with = |extra: serde_json::Value| Request { extra: extra.as_object().unwrap().clone(), ..ask() };
    let bare = model.worst_tokens(&Request { max_tokens: Some(1), ..ask() }) - 1;
    for (extra, written) in [
        (json!({"max_tokens": 9_000}), 9_000),
        (json!({"max_completion_tokens": 7_000}), 7_000),
        (json!({"max_tokens": 1_000, "n": 3}), 3_000),
        (json!({"max_tokens": u64::MAX, "n": 3}), u64::MAX - bare),
        (json!({}), 1_024),
    ] {
        assert_eq!(model.worst_tokens(&with(extra.clone())) - bare, written, "{extra}");
    }
}
