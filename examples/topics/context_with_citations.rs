//! What does a language model get to read? Passages within a budget of tokens, with citations that point back.

use std::error::Error;
use std::io::Write;

use quorate::rag::{ContextOptions, Document, KnowledgeBase, OpenOptions, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    kb.add(vec![
        Document::new("label", "Metformin is contraindicated below an eGFR of 30.").title("Metformin label"),
        Document::new("guide", "Hold metformin on the day of a contrast scan.").title("Contrast guide"),
        Document::new("sky", "The sky is blue on a clear day.").title("Sky"),
    ])?;

    let search = SearchOptions { k: 2, ..SearchOptions::default() };
    let options = ContextOptions { max_tokens: 40, search, ..ContextOptions::default() };
    let context = kb.context("May a patient with an eGFR of 25 take metformin?", &options)?;
    writeln!(out, "{}", context.text)?;
    writeln!(out, "tokens: {}", if context.tokens <= 40 { "within the budget" } else { "too many" })?;

    // Each marker stands for a passage: document and place.
    for cited in &context.citations {
        let text = kb.get(&cited.doc_id)?.text;
        writeln!(out, "{} {} cites: {}", cited.marker, cited.doc_id, &text[cited.start..cited.end])?;
    }

    // With `min_relevance` nothing is cited where nothing is about the question, and `reason` says why the text is empty.
    let search = SearchOptions { k: 20, min_relevance: Some(0.5), ..SearchOptions::default() };
    let options = ContextOptions { search, ..ContextOptions::default() };
    if let Some(reason) = kb.context("Who won the football match?", &options)?.reason {
        writeln!(out, "nothing to say: {}", reason.as_str())?;
    }
    Ok(())
}
