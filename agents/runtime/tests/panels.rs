//! Do the six ways of asking a panel do what they promise?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::{Arc, Mutex};

use panel::{
    answer, asked, ballot, decision, is_blind, member, model, options, prompt, runtime, speak_for, stubborn,
    with_sources,
};
use quorate_agents::{AgentRegistry, RegistryOptions};
use quorate_core::embed::StaticModel;
use quorate_models::Request;
use quorate_runtime::{BallotForm, Member, PanelKind, PanelOptions, Role, Runtime, RuntimeOptions, Status};
use serde_json::json;

#[test]
fn parallel_ballots_are_independent_and_a_minority_of_one_stays_byte_for_byte() {
    let words = "No: it says\n\"<statement>\" \u{1f600}  – and  spaces stay.";
    let lone = member("lone", move |_| ballot("no", 0.9, words));
    let members =
        vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "yes"), stubborn("d", "yes"), lone];
    let answer = runtime().panel("Is it?", options(PanelKind::Parallel, members)).unwrap();
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Done, None));
    assert_eq!(decision(&answer).as_deref(), Some("yes"));
    assert_eq!(answer.rounds.len(), 1);
    assert_eq!(answer.score, answer.baseline);
    assert_eq!(answer.minority.len(), 1);
    let minority = &answer.minority[0];
    assert_eq!((minority.position.as_str(), minority.ballots[0].member.as_str()), ("no", "lone"));
    assert_eq!(minority.ballots[0].reasons[0].text, words);
    assert!(answer.synthesis.contains(words) && answer.synthesis_by == "ballots", "{}", answer.synthesis);
    let kinds = |kind: &str| answer.log.iter().filter(|entry| entry.kind == kind).count();
    assert_eq!((kinds("opening"), kinds("ballot"), kinds("summary"), answer.log.len()), (5, 5, 1, 11));
    assert_eq!((answer.ballots.len(), answer.dropped.len(), answer.usage.input > 0), (5, 0, true));
    assert_eq!(answer.conformity.flips, 0);
}

#[test]
fn sequential_members_hear_earlier_reasons_in_both_orders() {
    // Whoever hears a reason for yes says yes; the first speaker of a pass hears nothing, and says what it said blind.
    let follower = |id: &'static str, blind: &'static str| {
        member(id, move |request| {
            let choice = match (speak_for(request, "yes"), speak_for(request, "no")) {
                (0, 0) => blind,
                (yes, no) if yes > no => "yes",
                _ => "no",
            };
            ballot(choice, 0.7, &format!("reason {}", panel::number(id)))
        })
    };
    let (mut same, mut turned) = (0, 0);
    for seed in 0..12 {
        let members =
            vec![follower("a", "yes"), follower("b", "no"), follower("c", "yes"), follower("d", "no")];
        let options = PanelOptions { seed, ..options(PanelKind::Sequential, members) };
        let answer = runtime().panel("Is it?", options).unwrap();
        let stages: Vec<&str> = answer.rounds.iter().map(|round| round.stage.as_str()).collect();
        assert_eq!(stages, ["blind", "forward", "reversed"]);
        assert!(answer.rounds.iter().all(|round| round.ballots == 4 && round.asked == 4));
        let order = answer.order.as_ref().unwrap();
        assert_eq!(order.pairs, 4);
        let held = |round: u32| -> Vec<&str> {
            answer.ballots.iter().filter(|one| one.round == round).map(|one| one.holds.as_str()).collect()
        };
        let (forward, reversed) = (held(2), held(3));
        // All follow whoever speaks first.
        assert!(
            forward.iter().all(|held| *held == forward[0])
                && reversed.iter().all(|held| *held == reversed[0])
        );
        if forward[0] != reversed[0] {
            turned += 1;
            // Two of the 16 assignments are as far apart: all one way, or all the other.
            assert_eq!((order.differ, order.assignments, order.exact, order.p_value), (4, 16, true, 0.125));
            // What depends on the order decides nothing.
            assert!(answer.ballots.iter().all(|one| one.counted == (one.round == 1)));
            assert_eq!(answer.score.as_ref().unwrap().support, 0.5);
        } else {
            same += 1;
            assert_eq!((order.differ, order.p_value), (0, 1.0));
            assert_eq!(answer.score.as_ref().unwrap().support, 1.0);
        }
        let shown = answer.log.iter().filter_map(|entry| entry.prompt.as_ref());
        assert!(shown.clone().count() == 12 && shown.clone().all(|prompt| !prompt.contains('%')));
    }
    assert!(same > 0 && turned > 0, "{same} {turned}");
}

#[test]
fn a_consensus_ends_when_objections_are_met() {
    let objector = member("objector", |request| {
        let mut ballot = ballot("no", 0.7, "it leaks");
        if panel::can_object(request) && !prompt(request).contains("with a seal") {
            ballot["objection"] = json!("It leaks.");
        }
        ballot
    });
    let chair = Member {
        role: Role::Moderator,
        ..member("chair", |request| {
            let seal = prompt(request).contains("It leaks.");
            match asked(request).as_str() {
                "synthesis" => json!({"text": "They hold [P1] and [P2]."}),
                _ => json!({"text": if seal { "Yes, with a seal." } else { "Yes." }}),
            }
        })
    };
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), objector, chair];
    let answer = runtime().panel("Is it?", options(PanelKind::Consensus, members)).unwrap();
    assert_eq!(answer.stopped_by.as_deref(), Some("objections_met"), "{answer:#?}");
    assert_eq!(answer.rounds.len(), 3);
    assert_eq!(answer.rounds[1].objections, Some(1));
    assert_eq!(answer.rounds[2].proposal.as_deref(), Some("Yes, with a seal."));
    assert!(answer.objections.is_empty());
    assert_eq!(
        (answer.synthesis.as_str(), answer.synthesis_by.as_str()),
        ("They hold \"yes\" and \"no\".", "chair")
    );
    // The chair does not vote.
    assert_eq!(answer.score.as_ref().unwrap().voters, 3);
    assert_eq!(answer.members[3].counts, 0.0);
}

#[test]
fn a_consensus_that_does_not_move_ends_with_its_objections_verbatim() {
    let objector = member("objector", |request| {
        let mut ballot = ballot("no", 0.7, "it leaks");
        if panel::can_object(request) {
            ballot["objection"] = json!("It leaks,  always.");
        }
        ballot
    });
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), objector];
    let panel = |rounds| {
        let members = members.clone();
        let options = PanelOptions { rounds: Some(rounds), ..options(PanelKind::Consensus, members) };
        runtime().panel("Is it?", options).unwrap()
    };
    let stable = panel(6);
    assert_eq!((stable.stopped_by.as_deref(), stable.rounds.len()), (Some("stable"), 3));
    assert_eq!(stable.objections[0].text, "It leaks,  always.");
    assert_eq!(panel(2).stopped_by.as_deref(), Some("max_rounds"));
}

#[test]
fn a_judge_that_always_picks_the_first_side_makes_a_tie() {
    let members = || vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "no")];
    let judge = |winner: fn(&Request) -> &'static str| {
        model("scripted:judge", move |request| json!({"reason": "so", "winner": winner(request)}))
    };
    let debate = |winner| {
        let options = PanelOptions { judge: Some(judge(winner)), ..options(PanelKind::Debate, members()) };
        runtime().panel("Is it?", options).unwrap()
    };
    let biased = debate(|_| "first");
    let verdict = biased.verdict.as_ref().unwrap();
    assert_eq!((verdict.winner.as_ref(), verdict.flipped, verdict.independent), (None, true, true));
    // One that goes by what is argued does not flip.
    let fair = debate(|request| {
        let text = prompt(request);
        let first = text.find("The first speaks for").unwrap();
        let second = text.find("The second speaks for").unwrap();
        if text[first..second].contains("yes") { "first" } else { "second" }
    });
    let verdict = fair.verdict.as_ref().unwrap();
    assert_eq!((verdict.winner.as_deref(), verdict.flipped), (Some("yes"), false));
    assert_eq!(fair.rounds.len(), 4);
    let speeches: Vec<&str> = fair
        .log
        .iter()
        .filter(|entry| entry.text == "This is a statement.")
        .map(|entry| entry.kind.as_str())
        .collect();
    assert_eq!(speeches, ["opening", "opening", "rebuttal", "rebuttal"]);
    // Ballots before and after stand apart.
    assert_eq!(fair.ballots.iter().filter(|one| one.round == 4).count(), 3);
    assert!(fair.baseline.is_some() && fair.warnings.is_empty());
}

#[test]
fn a_judge_of_the_members_family_is_told_of() {
    let same = model("openai:gpt-4o", |request| answer(request, ballot("yes", 0.9, "so")));
    let judge = model("openai:gpt-4o-mini", |_| json!({"reason": "so", "winner": "tie"}));
    let members = vec![Member::with("a", same), stubborn("b", "no")];
    let options = PanelOptions { judge: Some(judge), ..options(PanelKind::Debate, members) };
    let answer = runtime().panel("Is it?", options).unwrap();
    assert!(!answer.verdict.unwrap().independent);
    assert!(answer.warnings[0].contains("family"), "{:?}", answer.warnings);
}

#[test]
fn socratic_changes_count_with_a_cited_reason_alone() {
    let runtime = with_sources(&["The device contains software.", "Software needs a seal."]);
    let changes = |id: &'static str, cited: bool| {
        member(id, move |request| match asked(request).as_str() {
            "ballot" if is_blind(request) => ballot("no", 0.6, &format!("claim of {}", panel::number(id))),
            "ballot" => {
                let cited = if cited { json!([2]) } else { json!([]) };
                json!({"choice": "yes", "confidence": 0.9, "reasons": [{"text": "now I see", "citations": cited}]})
            }
            _ => json!({"text": "It is so.", "claims": [
                {"claim": 1, "status": "supported", "citations": [1]},
                {"claim": 2, "status": "conceded"},
                {"claim": 3, "status": "supported"},
            ]}),
        })
    };
    let members = vec![changes("a", true), changes("b", false), changes("c", false)];
    let answer = runtime.panel("Is it?", options(PanelKind::Socratic, members)).unwrap();
    assert_eq!((answer.stopped_by.as_deref(), answer.rounds.len()), (Some("kinds_covered"), 8));
    assert!(
        answer.coverage.iter().all(|kind| (kind.asked, kind.answered) == (1, 3)),
        "{:?}",
        answer.coverage
    );
    let status: Vec<&str> = answer.claims.iter().map(|claim| claim.status.as_str()).collect();
    assert_eq!(status, ["supported", "conceded", "open"]);
    let counted: Vec<(&str, &str)> = answer
        .ballots
        .iter()
        .filter(|one| one.counted)
        .map(|one| (one.member.as_str(), one.holds.as_str()))
        .collect();
    assert_eq!(counted, [("b", "no"), ("c", "no"), ("a", "yes")]);
    assert_eq!(decision(&answer).as_deref(), Some("no"));
    assert_eq!(answer.citations.iter().map(|one| one.doc_id.as_str()).collect::<Vec<_>>(), ["d2"]);
}

fn rater(id: &'static str, ratings: &'static [f64]) -> Member {
    let round = Mutex::new(0usize);
    member(id, move |_| {
        let mut round = round.lock().unwrap();
        let rating = ratings[(*round).min(ratings.len() - 1)];
        *round += 1;
        json!({"number": rating, "confidence": 0.8, "reasons": [{"text": format!("I gave {rating} for a reason")}]})
    })
}

#[test]
fn delphi_shows_the_distribution_and_both_tails_and_stops_when_it_is_stable() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let watcher = member("watcher", move |request| {
        keep.lock().unwrap().push(prompt(request));
        json!({"number": 5, "confidence": 0.8, "reasons": [{"text": "the middle"}]})
    });
    let members = vec![
        rater("a", &[1.0, 2.0]),
        rater("b", &[5.0]),
        rater("c", &[5.0]),
        rater("d", &[9.0, 9.0]),
        watcher,
    ];
    let options = PanelOptions { options: vec![], ..options(PanelKind::Delphi, members) };
    let answer = runtime().panel("How sure?", options).unwrap();
    // One of five has moved in the second round, nobody in the third.
    assert_eq!((answer.stopped_by.as_deref(), answer.rounds.len()), (Some("stability"), 3));
    let moved = &answer.rounds[1].delphi.as_ref().unwrap().items[0];
    assert!((moved.stability.as_ref().unwrap().change - 0.2).abs() < 1e-12);
    let prompts = seen.lock().unwrap().clone();
    assert!(prompts[1].contains("median 5, the middle half from 5 to 5"), "{}", prompts[1]);
    assert!(prompts[1].contains("You gave: 5"), "{}", prompts[1]);
    assert!(prompts[1].contains("I gave 1 for a reason") && prompts[1].contains("I gave 9 for a reason"));
    assert!(!prompts[1].contains("I gave 5 for a reason"));
    // Stable dissent is a result.
    assert_eq!(answer.status, Status::Done);
}

#[test]
fn rand_ucla_s_example_is_what_a_delphi_panel_says() {
    // Fitch et al. (2001): fifteen ratings with P30 = 7 and P70 = 8 have an IPRAS of 6.1, without disagreement.
    const IDS: [&str; 15] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"];
    let members =
        IDS.iter().enumerate().map(|(i, id)| rater(id, if i < 7 { &[7.0] } else { &[8.0] })).collect();
    let options = PanelOptions { options: vec![], ..options(PanelKind::Delphi, members) };
    let answer = runtime().panel("Is it appropriate?", options).unwrap();
    assert_eq!(answer.rounds.len(), 2);
    let item = &answer.rounds[1].delphi.as_ref().unwrap().items[0];
    assert_eq!((item.n, item.ipr, item.disagreement), (15, 1.0, false));
    assert!((item.ipras - 6.1).abs() < 1e-12);
    assert_eq!(serde_json::to_value(item.appropriateness).unwrap(), json!("appropriate"));
}

#[test]
fn delphi_rates_each_option() {
    let rates = |id: &'static str, yes: f64, no: f64| {
        member(id, move |_| json!({"ratings": {"yes": yes, "no": no}, "confidence": 0.9, "reasons": []}))
    };
    let members = vec![rates("a", 8.0, 2.0), rates("b", 7.0, 3.0), rates("c", 5.0, 5.0)];
    let answer = runtime().panel("Is it?", options(PanelKind::Delphi, members)).unwrap();
    assert_eq!(answer.ballot, BallotForm::Ratings);
    assert_eq!(answer.rounds[0].delphi.as_ref().unwrap().items.len(), 2);
    assert_eq!(decision(&answer).as_deref(), Some("yes"));
    assert_eq!(answer.ballots[2].holds, "no | yes");
}

#[test]
fn who_has_nothing_against_a_proposal_in_words_stands_behind_it() {
    let says = |id: &'static str, text: &'static str, objection: Option<&'static str>| {
        member(id, move |request| {
            let mut said = json!({"position": text, "confidence": 0.7, "reasons": [{"text": format!("because {}", panel::number(id))}]});
            if panel::can_object(request) {
                said["objection"] = json!(objection);
            }
            said
        })
    };
    let members = vec![
        says("a", "Start at 500 mg daily.", None),
        says("b", "Start at 500 mg daily.", None),
        says("c", "Start at 850 mg daily.", None),
        says("d", "Do not start at all.", Some("The kidneys are too weak.")),
    ];
    let options = PanelOptions { options: vec![], rounds: Some(2), ..options(PanelKind::Consensus, members) };
    let answer = runtime().panel("Which dose?", options).unwrap();
    assert!((answer.baseline.as_ref().unwrap().support - 0.5).abs() < 1e-12);
    assert_eq!(decision(&answer).as_deref(), Some("Start at 500 mg daily."));
    assert!((answer.score.as_ref().unwrap().support - 0.75).abs() < 1e-12);
    assert_eq!(answer.rounds[1].proposal.as_deref(), Some("Start at 500 mg daily."));
    assert_eq!(answer.objections[0].text, "The kidneys are too weak.");
}

#[test]
fn where_all_agree_one_side_speaks_against_it() {
    let members = || vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "yes")];
    let answer = runtime().panel("Is it?", options(PanelKind::Debate, members())).unwrap();
    let mut sides = answer.verdict.as_ref().unwrap().sides.clone();
    sides.sort();
    assert_eq!(sides, ["no", "yes"]);
    // Each side has spoken in each turn, by members who do not hold it if need be.
    assert_eq!(answer.log.iter().filter(|entry| entry.text == "This is a statement.").count(), 4);
    // One member alone argues both.
    let alone = options(PanelKind::Debate, vec![stubborn("a", "yes")]);
    assert_eq!(runtime().panel("Is it?", alone).unwrap().status, Status::Done);
}

#[test]
fn where_nobody_is_named_to_lead_one_who_can_facilitate_does() {
    let registry = AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap();
    let model = Some(model("scripted:all", |request| answer(request, ballot("yes", 0.8, "it is so"))));
    let runtime =
        Runtime::new(RuntimeOptions { registry: Some(registry), model, ..RuntimeOptions::default() })
            .unwrap();
    let ask = |kind| {
        let wanted = PanelOptions { options: panel::yes_no(), ..PanelOptions::of(kind) };
        runtime.panel("Is a 510(k) needed for our ECG app?", wanted).unwrap()
    };
    let led = ask(PanelKind::Consensus);
    let leaders: Vec<&str> =
        led.members.iter().filter(|seat| seat.role == Role::Moderator).map(|seat| seat.id.as_str()).collect();
    assert_eq!(leaders, ["medical-affairs"]);
    assert!(led.ballots.iter().all(|ballot| ballot.member != "medical-affairs"));
    assert_eq!(led.members.iter().filter(|seat| seat.role == Role::Expert).count(), 5);
    // Independent ballots need nobody to lead.
    assert!(ask(PanelKind::Parallel).members.iter().all(|seat| seat.role == Role::Expert));
}
