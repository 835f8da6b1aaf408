//! What does a panel cost beside its models?
//!
//! `cargo run --release -p quorate-runtime --example panel_speed`: six members, three rounds; with a model that answers at once,
//! with one that takes 50 ms, and a hundred panels at the same time.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a program for people

use std::time::{Duration, Instant};

use quorate_models::{Model, ModelOptions, Request, ScriptedModel};
use quorate_runtime::{Member, PanelAnswer, PanelKind, PanelOptions, Runtime, RuntimeOptions};
use serde_json::json;

const MEMBERS: usize = 6;
const ROUNDS: u32 = 3;

/// Rates so that no round is like the one before, and the panel goes on to the last one.
fn say(request: &Request) -> serde_json::Value {
    let text: String = request.messages.iter().map(|message| message.text()).collect();
    let number = match (text.contains("Nobody has spoken yet"), text.contains("median 2")) {
        (true, _) => 2.0,
        (false, true) => 5.0,
        (false, false) => 8.0,
    };
    json!({"number": number, "confidence": 0.8, "reasons": [{"text": "A reason of about the length that reasons have."}]})
}

fn members(wait: Duration) -> Vec<Member> {
    let one = |i: usize| {
        let script = ScriptedModel::of_function(move |request, _| {
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            ScriptedModel::reply_from_json(&json!(say(request).to_string()))
        });
        let model = Model::new(script.named(format!("scripted:{i}")), ModelOptions::default()).unwrap();
        Member::with(format!("member-{i}"), model)
    };
    (0..MEMBERS).map(one).collect()
}

fn panel(runtime: &Runtime, wait: Duration) -> PanelAnswer {
    let options = PanelOptions {
        members: Some(members(wait)),
        rounds: Some(ROUNDS),
        ..PanelOptions::of(PanelKind::Delphi)
    };
    let answer = runtime.panel("How well does the device do what it is for?", options).unwrap();
    assert_eq!((answer.rounds.len(), answer.ballots.len()), (ROUNDS as usize, MEMBERS * ROUNDS as usize));
    answer
}

/// The least and the median of some measurements, in milliseconds.
fn measured(times: usize, mut measure: impl FnMut()) -> (f64, f64) {
    let mut taken: Vec<f64> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            measure();
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    (taken[0], taken[taken.len() / 2])
}

fn main() {
    let script = ScriptedModel::of_texts(Vec::<String>::new());
    let model = Some(Model::new(script, ModelOptions::default()).unwrap());
    let runtime = Runtime::new(RuntimeOptions { model, ..RuntimeOptions::default() }).unwrap();
    panel(&runtime, Duration::ZERO);
    let (least, overhead) = measured(200, || drop(panel(&runtime, Duration::ZERO)));
    println!(
        "{MEMBERS} members, {ROUNDS} rounds, a model that answers at once: {overhead:.2} ms ({least:.2} at best)"
    );
    let (least, slow) = measured(10, || drop(panel(&runtime, Duration::from_millis(50))));
    let bound = f64::from(ROUNDS) * 55.0;
    println!(
        "the same with a model that takes 50 ms: {slow:.1} ms ({least:.1} at best), {bound:.0} are aimed at"
    );
    let (_, many) = measured(3, || {
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| panel(&runtime, Duration::from_millis(50)));
            }
        });
    });
    println!("100 panels at once, a model that takes 50 ms: {many:.1} ms, {:.2} ms a panel", many / 100.0);
}
