//! Who may have a knowledge base open? One writer, and any number of readers, also in other processes.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, KnowledgeBase, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().to_string_lossy();
    let writer = KnowledgeBase::open(&place, OpenOptions::default())?;
    writer.add(vec![Document::new("a", "Metformin lowers glucose.")])?;

    // A second writer is refused as long as the first one is open.
    if let Err(error) = KnowledgeBase::open(&place, OpenOptions::default()) {
        writeln!(out, "a second writer: {}", error.code().as_str())?;
    }

    // Readers see a state of the whole, which stands still until they look again.
    let reader = KnowledgeBase::open(&place, OpenOptions { read_only: true, ..OpenOptions::default() })?;
    writer.add(vec![Document::new("b", "Aspirin inhibits platelets.")])?;
    writeln!(out, "the reader sees {}, the writer {}", reader.count(None)?, writer.count(None)?)?;
    let news = |new: bool| if new { "something new" } else { "nothing new" };
    writeln!(out, "refreshed: {}", news(reader.refresh()?))?;
    for hit in &reader.search("platelets", &SearchOptions { k: 1, ..SearchOptions::default() })? {
        writeln!(out, "now it sees {}: {}", reader.count(None)?, hit.doc_id())?;
    }
    writeln!(out, "refreshed: {}", news(reader.refresh()?))?;

    if let Err(error) = reader.delete(&["a"]) {
        writeln!(out, "a reader that writes: {}", error.code().as_str())?;
    }
    reader.close()?;
    writer.close()?;

    // When the writer has closed, another may open.
    let writer = KnowledgeBase::open(&place, OpenOptions::default())?;
    writeln!(out, "the next writer has {}", writer.count(None)?)?;
    writer.close()?;
    Ok(())
}
