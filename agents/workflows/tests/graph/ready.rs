//! Do the graphs that ship ask anew where something else is to be asked, and only there?

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{Runtime, RuntimeOptions};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    Context, END, Graph, Reducer, RunOptions, START, Send, State, Status, expert_consultation,
    panel_deliberation,
};
use serde_json::json;

use super::support::{answers, both, is};

fn experts(model: ScriptedModel, store: &StateStore) -> Runtime {
    let model = Model::new(model, ModelOptions::default()).unwrap();
    Runtime::new(RuntimeOptions {
        model: Some(model),
        store: Some(store.clone()),
        ..RuntimeOptions::default()
    })
    .unwrap()
}

/// Answers with the number of the call; the first `bad` ones fail.
fn counting(calls: &Arc<AtomicUsize>, bad: usize) -> ScriptedModel {
    let calls = Arc::clone(calls);
    ScriptedModel::of_function(move |_, _| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        if call < bad {
            return Err(Error::new(Code::Callback, "the network is down"));
        }
        ScriptedModel::reply_from_json(&json!(format!("answer {call}.")))
    })
}

fn around(inner: Graph) -> Graph {
    let schema = json!({"properties": {
        "question": {"type": "string"}, "answer": {"type": "string"}, "todo": {"type": "array"},
        "answers": {"type": "array"},
    }});
    Graph::new(schema).reducer("answers", Reducer::Append).subgraph("ask", inner)
}

#[test]
fn an_expert_is_asked_each_question_of_a_loop() -> Result<()> {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = around(expert_consultation(&experts(counting(&calls, 0), store)))
            .node("pick", |state: &State, _: &Context| {
                let todo = state["todo"].as_array().unwrap();
                Ok(json!({"question": todo[0], "todo": todo[1..]}).into())
            })
            .node("note", |state: &State, _: &Context| Ok(json!({"answers": state["answer"]}).into()))
            .edge(START, "pick")
            .edge("pick", "ask")
            .edge("ask", "note")
            .edges_if(
                "note",
                |state: &State| {
                    let over = state["todo"].as_array().unwrap().is_empty();
                    Ok(if over { END.into() } else { "pick".into() })
                },
                ["pick", END],
            )
            .compile(store)
            .unwrap();
        // The same question again is another question too.
        let done = app.run(json!({"todo": ["One?", "Two?", "Two?"]}), "t").unwrap();
        assert_eq!((done.status, &done.error), (Status::Done, &None));
        assert_eq!(done.state["answers"], json!(["answer 0.", "answer 1.", "answer 2."]));
    });
    Ok(())
}

#[test]
fn an_expert_is_asked_about_each_part() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let schema = json!({"properties": {"answer": {"type": "array"}, "question": {"type": "string"}}});
        let app = Graph::new(schema)
            .reducer("answer", Reducer::Append)
            .subgraph("ask", expert_consultation(&experts(counting(&calls, 0), store)))
            .edges_if(
                START,
                |_: &State| {
                    let parts = ["One?", "Two?", "Three?"];
                    let send = |part: &&str| Send::new("ask", json!({"question": part}));
                    Ok(parts.iter().map(send).collect::<Vec<_>>().into())
                },
                ["ask"],
            )
            .compile(store)
            .unwrap();
        let done = app.run(json!({}), "t").unwrap();
        assert_eq!((done.status, &done.error), (Status::Done, &None));
        assert_eq!((done.state["answer"].as_array().unwrap().len(), calls.load(Ordering::SeqCst)), (3, 3));
    });
}

#[test]
fn an_update_and_a_fork_ask_anew() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = expert_consultation(&experts(counting(&calls, 0), store)).compile(store).unwrap();
        let done = app.run(json!({"question": "One?"}), "t").unwrap();
        assert_eq!(done.state["answer"], "answer 0.");
        app.update("t", json!({"question": "Two?"}), Some(START)).unwrap();
        let done = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((done.status, &done.state["answer"]), (Status::Done, &json!("answer 1.")));
        let begun = app.history("t", None, None).unwrap().pop().unwrap();
        app.fork("t", Some(&begun.checkpoint), "u").unwrap();
        assert_eq!(app.resume("u", HashMap::new()).unwrap().state["answer"], "answer 2.");
    });
}

#[test]
fn an_expert_who_has_failed_or_was_stopped_is_asked_anew() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = expert_consultation(&experts(counting(&calls, 2), store)).compile(store).unwrap();
        let failed = app.run(json!({"question": "One?"}), "t").unwrap();
        assert_eq!((failed.status, failed.error.unwrap().code.as_str()), (Status::Failed, "callback"));
        assert_eq!(app.resume("t", HashMap::new()).unwrap().status, Status::Failed);
        let done = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((done.status, &done.error), (Status::Done, &None));
        assert_eq!(done.state["answer"], "answer 2.");
        assert_eq!(calls.load(Ordering::SeqCst), 3);

        let stop = Cancel::new();
        let (raised, calls) = (stop.clone(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&calls);
        let model = ScriptedModel::of_function(move |_, cancel| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                raised.cancel();
            }
            cancel.check()?;
            ScriptedModel::reply_from_json(&json!("after all."))
        });
        let app = expert_consultation(&experts(model, store)).compile(store).unwrap();
        let options = RunOptions { stop, ..RunOptions::default() };
        is(app.run_with(json!({"question": "One?"}), "s", &options), Code::Cancelled);
        let done = app.resume("s", HashMap::new()).unwrap();
        assert_eq!((done.status, &done.state["answer"]), (Status::Done, &json!("after all.")));
    });
}

#[test]
fn what_a_person_said_is_said_of_its_answer_alone() {
    both(|store| {
        let calls = Arc::new(AtomicUsize::new(0));
        let app = expert_consultation(&experts(counting(&calls, 0), store)).compile(store).unwrap();
        let waits = app.run(json!({"question": "One?", "review": true}), "t").unwrap();
        let done = app.resume("t", answers(&[(&waits.reviews[0].id, json!(true))])).unwrap();
        assert_eq!(done.state["reviewed"], true);
        let done = app.run(json!({"question": "Two?", "review": false}), "t").unwrap();
        assert_eq!((&done.state["answer"], &done.state["reviewed"]), (&json!("answer 1."), &json!(null)));
    });
}

#[test]
fn a_panel_deliberates_each_time_that_it_is_asked() {
    both(|store| {
        let says = ScriptedModel::of_texts(vec![r#"{"choice": "yes", "reasons": [{"text": "so"}]}"#; 40]);
        let app = panel_deliberation(&experts(says, store)).compile(store).unwrap();
        let given = json!({"question": "Approve?", "options": ["yes", "no"], "members": ["a", "b", "c"]});
        let first = app.run(given, "t").unwrap();
        assert_eq!((first.status, &first.state["decision"]), (Status::Done, &json!("yes")));
        app.update("t", json!({"question": "Approve the other?"}), Some(START)).unwrap();
        let second = app.resume("t", HashMap::new()).unwrap();
        assert_eq!((second.status, &second.error), (Status::Done, &None));
        assert_ne!(first.state["panel"], second.state["panel"]);
    });
}
