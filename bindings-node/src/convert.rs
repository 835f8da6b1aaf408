//! How do values cross between JavaScript and Rust, and with which code is a bad one refused?

use std::collections::BTreeMap;

use napi::bindgen_prelude::{Buffer, Float32Array, Float64Array, ToNapiValue};
use napi::sys::{self, napi_env, napi_value};
use napi::{Env, JsValue, Unknown};
use quorate::consensus::Label;
use quorate::{Code, Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::errors::{OrThrow, Thrown, engine, invalid, shape};
use crate::value::{Given, read};

/// The largest whole number up to which every whole number is a JavaScript number of its own.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The named arguments of a call. What is not read in the end is an unknown option.
pub struct Args {
    members: Vec<(String, Given)>,
    what: &'static str,
}

impl Args {
    /// Copies an options object; `undefined` and `null` have no members.
    pub fn read(env: &Env, options: &Unknown<'_>, what: &'static str) -> Result<Args> {
        match read(env.raw(), options.raw(), what)? {
            Given::Undefined | Given::Null => Ok(Args { members: Vec::new(), what }),
            Given::Object(members) => Ok(Args { members, what }),
            other => Err(invalid(format!("{what} is {}; an object is expected", other.kind()))),
        }
    }

    /// Takes an argument out; `undefined` when it is not there.
    pub fn take(&mut self, name: &str) -> Given {
        match self.members.iter().position(|(key, _)| key == name) {
            Some(at) => self.members.swap_remove(at).1,
            None => Given::Undefined,
        }
    }

    /// The text of an argument, without taking it out; none when it is missing or something else.
    pub fn peek(&self, name: &str) -> Option<&str> {
        match self.members.iter().find(|(key, _)| key == name) {
            Some((_, Given::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The argument as `convert` reads it; none when it is missing.
    pub fn maybe<T>(
        &mut self,
        name: &str,
        convert: impl FnOnce(Given, &str) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.take(name) {
            Given::Undefined | Given::Null => Ok(None),
            given => convert(given, name).map(Some),
        }
    }

    /// The argument as `convert` reads it, or `default` when it is missing.
    pub fn or<T>(
        &mut self,
        name: &str,
        default: T,
        convert: impl FnOnce(Given, &str) -> Result<T>,
    ) -> Result<T> {
        Ok(self.maybe(name, convert)?.unwrap_or(default))
    }

    /// One of `choices`, by name; the first when it is missing.
    pub fn choice<T: Clone>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<T> {
        match (self.maybe(name, text)?, choices) {
            (Some(given), _) => choose(name, &given, choices),
            (None, [(_, first), ..]) => Ok(first.clone()),
            (None, []) => Err(engine(format!("{name} has no choices"))),
        }
    }

    /// Fails when an argument was not taken: an option that does not exist, or a misspelt one.
    pub fn done(self) -> Result<()> {
        match self.members.iter().find(|(_, given)| !matches!(given, Given::Undefined)) {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!("{} has no option '{name}'", self.what))),
        }
    }
}

/// An argument as `convert` reads it, to be thrown when it cannot.
pub fn arg<T>(
    env: &Env,
    value: &Unknown<'_>,
    what: &str,
    convert: impl FnOnce(Given, &str) -> Result<T>,
) -> Result<T, Thrown> {
    read(env.raw(), value.raw(), what).and_then(|given| convert(given, what)).or_throw()
}

/// The value of this name. Errors: `invalid_argument`.
pub fn choose<T: Clone>(what: &str, name: &str, choices: &[(&str, T)]) -> Result<T> {
    match choices.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(value.clone()),
        None => {
            let names: Vec<&str> = choices.iter().map(|(known, _)| *known).collect();
            Err(invalid(format!("{what} is '{name}'; it is one of {}", names.join(", "))))
        }
    }
}

fn expected<T>(given: &Given, what: &str, wanted: &str) -> Result<T> {
    Err(invalid(format!("{what} is {}; {wanted} is expected", given.kind())))
}

/// A string.
pub fn text(given: Given, what: &str) -> Result<String> {
    match given {
        Given::Text(text) => Ok(text),
        other => expected(&other, what, "a string"),
    }
}

/// Strings; a single one is not a list.
pub fn texts(given: Given, what: &str) -> Result<Vec<String>> {
    list(given, what)?.into_iter().enumerate().map(|(i, item)| text(item, &format!("{what}[{i}]"))).collect()
}

/// Yes or no.
pub fn boolean(given: Given, what: &str) -> Result<bool> {
    match given {
        Given::Bool(value) => Ok(value),
        other => expected(&other, what, "a boolean"),
    }
}

/// A number, also NaN and infinite ones, which the core refuses where they have no meaning.
pub fn number(given: Given, what: &str) -> Result<f64> {
    match given {
        Given::Number(x) => Ok(x),
        Given::Big(i) => Ok(i as f64),
        other @ (Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)) => {
            Err(shape(format!("{what} is {}; a number is expected here", other.kind())))
        }
        other => expected(&other, what, "a number"),
    }
}

/// A number of 32 bits.
pub fn number32(given: Given, what: &str) -> Result<f32> {
    Ok(number(given, what)? as f32)
}

/// A whole number from 0.
pub fn count(given: Given, what: &str) -> Result<usize> {
    let wanted = "a whole number from 0";
    match given {
        Given::Number(x) if (0.0..=MAX_SAFE).contains(&x) && x.fract() == 0.0 => Ok(x as usize),
        Given::Number(x) => Err(invalid(format!("{what} is {x}; {wanted} is expected"))),
        Given::Big(i) => {
            usize::try_from(i).map_err(|_| invalid(format!("{what} is {i}; {wanted} is expected")))
        }
        other => expected(&other, what, wanted),
    }
}

/// A whole number from 0, of 64 bits.
pub fn whole(given: Given, what: &str) -> Result<u64> {
    Ok(count(given, what)? as u64)
}

/// The items of an array or a typed array.
pub fn list(given: Given, what: &str) -> Result<Vec<Given>> {
    Ok(match given {
        Given::List(items) => items,
        Given::F32(numbers) => numbers.into_iter().map(|x| Given::Number(x.into())).collect(),
        Given::F64(numbers) => numbers.into_iter().map(Given::Number).collect(),
        Given::Ints(numbers) => numbers.into_iter().map(Given::Big).collect(),
        other => return expected(&other, what, "an array"),
    })
}

/// The members of an object.
pub fn members(given: Given, what: &str) -> Result<Vec<(String, Given)>> {
    match given {
        Given::Object(members) => Ok(members),
        other => expected(&other, what, "an object"),
    }
}

/// Numbers in one dimension. `null` and `undefined` are NaN where `gaps` are allowed.
pub fn floats(given: Given, what: &str, gaps: bool) -> Result<Vec<f64>> {
    match given {
        Given::F64(numbers) => Ok(numbers),
        Given::F32(numbers) => Ok(numbers.into_iter().map(f64::from).collect()),
        Given::Ints(numbers) => Ok(numbers.into_iter().map(|i| i as f64).collect()),
        Given::List(items) => items
            .into_iter()
            .enumerate()
            .map(|(i, item)| match item {
                Given::Number(x) => Ok(x),
                Given::Undefined | Given::Null if gaps => Ok(f64::NAN),
                item => number(item, &format!("{what}[{i}]")),
            })
            .collect(),
        other => expected(&other, what, "an array of numbers"),
    }
}

/// A vector.
pub fn floats32(given: Given, what: &str) -> Result<Vec<f32>> {
    match given {
        Given::F32(numbers) => Ok(numbers),
        other => Ok(floats(other, what, false)?.into_iter().map(|x| x as f32).collect()),
    }
}

/// Rows of numbers; they may differ in length where the core allows it.
pub fn rows(given: Given, what: &str, gaps: bool) -> Result<Vec<Vec<f64>>> {
    let Given::List(items) = given else {
        return match given {
            Given::F32(_) | Given::F64(_) | Given::Ints(_) => {
                Err(shape(format!("{what} has one dimension; rows of numbers are expected")))
            }
            other => expected(&other, what, "an array of rows"),
        };
    };
    items
        .into_iter()
        .enumerate()
        .map(|(i, row)| match row {
            Given::Number(_) | Given::Big(_) => {
                Err(shape(format!("{what}[{i}] is a number; a row of numbers is expected")))
            }
            row => floats(row, &format!("{what}[{i}]"), gaps),
        })
        .collect()
}

/// Is this an array of numbers (one dimension) rather than one of rows? An empty one is.
pub fn is_flat(given: &Given) -> bool {
    match given {
        Given::List(items) => {
            !matches!(items.first(), Some(Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)))
        }
        _ => true,
    }
}

/// Indices: whole numbers that are not negative.
pub fn indices(given: Given, what: &str) -> Result<Vec<usize>> {
    list(given, what)?.into_iter().enumerate().map(|(i, item)| count(item, &format!("{what}[{i}]"))).collect()
}

/// Yes or no, as booleans or as 1 and 0.
pub fn booleans(given: Given, what: &str) -> Result<Vec<bool>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, item)| match item {
            Given::Bool(value) => Ok(value),
            Given::Number(0.0) | Given::Big(0) => Ok(false),
            Given::Number(1.0) | Given::Big(1) => Ok(true),
            other => expected(&other, &format!("{what}[{i}]"), "true or false"),
        })
        .collect()
}

/// A pair of numbers.
pub fn pair(given: Given, what: &str) -> Result<(f64, f64)> {
    match floats(given, what, false)?[..] {
        [low, high] => Ok((low, high)),
        ref other => Err(shape(format!("{what} has {} numbers; two are expected", other.len()))),
    }
}

/// A label: a string or a number. None for a missing one: `null`, `undefined`, NaN.
pub fn label(given: Given, what: &str) -> Result<Option<Label>> {
    Ok(Some(match given {
        Given::Undefined | Given::Null => return Ok(None),
        Given::Number(x) if x.is_nan() => return Ok(None),
        Given::Number(x) if x.fract() == 0.0 && x.abs() > MAX_SAFE => {
            return Err(invalid(format!(
                "{what} is {x}, which may stand for several whole numbers; give a BigInt or a string"
            )));
        }
        Given::Number(x) => Label::from(x),
        Given::Big(i) => Label::from(i),
        Given::Bool(b) => Label::from(i64::from(b)),
        Given::Text(text) => Label::from(text),
        other => return expected(&other, what, "a string or a number"),
    }))
}

/// Labels that are all there.
pub fn labels(given: Given, what: &str) -> Result<Vec<Label>> {
    list(given, what)?
        .into_iter()
        .enumerate()
        .map(|(i, item)| {
            let what = format!("{what}[{i}]");
            label(item, &what)?.ok_or_else(|| invalid(format!("{what} is missing")))
        })
        .collect()
}

/// A label as JSON. A whole number that is no JavaScript number of its own becomes `{"$big": digits}`.
pub fn from_label(label: &Label) -> Value {
    match label {
        Label::Int(i) if i.unsigned_abs() as f64 > MAX_SAFE => serde_json::json!({ "$big": i.to_string() }),
        Label::Int(i) => (*i).into(),
        Label::Float(x) => (*x).into(),
        Label::Text(t) => Value::String((**t).to_owned()),
    }
}

/// Labels as JSON.
pub fn from_labels(labels: &[Label]) -> Value {
    labels.iter().map(from_label).collect()
}

/// A value that users or models have given, as JSON in which whole numbers beyond 2^53 are marked, to become BigInts. Keys of their
/// own that look like the mark are escaped.
pub fn marked(value: Value) -> Value {
    let is_mark = |key: &str| {
        key.strip_suffix("big").is_some_and(|rest| rest.starts_with('$') && rest.bytes().all(|b| b == b'$'))
    };
    match value {
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) if i.unsigned_abs() as f64 > MAX_SAFE => {
                serde_json::json!({ "$big": i.to_string() })
            }
            (None, Some(u)) => serde_json::json!({ "$big": u.to_string() }),
            _ => Value::Number(n),
        },
        Value::Array(items) => items.into_iter().map(marked).collect(),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (if is_mark(&key) { format!("${key}") } else { key }, marked(value)))
                .collect(),
        ),
        other => other,
    }
}

/// The same of JSON text; only where it may be needed is it looked at closely.
pub fn marked_text(text: &str) -> String {
    let long = text.as_bytes().split(|b| !b.is_ascii_digit()).any(|digits| digits.len() >= 16);
    match (long || text.contains("$big\"")).then(|| serde_json::from_str(text)) {
        Some(Ok(value)) => marked(value).to_string(),
        _ => text.to_owned(),
    }
}

/// What metadata and filters are made of. Errors: `invalid_document`, `not_finite`.
pub fn json(given: Given, what: &str) -> Result<Value> {
    value(given, what, false)
}

/// What people and models say to one another: the same, and whole numbers of 64 bits without a sign.
pub fn said(given: Given, what: &str) -> Result<Value> {
    value(given, what, true)
}

fn value(given: Given, what: &str, unsigned: bool) -> Result<Value> {
    let refuse = |what: String| Err(Error::new(Code::InvalidDocument, what));
    Ok(match given {
        Given::Undefined | Given::Null => Value::Null,
        Given::Bool(b) => b.into(),
        Given::Big(i) => i.into(),
        Given::Wide(u) if unsigned => u.into(),
        Given::Wide(_) => return Err(invalid(format!("{what} is {}", given.kind()))),
        Given::Number(x) if x.fract() == 0.0 && x.abs() <= MAX_SAFE => (x as i64).into(),
        Given::Number(x) => match serde_json::Number::from_f64(x) {
            Some(n) => Value::Number(n),
            None => return Err(Error::new(Code::NotFinite, format!("{what} is {x}"))),
        },
        Given::Text(text) | Given::Date(text) => text.into(),
        Given::Object(members) => Value::Object(values(members, what, unsigned)?),
        Given::Other(kind) => {
            return refuse(format!(
                "{what} is {kind}; strings, numbers, booleans, null, arrays and objects are kept"
            ));
        }
        items => list(items, what)?
            .into_iter()
            .enumerate()
            .map(|(i, item)| value(item, &format!("{what}[{i}]"), unsigned))
            .collect::<Result<_>>()?,
    })
}

/// Members as JSON; those that are `undefined` are left out, as JSON.stringify does.
pub fn object(members: Vec<(String, Given)>, what: &str) -> Result<serde_json::Map<String, Value>> {
    values(members, what, false)
}

fn values(
    members: Vec<(String, Given)>,
    what: &str,
    unsigned: bool,
) -> Result<serde_json::Map<String, Value>> {
    members
        .into_iter()
        .filter(|(_, given)| !matches!(given, Given::Undefined))
        .map(|(key, given)| {
            let value = value(given, &format!("{what}.{key}"), unsigned)?;
            Ok((key, value))
        })
        .collect()
}

/// `{name: text}` pairs.
pub fn named_texts(given: Given, what: &str) -> Result<Vec<(String, String)>> {
    members(given, what)?
        .into_iter()
        .map(|(name, value)| {
            let value = text(value, &format!("{what}.{name}"))?;
            Ok((name, value))
        })
        .collect()
}

/// `{query: {document: number}}`, the form of runs and judgements.
pub fn nested<T>(
    given: Given,
    what: &str,
    convert: impl Fn(Given, &str) -> Result<T>,
) -> Result<BTreeMap<String, BTreeMap<String, T>>> {
    members(given, what)?
        .into_iter()
        .map(|(query, documents)| {
            let place = format!("{what}.{query}");
            let inner = members(documents, &place)?
                .into_iter()
                .map(|(document, given)| {
                    let number = convert(given, &format!("{place}.{document}"))?;
                    Ok((document, number))
                })
                .collect::<Result<_>>()?;
            Ok((query, inner))
        })
        .collect()
}

/// A result on its way to JavaScript.
pub enum Out {
    /// `undefined`.
    Nothing,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string; reports are JSON.
    Text(String),
    /// A Buffer.
    Bytes(Vec<u8>),
    /// A Float32Array.
    F32(Vec<f32>),
    /// A Float64Array.
    F64(Vec<f64>),
    /// An array.
    List(Vec<Out>),
    /// An instance of a native class, made by this on the JavaScript thread.
    Object(Box<dyn FnOnce(napi_env) -> napi::Result<napi_value> + Send>),
}

impl Out {
    /// An instance of a native class.
    pub fn object<T: ToNapiValue + Send + 'static>(value: T) -> Out {
        // SAFETY: `give` passes the environment of the call that is being served.
        Out::Object(Box::new(move |env| unsafe { T::to_napi_value(env, value) }))
    }

    /// A count. Whole numbers up to 2^53 are exact.
    pub fn count(n: usize) -> Out {
        Out::Number(n as f64)
    }

    /// The value for JavaScript; `env` serves a call on this thread.
    pub fn give(self, env: napi_env) -> napi::Result<napi_value> {
        // SAFETY (all below): `env` is alive on this thread, as its caller says.
        match self {
            Out::Nothing => unsafe { ToNapiValue::to_napi_value(env, ()) },
            Out::Bool(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Number(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Text(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Bytes(bytes) => unsafe { ToNapiValue::to_napi_value(env, Buffer::from(bytes)) },
            Out::F32(values) => unsafe { ToNapiValue::to_napi_value(env, Float32Array::new(values)) },
            Out::F64(values) => unsafe { ToNapiValue::to_napi_value(env, Float64Array::new(values)) },
            Out::Object(make) => make(env),
            Out::List(items) => {
                let mut array = std::ptr::null_mut();
                let length = items.len();
                napi::check_status!(unsafe { sys::napi_create_array_with_length(env, length, &mut array) })?;
                for (i, item) in items.into_iter().enumerate() {
                    let value = item.give(env)?;
                    napi::check_status!(unsafe { sys::napi_set_element(env, array, i as u32, value) })?;
                }
                Ok(array)
            }
        }
    }
}

/// A report of the core as JSON under its field names in camelCase.
pub fn report(value: &impl Serialize) -> Result<Out> {
    let value = serde_json::to_value(value).map_err(|e| {
        Error::with_source(Code::Internal, format!("a result could not be converted: {e}"), e)
    })?;
    Ok(Out::Text(camel(value).to_string()))
}

/// The same value with every key in camelCase. Not for values with keys that users have given.
pub fn camel(value: Value) -> Value {
    rename(value, &|key| {
        let mut out = String::with_capacity(key.len());
        let mut upper = false;
        for c in key.chars() {
            match c {
                '_' => upper = true,
                c if upper => {
                    out.extend(c.to_uppercase());
                    upper = false;
                }
                c => out.push(c),
            }
        }
        out
    })
}

/// The same value with every key in snake_case.
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

fn rename(value: Value, to: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (to(&key), rename(value, to))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| rename(item, to)).collect(),
        other => other,
    }
}
