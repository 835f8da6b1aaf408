//! Is a service that keeps failing left alone, and no other?

use std::sync::Arc;
use std::time::Duration;

use quorate_core::Code;
use quorate_models::{BreakerOptions, Event, ManualClock, Model, Resilience};

use crate::server::{Answer, Server, hangs, refuse, streamed, whole};
use crate::{SECOND, anthropic, ask, last, model_with, never, once, unsendable};

/// A model whose circuit is half open, one stream that began before it opened, and one that is the only probe.
fn half_open(old: Answer) -> (Server, Model, quorate_models::Stream, quorate_models::Stream) {
    let server = Server::start(move |n, _| match n {
        0 => old.clone(),
        1 | 2 => refuse(500, "{}"),
        3 => hangs(),
        _ => whole("a second probe"),
    });
    let clock = Arc::new(ManualClock::default());
    let breaker = Some(BreakerOptions { failures: 2, open_for: 60 * SECOND, probes: 1 });
    let model = model_with(&server, Resilience { breaker, ..once() }, Some(clock.clone()));
    let mut old = model.stream(&ask(), &never()).unwrap();
    assert!(old.next_event().is_some());
    for _ in 0..2 {
        assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::RemoteFailed);
    }
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::CircuitOpen);
    clock.advance(61 * SECOND);
    let mut probe = model.stream(&ask(), &never()).unwrap();
    assert!(probe.next_event().is_some());
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::CircuitOpen);
    assert_eq!(server.count(), 4);
    (server, model, old, probe)
}

#[test]
fn an_old_attempt_that_is_dropped_lets_no_second_probe_through() {
    let (server, model, old, _probe) = half_open(hangs());
    drop(old);
    let outcome = model.complete(&ask(), &never()).map(|reply| reply.text());
    assert_eq!(server.count(), 4, "one probe is allowed and under way; another was sent: {outcome:?}");
}

#[test]
fn an_old_attempt_that_fails_does_not_end_the_probing() {
    let body = streamed("Take five milligrams once a day and drink water.");
    let pieces = Some((100, Duration::from_millis(150)));
    let (_server, model, old, probe) = half_open(Answer { cut: Some(500), pieces, ..body });
    assert_eq!(old.last().unwrap().kind(), "error");
    drop(probe);
    // The probe said nothing, so another may go at once.
    let outcome = model.complete(&ask(), &never());
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn the_reason_is_not_lost_when_the_circuit_opens_within_a_call() {
    let fails = || Server::start(|_, _| refuse(503, r#"{"error": {"message": "maintenance until noon"}}"#));
    let breaker = Some(BreakerOptions { failures: 2, ..BreakerOptions::default() });
    let resilience = Resilience { attempts: 5, breaker, ..once() };
    let model = || model_with(&fails(), resilience.clone(), Some(Arc::default()));
    let whole = model().complete(&ask(), &never()).unwrap_err();
    let Event::Error { error: streamed, .. } = last(&model(), &ask()) else { panic!("no error") };
    for error in [whole, streamed] {
        assert_eq!(error.code(), Code::RemoteFailed, "{error}");
        assert!(error.message().contains("maintenance") && error.message().contains("in a row"), "{error}");
    }
    // Nor when it is open at the model that is asked next.
    let other = model();
    let _ = other.complete(&ask(), &never());
    let first = Server::start(|_, _| refuse(500, r#"{"error": {"message": "the disk is full"}}"#));
    let model = model_with(&first, Resilience { fallback: vec![other], ..once() }, Some(Arc::default()));
    let whole = model.complete(&ask(), &never()).unwrap_err();
    let Event::Error { error: streamed, .. } = last(&model, &ask()) else { panic!("no error") };
    for error in [whole, streamed] {
        assert!(error.message().contains("disk is full") && error.message().contains("in a row"), "{error}");
    }
}

#[test]
fn a_request_that_is_not_sent_tells_nothing_of_the_service() {
    let server = Server::start(|_, _| refuse(500, "{}"));
    let breaker = Some(BreakerOptions { failures: 2, ..BreakerOptions::default() });
    let model = anthropic(&server, Resilience { breaker, ..once() });
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::RemoteFailed);
    assert_eq!(model.complete(&unsendable(), &never()).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::RemoteFailed);
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::CircuitOpen);
}

#[test]
fn a_fallback_is_not_to_blame_for_the_time_that_it_did_not_have() {
    let refuses = Server::start(|_, _| Answer { wait: Duration::from_millis(300), ..refuse(500, "{}") });
    let slow = Server::start(|n, _| match n {
        0 | 1 => Answer { wait: 5 * SECOND, ..whole("late") },
        _ => whole("in time"),
    });
    let breaker = Some(BreakerOptions { failures: 1, ..BreakerOptions::default() });
    let other = model_with(&slow, Resilience { breaker, ..once() }, None);
    let deadline = Some(Duration::from_millis(500));
    let model = model_with(&refuses, Resilience { deadline, fallback: vec![other.clone()], ..once() }, None);
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::Timeout);
    let Event::Error { error, .. } = last(&model, &ask()) else { panic!("no error") };
    assert_eq!(error.code(), Code::Timeout);
    assert_eq!(other.complete(&ask(), &never()).unwrap().text(), "in time");
}

#[test]
fn another_model_is_asked_when_no_place_is_free() {
    let (busy, other) = (Server::start(|_, _| hangs()), Server::start(|_, _| whole("from the other")));
    let fallback = vec![model_with(&other, once(), None)];
    let resilience =
        Resilience { max_concurrent: 1, attempt_timeout: Duration::from_millis(200), fallback, ..once() };
    let model = model_with(&busy, resilience, None);
    let mut held = model.stream(&ask(), &never()).unwrap();
    assert!(held.next_event().is_some());
    let reply = model.complete(&ask(), &never()).unwrap();
    assert_eq!((reply.text().as_str(), reply.attempts, busy.count()), ("from the other", 1, 1));
}
