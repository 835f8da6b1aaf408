//! How does an expert answer from the documents, with no language model? Word for word, cited, or not at all.

use std::error::Error;
use std::io::Write;

use quorate::Sources;
use quorate::rag::{Document, KnowledgeBase, OpenOptions};
use quorate::runtime::{Question, Runtime, RuntimeOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let label = "Metformin lowers blood glucose. The usual starting dose of metformin is 500 mg twice daily.";
    kb.add(vec![
        Document::new("label", label).title("Metformin label"),
        Document::new("guide", "Hold metformin on the day of a contrast scan.").title("Contrast guide"),
    ])?;
    let runtime =
        Runtime::new(RuntimeOptions { sources: Some(Sources::of(kb.clone())), ..Default::default() })?;

    let answer = runtime.ask(Question::new("What is the starting dose of metformin?"))?;
    writeln!(out, "{}", answer.text)?;
    for cited in &answer.citations {
        let text = kb.get(&cited.doc_id)?.text;
        writeln!(out, "{} {} says: {}", cited.marker, cited.doc_id, &text[cited.start..cited.end])?;
    }
    writeln!(out, "borne out by the sources: {}%", 100.0 * answer.grounded.unwrap_or_default())?;

    // What the documents do not say is not made up.
    let answer = runtime.ask(Question::new("Who won the football world cup in 1998?"))?;
    writeln!(out, "{} {}", answer.status.as_str(), answer.stopped_by.unwrap_or_default())?;

    // What happened is in a journal.
    for run in runtime.runs(None)? {
        writeln!(out, "{} - {}", run.status, run.title)?;
    }
    Ok(())
}
