//! Which values of a JSON document does a path name?
//!
//! The plain part of JSONPath (RFC 9535; Gössner, Normington and Bormann 2024): `$`, `.name`, `['name']`, `[2]`, `[-1]`,
//! `.*` and `[*]`. Filters, slices and `..` are not read.

use quorate_core::{Error, Result, shorten};
use serde_json::Value;

/// Steps of a path.
const MAX_STEPS: usize = 64;

/// A path that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    /// From the end where negative.
    Index(i64),
    All,
}

impl Path {
    /// Errors: `invalid_argument`, with the place.
    pub(super) fn parse(text: &str) -> Result<Path> {
        let wrong = |at: usize, expected: &str| {
            Error::invalid(format!("JSON path '{}': at character {at}: expected {expected}", shorten(text)))
        };
        let Some(mut rest) = text.strip_prefix('$') else { return Err(wrong(1, "'$'")) };
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            if steps.len() == MAX_STEPS {
                return Err(wrong(at, "the end, since a path has 64 steps at most"));
            }
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let name = &after[..end];
                if name.is_empty() || name.contains([']', '\'', '"', '(', '?']) {
                    return Err(wrong(at, "a name or '*' after '.'"));
                }
                steps.push(if name == "*" { Step::All } else { Step::Name(name.to_owned()) });
                rest = &after[end..];
            } else if let Some(after) = rest.strip_prefix('[') {
                let (step, left) =
                    within(after).ok_or_else(|| wrong(at, "[number], [*], ['name'] or [\"name\"]"))?;
                steps.push(step);
                rest = left;
            } else {
                return Err(wrong(at, "'.' or '['"));
            }
        }
        Ok(Path(steps))
    }

    /// The values that the path names, in the order of the document.
    pub(super) fn find<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![document];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Name(name), Value::Object(members)) => next.extend(members.get(name)),
                    (Step::Index(at), Value::Array(items)) => {
                        let at = if *at < 0 { at.saturating_add(items.len() as i64) } else { *at };
                        next.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
                    }
                    (Step::All, Value::Array(items)) => next.extend(items),
                    (Step::All, Value::Object(members)) => next.extend(members.values()),
                    _ => {}
                }
            }
            found = next;
        }
        found
    }
}

/// The step that stands in brackets, and what follows it.
fn within(text: &str) -> Option<(Step, &str)> {
    if let Some(quote @ ('\'' | '"')) = text.chars().next() {
        let (name, rest) = text[1..].split_once(quote)?;
        return Some((Step::Name(name.to_owned()), rest.strip_prefix(']')?));
    }
    let (inner, rest) = text.split_once(']')?;
    let step = if inner == "*" { Step::All } else { Step::Index(inner.parse().ok()?) };
    Some((step, rest))
}

/// Whether two values are the same, numbers by their size and not by how they are written.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_name_values() {
        let document = json!({"a": {"b c": [1, {"d": 2}, {"d": 3}]}, "e": null});
        let find = |path: &str| -> Vec<Value> {
            Path::parse(path).unwrap().find(&document).into_iter().cloned().collect()
        };
        assert_eq!(find("$"), vec![document.clone()]);
        assert_eq!(find("$.a['b c'][0]"), [json!(1)]);
        assert_eq!(find("$.a[\"b c\"][*].d"), [json!(2), json!(3)]);
        assert_eq!(find("$.a.*[-1].d"), [json!(3)]);
        assert_eq!(find("$.e"), [Value::Null]);
        assert!(
            find("$.x.y").is_empty() && find("$.a['b c'][7]").is_empty() && find("$.a['b c'][-4]").is_empty()
        );
    }

    #[test]
    fn what_is_no_path_is_refused_with_its_place() {
        for wrong in
            ["", "a", "$a", "$.", "$..a", "$[", "$[x]", "$['a'", "$['a", "$[1", "$.a[?(@.b)]", "$[1:2]"]
        {
            assert!(Path::parse(wrong).is_err(), "{wrong}");
        }
        let error = Path::parse("$.\u{e4}b[x]").unwrap_err();
        assert!(error.message().contains("character 5"), "{error}");
        assert!(Path::parse(&format!("${}", ".a".repeat(65))).is_err());
    }

    #[test]
    fn numbers_are_the_same_by_size() {
        assert!(same(&json!({"a": [5]}), &json!({"a": [5.0]})));
        assert!(!same(&json!([1, 2]), &json!([1])) && !same(&json!("5"), &json!(5)));
    }
}
