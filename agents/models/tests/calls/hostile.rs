//! What breaks when the service, the network or the caller is an enemy? Each test here fails until its fault is mended.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code};
use quorate_models::{
    BreakerOptions, Clock, Event, ManualClock, Model, ModelOptions, Output, Price, Request, Resilience, Usage,
};
use serde_json::json;

use crate::events::{anthropic, delta, events, finish, last, once, sse, usage};
use crate::server::{Answer, Asked, Server, refuse, streamed, whole};
use crate::{ask, model, model_with, never};

const SECOND: Duration = Duration::from_secs(1);

/// A server that does with each connection what it is told, once the request's head has come.
fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                let mut seen = vec![0; 1 << 16];
                let _ = stream.read(&mut seen);
                serve(stream);
            });
        }
    });
    url
}

fn at(url: String, resilience: Resilience) -> Model {
    let options = ModelOptions { base_url: Some(url), resilience, ..ModelOptions::default() };
    Model::open("openai:m", options).unwrap()
}

// ---- Money and limits ----

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
fn an_attempt_that_was_answered_in_part_keeps_its_reservation() {
    let text = "word ".repeat(2_000);
    let cut = streamed(&text).body.len() - 300;
    let server = Server::start(move |_, _| Answer { cut: Some(cut), ..streamed(&"word ".repeat(2_000)) });
    let clock = Arc::new(ManualClock::default());
    let resilience = Resilience { tokens_per_minute: Some(2_000), ..once() };
    let model = model_with(&server, resilience, Some(clock.clone()));
    for _ in 0..10 {
        assert_eq!(last(&model).kind(), "error");
    }
    // 20,000 tokens were written by the service, its usage would have come last.
    assert!(!clock.sleeps().is_empty(), "2,000 tokens a minute, 20,000 were streamed, and nobody waited");
}

#[test]
fn the_reservation_covers_what_the_wire_asks_for() {
    let server = Server::start(|_, _| whole(""));
    let model = anthropic(&server);
    let _ = model.complete(&ask(), &never());
    let asked = server.asked(0).body["max_tokens"].as_u64().unwrap();
    let reserved = model.worst_tokens(&ask());
    assert!(reserved >= asked, "the wire allows {asked} tokens of answer, {reserved} are reserved for all");
}

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
    let Event::End(streamed) = last(&model) else { panic!() };
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
    let Event::End(streamed) = last(&model) else { panic!() };
    let reply = model.complete(&ask(), &never()).unwrap();
    assert_eq!((reply.attempts, streamed.attempts), (2, 2));
    assert_eq!(reply.usage, streamed.usage, "two answers of 10 and 5 tokens each");
}

#[test]
fn a_rate_has_no_free_tokens_below_its_first_step() {
    let price = Price::from_json(&json!({"input": [[200_000, 5.0]], "output": 1.0}));
    let free = price.as_ref().map(|price| price.cost(&Usage { input: 100_000, ..Usage::default() }));
    assert!(price.is_err(), "100,000 tokens cost {free:?}");
    let unsorted = Price::from_json(&json!({"input": [[200_000, 5.0], [0, 2.0]], "output": 1.0}));
    let cost = unsorted.as_ref().map(|price| price.cost(&Usage { input: 1_000_000, ..Usage::default() }));
    assert!(
        unsorted.is_err() || cost.as_ref().is_ok_and(|cost| *cost == 5.0),
        "1,000,000 tokens cost {cost:?}, expected 5"
    );
}

#[test]
fn sums_of_counts_do_not_wrap_round() {
    let value = json!({"input": 1, "output": 0, "cached": 0, "cache_written": 0});
    let price = Price::from_json(&value).unwrap();
    let usage = Usage { input: 1_000_000, cached: u64::MAX, cache_written: 1, ..Usage::default() };
    let cost = std::panic::catch_unwind(|| price.cost(&usage));
    assert_eq!(cost.ok(), Some(0.0), "all that was read came from the cache");
}

// ---- Breaker ----

/// A model whose circuit is half open, one stream that began before it opened, and one that is the only probe.
fn half_open(old: Answer) -> (Server, Model, quorate_models::Stream, quorate_models::Stream) {
    let hangs = || {
        let mut answer = streamed("Take five milligrams once a day and drink water.");
        answer.body.truncate(300);
        Answer { hang: 10 * SECOND, ..answer }
    };
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
    let mut answer = streamed("Take five milligrams once a day and drink water.");
    answer.body.truncate(300);
    let (server, model, old, _probe) = half_open(Answer { hang: 10 * SECOND, ..answer });
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

// ---- Time, sockets ----

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

// ---- Retries ----

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

// ---- Second look ----

#[test]
fn the_reason_is_not_lost_when_the_circuit_opens_within_a_call() {
    let server = Server::start(|_, _| refuse(503, r#"{"error": {"message": "maintenance until noon"}}"#));
    let breaker = Some(BreakerOptions { failures: 2, ..BreakerOptions::default() });
    let resilience = Resilience { attempts: 5, breaker, ..once() };
    let error = model_with(&server, resilience, Some(Arc::default())).complete(&ask(), &never()).unwrap_err();
    assert!(error.message().contains("maintenance"), "{error}");
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

// ---- What holds ----

mod refuted {
    use super::*;

    #[test]
    fn a_stream_that_floods_is_bounded_by_its_deadline() {
        let url = raw(|mut stream| {
            let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes());
            let flood = b": still here\n\n".repeat(20_000);
            let start = Instant::now();
            while start.elapsed() < 15 * SECOND && stream.write_all(&flood).is_ok() {}
        });
        let model = at(url, Resilience { deadline: Some(SECOND), ..once() });
        let start = Instant::now();
        let event = last(&model);
        let took = start.elapsed();
        assert!(took < 5 * SECOND, "a deadline of 1 s: {took:?}, {event:?}");
    }

    #[test]
    fn a_redirection_is_not_followed() {
        let other = Server::start(|_, _| whole("stolen"));
        let to = other.url.clone();
        let server = Server::start(move |_, _| Answer {
            headers: vec![("location", to.clone())],
            ..refuse(307, "{}")
        });
        assert!(model(&server).complete(&ask(), &never()).is_err());
        assert_eq!((server.count(), other.count()), (1, 0));
    }

    #[test]
    fn endless_headers_end() {
        let url = raw(|mut stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\n");
            let start = Instant::now();
            while start.elapsed() < 10 * SECOND
                && stream.write_all(&b"x-a: bbbbbbbbbbbbbbbbbbbbbbbbbb\r\n".repeat(100)).is_ok()
            {}
        });
        let start = Instant::now();
        let error = at(url, Resilience { attempt_timeout: 2 * SECOND, ..once() })
            .complete(&ask(), &never())
            .unwrap_err();
        assert!(start.elapsed() < 4 * SECOND, "{error}");
    }

    #[test]
    fn a_schema_that_is_itself_ends() {
        let form = Output::new(json!({"$ref": "#"}));
        if let Ok(form) = form {
            let _ = form.check(&json!(1));
        }
        let form = Output::new(json!({"type": "object", "properties": {"next": {"$ref": "#"}}})).unwrap();
        assert!(form.check(&json!({"next": {"next": 1}})).is_err());
    }

    #[test]
    fn text_over_broken_borders_of_letters() {
        let answer = Answer { pieces: Some((1, Duration::ZERO)), ..streamed("Größe 5 µg 💊 ok") };
        let server = Server::start(move |_, _| answer.clone());
        let Event::End(reply) = last(&model_with(&server, once(), None)) else { panic!() };
        assert_eq!(reply.text(), "Größe 5 µg 💊 ok");
    }

    #[test]
    fn deep_answers_do_not_overflow_the_stack() {
        let deep = "[".repeat(1 << 20);
        let body = format!("{{\"choices\": [{{\"index\": 0, \"message\": {{\"content\": {deep}");
        let server = Server::start(move |_, _| refuse(200, &body));
        assert_eq!(model(&server).complete(&ask(), &never()).unwrap_err().code(), Code::RemoteInvalid);
        assert_eq!(quorate_models::lenient(&deep), None);
    }

    #[test]
    fn a_tool_that_panics_gives_its_place_back() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let scripted = quorate_models::ScriptedModel::of_function(move |_, _| {
            match calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => panic!("on purpose"),
                _ => Ok(quorate_models::Reply::text_of("x")),
            }
        });
        let resilience = Resilience { max_concurrent: 1, attempt_timeout: SECOND, ..once() };
        let model = Model::new(scripted, ModelOptions { resilience, ..ModelOptions::default() }).unwrap();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| model.complete(&ask(), &never())));
        assert!(panicked.is_err() && model.complete(&ask(), &never()).is_ok());
    }

    #[test]
    fn a_stream_that_is_dropped_or_cancelled_in_a_flood_closes_its_connection() {
        for cancels in [false, true] {
            let gone: Arc<Mutex<Option<Instant>>> = Arc::default();
            let seen = gone.clone();
            let url = raw(move |mut stream| {
                let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(head.as_bytes());
                let flood = format!("data: {}\n\n", delta(json!({"content": "x"}))).repeat(1_000);
                let start = Instant::now();
                while start.elapsed() < 10 * SECOND {
                    if stream.write_all(flood.as_bytes()).is_err() {
                        *seen.lock().unwrap() = Some(Instant::now());
                        return;
                    }
                }
            });
            let cancel = Cancel::new();
            let mut stream = at(url, once()).stream(&ask(), &cancel).unwrap();
            for _ in 0..5_000 {
                stream.next_event();
            }
            let start = Instant::now();
            let mut held = Some(stream);
            if cancels {
                cancel.cancel()
            } else {
                held = None
            }
            while gone.lock().unwrap().is_none() && start.elapsed() < 5 * SECOND {
                std::thread::sleep(Duration::from_millis(1));
            }
            let took = gone.lock().unwrap().map(|gone| gone.duration_since(start));
            assert!(
                took.is_some_and(|took| took < Duration::from_millis(300)),
                "cancels {cancels}: {took:?}"
            );
            eprintln!("cancels {cancels}: {took:?}");
            drop(held);
        }
    }
}
