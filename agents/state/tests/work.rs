//! Is work taken once, by who has hands for it, and does every letter count once?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

mod support;

use quorate_core::Code;
use quorate_state::{
    Advance, Enqueued, Entry, Listing, NewRun, Post, Posted, Run, Start, StateStore, Wake, Work,
};
use serde_json::json;
use support::{code, entry, is};

fn places() -> Vec<(StateStore, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    vec![(StateStore::open(folder.path()).unwrap(), Some(folder)), (StateStore::memory(), None)]
}

fn enqueue(store: &StateStore, id: &str, work: &Work<'_>) {
    let new = NewRun { id: Some(id), kind: "work", key: Some(id), title: "t", ..NewRun::default() };
    let queued = store.enqueue(&new, &[entry(1)], "queued", work).unwrap();
    assert_eq!(queued, Enqueued::New(id.to_owned()));
}

fn due(priority: i64, at: f64) -> Work<'static> {
    Work { queue: "q", priority, slot: None, at }
}

fn ids(runs: &[Run]) -> Vec<&str> {
    runs.iter().map(Run::id).collect()
}

#[test]
fn the_most_urgent_that_is_due_goes_first_and_once() {
    for (store, _folder) in places() {
        enqueue(&store, "a", &due(1, 0.0));
        enqueue(&store, "b", &due(5, 0.0));
        enqueue(&store, "c", &due(5, 0.0));
        enqueue(&store, "later", &due(9, 100.0));
        let first = store.claim(None, "work", None, 50.0, 2).unwrap();
        assert_eq!(ids(&first), ["b", "c"]);
        let second = store.claim(None, "work", None, 50.0, 9).unwrap();
        assert_eq!(ids(&second), ["a"]);
        assert!(store.claim(None, "work", None, 50.0, 9).unwrap().is_empty());
        assert!(store.claim(Some("t"), "work", None, 200.0, 9).unwrap().is_empty(), "another tenant's");
        assert!(store.claim(None, "other", None, 200.0, 9).unwrap().is_empty(), "of another kind");
        assert!(store.claim(None, "work", Some(&["p"]), 200.0, 9).unwrap().is_empty(), "in another queue");
        assert_eq!(ids(&store.claim(None, "work", Some(&["p", "q"]), 200.0, 9).unwrap()), ["later"]);
        is(store.take(None, "b"), Code::RunConflict);
        drop(first);
        assert_eq!(
            ids(&store.claim(None, "work", None, 0.0, 9).unwrap()),
            ["b", "c"],
            "whoever let go of them"
        );
        let again = NewRun { id: Some("new"), kind: "work", key: Some("a"), title: "", ..NewRun::default() };
        let Enqueued::Known(row) = store.enqueue(&again, &[entry(1)], "queued", &due(0, 0.0)).unwrap() else {
            panic!("the key was used")
        };
        assert_eq!((row.id.as_str(), row.status.as_str()), ("a", "queued"));
    }
}

#[test]
fn slots_are_never_more_than_there_are() {
    for (store, _folder) in places() {
        let slot = |key| Work { slot: Some((key, 2)), ..due(0, 0.0) };
        for i in 0..5 {
            enqueue(&store, &format!("x{i}"), &slot("x"));
        }
        enqueue(&store, "y", &slot("y"));
        let mut held = store.claim(None, "work", None, 1.0, 9).unwrap();
        assert_eq!(ids(&held), ["x0", "x1", "y"]);
        assert!(store.claim(None, "work", None, 1.0, 9).unwrap().is_empty());
        let done = held.remove(0);
        let step = Advance { entries: &[entry(2)], status: Some("completed"), ..Advance::default() };
        assert!(done.advance(&step).unwrap());
        drop(done);
        held.extend(store.claim(None, "work", None, 1.0, 9).unwrap());
        assert_eq!(ids(&held), ["x1", "y", "x2"]);
    }
}

#[test]
fn a_letter_counts_once_and_none_is_overlooked() {
    for (store, _folder) in places() {
        enqueue(&store, "a", &due(0, 0.0));
        assert_eq!(store.post(None, "a", "word", &json!("early"), Some("n1")).unwrap(), Posted::New(1));
        let run = store.claim(None, "work", None, 1.0, 1).unwrap().remove(0);
        let step = |seq, read| Advance { wake: Wake::Never, read, ..entries_of(seq) };
        assert!(!run.advance(&step(2, 0)).unwrap(), "it has not read the letter");
        assert_eq!(store.run(None, "a").unwrap().entries, 1, "nothing was written");
        let letters = run.letters(0).unwrap();
        assert_eq!((letters.len(), &letters[0].data, letters[0].number), (1, &json!("early"), 1));
        assert_eq!(store.post(None, "a", "word", &json!("twice"), Some("n1")).unwrap(), Posted::Known);
        assert_eq!(store.post(None, "a", "word", &json!("x".repeat(100_000)), None).unwrap(), Posted::New(2));
        assert!(!run.advance(&step(2, 1)).unwrap());
        assert_eq!(run.letters(1).unwrap()[0].data, json!("x".repeat(100_000)));
        assert!(run.advance(&step(2, 2)).unwrap());
        drop(run);
        assert!(store.claim(None, "work", None, 1e12, 1).unwrap().is_empty(), "only a letter wakes it");
        assert_eq!(store.post(None, "a", "word", &json!(3), Some("n3")).unwrap(), Posted::New(3));
        let run = store.claim(None, "work", None, 1.0, 1).unwrap().remove(0);
        assert_eq!(run.letters(2).unwrap().len(), 1);
        assert_eq!(run.entries().unwrap().len(), 2, "letters are no entries");
        assert!(run.advance(&Advance { status: Some("completed"), ..step(3, 3) }).unwrap());
        assert_eq!(store.post(None, "a", "word", &json!(4), None).unwrap(), Posted::Ended);
        assert_eq!(store.post(None, "a", "word", &json!(4), Some("n3")).unwrap(), Posted::Known);
        drop(run);
        store.delete(None, "a").unwrap();
        is(store.post(None, "a", "word", &json!(5), None), Code::UnknownId);
    }
}

fn entries_of(seq: u64) -> Advance<'static> {
    // Tests may leak.
    Advance { entries: Box::leak(Box::new([entry(seq)])), ..Advance::default() }
}

#[test]
fn what_is_listed_is_found_until_it_is_not_or_its_run_has_ended() {
    for (store, _folder) in places() {
        for id in ["a", "b"] {
            enqueue(&store, id, &due(0, 0.0));
        }
        let runs = store.claim(None, "work", None, 1.0, 9).unwrap();
        let asks = |what: &str| [Entry::new(2, "review", what)];
        let under = |label: &'static str, listed| Listing { space: "review", label, seq: 2, listed };
        for (run, label) in runs.iter().zip(["lead", "clerk"]) {
            let step =
                Advance { entries: &asks(label), listings: &[under(label, true)], ..Advance::default() };
            assert!(run.advance(&step).unwrap());
        }
        let found = |label, run| -> Vec<String> {
            let all = store.listed(None, "review", label, run).unwrap();
            all.into_iter()
                .map(|one| format!("{}:{}", one.run_id, one.entry.data.as_str().unwrap()))
                .collect()
        };
        assert_eq!(found(None, None), ["a:lead", "b:clerk"]);
        assert_eq!(found(Some("clerk"), None), ["b:clerk"]);
        assert!(found(Some("clerk"), Some("a")).is_empty());
        assert!(store.listed(Some("t"), "review", None, None).unwrap().is_empty());
        let gone = Advance { listings: &[under("lead", false)], ..Advance::default() };
        assert!(runs[0].advance(&gone).unwrap());
        assert_eq!(found(None, None), ["b:clerk"]);
        let end = Advance { status: Some("failed"), ..Advance::default() };
        assert!(runs[1].advance(&end).unwrap());
        assert!(found(None, None).is_empty());
    }
}

#[test]
fn who_lost_the_lease_writes_nothing_and_other_runs_are_no_work() {
    for (store, _folder) in places() {
        let begun = support::begin(&store, "plain");
        is(begun.advance(&entries_of(1)), Code::InvalidArgument);
        is(store.post(None, "plain", "word", &json!(1), None), Code::InvalidArgument);
        let new = NewRun { kind: "work", ..NewRun::default() };
        let bad = Work { slot: Some(("k", 0)), ..due(0, 0.0) };
        assert_eq!(code(store.enqueue(&new, &[], "queued", &bad)), "invalid_argument");
        assert_eq!(code(store.enqueue(&new, &[], "queued", &due(0, f64::NAN))), "not_finite");
    }
}

#[test]
fn what_was_enqueued_and_posted_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = StateStore::open(folder.path()).unwrap();
        enqueue(&store, "a", &due(0, 0.0));
        store.post(None, "a", "word", &json!("kept"), Some("n")).unwrap();
    }
    let store = StateStore::open(folder.path()).unwrap();
    assert_eq!(store.run(None, "a").unwrap().status, "queued");
    assert_eq!(store.post(None, "a", "word", &json!("kept"), Some("n")).unwrap(), Posted::Known);
    let run = store.claim(None, "work", None, 1.0, 1).unwrap().remove(0);
    assert_eq!(run.letters(0).unwrap()[0].data, "kept");
}

#[test]
fn no_file_has_a_byte_of_a_letter_once_its_run_is_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    enqueue(&store, "secret-run", &due(0, 0.0));
    let words = ["a-secret-word".to_owned(), format!("{}-secret-word", "long".repeat(40_000))];
    for word in &words {
        store.post(None, "secret-run", "word", &json!(word), Some("secret-name")).unwrap();
        store.post(None, "secret-run", "word", &json!(word), None).unwrap();
    }
    let found = |folder: &std::path::Path| -> Vec<String> {
        let mut open = vec![folder.to_owned()];
        let mut found = Vec::new();
        while let Some(next) = open.pop() {
            for path in std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(bytes) = std::fs::read(&path)
                    && bytes.windows(6).any(|window| window == b"secret")
                {
                    found.push(path.display().to_string());
                }
            }
        }
        found
    };
    assert!(found(folder.path()).len() >= 2, "in the database, and in a payload");
    store.delete(None, "secret-run").unwrap();
    assert_eq!(found(folder.path()), Vec::<String>::new());
    assert!(store.claim(None, "work", None, 1e12, 9).unwrap().is_empty());
}

#[test]
fn runs_begin_and_words_are_posted_with_a_step_or_not_at_all() {
    for (store, _folder) in places() {
        for id in ["parent", "peer"] {
            enqueue(&store, id, &due(0, 0.0));
        }
        let first = store.take(None, "parent").unwrap();
        let entries = [entry(1)];
        let start = |id: &'static str| Start {
            new: NewRun {
                id: Some(id),
                kind: "work",
                title: "t",
                parent: Some("parent"),
                ..NewRun::default()
            },
            entries: &entries,
            status: "queued",
            work: due(0, 0.0),
            within: Some(("parent", 2)),
        };
        let word = json!("hello");
        let posts =
            ["peer", "nobody", "child"].map(|run| Post { run, kind: "word", data: &word, name: Some("n") });
        let heard = |read: u64, starts: &[Start<'_>], posts: &[Post<'_>], seq: u64| {
            let entries = [entry(seq)];
            let step = Advance { entries: &entries, read, starts, posts, ..Advance::default() };
            first.advance(&step).map_err(|error| error.code().as_str())
        };
        // A letter that was not read keeps everything back.
        store.post(None, "parent", "word", &word, None).unwrap();
        assert_eq!(heard(0, &[start("child")], &posts, 2), Ok(false));
        assert_eq!(code(store.run(None, "child")), "unknown_id");
        assert_eq!(heard(1, &[start("child")], &posts, 2), Ok(true));
        assert_eq!(store.run(None, "child").unwrap().parent.as_deref(), Some("parent"));
        let child = store.take(None, "child").unwrap();
        assert_eq!(child.letters(0).unwrap().len(), 1);
        let peer = store.take(None, "peer").unwrap();
        assert_eq!(peer.letters(0).unwrap()[0].data, "hello");
        // What is there already, and one too many: nothing is written, not even the entry.
        assert_eq!(heard(1, &[start("child")], &[], 3), Err("duplicate_id"));
        assert_eq!(heard(1, &[start("second"), start("third")], &posts, 3), Err("step_limit"));
        assert_eq!(code(store.run(None, "second")), "unknown_id");
        assert_eq!(peer.letters(0).unwrap().len(), 1);
        assert_eq!(heard(1, &[start("second")], &posts, 3), Ok(true));
        assert_eq!(peer.letters(0).unwrap().len(), 1, "the name was used before");
        assert_eq!(heard(1, &[start("third")], &[], 4), Err("step_limit"));
        assert_eq!(store.entries(None, "parent", 1).unwrap().len(), 3);
    }
}

#[test]
fn who_has_lost_a_run_begins_and_posts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [StateStore::open(folder.path()).unwrap(), StateStore::memory()];
    for store in stores {
        enqueue(&store, "a", &due(0, 0.0));
        enqueue(&store, "peer", &due(0, 0.0));
        let run = store.take(None, "a").unwrap();
        let entries = [entry(1)];
        let start = Start {
            new: NewRun { id: Some("child"), kind: "work", title: "t", ..NewRun::default() },
            entries: &entries,
            status: "queued",
            work: due(0, 0.0),
            within: None,
        };
        let word = json!(1);
        let post = Post { run: "peer", kind: "word", data: &word, name: None };
        let bad = Advance { entries: &[entry(7)], starts: &[start], posts: &[post], ..Advance::default() };
        is(run.advance(&bad), Code::StaleWrite);
        assert_eq!(code(store.run(None, "child")), "unknown_id");
        let peer = store.take(None, "peer").unwrap();
        assert!(peer.letters(0).unwrap().is_empty());
    }
}
