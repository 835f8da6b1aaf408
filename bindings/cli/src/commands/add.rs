//! How do files and texts become part of a knowledge base?

use std::path::{Path, PathBuf};

use quorate::rag::{
    Document, FileOptions, KnowledgeBase, MAX_TEXT_BYTES, Metadata, OnError, SyncOptions, WriteOptions,
};
use quorate::{Code, Error, Result};
use serde_json::Value;

use super::count;
use crate::args::Add;
use crate::console::Console;
use crate::failure::Failure;
use crate::place::Place;
use crate::shown::Written;
use crate::{exit, input, text};

/// So many of what was skipped are named to a person.
const NAMED: usize = 20;

pub(crate) fn run(given: Add, place: &Place, console: &mut Console) -> Result<u8, Failure> {
    let metadata = metadata(&given.metadata)?;
    let (piped, files): (Vec<PathBuf>, Vec<PathBuf>) =
        given.paths.iter().cloned().partition(|path| path == Path::new("-"));
    if piped.len() > 1 {
        return Err(Failure::usage("'-' is given more than once"));
    }
    if given.sync && !piped.is_empty() {
        return Err(Failure::usage("--sync compares folders; it has no meaning with '-'"));
    }
    // What cannot be read leaves no new folder behind.
    let text = match piped.is_empty() {
        true => None,
        false => Some(input::piped(console, MAX_TEXT_BYTES as u64)?),
    };
    if let Some(text) = &text
        && text.trim().is_empty()
    {
        return Err(Error::new(Code::EmptyInput, "standard input has no text").into());
    }
    for path in &files {
        check_there(path)?;
    }
    let bar = console.progress("building indexes");
    let kb = KnowledgeBase::open(place.name(), place.options(bar.told()))?;
    drop(bar);
    let written = write(&given, place, console, &kb, text, &files, metadata);
    // What was done stays, also where the rest was not.
    let closed = kb.close();
    let written = written?;
    closed?;
    tell(console, &written)
}

fn write(
    given: &Add,
    place: &Place,
    console: &mut Console,
    kb: &KnowledgeBase,
    text: Option<String>,
    files: &[PathBuf],
    metadata: Metadata,
) -> Result<Written> {
    let bar = console.progress("adding files");
    let how = WriteOptions {
        on_error: if given.strict { OnError::Stop } else { OnError::Skip },
        progress: bar.told(),
        cancel: console.cancel(),
    };
    let mut written: Option<Written> = None;
    if let Some(text) = text {
        let mut document = Document::new(&given.id, text);
        if let Some(title) = &given.title {
            document = document.title(title);
        }
        document.metadata.clone_from(&metadata);
        let stop = WriteOptions { on_error: OnError::Stop, ..how.clone() };
        written = Some(kb.upsert_with(vec![document], &stop)?.into());
    }
    if !files.is_empty() {
        let options = FileOptions {
            write: how,
            root: Some(root(given, place)?),
            metadata,
            follow_links: given.follow_links,
            ..FileOptions::default()
        };
        let added: Written = match given.sync {
            true => kb.sync_files(files, &SyncOptions { files: options, delete_missing: true })?.into(),
            false => kb.upsert_files(files, &options)?.into(),
        };
        written = Some(match written {
            Some(before) => before.and(added),
            None => added,
        });
    }
    written.ok_or_else(|| Error::new(Code::EmptyInput, "there is nothing to add"))
}

/// Says what is wrong with a path that names nothing. A glob is looked at when files are read. Errors: `not_found`,
/// `permission_denied`, `io`.
fn check_there(path: &Path) -> Result<()> {
    let is_glob = path.to_str().is_some_and(|path| path.contains(['*', '?', '[']));
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::read_dir(path).map(|_| ()).map_err(|e| Error::io(path, e)),
        Ok(_) => Ok(()),
        Err(_) if is_glob => Ok(()),
        Err(error) => Err(Error::io(path, error)),
    }
}

/// The folder that ids begin below.
fn root(given: &Add, place: &Place) -> Result<PathBuf> {
    if let Some(root) = &given.root {
        return Ok(root.clone());
    }
    let folder = place.folder().unwrap_or(Path::new("."));
    let folder = std::path::absolute(folder).map_err(|e| Error::io(folder, e))?;
    Ok(folder.parent().map_or(folder.clone(), Path::to_owned))
}

/// What is known of all documents. Errors: `invalid_argument`.
fn metadata(given: &[String]) -> Result<Metadata> {
    let mut metadata = Metadata::new();
    for pair in given {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            let shown = quorate::core::shorten(pair);
            return Err(Error::invalid(format!("--metadata '{shown}': KEY=VALUE is expected")));
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        metadata.insert(name.trim().to_owned(), value);
    }
    Ok(metadata)
}

fn tell(console: &mut Console, written: &Written) -> Result<u8, Failure> {
    let code = match written.skipped.first() {
        // A folder of which nothing could be used is no success.
        Some(first) if !written.has_any() => exit::code_of(&first.error),
        _ => exit::DONE,
    };
    if console.is_json() {
        console.document(&written.json())?;
        return Ok(code);
    }
    let others = written.skipped.iter().filter(|one| Written::is_no_document(one)).count();
    let bad: Vec<_> = written.skipped.iter().filter(|one| !Written::is_no_document(one)).collect();
    let named: Vec<(String, String)> = bad
        .iter()
        .take(NAMED)
        .map(|one| (one.error.code().as_str().to_owned(), one.error.message().to_owned()))
        .collect();
    for (code, message) in &named {
        console.warn(code, &text::line(message));
    }
    if bad.len() > named.len() {
        console.note(&format!(
            "... and {} more that could not be read; --json lists all",
            bad.len() - named.len()
        ));
    }
    if others > 0 {
        console.note(&format!("left out: {} of kinds that are not read", count(others, "file")));
    }
    let mut said = vec![format!("{} added", count(written.added, "document"))];
    for (number, what) in
        [(written.replaced, "replaced"), (written.unchanged, "unchanged"), (written.deleted, "deleted")]
    {
        if number > 0 {
            said.push(format!("{number} {what}"));
        }
    }
    said.push(count(written.chunks, "chunk"));
    console.say(&said.join(", "))?;
    Ok(code)
}
