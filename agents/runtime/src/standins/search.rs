//! What do the connected documents say, where the tool would ask a service?

use quorate_core::{Cancel, Result};
use serde_json::{Map, Value, json};

use super::given::Given;
use crate::evidence::{Retrieve, Wanted};

/// What a search says of where it looked.
const SAYS: &str = "This stand-in has looked in the connected documents alone.";
/// What it says where there are none.
const NO_DOCUMENTS: &str = "This stand-in looks in connected documents, and no documents are connected.";

/// The passages of `sources` that fit the argument `by`, with where they stand; arguments beside it are named as left
/// aside. Errors: `tool_arguments`, those of the search.
pub(super) fn search(
    by: &str,
    arguments: &Map<String, Value>,
    sources: Option<&dyn Retrieve>,
    cancel: &Cancel,
) -> Result<Map<String, Value>> {
    let asked = Given(arguments).text(by)?;
    let passages = match sources {
        Some(sources) => sources.passages(asked, &Wanted::default(), cancel)?,
        None => Vec::new(),
    };
    let mut answer = Map::new();
    answer.insert("says".to_owned(), json!(if sources.is_some() { SAYS } else { NO_DOCUMENTS }));
    let passages: Vec<Value> = passages
        .iter()
        .map(|passage| {
            json!({
                "doc_id": passage.doc_id, "title": passage.title, "start": passage.start, "end": passage.end,
                "text": passage.text,
            })
        })
        .collect();
    answer.insert("passages".to_owned(), json!(passages));
    let left: Vec<&String> = arguments.keys().filter(|key| *key != by).collect();
    if !left.is_empty() {
        answer.insert("left_aside".to_owned(), json!(left));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_documents_it_says_so() {
        let arguments = Map::from_iter([("query".to_owned(), json!("x")), ("year".to_owned(), json!(2020))]);
        let answer = search("query", &arguments, None, &Cancel::new()).unwrap();
        assert_eq!((&answer["says"], &answer["left_aside"]), (&json!(NO_DOCUMENTS), &json!(["year"])));
        assert_eq!(answer["passages"], json!([]));
    }
}
