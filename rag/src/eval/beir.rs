//! How is a BEIR folder read?

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::Qrels;
use super::trec::read_trec_qrels;

/// A document of a BEIR corpus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BeirDocument {
    /// Its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title, often empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
    /// Whatever else the collection says of it.
    #[serde(default)]
    pub metadata: Map<String, Json>,
}

#[derive(Deserialize)]
struct BeirQuery {
    #[serde(rename = "_id")]
    id: String,
    text: String,
}

/// A test collection: documents in file order, all queries, and the judgements of one split.
#[derive(Clone, Debug, PartialEq)]
pub struct BeirDataset {
    /// The documents.
    pub corpus: Vec<BeirDocument>,
    /// Query id to text; only queries that the split judges.
    pub queries: BTreeMap<String, String>,
    /// The judgements.
    pub qrels: Qrels,
}

/// Reads `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv` (Thakur et al. 2021).
/// Errors: `not_found`, `io`, `load_failed` with file and line.
pub fn load_beir(folder: impl AsRef<Path>, split: &str) -> Result<BeirDataset> {
    let folder = folder.as_ref();
    let qrels = read_trec_qrels(folder.join("qrels").join(format!("{split}.tsv")))?;
    let corpus = read_lines(&folder.join("corpus.jsonl"))?;
    let queries: Vec<BeirQuery> = read_lines(&folder.join("queries.jsonl"))?;
    let queries = queries.into_iter().filter(|q| qrels.contains_key(&q.id)).map(|q| (q.id, q.text)).collect();
    Ok(BeirDataset { corpus, queries, qrels })
}

fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut items = Vec::new();
    for (number, line) in (1..).zip(BufReader::new(file).lines()) {
        let line = line.map_err(|e| Error::io(path, e))?;
        if line.trim().is_empty() {
            continue;
        }
        items.push(serde_json::from_str(&line).map_err(|e| {
            let message = format!("{}:{number}: {e}", path.display());
            Error::with_source(Code::LoadFailed, message, e)
        })?);
    }
    Ok(items)
}
