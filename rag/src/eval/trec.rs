//! How are runs and judgements exchanged as text?

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use quorate_core::{Code, Error, Result, open_file};

use super::{Qrels, Run};
use crate::document::shorten;

/// The largest file of a run or of judgements that is read, in bytes.
pub const MAX_RUN_BYTES: u64 = 4 << 30;

/// Reads a TREC run: `query Q0 document rank score tag` on each line; the rank is ignored, as trec_eval does.
/// Errors: `load_failed` with file and line, `too_large` (above [`MAX_RUN_BYTES`]), `unsupported` (no regular file),
/// `not_found`, `permission_denied`, `io`.
pub fn read_trec_run(path: impl AsRef<Path>) -> Result<Run> {
    let path = path.as_ref();
    let mut run = Run::new();
    each_line(path, MAX_RUN_BYTES, |line, text| {
        let mut fields = text.split_whitespace();
        let (Some(query), Some(_), Some(document), Some(_), Some(score)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(bad(path, line, "expected 'query Q0 document rank score tag'"));
        };
        let score: f64 = match score.parse() {
            Ok(score) if !f64::is_nan(score) => score,
            _ => return Err(bad(path, line, &format!("'{}' is no score", shorten(score)))),
        };
        if entry(&mut run, query).insert(document.to_owned(), score).is_some() {
            let (document, query) = (shorten(document), shorten(query));
            return Err(bad(path, line, &format!("document '{document}' stands twice for query '{query}'")));
        }
        Ok(())
    })?;
    Ok(run)
}

/// Reads judgements: TREC's `query 0 document grade`, or BEIR's `query document grade`, whose first line may name the
/// columns: `query-id corpus-id score`. Errors: as [`read_trec_run`]; a first line that is neither names nor a judgement is
/// `load_failed` like any other, and so are two different grades of one document.
pub fn read_trec_qrels(path: impl AsRef<Path>) -> Result<Qrels> {
    let path = path.as_ref();
    let mut qrels = Qrels::new();
    each_line(path, MAX_RUN_BYTES, |line, text| {
        let fields: Vec<&str> = text.split_whitespace().take(5).collect();
        let (query, document, grade) = match fields.as_slice() {
            [query, _, document, grade] | [query, document, grade] => (*query, *document, *grade),
            _ => return Err(bad(path, line, "expected 'query 0 document grade' or 'query document grade'")),
        };
        match grade.parse::<i64>() {
            Ok(grade) => match entry(&mut qrels, query).insert(document.to_owned(), grade) {
                Some(before) if before != grade => {
                    let (document, query) = (shorten(document), shorten(query));
                    let what =
                        format!("document '{document}' is judged {before} and {grade} for query '{query}'");
                    Err(bad(path, line, &what))
                }
                _ => Ok(()),
            },
            Err(_) if line == 1 && GRADES.iter().any(|name| grade.eq_ignore_ascii_case(name)) => Ok(()),
            Err(_) => Err(bad(path, line, &format!("'{}' is no whole number", shorten(grade)))),
        }
    })?;
    Ok(qrels)
}

/// What the column of the grades is called in files that name their columns.
const GRADES: [&str; 9] =
    ["score", "grade", "relevance", "rel", "label", "judgment", "judgement", "relevancy", "relevance_score"];

fn entry<'a, V: Default>(map: &'a mut std::collections::BTreeMap<String, V>, key: &str) -> &'a mut V {
    map.entry(key.to_owned()).or_default()
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

/// The longest line, in bytes.
const MAX_LINE_BYTES: u64 = 256 << 20;

/// Calls `each` with every line that is not blank and its number, from 1; no more than a line is in memory. Errors: those
/// of `each`, `load_failed` (no UTF-8), `too_large` (the file above `max_bytes`, a line above 256 MiB), `unsupported` (no
/// regular file), `not_found`, `permission_denied`, `io`.
pub(super) fn each_line(
    path: &Path,
    max_bytes: u64,
    mut each: impl FnMut(usize, &str) -> Result<()>,
) -> Result<()> {
    let mut reader = BufReader::new(open_file(path, max_bytes)?.take(max_bytes));
    let mut bytes = Vec::new();
    for number in 1.. {
        bytes.clear();
        let mut line = reader.by_ref().take(MAX_LINE_BYTES);
        if line.read_until(b'\n', &mut bytes).map_err(|e| Error::io(path, e))? == 0 {
            break;
        }
        if bytes.len() as u64 == MAX_LINE_BYTES && bytes.last() != Some(&b'\n') {
            let message =
                format!("{}:{number}: the line is longer than {MAX_LINE_BYTES} bytes", path.display());
            return Err(Error::new(Code::TooLarge, message));
        }
        let text = std::str::from_utf8(&bytes).map_err(|e| bad(path, number, &e.to_string()))?;
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if !text.trim().is_empty() {
            each(number, text)?;
        }
    }
    Ok(())
}

fn bad(path: &Path, line: usize, what: &str) -> Error {
    Error::new(Code::LoadFailed, format!("{}:{line}: {what}", path.display()))
}
