//! How are dates compared, and what of documents that have none?

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, Filter, KnowledgeBase, ListOptions, OpenOptions, Sort, Value};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    // Dates and times are texts in RFC 3339; one without a zone is UTC.
    let approved = [
        ("a", Some("2023-05-01")),
        ("b", Some("2024-03-01T00:30:00+01:00")), // still February in UTC
        ("c", Some("2024-03-01")),
        ("d", None),
    ];
    let document =
        |(id, when): (&str, Option<&str>)| Document::new(id, "A device.").metadata_field("approved", when);
    kb.add(approved.into_iter().map(document).collect())?;
    kb.add(vec![Document::new("e", "A device of which nothing is known.")])?;
    let ids =
        |text: &str| -> quorate::Result<String> { Ok(kb.ids_of(Some(&Filter::parse(text)?))?.join(" ")) };

    writeln!(out, "from March 2024 on: {}", ids("approved >= '2024-03-01'")?)?;
    writeln!(out, "before: {}", ids("approved < '2024-03-01'")?)?;

    // A test of a value that is not there is neither true nor false, so that neither it nor its negation finds d and e.
    writeln!(out, "not from March 2024 on: {}", ids("NOT approved >= '2024-03-01'")?)?;
    writeln!(out, "unknown: {}", ids("approved IS NULL")?)?;
    writeln!(out, "before, or unknown: {}", ids("approved < '2024-03-01' OR approved IS NULL")?)?;

    // The order is that of the instants.
    let newest_first = ListOptions { sort: Some(Sort::parse("-approved")?), ..ListOptions::default() };
    let ids: Vec<String> =
        kb.documents(&newest_first)?.documents.into_iter().map(|document| document.id).collect();
    writeln!(out, "newest first: {}", ids.join(" "))?;
    if let Some((Value::String(first), Value::String(last))) = kb.min_max("approved", None)? {
        writeln!(out, "from {first} to {last}")?;
    }
    Ok(())
}
