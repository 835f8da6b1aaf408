//! Where are long texts cut? The strategies, and what a hit knows of its place.

use std::error::Error;
use std::io::Write;

use quorate::rag::chunk::{ChunkOptions, ChunkStrategy};
use quorate::rag::{Document, GroupBy, KnowledgeBase, OpenOptions, SearchOptions};

const TEXT: &str = "# Metformin

Metformin lowers glucose. It is the first choice in type 2 diabetes.

## Kidneys

Do not start below an eGFR of 45. Stop below an eGFR of 30. Check the eGFR once a year.

## Contrast scans

Hold the drug on the day of the scan. Resume after two days when the kidneys are stable.
";

/// Writes what happens to `out`.
pub fn run(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    // Sizes are in tokens of the embedder. `Auto`, the default, is `Markdown` where there are headings and `Recursive` elsewhere.
    let strategies = [
        ("fixed", ChunkStrategy::Fixed),
        ("sentence", ChunkStrategy::Sentence),
        ("recursive", ChunkStrategy::Recursive),
        ("markdown", ChunkStrategy::Markdown),
    ];
    for (name, strategy) in strategies {
        let kb = KnowledgeBase::in_memory(cut(strategy))?;
        writeln!(out, "{name}: {} chunks", kb.add(vec![Document::new("leaflet", TEXT)])?.chunks)?;
    }

    let kb = KnowledgeBase::in_memory(cut(ChunkStrategy::Markdown))?;
    kb.add(vec![Document::new("leaflet", TEXT)])?;
    let best = SearchOptions { k: 1, ..SearchOptions::default() };
    for hit in &kb.search("below which eGFR is it too late to start?", &best)? {
        // The headings above a chunk are embedded with it. A chunk is a range of the document's text, so that it can be cited.
        writeln!(out, "under: {}", hit.headings().join(" > "))?;
        let words: Vec<&str> = TEXT[hit.range()].split_whitespace().collect();
        writeln!(out, "cited: {}", words.join(" "))?;
    }

    // `group_by` gives the best chunk of each document.
    let all = kb.search("metformin", &SearchOptions::default())?;
    let grouped = SearchOptions { group_by: Some(GroupBy::Doc), ..SearchOptions::default() };
    writeln!(out, "hits: {} grouped: {}", all.len(), kb.search("metformin", &grouped)?.len())?;
    Ok(())
}

fn cut(strategy: ChunkStrategy) -> OpenOptions {
    let chunking = ChunkOptions { strategy, max_tokens: 20, ..ChunkOptions::default() };
    OpenOptions { chunking: Some(chunking), ..OpenOptions::default() }
}
