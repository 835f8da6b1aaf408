//! What did the knowledge base say before? Each write makes a version, which can be read later.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, KnowledgeBase, Mode, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // The past is kept for `keep_versions` writes (100).
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let report = kb.add(vec![
        Document::new("a", "Metformin is safe above an eGFR of 60."),
        Document::new("b", "Aspirin inhibits platelets."),
    ])?;
    let first = report.version;
    let second = kb.upsert(vec![Document::new("a", "Metformin is safe above an eGFR of 45.")])?.version;
    kb.delete(&["b"])?;

    // A past version is a knowledge base for reading: it is searched, filtered and counted like the present one.
    for (name, past) in [("first", kb.at(first)?), ("second", kb.at(second)?), ("now", kb.clone())] {
        writeln!(out, "{name}: {} documents; {}", past.count(None)?, past.get("a")?.text)?;
    }
    let words = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
    for hit in &kb.at(first)?.search("platelets", &words)? {
        writeln!(out, "found in the past: {}", hit.doc_id())?;
    }
    writeln!(out, "found now: {}", kb.search("platelets", &words)?.len())?;

    // It cannot be changed.
    if let Err(error) = kb.at(first)?.delete(&["a"]) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }

    // `versions` lists those that can be read, with the time of each. `compact` forgets the past.
    let kept = kb.versions()?.iter().filter(|known| [first, second].contains(&known.version)).count();
    writeln!(out, "kept: {kept}")?;
    Ok(())
}
