//! Are agents measured as they should be?

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use quorate_core::embed::Embed;
use quorate_core::{Cancel, Code, Error, Result};
use quorate_models::{Model, ModelOptions, Price, Request, ScriptedModel};
use quorate_runtime::{
    AgentReport, Answer, AtPath, Budget, CustomScorer, Effect, EvaluateOptions, Expect, FunctionTool, Judge,
    Passage, Retrieve, Runtime, RuntimeOptions, Scorer, Status, Task, Tool, ToolCard, Wanted,
    evaluate_agents, golden_tasks, load_tasks, parse_tasks, task_problems,
};
use serde_json::{Value, json};

fn model(answer: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Model {
    let script =
        ScriptedModel::of_function(move |request, _| ScriptedModel::reply_from_json(&answer(request)));
    Model::new(script, ModelOptions { price: Price::new(1.0, 1.0).ok(), ..ModelOptions::default() }).unwrap()
}

/// Says each of these in turn, over and over.
fn turns(texts: &[&str]) -> Model {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let next = AtomicUsize::new(0);
    model(move |_| json!(texts[next.fetch_add(1, Ordering::Relaxed) % texts.len()]))
}

fn runtime(model: Model) -> Runtime {
    Runtime::new(RuntimeOptions { model: Some(model), ..RuntimeOptions::default() }).unwrap()
}

fn options(repeat: usize) -> EvaluateOptions {
    EvaluateOptions { repeat, ..EvaluateOptions::default() }
}

fn task(id: &str, expect: Expect) -> Task {
    Task { expect, ..Task::new(id, format!("question {id}")) }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Whether the scorers of a task let an answer pass.
fn passes(says: &str, expect: Expect) -> Vec<(String, bool)> {
    let report = evaluate_agents(&runtime(turns(&[says])), &[task("t", expect)], &options(1)).unwrap();
    report.trials[0].scores.iter().map(|score| (score.scorer.clone(), score.passed.unwrap())).collect()
}

fn one(says: &str, expect: Expect) -> bool {
    let scores = passes(says, expect);
    assert_eq!(scores.len(), 1, "{scores:?}");
    scores[0].1
}

#[test]
fn each_scorer_looks_at_its_own() {
    let exact = || Expect { exact: texts(&["5 mg daily", "five"]), ..Expect::default() };
    assert!(one("  5 mg\ndaily ", exact()) && one("five", exact()));
    assert!(!one("5 MG daily", exact()) && !one("5 mg daily.", exact()));
    let regex = || Expect { regex: texts(&["(?i)class II", r"\bno\b|n't"]), ..Expect::default() };
    assert!(one("It isn\u{2019}t Class II", regex()) && !one("Class II", regex()));
    let contains = || Expect {
        contains: texts(&["510(K)", "doesn't"]),
        not_contains: texts(&["pma"]),
        ..Expect::default()
    };
    assert!(one("It doesn\u{2019}t need more than a 510(k).", contains()));
    assert!(!one("a 510(k)", contains()) && !one("doesn't: 510(k), PMA", contains()));
    let at = |path: &str, value: Value| Expect {
        json_path: vec![AtPath { path: path.into(), value }],
        ..Expect::default()
    };
    assert!(one("```json\n{\"a\": [{\"b\": 5.0}]}\n```", at("$.a[*].b", json!(5))));
    assert!(!one("{\"a\": 1}", at("$.b", json!(1))) && !one("no JSON", at("$", json!(1))));
    let status = |status: Status| Expect { status: Some(status), ..Expect::default() };
    assert!(one("x", status(Status::Done)) && !one("x", status(Status::Abstained)));
    let agent = Expect { agent: Some("fda".into()), ..Expect::default() };
    assert!(!one("x", agent));
    let names: Vec<String> =
        passes("x", Expect { exact: texts(&["x"]), status: Some(Status::Done), ..Expect::default() })
            .into_iter()
            .map(|(name, _)| name)
            .collect();
    assert_eq!(names, ["exact", "status"]);
}

struct Shelf;

impl Retrieve for Shelf {
    fn passages(&self, _: &str, _: &Wanted, _: &Cancel) -> Result<Vec<Passage>> {
        let passage =
            |id: &str| Passage { doc_id: id.into(), text: format!("{id} says 5 mg"), ..Passage::default() };
        Ok(vec![passage("leaflet"), passage("letter")])
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

#[test]
fn what_must_be_cited_is_looked_for_and_markers_do_not_count() {
    let ask = |says: &str| {
        let options_of_runtime = RuntimeOptions {
            model: Some(turns(&[says])),
            sources: Some(Arc::new(Shelf)),
            ..RuntimeOptions::default()
        };
        let runtime = Runtime::new(options_of_runtime).unwrap();
        let expect =
            Expect { exact: texts(&["It is 5 mg."]), cited: texts(&["leaflet"]), ..Expect::default() };
        let report = evaluate_agents(&runtime, &[task("t", expect)], &options(1)).unwrap();
        let passed = |name: &str| report.metric(name).unwrap().passed == 1;
        (passed("exact"), passed("cited"), report.trials[0].scores[1].detail.clone())
    };
    assert_eq!(ask("It is 5 mg [1]."), (true, true, String::new()));
    assert_eq!(ask("It is 5 mg [2]."), (true, false, "missing: 'leaflet'".to_owned()));
}

#[test]
fn rates_intervals_and_powers_are_those_of_the_trials() {
    // Task a passes in 3 of 5, task b in 5 of 5.
    let count = AtomicUsize::new(0);
    let model = model(move |request| {
        if request.messages.last().unwrap().text().contains("question b") {
            return json!("yes");
        }
        json!(if count.fetch_add(1, Ordering::Relaxed) < 3 { "yes" } else { "no" })
    });
    let expect = || Expect { exact: texts(&["yes"]), ..Expect::default() };
    let tasks = [task("a", expect()), task("b", expect())];
    let report = evaluate_agents(&runtime(model), &tasks, &options(5)).unwrap();
    let all = report.metric("all").unwrap();
    assert_eq!((all.tasks, all.trials, all.passed, all.pass_rate), (2, 10, 8, Some(0.8)));
    // Wilson (1927) for 8 of 10.
    assert!(
        (all.interval.0 - 0.4902).abs() < 1e-4 && (all.interval.1 - 0.9433).abs() < 1e-4,
        "{:?}",
        all.interval
    );
    assert!(all.interval_by_task.0 <= all.interval.0 && all.interval_by_task.1 >= all.interval.1);
    // C(3,k)/C(5,k) averaged with 1.
    let hat: Vec<f64> = all.pass_hat_k.iter().map(|value| value.unwrap()).collect();
    for (k, expected) in [0.8, 0.65, 0.55, 0.5, 0.5].into_iter().enumerate() {
        assert!((hat[k] - expected).abs() < 1e-12, "{hat:?}");
    }
    assert!((all.pass_at_k[1].unwrap() - 0.95).abs() < 1e-12);
    assert_eq!(report.metric("exact").unwrap().passed, 8);
    let order: Vec<(String, usize)> =
        report.trials.iter().map(|trial| (trial.task.clone(), trial.trial)).collect();
    assert!(order.is_sorted() && order.len() == 10);
    let totals = &report.totals;
    assert_eq!((totals.planned, totals.trials, totals.statuses["done"]), (10, 10, 10));
    let cost: f64 = report.trials.iter().map(|trial| trial.cost.unwrap()).sum();
    assert!(
        (totals.cost.unwrap() - cost).abs() < 1e-15
            && (totals.mean_cost.unwrap() - cost / 10.0).abs() < 1e-15
    );
    assert!(totals.p50_seconds.unwrap() <= totals.p95_seconds.unwrap());
    assert_eq!(report.rows().len(), 10);
    assert_eq!(AgentReport::from_json(&report.to_json().unwrap()).unwrap(), report);
}

#[test]
fn seeds_follow_from_the_seed_the_task_and_the_trial() {
    let ask = |seed: u64, threads: usize| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let model = model(move |request| {
            keep.lock().unwrap().push(request.seed.unwrap());
            json!("x")
        });
        let expect = || Expect { exact: texts(&["x"]), ..Expect::default() };
        let tasks = [task("a", expect()), task("b", expect())];
        let options = EvaluateOptions { seed, threads, ..options(3) };
        let report = evaluate_agents(&runtime(model), &tasks, &options).unwrap();
        let seeds: Vec<u64> = report.trials.iter().map(|trial| trial.seed).collect();
        let mut asked = seen.lock().unwrap().clone();
        let mut sorted = seeds.clone();
        asked.sort_unstable();
        sorted.sort_unstable();
        assert_eq!(asked, sorted);
        sorted.dedup();
        assert_eq!(sorted.len(), 6);
        assert!(sorted.iter().all(|seed| *seed < 1 << 31));
        seeds
    };
    assert_eq!(ask(1, 1), ask(1, 4));
    assert_ne!(ask(1, 1), ask(2, 1));
}

fn judge(says: impl Fn(&Request) -> Value + Send + Sync + 'static) -> Judge {
    Judge::new(model(says), "The answer names a dose.")
}

fn judged(judge: Judge) -> AgentReport {
    let options = EvaluateOptions { scorers: vec![Scorer::Judge(Arc::new(judge))], ..options(1) };
    evaluate_agents(&runtime(turns(&["5 mg"])), &[task("t", Expect::default())], &options).unwrap()
}

/// A verdict in the form that judges are asked for.
fn verdict(passed: bool) -> Value {
    json!(json!({"reason": "so", "passed": passed}).to_string())
}

#[test]
fn a_judge_that_goes_by_the_order_lets_nothing_pass() {
    let seeds = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seeds);
    let biased = judged(judge(move |request| {
        keep.lock().unwrap().push(request.seed.unwrap());
        let text = request.messages[1].text();
        verdict(text.find("The rubric").unwrap() < text.find("<judged_answer>").unwrap())
    }));
    let metric = biased.metric("judge").unwrap();
    assert_eq!((metric.passed, metric.trials, metric.agreement), (0, 1, Some(0.0)));
    let score = &biased.trials[0].scores[0];
    let votes = &score.judged.as_ref().unwrap().votes;
    assert_eq!((votes.len(), votes.iter().filter(|vote| vote.passed == Some(true)).count()), (6, 3));
    assert!(score.detail.starts_with("3 of 6 in favour"), "{}", score.detail);
    assert!(biased.totals.judge_cost.unwrap() > 0.0);
    let mut seeds = seeds.lock().unwrap().clone();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 6);
    let fair = judged(judge(|_| verdict(true)));
    assert_eq!(
        (fair.metric("judge").unwrap().passed, fair.metric("judge").unwrap().agreement),
        (1, Some(1.0))
    );
}

#[test]
fn a_judge_that_gives_no_verdict_decides_nothing() {
    let report = judged(judge(|_| json!("I would rather not.")));
    let metric = report.metric("judge").unwrap();
    assert_eq!((metric.trials, metric.undecided, metric.pass_rate), (0, 1, None));
    assert_eq!(report.trials[0].passed, None);
    assert!(report.trials[0].scores[0].detail.contains("output_invalid"));
}

/// Code of a host: does as the texts say.
struct Own(&'static str);

impl CustomScorer for Own {
    fn name(&self) -> &str {
        self.0
    }

    fn score(&self, task: &Task, answer: &Answer, cancel: &Cancel) -> Result<(Option<bool>, String)> {
        match self.0 {
            "says" => Ok((Some(answer.text == task.id), format!("it is '{}'", answer.text))),
            "fails" => Err(Error::invalid("no such thing")),
            "panics" => panic!("as the test says"),
            "ends" => {
                cancel.cancel();
                Err(cancel.check().unwrap_err())
            }
            _ => Ok((None, "who knows".to_owned())),
        }
    }
}

fn looked_at(by: &'static [&'static str], cancel: Cancel) -> AgentReport {
    let scorers = by.iter().map(|name| Scorer::Custom(Arc::new(Own(name)) as _)).collect();
    let tasks = [task("a", Expect::default()), task("b", Expect::default())];
    let how = EvaluateOptions { scorers, cancel, ..options(1) };
    evaluate_agents(&runtime(turns(&["a"])), &tasks, &how).unwrap()
}

#[test]
fn code_of_a_host_looks_at_every_task() {
    let report = looked_at(&["says"], Cancel::new());
    assert_eq!((report.metric("says").unwrap().passed, report.metric("all").unwrap().trials), (1, 2));
    assert_eq!(report.trials[1].scores[0].detail, "it is 'a'");
    assert!(report.unscored.is_empty());
}

#[test]
fn code_of_a_host_that_cannot_say_leaves_a_trial_undecided() {
    let report = looked_at(&["fails", "panics", "knows nothing"], Cancel::new());
    let scores = &report.trials[0].scores;
    assert!(scores.iter().all(|score| score.passed.is_none()), "{scores:?}");
    assert_eq!(scores[0].detail, "invalid_argument: no such thing");
    assert!(scores[1].detail.starts_with("internal: "), "{}", scores[1].detail);
    assert_eq!(scores[2].detail, "who knows");
    assert_eq!((report.metric("all").unwrap().undecided, report.metric("all").unwrap().pass_rate), (2, None));
}

#[test]
fn code_of_a_host_that_is_cancelled_cuts_the_trial_off() {
    let report = looked_at(&["ends"], Cancel::new());
    assert_eq!(report.stopped_by.as_deref(), Some("cancelled"));
    assert!(report.trials[0].cut_off);
}

#[test]
fn an_evaluation_ends_with_its_budget_and_says_so() {
    let cost = {
        let expect = Expect { exact: texts(&["x"]), ..Expect::default() };
        let report = evaluate_agents(&runtime(turns(&["x"])), &[task("a", expect)], &options(1)).unwrap();
        report.totals.cost.unwrap()
    };
    let expect = || Expect { exact: texts(&["x"]), ..Expect::default() };
    let tasks = [task("a", expect()), task("b", expect())];
    let run = |budget: Budget, threads: usize| {
        let options = EvaluateOptions { budget: Some(budget), threads, ..options(50) };
        evaluate_agents(&runtime(turns(&["x"])), &tasks, &options).unwrap()
    };
    // The worst case of a request is 2,048 tokens of answer: what a few trials cost is left over for it.
    let most = 3.5 * cost + 0.0025;
    let report = run(Budget { max_cost: Some(most), ..Budget::default() }, 1);
    assert_eq!(report.stopped_by.as_deref(), Some("max_cost"));
    assert!(report.totals.cost.unwrap() <= most);
    let totals = &report.totals;
    assert!(totals.trials > 1 && totals.trials + totals.cut_off < totals.planned, "{totals:?}");
    assert_eq!(totals.cut_off, 1);
    // Every task has had its turn, and what was cut off is no failure.
    assert_eq!(report.metric("all").unwrap().pass_rate, Some(1.0));
    assert_eq!(report.metric("all").unwrap().tasks, 2);
    assert!(report.report_html().contains("Stopped by max_cost"));
    let parallel = run(Budget { max_cost: Some(most), ..Budget::default() }, 4);
    assert!(parallel.totals.cost.unwrap() <= most && parallel.stopped_by.is_some());
    // The steps of one run bound each run, not all.
    let steps = run(Budget { max_steps: Some(1), ..Budget::default() }, 1);
    assert_eq!((steps.totals.trials, steps.stopped_by), (100, None));
    let tokens = run(Budget { max_tokens: Some(1), ..Budget::default() }, 1);
    assert_eq!((tokens.totals.trials, tokens.totals.cut_off), (0, 1));
    assert_eq!(tokens.metric("all").unwrap().pass_rate, None);
}

#[test]
fn time_that_is_over_ends_a_trial_under_way() {
    let script = ScriptedModel::of_function(|_, cancel| {
        let begun = std::time::Instant::now();
        while begun.elapsed().as_secs() < 30 {
            cancel.check()?;
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Err(Error::new(Code::Internal, "late"))
    });
    let hangs = Model::new(script, ModelOptions::default()).unwrap();
    let budget = Some(Budget { max_seconds: Some(0.2), ..Budget::default() });
    let options = EvaluateOptions { budget, ..options(3) };
    let expect = Expect { exact: texts(&["x"]), ..Expect::default() };
    let begun = std::time::Instant::now();
    let report = evaluate_agents(&runtime(hangs), &[task("a", expect)], &options).unwrap();
    assert!(begun.elapsed().as_secs() < 10);
    assert_eq!((report.stopped_by.as_deref(), report.totals.cut_off), (Some("max_seconds"), 1));
}

#[test]
fn a_judge_spends_of_the_same_budget_and_needs_a_price() {
    let expect = || Expect { exact: texts(&["5 mg"]), ..Expect::default() };
    let run = |judge: Judge, most: f64| {
        let budget = Some(Budget { max_cost: Some(most), ..Budget::default() });
        let scorers = vec![Scorer::Exact, Scorer::Judge(Arc::new(judge))];
        let options = EvaluateOptions { budget, scorers, ..options(2) };
        evaluate_agents(&runtime(turns(&["5 mg"])), &[task("t", expect())], &options)
    };
    let report = run(judge(|_| verdict(true)), 0.0026).unwrap();
    assert_eq!(report.stopped_by.as_deref(), Some("max_cost"));
    assert!(report.totals.cost.unwrap() + report.totals.judge_cost.unwrap() <= 0.0026);
    let unpriced = Model::new(ScriptedModel::of_texts(["x"]), ModelOptions::default()).unwrap();
    assert_eq!(run(Judge::new(unpriced, "r"), 1.0).unwrap_err().code(), Code::BudgetUnpriced);
}

#[test]
fn a_judge_without_verdicts_spends_all_the_same() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let silent = judge(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        json!("I would rather not.")
    });
    let budget = Some(Budget { max_tokens: Some(60_000), ..Budget::default() });
    let options = EvaluateOptions { budget, scorers: vec![Scorer::Judge(Arc::new(silent))], ..options(200) };
    let report =
        evaluate_agents(&runtime(turns(&["5 mg"])), &[task("t", Expect::default())], &options).unwrap();
    assert_eq!(report.stopped_by.as_deref(), Some("max_tokens"));
    // Each question has some hundred tokens.
    assert!(asked.load(Ordering::Relaxed) * 300 < 60_000, "{asked:?}");
    assert!(report.totals.judge_usage.input > 0);
}

#[test]
fn what_must_not_be_said_is_found_whatever_hides_it() {
    for says in ["gua\u{ad}rantee", "GUA\u{200b}RANTEE", "gua\u{2060}rantee\u{202e}"] {
        let expect = || Expect { not_contains: texts(&["guarantee"]), ..Expect::default() };
        assert!(!one(says, expect()), "{says:?}");
        assert!(one(says, Expect { contains: texts(&["Guarantee"]), ..Expect::default() }), "{says:?}");
    }
}

#[test]
fn many_tasks_are_read_in_time() {
    let text: String = (0..140_000).map(|i| format!("- {{id: t{i}, question: q}}\n")).collect();
    let begun = std::time::Instant::now();
    assert_eq!(parse_tasks(&text, "many.yaml").unwrap().len(), 140_000);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn cancelling_leaves_what_was_done() {
    let cancel = Cancel::new();
    let flag = cancel.clone();
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&done);
    let progress: Arc<dyn Fn(usize, usize) + Send + Sync> = Arc::new(move |done, total| {
        assert_eq!(total, 100);
        seen.store(done, Ordering::Relaxed);
        if done == 3 {
            flag.cancel();
        }
    });
    let expect = Expect { exact: texts(&["x"]), ..Expect::default() };
    let options = EvaluateOptions { cancel, progress: Some(progress), ..options(100) };
    let report = evaluate_agents(&runtime(turns(&["x"])), &[task("a", expect)], &options).unwrap();
    assert_eq!((report.stopped_by.as_deref(), report.totals.trials), (Some("cancelled"), 3));
    assert_eq!(done.load(Ordering::Relaxed), 3);
}

#[test]
fn what_fails_does_not_pass_and_is_counted_by_code() {
    let script = ScriptedModel::of_function(|_, _| Err(Error::new(Code::RemoteInvalid, "nonsense")));
    let broken = Model::new(script, ModelOptions::default()).unwrap();
    let expect = Expect { not_contains: texts(&["x"]), ..Expect::default() };
    let runtime = runtime(broken);
    let report = evaluate_agents(&runtime, &[task("a", expect)], &options(2)).unwrap();
    assert_eq!(report.totals.errors["remote_invalid"], 2);
    assert_eq!((report.metric("all").unwrap().passed, report.metric("all").unwrap().trials), (0, 2));
    let run = report.trials[0].run_id.as_deref().unwrap();
    assert!(runtime.run(run).unwrap().row().parent.as_deref().unwrap().starts_with(&report.id));
    let panics =
        Model::new(ScriptedModel::of_function(|_, _| panic!("by design")), ModelOptions::default()).unwrap();
    let expect = Expect { exact: texts(&["x"]), ..Expect::default() };
    let report = evaluate_agents(&self::runtime(panics), &[task("a", expect)], &options(1)).unwrap();
    assert_eq!(report.totals.errors["internal"], 1);
}

#[test]
fn a_run_that_waits_is_looked_at_and_then_ended() {
    let card = ToolCard { effect: Effect::Write, ..ToolCard::new("send", "", json!({"type": "object"})) };
    let send: Arc<dyn Tool> = Arc::new(FunctionTool::new(card, |_, _| Ok(json!("sent"))).unwrap());
    let model = model(|_| json!({"text": "", "tool_calls": [{"id": "a", "name": "send", "arguments": {}}]}));
    let of_runtime = RuntimeOptions { model: Some(model), tools: vec![send], ..RuntimeOptions::default() };
    let runtime = Runtime::new(of_runtime).unwrap();
    let expect = Expect { status: Some(Status::Waiting), ..Expect::default() };
    let report = evaluate_agents(&runtime, &[task("a", expect)], &options(2)).unwrap();
    assert_eq!(report.metric("status").unwrap().passed, 2);
    assert!(runtime.runs(Some("waiting")).unwrap().is_empty());
}

#[test]
fn comparisons_are_paired_by_task() {
    let expect = || Expect { exact: texts(&["yes"]), ..Expect::default() };
    let tasks: Vec<Task> = (0..10).map(|i| task(&format!("t{i}"), expect())).collect();
    let run =
        |says: &str, tasks: &[Task]| evaluate_agents(&runtime(turns(&[says])), tasks, &options(2)).unwrap();
    let (good, bad) = (run("yes", &tasks), run("no", &tasks[..8]));
    let comparison = good.compare(&bad, 0).unwrap();
    let all = &comparison.scorers[0];
    assert_eq!((all.scorer.as_str(), all.tasks, all.a, all.b, all.difference), ("all", 8, 1.0, 0.0, 1.0));
    assert_eq!((all.wins, all.ties, all.losses, all.exact), (8, 0, 0, true));
    assert!((all.p_value - 2.0 / 256.0).abs() < 1e-12);
    assert_eq!(comparison.changed.len(), 16);
    assert_eq!((comparison.only_a.len(), comparison.only_b.len()), (2, 0));
    let same = good.compare(&good, 0).unwrap();
    assert_eq!((same.scorers[0].p_value, same.changed.len()), (1.0, 0));
    let other = run("yes", &[task("other", expect())]);
    assert_eq!(good.compare(&other, 0).unwrap_err().code(), Code::EmptyInput);
}

#[test]
fn the_page_escapes_what_it_shows_and_fetches_nothing() {
    let evil = "<script>alert('x')</script> & \"quoted\"";
    let expect = Expect { exact: texts(&["yes"]), ..Expect::default() };
    let report =
        evaluate_agents(&runtime(turns(&[evil])), &[task("<img src=x onerror=y>", expect)], &options(2))
            .unwrap();
    let page = report.report_html();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(!page.contains("<script") && !page.contains("<img"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;quoted&quot;"));
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("pass^2"));
    for outside in ["http:", "https:", "url(", "@import", "<link", "src="] {
        assert!(!page.replace("&lt;img src=x", "").contains(outside), "{outside}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let expect = || Expect { exact: texts(&["x"]), ..Expect::default() };
    let runtime = runtime(turns(&["x"]));
    let code = |tasks: &[Task], options: EvaluateOptions| {
        evaluate_agents(&runtime, tasks, &options).unwrap_err().code()
    };
    assert_eq!(code(&[], options(1)), Code::EmptyInput);
    assert_eq!(code(&[task("a", expect()), task("a", expect())], options(1)), Code::DuplicateId);
    assert_eq!(code(&[task("a", Expect::default())], options(1)), Code::InvalidArgument);
    assert_eq!(code(&[task("a", expect())], options(0)), Code::InvalidArgument);
    assert_eq!(
        code(&[task("a", expect())], EvaluateOptions { threads: 0, ..options(1) }),
        Code::InvalidArgument
    );
    let twice = EvaluateOptions { scorers: vec![Scorer::Exact, Scorer::Exact], ..options(1) };
    assert_eq!(code(&[task("a", expect())], twice), Code::InvalidArgument);
    let named = Task { agent: Some("nobody".into()), ..task("a", expect()) };
    assert_eq!(code(&[named], options(1)), Code::InvalidArgument);
    let some = [task("a", expect()), task("b", Expect::default())];
    assert_eq!(evaluate_agents(&runtime, &some, &options(1)).unwrap().unscored, ["b"]);
}

#[test]
fn a_bad_file_lists_every_problem_with_its_line() {
    let text = r#"schema_version: 2
agents: x
tasks:
  - id: a
    question: ""
    expects: {}
  - id: a
    question: q
    autonomous: perhaps
    expect:
      regex: ["(", ok]
      json_path: {"$.a[": 1}
      contains: [1, ""]
      status: fine
  - just a text
"#;
    let problems: Vec<(u64, Code, String)> =
        task_problems(text, "my.yaml").into_iter().map(|p| (p.line, p.code, p.message)).collect();
    let has = |line: u64, code: Code, part: &str| {
        assert!(
            problems.iter().any(|(at, is, said)| *at == line && *is == code && said.contains(part)),
            "no '{part}' on line {line} in {problems:#?}"
        );
    };
    has(1, Code::FormatVersion, "schema_version is not 1");
    has(2, Code::InvalidArgument, "agents: there is no such field; there are schema_version, agent");
    has(5, Code::InvalidArgument, "task 'a': question: it is empty");
    has(6, Code::InvalidArgument, "task 'a': expects: there is no such field");
    has(7, Code::DuplicateId, "another task has this id");
    has(9, Code::InvalidArgument, "autonomous: it is a string, expected true or false");
    has(11, Code::InvalidArgument, "expect.regex[0]: '(' is no regular expression");
    has(12, Code::InvalidArgument, "expect.json_path[0]: JSON path '$.a['");
    has(13, Code::InvalidArgument, "expect.contains[0]: it is a number, expected a text; put it in quotes");
    has(13, Code::InvalidArgument, "expect.contains[1]: an empty text");
    has(14, Code::InvalidArgument, "expect.status: it is 'fine', expected one of done");
    has(15, Code::InvalidArgument, "task number 3: it is a string, expected a mapping");
    assert_eq!(problems.len(), 12, "{problems:#?}");
    let error = parse_tasks(text, "my.yaml").unwrap_err();
    assert!(error.message().lines().count() == 12 && error.message().contains("my.yaml:9:"));
    let code = |text: &str| parse_tasks(text, "f").unwrap_err().code();
    assert_eq!(code("tasks: ["), Code::LoadFailed);
    assert_eq!(code("tasks: []"), Code::EmptyInput);
    assert_eq!(code("[]"), Code::EmptyInput);
    assert_eq!(code("5"), Code::InvalidArgument);
    assert_eq!(code("tasks: 5"), Code::InvalidArgument);
    let error =
        Task::from_json(&json!({"id": "a", "question": "q", "x": 1, "expect": {"regex": "["}})).unwrap_err();
    assert!(
        error.message().contains("x: there is no such field") && error.message().contains("expect.regex[0]")
    );
}

#[test]
fn aliases_cannot_make_a_short_file_a_long_one() {
    // 200 times 200,000 characters: more than a file may have.
    let question = "x".repeat(200_000);
    let mut text = format!("- {{id: t0, question: &long '{question}'}}\n");
    (1..200).for_each(|i| text.push_str(&format!("- {{id: t{i}, question: *long}}\n")));
    let problems = task_problems(&text, "a.yaml");
    assert_eq!(problems.first().map(|problem| problem.code), Some(Code::TooLarge), "{problems:?}");
    // Ten to the seventh values.
    let mut bomb = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..7 {
        let inner = vec![format!("*l{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("l{level}: &l{level} [{inner}]\n"));
    }
    assert_eq!(task_problems(&bomb, "a.yaml").first().map(|problem| problem.code), Some(Code::TooLarge));
}

#[test]
fn json_may_hold_characters_that_yaml_may_not() {
    let json = "[{\"id\": \"a\", \"question\": \"line\u{2028}end \u{85} \u{7f}?\"}]";
    let tasks = parse_tasks(json, "a.json").unwrap();
    assert_eq!(tasks[0].question, "line\u{2028}end \u{85} \u{7f}?");
}

#[test]
fn yaml_and_json_give_the_same_tasks() {
    let yaml = "agent: fda\ntags: [t]\ntasks:\n  - id: a\n    question: q\n    expect:\n      exact: 'no'\n      json_path: {$.x: 1}\n      status: done\n";
    let json = r#"[{"id": "a", "question": "q", "agent": "fda", "tags": ["t"], "expect": {"exact": ["no"], "json_path": [{"path": "$.x", "value": 1}], "status": "done"}}]"#;
    let (yaml, json) = (parse_tasks(yaml, "y").unwrap(), parse_tasks(json, "j").unwrap());
    assert_eq!(yaml, json);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tasks.json");
    std::fs::write(&file, serde_json::to_string(&yaml).unwrap()).unwrap();
    assert_eq!(load_tasks(&file).unwrap(), yaml);
    assert_eq!(load_tasks(folder.path().join("none")).unwrap_err().code(), Code::NotFound);
    assert_eq!(Task::from_json(&serde_json::to_value(&yaml[0]).unwrap()).unwrap(), yaml[0]);
}

#[test]
fn golden_tasks_are_eight_for_each_agent() {
    let golden = golden_tasks().unwrap();
    let catalog = quorate_agents::Catalog::healthcare().unwrap();
    let known = |id: &str| catalog.agents.iter().any(|agent| agent.id == id);
    let service = ["customer-support", "faq", "orders", "leads"];
    let flagships = catalog.agents.iter().filter(|agent| agent.tags.iter().any(|tag| tag == "flagship"));
    for flagship in flagships {
        assert!(golden.contains_key(&flagship.id), "{} has no golden tasks", flagship.id);
    }
    let mut ids = std::collections::BTreeSet::new();
    for (agent, tasks) in &golden {
        assert!(known(agent) || service.contains(&agent.as_str()), "{agent}");
        assert_eq!(tasks.len(), 8, "{agent}");
        for task in tasks {
            assert!(ids.insert(task.id.clone()), "{}", task.id);
            assert_eq!(task.agent.as_ref(), Some(agent));
            assert!(task.rubric.is_some());
            assert!(Scorer::PLAIN.iter().any(|scorer| scorer.applies(task)), "{}", task.id);
            if let Some(expected) = &task.expect.agent {
                assert!(known(expected), "{expected}");
            }
        }
    }
    assert_eq!(golden.len(), 9);
}

#[test]
fn what_a_pass_costs_is_undefined_where_none_passes_and_known_of_earlier_reports() {
    let never = Expect { exact: texts(&["10 mg"]), ..Expect::default() };
    let sometimes = Expect { exact: texts(&["5 mg"]), ..Expect::default() };
    let report =
        evaluate_agents(&runtime(turns(&["5 mg"])), &[task("a", never.clone())], &options(2)).unwrap();
    assert_eq!((report.totals.cost_per_pass, report.totals.failed_cost), (None, report.totals.cost));
    let said = report.summary();
    assert!(said.contains("undefined for each trial that passes") && !said.contains("unknown"), "{said}");
    assert!(report.report_html().contains("undefined for each that passes"));

    let report =
        evaluate_agents(&runtime(turns(&["5 mg"])), &[task("a", never), task("b", sometimes)], &options(2))
            .unwrap();
    assert!(report.totals.cost_per_pass.unwrap() > report.totals.cost_per_task.unwrap() / 2.0);
    let mut earlier = report.to_json().unwrap();
    for name in ["cost_per_task", "cost_per_pass", "failed_cost"] {
        earlier["totals"].as_object_mut().unwrap().remove(name).unwrap();
    }
    assert_eq!(AgentReport::from_json(&earlier).unwrap(), report);
}
