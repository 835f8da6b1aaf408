//! Do graphs within graphs go on, wait and refuse as the outer ones do?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_state::StateStore;
use quorate_workflows::graph::{Context, Graph, Output, START, Send, State, Status};
use serde_json::json;

use super::support::{answers, both, graph, log, says};

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
