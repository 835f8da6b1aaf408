//! What does a definition say, ready to be run?
//!
//! Steps are in one list, those within others too; everything that can be wrong without knowing the host is found here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::expr::{Expr, Template};
use super::form::{AgentTask, HumanReview, Join, OnError, OnWaited, PanelDiscussion, Retry, Step, Workflow};
use super::schema::Fault;

mod graph;
mod scope;
mod steps;

use graph::{closure, inverse};

/// Attempts take so long where nobody says otherwise, in seconds.
const TIMEOUT: f64 = 600.0;
/// The most steps of a definition.
const MAX_STEPS: usize = 2_000;

/// A definition that can be run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) hash: String,
    pub(crate) form: Workflow,
    pub(crate) steps: Vec<PlanStep>,
    by_id: HashMap<String, usize>,
    pub(crate) output: Option<Template>,
    pub(crate) priority: Option<Template>,
    pub(crate) slot: Option<(Template, u32)>,
}

/// A step.
#[derive(Debug)]
pub(crate) struct PlanStep {
    pub(crate) id: String,
    /// The parallel step that it is within.
    pub(crate) parent: Option<usize>,
    pub(crate) needs: Vec<usize>,
    /// All that need it, and those within them.
    pub(crate) after: BTreeSet<usize>,
    pub(crate) when: Option<Expr>,
    pub(crate) retry: Retry,
    /// Seconds that an attempt may take.
    pub(crate) timeout: f64,
    pub(crate) on_error: OnError,
    pub(crate) work: Work,
    pub(crate) undo: Option<Undo>,
    pub(crate) routes: BTreeMap<String, (usize, u32)>,
    pub(crate) offline: Vec<Template>,
    pub(crate) title: String,
}

/// What undoes a step.
#[derive(Debug)]
pub(crate) struct Undo {
    pub(crate) tool: String,
    pub(crate) args: Template,
    pub(crate) retry: Retry,
}

/// What is done in a step.
#[derive(Debug)]
pub(crate) enum Work {
    Agent {
        prompt: Template,
        form: Box<AgentTask>,
    },
    Panel {
        question: Template,
        form: Box<PanelDiscussion>,
    },
    Review {
        title: Template,
        data: Template,
        form: Box<HumanReview>,
        due: Option<f64>,
    },
    Tool {
        tool: String,
        args: Template,
        key: Option<Template>,
        breaker: Option<String>,
    },
    Branches(Vec<PlanBranch>),
    Parallel {
        join: Join,
        tolerate: u32,
        children: Vec<usize>,
    },
    Wait {
        signals: Vec<String>,
        span: Option<f64>,
        until: Option<Template>,
        timeout: Option<f64>,
        on_timeout: OnWaited,
    },
    Sub {
        id: String,
        version: Option<String>,
        input: Option<Template>,
        timeout: Option<f64>,
    },
    Own {
        kind: String,
        with: Template,
    },
}

#[derive(Debug)]
pub(crate) struct PlanBranch {
    pub(crate) when: Option<Expr>,
    pub(crate) then: PlanThen,
}

#[derive(Debug)]
pub(crate) enum PlanThen {
    Continue,
    Fail { code: String, message: Option<Template> },
    End(Template),
    Goto(usize, u32),
}

impl PlanStep {
    /// Whether something outside is called for it.
    pub(crate) fn calls(&self) -> bool {
        matches!(self.work, Work::Agent { .. } | Work::Panel { .. } | Work::Tool { .. } | Work::Own { .. })
    }

    pub(crate) fn kind(&self) -> &str {
        match &self.work {
            Work::Agent { .. } => "agent_task",
            Work::Panel { .. } => "panel_discussion",
            Work::Review { .. } => "human_review",
            Work::Tool { .. } => "integration",
            Work::Branches(_) => "conditional",
            Work::Parallel { .. } => "parallel",
            Work::Wait { .. } => "wait",
            Work::Sub { .. } => "workflow",
            Work::Own { kind, .. } => kind,
        }
    }
}

/// A JSON text in which every object has its fields in the order of their names.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(name, field)| format!("{}:{}", Value::from(name.as_str()), canonical(field)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// By what a definition is known for good.
pub(crate) fn hash_of(rendered: &Value) -> String {
    blake3::hash(canonical(rendered).as_bytes()).to_hex().to_string()
}

impl Plan {
    /// A plan, or everything that is wrong. `damaged`: steps of which something was left out, whose kind may be missing.
    pub(crate) fn build(form: Workflow, hash: String, damaged: &[Vec<String>]) -> Result<Plan, Vec<Fault>> {
        let mut builder = Builder { steps: Vec::new(), by_id: HashMap::new(), faults: Vec::new(), damaged };
        let at = vec!["steps".to_owned()];
        builder.header(&form);
        builder.names(&form.steps, None, &at);
        if builder.steps.len() > MAX_STEPS {
            builder.fault(&at, "too_large", format!("{} steps are over {MAX_STEPS}", builder.steps.len()));
            return Err(builder.faults);
        }
        let needs = builder.needs();
        builder.cycles(&needs);
        let after = closure(&needs, &builder.steps);
        let before = inverse(&after, &builder.steps);
        let mut steps = Vec::new();
        for i in 0..builder.steps.len() {
            let step = builder.step(&form, i, &needs, &after, &before);
            steps.extend(step);
        }
        let scope = builder.scope(&form, None);
        let everything: BTreeSet<usize> = (0..builder.steps.len()).collect();
        let mut template = |value: &Option<Value>, at: &[&str]| {
            let at: Vec<String> = at.iter().map(|step| (*step).to_owned()).collect();
            value.as_ref().map(|value| builder.template(value, &at, &scope, &everything))
        };
        let output = template(&form.output, &["output"]);
        let queue = form.queue.as_ref();
        let priority = template(&queue.and_then(|queue| queue.priority.clone()), &["queue", "priority"]);
        let slot = queue.and_then(|queue| queue.concurrency.as_ref()).map(|limit| {
            let key = limit.key.clone().unwrap_or_else(|| form.id.clone());
            (template(&Some(Value::String(key)), &["queue", "concurrency", "key"]), limit.limit)
        });
        let slot = slot.and_then(|(key, limit)| Some((key?, limit)));
        if !builder.faults.is_empty() || steps.len() != builder.steps.len() {
            return Err(builder.faults);
        }
        let by_id = builder.by_id;
        Ok(Plan { hash, form, steps, by_id, output, priority, slot })
    }

    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The steps that no other needs, at the top.
    pub(crate) fn last(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.steps.len()).filter(|i| {
            self.steps[*i].parent.is_none() && self.steps.iter().all(|step| !step.needs.contains(i))
        })
    }

    /// Those that no sibling needs.
    pub(crate) fn ends(&self, children: &[usize]) -> Vec<usize> {
        let needed = |i: &usize| children.iter().any(|child| self.steps[*child].needs.contains(i));
        children.iter().copied().filter(|i| !needed(i)).collect()
    }
}

struct Draft {
    id: String,
    parent: Option<usize>,
    form: Step,
    at: Vec<String>,
    children: Vec<usize>,
}

struct Builder<'a> {
    steps: Vec<Draft>,
    by_id: HashMap<String, usize>,
    faults: Vec<Fault>,
    damaged: &'a [Vec<String>],
}

/// Whether this is a name: letters, digits, `_` and `-`, with dots between words where they may stand.
pub(crate) fn is_name(text: &str, dots: bool) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    text.len() <= 200 && if dots { text.split('.').all(word) } else { word(text) }
}

impl Builder<'_> {
    fn fault(&mut self, at: &[String], code: &'static str, message: String) {
        let fault = Fault { at: at.to_vec(), code, message };
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    fn span(&mut self, span: Option<&super::duration::Span>, at: &[String], key: &str) -> Option<f64> {
        let span = span?;
        match span.seconds() {
            Ok(seconds) => Some(seconds),
            Err(fault) => {
                self.fault(&below(at, &[key]), "bad_duration", fault);
                None
            }
        }
    }

    fn retry(&mut self, retry: &Retry, at: &[String]) {
        self.span(Some(&retry.backoff), at, "backoff");
        self.span(Some(&retry.max_backoff), at, "max_backoff");
    }

    fn header(&mut self, form: &Workflow) {
        let root = Vec::new();
        if !is_name(&form.id, true) {
            let message = format!(
                "id '{}' is no name of letters, digits, '_', '-' and dots",
                quorate_core::shorten(&form.id)
            );
            self.fault(&below(&root, &["id"]), "bad_id", message);
        }
        if let Err(error) = semver::Version::parse(&form.version) {
            let message = format!(
                "version '{}' is none by semver.org, such as 1.2.0: {error}",
                quorate_core::shorten(&form.version)
            );
            self.fault(&below(&root, &["version"]), "bad_version", message);
        }
        if form.steps.is_empty() {
            self.fault(&below(&root, &["steps"]), "no_steps", "a workflow has steps".to_owned());
        }
        let defaults = below(&root, &["defaults"]);
        self.span(form.defaults.timeout.as_ref(), &defaults, "timeout");
        if let Some(retry) = &form.defaults.retry {
            self.retry(retry, &below(&defaults, &["retry"]));
        }
        if let Some(reviewers) = &form.defaults.reviewers {
            self.span(reviewers.due.as_ref(), &below(&defaults, &["reviewers"]), "due");
        }
        for (key, schema) in [("input", &form.input)] {
            if let Some(schema) = schema
                && let Err(error) = super::schema::Checker::new(schema)
            {
                self.fault(&below(&root, &[key]), "bad_schema", error.message().to_owned());
            }
        }
        if let (Some(schema), Some(example)) = (&form.input, &form.example)
            && let Ok(checker) = super::schema::Checker::new(schema)
        {
            for fault in checker.faults(example) {
                let mut at = below(&root, &["example"]);
                at.extend(fault.at);
                self.fault(&at, "wrong_input", fault.message);
            }
        }
    }
}

fn below(at: &[String], keys: &[&str]) -> Vec<String> {
    at.iter().cloned().chain(keys.iter().map(|key| (*key).to_owned())).collect()
}

/// The place that a path such as `a.b[0]` leads to below another.
fn under(at: &[String], path: &str) -> Vec<String> {
    let steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']').to_owned());
    at.iter().cloned().chain(steps.filter(|step| !step.is_empty())).collect()
}
