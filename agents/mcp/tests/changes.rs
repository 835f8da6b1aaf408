//! Is a list of tools that changes announced, and a tool that is not what was accepted refused?

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use std::time::{Duration, Instant};

use common::{Log, calls, runtime, stdio, wait};
use quorate_mcp::McpTools;
use serde_json::json;

#[test]
fn tools_that_come_and_go_are_announced_and_known_to_the_next_question() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let runtime = runtime(vec![tools.set()]);
    let called = calls(&runtime, &[("grow", json!({})), ("picture", json!({})), ("extra", json!({}))]);
    let warnings = called[0].warnings();
    assert_eq!(warnings[0], "the tools of the MCP server 'python3' have changed; came: extra; went: picture");
    assert_eq!(called[0].code(), "none");
    // The run keeps its list: what went is refused with its reason, what came is not known to it.
    assert_eq!(called[1].code(), "tool_failed");
    assert!(called[1].content.contains("no tool 'picture' any more"), "{}", called[1].content);
    assert_eq!(called[2].code(), "tool_unknown");
    let called = calls(&runtime, &[("extra", json!({})), ("picture", json!({}))]);
    assert_eq!((called[0].content.as_str(), called[1].code()), ("done extra", "tool_unknown"));
    assert!(called[0].warnings().is_empty());
    // What was announced is in the journal, with the same words.
    let first = &runtime.runs(None).unwrap()[0];
    let events = runtime.run(&first.id).unwrap().events().unwrap();
    let told = |event: &&quorate_runtime::Event| {
        event.kind == "warning" && event.data["message"] == warnings[0].as_str()
    };
    assert_eq!(events.iter().filter(told).count(), 1);
}

#[test]
fn a_tool_that_changes_is_refused_until_it_is_accepted() {
    for (name, what) in [("rug", "description"), ("swap", "schema")] {
        let log = Log::new();
        let tools = McpTools::open(stdio("normal", &log)).unwrap();
        // Listed one by one, it is the same.
        let runtime = runtime(tools.tools());
        let called = calls(
            &runtime,
            &[("lookup", json!({"code": "C17"})), (name, json!({})), ("lookup", json!({"code": "C17"}))],
        );
        assert_eq!(
            (called[0].code(), called[2].code()),
            ("none", "approval_required"),
            "{}",
            called[2].content
        );
        assert!(
            called[2].content.contains(&format!("changed the {what} of its tool 'lookup'")),
            "{}",
            called[2].content
        );
        assert!(called[2].warnings()[0].contains(&format!("lookup ({what})")), "{:?}", called[2].warnings());
        // The next question does not see the new words, and may not call it either.
        assert!(!tools.tools()[0].card().description.contains("evil"));
        assert_eq!(calls(&runtime, &[("lookup", json!({"code": "C17"}))])[0].code(), "approval_required");
        assert_eq!(tools.refused(), [("lookup".to_owned(), what.to_owned())]);
        assert_eq!(log.entries("call").iter().filter(|call| call["tool"] == "lookup").count(), 1);
        let changes = tools.refresh().unwrap();
        assert_eq!(changes.changed, [("lookup".to_owned(), what.to_owned())]);
        assert!(tools.refused().is_empty() && tools.refresh().unwrap().is_empty());
        assert_eq!(tools.tools()[0].card().description.contains("evil"), name == "rug");
        assert_eq!(calls(&runtime, &[("lookup", json!({"code": "C17"}))])[0].code(), "none");
    }
}

#[test]
fn a_server_that_comes_back_with_other_tools_is_seen_through() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let runtime = runtime(vec![tools.set()]);
    // It changes, is accepted, dies, and is the first one again.
    calls(&runtime, &[("rug", json!({}))]);
    tools.refresh().unwrap();
    let called = calls(&runtime, &[("die", json!({})), ("lookup", json!({"code": "C17"}))]);
    assert_eq!((called[0].code(), called[1].code()), ("none", "approval_required"));
    assert!(called[1].warnings().iter().any(|said| said.contains("lookup (description)")));
}

#[test]
fn announcements_without_end_hold_nobody() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let runtime = runtime(vec![tools.set()]);
    let begun = Instant::now();
    let called = calls(&runtime, &[("flood", json!({})), ("lookup", json!({"code": "C17"}))]);
    assert_eq!((called[0].code(), called[1].code()), ("none", "none"));
    assert!(called[1].warnings().is_empty());
    assert!(begun.elapsed() < Duration::from_secs(10));
    wait("calm", || tools.refresh().is_ok().then_some(()));
}

#[test]
fn a_tool_that_comes_with_the_name_of_another_takes_nothing_from_the_host() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let card = quorate_runtime::ToolCard::new("extra", "Mine.", json!({"type": "object"}));
    let mine = quorate_runtime::FunctionTool::new(card, |_, _| Ok(json!("mine"))).unwrap();
    // Whichever is given first.
    let host = runtime(vec![tools.set(), std::sync::Arc::new(mine)]);
    calls(&host, &[("grow", json!({}))]);
    let called = calls(&host, &[("extra", json!({}))]).remove(0);
    assert_eq!((called.content.as_str(), called.code()), ("mine", "none"));
    assert!(called.warnings()[0].contains("'extra'"), "{:?}", called.warnings());
}
