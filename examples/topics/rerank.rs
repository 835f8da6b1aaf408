//! How do the best hits get a better order? Variety by MMR, and a function of one's own.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use quorate::rag::{Document, Hit, Hits, KnowledgeBase, OpenOptions, Rerank, Reranker, SearchOptions};

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    kb.add(vec![
        Document::new("a", "Metformin and renal failure: do not use.").metadata_field("year", 2015),
        Document::new("b", "Metformin and renal failure: do not use it.").metadata_field("year", 2019),
        Document::new("c", "Renal failure changes the dose of many drugs.").metadata_field("year", 2024),
    ])?;
    let question = "metformin and renal failure: do not use";

    let search = |rerank| kb.search(question, &SearchOptions { rerank, ..SearchOptions::default() });
    writeln!(out, "as found: {}", ids(&search(None)?))?;

    // Maximal marginal relevance: what repeats a hit that was taken already comes later. `lambda` is the weight of relevance
    // against variety.
    let variety = Rerank::new(Reranker::Mmr { lambda: 0.3 });
    writeln!(out, "with variety: {}", ids(&search(Some(variety))?))?;

    // A function of the query and the hits gives one score each. Here newer is better.
    let newest = |_: &str, hits: &[Hit]| -> quorate::Result<Vec<f32>> {
        Ok(hits.iter().map(|hit| hit.metadata()["year"].as_f64().unwrap_or_default() as f32).collect())
    };
    let hits = search(Some(Rerank::new(Reranker::Callback(Arc::new(newest)))))?;
    writeln!(out, "newest first: {}", ids(&hits))?;
    writeln!(out, "the score is the function's: {:.0}", hits[0].score())?;

    // A cross-encoder is a model that reads question and text together: Reranker::CrossEncoder.
    Ok(())
}

fn ids(hits: &Hits) -> String {
    hits.iter().map(|hit| hit.doc_id()).collect::<Vec<_>>().join(" ")
}
