//! Is a scorer of the host's that hangs left behind?

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_core::{Cancel, Code, Result};
use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{
    Answer, Budget, CustomScorer, EvaluateOptions, Expect, Runtime, RuntimeOptions, Scorer, Task,
    evaluate_agents,
};

fn runtime(answer: impl Fn(&Request) -> &'static str + Send + Sync + 'static) -> Runtime {
    let script = ScriptedModel::of_function(move |request, _| {
        ScriptedModel::reply_from_json(&serde_json::json!(answer(request)))
    });
    let model = Model::new(script, ModelOptions::default()).unwrap();
    Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() }).unwrap()
}

fn options(repeat: usize) -> EvaluateOptions {
    EvaluateOptions { repeat, ..EvaluateOptions::default() }
}

/// A task whose answer is to be this text.
fn task(id: &str, text: &str) -> Task {
    let expect = Expect { exact: vec![text.to_owned()], ..Expect::default() };
    Task { expect, ..Task::new(id, format!("question {id}")) }
}

/// Hangs on the answers that say so, unless it is told that nobody waits.
struct Hangs(Arc<AtomicUsize>);

impl CustomScorer for Hangs {
    fn name(&self) -> &str {
        "hangs"
    }

    fn score(&self, _: &Task, answer: &Answer, cancel: &Cancel) -> Result<(Option<bool>, String)> {
        if answer.text != "hang" {
            return Ok((Some(true), String::new()));
        }
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs() < 60 {
            if cancel.is_cancelled() {
                self.0.fetch_add(1, Ordering::SeqCst);
                // Who is told does not have to listen.
                std::thread::sleep(std::time::Duration::from_secs(5));
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok((Some(true), "late".into()))
    }
}

#[test]
fn a_scorer_that_hangs_is_named_and_holds_up_nothing_else() {
    for threads in [1, 3] {
        let told = Arc::new(AtomicUsize::new(0));
        let scorers = vec![Scorer::Custom(Arc::new(Hangs(Arc::clone(&told)))), Scorer::Exact];
        let options = EvaluateOptions { scorers, threads, scorer_seconds: 0.2, ..options(2) };
        let tasks = [task("a", "hang"), task("b", "fine")];
        let says = |request: &Request| {
            let asked = request.messages.iter().map(|message| message.text()).collect::<String>();
            if asked.contains("question a") { "hang" } else { "fine" }
        };
        let begun = std::time::Instant::now();
        let report = evaluate_agents(&runtime(says), &tasks, &options).unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        assert_eq!((report.totals.trials, report.stopped_by.as_deref()), (4, None));
        for trial in &report.trials {
            let [own, exact] = &trial.scores[..] else { panic!("{trial:?}") };
            assert_eq!(exact.passed, Some(true), "{trial:?}");
            if trial.task == "b" {
                assert_eq!((own.passed, own.detail.as_str()), (Some(true), ""));
            } else {
                assert_eq!(own.passed, None);
                assert_eq!(own.detail, "timeout: the scorer 'hangs' did not end within 0.2 s");
            }
        }
        let metric = report.metric("hangs").unwrap();
        assert_eq!((metric.passed, metric.undecided), (2, 2));
        // It is told that nobody waits.
        while told.load(Ordering::SeqCst) == 0 {
            assert!(begun.elapsed().as_secs() < 20);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

#[test]
fn a_scorer_that_hangs_ends_with_the_seconds_of_the_budget_or_when_it_is_cancelled() {
    let run = |budget: Option<Budget>, cancel: Cancel| {
        let scorers = vec![Scorer::Custom(Arc::new(Hangs(Arc::default()))), Scorer::Exact];
        let options = EvaluateOptions { scorers, budget, cancel, ..options(2) };
        let begun = std::time::Instant::now();
        let report = evaluate_agents(&runtime(|_| "hang"), &[task("a", "hang")], &options).unwrap();
        assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
        (report.stopped_by.clone().unwrap(), report.totals.cut_off)
    };
    let budget = Budget { max_seconds: Some(0.3), ..Budget::default() };
    assert_eq!(run(Some(budget), Cancel::new()), ("max_seconds".to_owned(), 1));
    let cancel = Cancel::new();
    let flag = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        flag.cancel();
    });
    assert_eq!(run(None, cancel), ("cancelled".to_owned(), 1));
}

#[test]
fn the_seconds_of_a_scorer_are_a_time() {
    for scorer_seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 86_401.0] {
        let options = EvaluateOptions { scorer_seconds, ..options(1) };
        assert_eq!(options.validate().unwrap_err().code(), Code::InvalidArgument, "{scorer_seconds}");
    }
}
