//! Does a panel stay honest where members, models or moments are as inconvenient as can be?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use panel::{answer, asked, ballot, can_object, is_blind, member, model, options, runtime, stubborn};
use quorate_agents::Agent;
use quorate_core::Cancel;
use quorate_models::{Model, ModelOptions, ScriptedModel};
use quorate_runtime::{
    Aggregate, BallotForm, Budget, Member, PanelAnswer, PanelKind, PanelOptions, PanelResume, Role, Runtime,
    RuntimeOptions, SeedQuestion, Status,
};
use serde_json::{Value, json};

fn in_words(id: &'static str, position: &'static str) -> Member {
    member(id, move |_| json!({"position": position, "confidence": 0.8, "reasons": [{"text": "so it is"}]}))
}

#[test]
fn a_mark_within_a_position_is_not_the_position_of_another() {
    let first = "Operate at once; see [P2] and [P3].";
    let second = "Wait for the biopsy, whatever [P1] says.";
    let chair = Member {
        role: Role::Moderator,
        ..member("chair", |request| match asked(request).as_str() {
            "synthesis" => json!({"text": "[P1] stands against [P2], [P9] and [x."}),
            _ => json!({"text": "x"}),
        })
    };
    let members = vec![in_words("a", first), in_words("b", first), in_words("c", second), chair];
    let options = PanelOptions { options: vec![], ..options(PanelKind::Parallel, members) };
    let answer = runtime().panel("What is to be done?", options).unwrap();
    assert_eq!(answer.synthesis_by, "chair");
    assert_eq!(answer.synthesis, format!("\"{first}\" stands against \"{second}\", [P9] and [x."));
}

#[test]
fn an_objection_of_who_is_late_is_not_met() {
    // Objects in the second round, and gives no answer in those that follow.
    let silent = |rounds: usize| {
        let asks = AtomicUsize::new(0);
        member("c", move |request| {
            let mut said = ballot("no", 0.8, "the trial was small");
            if can_object(request) {
                if asks.fetch_add(1, Ordering::SeqCst) >= rounds {
                    return json!({"refusal": "I have said it"});
                }
                said["objection"] = json!("nobody has looked at the kidneys");
            }
            said
        })
    };
    let others = |id: &'static str| {
        let asks = AtomicUsize::new(0);
        member(id, move |request| {
            let asked = asks.fetch_add(1, Ordering::SeqCst);
            // Never at rest, so that the panel goes on.
            let mut said = ballot(if asked.is_multiple_of(2) { "yes" } else { "no" }, 0.8, "it was seen");
            if can_object(request) && asked == 1 {
                said["objection"] = json!("too long");
            }
            said
        })
    };
    let members = vec![others("a"), others("b"), silent(1)];
    let answer = runtime()
        .panel("Is it?", PanelOptions { rounds: Some(5), ..options(PanelKind::Consensus, members) })
        .unwrap();
    assert_eq!(answer.objections.len(), 1, "{:?}", answer.objections);
    assert_ne!(answer.stopped_by.as_deref(), Some("objections_met"));
    assert_eq!(answer.rounds[2].objections, Some(1));
    let shown = answer.log.iter().filter(|entry| entry.round == 4).filter_map(|entry| entry.prompt.as_ref());
    assert!(shown.clone().count() > 0 && shown.clone().all(|text| text.contains("looked at the kidneys")));
}

#[test]
fn who_gave_no_blind_ballot_and_turns_with_the_order_decides_nothing() {
    for numbers in [false, true] {
        let turns = Arc::new(AtomicUsize::new(0));
        let members: Vec<Member> = ["a", "b", "c", "d"]
            .into_iter()
            .map(|id| {
                let turns = Arc::clone(&turns);
                member(id, move |request| {
                    let turning = id == "d" && !is_blind(request);
                    if id == "d" && is_blind(request) {
                        return json!({"refusal": "not yet"});
                    }
                    let turned = turning && turns.fetch_add(1, Ordering::SeqCst) == 1;
                    match numbers {
                        true => json!({"number": if turned { 9 } else { 1 }, "confidence": 0.8}),
                        false => ballot(if turned { "no" } else { "yes" }, 0.8, "so"),
                    }
                })
            })
            .collect();
        let options = PanelOptions {
            options: if numbers { vec![] } else { panel::yes_no() },
            scale: numbers.then_some((0.0, 10.0)),
            ..options(PanelKind::Sequential, members)
        };
        let answer = runtime().panel("Is it?", options).unwrap();
        let own: Vec<_> = answer.ballots.iter().filter(|one| one.member == "d").collect();
        assert_eq!((own.len(), own.iter().filter(|one| one.counted).count()), (2, 0));
        assert_eq!(answer.score.as_ref().unwrap().voters, 3);
        assert_eq!(answer.order.as_ref().unwrap().differ, 1);
    }
}

#[test]
fn an_option_that_a_member_rates_last_does_not_win_by_its_doubt() {
    let rates = |id: &'static str| {
        member(
            id,
            |_| json!({"ratings": {"x": 9, "y": 9, "z": 1}, "confidence": 0.1, "reasons": [{"text": "so"}]}),
        )
    };
    let options = PanelOptions {
        options: ["x", "y", "z"].map(str::to_owned).to_vec(),
        ballot: Some(BallotForm::Ratings),
        scale: Some((1.0, 9.0)),
        aggregate: Some(Aggregate::Particles),
        ..options(PanelKind::Parallel, vec![rates("a"), rates("b"), rates("c")])
    };
    let answer = runtime().panel("Which?", options).unwrap();
    let alternative = answer.alternative.unwrap();
    let share = |name: &str| alternative.shares.iter().find(|(option, _)| option == name).unwrap().1;
    assert!(share("z") <= share("x") + 1e-6 && share("z") <= share("y") + 1e-6, "{alternative:?}");
}

#[test]
fn a_position_without_end_does_not_fill_the_prompts_of_the_others() {
    let endless = |id: &'static str, letter: &'static str| {
        member(id, move |request| {
            let mut said = json!({"position": letter.repeat(4_000), "confidence": 0.8, "reasons": [{"text": letter.repeat(4_000)}]});
            if can_object(request) {
                said["objection"] = json!(letter.repeat(4_000));
            }
            said
        })
    };
    let members =
        vec![endless("a", "yes or so "), endless("b", "not at all "), endless("c", "perhaps later ")];
    let options = PanelOptions { options: vec![], rounds: Some(3), ..options(PanelKind::Consensus, members) };
    let answer = runtime().panel("Is it?", options).unwrap();
    let longest = answer.log.iter().filter_map(|entry| entry.prompt.as_ref()).map(String::len).max().unwrap();
    assert!(longest < 30_000, "{longest}");
}

#[test]
fn no_statement_tells_a_name_however_it_is_written() {
    let says = |id: &'static str| {
        Member::with(
            id,
            model(&format!("openai:gpt-4o-{id}"), move |request| {
                let said = format!("As GPT-4o-{} I, {}, say so", id.to_uppercase(), id.to_uppercase());
                let mut ballot = ballot(if id == "m1" { "no" } else { "yes" }, 0.8, &said);
                if can_object(request) {
                    ballot["objection"] = json!(said);
                }
                answer(request, ballot)
            }),
        )
    };
    for kind in [PanelKind::Sequential, PanelKind::Consensus, PanelKind::Debate, PanelKind::Socratic] {
        let answer =
            runtime().panel("Is it?", options(kind, vec![says("m1"), says("m2"), says("dr-ann")])).unwrap();
        let shown: Vec<&String> = answer.log.iter().filter_map(|entry| entry.prompt.as_ref()).collect();
        assert!(shown.len() > 3);
        for text in shown {
            let small = text.to_lowercase();
            assert!(
                !["m1", "m2", "dr-ann", "gpt-4o"].iter().any(|name| small.contains(name)),
                "{kind:?} {text}"
            );
        }
    }
}

/// Waits until it is told to end, and says when it begins and ends.
fn waiting(id: &'static str, begun: Arc<AtomicUsize>, ended: Arc<AtomicUsize>) -> Member {
    let script = ScriptedModel::of_function(move |_, cancel: &Cancel| {
        begun.fetch_add(1, Ordering::SeqCst);
        for _ in 0..500 {
            if cancel.is_cancelled() {
                ended.fetch_add(1, Ordering::SeqCst);
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        ScriptedModel::reply_from_json(&json!("late"))
    });
    let price = quorate_models::Price::new(1.0, 1.0).ok();
    let model = Model::new(script.named("scripted:waits"), ModelOptions { price, ..ModelOptions::default() });
    Member::with(id, model.unwrap())
}

fn has_come(ended: &AtomicUsize) -> bool {
    for _ in 0..200 {
        if ended.load(Ordering::SeqCst) > 0 {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn what_was_under_way_when_a_panel_was_cancelled_is_counted_at_its_worst() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let cancel = Cancel::new();
    let members = vec![stubborn("a", "yes"), waiting("slow", Arc::clone(&begun), Arc::clone(&ended))];
    let budget = Some(Budget { max_tokens: Some(1_000_000), ..Budget::default() });
    let options = PanelOptions { budget, cancel: cancel.clone(), ..options(PanelKind::Parallel, members) };
    let runtime = runtime();
    let answer = runtime
        .panel_shown("Is it?", options, move |event| {
            if event.kind == "ballot" {
                assert!(has_come(&begun));
                cancel.cancel();
            }
        })
        .unwrap();
    assert_eq!((answer.status, answer.ballots.len()), (Status::Cancelled, 1));
    let dropped: Vec<_> =
        answer.dropped.iter().map(|one| (one.member.as_str(), one.reason.as_str())).collect();
    assert_eq!(dropped, [("slow", "cancelled")]);
    // Nobody knows what the request that was under way has cost.
    assert_eq!(answer.cost, None);
    let entries = runtime.run(&answer.run_id).unwrap().entries().unwrap();
    let unknown = |one: &Value| one["spent"]["unknown"].as_u64().unwrap_or(0);
    assert!(entries.iter().any(|entry| unknown(&entry.data) > 0), "{entries:?}");
    assert!(has_come(&ended));
}

#[test]
fn a_listener_that_panics_leaves_nobody_asking() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let members = vec![stubborn("a", "yes"), waiting("slow", Arc::clone(&begun), Arc::clone(&ended))];
    let failed = runtime().panel_shown("Is it?", options(PanelKind::Parallel, members), move |event| {
        assert!(event.kind != "ballot" || !has_come(&begun), "the listener falls over");
    });
    assert!(failed.is_err());
    assert!(has_come(&ended));
}

#[test]
fn a_panel_that_has_ended_meanwhile_is_not_gone_on_with() {
    let runtime = runtime();
    let first = runtime.panel("Is it?", options(PanelKind::Parallel, vec![stubborn("a", "yes")])).unwrap();
    let entries = runtime.run(&first.run_id).unwrap().entries().unwrap();
    // As whoever comes late finds it: the list says that it goes on, and its journal that it has ended.
    let new = quorate_state::NewRun { id: Some("late"), kind: "panel", title: "t", ..Default::default() };
    let quorate_state::Begun::New(run) = runtime.store().begin(&new, &entries).unwrap() else { panic!() };
    run.finish().unwrap();
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kinds);
    let again = runtime
        .resume_panel_shown("late", PanelResume::default(), move |event| {
            keep.lock().unwrap().push(event.kind)
        })
        .unwrap();
    assert_eq!((again.status, &again.score), (Status::Done, &first.score));
    assert_eq!(*kinds.lock().unwrap(), ["end"]);
    assert_eq!(runtime.run("late").unwrap().entries().unwrap().len(), entries.len());
}

/// Two members whose models are their own, and a runtime with the same store.
fn broken_off(runtime: &Runtime) -> PanelAnswer {
    let first = runtime
        .panel("Is it?", options(PanelKind::Parallel, vec![stubborn("a", "yes"), stubborn("b", "no")]))
        .unwrap();
    let entries = runtime.run(&first.run_id).unwrap().entries().unwrap();
    let new = quorate_state::NewRun { id: Some("broken"), kind: "panel", title: "t", ..Default::default() };
    let quorate_state::Begun::New(run) = runtime.store().begin(&new, &entries[..1]).unwrap() else {
        panic!()
    };
    run.finish().unwrap();
    first
}

#[test]
fn a_panel_that_goes_on_with_another_model_says_so() {
    let runtime = runtime();
    let first = broken_off(&runtime);
    let other = model("scripted:another", |request| answer(request, ballot("no", 0.8, "by another")));
    let models = vec![("a".to_owned(), stubborn("a", "yes").model.unwrap()), ("b".to_owned(), other)];
    let going_on = PanelResume { models, ..PanelResume::default() };
    let answer = runtime.resume_panel("broken", going_on).unwrap();
    assert_eq!((answer.status, answer.ballots.len(), first.warnings.len()), (Status::Done, 2, 0));
    assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    assert!(answer.warnings[0].contains("'b'") && answer.warnings[0].contains("scripted:another"));
    assert_eq!(runtime.run("broken").unwrap().panel().unwrap().warnings, answer.warnings);
}

#[test]
fn where_only_those_answer_whom_the_seed_questions_gave_no_weight_nothing_is_decided() {
    let expert = |id: &'static str| {
        member(id, move |request| match asked(request).as_str() {
            "seeds" if id == "weighed" => {
                let of = |i: i32| {
                    let (middle, odd) = (f64::from(i) * 10.0, if i % 2 == 0 { 1.0 } else { -1.0 });
                    json!({"q05": middle - 4.0, "q50": middle + odd, "q95": middle + 4.0})
                };
                json!({"answers": (1..=30).map(of).collect::<Vec<Value>>()})
            }
            "ballot" if id != "weighed" => ballot("no", 0.8, "so it is"),
            _ => json!({"refusal": "not today"}),
        })
    };
    let seeds =
        (1..=30).map(|i| SeedQuestion { question: format!("{i} x 10?"), answer: f64::from(i) * 10.0 });
    let options = PanelOptions {
        seeds: seeds.collect(),
        quorum: 0.5,
        ..options(PanelKind::Parallel, vec![expert("weighed"), expert("not")])
    };
    let answer = runtime().panel("Is it?", options).unwrap();
    assert_eq!((answer.members[0].counts, answer.members[1].counts), (1.0, 0.0));
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::NoConsensus, Some("quorum_missed")));
    assert!(answer.score.is_none());
}

#[test]
fn a_judge_that_does_not_answer_has_not_said_that_it_is_a_tie() {
    let options = PanelOptions {
        judge: Some(model("scripted:judge", |_| json!({"refusal": "I would rather not."}))),
        ..options(PanelKind::Debate, vec![stubborn("a", "yes"), stubborn("b", "no")])
    };
    let answer = runtime().panel("Is it?", options).unwrap();
    assert!(answer.verdict.as_ref().unwrap().winner.is_none());
    let page = answer.report_html().unwrap();
    assert!(!page.contains("a tie") && !page.contains("said the same"), "{page}");
    assert!(page.contains("no verdict"));
}

#[test]
fn no_prompt_after_the_blind_one_tells_a_name_that_stands_in_a_definition() {
    let registry = panel::empty_registry();
    let agent = |id: &str, name: &str| Agent {
        instructions: Some(format!("You are {name}. Sign as {id}.")),
        ..Agent::new(id, name, format!("{name} knows the kidneys."))
    };
    registry.add(agent("dr-kidney", "Nora Nephron")).unwrap();
    registry.add(agent("dr-heart", "Carl Cardio")).unwrap();
    let runtime = Runtime::new(RuntimeOptions {
        registry: Some(registry),
        model: Some(model("scripted:runtime", |request| answer(request, ballot("yes", 0.5, "x")))),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let members = vec![Member::new("dr-kidney"), Member::new("dr-heart")];
    let answer = runtime.panel("Is it?", options(PanelKind::Sequential, members)).unwrap();
    let shown = |blind: bool| {
        let of = answer.log.iter().filter(move |entry| (entry.round == 1) == blind);
        of.filter_map(|entry| entry.prompt.clone()).collect::<Vec<String>>()
    };
    assert!(shown(true).iter().all(|text| text.contains("Nora Nephron") || text.contains("Carl Cardio")));
    assert_eq!(shown(false).len(), 4);
    for text in shown(false) {
        let told = ["Nora", "Carl", "dr-kidney", "dr-heart"].iter().any(|name| text.contains(name));
        assert!(!told && text.contains("knows the kidneys"), "{text}");
    }
}
