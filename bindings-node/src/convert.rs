//! How do values cross between JavaScript and Rust, and with which code is a bad one refused?

use napi::bindgen_prelude::{Buffer, Float32Array, Float64Array, ToNapiValue};
use napi::sys::{self, napi_env, napi_value};
use napi::{Env, JsValue, Unknown};
use quorate::consensus::Label;
use quorate::{Code, Error, Result};
pub use quorate_bindings::camel;
use quorate_bindings::read::MAX_SAFE;
use quorate_bindings::{Answer, Args, Host};
use serde::Serialize;
use serde_json::Value;

use crate::errors::{OrThrow, Thrown};
use crate::value::{Given, read};

pub use quorate_bindings::read::{
    boolean, choose, count, floats, floats32, json, list, named_texts, nested, number, number32, object,
    rows32, said, seconds, text, texts, whole,
};

/// The named arguments of a call. `what`: what they are called together, for messages.
pub fn args(env: &Env, options: &Unknown<'_>, what: &'static str) -> Result<Args> {
    Args::new(Host::Node, what, read(env.raw(), options.raw(), what)?)
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

/// A result on its way to JavaScript.
pub enum Out {
    /// `undefined`.
    Nothing,
    /// `null`.
    Null,
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
    /// An object.
    Members(Vec<(String, Out)>),
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
            Out::Null => unsafe { ToNapiValue::to_napi_value(env, napi::bindgen_prelude::Null) },
            Out::Bool(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Number(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Text(value) => unsafe { ToNapiValue::to_napi_value(env, value) },
            Out::Bytes(bytes) => unsafe { ToNapiValue::to_napi_value(env, Buffer::from(bytes)) },
            Out::F32(values) => unsafe { ToNapiValue::to_napi_value(env, Float32Array::new(values)) },
            Out::F64(values) => unsafe { ToNapiValue::to_napi_value(env, Float64Array::new(values)) },
            Out::Object(make) => make(env),
            Out::Members(members) => {
                let mut object = std::ptr::null_mut();
                napi::check_status!(unsafe { sys::napi_create_object(env, &mut object) })?;
                for (name, member) in members {
                    let name = unsafe { ToNapiValue::to_napi_value(env, name) }?;
                    let value = member.give(env)?;
                    napi::check_status!(unsafe { sys::napi_set_property(env, object, name, value) })?;
                }
                Ok(object)
            }
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

/// An answer: numbers and arrays as they are, members as `{ json, arrays... }`, anything else as JSON text.
pub fn answer(answer: Answer) -> Out {
    match answer {
        Answer::Value(Value::Null) => Out::Null,
        Answer::Value(Value::Number(n)) => Out::Number(n.as_f64().unwrap_or(f64::NAN)),
        Answer::Array(numbers, _) => Out::F64(numbers),
        Answer::Members(members) => {
            let (arrays, plain): (Vec<_>, Vec<_>) =
                members.into_iter().partition(|(_, member)| matches!(member, Answer::Array(..)));
            let json = Out::Text(plainly(Answer::Members(plain)).to_string());
            let arrays =
                arrays.into_iter().map(|(name, array)| (Host::Node.name(&name), self::answer(array)));
            Out::Members([("json".to_owned(), json)].into_iter().chain(arrays).collect())
        }
        other => Out::Text(plainly(other).to_string()),
    }
}

/// An answer as JSON.
fn plainly(answer: Answer) -> Value {
    match answer {
        Answer::Value(value) => camel(value),
        Answer::Array(numbers, _) => numbers.into(),
        Answer::Label(label) => from_label(&label),
        Answer::List(items) => items.into_iter().map(plainly).collect(),
        Answer::Members(members) => {
            let members = members.into_iter().map(|(name, member)| (Host::Node.name(&name), plainly(member)));
            Value::Object(members.collect())
        }
        Answer::Labelled(members) => {
            let members = members.into_iter().map(|(label, member)| (label.to_string(), plainly(member)));
            Value::Object(members.collect())
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
