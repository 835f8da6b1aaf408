//! Does a queue hold when processes work at it side by side, and are killed?
#![allow(clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_state::{
    MAX_INLINE_BYTES, Message, PerKey, PutOptions, Queue, QueueOptions, Rate, Retry, StartFrom, StateStore,
    SubscribeOptions, WorkOptions,
};
use serde_json::json;
use support::{Other, code, say};

/// What the second process does; no test of its own.
#[test]
fn in_another_process() {
    let (Ok(what), Ok(folder)) = (std::env::var("QUORATE_STATE_WHAT"), std::env::var("QUORATE_STATE_FOLDER"))
    else {
        return;
    };
    let folder = Path::new(&folder);
    match what.as_str() {
        "work" => work(folder),
        "hold" => hold(folder),
        "limits" => limits(folder),
        "rate" => rate(folder),
        "listen" => listen(folder),
        other => panic!("{other}"),
    }
}

fn open(folder: &Path) -> Queue {
    StateStore::open(folder).unwrap().queue(None, "q", None).unwrap()
}

fn wait() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Puts and works off without end, in four threads, and says what was acknowledged.
fn work(folder: &Path) {
    let queue = open(folder);
    let me = std::process::id();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                for round in 0_u64.. {
                    let large = round % 9 == thread;
                    let text = "x".repeat(if large { MAX_INLINE_BYTES } else { 10 });
                    let data = json!({"of": format!("{me}-{thread}-{round}"), "text": text});
                    let put = queue
                        .put(&data, &PutOptions { key: Some("k".into()), ..PutOptions::default() })
                        .unwrap();
                    say(format!("put {}", put.id));
                    for message in queue.take(1 + thread as usize % 2).unwrap() {
                        say(format!("took {} {}", message.id, message.attempts));
                        assert!(message.data["text"].as_str().unwrap().len() >= 10);
                        // A lease is only lost to who takes this process for dead.
                        queue.ack(&message).unwrap();
                        say(format!("acked {}", message.id));
                    }
                }
            });
        }
    });
}

fn hold(folder: &Path) {
    let queue = open(folder);
    let taken = queue.take(1).unwrap();
    say(taken.first().map_or("nothing".to_owned(), |message| message.attempts.to_string()));
    wait();
}

#[test]
fn what_was_put_is_worked_off_although_workers_are_killed_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    // A crash is an attempt; none of these is to run out of them.
    let retry = Retry { max_attempts: 1_000, ..Retry::default() };
    let options = QueueOptions { retry, concurrency: Some(7), ..QueueOptions::default() };
    StateStore::open(folder.path()).unwrap().queue(None, "q", Some(&options)).unwrap();
    let rounds = std::env::var("QUORATE_TORTURE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let (mut put, mut acked) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..rounds.unwrap_or(8_u64) {
        let mut others = [Other::start("work", folder.path()), Other::start("work", folder.path())];
        let mut heard = Vec::new();
        for _ in 0..(round * 13) % 40 + 10 {
            heard.push(others[0].says().unwrap());
        }
        std::thread::sleep(Duration::from_micros(round * 977 % 5000));
        for other in &mut others {
            heard.extend(other.kill());
        }
        let mut settled = BTreeSet::new();
        for line in heard {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(Ok(id)) = words.get(1).map(|id| id.parse::<u64>()) else { continue };
            match words[0] {
                "put" => assert!(put.insert(id), "{id} was put twice"),
                "took" => assert!(!acked.contains(&id), "{id} was acknowledged in an earlier round"),
                "acked" => assert!(settled.insert(id), "{id} was acknowledged twice"),
                _ => {}
            }
        }
        acked.extend(settled);
    }
    let queue = open(folder.path());
    let mut left = BTreeSet::new();
    loop {
        let taken = queue.take(50).unwrap();
        if taken.is_empty() {
            break;
        }
        for message in taken {
            assert!(!acked.contains(&message.id), "{} was acknowledged", message.id);
            assert!(left.insert(message.id));
            queue.ack(&message).unwrap();
        }
    }
    // What nobody heard of may have been put or acknowledged in the moment of the kill; what was heard is not lost.
    let lost = put.iter().filter(|id| !acked.contains(id) && !left.contains(id)).count();
    assert!(lost <= 8 * rounds.unwrap_or(8) as usize, "{lost} were lost");
    assert!(acked.len() > 50, "{}", acked.len());
    let stats = queue.stats().unwrap();
    assert_eq!((stats.ready, stats.held, stats.dead), (0, 0, 0));
    // Of each thread one acknowledgement may have been cut off before it was said.
    let known = (acked.len() + left.len()) as u64;
    assert!((known..=known + 8 * rounds.unwrap_or(8)).contains(&stats.done), "{} of {known}", stats.done);
    drop(queue);
    drop(StateStore::open(folder.path()).unwrap());
    let files = std::fs::read_dir(folder.path().join("payloads")).unwrap().map(|file| file.unwrap().path());
    let kept: Vec<_> = files.filter(|file| file.extension().is_some_and(|e| e == "json")).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn a_queue_of_one_goes_on_at_once_when_its_worker_dies_and_crash_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    let retry = Retry { max_attempts: 3, ..Retry::default() };
    let options = QueueOptions { concurrency: Some(1), lease: 3_600.0, retry, ..QueueOptions::default() };
    let queue = StateStore::open(folder.path()).unwrap().queue(None, "q", Some(&options)).unwrap();
    queue.put(&json!("poison"), &PutOptions::default()).unwrap();
    queue.put(&json!("good"), &PutOptions::default()).unwrap();
    for attempt in 1..=3 {
        let mut other = Other::start("hold", folder.path());
        assert_eq!(other.says().as_deref(), Some(attempt.to_string().as_str()));
        assert!(queue.take(9).unwrap().is_empty(), "the one place is taken");
        other.kill();
    }
    let begun = Instant::now();
    let taken = queue.take(9).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waits for no lease");
    assert_eq!(taken.iter().map(|message| &message.data).collect::<Vec<_>>(), [&json!("good")]);
    let dead = queue.dead().list().unwrap();
    assert_eq!((dead.len(), dead[0].attempts, &dead[0].data), (1, 3, &json!("poison")));
    assert!(dead[0].reason.contains("the process that had it ended"), "{}", dead[0].reason);
}

/// Handles messages while it says in a folder which ones it has.
fn limits(folder: &Path) {
    let queue = open(folder);
    let held = folder.join("held");
    let handler = move |message: &Message, _: &quorate_core::Cancel| {
        let key = message.data["tenant"].as_str().unwrap().to_owned();
        let mine = held.join(format!("{key}.{}", message.id));
        std::fs::write(&mine, "").unwrap();
        let seen: Vec<String> = std::fs::read_dir(&held)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        let same = seen.iter().filter(|name| name.split_once('.').unwrap().0 == key).count();
        say(format!("{} {same} {}", seen.len(), message.id));
        std::thread::sleep(Duration::from_millis(2));
        std::fs::remove_file(&mine).unwrap();
        Ok(())
    };
    let workers =
        queue.work(handler, &WorkOptions { threads: 3, poll: 0.002, ..WorkOptions::default() }).unwrap();
    while queue.stats().unwrap().done < 120 {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(workers.drain(Some(20.0)));
    assert!(workers.error().is_none(), "{:?}", workers.error());
}

#[test]
fn limits_hold_among_processes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("held")).unwrap();
    let per_key = PerKey::Parts(BTreeMap::from([("tenant".to_owned(), 2)]));
    let options = QueueOptions { concurrency: Some(4), per_key, ..QueueOptions::default() };
    let queue = StateStore::open(folder.path()).unwrap().queue(None, "q", Some(&options)).unwrap();
    for i in 0..120 {
        let tenant = format!("t{}", if i % 3 == 0 { i % 5 } else { 0 });
        queue.put(&json!({"tenant": tenant}), &PutOptions::default()).unwrap();
    }
    let mut others: Vec<_> = (0..3).map(|_| Other::start("limits", folder.path())).collect();
    let (mut ids, mut most) = (BTreeSet::new(), 0);
    for other in &mut others {
        while let Some(line) = other.says() {
            let said: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            assert!(said[0] <= 4 && said[1] <= 2, "{line}");
            assert!(ids.insert(said[2]), "{} was handled twice", said[2]);
            most = most.max(said[0]);
        }
    }
    others.into_iter().for_each(Other::ends_well);
    assert_eq!(ids.len(), 120);
    assert!(most > 1, "nobody worked side by side");
    assert_eq!(queue.stats().unwrap().done, 120);
}

/// Takes as fast as it can, and says when it took.
fn rate(folder: &Path) {
    let queue = open(folder);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(2_500) {
        for message in queue.take(3).unwrap() {
            say(message.lease_until - 30.0);
            queue.ack(&message).unwrap();
        }
    }
}

#[test]
fn a_rate_holds_among_processes_in_every_stretch_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        QueueOptions { rate: Some(Rate { most: 10, per: 0.5 }), lease: 30.0, ..QueueOptions::default() };
    let queue = StateStore::open(folder.path()).unwrap().queue(None, "q", Some(&options)).unwrap();
    for i in 0..200 {
        queue.put(&json!(i), &PutOptions::default()).unwrap();
    }
    let mut others: Vec<_> = (0..3).map(|_| Other::start("rate", folder.path())).collect();
    let mut times: Vec<f64> = Vec::new();
    for other in &mut others {
        times.extend(std::iter::from_fn(|| other.says()).map(|line| line.parse::<f64>().unwrap()));
    }
    others.into_iter().for_each(Other::ends_well);
    times.sort_by(f64::total_cmp);
    assert!(times.len() > 20, "{}", times.len());
    for window in times.windows(11) {
        // What is said has lost some nanoseconds.
        assert!(window[10] - window[0] > 0.4999, "{window:?}");
    }
}

/// A member of a group, which says what it hears.
fn listen(folder: &Path) {
    let events = StateStore::open(folder).unwrap().events(None).unwrap();
    let retry = Retry { max_attempts: 100, ..Retry::default() };
    let options =
        SubscribeOptions { group: "g".into(), from: StartFrom::First, retry, ..SubscribeOptions::default() };
    let subscription = events.subscribe("order.*", &options).unwrap();
    loop {
        for event in subscription.take(1).unwrap() {
            say(format!("{} {}", event.key.clone().unwrap(), event.seq));
            std::thread::sleep(Duration::from_micros(200));
            subscription.ack(&event).unwrap();
        }
    }
}

#[test]
fn a_group_of_processes_hears_each_key_in_order_although_members_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let events = StateStore::open(folder.path()).unwrap().events(None).unwrap();
    let retry = Retry { max_attempts: 100, ..Retry::default() };
    let options =
        SubscribeOptions { group: "g".into(), from: StartFrom::First, retry, ..SubscribeOptions::default() };
    let subscription = events.subscribe("order.*", &options).unwrap();
    for i in 0..150_u64 {
        events.publish("order.created", &json!(i), Some(&format!("k{}", i % 7))).unwrap();
        events.publish("mail.sent", &json!(i), None).unwrap();
    }
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut hear = |line: &str| {
        let (key, seq) = line.split_once(' ').unwrap();
        heard.entry(key.to_owned()).or_default().push(seq.parse().unwrap());
    };
    for round in 0..6 {
        // One after the other, so that what is heard is in the order in which it was said.
        let mut other = Other::start("listen", folder.path());
        for _ in 0..round * 5 + 3 {
            if let Some(line) = other.says() {
                hear(&line);
            }
        }
        other.kill().iter().for_each(|line| hear(line));
    }
    let mut others = [Other::start("listen", folder.path()), Other::start("listen", folder.path())];
    let begun = Instant::now();
    while subscription.stats().unwrap().done < 150 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut late: Vec<Vec<String>> = others.iter_mut().map(Other::kill).collect();
    assert_eq!(subscription.stats().unwrap().done, 150);
    // Of two who speak at once each is in order; together every event was heard.
    let mut all: BTreeSet<u64> = heard.values().flatten().copied().collect();
    for lines in &mut late {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for line in lines {
            let (key, seq) = line.split_once(' ').unwrap();
            let seq = seq.parse().unwrap();
            assert!(last.insert(key.to_owned(), seq).is_none_or(|before| before < seq), "{line}");
            all.insert(seq);
        }
    }
    for (key, seqs) in heard {
        // One that was not acknowledged is heard again before any later one.
        assert!(seqs.is_sorted(), "{key}: {seqs:?}");
    }
    assert_eq!(all.len(), 150);
    assert_eq!(code(subscription.replay_dead(&[1])), "unknown_id");
}
