//! How are the values of named keys taken out of what is written down?
//!
//! A key is found as the member of an object, and within texts too: a text that is JSON is read, and in any other the
//! key is looked for as JSON and Python write it, since what tools give travels as text, and what broke off is no JSON.

use serde_json::{Value, json};

/// What stands in the place of a value.
const REDACTED: &str = "[redacted]";

/// Keys whose values are never written.
const ALWAYS: [&str; 4] = ["authorization", "x-api-key", "api_key", "apikey"];

/// `more` and those that are never written, in lower case and in order.
pub(crate) fn keys(more: impl Iterator<Item = String>) -> Vec<String> {
    let more = more.map(|key| key.to_lowercase()).filter(|key| !key.is_empty());
    let mut keys: Vec<String> = ALWAYS.iter().map(|key| (*key).to_owned()).chain(more).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// Replaces the values of `keys`; returns whether there were any.
pub(crate) fn redact(value: &mut Value, keys: &[String]) -> bool {
    match value {
        Value::Object(fields) => {
            let mut found = false;
            for (key, inner) in fields {
                if keys.contains(&key.to_lowercase()) {
                    *inner = json!(REDACTED);
                    found = true;
                } else {
                    found |= redact(inner, keys);
                }
            }
            found
        }
        Value::Array(items) => {
            let mut found = false;
            for item in items {
                found |= redact(item, keys);
            }
            found
        }
        Value::String(text) => {
            let mut found = false;
            if text.trim_start().starts_with(['{', '[', '"'])
                && let Ok(mut inner) = serde_json::from_str::<Value>(text)
                && redact(&mut inner, keys)
            {
                *text = inner.to_string();
                found = true;
            }
            // Also where it was JSON: of a member that is there twice only one was read.
            if let Some(without) = without(text, keys) {
                *text = without;
                found = true;
            }
            found
        }
        _ => false,
    }
}

/// The text without the values that follow one of `keys` in quotes and a colon; `None` when there are none.
fn without(text: &str, keys: &[String]) -> Option<String> {
    let mut out = String::new();
    let mut done = 0;
    for (at, quote) in text.match_indices(['"', '\'']) {
        if at < done {
            continue;
        }
        // Within a text in quotes, quotes have backslashes before them.
        let level = backslashes(&text[..at]);
        let mark = format!("{}{quote}", "\\".repeat(level));
        let rest = &text[at + 1..];
        let Some(behind) = keys.iter().find_map(|key| {
            let behind = rest[begins_with(rest, key)?..].strip_prefix(mark.as_str())?;
            Some(behind.trim_start().strip_prefix(':')?.trim_start())
        }) else {
            continue;
        };
        let from = text.len() - behind.len();
        let mark = if behind.starts_with(&mark) { mark } else { mark.replace('\'', "\"") };
        out.push_str(&text[done..from]);
        out.push_str(&format!("{mark}{REDACTED}{mark}"));
        done = from + length(behind, level);
    }
    if done == 0 {
        return None;
    }
    out.push_str(&text[done..]);
    Some(out)
}

/// The length of what `text` begins with when it begins with `key`, whatever the letters' case.
fn begins_with(text: &str, key: &str) -> Option<usize> {
    let mut wanted = key.chars();
    for (at, c) in text.char_indices() {
        if wanted.as_str().is_empty() {
            return Some(at);
        }
        if !c.to_lowercase().all(|c| wanted.next() == Some(c)) {
            return None;
        }
    }
    wanted.as_str().is_empty().then_some(text.len())
}

/// The length of the value that `text` begins with: a text in quotes, an object or a list, or what reaches to the next
/// comma, bracket or white space. A value that breaks off reaches to the end.
fn length(text: &str, level: usize) -> usize {
    let mut depth = 0usize;
    // The quote of the text that is open.
    let mut open: Option<char> = None;
    for (at, c) in text.char_indices() {
        // A quote at this level has as many backslashes before it, and any number of written backslashes.
        let is_quote = matches!(c, '"' | '\'') && backslashes(&text[..at]) % (2 * (level + 1)) == level;
        match (open, c) {
            (Some(quote), _) if is_quote && c == quote => {
                open = None;
                if depth == 0 {
                    return at + 1;
                }
            }
            (Some(_), _) => {}
            (None, _) if is_quote => open = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') if depth > 1 => depth -= 1,
            (None, '}' | ']' | ')') if depth == 1 => return at + 1,
            (None, '}' | ']' | ')' | ',') if depth == 0 => return at,
            (None, c) if depth == 0 && c.is_whitespace() => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// How many backslashes `text` ends with.
fn backslashes(text: &str) -> usize {
    text.bytes().rev().take_while(|b| *b == b'\\').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        let keys = keys(["Token".to_owned(), "größe".to_owned()].into_iter());
        let mut value = json!(text);
        redact(&mut value, &keys);
        value.as_str().unwrap().to_owned()
    }

    #[test]
    fn keys_in_texts() {
        for (text, expected) in [
            (r#"{"a": 1, "token": "s3cret"}"#, r#"{"a":1,"token":"[redacted]"}"#),
            (r#"{"a": "{\"token\": \"s3cret\"}"}"#, r#"{"a":"{\"token\":\"[redacted]\"}"}"#),
            (r#"{"to\u006ben": ["s3cret"]}"#, r#"{"token":"[redacted]"}"#),
            (r#"{"a": {"token": "s3cret"}, "a": 1}"#, r#"{"a": {"token": "[redacted]"}, "a": 1}"#),
            (
                r#"Result: {"TOKEN" : "s3cret\"s3cret", "a": 1}"#,
                r#"Result: {"TOKEN" : "[redacted]", "a": 1}"#,
            ),
            (r#"{"a": 1, "token": "s3cr"#, r#"{"a": 1, "token": "[redacted]""#),
            (r#"{"token": {"a": ["s3cret", "}"]}, "b": 2"#, r#"{"token": "[redacted]", "b": 2"#),
            (r#"{"token": 12345, "b""#, r#"{"token": "[redacted]", "b""#),
            ("{'token': 's3cret', 'b': 2}", "{'token': '[redacted]', 'b': 2}"),
            (r#"said {\"token\": \"s3cret\", \"b\": 2}"#, r#"said {\"token\": \"[redacted]\", \"b\": 2}"#),
            (r#"x "GRÖßE": "s3cret", "size": 2"#, r#"x "GRÖßE": "[redacted]", "size": 2"#),
            (
                r#"[{"token": "s3cret"}] and {"token": true}"#,
                r#"[{"token": "[redacted]"}] and {"token": "[redacted]"}"#,
            ),
        ] {
            let once = redacted(text);
            assert_eq!(once, expected, "{text}");
            assert_eq!(redacted(&once), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in [
            "",
            "the token is there",
            "\"token\" is a word",
            "{\"tokens\": 5,  \"a\": 1.0}",
            "it's a 'token'",
            "\"token",
            "\"tokenÄ\": 1",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
