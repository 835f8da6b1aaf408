//! Which texts of the options are keys, and how do they not show?

use quorate_core::http::Secret;

use crate::options::McpOptions;
use crate::text;

/// What in the name of a variable, an argument or a part of a query says that its value is a key.
const WORDS: [&str; 12] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "AUTH",
    "BEARER",
    "COOKIE",
    "SIGNATURE",
    "SESSION",
    "PRIVATE",
];

/// The keys that a host has given for a server.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<Secret>);

impl Keys {
    /// The values of header fields; those of variables, of arguments and of the query of a URL whose names say that they are
    /// keys; and the passwords in URLs.
    pub(crate) fn of(options: &McpOptions) -> Self {
        let mut all: Vec<String> = Vec::new();
        for value in options.headers.values() {
            add(&mut all, value);
        }
        for (name, value) in &options.env {
            if is_key(name) {
                add(&mut all, value);
            }
            in_url(&mut all, value);
        }
        let mut follows = false;
        for argument in options.command.iter().skip(1) {
            in_url(&mut all, argument);
            let flag = argument.starts_with('-');
            if follows && !flag {
                add(&mut all, argument);
            }
            let named = argument.split_once('=').or_else(|| argument.split_once(": "));
            if let Some((name, value)) = named
                && is_key(name)
            {
                add(&mut all, value);
            }
            follows = flag && named.is_none() && is_key(argument);
        }
        if let Some(url) = &options.url {
            in_url(&mut all, url);
        }
        all.sort_by_key(|key| std::cmp::Reverse(key.len()));
        all.dedup();
        Keys(all.into_iter().map(Secret::new).collect())
    }

    /// The text without them.
    pub(crate) fn scrub(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, key| key.scrub(&text))
    }

    /// The same, bounded and cleaned: in this order, so that no part of a key is left at the end.
    pub(crate) fn clean(&self, text: &str, most: usize) -> String {
        text::clean(&self.scrub(text), most)
    }
}

fn is_key(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// A value, and the key in it where it is a scheme and a key: that may come back alone.
fn add(all: &mut Vec<String>, value: &str) {
    all.extend(
        [Some(value), value.rsplit_once(' ').map(|(_, key)| key)].into_iter().flatten().map(str::to_owned),
    );
}

/// What is a key in a URL: its password, and the values of its query whose names say so.
fn in_url(all: &mut Vec<String>, text: &str) {
    let Some((_, rest)) = text.split_once("://") else { return };
    let rest = rest.split('#').next().unwrap_or_default();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let host = place.split('/').next().unwrap_or_default();
    if let Some((user, _)) = host.rsplit_once('@') {
        all.push(user.split_once(':').map_or(user, |(_, password)| password).to_owned());
    }
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        if is_key(name) {
            all.push(value.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn keys_are_found_where_hosts_put_them() {
        let env = |pairs: [(&str, &str); 4]| {
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>()
        };
        let options = McpOptions {
            env: env([
                ("API_KEY", "key-env"),
                ("DB_PASS", "pass-env"),
                ("DATABASE_URL", "postgres://me:pass-url@host/db?sslmode=require"),
                ("LANGUAGE_OF", "english"),
            ]),
            ..McpOptions::command([
                "npx",
                "remote",
                "--header",
                "Authorization: Bearer key-header",
                "--api-key=key-flag",
                "--token",
                "key-next",
                "https://host/mcp?api_key=key-query&lang=german",
                "--verbose",
            ])
        };
        let keys = Keys::of(&options);
        for key in ["key-env", "pass-env", "pass-url", "key-header", "key-flag", "key-next", "key-query"] {
            assert_eq!(keys.scrub(&format!("bad {key}!")), "bad [key]!", "{key}");
        }
        let plain = "english german require --verbose remote npx";
        assert_eq!(keys.scrub(plain), plain);
        // The end of what is shown cuts none in two.
        assert_eq!(keys.clean("12345 pass-url", 9), "12345 [ke [...]");
        let options = McpOptions::url("https://me:pass-user@host/mcp?key=key-query");
        assert_eq!(Keys::of(&options).scrub("pass-user key-query"), "[key] [key]");
    }
}
