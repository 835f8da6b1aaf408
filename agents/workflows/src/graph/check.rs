//! Does a value fit the schema of its channel?

use std::fmt;
use std::sync::Arc;

use boon::{Compiler, Draft, SchemaIndex, Schemas, UrlLoader};
use quorate_core::{Error, Result, shorten};
use serde_json::Value;

/// Where the schema is said to lie; it is nowhere.
const PLACE: &str = "quorate:///state.json";

/// A function that refuses a value by an error.
pub(crate) type Validator = Arc<dyn Fn(&Value) -> Result<()> + Send + Sync>;

/// What a channel may hold.
pub(crate) enum Check {
    /// Anything.
    Any,
    /// A value of one of these types.
    Types(Vec<Type>),
    /// What a schema says.
    Schema(Box<(Schemas, SchemaIndex)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::Any => f.write_str("Any"),
            Check::Types(types) => f.debug_tuple("Types").field(types).finish(),
            Check::Schema(_) => f.write_str("Schema"),
        }
    }
}

/// Loads nothing.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("the schema points at '{url}'; nothing is fetched").into())
    }
}

impl Check {
    /// The check of a property of a schema. Errors: `invalid_argument`.
    pub(crate) fn of(property: &Value, whole: &Value) -> Result<Check> {
        if let Some(types) = plain(property) {
            return Ok(if types.is_empty() { Check::Any } else { Check::Types(types) });
        }
        let mut schema = property.clone();
        if let (Value::Object(schema), Some(definitions)) = (&mut schema, whole.get("$defs")) {
            schema.entry("$defs").or_insert_with(|| definitions.clone());
        }
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(Nowhere));
        let invalid = |e: boon::CompileError| {
            let text: String = format!("{e:#}").chars().take(300).collect();
            Error::invalid(format!("no JSON Schema that can be used: {text}"))
        };
        compiler.add_resource(PLACE, schema).map_err(invalid)?;
        let mut schemas = Schemas::new();
        let index = compiler.compile(PLACE, &mut schemas).map_err(invalid)?;
        Ok(Check::Schema(Box::new((schemas, index))))
    }

    /// Errors: `invalid_argument` with the path of the fault.
    pub(crate) fn check(&self, value: &Value) -> Result<()> {
        match self {
            Check::Any => Ok(()),
            Check::Types(types) if types.iter().any(|one| one.has(value)) => Ok(()),
            Check::Types(types) => {
                let names: Vec<String> = types.iter().map(|one| format!("{one:?}").to_lowercase()).collect();
                let given = shorten(&value.to_string()).escape_debug().to_string();
                Err(Error::invalid(format!(
                    "the schema wants {}, and {given} was written",
                    names.join(" or ")
                )))
            }
            Check::Schema(schema) => {
                let Err(error) = schema.0.validate(value, schema.1) else { return Ok(()) };
                // The causes form a tree, whose leaves say what is wrong.
                let mut leaf = &error;
                while let Some(cause) = leaf.causes.first() {
                    leaf = cause;
                }
                let text: String = leaf.kind.to_string().chars().take(300).collect();
                Err(Error::invalid(format!("at '{}': {text}", leaf.instance_location)))
            }
        }
    }
}

impl Type {
    fn has(self, value: &Value) -> bool {
        match self {
            Type::Null => value.is_null(),
            Type::Boolean => value.is_boolean(),
            Type::Integer => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
            }
            Type::Number => value.is_number(),
            Type::String => value.is_string(),
            Type::Array => value.is_array(),
            Type::Object => value.is_object(),
        }
    }
}

/// The types of a schema that says nothing else about a value; empty: it says nothing.
fn plain(property: &Value) -> Option<Vec<Type>> {
    let property = match property {
        Value::Bool(true) => return Some(Vec::new()),
        Value::Object(property) => property,
        _ => return None,
    };
    let silent = ["type", "title", "description", "default", "examples", "$comment"];
    if property.keys().any(|key| !silent.contains(&key.as_str())) {
        return None;
    }
    let named = |name: &Value| {
        Some(match name.as_str()? {
            "null" => Type::Null,
            "boolean" => Type::Boolean,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "string" => Type::String,
            "array" => Type::Array,
            "object" => Type::Object,
            _ => return None,
        })
    };
    match property.get("type") {
        None => Some(Vec::new()),
        Some(Value::Array(names)) => names.iter().map(named).collect(),
        Some(name) => named(name).map(|one| vec![one]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_checked_with_the_path_of_the_fault() {
        let whole = json!({"$defs": {"score": {"type": "number", "maximum": 1}}});
        for (schema, good, bad, says) in [
            (json!({"type": "integer"}), json!(2.0), json!(2.5), "integer"),
            (json!({"type": ["string", "null"]}), json!(null), json!(1), "string or null"),
            (json!({"type": "array", "items": {"type": "string"}}), json!(["a"]), json!(["a", 1]), "at '/1'"),
            (json!({"$ref": "#/$defs/score"}), json!(0.5), json!(2), "2"),
            (json!({"enum": ["a", "b"]}), json!("a"), json!("c"), "at ''"),
        ] {
            let check = Check::of(&schema, &whole).unwrap();
            check.check(&good).unwrap();
            let error = check.check(&bad).unwrap_err();
            assert!(error.message().contains(says), "{schema}: {error}");
        }
        assert!(matches!(Check::of(&json!({"title": "x"}), &whole).unwrap(), Check::Any));
        assert!(Check::of(&json!({"type": "text"}), &whole).is_err());
        assert!(Check::of(&json!({"$ref": "https://example.org/schema"}), &whole).is_err());
        assert!(Check::of(&json!(3), &whole).is_err());
    }
}
