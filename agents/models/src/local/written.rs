//! How does Python write the values of a template?
//!
//! Chat templates are written for Jinja in Python: lists, truth and JSON stand in their texts as Python prints them. What is
//! written is bounded.

use minijinja::value::{Kwargs, StringInput, Value as Jinja, ValueKind};
use minijinja::{ErrorKind, State};
use serde_json::Value;

use super::marks::is_stand_in;

/// The most bytes that a template may write, and each text in it.
pub(super) const MAX_BYTES: usize = 64 << 20;

pub(super) const TOO_LONG: &str = "it writes more than 64 MiB";

/// What a filter has written so far.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn push(&mut self, text: &str) -> Result<(), minijinja::Error> {
        self.room(text.len())?;
        self.0.push_str(text);
        Ok(())
    }

    fn spaces(&mut self, n: usize) -> Result<(), minijinja::Error> {
        self.room(n)?;
        self.0.extend(std::iter::repeat_n(' ', n));
        Ok(())
    }

    pub(super) fn room(&self, n: usize) -> Result<(), minijinja::Error> {
        if n > MAX_BYTES - self.0.len() {
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, TOO_LONG));
        }
        Ok(())
    }
}

/// JSON as Python writes it: a space after `,` and `:`, or lines that are indented.
pub(super) fn to_json(_: &State<'_, '_>, value: &Jinja, options: Kwargs) -> Result<Jinja, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let sort: Option<bool> = options.get("sort_keys")?;
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut out = Text::default();
    write_json(value, indent, sort == Some(true), 0, &mut out)?;
    if ascii == Some(true) {
        let mut plain = Text::default();
        for c in out.0.chars() {
            // What stands for another letter stays, as that letter does.
            if c.is_ascii() || is_stand_in(c) {
                plain.push(c.encode_utf8(&mut [0; 4]))?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    plain.push(&format!("\\u{unit:04x}"))?;
                }
            }
        }
        out = plain;
    }
    Ok(Jinja::from(out.0))
}

/// A value as Python prints it.
pub(super) fn write_python(value: &Jinja, depth: usize, out: &mut Text) -> Result<(), minijinja::Error> {
    if depth > 64 {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply"));
    }
    match value.kind() {
        ValueKind::None => out.push("None")?,
        ValueKind::Bool => out.push(if value.is_true() { "True" } else { "False" })?,
        ValueKind::String => {
            let text = value.to_string();
            let quote = if text.contains('\'') && !text.contains('"') { "\"" } else { "'" };
            let mut quoted = String::with_capacity(text.len() + 2);
            for c in text.chars() {
                match c {
                    '\\' => quoted.push_str("\\\\"),
                    '\n' => quoted.push_str("\\n"),
                    '\r' => quoted.push_str("\\r"),
                    '\t' => quoted.push_str("\\t"),
                    c if quote.starts_with(c) => quoted.extend(['\\', c]),
                    c => quoted.push(c),
                }
            }
            out.push(quote)?;
            out.push(&quoted)?;
            out.push(quote)?;
        }
        ValueKind::Map => {
            out.push("{")?;
            for (i, key) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_python(&key, depth + 1, out)?;
                out.push(": ")?;
                write_python(&value.get_item(&key)?, depth + 1, out)?;
            }
            out.push("}")?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push("[")?;
            for (i, item) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_python(&item, depth + 1, out)?;
            }
            out.push("]")?;
        }
        _ => out.push(&value.to_string())?,
    }
    Ok(())
}

fn write_json(
    value: &Jinja,
    indent: Option<usize>,
    sort: bool,
    depth: usize,
    out: &mut Text,
) -> Result<(), minijinja::Error> {
    if depth > 64 {
        return Err(minijinja::Error::new(
            ErrorKind::InvalidOperation,
            "a value is nested too deeply for JSON",
        ));
    }
    let line = |out: &mut Text, depth: usize| {
        if let Some(indent) = indent {
            out.push("\n")?;
            out.spaces(indent.saturating_mul(depth))?;
        }
        Ok::<_, minijinja::Error>(())
    };
    let comma = if indent.is_some() { "," } else { ", " };
    match value.kind() {
        ValueKind::Undefined => {
            return Err(minijinja::Error::new(ErrorKind::UndefinedError, "an undefined value has no JSON"));
        }
        ValueKind::Map => {
            let mut keys: Vec<Jinja> = value.try_iter()?.collect();
            if sort {
                keys.sort();
            }
            out.push("{")?;
            for (i, key) in keys.iter().enumerate() {
                out.push(if i > 0 { comma } else { "" })?;
                line(out, depth + 1)?;
                out.push(&Value::from(key.to_string()).to_string())?;
                out.push(": ")?;
                write_json(&value.get_item(key)?, indent, sort, depth + 1, out)?;
            }
            if !keys.is_empty() {
                line(out, depth)?;
            }
            out.push("}")?;
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push("[")?;
            let mut any = false;
            for item in value.try_iter()? {
                out.push(if any { comma } else { "" })?;
                any = true;
                line(out, depth + 1)?;
                write_json(&item, indent, sort, depth + 1, out)?;
            }
            if any {
                line(out, depth)?;
            }
            out.push("]")?;
        }
        _ => {
            let plain = serde_json::to_string(value).map_err(|e| {
                minijinja::Error::new(ErrorKind::InvalidOperation, format!("a value has no JSON: {e}"))
            })?;
            out.push(&plain)?;
        }
    }
    Ok(())
}

/// The filter of Jinja, for widths that are bounded.
pub(super) fn indent(
    text: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Jinja, minijinja::Error> {
    let wide = width.or(options.get("width")?).unwrap_or(4);
    let lines = text.as_str().split('\n').count();
    Text::default().room(wide.saturating_mul(lines))?;
    minijinja::filters::indent(text, width, first, blank, options)
}

/// A value within a text.
pub(super) fn write_value(value: &Jinja, out: &mut Text) -> Result<(), minijinja::Error> {
    match value.as_str() {
        Some(text) => out.push(text),
        None => write_python(value, 0, out),
    }
}
