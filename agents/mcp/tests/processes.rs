//! Does no process of a server outlive its use, and does a forked child leave its parent's alone?

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Http, Log, call, gone, runs, stdio, wait};
use quorate_mcp::{McpOptions, McpTools};
use serde_json::json;

/// The process of the server, and one that it has started.
fn pids(tools: &McpTools, log: &Log) -> (u64, u64) {
    let started: u64 = call(tools, "spawn", json!({})).content.parse().unwrap();
    let server = log.entries("call").last().unwrap()["pid"].as_u64().unwrap();
    assert!(runs(server), "{server} {started}");
    assert!(runs(started), "{server} {started}");
    (server, started)
}

#[test]
fn a_closed_server_ends_with_all_that_it_has_started() {
    for mode in ["normal", "stubborn"] {
        let log = Log::new();
        let tools = McpTools::open(stdio(mode, &log)).unwrap();
        let (server, started) = pids(&tools, &log);
        let begun = Instant::now();
        tools.close();
        tools.close();
        assert!(begun.elapsed() < Duration::from_secs(5), "{mode}: {:?}", begun.elapsed());
        assert!(!runs(server), "{mode}");
        gone(started);
        assert!(tools.is_closed());
        assert_eq!(tools.refresh().unwrap_err().code(), quorate_core::Code::Closed);
    }
}

#[test]
fn a_dropped_server_ends_with_the_last_of_its_tools() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let (server, started) = pids(&tools, &log);
    let kept = tools.tools().remove(0);
    drop(tools);
    std::thread::sleep(Duration::from_millis(100));
    assert!(runs(server));
    drop(kept);
    gone(server);
    gone(started);
}

#[test]
fn a_server_that_has_ended_leaves_nothing_behind() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let (server, started) = pids(&tools, &log);
    assert_eq!(call(&tools, "die_writing", json!({})).code(), "tool_failed");
    gone(server);
    gone(started);
}

/// This test, run again as a host of its own: it opens a server, says its numbers, and does what it is told.
#[test]
fn host() {
    let Ok(end) = std::env::var("QUORATE_MCP_HOST") else { return };
    let log = Log::new();
    if end == "cycles" {
        println!("left {}", cycles(&log));
        std::io::stdout().flush().unwrap();
        return;
    }
    let tools = McpTools::open(stdio("stubborn", &log)).unwrap();
    let (server, started) = pids(&tools, &log);
    println!("pids {server} {started}");
    std::io::stdout().flush().unwrap();
    match end.as_str() {
        // The handle is still there.
        #[expect(clippy::exit, reason = "how a host ends is what is tested")]
        "exit" => std::process::exit(0),
        _ => drop(tools),
    }
}

/// Opens servers and ends them in each way, and gives how much is left.
fn cycles(log: &Log) -> usize {
    let entries = |place: &str| std::fs::read_dir(place).unwrap().count();
    let left = || entries("/proc/self/fd") + entries("/proc/self/task");
    let round = || {
        let tools = McpTools::open(stdio("normal", log)).unwrap();
        assert_eq!(call(&tools, "die", json!({})).code(), "none");
        tools.close();
        drop(McpTools::open(stdio("normal", log)).unwrap());
        assert!(McpTools::open(stdio("exit", log)).is_err());
        let server = Http::start("sse", log, 0);
        let tools = McpTools::open(server.options()).unwrap();
        assert_eq!(call(&tools, "lookup", json!({"code": "C17"})).code(), "none");
        tools.close();
        drop(McpTools::open(server.options()).unwrap());
        drop(server);
        assert!(McpTools::open(McpOptions { start_timeout: 0.3, ..stdio("deaf", log) }).is_err());
    };
    round();
    // What waits for more work goes after some seconds.
    std::thread::sleep(Duration::from_secs(6));
    let before = left();
    (0..8).for_each(|_| round());
    let until = Instant::now() + Duration::from_secs(30);
    while left() > before && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(100));
    }
    left().saturating_sub(before)
}

#[test]
fn nothing_is_left_of_servers_that_have_ended() {
    let mut host = Command::new(std::env::current_exe().unwrap());
    host.args(["--exact", "host", "--nocapture"]).env("QUORATE_MCP_HOST", "cycles");
    let said = String::from_utf8(host.output().unwrap().stdout).unwrap();
    assert!(said.contains("left 0"), "{said}");
}

#[test]
fn the_exit_of_the_host_ends_its_servers() {
    let mut host = Command::new(std::env::current_exe().unwrap());
    host.args(["--exact", "host", "--nocapture"]).env("QUORATE_MCP_HOST", "exit");
    let mut host = host.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    let line =
        lines.find_map(|line| line.unwrap().split_once("pids ").map(|(_, pids)| pids.to_owned())).unwrap();
    let (server, started) = line.split_once(' ').unwrap();
    host.wait().unwrap();
    gone(server.parse().unwrap());
    gone(started.trim().parse().unwrap());
}

#[test]
fn a_forked_child_has_a_server_of_its_own() {
    let log = Log::new();
    let tools = McpTools::open(stdio("normal", &log)).unwrap();
    let (server, started) = pids(&tools, &log);
    let runtime = common::runtime(vec![tools.set()]);
    // SAFETY: the child does what it does on this thread alone, and ends by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let called = common::calls(&runtime, &[("lookup", json!({"code": "C17"}))]).remove(0);
        let same = runtime.tools().len() == 1 && called.code() == "none";
        drop(runtime);
        tools.close();
        drop(tools);
        std::thread::sleep(Duration::from_millis(200));
        // SAFETY: ends this process, which no test runner waits for.
        unsafe { libc::_exit(if same { 0 } else { 1 }) };
    }
    let status = wait("the end of the child", || {
        let mut status = -1;
        // SAFETY: asks after the child that was just made; `status` lives as long as the call.
        (unsafe { libc::waitpid(child, &raw mut status, libc::WNOHANG) } == child).then_some(status)
    });
    assert_eq!(status, 0);
    let others: Vec<u64> = log.entries("call").iter().map(|call| call["pid"].as_u64().unwrap()).collect();
    assert_eq!(others.iter().filter(|pid| **pid != server).count(), 1, "{others:?}");
    others.iter().filter(|pid| **pid != server).for_each(|pid| gone(*pid));
    assert!(runs(server) && runs(started));
    assert_eq!(call(&tools, "lookup", json!({"code": "C17"})).code(), "none");
    assert_eq!(log.entries("call").last().unwrap()["pid"].as_u64().unwrap(), server);
}
