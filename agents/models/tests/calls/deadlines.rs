//! Does a call end in its time, whatever it waits for?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::Code;
use quorate_models::{Event, ManualClock, Output, Request, Resilience};
use serde_json::json;

use crate::server::{Answer, Server, hangs, refuse, streamed, whole};
use crate::{SECOND, ask, last, model_with, never, once};

#[test]
fn a_deadline_bounds_the_wait_for_a_place() {
    let server = Server::start(|_, _| {
        let mut answer = streamed("Take five milligrams once a day and drink water.");
        answer.body.truncate(300);
        Answer { hang: 10 * SECOND, ..answer }
    });
    let deadline = Some(Duration::from_millis(300));
    let resilience =
        Resilience { max_concurrent: 1, attempts: 3, attempt_timeout: SECOND, deadline, ..once() };
    let holder = model_with(&server, Resilience { deadline: None, ..resilience.clone() }, None);
    drop(holder);
    let model = model_with(&server, resilience, None);
    let mut stream = model.stream(&ask(), &never()).unwrap();
    assert!(stream.next_event().is_some());
    let start = Instant::now();
    let error = model.complete(&ask(), &never()).unwrap_err();
    let took = start.elapsed();
    assert!(took < SECOND, "a deadline of 0.3 s, and the call took {took:?}: {error}");
}

#[test]
fn a_deadline_bounds_the_wait_for_the_minutes_requests() {
    let server = Server::start(|_, _| whole("x"));
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { requests_per_minute: Some(1), deadline: Some(SECOND), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    model.complete(&ask(), &never()).unwrap();
    let error = model.complete(&ask(), &never()).map(|_| ()).unwrap_err();
    assert_eq!(server.count(), 1);
    let slept = clock.sleeps();
    assert!(slept.iter().all(|slept| *slept <= SECOND), "a deadline of 1 s, slept {slept:?}, then: {error}");
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
        let body = streamed(&"word ".repeat(400)).body;
        let pieces = Some((200, Duration::from_millis(1)));
        let mut answer = sse(body);
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
