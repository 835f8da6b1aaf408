//! What do a Markdown file and its front matter say?

use quorate_core::Result;
use serde_json::{Map, Value as Json};

use crate::Document;
pub(super) use crate::chunk::first_title as first_heading;

use super::text::without_data_uris;
use super::{encoding, failed, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>, chosen: Option<&str>) -> Result<Document> {
    let decoded = encoding::decode(bytes, chosen)?;
    let (mut metadata, body) = front_matter(&decoded.text)?;
    let body = without_data_uris(body);
    let title = match metadata.remove("title") {
        Some(Json::String(title)) if !title.trim().is_empty() => title,
        _ => first_heading(&body).unwrap_or_else(|| stem(name)),
    };
    metadata.entry("encoding").or_insert_with(|| decoded.encoding.into());
    Ok(Document::new(name, body).title(title).metadata(metadata))
}

/// The YAML between `---` lines at the start of a text, and the text after it.
fn front_matter(text: &str) -> Result<(Map<String, Json>, &str)> {
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else {
        return Ok((Map::new(), text));
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            let body = &rest[at + line.len()..];
            // YAML 1.2: a tag `y` or a language `no` is a string.
            let mut options = serde_saphyr::Options::default();
            options.strict_booleans = true;
            let yaml: Json = serde_saphyr::from_str_with_options(&rest[..at], options)
                .map_err(|e| failed(format!("front matter: {e}")))?;
            return match yaml {
                Json::Object(members) => Ok((members, body)),
                Json::Null => Ok((Map::new(), body)),
                // A rule above and below a sentence is no front matter.
                _ => Ok((Map::new(), text)),
            };
        }
        at += line.len();
    }
    Ok((Map::new(), text))
}
