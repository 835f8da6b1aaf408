//! Which tools are there, what do they take, and what do they give?
//!
//! Each has one struct for its arguments and one for its result: the schemas that clients see are made of them.

mod find;
mod runs;

use std::sync::{Arc, OnceLock};

use quorate::{Error, Result};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) use find::{context, find, get, matching};
pub(crate) use runs::{ask, panel};

/// The tools, in the order of lists.
pub(crate) const NAMES: [&str; 6] = ["search", "context", "get", "match", "ask", "panel"];

/// The definitions, where answers may come of a model, and where it may use tools.
pub(crate) fn definitions((model, tools): (bool, bool)) -> Vec<Tool> {
    static PLAIN: OnceLock<Vec<Tool>> = OnceLock::new();
    let mut all = PLAIN.get_or_init(plain).clone();
    for tool in &mut all {
        let runs = matches!(&*tool.name, "ask" | "panel");
        let hints = ToolAnnotations::new().destructive(runs && tools).open_world(runs && (model || tools));
        // Runs are kept in a journal, so asking again is another run.
        let hints = hints.read_only(!(runs && tools)).idempotent(!runs);
        tool.annotations = Some(hints);
    }
    all
}

fn plain() -> Vec<Tool> {
    vec![
        tool::<find::SearchArgs, find::SearchResult>(
            "search",
            "Search documents",
            "Finds the passages of the documents that say most about a query, by words and by meaning, best first. A filter bounds \
             the documents. Use it to look around; use `context` for text to answer from.",
        ),
        tool::<find::ContextArgs, find::ContextResult>(
            "context",
            "Collect cited context",
            "Collects what the documents say about a question into one text within a number of tokens, with a marker such as [1] \
             before each passage and a citation for each marker. Cite the markers in your answer.",
        ),
        tool::<find::GetArgs, find::GetResult>(
            "get",
            "Read a document",
            "Gives the text of a document, or a part of it, by the id that `search` and `context` name.",
        ),
        tool::<find::MatchArgs, find::MatchResult>(
            "match",
            "Find experts",
            "Finds the experts that fit a question, with the probability that each is the right one. `ask` and `panel` take \
             their ids.",
        ),
        tool::<runs::AskArgs, runs::AskResult>(
            "ask",
            "Ask an expert",
            "Has an expert answer a question from the documents, with citations and a check of each statement. Without `agent` \
             the expert that fits best answers. It says so when the documents do not tell.",
        ),
        tool::<runs::PanelArgs, runs::PanelResult>(
            "panel",
            "Ask a panel of experts",
            "Has several experts answer a question and measures how far they agree: the decision, its support, those who hold \
             something else, and a synthesis with citations. With `choices` they choose, with `scale` they give numbers.",
        ),
    ]
}

fn tool<A: JsonSchema, R: JsonSchema>(name: &'static str, title: &str, description: &'static str) -> Tool {
    let mut tool = Tool::new(name, description, schema::<A>(false));
    tool.title = Some(title.to_owned());
    tool.output_schema = Some(Arc::new(or_failed(schema::<R>(true))));
    tool
}

/// The schema of a result, or of what is told in its place where the call failed: clients check both against it.
fn or_failed(mut schema: JsonObject) -> JsonObject {
    let required = schema.remove("required").unwrap_or_else(|| json!([]));
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        let code = "Where the call failed: the stable code of the error";
        properties.insert("code".into(), json!({"type": "string", "description": code}));
        properties
            .insert("message".into(), json!({"type": "string", "description": "Where the call failed: why"}));
    }
    schema.insert("anyOf".into(), json!([{"required": required}, {"required": ["code", "message"]}]));
    schema
}

/// Takes out the formats of numbers that only Rust knows.
fn plain_formats(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let known = |format: &Value| {
                format
                    .as_str()
                    .is_some_and(|named| !named.contains("int") && !matches!(named, "float" | "double"))
            };
            if object.get("format").is_some_and(|format| format.is_string() && !known(format)) {
                object.remove("format");
            }
            object.values_mut().for_each(plain_formats);
        }
        Value::Array(all) => all.iter_mut().for_each(plain_formats),
        _ => {}
    }
}

/// The JSON Schema (2020-12) of a type, as it is read or as it is written.
fn schema<T: JsonSchema>(written: bool) -> JsonObject {
    let settings = SchemaSettings::draft2020_12();
    let settings = if written { settings.for_serialize() } else { settings.for_deserialize() };
    let schema = settings.with(|s| s.inline_subschemas = true).into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    plain_formats(&mut schema);
    match schema {
        Value::Object(mut object) => {
            object.remove("title");
            object
        }
        _ => JsonObject::new(),
    }
}

/// The arguments of a call. Errors: `invalid_argument` with what is wrong.
fn arguments<T: DeserializeOwned>(given: JsonObject) -> Result<T> {
    serde_json::from_value(Value::Object(given))
        .map_err(|error| Error::invalid(format!("arguments: {}", quorate::core::shorten(&error.to_string()))))
}

/// A result as text for models, and as data. Errors: `internal`.
fn result(text: String, data: &impl Serialize) -> Result<CallToolResult> {
    let data = serde_json::to_value(data).map_err(|error| {
        Error::new(quorate::Code::Internal, format!("a result cannot be written: {error}"))
    })?;
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(data);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_schemas_of_objects_and_says_whether_it_writes() {
        let all = definitions((true, true));
        assert_eq!(all.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), NAMES);
        for tool in &all {
            assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
            assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
            assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{}", tool.name);
            for (name, property) in tool.input_schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{}: {name} is not described", tool.name);
            }
            let output = serde_json::to_string(&tool.output_schema).unwrap();
            assert!(!output.contains("\"format\"") && output.contains("\"code\""), "{output}");
            let hints = tool.annotations.as_ref().unwrap();
            assert_eq!(hints.read_only_hint, Some(!matches!(&*tool.name, "ask" | "panel")));
        }
        let extractive = definitions((false, false));
        assert!(
            extractive.iter().all(|tool| tool.annotations.as_ref().unwrap().open_world_hint == Some(false))
        );
    }

    #[test]
    fn arguments_that_are_not_there_are_named() {
        let given = serde_json::json!({"query": "a", "kk": 3});
        let error = arguments::<find::SearchArgs>(given.as_object().unwrap().clone()).err().unwrap();
        assert!(error.message().contains("kk"), "{error}");
    }
}
