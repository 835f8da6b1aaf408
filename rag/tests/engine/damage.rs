//! What becomes of damaged files: shadows are healed, a damaged truth is reported and left alone?

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::common::{copy, open, options};
use quorate_core::Code;
use quorate_rag::{Document, KnowledgeBase, Mode, OpenOptions, SearchOptions};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            out.extend(files(&entry.path()));
        } else {
            out.push(entry.path());
        }
    }
    out.sort_unstable();
    out
}

fn made(folder: &Path) {
    let kb = open(folder);
    fill(&kb);
    kb.close().unwrap();
}

fn fill(kb: &KnowledgeBase) {
    kb.add((0..60).map(|i| Document::new(format!("{i}"), format!("number{i} of sixty"))).collect()).unwrap();
    kb.delete(&["7"]).unwrap();
}

fn whole(kb: &KnowledgeBase) {
    assert_eq!(kb.count(None).unwrap(), 59);
    for mode in [Mode::Lexical, Mode::Dense] {
        for i in [0, 8, 59] {
            let options = SearchOptions { mode, k: 1, ..SearchOptions::default() };
            let text = format!("number{i} of sixty");
            assert_eq!(kb.search(&text, &options).unwrap()[0].doc_id(), i.to_string());
        }
    }
    let lexical = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
    assert!(kb.search("number7", &lexical).unwrap().is_empty());
}

#[test]
fn damaged_shadows_are_healed() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let index = folder.path().join("index");
    let names: Vec<PathBuf> =
        files(&index).into_iter().map(|f| f.strip_prefix(&index).unwrap().to_owned()).collect();
    assert!(names.len() > 5, "{names:?}");
    for damage in 0..4 {
        for i in 0..names.len() {
            // Names of segments change with each healing, so take the file by its place.
            let now = files(&index);
            let Some(file) = now.get(i.min(now.len() - 1)) else { continue };
            let mut bytes = std::fs::read(file).unwrap();
            match damage {
                0 if !bytes.is_empty() => {
                    let at = bytes.len() / 2;
                    bytes[at] ^= 0x10;
                    std::fs::write(file, &bytes).unwrap();
                }
                1 => std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap(),
                2 => std::fs::remove_file(file).unwrap(),
                3 => std::fs::write(file, []).unwrap(),
                _ => continue,
            }
            let kb = open(folder.path());
            whole(&kb);
            kb.close().unwrap();
        }
    }
}

/// An open handle holds what it needs, and stores it anew.
#[test]
fn indexes_deleted_under_an_open_handle_are_stored_again() {
    for what in ["compact", "close", "add"] {
        let folder = tempfile::tempdir().unwrap();
        let kb = open(folder.path());
        fill(&kb);
        kb.compact().unwrap();
        kb.add(vec![Document::new("more", "another word")]).unwrap();
        kb.delete(&["more"]).unwrap();
        std::fs::remove_dir_all(folder.path().join("index")).unwrap();
        whole(&kb);
        match what {
            "compact" => kb.compact().unwrap(),
            "close" => {}
            _ => {
                let many = (100..5000).map(|i| Document::new(format!("{i}"), format!("number{i}")));
                kb.add(many.collect()).unwrap();
                let ids: Vec<String> = (100..5000).map(|i| i.to_string()).collect();
                kb.delete(&ids.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
            }
        }
        whole(&kb);
        kb.close().unwrap();
        let log = Log::default();
        let kb = tracing::subscriber::with_default(log.clone(), || open(folder.path()));
        assert_eq!(*log.0.lock().unwrap(), Vec::<String>::new(), "{what}");
        whole(&kb);
    }
}

/// Keeps the warnings of a thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Enough documents for a graph, so that every kind of file is there.
#[test]
fn each_kind_of_damaged_index_is_rebuilt_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let kb = open(folder.path());
    kb.add((0..4500).map(|i| Document::new(format!("{i}"), format!("number{i} of sixty"))).collect())
        .unwrap();
    kb.close().unwrap();
    let index = folder.path().join("index");
    let kind = |file: &Path| {
        let name = file.file_name().unwrap().to_str().unwrap();
        // Segments of tantivy have names of their own, with the kind behind the point.
        file.extension().map_or(name, |e| e.to_str().unwrap()).to_owned()
    };
    let mut kinds: Vec<String> = Vec::new();
    for round in 0.. {
        let kb = open(folder.path());
        kb.compact().unwrap();
        kb.close().unwrap();
        let files: Vec<PathBuf> =
            files(&index).into_iter().filter(|f| f.extension().is_none_or(|e| e != "lock")).collect();
        if round == 0 {
            kinds = files.iter().map(|f| kind(f)).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for known in ["MANIFEST", "hnsw", "bin", "f32", "json", "term", "idx"] {
                assert!(kinds.iter().any(|k| k == known), "{known} is not among {kinds:?}");
            }
        }
        let Some(wanted) = kinds.get(round / 2) else { break };
        let file = files.iter().find(|f| kind(f) == *wanted).unwrap();
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.len() * 2 / 3;
        match round % 2 {
            0 => bytes[at] ^= 1,
            _ => bytes.truncate(at),
        }
        std::fs::write(file, bytes).unwrap();
        let log = Log::default();
        let kb = tracing::subscriber::with_default(log.clone(), || open(folder.path()));
        let said = log.0.lock().unwrap().join("\n");
        assert!(said.contains("is built again") && said.contains(file.to_str().unwrap()), "{wanted}: {said}");
        assert_eq!(kb.count(None).unwrap(), 4500);
        for mode in [Mode::Lexical, Mode::Dense] {
            for i in [0, 8, 4499] {
                let options = SearchOptions { mode, k: 1, ..SearchOptions::default() };
                let text = format!("number{i} of sixty");
                assert_eq!(kb.search(&text, &options).unwrap()[0].text(), text);
            }
        }
        kb.close().unwrap();
    }
}

#[test]
fn a_damaged_truth_is_reported_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let truth = folder.path().join("truth");
    let data: Vec<PathBuf> =
        files(&truth).into_iter().filter(|f| f.extension().is_some_and(|e| e == "lance")).collect();
    assert!(!data.is_empty());
    let healthy: BTreeMap<PathBuf, Vec<u8>> =
        files(&truth).into_iter().map(|f| (f.clone(), std::fs::read(&f).unwrap())).collect();
    let mut reported = 0;
    for file in &data {
        let bytes = &healthy[file];
        let damages: Vec<Vec<u8>> = vec![
            bytes[..bytes.len() / 2].to_vec(),
            Vec::new(),
            bytes.iter().enumerate().map(|(i, b)| if i == bytes.len() / 3 { b ^ 1 } else { *b }).collect(),
            bytes.iter().map(|b| b ^ 0x55).collect(),
        ];
        for (i, damaged) in damages.into_iter().enumerate() {
            std::fs::write(file, &damaged).unwrap();
            let _ = std::fs::remove_dir_all(folder.path().join("index"));
            let name = file.file_name().unwrap().to_str().unwrap();
            match KnowledgeBase::open(folder.path().to_str().unwrap(), options()) {
                Err(error) => {
                    assert_eq!(error.code(), Code::Corrupt, "damage {i}: {error}");
                    assert!(error.message().contains(name), "damage {i}: {error}");
                    reported += 1;
                }
                // A flipped bit in padding harms nothing.
                Ok(kb) => {
                    assert_eq!(i, 2, "damage {i} was not seen");
                    whole(&kb);
                }
            }
            let now: BTreeMap<PathBuf, Vec<u8>> =
                files(&truth).into_iter().map(|f| (f.clone(), std::fs::read(&f).unwrap())).collect();
            assert_eq!(now[file], damaged, "the damaged file was written to");
            assert_eq!(now.len(), healthy.len(), "files came or went");
            std::fs::write(file, bytes).unwrap();
        }
    }
    assert!(reported >= 3 * data.len());
    whole(&open(folder.path()));
}

/// The list of the newest version, which names the files of rows.
#[test]
fn a_damaged_list_of_versions_is_reported_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let versions = folder.path().join("truth/documents.lance/_versions");
    let mut lists = files(&versions);
    lists.retain(|f| f.extension().is_some_and(|e| e == "manifest"));
    // Their names count down.
    let newest = lists.first().unwrap();
    let bytes = std::fs::read(newest).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let place = folder.path().to_str().unwrap();
    let mut damages = vec![
        Vec::new(),
        bytes[..bytes.len() / 2].to_vec(),
        bytes[..bytes.len() - 1].to_vec(),
        bytes.iter().map(|b| b ^ 0x55).collect(),
    ];
    for at in (0..bytes.len()).step_by(61) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        damages.push(flipped);
    }
    for (i, damaged) in damages.into_iter().enumerate() {
        std::fs::write(newest, &damaged).unwrap();
        for read_only in [true, false] {
            let error = KnowledgeBase::open(place, OpenOptions { read_only, ..options() }).unwrap_err();
            assert_eq!(error.code(), Code::Corrupt, "damage {i}: {error}");
            assert!(error.message().contains(name), "damage {i}: {error}");
            assert_eq!(std::fs::read(newest).unwrap(), damaged);
        }
    }
    // What was acknowledged with it is not simply gone when it is.
    std::fs::remove_file(newest).unwrap();
    for read_only in [true, false] {
        let error = KnowledgeBase::open(place, OpenOptions { read_only, ..options() }).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
        assert!(error.message().contains(name) && error.message().contains("quorate.sums"), "{error}");
    }
    // A copy helps, or giving it up, as the message says.
    let given_up = tempfile::tempdir().unwrap();
    copy(folder.path(), given_up.path());
    std::fs::remove_file(given_up.path().join("truth/documents.lance/quorate.sums")).unwrap();
    assert_eq!(open(given_up.path()).count(None).unwrap(), 60);
    std::fs::write(newest, &bytes).unwrap();
    assert_eq!(open(folder.path()).count(None).unwrap(), 59);
    // An old version is checked when it is looked at.
    let kb = open(folder.path());
    let version = kb.versions().unwrap()[1].clone();
    let old = versions.join(format!("{:020}.manifest", u64::MAX - version.version));
    kb.add(vec![Document::new("more", "words")]).unwrap();
    let mut flipped = std::fs::read(&old).unwrap();
    flipped[100] ^= 4;
    std::fs::write(&old, flipped).unwrap();
    let error = kb.at(version.version).unwrap_err();
    assert!(error.code() == Code::Corrupt && error.message().contains(".manifest"), "{error}");
    assert_eq!(kb.count(None).unwrap(), 60);
}
