//! How do a model's answers and the events of its streams look to hosts?

use quorate_core::Error;
use quorate_models::{Event, Reply, TokenCount, ToolCall};
use serde_json::{Value, json};

use crate::Host;

/// An answer, or as much of it as came.
pub fn reply(reply: &Reply) -> Value {
    let calls = |calls: Vec<&ToolCall>| calls.into_iter().map(call).collect::<Value>();
    json!({
        "text": reply.text(),
        "tool_calls": calls(reply.tool_calls()),
        "broken_calls": calls(reply.broken_calls()),
        "output": reply.output,
        "usage": reply.usage,
        "cost": reply.cost,
        "attempts": reply.attempts,
        "model": reply.model,
        "finish": reply.finish,
        "refusal": reply.refusal(),
        "reasoning": reply.reasoning(),
        "message": reply.message.to_json(),
        "warnings": reply.warnings,
    })
}

fn call(call: &ToolCall) -> Value {
    let mut out = json!({"id": call.id, "name": call.name, "arguments": call.arguments});
    if let Some(broken) = &call.broken {
        out["broken"] = json!(broken);
    }
    out
}

/// A count of tokens.
pub fn count(count: TokenCount) -> Value {
    json!({"tokens": count.tokens, "exact": count.exact})
}

fn error(error: &Error) -> Value {
    json!({"code": error.code().as_str(), "message": error.message()})
}

/// An event of a stream. `said` is the text that was given and holds; it is kept up here, so that places in it are in the
/// host's units.
pub fn event(event: &Event, host: Host, said: &mut String) -> Value {
    let kind = event.kind();
    match event {
        Event::Text { delta } => {
            said.push_str(delta);
            json!({"type": kind, "delta": delta})
        }
        Event::Reasoning { delta } | Event::Refusal { delta } => json!({"type": kind, "delta": delta}),
        Event::ToolInput { index, id, name, delta } => {
            json!({"type": kind, "index": index, "id": id, "name": name, "delta": delta})
        }
        Event::ToolCall(called) => {
            let mut out = call(called);
            out["type"] = json!(kind);
            out
        }
        Event::Warning { message } => json!({"type": kind, "message": message}),
        Event::Retry { attempt, error: why, wait, keep } => {
            said.truncate(said.floor_char_boundary(*keep));
            json!({"type": kind, "attempt": attempt, "error": error(why), "wait": wait, "keep": host.length(said)})
        }
        Event::End(whole) => json!({"type": kind, "result": reply(whole)}),
        Event::Error { error: why, partial } => {
            json!({"type": kind, "error": error(why), "result": reply(partial)})
        }
        Event::Cancelled { partial } => json!({"type": kind, "result": reply(partial)}),
        _ => json!({"type": kind}),
    }
}
