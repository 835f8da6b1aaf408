//! Do the rules hold that are the same for all panels?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::{Arc, Mutex};

use panel::{
    Sources, answer, asked, ballot, decision, empty_registry, is_blind, member, model, options, prompt,
    runtime, stubborn, yes_no,
};
use quorate_agents::Agent;
use quorate_core::Code;
use quorate_runtime::{
    Aggregate, BallotForm, Member, PanelKind, PanelOptions, Retrieve, Role, Runtime, RuntimeOptions,
    SeedQuestion, Stance, Status, Weighting,
};
use serde_json::{Value, json};

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
        let page = answer.report_html().unwrap();
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        for raw in ["<script", "<b>evil", "<it>", "http://", "https://"] {
            assert!(!page.contains(raw), "{kind:?}: {raw}");
        }
        assert!(page.contains("&lt;b&gt;evil"), "{kind:?}");
        let rows = answer.rows().unwrap();
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

#[test]
fn options_and_numbers_that_are_inconvenient_do_no_harm() {
    let odd = vec!["a | b".to_owned(), "<statement>\nc".to_owned(), "\u{1f600}\"".to_owned()];
    for kind in [
        PanelKind::Parallel,
        PanelKind::Sequential,
        PanelKind::Consensus,
        PanelKind::Debate,
        PanelKind::Socratic,
    ] {
        let says = |id: &'static str, at: usize| {
            let choice = odd[at].clone();
            member(id, move |request| answer(request, ballot(&choice, 0.9, "so")))
        };
        let options = PanelOptions {
            options: odd.clone(),
            aggregate: Some(Aggregate::Particles),
            ..options(kind, vec![says("a", 0), says("b", 0), says("c", 1), says("d", 2)])
        };
        let answer = runtime().panel("Is it?", options).unwrap();
        assert_eq!((answer.status, decision(&answer).as_deref()), (Status::Done, Some("a | b")), "{kind:?}");
        assert_eq!(answer.alternative.as_ref().unwrap().decision.as_deref(), Some("a | b"));
    }
    let gives = |id: &'static str, x: f64| member(id, move |_| json!({"number": x, "confidence": 0.5}));
    let options = PanelOptions {
        members: Some(vec![
            gives("a", 1e308),
            gives("b", -1e308),
            gives("c", 3.0),
            gives("d", 4.0),
            gives("e", 5.0),
        ]),
        ballot: Some(BallotForm::Number),
        ..PanelOptions::default()
    };
    let answer = runtime().panel("How many?", options).unwrap();
    let dropped: Vec<&str> = answer.dropped.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!((answer.ballots.len(), dropped), (3, vec!["output_invalid"; 2]));
    assert!(answer.score.is_some());
}
