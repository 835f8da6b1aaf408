//! In which steps do nodes work, and what do they see?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quorate_core::{Code, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    Context, END, Goto, Graph, NodeOptions, Output, Reducer, RunOptions, START, Send, State, Status,
};
use serde_json::{Value, json};

use super::support::{both, chain, graph, is, log, says};

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
fn a_step_whose_name_cannot_be_kept_is_not_done() {
    both(|store| {
        for (length, times, code) in [(500, 1, None), (501, 0, Some("too_large"))] {
            let done = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&done);
            let app = graph()
                .node("a", move |_: &State, context: &Context| {
                    context.step(&"x".repeat(length), || {
                        counted.fetch_add(1, Ordering::SeqCst);
                        Ok(json!(1))
                    })?;
                    context.ask(json!("?"))?;
                    Ok(json!({}).into())
                })
                .edge(START, "a")
                .compile(store)
                .unwrap();
            let out = app.run(json!({}), &length.to_string()).unwrap();
            assert_eq!(out.error.map(|error| error.code).as_deref(), code);
            app.resume(&length.to_string(), HashMap::new()).unwrap();
            assert_eq!(done.load(Ordering::SeqCst), times);
        }
    });
}
