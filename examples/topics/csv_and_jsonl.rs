//! How do tables become documents? One row is one document; its columns become id, title, text and metadata.

use std::error::Error;
use std::fs;
use std::io::Write;

use quorate::rag::load::{CsvOptions, LoadOptions, Names};
use quorate::rag::{FileOptions, Filter, KnowledgeBase, OpenOptions, SearchOptions};

const CSV: &str = "code;name;use;dose_mg;available
008.45;Metformin;Lowers glucose in type 2 diabetes.;500;true
009.10;Aspirin;Inhibits platelets.;100;true
011.00;Nirsevimab;Prevents severe RSV disease.;50;false
";
const JSONL: &str = r#"{"id": "n1", "text": "Asked about metformin and contrast scans.", "year": 2024}
{"id": "n2", "text": "Reports bruises since she takes aspirin.", "year": 2025}
"#;

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let (drugs, notes) = (folder.path().join("drugs.csv"), folder.path().join("notes.jsonl"));
    fs::write(&drugs, CSV)?;
    fs::write(&notes, JSONL)?;

    // Say which column is what. By default the usual names are recognised, and the delimiter is guessed.
    let csv = CsvOptions {
        delimiter: Some(';'),
        id: Some("code".into()),
        title: Some("name".into()),
        text: Some(Names::One("use".into())),
        ..CsvOptions::default()
    };
    let load = LoadOptions { csv, ..LoadOptions::default() };
    kb.add_files(&[drugs], &FileOptions { load, ..FileOptions::default() })?;
    kb.add_files(&[notes], &FileOptions::default())?;

    let document = kb.get("008.45")?;
    writeln!(out, "{}: {}. {}", document.id, document.title, document.text)?;

    // Each column has one type, decided over all rows; what would lose a digit as a number stays a text, as the code does.
    let ids =
        |text: &str| -> quorate::Result<String> { Ok(kb.ids_of(Some(&Filter::parse(text)?))?.join(" ")) };
    writeln!(out, "at least 100 mg: {}", ids("dose_mg >= 100")?)?;
    writeln!(out, "not available: {}", ids("available = false")?)?;
    writeln!(out, "notes of 2025: {}", ids("year = 2025")?)?;
    for hit in &kb.search("bruises", &SearchOptions { k: 1, ..SearchOptions::default() })? {
        writeln!(out, "best for bruises: {}", hit.doc_id())?;
    }
    Ok(())
}
