//! Does every finished step stay finished, wherever the process was killed, and whoever goes on?

use std::collections::{BTreeMap, HashMap};
use std::fs::{OpenOptions, read_to_string};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quorate_state::StateStore;
use quorate_workflows::flow::{Engine, EngineOptions, FnTool, StartOptions, Status, WorkflowRun};
use serde_json::{Value, json};

use crate::support::{MOST, code, flow, is};

const WHAT: &str = "QUORATE_FLOW_WHAT";
const FOLDER: &str = "QUORATE_FLOW_FOLDER";
const KILL: &str = "QUORATE_FLOW_KILL";

/// Steps in a row, at once, in a loop, with a failure that is tried again, and undone at the end.
const STEPS: &str = "
steps:
  a: {integration: {tool: t.do, args: {n: a}}, compensate: {tool: t.undo, args: {n: a}}}
  b: {needs: [a], integration: {tool: t.twice, args: {n: b}}, retry: {max_attempts: 3, backoff: 0s}, compensate: {tool: t.undo, args: {n: b}}}
  p:
    needs: [b]
    parallel: {join: all, steps: {x: {integration: {tool: t.do, args: {n: x}}}, y: {integration: {tool: t.do, args: {n: 'y${step.visit}'}}}}}
  again:
    needs: [p]
    conditional: [{when: 'steps.p.visit < 2', then: {goto: p, max: 3}}, {else: continue}]
  sig: {needs: [again], wait: {signal: go}}
  s: {needs: [sig], workflow: {id: test.inner}}
  end: {needs: [s], conditional: [{else: {fail: {code: on_purpose}}}]}
";

const INNER: &str = "
apiVersion: quorate/v1
kind: Workflow
id: test.inner
version: 1.0.0
steps: {i: {integration: {tool: t.do, args: {n: i}}}}
";

/// A tool that writes down what it does; a call that was made before with its key is none.
fn tool(folder: &Path) -> FnTool {
    let log = folder.join("log");
    FnTool::new("t", move |args, context| {
        let before = read_to_string(&log).unwrap_or_default();
        let line =
            format!("{} {} {}", context.name, args["n"].as_str().unwrap_or("-"), context.idempotency_key);
        let times = before.lines().filter(|known| *known == line).count();
        let mut file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
        if context.name == "t.twice" && times == 0 {
            return Err(quorate_core::Error::new(quorate_core::Code::RemoteFailed, "once more"));
        }
        Ok(args.clone())
    })
}

fn engine(folder: &Path, concurrency: usize) -> Engine {
    let store = StateStore::open(folder.join("store")).unwrap();
    let options = EngineOptions {
        tools: vec![Arc::new(tool(folder))],
        concurrency: Some(concurrency),
        ..EngineOptions::default()
    };
    let engine = Engine::new(store, options).unwrap();
    engine.add(&flow(STEPS)).unwrap();
    engine.add(INNER).unwrap();
    engine
}

/// Not a test by itself: what another process does.
#[test]
fn in_another_process() {
    let Ok(what) = std::env::var(WHAT) else { return };
    let folder = std::env::var(FOLDER).unwrap();
    let folder = Path::new(&folder);
    match what.as_str() {
        "run" => {
            let most: u64 = std::env::var(KILL).unwrap().parse().unwrap();
            let engine = engine(folder, 4);
            let run = one(&engine);
            // Killed as soon as the journal has so many entries; of those that come at once, after the last.
            static SEEN: AtomicU64 = AtomicU64::new(0);
            for entry in run.stream(1) {
                SEEN.store(entry.unwrap().seq, Ordering::SeqCst);
                if SEEN.load(Ordering::SeqCst) >= most {
                    // SAFETY: raises a signal against this process alone.
                    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
                }
            }
        }
        "work" => {
            let engine = engine(folder, 4);
            while !folder.join("stop").exists() {
                std::thread::sleep(Duration::from_millis(5));
            }
            engine.close().unwrap();
        }
        "deadly" => {
            let store = StateStore::open(folder.join("store")).unwrap();
            // SAFETY: raises a signal against this process alone.
            let tool =
                FnTool::new("t", |_, _| Ok(json!(unsafe { libc::kill(libc::getpid(), libc::SIGKILL) })));
            let options = EngineOptions { tools: vec![Arc::new(tool)], ..EngineOptions::default() };
            let engine = Engine::new(store, options).unwrap();
            engine.add(&flow("steps: {a: {integration: {tool: t}}}")).unwrap();
            let run = one(&engine);
            run.wait_for(MOST, |status| status == Status::Blocked).unwrap();
        }
        other => panic!("{other}"),
    }
}

/// The one run that the folder has, begun where there is none.
fn one(engine: &Engine) -> WorkflowRun {
    let options = StartOptions { id: Some("r".into()), dedup: Some("r".into()), ..StartOptions::default() };
    let run = engine.start("test.flow", json!({}), options).unwrap();
    if !run.status().unwrap().is_final() {
        run.signal("go", json!(1), Some("go")).unwrap();
    }
    run
}

fn other(what: &str, folder: &Path, kill: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "crashes::in_another_process", "--nocapture", "--test-threads=1"]);
    command.env(WHAT, what).env(FOLDER, folder).env(KILL, kill.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What the journal says has ended, in order, without what may differ between crashes.
fn ended(run: &WorkflowRun) -> Vec<String> {
    let entries = run.journal().unwrap();
    let told = entries
        .iter()
        .filter(|entry| ["step_completed", "undone", "ended", "went_back"].contains(&entry.kind.as_str()));
    told.map(|entry| format!("{} {} {}", entry.kind, entry.data["step"], entry.data["visit"])).collect()
}

#[test]
fn no_finished_step_runs_again_wherever_the_process_is_killed() {
    let whole = tempfile::tempdir().unwrap();
    let engine = engine(whole.path(), 4);
    let run = one(&engine);
    is(&run, Status::Failed);
    assert_eq!(run.ending().unwrap().unwrap()["code"], "on_purpose");
    let (mut expected, entries) = (ended(&run), run.journal().unwrap().len() as u64);
    expected.sort();
    assert!(expected.len() > 10 && entries > 30, "{expected:?}");
    let every = if std::env::var_os("QUORATE_TORTURE_ROUNDS").is_some() { 1 } else { 4 };
    for kill in (1..entries).step_by(every) {
        let folder = tempfile::tempdir().unwrap();
        let status = other("run", folder.path(), kill).wait().unwrap();
        assert!(!status.success(), "it was not killed after entry {kill}");
        let engine = self::engine(folder.path(), 4);
        let before: Vec<_> = engine.get("r").unwrap().journal().unwrap();
        let completed = |entries: &[quorate_workflows::flow::JournalEntry]| {
            let mut counts: HashMap<String, u32> = HashMap::new();
            for entry in entries.iter().filter(|entry| entry.kind == "step_completed") {
                *counts.entry(format!("{} {}", entry.data["step"], entry.data["visit"])).or_default() += 1;
            }
            counts
        };
        let log = read_to_string(folder.path().join("log")).unwrap_or_default();
        let run = one(&engine);
        is(&run, Status::Failed);
        let mut made = ended(&run);
        made.sort();
        assert_eq!(made, expected, "killed after entry {kill}");
        // What had ended has ended once, and was not called again.
        let after = run.journal().unwrap();
        assert!(completed(&after).values().all(|times| *times == 1));
        assert_eq!(after[..before.len().min(after.len())], before[..], "the past stays");
        let later = read_to_string(folder.path().join("log")).unwrap();
        for line in later.lines().skip(log.lines().count()) {
            let step = line.rsplit('/').nth(1).unwrap();
            let visit = line.rsplit('/').next().unwrap();
            let done = completed(&before);
            let undo = line.starts_with("t.undo");
            let known = format!("\"{step}\" {visit}");
            assert!(undo || !done.contains_key(&known), "'{line}' was called again after entry {kill}");
        }
        engine.close().unwrap();
    }
}

#[test]
fn a_call_that_must_not_be_repeated_blocks_the_run_until_somebody_looked() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let engine = |hangs: bool| {
        let calls = Arc::clone(&calls);
        let tool = FnTool::new("pay", move |_, context| {
            calls.fetch_add(1, Ordering::SeqCst);
            while hangs && !context.cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(json!("paid"))
        });
        let options = EngineOptions { tools: vec![Arc::new(tool.once())], ..EngineOptions::default() };
        Engine::new(store.clone(), options).unwrap()
    };
    let first = engine(true);
    first.add(&flow("steps: {a: {integration: {tool: pay}}, b: {needs: [a], integration: {tool: pay}, when: 'false'}}")).unwrap();
    let run = first.start("test.flow", json!({}), StartOptions::default()).unwrap();
    crate::support::until(&run, "a", "running");
    // What a killed process leaves: an attempt that has begun, and nobody who holds the run. A copy of the journal has that.
    let journal = store.entries(None, run.id(), 1).unwrap();
    let place = quorate_state::Work { queue: "default", priority: 0, slot: None, at: 0.0 };
    let new = quorate_state::NewRun { id: Some("left"), kind: "workflow", title: "t", ..Default::default() };
    store.enqueue(&new, &journal, "running", &place).unwrap();
    let left = first.get("left").unwrap();
    is(&left, Status::Blocked);
    let step = crate::support::step(&left, "a");
    assert_eq!(step.code.as_deref(), Some("outcome_unknown"));
    assert_eq!(calls.load(Ordering::SeqCst), 1, "it was not called again unasked");
    run.cancel("enough", true).unwrap();
    is(&run, Status::Cancelled);
    first.close().unwrap();
    let second = engine(false);
    left.retry(Some("a")).unwrap();
    let left = second.get("left").unwrap();
    is(&left, Status::Completed);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    second.close().unwrap();
}

#[test]
fn runs_of_dead_workers_are_found_and_each_is_done_once() {
    let runs = if std::env::var_os("QUORATE_TORTURE_ROUNDS").is_some() { 250 } else { 60 };
    let folder = tempfile::tempdir().unwrap();
    let starter = engine(folder.path(), 0);
    starter.add(&flow("steps:\n  a: {integration: {tool: t.do, args: {n: '${input.i}'}}}\n  b: {needs: [a], integration: {tool: t.do, args: {n: '${input.i}'}}}\n").replace("test.flow", "test.many")).unwrap();
    let mut begun = Vec::new();
    for i in 0..runs {
        begun
            .push(starter.start("test.many", json!({"i": format!("{i}")}), StartOptions::default()).unwrap());
    }
    // Three workers, of which two are killed one after the other in the midst of it.
    for _ in 0..2 {
        let mut worker = other("work", folder.path(), 0);
        let before = read_to_string(folder.path().join("log")).unwrap_or_default().lines().count();
        let patience = Instant::now();
        while read_to_string(folder.path().join("log")).unwrap_or_default().lines().count() < before + 10 {
            assert!(patience.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let mut last = other("work", folder.path(), 0);
    starter.work(None, 4).unwrap();
    for run in &begun {
        is(run, Status::Completed);
        let kinds: Vec<String> = run.journal().unwrap().into_iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds.iter().filter(|kind| *kind == "step_completed").count(), 2);
    }
    std::fs::write(folder.path().join("stop"), "").unwrap();
    assert!(last.wait().unwrap().success());
    // Calls that were under way at a kill were made again, with their keys; no others.
    let log = read_to_string(folder.path().join("log")).unwrap();
    let mut calls: BTreeMap<&str, u32> = BTreeMap::new();
    for line in log.lines() {
        *calls.entry(line).or_default() += 1;
    }
    assert_eq!(calls.len(), 2 * runs);
    let again: u32 = calls.values().map(|times| times - 1).sum();
    assert!(again <= 2 * 4, "{again} calls were repeated");
    starter.close().unwrap();
}

#[test]
fn cancel_from_another_process_is_never_lost() {
    let folder = tempfile::tempdir().unwrap();
    let starter = engine(folder.path(), 0);
    let steps = "steps:\n  a: {wait: {for: 1ms}}\n".to_owned()
        + &(0..30)
            .map(|i| {
                format!(
                    "  s{i}: {{needs: [{}], integration: {{tool: t.do, args: {{n: 's{i}'}}}}}}\n",
                    if i == 0 { "a".to_owned() } else { format!("s{}", i - 1) }
                )
            })
            .collect::<String>();
    starter.add(&flow(&steps).replace("test.flow", "test.chain")).unwrap();
    let mut worker = other("work", folder.path(), 0);
    let mut cancelled = 0;
    for round in 0..8u64 {
        let run = starter.start("test.chain", json!({}), StartOptions::default()).unwrap();
        std::thread::sleep(Duration::from_millis(20 + round * 17));
        match run.cancel("now", true) {
            Err(error) => assert_eq!(
                (error.code().as_str(), run.status().unwrap()),
                ("run_conflict", Status::Completed)
            ),
            Ok(()) => {
                let log = |id: &str| {
                    let log = read_to_string(folder.path().join("log")).unwrap_or_default();
                    log.lines().filter(|line| line.contains(id)).count()
                };
                let began = |run: &WorkflowRun| {
                    run.journal().unwrap().iter().filter(|e| e.kind == "step_started").count()
                };
                let before = began(&run);
                cancelled += 1;
                assert_eq!(run.wait(MOST).unwrap(), Status::Cancelled);
                // A call whose start was written before may still come; no other.
                std::thread::sleep(Duration::from_millis(50));
                assert_eq!(began(&run), before);
                assert!(log(run.id()) <= before);
            }
        }
    }
    assert!(cancelled > 0);
    std::fs::write(folder.path().join("stop"), "").unwrap();
    assert!(worker.wait().unwrap().success());
}

#[test]
fn overdue_timers_fire_at_open_and_an_edited_file_changes_no_running_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.yaml");
    let text = |n: u32| {
        flow(&format!(
            "steps:\n  w: {{wait: {{for: 300ms}}}}\n  a: {{needs: [w], integration: {{tool: t.do, args: {{n: 'v{n}'}}}}}}\n"
        ))
    };
    std::fs::write(&file, text(1)).unwrap();
    let id = {
        let engine = engine(folder.path(), 1);
        engine.load(&file, &[]).unwrap();
        let run = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
        is(&run, Status::Waiting);
        engine.close().unwrap();
        run.id().to_owned()
    };
    std::fs::write(&file, text(2)).unwrap();
    std::thread::sleep(Duration::from_millis(350));
    let engine = engine(folder.path(), 1);
    engine.load(&file, &[]).unwrap();
    let run = engine.get(&id).unwrap();
    is(&run, Status::Completed);
    assert_eq!(run.result().unwrap(), json!({"a": {"n": "v1"}}));
    let fresh = engine.start("test.flow", json!({}), StartOptions::default()).unwrap();
    is(&fresh, Status::Completed);
    assert_eq!(fresh.result().unwrap(), json!({"a": {"n": "v2"}}));
    assert_ne!(fresh.definition().unwrap().hash(), run.definition().unwrap().hash());
    engine.close().unwrap();
}

#[test]
fn a_draining_engine_begins_nothing_and_another_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let first = engine(folder.path(), 2);
    first.add(&flow("steps:\n  w: {wait: {for: 1ms}}\n  a: {needs: [w], integration: {tool: t.do, args: {n: d}}}\n").replace("test.flow", "test.drained")).unwrap();
    first.drain().unwrap();
    let run = first.start("test.drained", json!({}), StartOptions::default()).unwrap();
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(run.status().unwrap(), Status::Pending);
    let second = engine(folder.path(), 2);
    is(&second.get(run.id()).unwrap(), Status::Completed);
    first.work(None, 2).unwrap();
    is(&first.start("test.drained", json!({}), StartOptions::default()).unwrap(), Status::Completed);
    first.close().unwrap();
    assert_eq!(code(first.work(None, 1)), "closed");
    second.close().unwrap();
}

#[test]
fn slots_and_priorities_hold_over_workers() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path().join("store")).unwrap();
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let order: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let engine = |concurrency| {
        let (now, most, order) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&order));
        let tool = FnTool::new("t", move |args, _| {
            order.lock().unwrap().push(args["p"].clone());
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(8));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(Value::Null)
        });
        let options = EngineOptions {
            tools: vec![Arc::new(tool)],
            concurrency: Some(concurrency),
            ..Default::default()
        };
        Engine::new(store.clone(), options).unwrap()
    };
    let first = engine(0);
    first.add(&flow("queue: {name: q, priority: '${input.p}', concurrency: {key: all, limit: 2}}\nsteps: {a: {integration: {tool: t, args: {p: '${input.p}'}}}}\n")).unwrap();
    let runs: Vec<_> = (0..12)
        .map(|p| first.start("test.flow", json!({"p": p}), StartOptions::default()).unwrap())
        .collect();
    assert_eq!(runs[0].status().unwrap(), Status::Queued);
    first.work(Some(vec!["q".to_owned()]), 4).unwrap();
    let second = engine(4);
    for run in &runs {
        is(run, Status::Completed);
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
    let order: Vec<i64> = order.lock().unwrap().iter().map(|p| p.as_i64().unwrap()).collect();
    assert!(order[..2].contains(&11) && order[..2].contains(&10), "{order:?}");
    for engine in [first, second] {
        engine.close().unwrap();
    }
}

#[test]
fn a_step_that_kills_its_process_is_blocked_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let killed = (0..20).take_while(|_| !other("deadly", folder.path(), 0).wait().unwrap().success()).count();
    assert_eq!(killed, 6, "the first time, and five times more");
    let engine = engine(folder.path(), 0);
    let run = engine.get("r").unwrap();
    assert_eq!(run.status().unwrap(), Status::Blocked);
    assert_eq!(crate::support::step(&run, "a").code.as_deref(), Some("crash_loop"));
}

#[test]
fn a_journal_that_cannot_be_read_is_told_and_left_as_it_is() {
    let store = StateStore::memory();
    let engine = Engine::new(store.clone(), EngineOptions::default()).unwrap();
    let place = quorate_state::Work { queue: "default", priority: 0, slot: None, at: 0.0 };
    let new = quorate_state::NewRun { id: Some("odd"), kind: "workflow", title: "t", ..Default::default() };
    let entry = quorate_state::Entry::new(1, "started", json!({"workflow": "w"}));
    store.enqueue(&new, &[entry], "running", &place).unwrap();
    let patience = Instant::now();
    while engine.faults().is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(engine.faults()[0].1.contains("corrupt"), "{:?}", engine.faults());
    assert_eq!(code(engine.get("odd").unwrap().steps()), "corrupt");
    assert_eq!(store.entries(None, "odd", 1).unwrap().len(), 1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(engine.faults().len(), 1, "it is not tried again and again");
    engine.close().unwrap();
}

#[test]
fn a_forked_child_is_told_to_make_an_engine_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), 1);
    let run = one(&engine);
    // SAFETY: the child only asks, and ends at once without running the parent's destructors.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let told = code(run.status()) == "unsupported"
            && code(engine.start("test.flow", json!({}), StartOptions::default())) == "unsupported"
            && code(run.wait(MOST)) == "unsupported";
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!told)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child that was made above.
    unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(status, 0);
    is(&run, Status::Failed);
    engine.close().unwrap();
}

#[test]
fn a_signal_that_comes_as_a_run_lies_down_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), 4);
    engine
        .add(
            &flow("steps: {a: {integration: {tool: t.do}}, w: {needs: [a], wait: {signal: s}}}\n")
                .replace("test.flow", "test.race"),
        )
        .unwrap();
    for round in 0..60 {
        let run = engine.start("test.race", json!({}), StartOptions::default()).unwrap();
        // Somewhere between its first step and its rest.
        std::thread::sleep(Duration::from_micros(400 * round));
        run.signal("s", json!(round), None).unwrap();
        let status = run.wait(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(status, Status::Completed, "round {round}: {:?}", run.steps());
    }
    engine.close().unwrap();
}
