//! What may expressions of a step read, and of which types is it?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Builder, under};
use crate::flow::expr::{Expr, Template};
use crate::flow::form::{Step, Workflow};
use crate::flow::types::{self, Type};

impl Builder<'_> {
    /// What names stand for, and of which type they are, in an expression of a step.
    pub(super) fn scope(&self, form: &Workflow, step: Option<usize>) -> BTreeMap<String, Type> {
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

    pub(super) fn typed(
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

    pub(super) fn expr(
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

    pub(super) fn template(
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
