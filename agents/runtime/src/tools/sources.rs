//! How does an expert look something up?

use std::sync::Arc;

use quorate_core::Result;
use serde_json::{Value, json};

use crate::evidence::{Retrieve, Wanted};
use crate::tool::{FunctionTool, Tool, ToolCard};

/// A tool `search` that gives the passages that fit a question, with their documents. Errors: none; the search's are those
/// of the call.
pub fn sources_tool(sources: Arc<dyn Retrieve>) -> Result<Arc<dyn Tool>> {
    let schema = json!({
        "type": "object",
        "properties": {"question": {"type": "string", "description": "What to look for, as a question or in words."}},
        "required": ["question"],
        "additionalProperties": false,
    });
    let card =
        ToolCard::new("search", "Searches the documents, and gives the passages that fit best.", schema);
    let search = FunctionTool::new(card, move |arguments, context| {
        let question = arguments.get("question").and_then(Value::as_str).unwrap_or_default();
        let passages = sources.passages(question, &Wanted::default(), &context.cancel)?;
        Ok(json!(passages.iter().map(|passage| json!({
            "doc_id": passage.doc_id, "chunk_id": passage.chunk_id, "title": passage.title, "text": passage.text,
        })).collect::<Vec<_>>()))
    })?;
    Ok(Arc::new(search))
}
