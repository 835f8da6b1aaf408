//! Who sits in a panel on a question to the healthcare catalogue, and would a reader of the catalogue accept them?

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::sync::OnceLock;

use quorate_agents::{
    Agent, AgentRegistry, MatchOptions, Panel, PanelOptions, Partner, RegistryOptions, SeatBy, Visibility,
};
use quorate_core::embed::StaticModel;
use serde::Deserialize;

/// A question with all experts that would be accepted. Settings may be chosen by the half `choosing`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    half: String,
    asked_by: String,
    question: String,
    experts: Vec<String>,
}

fn questions() -> Vec<Question> {
    serde_json::from_str(include_str!("fixtures/panels.json")).unwrap()
}

/// Questions that were written after everything was chosen.
fn later() -> Vec<Question> {
    serde_json::from_str(include_str!("fixtures/panels-later.json")).unwrap()
}

/// Questions over all fields, written from the definitions before topics were shared; settings may be chosen by the half
/// `choosing`.
fn wide() -> Vec<Question> {
    serde_json::from_str(include_str!("fixtures/panels-wide.json")).unwrap()
}

fn registry() -> &'static AgentRegistry {
    static SHARED: OnceLock<AgentRegistry> = OnceLock::new();
    SHARED.get_or_init(|| {
        AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap()
    })
}

fn ask(question: &str, min_fit: f64) -> Panel {
    registry().select_panel(question, &PanelOptions { min_fit, ..Default::default() }).unwrap()
}

fn ids(panel: &Panel) -> Vec<&str> {
    panel.members.iter().map(|m| m.matched.agent.id.as_str()).collect()
}

/// Mean share of members that are accepted, and mean size.
fn accepted(questions: &[&Question], min_fit: f64) -> (f64, f64) {
    let (mut share, mut size) = (0.0, 0.0);
    for asked in questions {
        let panel = ask(&asked.question, min_fit);
        let good = ids(&panel).into_iter().filter(|id| asked.experts.iter().any(|e| e == id)).count();
        share += good as f64 / panel.members.len() as f64;
        size += panel.members.len() as f64;
    }
    (share / questions.len() as f64, size / questions.len() as f64)
}

#[test]
fn the_fixtures_are_sound() {
    let known: BTreeSet<String> = registry().list(None).unwrap().iter().map(|a| a.id.clone()).collect();
    let (first, later, wide) = (questions(), later(), wide());
    assert_eq!((first.len(), later.len(), wide.len()), (60, 24, 48));
    for (file, half) in [(&first, 30), (&wide, 24)] {
        assert_eq!(file.iter().filter(|q| q.half == "choosing").count(), half);
        assert_eq!(file.iter().filter(|q| q.half == "testing").count(), half);
    }
    let mut seen = BTreeSet::new();
    for asked in first.iter().chain(&later).chain(&wide) {
        assert!(asked.experts.len() >= 5, "{}", asked.question);
        assert!(asked.experts.iter().all(|id| known.contains(id)), "{}", asked.question);
        assert!(
            ["hospital", "device", "payer", "sponsor", "safety", "service"]
                .contains(&asked.asked_by.as_str())
        );
        assert!(seen.insert(asked.question.clone()), "{}", asked.question);
        let example =
            registry().list(None).unwrap().iter().any(|a| a.examples().any(|e| e == asked.question));
        assert!(!example, "{} is an example of the catalogue", asked.question);
    }
}

#[test]
fn most_members_would_be_accepted() {
    for (file, all) in [("first", questions()), ("wide", wide())] {
        for half in ["choosing", "testing"] {
            let questions: Vec<&Question> = all.iter().filter(|q| q.half == half).collect();
            let (five, size) = accepted(&questions, 0.0);
            assert!(five >= 0.75 && size == 5.0, "{file}, {half}: {five} of {size}");
            let (smaller, size) = accepted(&questions, 0.75);
            assert!(smaller >= 0.85 && size >= 2.5, "{file}, {half}: {smaller} of {size}");
        }
    }
    // Before there were topics and partners it was .34 of five, before topics were shared .57 and .72.
    let later = later();
    let later: Vec<&Question> = later.iter().collect();
    let (five, _) = accepted(&later, 0.0);
    let (smaller, size) = accepted(&later, 0.75);
    assert!(five >= 0.65 && smaller >= 0.8 && size >= 2.5, "{five} of five, {smaller} of {size}");
}

#[test]
fn strangers_stay_outside() {
    let kidney = ask("Is metformin safe in kidney disease?", 0.0);
    for id in ["nephrology", "clinical-pharmacy", "endocrinology"] {
        assert!(ids(&kidney).contains(&id), "{:?}", ids(&kidney));
    }
    let ecg = ask("Is a 510(k) needed for our ECG app?", 0.0);
    assert_eq!(ids(&ecg)[0], "fda-510k");
    for stranger in ["fda-biosimilars", "de-identification", "fda-rems"] {
        assert!(!ids(&kidney).contains(&stranger) && !ids(&ecg).contains(&stranger));
    }
}

#[test]
fn a_letter_and_a_number_are_no_evidence() {
    let found = registry()
        .match_agents("Is a 510(k) needed for our ECG app?", &MatchOptions { k: 173, ..Default::default() })
        .unwrap();
    let biosimilars = found.iter().find(|m| m.agent.id == "fda-biosimilars").unwrap();
    let words: Vec<&str> = biosimilars.explain().words.iter().map(|(word, _)| word.as_str()).collect();
    assert!(!words.iter().any(|word| word.eq_ignore_ascii_case("k") || word.contains("510")), "{words:?}");
}

#[test]
fn a_smaller_panel_says_why() {
    let question = "Is metformin safe in kidney disease?";
    let full = ask(question, 0.0);
    assert_eq!((full.members.len(), full.smaller.as_deref()), (5, None));
    let smaller = ask(question, 0.9);
    assert!((1..5).contains(&smaller.members.len()));
    assert!(smaller.members.iter().all(|member| member.fit >= 0.9));
    let why = smaller.smaller.clone().unwrap();
    assert!(why.starts_with(&format!("{} of 5 members", smaller.members.len())), "{why}");
    assert!(why.contains("min_fit is 0.9"), "{why}");
    assert!(smaller.explain().contains(&why));
    // Nobody but the best fits as well as the best itself, or several do.
    assert!(!ask(question, 1.0).members.is_empty());
    // Where constraints leave fewer, that is said.
    let constraints = MatchOptions { require: vec!["medical.nephrology".into()], ..Default::default() };
    let few = registry().select_panel(question, &PanelOptions { constraints, ..Default::default() }).unwrap();
    assert!(few.members.len() < 5);
    assert!(few.smaller.unwrap().ends_with("no more agents meet the constraints"));
}

#[test]
fn who_is_required_sits_there_however_badly_it_fits() {
    let require = vec!["medical.nephrology".to_owned(), "privacy".to_owned()];
    let constraints = MatchOptions { require, ..Default::default() };
    let options = PanelOptions { min_fit: 0.99, constraints, ..Default::default() };
    let panel = registry().select_panel("Is metformin safe in kidney disease?", &options).unwrap();
    for capability in ["medical.nephrology", "privacy"] {
        assert!(panel.members.iter().any(|m| m.matched.agent.has_capability(capability)), "{capability}");
    }
    assert!(panel.members.iter().any(|member| member.fit < 0.99) && panel.smaller.is_some());
}

#[test]
fn each_member_says_why_it_sits_there() {
    for asked in questions().iter().step_by(7) {
        let panel = ask(&asked.question, 0.0);
        assert_eq!(panel.members[0].seat.by, SeatBy::Match);
        assert_eq!(panel.members[0].fit, 1.0);
        for member in &panel.members {
            assert!(!member.seat.why.is_empty());
            assert_eq!(member.seat.agent.is_none(), member.seat.by == SeatBy::Match);
            if let Some(with) = &member.seat.agent {
                assert!(member.seat.why.contains(with.as_str()), "{}", member.seat.why);
                registry().get(with).unwrap();
            }
        }
        assert_eq!(ask(&asked.question, 0.0), panel, "the same question gives the same panel");
    }
}

/// A tenant's own definitions bring its agents into its panels, and into nobody else's.
#[test]
fn partners_keep_to_their_tenants() {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    let shared = |id: &str, summary: &str| registry.add(Agent::new(id, id, summary)).unwrap();
    shared("kidney", "Treats diseases of the kidney.");
    shared("stars", "Explains stars and planets.");
    shared("boats", "Repairs boats.");
    let own = registry.tenant("clinic").unwrap();
    let mut agent = Agent::new("ward-desk", "Ward desk", "Answers the telephone.");
    agent.works_with = vec![Partner::new("kidney", "knows the patients"), Partner::new("nobody", "is gone")];
    own.add(agent.clone()).unwrap();
    let ask = |registry: &AgentRegistry| {
        let options = PanelOptions { size: 2, diversity: 0.0, thrift: 0.0, ..Default::default() };
        let panel = registry.select_panel("Which drugs harm the kidney?", &options).unwrap();
        panel.members.iter().map(|m| (m.matched.agent.id.clone(), m.seat.clone())).collect::<Vec<_>>()
    };
    let seen = ask(&own);
    assert_eq!(seen[1].0, "ward-desk");
    assert_eq!(seen[1].1.why, "works with kidney: knows the patients");
    assert!(ask(&registry.tenant("another").unwrap()).iter().all(|(id, _)| id != "ward-desk"));
}

/// Who has what a question of the next tests is about.
fn desk(id: &str, summary: &str, topics: &[&str]) -> Agent {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    Agent { topics, ..Agent::new(id, id, summary) }
}

#[test]
fn what_a_third_party_publishes_takes_nobodys_seat() {
    let registry =
        AgentRegistry::open(None, RegistryOptions::empty(StaticModel::builtin().unwrap())).unwrap();
    let shared = [
        desk("appeals", "Writes appeals when an insurer refuses to pay.", &["denied claims", "appeals"]),
        desk("coding", "Codes procedures for claims.", &["claim forms", "procedure codes"]),
        desk("billing", "Sends bills to insurers.", &["claims that come back", "remittance"]),
        desk("spine", "Operates on the spine.", &["spinal stimulator", "back pain"]),
        desk("garden", "Looks after the garden.", &["roses"]),
        desk("kitchen", "Cooks for the staff.", &["soup"]),
    ];
    registry.add_all(shared.to_vec()).unwrap();
    let asked = |min_fit: f64| {
        let options = PanelOptions { min_fit, size: 12, ..PanelOptions::default() };
        let panel = registry.tenant("u").unwrap();
        panel.select_panel("Claims for a spinal stimulator are denied and come back", &options).unwrap()
    };
    let seated = |panel: &Panel| -> BTreeSet<String> {
        let shared = panel.members.iter().filter(|m| m.matched.agent.tenant.is_none());
        shared.map(|m| m.matched.agent.id.clone()).collect()
    };
    let before = seated(&asked(0.5));
    assert!(before.len() >= 3 && !before.contains("kitchen"), "{before:?}");
    // Many near topics, of one agent and of its clones, which name each other.
    let other = registry.tenant("t").unwrap();
    for clone in 0..4 {
        let topics = (0..400).map(|i| format!("denied claims for spinal stimulators {clone} {i}")).collect();
        let agent = Agent {
            topics,
            visibility: Visibility::Public,
            domain: "x".into(),
            works_with: (0..4)
                .filter(|i| *i != clone)
                .map(|i| Partner::new(format!("pushy{i}"), "always"))
                .collect(),
            ..Agent::new(format!("pushy{clone}"), "Pushy", "Knows it all.")
        };
        other.add(agent).unwrap();
    }
    assert_eq!(seated(&asked(0.5)), before, "{}", asked(0.5).explain());
}
