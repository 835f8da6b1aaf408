//! Where do two runs part, and what happened instead?

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use crate::extractive::Verdict;
use crate::fact::Fact;

/// Pairs of steps that are looked at when two runs are laid side by side.
const MOST_PAIRS: usize = 4_000_000;

/// Something that happened in one of two runs and not, or otherwise, in the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The number of the step, from 1, when both runs are laid side by side.
    pub step: usize,
    /// What happened before the change; `None` where nothing did.
    pub before: Option<Happened>,
    /// What happens now; `None` where nothing does.
    pub after: Option<Happened>,
}

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Happened {
    /// `agent`, `match`, `context`, `model`, `tool`, `check`, `error`, `budget`, `cancelled` or `end`.
    pub kind: String,
    /// Whom or what it is about: an agent, a question, a tool with its arguments, a code, a status.
    pub about: String,
    /// What was said or found.
    pub text: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (sign, happened) in [('-', &self.before), ('+', &self.after)] {
            let Some(Happened { kind, about, text }) = happened else { continue };
            writeln!(f, "{sign} {} {kind} {about}", self.step)?;
            for line in text.lines() {
                writeln!(f, "{sign}     {line}")?;
            }
        }
        Ok(())
    }
}

/// What happened, without what only tells how long it took and what it cost.
pub(super) fn happenings(facts: &[Fact]) -> Vec<Happened> {
    let mut calls: HashMap<&str, String> = HashMap::new();
    let mut out = Vec::new();
    for fact in facts {
        let (kind, about, text) = match fact {
            Fact::Started(spec) => {
                let Some(agent) = &spec.agent else { continue };
                ("agent", agent.id.clone(), agent.instructions.clone().unwrap_or_default())
            }
            Fact::Matched { nobody: true, .. } => ("match", "nobody".to_owned(), String::new()),
            Fact::Matched { agent, .. } => {
                let Some(agent) = agent else { continue };
                ("match", agent.id.clone(), agent.instructions.clone().unwrap_or_default())
            }
            Fact::Retrieved { question, passages } => {
                let found: Vec<String> = passages
                    .iter()
                    .map(|passage| format!("{} {}..{}", passage.doc_id, passage.start, passage.end))
                    .collect();
                ("context", question.clone(), found.join("\n"))
            }
            Fact::Replied { reply, .. } => {
                let mut named = Vec::new();
                for call in reply.message.calls() {
                    let written = format!("{}({})", call.name, canonical_object(&call.arguments));
                    calls.insert(&call.id, written.clone());
                    named.push(written);
                }
                match (named.as_slice(), &reply.output) {
                    ([], Some(output)) => ("model", "says".to_owned(), canonical(output)),
                    ([], None) => ("model", "says".to_owned(), reply.message.text()),
                    (named, _) => ("model", "calls".to_owned(), named.join("\n")),
                }
            }
            Fact::Failed { code, message, .. } => ("error", code.clone(), message.clone()),
            Fact::Refused { id, by } => {
                let call = id.as_deref().and_then(|id| calls.get(id)).cloned();
                ("budget", by.clone(), call.unwrap_or_default())
            }
            Fact::Returned { id, content, .. } => {
                ("tool", calls.get(id.as_str()).cloned().unwrap_or_else(|| id.clone()), content.clone())
            }
            Fact::Checked { checks } => {
                let supported = checks.iter().filter(|check| check.verdict == Verdict::Supported).count();
                let claims = checks.iter().filter(|check| check.verdict != Verdict::NotAClaim).count();
                ("check", "statements".to_owned(), format!("{supported} of {claims} are in the sources"))
            }
            Fact::Cancelled => ("cancelled", String::new(), String::new()),
            Fact::Ended { status, .. } => ("end", status.as_str().to_owned(), String::new()),
            Fact::Resumed
            | Fact::Running { .. }
            | Fact::Asks { .. }
            | Fact::Warned { .. }
            | Fact::Noticed { .. }
            | Fact::Used { .. }
            | Fact::Decided { .. }
            | Fact::Waiting { .. } => continue,
        };
        out.push(Happened { kind: kind.to_owned(), about, text });
    }
    out
}

/// Lays two runs side by side with as few differences as possible (Wagner and Fischer 1974). Gives those, and how many steps
/// are the same.
pub(super) fn differences(before: &[Happened], after: &[Happened]) -> (Vec<Difference>, usize) {
    let mut found = Vec::new();
    let mut same = 0;
    for (i, (left, right)) in aligned(before, after).into_iter().enumerate() {
        let (left, right) = (left.map(|at| &before[at]), right.map(|at| &after[at]));
        if left == right {
            same += 1;
        } else {
            found.push(Difference { step: i + 1, before: left.cloned(), after: right.cloned() });
        }
    }
    (found, same)
}

fn aligned(before: &[Happened], after: &[Happened]) -> Vec<(Option<usize>, Option<usize>)> {
    let (rows, columns) = (before.len(), after.len());
    if rows.saturating_mul(columns) > MOST_PAIRS {
        return (0..rows.max(columns))
            .map(|i| ((i < rows).then_some(i), (i < columns).then_some(i)))
            .collect();
    }
    // What it costs to lay the rest of both, from here on, side by side.
    let width = columns + 1;
    let mut costs = vec![0_u32; (rows + 1) * width];
    for i in (0..=rows).rev() {
        for j in (0..=columns).rev() {
            costs[i * width + j] = match (i < rows, j < columns) {
                (false, false) => 0,
                (true, false) => costs[(i + 1) * width + j] + ALONE,
                (false, true) => costs[i * width + j + 1] + ALONE,
                (true, true) => {
                    let both = costs[(i + 1) * width + j + 1] + apart(&before[i], &after[j]);
                    let alone = costs[(i + 1) * width + j].min(costs[i * width + j + 1]) + ALONE;
                    both.min(alone)
                }
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::with_capacity(rows.max(columns));
    while i < rows || j < columns {
        let cost = costs[i * width + j];
        if i < rows && j < columns && cost == costs[(i + 1) * width + j + 1] + apart(&before[i], &after[j]) {
            pairs.push((Some(i), Some(j)));
            (i, j) = (i + 1, j + 1);
        } else if i < rows && cost == costs[(i + 1) * width + j] + ALONE {
            pairs.push((Some(i), None));
            i += 1;
        } else {
            pairs.push((None, Some(j)));
            j += 1;
        }
    }
    pairs
}

/// What it costs that a step stands alone.
const ALONE: u32 = 2;

/// What it costs to lay two steps side by side.
fn apart(left: &Happened, right: &Happened) -> u32 {
    match (left.kind == right.kind, left == right) {
        (_, true) => 0,
        (true, _) if left.about == right.about => 1,
        (true, _) => 2,
        (false, _) => 2 * ALONE + 1,
    }
}

/// JSON whose keys are in order.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(members) => canonical_object(members),
        other => other.to_string(),
    }
}

/// The same of the members of an object.
pub(super) fn canonical_object(members: &serde_json::Map<String, Value>) -> String {
    let mut written: Vec<(&String, String)> =
        members.iter().map(|(key, value)| (key, canonical(value))).collect();
    written.sort();
    let written: Vec<String> =
        written.iter().map(|(key, value)| format!("{}:{value}", Value::String((*key).clone()))).collect();
    format!("{{{}}}", written.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(kind: &str, about: &str, text: &str) -> Happened {
        Happened { kind: kind.into(), about: about.into(), text: text.into() }
    }

    #[test]
    fn what_is_the_same_is_laid_side_by_side() {
        let before = [
            one("model", "calls", "f"),
            one("tool", "f", "1"),
            one("model", "says", "a"),
            one("end", "done", ""),
        ];
        let after = [one("model", "says", "b"), one("end", "done", "")];
        let (found, same) = differences(&before, &after);
        assert_eq!(same, 1);
        assert_eq!(found.iter().filter(|one| one.after.is_none()).count(), 2);
        let changed: Vec<_> =
            found.iter().filter(|one| one.before.is_some() && one.after.is_some()).collect();
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].to_string(), "- 3 model says\n-     a\n+ 3 model says\n+     b\n");
        assert_eq!(differences(&before, &before), (Vec::new(), 4));
        assert_eq!(differences(&[], &after).0.len(), 2);
    }

    #[test]
    fn the_order_of_keys_does_not_matter() {
        let (a, b) =
            (r#"{"b": [1, {"d": "x", "c": null}], "a": 1}"#, r#"{"a": 1, "b": [1, {"c": null, "d": "x"}]}"#);
        let read = |text: &str| canonical(&serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(read(a), read(b));
        assert_eq!(read(a), r#"{"a":1,"b":[1,{"c":null,"d":"x"}]}"#);
        assert_eq!(canonical(&json!("a\"b")), r#""a\"b""#);
    }
}
