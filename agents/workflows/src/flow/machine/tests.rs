//! Does the machine keep its promises in whatever workflow, world and order of crashes?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use quorate_state::Letter;
use serde_json::{Map, Value, json};

use super::*;
use crate::flow::fact::Spec;
use crate::flow::library::Definition;
use crate::flow::plan::PlanThen;

/// Chance that is the same for the same seed (SplitMix64, Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A workflow of up to eight steps at the top, some with others within.
fn workflow(chance: &mut Chance) -> Value {
    let mut steps = Map::new();
    let mut made: Vec<String> = Vec::new();
    let mut next = 0;
    for _ in 0..1 + chance.below(8) {
        let (id, step) = step(chance, &made, &mut next, 0);
        steps.insert(id.clone(), step);
        made.push(id);
    }
    let on_error = ["fail", "fail", "block", "continue"][chance.below(4) as usize];
    json!({
        "apiVersion": "quorate/v1", "kind": "Workflow", "id": "w", "version": "1.0.0", "steps": steps,
        "defaults": {"on_error": on_error, "retry": {"max_attempts": 1 + chance.below(3), "backoff": "5s"}, "timeout": "60s"},
    })
}

fn step(chance: &mut Chance, before: &[String], next: &mut u32, depth: u32) -> (String, Value) {
    let id = format!("s{next}");
    *next += 1;
    let mut step = Map::new();
    let needs: Vec<&String> = before.iter().filter(|_| chance.one_in(2)).collect();
    step.insert("needs".to_owned(), json!(needs));
    if let Some(need) = needs.first().filter(|_| chance.one_in(4)) {
        step.insert("when".to_owned(), json!(format!("steps.{need}.output != null")));
    } else if chance.one_in(12) {
        step.insert("when".to_owned(), json!("input.missing"));
    }
    let goto = |chance: &mut Chance| needs.first().map(|need| (need.to_string(), 1 + chance.below(3)));
    match chance.below(if depth == 0 { 10 } else { 7 }) {
        0..=3 => {
            step.insert("integration".to_owned(), json!({"tool": "t"}));
            if chance.one_in(2) {
                step.insert("compensate".to_owned(), json!({"tool": "u", "retry": {"max_attempts": 1 + chance.below(3), "backoff": "2s"}}));
            }
        }
        4 => drop(step.insert("wait".to_owned(), json!({"signal": ["go", "stop"], "timeout": "500s", "on_timeout": (if chance.one_in(2) { "fail" } else { "continue" })}))),
        5 => drop(step.insert("wait".to_owned(), json!({"for": format!("{}s", chance.below(50))}))),
        6 => {
            let then = ["fail", "escalate", "continue", "reject"][chance.below(4) as usize];
            step.insert("human_review".to_owned(), json!({"role": "r", "due": "300s", "on_timeout": then, "people": 1 + chance.below(2)}));
            if let Some((to, max)) = goto(chance) {
                step.insert("routes".to_owned(), json!({"reject": {"goto": to, "max": max}}));
            }
        }
        7 => {
            let then = match goto(chance) {
                Some((to, max)) => json!({"goto": to, "max": max}),
                None => json!("continue"),
            };
            let end = if chance.one_in(6) { json!({"end": 1}) } else { json!("continue") };
            step.insert("conditional".to_owned(), json!([{"when": "input.loops > step.visit", "then": then}, {"else": end}]));
        }
        _ => {
            let (mut children, mut made) = (Map::new(), Vec::new());
            for _ in 0..1 + chance.below(4) {
                let (id, child) = self::step(chance, &made, next, depth + 1);
                children.insert(id.clone(), child);
                made.push(id);
            }
            let join = [json!("all"), json!("any"), json!({"at_least": 1 + chance.below(children.len() as u64)})];
            let join = join[chance.below(3) as usize].clone();
            step.insert("parallel".to_owned(), json!({"join": join, "tolerate": chance.below(2), "steps": children}));
        }
    }
    (id, Value::Object(step))
}

/// What must hold of a journal, whatever led to it.
fn check(plan: &Plan, facts: &[Fact]) {
    let mut settled: BTreeMap<(String, u32), &str> = BTreeMap::new();
    let mut visits: BTreeMap<&str, u32> = BTreeMap::new();
    let mut tries: BTreeMap<(String, u32), u32> = BTreeMap::new();
    let mut phase: BTreeMap<&str, &str> = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut retried: BTreeSet<&str> = BTreeSet::new();
    let (mut cancelled, mut over, mut paused, mut undoing) = (false, false, false, false);
    let (mut done, mut undone): (Vec<(usize, &str, u32)>, Vec<usize>) = (Vec::new(), Vec::new());
    let (mut calling, mut begun_to_undo): (BTreeSet<(&str, u32)>, u32) = (BTreeSet::new(), 0);
    for fact in facts {
        assert!(!over || matches!(fact, Fact::Heard { .. } | Fact::Refused { .. }), "{fact:?} after the end");
        match fact {
            Fact::StepStarted { step, visit, .. } => {
                assert!(!cancelled && !undoing && !paused, "{fact:?} begins after cancel, failure or pause");
                let planned = &plan.steps[plan.find(step).unwrap()];
                for need in &planned.needs {
                    let need = plan.steps[*need].id.as_str();
                    let is = phase.get(need).copied().unwrap_or("pending");
                    assert!(
                        ["completed", "skipped", "failed", "cancelled"].contains(&is),
                        "{step} needs {need}, which is {is}"
                    );
                }
                if let Some(parent) = planned.parent {
                    assert_eq!(
                        phase.get(plan.steps[parent].id.as_str()),
                        Some(&"waiting"),
                        "{step} begins outside"
                    );
                }
                assert_eq!(*visits.get(step.as_str()).unwrap_or(&1), *visit);
                let tried = tries.entry((step.clone(), *visit)).or_default();
                *tried += 1;
                assert!(*tried <= planned.retry.max_attempts, "{step} was tried {tried} times");
                phase.insert(step, "running");
            }
            Fact::StepWaits { step, .. } => {
                assert!(!cancelled && !undoing && !paused, "{fact:?} begins after cancel, failure or pause");
                phase.insert(step, "waiting");
            }
            Fact::StepRetried { step, visit } => {
                tries.remove(&(step.clone(), *visit));
                settled.remove(&(step.clone(), *visit));
                if phase.insert(step, "pending").is_some() {
                    retried.insert(step.as_str());
                }
            }
            Fact::StepBlocked { step, .. } => drop(phase.insert(step, "blocked")),
            Fact::StepCompleted { step, visit, taken: signal, .. } => {
                settle(&mut settled, step, *visit, "completed");
                phase.insert(step, "completed");
                if let Some(signal) = signal {
                    assert!(taken.insert(*signal), "signal {signal} was taken twice");
                }
                done.retain(|(_, of, at)| (*of, *at) != (step.as_str(), *visit));
                if plan.steps[plan.find(step).unwrap()].undo.is_some() {
                    done.push((done.len(), step, *visit));
                }
                calling.remove(&(step.as_str(), *visit));
            }
            Fact::StepSkipped { step, visit, .. } => {
                settle(&mut settled, step, *visit, "skipped");
                phase.insert(step, "skipped");
            }
            Fact::CallEnded { step, visit, end, .. } => {
                // What is still under way is waited for before anything is undone.
                let undoes = plan.steps[plan.find(step).unwrap()].undo.is_some();
                let known = done.iter().any(|(_, of, at)| (of, at) == (&step.as_str(), visit));
                if undoes && !known && !matches!(end, CallEnd::Failed { .. }) {
                    assert!(begun_to_undo == 0, "{fact:?} while others were undone");
                    done.push((done.len(), step, *visit));
                }
                calling.remove(&(step.as_str(), *visit));
            }
            Fact::StepCancelled { step, visit, calls } => {
                if *calls {
                    calling.insert((step.as_str(), *visit));
                }
                settle(&mut settled, step, *visit, "cancelled");
                phase.insert(step, "cancelled");
            }
            Fact::StepFailed { step, visit, retry_at: None, .. } => {
                settle(&mut settled, step, *visit, "failed");
                phase.insert(step, "failed");
            }
            Fact::WentBack { from, route, count, steps, .. } => {
                let planned = &plan.steps[plan.find(from).unwrap()];
                let max = match &planned.work {
                    Work::Branches(branches) => branches.iter().find_map(|branch| match branch.then {
                        PlanThen::Goto(_, max) => Some(max),
                        _ => None,
                    }),
                    _ => planned.routes.get(route).map(|(_, max)| *max),
                };
                assert!(*count <= max.unwrap(), "{from} led back {count} times");
                for step in steps {
                    let step = plan.steps[plan.find(step).unwrap()].id.as_str();
                    let again = retried.remove(step);
                    let come_to = again || phase.get(step).is_some_and(|is| *is != "pending");
                    *visits.entry(step).or_insert(1) += u32::from(come_to);
                    phase.insert(step, "pending");
                }
            }
            Fact::Paused { .. } => paused = true,
            Fact::Resumed { .. } => paused = false,
            Fact::CancelAsked { .. } => cancelled = true,
            Fact::Compensating { .. } => undoing = true,
            Fact::UndoStarted { index, .. } => {
                assert!(undoing && !undone.contains(index), "{fact:?}");
                assert!(calling.is_empty(), "{fact:?} beside {calling:?}");
                begun_to_undo += 1;
                assert!(
                    (index + 1..done.len()).all(|later| undone.contains(&later)),
                    "{index} before later ones"
                );
            }
            Fact::Undone { index, .. } | Fact::UndoFailed { index, retry_at: None, .. } => {
                undone.push(*index)
            }
            Fact::Ended(outcome) => {
                over = true;
                if undoing {
                    assert_eq!(undone.len(), done.len(), "everything was undone, or tried to be");
                }
                assert!(!cancelled || undoing || matches!(outcome, Outcome::Cancelled { .. }));
            }
            _ => {}
        }
    }
}

fn settle<'a>(settled: &mut BTreeMap<(String, u32), &'a str>, step: &str, visit: u32, how: &'a str) {
    let before = settled.insert((step.to_owned(), visit), how);
    assert_eq!(before, None, "{step} was {how} although it was over");
}

/// One run in a world of chance, with crashes, and the journal that came of it.
fn simulate(seed: u64) {
    let mut chance = Chance(seed);
    let form = workflow(&mut chance);
    // What is wrong with a drawn workflow is no matter here.
    let Ok(definition) = Definition::from_json(&form) else { return };
    let plan = Arc::clone(&definition.plan);
    let spec =
        Spec { input: json!({"loops": 1 + chance.below(3)}), starter: Some("ann".into()), ..Spec::default() };
    let mut machine = Machine::new(Arc::clone(&plan), "r");
    let (mut now, mut letters) = (0.0, 0);
    let mut journal: Vec<(Fact, f64)> = vec![(Fact::Started(Box::new(spec)), now)];
    machine.replay(&journal[0].0, 0.0);
    let mut draws = Chance(seed ^ 0xabcd);
    let calm = 400;
    for round in 0..3_000 {
        let mut draw = || draws.below(1_000) as f64 / 1_000.0;
        let once = |step: usize, _: bool| step.is_multiple_of(3);
        let mut at = Moment { now, when: now, draw: &mut draw, begins: true, once: &once };
        // In the end nobody disturbs, and everybody answers.
        let disturbed = round < calm;
        let actions = machine.actions();
        let act = (!actions.is_empty() && chance.one_in(2))
            .then(|| actions[chance.below(actions.len() as u64) as usize].clone());
        let mut word = |kind: &str, data: Value| {
            letters += 1;
            Letter { number: letters, time: now, kind: kind.to_owned(), data }
        };
        match (act, chance.below(40)) {
            (_, 0..=2) if disturbed => {
                // A crash: what was not written is gone, and what was being done is made again, or asked about.
                machine.noted.clear();
                machine = Machine::new(Arc::clone(&plan), "r");
                for (fact, time) in &journal {
                    machine.replay(fact, *time);
                }
                for action in machine.actions() {
                    let event = match action {
                        Action::Perform { step, .. } if chance.one_in(5) => {
                            Event::Lost { step, why: "?".into() }
                        }
                        Action::Await { step, visit, attempt } => {
                            Event::CallLost { step, visit, attempt, why: "?".into() }
                        }
                        Action::Undo { index, .. } if chance.one_in(5) => {
                            Event::UndoLost { index, why: "?".into() }
                        }
                        Action::Perform { step, .. } => Event::Again { step },
                        Action::Undo { index, .. } => Event::UndoAgain { index },
                        Action::Child { .. } | Action::AwaitRun { .. } => continue,
                    };
                    machine.step(event, &mut at);
                }
                letters = machine.state.letter;
            }
            (_, 3) if disturbed => machine.step(Event::Letter(&word("pause", json!({}))), &mut at),
            (_, 4 | 5) => machine.step(Event::Letter(&word("resume", json!({}))), &mut at),
            (_, 6) if disturbed && chance.one_in(8) => {
                let compensate = chance.one_in(2);
                machine.step(
                    Event::Letter(&word("cancel", json!({"reason": "r", "compensate": compensate}))),
                    &mut at,
                );
            }
            (_, 7 | 8) => {
                let name = ["go", "stop", "other"][chance.below(3) as usize];
                machine.step(Event::Letter(&word("signal", json!({"name": name, "data": round}))), &mut at);
            }
            (_, 9) if disturbed => {
                let step = format!("s{}", chance.below(12));
                machine.step(Event::Letter(&word("skip", json!({"step": step}))), &mut at);
            }
            (_, 10 | 11) => machine.step(Event::Letter(&word("retry", json!({}))), &mut at),
            (_, 12..=15) => {
                let open: Vec<String> = machine
                    .state
                    .steps
                    .iter()
                    .filter_map(|state| match &state.wait {
                        Some(Waiting::Review(asked)) => Some(asked.id.clone()),
                        _ => None,
                    })
                    .collect();
                if let Some(review) = open.first() {
                    let by = ["bob", "eve", "cyd", "ann"][chance.below(4) as usize];
                    let option = ["approve", "reject"][chance.below(2) as usize];
                    let data = json!({"review": review, "by": by, "option": option});
                    let kind = ["decide", "decide", "claim", "decide"][chance.below(4) as usize];
                    machine.step(Event::Letter(&word(kind, data)), &mut at);
                }
            }
            (Some(Action::Await { step, visit, attempt }), _) if chance.one_in(3) => {
                machine.step(Event::NotCalled { step, visit, attempt }, &mut at);
            }
            (Some(Action::Perform { step, visit, attempt } | Action::Await { step, visit, attempt }), _) => {
                // It may have ended before it is looked at.
                at.when = now - chance.below(40) as f64;
                let result = match chance.below(4) {
                    0 => Err(("remote_failed".to_owned(), "down".to_owned())),
                    1 if chance.one_in(4) => Err(("invalid_argument".to_owned(), "bad".to_owned())),
                    _ => Ok(json!({"round": round})),
                };
                machine.step(Event::Done { step, visit, attempt, result }, &mut at);
            }
            (Some(Action::Undo { index, attempt }), _) => {
                let down = || ("remote_failed".to_owned(), "down".to_owned());
                let result = if chance.one_in(3) { Err(down()) } else { Ok(Value::Null) };
                machine.step(Event::UndoDone { index, attempt, result }, &mut at);
            }
            _ => {
                now += chance.below(30) as f64;
                at.now = now;
                machine.step(Event::Time, &mut at);
            }
        }
        // Most of the time it is written at once; a crash before loses it.
        if !chance.one_in(6) || !disturbed {
            journal.append(&mut machine.noted);
        }
        if machine.state.ended.is_some() && machine.noted.is_empty() && round > calm {
            break;
        }
    }
    journal.append(&mut machine.noted);
    let facts: Vec<Fact> = journal.iter().map(|(fact, _)| fact.clone()).collect();
    check(&plan, &facts);
    // The state is what the facts add up to, and nothing else.
    let mut again = Machine::new(Arc::clone(&plan), "r");
    for (fact, time) in &journal {
        let entry = fact.entry(again.seq + 1, *time).unwrap();
        assert_eq!(Fact::of(&entry).unwrap(), *fact, "a fact is read as it was written");
        again.replay(fact, *time);
    }
    // Maps have no order; what was counted is compared by itself.
    let counts =
        |state: &State| state.counts.iter().map(|(k, v)| (k.clone(), *v)).collect::<BTreeMap<_, _>>();
    assert_eq!(counts(&machine.state), counts(&again.state));
    let plain = |state: &State| format!("{:?}", State { counts: Default::default(), ..state.clone() });
    assert_eq!(plain(&machine.state), plain(&again.state));
    // What fails each time it is tried again stays blocked, and says why.
    let says = |state: &crate::flow::state::StepState| state.phase == Phase::Blocked && state.error.is_some();
    let stuck = machine.status() == Status::Blocked && machine.state.steps.iter().any(says);
    // What waits for people who are not allowed to decide goes on with its time.
    let goes_on = machine.status() == Status::Waiting && machine.next_time().is_some();
    assert!(
        machine.state.ended.is_some() || stuck || goes_on,
        "seed {seed}: {:?} {form:#}",
        machine.status()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_in_any_world(seed in any::<u64>()) {
        simulate(seed);
    }
}

fn cases() -> u32 {
    let rounds = std::env::var("QUORATE_TORTURE_ROUNDS").ok().and_then(|rounds| rounds.parse::<u32>().ok());
    rounds.map_or(300, |rounds| rounds * 100)
}

#[test]
fn most_drawn_workflows_can_be_run() {
    let mut chance = Chance(7);
    let good = (0..200).filter(|_| Definition::from_json(&workflow(&mut chance)).is_ok()).count();
    assert!(good > 150, "{good}");
}
