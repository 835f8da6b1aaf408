//! How do documents get in, and how are they found? Keeps three in a folder, changes one, and opens the folder again.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, KnowledgeBase, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().to_string_lossy();

    // A knowledge base is a folder; it is made when it is not there.
    let kb = KnowledgeBase::open(&place, OpenOptions::default())?;
    // All are stored, or none. When the call returns they are on the disk and can be found.
    let report = kb.add(vec![
        Document::new("label", "Metformin is contraindicated below an eGFR of 30.").title("Metformin"),
        Document::new("note", "An app that reads ECGs may need a 510(k).").title("ECG app"),
        Document::new("sky", "The sky is blue on a clear day.").metadata_field("year", 2019),
    ])?;
    writeln!(out, "added {} documents as {} chunks", report.added, report.chunks)?;

    // A search looks for words and for meaning at once; `k` is how many hits are wanted.
    let best = SearchOptions { k: 1, ..SearchOptions::default() };
    for hit in &kb.search("metformin in renal failure", &best)? {
        writeln!(out, "found {}: {}", hit.doc_id(), hit.text())?;
    }

    // `upsert` replaces the document of the same id; what has not changed is not written again.
    let sky = Document::new("sky", "The sky is grey when it rains.").metadata_field("year", 2025);
    let report = kb.upsert(vec![sky])?;
    writeln!(out, "replaced {}: {}", report.replaced, kb.get("sky")?.text)?;
    writeln!(out, "deleted {}", kb.delete(&["note"])?)?;
    kb.close()?;

    let kb = KnowledgeBase::open(&place, OpenOptions::default())?;
    writeln!(out, "opened again: {} documents, {}", kb.count(None)?, kb.ids()?.join(", "))?;
    kb.close()?;
    Ok(())
}
