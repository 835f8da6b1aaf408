//! Do people decide what they are asked, once, and only those who may?

use quorate_workflows::flow::{Review, StartOptions, Status};
use serde_json::{Value, json};

use crate::support::{Rig, code, is, rig, status, step, until};

const SIGN: &str = "
steps:
  draft: {integration: {tool: t.ok, args: {n: '${step.visit}', said: '${steps.sign.last.comment}'}}}
  sign:
    needs: [draft]
    human_review: {role: lead, title: 'Sign ${steps.draft.output.n}?', options: [approve, revise], due: P5D, forbid: [starter], data: {n: '${steps.draft.output.n}'}}
    routes: {revise: {goto: draft, max: 2}}
output: {decision: '${steps.sign.output.decision}', by: '${steps.sign.output.by}', draft: '${steps.draft.output}'}
";

fn started(rig: &Rig, steps: &str) -> quorate_workflows::flow::WorkflowRun {
    let options = StartOptions { starter: Some("ann".to_owned()), ..StartOptions::default() };
    rig.start_with(steps, json!({}), options)
}

fn one(rig: &Rig, role: &str) -> Review {
    for _ in 0..4_000 {
        if let [review] = rig.engine.reviews(Some(role), None).unwrap().as_slice() {
            return review.clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("no review for {role}: {:?}", rig.engine.reviews(None, None));
}

#[test]
fn a_review_is_claimed_delegated_and_decided_by_who_may() {
    let rig = rig();
    let run = started(&rig, SIGN);
    let review = one(&rig, "lead");
    assert_eq!((review.title.as_str(), &review.data, review.options.len()), ("Sign 1?", &json!({"n": 1}), 2));
    assert_eq!(review.due, Some(1_000_000.0 + 5.0 * 86_400.0));
    assert!(rig.engine.reviews(Some("clerk"), None).unwrap().is_empty());
    assert_eq!(code(review.claim("ann")), "invalid_argument");
    assert_eq!(code(review.decide("approve", "ann", None, Value::Null)), "invalid_argument");
    assert_eq!(code(review.decide("maybe", "bob", None, Value::Null)), "invalid_argument");
    assert_eq!(code(review.decide("approve", " ", None, Value::Null)), "invalid_argument");
    review.claim("bob").unwrap();
    review.claim("bob").unwrap();
    assert_eq!(code(review.claim("eve")), "run_conflict");
    assert_eq!(code(review.decide("approve", "eve", None, Value::Null)), "run_conflict");
    assert_eq!(code(review.delegate("ann", Some("bob"))), "invalid_argument");
    review.delegate("eve", Some("bob")).unwrap();
    assert_eq!(rig.engine.review(&review.id).unwrap().claimed_by.as_deref(), Some("eve"));
    assert_eq!(code(review.decide("approve", "bob", None, Value::Null)), "run_conflict");
    review.decide("revise", "eve", Some("shorter"), json!({"page": 3})).unwrap();
    let again = loop {
        let next = one(&rig, "lead");
        if next.id != review.id {
            break next;
        }
    };
    assert_eq!(again.title, "Sign 2?");
    assert_eq!(step(&run, "draft").output, json!({"n": 2, "said": "shorter"}));
    assert_eq!(
        code(review.decide("approve", "eve", None, Value::Null)),
        "run_conflict",
        "the first one is over"
    );
    assert_eq!(code(rig.engine.review(&review.id)), "unknown_id");
    again.decide("approve", "bob", None, Value::Null).unwrap();
    is(&run, Status::Completed);
    let expected = json!({"decision": "approve", "by": "bob", "draft": {"n": 2, "said": "shorter"}});
    assert_eq!(run.result().unwrap(), expected);
    assert!(rig.engine.reviews(None, None).unwrap().is_empty());
}

#[test]
fn a_review_sends_back_at_most_so_often() {
    let rig = rig();
    let run = started(&rig, SIGN);
    for n in 1..=3 {
        let review = loop {
            let review = one(&rig, "lead");
            if review.title == format!("Sign {n}?") {
                break review;
            }
        };
        review.decide("revise", "bob", None, Value::Null).unwrap();
    }
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], "loop_limit");
}

#[test]
fn late_reviews_escalate_fail_or_count_as_decided() {
    let rig = rig();
    let review = |then: &str| format!("steps: {{r: {{human_review: {{role: lead, due: P2D, {then}}}}}}}");
    let run = started(&rig, &review("on_timeout: escalate, escalate_to: boss"));
    one(&rig, "lead");
    rig.clock.advance(2.0 * 86_400.0);
    let review_of_boss = one(&rig, "boss");
    assert_eq!(review_of_boss.escalated, 1);
    assert!(rig.engine.reviews(Some("lead"), None).unwrap().is_empty());
    review_of_boss.decide("approve", "cyd", None, Value::Null).unwrap();
    is(&run, Status::Completed);
    for (then, status, decision) in [
        ("on_timeout: fail", Status::Failed, Value::Null),
        ("on_timeout: reject", Status::Completed, json!("reject")),
        ("on_timeout: continue", Status::Completed, Value::Null),
    ] {
        let run = started(&rig, &review(then));
        until(&run, "r", "waiting");
        rig.clock.advance(2.0 * 86_400.0);
        is(&run, status);
        if status == Status::Completed {
            let output = step(&run, "r").output;
            assert_eq!((&output["decision"], &output["late"]), (&decision, &json!(true)));
        }
    }
}

#[test]
fn two_people_must_agree_where_two_are_needed() {
    let rig = rig();
    let run = started(
        &rig,
        "
steps:
  first: {human_review: {role: lead}}
  lock: {needs: [first], human_review: {role: monitor, people: 2, options: [lock, wait], forbid: [first]}}
",
    );
    one(&rig, "lead").decide("approve", "bob", None, Value::Null).unwrap();
    let lock = one(&rig, "monitor");
    assert_eq!(
        code(lock.decide("lock", "bob", None, Value::Null)),
        "invalid_argument",
        "who has decided the first"
    );
    lock.claim("eve").unwrap();
    lock.decide("lock", "eve", None, Value::Null).unwrap();
    assert_eq!(code(lock.decide("lock", "eve", None, Value::Null)), "run_conflict", "one person is one");
    assert_eq!(status(&run, "lock"), "waiting");
    assert_eq!(rig.engine.review(&lock.id).unwrap().votes, [("eve".to_owned(), "lock".to_owned())]);
    lock.decide("wait", "dan", None, Value::Null).unwrap();
    lock.decide("lock", "cyd", None, Value::Null).unwrap();
    is(&run, Status::Completed);
    assert_eq!(step(&run, "lock").output["people"], json!(["eve", "cyd"]));
}

#[test]
fn many_reviews_wait_without_anybody_and_each_is_answered_alone() {
    let rig = rig();
    let definition =
        rig.engine.add(&crate::support::flow("steps: {r: {human_review: {role: lead}}}")).unwrap();
    let runs: Vec<_> = (0..40)
        .map(|i| rig.engine.start(definition.id(), json!({"i": i}), StartOptions::default()).unwrap())
        .collect();
    for run in &runs {
        is(run, Status::Waiting);
    }
    assert_eq!(rig.engine.reviews(Some("lead"), None).unwrap().len(), 40);
    let mine = rig.engine.reviews(None, Some(runs[7].id())).unwrap();
    mine[0].decide("reject", "bob", None, Value::Null).unwrap();
    is(&runs[7], Status::Completed);
    assert_eq!(rig.engine.reviews(Some("lead"), None).unwrap().len(), 39);
    assert_eq!(runs[8].status().unwrap(), Status::Waiting);
}

#[test]
fn a_review_that_is_asked_again_is_nobodys() {
    let rig = rig();
    let run = started(&rig, "steps: {r: {human_review: {role: lead, due: 1d}, on_error: block}}");
    one(&rig, "lead").claim("bob").unwrap();
    rig.clock.advance(86_400.0);
    is(&run, Status::Blocked);
    assert!(rig.engine.reviews(None, None).unwrap().is_empty());
    run.retry(None).unwrap();
    let again = one(&rig, "lead");
    assert_eq!(again.claimed_by, None);
    again.decide("approve", "eve", None, Value::Null).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn where_nobody_is_named_as_the_starter_nobody_is_forbidden() {
    let rig = rig();
    let definition = rig.engine.add(&crate::support::flow(SIGN)).unwrap();
    let run = rig.engine.start(definition.id(), json!({}), StartOptions::default()).unwrap();
    is(&run, Status::Waiting);
    one(&rig, "lead").decide("approve", "ann", None, Value::Null).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn a_pause_takes_nothing_of_the_time_that_people_and_signals_have() {
    let rig = rig();
    let day = 86_400.0;
    let run = rig.start(
        "
steps:
  sign: {human_review: {role: lead, title: Sign, options: [approve], due: P5D, on_timeout: fail}}
  go: {wait: {signal: go, timeout: P6D}}
  span: {wait: {for: P4D}}
  moment: {wait: {until: '1970-01-15T00:00:00Z'}}
",
        json!({}),
    );
    until(&run, "moment", "waiting");
    let due = one(&rig, "lead").due.unwrap();
    rig.clock.advance(3.0 * day);
    run.pause().unwrap();
    rig.clock.advance(30.0 * day);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(run.status().unwrap(), Status::Paused);
    run.resume().unwrap();
    // A moment that is stated is when it is; spans go on where they were.
    until(&run, "moment", "completed");
    std::thread::sleep(std::time::Duration::from_millis(100));
    for waits in ["sign", "go", "span"] {
        assert_eq!(status(&run, waits), "waiting", "{waits}");
    }
    assert_eq!(one(&rig, "lead").due, Some(due + 30.0 * day));
    rig.clock.advance(day);
    until(&run, "span", "completed");
    run.signal("go", json!({}), None).unwrap();
    rig.clock.advance(day - 1.0);
    one(&rig, "lead").decide("approve", "bob", None, Value::Null).unwrap();
    is(&run, Status::Completed);
}

#[test]
fn what_ran_out_before_the_pause_has_run_out() {
    let rig = rig();
    let run = rig.start("steps: {go: {wait: {signal: go, timeout: 60s}}}", json!({}));
    until(&run, "go", "waiting");
    rig.clock.advance(61.0);
    // Nobody may have looked before the pause: it counts when it was.
    let _ = run.pause();
    is(&run, Status::Failed);
}
