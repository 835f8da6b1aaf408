//! What happens when something is wrong? Errors with codes that stay the same, and batches that go on.

use std::error::Error;
use std::io::Write;

use quorate::rag::{Document, Filter, KnowledgeBase, OnError, OpenOptions, WriteOptions};
use quorate::{Code, Kind};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    kb.add(vec![Document::new("a", "Metformin lowers glucose.")])?;

    // An error has a code, the same in every language and version, and a message for people. Nothing was stored.
    if let Err(error) = kb.add(vec![Document::new("b", "New."), Document::new("a", "Again.")]) {
        writeln!(out, "{}; documents: {}", error.code().as_str(), kb.count(None)?)?;
    }

    // With `OnError::Skip` the good ones are stored, and the report lists the others.
    let skip = WriteOptions { on_error: OnError::Skip, ..WriteOptions::default() };
    let more = vec![Document::new("b", "New."), Document::new("a", "Again."), Document::new("c", "")];
    let report = kb.add_with(more, &skip)?;
    let left: Vec<String> =
        report.skipped.iter().map(|one| format!("{} ({})", one.id, one.error.code().as_str())).collect();
    writeln!(out, "added {}; left out: {}", report.added, left.join(", "))?;

    // Kinds tell whose fault it is: the caller's, what is not there, another process's, the network's and so on.
    match kb.get("z") {
        Err(error) if error.kind() == Kind::NotFound => {
            writeln!(out, "not found: {}", error.code().as_str())?
        }
        other => writeln!(out, "{other:?}")?,
    }
    match Filter::parse("year >= 'never' AND") {
        Err(error) if error.kind() == Kind::InvalidInput => {
            writeln!(out, "wrong input: {}", error.code().as_str())?
        }
        other => writeln!(out, "{other:?}")?,
    }

    // Every code with what it means.
    writeln!(out, "duplicate_id: {}", Code::DuplicateId.meaning())?;
    Ok(())
}
