//! Do queues and events do what they say, in memory and in a folder?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error};
use quorate_state::{
    Clock, Event, Key, MAX_INLINE_BYTES, PerKey, PruneEvents, PutOptions, Queue, QueueOptions, Retry,
    StartFrom, StateStore, SubscribeOptions, Subscription, WorkOptions,
};
use serde_json::json;
use support::is;

fn stores(test: impl Fn(&StateStore)) {
    test(&StateStore::memory());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap());
}

fn plain() -> PutOptions {
    PutOptions::default()
}

fn ids(queue: &Queue, most: usize) -> Vec<u64> {
    queue.take(most).unwrap().iter().map(|message| message.id).collect()
}

/// A clock that stands where it is put.
fn clock() -> (Arc<AtomicU64>, Clock) {
    let time = Arc::new(AtomicU64::new(1_000_000));
    let inside = Arc::clone(&time);
    (time, Arc::new(move || inside.load(Ordering::Relaxed) as f64))
}

#[test]
fn tenants_and_queues_do_not_see_each_other() {
    stores(|store| {
        let names = [(None, "a"), (Some("t"), "a"), (Some("u"), "a"), (None, "b")];
        let queues: Vec<Queue> =
            names.iter().map(|(tenant, name)| store.queue(*tenant, name, None).unwrap()).collect();
        for (i, queue) in queues.iter().enumerate() {
            let put = PutOptions { dedup: Some("same".into()), ..plain() };
            assert_eq!(queue.put(&json!(i), &put).unwrap().id, 1, "numbers tell nothing of others");
        }
        let taken: Vec<_> = queues.iter().map(|queue| queue.take(9).unwrap().remove(0)).collect();
        for (i, queue) in queues.iter().enumerate() {
            assert_eq!(taken[i].data, json!(i));
            is(queue.ack(&taken[(i + 1) % 4]), Code::InvalidArgument);
        }
        queues[1].ack(&taken[1]).unwrap();
        assert_eq!(queues.iter().map(|queue| queue.stats().unwrap().done).collect::<Vec<_>>(), [0, 1, 0, 0]);
        assert_eq!(store.queues(None).unwrap(), ["a", "b"]);
        assert_eq!(store.queues(Some("t")).unwrap(), ["a"]);
        assert!(queues[0].delete().unwrap() && !queues[0].delete().unwrap());
        is(queues[0].put(&json!(1), &plain()), Code::UnknownId);
        is(queues[0].ack(&taken[0]), Code::UnknownId);
        let again = store.queue(None, "a", None).unwrap();
        again.put(&json!("new"), &plain()).unwrap();
        assert_eq!(ids(&again, 9), [1]);
        is(again.ack(&taken[0]), Code::InvalidArgument);
        queues[2].ack(&taken[2]).unwrap();
    });
}

#[test]
fn what_is_wrong_is_refused_and_nothing_is_put() {
    stores(|store| {
        is(store.queue(None, "", None), Code::InvalidArgument);
        is(store.queue(Some(""), "q", None), Code::InvalidArgument);
        is(store.queue(None, &"q".repeat(600), None), Code::TooLarge);
        let queue = store.queue(None, "q", None).unwrap();
        let parts = (0..9).map(|i| (i.to_string(), String::from("x"))).collect();
        for put in [
            PutOptions { priority: i64::MAX, ..plain() },
            PutOptions { delay: Some(-1.0), ..plain() },
            PutOptions { dedup: Some(String::new()), ..plain() },
            PutOptions { key: Some(Key::Parts(parts)), ..plain() },
            PutOptions { key: Some(Key::Parts(BTreeMap::new())), ..plain() },
        ] {
            is(queue.put(&json!(1), &put), Code::InvalidArgument);
        }
        is(queue.put(&json!(1), &PutOptions { delay: Some(f64::NAN), ..plain() }), Code::NotFinite);
        queue.put(&json!(1), &plain()).unwrap();
        let taken = queue.take(1).unwrap().remove(0);
        is(queue.nack(&taken, Some(f64::INFINITY), None), Code::NotFinite);
        let mut other = taken.clone();
        for bad in ["", "1.1", "x.1.1", "1.1.1.1", "99.1.1"] {
            bad.clone_into(&mut other.lease);
            is(queue.ack(&other), Code::InvalidArgument);
        }
        assert!(serde_json::from_str::<PutOptions>(r#"{"delay": "5m", "key": {"tenant": "a"}}"#).is_ok());
        assert!(serde_json::from_str::<PutOptions>(r#"{"dealy": 5}"#).is_err());
        assert_eq!(queue.stats().unwrap().held, 1);
        let never = queue.clone().with_clock(Arc::new(|| f64::NAN));
        is(never.take(1), Code::NotFinite);
    });
}

#[test]
fn large_and_odd_payloads_come_back_as_they_went() {
    stores(|store| {
        let queue = store.queue(None, "q", None).unwrap();
        let all = [
            json!(null),
            json!(0.1),
            json!({"a": ["\u{0}", "é\u{301}", "😀"], "": {}}),
            json!("x".repeat(MAX_INLINE_BYTES * 3)),
            json!("x".repeat(MAX_INLINE_BYTES * 3)),
        ];
        for data in &all {
            queue.put(data, &plain()).unwrap();
        }
        for data in &all {
            let taken = queue.take(1).unwrap().remove(0);
            assert_eq!(taken.data, *data);
            queue.ack(&taken).unwrap();
        }
    });
}

#[test]
fn an_older_message_of_low_priority_comes_to_its_turn_by_ageing() {
    stores(|store| {
        for (aging, expected) in [(None, 0), (Some(10.0), 1)] {
            let (time, clock) = clock();
            let name = format!("{aging:?}");
            let options = QueueOptions { aging, ..QueueOptions::default() };
            let queue = store.queue(None, &name, Some(&options)).unwrap().with_clock(clock);
            queue.put(&json!("low"), &plain()).unwrap();
            let mut low = 0;
            for _ in 0..20 {
                time.fetch_add(5, Ordering::Relaxed);
                queue.put(&json!("high"), &PutOptions { priority: 3, ..plain() }).unwrap();
                let taken = queue.take(1).unwrap().remove(0);
                low += i32::from(taken.data == json!("low"));
                queue.ack(&taken).unwrap();
            }
            assert_eq!(low, expected, "{aging:?}");
        }
    });
}

#[test]
fn the_last_options_hold_for_every_handle() {
    stores(|store| {
        let one = store
            .queue(None, "q", Some(&QueueOptions { concurrency: Some(1), ..QueueOptions::default() }))
            .unwrap();
        for i in 0..5 {
            one.put(&json!(i), &plain()).unwrap();
        }
        assert_eq!(ids(&one, 9), [1]);
        let two = store
            .queue(None, "q", Some(&QueueOptions { concurrency: Some(3), ..QueueOptions::default() }))
            .unwrap();
        assert_eq!(one.options().unwrap().concurrency, Some(3));
        assert_eq!(ids(&one, 9), [2, 3]);
        assert_eq!(store.queue(None, "q", None).unwrap().options().unwrap(), two.options().unwrap());
        is(
            store.queue(None, "q", Some(&QueueOptions { lease: 0.0, ..QueueOptions::default() })),
            Code::InvalidArgument,
        );
        assert_eq!(one.options().unwrap().concurrency, Some(3));
    });
}

#[test]
fn workers_work_renew_retry_drain_and_stop() {
    stores(|store| {
        let retry = Retry { max_attempts: 2, first: 0.001, ..Retry::default() };
        let options = QueueOptions { lease: 1.0, retry, ..QueueOptions::default() };
        let queue = store.queue(None, "q", Some(&options)).unwrap();
        for text in ["good", "bad", "panics", "long"] {
            queue.put(&json!(text), &plain()).unwrap();
        }
        let tries = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
        let inside = Arc::clone(&tries);
        let handler = move |message: &quorate_state::Message, _: &quorate_core::Cancel| {
            let text = message.data.as_str().unwrap().to_owned();
            *inside.lock().unwrap().entry(text.clone()).or_default() += 1;
            match text.as_str() {
                "bad" => return Err(Error::new(Code::RemoteFailed, "not there")),
                "panics" => std::panic::panic_any("oh"),
                // Longer than the lease.
                "long" => std::thread::sleep(Duration::from_millis(2_200)),
                _ => {}
            }
            Ok(())
        };
        let workers = queue.work(handler, &WorkOptions { threads: 3, ..WorkOptions::default() }).unwrap();
        let begun = Instant::now();
        while queue.stats().unwrap().done + queue.stats().unwrap().dead < 4 {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(workers.drain(Some(10.0)));
        assert!(workers.error().is_none(), "{:?}", workers.error());
        let tries: Vec<_> = tries.lock().unwrap().clone().into_iter().collect();
        let expected = [("bad", 2), ("good", 1), ("long", 1), ("panics", 2)];
        assert_eq!(tries, expected.map(|(text, tries)| (text.to_owned(), tries)));
        let reasons: Vec<String> = queue.dead().list().unwrap().into_iter().map(|dead| dead.reason).collect();
        assert_eq!(reasons, ["remote_failed: not there", "the handler panicked: oh"]);
        queue.put(&json!("late"), &plain()).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(queue.stats().unwrap().ready, 1, "nobody takes anything more");

        // Who is to stop hears so.
        let heard = Arc::new(AtomicBool::new(false));
        let inside = Arc::clone(&heard);
        let handler = move |_: &quorate_state::Message, cancel: &quorate_core::Cancel| {
            while cancel.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            inside.store(true, Ordering::Relaxed);
            cancel.check()
        };
        let workers = queue.work(handler, &WorkOptions::default()).unwrap();
        while workers.working() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!workers.drain(Some(0.05)), "it is still at work");
        assert!(workers.stop(Some(10.0)) && heard.load(Ordering::Relaxed));
    });
}

#[test]
fn whoever_lost_its_lease_hears_so_and_writes_nothing() {
    stores(|store| {
        let (time, clock) = clock();
        let queue = store.queue(None, "q", None).unwrap().with_clock(clock);
        queue.put(&json!(1), &plain()).unwrap();
        let first = queue.take(1).unwrap().remove(0);
        time.fetch_add(31, Ordering::Relaxed);
        let second = queue.take(1).unwrap().remove(0);
        assert_eq!((second.id, second.attempts), (first.id, 2));
        is(queue.ack(&first), Code::StaleWrite);
        is(queue.nack(&first, None, None), Code::StaleWrite);
        is(queue.renew(&first), Code::StaleWrite);
        is(queue.reject(&first, "x"), Code::StaleWrite);
        queue.ack(&second).unwrap();
        is(queue.ack(&second), Code::StaleWrite);
    });
}

#[test]
fn a_clock_that_goes_back_a_year_delays_nothing_for_a_year() {
    stores(|store| {
        let (time, clock) = clock();
        time.store(2_000_000_000, Ordering::Relaxed);
        let options = QueueOptions { rate: Some("2/10s".parse().unwrap()), ..QueueOptions::default() };
        let queue = store.queue(None, "q", Some(&options)).unwrap().with_clock(clock);
        for i in 0..4 {
            queue.put(&json!(i), &plain()).unwrap();
        }
        queue.put(&json!("later"), &PutOptions { delay: Some(20.0), priority: 9, ..plain() }).unwrap();
        assert_eq!(ids(&queue, 9), [1, 2]);
        time.fetch_sub(31_536_000, Ordering::Relaxed);
        assert!(ids(&queue, 9).is_empty(), "the rate holds");
        time.fetch_add(10, Ordering::Relaxed);
        assert_eq!(ids(&queue, 9), [3, 4]);
        time.fetch_add(10, Ordering::Relaxed);
        assert_eq!(ids(&queue, 9), [5]);
        time.fetch_add(10, Ordering::Relaxed);
        assert_eq!(ids(&queue, 9), [1, 2], "the leases have run out");
    });
}

#[test]
fn threads_that_put_and_ack_share_the_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for i in 0..10 {
                    queue.put(&json!(i), &plain()).unwrap();
                }
                for message in queue.take(10).unwrap() {
                    queue.ack(&message).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(store.commits() < 320, "{}", store.commits());
    assert_eq!(queue.stats().unwrap().done as usize, done.load(Ordering::Relaxed));
    assert_eq!(queue.stats().unwrap().ready as usize, 160 - done.load(Ordering::Relaxed));
}

fn files_with(folder: &std::path::Path, text: &str) -> usize {
    // By another process: one that closes a file of SQLite's loses its own locks.
    let out = Command::new("grep").args(["-r", "-a", "-l", "-F", text]).arg(folder).output().unwrap();
    String::from_utf8(out.stdout).unwrap().lines().count()
}

#[test]
fn what_is_removed_leaves_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let store = StateStore::open(path).unwrap();
    let queue = store.queue(None, "SECRETNAME", None).unwrap();
    let key = PutOptions { key: Some("SECRETKEY".into()), dedup: Some("SECRETDEDUP".into()), ..plain() };
    queue.put(&json!("SECRETDATA"), &key).unwrap();
    queue.put(&json!(format!("SECRETLARGE{}", "x".repeat(MAX_INLINE_BYTES))), &plain()).unwrap();
    for message in queue.take(2).unwrap() {
        queue.reject(&message, "SECRETREASON").unwrap();
    }
    assert!(files_with(path, "SECRET") > 0);
    queue.dead().discard(&[2]).unwrap();
    assert_eq!(files_with(path, "SECRETLARGE"), 0);
    assert!(queue.delete().unwrap());
    assert_eq!(files_with(path, "SECRET"), 0);
    let events = store.events(None).unwrap();
    events.publish("secret.SECRETSUBJECT", &json!("SECRETEVENT"), Some("SECRETEVENTKEY")).unwrap();
    assert_eq!(events.prune(&PruneEvents { keep: Some(0), ..PruneEvents::default() }).unwrap(), 1);
    assert_eq!(files_with(path, "SECRET"), 0);
}

#[test]
fn the_file_does_not_grow_with_what_was_worked_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    let text = "x".repeat(30_000);
    for _ in 0..600 {
        queue.put(&json!(text), &plain()).unwrap();
        let taken = queue.take(1).unwrap().remove(0);
        queue.ack(&taken).unwrap();
    }
    let size = std::fs::metadata(folder.path().join("state.db")).unwrap().len();
    assert!(size < 14 << 20, "{size}");
}

#[test]
fn a_damaged_message_is_put_aside_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    for i in 0..3 {
        queue.put(&json!(format!("MESSAGE{i}")), &plain()).unwrap();
    }
    drop((queue, store));
    let other = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    other.execute("UPDATE bodies SET data = replace(data, 'MESSAGE1', 'MASSAGE1')", []).unwrap();
    drop(other);
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    assert_eq!(ids(&queue, 9), [1, 3]);
    let dead = queue.dead().list().unwrap().remove(0);
    assert_eq!((dead.id, &dead.data), (2, &json!(null)));
    assert!(dead.reason.starts_with("corrupt") && dead.reason.contains("state.db"), "{}", dead.reason);
    queue.dead().replay(&[2]).unwrap();
    is(queue.take(1), Code::Corrupt);
    drop((queue, store));
    // What a message is by itself is checked as well.
    let other = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    other.execute("UPDATE messages SET attempts = 0 WHERE number = 1", []).unwrap();
    drop(other);
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    assert_eq!(ids(&queue, 9), [3]);
    let dead = queue.dead().list().unwrap().into_iter().find(|dead| dead.id == 1).unwrap();
    // Nothing of it is lost: its content is whole, and what stood in its row is told.
    assert_eq!(dead.data, json!("MESSAGE0"));
    assert!(dead.reason.starts_with("corrupt") && dead.reason.contains("\"attempts\":0"), "{}", dead.reason);
    queue.dead().replay(&[1]).unwrap();
    assert_eq!(ids(&queue, 9), [1]);
}

#[test]
fn a_damaged_row_in_any_state_holds_up_nobody_and_its_places_are_free() {
    for damage in [
        "state = 9",
        "place = 5.5",
        "fence = 77",
        "attempts = 3",
        "slots = x'00'",
        "since = 1.0",
        "keeps = 1",
        "body = 999999",
        "keeper = 'nobody'",
        "priority = 8",
    ] {
        for (held, number) in [(false, 1), (true, 1), (false, 2)] {
            let folder = tempfile::tempdir().unwrap();
            let store = StateStore::open(folder.path()).unwrap();
            let options = QueueOptions { concurrency: Some(2), ..QueueOptions::default() };
            let queue = store.queue(None, "q", Some(&options)).unwrap();
            for i in 1..=4 {
                queue.put(&json!(i), &plain()).unwrap();
            }
            let taken = if held { queue.take(1).unwrap() } else { Vec::new() };
            let other = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
            other.execute(&format!("UPDATE messages SET {damage} WHERE number = {number}"), []).unwrap();
            drop(other);
            let mut seen = std::collections::BTreeSet::new();
            for message in taken {
                // Its holder does not have it any more, whatever its row said.
                let _ = queue.ack(&message);
            }
            for _ in 0..20 {
                for message in queue.take(2).unwrap_or_default() {
                    assert_eq!(message.data, json!(message.id), "{damage}");
                    queue.ack(&message).unwrap();
                    seen.insert(message.id);
                }
            }
            let wanted: std::collections::BTreeSet<u64> = (1..=4).filter(|id| *id != number).collect();
            assert!(wanted.is_subset(&seen), "{damage} {held} {number}: {seen:?}");
            let dead = queue.dead().list().unwrap();
            assert!(
                seen.contains(&number) || (dead.len() == 1 && dead[0].id == number),
                "{damage} {held} {number}: {seen:?} {dead:?}"
            );
            queue.stats().unwrap();
            queue.put(&json!(9), &plain()).unwrap();
        }
    }
}

#[test]
fn a_damaged_event_is_told_by_who_hears_the_past_and_others_come() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let events = store.events(None).unwrap();
    for i in 0..4 {
        events.publish("a.b", &json!(format!("EVENT{i}")), Some("k")).unwrap();
    }
    drop((events, store));
    let other = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    other.execute("UPDATE bodies SET data = replace(data, 'EVENT1', 'EVANT1')", []).unwrap();
    drop(other);
    let store = StateStore::open(folder.path()).unwrap();
    let events = store.events(None).unwrap();
    let heard = events.subscribe("a.*", &group("late", StartFrom::First)).unwrap();
    let mut seqs = Vec::new();
    for _ in 0..20 {
        for event in heard.take(9).unwrap_or_default() {
            seqs.push(event.seq);
            heard.ack(&event).unwrap();
        }
    }
    assert_eq!(seqs, [1, 3, 4]);
    let dead = heard.dead().unwrap();
    assert_eq!((dead.len(), dead[0].seq, dead[0].subject.as_str()), (1, 2, ""));
    assert!(dead[0].reason.contains("corrupt"), "{}", dead[0].reason);
    // Told once more where it is asked for again, and never passed over.
    assert!(events.replay(1, None).unwrap() >= 3);
}

#[test]
fn a_flipped_byte_never_gives_another_message() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let queue = store.queue(None, "q", None).unwrap();
    for i in 0..60 {
        let put = PutOptions { priority: i % 3, key: Some(Key::Text(format!("k{i}"))), ..plain() };
        queue.put(&json!(format!("message {}", i + 1)), &put).unwrap();
    }
    drop((queue, store));
    let path = folder.path().join("state.db");
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for round in 0..120_usize {
        let mut bytes = whole.clone();
        let at = (round * 7919) % bytes.len();
        bytes[at] ^= 1 << (round % 8);
        std::fs::write(&path, &bytes).unwrap();
        let taken = StateStore::open(folder.path())
            .and_then(|store| store.queue(None, "q", None))
            .and_then(|queue| queue.take(100));
        match taken {
            Ok(taken) => {
                for message in taken {
                    assert_eq!(message.data, json!(format!("message {}", message.id)), "byte {at}");
                    assert_eq!(message.key, Some(Key::Text(format!("k{}", message.id - 1))), "byte {at}");
                    assert_eq!(message.priority, (message.id as i64 - 1) % 3, "byte {at}");
                }
            }
            Err(error) => {
                refused += 1;
                let known = [Code::Corrupt, Code::FormatVersion, Code::UnknownId, Code::Io, Code::Internal];
                assert!(known.contains(&error.code()), "byte {at}: {error}");
            }
        }
        for left in ["state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(left));
        }
    }
    assert!(refused > 0);
}

fn group(name: &str, from: StartFrom) -> SubscribeOptions {
    let retry = Retry { max_attempts: 2, first: 5.0, ..Retry::default() };
    SubscribeOptions { group: name.to_owned(), from, retry, ..SubscribeOptions::default() }
}

fn drain(subscription: &Subscription) -> Vec<u64> {
    let mut seqs = Vec::new();
    loop {
        let taken: Vec<Event> = subscription.take(100).unwrap();
        if taken.is_empty() {
            return seqs;
        }
        for event in taken {
            seqs.push(event.seq);
            subscription.ack(&event).unwrap();
        }
    }
}

#[test]
fn groups_hear_what_matches_from_where_they_begin() {
    stores(|store| {
        let events = store.events(Some("t")).unwrap();
        let live = events.subscribe("order.*", &group("live", StartFrom::Last)).unwrap();
        for (subject, key) in
            [("order.created", "a"), ("order.item.added", "a"), ("order.paid", "a"), ("mail", "b")]
        {
            events.publish(subject, &json!({"of": subject}), Some(key)).unwrap();
        }
        store.events(Some("u")).unwrap().publish("order.created", &json!("theirs"), None).unwrap();
        let first = events.subscribe("order.>", &group("first", StartFrom::First)).unwrap();
        let third = events.subscribe(">", &group("third", StartFrom::Sequence(3))).unwrap();
        let last = events.subscribe(">", &group("last", StartFrom::Last)).unwrap();
        let again = events.subscribe(">", &group("last", StartFrom::First)).unwrap();
        assert_eq!(events.publish("order.shipped", &json!(1), Some("a")).unwrap(), 5);
        assert_eq!(drain(&live), [1, 3, 5]);
        assert_eq!(drain(&first), [1, 2, 3, 5]);
        assert_eq!(drain(&third), [3, 4, 5]);
        assert_eq!((drain(&last), drain(&again)), (vec![5], vec![]), "members of a group share its events");
        assert_eq!(events.subscriptions().unwrap().len(), 4);
        assert_eq!(events.replay(2, Some("live")).unwrap(), 2);
        assert_eq!((drain(&live), drain(&first)), (vec![3, 5], vec![]));
        assert_eq!(events.replay_since(0.0, None).unwrap(), 3 + 4 + 5 + 5);
        assert_eq!(events.replay(1, None).unwrap(), 0, "they have them before them already");
        assert_eq!(drain(&last), [1, 4, 2, 3, 5], "the one with another key does not wait");
        assert!(live.delete().unwrap());
        is(live.take(1), Code::UnknownId);
        events.publish("order.closed", &json!(1), None).unwrap();
        is(events.publish("order..closed", &json!(1), None), Code::InvalidArgument);
        is(events.subscribe("a.>.b", &group("g", StartFrom::Last)), Code::InvalidArgument);
        is(events.prune(&PruneEvents::default()), Code::InvalidArgument);
        assert_eq!(events.last().unwrap(), 6);
        assert_eq!(store.events(Some("u")).unwrap().last().unwrap(), 1);
        assert_eq!(store.events(None).unwrap().last().unwrap(), 0);
        let read: SubscribeOptions = serde_json::from_str(r#"{"from": "first", "lease": "1m"}"#).unwrap();
        assert_eq!((read.from, read.lease, read.group.as_str()), (StartFrom::First, 60.0, "default"));
        assert_eq!(serde_json::to_value(StartFrom::Sequence(7)).unwrap(), json!(7));
        assert!(serde_json::from_str::<SubscribeOptions>(r#"{"from": "middle"}"#).is_err());
    });
}

#[test]
fn an_event_that_is_tried_again_holds_up_its_key_and_no_other() {
    stores(|store| {
        let (time, clock) = clock();
        let events = store.events(None).unwrap().with_clock(clock);
        let subscription = events.subscribe("*", &group("g", StartFrom::Last)).unwrap();
        for key in ["a", "b", "a", "b"] {
            events.publish("e", &json!(key), Some(key)).unwrap();
        }
        events.publish("e", &json!(null), None).unwrap();
        let taken = subscription.take(9).unwrap();
        assert_eq!(taken.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 5]);
        assert!(!subscription.nack(&taken[0], None, Some("no")).unwrap());
        subscription.ack(&taken[1]).unwrap();
        subscription.ack(&taken[2]).unwrap();
        assert_eq!(drain(&subscription), [4]);
        time.fetch_add(5, Ordering::Relaxed);
        let again = subscription.take(9).unwrap();
        assert_eq!((again.len(), again[0].seq, again[0].attempts), (1, 1, 2));
        assert!(subscription.nack(&again[0], None, Some("never")).unwrap(), "it was tried often enough");
        assert_eq!(drain(&subscription), [3]);
        let dead = subscription.dead().unwrap();
        assert_eq!((dead[0].seq, dead[0].reason.as_str(), dead[0].subject.as_str()), (1, "never", "e"));
        // What a group has before it, dead or not, is not forgotten.
        let all = PruneEvents { keep: Some(0), ..PruneEvents::default() };
        assert_eq!(events.prune(&all).unwrap(), 4);
        assert_eq!(subscription.replay_dead(&[1]).unwrap(), 1);
        assert_eq!(drain(&subscription), [1]);
        assert_eq!(events.prune(&all).unwrap(), 1);
        assert_eq!(events.publish("e", &json!(1), None).unwrap(), 6, "numbers go on");
        time.fetch_add(100, Ordering::Relaxed);
        let old = PruneEvents { older_than: Some(50.0), keep: Some(1) };
        assert_eq!(events.prune(&old).unwrap(), 0, "it is the newest");
        drain(&subscription);
        assert_eq!(events.prune(&PruneEvents { keep: None, ..old }).unwrap(), 1);
    });
}

#[test]
fn ordered_queues_keep_keys_apart_and_refuse_delays() {
    stores(|store| {
        let options = QueueOptions { ordered: true, per_key: PerKey::All(9), ..QueueOptions::default() };
        let queue = store.queue(None, "q", Some(&options)).unwrap();
        for i in 0..6 {
            let put = PutOptions { key: Some(Key::Text((i % 2).to_string())), priority: i, ..plain() };
            queue.put(&json!(i), &put).unwrap();
        }
        assert_eq!(ids(&queue, 9), [1, 2]);
        is(queue.put(&json!(1), &PutOptions { delay: Some(1.0), ..plain() }), Code::InvalidArgument);
    });
}
