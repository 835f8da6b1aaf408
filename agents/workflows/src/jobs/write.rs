//! How is a workflow written down so that people read it from the top?

use std::collections::BTreeSet;

use quorate_core::{Code, Error, Result};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

use crate::flow::KINDS;

/// The keys of a workflow, in the order in which they are read.
const TOP: [&str; 14] = [
    "apiVersion",
    "kind",
    "id",
    "version",
    "title",
    "description",
    "domain",
    "extends",
    "input",
    "example",
    "queue",
    "defaults",
    "steps",
    "output",
];
/// The keys of a step before its kind, and behind it.
const BEFORE: [&str; 4] = ["title", "description", "needs", "when"];
const BEHIND: [&str; 6] = ["routes", "retry", "timeout", "on_error", "compensate", "offline"];

/// A workflow as YAML, with lines of comment above it. Errors: `invalid_text`.
pub(super) fn yaml(form: &Value, comment: &[String]) -> Result<String> {
    let written = serde_saphyr::to_string(&Place { value: form, kind: Kind::Top }).map_err(|e| {
        Error::with_source(Code::InvalidText, format!("the draft cannot be written as YAML: {e}"), e)
    })?;
    let mut text = String::new();
    for line in comment {
        let plain: String = line.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
        text.push_str(&format!("# {}\n", plain.trim()));
    }
    text.push_str(&written);
    Ok(text)
}

/// Whether a character may stand in a comment, and ends none.
fn is_plain(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[derive(Clone, Copy)]
enum Kind {
    Top,
    Steps,
    Step,
    Parallel,
    Other,
}

struct Place<'a> {
    value: &'a Value,
    kind: Kind,
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        match self.value {
            Value::Object(members) => {
                let mut map = to.serialize_map(Some(members.len()))?;
                for (key, value) in ordered(members, self.kind) {
                    map.serialize_entry(key, &Place { value, kind: below(self.kind, key) })?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for value in items {
                    list.serialize_element(&Place { value, kind: Kind::Other })?;
                }
                list.end()
            }
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), _, _) => to.serialize_i64(number),
                (_, Some(number), _) => to.serialize_u64(number),
                (_, _, number) => to.serialize_f64(number.unwrap_or_default()),
            },
            other => other.serialize(to),
        }
    }
}

fn below(kind: Kind, key: &str) -> Kind {
    match (kind, key) {
        (Kind::Top | Kind::Parallel, "steps") => Kind::Steps,
        (Kind::Steps, _) => Kind::Step,
        (Kind::Step, "parallel") => Kind::Parallel,
        _ => Kind::Other,
    }
}

fn ordered(members: &Map<String, Value>, kind: Kind) -> Vec<(&String, &Value)> {
    let mut all: Vec<(&String, &Value)> = members.iter().collect();
    // The order of a map is that of the build's features.
    all.sort_by_key(|(key, _)| *key);
    match kind {
        Kind::Top => all.sort_by_key(|(key, _)| TOP.iter().position(|name| name == key).unwrap_or(TOP.len())),
        Kind::Step => all.sort_by_key(|(key, _)| rank_of_key(key)),
        Kind::Parallel => all.sort_by_key(|(key, _)| key.as_str() == "steps"),
        Kind::Steps => return in_turn(all),
        Kind::Other => {}
    }
    all
}

fn rank_of_key(key: &str) -> usize {
    if let Some(at) = BEFORE.iter().position(|name| *name == key) {
        return at;
    }
    if KINDS.contains(&key) {
        return BEFORE.len();
    }
    let behind = BEHIND.iter().position(|name| *name == key);
    BEFORE.len() + 1 + behind.map_or(0, |at| at + 1)
}

/// Steps behind those that they need; of equals, by name.
fn in_turn<'a>(mut left: Vec<(&'a String, &'a Value)>) -> Vec<(&'a String, &'a Value)> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let names: BTreeSet<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready = |step: &Value| {
            let needs = step.get("needs").and_then(Value::as_array);
            needs
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .all(|need| done.contains(need) || !names.contains(need))
        };
        // A circle is nobody's turn: validation says so.
        let at = left.iter().position(|(_, step)| ready(step)).unwrap_or(0);
        let next = left.remove(at);
        done.insert(next.0.as_str());
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_workflow_is_read_from_the_top() {
        let form = json!({
            "output": 1, "steps": {
                "a": {"offline": {}, "needs": ["z"], "agent_task": {"prompt": "p"}, "title": "t"},
                "z": {"parallel": {"steps": {"q": {"needs": ["r"], "wait": {"for": "1d"}}, "r": {"wait": {"for": "1d"}}}, "join": "all"}},
                "b": {"needs": ["a", "z"], "own": 1},
            },
            "id": "x", "apiVersion": "quorate/v1", "zzz": null,
        });
        let text = yaml(&form, &["one\nline\u{2028}only".to_owned()]).unwrap();
        assert!(text.starts_with("# one line only\napiVersion:"), "{text}");
        let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word} in {text}"));
        let order = [
            "id:",
            "steps:",
            "  z:",
            "join:",
            "r:",
            "q:",
            "  a:",
            "title:",
            "agent_task:",
            "offline:",
            "  b:",
            "output:",
            "zzz:",
        ];
        let places: Vec<usize> = order.iter().map(|word| at(word)).collect();
        assert!(places.is_sorted(), "{places:?} {text}");
        let again: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(again, form);
    }

    #[test]
    fn texts_that_yaml_reads_otherwise_come_back_as_they_were() {
        let texts = [
            "",
            " ",
            "no",
            "true",
            "null",
            "~",
            "1042",
            "1e3",
            "0x1f",
            "1:30",
            "2024-01-01",
            "- a",
            "a: b",
            "#c",
            "'",
            "\"",
            "a\nb\n\n c",
            "\ttab",
            "é 🩺",
            "%",
            "@x",
            "`",
            "&a",
            "*a",
            "!t",
            "|",
            ">",
            "{a",
            "[a",
            "? a",
            ": ",
            "\\n",
            "a #b",
            "\u{85}",
            "\u{7f}",
            "\r\n",
            "\u{2028}",
            "\u{1}",
            "---",
            "...",
            " a ",
            "<<",
            "=",
            "y",
            "NaN",
            ".inf",
            "${input.a}",
        ];
        let form = json!({"texts": texts.to_vec(), "number": 1.5, "large": u64::MAX, "small": i64::MIN, "round": 3.0, "tiny": 1e-300});
        let text = yaml(&form, &[]).unwrap();
        let read = quorate_agents::yaml::Node::parse(&text, 0, 10_000, 1 << 20).unwrap().to_json();
        assert_eq!(read["texts"], form["texts"], "{text}");
        assert_eq!(read["large"], form["large"]);
        assert_eq!(read["small"], form["small"]);
        assert_eq!(read["tiny"], form["tiny"]);
    }
}
