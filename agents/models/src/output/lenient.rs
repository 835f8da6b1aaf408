//! What can be shown of JSON that is still being written?

use jiter::{JsonValue, PartialMode};
use serde_json::{Map, Value};

/// The deepest nesting that is shown.
const MAX_DEPTH: usize = 100;

/// What stands in the beginning of a JSON text, with texts that are not finished. For display only: what it gives is
/// never an output, nor arguments of a tool.
///
/// ```
/// use quorate_models::lenient;
/// assert_eq!(lenient(r#"{"dose": 5, "unit": "m"#), Some(serde_json::json!({"dose": 5, "unit": "m"})));
/// assert_eq!(lenient("no JSON"), None);
/// ```
pub fn lenient(text: &str) -> Option<Value> {
    let start = text.find(['{', '['])?;
    let parsed =
        JsonValue::parse_with_config(&text.as_bytes()[start..], false, PartialMode::TrailingStrings).ok()?;
    convert(&parsed, 0)
}

fn convert(value: &JsonValue<'_>, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(b) => Value::Bool(*b),
        JsonValue::Int(n) => Value::from(*n),
        JsonValue::Float(x) => Value::from(*x),
        JsonValue::Str(text) => Value::from(text.as_ref()),
        JsonValue::Array(items) => {
            Value::Array(items.iter().filter_map(|item| convert(item, depth + 1)).collect())
        }
        JsonValue::Object(fields) => {
            let convert = |(key, value): &(std::borrow::Cow<'_, str>, JsonValue<'_>)| {
                Some((key.to_string(), convert(value, depth + 1)?))
            };
            Value::Object(fields.iter().filter_map(convert).collect::<Map<_, _>>())
        }
        #[allow(unreachable_patterns)]
        _ => Value::Null,
    })
}
