//! Does a server that means harm cost no more than its own tools: no time without end, no memory, no key, no other tool?

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Log, call, calls, question, runtime, script, stdio};
use quorate_core::Code;
use quorate_mcp::{McpOptions, McpTools};
use quorate_runtime::{Decision, Effect, Resume};
use serde_json::json;

const KEY: &str = "sk-0123456789-abcdef";

fn hostile(mode: &str, log: &Log) -> McpOptions {
    let parts = ["python3".to_owned(), script("hostile.py"), mode.to_owned()];
    let options = McpOptions::command(parts.into_iter().chain([log.path().to_str().unwrap().to_owned()]));
    McpOptions { name: Some("them".to_owned()), ..options }
}

#[test]
fn schemas_that_are_too_much_to_read_are_left_out() {
    let log = Log::new();
    let begun = Instant::now();
    let tools = McpTools::open(hostile("wide", &log)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let left_out = tools.left_out();
    assert_eq!(left_out.len() + tools.names().len(), 100);
    assert!(tools.names().len() < 20, "{}", tools.names().len());
    assert!(left_out[0].1.contains("schema"), "{left_out:?}");
    // No question pays for them either.
    let runtime = runtime(vec![tools.set()]);
    let begun = Instant::now();
    for _ in 0..5 {
        runtime.ask(quorate_runtime::Question::new("go")).unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn schemas_that_lead_in_circles_or_outside_are_left_out() {
    let log = Log::new();
    let begun = Instant::now();
    let tools = McpTools::open(hostile("loops", &log)).unwrap();
    assert_eq!(tools.names(), ["tree", "pattern"]);
    let names: Vec<String> = tools.left_out().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["self", "double", "remote", "file"]);
    let long = "a".repeat(100_000) + "!";
    let called = calls(&runtime(vec![tools.set()]), &[("pattern", json!({"a": long}))]).remove(0);
    assert_ne!(called.code(), "none");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn names_that_no_tool_can_have_become_plain_or_are_left_out() {
    let log = Log::new();
    let tools = McpTools::open(hostile("names", &log)).unwrap();
    let x = "x".repeat(64);
    assert_eq!(tools.names(), ["__", "a_b_c", x.as_str(), "__tool_result____2J", "lookup"]);
    let left_out = tools.left_out();
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out[0].0.len() < 300 && left_out[0].1.contains("another tool"), "{left_out:?}");
}

#[test]
fn hints_that_contradict_one_another_are_taken_at_their_worst() {
    let log = Log::new();
    let tools = McpTools::open(hostile("hints", &log)).unwrap();
    let all = tools.tools();
    let needs: Vec<bool> = all.iter().map(|tool| tool.card().needs_approval()).collect();
    assert_eq!(needs, [true, false]);
    assert!(!all[0].card().may_repeat());
}

#[test]
fn lists_without_end_are_refused() {
    let log = Log::new();
    for (mode, said) in [("pages", "over 200 pages"), ("heavy", "MiB")] {
        let begun = Instant::now();
        let error = McpTools::open(hostile(mode, &log)).unwrap_err();
        assert_eq!(error.code(), Code::ToolFailed, "{error}");
        assert!(error.message().contains(said), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_list_that_changes_for_ever_fills_no_journal() {
    let log = Log::new();
    let tools = McpTools::open(hostile("restless", &log)).unwrap();
    let runtime = runtime(vec![tools.set()]);
    let called = calls(
        &runtime,
        &[("start", json!({"seconds": 6})), ("start", json!({})), ("start", json!({"seconds": 1}))],
    );
    let warnings = called[0].warnings();
    assert!(!warnings.is_empty());
    let said: usize = warnings.iter().map(String::len).sum();
    assert!(said < 100_000, "{} sentences, {said} bytes", warnings.len());
}

#[test]
fn the_end_of_a_server_is_known_although_something_holds_its_output() {
    let log = Log::new();
    let tools = McpTools::open(hostile("calls", &log)).unwrap();
    let begun = Instant::now();
    let called = call(&tools, "daemon", json!({}));
    let left = log.entries("daemon")[0]["pid"].as_i64().unwrap();
    // SAFETY: ends the process that the server has left behind, by its own number.
    unsafe { libc::kill(left as i32, libc::SIGKILL) };
    assert_eq!((called.content.as_str(), called.code()), ("alive again", "none"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn no_key_shows_whatever_a_server_does_with_it() {
    let log = Log::new();
    let mut options = McpOptions { timeout: 3.0, ..hostile("calls", &log) };
    options.env.insert("API_KEY".to_owned(), KEY.to_owned());
    let tools = McpTools::open(options).unwrap();
    // Not a part of it either.
    let part = |text: &str| (0..KEY.len() - 5).any(|at| text.contains(&KEY[at..at + 6]));
    for (name, code) in [("leak", "tool_timeout"), ("leak_and_die", "tool_failed")] {
        let called = call(&tools, name, json!({}));
        assert_eq!(called.code(), code, "{}", called.content);
        assert!(!part(&called.content), "{name}: {}", called.content);
        assert!(called.content.contains("no messages"), "{name}: {}", called.content);
    }
}

#[test]
fn an_error_that_fills_pages_is_cut() {
    let log = Log::new();
    let tools = McpTools::open(hostile("calls", &log)).unwrap();
    let called = call(&tools, "error", json!({}));
    assert_eq!(called.code(), "tool_failed");
    assert!(called.content.len() < 20_000, "{}", called.content.len());
}

#[test]
fn floods_of_notifications_and_requests_hold_nobody() {
    let log = Log::new();
    let tools = McpTools::open(hostile("calls", &log)).unwrap();
    let begun = Instant::now();
    assert_eq!(call(&tools, "chatter", json!({})).content, "talked");
    assert_eq!(call(&tools, "requests", json!({})).content, "asked");
    assert!(call(&tools, "pid", json!({})).content.parse::<u64>().is_ok());
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_hears_nothing_any_more_is_started_again() {
    let log = Log::new();
    let tools = McpTools::open(hostile("calls", &log)).unwrap();
    let begun = Instant::now();
    let called = calls(&runtime(vec![tools.set()]), &[("deaf", json!({})), ("deaf", json!({"again": 1}))]);
    assert_eq!((called[0].content.as_str(), called[1].content.as_str()), ("deaf now", "hears again"));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn a_run_that_goes_on_without_its_server_is_told_so() {
    let log = Log::new();
    for (end, said) in [("closed", "has been closed"), ("gone", "is not here any more")] {
        let tools = McpTools::open(stdio("normal", &log)).unwrap();
        let runtime = runtime(Vec::new()).with(vec![tools.set()], None).unwrap();
        let waiting = runtime.ask(question(&[("send", json!({}))])).unwrap();
        assert_eq!(waiting.status.as_str(), "waiting");
        let runtime = if end == "closed" { runtime } else { runtime.with(Vec::new(), None).unwrap() };
        tools.close();
        let resume = Resume::with("c0", Decision::Approve);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&seen);
        let answer = runtime
            .resume_shown(&waiting.run_id, resume, move |event| shown.lock().unwrap().push(event))
            .unwrap();
        assert_eq!(answer.status.as_str(), "done", "{end}");
        let seen = seen.lock().unwrap();
        let result = seen.iter().find(|event| event.kind == "tool_result").unwrap();
        assert!(result.data["content"].as_str().unwrap().contains(said), "{end}: {result:?}");
    }
    assert!(log.entries("call").is_empty());
}

#[test]
fn a_handle_that_is_closed_during_a_call_ends_it() {
    let log = Log::new();
    for effect in [Effect::Read, Effect::Write] {
        let options = McpOptions { effects: [("slow".to_owned(), effect)].into(), ..stdio("normal", &log) };
        let tools = McpTools::open(options).unwrap();
        let runtime = runtime(vec![tools.set()]);
        let before = log.entries("call").len();
        let asked =
            std::thread::spawn(move || calls(&runtime, &[("slow", json!({"seconds": 30}))]).remove(0));
        common::wait("the call", || (log.entries("call").len() > before).then_some(()));
        let begun = Instant::now();
        tools.close();
        let called = asked.join().unwrap();
        assert_eq!(called.code(), "tool_failed", "{}", called.content);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        let said = if effect == Effect::Read { "has been closed" } else { "is not known" };
        assert!(called.content.contains(said), "{}", called.content);
        assert_eq!(log.entries("call").len(), before + 1);
    }
}
