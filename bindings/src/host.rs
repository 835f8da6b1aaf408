//! In what do the languages differ that call quorate?

use serde_json::Value;

/// A language that calls quorate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Names in snake_case; a text is counted in code points.
    Python,
    /// Names in camelCase; a text is counted in UTF-16 units.
    Node,
}

impl Host {
    /// How the host writes the name of an option.
    ///
    /// ```
    /// use quorate_bindings::Host;
    /// assert_eq!(Host::Python.name("max_tokens"), "max_tokens");
    /// assert_eq!(Host::Node.name("max_tokens"), "maxTokens");
    /// ```
    pub fn name(self, name: &str) -> String {
        if self == Host::Python {
            return name.to_owned();
        }
        let mut words = name.split('_');
        let mut out = words.next().unwrap_or_default().to_owned();
        for word in words {
            let mut letters = word.chars();
            out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            out.push_str(letters.as_str());
        }
        out
    }

    /// Whether the host writes the name of an option so; [`Host::name`] without a copy.
    ///
    /// ```
    /// use quorate_bindings::Host;
    /// assert!(Host::Node.is_name("max_tokens", "maxTokens") && !Host::Node.is_name("max_tokens", "max_tokens"));
    /// ```
    pub fn is_name(self, name: &str, written: &str) -> bool {
        if self == Host::Python {
            return name == written;
        }
        let mut written = written.chars();
        let mut upper = false;
        for c in name.chars() {
            if c == '_' {
                upper = true;
            } else if written.next() != Some(if upper { c.to_ascii_uppercase() } else { c }) {
                return false;
            } else {
                upper = false;
            }
        }
        written.next().is_none()
    }

    /// The length of a text in the host's own units.
    ///
    /// ```
    /// use quorate_bindings::Host;
    /// assert_eq!((Host::Python.length("a\u{1f642}"), Host::Node.length("a\u{1f642}")), (2, 3));
    /// ```
    pub fn length(self, text: &str) -> usize {
        match self {
            Host::Python => text.chars().count(),
            Host::Node => text.chars().map(char::len_utf16).sum(),
        }
    }
}

/// The same value with every key in snake_case, for what Rust reads by serde. Not for values with keys that users have given.
///
/// ```
/// let given = serde_json::json!({"maxTokens": [{"perItem": 1}]});
/// assert_eq!(quorate_bindings::snake(given), serde_json::json!({"max_tokens": [{"per_item": 1}]}));
/// ```
pub fn snake(value: Value) -> Value {
    rename(value, &|key| {
        let mut out = String::with_capacity(key.len() + 4);
        for c in key.chars() {
            if c.is_ascii_uppercase() {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        }
        out
    })
}

/// The same value with every key in camelCase. Not for values with keys that users have given.
pub fn camel(value: Value) -> Value {
    rename(value, &|key| Host::Node.name(key))
}

fn rename(value: Value, to: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (to(&key), rename(value, to))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| rename(item, to)).collect(),
        other => other,
    }
}
