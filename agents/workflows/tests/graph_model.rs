//! Does any graph give what a simple model of one thread gives, however often it is stopped, fails and waits?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use quorate_core::{Code, Error, Result};
use quorate_state::StateStore;
use quorate_workflows::graph::{
    App, Context, Durability, END, Graph, NodeOptions, Output, Reducer, RunOptions, START, Send, State,
    Status, Targets,
};
use serde_json::json;

#[derive(Clone, Debug)]
struct NodeSpec {
    add: i64,
    defer: bool,
    /// Where edges lead.
    to: BTreeSet<usize>,
    /// A conditional edge: by the sum, one place or the other (none: the end).
    turn: Option<(i64, Option<usize>, Option<usize>)>,
    /// A node that so many parts are sent to while the sum is below a bound.
    send: Option<(usize, usize, i64)>,
    ask: bool,
    fail: bool,
}

#[derive(Clone, Debug)]
struct Spec {
    nodes: Vec<NodeSpec>,
    start: BTreeSet<usize>,
    joins: Vec<(BTreeSet<usize>, usize)>,
}

fn spec() -> impl Strategy<Value = Spec> {
    (1..7_usize).prop_flat_map(|count| {
        let at = move || 0..count;
        let node = (
            0..4_i64,
            prop::bool::weighted(0.15),
            prop::collection::btree_set(at(), 0..3),
            prop::option::weighted(0.4, (0..12_i64, prop::option::of(at()), prop::option::of(at()))),
            prop::option::weighted(0.25, (at(), 0..4_usize, 0..8_i64)),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.2),
        )
            .prop_map(|(add, defer, to, turn, send, ask, fail)| NodeSpec {
                add,
                defer,
                to,
                turn,
                send,
                ask,
                fail,
            });
        let join = (prop::collection::btree_set(at(), 1..4), at());
        (
            prop::collection::vec(node, count),
            prop::collection::btree_set(at(), 1..4),
            prop::collection::vec(join, 0..2),
        )
            .prop_map(|(nodes, start, joins)| Spec { nodes, start, joins })
    })
}

fn name(at: usize) -> String {
    format!("n{at}")
}

/// More tasks than this in a step are not tried: parts may send parts without end.
const MOST: usize = 60;

/// The model: what the log and the sum are after at most `limit` steps, how many were gone, and whether it has ended. None
/// where a step has too many tasks.
fn model(spec: &Spec, limit: usize) -> Option<(Vec<String>, i64, usize, bool)> {
    let (mut log, mut sum): (Vec<String>, i64) = (Vec::new(), 0);
    let mut arrived: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); spec.joins.len()];
    let mut waiting: BTreeSet<usize> = BTreeSet::new();
    let mut pulls: BTreeSet<usize> = BTreeSet::new();
    let mut sends: Vec<(usize, usize)> = Vec::new();
    for to in &spec.start {
        if spec.nodes[*to].defer {
            waiting.insert(*to)
        } else {
            pulls.insert(*to)
        };
    }
    let mut steps = 0;
    loop {
        if pulls.is_empty() && sends.is_empty() {
            pulls = std::mem::take(&mut waiting);
        }
        if pulls.is_empty() && sends.is_empty() {
            return Some((log, sum, steps, true));
        }
        if steps == limit {
            return Some((log, sum, steps, false));
        }
        let tasks: Vec<(usize, Option<usize>)> = std::mem::take(&mut pulls)
            .into_iter()
            .map(|node| (node, None))
            .chain(std::mem::take(&mut sends).into_iter().map(|(node, part)| (node, Some(part))))
            .collect();
        if tasks.len() > MOST {
            return None;
        }
        let (seen, before) = (log.len(), sum);
        for (node, part) in tasks {
            let one = &spec.nodes[node];
            log.push(match part {
                None => format!("{node}:{seen}"),
                Some(part) => format!("{node}:{part}"),
            });
            if one.ask {
                log.push(format!("answer {node}"));
            }
            sum += one.add;
            let mut next: Vec<usize> = one.to.iter().copied().collect();
            let after = before + one.add;
            if let Some((bound, below, above)) = one.turn {
                next.extend(if after < bound { below } else { above });
            }
            if let Some((to, parts, bound)) = one.send
                && after < bound
            {
                sends.extend((0..parts).map(|part| (to, part)));
            }
            for (at, (sources, to)) in spec.joins.iter().enumerate() {
                if sources.contains(&node) {
                    arrived[at].insert(node);
                    if arrived[at] == *sources {
                        arrived[at].clear();
                        next.push(*to);
                    }
                }
            }
            for to in next {
                if spec.nodes[to].defer {
                    waiting.insert(to)
                } else {
                    pulls.insert(to)
                };
            }
        }
        steps += 1;
    }
}

/// How often each task of each step has come to its end, and which have failed once.
#[derive(Default)]
struct Seen {
    ended: BTreeMap<String, usize>,
    failed: BTreeSet<String>,
}

fn build(spec: &Spec, store: &StateStore, seen: &Arc<Mutex<Seen>>) -> App {
    let schema = json!({"properties": {"log": {"type": "array", "items": {"type": "string"}}, "sum": {"type": "integer"}}});
    let mut graph = Graph::new(schema).reducer("log", Reducer::Append).reducer("sum", Reducer::Sum);
    let mut anywhere: Vec<String> = (0..spec.nodes.len()).map(name).collect();
    anywhere.push(END.to_owned());
    for (at, one) in spec.nodes.iter().enumerate() {
        let (add, ask, fail, seen) = (one.add, one.ask, one.fail, Arc::clone(seen));
        let body = move |state: &State, context: &Context| -> Result<Output> {
            let length = state["log"].as_array().map_or(0, Vec::len);
            let part = state["part"].as_u64();
            let mut log = vec![part.map_or_else(|| format!("{at}:{length}"), |part| format!("{at}:{part}"))];
            // One that does something outside: it must be done once.
            let key = context.step("key", || Ok(json!(quorate_state::fresh_id())))?;
            let key = key.as_str().unwrap().to_owned();
            if fail && seen.lock().unwrap().failed.insert(key.clone()) {
                return Err(Error::new(Code::RemoteFailed, "the first time"));
            }
            if ask {
                log.push(format!("answer {}", context.ask(json!(at))?));
            }
            *seen.lock().unwrap().ended.entry(key).or_default() += 1;
            Ok(json!({"log": log, "sum": add}).into())
        };
        let options = NodeOptions { defer: one.defer, goto: anywhere.clone(), ..NodeOptions::default() };
        graph = graph.node_with(name(at), options, Arc::new(body));
        for to in &one.to {
            graph = graph.edge(name(at), name(*to));
        }
        if let Some((bound, below, above)) = one.turn {
            let way = move |state: &State| {
                let to = if state["sum"].as_i64().unwrap() < bound { below } else { above };
                Ok(to.map_or_else(|| END.into(), |to| name(to).into()))
            };
            graph = graph.edges_if(name(at), way, [] as [String; 0]);
        }
        if let Some((to, parts, bound)) = one.send {
            let way = move |state: &State| -> Result<Targets> {
                let parts = if state["sum"].as_i64().unwrap() < bound { parts } else { 0 };
                Ok((0..parts)
                    .map(|part| Send::new(name(to), json!({"part": part})))
                    .collect::<Vec<_>>()
                    .into())
            };
            graph = graph.edges_if(name(at), way, [name(to)]);
        }
    }
    for to in &spec.start {
        graph = graph.edge(START, name(*to));
    }
    for (sources, to) in &spec.joins {
        graph = graph.join(sources.iter().map(|at| name(*at)), name(*to));
    }
    graph.compile(store).unwrap()
}

const LIMIT: usize = 9;

/// Runs a graph, stopped and resumed as `chances` say, and compares it with the model.
fn compare(spec: &Spec, store: &StateStore, chances: &[u8], durability: Durability) {
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let mut app = build(spec, store, &seen);
    let Some((log, sum, steps, ended)) = model(spec, LIMIT) else { return };
    let mut chance = chances.iter().copied().cycle();
    let mut chance = move || chance.next().unwrap();
    let mut left = LIMIT;
    let options = |left: usize, chance: u8| RunOptions {
        step_limit: left.min(1 + usize::from(chance % 5)),
        parallel: 1 + usize::from(chance % 3),
        durability,
        ..RunOptions::default()
    };
    let mut outcome = app.run_with(json!({}), "t", &options(left, chance())).unwrap();
    for _ in 0..1_000 {
        left -= outcome.steps;
        if outcome.status == Status::Done || left == 0 {
            break;
        }
        assert_ne!(outcome.status, Status::Cancelled);
        let mut answers = HashMap::new();
        for (at, review) in outcome.reviews.iter().enumerate() {
            if at == 0 || chance() % 2 == 0 {
                answers.insert(review.id.clone(), review.question.clone());
            }
        }
        if chance() % 4 == 0 {
            app = build(spec, store, &seen);
        }
        outcome = app.resume_with("t", answers, &options(left, chance())).unwrap();
    }
    assert_eq!((outcome.state["log"].clone(), outcome.state["sum"].clone()), (json!(log), json!(sum)));
    assert_eq!((LIMIT - left, outcome.status == Status::Done || left == 0), (steps, true));
    if ended {
        assert_eq!(outcome.status, Status::Done);
    }
    let history = app.history("t", None, None).unwrap();
    assert_eq!(history[0].state, outcome.state);
    if durability != Durability::Exit {
        assert_eq!(history.len(), steps + 1);
    }
    // Each task came to its end once: what had ended was not done again.
    let seen = seen.lock().unwrap();
    let tasks = log.iter().filter(|entry| !entry.starts_with("answer")).count();
    assert_eq!(seen.ended.len(), tasks);
    assert!(seen.ended.values().all(|count| *count == 1), "{:?}", seen.ended);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_in_memory_gives_what_the_model_gives(spec in spec(), chances in prop::collection::vec(any::<u8>(), 8)) {
        compare(&spec, &StateStore::memory(), &chances, Durability::Sync);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_on_the_disk_gives_what_the_model_gives(spec in spec(), chances in prop::collection::vec(any::<u8>(), 8)) {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path()).unwrap();
        let durability = [Durability::Sync, Durability::Async, Durability::Exit][usize::from(chances[0] % 3)];
        compare(&spec, &store, &chances, durability);
    }
}

#[test]
fn the_model_itself_knows_joins_and_parts() {
    let plain = NodeSpec {
        add: 1,
        defer: false,
        to: BTreeSet::new(),
        turn: None,
        send: None,
        ask: false,
        fail: false,
    };
    let first = NodeSpec { send: Some((1, 2, 9)), ..plain.clone() };
    let spec =
        Spec { nodes: vec![first, plain.clone(), plain], start: [0].into(), joins: vec![([0, 1].into(), 2)] };
    let (log, sum, steps, ended) = model(&spec, 9).unwrap();
    assert_eq!((log.join(" ").as_str(), sum, steps, ended), ("0:0 1:0 1:1 2:3", 4, 3, true));
}
