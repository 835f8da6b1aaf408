//! What does a filter in JSON say?

use crate::{Code, Error, Result};
use serde_json::{Map, Value as Json};

use super::value::Value;
use super::{MAX_FILTER_DEPTH, MAX_FILTER_SIZE, Node, Order, Test, clip};

pub(super) fn from_json(value: &Json) -> Result<Node> {
    let mut reader = Reader { path: vec!["$".into()], nodes: 0 };
    reader.object(value)
}

struct Reader {
    path: Vec<String>,
    nodes: usize,
}

impl Reader {
    fn error(&self, what: impl std::fmt::Display) -> Error {
        let path: Vec<_> = self.path.iter().map(|step| clip(step)).collect();
        Error::new(Code::FilterSyntax, format!("filter: {what} at position {}", path.join(".")))
    }

    /// Reads one member, one level deeper.
    fn within<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nodes += 1;
        if self.nodes > MAX_FILTER_SIZE {
            return Err(Error::new(
                Code::TooLarge,
                format!("the filter has more than {MAX_FILTER_SIZE} members"),
            ));
        }
        self.path.push(key.into());
        if self.path.len() > MAX_FILTER_DEPTH {
            self.path.truncate(8);
            return Err(self.error(format!("nested deeper than {MAX_FILTER_DEPTH} levels")));
        }
        let out = read(self)?;
        self.path.pop();
        Ok(out)
    }

    fn object(&mut self, value: &Json) -> Result<Node> {
        let Json::Object(members) = value else {
            return Err(self.error(format!("expected an object, found {}", name(value))));
        };
        let mut parts = Vec::new();
        for (key, member) in members {
            let part = self.within(key, |reader| match key.as_str() {
                "$and" => Ok(Node::all(reader.objects(member)?)),
                "$or" => Ok(Node::any(reader.objects(member)?)),
                "$not" => Ok(reader.object(member)?.negated()),
                key if key.starts_with('$') => Err(reader
                    .error(format!("unknown operator {}; here stand fields, $and, $or and $not", clip(key)))),
                field => reader.field(field, member),
            })?;
            parts.push(part);
        }
        Ok(Node::all(parts))
    }

    fn objects(&mut self, value: &Json) -> Result<Vec<Node>> {
        let Json::Array(items) = value else {
            return Err(self.error(format!("expected a list of conditions, found {}", name(value))));
        };
        let mut nodes = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            nodes.push(self.within(&i.to_string(), |reader| reader.object(item))?);
        }
        Ok(nodes)
    }

    fn field(&mut self, field: &str, value: &Json) -> Result<Node> {
        match value {
            Json::Object(operators) if !operators.is_empty() => self.operators(field, operators),
            other => self.equals(field, other),
        }
    }

    fn operators(&mut self, field: &str, operators: &Map<String, Json>) -> Result<Node> {
        let mut parts = Vec::new();
        for (operator, value) in operators {
            let part = self.within(operator, |reader| {
                let test = match operator.as_str() {
                    "$eq" => return reader.equals(field, value),
                    "$ne" => return Ok(reader.equals(field, value)?.negated()),
                    "$gt" => Test::Compare(Order::Greater, reader.value(value)?),
                    "$gte" => Test::Compare(Order::GreaterEqual, reader.value(value)?),
                    "$lt" => Test::Compare(Order::Less, reader.value(value)?),
                    "$lte" => Test::Compare(Order::LessEqual, reader.value(value)?),
                    "$in" => Test::In(reader.values(value)?),
                    "$nin" => return Ok(Node::leaf(field, Test::In(reader.values(value)?)).negated()),
                    "$contains" => Test::Contains(reader.value(value)?),
                    "$exists" => match value {
                        Json::Bool(true) => return Ok(Node::null(field).negated()),
                        Json::Bool(false) => return Ok(Node::null(field)),
                        other => {
                            return Err(reader.error(format!("$exists needs true or false, not {}", name(other))));
                        }
                    },
                    "$not" => return Ok(reader.field(field, value)?.negated()),
                    other => {
                        return Err(reader.error(format!(
                            "unknown operator {}; known are $eq $ne $gt $gte $lt $lte $in $nin $contains $exists $not",
                            clip(other)
                        )));
                    }
                };
                Ok(Node::leaf(field, test))
            })?;
            parts.push(part);
        }
        Ok(Node::all(parts))
    }

    /// Equality, where null asks for absence.
    fn equals(&mut self, field: &str, value: &Json) -> Result<Node> {
        match value {
            Json::Null => Ok(Node::null(field)),
            value => Ok(Node::leaf(field, Test::Compare(Order::Equal, self.value(value)?))),
        }
    }

    fn values(&mut self, value: &Json) -> Result<Vec<Value>> {
        let Json::Array(items) = value else {
            return Err(self.error(format!("expected a list of values, found {}", name(value))));
        };
        let mut values = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            values.push(self.within(&i.to_string(), |reader| reader.value(item))?);
        }
        Ok(values)
    }

    fn value(&self, value: &Json) -> Result<Value> {
        match value {
            Json::String(text) => Ok(Value::String(text.clone())),
            Json::Bool(bool) => Ok(Value::Bool(*bool)),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Ok(Value::Int(int)),
                (None, Some(float)) if float.is_finite() => Ok(Value::Float(float)),
                _ => Err(self.error(format!("the number {number} is out of range"))),
            },
            Json::Array(_) => {
                Err(self.error("a list is no value here; use $in, or $contains for one member"))
            }
            other => Err(self.error(format!("expected a string, number or bool, found {}", name(other)))),
        }
    }
}

fn name(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
