//! Does a call end in its time, whatever it waits for?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::Code;
use quorate_models::{Event, ManualClock, Model, Output, Request, Resilience};
use serde_json::json;

use crate::server::{Answer, Server, hangs, refuse, streamed, whole};
use crate::{SECOND, ask, last, model_with, never, once};

/// How a call ends, whole and streamed, with the time that each took.
fn ends(model: &Model, request: &Request) -> [(Code, Duration); 2] {
    let start = Instant::now();
    let whole = model.complete(request, &never()).map(|_| ()).unwrap_err().code();
    let took = start.elapsed();
    let start = Instant::now();
    let Event::Error { error, .. } = last(model, request) else { panic!("no error") };
    [(whole, took), (error.code(), start.elapsed())]
}

#[test]
fn a_deadline_bounds_the_wait_for_a_place() {
    let server = Server::start(|_, _| hangs());
    let deadline = Some(Duration::from_millis(300));
    let resilience =
        Resilience { max_concurrent: 1, attempts: 3, attempt_timeout: SECOND, deadline, ..once() };
    let model = model_with(&server, resilience, None);
    let mut stream = model.stream(&ask(), &never()).unwrap();
    assert!(stream.next_event().is_some());
    for (code, took) in ends(&model, &ask()) {
        assert!(code == Code::Timeout && took < 2 * SECOND, "a deadline of 0.3 s, {code:?} after {took:?}");
    }
    assert_eq!(server.count(), 1);
}

#[test]
fn a_deadline_bounds_the_wait_for_the_minutes_requests() {
    let server = Server::start(|_, _| whole("x"));
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { requests_per_minute: Some(1), deadline: Some(SECOND), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    model.complete(&ask(), &never()).unwrap();
    for (code, _) in ends(&model, &ask()) {
        assert_eq!(code, Code::Timeout);
    }
    assert_eq!((server.count(), clock.sleeps()), (1, Vec::new()), "a wait that does not fit is none");
    // Who gave up has taken nothing.
    clock.advance(60 * SECOND);
    assert!(model.complete(&ask(), &never()).is_ok());
}

#[test]
fn a_deadline_bounds_the_repairs_too() {
    let server = Server::start(|_, _| Answer { wait: Duration::from_millis(400), ..whole("no JSON") });
    let resilience = Resilience { deadline: Some(Duration::from_millis(600)), ..once() };
    let model = model_with(&server, resilience, None);
    let output = Some(Output::new(json!({"type": "object"})).unwrap().repairs(5).unwrap());
    let request = Request { output, ..ask() };
    let start = Instant::now();
    let streamed = model.stream(&request, &never()).unwrap().last().unwrap();
    let by_stream = start.elapsed();
    let start = Instant::now();
    let error = model.complete(&request, &never()).unwrap_err();
    let took = start.elapsed();
    assert!(
        took < 2 * SECOND,
        "deadline 0.6 s: complete {took:?} ({error}), the same streamed {by_stream:?} ({})",
        streamed.kind()
    );
}

#[test]
fn a_deadline_closes_the_connection_also_while_nobody_reads() {
    let server = Server::start(|_, _| {
        let mut answer = streamed(&"word ".repeat(400));
        let pieces = Some((200, Duration::from_millis(1)));
        answer.body.truncate(30_000);
        Answer { pieces, hang: 10 * SECOND, ..answer }
    });
    let resilience = Resilience { deadline: Some(SECOND), ..once() };
    let mut stream = model_with(&server, resilience, None).stream(&ask(), &never()).unwrap();
    assert!(stream.next_event().is_some());
    let start = Instant::now();
    while server.gone.lock().unwrap().is_none() && start.elapsed() < 5 * SECOND {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(server.gone.lock().unwrap().is_some(), "a deadline of 1 s, and the connection is open after 5 s");
}

#[test]
fn a_deadline_bounds_the_fallbacks_too() {
    let late = || Server::start(|_, _| Answer { wait: 5 * SECOND, ..whole("late") });
    let (first, second) = (late(), late());
    let deadline = Some(Duration::from_millis(1200));
    let of =
        |deadline| Resilience { attempt_timeout: SECOND, first_byte_timeout: SECOND, deadline, ..once() };
    let fallback = vec![model_with(&second, of(None), None), model_with(&second, of(None), None)];
    let model = model_with(&first, Resilience { fallback, ..of(deadline) }, None);
    for (code, took) in ends(&model, &ask()) {
        assert!(code == Code::Timeout && took < 2 * SECOND, "a deadline of 1.2 s, {code:?} after {took:?}");
    }
    // A fallback's own deadline bounds what is asked of that one.
    let patient = Resilience {
        attempt_timeout: 10 * SECOND,
        first_byte_timeout: 10 * SECOND,
        ..of(Some(Duration::from_millis(500)))
    };
    let own = model_with(&second, patient, None);
    let refuses = Server::start(|_, _| refuse(500, "{}"));
    let model = model_with(&refuses, Resilience { fallback: vec![own], ..once() }, None);
    for (code, took) in ends(&model, &ask()) {
        assert!(code == Code::Timeout && took < 3 * SECOND, "a deadline of 0.5 s, {code:?} after {took:?}");
    }
}

#[test]
fn a_deadline_that_ends_between_attempts_does_not_hide_why_they_failed() {
    let server = Server::start(|_, _| refuse(503, r#"{"error": {"message": "maintenance until noon"}}"#));
    let clock = Arc::new(ManualClock::default());
    let resilience =
        Resilience { attempts: 3, deadline: Some(SECOND), requests_per_minute: Some(1), ..once() };
    let model = model_with(&server, resilience, Some(clock));
    let error = model.complete(&ask(), &never()).unwrap_err();
    assert!(
        error.code() == Code::RemoteFailed
            && error.message().contains("maintenance")
            && error.message().contains("a minute"),
        "{error}"
    );
}
