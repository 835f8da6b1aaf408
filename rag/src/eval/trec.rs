//! How are runs and judgements exchanged as text?

use std::fmt::Write as _;
use std::path::Path;

use quorate_core::{Code, Error, Result};

use super::{Qrels, Run};

/// Reads a TREC run: `query Q0 document rank score tag` on each line; the rank is ignored, as trec_eval does.
/// Errors: `load_failed` with file and line, `not_found`, `io`.
pub fn read_trec_run(path: impl AsRef<Path>) -> Result<Run> {
    let path = path.as_ref();
    let mut run = Run::new();
    for (line, fields) in read_fields(path)? {
        let [query, _, document, _, score, ..] = fields.as_slice() else {
            return Err(bad(path, line, "expected 'query Q0 document rank score tag'"));
        };
        let score: f64 = match score.parse() {
            Ok(score) if !f64::is_nan(score) => score,
            _ => return Err(bad(path, line, &format!("'{score}' is no score"))),
        };
        if run.entry(query.clone()).or_default().insert(document.clone(), score).is_some() {
            return Err(bad(path, line, &format!("document '{document}' stands twice for query '{query}'")));
        }
    }
    Ok(run)
}

/// Reads judgements: TREC's `query 0 document grade`, or BEIR's `query document grade` with its header line.
/// Errors: `load_failed` with file and line, `not_found`, `io`.
pub fn read_trec_qrels(path: impl AsRef<Path>) -> Result<Qrels> {
    let path = path.as_ref();
    let mut qrels = Qrels::new();
    for (line, fields) in read_fields(path)? {
        let (query, document, grade) = match fields.as_slice() {
            [query, _, document, grade] | [query, document, grade] => (query, document, grade),
            _ => return Err(bad(path, line, "expected 'query 0 document grade' or 'query document grade'")),
        };
        match grade.parse::<i64>() {
            Ok(grade) => qrels.entry(query.clone()).or_default().insert(document.clone(), grade),
            Err(_) if line == 1 => continue,
            Err(_) => return Err(bad(path, line, &format!("'{grade}' is no whole number"))),
        };
    }
    Ok(qrels)
}

/// Writes a TREC run, best first, with ranks from 1 and the tag `quorate`. Errors: `io`, `invalid_argument` (an id
/// with white space).
pub fn write_trec_run(run: &Run, path: impl AsRef<Path>) -> Result<()> {
    let mut text = String::new();
    for (query, scores) in run {
        let mut order: Vec<_> = scores.iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(a.1).then_with(|| b.0.cmp(a.0)));
        for (rank, (document, score)) in (1..).zip(order) {
            if let Some(id) =
                [query, document].into_iter().find(|id| id.is_empty() || id.contains(char::is_whitespace))
            {
                return Err(Error::invalid(format!(
                    "the TREC form cannot hold the id '{id}': it is empty or has white space"
                )));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{query} Q0 {document} {rank} {score} quorate");
        }
    }
    std::fs::write(&path, text).map_err(|e| Error::io(&path, e))
}

fn read_fields(path: &Path) -> Result<Vec<(usize, Vec<String>)>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(n, line)| (n, line.split_whitespace().map(str::to_owned).collect())).collect())
}

fn bad(path: &Path, line: usize, what: &str) -> Error {
    Error::new(Code::LoadFailed, format!("{}:{line}: {what}", path.display()))
}
