//! Is nothing lost and nothing done twice when others write to a thread, when a write is refused, or a node is gone?

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use quorate_core::{Code, Error, Result};
use quorate_state::{ChannelValue, NewCheckpoint, StateStore};
use quorate_workflows::graph::{
    App, Cache, Context, Durability, END, Graph, NodeOptions, Output, Reducer, Retry, RunOptions, START,
    Send, State, Status,
};
use serde_json::{Value, json};

use super::support::{answers, asking, both, chain, graph, is, log, says};

#[test]
fn a_thread_that_is_deleted_while_it_runs_has_one_writer() {
    both(|store| {
        let barrier = Arc::new(Barrier::new(2));
        let make = |wait: bool| {
            let barrier = Arc::clone(&barrier);
            graph()
                .node("a", move |_: &State, context: &Context| {
                    if wait {
                        barrier.wait();
                        barrier.wait();
                    }
                    Ok(json!({"log": context.run_id()}).into())
                })
                .node("b", |_: &State, context: &Context| {
                    Ok(json!({"log": [context.ask(json!("?"))?]}).into())
                })
                .edge(START, "a")
                .edge("a", "b")
                .compile(store)
                .unwrap()
        };
        let (slow, quick) = (make(true), make(false));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| slow.run(json!({}), "t"));
            barrier.wait();
            assert!(store.checkpoints(None).unwrap().delete("t").unwrap());
            // As often claimed as the first one was.
            let second = quick.run(json!({}), "t").unwrap();
            barrier.wait();
            is(first.join().unwrap(), Code::StaleWrite);
            let state = quick.state("t", None).unwrap();
            assert_eq!((state.status, &state.state["log"]), (Status::Waiting, &json!([second.run_id])));
        });
    });
}

#[test]
fn a_step_is_done_once_where_what_was_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let disk = StateStore::open(folder.path()).unwrap();
    for (name, store, durability) in [
        ("memory", StateStore::memory(), Durability::Sync),
        ("sync", disk.clone(), Durability::Sync),
        ("exit", disk.clone(), Durability::Exit),
    ] {
        let calls = Arc::new(AtomicUsize::new(0));
        let fits = Arc::new(AtomicBool::new(false));
        let node = |name: &'static str| {
            let (calls, fits) = (Arc::clone(&calls), Arc::clone(&fits));
            move |_: &State, context: &Context| {
                let once = context.step("once", || {
                    calls.fetch_add(1, Ordering::SeqCst);
                    Ok(json!(name))
                })?;
                let both = json!({"last": once, "log": [once]});
                Ok(if fits.load(Ordering::SeqCst) { json!({"log": [once]}) } else { both }.into())
            }
        };
        let app = graph()
            .node("a", node("a"))
            .node("b", node("b"))
            .edge(START, "a")
            .edge(START, "b")
            .compile(&store)
            .unwrap();
        let options = RunOptions { durability, ..RunOptions::default() };
        let failed = app.run_with(json!({}), name, &options).unwrap();
        assert!(failed.error.unwrap().message.contains("wrote it in the same step"), "{name}");
        assert_eq!(app.state(name, None).unwrap().tasks.iter().filter(|task| task.ended).count(), 0);
        let failed = app.resume_with(name, HashMap::new(), &options).unwrap();
        assert_eq!((failed.status, calls.load(Ordering::SeqCst)), (Status::Failed, 2), "{name}");
        fits.store(true, Ordering::SeqCst);
        let done = app.resume_with(name, HashMap::new(), &options).unwrap();
        assert_eq!(
            (done.status, log(&done), calls.load(Ordering::SeqCst)),
            (Status::Done, vec!["a", "b"], 2)
        );
    }
}

#[test]
fn an_update_keeps_what_a_running_branch_stores_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let (go, end) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let until = |flag: &Arc<AtomicBool>| {
        let flag = Arc::clone(flag);
        move || {
            while !flag.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    };
    let (b_waits, c_waits) = (until(&go), until(&end));
    let checkpoints = store.checkpoints(None).unwrap();
    let (go_inside, once) = (Arc::clone(&go), AtomicBool::new(false));
    let app = graph()
        // The update looks at what it writes; at that moment the branch comes to its end.
        .validator("log", move |value: &Value| {
            if value.as_array().unwrap().contains(&json!("hand")) && !once.swap(true, Ordering::SeqCst) {
                go_inside.store(true, Ordering::SeqCst);
                let stored = || {
                    let head = checkpoints.get("t", "", None).unwrap().unwrap();
                    head.writes.iter().any(|write| write.task == "b" && write.channel == "result")
                };
                while !stored() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            Ok(())
        })
        .node("a", |_: &State, context: &Context| Ok(json!({"log": [context.ask(json!("?"))?]}).into()))
        .node("b", move |_: &State, _: &Context| {
            b_waits();
            Ok(json!({"log": "b"}).into())
        })
        .node("c", move |_: &State, _: &Context| {
            c_waits();
            Ok(json!({"log": "c"}).into())
        })
        .edge(START, "a")
        .edge(START, "b")
        .edge(START, "c")
        .compile(&store)
        .unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| app.run(json!({}), "t"));
        while app.state("t", None).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        app.update("t", json!({"log": "hand"}), Some("a")).unwrap();
        end.store(true, Ordering::SeqCst);
        is(run.join().unwrap(), Code::StaleWrite);
    });
    assert_eq!(app.state("t", None).unwrap().state["log"], json!(["b", "hand"]));
}

#[test]
fn an_update_that_is_refused_takes_nothing_from_whoever_runs_the_thread() {
    both(|store| {
        let barrier = Arc::new(Barrier::new(2));
        let inside = Arc::clone(&barrier);
        let app = graph()
            .node("a", move |_: &State, _: &Context| {
                inside.wait();
                inside.wait();
                Ok(json!({"log": "a"}).into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        let done = std::thread::scope(|scope| {
            let run = scope.spawn(|| app.run(json!({}), "t"));
            barrier.wait();
            is(app.update("t", json!({"log": 1, "nothing": 1}), Some("a")), Code::InvalidArgument);
            is(app.update("t", json!({}), Some("nobody")), Code::InvalidArgument);
            barrier.wait();
            run.join().unwrap()
        });
        assert_eq!(log(&done.unwrap()), ["a"]);
    });
}

#[test]
fn a_panic_in_an_update_is_an_error() {
    both(|store| {
        let app = graph()
            .reducer(
                "sum",
                Reducer::custom(|old, new| {
                    assert!(new != 13, "oh");
                    Ok(json!(old.and_then(Value::as_i64).unwrap_or(0) + new.as_i64().unwrap()))
                }),
            )
            .node("a", |_: &State, context: &Context| Ok(json!({"log": [context.ask(json!("?"))?]}).into()))
            .node("b", |_: &State, _: &Context| Ok(json!({"sum": 13}).into()))
            .edge(START, "a")
            .edge(START, "b")
            .compile(store)
            .unwrap();
        app.run(json!({}), "t").unwrap();
        // What the update writes is fine, and what 'b' has written is not.
        is(app.update("t", json!({"sum": 1}), Some("a")), Code::Callback);
        app.update("u", json!({"sum": 1}), Some(START)).unwrap();
        is(app.update("u", json!({"sum": 13}), Some(START)), Code::Callback);
        assert_eq!(app.state("u", None).unwrap().state["sum"], 1);
    });
}

#[test]
fn a_step_that_several_threads_of_a_node_come_to_is_done_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let inside = Arc::clone(&calls);
    let app = graph()
        .node("a", move |_: &State, context: &Context| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let step = || {
                            context.step("one", || {
                                inside.fetch_add(1, Ordering::SeqCst);
                                Ok(json!(1))
                            })
                        };
                        while let Err(error) = step() {
                            assert_eq!(error.code(), Code::InvalidArgument, "{error}");
                            std::hint::spin_loop();
                        }
                    });
                }
            });
            Ok(Output::none())
        })
        .edge(START, "a")
        .compile(&StateStore::memory())
        .unwrap();
    for round in 1..=300 {
        app.run(json!({}), &format!("t{round}")).unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), round);
    }
}

#[test]
fn another_try_does_a_step_that_an_earlier_one_is_still_at() {
    both(|store| {
        let (begun, late) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begun_inside, late_inside) = (Arc::clone(&begun), Arc::clone(&late));
        let retry = Retry { max_attempts: 2, initial: Duration::ZERO, ..Retry::default() };
        let options = NodeOptions {
            timeout: Some(Duration::from_millis(100)),
            retry: Some(retry),
            ..NodeOptions::default()
        };
        let app = graph()
            .node_with(
                "a",
                options,
                Arc::new(move |_: &State, context: &Context| -> Result<Output> {
                    let done = context.step("long", || {
                        if begun_inside.fetch_add(1, Ordering::SeqCst) == 0 {
                            std::thread::sleep(Duration::from_millis(400));
                            return Ok(json!("late"));
                        }
                        Ok(json!("in time"))
                    });
                    if context.attempt() == 1 {
                        late_inside.store(if done.is_err() { 1 } else { 2 }, Ordering::SeqCst);
                    }
                    Ok(json!({"log": [done?]}).into())
                }),
            )
            .edge(START, "a")
            .compile(store)
            .unwrap();
        assert_eq!(log(&app.run(json!({}), "t").unwrap()), ["in time"]);
        while late.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!((late.load(Ordering::SeqCst), begun.load(Ordering::SeqCst)), (1, 2));
    });
}

#[test]
fn what_a_node_leaves_behind_does_nothing_more() {
    both(|store| {
        let left: Arc<std::sync::Mutex<Option<Context>>> = Arc::default();
        let inside = Arc::clone(&left);
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                *inside.lock().unwrap() = Some(context.clone());
                Ok(json!({"log": "a"}).into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        app.run(json!({}), "t").unwrap();
        let context = left.lock().unwrap().take().unwrap();
        is(context.step("late", || Ok(json!(1))), Code::Timeout);
        is(context.ask(json!("late")), Code::Timeout);
    });
}

#[test]
fn of_many_answers_to_one_review_one_counts() {
    both(|store| {
        for round in 0..20 {
            let app = graph()
                .node("a", |_: &State, context: &Context| {
                    Ok(json!({"log": [context.ask(json!("?"))?]}).into())
                })
                .edge(START, "a")
                .compile(store)
                .unwrap();
            let thread = format!("t{round}");
            let id = app.run(json!({}), &thread).unwrap().reviews[0].id.clone();
            let good: Vec<String> = std::thread::scope(|scope| {
                let all: Vec<_> = (0..4)
                    .map(|at| {
                        let (app, id, thread) = (&app, &id, &thread);
                        scope.spawn(move || {
                            let answer = format!("answer {at}");
                            match app.resume(thread, answers(&[(id, json!(answer))])) {
                                Ok(done) => {
                                    assert_eq!(
                                        (done.status, log(&done)),
                                        (Status::Done, vec![answer.as_str()])
                                    );
                                    Some(answer)
                                }
                                Err(error) => {
                                    let known = [Code::StaleWrite, Code::UnknownId];
                                    assert!(known.contains(&error.code()), "{error}");
                                    None
                                }
                            }
                        })
                    })
                    .collect();
                all.into_iter().filter_map(|one| one.join().unwrap()).collect()
            });
            assert!(good.len() <= 1, "{good:?}");
            // Whoever lost the thread may have given the answer.
            let done = app.resume(&thread, HashMap::new()).unwrap();
            assert!(good.is_empty() || log(&done) == [good[0].as_str()], "{good:?} {:?}", done.state);
        }
    });
}

/// The graph before and after its node "old" was given another name.
fn renamed(store: &StateStore, name: &'static str) -> App {
    let wait = |_: &State, context: &Context| Ok(json!({"log": [context.ask(json!("?"))?]}).into());
    let defer = NodeOptions { defer: true, ..NodeOptions::default() };
    graph()
        .node("beside", says("beside"))
        .node(name, wait)
        .node_with("end", defer, Arc::new(says("end")))
        .edge(START, "beside")
        .edge(START, name)
        .edge("beside", "end")
        .edge(name, "end")
        .compile(store)
        .unwrap()
}

#[test]
fn a_thread_whose_node_is_gone_is_seen_updated_and_cancelled() {
    both(|store| {
        let (old, new) = (renamed(store, "old"), renamed(store, "new"));
        for thread in ["t", "u", "v"] {
            assert_eq!(old.run(json!({}), thread).unwrap().status, Status::Waiting);
        }
        let state = new.state("t", None).unwrap();
        assert_eq!(
            (state.status, state.next),
            (Status::Waiting, vec!["beside".to_owned(), "old".to_owned()])
        );
        let id = &state.reviews[0].id;
        let error = is(new.resume("t", answers(&[(id, json!("yes"))])), Code::InvalidArgument);
        assert!(error.message().contains("'old'"), "{error}");
        // Nobody lost the thread by it.
        assert_eq!(old.state("t", None).unwrap().status, Status::Waiting);
        assert!(new.cancel("t").unwrap());
        assert_eq!(new.state("t", None).unwrap().status, Status::Cancelled);
        assert_eq!(old.state("t", None).unwrap().status, Status::Cancelled);
        // As another node; what had ended beside it is kept.
        new.update("u", json!({"log": "hand"}), Some("new")).unwrap();
        let done = new.resume("u", HashMap::new()).unwrap();
        assert_eq!((done.status, log(&done)), (Status::Done, vec!["beside", "hand", "end"]));
        new.update("v", json!({"log": "over"}), Some(END)).unwrap();
        assert_eq!(new.state("v", None).unwrap().status, Status::Done);
        // After a node that is gone it is not clear which one an update is.
        let app = graph().node("gone", says("gone")).edge(START, "gone").compile(store).unwrap();
        app.run(json!({}), "w").unwrap();
        is(new.update("w", json!({}), None), Code::InvalidArgument);
        new.update("w", json!({"log": "hand"}), Some("new")).unwrap();
    });
}

#[test]
fn a_task_that_has_failed_and_now_waits_has_failed_no_more() {
    both(|store| {
        let bad = Arc::new(AtomicBool::new(true));
        let inside = Arc::clone(&bad);
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                if inside.load(Ordering::SeqCst) {
                    return Err(Error::new(Code::RemoteFailed, "busy"));
                }
                Ok(json!({"log": [context.ask(json!("?"))?]}).into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        for durability in [Durability::Sync, Durability::Exit] {
            let options = RunOptions { durability, ..RunOptions::default() };
            let thread = format!("{durability:?}");
            bad.store(true, Ordering::SeqCst);
            assert_eq!(app.run_with(json!({}), &thread, &options).unwrap().status, Status::Failed);
            let state = app.state(&thread, None).unwrap();
            assert_eq!((state.status, state.tasks[0].error.is_some()), (Status::Failed, true));
            bad.store(false, Ordering::SeqCst);
            let waits = app.resume_with(&thread, HashMap::new(), &options).unwrap();
            assert_eq!(waits.status, Status::Waiting);
            let state = app.state(&thread, None).unwrap();
            assert_eq!((state.status, &state.tasks[0].error), (Status::Waiting, &None));
            let done = app.resume_with(&thread, answers(&[(&waits.reviews[0].id, json!("yes"))]), &options);
            assert_eq!(log(&done.unwrap()), ["yes"]);
        }
    });
}

#[test]
fn a_validator_sees_whatever_comes_to_its_channel() {
    let refuses = |value: &Value| {
        if value == "forbidden" { Err(Error::invalid("this word is not said")) } else { Ok(()) }
    };
    // Before anything is written.
    let schema = json!({"properties": {"last": {"type": "string", "default": "forbidden"}}});
    let node = |_: &State, _: &Context| -> Result<Output> { Ok(Output::none()) };
    let bad = Graph::new(schema.clone()).validator("last", refuses).node("a", node).edge(START, "a");
    let problems = bad.problems();
    assert!(problems.len() == 1 && problems[0].message.contains("not said"), "{problems:?}");
    let panics =
        Graph::new(schema).validator("last", |_: &Value| panic!("oh")).node("a", node).edge(START, "a");
    assert!(panics.problems()[0].message.contains("oh"));
    both(|store| {
        // At the beginning of a graph within the graph.
        let inner = graph().validator("last", refuses).node("x", says("x")).edge(START, "x");
        let app = graph().subgraph("in", inner).edge(START, "in").compile(store).unwrap();
        let error = app.run(json!({"last": "forbidden"}), "t").unwrap().error.unwrap();
        assert!(error.message.contains("not said"), "{error:?}");
        assert_eq!(app.run(json!({"last": "fine"}), "t").unwrap().status, Status::Done);
        // In what is sent, by a route and by a node.
        let options = NodeOptions { goto: vec!["to".to_owned()], ..NodeOptions::default() };
        let app = graph()
            .validator(
                "last",
                |value: &Value| {
                    if value == 3 { Err(Error::invalid("not three")) } else { Ok(()) }
                },
            )
            .node("route", |state: &State, _: &Context| Ok(json!({"sum": state["items"][0]}).into()))
            .node_with(
                "node",
                options,
                Arc::new(|state: &State, _: &Context| -> Result<Output> {
                    Ok(Send::new("to", json!({"last": state["items"][1]})).into())
                }),
            )
            .node("to", |state: &State, _: &Context| Ok(json!({"log": [state["last"]]}).into()))
            .edge(START, "route")
            .edge(START, "node")
            .edges_if(
                "route",
                |state: &State| Ok(Send::new("to", json!({"last": state["sum"], "part": 1})).into()),
                ["to"],
            )
            .compile(store)
            .unwrap();
        for (thread, items, says) in [
            ("u", json!([3, 1]), Some("not three")),
            ("v", json!([1, 3]), Some("not three")),
            ("w", json!([1, 2]), None),
        ] {
            let done = app.run(json!({"items": items}), thread).unwrap();
            match says {
                Some(says) => assert!(done.error.unwrap().message.contains(says), "{thread}"),
                None => assert_eq!(done.state["log"], json!([2, 1]), "{thread}"),
            }
        }
    });
}

#[test]
fn an_inner_graph_leaves_fields_alone_that_it_has_not_written() {
    both(|store| {
        let schema = json!({"properties": {"of": {"type": "object"}}});
        let graph = || Graph::new(schema.clone()).reducer("of", Reducer::Merge);
        let inner = graph().node("x", |_: &State, _: &Context| Ok(json!({"of": {"inner": 1}}).into()));
        let app = graph()
            .node("a", |_: &State, _: &Context| Ok(json!({"of": {"before": "changed"}}).into()))
            .subgraph("b", inner.edge(START, "x"))
            .edge(START, "a")
            .edge(START, "b")
            .compile(store)
            .unwrap();
        let done = app.run(json!({"of": {"before": "first"}}), "t").unwrap();
        assert_eq!(done.state["of"], json!({"before": "changed", "inner": 1}));
    });
}

#[test]
fn answers_are_found_among_many_questions() {
    both(|store| {
        let app = asking(store, &Arc::new(AtomicUsize::new(0)));
        let mut waits = app.run(json!({}), "t").unwrap();
        while waits.status == Status::Waiting {
            let last = waits.reviews.last().unwrap();
            waits = app.resume("t", answers(&[(&last.id, json!("yes"))])).unwrap();
        }
        assert_eq!(waits.status, Status::Done);
        // A node with a thousand steps looks each of them up.
        let calls = Arc::new(AtomicUsize::new(0));
        let inside = Arc::clone(&calls);
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                for n in 0..1_000 {
                    context.step(&format!("s{n}"), || {
                        inside.fetch_add(1, Ordering::SeqCst);
                        Ok(json!(n))
                    })?;
                }
                Ok(json!({"log": [context.ask(json!("?"))?]}).into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        let options = RunOptions { durability: Durability::Async, ..RunOptions::default() };
        let waits = app.run_with(json!({}), "u", &options).unwrap();
        let done = app.resume("u", answers(&[(&waits.reviews[0].id, json!("yes"))])).unwrap();
        assert_eq!((done.status, calls.load(Ordering::SeqCst)), (Status::Done, 1_000));
    });
}

#[test]
fn of_two_that_answer_the_same_review_one_goes_on() {
    both(|store| {
        let done = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&done);
        let app = graph()
            .node("a", move |_: &State, context: &Context| {
                let said = context.ask(json!("?"))?;
                std::thread::sleep(Duration::from_millis(5));
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(json!({"log": [said]}).into())
            })
            .edge(START, "a")
            .compile(store)
            .unwrap();
        let options = RunOptions { durability: Durability::Async, ..RunOptions::default() };
        for round in 0..60_u64 {
            let thread = format!("t{round}");
            let waits = app.run_with(json!({}), &thread, &options).unwrap();
            let barrier = Barrier::new(2);
            let told: Vec<Result<_>> = std::thread::scope(|scope| {
                let answer = |who: u64| {
                    let (app, id, thread, options) = (&app, &waits.reviews[0].id, &thread, &options);
                    let barrier = &barrier;
                    move || {
                        barrier.wait();
                        std::thread::sleep(Duration::from_micros(who * round * 10));
                        app.resume_with(thread, answers(&[(id, json!(who))]), options)
                    }
                };
                let both = [0, 1].map(|who| scope.spawn(answer(who)));
                both.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let went_on: Vec<_> = told.iter().filter_map(|one| one.as_ref().ok()).collect();
            assert_eq!(went_on.len(), 1, "round {round}: {told:?}");
            assert_eq!(went_on[0].status, Status::Done, "round {round}: {told:?}");
        }
        assert_eq!(done.load(Ordering::SeqCst), 60, "the node went to its end once in each thread");
    });
}

#[test]
fn an_answer_of_a_person_is_not_cached() {
    both(|store| {
        let options = NodeOptions { cache: Some(Cache::default()), ..NodeOptions::default() };
        let app = graph()
            .node_with(
                "a",
                options,
                Arc::new(|_: &State, context: &Context| {
                    Ok(json!({"log": [context.ask(json!("May it be sent?"))?]}).into())
                }),
            )
            .edge(START, "a")
            .compile(store)
            .unwrap();
        for thread in ["case-1", "case-2"] {
            let waits = app.run(json!({}), thread).unwrap();
            assert_eq!(waits.status, Status::Waiting, "{thread}");
            let done = app.resume(thread, answers(&[(&waits.reviews[0].id, json!(thread))])).unwrap();
            assert_eq!(log(&done), [thread]);
        }
    });
}

#[test]
fn a_thread_of_somebody_else_is_not_begun_with() {
    both(|store| {
        let checkpoints = store.checkpoints(None).unwrap();
        let value = Some(Arc::new(json!(["msgpack", "AAAA"])));
        let theirs = NewCheckpoint {
            data: Arc::new(json!([["msgpack", "AAAA"], ["msgpack", "AAAA"]])),
            versions: vec![("last".into(), "1".into())],
            values: vec![ChannelValue { channel: "last".into(), version: "1".into(), value }],
            ..NewCheckpoint::new("t")
        };
        let theirs = checkpoints.put(&theirs).unwrap();
        let app = chain(store);
        is(app.run(json!({}), "t"), Code::Corrupt);
        is(app.update("t", json!({"sum": 1}), Some(START)), Code::Corrupt);
        is(app.resume("t", HashMap::new()), Code::Corrupt);
        assert_eq!(checkpoints.get("t", "", None).unwrap().unwrap().id, theirs.id);
    });
}
