//! What do a Markdown file and its front matter say?

use quorate_core::Result;
use serde_json::{Map, Value as Json};

use crate::Document;

use super::text::decode;
use super::{failed, stem};

pub(super) fn load(name: &str, bytes: Vec<u8>) -> Result<Document> {
    let (text, _) = decode(bytes);
    let (mut metadata, body) = front_matter(&text)?;
    let title = match metadata.remove("title") {
        Some(Json::String(title)) if !title.trim().is_empty() => title,
        _ => first_heading(body).unwrap_or_else(|| stem(name)),
    };
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

/// The first `# ` heading.
pub(super) fn first_heading(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("# "))?;
    let title = line.trim().trim_end_matches('#').trim();
    (!title.is_empty()).then(|| title.to_owned())
}
