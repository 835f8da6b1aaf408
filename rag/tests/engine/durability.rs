//! Does what was acknowledged stay, whoever else is at work: merges, other tenants, readers, forks, other directories?

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use crate::common::{copy, early, numbered, open, options, state};
use quorate_core::Code;
use quorate_rag::{Document, Durability, Filter, KnowledgeBase, OpenOptions, Tuning};

fn fast(tuning: Tuning) -> OpenOptions {
    OpenOptions { durability: Durability::Process, tuning, ..options() }
}

fn opened(place: &Path, options: OpenOptions) -> KnowledgeBase {
    KnowledgeBase::open(place.to_str().unwrap(), options).unwrap()
}

fn reader(place: &Path) -> KnowledgeBase {
    opened(place, OpenOptions { read_only: true, ..fast(Tuning::default()) })
}

fn some(from: usize, to: usize) -> Vec<Document> {
    (from..to).map(|i| numbered(&format!("d{i}"), 0)).collect()
}

/// The background work takes a snapshot; meanwhile documents are added one by one, so that the writer merges its newest
/// segments, among them, if it may, those of the snapshot.
#[test]
fn what_is_added_during_a_merge_is_there_for_who_comes_later() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("kb");
    let writer: Arc<Mutex<Option<KnowledgeBase>>> = Arc::default();
    let inside = writer.clone();
    let hook = move |at: &'static str| {
        let kb = inside.lock().unwrap().take_if(|_| at == "claimed" || at == "built");
        if let Some(kb) = kb {
            let n = kb.count(None).unwrap();
            (n..n + 30).for_each(|i| drop(kb.add(some(i, i + 1)).unwrap()));
            if at == "claimed" {
                *inside.lock().unwrap() = Some(kb);
            }
        }
    };
    let tuning = Tuning { background: false, hook: Some(Arc::new(hook)), flush_rows: 40, ..early() };
    let kb = opened(&place, fast(Tuning { small_rows: 100, ..tuning }));
    kb.add(some(0, 38)).unwrap();
    kb.add(some(38, 39)).unwrap();
    kb.add(some(39, 40)).unwrap();
    *writer.lock().unwrap() = Some(kb.clone());
    kb.maintain().unwrap();
    let all = state(&kb);
    assert!(all.len() >= 100, "{} documents", all.len());
    assert_eq!(state(&reader(&place)), all);
    let killed = home.path().join("copy");
    copy(&place, &killed);
    let next = open(&killed);
    assert_eq!(state(&next), all);
    next.compact().unwrap();
    assert_eq!(state(&next), all);
    // The hook holds a clone of the handle, and the handle holds the hook.
    *writer.lock().unwrap() = None;
}

#[test]
fn tenants_that_write_at_once_do_not_disturb_each_other() {
    let home = tempfile::tempdir().unwrap();
    let kb = opened(&home.path().join("kb"), fast(Tuning { commits: 5, ..early() }));
    let tenants: Vec<KnowledgeBase> = (0..6).map(|i| kb.tenant(&format!("clinic{i}")).unwrap()).collect();
    let start = Barrier::new(tenants.len());
    std::thread::scope(|scope| {
        for tenant in &tenants {
            scope.spawn(|| {
                start.wait();
                (0..30).for_each(|i| drop(tenant.add(some(i, i + 1)).unwrap()));
            });
        }
    });
    for tenant in &tenants {
        assert_eq!(state(tenant).len(), 30);
    }
}

/// Another writer got past the lock, as it can on a file system without locks, and what it wrote cannot be read for a
/// while: a writer that does not know what is there must not number its own rows.
#[test]
fn a_writer_that_cannot_catch_up_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("kb");
    let data = place.join("truth/documents.lance/data");
    let names = || -> BTreeSet<_> {
        std::fs::read_dir(&data).unwrap().flatten().map(|entry| entry.file_name()).collect()
    };
    let first = open(&place);
    first.add(some(0, 1)).unwrap();
    let before = names();
    std::fs::remove_file(place.join("lock")).unwrap();
    let second = open(&place);
    second.add(some(1, 2)).unwrap();
    second.close().unwrap();
    let fresh: Vec<_> = names().difference(&before).cloned().collect();
    let hide = |there: bool| {
        for name in &fresh {
            let (a, b) = (data.join(name), home.path().join(name));
            if there { std::fs::rename(b, a).unwrap() } else { std::fs::rename(a, b).unwrap() }
        }
    };
    hide(false);
    assert_eq!(first.add(some(2, 3)).unwrap_err().code(), Code::VersionConflict);
    // Neither does it write now that it knows that it is behind.
    for _ in 0..2 {
        assert!(first.add(some(3, 4)).is_err());
        assert!(first.upsert(some(0, 1)).is_err());
        assert!(first.delete(&["d0"]).is_err());
        assert!(first.delete_where(&Filter::parse("n >= 0").unwrap()).is_err());
        assert!(first.update_metadata("d0", Default::default()).is_err());
        assert!(first.compact().is_err());
        assert!(first.refresh().is_err());
    }
    hide(true);
    first.add(some(4, 5)).unwrap();
    let all = state(&first);
    assert_eq!(all.keys().collect::<Vec<_>>(), ["d0", "d1", "d4"]);
    first.close().unwrap();
    std::fs::remove_dir_all(place.join("index")).unwrap();
    let kb = open(&place);
    assert_eq!(state(&kb), all);
    kb.compact().unwrap();
    assert_eq!(state(&kb), all);
}

#[test]
fn a_reader_that_follows_costs_what_a_new_one_does() {
    let rounds = std::env::var("QUORATE_TORTURE_REFRESHES").ok().and_then(|n| n.parse().ok()).unwrap_or(250);
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("kb");
    let tuning = Tuning { flush_rows: 64, small_rows: 64, graph_rows: 100, ..Tuning::default() };
    let kb = opened(&place, OpenOptions { keep_versions: 5, ..fast(tuning) });
    kb.add(some(0, 1)).unwrap();
    let follower = reader(&place);
    for i in 1..rounds {
        kb.add(some(i, i + 1)).unwrap();
        assert!(follower.refresh().unwrap());
        let segments = follower.stats().unwrap().segments;
        assert!(segments <= 30, "{segments} segments after {i} refreshes");
    }
    assert!(!follower.refresh().unwrap());
    assert_eq!(state(&follower), state(&kb));
    kb.compact().unwrap();
    // It takes over what the writer has stored.
    follower.refresh().unwrap();
    assert_eq!(follower.stats().unwrap().segments, 1);
    assert_eq!(state(&follower), state(&kb));
}

fn files(folder: &Path) -> (usize, u64) {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (count, bytes) = match entry.path().is_dir() {
            true => files(&entry.path()),
            // A file can go while it is looked at.
            false => (1, entry.metadata().map_or(0, |meta| meta.len())),
        };
        sum = (sum.0 + count, sum.1 + bytes);
    }
    sum
}

/// All kinds of writes are maintained alike. `QUORATE_TORTURE_ADDS` sets how many there are.
#[test]
fn any_mix_of_writes_keeps_the_disk_bounded() {
    let writes: usize =
        std::env::var("QUORATE_TORTURE_ADDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let home = tempfile::tempdir().unwrap();
    let kinds: [(&str, fn(&KnowledgeBase, usize)); 5] = [
        ("add", |kb, i| drop(kb.add(some(1000 + i, 1001 + i)).unwrap())),
        ("upsert", |kb, i| drop(kb.upsert(vec![numbered(&format!("d{}", i % 400), 2 * i as i64)]).unwrap())),
        ("update_metadata", |kb, i| {
            let id = format!("d{}", i % 400);
            kb.update_metadata(&id, numbered(&id, (i % 2) as i64).metadata).unwrap();
        }),
        ("delete", |kb, i| {
            let id = format!("d{}", i % 400);
            if kb.delete(&[&id]).unwrap() == 0 {
                kb.add(vec![numbered(&id, 0)]).unwrap();
            }
        }),
        ("delete_where", |kb, i| {
            let id = format!("d{}", i % 400);
            if kb.delete_where(&Filter::parse(&format!("id = '{id}'")).unwrap()).unwrap() == 0 {
                kb.add(vec![numbered(&id, 0)]).unwrap();
            }
        }),
    ];
    let (keep, commits, garbage) = (10, 32, 200);
    for (name, write) in kinds {
        let place = home.path().join(name);
        let tuning = Tuning { commits, garbage_rows: garbage, ..Tuning::default() };
        let kb = opened(&place, OpenOptions { keep_versions: keep, ..fast(tuning) });
        kb.add(some(0, 400)).unwrap();
        kb.compact().unwrap();
        let (_, one) = files(&place.join("truth"));
        let mut most = (0, 0);
        let mut versions = 0;
        for i in 0..writes {
            write(&kb, i);
            if i % 50 == 49 {
                let now = files(&place.join("truth"));
                most = (most.0.max(now.0), most.1.max(now.1));
                versions = versions.max(kb.versions().unwrap().len());
            }
        }
        // The background thread may be behind: twice what is kept is still bounded.
        let bound = 2 * (keep + commits) + 20;
        assert!(versions <= bound, "{name}: {versions} versions");
        // A version has a list and a transaction, and one file of rows.
        assert!(most.0 <= 4 * bound, "{name}: {} files", most.0);
        let rows = one / 400 + 1;
        // Twice what is live, what may pile up, and as much again for the versions that are kept.
        let live = if name == "add" { 400 + writes as u64 } else { 400 };
        let lists = (bound * 40_000) as u64;
        let allowed = 3 * rows * (2 * live + garbage + 2 * commits as u64) + lists;
        assert!(most.1 <= allowed, "{name}: {} bytes, {allowed} allowed", most.1);
        kb.maintain().unwrap();
        let now = kb.versions().unwrap().len();
        assert!(now <= keep + commits + 4, "{name}: {now} versions");
        let all = state(&kb);
        drop(kb);
        assert_eq!(state(&open(&place)), all, "{name}");
    }
}

const PLACE: &str = "QUORATE_CHILD_PLACE";

/// Runs a test of this file in a process of its own, with the folder that it works in.
fn alone(name: &str, place: &Path) {
    let done = Command::new(std::env::current_exe().unwrap())
        .args([&format!("durability::{name}"), "--exact", "--nocapture"])
        .env(PLACE, place)
        .env("HOME", place.join("user"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_handle_stays_where_it_was_opened() {
    let home = tempfile::tempdir().unwrap();
    alone("wandering", home.path());
}

/// Relative paths, with a tilde, dots and links in them; the working directory changes all the time.
#[test]
fn wandering() {
    let Ok(home) = std::env::var(PLACE) else { return };
    let home = Path::new(&home).canonicalize().unwrap();
    for name in ["one", "two", "user", "one/real"] {
        std::fs::create_dir(home.join(name)).unwrap();
    }
    let (one, two) = (home.join("one"), home.join("two"));
    #[cfg(unix)]
    std::os::unix::fs::symlink(one.join("real"), one.join("link")).unwrap();
    let mut places =
        vec![("kb", "kb"), ("./a/../kb2", "kb2"), ("~/kb", "~/kb"), ("~", "~"), ("a b#c%20?", "a b#c%20?")];
    if cfg!(unix) {
        places.push(("link/../kb3", "kb3"));
    }
    std::fs::create_dir(one.join("a")).unwrap();
    for (given, real) in places {
        std::env::set_current_dir(&one).unwrap();
        let kb = KnowledgeBase::open(given, options()).unwrap();
        kb.add(some(0, 1)).unwrap();
        let lock = one.join(real).join("lock");
        assert!(lock.is_file() && one.join(real).join("truth/documents.lance").is_dir(), "{given}");
        std::env::set_current_dir(&two).unwrap();
        kb.add(some(1, 2)).unwrap();
        let tenant = kb.tenant("acme").unwrap();
        tenant.add(some(0, 3)).unwrap();
        kb.compact().unwrap();
        assert!(kb.stats().unwrap().truth_bytes > 0);
        // Nobody else gets in, from wherever.
        let absolute = one.join(real);
        let second = KnowledgeBase::open(absolute.to_str().unwrap(), options());
        assert_eq!(second.unwrap_err().code(), Code::Locked, "{given}");
        kb.close().unwrap();
        assert_eq!(std::fs::read_dir(&two).unwrap().count(), 0, "{given}");
        assert_eq!(std::fs::read_dir(home.join("user")).unwrap().count(), 0, "{given}");
        let kb = open(&absolute);
        assert_eq!((state(&kb).len(), state(&kb.tenant("acme").unwrap()).len()), (2, 3), "{given}");
    }
    assert_eq!(KnowledgeBase::open("", options()).unwrap_err().code(), Code::InvalidArgument);
}

#[cfg(unix)]
#[test]
fn the_umask_decides_who_may_read() {
    let home = tempfile::tempdir().unwrap();
    alone("shared_with_others", home.path());
}

#[cfg(unix)]
#[test]
fn shared_with_others() {
    use std::os::unix::fs::PermissionsExt;
    let Ok(home) = std::env::var(PLACE) else { return };
    for umask in [0o022, 0o007, 0o077] {
        // SAFETY: it only sets the mask of this process, which runs nothing but this test.
        unsafe { libc::umask(umask) };
        let place = Path::new(&home).join(format!("kb{umask}"));
        let kb = opened(&place, OpenOptions { keep_versions: 2, ..fast(early()) });
        (0..30).for_each(|i| drop(kb.add(some(i, i + 1)).unwrap()));
        kb.compact().unwrap();
        (30..45).for_each(|i| drop(kb.add(some(i, i + 1)).unwrap()));
        kb.close().unwrap();
        let mut folders = vec![place];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                let all = if entry.path().is_dir() { 0o777 } else { 0o666 };
                let path = entry.path();
                // tantivy's own lock files are of no use to others.
                if path.extension().is_none_or(|e| e != "lock") {
                    assert_eq!(mode, all & !(umask as u32), "{:o} {}", mode, path.display());
                    seen += 1;
                }
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        assert!(seen > 30, "{seen} files");
    }
}

/// Runs `work` and says whether it ended in time; what hangs is left to the end of the process.
fn in_time(work: impl FnOnce() + Send + 'static) -> bool {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        work();
        let _ = send.send(());
    });
    receive.recv_timeout(Duration::from_secs(60)).is_ok()
}

#[test]
fn closing_waits_for_writers_and_writers_see_it() {
    for round in 0..20u64 {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("kb");
        let kb = opened(&place, fast(early()));
        kb.add(some(0, 1)).unwrap();
        let acknowledged = Arc::new(Mutex::new(BTreeSet::from(["d0".to_owned()])));
        let (writing, said) = (kb.clone(), acknowledged.clone());
        assert!(in_time(move || {
            std::thread::scope(|scope| {
                for t in 0..3usize {
                    let (kb, said) = (writing.clone(), said.clone());
                    scope.spawn(move || {
                        for i in 0.. {
                            let id = 1 + t + 3 * i;
                            let done = match i % 3 {
                                0 => kb.update_metadata("d0", numbered("", 0).metadata).map(|()| false),
                                _ => kb.add(some(id, id + 1)).map(|_| true),
                            };
                            match done {
                                Ok(true) => drop(said.lock().unwrap().insert(format!("d{id}"))),
                                Ok(false) => {}
                                Err(error) => {
                                    assert_eq!(error.code(), Code::Closed);
                                    break;
                                }
                            }
                        }
                    });
                }
                if round % 2 == 0 {
                    let kb = writing.clone();
                    scope.spawn(move || {
                        while kb.compact().map_err(|e| assert_eq!(e.code(), Code::Closed)).is_ok() {}
                    });
                }
                std::thread::sleep(Duration::from_millis(5 * round));
                writing.close().unwrap();
            });
        }));
        // Nobody has written after close let go of the lock.
        let next = open(&place);
        let there: BTreeSet<String> = next.ids().unwrap().into_iter().collect();
        assert_eq!(there, *acknowledged.lock().unwrap());
    }
}

#[test]
fn closing_ends_a_long_merge() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("kb");
    let kb = opened(&place, fast(Tuning::default()));
    // A graph over so many takes longer than closing may.
    let vectors =
        |i: usize| -> Vec<f32> { (0..32).map(|j| ((i * 31 + j * 17) % 97) as f32 - 48.0).collect() };
    let documents = (0..60_000).map(|i| {
        let chunk = quorate_rag::Chunk { range: 0..6, vector: Some(vectors(i)), ..Default::default() };
        Document::new(format!("d{i}"), "shared").chunks(vec![chunk])
    });
    kb.add(documents.collect()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let merging = kb.clone();
    let compact = std::thread::spawn(move || merging.compact());
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    kb.close().unwrap();
    let took = start.elapsed();
    let code = compact.join().unwrap().map_err(|error| error.code());
    assert!(matches!(code, Ok(()) | Err(Code::Closed)), "{code:?}");
    println!("closing took {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(reader(&place).count(None).unwrap(), 60_000);
}

/// The indexes of one tenant are built again, which takes as long as this test likes.
#[test]
fn a_tenant_that_rebuilds_keeps_no_other_waiting() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("kb");
    let kb = open(&place);
    kb.tenant("large").unwrap().add(some(0, 50)).unwrap();
    kb.tenant("small").unwrap().add(some(0, 5)).unwrap();
    kb.close().unwrap();
    std::fs::remove_dir_all(place.join("index/tenant_6c61726765")).unwrap();
    let (began, begin) = channel();
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let first = AtomicBool::new(true);
    let progress = move |_: usize, _: usize| {
        if first.swap(false, Ordering::AcqRel) {
            began.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
    };
    let kb = opened(&place, OpenOptions { progress: Some(Arc::new(progress)), ..options() });
    std::thread::scope(|scope| {
        let large = scope.spawn(|| kb.tenant("large").unwrap().count(None).unwrap());
        begin.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(kb.tenant("small").unwrap().count(None).unwrap(), 5);
        kb.tenant("new").unwrap().add(some(0, 1)).unwrap();
        go.send(()).unwrap();
        assert_eq!(large.join().unwrap(), 50);
    });
}

#[test]
fn closing_gives_back_threads_and_files() {
    let home = tempfile::tempdir().unwrap();
    alone("opening_and_closing", home.path());
}

#[test]
fn opening_and_closing() {
    let Ok(home) = std::env::var(PLACE) else { return };
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).map_or(0, Iterator::count);
    let mut seen = Vec::new();
    for round in 0..24 {
        let place = Path::new(&home).join(format!("kb{}", round % 3));
        let kb = opened(&place, fast(early()));
        (0..20).for_each(|i| drop(kb.upsert(some(i, i + 1)).unwrap()));
        let reader = reader(&place);
        assert_eq!(reader.count(None).unwrap(), 20);
        reader.close().unwrap();
        kb.close().unwrap();
        // The handles are still there.
        assert_eq!(kb.count(None).unwrap_err().code(), Code::Closed);
        if round % 8 == 7 {
            // Threads that wait for work end after a second without any.
            std::thread::sleep(Duration::from_millis(2500));
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
            seen.push([count("fd"), count("task"), maps.lines().filter(|line| line.contains(&home)).count()]);
        }
    }
    for what in 0..3 {
        assert!(seen[2][what] <= seen[0][what] + 3, "files, threads, maps: {seen:?}");
    }
    assert_eq!(seen[2][2], 0, "mapped files of closed handles: {seen:?}");
}
