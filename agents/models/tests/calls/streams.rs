//! Does a stream give each token once and end once, whatever the connection does?

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code};
use quorate_models::{Event, Model, ModelOptions, Output, Request, Resilience};
use serde_json::json;

use crate::events::{delta, events, finish, usage};
use crate::server::{Answer, Server, streamed};
use crate::{ask, model, model_with, never};

const TEXT: &str = "Take five milligrams once a day and drink water.";

fn once() -> Resilience {
    Resilience { attempts: 1, ..Resilience::default() }
}

/// The text that somebody sees who follows the events, and the kinds of all events.
fn follow(events: impl Iterator<Item = Event>) -> (String, Vec<&'static str>, Option<Event>) {
    let (mut text, mut kinds, mut last) = (String::new(), Vec::new(), None);
    for event in events {
        assert!(last.is_none(), "an event after the last");
        kinds.push(event.kind());
        match event {
            Event::Text { delta } => text.push_str(&delta),
            Event::Retry { keep, .. } => text.truncate(keep),
            event if event.is_last() => last = Some(event),
            _ => {}
        }
    }
    (text, kinds, last)
}

#[test]
fn a_streamed_answer_equals_a_whole_one() {
    let server = Server::start(|_, request| match request.body["stream"].as_bool() {
        Some(true) => Answer { pieces: Some((7, Duration::ZERO)), ..streamed(TEXT) },
        _ => crate::server::whole(TEXT),
    });
    let model = model(&server);
    let whole = model.complete(&ask(), &never()).unwrap();
    let (text, kinds, last) = follow(model.stream(&ask(), &never()).unwrap());
    let Some(Event::End(reply)) = last else { panic!("{last:?}") };
    assert_eq!((text.as_str(), *reply), (TEXT, whole));
    assert_eq!(kinds.len(), 10);
    let batched: Vec<Event> = {
        let mut stream = model.stream(&ask(), &never()).unwrap();
        std::iter::from_fn(|| Some(stream.next_events(64)).filter(|events| !events.is_empty()))
            .flatten()
            .collect()
    };
    assert_eq!(follow(batched.into_iter()).0, TEXT);
}

#[test]
fn a_broken_stream_is_begun_anew_and_nothing_is_given_twice() {
    let server = Server::start(|n, _| match n {
        0 => Answer { cut: Some(300), ..streamed(TEXT) },
        _ => streamed(TEXT),
    });
    let (text, kinds, last) = follow(model(&server).stream(&ask(), &never()).unwrap());
    let Some(Event::End(reply)) = last else { panic!("{last:?}") };
    assert_eq!((text.as_str(), reply.text().as_str(), reply.attempts, server.count()), (TEXT, TEXT, 2, 2));
    assert_eq!(kinds.iter().filter(|kind| **kind == "retry").count(), 1);
    assert_eq!(kinds.iter().filter(|kind| **kind == "text").count(), 9);
    // An answer that goes on differently takes back what no longer holds.
    let server = Server::start(|n, _| match n {
        0 => Answer { cut: Some(300), ..streamed(TEXT) },
        _ => streamed("Take five drops."),
    });
    let (text, kinds, last) = follow(model(&server).stream(&ask(), &never()).unwrap());
    let Some(Event::End(reply)) = last else { panic!("{last:?}") };
    assert_eq!((text.as_str(), reply.text().as_str()), ("Take five drops.", "Take five drops."));
    assert_eq!(kinds.iter().filter(|kind| **kind == "retry").count(), 2);
}

#[test]
fn a_stream_that_stays_broken_ends_once_with_what_came() {
    let body = streamed(TEXT).body;
    for cut in (0..body.len()).step_by(37) {
        let server = Server::start(move |_, _| Answer { cut: Some(cut), ..streamed(TEXT) });
        let (text, _, last) = follow(model_with(&server, once(), None).stream(&ask(), &never()).unwrap());
        let Some(Event::Error { error, partial }) = last else { panic!("cut at {cut}: {last:?}") };
        assert_eq!(error.code(), Code::StreamIncomplete, "cut at {cut}: {error}");
        assert_eq!((partial.text(), partial.finish, partial.attempts), (text.clone(), None, 1));
        assert!(TEXT.starts_with(&text));
    }
}

#[test]
fn a_first_byte_and_a_next_piece_that_do_not_come_have_deadlines() {
    let short = Duration::from_millis(300);
    let late = Server::start(|_, _| Answer { wait: Duration::from_secs(5), ..streamed(TEXT) });
    let stalls = Server::start(|_, _| {
        let mut answer = streamed(TEXT);
        answer.body.truncate(200);
        Answer { hang: Duration::from_secs(5), ..answer }
    });
    for (server, some) in [(late, false), (stalls, true)] {
        let resilience = Resilience { first_byte_timeout: short, stall_timeout: short, ..once() };
        let start = Instant::now();
        let (text, _, last) = follow(model_with(&server, resilience, None).stream(&ask(), &never()).unwrap());
        let Some(Event::Error { error, .. }) = last else { panic!("{last:?}") };
        assert_eq!(error.code(), Code::Timeout, "{error}");
        assert_eq!(!text.is_empty(), some);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    }
}

#[test]
fn a_cancelled_stream_closes_its_connection_while_nobody_reads() {
    let server = Server::start(|_, _| {
        let mut answer = streamed(TEXT);
        answer.body.truncate(300);
        Answer { hang: Duration::from_secs(10), ..answer }
    });
    let cancel = Cancel::new();
    let mut stream = model_with(&server, Resilience::default(), None).stream(&ask(), &cancel).unwrap();
    assert!(matches!(stream.next_event(), Some(Event::Text { .. })));
    let raised = Instant::now();
    cancel.cancel();
    while server.gone.lock().unwrap().is_none() && raised.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = server.gone.lock().unwrap().expect("the connection goes").duration_since(raised);
    eprintln!("a cancelled stream closed its connection after {took:?}");
    // 100 ms on a machine with a core to spare.
    assert!(took < Duration::from_millis(1000), "{took:?}");
    let (_, _, last) = follow(stream);
    let Some(Event::Cancelled { partial }) = last else { panic!("{last:?}") };
    assert!(TEXT.starts_with(&partial.text()));
    // A stream that is dropped closes it too.
    let server = Server::start(|_, _| {
        let mut answer = streamed(TEXT);
        answer.body.truncate(300);
        Answer { hang: Duration::from_secs(10), ..answer }
    });
    let mut stream = model_with(&server, Resilience::default(), None).stream(&ask(), &never()).unwrap();
    stream.next_event();
    drop(stream);
    let dropped = Instant::now();
    while server.gone.lock().unwrap().is_none() {
        assert!(dropped.elapsed() < Duration::from_secs(5), "a dropped stream keeps its connection");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn many_streams_at_once() {
    let server =
        Server::start(|_, _| Answer { pieces: Some((60, Duration::from_millis(5))), ..streamed(TEXT) });
    let model = model_with(&server, Resilience { max_concurrent: 256, ..Resilience::default() }, None);
    let model = Arc::new(model);
    let start = Instant::now();
    let threads: Vec<_> = (0..256)
        .map(|_| {
            let model = Arc::clone(&model);
            std::thread::spawn(move || follow(model.stream(&ask(), &never()).unwrap()).0)
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), TEXT);
    }
    eprintln!("256 streams at once: {:?}", start.elapsed());
}

#[test]
fn what_a_stream_shows_is_the_text_of_its_reply() {
    let server = Server::start(|_, _| {
        events(&[
            delta(json!({"content": "Let me see. "})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "answer", "arguments": "{\"dose\": 5}"}}]}),
            ),
            finish("tool_calls"),
            usage(1, 1),
        ])
    });
    let options = ModelOptions {
        base_url: Some(server.url.clone()),
        output_way: Some(quorate_models::OutputWay::Tool),
        resilience: once(),
        ..ModelOptions::default()
    };
    let schema = json!({"type": "object", "properties": {"dose": {"type": "integer"}}});
    let request = Request { output: Some(Output::new(schema).unwrap()), ..ask() };
    let mut text = String::new();
    for event in Model::open("openai:m", options).unwrap().stream(&request, &never()).unwrap() {
        match event {
            Event::Text { delta } => text.push_str(&delta),
            Event::Retry { keep, .. } => text.truncate(keep),
            Event::End(reply) => assert_eq!(reply.text(), text, "left: the reply, right: what was shown"),
            _ => {}
        }
    }
}

#[test]
fn the_partial_answer_holds_all_the_text_that_was_shown() {
    let text = "Take five milligrams once a day and drink water.";
    let server =
        Server::start(move |n, _| Answer { cut: Some(if n == 0 { 500 } else { 200 }), ..streamed(text) });
    let model = model_with(&server, Resilience { attempts: 2, ..once() }, Some(Arc::default()));
    let mut shown = String::new();
    for event in model.stream(&ask(), &never()).unwrap() {
        match event {
            Event::Text { delta } => shown.push_str(&delta),
            Event::Retry { keep, .. } => shown.truncate(keep),
            Event::Error { partial, .. } => assert_eq!(partial.text(), shown),
            _ => {}
        }
    }
}
