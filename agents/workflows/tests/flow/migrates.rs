//! Does a run go on by another version of its definition, with all that it has done, or not at all, and for reasons that are told?

use std::sync::Arc;
use std::time::Duration;

use quorate_state::StateStore;
use quorate_workflows::flow::{Clock, Engine, EngineOptions, ManualClock, StartOptions, Status, WorkflowRun};
use serde_json::{Value, json};

use crate::support::{Log, Rig, code, flow, is, rig, status, step, tools, until};

const FIRST: &str = "
input: {type: object}
steps:
  a: {integration: {tool: t.ok, args: {n: 1}}, compensate: {tool: t.undo, args: {n: 1}}}
  sign: {needs: [a], human_review: {role: lead, title: 'Sign', options: [yes_, no_], due: P5D}}
  go: {needs: [a], wait: {signal: go, timeout: P10D}}
  b: {needs: [sign, go], integration: {tool: t.ok, args: {n: old}}}
output: {b: '${steps.b.output.n}', v: '${run.version}'}
";

fn second(from: &str, changes: &[(&str, &str)]) -> String {
    let mut text = flow(from).replace("version: 1.0.0", "version: 2.0.0");
    for (old, new) in changes {
        assert!(text.contains(old), "{old}");
        text = text.replace(old, new);
    }
    text
}

fn waiting(rig: &Rig, steps: &str, id: &str) -> WorkflowRun {
    let run = rig.start(steps, json!({"k": 1}));
    until(&run, id, "waiting");
    // It is let go of.
    is(&run, Status::Waiting);
    run
}

fn decide(rig: &Rig, run: &WorkflowRun) {
    let review = rig.engine.reviews(None, Some(run.id())).unwrap().remove(0);
    review.decide("yes_", "bob", None, Value::Null).unwrap();
}

#[test]
fn a_run_goes_on_by_the_other_version_and_keeps_what_it_has_done_and_waits_for() {
    let rig = rig();
    let run = waiting(&rig, FIRST, "go");
    let review = rig.engine.reviews(None, Some(run.id())).unwrap().remove(0);
    run.signal("other", json!(7), Some("kept")).unwrap();
    let new = second(
        FIRST,
        &[
            ("{n: old}", "{n: new}"),
            ("needs: [sign, go]", "needs: [sign, go, extra]"),
            (
                "  b:",
                "  extra: {needs: [a], integration: {tool: t.ok, args: {n: '${steps.a.output.n + 1}'}}}\n  late: {needs: [b], wait: {signal: other}}\n  b:",
            ),
            ("title: 'Sign'", "title: 'Sign'"),
        ],
    );
    rig.engine.add(&new).unwrap();
    run.migrate("2.0.0").unwrap();
    assert_eq!(run.definition().unwrap().version(), "2.0.0");
    until(&run, "extra", "completed");
    // The review is the same one, and open; its time is what it was.
    let again = rig.engine.review(&review.id).unwrap();
    assert_eq!((again.due, again.opened), (review.due, review.opened));
    decide(&rig, &run);
    run.signal("go", json!({}), None).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"b": "new", "v": "2.0.0"}));
    assert_eq!(rig.calls().len(), 3, "'a' ran once: {:?}", rig.calls());
    // The journal says so, and has both.
    let journal = run.journal().unwrap();
    let moved = journal.iter().find(|entry| entry.kind == "migrated").unwrap();
    let export = run.export().unwrap();
    let from = moved.data["from"].as_str().unwrap();
    assert_eq!(export["definitions_before"][from]["version"], json!("1.0.0"));
    assert_eq!((&export["version"], &export["definition"]["version"]), (&json!("2.0.0"), &json!("2.0.0")));
    assert_eq!(step(&run, "late").signal.as_deref(), Some("other"), "a signal that came before");
}

#[test]
fn what_keeps_a_run_back_is_told_all_at_once_and_nothing_has_changed() {
    let rig = rig();
    let run = waiting(&rig, FIRST, "go");
    let before = run.journal().unwrap().len();
    let new = second(
        FIRST,
        &[
            ("args: {n: 1}}, compensate", "args: {n: 2}}, compensate"),
            ("sign: {needs: [a], human_review: {role: lead", "sign: {needs: [a], human_review: {role: boss"),
            ("go: {needs: [a], wait: {signal: go, timeout: P10D}}", "gone: {needs: [a], wait: {signal: go}}"),
            ("needs: [sign, go]", "needs: [sign, gone]"),
            ("input: {type: object}", "input: {type: object, required: [m]}"),
            ("steps:\n", "queue: {name: other}\nsteps:\n"),
        ],
    );
    rig.engine.add(&new).unwrap();
    let error = run.migrate("2.0.0").unwrap_err();
    assert_eq!(error.code().as_str(), "run_conflict");
    for reason in [
        "steps.a: it is completed",
        "steps.sign: it is waiting",
        "steps.go: it is waiting",
        "input: ",
        "queue: ",
    ] {
        assert!(error.message().contains(reason), "{reason}: {error}");
    }
    assert_eq!((run.journal().unwrap().len(), run.definition().unwrap().version()), (before, "1.0.0"));
    assert_eq!(code(run.migrate("9.9.9")), "unknown_id");
    decide(&rig, &run);
    run.signal("go", json!({}), None).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"b": "old", "v": "1.0.0"}));
    assert_eq!(code(run.migrate("1.0.0")), "run_conflict");
}

#[test]
fn a_running_step_keeps_it_back_and_a_paused_run_can_be_moved() {
    let rig = rig();
    let steps = "steps:\n  a: {integration: {tool: t.slow, args: {ms: 400}}}\n  b: {needs: [a], integration: {tool: t.ok, args: {n: old}}}\noutput: '${steps.b.output.n}'\n";
    let run = rig.start(steps, json!({}));
    until(&run, "a", "running");
    rig.engine.add(&second(steps, &[("{n: old}", "{n: new}")])).unwrap();
    let error = run.migrate("2.0.0").unwrap_err();
    assert!(error.message().contains("steps.a: it is running"), "{error}");
    run.pause().unwrap();
    until(&run, "a", "completed");
    run.migrate("2.0.0").unwrap();
    run.migrate("2.0.0").unwrap();
    assert_eq!(
        run.journal().unwrap().iter().filter(|entry| entry.kind == "migrated").count(),
        1,
        "twice is once"
    );
    assert_eq!((run.status().unwrap(), status(&run, "b").as_str()), (Status::Paused, "pending"));
    run.resume().unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!("new"));
}

#[test]
fn what_lacked_a_tool_may_say_something_else_and_what_was_done_is_undone_by_what_it_says() {
    let rig = rig();
    let steps = "steps:\n  a: {integration: {tool: t.ok, args: {n: 1}}, compensate: {tool: t.undo, args: {n: 1}}}\n  b: {needs: [a], integration: {tool: nobody.has}}\n  c: {needs: [b], integration: {tool: t.ok}}\n";
    let run = rig.start(steps, json!({}));
    is(&run, Status::Blocked);
    // Ids that lie before others move every place.
    let changes = [
        ("tool: nobody.has", "tool: t.bad"),
        ("steps:\n", "steps:\n  A0: {integration: {tool: t.ok, args: {n: 0}}}\n"),
    ];
    rig.engine.add(&second(steps, &changes)).unwrap();
    run.migrate("2.0.0").unwrap();
    until(&run, "A0", "completed");
    run.retry(Some("b")).unwrap();
    is(&run, Status::Failed);
    let undone: Vec<String> = rig.calls().into_iter().filter(|call| call.starts_with("t.undo")).collect();
    assert_eq!(undone, ["t.undo {\"n\":1}"]);
    assert_eq!(code(run.migrate("1.0.0")), "run_conflict");
}

#[test]
fn what_is_new_within_what_is_over_is_refused_and_within_what_goes_on_is_done() {
    let rig = rig();
    let steps = "
steps:
  p: {parallel: {join: all, steps: {x: {integration: {tool: t.ok, args: {n: x}}}, y: {wait: {signal: y}}}}}
  w: {needs: [p], wait: {signal: w}}
";
    let run = waiting(&rig, steps, "y");
    let new = [(
        "y: {wait: {signal: y}}}",
        "y: {wait: {signal: y}}, z: {integration: {tool: t.ok, args: {n: z}}}}",
    )];
    rig.engine.add(&second(steps, &new)).unwrap();
    run.migrate("2.0.0").unwrap();
    until(&run, "z", "completed");
    run.signal("y", json!({}), None).unwrap();
    until(&run, "w", "waiting");
    is(&run, Status::Waiting);
    let third = second(steps, &new)
        .replace("version: 2.0.0", "version: 3.0.0")
        .replace("z: {int", "v: {integration: {tool: t.ok}}, z: {int");
    rig.engine.add(&third).unwrap();
    let error = run.migrate("3.0.0").unwrap_err();
    assert!(error.message().contains("steps.v: it is new, and within 'p', which is over"), "{error}");
    // What it says of itself may not change either.
    let fourth =
        second(steps, &new).replace("version: 2.0.0", "version: 4.0.0").replace("join: all", "join: any");
    rig.engine.add(&fourth).unwrap();
    assert_eq!(code(run.migrate("4.0.0")), "run_conflict");
    run.signal("w", json!({}), None).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn another_engine_that_remembers_the_run_goes_on_by_the_other_version_too() {
    let folder = tempfile::tempdir().unwrap();
    let (log, clock) = (Log::default(), ManualClock::new(1_000_000.0));
    let engine = |concurrency: usize| {
        let options = EngineOptions {
            tools: tools(&log),
            clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>),
            concurrency: Some(concurrency),
            ..EngineOptions::default()
        };
        let engine = Engine::new(StateStore::open(folder.path()).unwrap(), options).unwrap();
        engine.add(&flow(FIRST)).unwrap();
        engine
    };
    let (works, idle) = (engine(4), engine(0));
    let run = works.start("test.flow", json!({}), StartOptions::default()).unwrap();
    until(&run, "go", "waiting");
    is(&run, Status::Waiting);
    let seen = idle.get(run.id()).unwrap();
    assert_eq!(seen.steps().unwrap().len(), 4);
    // The one that moves it has the version; the one that goes on reads it from the store.
    idle.add(&second(FIRST, &[("{n: old}", "{n: new}")])).unwrap();
    seen.migrate("2.0.0").unwrap();
    works.reviews(None, Some(run.id())).unwrap().remove(0).decide("yes_", "bob", None, Value::Null).unwrap();
    run.signal("go", json!({}), None).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"b": "new", "v": "2.0.0"}));
    assert_eq!(
        works.start("test.flow", json!({}), StartOptions::default()).unwrap().definition().unwrap().version(),
        "1.0.0"
    );
    works.close_within(Duration::from_secs(20)).unwrap();
}
