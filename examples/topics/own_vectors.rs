//! What if the vectors are there already? Documents bring their own, and a search may be by vector.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use quorate::rag::{Document, Filter, KnowledgeBase, Mode, OpenOptions, SearchOptions};
use quorate::{CallbackEmbedder, Cancel};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // The knowledge base has to know how long the vectors are; the function is called for texts without a vector alone.
    let none = |_: &[&str], _: &Cancel| Err(quorate::Error::invalid("nothing is embedded here"));
    let embedder = Arc::new(CallbackEmbedder::new("given", 3, none)?);
    let kb = KnowledgeBase::in_memory(OpenOptions::with_embedder(embedder))?;

    // A vector need not have unit length. A text can also be cut by the caller: `chunks`, each with its own vector.
    kb.add(vec![
        Document::new("north", "Towards the pole.").vector(vec![0.0, 2.0, 0.0]).metadata_field("cold", true),
        Document::new("east", "Where the sun rises.")
            .vector(vec![1.0, 0.0, 0.0])
            .metadata_field("cold", false),
        Document::new("north-east", "Between the two.")
            .vector(vec![1.0, 1.0, 0.0])
            .metadata_field("cold", true),
    ])?;
    for hit in &kb.search_vector(&[0.1, 1.0, 0.0], &SearchOptions { k: 2, ..SearchOptions::default() })? {
        writeln!(out, "{}: {:.3}", hit.doc_id(), hit.similarity().unwrap_or_default())?;
    }
    let filter = Some(Filter::parse("cold = true")?);
    for hit in
        &kb.search_vector(&[1.0, 0.2, 0.0], &SearchOptions { k: 1, filter, ..SearchOptions::default() })?
    {
        writeln!(out, "with a filter: {}", hit.doc_id())?;
    }

    // Words are found as ever.
    for hit in &kb.search("sun", &SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() })? {
        writeln!(out, "by words: {}", hit.doc_id())?;
    }

    // What has another length is refused.
    if let Err(error) = kb.search_vector(&[1.0, 0.0], &SearchOptions::default()) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    Ok(())
}
