//! How do files become documents, and stay what they say? Adds a folder, and follows its changes.

use std::error::Error;
use std::fs;
use std::io::Write;

use quorate::rag::{FileOptions, KnowledgeBase, ListOptions, OpenOptions, SyncOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    fs::write(folder.path().join("metformin.md"), "# Metformin\n\nContraindicated in renal failure.\n")?;
    fs::write(
        folder.path().join("insulin.html"),
        "<title>Insulin</title><p>Lowers <b>glucose</b> at once.</p>",
    )?;
    fs::write(folder.path().join("scan.png"), b"\x89PNG")?;

    // A file, a folder or a glob. Ids are paths below `root`. Text, Markdown, HTML, PDF, Word, Excel, PowerPoint, EPUB, RTF,
    // e-mail, CSV and JSONL are read; other files are listed.
    let files = FileOptions { root: Some(folder.path().to_owned()), ..FileOptions::default() };
    let options = SyncOptions { files, ..SyncOptions::default() };
    let report = kb.sync_files(&[folder.path()], &options)?;
    let why: Vec<&str> = report.skipped.iter().map(|one| one.error.code().as_str()).collect();
    writeln!(out, "added {}, left out {}: {}", report.added, report.skipped.len(), why.join(", "))?;
    for document in kb.documents(&ListOptions::default())?.documents {
        let (kind, last) = (&document.metadata["file_type"], document.text.lines().last());
        let (kind, last) = (kind.as_str().unwrap_or_default(), last.unwrap_or_default());
        writeln!(out, "{} ({kind}), {}: {last}", document.id, document.title)?;
    }

    // The same call later: what is unchanged is not read into the model again, what is gone is deleted.
    fs::remove_file(folder.path().join("insulin.html"))?;
    fs::write(folder.path().join("metformin.md"), "# Metformin\n\nContraindicated below an eGFR of 30.\n")?;
    fs::write(folder.path().join("note.txt"), "The patient takes metformin.")?;
    let report = kb.sync_files(&[folder.path()], &options)?;
    let (added, updated, unchanged, deleted) =
        (report.added, report.updated, report.unchanged, report.deleted);
    writeln!(out, "added {added}, updated {updated}, unchanged {unchanged}, deleted {deleted}")?;
    writeln!(out, "now: {}", kb.ids()?.join(" "))?;
    Ok(())
}
