//! How are documents resources?
//!
//! `quorate://doc/ID`, with the id percent-encoded, is a document of the caller's tenant: the same URI is another document for
//! another tenant, or none.

use quorate::rag::{Document, Filter, KnowledgeBase, ListOptions};
use quorate::{Cancel, Error, Result};
use rmcp::model::{ListResourcesResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

/// What the URIs of documents begin with.
const PREFIX: &str = "quorate://doc/";
/// How many documents a page has.
const PAGE: usize = 100;

/// The URI of a document.
pub(crate) fn uri_of(id: &str) -> String {
    let mut uri = String::with_capacity(PREFIX.len() + id.len());
    uri.push_str(PREFIX);
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            uri.push('%');
            uri.push(char::from(HEX[usize::from(byte >> 4)]));
            uri.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    uri
}

/// The id of the document that a URI names; `None` where it names none.
pub(crate) fn id_of(uri: &str) -> Option<String> {
    let mut rest = uri.strip_prefix(PREFIX)?.bytes();
    let mut id = Vec::new();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).map(|d| d as u8);
                id.push(digit(rest.next())? << 4 | digit(rest.next())?);
            }
            // What ends a path is none of an id.
            b'/' | b'?' | b'#' => return None,
            _ => id.push(byte),
        }
    }
    String::from_utf8(id).ok().filter(|id| !id.is_empty())
}

/// A page of documents. Errors: `invalid_argument` for a cursor that is none.
pub(crate) fn page(
    kb: &KnowledgeBase,
    after: Option<String>,
    cancel: &Cancel,
) -> Result<ListResourcesResult> {
    let options = ListOptions { limit: PAGE, after, cancel: cancel.clone(), ..ListOptions::default() };
    let page = kb.documents(&options)?;
    let resources = page.documents.iter().map(listed_as).collect();
    Ok(ListResourcesResult { resources, next_cursor: page.next, ..ListResourcesResult::default() })
}

fn listed_as(document: &Document) -> Resource {
    let resource = Resource::new(uri_of(&document.id), document.id.clone()).with_mime_type("text/plain");
    let resource = resource.with_size(document.text.len() as u64);
    match document.title.is_empty() {
        true => resource,
        false => resource.with_title(document.title.clone()),
    }
}

/// The document that a URI names; `None` where there is none for this tenant. Errors: those of the store.
pub(crate) fn read(kb: &KnowledgeBase, uri: &str) -> Result<Option<ResourceContents>> {
    let Some(id) = id_of(uri) else { return Ok(None) };
    let document = match kb.get(&id) {
        Ok(document) => document,
        Err(error) if is_unknown(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut contents = ResourceContents::text(document.text, uri.to_owned());
    if let ResourceContents::TextResourceContents { meta, .. } = &mut contents {
        let told = json!({
            "quorate/id": document.id,
            "quorate/title": document.title,
            "quorate/source": document.source,
            "quorate/metadata": document.metadata,
        });
        *meta = serde_json::from_value(told).ok();
    }
    Ok(Some(contents))
}

/// Whether there is no such document: also where no document could have such an id.
fn is_unknown(error: &Error) -> bool {
    matches!(error.code(), quorate::Code::UnknownId | quorate::Code::InvalidArgument)
}

/// How URIs are made.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{PREFIX}{{id}}"), "document")
        .with_title("A document")
        .with_description("The text of the document with this id, which is percent-encoded")
        .with_mime_type("text/plain")
}

/// Whether a text is the template of documents.
pub(crate) fn is_template(uri: &str) -> bool {
    uri.strip_prefix(PREFIX) == Some("{id}")
}

/// The ids that begin so, at most `most` and one more.
pub(crate) fn beginning(kb: &KnowledgeBase, with: &str, most: usize) -> Result<Vec<String>> {
    let mut ids = match with.is_empty() {
        true => {
            let options = ListOptions { limit: most + 1, ..ListOptions::default() };
            kb.documents(&options)?.documents.into_iter().map(|document| document.id).collect()
        }
        false => {
            // From the beginning on, and before all that begin otherwise.
            let from = json!({"id": {"$gte": with, "$lt": format!("{with}\u{10FFFF}")}});
            kb.ids_of(Some(&Filter::from_json(&from)?))?
        }
    };
    ids.retain(|id| id.starts_with(with));
    ids.sort_unstable();
    ids.truncate(most + 1);
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_and_ids_are_one_to_one() {
        for id in ["a", "a/b?c#d", "ä ö", "100%", "../x", "%2F", "\u{1F600}", "a:b@c"] {
            let uri = uri_of(id);
            assert!(uri.is_ascii() && uri.matches('/').count() == 3, "{uri}");
            assert_eq!(id_of(&uri).as_deref(), Some(id));
        }
        assert_eq!(uri_of("a b"), "quorate://doc/a%20b");
        assert_eq!(id_of("quorate://doc/a%2fb").as_deref(), Some("a/b"));
        for wrong in [
            "quorate://doc/",
            "quorate://doc/a/b",
            "quorate://doc/%",
            "quorate://doc/%zz",
            "quorate://doc/%ff",
            "file:///etc/passwd",
            "quorate://doc/a?x",
            "QUORATE://doc/a",
        ] {
            assert_eq!(id_of(wrong), None, "{wrong}");
        }
    }
}
