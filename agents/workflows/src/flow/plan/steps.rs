//! What does each step say, and what is wrong with it?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Builder, PlanBranch, PlanStep, PlanThen, TIMEOUT, Undo, Work, below};
use crate::flow::duration::Span;
use crate::flow::form::{
    Branch, COMMON, HumanReview, Jitter, Join, KINDS, OneOrMore, Retry, Step, Then, ThenDo, Workflow,
};
use crate::flow::schema::Checker;
use crate::flow::types::Type;

impl Builder<'_> {
    /// A step that is gone back to: one before, or the step itself.
    pub(super) fn goto(
        &mut self,
        target: &str,
        max: Option<u32>,
        at: &[String],
        from: usize,
        before: &BTreeSet<usize>,
    ) -> Option<(usize, u32)> {
        let found = match self.by_id.get(target) {
            None => {
                self.fault(at, "unknown_step", format!("goto: there is no step '{target}'"));
                None
            }
            Some(step) => {
                let back = *step == from || before.contains(step);
                let beside = self.steps[*step].parent == self.steps[from].parent;
                if back && beside {
                    Some(*step)
                } else {
                    let message = format!(
                        "goto leads back, to this step or one beside it that has ended before; '{target}' is none"
                    );
                    self.fault(at, "goto_target", message);
                    None
                }
            }
        };
        if max.is_none() {
            let message = format!("goto '{target}' has no max; say how often at most");
            self.fault(at, "unbounded_goto", message);
        }
        Some((found?, max?))
    }

    pub(super) fn step(
        &mut self,
        form: &Workflow,
        i: usize,
        needs: &[Vec<usize>],
        after: &[BTreeSet<usize>],
        all_before: &[BTreeSet<usize>],
    ) -> Option<PlanStep> {
        let (step, at, id) = (self.steps[i].form.clone(), self.steps[i].at.clone(), self.steps[i].id.clone());
        let parent = self.steps[i].parent;
        let mut before = all_before[i].clone();
        // What has ended before the step around this one.
        let mut around = parent;
        while let Some(outer) = around {
            before.extend(&all_before[outer]);
            around = self.steps[outer].parent;
        }
        let scope = self.scope(form, Some(i));
        let when = match &step.when {
            None => None,
            Some(source) => self.expr(source, &below(&at, &["when"]), &scope, &before),
        };
        self.span(step.timeout.as_ref(), &at, "timeout");
        if let Some(retry) = &step.retry {
            self.retry(retry, &below(&at, &["retry"]));
        }
        let retry = step.retry.clone().or_else(|| form.defaults.retry.clone());
        let once = || Retry {
            max_attempts: 1,
            backoff: Span::Number(0.0),
            factor: 1.0,
            max_backoff: Span::Number(0.0),
            jitter: Jitter::None,
            retry_on: Vec::new(),
        };
        let undo = step.compensate.as_ref().map(|undo| {
            let place = below(&at, &["compensate"]);
            if let Some(retry) = &undo.retry {
                self.retry(retry, &below(&place, &["retry"]));
            }
            // The step itself has ended by then.
            let mut before = before.clone();
            before.insert(i);
            let args = undo.args.clone().unwrap_or_else(|| json!({"output": "${step.output}"}));
            let args = self.template(&args, &below(&place, &["args"]), &scope, &before);
            let thrice = || serde_json::from_value::<Retry>(json!({})).unwrap_or_else(|_| once());
            let retry = undo.retry.clone().or_else(|| retry.clone()).unwrap_or_else(thrice);
            Undo { tool: undo.tool.clone(), args, retry }
        });
        let kinds: Vec<String> = step.kinds().into_iter().map(str::to_owned).collect();
        let work = match kinds.as_slice() {
            [kind] => self.work(form, kind, &step, &at, i, &scope, &before),
            [] => {
                if !self.damaged.iter().any(|fault| fault.starts_with(&at)) {
                    let message = format!("the step does nothing; give one of {}", KINDS.join(", "));
                    self.fault(&at, "missing_kind", message);
                }
                None
            }
            several => {
                // What is written beside a known kind is a slip; two known kinds are two steps.
                let known = several.iter().filter(|kind| KINDS.contains(&kind.as_str())).count();
                for kind in several.iter().filter(|kind| !KINDS.contains(&kind.as_str())) {
                    let message = format!(
                        "'{kind}' is no key of a step; there are {}, and the kinds {}",
                        COMMON.join(", "),
                        KINDS.join(", ")
                    );
                    self.fault(&below(&at, &[kind]), "unknown_key", message);
                }
                if known > 1 {
                    let message = format!("a step does one thing; this one has {}", several.join(", "));
                    self.fault(&at, "several_kinds", message);
                }
                None
            }
        };
        let options: Vec<String> = match &work {
            Some(Work::Review { form, .. }) => form.options.clone(),
            _ => Vec::new(),
        };
        let mut routes = BTreeMap::new();
        for (option, route) in &step.routes {
            let place = below(&at, &["routes", option]);
            if work.is_some() && !options.contains(option) {
                let message = match options.is_empty() {
                    true => "only a review has routes".to_owned(),
                    false => format!("'{option}' is none of the options {}", options.join(", ")),
                };
                self.fault(&place, "unknown_option", message);
            }
            if let Some(target) = self.goto(&route.goto, route.max, &place, i, &before) {
                routes.insert(option.clone(), target);
            }
        }
        let offline = match &step.offline {
            None => Vec::new(),
            Some(Value::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
        };
        let offline = offline
            .iter()
            .map(|one| self.template(one, &below(&at, &["offline"]), &scope, &before))
            .collect();
        let timeout = step.timeout.as_ref().or(form.defaults.timeout.as_ref());
        Some(PlanStep {
            title: step.title.clone().unwrap_or_else(|| id.replace(['_', '-'], " ")),
            id,
            parent,
            needs: needs[i].clone(),
            after: after[i].clone(),
            when,
            retry: retry.unwrap_or_else(once),
            timeout: timeout.map_or(TIMEOUT, Span::checked),
            on_error: step.on_error.or(form.defaults.on_error).unwrap_or_default(),
            work: work?,
            undo,
            routes,
            offline,
        })
    }

    #[allow(clippy::too_many_arguments)] // one call
    pub(super) fn work(
        &mut self,
        form: &Workflow,
        kind: &str,
        step: &Step,
        at: &[String],
        i: usize,
        scope: &BTreeMap<String, Type>,
        before: &BTreeSet<usize>,
    ) -> Option<Work> {
        let place = |keys: &[&str]| {
            let mut all = below(at, &[kind]);
            all.extend(keys.iter().map(|key| (*key).to_owned()));
            all
        };
        let told = || {
            let title = step.title.clone().unwrap_or_else(|| self.steps[i].id.replace(['_', '-'], " "));
            let what = step.description.clone().unwrap_or_default();
            let whole = form.title.clone().unwrap_or_else(|| form.id.clone());
            format!(
                "{title}. {what}\nThis is a step of: {whole}. {}\nThe case: ${{input}}",
                form.description.clone().unwrap_or_default()
            )
        };
        Some(match kind {
            "agent_task" => {
                let task = step.agent_task.clone()?;
                let prompt = task.prompt.clone().unwrap_or_else(told);
                if let Some(schema) = &task.output
                    && let Err(error) = Checker::new(schema)
                {
                    self.fault(&place(&["output"]), "bad_schema", error.message().to_owned());
                }
                let prompt = self.template(&Value::String(prompt), &place(&["prompt"]), scope, before);
                Work::Agent { prompt, form: Box::new(task) }
            }
            "panel_discussion" => {
                let panel = step.panel_discussion.clone()?;
                let question = Value::String(panel.question.clone());
                let question = self.template(&question, &place(&["question"]), scope, before);
                Work::Panel { question, form: Box::new(panel) }
            }
            "human_review" => {
                let review = self.review(form, step.human_review.clone()?, &place(&[]), i);
                let title = review.title.clone().unwrap_or_else(|| self.steps[i].id.replace(['_', '-'], " "));
                let title = self.template(&Value::String(title), &place(&["title"]), scope, before);
                let data = review.data.clone().unwrap_or(Value::Null);
                let data = self.template(&data, &place(&["data"]), scope, before);
                let due = self.span(review.due.as_ref(), &place(&[]), "due");
                Work::Review { title, data, form: Box::new(review), due }
            }
            "integration" => {
                let call = step.integration.clone()?;
                let args = call.args.clone().unwrap_or_else(|| json!({}));
                let args = self.template(&args, &place(&["args"]), scope, before);
                let key = call.idempotency_key.map(Value::String);
                let key = key.map(|key| self.template(&key, &place(&["idempotency_key"]), scope, before));
                Work::Tool { tool: call.tool, args, key, breaker: call.breaker }
            }
            "conditional" => {
                let branches = step.conditional.clone()?;
                self.branches(&branches, &place(&[]), i, scope, before)
            }
            "parallel" => {
                let parallel = step.parallel.clone()?;
                let children = self.steps[i].children.clone();
                let most = children.len() as u32;
                if let Join::AtLeast(least) = parallel.join
                    && least > most
                {
                    let message = format!("at_least {least} of {most} steps can never be");
                    self.fault(&place(&["join"]), "invalid_value", message);
                }
                Work::Parallel { join: parallel.join, tolerate: parallel.tolerate, children }
            }
            "wait" => {
                let wait = step.wait.clone()?;
                let signals = wait.signal.as_ref().map(OneOrMore::all).unwrap_or_default();
                let times = usize::from(wait.span.is_some()) + usize::from(wait.until.is_some());
                if signals.is_empty() == (times == 0) || times > 1 {
                    let message =
                        "a wait is for a signal, or for a time: give one of signal, for and until".to_owned();
                    self.fault(&place(&[]), "missing_wait", message);
                }
                if wait.timeout.is_some() && signals.is_empty() {
                    let message = "only the wait for a signal has a timeout".to_owned();
                    self.fault(&place(&["timeout"]), "unknown_key", message);
                }
                let until =
                    wait.until.as_ref().map(|until| self.template(until, &place(&["until"]), scope, before));
                Work::Wait {
                    signals,
                    span: self.span(wait.span.as_ref(), &place(&[]), "for"),
                    until,
                    timeout: self.span(wait.timeout.as_ref(), &place(&[]), "timeout"),
                    on_timeout: wait.on_timeout,
                }
            }
            "workflow" => {
                let sub = step.workflow.clone()?;
                let input =
                    sub.input.as_ref().map(|input| self.template(input, &place(&["input"]), scope, before));
                let timeout = self.span(sub.timeout.as_ref(), &place(&[]), "timeout");
                Work::Sub { id: sub.id, version: sub.version, input, timeout }
            }
            own => {
                let with = step.other.get(own).cloned().unwrap_or(Value::Null);
                Work::Own { kind: own.to_owned(), with: self.template(&with, &place(&[]), scope, before) }
            }
        })
    }

    pub(super) fn review(
        &mut self,
        form: &Workflow,
        mut review: HumanReview,
        at: &[String],
        i: usize,
    ) -> HumanReview {
        if let Some(shared) = &form.defaults.reviewers {
            review.role = review.role.or_else(|| shared.role.clone());
            review.due = review.due.or_else(|| shared.due.clone());
            review.on_timeout = review.on_timeout.or_else(|| shared.on_timeout.clone());
            review.escalate_to = review.escalate_to.or_else(|| shared.escalate_to.clone());
            if review.forbid.is_empty() {
                review.forbid.clone_from(&shared.forbid);
            }
        }
        if review.options.is_empty() {
            review.options = vec!["approve".to_owned(), "reject".to_owned()];
        }
        let different: BTreeSet<&String> = review.options.iter().collect();
        if different.len() != review.options.len() || review.options.iter().any(String::is_empty) {
            let message = "an option is empty, or there twice".to_owned();
            self.fault(&below(at, &["options"]), "invalid_value", message);
        }
        if review.role.as_ref().is_none_or(|role| role.trim().is_empty()) {
            self.fault(at, "missing_key", "'role' is missing: who decides?".to_owned());
        }
        if let Some(then) = &review.on_timeout
            && !["fail", "escalate", "continue"].contains(&then.as_str())
            && !review.options.contains(then)
        {
            let message =
                format!("'{then}' is none of fail, escalate, continue, {}", review.options.join(", "));
            self.fault(&below(at, &["on_timeout"]), "unknown_option", message);
        }
        for (n, forbidden) in review.forbid.iter().enumerate() {
            let known = forbidden == "starter"
                || self
                    .by_id
                    .get(forbidden)
                    .is_some_and(|step| *step != i && self.steps[*step].form.human_review.is_some());
            if !known {
                let message = format!("'{forbidden}' is neither 'starter' nor another review");
                self.fault(&below(at, &["forbid", &n.to_string()]), "unknown_step", message);
            }
        }
        review
    }

    pub(super) fn branches(
        &mut self,
        branches: &[Branch],
        at: &[String],
        i: usize,
        scope: &BTreeMap<String, Type>,
        before: &BTreeSet<usize>,
    ) -> Work {
        let mut made = Vec::new();
        if branches.is_empty() {
            self.fault(at, "no_branches", "a conditional has branches".to_owned());
        }
        for (n, branch) in branches.iter().enumerate() {
            let place = below(at, &[&n.to_string()]);
            let (when, key, then) = match branch {
                Branch { when: Some(when), then: Some(then), otherwise: None } => (Some(when), "then", then),
                Branch { when: None, then: None, otherwise: Some(then) } => (None, "else", then),
                _ => {
                    if !self.damaged.iter().any(|fault| fault.starts_with(&place)) {
                        let message = "a branch is {when, then} or {else}".to_owned();
                        self.fault(&place, "bad_branch", message);
                    }
                    continue;
                }
            };
            if when.is_none() && n + 1 < branches.len() {
                self.fault(&place, "bad_branch", "nothing comes after else".to_owned());
            }
            let when = match when {
                None => None,
                Some(source) => match self.expr(source, &below(&place, &["when"]), scope, before) {
                    None => continue,
                    some => some,
                },
            };
            let place = below(&place, &[key]);
            let then = match then {
                Then::Word(_) => PlanThen::Continue,
                Then::Do(ThenDo { fail: Some(fail), end: None, goto: None, max: None }) => {
                    let message = fail.message.as_ref().map(|message| {
                        let message = Value::String(message.clone());
                        self.template(&message, &below(&place, &["fail", "message"]), scope, before)
                    });
                    PlanThen::Fail { code: fail.code.clone(), message }
                }
                Then::Do(ThenDo { fail: None, end: Some(end), goto: None, max: None }) => {
                    PlanThen::End(self.template(end, &below(&place, &["end"]), scope, before))
                }
                Then::Do(ThenDo { fail: None, end: None, goto: Some(goto), max }) => {
                    match self.goto(goto, *max, &place, i, before) {
                        Some((target, max)) => PlanThen::Goto(target, max),
                        None => continue,
                    }
                }
                Then::Do(_) => {
                    let message =
                        "a branch leads to one of continue, fail, end and goto (with max)".to_owned();
                    self.fault(&place, "bad_branch", message);
                    continue;
                }
            };
            made.push(PlanBranch { when, then });
        }
        Work::Branches(made)
    }
}
