//! What is kept beside the chunks of a document: their headings, and how the document was cut and embedded?
//!
//! The column of a chunk's headings holds a JSON array, or nothing for none. Of the first chunk of a document that the
//! knowledge base has cut and embedded itself it is an object: `{"by": MARK, "headings": [...]}`. The mark tells whether
//! cutting and embedding the same text again would give the same; documents with chunks or vectors of their caller's have
//! none.

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkOptions;

/// Changes whenever the same options cut or embed a text in another way than the release before.
const METHOD: u32 = 1;

#[derive(Serialize, Deserialize)]
struct First {
    by: String,
    headings: Vec<String>,
}

/// What tells one way of cutting and embedding from any other one; the embedder is that of the knowledge base.
pub(crate) fn mark(chunking: &ChunkOptions) -> String {
    // Options without a JSON form would share a mark that nothing is compared with.
    let options = serde_json::to_string(chunking).unwrap_or_default();
    let hash = blake3::hash(format!("{METHOD} {options}").as_bytes()).to_hex();
    hash[..12].to_owned()
}

/// The column's text for a chunk; `by` for the first one of a document that was cut and embedded here.
pub(crate) fn column(headings: Vec<String>, by: Option<&str>) -> String {
    match by {
        Some(by) => serde_json::json!({ "by": by, "headings": headings }).to_string(),
        None if headings.is_empty() => String::new(),
        None => serde_json::Value::from(headings).to_string(),
    }
}

/// The headings that the column holds.
pub(crate) fn headings(column: &str) -> Vec<String> {
    match column.starts_with('{') {
        true => serde_json::from_str(column).map(|first: First| first.headings).unwrap_or_default(),
        false => serde_json::from_str(column).unwrap_or_default(),
    }
}

/// Whether the column of a document's first chunk has this mark.
pub(crate) fn is_by(column: &str, mark: &str) -> bool {
    column.starts_with('{') && serde_json::from_str(column).is_ok_and(|first: First| first.by == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::ChunkStrategy;

    #[test]
    fn headings_with_and_without_a_mark() {
        let given = vec!["A \"b\"".to_owned(), "é".to_owned()];
        for by in [None, Some("x")] {
            let column = column(given.clone(), by);
            assert_eq!(headings(&column), given);
            assert_eq!(is_by(&column, "x"), by.is_some());
            assert!(!is_by(&column, "y"));
        }
        assert_eq!(column(Vec::new(), None), "");
        assert!(headings("").is_empty() && headings("{").is_empty() && !is_by("{", "x"));
        let other = ChunkOptions { strategy: ChunkStrategy::Fixed, ..ChunkOptions::default() };
        assert_ne!(mark(&ChunkOptions::default()), mark(&other));
    }
}
