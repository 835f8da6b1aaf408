//! Do structured queries, plain words and lists of stored indexes survive whatever is put into them?

use std::path::Path;

use quorate_core::filter::{Columns, Filter, RowSet};
use serde_json::{Value as Json, json};

use super::base::truth_id;
use super::shadow;
use super::{Durability, KnowledgeBase, OpenOptions};
use crate::document::Document;
use crate::fuzz;
use crate::index::lexical::LexicalQuery;
use crate::retrieve::{Mode, SearchOptions};

fn made(folder: &Path) -> KnowledgeBase {
    let options = OpenOptions { durability: Durability::Process, ..OpenOptions::default() };
    let kb = KnowledgeBase::open(folder.to_str().unwrap(), options).unwrap();
    let texts = ["renal failure below 30", "Größe und Dosis", "腎不全の患者", "it's an app, app APP"];
    let documents =
        texts.iter().enumerate().map(|(i, text)| Document::new(i.to_string(), *text).title("note"));
    kb.add(documents.collect()).unwrap();
    kb.delete(&["1"]).unwrap();
    kb
}

#[test]
fn fuzz_filters() {
    let seeds: [&[u8]; 5] = [
        b"NOT kind = 'draft' AND year >= 2020 OR (tags CONTAINS 'fda' AND score BETWEEN .5 AND 3e0)",
        b"kind LIKE 'gu_de%\\_' AND `nested.deep.x` IN (1, -2, 3.5) AND when < '2024-01-01T00:00:00Z'",
        b"id NOT IN ('a', \"b\") AND draft IS NOT NULL AND NOT title IS NULL",
        br#"{"$or": [{"year": {"$gte": 2020, "$ne": 2021.5}}, {"tags": {"$contains": "fda"}}, {"$not": {"kind": "note"}}]}"#,
        br#"{"nested.deep.x": {"$in": [1, "2", true, null]}, "when": {"$lt": "2024-01-01T00:00:00Z"}, "draft": {"$exists": true}}"#,
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let words: [&[u8]; 26] = [
        b"(",
        b")",
        b"NOT ",
        b" AND ",
        b" OR ",
        b" IN ",
        b"''",
        b"'",
        b"`",
        b" LIKE '%%%_%'",
        b" BETWEEN ",
        b" IS NULL",
        b"-",
        b"9223372036854775808",
        b"1e309",
        b"{\"$not\": ",
        b"{\"$and\": [",
        b"]",
        b"}",
        b"\"$gt\": ",
        b"\"year\": ",
        b",",
        b"2024-02-30T25:61:61Z",
        b"0001-01-01T00:00:00-23:59",
        b"true",
        b"x.",
    ];
    let mut columns = Columns::default();
    let rows = [
        json!({"year": 2019, "kind": "label", "tags": ["fda", "ema"], "score": 0.5, "when": "2024-01-01T00:00:00Z"}),
        json!({"year": 2021.5, "kind": "note", "nested": {"deep": {"x": 1}}, "when": "2023-06-01", "draft": true}),
        json!({"kind": null, "draft": false, "title": "inner", "tags": []}),
    ];
    for (row, metadata) in (0..).zip(&rows) {
        columns.push(row, [("id", "a"), ("title", "Other")], metadata.as_object().unwrap());
    }
    fuzz::run(4000, &seeds, &words, |bytes| {
        let all = RowSet::full(3);
        if let Ok(json) = serde_json::from_slice::<Json>(&bytes)
            && let Ok(filter) = Filter::from_json(&json)
        {
            let _ = columns.select(&filter, &all, false);
        }
        if let Ok(filter) = Filter::parse(&String::from_utf8_lossy(&bytes)) {
            let _ = columns.select(&filter, &all, false);
            let _ = columns.select(&filter, &all, true);
        }
    });
}

#[test]
fn fuzz_queries() {
    let folder = tempfile::tempdir().unwrap();
    let kb = made(folder.path());
    let seeds: [&[u8]; 3] = [
        br#"{"all": [{"words": "renal failure"}, {"phrase": {"text": "below 30", "slop": 2}}, {"not": {"prefix": "paed"}}]}"#,
        br#"{"any": [{"fuzzy": {"word": "fialure", "distance": 2}}, {"title": {"words": "note"}}, {"boost": {"by": 2.5, "query": {"words": "app"}}}]}"#,
        "renal \"failure below\" +app -note (title:x OR y*) [a TO b] ~2 ^3 腎不全".as_bytes(),
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let words: [&[u8]; 16] = [
        b"{\"all\": [",
        b"{\"any\": [",
        b"{\"not\": ",
        b"{\"title\": ",
        b"{\"words\": \"\"}",
        b"]}",
        b"}",
        b",",
        b"\"",
        b"1e39",
        b"-1",
        b"{\"prefix\": \"\"}",
        b"{\"fuzzy\": {\"word\": \"\", \"distance\": 2}}",
        b"app ",
        b"a ",
        b"\\u0000",
    ];
    fuzz::run(3000, &seeds, &words, |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let mut options = SearchOptions { mode: Mode::Lexical, ..SearchOptions::default() };
        // A plain text is never an error, unless it says nothing.
        match kb.search(&text, &options) {
            Ok(hits) => hits.iter().for_each(|hit| {
                assert!(hit.score().is_finite());
                hit.explain().unwrap();
            }),
            Err(error) => {
                assert_eq!(error.code(), quorate_core::Code::EmptyInput);
                assert!(!text.contains(char::is_alphanumeric), "{text:?}");
            }
        }
        if let Ok(query) = serde_json::from_slice::<LexicalQuery>(&bytes) {
            options.lexical = Some(query);
            if let Ok(hits) = kb.search("", &options) {
                hits.iter().for_each(|hit| {
                    hit.explain().unwrap();
                });
            }
        }
    });
}

/// The list of segments with its checksum made to fit, and each file of a segment, with its checksum in the list made
/// to fit every other time.
#[test]
fn fuzz_stored_indexes() {
    let folder = fuzz::folder();
    let kb = made(folder.path());
    kb.compact().unwrap();
    let (home, truth, version) = {
        let writer = kb.collection.lock().unwrap();
        let table = writer.table.as_ref().unwrap();
        (kb.collection.home.clone().unwrap(), truth_id(table), table.version())
    };
    let (dim, analyzer) = (kb.base.dim, &kb.collection.analyzer);
    let load = || {
        let want = shadow::Want { truth: &truth, version, dim, analyzer, open: &[], known: None };
        match shadow::try_load(&home, &want) {
            Ok(shadow::Found::Stored(stored)) => Some(stored),
            _ => None,
        }
    };
    assert!(load().is_some());
    let manifest = home.join("MANIFEST");
    let good = std::fs::read_to_string(&manifest).unwrap();
    let body = good.split_once('\n').unwrap().1.as_bytes().to_vec();
    let words: [&[u8]; 10] = [
        b"\"segments\":[",
        b"\"files\":[",
        b"\"dead\":[",
        b"4294967295",
        b"-1",
        b"0",
        b"..",
        b"/",
        b"{}",
        b"null",
    ];
    let parsed = std::sync::atomic::AtomicUsize::new(0);
    fuzz::run(2000, &[body], &words, |body| {
        let body = String::from_utf8_lossy(&body);
        let text = format!("{:08x}\n{body}", crc32fast::hash(body.as_bytes()));
        if shadow::parse(&manifest, &text).is_ok() {
            parsed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::fs::write(&manifest, text).unwrap();
            let _ = load();
        }
    });
    assert!(parsed.into_inner() > 0, "no list came through");
    std::fs::write(&manifest, &good).unwrap();
    assert!(load().is_some());

    let mut files = Vec::new();
    let mut folders = vec![home.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false if entry.path().extension().is_none_or(|e| e != "lock") => files.push(entry.path()),
                false => {}
            }
        }
    }
    files.sort();
    // The list itself was the first half's.
    files.retain(|file| *file != manifest);
    let contents: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let listed: serde_json::Value = serde_json::from_str(good.split_once('\n').unwrap().1).unwrap();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let read = std::sync::atomic::AtomicUsize::new(0);
    fuzz::run(300, &contents, &[], |bytes| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let i = number / 2 % files.len();
        let same = bytes == contents[i];
        std::fs::write(&files[i], &bytes).unwrap();
        if number % 2 == 0 {
            assert!(same || load().is_none(), "{} is damaged and was read", files[i].display());
        } else {
            let mut listed = listed.clone();
            for segment in listed["segments"].as_array_mut().unwrap() {
                let segment_home = home.join(segment["folder"].as_str().unwrap());
                for file in segment["files"].as_array_mut().unwrap() {
                    if segment_home.join(file["path"].as_str().unwrap()) == files[i] {
                        file["bytes"] = bytes.len().into();
                        file["crc32"] = crc32fast::hash(&bytes).into();
                    }
                }
            }
            let body = listed.to_string();
            std::fs::write(&manifest, format!("{:08x}\n{body}", crc32fast::hash(body.as_bytes()))).unwrap();
            read.fetch_add(usize::from(load().is_some()), std::sync::atomic::Ordering::Relaxed);
            std::fs::write(&manifest, &good).unwrap();
        }
        std::fs::write(&files[i], &contents[i]).unwrap();
    });
    assert!(read.into_inner() > 0, "no file came through");
    assert!(load().is_some());
}
