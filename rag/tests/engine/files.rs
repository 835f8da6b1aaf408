//! Do files and folders become documents, all or none, and are the bad ones named?

use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::common::{open, options};
use quorate_core::{Cancel, Code};
use quorate_rag::{FileOptions, KnowledgeBase, Mode, OnError, OpenOptions, SearchOptions, WriteOptions};

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

struct Place {
    folder: tempfile::TempDir,
    kb: KnowledgeBase,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(&folder.path().join("kb"));
        Place { folder, kb }
    }

    fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("files")
    }

    fn pattern(&self, name: &str) -> String {
        self.files().join(name).display().to_string()
    }
}

fn skip() -> FileOptions {
    let write = WriteOptions { on_error: OnError::Skip, ..WriteOptions::default() };
    FileOptions { write, ..FileOptions::default() }
}

#[test]
fn folders_globs_and_files() {
    let place = Place::new();
    let files = place.files();
    let note = write(&files, "note.md", "---\nyear: 2024\n---\n# Metformin\nRenal failure.");
    write(&files, "deep/er/page.html", "<title>Insulin</title><p>Adjust the dose.</p>");
    write(&files, "table.csv", "id,text,year\nr1,first row,2020\nr2,second row,2021\n");
    let image = write(&files, "deep/scan.png", [1, 2, 3]);
    write(&files, ".hidden.txt", "not this one");
    let told: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
    let progress: Arc<quorate_rag::Progress> = Arc::new({
        let told = told.clone();
        move |done, total| told.lock().unwrap().push((done, total))
    });
    let write = WriteOptions { progress: Some(progress), ..WriteOptions::default() };
    let options = FileOptions { write, ..FileOptions::default() };
    // The note is meant twice and read once.
    let patterns = [place.pattern("*.md"), files.display().to_string()];
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let report = place.kb.add_files(&patterns, &options).unwrap();
    assert_eq!(report.added, 4);
    let skipped: Vec<(&str, Code)> = report.skipped.iter().map(|s| (s.id.as_str(), s.error.code())).collect();
    assert_eq!(skipped, [(image.as_str(), Code::Unsupported)]);
    let told = told.lock().unwrap();
    assert_eq!(told.last(), Some(&(4, 4)));
    assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let stored = place.kb.get(&note).unwrap();
    assert_eq!(
        (stored.title.as_str(), &stored.metadata["year"], stored.source.as_str()),
        ("Metformin", &2024.into(), note.as_str())
    );
    assert_eq!(place.kb.get("r2").unwrap().metadata["year"], 2021);
    let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
    assert_eq!(place.kb.search("adjust", &lexical).unwrap()[0].title(), "Insulin");

    // The same again: refused as a whole, or replaced.
    let pattern = files.display().to_string();
    let error = place.kb.add_files(&[&pattern], &FileOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::DuplicateId);
    assert!(error.message().contains(files.to_str().unwrap()));
    std::fs::write(&note, "# Metformin\nWith food.").unwrap();
    let report = place.kb.upsert_files(&[&pattern], &FileOptions::default()).unwrap();
    assert_eq!((report.added, report.replaced), (0, 4));
    assert!(place.kb.get(&note).unwrap().text.contains("With food"));
}

#[test]
fn a_broken_file_stops_everything_or_is_listed() {
    let place = Place::new();
    let files = place.files();
    for i in 0..40 {
        write(&files, &format!("good{i:02}.txt"), format!("number{i}"));
    }
    let broken = write(&files, "good20.pdf", "no PDF at all");
    let rows =
        write(&files, "rows.jsonl", "{\"id\": \"x\", \"text\": \"a\"}\n{\"id\": \"x\", \"text\": \"b\"}\n");
    let pattern = files.display().to_string();
    let error = place.kb.add_files(&[&pattern], &FileOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::LoadFailed);
    assert!(error.message().contains(&broken), "{error}");
    assert_eq!(place.kb.count(None).unwrap(), 0);

    let report = place.kb.add_files(&[&pattern], &skip()).unwrap();
    assert_eq!(report.added, 41);
    let broken_one = &report.skipped[0];
    assert_eq!((broken_one.id.as_str(), broken_one.error.code()), (broken.as_str(), Code::LoadFailed));
    let row = &report.skipped[1];
    assert_eq!((row.id.as_str(), row.error.code(), row.index), ("x", Code::DuplicateId, 41));
    assert!(row.error.message().contains(&rows), "{}", row.error);
    assert_eq!(place.kb.count(None).unwrap(), 41);
}

#[test]
fn what_the_caller_names_must_be_there_and_readable() {
    let place = Place::new();
    let files = place.files();
    let image = write(&files, "scan.png", [1]);
    let text = write(&files, "a.txt", "a text");
    let code =
        |patterns: &[&str], options: &FileOptions| place.kb.add_files(patterns, options).unwrap_err().code();
    assert_eq!(code(&[&text, &image], &FileOptions::default()), Code::Unsupported);
    assert_eq!(code(&[&text, &place.pattern("*.nothing")], &skip()), Code::NotFound);
    assert_eq!(code(&[&place.pattern("[")], &skip()), Code::InvalidArgument);
    assert_eq!(place.kb.count(None).unwrap(), 0);
    let report = place.kb.add_files(&[&text, &image], &skip()).unwrap();
    assert_eq!((report.added, report.skipped.len()), (1, 1));
    let cancel = Cancel::new();
    cancel.cancel();
    let write = WriteOptions { cancel, on_error: OnError::Skip, ..WriteOptions::default() };
    assert_eq!(code(&[&text], &FileOptions { write, ..FileOptions::default() }), Code::Cancelled);
    let past = place.kb.at(place.kb.stats().unwrap().version).unwrap();
    assert_eq!(past.add_files(&[&text], &skip()).unwrap_err().code(), Code::ReadOnly);
}

#[test]
fn rebuilding_the_indexes_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    let document = |i: usize| quorate_rag::Document::new(i.to_string(), format!("number{i}"));
    kb.add((0..2500).map(document).collect()).unwrap();
    kb.close().unwrap();
    let reopen = || {
        let told: Arc<Mutex<Vec<(usize, usize)>>> = Arc::default();
        let progress: Arc<quorate_rag::Progress> = Arc::new({
            let told = told.clone();
            move |done, total| told.lock().unwrap().push((done, total))
        });
        let options = OpenOptions { progress: Some(progress), ..options() };
        let kb = KnowledgeBase::open(folder.path().to_str().unwrap(), options).unwrap();
        assert_eq!(kb.count(None).unwrap(), 2500);
        kb.close().unwrap();
        told.lock().unwrap().clone()
    };
    assert!(reopen().is_empty(), "nothing is built when the indexes are there");
    std::fs::remove_dir_all(folder.path().join("index")).unwrap();
    assert_eq!(reopen(), [(0, 2500), (1000, 2500), (2000, 2500), (2500, 2500)]);
}
