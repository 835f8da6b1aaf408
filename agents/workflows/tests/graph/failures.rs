//! What comes of values that do not fit, and of nodes that fail?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{Cache, Context, NodeOptions, Output, Reducer, Retry, START, State, Status};
use serde_json::{Value, json};

use super::support::{both, graph, is, log, says};

#[test]
fn what_does_not_fit_the_schema_is_refused() {
    both(|store| {
        let app = graph()
            .validator("last", |value: &Value| {
                if value == "forbidden" { Err(Error::invalid("this word is not said")) } else { Ok(()) }
            })
            .node("a", |state: &State, _: &Context| {
                Ok(state["items"][0]
                    .as_i64()
                    .map_or(json!({"last": [1]}), |n| match n {
                        0 => json!({"last": "forbidden"}),
                        1 => json!({"nothing": 1}),
                        2 => json!([1]),
                        3 => json!({"items": [1, "x"]}),
                        4 => json!({"sum": "x"}),
                        _ => json!({"last": "fine"}),
                    })
                    .into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        for (input, says) in [
            (json!({"nothing": 1}), "no 'nothing'"),
            (json!({"items": [1, "x"]}), "at '/1'"),
            (json!({"last": "forbidden"}), "not said"),
            (json!([1]), "object"),
        ] {
            let error = is(app.run(input, "t"), Code::InvalidArgument);
            assert!(error.message().contains(says), "{error}");
        }
        is(app.state("t", None), Code::UnknownId);
        for (n, says) in
            [(0, "not said"), (1, "no 'nothing'"), (2, "object"), (3, "at '/1'"), (4, "'sum' takes a number")]
        {
            let done = app.run(json!({"items": [n]}), "t").unwrap();
            let error = done.error.unwrap();
            assert_eq!((done.status, error.code.as_str()), (Status::Failed, "invalid_argument"));
            assert!(error.message.contains(says), "{error:?}");
            assert_eq!(app.state("t", None).unwrap().status, Status::Failed);
        }
        assert_eq!(app.run(json!({"items": [9]}), "t").unwrap().state["last"], "fine");
        // Writes that were not announced fail too.
        let writes = NodeOptions { writes: Some(vec!["log".into()]), ..NodeOptions::default() };
        let body = |_: &State, _: &Context| -> Result<Output> { Ok(json!({"log": 1, "sum": 1}).into()) };
        let app = graph().node_with("a", writes, Arc::new(body)).edge(START, "a").compile(store).unwrap();
        let error = app.run(json!({}), "u").unwrap().error.unwrap();
        assert!(error.message.contains("does not say that it writes it"), "{error:?}");
    });
}

#[test]
fn a_node_that_failed_is_tried_again_and_others_are_not_done_twice() {
    both(|store| {
        let calls = Arc::new([const { AtomicUsize::new(0) }; 3]);
        let count = |at: usize| {
            let calls = Arc::clone(&calls);
            move || calls[at].fetch_add(1, Ordering::SeqCst) + 1
        };
        let (good, flaky, bad) = (count(0), count(1), count(2));
        let retry = Retry { max_attempts: 3, initial: Duration::from_millis(1), ..Retry::default() };
        let options = NodeOptions { retry: Some(retry), ..NodeOptions::default() };
        let app = graph()
            .node("good", move |_: &State, _: &Context| {
                good();
                Ok(json!({"log": "good"}).into())
            })
            .node_with(
                "flaky",
                options.clone(),
                Arc::new(move |_: &State, context: &Context| -> Result<Output> {
                    let once = context.step("once", || Ok(json!("did")))?;
                    match flaky() {
                        1 => Err(Error::new(Code::RemoteFailed, "busy")),
                        2 => panic!("oh"),
                        _ => Ok(json!({"log": format!("{} {}", once.as_str().unwrap(), context.attempt())})
                            .into()),
                    }
                }),
            )
            .node_with(
                "wrong",
                options,
                Arc::new(move |_: &State, _: &Context| -> Result<Output> {
                    // Never worth another try, until the second run.
                    if bad() == 1 { Err(Error::invalid("wrong")) } else { Ok(json!({"log": "right"}).into()) }
                }),
            )
            .node("end", says("end"))
            .edge(START, "good")
            .edge(START, "flaky")
            .edge(START, "wrong")
            .join(["good", "flaky", "wrong"], "end")
            .compile(store)
            .unwrap();
        let failed = app.run(json!({}), "t").unwrap();
        assert_eq!(
            (failed.status, failed.error.as_ref().unwrap().node.as_deref()),
            (Status::Failed, Some("wrong"))
        );
        assert_eq!(failed.error.unwrap().to_error().code(), Code::InvalidArgument);
        assert_eq!(failed.state["log"], json!([]));
        let state = app.state("t", None).unwrap();
        let ended: Vec<_> =
            state.tasks.iter().map(|task| (task.node.as_str(), task.ended, task.error.is_some())).collect();
        assert_eq!(ended, [("flaky", true, false), ("good", true, false), ("wrong", false, true)]);
        assert_eq!(state.status, Status::Failed);
        let done = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((done.status, log(&done)), (Status::Done, vec!["did 3", "good", "right", "end"]));
        assert_eq!(calls.each_ref().map(|calls| calls.load(Ordering::SeqCst)), [1, 3, 2]);
    });
}

#[test]
fn a_node_that_takes_too_long_counts_no_more() {
    both(|store| {
        let told = Arc::new(AtomicUsize::new(0));
        let inside = Arc::clone(&told);
        let options = NodeOptions { timeout: Some(Duration::from_millis(40)), ..NodeOptions::default() };
        let app = graph()
            .node_with(
                "slow",
                options,
                Arc::new(move |_: &State, context: &Context| -> Result<Output> {
                    let begun = Instant::now();
                    while !context.cancelled() && begun.elapsed() < Duration::from_secs(5) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    let late = context.step("late", || Ok(json!(1)));
                    inside.store(if late.is_err() { 1 } else { 2 }, Ordering::SeqCst);
                    Ok(json!({"log": "late"}).into())
                }),
            )
            .edge(START, "slow")
            .compile(store)
            .unwrap();
        let begun = Instant::now();
        let failed = app.run(json!({}), "t").unwrap();
        assert!(begun.elapsed() < Duration::from_secs(3));
        assert_eq!(failed.error.unwrap().code, "timeout");
        while told.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(told.load(Ordering::SeqCst), 1, "a step of it is refused");
        assert_eq!(app.state("t", None).unwrap().state["log"], json!([]));
    });
}

#[test]
fn what_a_node_gave_is_given_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&calls);
    let key = Arc::new(|state: &State| state["last"].clone());
    let cache = Cache { ttl: Some(Duration::from_millis(150)), key: Some(key) };
    let options = NodeOptions { cache: Some(cache), ..NodeOptions::default() };
    let app = graph()
        .node_with(
            "a",
            options,
            Arc::new(move |_: &State, _: &Context| -> Result<Output> {
                Ok(json!({"sum": inside.fetch_add(1, Ordering::SeqCst) + 1}).into())
            }),
        )
        .edge(START, "a")
        .compile(&StateStore::memory())
        .unwrap();
    let run = |last: &str, thread: &str| {
        app.run(json!({"last": last}), thread).unwrap().state["sum"].as_i64().unwrap()
    };
    assert_eq!((run("x", "1"), run("x", "2"), run("y", "3"), run("x", "4")), (1, 1, 2, 1));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(run("x", "5"), 3);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[test]
fn whatever_panics_is_an_error() {
    both(|store| {
        let base = || {
            graph()
                .node("a", says("a"))
                .node("b", says("b"))
                .node("c", says("c"))
                .edge(START, "b")
                .edge(START, "c")
        };
        let panics = [
            base().edge(START, "a").edges_if("a", |_: &State| panic!("oh"), ["c"]),
            base().edge(START, "a").reducer("log", Reducer::custom(|_, _| panic!("oh"))),
            base().edge(START, "a").validator("log", |value: &Value| {
                assert!(value.as_array().unwrap().len() < 3, "oh");
                Ok(())
            }),
        ];
        for (at, graph) in panics.into_iter().enumerate() {
            let done = graph.compile(store).unwrap().run(json!({}), &format!("t{at}")).unwrap();
            assert_eq!(done.status, Status::Failed, "{at}");
            assert!(done.error.unwrap().message.contains("oh"));
        }
        let start = graph().node("a", says("a")).edges_if(START, |_: &State| panic!("oh"), ["a"]);
        is(start.compile(store).unwrap().run(json!({}), "u"), Code::Callback);
    });
}
