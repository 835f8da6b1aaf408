//! What may a model have done, and who is asked first? Tools that read run at once; those that write wait.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use quorate::models::{Model, ScriptedModel};
use quorate::runtime::{
    Budget, Decision, Effect, FunctionTool, Question, Resume, Runtime, RuntimeOptions, ToolCard,
};
use serde_json::{Value, json};

fn call(name: &str, arguments: Value) -> Value {
    json!({"tool_calls": [{"id": name, "name": name, "arguments": arguments}]})
}

fn scripted(replies: &[Value]) -> quorate::Result<Model> {
    let replies = replies.iter().map(ScriptedModel::reply_from_json).collect::<quorate::Result<Vec<_>>>()?;
    Model::new(ScriptedModel::new(replies), Default::default())
}

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let schema = json!({"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]});
    let lookup = FunctionTool::new(ToolCard::new("lookup", "What a code means.", schema), |given, _| {
        Ok(json!(if given["code"] == "C1725" { "a catheter" } else { "nothing" }))
    })?;
    let schema = json!({
        "type": "object", "properties": {"code": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["code", "count"],
    });
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("order", "Orders an article.", schema) };
    let order = FunctionTool::new(card, |given, _| {
        Ok(json!(format!("ordered {} of {}", given["count"], given["code"])))
    })?;
    let lookup = Arc::new(lookup);

    // A script stands for the model: it looks the code up, orders, and says so.
    let model = scripted(&[
        call("lookup", json!({"code": "C1725"})),
        call("order", json!({"code": "C1725", "count": 20})),
        json!("They are on their way."),
    ])?;
    let runtime = Runtime::new(RuntimeOptions {
        model: Some(model),
        tools: vec![lookup.clone(), Arc::new(order)],
        ..Default::default()
    })?;

    let answer = runtime.ask(Question::new("Order catheters for the ward."))?;
    for pending in &answer.pending {
        let (name, count) = (&pending.name, &pending.arguments["count"]);
        writeln!(out, "{} for a decision about: {name} {count}", answer.status.as_str())?;
    }

    // Somebody decides, and may change the arguments. The run goes on from there, also after a crash; nothing runs twice.
    let changed = Decision::from_json(&json!({"arguments": {"code": "C1725", "count": 2}}))?;
    let answer = runtime.resume(&answer.run_id, Resume::with("order", changed))?;
    writeln!(out, "{}", answer.text)?;
    for step in &answer.steps {
        writeln!(out, "  {} {}", step.kind, step.name)?;
    }

    // A budget holds for all that a question starts.
    let model = scripted(&[call("lookup", json!({"code": "C1725"}))])?;
    let budget = Budget { max_steps: Some(1), ..Budget::default() };
    let options = RuntimeOptions { model: Some(model), tools: vec![lookup], budget, ..Default::default() };
    let answer = Runtime::new(options)?.ask(Question::new("What is C1725?"))?;
    writeln!(out, "{} {}", answer.status.as_str(), answer.stopped_by.unwrap_or_default())?;
    Ok(())
}
