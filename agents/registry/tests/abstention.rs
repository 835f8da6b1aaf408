//! Does the registry with its defaults (built-in model, healthcare catalogue) find experts for what is theirs, and
//! nobody for what is nobody's?

#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::OnceLock;

use quorate_agents::{AgentRegistry, MatchOptions, RegistryOptions};
use quorate_core::embed::StaticModel;
use serde::Deserialize;

/// A question and the agents of which one should be found; none: the question is out of scope.
#[derive(Deserialize)]
struct Question {
    question: String,
    answered_by: Vec<String>,
}

fn questions() -> Vec<Question> {
    serde_json::from_str(include_str!("fixtures/questions.json")).unwrap()
}

fn registry() -> &'static AgentRegistry {
    static SHARED: OnceLock<AgentRegistry> = OnceLock::new();
    SHARED.get_or_init(|| {
        AgentRegistry::open(None, RegistryOptions::new(StaticModel::builtin().unwrap())).unwrap()
    })
}

fn ask(question: &str, require: &[&str]) -> Vec<String> {
    let require = require.iter().map(|&r| r.to_owned()).collect();
    let options = MatchOptions { abstain: true, require, ..Default::default() };
    let found = registry().match_agents(question, &options).unwrap();
    found.iter().map(|m| m.agent.id.clone()).collect()
}

#[test]
fn most_questions_in_scope_are_answered_and_most_others_are_not() {
    let (mut answered, mut right, mut inside) = (0, 0, 0);
    let (mut refused, mut outside) = (0, 0);
    for Question { question, answered_by } in questions() {
        let found = ask(&question, &[]);
        if answered_by.is_empty() {
            outside += 1;
            refused += usize::from(found.is_empty());
        } else {
            inside += 1;
            answered += usize::from(!found.is_empty());
            right += usize::from(found.iter().any(|id| answered_by.contains(id)));
        }
    }
    assert!(inside >= 30 && outside >= 30);
    assert!(10 * answered >= 9 * inside, "{answered} of {inside} answered");
    assert!(10 * right >= 9 * inside, "{right} of {inside} by the right agent");
    assert!(10 * refused >= 9 * outside, "{refused} of {outside} refused");
}

#[test]
fn an_ecg_app_finds_regulatory_experts() {
    let question = "Is a 510(k) needed for our ECG app?";
    assert_eq!(ask(question, &[])[0], "fda-510k");
    let found = ask(question, &["regulatory.fda"]);
    assert_eq!(found[0], "fda-510k");
    assert!(found.iter().all(|id| registry().get(id).unwrap().has_capability("regulatory.fda")));
}

#[test]
fn flagships_answer_general_questions_of_their_field() {
    for (question, flagship) in [
        (
            "What is the best regulatory strategy for bringing our new device to the US and the EU?",
            "regulatory-expert",
        ),
        ("What clinical evidence do we need to convince physicians?", "clinical-researcher"),
        ("What is the standard of care for this disease?", "medical-specialist"),
        ("How do we get our product reimbursed: coding, coverage and payment?", "reimbursement-strategist"),
        ("We are a start-up and need a quality management system", "quality-assurance-expert"),
    ] {
        let found = ask(question, &[]);
        assert!(found.iter().any(|id| id == flagship), "{question}: {found:?}");
    }
}

#[test]
fn nonsense_finds_nobody() {
    for question in [
        "?!",
        "What is the weather tomorrow?",
        "what is the weather tomorrow",
        "book me a flight to Paris",
        "asdf qwer zxcv",
        "zebra trombone glacier marmalade",
    ] {
        assert_eq!(ask(question, &[]), Vec::<String>::new(), "{question}");
    }
}

#[test]
fn the_questions_of_the_test_are_not_in_the_catalogue() {
    let stated = registry().out_of_scope();
    assert!(stated.len() > 100);
    for Question { question, .. } in questions() {
        assert!(!stated.contains(&question), "{question}");
        let asked = registry().list(None).unwrap().iter().any(|a| a.examples().any(|e| e == question));
        assert!(!asked, "{question}");
    }
}
