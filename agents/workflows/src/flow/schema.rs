//! What does the published JSON Schema of the form say, and where does a file not fit it?

use std::sync::LazyLock;

use boon::{Compiler, Draft, ErrorKind, SchemaIndex, Schemas, UrlLoader, ValidationError};
use quorate_core::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::form::Workflow;

/// Where the schema is said to lie.
const PLACE: &str = "quorate:///workflow.schema.json";

/// The JSON Schema (draft 2020-12) of a workflow file, as it is published.
///
/// ```
/// let schema = quorate_workflows::flow::workflow_schema();
/// assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
/// ```
pub fn workflow_schema() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(Workflow)).unwrap_or_default();
    if let Value::Object(fields) = &mut schema {
        fields.insert("$id".to_owned(), json!("https://quorate.dev/schemas/workflow-v1.schema.json"));
    }
    schema
}

/// What is wrong with a value: the steps that lead there, a code, a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Vec<String>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A schema stands for itself: neither files of the machine nor the network are read for it.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> std::result::Result<Value, Box<dyn std::error::Error>> {
        Err(format!("the schema points at '{url}'; nothing is fetched").into())
    }
}

/// A compiled schema.
pub(crate) struct Checker {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Checker {
    /// Errors: `invalid_argument`.
    pub(crate) fn new(schema: &Value) -> Result<Checker> {
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(Nowhere));
        let invalid = |e: boon::CompileError| {
            let text: String = format!("{e:#}").chars().take(300).collect();
            Error::invalid(format!("no JSON Schema that can be used: {text}"))
        };
        compiler.add_resource(PLACE, schema.clone()).map_err(invalid)?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(PLACE, &mut schemas).map_err(invalid)?;
        Ok(Checker { schemas, index })
    }

    /// Everything in which `value` does not fit.
    pub(crate) fn faults(&self, value: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        if let Err(error) = self.schemas.validate(value, self.index) {
            leaves(&error, &mut faults);
        }
        faults.dedup();
        faults
    }
}

/// Errors: `code` with every place where `value` does not fit.
pub(crate) fn fits(schema: &Value, value: &Value, what: &str, code: Code) -> Result<()> {
    let faults = Checker::new(schema)?.faults(value);
    if faults.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = faults
        .iter()
        .take(20)
        .map(|fault| format!("at '/{}': {}", fault.at.join("/"), fault.message))
        .collect();
    Err(Error::new(code, format!("{what} does not fit its schema: {}", told.join("; "))))
}

static FORM: LazyLock<Option<Checker>> = LazyLock::new(|| Checker::new(&workflow_schema()).ok());

/// Reads a workflow as far as it fits the form: what does not is told and left out.
pub(crate) fn read(value: &Value) -> (Option<Workflow>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut value = value.clone();
    let Some(form) = FORM.as_ref() else { return (None, faults) };
    // What is left out may leave something else incomplete.
    for round in 0..8 {
        let found = form.faults(&value);
        if found.is_empty() {
            let workflow = serde_json::from_value::<Workflow>(value);
            if let Err(error) = &workflow {
                faults.push(Fault { at: Vec::new(), code: "wrong_type", message: error.to_string() });
            }
            return (workflow.ok(), faults);
        }
        for fault in &found {
            leave_out(&mut value, fault);
            if round == 0 {
                faults.push(fault.clone());
            }
        }
    }
    (None, faults)
}

fn leave_out(value: &mut Value, fault: &Fault) {
    if fault.code == "missing_key" || fault.code == "missing_join" {
        let name = fault.message.split('\'').nth(1).unwrap_or_default();
        let stands_in = match (fault.at.len(), name) {
            (_, "join") => Some(json!("all")),
            (0, "apiVersion") => Some(json!("quorate/v1")),
            (0, "kind") => Some(json!("Workflow")),
            (0, "version") => Some(json!("0.0.0")),
            (0, "id") => Some(json!("unnamed")),
            (_, "steps") => Some(json!({})),
            _ => None,
        };
        if let (Some(stands_in), Some(Value::Object(fields))) = (stands_in, place(value, &fault.at)) {
            fields.insert(name.to_owned(), stands_in);
            return;
        }
    }
    match fault.at.split_last() {
        None => *value = Value::Object(Map::new()),
        Some((last, above)) => match place(value, above) {
            Some(Value::Object(fields)) => drop(fields.remove(last)),
            Some(Value::Array(items)) => {
                if let Some(item) = last.parse::<usize>().ok().and_then(|i| items.get_mut(i)) {
                    *item = Value::Null;
                }
                // A list with a hole is no list of the form any more, and goes in the next round.
                if items.iter().all(Value::is_null) {
                    items.clear();
                }
            }
            _ => {}
        },
    }
}

fn place<'a>(value: &'a mut Value, at: &[String]) -> Option<&'a mut Value> {
    at.iter().try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn steps_of(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect()
}

/// The leaves of a tree of causes. Of alternatives, the ones of that alternative that fits best.
fn leaves(error: &ValidationError<'_, '_>, faults: &mut Vec<Fault>) {
    let at = steps_of(&error.instance_location.to_string());
    if matches!(error.kind, ErrorKind::AnyOf | ErrorKind::OneOf(_)) {
        let mut best: Option<Vec<Fault>> = None;
        for cause in &error.causes {
            let mut below = Vec::new();
            leaves(cause, &mut below);
            // An alternative of another type is not what was meant.
            let meant = below.iter().all(|fault| fault.at.len() > at.len() || fault.code == "unknown_key");
            if meant && best.as_ref().is_none_or(|best| below.len() < best.len()) {
                best = Some(below);
            }
        }
        match best {
            Some(best) => faults.extend(best),
            None => {
                let mut said = Vec::new();
                for cause in &error.causes {
                    leaves(cause, &mut said);
                }
                let said: Vec<&str> = said.iter().map(|fault| fault.message.as_str()).collect();
                faults.push(Fault { code: code_at(&at, "wrong_type"), message: said.join(", or "), at });
            }
        }
        return;
    }
    if !error.causes.is_empty() {
        for cause in &error.causes {
            leaves(cause, faults);
        }
        return;
    }
    let one = |at: Vec<String>, code, message: String| Fault { at, code, message };
    match &error.kind {
        ErrorKind::AdditionalProperties { got } => {
            for name in got {
                let mut at = at.clone();
                at.push(name.to_string());
                faults.push(one(at, "unknown_key", format!("'{name}' is no key that is known here")));
            }
        }
        ErrorKind::Required { want } => {
            for name in want {
                let code = if *name == "join" { "missing_join" } else { "missing_key" };
                faults.push(one(at.clone(), code, format!("'{name}' is missing")));
            }
        }
        ErrorKind::Enum { want } => {
            let want: Vec<String> = want.iter().map(Value::to_string).collect();
            let code = match at.as_slice() {
                [.., kind, last] if kind == "panel_discussion" && last == "type" => "unknown_panel",
                _ => "invalid_value",
            };
            faults.push(one(at, code, format!("it is none of {}", want.join(", "))));
        }
        ErrorKind::Type { .. } => {
            let code = code_at(&at, "wrong_type");
            faults.push(one(at, code, error.kind.to_string()));
        }
        kind => faults.push(one(at, "invalid_value", kind.to_string())),
    }
}

/// A duration of another type is no duration.
fn code_at(at: &[String], code: &'static str) -> &'static str {
    const SPANS: [&str; 6] = ["timeout", "due", "backoff", "max_backoff", "for", "span"];
    match at.last() {
        Some(last) if SPANS.contains(&last.as_str()) => "bad_duration",
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_does_not_fit_is_told_and_the_rest_is_read() {
        let value = json!({
            "apiVersion": "quorate/v1", "kind": "Workflow", "id": "a", "colour": "red",
            "steps": {
                "x": {"integration": {"args": {}}, "retry": {"max_attempts": 0}},
                "y": {"parallel": {"steps": {"z": {"wait": {"for": true}}}}, "needs": "x"},
                "p": {"panel_discussion": {"question": "q", "type": "shouting"}},
                "c": {"conditional": [{"when": "true", "then": {"fail": {"cod": "x"}}}, {"else": "go"}]},
                "ok": {"agent_task": {}},
            },
        });
        let (workflow, faults) = read(&value);
        let told: Vec<(String, &str)> = faults.iter().map(|fault| (fault.at.join("."), fault.code)).collect();
        for expected in [
            ("", "missing_key"),
            ("colour", "unknown_key"),
            ("steps.x.integration", "missing_key"),
            ("steps.x.retry.max_attempts", "invalid_value"),
            ("steps.y.parallel", "missing_join"),
            ("steps.y.parallel.steps.z.wait.for", "bad_duration"),
            ("steps.y.needs", "wrong_type"),
            ("steps.p.panel_discussion.type", "unknown_panel"),
            ("steps.c.conditional.0.then.fail.cod", "unknown_key"),
            ("steps.c.conditional.1.else", "wrong_type"),
        ] {
            assert!(told.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {told:?}");
        }
        let workflow = workflow.unwrap();
        assert!(workflow.steps["ok"].agent_task.is_some() && workflow.steps["y"].parallel.is_some());
    }

    #[test]
    fn the_published_schema_is_the_one_of_the_form() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/workflow.schema.json");
        let made = workflow_schema();
        if std::env::var_os("QUORATE_WRITE_SCHEMA").is_some() {
            std::fs::write(path, format!("{made:#}\n")).unwrap();
        }
        // The order of members is that of the build's features.
        let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(published == made, "run the test with QUORATE_WRITE_SCHEMA=1");
    }
}
