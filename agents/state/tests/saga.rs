//! Are the steps of a saga all done, or all undone, whatever ends in the middle?

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::cell::RefCell;

use quorate_core::{Code, Error, Result};
use quorate_state::{Recover, Retry, SagaOptions, StateStore};
use serde_json::{Value, json};
use support::is;

/// A program of three steps that says what it does, and stops or fails where it is told to.
struct Program<'a> {
    said: &'a RefCell<Vec<String>>,
    /// The step that fails.
    fails: Option<&'static str>,
    /// The step within which the program ends.
    ends: Option<&'static str>,
    /// How often undoing the first step fails.
    stuck: &'a RefCell<u32>,
}

impl Program<'_> {
    fn run(&self, store: &StateStore, options: &SagaOptions) -> (Result<Value>, String) {
        let mut saga = match store.saga(Some("t"), "order", options) {
            Ok(saga) => saga,
            Err(error) => return (Err(error), String::new()),
        };
        let mut last = Value::Null;
        for name in ["a", "b", "c"] {
            let step = saga.step(
                name,
                || {
                    self.said.borrow_mut().push(format!("do {name}"));
                    if self.fails == Some(name) {
                        return Err(Error::new(Code::RemoteFailed, format!("{name} failed")));
                    }
                    if self.ends == Some(name) {
                        std::panic::panic_any("ends");
                    }
                    Ok(json!({"of": name}))
                },
                move |value| {
                    if name == "a" && *self.stuck.borrow() > 0 {
                        *self.stuck.borrow_mut() -= 1;
                        return Err(Error::new(Code::Timeout, "not now"));
                    }
                    let of = value.map(|value| value["of"].clone()).unwrap_or_default();
                    self.said.borrow_mut().push(format!("undo {name} {of}"));
                    Ok(())
                },
            );
            match step {
                Ok(value) => last = value,
                Err(error) => return (Err(error), saga.status().to_owned()),
            }
        }
        let finished = saga.finish();
        (finished.map(|()| last), saga.status().to_owned())
    }
}

fn options(recover: Recover) -> SagaOptions {
    SagaOptions { recover, undo: Retry { max_attempts: 2, first: 0.001, ..Retry::default() } }
}

fn stores(test: impl Fn(&dyn Fn() -> StateStore)) {
    let memory = StateStore::memory();
    test(&|| memory.clone());
    let folder = tempfile::tempdir().unwrap();
    // Opened anew each time, as after a crash.
    test(&|| StateStore::open(folder.path()).unwrap());
}

fn ends(program: &Program<'_>, store: &StateStore, options: &SagaOptions) {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| program.run(store, options)));
    assert!(ended.is_err());
}

#[test]
fn a_saga_that_is_done_does_nothing_again() {
    stores(|open| {
        let (said, stuck) = (RefCell::default(), RefCell::new(0));
        let program = Program { said: &said, fails: None, ends: None, stuck: &stuck };
        for _ in 0..2 {
            let (made, status) = program.run(&open(), &options(Recover::Undo));
            assert_eq!((made.unwrap(), status.as_str()), (json!({"of": "c"}), "done"));
        }
        assert_eq!(*said.borrow(), ["do a", "do b", "do c"]);
    });
}

#[test]
fn what_was_done_is_undone_in_reverse_order_once() {
    stores(|open| {
        let (said, stuck) = (RefCell::default(), RefCell::new(1));
        let program = Program { said: &said, fails: Some("c"), ends: None, stuck: &stuck };
        for _ in 0..2 {
            let (made, status) = program.run(&open(), &options(Recover::Undo));
            assert_eq!(
                (made.unwrap_err().to_string().contains("c failed"), status.as_str()),
                (true, "failed")
            );
        }
        assert_eq!(*said.borrow(), ["do a", "do b", "do c", "undo b \"b\"", "undo a \"a\""]);
    });
}

#[test]
fn what_cannot_be_undone_says_so_and_is_tried_again() {
    stores(|open| {
        let (said, stuck) = (RefCell::default(), RefCell::new(3));
        let program = Program { said: &said, fails: Some("c"), ends: None, stuck: &stuck };
        let (made, status) = program.run(&open(), &options(Recover::Undo));
        let error = made.unwrap_err();
        assert_eq!((error.code(), status.as_str()), (Code::CompensationFailed, "compensation_failed"));
        assert!(error.message().starts_with("remote_failed: "), "{error}");
        assert!(error.message().contains("'a' could not be undone: timeout: not now"), "{error}");
        let row = open().run(Some("t"), "saga:order").unwrap();
        assert_eq!((row.status.as_str(), row.kind.as_str()), ("compensation_failed", "saga"));
        let (made, status) = program.run(&open(), &options(Recover::Undo));
        assert_eq!((made.unwrap_err().code(), status.as_str()), (Code::RemoteFailed, "failed"));
        assert_eq!(*said.borrow(), ["do a", "do b", "do c", "undo b \"b\"", "undo a \"a\""]);
    });
}

#[test]
fn after_a_crash_it_is_undone_or_goes_on_as_its_option_says() {
    stores(|open| {
        let (said, stuck) = (RefCell::default(), RefCell::new(0));
        let mut program = Program { said: &said, fails: None, ends: Some("b"), stuck: &stuck };
        ends(&program, &open(), &options(Recover::Undo));
        program.ends = None;
        let (made, status) = program.run(&open(), &options(Recover::Undo));
        assert_eq!((made.unwrap_err().code(), status.as_str()), (Code::Cancelled, "failed"));
        // Of b nobody knows whether it took effect.
        assert_eq!(*said.borrow(), ["do a", "do b", "undo b null", "undo a \"a\""]);
        open().delete(Some("t"), "saga:order").unwrap();
        said.borrow_mut().clear();

        program.ends = Some("b");
        ends(&program, &open(), &options(Recover::Forward));
        program.ends = None;
        let (made, status) = program.run(&open(), &options(Recover::Forward));
        assert_eq!((made.unwrap(), status.as_str()), (json!({"of": "c"}), "done"));
        assert_eq!(*said.borrow(), ["do a", "do b", "do b", "do c"]);
    });
}

#[test]
fn a_crash_while_undoing_goes_on_undoing_also_forward() {
    stores(|open| {
        let (said, stuck) = (RefCell::default(), RefCell::new(2));
        let mut program = Program { said: &said, fails: Some("c"), ends: None, stuck: &stuck };
        assert_eq!(program.run(&open(), &options(Recover::Forward)).1, "compensation_failed");
        program.fails = None;
        let (made, status) = program.run(&open(), &options(Recover::Forward));
        assert_eq!((made.unwrap_err().code(), status.as_str()), (Code::RemoteFailed, "failed"));
        assert_eq!(*said.borrow(), ["do a", "do b", "do c", "undo b \"b\"", "undo a \"a\""]);
    });
}

#[test]
fn one_has_a_saga_at_a_time_and_each_step_has_a_name_of_its_own() {
    let store = StateStore::memory();
    let mut saga = store.saga(None, "s", &SagaOptions::default()).unwrap();
    is(store.saga(None, "s", &SagaOptions::default()), Code::RunConflict);
    drop(store.saga(Some("other"), "s", &SagaOptions::default()).unwrap());
    saga.step("a", || Ok(json!(1)), |_| Ok(())).unwrap();
    is(saga.step("a", || Ok(json!(1)), |_| Ok(())), Code::InvalidArgument);
    is(saga.step("", || Ok(json!(1)), |_| Ok(())), Code::InvalidArgument);
    let reason = Error::new(Code::QuorumMissed, "the board said no");
    assert_eq!(saga.fail(&reason).code(), Code::QuorumMissed);
    assert_eq!(saga.status(), "failed");
    is(saga.step("b", || panic!("it is over"), |_| Ok(())), Code::QuorumMissed);
}
