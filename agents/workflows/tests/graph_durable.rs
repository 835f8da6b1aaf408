//! Does a graph hold when processes are killed, when others write, and when it is long or large?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use quorate_core::{Cancel, Code};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    App, Context, Durability, END, Graph, NodeOptions, Output, Reducer, RunOptions, START, Send, State,
    Status,
};
use serde_json::{Value, json};

fn graph() -> Graph {
    let schema = json!({"properties": {"log": {"type": "array"}, "n": {"type": "integer"}, "text": {"type": "string"}}});
    Graph::new(schema).reducer("log", Reducer::Append).reducer("n", Reducer::Sum)
}

/// A second process: this test program again, with one test that does `what` in `folder`.
struct Other {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Other {
    fn start(what: &str, folder: &Path) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "in_another_process", "--nocapture", "--test-threads=1"]);
        command.env("QUORATE_GRAPH_WHAT", what).env("QUORATE_GRAPH_FOLDER", folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Other { child, lines }
    }

    fn says(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, said)) = line.trim_end().split_once("> ") {
                return Some(said.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Ends it at once, as a crash would, and gives what it had still said.
    fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.says()).collect()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {text}").unwrap();
    out.flush().unwrap();
}

/// What the second process does; no test of its own.
#[test]
fn in_another_process() {
    let (Ok(what), Ok(folder)) = (std::env::var("QUORATE_GRAPH_WHAT"), std::env::var("QUORATE_GRAPH_FOLDER"))
    else {
        return;
    };
    let store = StateStore::open(folder).unwrap();
    match what.as_str() {
        "branches" => {
            branches(&store, true).run(json!({}), "t").unwrap();
        }
        "work" => {
            let app = worker(&store, Arc::new(say));
            let done = match app.state("t", None) {
                Err(_) => app.run(json!({}), "t"),
                Ok(_) => app.resume("t", HashMap::new()),
            };
            say(format!("done {}", done.unwrap().status.as_str()));
        }
        "loop" => {
            say("begun");
            let options = RunOptions { step_limit: usize::MAX, ..RunOptions::default() };
            let done = endless(&store).run_with(json!({}), "t", &options).unwrap();
            say(done.status.as_str());
        }
        other => panic!("{other}"),
    }
}

/// 64 branches, half of which do not end while `hang`.
fn branches(store: &StateStore, hang: bool) -> App {
    let mut wide = graph();
    for at in 0..64 {
        let name = format!("b{at:02}");
        wide = wide
            .node(&name, move |_: &State, _: &Context| {
                if hang && at % 2 == 1 {
                    std::thread::sleep(Duration::from_secs(600));
                }
                if hang {
                    say(format!("b{at:02}"));
                }
                Ok(json!({"log": at, "n": 1}).into())
            })
            .edge(START, &name);
    }
    wide.compile(store).unwrap()
}

#[test]
fn branches_that_have_ended_when_the_process_is_killed_are_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("branches", folder.path());
    let mut said: Vec<String> = (0..32).map(|_| other.says().unwrap()).collect();
    let store = StateStore::open(folder.path()).unwrap();
    let app = branches(&store, false);
    // A branch says its name before it is stored.
    while app.state("t", None).unwrap().tasks.iter().filter(|task| task.ended).count() < 32 {
        std::thread::sleep(Duration::from_millis(5));
    }
    said.extend(other.kill());
    said.sort();
    assert_eq!(said, (0..32).map(|at| format!("b{:02}", at * 2)).collect::<Vec<_>>());
    let state = app.state("t", None).unwrap();
    assert_eq!((state.tasks.len(), state.state["n"].clone()), (64, json!(0)));
    for task in &state.tasks {
        assert_eq!(task.ended, said.contains(&task.node), "{task:?}");
    }
    let done = app.resume("t", HashMap::new()).unwrap();
    assert_eq!((done.status, &done.state["n"]), (Status::Done, &json!(64)));
    assert_eq!(done.state["log"], (0..64).collect::<Value>());
}

/// Ten rounds of a step with four tasks, each of which has two steps of its own; `tell` hears of each that is being done, and
/// that is stored.
fn worker(store: &StateStore, tell: Arc<dyn Fn(String) + std::marker::Send + Sync>) -> App {
    let task = move |state: &State, context: &Context| {
        let (round, at) = (state["round"].as_i64().unwrap(), state["at"].as_i64().unwrap());
        for step in ["one", "two"] {
            context.step(step, || {
                tell(format!("do {round}.{at}.{step}"));
                std::thread::sleep(Duration::from_millis(1));
                Ok(json!(1))
            })?;
            tell(format!("did {round}.{at}.{step}"));
        }
        Ok(json!({"log": format!("{round}.{at}")}).into())
    };
    graph()
        .node("round", |_: &State, _: &Context| Ok(json!({"n": 1}).into()))
        .node("task", task)
        .edge(START, "round")
        .edges_if(
            "round",
            |state: &State| {
                let round = state["n"].as_i64().unwrap();
                if round > 10 {
                    return Ok(END.into());
                }
                let send = |at: i64| Send::new("task", json!({"round": round, "at": at}));
                Ok((0..4).map(send).collect::<Vec<_>>().into())
            },
            ["task", END],
        )
        .edge("task", "round")
        .compile(store)
        .unwrap()
}

#[test]
fn no_step_that_has_ended_is_done_again_whenever_the_process_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut stored = std::collections::HashSet::new();
    let mut done = 0;
    let mut hear = |said: &str| {
        if let Some(step) = said.strip_prefix("do ") {
            assert!(!stored.contains(step), "{step} is done again");
            done += 1;
        } else if let Some(step) = said.strip_prefix("did ") {
            stored.insert(step.to_owned());
        }
    };
    let mut kills = 0;
    for round in 0..200_u64 {
        let mut other = Other::start("work", folder.path());
        let Some(first) = other.says() else { continue };
        hear(&first);
        if first.starts_with("done") {
            break;
        }
        std::thread::sleep(Duration::from_micros(round * 7919 % 20_000));
        let mut said = other.kill();
        kills += 1;
        // The last line may be cut short.
        said.pop();
        said.iter().for_each(|said| hear(said));
    }
    assert!(kills > 3 && done >= 60, "{kills} {done}");
    let store = StateStore::open(folder.path()).unwrap();
    let app = worker(&store, Arc::new(|_| ()));
    let done = app.resume("t", HashMap::new()).unwrap();
    let expected: Vec<String> =
        (1..=10).flat_map(|round| (0..4).map(move |at| format!("{round}.{at}"))).collect();
    assert_eq!((done.status, &done.state["log"]), (Status::Done, &json!(expected)));
}

#[test]
fn a_step_that_is_stored_is_not_done_again_after_any_stop() {
    // In one process, stopped at every moment that can be told apart.
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    for moment in 1..40 {
        let calls: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
        let stop = Cancel::new();
        let seen = Arc::new(AtomicUsize::new(0));
        let app = {
            let (calls, stop, seen) = (Arc::clone(&calls), stop.clone(), Arc::clone(&seen));
            let node = move |name: &'static str| {
                let (calls, stop, seen) = (Arc::clone(&calls), stop.clone(), Arc::clone(&seen));
                move |_: &State, context: &Context| {
                    for step in ["1", "2", "3"] {
                        context.step(step, || {
                            *calls.lock().unwrap().entry(format!("{name}{step}")).or_default() += 1;
                            if seen.fetch_add(1, Ordering::SeqCst) + 1 == moment {
                                stop.cancel();
                            }
                            Ok(json!(1))
                        })?;
                    }
                    Ok(json!({"log": name}).into())
                }
            };
            graph()
                .node("a", node("a"))
                .node("b", node("b"))
                .node("c", node("c"))
                .edge(START, "a")
                .edge("a", "b")
                .edge("a", "c")
                .compile(&store)
                .unwrap()
        };
        let thread = format!("t{moment}");
        let options = RunOptions { stop, durability: Durability::Async, ..RunOptions::default() };
        match app.run_with(json!({}), &thread, &options) {
            Ok(done) => assert_eq!((done.status, moment >= 9), (Status::Done, true), "{moment}"),
            Err(error) => assert_eq!(error.code(), Code::Cancelled),
        }
        let done = app.resume(&thread, HashMap::new()).unwrap();
        assert_eq!((done.status, &done.state["log"]), (Status::Done, &json!(["a", "b", "c"])), "{moment}");
        let calls = calls.lock().unwrap();
        assert!(calls.len() == 9 && calls.values().all(|count| *count == 1), "{moment}: {calls:?}");
    }
}

#[test]
fn of_two_writers_to_a_thread_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for store in [StateStore::memory(), StateStore::open(folder.path()).unwrap()] {
        // Both are in their first step at the same time.
        let barrier = Arc::new(Barrier::new(2));
        let make = |store: &StateStore| {
            let barrier = Arc::clone(&barrier);
            graph()
                .node("a", move |_: &State, context: &Context| {
                    barrier.wait();
                    Ok(json!({"log": context.run_id()}).into())
                })
                .node("b", |_: &State, context: &Context| Ok(json!({"log": context.run_id()}).into()))
                .edge(START, "a")
                .edge("a", "b")
                .compile(store)
                .unwrap()
        };
        let apps = [make(&store), make(&store)];
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| apps[0].run(json!({}), "t"));
            while apps[1].state("t", None).is_err() {
                std::thread::yield_now();
            }
            let second = apps[1].run(json!({}), "t");
            (first.join().unwrap(), second)
        });
        assert_eq!(first.unwrap_err().code(), Code::StaleWrite);
        let done = second.unwrap();
        assert_eq!(done.state["log"], json!([done.run_id, done.run_id]), "nothing of the other one is left");
        assert_eq!(apps[0].state("t", None).unwrap().state, done.state);
        // Of many who begin at once, each is told or has written.
        for round in 0..20 {
            let thread = format!("r{round}");
            let app = graph().node("a", |_: &State, _: &Context| Ok(json!({"n": 1}).into())).edge(START, "a");
            let app = app.compile(&store).unwrap();
            let good: i64 = std::thread::scope(|scope| {
                let run = || match app.run(json!({}), &thread) {
                    Ok(done) => i64::from(done.status == Status::Done),
                    Err(error) => {
                        assert_eq!(error.code(), Code::StaleWrite, "{error}");
                        0
                    }
                };
                let all: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
                all.into_iter().map(|one| one.join().unwrap()).sum()
            });
            assert!(good >= 1);
            assert_eq!(app.state(&thread, None).unwrap().state["n"], json!(good));
        }
    }
}

#[test]
fn whoever_updates_a_thread_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    for store in [StateStore::memory(), StateStore::open(folder.path()).unwrap()] {
        let barrier = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&barrier);
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                inside.wait();
                inside.wait();
                context.step("late", || Ok(json!(1)))?;
                Ok(json!({"log": "a"}).into())
            })
            .edge(START, "a")
            .compile(&store)
            .unwrap();
        let result = std::thread::scope(|scope| {
            let run = scope.spawn(|| app.run(json!({}), "t"));
            barrier.wait();
            app.update("t", json!({"log": "hand"}), Some("a")).unwrap();
            barrier.wait();
            run.join().unwrap()
        });
        assert_eq!(result.unwrap_err().code(), Code::StaleWrite);
        let state = app.state("t", None).unwrap();
        assert_eq!((state.status, &state.state["log"]), (Status::Done, &json!(["hand"])));
    }
}

/// A loop without end.
fn endless(store: &StateStore) -> App {
    graph()
        .node("loop", |_: &State, _: &Context| Ok(json!({"n": 1}).into()))
        .edge(START, "loop")
        .edges_if("loop", |_: &State| Ok("loop".into()), ["loop", END])
        .compile(store)
        .unwrap()
}

#[test]
fn a_cancellation_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    for store in [StateStore::memory(), StateStore::open(folder.path()).unwrap()] {
        let app = endless(&store);
        for round in 0..30 {
            let thread = format!("t{round}");
            let options =
                RunOptions { step_limit: usize::MAX, durability: Durability::Async, ..RunOptions::default() };
            let (outcome, cancelled) = std::thread::scope(|scope| {
                let run = scope.spawn(|| app.run_with(json!({}), &thread, &options));
                while app.state(&thread, None).is_err() {
                    std::thread::yield_now();
                }
                std::thread::sleep(Duration::from_micros(round * 37));
                let cancelled = app.cancel(&thread).unwrap();
                let at = app.state(&thread, None).unwrap();
                assert_eq!((at.status, at.next.len()), (Status::Cancelled, 0));
                (run.join().unwrap().unwrap(), cancelled)
            });
            assert!(cancelled);
            assert_eq!(outcome.status, Status::Cancelled);
            assert!(!app.cancel(&thread).unwrap(), "it has ended");
            let again = app.resume(&thread, HashMap::new()).unwrap();
            assert_eq!((again.status, again.state["n"] == outcome.state["n"]), (Status::Cancelled, true));
        }
        // One that waits for nobody, and one that has ended.
        let app = graph()
            .node("a", |_: &State, context: &Context| {
                Ok(Output::from(json!({"log": context.ask(json!("?"))?})))
            })
            .edge(START, "a")
            .compile(&store)
            .unwrap();
        app.run(json!({}), "w").unwrap();
        assert!(app.cancel("w").unwrap());
        let state = app.state("w", None).unwrap();
        assert_eq!((state.status, state.reviews.len()), (Status::Cancelled, 0));
        // A new input begins again.
        assert_eq!(app.run(json!({}), "w").unwrap().status, Status::Waiting);
    }
}

#[test]
fn a_cancellation_reaches_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = Other::start("loop", folder.path());
    assert_eq!(other.says().unwrap(), "begun");
    let store = StateStore::open(folder.path()).unwrap();
    let app = endless(&store);
    while app.state("t", None).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(app.cancel("t").unwrap());
    let steps = app.state("t", None).unwrap().step;
    assert_eq!(other.says().as_deref(), Some("cancelled"));
    assert_eq!(app.state("t", None).unwrap().step, steps);
}

#[test]
fn a_result_of_thirty_megabytes_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = "0123456789".repeat(3 << 20);
    {
        let store = StateStore::open(folder.path()).unwrap();
        let large = text.clone();
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                let text = context.step("make", || Ok(json!(large)))?;
                Ok(json!({"text": text}).into())
            })
            .node("b", |state: &State, _: &Context| {
                Ok(json!({"n": state["text"].as_str().unwrap().len()}).into())
            })
            .node("c", |_: &State, context: &Context| Ok(json!({"log": context.ask(json!("?"))?}).into()))
            .edge(START, "a")
            .edge("a", "b")
            .edge("b", "c")
            .compile(&store)
            .unwrap();
        assert_eq!(app.run(json!({}), "t").unwrap().status, Status::Waiting);
    }
    let files = std::fs::read_dir(folder.path().join("payloads")).unwrap().count();
    assert_eq!(files, 1, "the step's result and the channel's value are the same text");
    let store = StateStore::open(folder.path()).unwrap();
    let app = graph()
        .node("c", |_: &State, _: &Context| Ok(json!({"log": 1}).into()))
        .edge(START, "c")
        .compile(&store);
    let done = app.unwrap().resume("t", HashMap::new()).unwrap();
    assert_eq!(done.status, Status::Waiting, "the question is still open");
    assert_eq!((done.state["text"].as_str(), &done.state["n"]), (Some(text.as_str()), &json!(30 << 20)));
}

#[test]
fn a_damaged_store_says_so_and_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = StateStore::open(folder.path()).unwrap();
        endless(&store)
            .run_with(json!({"text": "NEEDLE"}), "t", &RunOptions { step_limit: 3, ..RunOptions::default() })
            .unwrap();
    }
    let path = folder.path().join("state.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"NEEDLE").unwrap();
    bytes[at] = b'X';
    std::fs::write(&path, &bytes).unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let app = endless(&store);
    for code in [
        app.state("t", None).err().map(|error| error.code()),
        app.run(json!({}), "t").err().map(|error| error.code()),
        app.resume("t", HashMap::new()).err().map(|error| error.code()),
        app.update("t", json!({}), None).err().map(|error| error.code()),
    ] {
        assert_eq!(code, Some(Code::Corrupt));
    }
    drop((app, store));
    assert_eq!(std::fs::read(&path).unwrap().len(), bytes.len());
}

#[test]
fn a_node_that_is_due_no_more_is_named() {
    let store = StateStore::memory();
    let options = RunOptions { step_limit: 1, ..RunOptions::default() };
    endless(&store).run_with(json!({}), "t", &options).unwrap();
    let other = graph().node_with(
        "other",
        NodeOptions::default(),
        Arc::new(|_: &State, _: &Context| -> quorate_core::Result<Output> { Ok(Output::none()) }),
    );
    let app = other.edge(START, "other").compile(&store).unwrap();
    let error = app.resume("t", HashMap::new()).unwrap_err();
    assert!(error.code() == Code::InvalidArgument && error.message().contains("'loop'"), "{error}");
}
