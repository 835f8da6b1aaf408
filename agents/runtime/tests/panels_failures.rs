//! Does a panel go on, stop and end as it should when members, money or time fail?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests

mod panel;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use panel::{ballot, member, model, options, runtime, stubborn, yes_no};
use quorate_core::{Cancel, Code};
use quorate_models::{Model, ModelOptions, Resilience, ScriptedModel};
use quorate_runtime::{
    Budget, Member, PanelKind, PanelOptions, PanelResume, Passage, Resume, Retrieve, Role, Runtime,
    RuntimeOptions, Status, Wanted,
};
use quorate_state::StateStore;
use serde_json::json;

/// Sleeps, and does not look at whether it is still waited for.
fn hanging(id: &'static str, seconds: f64) -> Member {
    member(id, move |_| {
        std::thread::sleep(Duration::from_secs_f64(seconds));
        ballot("no", 0.5, "too late")
    })
}

#[test]
fn members_that_hang_refuse_or_ramble_do_not_stop_the_others() {
    let members = vec![
        stubborn("a", "yes"),
        stubborn("b", "yes"),
        stubborn("c", "no"),
        stubborn("d", "yes"),
        hanging("hangs", 8.0),
        member("refuses", |_| json!({"refusal": "I would rather not."})),
        member("rambles", |_| json!("Well. ".repeat(2000))),
    ];
    let options = PanelOptions { member_seconds: 1.5, quorum: 0.5, ..options(PanelKind::Parallel, members) };
    let begun = Instant::now();
    let answer = runtime().panel("Is it?", options).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert_eq!((answer.status, answer.ballots.len()), (Status::Done, 4));
    let dropped: Vec<(&str, &str)> =
        answer.dropped.iter().map(|one| (one.member.as_str(), one.reason.as_str())).collect();
    assert_eq!(dropped, [("hangs", "late"), ("refuses", "refused"), ("rambles", "output_invalid")]);
    assert_eq!(answer.rounds[0].asked, 7);
    assert!((answer.score.unwrap().support - 0.75).abs() < 1e-12);
}

#[test]
fn a_missed_quorum_is_no_consensus() {
    let fails = |id: &'static str| member(id, |_| json!({"refusal": "no"}));
    let members = vec![stubborn("a", "yes"), fails("b"), fails("c")];
    let runtime = runtime();
    let answer = runtime.panel("Is it?", options(PanelKind::Consensus, members)).unwrap();
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::NoConsensus, Some("quorum_missed")));
    assert!(answer.score.is_none() && answer.baseline.is_none());
    assert_eq!((answer.rounds.len(), answer.ballots.len(), answer.dropped.len()), (1, 1, 2));
    assert!(answer.synthesis.contains("1 of 3"), "{}", answer.synthesis);
    assert_eq!(runtime.runs(Some("no_consensus")).unwrap().len(), 1);
    // A quorum that is missed later leaves the baseline.
    let tires = |id: &'static str| {
        member(id, |request| {
            if panel::is_blind(request) { ballot("yes", 0.5, "first") } else { json!({"refusal": "tired"}) }
        })
    };
    let members = vec![stubborn("a", "yes"), tires("b"), tires("c")];
    let answer = runtime.panel("Is it?", options(PanelKind::Delphi, vec![])).unwrap_err();
    assert_eq!(answer.code(), Code::EmptyInput);
    let answer = runtime.panel("Is it?", options(PanelKind::Consensus, members)).unwrap();
    assert_eq!(answer.status, Status::NoConsensus);
    assert!(answer.score.is_none() && answer.baseline.is_some());
}

#[test]
fn a_budget_that_is_spent_mid_round_leaves_what_was_said() {
    const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    let members = || {
        IDS.iter().map(|id| {
            member(id, move |request| {
                let mut said = ballot("yes", 0.7, &format!("reason {}", panel::number(id)));
                if !panel::is_blind(request) {
                    said["objection"] = json!("I object.");
                }
                said
            })
        })
    };
    // Nine steps: the blind round, and three of the second one.
    let runtime = runtime();
    let budget = Some(Budget { max_steps: Some(9), ..Budget::default() });
    let all = options(PanelKind::Consensus, members().collect());
    let answer = runtime.panel("Is it?", PanelOptions { budget, ..all }).unwrap();
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Partial, Some("max_steps")));
    assert_eq!(answer.ballots.len(), 9);
    let dropped: Vec<(u32, &str)> =
        answer.dropped.iter().map(|one| (one.round, one.reason.as_str())).collect();
    assert_eq!(dropped, [(2, "budget_exceeded"); 3]);
    assert_eq!(answer.score.as_ref().unwrap().voters, 6);
    assert!(!answer.synthesis.is_empty());
    // Money: what was reserved and not used is free for the next, one after the other.
    let budget = Some(Budget { max_cost: Some(0.02), ..Budget::default() });
    let members: Vec<Member> = members().collect();
    let answer =
        runtime.panel("Is it?", PanelOptions { budget, ..options(PanelKind::Parallel, members) }).unwrap();
    assert!(answer.ballots.len() >= 2, "{answer:#?}");
    assert!(answer.cost.unwrap() <= 0.02, "{:?}", answer.cost);
    // Nobody knows what it costs: nobody is asked.
    let unpriced =
        Model::new(ScriptedModel::of_texts(["{}"]).named("scripted:free"), ModelOptions::default()).unwrap();
    let budget = Some(Budget { max_cost: Some(1.0), ..Budget::default() });
    let members = vec![Member::with("a", unpriced)];
    let error = runtime.panel("Is it?", PanelOptions { budget, ..options(PanelKind::Parallel, members) });
    assert_eq!(error.unwrap_err().code(), Code::BudgetUnpriced);
}

#[test]
fn time_that_is_over_ends_the_panel_and_keeps_the_ballots() {
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), hanging("slow", 8.0)];
    let budget = Some(Budget { max_seconds: Some(1.5), ..Budget::default() });
    let begun = Instant::now();
    let answer =
        runtime().panel("Is it?", PanelOptions { budget, ..options(PanelKind::Parallel, members) }).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(7));
    assert_eq!((answer.status, answer.stopped_by.as_deref()), (Status::Partial, Some("max_seconds")));
    assert_eq!((answer.ballots.len(), answer.dropped.len()), (2, 1));
}

#[test]
fn a_panel_is_cancelled_from_elsewhere_and_says_so() {
    let runtime = runtime();
    let cancel = Cancel::new();
    let members = vec![stubborn("a", "yes"), hanging("slow", 5.0)];
    let options = PanelOptions { cancel: cancel.clone(), ..options(PanelKind::Parallel, members) };
    let begun = Instant::now();
    let mut stream = runtime.stream_panel("Is it?", options).unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = stream.next_event() {
        if event.kind == "ballot" {
            assert_eq!((event.agent.as_deref(), event.round), (Some("a"), Some(1)));
            runtime.cancel(&event.run_id).unwrap();
        }
        kinds.push(event.kind);
    }
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(kinds.first().map(String::as_str), Some("run_start"));
    assert_eq!(kinds.last().map(String::as_str), Some("cancelled"));
    let row = runtime.runs(Some("cancelled")).unwrap().remove(0);
    assert_eq!((row.kind.as_str(), row.title.as_str()), ("panel", "Is it?"));
    let answer = runtime.run(&row.id).unwrap().panel().unwrap();
    assert_eq!(
        (answer.status, answer.ballots.len(), answer.dropped[0].reason.as_str()),
        (Status::Cancelled, 1, "cancelled")
    );
}

#[test]
fn events_show_each_round_once_and_the_journal_shows_the_same() {
    for kind in PanelKind::ALL {
        let runtime = runtime();
        let members = vec![stubborn("a", "yes"), stubborn("b", "no"), stubborn("c", "yes")];
        let options = match kind {
            PanelKind::Delphi => PanelOptions {
                members: Some(
                    ["a", "b"].map(|id| member(id, |_| json!({"number": 5, "confidence": 0.5}))).to_vec(),
                ),
                ..PanelOptions::of(kind)
            },
            _ => options(kind, members),
        };
        let shown = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&shown);
        let answer =
            runtime.panel_shown("Is it?", options, move |event| keep.lock().unwrap().push(event)).unwrap();
        let shown = shown.lock().unwrap().clone();
        let rounds = |name: &str| {
            shown
                .iter()
                .filter(|event| event.kind == name)
                .filter_map(|event| event.round)
                .collect::<Vec<u32>>()
        };
        let all: Vec<u32> = (1..=answer.rounds.len() as u32).collect();
        assert_eq!((rounds("round_start"), rounds("round_end")), (all.clone(), all), "{kind:?}");
        assert_eq!(shown.iter().filter(|event| event.kind == "ballot").count(), answer.ballots.len());
        assert_eq!(shown.iter().filter(|event| event.is_last()).count(), 1);
        assert!(shown.last().unwrap().is_last());
        let seqs: Vec<u64> = shown.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (1..=shown.len() as u64).collect::<Vec<_>>());
        // A round begins before its ballots and ends after them.
        for (at, event) in shown.iter().enumerate().filter(|(_, event)| event.kind == "ballot") {
            let place = |name: &str| {
                shown.iter().position(|other| other.kind == name && other.round == event.round).unwrap()
            };
            assert!(place("round_start") < at && at < place("round_end"), "{kind:?}");
        }
        let view = runtime.run(&answer.run_id).unwrap();
        assert_eq!(view.events().unwrap(), shown, "{kind:?}");
        assert_eq!(view.panel().unwrap(), answer);
        assert_eq!(view.session().unwrap().status, "completed");
        assert_eq!(view.answer().unwrap_err().code(), Code::InvalidArgument);
        assert_eq!(
            runtime.resume(&answer.run_id, Resume::default()).unwrap_err().code(),
            Code::InvalidArgument
        );
        assert_eq!(runtime.resume_panel(&answer.run_id, PanelResume::default()).unwrap(), answer);
    }
}

#[test]
fn panels_belong_to_their_tenant() {
    let store = StateStore::memory();
    let of = |tenant: &str| {
        Runtime::new(RuntimeOptions {
            model: Some(model("scripted:runtime", |_| ballot("yes", 0.5, "x"))),
            store: Some(store.clone()),
            tenant: Some(tenant.into()),
            ..RuntimeOptions::default()
        })
        .unwrap()
    };
    let (one, other) = (of("one"), of("other"));
    let answer = one.panel("Is it?", options(PanelKind::Parallel, vec![stubborn("a", "yes")])).unwrap();
    assert_eq!((one.panels().unwrap().len(), other.panels().unwrap().len()), (1, 0));
    assert_eq!(other.run(&answer.run_id).err().unwrap().code(), Code::UnknownId);
    assert_eq!(
        other.resume_panel(&answer.run_id, PanelResume::default()).unwrap_err().code(),
        Code::UnknownId
    );
    let session = one.panels().unwrap().remove(0);
    assert_eq!(
        (session.status.as_str(), session.query.as_str(), session.members.len()),
        ("completed", "Is it?", 1)
    );
}

#[test]
fn a_key_gives_the_panel_that_there_is() {
    let runtime = runtime();
    let count = Arc::new(Mutex::new(0));
    let panel = || {
        let count = Arc::clone(&count);
        let counted = member("a", move |_| {
            *count.lock().unwrap() += 1;
            ballot("yes", 0.5, "x")
        });
        let options = PanelOptions {
            idempotency_key: Some("once".into()),
            title: Some("A title".into()),
            options: yes_no(),
            ..options(PanelKind::Parallel, vec![counted])
        };
        runtime.panel("Is it?", options).unwrap()
    };
    let (first, second) = (panel(), panel());
    assert_eq!(first, second);
    assert_eq!((*count.lock().unwrap(), first.title.as_str()), (1, "A title"));
}

#[test]
fn a_model_that_panics_is_one_ballot_less() {
    let panics = Model::new(
        ScriptedModel::of_function(|_, _| panic!("a member falls off its chair")).named("scripted:panics"),
        ModelOptions {
            resilience: Resilience { attempts: 1, ..Resilience::default() },
            ..ModelOptions::default()
        },
    )
    .unwrap();
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), Member::with("c", panics)];
    let answer = runtime().panel("Is it?", options(PanelKind::Parallel, members)).unwrap();
    assert_eq!((answer.status, answer.dropped[0].member.as_str()), (Status::Done, "c"));
}

#[test]
fn an_interrupted_panel_needs_the_models_of_its_members() {
    let folder = tempfile::tempdir().unwrap();
    let of = || {
        Runtime::new(RuntimeOptions {
            model: Some(model("scripted:runtime", |_| ballot("yes", 0.5, "x"))),
            store: Some(StateStore::open(folder.path()).unwrap()),
            ..RuntimeOptions::default()
        })
        .unwrap()
    };
    let runtime = of();
    let first = runtime
        .panel("Is it?", options(PanelKind::Parallel, vec![stubborn("a", "yes"), stubborn("b", "no")]))
        .unwrap();
    // As a process leaves it that ends after the first ballot.
    let entries = runtime.run(&first.run_id).unwrap().entries().unwrap();
    let store = runtime.store().clone();
    let new = quorate_state::NewRun { id: Some("broken"), kind: "panel", title: "t", ..Default::default() };
    let quorate_state::Begun::New(run) = store.begin(&new, &entries[..2]).unwrap() else { panic!() };
    run.finish().unwrap();
    let session = runtime.run("broken").unwrap().session().unwrap();
    assert_eq!(session.status, "waiting");
    assert_eq!(runtime.runs(Some("interrupted")).unwrap()[0].id, "broken");
    let given: Vec<String> =
        runtime.run("broken").unwrap().panel().unwrap().ballots.into_iter().map(|one| one.member).collect();
    assert_eq!(given.len(), 1);
    let lacking = runtime.resume_panel("broken", PanelResume::default()).unwrap_err();
    assert_eq!(lacking.code(), Code::InvalidArgument);
    assert!(lacking.message().contains("member 'a'"), "{}", lacking.message());
    let models = ["a", "b"]
        .map(|id| (id.to_owned(), stubborn(id, if id == "a" { "yes" } else { "no" }).model.unwrap()));
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kinds);
    let going_on = PanelResume { models: models.to_vec(), ..PanelResume::default() };
    let answer = runtime
        .resume_panel_shown("broken", going_on, move |event| keep.lock().unwrap().push(event.kind))
        .unwrap();
    assert_eq!((answer.status, answer.ballots.len()), (Status::Done, 2));
    assert_eq!(answer.score, first.score);
    let kinds = kinds.lock().unwrap().clone();
    assert_eq!(kinds, ["run_start", "ballot", "usage", "round_end", "end"]);
    // One that is only to be ended needs no models.
    let new = quorate_state::NewRun { id: Some("other"), kind: "panel", title: "t", ..Default::default() };
    let quorate_state::Begun::New(run) = store.begin(&new, &entries[..2]).unwrap() else { panic!() };
    run.finish().unwrap();
    runtime.cancel("other").unwrap();
    assert_eq!(runtime.run("other").unwrap().panel().unwrap().status, Status::Cancelled);
}

#[test]
fn what_is_held_back_is_for_the_synthesis_and_a_remark_too_many_changes_nothing() {
    let chair = Member { role: Role::Moderator, ..member("chair", |_| json!({"text": "[P1] and [P2]."})) };
    let observer = Member { role: Role::Observer, ..stubborn("watches", "no") };
    let members = vec![stubborn("a", "yes"), stubborn("b", "yes"), stubborn("c", "no"), chair, observer];
    let budget = Some(Budget { max_steps: Some(4), ..Budget::default() });
    let answer =
        runtime().panel("Is it?", PanelOptions { budget, ..options(PanelKind::Parallel, members) }).unwrap();
    assert_eq!(
        (answer.status, answer.ballots.len(), answer.synthesis_by.as_str()),
        (Status::Done, 3, "chair")
    );
    let dropped: Vec<(&str, &str)> =
        answer.dropped.iter().map(|one| (one.member.as_str(), one.reason.as_str())).collect();
    assert_eq!(dropped, [("watches", "budget_exceeded")]);
}

#[test]
fn a_search_that_fails_fails_the_panel_and_the_journal_says_so() {
    struct Broken;
    impl Retrieve for Broken {
        fn passages(&self, _: &str, _: &Wanted, _: &Cancel) -> quorate_core::Result<Vec<Passage>> {
            Err(quorate_core::Error::new(Code::Io, "the disk is gone"))
        }
        fn embedder(&self) -> Option<Arc<dyn quorate_core::embed::Embed>> {
            None
        }
    }
    let runtime = Runtime::new(RuntimeOptions {
        model: Some(model("scripted:runtime", |_| ballot("yes", 0.5, "x"))),
        sources: Some(Arc::new(Broken)),
        ..RuntimeOptions::default()
    })
    .unwrap();
    let error =
        runtime.panel("Is it?", options(PanelKind::Parallel, vec![stubborn("a", "yes")])).unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Io, "the disk is gone"));
    let row = runtime.runs(Some("failed")).unwrap().remove(0);
    let view = runtime.run(&row.id).unwrap();
    assert_eq!(view.panel().unwrap_err().code(), Code::Io);
    assert_eq!(view.session().unwrap().status, "failed");
    assert_eq!(view.events().unwrap().last().unwrap().kind, "error");
}

#[test]
fn of_two_that_go_on_with_a_panel_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Runtime::new(RuntimeOptions {
            model: Some(model("scripted:runtime", |_| ballot("yes", 0.5, "x"))),
            store: Some(StateStore::open(folder.path()).unwrap()),
            ..RuntimeOptions::default()
        })
        .unwrap()
    };
    let (one, other) = (open(), open());
    let options = options(PanelKind::Parallel, vec![hanging("slow", 2.0)]);
    let mut stream = one.stream_panel("Is it?", options).unwrap();
    let id = stream.next_event().unwrap().run_id;
    let conflict = other.resume_panel(&id, PanelResume::default()).unwrap_err();
    assert_eq!(conflict.code(), Code::RunConflict);
    assert_eq!(other.run(&id).unwrap().session().unwrap().status, "created");
    while stream.next_event().is_some() {}
    assert_eq!(other.run(&id).unwrap().session().unwrap().status, "completed");
}
