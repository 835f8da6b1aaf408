//! What does a definition say, ready to be run?
//!
//! Steps are in one list, those within others too; everything that can be wrong without knowing the host is found here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::expr::{Expr, Template};
use super::form::{
    AgentTask, Branch, COMMON, HumanReview, Join, KINDS, OnError, OnWaited, PanelDiscussion, Retry, Step,
    Then, ThenDo, Workflow,
};
use super::schema::Fault;
use super::types::{self, Type};

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
        form: AgentTask,
    },
    Panel {
        question: Template,
        form: PanelDiscussion,
    },
    Review {
        title: Template,
        data: Template,
        form: HumanReview,
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

/// All that come after each step: those that need it, and those within them.
fn closure(needs: &[Vec<usize>], steps: &[Draft]) -> Vec<BTreeSet<usize>> {
    (0..needs.len())
        .map(|start| {
            let (mut found, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(next) = open.pop() {
                for (other, needed) in needs.iter().enumerate() {
                    if needed.contains(&next) && found.insert(other) {
                        open.push(other);
                    }
                }
            }
            let mut within: Vec<usize> = found.iter().copied().collect();
            while let Some(next) = within.pop() {
                for child in &steps[next].children {
                    if found.insert(*child) {
                        within.push(*child);
                    }
                }
            }
            found
        })
        .collect()
}

/// All that have ended before each step begins.
fn inverse(after: &[BTreeSet<usize>], steps: &[Draft]) -> Vec<BTreeSet<usize>> {
    (0..steps.len())
        .map(|i| {
            let mut before: BTreeSet<usize> =
                (0..steps.len()).filter(|other| after[*other].contains(&i)).collect();
            // What is within one that has ended has ended too.
            let mut within: Vec<usize> = before.iter().copied().collect();
            while let Some(next) = within.pop() {
                for child in &steps[next].children {
                    if before.insert(*child) {
                        within.push(*child);
                    }
                }
            }
            before
        })
        .collect()
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

    fn names(&mut self, steps: &BTreeMap<String, Step>, parent: Option<usize>, at: &[String]) {
        for (id, step) in steps {
            let at = below(at, &[id]);
            if !is_name(id, false) {
                let message =
                    format!("'{}' is no name of letters, digits, '_' and '-'", quorate_core::shorten(id));
                self.fault(&at, "bad_id", message);
            }
            let number = self.steps.len();
            if self.by_id.insert(id.clone(), number).is_some() {
                let message =
                    format!("two steps have the id '{id}'; those within others too have ids of their own");
                self.fault(&at, "duplicate_step", message);
            }
            self.steps.push(Draft {
                id: id.clone(),
                parent,
                form: step.clone(),
                at: at.clone(),
                children: Vec::new(),
            });
            if let Some(parent) = parent {
                self.steps[parent].children.push(number);
            }
            if let Some(parallel) = &step.parallel {
                let below = below(&at, &["parallel", "steps"]);
                if parallel.steps.is_empty() {
                    self.fault(&below, "no_steps", "there is nothing to do at once".to_owned());
                }
                self.names(&parallel.steps, Some(number), &below);
            }
        }
    }

    /// What each step needs, of its own level.
    fn needs(&mut self) -> Vec<Vec<usize>> {
        let mut all = Vec::new();
        for i in 0..self.steps.len() {
            let (needs, parent, at) =
                (self.steps[i].form.needs.clone(), self.steps[i].parent, self.steps[i].at.clone());
            let mut known = Vec::new();
            for (n, need) in needs.iter().enumerate() {
                let place = below(&at, &["needs", &n.to_string()]);
                match self.by_id.get(need) {
                    Some(other) if self.steps[*other].parent == parent => {
                        if !known.contains(other) {
                            known.push(*other);
                        }
                    }
                    Some(_) => {
                        let message = format!(
                            "'{need}' is within another step or around this one; a step needs those beside it"
                        );
                        self.fault(&place, "unknown_step", message);
                    }
                    None => self.fault(&place, "unknown_step", format!("there is no step '{need}'")),
                }
            }
            all.push(known);
        }
        all
    }

    /// Every circle, told once, at its first step.
    fn cycles(&mut self, needs: &[Vec<usize>]) {
        let mut done = vec![0u8; needs.len()];
        for start in 0..needs.len() {
            let mut path: Vec<(usize, usize)> = Vec::new();
            if done[start] == 0 {
                path.push((start, 0));
                done[start] = 1;
            }
            while let Some((node, next)) = path.last_mut() {
                match needs[*node].get(*next) {
                    None => {
                        done[*node] = 2;
                        path.pop();
                    }
                    Some(other) => {
                        *next += 1;
                        match done[*other] {
                            0 => {
                                done[*other] = 1;
                                path.push((*other, 0));
                            }
                            1 => {
                                let from = path.iter().position(|(node, _)| node == other).unwrap_or(0);
                                let names: Vec<&str> = path[from..]
                                    .iter()
                                    .map(|(node, _)| self.steps[*node].id.as_str())
                                    .collect();
                                let message = format!("these need each other: {}", names.join(", "));
                                let at = below(&self.steps[*other].at.clone(), &["needs"]);
                                self.fault(&at, "cycle", message);
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
    }

    /// What names stand for, and of which type they are, in an expression of a step.
    fn scope(&self, form: &Workflow, step: Option<usize>) -> BTreeMap<String, Type> {
        let steps = self.steps.iter().map(|step| {
            let output = output_of(&step.form);
            let view = Type::of([
                ("output", output.clone()),
                ("last", output),
                ("status", Type::Text),
                ("signal", Type::Text),
                ("visit", Type::Number),
                ("attempt", Type::Number),
                ("error", Type::of([("code", Type::Text), ("message", Type::Text)])),
                ("by", Type::Text),
            ]);
            (step.id.clone(), view)
        });
        let mut scope = BTreeMap::from([
            ("input".to_owned(), form.input.as_ref().map_or(Type::Any, Type::of_schema)),
            ("steps".to_owned(), Type::Fields(steps.collect(), false)),
            ("tenant".to_owned(), Type::Text),
            (
                "run".to_owned(),
                Type::of([
                    ("id", Type::Text),
                    ("workflow", Type::Text),
                    ("version", Type::Text),
                    ("starter", Type::Text),
                    ("started", Type::Number),
                    ("offline", Type::Bool),
                ]),
            ),
        ]);
        if let Some(step) = step {
            let view = Type::of([
                ("id", Type::Text),
                ("visit", Type::Number),
                ("attempt", Type::Number),
                ("output", output_of(&self.steps[step].form)),
            ]);
            scope.insert("step".to_owned(), view);
        }
        scope
    }

    fn typed(
        &mut self,
        expr: &Expr,
        at: &[String],
        scope: &BTreeMap<String, Type>,
        before: &BTreeSet<usize>,
    ) -> Type {
        let (kind, found) = types::check(expr.tree(), scope);
        for fault in found.faults {
            let code = if fault.starts_with("there is no '")
                && found.reads.iter().any(|read| fault.starts_with(&format!("there is no '{}'", read.step)))
            {
                "unknown_step"
            } else {
                "expression_type"
            };
            self.fault(at, code, format!("'{}': {fault}", expr.source()));
        }
        for read in found.reads {
            // What an earlier round of a loop has left may be read from everywhere.
            let earlier = matches!(read.member.as_deref(), Some("last" | "visit" | "by"));
            if let Some(step) = self.by_id.get(&read.step)
                && !earlier
                && !before.contains(step)
            {
                let message = format!(
                    "'{}' reads step '{}', which need not have ended by then; name it in needs",
                    expr.source(),
                    read.step
                );
                self.fault(at, "not_needed", message);
            }
        }
        kind
    }

    fn expr(
        &mut self,
        source: &str,
        at: &[String],
        scope: &BTreeMap<String, Type>,
        before: &BTreeSet<usize>,
    ) -> Option<Expr> {
        let expr = match Expr::parse(source) {
            Ok(expr) => expr,
            Err(fault) => {
                self.fault(at, "expression_syntax", format!("'{}': {fault}", quorate_core::shorten(source)));
                return None;
            }
        };
        let kind = self.typed(&expr, at, scope, before);
        if !matches!(kind, Type::Bool | Type::Any) {
            let message = format!("'{source}' is no condition; it is never true or false");
            self.fault(at, "expression_type", message);
        }
        Some(expr)
    }

    fn template(
        &mut self,
        value: &Value,
        at: &[String],
        scope: &BTreeMap<String, Type>,
        before: &BTreeSet<usize>,
    ) -> Template {
        match Template::parse(value) {
            Ok(template) => {
                let mut found = Vec::new();
                template.each("", &mut |place, expr| found.push((place.to_owned(), expr)));
                for (place, expr) in found {
                    self.typed(expr, &under(at, &place), scope, before);
                }
                template
            }
            Err(faults) => {
                for (place, fault) in faults {
                    self.fault(&under(at, &place), "expression_syntax", fault);
                }
                Template::Plain(Value::Null)
            }
        }
    }

    /// A step that is gone back to: one before, or the step itself.
    fn goto(
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

    fn step(
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
            backoff: super::duration::Span::Number(0.0),
            factor: 1.0,
            max_backoff: super::duration::Span::Number(0.0),
            jitter: super::form::Jitter::None,
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
            timeout: timeout.map_or(TIMEOUT, super::duration::Span::checked),
            on_error: step.on_error.or(form.defaults.on_error).unwrap_or_default(),
            work: work?,
            undo,
            routes,
            offline,
        })
    }

    #[allow(clippy::too_many_arguments)] // one call
    fn work(
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
                    && let Err(error) = super::schema::Checker::new(schema)
                {
                    self.fault(&place(&["output"]), "bad_schema", error.message().to_owned());
                }
                let prompt = self.template(&Value::String(prompt), &place(&["prompt"]), scope, before);
                Work::Agent { prompt, form: task }
            }
            "panel_discussion" => {
                let panel = step.panel_discussion.clone()?;
                let question = Value::String(panel.question.clone());
                let question = self.template(&question, &place(&["question"]), scope, before);
                Work::Panel { question, form: panel }
            }
            "human_review" => {
                let review = self.review(form, step.human_review.clone()?, &place(&[]), i);
                let title = review.title.clone().unwrap_or_else(|| self.steps[i].id.replace(['_', '-'], " "));
                let title = self.template(&Value::String(title), &place(&["title"]), scope, before);
                let data = review.data.clone().unwrap_or(Value::Null);
                let data = self.template(&data, &place(&["data"]), scope, before);
                let due = self.span(review.due.as_ref(), &place(&[]), "due");
                Work::Review { title, data, form: review, due }
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
                let signals = wait.signal.as_ref().map(super::form::OneOrMore::all).unwrap_or_default();
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

    fn review(&mut self, form: &Workflow, mut review: HumanReview, at: &[String], i: usize) -> HumanReview {
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

    fn branches(
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

/// The type of what a step gives.
fn output_of(step: &Step) -> Type {
    if let Some(task) = &step.agent_task {
        return match &task.output {
            Some(schema) => Type::of_schema(schema),
            None => Type::of([
                ("text", Type::Text),
                ("status", Type::Text),
                ("agent", Type::Text),
                ("confidence", Type::Number),
                ("grounded", Type::Number),
                ("citations", Type::List(Box::new(Type::Any))),
                ("run_id", Type::Text),
            ]),
        };
    }
    if step.panel_discussion.is_some() {
        return Type::of([
            ("decision", Type::Any),
            ("level", Type::Text),
            ("agreement", Type::Number),
            ("synthesis", Type::Text),
            ("status", Type::Text),
            ("minority", Type::List(Box::new(Type::Any))),
            ("members", Type::List(Box::new(Type::Text))),
            ("citations", Type::List(Box::new(Type::Any))),
            ("run_id", Type::Text),
        ]);
    }
    if step.human_review.is_some() {
        return Type::of([
            ("decision", Type::Text),
            ("by", Type::Text),
            ("comment", Type::Text),
            ("data", Type::Any),
            ("late", Type::Bool),
        ]);
    }
    if step.conditional.is_some() {
        return Type::of([("branch", Type::Number)]);
    }
    if let Some(parallel) = &step.parallel {
        let children = parallel.steps.iter().map(|(id, child)| (id.clone(), output_of(child)));
        return Type::Fields(children.collect(), false);
    }
    Type::Any
}

fn below(at: &[String], keys: &[&str]) -> Vec<String> {
    at.iter().cloned().chain(keys.iter().map(|key| (*key).to_owned())).collect()
}

/// The place that a path such as `a.b[0]` leads to below another.
fn under(at: &[String], path: &str) -> Vec<String> {
    let steps = path.split(['.', '[']).map(|step| step.trim_end_matches(']').to_owned());
    at.iter().cloned().chain(steps.filter(|step| !step.is_empty())).collect()
}
