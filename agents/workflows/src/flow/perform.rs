//! How is a step done that experts, or tools of the host, do?

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use quorate_agents::MatchOptions;
use quorate_core::{Cancel, Code, Error, Result};
use quorate_runtime::{
    Member, PanelKind, PanelOptions, Question, Runtime, RuntimeOptions, Status as Answered,
};
use serde_json::{Value, json};

use super::case::CaseFile;
use super::engine::Inner;
use super::form::{AgentTask, PanelDiscussion, PanelType};
use super::machine::Attempt;
use super::plan::{Plan, Work};
use super::tools::{HostTool, StepContext};

/// A call that may still be taken back, one that was, and one that has begun.
pub(crate) const FRESH: u8 = 0;
pub(crate) const REVOKED: u8 = 1;
pub(crate) const BEGUN: u8 = 2;

thread_local! {
    /// The engine for which this thread does a step; 0: for none.
    static WORKS_FOR: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread does a step for that engine.
pub(crate) fn works_for(inner: &Arc<Inner>) -> bool {
    WORKS_FOR.get() == Arc::as_ptr(inner) as usize
}

/// One attempt, with all that it needs.
pub(crate) struct Job {
    pub(crate) inner: Arc<Inner>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) step: usize,
    /// Whether what the step did is undone.
    pub(crate) undo: bool,
    pub(crate) args: Value,
    pub(crate) offline: bool,
    pub(crate) input: Value,
    /// What the steps before came to.
    pub(crate) outputs: Vec<(String, Value)>,
    pub(crate) context: StepContext,
    /// Whether it may begin, and has.
    pub(crate) gate: Arc<AtomicU8>,
}

impl Job {
    /// Does it; what the host's code panics at is a failure of the step.
    pub(crate) fn run(self) -> Attempt {
        // Either it has begun when the run is told to end, or it never does.
        if self.gate.compare_exchange(FRESH, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return Err((Code::Cancelled.as_str().to_owned(), "it was ended before it had begun".to_owned()));
        }
        let expert = matches!(self.plan.steps[self.step].work, Work::Agent { .. } | Work::Panel { .. });
        if expert && !self.undo && !self.offline && self.inner.runtime.is_none() {
            let message =
                "the engine has no runtime, so that no expert can answer; give it one, and retry the step";
            return Err(("runtime_missing".to_owned(), message.to_owned()));
        }
        let outside = WORKS_FOR.replace(Arc::as_ptr(&self.inner) as usize);
        let done = catch_unwind(AssertUnwindSafe(|| self.attempt()));
        WORKS_FOR.set(outside);
        match done {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err((error.code().as_str().to_owned(), error.message().to_owned())),
            Err(panic) => {
                let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
                Err((Code::Callback.as_str().to_owned(), format!("the step has panicked: {said}")))
            }
        }
    }

    fn attempt(&self) -> Result<Value> {
        let step = &self.plan.steps[self.step];
        if self.undo {
            let name = step.undo.as_ref().map(|undo| undo.tool.as_str()).unwrap_or_default();
            return self.tool(name);
        }
        match &step.work {
            Work::Tool { tool, .. } => self.tool(tool),
            Work::Agent { form, .. } => self.agent(form),
            Work::Panel { form, .. } => self.panel(form),
            Work::Own { kind, .. } => match self.inner.kind(kind) {
                Some(handler) => handler.call(&self.args, &self.context),
                None => {
                    Err(Error::new(Code::ToolUnknown, format!("the engine has no kind of step '{kind}'")))
                }
            },
            _ => Err(Error::new(Code::Internal, "nobody does this step")),
        }
    }

    fn tool(&self, name: &str) -> Result<Value> {
        if self.offline {
            return Err(Error::new(
                Code::Unsupported,
                format!("step '{}' has no stand-in (offline) for the tool '{name}'", self.context.step),
            ));
        }
        let tool = self.inner.tool(name)?;
        match &self.plan.steps[self.step].work {
            // What undoes a step is another tool, which its breaker says nothing about.
            Work::Tool { breaker: Some(breaker), .. } if !self.undo => {
                let call = || tool.call(&self.args, &self.context);
                self.inner.breakers.call(breaker, &self.context.cancel, call)
            }
            _ => tool.call(&self.args, &self.context),
        }
    }

    /// Who answers: the engine's runtime, and offline one that reads the case.
    fn runtime(&self) -> Result<Runtime> {
        if !self.offline {
            let message = "the engine has no runtime, so that no expert can answer; give one";
            return self.inner.runtime.clone().ok_or_else(|| Error::invalid(message));
        }
        let form = &self.plan.form;
        let about = json!(form.description);
        let mut parts: Vec<(&str, &Value)> = vec![("purpose", &about), ("case", &self.input)];
        parts.extend(self.outputs.iter().map(|(step, output)| (step.as_str(), output)));
        let case = CaseFile::of(form.title.as_deref().unwrap_or(&form.id), &parts);
        Runtime::new(RuntimeOptions {
            sources: Some(Arc::new(case)),
            store: Some(self.inner.store.clone()),
            tenant: self.inner.tenant.clone(),
            ..RuntimeOptions::default()
        })
    }

    fn text(&self, name: &str) -> String {
        self.args.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// A key of this attempt, for what must not be asked twice.
    fn key(&self) -> String {
        format!("{}/{}", self.context.idempotency_key, self.context.attempt)
    }

    fn agent(&self, form: &AgentTask) -> Result<Value> {
        let runtime = self.runtime()?;
        let prompt = self.text("prompt");
        let agent = match (&form.agent, &self.inner.registry) {
            _ if self.offline => None,
            (Some(agent), _) => Some(agent.clone()),
            (None, Some(registry)) if !form.require.is_empty() => {
                let options = MatchOptions {
                    k: 1,
                    require: form.require.clone(),
                    abstain: false,
                    ..MatchOptions::default()
                };
                let found = registry.match_agents(&prompt, &options)?;
                let Some(best) = found.first() else {
                    let message = format!("no expert has {}", form.require.join(", "));
                    return Err(Error::new(Code::NotFound, message));
                };
                Some(best.agent.id.clone())
            }
            (None, _) => None,
        };
        if self.offline && form.output.is_some() {
            let message = format!(
                "step '{}' asks for data, which the extractive model cannot give; state an answer (offline)",
                self.context.step
            );
            return Err(Error::new(Code::Unsupported, message));
        }
        let answer = runtime.ask(Question {
            text: prompt,
            agent,
            autonomous: form.autonomous,
            output: form.output.clone(),
            filter: form.filter.clone(),
            idempotency_key: Some(self.key()),
            cancel: self.context.cancel.clone(),
            ..Question::default()
        })?;
        let why = answer.stopped_by.clone().unwrap_or_default();
        match answer.status {
            Answered::Cancelled => return Err(Error::new(Code::Cancelled, "the expert was ended")),
            Answered::Failed => {
                let code = Code::ALL.iter().find(|code| code.as_str() == why).copied();
                return Err(Error::new(
                    code.unwrap_or(Code::ToolFailed),
                    format!("the expert has failed: {why}"),
                ));
            }
            Answered::Waiting => {
                let message = format!("run '{}' of the expert waits for an approval", answer.run_id);
                return Err(Error::new(Code::ApprovalRequired, message));
            }
            _ => {}
        }
        match (&form.output, answer.output) {
            (None, _) => Ok(json!({
                "text": answer.text, "status": answer.status.as_str(), "agent": answer.agent,
                "confidence": answer.confidence, "grounded": answer.grounded,
                "citations": answer.citations, "run_id": answer.run_id,
            })),
            (Some(_), Some(output)) => Ok(output),
            (Some(_), None) => {
                Err(Error::new(Code::OutputInvalid, format!("the expert gave no data: {why}")))
            }
        }
    }

    fn panel(&self, form: &PanelDiscussion) -> Result<Value> {
        let runtime = self.runtime()?;
        let question = self.text("question");
        let size = form.size.unwrap_or(5);
        let members = match &self.inner.registry {
            _ if !form.members.is_empty() => Some(form.members.clone()),
            Some(registry) if !self.offline && !form.require.is_empty() => {
                let constraints = MatchOptions { require: form.require.clone(), ..MatchOptions::default() };
                let options = quorate_agents::PanelOptions { size, constraints, ..Default::default() };
                let panel = registry.select_panel(&question, &options)?;
                Some(panel.members.iter().map(|member| member.matched.agent.id.clone()).collect())
            }
            Some(_) if !self.offline => None,
            _ => Some((1..=size).map(|n| format!("expert-{n}")).collect()),
        };
        let answer = runtime.panel(
            question,
            PanelOptions {
                kind: kind_of(form.kind),
                members: members.map(|ids: Vec<String>| ids.into_iter().map(Member::new).collect()),
                size,
                rounds: form.rounds,
                options: form.options.clone(),
                scale: form.scale,
                quorum: form.quorum.unwrap_or(0.6),
                filter: form.filter.clone(),
                idempotency_key: Some(self.key()),
                cancel: self.context.cancel.clone(),
                ..PanelOptions::default()
            },
        )?;
        match answer.status {
            Answered::Cancelled => return Err(Error::new(Code::Cancelled, "the panel was ended")),
            Answered::Failed => {
                let why = answer.stopped_by.unwrap_or_default();
                let code = Code::ALL.iter().find(|code| code.as_str() == why).copied();
                return Err(Error::new(
                    code.unwrap_or(Code::ToolFailed),
                    format!("the panel has failed: {why}"),
                ));
            }
            _ => {}
        }
        let json = |value: serde_json::Result<Value>| value.unwrap_or_default();
        let score = json(serde_json::to_value(&answer.score));
        // A decision is told as what was decided.
        let decision = match &score["decision"] {
            Value::Object(fields) => fields.values().next().cloned().unwrap_or_default(),
            other => other.clone(),
        };
        let level = score["level"].as_str().unwrap_or("no_consensus");
        Ok(json!({
            "decision": decision, "level": level, "agreement": score["support"], "synthesis": answer.synthesis,
            "status": answer.status.as_str(), "minority": answer.minority,
            "members": answer.members.iter().map(|member| member.id.clone()).collect::<Vec<_>>(),
            "citations": answer.citations, "run_id": answer.run_id,
        }))
    }
}

fn kind_of(kind: PanelType) -> PanelKind {
    match kind {
        PanelType::Parallel => PanelKind::Parallel,
        PanelType::Sequential => PanelKind::Sequential,
        PanelType::Consensus => PanelKind::Consensus,
        PanelType::Debate => PanelKind::Debate,
        PanelType::Socratic => PanelKind::Socratic,
        PanelType::Delphi => PanelKind::Delphi,
    }
}

/// Whether the call of a step, or of what undoes it, must not be made again unasked while its end is not known.
pub(crate) fn is_once(inner: &Inner, plan: &Plan, step: usize, undo: bool) -> bool {
    let once = |tool: &Arc<dyn HostTool>| !tool.is_idempotent();
    match (&plan.steps[step].work, &plan.steps[step].undo) {
        (_, Some(undoes)) if undo => inner.tool(&undoes.tool).is_ok_and(|tool| once(&tool)),
        (Work::Tool { tool, .. }, _) => inner.tool(tool).is_ok_and(|tool| once(&tool)),
        (Work::Own { kind, .. }, _) => inner.kind(kind).is_some_and(|kind| once(&kind)),
        // The runtime has a journal of what it was asked.
        _ => false,
    }
}

/// A context without a call, whose flag ends what it is given to.
pub(crate) fn context(run_id: &str, step: &str, tenant: Option<&str>) -> StepContext {
    StepContext {
        run_id: run_id.to_owned(),
        step: step.to_owned(),
        visit: 1,
        attempt: 1,
        name: String::new(),
        idempotency_key: String::new(),
        tenant: tenant.map(str::to_owned),
        cancel: Cancel::new(),
    }
}
