//! What did a call of a server's tool give, as a model reads it?

use quorate_core::{Code, Error};
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

use crate::keys::Keys;
use crate::text;

/// The most characters of what a tool says about its failure.
const FAILURE: usize = 8_000;

/// What the call gave: a text, or the structured value where the text only repeats it. Errors: `tool_failed` with what the
/// tool said, where it says that it failed.
pub(crate) fn read(
    result: CallToolResult,
    server: &str,
    name: &str,
    keys: &Keys,
) -> quorate_core::Result<Value> {
    let blocks: Vec<String> = result.content.into_iter().map(block).collect();
    let said = blocks.join("\n");
    if result.is_error == Some(true) {
        let said = match (said.is_empty(), result.structured_content) {
            (true, Some(value)) => value.to_string(),
            (true, None) => "it did not say why".to_owned(),
            (false, _) => said,
        };
        let said = keys.clean(&said, FAILURE);
        return Err(Error::new(
            Code::ToolFailed,
            format!("the tool '{name}' of the MCP server '{server}' failed: {said}"),
        ));
    }
    let Some(structured) = result.structured_content else { return Ok(Value::String(said)) };
    if said.is_empty() {
        return Ok(structured);
    }
    let parsed: Option<Value> = serde_json::from_str(&said).ok();
    if parsed.as_ref() == Some(&structured) {
        return Ok(structured);
    }
    // Servers wrap what is no object to have one.
    let inner =
        structured.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.get("result"));
    let repeats = |value: &Value| match value {
        Value::String(value) => *value == said,
        // A list is given as one block for each of its items.
        Value::Array(items) if items.len() == blocks.len() => {
            items.iter().zip(&blocks).all(|(item, block)| match item {
                Value::String(item) => item == block,
                item => serde_json::from_str::<Value>(block).is_ok_and(|block| block == *item),
            })
        }
        value => parsed.as_ref() == Some(value),
    };
    match inner {
        Some(inner) if repeats(inner) => Ok(inner.clone()),
        _ => Ok(Value::String(format!("{said}\n{structured}"))),
    }
}

/// A piece of a result as text; what is no text is described.
fn block(block: ContentBlock) -> String {
    match block {
        ContentBlock::Text(one) => one.text,
        ContentBlock::Image(one) => format!("[an image, {}]", bytes(&one.mime_type, &one.data)),
        ContentBlock::Audio(one) => format!("[a recording, {}]", bytes(&one.mime_type, &one.data)),
        ContentBlock::Resource(one) => match one.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                format!("[the resource {}]\n{text}", text::label(&uri))
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                let kind = mime_type.unwrap_or_else(|| "of an unknown type".to_owned());
                format!("[the resource {}, {}]", text::label(&uri), bytes(&kind, &blob))
            }
            _ => "[a resource of an unknown kind]".to_owned(),
        },
        ContentBlock::ResourceLink(link) => {
            let about = link.description.or(link.title).map(|about| format!(": {}", text::label(&about)));
            format!(
                "[a link to the resource {} ({}){}]",
                text::label(&link.uri),
                text::label(&link.name),
                about.unwrap_or_default()
            )
        }
        _ => "[something of an unknown kind]".to_owned(),
    }
}

/// A type, and the size of what is written in base 64.
fn bytes(kind: &str, data: &str) -> String {
    let padding = data.bytes().rev().take_while(|byte| *byte == b'=').count().min(2);
    format!("{}, {} bytes", text::label(kind), (data.len() / 4 * 3).saturating_sub(padding))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> quorate_core::Result<Value> {
        read(serde_json::from_value(value).unwrap(), "s", "t", &Keys::default())
    }

    fn text(text: &str) -> Value {
        json!({"type": "text", "text": text})
    }

    #[test]
    fn texts_and_structured_values_are_given_once() {
        assert_eq!(of(json!({"content": [text("a"), text("b")]})).unwrap(), json!("a\nb"));
        assert_eq!(of(json!({"content": []})).unwrap(), json!(""));
        let value = json!({"code": "C17", "year": 2025});
        let given = of(json!({"content": [text(&value.to_string())], "structuredContent": value}));
        assert_eq!(given.unwrap(), value);
        let given = of(json!({"content": [], "structuredContent": value}));
        assert_eq!(given.unwrap(), value);
        let given = of(json!({"content": [text("5")], "structuredContent": {"result": 5}}));
        assert_eq!(given.unwrap(), json!(5));
        let given = of(json!({"content": [text("a"), text("2")], "structuredContent": {"result": ["a", 2]}}));
        assert_eq!(given.unwrap(), json!(["a", 2]));
        let given = of(json!({"content": [text("in words")], "structuredContent": {"n": 1}}));
        assert_eq!(given.unwrap(), json!("in words\n{\"n\":1}"));
    }

    #[test]
    fn what_is_no_text_is_described() {
        let content = json!([
            {"type": "image", "data": "aGVsbG8=", "mimeType": "image/png"},
            {"type": "audio", "data": "aGVsbG8h", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "aGVsbG8h", "mimeType": "x/y"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c", "description": "what\nfor"},
        ]);
        let given = of(json!({"content": content})).unwrap();
        let wanted = "[an image, image/png, 5 bytes]\n[a recording, audio/wav, 6 bytes]\n[the resource file:///a]\ninside\n\
            [the resource file:///b, x/y, 6 bytes]\n[a link to the resource file:///c (c): what for]";
        assert_eq!(given, json!(wanted));
    }

    #[test]
    fn a_tool_that_says_that_it_failed_has_failed() {
        let error = of(json!({"content": [text("no such code")], "isError": true})).unwrap_err();
        assert_eq!(error.code(), Code::ToolFailed);
        assert_eq!(error.message(), "the tool 't' of the MCP server 's' failed: no such code");
        let error = of(json!({"content": [], "structuredContent": {"why": 1}, "isError": true})).unwrap_err();
        assert!(error.message().ends_with("failed: {\"why\":1}"));
        let error = of(json!({"content": [text(&"no ".repeat(100_000))], "isError": true})).unwrap_err();
        assert!(error.message().len() < FAILURE + 100 && error.message().ends_with("[...]"));
    }
}
