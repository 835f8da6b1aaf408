//! What were the arguments of a call, and are they in the domain of the formula?
//!
//! The schema has looked at their types; here is what a schema does not say. Every refusal is `tool_arguments`.

use quorate_core::{Code, Error, Result, shorten};
use serde_json::{Map, Value};

/// Most entries of a list.
pub(super) const MOST_ENTRIES: usize = 100_000;

/// The arguments of a call, or the members of an entry of a list.
#[derive(Clone, Copy)]
pub(super) struct Given<'a>(pub(super) &'a Map<String, Value>);

/// A refusal.
pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(Code::ToolArguments, message)
}

impl<'a> Given<'a> {
    fn at(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.at(name).is_some()
    }

    /// A finite number.
    pub(super) fn number(self, name: &str) -> Result<f64> {
        let number = self.at(name).and_then(Value::as_f64).filter(|x| x.is_finite());
        number.ok_or_else(|| self.not(name, "a number"))
    }

    pub(super) fn number_or(self, name: &str, default: f64) -> Result<f64> {
        if self.has(name) { self.number(name) } else { Ok(default) }
    }

    /// A number above 0.
    pub(super) fn positive(self, name: &str) -> Result<f64> {
        let number = self.number(name)?;
        if number > 0.0 { Ok(number) } else { Err(self.not(name, "a number above 0")) }
    }

    /// A number of 0 or more.
    pub(super) fn amount(self, name: &str) -> Result<f64> {
        let number = self.number(name)?;
        if number >= 0.0 { Ok(number) } else { Err(self.not(name, "0 or more")) }
    }

    pub(super) fn amount_or(self, name: &str, default: f64) -> Result<f64> {
        if self.has(name) { self.amount(name) } else { Ok(default) }
    }

    /// A number from 0 to 1.
    pub(super) fn share(self, name: &str) -> Result<f64> {
        let number = self.number(name)?;
        if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(self.not(name, "a share from 0 to 1")) }
    }

    pub(super) fn share_or(self, name: &str, default: f64) -> Result<f64> {
        if self.has(name) { self.share(name) } else { Ok(default) }
    }

    /// A number between 0 and 1, neither of them.
    pub(super) fn between(self, name: &str) -> Result<f64> {
        let number = self.share(name)?;
        if number > 0.0 && number < 1.0 {
            Ok(number)
        } else {
            Err(self.not(name, "a share above 0 and below 1"))
        }
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(self, name: &str, least: i64, most: i64) -> Result<i64> {
        let whole = self.number(name)?;
        if whole.fract() == 0.0 && whole >= least as f64 && whole <= most as f64 {
            return Ok(whole as i64);
        }
        Err(self.not(name, &format!("a whole number from {least} to {most}")))
    }

    pub(super) fn text(self, name: &str) -> Result<&'a str> {
        self.at(name).and_then(Value::as_str).ok_or_else(|| self.not(name, "a text"))
    }

    pub(super) fn text_or(self, name: &str, default: &'a str) -> Result<&'a str> {
        if self.has(name) { self.text(name) } else { Ok(default) }
    }

    pub(super) fn flag(self, name: &str) -> Result<bool> {
        match self.at(name) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.not(name, "true or false")),
        }
    }

    /// A list of at most [`MOST_ENTRIES`].
    pub(super) fn list(self, name: &str) -> Result<&'a [Value]> {
        let list = self.at(name).and_then(Value::as_array).ok_or_else(|| self.not(name, "a list"))?;
        if list.len() > MOST_ENTRIES {
            return Err(wrong(format!("{name} has {} entries, {MOST_ENTRIES} are possible", list.len())));
        }
        Ok(list)
    }

    /// A list of finite numbers.
    pub(super) fn numbers(self, name: &str) -> Result<Vec<f64>> {
        let number = |value: &Value| value.as_f64().filter(|x| x.is_finite());
        let numbers: Option<Vec<f64>> = self.list(name)?.iter().map(number).collect();
        numbers.ok_or_else(|| wrong(format!("{name} has an entry that is no number")))
    }

    /// A list of texts; empty where there is none.
    pub(super) fn texts(self, name: &str) -> Result<Vec<&'a str>> {
        if !self.has(name) {
            return Ok(Vec::new());
        }
        let texts: Option<Vec<&str>> = self.list(name)?.iter().map(Value::as_str).collect();
        texts.ok_or_else(|| wrong(format!("{name} has an entry that is no text")))
    }

    /// A list of objects.
    pub(super) fn objects(self, name: &str) -> Result<Vec<Given<'a>>> {
        let objects: Option<Vec<Given<'a>>> =
            self.list(name)?.iter().map(|value| value.as_object().map(Given)).collect();
        objects.ok_or_else(|| wrong(format!("{name} has an entry that is no object")))
    }

    fn not(self, name: &str, expected: &str) -> Error {
        let given =
            self.0.get(name).map_or("missing".to_owned(), |value| shorten(&value.to_string()).to_string());
        wrong(format!("{name} is {given}, expected {expected}"))
    }
}
