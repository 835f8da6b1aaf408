//! What breaks when the service, the network or the caller is an enemy? What held from the first.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code};
use quorate_models::{Event, Model, ModelOptions, Output, Resilience};
use serde_json::json;

use crate::events::{delta, last, once};
use crate::server::{Answer, Server, refuse, streamed, whole};
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
    let server =
        Server::start(move |_, _| Answer { headers: vec![("location", to.clone())], ..refuse(307, "{}") });
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
    let error =
        at(url, Resilience { attempt_timeout: 2 * SECOND, ..once() }).complete(&ask(), &never()).unwrap_err();
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
        assert!(took.is_some_and(|took| took < Duration::from_millis(300)), "cancels {cancels}: {took:?}");
        eprintln!("cancels {cancels}: {took:?}");
        drop(held);
    }
}
