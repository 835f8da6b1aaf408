//! Do the six ways of asking a panel do what they promise?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::{Arc, Mutex};

use panel::{
    answer, asked, ballot, is_blind, member, model, options, prompt, runtime, speak_for, stubborn, yes_no,
};
use quorate_agents::{Agent, AgentRegistry, RegistryOptions};
use quorate_core::embed::{Embed, Embedder, EmbedderOptions};
use quorate_core::{Cancel, Code, Result};
use quorate_models::Request;
use quorate_runtime::{
    Aggregate, BallotForm, Member, PanelAnswer, PanelKind, PanelOptions, Passage, Retrieve, Role, Runtime,
    RuntimeOptions, SeedQuestion, Stance, Status, Wanted, Weighting,
};
use serde_json::{Value, json};

struct Sources(Vec<&'static str>);

impl Retrieve for Sources {
    fn passages(&self, _question: &str, _wanted: &Wanted, _cancel: &Cancel) -> Result<Vec<Passage>> {
        let passage = |(i, text): (usize, &&str)| Passage {
            doc_id: format!("d{}", i + 1),
            text: (*text).to_owned(),
            end: text.len(),
            ..Passage::default()
        };
        Ok(self.0.iter().enumerate().map(passage).collect())
    }

    fn embedder(&self) -> Option<Arc<dyn Embed>> {
        None
    }
}

fn with_sources(texts: &[&'static str]) -> Runtime {
    let options = RuntimeOptions {
        model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.6, "by default")))),
        sources: Some(Arc::new(Sources(texts.to_vec()))),
        ..RuntimeOptions::default()
    };
    Runtime::new(options).unwrap()
}

fn empty_registry() -> AgentRegistry {
    let embedder = Arc::new(Embedder::open("builtin", EmbedderOptions::default()).unwrap());
    AgentRegistry::open(None, RegistryOptions::empty(embedder)).unwrap()
}

fn decision(answer: &PanelAnswer) -> Option<String> {
    answer.score.as_ref().and_then(|score| score.decision.option().map(str::to_owned))
}

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
fn members_that_share_a_model_are_no_independent_voters() {
    let same = model("scripted:one", |request| answer(request, ballot("yes", 0.9, "we all say so")));
    let clones: Vec<Member> = (0..5).map(|i| Member::with(format!("m{i}"), same.clone())).collect();
    let of = |rho: Option<f64>, members: &[Member]| {
        let options = PanelOptions { rho, ..options(PanelKind::Parallel, members.to_vec()) };
        runtime().panel("Is it?", options).unwrap().score.unwrap()
    };
    let clone_score = of(None, &clones);
    assert!((clone_score.effective_voters - 1.0).abs() < 1e-12, "{}", clone_score.effective_voters);
    assert_eq!(clone_score.groups.as_ref().unwrap().rho_is, "assumed");
    assert!((of(Some(0.5), &clones).effective_voters - 5.0 / 3.0).abs() < 1e-12);
    let people: Vec<Member> = ["a", "b", "c", "d", "e"].into_iter().map(|id| stubborn(id, "yes")).collect();
    let people_score = of(None, &people);
    assert!((people_score.effective_voters - 5.0).abs() < 1e-12 && people_score.groups.is_none());
    assert!(clone_score.intervals[0].low < people_score.intervals[0].low);
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
fn no_prompt_after_the_first_round_tells_who_sits_there() {
    let registry = empty_registry();
    let names = [("dr-kidney-1", "Nora Nephron"), ("dr-heart-2", "Carl Cardio"), ("judge-law-3", "Lena Lex")];
    for (id, name) in names {
        let instructions = Some(format!("You sign as {{{{ name }}}} and are expert {}.", panel::number(id)));
        registry.add(Agent { instructions, ..Agent::new(id, name, "Knows a lot.") }).unwrap();
    }
    // Each says who it is, and with what it was made.
    let says = |id: &'static str, name: &'static str, choice: &'static str| Member {
        weight: 2.375,
        ..Member::with(
            id,
            model(&format!("openai:secret-{id}"), move |request| {
                let said = format!("I am {name} ({id}), a openai:secret-{id} model, and say so");
                match asked(request).as_str() {
                    "ballot" => {
                        let mut ballot = ballot(choice, 0.8, &said);
                        if choice == "no" && panel::can_object(request) {
                            ballot["objection"] = json!(format!("{name} objects"));
                        }
                        ballot
                    }
                    "verdict" => json!({"reason": said, "winner": "tie"}),
                    "answer" => json!({"text": said, "claims": [], "new_claims": []}),
                    _ => json!({"text": said}),
                }
            }),
        )
    };
    for kind in PanelKind::ALL {
        let members: Vec<Member> = names
            .into_iter()
            .zip(["yes", "yes", "no"])
            .map(|((id, name), choice)| if kind == PanelKind::Delphi {
                Member::with(id, model(&format!("openai:secret-{id}"), move |_| {
                    let number = if choice == "yes" { 2 } else { 8 };
                    json!({"number": number, "confidence": 0.8, "reasons": [{"text": format!("I am {name} ({id}) of openai:secret-{id}")}]})
                }))
            } else { says(id, name, choice) })
            .collect();
        let options = PanelOptions {
            options: if kind == PanelKind::Delphi { vec![] } else { yes_no() },
            judge: Some(model("openai:judge-of-all", |_| json!({"reason": "so", "winner": "tie"}))),
            chair: Some(says("judge-law-3", "Lena Lex", "no")),
            ..options(kind, members)
        };
        let runtime = Runtime::new(RuntimeOptions {
            registry: Some(registry.clone()),
            model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.5, "x")))),
            ..RuntimeOptions::default()
        })
        .unwrap();
        let answer = runtime.panel("Is it?", options).unwrap();
        let mut later = 0;
        // The journal itself: each answer is written down with what was shown.
        for entry in runtime.run(&answer.run_id).unwrap().entries().unwrap() {
            if entry.kind != "panel_said" {
                continue;
            }
            let shown = entry.data["prompt"].to_string();
            if shown.contains("Nobody has spoken yet") {
                continue;
            }
            later += 1;
            for (id, name) in names {
                for secret in [id, name, &format!("openai:secret-{id}"), "openai:judge-of-all", "2.375"] {
                    assert!(!shown.contains(secret), "{kind:?}: {secret} in {shown}");
                }
            }
        }
        assert!(later >= 1, "{kind:?}: {later}");
        // What members said is kept as they said it.
        assert!(answer.ballots[0].reasons[0].text.contains(names[0].1));
    }
}

#[test]
fn a_synthesis_that_leaves_out_a_minority_is_asked_for_again_and_then_written_from_the_ballots() {
    let chair = |mends: bool| {
        let asked = Mutex::new(0);
        Member {
            role: Role::Moderator,
            ..member("chair", move |request| {
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                let told = prompt(request).contains("leaves out the position [P2]");
                let text =
                    if mends && told { "[P1], though some hold [P2]." } else { "[P1], and all agree." };
                assert!(*asked <= 2);
                json!({"text": text})
            })
        }
    };
    let panel = |mends, threshold| {
        let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "no"), chair(mends)];
        let options = PanelOptions { minority_threshold: threshold, ..options(PanelKind::Parallel, members) };
        runtime().panel("Is it?", options).unwrap()
    };
    let mended = panel(true, 0.0);
    assert_eq!(
        (mended.synthesis.as_str(), mended.synthesis_by.as_str()),
        ("\"yes\", though some hold \"no\".", "chair")
    );
    let stubborn = panel(false, 0.0);
    assert_eq!(stubborn.synthesis_by, "ballots");
    assert!(stubborn.synthesis.contains("\"no\""), "{}", stubborn.synthesis);
    assert_eq!(panel(false, 0.5).synthesis_by, "chair");
}

#[test]
fn weights_are_shown_capped_and_settled_before_anybody_has_heard_anybody() {
    let heavy = Member { weight: 100.0, ..stubborn("heavy", "no") };
    let members =
        vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "yes"), stubborn("d", "yes"), heavy];
    let answer = runtime().panel("Is it?", options(PanelKind::Parallel, members)).unwrap();
    let last = &answer.members[4];
    assert_eq!(last.weight, 100.0);
    assert!((last.counts / answer.members[0].counts - 3.0).abs() < 1e-12);
    assert_eq!(decision(&answer).as_deref(), Some("yes"));
    // By confidence: that of the blind ballot, by ReConcile's map.
    let sure = member("sure", |request| ballot("no", if is_blind(request) { 1.0 } else { 0.2 }, "sure"));
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "yes"), sure];
    let options = PanelOptions { weights: Weighting::Confidence, ..options(PanelKind::Consensus, members) };
    let answer = runtime().panel("Is it?", options).unwrap();
    assert!(
        (answer.members[3].counts / answer.members[0].counts - 2.0).abs() < 1e-12,
        "{:?}",
        answer.members
    );
}

#[test]
fn seed_questions_weigh_the_members() {
    let good = |id: &'static str| {
        member(id, |request| match asked(request).as_str() {
            "seeds" => {
                let answers: Vec<Value> =
                    (1..=10).map(|i| json!({"q05": f64::from(i) * 10.0 - 4.0, "q50": f64::from(i) * 10.0 + if i % 2 == 0 { 1.0 } else { -1.0 }, "q95": f64::from(i) * 10.0 + 4.0})).collect();
                json!({"answers": answers})
            }
            _ => ballot("yes", 0.8, "good"),
        })
    };
    let bad = member("bad", |request| match asked(request).as_str() {
        "seeds" => json!({"answers": vec![json!({"q05": 1000.0, "q50": 1001.0, "q95": 1002.0}); 10]}),
        _ => ballot("no", 0.8, "bad"),
    });
    let seeds = (1..=10)
        .map(|i| SeedQuestion { question: format!("What is {i} x 10?"), answer: f64::from(i) * 10.0 })
        .collect();
    let options = PanelOptions { seeds, ..options(PanelKind::Parallel, vec![good("a"), good("b"), bad]) };
    let answer = runtime().panel("Is it?", options).unwrap();
    assert!(answer.members[2].counts < 1e-3 * answer.members[0].counts, "{:?}", answer.members);
    assert_eq!(answer.warnings, Vec::<String>::new());
    assert!(answer.score.unwrap().support > 0.99);
}

#[test]
fn swarms_decide_beside_the_score() {
    for method in [Aggregate::Honeybee, Aggregate::Particles] {
        let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "no")];
        let options = PanelOptions { aggregate: Some(method), ..options(PanelKind::Parallel, members) };
        let answer = runtime().panel("Is it?", options).unwrap();
        let alternative = answer.alternative.unwrap();
        assert_eq!((alternative.method, alternative.decision.as_deref()), (method, Some("yes")));
        assert_eq!(alternative.shares.len(), 2);
    }
}

#[test]
fn all_unsure_and_split_are_told_apart() {
    let gives = |id: &'static str, p: f64| {
        member(id, move |_| json!({"probability": {"yes": p, "no": 1.0 - p}, "confidence": 0.9}))
    };
    let says = |a: f64, b: f64| {
        let options = PanelOptions {
            ballot: Some(BallotForm::Probability),
            ..options(PanelKind::Parallel, vec![gives("a", a), gives("b", b)])
        };
        let answer = runtime().panel("Is it?", options).unwrap();
        answer.rounds[0].spread.clone().unwrap().says
    };
    assert_eq!(
        (says(0.5, 0.5).as_str(), says(1.0, 0.0).as_str(), says(1.0, 1.0).as_str()),
        ("unsure", "split", "agreed")
    );
}

#[test]
fn positions_in_words_are_grouped_by_their_meaning() {
    let says = |id: &'static str, text: &'static str| {
        member(id, move |_| json!({"position": text, "confidence": 0.8, "reasons": [{"text": "so"}]}))
    };
    let members = vec![
        says("a", "Metformin is safe in mild kidney disease."),
        says("b", "metformin is safe in mild kidney disease"),
        says("c", "Metformin is not safe in mild kidney disease."),
    ];
    let options = PanelOptions { options: vec![], ..options(PanelKind::Parallel, members) };
    let answer = runtime().panel("Is metformin safe?", options).unwrap();
    let score = answer.score.as_ref().unwrap();
    assert!((score.support - 2.0 / 3.0).abs() < 1e-12, "{score:?}");
    assert_eq!(answer.minority[0].position, "Metformin is not safe in mild kidney disease.");
    assert!(matches!(answer.ballots[0].position, Stance::Text(_)));
}

#[test]
fn without_a_model_sentences_of_the_sources_vote_and_abstain() {
    let offline = |texts: &[&'static str]| {
        let sources: Arc<dyn Retrieve> = Arc::new(Sources(texts.to_vec()));
        Runtime::new(RuntimeOptions { sources: Some(sources), ..RuntimeOptions::default() }).unwrap()
    };
    let question = "What is the starting dose of metformin?";
    let members = || Some(vec![Member::new("a"), Member::new("b"), Member::new("c")]);
    let options = |texts: &[&str]| PanelOptions {
        members: members(),
        options: texts.iter().map(|text| (*text).to_owned()).collect(),
        ..PanelOptions::default()
    };
    let label = "The usual starting dose of metformin is 500 mg twice daily.";
    let doses = ["500 mg twice daily", "850 mg once daily"];
    let answer = offline(&[label]).panel(question, options(&doses)).unwrap();
    assert_eq!(decision(&answer).as_deref(), Some("500 mg twice daily"));
    // Three readers of the same sentences are one voter.
    assert!((answer.score.as_ref().unwrap().effective_voters - 1.0).abs() < 1e-12);
    assert_eq!(answer.citations[0].text, label);
    assert_eq!(answer.cost, Some(0.0));
    for kind in PanelKind::ALL {
        let options = PanelOptions { options: vec![], ..PanelOptions { kind, ..options(&[]) } };
        let options = if kind == PanelKind::Delphi {
            PanelOptions { scale: Some((0.0, 1000.0)), ..options }
        } else {
            options
        };
        let answer = offline(&[label]).panel(question, options).unwrap();
        assert_eq!(answer.status, Status::Done, "{kind:?}: {answer:#?}");
    }
    // Where the sources do not tell, nobody pretends.
    let silent = offline(&["The hospital was built in 1912."]).panel(question, options(&doses)).unwrap();
    assert_eq!((silent.status, silent.stopped_by.as_deref()), (Status::NoConsensus, Some("quorum_missed")));
    assert!(silent.score.is_none() && silent.dropped.iter().all(|one| one.reason == "abstained"));
    assert_eq!(silent.dropped.len(), 3);
}

#[test]
fn the_registry_seats_those_who_fit_and_says_why() {
    let registry = empty_registry();
    registry
        .add(Agent::new(
            "kidney",
            "Nephrologist",
            "Treats kidney disease and doses drugs by kidney function.",
        ))
        .unwrap();
    registry.add(Agent::new("devices", "Device adviser", "Files a 510(k) for a medical device.")).unwrap();
    let runtime = Runtime::new(RuntimeOptions {
        registry: Some(registry),
        model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.5, "x")))),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let asked = |members| {
        let options = PanelOptions { members, size: 1, options: yes_no(), ..PanelOptions::default() };
        runtime.panel("Is metformin safe in kidney disease?", options)
    };
    let answer = asked(None).unwrap();
    assert_eq!(answer.members.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["kidney"]);
    assert!(answer.members[0].why.contains("score"), "{}", answer.members[0].why);
    assert_eq!(asked(Some(vec![Member::new("nobody")])).unwrap_err().code(), Code::UnknownId);
    let options = PanelOptions {
        weights: Weighting::Calibrated,
        size: 2,
        options: yes_no(),
        ..PanelOptions::default()
    };
    let answer = runtime.panel("Is metformin safe in kidney disease?", options).unwrap();
    assert!(answer.members[0].why.contains("outcomes recorded"), "{}", answer.members[0].why);
}

#[test]
fn observers_remark_and_do_not_vote() {
    let observer = Member { role: Role::Observer, ..stubborn("watches", "no") };
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), observer];
    let answer = runtime().panel("Is it?", options(PanelKind::Parallel, members)).unwrap();
    assert_eq!((answer.score.as_ref().unwrap().voters, answer.score.as_ref().unwrap().support), (2, 1.0));
    let remark = answer.log.iter().find(|entry| entry.member.as_deref() == Some("watches")).unwrap();
    assert_eq!((remark.kind.as_str(), remark.round), ("response", 1));
}

#[test]
fn outcomes_that_were_recorded_calibrate_the_weights() {
    let registry = empty_registry();
    registry.add(Agent::new("good", "Good", "Treats kidney disease with care.")).unwrap();
    registry.add(Agent::new("bad", "Bad", "Treats kidney disease in haste.")).unwrap();
    let question = "Is metformin safe in kidney disease?";
    for _ in 0..40 {
        registry.record_outcome("good", question, 1.0).unwrap();
        registry.record_outcome("bad", question, 0.0).unwrap();
    }
    let runtime = Runtime::new(RuntimeOptions {
        registry: Some(registry),
        model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.5, "x")))),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let members = || vec![Member::new("good"), Member::new("bad")];
    let counts = |weights| {
        let options = PanelOptions { weights, ..options(PanelKind::Parallel, members()) };
        let answer = runtime.panel(question, options).unwrap();
        (answer.members[0].counts, answer.members[1].counts)
    };
    assert_eq!(counts(Weighting::Declared), (1.0, 1.0));
    let (good, bad) = counts(Weighting::Calibrated);
    assert!(good > 1.4 && bad < 0.6 && good / bad <= 3.0 + 1e-9, "{good} {bad}");
}

#[test]
fn names_are_shown_where_the_panel_is_not_anonymous() {
    let seen = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&seen);
    let watcher = member("watcher", move |request| {
        keep.lock().unwrap().push_str(&prompt(request));
        ballot("yes", 0.5, "I watch")
    });
    let panel = |anonymous| {
        seen.lock().unwrap().clear();
        let members = vec![stubborn("annabel", "yes"), watcher.clone()];
        let options = PanelOptions { anonymous, rounds: Some(2), ..options(PanelKind::Consensus, members) };
        runtime().panel("Is it?", options).unwrap();
        seen.lock().unwrap().contains("by=\"annabel\"")
    };
    assert!(!panel(None) && panel(Some(false)));
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
fn the_page_escapes_what_members_say_and_the_rows_name_what_is_missing() {
    let evil = member("<b>evil", |_| ballot("no", 0.9, "<script>alert(1)</script>"));
    let refuses = member("refuses", |_| json!({"refusal": "no"}));
    for kind in PanelKind::ALL {
        let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), evil.clone(), refuses.clone()];
        let options = PanelOptions {
            judge: Some(model("scripted:judge", |_| json!({"reason": "<i>", "winner": "tie"}))),
            ..options(kind, members)
        };
        let options = match kind {
            PanelKind::Delphi => PanelOptions {
                members: Some(vec![
                    member(
                        "<b>evil",
                        |_| json!({"ratings": {"yes": 3, "no": 4}, "reasons": [{"text": "<script>"}]}),
                    ),
                    member("b", |_| json!({"ratings": {"yes": 9, "no": 1}})),
                ]),
                ..options
            },
            _ => options,
        };
        let answer = runtime().panel("Is <it> so?", options).unwrap();
        let page = answer.report_html();
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for raw in ["<script", "<b>evil", "<it>", "http://", "https://"] {
            assert!(!page.contains(raw), "{kind:?}: {raw}");
        }
        assert!(page.contains("&lt;b&gt;evil"), "{kind:?}");
        let rows = answer.rows();
        assert_eq!(rows.len(), answer.ballots.len() + answer.dropped.len());
        if kind != PanelKind::Delphi {
            assert!(
                rows.iter().any(|row| row.member == "refuses" && row.dropped.as_deref() == Some("refused"))
            );
        }
        assert!(rows.windows(2).all(|pair| pair[0].round <= pair[1].round));
    }
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
fn members_are_told_what_they_said_themselves() {
    for kind in [PanelKind::Sequential, PanelKind::Consensus, PanelKind::Debate, PanelKind::Socratic] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        let watcher = member("watcher", move |request| {
            if asked(request) == "ballot" {
                keep.lock().unwrap().push(prompt(request));
            }
            answer(request, ballot("yes", 0.5, "I watch the kidneys"))
        });
        let members = vec![stubborn("a", "no"), watcher, stubborn("c", "no")];
        runtime().panel("Is it?", options(kind, members)).unwrap();
        let seen = seen.lock().unwrap();
        let told = |text: &String| {
            text.contains("Your ballot before:\n<statement>\nyes I watch the kidneys\n</statement>")
        };
        assert!(!told(&seen[0]) && seen.len() > 1 && seen[1..].iter().all(told), "{kind:?}: {seen:#?}");
    }
}
