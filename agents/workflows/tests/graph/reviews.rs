//! How do questions wait, and what is done when they are answered?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::Code;
use quorate_state::StateStore;
use quorate_workflows::graph::{Durability, Outcome, RunOptions, Status};
use serde_json::json;

use super::support::{answers, asking, both, is, log};

#[test]
fn one_of_two_reviews_is_answered_and_the_other_waits() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = asking(store, &calls);
        let waits = app.run(json!({}), "t").unwrap();
        assert_eq!((waits.status, waits.reviews.len()), (Status::Waiting, 2));
        let [a, b] = &waits.reviews[..] else { panic!() };
        assert_eq!((a.node.as_str(), &a.question), ("a", &json!({"of": "a", "n": 1})));
        assert_eq!(waits.state["log"], json!([]));
        // Without an answer nothing happens, and the ids stay.
        let same = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((same.status, &same.reviews), (Status::Waiting, &waits.reviews));
        assert_eq!(app.state("t", None).unwrap().reviews, waits.reviews);
        is(app.resume("t", answers(&[("nobody's", json!(1))])), Code::UnknownId);
        let one = app.resume("t", answers(&[(&b.id, json!("yes"))])).unwrap();
        assert_eq!((one.status, one.reviews.len(), calls.load(Ordering::SeqCst)), (Status::Waiting, 2, 1));
        assert_eq!(one.reviews[0], *a);
        let second = one.reviews[1].clone();
        assert_eq!((second.node.as_str(), &second.question), ("b", &json!({"of": "b", "n": 2})));
        is(app.resume("t", answers(&[(&b.id, json!("again"))])), Code::UnknownId);
        // Another process reads the same.
        let other = asking(store, &calls);
        let two = other.resume("t", answers(&[(&second.id, json!(2)), (&a.id, json!(1))])).unwrap();
        assert_eq!((two.reviews.len(), calls.load(Ordering::SeqCst)), (1, 2));
        let done = other.resume("t", answers(&[(&two.reviews[0].id, json!(null))])).unwrap();
        assert_eq!(done.status, Status::Done);
        assert_eq!(log(&done), ["a 1 \"did\" null", "b \"yes\" \"did\" 2", "c", "end"]);
        assert_eq!(calls.load(Ordering::SeqCst), 2, "a step that has ended is not done again");
    });
}

#[test]
fn every_durability_gives_the_same_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    for durability in [Durability::Sync, Durability::Async, Durability::Exit] {
        let options = RunOptions { durability, ..RunOptions::default() };
        let calls = Arc::new(AtomicUsize::new(0));
        let app = asking(&store, &calls);
        let thread = format!("{durability:?}");
        let waits = app.run_with(json!({}), &thread, &options).unwrap();
        let all =
            |waits: &Outcome| waits.reviews.iter().map(|review| (review.id.clone(), json!(1))).collect();
        let waits = asking(&store, &calls).resume_with(&thread, all(&waits), &options).unwrap();
        assert_eq!((waits.status, waits.reviews.len()), (Status::Waiting, 2), "{durability:?}");
        let done = asking(&store, &calls).resume_with(&thread, all(&waits), &options).unwrap();
        assert_eq!((done.status, calls.load(Ordering::SeqCst)), (Status::Done, 2), "{durability:?}");
        assert_eq!(app.state(&thread, None).unwrap().state, done.state);
        let count = app.history(&thread, None, None).unwrap().len();
        assert_eq!(count, if durability == Durability::Exit { 2 } else { 3 });
    }
}
