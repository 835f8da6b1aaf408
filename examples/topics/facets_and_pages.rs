//! What is there, without a question? Counts by value, the range of a field, and pages of documents in order.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, Filter, KnowledgeBase, ListOptions, OpenOptions, Sort, Value};
use serde_json::json;

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let kinds = ["label", "guideline", "label", "note", "label"];
    let documents = kinds.iter().enumerate().map(|(i, kind)| {
        let tags = if i % 2 == 1 { json!(["renal"]) } else { json!([]) };
        let document = Document::new(format!("d{i}"), format!("Document {i}."));
        document.metadata_field("year", 2020 + i).metadata_field("kind", *kind).metadata_field("tags", tags)
    });
    kb.add(documents.collect())?;

    // Most frequent first. Each member of a list is a value.
    writeln!(out, "kinds: {}", told(&kb.facets("kind", None, 20)?))?;
    let since = Filter::parse("year >= 2022")?;
    writeln!(out, "since 2022: {}", told(&kb.facets("kind", Some(&since), 20)?))?;
    writeln!(out, "tags: {}", told(&kb.facets("tags", None, 20)?))?;

    if let Some((least, greatest)) = kb.min_max("year", None)? {
        writeln!(out, "years: {} to {}", least.to_json(), greatest.to_json())?;
    }

    // Pages fit together also when documents come and go in between: `next` names the place, not a number.
    let mut options = ListOptions { sort: Some(Sort::parse("-year")?), limit: 2, ..ListOptions::default() };
    loop {
        let page = kb.documents(&options)?;
        let ids: Vec<&str> = page.documents.iter().map(|document| document.id.as_str()).collect();
        writeln!(out, "page: {}", ids.join(" "))?;
        options.after = page.next;
        if options.after.is_none() {
            return Ok(());
        }
    }
}

fn told(facets: &[(Value, usize)]) -> String {
    let one = |(value, count): &(Value, usize)| match value {
        Value::String(text) => format!("{text} {count}"),
        other => format!("{} {count}", other.to_json()),
    };
    facets.iter().map(one).collect::<Vec<_>>().join(", ")
}
