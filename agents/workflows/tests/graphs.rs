//! Does a graph do what is asked of it, in memory and on the disk alike?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    App, Cache, Context, Durability, END, Goto, Graph, Mode, NodeOptions, Outcome, Output, Reducer, Retry,
    RunOptions, START, Send, State, Status,
};
use serde_json::{Value, json};

fn both(test: impl Fn(&StateStore)) {
    test(&StateStore::memory());
    let folder = tempfile::tempdir().unwrap();
    test(&StateStore::open(folder.path()).unwrap());
}

fn is<T>(result: Result<T>, code: Code) -> Error {
    let error = result.err().unwrap();
    assert_eq!(error.code(), code, "{error}");
    error
}

/// A state with a list that grows, a number that grows, and one value.
fn schema() -> Value {
    json!({"type": "object", "properties": {
        "log": {"type": "array"}, "sum": {"type": "number"}, "last": {"type": ["string", "integer", "null"]},
        "items": {"type": "array", "items": {"type": "integer"}},
    }})
}

fn graph() -> Graph {
    Graph::new(schema()).reducer("log", Reducer::Append).reducer("sum", Reducer::Sum)
}

/// A node that says its name.
fn says(name: &'static str) -> impl Fn(&State, &Context) -> Result<Output> {
    move |_: &State, _: &Context| Ok(json!({"log": name}).into())
}

fn answers(pairs: &[(&str, Value)]) -> HashMap<String, Value> {
    pairs.iter().map(|(id, value)| ((*id).to_owned(), value.clone())).collect()
}

fn log(outcome: &Outcome) -> Vec<&str> {
    outcome.state["log"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

fn chain(store: &StateStore) -> App {
    graph()
        .node("a", says("a"))
        .node("b", |state: &State, _: &Context| {
            Ok(json!({"log": "b", "last": state["log"].as_array().unwrap().len()}).into())
        })
        .node("c", says("c"))
        .edge(START, "a")
        .edge("a", "b")
        .edge("b", "c")
        .edge("c", END)
        .compile(store)
        .unwrap()
}

#[test]
fn a_chain_runs_and_has_a_history() {
    both(|store| {
        let app = chain(store);
        let done = app.run(json!({"log": ["in"]}), "t").unwrap();
        assert_eq!((done.status, log(&done), done.steps), (Status::Done, vec!["in", "a", "b", "c"], 3));
        assert_eq!(done.state["last"], 2);
        let history = app.history("t", None, None).unwrap();
        let told: Vec<_> =
            history.iter().map(|one| (one.step, one.next.join(" "), one.source.as_str())).collect();
        let expected = [(3, "", "loop"), (2, "c", "loop"), (1, "b", "loop"), (0, "a", "input")]
            .map(|(s, n, w)| (s, n.to_owned(), w));
        assert_eq!(told, expected);
        assert_eq!(history[1].parent.as_deref(), Some(history[2].checkpoint.as_str()));
        assert_eq!(history[2].state["log"], json!(["in", "a"]));
        let older = app.history("t", Some(1), Some(&history[1].checkpoint)).unwrap();
        assert_eq!(older, [history[2].clone()]);
        assert_eq!(app.state("t", None).unwrap(), history[0]);
        assert_eq!(app.state("t", Some(&history[3].checkpoint)).unwrap(), history[3]);
        // Nothing is due: nothing is done.
        let again = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((again.status, again.checkpoint, again.steps), (Status::Done, done.checkpoint, 0));
        // Another input goes on with the state.
        let more = app.run(json!({"log": ["more"]}), "t").unwrap();
        assert_eq!(log(&more), ["in", "a", "b", "c", "more", "a", "b", "c"]);
        assert_eq!(app.history("t", None, None).unwrap().len(), 8);
        is(app.state("u", None), Code::UnknownId);
        is(app.state("t", Some("x")), Code::UnknownId);
        is(app.resume("u", HashMap::new()), Code::UnknownId);
    });
}

#[test]
fn nodes_of_a_step_see_the_same_state_and_write_in_the_order_of_their_names() {
    both(|store| {
        let seen = |name: &'static str| {
            move |state: &State, _: &Context| {
                std::thread::sleep(Duration::from_millis(if name == "a" { 20 } else { 0 }));
                Ok(json!({"log": [name, state["log"].as_array().unwrap().len()], "sum": 1}).into())
            }
        };
        let app = graph()
            .node("c", seen("c"))
            .node("a", seen("a"))
            .node("b", seen("b"))
            .node("end", says("end"))
            .edge(START, "c")
            .edge(START, "b")
            .edge(START, "a")
            .join(["a", "b", "c"], "end")
            .compile(store)
            .unwrap();
        let done = app.run(json!({"log": ["in"]}), "t").unwrap();
        assert_eq!(done.state["log"], json!(["in", "a", 1, "b", 1, "c", 1, "end"]));
        assert_eq!((done.state["sum"].clone(), done.steps), (json!(3), 2));
    });
}

#[test]
fn nodes_of_a_step_work_at_the_same_time() {
    let barrier = Arc::new(std::sync::Barrier::new(16));
    let mut wide = graph();
    for at in 0..16 {
        let barrier = Arc::clone(&barrier);
        let name = format!("n{at}");
        wide = wide
            .node(&name, move |_: &State, _: &Context| {
                barrier.wait();
                Ok(json!({"sum": 1}).into())
            })
            .edge(START, &name);
    }
    let done = wide.compile(&StateStore::memory()).unwrap().run(json!({}), "t").unwrap();
    assert_eq!(done.state["sum"], 16);
    // At most so many.
    let working = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let mut wide = graph();
    for at in 0..12 {
        let working = Arc::clone(&working);
        let name = format!("n{at}");
        wide = wide
            .node(&name, move |_: &State, _: &Context| {
                let now = working.0.fetch_add(1, Ordering::SeqCst) + 1;
                working.1.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                working.0.fetch_sub(1, Ordering::SeqCst);
                Ok(Output::none())
            })
            .edge(START, &name);
    }
    let options = RunOptions { parallel: 3, ..RunOptions::default() };
    wide.compile(&StateStore::memory()).unwrap().run_with(json!({}), "t", &options).unwrap();
    assert_eq!(working.1.load(Ordering::SeqCst), 3);
}

#[test]
fn edges_lead_where_the_state_says() {
    both(|store| {
        let app = graph()
            .node("count", |state: &State, _: &Context| {
                Ok(json!({"sum": 1, "last": state["sum"].as_i64().unwrap()}).into())
            })
            .node("odd", says("odd"))
            .edge(START, "count")
            // It sees what its node has just written.
            .edges_if(
                "count",
                |state: &State| {
                    Ok(match state["sum"].as_i64() {
                        Some(n) if n >= 5 => END.into(),
                        Some(n) if n % 2 == 1 => "odd".into(),
                        _ => "count".into(),
                    })
                },
                ["count", "odd", END],
            )
            .edge("odd", "count")
            .compile(store)
            .unwrap();
        let done = app.run(json!({}), "t").unwrap();
        assert_eq!((done.state["sum"].clone(), done.state["last"].clone()), (json!(5), json!(4)));
        assert_eq!((log(&done), done.steps), (vec!["odd", "odd"], 7));
        // A route that leads elsewhere than it says fails its node.
        let app = graph()
            .node("a", says("a"))
            .node("b", says("b"))
            .edge(START, "a")
            .edges_if("a", |_: &State| Ok("b".into()), [END])
            .edges_if(START, |_: &State| Ok("b".into()), ["b"])
            .compile(store)
            .unwrap();
        let done = app.run(json!({}), "u").unwrap();
        assert_eq!(done.status, Status::Failed);
        assert!(done.error.unwrap().message.contains("leads to 'b'"));
    });
}

#[test]
fn each_part_is_sent_to_a_task_of_its_own() {
    both(|store| {
        let app = graph()
            .node("split", says("split"))
            .node("square", |state: &State, _: &Context| {
                let n = state["n"].as_i64().unwrap();
                Ok(json!({"log": format!("{n}"), "sum": n * n}).into())
            })
            .node("end", |state: &State, _: &Context| Ok(json!({"last": state["sum"].as_i64()}).into()))
            .edge(START, "split")
            .edges_if(
                "split",
                |state: &State| {
                    let items = state["items"].as_array().unwrap();
                    Ok(items.iter().map(|n| Send::new("square", json!({"n": n}))).collect::<Vec<_>>().into())
                },
                ["square"],
            )
            .edge("square", "end")
            .compile(store)
            .unwrap();
        let done = app.run(json!({"items": [3, 1, 2, 10, 11, 5, 6, 7, 8, 9, 4, 12]}), "t").unwrap();
        // In the order in which they were sent, and what follows comes once.
        let expected = ["split", "3", "1", "2", "10", "11", "5", "6", "7", "8", "9", "4", "12"];
        assert_eq!((log(&done), done.steps), (expected.to_vec(), 3));
        assert_eq!((done.state["last"].clone(), done.status), (json!(650), Status::Done));
        let second = &app.history("t", None, None).unwrap()[2];
        assert_eq!((second.next.len(), second.tasks[3].task.as_str()), (12, "square#3"));
        let none = app.run(json!({"items": []}), "u").unwrap();
        assert_eq!((none.status, none.steps), (Status::Done, 1));
    });
}

#[test]
fn a_node_may_say_itself_where_to_go() {
    both(|store| {
        let goto = NodeOptions { goto: vec!["b".into(), "c".into()], ..NodeOptions::default() };
        let app = graph()
            .node_with(
                "a",
                goto,
                Arc::new(|state: &State, _: &Context| -> Result<Output> {
                    Ok(match state["last"].as_str() {
                        Some("both") => Goto::new("b")
                            .and(Send::new("c", json!({"x": 1})))
                            .update(json!({"log": "a"}))
                            .into(),
                        Some("send") => {
                            vec![Send::new("c", json!({"x": 2})), Send::new("c", json!({"x": 3}))].into()
                        }
                        Some("nowhere") => Goto::new("z").into(),
                        _ => Output::from(json!({"log": "a"})).and_goto(END),
                    })
                }),
            )
            .node("b", says("b"))
            .node("c", |state: &State, _: &Context| Ok(json!({"log": format!("c{}", state["x"])}).into()))
            .edge(START, "a")
            .compile(store)
            .unwrap();
        let run = |last: Value| app.run(json!({"last": last}), &last.to_string()).unwrap();
        assert_eq!(log(&run(json!("both"))), ["a", "b", "c1"]);
        assert_eq!(log(&run(json!("send"))), ["c2", "c3"]);
        assert_eq!(log(&run(json!("other"))), ["a"]);
        let failed = run(json!("nowhere")).error.unwrap();
        assert!(
            failed.message.contains("no node is called 'z'; there are a, b, c and __end__"),
            "{failed:?}"
        );
    });
}

#[test]
fn a_deferred_node_waits_until_nothing_else_is_due() {
    both(|store| {
        let defer = NodeOptions { defer: true, ..NodeOptions::default() };
        let app = graph()
            .node("a", says("a"))
            .node("b", says("b"))
            .node("b2", says("b2"))
            .node("b3", says("b3"))
            .node_with("end", defer, Arc::new(says("end")))
            .edge(START, "a")
            .edge(START, "b")
            .edge("b", "b2")
            .edge("b2", "b3")
            .edge("a", "end")
            .edge("b3", "end")
            .compile(store)
            .unwrap();
        assert_eq!(log(&app.run(json!({}), "t").unwrap()), ["a", "b", "b2", "b3", "end"]);
    });
}

#[test]
fn a_barrier_is_seen_when_all_have_come() {
    let schema = json!({"properties": {"votes": {}, "seen": {"type": "array"}}});
    let writes =
        || NodeOptions { writes: Some(vec!["votes".into(), "seen".into()]), ..NodeOptions::default() };
    let votes = |vote: i64| {
        Arc::new(move |state: &State, _: &Context| -> Result<Output> {
            Ok(json!({"votes": vote, "seen": [state.get("votes").is_some()]}).into())
        })
    };
    let app = Graph::new(schema)
        .reducer("votes", Reducer::Barrier)
        .reducer("seen", Reducer::Append)
        .node_with("a", writes(), votes(1))
        .node_with("b", writes(), votes(2))
        .node("c", |state: &State, _: &Context| Ok(json!({"seen": [state["votes"]]}).into()))
        .edge(START, "a")
        .edge("a", "b")
        .edge("b", "c")
        .compile(&StateStore::memory())
        .unwrap();
    let done = app.run(json!({}), "t").unwrap();
    assert_eq!(done.state["seen"], json!([false, false, {"a": 1, "b": 2}]));
    let second = &app.history("t", None, None).unwrap()[2];
    assert_eq!(second.state.get("votes"), None);
}

#[test]
fn every_problem_is_named_at_once() {
    let mut bad = Graph::new(
        json!({"properties": {"a": {"type": "text"}, "b": {"type": "integer", "default": "x"}, "v": {}}}),
    )
    .reducer("z", Reducer::Sum)
    .reducer("v", Reducer::Barrier)
    .validator("y", |_: &Value| Ok(()));
    let writes =
        |channel: &str| NodeOptions { writes: Some(vec![channel.to_owned()]), ..NodeOptions::default() };
    for name in ["one", "two"] {
        bad = bad.node_with(name, writes("b"), Arc::new(says("x"))).edge(START, name);
    }
    let bad = bad
        .node_with("three", writes("nothing"), Arc::new(says("x")))
        .node("three", says("x"))
        .node("lost", says("x"))
        .node("loop", says("x"))
        .node("bad/name", says("x"))
        .edge("one", "loop")
        .edge("loop", "loop")
        .edge("one", "three")
        .edge("one", "nobody")
        .edge(END, "one")
        .edge("one", START)
        .edge("one", "bad/name")
        .join(["one", "ghost"], END)
        .subgraph("inner", Graph::new(json!({"properties": {"q": {}}})).node("x", says("x")).edge("x", "y"))
        .edge("one", "inner");
    let problems = bad.problems();
    let told: Vec<_> = problems.iter().map(|one| (one.code.as_str(), one.at.as_str())).collect();
    for expected in [
        ("bad_schema", "a"),
        ("bad_schema", "b"),
        ("unknown_channel", "z"),
        ("unknown_channel", "y"),
        ("no_writer", "v"),
        ("unknown_channel", "three"),
        ("duplicate_node", "three"),
        ("unreachable", "lost"),
        ("no_end", "loop"),
        ("bad_name", "bad/name"),
        ("unknown_node", "one -> nobody"),
        ("bad_edge", "__end__ -> one"),
        ("bad_edge", "one -> __start__"),
        ("bad_edge", "[one ghost] -> __end__"),
        ("unknown_node", "[one ghost] -> __end__"),
        ("write_conflict", "b"),
        ("no_start", "inner/__start__"),
        ("unknown_node", "inner/x -> y"),
    ] {
        assert!(told.contains(&expected), "{expected:?} in {told:#?}");
    }
    assert_eq!(told.len(), 18, "{told:#?}");
    let error = is(bad.compile(&StateStore::memory()), Code::InvalidArgument);
    assert!(error.message().contains("18 problems"), "{error}");
    let limited = NodeOptions { timeout: Some(Duration::from_secs(1)), ..NodeOptions::default() };
    let inner = graph().node("x", says("x")).edge(START, "x");
    let problems = graph().subgraph_with("inner", limited, inner).edge(START, "inner").problems();
    assert_eq!(problems.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["bad_option"]);
    let apart = Graph::new(json!({"properties": {"q": {}}})).node("x", says("x")).edge(START, "x");
    let problems = graph().subgraph("inner", apart).edge(START, "inner").problems();
    assert_eq!(problems.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(), ["no_shared_channel"]);
    // A conflict of nodes that do not certainly run together is found when it happens.
    let writes = |_: &State, _: &Context| -> Result<Output> { Ok(json!({"last": "x"}).into()) };
    let app = graph().node("a", writes).node("b", writes).edge(START, "a").edge(START, "b");
    let done = app.compile(&StateStore::memory()).unwrap().run(json!({}), "t").unwrap();
    let error = done.error.unwrap();
    assert!(
        done.status == Status::Failed && error.message.contains("'a' wrote it in the same step"),
        "{error:?}"
    );
}

#[test]
fn a_plan_has_a_hash_and_a_picture() {
    let store = StateStore::memory();
    let inner = graph().node("x", says("x")).edge(START, "x");
    let make = |target: &str| {
        graph()
            .node("b", says("b"))
            .node("a", says("a"))
            .subgraph("in \"quotes\"", inner.clone())
            .edge(START, "a")
            .edges_if("a", |_: &State| Ok("b".into()), ["b", END])
            .join(["a", "b"], "in \"quotes\"")
            .edge("in \"quotes\"", target)
    };
    let app = make(END).compile(&store).unwrap();
    assert_eq!(app.id(), make(END).compile(&store).unwrap().id());
    assert_ne!(app.id(), make(END).edge("b", "a").compile(&store).unwrap().id());
    assert_eq!(app.json()["nodes"][0]["name"], "a");
    let expected = "flowchart TD
    s([start])
    n0[\"a\"]
    n1[\"b\"]
    subgraph n2 [\"in #quot;quotes#quot;\"]
        n2_s([start])
        n2_n0[\"x\"]
        n2_e([end])
        n2_s --> n2_n0
        n2_n0 --> n2_e
    end
    e([end])
    s --> n0
    n0 -.-> n1
    n0 -.-> e
    n2 --> e
    n0 ==> n2
    n1 ==> n2
";
    assert_eq!(app.mermaid(), expected);
}

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

/// Two nodes that each ask twice, with a step between.
fn asking(store: &StateStore, calls: &Arc<AtomicUsize>) -> App {
    let asks = |name: &'static str| {
        let calls = Arc::clone(calls);
        move |_: &State, context: &Context| {
            let first = context.ask(json!({"of": name, "n": 1}))?;
            let did = context.step("between", || {
                calls.fetch_add(1, Ordering::SeqCst);
                Ok(json!("did"))
            })?;
            let second = context.ask(json!({"of": name, "n": 2}))?;
            Ok(json!({"log": [format!("{name} {first} {did} {second}")]}).into())
        }
    };
    graph()
        .node("a", asks("a"))
        .node("b", asks("b"))
        .node("c", says("c"))
        .node("end", says("end"))
        .edge(START, "a")
        .edge(START, "b")
        .edge(START, "c")
        .join(["a", "b", "c"], "end")
        .compile(store)
        .unwrap()
}

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
fn a_graph_within_a_graph_waits_forks_and_goes_on() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let inside = Arc::clone(&calls);
        let inner = graph()
            .node("x", move |_: &State, _: &Context| {
                inside.fetch_add(1, Ordering::SeqCst);
                Ok(json!({"log": "x", "sum": 1}).into())
            })
            .node("y", |_: &State, context: &Context| Ok(json!({"log": [context.ask(json!("y?"))?]}).into()))
            .edge(START, "x")
            .edge("x", "y");
        let app = graph()
            .node("before", says("before"))
            .subgraph("in", graph().subgraph("deep", inner).edge(START, "deep"))
            .node("after", says("after"))
            .edge(START, "before")
            .edge("before", "in")
            .edge("in", "after")
            .compile(store)
            .unwrap();
        let waits = app.run(json!({"sum": 5}), "t").unwrap();
        assert_eq!(
            (waits.status, waits.reviews.len(), &waits.state["log"]),
            (Status::Waiting, 1, &json!(["before"]))
        );
        let state = app.state("t", None).unwrap();
        let within = state.tasks[0].namespace.clone().unwrap();
        let deep = app.state_within("t", &within, None).unwrap().tasks[0].namespace.clone().unwrap();
        let at = app.history_within("t", &deep, None, None).unwrap();
        assert_eq!(
            (at[0].next.clone(), &at[0].state["log"]),
            (vec!["y".to_owned()], &json!(["before", "x"]))
        );
        // A fork goes on in the middle of the inner graph, with the same review.
        app.fork("t", None, "u").unwrap();
        let id = &waits.reviews[0].id;
        let done = app.resume("u", answers(&[(id, json!("no"))])).unwrap();
        assert_eq!((log(&done), &done.state["sum"]), (vec!["before", "x", "no", "after"], &json!(6)));
        let done = app.resume("t", answers(&[(id, json!("yes"))])).unwrap();
        assert_eq!(log(&done), ["before", "x", "yes", "after"]);
        assert_eq!(calls.load(Ordering::SeqCst), 1, "what had ended inside is not done again");
        // A fork at the inner checkpoint asks anew, and does nothing else again.
        app.fork_within("t", &deep, Some(&at[0].checkpoint), "w").unwrap();
        let again = app.resume("w", HashMap::new()).unwrap();
        assert_eq!(
            (again.status, again.reviews.len(), calls.load(Ordering::SeqCst)),
            (Status::Waiting, 1, 1)
        );
        let done = app.resume("w", answers(&[(&again.reviews[0].id, json!("other"))])).unwrap();
        assert_eq!((log(&done)[2], calls.load(Ordering::SeqCst)), ("other", 1));
        // One of an older step does all of it again.
        let older = app.history("t", None, None).unwrap().into_iter().find(|one| one.next == ["in"]).unwrap();
        app.fork("t", Some(&older.checkpoint), "t").unwrap();
        let again = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((again.status, calls.load(Ordering::SeqCst)), (Status::Waiting, 2));
        calls.store(1, Ordering::SeqCst);
        // A fork at the first checkpoint inside does the inner steps again.
        let first = &at[at.len() - 1];
        assert_eq!(first.next, ["x"]);
        app.fork_within("t", &deep, Some(&first.checkpoint), "v").unwrap();
        let waits = app.resume("v", HashMap::new()).unwrap();
        assert_eq!((waits.status, calls.load(Ordering::SeqCst)), (Status::Waiting, 2));
        let done = app.resume("v", answers(&[(&waits.reviews[0].id, json!("new"))])).unwrap();
        assert_eq!(log(&done), ["before", "x", "new", "after"]);
    });
}

#[test]
fn a_thread_is_updated_as_if_a_node_had_written() {
    both(|store| {
        let app = chain(store);
        app.run(json!({}), "t").unwrap();
        app.update("t", json!({"log": "hand"}), Some("a")).unwrap();
        let state = app.state("t", None).unwrap();
        assert_eq!((state.next.clone(), state.source.as_str()), (vec!["b".to_owned()], "update"));
        let done = app.resume("t", HashMap::new()).unwrap();
        assert_eq!(log(&done), ["a", "b", "c", "hand", "b", "c"]);
        // Without a node, as the last one.
        app.update("t", json!({"last": "x"}), None).unwrap();
        let state = app.state("t", None).unwrap();
        assert_eq!((state.next.len(), &state.state["last"], state.status), (0, &json!("x"), Status::Done));
        // After an older checkpoint.
        let old = app.history("t", None, None).unwrap().pop().unwrap();
        app.update_at("t", Some(&old.checkpoint), json!({"log": "new"}), Some("b")).unwrap();
        let state = app.state("t", None).unwrap();
        assert_eq!(
            (state.parent.as_deref(), state.next.clone()),
            (Some(old.checkpoint.as_str()), vec!["c".to_owned()])
        );
        assert_eq!(log(&app.resume("t", HashMap::new()).unwrap()), ["new", "c"]);
        app.update("t", json!({}), Some(END)).unwrap();
        assert_eq!(app.state("t", None).unwrap().status, Status::Done);
        // A new thread begins so too.
        app.update("u", json!({"log": "first"}), Some(START)).unwrap();
        assert_eq!(log(&app.resume("u", HashMap::new()).unwrap()), ["first", "a", "b", "c"]);
        is(app.update("t", json!({"nothing": 1}), Some("a")), Code::InvalidArgument);
        is(app.update("t", json!({}), Some("nobody")), Code::InvalidArgument);
        is(app.update_at("t", Some("x"), json!({}), Some("a")), Code::UnknownId);
    });
}

#[test]
fn an_update_keeps_what_other_tasks_of_the_step_have_written() {
    both(|store| {
        let app = asking(store, &Arc::new(AtomicUsize::new(0)));
        app.run(json!({}), "t").unwrap();
        app.update("t", json!({"log": "for a"}), Some("a")).unwrap();
        assert_eq!(app.state("t", None).unwrap().state["log"], json!(["c", "for a"]));
    });
}

#[test]
fn a_step_limit_stops_and_can_be_resumed() {
    both(|store| {
        let app = graph()
            .node("loop", |_: &State, _: &Context| Ok(json!({"sum": 1}).into()))
            .edge(START, "loop")
            .edges_if(
                "loop",
                |state: &State| {
                    Ok(if state["sum"].as_i64() == Some(10) { END.into() } else { "loop".into() })
                },
                ["loop", END],
            )
            .compile(store)
            .unwrap();
        let options = RunOptions { step_limit: 4, ..RunOptions::default() };
        let stopped = app.run_with(json!({}), "t", &options).unwrap();
        assert_eq!((stopped.status, &stopped.state["sum"], stopped.steps), (Status::StepLimit, &json!(4), 4));
        let done = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((done.status, &done.state["sum"], done.steps), (Status::Done, &json!(10), 6));
        is(app.run_with(json!({}), "t", &RunOptions { step_limit: 0, ..options }), Code::InvalidArgument);
    });
}

#[test]
fn a_stream_tells_what_happens() {
    both(|store| {
        let app = graph()
            .node("a", |_: &State, context: &Context| {
                context.emit(json!("on the way"));
                Ok(json!({"log": "a"}).into())
            })
            .subgraph("in", graph().node("x", says("x")).edge(START, "x"))
            .edge(START, "a")
            .edge("a", "in")
            .compile(store)
            .unwrap();
        let told = |modes: &[Mode]| -> Vec<Value> {
            let stream = app.stream(json!({}), "t", modes, &RunOptions::default()).unwrap();
            stream
                .map(|event| event.unwrap())
                .map(|e| json!([e.step, e.node, !e.namespace.is_empty(), e.data]))
                .collect()
        };
        assert_eq!(
            told(&[Mode::Updates, Mode::Custom]),
            [
                json!([1, "a", false, "on the way"]),
                json!([1, "a", false, {"log": "a"}]),
                json!([1, "x", true, {"log": "x"}]),
                json!([2, "in", false, {"log": ["x"]}]),
            ]
        );
        let app_log = |event: &Value| event[3]["log"].clone();
        let values = told(&[Mode::Values]);
        assert_eq!(values.iter().filter(|one| one[2] == false).map(app_log).collect::<Vec<_>>().len(), 3);
        let tasks = told(&[Mode::Tasks]);
        let tasks: Vec<_> = tasks
            .iter()
            .map(|one| format!("{} {}", one[1].as_str().unwrap(), one[3]["event"].as_str().unwrap()))
            .collect();
        assert_eq!(tasks, ["a start", "a end", "in start", "x start", "x end", "in end"]);
        let stream = app.stream(json!({}), "v", &[Mode::Values], &RunOptions::default()).unwrap();
        assert_eq!(log(&stream.outcome().unwrap()), ["a", "x"]);
        // The error of a run is the last item.
        let mut stream =
            app.stream(json!({"nothing": 1}), "w", &[Mode::Values], &RunOptions::default()).unwrap();
        is(stream.next().unwrap(), Code::InvalidArgument);
        assert!(stream.next().is_none());
    });
}

#[test]
fn a_stream_that_nobody_reads_any_more_stops_its_run() {
    let app = graph()
        .node("loop", |_: &State, _: &Context| {
            std::thread::sleep(Duration::from_millis(2));
            Ok(json!({"sum": 1}).into())
        })
        .edge(START, "loop")
        .edges_if("loop", |_: &State| Ok("loop".into()), ["loop", END])
        .compile(&StateStore::memory())
        .unwrap();
    let options = RunOptions { step_limit: 1_000_000, ..RunOptions::default() };
    let mut stream = app.stream(json!({}), "t", &[Mode::Values], &options).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    std::thread::sleep(Duration::from_millis(100));
    let steps = app.state("t", None).unwrap().step;
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(app.state("t", None).unwrap().step, steps);
    assert_eq!(app.state("t", None).unwrap().status, Status::Running, "it can be resumed");
}

#[test]
fn a_stream_ends_with_its_run_although_a_context_is_kept() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    let app = graph()
        .node("a", move |_: &State, context: &Context| {
            keeper.lock().unwrap().push(context.clone());
            Ok(json!({"sum": 1}).into())
        })
        .edge(START, "a")
        .compile(&StateStore::memory())
        .unwrap();
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stream = app.stream(json!({}), "t", &[Mode::Updates], &RunOptions::default()).unwrap();
        sender.send(stream.outcome().unwrap().status).unwrap();
    });
    assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(Status::Done));
    let kept = kept.lock().unwrap();
    // Nobody hears it any more.
    kept[0].emit(json!("late"));
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

#[test]
fn an_inner_graph_refuses_what_its_schema_refuses() {
    let inner = Graph::new(json!({"properties": {"last": {"type": "integer"}}}))
        .node("x", |_: &State, _: &Context| Ok(Output::none()))
        .edge(START, "x");
    let app = graph().subgraph("in", inner).edge(START, "in").compile(&StateStore::memory()).unwrap();
    assert_eq!(app.run(json!({"last": 1}), "t").unwrap().status, Status::Done);
    let error = app.run(json!({"last": "x"}), "t").unwrap().error.unwrap();
    assert!(error.message.contains("'last' of the inner graph"), "{error:?}");
}

#[test]
fn a_part_may_be_sent_to_a_graph() {
    both(|store| {
        let inner = graph()
            .node("x", |state: &State, context: &Context| {
                let answer = context.ask(json!({"of": state["last"]}))?;
                Ok(json!({"log": [answer], "sum": 1}).into())
            })
            .edge(START, "x");
        let app = graph()
            .subgraph("in", inner)
            .node("end", says("end"))
            .edges_if(
                START,
                |_: &State| {
                    Ok((0..3).map(|n| Send::new("in", json!({"last": n}))).collect::<Vec<_>>().into())
                },
                ["in"],
            )
            .edge("in", "end")
            .compile(store)
            .unwrap();
        let mut waits = app.run(json!({}), "t").unwrap();
        for left in (1..=3).rev() {
            assert_eq!((waits.status, waits.reviews.len()), (Status::Waiting, left));
            let review = &waits.reviews[left - 1];
            let answer = json!(format!("part {}", review.question["of"]));
            waits = app.resume("t", answers(&[(&review.id, answer)])).unwrap();
        }
        assert_eq!((waits.status, &waits.state["sum"]), (Status::Done, &json!(3)));
        assert_eq!(log(&waits), ["part 0", "part 1", "part 2", "end"]);
    });
}

#[test]
fn a_run_without_a_thread_leaves_nothing() {
    both(|store| {
        let options = RunOptions { keep: Some(1), ..RunOptions::default() };
        let before = store.commits();
        let done = chain(store).run_once(json!({"log": ["in"]}), &options).unwrap();
        assert_eq!((done.status, log(&done)), (Status::Done, vec!["in", "a", "b", "c"]));
        let inner = graph().node("x", says("x")).edge(START, "x");
        let failing = graph()
            .subgraph("in", inner)
            .node("a", |_: &State, context: &Context| {
                let once = context.step("once", || Ok(json!("a")))?;
                if context.cancelled() {
                    return Err(Error::new(Code::Cancelled, "?"));
                }
                Ok(json!({"log": once}).into())
            })
            .node("bad", |_: &State, context: &Context| Ok(json!({"log": context.ask(json!("?"))?}).into()))
            .edge(START, "in")
            .edge(START, "a")
            .edge("a", "bad")
            .compile(store)
            .unwrap();
        let failed = failing.run_once(json!({}), &options).unwrap();
        assert_eq!((failed.status, log(&failed)), (Status::Failed, vec!["a", "x"]));
        assert!(failed.error.unwrap().message.contains("without a thread"));
        assert!(store.checkpoints(None).unwrap().threads().unwrap().is_empty());
        assert_eq!(store.commits(), before);
        is(chain(store).run(json!({}), ""), Code::InvalidArgument);
    });
}

#[test]
fn tenants_have_their_own_threads() {
    both(|store| {
        let make =
            |tenant| graph().node("a", says("a")).edge(START, "a").compile_for(store, Some(tenant)).unwrap();
        let (one, two) = (make("one"), make("two"));
        one.run(json!({"last": "of one"}), "t").unwrap();
        is(two.state("t", None), Code::UnknownId);
        is(two.cancel("t"), Code::UnknownId);
        two.run(json!({"last": "of two"}), "t").unwrap();
        assert_eq!(one.state("t", None).unwrap().state["last"], "of one");
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
