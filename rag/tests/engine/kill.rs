//! Is every acknowledged change there, whoever looks, after the writer was killed at any moment?
//!
//! The test starts itself again as a child that writes, with thresholds at which everything that the engine does happens
//! often, and kills it with SIGKILL. A change is one commit, so that what is there afterwards is what was acknowledged, or
//! that and the change that was on its way: for a reader that followed the writer, a new reader, the next process, who
//! opens a copy of the folder with and without its indexes, and whoever reads the truth without the engine.
//! `QUORATE_TORTURE_ROUNDS` sets how often, `QUORATE_TORTURE_SEED` what happens.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{copy, early, numbered, options, scanned, state};
use quorate_rag::{Durability, KnowledgeBase, OpenOptions, Tuning};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const FOLDER: &str = "QUORATE_KILL_FOLDER";
const SEED: &str = "QUORATE_KILL_SEED";

type State = BTreeMap<String, i64>;

/// Thresholds from such that a few documents cross to those that hold in earnest.
fn tunings() -> [Tuning; 3] {
    let middle = Tuning {
        flush_rows: 80,
        small_rows: 80,
        small_segments: 4,
        graph_rows: 160,
        commits: 16,
        garbage_rows: 100,
        ..Tuning::default()
    };
    [early(), middle, Tuning::default()]
}

fn opened(folder: &Path, tuning: &Tuning, read_only: bool) -> KnowledgeBase {
    let options = OpenOptions {
        durability: Durability::Process,
        keep_versions: 5,
        read_only,
        tuning: tuning.clone(),
        ..options()
    };
    KnowledgeBase::open(folder.to_str().unwrap(), options).unwrap()
}

/// A change as the child says it: what is put under which number, and what is gone.
fn fold(state: &mut State, change: &Value) {
    for put in change["put"].as_array().into_iter().flatten() {
        state.insert(put[0].as_str().unwrap().to_owned(), put[1].as_i64().unwrap());
    }
    for id in change["gone"].as_array().into_iter().flatten() {
        state.remove(id.as_str().unwrap());
    }
}

/// What the child does: changes of all kinds, each said before it is made and after the call has returned.
#[test]
fn child() {
    let (Ok(folder), Ok(seed)) = (std::env::var(FOLDER), std::env::var(SEED)) else { return };
    let seed: u64 = seed.parse().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tuning = &tunings()[seed as usize % 3];
    let most = [12, 100, 3000][seed as usize % 3];
    let mut kb = opened(Path::new(&folder), tuning, false);
    let mut now = state(&kb);
    let mut next = now.values().max().map_or(0, |n| n / 2 * 2 + 2);
    let mut out = std::io::stdout();
    for round in 1.. {
        let count = match random.random_range(0..8) {
            0..6 => 1,
            6 => random.random_range(1..6),
            _ => random.random_range(1..most),
        };
        let some: Vec<String> = (0..count)
            .filter_map(|_| now.keys().nth(random.random_range(0..now.len().max(1))).cloned())
            .collect();
        let kind = random.random_range(0..20);
        next += 2;
        let change = match kind {
            0..9 => {
                json!({"put": (0..count).map(|i| json!([format!("d{next}-{i}"), next])).collect::<Vec<_>>()})
            }
            9..13 => {
                let unique: std::collections::BTreeSet<&String> = some.iter().collect();
                json!({"put": unique.into_iter().map(|id| json!([id, next])).collect::<Vec<_>>()})
            }
            13..15 => {
                json!({"put": some.first().map(|id| vec![json!([id, now[id] ^ 1])]).unwrap_or_default()})
            }
            15..18 => json!({"gone": some}),
            _ => json!({}),
        };
        writeln!(out, "\ntry {change}").unwrap();
        let puts: Vec<(String, i64)> = change["put"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|put| (put[0].as_str().unwrap().to_owned(), put[1].as_i64().unwrap()))
            .collect();
        match kind {
            0..9 => drop(kb.add(puts.iter().map(|(id, n)| numbered(id, *n)).collect()).unwrap()),
            9..13 => drop(kb.upsert(puts.iter().map(|(id, n)| numbered(id, *n)).collect()).unwrap()),
            13..15 => {
                if let Some((id, n)) = puts.first() {
                    kb.update_metadata(id, numbered(id, *n).metadata).unwrap();
                }
            }
            15..18 => drop(kb.delete(&some.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()),
            18 => kb.compact().unwrap(),
            _ => {
                kb.close().unwrap();
                kb = opened(Path::new(&folder), tuning, false);
            }
        }
        writeln!(out, "\ndone {change}").unwrap();
        fold(&mut now, &change);
        if round % 16 == 0 && state(&kb) != now {
            writeln!(out, "\nwrong").unwrap();
        }
    }
}

/// What the child has said so far.
#[derive(Default)]
struct Said {
    tried: Vec<Value>,
    done: usize,
    wrong: bool,
}

fn start(folder: &Path, seed: u64, said: &Arc<Mutex<Said>>) -> (Child, std::thread::JoinHandle<()>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (output, said) = (child.stdout.take().unwrap(), said.clone());
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            match line.split_once(' ') {
                // A line that was cut off in the middle is nothing.
                Some(("try", change)) => said.tried.extend(serde_json::from_str::<Value>(change)),
                Some(("done", change)) => {
                    said.done += usize::from(serde_json::from_str::<Value>(change).is_ok());
                }
                _ => said.wrong |= line == "wrong",
            }
        }
    });
    (child, reader)
}

/// Whether `there` is what some of the changes from `done` on give; all before are acknowledged.
fn is_one_of(there: &State, before: &State, said: &Said, done: usize) -> bool {
    let mut state = before.clone();
    said.tried[..done].iter().for_each(|change| fold(&mut state, change));
    for change in &said.tried[done..] {
        if state == *there {
            return true;
        }
        fold(&mut state, change);
    }
    state == *there
}

#[test]
fn nothing_acknowledged_is_lost() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let rounds = number("QUORATE_TORTURE_ROUNDS").unwrap_or(6u64);
    let seed = number("QUORATE_TORTURE_SEED").unwrap_or(7u64);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut changes = 0;
    for _ in 0..rounds.div_ceil(3) {
        // Each knowledge base is killed three times, each time with other thresholds.
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("kb");
        opened(&folder, &Tuning::default(), false).close().unwrap();
        let mut before = State::new();
        for round in 0..3 {
            before = killed(
                home.path(),
                &folder,
                before,
                (random.next_u64() >> 8) * 3 + round,
                &mut random,
                &mut changes,
            );
        }
    }
    assert!(changes > rounds as usize, "{changes} changes in {rounds} rounds");
}

/// One kill: what was there before it, and what is there after.
fn killed(
    home: &Path,
    folder: &Path,
    before: State,
    seed: u64,
    random: &mut ChaCha8Rng,
    changes: &mut usize,
) -> State {
    let tuning = &tunings()[seed as usize % 3];
    let said = Arc::new(Mutex::new(Said::default()));
    let follower = opened(folder, tuning, true);
    let (mut child, listener) = start(folder, seed, &said);
    // Mostly it is killed at its writing, at times as it opens and mends what the last one left.
    if random.random_range(0..6) > 0 {
        let until = Instant::now() + Duration::from_secs(300);
        while said.lock().unwrap().tried.is_empty() {
            assert!(Instant::now() < until, "the writer began within five minutes");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    // After so many changes, and a little later; a busy machine takes its time.
    let changes_before = if random.random_range(0..6) > 0 { random.random_range(0..40) } else { 0 };
    let later = Duration::from_millis(random.random_range(0..40));
    let until = Instant::now() + Duration::from_secs(20);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Readers look while the writer is at it.
            while !ended.load(Ordering::Acquire) {
                for reader in [None, Some(&follower)] {
                    let done = said.lock().unwrap().done;
                    let there = match reader {
                        None => state(&opened(folder, tuning, true)),
                        Some(follower) => {
                            follower.refresh().unwrap();
                            state(follower)
                        }
                    };
                    // What the writer said before it may still be on its way.
                    let until = Instant::now() + Duration::from_secs(20);
                    while !is_one_of(&there, &before, &said.lock().unwrap(), done) {
                        let who = if reader.is_none() { "a new reader" } else { "the reader that follows" };
                        assert!(Instant::now() < until, "seed {seed}: {who} sees what never was");
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            }
        });
        while said.lock().unwrap().done < changes_before && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(later);
        child.kill().unwrap();
        child.wait().unwrap();
        ended.store(true, Ordering::Release);
    });
    listener.join().unwrap();
    let said = said.lock().unwrap();
    assert!(!said.wrong, "seed {seed}: the writer itself saw something else than it wrote");
    *changes += said.done;

    let mut copies = Vec::new();
    for without_index in [false, true] {
        let place = home.join(format!("copy{without_index}"));
        copy(folder, &place);
        if without_index {
            let _ = std::fs::remove_dir_all(place.join("index"));
        }
        copies.push(place);
    }
    let truth = scanned(folder);
    assert!(is_one_of(&truth, &before, &said, said.done), "seed {seed}: the truth is another one");
    follower.refresh().unwrap();
    assert_eq!(state(&follower), truth, "seed {seed}: the reader that followed");
    assert_eq!(state(&opened(folder, tuning, true)), truth, "seed {seed}: a new reader");
    assert_eq!(state(&opened(folder, tuning, false)), truth, "seed {seed}: the next process");
    for place in copies {
        let kb = opened(&place, tuning, false);
        assert_eq!(state(&kb), truth, "seed {seed}: {}", place.display());
        kb.compact().unwrap();
        assert_eq!(state(&kb), truth, "seed {seed}: {} compacted", place.display());
        drop(kb);
        std::fs::remove_dir_all(place).unwrap();
    }
    truth
}
