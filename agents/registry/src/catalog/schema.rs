//! Which fields may a definition have, and of which type?
//!
//! The table says the same as [`Agent`](crate::Agent)'s JSON Schema (a test compares them), so that a file can be
//! read to its end and every wrong field be reported with its line.

use crate::text::shown;
use crate::yaml::{Node, Value};

/// A field of a mapping.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
}

pub(super) enum Kind {
    Text,
    /// Text, or nothing.
    OptionalText,
    Number,
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of mappings.
    List(&'static [Field]),
}

const fn need(name: &'static str) -> Field {
    Field { name, kind: Kind::Text, required: true }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// The fields of an agent.
pub(super) const AGENT: &[Field] = &[
    need("id"),
    need("name"),
    need("summary"),
    may("instructions", Kind::OptionalText),
    may("domain", Kind::Text),
    may(
        "capabilities",
        Kind::List(&[
            need("name"),
            may("level", Kind::Word(&["basic", "proficient", "expert"])),
            may("evidence", Kind::Texts),
        ]),
    ),
    may(
        "skills",
        Kind::List(&[
            need("id"),
            may("name", Kind::Text),
            may("description", Kind::Text),
            may("examples", Kind::Texts),
            may("tags", Kind::Texts),
        ]),
    ),
    may("topics", Kind::Texts),
    may("boundaries", Kind::List(&[need("topic"), may("refer_to", Kind::OptionalText)])),
    may("works_with", Kind::List(&[need("agent"), need("why")])),
    may("tools", Kind::Texts),
    may("languages", Kind::Texts),
    may("inputs", PORTS),
    may("outputs", PORTS),
    may("model_tier", Kind::Word(&["small", "medium", "large"])),
    may("cost_per_call", Kind::Number),
    may("latency", Kind::Word(&["interactive", "standard", "batch"])),
    may("tenant", Kind::OptionalText),
    may("visibility", Kind::Word(&["private", "public"])),
    may("permissions", Kind::Texts),
    may("tags", Kind::Texts),
    may("version", Kind::Text),
    may("status", Kind::Word(&["draft", "active", "deprecated"])),
    may("available", Kind::Bool),
    may("weight", Kind::Number),
    may("url", Kind::OptionalText),
    may("card", Kind::OptionalText),
];

const PORTS: Kind = Kind::List(&[need("name"), may("media_type", Kind::Text)]);

/// Takes out of the mapping what has the wrong form, and reports it: (the node, what is wrong).
pub(super) fn check(node: &mut Node, fields: &[Field], report: &mut dyn FnMut(&Node, String)) {
    let place = node.clone_place();
    let Value::Map(members) = &mut node.value else {
        report(node, format!("expected a mapping, found {}", node.kind()));
        return;
    };
    let missing: Vec<&str> = fields
        .iter()
        .filter(|f| f.required && !members.iter().any(|(name, _)| name == f.name))
        .map(|f| f.name)
        .collect();
    members.retain_mut(|(name, member)| match fields.iter().find(|f| f.name == name) {
        Some(field) => check_field(name, member, &field.kind, report),
        None => {
            let known: Vec<&str> = fields.iter().map(|f| f.name).collect();
            report(
                member,
                format!("there is no field '{}'; the fields are {}", shown(name), known.join(", ")),
            );
            false
        }
    });
    for name in missing {
        report(&place, format!("the field '{name}' is missing"));
    }
}

/// Whether the field can stay. A list stays without its wrong elements.
fn check_field(name: &str, node: &mut Node, kind: &Kind, report: &mut dyn FnMut(&Node, String)) -> bool {
    let expected = match (kind, &mut node.value) {
        (Kind::Text | Kind::OptionalText, Value::Text(_))
        | (Kind::OptionalText, Value::Null)
        | (Kind::Number, Value::Number(_))
        | (Kind::Bool, Value::Bool(_)) => return true,
        (Kind::Word(words), Value::Text(text)) => {
            if words.contains(&text.as_str()) {
                return true;
            }
            let what = format!("{name}: '{}' is not one of {}", shown(text), words.join(", "));
            report(node, what);
            return false;
        }
        (Kind::Texts, Value::List(items)) => {
            items.retain(|item| {
                let good = item.text().is_some();
                if !good {
                    report(
                        item,
                        format!("{name}: expected a string, found {}; put it in quotes", item.kind()),
                    );
                }
                good
            });
            return true;
        }
        (Kind::List(fields), Value::List(items)) => {
            for (i, item) in items.iter_mut().enumerate() {
                check(item, fields, &mut |node, what| report(node, format!("{name}[{i}]: {what}")));
            }
            let required = |item: &Node| fields.iter().all(|f| !f.required || item.get(f.name).is_some());
            items.retain(required);
            return true;
        }
        (Kind::Text | Kind::OptionalText, _) => "a string",
        (Kind::Number, _) => "a number",
        (Kind::Bool, _) => "true or false",
        (Kind::Word(_), _) => "a word",
        (Kind::Texts, _) => "a list of strings",
        (Kind::List(_), _) => "a list of mappings",
    };
    report(node, format!("{name}: expected {expected}, found {}", node.kind()));
    false
}

impl Node {
    /// A node of nothing at the same place.
    pub(super) fn clone_place(&self) -> Node {
        Node { file: self.file, line: self.line, value: Value::Null }
    }
}
