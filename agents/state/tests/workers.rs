//! Do workers hold what they have, and nothing else, whatever the clock and the options say?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use quorate_core::{Cancel, Code, Error};
use quorate_state::{Clock, Message, PutOptions, QueueOptions, Retry, SagaOptions, StateStore, WorkOptions};
use serde_json::json;
use support::is;

fn stores(test: impl Fn(&StateStore)) {
    test(&StateStore::memory());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap());
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn who_has_lost_a_message_to_its_neighbour_hears_so_and_does_not_end_the_neighbours_lease() {
    stores(|store| {
        let time = Arc::new(AtomicU64::new(1_000_000_000));
        let inside = Arc::clone(&time);
        let clock: Clock = Arc::new(move || inside.load(Ordering::Relaxed) as f64 / 1_000.0);
        let options = QueueOptions { lease: 1.0, ..QueueOptions::default() };
        let queue = store.queue(None, "q", Some(&options)).unwrap().with_clock(clock);
        queue.put(&json!("x"), &PutOptions::default()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let go = Arc::new(AtomicBool::new(false));
        let tries = Arc::new(AtomicU32::new(0));
        let (went, tried) = (Arc::clone(&go), Arc::clone(&tries));
        let handler = move |message: &Message, cancel: &Cancel| {
            tried.fetch_add(1, Ordering::Relaxed);
            if message.attempts == 1 {
                // The first attempt goes on until it hears that it has lost the message.
                let begun = Instant::now();
                while !cancel.is_cancelled() && begun.elapsed() < Duration::from_secs(5) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                sender.send(cancel.is_cancelled()).unwrap();
                return cancel.check();
            }
            while !went.load(Ordering::Relaxed) {
                cancel.check()?;
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        };
        // The machine sleeps for longer than the lease: the other thread finds the message before the lease is renewed.
        let poll = WorkOptions { threads: 2, poll: 0.001, ..WorkOptions::default() };
        let workers = queue.work(handler, &poll).unwrap();
        wait_until("the first takes it", || workers.working() == 1);
        time.fetch_add(1_500, Ordering::Relaxed);
        wait_until("the second takes it", || tries.load(Ordering::Relaxed) == 2);
        assert!(receiver.recv_timeout(Duration::from_secs(20)).unwrap(), "the first was not told");
        // The second is still at it, and its lease is renewed as time goes on.
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(450));
            time.fetch_add(450, Ordering::Relaxed);
        }
        go.store(true, Ordering::Relaxed);
        wait_until("it is done", || queue.stats().unwrap().done == 1);
        assert!(workers.drain(Some(10.0)));
        assert_eq!(tries.load(Ordering::Relaxed), 2, "nobody else had it meanwhile");
    });
}

#[test]
fn the_retry_of_a_worker_holds_where_its_handler_fails() {
    stores(|store| {
        for (most, of_queue) in [(7, 5), (2, 5), (1, 1)] {
            let retry = Retry { max_attempts: of_queue, first: 0.0, ..Retry::default() };
            let name = format!("q{most}");
            let options = QueueOptions { retry, ..QueueOptions::default() };
            let queue = store.queue(None, &name, Some(&options)).unwrap();
            queue.put(&json!("x"), &PutOptions::default()).unwrap();
            let retry = Retry { max_attempts: most, first: 0.0, ..Retry::default() };
            let fails = |_: &Message, _: &Cancel| Err(Error::new(Code::RemoteFailed, "not there"));
            let options = WorkOptions { poll: 0.001, retry: Some(retry), ..WorkOptions::default() };
            let workers = queue.work(fails, &options).unwrap();
            wait_until("it is dead", || queue.stats().unwrap().dead == 1);
            assert!(workers.drain(Some(10.0)));
            assert_eq!(queue.dead().list().unwrap()[0].attempts, most, "of the queue: {of_queue}");
        }
    });
}

#[test]
fn a_retry_that_cannot_be_is_refused_wherever_it_is_given() {
    let store = StateStore::memory();
    let queue = store.queue(None, "q", None).unwrap();
    for (bad, code) in [
        (Retry { max_attempts: 0, ..Retry::default() }, Code::InvalidArgument),
        (Retry { factor: -1.0, ..Retry::default() }, Code::InvalidArgument),
        (Retry { factor: f64::NAN, ..Retry::default() }, Code::InvalidArgument),
        (Retry { first: f64::NAN, ..Retry::default() }, Code::NotFinite),
        (Retry { first: -1.0, ..Retry::default() }, Code::InvalidArgument),
        (Retry { longest: 1e12, ..Retry::default() }, Code::InvalidArgument),
    ] {
        let options = QueueOptions { retry: bad, ..QueueOptions::default() };
        is(store.queue(None, "other", Some(&options)), code);
        let options = WorkOptions { retry: Some(bad), ..WorkOptions::default() };
        is(queue.work(|_, _| Ok(()), &options), code);
        let options = SagaOptions { undo: bad, ..SagaOptions::default() };
        is(store.saga(None, "s", &options), code);
    }
}

#[test]
fn no_pause_stays_no_pause_however_often_it_was_tried() {
    for factor in [1.0, 2.0, 1e300] {
        let retry = Retry { max_attempts: u32::MAX, first: 0.0, factor, longest: 3_600.0 };
        for attempts in [1, 2, 3, 1_024, 1_025, 5_000, u32::MAX] {
            assert_eq!(retry.pause(attempts), 0.0, "{factor}, {attempts}");
        }
    }
}
