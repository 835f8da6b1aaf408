//! How is a BEIR folder read?

use std::collections::BTreeMap;
use std::path::Path;

use quorate_core::{Code, Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::Qrels;
use super::trec::{each_line, read_trec_qrels};

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
/// Errors: `load_failed` with file and line, `not_found`, `permission_denied`, `io`, `unsupported` (no regular file),
/// `too_large` (above 64 GiB, or a line above 256 MiB).
pub fn load_beir(folder: impl AsRef<Path>, split: &str) -> Result<BeirDataset> {
    let folder = folder.as_ref();
    let qrels = read_trec_qrels(folder.join("qrels").join(format!("{split}.tsv")))?;
    let corpus = read_lines(&folder.join("corpus.jsonl"))?;
    let queries: Vec<BeirQuery> = read_lines(&folder.join("queries.jsonl"))?;
    let queries = queries.into_iter().filter(|q| qrels.contains_key(&q.id)).map(|q| (q.id, q.text)).collect();
    Ok(BeirDataset { corpus, queries, qrels })
}

/// The largest corpus that is read, in bytes; all of it is in memory afterwards.
const MAX_CORPUS_BYTES: u64 = 64 << 30;

fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let mut items = Vec::new();
    each_line(path, MAX_CORPUS_BYTES, |number, line| {
        items.push(serde_json::from_str(line).map_err(|e| {
            let message = format!("{}:{number}: {e}", path.display());
            Error::with_source(Code::LoadFailed, message, e)
        })?);
        Ok(())
    })?;
    Ok(items)
}
