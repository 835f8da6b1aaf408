//! Does a knowledge base on an object store keep the promises of one in a folder? Run by `make s3`, which gives the
//! command of a server in `QUORATE_S3_SERVER`.

#[path = "engine/common.rs"]
mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::options;
use quorate_core::Code;
use quorate_rag::{Document, Filter, KnowledgeBase, Mode, OpenOptions, SearchOptions};

/// Longer than any of the calls here takes, by far.
const LIMIT: Duration = Duration::from_secs(120);
/// Set for the process that plays another machine: the port of the server, and its own folder.
const ELSEWHERE: &str = "QUORATE_S3_ELSEWHERE";

/// A server of its own, which ends with it.
struct Server {
    process: Child,
    _input: ChildStdin,
    port: u16,
}

impl Server {
    fn start() -> Server {
        let command = std::env::var("QUORATE_S3_SERVER")
            .expect("QUORATE_S3_SERVER gives the command of an S3 server; `make s3` sets it");
        let mut words = command.split_whitespace();
        let mut process = Command::new(words.next().unwrap())
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the server prints its port");
        let input = process.stdin.take().unwrap();
        Server { process, _input: input, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn storage(port: u16) -> HashMap<String, String> {
    let endpoint = format!("http://127.0.0.1:{port}");
    [
        ("aws_endpoint", endpoint.as_str()),
        ("aws_region", "us-east-1"),
        ("allow_http", "true"),
        ("aws_access_key_id", "key"),
        ("aws_secret_access_key", "secret"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn at(port: u16, cache: &Path) -> OpenOptions {
    OpenOptions { storage_options: storage(port), cache_folder: Some(cache.to_owned()), ..options() }
}

fn document(i: usize) -> Document {
    Document::new(format!("{i}"), format!("number{i} of many words"))
        .title(format!("title{i}"))
        .metadata_field("n", i as i64)
}

fn documents(from: usize, to: usize) -> Vec<Document> {
    (from..to).map(document).collect()
}

fn found(kb: &KnowledgeBase, mode: Mode, query: &str) -> String {
    let options = SearchOptions { mode, k: 1, ..SearchOptions::default() };
    kb.search(query, &options).unwrap().first().map(|hit| hit.doc_id().to_owned()).unwrap_or_default()
}

fn code<T>(result: quorate_core::Result<T>) -> Code {
    match result {
        Ok(_) => panic!("this should have failed"),
        Err(error) => error.code(),
    }
}

/// The result of `work`, which must come within the limit.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive.recv_timeout(LIMIT).expect("no answer within two minutes")
}

/// What the process does that plays another machine; nothing in the usual run.
#[test]
fn elsewhere() {
    let Ok(said) = std::env::var(ELSEWHERE) else { return };
    let (port, folder) = said.split_once(' ').unwrap();
    let kb = KnowledgeBase::open("s3://quorate/kb", at(port.parse().unwrap(), Path::new(folder))).unwrap();
    kb.add(documents(500, 503)).unwrap();
    kb.close().unwrap();
}

#[test]
fn every_verb_works_on_an_object_store() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let other = folder.path().join("other");
    let place = "s3://quorate/kb";
    let open = |options: OpenOptions| KnowledgeBase::open(place, options);

    let absent = OpenOptions { read_only: true, ..at(server.port, &other) };
    assert_eq!(code(open(absent)), Code::NotFound);

    let kb = open(at(server.port, &cache)).unwrap();
    assert_eq!(kb.add(documents(0, 30)).unwrap().added, 30);
    let first = kb.stats().unwrap().version;
    for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
        assert_eq!(found(&kb, mode, "number7 of many words"), "7", "{mode:?}");
    }
    let few = SearchOptions {
        filter: Some(Filter::parse("n >= 10 AND n < 14").unwrap()),
        k: 10,
        ..SearchOptions::default()
    };
    assert_eq!(kb.search("many words", &few).unwrap().len(), 4);
    assert_eq!(code(kb.add(vec![document(3)])), Code::DuplicateId);
    let changed = Document::new("3", "something else entirely").metadata_field("n", 3);
    assert_eq!(kb.upsert(vec![changed]).unwrap().replaced, 1);
    assert_eq!(found(&kb, Mode::Lexical, "entirely"), "3");
    assert_eq!(kb.delete(&["5", "6"]).unwrap(), 2);
    let mut metadata = kb.get("8").unwrap().metadata;
    metadata.insert("n".to_owned(), 800.into());
    kb.update_metadata("8", metadata).unwrap();
    assert_eq!(kb.count(Some(&Filter::parse("n = 800").unwrap())).unwrap(), 1);
    assert_eq!(kb.count(None).unwrap(), 28);
    assert_eq!(kb.stats().unwrap().truth_bytes, 0);

    // Tenants have tables of their own there too.
    let tenant = kb.tenant("acme").unwrap();
    tenant.add(documents(3, 5)).unwrap();
    assert_eq!((tenant.count(None).unwrap(), kb.count(None).unwrap()), (2, 28));

    let past = kb.at(first).unwrap();
    assert_eq!(past.count(None).unwrap(), 30);
    assert_eq!(past.get("3").unwrap().text, "number3 of many words");
    assert!(kb.versions().unwrap().iter().any(|v| v.version == first));

    // A reader with indexes of its own, and the writers that are refused.
    let reader = open(OpenOptions { read_only: true, ..at(server.port, &other) }).unwrap();
    assert_eq!(reader.count(None).unwrap(), 28);
    assert_eq!(code(reader.add(documents(90, 91))), Code::ReadOnly);
    assert_eq!(code(open(at(server.port, &cache))), Code::Locked);
    assert_eq!(code(open(at(server.port, &folder.path().join("third")))), Code::Locked);
    let slash = KnowledgeBase::open("s3://quorate/kb/", at(server.port, &folder.path().join("fourth")));
    assert_eq!(code(slash), Code::Locked);
    kb.add(documents(100, 110)).unwrap();
    assert!(reader.refresh().unwrap() && !reader.refresh().unwrap());
    assert_eq!(reader.count(None).unwrap(), 38);

    kb.compact().unwrap();
    assert_eq!(code(kb.at(first)), Code::UnknownId);
    assert_eq!(past.count(None).unwrap(), 30, "an old view that is open holds all that it shows");
    reader.refresh().unwrap();
    assert_eq!(found(&reader, Mode::Dense, "number105 of many words"), "105");
    kb.close().unwrap();
    assert_eq!(code(kb.count(None)), Code::Closed);

    // The indexes come from the cache, or else from the documents.
    let told = Arc::new(AtomicUsize::new(0));
    let telling = |options: OpenOptions| {
        let told = told.clone();
        OpenOptions {
            progress: Some(Arc::new(move |_, _| {
                told.fetch_add(1, Ordering::Relaxed);
            })),
            ..options
        }
    };
    for (rebuilt, remove) in [(false, false), (true, true)] {
        if remove {
            std::fs::remove_dir_all(&cache).unwrap();
        }
        told.store(0, Ordering::Relaxed);
        let kb = open(telling(at(server.port, &cache))).unwrap();
        assert_eq!(told.load(Ordering::Relaxed) > 0, rebuilt);
        assert_eq!(kb.count(None).unwrap(), 38);
        assert_eq!(found(&kb, Mode::Lexical, "entirely"), "3");
        assert_eq!(found(&kb, Mode::Dense, "number105 of many words"), "105");
        assert_eq!(kb.tenant("acme").unwrap().count(None).unwrap(), 2);
        kb.close().unwrap();
    }
    overtaken(&server, &folder, &cache);
}

/// A writer on another machine, which no lock keeps out: the slower one is told, and nothing is lost.
fn overtaken(server: &Server, folder: &tempfile::TempDir, cache: &Path) {
    let kb = KnowledgeBase::open("s3://quorate/kb", at(server.port, cache)).unwrap();
    let before = kb.count(None).unwrap();
    let machine = folder.path().join("machine");
    std::fs::create_dir_all(&machine).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["elsewhere", "--exact"])
        .env(ELSEWHERE, format!("{} {}", server.port, machine.join("cache").display()))
        .env("TMPDIR", &machine)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(code(kb.add(documents(600, 602))), Code::VersionConflict);
    // Having looked, it knows of the others, and may write again.
    assert_eq!(kb.count(None).unwrap(), before + 3);
    kb.add(documents(600, 602)).unwrap();
    kb.close().unwrap();
    std::fs::remove_dir_all(cache).unwrap();
    let kb = KnowledgeBase::open("s3://quorate/kb", at(server.port, cache)).unwrap();
    assert_eq!(kb.count(None).unwrap(), before + 5);
    for i in [500, 502, 600, 601] {
        assert_eq!(found(&kb, Mode::Lexical, &format!("number{i}")), i.to_string());
    }
}

#[test]
fn a_place_that_cannot_be_used_is_said_in_time() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let cache = |name: &str| folder.path().join(name);
    let open = |place: &str, options: OpenOptions| {
        let place = place.to_owned();
        in_time(move || KnowledgeBase::open(place, options).map(|_| ()))
    };

    let error = open("s3://no-such-bucket/kb", at(server.port, &cache("bucket"))).unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
    assert!(error.message().contains("no-such-bucket"), "{error}");

    // A port that nothing listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = open("s3://quorate/kb", at(free, &cache("nobody"))).unwrap_err();
    assert_eq!(error.code(), Code::Offline, "{error}");

    // A server that answers every request in the same way.
    for (status, want) in [("403 Forbidden", Code::PermissionDenied), ("500 Broken", Code::RemoteFailed)] {
        let port = answering(Some(status));
        let mut options = at(port, &cache(&status[..3]));
        options.storage_options.insert("client_max_retries".into(), "1".into());
        let error = open("s3://quorate/kb", options).unwrap_err();
        assert_eq!(error.code(), want, "{error}");
    }

    // One that takes requests and never answers.
    let mut options = at(answering(None), &cache("silent"));
    for (name, value) in [("timeout", "1s"), ("client_retry_timeout", "2")] {
        options.storage_options.insert(name.into(), value.into());
    }
    let error = open("s3://quorate/kb", options).unwrap_err();
    assert_eq!(error.code(), Code::Timeout, "{error}");

    for place in ["gs://bucket/kb", "file:///kb", "memory://kb"] {
        let error = open(place, options_at(&cache("scheme"))).unwrap_err();
        assert_eq!(error.code(), Code::Unsupported, "{error}");
    }
}

fn options_at(cache: &Path) -> OpenOptions {
    OpenOptions { cache_folder: Some(cache.to_owned()), ..options() }
}

/// A server that gives each request this status, or no answer at all; it ends with the process.
fn answering(status: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = move |mut stream: TcpStream| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let Some(status) = status else {
            // Until the client gives up.
            while stream.read(&mut request).is_ok_and(|n| n > 0) {}
            return;
        };
        let body = "<Error><Code>Refused</Code><Message>not for you</Message></Error>";
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}
