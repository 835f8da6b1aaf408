//! Do many runs leave nothing behind? Alone in its process, whose memory and threads it counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

use std::sync::Arc;

use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{FunctionTool, Question, Runtime, RuntimeOptions, Tool, ToolCard};
use serde_json::json;

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_runs_leave_nothing_behind() {
    let card = ToolCard::new("read", "", json!({"type": "object"}));
    let read: Arc<dyn Tool> = Arc::new(FunctionTool::new(card, |_, _| Ok(json!(1))).unwrap());
    let script = ScriptedModel::of_function(|request, _| {
        let asked = request.messages.len() > 2;
        let calls = json!({"tool_calls": [{"id": "a", "name": "read", "arguments": {}}]});
        ScriptedModel::reply_from_json(&if asked { json!("end") } else { calls })
    });
    let model = Some(Model::new(script, ModelOptions::default()).unwrap());
    let runtime =
        Runtime::new(RuntimeOptions { model, tools: vec![read], ..RuntimeOptions::default() }).unwrap();
    let status = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let mut seen = Vec::new();
    for _ in 0..5 {
        for _ in 0..2_000 {
            assert_eq!(runtime.ask(Question::new("go")).unwrap().text, "end");
        }
        seen.push((status("VmRSS:"), status("Threads:")));
    }
    let (first, last) = (seen[1], seen[4]);
    assert!(last.0 < first.0 + first.0 / 10 && last.1 <= first.1 + 2, "{seen:?}");
}
