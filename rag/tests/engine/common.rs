//! What do the integration tests share?

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use quorate_core::embed::Embed;
use quorate_core::vector::Matrix;
use quorate_core::{Cancel, Result};
use quorate_rag::{Document, KnowledgeBase, Mode, OpenOptions, SearchOptions, Tuning};
use quorate_store::{Database, Entry};

/// Embeds a text as the hashed bag of its words: the same words give the same vector, shared words a similar one.
pub struct Words {
    pub id: String,
    pub dim: usize,
}

impl Words {
    pub fn new(dim: usize) -> Arc<dyn Embed> {
        Arc::new(Words { id: format!("words/{dim}"), dim })
    }
}

impl Embed for Words {
    fn id(&self) -> &str {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn embed(&self, texts: &[&str], cancel: &Cancel) -> Result<Matrix> {
        let mut out = Matrix::zeros(texts.len(), self.dim);
        for (i, text) in texts.iter().enumerate() {
            cancel.check()?;
            out.row_mut(i).copy_from_slice(&self.embed_query(text)?);
        }
        Ok(out)
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vector = vec![0.0f32; self.dim];
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
            let mut hash = 0xcbf29ce484222325u64;
            for byte in word.to_lowercase().bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3);
            }
            for _ in 0..4 {
                hash ^= hash >> 29;
                hash = hash.wrapping_mul(0xbf58476d1ce4e5b9);
                vector[(hash >> 8) as usize % self.dim] += if hash & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|x| *x /= length);
        }
        Ok(vector)
    }

    fn tokenize(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>> {
        let mut out = Vec::new();
        let mut start = None;
        for (i, c) in text.char_indices().chain([(text.len(), ' ')]) {
            match (c.is_alphanumeric(), start) {
                (true, None) => start = Some(i),
                (false, Some(from)) => {
                    out.push(from..i);
                    start = None;
                }
                _ => {}
            }
        }
        Ok(out)
    }

    fn special_tokens(&self) -> usize {
        0
    }
}

#[allow(dead_code)] // not every binary of tests opens folders
pub fn open(folder: &std::path::Path) -> KnowledgeBase {
    KnowledgeBase::open(folder.to_str().unwrap(), options()).unwrap()
}

pub fn options() -> OpenOptions {
    OpenOptions::with_embedder(Words::new(32))
}

/// Everything happens early and often.
#[allow(dead_code)]
pub fn early() -> Tuning {
    Tuning {
        flush_rows: 6,
        small_rows: 6,
        small_segments: 2,
        graph_rows: 12,
        commits: 5,
        fragment_rows: 8,
        garbage_rows: 8,
        ..Tuning::default()
    }
}

/// What a knowledge base holds: the number that each document carries. It is found by every route alike.
#[allow(dead_code)]
pub fn state(kb: &KnowledgeBase) -> BTreeMap<String, i64> {
    let ids = kb.ids().unwrap();
    let mut state = BTreeMap::new();
    for id in &ids {
        let document = kb.get(id).unwrap();
        let n = document.metadata["n"].as_i64().unwrap();
        assert_eq!(document.text, text(id, n));
        assert!(state.insert(id.clone(), n).is_none(), "{id} is there twice");
    }
    assert_eq!(kb.count(None).unwrap(), ids.len());
    assert_eq!(kb.stats().unwrap().chunks, ids.len());
    for mode in [Mode::Lexical, Mode::Dense] {
        let all = SearchOptions { mode, k: ids.len() + 10, ..SearchOptions::default() };
        let hits = kb.search("shared", &all).unwrap();
        let mut found: Vec<&str> = hits.iter().map(|hit| hit.doc_id()).collect();
        found.sort_unstable();
        assert_eq!(found, state.keys().map(String::as_str).collect::<Vec<_>>(), "{mode:?}");
    }
    for (id, n) in state.iter().step_by(state.len() / 5 + 1) {
        let one = SearchOptions { mode: Mode::Lexical, k: 3, ..SearchOptions::default() };
        let hits = kb.search(&text(id, *n), &one).unwrap();
        assert_eq!(hits[0].doc_id(), id);
    }
    state
}

/// The text of a document at its revision `n`.
#[allow(dead_code)]
pub fn text(id: &str, n: i64) -> String {
    format!("shared revision{} of{id}", n / 2 * 2)
}

/// A document that carries a number; numbers 2n and 2n + 1 differ in metadata only.
#[allow(dead_code)]
pub fn numbered(id: &str, n: i64) -> Document {
    Document::new(id, text(id, n)).metadata_field("n", n)
}

/// Copies a folder with all that is in it.
#[allow(dead_code)]
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let place = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(std::fs::copy(entry.path(), place).unwrap()),
        }
    }
}

/// What the truth says, without the engine: its entries, one after the other.
#[allow(dead_code)]
pub fn scanned(folder: &Path) -> BTreeMap<String, i64> {
    let truth = folder.join("truth");
    let database = Database::connect(truth.to_str().unwrap(), &HashMap::new(), false).unwrap();
    let mut state = BTreeMap::new();
    for numbered in database.open("documents").unwrap().unwrap().read(0).unwrap() {
        match numbered.entry {
            Entry::Put(record) => {
                let metadata: serde_json::Value = serde_json::from_str(&record.metadata).unwrap();
                state.insert(record.id, metadata["n"].as_i64().unwrap());
            }
            Entry::Delete(ids) => ids.iter().for_each(|id| {
                state.remove(id);
            }),
        }
    }
    state
}
