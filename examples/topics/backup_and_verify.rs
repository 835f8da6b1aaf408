//! How is a knowledge base copied while it is used, and is every byte still as it was written?

use std::error::Error;
use std::io::Write;

use quorate::rag::{CopyOptions, Document, KnowledgeBase, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("kb").display().to_string();
    let copy = folder.path().join("copy").display().to_string();
    let kb = KnowledgeBase::open(&place, OpenOptions::default())?;
    kb.add((0..20).map(|i| Document::new(format!("d{i}"), format!("Drug {i} and the kidneys."))).collect())?;
    kb.tenant("acme")?.add(vec![Document::new("plan", "A glucose meter in May.")])?;

    // The copy holds all tenants and versions, as of this moment; it is there whole, or not at all.
    let report = kb.backup(&copy, &CopyOptions::default())?;
    writeln!(out, "copied {} documents and {} tenant", report.documents, report.tenants)?;

    // Where something is already, nothing is overwritten.
    if let Err(error) = kb.backup(&copy, &CopyOptions::default()) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    kb.close()?;

    // `verify` reads everything and compares it with its checksums. It lists what is wrong and changes nothing.
    let kb = KnowledgeBase::open(&copy, OpenOptions { read_only: true, ..OpenOptions::default() })?;
    let checked = kb.verify(&CopyOptions::default())?;
    let told = if checked.ok { "no problem".to_owned() } else { format!("{:?}", checked.problems) };
    writeln!(out, "verified {} documents: {told}", checked.documents)?;
    kb.close()?;

    // The indexes are made of the documents. When they are lost, the next opening makes them again.
    std::fs::remove_dir_all(folder.path().join("kb/index"))?;
    let kb = KnowledgeBase::open(&place, OpenOptions::default())?;
    for hit in &kb.search("drug 7", &SearchOptions { k: 1, ..SearchOptions::default() })? {
        writeln!(out, "without its indexes: {} documents, found {}", kb.count(None)?, hit.doc_id())?;
    }
    kb.close()?;
    Ok(())
}
