//! Which row of a table is meant?

use quorate_core::{Result, shorten};
use serde_json::{Map, Value, json};

use super::given::Given;

/// The row whose member `by` is the argument of that name, however it is spaced and written; else what rows there are.
/// Errors: `tool_arguments`.
pub(super) fn look_up(
    by: &str,
    table: &[Map<String, Value>],
    arguments: &Map<String, Value>,
) -> Result<Map<String, Value>> {
    let asked = Given(arguments).text(by)?;
    let key = |row: &Map<String, Value>| row.get(by).and_then(Value::as_str).map(str::to_owned);
    let wanted = plain(asked);
    if let Some(row) = table.iter().find(|row| key(row).is_some_and(|key| plain(&key) == wanted)) {
        return Ok(row.clone());
    }
    let mut answer = Map::new();
    let says = format!(
        "The stand-in has no row for '{}'. Its table holds examples and is not complete.",
        shorten(asked)
    );
    answer.insert("found".to_owned(), json!(false));
    answer.insert("says".to_owned(), json!(says));
    answer.insert("there_are".to_owned(), json!(table.iter().filter_map(key).collect::<Vec<_>>()));
    Ok(answer)
}

/// A key in lower case, with single spaces.
pub(super) fn plain(key: &str) -> String {
    key.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_however_they_are_written() {
        let table: Vec<Map<String, Value>> = serde_json::from_value(
            json!([{"term": "heart rate", "code": "1"}, {"term": "weight", "code": "2"}]),
        )
        .unwrap();
        let ask = |term: Value| look_up("term", &table, &Map::from_iter([("term".to_owned(), term)]));
        assert_eq!(ask(json!(" Heart\n RATE ")).unwrap()["code"], "1");
        let nothing = ask(json!("height")).unwrap();
        assert_eq!(
            (&nothing["found"], &nothing["there_are"]),
            (&json!(false), &json!(["heart rate", "weight"]))
        );
        assert!(ask(json!(1)).is_err());
    }
}
