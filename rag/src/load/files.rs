//! Which files are meant, and which loader reads each?

use std::path::{Path, PathBuf};

use quorate_core::{Code, Error, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Markdown,
    Html,
    Pdf,
    Docx,
    Csv,
    Tsv,
    Jsonl,
}

pub(super) const KNOWN: &str = ".txt .md .markdown .html .htm .pdf .docx .csv .tsv .jsonl .ndjson";

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Text => "txt",
            Kind::Markdown => "md",
            Kind::Html => "html",
            Kind::Pdf => "pdf",
            Kind::Docx => "docx",
            Kind::Csv => "csv",
            Kind::Tsv => "tsv",
            Kind::Jsonl => "jsonl",
        }
    }
}

pub(super) fn kind(path: &Path) -> Option<Kind> {
    Some(match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "txt" | "text" => Kind::Text,
        "md" | "markdown" => Kind::Markdown,
        "html" | "htm" => Kind::Html,
        "pdf" => Kind::Pdf,
        "docx" => Kind::Docx,
        "csv" => Kind::Csv,
        "tsv" => Kind::Tsv,
        "jsonl" | "ndjson" => Kind::Jsonl,
        _ => return None,
    })
}

/// Whether a loader reads files with this ending.
pub fn is_supported(path: impl AsRef<Path>) -> bool {
    kind(path.as_ref()).is_some()
}

/// The files that a pattern means, in order of their paths: a file, a folder (all files below it), or a glob with
/// `*`, `?`, `[...]` and `**`. Hidden files are left out unless the pattern names them. Errors: `not_found` when
/// nothing is there, `invalid_argument` for a malformed glob, `io`.
pub fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let glob = if path.is_file() {
        return Ok(vec![path.to_owned()]);
    } else if path.is_dir() {
        format!("{}/**/*", glob::Pattern::escape(pattern.trim_end_matches('/')))
    } else {
        pattern.to_owned()
    };
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(&glob, options).map_err(|e| {
        Error::with_source(Code::InvalidArgument, format!("'{pattern}' is no file pattern: {e}"), e)
    })?;
    let mut files = Vec::new();
    for entry in found {
        let entry = entry.map_err(|e| {
            let path = e.path().to_owned();
            Error::io(path, e.into())
        })?;
        if entry.is_file() {
            files.push(entry);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::new(Code::NotFound, format!("'{pattern}' names no file")));
    }
    Ok(files)
}
