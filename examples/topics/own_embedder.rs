//! How does one use an embedding model of one's own? Any function from texts to vectors will do.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use quorate::rag::{Document, KnowledgeBase, Mode, ModelSource, OpenOptions, SearchOptions};
use quorate::{CallbackEmbedder, Cancel, Embed};

/// A toy: how often each letter occurs. A real one would call a model or a service.
fn letters(texts: &[&str], _: &Cancel) -> quorate::Result<Vec<Vec<f32>>> {
    let count = |text: &str, letter: char| text.to_lowercase().matches(letter).count() as f32;
    Ok(texts.iter().map(|text| ('a'..='z').map(|letter| count(text, letter)).collect()).collect())
}

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // The id names the function and its version: vectors of another function must have another id.
    let embedder = Arc::new(CallbackEmbedder::new("letters-v1", 26, letters)?);
    writeln!(out, "components: {}", embedder.embed_query("glucose")?.len())?;

    let folder = tempfile::tempdir()?;
    let place = folder.path().to_string_lossy();
    let kb = KnowledgeBase::open(&place, OpenOptions::with_embedder(embedder))?;
    kb.add(vec![
        Document::new("a", "glucose"),
        Document::new("b", "platelets"),
        Document::new("c", "kidney"),
    ])?;
    // An anagram: no word in common, but the same letters.
    let options = SearchOptions { k: 1, mode: Mode::Dense, ..SearchOptions::default() };
    for hit in &kb.search("cose glu", &options)? {
        writeln!(out, "nearest: {}, similarity {:.2}", hit.doc_id(), hit.similarity().unwrap_or_default())?;
    }
    kb.close()?;

    // A knowledge base remembers what embedded it; another model is refused, since its vectors mean something else.
    let builtin = OpenOptions { model: Some(ModelSource::new("builtin")), ..OpenOptions::default() };
    if let Err(error) = KnowledgeBase::open(&place, builtin) {
        writeln!(out, "refused: {}", error.code().as_str())?;
    }
    Ok(())
}
