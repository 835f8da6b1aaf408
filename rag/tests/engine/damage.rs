//! What becomes of damaged files: shadows are healed, a damaged truth is reported and left alone?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::{open, options};
use quorate_core::Code;
use quorate_rag::{Document, KnowledgeBase, Mode, SearchOptions};

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
    kb.add((0..60).map(|i| Document::new(format!("{i}"), format!("number{i} of sixty"))).collect()).unwrap();
    kb.delete(&["7"]).unwrap();
    kb.close().unwrap();
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
