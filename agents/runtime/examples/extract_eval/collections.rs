//! Which collections are answered from, and what do they give to a question?

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use quorate_core::Cancel;
use quorate_core::embed::Embed;
use quorate_core::vector::{Matrix, dot};
use quorate_runtime::Passage;
use serde_json::Value;

/// Where the answers of XQuAD's questions stand, as far as they were marked by hand.
const ANSWERS: &str = include_str!("../../tests/fixtures/xquad_answers.json");

/// Passages of an answer.
const PASSAGES: usize = 8;

/// Words of a passage.
const WORDS: usize = 250;

pub struct Document {
    pub id: String,
    pub title: String,
    pub text: String,
}

pub struct Question {
    pub text: String,
    pub right: BTreeSet<String>,
    pub answers: Vec<String>,
}

pub struct Collection {
    pub name: &'static str,
    pub documents: Vec<Document>,
    /// Document, start, end.
    pub pieces: Vec<(usize, usize, usize)>,
    pub postings: HashMap<String, Vec<(u32, f32)>>,
    pub lengths: Vec<f32>,
    pub vectors: Matrix,
    pub questions: Vec<Question>,
}

pub fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    split.map(|w| w.to_lowercase().trim_end_matches('s').to_owned()).collect()
}

pub fn string(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

impl Collection {
    pub fn open(data: &Path, name: &'static str, embedder: &dyn Embed, most: usize) -> Collection {
        let folder = data.join(name);
        let documents: Vec<Document> = lines(&folder.join("corpus.jsonl"))
            .iter()
            .map(|d| Document { id: string(d, "_id"), title: string(d, "title"), text: string(d, "text") })
            .collect();
        let mut pieces = Vec::new();
        for (d, document) in documents.iter().enumerate() {
            let starts: Vec<usize> = document
                .text
                .split_whitespace()
                .map(|w| w.as_ptr() as usize - document.text.as_ptr() as usize)
                .collect();
            for chunk in starts.chunks(WORDS) {
                let next = starts.iter().find(|s| **s > chunk[chunk.len() - 1]);
                let full = chunk.len() == WORDS;
                let end = next.filter(|_| full).map_or(document.text.len(), |n| *n);
                pieces.push((d, chunk[0], document.text[..end].trim_end().len()));
            }
        }
        let mut postings: HashMap<String, Vec<(u32, f32)>> = HashMap::new();
        let mut lengths = Vec::new();
        let mut texts = Vec::new();
        for (p, (d, start, end)) in pieces.iter().enumerate() {
            let text = format!("{} {}", documents[*d].title, &documents[*d].text[*start..*end]);
            let mut counts: BTreeMap<String, f32> = BTreeMap::new();
            let all = words(&text);
            lengths.push(all.len() as f32);
            for word in all {
                *counts.entry(word).or_default() += 1.0;
            }
            for (word, count) in counts {
                postings.entry(word).or_default().push((p as u32, count));
            }
            texts.push(text);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embedder.embed(&texts, &Cancel::new()).unwrap();
        let mut right: HashMap<String, BTreeSet<String>> = HashMap::new();
        for split in ["test", "train"] {
            let Ok(table) = std::fs::read_to_string(folder.join("qrels").join(format!("{split}.tsv"))) else {
                continue;
            };
            for line in table.lines().skip(1) {
                let fields: Vec<&str> = line.split('\t').collect();
                if fields[2] != "0" {
                    right.entry(fields[0].to_owned()).or_default().insert(fields[1].to_owned());
                }
            }
        }
        let marked: Vec<Value> = serde_json::from_str(ANSWERS).unwrap();
        let marked: HashMap<String, Vec<String>> = marked
            .iter()
            .map(|m| (string(m, "id"), serde_json::from_value(m["answers"].clone()).unwrap()))
            .collect();
        let all: Vec<Question> = lines(&folder.join("queries.jsonl"))
            .iter()
            .filter_map(|q| {
                let id = string(q, "_id");
                let answers = marked.get(&id).cloned().unwrap_or_default();
                Some(Question { text: string(q, "text"), right: right.get(&id)?.clone(), answers })
            })
            .collect();
        let step = (all.len() / most).max(1);
        let questions = all
            .into_iter()
            .enumerate()
            .filter(|(i, q)| i % step == 0 || !q.answers.is_empty())
            .map(|(_, q)| q)
            .collect();
        Collection { name, documents, pieces, postings, lengths, vectors, questions }
    }

    /// The best passages, without those of some documents.
    pub fn retrieve(&self, question: &str, embedder: &dyn Embed, without: &BTreeSet<String>) -> Vec<Passage> {
        let n = self.pieces.len() as f32;
        let mean = self.lengths.iter().sum::<f32>() / n;
        let mut lexical = vec![0.0f32; self.pieces.len()];
        for word in words(question).into_iter().collect::<BTreeSet<_>>() {
            let Some(list) = self.postings.get(&word) else { continue };
            let df = list.len() as f32;
            let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
            for (p, tf) in list {
                lexical[*p as usize] +=
                    idf * tf / (tf + 1.2 * (0.25 + 0.75 * self.lengths[*p as usize] / mean));
            }
        }
        let query = embedder.embed_query(question).unwrap();
        let dense: Vec<f32> = self.vectors.iter().map(|v| dot(&query, v)).collect();
        let mut fused = vec![0.0f32; self.pieces.len()];
        for scores in [&lexical, &dense] {
            let mut order: Vec<usize> = (0..scores.len()).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            for (rank, p) in order.iter().take(200).enumerate() {
                fused[*p] += 1.0 / (60.0 + rank as f32);
            }
        }
        let mut order: Vec<usize> = (0..fused.len()).collect();
        order.sort_by(|a, b| fused[*b].total_cmp(&fused[*a]).then(a.cmp(b)));
        let passages = order.into_iter().filter(|p| !without.contains(&self.documents[self.pieces[*p].0].id));
        passages
            .take(PASSAGES)
            .map(|p| {
                let (d, start, end) = self.pieces[p];
                let document = &self.documents[d];
                Passage {
                    doc_id: document.id.clone(),
                    chunk_id: format!("{}#{p}", document.id),
                    title: document.title.clone(),
                    text: document.text[start..end].to_owned(),
                    start,
                    end,
                    score: fused[p],
                    ..Passage::default()
                }
            })
            .collect()
    }

    pub fn text_of(&self, id: &str) -> &str {
        self.documents.iter().find(|d| d.id == id).map(|d| d.text.as_str()).unwrap_or_default()
    }
}
