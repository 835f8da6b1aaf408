//! How well do cosine and words tell questions of a collection from questions of another one?
//!
//! `relevance MODEL QUERIES CLINC150.json FOLDER...`: each folder holds a collection in BEIR's layout. Of each one up to
//! `QUERIES` judged questions are asked of their own collection, and as many of each other one, and of CLINC150's
//! utterances to a home and bank assistant, as questions that it knows nothing of. Prints one CSV line a passage: collection,
//! who asks, whether it is about the question (the best judged passage of an own question; the best three of a foreign
//! one are not), rank, cosine, share of words, relevance as it is now. `benches/relevance.py` fits and judges.

#![allow(clippy::print_stdout)]

use std::path::Path;

use quorate_core::{Error, Result};
use quorate_rag::eval::load_beir;
use quorate_rag::{Document, Hit, KnowledgeBase, ModelSource, OpenOptions, SearchOptions};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, queries, clinc, folders @ ..] = &args[..] else {
        return Err(Error::invalid("MODEL QUERIES CLINC150.json FOLDER..."));
    };
    let limit: usize = queries.parse().map_err(|e| Error::invalid(format!("{queries}: {e}")))?;
    let mut asked: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut collections = Vec::new();
    for folder in folders {
        let data = load_beir(folder, "test")?;
        let judged: Vec<(String, String)> = data
            .queries
            .iter()
            .filter(|(id, _)| data.qrels.contains_key(*id))
            .map(|(a, b)| (a.clone(), b.clone()))
            .collect();
        let step = judged.len().div_ceil(limit).max(1);
        let name =
            Path::new(folder).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        asked.push((name, judged.into_iter().step_by(step).collect()));
        collections.push(data);
    }
    asked.push(("clinc150".into(), clinc_utterances(clinc, limit)?));
    println!("collection,asked,about,rank,cosine,words,relevance");
    for (own, data) in collections.iter().enumerate() {
        let place = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
        let options = OpenOptions { model: Some(ModelSource::new(model)), ..OpenOptions::default() };
        let kb = KnowledgeBase::open(place.path().to_string_lossy(), options)?;
        let needed: std::collections::BTreeSet<&String> = asked[own]
            .1
            .iter()
            .filter_map(|(id, _)| data.qrels.get(id))
            .flat_map(|judged| judged.keys())
            .collect();
        let step = data.corpus.len().div_ceil(4000).max(1);
        let documents = data
            .corpus
            .iter()
            .enumerate()
            .filter(|(i, d)| i % step == 0 || needed.contains(&d.id))
            .map(|(_, d)| Document::new(&d.id, &d.text).title(&d.title));
        kb.add(documents.collect())?;
        for (from, (name, questions)) in asked.iter().enumerate() {
            for (id, text) in questions {
                let hits = kb.search(text, &SearchOptions { k: 20, ..SearchOptions::default() })?;
                let line = |rank: usize, hit: &Hit, about: bool| -> Result<()> {
                    println!(
                        "{},{name},{},{rank},{:.5},{:.5},{:.5}",
                        asked[own].0,
                        u8::from(about),
                        hit.similarity().unwrap_or_default(),
                        hit.coverage()?.unwrap_or_default(),
                        hit.relevance()?.unwrap_or_default()
                    );
                    Ok(())
                };
                if from != own {
                    for (rank, hit) in hits.iter().take(3).enumerate() {
                        line(rank + 1, hit, false)?;
                    }
                } else if let Some(judged) = data.qrels.get(id)
                    && let Some((rank, hit)) = hits
                        .iter()
                        .enumerate()
                        .find(|(_, hit)| judged.get(hit.doc_id()).is_some_and(|&g| g > 0))
                {
                    line(rank + 1, hit, true)?;
                }
            }
        }
        kb.close()?;
    }
    Ok(())
}

/// Utterances of the test split, spread over its intents.
fn clinc_utterances(path: &str, limit: usize) -> Result<Vec<(String, String)>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let all: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| Error::invalid(format!("{path}: {e}")))?;
    let utterances: Vec<String> = all["test"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|pair| pair[0].as_str().map(str::to_owned))
        .collect();
    let step = utterances.len().div_ceil(limit).max(1);
    Ok(utterances.into_iter().step_by(step).enumerate().map(|(i, text)| (i.to_string(), text)).collect())
}
