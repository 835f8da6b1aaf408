//! Which members of a record are id, title, text, and metadata?

use quorate_core::Result;
use serde_json::{Map, Value as Json};

use crate::Document;

use super::failed;

const IDS: [&str; 3] = ["id", "_id", "doc_id"];
const TITLES: [&str; 3] = ["title", "name", "headline"];
const TEXTS: [&str; 7] = ["text", "content", "body", "abstract", "passage", "document", "description"];

/// A document from a record. The members named `id`, `title` and `text` (or a usual synonym) become the document's
/// own; a member `metadata` that is an object is spread; all others become metadata. A record without a text member
/// becomes lines of `name: value`. `fallback_id` serves a record without an id, or
/// with an empty one.
pub(super) fn document(mut record: Map<String, Json>, fallback_id: String) -> Result<Document> {
    let id = take(&mut record, &IDS).filter(|id| !id.is_empty()).unwrap_or(fallback_id);
    let text = match take(&mut record, &TEXTS) {
        Some(text) => text,
        None => {
            let lines = record.iter().filter_map(|(name, value)| Some(format!("{name}: {}", plain(value)?)));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let title = take(&mut record, &TITLES).unwrap_or_default();
    if text.trim().is_empty() && title.trim().is_empty() {
        return Err(failed(format!("record '{id}' has neither text nor title")));
    }
    if let Some(Json::Object(_)) = record.get("metadata")
        && let Some(Json::Object(inner)) = record.remove("metadata")
    {
        record.extend(inner);
    }
    Ok(Document::new(id, text).title(title).metadata(record))
}

/// Removes the first of the names that is there with a plain value.
fn take(record: &mut Map<String, Json>, names: &[&str]) -> Option<String> {
    let key = record.keys().find(|key| names.iter().any(|name| key.eq_ignore_ascii_case(name))).cloned();
    let best =
        names.iter().find_map(|name| record.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned());
    let key = best.or(key)?;
    let value = plain(record.get(&key)?)?;
    record.remove(&key);
    Some(value)
}

fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(bool) => Some(bool.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
