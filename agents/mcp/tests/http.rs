//! Do the tools of a server over streamable HTTP work: as JSON and as events, with sessions and without, and when it fails?

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use std::time::{Duration, Instant};

use common::{Http, Log, call, calls, runtime, wait};
use quorate_core::Code;
use quorate_mcp::{McpOptions, McpTools};
use serde_json::json;

#[test]
fn json_events_and_no_sessions_are_all_understood() {
    for mode in ["json", "sse", "stateless"] {
        let log = Log::new();
        let server = Http::start(mode, &log, 0);
        let mut options = server.options();
        options.headers.insert("X-Extra".to_owned(), "7".to_owned());
        let tools = McpTools::open(options).unwrap();
        assert_eq!(tools.names().len(), 23, "{mode}");
        let called = call(&tools, "lookup", json!({"code": "C17"}));
        assert_eq!((called.content.as_str(), called.code()), ("C17 means catheter", "none"), "{mode}");
        for (name, code) in
            [("fail", "tool_failed"), ("invalid", "tool_arguments"), ("broken", "tool_failed")]
        {
            let called = call(&tools, name, json!({}));
            assert_eq!(called.code(), code, "{mode}: {}", called.content);
        }
        let posts = log.entries("post");
        assert!(posts.iter().all(|post| post["extra"] == "7"), "{mode}");
        let call = posts.iter().find(|post| post["method"] == "tools/call").unwrap();
        assert_eq!(call["accept"], "text/event-stream, application/json", "{mode}");
        assert_eq!(call["version"], "2025-11-25", "{mode}");
        assert_eq!(call["session"].is_string(), mode != "stateless", "{mode}");
        tools.close();
        if mode != "stateless" {
            assert_eq!(log.entries("delete")[0]["session"], call["session"]);
        }
        let error = call_closed(&tools);
        assert!(error.contains("has been closed"), "{error}");
    }
}

fn call_closed(tools: &McpTools) -> String {
    let called = call(tools, "lookup", json!({"code": "C17"}));
    assert_eq!(called.code(), "tool_failed");
    called.content
}

#[test]
fn an_expired_session_is_begun_anew() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let runtime = runtime(vec![tools.set()]);
    // A call that writes too: what the server does not know, it has not done.
    for name in ["lookup", "send"] {
        std::fs::write(log.path().with_extension("expire"), "").unwrap();
        let called = calls(&runtime, &[(name, json!({"code": "C17"}))]).remove(0);
        assert_eq!(called.code(), "none", "{}", called.content);
        assert_eq!(log.entries("call").iter().filter(|call| call["tool"] == name).count(), 1);
    }
    assert_eq!(log.entries("initialize").len(), 3);
}

#[test]
fn a_key_is_sent_with_each_request_and_shows_nowhere() {
    let log = Log::new();
    let server = Http::start("guarded", &log, 0);
    let with = |value: &str| {
        let mut options = server.options();
        options.headers.insert("Authorization".to_owned(), value.to_owned());
        McpTools::open(options)
    };
    let tools = with("Bearer abcdefgh").unwrap();
    assert_eq!(call(&tools, "lookup", json!({"code": "C17"})).code(), "none");
    let called = call(&tools, "invalid", json!({}));
    assert!(called.content.contains("the key is [key]"), "{}", called.content);
    let error = with("Bearer abcdefgx").unwrap_err();
    assert_eq!(error.code(), Code::ToolFailed);
    assert!(!error.message().contains("abcdefgx"), "{error}");
    assert!(error.message().to_lowercase().contains("auth"), "{error}");
    assert!(McpTools::open(server.options()).is_err());
}

#[test]
fn servers_that_cannot_be_used_have_their_codes() {
    let log = Log::new();
    for (mode, said) in [("failing", "500"), ("page", "content type"), ("away", "307")] {
        let server = Http::start(mode, &log, 0);
        let error = McpTools::open(server.options()).unwrap_err();
        assert_eq!(error.code(), Code::ToolFailed, "{error}");
        assert!(error.message().to_lowercase().contains(said), "{mode}: {error}");
        let named = format!("the MCP server 'http://127.0.0.1:{}/mcp'", server.port);
        assert!(error.message().starts_with(&named), "{error}");
    }
    let error =
        McpTools::open(McpOptions::url("http://user:abcdefgh@127.0.0.1:1/mcp?key=ijklmnop")).unwrap_err();
    assert_eq!(error.code(), Code::ToolFailed);
    assert!(!error.message().contains("abcdefgh") && !error.message().contains("ijklmnop"), "{error}");
    // One that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", silent.local_addr().unwrap());
    let begun = Instant::now();
    let error = McpTools::open(McpOptions { start_timeout: 0.5, ..McpOptions::url(url) }).unwrap_err();
    assert_eq!(error.code(), Code::ToolTimeout, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_call_that_takes_too_long_is_ended_and_the_server_is_told() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(McpOptions { timeout: 2.0, ..server.options() }).unwrap();
    let called = call(&tools, "hang", json!({}));
    assert_eq!(called.code(), "tool_timeout", "{}", called.content);
    let id = log.wait("call")[0]["id"].clone();
    assert_eq!(log.wait("cancelled")[0]["id"], id);
    assert_eq!(call(&tools, "lookup", json!({"code": "C17"})).code(), "none");
}

#[test]
fn a_server_that_was_away_is_found_again_where_a_call_may_be_repeated() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let port = server.port;
    drop(server);
    let called = call(&tools, "lookup", json!({"code": "C17"}));
    assert_eq!(called.code(), "tool_failed", "{}", called.content);
    assert!(called.content.contains("127.0.0.1"), "{}", called.content);
    let _server = Http::start("json", &log, port);
    assert_eq!(call(&tools, "lookup", json!({"code": "C17"})).code(), "none");
}

#[test]
fn a_changed_list_is_announced_over_the_stream() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    log.wait("stream");
    let runtime = runtime(vec![tools.set()]);
    let called = calls(&runtime, &[("grow", json!({})), ("slow", json!({"seconds": 1}))]);
    assert_eq!(called[1].code(), "none");
    wait("the new tool", || tools.names().contains(&"extra".to_owned()).then_some(()));
    let warnings = called[1].warnings();
    assert!(
        warnings.iter().any(|said| said.contains("came: extra") && said.contains("went: picture")),
        "{warnings:?}"
    );
    assert_eq!(calls(&runtime, &[("extra", json!({}))])[0].content, "done extra");
}

#[test]
fn a_session_that_begins_anew_has_its_tools_compared() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let runtime = runtime(vec![tools.set()]);
    std::fs::write(log.path().with_extension("rug"), "").unwrap();
    std::fs::write(log.path().with_extension("expire"), "").unwrap();
    let called = calls(&runtime, &[("lookup", json!({"code": "C17"})), ("send", json!({}))]);
    assert_eq!((called[0].code(), called[1].code()), ("approval_required", "none"), "{}", called[0].content);
    assert!(
        called[0].content.contains("changed the description of its tool 'lookup'"),
        "{}",
        called[0].content
    );
    assert!(called[0].warnings()[0].contains("lookup (description)"), "{:?}", called[0].warnings());
    assert_eq!(log.entries("call").iter().filter(|call| call["tool"] == "lookup").count(), 0);
}

#[test]
fn an_error_that_belongs_to_no_request_ends_none_by_its_time() {
    for mode in ["vague", "wordy"] {
        let log = Log::new();
        let server = Http::start(mode, &log, 0);
        let tools = McpTools::open(server.options()).unwrap();
        let runtime = runtime(vec![tools.set()]);
        let begun = Instant::now();
        std::fs::write(log.path().with_extension("expire"), "").unwrap();
        let called = calls(&runtime, &[("lookup", json!({"code": "C17"}))]).remove(0);
        assert_eq!((called.content.as_str(), called.code()), ("C17 means catheter", "none"));
        // A call that writes is not made twice; the next one finds the server again.
        std::fs::write(log.path().with_extension("expire"), "").unwrap();
        let called = calls(&runtime, &[("send", json!({})), ("send", json!({"again": 1}))]);
        assert_eq!((called[0].code(), called[1].code()), ("tool_failed", "none"), "{}", called[1].content);
        assert!(called[0].content.contains("no valid session") && called[0].content.contains("is not known"));
        // One that forgets its session at once.
        std::fs::write(log.path().with_extension("expire"), "").unwrap();
        let error = McpTools::open(server.options()).unwrap_err();
        assert_eq!(error.code(), Code::ToolFailed, "{error}");
        assert!(error.message().contains("no valid session"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_server_that_is_busy_is_asked_once_more_and_keeps_its_session() {
    let log = Log::new();
    let server = Http::start("busy", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let runtime = runtime(vec![tools.set()]);
    let busy = |times: &str| std::fs::write(log.path().with_extension("busy"), times).unwrap();
    busy("1");
    assert_eq!(calls(&runtime, &[("lookup", json!({"code": "C17"}))])[0].code(), "none");
    busy("2");
    let called = calls(&runtime, &[("lookup", json!({"code": "C17"})), ("lookup", json!({"code": "C18"}))]);
    assert_eq!((called[0].code(), called[1].code()), ("tool_failed", "none"));
    assert!(called[0].content.contains("503"), "{}", called[0].content);
    busy("1");
    let called = calls(&runtime, &[("send", json!({})), ("send", json!({"again": 1}))]);
    assert_eq!((called[0].code(), called[1].code()), ("tool_failed", "none"), "{}", called[1].content);
    assert!(called[0].content.contains("is not known"), "{}", called[0].content);
    assert_eq!(log.entries("call").iter().filter(|call| call["tool"] == "send").count(), 1);
    assert_eq!(log.entries("initialize").len(), 1);
}

#[test]
fn events_that_end_without_an_answer_end_the_call() {
    let log = Log::new();
    let server = Http::start("truncated", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let begun = Instant::now();
    let called = call(&tools, "lookup", json!({"code": "C17"}));
    assert_eq!(called.code(), "tool_failed", "{}", called.content);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_refusal_that_repeats_the_address_shows_no_key() {
    let log = Log::new();
    let server = Http::start("echo", &log, 0);
    let mut options = McpOptions::url(format!("http://127.0.0.1:{}/mcp?api_key=ijklmnop", server.port));
    options.headers.insert("Authorization".to_owned(), "Bearer abcdefgh".to_owned());
    let error = McpTools::open(options).unwrap_err();
    assert_eq!(error.code(), Code::ToolFailed, "{error}");
    assert!(error.message().contains("403") && error.message().contains("[key]"), "{error}");
    assert!(!error.message().contains("ijklmnop") && !error.message().contains("abcdefgh"), "{error}");
}

#[test]
fn a_server_behind_tls_is_spoken_to_by_tls() {
    // One that says what came first: 0x16 begins a greeting of TLS.
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/mcp", listening.local_addr().unwrap());
    let first = std::thread::spawn(move || {
        let (mut stream, _) = listening.accept().unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        byte[0]
    });
    let error = McpTools::open(McpOptions { start_timeout: 5.0, ..McpOptions::url(url) }).unwrap_err();
    assert_eq!(error.code(), Code::ToolFailed, "{error}");
    assert_eq!(first.join().unwrap(), 0x16);
}

#[test]
fn many_calls_of_a_session_that_is_forgotten_are_made_once_each() {
    let log = Log::new();
    let server = Http::start("json", &log, 0);
    let tools = McpTools::open(server.options()).unwrap();
    let runtime = runtime(vec![tools.set()]);
    for round in 0..3 {
        std::fs::write(log.path().with_extension("expire"), "").unwrap();
        std::thread::scope(|scope| {
            let one = |i: usize| {
                let runtime = &runtime;
                let name = if i.is_multiple_of(2) { "send" } else { "lookup" };
                move || calls(runtime, &[(name, json!({"code": format!("{round} {i}")}))]).remove(0)
            };
            let asked: Vec<_> = (0..20).map(|i| scope.spawn(one(i))).collect();
            for asked in asked {
                let called = asked.join().unwrap();
                assert_eq!(called.code(), "none", "{}", called.content);
            }
        });
    }
    let mut made: Vec<String> = log
        .entries("call")
        .iter()
        .map(|call| call["arguments"]["code"].as_str().unwrap().to_owned())
        .collect();
    made.sort();
    assert_eq!(made.len(), 60);
    made.dedup();
    assert_eq!(made.len(), 60);
    // The others of a forgotten session use the new one.
    assert_eq!(log.entries("initialize").len(), 4);
}

#[test]
fn addresses_that_are_none_are_errors_without_keys() {
    for url in [
        "http://127.0.0.1:99999/mcp?api_key=ijklmnop",
        "http://[::1/mcp?api_key=ijklmnop",
        "http://a b/mcp?api_key=ijklmnop",
        "https://user:ijklmnop@/mcp",
        "http://127.0.0.1:1/mcp#ijklmnop",
    ] {
        let error = McpTools::open(McpOptions { start_timeout: 5.0, ..McpOptions::url(url) }).unwrap_err();
        assert!(matches!(error.code(), Code::ToolFailed | Code::InvalidArgument), "{url}: {error}");
        assert!(!error.message().contains("ijklmnop"), "{url}: {error}");
    }
}

#[test]
fn calls_that_are_given_up_make_room_for_others() {
    let log = Log::new();
    let server = Http::start("stuck", &log, 0);
    let tools = McpTools::open(McpOptions { timeout: 2.0, ..server.options() }).unwrap();
    let runtime = runtime(vec![tools.set()]);
    // More than are under way at once over one session.
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            (0..40).map(|_| scope.spawn(|| calls(&runtime, &[("hang", json!({}))]).remove(0))).collect();
        asked.into_iter().for_each(|one| assert_eq!(one.join().unwrap().code(), "tool_timeout"));
    });
    let begun = Instant::now();
    assert_eq!(calls(&runtime, &[("lookup", json!({"code": "C17"}))])[0].code(), "none");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}
