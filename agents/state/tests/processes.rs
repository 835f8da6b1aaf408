//! Does a journal hold when processes are killed, forked, or work side by side?
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use quorate_core::Code;
use quorate_state::{Begun, Entry, MAX_INLINE_BYTES, NewRun, StateStore};
use serde_json::json;
use support::{Other, begin, code, entry, is, named, say};

/// What the second process does; no test of its own.
#[test]
fn in_another_process() {
    let (Ok(what), Ok(folder)) = (std::env::var("QUORATE_STATE_WHAT"), std::env::var("QUORATE_STATE_FOLDER"))
    else {
        return;
    };
    let folder = Path::new(&folder);
    match what.as_str() {
        "append" => append_for_ever(folder),
        "hold" => hold(folder),
        "fork and hold" => fork_and_hold(folder),
        "stop before the commit" => stop_before_the_commit(folder),
        "fill" => fill(folder),
        "race" => race(folder),
        "write" => write_alone(folder),
        "starve" => starve(folder),
        "delete" => delete_for_ever(folder),
        "listen" => listen(folder),
        other => panic!("{other}"),
    }
}

fn wait() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Four threads append to runs of their own, some of it large, and say what was acknowledged.
fn append_for_ever(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let id = format!("r{thread}");
                let run = match store.take(None, &id) {
                    Ok(run) => run,
                    Err(_) => begin(store, &id),
                };
                let next = store.run(None, &id).unwrap().entries + 1;
                for seq in next.. {
                    let large = seq % 7 == thread;
                    let data =
                        if large { json!(format!("{seq}").repeat(MAX_INLINE_BYTES)) } else { json!(seq) };
                    run.append(&[Entry::new(seq, "step", data)], None).unwrap();
                    say(format!("{id} {seq}"));
                }
            });
        }
    });
}

fn hold(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let _run = begin(&store, "r");
    say("held");
    wait();
}

/// A child that lives on must not keep its parent's runs.
fn fork_and_hold(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let _run = begin(&store, "r");
    // SAFETY: the child only sleeps; whoever started this process ends it by its id.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: the descriptors of the pipe to whoever reads; it must end with the parent.
        unsafe { libc::close(1) };
        std::thread::sleep(Duration::from_secs(60));
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(0) };
    }
    say(child);
    wait();
}

fn stop_before_the_commit(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let run = begin(&store, "r");
    run.append(&[entry(1)], None).unwrap();
    let other = rusqlite::Connection::open(folder.join("state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    say("locked");
    let large = json!("ORPHAN".repeat(MAX_INLINE_BYTES));
    let _ = run.append(&[Entry::new(2, "large", large)], None);
}

/// The disk is full for a while (a file may not grow), and then is not.
fn fill(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let run = begin(&store, "r");
    let limit = |bytes: u64| {
        // SAFETY: both calls take plain values; the signal is ignored so that writing fails instead.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        }
    };
    limit(500_000);
    let text = "x".repeat(10_000);
    let mut acknowledged = 0;
    let failed = loop {
        match run.append(&[Entry::new(acknowledged + 1, "k", text.as_str())], None) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(failed.code(), Code::Io | Code::DiskFull), "{failed}");
    assert!(acknowledged > 5);
    assert_eq!(run.entries().unwrap().len() as u64, acknowledged);
    // The log begins anew with the next connection, so that some entries fit again.
    let mut failures = 1;
    while failures < 4 {
        match run.append(&[Entry::new(acknowledged + 1, "k", text.as_str())], None) {
            Ok(()) => acknowledged += 1,
            Err(error) => {
                assert!(matches!(error.code(), Code::Io | Code::DiskFull), "{error}");
                failures += 1;
            }
        }
        assert_eq!(run.entries().unwrap().len() as u64, acknowledged);
    }
    limit(libc::RLIM_INFINITY);
    run.append(&[Entry::new(acknowledged + 1, "k", text.as_str())], None).unwrap();
    assert_eq!(run.entries().unwrap().len() as u64, acknowledged + 1);
}

/// Takes each of the runs that it can.
fn race(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    say("ready");
    while !folder.join("go").exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut held = Vec::new();
    for i in 0..20 {
        match store.take(None, &format!("r{i}")) {
            Ok(run) => {
                run.append(&[entry(1)], None).unwrap();
                say(i);
                held.push(run);
            }
            Err(error) => assert_eq!(error.code(), Code::RunConflict, "{error}"),
        }
    }
    say("done");
    wait();
}

/// Has no file descriptor left when it looks whether the holder of a run lives.
fn starve(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    assert_eq!(store.run(None, "r").unwrap().status, "running");
    is(store.take(None, "r"), Code::RunConflict);
    // SAFETY: `dup` gives the lowest free descriptor, and limits are plain values.
    unsafe {
        let free = libc::dup(1);
        libc::close(free);
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = free as libc::rlim_t;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
    assert!(store.take(None, "r").is_err(), "a run was taken whose holder lives");
}

/// Deletes a run while somebody reads, so that its bytes cannot be taken away.
fn delete_for_ever(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    begin(&store, "r").append(&[Entry::new(1, "k", "SECRET".repeat(100))], None).unwrap();
    let reader = rusqlite::Connection::open(folder.join("state.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM runs").unwrap();
    say("deletes");
    let _ = store.delete(None, "r");
}

/// Appends without a pause.
fn write_alone(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let Begun::New(run) = store.begin(&NewRun { kind: "agent", ..NewRun::default() }, &[]).unwrap() else {
        panic!()
    };
    for seq in 1..=150 {
        run.append(&[entry(seq)], None).unwrap();
    }
}

fn listen(folder: &Path) {
    let store = StateStore::open(folder).unwrap();
    let run = begin(&store, "r");
    say("held");
    while !run.cancelled().unwrap() {
        std::thread::sleep(Duration::from_millis(5));
    }
    run.append(&[entry(1)], Some("cancelled")).unwrap();
    say("stopped");
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = [0_u64; 4];
    // At length: `make torture` sets the number.
    let rounds = std::env::var("QUORATE_TORTURE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for round in 0..rounds.unwrap_or(12_u64) {
        let mut other = Other::start("append", folder.path());
        let mut heard = Vec::new();
        for _ in 0..(round * 13) % 40 + 1 {
            heard.push(other.says().unwrap());
        }
        std::thread::sleep(Duration::from_micros(round * 977 % 5000));
        heard.extend(other.kill());
        for line in heard {
            let Some((run, seq)) = line.split_once(' ') else { continue };
            let (Ok(run), Ok(seq)) = (run[1..].parse::<usize>(), seq.parse::<u64>()) else { continue };
            acknowledged[run] = acknowledged[run].max(seq);
        }
        let store = StateStore::open(folder.path()).unwrap();
        let interrupted = store.runs(None, Some("interrupted")).unwrap();
        assert_eq!(interrupted.len(), store.runs(None, None).unwrap().len());
        for row in interrupted {
            let run: usize = row.id[1..].parse().unwrap();
            let held = store.take(None, &row.id).unwrap();
            let entries = held.entries().unwrap();
            assert!(entries.len() as u64 >= acknowledged[run], "round {round}, run {run}");
            assert_eq!(row.entries, entries.len() as u64);
            for (seq, entry) in (1..).zip(&entries) {
                assert_eq!(entry.seq, seq);
                let expected = if seq % 7 == run as u64 {
                    json!(format!("{seq}").repeat(MAX_INLINE_BYTES))
                } else {
                    json!(seq)
                };
                assert_eq!(entry.data, expected);
            }
        }
        let known: std::collections::BTreeSet<String> = (0..4)
            .filter_map(|i| store.entries(None, &format!("r{i}"), 1).ok())
            .flatten()
            .filter(|entry| entry.data.is_string())
            .map(|entry| blake3::hash(entry.data.to_string().as_bytes()).to_hex().to_string())
            .collect();
        let files = std::fs::read_dir(folder.path().join("payloads")).unwrap();
        for file in files.map(|file| file.unwrap().path()) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let unfinished = file.extension().unwrap() == "tmp";
            assert!(unfinished || known.contains(name), "{name} is an orphan");
        }
    }
    assert!(acknowledged.iter().sum::<u64>() > 50, "{acknowledged:?}");
}

#[test]
fn a_live_holder_keeps_its_run_and_a_killed_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("hold", folder.path());
    assert_eq!(other.says().as_deref(), Some("held"));
    let store = StateStore::open(folder.path()).unwrap();
    is(store.take(None, "r"), Code::RunConflict);
    is(store.delete(None, "r"), Code::RunConflict);
    assert_eq!(store.run(None, "r").unwrap().status, "running");
    other.kill();
    let begun = Instant::now();
    assert_eq!(store.run(None, "r").unwrap().status, "interrupted");
    let run = store.take(None, "r").unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waits for no heartbeat");
    run.append(&[entry(1)], None).unwrap();
}

#[test]
fn a_child_that_lives_on_does_not_keep_its_parents_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("fork and hold", folder.path());
    let child: libc::pid_t = other.says().unwrap().parse().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    is(store.take(None, "r"), Code::RunConflict);
    other.kill();
    let taken = store.take(None, "r");
    // SAFETY: ends the process that our own child has started, by its id.
    unsafe { libc::kill(child, libc::SIGKILL) };
    taken.unwrap();
}

#[test]
fn of_two_processes_one_takes_each_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    for i in 0..20 {
        drop(begin(&store, &format!("r{i}")));
    }
    let mut others: Vec<_> = (0..3).map(|_| Other::start("race", folder.path())).collect();
    for other in &mut others {
        assert_eq!(other.says().as_deref(), Some("ready"));
    }
    std::fs::write(folder.path().join("go"), "").unwrap();
    let mut taken = Vec::new();
    for other in &mut others {
        while let Some(line) = other.says().filter(|line| line != "done") {
            taken.push(line.parse::<u32>().unwrap());
        }
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..20).collect::<Vec<_>>());
    for i in 0..20 {
        assert_eq!(store.entries(None, &format!("r{i}"), 1).unwrap().len(), 1);
    }
}

#[test]
fn processes_that_write_at_once_all_get_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..4).map(|_| Other::start("write", folder.path())).collect();
    others.into_iter().for_each(Other::ends_well);
    let rows = StateStore::open(folder.path()).unwrap().runs(None, Some("interrupted")).unwrap();
    assert_eq!(rows.iter().map(|row| row.entries).collect::<Vec<_>>(), [150; 4]);
}

#[test]
fn a_kill_between_payload_and_commit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("stop before the commit", folder.path());
    assert_eq!(other.says().as_deref(), Some("locked"));
    let payloads = folder.path().join("payloads");
    let written = || {
        let files = std::fs::read_dir(&payloads).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().is_some_and(|e| e == "json")).count()
    };
    let begun = Instant::now();
    while written() == 0 && begun.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(written(), 1);
    other.kill();
    let store = StateStore::open(folder.path()).unwrap();
    assert_eq!(written(), 0, "the orphan is swept up");
    let run = store.take(None, "r").unwrap();
    assert_eq!(run.entries().unwrap().len(), 1);
}

#[test]
fn who_cannot_look_whether_a_holder_lives_does_not_take_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = Other::start("hold", folder.path());
    assert_eq!(holder.says().as_deref(), Some("held"));
    Other::start("starve", folder.path()).ends_well();
}

#[test]
fn a_kill_in_the_middle_of_a_deletion_leaves_no_text_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("delete", folder.path());
    assert_eq!(other.says().as_deref(), Some("deletes"));
    // Another handle of this process must not touch the files while it looks.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(50));
        if code(StateStore::open(folder.path()).and_then(|store| store.run(None, "r"))) == "unknown_id" {
            break;
        }
    }
    other.kill();
    let store = StateStore::open(folder.path()).unwrap();
    is(store.run(None, "r"), Code::UnknownId);
    let grep =
        std::process::Command::new("grep").args(["-r", "-a", "-l", "SECRET"]).arg(folder.path()).output();
    assert_eq!(String::from_utf8(grep.unwrap().stdout).unwrap(), "");
}

#[test]
fn a_write_that_fails_loses_nothing_and_the_next_one_works() {
    let folder = tempfile::tempdir().unwrap();
    Other::start("fill", folder.path()).ends_well();
    let store = StateStore::open(folder.path()).unwrap();
    assert!(store.entries(None, "r", 1).unwrap().len() > 6);
}

#[test]
fn another_process_asks_a_run_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("listen", folder.path());
    assert_eq!(other.says().as_deref(), Some("held"));
    let store = StateStore::open(folder.path()).unwrap();
    store.cancel(None, "r").unwrap();
    assert_eq!(other.says().as_deref(), Some("stopped"));
    other.ends_well();
    assert_eq!(store.run(None, "r").unwrap().status, "cancelled");
}

/// Runs `work` in a forked child; its number says what went wrong.
fn in_child(work: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: the child uses the store, which is made for it, and ends without running anything of its parent.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(99);
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(status) };
    }
    child
}

fn status_of(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: waits for our own child; the pointer is to a local.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "{status}");
    libc::WEXITSTATUS(status)
}

#[test]
fn handles_survive_a_fork_in_the_middle_of_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let inherited = begin(&store, "parents");
    inherited.append(&[entry(1)], None).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                let run = begin(store, &format!("thread{thread}"));
                let mut seq = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    seq += 1;
                    run.append(&[entry(seq)], None).unwrap();
                }
            });
        }
        let children: Vec<_> = (0..8)
            .map(|i| {
                std::thread::sleep(Duration::from_millis(3));
                let (store, inherited) = (&store, &inherited);
                in_child(move || {
                    let new = NewRun { tenant: Some("children"), ..named("own") };
                    let id = format!("child{i}");
                    let Ok(Begun::New(run)) = store.begin(&NewRun { id: Some(&id), ..new }, &[]) else {
                        return 1;
                    };
                    for seq in 1..=10 {
                        if run.append(&[entry(seq)], None).is_err() {
                            return 2;
                        }
                    }
                    // The parent's run can be read here, and not written or taken.
                    if code(inherited.entries()) != "ok" || code(inherited.cancelled()) != "ok" {
                        return 3;
                    }
                    if code(inherited.append(&[entry(2)], None)) != "stale_write" {
                        return 4;
                    }
                    if code(store.take(None, "parents")) != "run_conflict" {
                        return 5;
                    }
                    if run.append(&[], Some("done")).is_err() || run.finish().is_err() {
                        return 6;
                    }
                    0
                })
            })
            .collect();
        let ended: Vec<i32> = children.into_iter().map(status_of).collect();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(ended, [0; 8]);
    });
    // The parent goes on, with the lease that its children have let go of in vain.
    inherited.append(&[entry(2)], None).unwrap();
    assert_eq!(store.run(None, "parents").unwrap().status, "running");
    let rows = store.runs(Some("children"), Some("done")).unwrap();
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| row.entries == 10));
    for thread in 0..3 {
        let id = format!("thread{thread}");
        assert_eq!(store.entries(None, &id, 1).unwrap().len() as u64, store.run(None, &id).unwrap().entries);
    }
}

#[test]
fn what_a_child_wrote_survives_the_parents_closing_and_its_own_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let go = folder.path().join("go");
    let child = {
        let (store, go) = (&store, &go);
        in_child(move || {
            let run = begin(store, "child");
            for seq in 1..=50 {
                run.append(&[entry(seq)], None).unwrap();
            }
            std::fs::write(go, "").unwrap();
            for seq in 51..=400 {
                run.append(&[entry(seq)], None).unwrap();
            }
            0
        })
    };
    while !go.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The last connection of this process: what it tidies up must not be what the child is using.
    drop(store);
    assert_eq!(status_of(child), 0);
    let store = StateStore::open(folder.path()).unwrap();
    assert_eq!(store.entries(None, "child", 1).unwrap().len(), 400);
    // It ended without letting go.
    assert_eq!(store.run(None, "child").unwrap().status, "interrupted");
}

#[test]
fn a_store_in_memory_survives_a_fork() {
    let store = StateStore::memory();
    let run = begin(&store, "r");
    run.append(&[entry(1)], None).unwrap();
    let child = in_child(|| {
        begin(&store, "own").append(&[entry(1)], Some("done")).unwrap();
        (run.entries().unwrap().len() + store.runs(None, None).unwrap().len()) as i32
    });
    assert_eq!(status_of(child), 3);
    assert_eq!(store.runs(None, None).unwrap().len(), 1, "the child has its own copy");
}
