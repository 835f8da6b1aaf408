//! What can be shown of JSON that is still being written?

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType, Peek};
use serde_json::{Map, Number, Value};

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
    let mut reader = Jiter::new(&text.as_bytes()[start..]).with_allow_partial_strings();
    let read = reader.peek().map_err(|error| stop(&error, None)).and_then(|peek| value(&mut reader, peek, 0));
    match read {
        Ok(whole) => reader.finish().is_ok().then_some(whole),
        Err(Stop::Cut(shown)) => shown,
        Err(Stop::Broken) => None,
    }
}

/// Why a value is not whole.
enum Stop {
    /// The text ended; what there is of the value.
    Cut(Option<Value>),
    /// It is no JSON.
    Broken,
}

fn value(reader: &mut Jiter<'_>, peek: Peek, depth: usize) -> Result<Value, Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::Broken);
    }
    let none = |error: JiterError| stop(&error, None);
    match peek {
        Peek::Null => reader.known_null().map(|()| Value::Null).map_err(none),
        Peek::True | Peek::False => reader.known_bool(peek).map(Value::Bool).map_err(none),
        Peek::String => reader.known_str().map(Value::from).map_err(none),
        Peek::Array => array(reader, depth),
        Peek::Object => object(reader, depth),
        _ => {
            let written = reader.known_number_bytes(peek).map_err(none)?;
            // One beyond all numbers is shown as it is written.
            let number = serde_json::from_slice::<Number>(written).map(Value::Number);
            Ok(number.unwrap_or_else(|_| String::from_utf8_lossy(written).into()))
        }
    }
}

fn array(reader: &mut Jiter<'_>, depth: usize) -> Result<Value, Stop> {
    let mut items = Vec::new();
    let mut next = reader.known_array();
    loop {
        match next {
            Ok(None) => return Ok(Value::Array(items)),
            Ok(Some(peek)) => match value(reader, peek, depth + 1) {
                Ok(item) => items.push(item),
                Err(Stop::Cut(item)) => {
                    items.extend(item);
                    return Err(Stop::Cut(Some(Value::Array(items))));
                }
                Err(broken) => return Err(broken),
            },
            Err(error) => return Err(stop(&error, Some(Value::Array(items)))),
        }
        next = reader.array_step();
    }
}

fn object(reader: &mut Jiter<'_>, depth: usize) -> Result<Value, Stop> {
    let mut fields = Map::new();
    let mut next = reader.known_object().map(|key| key.map(str::to_owned));
    loop {
        match next {
            Ok(None) => return Ok(Value::Object(fields)),
            Ok(Some(key)) => {
                let read = reader.peek().map_err(|error| stop(&error, None));
                match read.and_then(|peek| value(reader, peek, depth + 1)) {
                    Ok(item) => {
                        fields.insert(key, item);
                    }
                    Err(Stop::Cut(item)) => {
                        fields.extend(item.map(|item| (key, item)));
                        return Err(Stop::Cut(Some(Value::Object(fields))));
                    }
                    Err(broken) => return Err(broken),
                }
            }
            Err(error) => return Err(stop(&error, Some(Value::Object(fields)))),
        }
        next = reader.next_key().map(|key| key.map(str::to_owned));
    }
}

/// What an error means for what had been read.
fn stop(error: &JiterError, shown: Option<Value>) -> Stop {
    use JsonErrorType::{
        EofWhileParsingList, EofWhileParsingObject, EofWhileParsingString, EofWhileParsingValue,
    };
    match &error.error_type {
        JiterErrorType::JsonError(
            EofWhileParsingList | EofWhileParsingObject | EofWhileParsingString | EofWhileParsingValue,
        ) => Stop::Cut(shown),
        _ => Stop::Broken,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_of_each_beginning() {
        let whole =
            r#"see {"a": [1, -2.5e3, true, null, {"b": "x\"y\u00e9"}], "c": 12345678901234567890, "d": {}}"#;
        for at in 5..whole.len() {
            let shown = lenient(&whole[..at]);
            assert!(shown.as_ref().is_some_and(Value::is_object), "{}: {shown:?}", &whole[..at]);
        }
        let parsed: Value = serde_json::from_str(&whole[4..]).unwrap();
        assert_eq!(lenient(whole), Some(parsed));
        assert_eq!(lenient(r#"[1, {"a": tr"#), Some(json!([1, {}])));
        assert_eq!(lenient(r#"{"a": "#), Some(json!({})));
        assert_eq!(lenient(r#"{"a": 1e999"#), Some(json!({"a": "1e999"})));
        let escaped = r#"{"\ud83d\ude00": "x\ud83d\ude00"}"#;
        for at in 1..escaped.len() {
            assert!(lenient(&escaped[..at]).is_some(), "{}", &escaped[..at]);
        }
        for broken in ["{a", "[1 2", r#"{"a" 1"#, "[1] more", "{]"] {
            assert_eq!(lenient(broken), None, "{broken}");
        }
    }
}
