//! Are workflows started at their times, each once, whoever works, whatever the clock does, and whoever is killed?

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_state::StateStore;
use quorate_workflows::flow::{
    Clock, Engine, EngineOptions, FnTool, ManualClock, Missed, Schedule, ScheduleOptions, Status,
};
use serde_json::{Value, json};

use crate::support::{code, flow};

const FLOW: &str = "input: {type: object, properties: {n: {type: integer}}, required: [n]}\nsteps: {a: {wait: {signal: go}}}";
/// 2026-03-06 00:00 UTC, a Friday.
const FRIDAY: f64 = 1_772_755_200.0;
const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

struct Rig {
    engine: Engine,
    clock: ManualClock,
    store: StateStore,
}

fn engine(store: &StateStore, clock: &ManualClock, concurrency: usize) -> Engine {
    let options = EngineOptions {
        clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>),
        concurrency: Some(concurrency),
        ..EngineOptions::default()
    };
    let engine = Engine::new(store.clone(), options).unwrap();
    engine.add(&flow(FLOW)).unwrap();
    engine
}

fn rig_at(store: StateStore, now: f64) -> Rig {
    let clock = ManualClock::new(now);
    Rig { engine: engine(&store, &clock, 4), clock, store }
}

fn rig() -> Rig {
    rig_at(StateStore::memory(), FRIDAY)
}

fn put(engine: &Engine, name: &str, cron: &str, missed: Missed) -> Schedule {
    let options = ScheduleOptions { missed, ..ScheduleOptions::default() };
    engine.schedule(name, cron, "test.flow", json!({"n": 1}), options).unwrap()
}

/// Waits until the schedule has nothing to do.
fn settled(rig: &Rig, name: &str) -> Schedule {
    let begun = Instant::now();
    loop {
        let schedule = rig.engine.scheduled(name).unwrap();
        if schedule.next.is_none_or(|next| next > rig.clock.now()) {
            return schedule;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{schedule:?} {:?}", rig.engine.faults());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn dues(store: &StateStore) -> Vec<String> {
    let rows = store.runs(None, None).unwrap();
    let mut keys: Vec<String> =
        rows.into_iter().filter(|row| row.kind == "workflow").filter_map(|row| row.key).collect();
    keys.sort();
    keys
}

#[test]
fn a_run_is_started_for_each_due_time_by_the_clock_of_the_engine() {
    let rig = rig();
    let schedule = put(&rig.engine, "six", "0 6 * * *", Missed::Once);
    assert_eq!((schedule.next, schedule.last, schedule.started), (Some(FRIDAY + 6.0 * HOUR), None, 0));
    assert_eq!(schedule.next_times(3).unwrap(), [6.0, 30.0, 54.0].map(|hour| FRIDAY + hour * HOUR));
    rig.clock.advance(6.0 * HOUR - 1.0);
    std::thread::sleep(Duration::from_millis(250));
    assert!(dues(&rig.store).is_empty(), "a second too early");
    for day in 0_u32..5 {
        rig.clock.advance(if day == 0 { 1.0 } else { DAY });
        let due = FRIDAY + 6.0 * HOUR + f64::from(day) * DAY;
        let schedule = settled(&rig, "six");
        assert_eq!((schedule.last, schedule.started), (Some(due), u64::from(day) + 1));
        let run = schedule.run(due).unwrap().unwrap();
        assert_eq!(run.journal().unwrap()[0].data["input"], json!({"n": 1}));
        assert_eq!(run.journal().unwrap()[0].data["starter"], json!("schedule:six"));
        assert_eq!(
            run.wait_for(Some(Duration::from_secs(20)), |now| now == Status::Waiting).unwrap(),
            Status::Waiting
        );
    }
    assert_eq!(dues(&rig.store).len(), 5);
}

#[test]
fn missed_times_are_skipped_made_up_for_once_or_each() {
    for (missed, wanted) in [(Missed::Skip, 0), (Missed::Once, 1), (Missed::All, 72)] {
        let rig = rig();
        put(&rig.engine, "hourly", "0 * * * *", missed);
        rig.clock.advance(3.0 * DAY + 120.0);
        let schedule = settled(&rig, "hourly");
        assert_eq!(schedule.started, wanted, "{missed:?}");
        assert_eq!(schedule.next, Some(FRIDAY + 73.0 * HOUR));
        assert_eq!(schedule.left_out.is_some(), missed != Missed::All, "{missed:?}: {schedule:?}");
        assert_eq!(dues(&rig.store).len() as u64, wanted, "{missed:?}");
        if missed != Missed::Skip {
            assert_eq!(schedule.last, Some(FRIDAY + 72.0 * HOUR), "the newest");
        }
        // What is looked at within a minute was not missed.
        rig.clock.advance(HOUR - 90.0);
        let schedule = settled(&rig, "hourly");
        assert_eq!(schedule.last, Some(FRIDAY + 73.0 * HOUR), "{missed:?}");
    }
}

#[test]
fn of_very_many_missed_times_the_newest_thousand_are_made_up_for() {
    let rig = rig();
    put(&rig.engine, "minutely", "* * * * *", Missed::All);
    rig.clock.advance(30.0 * DAY + 1.0);
    let schedule = settled(&rig, "minutely");
    assert_eq!((schedule.started, schedule.last), (1_000, Some(FRIDAY + 30.0 * DAY)));
    let (from, to) = schedule.left_out.unwrap();
    assert_eq!((from, to), (FRIDAY + 60.0, FRIDAY + 30.0 * DAY - 999.0 * 60.0));
    assert_eq!(dues(&rig.store).into_iter().collect::<BTreeSet<_>>().len(), 1_000);
}

#[test]
fn local_times_follow_the_zone_through_the_changes_of_its_clocks() {
    // New York goes to summer time on 2026-03-08 at 02:00 (07:00 UTC), and back on 2026-11-01 at 02:00 (06:00 UTC).
    let cases = [
        (
            "30 2 * * *",
            1_772_755_200.0,
            vec![1_772_782_200.0, 1_772_868_600.0, 1_772_953_200.0, 1_773_037_800.0],
        ),
        ("30 1 * * *", 1_793_404_800.0, vec![1_793_424_600.0, 1_793_511_000.0, 1_793_601_000.0]),
    ];
    for (cron, now, wanted) in cases {
        let rig = rig_at(StateStore::memory(), now);
        let options = ScheduleOptions {
            timezone: "America/New_York".into(),
            missed: Missed::All,
            ..ScheduleOptions::default()
        };
        let schedule = rig.engine.schedule("local", cron, "test.flow", json!({"n": 1}), options).unwrap();
        assert_eq!(schedule.next_times(wanted.len()).unwrap(), wanted, "{cron}");
        rig.clock.advance(wanted[wanted.len() - 1] - now);
        assert_eq!(settled(&rig, "local").started, wanted.len() as u64, "{cron}");
        let keys: Vec<String> = wanted.iter().map(|due| format!("schedule/local/{due:.0}")).collect();
        assert_eq!(dues(&rig.store), keys, "{cron}");
    }
}

#[test]
fn a_paused_schedule_starts_nothing_and_makes_up_for_nothing() {
    let rig = rig();
    let schedule = put(&rig.engine, "hourly", "0 * * * *", Missed::All).pause().unwrap();
    assert!(schedule.paused && schedule.next.is_none());
    assert_eq!(schedule.next_times(1).unwrap(), [FRIDAY + HOUR]);
    rig.clock.advance(5.0 * HOUR + 1.0);
    std::thread::sleep(Duration::from_millis(250));
    // The same again, and another pattern, leave it paused.
    assert!(put(&rig.engine, "hourly", "0 * * * *", Missed::All).paused);
    assert!(put(&rig.engine, "hourly", "30 * * * *", Missed::All).paused);
    let schedule = schedule.resume().unwrap();
    assert_eq!((schedule.paused, schedule.next, schedule.started), (false, Some(FRIDAY + 5.5 * HOUR), 0));
    assert_eq!(schedule.resume().unwrap().next, schedule.next, "twice is once");
    rig.clock.advance(HOUR);
    assert_eq!(settled(&rig, "hourly").started, 1);
}

#[test]
fn schedules_are_listed_replaced_and_removed() {
    let rig = rig();
    let first = put(&rig.engine, "b", "0 6 * * *", Missed::Once);
    put(&rig.engine, "a", "0 7 * * *", Missed::Skip);
    let names =
        |engine: &Engine| engine.schedules().unwrap().into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(&rig.engine), ["a", "b"]);
    let before = rig.store.run(None, "schedule.b").unwrap().entries;
    for _ in 0..3 {
        put(&rig.engine, "b", "0 6 * * *", Missed::Once);
    }
    assert!(rig.store.run(None, "schedule.b").unwrap().entries <= before + 3);
    let options = ScheduleOptions { missed: Missed::All, ..ScheduleOptions::default() };
    let again = rig.engine.schedule("b", "0 8 * * *", "test.flow", json!({"n": 2}), options).unwrap();
    assert_eq!(
        (again.next, again.missed, &again.input),
        (Some(FRIDAY + 8.0 * HOUR), Missed::All, &json!({"n": 2}))
    );
    assert_eq!(names(&rig.engine), ["a", "b"]);
    first.remove().unwrap();
    assert_eq!(names(&rig.engine), ["a"]);
    assert_eq!(code(rig.engine.scheduled("b")), "unknown_id");
    for gone in [code(first.pause()), code(first.resume()), code(first.remove()), code(first.look())] {
        assert_eq!(gone, "unknown_id");
    }
    assert!(
        rig.store.list(None, "workflow.schedule.input").unwrap().iter().all(|(key, _)| key.starts_with("a/"))
    );
    rig.clock.advance(DAY);
    settled(&rig, "a");
    assert!(dues(&rig.store).iter().all(|key| key.starts_with("schedule/a/")));
    // The name is free again.
    assert_eq!(put(&rig.engine, "b", "0 6 * * *", Missed::Once).started, 0);
}

#[test]
fn what_is_wrong_is_refused_by_code_and_nothing_is_kept() {
    let rig = rig();
    let with = |name: &str, cron: &str, workflow: &str, input: Value, timezone: &str| {
        let options = ScheduleOptions { timezone: timezone.into(), ..ScheduleOptions::default() };
        rig.engine.schedule(name, cron, workflow, input, options).map(drop).unwrap_err()
    };
    let good = json!({"n": 1});
    for (error, wanted, begins) in [
        (with("x", "61 * * * *", "test.flow", good.clone(), "UTC"), "invalid_argument", "cron: "),
        (with("x", "0 6 * *", "test.flow", good.clone(), "UTC"), "invalid_argument", "cron: "),
        (with("x", "0 0 31 2 *", "test.flow", good.clone(), "UTC"), "invalid_argument", "cron: "),
        (
            with("x", "0 6 * * *", "test.flow", good.clone(), "Europe/Nowhere"),
            "invalid_argument",
            "timezone: ",
        ),
        (with("", "0 6 * * *", "test.flow", good.clone(), "UTC"), "invalid_argument", "name: "),
        (with("a/b", "0 6 * * *", "test.flow", good.clone(), "UTC"), "invalid_argument", "name: "),
        (with("x", "0 6 * * *", "no.flow", good, "UTC"), "unknown_id", ""),
        (
            with("x", "0 6 * * *", "test.flow", json!({"n": "one"}), "UTC"),
            "invalid_document",
            "the input of 'test.flow'",
        ),
    ] {
        assert_eq!(error.code().as_str(), wanted, "{error}");
        assert!(error.message().starts_with(begins), "{error}");
    }
    assert!(rig.engine.schedules().unwrap().is_empty());
    rig.engine.close().unwrap();
    let closed =
        rig.engine.schedule("x", "0 6 * * *", "test.flow", json!({"n": 1}), ScheduleOptions::default());
    assert_eq!(code(closed), "closed");
}

#[test]
fn a_clock_that_goes_back_starts_nothing_twice_and_does_not_fall_silent() {
    let rig = rig();
    put(&rig.engine, "hourly", "0 * * * *", Missed::Once);
    // The clock is wrong by ten years for a while.
    rig.clock.advance(3_650.0 * DAY);
    assert_eq!(settled(&rig, "hourly").started, 1);
    rig.clock.advance(-3_650.0 * DAY);
    let begun = Instant::now();
    while rig.engine.scheduled("hourly").unwrap().next != Some(FRIDAY + HOUR) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", rig.engine.scheduled("hourly"));
        std::thread::sleep(Duration::from_millis(10));
    }
    for hour in 1..=6 {
        rig.clock.advance(HOUR);
        assert_eq!(settled(&rig, "hourly").last, Some(FRIDAY + f64::from(hour) * HOUR));
    }
    // Three hours that were before come again.
    rig.clock.advance(-3.0 * HOUR);
    let begun = Instant::now();
    while rig.engine.scheduled("hourly").unwrap().next != Some(FRIDAY + 4.0 * HOUR) {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", rig.engine.scheduled("hourly"));
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..4 {
        rig.clock.advance(HOUR);
        settled(&rig, "hourly");
    }
    let schedule = rig.engine.scheduled("hourly").unwrap();
    assert_eq!((schedule.started, dues(&rig.store).len()), (8, 8), "{schedule:?}");
    // A little back changes nothing.
    rig.clock.advance(-5.0);
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(rig.engine.scheduled("hourly").unwrap().next, Some(FRIDAY + 8.0 * HOUR));
}

#[test]
fn a_clock_that_was_put_back_while_nobody_worked_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = StateStore::open(folder.path()).unwrap();
    let first = rig_at(store.clone(), FRIDAY + 1_000.0 * DAY);
    put(&first.engine, "daily", "0 6 * * *", Missed::Once);
    first.engine.close().unwrap();
    let second = rig_at(store, FRIDAY);
    let begun = Instant::now();
    while second.engine.scheduled("daily").unwrap().next != Some(FRIDAY + 6.0 * HOUR) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn an_input_that_does_not_fit_any_more_is_told_and_the_schedule_goes_on() {
    let rig = rig();
    put(&rig.engine, "hourly", "0 * * * *", Missed::Once);
    let stricter =
        flow(FLOW).replace("version: 1.0.0", "version: 2.0.0").replace("required: [n]", "required: [n, m]");
    rig.engine.add(&stricter).unwrap();
    rig.clock.advance(HOUR);
    let schedule = settled(&rig, "hourly");
    assert_eq!(schedule.started, 0);
    assert_eq!(schedule.error.clone().unwrap().0, "invalid_document");
    let options = ScheduleOptions { version: Some("1.0.0".into()), ..ScheduleOptions::default() };
    rig.engine.schedule("hourly", "0 * * * *", "test.flow", json!({"n": 1}), options).unwrap();
    rig.clock.advance(HOUR);
    let schedule = settled(&rig, "hourly");
    assert_eq!((schedule.started, schedule.error), (1, None));
}

#[test]
fn a_due_time_waits_for_an_engine_that_has_the_workflow() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(FRIDAY));
    put(&engine(&store, &clock, 0), "hourly", "0 * * * *", Missed::Skip);
    clock.advance(HOUR);
    let options =
        EngineOptions { clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>), ..EngineOptions::default() };
    let lacks = Engine::new(store.clone(), options).unwrap();
    let begun = Instant::now();
    while lacks.scheduled("hourly").unwrap().error.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(dues(&store).is_empty());
    // It comes within the minute.
    lacks.add(&flow(FLOW)).unwrap();
    clock.advance(6.0);
    while lacks.scheduled("hourly").unwrap().started == 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?} {:?}",
            lacks.scheduled("hourly"),
            lacks.faults()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(lacks.scheduled("hourly").unwrap().error, None);
}

#[test]
fn an_engine_without_hands_keeps_schedules_and_starts_nothing() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(FRIDAY));
    let idle = engine(&store, &clock, 0);
    let schedule = put(&idle, "hourly", "0 * * * *", Missed::All);
    clock.advance(3.0 * HOUR);
    std::thread::sleep(Duration::from_millis(250));
    assert!(dues(&store).is_empty());
    // Also where somebody says something to it: whoever works starts what was due.
    let busy = engine(&store, &clock, 1);
    let begun = Instant::now();
    while dues(&store).len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", busy.faults());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(schedule.look().unwrap().started, 3);
}

#[test]
fn tenants_have_schedules_of_their_own() {
    let (store, clock) = (StateStore::memory(), ManualClock::new(FRIDAY));
    let of = |tenant: &str| {
        let options = EngineOptions {
            clock: Some(Arc::new(clock.clone()) as Arc<dyn Clock>),
            tenant: Some(tenant.into()),
            ..EngineOptions::default()
        };
        let engine = Engine::new(store.clone(), options).unwrap();
        engine.add(&flow(FLOW)).unwrap();
        engine
    };
    let (a, b) = (of("a"), of("b"));
    put(&a, "same", "0 * * * *", Missed::Once);
    assert!(b.schedules().unwrap().is_empty());
    assert_eq!(code(b.scheduled("same")), "unknown_id");
    put(&b, "same", "30 * * * *", Missed::Once);
    assert_eq!(a.scheduled("same").unwrap().cron, "0 * * * *");
    b.scheduled("same").unwrap().remove().unwrap();
    assert_eq!(a.schedules().unwrap().len(), 1);
}

const FOLDER: &str = "QUORATE_SCHEDULE_FOLDER";

/// Not a test by itself: a process that works by a clock that runs 600 times as fast, until it is killed or told to stop.
#[test]
fn in_another_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let store = StateStore::open(folder.join("store")).unwrap();
    let engine = Engine::new(store, fast(folder)).unwrap();
    engine.add(&flow(QUICK)).unwrap();
    let options = ScheduleOptions { missed: Missed::All, ..ScheduleOptions::default() };
    engine.schedule("minutely", "* * * * *", "test.flow", json!({}), options).unwrap();
    while !folder.join("stop").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.close().unwrap();
}

const QUICK: &str = "steps: {a: {integration: {tool: t}}}";

struct Fast(f64);

impl Clock for Fast {
    fn now(&self) -> f64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        FRIDAY + (now - self.0) * 600.0
    }
}

fn fast(folder: &Path) -> EngineOptions {
    let begun: f64 = std::fs::read_to_string(folder.join("begun")).unwrap().parse().unwrap();
    let tool = FnTool::new("t", |_, _| Ok(json!(1)));
    EngineOptions {
        tools: vec![Arc::new(tool)],
        clock: Some(Arc::new(Fast(begun)) as Arc<dyn Clock>),
        ..EngineOptions::default()
    }
}

fn other(folder: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "schedules::in_another_process", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn of_several_processes_that_are_killed_each_due_time_starts_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    std::fs::write(folder.path().join("begun"), now.to_string()).unwrap();
    let mut all: Vec<Child> = (0..3).map(|_| other(folder.path())).collect();
    for n in 0..12 {
        std::thread::sleep(Duration::from_millis(350));
        let mut one = all.remove(n % all.len());
        one.kill().unwrap();
        one.wait().unwrap();
        all.push(other(folder.path()));
    }
    std::thread::sleep(Duration::from_millis(1_500));
    std::fs::write(folder.path().join("stop"), "").unwrap();
    for mut one in all {
        assert!(one.wait().unwrap().success());
    }
    let store = StateStore::open(folder.path().join("store")).unwrap();
    let keys = dues(&store);
    let options = EngineOptions { concurrency: Some(0), ..fast(folder.path()) };
    let engine = Engine::new(store.clone(), options).unwrap();
    let schedule = engine.scheduled("minutely").unwrap();
    assert_eq!(schedule.started, keys.len() as u64, "as many as it says");
    assert!(keys.len() > 20, "{}", keys.len());
    // None is left out between the first and the last, and each is there once.
    let mut times: Vec<f64> =
        keys.iter().map(|key| key.rsplit('/').next().unwrap().parse().unwrap()).collect();
    times.sort_by(f64::total_cmp);
    for pair in times.windows(2) {
        assert!((pair[1] - pair[0] - 60.0).abs() < 0.5, "{pair:?} {schedule:?}");
    }
    assert_eq!(schedule.last, times.last().copied());
}
