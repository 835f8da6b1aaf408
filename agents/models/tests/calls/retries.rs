//! Is each request sent as often as it should be, and no oftener?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code};
use quorate_models::{BreakerOptions, Event, ManualClock, Resilience};

use crate::events::once;
use crate::server::{Answer, Server, refuse, whole, whole_with};
use crate::{KEY, ask, model, model_with, never};

#[test]
fn requests_seen_by_the_server_are_the_attempts() {
    let server = Server::start(|n, _| if n < 2 { refuse(503, "{}") } else { whole("5 mg") });
    let clock = Arc::new(ManualClock::default());
    let model =
        model_with(&server, Resilience { seed: Some(7), ..Resilience::default() }, Some(clock.clone()));
    let reply = model.complete(&ask(), &never()).unwrap();
    assert_eq!((reply.text().as_str(), reply.attempts, server.count()), ("5 mg", 3, 3));
    // The pauses grow.
    let sleeps = clock.sleeps();
    assert!(sleeps.len() == 2 && sleeps[1] > sleeps[0].mul_f64(1.2), "{sleeps:?}");
    let request = server.asked(0);
    assert_eq!(
        (request.path.as_str(), &request.body["messages"][0]["content"]),
        ("/v1/chat/completions", &"Which dose?".into())
    );
    assert!(request.headers.to_lowercase().contains(&format!("authorization: bearer {KEY}")));
}

#[test]
fn the_wait_that_a_service_asks_for_is_kept() {
    let limited = || Answer { headers: vec![("retry-after", "7".into())], ..refuse(429, "{}") };
    let server = Server::start(move |n, _| if n == 0 { limited() } else { whole("ok") });
    let clock = Arc::new(ManualClock::default());
    let model = model_with(&server, Resilience::default(), Some(clock.clone()));
    assert_eq!(model.complete(&ask(), &never()).unwrap().attempts, 2);
    let slept = clock.sleeps()[0];
    assert!(slept >= Duration::from_secs(7) && slept < Duration::from_secs(9), "{slept:?}");
    // A wait that is longer than any call takes fails at once.
    let server =
        Server::start(|_, _| Answer { headers: vec![("retry-after", "3600".into())], ..refuse(429, "{}") });
    assert_eq!(crate::model(&server).complete(&ask(), &never()).unwrap_err().code(), Code::RateLimited);
    assert_eq!(server.count(), 1);
}

#[test]
fn what_cannot_pass_is_sent_once() {
    let quota = r#"{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}"#;
    for (status, body, code) in [
        (429, quota, Code::RateLimited),
        (400, r#"{"error": {"message": "bad"}}"#, Code::RemoteFailed),
        (401, r#"{"error": {"message": "bad key"}}"#, Code::RemoteFailed),
        (404, r#"{"error": {"message": "no such model"}}"#, Code::ModelNotFound),
        (400, r#"{"error": {"message": "x", "code": "context_length_exceeded"}}"#, Code::ContextOverflow),
    ] {
        let server = Server::start(move |_, _| refuse(status, body));
        let error = model(&server).complete(&ask(), &never()).unwrap_err();
        assert_eq!((error.code(), server.count()), (code, 1), "{status}");
        let mut stream = model(&server).stream(&ask(), &never()).unwrap();
        assert!(matches!(stream.next_event(), Some(Event::Error { error, .. }) if error.code() == code));
        assert_eq!((stream.next_event().is_none(), server.count()), (true, 2));
    }
}

#[test]
fn an_answer_that_was_cut_at_its_length_is_not_asked_again() {
    let server = Server::start(|_, _| whole_with("half an ans", "length"));
    let reply = model(&server).complete(&ask(), &never()).unwrap();
    assert_eq!((reply.finish.unwrap().as_str(), server.count()), ("length", 1));
}

#[test]
fn nothing_listens_is_offline() {
    let server = Server::start(|_, _| whole(""));
    let options = quorate_models::ModelOptions {
        base_url: Some("http://127.0.0.1:1/v1".into()),
        clock: Some(Arc::new(ManualClock::default())),
        ..Default::default()
    };
    let model = quorate_models::Model::open("openai:m", options).unwrap();
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::Offline);
    assert_eq!(server.count(), 0);
}

#[test]
fn another_model_answers_when_this_one_fails() {
    let (bad, good) =
        (Server::start(|_, _| refuse(500, "{}")), Server::start(|_, _| whole("from the other")));
    let fallback = vec![model(&good)];
    let first =
        model_with(&bad, Resilience { attempts: 2, fallback, ..Resilience::default() }, Some(Arc::default()));
    let reply = first.complete(&ask(), &never()).unwrap();
    assert_eq!((reply.text().as_str(), reply.attempts), ("from the other", 3));
    assert_eq!((bad.count(), good.count()), (2, 1));
    // A request that is wrong is wrong everywhere.
    let (wrong, good) = (Server::start(|_, _| refuse(400, "{}")), Server::start(|_, _| whole("")));
    let fallback = vec![model(&good)];
    let first = model_with(&wrong, Resilience { fallback, ..Resilience::default() }, Some(Arc::default()));
    assert!(first.complete(&ask(), &never()).is_err());
    assert_eq!(good.count(), 0);
}

#[test]
fn a_service_that_keeps_failing_is_left_alone_for_a_while() {
    let server = Server::start(|n, _| if n < 4 { refuse(500, "{}") } else { whole("well again") });
    let clock = Arc::new(ManualClock::default());
    let breaker = Some(BreakerOptions { failures: 4, open_for: Duration::from_secs(60), probes: 1 });
    let model = model_with(
        &server,
        Resilience { attempts: 2, breaker, ..Resilience::default() },
        Some(clock.clone()),
    );
    for _ in 0..2 {
        assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::RemoteFailed);
    }
    assert_eq!(model.complete(&ask(), &never()).unwrap_err().code(), Code::CircuitOpen);
    assert_eq!(server.count(), 4);
    clock.advance(Duration::from_secs(61));
    assert_eq!(model.complete(&ask(), &never()).unwrap().text(), "well again");
}

#[test]
fn tokens_that_were_not_used_are_given_back() {
    let server = Server::start(|_, _| whole("short"));
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { tokens_per_minute: Some(2_000), ..Resilience::default() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    // Each call reserves over 1,024 tokens and uses 15: 20 calls fit into the minute only because the rest comes back.
    for _ in 0..20 {
        model.complete(&ask(), &never()).unwrap();
    }
    assert!(clock.sleeps().is_empty(), "{:?}", clock.sleeps());
    let server = Server::start(|_, _| whole("short"));
    let resilience = Resilience { requests_per_minute: Some(2), ..Resilience::default() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    for _ in 0..3 {
        model.complete(&ask(), &never()).unwrap();
    }
    // The third would be one too many until the first two are a minute old.
    assert_eq!(clock.sleeps(), [Duration::from_secs(60)]);
}

#[test]
fn a_key_never_shows() {
    let server = Server::start(|_, request| {
        // A service that sends back all that it was sent.
        refuse(400, &serde_json::json!({"error": {"message": request.headers}}).to_string())
    });
    let model = model(&server);
    let error = model.complete(&ask(), &never()).unwrap_err();
    assert!(server.asked(0).headers.contains(KEY));
    for shown in [format!("{error}"), format!("{error:?}"), format!("{model:?}")] {
        assert!(!shown.contains(KEY), "{shown}");
    }
    let stream = model.stream(&ask(), &never()).unwrap();
    assert!(!format!("{stream:?}").contains(KEY));
    for event in stream {
        assert!(!format!("{event:?}").contains(KEY));
    }
}

#[test]
fn cancelling_stops_a_call_and_its_waits() {
    let server = Server::start(|_, _| Answer { wait: Duration::from_secs(5), ..whole("late") });
    let cancel = Cancel::new();
    let raised = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        raised.cancel();
    });
    let start = Instant::now();
    let model = model_with(&server, Resilience::default(), None);
    assert_eq!(model.complete(&ask(), &cancel).unwrap_err().code(), Code::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_refusal_whose_body_breaks_off_is_still_a_refusal() {
    let cut = |status: u16, headers: Vec<(&'static str, String)>| Answer {
        headers,
        cut: Some(5),
        ..refuse(status, r#"{"error": {"message": "no"}}"#)
    };
    let server = Server::start(move |n, _| match n {
        0 => cut(429, vec![("retry-after", "7".into())]),
        _ => whole("ok"),
    });
    let clock = Arc::new(ManualClock::default());
    let model = model_with(&server, Resilience { attempts: 2, ..once() }, Some(clock.clone()));
    model.complete(&ask(), &never()).unwrap();
    let slept = clock.sleeps();
    let server = Server::start(move |_, _| cut(401, Vec::new()));
    let error = crate::model(&server).complete(&ask(), &never()).unwrap_err();
    let counts =
        (server.count(), crate::model(&server).stream(&ask(), &never()).unwrap().count(), server.count());
    assert!(
        slept[0] >= Duration::from_secs(7) && counts.0 == 1,
        "asked to wait 7 s, waited {slept:?}; a 401 was sent {counts:?} times: {error}"
    );
}

#[test]
fn a_limit_that_passes_is_not_a_quota_that_is_used_up() {
    let body = r#"{"error": {"code": 429, "message": "You exceeded your current quota, please check your plan and billing details. Please retry in 7s.", "status": "RESOURCE_EXHAUSTED"}}"#;
    let server = Server::start(move |n, _| match n {
        0 => Answer { headers: vec![("retry-after", "7".into())], ..refuse(429, body) },
        _ => whole("ok"),
    });
    let reply = model(&server).complete(&ask(), &never());
    assert!(reply.is_ok(), "the service says when to come again: {reply:?}");
}

#[test]
fn a_wait_beyond_all_clocks_is_no_wait_of_zero() {
    for value in ["100000000000000000000", "1e20", "inf"] {
        let server = Server::start(move |_, _| Answer {
            headers: vec![("retry-after", value.into())],
            ..refuse(429, "{}")
        });
        let _ = model(&server).complete(&ask(), &never());
        assert_eq!(server.count(), 1, "Retry-After: {value}");
    }
}
