//! Is every acknowledged document there after the writer was killed at any moment?
//!
//! The test starts itself again as a child that writes, and kills it with SIGKILL. `QUORATE_TORTURE_ROUNDS` sets how often.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{open, options};
use quorate_rag::{Document, KnowledgeBase, Mode, SearchOptions};
use rand::{RngExt, SeedableRng};

const FOLDER: &str = "QUORATE_KILL_FOLDER";

/// What the child does: adds batches, replaces, deletes and compacts, and says so after each call has returned.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let kb = open(Path::new(&folder));
    let mut n = kb.count(None).unwrap() + 1000 * std::process::id() as usize;
    let mut out = std::io::stdout();
    for round in 0.. {
        let batch: Vec<Document> = (0..1 + n % 5)
            .map(|i| Document::new(format!("id{}", n + i), format!("unique{} shared words", n + i)))
            .collect();
        let ids: Vec<String> = batch.iter().map(|d| d.id.clone()).collect();
        writeln!(out, "\ntry {}", ids.join(" ")).unwrap();
        kb.add(batch).unwrap();
        writeln!(out, "\nadded {}", ids.join(" ")).unwrap();
        n += ids.len();
        if round % 7 == 3 {
            writeln!(out, "\ntrydelete {}", ids[0]).unwrap();
            kb.delete(&[&ids[0]]).unwrap();
            writeln!(out, "\ndeleted {}", ids[0]).unwrap();
        }
        if round % 23 == 11 {
            kb.compact().unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost() {
    let rounds: usize =
        std::env::var("QUORATE_TORTURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4);
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    // What must be there (true), must not (false); absent: either.
    let mut expected: BTreeMap<String, bool> = BTreeMap::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = child.stdout.take().unwrap();
        let (send, began) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.starts_with("try ") {
                    // Nobody may be waiting for it.
                    let _ = send.send(());
                }
                lines.push(line);
            }
            lines
        });
        // Mostly it is killed at its writing, at times as it opens and mends what the last one left.
        if random.random_range(0..5) > 0 {
            began.recv_timeout(Duration::from_secs(300)).expect("the writer began within five minutes");
        }
        std::thread::sleep(Duration::from_millis(random.random_range(0..800)));
        child.kill().unwrap();
        child.wait().unwrap();
        // A line that was cut off in the middle is no acknowledgement; ids are followed by the next empty line.
        let mut attempted: Vec<Vec<String>> = Vec::new();
        let lines = reader.join().unwrap();
        for line in &lines {
            let mut words = line.split_whitespace();
            let verb = words.next().unwrap_or_default();
            let ids: Vec<String> = words.map(str::to_owned).collect();
            match verb {
                "try" => attempted.push(ids),
                "added" => {
                    attempted.pop();
                    expected.extend(ids.into_iter().map(|id| (id, true)));
                }
                "trydelete" => ids.iter().for_each(|id| {
                    expected.remove(id);
                }),
                "deleted" => expected.extend(ids.into_iter().map(|id| (id, false))),
                _ => {}
            }
        }
        let kb = open(folder.path());
        check(&kb, &expected);
        for batch in attempted {
            let there = batch.iter().filter(|id| kb.get(id).is_ok()).count();
            assert!(there == 0 || there == batch.len(), "round {round}: half a batch is there: {batch:?}");
        }
        let documents = kb.count(None).unwrap();
        kb.close().unwrap();
        // The indexes agree with the truth.
        if round % 2 == 1 {
            std::fs::remove_dir_all(folder.path().join("index")).unwrap();
            let kb = open(folder.path());
            assert_eq!(kb.count(None).unwrap(), documents);
            check(&kb, &expected);
        }
    }
    assert!(expected.values().filter(|&&there| there).count() > rounds, "the writer wrote next to nothing");
}

fn check(kb: &KnowledgeBase, expected: &BTreeMap<String, bool>) {
    for (id, &there) in expected {
        assert_eq!(kb.get(id).is_ok(), there, "{id}");
        if !there {
            continue;
        }
        let text = kb.get(id).unwrap().text;
        for mode in [Mode::Lexical, Mode::Dense] {
            let hits = kb.search(&text, &SearchOptions { mode, k: 1, ..SearchOptions::default() }).unwrap();
            if mode == Mode::Dense && hits[0].doc_id() != id {
                // Words that share a slot of the test's 32-component embedder give two texts one vector, to the bit;
                // nothing else may stand first.
                let all = SearchOptions { mode, k: 100_000, ..SearchOptions::default() };
                let all = kb.search(&text, &all).unwrap();
                let own = all.iter().find(|hit| hit.doc_id() == id).unwrap();
                assert_eq!(hits[0].vector(), own.vector(), "{id}");
                continue;
            }
            assert_eq!(hits[0].doc_id(), id, "{mode:?}");
        }
    }
    let stats = kb.stats().unwrap();
    let all = SearchOptions { mode: Mode::Dense, k: 100_000, ..SearchOptions::default() };
    assert_eq!(kb.search("shared words", &all).unwrap().len(), stats.chunks);
    let _ = options();
}
