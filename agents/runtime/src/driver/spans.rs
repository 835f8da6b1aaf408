//! What does a subscriber of `tracing` see of a run?
//!
//! Names are those of OpenTelemetry's semantic conventions for generative AI, version 1.37.0: a span `invoke_agent` for a run,
//! within it `chat` for each request and `execute_tool` for each call. What was said is in no span.

use quorate_models::{Model, Reply, Request, ToolCall};
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::machine::Machine;
use crate::tool::ToolContext;

/// A run. `trace_parent`: the host's span that it belongs to, as a W3C `traceparent`.
pub(super) fn run(machine: &Machine, trace_parent: Option<&str>) -> Span {
    let span = info_span!(
        target: "quorate",
        "invoke_agent",
        gen_ai.operation.name = "invoke_agent",
        gen_ai.agent.id = Empty,
        gen_ai.agent.name = Empty,
        gen_ai.conversation.id = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        quorate.run.id = machine.run_id.as_str(),
        quorate.run.status = Empty,
        quorate.run.stopped_by = Empty,
        traceparent = trace_parent,
    );
    if let Some(talk) = &machine.spec.talk {
        span.record("gen_ai.conversation.id", talk.as_str());
    }
    span
}

/// What came of a run.
pub(super) fn ended(span: &Span, machine: &Machine) {
    if let Some(agent) = &machine.agent {
        span.record("gen_ai.agent.id", agent.id.as_str());
        span.record("gen_ai.agent.name", agent.name.as_str());
    }
    span.record("gen_ai.usage.input_tokens", machine.spent.usage.input);
    span.record("gen_ai.usage.output_tokens", machine.spent.usage.output);
    span.record("quorate.run.status", machine.status().as_str());
    if let Some(by) = &machine.stopped_by {
        span.record("quorate.run.stopped_by", by.as_str());
    }
}

/// A request to a model. `trace_parent`: as for a run, where it is part of none.
pub(crate) fn chat(model: &Model, request: &Request, trace_parent: Option<&str>) -> Span {
    let (provider, name) = model.id().split_once(':').unwrap_or(("", model.id()));
    info_span!(
        target: "quorate",
        "chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = provider,
        gen_ai.request.model = name,
        gen_ai.request.max_tokens = request.max_tokens,
        gen_ai.response.model = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.conversation.id = Empty,
        quorate.panel.member = Empty,
        "error.type" = Empty,
        traceparent = trace_parent,
    )
}

/// What came of a request.
pub(crate) fn answered(span: &Span, reply: &Reply) {
    span.record("gen_ai.response.model", reply.model.as_str());
    span.record("gen_ai.response.finish_reasons", reply.finish.map_or("", |finish| finish.as_str()));
    span.record("gen_ai.usage.input_tokens", reply.usage.input);
    span.record("gen_ai.usage.output_tokens", reply.usage.output);
}

/// A call of a tool, within the span of the run. It is made on the run's thread and ends on the call's: a call that hangs must not
/// hold the span of a run that is over.
pub(super) fn tool(call: &ToolCall, context: &ToolContext) -> Span {
    info_span!(
        target: "quorate",
        "execute_tool",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = call.name.as_str(),
        gen_ai.tool.call.id = call.id.as_str(),
        quorate.run.id = context.run_id.as_str(),
        "error.type" = Empty,
    )
}
