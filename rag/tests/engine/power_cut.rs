//! Is every acknowledged change there after a power cut at any moment, whatever of the rest had reached the disk?
//!
//! A child writes, with a library loaded before libc that writes down what is given to fsync (`power_cut/trace.c`). After
//! each event of that record the disk is made as it would be after a power cut: what was synchronised is there as it was
//! then; of what was not, nothing, or names without bytes, or bytes without names, or some of each. The knowledge base must
//! open there with every change that was acknowledged before. `QUORATE_TORTURE_POWER` sets how many such disks are tried.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{early, numbered, options, state};
use quorate_rag::{Durability, KnowledgeBase, OpenOptions, Tuning};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const PLACE: &str = "QUORATE_POWER_PLACE";
const TRACE: &str = "QUORATE_TRACE";

type State = BTreeMap<String, i64>;

fn opened(place: &Path) -> KnowledgeBase {
    let tuning = Tuning { background: false, ..early() };
    let options = OpenOptions { durability: Durability::PowerCut, keep_versions: 3, tuning, ..options() };
    KnowledgeBase::open(place.to_str().unwrap(), options).unwrap()
}

/// What the child does; the folder of the knowledge base is made with those above it.
#[test]
fn child() {
    let (Ok(place), Ok(trace)) = (std::env::var(PLACE), std::env::var(TRACE)) else { return };
    let mut log =
        std::fs::OpenOptions::new().create(true).append(true).open(Path::new(&trace).join("log")).unwrap();
    let mut acknowledge = |kb: &KnowledgeBase| {
        let line = format!("A {}\n", serde_json::to_string(&state(kb)).unwrap());
        log.write_all(line.as_bytes()).unwrap();
    };
    let mut kb = opened(Path::new(&place));
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for i in 0..40usize {
        match random.random_range(0..10) {
            0..5 => {
                let many = if i == 20 { 60 } else { random.random_range(1..6) };
                drop(kb.add((0..many).map(|j| numbered(&format!("d{i}-{j}"), 0)).collect()).unwrap());
            }
            5 => drop(
                kb.upsert(kb.ids().unwrap().iter().step_by(3).map(|id| numbered(id, 2 * i as i64)).collect())
                    .unwrap(),
            ),
            6 => {
                let ids = kb.ids().unwrap();
                let gone: Vec<&str> = ids.iter().skip(i % 3).step_by(4).map(String::as_str).collect();
                kb.delete(&gone).unwrap();
            }
            7 => kb.compact().unwrap(),
            8 => {
                kb.close().unwrap();
                kb = opened(Path::new(&place));
            }
            _ => kb.maintain().unwrap(),
        }
        acknowledge(&kb);
    }
    kb.maintain().unwrap();
    acknowledge(&kb);
}

/// The names in each folder: whether it is one of a folder, and the key of what has it.
type Names = HashMap<String, BTreeMap<String, (bool, String)>>;

enum What {
    /// A file was synchronised when these were its bytes.
    File(String, PathBuf),
    /// A folder was synchronised.
    Folder(String),
    /// This is what is there, and what must be there from now on.
    Acknowledged(State),
}

struct Event {
    what: What,
    /// The names that were there.
    names: Names,
}

fn read(trace: &Path) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for line in std::fs::read_to_string(trace.join("log")).unwrap().lines() {
        let (what, rest) = line.split_once(' ').unwrap();
        let words: Vec<&str> = rest.split(' ').collect();
        let own = || words[0].to_owned();
        let what = match what {
            "F" => What::File(own(), trace.join(words[1])),
            "D" => What::Folder(own()),
            "A" => What::Acknowledged(serde_json::from_str(rest).unwrap()),
            "E" => {
                let folder = events.last_mut().unwrap().names.entry(own()).or_default();
                folder.insert(words[1].to_owned(), (words[2] == "d", words[3].to_owned()));
                continue;
            }
            _ => panic!("{line}"),
        };
        events.push(Event { what, names: Names::new() });
    }
    events
}

/// What became of what was not synchronised.
#[derive(Clone, Copy, Debug)]
enum Lost {
    /// Nothing of it is there.
    All,
    /// Names are there, without bytes.
    Bytes,
    /// Some names are there, some bytes, some halves.
    Some,
}

struct Disk<'a> {
    /// The bytes that are on the disk, and those that will be there later.
    files: HashMap<&'a str, &'a Path>,
    later: HashMap<&'a str, &'a Path>,
    /// The names that are on the disk, and those that a program sees.
    folders: HashMap<&'a str, &'a BTreeMap<String, (bool, String)>>,
    seen: &'a Names,
}

impl<'a> Disk<'a> {
    /// The disk before event `now`.
    fn at(events: &'a [Event], now: usize) -> Self {
        let (files, later, folders) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut disk = Disk { files, later, folders, seen: &events[now].names };
        for (i, event) in events.iter().enumerate() {
            match &event.what {
                What::File(key, bytes) if i < now => drop(disk.files.insert(key, bytes)),
                What::File(key, bytes) => drop(disk.later.entry(key).or_insert(bytes)),
                What::Folder(key) if i < now => {
                    if let Some(names) = event.names.get(key) {
                        disk.folders.insert(key, names);
                    }
                }
                _ => {}
            }
        }
        disk
    }

    fn write(&self, folder: &str, to: &Path, lost: Lost, random: &mut ChaCha8Rng) {
        std::fs::create_dir_all(to).unwrap();
        let mut names: BTreeMap<&str, (bool, &str)> = BTreeMap::new();
        for (name, (is_folder, key)) in self.folders.get(folder).copied().into_iter().flatten() {
            names.insert(name, (*is_folder, key));
        }
        // What a program sees may have reached the disk by itself: what is new, and what is gone.
        if !matches!(lost, Lost::All) {
            let mut reached = || matches!(lost, Lost::Bytes) || random.random_range(0..2) == 0;
            let seen = self.seen.get(folder);
            names.retain(|name, _| seen.is_some_and(|seen| seen.contains_key(*name)) || !reached());
            for (name, (is_folder, key)) in seen.into_iter().flatten() {
                if reached() {
                    names.insert(name, (*is_folder, key));
                }
            }
        }
        for (name, (is_folder, key)) in names {
            let place = to.join(name);
            if is_folder {
                self.write(key, &place, lost, random);
                continue;
            }
            let bytes = match (self.files.get(key), lost) {
                (Some(bytes), _) => std::fs::read(bytes).unwrap(),
                (None, Lost::Some) => {
                    let mut bytes =
                        self.later.get(key).map_or_else(Vec::new, |bytes| std::fs::read(bytes).unwrap());
                    if random.random_range(0..2) == 0 {
                        bytes.truncate(random.random_range(0..bytes.len() + 1));
                    }
                    bytes
                }
                (None, _) => Vec::new(),
            };
            std::fs::write(place, bytes).unwrap();
        }
    }
}

fn key(path: &Path) -> String {
    use std::os::linux::fs::MetadataExt;
    let meta = std::fs::metadata(path).unwrap();
    let born = meta.created().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{}.{}", meta.st_ino(), born.as_secs(), born.subsec_nanos())
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let (root, trace) = (home.path().join("root"), home.path().join("trace"));
    std::fs::create_dir(&root).unwrap();
    std::fs::create_dir(&trace).unwrap();
    if std::fs::metadata(&root).unwrap().created().is_err() {
        eprintln!("this file system does not say when files were made; nothing is tried");
        return;
    }
    let library = home.path().join("trace.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/power_cut/trace.c");
    let built = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()))
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .args(["-ldl", "-lpthread"])
        .status()
        .unwrap();
    assert!(built.success());
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["power_cut::child", "--exact", "--nocapture"])
        .env(PLACE, root.join("above/kb"))
        .env(TRACE, &trace)
        .env("QUORATE_TRACE_ROOT", &root)
        .env("LD_PRELOAD", &library)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let events = read(&trace);
    let files = events.iter().filter(|event| matches!(event.what, What::File(..))).count();
    assert!(files > 60, "{files} files were synchronised");

    let disks: usize = std::env::var("QUORATE_TORTURE_POWER").ok().and_then(|n| n.parse().ok()).unwrap_or(45);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let root = key(&root);
    let mut tried = 0;
    let (mut empty, mut full) = (0, 0);
    while tried < disks {
        let now = random.random_range(0..events.len());
        if events[now].names.is_empty() {
            // What was there at an acknowledgement nobody has looked at.
            continue;
        }
        let acknowledged = |event: &Event| match &event.what {
            What::Acknowledged(state) => Some(state.clone()),
            _ => None,
        };
        let before = events[..now].iter().rev().find_map(acknowledged);
        let after = events[now..].iter().find_map(acknowledged);
        for lost in [Lost::All, Lost::Bytes, Lost::Some] {
            let cut = home.path().join("cut");
            Disk::at(&events, now).write(&root, &cut, lost, &mut random);
            let kb = opened(&cut.join("above/kb"));
            let there = Some(state(&kb)).filter(|state| before.is_some() || !state.is_empty());
            assert!(
                there == before || there == after,
                "after event {now} of {}, {lost:?} lost: {there:?}, acknowledged {before:?}, then {after:?}",
                events.len()
            );
            // It can be written to, as if nothing had been.
            kb.add(vec![numbered("more", 0)]).unwrap();
            assert_eq!(state(&kb).len(), there.map_or(0, |there| there.len()) + 1);
            drop(kb);
            std::fs::remove_dir_all(cut).unwrap();
            tried += 1;
            if before.is_some() { full += 1 } else { empty += 1 }
        }
    }
    assert!(full > empty, "{full} disks with something acknowledged, {empty} without");
}
