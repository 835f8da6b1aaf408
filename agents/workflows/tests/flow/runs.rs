//! Do runs come to what their steps say?

use quorate_workflows::flow::{StartOptions, Status};
use serde_json::{Value, json};

use crate::support::{MOST, code, is, rig, status, step, until};

#[test]
fn steps_wait_for_what_they_need_and_skipped_ones_give_null() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.ok, args: {n: '${input.n + 1}'}}}
  b: {needs: [a], when: 'steps.a.output.n > 100', integration: {tool: t.ok}}
  c: {needs: [b], integration: {tool: t.ok, args: {b: '${steps.b.output}', a: '${steps.a.output.n}', s: '${steps.b.status}'}}}
output: {c: '${steps.c.output}', text: 'n is ${steps.a.output.n}'}
",
        json!({"n": 1}),
    );
    is(&run, Status::Completed);
    let expected = json!({"c": {"b": null, "a": 2, "s": "skipped"}, "text": "n is 2"});
    assert_eq!(run.result().unwrap(), expected);
    assert_eq!(rig.names(), ["t.ok", "t.ok"]);
    assert_eq!(status(&run, "b"), "skipped");
    let kinds: Vec<String> = run.journal().unwrap().into_iter().map(|entry| entry.kind).collect();
    assert_eq!(
        kinds,
        [
            "started",
            "step_started",
            "step_completed",
            "step_skipped",
            "step_started",
            "step_completed",
            "ended"
        ]
    );
    let streamed: Vec<String> = run.stream(1).map(|entry| entry.unwrap().kind).collect();
    assert_eq!(streamed, kinds);
    assert!(run.mermaid().unwrap().contains("class s0 completed"));
    assert_eq!(run.export().unwrap()["journal"].as_array().unwrap().len(), kinds.len());
}

#[test]
fn conditionals_end_fail_and_go_on() {
    let steps = "
steps:
  pathway:
    conditional:
      - {when: \"input.class == 'III'\", then: {fail: {code: pma_required, message: 'class ${input.class}'}}}
      - {when: 'input.exempt', then: {end: {pathway: exempt}}}
      - {else: continue}
  next: {needs: [pathway], integration: {tool: t.ok, args: {went: on}}}
";
    let rig = rig();
    let ended = rig.start(steps, json!({"class": "I", "exempt": true}));
    is(&ended, Status::Completed);
    assert_eq!(ended.result().unwrap(), json!({"pathway": "exempt"}));
    let failed = rig.start(steps, json!({"class": "III", "exempt": true}));
    is(&failed, Status::Failed);
    let ending = failed.ending().unwrap().unwrap();
    assert_eq!(
        (&ending["code"], &ending["message"], &ending["step"]),
        (&json!("pma_required"), &json!("class III"), &json!("pathway"))
    );
    assert_eq!(code(failed.result()), "tool_failed");
    assert!(rig.names().is_empty(), "nothing came after");
    let went = rig.start(steps, json!({"class": "I", "exempt": false}));
    is(&went, Status::Completed);
    assert_eq!(went.result().unwrap(), json!({"next": {"went": "on"}}));
    // What cannot be computed fails the step, and says why.
    let broken = rig.start(steps, json!({"exempt": false}));
    is(&broken, Status::Failed);
    assert_eq!(broken.ending().unwrap().unwrap()["code"], "expression_failed");
}

#[test]
fn failures_are_tried_again_as_often_as_it_says_and_no_more() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.flaky, args: {fails: 2}}, retry: {max_attempts: 3, backoff: 10s, jitter: none}}
",
        json!({}),
    );
    until(&run, "a", "retrying");
    assert_eq!(run.status().unwrap(), Status::Running);
    assert_eq!((rig.names().len(), step(&run, "a").code.as_deref()), (1, Some("remote_failed")));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(rig.names().len(), 1, "the time has not come");
    rig.clock.advance(10.0);
    while rig.names().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    until(&run, "a", "retrying");
    rig.clock.advance(19.0);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(rig.names().len(), 2, "the second wait is twice as long");
    rig.clock.advance(1.0);
    is(&run, Status::Completed);
    let keys: Vec<String> = rig.log.lock().unwrap().iter().map(|(_, _, key)| key.clone()).collect();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");

    let hopeless = rig
        .start("steps: {a: {integration: {tool: t.down}, retry: {max_attempts: 2, backoff: 0s}}}", json!({}));
    is(&hopeless, Status::Failed);
    assert_eq!(step(&hopeless, "a").attempts, 2);
    let bad = rig.start("steps: {a: {integration: {tool: t.bad}, retry: {max_attempts: 5}}}", json!({}));
    is(&bad, Status::Failed);
    assert_eq!(step(&bad, "a").attempts, 1, "invalid_argument is worth no other attempt");
    let panics = rig.start("steps: {a: {integration: {tool: t.panic}}}", json!({}));
    is(&panics, Status::Failed);
    assert_eq!(step(&panics, "a").code.as_deref(), Some("callback"));
}

#[test]
fn parallel_steps_join_as_they_say() {
    let rig = rig();
    let all = rig.start(
        "
steps:
  p:
    parallel:
      join: all
      steps:
        x: {integration: {tool: t.ok, args: {v: x}}}
        y: {integration: {tool: t.ok, args: {v: y}}, needs: [x]}
        z: {integration: {tool: t.ok}, when: 'false'}
  q: {needs: [p], integration: {tool: t.ok, args: {y: '${steps.p.output.y.v}', x: '${steps.x.output.v}'}}}
",
        json!({}),
    );
    is(&all, Status::Completed);
    assert_eq!(all.result().unwrap(), json!({"q": {"y": "y", "x": "x"}}));
    assert_eq!(step(&all, "p").output, json!({"x": {"v": "x"}, "y": {"v": "y"}, "z": null}));

    let any = rig.start(
        "
steps:
  p: {parallel: {join: any, steps: {slow: {integration: {tool: t.slow, args: {ms: 20000}}}, fast: {integration: {tool: t.ok}}}}}
",
        json!({}),
    );
    is(&any, Status::Completed);
    assert_eq!((status(&any, "slow").as_str(), status(&any, "fast").as_str()), ("cancelled", "completed"));

    let parallel = |join: &str, tolerate: u32| {
        rig.start(
            &format!(
                "
steps:
  p: {{parallel: {{join: {join}, tolerate: {tolerate}, steps: {{
    bad: {{integration: {{tool: t.bad}}}}, good: {{integration: {{tool: t.ok}}}}, slow: {{integration: {{tool: t.slow, args: {{ms: 100}}}}}}}}}}}}
"
            ),
            json!({}),
        )
    };
    let strict = parallel("all", 0);
    is(&strict, Status::Failed);
    assert_eq!(
        (status(&strict, "slow").as_str(), strict.ending().unwrap().unwrap()["code"].as_str()),
        ("cancelled", Some("invalid_argument"))
    );
    let lenient = parallel("all", 1);
    is(&lenient, Status::Completed);
    assert_eq!(
        (status(&lenient, "bad").as_str(), step(&lenient, "p").output["bad"].clone()),
        ("failed", Value::Null)
    );
    is(&parallel("{at_least: 2}", 0), Status::Completed);
    is(&parallel("{at_least: 3}", 0), Status::Failed);
}

#[test]
fn loops_go_back_as_often_as_they_may() {
    let rig = rig();
    let steps = |max: u32| {
        format!(
            "
steps:
  draft: {{integration: {{tool: t.ok, args: {{n: '${{step.visit}}', before: '${{steps.draft.last}}'}}}}}}
  polish: {{needs: [draft], integration: {{tool: t.ok, args: {{of: '${{steps.draft.output.n}}'}}}}}}
  check:
    needs: [polish]
    conditional:
      - {{when: 'steps.polish.output.of < 3', then: {{goto: draft, max: {max}}}}}
      - {{else: continue}}
output: {{n: '${{steps.draft.output.n}}', before: '${{steps.draft.output.before.n}}'}}
"
        )
    };
    let run = rig.start(&steps(2), json!({}));
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"n": 3, "before": 2}));
    let short = rig.start(&steps(1), json!({}));
    is(&short, Status::Failed);
    assert_eq!(short.ending().unwrap().unwrap()["code"], "loop_limit");
}

#[test]
fn what_was_done_is_undone_in_reverse() {
    let rig = rig();
    let steps = "
steps:
  fee: {integration: {tool: t.ok, args: {paid: 7}}, compensate: {tool: t.undo, args: {refund: '${step.output.paid}'}}}
  submit: {needs: [fee], integration: {tool: t.ok, args: {k: 1}}, compensate: {tool: t.undo, args: {withdraw: '${steps.submit.output.k}'}}}
  fails: {needs: [submit], integration: {tool: t.bad}, compensate: {tool: t.undo, args: {never: 1}}}
";
    let run = rig.start(steps, json!({}));
    is(&run, Status::Failed);
    let undone: Vec<String> = rig.calls().into_iter().filter(|call| call.starts_with("t.undo")).collect();
    assert_eq!(undone, ["t.undo {\"withdraw\":1}", "t.undo {\"refund\":7}"]);
    assert_eq!(
        run.ending().unwrap().unwrap()["code"],
        "invalid_argument",
        "what it failed with, and not with undoing"
    );

    let stuck = rig.start(
        "
steps:
  one: {integration: {tool: t.ok}, compensate: {tool: t.undo, args: {one: 1}}}
  two: {needs: [one], integration: {tool: t.ok}, compensate: {tool: t.down, retry: {max_attempts: 3, backoff: 0s}}}
  fails: {needs: [two], integration: {tool: t.bad}}
",
        json!({}),
    );
    is(&stuck, Status::Failed);
    let ending = stuck.ending().unwrap().unwrap();
    assert_eq!(
        (&ending["code"], &ending["cause"]["code"]),
        (&json!("compensation_failed"), &json!("invalid_argument"))
    );
    assert_eq!(rig.names().iter().filter(|name| *name == "t.down").count(), 3);
    assert!(rig.calls().contains(&"t.undo {\"one\":1}".to_owned()), "the others are undone all the same");
}

#[test]
fn nothing_begins_after_cancel_and_what_is_over_stays() {
    let rig = rig();
    let steps = "
steps:
  a: {integration: {tool: t.ok}, compensate: {tool: t.undo}}
  b: {needs: [a], integration: {tool: t.slow, args: {ms: 20000}}}
  c: {needs: [b], integration: {tool: t.ok, args: {never: 1}}}
";
    for compensate in [true, false] {
        rig.log.lock().unwrap().clear();
        let run = rig.start(steps, json!({}));
        until(&run, "b", "running");
        run.cancel("not needed", compensate).unwrap();
        is(&run, Status::Cancelled);
        let undone = rig.names().iter().filter(|name| *name == "t.undo").count();
        assert_eq!(undone, usize::from(compensate));
        assert!(!rig.calls().iter().any(|call| call.contains("never")));
        assert_eq!(code(run.result()), "cancelled");
        let before = run.journal().unwrap().len();
        for refused in [run.cancel("again", true), run.pause(), run.resume(), run.retry(None), run.skip("c")]
        {
            assert_eq!(code(refused), "run_conflict");
        }
        assert_eq!(code(run.signal("x", json!(1), None)), "run_conflict");
        assert_eq!((run.status().unwrap(), run.journal().unwrap().len()), (Status::Cancelled, before));
    }
}

#[test]
fn a_paused_run_begins_nothing_until_it_is_resumed() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.slow, args: {ms: 50}}}
  b: {needs: [a], integration: {tool: t.ok}}
",
        json!({}),
    );
    until(&run, "a", "running");
    run.pause().unwrap();
    assert_eq!(run.status().unwrap(), Status::Paused);
    until(&run, "a", "completed");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!((run.status().unwrap(), status(&run, "b").as_str()), (Status::Paused, "pending"));
    run.resume().unwrap();
    is(&run, Status::Completed);
}

#[test]
fn signals_are_kept_when_they_come_early_and_taken_once() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.slow, args: {ms: 100}}}
  one: {needs: [a], wait: {signal: [fda.decision, fda.other], timeout: P10D}}
  two: {needs: [one], wait: {signal: fda.decision, timeout: P10D}}
output: {one: '${steps.one.output.n}', by: '${steps.one.signal}', two: '${steps.two.output.n}'}
",
        json!({}),
    );
    run.signal("fda.decision", json!({"n": 1}), Some("d1")).unwrap();
    run.signal("fda.decision", json!({"n": 9}), Some("d1")).unwrap();
    run.signal("nobody.asked", json!({"n": 5}), None).unwrap();
    until(&run, "two", "waiting");
    assert_eq!(run.status().unwrap(), Status::Waiting);
    run.signal("fda.decision", json!({"n": 9}), Some("d1")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(status(&run, "two"), "waiting", "the same signal counts once");
    run.signal("fda.decision", json!({"n": 2}), Some("d2")).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"one": 1, "by": "fda.decision", "two": 2}));
}

#[test]
fn waits_end_when_their_time_comes() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  pause: {wait: {for: P30D}}
  until: {needs: [pause], wait: {until: '1970-01-01T00:00:01Z'}}
  signal: {needs: [until], wait: {signal: s, timeout: 15d, on_timeout: continue}}
  late: {needs: [signal], wait: {signal: s, timeout: 1d}}
",
        json!({}),
    );
    until(&run, "pause", "waiting");
    rig.clock.advance(30.0 * 86_400.0 - 1.0);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(status(&run, "pause"), "waiting");
    rig.clock.advance(1.0);
    until(&run, "signal", "waiting");
    rig.clock.advance(15.0 * 86_400.0);
    until(&run, "late", "waiting");
    assert_eq!(step(&run, "signal").output, Value::Null);
    rig.clock.advance(86_400.0);
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], "timeout");
}

#[test]
fn an_attempt_that_takes_too_long_is_ended_and_so_is_a_run() {
    let rig = rig();
    let run =
        rig.start("steps: {a: {integration: {tool: t.slow, args: {ms: 20000}}, timeout: 5s}}", json!({}));
    until(&run, "a", "running");
    rig.clock.advance(5.0);
    is(&run, Status::Failed);
    assert_eq!(step(&run, "a").code.as_deref(), Some("timeout"));
    let options = StartOptions { deadline: Some(1_000_105.0), ..StartOptions::default() };
    let run = rig.start_with("steps: {a: {wait: {signal: s}}}", json!({}), options);
    until(&run, "a", "waiting");
    rig.clock.advance(100.0);
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], "deadline");
}

#[test]
fn a_blocked_step_is_tried_again_or_skipped_by_hand() {
    let rig = rig();
    let steps = "
steps:
  a: {integration: {tool: t.flaky, args: {fails: 1}}, on_error: block}
  b: {needs: [a], integration: {tool: t.ok, args: {a: '${steps.a.output}'}}}
";
    let run = rig.start(steps, json!({}));
    is(&run, Status::Blocked);
    let blocked = step(&run, "a");
    assert_eq!(
        (blocked.code.as_deref(), blocked.message.as_deref()),
        (Some("remote_failed"), Some("not yet"))
    );
    assert_eq!(code(run.retry(Some("b"))), "run_conflict");
    assert_eq!(code(run.retry(Some("z"))), "unknown_id");
    run.retry(Some("a")).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"b": {"a": {"after": 1}}}));
    let run = rig.start(&steps.replace("t.flaky", "t.down"), json!({}));
    is(&run, Status::Blocked);
    run.skip("a").unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"b": {"a": null}}));
    let on = rig.start("steps: {a: {integration: {tool: t.down}, on_error: continue}}", json!({}));
    is(&on, Status::Completed);
}

#[test]
fn a_workflow_runs_within_another() {
    let rig = rig();
    rig.engine
        .add(
            "
apiVersion: quorate/v1
kind: Workflow
id: test.inner
version: 1.0.0
input: {type: object, properties: {n: {type: integer}}, required: [n]}
steps: {x: {integration: {tool: t.ok, args: {n: '${input.n * 2}'}}}, w: {needs: [x], wait: {signal: go, timeout: 1d}}}
output: {twice: '${steps.x.output.n}', told: '${steps.w.output}'}
",
        )
        .unwrap();
    let steps = "
steps:
  sub: {workflow: {id: test.inner, input: {n: '${input.n}'}}}
output: '${steps.sub.output}'
";
    let run = rig.start(steps, json!({"n": 21}));
    until(&run, "sub", "waiting");
    let inner = format!("{}.sub.1", run.id());
    for _ in 0..2_000 {
        if rig.engine.get(&inner).is_ok() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    rig.engine.get(&inner).unwrap().signal("go", json!("yes"), None).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"twice": 42, "told": "yes"}));
    // Its input is checked like any other, and ends with the run that has started it.
    let wrong = rig.start(steps, json!({"n": "x"}));
    is(&wrong, Status::Failed);
    let run = rig.start(steps, json!({"n": 1}));
    until(&run, "sub", "waiting");
    let inner = rig.engine.get(&format!("{}.sub.1", run.id()));
    run.cancel("enough", true).unwrap();
    is(&run, Status::Cancelled);
    if let Ok(inner) = inner {
        assert_eq!(inner.wait(MOST).unwrap(), Status::Cancelled);
    }
}

#[test]
fn a_run_is_started_once_for_a_word_and_its_input_is_checked() {
    let rig = rig();
    let steps = "
input: {type: object, properties: {n: {type: integer}, s: {type: string}}, required: [n], additionalProperties: false}
steps: {a: {integration: {tool: t.ok}}}
";
    let dedup = || StartOptions { dedup: Some("once".to_owned()), ..StartOptions::default() };
    let first = rig.start_with(steps, json!({"n": 1}), dedup());
    let second = rig.engine.start("test.flow", json!({"n": 1}), dedup()).unwrap();
    assert_eq!(first.id(), second.id());
    is(&first, Status::Completed);
    assert_eq!(rig.names().len(), 1);
    assert_eq!(code(rig.engine.start("test.flow", json!({"n": 2}), dedup())), "run_conflict");
    let wrong = rig.engine.start("test.flow", json!({"n": "x", "s": 1, "z": 0}), StartOptions::default());
    let error = wrong.unwrap_err();
    assert_eq!(error.code().as_str(), "invalid_document");
    for place in ["/n", "/s", "/z"] {
        assert!(error.message().contains(place), "{error}");
    }
    let named = || StartOptions { id: Some("mine".to_owned()), ..StartOptions::default() };
    rig.engine.start("test.flow", json!({"n": 1}), named()).unwrap();
    assert_eq!(code(rig.engine.start("test.flow", json!({"n": 1}), named())), "duplicate_id");
    assert_eq!(code(rig.engine.start("nobody", json!({}), StartOptions::default())), "unknown_id");
    assert_eq!(code(rig.engine.get("nobody")), "unknown_id");
}

#[test]
fn a_fork_does_anew_what_comes_after() {
    let rig = rig();
    let run = rig.start(
        "
steps:
  a: {integration: {tool: t.ok, args: {v: a}}, compensate: {tool: t.undo}}
  b: {needs: [a], integration: {tool: t.ok, args: {v: '${steps.a.output.v}b'}}}
  c: {needs: [b], integration: {tool: t.ok, args: {v: '${steps.b.output.v}c'}}}
",
        json!({}),
    );
    is(&run, Status::Completed);
    rig.log.lock().unwrap().clear();
    let fork = run.fork("b").unwrap();
    is(&fork, Status::Completed);
    assert_eq!(rig.calls(), ["t.ok {\"v\":\"ab\"}", "t.ok {\"v\":\"abc\"}"]);
    assert_eq!(fork.result().unwrap(), run.result().unwrap());
    assert_ne!(fork.id(), run.id());
    assert_eq!(code(run.fork("z")), "unknown_id");
}

#[test]
fn hosts_add_kinds_of_steps() {
    let rig = rig();
    let kind = quorate_workflows::flow::FnTool::new("shout", |args, context| {
        Ok(json!(format!("{}! {}", args["text"].as_str().unwrap(), context.step)))
    });
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    rig.engine.step_type(std::sync::Arc::new(kind), Some(schema)).unwrap();
    let run = rig.start("steps: {a: {shout: {text: 'hey ${input.who}'}}}", json!({"who": "you"}));
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"a": "hey you! a"}));
    assert!(rig.engine.validate().is_empty());
    rig.engine.add("apiVersion: quorate/v1\nkind: Workflow\nid: x\nversion: 1.0.0\nsteps:\n  a: {shout: {txt: 1}}\n  b: {whisper: {}}\n").unwrap();
    let codes: Vec<(u64, &str)> =
        rig.engine.validate().iter().map(|problem| (problem.line, problem.code)).collect();
    assert_eq!(codes, [(6, "missing_key"), (7, "unknown_key")]);
    let taken = quorate_workflows::flow::FnTool::new("wait", |_, _| Ok(Value::Null));
    assert_eq!(code(rig.engine.step_type(std::sync::Arc::new(taken), None)), "invalid_argument");
}

#[test]
fn what_an_engine_lacks_blocks_the_run_and_says_why() {
    let rig = rig();
    let run = rig.start("steps: {a: {agent_task: {prompt: Why?}}, b: {workflow: {id: no.such}}}", json!({}));
    is(&run, Status::Blocked);
    let why = |id: &str| step(&run, id).code.unwrap();
    assert_eq!((why("a").as_str(), why("b").as_str()), ("runtime_missing", "workflow_unknown"));
    rig.engine
        .add("apiVersion: quorate/v1\nkind: Workflow\nid: no.such\nversion: 1.0.0\nsteps: {x: {wait: {for: 0s}}}\n")
        .unwrap();
    run.retry(Some("b")).unwrap();
    run.skip("a").unwrap();
    is(&run, Status::Completed);
}

#[test]
fn the_work_goes_on_as_long_as_somebody_has_a_run_of_it() {
    let rig = rig();
    let run =
        rig.start("steps: {a: {wait: {signal: s}}, b: {needs: [a], integration: {tool: t.ok}}}", json!({}));
    until(&run, "a", "waiting");
    drop(rig.engine);
    run.signal("s", json!(1), None).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn what_is_added_after_the_engine_was_made_is_waited_for() {
    let store = quorate_state::StateStore::memory();
    let engine = |concurrency| {
        let options =
            quorate_workflows::flow::EngineOptions { concurrency: Some(concurrency), ..Default::default() };
        quorate_workflows::flow::Engine::new(store.clone(), options).unwrap()
    };
    let kind = || std::sync::Arc::new(quorate_workflows::flow::FnTool::new("late", |_, _| Ok(json!("done"))));
    let inner =
        "apiVersion: quorate/v1\nkind: Workflow\nid: sub\nversion: 1.0.0\nsteps: {x: {wait: {for: 0s}}}\n";
    let first = engine(0);
    let steps = "steps: {a: {late: {}}, b: {workflow: {id: sub}}}";
    first.step_type(kind(), None).unwrap();
    first.add(&crate::support::flow(steps)).unwrap();
    let id = first.start("test.flow", json!({}), StartOptions::default()).unwrap().id().to_owned();
    let second = engine(2);
    let run = second.get(&id).unwrap();
    until(&run, "b", "waiting");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(status(&run, "a"), "running");
    second.add(inner).unwrap();
    second.step_type(kind(), None).unwrap();
    is(&run, Status::Completed);
}
