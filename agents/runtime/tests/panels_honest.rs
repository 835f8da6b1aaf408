//! Does a panel measure what it promises to measure? Raters with known parameters tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::{Arc, Mutex};

use panel::{answer, ballot, is_blind, member, model, options, runtime, speak_for, stubborn, yes_no};
use quorate_consensus::pooling::wilson;
use quorate_models::Request;
use quorate_runtime::{Member, PanelAnswer, PanelKind, PanelOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const IDS: [&str; 9] = ["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8", "i9"];

/// A number from 0 to 1 that follows from what is asked of whom, whatever the threads do.
fn chance(request: &Request, salt: &str) -> f64 {
    let seed = panel::number(&format!("{salt} {:?}", request.seed));
    ChaCha8Rng::seed_from_u64(seed ^ request.seed.unwrap_or(0)).random()
}

/// Objects to all, so that the panel goes on.
fn objecting(request: &Request, mut ballot: Value) -> Value {
    if panel::can_object(request) {
        ballot["objection"] = json!("I object.");
    }
    ballot
}

/// Goes over to what most others say with probability `p`, each time that it hears them.
fn conformist(id: &'static str, p: f64) -> Member {
    member(id, move |request| {
        let reason = format!("reason {}", panel::number(id));
        if is_blind(request) {
            return ballot("no", 0.6, &reason);
        }
        let most = if speak_for(request, "yes") > speak_for(request, "no") { "yes" } else { "no" };
        let choice = if chance(request, id) < p { most } else { "no" };
        objecting(request, ballot(choice, 0.6, &reason))
    })
}

#[test]
fn a_conformist_of_four_fifths_is_measured_within_its_interval() {
    let measured = |p: f64| {
        let (mut moved, mut chances) = (0, 0);
        for seed in 0..60 {
            let mut members: Vec<Member> = IDS[..6].iter().map(|id| stubborn(id, "yes")).collect();
            members.extend(IDS[6..].iter().map(|id| conformist(id, p)));
            let options = PanelOptions { rounds: Some(2), seed, ..options(PanelKind::Consensus, members) };
            let answer = runtime().panel("Is it?", options).unwrap();
            let conformity = answer.conformity;
            assert_eq!((conformity.flips, conformity.chances), (conformity.to_majority, 3));
            let rate = conformity.adoption.unwrap();
            assert!(rate.low <= rate.value && rate.value <= rate.high);
            moved += conformity.to_majority;
            chances += conformity.chances;
        }
        wilson(moved as f64 / chances as f64, chances as f64)
    };
    for p in [0.8, 0.2] {
        let (low, high) = measured(p);
        assert!(low <= p && p <= high && high - low < 0.15, "{p}: {low} to {high}");
    }
    assert_eq!(measured(0.0).0, 0.0);
}

#[test]
fn collapse_and_right_to_wrong_are_counted() {
    let members = vec![
        stubborn("a", "yes"),
        stubborn("b", "yes"),
        stubborn("c", "yes"),
        conformist("d", 1.0),
        stubborn("e", "no"),
    ];
    let options =
        PanelOptions { rounds: Some(2), truth: Some(json!("no")), ..options(PanelKind::Consensus, members) };
    let conformity = runtime().panel("Is it?", options).unwrap().conformity;
    assert_eq!((conformity.flips, conformity.to_majority), (1, 1));
    assert_eq!((conformity.right_to_wrong, conformity.wrong_to_right), (Some(1), Some(0)));
    // 1 - (9 + 4) / 25 at first, 1 - (16 + 1) / 25 in the end.
    assert!((conformity.collapse.unwrap() - (12.0 - 8.0) / 12.0).abs() < 1e-9);
    assert_eq!(conformity.chances, 2);
}

/// An agent whose belief is a Dirichlet distribution: it says what it draws from it, and adds what it hears (Choi, Zhu and Li
/// 2025, by whom the belief is a martingale). `belief` is shared with the test.
fn dirichlet(id: &'static str, belief: Arc<Mutex<[f64; 2]>>) -> Member {
    member(id, move |request| {
        let mut belief = belief.lock().unwrap();
        if !is_blind(request) {
            belief[0] += speak_for(request, "yes") as f64;
            belief[1] += speak_for(request, "no") as f64;
        }
        let right = belief[0] / (belief[0] + belief[1]);
        // First what it thinks of the question, then what it says.
        let choice = if chance(request, id) < right { "yes" } else { "no" };
        objecting(request, ballot(choice, right, &format!("reason {}", panel::number(id))))
    })
}

/// The mean share of right ballots of the first five members before and after, over many panels.
fn before_and_after(corrector: bool) -> (f64, f64, usize) {
    let (mut before, mut after, panels) = (0.0, 0.0, 150);
    for seed in 0..panels {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut members: Vec<Member> = Vec::new();
        for id in &IDS[..5] {
            // Beliefs of one strength that differ in their mean, as 1.2 + 1.8 on average.
            let right = 0.4 + rng.random_range(-0.2..0.2);
            members.push(dirichlet(id, Arc::new(Mutex::new([3.0 * right, 3.0 * (1.0 - right)]))));
        }
        if corrector {
            members
                .push(member("z0", |request| objecting(request, ballot("yes", 1.0, "I have looked it up"))));
        }
        let options = PanelOptions {
            rounds: Some(4),
            seed,
            truth: Some(json!("yes")),
            ..options(PanelKind::Consensus, members)
        };
        let answer = runtime().panel("Is it?", options).unwrap();
        let right = |round: Option<u32>| {
            let own = answer.ballots.iter().filter(|one| one.member != "z0");
            let of = own.filter(|one| round.map_or(one.counted, |round| one.round == round));
            of.filter(|one| one.holds == "yes").count() as f64 / 5.0
        };
        before += right(Some(1)) / panels as f64;
        after += right(None) / panels as f64;
    }
    (before, after, panels as usize)
}

#[test]
fn debate_alone_does_not_make_dirichlet_agents_right_and_a_corrector_does() {
    let (before, after, panels) = before_and_after(false);
    // The share of right ballots in a panel has a standard deviation of at most one half.
    let error = 2.0 * 0.5 * (2.0 / panels as f64).sqrt();
    assert!((after - before).abs() < error, "{before} {after} {error}");
    let (before, after, _) = before_and_after(true);
    assert!(after - before > error, "{before} {after} {error}");
}

/// What must not depend on names, on the list of members and on the unit of weights.
fn invariant(answer: &PanelAnswer) -> String {
    let score = answer.score.as_ref().unwrap();
    let rounds: Vec<Value> = answer
        .rounds
        .iter()
        .map(|round| {
            let score = round.score.as_ref();
            json!([
                score.map(|score| score.support),
                score.map(|score| json!(score.decision)),
                round.ballots,
                round.objections
            ])
        })
        .collect();
    let mut holds: Vec<(u32, &str)> =
        answer.ballots.iter().map(|one| (one.round, one.holds.as_str())).collect();
    holds.sort_unstable();
    let claims: Vec<(&str, &str)> =
        answer.claims.iter().map(|claim| (claim.text.as_str(), claim.status.as_str())).collect();
    json!({
        "decision": score.decision, "support": score.support, "level": score.level, "confidence": score.confidence,
        "intervals": score.intervals, "effective": score.effective_voters, "weight": score.weight,
        "agreement": score.agreement, "rounds": rounds, "conformity": answer.conformity, "order": answer.order,
        "verdict": answer.verdict, "holds": holds, "claims": claims, "stopped_by": answer.stopped_by,
        "minority": answer.minority.iter().map(|one| (&one.position, one.share)).collect::<Vec<_>>(),
    })
    .to_string()
}

#[test]
fn names_the_list_and_the_unit_of_weights_change_nothing() {
    // What each says depends on what it hears, and on nothing that its name decides.
    let minds: [(&str, f64); 6] =
        [("yes", 1.0), ("yes", 0.5), ("no", 2.0), ("no", 1.0), ("later", 0.75), ("yes", 1.5)];
    let seated = |order: &[usize], names: &[&'static str], unit: f64| -> Vec<Member> {
        order
            .iter()
            .map(|&mind| {
                let (first, weight) = minds[mind];
                let say = move |request: &Request| {
                    let most = ["yes", "no", "later"]
                        .into_iter()
                        .max_by_key(|option| speak_for(request, option))
                        .unwrap();
                    let choice = if is_blind(request) || mind % 2 == 0 { first } else { most };
                    let mut said =
                        answer(request, ballot(choice, 0.5 + 0.05 * mind as f64, &format!("reason {mind}")));
                    if panel::asked(request) == "ballot" {
                        said = objecting(request, said);
                    }
                    said
                };
                // One model each, whose name tells the mind and not the member.
                let model = model(&format!("scripted:mind-{mind}"), say);
                Member { weight: weight * unit, ..Member::with(names[mind], model) }
            })
            .collect()
    };
    let first: [&'static str; 6] = ["a", "b", "c", "d", "e", "f"];
    let others: [&'static str; 6] = ["zoe", "yan", "xia", "wim", "vic", "una"];
    for kind in [
        PanelKind::Parallel,
        PanelKind::Sequential,
        PanelKind::Consensus,
        PanelKind::Debate,
        PanelKind::Socratic,
    ] {
        let panel = |members: Vec<Member>| {
            let options = PanelOptions {
                options: vec!["yes".into(), "no".into(), "later".into()],
                judge: Some(model("scripted:judge", |_| json!({"reason": "so", "winner": "first"}))),
                seed: 3,
                ..options(kind, members)
            };
            invariant(&runtime().panel("Is it?", options).unwrap())
        };
        let plain = panel(seated(&[0, 1, 2, 3, 4, 5], &first, 1.0));
        assert_eq!(plain, panel(seated(&[5, 3, 1, 0, 2, 4], &first, 1.0)), "{kind:?}: another list");
        assert_eq!(plain, panel(seated(&[0, 1, 2, 3, 4, 5], &others, 1.0)), "{kind:?}: other names");
        assert_eq!(plain, panel(seated(&[0, 1, 2, 3, 4, 5], &first, 2.0)), "{kind:?}: another unit");
        assert_eq!(plain, panel(seated(&[2, 0, 5, 4, 3, 1], &others, 2.0)), "{kind:?}: all of it");
    }
}

#[test]
fn another_seed_is_another_order_and_the_same_seed_the_same_panel() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let panel = |seed: u64| {
        seen.lock().unwrap().clear();
        let keep = Arc::clone(&seen);
        let watcher = member("watcher", move |request| {
            keep.lock().unwrap().push(panel::prompt(request));
            objecting(request, ballot("yes", 0.5, "I watch"))
        });
        let mut members: Vec<Member> = IDS.iter().map(|id| stubborn(id, "no")).collect();
        members.push(watcher);
        let options = PanelOptions {
            seed,
            rounds: Some(2),
            options: yes_no(),
            ..options(PanelKind::Consensus, members)
        };
        runtime().panel("Is it?", options).unwrap();
        seen.lock().unwrap().clone()
    };
    let (first, again, other) = (panel(1), panel(1), panel(2));
    assert_eq!(first, again);
    assert_ne!(first[1], other[1]);
}

#[test]
fn of_numbers_who_goes_to_the_median_follows_and_who_stays_does_not() {
    let rates = |id: &'static str, first: f64, then: f64| {
        member(id, move |request| {
            let number = if is_blind(request) { first } else { then };
            json!({"number": number, "confidence": 0.7, "reasons": [{"text": format!("reason {}", panel::number(id))}]})
        })
    };
    let members = vec![
        rates("a", 7.0, 7.0),
        rates("b", 7.0, 7.0),
        rates("c", 7.0, 7.0),
        rates("follows", 2.0, 7.0),
        rates("stays", 1.0, 1.0),
        rates("leaves", 7.0, 3.0),
    ];
    let options = PanelOptions {
        options: vec![],
        rounds: Some(2),
        truth: Some(json!(7)),
        ..options(PanelKind::Delphi, members)
    };
    let conformity = runtime().panel("How sure?", options).unwrap().conformity;
    assert_eq!((conformity.flips, conformity.to_majority, conformity.chances), (2, 1, 2));
    assert_eq!((conformity.right_to_wrong, conformity.wrong_to_right), (Some(1), Some(1)));
}
