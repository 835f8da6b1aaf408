//! Does the remote embedder bear a service that misbehaves?

mod support;

use std::time::{Duration, Instant};

use quorate_core::Cancel;
use quorate_core::embed::{Embed, RemoteEmbedder, RemoteOptions};
use serde_json::{Value, json};
use support::{Answer, Seen, Server, serve};

const KEY: &str = "sk-very-secret";

fn options() -> RemoteOptions {
    RemoteOptions {
        model: "toy".into(),
        api_key: Some(KEY.into()),
        dimensions: Some(3),
        batch_size: 2,
        retries: 3,
        first_wait: Duration::from_millis(5),
        timeout: Duration::from_millis(500),
        ..Default::default()
    }
}

fn embedder(server: &Server, options: RemoteOptions) -> RemoteEmbedder {
    RemoteEmbedder::new(&format!("{}/v1/", server.base), options).unwrap()
}

fn inputs(seen: &Seen) -> Vec<String> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// One vector per text that tells the text's number, in reverse order with the right indexes.
fn good(seen: &Seen) -> Answer {
    let vectors = inputs(seen).into_iter().enumerate();
    let mut data: Vec<Value> = vectors
        .map(|(i, text)| {
            let number: f64 = text.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(1.0);
            json!({"index": i, "embedding": [number, 1.0, 0.0]})
        })
        .collect();
    data.reverse();
    full(200, json!({"data": data}))
}

fn full(status: u16, body: Value) -> Answer {
    Answer::Full(status, "", body.to_string().into_bytes())
}

fn code_of(answer: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> (String, usize) {
    let server = serve(answer);
    let error = embedder(&server, options()).embed(&["t 1"], &Cancel::new()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(KEY), "{error}");
    let tries = server.seen.lock().unwrap().len();
    (error.code().as_str().to_owned(), tries)
}

#[test]
fn order_batches_prefixes_and_key() {
    let server = serve(|_, seen| good(seen));
    let options =
        RemoteOptions { document_prefix: "doc ".into(), query_prefix: "query ".into(), ..options() };
    let embedder = embedder(&server, options);
    let texts: Vec<String> = (1..=9).map(|i| format!("{i}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, &Cancel::new()).unwrap();
    for (i, row) in vectors.iter().enumerate() {
        let want = (i + 1) as f32;
        assert!((row[0] / row[1] - want).abs() < 1e-4, "{i}: {row:?}");
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    embedder.embed_query("q 1").unwrap();
    assert_eq!(embedder.embed(&[], &Cancel::new()).unwrap().cols(), 3);
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    assert!(
        seen.iter().all(
            |s| s.path == "/v1/embeddings" && s.headers.contains(&format!("authorization: bearer {KEY}"))
        )
    );
    assert!(seen.iter().all(|s| inputs(s).len() <= 2));
    assert_eq!(inputs(&seen[5]), ["query q 1"]);
    let sent: Value = serde_json::from_str(&seen[0].body).unwrap();
    assert_eq!((&sent["model"], &sent["dimensions"]), (&json!("toy"), &json!(3)));
    assert!(!format!("{embedder:?} {}", embedder.id()).contains(KEY));
}

#[test]
fn passing_failures_are_tried_again() {
    for status in [429, 500, 503] {
        let server = serve(move |n, seen| if n < 2 { full(status, json!({})) } else { good(seen) });
        assert!(embedder(&server, options()).embed_query("1").is_ok());
        assert_eq!(server.seen.lock().unwrap().len(), 3);
    }
    let server =
        serve(|n, seen| if n == 0 { Answer::Silent(Duration::from_millis(100)) } else { good(seen) });
    assert!(embedder(&server, options()).embed_query("1").is_ok());
    let server = serve(|n, seen| if n == 0 { Answer::CutOff(b"{\"data\"".to_vec()) } else { good(seen) });
    assert!(embedder(&server, options()).embed_query("1").is_ok());
}

#[test]
fn the_server_sets_the_pause() {
    let server = serve(|n, seen| match n {
        0 => Answer::Full(429, "Retry-After: 1\r\n", Vec::new()),
        _ => good(seen),
    });
    let start = Instant::now();
    let patient = RemoteOptions { timeout: Duration::from_secs(20), ..options() };
    embedder(&server, patient).embed_query("1").unwrap();
    assert!(start.elapsed() >= Duration::from_millis(950));
}

#[test]
fn the_timeout_bounds_tries_and_pauses_together() {
    let busy = serve(|_, _| Answer::Full(503, "Retry-After: 30\r\n", Vec::new()));
    let start = Instant::now();
    let error = embedder(&busy, options()).embed_query("1").unwrap_err();
    assert_eq!(error.code().as_str(), "remote_failed");
    assert!(error.message().contains("after the timeout"), "{error}");
    assert_eq!(busy.seen.lock().unwrap().len(), 1);
    // Each try fails within the limit; all of them would not.
    let slow = serve(|_, _| {
        std::thread::sleep(Duration::from_millis(300));
        Answer::Full(503, "", Vec::new())
    });
    let many = RemoteOptions { retries: 50, timeout: Duration::from_millis(900), ..options() };
    assert!(embedder(&slow, many).embed_query("1").is_err());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn tiny_and_huge_vectors_keep_their_direction_and_zeros_are_refused() {
    let given = |body: &'static str| {
        let server = serve(move |_, _| Answer::Full(200, "", body.into()));
        embedder(&server, options()).embed_query("1")
    };
    for body in [
        "{\"data\": [{\"embedding\": [3e-60, 4e-60, 0]}]}",
        "{\"data\": [{\"embedding\": [3e-300, 4e-300, 0]}]}",
        "{\"data\": [{\"embedding\": [3e300, 4e300, 0]}]}",
    ] {
        let vector = given(body).unwrap();
        assert!((vector[0] - 0.6).abs() < 1e-6 && (vector[1] - 0.8).abs() < 1e-6, "{vector:?}");
    }
    for body in ["{\"data\": [{\"embedding\": [0, 0, 0]}]}", "{\"data\": [{\"embedding\": [1e-400, 0, 0]}]}"]
    {
        assert_eq!(given(body).unwrap_err().code().as_str(), "remote_invalid");
    }
}

#[test]
fn credentials_in_the_url_are_sent_and_never_shown() {
    let server = serve(|n, seen| match n {
        0 => Answer::Full(400, "", b"no".to_vec()),
        _ => good(seen),
    });
    let base = server.base.replace("http://", "http://me:s3cret@") + "/v1?api-version=7";
    let embedder = RemoteEmbedder::new(&base, RemoteOptions { api_key: None, ..options() }).unwrap();
    let error = embedder.embed_query("1").unwrap_err();
    let shown = format!("{error} {error:?} {embedder:?} {}", embedder.id());
    assert!(!shown.contains("s3cret") && !shown.contains("me:"), "{shown}");
    let plain = RemoteEmbedder::new(&format!("{}/v1", server.base), options()).unwrap();
    assert_eq!(embedder.id(), plain.id());
    embedder.embed_query("1").unwrap();
    let seen = server.seen.lock().unwrap();
    assert_eq!(seen[0].path, "/v1/embeddings?api-version=7");
    // "me:s3cret" in base 64.
    assert!(seen[0].headers.contains("authorization: basic bwu6cznjcmv0"), "{}", seen[0].headers);
}

/// A child of a process that has spoken to the service opens connections of its own.
#[cfg(unix)]
#[test]
fn a_forked_child_is_answered_at_once() {
    let server = serve(|_, seen| good(seen));
    let embedder = embedder(&server, RemoteOptions { timeout: Duration::from_secs(20), ..options() });
    embedder.embed_query("1").unwrap();
    let start = Instant::now();
    // SAFETY: the child does no more than one request and leaves by `_exit`, without unwinding into the test's harness.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let answered = embedder.embed_query("2").is_ok();
        // SAFETY: `_exit` ends the child without running what the parent registered.
        unsafe { libc::_exit(if answered { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: `status` is a place for the child's status, and the child is this process's own.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    embedder.embed_query("3").unwrap();
}

#[test]
fn lasting_failures_have_codes() {
    assert_eq!(
        code_of(|_, _| full(401, json!({"error": format!("bad key {KEY}")}))),
        ("remote_failed".into(), 1)
    );
    assert_eq!(code_of(|_, _| full(404, json!({}))), ("not_found".into(), 1));
    assert_eq!(code_of(|_, _| full(500, json!({}))), ("remote_failed".into(), 4));
    assert_eq!(code_of(|_, _| Answer::CutOff(b"{".to_vec())), ("remote_invalid".into(), 4));
    assert_eq!(code_of(|_, _| Answer::Silent(Duration::from_millis(700))), ("timeout".into(), 1));
    let invalid = |body: &'static str| code_of(move |_, _| Answer::Full(200, "", body.into()));
    for body in [
        "not json",
        "{}",
        "{\"data\": []}",
        "{\"data\": [{\"embedding\": [1, 2]}]}",
        "{\"data\": [{\"embedding\": []}]}",
        "{\"data\": [{\"embedding\": [NaN, 1, 2]}]}",
        "{\"data\": [{\"embedding\": [null, 1, 2]}]}",
        "{\"data\": [{\"embedding\": [1e999, 1, 2]}]}",
        "{\"data\": [{\"index\": 7, \"embedding\": [1, 2, 3]}]}",
        "{\"data\": [{\"embedding\": [1, 2, 3]}, {\"embedding\": [1, 2, 3]}]}",
    ] {
        assert_eq!(invalid(body), ("remote_invalid".into(), 1), "{body}");
    }
    let nobody = RemoteEmbedder::new("http://127.0.0.1:1", options()).unwrap();
    assert_eq!(nobody.embed_query("1").unwrap_err().code().as_str(), "offline");
}

#[test]
fn cancelling_ends_the_wait() {
    let server = serve(|_, _| Answer::Silent(Duration::from_secs(5)));
    let embedder = embedder(&server, RemoteOptions { timeout: Duration::from_secs(30), ..options() });
    let cancel = Cancel::new();
    let raise = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        raise.cancel();
    });
    let start = Instant::now();
    let error = embedder.embed(&["1"], &cancel).unwrap_err();
    assert_eq!(error.code().as_str(), "cancelled");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn dimension_is_found_out_and_options_are_checked() {
    let server = serve(|_, seen| good(seen));
    assert_eq!(embedder(&server, RemoteOptions { dimensions: None, ..options() }).dim(), 3);
    let known = RemoteOptions { dimensions: None, model: "text-embedding-3-small".into(), ..options() };
    assert_eq!(RemoteEmbedder::new("http://127.0.0.1:1", known).unwrap().dim(), 1536);
    for (base, options) in [
        ("ftp://x", options()),
        ("http://x", RemoteOptions { model: String::new(), ..options() }),
        ("http://x", RemoteOptions { batch_size: 0, ..options() }),
        ("http://x", RemoteOptions { api_key: Some("line\nbreak".into()), ..options() }),
    ] {
        assert_eq!(RemoteEmbedder::new(base, options).unwrap_err().code().as_str(), "invalid_argument");
    }
    for options in [
        RemoteOptions { concurrency: 1 << 40, ..options() },
        RemoteOptions { batch_size: usize::MAX, ..options() },
        RemoteOptions { dimensions: Some(1 << 31), ..options() },
        RemoteOptions { retries: usize::MAX, ..options() },
    ] {
        assert_eq!(RemoteEmbedder::new("http://x", options).unwrap_err().code().as_str(), "too_large");
    }
}
