//! How is a thread changed from outside, and who has it?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use quorate_core::{Code, Error};
use quorate_workflows::graph::{Context, END, RunOptions, START, State, Status};
use serde_json::json;

use super::support::{asking, both, chain, graph, is, log, says};

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
