//! How does what a node writes come to what a channel holds?

use std::fmt;
use std::sync::Arc;

use quorate_core::{Code, Error, Result, shorten};
use serde_json::{Map, Number, Value};

/// How the writes to a channel are put together.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Reducer {
    /// The value that was written last. Two nodes must not write it in one step.
    #[default]
    Last,
    /// An array that grows: by the elements of an array, or by one value of another type. It begins empty.
    Append,
    /// An object whose fields are replaced by those that are written. It begins empty.
    Merge,
    /// The sum of the numbers that are written. It begins with 0. Of whole numbers it is exact; beyond 64 bits it is `not_finite`.
    Sum,
    /// The greatest of the numbers, or of the texts, that are written.
    Max,
    /// An array of different values: one that is there already is not added. It begins empty.
    Union,
    /// An object of what each node wrote under the node's name, which is there once every node that says that it writes the
    /// channel has done so; then the next round begins.
    Barrier,
    /// Whatever a function makes of the value that is there, where there is one, and of the one that is written.
    Custom(Arc<dyn Fn(Option<&Value>, &Value) -> Result<Value> + Send + Sync>),
}

impl fmt::Debug for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Reducer {
    /// A function of the value that is there, where there is one, and of the one that is written.
    pub fn custom(f: impl Fn(Option<&Value>, &Value) -> Result<Value> + Send + Sync + 'static) -> Reducer {
        Reducer::Custom(Arc::new(f))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Reducer::Last => "last",
            Reducer::Append => "append",
            Reducer::Merge => "merge",
            Reducer::Sum => "sum",
            Reducer::Max => "max",
            Reducer::Union => "union",
            Reducer::Barrier => "barrier",
            Reducer::Custom(_) => "custom",
        }
    }

    /// The reducer with this name. Errors: `invalid_argument`.
    ///
    /// ```
    /// use quorate_workflows::graph::Reducer;
    /// assert_eq!(Reducer::named("append").unwrap().name(), "append");
    /// assert!(Reducer::named("appendix").is_err());
    /// ```
    pub fn named(name: &str) -> Result<Reducer> {
        Ok(match name {
            "last" => Reducer::Last,
            "append" => Reducer::Append,
            "merge" => Reducer::Merge,
            "sum" => Reducer::Sum,
            "max" => Reducer::Max,
            "union" => Reducer::Union,
            "barrier" => Reducer::Barrier,
            other => {
                return Err(Error::invalid(format!(
                    "no reducer is called '{}'; give last, append, merge, sum, max, union, barrier or a function",
                    shorten(other).escape_debug()
                )));
            }
        })
    }

    /// Whether what a channel holds begins with all that it held before.
    pub(crate) fn extends(&self) -> bool {
        matches!(self, Reducer::Append | Reducer::Union)
    }

    /// What a channel holds before anything is written.
    pub(crate) fn empty(&self) -> Option<Value> {
        match self {
            Reducer::Append | Reducer::Union => Some(Value::Array(Vec::new())),
            Reducer::Merge => Some(Value::Object(Map::new())),
            Reducer::Sum => Some(Value::from(0)),
            Reducer::Last | Reducer::Max | Reducer::Barrier | Reducer::Custom(_) => None,
        }
    }

    /// What a channel holds after a write by `writer`; of a barrier, what has come so far (see [`arrived`]).
    /// Errors: `invalid_argument` when the types do not fit; those of a function.
    pub(crate) fn reduce(
        &self,
        old: Option<Arc<Value>>,
        write: Value,
        writer: &str,
        writers: &[String],
    ) -> Result<Value> {
        // What nobody else has is not copied.
        let owned = |old: Option<Arc<Value>>| old.map(Arc::unwrap_or_clone);
        match self {
            Reducer::Last => Ok(write),
            Reducer::Append => {
                let mut all = array(owned(old), "append")?;
                match write {
                    Value::Array(more) => all.extend(more),
                    one => all.push(one),
                }
                Ok(Value::Array(all))
            }
            Reducer::Union => {
                let mut all = array(owned(old), "union")?;
                let more = match write {
                    Value::Array(more) => more,
                    one => vec![one],
                };
                for value in more {
                    if !all.contains(&value) {
                        all.push(value);
                    }
                }
                Ok(Value::Array(all))
            }
            Reducer::Merge => {
                let mut all = match owned(old) {
                    None => Map::new(),
                    Some(Value::Object(all)) => all,
                    Some(other) => return Err(unfit("merge", "an object", &other)),
                };
                match write {
                    Value::Object(more) => all.extend(more),
                    other => return Err(unfit("merge", "an object", &other)),
                }
                Ok(Value::Object(all))
            }
            Reducer::Sum => sum(old.as_deref().unwrap_or(&Value::from(0)), &write),
            Reducer::Max => max(owned(old), write),
            Reducer::Barrier => {
                let mut all = match owned(old) {
                    Some(Value::Object(all)) if !arrived(&all, writers) => all,
                    _ => Map::new(),
                };
                all.insert(writer.to_owned(), write);
                Ok(Value::Object(all))
            }
            Reducer::Custom(f) => f(old.as_deref(), &write),
        }
    }
}

/// Whether all who write a barrier have.
pub(crate) fn arrived(there: &Map<String, Value>, writers: &[String]) -> bool {
    writers.iter().all(|writer| there.contains_key(writer))
}

fn array(there: Option<Value>, reducer: &str) -> Result<Vec<Value>> {
    match there {
        None => Ok(Vec::new()),
        Some(Value::Array(all)) => Ok(all),
        Some(other) => Err(unfit(reducer, "an array", &other)),
    }
}

fn sum(there: &Value, write: &Value) -> Result<Value> {
    let whole = |value: &Value| value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    if let (Some(a), Some(b)) = (whole(there), whole(write)) {
        let sum = i64::try_from(a + b).map(Value::from).or_else(|_| u64::try_from(a + b).map(Value::from));
        return sum.map_err(|_| {
            let message = format!(
                "the sum of whole numbers {a} and {b} is beyond 64 bits and would lose digits; write numbers with a fraction (1.0) where it may be rounded"
            );
            Error::new(Code::NotFinite, message)
        });
    }
    let [a, b] = [there, write].map(Value::as_f64);
    let (Some(a), Some(b)) = (a, b) else {
        return Err(unfit("sum", "a number", if a.is_none() { there } else { write }));
    };
    let number = Number::from_f64(a + b);
    number.map(Value::Number).ok_or_else(|| Error::new(Code::NotFinite, "a sum is too large for a number"))
}

fn max(there: Option<Value>, write: Value) -> Result<Value> {
    let Some(there) = there else {
        return if write.is_number() || write.is_string() {
            Ok(write)
        } else {
            Err(unfit("max", "a number or a text", &write))
        };
    };
    let greater = match (&there, &write) {
        (Value::String(a), Value::String(b)) => b > a,
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => b > a,
            _ => b.as_f64() > a.as_f64(),
        },
        _ => return Err(unfit("max", "a number or a text, as before", &write)),
    };
    Ok(if greater { write } else { there })
}

fn unfit(reducer: &str, expected: &str, given: &Value) -> Error {
    let kind = match given {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Error::invalid(format!("'{reducer}' takes {expected}, and {kind} was written"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(reducer: &Reducer, writes: Value) -> Result<Value> {
        let writers = ["a".to_owned(), "b".to_owned()];
        let mut there = reducer.empty().map(Arc::new);
        for (i, write) in writes.as_array().unwrap().iter().enumerate() {
            let writer = ["a", "b"][i % 2];
            there = Some(Arc::new(reducer.reduce(there, write.clone(), writer, &writers)?));
        }
        Ok(there.map_or(Value::Null, |there| (*there).clone()))
    }

    #[test]
    fn writes_are_put_together() {
        for (reducer, writes, expected) in [
            (Reducer::Last, json!([1, "x"]), json!("x")),
            (Reducer::Append, json!([[1], 2, [[3]]]), json!([1, 2, [3]])),
            (
                Reducer::Merge,
                json!([{"a": 1, "b": {"c": 1}}, {"b": {"d": 2}}]),
                json!({"a": 1, "b": {"d": 2}}),
            ),
            (Reducer::Sum, json!([1, 2, 0.5]), json!(3.5)),
            (Reducer::Sum, json!([i64::MAX, 1]), json!(9_223_372_036_854_775_808_u64)),
            (Reducer::Max, json!([1, 3, 2.5]), json!(3)),
            (Reducer::Max, json!(["a", "c", "b"]), json!("c")),
            (Reducer::Union, json!([["x", 1], 1, ["y", "x"]]), json!(["x", 1, "y"])),
            (Reducer::Barrier, json!([1]), json!({"a": 1})),
            (Reducer::Barrier, json!([1, 2]), json!({"a": 1, "b": 2})),
            (Reducer::Barrier, json!([1, 2, 3]), json!({"a": 3})),
        ] {
            assert_eq!(all(&reducer, writes).unwrap(), expected, "{reducer:?}");
        }
        let longest = Reducer::custom(|old, new| {
            let length = |value: &Value| value.as_str().map_or(0, str::len);
            Ok(if old.is_some_and(|old| length(old) >= length(new)) {
                old.cloned().unwrap()
            } else {
                new.clone()
            })
        });
        assert_eq!(all(&longest, json!(["bb", "ccc", "aaa"])).unwrap(), json!("ccc"));
    }

    #[test]
    fn types_must_fit() {
        for (reducer, writes) in [
            (Reducer::Merge, json!([1])),
            (Reducer::Sum, json!(["1"])),
            (Reducer::Max, json!([1, "1"])),
            (Reducer::Max, json!([[1]])),
        ] {
            assert_eq!(all(&reducer, writes).unwrap_err().code(), Code::InvalidArgument, "{reducer:?}");
        }
        for beyond in [json!([u64::MAX, 1]), json!([i64::MIN, -1])] {
            assert_eq!(all(&Reducer::Sum, beyond).unwrap_err().code(), Code::NotFinite);
        }
        assert_eq!(all(&Reducer::Sum, json!([u64::MAX, 1.0])).unwrap(), json!(1.844_674_407_370_955_2e19));
        assert_eq!(all(&Reducer::Sum, json!([f64::MAX, f64::MAX])).unwrap_err().code(), Code::NotFinite);
    }
}
