//! Are files whole in a knowledge base, batch by batch, whenever the process that adds them is killed?
//!
//! As in `kill`, the test starts itself again as a child, which adds or synchronises a folder of files with the thresholds
//! that hold in earnest: a commit after 1,000 documents, or after 64 MiB of texts. Afterwards what is there is what was
//! there before and whole batches more, for every kind of reader, and the same call goes on from there.
//! `QUORATE_TORTURE_ROUNDS` sets how often, and adds the round with large files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::{copy, numbered, open, options, scanned, state};
use quorate_rag::{FileOptions, KnowledgeBase, OpenOptions, SyncOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

const FOLDER: &str = "QUORATE_KILL_FILES_FOLDER";
const HOW: &str = "QUORATE_KILL_FILES_HOW";

/// The rows of the files in their order, by the names of the files.
fn rows() -> Vec<(String, Vec<String>)> {
    let ids = |name: &str, count: usize| (0..count).map(|i| format!("{name}-{i:04}")).collect::<Vec<_>>();
    let mut files = vec![("a.jsonl".to_owned(), ids("a", 1500))];
    files.extend((0..70).map(|i| (format!("b/{i:02}.jsonl"), ids(&format!("b{i:02}"), 10))));
    files.push(("c.jsonl".into(), ids("c", 1300)));
    files
}

/// Writes the files as they are at a revision: each third row changes in the second, and each seventh is gone.
fn write(folder: &Path, revision: i64) -> BTreeMap<String, i64> {
    let mut state = BTreeMap::new();
    let mut place = 0;
    for (name, ids) in rows() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut text = String::new();
        for id in ids {
            place += 1;
            if revision > 0 && place % 7 == 0 {
                continue;
            }
            let n = if place % 3 == 0 { 2 * revision } else { 0 };
            let row = json!({"id": id, "text": numbered(&id, n).text, "n": n});
            text.push_str(&format!("{row}\n"));
            state.insert(id, n);
        }
        std::fs::write(path, text).unwrap();
    }
    state
}

fn add(kb: &KnowledgeBase, files: &Path) {
    kb.add_files(&[files], &FileOptions::default()).unwrap();
}

fn sync(kb: &KnowledgeBase, files: &Path) {
    kb.sync_files(&[files], &SyncOptions::default()).unwrap();
}

#[test]
fn child() {
    let (Ok(folder), Ok(how)) = (std::env::var(FOLDER), std::env::var(HOW)) else { return };
    let folder = Path::new(&folder);
    let kb = open(&folder.join("kb"));
    match how.as_str() {
        "add" => add(&kb, &folder.join("files")),
        _ => sync(&kb, &folder.join("files")),
    }
}

/// When the child is killed.
enum When {
    /// After so long.
    After(Duration),
    /// So long after its first commit.
    Committed(Duration),
}

/// Starts the child and kills it, unless it ends before; returns whether it was killed.
fn killed(folder: &Path, how: &str, when: &When) -> bool {
    let place = folder.join("kb");
    let commits = || -> BTreeSet<_> {
        let listed = std::fs::read_dir(place.join("truth/documents.lance/_versions")).unwrap();
        listed.flatten().map(|entry| entry.file_name()).collect()
    };
    let before = commits();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill_files::child", "--exact"])
        .env(FOLDER, folder)
        .env(HOW, how)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    match when {
        When::After(time) => std::thread::sleep(*time),
        When::Committed(time) => {
            while commits() == before && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(*time);
        }
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

/// What every kind of reader finds, which is the same.
fn found(folder: &Path, follower: &KnowledgeBase) -> BTreeMap<String, i64> {
    let place = folder.join("kb");
    let truth = scanned(&place);
    follower.refresh().unwrap();
    assert_eq!(state(follower), truth, "the reader that followed");
    let reader = OpenOptions { read_only: true, ..options() };
    let reader = KnowledgeBase::open(place.to_str().unwrap(), reader).unwrap();
    assert_eq!(state(&reader), truth, "a new reader");
    let other = folder.join("copy");
    copy(&place, &other);
    std::fs::remove_dir_all(other.join("index")).unwrap();
    assert_eq!(state(&open(&other)), truth, "a copy without its indexes");
    std::fs::remove_dir_all(other).unwrap();
    truth
}

/// Between two commits half the time, anywhere else.
fn moment(random: &mut ChaCha8Rng, most: u64) -> When {
    match random.random_range(0..2) {
        0 => When::Committed(Duration::from_millis(random.random_range(0..20))),
        _ => When::After(Duration::from_millis(random.random_range(0..most))),
    }
}

#[test]
fn files_are_whole_batch_by_batch() {
    let rounds: u64 = std::env::var("QUORATE_TORTURE_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let seed: u64 = std::env::var("QUORATE_TORTURE_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(7);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let order: Vec<String> = rows().into_iter().flat_map(|(_, ids)| ids).collect();
    let (mut kills, mut between) = (0u64, 0u64);
    for _ in 0..rounds.div_ceil(30) {
        let home = tempfile::tempdir().unwrap();
        let (folder, files) = (home.path(), home.path().join("files"));
        let all = write(&files, 0);
        drop(open(&folder.join("kb")));
        let follower = OpenOptions { read_only: true, ..options() };
        let follower = KnowledgeBase::open(folder.join("kb").to_str().unwrap(), follower).unwrap();
        let mut there = BTreeMap::new();
        // Longer each time, so that it ends on a slow machine too.
        let mut most = 300;
        while there.len() < all.len() {
            most += 300;
            kills += u64::from(killed(folder, "add", &moment(&mut random, most)));
            let now = found(folder, &follower);
            let whole = now.len() % 1000 == 0 || now.len() == all.len();
            assert!(whole && now.len() >= there.len(), "{} documents after {}", now.len(), there.len());
            assert!(order[..now.len()].iter().all(|id| now.get(id) == Some(&0)), "not the first files");
            between += u64::from(now.len() < all.len() && !now.is_empty());
            there = now;
        }
        let new = write(&files, 1);
        most = 300;
        while there != new {
            most += 300;
            kills += u64::from(killed(folder, "sync", &moment(&mut random, most)));
            let now = found(folder, &follower);
            for id in &order {
                let (was, is) = (there.get(id), now.get(id));
                assert!(
                    is == was || is == new.get(id),
                    "{id} is {is:?}, was {was:?}, and is to be {:?}",
                    new.get(id)
                );
            }
            between += u64::from(now != new && now != all);
            there = now;
        }
        let kb = open(&folder.join("kb"));
        let report = kb.sync_files(&[&files], &SyncOptions::default()).unwrap();
        assert_eq!((report.unchanged, report.added + report.updated + report.deleted), (new.len(), 0));
        assert!(kb.verify(&Default::default()).unwrap().problems.is_empty());
    }
    assert!(kills >= rounds / 30 && between >= rounds / 30, "{kills} kills, {between} between two commits");
    eprintln!("{kills} kills, {between} of them between two commits");
}

/// Texts of a mebibyte each: the commit comes by their bytes, long before there are 1,000.
#[test]
fn large_files_are_committed_by_their_bytes() {
    if std::env::var_os("QUORATE_TORTURE_ROUNDS").is_none() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (folder, files) = (home.path(), home.path().join("files"));
    std::fs::create_dir(&files).unwrap();
    let text = "The committee considered the evidence and asked for more of it. ".repeat(16 << 10);
    for i in 0..150 {
        std::fs::write(files.join(format!("{i:03}.txt")), format!("number{i}\n\n{text}")).unwrap();
    }
    drop(open(&folder.join("kb")));
    let count = || {
        let reader = OpenOptions { read_only: true, ..options() };
        KnowledgeBase::open(folder.join("kb").to_str().unwrap(), reader).unwrap().count(None).unwrap()
    };
    // What there is after each commit of an undisturbed run.
    let other = open(&folder.join("undisturbed"));
    add(&other, &files);
    let after = |version: &quorate_rag::Version| other.at(version.version).unwrap().count(None).unwrap();
    let whole: BTreeSet<usize> = other.versions().unwrap().iter().map(after).chain([0]).collect();
    let steps: Vec<usize> = whole.iter().zip(whole.iter().skip(1)).map(|(a, b)| b - a).collect();
    assert!(
        steps.len() > 2 && steps[..steps.len() - 1].iter().all(|step| (20..=64).contains(step)),
        "{whole:?}"
    );
    let mut seen = Vec::new();
    while seen.last() != Some(&150) {
        killed(folder, "add", &When::Committed(Duration::from_millis(100 * seen.len() as u64)));
        seen.push(count());
        assert!(seen.is_sorted() && whole.contains(&seen[seen.len() - 1]), "{seen:?} of {whole:?}");
    }
    assert!(seen[0] < 150, "{seen:?}");
}
