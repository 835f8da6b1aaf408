//! How do files become documents?
//!
//! Each file is read by a parser of its kind on a thread of its own, with a size limit and a time limit, so that a
//! hostile file is an error with its path and reason, never the end of the process.

mod column;
mod contain;
mod csv;
mod docx;
mod eml;
mod encoding;
mod epub;
mod files;
#[cfg(test)]
mod fuzz;
mod html;
mod jsonl;
mod markdown;
mod ocr;
mod package;
mod pdf;
mod pptx;
mod record;
mod room;
mod rtf;
mod table;
mod text;
mod xlsx;
mod xml;

pub(crate) use files::{Found, Meant, absolute, is_absent, is_row_file, name, path_of};
pub use files::{expand, is_supported};
pub use ocr::Ocr;
pub use table::{CsvOptions, Header, Names};

use std::path::Path;
use std::time::Duration;

use quorate_core::{Code, Error, Result, read_file};
use serde_json::{Map, Value as Json};

use crate::Document;

/// How one file is read, and what bounds it.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadOptions {
    /// The largest file, and the most that may come out of a packed one (all its documents), in bytes.
    pub max_bytes: u64,
    /// The longest time for one file. A parser that is still at work then is left behind on its thread.
    pub timeout: Duration,
    /// How tables in text form are read.
    pub csv: CsvOptions,
    /// The encoding of text files (plain, Markdown, HTML, CSV, JSONL), as a label of the Encoding Standard (`shift_jis`,
    /// `latin-1`). A byte order mark overrules it. Default: what the file declares, else what its bytes look like; the
    /// metadata's `encoding` says which.
    pub encoding: Option<String>,
    /// Of web pages only the main text, without menus, banners and footers. Default no.
    pub main_text: bool,
    /// Reads pages of PDFs that have no text of their own. Default: such pages are left out.
    pub ocr: Option<Ocr>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        LoadOptions {
            max_bytes: 256 << 20,
            timeout: Duration::from_secs(60),
            csv: CsvOptions::default(),
            encoding: None,
            main_text: false,
            ocr: None,
        }
    }
}

/// Reads one file by its ending: `.txt .md .markdown .html .htm .xhtml .pdf .docx .docm .xlsx .xlsm .pptx .pptm .ppsx .epub
/// .rtf .eml .csv .tsv .jsonl .ndjson`.
///
/// A PDF gives a document per page (id `PATH#page=N`), a workbook one per visible sheet (`PATH#sheet=NAME`), a
/// presentation one per slide (`PATH#slide=N`), a book one per content file (`PATH#chapter=N`), an e-mail one and one for
/// each attachment that a loader reads (`PATH#attachment=N`), a CSV or JSONL file one per row (its own `id`, or
/// `PATH#row=N`), any other file one (id `PATH`).
/// `PATH` is absolute, however it was typed, and the `source` too; a name that is no Unicode is its `file:` URI. Metadata holds what the file tells: `file_type`, `language`
/// (ISO 639-3, when it can be told), `encoding`, `modified`, `page`, `pages`, `author`, `created`, and front matter.
/// What is made of each kind stands in docs/files.md.
///
/// The cells of a column of a CSV file are of one type, decided over all rows: int64, float64, boolean, or string where a
/// number would lose something of what is written. Of JSONL the types are those of JSON; whole numbers beyond 64 bits are
/// strings.
///
/// Errors: `not_found`, `permission_denied`, `io`, `too_large`, `timeout`, `unsupported` (the ending, or no regular file),
/// `load_failed` (the content), each with the path; `invalid_argument` (options).
///
/// ```
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("note.md");
/// std::fs::write(&path, "---\nyear: 2024\n---\n# Metformin\nTake with food.").unwrap();
/// let documents = quorate_rag::load::load_file(&path, &Default::default()).unwrap();
/// assert_eq!(documents[0].title, "Metformin");
/// assert_eq!(documents[0].metadata["year"], 2024);
/// ```
pub fn load_file(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Vec<Document>> {
    let path = path.as_ref();
    let place = absolute(path)?;
    let mut documents = Vec::new();
    load_each(path, &name(&place, None), &place, options, &mut |document| {
        documents.push(document?);
        Ok(())
    })?;
    Ok(documents)
}

/// Takes the documents of a file as they are read; a row that cannot be read is an error that others may follow.
pub(crate) type Each<'a> = dyn FnMut(Result<Document>) -> Result<()> + 'a;

/// Reads one file as [`load_file`] does, document by document; they are called `id` instead of `PATH`. Errors: those of
/// [`load_file`], and those of `each` as they are.
pub(crate) fn load_each(
    path: &Path,
    id: &str,
    place: &Path,
    options: &LoadOptions,
    each: &mut Each<'_>,
) -> Result<()> {
    let kind = files::kind(path).ok_or_else(|| {
        let message =
            format!("{}: no loader reads this kind of file; known are {}", path.display(), files::KNOWN);
        Error::new(Code::Unsupported, message)
    })?;
    options.csv.validate()?;
    let modified = std::fs::metadata(path).and_then(|meta| meta.modified()).ok().map(rfc3339);
    let bytes = read_file(path, options.max_bytes)?;
    let timeout = options.timeout;
    let pauses = ocr::Pauses::default();
    let options =
        &LoadOptions { ocr: options.ocr.as_ref().map(|ocr| ocr.pausing(&pauses)), ..options.clone() };
    let (id, source, options, shown) =
        (id.to_owned(), name(place, None), options.clone(), path.display().to_string());
    let work = move |give: &mut dyn FnMut(Result<Document>) -> Result<()>| {
        let mut finished = |document: Result<Document>| {
            let document = document.map_err(|e| e.context(&shown)).map(|mut document| {
                document.source.clone_from(&source);
                let language = language(&document.text);
                let metadata = &mut document.metadata;
                if let Some(language) = language {
                    metadata.entry("language").or_insert_with(|| language.into());
                }
                metadata.entry("file_type").or_insert_with(|| kind.name().into());
                if let Some(modified) = &modified {
                    metadata.entry("modified").or_insert_with(|| modified.clone().into());
                }
                document
            });
            give(document)
        };
        load_bytes(kind, &id, bytes, &options, &mut finished)
    };
    contain::stream(timeout, &pauses, work, each).map_err(|ended| match ended {
        contain::Ended::Parser(error) => error.context(path.display()),
        contain::Ended::Taker(error) => error,
    })
}

fn load_bytes(
    kind: files::Kind,
    name: &str,
    bytes: Vec<u8>,
    options: &LoadOptions,
    each: &mut Each<'_>,
) -> Result<()> {
    let chosen = options.encoding.as_deref();
    let documents = match kind {
        files::Kind::Text => vec![text::load(name, bytes, chosen)?],
        files::Kind::Markdown => vec![markdown::load(name, bytes, chosen)?],
        files::Kind::Html => vec![html::load(name, bytes, options)?],
        files::Kind::Pdf => pdf::load(name, bytes, options)?,
        files::Kind::Docx => vec![docx::load(name, bytes, options)?],
        files::Kind::Xlsx => xlsx::load(name, bytes, options)?,
        files::Kind::Pptx => pptx::load(name, bytes, options)?,
        files::Kind::Epub => epub::load(name, bytes, options)?,
        files::Kind::Rtf => vec![rtf::load(name, &bytes)?],
        files::Kind::Eml => eml::load(name, &bytes, options)?,
        files::Kind::Csv | files::Kind::Tsv => {
            let text = encoding::decode(bytes, chosen)?.text;
            return csv::load(name, &text, kind == files::Kind::Tsv, &options.csv, each);
        }
        files::Kind::Jsonl => {
            return jsonl::load(name, &encoding::decode(bytes, chosen)?.text, &options.csv, each);
        }
    };
    documents.into_iter().try_for_each(|document| each(Ok(document)))
}

/// The part of a path that names the file to a person.
fn stem(name: &str) -> String {
    Path::new(name).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn rfc3339(time: std::time::SystemTime) -> String {
    chrono::DateTime::<chrono::Utc>::from(time).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The language of a text, when a sample of it tells one reliably.
fn language(text: &str) -> Option<&'static str> {
    let sample = &text[..text.floor_char_boundary(4000)];
    let info = whatlang::detect(sample)?;
    info.is_reliable().then(|| info.lang().code())
}

fn failed(what: impl std::fmt::Display) -> Error {
    Error::new(Code::LoadFailed, what.to_string())
}

fn metadata(pairs: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Map<String, Json> {
    let known = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
