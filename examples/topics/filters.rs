//! How does a search keep to some of the documents? Filters, as text and as an object.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, Filter, KnowledgeBase, OpenOptions, SearchOptions};
use serde_json::json;

const FILTERS: [&str; 6] = [
    "kind = 'label'",
    "year >= 2020 AND kind IN ('label', 'guideline')",
    "year BETWEEN 2018 AND 2022 AND NOT kind = 'note'",
    "tags CONTAINS 'fda'",  // one of a list
    "maker.country = 'DK'", // a member of a member
    "title LIKE '%label'",  // % stands for anything, _ for one character
];

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let documents = [
        (
            "a",
            "Metformin label",
            json!({"kind": "label", "year": 2024, "tags": ["fda", "diabetes"], "maker": {"country": "FR"}}),
        ),
        ("b", "Dosing in CKD", json!({"kind": "guideline", "year": 2022, "tags": ["renal"]})),
        ("c", "Triage note", json!({"kind": "note", "year": 2022, "tags": ["renal", "fda"]})),
        (
            "d",
            "Insulin label",
            json!({"kind": "label", "year": 2018, "tags": [], "maker": {"country": "DK"}}),
        ),
    ];
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let document = |(id, title, metadata): (&str, &str, serde_json::Value)| Document {
        metadata: metadata.as_object().cloned().unwrap_or_default(),
        ..Document::new(id, format!("{title}: kidneys and drugs.")).title(title)
    };
    kb.add(documents.into_iter().map(document).collect())?;
    for text in FILTERS {
        let filter = Filter::parse(text)?;
        writeln!(out, "{text}: {}", kb.ids_of(Some(&filter))?.join(" "))?;
    }

    // The same as an object: nothing to quote, whatever the values are.
    let filter = json!({"year": {"$gte": 2020}, "kind": {"$in": ["label", "guideline"]}});
    writeln!(out, "as an object: {}", kb.ids_of(Some(&Filter::from_json(&filter)?))?.join(" "))?;

    // A filtered search gives `k` hits, or as many as match, and every hit matches.
    let filter = Some(Filter::parse("tags CONTAINS 'fda'")?);
    let hits = kb.search("drugs for the kidneys", &SearchOptions { k: 3, filter, ..Default::default() })?;
    let mut ids: Vec<&str> = hits.iter().map(|hit| hit.doc_id()).collect();
    ids.sort_unstable();
    writeln!(out, "search within: {}", ids.join(" "))?;

    // What is no filter says where.
    if let Err(error) = Filter::parse("year >=") {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    Ok(())
}
