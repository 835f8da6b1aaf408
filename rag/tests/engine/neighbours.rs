//! Do the chunks beside a chunk count as BM25F says, however the rows are spread?

use std::collections::HashMap;

use quorate_rag::chunk::{ChunkOptions, ChunkStrategy};
use quorate_rag::{Bm25, Document, KnowledgeBase, Mode, OpenOptions, SearchOptions, Tuning};

use crate::common::options;

const CHUNK: usize = 6;
const QUERY: [&str; 3] = ["w1", "w4", "w9"];

/// Documents of 1 to 29 words out of twenty.
fn documents() -> Vec<(String, Vec<String>)> {
    let mut state = 7u64;
    let mut next = |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    (0..60)
        .map(|i| (format!("d{i}"), (0..1 + next(29)).map(|_| format!("w{}", next(20))).collect()))
        .collect()
}

fn count(words: &[String], word: &str) -> f32 {
    words.iter().filter(|w| *w == word).count() as f32
}

/// The score of each chunk that has a word of the query, by document and number, from the formula alone.
fn expected(documents: &[(String, Vec<String>)], weight: f32) -> HashMap<(String, usize), f32> {
    let rows: Vec<(&str, usize, &[String])> = documents
        .iter()
        .flat_map(|(id, words)| words.chunks(CHUNK).enumerate().map(|(i, c)| (id.as_str(), i, c)))
        .collect();
    let n = rows.len() as f32;
    let words: usize = rows.iter().map(|(_, _, c)| c.len()).sum();
    let links = 2.0 * (rows.len() - documents.len()) as f32;
    let average = words as f32 / n * (1.0 + weight * links / n);
    let mut out = HashMap::new();
    for &(id, i, own) in &rows {
        let beside: Vec<_> = rows.iter().filter(|r| r.0 == id && r.1.abs_diff(i) == 1).collect();
        let length = own.len() as f32 + weight * beside.iter().map(|r| r.2.len()).sum::<usize>() as f32;
        let score: f32 = QUERY
            .iter()
            .map(|word| {
                let with = rows.iter().filter(|r| count(r.2, word) > 0.0).count() as f32;
                let idf = (1.0 + (n - with + 0.5) / (with + 0.5)).ln();
                let tf = count(own, word) + weight * beside.iter().map(|r| count(r.2, word)).sum::<f32>();
                idf * 2.2 * tf / (tf + 1.2 * (0.25 + 0.75 * length / average))
            })
            .sum();
        if QUERY.iter().any(|word| count(own, word) > 0.0) {
            out.insert((id.to_owned(), i), score);
        }
    }
    out
}

#[test]
fn chunks_count_with_their_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    // Segments of documents of all kinds, then one for each document, so that some have no document of several chunks.
    for (commit, name) in [(25, "many"), (1, "one")] {
        let chunking = ChunkOptions {
            strategy: ChunkStrategy::Fixed,
            max_tokens: CHUNK,
            contextual_headers: false,
            ..ChunkOptions::default()
        };
        let tuning = Tuning { small_segments: 1000, background: false, ..Tuning::default() };
        let place = folder.path().join(name);
        let kb = KnowledgeBase::open(
            place.to_str().unwrap(),
            OpenOptions { chunking: Some(chunking), tuning, ..options() },
        )
        .unwrap();
        counted(&kb, commit);
    }
}

fn counted(kb: &KnowledgeBase, commit: usize) {
    let mut documents = documents();
    for part in documents.chunks(commit) {
        kb.add(part.iter().map(|(id, words)| Document::new(id, words.join(" "))).collect()).unwrap();
    }
    let check = |documents: &[(String, Vec<String>)], weight: f32| {
        let search = SearchOptions {
            k: 1000,
            mode: Mode::Lexical,
            bm25: Bm25 { neighbours: weight, ..Bm25::default() },
            ..SearchOptions::default()
        };
        let hits = kb.search(&QUERY.join(" "), &search).unwrap();
        let wanted = expected(documents, weight);
        assert_eq!(hits.len(), wanted.len());
        for hit in hits.iter() {
            let words = &documents.iter().find(|(id, _)| id == hit.doc_id()).unwrap().1;
            let before = words.join(" ")[..hit.start()].split_whitespace().count();
            let score = wanted[&(hit.doc_id().to_owned(), before / CHUNK)];
            assert!((hit.score() - score).abs() < 1e-4, "{} {before}: {} {score}", hit.doc_id(), hit.score());
            let lexical = hit.explain().unwrap().lexical.unwrap();
            let sum: f32 = lexical.terms.iter().map(|term| term.score).sum();
            assert!((sum - score).abs() < 1e-4);
            assert!(lexical.terms.iter().any(|term| term.frequency > 0));
        }
        hits.iter().any(|hit| hit.explain().unwrap().lexical.unwrap().terms.iter().any(|t| t.nearby > 0))
    };
    assert!(check(&documents, 0.5));
    assert!(check(&documents, 1.0));
    assert!(!check(&documents, 0.0));
    let gone: Vec<String> = documents.iter().step_by(7).map(|(id, _)| id.clone()).collect();
    kb.delete(&gone.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    documents.retain(|(id, _)| !gone.contains(id));
    assert!(check(&documents, 0.5));
    kb.compact().unwrap();
    assert!(check(&documents, 0.5));
}
